//! What can be done to machines: they come, go, lose their power and their network, and their containers crash.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Taint};
use serde::{Deserialize, Serialize};

use crate::api::{Kind, Name, Object, ObjectKey};
use crate::apiserver::{DeleteOptions, Request, Target, User, Verb};
use crate::client::Client;
use crate::cloud::{Cloud, CloudConfig, Instance};
use crate::etcd::{Cause, Why};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;
use crate::node::kubelet::{Kubelet, NodeConfig, check_thresholds};
use crate::node::proxy::{KubeProxy, Rules};

use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

/// A taint of a new node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTaint {
    /// The key.
    pub key: String,
    /// The value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

/// A machine that joins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Labels besides those that every node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints.
    pub taints: Vec<NodeTaint>,
    /// Its resources, as quantities: `cpu`, `memory`, `pods`, and any other.
    pub capacity: BTreeMap<String, String>,
    /// From what on its kubelet evicts pods, as `evictionHard` of a KubeletConfiguration.
    #[serde(rename = "evictionHard", skip_serializing_if = "BTreeMap::is_empty")]
    pub eviction_hard: BTreeMap<String, String>,
    /// How many processes a container may have, as `podPidsLimit` of a KubeletConfiguration.
    #[serde(rename = "podPidsLimit", skip_serializing_if = "Option::is_none")]
    pub pod_pids_limit: Option<u32>,
}

/// A machine that is shut down in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeShutdown {
    /// Its name.
    pub name: String,
    /// How many seconds its pods have in all: `shutdownGracePeriod`.
    #[serde(default = "default_grace_seconds")]
    pub grace_period_seconds: u32,
    /// How many of them are kept for pods that the cluster needs: `shutdownGracePeriodCriticalPods`.
    #[serde(default = "default_critical_seconds")]
    pub critical_pods_seconds: u32,
}

const fn default_grace_seconds() -> u32 {
    30
}

const fn default_critical_seconds() -> u32 {
    10
}

/// Why something could not be done to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineError {
    /// There is no machine of that name.
    NoSuchNode(String),
    /// There is a machine of that name already.
    NodeExists(String),
    /// What is asked for a new machine makes no sense.
    BadNode(String),
    /// There can be no such cloud.
    BadCloud(String),
    /// The machine is switched off.
    IsOff(String),
    /// The file cannot be one of a machine's manifests.
    BadFile(String),
    /// There is no group of machines of that name.
    NoSuchNodeGroup(String),
    /// There can be no such group of machines.
    BadNodeGroup(String),
    /// The pod is on no machine, or not there at all.
    NoSuchPod(String),
    /// The pod has no such container, or it does not run.
    NoSuchContainer(String),
    /// The container has no such probe.
    NoSuchProbe(String),
}

impl fmt::Display for MachineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNode(name) => write!(f, "there is no node {name:?}"),
            Self::NodeExists(name) => write!(f, "there is a node {name:?} already"),
            Self::BadNode(why) => write!(f, "this node cannot join: {why}"),
            Self::BadCloud(why) => write!(f, "there can be no such cloud: {why}"),
            Self::IsOff(name) => write!(f, "the node {name:?} is switched off"),
            Self::BadFile(name) => write!(f, "there can be no manifest {name:?} on the node"),
            Self::NoSuchNodeGroup(name) => write!(f, "there is no node group {name:?}"),
            Self::BadNodeGroup(why) => write!(f, "there can be no such node group: {why}"),
            Self::NoSuchPod(name) => write!(f, "the pod {name:?} runs on no node"),
            Self::NoSuchProbe(name) => write!(f, "there is no probe {name:?}"),
            Self::NoSuchContainer(name) => write!(f, "the container {name:?} does not run"),
        }
    }
}

impl std::error::Error for MachineError {}

/// The longest name that a file can have.
const FILE_NAME_BYTES_MAX: usize = 255;

impl Cluster {
    fn machine(&self, name: &str) -> Result<ProcessId, MachineError> {
        let id = ProcessId::Kubelet(Name::from(name));
        if self.processes.contains_key(&id) { Ok(id) } else { Err(MachineError::NoSuchNode(name.to_owned())) }
    }

    /// The processes of a machine.
    fn on_machine(&self, name: &str) -> Result<[ProcessId; 2], MachineError> {
        Ok([self.machine(name)?, ProcessId::KubeProxy(Name::from(name))])
    }

