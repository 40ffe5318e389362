//! kube-scheduler: finds a node for each pod that has none.
//!
//! Follows `pkg/scheduler` of kubernetes/kubernetes v1.36. What is pure stands in [`Scheduler`]: [`configuration`]
//! (profiles, and what their plugins are told), [`cache`] (nodes and their pods), [`queue`] (pods that wait),
//! [`framework`] and [`plugins`] (filters and scores), [`schedule_one`] (a cycle), [`preemption`]. It is a value: time
//! and chance are told, nothing is asked, and cloning shares everything. [`KubeScheduler`] wires it to the API server.
//!
//! Not simulated: extenders, and the reuse of results for equal pods. Gang scheduling (the feature gates
//! `GenericWorkload` and `GangScheduling`) is alpha in v1.36 and off by default, so that it is off here.

pub mod affinity_term;
pub mod cache;
pub mod configuration;
pub mod dra_manager;
mod event_handlers;
pub mod explanation;
pub mod framework;
pub mod listers;
pub mod node_info;
pub mod plugins;
pub mod pod_info;
pub mod preemption;
mod process;
pub mod queue;
pub mod resource;
pub mod schedule_one;
pub mod what_if;

use std::sync::Arc;

use crate::api::Name;
use crate::client::InformerEvent;
use crate::etcd::Revision;
use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;

use cache::Cache;
use configuration::{Configuration, Profile};
use explanation::{Explanation, Explanations};
use framework::diagnosis::Diagnosis;
use framework::events::{Change, ClusterEvent};
use framework::score_table::ScoreTable;
use listers::Listers;
use pod_info::PodInfo;
use queue::{QueuedPodInfo, SchedulingQueue};
use schedule_one::Outcome;

pub use process::{CYCLE_DURATION, KubeScheduler};

/// The name of the scheduler that pods get when they name none.
pub const DEFAULT_SCHEDULER_NAME: &str = "default-scheduler";

/// The scheduler without its connection to the API server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scheduler {
    configuration: Arc<Configuration>,
    /// Other kinds than pods and nodes. Whoever feeds the scheduler keeps them up to date.
    pub listers: Listers,
    cache: Cache,
    queue: SchedulingQueue,
    explanations: Explanations,
    next_start_node_index: usize,
    cycle_count: u64,
    /// Pods without a node that ask for a scheduler which no profile is, by their uids.
    unserved: OrdMap<Name, Arc<PodInfo>>,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new(Configuration::default())
    }
}

impl Scheduler {
    /// A scheduler that knows of nothing yet.
    #[must_use]
    pub fn new(configuration: Configuration) -> Self {
        Self {
            listers: Listers::default(),
            cache: Cache::default(),
            queue: SchedulingQueue::new(configuration.backoff),
            explanations: Explanations::default(),
            next_start_node_index: 0,
            cycle_count: 0,
            unserved: OrdMap::new(),
            configuration: Arc::new(configuration),
        }
    }

    /// Begins anew with another configuration: what it knows of the cluster stays, and what it thought of pods that have
    /// no node is forgotten, also of those in `abandoned`, which had one in mind and are not bound to it.
    pub fn restart(&mut self, configuration: Configuration, abandoned: Vec<Arc<PodInfo>>, now: Time) {
        abandoned.iter().for_each(|pod| self.cache.forget_pod(&pod.uid));
        let waiting = self.queue.iter().map(|queued| &queued.pod).chain(self.unserved.values());
        let mut waiting: Vec<Arc<PodInfo>> = waiting.cloned().chain(abandoned).collect();
        // As the API server would list them.
        waiting.order_by_key(|pod| pod.key.clone());
        self.queue = SchedulingQueue::new(configuration.backoff);
        self.queue.set_claims(self.listers.dra.clone());
        self.configuration = Arc::new(configuration);
        self.unserved = OrdMap::new();
        self.next_start_node_index = 0;
        for pod in waiting {
            self.waiting_pod_added(pod, now);
        }
    }

    /// What it is told.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    fn profile_of(&self, pod: &PodInfo) -> Option<Arc<Profile>> {
        self.configuration.profile(pod.scheduler_name()).cloned()
    }

    /// Nodes and their pods as the scheduler believes them to be.
    #[must_use]
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The pods that wait.
    #[must_use]
    pub const fn queue(&self) -> &SchedulingQueue {
        &self.queue
    }

    /// Why pods are where they are.
    #[must_use]
    pub const fn explanations(&self) -> &Explanations {
        &self.explanations
    }

    /// Says which revision the coming changes follow from: pods that they wake remember it.
    pub const fn begin(&mut self, trigger: Option<Revision>) {
        self.queue.begin(trigger);
    }

    /// Moves pods whose waits are over.
    pub fn flush(&mut self, now: Time) {
        self.queue.flush(now);
    }

    /// An assumed pod was deleted before it was bound: it counts on its node no more.
    pub fn binding_abandoned(&mut self, pod: &Arc<PodInfo>, now: Time) {
        self.queue.done(&pod.uid);
        self.cache.forget_pod(&pod.uid);
        let change = Change::Pod(Some(Arc::clone(pod)), None);
        self.queue.move_all(ClusterEvent::ASSIGNED_POD_DELETE, &change, now, &self.listers, |_| true);
    }

    /// Pods that something may help are tried again.
    pub(in crate::scheduler) fn move_all(&mut self, event: ClusterEvent, change: &Change, now: Time) {
        self.queue.move_all(event, change, now, &self.listers, |_| true);
    }

    /// Takes in what a watch told of devices and claims.
    pub fn devices_changed(&mut self, event: &InformerEvent, now: Time) {
        let change = self.listers.dra.apply(event);
        self.queue.set_claims(self.listers.dra.clone());
        if let Some(change) = change {
            self.move_all(ClusterEvent::DEVICES, &change, now);
        }
    }

    /// The API server bound an assumed pod.
    pub fn binding_succeeded(&mut self, uid: &str) {
        self.queue.done(uid);
    }

    /// The API server did not bind an assumed pod: it counts on the node no more, and is tried again after a while.
    pub fn binding_failed(&mut self, queued: &QueuedPodInfo, message: String, now: Time) -> Outcome {
        let uid = queued.pod.uid.clone();
        self.cache.forget_pod(&uid);
        let change = Change::Pod(Some(Arc::clone(&queued.pod)), None);
        let others = |waiting: &QueuedPodInfo| waiting.pod.uid != uid;
        self.queue.move_all(ClusterEvent::ASSIGNED_POD_DELETE, &change, now, &self.listers, others);
        self.fail(queued, message, now)
    }

    /// Preemption for a pod could not be carried out: it is tried again after a while.
    ///
    /// Upstream tries at once, held up by its requests; here nothing would hold it up.
    pub fn preemption_failed(&mut self, uid: &str, now: Time) {
        self.queue.retry_after_error(uid, now);
    }

    fn explain(
        &mut self,
        pod: &PodInfo,
        now: Time,
        outcome: &Outcome,
        diagnosis: Diagnosis,
        scores: Option<ScoreTable>,
    ) {
        self.explanations.add(Explanation {
            pod: pod.key.clone(),
            uid: pod.uid.clone(),
            cycle: self.cycle_count,
            at: now,
            node: outcome.node().cloned(),
            message: outcome.message().map(str::to_owned),
            diagnosis: Arc::new(diagnosis),
            scores: scores.map(Arc::new),
        });
    }
}
