//! Validation of a pod's volumes. Follows `ValidateVolumes` of `pkg/apis/core/validation`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    AzureDiskVolumeSource, CSIVolumeSource, EphemeralVolumeSource, FCVolumeSource, FlexVolumeSource,
    HostPathVolumeSource, ISCSIVolumeSource, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::validation::Options;
use super::volumes_projected::{validate_downward_file, validate_items, validate_mode, validate_projected};
use crate::api::check::{self, has_text, list, text};
use crate::api::core::claim;
use crate::api::meta;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// The volumes that passed, by name: what mounts may refer to.
pub(super) type Volumes<'a> = BTreeMap<&'a str, &'a Volume>;

/// How many sources the volume names.
pub(super) fn count_sources(volume: &Volume) -> usize {
    sources(volume).into_iter().filter(|(_, present)| *present).count()
}

/// Every source in the order in which upstream looks at them, and whether the volume names it.
fn sources(volume: &Volume) -> [(&'static str, bool); 30] {
    [
        ("emptyDir", volume.empty_dir.is_some()),
        ("hostPath", volume.host_path.is_some()),
        ("gitRepo", volume.git_repo.is_some()),
        ("gcePersistentDisk", volume.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", volume.aws_elastic_block_store.is_some()),
        ("secret", volume.secret.is_some()),
        ("nfs", volume.nfs.is_some()),
        ("iscsi", volume.iscsi.is_some()),
        ("glusterfs", volume.glusterfs.is_some()),
        ("flocker", volume.flocker.is_some()),
        ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
        ("rbd", volume.rbd.is_some()),
        ("cinder", volume.cinder.is_some()),
        ("cephFS", volume.cephfs.is_some()),
        ("quobyte", volume.quobyte.is_some()),
        ("downwarAPI", volume.downward_api.is_some()),
        ("fc", volume.fc.is_some()),
        ("flexVolume", volume.flex_volume.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("azureFile", volume.azure_file.is_some()),
        ("vsphereVolume", volume.vsphere_volume.is_some()),
        ("photonPersistentDisk", volume.photon_persistent_disk.is_some()),
        ("portworxVolume", volume.portworx_volume.is_some()),
        ("azureDisk", volume.azure_disk.is_some()),
        ("storageos", volume.storageos.is_some()),
        ("projected", volume.projected.is_some()),
        ("scaleIO", volume.scale_io.is_some()),
        ("csi", volume.csi.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("image", volume.image.is_some()),
    ]
}

/// `ValidateVolumes`. `metadata` is the pod's own; templates have none.
pub(super) fn validate<'a>(
    errors: &mut ErrorList,
    path: &Path,
    volumes: &'a [Volume],
    metadata: Option<&ObjectMeta>,
    options: Options,
) -> Volumes<'a> {
    let pod_name = metadata.map_or("", |metadata| text(&metadata.name));
    let ephemeral = volumes.iter().filter(|volume| volume.ephemeral.is_some() && !pod_name.is_empty());
    let created: BTreeSet<String> = ephemeral.map(|volume| format!("{pod_name}-{}", volume.name)).collect();
    let mut valid = Volumes::new();
    for (index, volume) in volumes.iter().enumerate() {
        let path = path.index(index);
        let mut found = ErrorList::new();
        validate_source(&mut found, &path, volume, pod_name, options);
        if volume.name.is_empty() {
            found.push(FieldError::required(&path.child("name"), ""));
        } else {
            check::dns_label(&mut found, &path.child("name"), &volume.name);
        }
        if valid.contains_key(volume.name.as_str()) {
            found.push(FieldError::duplicate(&path.child("name"), volume.name.as_str()));
        }
        if found.is_empty() {
            valid.insert(&volume.name, volume);
        }
        errors.append(&mut found);
        if let Some(claim) = volume.persistent_volume_claim.as_ref().filter(|c| created.contains(&c.claim_name)) {
            let detail = "must not reference a PVC that gets created for an ephemeral volume";
            let path = path.child("persistentVolumeClaim").child("claimName");
            errors.push(FieldError::invalid(&path, claim.claim_name.as_str(), detail));
        }
    }
    valid
}

/// `validateVolumeSource`: the first source is judged, every further one refused.
fn validate_source(errors: &mut ErrorList, path: &Path, volume: &Volume, pod_name: &str, options: Options) {
    let mut named = sources(volume).into_iter().filter(|(_, present)| *present).map(|(field, _)| field);
    let Some(first) = named.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    validate_local_source(errors, path, volume, first, options);
    validate_network_source(errors, path, volume, first);
    if first == "ephemeral" && !pod_name.is_empty() && !volume.name.is_empty() {
        let claim = format!("{pod_name}-{}", volume.name);
        for message in names::is_dns1123_subdomain(&claim) {
            let detail = format!("PVC name {claim:?}: {message}");
            errors.push(FieldError::invalid(&path.child("name"), volume.name.as_str(), detail));
        }
    }
    for field in named {
        errors.push(FieldError::forbidden(&path.child(field), "may not specify more than 1 volume type"));
    }
}

/// Sources that need nothing but the node and the API.
fn validate_local_source(errors: &mut ErrorList, path: &Path, volume: &Volume, field: &str, options: Options) {
    let at = path.child(field);
    match field {
        "emptyDir" => {
            let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref());
            if limit.is_some_and(|limit| Quantity::of(limit).cmp_int(0).is_lt()) {
                let detail = "SizeLimit field must be a valid resource quantity";
                errors.push(FieldError::forbidden(&at.child("sizeLimit"), detail));
            }
        }
        "hostPath" => volume.host_path.iter().for_each(|source| validate_host_path(errors, &at, source)),
        "secret" => {
            let Some(source) = &volume.secret else { return };
            check::required(errors, &at.child("secretName"), text(&source.secret_name));
            validate_mode(errors, &at.child("defaultMode"), source.default_mode);
            validate_items(errors, &at.child("items"), list(&source.items));
        }
        "configMap" => {
            let Some(source) = &volume.config_map else { return };
            check::required(errors, &at.child("name"), &source.name);
            validate_mode(errors, &at.child("defaultMode"), source.default_mode);
            validate_items(errors, &at.child("items"), list(&source.items));
        }
        "downwarAPI" => {
            let Some(source) = &volume.downward_api else { return };
            let at = path.child("downwardAPI");
            validate_mode(errors, &at.child("defaultMode"), source.default_mode);
            list(&source.items).iter().for_each(|file| validate_downward_file(errors, &at, file));
        }
        "projected" => volume.projected.iter().for_each(|source| validate_projected(errors, &at, source)),
        "persistentVolumeClaim" => {
            let Some(source) = &volume.persistent_volume_claim else { return };
            check::required(errors, &at.child("claimName"), &source.claim_name);
        }
        "ephemeral" => volume.ephemeral.iter().for_each(|source| validate_ephemeral(errors, &at, source)),
        "image" => {
            let Some(source) = &volume.image else { return };
            if options.is_pod {
                check::required(errors, &at.child("reference"), text(&source.reference));
            }
            let policies = ["Always", "IfNotPresent", "Never"];
            check::required_supported(errors, &at.child("pullPolicy"), text(&source.pull_policy), &policies);
        }
        _ => {}
    }
}

fn validate_host_path(errors: &mut ErrorList, path: &Path, source: &HostPathVolumeSource) {
    if source.path.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
        return;
    }
    validate_no_backsteps(errors, &path.child("path"), &source.path);
    const TYPES: &[&str] =
        &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
    check::supported(errors, &path.child("type"), text(&source.type_), TYPES);
}

