//! The cluster and how it moves on.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;

use crate::machinery::persistent::OrdMap;

use crate::api::{Kind, Object};
use crate::apiserver::{Answer, ApiServer, EXPIRY, Request};
use crate::autoscaler::STATUS_CONFIG_MAP as AUTOSCALER_STATUS;
use crate::client::{Client, Identity, Process, Recorder, Token};
use crate::etcd::{Commit, Revision};
use crate::machinery::random::Random;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use super::activity::{Activity, Recent};
use super::hash::StateHasher;
use super::network::Network;
use super::node_groups::NodeGroups;
use super::processes::{ProcessId, ProcessState, Program, Slot, Subscriptions};
use super::profile::Profile;
use super::queue::{Event, EventQueue, Scheduled};
use super::shared_storage::SharedStorage;

/// How long the API server keeps history for watches: `--etcd-compaction-interval`.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(300);
/// How many deliveries are remembered.
const ACTIVITIES_MAX: usize = 4096;

/// A whole Kubernetes cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(super) profile: Arc<Profile>,
    pub(super) now: Time,
    pub(super) random: Random,
    pub(super) api: ApiServer,
    pub(super) queue: EventQueue,
    pub(super) network: Network,
    pub(super) processes: OrdMap<ProcessId, Slot>,
    /// How many machines ever joined: the number of the newest, from which its addresses follow.
    pub(super) machines: u32,
    /// Groups of machines that grow and shrink.
    pub(super) groups: NodeGroups,
    /// Volumes that machines share.
    pub(super) shared: SharedStorage,
    pub(super) subscriptions: Subscriptions,
    activity: Recent<Activity>,
    steps: u64,
    compact_at: Time,
    compact_to: Revision,
}

/// What one step of the cluster was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A process was told what there is, and watches from now on.
    List(Kind),
    /// A watch event reached a process.
    Deliver(Revision),
    /// A timer of a process ran down, and it did its work.
    Wake(Token),
    /// Something reached it over the cluster's network, other than from the API server.
    Packet,
    /// A machine has booted.
    Boot,
}

/// One step of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub time: Time,
    /// Who acted.
    pub process: ProcessId,
    /// What happened to them.
    pub kind: StepKind,
    /// The revision before; what they wrote are the commits after it.
    pub revision_before: Revision,
}

impl Cluster {
    /// A cluster in which nothing has happened yet: its processes are about to start.
    #[must_use]
    pub fn new(profile: Profile, seed: u64) -> Self {
        let now = profile.start;
        let mut cluster = Self {
            profile: Arc::new(profile),
            now,
            random: Random::new(seed),
            api: ApiServer::new(),
            queue: EventQueue::default(),
            network: Network::new(seed),
            processes: OrdMap::new(),
            machines: 0,
            groups: NodeGroups::default(),
            shared: SharedStorage::default(),
            subscriptions: Subscriptions::default(),
            activity: Recent::new(ACTIVITIES_MAX),
            steps: 0,
            compact_at: now + COMPACTION_INTERVAL,
            compact_to: 0,
        };
        cluster.bootstrap();
        cluster
    }

    /// What time it is.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// What the cluster was like when it began.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The API server, to be read.
    #[must_use]
    pub const fn api(&self) -> &ApiServer {
        &self.api
    }

    /// The scheduler's own mind: what waits, and why pods are where they are. `None` when there is no scheduler.
    #[must_use]
    pub fn scheduler(&self) -> Option<&crate::scheduler::Scheduler> {
        match &self.processes.get(&ProcessId::Scheduler)?.program {
            Program::Scheduler(program) => Some(program.scheduler()),
            _ => None,
        }
    }

    /// The watch events that reached processes lately.
    #[must_use]
    pub const fn activity(&self) -> &Recent<Activity> {
        &self.activity
    }

    /// How many watches the processes that run hold open at the API server.
    #[must_use]
    pub fn watch_count(&self) -> usize {
        let open = self.processes.values().filter(|slot| slot.state.running && slot.state.connected);
        open.map(|slot| slot.watches.len()).sum()
    }

