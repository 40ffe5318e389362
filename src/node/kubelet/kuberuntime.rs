//! The container runtime as the kubelet sees it: pods, put together from the sandboxes and containers of the CRI.
//!
//! `pkg/kubelet/kuberuntime` (`GetPodStatus`, `RunInContainer`, container garbage collection).

use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};

use k8s_openapi::api::core::v1::ImageVolumeSource;

use crate::api::{Name, ObjectKey};
use crate::machinery::random::Random;
use crate::machinery::shell::files::FileTree;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest, Signal};
use crate::machinery::time::Time;
use crate::node::runtime::{
    ContainerConfig, ContainerStatus, End, ExecId, ExecOptions, ExecResult, Id, ImageStatus, LogOptions, Pulling,
    Runtime, RuntimeEvent, RuntimeProfile, SandboxConfig,
};

use super::agenda::Work;
use super::network::{Leaving, PodNetwork};

/// How much of a termination message is kept: `MaxContainerTerminationMessageLength`.
const TERMINATION_MESSAGE_BYTES_MAX: usize = 4096;
/// How much of a log stands in for a termination message: `MaxContainerTerminationMessageLogLength`.
const TERMINATION_LOG_BYTES_MAX: usize = 2048;
/// How many lines of it: `MaxContainerTerminationMessageLogLines`.
const TERMINATION_LOG_LINES_MAX: usize = 80;
/// How many sandboxes of a pod are kept, the newest among them.
const SANDBOXES_KEPT: usize = 2;

/// Where a container is in its life, as `runtimeapi.ContainerState`.
pub(super) use crate::node::runtime::ContainerState as ContainerPhase;

/// A pod's sandbox.
#[derive(Clone, Debug)]
pub(super) struct SandboxRecord {
    pub attempt: u32,
    pub ready: bool,
    /// Empty on the host's network.
    pub ip: String,
    pub host_network: bool,
}

/// A container, running or not.
#[derive(Clone, Debug)]
pub(super) struct ContainerRecord {
    pub id: Name,
    pub name: Name,
    pub restart_count: u32,
    /// The image as it was asked for: a container whose spec names another one is restarted.
    pub image: String,
    pub image_ref: String,
    pub phase: ContainerPhase,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub exit_code: i32,
    pub reason: &'static str,
    pub message: String,
}

/// What the runtime knows of a pod: newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct PodRecord {
    pub sandboxes: Vec<SandboxRecord>,
    pub containers: Vec<ContainerRecord>,
}

impl PodRecord {
    /// The newest container of a name.
    pub(super) fn newest(&self, name: &str) -> Option<&ContainerRecord> {
        self.containers.iter().find(|container| &*container.name == name)
    }

    /// The address of the newest sandbox while it is ready.
    pub(super) fn ip(&self) -> Option<&str> {
        let sandbox = self.sandboxes.first().filter(|sandbox| sandbox.ready)?;
        Some(sandbox.ip.as_str()).filter(|ip| !ip.is_empty())
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &ContainerRecord> {
        self.containers.iter().filter(|container| container.phase == ContainerPhase::Running)
    }
}

/// A machine's runtime with what the kubelet knows of it.
#[derive(Clone, Debug)]
pub(super) struct KubeRuntime {
    pub(super) cri: Runtime,
    pub(super) network: PodNetwork,
    /// The sandboxes of each pod, oldest first.
    sandboxes: OrdMap<Name, Vec<Id>>,
    pods: OrdMap<Id, Name>,
    /// Who goes on when a command in a container has ended.
    waiters: OrdMap<ExecId, Work>,
    changed: OrdSet<Name>,
    /// (pod, container, probe) that fail because somebody wants it so.
    failing: OrdSet<(Name, Name, String)>,
    /// Probes' requests that proxies in pods passed on: who goes on when the answer is there, and the answer.
    asked: OrdMap<ExecId, (Work, Option<NetworkAnswer>)>,
    /// Requests that wait for the network to carry them off.
    pub(super) leaving: Vec<Leaving>,
    /// Shared volumes that pods here use from now on.
    pub(super) asked_shared: Vec<String>,
    seeded: bool,
}

impl KubeRuntime {
    pub(super) fn new(profile: RuntimeProfile, network: PodNetwork) -> Self {
        Self {
            cri: Runtime::new(profile, Random::new(0)),
            network,
            sandboxes: OrdMap::new(),
            pods: OrdMap::new(),
            waiters: OrdMap::new(),
            changed: OrdSet::new(),
            failing: OrdSet::new(),
            asked: OrdMap::new(),
            leaving: Vec::new(),
            asked_shared: Vec::new(),
            seeded: false,
        }
    }

