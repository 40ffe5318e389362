//! Connections to containers, and requests that their processes send.

use std::sync::Arc;
use std::time::Duration;

use super::agenda::WAKES_BEFORE_REST;
use super::container::{Container, ContainerState, Id};
use super::{Runtime, RuntimeEvent};
use crate::machinery::order::Order as _;
use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest, Question, Record, RecordKind, RequestId};
use crate::machinery::time::Time;

/// The number of a request that left a pod.
pub type RequestNumber = u64;

/// How many proxies in a pod may pass a request on.
const FORWARDS_MAX: usize = 5;

/// How long a request within a pod is under way.
const LOOPBACK_TIME: Duration = Duration::from_micros(200);

impl Runtime {
    /// The containers whose ports are reached at a sandbox's address.
    pub(super) fn reachable(&self, sandbox: &str) -> Vec<Id> {
        let Some(held) = self.sandboxes.get(sandbox) else {
            return Vec::new();
        };
        if !held.config.host_network {
            return self.containers_of(sandbox);
        }
        let on_node = self.sandboxes.values().filter(|held| held.config.host_network);
        on_node.flat_map(|held| self.containers_of(&held.id)).collect()
    }

    /// The container that answers on a port of a sandbox.
    #[must_use]
    pub fn listener(&self, sandbox: &str, port: u16, now: Time) -> Option<Id> {
        let listens = |id: &Id| {
            self.containers.get(id).is_some_and(|container| {
                container.state == ContainerState::Running && container.table.listens(port, now)
            })
        };
        self.reachable(sandbox).into_iter().find(listens)
    }

    /// Whether anything answers on a port of a sandbox.
    #[must_use]
    pub fn listens(&self, sandbox: &str, port: u16, now: Time) -> bool {
        self.listener(sandbox, port, now).is_some()
    }

    /// The ports that the containers of a sandbox answer on.
    #[must_use]
    pub fn listening_ports(&self, sandbox: &str, now: Time) -> Vec<u16> {
        let mut ports: Vec<u16> = Vec::new();
        for id in self.containers_of(sandbox) {
            if let Some(container) = self.containers.get(&id).filter(|held| held.state == ContainerState::Running) {
                ports.extend(container.table.ports().into_iter().filter(|port| container.table.listens(*port, now)));
            }
        }
        ports.order();
        ports.dedup();
        ports
    }

    /// Sends an HTTP request to a port of a sandbox. The answer may be `Forward`, which the caller carries on.
    pub fn http(&mut self, sandbox: &str, request: &HttpRequest, now: Time) -> NetworkAnswer {
        let address = self.sandboxes.get(sandbox).and_then(|held| held.config.addresses.first());
        let address = address.map(ToString::to_string).unwrap_or_default();
        let Some(id) = self.listener(sandbox, request.port, now) else {
            return NetworkAnswer::Refused { address };
        };
        let mut container = self.take_container(&id).expect("it listens");
        let mut answer = self.with_host(&mut container, now, |table, host| table.connect(request, host));
        self.put_container(container);
        self.step_container(&id, now);
        match &mut answer {
            NetworkAnswer::Http(answer) => answer.address = address,
            NetworkAnswer::Connected { address: held } | NetworkAnswer::Refused { address: held } => *held = address,
            _ => {}
        }
        answer
    }

    /// Opens a TCP connection to a port of a sandbox and closes it again.
    #[must_use]
    pub fn connect(&self, sandbox: &str, port: u16, now: Time) -> NetworkAnswer {
        let held = self.sandboxes.get(sandbox);
        let address = held.and_then(|held| held.config.addresses.first()).map(ToString::to_string).unwrap_or_default();
        if self.listens(sandbox, port, now) {
            NetworkAnswer::Connected { address }
        } else {
            NetworkAnswer::Refused { address }
        }
    }

    /// A number for a request that is sent in a container's place.
    pub const fn new_number(&mut self) -> RequestNumber {
        self.next_number += 1;
        self.next_number
    }

    /// Answers a request that left a pod. One that nobody waits for any more is dropped.
    pub fn answer(&mut self, number: RequestNumber, answer: NetworkAnswer, now: Time) {
        let Some((id, request)) = self.requests.remove(&number) else {
            return;
        };
        self.change(&id, |container| {
            container.table.answer(request, answer);
            // A loop that does nothing but ask goes on for ever, too.
            container.wakes = container.wakes.saturating_add(1);
        });
        self.step_container(&id, now);
    }

