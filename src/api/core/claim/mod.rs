//! PersistentVolumeClaims. Follows `pkg/registry/core/persistentvolumeclaim`, `pkg/api/persistentvolumeclaim/util.go`
//! and `printPersistentVolumeClaim`.

mod validation;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, TypedLocalObjectReference,
    TypedObjectReference,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::BTreeMap;

use super::pod::defaults::{round_up, text_or};
use crate::api::check::{has_text, list, text};
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::Path;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

pub(crate) use validation::{
    validate, validate_access_modes, validate_not_negative, validate_spec, validate_update, validate_volume_mode,
};

/// The annotation that named the class before there was a field.
pub const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// What the server says of it.
pub(crate) const BETA_CLASS_WARNING: &str = "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated \
                                             since v1.8; use \"storageClassName\" attribute instead";

/// The value of an object's annotation.
pub(crate) fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The amount of storage in a list of resources.
pub(crate) fn storage(amounts: Option<&BTreeMap<String, ApiQuantity>>) -> Option<Quantity> {
    amounts?.get("storage").map(Quantity::of)
}

/// How much storage a claim asks for.
#[must_use]
pub fn requested(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    storage(claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref())
}

/// How much storage a claim has.
#[must_use]
pub fn capacity(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    storage(claim.status.as_ref()?.capacity.as_ref())
}

/// `GetPersistentVolumeClaimClass`: the name of the claim's class; empty when it wants none.
#[must_use]
pub fn class_of(claim: &PersistentVolumeClaim) -> &str {
    let field = claim.spec.as_ref().map_or("", |spec| text(&spec.storage_class_name));
    annotation(&claim.metadata, BETA_CLASS).unwrap_or(field)
}

/// `PersistentVolumeClaimHasClass`: whether the claim says anything about a class, if only that it wants none.
#[must_use]
pub fn has_class(claim: &PersistentVolumeClaim) -> bool {
    annotation(&claim.metadata, BETA_CLASS).is_some()
        || claim.spec.as_ref().is_some_and(|spec| spec.storage_class_name.is_some())
}

/// The claim's phase; empty before the server gave it one.
#[must_use]
pub fn phase_of(claim: &PersistentVolumeClaim) -> &str {
    claim.status.as_ref().map_or("", |status| text(&status.phase))
}

/// The volume that the claim names; empty when it names none.
#[must_use]
pub fn volume_name(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().map_or("", |spec| text(&spec.volume_name))
}

/// `SetDefaults_PersistentVolumeClaimSpec`, for templates of claims too.
pub(crate) fn default_spec(spec: &mut PersistentVolumeClaimSpec) {
    text_or(&mut spec.volume_mode, "Filesystem");
    let resources = spec.resources.iter_mut();
    resources.flat_map(|resources| [&mut resources.limits, &mut resources.requests]).flatten().for_each(round_up);
}

/// `SetDefaults_PersistentVolumeClaim`.
pub(crate) fn default(claim: &mut PersistentVolumeClaim) {
    text_or(&mut claim.status.get_or_insert_default().phase, "Pending");
    default_spec(claim.spec.get_or_insert_default());
}

pub(crate) fn prepare_for_create(claim: &mut PersistentVolumeClaim) {
    let pending = PersistentVolumeClaimStatus { phase: Some("Pending".to_owned()), ..Default::default() };
    claim.status = Some(pending);
    prepare_data_sources(claim, None);
}

pub(crate) fn prepare_for_update(
    new: &mut PersistentVolumeClaim,
    old: &PersistentVolumeClaim,
    subresource: Option<Subresource>,
) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    prepare_data_sources(new, Some(old));
}

/// `EnforceDataSourceBackwardsCompatibility` and `NormalizeDataSources`: what is no claim and no snapshot is dropped
/// from the old field, and then both fields say the same. The namespace of a source stands behind a gate that is off.
fn prepare_data_sources(claim: &mut PersistentVolumeClaim, old: Option<&PersistentVolumeClaim>) {
    let in_use = old.and_then(|old| old.spec.as_ref()).is_some_and(|spec| spec.data_source.is_some());
    let Some(spec) = &mut claim.spec else { return };
    let had_namespace = |claim: &PersistentVolumeClaim| {
        let source = claim.spec.as_ref().and_then(|spec| spec.data_source_ref.as_ref());
        source.is_some_and(|source| source.namespace.is_some())
    };
    if !old.is_some_and(had_namespace)
        && spec.data_source_ref.as_ref().is_some_and(|source| has_text(&source.namespace))
    {
        spec.data_source_ref = None;
    }
    if !in_use {
        spec.data_source.take_if(|source| !is_claim_or_snapshot(source));
    }
    match (&spec.data_source, &spec.data_source_ref) {
        (Some(source), None) => {
            spec.data_source_ref = Some(TypedObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
                namespace: None,
            });
        }
        (None, Some(source)) if !has_text(&source.namespace) => {
            spec.data_source = Some(TypedLocalObjectReference {
                api_group: source.api_group.clone(),
                kind: source.kind.clone(),
                name: source.name.clone(),
            });
        }
        _ => {}
    }
}

