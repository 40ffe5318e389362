//! What may make a pod schedulable that found too few, or too many, other pods.

use std::collections::BTreeMap;

use crate::scheduler::affinity_term::{AffinityTerm, AffinityTerms};
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::listers::Listers;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// A pod that the terms mean came or went, or one that did not bear this pod went; a node with the terms' labels came.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change, listers: &Listers) -> Option<QueueingHint> {
    let pod_action = ActionType::ADD.or(ActionType::DELETE).or(ActionType::UPDATE_POD_LABEL);
    let node_action = ActionType::ADD.or(ActionType::UPDATE_NODE_LABEL);
    let terms = pod.affinity.as_ref().map(|terms| terms.with_namespaces_resolved(listers)).unwrap_or_default();
    match change {
        Change::Pod(old, new) if event.is_pod(pod_action) => {
            let namespace_labels = listers.namespaces.get(&pod.key.namespace).map(|labels| &**labels);
            let helps = pod_change_may_help(pod, &terms, old.as_deref(), new.as_deref(), namespace_labels);
            Some(QueueingHint::when(helps))
        }
        Change::Node(old, Some(new)) if event.is_node(node_action) => {
            Some(QueueingHint::when(node_change_may_help(&terms, old.as_deref(), new)))
        }
        _ => None,
    }
}

fn matches_all(terms: &[AffinityTerm], pod: &PodInfo) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.matches(pod, None))
}

fn matches_any(terms: &[AffinityTerm], pod: &PodInfo) -> bool {
    terms.iter().any(|term| term.matches(pod, None))
}

fn pod_change_may_help(
    pod: &PodInfo,
    terms: &AffinityTerms,
    old: Option<&PodInfo>,
    new: Option<&PodInfo>,
    namespace_labels: Option<&BTreeMap<String, String>>,
) -> bool {
    if new.is_some_and(|new| new.uid == pod.uid) {
        // Its own labels changed: another pod's terms, or its own with itself, may judge it otherwise.
        return true;
    }
    let is_wanted = |known: &PodInfo| matches_all(&terms.required_affinity, known);
    let is_unbearable = |known: &PodInfo| matches_any(&terms.required_anti_affinity, known);
    let does_not_bear = |known: &PodInfo| {
        let terms = known.affinity.iter().flat_map(|terms| &terms.required_anti_affinity);
        terms.into_iter().any(|term| term.matches(pod, namespace_labels))
    };
    match (old, new) {
        (Some(old), Some(new)) => (!is_wanted(old) && is_wanted(new)) || (is_unbearable(old) && !is_unbearable(new)),
        (None, Some(new)) => is_wanted(new),
        (Some(old), None) => is_unbearable(old) || does_not_bear(old),
        (None, None) => false,
    }
}

fn node_change_may_help(terms: &AffinityTerms, old: Option<&NodeInfo>, new: &NodeInfo) -> bool {
    let mut keys = terms.required_affinity.iter().chain(&terms.required_anti_affinity).map(|term| &*term.topology_key);
    match old {
        // Without terms of its own the pod was refused by others, which a new node does not have.
        None => {
            let has_no_terms = terms.required_affinity.is_empty() && terms.required_anti_affinity.is_empty();
            has_no_terms || keys.any(|key| new.label(key).is_some())
        }
        Some(old) => {
            let has_no_terms = terms.required_affinity.is_empty() && terms.required_anti_affinity.is_empty();
            has_no_terms || keys.any(|key| old.label(key) != new.label(key))
        }
    }
}
