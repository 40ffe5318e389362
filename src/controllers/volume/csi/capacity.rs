//! Tells how much room drivers have, where their CSIDriver objects say that the scheduler should know: a
//! CSIStorageCapacity for each class and each place, which shrinks and grows as volumes come and go. Follows
//! `external-provisioner/pkg/capacity`.
//!
//! A driver has 100Gi in each place, or what the annotation `kubetab/capacity` of its CSIDriver object says.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, PersistentVolume};
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, StorageClass};
use serde_json::{Value, json};

use crate::api::core::persistent_volume;
use crate::api::storage::csi_driver;
use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::apiserver::{Body, DeleteOptions, Patch, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::quantity::{Format, Quantity};
use crate::machinery::sha256;

use super::installed;
use super::provisioner::{Segment, segments};

/// Where the drivers' pods would be, and so their objects.
const NAMESPACE: &str = "kube-system";
/// How much room there is in each place, if nobody says so.
const ROOM: Quantity = Quantity::new(100 << 30, Format::BinarySI);
/// Who says so.
const ROOM_ANNOTATION: &str = "kubetab/capacity";

/// Who tells of room. Its keys are the names of classes.
#[derive(Clone, Copy, Debug)]
pub struct CsiCapacity;

/// The name of the object for a class and a place; upstream's ends by chance.
fn object_name(class: &str, place: Option<&Segment>) -> String {
    let (key, value) = place.cloned().unwrap_or_default();
    let hash = sha256::hex(format!("{class}\n{key}\n{value}").as_bytes());
    format!("csisc-{}", hash.get(..5).unwrap_or_default())
}

fn object(class: &StorageClass, place: Option<&Segment>, listers: &Informers) -> Value {
    let labels = place.map(|(key, value)| json!({ "matchLabels": { key: value } }));
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIStorageCapacity",
        "metadata": {
            "name": object_name(class.name(), place),
            "namespace": NAMESPACE,
            "labels": {
                "csi.storage.k8s.io/drivername": class.provisioner,
                "csi.storage.k8s.io/managed-by": "external-provisioner",
            },
        },
        "nodeTopology": labels.unwrap_or_else(|| json!({})),
        "storageClassName": class.name(),
        "capacity": room(&class.provisioner, place, listers).to_string(),
    })
}

/// Whether a volume lies in a place.
fn is_in(volume: &PersistentVolume, place: Option<&Segment>) -> bool {
    let Some((key, value)) = place else { return true };
    let affinity = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref()?.required.as_ref());
    let mut terms = affinity.into_iter().flat_map(|required| &required.node_selector_terms);
    terms.any(|term| {
        let mut expressions = term.match_expressions.iter().flatten();
        expressions.any(|one| one.key == *key && one.values.iter().flatten().any(|known| known == value))
    })
}

/// How much room a driver has in a place: what it began with, but for the volumes that it has made there.
pub(super) fn room(driver: &str, place: Option<&Segment>, listers: &Informers) -> Quantity {
    let annotations = installed(driver, listers).and_then(|driver| driver.metadata.annotations.as_ref());
    let told = annotations.and_then(|annotations| Quantity::parse(annotations.get(ROOM_ANNOTATION)?).ok());
    let mut room = told.unwrap_or(ROOM);
    let is_of = |volume: &PersistentVolume| driver_of(volume) == Some(driver) && is_in(volume, place);
    for volume in listers.list::<PersistentVolume>().filter(|volume| is_of(volume)) {
        room.sub(persistent_volume::capacity(volume).unwrap_or(Quantity::ZERO));
    }
    if room.sign() < 0 { Quantity::ZERO } else { room }
}

fn driver_of(volume: &PersistentVolume) -> Option<&str> {
    Some(volume.spec.as_ref()?.csi.as_ref()?.driver.as_str())
}

/// Whether the scheduler wants to know of a driver's room.
pub(super) fn tells(driver: &str, listers: &Informers) -> bool {
    let field = installed(driver, listers).and_then(|driver| csi_driver::spec_field(driver, "storageCapacity"));
    field.and_then(Value::as_bool) == Some(true)
}

