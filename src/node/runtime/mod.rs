//! The simulated container runtime: sandboxes, images and containers behind the verbs of the CRI.
//!
//! Follows what `k8s.io/cri-api` asks of a runtime, in containerd's and runc's words. All state is a value: a copy of a
//! `Runtime` goes its own way from the same moment. It asks no clock: whoever drives it calls `advance` at
//! `next_wake`, and a container that only serves or sleeps asks for nothing.
//!
//! Processes run in the shell of `machinery::shell`; what an image's programs do stands in `assets/images.yaml`.
//! Requests that leave a pod come out as `RuntimeEvent::Request` and are answered with `answer`: names, Services and
//! routes belong to the network room. Requests within a pod never leave it.
//!
//! What is not there: what users and capabilities keep a process from doing, checkpointing, device plugins, cgroup details
//! other than the limits of memory and processes.

mod agenda;
pub mod catalogue;
mod client;
mod container;
mod directive;
mod exec;
mod host;
mod images;
mod language;
mod lifecycle;
mod log;
mod meter;
mod network;
mod nginx;
mod packages;
mod profile;
mod reference;
mod server;
mod step;
mod store;
mod usage;
mod written;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use client::program as client_program;
pub use container::{
    ContainerConfig, ContainerState, ContainerStats, ContainerStatus, End, EndReason, Id, Sandbox, SandboxConfig,
};
pub use directive::{Ending, ExitScript, ProbeKind, ProbeScript};
pub use exec::{ExecId, ExecOptions, ExecResult, StreamInput};
pub use images::{ImageStatus, PullId, Pulled, Pulling};
pub use log::{LogLine, LogOptions};
pub use meter::{WINDOW, window_end};
pub use network::RequestNumber;
pub use profile::{PullTime, RuntimeProfile};
pub use reference::ImageReference;

use crate::machinery::persistent::OrdMap;
use crate::machinery::random::Random;
use crate::machinery::shell::files::FileTree;
use crate::machinery::shell::{NetworkRequest, RequestId, Scripts};
use crate::machinery::time::Time;
use agenda::Agenda;
use container::Container;
use images::Pull;

/// With this begin the keys of volumes that machines share: what is written there has to reach the others.
pub const SHARED_VOLUME: &str = "shared:";

/// Something that happened in the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// A pull ended.
    ImagePulled {
        /// Which.
        pull: PullId,
        /// The image as it was asked for.
        image: String,
        /// What came of it; the kubelet reports the text.
        result: Result<Pulled, String>,
    },
    /// A container runs.
    ContainerStarted {
        /// Its sandbox.
        sandbox: Id,
        /// Which.
        container: Id,
    },
    /// A container ended.
    ContainerDied {
        /// Its sandbox.
        sandbox: Id,
        /// Which.
        container: Id,
    },
    /// A command in a container ended.
    ExecFinished {
        /// Which.
        exec: ExecId,
    },
    /// A process sent a request out of its pod, which waits for `answer`.
    Request {
        /// Which.
        number: RequestNumber,
        /// The sandbox it comes from.
        sandbox: Id,
        /// The container it comes from.
        container: Id,
        /// What is asked.
        request: NetworkRequest,
        /// Whether the container only does what it has been doing all the time.
        background: bool,
    },
}

/// A node's container runtime.
#[derive(Clone, Debug)]
pub struct Runtime {
    profile: RuntimeProfile,
    random: Random,
    images: OrdMap<String, Arc<ImageStatus>>,
    pulls: BTreeMap<PullId, Pull>,
    unpullable: Vec<String>,
    volumes: OrdMap<String, FileTree>,
    /// The shared volumes that containers here wrote to.
    written_shared: Vec<String>,
    sandboxes: OrdMap<Id, Arc<Sandbox>>,
    containers: OrdMap<Id, Arc<Container>>,
    agenda: Agenda,
    scripts: Scripts,
    requests: BTreeMap<RequestNumber, (Id, RequestId)>,
    events: Vec<RuntimeEvent>,
    next_number: u64,
}

