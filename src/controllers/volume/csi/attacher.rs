//! Attaches volumes to nodes and takes them away: `kubernetes-csi/external-attacher`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::PersistentVolume;
use k8s_openapi::api::storage::v1::{CSINode, VolumeAttachment};
use serde_json::json;

use crate::api::{Kind, ObjectKey, Resource};
use crate::client::csi::needs_attaching;
use crate::client::volumes::{annotate, annotation};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

use super::drivers::Storage;
use super::installed;

/// Where the driver's name for the node is noted.
const NODE_ID: &str = "csi.alpha.kubernetes.io/node-id";

/// The attacher of all installed drivers.
#[derive(Clone, Debug, Default)]
pub struct CsiAttacher {
    /// Since when the cloud works on an attachment.
    working: OrdMap<ObjectKey, Time>,
}

/// `GetFinalizerName`.
fn finalizer(driver: &str) -> String {
    let name: String =
        driver.chars().map(|it| if it.is_ascii_alphanumeric() || it == '-' { it } else { '-' }).collect();
    format!("external-attacher/{name}")
}

fn has_finalizer(finalizers: Option<&Vec<String>>, name: &str) -> bool {
    finalizers.is_some_and(|all| all.iter().any(|known| known == name))
}

impl CsiAttacher {
    /// Whether the cloud is done with an attachment that it began to work on at the first call; else how long it takes.
    fn work(&mut self, attachment: &VolumeAttachment, client: &Client<'_>) -> Option<Requeue> {
        let time = Storage::of(&attachment.spec.attacher).attach_time();
        let since = *self.working.entry(attachment.key()).or_insert_with(|| client.now);
        let done = client.now.since(since);
        if done < time {
            return Some(Requeue::After(time - done));
        }
        self.working.remove(&attachment.key());
        None
    }

    fn attach(
        &mut self,
        attachment: &Arc<VolumeAttachment>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let (driver, node) = (&attachment.spec.attacher, &attachment.spec.node_name);
        let drivers = listers.get::<CSINode>(&ObjectKey::new("", node.as_str()));
        let Some(on_node) = drivers.and_then(|node| node.spec.drivers.iter().find(|known| known.name == *driver))
        else {
            let message = format!("CSINode {node} does not contain driver {driver}");
            return Self::fail(attachment, &message, client);
        };
        let mark = finalizer(driver);
        if !has_finalizer(attachment.metadata.finalizers.as_ref(), &mark) {
            let mut changed = VolumeAttachment::clone(attachment);
            changed.metadata.finalizers.get_or_insert_default().push(mark);
            annotate(&mut changed.metadata, NODE_ID, &on_node.node_id);
            client.because(Why::new("{} is about to attach a volume to node {}.", [driver.clone(), node.clone()]));
            client.update(changed)?;
            return Ok(Requeue::Forget);
        }
        let source = &attachment.spec.source;
        let name = source.persistent_volume_name.as_deref();
        let inline = source.inline_volume_spec.as_ref().and_then(|spec| spec.csi.as_ref());
        let name = match (name, inline) {
            (None, Some(disk)) => disk.volume_handle.as_str(),
            (name, _) => {
                let name = name.unwrap_or("");
                let volume = listers.get::<PersistentVolume>(&ObjectKey::new("", name));
                let Some(volume) = volume.filter(|volume| !volume.is_deleting()) else {
                    return Self::fail(attachment, &format!("persistentvolume {name:?} not found"), client);
                };
                Self::hold(volume, mark, client)?;
                name
            }
        };
        if let Some(wait) = self.work(attachment, client) {
            return Ok(wait);
        }
        client.because(Why::new("The cloud has attached volume {} to node {}.", [name.to_owned(), node.clone()]));
        client.patch_status::<VolumeAttachment>(
            &attachment.key(),
            json!({ "status": { "attached": true, "attachError": null } }),
        )?;
        Ok(Requeue::Forget)
    }

    /// Sees to it that a volume stays as long as it is attached.
    fn hold(volume: &PersistentVolume, mark: String, client: &mut Client<'_>) -> Result<(), ClientError> {
        if has_finalizer(volume.metadata.finalizers.as_ref(), &mark) {
            return Ok(());
        }
        let mut changed = volume.clone();
        changed.metadata.finalizers.get_or_insert_default().push(mark);
        client.because(Why::new("Volume {} stays while it is attached.", [volume.name().to_owned()]));
        client.update(changed).map(drop)
    }

