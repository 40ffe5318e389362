//! What can happen in the cluster that may make a pod schedulable.
//!
//! Follows `pkg/scheduler/framework/events.go`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};

use crate::api::Unstructured;

use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// To what it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventResource {
    /// A pod on a node.
    AssignedPod,
    /// A pod that waits for a node.
    UnscheduledPod,
    /// A node.
    Node,
    /// A claim, a volume, a class of storage, or what a CSI driver says of a node.
    Storage,
    /// A claim for devices, a class of them, or what a driver says that there is.
    Devices,
    /// Anything: retry whatever the plugins say.
    WildCard,
}

/// What happened, as a set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionType(u32);

impl ActionType {
    /// It appeared.
    pub const ADD: Self = Self(1);
    /// It is gone.
    pub const DELETE: Self = Self(1 << 1);
    /// A node has other amounts for pods.
    pub const UPDATE_NODE_ALLOCATABLE: Self = Self(1 << 2);
    /// A node has other labels.
    pub const UPDATE_NODE_LABEL: Self = Self(1 << 3);
    /// A node has other taints, or was cordoned or uncordoned.
    pub const UPDATE_NODE_TAINT: Self = Self(1 << 4);
    /// A node declares other features.
    pub const UPDATE_NODE_DECLARED_FEATURE: Self = Self(1 << 5);
    /// A pod has other labels.
    pub const UPDATE_POD_LABEL: Self = Self(1 << 8);
    /// A pod asks for less.
    pub const UPDATE_POD_SCALE_DOWN: Self = Self(1 << 9);
    /// A pod has other tolerations.
    pub const UPDATE_POD_TOLERATIONS: Self = Self(1 << 10);
    /// A pod lost its last scheduling gate.
    pub const UPDATE_POD_SCHEDULING_GATES_ELIMINATED: Self = Self(1 << 11);
    /// A pod was told the names of claims that were made for it.
    pub const UPDATE_POD_GENERATED_RESOURCE_CLAIM: Self = Self(1 << 13);
    /// A pod changed in another way.
    pub const UPDATE_POD_OTHER: Self = Self(1 << 12);
    /// Anything.
    pub const ALL: Self = Self(u32::MAX);

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether both have something in common.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterEvent {
    /// To what.
    pub resource: EventResource,
    /// What.
    pub action: ActionType,
}

impl ClusterEvent {
    /// A pod was put on a node.
    pub const ASSIGNED_POD_ADD: Self = Self { resource: EventResource::AssignedPod, action: ActionType::ADD };
    /// A pod on a node is gone, or freed what it held.
    pub const ASSIGNED_POD_DELETE: Self = Self { resource: EventResource::AssignedPod, action: ActionType::DELETE };
    /// A node appeared.
    pub const NODE_ADD: Self = Self { resource: EventResource::Node, action: ActionType::ADD };
    /// A node is gone.
    pub const NODE_DELETE: Self = Self { resource: EventResource::Node, action: ActionType::DELETE };
    /// Something of storage appeared or changed; the change says what.
    pub const STORAGE: Self = Self { resource: EventResource::Storage, action: ActionType::ADD };
    /// Something of devices appeared or changed; the change says what.
    pub const DEVICES: Self = Self { resource: EventResource::Devices, action: ActionType::ADD };
    /// A pod waited long enough for nothing.
    pub const UNSCHEDULABLE_TIMEOUT: Self = Self { resource: EventResource::WildCard, action: ActionType::ALL };

    /// Whether a plugin that asked for `action` on pods wants to hear of this.
    #[must_use]
    pub fn is_pod(self, action: ActionType) -> bool {
        matches!(self.resource, EventResource::AssignedPod | EventResource::UnscheduledPod)
            && self.action.intersects(action)
    }

