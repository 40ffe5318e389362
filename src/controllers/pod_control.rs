//! Pods from templates, and what every controller of pods asks about them.
//!
//! Follows `kubernetes/pkg/controller/controller_utils.go` and `kubernetes/pkg/api/v1/pod/util.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::Resource;
use crate::machinery::time::Time;

/// The first batch of a slow start: `SlowStartInitialBatchSize`.
pub const SLOW_START_INITIAL_BATCH_SIZE: usize = 1;

/// The reference by which an owner controls what it made: `metav1.NewControllerRef`.
pub fn controller_ref<K: Resource>(owner: &K) -> OwnerReference {
    OwnerReference {
        api_version: K::OBJECT_KIND.api_version(),
        kind: K::OBJECT_KIND.info().kind.to_owned(),
        name: owner.name().to_owned(),
        uid: owner.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The pod that a template means for its owner: `GetPodFromTemplate`. The API server completes its name.
pub fn pod_from_template<K: Resource>(template: &PodTemplateSpec, owner: &K) -> Pod {
    let metadata = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", owner.name())),
            namespace: Some(owner.namespace().to_owned()),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![controller_ref(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
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
