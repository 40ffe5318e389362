//! The kubelet: keeps the pods that are bound to its node as their specs want them, and tells how they and the node
//! are.
//!
//! Follows `pkg/kubelet` of Kubernetes v1.36. It watches its own Node, the pods on it, all Services and CSIDrivers; ConfigMaps and
//! Secrets are read when a pod is synced. The machine itself (images, sandboxes, containers: `node::runtime`) is part of its value.
//!
//! Not simulated: cgroups, device plugins.

mod admission;
mod agenda;
mod backoff;
mod claims;
mod config;
mod container_config;
mod container_status;
mod csi;
mod dra;
mod environment;
mod events;
mod eviction;
mod faults;
mod hooks;
mod host;
mod host_path;
mod image_gc;
mod images;
mod kept_status;
mod kuberuntime;
mod network;
mod node_status;
mod pod_worker;
mod preemption;
mod prober;
mod probing;
mod resize;
pub mod resource_metrics;
mod restart;
mod server;
mod shared;
mod shutdown;
mod start;
mod static_pods;
mod status;
mod status_manager;
mod sync;
mod sysctl;
mod termination;
mod volumes;

#[cfg(test)]
mod tests;

pub use config::NodeConfig;
pub use eviction::check_thresholds;
pub use shared::SharedNews;
pub use static_pods::MANIFEST_FOLDER;

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Node, Pod, PodStatus, Service};

use crate::api::{Kind, Name, Resource};
use crate::apiserver::User;
use crate::client::{Client, Identity, InformerEvent, Process, Token, WatchSelector, WatchSpec};
use crate::etcd::Revision;
use crate::machinery::time::Time;

use agenda::{PodId, Work};
use events::Warning;
use eviction::Cleanup;
use host::Host;
use node_status::NodeKeeper;
use pod_worker::{Stage, Worker};
use shutdown::Shutdown;
use static_pods::StaticPods;

/// How often the kubelet looks for what should not be there: `housekeepingPeriod`.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(2);
/// How long a container may take to end of which nothing is known but that it runs.
const RUNTIME_POD_GRACE: Duration = Duration::from_secs(1);

/// A kubelet with its machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kubelet {
    host: Host,
    keeper: NodeKeeper,
    workers: OrdMap<PodId, Arc<Worker>>,
    by_uid: OrdMap<Name, PodId>,
    last_id: PodId,
    statics: StaticPods,
    cleanup: Cleanup,
    shutdown: Shutdown,
}

/// Has the status told again in a while when the API says something else: somebody else wrote.
fn reconcile_soon(worker: &Worker, pod: &Pod, host: &mut Host, now: Time) {
    if pod.status.as_ref().is_some_and(|reported| worker.needs_reconcile(reported)) {
        host.agenda.set_sooner(Work::Reconcile(worker.id), now + status_manager::SYNC_PERIOD, false);
    }
}

impl Kubelet {
    /// A kubelet on a machine on which nothing runs yet.
    #[must_use]
    pub fn new(config: NodeConfig) -> Self {
        Self {
            host: Host::new(Arc::new(config)),
            keeper: NodeKeeper::default(),
            workers: OrdMap::new(),
            by_uid: OrdMap::new(),
            last_id: 0,
            statics: StaticPods::default(),
            cleanup: Cleanup::default(),
            shutdown: Shutdown::default(),
        }
    }

    /// The machine was without power until now: nothing runs, but its disk has all that it had, and so its runtime knows
    /// what ran before.
    pub fn lose_power(&mut self, now: Time) {
        self.host.boots += 1;
        self.host.runtime.lose_power(now);
    }

    /// The node that a machine's kubelet is going to register.
    #[must_use]
    pub fn node_of(config: &NodeConfig) -> Node {
        node_status::new_node(config)
    }

