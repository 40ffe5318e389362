//! Which pods there are by their labels, so that counting them does not mean looking at each one.
//!
//! Pods of one workload have equal labels. Kept in groups, ten thousand pods are some dozens of labels to compare with
//! a selector, and only nodes that have pods of a matching group are visited. Upstream walks all pods instead.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use crate::api::Name;

use super::super::node_info::NodeId;
use super::super::pod_info::PodInfo;

/// What pods of a group have in common, within a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct GroupKey {
    labels: Arc<BTreeMap<String, String>>,
    terminating: bool,
}

/// Pods with equal labels in one namespace: how many there are on each node.
#[derive(Clone, Debug)]
pub struct PodGroup {
    /// One of them, which stands for all where only namespace and labels matter.
    pub example: Arc<PodInfo>,
    nodes: OrdMap<NodeId, u32>,
}

impl PodGroup {
    /// The nodes that have pods of the group, and how many.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, i64)> + '_ {
        self.nodes.iter().map(|(node, count)| (*node, i64::from(*count)))
    }
}

/// All pods on nodes, in groups.
#[derive(Clone, Debug, Default)]
pub struct PodIndex {
    namespaces: OrdMap<Name, OrdMap<GroupKey, PodGroup>>,
}

fn key_of(pod: &PodInfo) -> GroupKey {
    GroupKey { labels: Arc::clone(&pod.labels), terminating: pod.terminating }
}

impl PodIndex {
    /// Counts a pod on a node.
    pub(super) fn add(&mut self, pod: &Arc<PodInfo>, node: NodeId) {
        let groups = self.namespaces.entry(pod.key.namespace.clone()).or_default();
        let group =
            groups.entry(key_of(pod)).or_insert_with(|| PodGroup { example: Arc::clone(pod), nodes: OrdMap::new() });
        *group.nodes.entry(node).or_insert(0) += 1;
    }

    /// Counts a pod no more.
    pub(super) fn remove(&mut self, pod: &PodInfo, node: NodeId) {
        let Some(groups) = self.namespaces.get_mut(&pod.key.namespace) else { return };
        let key = key_of(pod);
        let Some(group) = groups.get_mut(&key) else { return };
        if let Some(count) = group.nodes.get_mut(&node) {
            *count -= 1;
            if *count == 0 {
                group.nodes.remove(&node);
            }
        }
        if group.nodes.is_empty() {
            groups.remove(&key);
        }
        if groups.is_empty() {
            self.namespaces.remove(&pod.key.namespace);
        }
    }

    /// The groups of a namespace.
    pub fn in_namespace(&self, namespace: &str) -> impl Iterator<Item = &PodGroup> {
        self.namespaces.get(namespace).into_iter().flat_map(OrdMap::values)
    }

    /// All groups, namespace by namespace.
    pub fn namespaces(&self) -> impl Iterator<Item = (&Name, impl Iterator<Item = &PodGroup>)> {
        self.namespaces.iter().map(|(name, groups)| (name, groups.values()))
    }
}
