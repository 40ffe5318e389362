//! NodeResourcesBalancedAllocation: a node whose resources become more evenly used is better.
//!
//! Follows `noderesources/balanced_allocation.go` of v1.36, which scores the change that the pod makes: 75 when it
//! makes none, down to 50 when it unbalances the node, up to 100 when it evens it out.

use crate::scheduler::configuration::ScoredResource;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::resource::Resource;

/// How the pod changes the balance; nothing to say of a pod that asks for none of the resources, which would otherwise be
/// drawn to the same nodes as all its like.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let pod = &state.pod.requests.requests;
    // Resources of somebody's own that the pod does not ask for are left out.
    let counts =
        |resource: &&ScoredResource| resource.amount(pod) != 0 || !matches!(resource, ScoredResource::Scalar(_));
    let resources: Vec<Counted> =
        state.args().balanced_allocation.iter().filter(counts).map(Counted::of(pod)).collect();
    if resources.iter().all(|resource| resource.wanted == 0) {
        return None;
    }
    // Two are the rule: no lists are made for them, since this is where a cycle spends its time.
    Some(match &resources[..] {
        [one, other] => nodes.iter().map(|node| points(change_of_two(one, other, node))).collect(),
        several => nodes.iter().map(|node| points(change(several, node))).collect(),
    })
}

/// A resource that is looked at, and how much of it the pod wants.
struct Counted<'a> {
    resource: &'a ScoredResource,
    wanted: i64,
}

impl<'a> Counted<'a> {
    fn of(pod: &Resource) -> impl Fn(&'a ScoredResource) -> Self {
        |resource| Self { resource, wanted: resource.amount(pod) }
    }

    /// The shares of the node's that are used without and with the pod; `None` when the node has nothing of it.
    #[inline]
    fn shares(&self, node: &NodeInfo) -> Option<(f64, f64)> {
        let capacity = self.resource.amount(&node.allocatable);
        let requested = self.resource.amount(&node.requested);
        let share = |amount: i64| (amount as f64 / capacity as f64).min(1.0);
        (capacity != 0).then(|| (share(requested), share(requested + self.wanted)))
    }
}

/// From how balanced the node was and how balanced it will be.
fn points((without_pod, with_pod): (i64, i64)) -> i64 {
    MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with_pod - without_pod) / 2
}

/// The balance without and with the pod.
fn change(resources: &[Counted], node: &NodeInfo) -> (i64, i64) {
    let (without, with): (Vec<f64>, Vec<f64>) = resources.iter().filter_map(|resource| resource.shares(node)).unzip();
    (balance(deviation(&without)), balance(deviation(&with)))
}

/// [`change`] for two resources; one alone is always balanced.
fn change_of_two(one: &Counted, other: &Counted, node: &NodeInfo) -> (i64, i64) {
    let (Some(one), Some(other)) = (one.shares(node), other.shares(node)) else {
        return (MAX_NODE_SCORE, MAX_NODE_SCORE);
    };
    (balance(deviation_of_two(one.0, other.0)), balance(deviation_of_two(one.1, other.1)))
}

/// 100 when all are equally used, less by the standard deviation.
fn balance(deviation: f64) -> i64 {
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

fn deviation_of_two(one: f64, other: f64) -> f64 {
    ((one - other) / 2.0).abs()
}

fn deviation(fractions: &[f64]) -> f64 {
    match *fractions {
        [] | [_] => 0.0,
        [one, other] => deviation_of_two(one, other),
        _ => {
            let count = fractions.len() as f64;
            let mean = fractions.iter().sum::<f64>() / count;
            (fractions.iter().map(|fraction| (fraction - mean) * (fraction - mean)).sum::<f64>() / count).sqrt()
        }
    }
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
            assert_eq!(balance(deviation(fractions)), expected, "{fractions:?}");
        }
    }
}
