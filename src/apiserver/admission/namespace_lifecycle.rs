//! Nothing is made in a namespace that does not exist or is going away.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle`.

use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::status::{Cause, Details, Reason, Status};

pub(super) fn admit(etcd: &Etcd, object: &Object) -> Result<(), Status> {
    let info = object.kind().info();
    if !info.namespaced {
        return Ok(());
    }
    let namespace = object.metadata().namespace.as_deref().unwrap_or("");
    let Some(found) = etcd.get(Kind::Namespace, &ObjectKey::new("", namespace)) else {
        return Err(Status::not_found("", "namespaces", namespace));
    };
    if found.is_deleting() {
        return Err(terminating(object, namespace));
    }
    Ok(())
}

fn terminating(object: &Object, namespace: &str) -> Status {
    let info = object.kind().info();
    let name = object.metadata().name.as_deref().unwrap_or("");
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let plain = Status::forbidden(info.group, info.plural, name, &why);
    let details = Details {
        causes: vec![Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }],
        ..plain.details().clone()
    };
    Status::with_details(Reason::Forbidden, plain.message(), details)
}
