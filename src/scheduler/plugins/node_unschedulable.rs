//! NodeUnschedulable: a cordoned node takes only pods that tolerate it.

use k8s_openapi::api::core::v1::Taint;

use crate::machinery::toleration::{NO_SCHEDULE, tolerates_taint};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// The taint that a cordoned node gets.
pub const TAINT_NODE_UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

const REASON: &str = "node(s) were unschedulable";

fn is_tolerated(pod: &PodInfo) -> bool {
    let taint = Taint { key: TAINT_NODE_UNSCHEDULABLE.to_owned(), effect: NO_SCHEDULE.to_owned(), ..Taint::default() };
    tolerates_taint(pod.tolerations(), &taint)
}

/// Refuses cordoned nodes.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    if node.unschedulable && !is_tolerated(&state.pod) {
        return Err(Rejection::unresolvable(Plugin::NodeUnschedulable, REASON));
    }
    Ok(())
}

/// A node that became schedulable may help; so may a new toleration of the pod.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Node(old, Some(new)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_TAINT)) => {
            let was_schedulable = old.as_ref().is_some_and(|old| !old.unschedulable);
            Some(QueueingHint::when(!was_schedulable && !new.unschedulable))
        }
        Change::Pod(_, Some(new)) if event.is_pod(ActionType::UPDATE_POD_TOLERATIONS) => {
            Some(QueueingHint::when(new.uid == pod.uid && is_tolerated(new)))
        }
        _ => None,
    }
}
