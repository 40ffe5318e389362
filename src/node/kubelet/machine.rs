//! The machine as the kubelet sees it: sandboxes, containers and images behind the verbs of the container runtime
//! interface.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};
use imbl::Vector;

use crate::api::Name;
use crate::machinery::time::Time;

/// Where a container is in its life, as `runtimeapi.ContainerState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerPhase {
    Created,
    Running,
    Exited,
}

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
    pub reason: String,
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

/// What a container is made from.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerConfig {
    pub name: String,
    pub image: String,
    pub image_ref: String,
    pub command: Vec<String>,
    pub args: Vec<String>,
    pub annotations: BTreeMap<String, String>,
    pub restart_count: u32,
}

/// An image on the machine.
#[derive(Clone, Debug)]
pub(super) struct ImageRecord {
    pub image_ref: String,
    pub size: u64,
}

/// What a command in a container, or a request to it, came to.
#[derive(Clone, Debug)]
pub(super) struct ExecAnswer {
    pub exit_code: i32,
    pub output: String,
    pub takes: Duration,
}

/// What an HTTP server in a container answered.
#[derive(Clone, Debug)]
pub(super) struct HttpAnswer {
    /// The status; `None` when nobody listens.
    pub status: Option<u16>,
    pub takes: Duration,
}

impl HttpAnswer {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..400).contains(&status))
    }
}

/// How a container will behave.
#[derive(Clone, Debug, Default)]
struct Behaviour {
    /// Exit code and run time; `None` runs for ever.
    exit: Option<(i32, Duration, bool)>,
    ignores_term: bool,
    kill_at: Option<Time>,
    exit_at: Option<Time>,
}

#[derive(Clone, Debug)]
struct Container {
    pod: Name,
    record: ContainerRecord,
    behaviour: Behaviour,
}

/// The machine under a kubelet.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    sandboxes: OrdMap<Name, Vector<SandboxRecord>>,
    containers: OrdMap<Name, Container>,
    by_pod: OrdMap<Name, Vector<Name>>,
    images: OrdMap<String, ImageRecord>,
    changed: OrdSet<Name>,
    sequence: u64,
    addresses: OrdSet<u32>,
    /// Images that cannot be pulled because somebody wants it so.
    broken: OrdSet<String>,
    /// (pod, container, probe) that fail because somebody wants it so.
    failing: OrdSet<(Name, Name, String)>,
    prefix: String,
}

impl Machine {
    pub(super) fn set_pod_cidr(&mut self, cidr: &str) {
        self.prefix = cidr.rsplit_once('.').map_or_else(String::new, |(prefix, _)| prefix.to_owned());
    }

    pub(super) fn pod(&self, uid: &str) -> PodRecord {
        let containers = self.by_pod.get(uid).into_iter().flatten();
        PodRecord {
            sandboxes: self.sandboxes.get(uid).into_iter().flatten().rev().cloned().collect(),
            containers: containers.rev().filter_map(|id| self.containers.get(id)).map(|c| c.record.clone()).collect(),
        }
    }

    fn next_id(&mut self, kind: &str) -> Name {
        self.sequence += 1;
        Name::from(format!("{kind}{:060x}", self.sequence))
    }

    pub(super) fn run_sandbox(&mut self, uid: &Name, attempt: u32, host_network: bool) {
        let mut ip = String::new();
        if !host_network {
            let host = (2..=254).find(|host| !self.addresses.contains(host)).unwrap_or(254);
            self.addresses.insert(host);
            ip = format!("{}.{host}", self.prefix);
        }
        let record = SandboxRecord { attempt, ready: true, ip, host_network };
        self.sandboxes.entry(uid.clone()).or_default().push_back(record);
        self.changed.insert(uid.clone());
    }

    pub(super) fn stop_sandboxes(&mut self, uid: &Name) {
        for sandbox in self.sandboxes.get_mut(uid).into_iter().flatten() {
            if sandbox.ready {
                sandbox.ready = false;
                let host = sandbox.ip.rsplit_once('.').and_then(|(_, host)| host.parse::<u32>().ok());
                if let Some(host) = host {
                    self.addresses.remove(&host);
                }
                self.changed.insert(uid.clone());
            }
        }
    }

    pub(super) fn remove_pod(&mut self, uid: &Name) {
        self.stop_sandboxes(uid);
        self.sandboxes.remove(uid);
        for id in self.by_pod.remove(uid).unwrap_or_default() {
            self.containers.remove(&id);
        }
        self.changed.remove(uid);
    }

    pub(super) fn image(&self, image: &str) -> Option<&ImageRecord> {
        self.images.get(image)
    }

