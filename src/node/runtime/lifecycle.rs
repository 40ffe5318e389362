//! Sandboxes and containers from their making to their removal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Wake;
use super::catalogue::{Catalogue, SERVER};
use super::container::{
    Container, ContainerConfig, ContainerState, ContainerStats, ContainerStatus, End, EndReason, Id, Sandbox,
    SandboxConfig,
};
use super::directive::{Ending, ExitScript};
use super::log::{Log, LogLine, LogOptions};
use super::meter::Meter;
use super::reference::ImageReference;
use super::server::Surroundings;
use super::written::Written;
use super::{Runtime, RuntimeEvent};
use crate::machinery::shell::files::{FileKind, FileTree, base_name};
use crate::machinery::shell::{ProcessTable, Signal, Spawn, SpawnError};
use crate::machinery::time::Time;

/// Below this limit not even runc can begin, in bytes.
const MEMORY_LIMIT_MIN: u64 = 4 << 20;

/// What precedes runc's message when a container cannot be started.
const START_PREFIX: &str = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";

/// The search path of containers whose image does not set one.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The exit code of a container that could not be started.
const START_ERROR_CODE: i32 = 128;

/// The exit code of a container that nobody saw end: `unknownExitCode` of containerd.
const UNKNOWN_EXIT_CODE: i32 = 255;

impl Runtime {
    /// Makes a pod's sandbox.
    pub fn run_sandbox(&mut self, config: SandboxConfig, now: Time) -> Id {
        let id = self.new_id();
        let config = Arc::new(config);
        let sandbox = Sandbox { id: Arc::clone(&id), config, created: now, ready: true, containers: Vec::new() };
        self.sandboxes.insert(Arc::clone(&id), Arc::new(sandbox));
        id
    }

    /// Stops a sandbox and, at once, what still runs in it.
    pub fn stop_sandbox(&mut self, id: &str, now: Time) {
        for container in self.containers_of(id) {
            self.kill_container(&container, Signal::Kill.exit_code(), EndReason::Error, now);
        }
        if let Some(sandbox) = self.sandboxes.get_mut(id) {
            Arc::make_mut(sandbox).ready = false;
        }
    }

    /// The machine was without power until now: what ran on it has ended, nobody knows how, and no sandbox is ready.
    pub fn lose_power(&mut self, now: Time) {
        let sandboxes: Vec<Id> = self.sandboxes.keys().cloned().collect();
        for sandbox in sandboxes {
            for container in self.containers_of(&sandbox) {
                self.kill_container(&container, UNKNOWN_EXIT_CODE, EndReason::Unknown, now);
            }
            if let Some(sandbox) = self.sandboxes.get_mut(&sandbox) {
                Arc::make_mut(sandbox).ready = false;
            }
        }
        self.pulls.clear();
    }

    /// Removes a sandbox with its containers.
    pub fn remove_sandbox(&mut self, id: &str, now: Time) {
        self.stop_sandbox(id, now);
        for container in self.containers_of(id) {
            self.remove_container(&container);
        }
        self.sandboxes.remove(id);
    }

    /// A sandbox.
    #[must_use]
    pub fn sandbox(&self, id: &str) -> Option<&Sandbox> {
        self.sandboxes.get(id).map(Arc::as_ref)
    }

    /// Every sandbox.
    pub fn sandboxes(&self) -> impl Iterator<Item = &Sandbox> {
        self.sandboxes.values().map(Arc::as_ref)
    }

    pub(super) fn containers_of(&self, sandbox: &str) -> Vec<Id> {
        self.sandboxes.get(sandbox).map(|held| held.containers.clone()).unwrap_or_default()
    }

    /// Profiles of seccomp and AppArmor lie on the machine before pods use them; none does here.
    fn verify_profiles(&self, config: &ContainerConfig) -> Result<(), String> {
        if self.profile.answers_everywhere {
            return Ok(());
        }
        if let Some(name) = &config.app_armor_profile {
            return Err(format!(
                "failed to get container spec opts: failed to generate apparmor spec opts: apparmor profile not found {name}"
            ));
        }
        match &config.seccomp_profile {
            Some(path) => Err(format!(
                "failed to create containerd container: cannot load seccomp profile \"{path}\": open {path}: no such file or directory"
            )),
            None => Ok(()),
        }
    }

