//! Volumes that show files of the API: defaults of all volumes, and validation of config maps, secrets, the downward
//! API and projections of them.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ClusterTrustBundleProjection, DownwardAPIVolumeFile, KeyToPath, ProjectedVolumeSource,
    ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use serde_json::Value;

use super::defaults::{field_ref, text_or};
use super::env::{ResourceScope, field_selector, resource_field_selector};
use super::image;
use crate::api::check::{self, has_text, list, text};
use crate::api::internal;
use crate::machinery::field::{ErrorList, FieldError, Path};

/// Files of configuration are readable by everyone unless the manifest says otherwise: 0644.
const DEFAULT_MODE: i32 = 0o644;
/// `fileModeErrorMsg`.
const FILE_MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
/// `validVolumeDownwardAPIFieldPathExpressions`.
const VOLUME_FIELDS: &[&str] =
    &["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// `SetDefaults_Volume` and those of each source.
pub(super) fn default_volume(volume: &mut Volume) {
    if super::volumes::count_sources(volume) == 0 {
        volume.empty_dir = Some(Default::default());
    }
    if let Some(source) = &mut volume.host_path {
        source.type_.get_or_insert_default();
    }
    if let Some(source) = &mut volume.config_map {
        source.default_mode.get_or_insert(DEFAULT_MODE);
    }
    if let Some(source) = &mut volume.secret {
        source.default_mode.get_or_insert(DEFAULT_MODE);
    }
    if let Some(source) = &mut volume.downward_api {
        source.default_mode.get_or_insert(DEFAULT_MODE);
        source.items.iter_mut().flatten().filter_map(|file| file.field_ref.as_mut()).for_each(field_ref);
    }
    if let Some(source) = &mut volume.projected {
        source.default_mode.get_or_insert(DEFAULT_MODE);
        source.sources.iter_mut().flatten().for_each(default_projection);
    }
    if let Some(source) = &mut volume.image {
        let policy = image::default_pull_policy(text(&source.reference));
        text_or(&mut source.pull_policy, policy);
    }
    if let Some(template) = volume.ephemeral.as_mut().and_then(|source| source.volume_claim_template.as_mut()) {
        crate::api::core::claim::default_spec(&mut template.spec);
        template.metadata.get_or_insert_default();
    }
    default_network_volume(volume);
}

fn default_projection(projection: &mut VolumeProjection) {
    if let Some(token) = &mut projection.service_account_token {
        token.expiration_seconds.get_or_insert(60 * 60);
    }
    if let Some(source) = &mut projection.downward_api {
        source.items.iter_mut().flatten().filter_map(|file| file.field_ref.as_mut()).for_each(field_ref);
    }
    if let Some(certificate) = &mut projection.pod_certificate {
        certificate.max_expiration_seconds.get_or_insert(24 * 60 * 60);
    }
}

fn default_network_volume(volume: &mut Volume) {
    if let Some(source) = &mut volume.iscsi {
        text_or(&mut source.iscsi_interface, "default");
    }
    if let Some(source) = &mut volume.rbd {
        text_or(&mut source.pool, "rbd");
        text_or(&mut source.user, "admin");
        text_or(&mut source.keyring, "/etc/ceph/keyring");
    }
    if let Some(source) = &mut volume.azure_disk {
        source.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        source.kind.get_or_insert_with(|| "Shared".to_owned());
        source.fs_type.get_or_insert_with(|| "ext4".to_owned());
        source.read_only.get_or_insert(false);
    }
    if let Some(source) = &mut volume.scale_io {
        text_or(&mut source.storage_mode, "ThinProvisioned");
        text_or(&mut source.fs_type, "xfs");
    }
}

/// A file's mode, if it is given.
pub(super) fn validate_mode(errors: &mut ErrorList, path: &Path, mode: Option<i32>) {
    if let Some(mode) = mode.filter(|mode| !(0..=0o777).contains(mode)) {
        errors.push(FieldError::invalid(path, mode, FILE_MODE));
    }
}

/// `validateKeyToPath` for each item.
pub(super) fn validate_items(errors: &mut ErrorList, path: &Path, items: &[KeyToPath]) {
    for (index, item) in items.iter().enumerate() {
        validate_item(errors, &path.index(index), item);
    }
}

fn validate_item(errors: &mut ErrorList, path: &Path, item: &KeyToPath) {
    check::required(errors, &path.child("key"), &item.key);
    check::required(errors, &path.child("path"), &item.path);
    validate_local_path(errors, &path.child("path"), &item.path);
    validate_mode(errors, &path.child("mode"), item.mode);
}

/// `ValidateLocalNonReservedPath`.
fn validate_local_path(errors: &mut ErrorList, path: &Path, target: &str) {
    super::volumes::validate_descending_path(errors, path, target);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.push(FieldError::invalid(path, target, "must not start with '..'"));
    }
}

