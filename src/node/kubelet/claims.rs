//! From a pod's claim to the volume behind it, and from that to a folder of the machine.
//!
//! `pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go` (`createVolumeSpec`) and what the plugins of
//! PersistentVolumes do. What is no folder of the machine (a network file system, a volume of a CSI driver) is a folder that
//! machines share.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Pod, Volume};

use crate::api::core::claim::{phase_of, volume_name};
use crate::api::{ObjectKey, Resource, controller_of};
use crate::client::Client;
use crate::client::csi::CsiVolume;
use crate::client::volumes::claim_ref;

use super::csi;
use super::host::Host;
use super::kuberuntime::SHARED_FOLDER;

/// Why a volume is not there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Its claim or its volume is not as it should be: the sync fails at once.
    Unprocessed(String),
    /// It is not attached to the node yet.
    Unattached,
    /// It could not be mounted: the volume's own name, and why.
    Device(String, String),
    /// It could not be set up: why.
    SetUp(String),
    /// It cannot be used in this way at all: why.
    NewMounter(String),
}

/// The name of the claim that a pod's volume uses.
pub(super) fn claim_name(pod: &Pod, volume: &Volume) -> Option<String> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some(source.claim_name.clone()),
        (None, Some(_)) => Some(format!("{}-{}", pod.name(), volume.name)),
        (None, None) => None,
    }
}

/// Where on the machine the files of a claim are.
///
/// # Errors
/// What keeps the claim from being used.
pub(super) fn folder(
    pod: &Pod,
    volume: &Volume,
    claim: &str,
    host: &mut Host,
    client: &mut Client<'_>,
) -> Result<String, Trouble> {
    let key = ObjectKey::new(pod.namespace(), claim);
    let found = volume_of(pod, volume, &key, client);
    let persistent = found.map_err(|why| Trouble::Unprocessed(format!("error processing PVC {key}: {why}")))?;
    let spec = persistent.spec.clone().unwrap_or_default();
    check_mode(pod, volume, &spec)?;
    if has_no_plugin(&spec) {
        return Err(no_plugin(persistent.name()));
    }
    if let Some(volume) = CsiVolume::of(&persistent) {
        return csi::mount(&volume, persistent.name(), pod, host, client);
    }
    Ok(match (&spec.host_path, &spec.local, &spec.nfs) {
        (Some(source), ..) => source.path.clone(),
        (_, Some(source), _) => source.path.clone(),
        (.., Some(source)) => network_folder(&source.server, &source.path),
        _ => format!("{SHARED_FOLDER}{}", persistent.name()),
    })
}

/// Refuses volumes of types of which there is no plugin any more: `FindPluginBySpec`, and `GitRepoVolumeDriver`, which is
/// off.
///
/// # Errors
/// What keeps it from being used.
pub(super) fn check_plugin(volume: &Volume) -> Result<(), Trouble> {
    if volume.git_repo.is_some() {
        let why = "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the \
                   feature-gate `GitRepoVolumeDriver`";
        return Err(Trouble::SetUp(why.to_owned()));
    }
    let is_gone = volume.cephfs.is_some()
        || volume.flocker.is_some()
        || volume.glusterfs.is_some()
        || volume.photon_persistent_disk.is_some()
        || volume.quobyte.is_some()
        || volume.rbd.is_some()
        || volume.scale_io.is_some()
        || volume.storageos.is_some();
    if is_gone { Err(no_plugin(&volume.name)) } else { Ok(()) }
}

/// The same of volumes that are objects.
fn has_no_plugin(spec: &PersistentVolumeSpec) -> bool {
    spec.cephfs.is_some()
        || spec.flocker.is_some()
        || spec.glusterfs.is_some()
        || spec.photon_persistent_disk.is_some()
        || spec.quobyte.is_some()
        || spec.rbd.is_some()
        || spec.scale_io.is_some()
        || spec.storageos.is_some()
}

fn no_plugin(name: &str) -> Trouble {
    let why = format!("failed to get Plugin from volumeSpec for volume {name:?} err=no volume plugin matched");
    Trouble::Unprocessed(why)
}

/// A folder that a server gives to every machine that asks.
pub(super) fn network_folder(server: &str, path: &str) -> String {
    format!("{SHARED_FOLDER}{server}:{path}")
}

/// `getPVCExtractPV` and `getPVSpec`.
fn volume_of(
    pod: &Pod,
    volume: &Volume,
    key: &ObjectKey,
    client: &mut Client<'_>,
) -> Result<std::sync::Arc<PersistentVolume>, String> {
    let claim = client.get::<PersistentVolumeClaim>(key);
    let claim = claim.map_err(|error| format!("failed to fetch PVC from API server: {error}"))?;
    if volume.ephemeral.is_some() && controller_of(&claim.metadata).is_none_or(|owner| owner.uid != pod.uid()) {
        return Err(format!("PVC {key} was not created for pod {}/{} (pod is not owner)", pod.namespace(), pod.name()));
    }
    if claim.is_deleting() {
        return Err("PVC is being deleted".to_owned());
    }
    let name = volume_name(&claim);
    if phase_of(&claim) != "Bound" || name.is_empty() {
        return Err("PVC is not bound".to_owned());
    }
    let found = client.get::<PersistentVolume>(&ObjectKey::new("", name));
    let found = found.map_err(|error| format!("failed to fetch PV {name} from API server: {error}"))?;
    match claim_ref(&found) {
        None => Err(format!(
            "found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
        )),
        Some(reference) if reference.uid.as_deref() != Some(claim.uid()) => Err(format!(
            "found PV object {name} but its pv.Spec.ClaimRef.UID {} does not point to claim.UID {}",
            reference.uid.as_deref().unwrap_or(""),
            claim.uid()
        )),
        Some(_) => Ok(found),
    }
}

/// A file system is mounted, and a block device is given as such.
fn check_mode(pod: &Pod, volume: &Volume, spec: &PersistentVolumeSpec) -> Result<(), Trouble> {
    let mode = spec.volume_mode.as_deref().unwrap_or("Filesystem");
    let containers = || pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
    let mut mounts = containers().flat_map(|one| one.volume_mounts.iter().flatten());
    let mut devices = containers().flat_map(|one| one.volume_devices.iter().flatten());
    let wrong = match mode {
        "Block" => mounts.any(|mount| mount.name == volume.name).then_some("volumeMounts"),
        _ => devices.any(|device| device.name == volume.name).then_some("volumeDevices"),
    };
    match wrong {
        Some(field) => Err(Trouble::Unprocessed(format!(
            "volume {} has volumeMode {mode}, but is specified in {field}",
            volume.name
        ))),
        None => Ok(()),
    }
}
