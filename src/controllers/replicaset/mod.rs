//! Keeps as many pods as a ReplicaSet wants.
//!
//! Guarantees that the number of active pods it controls comes to `spec.replicas`, never creating twice what its cache
//! has not shown it yet. Watches ReplicaSets and Pods. Follows `kubernetes/pkg/controller/replicaset`
//! (`replica_set.go`, `replica_set_utils.go`).

mod rank;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;

use crate::api::{Kind, ObjectKey, Resource, controller_of};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, Expectations, InformerEvent, Informers, QueueKey, Requeue, WatchSpec,
    WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::labels::Selector;

use super::claim::claim;
use super::pod_control::{
    SLOW_START_INITIAL_BATCH_SIZE, is_active, is_terminating, next_availability, pod_from_template,
};

/// At most so many pods are created or deleted in one sync.
const BURST_REPLICAS: usize = 500;

/// The ReplicaSet controller.
#[derive(Clone, Debug, Default)]
pub struct ReplicaSetController {
    expectations: Expectations,
}

/// What a sync does about the number of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// There are as many as wanted.
    Keep,
    /// So many are missing.
    Create(usize),
    /// So many are too many.
    Delete(usize),
}

/// Compares what there is with what is wanted: the heart of `manageReplicas`.
fn plan_replicas(active: usize, wanted: usize) -> Plan {
    match active.cmp(&wanted) {
        std::cmp::Ordering::Equal => Plan::Keep,
        std::cmp::Ordering::Less => Plan::Create((wanted - active).min(BURST_REPLICAS)),
        std::cmp::Ordering::Greater => Plan::Delete((active - wanted).min(BURST_REPLICAS)),
    }
}

/// How many pods a set wants.
fn wanted_replicas(set: &ReplicaSet) -> usize {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    usize::try_from(replicas).unwrap_or(0)
}

