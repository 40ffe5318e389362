//! Claims for devices that others use are for namespaces that are meant for it.
//!
//! Follows `AuthorizedForAdmin` of `kubernetes/pkg/apis/resource/validation` and the strategies of claims and templates.

use k8s_openapi::api::core::v1::Namespace;

use crate::api::resource::claim::{items, spec};
use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::field::{ErrorList, FieldError, Path};

/// `DRAAdminNamespaceLabelKey`.
const LABEL: &str = "resource.kubernetes.io/admin-access";

/// What is wrong with a new claim or template of claims that asks for such access.
#[inline(never)]
pub(in crate::apiserver) fn check(etcd: &Etcd, object: &Object) -> Option<ErrorList> {
    let Object::Unstructured(object) = object else { return None };
    let spec = match object.kind {
        Kind::ResourceClaim => spec(object),
        Kind::ResourceClaimTemplate => &spec(object)["spec"],
        _ => return None,
    };
    let requests = items(&spec["devices"], "requests");
    let index = requests.iter().position(|request| request["exactly"]["adminAccess"] == true)?;
    let namespace = ObjectKey::new("", object.metadata.namespace.as_deref().unwrap_or(""));
    let namespace = etcd.get(Kind::Namespace, &namespace).and_then(|object| object.downcast::<Namespace>());
    let labels = namespace.and_then(|namespace| namespace.metadata.labels.as_ref());
    if labels.and_then(|labels| labels.get(LABEL)).is_some_and(|value| value == "true") {
        return None;
    }
    let path = Path::new("spec").child("devices").child("requests").index(index).child("adminAccess");
    let why = format!("admin access to devices requires the `{LABEL}: true` label on the containing namespace");
    Some(vec![FieldError::forbidden(&path, why)])
}
