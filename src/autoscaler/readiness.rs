//! How the nodes of groups are, as the autoscaler counts them.
//!
//! Follows `cluster-autoscaler/clusterstate/clusterstate.go` and `utils/kubernetes/ready.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;

use crate::client::Informers;
use crate::client::node_taints::taints;
use crate::machinery::time::Time;

use super::{NodeGroup, TO_BE_DELETED_TAINT};

/// How long a machine may take until its node is ready: `MaxNodeStartupTime` and `MaxNodeProvisionTime`.
const MAX_NODE_STARTUP_TIME: Duration = Duration::from_secs(15 * 60);
/// So many nodes may be unready in any case: `OkTotalUnreadyCount`.
const OK_TOTAL_UNREADY_COUNT: usize = 3;
/// What share of nodes may be unready, in hundredths: `MaxTotalUnreadyPercentage`.
const MAX_TOTAL_UNREADY_PERCENTAGE: usize = 45;

/// Taints of nodes that are not ready, whatever their condition says.
const NOT_READY_TAINTS: [&str; 4] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// It is not ready yet, and new.
    NotStarted,
    Unready,
    BeingDeleted,
}

pub(super) fn has_taint(node: &Node, key: &str) -> bool {
    taints(node).iter().any(|taint| taint.key == key)
}

/// `GetReadinessState`.
pub(super) fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ready = false;
    for condition in conditions {
        match condition.type_.as_str() {
            "Ready" => ready = condition.status == "True",
            "DiskPressure" | "NetworkUnavailable" if condition.status == "True" => return false,
            _ => {}
        }
    }
    ready && !taints(node).iter().any(|taint| NOT_READY_TAINTS.contains(&taint.key.as_str()))
}

pub(super) fn readiness(node: &Node, now: Time) -> Readiness {
    let created = node.metadata.creation_timestamp.as_ref().map_or(now, Time::from);
    if has_taint(node, TO_BE_DELETED_TAINT) {
        Readiness::BeingDeleted
    } else if is_ready(node) {
        Readiness::Ready
    } else if now.since(created) < MAX_NODE_STARTUP_TIME {
        Readiness::NotStarted
    } else {
        Readiness::Unready
    }
}

/// How many nodes are how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub total: usize,
    pub ready: usize,
    pub not_started: usize,
    pub being_deleted: usize,
    pub unready: usize,
    /// Machines whose nodes are not there yet.
    pub unregistered: usize,
}

impl Counts {
    fn add(&mut self, readiness: Readiness) {
        self.total += 1;
        match readiness {
            Readiness::Ready => self.ready += 1,
            Readiness::NotStarted => self.not_started += 1,
            Readiness::Unready => self.unready += 1,
            Readiness::BeingDeleted => self.being_deleted += 1,
        }
    }

    /// All nodes of the cluster, and the machines of all groups.
    pub(super) fn of_cluster(groups: &[NodeGroup], listers: &Informers, now: Time) -> Self {
        let mut counts = Self::default();
        for node in listers.list::<Node>() {
            counts.add(readiness(node, now));
        }
        counts.unregistered = groups.iter().map(|group| Self::of_group(group, listers, now).unregistered).sum();
        counts
    }

    pub(super) fn of_group(group: &NodeGroup, listers: &Informers, now: Time) -> Self {
        let mut counts = Self::default();
        for (name, _) in group.machines().filter(|(_, machine)| !machine.is_missing) {
            match node_of(name, listers) {
                Some(node) => counts.add(readiness(node, now)),
                None => counts.unregistered += 1,
            }
        }
        counts
    }

    /// `IsClusterHealthy`.
    pub(super) const fn is_healthy(&self) -> bool {
        self.unready <= OK_TOTAL_UNREADY_COUNT || self.unready * 100 <= self.total * MAX_TOTAL_UNREADY_PERCENTAGE
    }
}

/// The node of a machine.
pub(super) fn node_of<'a>(machine: &str, listers: &'a Informers) -> Option<&'a Arc<Node>> {
    listers.get::<Node>(&crate::api::ObjectKey::new("", machine))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn taints_and_age_say_what_an_unready_node_is() {
        let node = |ready: &str, taint: &str| -> Node {
            let taints = if taint.is_empty() { json!([]) } else { json!([{ "key": taint, "effect": "NoSchedule" }]) };
            serde_json::from_value(json!({
                "metadata": { "name": "n", "creationTimestamp": "2026-01-01T00:00:00Z" },
                "spec": { "taints": taints },
                "status": { "conditions": [{ "type": "Ready", "status": ready }] },
            }))
            .expect("the node is written out above")
        };
        let at = |text: &str| Time::parse(text).expect("a time");
        let (soon, late) = (at("2026-01-01T00:01:00Z"), at("2026-01-01T00:16:00Z"));
        assert_eq!(readiness(&node("True", ""), soon), Readiness::Ready);
        assert_eq!(readiness(&node("True", "node.kubernetes.io/not-ready"), soon), Readiness::NotStarted);
        assert_eq!(readiness(&node("False", ""), late), Readiness::Unready);
        assert_eq!(readiness(&node("False", TO_BE_DELETED_TAINT), late), Readiness::BeingDeleted);
    }

    #[test]
    fn a_cluster_bears_some_unready_nodes() {
        let counts = |total, unready| Counts { total, unready, ..Counts::default() };
        assert!(counts(3, 3).is_healthy());
        assert!(counts(10, 4).is_healthy());
        assert!(!counts(8, 4).is_healthy());
    }
}