    /// The rules by which a node reaches Services, if it runs kube-proxy.
    #[must_use]
    pub fn proxy_rules(&self, node: &str) -> Option<&Rules> {
        match &self.processes.get(&ProcessId::KubeProxy(Name::from(node)))?.program {
            Program::KubeProxy(program) => Some(program.rules()),
            _ => None,
        }
    }

    /// A machine joins the cluster: its kubelet starts and registers it. One of the name that lost its power comes back
    /// as it was.
    ///
    /// # Errors
    /// [`MachineError::NodeExists`] and [`MachineError::BadNode`].
    pub fn add_node(&mut self, spec: &NodeSpec) -> Result<(), MachineError> {
        check_node(spec)?;
        if self.machine(&spec.name).is_ok() {
            let kubelet = ProcessId::Kubelet(Name::from(spec.name.as_str()));
            return if self.is_running(&kubelet) {
                Err(MachineError::NodeExists(spec.name.clone()))
            } else {
                self.start_node(&spec.name)
            };
        }
        self.machines += 1;
        let config = self.node_config(spec, self.machines);
        let instance = self.profile.cloud.as_ref().map(|cloud| instance(&config, self.machines, cloud));
        if let Some(instance) = instance {
            self.in_cloud(|cloud| cloud.create_instance(&config.name, instance));
        }
        let kubelet = Kubelet::new(config);
        let identity = kubelet.identity();
        let id = ProcessId::Kubelet(Name::from(spec.name.as_str()));
        self.add_process(id, Program::Kubelet(Arc::new(kubelet)), identity);
        if self.profile.kube_proxy {
            let proxy = KubeProxy::new(Name::from(spec.name.as_str()));
            let identity = proxy.identity();
            let id = ProcessId::KubeProxy(Name::from(spec.name.as_str()));
            self.add_process(id, Program::KubeProxy(Arc::new(proxy)), identity);
        }
        Ok(())
    }

    /// What the kubelet of a machine is told by whoever sets it up.
    pub(super) fn node_config(&self, spec: &NodeSpec, number: u32) -> NodeConfig {
        let taint = |taint: &NodeTaint| Taint {
            key: taint.key.clone(),
            value: Some(taint.value.clone()).filter(|value| !value.is_empty()),
            effect: taint.effect.clone(),
            time_added: None,
        };
        NodeConfig {
            labels: spec.labels.clone(),
            taints: spec.taints.iter().map(taint).collect(),
            capacity: spec.capacity.clone(),
            eviction_hard: spec.eviction_hard.clone(),
            pod_pids_limit: spec.pod_pids_limit,
            runtime: self.profile.runtime.clone(),
            is_in_cloud: self.profile.cloud.is_some(),
            ..NodeConfig::numbered(spec.name.as_str(), number)
        }
    }

    /// A machine is taken away for good. In a cloud, cloud-controller-manager removes its Node object once it is not
    /// ready; elsewhere whoever takes the machine away does.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`].
    pub fn remove_node(&mut self, name: &str) -> Result<(), MachineError> {
        for id in self.on_machine(name)? {
            self.remove_process(&id);
        }
        if self.profile.cloud.is_some() {
            self.in_cloud(|cloud| cloud.delete_instance(name));
            self.replace_machine(name);
            return Ok(());
        }
        let request = Request {
            user: User::admin(),
            cause: Cause::new("kubectl", Why::new("You took the node {} away.", [name.to_owned()])),
            target: Target::object(Kind::Node, &ObjectKey::new("", name)),
            verb: Verb::Delete(DeleteOptions::default()),
        };
        // Somebody may have deleted the object before the machine.
        let _ = self.request(request);
        Ok(())
    }

    /// Lets something happen in the cloud that no process of the cluster does.
    fn in_cloud(&mut self, act: impl FnOnce(&mut Cloud)) {
        if let Some(slot) = self.processes.get_mut(&ProcessId::CloudControllerManager)
            && let Program::CloudControllerManager(program) = &mut slot.program
        {
            act(Arc::make_mut(program).cloud_mut());
        }
    }

    /// The cloud that the cluster runs in.
    #[must_use]
    pub fn cloud(&self) -> Option<&Cloud> {
        match &self.processes.get(&ProcessId::CloudControllerManager)?.program {
            Program::CloudControllerManager(program) => Some(program.cloud()),
            _ => None,
        }
    }

    /// A machine loses its power. Its Node object stays.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`].
    pub fn stop_node(&mut self, name: &str) -> Result<(), MachineError> {
        for id in self.on_machine(name)? {
            self.stop_process(&id);
        }
        self.in_cloud(|cloud| cloud.shut_down_instance(name, true));
        Ok(())
    }

