//! Objects of storage are born with a finalizer that keeps them while they are in use.
//!
//! `kubernetes/plugin/pkg/admission/storage/storageobjectinuseprotection`.

use crate::api::{Kind, Object};

/// The finalizer that a kind's objects get.
const fn finalizer(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::PersistentVolume => Some("kubernetes.io/pv-protection"),
        Kind::PersistentVolumeClaim => Some("kubernetes.io/pvc-protection"),
        Kind::VolumeAttributesClass => Some("kubernetes.io/vac-protection"),
        _ => None,
    }
}

pub(super) fn admit(object: &mut Object) {
    let Some(finalizer) = finalizer(object.kind()) else { return };
    let finalizers = object.metadata_mut().finalizers.get_or_insert_default();
    if finalizers.iter().all(|known| known != finalizer) {
        finalizers.push(finalizer.to_owned());
    }
}
