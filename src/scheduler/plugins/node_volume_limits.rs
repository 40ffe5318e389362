//! NodeVolumeLimits: a node can attach so many volumes of a CSI driver, and no more.
//!
//! Follows `nodevolumelimits/csi.go`. Volumes of the old types count for the driver that took their place, on nodes whose
//! CSINode says that it did.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolume, Volume};
use k8s_openapi::api::storage::v1::{CSINode, VolumeAttachment};

use crate::api::core::claim::volume_name;
use crate::api::{ObjectKey, Resource as _};
use crate::client::volumes::{annotation, migrated_driver};
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::listers::Listers;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `ErrReasonMaxVolumeCountExceeded`.
const TOO_MANY: &str = "node(s) exceed max volume count";
/// The plugins that a node's drivers have taken the place of: `MigratedPluginsAnnotationKey`.
pub const MIGRATED_PLUGINS: &str = "storage.alpha.kubernetes.io/migrated-plugins";
/// The old plugins whose volumes are counted: `isCSIMigrationOn`.
const COUNTED: [&str; 5] = [
    "kubernetes.io/aws-ebs",
    "kubernetes.io/azure-disk",
    "kubernetes.io/cinder",
    "kubernetes.io/gce-pd",
    "kubernetes.io/portworx-volume",
];

/// Volumes of CSI drivers, each once: the driver by driver and handle.
type Volumes = BTreeMap<(String, String), String>;

/// The plugin and the disk of a volume of an old type that stands in a pod itself.
fn in_line(volume: &Volume) -> Option<(&'static str, &str)> {
    if let Some(disk) = &volume.aws_elastic_block_store {
        return Some(("kubernetes.io/aws-ebs", &disk.volume_id));
    }
    if let Some(disk) = &volume.azure_disk {
        return Some(("kubernetes.io/azure-disk", &disk.disk_uri));
    }
    if let Some(disk) = &volume.cinder {
        return Some(("kubernetes.io/cinder", &disk.volume_id));
    }
    if let Some(disk) = &volume.gce_persistent_disk {
        return Some(("kubernetes.io/gce-pd", &disk.pd_name));
    }
    let disk = volume.portworx_volume.as_ref()?;
    Some(("kubernetes.io/portworx-volume", &disk.volume_id))
}

/// The same of a volume that is an object.
fn of_old_type(volume: &PersistentVolume) -> Option<(&'static str, &str)> {
    let spec = volume.spec.as_ref()?;
    if let Some(disk) = &spec.aws_elastic_block_store {
        return Some(("kubernetes.io/aws-ebs", &disk.volume_id));
    }
    if let Some(disk) = &spec.azure_disk {
        return Some(("kubernetes.io/azure-disk", &disk.disk_uri));
    }
    if let Some(disk) = &spec.cinder {
        return Some(("kubernetes.io/cinder", &disk.volume_id));
    }
    if let Some(disk) = &spec.gce_persistent_disk {
        return Some(("kubernetes.io/gce-pd", &disk.pd_name));
    }
    let disk = spec.portworx_volume.as_ref()?;
    Some(("kubernetes.io/portworx-volume", &disk.volume_id))
}

/// The driver that a plugin's volumes count for on a node.
fn driver_on(node: Option<&CSINode>, plugin: &str) -> Option<&'static str> {
    let migrated = annotation(&node?.metadata, MIGRATED_PLUGINS)?;
    let is_on = COUNTED.contains(&plugin) && migrated.split(',').any(|name| name == plugin);
    is_on.then(|| migrated_driver(plugin)).flatten()
}

/// `getCSIDriverInfo`: driver and handle of a claim's volume. One that is still to be made counts under the claim's name.
fn volume_of(key: &ObjectKey, node: Option<&CSINode>, listers: &Listers) -> Option<(String, String)> {
    let claim = listers.claim(key)?;
    if let Some(volume) = listers.volume(volume_name(claim)) {
        if let Some(source) = volume.spec.as_ref().and_then(|spec| spec.csi.as_ref()) {
            return Some((source.driver.clone(), source.volume_handle.clone()));
        }
        let (plugin, disk) = of_old_type(volume)?;
        return Some((driver_on(node, plugin)?.to_owned(), disk.to_owned()));
    }
    let provisioner = listers.class_of(claim)?.provisioner.as_str();
    let driver = if migrated_driver(provisioner).is_some() { driver_on(node, provisioner)? } else { provisioner };
    Some((driver.to_owned(), format!("-{key}")))
}