    /// How many steps were made since the cluster began.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Sends a request of a user's, now.
    ///
    /// # Errors
    /// The API server's refusal.
    pub fn request(&mut self, request: Request) -> Result<Answer, Status> {
        let before = self.api.etcd().revision();
        let is_measured = matches!(request.target.kind, Kind::NodeMetrics | Kind::PodMetrics);
        let newer = if is_measured { self.newer_metrics() } else { None };
        let said = newer.and_then(|newer| self.api.set_metrics(newer));
        let answer = self.api.handle(self.now, &mut self.random, request);
        if let Some(said) = said {
            self.api.set_metrics(said);
        }
        self.spread(before);
        answer
    }

    /// Makes one step, however far ahead it is. `None` when nothing will ever happen.
    pub fn step(&mut self) -> Option<Step> {
        loop {
            let (time, scheduled) = self.queue.pop()?;
            debug_assert!(time >= self.now, "time never runs backwards");
            self.now = self.now.max(time);
            self.compact();
            self.expire();
            if let Some(step) = self.run(scheduled) {
                self.steps += 1;
                return Some(step);
            }
        }
    }

    /// When the next step is due.
    #[must_use]
    pub fn next_step_at(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// Makes all steps up to `until`, and lets time come so far.
    pub fn run_until(&mut self, until: Time) {
        while self.queue.next_time().is_some_and(|time| time <= until) {
            self.step();
        }
        self.now = self.now.max(until);
    }

    /// Runs for a while.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs until nothing is left but what goes on for ever (heartbeats, probes of what is healthy), or until `limit`.
    /// Says whether it became idle.
    pub fn run_until_idle(&mut self, limit: Time) -> bool {
        while !self.queue.is_idle() {
            match self.queue.next_time() {
                Some(time) if time <= limit => self.step(),
                _ => break,
            };
        }
        self.queue.is_idle()
    }

    /// Whether nothing is left to do but what goes on for ever.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// A number that two clusters share when they are in the same state.
    ///
    /// It covers the store, the clock, chance and the order of all events to come.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = StateHasher::new();
        hasher.number(self.now.as_micros());
        hasher.number(self.random.state());
        hasher.number(self.network.chance());
        hasher.number(self.api.etcd().revision());
        for kind in Kind::ALL.iter().copied().chain(self.api.etcd().custom_kinds()) {
            for (_, object) in self.api.etcd().range(kind, None) {
                hasher.bytes(object.to_value().to_string().as_bytes());
            }
        }
        for (time, sequence) in self.queue.keys() {
            hasher.number(time.as_micros());
            hasher.number(*sequence);
        }
        hasher.finish()
    }

    /// Gives up old history, as the API server does every five minutes.
    fn compact(&mut self) {
        if self.now < self.compact_at {
            return;
        }
        self.api.compact(self.compact_to);
        self.compact_to = self.api.etcd().revision();
        self.compact_at = self.now + COMPACTION_INTERVAL;
    }

    /// Lets go what the store keeps for a while only. This comes with the next step after its time: in a cluster there
    /// is always one within seconds.
    fn expire(&mut self) {
        if self.api.next_expiry().is_some_and(|time| time <= self.now) {
            let before = self.api.etcd().revision();
            self.api.expire(self.now);
            self.spread(before);
        }
    }

    /// Adds a process and starts it.
    pub(super) fn add_process(&mut self, id: ProcessId, program: Program, identity: Identity) {
        let state = ProcessState { running: false, connected: true };
        let slot = Slot {
            program,
            identity,
            recorder: Recorder::default(),
            state,
            epoch: 0,
            connection: 0,
            watch_delay: Duration::ZERO,
            watches: Arc::default(),
            horizon: OrdMap::new(),
            sent: OrdMap::new(),
        };
        self.processes.insert(id.clone(), slot);
        self.start_process(&id);
    }

