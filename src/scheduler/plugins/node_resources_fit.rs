//! NodeResourcesFit: a node must have what the pod asks for, and by default the emptier it stays the better.
//!
//! Follows `noderesources/{fit,resource_allocation,least_allocated,most_allocated,requested_to_capacity_ratio}.go`.

use smallvec::SmallVec;

use crate::api::core::pod::requirements::is_extended;
use crate::scheduler::configuration::{NodeResourcesFitArgs, ScoredResource, ScoringStrategy, ShapePoint};
use crate::scheduler::dra_manager::DraManager;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, EventResource, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::framework::status::{Code, Reason, Rejection};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::plugins::dynamic_resources::extended;
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::resource::{PodRequests, Resource};

/// What is missing on a node. Preemption cannot help where even the empty node has too little.
#[derive(Default)]
struct Missing {
    reasons: SmallVec<[Reason; 1]>,
    unresolvable: bool,
}

impl Missing {
    fn check(&mut self, wanted: i64, allocatable: i64, used: i64, reason: impl FnOnce() -> Reason) {
        if wanted > 0 && wanted > allocatable - used {
            self.reasons.push(reason());
            self.unresolvable |= wanted > allocatable;
        }
    }
}

/// Whether a resource need not fit: one of somebody's own that the profile leaves out.
fn is_ignored(args: &NodeResourcesFitArgs, name: &str) -> bool {
    if args.ignored_resources.is_empty() && args.ignored_resource_groups.is_empty() {
        return false;
    }
    let group = name.split('/').next().unwrap_or_default();
    is_extended(name) && (args.ignored_resources.contains(name) || args.ignored_resource_groups.contains(group))
}

fn missing(wanted: &Resource, node: &NodeInfo, is_ignored: impl Fn(&str) -> bool) -> Missing {
    let mut missing = Missing::default();
    if node.pods.len() as i64 + 1 > node.allocatable.allowed_pod_number {
        missing.reasons.push(Reason::Fixed("Too many pods"));
    }
    if wanted.asks_nothing() {
        return missing;
    }
    let (have, used) = (&node.allocatable, &node.requested);
    missing.check(wanted.milli_cpu, have.milli_cpu, used.milli_cpu, || Reason::Fixed("Insufficient cpu"));
    missing.check(wanted.memory, have.memory, used.memory, || Reason::Fixed("Insufficient memory"));
    missing.check(wanted.ephemeral_storage, have.ephemeral_storage, used.ephemeral_storage, || {
        Reason::Fixed("Insufficient ephemeral-storage")
    });
    for (name, amount) in wanted.scalar.iter().filter(|(name, _)| !is_ignored(name)) {
        missing.check(*amount, have.scalar(name), used.scalar(name), || {
            Reason::Made(format!("Insufficient {name}").into())
        });
    }
    missing
}

/// Refuses nodes that have too little of something.
///
/// # Errors
/// The refusal, with a reason for each thing.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let args = &state.args().node_resources_fit;
    let is_elsewhere = |name: &str| state.devices.as_ref().is_some_and(|devices| devices.stands_behind(name, node));
    let missing = missing(&state.pod.requests.requests, node, |name| is_ignored(args, name) || is_elsewhere(name));
    if missing.reasons.is_empty() {
        return Ok(());
    }
    let code = if missing.unresolvable { Code::UnschedulableAndUnresolvable } else { Code::Unschedulable };
    Err(Rejection { plugin: Some(Plugin::NodeResourcesFit), code, reasons: missing.reasons })
}

/// How much of a resource a node has, and how much of it is used with the pod on it; `None` when the resource is left
/// out: the node has none of it, or the pod asks for none of it and it is no resource that every pod uses.
#[inline]
fn use_of(resource: &ScoredResource, pod: &PodRequests, node: &NodeInfo) -> Option<(i64, i64)> {
    let (wanted, used) = match resource {
        ScoredResource::Cpu => (pod.non_zero_milli_cpu, node.non_zero_milli_cpu),
        ScoredResource::Memory => (pod.non_zero_memory, node.non_zero_memory),
        other => (other.amount(&pod.requests), other.amount(&node.requested)),
    };
    if wanted == 0 && matches!(resource, ScoredResource::Scalar(_)) {
        return None;
    }
    let capacity = resource.amount(&node.allocatable);
    (capacity != 0).then_some((capacity, used.saturating_add(wanted)))
}

/// What the strategy makes of each node, 0 to 100.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Vec<i64> {
    let args = &state.args().node_resources_fit;
    let (resources, pod) = (&args.resources[..], &state.pod.requests);
    let mean = |sum: i64, weights: i64| sum / weights;
    match &args.strategy {
        ScoringStrategy::LeastAllocated => {
            let score = |requested, capacity| Some(least_requested_score(requested, capacity));
            weighted(resources, pod, nodes, score, mean)
        }
        ScoringStrategy::MostAllocated => {
            let score = |requested: i64, capacity| Some(in_hundredths(requested.min(capacity), capacity));
            weighted(resources, pod, nodes, score, mean)
        }
        ScoringStrategy::RequestedToCapacityRatio(shape) => {
            // A resource that is worth nothing does not count at all.
            let score = |requested: i64, capacity| {
                Some(on_line(shape, in_hundredths(requested.min(capacity), capacity))).filter(|score| *score > 0)
            };
            weighted(resources, pod, nodes, score, |sum, weights| (sum as f64 / weights as f64).round() as i64)
        }
    }
}

