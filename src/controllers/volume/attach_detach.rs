//! Asks for the volumes of CSI drivers to be attached to the nodes whose pods use them.
//!
//! Guarantees a VolumeAttachment for every pair of such a volume and a node with a pod that uses it, and none for others.
//! Attaching itself is the work of a driver's external attacher, which answers in the attachment's status. Watches Pods,
//! PersistentVolumes, PersistentVolumeClaims, CSIDrivers and VolumeAttachments. Follows
//! `kubernetes/pkg/controller/volume/attachdetach` and `pkg/volume/csi/csi_attacher.go`; volumes that stand in pods
//! themselves and forced detaching are left out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{CSIPersistentVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::core::claim;
use crate::api::storage::csi_driver;
use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::volumes::{claim_key, claim_ref, is_bound_to};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::controllers::pod_control::{node_name, phase};
use crate::etcd::Why;
use crate::machinery::sha256;
use crate::machinery::time::Time;

use super::claims_of;

/// How long an attachment is waited for: `csiTimeout`.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The attach-detach controller. Its keys are the names of volumes.
#[derive(Clone, Copy, Debug)]
pub struct AttachDetachController;

fn csi_source(volume: &PersistentVolume) -> Option<&CSIPersistentVolumeSource> {
    volume.spec.as_ref()?.csi.as_ref()
}

/// `getAttachmentName`.
fn attachment_name(source: &CSIPersistentVolumeSource, node: &str) -> String {
    format!("csi-{}", sha256::hex(format!("{}{}{node}", source.volume_handle, source.driver).as_bytes()))
}

/// Whether a driver's volumes are attached at all; one that says nothing wants it.
fn needs_attaching(driver: &str, listers: &Informers) -> bool {
    match listers.object(Kind::CSIDriver, &ObjectKey::new("", driver)) {
        Some(Object::Unstructured(driver)) => {
            csi_driver::spec_field(driver, "attachRequired").and_then(Value::as_bool) != Some(false)
        }
        _ => true,
    }
}

/// The pods that use a volume, by their nodes.
fn users<'a>(volume: &PersistentVolume, listers: &'a Informers) -> BTreeMap<&'a str, Vec<&'a Arc<Pod>>> {
    let mut users: BTreeMap<&str, Vec<&Arc<Pod>>> = BTreeMap::new();
    let Some(key) = claim_ref(volume).map(claim_key) else { return users };
    if !listers.get::<PersistentVolumeClaim>(&key).is_some_and(|claim| is_bound_to(volume, claim)) {
        return users;
    }
    for pod in listers.pods_using(&key) {
        let is_over = matches!(phase(pod), "Succeeded" | "Failed");
        if !node_name(pod).is_empty() && !is_over {
            users.entry(node_name(pod)).or_default().push(pod);
        }
    }
    users
}

/// Whether the volume can be on one node only.
fn is_exclusive(volume: &PersistentVolume) -> bool {
    let mut modes = volume.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten());
    modes.all(|mode| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod"))
}

fn tell(pods: &[&Arc<Pod>], event_type: EventType, reason: &str, message: &str, client: &mut Client<'_>) {
    pods.iter().for_each(|pod| client.event(&***pod, event_type, reason, message));
}

