//! Keeps pods that have a name, a place and storage of their own.
//!
//! Guarantees that a StatefulSet has one pod for each place, never two, that pods come and go in the order of their places
//! unless the set allows otherwise, and that each has the claims of the set's templates. Watches StatefulSets, Pods,
//! PersistentVolumeClaims and ControllerRevisions. Follows `kubernetes/pkg/controller/statefulset`
//! (`stateful_set.go`, `stateful_set_control.go`, `stateful_set_utils.go`, `stateful_pod_control.go`).
//!
//! Not simulated: `maxUnavailable`, whose feature is off and which the API server drops, and the check that the caches
//! have seen the controller's own writes (`StaleControllerConsistency`): a pod that the cache does not show yet cannot be
//! created twice, since it has its name.

mod control;
mod identity;
mod pod_control;
mod retention;
mod revisions;
mod status;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::machinery::labels::Selector;

use super::claim::{Owner, claim_matching, controller_key, selects};
use super::history;
use super::pod_control::{is_ready, next_availability};

/// The StatefulSet controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatefulSetController;

/// One sync of one StatefulSet.
struct Control<'a, 'c> {
    set: Arc<StatefulSet>,
    listers: &'a Informers,
    client: &'a mut Client<'c>,
}

fn min_ready(set: &StatefulSet) -> Duration {
    let seconds = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn selector_of(set: &StatefulSet) -> Option<Selector> {
    Selector::from_label_selector(set.spec.as_ref().map(|spec| &spec.selector)).ok()
}

/// Brings an orphan to all sets that might want it.
fn enqueue_matching(pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
    for set in listers.list_in::<StatefulSet>(pod.namespace()) {
        if selector_of(set).is_some_and(|selector| !selector.is_empty() && selects(&selector, &pod.metadata)) {
            queue.add(set.key());
        }
    }
}

fn on_pod(before: Option<&Pod>, after: Option<&Pod>, listers: &Informers, queue: &mut WorkQueue) {
    let owner = |pod: &Pod| controller_of(&pod.metadata).map(|owner| owner.uid.clone());
    let key_of = |pod: &Pod| controller_key(Kind::StatefulSet, &pod.metadata, listers);
    let changes_hands = before.zip(after).is_some_and(|(before, after)| owner(before) != owner(after));
    if changes_hands {
        before.and_then(key_of).into_iter().for_each(|key| queue.add(key));
    }
    let Some(pod) = after.or(before) else { return };
    if owner(pod).is_some() {
        let Some(key) = key_of(pod) else { return };
        let became_ready = before.zip(after).is_some_and(|(before, after)| !is_ready(before) && is_ready(after));
        let wait = listers.get::<StatefulSet>(&key).map_or(Duration::ZERO, |set| min_ready(set));
        queue.add(key.clone());
        if became_ready && !wait.is_zero() {
            // A second later than said, since a condition's time knows whole seconds only.
            queue.add_after(key, wait + Duration::from_secs(1));
        }
    } else if after.is_some_and(|pod| !pod.is_deleting()) {
        let labels = |pod: &Pod| pod.metadata.labels.clone();
        if changes_hands || before.is_none_or(|before| labels(before) != labels(pod)) {
            enqueue_matching(pod, listers, queue);
        }
    }
}

impl Controller for StatefulSetController {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        let kinds = [Kind::StatefulSet, Kind::Pod, Kind::PersistentVolumeClaim, Kind::ControllerRevision];
        kinds.into_iter().map(WatchSpec::all).collect()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::StatefulSet => queue.add(event.key.clone()),
            Kind::Pod => on_pod(event.before(), event.after(), listers, queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(set) = listers.get::<StatefulSet>(key).cloned() else { return Ok(Requeue::Forget) };
        let Some(selector) = selector_of(&set) else { return Ok(Requeue::Forget) };
        Control { set, listers, client }.run(&selector)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

impl Control<'_, '_> {
    fn run(&mut self, selector: &Selector) -> Result<Requeue, ClientError> {
        self.adopt_orphan_revisions(selector)?;
        let set = self.set.clone();
        let candidates = self.listers.claimable::<Pod>(set.namespace(), set.uid()).into_iter().cloned().collect();
        let is_ours = |pod: &ObjectMeta| {
            selects(selector, pod) && identity::is_member(set.name(), pod.name.as_deref().unwrap_or(""))
        };
        let pods = claim_matching::<Pod>(Owner::of(&*set), &is_ours, candidates, self.client)?;
        let status = self.update(selector, &pods)?;
        if !min_ready(&set).is_zero() && status.available_replicas != Some(identity::wanted(&set)) {
            let next = next_availability(pods.iter().map(|pod| &**pod), min_ready(&set), self.client.now);
            if let Some(wait) = next {
                return Ok(Requeue::After(wait));
            }
        }
        Ok(Requeue::Forget)
    }

    /// Brings pods and history nearer to what is wanted and tells how it stands: `UpdateStatefulSet`.
    fn update(&mut self, selector: &Selector, pods: &[Arc<Pod>]) -> Result<StatefulSetStatus, ClientError> {
        let known = history::list(Owner::of(&*self.set), selector, self.listers);
        let revisions = match self.revisions(&known) {
            Ok(revisions) => revisions,
            Err(error @ ClientError::Throttled(_)) => return Err(error),
            Err(error) => {
                self.truncate_history(pods, &known, None)?;
                return Err(error);
            }
        };
        let (status, result) = self.update_pods(pods, &revisions);
        if let Err(error @ ClientError::Throttled(_)) = result {
            return Err(error);
        }
        // The status is told even when the pods could not be brought on.
        let written = self.write_status(status);
        let truncated = self.truncate_history(pods, &known, Some(&revisions));
        result?;
        let status = written?;
        truncated?;
        Ok(status)
    }
}