    /// A directory of a volume that a mount names is made when it is not there.
    fn make_sub_paths(&mut self, config: &ContainerConfig, now: Time) {
        for mount in config.mounts.iter().filter(|mount| !mount.sub_path.is_empty()) {
            let path = format!("/{}", mount.sub_path.trim_matches('/'));
            if let Some(files) = self.volumes.get(&mount.volume).filter(|files| files.get(&path).is_none()) {
                let mut files = files.clone();
                files.put_directories(&path, now);
                self.volumes.insert(mount.volume.clone(), files);
            }
        }
    }

    /// Makes a container in a sandbox.
    ///
    /// # Errors
    /// When sandbox or image are not there, or there is nothing to run; the kubelet reports the text as
    /// `CreateContainerError`.
    pub fn create_container(&mut self, sandbox: &str, mut config: ContainerConfig, now: Time) -> Result<Id, String> {
        let Some(held) = self.sandboxes.get(sandbox).cloned() else {
            return Err(format!("failed to find sandbox id {sandbox:?}: not found"));
        };
        let reference = ImageReference::parse(&config.image)?;
        let Some(image_status) = self.image_status(&config.image) else {
            return Err(format!("failed to resolve image {:?}: not found", config.image));
        };
        let (image, known_image) = Catalogue::builtin().find(&reference);
        if config.command.is_empty()
            && config.args.is_empty()
            && image.entrypoint.is_empty()
            && image.command.is_empty()
        {
            return Err("failed to generate container spec: failed to generate spec: no command specified".to_owned());
        }
        self.verify_profiles(&config)?;
        self.make_sub_paths(&config, now);
        let mut root = image.root().clone();
        root.put("/etc/hostname", format!("{}\n", held.config.hostname).as_bytes(), 0o644, now);
        for (path, text) in std::mem::take(&mut config.files) {
            root.put(&path, text.as_bytes(), 0o644, now);
        }
        let surroundings = Surroundings {
            image: config.image.clone(),
            tag: reference.tag.clone().unwrap_or_default(),
            declared: config.ports.clone(),
            address: held.config.addresses.first().map(ToString::to_string).unwrap_or_default(),
            instant: self.profile.instant_servers,
        };
        let id = self.new_id();
        self.next_number += 1;
        let processes_max = config.process_limit.map_or(usize::MAX, |limit| limit as usize);
        let table = ProcessTable::bounded(1, processes_max);
        let container = Container {
            id: Arc::clone(&id),
            number: self.next_number,
            sandbox: Arc::clone(&held.id),
            memory_limit: config.memory_limit,
            processor_limit: config.processor_limit,
            config: Arc::new(config),
            image,
            known_image,
            image_id: image_status.reference().to_owned(),
            surroundings: Arc::new(surroundings),
            hostname: held.config.hostname.clone(),
            addresses: held.config.addresses.clone(),
            state: ContainerState::Created,
            created: now,
            started: None,
            end: None,
            initial_layer_bytes: root.usage(),
            initial_inodes: root.inodes(),
            root,
            table,
            log: Log::default(),
            ending: None,
            directed: None,
            kill_at: None,
            wake: None,
            wakes: 0,
            scheduled: None,
            busy: 0,
            execs: VecDeque::new(),
            talk: Written::default(),
            processor: Meter::default(),
            answers: BTreeMap::new(),
        };
        self.put_container(container);
        if let Some(held) = self.sandboxes.get_mut(sandbox) {
            Arc::make_mut(held).containers.push(Arc::clone(&id));
        }
        Ok(id)
    }