    /// How long a pull takes and what comes of it.
    pub(super) fn pull(&self, image: &str) -> (Duration, Result<ImageRecord, String>) {
        let missing = ["doesnotexist", "nonexist", "missing", "invalid"].iter().any(|word| image.contains(word));
        let answer = if missing || image.ends_with(":404") || self.broken.contains(image) {
            Err(format!(
                "rpc error: code = NotFound desc = failed to pull and unpack image \"{image}\": failed to resolve \
                 reference \"{image}\": {image}: not found"
            ))
        } else {
            Ok(ImageRecord { image_ref: format!("docker.io/library/{image}@sha256:0"), size: 1 << 20 })
        };
        (Duration::from_millis(300), answer)
    }

    pub(super) fn preload(&mut self, image: &str) {
        if let (_, Ok(record)) = self.pull(image) {
            self.add_image(image, record);
        }
    }

    pub(super) fn add_image(&mut self, image: &str, record: ImageRecord) {
        self.images.insert(image.to_owned(), record);
    }

    pub(super) fn create_container(&mut self, uid: &Name, config: &ContainerConfig) -> Name {
        let id = self.next_id("c0");
        let record = ContainerRecord {
            id: id.clone(),
            name: Name::from(config.name.as_str()),
            restart_count: config.restart_count,
            image: config.image.clone(),
            image_ref: config.image_ref.clone(),
            phase: ContainerPhase::Created,
            started_at: None,
            finished_at: None,
            exit_code: 0,
            reason: String::new(),
            message: String::new(),
        };
        let container = Container { pod: uid.clone(), record, behaviour: behaviour(config) };
        self.containers.insert(id.clone(), container);
        self.by_pod.entry(uid.clone()).or_default().push_back(id.clone());
        id
    }

