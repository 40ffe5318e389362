//! VolumeZone: a volume that names its zone in its labels can be used there only.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::PersistentVolume;

use crate::api::Resource as _;
use crate::api::core::claim::{class_of, volume_name};
use crate::client::volumes::is_delayed;
use crate::scheduler::framework::cycle_state::CycleState;
use crate::scheduler::framework::events::{ActionType, Change, ClusterEvent, QueueingHint};
use crate::scheduler::framework::plugin::Plugin;
use crate::scheduler::framework::status::Rejection;
use crate::scheduler::framework::{Handle, PreFilter};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

/// `ErrReasonConflict`.
const CONFLICT: &str = "node(s) had no available volume zone";
/// The labels that name a place, each with the one that took its place.
const TOPOLOGY_LABELS: [(&str, &str); 4] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// A label that a node must have with one of these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    label: &'static str,
    newer_label: &'static str,
    values: BTreeSet<String>,
}

/// `getPVTopologies`.
fn places(volume: &PersistentVolume) -> Vec<Place> {
    let labels = volume.metadata.labels.as_ref();
    let found = TOPOLOGY_LABELS.iter().filter_map(|&(label, newer_label)| {
        let value = labels?.get(label)?;
        let values = value.split("__").map(|value| value.trim().to_owned()).collect();
        Some(Place { label, newer_label, values })
    });
    found.collect()
}

fn reject(why: impl Into<String>) -> PreFilter {
    PreFilter::Reject(Rejection::unresolvable_made(Plugin::VolumeZone, why.into()))
}

/// Collects the places of the pod's volumes.
#[must_use]
pub fn pre_filter(state: &mut CycleState, handle: Handle<'_>) -> PreFilter {
    let listers = handle.listers;
    let mut all = Vec::new();
    for claim in state.pod.claims.iter().filter(|claim| !claim.is_ephemeral) {
        let Some(found) = listers.claim(&claim.key) else {
            return reject(format!("persistentvolumeclaim {:?} not found", &*claim.key.name));
        };
        let name = volume_name(found);
        if !name.is_empty() {
            match listers.volume(name) {
                Some(volume) => all.extend(places(volume)),
                None => return reject(format!("persistentvolume {name:?} not found")),
            }
            continue;
        }
        let class = class_of(found);
        if class.is_empty() {
            return reject("PersistentVolumeClaim had no pv name and storageClass name");
        }
        match listers.class_of(found) {
            None => return reject(format!("storageclass.storage.k8s.io {class:?} not found")),
            Some(found) if found.volume_binding_mode.is_none() => {
                return reject(format!("VolumeBindingMode not set for StorageClass {class:?}"));
            }
            Some(class) if is_delayed(Some(class)) => {}
            Some(_) => return reject("PersistentVolume had no name"),
        }
    }
    if all.is_empty() {
        return PreFilter::Skip;
    }
    state.volume_places = all;
    PreFilter::All
}

/// Refuses nodes elsewhere. A node that says nothing of its place may be anywhere.
///
/// # Errors
/// The refusal.
pub fn filter(state: &CycleState, node: &NodeInfo) -> Result<(), Rejection> {
    let labels = node.labels();
    if !TOPOLOGY_LABELS.iter().any(|(label, _)| labels.contains_key(*label)) {
        return Ok(());
    }
    for place in &state.volume_places {
        let value = labels.get(place.label).or_else(|| labels.get(place.newer_label));
        if value.is_none_or(|value| !place.values.contains(value)) {
            return Err(Rejection::unresolvable(Plugin::VolumeZone, CONFLICT));
        }
    }
    Ok(())
}

/// A class whose volumes follow pods came, a node or its labels changed, or a claim or a volume did.
#[must_use]
pub fn hint(event: ClusterEvent, pod: &PodInfo, change: &Change) -> Option<QueueingHint> {
    match change {
        Change::Class(None, class) => Some(QueueingHint::when(is_delayed(Some(class)))),
        Change::Node(_, Some(_)) if event.is_node(ActionType::ADD.or(ActionType::UPDATE_NODE_LABEL)) => {
            Some(QueueingHint::Queue)
        }
        Change::Claim(_, claim) => Some(QueueingHint::when(pod.uses_claim(&claim.key(), false))),
        Change::Volume(old, new) => {
            let moved = old.as_ref().is_none_or(|old| places(old) != places(new));
            Some(QueueingHint::when(moved))
        }
        _ => None,
    }
}
