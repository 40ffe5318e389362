//! InterPodAffinity: pods that want, or do not bear, other pods in the same topology.
//!
//! Follows `interpodaffinity/{filtering,scoring,plugin}.go`. Counting goes through
//! [`PodIndex`](crate::scheduler::cache::PodIndex) instead of all pods.

mod filtering;
mod hints;
mod scoring;

pub use filtering::{AffinityState, count_pod, filter, pre_filter};
pub use hints::hint;
pub use scoring::score;

use std::collections::BTreeMap;

use crate::api::Name;
use crate::scheduler::node_info::NodeInfo;

/// A number for each pair of a node label and a value of it.
#[derive(Clone, Debug, Default)]
struct TopologyCounts(BTreeMap<Name, BTreeMap<Name, i64>>);

impl TopologyCounts {
    /// Adds `amount` to the pair that the node has for `key`; nothing happens when it has no such label.
    fn add(&mut self, node: &NodeInfo, key: &Name, amount: i64) {
        let Some(value) = node.label(key) else { return };
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), BTreeMap::new());
        }
        let Some(values) = self.0.get_mut(key) else { return };
        match values.get_mut(value) {
            Some(count) => *count += amount,
            None => {
                values.insert(value.into(), amount);
            }
        }
    }

    fn get(&self, key: &str, value: &str) -> i64 {
        self.0.get(key).and_then(|values| values.get(value)).copied().unwrap_or(0)
    }

    /// Whether some pair has a number other than 0.
    fn has_any(&self) -> bool {
        self.0.values().any(|values| values.values().any(|count| *count != 0))
    }
}
