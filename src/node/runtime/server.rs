//! Servers of the catalogue as running programs.

mod talk;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::catalogue::{PortDefinition, ServerDefinition};
use super::nginx;
use super::store::Store;
use crate::machinery::order::Order as _;
use crate::machinery::shell::{
    CommandIo, CommandPoll, CommandRun, HttpAnswer, HttpRequest, NetworkAnswer, Signal, SignalAction, utilities,
};
use crate::machinery::time::Time;

/// How far back processor time is averaged, in seconds.
const LOAD_SECONDS: u64 = 15;

/// For how long requests wait at most.
const BACKLOG: Duration = Duration::from_secs(60);

/// What a server knows of its surroundings when it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// The image's name as the pod gives it.
    pub image: String,
    /// The image's tag.
    pub tag: String,
    /// The ports that the pod declares.
    pub declared: Vec<u16>,
    /// The pod's address.
    pub address: String,
    /// Whether it listens from the first moment on.
    pub instant: bool,
}

/// A running server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    definition: Arc<ServerDefinition>,
    surroundings: Arc<Surroundings>,
    ports: Vec<u16>,
    /// Whether it answers on any port, as somebody's own server whose ports nobody declared.
    any_port: bool,
    started: Option<Time>,
    ready: bool,
    stopping: Option<i32>,
    requests: u64,
    /// Until when the requests that came keep it busy.
    busy_until: Time,
    /// Processor time of requests, by the second.
    load: VecDeque<(u64, u64)>,
    /// Processor time of all requests, in milliseconds.
    spent: u64,
    nginx: Option<Arc<nginx::Config>>,
    /// What it keeps, when it is a database.
    store: Option<Arc<Store>>,
    /// What it asks the server that it follows.
    follows: Following,
    /// Hosts whose addresses nginx wants to know before it listens, each with its place in the files; the last is asked for.
    hosts: Vec<(String, String)>,
    /// Whether it is told to read its configuration anew.
    reloads: bool,
}

/// Where a replica is with asking its leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Following {
    /// It asks next.
    #[default]
    Due,
    /// It waits for the answer, until then at most.
    Asked(Time),
    /// It asks again then.
    Rests(Time),
}

impl Server {
    pub(super) fn new(definition: Arc<ServerDefinition>, surroundings: Arc<Surroundings>) -> Self {
        Self {
            definition,
            surroundings,
            ports: Vec::new(),
            any_port: false,
            started: None,
            ready: false,
            stopping: None,
            requests: 0,
            busy_until: Time::default(),
            load: VecDeque::new(),
            spent: 0,
            nginx: None,
            store: None,
            follows: Following::Due,
            hosts: Vec::new(),
            reloads: false,
        }
    }

    /// Whether it is the image that most people know by that name, which begins as root.
    fn is_official_nginx(&self) -> bool {
        let image = self.surroundings.image.split(['@', ':']).next().unwrap_or("");
        matches!(image, "nginx" | "library/nginx" | "docker.io/library/nginx" | "docker.io/nginx")
    }

    fn ready_at(&self, started: Time) -> Time {
        if self.surroundings.instant {
            return started;
        }
        started + Duration::from_secs_f64(self.definition.startup.max(0.0))
    }