    /// Starts a process that does not run. It has forgotten everything and lists anew.
    pub(super) fn start_process(&mut self, id: &ProcessId) {
        let Some(slot) = self.processes.get_mut(id).filter(|slot| !slot.state.running) else { return };
        slot.state.running = true;
        slot.epoch += 1;
        slot.connection += 1;
        slot.watches = slot.program.process().watches().into();
        slot.horizon = OrdMap::new();
        slot.sent = OrdMap::new();
        let (epoch, watches) = (slot.epoch, slot.watches.clone());
        let at = self.now + self.profile.latencies.list();
        self.act(id, None, |process, client| process.start(client));
        for spec in watches.iter() {
            let event = Event::List { process: id.clone(), epoch, kind: spec.kind, selector: spec.selector.clone() };
            self.queue.push(at, event, false);
        }
    }

    /// Stops a process at once, as a machine that loses its power does.
    pub(super) fn stop_process(&mut self, id: &ProcessId) {
        if let Some(slot) = self.processes.get_mut(id) {
            slot.state.running = false;
            slot.epoch += 1;
            slot.connection += 1;
            self.subscriptions.remove(id, &slot.watches);
        }
    }

    /// Stops a process and forgets it.
    pub(super) fn remove_process(&mut self, id: &ProcessId) {
        self.stop_process(id);
        self.processes.remove(id);
    }

    /// Whether a process runs and is connected.
    #[must_use]
    pub fn process_state(&self, id: &ProcessId) -> Option<ProcessState> {
        self.processes.get(id).map(|slot| slot.state)
    }

    fn run(&mut self, scheduled: Scheduled) -> Option<Step> {
        let revision_before = self.api.etcd().revision();
        let event = match scheduled.event {
            Event::Packet(packet) => {
                let process = self.arrive(*packet);
                return Some(Step { time: self.now, process, kind: StepKind::Packet, revision_before });
            }
            Event::Boot(machine) => {
                let is_wanted = self.boot(&machine);
                let process = ProcessId::Kubelet(machine);
                let step = Step { time: self.now, process, kind: StepKind::Boot, revision_before };
                return is_wanted.then_some(step);
            }
            event => event,
        };
        let (id, is_of) = match &event {
            Event::List { process, epoch, .. } | Event::Wake { process, epoch, .. } => (process.clone(), *epoch),
            Event::Deliver { process, connection, .. } => (process.clone(), *connection),
            Event::Packet(_) | Event::Boot(_) => return None,
        };
        let is_sent = matches!(event, Event::Deliver { .. });
        let is_current = |slot: &&Slot| is_of == if is_sent { slot.connection } else { slot.epoch };
        let slot = self.processes.get(&id).filter(|slot| slot.state.running).filter(is_current)?;
        let connected = slot.state.connected;
        let kind = match event {
            Event::List { kind, selector, .. } => {
                self.list(&id, kind, &selector, connected);
                StepKind::List(kind)
            }
            Event::Deliver { commit, .. } => {
                if !connected {
                    return None;
                }
                self.deliver(&id, &commit)?;
                StepKind::Deliver(commit.revision)
            }
            Event::Wake { token, .. } => {
                match id {
                    ProcessId::MetricsServer => self.measure_for_autoscalers(),
                    ProcessId::ClusterAutoscaler => self.refresh_node_groups(),
                    _ => {}
                }
                self.act(&id, None, |process, client| process.wake(token, client));
                if id == ProcessId::ClusterAutoscaler {
                    self.serve_node_groups();
                }
                StepKind::Wake(token)
            }
            Event::Packet(_) | Event::Boot(_) => return None,
        };
        Some(Step { time: self.now, process: id, kind, revision_before })
    }

    fn deliver(&mut self, id: &ProcessId, commit: &Commit) -> Option<()> {
        let revision = commit.revision;
        let slot = self.processes.get_mut(id)?;
        let event = slot.view(commit)?;
        // A list that came between has told it already.
        if slot.sent.get(&event.kind.as_watched()).is_some_and(|sent| *sent >= revision) {
            return None;
        }
        slot.sent.insert(event.kind.as_watched(), revision);
        if event.kind == Kind::HorizontalPodAutoscaler {
            self.measure_for_autoscalers();
        }
        self.activity.push(Activity { time: self.now, process: id.clone(), revision });
        self.act(id, Some(revision), |process, client| process.deliver(&event, client));
        Some(())
    }

