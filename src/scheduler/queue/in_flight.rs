//! What happened while a pod was being scheduled.
//!
//! Follows `pkg/scheduler/backend/queue/active_queue.go` (`inFlightPods`, `inFlightEvents`): an event that comes
//! between a pod's start and its failure would otherwise wake nobody.

use crate::machinery::persistent::OrdMap;
use imbl::Vector;

use crate::api::Name;

use super::super::framework::events::{Change, ClusterEvent};

/// Pods under way and the events since the oldest of them started.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    /// For each pod, the number of the first event after its start.
    pods: OrdMap<Name, u64>,
    events: Vector<(ClusterEvent, Change)>,
    /// The number of the first event in `events`.
    first: u64,
}

impl InFlight {
    pub(super) fn start(&mut self, uid: Name) {
        self.pods.insert(uid, self.first + self.events.len() as u64);
    }

    pub(super) fn contains(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    pub(super) fn record(&mut self, event: ClusterEvent, change: &Change) {
        if !self.pods.is_empty() {
            self.events.push_back((event, change.clone()));
        }
    }

    /// Ends a pod's flight, and gives what happened meanwhile.
    pub(super) fn finish(&mut self, uid: &str) -> Vec<(ClusterEvent, Change)> {
        let Some(start) = self.pods.remove(uid) else { return Vec::new() };
        let missed = self.events.iter().skip((start - self.first) as usize).cloned().collect();
        let oldest = self.pods.values().copied().min().unwrap_or(self.first + self.events.len() as u64);
        while self.first < oldest {
            self.events.pop_front();
            self.first += 1;
        }
        missed
    }
}