    /// Gives a machine that was never switched on its own chance.
    pub(super) fn seed(&mut self, random: &mut Random) {
        if !self.seeded {
            self.seeded = true;
            self.cri.seed(Random::new(random.next_u64()));
        }
    }

    pub(super) fn pod(&self, uid: &str) -> PodRecord {
        let mut record = PodRecord::default();
        for id in self.sandboxes.get(uid).into_iter().flatten().rev() {
            let Some(sandbox) = self.cri.sandbox(id) else { continue };
            let config = &sandbox.config;
            let address = config.addresses.first().filter(|_| !config.host_network);
            record.sandboxes.push(SandboxRecord {
                attempt: config.attempt,
                ready: sandbox.ready,
                ip: address.map(ToString::to_string).unwrap_or_default(),
                host_network: config.host_network,
            });
            let from = record.containers.len();
            record.containers.extend(self.cri.list_containers(id).map(|status| self.record(&status)));
            record.containers[from..].reverse();
        }
        record
    }

    fn record(&self, status: &ContainerStatus) -> ContainerRecord {
        let (config, end) = (&status.config, status.end.as_ref());
        ContainerRecord {
            id: status.id.clone(),
            name: Name::from(config.name.as_str()),
            restart_count: config.attempt,
            image: config.image.clone(),
            image_ref: status.image_id.clone(),
            phase: status.state,
            started_at: status.started,
            finished_at: end.map(|end| end.time),
            exit_code: end.map_or(0, |end| end.code),
            reason: end.map_or("", |end| end.reason.as_str()),
            message: end.map(|end| self.last_words(status, end)).unwrap_or_default(),
        }
    }

    /// What a container that ended left to say: `getTerminationMessage`.
    fn last_words(&self, status: &ContainerStatus, end: &End) -> String {
        let config = &status.config;
        if !end.message.is_empty() {
            return end.message.clone();
        }
        let file = self.cri.read_file(&status.id, &config.termination_message_path).unwrap_or_default();
        if !file.is_empty() {
            return String::from_utf8_lossy(&file[..file.len().min(TERMINATION_MESSAGE_BYTES_MAX)]).into_owned();
        }
        if !config.termination_message_from_log || end.code == 0 {
            return String::new();
        }
        let options = LogOptions { tail: Some(TERMINATION_LOG_LINES_MAX), since: None };
        let lines = self.cri.logs(&status.id, options);
        let text: String = lines.iter().flat_map(|line| [&*line.text, "\n"]).collect();
        let mut from = text.len().saturating_sub(TERMINATION_LOG_BYTES_MAX);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text[from..].to_owned()
    }

    /// The newest sandbox of a pod.
    pub(super) fn sandbox(&self, uid: &str) -> Option<&Id> {
        self.sandboxes.get(uid)?.last()
    }

    /// Makes a sandbox; its addresses come from the pod network.
    pub(super) fn run_sandbox(&mut self, uid: &Name, mut config: SandboxConfig, now: Time) {
        let address = if config.host_network { self.network.node() } else { self.network.allocate() };
        config.addresses.extend(address);
        let host_network = config.host_network;
        let id = self.cri.run_sandbox(config, now);
        if let Some(address) = address.filter(|_| !host_network) {
            self.network.assign(address, &id);
        }
        self.pods.insert(id.clone(), uid.clone());
        let of_pod = self.sandboxes.entry(uid.clone()).or_default();
        of_pod.push(id);
        let superfluous = of_pod.len().saturating_sub(SANDBOXES_KEPT);
        let old: Vec<Id> = of_pod.drain(..superfluous).collect();
        for id in old {
            self.remove_sandbox(&id, now);
        }
        self.changed.insert(uid.clone());
    }

