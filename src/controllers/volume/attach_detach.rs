//! Asks for the volumes of CSI drivers to be attached to the nodes whose pods use them.
//!
//! Guarantees a VolumeAttachment for every pair of such a volume and a node with a pod that uses it, and none for others
//! once the node has let go of the volume. A node that does not answer is waited for six minutes; one that somebody has
//! tainted as out of service is not waited for. Attaching itself is the work of a driver's external attacher, which
//! answers in the attachment's status. Watches Pods, Nodes, PersistentVolumes, PersistentVolumeClaims, CSIDrivers and
//! VolumeAttachments. Follows `kubernetes/pkg/controller/volume/attachdetach` and `pkg/volume/csi/csi_attacher.go`. Disks of
//! old types that stand in pods themselves are their drivers' volumes, too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    AttachedVolume, Node, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, Pod,
};
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeAttachmentSource, VolumeAttachmentSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use crate::api::core::claim;
use crate::api::{Kind, Name, Object, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::csi::{CsiVolume, needs_attaching};
use crate::client::csi_translation::InlineDisk;
use crate::client::volumes::{claim_key, claim_ref, is_bound_to};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::controllers::pod_control::{node_name, phase};
use crate::etcd::Why;
use crate::machinery::persistent::{OrdMap, OrdSet};
use crate::machinery::time::Time;

use super::claims_of;

/// How long an attachment is waited for: `csiTimeout`.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How long a node is waited for that has a volume in use: `ReconcilerMaxWaitForUnmountDuration`.
const UNMOUNT_WAIT_MAX: Duration = Duration::from_secs(6 * 60);
/// `v1.TaintNodeOutOfService`.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// In this namespace are the keys of volumes that no object stands for. Those of the others are in none.
const INLINE: &str = "inline";

/// The attach-detach controller. Its keys are the names of PersistentVolumes, and what nodes call the disks that stand
/// in pods themselves.
#[derive(Clone, Debug, Default)]
pub struct AttachDetachController {
    /// Since when a volume is to be taken from a node: volume, node.
    detaching: OrdMap<(Name, Name), Time>,
    /// Volumes of which pods were told that another node has them: volume, node.
    told: OrdSet<(Name, Name)>,
}

/// A driver's volume: a PersistentVolume, or a disk that stands in pods.
struct Subject<'a> {
    /// What people know it by.
    name: &'a str,
    csi: CsiVolume,
    spec: &'a PersistentVolumeSpec,
    is_inline: bool,
}

impl<'a> Subject<'a> {
    fn of_volume(volume: &'a PersistentVolume) -> Option<Self> {
        let csi = CsiVolume::of(volume)?;
        Some(Self { name: volume.name(), csi, spec: volume.spec.as_ref()?, is_inline: false })
    }

    fn of_disk(disk: &'a InlineDisk) -> Self {
        Self { name: &disk.name, csi: disk.csi(), spec: &disk.spec, is_inline: true }
    }

    /// Whether it can be on one node only.
    fn is_exclusive(&self) -> bool {
        let mut modes = self.spec.access_modes.iter().flatten();
        modes.all(|mode| matches!(mode.as_str(), "ReadWriteOnce" | "ReadWriteOncePod"))
    }

    /// How an attachment refers to it.
    fn source(&self) -> VolumeAttachmentSource {
        if self.is_inline {
            return VolumeAttachmentSource {
                inline_volume_spec: Some(self.spec.clone()),
                persistent_volume_name: None,
            };
        }
        VolumeAttachmentSource { persistent_volume_name: Some(self.name.to_owned()), inline_volume_spec: None }
    }

    /// Its attachments.
    fn attachments<'l>(&'l self, listers: &'l Informers) -> impl Iterator<Item = &'l Arc<VolumeAttachment>> {
        listers.list::<VolumeAttachment>().filter(|attachment| {
            let source = &attachment.spec.source;
            if self.is_inline {
                return inline_volume(source).as_ref() == Some(&self.csi);
            }
            source.persistent_volume_name.as_deref() == Some(self.name)
        })
    }
}

