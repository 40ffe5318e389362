//! The node's part in volumes of CSI drivers: its CSINode, the drivers that are registered with the kubelet, and what
//! of their volumes is in use.
//!
//! Follows `pkg/volume/csi/{csi_plugin.go,nodeinfomanager/nodeinfomanager.go}`. In a cloud, the part of a driver that runs
//! on every node is there as soon as somebody makes the driver's CSIDriver object, as with a cloud's own add-ons; on
//! other machines none ever registers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume};
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec, VolumeAttachment, VolumeNodeResources};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::json;

use crate::api::core::claim::volume_name;
use crate::api::{Name, Object, ObjectKey, Resource, Unstructured};
use crate::client::csi::{CsiVolume, lifecycle_modes, needs_attaching};
use crate::client::{Client, ClientError, EventType, InformerEvent, reference};
use crate::etcd::Why;
use crate::machinery::order::map_of;

use super::agenda::Work;
use super::claims::Trouble;
use super::config::NodeConfig;
use super::events;
use super::host::Host;
use super::kuberuntime::SHARED_FOLDER;

/// The old plugins whose volumes belong to drivers now: `CSIPlugin.Init`.
const MIGRATED_PLUGINS: &str = "kubernetes.io/aws-ebs,kubernetes.io/azure-disk,kubernetes.io/azure-file,\
     kubernetes.io/cinder,kubernetes.io/gce-pd,kubernetes.io/portworx-volume,kubernetes.io/vsphere-volume";
/// `MigratedPluginsAnnotationKey`.
const MIGRATED_PLUGINS_ANNOTATION: &str = "storage.alpha.kubernetes.io/migrated-plugins";
/// How long a driver's pod takes on a node until it has registered.
const REGISTRATION_TIME: Duration = Duration::from_secs(3);
/// After what time a registration that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// What is known of drivers whose volumes can be used on one node or in one zone only: the label that says so, whether
/// that is the node's name rather than its zone, and how many volumes a node takes.
const KNOWN_DRIVERS: [(&str, &str, bool, Option<i32>); 4] = [
    ("ebs.csi.aws.com", "topology.ebs.csi.aws.com/zone", false, Some(25)),
    ("pd.csi.storage.gke.io", "topology.gke.io/zone", false, Some(127)),
    ("disk.csi.azure.com", "topology.disk.csi.azure.com/zone", false, Some(8)),
    ("hostpath.csi.k8s.io", "topology.hostpath.csi/node", true, None),
];

/// The drivers on a node, and their volumes.
#[derive(Clone, Debug, Default)]
pub(super) struct Plugins {
    /// The drivers that the API server knows of.
    drivers: BTreeMap<Name, Arc<Unstructured>>,
    /// Those that are registered here.
    registered: BTreeSet<Name>,
    has_node: bool,
    /// Volumes that pods use, by the pods' uids.
    in_use: BTreeSet<(Name, String)>,
}

impl Plugins {
    /// A pod is about to use a volume.
    pub(super) fn claim(&mut self, pod: &str, volume: &CsiVolume) {
        self.in_use.insert((Name::from(pod), volume.unique_name()));
    }

    /// A pod uses no volume any more.
    pub(super) fn release(&mut self, pod: &str) {
        self.in_use.retain(|(user, _)| **user != *pod);
    }

    /// `status.volumesInUse` of the node.
    pub(super) fn volumes_in_use(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.in_use.iter().map(|(_, volume)| volume).collect();
        names.into_iter().cloned().collect()
    }

    /// Whether something is to be written of the node's drivers.
    fn has_news(&self, config: &NodeConfig) -> bool {
        !self.has_node || (config.is_in_cloud && self.drivers.keys().ne(self.registered.iter()))
    }
}