    /// The pods of which containers run.
    pub(super) fn running_pods(&self) -> Vec<(ObjectKey, Name)> {
        let running = |id: &&Id| self.cri.list_containers(id).any(|one| one.state == ContainerPhase::Running);
        let first_running = |ids: &Vec<Id>| ids.iter().find(running).and_then(|id| self.cri.sandbox(id));
        let pods = self.sandboxes.iter().filter_map(|(uid, ids)| {
            let config = &first_running(ids)?.config;
            Some((ObjectKey::new(config.namespace.as_str(), config.name.as_str()), uid.clone()))
        });
        pods.collect()
    }

    pub(super) fn stop_sandboxes(&mut self, uid: &Name, now: Time) {
        for id in self.sandboxes.get(uid).cloned().unwrap_or_default() {
            if self.cri.sandbox(&id).is_some_and(|sandbox| sandbox.ready) {
                self.cri.stop_sandbox(&id, now);
                self.network.release(&id);
                self.changed.insert(uid.clone());
            }
        }
    }

    /// The machine was without power until now. Its disk has all that it had.
    pub(super) fn lose_power(&mut self, now: Time) {
        self.cri.lose_power(now);
        for id in self.pods.keys() {
            self.network.release(id);
        }
        self.changed.extend(self.sandboxes.keys().cloned());
        self.waiters = OrdMap::new();
        self.asked = OrdMap::new();
        self.leaving.clear();
    }

    /// The pods of which there is something, by their uids.
    pub(super) fn known_pods(&self) -> impl Iterator<Item = &Name> {
        self.sandboxes.keys()
    }

    fn remove_sandbox(&mut self, id: &Id, now: Time) {
        self.network.release(id);
        self.cri.remove_sandbox(id, now);
        self.pods.remove(id);
    }

    /// Removes all that is left of a pod, its volumes too.
    pub(super) fn remove_pod(&mut self, uid: &Name, now: Time) {
        for id in self.sandboxes.remove(uid).unwrap_or_default() {
            self.remove_sandbox(&id, now);
        }
        self.cri.take_volumes(&volume_key(uid, ""));
        self.changed.remove(uid);
        let gone: Vec<_> = self
            .failing
            .range((uid.clone(), Name::default(), String::new())..)
            .take_while(|one| one.0 == *uid)
            .cloned()
            .collect();
        for one in gone {
            self.failing.remove(&one);
        }
    }

    /// Removes the containers of a pod that have ended, with all that they wrote, but for those with some names.
    pub(super) fn remove_containers(&mut self, uid: &str, kept: &[&str]) {
        let sandboxes = self.sandboxes.get(uid).into_iter().flatten();
        let all: Vec<_> = sandboxes.flat_map(|sandbox| self.cri.list_containers(sandbox)).collect();
        let has_ended = |container: &&ContainerStatus| {
            container.state == ContainerPhase::Exited && !kept.contains(&container.config.name.as_str())
        };
        for container in all.iter().filter(has_ended) {
            self.cri.remove_container(&container.id);
        }
    }

    pub(super) fn image(&self, image: &str) -> Option<ImageStatus> {
        self.cri.image_status(image)
    }

    pub(super) fn pull(&mut self, image: &str, begins: Time) -> Result<Pulling, String> {
        self.cri.pull_image(image, begins)
    }

    /// Makes a container. Of those of its name that have ended, only the last is kept (`MaxPerPodContainer`).
    pub(super) fn create_container(&mut self, uid: &Name, config: ContainerConfig, now: Time) -> Result<Name, String> {
        let mut same = self.pod(uid).containers;
        same.retain(|one| *one.name == *config.name && one.phase != ContainerPhase::Running);
        for old in same.iter().skip(1) {
            self.cri.remove_container(&old.id);
        }
        // A pull may end at this very moment.
        self.cri.finish_pulls(now);
        let sandbox = self.sandbox(uid).cloned().unwrap_or_default();
        self.cri.create_container(&sandbox, config, now)
    }

