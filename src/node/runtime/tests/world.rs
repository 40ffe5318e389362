//! A node with one pod, for tests: containers are described in a line, and what they did is told as text.

use std::collections::BTreeMap;
use std::time::Duration;

use expect_test::Expect;

use crate::machinery::random::Random;
use crate::machinery::shell::files::MountPoint;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest, Record, RecordKind, Stream};
use crate::machinery::time::Time;
use crate::node::runtime::{
    ContainerConfig, ContainerState, ExecOptions, Id, LogOptions, Runtime, RuntimeEvent, RuntimeProfile, SandboxConfig,
};

/// How many wakes a test may take.
const WAKES_MAX: u32 = 5000;

#[derive(Clone)]
pub(super) struct World {
    pub runtime: Runtime,
    pub now: Time,
    pub sandbox: Id,
    /// Events as they were told.
    pub told: Vec<String>,
    pub wakes: u32,
}

/// A container of an image with a command.
pub(super) fn container(image: &str, command: &[&str]) -> ContainerConfig {
    ContainerConfig {
        name: "main".to_owned(),
        image: image.to_owned(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        ..ContainerConfig::default()
    }
}

/// A container that runs a script in busybox.
pub(super) fn script(text: &str) -> ContainerConfig {
    container("busybox", &["sh", "-c", text])
}

pub(super) fn mount(path: &str, volume: &str, read_only: bool) -> MountPoint {
    MountPoint { path: path.to_owned(), volume: volume.to_owned(), sub_path: String::new(), read_only, in_memory: None }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(RuntimeProfile::default(), &[])
    }

    pub(super) fn with(profile: RuntimeProfile, annotations: &[(&str, &str)]) -> Self {
        let now = Time::DEFAULT_START;
        let mut runtime = Runtime::new(profile, Random::new(7));
        let annotations = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let config = SandboxConfig {
            name: "web".to_owned(),
            hostname: "web".to_owned(),
            addresses: vec!["10.244.1.5".parse().unwrap()],
            annotations: annotations.collect::<BTreeMap<_, _>>(),
            ..SandboxConfig::default()
        };
        let sandbox = runtime.run_sandbox(config, now);
        Self { runtime, now, sandbox, told: Vec::new(), wakes: 0 }
    }

    pub(super) fn create(&mut self, config: ContainerConfig) -> Result<Id, String> {
        self.runtime.preload_image(&config.image)?;
        let sandbox = Id::clone(&self.sandbox);
        self.runtime.create_container(&sandbox, config, self.now)
    }

    pub(super) fn start(&mut self, config: ContainerConfig) -> Id {
        let id = self.create(config).expect("the container can be made");
        self.runtime.start_container(&id, self.now).expect("the container can be started");
        id
    }

    /// Lets seconds pass.
    pub(super) fn pass(&mut self, seconds: f64) {
        let until = self.now + Duration::from_secs_f64(seconds);
        while let Some(time) = self.runtime.next_wake(self.now).filter(|time| *time <= until) {
            self.now = time;
            self.wakes += 1;
            assert!(self.wakes < WAKES_MAX, "the runtime does not come to rest");
            for event in self.runtime.advance(time) {
                self.tell(event);
            }
        }
        self.now = until;
    }

    pub(super) fn seconds(&self, time: Time) -> f64 {
        time.since(Time::DEFAULT_START).as_secs_f64()
    }

    fn tell(&mut self, event: RuntimeEvent) {
        let text = match event {
            RuntimeEvent::ImagePulled { image, result, .. } => match result {
                Ok(pulled) => format!("pulled {image}: {} bytes", pulled.image.size),
                Err(error) => format!("not pulled {image}: {error}"),
            },
            RuntimeEvent::ContainerStarted { .. } => "started".to_owned(),
            RuntimeEvent::ContainerDied { container, .. } => format!("died: {}", self.end(&container)),
            RuntimeEvent::ExecFinished { .. } => "exec finished".to_owned(),
            RuntimeEvent::Request { number, request, .. } => {
                let answer = outside(&request);
                if let Some(answer) = &answer {
                    self.runtime.answer(number, answer.clone(), self.now);
                }
                let what = match &request {
                    NetworkRequest::Http(http) => format!("{} {}:{}{}", http.method, http.host, http.port, http.path),
                    other => format!("{other:?}"),
                };
                format!("request {what}{}", if answer.is_some() { "" } else { ", not answered" })
            }
        };
        self.told.push(format!("[{:.2}s] {text}", self.seconds(self.now)));
    }

    /// How a container ended, or that it did not.
    pub(super) fn end(&self, id: &str) -> String {
        let Some(status) = self.runtime.container_status(id) else { return "removed".to_owned() };
        match (status.state, status.end) {
            (ContainerState::Exited, Some(end)) => {
                format!(
                    "{} {}{}",
                    end.code,
                    end.reason.as_str(),
                    if end.message.is_empty() { String::new() } else { format!(": {}", end.message) }
                )
            }
            (state, _) => format!("{state:?}"),
        }
    }

    /// A container's log, errors marked with `!`, each line with its time when it differs from the one before.
    pub(super) fn log(&self, id: &str) -> String {
        let mut text = String::new();
        let mut last = String::new();
        for line in self.runtime.logs(id, LogOptions::default()) {
            let time = format!("{:.2}s", self.seconds(line.time));
            if time != last {
                text.push_str(&format!("[{time}]\n"));
                last = time;
            }
            let mark = if line.stream == Stream::Error { "! " } else { "" };
            text.push_str(&format!("{mark}{}\n", line.text));
        }
        text
    }

    /// Runs a command and lets time pass until it ended.
    pub(super) fn exec(&mut self, id: &str, argv: &[&str]) -> String {
        let argv: Vec<String> = argv.iter().map(|word| (*word).to_owned()).collect();
        let exec = match self.runtime.exec(id, &argv, ExecOptions::default(), self.now) {
            Ok(exec) => exec,
            Err(error) => return format!("error: {error}\n"),
        };
        for _ in 0..100 {
            if let Some(result) = self.runtime.take_exec_result(exec) {
                let code = if result.code == 0 { String::new() } else { format!("exit {}\n", result.code) };
                return format!("{}{}{code}", result.stdout, result.stderr);
            }
            self.pass(0.5);
        }
        "still running\n".to_owned()
    }

    /// What a `GET` from outside gives.
    pub(super) fn get(&mut self, port: u16, path: &str) -> String {
        let mut request = HttpRequest::get("10.244.1.5", port, path);
        request.client = "10.244.2.9".to_owned();
        request.headers.push(("User-Agent".to_owned(), "test".to_owned()));
        let sandbox = Id::clone(&self.sandbox);
        match self.runtime.http(&sandbox, &request, self.now) {
            NetworkAnswer::Http(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            NetworkAnswer::Forward(onward) => format!("on to {}:{}{}", onward.host, onward.port, onward.path),
            other => format!("{other:?}"),
        }
    }
}

/// What the world outside of the pod answers.
fn outside(request: &NetworkRequest) -> Option<NetworkAnswer> {
    match request {
        NetworkRequest::Resolve(question) if question.hosts_file => {
            let record = Record { name: question.name.clone(), kind: RecordKind::A, data: "10.0.0.9".to_owned() };
            Some(NetworkAnswer::Resolved { server: String::new(), records: vec![record] })
        }
        _ if request.host() == "silent" => None,
        NetworkRequest::Http(http) => {
            let answer = HttpAnswer::text(200, format!("{} says {} from {}\n", http.host, http.path, http.client));
            Some(NetworkAnswer::Http(answer))
        }
        _ => Some(NetworkAnswer::NameUnknown { server: "10.96.0.10:53".to_owned() }),
    }
}

/// Runs a container for so many seconds and tells its log and end.
pub(super) fn check(config: ContainerConfig, seconds: f64, expect: Expect) {
    let mut world = World::new();
    let text = match world.create(config) {
        Err(error) => format!("not created: {error}\n"),
        Ok(id) => match world.runtime.start_container(&id, world.now) {
            Err(_) => format!("{}\n", world.end(&id)),
            Ok(()) => {
                world.pass(seconds);
                format!("{}{}\n", world.log(&id), world.end(&id))
            }
        },
    };
    expect.assert_eq(&text);
}
