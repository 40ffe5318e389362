//! Makes the claims of generic ephemeral volumes.
//!
//! Guarantees that each such volume of a pod has a claim, which the pod owns and which goes with it. Watches Pods and
//! PersistentVolumeClaims. Follows `kubernetes/pkg/controller/volume/ephemeral`.

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::controllers::pod_control::controller_ref;
use crate::etcd::Why;

use super::claim_name;

/// The controller of ephemeral volumes.
#[derive(Clone, Copy, Debug)]
pub struct EphemeralVolumeController;

fn ephemeral_volumes(pod: &Pod) -> impl Iterator<Item = &Volume> {
    pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).filter(|volume| volume.ephemeral.is_some())
}

/// The claim that a volume of a pod describes.
fn claim_for(pod: &Pod, volume: &Volume, name: &str) -> Option<PersistentVolumeClaim> {
    let template = volume.ephemeral.as_ref()?.volume_claim_template.clone()?;
    let metadata = template.metadata.unwrap_or_default();
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(pod.namespace().to_owned()),
            labels: metadata.labels,
            annotations: metadata.annotations,
            owner_references: Some(vec![controller_ref(pod)]),
            ..ObjectMeta::default()
        },
        spec: Some(template.spec),
        status: None,
    })
}

/// `handleVolume`.
fn make_claim(pod: &Pod, volume: &Volume, listers: &Informers, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(name) = claim_name(pod, volume) else { return Ok(()) };
    let key = ObjectKey::new(pod.namespace(), name.as_str());
    if let Some(claim) = listers.get::<PersistentVolumeClaim>(&key) {
        if controller_of(&claim.metadata).is_none_or(|owner| owner.uid != pod.uid()) {
            let message = format!(
                "ephemeral volume {}: PVC {key} was not created for pod {} (pod is not owner)",
                volume.name,
                pod.key()
            );
            client.event(pod, EventType::Warning, "FailedBinding", &message);
        }
        return Ok(());
    }
    let Some(claim) = claim_for(pod, volume, &name) else { return Ok(()) };
    client.because(Why::new("Volume {} of Pod {} needs a claim.", [volume.name.clone(), pod.name().to_owned()]));
    match client.create(claim) {
        Ok(_) => Ok(()),
        Err(error) if error.is_already_exists() => Ok(()),
        Err(error) => {
            let message = format!("ephemeral volume {}: create PVC {key}: {error}", volume.name);
            client.event(pod, EventType::Warning, "FailedBinding", &message);
            Err(error)
        }
    }
}

impl Controller for EphemeralVolumeController {
    fn name(&self) -> &'static str {
        "ephemeral_volume"
    }

    fn account(&self) -> &'static str {
        "ephemeral-volume-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::PersistentVolumeClaim), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if let Some(pod) = event.after::<Pod>().filter(|_| event.before.is_none()) {
            if ephemeral_volumes(pod).next().is_some() {
                queue.add(event.key.clone());
            }
        } else if event.after.is_none()
            && let Some(claim) = event.before::<PersistentVolumeClaim>()
            && let Some(owner) = controller_of(&claim.metadata).filter(|owner| owner.kind == "Pod")
        {
            // A claim that somebody deleted is made again.
            queue.add(ObjectKey::new(claim.namespace(), owner.name.as_str()));
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(pod) = listers.get::<Pod>(key).filter(|pod| !pod.is_deleting()) else { return Ok(Requeue::Forget) };
        for volume in ephemeral_volumes(pod) {
            make_claim(pod, volume, listers, client)?;
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