    /// Starts a container.
    ///
    /// # Errors
    /// The runtime's text; the container has then ended with code 128 for `StartError`.
    pub fn start_container(&mut self, id: &str, now: Time) -> Result<(), String> {
        match self.containers.get(id).map(|held| held.state) {
            None => return Err(format!("an error occurred when try to find container {id:?}: not found")),
            Some(ContainerState::Created) => {}
            Some(_) => return Err(format!("container {id:?} is not in created state")),
        }
        let mut container = self.take_container(id).expect("it was there a moment ago");
        let annotations = self.sandboxes.get(&container.sandbox).map(|sandbox| Arc::clone(&sandbox.config));
        let script = annotations.and_then(|config| ExitScript::of(&config.annotations, &container.config.name));
        let ending = script.map(|script| script.attempt(container.config.attempt));
        if let Err(message) = self.spawn_main(&mut container, ending, now) {
            container.state = ContainerState::Exited;
            let reason = EndReason::StartError;
            container.end = Some(End { time: now, code: START_ERROR_CODE, reason, message: message.clone() });
            self.put_container(container);
            return Err(message);
        }
        container.state = ContainerState::Running;
        container.started = Some(now);
        container.processor = Meter::start(now);
        container.wake = Some(Wake { time: now, background: false });
        container.directed = ending;
        container.ending = match ending {
            Some(ending @ (Ending::Exit(_, after) | Ending::OutOfMemory(after))) => Some((now + after, ending)),
            _ => None,
        };
        let event = RuntimeEvent::ContainerStarted { sandbox: Arc::clone(&container.sandbox), container: Id::from(id) };
        self.put_container(container);
        self.events.push(event);
        Ok(())
    }

    /// Starts process 1.
    fn spawn_main(&mut self, container: &mut Container, ending: Option<Ending>, now: Time) -> Result<(), String> {
        if container.memory_limit.is_some_and(|limit| limit < MEMORY_LIMIT_MIN) {
            return Err(format!("{START_PREFIX}container init was OOM-killed (memory limit too low?)"));
        }
        let argv = main_command(container);
        if argv[0].contains("doesnotexist") {
            return Err(format!("{START_PREFIX}{}", init_error(&argv[0], SpawnError::NotFound)));
        }
        let spawn = Spawn {
            environment: environment(container),
            directory: directory(container),
            stdin: container.config.stdin,
            terminal: container.config.terminal,
            argv: argv.clone(),
        };
        let directory = spawn.directory.clone();
        container.root.put_directories(&directory, now);
        let spawned = self.with_host(container, now, |table, host| table.spawn(spawn.clone(), host));
        match spawned {
            Ok(_) => Ok(()),
            // Somebody's own image may have any program, and a directive needs none.
            Err(SpawnError::NotFound) if !container.known_image || ending.is_some() => {
                let definition = container.image.programs.get(SERVER).and_then(|program| program.server.clone());
                let definition = definition.unwrap_or_default();
                let server = super::server::Server::new(definition, Arc::clone(&container.surroundings));
                let started = container.table.spawn_program(spawn, Box::new(server), now);
                started.map(|_| ()).map_err(|error| format!("{START_PREFIX}{}", exec_error(&argv[0], error)))
            }
            Err(error) => Err(format!("{START_PREFIX}{}", init_error(&argv[0], error))),
        }
    }

    /// Tells a container to stop: its stop signal now, `KILL` after the grace period. Told again, it only gets less
    /// time.
    pub fn stop_container(&mut self, id: &str, grace: Duration, now: Time) {
        if self.containers.get(id).is_none_or(|held| held.state != ContainerState::Running) {
            return;
        }
        if grace.is_zero() {
            self.kill_container(id, Signal::Kill.exit_code(), EndReason::Error, now);
            return;
        }
        let reach_all = self.profile.signals_reach_all;
        self.change(id, |container| {
            let kill_at = now + grace;
            if let Some(earlier) = container.kill_at {
                container.kill_at = Some(earlier.min(kill_at));
                return;
            }
            container.kill_at = Some(kill_at);
            let of_image = Signal::parse(&container.image.stop_signal);
            let signal = container.config.stop_signal.or(of_image).unwrap_or(Signal::Terminate);
            if reach_all {
                container.table.signal_all(signal);
            } else {
                container.table.signal(1, signal);
            }
        });
        self.step_container(id, now);
    }

