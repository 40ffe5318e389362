//! What binds volumes and claims together, for those who do it: the binder and the scheduler.
//!
//! Follows `k8s.io/component-helpers/storage/volume` (`pv_helpers.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    ObjectReference, PersistentVolume, PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeSpec, Pod,
    Volume,
};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::core::{claim, persistent_volume};
use crate::api::{ObjectKey, Resource};
use crate::machinery::labels::Selector;
use crate::machinery::quantity::Quantity;

use super::recorder::reference;

/// `AnnBindCompleted`: the claim was bound, and what is amiss now happened after that.
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// `AnnBoundByController`: the controller chose, and not the user.
pub const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
/// `AnnDynamicallyProvisioned`: who made the volume.
pub const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
/// `AnnStorageProvisioner`: who is to make a volume for the claim.
pub const STORAGE_PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
/// `AnnBetaStorageProvisioner`, which is set beside it.
pub const BETA_STORAGE_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";
/// `AnnSelectedNode`: where the scheduler wants the volume to be made.
pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// `NotSupportedProvisioner`: a class whose volumes are made by hand.
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// The value of an annotation.
#[must_use]
pub fn annotation<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// Sets an annotation.
pub fn annotate(metadata: &mut ObjectMeta, key: &str, value: &str) {
    metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// The name of the claim that a pod's volume uses; `None` for volumes of other sorts.
#[must_use]
pub fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.name(), volume.name)),
        (None, None) => None,
    }
}

/// The claims that a pod uses.
pub fn claims_of(pod: &Pod) -> impl Iterator<Item = ObjectKey> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let names = volumes.filter_map(|volume| claim_name(pod, volume));
    names.map(|name| ObjectKey::new(pod.namespace(), name))
}

/// The claim that a volume is reserved for.
#[must_use]
pub fn claim_ref(volume: &PersistentVolume) -> Option<&ObjectReference> {
    volume.spec.as_ref()?.claim_ref.as_ref()
}

/// The key of the claim that a reference names.
#[must_use]
pub fn claim_key(reference: &ObjectReference) -> ObjectKey {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ObjectKey::new(text(&reference.namespace), text(&reference.name))
}

/// `IsVolumeBoundToClaim`: whether the volume is reserved for the claim, by the user or by the controller.
#[must_use]
pub fn is_bound_to(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    claim_ref(volume).is_some_and(|reference| {
        let uid = reference.uid.as_deref().unwrap_or("");
        claim_key(reference) == claim.key() && (uid.is_empty() || uid == claim.uid())
    })
}