/// `filterAttachableVolumes`.
fn add_volumes(volumes: &mut Volumes, pod: &PodInfo, node: Option<&CSINode>, listers: &Listers) {
    let mut add = |(driver, handle): (String, String)| {
        volumes.insert((driver.clone(), handle), driver);
    };
    pod.claims.iter().filter_map(|claim| volume_of(&claim.key, node, listers)).for_each(&mut add);
    for (plugin, disk) in pod.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()).filter_map(in_line) {
        if let Some(driver) = driver_on(node, plugin) {
            add((driver.to_owned(), disk.to_owned()));
        }
    }
}

/// Driver and handle of what is attached, or about to be.
fn attached(attachment: &VolumeAttachment, listers: &Listers) -> Option<(String, String)> {
    let volume = listers.volume(attachment.spec.source.persistent_volume_name.as_deref()?)?;
    let source = volume.spec.as_ref()?.csi.as_ref()?;
    Some((attachment.spec.attacher.clone(), source.volume_handle.clone()))
}

fn has_volumes(pod: &PodInfo) -> bool {
    let mut volumes = pod.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    !pod.claims.is_empty() || volumes.any(|volume| in_line(volume).is_some())
}

/// Only pods with volumes of drivers can be too many.
#[must_use]
pub fn pre_filter(state: &CycleState) -> PreFilter {
    if has_volumes(&state.pod) { PreFilter::All } else { PreFilter::Skip }
}

/// Refuses nodes that have as many volumes as they take.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, handle: Handle<'_>, node: &NodeInfo) -> Result<(), Rejection> {
    let listers = handle.listers;
    let csi_node = listers.csi_nodes.get(&node.name).map(|node| &**node);
    let drivers = csi_node.map_or(&[][..], |node| &node.spec.drivers);
    if drivers.iter().all(|driver| driver.allocatable.as_ref().and_then(|it| it.count).is_none()) {
        return Ok(());
    }
    let mut wanted = Volumes::new();
    add_volumes(&mut wanted, &state.pod, csi_node, listers);
    if wanted.is_empty() {
        return Ok(());
    }
    let mut present = Volumes::new();
    node.pods.iter().for_each(|pod| add_volumes(&mut present, pod, csi_node, listers));
    wanted.retain(|volume, _| !present.contains_key(volume));
    let attachments = listers.volume_attachments.get(&node.name).into_iter().flat_map(|of_node| of_node.values());
    for (driver, handle) in attachments.filter_map(|attachment| attached(attachment, listers)) {
        present.insert((driver.clone(), handle), driver);
    }
    let count = |volumes: &Volumes, driver: &str| volumes.values().filter(|of| **of == driver).count();
    for driver in drivers {
        let Some(limit) = driver.allocatable.as_ref().and_then(|allocatable| allocatable.count) else { continue };
        let new = count(&wanted, &driver.name);
        if new > 0 && count(&present, &driver.name) + new > usize::try_from(limit).unwrap_or(0) {
            return Err(Rejection::unschedulable(Plugin::NodeVolumeLimits, TOO_MANY));
        }
    }
    Ok(())
}

/// A pod with volumes or an attachment is gone, a node takes more, or a claim of the pod appeared.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change, listers: &Listers) -> Option<QueueingHint> {
    match change {
        Change::Pod(Some(old), None) if event.is_pod(ActionType::DELETE) => {
            Some(QueueingHint::when(has_volumes(old) && !old.node_name().is_empty()))
        }
        Change::CsiNode(None, _) => Some(QueueingHint::Queue),
        Change::CsiNode(Some(old), new) => Some(QueueingHint::when(takes_more(old, new))),
        Change::Claim(None, claim) => Some(QueueingHint::when(pod.uses_claim(&claim.key(), true))),
        Change::Detached(attachment) => {
            let node = listers.csi_nodes.get(attachment.spec.node_name.as_str()).map(|node| &**node);
            let mut volumes = pod.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
            let is_of_driver = |volume: &Volume| {
                in_line(volume).is_some_and(|(plugin, _)| driver_on(node, plugin) == Some(&*attachment.spec.attacher))
            };
            Some(QueueingHint::when(!pod.claims.is_empty() || volumes.any(is_of_driver)))
        }
        _ => None,
    }
}

/// Whether a driver says of a node that it takes more volumes than before.
fn takes_more(old: &CSINode, new: &CSINode) -> bool {
    let limit = |node: &CSINode, name: &str| {
        let driver = node.spec.drivers.iter().find(|driver| driver.name == name)?;
        driver.allocatable.as_ref()?.count
    };
    let grew = |name: &str| match (limit(old, name), limit(new, name)) {
        (Some(old), Some(new)) => new > old,
        _ => false,
    };
    new.spec.drivers.iter().any(|driver| grew(&driver.name))
}
