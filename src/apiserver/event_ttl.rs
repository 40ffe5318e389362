//! Events do not stay: an hour after its last write an event is gone.
//!
//! `--event-ttl`, by leases of etcd as `k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go` takes them: the writes of a
//! minute share a lease, so that their events go together.

use std::time::Duration;

use crate::api::{Kind, ObjectKey};
use crate::etcd::{Cause, Why};
use crate::machinery::persistent::{OrdMap, OrdSet};
use crate::machinery::time::Time;

use super::ApiServer;

/// `--event-ttl`.
const EVENT_TTL: Duration = Duration::from_secs(3600);
/// For how long a lease is given to further writes: `defaultLeaseReuseDurationSeconds`.
const LEASE_REUSE: Duration = Duration::from_secs(60);
/// To how many writes a lease is given: `defaultLeaseMaxObjectCount`.
const LEASE_OBJECTS_MAX: u32 = 1000;
/// Who removes what has expired.
pub(crate) const EXPIRY: &str = "etcd";

#[derive(Clone, Copy, Debug)]
struct Lease {
    ends: Time,
    writes: u32,
}

/// When each event goes.
#[derive(Clone, Debug, Default)]
pub(super) struct EventLeases {
    newest: Option<Lease>,
    ends: OrdMap<ObjectKey, Time>,
    by_end: OrdSet<(Time, ObjectKey)>,
}

impl EventLeases {
    /// An event was written: it stays for another while.
    pub(super) fn renew(&mut self, key: ObjectKey, now: Time) {
        let reusable = |lease: &&mut Lease| now + EVENT_TTL < lease.ends && lease.writes < LEASE_OBJECTS_MAX;
        let ends = match self.newest.as_mut().filter(reusable) {
            Some(lease) => {
                lease.writes += 1;
                lease.ends
            }
            None => self.newest.insert(Lease { ends: now + EVENT_TTL + LEASE_REUSE, writes: 1 }).ends,
        };
        if let Some(before) = self.ends.insert(key.clone(), ends) {
            if before == ends {
                return;
            }
            self.by_end.remove(&(before, key.clone()));
        }
        self.by_end.insert((ends, key));
    }

    fn next(&self) -> Option<Time> {
        self.by_end.get_min().map(|(ends, _)| *ends)
    }

    fn pop(&mut self, now: Time) -> Option<ObjectKey> {
        self.next().filter(|ends| *ends <= now)?;
        let (_, key) = self.by_end.pop_min()?;
        self.ends.remove(&key);
        Some(key)
    }
}

impl ApiServer {
    /// When something expires next.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Time> {
        self.event_leases.next()
    }

    /// Removes what has expired.
    pub fn expire(&mut self, now: Time) {
        while let Some(key) = self.event_leases.pop(now) {
            // Somebody may have deleted it before.
            if let Some(event) = self.etcd.get(Kind::Event, &key).cloned() {
                let cause = Cause::new(EXPIRY, Why::plain("Events are kept for an hour."));
                let removed = self.etcd.delete(now, &event, cause);
                debug_assert!(removed.is_ok(), "what was just read is there");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writes_of_a_minute_share_a_lease() {
        let mut leases = EventLeases::default();
        let start = Time::DEFAULT_START;
        let at = |seconds| start + Duration::from_secs(seconds);
        let key = |name: &str| ObjectKey::new("default", name);
        for (name, second) in [("a", 0), ("b", 59), ("c", 60)] {
            leases.renew(key(name), at(second));
        }
        assert_eq!(leases.next(), Some(at(3660)));
        assert_eq!(leases.pop(at(3659)), None);
        assert_eq!(leases.pop(at(3660)), Some(key("a")));
        leases.renew(key("b"), at(100));
        assert_eq!(leases.next(), Some(at(3720)), "a write makes an event stay");
        assert_eq!(leases.pop(at(3720)), Some(key("b")));
        assert_eq!(leases.pop(at(3720)), Some(key("c")));
        assert_eq!(leases.next(), None);
    }
}
