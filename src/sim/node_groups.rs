//! Groups of machines in the cluster's cloud: they boot, and cluster-autoscaler decides how many there are.
//!
//! The autoscaler runs while there is a group. It asks the cloud once a look what there is, and what it asks of the cloud
//! is done when the look is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::Name;
use crate::autoscaler::ClusterAutoscaler;
use crate::cloud::{NodeGroup, NodeGroupCall, initialize};
use crate::machinery::names;
use crate::machinery::persistent::OrdMap;
use crate::node::kubelet::Kubelet;

use super::cluster::Cluster;
use super::machines::{MachineError, NodeSpec, NodeTaint, check_node, instance};
use super::processes::{ProcessId, Program};
use super::queue::Event;

/// What a machine of a group takes at least from the order until its kubelet starts.
const BOOT_TIME_MIN: Duration = Duration::from_secs(60);
/// How much longer it may take, in microseconds.
const BOOT_TIME_SPREAD_US: u64 = 30_000_000;
/// How many machines a group may have.
const MACHINES_MAX: u32 = 1000;
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A group of like machines that cluster-autoscaler makes larger and smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeGroupSpec {
    /// Its name, with which the names of its machines begin.
    pub name: String,
    /// How many machines it has at least.
    pub min: u32,
    /// How many it has at most.
    pub max: u32,
    /// Labels of its nodes besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    pub taints: Vec<NodeTaint>,
    /// The resources of each, as quantities: `cpu`, `memory`, `pods`, and any other.
    pub capacity: BTreeMap<String, String>,
    /// How many machines like these the cloud has to give: whoever asks for more gets an error. None when it has enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
}

impl NodeGroupSpec {
    fn machine(&self, name: &str) -> NodeSpec {
        NodeSpec {
            name: name.to_owned(),
            labels: self.labels.clone(),
            taints: self.taints.clone(),
            capacity: self.capacity.clone(),
            ..NodeSpec::default()
        }
    }

    fn check(&self) -> Result<(), MachineError> {
        let bad = |why: &str| Err(MachineError::BadNodeGroup(why.to_owned()));
        if let Some(why) = names::is_dns1123_label(&self.name).first() {
            return bad(why);
        }
        if self.min > self.max {
            return bad("it has no more machines at most than at least");
        }
        if self.max > MACHINES_MAX {
            return bad("it has at most 1000 machines");
        }
        check_node(&self.machine(&format!("{}-{MACHINES_MAX}", self.name)))
    }
}

#[derive(Clone, Debug)]
struct Entry {
    spec: Arc<NodeGroupSpec>,
    group: NodeGroup,
}

/// The groups of a cluster's cloud, by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeGroups {
    entries: OrdMap<Name, Entry>,
}

impl Cluster {
    /// A group of machines is there from now on, or is another. Machines that it has stay as they are.
    ///
    /// # Errors
    /// [`MachineError::BadNodeGroup`] and [`MachineError::BadNode`].
    pub fn set_node_group(&mut self, spec: &NodeGroupSpec) -> Result<(), MachineError> {
        spec.check()?;
        let Some(cloud) = self.profile.cloud.clone() else {
            return Err(MachineError::BadNodeGroup("the cluster runs in no cloud".to_owned()));
        };
        let zones = match spec.labels.get(ZONE_LABEL) {
            Some(zone) => vec![zone.clone()],
            None => (1..=cloud.zones).map(|number| cloud.zone(number)).collect(),
        };
        let mut template = Kubelet::node_of(&self.node_config(&spec.machine(&format!("template-{}", spec.name)), 0));
        if let Some(known) = self.cloud() {
            let config = self.node_config(&spec.machine(&spec.name), 0);
            initialize(&mut template, &instance(&config, 0, &cloud), known);
        }
        let name = Name::from(spec.name.as_str());
        let mut new = NodeGroup::new(name.clone(), (spec.min, spec.max), zones, Arc::new(template));
        new.stock = spec.stock;
        let group = match self.groups.entries.get(&name) {
            Some(entry) => entry.group.changed_to(new),
            None => new,
        };
        self.groups.entries.insert(name.clone(), Entry { spec: Arc::new(spec.clone()), group });
        if !self.processes.contains_key(&ProcessId::ClusterAutoscaler) {
            let program = Program::ClusterAutoscaler(Arc::default());
            self.add_process(ProcessId::ClusterAutoscaler, program, ClusterAutoscaler::identity());
        }
        self.make_machines(&name);
        Ok(())
    }

