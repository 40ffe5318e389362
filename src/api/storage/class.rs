//! StorageClasses. Follows `ValidateStorageClass` and `printStorageClass`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::TopologySelectorTerm;
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use super::{forbid_update, says_true, validate_parameters, validate_provisioner};
use crate::api::check::{self, list, text};
use crate::api::core::pod::warnings::deprecated_node_label;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `IsDefaultAnnotation`: whether claims without a class get this one.
#[must_use]
pub fn is_default(class: &StorageClass) -> bool {
    const KEYS: [&str; 2] =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    says_true(&class.metadata, &KEYS)
}

/// `SetDefaults_StorageClass`.
pub(crate) fn default(class: &mut StorageClass) {
    class.reclaim_policy.get_or_insert_with(|| "Delete".to_owned());
    class.volume_binding_mode.get_or_insert_with(|| "Immediate".to_owned());
}

/// `ValidateStorageClass`.
pub(crate) fn validate(class: &StorageClass) -> ErrorList {
    let mut errors = meta::validate(&class.metadata, false, names::is_dns1123_subdomain);
    validate_provisioner(&mut errors, &Path::new("provisioner"), &class.provisioner);
    let parameters = class.parameters.clone().unwrap_or_default();
    validate_parameters(&mut errors, &Path::new("parameters"), &parameters, true);
    let policy = text(&class.reclaim_policy);
    if !policy.is_empty() {
        check::supported(&mut errors, &Path::new("reclaimPolicy"), policy, &["Delete", "Retain"]);
    }
    let mode = text(&class.volume_binding_mode);
    check::supported(&mut errors, &Path::new("volumeBindingMode"), mode, &["Immediate", "WaitForFirstConsumer"]);
    validate_topologies(&mut errors, &Path::new("allowedTopologies"), list(&class.allowed_topologies));
    errors
}

/// `validateAllowedTopologies`: no term says the same as another.
fn validate_topologies(errors: &mut ErrorList, path: &Path, terms: &[TopologySelectorTerm]) {
    let mut known: Vec<Vec<(&str, BTreeSet<&String>)>> = Vec::new();
    for (index, term) in terms.iter().enumerate() {
        let path = path.index(index).child("matchLabelExpressions");
        validate_term(errors, &path, term);
        let mut meaning: Vec<(&str, BTreeSet<&String>)> = Vec::new();
        for requirement in list(&term.match_label_expressions) {
            if meaning.iter().all(|(key, _)| *key != requirement.key) {
                meaning.push((&requirement.key, requirement.values.iter().collect()));
            }
        }
        let same = |other: &&Vec<(&str, BTreeSet<&String>)>| {
            other.len() == meaning.len() && meaning.iter().all(|requirement| other.contains(requirement))
        };
        for _ in known.iter().filter(same) {
            errors.push(FieldError::duplicate(&path, ""));
        }
        known.push(meaning);
    }
}

/// `ValidateTopologySelectorTerm`.
fn validate_term(errors: &mut ErrorList, path: &Path, term: &TopologySelectorTerm) {
    let mut keys = BTreeSet::new();
    for (index, requirement) in list(&term.match_label_expressions).iter().enumerate() {
        let path = path.index(index);
        let values = path.child("values");
        let mut known = BTreeSet::new();
        if requirement.values.is_empty() {
            errors.push(FieldError::required(&values, ""));
        }
        for (index, value) in requirement.values.iter().enumerate() {
            if !known.insert(value) {
                errors.push(FieldError::duplicate(&values.index(index), value.as_str()));
            }
        }
        check::qualified_name(errors, &path.child("key"), &requirement.key);
        if !keys.insert(&requirement.key) {
            errors.push(FieldError::duplicate(&path.child("key"), requirement.key.as_str()));
        }
    }
}

/// `ValidateStorageClassUpdate`, after the class itself was judged.
pub(crate) fn validate_update(new: &StorageClass, old: &StorageClass) -> ErrorList {
    let mut errors = validate(new);
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    let parameters = |class: &StorageClass| class.parameters.clone().unwrap_or_default();
    forbid_update(&mut errors, "parameters", parameters(new) != parameters(old));
    forbid_update(&mut errors, "provisioner", new.provisioner != old.provisioner);
    forbid_update(&mut errors, "reclaimPolicy", new.reclaim_policy != old.reclaim_policy);
    let mode = &new.volume_binding_mode;
    let path = Path::new("volumeBindingMode");
    check::immutable(&mut errors, &path, mode, &old.volume_binding_mode, || check::json(mode));
    errors
}

/// `GetWarningsForStorageClass`: labels of nodes that were replaced.
pub(crate) fn warnings(class: &StorageClass) -> Vec<String> {
    let mut warnings = Vec::new();
    for (at, term) in list(&class.allowed_topologies).iter().enumerate() {
        for (index, requirement) in list(&term.match_label_expressions).iter().enumerate() {
            if let Some(message) = deprecated_node_label(&requirement.key) {
                warnings.push(format!(
                    "allowedTopologies[{at}].matchLabelExpressions[{index}].key: {} is {message}",
                    requirement.key
                ));
            }
        }
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Provisioner", "provisioner indicates the type of the provisioner."),
    ColumnDefinition::text(
        "ReclaimPolicy",
        "reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class. \
         Defaults to Delete.",
    ),
    ColumnDefinition::text(
        "VolumeBindingMode",
        "volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound. When unset, \
         VolumeBindingImmediate is used. This field is only honored by servers that enable the VolumeScheduling \
         feature.",
    ),
    ColumnDefinition::text(
        "AllowVolumeExpansion",
        "allowVolumeExpansion shows whether the storage class allow volume expand.",
    ),
    AGE,
];

pub(crate) fn row(class: &StorageClass, now: Time) -> Vec<Value> {
    let mark = if is_default(class) { " (default)" } else { "" };
    vec![
        format!("{}{mark}", text(&class.metadata.name)).into(),
        class.provisioner.as_str().into(),
        class.reclaim_policy.as_deref().unwrap_or("Delete").into(),
        class.volume_binding_mode.as_deref().unwrap_or("Immediate").into(),
        class.allow_volume_expansion.unwrap_or(false).into(),
        age_of(&class.metadata, now),
    ]
}
