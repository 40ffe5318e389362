//! Disks of old types that stand in pods themselves, as the drivers see them that have taken the types' place.
//!
//! `TranslateInTreeInlineVolumeToCSI` of `k8s.io/csi-translation-lib/plugins`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{CSIPersistentVolumeSource, PersistentVolumeSpec, Volume};

use crate::machinery::order::map_of;

use super::csi::CsiVolume;

/// What a pod's own disk is to its driver: a PersistentVolume that nobody made.
#[derive(Clone, Debug, PartialEq)]
pub struct InlineDisk {
    /// The name that the volume would have.
    pub name: String,
    /// What would stand in it.
    pub spec: PersistentVolumeSpec,
}

/// What the types have in common.
struct Source<'a> {
    driver: &'static str,
    /// By this name the disk is known to people.
    disk: &'a str,
    handle: String,
    file_system: Option<&'a String>,
    read_only: Option<bool>,
    mode: &'static str,
    attributes: BTreeMap<String, String>,
}

impl InlineDisk {
    /// The disk behind a volume of a pod in `namespace`, if it is of such a type.
    #[must_use]
    pub fn of(volume: &Volume, namespace: &str) -> Option<Self> {
        let source = source(volume, namespace)?;
        let csi = CSIPersistentVolumeSource {
            driver: source.driver.to_owned(),
            fs_type: source.file_system.cloned(),
            read_only: source.read_only.filter(|read_only| *read_only),
            volume_attributes: Some(source.attributes).filter(|attributes| !attributes.is_empty()),
            volume_handle: source.handle,
            ..CSIPersistentVolumeSource::default()
        };
        Some(Self {
            name: format!("{}-{}", source.driver, source.disk),
            spec: PersistentVolumeSpec {
                access_modes: Some(vec![source.mode.to_owned()]),
                csi: Some(csi),
                ..PersistentVolumeSpec::default()
            },
        })
    }

    /// The driver's volume.
    #[must_use]
    pub fn csi(&self) -> CsiVolume {
        let csi = self.spec.csi.as_ref().expect("a translated disk is a driver's");
        CsiVolume { driver: csi.driver.clone(), handle: csi.volume_handle.clone() }
    }
}

/// A partition as an attribute of the volume; the whole disk has none.
fn partition(number: Option<i32>) -> BTreeMap<String, String> {
    let number = number.filter(|number| *number > 0);
    map_of(number.map(|number| ("partition".to_owned(), number.to_string())))
}