/// Whether a driver is on nodes and tells no places apart.
fn is_everywhere(driver: &str, listers: &Informers) -> bool {
    let mut nodes = listers.list::<CSINode>().flat_map(|node| &node.spec.drivers).filter(|known| known.name == driver);
    let has_no_places = |known: &CSINodeDriver| known.topology_keys.as_ref().is_none_or(Vec::is_empty);
    nodes.next().is_some_and(|first| has_no_places(first) && nodes.all(has_no_places))
}

fn labels(node: Option<&Node>) -> Option<&BTreeMap<String, String>> {
    node?.metadata.labels.as_ref()
}

impl Controller for CsiCapacity {
    fn name(&self) -> &'static str {
        "csi-provisioner"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [
            Kind::CSIDriver,
            Kind::CSINode,
            Kind::CSIStorageCapacity,
            Kind::Node,
            Kind::PersistentVolume,
            Kind::StorageClass,
        ]
        .map(WatchSpec::all)
        .to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::StorageClass => queue.add(event.key.clone()),
            Kind::Node if labels(event.before()) == labels(event.after()) => {}
            Kind::PersistentVolume => {
                let driver = event.newest::<PersistentVolume>().and_then(driver_of);
                let classes = listers.list::<StorageClass>().filter(|class| driver == Some(class.provisioner.as_str()));
                classes.filter(|class| tells(&class.provisioner, listers)).for_each(|class| queue.add(class.key()));
            }
            Kind::CSIDriver | Kind::CSINode | Kind::Node => {
                listers.list::<StorageClass>().for_each(|class| queue.add(class.key()));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let class = listers.get::<StorageClass>(key).filter(|class| tells(&class.provisioner, listers));
        let wanted: Vec<Value> = class.map_or_else(Vec::new, |class| {
            let places: BTreeSet<Segment> = segments(&class.provisioner, listers);
            let everywhere = is_everywhere(&class.provisioner, listers).then(|| object(class, None, listers));
            places.iter().map(|place| object(class, Some(place), listers)).chain(everywhere).collect()
        });
        let names: BTreeSet<&str> = wanted.iter().filter_map(|it| it["metadata"]["name"].as_str()).collect();
        let known: Vec<(ObjectKey, Value)> = listers
            .objects_in(Kind::CSIStorageCapacity, NAMESPACE)
            .filter_map(|known| Some((known.key(), capacity_of(known, &key.name)?)))
            .collect();
        client.reserve(wanted.len() + known.len())?;
        client.because(Why::new("Storage drivers tell how much room there is for class {}.", [key.name.to_string()]));
        for (old, _) in known.iter().filter(|(known, _)| !names.contains(&*known.name)) {
            match client.delete(Kind::CSIStorageCapacity, old, DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        for new in wanted {
            let found = known.iter().find(|(known, _)| new["metadata"]["name"] == *known.name);
            if let Some((old, capacity)) = found {
                if *capacity != new["capacity"] {
                    update(old, &new["capacity"], client)?;
                }
                continue;
            }
            let verb = Verb::Create { body: Body::Json(new), options: WriteOptions::default() };
            match client.request(Target::collection(Kind::CSIStorageCapacity, NAMESPACE), verb) {
                Err(error) if !error.is_already_exists() => return Err(error),
                _ => {}
            }
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

/// The room is another than it was.
fn update(key: &ObjectKey, capacity: &Value, client: &mut Client<'_>) -> Result<(), ClientError> {
    let patch = Patch::Merge(json!({ "capacity": capacity }));
    let verb = Verb::Patch { patch, options: WriteOptions::default() };
    match client.request(Target::object(Kind::CSIStorageCapacity, key), verb) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

/// How much room an object tells of that was made here for a class.
fn capacity_of(object: &Object, class: &str) -> Option<Value> {
    let Object::Unstructured(capacity) = object else { return None };
    let labels = capacity.metadata.labels.as_ref();
    let managed = labels.and_then(|labels| labels.get("csi.storage.k8s.io/managed-by"));
    let is_of = managed.is_some_and(|by| by == "external-provisioner")
        && capacity.fields.get("storageClassName") == Some(&class.into());
    is_of.then(|| capacity.fields.get("capacity").cloned().unwrap_or_default())
}
