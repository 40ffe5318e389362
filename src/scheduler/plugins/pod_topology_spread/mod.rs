//! PodTopologySpread: pods of a kind are spread evenly over zones, hosts or whatever a label names.
//!
//! Follows `podtopologyspread/{common,filtering,scoring,plugin}.go`. Counting goes through
//! [`PodIndex`](crate::scheduler::cache::PodIndex) instead of all pods.

mod constraint;
mod filtering;
mod hints;
mod scoring;

pub use constraint::SpreadConstraint;
pub use filtering::{SpreadState, count_pod, filter, pre_filter};
pub use hints::hint;
pub use scoring::score;

use crate::machinery::labels::Selector;
use crate::scheduler::cache::Cache;
use crate::scheduler::node_info::{NodeId, NodeInfo};

fn has_all_keys(node: &NodeInfo, constraints: &[SpreadConstraint]) -> bool {
    constraints.iter().all(|constraint| node.label(&constraint.topology_key).is_some())
}

/// The place of a node's zone in a table of so many zones; behind them that of all nodes without one.
fn zone_index(node: &NodeInfo, zones: usize) -> usize {
    node.zone_number.map_or(zones, |number| number as usize)
}

/// How many pods of a namespace a selector means on each node, those that terminate left aside.
fn matching_pods<'a>(
    cache: &'a Cache,
    namespace: &'a str,
    selector: &'a Selector,
) -> impl Iterator<Item = (NodeId, i64)> + 'a {
    cache
        .index()
        .in_namespace(namespace)
        .filter(|group| !group.example.terminating && selector.matches(&*group.example.labels))
        .flat_map(|group| group.nodes())
}