/// `GetBindVolumeToClaim`: the volume as it is when it is bound to the claim; `None` when it is already.
#[must_use]
pub fn bind_volume_to_claim(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Option<PersistentVolume> {
    let by_controller = !is_bound_to(volume, claim);
    let names_it = claim_ref(volume)
        .is_some_and(|known| claim_key(known) == claim.key() && known.uid.as_deref().unwrap_or("") == claim.uid());
    let marks = by_controller && annotation(&volume.metadata, BOUND_BY_CONTROLLER).is_none();
    if names_it && !marks {
        return None;
    }
    let mut bound = volume.clone();
    if !names_it {
        bound.spec.get_or_insert_default().claim_ref = Some(reference(claim));
    }
    if marks {
        annotate(&mut bound.metadata, BOUND_BY_CONTROLLER, "yes");
    }
    Some(bound)
}

/// `CheckVolumeModeMismatches`.
fn modes_differ(claim: &PersistentVolumeClaimSpec, volume: &PersistentVolumeSpec) -> bool {
    let mode = |mode: &Option<String>| mode.clone().unwrap_or_else(|| "Filesystem".to_owned());
    mode(&claim.volume_mode) != mode(&volume.volume_mode)
}

/// `CheckAccessModes`: whether the volume can be used in every way that the claim asks for.
#[must_use]
pub fn has_access_modes(volume: &PersistentVolumeSpec, claim: &PersistentVolumeClaimSpec) -> bool {
    let offered = volume.access_modes.as_deref().unwrap_or_default();
    claim.access_modes.iter().flatten().all(|mode| offered.contains(mode))
}

/// `checkVolumeSatisfyClaim`: what keeps a claim from the volume that it names.
///
/// # Errors
/// The reason, as the event tells it.
pub fn check_satisfies(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> Result<(), String> {
    let (Some(volume_spec), Some(claim_spec)) = (&volume.spec, &claim.spec) else { return Ok(()) };
    if volume.is_deleting() {
        return Err(format!("the volume is marked for deletion {:?}", volume.name()));
    }
    let asked = claim::requested(claim).unwrap_or_default();
    let reason = if persistent_volume::capacity(volume).unwrap_or_default().value() < asked.value() {
        "requested PV is too small"
    } else if persistent_volume::class_of(volume) != claim::class_of(claim) {
        "storageClassName does not match"
    } else if attributes_class(&volume_spec.volume_attributes_class_name)
        != attributes_class(&claim_spec.volume_attributes_class_name)
    {
        "VolumeAttributesClassName does not match"
    } else if modes_differ(claim_spec, volume_spec) {
        "incompatible volumeMode"
    } else if !has_access_modes(volume_spec, claim_spec) {
        "incompatible accessMode"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}

fn attributes_class(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("")
}

/// Who looks for a volume.
#[derive(Clone, Copy)]
pub enum Seeker<'a> {
    /// The binder; `delayed` when the scheduler chooses unbound volumes for the claim.
    Binder {
        /// Whether only volumes that are reserved for the claim count.
        delayed: bool,
    },
    /// The scheduler, for a node: whether a volume can be used there.
    Scheduler(&'a dyn Fn(&PersistentVolume) -> bool),
}

/// `FindMatchingVolume`: the volume that is reserved for the claim, or else the smallest free one that will do.
#[must_use]
pub fn find_matching<'a>(
    claim: &PersistentVolumeClaim,
    volumes: impl Iterator<Item = &'a Arc<PersistentVolume>>,
    seeker: Seeker<'_>,
) -> Option<&'a Arc<PersistentVolume>> {
    let claim_spec = claim.spec.as_ref()?;
    let asked = claim::requested(claim).unwrap_or_default();
    let selector = claim_spec.selector.as_ref().and_then(|selector| Selector::from_label_selector(Some(selector)).ok());
    let no_labels = BTreeMap::new();
    let mut smallest: Option<(Quantity, &Arc<PersistentVolume>)> = None;
    for volume in volumes {
        let Some(spec) = &volume.spec else { continue };
        let size = persistent_volume::capacity(volume).unwrap_or_default();
        let same_attributes = attributes_class(&spec.volume_attributes_class_name)
            == attributes_class(&claim_spec.volume_attributes_class_name);
        if modes_differ(claim_spec, spec) || !same_attributes || volume.is_deleting() {
            continue;
        }
        let is_usable = match seeker {
            Seeker::Binder { .. } => true,
            Seeker::Scheduler(is_usable) => is_usable(volume),
        };
        if is_bound_to(volume, claim) {
            if size < asked {
                continue;
            }
            return is_usable.then_some(volume);
        }
        let is_free = persistent_volume::phase_of(volume) == "Available" && spec.claim_ref.is_none();
        let labels = volume.metadata.labels.as_ref().unwrap_or(&no_labels);
        let is_selected = selector.as_ref().is_none_or(|selector| selector.matches(labels));
        let fits = is_free
            && is_selected
            && is_usable
            && size >= asked
            && persistent_volume::class_of(volume) == claim::class_of(claim)
            && match seeker {
                Seeker::Binder { delayed } => !delayed,
                Seeker::Scheduler(_) => has_access_modes(spec, claim_spec),
            };
        if fits && smallest.is_none_or(|(known, _)| size < known) {
            smallest = Some((size, volume));
        }
    }
    smallest.map(|(_, volume)| volume)
}

/// `IsDelayBindingMode`: whether the scheduler has a say in where the claim's volume is.
#[must_use]
pub fn is_delayed(class: Option<&StorageClass>) -> bool {
    class.is_some_and(|class| class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"))
}

/// The CSI driver that took the place of a plugin.
#[must_use]
pub fn migrated_driver(provisioner: &str) -> Option<&'static str> {
    Some(match provisioner {
        "kubernetes.io/aws-ebs" => "ebs.csi.aws.com",
        "kubernetes.io/azure-disk" => "disk.csi.azure.com",
        "kubernetes.io/azure-file" => "file.csi.azure.com",
        "kubernetes.io/cinder" => "cinder.csi.openstack.org",
        "kubernetes.io/gce-pd" => "pd.csi.storage.gke.io",
        "kubernetes.io/portworx-volume" => "pxd.portworx.com",
        "kubernetes.io/vsphere-volume" => "csi.vsphere.vmware.com",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn volume(name: &str, size: &str, modes: Value) -> Arc<PersistentVolume> {
        Arc::new(
            crate::machinery::json::from_value(&json!({
                "metadata": {"name": name},
                "spec": {"capacity": {"storage": size}, "accessModes": modes, "storageClassName": "a"},
                "status": {"phase": "Available"},
            }))
            .expect("a volume"),
        )
    }

    fn claim(size: &str) -> PersistentVolumeClaim {
        crate::machinery::json::from_value(&json!({
            "metadata": {"name": "c", "namespace": "n", "uid": "u"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "a",
                "resources": {"requests": {"storage": size}},
            },
        }))
        .expect("a claim")
    }

    fn name_of(found: Option<&Arc<PersistentVolume>>) -> &str {
        found.map_or("none", |volume| volume.name())
    }

    #[test]
    fn the_smallest_that_will_do_is_taken() {
        let modes = || json!(["ReadWriteOnce"]);
        let volumes =
            [volume("large", "9Gi", modes()), volume("right", "2Gi", modes()), volume("small", "1Gi", modes())];
        for (size, expected) in [("1Gi", "small"), ("1500Mi", "right"), ("3Gi", "large"), ("10Gi", "none")] {
            let found = find_matching(&claim(size), volumes.iter(), Seeker::Binder { delayed: false });
            assert_eq!(name_of(found), expected, "{size}");
        }
        let found = find_matching(&claim("1Gi"), volumes.iter(), Seeker::Binder { delayed: true });
        assert_eq!(name_of(found), "none", "the scheduler chooses");
    }

    #[test]
    fn a_reserved_volume_comes_first_and_only_where_it_can_be_used() {
        let mut reserved = (*volume("reserved", "9Gi", json!(["ReadWriteOnce"]))).clone();
        reserved.spec.as_mut().expect("a spec").claim_ref = Some(ObjectReference {
            namespace: Some("n".to_owned()),
            name: Some("c".to_owned()),
            ..ObjectReference::default()
        });
        let volumes = [volume("free", "1Gi", json!(["ReadWriteOnce"])), Arc::new(reserved)];
        let found = find_matching(&claim("1Gi"), volumes.iter(), Seeker::Binder { delayed: true });
        assert_eq!(name_of(found), "reserved");
        let nowhere = |_: &PersistentVolume| false;
        assert_eq!(name_of(find_matching(&claim("1Gi"), volumes.iter(), Seeker::Scheduler(&nowhere))), "none");
    }

    #[test]
    fn binding_says_who_chose() {
        let free = volume("free", "1Gi", json!(["ReadWriteOnce"]));
        let bound = bind_volume_to_claim(&free, &claim("1Gi")).expect("a change");
        assert!(is_bound_to(&bound, &claim("1Gi")));
        assert_eq!(annotation(&bound.metadata, BOUND_BY_CONTROLLER), Some("yes"));
        assert_eq!(bind_volume_to_claim(&bound, &claim("1Gi")), None);
    }
}
