//! How long a Job waits before it makes another pod in the place of one that failed.
//!
//! Follows `kubernetes/pkg/controller/job/backoff_utils.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::indexes::absolute_failure_count;
use crate::controllers::pod_control::condition;
use crate::machinery::time::Time;

/// `DefaultJobPodFailureBackOff`.
const BACKOFF_MIN: Duration = Duration::from_secs(10);
/// `MaxJobPodFailureBackOff`.
const BACKOFF_MAX: Duration = Duration::from_secs(600);

/// How often pods of a Job failed in a row, and when the last one did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BackoffRecord {
    failures: u32,
    last_failure: Option<Time>,
}

impl BackoffRecord {
    /// With what ended since it was written: `newBackoffRecord`. A success ends a row of failures.
    pub(super) fn after(self, succeeded: &[Arc<Pod>], failed: &[Arc<Pod>]) -> Self {
        let last_success = succeeded.iter().map(|pod| finish_time(pod)).max();
        let failures: Vec<Time> = failed.iter().map(|pod| finish_time(pod)).collect();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        match (last_success, failures.iter().max()) {
            (None, None) => self,
            (None, last) => {
                Self { failures: self.failures.saturating_add(count(failures.len())), last_failure: last.copied() }
            }
            (Some(success), _) => {
                let later = failures.iter().filter(|time| **time > success);
                Self { failures: count(later.clone().count()), last_failure: later.max().copied() }
            }
        }
    }

    /// What is left of the wait.
    pub(super) fn remaining(self, now: Time) -> Duration {
        self.last_failure.map_or(Duration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// What is left of the wait after the last pod of an index failed: `getRemainingTimePerIndex`.
pub(super) fn remaining_for_index(last_failed: Option<&Pod>, now: Time) -> Duration {
    let Some(pod) = last_failed else { return Duration::ZERO };
    let failures = u32::try_from(absolute_failure_count(pod)).unwrap_or(0).saturating_add(1);
    remaining(failures, finish_time(pod), now)
}

/// `getRemainingTimeForFailuresCount`.
fn remaining(failures: u32, last: Time, now: Time) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let wait = BACKOFF_MIN.saturating_mul(1 << (failures - 1).min(20)).min(BACKOFF_MAX);
    wait.saturating_sub(now.since(last))
}

/// When a pod ended: `getFinishedTime`.
pub(super) fn finish_time(pod: &Pod) -> Time {
    finish_of_containers(pod)
        .or_else(|| {
            let ready = condition(pod, "Ready").filter(|ready| ready.status == "False")?;
            ready.last_transition_time.as_ref().map(Time::from)
        })
        .or_else(|| {
            let deletion = pod.metadata.deletion_timestamp.as_ref().map(Time::from)?;
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
            Some(deletion - Duration::from_secs(u64::try_from(grace).unwrap_or(0)))
        })
        .or_else(|| pod.metadata.creation_timestamp.as_ref().map(Time::from))
        .unwrap_or_default()
}

/// When the last of the containers ended, if all have.
fn finish_of_containers(pod: &Pod) -> Option<Time> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ends =
        statuses.iter().map(|status| status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(Time::from));
    ends.collect::<Option<Vec<Time>>>()?.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::DEFAULT_START + Duration::from_secs(seconds)
    }

    fn ended(seconds: u64) -> Arc<Pod> {
        let mut pod = Pod::default();
        pod.metadata.creation_timestamp = Some(at(seconds).to_meta());
        Arc::new(pod)
    }

    #[test]
    fn waits_double_until_a_success() {
        let mut record = BackoffRecord::default();
        assert_eq!(record.remaining(at(0)), Duration::ZERO);
        for (failure, wait) in [(0, 10), (20, 20), (60, 40), (120, 80), (300, 160), (500, 320), (900, 600), (1600, 600)]
        {
            record = record.after(&[], &[ended(failure)]);
            assert_eq!(record.remaining(at(failure)), Duration::from_secs(wait));
            assert_eq!(record.remaining(at(failure + 4)), Duration::from_secs(wait - 4));
        }
        let mixed = record.after(&[ended(1700)], &[ended(1690), ended(1710)]);
        assert_eq!(mixed, BackoffRecord { failures: 1, last_failure: Some(at(1710)) });
        assert_eq!(mixed.after(&[ended(1720)], &[]), BackoffRecord::default());
        assert_eq!(mixed.after(&[], &[]), mixed);
    }
}
