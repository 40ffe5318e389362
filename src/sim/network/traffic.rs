//! Traffic generators: clients that send requests to an address at a rate, and count what becomes of them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::api::{Name, ObjectKey};
use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest};
use crate::machinery::time::Time;
use crate::node::network::Aim;

use super::super::activity::{Journey, Recent};
use super::super::cluster::Cluster;
use super::super::processes::ProcessId;
use super::super::queue::Event;
use super::carry::OUTSIDE;
use super::packet::{Flow, Packet, Requester, Source};

/// How many generators there may be.
const GENERATORS_MAX: usize = 16;
/// How many requests a second one may send.
const RATE_MAX: u32 = 1_000;
/// For how long one may run, in seconds.
const SECONDS_MAX: u32 = 24 * 3_600;
/// How many seconds are remembered one by one.
const SECONDS_KEPT: usize = 600;
/// How much of the last answer is kept, in bytes.
const BODY_BYTES_MAX: usize = 400;
/// The longest latency of each class but the last, in milliseconds.
const CLASSES_MS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// A pod that sends requests; a machine by itself when no pod is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrafficSource {
    /// The pod's namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The pod's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// The machine. It asks no DNS server of the cluster, so it knows addresses only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
}

/// A client that sends requests at a rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TrafficSpec {
    /// Its name: another of the same name takes its place.
    pub name: String,
    /// What it asks for, such as `http://web.default/`. From outside only addresses are known.
    pub url: String,
    /// Headers; `Host` names the host where the URL has an address.
    pub headers: BTreeMap<String, String>,
    /// The pod or machine that it sends from; the world outside without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<TrafficSource>,
    /// How many requests it sends in a second.
    pub per_second: u32,
    /// For how many seconds.
    pub seconds: u32,
    /// How long it waits for an answer, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for TrafficSpec {
    fn default() -> Self {
        Self {
            name: "client".to_owned(),
            url: String::new(),
            headers: BTreeMap::new(),
            from: None,
            per_second: 10,
            seconds: 60,
            timeout_ms: 5_000,
        }
    }
}

/// Why traffic cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrafficError {
    /// The URL is none.
    BadUrl(String),
    /// Rate or length are out of bounds.
    OutOfBounds,
    /// There are as many generators as there may be.
    TooMany,
}

impl fmt::Display for TrafficError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadUrl(url) => write!(f, "{url:?} is no http URL"),
            Self::OutOfBounds => {
                write!(f, "traffic has 1 to {RATE_MAX} requests a second for 1 to {SECONDS_MAX} seconds")
            }
            Self::TooMany => write!(f, "there are {GENERATORS_MAX} clients already"),
        }
    }
}

impl std::error::Error for TrafficError {}

impl TrafficSpec {
    fn request(&self) -> Result<HttpRequest, TrafficError> {
        let bad = || TrafficError::BadUrl(self.url.clone());
        let mut request = HttpRequest::of_url(&self.url).ok_or_else(bad)?;
        request.headers.push(("User-Agent".to_owned(), "kubetab-client".to_owned()));
        request.headers.extend(self.headers.clone());
        Ok(request)
    }

    fn check(&self) -> Result<(), TrafficError> {
        let is_bounded = (1..=RATE_MAX).contains(&self.per_second) && (1..=SECONDS_MAX).contains(&self.seconds);
        if !is_bounded || self.timeout_ms == 0 {
            return Err(TrafficError::OutOfBounds);
        }
        self.request().map(|_| ())
    }
}

/// What became of requests within a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Second {
    /// Which, counted from the first.
    pub second: u64,
    /// How many were answered well.
    pub succeeded: u32,
    /// How many were not.
    pub failed: u32,
}

