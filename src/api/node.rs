//! The node group: RuntimeClasses. Follows `pkg/registry/node/runtimeclass`, `ValidateRuntimeClass` and
//! `printRuntimeClass`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ResourceRequirements, Toleration};
use k8s_openapi::api::node::v1::{RuntimeClass, Scheduling};
use serde_json::Value;

use super::check::{self, list};
use super::core::pod::{placement, requirements};
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `ValidateRuntimeClass`.
pub(crate) fn validate(class: &RuntimeClass) -> ErrorList {
    let mut errors = meta::validate(&class.metadata, false, names::is_dns1123_subdomain);
    let path = Path::new("handler");
    if class.handler.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        check::dns_label(&mut errors, &path, &class.handler);
    }
    if let Some(overhead) = &class.overhead {
        let limits = ResourceRequirements { limits: overhead.pod_fixed.clone(), ..ResourceRequirements::default() };
        requirements::validate_container(&mut errors, &Path::new("overhead"), &limits, &BTreeSet::new());
    }
    if let Some(scheduling) = &class.scheduling {
        validate_scheduling(&mut errors, &Path::new("scheduling"), scheduling);
    }
    errors
}

fn validate_scheduling(errors: &mut ErrorList, path: &Path, scheduling: &Scheduling) {
    check::labels(errors, &path.child("nodeSelector"), scheduling.node_selector.as_ref());
    let path = path.child("tolerations");
    let tolerations = list(&scheduling.tolerations);
    placement::validate_tolerations(errors, &path, tolerations);
    for (index, toleration) in tolerations.iter().enumerate() {
        if tolerations[..index].contains(toleration) {
            errors.push(FieldError::duplicate(&path.index(index), internal_toleration(toleration)));
        }
    }
}

fn internal_toleration(toleration: &Toleration) -> Value {
    internal::dump("Toleration", &check::json(toleration))
}

/// `ValidateRuntimeClassUpdate`.
pub(crate) fn validate_update(new: &RuntimeClass, old: &RuntimeClass) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let (handler, before) = (&new.handler, &old.handler);
    check::immutable(&mut errors, &Path::new("handler"), handler, before, || handler.as_str().into());
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Handler",
        "handler specifies the underlying runtime and configuration that the CRI implementation will use to handle pods \
         of this class. The possible values are specific to the node & CRI configuration. It is assumed that all \
         handlers are available on every node, and handlers of the same name are equivalent on every node. For example, \
         a handler called \"runc\" might specify that the runc OCI runtime (using native Linux containers) will be used \
         to run the containers in a pod. The Handler must be lowercase, conform to the DNS Label (RFC 1123) \
         requirements, and is immutable.",
    ),
    AGE,
];

pub(crate) fn row(class: &RuntimeClass, now: Time) -> Vec<Value> {
    vec![name_of(&class.metadata), class.handler.as_str().into(), age_of(&class.metadata, now)]
}
