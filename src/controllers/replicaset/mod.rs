//! Keeps as many pods as a ReplicaSet wants, or a ReplicationController.
//!
//! Guarantees that the number of active pods it controls comes to `spec.replicas`, never creating twice what its cache
//! has not shown it yet. Watches ReplicaSets, or ReplicationControllers, and Pods. Follows
//! `kubernetes/pkg/controller/replicaset` (`replica_set.go`, `replica_set_utils.go`) and, as upstream does, serves
//! ReplicationControllers as ReplicaSets of another name (`kubernetes/pkg/controller/replication`).

mod adapter;
mod rank;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, Expectations, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::machinery::labels::Selector;

use super::claim::{Owner, claim_matching, controller_key, selects};
use super::pod_control::{create_pods, delete_pods, is_active, is_ready, is_terminating, next_availability, pod_for};

/// At most so many pods are created or deleted in one sync.
const BURST_REPLICAS: usize = 500;

/// The ReplicaSet controller, and the replication manager.
#[derive(Clone, Debug)]
pub struct ReplicaSetController {
    /// Which kind it keeps: `ReplicaSet` or `ReplicationController`.
    kind: Kind,
    expectations: Expectations,
}

impl ReplicaSetController {
    /// The controller of ReplicaSets.
    #[must_use]
    pub fn new() -> Self {
        Self { kind: Kind::ReplicaSet, expectations: Expectations::default() }
    }

    /// The controller of ReplicationControllers: upstream's `ReplicationManager`.
    #[must_use]
    pub fn replication() -> Self {
        Self { kind: Kind::ReplicationController, expectations: Expectations::default() }
    }
}

impl Default for ReplicaSetController {
    fn default() -> Self {
        Self::new()
    }
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

impl ReplicaSetController {
    fn owner<'a>(&self, set: &'a ReplicaSet) -> Owner<'a> {
        Owner { kind: self.kind, metadata: &set.metadata, finalizer: None }
    }

    fn set_of(&self, pod: &Pod, listers: &Informers) -> Option<ObjectKey> {
        controller_key(self.kind, &pod.metadata, listers)
    }

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
            (Some(before), Some(pod)) => self.pod_updated(before, pod, listers, queue),
            (Some(pod), None) => self.pod_deleted(pod, listers, queue),
            (None, None) => {}
        }
    }

    fn pod_added(&mut self, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        if let Some(key) = self.set_of(pod, listers) {
            self.expectations.creation_observed(&key);
            queue.add(key);
        } else if controller_of(&pod.metadata).is_none() {
            self.enqueue_matching(pod, listers, queue);
        }
    }

    fn pod_updated(&self, before: &Pod, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        let owner = |pod: &Pod| controller_of(&pod.metadata).map(|owner| owner.uid.clone());
        if owner(before) != owner(pod)
            && let Some(key) = self.set_of(before, listers)
        {
            queue.add(key);
        }
        if let Some(key) = self.set_of(pod, listers) {
            let became_ready = !is_ready(before) && is_ready(pod);
            let set = became_ready.then(|| adapter::get(self.kind, listers, &key)).flatten();
            let wait = set.map_or(Duration::ZERO, |set| min_ready(&set));
            queue.add(key.clone());
            if became_ready && !wait.is_zero() {
                // A second later than said, since a condition's time knows whole seconds only.
                queue.add_after(key, wait + Duration::from_secs(1));
            }
        } else if controller_of(&pod.metadata).is_none()
            && (before.metadata.labels != pod.metadata.labels || owner(before).is_some())
        {
            self.enqueue_matching(pod, listers, queue);
        }
    }

    fn pod_deleted(&mut self, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        if let Some(key) = self.set_of(pod, listers) {
            self.expectations.deletion_observed(&key, pod.uid());
            queue.add(key);
        }
    }

    /// Brings an orphan to all sets that might want it.
    fn enqueue_matching(&self, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        for set in adapter::list_in(self.kind, listers, pod.namespace()) {
            if selector_of(&set).is_some_and(|selector| !selector.is_empty() && selects(&selector, &pod.metadata)) {
                queue.add(set.key());
            }
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
        let owner = self.owner(set);
        let wanted = wanted_replicas(set);
        match plan_replicas(active.len(), wanted) {
            Plan::Keep => Ok(()),
            Plan::Create(count) => {
                self.expectations.expect_creations(key, count, client.now);
                client.because(adapter::too_few(self.kind, set.name(), active.len(), wanted));
                let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
                let mut make = |_| pod_for(&template, owner.kind, owner.metadata);
                create_pods(owner, count, &mut make, (&mut self.expectations, key), client)
            }
            Plan::Delete(count) => {
                let related = self.related_pods(set, listers);
                let chosen = rank::pods_to_delete(active, &related, count, client.now);
                let uids = chosen.iter().map(|pod| pod.uid().to_owned());
                self.expectations.expect_deletions(key, uids, client.now);
                client.because(adapter::too_many(self.kind, set.name(), active.len(), wanted));
                delete_pods(owner, &chosen, (&mut self.expectations, key), client)
            }
        }
    }

    /// The active pods of all sets that the same owner controls: `getIndirectlyRelatedPods`. A set without an owner has
    /// none, so that it ignores how crowded nodes are.
    fn related_pods(&self, set: &ReplicaSet, listers: &Informers) -> Vec<Arc<Pod>> {
        let Some(owner) = controller_of(&set.metadata) else { return Vec::new() };
        adapter::controlled_by(self.kind, listers, &owner.uid)
            .iter()
            .flat_map(|sibling| listers.controlled_by::<Pod>(sibling.uid()))
            .filter(|pod| is_active(pod))
            .cloned()
            .collect()
    }
}

impl Controller for ReplicaSetController {
    fn name(&self) -> &'static str {
        if self.kind == Kind::ReplicaSet { "replicaset-controller" } else { "replication-controller" }
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(self.kind), WatchSpec::all(Kind::Pod)]
    }

    fn reset(&mut self) {
        self.expectations = Expectations::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            kind if kind == self.kind => {
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
        let Some(set) = adapter::get(self.kind, listers, key) else {
            self.expectations.forget(key);
            return Ok(Requeue::Forget);
        };
        let Some(selector) = selector_of(&set) else { return Ok(Requeue::Forget) };
        let trusts_cache = self.expectations.satisfied(key, client.now);
        let candidates = listers.claimable::<Pod>(&key.namespace, set.uid());
        let active = candidates.into_iter().filter(|pod| is_active(pod)).cloned();
        let matches = |object: &ObjectMeta| selects(&selector, object);
        let active = claim_matching(self.owner(&set), &matches, active.collect(), client)?;
        let terminating = listers.controlled_by::<Pod>(set.uid()).filter(|pod| is_terminating(pod)).count();
        let managed =
            if trusts_cache && !set.is_deleting() { self.manage(key, &set, &active, listers, client) } else { Ok(()) };
        if let Err(error @ ClientError::Throttled(_)) = managed {
            return Err(error);
        }
        let failure = managed.as_ref().err().and_then(ClientError::status);
        let mut new_status = status::calculate(&set, &active, terminating, failure, client.now);
        if self.kind == Kind::ReplicationController {
            new_status.terminating_replicas = None;
        }
        let updated = status::update(self.kind, &set, new_status, client)?;
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