    /// What the machine is like.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.host.config
    }

    /// Who this kubelet is to the API server.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let name = &self.host.config.name;
        Identity {
            component: Name::from("kubelet"),
            host: Name::from(name.as_str()),
            user: User::component(format!("system:node:{name}"), &["system:nodes", "system:authenticated"]),
        }
    }

    /// Lets a pod's worker act, and forgets it when it is done for good.
    fn with_worker(
        &mut self,
        id: PodId,
        client: &mut Client<'_>,
        act: impl FnOnce(&mut Worker, &mut Host, &mut Client<'_>),
    ) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let worker = Arc::make_mut(worker);
        act(worker, &mut self.host, client);
        if worker.stage == Stage::Finished && worker.is_gone {
            self.forget(id, client);
        }
    }

    fn forget(&mut self, id: PodId, client: &mut Client<'_>) {
        let Some(worker) = self.workers.remove(&id) else { return };
        self.by_uid.remove(&worker.uid);
        self.host.csi.release(&worker.uid);
        for work in [Work::Sync(id), Work::Step(id), Work::Status(id), Work::Reconcile(id)] {
            self.host.agenda.cancel(work);
        }
        for index in 0..worker.probes.workers.len() {
            self.host.agenda.cancel(Work::Probe(id, u16::try_from(index).unwrap_or(u16::MAX)));
        }
        self.host.runtime.forget_askers(|work| matches!(work, Work::Probe(pod, _) if pod == id));
        self.host.images.forget(&worker.uid);
        self.host.crashes.forget(&format!("{}_", worker.uid));
        self.host.runtime.remove_pod(&worker.uid, client.now);
        self.host.plan_runtime(client.now);
        if worker.is_static() {
            self.after_static(&worker, client);
        }
    }

    fn deliver_pod(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        let pod_of = |object: &Option<crate::api::Object>| object.as_ref().and_then(|o| o.downcast::<Pod>()).cloned();
        let (before, after) = (pod_of(&event.before), pod_of(&event.after));
        if after.as_ref().or(before.as_ref()).is_some_and(|pod| static_pods::is_mirror(pod)) {
            return self.deliver_mirror(after, event, client);
        }
        let replaced = before.as_ref().filter(|before| after.as_ref().is_none_or(|after| after.uid() != before.uid()));
        if let Some(&id) = replaced.and_then(|pod| self.by_uid.get(pod.uid())) {
            self.with_worker(id, client, |worker, host, client| {
                worker.trigger = Some(event.revision);
                worker.removed(host, client.now);
            });
        }
        let Some(pod) = after else { return };
        match self.by_uid.get(pod.uid()).copied() {
            Some(id) => self.update_pod(id, &pod, event, client),
            None => drop(self.add_pod(pod, Some(event.revision), client)),
        }
    }

    fn update_pod(&mut self, id: PodId, pod: &Arc<Pod>, event: &InformerEvent, client: &mut Client<'_>) {
        let resized = self.workers.get(&id).is_some_and(|worker| resize::differs(&worker.pod, pod));
        let refusal = if resized { self.refuses_resize(id, pod) } else { None };
        self.with_worker(id, client, |worker, host, client| {
            let known = &worker.pod;
            let same = known.spec == pod.spec
                && known.metadata.labels == pod.metadata.labels
                && known.metadata.annotations == pod.metadata.annotations
                && known.metadata.deletion_timestamp == pod.metadata.deletion_timestamp
                && known.metadata.deletion_grace_period_seconds == pod.metadata.deletion_grace_period_seconds;
            if same {
                worker.pod = pod.clone();
                worker.status.share(pod);
                reconcile_soon(worker, pod, host, client.now);
                if worker.stage == Stage::Sync && status::needs_readiness(pod) {
                    worker.trigger = Some(event.revision);
                    worker.request_sync(host, client.now);
                }
                return;
            }
            worker.trigger = Some(event.revision);
            if resized && worker.stage == Stage::Sync {
                client.triggered_by(worker.trigger);
                worker.resize(pod, refusal, client);
            }
            if worker.stage == Stage::Finished {
                worker.pod = pod.clone();
                client.triggered_by(worker.trigger);
                worker.write_status(host, client);
            } else {
                worker.update(pod, host, client);
                // Whoever was cut off may hear of several changes at once, another's word on the status among them.
                reconcile_soon(worker, pod, host, client.now);
            }
        });
    }

    /// A pod that is new to this kubelet: `HandlePodAdditions`.
    fn add_pod(&mut self, pod: Arc<Pod>, trigger: Option<Revision>, client: &mut Client<'_>) -> PodId {
        self.last_id += 1;
        let id = self.last_id;
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
        let is_over = matches!(phase.as_deref(), Some("Failed" | "Succeeded"));
        let rejection = if is_over || pod.is_deleting() { None } else { self.admit(&pod, client) };
        let mut worker = Worker::new(id, pod.clone());
        worker.trigger = trigger;
        self.by_uid.insert(worker.uid.clone(), id);
        self.workers.insert(id, Arc::new(worker));
        self.with_worker(id, client, |worker, host, client| {
            if let Some(rejection) = rejection {
                worker.stage = Stage::Finished;
                client.triggered_by(worker.trigger);
                client.event(&*pod, Warning, &rejection.reason, &rejection.message);
                let status = PodStatus {
                    phase: Some("Failed".to_owned()),
                    reason: Some(rejection.reason),
                    message: Some(format!("Pod was rejected: {}", rejection.message)),
                    qos_class: worker.status.qos_class.clone(),
                    start_time: Some(client.now.to_meta()),
                    observed_generation: pod.metadata.generation,
                    ..PodStatus::default()
                };
                return worker.set_status(status, host, client);
            }
            if is_over {
                worker.terminate(client.now);
            }
            worker.update(&pod, host, client);
        });
        id
    }

    /// Why the node does not take the pod, if it does not.
    fn rejection(&self, pod: &Pod, without: &[PodId]) -> Option<admission::Rejection> {
        let others = self.others(without);
        if let Some(refusal) = self.host.pressures.refusal(pod) {
            return Some(refusal);
        }
        if let Some(refusal) = sysctl::refusal(pod) {
            return Some(refusal);
        }
        let node = self.host.node.as_deref();
        let refusal = admission::reject(pod, &others, node, &self.host.config.full_capacity());
        refusal.or_else(|| self.host.is_shutting_down.then(shutdown::refusal))
    }

    /// The pods whose containers may run, but for some.
    fn others(&self, without: &[PodId]) -> Vec<&Pod> {
        self.workers
            .values()
            .filter(|worker| worker.could_have_running_containers() && !without.contains(&worker.id))
            .map(|worker| &*worker.pod)
            .collect()
    }

    /// Why the node does not grant the resources that a pod on it wants.
    fn refuses_resize(&self, id: PodId, pod: &Pod) -> Option<resize::Pending> {
        let others = self.others(&[id]);
        resize::refusal(pod, &others, self.host.node.as_deref(), &self.host.config.full_capacity())
    }

    /// Grants what had to wait for others, if they are gone.
    fn retry_resize(&mut self, id: PodId, client: &mut Client<'_>) {
        let waiting = self.workers.get(&id).filter(|worker| worker.resizing.pending.is_some());
        let Some(pod) = waiting.map(|worker| worker.pod.clone()) else { return };
        if self.refuses_resize(id, &pod).is_none() {
            self.with_worker(id, client, |worker, _, client| worker.resize(&pod, None, client));
        }
    }

    fn work(&mut self, work: Work, client: &mut Client<'_>) {
        match work {
            Work::Runtime | Work::RuntimeAtRest => self.advance_runtime(client),
            Work::Relist => {
                for uid in &self.host.runtime.take_changed() {
                    if let Some(&id) = self.by_uid.get(uid) {
                        self.with_worker(id, client, |worker, host, client| worker.request_sync(host, client.now));
                    }
                }
            }
            Work::Sync(id) => {
                self.retry_resize(id, client);
                self.with_worker(id, client, Worker::sync);
            }
            Work::Step(id) => self.with_worker(id, client, Worker::step),
            Work::Probe(id, index) => {
                self.with_worker(id, client, |worker, host, client| worker.probe(usize::from(index), host, client))
            }
            Work::Status(id) => self.with_worker(id, client, Worker::write_status_now),
            Work::Reconcile(id) => self.with_worker(id, client, Worker::write_status),
            Work::NodeStatus => self.keeper.sync_status(&mut self.host, client),
            Work::CsiNode => csi::sync(&mut self.host, client),
            Work::Lease => self.keeper.renew_lease(&mut self.host, client),
            Work::Eviction => self.look_for_pressure(client),
            Work::ImageGc => self.host.collect_images(client),
            Work::Shutdown => self.go_on_shutting_down(client),
            Work::Housekeeping => {
                self.drop_orphans(client);
                self.clean_up(client.now);
            }
        }
    }

    /// Ends what runs here of pods that nobody wants here any more: they were taken away while the kubelet did not run, or
    /// while it could not hear of it and was restarted. `HandlePodCleanups` and `SyncTerminatingRuntimePod`.
    fn clean_up(&mut self, now: Time) {
        let runtime = &self.host.runtime;
        let unknown: Vec<Name> =
            runtime.known_pods().filter(|uid| self.by_uid.get(&***uid).is_none()).cloned().collect();
        // Until it has heard of its own node it has not heard of its pods either.
        let has_heard = self.host.node.is_some();
        for uid in unknown.iter().filter(|_| has_heard) {
            let record = self.host.runtime.pod(uid);
            let running: Vec<Name> = record.running().map(|container| container.id.clone()).collect();
            if running.is_empty() {
                self.host.runtime.remove_pod(uid, now);
            }
            for id in running {
                self.host.runtime.stop_container(&id, RUNTIME_POD_GRACE, now);
            }
        }
        if !unknown.is_empty() {
            self.host.agenda.set(Work::Housekeeping, now + HOUSEKEEPING_PERIOD, false);
        }
        self.host.plan_runtime(now);
    }

    /// Lets the runtime come as far as the clock; whoever waits for a container or a command to end goes on.
    fn advance_runtime(&mut self, client: &mut Client<'_>) {
        for work in self.host.runtime.advance(client.now) {
            self.host.agenda.set(work, client.now, false);
        }
        let changed: Vec<PodId> = self.host.runtime.changed().filter_map(|uid| self.by_uid.get(uid)).copied().collect();
        for id in changed {
            if self.workers.get(&id).is_some_and(|worker| worker.waits_for_container()) {
                self.host.agenda.set(Work::Step(id), client.now, false);
            }
        }
        self.host.plan_runtime(client.now);
    }
}

