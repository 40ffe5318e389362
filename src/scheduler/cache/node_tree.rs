//! The order in which nodes are looked at: zone after zone in turn, so that a search that ends early is fair to all.
//!
//! Follows `pkg/scheduler/backend/cache/node_tree.go`.

use imbl::Vector;

use crate::api::Name;

use super::super::node_info::{LABEL_REGION, LABEL_ZONE, NodeInfo};

/// Nodes by zone, zones and nodes in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeTree {
    zones: Vector<(String, Vector<Name>)>,
    len: usize,
}

/// A zone's name within its region; empty without either.
pub(super) fn zone_key(node: &NodeInfo) -> String {
    let label = |key: &str| node.label(key).unwrap_or_default();
    let (region, zone) = (label(LABEL_REGION), label(LABEL_ZONE));
    if region.is_empty() && zone.is_empty() { String::new() } else { format!("{region}:\u{0}:{zone}") }
}

impl NodeTree {
    /// How many nodes there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds a node that is in no zone yet.
    pub(super) fn add(&mut self, zone: String, name: Name) {
        self.len += 1;
        match self.zones.iter().position(|(known, _)| *known == zone) {
            Some(index) => {
                if let Some((_, names)) = self.zones.get_mut(index) {
                    names.push_back(name);
                }
            }
            None => self.zones.push_back((zone, Vector::unit(name))),
        }
    }

    pub(super) fn remove(&mut self, zone: &str, name: &str) {
        let Some(index) = self.zones.iter().position(|(known, _)| known == zone) else { return };
        let Some((_, names)) = self.zones.get_mut(index) else { return };
        let before = names.len();
        names.retain(|known| &**known != name);
        self.len -= before - names.len();
        if names.is_empty() {
            self.zones.remove(index);
        }
    }

    /// One node of each zone, then the next of each.
    pub(super) fn list(&self) -> Vec<Name> {
        let longest = self.zones.iter().map(|(_, names)| names.len()).max().unwrap_or(0);
        (0..longest)
            .flat_map(|index| self.zones.iter().filter_map(move |(_, names)| names.get(index).cloned()))
            .collect()
    }
}
