//! Keeps a pod of each DaemonSet on every node that should have one.
//!
//! Guarantees that each eligible node has exactly one pod of the set, for a moment two while one replaces the other with
//! `maxSurge`, and that no other node has any. The scheduler places the pods: each says by its node affinity where it
//! belongs. Watches DaemonSets, Pods, Nodes and ControllerRevisions. Follows `kubernetes/pkg/controller/daemon`
//! (`daemon_controller.go`, `update.go`, `util/daemonset_util.go`).
//!
//! Not simulated: the check that the caches have seen the controller's own writes (`StaleControllerConsistency`); its
//! expectations do that work.

mod backoff;
mod eligibility;
mod history;
mod manage;
mod pods;
mod rolling;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::api::{Kind, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, EventType, Expectations, InformerEvent, Informers, QueueKey, Requeue, WatchSpec,
    WorkQueue,
};
use crate::machinery::labels::Selector;

use super::claim::{claim, controller_key, selects};
use super::history::REVISION_LABEL;
use super::pod_control::is_ready;

use backoff::Backoff;
use eligibility::Eligibility;

/// At most so many pods are created or deleted in one sync: `BurstReplicas`.
const BURST_REPLICAS: usize = 250;

/// The pod that a set would have on a node, if it belongs there: for those who think about nodes that are not there yet.
#[must_use]
pub fn daemon_pod_for(set: &DaemonSet, node: &Node) -> Option<Pod> {
    let belongs = Eligibility::of(set).of_node(node).should_run;
    belongs.then(|| pods::pod_for_node(set, &pods::template(set, ""), node.name()))
}

/// The DaemonSet controller.
#[derive(Clone, Debug, Default)]
pub struct DaemonSetController {
    expectations: Expectations,
    failed_pods: Backoff,
}

/// The pods of a DaemonSet by the nodes that they are on or meant for.
type PodsByNode = BTreeMap<String, Vec<Arc<Pod>>>;

/// One sync of one DaemonSet.
struct Control<'a, 'c> {
    set: Arc<DaemonSet>,
    key: &'a QueueKey,
    expectations: &'a mut Expectations,
    failed_pods: &'a mut Backoff,
    eligibility: Eligibility,
    nodes: Vec<Arc<Node>>,
    listers: &'a Informers,
    client: &'a mut Client<'c>,
}

