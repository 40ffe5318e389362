//! Names and addresses: how programs find the address of a host, and `nslookup`, `dig`, `host` and `getent`.

mod dig;
mod nslookup;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use super::super::host::{
    CommandPoll, CommandRun, Flavor, Lookup, NetworkAnswer, NetworkRequest, Question, Record, RecordKind,
};
use super::super::io::CommandIo;
use super::Arguments;
use crate::machinery::time::Time;

use dig::Printed;
use nslookup::Nslookup;

/// How long the tools wait for a server.
const TOOL_SECONDS: u64 = 10;

/// A host that a program wants to connect to: `getaddrinfo`.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    host: String,
    address: Option<String>,
    asked: bool,
}

/// How far the search for an address came.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// It is known.
    Address(String),
    /// The program has to wait.
    Wait(CommandPoll),
    /// There is no such name.
    Unknown,
    /// Nobody said whether there is such a name.
    Silence,
}

impl Target {
    /// A host by its name or address.
    pub(super) fn new(host: &str) -> Self {
        let address = host.parse::<IpAddr>().is_ok().then(|| host.to_owned());
        Self { host: host.to_owned(), address, asked: false }
    }

    /// The host as it was given.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The address, or what there is to wait for.
    pub(super) fn find(&mut self, io: &mut CommandIo<'_>, deadline: Option<Time>) -> Found {
        if let Some(address) = &self.address {
            return Found::Address(address.clone());
        }
        if !std::mem::replace(&mut self.asked, true) {
            let question = Question::address(&self.host);
            return Found::Wait(CommandPoll::Network(NetworkRequest::Resolve(question), deadline));
        }
        self.asked = false;
        match io.take_answer() {
            Some(NetworkAnswer::Resolved { records, .. }) => match addresses(&records).next() {
                Some(address) => {
                    self.address = Some(address.to_owned());
                    Found::Address(address.to_owned())
                }
                None => Found::Unknown,
            },
            Some(NetworkAnswer::NameUnknown { .. }) => Found::Unknown,
            _ => Found::Silence,
        }
    }
}

/// The addresses among records.
fn addresses(records: &[Record]) -> impl Iterator<Item = &str> {
    let of_kind = |record: &&Record| matches!(record.kind, RecordKind::A | RecordKind::Aaaa);
    records.iter().filter(of_kind).map(|record| record.data.as_str())
}

/// One of the tools, as it was called.
#[derive(Clone, Debug)]
struct Resolve {
    tool: String,
    question: Option<Question>,
    printed: Printed,
    /// How `nslookup` goes about it, once that is known.
    nslookup: Option<Nslookup>,
    /// What is still to be asked.
    pending: VecDeque<Question>,
    /// What was asked last, and when.
    asked: Option<(Question, Time)>,
    code: i32,
}

/// What a server said: its address and port, and the records; none for a name that is unknown.
struct Said {
    server: String,
    records: Option<Vec<Record>>,
}

impl Said {
    /// The server's address.
    fn address(&self) -> &str {
        self.server.split(':').next().unwrap_or_default()
    }

    fn records(&self) -> &[Record] {
        self.records.as_deref().unwrap_or_default()
    }
}

/// `nslookup`, `dig`, `host` and `getent hosts`.
pub(super) fn resolve(tool: &str, arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(arguments, "t q x type");
    let mut question = Question { search: tool != "dig", hosts_file: tool == "getent", ..Question::default() };
    let mut names = Vec::new();
    if let Some(address) = parsed.value("x") {
        names.push(address.to_owned());
    }
    // `-type=srv`, `-q=srv` and `-t srv` come to the same.
    let kind = parsed.value("t q type").map(|text| text.rsplit('=').next().unwrap_or_default());
    question.kind = kind.and_then(RecordKind::parse).unwrap_or_default();
    let mut printed = Printed { only_answers: false, short: false, stream_types: false };
    for word in &parsed.rest {
        if let Some(server) = word.strip_prefix('@') {
            question.server = Some(server.to_owned());
        } else if let Some(kind) = RecordKind::parse(word).filter(|_| tool == "dig") {
            question.kind = kind;
        } else {
            match word.as_str() {
                "+search" => question.search = true,
                "+short" => printed.short = true,
                "+noall" => printed.only_answers = true,
                "ahosts" | "ahostsv4" if tool == "getent" => printed.stream_types = true,
                "hosts" | "IN" | "any" | "ANY" => {}
                word if word.starts_with('+') => {}
                word => names.push(word.to_owned()),
            }
        }
    }
    let mut names = names.into_iter();
    let question = names.next().map(|name| {
        question.server = question.server.take().or_else(|| names.next().filter(|_| tool != "getent"));
        match reverse_name(&name).filter(|_| tool != "getent" && (tool != "dig" || parsed.has("x"))) {
            Some(reverse) => Question { name: reverse, kind: RecordKind::Ptr, search: false, ..question },
            None => Question { name, ..question },
        }
    });
    let nslookup = (tool == "nslookup").then(|| Nslookup::new(kind.is_some()));
    Box::new(Resolve {
        tool: tool.to_owned(),
        pending: question.iter().cloned().collect(),
        question,
        printed,
        nslookup,
        asked: None,
        code: 0,
    })
}

