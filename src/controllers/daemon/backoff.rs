//! How long a pod that failed is left alone, so that DaemonSet and kubelet do not chase each other.
//!
//! Follows `k8s.io/client-go/util/flowcontrol/backoff.go`, with the figures of the controller manager.

use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

/// The first wait.
const INITIAL: Duration = Duration::from_secs(1);
/// The longest wait.
const MAX: Duration = Duration::from_secs(900);

#[derive(Clone, Copy, Debug)]
struct Entry {
    wait: Duration,
    since: Time,
}

impl Entry {
    /// Whether so much time has passed that it counts as if nothing had been.
    fn has_expired(&self, now: Time) -> bool {
        now.since(self.since) > MAX * 2
    }
}

/// The waits, by what was deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    entries: OrdMap<String, Entry>,
}

impl Backoff {
    /// How long the wait for `id` is, if it is not over: `IsInBackOffSinceUpdate`.
    pub(super) fn wait(&self, id: &str, now: Time) -> Option<Duration> {
        let entry = self.entries.get(id).filter(|entry| !entry.has_expired(now))?;
        (now.since(entry.since) < entry.wait).then_some(entry.wait)
    }

    /// Doubles the wait for `id`, which begins now: `Next`.
    pub(super) fn next(&mut self, id: String, now: Time) {
        let known = self.entries.get(&id).filter(|entry| !entry.has_expired(now));
        let wait = known.map_or(INITIAL, |entry| (entry.wait * 2).min(MAX));
        let expired: Vec<String> =
            self.entries.iter().filter(|(_, entry)| entry.has_expired(now)).map(|(id, _)| id.clone()).collect();
        for id in &expired {
            self.entries.remove(id);
        }
        self.entries.insert(id, Entry { wait, since: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_until_it_is_forgotten() {
        let mut backoff = Backoff::default();
        let mut now = Time::DEFAULT_START;
        assert_eq!(backoff.wait("a", now), None);
        for seconds in [1, 2, 4] {
            backoff.next("a".to_owned(), now);
            assert_eq!(backoff.wait("a", now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(backoff.wait("a", now), None);
        }
        now += MAX * 3;
        backoff.next("a".to_owned(), now);
        assert_eq!(backoff.wait("a", now), Some(INITIAL));
    }
}
