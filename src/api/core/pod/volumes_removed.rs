//! Volumes that nothing mounts any more, which the API still judges.
//!
//! `validateFlockerVolumeSource` and its like of `pkg/apis/core/validation/validation.go`.

use k8s_openapi::api::core::v1::{FlockerVolumeSource, QuobyteVolumeSource, StorageOSVolumeSource, Volume};

use crate::api::check::{self, has_text, text};
use crate::machinery::field::{ErrorList, FieldError, Path};

/// Judges the source that `field` names; `path` is the source's.
#[inline(never)]
pub(super) fn validate(errors: &mut ErrorList, path: &Path, volume: &Volume, field: &str) {
    match field {
        "flocker" => volume.flocker.iter().for_each(|source| validate_flocker(errors, path, source)),
        "quobyte" => volume.quobyte.iter().for_each(|source| validate_quobyte(errors, path, source)),
        "storageos" => volume.storageos.iter().for_each(|source| validate_storage_os(errors, path, source)),
        "photonPersistentDisk" => {
            let Some(source) = &volume.photon_persistent_disk else { return };
            check::required(errors, &path.child("pdID"), &source.pd_id);
        }
        "portworxVolume" => {
            let Some(source) = &volume.portworx_volume else { return };
            check::required(errors, &path.child("volumeID"), &source.volume_id);
        }
        "scaleIO" => {
            let Some(source) = &volume.scale_io else { return };
            check::required(errors, &path.child("gateway"), &source.gateway);
            check::required(errors, &path.child("system"), &source.system);
            check::required(errors, &path.child("volumeName"), text(&source.volume_name));
        }
        _ => {}
    }
}

fn validate_flocker(errors: &mut ErrorList, path: &Path, source: &FlockerVolumeSource) {
    match (has_text(&source.dataset_name), has_text(&source.dataset_uuid)) {
        (false, false) => {
            errors.push(FieldError::required(path, "one of datasetName and datasetUUID is required"));
        }
        (true, true) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(FieldError::invalid(path, "resource", detail));
        }
        _ => {}
    }
    let name = text(&source.dataset_name);
    if name.contains('/') {
        errors.push(FieldError::invalid(&path.child("datasetName"), name, "must not contain '/'"));
    }
}

fn validate_quobyte(errors: &mut ErrorList, path: &Path, source: &QuobyteVolumeSource) {
    const PAIRS: &str = "must be a host:port pair or multiple pairs separated by commas";
    let at = path.child("registry");
    if source.registry.is_empty() {
        errors.push(FieldError::required(&at, PAIRS));
    } else if text(&source.tenant).len() >= 65 {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(FieldError::required(&path.child("tenant"), detail));
    } else {
        for _ in source.registry.split(',').filter(|pair| !is_pair(pair)) {
            errors.push(FieldError::invalid(&at, source.registry.as_str(), PAIRS));
        }
    }
    check::required(errors, &path.child("volume"), &source.volume);
}

/// Whether a text is a host and a port: `net.SplitHostPort`.
fn is_pair(pair: &str) -> bool {
    pair.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
}

fn validate_storage_os(errors: &mut ErrorList, path: &Path, source: &StorageOSVolumeSource) {
    let at = path.child("volumeName");
    if has_text(&source.volume_name) {
        check::dns_label(errors, &at, text(&source.volume_name));
    } else {
        errors.push(FieldError::required(&at, ""));
    }
    if has_text(&source.volume_namespace) {
        check::dns_label(errors, &path.child("volumeNamespace"), text(&source.volume_namespace));
    }
    if source.secret_ref.as_ref().is_some_and(|secret| secret.name.is_empty()) {
        errors.push(FieldError::required(&path.child("secretRef").child("name"), ""));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(volume: serde_json::Value, field: &str) -> Vec<String> {
        let volume: Volume = crate::machinery::json::from_value(&volume).expect("a volume");
        let mut errors = ErrorList::new();
        validate(&mut errors, &Path::new(field), &volume, field);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn old_sources_are_still_judged() {
        assert_eq!(
            judged(json!({ "name": "v", "flocker": { "datasetName": "a/b", "datasetUUID": "c" } }), "flocker"),
            [
                "flocker: Invalid value: \"resource\": datasetName and datasetUUID can not be specified simultaneously",
                "flocker.datasetName: Invalid value: \"a/b\": must not contain '/'",
            ]
        );
        assert_eq!(
            judged(json!({ "name": "v", "quobyte": { "registry": "a:1,b", "volume": "" } }), "quobyte"),
            [
                "quobyte.registry: Invalid value: \"a:1,b\": must be a host:port pair or multiple pairs separated by commas",
                "quobyte.volume: Required value",
            ]
        );
        assert_eq!(judged(json!({ "name": "v", "storageos": { "volumeName": "A" } }), "storageos").len(), 1);
        let scale = json!({ "name": "v", "scaleIO": { "gateway": "", "system": "s", "secretRef": {} } });
        assert_eq!(judged(scale, "scaleIO"), ["scaleIO.gateway: Required value", "scaleIO.volumeName: Required value"]);
        let disk = json!({ "name": "v", "photonPersistentDisk": { "pdID": "" } });
        assert_eq!(judged(disk, "photonPersistentDisk"), ["photonPersistentDisk.pdID: Required value"]);
    }
}
