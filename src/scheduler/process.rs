//! The scheduler as a process of the cluster: watch events in, bindings, events and statuses out.
//!
//! A cycle takes [`CYCLE_DURATION`], one pod at a time, so that stepping through a cluster shows each decision.

mod claims;
mod configure;
mod pre_bind;

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::json::to_value;
use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodCondition, ReplicationController, Service};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{Client, ClientError, EventType, InformerEvent, Process, Token, WatchSpec};
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::dra_manager::DraManager;
use super::plugins::default_binder;
use super::pod_info::PodInfo;
use super::preemption::Candidate;
use super::queue::QueuedPodInfo;
use super::schedule_one::{Cycle, Failure, Outcome};
use super::{DEFAULT_SCHEDULER_NAME, Scheduler};
use configure::ConfigurationFile;
use pre_bind::PendingBinding;

/// How long the scheduler thinks about a pod.
pub const CYCLE_DURATION: Duration = Duration::from_millis(1);
/// Notes of events are cut to so many bytes: `NoteLengthLimit`.
const NOTE_LENGTH_MAX: usize = 1024;

const CYCLE: Token = 0;
const FLUSH: Token = 1;
const PRE_BIND: Token = 2;

/// kube-scheduler.
#[derive(Clone, Debug, Default)]
pub struct KubeScheduler {
    scheduler: Scheduler,
    /// When the next cycle is due, if one is.
    cycle_at: Option<Time>,
    /// Until when the last cycle lasts.
    busy_until: Time,
    /// When the queue is looked through next, if it is.
    flush_at: Option<Time>,
    /// Pods that wait for their volumes, by their uids.
    pending: OrdMap<Name, PendingBinding>,
    /// When those are looked at next, if they are.
    look_at: Option<Time>,
    /// What its configuration file said when it was read last, if there is one.
    configuration_file: Option<ConfigurationFile>,
}

/// Why a pod is not scheduled, as `PodScheduled` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureReason {
    Unschedulable,
    SchedulerError,
}

impl FailureReason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unschedulable => "Unschedulable",
            Self::SchedulerError => "SchedulerError",
        }
    }
}

impl KubeScheduler {
    /// What it believes, what waits, and why pods are where they are.
    #[must_use]
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Sees to it that the process is woken when there is something to do.
    fn arm(&mut self, client: &mut Client<'_>) {
        let queue = self.scheduler.queue();
        if queue.has_work() && self.cycle_at.is_none() {
            let at = self.busy_until.max(client.now) + CYCLE_DURATION;
            self.cycle_at = Some(at);
            client.wake_at(at, CYCLE);
        }
        let Some(at) = queue.next_flush().filter(|at| self.flush_at.is_none_or(|armed| *at < armed)) else { return };
        self.flush_at = Some(at);
        // Waiting for a better time may go on for ever; a back-off ends, unless there is no node at all.
        let ends = queue.next_backoff_end() == Some(at) && self.scheduler.cache().node_count() > 0;
        if ends {
            client.wake_at(at, FLUSH);
        } else {
            client.wake_in_background(at, FLUSH);
        }
    }

    fn run_cycle(&mut self, client: &mut Client<'_>) {
        let Some(cycle) = self.scheduler.schedule_one(client.now, client.random) else { return };
        let Cycle { queued, outcome } = cycle;
        client.triggered_by(queued.woken_by);
        match outcome {
            Outcome::Assumed { node, volumes } if volumes.is_empty() => self.bind(client, &queued, &node),
            Outcome::Assumed { node, volumes } => self.pre_bind(client, queued, node, volumes),
            Outcome::Unschedulable(failure) => {
                let reason =
                    if failure.is_error { FailureReason::SchedulerError } else { FailureReason::Unschedulable };
                self.handle_failure(client, &queued.pod, &failure, reason);
            }
            Outcome::Skipped { is_deleting: true } => {
                let note = format!("skip schedule deleting pod: {}", queued.pod.key);
                tell(client, &queued.pod, &queued.pod, EventType::Warning, ["FailedScheduling", "Scheduling", &note]);
            }
            Outcome::Skipped { is_deleting: false } => {}
        }
    }

