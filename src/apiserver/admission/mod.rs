//! What the API server changes or refuses before an object is validated: the admission plugins that are on by default.
//!
//! `kubernetes/pkg/kubeapiserver/options/plugins.go` gives the order.

mod namespace_lifecycle;
mod priority;
mod service_account;
mod taint_nodes;
mod tolerations;

use crate::api::Object;
use crate::etcd::Etcd;
use crate::machinery::status::Status;

use super::Context;
use super::authorization::escalation;

/// Admits an object that is to be created.
pub(super) fn admit_create(etcd: &Etcd, context: &mut Context<'_>, object: &mut Object) -> Result<(), Status> {
    escalation::check(etcd, context.user(), object, None)?;
    namespace_lifecycle::admit(etcd, object)?;
    if let Object::Pod(pod) = object {
        let pod = std::sync::Arc::make_mut(pod);
        service_account::admit(etcd, context, pod)?;
        priority::admit(pod)?;
        tolerations::admit(pod);
    }
    if let Object::Node(node) = object {
        taint_nodes::admit(std::sync::Arc::make_mut(node));
    }
    Ok(())
}

/// Admits an update. None of the plugins that are on acts on the kinds that are served, but for pods' tolerations.
pub(super) fn admit_update(
    etcd: &Etcd,
    context: &mut Context<'_>,
    object: &mut Object,
    existing: &Object,
) -> Result<(), Status> {
    escalation::check(etcd, context.user(), object, Some(existing))?;
    if let Object::Pod(pod) = object {
        tolerations::admit(std::sync::Arc::make_mut(pod));
    }
    Ok(())
}
