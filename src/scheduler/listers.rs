//! What the scheduler knows of kinds other than pods and nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, ReplicationController, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::storage::v1::{CSINode, StorageClass, VolumeAttachment};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use crate::api::core::claim::{class_of, requested};
use crate::api::storage::csi_driver;
use crate::api::{Name, ObjectKey, Resource, Unstructured};
use crate::machinery::json;
use crate::machinery::labels::Selector;
use crate::machinery::quantity::Quantity;

use super::dra_manager::DraManager;
use super::node_info::NodeInfo;
use super::plugins::volume_binding::Decisions;

/// The caches that plugins read.
#[derive(Clone, Debug, Default)]
pub struct Listers {
    /// Services, for the default spread of the pods behind them.
    pub services: OrdMap<ObjectKey, Arc<Service>>,
    /// Replica sets, for the default spread of their pods.
    pub replica_sets: OrdMap<ObjectKey, Arc<ReplicaSet>>,
    /// Stateful sets, for the default spread of their pods.
    pub stateful_sets: OrdMap<ObjectKey, Arc<StatefulSet>>,
    /// Replication controllers, for the default spread of their pods.
    pub replication_controllers: OrdMap<ObjectKey, Arc<ReplicationController>>,
    /// Budgets that preemption tries not to exceed.
    pub pod_disruption_budgets: OrdMap<ObjectKey, Arc<PodDisruptionBudget>>,
    /// The labels of namespaces, for namespace selectors.
    pub namespaces: OrdMap<Name, Arc<BTreeMap<String, String>>>,
    /// Classes of storage by their names.
    pub storage_classes: OrdMap<Name, Arc<StorageClass>>,
    /// What CSI drivers say of nodes, by the nodes' names.
    pub csi_nodes: OrdMap<Name, Arc<CSINode>>,
    /// What is attached, or about to be, by the nodes' names and its own.
    pub volume_attachments: OrdMap<Name, OrdMap<Name, Arc<VolumeAttachment>>>,
    /// CSI drivers by their names.
    pub csi_drivers: OrdMap<Name, Arc<Unstructured>>,
    /// How much room CSI drivers have, and where.
    pub csi_storage_capacities: OrdMap<ObjectKey, Arc<Unstructured>>,
    /// Devices, and claims for them.
    pub dra: DraManager,
    volumes: Assumed<Name, PersistentVolume>,
    claims: Assumed<ObjectKey, PersistentVolumeClaim>,
}

/// Objects as the API server has them, and as the scheduler has decided that they are going to be: `AssumeCache`.
#[derive(Clone, Debug)]
struct Assumed<Key, K> {
    known: OrdMap<Key, Arc<K>>,
    assumed: OrdMap<Key, Arc<K>>,
}

impl<Key: Ord + Clone, K> Default for Assumed<Key, K> {
    fn default() -> Self {
        Self { known: OrdMap::default(), assumed: OrdMap::default() }
    }
}

fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl<Key: Ord + Clone, K: Resource> Assumed<Key, K> {
    /// Takes in what the API server says, which replaces an assumption that is older.
    fn set(&mut self, key: Key, object: Option<&Arc<K>>) {
        match object {
            Some(object) => {
                let is_newer = |assumed: &Arc<K>| version(object.metadata()) > version(assumed.metadata());
                if self.assumed.get(&key).is_some_and(is_newer) {
                    self.assumed.remove(&key);
                }
                self.known.insert(key, Arc::clone(object));
            }
            None => {
                self.assumed.remove(&key);
                self.known.remove(&key);
            }
        }
    }
}

