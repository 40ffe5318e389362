//! TaintToleration: nodes with taints that the pod does not tolerate are refused, or liked less.

use k8s_openapi::api::core::v1::Toleration;

use crate::machinery::toleration::{PREFER_NO_SCHEDULE, keeps_away, tolerates_taint};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::default_normalize_score;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

const REASON: &str = "node(s) had untolerated taint(s)";

/// Whether a taint of the node keeps the pod away.
#[must_use]
pub fn has_untolerated_taint(pod: &PodInfo, node: &NodeInfo) -> bool {
    node.has_hard_taints
        && node.taints().iter().any(|taint| keeps_away(taint) && !tolerates_taint(pod.tolerations(), taint))
}

/// Refuses nodes with taints that keep the pod away.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    if has_untolerated_taint(&state.pod, node) {
        return Err(Rejection::unresolvable(Plugin::TaintToleration, REASON));
    }
    Ok(())
}

/// The fewer `PreferNoSchedule` taints the pod does not tolerate, the better.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Vec<i64> {
    let soft: Vec<Toleration> = state
        .pod
        .tolerations()
        .iter()
        .filter(|toleration| matches!(toleration.effect.as_deref(), None | Some("" | PREFER_NO_SCHEDULE)))
        .cloned()
        .collect();
    let intolerable = |node: &&NodeInfo| {
        if !node.has_soft_taints {
            return 0;
        }
        let taints = node.taints().iter().filter(|taint| taint.effect == PREFER_NO_SCHEDULE);
        taints.filter(|taint| !tolerates_taint(&soft, taint)).count() as i64
    };
    let mut scores: Vec<i64> = nodes.iter().map(intolerable).collect();
    default_normalize_score(true, &mut scores);
    scores
}

/// A node that no longer keeps the pod away may help; so may a new toleration of the pod.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Node(old, Some(new)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_TAINT)) => {
            let kept_away = old.as_ref().is_none_or(|old| has_untolerated_taint(pod, old));
            Some(QueueingHint::when(kept_away && !has_untolerated_taint(pod, new)))
        }
        Change::Pod(_, Some(new)) if event.is_pod(ActionType::UPDATE_POD_TOLERATIONS) => {
            Some(QueueingHint::when(new.uid == pod.uid))
        }
        _ => None,
    }
}
