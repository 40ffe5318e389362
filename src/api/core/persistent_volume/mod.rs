//! PersistentVolumes. Follows `pkg/registry/core/persistentvolume`, `pkg/api/persistentvolume/util.go` and
//! `printPersistentVolume`.

mod source;
mod validation;

use k8s_openapi::api::core::v1::{NodeSelectorTerm, PersistentVolume, PersistentVolumeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::claim::{BETA_CLASS, BETA_CLASS_WARNING, access_modes, annotation, or_unset, phase_or_terminating, storage};
use super::pod::defaults::{round_up, text_or};
use super::pod::warnings::deprecated_node_label;
use crate::api::check::{list, text};
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::Path;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

pub(crate) use validation::{validate, validate_inline_spec, validate_update};

/// The annotation that listed mount options before there was a field.
const MOUNT_OPTIONS: &str = "volume.beta.kubernetes.io/mount-options";

/// How large a volume is.
#[must_use]
pub fn capacity(volume: &PersistentVolume) -> Option<Quantity> {
    storage(volume.spec.as_ref()?.capacity.as_ref())
}

/// `GetPersistentVolumeClass`: the name of the volume's class; empty when it has none.
#[must_use]
pub fn class_of(volume: &PersistentVolume) -> &str {
    let field = volume.spec.as_ref().map_or("", |spec| text(&spec.storage_class_name));
    annotation(&volume.metadata, BETA_CLASS).unwrap_or(field)
}

/// The volume's phase; empty before the server gave it one.
#[must_use]
pub fn phase_of(volume: &PersistentVolume) -> &str {
    volume.status.as_ref().map_or("", |status| text(&status.phase))
}

/// `SetDefaults_PersistentVolume`.
pub(crate) fn default(volume: &mut PersistentVolume) {
    text_or(&mut volume.status.get_or_insert_default().phase, "Pending");
    let spec = volume.spec.get_or_insert_default();
    text_or(&mut spec.persistent_volume_reclaim_policy, "Retain");
    text_or(&mut spec.volume_mode, "Filesystem");
    spec.capacity.iter_mut().for_each(round_up);
    if let Some(source) = &mut spec.host_path {
        source.type_.get_or_insert_default();
    }
    source::default_network(spec);
}

pub(crate) fn prepare_for_create(volume: &mut PersistentVolume) {
    volume.status = Some(PersistentVolumeStatus {
        phase: Some("Pending".to_owned()),
        last_phase_transition_time: volume.metadata.creation_timestamp.clone(),
        ..Default::default()
    });
}

pub(crate) fn prepare_for_update(new: &mut PersistentVolume, old: &PersistentVolume, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
    } else {
        new.status.clone_from(&old.status);
    }
}

/// Another phase has begun now, unless the writer says when.
pub(crate) fn stamp_phase(new: &mut PersistentVolume, old: &PersistentVolume, now: Time) {
    let known = old.status.as_ref().and_then(|status| status.last_phase_transition_time.clone());
    if phase_of(new) == phase_of(old) {
        return;
    }
    let status = new.status.get_or_insert_default();
    if status.last_phase_transition_time.is_none() || status.last_phase_transition_time == known {
        status.last_phase_transition_time = Some(now.to_meta());
    }
}

/// `GetWarningsForPersistentVolume`.
pub(crate) fn warnings(volume: &PersistentVolume) -> Vec<String> {
    let mut warnings = annotation_warnings(&volume.metadata);
    let Some(spec) = &volume.spec else { return warnings };
    if text(&spec.persistent_volume_reclaim_policy) == "Recycle" {
        warnings.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    let terms = spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
    let path = Path::new("spec").child("nodeAffinity").child("required").child("nodeSelectorTerms");
    for (index, term) in terms.iter().flat_map(|required| &required.node_selector_terms).enumerate() {
        warnings.extend(term_warnings(&path.index(index), term));
    }
    warnings.extend(source::warnings(spec));
    warnings
}

fn annotation_warnings(metadata: &ObjectMeta) -> Vec<String> {
    let class = annotation(metadata, BETA_CLASS).map(|_| BETA_CLASS_WARNING.to_owned());
    let options = annotation(metadata, MOUNT_OPTIONS).map(|_| {
        format!("metadata.annotations[{MOUNT_OPTIONS}]: deprecated since v1.31; use \"mountOptions\" attribute instead")
    });
    class.into_iter().chain(options).collect()
}

/// `GetWarningsForNodeSelectorTerm`.
fn term_warnings(path: &Path, term: &NodeSelectorTerm) -> Vec<String> {
    let expressions = list(&term.match_expressions).iter().enumerate();
    let deprecated = expressions.filter_map(|(index, expression)| {
        let message = deprecated_node_label(&expression.key)?;
        Some(format!("{}: {} is {message}", path.child("matchExpressions").index(index).child("key"), expression.key))
    });
    deprecated.collect()
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Capacity",
        "capacity is the description of the persistent volume's resources and capacity. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#capacity",
    ),
    ColumnDefinition::text(
        "Access Modes",
        "accessModes contains all ways the volume can be mounted. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#access-modes",
    ),
    ColumnDefinition::text(
        "Reclaim Policy",
        "persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim. Valid \
         options are Retain (default for manually created PersistentVolumes), Delete (default for dynamically \
         provisioned PersistentVolumes), and Recycle (deprecated). Recycle must be supported by the volume plugin \
         underlying this PersistentVolume. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#reclaiming",
    ),
    ColumnDefinition::text(
        "Status",
        "phase indicates if a volume is available, bound to a claim, or released by a claim. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#phase",
    ),
    ColumnDefinition::text(
        "Claim",
        "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim. Expected to \
         be non-nil when bound. claim.VolumeName is the authoritative bind between PV and PVC. More info: \
         https://kubernetes.io/docs/concepts/storage/persistent-volumes#binding",
    ),
    ColumnDefinition::text("StorageClass", "StorageClass of the pv"),
    ColumnDefinition::text("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
    ColumnDefinition::text(
        "Reason",
        "reason is a brief CamelCase string that describes any failure and is meant for machine parsing and tidy \
         display in the CLI.",
    ),
    AGE,
    ColumnDefinition::text(
        "VolumeMode",
        "volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block \
         state. Value of Filesystem is implied when not included in spec.",
    )
    .wide(),
];

pub(crate) fn row(volume: &PersistentVolume, now: Time) -> Vec<Value> {
    let spec = volume.spec.clone().unwrap_or_default();
    let status = volume.status.clone().unwrap_or_default();
    let claim = spec
        .claim_ref
        .as_ref()
        .map_or_else(String::new, |claim| format!("{}/{}", text(&claim.namespace), text(&claim.name)));
    let amount = capacity(volume).map_or_else(|| "0".to_owned(), |amount| amount.to_string());
    vec![
        name_of(&volume.metadata),
        amount.into(),
        access_modes(list(&spec.access_modes)).into(),
        text(&spec.persistent_volume_reclaim_policy).into(),
        phase_or_terminating(&volume.metadata, text(&status.phase)),
        claim.into(),
        class_of(volume).into(),
        or_unset(&spec.volume_attributes_class_name),
        text(&status.reason).into(),
        age_of(&volume.metadata, now),
        or_unset(&spec.volume_mode),
    ]
}