/// `validateLocalDescendingPath`.
pub(super) fn validate_descending_path(errors: &mut ErrorList, path: &Path, target: &str) {
    if target.starts_with('/') {
        errors.push(FieldError::invalid(path, target, "must be a relative path"));
    }
    validate_no_backsteps(errors, path, target);
}

/// `validatePathNoBacksteps`.
pub(crate) fn validate_no_backsteps(errors: &mut ErrorList, path: &Path, target: &str) {
    if has_backsteps(target) {
        errors.push(FieldError::invalid(path, target, "must not contain '..'"));
    }
}

/// Whether an element of the path is two dots.
pub(super) fn has_backsteps(target: &str) -> bool {
    target.split('/').any(|element| element == "..")
}

/// The source of a PersistentVolume in the form that a pod's volume has: both are judged alike.
pub(crate) fn validate_shared_source(errors: &mut ErrorList, path: &Path, volume: &Volume, field: &str) {
    if let Some(source) = volume.host_path.as_ref().filter(|_| field == "hostPath") {
        validate_host_path(errors, &path.child(field), source);
    }
    validate_network_source(errors, path, volume, field);
}

/// Sources that are reached over a network: only what they require.
fn validate_network_source(errors: &mut ErrorList, path: &Path, volume: &Volume, field: &str) {
    let at = path.child(if field == "cephFS" { "cephfs" } else { field });
    match field {
        "gitRepo" => {
            let Some(source) = &volume.git_repo else { return };
            check::required(errors, &at.child("repository"), &source.repository);
            validate_descending_path(errors, &at.child("directory"), text(&source.directory));
        }
        "gcePersistentDisk" => {
            let Some(source) = &volume.gce_persistent_disk else { return };
            let at = path.child("persistentDisk");
            check::required(errors, &at.child("pdName"), &source.pd_name);
            validate_partition(errors, &at, source.partition);
        }
        "awsElasticBlockStore" => {
            let Some(source) = &volume.aws_elastic_block_store else { return };
            check::required(errors, &at.child("volumeID"), &source.volume_id);
            validate_partition(errors, &at, source.partition);
        }
        "nfs" => {
            let Some(source) = &volume.nfs else { return };
            check::required(errors, &at.child("server"), &source.server);
            check::required(errors, &at.child("path"), &source.path);
            if !source.path.starts_with('/') {
                errors.push(FieldError::invalid(&at.child("path"), source.path.as_str(), "must be an absolute path"));
            }
        }
        "iscsi" => volume.iscsi.iter().for_each(|source| validate_iscsi(errors, path, &volume.name, source)),
        "fc" => volume.fc.iter().for_each(|source| validate_fc(errors, &at, source)),
        "csi" => volume.csi.iter().for_each(|source| validate_csi(errors, &at, source)),
        "rbd" | "cinder" | "cephFS" | "glusterfs" | "flexVolume" | "azureFile" | "azureDisk" | "vsphereVolume" => {
            validate_required_texts(errors, &at, volume, field);
        }
        _ => super::volumes_removed::validate(errors, &at, volume, field),
    }
}