fn is_claim_or_snapshot(source: &TypedLocalObjectReference) -> bool {
    matches!(
        (source.kind.as_str(), text(&source.api_group)),
        ("PersistentVolumeClaim", "") | ("VolumeSnapshot", "snapshot.storage.k8s.io")
    )
}

/// `GetWarningsForPersistentVolumeClaim`.
pub(crate) fn warnings(claim: &PersistentVolumeClaim) -> Vec<String> {
    let deprecated = annotation(&claim.metadata, BETA_CLASS).map(|_| BETA_CLASS_WARNING.to_owned());
    let mut warnings: Vec<String> = deprecated.into_iter().collect();
    if let Some(spec) = &claim.spec {
        warnings.extend(warnings_of_spec(&Path::new("spec"), spec));
    }
    warnings
}

/// `GetWarningsForPersistentVolumeClaimSpec`.
pub(crate) fn warnings_of_spec(path: &Path, spec: &PersistentVolumeClaimSpec) -> Vec<String> {
    let resources = spec.resources.clone().unwrap_or_default();
    let amounts = [("requests", resources.requests), ("limits", resources.limits)];
    let fractions = amounts.iter().filter_map(|(field, amounts)| {
        let amount = storage(amounts.as_ref()).filter(|amount| amount.milli_value() % 1000 != 0)?;
        let path = path.child("resources").child(field).key("storage");
        Some(format!("{path}: fractional byte value {:?} is invalid, must be an integer", amount.to_string()))
    });
    fractions.collect()
}

/// `GetAccessModesAsString`.
pub(crate) fn access_modes(modes: &[String]) -> String {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let named = SHORT.iter().filter(|(long, _)| modes.iter().any(|mode| mode == long)).map(|(_, short)| *short);
    named.collect::<Vec<_>>().join(",")
}

/// The text, or `<unset>` when there is none.
pub(crate) fn or_unset(value: &Option<String>) -> Value {
    value.as_deref().unwrap_or("<unset>").into()
}

/// The phase, or `Terminating` when deletion was asked for.
pub(crate) fn phase_or_terminating(metadata: &ObjectMeta, phase: &str) -> Value {
    if metadata.deletion_timestamp.is_some() { "Terminating" } else { phase }.into()
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Status", "phase represents the current phase of PersistentVolumeClaim."),
    ColumnDefinition::text("Volume", "volumeName is the binding reference to the PersistentVolume backing this claim."),
    ColumnDefinition::text("Capacity", "capacity represents the actual resources of the underlying volume."),
    ColumnDefinition::text(
        "Access Modes",
        "accessModes contains the actual access modes the volume backing the PVC has. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#access-modes-1",
    ),
    ColumnDefinition::text("StorageClass", "StorageClass of the pvc"),
    ColumnDefinition::text("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
    AGE,
    ColumnDefinition::text(
        "VolumeMode",
        "volumeMode defines what type of volume is required by the claim. Value of Filesystem is implied when not \
         included in claim spec.",
    )
    .wide(),
];

pub(crate) fn row(claim: &PersistentVolumeClaim, now: Time) -> Vec<Value> {
    let spec = claim.spec.clone().unwrap_or_default();
    let status = claim.status.clone().unwrap_or_default();
    let (mut amount, mut modes) = (String::new(), String::new());
    if has_text(&spec.volume_name) {
        modes = access_modes(list(&status.access_modes));
        amount = storage(status.capacity.as_ref()).map_or_else(|| "0".to_owned(), |amount| amount.to_string());
    }
    vec![
        name_of(&claim.metadata),
        phase_or_terminating(&claim.metadata, text(&status.phase)),
        text(&spec.volume_name).into(),
        amount.into(),
        modes.into(),
        class_of(claim).into(),
        or_unset(&spec.volume_attributes_class_name),
        age_of(&claim.metadata, now),
        or_unset(&spec.volume_mode),
    ]
}
