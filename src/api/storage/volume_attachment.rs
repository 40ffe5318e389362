//! VolumeAttachments. Follows `ValidateVolumeAttachment` and `printVolumeAttachment`.

use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentStatus, VolumeError};
use serde_json::Value;

use crate::api::check::{self, IMMUTABLE, text};
use crate::api::core::persistent_volume;
use crate::api::core::pod::volumes::validate_csi_driver_name;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `maxAttachedVolumeMetadataSize`.
const METADATA_BYTES_MAX: usize = 256 * 1024;
/// `maxVolumeErrorMessageSize`.
const MESSAGE_BYTES_MAX: usize = 1024;

pub(crate) fn prepare_for_create(attachment: &mut VolumeAttachment) {
    attachment.status = Some(VolumeAttachmentStatus::default());
}

pub(crate) fn prepare_for_update(new: &mut VolumeAttachment, old: &VolumeAttachment, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        meta::reset_for_status(&mut new.metadata, &old.metadata);
    } else {
        new.status.clone_from(&old.status);
    }
}

/// `ValidateVolumeAttachment` and `ValidateVolumeAttachmentV1`.
pub(crate) fn validate(attachment: &VolumeAttachment) -> ErrorList {
    let mut errors = validate_common(attachment);
    let path = Path::new("spec");
    validate_csi_driver_name(&mut errors, &path.child("attacher"), &attachment.spec.attacher);
    if let Some(name) = &attachment.spec.source.persistent_volume_name {
        check::dns_subdomain(&mut errors, &path.child("source").child("persistentVolumeName"), name);
    }
    errors
}

fn validate_common(attachment: &VolumeAttachment) -> ErrorList {
    let mut errors = meta::validate(&attachment.metadata, false, names::is_dns1123_subdomain);
    let path = Path::new("spec");
    let spec = &attachment.spec;
    check::required(&mut errors, &path.child("attacher"), &spec.attacher);
    validate_source(&mut errors, &path.child("source"), &spec.source);
    check::dns_subdomain(&mut errors, &path.child("nodeName"), &spec.node_name);
    let path = Path::new("status");
    let Some(status) = &attachment.status else { return errors };
    let metadata = status.attachment_metadata.iter().flatten();
    if metadata.map(|(key, value)| key.len() + value.len()).sum::<usize>() > METADATA_BYTES_MAX {
        errors.push(FieldError::too_long(&path.child("attachmentMetadata"), METADATA_BYTES_MAX));
    }
    validate_error(&mut errors, &path.child("attachError"), status.attach_error.as_ref());
    validate_error(&mut errors, &path.child("detachError"), status.detach_error.as_ref());
    errors
}

fn validate_source(errors: &mut ErrorList, path: &Path, source: &VolumeAttachmentSource) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (&source.inline_volume_spec, &source.persistent_volume_name) {
        (None, None) => errors.push(FieldError::required(path, ONE)),
        (Some(_), Some(_)) => errors.push(FieldError::forbidden(path, ONE)),
        (None, Some(name)) if name.is_empty() => {
            let detail = "must specify non empty persistentVolumeName";
            errors.push(FieldError::required(&path.child("persistentVolumeName"), detail));
        }
        (None, Some(_)) => {}
        (Some(spec), None) => {
            persistent_volume::validate_inline_spec(errors, &path.child("inlineVolumeSpec"), spec);
        }
    }
}

fn validate_error(errors: &mut ErrorList, path: &Path, error: Option<&VolumeError>) {
    let Some(error) = error else { return };
    if text(&error.message).len() > MESSAGE_BYTES_MAX {
        // Upstream tells the other limit.
        errors.push(FieldError::too_long(&path.child("message"), METADATA_BYTES_MAX));
    }
    if let Some(code) = error.error_code.filter(|code| *code < 0) {
        let detail = names::inclusive_range_error(0, i64::from(i32::MAX));
        errors.push(FieldError::invalid(&path.child("errorCode"), code, detail));
    }
}

/// `ValidateVolumeAttachmentUpdate`.
pub(crate) fn validate_update(new: &VolumeAttachment, old: &VolumeAttachment) -> ErrorList {
    let mut errors = validate_common(new);
    if !semantic_equal(&new.spec, &old.spec) {
        errors.push(FieldError::invalid(&Path::new("spec"), check::json(&new.spec), IMMUTABLE));
    }
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Attacher",
        "attacher indicates the name of the volume driver that MUST handle this request. This is the name returned by \
         GetPluginName().",
    ),
    ColumnDefinition::text("PV", "persistentVolumeName represents the name of the persistent volume to attach."),
    ColumnDefinition::text("Node", "nodeName represents the node that the volume should be attached to."),
    ColumnDefinition::text(
        "Attached",
        "attached indicates the volume is successfully attached. This field must only be set by the entity completing \
         the attach operation, i.e. the external-attacher.",
    ),
    AGE,
];

pub(crate) fn row(attachment: &VolumeAttachment, now: Time) -> Vec<Value> {
    vec![
        name_of(&attachment.metadata),
        attachment.spec.attacher.as_str().into(),
        text(&attachment.spec.source.persistent_volume_name).into(),
        attachment.spec.node_name.as_str().into(),
        attachment.status.as_ref().is_some_and(|status| status.attached).into(),
        age_of(&attachment.metadata, now),
    ]
}
