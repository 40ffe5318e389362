//! Node-pressure eviction: when the machine runs short of memory or disk, its pods pay for it, one after another.
//!
//! `pkg/kubelet/eviction/eviction_manager.go` with the hard thresholds that a kubelet has by default or is given. Images,
//! layers, logs and volumes lie on one file system, so that `nodefs` and `imagefs` are the same. Not simulated: soft
//! thresholds, and the kernel's own notification of low memory.

mod rank;
mod storage;
mod thresholds;
mod usage;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition, Taint};

use crate::api::Name;
use crate::client::Client;
use crate::machinery::time::Time;
use crate::machinery::toleration::{NO_SCHEDULE, tolerates_taint};

use super::Kubelet;
use super::admission::{Rejection, is_critical};
use super::agenda::{PodId, Work};
use super::events::{self, Warning};
use super::node_status;
use super::pod_worker::{Killed, Stage, Worker};
use super::resource_metrics;
use super::status::quality;
pub(super) use storage::needs_measuring;
pub(super) use thresholds::Pressure;
pub use thresholds::check_thresholds;
use thresholds::{Starved, Threshold, thresholds};

/// How often the kubelet looks for pressure: `evictionMonitoringPeriod`.
const MONITORING_PERIOD: Duration = Duration::from_secs(10);
/// For how long a node counts as under pressure after it was seen so last: `evictionPressureTransitionPeriod`.
const TRANSITION_PERIOD: Duration = Duration::from_secs(300);
/// How often it is looked whether an evicted pod is gone: `podCleanupPollFreq`.
const CLEANUP_POLL: Duration = Duration::from_secs(1);
/// How long that is waited for: `podCleanupTimeout`.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a pod gets that is evicted at once: `immediateEvictionGracePeriodSeconds`.
const GRACE_SECONDS: i64 = 1;
/// The reason in an evicted pod's status.
const REASON: &str = "Evicted";

/// What the node was found short of.
#[derive(Clone, Debug, Default)]
pub(super) struct Pressures {
    seen_at: BTreeMap<Pressure, Time>,
    current: Vec<Pressure>,
}

impl Pressures {
    /// Whether the node counts as being under this pressure.
    pub(super) fn has(&self, pressure: Pressure) -> bool {
        self.current.contains(&pressure)
    }

    fn note(&mut self, met: &[Threshold], now: Time) {
        self.seen_at.extend(met.iter().map(|threshold| (threshold.signal.pressure(), now)));
        let recent = self.seen_at.iter().filter(|(_, at)| now.since(**at) < TRANSITION_PERIOD);
        self.current = recent.map(|(pressure, _)| *pressure).collect();
    }

    /// Why a node under pressure does not take a pod: `managerImpl.Admit`.
    pub(super) fn refusal(&self, pod: &Pod) -> Option<Rejection> {
        if self.current.is_empty() || is_critical(pod) {
            return None;
        }
        if self.current == [Pressure::Memory] {
            let taint = Taint {
                key: "node.kubernetes.io/memory-pressure".to_owned(),
                effect: NO_SCHEDULE.to_owned(),
                ..Taint::default()
            };
            let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or(&[]);
            if quality(pod) != "BestEffort" || tolerates_taint(tolerations, &taint) {
                return None;
            }
        }
        let conditions: Vec<&str> = self.current.iter().map(|pressure| pressure.condition()).collect();
        let message = format!("The node had condition: [{}]. ", conditions.join(" "));
        Some(Rejection { reason: REASON.to_owned(), message })
    }
}

/// Evicted pods that are waited for, and until when.
#[derive(Clone, Debug, Default)]
pub(super) struct Cleanup {
    pods: Vec<PodId>,
    until: Time,
}

impl Kubelet {
    /// Looks whether the node is short of something, and evicts who has to go.
    pub(super) fn look_for_pressure(&mut self, client: &mut Client<'_>) {
        let now = client.now;
        let is_gone = |id: &PodId| self.workers.get(id).is_none_or(|worker| worker.stage == Stage::Finished);
        if now < self.cleanup.until && !self.cleanup.pods.iter().all(is_gone) {
            return self.host.agenda.set(Work::Eviction, now + CLEANUP_POLL, false);
        }
        let evicted = self.relieve(client);
        let is_idle = evicted.is_empty();
        let wait = if is_idle { MONITORING_PERIOD } else { CLEANUP_POLL };
        self.cleanup = Cleanup { pods: evicted, until: now + CLEANUP_TIMEOUT };
        self.host.agenda.set(Work::Eviction, now + wait, is_idle);
    }