    /// Reads ports and configuration; the exit code when it cannot start.
    fn begin(&mut self, io: &mut CommandIo<'_>) -> Option<i32> {
        let arguments = io.arguments();
        self.ports = self
            .definition
            .ports
            .iter()
            .filter(|port| self.has_port(port))
            .map(|port| port_of(port, &arguments, io))
            .filter(|port| *port > 0)
            .collect();
        if self.definition.config.as_deref() == Some("porter") {
            let names = io.environment().into_iter().map(|(name, _)| name);
            let served = names.filter(|name| name.starts_with("SERVE_PORT_") || name.starts_with("SERVE_TLS_PORT_"));
            self.ports = served.filter_map(|name| name.rsplit('_').next().and_then(|port| port.parse().ok())).collect();
        }
        if self.definition.config.as_deref() == Some("nginx") {
            let tests = arguments.iter().any(|word| word == "-t");
            if !self.surroundings.instant && self.is_official_nginx() {
                let warnings = nginx::warnings(io);
                io.write(2, warnings.as_bytes());
                if let Some(message) = nginx::unwritable(io) {
                    io.write(2, nginx::emergency(&message, io.now()).as_bytes());
                    return Some(1);
                }
            }
            match nginx::load(io) {
                Ok(_) if tests => {
                    io.write(2, b"nginx: the configuration file /etc/nginx/nginx.conf syntax is ok\nnginx: configuration file /etc/nginx/nginx.conf test is successful\n");
                    return Some(0);
                }
                Ok(config) => {
                    self.ports = config.ports();
                    self.hosts = config.hosts().map(|(host, place)| (host.to_owned(), place.to_owned())).collect();
                    self.nginx = Some(Arc::new(config));
                }
                Err(message) if tests => {
                    io.write(
                        2,
                        format!(
                            "nginx: [emerg] {message}\nnginx: configuration file /etc/nginx/nginx.conf test failed\n"
                        )
                        .as_bytes(),
                    );
                    return Some(1);
                }
                Err(message) => {
                    io.write(2, nginx::emergency(&message, io.now()).as_bytes());
                    return Some(1);
                }
            }
        }
        if let Some(mut store) = self.definition.store.as_deref().and_then(Store::named) {
            if let Err(words) = store.begin(&self.version(""), io) {
                io.write(2, format!("{words}\n").as_bytes());
                return Some(1);
            }
            if let Some(port) = store.port() {
                self.ports = vec![port];
            }
            self.store = Some(Arc::new(store));
        }
        let is_porter = self.definition.config.as_deref() == Some("porter");
        if self.definition.ports.is_empty() && self.nginx.is_none() && !is_porter {
            self.ports.clone_from(&self.surroundings.declared);
            self.any_port = self.ports.is_empty();
        }
        if let Some(port) = self.ports.iter().copied().find(|port| io.port_in_use(*port)) {
            let text = if self.nginx.is_some() {
                let line = format!(
                    "{} [emerg] 1#1: bind() to 0.0.0.0:{port} failed (98: Address already in use)\n",
                    stamp(io.now())
                );
                format!("{}{line}nginx: [emerg] still could not bind()\n", line.repeat(4))
            } else {
                format!("listen tcp :{port}: bind: address already in use\n")
            };
            io.write(2, text.as_bytes());
            return Some(1);
        }
        None
    }

    fn print(&self, lines: &[String], request: Option<(&HttpRequest, u16, usize)>, io: &mut CommandIo<'_>) {
        for line in lines {
            let (descriptor, line) = line.strip_prefix("stderr:").map_or((1, line.as_str()), |line| (2, line));
            let text = self.fill(line, request, io);
            io.write(descriptor, format!("{text}\n").as_bytes());
        }
    }

