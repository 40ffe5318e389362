//! One pod on its node: the stages of its life here, and what its worker does at each sync.
//!
//! `pkg/kubelet/pod_workers.go` and `pkg/kubelet/kubelet.go` (`SyncPod`, `SyncTerminatingPod`, `SyncTerminatedPod`).

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};

use crate::api::{Name, Resource};
use crate::client::Client;
use crate::etcd::Revision;
use crate::machinery::time::Time;

use super::agenda::{PodId, Work};
use super::container_status::StartFailure;
use super::events::{self, Normal, Warning};
use super::eviction::needs_measuring;
use super::host::Host;
use super::kept_status::KeptStatus;
use super::kuberuntime::{PodRecord, volume_key};
use super::prober::Probes;
use super::resize::{Pending, Resize};
use super::start::SyncJob;
use super::status::{self, Inputs};
use super::termination::Killing;
use super::volumes::PodVolumes;

/// How often a pod with which all is well is synced: `syncFrequency`.
const RESYNC_INTERVAL: Duration = Duration::from_secs(60);
/// When a sync that failed is tried again: `backOffPeriod`.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How much longer either may take, in percent.
const JITTER_PERCENT: u32 = 50;

const DEADLINE_REASON: &str = "DeadlineExceeded";
const DEADLINE_MESSAGE: &str = "Pod was active on the node longer than the specified deadline";

/// Where a pod is in its life on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Its containers are kept as the spec wants them.
    Sync,
    /// Its containers are being ended.
    Terminating,
    /// Its containers have ended, and the rest is cleaned up.
    Terminated,
    /// Nothing is left to do.
    Finished,
}

/// What the worker is busy with.
#[derive(Clone, Debug)]
pub(super) enum Job {
    Idle,
    Syncing(Box<SyncJob>),
    Killing(Killing),
}

/// Why the kubelet itself ends a pod, as its status tells it: `TerminatePodAbnormally`.
#[derive(Clone, Debug)]
pub(super) struct Killed {
    pub reason: &'static str,
    pub message: String,
    /// A condition that it gets with its end.
    pub condition: Option<PodCondition>,
    /// Whether a pod counts as failed even if it has succeeded before.
    pub even_succeeded: bool,
}

impl Killed {
    fn tell(&self, status: &mut PodStatus, now: Time) {
        if self.even_succeeded || status.phase.as_deref() != Some("Succeeded") {
            status.phase = Some("Failed".to_owned());
        }
        status.reason = Some(self.reason.to_owned());
        status.message = Some(self.message.clone());
        let Some(condition) = &self.condition else { return };
        let conditions = status.conditions.get_or_insert_default();
        conditions.retain(|known| known.type_ != condition.type_);
        conditions.insert(0, PodCondition { last_transition_time: Some(now.to_meta()), ..condition.clone() });
    }
}

/// A pod's worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub id: PodId,
    pub uid: Name,
    pub pod: Arc<Pod>,
    /// Whether the eviction manager has to look at the pod; most it need not.
    pub is_measured: bool,
    /// The revision that last made it act.
    pub trigger: Option<Revision>,
    pub stage: Stage,
    /// Whether the API server does not have the pod any more.
    pub is_gone: bool,
    /// The grace period that counts while it terminates.
    pub grace: Option<i64>,
    /// Why the kubelet ends it, when nobody else wants its end.
    killed: Option<Arc<Killed>>,
    /// What the API server has in place of a static pod; nothing for other pods.
    pub mirror: Option<Arc<Pod>>,
    terminating_since: Option<Time>,
    pub status: KeptStatus,
    pub has_status: bool,
    pub is_written: bool,
    last_sync: Option<Time>,
    pub job: Job,
    /// Whether something came while it was busy.
    again: bool,
    /// Why containers could not be started.
    pub failures: OrdMap<Name, StartFailure>,
    pub probes: Probes,
    pub volumes: PodVolumes,
    pub resizing: Resize,
}

