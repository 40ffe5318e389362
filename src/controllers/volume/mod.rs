//! The controllers of storage, a room or a file each: who binds claims to volumes and makes and removes volumes, who
//! keeps both while they are in use, who makes the claims of ephemeral volumes, who expands and who attaches.

mod attach_detach;
mod binder;
mod csi;
mod ephemeral;
mod expand;
mod local_path;
mod protection;

use k8s_openapi::api::core::v1::{Pod, Volume};

use crate::api::{ObjectKey, Resource};

pub use attach_detach::AttachDetachController;
pub use binder::PersistentVolumeController;
pub use csi::{CsiAttacher, CsiCapacity, CsiProvisioner, CsiResizer};
pub use ephemeral::EphemeralVolumeController;
pub use expand::ExpandController;
pub use local_path::LocalPathProvisioner;
pub use protection::{AttributesClassProtection, ClaimProtection, VolumeProtection};

/// The name of the claim that a pod's volume uses; `None` for volumes of other sorts.
fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.name(), volume.name)),
        (None, None) => None,
    }
}

/// The claims that a pod uses.
fn claims_of(pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let names = volumes.filter_map(|volume| claim_name(pod, volume));
    names.map(|name| ObjectKey::new(pod.namespace(), name))
}

/// Whether a pod has a node.
fn is_scheduled(pod: &Pod) -> bool {
    !super::pod_control::node_name(pod).is_empty()
}