    /// A template with its fields filled in.
    fn fill(&self, template: &str, request: Option<(&HttpRequest, u16, usize)>, io: &CommandIo<'_>) -> String {
        let (mut out, mut rest) = (String::new(), template);
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            let after = &rest[start + 1..];
            let field = after.find('}').map(|end| &after[..end]);
            match field.and_then(|field| self.field(field, request, io).map(|value| (field, value))) {
                Some((field, value)) => {
                    out.push_str(&value);
                    rest = &after[field.len() + 1..];
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// Whether images of this tag have a port.
    fn has_port(&self, port: &PortDefinition) -> bool {
        port.tag.as_ref().is_none_or(|tag| self.surroundings.tag.contains(tag.as_str()))
    }

    /// The version that the image's tag names.
    fn version(&self, default: &str) -> String {
        let tag = &self.surroundings.tag;
        let end = tag.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(tag.len());
        let usual = self.definition.version.as_deref().unwrap_or(default);
        // A tag that names only the beginning of a version stands for the newest that begins so.
        if end == 0 || usual.starts_with(&format!("{}.", &tag[..end])) {
            usual.to_owned()
        } else {
            tag[..end].to_owned()
        }
    }

    fn field(&self, name: &str, request: Option<(&HttpRequest, u16, usize)>, io: &CommandIo<'_>) -> Option<String> {
        let now = io.now();
        if let Some(variable) = name.strip_prefix("env.") {
            return Some(io.variable(variable).unwrap_or_default());
        }
        if let Some(flag) = name.strip_prefix("arg.") {
            let (flag, default) = flag.split_once('|').unwrap_or((flag, ""));
            return Some(flag_value(&io.arguments(), flag).unwrap_or_else(|| default.to_owned()));
        }
        if let Some(("version", default)) = name.split_once('|').or((name == "version").then_some((name, "1.0"))) {
            return Some(self.version(default));
        }
        if let Some(key) = name.strip_prefix("query.") {
            let query = request?.0.path.split_once('?').map_or("", |(_, query)| query);
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            return Some(pairs.filter(|(name, _)| *name == key).map(|(_, value)| value.replace('+', " ")).collect());
        }
        if let Some(pattern) = name.strip_prefix("date:") {
            return Some(utilities::format_time(now, pattern));
        }
        let text = match name {
            "configured" if io.arguments().is_empty() => "# Warning: no config file specified, using the default config. In order to specify a config file use redis-server /path/to/redis.conf".to_owned(),
            "configured" => "* Configuration loaded".to_owned(),
            "served" => {
                let port = request?.0.port;
                let given = ["SERVE_PORT", "SERVE_TLS_PORT"].iter().find_map(|name| io.variable(&format!("{name}_{port}")));
                given.unwrap_or_default()
            }
            "hostname" => io.host.hostname(),
            "address" => self.surroundings.address.clone(),
            "image" => self.surroundings.image.clone(),
            "tag" => self.surroundings.tag.clone(),
            "tag.v" => self.surroundings.tag.trim_start_matches('v').to_owned(),
            "port" => self.ports.first().copied().unwrap_or_default().to_string(),
            "pid" => io.process.pid.to_string(),
            "time" => now.to_string(),
            "stamp" => stamp(now),
            "seconds" => now.as_secs().to_string(),
            "count" => self.requests.to_string(),
            _ => {
                let (request, status, length) = request?;
                match name {
                    "path" => request.path.clone(),
                    "method" => request.method.clone(),
                    "client" => request.client.clone(),
                    "host" => request.host.clone(),
                    "body" => String::from_utf8_lossy(&request.body).into_owned(),
                    "agent" => request.header("user-agent").unwrap_or("-").to_owned(),
                    "forwarded" => request.header("x-forwarded-for").unwrap_or("-").to_owned(),
                    "status" => status.to_string(),
                    "length" => length.to_string(),
                    "headers" => request
                        .headers
                        .iter()
                        .map(|(name, value)| format!("{}: {value}\n", name.to_lowercase()))
                        .collect(),
                    "headers.go" => go_headers(request),
                    _ => return None,
                }
            }
        };
        Some(text)
    }

    /// How long a request takes that costs so much processor time: it waits for those before it, and within a limit
    /// everything takes longer.
    fn latency(&mut self, processor_time: Duration, io: &CommandIo<'_>) -> Duration {
        let now = io.now();
        let millis = io.host.machine().processor_millis.max(1);
        let waits = self.busy_until.since(now);
        // Who has waited for so long has gone, and costs nothing.
        if waits <= BACKLOG {
            self.busy_until = self.busy_until.max(now) + processor_time * 1000 / millis;
        }
        waits + processor_time * 1000 / millis.min(1000)
    }

    fn respond(&self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        let Some(http) = &self.definition.http else {
            return NetworkAnswer::Connected { address: String::new() };
        };
        let path = request.path.split('?').next().unwrap_or_default();
        if let Some(config) = &self.nginx
            && let Some(answer) = config.answer(request, io)
        {
            return answer;
        }
        let age = self.started.map_or(Duration::ZERO, |started| io.now().since(started));
        if http.fails_after.is_some_and(|after| age.as_secs_f64() > after) {
            return NetworkAnswer::Http(HttpAnswer::text(500, format!("error: {}", age.as_secs_f64())));
        }
        let listed = http.paths.get(path).or_else(|| http.paths.get("*").filter(|_| http.files.is_none()));
        let mut answer = match (listed, &http.files) {
            (Some(template), _) => {
                let status = http.statuses.get(path).copied().unwrap_or(200);
                HttpAnswer::text(status, self.fill(template, Some((request, status, 0)), io))
            }
            (None, Some(root)) => utilities::serve_files(io, root, path, http.lists),
            (None, None) => HttpAnswer::text(404, ""),
        };
        if answer.body.is_empty() && answer.status >= 400 {
            let template = http.missing.as_deref().unwrap_or("404 page not found\n");
            let filled = self.fill(template, Some((request, answer.status, 0)), io);
            answer.body =
                filled.replace("404 Not Found", &format!("{} {}", answer.status, answer.reason())).into_bytes();
        }
        if let Some(kind) = &http.content_type
            && answer.headers.is_empty()
        {
            answer.headers.push(("Content-Type".to_owned(), kind.clone()));
        }
        if let Some(name) = &http.server {
            let name = self.fill(name, None, io);
            answer.headers.insert(0, ("Server".to_owned(), name));
        }
        answer.headers.push(("Content-Length".to_owned(), answer.body.len().to_string()));
        answer.processor_time = Duration::from_millis(u64::from(self.definition.cpu_request));
        answer.latency = Duration::from_millis(1);
        NetworkAnswer::Http(answer)
    }
}

/// A request's headers as a program in Go writes them: who asks first, then by name.
fn go_headers(request: &HttpRequest) -> String {
    let canonical = |name: &str| {
        let words = name.split('-').map(|word| {
            let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            format!("{}{}", first.to_uppercase(), rest.to_lowercase())
        });
        words.collect::<Vec<_>>().join("-")
    };
    let headers = request.headers.iter().map(|(name, value)| (canonical(name), value));
    let mut headers: Vec<(String, &String)> = headers.filter(|(name, _)| name != "Host").collect();
    headers.order_by_key(|(name, _)| (name != "User-Agent", name.clone()));
    headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// nginx's own form of a time: `2026/01/01 00:00:00`.
pub(super) fn stamp(time: Time) -> String {
    utilities::format_time(time, "%Y/%m/%d %H:%M:%S")
}

/// The value of `--flag value` or `--flag=value`.
fn flag_value(arguments: &[String], flag: &str) -> Option<String> {
    for (index, argument) in arguments.iter().enumerate() {
        if let Some(value) = argument.strip_prefix(flag).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value.to_owned());
        }
        if argument == flag {
            return arguments.get(index + 1).cloned();
        }
    }
    None
}

fn port_of(definition: &PortDefinition, arguments: &[String], io: &CommandIo<'_>) -> u16 {
    let number = |text: String| text.rsplit(':').next().and_then(|port| port.parse().ok());
    let flagged = definition.flags.iter().find_map(|flag| flag_value(arguments, flag)).and_then(number);
    let from_env = || definition.env.as_deref().and_then(|name| io.variable(name)).and_then(number);
    flagged.or_else(from_env).unwrap_or(definition.port)
}

impl CommandRun for Server {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if let Some(code) = self.stopping {
            let lines = self.definition.stop.clone();
            self.print(&lines, None, io);
            if let Some(store) = &self.store {
                store.end(io);
            }
            return CommandPoll::Exited(code);
        }
        if self.reloads {
            self.reload(io);
        }
        if self.store.as_ref().is_some_and(|store| store.ends()) {
            self.stopping = Some(0);
            return CommandPoll::Again;
        }
        let started = match self.started {
            Some(started) => started,
            None => {
                if self.nginx.is_none()
                    && let Some(code) = self.begin(io)
                {
                    return CommandPoll::Exited(code);
                }
                if let Some(poll) = self.look_up(io) {
                    return poll;
                }
                let lines = self.definition.logs.clone();
                self.print(&lines, None, io);
                self.started = Some(io.now());
                io.now()
            }
        };
        let ready_at = self.ready_at(started);
        if ready_at > io.now() {
            return CommandPoll::Until(ready_at);
        }
        if !self.ready {
            self.ready = true;
            let lines = self.definition.ready.clone();
            self.print(&lines, None, io);
        }
        self.follow(io)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn signal(&mut self, signal: Signal) -> SignalAction {
        match (signal, self.definition.term) {
            (Signal::Hangup, _) if self.nginx.is_some() => {
                self.reloads = true;
                SignalAction::Wake
            }
            (Signal::Hangup | Signal::User1 | Signal::User2 | Signal::Pipe, Some(_)) => SignalAction::Ignore,
            // Its last words are printed at its next step.
            (Signal::Terminate | Signal::Interrupt | Signal::Quit, Some(code)) if !self.definition.stop.is_empty() => {
                self.stopping = Some(code);
                SignalAction::Wake
            }
            (Signal::Terminate | Signal::Interrupt | Signal::Quit, Some(code)) => SignalAction::Exit(code),
            _ => SignalAction::Default,
        }
    }

    fn memory(&self, now: Time) -> u64 {
        let full = (self.definition.memory * 1_048_576.0) as u64;
        // Memory fills up while the server starts.
        let full = full + self.store.as_ref().map_or(0, |store| store.memory());
        let Some(started) = self.started else { return full / 8 };
        let total = self.ready_at(started).since(started).as_micros().max(1);
        let passed = now.since(started).as_micros().min(total);
        full / 8 + u64::try_from(u128::from(full - full / 8) * passed / total).unwrap_or(full)
    }

    fn processor(&self, now: Time) -> u32 {
        let since = now.as_secs().saturating_sub(LOAD_SECONDS);
        let spent: u64 = self.load.iter().filter(|(second, _)| *second > since).map(|(_, millis)| millis).sum();
        self.definition.cpu + u32::try_from(spent / LOAD_SECONDS).unwrap_or(u32::MAX)
    }

    fn processor_at_rest(&self, _now: Time) -> u32 {
        self.definition.cpu
    }

    fn spent(&self) -> u64 {
        self.spent
    }

    fn listens(&self, port: u16, _now: Time) -> bool {
        self.ready && (self.any_port || self.ports.contains(&port))
    }

    fn ports(&self) -> Vec<u16> {
        self.ports.clone()
    }

    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        // A connection without a request only asks whether the port is open.
        if request.method.is_empty() {
            return NetworkAnswer::Connected { address: String::new() };
        }
        self.requests += 1;
        let second = io.now().as_secs();
        let millis = u64::from(self.definition.cpu_request);
        self.spent += millis;
        match self.load.back_mut() {
            Some((held, spent)) if *held == second => *spent += millis,
            _ => self.load.push_back((second, millis)),
        }
        while self.load.front().is_some_and(|(held, _)| held + LOAD_SECONDS < second) {
            self.load.pop_front();
        }
        let mut answer = if request.is_raw() { self.respond_raw(request, io) } else { self.respond(request, io) };
        if let NetworkAnswer::Http(answer) = &mut answer {
            answer.latency += self.latency(answer.processor_time, io);
        }
        if let (Some(template), NetworkAnswer::Http(answer)) = (&self.definition.access, &answer) {
            self.print(std::slice::from_ref(template), Some((request, answer.status, answer.body.len())), io);
        }
        answer
    }
}