/// The driver's volume of an attachment that no PersistentVolume stands for.
fn inline_volume(source: &VolumeAttachmentSource) -> Option<CsiVolume> {
    let csi = source.inline_volume_spec.as_ref()?.csi.as_ref()?;
    Some(CsiVolume { driver: csi.driver.clone(), handle: csi.volume_handle.clone() })
}

/// The disks that stand in a pod itself.
fn inline_disks(pod: &Pod) -> impl Iterator<Item = InlineDisk> {
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes.filter_map(|volume| InlineDisk::of(volume, pod.namespace()))
}

/// The key of a volume that no object stands for.
fn inline_key(volume: &CsiVolume) -> ObjectKey {
    ObjectKey::new(INLINE, volume.unique_name())
}

/// The key of what an attachment attaches.
fn key_of(attachment: &VolumeAttachment) -> Option<ObjectKey> {
    let source = &attachment.spec.source;
    let name = source.persistent_volume_name.as_deref().map(|name| ObjectKey::new("", name));
    name.or_else(|| inline_volume(source).as_ref().map(inline_key))
}

/// Whether a driver's volumes are attached at all.
fn is_attachable(driver: &str, listers: &Informers) -> bool {
    match listers.object(Kind::CSIDriver, &ObjectKey::new("", driver)) {
        Some(Object::Unstructured(driver)) => needs_attaching(Some(driver)),
        _ => true,
    }
}

fn is_ready(node: &Node) -> bool {
    let mut conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn is_out_of_service(node: &Node) -> bool {
    node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).any(|taint| taint.key == OUT_OF_SERVICE)
}

fn volumes_in_use(node: &Node) -> &[String] {
    node.status.as_ref().and_then(|status| status.volumes_in_use.as_deref()).unwrap_or_default()
}

fn volumes_attached(node: &Node) -> &[AttachedVolume] {
    node.status.as_ref().and_then(|status| status.volumes_attached.as_deref()).unwrap_or_default()
}

/// Lets the node's status tell that a volume is attached, or that it is not. Says whether that is new.
fn report(volume: &CsiVolume, node: &str, attached: bool, client: &mut Client<'_>) -> Result<bool, ClientError> {
    let key = ObjectKey::new("", node);
    let found = match client.get::<Node>(&key) {
        Err(error) if error.is_not_found() => return Ok(false),
        found => found?,
    };
    let name = volume.unique_name();
    let mut volumes = volumes_attached(&found).to_vec();
    if volumes.iter().any(|known| known.name == name) == attached {
        return Ok(false);
    }
    volumes.retain(|known| known.name != name);
    if attached {
        volumes.push(AttachedVolume { name, device_path: String::new() });
    }
    let volumes: Vec<_> = volumes.iter().map(|it| json!({ "name": it.name, "devicePath": it.device_path })).collect();
    client.because(Why::new("The volumes that are attached to node {} have changed.", [node.to_owned()]));
    client.patch_status::<Node>(&key, json!({ "status": { "volumesAttached": volumes } }))?;
    Ok(true)
}

/// The pods that use a volume, by their nodes.
type Users<'a> = BTreeMap<&'a str, Vec<&'a Arc<Pod>>>;

fn by_node<'a>(pods: impl IntoIterator<Item = &'a Arc<Pod>>) -> Users<'a> {
    let mut users = Users::new();
    for pod in pods {
        let is_over = matches!(phase(pod), "Succeeded" | "Failed");
        if !node_name(pod).is_empty() && !is_over {
            users.entry(node_name(pod)).or_default().push(pod);
        }
    }
    users
}

fn users<'a>(volume: &PersistentVolume, listers: &'a Informers) -> Users<'a> {
    let Some(key) = claim_ref(volume).map(claim_key) else { return Users::new() };
    if !listers.get::<PersistentVolumeClaim>(&key).is_some_and(|claim| is_bound_to(volume, claim)) {
        return Users::new();
    }
    by_node(listers.pods_using(&key))
}

/// A disk that no pod has in itself any more, as an attachment still tells of it.
fn attached_disk(key: &QueueKey, listers: &Informers) -> Option<InlineDisk> {
    listers.list::<VolumeAttachment>().find_map(|attachment| {
        let volume = inline_volume(&attachment.spec.source)?;
        let spec = attachment.spec.source.inline_volume_spec.clone()?;
        (*volume.unique_name() == *key.name).then(|| InlineDisk { name: volume.unique_name(), spec })
    })
}