    /// Notes why a volume could not be attached; it is tried again.
    fn fail(attachment: &VolumeAttachment, message: &str, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let known = attachment.status.as_ref().and_then(|status| status.attach_error.as_ref()?.message.as_deref());
        if known != Some(message) {
            client.because(Why::new("Volume of {} cannot be attached.", [attachment.name().to_owned()]));
            let error = json!({ "message": message, "time": client.now.to_meta() });
            client.patch_status::<VolumeAttachment>(
                &attachment.key(),
                json!({ "status": { "attached": false, "attachError": error } }),
            )?;
        }
        Ok(Requeue::RateLimited)
    }

    fn detach(
        &mut self,
        attachment: &Arc<VolumeAttachment>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let mark = finalizer(&attachment.spec.attacher);
        if !has_finalizer(attachment.metadata.finalizers.as_ref(), &mark) {
            return Ok(Requeue::Forget);
        }
        if annotation(&attachment.metadata, NODE_ID).is_some()
            && let Some(wait) = self.work(attachment, client)
        {
            return Ok(wait);
        }
        let mut changed = VolumeAttachment::clone(attachment);
        changed.metadata.finalizers.iter_mut().for_each(|all| all.retain(|known| *known != mark));
        client.because(Why::new("The cloud has taken a volume from node {}.", [attachment.spec.node_name.clone()]));
        match client.update(changed) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let name = attachment.spec.source.persistent_volume_name.as_deref().unwrap_or("");
        Self::release(name, &mark, Some(attachment.name()), listers, client)
    }

    /// Lets go of a volume that is attached nowhere any more.
    fn release(
        name: &str,
        mark: &str,
        but: Option<&str>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let is_attached = listers.list::<VolumeAttachment>().any(|other| {
            other.spec.source.persistent_volume_name.as_deref() == Some(name) && but != Some(other.name())
        });
        let volume = listers.get::<PersistentVolume>(&ObjectKey::new("", name));
        let Some(volume) = volume.filter(|it| !is_attached && has_finalizer(it.metadata.finalizers.as_ref(), mark))
        else {
            return Ok(Requeue::Forget);
        };
        let mut changed = PersistentVolume::clone(volume);
        changed.metadata.finalizers.iter_mut().for_each(|all| all.retain(|known| known != mark));
        client.because(Why::new("Volume {} is attached nowhere any more.", [name.to_owned()]));
        match client.update(changed) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }
}

impl Controller for CsiAttacher {
    fn name(&self) -> &'static str {
        "csi-attacher"
    }

    fn workers(&self) -> usize {
        10
    }

    fn backoff(&self) -> (std::time::Duration, std::time::Duration) {
        super::BACKOFF
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::CSIDriver, Kind::CSINode, Kind::PersistentVolume, Kind::VolumeAttachment].map(WatchSpec::all).to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        let mut add = |wanted: &dyn Fn(&VolumeAttachment) -> bool| {
            let all = listers.list::<VolumeAttachment>().filter(|attachment| wanted(attachment));
            all.for_each(|attachment| queue.add(attachment.key()));
        };
        match event.kind {
            Kind::VolumeAttachment if event.after.is_some() => queue.add(event.key.clone()),
            Kind::VolumeAttachment => {
                self.working.remove(&event.key);
            }
            Kind::CSIDriver => add(&|attachment| *attachment.spec.attacher == *event.key.name),
            Kind::CSINode => add(&|attachment| *attachment.spec.node_name == *event.key.name),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(attachment) = listers.get::<VolumeAttachment>(key) else { return Ok(Requeue::Forget) };
        let driver = installed(&attachment.spec.attacher, listers);
        if !driver.is_some_and(|driver| needs_attaching(Some(driver))) {
            return Ok(Requeue::Forget);
        }
        client.reserve(3)?;
        let is_attached = attachment.status.as_ref().is_some_and(|status| status.attached);
        match (attachment.is_deleting(), is_attached) {
            (true, _) => self.detach(attachment, listers, client),
            (false, true) => Ok(Requeue::Forget),
            (false, false) => self.attach(attachment, listers, client),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