/// `validateDownwardAPIVolumeFile`; `path` is the source's, for upstream leaves the file's place out.
pub(super) fn validate_downward_file(errors: &mut ErrorList, path: &Path, file: &DownwardAPIVolumeFile) {
    check::required(errors, &path.child("path"), &file.path);
    validate_local_path(errors, &path.child("path"), &file.path);
    if let Some(selector) = &file.field_ref {
        field_selector(errors, &path.child("fieldRef"), selector, VOLUME_FIELDS);
        if file.resource_field_ref.is_some() {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(FieldError::invalid(path, "resource", detail));
        }
    } else if let Some(selector) = &file.resource_field_ref {
        resource_field_selector(errors, &path.child("resourceFieldRef"), selector, ResourceScope::Volume);
    } else {
        errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
    }
    validate_mode(errors, &path.child("mode"), file.mode);
}

/// `validateProjectedVolumeSource`.
pub(super) fn validate_projected(errors: &mut ErrorList, path: &Path, source: &ProjectedVolumeSource) {
    validate_mode(errors, &path.child("defaultMode"), source.default_mode);
    let mut paths = Paths::default();
    for (index, projection) in list(&source.sources).iter().enumerate() {
        let source_path = path.child("sources").index(index);
        let count = validate_projection(errors, path, &source_path, projection, &mut paths);
        if count > 1 {
            let detail = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(&source_path, detail));
        }
    }
}

/// The paths of files so far.
#[derive(Default)]
struct Paths(BTreeSet<String>);

impl Paths {
    fn add(&mut self, errors: &mut ErrorList, path: &Path, file: &str, shown: &str) {
        if !file.is_empty() && !self.0.insert(file.to_owned()) {
            errors.push(FieldError::invalid(path, shown, "conflicting duplicate paths"));
        }
    }
}

/// Judges one projection and says how many sources it names.
fn validate_projection(
    errors: &mut ErrorList,
    path: &Path,
    source_path: &Path,
    projection: &VolumeProjection,
    paths: &mut Paths,
) -> usize {
    let mut count = 0;
    let secret = projection.secret.as_ref().map(|source| ("secret", &source.name, list(&source.items)));
    let config_map = projection.config_map.as_ref().map(|source| ("configMap", &source.name, list(&source.items)));
    for (field, name, items) in secret.into_iter().chain(config_map) {
        count += 1;
        let at = source_path.child(field);
        check::required(errors, &at.child("name"), name);
        for (index, item) in items.iter().enumerate() {
            validate_item(errors, &at.child("items").index(index), item);
            paths.add(errors, path, &item.path, name);
        }
    }
    if let Some(source) = &projection.downward_api {
        count += 1;
        for file in list(&source.items) {
            validate_downward_file(errors, &source_path.child("downwardAPI"), file);
            paths.add(errors, path, &file.path, &file.path);
        }
    }
    if let Some(token) = &projection.service_account_token {
        count += 1;
        validate_token(errors, path, &source_path.child("serviceAccountToken"), token);
    }
    if let Some(bundle) = &projection.cluster_trust_bundle {
        count += 1;
        let at = source_path.child("clusterTrustBundle");
        validate_trust_bundle(errors, &at, bundle);
        paths.add(errors, path, &bundle.path, &bundle.path);
    }
    if let Some(certificate) = &projection.pod_certificate {
        count += 1;
        let at = source_path.child("podCertificate");
        check::required(errors, &at.child("signerName"), &certificate.signer_name);
        let key_types = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
        check::supported(errors, &at.child("keyType"), &certificate.key_type, &key_types);
    }
    count
}

fn validate_token(errors: &mut ErrorList, volume_path: &Path, path: &Path, token: &ServiceAccountTokenProjection) {
    let seconds = token.expiration_seconds.unwrap_or(0);
    let at = path.child("expirationSeconds");
    if seconds < 10 * 60 {
        errors.push(FieldError::invalid(&at, seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(FieldError::invalid(&at, seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    // Upstream names the volume's path here, not the source's.
    let at = volume_path.child("path");
    if token.path.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        validate_local_path(errors, &at, &token.path);
    }
}

fn validate_trust_bundle(errors: &mut ErrorList, path: &Path, bundle: &ClusterTrustBundleProjection) {
    match (&bundle.name, &bundle.signer_name) {
        (Some(_), Some(_)) => {
            let shown: Value = internal::dump("ClusterTrustBundleProjection", &check::json(bundle));
            errors.push(FieldError::invalid(path, shown, "only one of name and signerName may be used"));
        }
        (Some(name), None) => {
            if name.is_empty() {
                errors.push(FieldError::required(&path.child("name"), "must be a valid object name"));
            }
            if bundle.label_selector.is_some() {
                let shown = check::selector_json(bundle.label_selector.as_ref());
                let detail = "labelSelector must be unset if name is specified";
                errors.push(FieldError::invalid(&path.child("labelSelector"), shown, detail));
            }
        }
        (None, Some(_)) => {
            if !has_text(&bundle.signer_name) {
                errors.push(FieldError::required(&path.child("signerName"), "must be a valid signer name"));
            }
            check::label_selector(errors, &path.child("labelSelector"), bundle.label_selector.as_ref());
        }
        (None, None) => errors.push(FieldError::required(path, "either name or signerName must be specified")),
    }
    check::required(errors, &path.child("path"), &bundle.path);
    validate_local_path(errors, &path.child("path"), &bundle.path);
}