    fn bind(&mut self, client: &mut Client<'_>, queued: &QueuedPodInfo, node: &str) {
        let pod = &queued.pod;
        if self.has_claims_to_bind(pod) {
            // Others may see where it is going to be: nobody has to, so a refusal does not matter.
            let _ = patch_status(client, pod, json!({ "nominatedNodeName": node }));
        }
        if let Err(why) = self.bind_claims(pod, client) {
            return self.claims_failed(queued, &why, client);
        }
        let timeout = queued.profile.args.dynamic_resources.binding_timeout;
        match self.devices_are_ready(pod, client.now, timeout) {
            Ok(true) => {}
            Ok(false) => return self.await_devices(client, queued, node),
            Err(why) => return self.claims_failed(queued, &why, client),
        }
        client.because(self.why_bound(pod, node));
        match client.bind(&pod.pod, node) {
            Ok(()) => {
                self.scheduler.binding_succeeded(&pod.uid);
                self.scheduler.listers.dra.release(&pod.uid);
                let note = format!("Successfully assigned {} to {node}", pod.key);
                tell(client, pod, pod, EventType::Normal, ["Scheduled", "Binding", &note]);
            }
            Err(error) => {
                let message = default_binder::failure_message(&error.to_string());
                self.binding_failed(queued, message, client);
            }
        }
    }

    fn claims_failed(&mut self, queued: &QueuedPodInfo, why: &str, client: &mut Client<'_>) {
        let message = format!("running PreBind plugin \"DynamicResources\": {why}");
        self.binding_failed(queued, message, client);
    }

    /// A pod is not bound after all: what was to be its own is not, and it is tried again.
    fn binding_failed(&mut self, queued: &QueuedPodInfo, message: String, client: &mut Client<'_>) {
        self.unreserve_claims(&queued.pod, client);
        let outcome = self.scheduler.binding_failed(queued, message, client.now);
        if let Outcome::Unschedulable(failure) = outcome {
            self.handle_failure(client, &queued.pod, &failure, FailureReason::SchedulerError);
        }
    }

    fn why_bound(&self, pod: &PodInfo, node: &str) -> Why {
        let last = self.scheduler.explanations().last(&pod.uid);
        match last.and_then(|last| last.scores.as_ref()) {
            Some(scores) => Why::new(
                "Node {} has the best score of {} nodes that would do for Pod {}: {} points.",
                [
                    node.to_owned(),
                    scores.len().to_string(),
                    pod.key.name.to_string(),
                    scores.total(scores.chosen()).to_string(),
                ],
            ),
            None if !self.compares_nodes(pod) => Why::new(
                "Node {} is the first that would do for Pod {}; nothing compares nodes.",
                [node.to_owned(), pod.key.name.to_string()],
            ),
            None => Why::new(
                "Node {} is the only one that would do for Pod {}.",
                [node.to_owned(), pod.key.name.to_string()],
            ),
        }
    }

    /// Whether the pod's profile has plugins that compare nodes.
    fn compares_nodes(&self, pod: &PodInfo) -> bool {
        let profile = self.scheduler.configuration().profile(pod.scheduler_name());
        profile.is_some_and(|profile| !profile.score.is_empty())
    }

    /// `handleSchedulingFailure`: tells of it in an event and in the pod's status.
    fn handle_failure(
        &mut self,
        client: &mut Client<'_>,
        pod: &Arc<PodInfo>,
        failure: &Failure,
        reason: FailureReason,
    ) {
        if let Some(candidate) = &failure.preemption {
            self.preempt(client, pod, candidate, &failure.displaced);
        }
        if let Some(claim) = &failure.given_up {
            Self::give_up_claim(claim, pod, client);
        }
        client.because(Why::new("No node would do for Pod {}.", [pod.key.name.to_string()]));
        let note = truncate(&failure.message);
        tell(client, pod, pod, EventType::Warning, ["FailedScheduling", "Scheduling", &note]);
        // The newest state that is known, since it decides what there is to change.
        let known =
            self.scheduler.queue().get(&pod.uid).map_or_else(|| Arc::clone(pod), |queued| Arc::clone(&queued.pod));
        let condition = condition(&known.pod, "PodScheduled", "False", reason.as_str(), &failure.message, client.now);
        let nomination = failure.nomination.as_ref().filter(|node| ***node != *known.nominated_node_name());
        let mut status = serde_json::Map::new();
        if let Some(condition) = condition {
            status.insert("conditions".to_owned(), json!([to_value(&condition)]));
        }
        if let Some(node) = nomination {
            status.insert("nominatedNodeName".to_owned(), name_or_null(node));
        }
        if !status.is_empty() {
            // A status that cannot be written now is written after the next try.
            let _ = patch_status(client, &known, Value::Object(status));
        }
    }

