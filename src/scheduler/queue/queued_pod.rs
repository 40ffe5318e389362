//! A pod that waits, and how often it was tried.

use std::sync::Arc;
use std::time::Duration;

use crate::etcd::Revision;
use crate::machinery::time::Time;

use super::super::configuration::{Backoff, Profile};
use super::super::framework::plugin::{Plugin, PluginSet};
use super::super::plugins::priority_sort::QueueOrder;
use super::super::pod_info::PodInfo;

/// Waits end on whole seconds, so that pods whose waits end together are taken by priority.
pub const BACKOFF_ORDERING_WINDOW: Duration = Duration::from_secs(1);

/// In which part of the queue a pod stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To be tried now.
    Active,
    /// To be tried when its wait is over, or when nothing else is to be done.
    Backoff,
    /// To be tried when its wait is over: the last try ended in an error.
    ErrorBackoff,
    /// To be tried when something happens that may help.
    Unschedulable,
    /// Held back by its scheduling gates.
    Gated,
}

/// A pod in the queue. Follows `QueuedPodInfo` of `pkg/scheduler/framework/types.go`.
#[derive(Clone, Debug)]
pub struct QueuedPodInfo {
    /// The pod.
    pub pod: Arc<PodInfo>,
    /// The profile that serves it.
    pub profile: Arc<Profile>,
    /// Where it stands.
    pub place: Place,
    /// When it came, or was last tried.
    pub timestamp: Time,
    /// When it came first.
    pub added_at: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// How often no node would do.
    pub unschedulable_count: u32,
    /// How often in a row something went wrong.
    pub consecutive_errors_count: u32,
    /// The plugins that refused it at the last try.
    pub unschedulable_plugins: PluginSet,
    /// The plugin that keeps it out of the active queue.
    pub gating_plugin: Option<Plugin>,
    /// The revision that woke it last, if one did.
    pub woken_by: Option<Revision>,
    pub(super) sequence: u64,
    pub(super) backoff_limits: Backoff,
}

impl QueuedPodInfo {
    pub(super) fn new(pod: Arc<PodInfo>, profile: Arc<Profile>, now: Time, sequence: u64) -> Self {
        Self {
            pod,
            profile,
            place: Place::Unschedulable,
            timestamp: now,
            added_at: now,
            attempts: 0,
            unschedulable_count: 0,
            consecutive_errors_count: 0,
            unschedulable_plugins: PluginSet::EMPTY,
            gating_plugin: None,
            woken_by: None,
            sequence,
            backoff_limits: Backoff::default(),
        }
    }

    pub(super) fn order(&self) -> QueueOrder {
        QueueOrder::new(self.pod.priority, self.timestamp, self.sequence)
    }

    /// How long it waits after its last failure.
    #[must_use]
    pub fn backoff(&self) -> Duration {
        let count =
            if self.consecutive_errors_count > 0 { self.consecutive_errors_count } else { self.unschedulable_count };
        match count {
            0 => Duration::ZERO,
            count => {
                let Backoff { initial, max } = self.backoff_limits;
                initial.saturating_mul(1 << (count - 1).min(16)).min(max)
            }
        }
    }

    /// The second in which its wait ends.
    #[must_use]
    pub fn backoff_expiration(&self) -> Time {
        match self.backoff() {
            Duration::ZERO => Time::default(),
            backoff => align(self.timestamp + backoff),
        }
    }

    /// Whether it still waits. In the very second in which the wait ends it does.
    #[must_use]
    pub fn is_backing_off(&self, now: Time) -> bool {
        let is_tried = !self.backoff().is_zero();
        is_tried && self.backoff_expiration() >= align(now)
    }
}

/// The beginning of the second that `time` is in.
pub(super) const fn align(time: Time) -> Time {
    let window = BACKOFF_ORDERING_WINDOW.as_micros() as u64;
    Time::from_micros(time.as_micros() / window * window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_ten_seconds() {
        let pod = Arc::new(PodInfo::new(Arc::default()));
        let profile = Arc::new(Profile::new("default-scheduler".into()));
        let mut queued = QueuedPodInfo::new(pod, profile, Time::DEFAULT_START, 0);
        let mut seconds = Vec::new();
        for count in 0..7 {
            queued.unschedulable_count = count;
            seconds.push(queued.backoff().as_secs());
        }
        assert_eq!(seconds, [0, 1, 2, 4, 8, 10, 10]);
        queued.unschedulable_count = 1;
        queued.timestamp = Time::from_micros(5_300_000);
        assert_eq!(queued.backoff_expiration(), Time::from_micros(6_000_000));
        assert!(queued.is_backing_off(Time::from_micros(6_900_000)));
        assert!(!queued.is_backing_off(Time::from_micros(7_000_000)));
        queued.backoff_limits = Backoff { initial: Duration::from_secs(3), max: Duration::from_secs(5) };
        assert_eq!(queued.backoff().as_secs(), 3);
        queued.unschedulable_count = 2;
        assert_eq!(queued.backoff().as_secs(), 5);
    }
}
