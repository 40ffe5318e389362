//! Sees to claims that ask for more than they have.
//!
//! No plugin of this cluster can expand a volume by itself, so the controller says who is waited for: whatever resizes
//! the driver's volumes. Watches PersistentVolumeClaims and PersistentVolumes. Follows
//! `kubernetes/pkg/controller/volume/expand`.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use crate::api::core::claim::{capacity, phase_of, requested, volume_name};
use crate::api::{Kind, ObjectKey};
use crate::client::volumes::{annotate, annotation, is_bound_to, migrated_driver};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// `VolumeResizerKey`.
const RESIZER: &str = "volume.kubernetes.io/storage-resizer";

/// The expander.
#[derive(Clone, Copy, Debug)]
pub struct ExpandController;

/// The plugin of an old type of volumes: `GetInTreePluginNameFromSpec`.
fn old_plugin(volume: &PersistentVolume) -> Option<&'static str> {
    let spec = volume.spec.as_ref()?;
    let plugins = [
        (spec.aws_elastic_block_store.is_some(), "kubernetes.io/aws-ebs"),
        (spec.azure_disk.is_some(), "kubernetes.io/azure-disk"),
        (spec.azure_file.is_some(), "kubernetes.io/azure-file"),
        (spec.cinder.is_some(), "kubernetes.io/cinder"),
        (spec.gce_persistent_disk.is_some(), "kubernetes.io/gce-pd"),
        (spec.portworx_volume.is_some(), "kubernetes.io/portworx-volume"),
        (spec.vsphere_volume.is_some(), "kubernetes.io/vsphere-volume"),
    ];
    plugins.into_iter().find(|(is_of, _)| *is_of).map(|(_, plugin)| plugin)
}

/// Notes on a claim which driver is to enlarge its volume: `SetClaimResizer`.
fn tell_resizer(
    claim: &PersistentVolumeClaim,
    plugin: &str,
    driver: &str,
    client: &mut Client<'_>,
) -> Result<Requeue, ClientError> {
    let message = format!("CSI migration enabled for {plugin}; waiting for external resizer to expand the pvc");
    client.event(claim, EventType::Normal, "ExternalExpanding", &message);
    if annotation(&claim.metadata, RESIZER) != Some(driver) {
        let name = claim.metadata.name.clone().unwrap_or_default();
        client.because(Why::new("{} is to enlarge the volume of claim {}.", [driver.to_owned(), name]));
        let mut changed = claim.clone();
        annotate(&mut changed.metadata, RESIZER, driver);
        client.update(changed)?;
    }
    Ok(Requeue::Forget)
}

impl Controller for ExpandController {
    fn name(&self) -> &'static str {
        "volume_expand"
    }

    fn account(&self) -> &'static str {
        "expand-controller"
    }

    fn workers(&self) -> usize {
        10
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::PersistentVolume), WatchSpec::all(Kind::PersistentVolumeClaim)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        let Some(claim) = event.after::<PersistentVolumeClaim>() else { return };
        let before = event.before::<PersistentVolumeClaim>().and_then(requested);
        if phase_of(claim) == "Bound" && requested(claim) > before && requested(claim) > capacity(claim) {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(claim) = listers.get::<PersistentVolumeClaim>(key) else { return Ok(Requeue::Forget) };
        let volume = listers.get::<PersistentVolume>(&ObjectKey::new("", volume_name(claim)));
        if volume.is_some_and(|volume| is_bound_to(volume, claim)) && requested(claim) > capacity(claim) {
            let plugin = volume.and_then(|volume| old_plugin(volume));
            if let Some((plugin, driver)) = plugin.and_then(|plugin| Some((plugin, migrated_driver(plugin)?))) {
                return tell_resizer(claim, plugin, driver, client);
            }
            // That there is no plugin for the volume here is an error to the controller, though nothing is wrong.
            let message = "waiting for an external controller to expand this PVC";
            client.event(&**claim, EventType::Warning, "ExternalExpanding", message);
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
