//! Hard constraints.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::Name;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::node_info::{LABEL_ZONE, NodeInfo};
use crate::scheduler::pod_info::PodInfo;

use super::{SpreadConstraint, has_all_keys, matching_pods, zone_index};

const REASON: &str = "node(s) didn't match pod topology spread constraints";
const REASON_MISSING_LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

/// How many matching pods each domain of a constraint has.
#[derive(Clone, Debug, Default)]
struct Domains {
    counts: BTreeMap<Name, i64>,
    /// The smallest of the counts; 0 without any.
    min: i64,
}

impl Domains {
    fn of_label<'a>(nodes: impl Iterator<Item = (&'a NodeInfo, i64)>, key: &str) -> Self {
        let mut domains = Self::default();
        for (node, count) in nodes {
            let value = node.label(key).unwrap_or_default();
            match domains.counts.get_mut(value) {
                Some(known) => *known += count,
                None => {
                    domains.counts.insert(value.into(), count);
                }
            }
        }
        domains
    }

    /// As [`Self::of_label`], for the label that the cache numbers the values of.
    fn of_zones<'a>(nodes: impl Iterator<Item = (&'a NodeInfo, i64)>, zones: usize) -> Self {
        let mut counts: Vec<Option<(&NodeInfo, i64)>> = vec![None; zones + 1];
        for (node, count) in nodes {
            counts[zone_index(node, zones)].get_or_insert((node, 0)).1 += count;
        }
        let named = counts.into_iter().flatten();
        let counts = named.map(|(node, count)| (node.label(LABEL_ZONE).unwrap_or_default().into(), count)).collect();
        Self { counts, min: 0 }
    }

    fn refresh_min(&mut self) {
        self.min = self.counts.values().copied().min().unwrap_or(0);
    }
}

/// The pod's hard constraints and their counts.
#[derive(Clone, Debug)]
pub struct SpreadState {
    constraints: Arc<[SpreadConstraint]>,
    domains: Vec<Domains>,
}

/// Counts the matching pods of each domain.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let pod = &state.pod;
    let args = &state.profile.args.pod_topology_spread;
    let constraints = SpreadConstraint::of_pod(pod, args, handle.listers, true);
    if constraints.is_empty() {
        return PreFilter::Skip;
    }
    let constraints: Arc<[SpreadConstraint]> = constraints.into_owned().into();
    let cache = handle.cache;
    let mut all_domains = Vec::with_capacity(constraints.len());
    for constraint in constraints.iter() {
        let mut by_node = vec![0_i64; cache.slot_count()];
        for (node, count) in matching_pods(cache, &pod.key.namespace, &constraint.selector) {
            by_node[node.index()] += count;
        }
        let eligible = cache.nodes().filter(|node| has_all_keys(node, &constraints) && constraint.includes(pod, node));
        let counted = eligible.map(|node| (&**node, by_node[node.id.index()]));
        let mut domains = if &*constraint.topology_key == LABEL_ZONE {
            Domains::of_zones(counted, cache.zone_count())
        } else {
            Domains::of_label(counted, &constraint.topology_key)
        };
        domains.refresh_min();
        all_domains.push(domains);
    }
    state.spread = Some(SpreadState { constraints, domains: all_domains });
    PreFilter::All
}

/// Refuses nodes on which the pod would be one too many.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let Some(spread) = &state.spread else { return Ok(()) };
    for (constraint, domains) in spread.constraints.iter().zip(&spread.domains) {
        let Some(value) = node.label(&constraint.topology_key) else {
            return Err(Rejection::unresolvable(Plugin::PodTopologySpread, REASON_MISSING_LABEL));
        };
        let too_few_domains = (domains.counts.len() as i64) < constraint.min_domains;
        let emptiest = if too_few_domains { 0 } else { domains.min };
        let itself = i64::from(constraint.selector.matches(&*state.pod.labels));
        let here = domains.counts.get(value).copied().unwrap_or(0);
        if here + itself - emptiest > constraint.max_skew {
            return Err(Rejection::unschedulable(Plugin::PodTopologySpread, REASON));
        }
    }
    Ok(())
}

/// Counts a pod that was put on a node for a what-if, or taken from it.
pub fn count_pod(state: &mut CycleState, other: &PodInfo, node: &NodeInfo, delta: i64) {
    let CycleState { pod, spread: Some(spread), .. } = state else { return };
    if other.key.namespace != pod.key.namespace || !has_all_keys(node, &spread.constraints) {
        return;
    }
    for (constraint, domains) in spread.constraints.iter().zip(&mut spread.domains) {
        if !constraint.selector.matches(&*other.labels) || !constraint.includes(pod, node) {
            continue;
        }
        let value = node.label(&constraint.topology_key).unwrap_or_default();
        *domains.counts.entry(value.into()).or_insert(0) += delta;
        domains.refresh_min();
    }
}