    /// Whether a plugin that asked for `action` on nodes wants to hear of this.
    #[must_use]
    pub fn is_node(self, action: ActionType) -> bool {
        self.resource == EventResource::Node && self.action.intersects(action)
    }
}

/// What changed, for the queueing hints.
#[derive(Clone, Debug)]
pub enum Change {
    /// A pod: added without the old one, deleted without the new one.
    Pod(Option<Arc<PodInfo>>, Option<Arc<PodInfo>>),
    /// A node, likewise.
    Node(Option<Arc<NodeInfo>>, Option<Arc<NodeInfo>>),
    /// A claim appeared or changed.
    Claim(Option<Arc<PersistentVolumeClaim>>, Arc<PersistentVolumeClaim>),
    /// A volume appeared or changed.
    Volume(Option<Arc<PersistentVolume>>, Arc<PersistentVolume>),
    /// A class of storage appeared or changed.
    Class(Option<Arc<StorageClass>>, Arc<StorageClass>),
    /// What drivers say of a node appeared or changed.
    CsiNode(Option<Arc<CSINode>>, Arc<CSINode>),
    /// A driver changed.
    CsiDriver(Option<Arc<Unstructured>>, Arc<Unstructured>),
    /// What a driver says of its room appeared or changed.
    StorageCapacity(Option<Arc<Unstructured>>, Arc<Unstructured>),
    /// A volume is attached to a node no more.
    Detached(Arc<VolumeAttachment>),
    /// A claim for devices appeared or changed.
    ResourceClaim(Option<Arc<Unstructured>>, Arc<Unstructured>),
    /// A claim for devices is gone.
    ResourceClaimGone(Arc<Unstructured>),
    /// A class of devices appeared or changed.
    DeviceClass(Option<Arc<Unstructured>>, Arc<Unstructured>),
    /// What a driver says that there is appeared or changed.
    Devices,
    /// Nothing that a hint could look at.
    Nothing,
}

/// A plugin's opinion whether an event may make a pod schedulable that it refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueingHint {
    /// It cannot.
    Skip,
    /// It may.
    Queue,
}

impl QueueingHint {
    /// [`Self::Queue`] when `may_help`.
    #[must_use]
    pub const fn when(may_help: bool) -> Self {
        if may_help { Self::Queue } else { Self::Skip }
    }
}

/// What changed about a node that plugins care about, one event a sort of change.
#[must_use]
pub fn node_changes(old: &NodeInfo, new: &NodeInfo) -> Vec<ClusterEvent> {
    let changes = [
        (old.allocatable != new.allocatable, ActionType::UPDATE_NODE_ALLOCATABLE),
        (old.labels() != new.labels(), ActionType::UPDATE_NODE_LABEL),
        (old.declared_features() != new.declared_features(), ActionType::UPDATE_NODE_DECLARED_FEATURE),
        (old.taints() != new.taints() || old.unschedulable != new.unschedulable, ActionType::UPDATE_NODE_TAINT),
    ];
    let events = changes.into_iter().filter(|(changed, _)| *changed);
    events.map(|(_, action)| ClusterEvent { resource: EventResource::Node, action }).collect()
}

/// What changed about a pod that plugins care about, one event a sort of change; never none.
#[must_use]
pub fn pod_changes(resource: EventResource, old: &PodInfo, new: &PodInfo) -> Vec<ClusterEvent> {
    let (was, is) = (&old.requests.requests, &new.requests.requests);
    let scaled_down = is.milli_cpu < was.milli_cpu
        || is.memory < was.memory
        || is.ephemeral_storage < was.ephemeral_storage
        || was.scalar.iter().any(|(name, amount)| is.scalar(name) < *amount);
    let changes = [
        (old.labels != new.labels, ActionType::UPDATE_POD_LABEL),
        (scaled_down, ActionType::UPDATE_POD_SCALE_DOWN),
        (old.has_scheduling_gates() && !new.has_scheduling_gates(), ActionType::UPDATE_POD_SCHEDULING_GATES_ELIMINATED),
        (old.tolerations() != new.tolerations(), ActionType::UPDATE_POD_TOLERATIONS),
        (old.claim_statuses() != new.claim_statuses(), ActionType::UPDATE_POD_GENERATED_RESOURCE_CLAIM),
    ];
    let mut events: Vec<ClusterEvent> = changes
        .into_iter()
        .filter(|(changed, _)| *changed)
        .map(|(_, action)| ClusterEvent { resource, action })
        .collect();
    if events.is_empty() {
        events.push(ClusterEvent { resource, action: ActionType::UPDATE_POD_OTHER });
    }
    events
}