/// The name under which an address's own name stands: `10.0.96.10.in-addr.arpa`.
fn reverse_name(address: &str) -> Option<String> {
    let IpAddr::V4(address) = address.parse().ok()? else { return None };
    let [a, b, c, d] = address.octets();
    Some(format!("{d}.{c}.{b}.{a}.in-addr.arpa"))
}

/// What `host` prints of a record.
fn host_line(record: &Record) -> String {
    let Record { name, kind, data } = record;
    match kind {
        RecordKind::A => format!("{name} has address {data}\n"),
        RecordKind::Aaaa => format!("{name} has IPv6 address {data}\n"),
        RecordKind::Cname => format!("{name} is an alias for {data}.\n"),
        RecordKind::Ptr => format!("{name} domain name pointer {data}.\n"),
        RecordKind::Srv => format!("{name} has SRV record {data}.\n"),
        RecordKind::Txt => format!("{name} descriptive text {data:?}\n"),
    }
}

impl Resolve {
    /// What `getent` prints: musl's leaves more room than glibc's.
    fn getent(&self, records: &[Record], is_glibc: bool) -> String {
        let name = records.last().map_or("", |record| &record.name);
        let line = |address: &str| match (self.printed.stream_types, is_glibc) {
            (true, true) => format!("{address:<15} STREAM {name}\n{address:<15} DGRAM  \n{address:<15} RAW    \n"),
            (false, true) => format!("{address:<15} {name}\n"),
            (_, false) => format!("{address:<16}  {name}\n"),
        };
        addresses(records).map(line).collect()
    }

    /// What is printed of what a server said, and the exit code.
    fn print(&mut self, question: &Question, said: &Said, asked_at: Time, io: &mut CommandIo<'_>) -> (String, i32) {
        let name = &question.name;
        match self.tool.as_str() {
            "getent" => {
                let is_glibc = !matches!(io.host.lookup("sh", &[]), Lookup::Shell(Flavor::Ash));
                let text = self.getent(said.records(), is_glibc);
                let code = if text.is_empty() { 2 } else { 0 };
                (text, code)
            }
            "host" => match &said.records {
                None => (format!("Host {name} not found: 3(NXDOMAIN)\n"), 1),
                Some(records) if records.is_empty() => (format!("{name} has no {} record\n", question.kind.name()), 1),
                Some(records) => (records.iter().map(host_line).collect(), 0),
            },
            _ => (dig::print(question, said, self.printed, asked_at, io), 0),
        }
    }
}

impl CommandRun for Resolve {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(question) = &self.question else {
            io.complain("missing operand");
            return CommandPoll::Exited(1);
        };
        if let Some((question, asked_at)) = self.asked.take() {
            let said = match io.take_answer() {
                Some(NetworkAnswer::Resolved { server, records }) => Said { server, records: Some(records) },
                Some(NetworkAnswer::NameUnknown { server }) => Said { server, records: None },
                _ if self.tool == "getent" => return CommandPoll::Exited(2),
                _ => {
                    io.out(";; connection timed out; no servers could be reached\n\n");
                    return CommandPoll::Exited(if self.tool == "dig" { 9 } else { 1 });
                }
            };
            let (text, code) = match &mut self.nslookup {
                Some(nslookup) => nslookup.print(&question, &said, &mut self.pending, io),
                None => self.print(&question, &said, asked_at, io),
            };
            io.out(&text);
            self.code = self.code.max(code);
        } else if let Some(nslookup) = &mut self.nslookup {
            self.pending = nslookup.begin(question, io).into();
        }
        match self.pending.pop_front() {
            Some(question) => {
                let now = io.now();
                self.asked = Some((question.clone(), now));
                let deadline = now + Duration::from_secs(TOOL_SECONDS);
                CommandPoll::Network(NetworkRequest::Resolve(question), Some(deadline))
            }
            None => CommandPoll::Exited(self.code),
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