    /// Removes a container that does not run, with its log.
    pub fn remove_container(&mut self, id: &str) {
        if self.containers.get(id).is_none_or(|container| container.state == ContainerState::Running) {
            return;
        }
        let Some(container) = self.containers.remove(id) else { return };
        self.agenda.reschedule(container.number, &container.id, container.scheduled, None);
        if let Some(sandbox) = self.sandboxes.get_mut(&container.sandbox) {
            Arc::make_mut(sandbox).containers.retain(|held| **held != *id);
        }
    }

    /// Ends a container from outside.
    pub(super) fn kill_container(&mut self, id: &str, code: i32, reason: EndReason, now: Time) {
        if self.containers.get(id).is_none_or(|held| held.state != ContainerState::Running) {
            return;
        }
        self.change(id, |container| container.table.kill_all());
        self.end_container(id, code, reason, now);
    }

    /// Notes that a container ended.
    pub(super) fn end_container(&mut self, id: &str, code: i32, reason: EndReason, now: Time) {
        if self.containers.get(id).is_none_or(|held| held.state != ContainerState::Running) {
            return;
        }
        let ended = self.change(id, |container| {
            container.log.close(now);
            container.state = ContainerState::Exited;
            container.end = Some(End { time: now, code, reason, message: String::new() });
            (container.ending, container.kill_at, container.wake) = (None, None, None);
            container.answers.clear();
            // Nothing of its processes is asked for any more.
            container.table = ProcessTable::new(1);
            let mut execs = Vec::new();
            for exec in container.execs.iter_mut().filter(|exec| exec.code.is_none()) {
                exec.code = Some(Signal::Kill.exit_code());
                execs.push(exec.number);
            }
            (Arc::clone(&container.sandbox), Arc::clone(&container.id), execs)
        });
        let Some((sandbox, container, execs)) = ended else { return };
        self.events.extend(execs.into_iter().map(|exec| RuntimeEvent::ExecFinished { exec }));
        self.requests.retain(|_, (owner, _)| **owner != *id);
        self.events.push(RuntimeEvent::ContainerDied { sandbox, container });
    }

    /// What the runtime knows of a container.
    #[must_use]
    pub fn container_status(&self, id: &str) -> Option<ContainerStatus> {
        self.containers.get(id).map(|container| container.status())
    }

    /// The containers of a sandbox, in the order in which they were made.
    pub fn list_containers(&self, sandbox: &str) -> impl Iterator<Item = ContainerStatus> {
        self.containers_of(sandbox).into_iter().filter_map(|id| self.container_status(&id))
    }

    /// Whether a container runs.
    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        self.containers.get(id).is_some_and(|container| container.state == ContainerState::Running)
    }

    /// What a container uses.
    #[must_use]
    pub fn stats(&self, id: &str, now: Time) -> Option<ContainerStats> {
        let container = self.containers.get(id)?;
        let running = container.state == ContainerState::Running;
        let used = if running { container.table.processor(now) } else { 0 };
        Some(ContainerStats {
            memory_bytes: container.memory(now) + self.memory_of_mounts(container),
            processor_millis: used.min(self.processor_most(container)),
            layer_bytes: container.layer_bytes(),
            log_bytes: container.log.size(),
            inodes: container.inodes(),
            processes: if running { container.table.processes() as u64 } else { 0 },
        })
    }

    /// Changes a container's limits while it runs.
    pub fn update_limits(&mut self, id: &str, memory: Option<u64>, processor: Option<u32>, now: Time) {
        self.change(id, |container| {
            (container.memory_limit, container.processor_limit) = (memory, processor);
            container.wake = Some(Wake { time: now, background: false });
        });
    }

    /// What a container wrote. Its log is kept until the container is removed.
    #[must_use]
    pub fn logs(&self, id: &str, options: LogOptions) -> Vec<LogLine> {
        self.containers.get(id).map(|container| container.log.lines(options)).unwrap_or_default()
    }

    /// What a container wrote after its first `seen` lines, and how many lines that makes: for following a log.
    #[must_use]
    pub fn logs_after(&self, id: &str, seen: u64) -> (Vec<LogLine>, u64) {
        self.containers.get(id).map(|container| container.log.after(seen)).unwrap_or_default()
    }

    /// A file as a container sees it, such as its termination message.
    #[must_use]
    pub fn read_file(&self, id: &str, path: &str) -> Option<Vec<u8>> {
        let container = self.containers.get(id)?;
        let (mut root, mut volumes): (FileTree, _) = (container.root.clone(), self.volumes.clone());
        let mounts = &container.config.mounts;
        let files = crate::machinery::shell::files::FileSystem::new(&mut root, &mut volumes, mounts, Time::default());
        match files.stat(path, true).ok()?.kind {
            FileKind::File(bytes, _) => Some(bytes.to_vec()),
            _ => None,
        }
    }

    /// Lets a container crash now.
    pub fn crash_container(&mut self, id: &str, code: i32, now: Time) {
        let reason = if code == 0 { EndReason::Completed } else { EndReason::Error };
        self.kill_container(id, code, reason, now);
    }

    /// Lets a container be killed for want of memory now.
    pub fn kill_out_of_memory(&mut self, id: &str, now: Time) {
        self.kill_container(id, Signal::Kill.exit_code(), EndReason::OutOfMemory, now);
    }
}