/// What became of a generator's requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficReport {
    /// Whether more are going to be sent.
    pub running: bool,
    /// How many were sent.
    pub sent: u64,
    /// How many were answered with a status below 400.
    pub succeeded: u64,
    /// How many failed, by how they did: `Connection refused`, `timed out`, `HTTP 503`.
    pub failures: BTreeMap<String, u64>,
    /// How many were answered well, by the class of their latency.
    latencies: [u64; CLASSES_MS.len() + 1],
    /// The last seconds, oldest first.
    pub seconds: VecDeque<Second>,
    /// Status and beginning of the last answer, or how the last request failed.
    pub last: String,
}

impl TrafficReport {
    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The latency that so many of a thousand successful requests stayed below, in milliseconds: the bound of its class.
    #[must_use]
    pub fn latency_ms(&self, per_mille: u64) -> Option<u64> {
        let wanted = (self.succeeded * per_mille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let class = self.latencies.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Some(CLASSES_MS.get(class?).copied().unwrap_or(u64::MAX))
    }

    fn note(&mut self, second: u64, failure: Option<String>, latency: Duration) {
        if self.seconds.back().is_none_or(|last| last.second < second) {
            self.seconds.push_back(Second { second, ..Second::default() });
            if self.seconds.len() > SECONDS_KEPT {
                self.seconds.pop_front();
            }
        }
        // A late answer belongs to the second in which it came.
        let Some(now) = self.seconds.back_mut() else { return };
        match failure {
            Some(failure) => {
                now.failed += 1;
                *self.failures.entry(failure).or_default() += 1;
            }
            None => {
                now.succeeded += 1;
                self.succeeded += 1;
                let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
                let class = CLASSES_MS.iter().position(|bound| millis <= *bound).unwrap_or(CLASSES_MS.len());
                self.latencies[class] += 1;
            }
        }
    }
}

/// A generator with its counts.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Traffic {
    /// Tells it from others of its name.
    number: u64,
    spec: TrafficSpec,
    request: HttpRequest,
    started: Time,
    report: TrafficReport,
}

impl Traffic {
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.spec.timeout_ms)
    }

    fn ends(&self) -> Time {
        self.started + Duration::from_secs(self.spec.seconds.into())
    }
}

/// How a request failed, if it did, and what is kept of its answer.
fn outcome(answer: &NetworkAnswer) -> (Option<String>, String) {
    let failed = |why: &str| (Some(why.to_owned()), why.to_owned());
    match answer {
        NetworkAnswer::Http(answer) => {
            let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(BODY_BYTES_MAX)]).into_owned();
            let failure = (answer.status >= 400).then(|| format!("HTTP {}", answer.status));
            (failure, format!("{} {body}", answer.status))
        }
        NetworkAnswer::Refused { .. } => failed("Connection refused"),
        NetworkAnswer::Unreachable { .. } => failed("No route to host"),
        NetworkAnswer::NameUnknown { .. } => failed("unknown host"),
        NetworkAnswer::Connected { .. } | NetworkAnswer::Resolved { .. } => failed("Empty reply from server"),
        NetworkAnswer::Reset | NetworkAnswer::Forward(_) => failed("Connection reset by peer"),
        NetworkAnswer::TimedOut { .. } => failed("timed out"),
    }
}