/// A driver's part on every node came or went.
pub(super) fn deliver(event: &InformerEvent, host: &mut Host, client: &Client<'_>) {
    match &event.after {
        Some(Object::Unstructured(driver)) => {
            host.csi.drivers.insert(event.key.name.clone(), Arc::clone(driver));
        }
        _ => {
            host.csi.drivers.remove(&event.key.name);
        }
    }
    if host.csi.has_news(&host.config) {
        host.agenda.set_sooner(Work::CsiNode, client.now + REGISTRATION_TIME, false);
    }
}

/// Brings the CSINode up to date.
pub(super) fn sync(host: &mut Host, client: &mut Client<'_>) {
    if host.csi.has_news(&host.config) && write(host, client).is_err() {
        host.agenda.set_sooner(Work::CsiNode, client.now + RETRY, true);
    }
}

fn write(host: &mut Host, client: &mut Client<'_>) -> Result<(), ClientError> {
    let config = Arc::clone(&host.config);
    let key = ObjectKey::new("", config.name.as_str());
    let node = client.get::<Node>(&key)?;
    let found = match client.get::<CSINode>(&key) {
        Err(error) if error.is_not_found() => None,
        found => Some(found?),
    };
    let before = found.as_deref().cloned();
    let mut wanted = before.clone().unwrap_or_else(|| new_csi_node(&node));
    let names: BTreeSet<Name> =
        if config.is_in_cloud { host.csi.drivers.keys().cloned().collect() } else { BTreeSet::new() };
    wanted.spec.drivers.retain(|known| names.contains(known.name.as_str()));
    for name in &names {
        if wanted.spec.drivers.iter().all(|known| known.name != **name) {
            wanted.spec.drivers.push(driver_of(name, &config));
        }
    }
    label(&node, &names, client)?;
    client.because(Why::new("The kubelet of node {} tells which storage drivers it has.", [config.name.clone()]));
    match before {
        None => drop(client.create(wanted)?),
        Some(before) if before.spec != wanted.spec => drop(client.update(wanted)?),
        Some(_) => {}
    }
    host.csi.has_node = true;
    host.csi.registered = names;
    Ok(())
}

/// `CreateCSINode`.
fn new_csi_node(node: &Node) -> CSINode {
    CSINode {
        metadata: ObjectMeta {
            name: Some(node.name().to_owned()),
            annotations: Some(map_of([(MIGRATED_PLUGINS_ANNOTATION.to_owned(), MIGRATED_PLUGINS.to_owned())])),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: node.name().to_owned(),
                uid: node.uid().to_owned(),
                ..OwnerReference::default()
            }]),
            ..ObjectMeta::default()
        },
        spec: CSINodeSpec { drivers: Vec::new() },
    }
}

/// What a driver tells of the node when it registers: `NodeGetInfo`.
fn driver_of(name: &str, config: &NodeConfig) -> CSINodeDriver {
    let known = KNOWN_DRIVERS.iter().find(|(driver, ..)| *driver == name);
    CSINodeDriver {
        name: name.to_owned(),
        node_id: config.name.clone(),
        topology_keys: known.map(|(_, key, ..)| vec![(*key).to_owned()]),
        allocatable: known.and_then(|known| known.3).map(|count| VolumeNodeResources { count: Some(count) }),
    }
}

