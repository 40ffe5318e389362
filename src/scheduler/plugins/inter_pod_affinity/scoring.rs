//! Preferred terms: the pod's own, and those of pods that are there already.

use crate::scheduler::affinity_term::{AffinityTerm, AffinityTerms, WeightedAffinityTerm};
use crate::scheduler::framework::Handle;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::NodeInfo;

use super::TopologyCounts;

/// The weights of terms that find each other, added up by topology; nothing to say when no term finds a pod.
#[must_use]
pub fn score(state: &CycleState, handle: Handle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let wishes =
        |terms: &AffinityTerms| !terms.preferred_affinity.is_empty() || !terms.preferred_anti_affinity.is_empty();
    let has_wishes = state.pod.affinity.as_deref().is_some_and(wishes);
    if state.args().inter_pod_affinity.ignore_preferred_terms_of_existing_pods && !has_wishes {
        return None;
    }
    let mut sums = TopologyCounts::default();
    add_own_terms(state, handle, &mut sums);
    add_others_terms(state, handle, &mut sums);
    if sums.0.is_empty() {
        return None;
    }
    let sum = |node: &&NodeInfo| {
        let values = sums.0.iter().filter_map(|(key, values)| values.get(node.label(key)?));
        values.sum::<i64>()
    };
    let mut scores: Vec<i64> = nodes.iter().map(sum).collect();
    normalize(&mut scores);
    Some(scores)
}

fn add_own_terms(state: &CycleState, handle: Handle<'_>, sums: &mut TopologyCounts) {
    let Some(terms) = &state.pod.affinity else { return };
    if terms.preferred_affinity.is_empty() && terms.preferred_anti_affinity.is_empty() {
        return;
    }
    let terms = terms.with_namespaces_resolved(handle.listers);
    let signed = |terms: &[WeightedAffinityTerm], sign: i64| {
        terms.iter().map(move |wish| (wish.term.clone(), wish.weight * sign)).collect::<Vec<_>>()
    };
    let mut wishes: Vec<(AffinityTerm, i64)> = signed(&terms.preferred_affinity, 1);
    wishes.extend(signed(&terms.preferred_anti_affinity, -1));
    for (_, groups) in handle.cache.index().namespaces() {
        for group in groups {
            for (term, weight) in wishes.iter().filter(|(term, _)| term.matches(&group.example, None)) {
                for (node, count) in group.nodes() {
                    sums.add(handle.cache.node(node), &term.topology_key, weight * count);
                }
            }
        }
    }
}

fn add_others_terms(state: &CycleState, handle: Handle<'_>, sums: &mut TopologyCounts) {
    let pod = &state.pod;
    let hard_weight = state.args().inter_pod_affinity.hard_pod_affinity_weight;
    let namespace_labels = handle.listers.namespaces.get(&pod.key.namespace).map(|labels| &**labels);
    for node in handle.cache.nodes_with_affinity() {
        for terms in node.pods_with_affinity.iter().filter_map(|other| other.affinity.as_ref()) {
            let required = terms.required_affinity.iter().map(|term| (term, hard_weight)).filter(|_| hard_weight > 0);
            let preferred = terms.preferred_affinity.iter().map(|wish| (&wish.term, wish.weight));
            let apart = terms.preferred_anti_affinity.iter().map(|wish| (&wish.term, -wish.weight));
            for (term, weight) in required.chain(preferred).chain(apart) {
                if term.matches(pod, namespace_labels) {
                    sums.add(node, &term.topology_key, weight);
                }
            }
        }
    }
}

/// The smallest sum becomes 0 and the largest 100.
fn normalize(scores: &mut [i64]) {
    let min = scores.iter().copied().min().unwrap_or(0);
    let difference = scores.iter().copied().max().unwrap_or(0) - min;
    for score in scores {
        let share = if difference > 0 { (*score - min) as f64 / difference as f64 } else { 0.0 };
        *score = (MAX_NODE_SCORE as f64 * share) as i64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_become_scores() {
        for (sums, expected) in [([0, 0, 0], [0, 0, 0]), ([-30, 0, 30], [0, 50, 100]), ([5, 5, 6], [0, 0, 100])] {
            let mut scores = sums;
            normalize(&mut scores);
            assert_eq!(scores, expected, "{sums:?}");
        }
    }
}
