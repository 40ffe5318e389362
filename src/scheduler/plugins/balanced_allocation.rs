//! NodeResourcesBalancedAllocation: a node whose resources become more evenly used is better.
//!
//! Follows `noderesources/balanced_allocation.go` of v1.36, which scores the change that the pod makes: 75 when it
//! makes none, down to 50 when it unbalances the node, up to 100 when it evens it out.

use smallvec::SmallVec;

use crate::scheduler::configuration::ScoredResource;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::resource::Resource;

/// Which shares of a node's resources are used. There are hardly ever more than two.
type Fractions = SmallVec<[f64; 4]>;

/// How the pod changes the balance; nothing to say of a pod that asks for none of the resources, which would otherwise be
/// drawn to the same nodes as all its like.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let pod = &state.pod.requests.requests;
    let resources = &state.args().balanced_allocation;
    if resources.iter().all(|resource| resource.amount(pod) == 0) {
        return None;
    }
    let score_one = |node: &&NodeInfo| {
        let with_pod = balance(&fractions(resources, pod, node, 1));
        let without_pod = balance(&fractions(resources, pod, node, 0));
        MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with_pod - without_pod) / 2
    };
    Some(nodes.iter().map(score_one).collect())
}

/// The shares that are used with so many of the pod on the node. What the node does not have is left out, and so are
/// resources of somebody's own that the pod does not ask for.
fn fractions(resources: &[ScoredResource], pod: &Resource, node: &NodeInfo, count: i64) -> Fractions {
    let fraction = |resource: &ScoredResource| {
        let (wanted, capacity) = (resource.amount(pod), resource.amount(&node.allocatable));
        if capacity == 0 || (wanted == 0 && matches!(resource, ScoredResource::Scalar(_))) {
            return None;
        }
        let requested = resource.amount(&node.requested) + wanted * count;
        Some((requested as f64 / capacity as f64).min(1.0))
    };
    resources.iter().filter_map(fraction).collect()
}

/// 100 when all are equally used, less by the standard deviation.
fn balance(fractions: &[f64]) -> i64 {
    let deviation = match *fractions {
        [] | [_] => 0.0,
        [one, other] => ((one - other) / 2.0).abs(),
        _ => {
            let count = fractions.len() as f64;
            let mean = fractions.iter().sum::<f64>() / count;
            (fractions.iter().map(|fraction| (fraction - mean) * (fraction - mean)).sum::<f64>() / count).sqrt()
        }
    };
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_of_several() {
        let cases: [(&[f64], i64); 8] = [
            (&[], 100),
            (&[0.3], 100),
            (&[0.0, 0.0], 100),
            (&[0.5, 0.5], 100),
            (&[1.0, 0.0], 50),
            (&[0.25, 1.0], 62),
            (&[0.1, 0.5, 0.9], 67),
            (&[0.5, 0.5, 0.5, 0.5], 100),
        ];
        for (fractions, expected) in cases {
            assert_eq!(balance(fractions), expected, "{fractions:?}");
        }
    }
}