/// The mean of what each node's resources are worth, by `score` of what is used and of how much there is. Made for
/// each strategy by itself, since this is where a cycle spends its time.
fn weighted(
    resources: &[(ScoredResource, i64)],
    pod: &PodRequests,
    nodes: &[&NodeInfo],
    score: impl Fn(i64, i64) -> Option<i64>,
    mean: impl Fn(i64, i64) -> i64,
) -> Vec<i64> {
    let score_one = |node: &&NodeInfo| {
        let (mut sum, mut weights) = (0, 0);
        for (resource, weight) in resources {
            let Some((capacity, requested)) = use_of(resource, pod, node) else { continue };
            let Some(score) = score(requested, capacity) else { continue };
            sum += score * weight;
            weights += weight;
        }
        if weights == 0 { 0 } else { mean(sum, weights) }
    };
    nodes.iter().map(score_one).collect()
}

/// A share in hundredths, rounded down. Above 2^56 bytes the product would overflow; a node of 64 PiB is then as good
/// as empty or full.
fn in_hundredths(part: i64, whole: i64) -> i64 {
    part.saturating_mul(MAX_NODE_SCORE) / whole
}

fn least_requested_score(requested: i64, capacity: i64) -> i64 {
    if requested > capacity { 0 } else { in_hundredths(capacity - requested, capacity) }
}

/// The height of a broken line: `BuildBrokenLinearFunction`. Before its first and behind its last point it is level.
fn on_line(shape: &[ShapePoint], utilization: i64) -> i64 {
    let Some(next) = shape.iter().position(|point| utilization <= point.utilization) else {
        return shape.last().map_or(0, |last| last.score);
    };
    let Some(before) = next.checked_sub(1) else { return shape[0].score };
    let (from, to) = (shape[before], shape[next]);
    from.score + (to.score - from.score) * (utilization - from.utilization) / (to.utilization - from.utilization)
}

/// A pod that frees resources, or a node that has more of what the pod asks for, may help.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change, manager: &DraManager) -> Option<QueueingHint> {
    let pod_action = ActionType::DELETE.or(ActionType::UPDATE_POD_SCALE_DOWN);
    let node_action = ActionType::ADD.or(ActionType::UPDATE_NODE_ALLOCATABLE);
    match change {
        Change::Pod(Some(old), None) if event.is_pod(pod_action) => {
            let had_place = !old.node_name().is_empty() || !old.nominated_node_name().is_empty();
            Some(QueueingHint::when(had_place || event.resource == EventResource::AssignedPod))
        }
        Change::Pod(Some(old), Some(new)) if event.is_pod(pod_action) => {
            let helps = new.uid == pod.uid || (!new.node_name().is_empty() && frees_what_is_wanted(pod, old, new));
            Some(QueueingHint::when(helps))
        }
        Change::Node(old, Some(new)) if event.is_node(node_action) => {
            let wanted = &pod.requests.requests;
            let is_elsewhere = |name: &str| new.allocatable.scalar(name) == 0 && manager.class_behind(name).is_some();
            let fits = missing(wanted, new, is_elsewhere).reasons.is_empty();
            let grew = old.as_ref().is_none_or(|old| has_more(wanted, old, new));
            Some(QueueingHint::when(fits && grew))
        }
        Change::DeviceClass(before, after) => {
            Some(QueueingHint::when(extended::class_may_help(pod, before.as_deref(), after)))
        }
        _ => None,
    }
}

fn frees_what_is_wanted(pod: &PodInfo, old: &PodInfo, new: &PodInfo) -> bool {
    let (wanted, was, is) = (&pod.requests.requests, &old.requests.requests, &new.requests.requests);
    (wanted.milli_cpu > 0 && was.milli_cpu > is.milli_cpu)
        || (wanted.memory > 0 && was.memory > is.memory)
        || (wanted.ephemeral_storage > 0 && was.ephemeral_storage > is.ephemeral_storage)
        || wanted.scalar.iter().any(|(name, amount)| *amount > 0 && was.scalar(name) > is.scalar(name))
}

fn has_more(wanted: &Resource, old: &NodeInfo, new: &NodeInfo) -> bool {
    let (was, is) = (&old.allocatable, &new.allocatable);
    is.allowed_pod_number > was.allowed_pod_number
        || (wanted.milli_cpu > 0 && is.milli_cpu > was.milli_cpu)
        || (wanted.memory > 0 && is.memory > was.memory)
        || (wanted.ephemeral_storage > 0 && is.ephemeral_storage > was.ephemeral_storage)
        || wanted.scalar.iter().any(|(name, amount)| *amount > 0 && is.scalar(name) > was.scalar(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line() {
        let point = |(utilization, score)| ShapePoint { utilization, score };
        let shape: Vec<ShapePoint> = [(20, 100), (60, 20), (80, 50)].map(point).to_vec();
        let cases = [(0, 100), (20, 100), (21, 98), (40, 60), (60, 20), (70, 35), (80, 50), (100, 50)];
        for (utilization, expected) in cases {
            assert_eq!(on_line(&shape, utilization), expected, "{utilization}");
        }
        assert_eq!(on_line(&[], 5), 0);
    }
}
