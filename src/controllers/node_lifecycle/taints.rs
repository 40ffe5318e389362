//! The taints that say in what state a node is.
//!
//! Follows `doNoScheduleTaintingPass`, `doNoExecuteTaintingPass` and `pkg/controller/util/node/controller_utils.go`.

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::api::Resource;
use crate::client::{Client, ClientError};
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::ready_status;

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

fn taints(node: &Node) -> Vec<Taint> {
    node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default()
}

fn has(node: &Node, key: &str, effect: &str) -> bool {
    taints(node).iter().any(|taint| taint.key == key && taint.effect == effect)
}

fn taint(key: &str, effect: &str, now: Time) -> Taint {
    Taint { key: key.to_owned(), value: None, effect: effect.to_owned(), time_added: Some(now.to_meta()) }
}

/// The keys of the `NoSchedule` taints that a node's state asks for.
fn wanted_no_schedule(node: &Node) -> Vec<&'static str> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let mut wanted: Vec<&'static str> = Vec::new();
    for condition in conditions.into_iter().flatten() {
        let found = BY_CONDITION
            .iter()
            .find(|(condition_type, status, _)| *condition_type == condition.type_ && *status == condition.status);
        wanted.extend(found.map(|(_, _, key)| *key));
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        wanted.push(UNSCHEDULABLE);
    }
    wanted
}

/// A node's taints once its `NoSchedule` ones follow its state; `None` when they do already.
fn reconciled(node: &Node, now: Time) -> Option<Vec<Taint>> {
    let wanted = wanted_no_schedule(node);
    let managed = |key: &str| key == UNSCHEDULABLE || BY_CONDITION.iter().any(|(_, _, known)| *known == key);
    let before = taints(node);
    let mut after: Vec<Taint> = before
        .iter()
        .filter(|taint| taint.effect != "NoSchedule" || !managed(&taint.key) || wanted.contains(&taint.key.as_str()))
        .cloned()
        .collect();
    for key in wanted {
        if !after.iter().any(|known| known.key == key && known.effect == "NoSchedule") {
            after.push(taint(key, "NoSchedule", now));
        }
    }
    (after != before).then_some(after)
}

fn write(node: &Node, taints: Vec<Taint>, why: &'static str, client: &mut Client<'_>) -> Result<(), ClientError> {
    client.because(Why::new(why, [node.name().to_owned()]));
    let mut changed = node.clone();
    changed.spec.get_or_insert_default().taints = Some(taints).filter(|taints| !taints.is_empty());
    client.update(changed).map(|_| ())
}

/// Brings a node's `NoSchedule` taints in line with its state.
pub(super) fn reconcile_no_schedule(node: &Node, client: &mut Client<'_>) -> Result<(), ClientError> {
    match reconciled(node, client.now) {
        Some(taints) => write(node, taints, "The taints of node {} follow its conditions.", client),
        None => Ok(()),
    }
}

/// The `NoExecute` taint that goes with the node's state, and the one that does not.
fn no_execute_keys(node: &Node) -> (&'static str, &'static str) {
    if ready_status(node) == "False" { (NOT_READY, UNREACHABLE) } else { (UNREACHABLE, NOT_READY) }
}

/// Whether a node that is not ready carries the `NoExecute` taint of its state and no other.
pub(super) fn has_right_no_execute(node: &Node) -> bool {
    let (right, wrong) = no_execute_keys(node);
    has(node, right, "NoExecute") && !has(node, wrong, "NoExecute")
}

/// Gives a node that is not ready the `NoExecute` taint of its state.
pub(super) fn set_no_execute(node: &Node, client: &mut Client<'_>) -> Result<(), ClientError> {
    if ready_status(node) == "True" || has_right_no_execute(node) {
        return Ok(());
    }
    let (right, wrong) = no_execute_keys(node);
    let mut after = taints(node);
    after.retain(|taint| !(taint.effect == "NoExecute" && (taint.key == wrong || taint.key == right)));
    after.push(taint(right, "NoExecute", client.now));
    write(node, after, "Node {} is not ready: its pods have to go when their tolerations end.", client)
}

/// Takes the `NoExecute` taints of ill health off a node that is well. A failure comes again with the next look.
pub(super) fn remove_no_execute(node: &Node, client: &mut Client<'_>) {
    if has(node, NOT_READY, "NoExecute") || has(node, UNREACHABLE, "NoExecute") {
        let mut after = taints(node);
        after.retain(|taint| !(taint.effect == "NoExecute" && (taint.key == NOT_READY || taint.key == UNREACHABLE)));
        let _ = write(node, after, "Node {} is ready again.", client);
    }
}
