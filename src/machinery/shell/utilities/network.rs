//! `nslookup` and its like, `nc`, `ping`.

use std::time::Duration;

use super::super::host::{CommandPoll, CommandRun, HttpRequest, NetworkAnswer, NetworkRequest};
use super::super::io::{CommandIo, Input};
use super::Arguments;
use crate::machinery::time::Time;

/// How long the kernel tries to connect.
pub(super) const CONNECT_SECONDS: u64 = 130;

#[derive(Clone, Debug)]
struct Resolve {
    tool: String,
    name: Option<String>,
    short: bool,
    asked: bool,
}

/// `nslookup`, `dig`, `host` and `getent hosts`.
pub(super) fn resolve(tool: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "t type");
    let skip = |word: &&String| {
        !matches!(word.as_str(), "hosts" | "ahosts" | "A" | "AAAA" | "IN" | "SRV" | "+short" | "+search")
            && !word.starts_with('@')
    };
    let name = parsed.rest.iter().find(skip).cloned();
    let short = parsed.rest.iter().any(|word| word == "+short");
    Box::new(Resolve { tool: tool.to_owned(), name, short, asked: false })
}

impl CommandRun for Resolve {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(name) = self.name.clone() else {
            io.complain("missing operand");
            return CommandPoll::Exited(1);
        };
        if !self.asked {
            self.asked = true;
            let deadline = io.now() + Duration::from_secs(10);
            return CommandPoll::Network(NetworkRequest::Resolve { name }, Some(deadline));
        }
        let (text, code) = match io.take_answer() {
            Some(NetworkAnswer::Resolved { server, name: full, addresses }) => {
                let address = server.split(':').next().unwrap_or_default();
                let text = match self.tool.as_str() {
                    "host" => addresses.iter().map(|a| format!("{full} has address {a}\n")).collect(),
                    "getent" => addresses.iter().map(|a| format!("{a:<15}   {full}\n")).collect(),
                    "dig" if self.short => addresses.iter().map(|a| format!("{a}\n")).collect(),
                    "dig" => {
                        let rows: String = addresses.iter().map(|a| format!("{full}.\t30\tIN\tA\t{a}\n")).collect();
                        format!(";; ANSWER SECTION:\n{rows}\n;; SERVER: {address}#53({address}) (UDP)\n")
                    }
                    _ => {
                        let rows: String = addresses.iter().map(|a| format!("Name:\t{full}\nAddress: {a}\n")).collect();
                        format!("Server:\t\t{address}\nAddress:\t{server}\n\n{rows}\n")
                    }
                };
                (text, 0)
            }
            Some(NetworkAnswer::NameUnknown { server }) => {
                let address = server.split(':').next().unwrap_or_default();
                match self.tool.as_str() {
                    "host" => (format!("Host {name} not found: 3(NXDOMAIN)\n"), 1),
                    "getent" => (String::new(), 2),
                    "dig" => (String::new(), 0),
                    _ => {
                        let head = format!("Server:\t\t{address}\nAddress:\t{server}\n\n");
                        (format!("{head}** server can't find {name}: NXDOMAIN\n\n"), 1)
                    }
                }
            }
            _ => (";; connection timed out; no servers could be reached\n\n".to_owned(), 1),
        };
        io.out(&text);
        CommandPoll::Exited(code)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// The message for a connection that did not come about, and nothing for one that did.
pub(super) fn failure(answer: &Option<NetworkAnswer>, host: &str, port: u16) -> Option<String> {
    Some(match answer {
        Some(NetworkAnswer::Http(_) | NetworkAnswer::Connected { .. } | NetworkAnswer::Resolved { .. }) => return None,
        Some(NetworkAnswer::NameUnknown { .. }) => format!("bad address '{host}'"),
        Some(NetworkAnswer::Refused { address }) => format!("{host} ({address}:{port}): Connection refused"),
        Some(NetworkAnswer::Unreachable) => format!("{host} ({host}:{port}): Host is unreachable"),
        Some(NetworkAnswer::Reset | NetworkAnswer::Forward(_)) => {
            format!("{host} ({host}:{port}): Connection reset by peer")
        }
        Some(NetworkAnswer::TimedOut) | None => format!("{host} ({host}:{port}): Operation timed out"),
    })
}

#[derive(Clone, Debug)]
struct Netcat {
    parsed: Arguments,
    asked: bool,
    /// What a listener sends to the next who connects.
    input: Vec<u8>,
    ended: bool,
    served: bool,
}

/// `nc`.
pub(super) fn netcat(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "p w e i s q");
    Box::new(Netcat { parsed, asked: false, input: Vec::new(), ended: false, served: false })
}

