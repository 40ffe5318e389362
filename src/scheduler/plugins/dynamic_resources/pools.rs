//! The pools of devices that a node can reach.
//!
//! Follows `structured/internal/incubating/pools_incubating.go` of `k8s.io/dynamic-resource-allocation`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::NodeSelector;
use serde_json::Value;

use crate::api::Unstructured;
use crate::api::resource::claim::{items, spec, text};
use crate::machinery::json;
use crate::machinery::node_selector::NodeTerms;
use crate::scheduler::node_info::NodeInfo;

/// The devices that a driver manages together.
#[derive(Debug)]
pub(super) struct Pool<'a> {
    /// `driver/pool`.
    pub id: String,
    pub driver: &'a str,
    pub name: &'a str,
    /// Whether slices are still to come: nothing is given from it until they have.
    pub is_incomplete: bool,
    /// Whether two devices have one name.
    pub is_invalid: bool,
    /// The specs of the newest slices, wherever their devices are.
    pub all: Vec<&'a Value>,
    /// The specs of those with devices that the node can reach.
    pub reachable: Vec<&'a Value>,
}

/// Whether what names nodes in one of three ways means this one: `NodeMatches`.
pub(super) fn node_matches(node: &NodeInfo, place: &Value) -> bool {
    match place["nodeName"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => *node.name == *name,
        None => place["allNodes"] == true || matches_selector(node, &place["nodeSelector"]),
    }
}

fn matches_selector(node: &NodeInfo, selector: &Value) -> bool {
    let selector = selector.is_object().then(|| json::from_value::<NodeSelector>(selector).ok()).flatten();
    selector.is_some_and(|selector| NodeTerms::new(&selector).matches(&node.name, node.labels()))
}

fn is_reachable(node: &NodeInfo, slice: &Value) -> bool {
    if slice["perDeviceNodeSelection"] == true {
        return items(slice, "devices").iter().any(|device| node_matches(node, device));
    }
    node_matches(node, slice)
}

/// `GatherPools`.
pub(super) fn gather<'a>(slices: &'a [Arc<Unstructured>], node: &NodeInfo) -> Vec<Pool<'a>> {
    let mut by_pool: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for slice in slices {
        let slice = spec(slice);
        by_pool.entry((text(slice, "driver"), text(&slice["pool"], "name"))).or_default().push(slice);
    }
    let pools = by_pool.into_iter().filter_map(|((driver, name), slices)| {
        let generation = |slice: &&Value| slice["pool"]["generation"].as_i64().unwrap_or(0);
        let newest = slices.iter().map(generation).max()?;
        let all: Vec<&Value> = slices.into_iter().filter(|slice| generation(slice) == newest).collect();
        let reachable: Vec<&Value> = all.iter().copied().filter(|slice| is_reachable(node, slice)).collect();
        let expected = reachable.first()?["pool"]["resourceSliceCount"].as_u64();
        let mut names = BTreeSet::new();
        let mut devices = all.iter().flat_map(|slice| items(slice, "devices"));
        Some(Pool {
            id: format!("{driver}/{name}"),
            driver,
            name,
            is_incomplete: expected != Some(all.len() as u64),
            is_invalid: !devices.all(|device| names.insert(text(device, "name"))),
            all,
            reachable,
        })
    });
    pools.collect()
}
