//! Enlarges volumes whose claims ask for more: `kubernetes-csi/external-resizer`. Enlarging the file system is left to
//! the kubelet of the node that mounts the volume.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::json;

use crate::api::core::claim::{capacity, phase_of, requested, volume_name};
use crate::api::core::persistent_volume;
use crate::api::{Kind, ObjectKey, Resource};
use crate::client::csi::CsiVolume;
use crate::client::volumes::is_bound_to;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

use super::drivers::Storage;
use super::installed;

/// The resizer of all installed drivers.
#[derive(Clone, Debug, Default)]
pub struct CsiResizer {
    /// Since when the cloud works on a claim's volume.
    working: OrdMap<ObjectKey, Time>,
}

fn wants_more(claim: &PersistentVolumeClaim) -> bool {
    phase_of(claim) == "Bound" && requested(claim) > capacity(claim)
}

/// Who tells of it in events.
pub(super) fn source(driver: &str) -> String {
    format!("external-resizer {driver}")
}

impl CsiResizer {
    /// The driver enlarges the volume; the claim tells of it before and after.
    fn resize(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        volume: &PersistentVolume,
        driver: &str,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let Some(asked) = requested(claim) else { return Ok(Requeue::Forget) };
        let (storage, key) = (Storage::of(driver), claim.key());
        let began = self.working.get(&key).copied();
        if began.is_none() {
            self.working.insert(key.clone(), client.now);
            let message = format!("External resizer is resizing volume {}", volume.name());
            client.event_from(&source(driver), &**claim, EventType::Normal, "Resizing", &message);
            client.because(Why::new("{} enlarges the volume of claim {}.", [driver.to_owned(), key.name.to_string()]));
            let condition = json!({ "type": "Resizing", "status": "True", "lastTransitionTime": client.now.to_meta() });
            client.patch_status::<PersistentVolumeClaim>(
                &key,
                json!({ "status": {
                    "conditions": [condition],
                    "allocatedResources": { "storage": asked.to_string() },
                    "allocatedResourceStatuses": { "storage": "ControllerResizeInProgress" },
                } }),
            )?;
        }
        let done = client.now.since(began.unwrap_or(client.now));
        if done < storage.create_time() {
            return Ok(Requeue::After(storage.create_time() - done));
        }
        self.working.remove(&key);
        client.because(Why::new("{} has enlarged volume {}.", [driver.to_owned(), volume.name().to_owned()]));
        let size = json!({ "spec": { "capacity": { "storage": storage.size(&asked) } } });
        client.patch::<PersistentVolume>(&volume.key(), size)?;
        let message = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";
        let pending = json!({
            "type": "FileSystemResizePending", "status": "True", "message": message,
            "lastTransitionTime": client.now.to_meta(),
        });
        client.patch_status::<PersistentVolumeClaim>(
            &key,
            json!({ "status": {
                "conditions": [pending, { "$patch": "delete", "type": "Resizing" }],
                "allocatedResourceStatuses": { "storage": "NodeResizePending" },
            } }),
        )?;
        let message = "Require file system resize of volume on node";
        client.event_from(&source(driver), &**claim, EventType::Normal, "FileSystemResizeRequired", message);
        Ok(Requeue::Forget)
    }
}

impl Controller for CsiResizer {
    fn name(&self) -> &'static str {
        "csi-resizer"
    }

    fn workers(&self) -> usize {
        10
    }

    fn backoff(&self) -> (std::time::Duration, std::time::Duration) {
        super::BACKOFF
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::CSIDriver, Kind::PersistentVolume, Kind::PersistentVolumeClaim].map(WatchSpec::all).to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.kind != Kind::PersistentVolumeClaim {
            return;
        }
        match event.after::<PersistentVolumeClaim>() {
            Some(claim) if wants_more(claim) => queue.add(event.key.clone()),
            Some(_) => {}
            None => {
                self.working.remove(&event.key);
            }
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(claim) = listers.get::<PersistentVolumeClaim>(key).filter(|claim| wants_more(claim)) else {
            return Ok(Requeue::Forget);
        };
        let volume = listers.get::<PersistentVolume>(&ObjectKey::new("", volume_name(claim)));
        let Some(volume) = volume.filter(|volume| is_bound_to(volume, claim)) else { return Ok(Requeue::Forget) };
        let driver = CsiVolume::of(volume).map(|csi| csi.driver).unwrap_or_default();
        let is_large_enough = persistent_volume::capacity(volume) >= requested(claim);
        if is_large_enough || installed(&driver, listers).is_none() {
            return Ok(Requeue::Forget);
        }
        client.reserve(3)?;
        self.resize(claim, volume, &driver, client)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