/// Words that begin a command and never the arguments of a server.
const COMMANDS: [&str; 18] = [
    "sh", "bash", "ash", "dash", "sleep", "echo", "cat", "tail", "env", "printenv", "ls", "date", "curl", "wget",
    "python", "python3", "node", "perl",
];

/// What a container runs: `command` in place of the image's entrypoint, `args` in place of its command.
fn main_command(container: &Container) -> Vec<String> {
    let (config, image) = (&container.config, &container.image);
    if !config.command.is_empty() {
        return [config.command.as_slice(), &config.args].concat();
    }
    let rest = if config.args.is_empty() { &image.command } else { &config.args };
    let mut argv = [image.entrypoint.as_slice(), rest].concat();
    // Nobody knows the entrypoint of somebody's own image: arguments are arguments to its server, unless they are
    // plainly a command.
    let is_command = |word: &String| COMMANDS.contains(&base_name(word));
    if !container.known_image && !config.args.is_empty() && !config.args.first().is_some_and(is_command) {
        argv.insert(0, SERVER.to_owned());
    }
    argv
}

fn environment(container: &Container) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = vec![
        ("PATH".to_owned(), SEARCH_PATH.to_owned()),
        ("HOSTNAME".to_owned(), container.hostname.clone()),
        ("HOME".to_owned(), "/root".to_owned()),
    ];
    if container.config.terminal {
        all.push(("TERM".to_owned(), "xterm".to_owned()));
    }
    all.extend(container.image.environment.iter().map(|(name, value)| (name.clone(), value.clone())));
    all.extend(container.config.environment.iter().cloned());
    all
}

fn directory(container: &Container) -> String {
    let given = &container.config.directory;
    if given.is_empty() { container.image.directory.clone() } else { given.clone() }
}

impl Container {
    /// Environment and working directory for another process in the container.
    pub(super) fn spawn(&self, argv: Vec<String>, stdin: bool, terminal: bool) -> Spawn {
        Spawn { argv, environment: environment(self), directory: directory(self), stdin, terminal }
    }
}

/// runc's message for a container whose command cannot be run.
fn init_error(name: &str, error: SpawnError) -> String {
    let before = if error == SpawnError::NotFound { "error during container init: " } else { "" };
    format!("{before}{}", exec_error(name, error))
}

/// runc's message for a command that cannot be run.
pub(super) fn exec_error(name: &str, error: SpawnError) -> String {
    match error {
        SpawnError::NotFound if name.contains('/') => {
            format!("exec: \"{name}\": stat {name}: no such file or directory")
        }
        SpawnError::NotFound => format!("exec: \"{name}\": executable file not found in $PATH"),
        SpawnError::Denied => format!("exec: \"{name}\": permission denied"),
        SpawnError::BadFormat => format!("exec {name}: exec format error"),
        SpawnError::TooMany => "resource temporarily unavailable".to_owned(),
    }
}