    /// A group is given up. Its machines stay, but nobody makes them more or fewer; those that boot do not come.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNodeGroup`].
    pub fn remove_node_group(&mut self, name: &str) -> Result<(), MachineError> {
        if self.groups.entries.remove(name).is_none() {
            return Err(MachineError::NoSuchNodeGroup(name.to_owned()));
        }
        if self.groups.entries.is_empty() {
            self.remove_process(&ProcessId::ClusterAutoscaler);
        }
        Ok(())
    }

    /// The groups of machines, in the order of their names.
    pub fn node_groups(&self) -> impl Iterator<Item = &NodeGroup> {
        self.groups.entries.values().map(|entry| &entry.group)
    }

    /// What the groups of machines are like, in the order of their names.
    pub fn node_group_specs(&self) -> impl Iterator<Item = &NodeGroupSpec> {
        self.groups.entries.values().map(|entry| &*entry.spec)
    }

    fn make_machines(&mut self, name: &str) {
        let Some(entry) = self.groups.entries.get_mut(name) else { return };
        let processes = &self.processes;
        let is_taken = |name: &str| processes.contains_key(&ProcessId::Kubelet(Name::from(name)));
        while let Some(machine) = entry.group.make_machine(is_taken) {
            if entry.group.machine(&machine).is_some_and(|machine| machine.is_missing) {
                continue;
            }
            let wait = BOOT_TIME_MIN + Duration::from_micros(self.random.below(BOOT_TIME_SPREAD_US));
            self.queue.push(self.now + wait, Event::Boot(machine), false);
        }
    }

    /// A machine of a group has booted, if it is still wanted. Says whether it is.
    pub(super) fn boot(&mut self, machine: &Name) -> bool {
        let booted = self.groups.entries.iter().find_map(|(name, entry)| {
            entry.group.machine(machine).filter(|machine| !machine.is_running).map(|_| name.clone())
        });
        let Some(name) = booted else { return false };
        let Some(entry) = self.groups.entries.get_mut(&name) else { return false };
        let Some(zone) = entry.group.machine_booted(machine) else { return false };
        let mut spec = entry.spec.machine(machine);
        spec.labels.insert(ZONE_LABEL.to_owned(), zone);
        if self.add_node(&spec).is_err() {
            // Somebody gave this name to another machine meanwhile.
            self.replace_machine(machine);
        }
        true
    }

    /// Somebody took a machine away: its group, if it is of one, makes a new one.
    pub(super) fn replace_machine(&mut self, machine: &str) {
        let groups: Vec<Name> = self.groups.entries.keys().cloned().collect();
        for name in groups {
            let removed = self.groups.entries.get_mut(&name).is_some_and(|entry| entry.group.remove_machine(machine));
            if removed {
                self.make_machines(&name);
            }
        }
    }

    /// Tells cluster-autoscaler what the cloud has: `CloudProvider.Refresh`.
    pub(super) fn refresh_node_groups(&mut self) {
        let groups: Vec<NodeGroup> = self.node_groups().cloned().collect();
        if let Some(slot) = self.processes.get_mut(&ProcessId::ClusterAutoscaler)
            && let Program::ClusterAutoscaler(program) = &mut slot.program
        {
            Arc::make_mut(program).refresh(groups);
        }
    }

    /// Does what cluster-autoscaler asked of the cloud.
    pub(super) fn serve_node_groups(&mut self) {
        let Some(slot) = self.processes.get_mut(&ProcessId::ClusterAutoscaler) else { return };
        let Program::ClusterAutoscaler(program) = &mut slot.program else { return };
        if !program.has_calls() {
            return;
        }
        for call in Arc::make_mut(program).take_calls() {
            match call {
                NodeGroupCall::Increase { group, by } => {
                    if let Some(entry) = self.groups.entries.get_mut(&group) {
                        entry.group.target += by;
                    }
                    self.make_machines(&group);
                }
                NodeGroupCall::Delete { group, node } => {
                    if let Some(entry) = self.groups.entries.get_mut(&group)
                        && entry.group.remove_machine(&node)
                    {
                        entry.group.target = entry.group.target.saturating_sub(1);
                        // A machine that never started has no kubelet to be stopped.
                        let _ = self.remove_node(&node);
                    }
                }
            }
        }
    }
}