impl AttachDetachController {
    /// Sees to a node's attachment; how long to wait for it, if it is waited for.
    fn attach(
        volume: &PersistentVolume,
        source: &CSIPersistentVolumeSource,
        node: &str,
        pods: &[&Arc<Pod>],
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Option<Duration>, ClientError> {
        let name = attachment_name(source, node);
        let volume_name = volume.name();
        let Some(attachment) = listers.get::<VolumeAttachment>(&ObjectKey::new("", name.as_str())) else {
            let mut others = attachments(volume, listers).filter(|other| other.spec.node_name != node);
            if is_exclusive(volume) && others.next().is_some() {
                let message = format!(
                    "Multi-Attach error for volume {volume_name:?} Volume is already exclusively attached to one node \
                     and can't be attached to another"
                );
                tell(pods, EventType::Warning, "FailedAttachVolume", &message, client);
                return Ok(None);
            }
            client.because(Why::new("Pods on node {} use volume {}.", [node.to_owned(), volume_name.to_owned()]));
            let created = client.create(VolumeAttachment {
                metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
                spec: VolumeAttachmentSpec {
                    attacher: source.driver.clone(),
                    node_name: node.to_owned(),
                    source: VolumeAttachmentSource {
                        persistent_volume_name: Some(volume_name.to_owned()),
                        inline_volume_spec: None,
                    },
                },
                status: None,
            });
            return match created {
                Err(error) if !error.is_already_exists() => Err(error),
                _ => Ok(Some(TIMEOUT)),
            };
        };
        let status = attachment.status.clone().unwrap_or_default();
        if status.attached {
            return Ok(None);
        }
        let made = attachment.metadata.creation_timestamp.as_ref().map_or(client.now, Time::from);
        let waited = client.now.since(made);
        let why = match status.attach_error.and_then(|error| error.message) {
            Some(message) => message,
            None if waited >= TIMEOUT => format!(
                "timed out waiting for external-attacher of {} CSI driver to attach volume {}",
                source.driver, source.volume_handle
            ),
            None => return Ok(Some(TIMEOUT - waited)),
        };
        let message = format!("AttachVolume.Attach failed for volume {volume_name:?} : {why}");
        tell(pods, EventType::Warning, "FailedAttachVolume", &message, client);
        Ok(Some(TIMEOUT))
    }
}

/// The attachments of a volume.
fn attachments<'a>(
    volume: &'a PersistentVolume,
    listers: &'a Informers,
) -> impl Iterator<Item = &'a Arc<VolumeAttachment>> {
    listers
        .list::<VolumeAttachment>()
        .filter(|attachment| attachment.spec.source.persistent_volume_name.as_deref() == Some(volume.name()))
}

impl Controller for AttachDetachController {
    fn name(&self) -> &'static str {
        "attachdetach-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::CSIDriver, Kind::PersistentVolume, Kind::PersistentVolumeClaim, Kind::VolumeAttachment, Kind::Pod]
            .map(WatchSpec::all)
            .to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::PersistentVolume => queue.add(event.key.clone()),
            Kind::PersistentVolumeClaim => {
                let name = event.newest::<PersistentVolumeClaim>().map_or("", claim::volume_name);
                if !name.is_empty() {
                    queue.add(ObjectKey::new("", name));
                }
            }
            Kind::VolumeAttachment => {
                let name =
                    event.newest::<VolumeAttachment>().and_then(|it| it.spec.source.persistent_volume_name.clone());
                name.into_iter().for_each(|name| queue.add(ObjectKey::new("", name)));
            }
            Kind::Pod => {
                for key in event.newest::<Pod>().into_iter().flat_map(claims_of) {
                    let name = listers.get::<PersistentVolumeClaim>(&key).map_or("", |claim| claim::volume_name(claim));
                    if !name.is_empty() {
                        queue.add(ObjectKey::new("", name));
                    }
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(volume) = listers.get::<PersistentVolume>(key) else { return Ok(Requeue::Forget) };
        let Some(source) = csi_source(volume) else { return Ok(Requeue::Forget) };
        let users = users(volume, listers);
        for attachment in
            attachments(volume, listers).filter(|it| it.spec.attacher == source.driver && !it.is_deleting())
        {
            if !users.contains_key(attachment.spec.node_name.as_str()) {
                client.because(Why::new(
                    "No pod on node {} uses volume {} any more.",
                    [attachment.spec.node_name.clone(), volume.name().to_owned()],
                ));
                client.delete(Kind::VolumeAttachment, &attachment.key(), DeleteOptions::default())?;
            }
        }
        if !needs_attaching(&source.driver, listers) {
            return Ok(Requeue::Forget);
        }
        let mut wait: Option<Duration> = None;
        for (node, pods) in &users {
            let longer = Self::attach(volume, source, node, pods, listers, client)?;
            wait = wait.into_iter().chain(longer).min();
        }
        Ok(wait.map_or(Requeue::Forget, Requeue::After))
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