    /// Takes a process's request to where it is answered: in its own pod, or outside.
    pub(super) fn send_request(&mut self, id: &str, request: RequestId, mut content: NetworkRequest, now: Time) {
        let Some(container) = self.containers.get(id).cloned() else {
            return;
        };
        if let NetworkRequest::Http(http) = &mut content {
            http.client = container.addresses.first().map(ToString::to_string).unwrap_or_default();
        }
        if let NetworkRequest::Resolve(question) = &content
            && let Some(answer) = self.resolve_within(&container, question)
        {
            self.change(id, |container| container.answers.insert((now + LOOPBACK_TIME, request), answer));
            return;
        }
        let mut within = self.answer_within(&container, &content, now);
        // A proxy in the pod passes the request on, perhaps within the pod again.
        for _ in 0..FORWARDS_MAX {
            let Some(NetworkAnswer::Forward(onward)) = within else {
                break;
            };
            content = NetworkRequest::Http(*onward);
            within = self.answer_within(&container, &content, now);
        }
        if let Some(answer) = within {
            let latency = match &answer {
                NetworkAnswer::Http(answer) => answer.latency,
                _ => Duration::ZERO,
            };
            let due = now + LOOPBACK_TIME + latency;
            // The server may have been this container itself, so that it is looked up anew.
            self.change(id, |container| container.answers.insert((due, request), answer));
            return;
        }
        self.next_number += 1;
        self.requests.insert(self.next_number, (Arc::clone(&container.id), request));
        self.events.push(RuntimeEvent::Request {
            number: self.next_number,
            sandbox: Arc::clone(&container.sandbox),
            container: Arc::clone(&container.id),
            request: content,
            background: container.wakes > WAKES_BEFORE_REST,
        });
    }

    /// The answer to a question that needs no server: who asks for itself, or for what `/etc/hosts` tells.
    fn resolve_within(&self, container: &Container, question: &Question) -> Option<NetworkAnswer> {
        if !question.hosts_file {
            return None;
        }
        let listed = self.hosts_file(&container.id, &question.name);
        let own = || match question.name.as_str() {
            "localhost" => Some("127.0.0.1".to_owned()),
            name if name == container.hostname => container.addresses.first().map(ToString::to_string),
            _ => None,
        };
        let data = listed.or_else(own)?;
        let record = Record { name: question.name.clone(), kind: RecordKind::A, data };
        Some(NetworkAnswer::Resolved { server: String::new(), records: vec![record] })
    }

    /// The address of a name in a container's `/etc/hosts`.
    #[must_use]
    pub fn hosts_file(&self, container: &str, name: &str) -> Option<String> {
        let bytes = self.read_file(container, "/etc/hosts")?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or("").split_whitespace());
        lines.find_map(|mut words| {
            let address = words.next()?;
            words.any(|word| word == name).then(|| address.to_owned())
        })
    }

    /// The answer to a request that goes to the pod itself; nothing when it goes elsewhere.
    fn answer_within(&mut self, container: &Container, content: &NetworkRequest, now: Time) -> Option<NetworkAnswer> {
        let host = content.address();
        let loopback = matches!(host, "localhost" | "::1" | "0.0.0.0") || host.starts_with("127.");
        let own = container.addresses.iter().any(|address| address.to_string() == host) || host == container.hostname;
        if !loopback && !own {
            return None;
        }
        let is_on_node = self.sandbox(&container.sandbox).is_some_and(|sandbox| sandbox.config.host_network);
        // On the node's network somebody else may answer at the same address.
        let port = content.port().filter(|_| is_on_node);
        if port.is_some_and(|port| !self.listens(&container.sandbox, port, now)) {
            return None;
        }
        let address = if loopback { "127.0.0.1".to_owned() } else { container.addresses.first()?.to_string() };
        let mut answer = match content {
            NetworkRequest::Http(request) => self.http(&container.sandbox, request, now),
            NetworkRequest::Connect { port, .. } => self.connect(&container.sandbox, *port, now),
            NetworkRequest::Ping { .. } => NetworkAnswer::Connected { address: address.clone() },
            NetworkRequest::Resolve(_) => return None,
        };
        match &mut answer {
            NetworkAnswer::Http(answer) => answer.address = address,
            NetworkAnswer::Connected { address: held } | NetworkAnswer::Refused { address: held } => *held = address,
            _ => {}
        }
        Some(answer)
    }
}
