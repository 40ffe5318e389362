//! `nc`, which sends its input and shows the answer, and `ping`.

use std::time::Duration;

use super::super::host::{CommandPoll, CommandRun, HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest};
use super::super::io::{CommandIo, Input};
use super::Arguments;
use super::resolve::{Found, Target};
use crate::machinery::time::Time;

/// How long the kernel tries to connect.
pub(super) const CONNECT_SECONDS: u64 = 130;

/// The message for a connection that did not come about, and nothing for one that did.
fn failure(answer: &Option<NetworkAnswer>, host: &str, port: u16) -> Option<String> {
    let (address, why) = match answer {
        Some(NetworkAnswer::Http(_) | NetworkAnswer::Connected { .. } | NetworkAnswer::Resolved { .. }) => return None,
        Some(NetworkAnswer::NameUnknown { .. }) => return Some(format!("bad address '{host}'")),
        Some(NetworkAnswer::Refused { address }) => (address.as_str(), "Connection refused"),
        Some(NetworkAnswer::Unreachable { address }) => (address.as_str(), "Host is unreachable"),
        Some(NetworkAnswer::Reset | NetworkAnswer::Forward(_)) => (host, "Connection reset by peer"),
        Some(NetworkAnswer::TimedOut { address }) => (address.as_str(), "Operation timed out"),
        None => return Some("timed out".to_owned()),
    };
    Some(format!("{host} ({address}:{port}): {why}"))
}

#[derive(Clone, Debug)]
struct Netcat {
    parsed: Arguments,
    target: Target,
    asked: bool,
    /// What a listener sends to the next who connects.
    input: Vec<u8>,
    ended: bool,
    served: bool,
}

/// `nc`.
pub(super) fn netcat(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "p w e i s q c max-conns wait");
    let target = Target::new(parsed.rest.first().map_or("", String::as_str));
    Box::new(Netcat { parsed, target, asked: false, input: Vec::new(), ended: false, served: false })
}

impl Netcat {
    fn port(&self) -> Option<u16> {
        let given = self.parsed.value("p").map(str::to_owned);
        given.or_else(|| self.parsed.rest.last().cloned()).and_then(|text| text.parse().ok())
    }

    /// Reads what is to be sent; a poll while there is more to come.
    fn read_input(&mut self, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        let line_by_line = io.is_terminal(0);
        while !self.ended && !self.parsed.has("z recv-only") {
            match io.read(0, 16 << 10) {
                Input::Data(bytes) => self.input.extend_from_slice(&bytes),
                Input::End => self.ended = true,
                Input::Pending => return Some(CommandPoll::Readable(0)),
            }
            if line_by_line && self.input.ends_with(b"\n") {
                break;
            }
        }
        None
    }

    fn listen(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(port) = self.port() else {
            io.complain("missing port with option -l");
            return CommandPoll::Exited(1);
        };
        if !self.asked {
            self.asked = true;
            if io.port_in_use(port) {
                io.complain("bind: Address already in use");
                return CommandPoll::Exited(1);
            }
            if self.parsed.has("v") {
                io.write(2, format!("listening on [::]:{port} ...\n").as_bytes());
            }
        }
        if self.served && !self.parsed.has("k keep-open") {
            return CommandPoll::Exited(0);
        }
        while !self.ended {
            match io.read(0, 16 << 10) {
                Input::Data(bytes) => self.input.extend_from_slice(&bytes),
                Input::End => self.ended = true,
                Input::Pending => return CommandPoll::Readable(0),
            }
        }
        CommandPoll::Forever
    }
}

