//! A claim may ask for more only when its class allows it.
//!
//! `kubernetes/plugin/pkg/admission/storage/persistentvolume/resize`.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::api::core::claim::{class_of, phase_of, requested};
use crate::api::{Kind, ObjectKey, Resource};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

/// `allowResize`: the class is still the same one, and it says that volumes can grow.
fn may_grow(etcd: &Etcd, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> bool {
    let name = class_of(new);
    if name.is_empty() || name != class_of(old) {
        return false;
    }
    let class =
        etcd.get(Kind::StorageClass, &ObjectKey::new("", name)).and_then(|class| class.downcast::<StorageClass>());
    class.is_some_and(|class| class.allow_volume_expansion == Some(true))
}

pub(super) fn admit(etcd: &Etcd, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) -> Result<(), Status> {
    if requested(new).unwrap_or_default() <= requested(old).unwrap_or_default() {
        return Ok(());
    }
    let why = if phase_of(old) != "Bound" {
        "Only bound persistent volume claims can be expanded"
    } else if !may_grow(etcd, new, old) {
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
    } else {
        return Ok(());
    };
    Err(Status::forbidden("", "persistentvolumeclaims", new.name(), why))
}
