//! The Leases of the control plane: that of the API server itself, and those by which its components lead.
//!
//! `pkg/controlplane/controller/leaderelection`, `k8s.io/client-go/tools/leaderelection`, and `pkg/controlplane/instance.go`
//! for the server's identity. Upstream each of them renews its Lease every few seconds. There is one of each here, and
//! nobody waits for another's end: so when a Lease was renewed last follows from the time at which it is read, and costs
//! neither work nor history while nobody looks.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};

use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::machinery::names;
use crate::machinery::order::map_of;
use crate::machinery::random::Random;
use crate::machinery::time::Time;

use super::{ApiServer, Response};

const NAMESPACE: &str = "kube-system";
/// The machine that the control plane runs on.
const HOST: &str = "control-plane";
/// The server's name: `apiserver-` and the hash of its machine's name.
const SERVER: &str = "apiserver-s2bgmziuyb2qrwpoihfaumwpf4";
/// For how long a leader's Lease is good: `--leader-elect-lease-duration`.
const LEADER_SECONDS: i32 = 15;
/// How often a leader renews it: `--leader-elect-retry-period`.
const LEADER_INTERVAL: Duration = Duration::from_secs(2);
/// For how long the server's is good: `IdentityLeaseDurationSeconds`.
const SERVER_SECONDS: i32 = 3600;
/// How often it renews it: `IdentityLeaseRenewIntervalPeriod`.
const SERVER_INTERVAL: Duration = Duration::from_secs(10);

/// The components that lead.
const LEADERS: [&str; 2] = ["kube-controller-manager", "kube-scheduler"];

fn chance(name: &str) -> Random {
    Random::new(u64::from(names::fnv32a(name.as_bytes())))
}

/// The Lease of a component, or of the server.
fn lease(name: &str, now: Time) -> Lease {
    let mut random = chance(name);
    let is_server = name == SERVER;
    let holder = if is_server { SERVER } else { HOST };
    let labels = is_server.then(|| {
        map_of([
            ("apiserver.kubernetes.io/identity".to_owned(), "kube-apiserver".to_owned()),
            ("kubernetes.io/hostname".to_owned(), HOST.to_owned()),
        ])
    });
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            labels,
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(format!("{holder}_{}", random.uuid())),
            lease_duration_seconds: Some(if is_server { SERVER_SECONDS } else { LEADER_SECONDS }),
            acquire_time: (!is_server).then(|| now.to_micro()),
            renew_time: Some(now.to_micro()),
            lease_transitions: (!is_server).then_some(0),
            ..LeaseSpec::default()
        }),
    }
}

/// When a Lease with this history was renewed last.
fn renewed_at(begun: Time, interval: Duration, now: Time) -> Time {
    let rounds = now.since(begun).as_micros() / interval.as_micros();
    begun + interval * u32::try_from(rounds).unwrap_or(u32::MAX)
}

/// How often whoever holds this Lease renews it, if it is one of the control plane's.
fn interval(lease: &Lease) -> Option<Duration> {
    if lease.namespace() != NAMESPACE {
        return None;
    }
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    match lease.name() {
        SERVER if holder.starts_with(SERVER) => Some(SERVER_INTERVAL),
        SERVER => None,
        _ => holder.strip_prefix(HOST)?.starts_with('_').then_some(LEADER_INTERVAL),
    }
}

/// The object as it is now, when it is such a Lease.
fn renewed(object: Object, now: Time) -> Object {
    let Some(lease) = object.downcast::<Lease>() else { return object };
    let (Some(interval), Some(spec)) = (interval(lease), &lease.spec) else { return object };
    let begun = spec.renew_time.as_ref().map_or(now, |MicroTime(time)| Time::from_timestamp(*time));
    let renew_time = Some(renewed_at(begun, interval, now).to_micro());
    Object::from(Lease { spec: Some(LeaseSpec { renew_time, ..spec.clone() }), ..(**lease).clone() })
}

/// The answer as it is now: Leases of the control plane were renewed lately.
#[inline(never)]
pub(super) fn renew(response: Response, now: Time) -> Response {
    match response {
        Response::Object(object) => Response::Object(renewed(object, now)),
        Response::List(mut list) => {
            list.items = list.items.into_iter().map(|object| renewed(object, now)).collect();
            Response::List(list)
        }
        Response::Value(value) => Response::Value(value),
    }
}

/// Whether a request may be about such a Lease.
pub(super) fn may_be(kind: Kind, namespace: &str) -> bool {
    kind == Kind::Lease && matches!(namespace, "" | NAMESPACE)
}

impl ApiServer {
    /// Writes the Leases of the control plane that are not there.
    #[inline(never)]
    pub(super) fn take_leases(&mut self, now: Time) {
        for name in LEADERS.into_iter().chain([SERVER]) {
            if self.etcd.get(Kind::Lease, &ObjectKey::new(NAMESPACE, name)).is_none() {
                self.take_lease(now, name);
            }
        }
    }

    /// A component becomes the leader of its kind.
    ///
    /// # Panics
    /// When there is such a Lease already.
    pub fn take_lease(&mut self, now: Time, component: &'static str) {
        let actor = if component == SERVER { "kube-apiserver" } else { component };
        let object = Object::from(lease(component, now));
        // Its uid takes nothing from the cluster's chance.
        let mut random = chance(&format!("{component} {now}"));
        self.write_as(now, &mut random, object, actor, "Whoever holds this Lease leads.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_as_new_as_its_reader() {
        let begun = Time::DEFAULT_START;
        let now = begun + Duration::from_millis(7_300);
        let spec = |object: Object| object.downcast::<Lease>().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let leader = spec(renewed(Object::from(lease("kube-scheduler", begun)), now));
        assert_eq!(leader.renew_time, Some((begun + Duration::from_secs(6)).to_micro()));
        assert_eq!(leader.acquire_time, Some(begun.to_micro()));
        let server = spec(renewed(Object::from(lease(SERVER, begun)), now));
        assert_eq!(server.renew_time, Some(begun.to_micro()));
        let mut other = lease("kube-scheduler", begun);
        other.spec.get_or_insert_default().holder_identity = Some("somebody".to_owned());
        assert_eq!(renewed(Object::from(other.clone()), now), Object::from(other));
    }
}