    /// Lets a process act, and spreads what came of it: timers and watch events.
    pub(super) fn act(
        &mut self,
        id: &ProcessId,
        trigger: Option<Revision>,
        action: impl FnOnce(&mut dyn Process, &mut Client<'_>),
    ) {
        self.act_on_program(id, trigger, |program, client| action(program.process(), client));
    }

    /// As [`Self::act`], for what only one program can do.
    pub(super) fn act_on_program(
        &mut self,
        id: &ProcessId,
        trigger: Option<Revision>,
        action: impl FnOnce(&mut Program, &mut Client<'_>),
    ) {
        let before = self.api.etcd().revision();
        let Some(slot) = self.processes.get_mut(id) else { return };
        let epoch = slot.epoch;
        let mut wakes = Vec::new();
        let mut client = Client::new(
            self.now,
            &mut self.random,
            &mut self.api,
            &slot.identity,
            &mut slot.recorder,
            &mut wakes,
            slot.state.connected,
            trigger,
        );
        action(&mut slot.program, &mut client);
        let outgoing = match &mut slot.program {
            Program::Kubelet(kubelet) if kubelet.has_outgoing() => Arc::make_mut(kubelet).take_outgoing(),
            _ => Vec::new(),
        };
        let shared = match &mut slot.program {
            Program::Kubelet(kubelet) if kubelet.has_shared_news() => Some(Arc::make_mut(kubelet).take_shared_news()),
            _ => None,
        };
        for wake in wakes {
            let event = Event::Wake { process: id.clone(), epoch, token: wake.token };
            self.queue.push(wake.time, event, wake.background);
        }
        self.spread(before);
        if !outgoing.is_empty() {
            self.carry_off(id, outgoing);
        }
        if let Some(shared) = shared {
            self.share(id, shared);
        }
        self.switch_off_when_shut_down(id);
    }

    /// Sends the commits after `before` to whoever watches them.
    pub(super) fn spread(&mut self, before: Revision) {
        if self.api.etcd().revision() == before {
            return;
        }
        let commits: Vec<Arc<Commit>> = self.api.etcd().shared_commits(before).cloned().collect();
        for commit in &commits {
            let watchers = self.subscriptions.watchers(commit);
            let background = !watchers.is_empty() && is_heartbeat(commit);
            for id in &watchers {
                self.send(id, commit, background);
            }
        }
    }

    /// Puts a watch event on its way to a process.
    pub(super) fn send(&mut self, id: &ProcessId, commit: &Arc<Commit>, background: bool) {
        let (latencies, kind) = (&self.profile.latencies, commit.kind().as_watched());
        let Some(slot) = self.processes.get_mut(id).filter(|slot| slot.state.running && slot.state.connected) else {
            return;
        };
        let spread = self.random.below(latencies.watch_us_spread + 1);
        let arrival = self.now + Duration::from_micros(latencies.watch_us_min + spread) + slot.watch_delay;
        let arrival = slot.horizon.get(&kind).map_or(arrival, |&horizon| arrival.max(horizon));
        slot.horizon.insert(kind, arrival);
        let event = Event::Deliver { process: id.clone(), connection: slot.connection, commit: Arc::clone(commit) };
        self.queue.push(arrival, event, background);
    }
}

/// Whether a commit is only a sign of life, which a cluster at rest goes on giving.
fn is_heartbeat(commit: &Commit) -> bool {
    match (&commit.before, &commit.after) {
        (Some(Object::Lease(_)), Some(Object::Lease(_))) => true,
        (_, Some(Object::Event(_))) => true,
        (Some(Object::ConfigMap(_)), Some(Object::ConfigMap(_))) => &*commit.key.name == AUTOSCALER_STATUS,
        (Some(Object::Event(_)), None) => &*commit.cause.actor == EXPIRY,
        (Some(Object::Node(before)), Some(Object::Node(after))) => {
            before.spec == after.spec
                && before.metadata.labels == after.metadata.labels
                && before.metadata.deletion_timestamp == after.metadata.deletion_timestamp
                && conditions(before).eq(conditions(after))
        }
        _ => false,
    }
}

/// The types and statuses of a node's conditions.
fn conditions(node: &Node) -> impl Iterator<Item = (&str, &str)> {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.map(|condition| (condition.type_.as_str(), condition.status.as_str()))
}
