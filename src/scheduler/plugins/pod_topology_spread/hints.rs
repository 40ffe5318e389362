//! What may make a pod schedulable that did not fit into the spread.

use crate::scheduler::configuration::PodTopologySpreadArgs;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::listers::Listers;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

use super::{SpreadConstraint, has_all_keys};

/// A matching pod that came, went or changed its labels; a node that came, went or changed its labels or taints.
#[must_use]
pub fn hint(
    args: &PodTopologySpreadArgs,
    event: ClusterEvent,
    pod: &PodInfo,
    change: &Change,
    listers: &Listers,
) -> Option<QueueingHint> {
    let pod_action = ActionType::ADD.or(ActionType::DELETE).or(ActionType::UPDATE_POD_LABEL);
    let node_action =
        ActionType::ADD.or(ActionType::DELETE).or(ActionType::UPDATE_NODE_LABEL).or(ActionType::UPDATE_NODE_TAINT);
    let constraints = SpreadConstraint::of_pod(pod, args, listers, true);
    match change {
        Change::Pod(old, new) if event.is_pod(pod_action) => {
            Some(QueueingHint::when(pod_change_may_help(pod, &constraints, old.as_deref(), new.as_deref())))
        }
        Change::Node(old, new) if event.is_node(node_action) => {
            Some(QueueingHint::when(node_change_may_help(&constraints, old.as_deref(), new.as_deref())))
        }
        _ => None,
    }
}

fn pod_change_may_help(
    pod: &PodInfo,
    constraints: &[SpreadConstraint],
    old: Option<&PodInfo>,
    new: Option<&PodInfo>,
) -> bool {
    let itself = new.is_some_and(|new| new.uid == pod.uid);
    let other = |known: &PodInfo| known.key.namespace == pod.key.namespace;
    let matches = |constraint: &SpreadConstraint, known: &PodInfo| constraint.selector.matches(&*known.labels);
    match (old, new) {
        (Some(old), Some(new)) => {
            other(new)
                && old.labels != new.labels
                && (itself || constraints.iter().any(|constraint| matches(constraint, old) != matches(constraint, new)))
        }
        (Some(known), None) | (None, Some(known)) => {
            other(known) && constraints.iter().any(|constraint| matches(constraint, known))
        }
        (None, None) => false,
    }
}

fn node_change_may_help(constraints: &[SpreadConstraint], old: Option<&NodeInfo>, new: Option<&NodeInfo>) -> bool {
    let counts = |node: &NodeInfo| has_all_keys(node, constraints);
    match (old, new) {
        (Some(old), Some(new)) => {
            let moved = constraints
                .iter()
                .any(|constraint| old.label(&constraint.topology_key) != new.label(&constraint.topology_key));
            (counts(old) != counts(new)) || (counts(new) && (moved || old.taints() != new.taints()))
        }
        (Some(node), None) | (None, Some(node)) => counts(node),
        (None, None) => false,
    }
}
