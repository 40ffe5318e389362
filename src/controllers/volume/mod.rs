//! The controllers of storage, a room or a file each: who binds claims to volumes and makes and removes volumes, who
//! keeps both while they are in use, who makes the claims of ephemeral volumes, who expands and who attaches.

mod attach_detach;
mod binder;
mod csi;
mod ephemeral;
mod expand;
mod local_path;
mod protection;

use k8s_openapi::api::core::v1::Pod;

use crate::client::volumes::{claim_name, claims_of};

pub use attach_detach::AttachDetachController;
pub use binder::PersistentVolumeController;
pub use csi::{CsiAttacher, CsiCapacity, CsiModifier, CsiProvisioner, CsiResizer};
pub use ephemeral::EphemeralVolumeController;
pub use expand::ExpandController;
pub use local_path::LocalPathProvisioner;
pub use protection::{AttributesClassProtection, ClaimProtection, VolumeProtection};

/// Whether a pod has a node.
fn is_scheduled(pod: &Pod) -> bool {
    !super::pod_control::node_name(pod).is_empty()
}