impl Worker {
    pub(super) fn new(id: PodId, pod: Arc<Pod>) -> Self {
        Self {
            id,
            uid: Name::from(pod.uid()),
            status: pod.status.clone().unwrap_or_default().into(),
            resizing: Resize::new(&pod),
            is_measured: needs_measuring(&pod),
            pod,
            trigger: None,
            stage: Stage::Sync,
            is_gone: false,
            grace: None,
            killed: None,
            mirror: None,
            terminating_since: None,
            has_status: false,
            is_written: false,
            last_sync: None,
            job: Job::Idle,
            again: false,
            failures: OrdMap::new(),
            probes: Probes::default(),
            volumes: PodVolumes::default(),
        }
    }

    /// Whether containers may still run, or run again.
    pub(super) fn could_have_running_containers(&self) -> bool {
        self.stage < Stage::Terminated
    }

    /// Whether the end of a container lets the worker go on.
    pub(super) fn waits_for_container(&self) -> bool {
        match &self.job {
            Job::Idle => false,
            Job::Syncing(job) => job.waits_for_container(),
            Job::Killing(_) => true,
        }
    }

    /// Asks for the pod to end: it was deleted, rejected, evicted or is over.
    pub(super) fn terminate(&mut self, now: Time) {
        if self.stage == Stage::Sync {
            self.stage = Stage::Terminating;
            self.terminating_since = Some(now);
        }
    }

    /// A new version of the pod reached the kubelet.
    pub(super) fn update(&mut self, pod: &Arc<Pod>, host: &mut Host, client: &mut Client<'_>) {
        self.pod = pod.clone();
        self.is_measured = needs_measuring(pod);
        if pod.is_deleting() {
            self.shorten_grace(host, client.now);
            self.terminate(client.now);
        }
        self.request_sync(host, client.now);
    }

    /// The pod wants other resources, which the node grants unless it has a reason not to.
    pub(super) fn resize(&mut self, pod: &Pod, refusal: Option<Pending>, client: &mut Client<'_>) {
        if let Some(pending) = refusal {
            if self.resizing.pending.as_ref() != Some(&pending) {
                let message = format!("Pod resize {}: {}", pending.reason, Resize::wanted(pod, &pending.message));
                let reason = format!("Resize{}", pending.reason);
                client.event_about(&events::pod_reference(pod), Warning, &reason, &message);
            }
            self.resizing.pending = Some(pending);
            return;
        }
        self.resizing.grant(pod);
        self.resizing.under_way = true;
        let message = format!("Pod resize started: {}", self.resizing.told(pod));
        client.event_about(&events::pod_reference(pod), Normal, "ResizeStarted", &message);
    }

    /// Tells of a resize that all containers have been through.
    fn complete_resize(&mut self, host: &mut Host, client: &mut Client<'_>) {
        if self.resizing.under_way && self.resizing.is_settled(&self.pod) {
            self.resizing.under_way = false;
            let message = format!("Pod resize completed: {}", self.resizing.told(&self.pod));
            client.event_about(&events::pod_reference(&self.pod), Normal, "ResizeCompleted", &message);
            self.request_sync(host, client.now);
        }
    }

    /// The pod is gone from the API: what still runs of it is ended.
    pub(super) fn removed(&mut self, host: &mut Host, now: Time) {
        self.is_gone = true;
        self.shorten_grace(host, now);
        self.terminate(now);
        self.request_sync(host, now);
    }

    /// Takes over a shorter grace period: `calculateEffectiveGracePeriod`.
    fn shorten_grace(&mut self, host: &mut Host, now: Time) {
        let of_spec = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        let wanted = self.pod.metadata.deletion_grace_period_seconds.filter(|&seconds| seconds > 0).or(of_spec);
        self.shorten_grace_to(wanted.unwrap_or(1).max(1), host, now);
    }

    /// Ends the pod on the kubelet's own account.
    pub(super) fn kill(&mut self, killed: Killed, grace: i64, host: &mut Host, now: Time) {
        self.killed = Some(Arc::new(killed));
        self.shorten_grace_to(grace.max(1), host, now);
        self.terminate(now);
        self.request_sync(host, now);
    }