    /// Makes room: lower pods that were to have the node lose their nomination, and the victims are deleted.
    fn preempt(
        &mut self,
        client: &mut Client<'_>,
        preemptor: &Arc<PodInfo>,
        candidate: &Candidate,
        displaced: &[Arc<PodInfo>],
    ) {
        let node = &candidate.node;
        client.because(Why::new(
            "Pod {} of higher priority needs the room on node {}.",
            [preemptor.key.name.to_string(), node.to_string()],
        ));
        for other in displaced.iter().filter(|other| !other.nominated_node_name().is_empty()) {
            // Not essential: the pod is tried elsewhere with or without it.
            let _ = patch_status(client, other, json!({ "nominatedNodeName": null }));
        }
        for victim in candidate.victims.iter().filter(|victim| !victim.terminating) {
            match Self::preempt_one(client, preemptor, victim, node) {
                Ok(()) => {}
                Err(error) if error.is_not_found() => {}
                Err(_) => {
                    self.scheduler.preemption_failed(&preemptor.uid, client.now);
                    return;
                }
            }
        }
    }

    fn preempt_one(
        client: &mut Client<'_>,
        preemptor: &PodInfo,
        victim: &PodInfo,
        node: &str,
    ) -> Result<(), ClientError> {
        let message = format!("{}: preempting to accommodate a higher priority pod", profile_name(preemptor));
        let now = client.now;
        let condition = condition(&victim.pod, "DisruptionTarget", "True", "PreemptionByScheduler", &message, now);
        if let Some(condition) = condition {
            patch_status(client, victim, json!({ "conditions": [to_value(&condition)] }))?;
        }
        client.delete(Kind::Pod, &victim.key, DeleteOptions::default())?;
        let note = format!("Preempted by pod {} on node {node}", preemptor.uid);
        tell(client, preemptor, victim, EventType::Normal, ["Preempted", "Preempting", &note]);
        Ok(())
    }

    fn take_in(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        let (key, now) = (event.key.clone(), client.now);
        if DraManager::has(event.kind) {
            return self.scheduler.devices_changed(event, now);
        }
        let listers = &mut self.scheduler.listers;
        match event.kind {
            Kind::Pod => {
                let (before, after) = both::<Pod>(event);
                if let Some(gone) = before.filter(|_| after.is_none()) {
                    self.abandon(gone.uid(), client);
                }
                self.scheduler.pod_changed(before, after, now);
            }
            Kind::Node => {
                let (before, after) = both::<Node>(event);
                self.scheduler.node_changed(before, after, now);
            }
            Kind::Service => keep(&mut listers.services, key, both::<Service>(event).1),
            Kind::ReplicaSet => keep(&mut listers.replica_sets, key, both::<ReplicaSet>(event).1),
            Kind::Namespace => match both::<Namespace>(event).1 {
                Some(namespace) => {
                    let labels = namespace.metadata.labels.clone().unwrap_or_default();
                    listers.namespaces.insert(key.name, Arc::new(labels));
                }
                None => drop(listers.namespaces.remove(&key.name)),
            },
            Kind::StatefulSet => keep(&mut listers.stateful_sets, key, both::<StatefulSet>(event).1),
            Kind::ReplicationController => {
                keep(&mut listers.replication_controllers, key, both::<ReplicationController>(event).1);
            }
            Kind::PodDisruptionBudget => {
                keep(&mut listers.pod_disruption_budgets, key, both::<PodDisruptionBudget>(event).1);
            }
            Kind::PersistentVolume
            | Kind::PersistentVolumeClaim
            | Kind::StorageClass
            | Kind::CSINode
            | Kind::CSIDriver
            | Kind::VolumeAttachment
            | Kind::CSIStorageCapacity => {
                if let Some(change) = self.storage_changed(event) {
                    self.storage_may_help(&change, now);
                }
            }
            _ => {}
        }
    }
}

pub(super) fn both<K: Resource>(event: &InformerEvent) -> (Option<&Arc<K>>, Option<&Arc<K>>) {
    (
        event.before.as_ref().and_then(|object| object.downcast::<K>()),
        event.after.as_ref().and_then(|object| object.downcast::<K>()),
    )
}