impl Listers {
    /// A volume, as it is or is going to be.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&Arc<PersistentVolume>> {
        self.volumes.assumed.get(name).or_else(|| self.volumes.known.get(name))
    }

    /// All volumes.
    pub fn volumes(&self) -> impl Iterator<Item = &Arc<PersistentVolume>> {
        self.volumes.known.keys().filter_map(|name| self.volume(name))
    }

    /// A claim, as it is or is going to be.
    #[must_use]
    pub fn claim(&self, key: &ObjectKey) -> Option<&Arc<PersistentVolumeClaim>> {
        self.claims.assumed.get(key).or_else(|| self.claims.known.get(key))
    }

    /// The class of a claim, if it exists.
    #[must_use]
    pub fn class_of(&self, claim: &PersistentVolumeClaim) -> Option<&Arc<StorageClass>> {
        self.storage_classes.get(class_of(claim))
    }

    /// Takes in a volume as the API server has it; `None` when it is gone.
    pub fn set_volume(&mut self, name: Name, volume: Option<&Arc<PersistentVolume>>) {
        self.volumes.set(name, volume);
    }

    /// Takes in a claim as the API server has it; `None` when it is gone.
    pub fn set_claim(&mut self, key: ObjectKey, claim: Option<&Arc<PersistentVolumeClaim>>) {
        self.claims.set(key, claim);
    }

    /// Takes in an attachment as the API server has it; without `after` it is gone.
    pub fn set_attachment(&mut self, before: Option<&Arc<VolumeAttachment>>, after: Option<&Arc<VolumeAttachment>>) {
        if let Some(old) = before
            && let Some(of_node) = self.volume_attachments.get_mut(old.spec.node_name.as_str())
        {
            of_node.remove(old.name());
            if of_node.is_empty() {
                self.volume_attachments.remove(old.spec.node_name.as_str());
            }
        }
        if let Some(new) = after {
            let of_node = self.volume_attachments.entry(new.spec.node_name.as_str().into()).or_default();
            of_node.insert(new.name().into(), Arc::clone(new));
        }
    }

    /// Counts with what was decided about a pod's volumes.
    pub fn assume(&mut self, decisions: &Decisions) {
        for volume in &decisions.bindings {
            self.volumes.assumed.insert(volume.name().into(), Arc::new(volume.clone()));
        }
        for claim in &decisions.provisions {
            self.claims.assumed.insert(claim.key(), Arc::new(claim.clone()));
        }
    }

    /// Counts no more with what was decided: it will not be.
    pub fn revert(&mut self, decisions: &Decisions) {
        for volume in &decisions.bindings {
            self.volumes.assumed.remove(volume.name());
        }
        for claim in &decisions.provisions {
            self.claims.assumed.remove(&claim.key());
        }
    }

    /// `hasEnoughCapacity`: whether a driver that tells of its room has enough for a claim on a node.
    #[must_use]
    pub fn has_enough_capacity(&self, claim: &PersistentVolumeClaim, class: &StorageClass, node: &NodeInfo) -> bool {
        let driver = self.csi_drivers.get(class.provisioner.as_str());
        let tells = driver.is_some_and(|driver| {
            csi_driver::spec_field(driver, "storageCapacity").and_then(Value::as_bool) == Some(true)
        });
        let Some(asked) = requested(claim).filter(|_| tells) else { return true };
        self.csi_storage_capacities.values().any(|capacity| is_room(capacity, class.name(), asked, node))
    }

    /// The objects of a namespace in a map whose keys are ordered by namespace.
    pub fn in_namespace<'a, K>(map: &'a OrdMap<ObjectKey, Arc<K>>, namespace: &'a str) -> impl Iterator<Item = &'a K> {
        map.range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| &*key.namespace == namespace)
            .map(|(_, object)| &**object)
    }
}

/// The largest volume that a driver says it has room for: `volumeLimit`.
#[must_use]
pub fn volume_limit(capacity: &Unstructured) -> Option<Quantity> {
    let field = |name: &str| capacity.fields.get(name).filter(|value| !value.is_null());
    let limit = field("maximumVolumeSize").or_else(|| field("capacity"))?;
    Quantity::parse_json(limit).ok()
}

/// Whether what a driver says of its room is about the class and the node, and enough.
fn is_room(capacity: &Unstructured, class: &str, asked: Quantity, node: &NodeInfo) -> bool {
    let field = |name: &str| capacity.fields.get(name).filter(|value| !value.is_null());
    let is_enough = volume_limit(capacity).is_some_and(|limit| limit.value() >= asked.value());
    let topology = field("nodeTopology").and_then(|value| json::from_value::<LabelSelector>(value).ok());
    let selector = topology.and_then(|topology| Selector::from_label_selector(Some(&topology)).ok());
    field("storageClassName").and_then(Value::as_str) == Some(class)
        && is_enough
        && selector.is_some_and(|selector| selector.matches(node.labels()))
}
