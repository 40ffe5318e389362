//! A container: what it was made from, its processes, and how it ended.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use super::agenda::Wake;
use super::catalogue::ImageDefinition;
use super::directive::Ending;
use super::log::Log;
use super::meter::Meter;
use super::server::Surroundings;
use super::written::Written;
use crate::machinery::shell::files::{FileTree, MountPoint};
use crate::machinery::shell::{NetworkAnswer, Pid, ProcessTable, RequestId, Signal};
use crate::machinery::time::Time;

/// The identity of a sandbox or a container: 64 hexadecimal digits.
pub type Id = Arc<str>;

/// What a pod's sandbox is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How many sandboxes the pod had before.
    pub attempt: u32,
    /// The host name that its containers see.
    pub hostname: String,
    /// The addresses of the pod, which its network gave it.
    pub addresses: Vec<IpAddr>,
    /// Whether it uses the node's network, whose ports all such pods share.
    pub host_network: bool,
    /// Whether its containers see each other's processes: `shareProcessNamespace`.
    pub shared_processes: bool,
    /// The pod's annotations, which may direct its containers.
    pub annotations: BTreeMap<String, String>,
}

/// A pod's sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its identity.
    pub id: Id,
    /// What it was made from.
    pub config: Arc<SandboxConfig>,
    /// When it was made.
    pub created: Time,
    /// Whether it is ready; a stopped one is not.
    pub ready: bool,
    /// Its containers, in the order in which they were made.
    pub(super) containers: Vec<Id>,
}

/// What a container is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Its name in the pod.
    pub name: String,
    /// The image as the pod names it.
    pub image: String,
    /// How many containers of this name the pod had before.
    pub attempt: u32,
    /// `command`, its variables already put in.
    pub command: Vec<String>,
    /// `args`, their variables already put in.
    pub args: Vec<String>,
    /// The environment, complete but for the image's own.
    pub environment: Vec<(String, String)>,
    /// `workingDir`; empty for the image's.
    pub directory: String,
    /// Where it sees volumes.
    pub mounts: Vec<MountPoint>,
    /// Files that the kubelet gives it: `/etc/hosts`, `/etc/resolv.conf`.
    pub files: Vec<(String, String)>,
    /// The TCP ports that the pod declares for it.
    pub ports: Vec<u16>,
    /// Memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// Processor limit in thousandths.
    pub processor_limit: Option<u32>,
    /// How many processes it may have.
    pub process_limit: Option<u32>,
    /// `runAsUser`; the image's user without it.
    pub user: Option<i64>,
    /// `runAsGroup`.
    pub group: Option<i64>,
    /// `supplementalGroups` and `fsGroup`.
    pub groups: Vec<i64>,
    /// The path of a seccomp profile that the machine must have.
    pub seccomp_profile: Option<String>,
    /// The name of an AppArmor profile that the machine must have.
    pub app_armor_profile: Option<String>,
    /// `readOnlyRootFilesystem`.
    pub read_only_root: bool,
    /// `lifecycle.stopSignal`; the image's without it.
    pub stop_signal: Option<Signal>,
    /// `stdin`.
    pub stdin: bool,
    /// `tty`.
    pub terminal: bool,
    /// The file in which it may leave a last word, which the kubelet notes on it.
    pub termination_message_path: String,
    /// Whether the end of its log stands in for a last word that it did not leave.
    pub termination_message_from_log: bool,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Ended.
    Exited,
}

/// Why a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// With code 0.
    Completed,
    /// With another code.
    Error,
    /// It used more memory than it may.
    OutOfMemory,
    /// It could not be started.
    StartError,
    /// Nobody saw it end: the machine had no power.
    Unknown,
}

impl EndReason {
    /// The reason in a container's status.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "Completed",
            Self::Error => "Error",
            Self::OutOfMemory => "OOMKilled",
            Self::StartError => "StartError",
            Self::Unknown => "Unknown",
        }
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub time: Time,
    /// Its exit code.
    pub code: i32,
    /// Why.
    pub reason: EndReason,
    /// The message, for one that could not be started.
    pub message: String,
}