impl Cluster {
    /// Lets a client send requests from now on.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn start_traffic(&mut self, spec: &TrafficSpec) -> Result<(), TrafficError> {
        spec.check()?;
        let name = Name::from(spec.name.as_str());
        if !self.network.traffic.contains_key(&name) && self.network.traffic.len() >= GENERATORS_MAX {
            return Err(TrafficError::TooMany);
        }
        self.network.generators += 1;
        let number = self.network.generators;
        let traffic = Traffic {
            number,
            spec: spec.clone(),
            request: spec.request()?,
            started: self.now,
            report: TrafficReport { running: true, ..TrafficReport::default() },
        };
        self.network.traffic.insert(name.clone(), Arc::new(traffic));
        self.queue.push(self.now, Event::Packet(Box::new(Packet::Tick(name, number))), true);
        Ok(())
    }

    /// Lets a client send nothing more. What it counted stays. Says whether there is such a client.
    pub fn stop_traffic(&mut self, name: &str) -> bool {
        let found = self.network.traffic.get_mut(name);
        found.map(|traffic| Arc::make_mut(traffic).report.running = false).is_some()
    }

    /// The requests that came to their end lately.
    #[must_use]
    pub const fn journeys(&self) -> &Recent<Journey> {
        &self.network.journeys
    }

    /// What clients sent, and what became of it.
    pub fn traffic(&self) -> impl Iterator<Item = (&TrafficSpec, &TrafficReport)> {
        self.network.traffic.values().map(|traffic| (&traffic.spec, &traffic.report))
    }

    /// A generator, unless another of its name took its place.
    fn generator(&mut self, name: &Name, number: u64) -> Option<&mut Traffic> {
        let found = self.network.traffic.get_mut(name).map(Arc::make_mut);
        found.filter(|traffic| traffic.number == number)
    }

    /// A client sends its next request.
    pub(super) fn tick(&mut self, name: &Name, number: u64) {
        let now = self.now;
        let Some(traffic) = self.generator(name, number) else { return };
        if !traffic.report.running || now >= traffic.ends() {
            traffic.report.running = false;
            return;
        }
        traffic.report.sent += 1;
        let interval = Duration::from_micros(1_000_000 / u64::from(traffic.spec.per_second));
        let (request, from) = (NetworkRequest::Http(traffic.request.clone()), traffic.spec.from.clone());
        self.queue.push(now + interval, Event::Packet(Box::new(Packet::Tick(name.clone(), number))), true);
        let requester = Requester::Traffic(name.clone(), number);
        let leave = |source, request| Flow { background: true, ..Flow::new(requester, source, request, now) };
        let sent = match &from {
            Some(from) if !from.pod.is_empty() => self.sending_pod(from, &request),
            Some(from) => self.sending_node(&from.node, &request),
            None => {
                Some((Source { node: None, pod: None, address: OUTSIDE }, Aim::Address(request.address().to_owned())))
            }
        };
        let failure = match sent {
            Some((_, Aim::Address(address))) if address.parse::<Ipv4Addr>().is_err() => {
                NetworkAnswer::NameUnknown { server: String::new() }
            }
            Some((source, aim)) => return self.emit(leave(source, request), aim),
            None => NetworkAnswer::Unreachable { address: String::new() },
        };
        self.count(name, number, now, &failure);
    }

    /// A machine that sends requests by itself, and where one goes.
    fn sending_node(&self, node: &str, request: &NetworkRequest) -> Option<(Source, Aim)> {
        let node = Name::from(node);
        let address = self.machine_at(&node)?.config().internal_ip.parse().ok()?;
        Some((Source { node: Some(node), pod: None, address }, Aim::Address(request.address().to_owned())))
    }

    /// A pod that sends requests, and where one goes.
    fn sending_pod(&self, from: &TrafficSource, request: &NetworkRequest) -> Option<(Source, Aim)> {
        let key = ObjectKey::new(from.namespace.as_str(), from.pod.as_str());
        self.processes.keys().find_map(|id| {
            let ProcessId::Kubelet(node) = id else { return None };
            let kubelet = self.machine_at(node)?;
            let pod = kubelet.pod_of_key(&key)?;
            let aim = kubelet.aim_of(&pod, request);
            let address = pod.address.parse().ok()?;
            Some((Source { node: Some(node.clone()), pod: Some(pod), address }, aim))
        })
    }

    /// An answer, or that there is none, reaches a client.
    pub(super) fn count(&mut self, name: &Name, number: u64, sent: Time, answer: &NetworkAnswer) {
        let now = self.now;
        let Some(traffic) = self.generator(name, number) else { return };
        let latency = now.since(sent);
        let late = NetworkAnswer::TimedOut { address: String::new() };
        let (failure, last) = outcome(if latency > traffic.timeout() { &late } else { answer });
        let second = now.since(traffic.started).as_secs();
        traffic.report.note(second, failure, latency);
        traffic.report.last = last;
    }
}
