//! For how long a group is left alone of which the cloud could not make machines.
//!
//! Follows `cluster-autoscaler/utils/backoff/exponential_backoff.go`.

use std::time::Duration;

use crate::api::Name;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

/// `InitialNodeGroupBackoffDuration`.
const INITIAL: Duration = Duration::from_secs(5 * 60);
/// `MaxNodeGroupBackoffDuration`.
const MAX: Duration = Duration::from_secs(30 * 60);
/// `NodeGroupBackoffResetTimeout`: after so long without a failure the first wait is the shortest again.
const RESET_TIMEOUT: Duration = Duration::from_secs(3 * 3600);

/// Why a group is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What the cloud calls the failure.
    pub code: String,
    /// What it says of it.
    pub message: String,
}

#[derive(Clone, Debug)]
struct Entry {
    wait: Duration,
    until: Time,
    last_failure: Time,
    failure: Failure,
}

/// The groups that are left alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    entries: OrdMap<Name, Entry>,
}

impl Backoff {
    /// A group failed.
    pub(super) fn failed(&mut self, group: &Name, failure: Failure, now: Time) {
        let known = self.entries.get(group).filter(|entry| now.since(entry.last_failure) < RESET_TIMEOUT);
        // A failure of while it is left alone changes nothing of how long that is.
        let wait = match known {
            Some(entry) if entry.until > now => entry.wait,
            Some(entry) => (entry.wait * 2).min(MAX),
            None => INITIAL,
        };
        self.entries.insert(group.clone(), Entry { wait, until: now + wait, last_failure: now, failure });
    }

    /// A group has become as large as it was to.
    pub(super) fn succeeded(&mut self, group: &str) {
        self.entries.remove(group);
    }

    /// Why a group is left alone, if it is.
    pub(super) fn of(&self, group: &str, now: Time) -> Option<&Failure> {
        self.entries.get(group).filter(|entry| entry.until > now).map(|entry| &entry.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_wait_up_to_half_an_hour() {
        let (mut backoff, group) = (Backoff::default(), Name::from("pool"));
        let failure = || Failure { code: "code".to_owned(), message: "why".to_owned() };
        let mut now = Time::DEFAULT_START;
        for minutes in [5, 10, 20, 30, 30] {
            backoff.failed(&group, failure(), now);
            let wait = Duration::from_secs(minutes * 60);
            assert!(backoff.of("pool", now + wait - Duration::from_secs(1)).is_some(), "{minutes}");
            now += wait;
            assert!(backoff.of("pool", now).is_none(), "{minutes}");
        }
        backoff.failed(&group, failure(), now + RESET_TIMEOUT);
        now += RESET_TIMEOUT + INITIAL;
        assert!(backoff.of("pool", now).is_none());
        backoff.failed(&group, failure(), now);
        backoff.succeeded("pool");
        assert!(backoff.of("pool", now).is_none());
    }
}