/// What the runtime tells of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its identity.
    pub id: Id,
    /// The sandbox it belongs to.
    pub sandbox: Id,
    /// What it was made from.
    pub config: Arc<ContainerConfig>,
    /// The image's identity, as `status.containerStatuses[].imageID`.
    pub image_id: String,
    /// Where it is in its life.
    pub state: ContainerState,
    /// When it was made.
    pub created: Time,
    /// When it was started.
    pub started: Option<Time>,
    /// How it ended.
    pub end: Option<End>,
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerStats {
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Processor time in thousandths of a processor.
    pub processor_millis: u32,
    /// What it wrote into its own layer, in bytes.
    pub layer_bytes: u64,
    /// What its log takes of the disk, in bytes.
    pub log_bytes: u64,
    /// The files that it has in its own layer, its log among them.
    pub inodes: u64,
    /// Its processes.
    pub processes: u64,
}

/// A command that runs in a container besides its own program.
#[derive(Clone, Debug)]
pub(super) struct Exec {
    pub number: u64,
    pub pid: Pid,
    pub output: Written,
    pub code: Option<i32>,
}

/// A container as the runtime keeps it.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub id: Id,
    /// Counts the containers of a node in the order in which they are made.
    pub number: u64,
    pub sandbox: Id,
    pub config: Arc<ContainerConfig>,
    pub image: Arc<ImageDefinition>,
    pub known_image: bool,
    pub image_id: String,
    pub surroundings: Arc<Surroundings>,
    pub hostname: String,
    pub addresses: Vec<IpAddr>,
    pub memory_limit: Option<u64>,
    pub processor_limit: Option<u32>,
    pub state: ContainerState,
    pub created: Time,
    pub started: Option<Time>,
    pub end: Option<End>,
    pub root: FileTree,
    pub initial_layer_bytes: u64,
    pub initial_inodes: u64,
    pub table: ProcessTable,
    pub log: Log,
    /// What its own program wrote, byte for byte: only where somebody may talk with it (`stdin` or `tty`).
    pub talk: Written,
    /// When a directive ends it.
    pub ending: Option<(Time, Ending)>,
    /// What its pod's annotation says of its end.
    pub directed: Option<Ending>,
    /// When it is killed, after it was told to stop.
    pub kill_at: Option<Time>,
    /// When its processes next go on by themselves.
    pub wake: Option<Wake>,
    /// How often they went on by themselves.
    pub wakes: u32,
    /// Where it stands in the runtime's agenda.
    pub scheduled: Option<Wake>,
    /// For how many turns its processes have been busy without a pause.
    pub busy: u32,
    pub execs: VecDeque<Exec>,
    /// The processor time that it has used.
    pub processor: Meter,
    /// Answers from within the pod that are under way.
    pub answers: BTreeMap<(Time, RequestId), NetworkAnswer>,
}

impl Container {
    /// Whether somebody may talk with its own program, so that what it writes is kept byte for byte.
    pub(super) fn is_talkative(&self) -> bool {
        self.config.stdin || self.config.terminal
    }

    /// When something happens in it next.
    pub(super) fn next_wake(&self) -> Option<Wake> {
        if self.state != ContainerState::Running {
            return None;
        }
        let ending = self.ending.map(|(time, _)| time);
        let answer = self.answers.keys().next().map(|(time, _)| *time);
        let foreground = self.wake.filter(|wake| !wake.background).map(|wake| wake.time);
        let expected = [foreground, ending, self.kill_at, answer].into_iter().flatten().min();
        let any = expected.into_iter().chain(self.wake.map(|wake| wake.time)).min()?;
        Some(Wake { time: any, background: expected.is_none() })
    }

    /// Memory in use.
    pub(super) fn memory(&self, now: Time) -> u64 {
        if self.state == ContainerState::Running { self.table.memory(now) } else { 0 }
    }

    pub(super) fn status(&self) -> ContainerStatus {
        ContainerStatus {
            id: Arc::clone(&self.id),
            sandbox: Arc::clone(&self.sandbox),
            config: Arc::clone(&self.config),
            image_id: self.image_id.clone(),
            state: self.state,
            created: self.created,
            started: self.started,
            end: self.end.clone(),
        }
    }
}
