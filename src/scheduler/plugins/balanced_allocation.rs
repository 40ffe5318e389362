//! NodeResourcesBalancedAllocation: a node whose CPU and memory become more evenly used is better.
//!
//! Follows `noderesources/balanced_allocation.go` of v1.36, which scores the change that the pod makes: 75 when it
//! makes none, down to 50 when it unbalances the node, up to 100 when it evens it out.

use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::score_table::MAX_NODE_SCORE;
use crate::scheduler::node_info::NodeInfo;

/// How the pod changes the balance; nothing to say of a pod that asks for neither CPU nor memory, which would
/// otherwise be drawn to the same nodes as all its like.
#[must_use]
pub fn score(state: &CycleState, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let pod = &state.pod.requests.requests;
    if pod.milli_cpu == 0 && pod.memory == 0 {
        return None;
    }
    let score_one = |node: &&NodeInfo| {
        let (have, used) = (&node.allocatable, &node.requested);
        let balance = |cpu: i64, memory: i64| balance([(cpu, have.milli_cpu), (memory, have.memory)]);
        let with_pod = balance(used.milli_cpu + pod.milli_cpu, used.memory + pod.memory);
        let without_pod = balance(used.milli_cpu, used.memory);
        MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with_pod - without_pod) / 2
    };
    Some(nodes.iter().map(score_one).collect())
}

/// 100 when both are equally used, less by half the difference.
fn balance(resources: [(i64, i64); 2]) -> i64 {
    let [cpu, memory] = resources;
    if cpu.1 == 0 || memory.1 == 0 {
        return MAX_NODE_SCORE;
    }
    let fraction = |(requested, allocatable): (i64, i64)| (requested as f64 / allocatable as f64).min(1.0);
    let deviation = ((fraction(cpu) - fraction(memory)) / 2.0).abs();
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balance_of_two() {
        let cases = [((0, 0), 100), ((500, 500), 100), ((1000, 0), 50), ((250, 1000), 62), ((2000, 1000), 100)];
        for ((cpu, memory), expected) in cases {
            assert_eq!(balance([(cpu, 1000), (memory, 1000)]), expected, "{cpu} {memory}");
        }
        assert_eq!(balance([(1, 0), (5, 10)]), 100);
    }
}