pub(super) fn keep<K>(map: &mut OrdMap<ObjectKey, Arc<K>>, key: ObjectKey, object: Option<&Arc<K>>) {
    match object {
        Some(object) => drop(map.insert(key, Arc::clone(object))),
        None => drop(map.remove(&key)),
    }
}

pub(super) fn keep_named<K>(map: &mut OrdMap<Name, Arc<K>>, name: Name, object: Option<&Arc<K>>) {
    match object {
        Some(object) => drop(map.insert(name, Arc::clone(object))),
        None => drop(map.remove(&name)),
    }
}

/// The profile that serves a pod, which is the name under which it tells of it.
fn profile_name(pod: &PodInfo) -> &str {
    match pod.scheduler_name() {
        "" => DEFAULT_SCHEDULER_NAME,
        name => name,
    }
}

/// Writes an event about a pod, as the profile that serves pod `by`: reason, action and note.
fn tell(client: &mut Client<'_>, by: &PodInfo, about: &PodInfo, event_type: EventType, words: [&str; 3]) {
    let [reason, action, note] = words;
    client.event_v1_from(profile_name(by), &*about.pod, event_type, reason, action, note);
}

fn name_or_null(name: &str) -> Value {
    if name.is_empty() { Value::Null } else { name.into() }
}

fn patch_status(client: &mut Client<'_>, pod: &PodInfo, status: Value) -> Result<(), ClientError> {
    let patch = json!({ "metadata": { "uid": &*pod.uid }, "status": status });
    client.patch_status::<Pod>(&pod.key, patch).map(|_| ())
}

/// The condition to be written, or `None` when it stands there already. Its time moves only when its status does.
fn condition(pod: &Pod, type_: &str, status: &str, reason: &str, message: &str, now: Time) -> Option<PodCondition> {
    let known = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let known = known.into_iter().flatten().find(|condition| condition.type_ == type_);
    let since = known.filter(|known| known.status == status).and_then(|known| known.last_transition_time.clone());
    let condition = PodCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: since.or_else(|| Some(now.to_meta())),
        observed_generation: pod.metadata.generation,
        last_probe_time: known.and_then(|known| known.last_probe_time.clone()),
    };
    (known != Some(&condition)).then_some(condition)
}

/// Cuts a note that is too long for an event.
fn truncate(message: &str) -> String {
    const SUFFIX: &str = " ...";
    if message.len() <= NOTE_LENGTH_MAX {
        return message.to_owned();
    }
    let end = (0..=NOTE_LENGTH_MAX - SUFFIX.len()).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{SUFFIX}", &message[..end])
}

impl Process for KubeScheduler {
    fn watches(&self) -> Vec<WatchSpec> {
        // What pods are compared with comes before the pods.
        let owners = [Kind::ReplicaSet, Kind::StatefulSet, Kind::ReplicationController];
        let kinds = [Kind::Namespace, Kind::Service, Kind::PodDisruptionBudget].into_iter().chain(owners);
        let storage = [
            Kind::StorageClass,
            Kind::CSIDriver,
            Kind::CSINode,
            Kind::VolumeAttachment,
            Kind::CSIStorageCapacity,
            Kind::PersistentVolume,
            Kind::PersistentVolumeClaim,
        ];
        let devices = [Kind::DeviceClass, Kind::ResourceSlice, Kind::ResourceClaim];
        let objects = kinds.chain(storage).chain(devices).chain([Kind::Node, Kind::Pod]).map(WatchSpec::all);
        std::iter::once(configure::watch()).chain(objects).collect()
    }

    fn start(&mut self, _client: &mut Client<'_>) {
        *self = Self::default();
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.scheduler.begin(Some(event.revision));
        if event.kind == Kind::ConfigMap {
            self.configure(event, client);
        } else {
            self.take_in(event, client);
        }
        self.arm(client);
    }

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        self.scheduler.begin(None);
        match token {
            CYCLE => {
                self.cycle_at = None;
                self.busy_until = client.now;
                self.run_cycle(client);
            }
            PRE_BIND => self.look_at_pending(client),
            _ => {
                self.flush_at = None;
                self.scheduler.flush(client.now);
            }
        }
        self.arm(client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut() {
        assert_eq!(truncate("short"), "short");
        let cut = truncate(&"é".repeat(600));
        assert!(cut.len() <= NOTE_LENGTH_MAX && cut.ends_with(" ..."), "{}", cut.len());
    }
}
