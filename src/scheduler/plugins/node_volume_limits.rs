//! NodeVolumeLimits: a node can attach so many volumes of a CSI driver, and no more.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PersistentVolume;

use crate::api::ObjectKey;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::listers::Listers;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `ErrReasonMaxVolumeCountExceeded`.
const TOO_MANY: &str = "node(s) exceed max volume count";

/// Volumes of CSI drivers: the driver and the volume's name there.
type Volumes = BTreeSet<(String, String)>;

/// What the filter compares.
#[derive(Clone, Debug, Default)]
pub struct AttachedVolumes {
    wanted: Volumes,
    /// Per claim that some pod uses, its volume.
    by_claim: BTreeMap<ObjectKey, (String, String)>,
    /// How many volumes each node takes, by node and driver.
    limits: BTreeMap<(String, String), usize>,
}

fn driver_and_handle(volume: &PersistentVolume) -> Option<(String, String)> {
    let source = volume.spec.as_ref()?.csi.as_ref()?;
    Some((source.driver.clone(), source.volume_handle.clone()))
}

/// The volume of a claim; one that is still to be made counts under the claim's name.
fn volume_of(key: &ObjectKey, listers: &Listers) -> Option<(String, String)> {
    let claim = listers.claim(key)?;
    let name = crate::api::core::claim::volume_name(claim);
    if !name.is_empty()
        && let Some(volume) = listers.volume(name)
    {
        return driver_and_handle(volume);
    }
    let class = listers.class_of(claim)?;
    Some((class.provisioner.clone(), format!("{}-{key}", class.provisioner)))
}

/// Only pods with claims can be too many, and only where nodes say how many there may be.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let Handle { cache, listers } = handle;
    let mut attached = AttachedVolumes::default();
    for node in listers.csi_nodes.values() {
        for driver in &node.spec.drivers {
            if let Some(count) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) {
                let key = (node.metadata.name.clone().unwrap_or_default(), driver.name.clone());
                attached.limits.insert(key, usize::try_from(count).unwrap_or(0));
            }
        }
    }
    if state.pod.claims.is_empty() || attached.limits.is_empty() {
        return PreFilter::Skip;
    }
    attached.wanted = state.pod.claims.iter().filter_map(|claim| volume_of(&claim.key, listers)).collect();
    for claim in cache.nodes().flat_map(|node| &node.pods).flat_map(|pod| &pod.claims) {
        if let Some(volume) = volume_of(&claim.key, listers) {
            attached.by_claim.insert(claim.key.clone(), volume);
        }
    }
    state.attached_volumes = Some(std::sync::Arc::new(attached));
    PreFilter::All
}

/// Refuses nodes that have as many volumes as they take.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let Some(attached) = &state.attached_volumes else { return Ok(()) };
    let claims = node.pods.iter().flat_map(|pod| &pod.claims);
    let present: BTreeSet<&(String, String)> = claims.filter_map(|claim| attached.by_claim.get(&claim.key)).collect();
    for ((name, driver), limit) in &attached.limits {
        if **name != *node.name {
            continue;
        }
        let of_driver = |volume: &&&(String, String)| volume.0 == *driver;
        let there = present.iter().filter(of_driver).count();
        let new = attached.wanted.iter().filter(|volume| volume.0 == *driver && !present.contains(volume)).count();
        if new > 0 && there + new > *limit {
            return Err(Rejection::unschedulable(Plugin::NodeVolumeLimits, TOO_MANY));
        }
    }
    Ok(())
}

/// A pod with volumes is gone, a node takes more, or a claim of the pod changed.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Pod(Some(old), None) if event.is_pod(ActionType::DELETE) => {
            Some(QueueingHint::when(!old.claims.is_empty() && !old.node_name().is_empty()))
        }
        Change::CsiNode => Some(QueueingHint::Queue),
        Change::Claim(claim) => Some(QueueingHint::when(pod.uses_claim(&crate::api::Resource::key(&**claim), true))),
        _ => None,
    }
}
