//! What the API server changes or refuses besides what a kind's own rules say: the admission plugins that are on by
//! default.
//!
//! `kubernetes/pkg/kubeapiserver/options/plugins.go` gives the order. Plugins that change an object run before it is
//! prepared and validated, the others after it was found valid.

pub(super) mod admin_access;
mod certificates;
mod claim_resize;
mod connection;
mod default_ingress_class;
mod default_storage_class;
mod limit_ranger;
mod namespace_lifecycle;
mod node_restriction;
mod pod_resize;
mod pod_security;
mod pod_topology_labels;
mod priority;
mod resource_quota;
mod runtime_class;
mod service_account;
mod storage_protection;
mod taint_nodes;
mod tolerations;
mod validating_policy;

use std::sync::Arc;

use crate::api::{Kind, Object, Subresource};
use crate::etcd::Etcd;
use crate::machinery::apart::apart;
use crate::machinery::status::Status;

use super::authorization::escalation;
use super::{Context, User};

pub(super) use pod_topology_labels::labels_of_node;
pub(super) use validating_policy::unreachable;

/// A write as plugins see it, besides the object.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a> {
    /// The stored object; `None` for a creation.
    pub old: Option<&'a Object>,
    /// What below the object is written, if anything.
    pub subresource: Option<Subresource>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// Whether the old object is to go, and there is no new one.
    pub deletes: bool,
    /// What somebody wants of a connection to the object, when nothing is written at all.
    pub connects: Option<&'a serde_json::Value>,
}

impl Attributes<'_> {
    fn is_create(&self) -> bool {
        self.old.is_none()
    }

    /// What is done, as `request.operation` and rules name it.
    fn operation(&self) -> &'static str {
        match self {
            Self { deletes: true, .. } => "DELETE",
            Self { connects: Some(_), .. } => "CONNECT",
            Self { old: None, .. } => "CREATE",
            Self { old: Some(_), .. } => "UPDATE",
        }
    }
}

/// Lets the plugins refuse that an object is deleted.
pub(super) fn validate_deletion(
    etcd: &Etcd,
    context: &mut Context<'_>,
    existing: &Object,
    dry_run: bool,
) -> Result<(), Status> {
    apart(|| node_restriction::admit_deletion(context.user(), existing))?;
    let attributes = Attributes { old: Some(existing), subresource: None, dry_run, deletes: true, connects: None };
    apart(|| {
        validating_policy::call_webhooks(etcd, context, existing, attributes, Kind::MutatingWebhookConfiguration)
    })?;
    apart(|| validating_policy::validate(etcd, context, existing, attributes))?;
    apart(|| {
        validating_policy::call_webhooks(etcd, context, existing, attributes, Kind::ValidatingWebhookConfiguration)
    })
}

/// Lets the plugins change an object that is to be written.
pub(super) fn mutate(
    etcd: &Etcd,
    context: &mut Context<'_>,
    object: &mut Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    apart(|| node_restriction::admit(context.user(), object, attributes))?;
    if attributes.subresource.is_some() {
        let kind = Kind::MutatingWebhookConfiguration;
        return validating_policy::call_webhooks(etcd, context, object, attributes, kind);
    }
    apart(|| escalation::check(etcd, context.user(), object, attributes.old))?;
    if attributes.is_create() {
        apart(|| namespace_lifecycle::admit(etcd, object))?;
    }
    match object {
        Object::Pod(pod) => {
            let pod = Arc::make_mut(pod);
            if attributes.is_create() {
                apart(|| limit_ranger::admit(etcd, pod));
                apart(|| service_account::admit(etcd, context, pod))?;
            }
            apart(|| priority::admit(etcd, pod, attributes))?;
            apart(|| tolerations::admit(pod));
            if attributes.is_create() {
                apart(|| runtime_class::admit(etcd, pod))?;
            }
            apart(|| pod_topology_labels::admit(etcd, pod));
        }
        Object::Ingress(ingress) if attributes.is_create() => {
            apart(|| default_ingress_class::admit(etcd, Arc::make_mut(ingress)));
        }
        Object::PersistentVolumeClaim(claim) if attributes.is_create() => {
            apart(|| default_storage_class::admit(etcd, Arc::make_mut(claim)));
        }
        Object::Node(node) if attributes.is_create() => taint_nodes::admit(Arc::make_mut(node)),
        Object::Unstructured(request) if request.kind == Kind::CertificateSigningRequest && attributes.is_create() => {
            let User { name, groups } = context.user();
            crate::api::certificates::identify(Arc::make_mut(request), name, groups);
        }
        _ => {}
    }
    if attributes.is_create() {
        apart(|| storage_protection::admit(object));
    }
    apart(|| validating_policy::mutate(etcd, context, object, attributes))?;
    apart(|| validating_policy::call_webhooks(etcd, context, object, attributes, Kind::MutatingWebhookConfiguration))
}

/// Lets the plugins refuse an object that is valid.
pub(super) fn validate(
    etcd: &mut Etcd,
    context: &mut Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    apart(|| limit_ranger::validate(etcd, object, attributes))?;
    apart(|| pod_security::validate(etcd, context, object, attributes))?;
    if attributes.subresource.is_none() {
        apart(|| priority::validate(etcd, object))?;
    }
    if let Object::Pod(pod) = object {
        if attributes.is_create() {
            apart(|| runtime_class::validate(etcd, pod))?;
        }
        apart(|| pod_resize::validate(etcd, pod, attributes))?;
    }
    if let (Object::PersistentVolumeClaim(new), Some(Object::PersistentVolumeClaim(old))) = (object, attributes.old) {
        apart(|| claim_resize::admit(etcd, new, old))?;
    }
    if object.kind() == Kind::CertificateSigningRequest {
        apart(|| certificates::admit(etcd, context.user(), object, attributes))?;
    }
    apart(|| validating_policy::validate(etcd, context, object, attributes))?;
    apart(|| {
        validating_policy::call_webhooks(etcd, context, object, attributes, Kind::ValidatingWebhookConfiguration)
    })?;
    apart(|| resource_quota::validate(etcd, context, object, attributes))
}

/// A refusal by a plugin (`admission.NewForbidden`).
fn forbidden(object: &Object, why: &str) -> Status {
    let info = object.kind().info();
    let metadata = object.metadata();
    let name = [&metadata.name, &metadata.generate_name].into_iter().flatten().find(|name| !name.is_empty());
    Status::forbidden(info.group, info.plural, name.map_or("Unknown", String::as_str), why)
}
