//! The node as its kubelet tells it: registration, status, lease and the events of both.
//!
//! `pkg/kubelet/kubelet_node_status.go`, `pkg/kubelet/nodestatus/setters.go` and
//! `k8s.io/component-helpers/apimachinery/lease/controller.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus,
    NodeSystemInfo, ObjectReference, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{ObjectKey, Resource};
use crate::client::{Client, ClientError, EventType};
use crate::etcd::Why;
use crate::machinery::order::Order as _;
use crate::machinery::order::map_of;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_SCHEDULE;

use super::agenda::Work;
use super::config::NodeConfig;
use super::eviction::Pressure;
use super::host::Host;

/// The version of Kubernetes that is simulated.
const VERSION: &str = "v1.36.2";
/// How often the kubelet looks whether its node's status changed: `nodeStatusUpdateFrequency`.
const UPDATE_INTERVAL: Duration = Duration::from_secs(10);
/// How much longer it may be, so that kubelets come apart.
const UPDATE_JITTER_PERCENT: u32 = 4;
/// How often it writes a status that did not change: `nodeStatusReportFrequency`.
const REPORT_INTERVAL: Duration = Duration::from_secs(300);
/// After what time a registration that failed is tried again.
const REGISTER_RETRY: Duration = Duration::from_secs(1);
/// How long the kubelet needs after its start to find its runtime ready.
const RUNTIME_CHECK_TIME: Duration = Duration::from_millis(300);
/// How long the kubelet needs after its start to have measured what the machine uses.
const PRESSURE_DELAY: Duration = Duration::from_secs(10);
/// For how long a lease is good: `nodeLeaseDurationSeconds`.
const LEASE_SECONDS: i32 = 40;
/// How often it is renewed: a quarter of that.
const LEASE_INTERVAL: Duration = Duration::from_secs(10);
/// How much later it may be renewed, in percent.
const LEASE_JITTER_PERCENT: u32 = 4;
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// How many images a node tells of: `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;

/// What the kubelet remembers of its node.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeKeeper {
    is_registered: bool,
    reported_at: Option<Time>,
    /// Whether the node was closed to new pods when its status was last looked at.
    was_unschedulable: bool,
}

/// The node, as events refer to it: by its name in place of its uid.
pub(super) fn reference(config: &NodeConfig) -> ObjectReference {
    ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(config.name.clone()),
        uid: Some(config.name.clone()),
        ..ObjectReference::default()
    }
}

impl NodeKeeper {
    /// The kubelet starts.
    pub(super) fn start(&mut self, host: &mut Host, client: &mut Client<'_>) {
        *self = Self::default();
        client.event_about(&reference(&host.config), EventType::Normal, "Starting", "Starting kubelet.");
        host.agenda.set(Work::NodeStatus, client.now, false);
        host.agenda.set(Work::Lease, client.now, true);
        host.agenda.set(Work::Eviction, client.now + PRESSURE_DELAY, true);
        host.agenda.set(Work::ImageGc, client.now, true);
    }

    /// Registers the node, or writes its status when that is due.
    pub(super) fn sync_status(&mut self, host: &mut Host, client: &mut Client<'_>) {
        let now = client.now;
        if !self.is_registered {
            self.is_registered = register(host, client).is_ok();
            let (wait, background) =
                if self.is_registered { (RUNTIME_CHECK_TIME, false) } else { (REGISTER_RETRY, true) };
            host.agenda.set(Work::NodeStatus, now + wait, background);
            if self.is_registered {
                host.agenda.set(Work::Lease, now, true);
                host.agenda.set_sooner(Work::CsiNode, now, false);
            }
            return;
        }
        // A write that failed is tried again at the next round, as upstream's retries within one are not simulated.
        if self.write_status(host, client).is_ok() && self.reported_at.is_none() {
            self.reported_at = Some(now);
        }
        let wait = client.random.jitter(UPDATE_INTERVAL, UPDATE_JITTER_PERCENT);
        host.agenda.set(Work::NodeStatus, now + wait, true);
    }

    fn write_status(&mut self, host: &mut Host, client: &mut Client<'_>) -> Result<(), ClientError> {
        let now = client.now;
        let key = ObjectKey::new("", host.config.name.as_str());
        let node = client.get::<Node>(&key)?;
        self.tell_schedulable(&node, host, client);
        let empty = NodeStatus::default();
        let before = node.status.as_ref().unwrap_or(&empty);
        let mut after = status(before, host, true, now);
        let is_due = self.reported_at.is_none_or(|at| now.since(at) >= REPORT_INTERVAL);
        if !is_due && !has_changed(before, &mut after) {
            return Ok(());
        }
        tell_reboot(before, &after, host, client);
        tell_changes(before, &after, host, client);
        client.because(why(&host.config.name, before, &after));
        let mut changed = (*node).clone();
        changed.status = Some(after);
        client.update_status(changed)?;
        self.reported_at = Some(now);
        Ok(())
    }