/// The pods that have a disk in themselves, and the disk.
fn users_of_disk<'a>(key: &QueueKey, listers: &'a Informers) -> (Option<InlineDisk>, Users<'a>) {
    let mut found = None;
    let pods = listers.list::<Pod>().filter(|pod| {
        let disk = inline_disks(pod).find(|disk| *disk.csi().unique_name() == *key.name);
        let has_it = disk.is_some();
        found = found.take().or(disk);
        has_it
    });
    let users = by_node(pods);
    (found, users)
}

fn tell(pods: &[&Arc<Pod>], event_type: EventType, reason: &str, message: &str, client: &mut Client<'_>) {
    pods.iter().for_each(|pod| client.event(&***pod, event_type, reason, message));
}

/// What pods are told that want a volume which other nodes have: `reportMultiAttachError`.
fn multi_attach_message(volume: &str, namespace: &str, others: &[&Arc<Pod>]) -> String {
    let local: Vec<&str> = others.iter().filter(|pod| pod.namespace() == namespace).map(|pod| pod.name()).collect();
    let foreign = others.len() - local.len();
    let why = match (local.is_empty(), foreign) {
        (true, 0) => "Volume is already exclusively attached to one node and can't be attached to another".to_owned(),
        (true, _) => format!("Volume is already used by {foreign} pod(s) in different namespaces"),
        (false, 0) => format!("Volume is already used by pod(s) {}", local.join(", ")),
        (false, _) => {
            format!(
                "Volume is already used by pod(s) {} and {foreign} pod(s) in different namespaces",
                local.join(", ")
            )
        }
    };
    format!("Multi-Attach error for volume {volume:?} {why}")
}

impl AttachDetachController {
    /// Takes the volume from nodes whose pods do not use it; how long to wait for a node, if one is waited for.
    fn detach_unused(
        &mut self,
        subject: &Subject<'_>,
        users: &Users<'_>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Option<Duration>, ClientError> {
        let mut wait: Option<Duration> = None;
        for attachment in subject.attachments(listers).filter(|it| it.spec.attacher == subject.csi.driver) {
            let node = attachment.spec.node_name.as_str();
            let pair = (Name::from(subject.csi.unique_name()), Name::from(node));
            if attachment.is_deleting() || users.contains_key(node) {
                self.detaching.remove(&pair);
                continue;
            }
            let since = *self.detaching.entry(pair.clone()).or_insert_with(|| client.now);
            let state = listers.get::<Node>(&ObjectKey::new("", node));
            if let Some(longer) = keeps(state.map(|node| &**node), &subject.csi, client.now.since(since)) {
                wait = wait.into_iter().chain(Some(longer)).filter(|wait| !wait.is_zero()).min();
                continue;
            }
            report(&subject.csi, node, false, client)?;
            client.because(Why::new(
                "No pod on node {} uses volume {} any more.",
                [node.to_owned(), subject.name.to_owned()],
            ));
            client.delete(Kind::VolumeAttachment, &attachment.key(), DeleteOptions::default())?;
            self.detaching.remove(&pair);
        }
        Ok(wait)
    }

    /// Tells pods, once, that another node has the volume.
    fn tell_multi_attach(&mut self, subject: &Subject<'_>, node: &str, users: &Users<'_>, client: &mut Client<'_>) {
        let name = subject.name;
        if !self.told.insert((Name::from(name), Name::from(node))) {
            return;
        }
        let others: Vec<&Arc<Pod>> =
            users.iter().filter(|(other, _)| **other != node).flat_map(|(_, pods)| pods.iter().copied()).collect();
        for pod in users.get(node).into_iter().flatten() {
            let message = multi_attach_message(name, pod.namespace(), &others);
            client.event(&***pod, EventType::Warning, "FailedAttachVolume", &message);
        }
    }