    /// One pass over the thresholds: `synchronize`. Answers whom it evicted.
    fn relieve(&mut self, client: &mut Client<'_>) -> Vec<PodId> {
        self.kill_over_memory(client.now);
        let observed = self.observe(client.now);
        let mut met = thresholds(&self.host.config.eviction_hard);
        met.retain(|threshold| threshold.is_met(&observed));
        self.host.pressures.note(&met, client.now);
        let over_limit = self.evict_over_limits(client);
        if !over_limit.is_empty() {
            return over_limit;
        }
        let Some(threshold) = met.first() else { return Vec::new() };
        let starved = threshold.signal.starved();
        let resource = starved.name();
        let message = format!("Attempting to reclaim {resource}");
        client.event_about(&node_status::reference(&self.host.config), Warning, "EvictionThresholdMet", &message);
        if starved.is_on_disk() && self.reclaim_disk(client) {
            return Vec::new();
        }
        let told = format!(
            "Threshold quantity: {}, available: {}. ",
            threshold.quantity(&observed),
            starved.quantity(observed.available(starved))
        );
        for (id, used) in self.ranked(starved, client.now) {
            let Some(worker) = self.workers.get(&id).filter(|worker| !is_critical(&worker.pod)) else { continue };
            let message = format!(
                "The node was low on resource: {resource}. {told}{}",
                rank::consumers(starved, &worker.pod, &used)
            );
            self.evict(id, &message, true, client);
            return vec![id];
        }
        Vec::new()
    }

    /// Lets the kernel kill the containers that annotations have using more memory than they may.
    fn kill_over_memory(&mut self, now: Time) {
        let over: Vec<Name> = self.directed().flat_map(|worker| self.over_memory(worker, now)).collect();
        for id in &over {
            self.host.runtime.cri.kill_out_of_memory(id, now);
        }
        if !over.is_empty() {
            self.host.plan_runtime(now);
        }
    }

    /// Frees what nobody needs; says whether that was enough: `reclaimNodeLevelResources`.
    fn reclaim_disk(&mut self, client: &mut Client<'_>) -> bool {
        for worker in self.workers.values().filter(|worker| worker.stage == Stage::Finished) {
            self.host.runtime.remove_containers(&worker.uid, &[]);
        }
        self.host.image_gc.free(&mut self.host.runtime.cri, u64::MAX, client.now);
        let observed = self.observe(client.now);
        !thresholds(&self.host.config.eviction_hard).iter().any(|threshold| threshold.is_met(&observed))
    }

    /// Evicts a pod: `evictPod`. Nobody evicts what the node itself needs; says whether it was evicted.
    fn evict(&mut self, id: PodId, message: &str, for_node: bool, client: &mut Client<'_>) -> bool {
        let Some(worker) = self.workers.get(&id).filter(|worker| !is_critical(&worker.pod)) else { return false };
        let pod = worker.pod.clone();
        client.triggered_by(worker.trigger);
        client.event_about(&events::pod_reference(&pod), Warning, REASON, message);
        let condition = for_node.then(|| disruption_target(&pod, message));
        let killed = Killed { reason: REASON, message: message.to_owned(), condition, even_succeeded: true };
        self.with_worker(id, client, |worker, host, client| worker.kill(killed, GRACE_SECONDS, host, client.now));
        true
    }

    /// The pods whose containers may run and whose annotations tell what they use.
    fn directed(&self) -> impl Iterator<Item = &Worker> {
        self.active().filter(|worker| worker.is_measured && resource_metrics::is_directed(&worker.pod))
    }

    /// The pods whose containers may run: `GetActivePods`.
    fn active(&self) -> impl Iterator<Item = &Worker> {
        self.workers.values().map(|worker| &**worker).filter(|worker| worker.could_have_running_containers())
    }
}

/// The condition of a pod that its kubelet ends.
pub(super) fn disruption_target(pod: &Pod, message: &str) -> PodCondition {
    PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some("TerminationByKubelet".to_owned()),
        message: Some(message.to_owned()),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    }
}