    /// A machine is shut down: its kubelet ends the pods before the power goes.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`] and [`MachineError::IsOff`].
    pub fn shut_down_node(&mut self, shutdown: &NodeShutdown) -> Result<(), MachineError> {
        let id = self.machine(&shutdown.name)?;
        let (seconds, critical) = (shutdown.grace_period_seconds, shutdown.critical_pods_seconds);
        let begun = self.on_kubelet(&id, |kubelet, client| kubelet.shut_down(seconds, critical, client));
        begun.ok_or_else(|| MachineError::IsOff(shutdown.name.clone()))
    }

    /// The power goes once a kubelet has ended what it had to.
    pub(super) fn switch_off_when_shut_down(&mut self, id: &ProcessId) {
        let Some(slot) = self.processes.get(id).filter(|slot| slot.state.running) else { return };
        if let (ProcessId::Kubelet(name), Program::Kubelet(kubelet)) = (id, &slot.program)
            && kubelet.is_shut_down()
        {
            let (name, boots_again) = (name.clone(), kubelet.boots_again());
            self.stop_node(&name).expect("its kubelet has just run");
            if boots_again {
                self.start_node(&name).expect("it is there");
            }
        }
    }

    /// Somebody writes a manifest into a machine's folder for static pods, or removes it when there is no text. Answers
    /// what the kubelet does not like about it.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`] and [`MachineError::BadFile`].
    pub fn write_manifest(
        &mut self,
        node: &str,
        file: &str,
        text: Option<&str>,
    ) -> Result<Option<String>, MachineError> {
        let id = self.machine(node)?;
        let is_file = !file.is_empty() && file.len() <= FILE_NAME_BYTES_MAX && !file.contains(['/', '\0']);
        let Some(slot) = self.processes.get_mut(&id).filter(|_| is_file && file != "." && file != "..") else {
            return Err(MachineError::BadFile(file.to_owned()));
        };
        let Program::Kubelet(kubelet) = &mut slot.program else { return Ok(None) };
        if text.is_none() && !kubelet.has_manifest(file) {
            return Err(MachineError::BadFile(file.to_owned()));
        }
        let complaint = Arc::make_mut(kubelet).write_manifest(file, text);
        // A machine that is off reads its files when it starts.
        self.on_kubelet(&id, Kubelet::read_manifests);
        Ok(complaint)
    }

    /// A machine that lost its power starts again, with nothing running on it.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`].
    pub fn start_node(&mut self, name: &str) -> Result<(), MachineError> {
        let [kubelet, proxy] = self.on_machine(name)?;
        if let Some(slot) = self.processes.get_mut(&kubelet)
            && let Program::Kubelet(kubelet) = &mut slot.program
        {
            if !slot.state.running {
                Arc::make_mut(kubelet).lose_power(self.now);
            } else if kubelet.is_shutting_down() {
                // It boots once it is off.
                Arc::make_mut(kubelet).boot_again();
                return Ok(());
            }
        }
        self.in_cloud(|cloud| cloud.shut_down_instance(name, false));
        self.start_process(&kubelet);
        self.start_process(&proxy);
        Ok(())
    }

    /// A machine is cut off from the API server. What runs on it runs on.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`].
    pub fn partition_node(&mut self, name: &str) -> Result<(), MachineError> {
        for id in self.on_machine(name)? {
            self.connect_process(&id, false);
        }
        Ok(())
    }

    /// A machine that was cut off reaches the API server again.
    ///
    /// # Errors
    /// [`MachineError::NoSuchNode`].
    pub fn heal_node(&mut self, name: &str) -> Result<(), MachineError> {
        for id in self.on_machine(name)? {
            self.connect_process(&id, true);
        }
        Ok(())
    }

    /// The machine that a pod is on.
    fn machine_of(&self, pod: &ObjectKey) -> Result<ProcessId, MachineError> {
        let object = self.api.etcd().get(Kind::Pod, pod).and_then(Object::downcast::<Pod>);
        let node = object.and_then(|pod| pod.spec.as_ref()?.node_name.clone());
        self.machine(&node.ok_or_else(|| MachineError::NoSuchPod(pod.name.to_string()))?)
    }

