//! What is wrong with a volume. Follows `ValidatePersistentVolume` and its like of
//! `pkg/apis/core/validation/validation.go`.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec, VolumeNodeAffinity};
use serde_json::Value;

use super::source;
use crate::api::check::{self, IMMUTABLE, NOT_POSITIVE, has_text, list, text};
use crate::api::core::claim::{validate_access_modes, validate_not_negative, validate_volume_mode};
use crate::api::core::pod::placement::validate_node_selector;
use crate::api::core::pod::update::pretty;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::{internal, meta};
use crate::machinery::diff;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// `supportedReclaimPolicy`, in the order in which messages tell them.
const RECLAIM_POLICIES: &[&str] = &["Delete", "Recycle", "Retain"];

/// `ValidatePersistentVolume`.
pub(crate) fn validate(volume: &PersistentVolume) -> ErrorList {
    let mut errors = meta::validate(&volume.metadata, false, names::is_dns1123_subdomain);
    let missing = PersistentVolumeSpec::default();
    let spec = volume.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    validate_modes(&mut errors, &path, spec);
    validate_capacity(&mut errors, &path.child("capacity"), spec);
    let policy = text(&spec.persistent_volume_reclaim_policy);
    if !policy.is_empty() {
        check::supported(&mut errors, &path.child("persistentVolumeReclaimPolicy"), policy, RECLAIM_POLICIES);
    }
    let has_node_affinity =
        validate_node_affinity(&mut errors, &path.child("nodeAffinity"), spec.node_affinity.as_ref());
    source::validate(&mut errors, &path, text(&volume.metadata.name), spec, has_node_affinity);
    validate_no_recycled_root(&mut errors, &path, spec);
    if has_text(&spec.storage_class_name) {
        check::dns_subdomain(&mut errors, &path.child("storageClassName"), text(&spec.storage_class_name));
    }
    validate_volume_mode(&mut errors, &path.child("volumeMode"), spec.volume_mode.as_deref());
    validate_attributes_class(&mut errors, &path, spec);
    errors
}

/// `ValidatePersistentVolumeSpec` for a volume that stands inside a VolumeAttachment.
pub(crate) fn validate_inline_spec(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeSpec) {
    const INLINE: &str = "may not be specified in the context of inline volumes";
    let forbid = |errors: &mut ErrorList, field: &str, named: bool| {
        if named {
            errors.push(FieldError::forbidden(&path.child(field), INLINE));
        }
    };
    forbid(errors, "claimRef", spec.claim_ref.is_some());
    forbid(errors, "capacity", spec.capacity.as_ref().is_some_and(|capacity| !capacity.is_empty()));
    if spec.csi.is_none() {
        errors.push(FieldError::required(&path.child("csi"), "has to be specified in the context of inline volumes"));
    }
    validate_modes(errors, path, spec);
    if !matches!(text(&spec.persistent_volume_reclaim_policy), "" | "Retain") {
        let detail = "may only be Retain in the context of inline volumes";
        errors.push(FieldError::forbidden(&path.child("persistentVolumeReclaimPolicy"), detail));
    }
    forbid(errors, "nodeAffinity", spec.node_affinity.is_some());
    source::validate(errors, path, "", spec, false);
    validate_no_recycled_root(errors, path, spec);
    forbid(errors, "storageClassName", has_text(&spec.storage_class_name));
    if spec.volume_mode.as_deref().is_some_and(|mode| mode != "Filesystem") {
        let detail = "may not specify volumeMode other than Filesystem in the context of inline volumes";
        errors.push(FieldError::forbidden(&path.child("volumeMode"), detail));
    }
    validate_attributes_class(errors, path, spec);
}

fn validate_modes(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeSpec) {
    let modes = list(&spec.access_modes);
    if modes.is_empty() {
        errors.push(FieldError::required(&path.child("accessModes"), ""));
    }
    validate_access_modes(errors, &path.child("accessModes"), modes);
}

fn validate_capacity(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeSpec) {
    let amounts = spec.capacity.clone().unwrap_or_default();
    if amounts.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if !amounts.contains_key("storage") || amounts.len() > 1 {
        let shown = spec.capacity.as_ref().map_or(Value::Null, check::json);
        errors.push(FieldError::not_supported(path, shown, &["storage"]));
    }
    for (name, amount) in &amounts {
        let (at, amount) = (path.key(name), Quantity::of(amount));
        validate_not_negative(errors, &at, amount);
        if amount.cmp_int(0).is_le() {
            errors.push(FieldError::invalid(&at, amount.to_string(), NOT_POSITIVE));
        }
    }
}

