//! Rolls pods from one template to the next.
//!
//! Guarantees that a Deployment's pods come to its template by way of ReplicaSets, within the bounds of its strategy,
//! and that its status and conditions tell how far it is. Watches Deployments, ReplicaSets and Pods. Follows
//! `kubernetes/pkg/controller/deployment` (`deployment_controller.go`, `sync.go`, `rolling.go`, `recreate.go`,
//! `progress.go`, `util/deployment_util.go`).
//!
//! Not simulated: the `deprecated.deployment.rollback.to` annotation of extensions/v1beta1.

mod bounds;
mod progress;
mod recreate;
mod revision;
mod rolling;
mod scale;
mod sync;

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;

use crate::api::{Kind, ObjectKey, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::machinery::labels::Selector;

use super::claim::claim;

/// The Deployment controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeploymentController;

/// One sync of one Deployment: upstream's `dc` and `d` in one.
struct Rollout<'a, 'c> {
    /// The controller's own copy, whose status and annotations the sync writes.
    deployment: Deployment,
    listers: &'a Informers,
    client: &'a mut Client<'c>,
}

/// Replica sets of a Deployment: the one with its template, and all others.
#[derive(Clone, Debug, Default)]
struct Sets {
    new: Option<Arc<ReplicaSet>>,
    old: Vec<Arc<ReplicaSet>>,
}

impl Sets {
    fn all(&self) -> Vec<Arc<ReplicaSet>> {
        self.old.iter().chain(&self.new).cloned().collect()
    }
}

fn selector_of(deployment: &Deployment) -> Option<Selector> {
    Selector::from_label_selector(deployment.spec.as_ref().map(|spec| &spec.selector)).ok()
}

/// The Deployment that controls a set, if the cache knows it under the uid that the set names.
fn deployment_of(set: &ReplicaSet, listers: &Informers) -> Option<ObjectKey> {
    let owner = controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")?;
    let key = ObjectKey::new(set.namespace(), owner.name.as_str());
    listers.get::<Deployment>(&key).filter(|deployment| deployment.uid() == owner.uid).map(|_| key)
}

/// Brings an orphan to all Deployments that might want it.
fn enqueue_matching(set: &ReplicaSet, listers: &Informers, queue: &mut WorkQueue) {
    let empty = std::collections::BTreeMap::new();
    let labels = set.metadata.labels.as_ref().unwrap_or(&empty);
    for deployment in listers.list_in::<Deployment>(set.namespace()) {
        if selector_of(deployment).is_some_and(|selector| !selector.is_empty() && selector.matches(labels)) {
            queue.add(deployment.key());
        }
    }
}

fn on_set(before: Option<&ReplicaSet>, after: Option<&ReplicaSet>, listers: &Informers, queue: &mut WorkQueue) {
    let owner = |set: &ReplicaSet| controller_of(&set.metadata).map(|owner| owner.uid.clone());
    if let (Some(before), Some(after)) = (before, after)
        && owner(before) != owner(after)
        && let Some(key) = deployment_of(before, listers)
    {
        queue.add(key);
    }
    let Some(set) = after.or(before) else { return };
    if let Some(key) = deployment_of(set, listers) {
        queue.add(key);
    } else if after.is_some() && controller_of(&set.metadata).is_none() {
        let changed =
            before.is_none_or(|before| before.metadata.labels != set.metadata.labels || owner(before).is_some());
        if changed {
            enqueue_matching(set, listers, queue);
        }
    }
}

/// A Recreate waits for the last old pod: its end brings the Deployment back.
fn on_pod_gone(pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
    let Some(owner) = controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet") else { return };
    let Some(set) = listers.get::<ReplicaSet>(&ObjectKey::new(pod.namespace(), owner.name.as_str())) else { return };
    let Some(key) = deployment_of(set, listers) else { return };
    let Some(deployment) = listers.get::<Deployment>(&key) else { return };
    if bounds::is_recreate(deployment) && pods_of(deployment, listers).is_empty() {
        queue.add(key);
    }
}

/// All pods of all sets that a Deployment controls.
fn pods_of(deployment: &Deployment, listers: &Informers) -> Vec<Arc<Pod>> {
    listers
        .controlled_by::<ReplicaSet>(deployment.uid())
        .flat_map(|set| listers.controlled_by::<Pod>(set.uid()))
        .cloned()
        .collect()
}

impl Controller for DeploymentController {
    fn name(&self) -> &'static str {
        "deployment-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Deployment), WatchSpec::all(Kind::ReplicaSet), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Deployment => queue.add(event.key.clone()),
            Kind::ReplicaSet => on_set(event.before(), event.after(), listers, queue),
            Kind::Pod if event.after.is_none() => {
                if let Some(pod) = event.before::<Pod>() {
                    on_pod_gone(pod, listers, queue);
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(deployment) = listers.get::<Deployment>(key) else { return Ok(Requeue::Forget) };
        let mut sync = Rollout { deployment: (**deployment).clone(), listers, client };
        sync.run()
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

impl Rollout<'_, '_> {
    fn run(&mut self) -> Result<Requeue, ClientError> {
        let Some(selector) = selector_of(&self.deployment) else { return Ok(Requeue::Forget) };
        if selector.is_empty() {
            let message = "This deployment is selecting all pods. A non-empty selector is required.";
            self.client.event(&self.deployment, EventType::Warning, "SelectingAll", message);
            return Ok(Requeue::Forget);
        }
        let namespace = self.deployment.namespace().to_owned();
        let candidates: Vec<_> = self.listers.list_in::<ReplicaSet>(&namespace).cloned().collect();
        let owner = self.deployment.clone();
        let sets = claim(&owner, &selector, candidates.into_iter(), self.client)?;
        if self.deployment.is_deleting() {
            return self.sync_status_only(&sets);
        }
        self.check_paused_conditions()?;
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false);
        if paused || self.is_scaling_event(&sets)? {
            return self.sync(&sets, paused);
        }
        if bounds::is_recreate(&self.deployment) { self.rollout_recreate(&sets) } else { self.rollout_rolling(&sets) }
    }
}
