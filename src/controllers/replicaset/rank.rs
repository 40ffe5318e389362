//! Which pods go first when there are too many.
//!
//! Follows `ActivePodsWithRanks` in `kubernetes/pkg/controller/controller_utils.go` and `getPodsRankedByRelatedPodsOnSameNode`
//! in `pkg/controller/replicaset/replica_set.go`.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::controllers::pod_control::{is_ready, max_restarts, node_name, phase, ready_since};
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

/// `core.PodDeletionCost`.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What a pod is judged by first, worst first: the smaller, the sooner it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    assigned: bool,
    phase: u8,
    ready: bool,
    deletion_cost: i32,
    /// Crowded nodes are relieved first.
    crowd: Reverse<usize>,
}

fn rank(pod: &Pod, crowd: usize) -> Rank {
    let phase = match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    Rank {
        assigned: !node_name(pod).is_empty(),
        phase,
        ready: is_ready(pod),
        deletion_cost: deletion_cost(pod),
        crowd: Reverse(crowd),
    }
}

/// Younger before older, where ages of the same power of two count as equal and chance, in the form of the uid,
/// decides between them: `logarithmicRankDiff`. `None` when both are of one moment.
fn compare_ages(a: (&Pod, Option<Time>), b: (&Pod, Option<Time>), now: Time) -> Option<Ordering> {
    if a.1 == b.1 {
        return None;
    }
    let magnitude = |since: Option<Time>| {
        let nanos = since.map_or(0, |since| now.since(since).as_nanos());
        if nanos == 0 { -1 } else { i64::from(nanos.ilog2()) }
    };
    let by_age = magnitude(a.1).cmp(&magnitude(b.1));
    Some(by_age.then_with(|| a.0.metadata.uid.cmp(&b.0.metadata.uid)))
}

fn compare(a: (&Rank, &Pod), b: (&Rank, &Pod), now: Time) -> Ordering {
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(Time::from);
    let ready = |pod: &Pod| ready_since(pod);
    a.0.cmp(b.0).then_with(|| {
        compare_ages((a.1, ready(a.1)), (b.1, ready(b.1)), now).unwrap_or_else(|| {
            max_restarts(b.1)
                .cmp(&max_restarts(a.1))
                .then_with(|| compare_ages((a.1, created(a.1)), (b.1, created(b.1)), now).unwrap_or(Ordering::Equal))
        })
    })
}

fn deletion_cost(pod: &Pod) -> i32 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(DELETION_COST)).and_then(|cost| cost.parse().ok()).unwrap_or(0)
}

/// The `count` pods among `active` that go first; `related` are those that count for how crowded a node is.
pub(super) fn pods_to_delete(active: &[Arc<Pod>], related: &[Arc<Pod>], count: usize, now: Time) -> Vec<Arc<Pod>> {
    if count >= active.len() {
        return active.to_vec();
    }
    let mut crowds: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related.iter().filter(|pod| !node_name(pod).is_empty()) {
        *crowds.entry(node_name(pod)).or_default() += 1;
    }
    let mut ranked: Vec<(Rank, &Arc<Pod>)> =
        active.iter().map(|pod| (rank(pod, crowds.get(node_name(pod)).copied().unwrap_or(0)), pod)).collect();
    ranked.order_by(|(a, pod), (b, other)| compare((a, pod), (b, other), now));
    ranked.into_iter().take(count).map(|(_, pod)| pod.clone()).collect()
}
