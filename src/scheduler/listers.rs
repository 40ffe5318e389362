//! What the scheduler knows of kinds other than pods and nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{ReplicationController, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::api::{Name, ObjectKey};

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
}

impl Listers {
    /// The objects of a namespace in a map whose keys are ordered by namespace.
    pub fn in_namespace<'a, K>(map: &'a OrdMap<ObjectKey, Arc<K>>, namespace: &'a str) -> impl Iterator<Item = &'a K> {
        map.range(ObjectKey::new(namespace, "")..)
            .take_while(move |(key, _)| &*key.namespace == namespace)
            .map(|(_, object)| &**object)
    }
}
