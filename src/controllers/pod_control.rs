//! Pods from templates, and what every controller of pods asks about them.
//!
//! Follows `kubernetes/pkg/controller/controller_utils.go` and `kubernetes/pkg/api/v1/pod/util.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{Client, ClientError, EventType, Expectations, QueueKey, reference_to};
use crate::machinery::json;
use crate::machinery::names::{fnv32a, safe_encode};
use crate::machinery::time::Time;

use super::claim::Owner;

/// The first batch of a slow start: `SlowStartInitialBatchSize`.
pub const SLOW_START_INITIAL_BATCH_SIZE: usize = 1;

/// The reference by which an owner controls what it made: `metav1.NewControllerRef`.
pub fn controller_ref<K: Resource>(owner: &K) -> OwnerReference {
    controller_ref_of(K::OBJECT_KIND, owner.metadata())
}

/// As [`controller_ref`], for an owner of which only this much is known.
#[must_use]
pub fn controller_ref_of(kind: Kind, owner: &ObjectMeta) -> OwnerReference {
    OwnerReference {
        api_version: kind.api_version(),
        kind: kind.info().kind.to_owned(),
        name: owner.name.clone().unwrap_or_default(),
        uid: owner.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The pod that a template means for its owner: `GetPodFromTemplate`. The API server completes its name.
pub fn pod_from_template<K: Resource>(template: &PodTemplateSpec, owner: &K) -> Pod {
    pod_for(template, K::OBJECT_KIND, owner.metadata())
}

/// As [`pod_from_template`], for an owner of which only this much is known.
#[must_use]
pub fn pod_for(template: &PodTemplateSpec, kind: Kind, owner: &ObjectMeta) -> Pod {
    let metadata = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name.as_deref().unwrap_or(""))),
            namespace: owner.namespace.clone(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![controller_ref_of(kind, owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// The label value that tells a template's pods apart: `ComputeHash`. Upstream hashes Go's own print of the template,
/// which nobody else can; what matters is that equal templates get equal values.
#[must_use]
pub fn compute_hash(template: &PodTemplateSpec, collisions: Option<i32>) -> String {
    let mut bytes = json::to_value(template).to_string().into_bytes();
    if let Some(collisions) = collisions {
        bytes.extend(collisions.to_le_bytes());
    }
    safe_encode(&fnv32a(&bytes).to_string())
}

/// Whether a create failed because the namespace is going away, which no other try will change.
#[must_use]
pub fn is_namespace_terminating(error: &ClientError) -> bool {
    error
        .status()
        .is_some_and(|status| status.details().causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}

/// Creates `count` pods of an owner, in batches that double as long as all succeed, and tells of each:
/// `slowStartBatch` and `RealPodControl.CreatePods`. What was expected and will not come is taken back.
///
/// # Errors
/// The first refusal of the batch that ended it.
pub(super) fn create_pods(
    owner: Owner<'_>,
    count: usize,
    make: &mut dyn FnMut(usize) -> Pod,
    (expectations, key): (&mut Expectations, &QueueKey),
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let about = reference_to(owner.kind, owner.metadata);
    let (mut tried, mut batch) = (0, SLOW_START_INITIAL_BATCH_SIZE);
    while tried < count {
        let mut failure = None;
        for _ in 0..batch.min(count - tried) {
            let created = client.create(make(tried));
            tried += 1;
            match created {
                Ok(pod) => {
                    let message = format!("Created pod: {}", pod.name());
                    client.event_about(&about, EventType::Normal, "SuccessfulCreate", &message);
                }
                Err(error) => {
                    expectations.creation_observed(key);
                    if is_namespace_terminating(&error) {
                        continue;
                    }
                    if let ClientError::Api(status) = &error {
                        let message = format!("Error creating: {status}");
                        client.event_about(&about, EventType::Warning, "FailedCreate", &message);
                    }
                    let limited = matches!(error, ClientError::Throttled(_));
                    failure.get_or_insert(error);
                    if limited {
                        break;
                    }
                }
            }
        }
        batch *= 2;
        if let Some(error) = failure {
            // What was not even tried will not be seen either.
            for _ in tried..count {
                expectations.creation_observed(key);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Asks for pods of an owner to go, and tells of each: `RealPodControl.DeletePod`.
///
/// # Errors
/// The first refusal that is not that the pod is gone already.
pub(super) fn delete_pods(
    owner: Owner<'_>,
    pods: &[Arc<Pod>],
    (expectations, key): (&mut Expectations, &QueueKey),
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let about = reference_to(owner.kind, owner.metadata);
    let mut failure = None;
    for pod in pods {
        match client.delete(Kind::Pod, &pod.key(), DeleteOptions::default()) {
            Ok(()) => {
                let message = format!("Deleted pod: {}", pod.name());
                client.event_about(&about, EventType::Normal, "SuccessfulDelete", &message);
            }
            Err(error) => {
                expectations.deletion_observed(key, pod.uid());
                if error.is_not_found() {
                    continue;
                }
                if let ClientError::Api(status) = &error {
                    let message = format!("Error deleting: {status}");
                    client.event_about(&about, EventType::Warning, "FailedDelete", &message);
                }
                failure.get_or_insert(error);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

/// The pod's phase; `Pending` before anybody set one.
#[must_use]
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// The node that the pod is bound to; empty before.
#[must_use]
pub fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("")
}

/// Whether the pod still counts for its controller: `IsPodActive`.
#[must_use]
pub fn is_active(pod: &Pod) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed") && !pod.is_deleting()
}

/// Whether the pod is on its way out and not yet gone: `IsPodTerminating`.
#[must_use]
pub fn is_terminating(pod: &Pod) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed") && pod.is_deleting()
}

/// The pod's condition of a type.
#[must_use]
pub fn condition<'a>(pod: &'a Pod, condition_type: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == condition_type)
}

/// Whether the pod takes traffic: `IsPodReady`.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Since when the pod is ready; `None` when it is not.
#[must_use]
pub fn ready_since(pod: &Pod) -> Option<Time> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or_else(Time::default, Time::from))
}

/// Whether the pod has been ready for `min_ready`: `IsPodAvailable`.
#[must_use]
pub fn is_available(pod: &Pod, min_ready: Duration, now: Time) -> bool {
    ready_since(pod).is_some_and(|since| min_ready.is_zero() || since + min_ready <= now)
}

/// How long until the next ready pod becomes available: `FindMinNextPodAvailabilityCheck`.
pub fn next_availability<'a>(pods: impl Iterator<Item = &'a Pod>, min_ready: Duration, now: Time) -> Option<Duration> {
    pods.filter_map(ready_since).map(|since| since + min_ready).filter(|at| *at > now).min().map(|at| at.since(now))
}

/// How often the pod's containers were restarted, ordinary and restartable ones apart: the larger count decides.
#[must_use]
pub fn max_restarts(pod: &Pod) -> (i32, i32) {
    let Some(status) = &pod.status else { return (0, 0) };
    let sidecars: Vec<&str> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .map(|container| container.name.as_str())
        .collect();
    let regular = status.container_statuses.iter().flatten().map(|status| status.restart_count).max().unwrap_or(0);
    let restartable = status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|status| sidecars.contains(&status.name.as_str()))
        .map(|status| status.restart_count)
        .max()
        .unwrap_or(0);
    (regular, restartable)
}
