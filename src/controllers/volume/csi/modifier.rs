//! Gives volumes other attributes when their claims name another VolumeAttributesClass: the modify controller of
//! `kubernetes-csi/external-resizer`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use serde_json::{Value, json};

use crate::api::core::claim::{phase_of, volume_name};
use crate::api::{Kind, Object, ObjectKey, Resource};
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

/// Who tells of it in events.
const COMPONENT: &str = "external-resizer";

/// The modify controller of all installed drivers.
#[derive(Clone, Debug, Default)]
pub struct CsiModifier {
    /// Since when the cloud works on a claim's volume.
    working: OrdMap<ObjectKey, Time>,
}

/// The class that a bound claim wants, when its volume is not of it.
fn wanted(claim: &PersistentVolumeClaim) -> Option<&str> {
    let class = claim.spec.as_ref()?.volume_attributes_class_name.as_deref().filter(|class| !class.is_empty())?;
    let current = claim.status.as_ref().and_then(|status| status.current_volume_attributes_class_name.as_deref());
    (phase_of(claim) == "Bound" && current != Some(class)).then_some(class)
}

/// The driver of a class, if there is such a class.
fn driver_of<'a>(class: &str, listers: &'a Informers) -> Option<&'a str> {
    match listers.object(Kind::VolumeAttributesClass, &ObjectKey::new("", class)) {
        Some(Object::Unstructured(class)) => class.fields.get("driverName").and_then(Value::as_str),
        _ => None,
    }
}

impl CsiModifier {
    fn modify(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        volume: &PersistentVolume,
        class: &str,
        driver: &str,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let key = claim.key();
        let began = self.working.get(&key).copied();
        if began.is_none() {
            self.working.insert(key.clone(), client.now);
            let message = format!("external resizer is modifying volume {} with vac {class}", claim.name());
            client.event_from(COMPONENT, &**claim, EventType::Normal, "VolumeModify", &message);
            client.because(Why::new("{} changes the volume of claim {}.", [driver.to_owned(), key.name.to_string()]));
            note(&key, class, "InProgress", client)?;
        }
        let (time, done) = (Storage::of(driver).create_time(), client.now.since(began.unwrap_or(client.now)));
        if done < time {
            return Ok(Requeue::After(time - done));
        }
        self.working.remove(&key);
        client.because(Why::new("{} has changed volume {}.", [driver.to_owned(), volume.name().to_owned()]));
        client.patch::<PersistentVolume>(&volume.key(), json!({ "spec": { "volumeAttributesClassName": class } }))?;
        client.patch_status::<PersistentVolumeClaim>(
            &key,
            json!({ "status": {
                "currentVolumeAttributesClassName": class,
                "modifyVolumeStatus": null,
                "conditions": [{ "$patch": "delete", "type": "ModifyingVolume" }],
            } }),
        )?;
        let message = format!("external resizer modified volume {} with vac {class} successfully", claim.name());
        client.event_from(COMPONENT, &**claim, EventType::Normal, "VolumeModifySuccessful", &message);
        Ok(Requeue::Forget)
    }
}

/// Notes on a claim how far its volume is on its way to another class.
fn note(key: &ObjectKey, class: &str, status: &str, client: &mut Client<'_>) -> Result<(), ClientError> {
    let mut change = json!({ "modifyVolumeStatus": { "targetVolumeAttributesClassName": class, "status": status } });
    if status == "InProgress" {
        let time = client.now.to_meta();
        change["conditions"] = json!([{ "type": "ModifyingVolume", "status": "True", "lastTransitionTime": time }]);
    }
    client.patch_status::<PersistentVolumeClaim>(key, json!({ "status": change })).map(drop)
}

impl Controller for CsiModifier {
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
        [Kind::CSIDriver, Kind::PersistentVolume, Kind::PersistentVolumeClaim, Kind::VolumeAttributesClass]
            .map(WatchSpec::all)
            .to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::PersistentVolumeClaim => match event.after::<PersistentVolumeClaim>() {
                Some(claim) if wanted(claim).is_some() => queue.add(event.key.clone()),
                Some(_) => {}
                None => {
                    self.working.remove(&event.key);
                }
            },
            Kind::VolumeAttributesClass => {
                let claims = listers.list::<PersistentVolumeClaim>();
                let waiting = claims.filter(|claim| wanted(claim) == Some(&*event.key.name));
                waiting.for_each(|claim| queue.add(claim.key()));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(claim) = listers.get::<PersistentVolumeClaim>(key) else { return Ok(Requeue::Forget) };
        let Some(class) = wanted(claim) else { return Ok(Requeue::Forget) };
        let volume = listers.get::<PersistentVolume>(&ObjectKey::new("", volume_name(claim)));
        let Some(volume) = volume.filter(|volume| is_bound_to(volume, claim)) else { return Ok(Requeue::Forget) };
        let driver = CsiVolume::of(volume).map(|csi| csi.driver).unwrap_or_default();
        if installed(&driver, listers).is_none() {
            return Ok(Requeue::Forget);
        }
        client.reserve(3)?;
        match driver_of(class, listers) {
            Some(of_class) if of_class == driver => self.modify(claim, volume, class, &driver, client),
            // A class of another driver is none of this one's business.
            Some(_) => Ok(Requeue::Forget),
            None => {
                let message = format!("VAC {class} does not exist.");
                client.event_from(COMPONENT, &**claim, EventType::Warning, "VolumeModifyFailed", &message);
                client
                    .because(Why::new("There is no class {} for claim {}.", [class.to_owned(), key.name.to_string()]));
                note(key, class, "Pending", client)?;
                Ok(Requeue::RateLimited)
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