    fn shorten_grace_to(&mut self, wanted: i64, host: &mut Host, now: Time) {
        let Some(known) = self.grace else {
            self.grace = Some(wanted);
            return;
        };
        if wanted >= known {
            return;
        }
        self.grace = Some(wanted);
        let elapsed = self.terminating_since.map_or(0, |since| now.since(since).as_secs());
        if let Job::Killing(killing) = &mut self.job {
            killing.shorten(wanted, i64::try_from(elapsed).unwrap_or(0), host, now);
        }
    }

    /// Plans the next sync: at once the first time, else as soon as the kubelet has looked at the runtime anew.
    pub(super) fn request_sync(&mut self, host: &mut Host, now: Time) {
        if self.stage == Stage::Finished {
            return;
        }
        if let Job::Syncing(job) = &mut self.job
            && self.stage != Stage::Sync
            && job.give_up_waiting_for_volumes()
        {
            host.agenda.set(Work::Step(self.id), now, false);
        }
        if !matches!(self.job, Job::Idle) {
            self.again = true;
            return;
        }
        let due = self.last_sync.map_or(now, |last| now.max(host.relist_after(last)));
        host.agenda.set_sooner(Work::Sync(self.id), due, false);
    }

    /// Asks for another sync after the one that is under way.
    pub(super) const fn sync_again(&mut self) {
        self.again = true;
    }

    /// Syncs the pod.
    pub(super) fn sync(&mut self, host: &mut Host, client: &mut Client<'_>) {
        if !matches!(self.job, Job::Idle) {
            self.again = true;
            return;
        }
        client.triggered_by(self.trigger);
        match self.stage {
            Stage::Sync => self.sync_pod(host, client),
            Stage::Terminating => self.sync_terminating(host, client),
            Stage::Terminated => self.sync_terminated(host, client),
            Stage::Finished => {}
        }
    }

    /// Goes on with a sync that waited.
    pub(super) fn step(&mut self, host: &mut Host, client: &mut Client<'_>) {
        client.triggered_by(self.trigger);
        match std::mem::replace(&mut self.job, Job::Idle) {
            Job::Idle => {}
            Job::Syncing(job) => self.go_on_syncing(*job, host, client),
            Job::Killing(killing) => self.go_on_killing(killing, host, client),
        }
    }

    fn eviction(&self, now: Time) -> Option<(&'static str, &'static str)> {
        let deadline = self.deadline()?;
        (now >= deadline).then_some((DEADLINE_REASON, DEADLINE_MESSAGE))
    }

