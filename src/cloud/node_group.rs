//! Groups of like machines whose size somebody else decides: what clouds call an instance group or an autoscaling group.
//!
//! Stands for `k8s.io/autoscaler/cluster-autoscaler/cloudprovider`'s `NodeGroup`. A group has as many machines as it was
//! last asked for, spreads them over the zones, and makes a new one for one that somebody took away.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;

use crate::api::Name;
use crate::machinery::persistent::OrdMap;

/// The labels that say in which zone a node is.
const ZONE_LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"];
const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// A machine of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMachine {
    /// Its zone.
    pub zone: String,
    /// Whether it has booted.
    pub is_running: bool,
    /// Whether the cloud had none to give: it never boots.
    pub is_missing: bool,
}

/// A group of machines.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: Name,
    /// How many machines it has at least.
    pub min: u32,
    /// How many it has at most.
    pub max: u32,
    /// How many it shall have: `TargetSize`.
    pub target: u32,
    /// The zones that its machines are spread over.
    pub zones: Vec<String>,
    /// What a node of it will be like: `TemplateNodeInfo`.
    pub template: Arc<Node>,
    machines: OrdMap<Name, GroupMachine>,
    /// How many machines it ever had.
    created: u32,
    /// How many machines like these the cloud has to give, if it is not enough for everybody.
    pub stock: Option<u32>,
}

/// What is asked of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeGroupCall {
    /// More machines: `IncreaseSize`.
    Increase {
        /// The group.
        group: Name,
        /// How many more.
        by: u32,
    },
    /// One machine less, and this one: `DeleteNodes`.
    Delete {
        /// The group.
        group: Name,
        /// The machine.
        node: Name,
    },
}

impl NodeGroup {
    /// A group without machines.
    #[must_use]
    pub const fn new(name: Name, (min, max): (u32, u32), zones: Vec<String>, template: Arc<Node>) -> Self {
        Self { name, min, max, target: min, zones, template, machines: OrdMap::new(), created: 0, stock: None }
    }

    /// The group with its machines after somebody described it anew.
    #[must_use]
    pub fn changed_to(&self, new: Self) -> Self {
        let target = self.target.max(new.min);
        Self { target, machines: self.machines.clone(), created: self.created, ..new }
    }

    /// Its machines.
    pub fn machines(&self) -> impl Iterator<Item = (&Name, &GroupMachine)> {
        self.machines.iter()
    }

    /// A machine of it.
    #[must_use]
    pub fn machine(&self, name: &str) -> Option<&GroupMachine> {
        self.machines.get(name)
    }

    /// The zone with the fewest machines, the first of several, counting `others` too.
    #[must_use]
    pub fn next_zone(&self, others: &[String]) -> String {
        let count = |zone: &&String| {
            let own = self.machines.values().filter(|machine| machine.zone == **zone).count();
            own + others.iter().filter(|other| other == zone).count()
        };
        self.zones.iter().min_by_key(count).cloned().unwrap_or_default()
    }

    /// Begins to make a machine, unless there are as many as there shall be. No name is used that `is_taken`. When the
    /// cloud has none to give, the machine is there in name only.
    pub fn make_machine(&mut self, is_taken: impl Fn(&str) -> bool) -> Option<Name> {
        if self.machines.len() >= self.target as usize {
            return None;
        }
        let name = loop {
            self.created += 1;
            let name = format!("{}-{}", self.name, self.created);
            if !is_taken(&name) {
                break Name::from(name.as_str());
            }
        };
        let zone = self.next_zone(&[]);
        let given = self.machines.values().filter(|machine| !machine.is_missing).count();
        let is_missing = self.stock.is_some_and(|stock| given >= stock as usize);
        self.machines.insert(name.clone(), GroupMachine { zone, is_running: false, is_missing });
        Some(name)
    }

    /// The machines that the cloud could not make.
    pub fn missing(&self) -> impl Iterator<Item = (&Name, &GroupMachine)> {
        self.machines.iter().filter(|(_, machine)| machine.is_missing)
    }

    /// A machine has booted. Answers its zone when it is still wanted.
    pub fn machine_booted(&mut self, name: &str) -> Option<String> {
        let machine = self.machines.get_mut(name).filter(|machine| !machine.is_running && !machine.is_missing)?;
        machine.is_running = true;
        Some(machine.zone.clone())
    }

    /// A machine is gone. Says whether it was there.
    pub fn remove_machine(&mut self, name: &str) -> bool {
        self.machines.remove(name).is_some()
    }

    /// What a node of the group is going to be like, by its name and in its zone.
    #[must_use]
    pub fn node(&self, name: &str, zone: &str) -> Arc<Node> {
        let mut node = (*self.template).clone();
        node.metadata.name = Some(name.to_owned());
        let labels = node.metadata.labels.get_or_insert_default();
        labels.insert(HOSTNAME_LABEL.to_owned(), name.to_owned());
        for label in ZONE_LABELS {
            if let Some(known) = labels.get_mut(label) {
                zone.clone_into(known);
            }
        }
        Arc::new(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(target: u32) -> NodeGroup {
        let zones = vec!["a".to_owned(), "b".to_owned()];
        let mut group = NodeGroup::new(Name::from("pool"), (0, 5), zones, Arc::default());
        group.target = target;
        group
    }

    #[test]
    fn machines_are_made_up_to_the_target_and_spread() {
        let mut group = group(3);
        let names: Vec<Name> = std::iter::from_fn(|| group.make_machine(|name| name == "pool-2")).collect();
        assert_eq!(names, ["pool-1", "pool-3", "pool-4"].map(Name::from));
        let zones: Vec<&str> = group.machines().map(|(_, machine)| machine.zone.as_str()).collect();
        assert_eq!(zones, ["a", "b", "a"]);
        assert_eq!(group.next_zone(&[]), "b");
        assert_eq!(group.next_zone(&["b".to_owned()]), "a", "the first of those with the fewest");
    }

    #[test]
    fn the_cloud_gives_no_more_than_it_has() {
        let mut group = NodeGroup { stock: Some(1), ..group(3) };
        let names: Vec<Name> = std::iter::from_fn(|| group.make_machine(|_| false)).collect();
        assert_eq!(group.missing().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names[1..]);
        assert_eq!(group.machine_booted("pool-2"), None);
        assert!(group.machine_booted("pool-1").is_some());
    }

    #[test]
    fn a_machine_boots_once_and_only_while_it_is_wanted() {
        let mut group = group(1);
        let name = group.make_machine(|_| false).expect("one is wanted");
        assert_eq!(group.machine_booted(&name).as_deref(), Some("a"));
        assert_eq!(group.machine_booted(&name), None);
        assert!(group.remove_machine(&name));
        assert_eq!(group.machine_booted(&name), None);
    }
}
