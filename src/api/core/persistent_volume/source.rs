//! Where a volume's data is: defaults, validation and warnings of the sources of a PersistentVolume.

use k8s_openapi::api::core::v1::{
    AzureFileVolumeSource, CSIPersistentVolumeSource, CephFSVolumeSource, CinderVolumeSource, FlexVolumeSource,
    GlusterfsVolumeSource, ISCSIVolumeSource, LocalVolumeSource, PersistentVolumeSpec, RBDVolumeSource,
    SecretReference, Volume,
};

use crate::api::check::{self, text};
use crate::api::core::pod::defaults::text_or;
use crate::api::core::pod::volumes::{validate_csi_driver_name, validate_no_backsteps, validate_shared_source};
use crate::machinery::field::{ErrorList, FieldError, Path};

/// Defaults of sources that are reached over a network.
pub(super) fn default_network(spec: &mut PersistentVolumeSpec) {
    if let Some(source) = &mut spec.iscsi {
        text_or(&mut source.iscsi_interface, "default");
    }
    if let Some(source) = &mut spec.rbd {
        text_or(&mut source.pool, "rbd");
        text_or(&mut source.user, "admin");
        text_or(&mut source.keyring, "/etc/ceph/keyring");
    }
    if let Some(source) = &mut spec.azure_disk {
        source.caching_mode.get_or_insert_with(|| "ReadWrite".to_owned());
        source.kind.get_or_insert_with(|| "Shared".to_owned());
        source.fs_type.get_or_insert_with(|| "ext4".to_owned());
        source.read_only.get_or_insert(false);
    }
    if let Some(source) = &mut spec.scale_io {
        text_or(&mut source.storage_mode, "ThinProvisioned");
        text_or(&mut source.fs_type, "xfs");
    }
}

