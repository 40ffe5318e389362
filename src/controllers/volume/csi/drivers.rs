//! How drivers differ: what they call their volumes, where those can be used, what they refuse and how long they take.

use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use crate::machinery::quantity::Quantity;
use crate::machinery::random::Random;

/// A kind of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// A disk of Amazon's cloud.
    Ebs,
    /// A disk of Google's.
    GcePd,
    /// A disk of Microsoft's.
    AzureDisk,
    /// Anything else.
    Other,
}

const GIBIBYTE: i64 = 1 << 30;

impl Storage {
    pub(super) fn of(driver: &str) -> Self {
        match driver {
            "ebs.csi.aws.com" => Self::Ebs,
            "pd.csi.storage.gke.io" => Self::GcePd,
            "disk.csi.azure.com" => Self::AzureDisk,
            _ => Self::Other,
        }
    }

    const fn is_disk(self) -> bool {
        !matches!(self, Self::Other)
    }

    /// How long a new volume takes.
    pub(super) const fn create_time(self) -> Duration {
        Duration::from_millis(if self.is_disk() { 3_000 } else { 500 })
    }

    /// How long it takes to attach a volume, or to take it away.
    pub(super) const fn attach_time(self) -> Duration {
        Duration::from_millis(if self.is_disk() { 2_500 } else { 200 })
    }

    /// What the driver calls a new volume.
    pub(super) fn handle(self, name: &str, zone: &str, random: &mut Random) -> String {
        match self {
            Self::Ebs => format!("vol-0{:016x}", random.next_u64()),
            Self::GcePd => format!("projects/kubetab/zones/{zone}/disks/{name}"),
            Self::AzureDisk => {
                format!("/subscriptions/kubetab/resourceGroups/kubetab/providers/Microsoft.Compute/disks/{name}")
            }
            Self::Other => random.uuid(),
        }
    }

    /// How large the volume is that a claim gets: disks come in whole gibibytes.
    pub(super) fn size(self, asked: &Quantity) -> String {
        if self.is_disk() {
            let gibibytes = asked.value().saturating_add(GIBIBYTE - 1) / GIBIBYTE;
            return format!("{}Gi", gibibytes.max(1));
        }
        asked.to_string()
    }

    /// What the driver answers to a claim that it cannot satisfy.
    pub(super) fn refusal(self, claim: &PersistentVolumeClaim) -> Option<&'static str> {
        let spec = claim.spec.as_ref()?;
        let is_block = spec.volume_mode.as_deref() == Some("Block");
        let mut modes = spec.access_modes.iter().flatten();
        if is_block || modes.all(|mode| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod")) {
            return None;
        }
        match self {
            Self::Ebs => Some(
                "rpc error: code = InvalidArgument desc = Volume capabilities MULTI_NODE_MULTI_WRITER not supported. \
                 Only AccessModes[ReadWriteOnce] supported.",
            ),
            Self::GcePd => Some(
                "rpc error: code = InvalidArgument desc = VolumeCapabilities is invalid: specified multi writer with \
                 mount access type",
            ),
            Self::AzureDisk => Some(
                "rpc error: code = InvalidArgument desc = mountVolume is not supported for access mode: \
                 MULTI_NODE_MULTI_WRITER",
            ),
            Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn disks_come_in_whole_gibibytes() {
        let size = |storage: Storage, asked: &str| storage.size(&Quantity::parse(asked).expect("a quantity"));
        assert_eq!(size(Storage::Ebs, "1500Mi"), "2Gi");
        assert_eq!(size(Storage::Ebs, "1"), "1Gi");
        assert_eq!(size(Storage::GcePd, "8Gi"), "8Gi");
        assert_eq!(size(Storage::Other, "1500Mi"), "1500Mi");
    }

    #[test]
    fn a_disk_is_for_one_node_unless_it_is_used_as_a_device() {
        let claim = |mode: &str, volume: &str| -> PersistentVolumeClaim {
            let spec = json!({ "accessModes": [mode], "volumeMode": volume });
            crate::machinery::json::from_value(&json!({ "metadata": {}, "spec": spec })).expect("a claim")
        };
        assert_eq!(Storage::Ebs.refusal(&claim("ReadWriteOnce", "Filesystem")), None);
        assert!(Storage::Ebs.refusal(&claim("ReadWriteMany", "Filesystem")).is_some());
        assert_eq!(Storage::Ebs.refusal(&claim("ReadWriteMany", "Block")), None);
        assert_eq!(Storage::Other.refusal(&claim("ReadWriteMany", "Filesystem")), None);
    }
}