impl Netcat {
    fn port(&self) -> Option<u16> {
        let given = self.parsed.value("p").map(str::to_owned);
        given.or_else(|| self.parsed.rest.last().cloned()).and_then(|text| text.parse().ok())
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
        if self.served && !self.parsed.has("k") {
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
        if self.parsed.has("l") {
            return self.listen(io);
        }
        let (Some(host), Some(port)) = (self.parsed.rest.first().cloned(), self.port()) else {
            io.write(2, b"BusyBox nc: Usage: nc [IPADDR PORT]\n");
            return CommandPoll::Exited(1);
        };
        if !self.asked {
            self.asked = true;
            let seconds = self.parsed.value("w").and_then(|text| text.parse().ok()).unwrap_or(CONNECT_SECONDS);
            let deadline = io.now() + Duration::from_secs(seconds);
            return CommandPoll::Network(NetworkRequest::Connect { host, port }, Some(deadline));
        }
        let answer = io.take_answer();
        if let Some(problem) = failure(&answer, &host, port) {
            // Without -v a scan that fails says nothing, as in most versions.
            if self.parsed.has("v") || !self.parsed.has("z") || problem.starts_with("bad address") {
                io.complain(&problem);
            }
            return CommandPoll::Exited(1);
        }
        if self.parsed.has("v")
            && let Some(NetworkAnswer::Connected { address }) = answer
        {
            io.write(2, format!("{host} ({address}:{port}) open\n").as_bytes());
        }
        CommandPoll::Exited(0)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn ports(&self) -> Vec<u16> {
        self.port().filter(|_| self.parsed.has("l")).into_iter().collect()
    }

    fn listens(&self, port: u16, _now: Time) -> bool {
        self.asked && (!self.served || self.parsed.has("k")) && self.ports().contains(&port)
    }

    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        self.served = true;
        if !request.method.is_empty() {
            io.out(&format!("{} {} HTTP/1.1\nHost: {}\n\n", request.method, request.path, request.host));
        }
        super::parse_raw_answer(&self.input)
    }
}

#[derive(Clone, Debug)]
struct Ping {
    parsed: Arguments,
    sent: u64,
    received: u64,
    waits: bool,
    next: Option<Time>,
    address: Option<String>,
}

/// `ping`.
pub(super) fn ping(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "c w W i s");
    Box::new(Ping { parsed, sent: 0, received: 0, waits: false, next: None, address: None })
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
        let most: Option<u64> = self.parsed.value("c").and_then(|text| text.parse().ok());
        if self.waits {
            self.waits = false;
            match io.take_answer() {
                Some(NetworkAnswer::NameUnknown { .. }) => {
                    io.complain(&format!("bad address '{host}'"));
                    return CommandPoll::Exited(1);
                }
                Some(NetworkAnswer::Connected { address }) => {
                    if self.address.is_none() {
                        io.out(&format!("PING {host} ({address}): 56 data bytes\n"));
                    }
                    let line = format!("64 bytes from {address}: seq={} ttl=62 time=0.080 ms\n", self.sent - 1);
                    self.address = Some(address);
                    io.out(&line);
                    self.received += 1;
                }
                _ => {}
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
        CommandPoll::Network(NetworkRequest::Ping { host }, Some(next))
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
