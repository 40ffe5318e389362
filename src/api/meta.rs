//! `ObjectMeta` of every kind: validation and what an update may not change.
//!
//! Follows `k8s.io/apimachinery/pkg/api/validation/objectmeta.go` and the additions of
//! `pkg/apis/core/validation` (finalizer names).

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quote::quote;

use super::check::{self, IMMUTABLE, invalid_each, list, text};

/// `TotalAnnotationSizeLimitB`: keys and values of all annotations together.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// What a kind asks of its objects' names: the name and nothing else is judged.
pub(crate) type NameCheck = fn(&str) -> Vec<String>;

/// Which of upstream's two functions of one name judges the metadata: that of `pkg/apis/core/validation` also wants
/// finalizers without a slash to be standard ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finalizers {
    /// Any qualified name.
    Qualified,
    /// Standard names or fully qualified ones.
    Standard,
}

/// `ValidateObjectMeta` of `pkg/apis/core/validation`.
pub(crate) fn validate(metadata: &ObjectMeta, namespaced: bool, name_check: NameCheck) -> ErrorList {
    validate_with(metadata, namespaced, name_check, Finalizers::Standard)
}

/// `ValidateObjectMeta` for a new object.
pub(crate) fn validate_with(
    metadata: &ObjectMeta,
    namespaced: bool,
    name_check: NameCheck,
    finalizers: Finalizers,
) -> ErrorList {
    let path = Path::new("metadata");
    let mut errors = ErrorList::new();
    let generate_name = text(&metadata.generate_name);
    if !generate_name.is_empty() {
        let messages = name_check(&names::mask_trailing_dash(generate_name));
        invalid_each(&mut errors, &path.child("generateName"), generate_name, messages);
    }
    let name = text(&metadata.name);
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name or generateName is required"));
    } else {
        invalid_each(&mut errors, &path.child("name"), name, name_check(name));
    }
    validate_namespace(&mut errors, &path.child("namespace"), metadata, namespaced);
    check::not_negative(&mut errors, &path.child("generation"), metadata.generation.unwrap_or(0));
    validate_maps(&mut errors, &path, metadata);
    validate_finalizers(&mut errors, &path.child("finalizers"), list(&metadata.finalizers));
    if finalizers == Finalizers::Standard {
        validate_standard_finalizers(&mut errors, &path.child("finalizers"), list(&metadata.finalizers));
    }
    errors
}

fn validate_namespace(errors: &mut ErrorList, path: &Path, metadata: &ObjectMeta, namespaced: bool) {
    let namespace = text(&metadata.namespace);
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(FieldError::required(path, "")),
        (true, false) => check::dns_label(errors, path, namespace),
        (false, false) => errors.push(FieldError::forbidden(path, "not allowed on this type")),
        (false, true) => {}
    }
}

/// Labels, annotations and owners, which creation and update judge alike.
fn validate_maps(errors: &mut ErrorList, path: &Path, metadata: &ObjectMeta) {
    check::labels(errors, &path.child("labels"), metadata.labels.as_ref());
    validate_annotations(errors, &path.child("annotations"), metadata);
    validate_owner_references(errors, &path.child("ownerReferences"), list(&metadata.owner_references));
}

/// `ValidateAnnotations`.
pub(crate) fn validate_annotations(errors: &mut ErrorList, path: &Path, metadata: &ObjectMeta) {
    let mut bytes = 0;
    for (key, value) in metadata.annotations.iter().flatten() {
        // The rule is to validate what the key is in lower case, but to show it as it is.
        invalid_each(errors, path, key, names::is_qualified_name(&key.to_lowercase()));
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long(path, ANNOTATIONS_BYTES_MAX));
    }
}

fn validate_owner_references(errors: &mut ErrorList, path: &Path, owners: &[OwnerReference]) {
    let mut controller: Option<String> = None;
    for owner in owners {
        validate_owner_reference(errors, path, owner);
        if owner.controller != Some(true) {
            continue;
        }
        let name = format!("{}/{}", owner.kind, owner.name);
        if let Some(first) = &controller {
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
            );
            let shown: Vec<Value> = owners.iter().map(owner_json).collect();
            errors.push(FieldError::invalid(path, shown, detail));
        } else {
            controller = Some(name);
        }
    }
}

fn validate_owner_reference(errors: &mut ErrorList, path: &Path, owner: &OwnerReference) {
    // What has two slashes is no version at all to Go.
    let version = match owner.api_version.split_once('/') {
        Some((_, version)) if version.contains('/') => "",
        Some((_, version)) => version,
        None => owner.api_version.as_str(),
    };
    if version.is_empty() {
        let detail = "version must not be empty";
        errors.push(FieldError::invalid(&path.child("apiVersion"), owner.api_version.as_str(), detail));
    }
    for (field, value) in [("kind", &owner.kind), ("name", &owner.name), ("uid", &owner.uid)] {
        if value.is_empty() {
            errors.push(FieldError::invalid(&path.child(field), "", "must not be empty"));
        }
    }
    if owner.api_version == "v1" && owner.kind == "Event" {
        let detail = "/v1, Kind=Event is disallowed from being an owner";
        errors.push(FieldError::invalid(path, owner_json(owner), detail));
    }
}

/// An owner as Go writes it: fields in the order of its declaration.
fn owner_json(owner: &OwnerReference) -> Value {
    let mut value = json!({
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
    });
    if let Some(controller) = owner.controller {
        value["controller"] = controller.into();
    }
    if let Some(block) = owner.block_owner_deletion {
        value["blockOwnerDeletion"] = block.into();
    }
    value
}

