//! What those who deal with volumes of CSI drivers have in common: the controller that asks for them to be attached, the
//! drivers' own sidecars, and the kubelet.
//!
//! Follows `pkg/volume/csi` and, for volumes of the types that drivers have taken the place of,
//! `k8s.io/csi-translation-lib/plugins`.

use k8s_openapi::api::core::v1::PersistentVolume;
use serde_json::Value;

use crate::api::storage::csi_driver;
use crate::api::{Resource, Unstructured};
use crate::machinery::sha256;

/// A volume, as its driver knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CsiVolume {
    /// The driver's name.
    pub driver: String,
    /// What the driver calls the volume.
    pub handle: String,
}

impl CsiVolume {
    fn new(driver: &str, handle: impl Into<String>) -> Self {
        Self { driver: driver.to_owned(), handle: handle.into() }
    }

    /// The driver's volume behind a PersistentVolume, for one of an old type too: `TranslateInTreePVToCSI`.
    #[must_use]
    pub fn of(volume: &PersistentVolume) -> Option<Self> {
        let spec = volume.spec.as_ref()?;
        if let Some(source) = &spec.csi {
            return Some(Self::new(&source.driver, source.volume_handle.as_str()));
        }
        if let Some(disk) = &spec.aws_elastic_block_store {
            // `aws://zone/vol-id` and the id alone are the same volume.
            let handle = disk.volume_id.rsplit('/').next().unwrap_or_default();
            return Some(Self::new("ebs.csi.aws.com", handle));
        }
        if let Some(disk) = &spec.gce_persistent_disk {
            let labels = volume.metadata.labels.as_ref();
            let zone = labels.and_then(|labels| labels.get("topology.kubernetes.io/zone"));
            let zone = zone.map_or("UNSPECIFIED", String::as_str);
            let handle = format!("projects/UNSPECIFIED/zones/{zone}/disks/{}", disk.pd_name);
            return Some(Self::new("pd.csi.storage.gke.io", handle));
        }
        if let Some(disk) = &spec.azure_disk {
            return Some(Self::new("disk.csi.azure.com", disk.disk_uri.as_str()));
        }
        if let Some(share) = &spec.azure_file {
            let handle = format!("#{}#{}#{}", share.secret_name, share.share_name, volume.name());
            return Some(Self::new("file.csi.azure.com", handle));
        }
        if let Some(disk) = &spec.cinder {
            return Some(Self::new("cinder.csi.openstack.org", disk.volume_id.as_str()));
        }
        if let Some(disk) = &spec.vsphere_volume {
            return Some(Self::new("csi.vsphere.vmware.com", disk.volume_path.as_str()));
        }
        let disk = spec.portworx_volume.as_ref()?;
        Some(Self::new("pxd.portworx.com", disk.volume_id.as_str()))
    }

    /// The name of its attachment to a node: `getAttachmentName`.
    #[must_use]
    pub fn attachment_name(&self, node: &str) -> String {
        format!("csi-{}", sha256::hex(format!("{}{}{node}", self.handle, self.driver).as_bytes()))
    }

    /// Its name among all volumes of a node: `GetUniqueVolumeName`.
    #[must_use]
    pub fn unique_name(&self) -> String {
        format!("kubernetes.io/csi/{}^{}", self.driver, self.handle)
    }
}

/// Whether a driver's volumes are attached to nodes at all; one that says nothing wants it.
#[must_use]
pub fn needs_attaching(driver: Option<&Unstructured>) -> bool {
    let field = driver.and_then(|driver| csi_driver::spec_field(driver, "attachRequired"));
    field.and_then(Value::as_bool) != Some(false)
}

/// The modes in which a driver's volumes are used: `Persistent` and `Ephemeral`.
#[must_use]
pub fn lifecycle_modes(driver: &Unstructured) -> Vec<&str> {
    let modes = csi_driver::spec_field(driver, "volumeLifecycleModes").and_then(Value::as_array);
    modes.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn volumes_of_old_types_are_the_drivers_that_took_their_place() {
        let cases = [
            (json!({"csi": {"driver": "d", "volumeHandle": "h"}}), "kubernetes.io/csi/d^h"),
            (
                json!({"awsElasticBlockStore": {"volumeID": "aws://us-east-1a/vol-1"}}),
                "kubernetes.io/csi/ebs.csi.aws.com^vol-1",
            ),
            (
                json!({"gcePersistentDisk": {"pdName": "data"}}),
                "kubernetes.io/csi/pd.csi.storage.gke.io^projects/UNSPECIFIED/zones/UNSPECIFIED/disks/data",
            ),
            (json!({"azureDisk": {"diskName": "d", "diskURI": "/u"}}), "kubernetes.io/csi/disk.csi.azure.com^/u"),
        ];
        for (source, wanted) in cases {
            let volume: PersistentVolume =
                crate::machinery::json::from_value(&json!({"metadata": {"name": "pv"}, "spec": source}))
                    .expect("a volume");
            assert_eq!(CsiVolume::of(&volume).expect("a driver's volume").unique_name(), wanted);
        }
        let folder = json!({"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": "/tmp"}}});
        assert_eq!(CsiVolume::of(&crate::machinery::json::from_value(&folder).expect("a volume")), None);
    }

    #[test]
    fn an_attachment_is_named_after_volume_driver_and_node() {
        let volume = CsiVolume::new("ebs.csi.aws.com", "vol-1");
        assert_eq!(volume.attachment_name("a").len(), "csi-".len() + 64);
        assert_ne!(volume.attachment_name("a"), volume.attachment_name("b"));
    }
}
