//! A node and the pods on it, with what the scheduler compares worked out.
//!
//! Follows `pkg/scheduler/framework/types.go` (`NodeInfo`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::api::{Name, Resource as _};
use crate::machinery::toleration::{PREFER_NO_SCHEDULE, keeps_away};

use super::pod_info::{HostPort, PodInfo};
use super::resource::Resource;

/// The label that names a node's machine.
pub const LABEL_HOSTNAME: &str = "kubernetes.io/hostname";
/// The label that names a node's zone.
pub const LABEL_ZONE: &str = "topology.kubernetes.io/zone";
/// The label that names a node's region.
pub const LABEL_REGION: &str = "topology.kubernetes.io/region";

static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// A node's place in the cache, kept as long as the node or a pod on it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The id as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A node and its pods. A changed node is another value; what did not change is shared.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// Its place in the cache.
    pub id: NodeId,
    /// Its name.
    pub name: Name,
    /// The object; `None` when only pods on the node are known.
    pub node: Option<Arc<Node>>,
    /// Whether it was cordoned.
    pub unschedulable: bool,
    /// Whether it has a taint that keeps pods away.
    pub has_hard_taints: bool,
    /// Whether it has a taint that only makes it less liked.
    pub has_soft_taints: bool,
    /// What it has for pods.
    pub allocatable: Resource,
    /// What its pods ask for.
    pub requested: Resource,
    /// Milli-CPU of its pods, with defaults where a request is missing.
    pub non_zero_milli_cpu: i64,
    /// Memory of its pods, with defaults where a request is missing.
    pub non_zero_memory: i64,
    /// Its pods, assumed ones too.
    pub pods: Vec<Arc<PodInfo>>,
    /// Those of its pods that want other pods near or far.
    pub pods_with_affinity: Vec<Arc<PodInfo>>,
    /// Those of its pods that do not bear others.
    pub pods_with_required_anti_affinity: Vec<Arc<PodInfo>>,
    /// Ports that its pods hold.
    pub used_ports: Vec<HostPort>,
    /// The number that the cache gave the node's zone, quicker to count by than its name; an empty zone has none.
    pub(super) zone_number: Option<u32>,
    hostname: Option<Name>,
    zone: Option<Name>,
}

impl NodeInfo {
    /// A node of which nothing is known but its name.
    #[must_use]
    pub fn new(id: NodeId, name: Name) -> Self {
        Self {
            id,
            name,
            node: None,
            unschedulable: false,
            has_hard_taints: false,
            has_soft_taints: false,
            allocatable: Resource::default(),
            requested: Resource::default(),
            non_zero_milli_cpu: 0,
            non_zero_memory: 0,
            pods: Vec::new(),
            pods_with_affinity: Vec::new(),
            pods_with_required_anti_affinity: Vec::new(),
            used_ports: Vec::new(),
            zone_number: None,
            hostname: None,
            zone: None,
        }
    }

    /// A node without pods, as queueing hints look at it.
    #[must_use]
    pub fn of(node: Arc<Node>) -> Self {
        let mut info = Self::new(NodeId(0), node.name().into());
        info.set_node(Some(node));
        info
    }

    /// Takes over the object, or forgets it.
    pub fn set_node(&mut self, node: Option<Arc<Node>>) {
        let spec = node.as_ref().and_then(|node| node.spec.as_ref());
        let taints = spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default();
        self.unschedulable = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
        self.has_hard_taints = taints.iter().any(keeps_away);
        self.has_soft_taints = taints.iter().any(|taint| taint.effect == PREFER_NO_SCHEDULE);
        let status = node.as_ref().and_then(|node| node.status.as_ref());
        self.allocatable = Resource::from_list(status.and_then(|status| status.allocatable.as_ref()));
        let labels = node.as_ref().and_then(|node| node.metadata.labels.as_ref());
        let label = |key: &str| labels.and_then(|labels| labels.get(key)).map(|value| Name::from(value.as_str()));
        self.hostname = label(LABEL_HOSTNAME);
        self.zone = label(LABEL_ZONE);
        self.node = node;
    }

    /// The node's labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        self.node.as_ref().and_then(|node| node.metadata.labels.as_ref()).unwrap_or(&NO_LABELS)
    }

    /// One label; quick for the two that pods usually spread by.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        match key {
            LABEL_HOSTNAME => self.hostname.as_deref(),
            LABEL_ZONE => self.zone.as_deref(),
            _ => self.labels().get(key).map(String::as_str),
        }
    }

    /// Whether the node has a label for its zone.
    #[must_use]
    pub const fn has_zone(&self) -> bool {
        self.zone.is_some()
    }

    /// The node's taints.
    #[must_use]
    pub fn taints(&self) -> &[Taint] {
        let spec = self.node.as_ref().and_then(|node| node.spec.as_ref());
        spec.and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
    }

    /// What the node says that it can do for pods.
    #[must_use]
    pub fn declared_features(&self) -> &[String] {
        let status = self.node.as_ref().and_then(|node| node.status.as_ref());
        status.and_then(|status| status.declared_features.as_deref()).unwrap_or_default()
    }

    /// Puts a pod on the node.
    pub fn add_pod(&mut self, pod: Arc<PodInfo>) {
        self.requested.add(&pod.requests.requests);
        self.non_zero_milli_cpu += pod.requests.counted_milli_cpu;
        self.non_zero_memory += pod.requests.counted_memory;
        for port in &pod.host_ports {
            if !self.used_ports.contains(port) {
                self.used_ports.push(port.clone());
            }
        }
        if let Some(terms) = &pod.affinity {
            self.pods_with_affinity.push(Arc::clone(&pod));
            if !terms.required_anti_affinity.is_empty() {
                self.pods_with_required_anti_affinity.push(Arc::clone(&pod));
            }
        }
        self.pods.push(pod);
    }

    /// Takes a pod away; nothing happens when it is not there.
    pub fn remove_pod(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let index = self.pods.iter().position(|pod| &*pod.uid == uid)?;
        let pod = self.pods.swap_remove(index);
        self.requested.sub(&pod.requests.requests);
        self.non_zero_milli_cpu -= pod.requests.counted_milli_cpu;
        self.non_zero_memory -= pod.requests.counted_memory;
        self.used_ports.retain(|port| !pod.host_ports.contains(port));
        self.pods_with_affinity.retain(|other| &*other.uid != uid);
        self.pods_with_required_anti_affinity.retain(|other| &*other.uid != uid);
        Some(pod)
    }
}
