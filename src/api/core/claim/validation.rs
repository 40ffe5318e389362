//! What is wrong with a claim. Follows `ValidatePersistentVolumeClaim` and its like of
//! `pkg/apis/core/validation/validation.go`.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};
use serde_json::json;

use super::{BETA_CLASS, annotation, capacity, phase_of, requested, storage};
use crate::api::check::{self, IMMUTABLE, NOT_POSITIVE, has_text, list, text};
use crate::api::core::pod::requirements::validate_quantity;
use crate::api::core::pod::update::pretty;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::{internal, meta};
use crate::machinery::diff;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// `supportedAccessModes`, in the order in which messages tell them.
const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// `supportedVolumeModes`.
const VOLUME_MODES: &[&str] = &["Block", "Filesystem"];
/// `resizeStatusSet`.
const RESIZE_STATUSES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// `ValidatePersistentVolumeClaim`.
pub(crate) fn validate(claim: &PersistentVolumeClaim) -> ErrorList {
    let mut errors = meta::validate(&claim.metadata, true, names::is_dns1123_subdomain);
    let missing = PersistentVolumeClaimSpec::default();
    validate_spec(&mut errors, &Path::new("spec"), claim.spec.as_ref().unwrap_or(&missing));
    errors
}

/// `ValidatePersistentVolumeClaimSpec`, for templates of claims too.
pub(crate) fn validate_spec(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeClaimSpec) {
    let modes = list(&spec.access_modes);
    if modes.is_empty() {
        errors.push(FieldError::required(&path.child("accessModes"), "at least 1 access mode is required"));
    }
    check::label_selector(errors, &path.child("selector"), spec.selector.as_ref());
    validate_access_modes(errors, &path.child("accessModes"), modes);
    let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let at = path.child("resources").key("storage");
    match storage(requests) {
        None => errors.push(FieldError::required(&at, "")),
        Some(amount) if amount.cmp_int(0).is_le() => {
            errors.push(FieldError::invalid(&at, amount.to_string(), NOT_POSITIVE));
        }
        Some(amount) => validate_quantity(errors, &at, "storage", amount),
    }
    if has_text(&spec.storage_class_name) {
        check::dns_subdomain(errors, &path.child("storageClassName"), text(&spec.storage_class_name));
    }
    validate_volume_mode(errors, &path.child("volumeMode"), spec.volume_mode.as_deref());
    validate_data_sources(errors, path, spec);
    if has_text(&spec.volume_attributes_class_name) {
        let at = path.child("volumeAttributesClassName");
        check::dns_subdomain(errors, &at, text(&spec.volume_attributes_class_name));
    }
}