fn min_ready(set: &ReplicaSet) -> Duration {
    let seconds = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn selector_of(set: &ReplicaSet) -> Option<Selector> {
    Selector::from_label_selector(set.spec.as_ref().map(|spec| &spec.selector)).ok()
}

/// The set that controls a pod, if the cache knows it under the uid that the pod names.
fn set_of(pod: &Pod, listers: &Informers) -> Option<ObjectKey> {
    let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet")?;
    let key = ObjectKey::new(pod.namespace(), owner.name.as_str());
    listers.get::<ReplicaSet>(&key).filter(|set| set.uid() == owner.uid).map(|_| key)
}

impl ReplicaSetController {
    fn on_pod(&mut self, before: Option<&Pod>, after: Option<&Pod>, listers: &Informers, queue: &mut WorkQueue) {
        match (before, after) {
            (before, Some(pod)) if pod.is_deleting() => {
                // Asking for a deletion is what was expected; the end of the pod comes as another event.
                self.pod_deleted(pod, listers, queue);
                if let Some(before) = before
                    && before.metadata.labels != pod.metadata.labels
                {
                    self.pod_deleted(before, listers, queue);
                }
            }
            (None, Some(pod)) => self.pod_added(pod, listers, queue),
            (Some(before), Some(pod)) => Self::pod_updated(before, pod, listers, queue),
            (Some(pod), None) => self.pod_deleted(pod, listers, queue),
            (None, None) => {}
        }
    }

    fn pod_added(&mut self, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        if let Some(key) = set_of(pod, listers) {
            self.expectations.creation_observed(&key);
            queue.add(key);
        } else if controller_of(&pod.metadata).is_none() {
            enqueue_matching(pod, listers, queue);
        }
    }

    fn pod_updated(before: &Pod, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        let owner = |pod: &Pod| controller_of(&pod.metadata).map(|owner| owner.uid.clone());
        if owner(before) != owner(pod)
            && let Some(key) = set_of(before, listers)
        {
            queue.add(key);
        }
        if let Some(key) = set_of(pod, listers) {
            let became_ready = !super::pod_control::is_ready(before) && super::pod_control::is_ready(pod);
            let wait = listers.get::<ReplicaSet>(&key).map_or(Duration::ZERO, |set| min_ready(set));
            queue.add(key.clone());
            if became_ready && !wait.is_zero() {
                // A second later than said, since a condition's time knows whole seconds only.
                queue.add_after(key, wait + Duration::from_secs(1));
            }
        } else if controller_of(&pod.metadata).is_none()
            && (before.metadata.labels != pod.metadata.labels || owner(before).is_some())
        {
            enqueue_matching(pod, listers, queue);
        }
    }

    fn pod_deleted(&mut self, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        if let Some(key) = set_of(pod, listers) {
            self.expectations.deletion_observed(&key, pod.uid());
            queue.add(key);
        }
    }

    fn manage(
        &mut self,
        key: &QueueKey,
        set: &ReplicaSet,
        active: &[Arc<Pod>],
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        match plan_replicas(active.len(), wanted_replicas(set)) {
            Plan::Keep => Ok(()),
            Plan::Create(count) => self.create_pods(key, set, active.len(), count, client),
            Plan::Delete(count) => {
                let related = related_pods(set, listers);
                let chosen = rank::pods_to_delete(active, &related, count, client.now);
                self.delete_pods(key, set, active.len(), chosen, client)
            }
        }
    }

    /// Creates pods in batches that double as long as all succeed: `slowStartBatch`.
    fn create_pods(
        &mut self,
        key: &QueueKey,
        set: &ReplicaSet,
        active: usize,
        count: usize,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        self.expectations.expect_creations(key, count, client.now);
        client.because(Why::new(
            "{} of the {} pods that ReplicaSet {} wants are there.",
            [active.to_string(), wanted_replicas(set).to_string(), set.name().to_owned()],
        ));
        let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
        let (mut tried, mut batch) = (0, SLOW_START_INITIAL_BATCH_SIZE);
        while tried < count {
            let mut failure = None;
            for _ in 0..batch.min(count - tried) {
                tried += 1;
                match client.create(pod_from_template(&template, set)) {
                    Ok(pod) => {
                        let message = format!("Created pod: {}", pod.name());
                        client.event(set, EventType::Normal, "SuccessfulCreate", &message);
                    }
                    Err(error) => {
                        self.expectations.creation_observed(key);
                        if is_namespace_terminating(&error) {
                            continue;
                        }
                        if let ClientError::Api(status) = &error {
                            let message = format!("Error creating: {status}");
                            client.event(set, EventType::Warning, "FailedCreate", &message);
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
                    self.expectations.creation_observed(key);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn delete_pods(
        &mut self,
        key: &QueueKey,
        set: &ReplicaSet,
        active: usize,
        pods: Vec<Arc<Pod>>,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        self.expectations.expect_deletions(key, pods.iter().map(|pod| pod.uid().to_owned()), client.now);
        client.because(Why::new(
            "{} pods are there where ReplicaSet {} wants {}.",
            [active.to_string(), set.name().to_owned(), wanted_replicas(set).to_string()],
        ));
        let mut failure = None;
        for pod in pods {
            match client.delete(Kind::Pod, &pod.key(), DeleteOptions::default()) {
                Ok(()) => {
                    let message = format!("Deleted pod: {}", pod.name());
                    client.event(set, EventType::Normal, "SuccessfulDelete", &message);
                }
                Err(error) => {
                    self.expectations.deletion_observed(key, pod.uid());
                    if let ClientError::Api(status) = &error
                        && !status.is_not_found()
                    {
                        let message = format!("Error deleting: {status}");
                        client.event(set, EventType::Warning, "FailedDelete", &message);
                    }
                    if !error.is_not_found() {
                        failure.get_or_insert(error);
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Brings an orphan to all sets that might want it.
fn enqueue_matching(pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
    let empty = std::collections::BTreeMap::new();
    let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
    for set in listers.list_in::<ReplicaSet>(pod.namespace()) {
        if selector_of(set).is_some_and(|selector| !selector.is_empty() && selector.matches(labels)) {
            queue.add(set.key());
        }
    }
}

/// The active pods of all sets that the same owner controls: `getIndirectlyRelatedPods`. A set without an owner has
/// none, so that it ignores how crowded nodes are.
fn related_pods(set: &ReplicaSet, listers: &Informers) -> Vec<Arc<Pod>> {
    let Some(owner) = controller_of(&set.metadata) else { return Vec::new() };
    listers
        .controlled_by::<ReplicaSet>(&owner.uid)
        .flat_map(|sibling| listers.controlled_by::<Pod>(sibling.uid()))
        .filter(|pod| is_active(pod))
        .cloned()
        .collect()
}

/// Whether a create failed because the namespace is going away, which no other try will change.
fn is_namespace_terminating(error: &ClientError) -> bool {
    error
        .status()
        .is_some_and(|status| status.details().causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
}

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::ReplicaSet), WatchSpec::all(Kind::Pod)]
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::ReplicaSet => {
                if event.after.is_none() {
                    self.expectations.forget(&event.key);
                }
                queue.add(event.key.clone());
            }
            Kind::Pod => self.on_pod(event.before(), event.after(), listers, queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(set) = listers.get::<ReplicaSet>(key).cloned() else {
            self.expectations.forget(key);
            return Ok(Requeue::Forget);
        };
        let Some(selector) = selector_of(&set) else { return Ok(Requeue::Forget) };
        let trusts_cache = self.expectations.satisfied(key, client.now);
        let candidates = listers.claimable::<Pod>(&key.namespace, set.uid());
        let active = candidates.into_iter().filter(|pod| is_active(pod)).cloned();
        let active = claim(&*set, &selector, active, client)?;
        let terminating = listers.controlled_by::<Pod>(set.uid()).filter(|pod| is_terminating(pod)).count();
        let managed =
            if trusts_cache && !set.is_deleting() { self.manage(key, &set, &active, listers, client) } else { Ok(()) };
        if let Err(error @ ClientError::Throttled(_)) = managed {
            return Err(error);
        }
        let failure = managed.as_ref().err().and_then(ClientError::status);
        let new_status = status::calculate(&set, &active, terminating, failure, client.now);
        let updated = status::update(&set, new_status, client)?;
        managed?;
        let lags = updated.status.as_ref().is_some_and(|status| {
            status.ready_replicas == updated.spec.as_ref().and_then(|spec| spec.replicas)
                && status.available_replicas != status.ready_replicas
        });
        if !min_ready(&set).is_zero() && lags {
            let next = next_availability(active.iter().map(|pod| &**pod), min_ready(&set), client.now);
            if let Some(wait) = next {
                return Ok(Requeue::After(wait));
            }
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_closes_the_gap_in_bursts() {
        let table = [
            (0, 3, Plan::Create(3)),
            (3, 3, Plan::Keep),
            (5, 3, Plan::Delete(2)),
            (0, 2000, Plan::Create(500)),
            (900, 0, Plan::Delete(500)),
        ];
        for (active, wanted, plan) in table {
            assert_eq!(plan_replicas(active, wanted), plan, "{active} of {wanted}");
        }
    }
}
