//! ReplicationControllers as ReplicaSets.
//!
//! Follows `kubernetes/pkg/controller/replication/conversion.go`: what is read is converted on the way in, and a status on
//! the way out. Nothing else is ever written.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerSpec, ReplicationControllerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::{Kind, ObjectKey};
use crate::client::{Client, ClientError, Informers};
use crate::etcd::Why;

/// A ReplicationController as the ReplicaSet that it amounts to.
fn to_set(controller: &ReplicationController) -> Arc<ReplicaSet> {
    let spec = controller.spec.clone().unwrap_or_default();
    let status = controller.status.clone().unwrap_or_default();
    Arc::new(ReplicaSet {
        metadata: controller.metadata.clone(),
        spec: Some(ReplicaSetSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: spec.replicas,
            selector: LabelSelector { match_labels: spec.selector, match_expressions: None },
            template: spec.template,
        }),
        status: Some(ReplicaSetStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(to_set_condition).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
            terminating_replicas: None,
        }),
    })
}

fn to_set_condition(condition: ReplicationControllerCondition) -> ReplicaSetCondition {
    let ReplicationControllerCondition { last_transition_time, message, reason, status, type_ } = condition;
    ReplicaSetCondition { last_transition_time, message, reason, status, type_ }
}

/// The way back of [`to_set`].
fn from_set(set: ReplicaSet) -> ReplicationController {
    let spec = set.spec.unwrap_or_default();
    let status = set.status.unwrap_or_default();
    let from_set_condition = |condition: ReplicaSetCondition| {
        let ReplicaSetCondition { last_transition_time, message, reason, status, type_ } = condition;
        ReplicationControllerCondition { last_transition_time, message, reason, status, type_ }
    };
    ReplicationController {
        metadata: set.metadata,
        spec: Some(ReplicationControllerSpec {
            min_ready_seconds: spec.min_ready_seconds,
            replicas: spec.replicas,
            selector: spec.selector.match_labels,
            template: spec.template,
        }),
        status: Some(ReplicationControllerStatus {
            available_replicas: status.available_replicas,
            conditions: status.conditions.map(|conditions| conditions.into_iter().map(from_set_condition).collect()),
            fully_labeled_replicas: status.fully_labeled_replicas,
            observed_generation: status.observed_generation,
            ready_replicas: status.ready_replicas,
            replicas: status.replicas,
        }),
    }
}

/// The workload of a key, as last heard of.
pub(super) fn get(kind: Kind, listers: &Informers, key: &ObjectKey) -> Option<Arc<ReplicaSet>> {
    match kind {
        Kind::ReplicaSet => listers.get::<ReplicaSet>(key).cloned(),
        _ => listers.get::<ReplicationController>(key).map(|controller| to_set(controller)),
    }
}

/// All workloads of a namespace.
pub(super) fn list_in(kind: Kind, listers: &Informers, namespace: &str) -> Vec<Arc<ReplicaSet>> {
    match kind {
        Kind::ReplicaSet => listers.list_in::<ReplicaSet>(namespace).cloned().collect(),
        _ => listers.list_in::<ReplicationController>(namespace).map(|controller| to_set(controller)).collect(),
    }
}

/// All workloads that an owner controls.
pub(super) fn controlled_by(kind: Kind, listers: &Informers, uid: &str) -> Vec<Arc<ReplicaSet>> {
    match kind {
        Kind::ReplicaSet => listers.controlled_by::<ReplicaSet>(uid).cloned().collect(),
        _ => listers.controlled_by::<ReplicationController>(uid).map(|controller| to_set(controller)).collect(),
    }
}

/// The workload of a key, read past the cache.
pub(super) fn fetch(kind: Kind, key: &ObjectKey, client: &mut Client<'_>) -> Result<Arc<ReplicaSet>, ClientError> {
    match kind {
        Kind::ReplicaSet => client.get(key),
        _ => client.get::<ReplicationController>(key).map(|controller| to_set(&controller)),
    }
}

/// Writes a workload's status.
pub(super) fn update_status(
    kind: Kind,
    set: ReplicaSet,
    client: &mut Client<'_>,
) -> Result<Arc<ReplicaSet>, ClientError> {
    match kind {
        Kind::ReplicaSet => client.update_status(set),
        _ => client.update_status(from_set(set)).map(|controller| to_set(&controller)),
    }
}

/// Why pods are created.
pub(super) fn too_few(kind: Kind, name: &str, active: usize, wanted: usize) -> Why {
    let gaps = [active.to_string(), wanted.to_string(), name.to_owned()];
    match kind {
        Kind::ReplicaSet => Why::new("{} of the {} pods that ReplicaSet {} wants are there.", gaps),
        _ => Why::new("{} of the {} pods that ReplicationController {} wants are there.", gaps),
    }
}

/// Why pods are deleted.
pub(super) fn too_many(kind: Kind, name: &str, active: usize, wanted: usize) -> Why {
    let gaps = [active.to_string(), name.to_owned(), wanted.to_string()];
    match kind {
        Kind::ReplicaSet => Why::new("{} pods are there where ReplicaSet {} wants {}.", gaps),
        _ => Why::new("{} pods are there where ReplicationController {} wants {}.", gaps),
    }
}

/// Why a status is written.
pub(super) fn counted(kind: Kind, name: &str) -> Why {
    match kind {
        Kind::ReplicaSet => Why::new("ReplicaSet {} tells how many of its pods there are.", [name.to_owned()]),
        _ => Why::new("ReplicationController {} tells how many of its pods there are.", [name.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_controller_comes_back_as_it_went() {
        let controller: ReplicationController = serde_json::from_value(json!({
            "metadata": { "name": "web", "generation": 3 },
            "spec": { "replicas": 2, "minReadySeconds": 4, "selector": { "app": "web" }, "template": {} },
            "status": {
                "replicas": 2, "readyReplicas": 1, "observedGeneration": 3,
                "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate" }],
            },
        }))
        .expect("the controller is well-formed");
        let set = to_set(&controller);
        assert_eq!(set.spec.as_ref().and_then(|spec| spec.replicas), Some(2));
        assert_eq!(from_set((*set).clone()), controller);
    }
}