    /// When the pod's time is over: `activeDeadlineSeconds`.
    fn deadline(&self) -> Option<Time> {
        let seconds = self.pod.spec.as_ref()?.active_deadline_seconds?;
        let start = self.status.start_time.as_ref()?;
        Some(Time::from(start) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// The pod's status as it follows from the runtime.
    fn generate(&mut self, runtime: &PodRecord, terminal: bool, host: &Host, client: &mut Client<'_>) -> PodStatus {
        let eviction = self.eviction(client.now);
        let was_over = matches!(self.status.phase.as_deref(), Some("Failed" | "Succeeded"));
        if let Some((reason, message)) = eviction.filter(|_| !was_over) {
            client.event_about(&events::pod_reference(&self.pod), Normal, reason, message);
        }
        let mut status = status::generate(&Inputs {
            pod: &self.pod,
            runtime,
            old: &self.status,
            terminal,
            failures: &self.failures,
            probes: &self.probes,
            resizing: &self.resizing,
            eviction,
            host_ip: &host.config.internal_ip,
            now: client.now,
        });
        // It is said once. A pod whose containers then end well has succeeded all the same.
        if let Some(killed) = self.killed.as_ref().filter(|_| !terminal) {
            killed.tell(&mut status, client.now);
        }
        status
    }

    fn sync_pod(&mut self, host: &mut Host, client: &mut Client<'_>) {
        let runtime = host.runtime.pod(&self.uid);
        let status = self.generate(&runtime, false, host, client);
        let is_over = matches!(status.phase.as_deref(), Some("Failed" | "Succeeded"));
        self.ask_for_readiness(&status, host, client.now);
        self.set_status(status, host, client);
        self.keep_mirror(client);
        if is_over {
            self.terminate(client.now);
            return self.next_stage(host, client.now);
        }
        if let Some(deadline) = self.deadline() {
            let tick = host.tick_from(deadline);
            host.agenda.set_sooner(Work::Sync(self.id), tick, false);
        }
        self.begin_syncing(runtime, host, client);
    }

    /// Ends a sync: plans the next one.
    pub(super) fn complete_sync(
        &mut self,
        failed: bool,
        retry_at: Option<Time>,
        host: &mut Host,
        client: &mut Client<'_>,
    ) {
        let now = client.now;
        self.job = Job::Idle;
        self.last_sync = Some(now);
        self.complete_resize(host, client);
        host.plan_runtime(now);
        if failed {
            let wait = retry_at.map_or(RETRY_INTERVAL, |at| at.since(now)).min(RESYNC_INTERVAL);
            let due = host.tick_from(now + client.random.jitter(wait, JITTER_PERCENT));
            host.agenda.set_sooner(Work::Sync(self.id), due, false);
        } else {
            let due = host.tick_from(now + client.random.jitter(RESYNC_INTERVAL, JITTER_PERCENT));
            host.agenda.set_sooner(Work::Sync(self.id), due, true);
        }
        if std::mem::take(&mut self.again) || self.stage != Stage::Sync {
            self.request_sync(host, now);
        }
    }

    fn next_stage(&mut self, host: &mut Host, now: Time) {
        self.job = Job::Idle;
        self.last_sync = Some(now);
        self.again = false;
        host.plan_runtime(now);
        host.agenda.cancel(Work::Sync(self.id));
        self.request_sync(host, now);
    }

    fn sync_terminating(&mut self, host: &mut Host, client: &mut Client<'_>) {
        let runtime = host.runtime.pod(&self.uid);
        let status = self.generate(&runtime, false, host, client);
        self.set_status(status, host, client);
        self.probes.stop_liveness_and_startup();
        let killing = Killing::all(&self.pod, &runtime, Some(self.grace_for_kill()));
        self.go_on_killing(killing, host, client);
    }

    fn grace_for_kill(&self) -> i64 {
        let of_spec = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        self.grace.or(of_spec).unwrap_or(30).max(1)
    }

    fn go_on_killing(&mut self, mut killing: Killing, host: &mut Host, client: &mut Client<'_>) {
        let pod = self.pod.clone();
        let result = killing.go_on(&pod, Work::Step(self.id), host, client);
        host.plan_runtime(client.now);
        if let Err(look_again) = result {
            self.job = Job::Killing(killing);
            if let Some(time) = look_again {
                host.agenda.set(Work::Step(self.id), time, false);
            }
            return;
        }
        host.runtime.stop_sandboxes(&self.uid, client.now);
        for worker in &mut self.probes.workers {
            worker.stopped = true;
        }
        let runtime = host.runtime.pod(&self.uid);
        self.stage = Stage::Terminated;
        // The same status may say more now: nothing holds the final phase back any longer.
        self.is_written = false;
        let status = self.generate(&runtime, true, host, client);
        self.set_status(status, host, client);
        self.next_stage(host, client.now);
    }

    fn sync_terminated(&mut self, host: &mut Host, client: &mut Client<'_>) {
        let runtime = host.runtime.pod(&self.uid);
        let mut status = self.generate(&runtime, true, host, client);
        status::terminate(&mut status, &self.pod);
        self.stage = Stage::Finished;
        host.csi.release(&self.uid);
        // Its own volumes go with it, though its containers can still be looked at.
        host.runtime.cri.take_volumes(&volume_key(&self.uid, ""));
        self.status = status.into();
        self.write_status(host, client);
        self.job = Job::Idle;
        host.agenda.cancel(Work::Sync(self.id));
        host.plan_runtime(client.now);
    }
}