/// Every source in the order in which upstream looks at them, and whether the volume names it.
fn sources(spec: &PersistentVolumeSpec) -> [(&'static str, bool); 22] {
    [
        ("hostPath", spec.host_path.is_some()),
        ("gcePersistentDisk", spec.gce_persistent_disk.is_some()),
        ("awsElasticBlockStore", spec.aws_elastic_block_store.is_some()),
        ("glusterfs", spec.glusterfs.is_some()),
        ("flocker", spec.flocker.is_some()),
        ("nfs", spec.nfs.is_some()),
        ("rbd", spec.rbd.is_some()),
        ("quobyte", spec.quobyte.is_some()),
        ("cephFS", spec.cephfs.is_some()),
        ("iscsi", spec.iscsi.is_some()),
        ("cinder", spec.cinder.is_some()),
        ("fc", spec.fc.is_some()),
        ("flexVolume", spec.flex_volume.is_some()),
        ("azureFile", spec.azure_file.is_some()),
        ("vsphereVolume", spec.vsphere_volume.is_some()),
        ("photonPersistentDisk", spec.photon_persistent_disk.is_some()),
        ("portworxVolume", spec.portworx_volume.is_some()),
        ("azureDisk", spec.azure_disk.is_some()),
        ("scaleIO", spec.scale_io.is_some()),
        ("local", spec.local.is_some()),
        ("storageos", spec.storageos.is_some()),
        ("csi", spec.csi.is_some()),
    ]
}

/// The first source is judged, every further one refused, and one there must be.
pub(super) fn validate(
    errors: &mut ErrorList,
    path: &Path,
    name: &str,
    spec: &PersistentVolumeSpec,
    has_node_affinity: bool,
) {
    let mut named = sources(spec).into_iter().filter(|(_, present)| *present).map(|(field, _)| field);
    let Some(first) = named.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    match first {
        "local" => spec.local.iter().for_each(|source| validate_local(errors, path, source, has_node_affinity)),
        "csi" => spec.csi.iter().for_each(|source| validate_csi(errors, &path.child("csi"), source)),
        field => validate_shared_source(errors, path, &as_volume(name, spec), field),
    }
    for field in named {
        errors.push(FieldError::forbidden(&path.child(field), "may not specify more than 1 volume type"));
    }
}

fn validate_local(errors: &mut ErrorList, path: &Path, source: &LocalVolumeSource, has_node_affinity: bool) {
    let at = path.child("local").child("path");
    if source.path.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        validate_no_backsteps(errors, &at, &source.path);
    }
    if !has_node_affinity {
        errors.push(FieldError::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
    }
}

fn validate_csi(errors: &mut ErrorList, path: &Path, source: &CSIPersistentVolumeSource) {
    validate_csi_driver_name(errors, &path.child("driver"), &source.driver);
    check::required(errors, &path.child("volumeHandle"), &source.volume_handle);
    let secrets: [(&str, &Option<SecretReference>); 4] = [
        ("controllerPublishSecretRef", &source.controller_publish_secret_ref),
        ("controllerExpandSecretRef", &source.controller_expand_secret_ref),
        ("nodePublishSecretRef", &source.node_publish_secret_ref),
        ("nodeExpandSecretRef", &source.node_expand_secret_ref),
    ];
    for (field, secret) in secrets.into_iter().filter_map(|(field, secret)| Some((field, secret.as_ref()?))) {
        check::required(errors, &path.child(field).child("name"), text(&secret.name));
        check::required(errors, &path.child(field).child("namespace"), text(&secret.namespace));
    }
}

/// The source as that of a pod's volume: where types differ, they do in secrets only, which nobody judges here.
fn as_volume(name: &str, spec: &PersistentVolumeSpec) -> Volume {
    Volume {
        name: name.to_owned(),
        host_path: spec.host_path.clone(),
        gce_persistent_disk: spec.gce_persistent_disk.clone(),
        aws_elastic_block_store: spec.aws_elastic_block_store.clone(),
        nfs: spec.nfs.clone(),
        fc: spec.fc.clone(),
        vsphere_volume: spec.vsphere_volume.clone(),
        azure_disk: spec.azure_disk.clone(),
        glusterfs: spec.glusterfs.as_ref().map(|source| GlusterfsVolumeSource {
            endpoints: source.endpoints.clone(),
            path: source.path.clone(),
            ..Default::default()
        }),
        rbd: spec.rbd.as_ref().map(|source| RBDVolumeSource {
            monitors: source.monitors.clone(),
            image: source.image.clone(),
            ..Default::default()
        }),
        cephfs: spec
            .cephfs
            .as_ref()
            .map(|source| CephFSVolumeSource { monitors: source.monitors.clone(), ..Default::default() }),
        cinder: spec
            .cinder
            .as_ref()
            .map(|source| CinderVolumeSource { volume_id: source.volume_id.clone(), ..Default::default() }),
        flex_volume: spec
            .flex_volume
            .as_ref()
            .map(|source| FlexVolumeSource { driver: source.driver.clone(), ..Default::default() }),
        azure_file: spec.azure_file.as_ref().map(|source| AzureFileVolumeSource {
            secret_name: source.secret_name.clone(),
            share_name: source.share_name.clone(),
            ..Default::default()
        }),
        iscsi: spec.iscsi.as_ref().map(|source| ISCSIVolumeSource {
            chap_auth_discovery: source.chap_auth_discovery,
            chap_auth_session: source.chap_auth_session,
            initiator_name: source.initiator_name.clone(),
            iqn: source.iqn.clone(),
            lun: source.lun,
            target_portal: source.target_portal.clone(),
            secret_ref: source.secret_ref.as_ref().map(|_| Default::default()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What is said of sources that nothing mounts any more.
pub(super) fn warnings(spec: &PersistentVolumeSpec) -> Vec<String> {
    let old = [
        (
            "photonPersistentDisk",
            spec.photon_persistent_disk.is_some(),
            "deprecated in v1.11, non-functional in v1.16+",
        ),
        ("scaleIO", spec.scale_io.is_some(), "deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", spec.flocker.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("storageOS", spec.storageos.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", spec.quobyte.is_some(), "deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", spec.glusterfs.is_some(), "deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", spec.cephfs.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", spec.rbd.is_some(), "deprecated in v1.28, non-functional in v1.31+"),
    ];
    let named = old.into_iter().filter(|(_, named, _)| *named);
    named.map(|(field, _, message)| format!("spec.{field}: {message}")).collect()
}
