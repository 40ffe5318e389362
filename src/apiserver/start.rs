//! What the API server writes when it starts: the objects that every cluster has by itself.
//!
//! Upstream's post-start hooks: `rbac/bootstrap-roles`, `priority-and-fairness-config-producer`,
//! `apiservice-registration-controller`, `start-kubernetes-service-cidr-controller`. The objects are stored as they are
//! once the controllers that look after them have seen them.

use std::sync::Arc;

use crate::api::managed_fields::LeftOut;
use crate::api::networking::addresses;
use crate::api::{Object, api_registration, flow_control, strategy};
use crate::etcd::{Cause, Ownership, Revision, Why, Writer};
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::ApiServer;
use super::allocator::SERVICE_RANGE;
use super::authorization::policy;

/// The seed of the uids of what every cluster has: they come from a chance of their own, so that one object more or less
/// changes nothing of what happens in the cluster.
const SEED: u64 = 0x6b75_6265_7461_6221;

impl ApiServer {
    /// Writes what every cluster has.
    ///
    /// # Panics
    /// When the store has it already: a server starts once.
    pub fn start(&mut self, now: Time) {
        let mut random = Random::new(SEED);
        for object in objects(now, self.has_metrics()) {
            self.write_own(now, &mut random, object, "The API server makes what every cluster has.");
        }
        self.take_leases(now);
        self.started_at = self.etcd.revision();
    }

    /// The oldest revision that a watch may begin behind: the watch cache knows nothing of what was before the server.
    #[must_use]
    pub fn watchable_from(&self) -> Revision {
        self.started_at.max(self.etcd.compacted())
    }

    /// Stores an object that is valid by construction.
    pub(super) fn write_own(&mut self, now: Time, random: &mut Random, object: Object, why: &'static str) {
        self.write_as(now, random, object, "kube-apiserver", why);
    }

    /// The same in the name of a component.
    pub(super) fn write_as(
        &mut self,
        now: Time,
        random: &mut Random,
        mut object: Object,
        actor: &'static str,
        why: &'static str,
    ) {
        let metadata = object.metadata_mut();
        metadata.uid = Some(random.uuid());
        metadata.creation_timestamp = Some(now.to_meta());
        if object.kind().info().generation {
            object.metadata_mut().generation = Some(1);
        }
        debug_assert!(strategy::validate(&object).is_empty(), "{:?}", strategy::validate(&object));
        let mut cause = Cause::new(actor, Why::plain(why));
        cause.ownership =
            Ownership::Moved(Writer { manager: cause.actor.clone(), subresource: None, left_out: LeftOut::default() });
        let created = self.etcd.create(now, object, cause);
        assert!(created.is_ok(), "the server's own objects are written once");
    }
}

fn objects(now: Time, has_metrics: bool) -> Vec<Object> {
    let cidr = addresses::default_service_cidr(SERVICE_RANGE, now);
    let own = flow_control::objects(now).into_iter().chain(api_registration::local_services(now)).chain([cidr]);
    let own = own.chain(has_metrics.then(|| api_registration::metrics_service(now)));
    policy().into_iter().chain(own.map(|object| Object::Unstructured(Arc::new(object)))).collect()
}
