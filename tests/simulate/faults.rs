//! What is broken at the moment, as the log of a session tells it, and how it is mended.

use std::collections::BTreeSet;
use std::time::Duration;

use kubetab::api::Kind;
use kubetab::machinery::time::Time;
use kubetab::session::{Action, Disturbance, NodeName, Session};
use kubetab::sim::{ComponentFault, ProcessId, Profile};

/// The faults that there are.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub stopped_nodes: BTreeSet<String>,
    pub cut_off_nodes: BTreeSet<String>,
    pub stopped_components: BTreeSet<String>,
    pub slow_components: BTreeSet<String>,
    pub broken_images: BTreeSet<String>,
    /// Namespace, pod and probe.
    pub failing_probes: BTreeSet<(String, String, String)>,
    pub is_full: bool,
    /// The machines that have a pod of their own.
    pub manifests: BTreeSet<String>,
    /// The last moment at which a fault began or ended.
    pub last: Option<Time>,
}

impl Faults {
    /// Takes note of something that was done.
    pub fn note(&mut self, action: &Action, now: Time) {
        match action {
            Action::ShutdownNode(node) => drop(self.stopped_nodes.insert(node.name.clone())),
            Action::WriteManifest { node, .. } => drop(self.manifests.insert(node.clone())),
            Action::RemoveManifest { node, .. } => drop(self.manifests.remove(node)),
            Action::SetNodeGroup(_) | Action::RemoveNodeGroup(_) => {}
            Action::StopNode(node) => drop(self.stopped_nodes.insert(node.name.clone())),
            Action::StartNode(node) => drop(self.stopped_nodes.remove(&node.name)),
            Action::PartitionNode(node) => drop(self.cut_off_nodes.insert(node.name.clone())),
            Action::HealNode(node) => drop(self.cut_off_nodes.remove(&node.name)),
            Action::RemoveNode(node) => {
                self.stopped_nodes.remove(&node.name);
                self.cut_off_nodes.remove(&node.name);
                self.manifests.remove(&node.name);
                self.slow_components.remove(&format!("kubelet/{}", node.name));
                self.slow_components.remove(&format!("kube-proxy/{}", node.name));
            }
            Action::Disturb(Disturbance { component, fault }) => match fault {
                ComponentFault::Stop => drop(self.stopped_components.insert(component.clone())),
                ComponentFault::Start => drop(self.stopped_components.remove(component)),
                ComponentFault::SlowWatch { milliseconds: 0 } => drop(self.slow_components.remove(component)),
                ComponentFault::SlowWatch { .. } => drop(self.slow_components.insert(component.clone())),
                ComponentFault::Restart | ComponentFault::BreakWatch | ComponentFault::ExpireWatch => {}
            },
            Action::FillStore { full } => self.is_full = *full,
            Action::BreakImage { image, broken: true } => drop(self.broken_images.insert(image.clone())),
            Action::BreakImage { image, .. } => drop(self.broken_images.remove(image)),
            Action::FailProbe { namespace, pod, probe, fails, .. } => {
                let probe = (namespace.clone(), pod.clone(), probe.clone());
                if *fails {
                    self.failing_probes.insert(probe)
                } else {
                    self.failing_probes.remove(&probe)
                };
            }
            // What is done in a component's name is to look like its own work.
            Action::Request(call) if call.client != "kubectl" => return,
            Action::CrashContainer { .. } | Action::AddNode(_) | Action::Delete { .. } | Action::Request(_) => {}
            _ => return,
        }
        self.last = Some(now);
    }

    /// Whether nothing is broken, and nothing was for so long that all its consequences are over.
    pub fn is_calm(&self, now: Time) -> bool {
        const SETTLED: Duration = Duration::from_secs(120);
        let nothing = self.stopped_nodes.is_empty()
            && self.cut_off_nodes.is_empty()
            && self.stopped_components.is_empty()
            && self.slow_components.is_empty()
            && self.failing_probes.is_empty()
            && !self.is_full;
        nothing && self.last.is_none_or(|last| now.since(last) > SETTLED)
    }

    /// All that has to be done so that nothing is broken any more.
    pub fn mend(&self, session: &Session) -> Vec<Action> {
        let node = |name: &String| NodeName { name: name.clone() };
        let disturb = |component: &String, fault| Action::Disturb(Disturbance { component: component.clone(), fault });
        let slow = ComponentFault::SlowWatch { milliseconds: 0 };
        let mut actions: Vec<Action> = Vec::new();
        actions.extend(self.is_full.then_some(Action::FillStore { full: false }));
        actions.extend(self.slow_components.iter().map(|component| disturb(component, slow)));
        actions.extend(self.stopped_components.iter().map(|component| disturb(component, ComponentFault::Start)));
        actions.extend(self.cut_off_nodes.iter().map(|name| Action::HealNode(node(name))));
        // One that was being shut down when it was to start is off after all.
        let is_off = |name: &String| {
            let state = session.cluster().process_state(&ProcessId::Kubelet(name.as_str().into()));
            self.stopped_nodes.contains(name) || state.is_some_and(|state| !state.running)
        };
        actions.extend(machines(session).iter().filter(|name| is_off(name)).map(|name| Action::StartNode(node(name))));
        actions
            .extend(self.broken_images.iter().map(|image| Action::BreakImage { image: image.clone(), broken: false }));
        let groups = session.cluster().node_groups();
        actions.extend(groups.map(|group| Action::RemoveNodeGroup(NodeName { name: group.name.to_string() })));
        actions.extend(
            self.manifests
                .iter()
                .map(|node| Action::RemoveManifest { node: node.clone(), file: "static.yaml".to_owned() }),
        );
        let mend = |(namespace, pod, probe): &(String, String, String)| Action::FailProbe {
            namespace: namespace.clone(),
            pod: pod.clone(),
            container: String::new(),
            probe: probe.clone(),
            fails: false,
        };
        actions.extend(self.failing_probes.iter().map(mend));
        for number in machines(session).len()..2 {
            let name = format!("spare-{number}");
            let profile: &Profile = session.cluster().profile();
            actions.push(Action::AddNode(kubetab::sim::NodeSpec { name, ..profile.node(1) }));
        }
        let machines = machines(session);
        for (key, object) in session.cluster().api().etcd().range(Kind::Node, None) {
            let node = object.to_value();
            // While nothing could be written, whoever took the machine away could not delete its object either.
            if session.cluster().cloud().is_none() && !machines.contains(&key.name.to_string()) {
                actions.push(super::user::delete("v1", "Node", "", &key.name));
                continue;
            }
            if super::user::has_taint(object) {
                actions.push(super::user::patch("v1", "Node", "", &key.name, super::user::with_taint(object, None)));
            }
            if node["spec"]["unschedulable"] == true {
                actions.push(super::user::patch(
                    "v1",
                    "Node",
                    "",
                    &key.name,
                    serde_json::json!({ "spec": { "unschedulable": null } }),
                ));
            }
        }
        for (key, object) in session.cluster().api().etcd().range(Kind::CronJob, None) {
            if object.to_value()["spec"]["suspend"] != true {
                let patch = serde_json::json!({ "spec": { "suspend": true } });
                actions.push(super::user::patch("batch/v1", "CronJob", &key.namespace, &key.name, patch));
            }
        }
        actions
    }
}

/// The names of the machines that there are, with or without power.
pub fn machines(session: &Session) -> Vec<String> {
    let name = |id: &ProcessId| match id {
        ProcessId::Kubelet(name) => Some(name.to_string()),
        _ => None,
    };
    session.cluster().process_ids().filter_map(name).collect()
}