impl CommandRun for Netcat {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.parsed.has("l listen") {
            return self.listen(io);
        }
        let (Some(host), Some(port)) = (self.parsed.rest.first().cloned(), self.port()) else {
            io.write(2, b"BusyBox nc: Usage: nc [IPADDR PORT]\n");
            return CommandPoll::Exited(1);
        };
        if !self.asked {
            let address = match self.target.find(io, None) {
                Found::Address(address) => address,
                Found::Wait(poll) => return poll,
                Found::Unknown | Found::Silence => {
                    io.complain(&format!("bad address '{host}'"));
                    return CommandPoll::Exited(1);
                }
            };
            if let Some(poll) = self.read_input(io) {
                return poll;
            }
            self.asked = true;
            let seconds = self.parsed.value("w").and_then(|text| text.parse().ok()).unwrap_or(CONNECT_SECONDS);
            let deadline = io.now() + Duration::from_secs(seconds);
            let sends = self.parsed.has("recv-only") || !self.input.is_empty();
            let request = if sends {
                let text = String::from_utf8_lossy(&std::mem::take(&mut self.input)).into_owned();
                NetworkRequest::Http(HttpRequest { address, ..HttpRequest::raw(&host, port, &text) })
            } else {
                NetworkRequest::Connect { host: address, port }
            };
            return CommandPoll::Network(request, Some(deadline));
        }
        let answer = io.take_answer();
        if let Some(problem) = failure(&answer, &host, port) {
            // Without -v a scan that fails says nothing, as in most versions.
            if self.parsed.has("v") || !self.parsed.has("z") {
                io.complain(&problem);
            }
            return CommandPoll::Exited(1);
        }
        let address = match &answer {
            Some(NetworkAnswer::Connected { address }) => address,
            Some(NetworkAnswer::Http(answer)) => &answer.address,
            _ => &host,
        };
        if self.parsed.has("v") {
            io.write(2, format!("{host} ({address}:{port}) open\n").as_bytes());
        }
        if let Some(NetworkAnswer::Http(answer)) = &answer {
            io.write(1, &answer.body);
        }
        // A terminal's lines are sent one after another.
        if !self.ended && !self.parsed.has("z recv-only") && io.is_terminal(0) {
            self.asked = false;
            return CommandPoll::Again;
        }
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn ports(&self) -> Vec<u16> {
        self.port().filter(|_| self.parsed.has("l listen")).into_iter().collect()
    }

    fn listens(&self, port: u16, _now: Time) -> bool {
        self.asked && (!self.served || self.parsed.has("k keep-open")) && self.ports().contains(&port)
    }

    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        self.served = true;
        if request.is_raw() {
            io.write(1, &request.body);
            return NetworkAnswer::Http(HttpAnswer { status: 200, body: self.input.clone(), ..HttpAnswer::default() });
        }
        if !request.method.is_empty() {
            io.out(&format!("{} {} HTTP/1.1\nHost: {}\n\n", request.method, request.path, request.host));
        }
        super::parse_raw_answer(&self.input)
    }
}

#[derive(Clone, Debug)]
struct Ping {
    parsed: Arguments,
    target: Target,
    sent: u64,
    received: u64,
    waits: bool,
    next: Option<Time>,
}

/// `ping`.
pub(super) fn ping(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "c w W i s");
    let target = Target::new(parsed.rest.first().map_or("", String::as_str));
    Box::new(Ping { parsed, target, sent: 0, received: 0, waits: false, next: None })
}

impl Ping {
    fn finish(&self, io: &mut CommandIo<'_>, host: &str) -> CommandPoll {
        let loss = (self.sent - self.received) * 100 / self.sent.max(1);
        io.out(&format!(
            "\n--- {host} ping statistics ---\n{} packets transmitted, {} packets received, {loss}% packet loss\n",
            self.sent, self.received
        ));
        if self.received > 0 {
            io.out("round-trip min/avg/max = 0.080/0.080/0.080 ms\n");
        }
        CommandPoll::Exited(i32::from(self.received == 0))
    }
}

impl CommandRun for Ping {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(host) = self.parsed.rest.first().cloned() else {
            io.complain("missing operand");
            return CommandPoll::Exited(1);
        };
        let now = io.now();
        let address = match self.target.find(io, None) {
            Found::Address(address) => address,
            Found::Wait(poll) => return poll,
            Found::Unknown | Found::Silence => {
                io.complain(&format!("bad address '{host}'"));
                return CommandPoll::Exited(1);
            }
        };
        if self.sent == 0 {
            io.out(&format!("PING {host} ({address}): 56 data bytes\n"));
        }
        let most: Option<u64> = self.parsed.value("c").and_then(|text| text.parse().ok());
        if self.waits {
            self.waits = false;
            if let Some(NetworkAnswer::Connected { .. }) = io.take_answer() {
                let line = format!("64 bytes from {address}: seq={} ttl=62 time=0.080 ms\n", self.sent - 1);
                io.out(&line);
                self.received += 1;
            }
        }
        if most.is_some_and(|most| self.sent >= most) {
            return self.finish(io, &host);
        }
        if let Some(next) = self.next.filter(|next| *next > now) {
            return CommandPoll::Until(next);
        }
        self.sent += 1;
        self.waits = true;
        let next = now + Duration::from_secs(1);
        self.next = Some(next);
        CommandPoll::Network(NetworkRequest::Ping { host: address }, Some(next))
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