/// The labels that say from where the drivers' volumes can be reached.
fn label(node: &Node, names: &BTreeSet<Name>, client: &mut Client<'_>) -> Result<(), ClientError> {
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let mut missing = serde_json::Map::new();
    for (driver, key, is_name, _) in KNOWN_DRIVERS {
        let value = if is_name { Some(node.name()) } else { labels.get(ZONE_LABEL).map(String::as_str) };
        if let Some(value) =
            value.filter(|value| names.contains(driver) && labels.get(key).is_none_or(|is| is != value))
        {
            missing.insert(key.to_owned(), value.into());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    client.because(Why::new("Storage drivers say where node {} is.", [node.name().to_owned()]));
    client.patch::<Node>(&node.key(), json!({ "metadata": { "labels": missing } })).map(drop)
}

/// Where on the node the files of a driver's volume are.
///
/// # Errors
/// What keeps it from being mounted.
#[inline(never)]
pub(super) fn mount(
    volume: &CsiVolume,
    name: &str,
    pod: &Pod,
    host: &mut Host,
    client: &mut Client<'_>,
) -> Result<String, Trouble> {
    host.csi.claim(pod.uid(), volume);
    let driver = host.csi.drivers.get(volume.driver.as_str()).cloned();
    let is_attachable = needs_attaching(driver.as_deref());
    if is_attachable {
        let key = ObjectKey::new("", volume.attachment_name(&host.config.name));
        let attachment = client.get::<VolumeAttachment>(&key);
        if !attachment.is_ok_and(|it| it.status.as_ref().is_some_and(|status| status.attached)) {
            return Err(Trouble::Unattached);
        }
    }
    if host.csi.registered.contains(volume.driver.as_str()) {
        return Ok(format!("{SHARED_FOLDER}{}:{}", volume.driver, volume.handle));
    }
    let action = "attacher.MountDevice failed to create newCsiDriverClient";
    Err(Trouble::Device(name.to_owned(), format!("kubernetes.io/csi: {action}: {}", unregistered(&volume.driver))))
}

/// Enlarges the file system of a volume that was made larger: `NodeExpandVolume`. What fails is tried again with the
/// next sync.
#[inline(never)]
pub(super) fn expand(pod: &Pod, claim: &str, node: &str, client: &mut Client<'_>) {
    let key = ObjectKey::new(pod.namespace(), claim);
    let Ok(claim) = client.get::<PersistentVolumeClaim>(&key) else { return };
    let mut conditions = claim.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if !conditions.any(|condition| condition.type_ == "FileSystemResizePending" && condition.status == "True") {
        return;
    }
    let name = volume_name(&claim);
    let Ok(volume) = client.get::<PersistentVolume>(&ObjectKey::new("", name)) else { return };
    let size = volume.spec.as_ref().and_then(|spec| spec.capacity.as_ref()?.get("storage").cloned());
    client.because(Why::new("Volume {} is as large as its claim asks on node {}.", [name.to_owned(), node.to_owned()]));
    let written = client.patch_status::<PersistentVolumeClaim>(
        &key,
        json!({ "status": {
            "capacity": { "storage": size },
            "conditions": [{ "$patch": "delete", "type": "FileSystemResizePending" }],
            "allocatedResourceStatuses": null,
        } }),
    );
    if written.is_ok() {
        let message = format!("MountVolume.NodeExpandVolume succeeded for volume {name:?} {node}");
        for about in [events::pod_reference(pod), reference(&*claim)] {
            client.event_about(&about, EventType::Normal, "FileSystemResizeSuccessful", &message);
        }
    }
}

fn unregistered(driver: &str) -> String {
    format!("driver name {driver} not found in the list of registered CSI drivers")
}

/// Checks that a volume that stands in the pod itself can be had of its driver: `supportsVolumeLifecycleMode` and
/// `SetUpAt`.
///
/// # Errors
/// What keeps it from being mounted.
#[inline(never)]
pub(super) fn mount_inline(volume: &Volume, host: &Host) -> Result<(), Trouble> {
    let driver = volume.csi.as_ref().map_or("", |source| source.driver.as_str());
    let unsupported = |why: String| {
        let text = format!("volume mode \"Ephemeral\" not supported by driver {driver} ({why})");
        Err(Trouble::NewMounter(text))
    };
    let Some(known) = host.csi.drivers.get(driver) else {
        return unsupported("no CSIDriver object".to_owned());
    };
    let modes = lifecycle_modes(known);
    if !modes.contains(&"Ephemeral") {
        let modes: Vec<String> = modes.iter().map(|mode| format!("{mode:?}")).collect();
        return unsupported(format!("only supports [{}]", modes.join(" ")));
    }
    if host.csi.registered.contains(driver) {
        return Ok(());
    }
    let text = format!("kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {}", unregistered(driver));
    Err(Trouble::SetUp(text))
}
