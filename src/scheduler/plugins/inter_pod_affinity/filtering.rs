//! Required terms: the pod's own, and those of pods that are there already.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::Name;
use crate::scheduler::affinity_term::{AffinityTerm, AffinityTerms};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

use super::TopologyCounts;

const REASON_AFFINITY: &str = "node(s) didn't match pod affinity rules";
const REASON_ANTI_AFFINITY: &str = "node(s) didn't match pod anti-affinity rules";
const REASON_EXISTING_ANTI_AFFINITY: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// Where the pod's terms find pods, and where pods do not bear it.
#[derive(Clone, Debug)]
pub struct AffinityState {
    /// The pod's own terms.
    terms: Arc<AffinityTerms>,
    /// The labels of the pod's namespace, for the terms of others.
    namespace_labels: Option<Arc<BTreeMap<String, String>>>,
    /// Pods that do not bear this one.
    existing_anti_affinity: TopologyCounts,
    /// Pods that all required affinity terms mean.
    affinity: TopologyCounts,
    /// Pods that a required anti-affinity term means.
    anti_affinity: TopologyCounts,
}

fn matches_all(terms: &[AffinityTerm], pod: &PodInfo) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.matches(pod, None))
}

impl AffinityState {
    /// Counts `other` on `node`, `delta` times.
    fn count_for_own_terms(&mut self, other: &PodInfo, node: &NodeInfo, delta: i64) {
        let terms = Arc::clone(&self.terms);
        if matches_all(&terms.required_affinity, other) {
            for term in &terms.required_affinity {
                self.affinity.add(node, &term.topology_key, delta);
            }
        }
        for term in terms.required_anti_affinity.iter().filter(|term| term.matches(other, None)) {
            self.anti_affinity.add(node, &term.topology_key, delta);
        }
    }

    /// Counts how `other` on `node` does not bear `pod`.
    fn count_for_others_terms(&mut self, pod: &PodInfo, other: &PodInfo, node: &NodeInfo, delta: i64) {
        let terms = other.affinity.iter().flat_map(|terms| &terms.required_anti_affinity);
        for term in terms {
            if term.matches(pod, self.namespace_labels.as_deref()) {
                self.existing_anti_affinity.add(node, &term.topology_key, delta);
            }
        }
    }
}

/// Counts, topology by topology, the pods that matter.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let pod = Arc::clone(&state.pod);
    let terms = pod.affinity.as_ref().map(|terms| terms.with_namespaces_resolved(handle.listers));
    let has_required = pod
        .affinity
        .as_ref()
        .is_some_and(|terms| !(terms.required_affinity.is_empty() && terms.required_anti_affinity.is_empty()));
    let mut affinity = AffinityState {
        terms: Arc::new(terms.unwrap_or_default()),
        namespace_labels: handle.listers.namespaces.get(&pod.key.namespace).cloned(),
        existing_anti_affinity: TopologyCounts::default(),
        affinity: TopologyCounts::default(),
        anti_affinity: TopologyCounts::default(),
    };
    for node in handle.cache.nodes_with_required_anti_affinity() {
        for other in &node.pods_with_required_anti_affinity {
            affinity.count_for_others_terms(&pod, other, node, 1);
        }
    }
    if has_required {
        for (_, groups) in handle.cache.index().namespaces() {
            for group in groups {
                let example = &group.example;
                let terms = &affinity.terms;
                let concerned = matches_all(&terms.required_affinity, example)
                    || terms.required_anti_affinity.iter().any(|term| term.matches(example, None));
                if concerned {
                    for (node, count) in group.nodes() {
                        affinity.count_for_own_terms(example, handle.cache.node(node), count);
                    }
                }
            }
        }
    }
    if !has_required && !affinity.existing_anti_affinity.has_any() {
        return PreFilter::Skip;
    }
    state.affinity = Some(affinity);
    PreFilter::All
}

/// Refuses nodes without pods that the pod needs, or with pods that it or they do not bear.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let Some(affinity) = &state.affinity else { return Ok(()) };
    if !satisfies_affinity(affinity, &state.pod, node) {
        return Err(Rejection::unresolvable(Plugin::InterPodAffinity, REASON_AFFINITY));
    }
    let finds = |term: &AffinityTerm| {
        node.label(&term.topology_key).is_some_and(|value| affinity.anti_affinity.get(&term.topology_key, value) > 0)
    };
    if affinity.terms.required_anti_affinity.iter().any(finds) {
        return Err(Rejection::unschedulable(Plugin::InterPodAffinity, REASON_ANTI_AFFINITY));
    }
    let is_unwelcome = |(key, values): (&Name, &BTreeMap<Name, i64>)| {
        node.label(key).is_some_and(|value| values.get(value).is_some_and(|count| *count > 0))
    };
    if affinity.existing_anti_affinity.0.iter().any(is_unwelcome) {
        return Err(Rejection::unschedulable(Plugin::InterPodAffinity, REASON_EXISTING_ANTI_AFFINITY));
    }
    Ok(())
}

fn satisfies_affinity(affinity: &AffinityState, pod: &PodInfo, node: &NodeInfo) -> bool {
    let terms = &affinity.terms.required_affinity;
    let mut all_found = true;
    for term in terms {
        // All topology labels must be there.
        let Some(value) = node.label(&term.topology_key) else { return false };
        all_found &= affinity.affinity.get(&term.topology_key, value) > 0;
    }
    // The first of a group of pods that want each other finds none anywhere, and may begin where it likes.
    all_found || (!affinity.affinity.has_any() && matches_all(terms, pod))
}

/// Counts a pod that was put on a node for a what-if, or taken from it.
pub fn count_pod(state: &mut CycleState, other: &PodInfo, node: &NodeInfo, delta: i64) {
    let CycleState { pod, affinity: Some(affinity), .. } = state else { return };
    affinity.count_for_others_terms(pod, other, node, delta);
    affinity.count_for_own_terms(other, node, delta);
}