fn source<'a>(volume: &'a Volume, namespace: &str) -> Option<Source<'a>> {
    const ONE_NODE: &str = "ReadWriteOnce";
    if let Some(disk) = &volume.gce_persistent_disk {
        return Some(Source {
            driver: "pd.csi.storage.gke.io",
            disk: &disk.pd_name,
            handle: format!("projects/UNSPECIFIED/zones/UNSPECIFIED/disks/{}", disk.pd_name),
            file_system: disk.fs_type.as_ref(),
            read_only: disk.read_only,
            mode: if disk.read_only == Some(true) { "ReadOnlyMany" } else { ONE_NODE },
            attributes: partition(disk.partition),
        });
    }
    if let Some(disk) = &volume.aws_elastic_block_store {
        let handle = disk.volume_id.rsplit('/').next().unwrap_or_default();
        return Some(Source {
            driver: "ebs.csi.aws.com",
            disk: handle,
            handle: handle.to_owned(),
            file_system: disk.fs_type.as_ref(),
            read_only: disk.read_only,
            mode: ONE_NODE,
            attributes: partition(disk.partition),
        });
    }
    if let Some(disk) = &volume.azure_disk {
        let attributes = [("cachingMode", &disk.caching_mode), ("fsType", &disk.fs_type), ("kind", &disk.kind)];
        let attributes = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
        return Some(Source {
            driver: "disk.csi.azure.com",
            disk: &disk.disk_name,
            handle: disk.disk_uri.clone(),
            file_system: disk.fs_type.as_ref(),
            read_only: disk.read_only,
            mode: ONE_NODE,
            attributes: map_of(attributes),
        });
    }
    if let Some(share) = &volume.azure_file {
        return Some(Source {
            driver: "file.csi.azure.com",
            disk: &share.share_name,
            handle: format!("#{}#{}#{}#{namespace}", share.secret_name, share.share_name, volume.name),
            file_system: None,
            read_only: share.read_only,
            mode: "ReadWriteMany",
            attributes: map_of([("shareName".to_owned(), share.share_name.clone())]),
        });
    }
    if let Some(disk) = &volume.cinder {
        return Some(Source {
            driver: "cinder.csi.openstack.org",
            disk: &disk.volume_id,
            handle: disk.volume_id.clone(),
            file_system: disk.fs_type.as_ref(),
            read_only: disk.read_only,
            mode: ONE_NODE,
            attributes: BTreeMap::new(),
        });
    }
    if let Some(disk) = &volume.vsphere_volume {
        let policy = disk.storage_policy_name.clone().filter(|name| !name.is_empty());
        return Some(Source {
            driver: "csi.vsphere.vmware.com",
            disk: &disk.volume_path,
            handle: disk.volume_path.clone(),
            file_system: disk.fs_type.as_ref(),
            read_only: None,
            mode: ONE_NODE,
            attributes: map_of(policy.map(|name| ("storagepolicyname".to_owned(), name))),
        });
    }
    let disk = volume.portworx_volume.as_ref()?;
    Some(Source {
        driver: "pxd.portworx.com",
        disk: &disk.volume_id,
        handle: disk.volume_id.clone(),
        file_system: disk.fs_type.as_ref(),
        read_only: disk.read_only,
        mode: ONE_NODE,
        attributes: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn disk(source: Value) -> Option<InlineDisk> {
        let mut volume = source;
        volume["name"] = "v".into();
        InlineDisk::of(&crate::machinery::json::from_value(&volume).expect("a volume"), "ns")
    }

    #[test]
    fn a_pods_own_disk_is_its_drivers() {
        let cases = [
            (
                json!({"gcePersistentDisk": {"pdName": "data", "fsType": "ext4"}}),
                "pd.csi.storage.gke.io-data",
                "kubernetes.io/csi/pd.csi.storage.gke.io^projects/UNSPECIFIED/zones/UNSPECIFIED/disks/data",
                "ReadWriteOnce",
            ),
            (
                json!({"gcePersistentDisk": {"pdName": "data", "readOnly": true}}),
                "pd.csi.storage.gke.io-data",
                "kubernetes.io/csi/pd.csi.storage.gke.io^projects/UNSPECIFIED/zones/UNSPECIFIED/disks/data",
                "ReadOnlyMany",
            ),
            (
                json!({"awsElasticBlockStore": {"volumeID": "aws://us-east-1a/vol-1"}}),
                "ebs.csi.aws.com-vol-1",
                "kubernetes.io/csi/ebs.csi.aws.com^vol-1",
                "ReadWriteOnce",
            ),
            (
                json!({"azureDisk": {"diskName": "d", "diskURI": "/u"}}),
                "disk.csi.azure.com-d",
                "kubernetes.io/csi/disk.csi.azure.com^/u",
                "ReadWriteOnce",
            ),
            (
                json!({"azureFile": {"secretName": "account", "shareName": "share"}}),
                "file.csi.azure.com-share",
                "kubernetes.io/csi/file.csi.azure.com^#account#share#v#ns",
                "ReadWriteMany",
            ),
            (
                json!({"cinder": {"volumeID": "c"}}),
                "cinder.csi.openstack.org-c",
                "kubernetes.io/csi/cinder.csi.openstack.org^c",
                "ReadWriteOnce",
            ),
        ];
        for (source, name, unique, mode) in cases {
            let disk = disk(source).expect("a disk");
            assert_eq!((disk.name.as_str(), disk.csi().unique_name().as_str()), (name, unique));
            assert_eq!(disk.spec.access_modes, Some(vec![mode.to_owned()]));
        }
        assert_eq!(disk(json!({"emptyDir": {}})), None);
    }
}