    /// Tells when somebody closed the node to new pods, or opened it again: `recordNodeSchedulableEvent`.
    fn tell_schedulable(&mut self, node: &Node, host: &Host, client: &mut Client<'_>) {
        let is_unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
        if is_unschedulable != self.was_unschedulable {
            self.was_unschedulable = is_unschedulable;
            let event = if is_unschedulable { "NodeNotSchedulable" } else { "NodeSchedulable" };
            let message = format!("Node {} status is now: {event}", host.config.name);
            client.event_about(&reference(&host.config), EventType::Normal, event, &message);
        }
    }

    /// Renews the lease, the sign that this kubelet is alive.
    pub(super) fn renew_lease(&self, host: &mut Host, client: &mut Client<'_>) {
        let wait = client.random.jitter(LEASE_INTERVAL, LEASE_JITTER_PERCENT);
        host.agenda.set(Work::Lease, client.now + wait, true);
        if self.is_registered {
            // What fails now is tried again at the next round.
            let _ = renew(&host.config.name, client);
        }
    }
}

fn renew(name: &str, client: &mut Client<'_>) -> Result<(), ClientError> {
    let key = ObjectKey::new(LEASE_NAMESPACE, name);
    client.because(Why::new("The kubelet of node {} renews its lease to show that it is alive.", [name.to_owned()]));
    match client.get::<Lease>(&key) {
        Ok(lease) => {
            let mut lease = (*lease).clone();
            lease.spec.get_or_insert_default().renew_time = Some(client.now.to_micro());
            client.update(lease).map(|_| ())
        }
        Err(error) if error.is_not_found() => {
            let node = client.get::<Node>(&ObjectKey::new("", name))?;
            client.create(new_lease(&node, client.now)).map(|_| ())
        }
        Err(error) => Err(error),
    }
}

fn new_lease(node: &Node, now: Time) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some(node.name().to_owned()),
            namespace: Some(LEASE_NAMESPACE.to_owned()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: node.name().to_owned(),
                uid: node.uid().to_owned(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(node.name().to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(now.to_micro()),
            ..LeaseSpec::default()
        }),
    }
}

