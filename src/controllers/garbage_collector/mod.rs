//! Deletes what nobody owns any more.
//!
//! Guarantees that an object all of whose owners are gone is deleted, that an owner deleted in the foreground goes after
//! the dependents that block it, and that the dependents of an owner deleted as `orphan` stay. Watches every kind but
//! Events. Follows `kubernetes/pkg/controller/garbagecollector`. The graph is only a hint: before anything is deleted,
//! the object and its owners are read from the API server.
//!
//! An owner of a kind that is not served keeps its dependents. Upstream asks for such kinds again and again, and every
//! thirty seconds reads anew what is served; here they are looked at again so long after a definition changed.

mod absent_owners;
mod attempt_to_delete;
mod attempt_to_orphan;
mod graph;
mod operations;

use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};
use k8s_openapi::api::core::v1::ObjectReference;

use crate::api::{CustomKind, Kind, Name, ObjectKey};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};

use absent_owners::AbsentOwners;
use attempt_to_delete::Attempt;
use graph::{Effect, Graph, Identity};

/// What a key of the queue asks for; the name of the key is the uid.
const DELETE: &str = "delete";
const ORPHAN: &str = "orphan";
/// How often what is served is read anew: `resyncPeriod` of `startGarbageCollectorController`.
const RESYNC_PERIOD: Duration = Duration::from_secs(30);

/// The garbage collector.
#[derive(Clone, Debug, Default)]
pub struct GarbageCollector {
    graph: Graph,
    absent: AbsentOwners,
    /// Dependents with owners in other namespaces that are still to be told of, by uid.
    invalid_namespaces: OrdMap<Name, OrdSet<Name>>,
    /// What is of a kind that nobody knows yet, or has an owner of one, by uid.
    unknown: OrdSet<Name>,
}

fn delete_key(uid: Name) -> QueueKey {
    ObjectKey::new(DELETE, uid)
}

fn orphan_key(uid: Name) -> QueueKey {
    ObjectKey::new(ORPHAN, uid)
}

impl GarbageCollector {
    /// Remembers what the graph found out; what is to be done is given to `enqueue`, with whether it can wait.
    fn take_in(&mut self, effects: Vec<Effect>, mut enqueue: impl FnMut(QueueKey, bool)) {
        for effect in effects {
            match effect {
                Effect::AttemptToDelete(uid) => enqueue(delete_key(uid), false),
                Effect::AttemptToDeleteLater(uid) => enqueue(delete_key(uid), true),
                Effect::AttemptToOrphan(uid) => enqueue(orphan_key(uid), false),
                Effect::Absent(identity) => self.absent.add(identity),
                Effect::InvalidNamespace { dependent, owner } => {
                    self.invalid_namespaces.entry(dependent).or_default().insert(owner);
                }
            }
        }
    }

    /// Nothing is stored where the graph thought that something was. Says whether the same uid must be looked at
    /// again, after its back-off, under another name.
    fn is_absent(&mut self, absent: &Identity, client: &mut Client<'_>) -> bool {
        let effects = self.graph.observe_absence(absent);
        let mut again = false;
        self.take_in(effects, |key, later| {
            if later {
                again = true;
            } else {
                client.enqueue(key);
            }
        });
        again
    }

    /// Tells of owners that were found in another namespace than their dependent: `reportInvalidNamespaceOwnerRef`.
    fn report_invalid_namespaces(&mut self, dependent: &str, client: &mut Client<'_>) {
        let Some(owners) = self.invalid_namespaces.remove(dependent) else { return };
        let Some(node) = self.graph.get(dependent) else { return };
        let identity = &node.identity;
        let text = |name: &Name| Some(name.to_string()).filter(|text| !text.is_empty());
        let about = ObjectReference {
            kind: text(&identity.kind),
            api_version: text(&identity.api_version),
            namespace: text(&identity.namespace),
            name: text(&identity.name),
            uid: text(&identity.uid),
            ..ObjectReference::default()
        };
        for owner in node.owners.iter().filter(|owner| owners.contains(owner.uid.as_str())) {
            let message = format!(
                "ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace \"{}\"",
                owner.api_version, owner.kind, identity.namespace, owner.name, owner.uid, identity.namespace
            );
            client.event_about(&about, EventType::Warning, "OwnerRefInvalidNamespace", &message);
        }
    }
}

impl Controller for GarbageCollector {
    fn name(&self) -> &'static str {
        "garbage-collector-controller"
    }

    /// `--concurrent-gc-syncs`.
    fn workers(&self) -> usize {
        20
    }

    fn account(&self) -> &'static str {
        "generic-garbage-collector"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        let built_in = Kind::ALL.iter().copied().filter(|kind| !matches!(kind, Kind::Event));
        built_in.chain([Kind::Custom(CustomKind::ANY)]).map(WatchSpec::all).collect()
    }

    fn rate_factors(&self) -> (u32, u32) {
        // Each deletion takes two requests.
        (2, 2)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::Event {
            return;
        }
        if event.kind == Kind::CustomResourceDefinition && !self.unknown.is_empty() {
            for uid in std::mem::take(&mut self.unknown).iter() {
                queue.add_after(delete_key(uid.clone()), RESYNC_PERIOD);
            }
        }
        let before = event.before.as_ref().map(crate::api::Object::metadata);
        let after = event.after.as_ref().map(crate::api::Object::metadata);
        let effects = self.graph.observe(event.kind, before, after);
        self.take_in(effects, |key, later| if later { queue.add_rate_limited(key) } else { queue.add(key) });
    }

    fn sync(&mut self, key: &QueueKey, _listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let uid = &key.name;
        self.report_invalid_namespaces(uid, client);
        if &*key.namespace == ORPHAN {
            return self.attempt_to_orphan(uid, client);
        }
        let Some(node) = self.graph.get(uid).cloned() else { return Ok(Requeue::Forget) };
        Ok(match self.attempt_to_delete(&node, client)? {
            // What was only named is asked for until a watch tells of it, lest a missed deletion leave it here.
            Attempt::Done if node.is_virtual => Requeue::RateLimited,
            Attempt::Done => Requeue::Forget,
            Attempt::Absent if self.is_absent(&node.identity, client) => Requeue::RateLimited,
            Attempt::UnknownKind => {
                self.unknown.insert(uid.clone());
                Requeue::Forget
            }
            Attempt::Absent | Attempt::NeverValid => Requeue::Forget,
        })
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
