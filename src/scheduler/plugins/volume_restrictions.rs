//! VolumeRestrictions: some disks are for one pod at a time, and so are claims with the mode ReadWriteOncePod.

use k8s_openapi::api::core::v1::{Pod, Volume};

use crate::api::{ObjectKey, Resource as _};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `ErrReasonDiskConflict`.
const DISK_CONFLICT: &str = "node(s) had no available disk";
/// `ErrReasonReadWriteOncePodConflict`.
const CLAIM_CONFLICT: &str =
    "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";

/// The claims that the pod wants for itself, and how often other pods use them.
#[derive(Clone, Debug, Default)]
pub struct ExclusiveClaims {
    claims: Vec<ObjectKey>,
    conflicts: i64,
}

fn volumes(pod: &Pod) -> &[Volume] {
    pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or_default()
}

/// Whether the volume is a disk of a sort that is not shared: `needsRestrictionsCheck`.
fn is_restricted(volume: &Volume) -> bool {
    volume.gce_persistent_disk.is_some()
        || volume.aws_elastic_block_store.is_some()
        || volume.rbd.is_some()
        || volume.iscsi.is_some()
}

/// `isVolumeConflict`, of two volumes. Most disks may be shared by those who only read.
fn conflict(a: &Volume, b: &Volume) -> bool {
    let writes = |a: Option<bool>, b: Option<bool>| !(a == Some(true) && b == Some(true));
    if let (Some(a), Some(b)) = (&a.gce_persistent_disk, &b.gce_persistent_disk) {
        return a.pd_name == b.pd_name && writes(a.read_only, b.read_only);
    }
    if let (Some(a), Some(b)) = (&a.aws_elastic_block_store, &b.aws_elastic_block_store) {
        return a.volume_id == b.volume_id;
    }
    if let (Some(a), Some(b)) = (&a.iscsi, &b.iscsi) {
        return a.iqn == b.iqn && writes(a.read_only, b.read_only);
    }
    if let (Some(a), Some(b)) = (&a.rbd, &b.rbd) {
        let overlap = a.monitors.iter().any(|monitor| b.monitors.contains(monitor));
        return overlap && a.pool == b.pool && a.image == b.image && writes(a.read_only, b.read_only);
    }
    false
}

fn disks_conflict(a: &Pod, b: &Pod) -> bool {
    let mut restricted = volumes(a).iter().filter(|volume| is_restricted(volume));
    restricted.any(|volume| volumes(b).iter().any(|other| conflict(volume, other)))
}

/// Looks up the claims of the pod that are for one pod, and counts who uses them.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let pod = &state.pod;
    let has_disks = volumes(&pod.pod).iter().any(is_restricted);
    let mut exclusive = ExclusiveClaims::default();
    for claim in pod.claims.iter().filter(|claim| !claim.is_ephemeral) {
        let Some(found) = handle.listers.claim(&claim.key) else {
            let why = format!("persistentvolumeclaim {:?} not found", &*claim.key.name);
            return PreFilter::Reject(Rejection::unresolvable_made(Plugin::VolumeRestrictions, why));
        };
        let modes = found.spec.as_ref().and_then(|spec| spec.access_modes.as_deref()).unwrap_or_default();
        if modes.iter().any(|mode| mode == "ReadWriteOncePod") {
            exclusive.claims.push(claim.key.clone());
        }
    }
    // Each is used by one pod at most.
    exclusive.conflicts = exclusive.claims.iter().filter(|claim| handle.cache.is_claim_used(claim)).count() as i64;
    if exclusive.conflicts == 0 && !has_disks {
        return PreFilter::Skip;
    }
    state.exclusive_claims = Some(exclusive);
    PreFilter::All
}

impl ExclusiveClaims {
    /// How many of the claims a pod uses.
    fn uses(&self, pod: &PodInfo) -> i64 {
        pod.claims.iter().filter(|claim| self.claims.contains(&claim.key)).count() as i64
    }
}

/// A pod comes to the what-if, or goes from it.
pub fn count_pod(state: &mut CycleState, pod: &PodInfo, delta: i64) {
    if let Some(exclusive) = &mut state.exclusive_claims {
        exclusive.conflicts += delta * exclusive.uses(pod);
    }
}

/// Refuses nodes where a disk is taken, and all nodes while a claim is.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    if node.pods.iter().any(|other| disks_conflict(&state.pod.pod, &other.pod)) {
        return Err(Rejection::unschedulable(Plugin::VolumeRestrictions, DISK_CONFLICT));
    }
    if state.exclusive_claims.as_ref().is_some_and(|exclusive| exclusive.conflicts > 0) {
        return Err(Rejection::unschedulable(Plugin::VolumeRestrictions, CLAIM_CONFLICT));
    }
    Ok(())
}

/// A pod that had the disk or the claim is gone, there is a new node, or a claim of the pod appeared or changed.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Pod(Some(old), None) if event.is_pod(ActionType::DELETE) => {
            let mut claims = old.claims.iter().filter(|claim| !claim.is_ephemeral);
            let shares = claims.any(|claim| pod.uses_claim(&claim.key, false));
            let is_near = old.key.namespace == pod.key.namespace;
            Some(QueueingHint::when(is_near && (shares || disks_conflict(&pod.pod, &old.pod))))
        }
        Change::Node(None, Some(_)) if event.is_node(ActionType::ADD) => Some(QueueingHint::Queue),
        Change::Claim(None, claim) => Some(QueueingHint::when(pod.uses_claim(&claim.key(), false))),
        _ => None,
    }
}