/// Creates the Node object, or takes over the one that is there: `tryRegisterWithAPIServer`.
fn register(host: &Host, client: &mut Client<'_>) -> Result<(), ClientError> {
    let config = &host.config;
    let node = Node { status: Some(status(&NodeStatus::default(), host, false, client.now)), ..new_node(config) };
    client.because(Why::new("Machine {} has started, and its kubelet registers it as a node.", [config.name.clone()]));
    let fresh = node.status.clone().unwrap_or_default();
    match client.create(node) {
        Ok(_) => {
            tell_changes(&NodeStatus::default(), &fresh, host, client);
            Ok(())
        }
        Err(error) if error.is_already_exists() => {
            let known = client.get::<Node>(&ObjectKey::new("", config.name.as_str()))?;
            let mut changed = (*known).clone();
            changed.metadata.labels.get_or_insert_default().extend(default_labels(config));
            if changed.metadata.labels != known.metadata.labels {
                client.update(changed)?;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What a kubelet knows of its node before it registers it; the status has only the amounts.
pub(super) fn new_node(config: &NodeConfig) -> Node {
    let capacity = capacity(config);
    let attach = "volumes.kubernetes.io/controller-managed-attach-detach";
    Node {
        metadata: ObjectMeta {
            name: Some(config.name.clone()),
            labels: Some(labels(config)),
            annotations: Some(map_of([(attach.to_owned(), "true".to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            taints: Some(taints(config)).filter(|taints| !taints.is_empty()),
            ..NodeSpec::default()
        }),
        status: Some(NodeStatus {
            allocatable: Some(capacity.clone()),
            capacity: Some(capacity),
            ..NodeStatus::default()
        }),
    }
}

fn capacity(config: &NodeConfig) -> BTreeMap<String, ApiQuantity> {
    map_of(config.full_capacity().into_iter().map(|(name, amount)| (name, ApiQuantity(amount))))
}

/// The taints that the node registers with: in a cloud, one until its controllers know it.
fn taints(config: &NodeConfig) -> Vec<Taint> {
    let mut taints = config.taints.clone();
    if config.is_in_cloud {
        taints.push(Taint {
            key: "node.cloudprovider.kubernetes.io/uninitialized".to_owned(),
            value: Some("true".to_owned()),
            effect: NO_SCHEDULE.to_owned(),
            time_added: None,
        });
    }
    taints
}

/// The labels that a kubelet keeps as they should be.
fn default_labels(config: &NodeConfig) -> BTreeMap<String, String> {
    let mut labels = map_of(
        [
            ("beta.kubernetes.io/arch", "amd64"),
            ("beta.kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", "amd64"),
            ("kubernetes.io/hostname", config.name.as_str()),
            ("kubernetes.io/os", "linux"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    for (key, value) in
        [("topology.kubernetes.io/zone", &config.zone), ("topology.kubernetes.io/region", &config.region)]
    {
        if !value.is_empty() {
            labels.insert(key.to_owned(), value.clone());
        }
    }
    labels
}

fn labels(config: &NodeConfig) -> BTreeMap<String, String> {
    let mut labels = default_labels(config);
    labels.extend(config.labels.clone());
    labels
}

/// What a condition says when all is well, and when it is not: reason, message, event.
struct PressureTexts {
    condition: &'static str,
    /// What makes it true.
    pressure: Pressure,
    good: [&'static str; 3],
    bad: [&'static str; 3],
}

const PRESSURES: [PressureTexts; 3] = [
    PressureTexts {
        condition: "MemoryPressure",
        pressure: Pressure::Memory,
        good: ["KubeletHasSufficientMemory", "kubelet has sufficient memory available", "NodeHasSufficientMemory"],
        bad: ["KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "NodeHasInsufficientMemory"],
    },
    PressureTexts {
        condition: "DiskPressure",
        pressure: Pressure::Disk,
        good: ["KubeletHasNoDiskPressure", "kubelet has no disk pressure", "NodeHasNoDiskPressure"],
        bad: ["KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"],
    },
    PressureTexts {
        condition: "PIDPressure",
        pressure: Pressure::Pid,
        good: ["KubeletHasSufficientPID", "kubelet has sufficient PID available", "NodeHasSufficientPID"],
        bad: ["KubeletHasInsufficientPID", "kubelet has insufficient PID available", "NodeHasInsufficientPID"],
    },
];

fn conditions(before: &NodeStatus, host: &Host, is_ready: bool, now: Time) -> Vec<NodeCondition> {
    let known = before.conditions.clone().unwrap_or_default();
    let condition = |name: &str, status: &str, reason: &str, message: &str| {
        let same = known.iter().find(|known| known.type_ == name && known.status == status);
        NodeCondition {
            type_: name.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: Some(now.to_meta()),
            last_transition_time: same
                .and_then(|known| known.last_transition_time.clone())
                .or_else(|| Some(now.to_meta())),
        }
    };
    let mut own: Vec<NodeCondition> = PRESSURES
        .iter()
        .map(|texts| {
            let is_short = host.pressures.has(texts.pressure);
            let [reason, message, _] = if is_short { texts.bad } else { texts.good };
            condition(texts.condition, if is_short { "True" } else { "False" }, reason, message)
        })
        .collect();
    own.push(if host.is_shutting_down {
        condition("Ready", "False", "KubeletNotReady", "node is shutting down")
    } else if is_ready {
        condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
    } else {
        let message = "[container runtime status check may not have completed yet]";
        condition("Ready", "False", "KubeletNotReady", message)
    });
    // Conditions keep their place in the list, and those of others stay.
    let mut result = known;
    for condition in own {
        match result.iter_mut().find(|known| known.type_ == condition.type_) {
            Some(known) => *known = condition,
            None => result.push(condition),
        }
    }
    result
}

/// What a kubelet of v1.36 says that it can do for pods: `nodedeclaredfeatures` of `k8s.io/component-helpers`.
const DECLARED_FEATURES: [&str; 3] =
    ["GuaranteedQoSPodCPUResize", "InPlacePodLevelResourcesVerticalScaling", "RestartAllContainersOnContainerExits"];

fn status(before: &NodeStatus, host: &Host, is_ready: bool, now: Time) -> NodeStatus {
    let config = &host.config;
    let capacity = capacity(config);
    let address = |kind: &str, address: &str| NodeAddress { type_: kind.to_owned(), address: address.to_owned() };
    let own = vec![address("InternalIP", &config.internal_ip), address("Hostname", &config.name)];
    NodeStatus {
        // In a cloud the addresses are left to its controllers.
        addresses: if config.is_in_cloud { before.addresses.clone() } else { Some(own) },
        allocatable: Some(capacity.clone()),
        capacity: Some(capacity),
        conditions: Some(conditions(before, host, is_ready, now)),
        declared_features: Some(DECLARED_FEATURES.map(str::to_owned).to_vec()),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: 10250 }) }),
        images: Some(images(host)).filter(|images| !images.is_empty()),
        node_info: Some(system_info(config, host.boots)),
        volumes_in_use: Some(host.csi.volumes_in_use()).filter(|volumes| !volumes.is_empty()),
        ..before.clone()
    }
}

/// The images on the machine, the biggest first.
fn images(host: &Host) -> Vec<ContainerImage> {
    let mut images: Vec<ContainerImage> = host
        .runtime
        .cri
        .images()
        .map(|image| ContainerImage {
            names: Some(image.digests.iter().chain(&image.tags).cloned().collect()),
            size_bytes: i64::try_from(image.size).ok(),
        })
        .collect();
    images.order_by(|a, b| b.size_bytes.cmp(&a.size_bytes).then_with(|| a.names.cmp(&b.names)));
    images.truncate(IMAGES_MAX);
    images
}

fn system_info(config: &NodeConfig, boots: u32) -> NodeSystemInfo {
    let mut digits = String::new();
    for byte in config.name.bytes().cycle().take(16) {
        digits.push_str(&format!("{byte:02x}"));
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or("0000").to_owned();
    let uuid = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-");
    NodeSystemInfo {
        architecture: "amd64".to_owned(),
        boot_id: if boots == 0 { uuid.clone() } else { format!("{}{boots:04x}", uuid.get(..32).unwrap_or("")) },
        container_runtime_version: "containerd://2.2.1".to_owned(),
        kernel_version: "6.12.57-amd64".to_owned(),
        kube_proxy_version: String::new(),
        kubelet_version: VERSION.to_owned(),
        machine_id: digits,
        operating_system: "linux".to_owned(),
        os_image: "Debian GNU/Linux 13 (trixie)".to_owned(),
        system_uuid: uuid,
        swap: None,
    }
}

/// Whether a status says anything new but that time went by.
fn has_changed(before: &NodeStatus, after: &mut NodeStatus) -> bool {
    let mut times: Vec<_> =
        before.conditions.iter().flatten().map(|condition| condition.last_heartbeat_time.clone()).collect();
    let mut swap = |after: &mut NodeStatus| {
        for (condition, other) in after.conditions.iter_mut().flatten().zip(&mut times) {
            std::mem::swap(&mut condition.last_heartbeat_time, other);
        }
    };
    // Conditions keep their places, so each is compared as if it had been told when it was told before.
    swap(after);
    let has_changed = before != after;
    swap(after);
    has_changed
}

fn status_of<'a>(status: &'a NodeStatus, condition: &str) -> Option<&'a str> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|known| known.type_ == condition).map(|known| known.status.as_str())
}

/// Tells when the machine is another than it was before it was switched on: `MachineInfo`.
fn tell_reboot(before: &NodeStatus, after: &NodeStatus, host: &Host, client: &mut Client<'_>) {
    let boot = |status: &NodeStatus| status.node_info.as_ref().map_or_else(String::new, |info| info.boot_id.clone());
    let (old, new) = (boot(before), boot(after));
    if !old.is_empty() && old != new {
        let message = format!("Node {} has been rebooted, boot id: {new}", host.config.name);
        client.event_about(&reference(&host.config), EventType::Warning, "Rebooted", &message);
    }
}

/// Tells of the conditions that have changed.
fn tell_changes(before: &NodeStatus, after: &NodeStatus, host: &Host, client: &mut Client<'_>) {
    let config = host.config.clone();
    let mut tell = |event: &str| {
        let message = format!("Node {} status is now: {event}", config.name);
        client.event_about(&reference(&config), EventType::Normal, event, &message);
    };
    for texts in PRESSURES {
        let is = status_of(after, texts.condition);
        if status_of(before, texts.condition) != is {
            tell(if is == Some("True") { texts.bad[2] } else { texts.good[2] });
        }
    }
    let (was_ready, is_ready) = (status_of(before, "Ready"), status_of(after, "Ready"));
    if was_ready.is_some() && was_ready != is_ready {
        tell(if is_ready == Some("True") { "NodeReady" } else { "NodeNotReady" });
    }
}

fn why(name: &str, before: &NodeStatus, after: &NodeStatus) -> Why {
    for texts in PRESSURES {
        match (texts.pressure, status_of(before, texts.condition), status_of(after, texts.condition)) {
            (Pressure::Memory, Some("False"), Some("True")) => {
                return Why::new("Node {} runs short of memory.", [name.to_owned()]);
            }
            (Pressure::Disk, Some("False"), Some("True")) => {
                return Why::new("The disk of node {} is nearly full.", [name.to_owned()]);
            }
            (Pressure::Pid, Some("False"), Some("True")) => {
                return Why::new("Node {} runs short of process numbers.", [name.to_owned()]);
            }
            (_, Some("True"), Some("False")) => {
                return Why::new("Node {} is no longer short of anything.", [name.to_owned()]);
            }
            _ => {}
        }
    }
    if status_of(before, "Ready") != status_of(after, "Ready") {
        if status_of(after, "Ready") != Some("True") {
            return Why::new("Node {} is about to be switched off.", [name.to_owned()]);
        }
        return Why::new("Node {} is ready for pods.", [name.to_owned()]);
    }
    Why::new("The kubelet of node {} tells the node's status.", [name.to_owned()])
}