/// Sources of which upstream asks little more than that some texts are not empty.
fn validate_required_texts(errors: &mut ErrorList, path: &Path, volume: &Volume, field: &str) {
    let mut require = |name: &str, value: &str| check::required(errors, &path.child(name), value);
    if let Some(source) = volume.rbd.as_ref().filter(|_| field == "rbd") {
        require("monitors", source.monitors.first().map_or("", |_| "present"));
        require("image", &source.image);
    }
    if let Some(source) = volume.cephfs.as_ref().filter(|_| field == "cephFS") {
        require("monitors", source.monitors.first().map_or("", |_| "present"));
    }
    if let Some(source) = volume.cinder.as_ref().filter(|_| field == "cinder") {
        require("volumeID", &source.volume_id);
        if source.secret_ref.as_ref().is_some_and(|secret| secret.name.is_empty()) {
            require("secretRef.name", "");
        }
    }
    if let Some(source) = volume.glusterfs.as_ref().filter(|_| field == "glusterfs") {
        require("endpoints", &source.endpoints);
        require("path", &source.path);
    }
    if let Some(source) = volume.flex_volume.as_ref().filter(|_| field == "flexVolume") {
        require("driver", &source.driver);
        validate_flex_options(errors, &path.child("options"), source);
        return;
    }
    if let Some(source) = volume.azure_file.as_ref().filter(|_| field == "azureFile") {
        require("secretName", &source.secret_name);
        require("shareName", &source.share_name);
    }
    if let Some(source) = volume.azure_disk.as_ref().filter(|_| field == "azureDisk") {
        require("diskName", &source.disk_name);
        require("diskURI", &source.disk_uri);
        validate_azure_disk(errors, path, source);
        return;
    }
    if let Some(source) = volume.vsphere_volume.as_ref().filter(|_| field == "vsphereVolume") {
        require("volumePath", &source.volume_path);
    }
}

