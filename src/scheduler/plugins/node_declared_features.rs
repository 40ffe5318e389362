//! NodeDeclaredFeatures: a pod that needs something of its kubelet runs where the node says that it has it.
//!
//! Follows `nodedeclaredfeatures/nodedeclaredfeatures.go`. Of the features that v1.36 knows, a pod needs one when it is
//! scheduled: restarts of all its containers when one of them ends.

use crate::scheduler::framework::PreFilter;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `errReasonUnsatisfiedRequirements`.
const REASON: &str = "node(s) didn't match Pod's required features";
/// The feature by which containers start anew together.
const RESTART_ALL_CONTAINERS: &str = "RestartAllContainersOnContainerExits";

/// Whether a container's end may restart them all.
fn may_restart_all(pod: &PodInfo) -> bool {
    let spec = pod.pod.spec.iter();
    let containers = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let mut rules = containers.flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == "RestartAllContainers")
}

/// Most pods need nothing.
#[must_use]
pub fn pre_filter(state: &CycleState) -> PreFilter {
    if may_restart_all(&state.pod) { PreFilter::All } else { PreFilter::Skip }
}

/// Refuses nodes that do not declare what the pod needs.
///
/// # Errors
/// The refusal.
pub fn filter(node: &NodeInfo) -> Result<(), Rejection> {
    if node.declared_features().iter().any(|feature| feature == RESTART_ALL_CONTAINERS) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::NodeDeclaredFeatures, REASON))
}

/// A node came, or declares other features.
#[must_use]
pub fn hint(event: ClusterEvent, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Node(old, Some(new)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_DECLARED_FEATURE)) => {
            let is_same = old.as_ref().is_some_and(|old| old.declared_features() == new.declared_features());
            Some(QueueingHint::when(!is_same))
        }
        _ => None,
    }
}
