//! Tells how much room drivers have, where their CSIDriver objects say that the scheduler should know: a
//! CSIStorageCapacity for each class and each place. Follows `external-provisioner/pkg/capacity`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::{CSINode, CSINodeDriver, StorageClass};
use serde_json::{Value, json};

use crate::api::storage::csi_driver;
use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::apiserver::{Body, DeleteOptions, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::sha256;

use super::installed;
use super::provisioner::{Segment, segments};

/// Where the drivers' pods would be, and so their objects.
const NAMESPACE: &str = "kube-system";
/// How much room there is in each place. What was given away is not subtracted.
const ROOM: &str = "100Gi";

/// Who tells of room. Its keys are the names of classes.
#[derive(Clone, Copy, Debug)]
pub struct CsiCapacity;

/// The name of the object for a class and a place; upstream's ends by chance.
fn object_name(class: &str, place: Option<&Segment>) -> String {
    let (key, value) = place.cloned().unwrap_or_default();
    let hash = sha256::hex(format!("{class}\n{key}\n{value}").as_bytes());
    format!("csisc-{}", hash.get(..5).unwrap_or_default())
}

fn object(class: &StorageClass, place: Option<&Segment>) -> Value {
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
        "capacity": ROOM,
    })
}

/// Whether the scheduler wants to know of a driver's room.
fn tells(driver: &str, listers: &Informers) -> bool {
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
        [Kind::CSIDriver, Kind::CSINode, Kind::CSIStorageCapacity, Kind::Node, Kind::StorageClass]
            .map(WatchSpec::all)
            .to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::StorageClass => queue.add(event.key.clone()),
            Kind::Node if labels(event.before()) == labels(event.after()) => {}
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
            let everywhere = is_everywhere(&class.provisioner, listers).then(|| object(class, None));
            places.iter().map(|place| object(class, Some(place))).chain(everywhere).collect()
        });
        let names: BTreeSet<&str> = wanted.iter().filter_map(|it| it["metadata"]["name"].as_str()).collect();
        let known: Vec<ObjectKey> = listers
            .objects_in(Kind::CSIStorageCapacity, NAMESPACE)
            .filter(|known| is_of(known, &key.name))
            .map(Object::key)
            .collect();
        client.reserve(wanted.len() + known.len())?;
        client.because(Why::new("Storage drivers tell how much room there is for class {}.", [key.name.to_string()]));
        for old in known.iter().filter(|known| !names.contains(&*known.name)) {
            match client.delete(Kind::CSIStorageCapacity, old, DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        for new in wanted.into_iter().filter(|it| known.iter().all(|known| it["metadata"]["name"] != *known.name)) {
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

/// Whether an object is one that was made here for a class.
fn is_of(object: &Object, class: &str) -> bool {
    let Object::Unstructured(capacity) = object else { return false };
    let labels = capacity.metadata.labels.as_ref();
    let managed = labels.and_then(|labels| labels.get("csi.storage.k8s.io/managed-by"));
    managed.is_some_and(|by| by == "external-provisioner")
        && capacity.fields.get("storageClassName") == Some(&class.into())
}