/// Access modes of a claim or a volume: known ones, and the strictest only by itself.
pub(crate) fn validate_access_modes(errors: &mut ErrorList, path: &Path, modes: &[String]) {
    for mode in modes {
        check::supported(errors, path, mode, ACCESS_MODES);
    }
    let is_single = |mode: &String| mode == "ReadWriteOncePod";
    let is_other = |mode: &String| !is_single(mode) && ACCESS_MODES.contains(&mode.as_str());
    if modes.iter().any(is_single) && modes.iter().any(is_other) {
        errors.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

/// The mode of a claim or a volume.
pub(crate) fn validate_volume_mode(errors: &mut ErrorList, path: &Path, mode: Option<&str>) {
    if let Some(mode) = mode {
        check::supported(errors, path, mode, VOLUME_MODES);
    }
}

fn validate_data_sources(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeClaimSpec) {
    if let Some(source) = &spec.data_source {
        let group = text(&source.api_group);
        validate_data_source(errors, &path.child("dataSource"), &source.name, &source.kind, group);
    }
    let Some(reference) = &spec.data_source_ref else { return };
    let at = path.child("dataSourceRef");
    validate_data_source(errors, &at, &reference.name, &reference.kind, text(&reference.api_group));
    let namespace = text(&reference.namespace);
    if !namespace.is_empty() {
        check::dns_label(errors, &at.child("namespace"), namespace);
    }
    let Some(source) = &spec.data_source else { return };
    // Upstream shows the path where the value should be, and a path has no fields that JSON could show.
    let mut refuse = |detail| errors.push(FieldError::invalid(path, json!({}), detail));
    if !namespace.is_empty() {
        refuse("may not be specified when dataSourceRef.namespace is specified");
    } else if (&source.api_group, &source.kind, &source.name)
        != (&reference.api_group, &reference.kind, &reference.name)
    {
        refuse("must match dataSourceRef");
    }
}

/// `validateDataSource`.
fn validate_data_source(errors: &mut ErrorList, path: &Path, name: &str, kind: &str, group: &str) {
    check::required(errors, &path.child("name"), name);
    check::required(errors, &path.child("kind"), kind);
    if group.is_empty() && kind != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.push(FieldError::invalid(path, kind, detail));
    }
    if !group.is_empty() {
        check::dns_subdomain(errors, &path.child("apiGroup"), group);
    }
}

/// `ValidatePersistentVolumeClaimUpdate` and, for the status, `ValidatePersistentVolumeClaimStatusUpdate`.
pub(crate) fn validate_update(
    new: &PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
    subresource: Option<Subresource>,
) -> ErrorList {
    let mut errors = validate(new);
    if subresource == Some(Subresource::Status) {
        errors = meta::validate_update(&new.metadata, &old.metadata);
        validate_status(&mut errors, &new.status.clone().unwrap_or_default());
        return errors;
    }
    let own = std::mem::replace(&mut errors, meta::validate_update(&new.metadata, &old.metadata));
    errors.extend(own);
    validate_same_spec(&mut errors, new, old);
    validate_shrinking(&mut errors, new, old);
    let (new_spec, old_spec) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    let mode = &new_spec.volume_mode;
    check::immutable(&mut errors, &Path::new("volumeMode"), mode, &old_spec.volume_mode, || check::json(mode));
    validate_attributes_class(
        &mut errors,
        new_spec.volume_attributes_class_name.as_deref(),
        old_spec.volume_attributes_class_name.as_deref(),
    );
    errors
}

/// Once there is a class of attributes, there always is one.
fn validate_attributes_class(errors: &mut ErrorList, new: Option<&str>, old: Option<&str>) {
    let path = Path::new("spec").child("volumeAttributesClassName");
    match (old, new) {
        (Some(_), None) => errors.push(FieldError::forbidden(&path, "update from non-nil value to nil is forbidden")),
        (Some(old), Some("")) if !old.is_empty() => {
            let detail = "update from non-nil value to an empty string is forbidden";
            errors.push(FieldError::forbidden(&path, detail));
        }
        _ => {}
    }
}

/// Of a claim's spec only the request and the class of attributes may change once it is bound, and what was not set
/// may be filled in: the volume's name, and the class.
fn validate_same_spec(errors: &mut ErrorList, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) {
    let mut after = new.spec.clone().unwrap_or_default();
    let mut before = old.spec.clone().unwrap_or_default();
    if !has_text(&before.volume_name) {
        before.volume_name.clone_from(&after.volume_name);
    }
    let (old_class, new_class) = (annotation(&old.metadata, BETA_CLASS), annotation(&new.metadata, BETA_CLASS));
    let class = after.storage_class_name.clone();
    let fills_in = before.storage_class_name.is_none() && class.is_some();
    if fills_in
        && old_class.is_some()
        && old_class == class.as_deref()
        && (new_class.is_none() || new_class == old_class)
    {
        after.storage_class_name = None;
    } else {
        if new_class != old_class {
            let path = Path::new("metadata").child("annotations").key(BETA_CLASS);
            errors.push(FieldError::invalid(&path, new_class.unwrap_or(""), IMMUTABLE));
        }
        if fills_in && (old_class.is_none() || old_class == class.as_deref()) {
            after.storage_class_name.clone_from(&before.storage_class_name);
        }
    }
    if phase_of(new) == "Bound" {
        let asked = before.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get("storage"));
        if let Some(requests) = after.resources.as_mut().and_then(|resources| resources.requests.as_mut()) {
            requests.extend(asked.map(|amount| ("storage".to_owned(), amount.clone())));
        }
        if after.volume_attributes_class_name.is_some() {
            after.volume_attributes_class_name.clone_from(&before.volume_attributes_class_name);
        }
    }
    if semantic_equal(&after, &before) {
        return;
    }
    let shown =
        |spec: &PersistentVolumeClaimSpec| pretty(&internal::dump("PersistentVolumeClaimSpec", &check::json(spec)));
    let difference = diff::unified(&shown(&before), &shown(&after));
    let detail = format!(
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n\
         {difference}"
    );
    errors.push(FieldError::forbidden(&Path::new("spec"), detail));
}

/// A request may become smaller when the expansion to the larger one failed, but not as small as what is there already.
fn validate_shrinking(errors: &mut ErrorList, new: &PersistentVolumeClaim, old: &PersistentVolumeClaim) {
    let zero = Quantity::default;
    let (after, before) = (requested(new).unwrap_or_else(zero), requested(old).unwrap_or_else(zero));
    if after < before && after <= capacity(old).unwrap_or_else(zero) {
        let path = Path::new("spec").child("resources").child("requests").child("storage");
        errors.push(FieldError::forbidden(&path, "field can not be less than status.capacity"));
    }
}

fn validate_status(errors: &mut ErrorList, status: &PersistentVolumeClaimStatus) {
    let path = Path::new("status");
    for (name, amount) in status.capacity.iter().flatten() {
        validate_not_negative(errors, &path.child("capacity").key(name), Quantity::of(amount));
    }
    let at = path.child("allocatedResourceStatus");
    for (name, value) in status.allocated_resource_statuses.iter().flatten() {
        validate_resource_key(errors, &at, name);
        if !RESIZE_STATUSES.contains(&value.as_str()) {
            errors.push(FieldError::not_supported(&at, name.as_str(), RESIZE_STATUSES));
        }
    }
    let at = path.child("allocatedResources");
    for (name, amount) in status.allocated_resources.iter().flatten() {
        validate_resource_key(errors, &at, name);
        validate_not_negative(errors, &at.key(name), Quantity::of(amount));
    }
}

/// `validatePersistentVolumeClaimResourceKey`.
fn validate_resource_key(errors: &mut ErrorList, path: &Path, name: &str) {
    let messages = names::is_qualified_name(name);
    let is_native = !name.contains('/') || name.starts_with("kubernetes.io/");
    if messages.is_empty() && is_native {
        check::supported(errors, path, name, &["storage"]);
    }
    check::invalid_each(errors, path, name, messages);
}

/// `validateBasicResource`: upstream shows the amount as a number.
pub(crate) fn validate_not_negative(errors: &mut ErrorList, path: &Path, amount: Quantity) {
    if amount.cmp_int(0).is_lt() {
        errors.push(FieldError::invalid(path, amount.value(), "must be a valid resource quantity"));
    }
}