/// The names of options that are Kubernetes' own.
fn validate_flex_options(errors: &mut ErrorList, path: &Path, source: &FlexVolumeSource) {
    for name in source.options.iter().flat_map(|options| options.keys()) {
        let domain = format!(".{}", name.split_once('/').map_or(name.as_str(), |(domain, _)| domain).to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            let detail = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid(&path.key(name), name.as_str(), detail));
        }
    }
}

/// `validateAzureDisk`, but for what must not be empty.
fn validate_azure_disk(errors: &mut ErrorList, path: &Path, source: &AzureDiskVolumeSource) {
    if let Some(mode) = &source.caching_mode {
        check::supported(errors, &path.child("cachingMode"), mode, &["None", "ReadOnly", "ReadWrite"]);
    }
    let Some(kind) = &source.kind else { return };
    check::supported(errors, &path.child("kind"), kind, &["Dedicated", "Managed", "Shared"]);
    let (start, form) = if kind == "Managed" {
        (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        )
    } else {
        ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd")
    };
    if !source.disk_uri.starts_with(start) {
        errors.push(FieldError::not_supported(&path.child("diskURI"), source.disk_uri.as_str(), &[form]));
    }
}

fn validate_partition(errors: &mut ErrorList, path: &Path, partition: Option<i32>) {
    if let Some(partition) = partition.filter(|partition| !(0..=255).contains(partition)) {
        let detail = names::inclusive_range_error(1, 255);
        errors.push(FieldError::invalid(&path.child("partition"), partition, detail));
    }
}

fn validate_iscsi(errors: &mut ErrorList, volume_path: &Path, volume_name: &str, source: &ISCSIVolumeSource) {
    let path = volume_path.child("iscsi");
    check::required(errors, &path.child("targetPortal"), &source.target_portal);
    if source.iqn.is_empty() {
        errors.push(FieldError::required(&path.child("iqn"), ""));
    } else if let Some(detail) = initiator_error(&source.iqn) {
        errors.push(FieldError::invalid(&path.child("iqn"), source.iqn.as_str(), detail));
    }
    if !(0..=255).contains(&source.lun) {
        let detail = names::inclusive_range_error(0, 255);
        errors.push(FieldError::invalid(&path.child("lun"), source.lun, detail));
    }
    let chap = source.chap_auth_discovery == Some(true) || source.chap_auth_session == Some(true);
    if chap && source.secret_ref.is_none() {
        errors.push(FieldError::required(&path.child("secretRef"), ""));
    }
    let Some(initiator) = &source.initiator_name else { return };
    if let Some(detail) = initiator_error(initiator) {
        errors.push(FieldError::invalid(&path.child("initiatorname"), initiator.as_str(), detail));
    }
    if volume_name.len() + 1 + source.target_portal.len() > 64 {
        let detail = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if \
                      iscsi.initiatorName is specified.";
        errors.push(FieldError::invalid(&volume_path.child("name"), volume_name, detail));
    }
}