fn min_ready(set: &DaemonSet) -> Duration {
    let seconds = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn selector_of(set: &DaemonSet) -> Option<Selector> {
    Selector::from_label_selector(set.spec.as_ref().map(|spec| &spec.selector)).ok()
}

/// Brings an orphan, a pod or a revision, to all sets that might want it.
fn enqueue_matching(orphan: &ObjectMeta, listers: &Informers, queue: &mut WorkQueue) {
    for set in listers.list_in::<DaemonSet>(orphan.namespace.as_deref().unwrap_or("")) {
        if selector_of(set).is_some_and(|selector| !selector.is_empty() && selects(&selector, orphan)) {
            queue.add(set.key());
        }
    }
}

fn owner_uid(object: &ObjectMeta) -> Option<&str> {
    controller_of(object).map(|owner| owner.uid.as_str())
}

/// Whether an orphan may be wanted by somebody who did not want it before.
fn may_be_wanted(before: Option<&ObjectMeta>, after: &ObjectMeta) -> bool {
    before.is_none_or(|before| before.labels != after.labels || owner_uid(before).is_some())
}

/// A revision appeared, changed or is gone.
fn on_history(before: Option<&ObjectMeta>, after: Option<&ObjectMeta>, listers: &Informers, queue: &mut WorkQueue) {
    let key_of = |object: &ObjectMeta| controller_key(Kind::DaemonSet, object, listers);
    if let (Some(before), Some(after)) = (before, after)
        && owner_uid(before) != owner_uid(after)
    {
        key_of(before).into_iter().for_each(|key| queue.add(key));
    }
    let Some(revision) = after.or(before) else { return };
    if owner_uid(revision).is_some() {
        // That a revision was made is no news to the one who made it.
        key_of(revision).filter(|_| before.is_some()).into_iter().for_each(|key| queue.add(key));
    } else if after.is_some() && may_be_wanted(before, revision) {
        enqueue_matching(revision, listers, queue);
    }
}

/// A node appeared, or something about it changed that pods are placed by.
fn on_node(before: Option<&Node>, after: Option<&Node>, listers: &Informers, queue: &mut WorkQueue) {
    let Some(after) = after else { return };
    let taints = |node: &Node| node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    if before.is_some_and(|before| before.metadata.labels == after.metadata.labels && taints(before) == taints(after)) {
        return;
    }
    for set in listers.list::<DaemonSet>() {
        let eligibility = Eligibility::of(set);
        let concerns = match before {
            Some(before) => eligibility.of_node(before) != eligibility.of_node(after),
            None => eligibility.of_node(after).should_run,
        };
        if concerns {
            queue.add(set.key());
        }
    }
}

impl DaemonSetController {
    fn on_pod(&mut self, before: Option<&Pod>, after: Option<&Pod>, listers: &Informers, queue: &mut WorkQueue) {
        let key_of = |pod: &Pod| controller_key(Kind::DaemonSet, &pod.metadata, listers);
        let Some(pod) = after.filter(|pod| !pod.is_deleting()) else {
            // Asking for a deletion is what was expected; the end of the pod comes as another event.
            let Some(pod) = after.or(before) else { return };
            if let Some(key) = key_of(pod) {
                self.expectations.deletion_observed(&key, pod.uid());
                queue.add(key);
            }
            return;
        };
        if let Some(before) = before
            && owner_uid(&before.metadata) != owner_uid(&pod.metadata)
        {
            key_of(before).into_iter().for_each(|key| queue.add(key));
        }
        if owner_uid(&pod.metadata).is_none() {
            if may_be_wanted(before.map(|before| &before.metadata), &pod.metadata) {
                enqueue_matching(&pod.metadata, listers, queue);
            }
            return;
        }
        let Some(key) = key_of(pod) else { return };
        if before.is_none() {
            self.expectations.creation_observed(&key);
        }
        let wait = listers.get::<DaemonSet>(&key).map_or(Duration::ZERO, |set| min_ready(set));
        queue.add(key.clone());
        if before.is_some_and(|before| !is_ready(before) && is_ready(pod)) && !wait.is_zero() {
            // A second later than said, since a condition's time knows whole seconds only.
            queue.add_after(key, wait + Duration::from_secs(1));
        }
    }
}

impl Controller for DaemonSetController {
    fn name(&self) -> &'static str {
        "daemonset-controller"
    }

    fn account(&self) -> &'static str {
        "daemon-set-controller"
    }

    fn workers(&self) -> usize {
        2
    }

    fn watches(&self) -> Vec<WatchSpec> {
        let kinds = [Kind::DaemonSet, Kind::ControllerRevision, Kind::Pod, Kind::Node];
        kinds.into_iter().map(WatchSpec::all).collect()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::DaemonSet => {
                if event.after.is_none() {
                    self.expectations.forget(&event.key);
                }
                queue.add(event.key.clone());
            }
            Kind::ControllerRevision => {
                let metadata = |revision: Option<&'_ ControllerRevision>| revision.map(|it| it.metadata.clone());
                let (before, after) = (metadata(event.before()), metadata(event.after()));
                on_history(before.as_ref(), after.as_ref(), listers, queue);
            }
            Kind::Pod => self.on_pod(event.before(), event.after(), listers, queue),
            Kind::Node => on_node(event.before(), event.after(), listers, queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(set) = listers.get::<DaemonSet>(key).cloned() else {
            self.expectations.forget(key);
            return Ok(Requeue::Forget);
        };
        let selector = set.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
        if selector == LabelSelector::default() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            client.event(&*set, EventType::Warning, "SelectingAll", message);
            return Ok(Requeue::Forget);
        }
        // Its revisions may be gone already, so nothing can be said of it.
        if set.is_deleting() {
            return Ok(Requeue::Forget);
        }
        let mut control = Control {
            eligibility: Eligibility::of(&set),
            nodes: listers.list::<Node>().cloned().collect(),
            set,
            key,
            expectations: &mut self.expectations,
            failed_pods: &mut self.failed_pods,
            listers,
            client,
        };
        control.run()?;
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

impl Control<'_, '_> {
    fn run(&mut self) -> Result<(), ClientError> {
        let Some(selector) = selector_of(&self.set) else { return Ok(()) };
        let histories = self.construct_history(&selector)?;
        let hash = histories.hash();
        let candidates = self.listers.claimable::<Pod>(self.set.namespace(), self.set.uid());
        let candidates: Vec<_> = candidates.into_iter().cloned().collect();
        let set = self.set.clone();
        let pods = claim(&*set, &selector, candidates.into_iter(), self.client)?;
        let by_node = pods::by_node(&pods, false);
        if !self.expectations.satisfied(self.key, self.client.now) {
            // The generation was not acted upon, so it does not count as observed.
            return self.update_status(&by_node, &hash, false);
        }
        let result = self.update(&by_node, &hash, &pods, histories.old);
        if let Err(error @ ClientError::Throttled(_)) = result {
            return Err(error);
        }
        let told = self.update_status(&by_node, &hash, true);
        result?;
        told
    }

    /// Brings pods and history nearer to what is wanted: `updateDaemonSet`.
    fn update(
        &mut self,
        by_node: &PodsByNode,
        hash: &str,
        pods: &[Arc<Pod>],
        old: Vec<Arc<ControllerRevision>>,
    ) -> Result<(), ClientError> {
        self.manage(by_node, hash)?;
        let strategy = self.set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
        let is_rolling = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("RollingUpdate"));
        if is_rolling && self.expectations.satisfied(self.key, self.client.now) {
            self.roll(by_node, hash)?;
        }
        self.clean_up_history(pods, old)
    }
}

/// Whether a pod is made of the template of a hash, or of the generation of the template that is counted the old way:
/// `IsPodUpdated`.
fn is_updated(pod: &Pod, hash: &str, set: &DaemonSet) -> bool {
    let label = |name: &str| pod.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map(String::as_str);
    let generation = crate::api::apps::daemon_set::template_generation(&set.metadata);
    let same_generation = label(pods::TEMPLATE_GENERATION_LABEL).and_then(|it| it.parse().ok()) == Some(generation);
    (!hash.is_empty() && label(REVISION_LABEL) == Some(hash)) || same_generation
}
