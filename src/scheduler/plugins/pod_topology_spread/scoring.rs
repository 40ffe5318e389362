//! Soft constraints.

use std::collections::BTreeMap;

use crate::machinery::labels::Selector;
use crate::scheduler::framework::Handle;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::{LABEL_HOSTNAME, LABEL_ZONE, NodeId, NodeInfo};

use super::{SpreadConstraint, has_all_keys, matching_pods, zone_index};

/// The fewer matching pods a node's domains have, the better; nothing to say without soft constraints.
#[must_use]
pub fn score(state: &CycleState, handle: Handle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let pod = &state.pod;
    let args = &state.args().pod_topology_spread;
    let constraints = SpreadConstraint::of_pod(pod, args, handle.listers, false);
    if constraints.is_empty() {
        return None;
    }
    // Nodes that lack a label are left out, unless the constraints are only the built-in ones: nodes without a zone
    // are still spread over by host.
    let needs_all_keys = !pod.spread.is_empty() || !args.is_system_defaulting;
    let counts = |node: &NodeInfo| !needs_all_keys || has_all_keys(node, &constraints);
    let ignored: Vec<bool> = nodes.iter().map(|node| !counts(node)).collect();
    let mut scores = vec![0.0_f64; nodes.len()];
    let mut matching: Option<(&Selector, Vec<(NodeId, i64)>)> = None;
    for constraint in constraints.iter() {
        if matching.as_ref().is_none_or(|(selector, _)| **selector != constraint.selector) {
            let pods = matching_pods(handle.cache, &pod.key.namespace, &constraint.selector).collect();
            matching = Some((&constraint.selector, pods));
        }
        let pods = matching.as_ref().map_or(&[][..], |(_, pods)| pods);
        if &*constraint.topology_key == LABEL_HOSTNAME {
            score_hosts(constraint, pods, handle, nodes, &ignored, &mut scores);
        } else {
            let pods = pods.iter().filter_map(|(id, count)| {
                let node = &**handle.cache.node(*id);
                let included = node.node.is_some() && counts(node) && constraint.includes(pod, node);
                included.then_some((node, *count))
            });
            if &*constraint.topology_key == LABEL_ZONE {
                let zones = handle.cache.zone_count();
                score_zones(constraint, pods, zones, nodes, &ignored, &mut scores);
            } else {
                score_domains(constraint, pods, nodes, &ignored, &mut scores);
            }
        }
    }
    let rounded = scores.iter().map(|score| score.round() as i64);
    Some(normalize(rounded.zip(ignored).map(|(score, ignored)| (!ignored).then_some(score)).collect()))
}

/// Each host is a domain of its own.
fn score_hosts(
    constraint: &SpreadConstraint,
    pods: &[(NodeId, i64)],
    handle: Handle<'_>,
    nodes: &[&NodeInfo],
    ignored: &[bool],
    scores: &mut [f64],
) {
    let mut by_node = vec![0_i64; handle.cache.slot_count()];
    for (node, count) in pods {
        by_node[node.index()] += count;
    }
    let weight = normalizing_weight(ignored.iter().filter(|ignored| !**ignored).count());
    for (node, score) in nodes.iter().zip(scores) {
        if node.label(LABEL_HOSTNAME).is_some() {
            *score += score_for_count(by_node[node.id.index()], constraint.max_skew, weight);
        }
    }
}

/// As [`score_domains`], for the label that the cache numbers the values of.
fn score_zones<'a>(
    constraint: &SpreadConstraint,
    pods: impl Iterator<Item = (&'a NodeInfo, i64)>,
    zones: usize,
    nodes: &[&NodeInfo],
    ignored: &[bool],
    scores: &mut [f64],
) {
    let mut counts: Vec<Option<i64>> = vec![None; zones + 1];
    let number = |node: &NodeInfo| zone_index(node, zones);
    for (node, _) in nodes.iter().zip(ignored).filter(|(_, ignored)| !**ignored) {
        counts[number(node)] = Some(0);
    }
    for (node, count) in pods {
        if let Some(known) = &mut counts[number(node)] {
            *known += count;
        }
    }
    let weight = normalizing_weight(counts.iter().flatten().count());
    let scored: Vec<f64> = counts
        .iter()
        .map(|count| count.map_or(0.0, |count| score_for_count(count, constraint.max_skew, weight)))
        .collect();
    for (node, score) in nodes.iter().zip(scores) {
        if node.has_zone() {
            *score += scored[number(node)];
        }
    }
}

