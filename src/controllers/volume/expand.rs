//! Sees to claims that ask for more than they have.
//!
//! No plugin of this cluster can expand a volume by itself, so the controller says who is waited for: whatever resizes
//! the driver's volumes. Watches PersistentVolumeClaims and PersistentVolumes. Follows
//! `kubernetes/pkg/controller/volume/expand`.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use crate::api::core::claim::{capacity, phase_of, requested, volume_name};
use crate::api::{Kind, ObjectKey};
use crate::client::volumes::is_bound_to;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};

/// The expander.
#[derive(Clone, Copy, Debug)]
pub struct ExpandController;

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
            let message = "waiting for an external controller to expand this PVC";
            client.event(&**claim, EventType::Normal, "ExternalExpanding", message);
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
