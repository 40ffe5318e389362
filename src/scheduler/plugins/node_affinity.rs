//! NodeAffinity: `nodeSelector` and node affinity, required and preferred, the pod's own and the profile's.
//!
//! Follows `nodeaffinity/node_affinity.go`.

use crate::machinery::node_selector::NodeNames;
use crate::scheduler::configuration::NodeAffinityArgs;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{PreFilter, default_normalize_score};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `errReasonEnforced`.
const REASON_ENFORCED: &str = "node(s) didn't match scheduler-enforced node affinity";
const REASON: &str = "node(s) didn't match Pod's node affinity/selector";
const REASON_CONFLICT: &str = "pod affinity terms conflict";

fn matches(pod: &PodInfo, node: &NodeInfo) -> bool {
    pod.required_node_affinity.as_ref().is_none_or(|required| required.matches(&node.name, node.labels()))
}

/// Whether the node is one of those that the profile lets its pods run on.
fn matches_added(args: &NodeAffinityArgs, node: &NodeInfo) -> bool {
    args.required.as_ref().is_none_or(|required| required.matches(&node.name, node.labels()))
}

/// Leaves out all nodes that terms by name leave out.
#[must_use]
pub fn pre_filter(state: &CycleState) -> PreFilter {
    let Some(required) = &state.pod.required_node_affinity else {
        return if state.args().node_affinity.required.is_some() { PreFilter::All } else { PreFilter::Skip };
    };
    match required.node_names() {
        NodeNames::All => PreFilter::All,
        NodeNames::Only(names) => PreFilter::Only(names.clone()),
        NodeNames::Conflict => PreFilter::Reject(Rejection::unresolvable(Plugin::NodeAffinity, REASON_CONFLICT)),
    }
}

/// Refuses nodes that do not match.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    if !matches_added(&state.args().node_affinity, node) {
        return Err(Rejection::unresolvable(Plugin::NodeAffinity, REASON_ENFORCED));
    }
    if matches(&state.pod, node) {
        return Ok(());
    }
    Err(Rejection::unresolvable(Plugin::NodeAffinity, REASON))
}

/// The weights of the preferences that a node satisfies.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let (own, added) = (state.pod.preferred_node_affinity.as_deref(), state.args().node_affinity.preferred.as_ref());
    if own.is_none() && added.is_none() {
        return None;
    }
    let score_one = |node: &&NodeInfo| {
        let wishes = own.into_iter().chain(added);
        wishes.map(|preferred| preferred.score(&node.name, node.labels())).sum::<i64>()
    };
    let mut scores: Vec<i64> = nodes.iter().map(score_one).collect();
    default_normalize_score(false, &mut scores);
    Some(scores)
}

/// A node that matches now and did not before may help.
#[must_use]
pub fn hint(args: &NodeAffinityArgs, event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    let suits = |node: &NodeInfo| matches_added(args, node) && matches(pod, node);
    match change {
        Change::Node(old, Some(new)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_LABEL)) => {
            let matched = old.as_ref().is_some_and(|old| suits(old));
            Some(QueueingHint::when(!matched && suits(new)))
        }
        _ => None,
    }
}