    pub(super) fn start_container(&mut self, id: &str, now: Time, command: &[String]) -> Result<(), String> {
        let Some(container) = self.containers.get_mut(id) else { return Err("not found".to_owned()) };
        self.changed.insert(container.pod.clone());
        let record = &mut container.record;
        if let Some(name) = command.first().filter(|name| name.contains("doesnotexist")) {
            record.phase = ContainerPhase::Exited;
            record.exit_code = 128;
            record.reason = "StartError".to_owned();
            record.message = format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc \
                 create failed: unable to start container process: error during container init: exec: \"{name}\": \
                 stat {name}: no such file or directory"
            );
            record.finished_at = Some(now);
            return Err(record.message.clone());
        }
        record.phase = ContainerPhase::Running;
        record.started_at = Some(now);
        container.behaviour.exit_at = container.behaviour.exit.map(|(_, after, _)| now + after);
        Ok(())
    }

    /// Sends SIGTERM, and SIGKILL after the grace period.
    pub(super) fn stop_container(&mut self, id: &str, grace: Duration, now: Time) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.record.phase != ContainerPhase::Running {
            return;
        }
        let behaviour = &mut container.behaviour;
        if behaviour.ignores_term {
            let kill = now + grace;
            behaviour.kill_at = Some(behaviour.kill_at.map_or(kill, |known| known.min(kill)));
        } else {
            behaviour.exit = Some((0, Duration::ZERO, false));
            behaviour.exit_at = Some(now + Duration::from_millis(50));
        }
    }

    /// Ends a container's process at once.
    pub(super) fn crash(&mut self, id: &str, code: i32, now: Time) {
        if let Some(container) = self.containers.get_mut(id) {
            container.behaviour.exit = Some((code, Duration::ZERO, false));
            container.behaviour.exit_at = Some(now);
        }
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
        self.failing.contains(&(uid.clone(), Name::from(container), probe.to_owned()))
    }

    pub(super) fn set_broken(&mut self, image: &str, broken: bool) {
        let image = super::images::with_default_tag(image);
        if broken {
            self.broken.insert(image);
        } else {
            self.broken.remove(&image);
        }
    }

    pub(super) fn exec(&mut self, _id: &str, _command: &[String], _now: Time) -> ExecAnswer {
        ExecAnswer { exit_code: 0, output: String::new(), takes: Duration::from_millis(10) }
    }

    pub(super) fn http(&mut self, id: &str, _port: u16, _path: &str, _now: Time) -> HttpAnswer {
        let status = self.is_running(id).then_some(200);
        HttpAnswer { status, takes: Duration::from_millis(2) }
    }

    /// Whether a container takes connections on a port.
    pub(super) fn listens(&self, id: &str, _port: u16) -> bool {
        self.is_running(id)
    }

    /// What the pod's annotation says that a probe answers at a moment; `None` without one.
    pub(super) fn directed_probe(
        &self,
        annotations: &BTreeMap<String, String>,
        probe: &str,
        container: &str,
        since_start: Duration,
    ) -> Option<bool> {
        let own = annotations.get(&format!("kubetab/{probe}.{container}"));
        let script = own.or_else(|| annotations.get(&format!("kubetab/{probe}")))?;
        let mut left = since_start.as_secs_f64();
        let mut answer = true;
        for part in script.split(',') {
            let (word, time) = part.trim().split_once(':').unwrap_or((part.trim(), ""));
            answer = word != "fail";
            let Ok(seconds) = time.trim_end_matches('s').parse::<f64>() else { return Some(answer) };
            if left < seconds {
                return Some(answer);
            }
            left -= seconds;
        }
        Some(answer)
    }

    pub(super) fn is_running(&self, id: &str) -> bool {
        self.containers.get(id).is_some_and(|container| container.record.phase == ContainerPhase::Running)
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        let times = self.containers.values().filter(|c| c.record.phase == ContainerPhase::Running);
        times.filter_map(|c| c.behaviour.exit_at.into_iter().chain(c.behaviour.kill_at).min()).min()
    }

    pub(super) fn advance(&mut self, now: Time) {
        let due = |container: &Container| {
            let behaviour = &container.behaviour;
            let exit = behaviour.exit_at.filter(|&at| at <= now);
            let kill = behaviour.kill_at.filter(|&at| at <= now && exit.is_none_or(|exit| at < exit));
            container.record.phase == ContainerPhase::Running && (exit.is_some() || kill.is_some())
        };
        let ids: Vec<Name> = self.containers.values().filter(|c| due(c)).map(|c| c.record.id.clone()).collect();
        for id in ids {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            let killed = container.behaviour.exit_at.is_none_or(|at| at > now);
            let (code, _, oom) = container.behaviour.exit.filter(|_| !killed).unwrap_or((137, Duration::ZERO, false));
            let record = &mut container.record;
            record.phase = ContainerPhase::Exited;
            record.exit_code = code;
            let reason = if oom {
                "OOMKilled"
            } else if code == 0 {
                "Completed"
            } else {
                "Error"
            };
            record.reason = reason.to_owned();
            record.finished_at = Some(now);
            self.changed.insert(container.pod.clone());
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(super) fn changed(&self) -> impl Iterator<Item = &Name> {
        self.changed.iter()
    }

    pub(super) fn images(&self) -> impl Iterator<Item = (&String, &ImageRecord)> {
        self.images.iter()
    }

    pub(super) fn take_changed(&mut self) -> OrdSet<Name> {
        std::mem::take(&mut self.changed)
    }
}

fn behaviour(config: &ContainerConfig) -> Behaviour {
    let own = config.annotations.get(&format!("kubetab/exit.{}", config.name));
    if let Some(script) = own.or_else(|| config.annotations.get("kubetab/exit")) {
        let attempts: Vec<&str> = script.split(',').collect();
        let attempt = attempts[(config.restart_count as usize).min(attempts.len() - 1)].trim();
        let (code, time) = attempt.split_once('@').unwrap_or((attempt, "0s"));
        let seconds = time.trim_end_matches('s').parse().unwrap_or(0.0);
        let exit = match code {
            "forever" => None,
            "oom" => Some((137, Duration::from_secs_f64(seconds), true)),
            code => Some((code.parse().unwrap_or(0), Duration::from_secs_f64(seconds), false)),
        };
        return Behaviour { exit, ..Behaviour::default() };
    }
    let words: Vec<&str> = config.command.iter().chain(&config.args).map(String::as_str).collect();
    let words: Vec<&str> = match words.as_slice() {
        ["sh", "-c", script, ..] => script.split([' ', ';']).filter(|word| !word.is_empty()).collect(),
        other => other.to_vec(),
    };
    let number = |after: &str| {
        let at = words.iter().position(|&word| word == after)?;
        words.get(at + 1)?.parse::<f64>().ok()
    };
    let sleep = number("sleep").map(Duration::from_secs_f64);
    let code = number("exit").map(|code| code as i32);
    let exit = match (sleep, code) {
        (None, None) if words.is_empty() && config.image.starts_with("busybox") => Some((0, Duration::ZERO, false)),
        (None, None) => None,
        (sleep, code) => Some((code.unwrap_or(0), sleep.unwrap_or_default(), false)),
    };
    Behaviour { exit, ignores_term: sleep.is_some(), ..Behaviour::default() }
}
