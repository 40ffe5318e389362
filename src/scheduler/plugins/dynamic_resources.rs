//! DynamicResources: its part for pods without resource claims, which are all pods here.
//!
//! The plugin still takes part in every cycle: it gives each node 0, and it is asked before preemption whether taking
//! claims away would help.

use crate::scheduler::node_info::NodeInfo;

/// What it says when no node will do.
pub const POST_FILTER_MESSAGE: &str = "no new claims to deallocate";
/// What it says when an earlier plugin refused the pod before this one could look at it.
pub const NOT_FOUND_MESSAGE: &str = "not found";

/// Nodes do not differ.
#[must_use]
pub fn score(nodes: &[&NodeInfo]) -> Vec<i64> {
    vec![0; nodes.len()]
}