    /// Sees to a node's attachment; how long to wait for it, if it is waited for.
    fn attach(
        &mut self,
        subject: &Subject<'_>,
        node: &str,
        users: &Users<'_>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Option<Duration>, ClientError> {
        let Subject { name: volume, csi, .. } = subject;
        let (name, pods) = (csi.attachment_name(node), users.get(node).map_or(&[][..], Vec::as_slice));
        let Some(attachment) = listers.get::<VolumeAttachment>(&ObjectKey::new("", name.as_str())) else {
            let mut others = subject.attachments(listers).filter(|other| other.spec.node_name != node);
            if subject.is_exclusive() && others.next().is_some() {
                self.tell_multi_attach(subject, node, users, client);
                return Ok(None);
            }
            self.told.remove(&(Name::from(*volume), Name::from(node)));
            client.because(Why::new("Pods on node {} use volume {}.", [node.to_owned(), (*volume).to_owned()]));
            let created = client.create(VolumeAttachment {
                metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
                spec: VolumeAttachmentSpec {
                    attacher: csi.driver.clone(),
                    node_name: node.to_owned(),
                    source: subject.source(),
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
            if !attachment.is_deleting() && report(csi, node, true, client)? {
                let message = format!("AttachVolume.Attach succeeded for volume {volume:?} ");
                tell(pods, EventType::Normal, "SuccessfulAttachVolume", &message, client);
            }
            return Ok(None);
        }
        let made = attachment.metadata.creation_timestamp.as_ref().map_or(client.now, Time::from);
        let waited = client.now.since(made);
        let why = match status.attach_error.and_then(|error| error.message) {
            Some(message) => message,
            None if waited >= TIMEOUT => format!(
                "timed out waiting for external-attacher of {} CSI driver to attach volume {}",
                csi.driver, csi.handle
            ),
            None => return Ok(Some(TIMEOUT - waited)),
        };
        let message = format!("AttachVolume.Attach failed for volume {volume:?} : {why}");
        tell(pods, EventType::Warning, "FailedAttachVolume", &message, client);
        Ok(Some(TIMEOUT))
    }
}

/// For how long a node that has the volume in use still keeps it: no time for one that only has to say when it is done,
/// `None` when it is taken.
fn keeps(node: Option<&Node>, volume: &CsiVolume, waited: Duration) -> Option<Duration> {
    let node = node.filter(|node| volumes_in_use(node).contains(&volume.unique_name()))?;
    let left = UNMOUNT_WAIT_MAX.saturating_sub(waited);
    let is_forced = is_out_of_service(node) || (left.is_zero() && !is_ready(node));
    (!is_forced).then_some(left)
}

impl Controller for AttachDetachController {
    fn name(&self) -> &'static str {
        "attachdetach-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [
            Kind::CSIDriver,
            Kind::Node,
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
            Kind::VolumeAttachment,
            Kind::Pod,
        ]
        .map(WatchSpec::all)
        .to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
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
            Kind::CSIDriver => {
                let is_of =
                    |volume: &PersistentVolume| CsiVolume::of(volume).is_some_and(|csi| *csi.driver == *event.key.name);
                let volumes = listers.list::<PersistentVolume>().filter(|volume| is_of(volume));
                volumes.for_each(|volume| queue.add(volume.key()));
            }
            Kind::Node => {
                let (before, after) = (event.before::<Node>(), event.after::<Node>());
                let is_same = |before: &Node, after: &Node| {
                    volumes_in_use(before) == volumes_in_use(after)
                        && is_out_of_service(before) == is_out_of_service(after)
                        && is_ready(before) == is_ready(after)
                };
                if before.zip(after).is_some_and(|(before, after)| is_same(before, after)) {
                    return;
                }
                let here = listers.list::<VolumeAttachment>().filter(|it| *it.spec.node_name == *event.key.name);
                here.filter_map(|attachment| key_of(attachment)).for_each(|key| queue.add(key));
            }
            Kind::VolumeAttachment => {
                event.newest::<VolumeAttachment>().and_then(key_of).into_iter().for_each(|key| queue.add(key));
            }
            Kind::Pod => {
                let pod = event.newest::<Pod>();
                pod.into_iter().flat_map(inline_disks).for_each(|disk| queue.add(inline_key(&disk.csi())));
                for key in pod.into_iter().flat_map(claims_of) {
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
        if *key.namespace == *INLINE {
            let (disk, users) = users_of_disk(key, listers);
            let disk = disk.or_else(|| attached_disk(key, listers));
            return disk
                .map_or(Ok(Requeue::Forget), |disk| self.see_to(&Subject::of_disk(&disk), &users, listers, client));
        }
        let Some(volume) = listers.get::<PersistentVolume>(key) else { return Ok(Requeue::Forget) };
        let Some(subject) = Subject::of_volume(volume) else { return Ok(Requeue::Forget) };
        self.see_to(&subject, &users(volume, listers), listers, client)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AttachDetachController {
    /// Takes a volume from nodes that do not use it, and has it attached to those that do.
    fn see_to(
        &mut self,
        subject: &Subject<'_>,
        users: &Users<'_>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Requeue, ClientError> {
        let mut wait = self.detach_unused(subject, users, listers, client)?;
        if !is_attachable(&subject.csi.driver, listers) {
            return Ok(Requeue::Forget);
        }
        for node in users.keys() {
            let longer = self.attach(subject, node, users, listers, client)?;
            wait = wait.into_iter().chain(longer).min();
        }
        Ok(wait.map_or(Requeue::Forget, Requeue::After))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ready: &str, taint: Option<&str>, in_use: bool) -> Node {
        let volumes: Vec<&str> = if in_use { vec!["kubernetes.io/csi/d^h"] } else { Vec::new() };
        let taints: Vec<_> = taint.iter().map(|key| json!({ "key": key, "effect": "NoExecute" })).collect();
        let conditions = [json!({ "type": "Ready", "status": ready })];
        crate::machinery::json::from_value(&json!({
            "metadata": { "name": "a" },
            "spec": { "taints": taints },
            "status": { "volumesInUse": volumes, "conditions": conditions },
        }))
        .expect("a node")
    }

    #[test]
    fn a_node_keeps_what_it_uses_until_it_is_given_up() {
        let volume = CsiVolume { driver: "d".to_owned(), handle: "h".to_owned() };
        let (minute, six) = (Duration::from_secs(60), UNMOUNT_WAIT_MAX);
        let cases = [
            ("it has let go", Some(node("True", None, false)), minute, None),
            ("it is gone", None, minute, None),
            ("it answers", Some(node("True", None, true)), minute, Some(six - minute)),
            ("it answers still", Some(node("True", None, true)), six, Some(Duration::ZERO)),
            ("it is silent", Some(node("Unknown", None, true)), minute, Some(six - minute)),
            ("it was silent too long", Some(node("Unknown", None, true)), six, None),
            ("somebody gave it up", Some(node("Unknown", Some(OUT_OF_SERVICE), true)), minute, None),
        ];
        for (case, node, waited, wanted) in cases {
            assert_eq!(keeps(node.as_ref(), &volume, waited), wanted, "{case}");
        }
    }

    #[test]
    fn pods_are_told_who_has_their_volume() {
        let pod = |namespace: &str, name: &str| -> Arc<Pod> {
            let value = json!({ "metadata": { "namespace": namespace, "name": name } });
            Arc::new(crate::machinery::json::from_value(&value).expect("a pod"))
        };
        let (a, b, c) = (pod("default", "a"), pod("default", "b"), pod("other", "c"));
        let told = |others: &[&Arc<Pod>]| multi_attach_message("pv", "default", others);
        assert_eq!(
            told(&[]),
            "Multi-Attach error for volume \"pv\" Volume is already exclusively attached to one node and can't be \
             attached to another"
        );
        assert_eq!(told(&[&a, &b]), "Multi-Attach error for volume \"pv\" Volume is already used by pod(s) a, b");
        assert_eq!(
            told(&[&a, &c]),
            "Multi-Attach error for volume \"pv\" Volume is already used by pod(s) a and 1 pod(s) in different \
             namespaces"
        );
        assert_eq!(
            told(&[&c]),
            "Multi-Attach error for volume \"pv\" Volume is already used by 1 pod(s) in different namespaces"
        );
    }
}
