//! The taints that say in what state a node is.
//!
//! Follows `doNoScheduleTaintingPass`, `processTaintBaseEviction` and `doNoExecuteTaintingPass`.

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::client::node_taints::{matches, taint, taints};
use crate::machinery::toleration::{NO_EXECUTE, NO_SCHEDULE};

const NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// `nodeConditionToTaintKeyStatusMap`: which condition at which status is which taint.
const BY_CONDITION: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// `NotReadyTaintTemplate`.
pub(super) fn not_ready() -> Taint {
    taint(NOT_READY, NO_EXECUTE)
}

/// `UnreachableTaintTemplate`.
pub(super) fn unreachable() -> Taint {
    taint(UNREACHABLE, NO_EXECUTE)
}

/// The `NoExecute` taint of a node whose `Ready` condition is at `status`, and the one that excludes it. `None` for a
/// node that is well.
pub(super) fn no_execute(status: &str) -> Option<(Taint, Taint)> {
    match status {
        "False" => Some((not_ready(), unreachable())),
        "Unknown" => Some((unreachable(), not_ready())),
        _ => None,
    }
}

/// The `NoSchedule` taints that a node's state asks for.
fn wanted_no_schedule(node: &Node) -> Vec<Taint> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut wanted: Vec<Taint> = conditions
        .filter_map(|condition| {
            let row = BY_CONDITION.iter().find(|(name, at, _)| *name == condition.type_ && *at == condition.status)?;
            Some(taint(row.2, NO_SCHEDULE))
        })
        .collect();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        wanted.push(taint(UNSCHEDULABLE, NO_SCHEDULE));
    }
    wanted
}

/// The `NoSchedule` taints that are to be put on a node, and those to be taken off it, so that they follow its state.
pub(super) fn no_schedule_changes(node: &Node) -> (Vec<Taint>, Vec<Taint>) {
    let is_managed = |taint: &&Taint| {
        taint.effect == NO_SCHEDULE
            && (taint.key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, key)| *key == taint.key))
    };
    let known: Vec<&Taint> = taints(node).iter().filter(is_managed).collect();
    let mut missing = wanted_no_schedule(node);
    let extra = known.iter().filter(|known| !missing.iter().any(|wanted| matches(wanted, known)));
    let extra = extra.map(|&known| known.clone()).collect();
    missing.retain(|wanted| !known.iter().any(|known| matches(wanted, known)));
    (missing, extra)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_follow_conditions_and_others_are_left_alone() {
        let node: Node = serde_json::from_value(serde_json::json!({
            "spec": { "unschedulable": true, "taints": [
                { "key": "mine", "effect": "NoSchedule" },
                { "key": NOT_READY, "effect": "NoSchedule" },
                { "key": NOT_READY, "effect": "NoExecute" },
                { "key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule" },
            ] },
            "status": { "conditions": [
                { "type": "Ready", "status": "Unknown" },
                { "type": "DiskPressure", "status": "True" },
                { "type": "MemoryPressure", "status": "Unknown" },
                { "type": "NetworkUnavailable", "status": "True" },
            ] },
        }))
        .expect("the node is written out above");
        let (missing, extra) = no_schedule_changes(&node);
        let keys = |taints: &[Taint]| -> Vec<String> { taints.iter().map(|taint| taint.key.clone()).collect() };
        assert_eq!(keys(&missing), [UNREACHABLE, "node.kubernetes.io/network-unavailable", UNSCHEDULABLE]);
        assert_eq!(extra, [taint(NOT_READY, NO_SCHEDULE)]);
    }
}