fn score_domains<'a>(
    constraint: &SpreadConstraint,
    pods: impl Iterator<Item = (&'a NodeInfo, i64)>,
    nodes: &[&NodeInfo],
    ignored: &[bool],
    scores: &mut [f64],
) {
    let mut domains: BTreeMap<&str, i64> = BTreeMap::new();
    for (node, _) in nodes.iter().zip(ignored).filter(|(_, ignored)| !**ignored) {
        domains.entry(node.label(&constraint.topology_key).unwrap_or_default()).or_insert(0);
    }
    for (node, count) in pods {
        // A domain without a candidate does not matter.
        if let Some(known) = domains.get_mut(node.label(&constraint.topology_key).unwrap_or_default()) {
            *known += count;
        }
    }
    let weight = normalizing_weight(domains.len());
    for (node, score) in nodes.iter().zip(scores) {
        let count = node.label(&constraint.topology_key).and_then(|value| domains.get(value));
        if let Some(count) = count {
            *score += score_for_count(*count, constraint.max_skew, weight);
        }
    }
}

fn score_for_count(count: i64, max_skew: i64, weight: f64) -> f64 {
    count as f64 * weight + (max_skew - 1) as f64
}

/// Many domains have few pods each; the weight makes up for that.
fn normalizing_weight(domain_count: usize) -> f64 {
    natural_logarithm((domain_count + 2) as f64)
}

/// Fewest pods become 100. `None` is a node that was left out: it gets nothing.
fn normalize(scores: Vec<Option<i64>>) -> Vec<i64> {
    let min = scores.iter().flatten().copied().min().unwrap_or(0);
    let max = scores.iter().flatten().copied().max().unwrap_or(0);
    let one = |score: Option<i64>| match score {
        None => 0,
        Some(_) if max == 0 => MAX_NODE_SCORE,
        Some(score) => MAX_NODE_SCORE * (max + min - score) / max,
    };
    scores.into_iter().map(one).collect()
}

/// The natural logarithm by fdlibm's method, as Go computes it.
///
/// The standard library's may differ in the last bit between native and WebAssembly, and a cluster must not.
fn natural_logarithm(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const COEFFICIENTS: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    assert!(x >= 1.0, "counts of domains are not negative");
    // x = fraction × 2^exponent with the fraction near 1.
    let (mut fraction, mut exponent) = (x, 0.0_f64);
    while fraction > std::f64::consts::SQRT_2 {
        fraction /= 2.0;
        exponent += 1.0;
    }
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [c1, c2, c3, c4, c5, c6, c7] = COEFFICIENTS;
    let odd = s2 * (c1 + s4 * (c3 + s4 * (c5 + s4 * c7)));
    let even = s4 * (c2 + s4 * (c4 + s4 * c6));
    let half_square = 0.5 * f * f;
    exponent * LN2_HIGH - ((half_square - (s * (half_square + odd + even) + exponent * LN2_LOW)) - f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm() {
        for number in 1..2000 {
            let x = f64::from(number);
            assert!((natural_logarithm(x) - x.ln()).abs() < 1e-14, "{x}");
        }
    }

    #[test]
    fn fewest_pods_win() {
        assert_eq!(normalize(vec![Some(0), Some(2), None, Some(4)]), [100, 50, 0, 0]);
        assert_eq!(normalize(vec![Some(0), Some(0), None]), [100, 100, 0]);
        assert_eq!(normalize(vec![Some(3), Some(3)]), [100, 100]);
    }
}