/// `validateVolumeNodeAffinity`; whether there are constraints.
fn validate_node_affinity(errors: &mut ErrorList, path: &Path, affinity: Option<&VolumeNodeAffinity>) -> bool {
    let Some(affinity) = affinity else { return false };
    match &affinity.required {
        Some(required) => validate_node_selector(errors, &path.child("required"), required),
        None => {
            errors.push(FieldError::required(&path.child("required"), "must specify required node constraints"));
        }
    }
    true
}

/// Recycling a node's root folder would be the end of the node.
fn validate_no_recycled_root(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeSpec) {
    let is_root = |target: &str| target.starts_with('/') && target.split('/').all(|step| matches!(step, "" | "."));
    if text(&spec.persistent_volume_reclaim_policy) == "Recycle"
        && spec.host_path.as_ref().is_some_and(|source| is_root(&source.path))
    {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        errors.push(FieldError::forbidden(&path.child("persistentVolumeReclaimPolicy"), detail));
    }
}

fn validate_attributes_class(errors: &mut ErrorList, path: &Path, spec: &PersistentVolumeSpec) {
    let Some(class) = &spec.volume_attributes_class_name else { return };
    let at = path.child("volumeAttributesClassName");
    if class.is_empty() {
        errors.push(FieldError::required(&at, "an empty string is disallowed"));
    } else {
        check::dns_subdomain(errors, &at, class);
    }
    if spec.csi.is_none() {
        let detail = "has to be specified when using volumeAttributesClassName";
        errors.push(FieldError::required(&path.child("csi"), detail));
    }
}

/// `ValidatePersistentVolumeUpdate` and, for the status, `ValidatePersistentVolumeStatusUpdate`.
pub(crate) fn validate_update(
    new: &PersistentVolume,
    old: &PersistentVolume,
    subresource: Option<Subresource>,
) -> ErrorList {
    if subresource == Some(Subresource::Status) {
        return meta::validate_update(&new.metadata, &old.metadata);
    }
    let mut errors = validate(new);
    let (mut new, old) = (new.spec.clone().unwrap_or_default(), old.spec.clone().unwrap_or_default());
    if let (Some(new), Some(old)) = (&mut new.csi, &old.csi)
        && old.controller_expand_secret_ref.is_none()
    {
        new.controller_expand_secret_ref = None;
    }
    validate_same_source(&mut errors, &new, &old);
    let mode = &new.volume_mode;
    check::immutable(&mut errors, &Path::new("volumeMode"), mode, &old.volume_mode, || check::json(mode));
    if old.node_affinity.is_some() && !semantic_equal(&without_beta_labels(&new, &old), &old.node_affinity) {
        let shown = internal::dump("VolumeNodeAffinity", &check::json(&new.node_affinity));
        errors.push(FieldError::invalid(&Path::new("nodeAffinity"), shown, IMMUTABLE));
    }
    if old.volume_attributes_class_name.is_some() && new.volume_attributes_class_name.is_none() {
        let path = Path::new("spec").child("volumeAttributesClassName");
        errors.push(FieldError::forbidden(&path, "update from non-nil value to nil is forbidden"));
    }
    errors
}

/// `validatePvNodeAffinity`: labels of nodes that were replaced may be replaced here too.
fn without_beta_labels(new: &PersistentVolumeSpec, old: &PersistentVolumeSpec) -> Option<VolumeNodeAffinity> {
    const REPLACED: [(&str, &str); 5] = [
        ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
        ("beta.kubernetes.io/os", "kubernetes.io/os"),
        ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
        ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
        ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
    ];
    let mut affinity = new.node_affinity.clone();
    let new_terms = affinity.iter_mut().flat_map(|affinity| &mut affinity.required);
    let old_terms = old.node_affinity.iter().flat_map(|affinity| &affinity.required);
    for (new, old) in new_terms.zip(old_terms) {
        for (new, old) in new.node_selector_terms.iter_mut().zip(&old.node_selector_terms) {
            for (new, old) in new.match_expressions.iter_mut().flatten().zip(list(&old.match_expressions)) {
                if REPLACED.contains(&(old.key.as_str(), new.key.as_str())) {
                    new.key.clone_from(&old.key);
                }
            }
        }
    }
    affinity
}

fn validate_same_source(errors: &mut ErrorList, new: &PersistentVolumeSpec, old: &PersistentVolumeSpec) {
    let shown = |spec: &PersistentVolumeSpec| internal::dump("PersistentVolumeSource", &check::json(spec));
    let (before, after) = (shown(old), shown(new));
    if before != after {
        let difference = diff::unified(&pretty(&before), &pretty(&after));
        let detail = format!("spec.persistentvolumesource is immutable after creation\n{difference}");
        errors.push(FieldError::forbidden(&Path::new("spec").child("persistentvolumesource"), detail));
    }
}
