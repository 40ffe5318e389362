//! SchedulingGates: a pod with gates does not enter the active queue.

use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::pod_info::PodInfo;

/// Whether the pod is held back.
#[must_use]
pub fn pre_enqueue(pod: &PodInfo) -> bool {
    pod.has_scheduling_gates()
}

/// The pod itself may have lost its last gate.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    if !event.is_pod(ActionType::UPDATE_POD_SCHEDULING_GATES_ELIMINATED) {
        return None;
    }
    let Change::Pod(_, Some(new)) = change else { return None };
    Some(QueueingHint::when(new.uid == pod.uid))
}