/// What is wrong with the name of an iSCSI initiator or target.
fn initiator_error(name: &str) -> Option<&'static str> {
    let alphanumeric =
        |rest: &str, length: usize| rest.len() == length && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let valid = match name.get(..3) {
        Some("iqn") => is_iqn(name),
        Some("eui") => alphanumeric(name.get(4..).unwrap_or(""), 16),
        Some("naa") => alphanumeric(name.get(4..).unwrap_or(""), 32),
        _ => return Some("must be valid format starting with iqn, eui, or naa"),
    };
    (!valid).then_some("must be valid format")
}

/// `iqn.YYYY-MM.naming-authority:unique-name`.
fn is_iqn(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("iqn.") else { return false };
    let Some((date, rest)) = rest.split_once('.') else { return false };
    let Some((authority, unique)) = rest.split_once(':') else { return false };
    let date = date.as_bytes();
    let dated = date.len() == 7
        && date.iter().enumerate().all(|(index, byte)| if index == 4 { *byte == b'-' } else { byte.is_ascii_digit() });
    dated
        && !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !unique.is_empty()
        && !unique.contains([',', ';', '*', '&', '$', '|'])
        && !unique.contains(char::is_whitespace)
}

fn validate_fc(errors: &mut ErrorList, path: &Path, source: &FCVolumeSource) {
    let (names_given, ids_given) = (!list(&source.target_wwns).is_empty(), !list(&source.wwids).is_empty());
    let at = path.child("targetWWNs");
    if !names_given && !ids_given {
        errors.push(FieldError::required(&at, "must specify either targetWWNs or wwids, but not both"));
    }
    if names_given && ids_given {
        let detail = "targetWWNs and wwids can not be specified simultaneously";
        errors.push(FieldError::invalid(&at, list(&source.target_wwns).to_vec(), detail));
    }
    if names_given {
        match source.lun {
            None => errors.push(FieldError::required(&path.child("lun"), "lun is required if targetWWNs is specified")),
            Some(lun) if !(0..=255).contains(&lun) => {
                let detail = names::inclusive_range_error(0, 255);
                errors.push(FieldError::invalid(&path.child("lun"), lun, detail));
            }
            Some(_) => {}
        }
    }
}

/// `ValidateCSIDriverName`.
pub(crate) fn validate_csi_driver_name(errors: &mut ErrorList, path: &Path, driver: &str) {
    if driver.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    if driver.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
    check::invalid_each(errors, path, driver, names::is_dns1123_subdomain(&driver.to_lowercase()));
}

fn validate_csi(errors: &mut ErrorList, path: &Path, source: &CSIVolumeSource) {
    validate_csi_driver_name(errors, &path.child("driver"), &source.driver);
    if source.node_publish_secret_ref.as_ref().is_some_and(|secret| secret.name.is_empty()) {
        errors.push(FieldError::required(&path.child("nodePublishSecretRef").child("name"), ""));
    }
}

fn validate_ephemeral(errors: &mut ErrorList, path: &Path, source: &EphemeralVolumeSource) {
    let path = path.child("volumeClaimTemplate");
    let Some(template) = &source.volume_claim_template else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    if let Some(metadata) = &template.metadata {
        let path = path.child("metadata");
        meta::validate_annotations(errors, &path.child("annotations"), metadata);
        check::labels(errors, &path.child("labels"), metadata.labels.as_ref());
        let set = [
            ("name", has_text(&metadata.name)),
            ("generateName", has_text(&metadata.generate_name)),
            ("namespace", has_text(&metadata.namespace)),
            ("ownerReferences", !list(&metadata.owner_references).is_empty()),
            ("finalizers", !list(&metadata.finalizers).is_empty()),
        ];
        for (field, _) in set.into_iter().filter(|(_, set)| *set) {
            errors.push(FieldError::forbidden(&path.child(field), "cannot be set for an ephemeral volume"));
        }
    }
    claim::validate_spec(errors, &path.child("spec"), &template.spec);
}
