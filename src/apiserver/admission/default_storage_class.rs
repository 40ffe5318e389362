//! A claim that says nothing of a class gets the default one.
//!
//! `kubernetes/plugin/pkg/admission/storage/storageclass/setdefault`.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;

use crate::api::core::claim;
use crate::api::{Kind, storage};
use crate::etcd::Etcd;

/// `GetDefaultClass`: of several default classes the youngest, and of equally young ones the first by name.
fn default_class(etcd: &Etcd) -> Option<&StorageClass> {
    let classes = etcd.range(Kind::StorageClass, None).filter_map(|(_, class)| class.downcast::<StorageClass>());
    let defaults = classes.map(|class| &**class).filter(|class| storage::is_default(class));
    // They come in the order of their names, and a later one must be younger to win.
    defaults.fold(None, |best: Option<&StorageClass>, class| match best {
        Some(best) if best.metadata.creation_timestamp >= class.metadata.creation_timestamp => Some(best),
        _ => Some(class),
    })
}

pub(super) fn admit(etcd: &Etcd, claim: &mut PersistentVolumeClaim) {
    if claim::has_class(claim) {
        return;
    }
    if let Some(class) = default_class(etcd) {
        claim.spec.get_or_insert_default().storage_class_name.clone_from(&class.metadata.name);
    }
}