    pub(super) fn start_container(&mut self, id: &str, now: Time) -> Result<(), String> {
        if let Some(uid) = self.pod_of(id) {
            self.changed.insert(uid);
        }
        self.cri.start_container(id, now)
    }

    /// The pod of a sandbox.
    pub(super) fn pod_of_sandbox(&self, sandbox: &str) -> Option<&Name> {
        self.pods.get(sandbox)
    }

    fn pod_of(&self, container: &str) -> Option<Name> {
        let status = self.cri.container_status(container)?;
        self.pods.get(&status.sandbox).cloned()
    }

    /// Sends the stop signal, and SIGKILL after the grace period.
    pub(super) fn stop_container(&mut self, id: &str, grace: Duration, now: Time) {
        self.cri.stop_container(id, grace, now);
    }

    pub(super) fn is_running(&self, id: &str) -> bool {
        self.cri.is_running(id)
    }

    pub(super) fn set_failing(&mut self, uid: &Name, container: &Name, probe: &str, fails: bool) {
        let entry = (uid.clone(), container.clone(), probe.to_owned());
        if fails {
            self.failing.insert(entry);
        } else {
            self.failing.remove(&entry);
        }
    }

    /// Whether somebody wants a probe to fail.
    pub(super) fn is_failing(&self, uid: &Name, container: &str, probe: &str) -> bool {
        !self.failing.is_empty() && self.failing.contains(&(uid.clone(), Name::from(container), probe.to_owned()))
    }

    /// Runs a command in a container; `waiter` goes on when it ends later than at once.
    pub(super) fn exec(&mut self, id: &str, command: &[String], waiter: Work, now: Time) -> Result<ExecId, String> {
        let exec = self.cri.exec(id, command, ExecOptions::default(), now)?;
        self.waiters.insert(exec, waiter);
        Ok(exec)
    }

    /// What came of a command; nothing while it runs.
    pub(super) fn take_exec(&mut self, exec: ExecId) -> Option<ExecResult> {
        let result = self.cri.take_exec_result(exec)?;
        self.waiters.remove(&exec);
        Some(result)
    }

    /// Ends a command that took too long, and forgets it.
    pub(super) fn end_exec(&mut self, exec: ExecId, now: Time) {
        self.waiters.remove(&exec);
        self.cri.signal_exec(exec, Signal::Kill, now);
        let _ = self.cri.take_exec_result(exec);
    }

    /// Sends on what a proxy in a pod made of a probe's request; `waiter` goes on when it is answered.
    pub(super) fn ask_onward(&mut self, uid: &str, container: &str, onward: HttpRequest, waiter: Work) -> ExecId {
        let number = self.cri.new_number();
        let sandbox = self.sandbox(uid).cloned().unwrap_or_default();
        let request = NetworkRequest::Http(onward);
        self.asked.insert(number, (waiter, None));
        self.leaving.push(Leaving { number, sandbox, container: Id::from(container), request, background: true });
        number
    }

    /// Notes the answer to a request that was sent on. Says who goes on, if somebody waits for it.
    pub(super) fn answered(&mut self, number: ExecId, answer: &NetworkAnswer) -> Option<Work> {
        let (waiter, place) = self.asked.get_mut(&number)?;
        *place = Some(answer.clone());
        Some(*waiter)
    }

    /// The answer to a request that was sent on, once it is there.
    pub(super) fn answer_of(&self, number: ExecId) -> Option<NetworkAnswer> {
        self.asked.get(&number)?.1.clone()
    }

    /// Forgets a request that was sent on.
    pub(super) fn forget_asked(&mut self, number: ExecId) {
        self.asked.remove(&number);
    }

