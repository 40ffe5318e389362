//! What the API server changes or refuses before an object is validated: the admission plugins that are on by default.
//!
//! `kubernetes/pkg/kubeapiserver/options/plugins.go` gives the order.

mod claim_resize;
mod default_storage_class;
mod namespace_lifecycle;
mod priority;
mod service_account;
mod storage_protection;
mod taint_nodes;
mod tolerations;

use crate::api::Object;
use crate::etcd::Etcd;
use crate::machinery::status::Status;

use super::Context;

/// Admits an object that is to be created.
pub(super) fn admit_create(etcd: &Etcd, context: &mut Context<'_>, object: &mut Object) -> Result<(), Status> {
    namespace_lifecycle::admit(etcd, object)?;
    if let Object::Pod(pod) = object {
        let pod = std::sync::Arc::make_mut(pod);
        service_account::admit(etcd, context, pod)?;
        priority::admit(pod)?;
        tolerations::admit(pod);
    }
    if let Object::PersistentVolumeClaim(claim) = object {
        default_storage_class::admit(etcd, std::sync::Arc::make_mut(claim));
    }
    storage_protection::admit(object);
    if let Object::Node(node) = object {
        taint_nodes::admit(std::sync::Arc::make_mut(node));
    }
    Ok(())
}

/// Admits an update.
pub(super) fn admit_update(
    etcd: &Etcd,
    _context: &mut Context<'_>,
    object: &mut Object,
    existing: &Object,
) -> Result<(), Status> {
    if let Object::Pod(pod) = object {
        tolerations::admit(std::sync::Arc::make_mut(pod));
    }
    if let (Object::PersistentVolumeClaim(new), Object::PersistentVolumeClaim(old)) = (&*object, existing) {
        claim_resize::admit(etcd, new, old)?;
    }
    Ok(())
}