    /// A container's process dies; the pod's first container when none is named.
    ///
    /// # Errors
    /// [`MachineError::NoSuchPod`] and [`MachineError::NoSuchContainer`].
    pub fn crash_container(&mut self, pod: &ObjectKey, container: &str) -> Result<(), MachineError> {
        let id = self.machine_of(pod)?;
        let crashed = self.on_kubelet(&id, |kubelet, client| kubelet.crash_container(pod, container, client));
        if crashed == Some(true) { Ok(()) } else { Err(MachineError::NoSuchContainer(container.to_owned())) }
    }

    /// Lets a machine's kubelet act; `None` when the machine is off.
    pub(super) fn on_kubelet<R>(
        &mut self,
        id: &ProcessId,
        act: impl FnOnce(&mut Kubelet, &mut Client<'_>) -> R,
    ) -> Option<R> {
        if !self.process_state(id)?.running {
            return None;
        }
        let mut result = None;
        self.act_on_program(id, None, |program, client| {
            if let Program::Kubelet(kubelet) = program {
                result = Some(act(Arc::make_mut(kubelet), client));
            }
        });
        result
    }

    /// A container's probe fails from now on, or follows its own mind again.
    ///
    /// # Errors
    /// [`MachineError::NoSuchPod`] and [`MachineError::NoSuchContainer`].
    pub fn fail_probe(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        probe: &str,
        fails: bool,
    ) -> Result<(), MachineError> {
        let id = self.machine_of(pod)?;
        let found = self.on_kubelet(&id, |kubelet, client| kubelet.fail_probe(pod, container, probe, fails, client));
        if found == Some(true) { Ok(()) } else { Err(MachineError::NoSuchProbe(format!("{container}/{probe}"))) }
    }

    /// An image cannot be pulled on any machine from now on, or can be again.
    ///
    /// # Errors
    /// None today; a registry that is itself a machine may have some.
    pub fn break_image(&mut self, image: &str, broken: bool) -> Result<(), MachineError> {
        let machines: Vec<ProcessId> =
            self.processes.keys().filter(|id| matches!(id, ProcessId::Kubelet(_))).cloned().collect();
        for id in machines {
            if let Some(slot) = self.processes.get_mut(&id)
                && let Program::Kubelet(kubelet) = &mut slot.program
            {
                Arc::make_mut(kubelet).break_image(image, broken);
            }
        }
        Ok(())
    }
}

/// The machine with this number, as the cloud knows it. It is in the zone that its labels ask for, if they ask for one.
pub(super) fn instance(config: &NodeConfig, number: u32, cloud: &CloudConfig) -> Instance {
    let zone = config.labels.get("topology.kubernetes.io/zone").cloned();
    let cpu = config.full_capacity().remove("cpu").unwrap_or_default();
    Instance {
        number,
        zone: zone.unwrap_or_else(|| cloud.zone(number)),
        instance_type: format!("standard-{cpu}"),
        internal_ip: config.internal_ip.clone(),
        is_shut_down: false,
    }
}

/// Whether a machine can join: what a kubelet's flags or the API server would refuse is refused before it starts.
pub(super) fn check_node(spec: &NodeSpec) -> Result<(), MachineError> {
    let bad = |what: &str, why: Vec<String>| match why.first() {
        Some(why) => Err(MachineError::BadNode(format!("{what}: {why}"))),
        None => Ok(()),
    };
    bad(&format!("name {:?}", spec.name), names::is_dns1123_subdomain(&spec.name))?;
    for (key, value) in &spec.labels {
        bad(&format!("label {key:?}"), names::is_qualified_name(key))?;
        bad(&format!("label {key:?}"), names::is_label_value(value))?;
    }
    for taint in &spec.taints {
        bad(&format!("taint {:?}", taint.key), names::is_qualified_name(&taint.key))?;
        bad(&format!("taint {:?}", taint.key), names::is_label_value(&taint.value))?;
        if !matches!(taint.effect.as_str(), "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            return Err(MachineError::BadNode(format!("taint {:?}: there is no effect {:?}", taint.key, taint.effect)));
        }
    }
    for (name, amount) in &spec.capacity {
        bad(&format!("capacity {name:?}"), names::is_qualified_name(name))?;
        if Quantity::parse(amount).is_err() {
            return Err(MachineError::BadNode(format!("capacity {name:?}: {amount:?} is no quantity")));
        }
    }
    check_thresholds(&spec.eviction_hard).map_err(MachineError::BadNode)?;
    if spec.pod_pids_limit == Some(0) {
        return Err(MachineError::BadNode("podPidsLimit: a container needs a process".to_owned()));
    }
    Ok(())
}