impl Process for Kubelet {
    fn watches(&self) -> Vec<WatchSpec> {
        let name = Name::from(self.host.config.name.as_str());
        vec![
            WatchSpec { kind: Kind::Node, selector: WatchSelector::Named(name.clone()) },
            WatchSpec::all(Kind::Service),
            WatchSpec::all(Kind::CSIDriver),
            WatchSpec { kind: Kind::Pod, selector: WatchSelector::OnNode(name) },
        ]
    }

    fn start(&mut self, client: &mut Client<'_>) {
        // A kubelet that starts again remembers nothing; its machine still has what it has.
        self.workers = OrdMap::new();
        self.by_uid = OrdMap::new();
        self.host.runtime.seed(client.random);
        self.host.restart(client.now, client.random);
        self.statics = self.statics.restarted();
        (self.cleanup, self.shutdown) = (Cleanup::default(), Shutdown::default());
        self.keeper.start(&mut self.host, client);
        self.read_manifests(client);
        self.host.plan_runtime(client.now);
        if self.host.runtime.known_pods().next().is_some() {
            self.host.agenda.set(Work::Housekeeping, client.now + HOUSEKEEPING_PERIOD, false);
        }
        self.host.agenda.arm(client);
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        match event.kind {
            Kind::Pod => self.deliver_pod(event, client),
            Kind::Service => match event.after.as_ref().and_then(|object| object.downcast::<Service>()) {
                Some(service) => {
                    self.host.services.insert(event.key.clone(), service.clone());
                }
                None => {
                    self.host.services.remove(&event.key);
                }
            },
            Kind::Node => {
                let node = event.after.as_ref().and_then(|object| object.downcast::<Node>()).cloned();
                self.host.set_node(node);
            }
            Kind::CSIDriver => csi::deliver(event, &mut self.host, client),
            _ => {}
        }
        self.host.agenda.arm(client);
    }

    fn wake(&mut self, _token: Token, client: &mut Client<'_>) {
        self.host.agenda.woken(client.now);
        if let Some(work) = self.host.agenda.pop(client.now) {
            self.work(work, client);
        }
        self.host.agenda.arm(client);
    }
}