    /// Forgets what was sent on for those who are gone.
    pub(super) fn forget_askers(&mut self, is_gone: impl Fn(Work) -> bool) {
        if !self.asked.is_empty() {
            self.asked.retain(|_, (waiter, _)| !is_gone(*waiter));
        }
    }

    /// Sends an HTTP request to a container's pod from the node: its answer, or `Forward` when a proxy passes it on.
    pub(super) fn http(&mut self, uid: &str, container: &str, request: HttpRequest, now: Time) -> NetworkAnswer {
        let refused = NetworkAnswer::Refused { address: request.host.clone() };
        if self.cri.profile().answers_everywhere {
            let running = self.is_running(container);
            return if running { NetworkAnswer::Http(HttpAnswer::text(200, "")) } else { refused };
        }
        let Some(sandbox) = self.sandbox(uid).cloned() else { return refused };
        let target = if request.host.is_empty() { Some(sandbox) } else { self.sandbox_at(&request.host) };
        match target {
            Some(sandbox) => {
                let source = self.network.gateway();
                self.serve(&sandbox, &NetworkRequest::Http(request), &source, now)
            }
            None => NetworkAnswer::TimedOut { address: request.host.clone() },
        }
    }

    /// Whether a container's pod takes connections on a port.
    pub(super) fn listens(&self, uid: &str, container: &str, port: u16, now: Time) -> bool {
        if self.cri.profile().answers_everywhere {
            return self.is_running(container);
        }
        self.sandbox(uid).is_some_and(|sandbox| self.cri.listens(sandbox, port, now))
    }

    pub(super) fn put_volume(&mut self, key: &str, files: FileTree, now: Time) {
        self.cri.put_volume(key, files, now);
    }

    /// Puts what is in an image into a volume of a pod, unless it is there.
    pub(super) fn put_image_volume(&mut self, uid: &str, volume: &str, source: &ImageVolumeSource, now: Time) {
        let key = volume_key(uid, volume);
        let image = source.reference.as_deref().unwrap_or("");
        if self.cri.volume(&key).is_none_or(|files| files.inodes() == 0)
            && let Some(files) = Runtime::image_files(image)
        {
            self.put_volume(&key, files, now);
        }
    }

    /// A volume is used from now on: if machines share it, this one wants to have what is in it.
    pub(super) fn ask_for_shared(&mut self, key: &str) {
        if key.starts_with(SHARED_FOLDER) {
            self.asked_shared.push(key.to_owned());
        }
    }

    pub(super) fn has_volume(&self, key: &str) -> bool {
        self.cri.volume(key).is_some()
    }

    /// Lets the runtime come as far as the clock; says who goes on now.
    pub(super) fn advance(&mut self, now: Time) -> Vec<Work> {
        let mut works = Vec::new();
        for event in self.cri.advance(now) {
            match event {
                RuntimeEvent::ContainerStarted { sandbox, .. } | RuntimeEvent::ContainerDied { sandbox, .. } => {
                    self.changed.extend(self.pods.get(&sandbox).cloned());
                }
                RuntimeEvent::ExecFinished { exec } => works.extend(self.waiters.remove(&exec)),
                RuntimeEvent::Request { number, sandbox, container, request, background } => {
                    self.leaving.push(Leaving { number, sandbox, container, request, background });
                }
                // Whoever waits for a pull knows when it ends.
                RuntimeEvent::ImagePulled { .. } => {}
            }
        }
        works
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = &Name> {
        self.changed.iter()
    }

    pub(super) fn take_changed(&mut self) -> OrdSet<Name> {
        std::mem::take(&mut self.changed)
    }
}

/// The key of a pod's volume in the runtime.
pub(super) fn volume_key(uid: &str, volume: &str) -> String {
    format!("{uid}/{volume}")
}

/// The key of a folder of the machine itself.
pub(super) fn host_path_key(path: &str) -> String {
    if path.starts_with(SHARED_FOLDER) { path.to_owned() } else { format!("host:{path}") }
}

/// With this begin the names of folders that are not of this machine alone, but that machines share.
pub(super) const SHARED_FOLDER: &str = crate::node::runtime::SHARED_VOLUME;
