//! What becomes of a volume that was released: `reclaimVolume`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{
    Container, HostPathVolumeSource, PersistentVolume, Pod, PodSpec, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::SyncContext;
use super::provision::HOST_PATH;
use super::volumes::reclaim_policy;
use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::volumes::{PROVISIONED_BY, annotation};
use crate::client::{ClientError, EventType};
use crate::controllers::pod_control::phase;
use crate::etcd::Why;

/// `PVDeletionInTreeProtectionFinalizer`: a volume that is to be deleted stays until its data is gone.
pub(super) const IN_TREE_FINALIZER: &str = "kubernetes.io/pv-controller";
/// The name of a pod that empties a volume, before the volume's.
pub(super) const RECYCLER_PREFIX: &str = "recycler-for-";
/// Where such pods run.
pub(super) const RECYCLER_NAMESPACE: &str = "default";
/// What they run.
const RECYCLER_IMAGE: &str = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.4";
const RECYCLER_SCRIPT: &str =
    "test -e /scrub && find /scrub -mindepth 1 -delete && test -z \"$(ls -A /scrub)\" || exit 1";

/// `modifyDeletionFinalizers`: a volume that a plugin made is protected as long as its policy is to delete it. `None`
/// when the volume is as it should be.
pub(super) fn with_finalizer(volume: &PersistentVolume) -> Option<PersistentVolume> {
    let provisioner = annotation(&volume.metadata, PROVISIONED_BY)?;
    if !provisioner.starts_with("kubernetes.io/") || volume.is_deleting() {
        return None;
    }
    let has = volume.metadata.finalizers.iter().flatten().any(|name| name == IN_TREE_FINALIZER);
    let mut changed = volume.clone();
    let finalizers = changed.metadata.finalizers.get_or_insert_default();
    match (reclaim_policy(volume), has) {
        ("Delete", false) => finalizers.push(IN_TREE_FINALIZER.to_owned()),
        ("Retain" | "Recycle", true) => finalizers.retain(|name| name != IN_TREE_FINALIZER),
        _ => return None,
    }
    Some(changed)
}

/// Why the deleter of host paths does not delete a volume.
fn undeletable(volume: &PersistentVolume) -> Option<String> {
    let path = volume.spec.as_ref().and_then(|spec| spec.host_path.as_ref()).map(|source| source.path.as_str());
    match path {
        Some(path) if path.strip_prefix("/tmp/").is_some_and(|rest| !rest.is_empty()) => None,
        Some(path) => Some(format!("host_path deleter only supports /tmp/.+ but received provided {path}")),
        None => Some(format!(
            "error getting deleter volume plugin for volume {:?}: no volume plugin matched",
            volume.name()
        )),
    }
}

impl SyncContext<'_, '_> {
    pub(super) fn reclaim(&mut self, volume: &Arc<PersistentVolume>) -> Result<(), ClientError> {
        match reclaim_policy(volume) {
            "Retain" => Ok(()),
            "Delete" => self.delete(volume),
            "Recycle" => self.recycle(volume),
            _ => {
                let message = "Volume has unrecognized PersistentVolumeReclaimPolicy";
                self.fail_volume(volume, "VolumeUnknownReclaimPolicy", message)
            }
        }
    }

    /// `deleteVolumeOperation`.
    fn delete(&mut self, volume: &Arc<PersistentVolume>) -> Result<(), ClientError> {
        let provisioner = annotation(&volume.metadata, PROVISIONED_BY).unwrap_or("");
        let is_external = !provisioner.is_empty() && !provisioner.starts_with("kubernetes.io/");
        let is_csi = volume.spec.as_ref().is_some_and(|spec| spec.csi.is_some());
        if is_external || (is_csi && provisioner != HOST_PATH) {
            // Whoever made it removes it.
            return Ok(());
        }
        if let Some(why) = undeletable(volume) {
            return self.fail_volume(volume, "VolumeFailedDelete", &why);
        }
        self.client.reserve(2)?;
        self.client
            .because(Why::new("Volume {} is deleted with its claim, as its policy says.", [volume.name().to_owned()]));
        let mut newest = Arc::clone(volume);
        if volume.metadata.finalizers.iter().flatten().any(|name| name == IN_TREE_FINALIZER) {
            let mut changed = PersistentVolume::clone(volume);
            changed.metadata.finalizers.iter_mut().for_each(|names| names.retain(|name| name != IN_TREE_FINALIZER));
            newest = self.write_volume(changed)?;
        }
        if newest.is_deleting() {
            return Ok(());
        }
        self.client.delete(Kind::PersistentVolume, &volume.key(), DeleteOptions::default())
    }

    /// `recycleVolumeOperation`: a pod empties the volume, and then it is free again.
    fn recycle(&mut self, volume: &Arc<PersistentVolume>) -> Result<(), ClientError> {
        let Some(source) = volume.spec.as_ref().and_then(|spec| spec.host_path.clone()) else {
            return self.fail_volume(volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!");
        };
        let key = ObjectKey::new(RECYCLER_NAMESPACE, format!("{RECYCLER_PREFIX}{}", volume.name()));
        self.client.because(Why::new("Volume {} is emptied for the next claim.", [volume.name().to_owned()]));
        let Some(pod) = self.listers.get::<Pod>(&key).cloned() else {
            return match self.client.create(recycler(&key, volume, source)) {
                Err(error) if !error.is_already_exists() => Err(error),
                _ => Ok(()),
            };
        };
        let is_over = matches!(phase(&pod), "Succeeded" | "Failed");
        if !is_over || pod.is_deleting() {
            return Ok(());
        }
        self.client.reserve(3)?;
        self.client.delete(Kind::Pod, &key, DeleteOptions::default().grace(0))?;
        if phase(&pod) == "Failed" {
            let message = pod.status.as_ref().and_then(|status| status.message.as_deref());
            let why = message
                .map_or_else(|| format!("pod {key} failed"), |message| format!("failed to recycle volume: {message}"));
            return self.fail_volume(volume, "VolumeFailedRecycle", &format!("Recycle failed: {why}"));
        }
        self.client.event(&**volume, EventType::Normal, "VolumeRecycled", "Volume recycled");
        self.unbind(volume)
    }
}

/// The pod that empties a volume.
fn recycler(key: &ObjectKey, volume: &PersistentVolume, source: HostPathVolumeSource) -> Pod {
    let text = |text: &str| text.to_owned();
    // A larger volume takes longer, at least a minute: `CalculateTimeoutForVolume`.
    const SECONDS: i64 = 60;
    let gibibytes = crate::api::core::persistent_volume::capacity(volume).map_or(0, |size| size.value() >> 30);
    Pod {
        metadata: ObjectMeta {
            name: Some(key.name.to_string()),
            namespace: Some(key.namespace.to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            active_deadline_seconds: Some((gibibytes * 30).max(SECONDS)),
            restart_policy: Some(text("Never")),
            volumes: Some(vec![Volume { name: text("vol"), host_path: Some(source), ..Volume::default() }]),
            containers: vec![Container {
                name: text("pv-recycler"),
                image: Some(text(RECYCLER_IMAGE)),
                command: Some(vec![text("/bin/sh")]),
                args: Some(vec![text("-c"), text(RECYCLER_SCRIPT)]),
                volume_mounts: Some(vec![VolumeMount {
                    name: text("vol"),
                    mount_path: text("/scrub"),
                    ..VolumeMount::default()
                }]),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
        status: None,
    }
}
