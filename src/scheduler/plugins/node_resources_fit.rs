//! NodeResourcesFit: a node must have what the pod asks for, and the emptier it stays the better.
//!
//! Follows `noderesources/fit.go` and `least_allocated.go` with the default strategy `LeastAllocated` over CPU and
//! memory.

use smallvec::SmallVec;

use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, EventResource, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::framework::status::{Code, Reason, Rejection};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::resource::Resource;

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

fn missing(wanted: &Resource, node: &NodeInfo) -> Missing {
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
    for (name, amount) in &wanted.scalar {
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
    let missing = missing(&state.pod.requests.requests, node);
    if missing.reasons.is_empty() {
        return Ok(());
    }
    let code = if missing.unresolvable { Code::UnschedulableAndUnresolvable } else { Code::Unschedulable };
    Err(Rejection { plugin: Some(Plugin::NodeResourcesFit), code, reasons: missing.reasons })
}

/// The mean of what stays free of CPU and memory, in hundredths.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Vec<i64> {
    let pod = &state.pod.requests;
    let score_one = |node: &&NodeInfo| {
        let resources = [
            (node.allocatable.milli_cpu, node.non_zero_milli_cpu + pod.non_zero_milli_cpu),
            (node.allocatable.memory, node.non_zero_memory + pod.non_zero_memory),
        ];
        let (mut sum, mut weights) = (0, 0);
        for (capacity, requested) in resources {
            if capacity > 0 {
                sum += least_requested_score(requested, capacity);
                weights += 1;
            }
        }
        if weights == 0 { 0 } else { sum / weights }
    };
    nodes.iter().map(score_one).collect()
}

fn least_requested_score(requested: i64, capacity: i64) -> i64 {
    if requested > capacity {
        return 0;
    }
    // Above 2^56 bytes the product would overflow; a node of 64 PiB is then as good as empty or full.
    (capacity - requested).saturating_mul(MAX_NODE_SCORE) / capacity
}

/// A pod that frees resources, or a node that has more of what the pod asks for, may help.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
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
            let fits = missing(wanted, new).reasons.is_empty();
            let grew = old.as_ref().is_none_or(|old| has_more(wanted, old, new));
            Some(QueueingHint::when(fits && grew))
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
