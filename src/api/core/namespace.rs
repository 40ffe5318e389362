//! Namespaces. Follows `pkg/registry/core/namespace` and `ValidateNamespace`.

use k8s_openapi::api::core::v1::{Namespace, NamespaceStatus};
use serde_json::Value;

use crate::api::check::{self, list, text};
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// The label that every namespace has with its own name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// `FinalizerKubernetes`: the namespace controller removes it when the namespace is empty.
const FINALIZER: &str = "kubernetes";

/// `SetDefaults_Namespace`.
pub(crate) fn default(namespace: &mut Namespace) {
    if let Some(name) = namespace.metadata.name.clone().filter(|name| !name.is_empty()) {
        namespace.metadata.labels.get_or_insert_default().insert(NAME_LABEL.to_owned(), name);
    }
}

pub(crate) fn prepare_for_create(namespace: &mut Namespace) {
    namespace.status = Some(NamespaceStatus { phase: Some("Active".to_owned()), ..NamespaceStatus::default() });
    let finalizers = namespace.spec.get_or_insert_default().finalizers.get_or_insert_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
}

pub(crate) fn prepare_for_update(new: &mut Namespace, old: &Namespace, subresource: Option<Subresource>) {
    match subresource {
        Some(Subresource::Status) => new.spec.clone_from(&old.spec),
        Some(Subresource::Finalize) => new.status.clone_from(&old.status),
        _ => {
            let finalizers = old.spec.as_ref().and_then(|spec| spec.finalizers.clone());
            new.spec.get_or_insert_default().finalizers = finalizers;
            new.status.clone_from(&old.status);
        }
    }
}

pub(crate) fn validate(namespace: &Namespace) -> ErrorList {
    let mut errors = meta::validate(&namespace.metadata, false, names::is_dns1123_label);
    let path = Path::new("spec").child("finalizers");
    for finalizer in namespace.spec.iter().flat_map(|spec| list(&spec.finalizers)) {
        validate_finalizer(&mut errors, &path, finalizer);
    }
    errors
}

fn validate_finalizer(errors: &mut ErrorList, path: &Path, finalizer: &str) {
    check::qualified_name(errors, path, finalizer);
    meta::validate_standard_finalizer(errors, path, finalizer);
}

pub(crate) fn validate_update(new: &Namespace, old: &Namespace, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    match subresource {
        Some(Subresource::Status) => validate_phase(&mut errors, new),
        Some(Subresource::Finalize) => {
            let path = Path::new("spec").child("finalizers");
            let finalizers = new.spec.iter().flat_map(|spec| list(&spec.finalizers));
            finalizers.enumerate().for_each(|(index, name)| validate_finalizer(&mut errors, &path.index(index), name));
        }
        _ => {
            let mut own = validate(new);
            own.append(&mut errors);
            return own;
        }
    }
    errors
}

fn validate_phase(errors: &mut ErrorList, namespace: &Namespace) {
    let phase = namespace.status.as_ref().map_or("", |status| text(&status.phase));
    let (wanted, state) = if namespace.metadata.deletion_timestamp.is_some() {
        ("Terminating", "not empty")
    } else {
        ("Active", "empty")
    };
    if phase != wanted {
        let detail = format!("may only be '{wanted}' if `deletionTimestamp` is {state}");
        errors.push(FieldError::invalid(&Path::new("status").child("Phase"), phase, detail));
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] =
    &[NAME, ColumnDefinition::text("Status", "The status of the namespace"), AGE];

pub(crate) fn row(namespace: &Namespace, now: Time) -> Vec<Value> {
    let phase = namespace.status.as_ref().map_or("", |status| text(&status.phase));
    vec![name_of(&namespace.metadata), phase.into(), age_of(&namespace.metadata, now)]
}