fn validate_finalizers(errors: &mut ErrorList, path: &Path, finalizers: &[String]) {
    for finalizer in finalizers {
        check::qualified_name(errors, path, finalizer);
    }
    let has = |name: &str| finalizers.iter().any(|finalizer| finalizer == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(FieldError::invalid(path, finalizers.to_vec(), detail));
    }
}

/// `validateKubeFinalizerName` for each.
pub(crate) fn validate_standard_finalizers(errors: &mut ErrorList, path: &Path, finalizers: &[String]) {
    for (index, finalizer) in finalizers.iter().enumerate() {
        validate_standard_finalizer(errors, &path.index(index), finalizer);
    }
}

/// `validateKubeFinalizerName`.
pub(crate) fn validate_standard_finalizer(errors: &mut ErrorList, path: &Path, finalizer: &str) {
    if !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion") {
        let detail = "name is neither a standard finalizer name nor is it fully qualified";
        errors.push(FieldError::invalid(path, finalizer, detail));
    }
}

/// `ValidateObjectMetaUpdate` of `pkg/apis/core/validation`.
pub(crate) fn validate_update(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let mut errors = validate_update_common(new, old);
    validate_standard_finalizers(&mut errors, &Path::new("metadata").child("finalizers"), list(&new.finalizers));
    errors
}

/// `ValidateObjectMetaUpdate` of apimachinery: what the registry asks of every kind.
pub(crate) fn validate_update_common(new: &ObjectMeta, old: &ObjectMeta) -> ErrorList {
    let path = Path::new("metadata");
    let mut errors = ErrorList::new();
    if old.deletion_timestamp.is_some() {
        validate_no_new_finalizers(&mut errors, &path.child("finalizers"), new, old);
    }
    if text(&new.resource_version).is_empty() {
        let detail = "must be specified for an update";
        errors.push(FieldError::invalid(&path.child("resourceVersion"), "", detail));
    }
    let (generation, before) = (new.generation.unwrap_or(0), old.generation.unwrap_or(0));
    if generation < before {
        errors.push(FieldError::invalid(&path.child("generation"), generation, "must not be decremented"));
    }
    for (field, new, old) in
        [("name", &new.name, &old.name), ("namespace", &new.namespace, &old.namespace), ("uid", &new.uid, &old.uid)]
    {
        if text(new) != text(old) {
            errors.push(FieldError::invalid(&path.child(field), text(new), IMMUTABLE));
        }
    }
    for (field, new, old) in [
        ("creationTimestamp", &new.creation_timestamp, &old.creation_timestamp),
        ("deletionTimestamp", &new.deletion_timestamp, &old.deletion_timestamp),
    ] {
        check::immutable(&mut errors, &path.child(field), new, old, || check::json(new));
    }
    let (seconds, before) = (&new.deletion_grace_period_seconds, &old.deletion_grace_period_seconds);
    check::immutable(&mut errors, &path.child("deletionGracePeriodSeconds"), seconds, before, || check::json(seconds));
    validate_maps(&mut errors, &path, new);
    errors
}

fn validate_no_new_finalizers(errors: &mut ErrorList, path: &Path, new: &ObjectMeta, old: &ObjectMeta) {
    let before: BTreeSet<&String> = list(&old.finalizers).iter().collect();
    let extra: BTreeSet<&String> = list(&new.finalizers).iter().filter(|name| !before.contains(name)).collect();
    if extra.is_empty() {
        return;
    }
    let quoted: Vec<String> = extra.iter().map(|name| quote(name)).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        quoted.join(", ")
    );
    errors.push(FieldError::forbidden(path, detail));
}

/// What the registry's `BeforeUpdate` carries over from the stored object when the client left it out or may not
/// change it.
pub(crate) fn carry_over(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.generation = old.generation;
    new.self_link = None;
    for (new, old) in [(&mut new.uid, &old.uid), (&mut new.resource_version, &old.resource_version)] {
        if text(new).is_empty() {
            new.clone_from(old);
        }
    }
    new.creation_timestamp.clone_from(&old.creation_timestamp);
    if old.deletion_timestamp.is_some() {
        new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    }
    if old.deletion_grace_period_seconds.is_some() && new.deletion_grace_period_seconds.is_none() {
        new.deletion_grace_period_seconds = old.deletion_grace_period_seconds;
    }
}

/// `ResetObjectMetaForStatus`: what a write to a subresource may not change.
pub(crate) fn reset_for_status(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.deletion_timestamp.clone_from(&old.deletion_timestamp);
    new.generation = old.generation;
    new.self_link.clone_from(&old.self_link);
    new.labels.clone_from(&old.labels);
    new.annotations.clone_from(&old.annotations);
    new.finalizers.clone_from(&old.finalizers);
    new.owner_references.clone_from(&old.owner_references);
}

/// Adds one to the generation.
pub(crate) fn bump_generation(new: &mut ObjectMeta, old: &ObjectMeta) {
    new.generation = Some(old.generation.unwrap_or(0) + 1);
}

/// Drops empty maps and lists, which Go's encoding does not tell from missing ones.
pub(crate) fn canonicalize(metadata: &mut ObjectMeta) {
    if metadata.labels.as_ref().is_some_and(|map| map.is_empty()) {
        metadata.labels = None;
    }
    if metadata.annotations.as_ref().is_some_and(|map| map.is_empty()) {
        metadata.annotations = None;
    }
    if metadata.finalizers.as_ref().is_some_and(Vec::is_empty) {
        metadata.finalizers = None;
    }
    if metadata.owner_references.as_ref().is_some_and(Vec::is_empty) {
        metadata.owner_references = None;
    }
}
