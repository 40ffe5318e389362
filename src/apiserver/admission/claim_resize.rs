//! A claim may ask for more only when its class allows it.
//!
//! `kubernetes/plugin/pkg/admission/storage/persistentvolume/resize`.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::api::core::claim::{class_of, phase_of, requested};
use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

use super::{Attributes, forbidden};

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

pub(super) fn validate(etcd: &Etcd, object: &Object, attributes: Attributes<'_>) -> Result<(), Status> {
    let (Object::PersistentVolumeClaim(new), Some(Object::PersistentVolumeClaim(old))) = (object, attributes.old)
    else {
        return Ok(());
    };
    let grows = requested(new).unwrap_or_default() > requested(old).unwrap_or_default();
    if attributes.subresource.is_some() || !grows {
        return Ok(());
    }
    if phase_of(old) != "Bound" {
        return Err(forbidden(object, "Only bound persistent volume claims can be expanded"));
    }
    if may_grow(etcd, new, old) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must \
               support resize";
    Err(forbidden(object, why))
}