impl Runtime {
    /// A runtime with nothing in it. All chance in it follows from `random`.
    #[must_use]
    pub fn new(profile: RuntimeProfile, random: Random) -> Self {
        Self {
            profile,
            random,
            images: OrdMap::new(),
            pulls: BTreeMap::new(),
            unpullable: Vec::new(),
            volumes: OrdMap::new(),
            written_shared: Vec::new(),
            sandboxes: OrdMap::new(),
            containers: OrdMap::new(),
            agenda: Agenda::default(),
            scripts: Scripts::default(),
            requests: BTreeMap::new(),
            events: Vec::new(),
            next_number: 0,
        }
    }

    /// When the runtime has something to do next, at or after `now`.
    #[must_use]
    pub fn next_wake(&self, now: Time) -> Option<Time> {
        if !self.events.is_empty() {
            return Some(now);
        }
        let pulls = self.pulls.values().map(|pull| pull.ends);
        pulls.chain(self.agenda.next(false)).min().map(|time| time.max(now))
    }

    /// When a container next goes on that only does what it has been doing all the time: a loop without end, or a
    /// sleep that is longer than anybody waits for.
    #[must_use]
    pub fn next_wake_at_rest(&self, now: Time) -> Option<Time> {
        self.agenda.next(true).map(|time| time.max(now))
    }

    /// Lets time come to `now`, and tells what happened since the last call.
    pub fn advance(&mut self, now: Time) -> Vec<RuntimeEvent> {
        self.finish_pulls(now);
        while let Some(id) = self.agenda.due(now) {
            self.wake_container(&id, now);
        }
        std::mem::take(&mut self.events)
    }

    /// Takes away the volumes whose keys begin like this, with their files.
    pub fn take_volumes(&mut self, prefix: &str) {
        let keys = self.volumes.range(prefix.to_owned()..).map(|(key, _)| key.clone());
        let gone: Vec<String> = keys.take_while(|key| key.starts_with(prefix)).collect();
        for key in gone {
            self.volumes.remove(&key);
        }
    }

    /// From here on all chance in the runtime follows from `random`.
    pub fn seed(&mut self, random: Random) {
        self.random = random;
    }

    /// The rules that the runtime keeps to.
    #[must_use]
    pub fn profile(&self) -> &RuntimeProfile {
        &self.profile
    }

    /// The machine's capacity changed.
    pub fn set_machine(&mut self, processors: u32, memory_bytes: u64) {
        self.profile.processors = processors;
        self.profile.memory_bytes = memory_bytes;
    }

    /// Puts a volume's files, in place of any it had. Containers that watch its files notice.
    pub fn put_volume(&mut self, key: &str, files: FileTree, now: Time) {
        self.volumes.insert(key.to_owned(), files);
        self.wake_watchers(&[key.to_owned()], None, now);
    }

    /// Whether containers wrote to shared volumes.
    #[must_use]
    pub const fn has_written_shared(&self) -> bool {
        !self.written_shared.is_empty()
    }

    /// The shared volumes that containers wrote to since the last call, with their files.
    pub fn take_written_shared(&mut self) -> Vec<(String, FileTree)> {
        let keys = std::mem::take(&mut self.written_shared);
        keys.into_iter().filter_map(|key| self.volumes.get(&key).cloned().map(|files| (key, files))).collect()
    }

    /// A volume's files.
    #[must_use]
    pub fn volume(&self, key: &str) -> Option<&FileTree> {
        self.volumes.get(key)
    }

    /// Takes a volume away, with its files: a persistent volume that moves to another node, or one that is no more.
    pub fn take_volume(&mut self, key: &str) -> Option<FileTree> {
        self.volumes.remove(key)
    }

    /// How long a container may still take when it is told to stop with this grace period.
    #[must_use]
    pub fn stop_deadline(&self, container: &str) -> Option<Time> {
        self.containers.get(container).and_then(|container| container.kill_at)
    }

    fn new_id(&mut self) -> Id {
        let text: String = (0..4).map(|_| format!("{:016x}", self.random.next_u64())).collect();
        Id::from(text)
    }
}

/// How long a busy process has to itself before others have their turn.
const BUSY_TURN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
