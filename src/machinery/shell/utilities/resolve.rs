//! Names and addresses: how programs find the address of a host, and `nslookup`, `dig`, `host` and `getent`.

use std::net::IpAddr;
use std::time::Duration;

use super::super::host::{CommandPoll, CommandRun, NetworkAnswer, NetworkRequest, Question, Record, RecordKind};
use super::super::io::CommandIo;
use super::Arguments;
use crate::machinery::time::Time;

/// How long the tools wait for a server.
const TOOL_SECONDS: u64 = 10;
/// How long a record may be kept, as the cluster's server says.
const TTL_SECONDS: u32 = 30;

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

#[derive(Clone, Debug)]
struct Resolve {
    tool: String,
    question: Option<Question>,
    short: bool,
    asked: bool,
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
    for word in &parsed.rest {
        if let Some(server) = word.strip_prefix('@') {
            question.server = Some(server.to_owned());
        } else if word == "+search" {
            question.search = true;
        } else if let Some(kind) = RecordKind::parse(word).filter(|_| tool == "dig") {
            question.kind = kind;
        } else if !word.starts_with('+') && !matches!(word.as_str(), "hosts" | "ahosts" | "ahostsv4" | "IN") {
            names.push(word.clone());
        }
    }
    let short = parsed.rest.iter().any(|word| word == "+short");
    let mut names = names.into_iter();
    let question = names.next().map(|name| {
        question.server = question.server.take().or_else(|| names.next().filter(|_| tool != "getent"));
        match reverse_name(&name).filter(|_| tool != "getent" && (tool != "dig" || parsed.has("x"))) {
            Some(reverse) => Question { name: reverse, kind: RecordKind::Ptr, search: false, ..question },
            None => Question { name, ..question },
        }
    });
    Box::new(Resolve { tool: tool.to_owned(), question, short, asked: false })
}

/// The name under which an address's own name stands: `10.0.96.10.in-addr.arpa`.
fn reverse_name(address: &str) -> Option<String> {
    let IpAddr::V4(address) = address.parse().ok()? else { return None };
    let [a, b, c, d] = address.octets();
    Some(format!("{d}.{c}.{b}.{a}.in-addr.arpa"))
}

impl Resolve {
    /// What is printed of records, and the exit code.
    fn print(&self, question: &Question, server: &str, records: &[Record]) -> (String, i32) {
        let address = server.split(':').next().unwrap_or_default();
        let lines = |line: &dyn Fn(&Record) -> String| records.iter().map(line).collect::<String>();
        match self.tool.as_str() {
            "getent" => {
                let name = records.last().map_or("", |record| &record.name);
                let text: String = addresses(records).map(|a| format!("{a:<15}   {name}\n")).collect();
                let code = if text.is_empty() { 2 } else { 0 };
                (text, code)
            }
            "dig" if self.short => (lines(&|record| format!("{}\n", in_zone_file(record))), 0),
            "dig" => (dig(question, address, "NOERROR", records), 0),
            "host" if records.is_empty() => (format!("{} has no {} record\n", question.name, question.kind.name()), 1),
            "host" => (lines(&host_line), 0),
            _ if records.is_empty() => (
                format!("Server:\t\t{address}\nAddress:\t{server}\n\n*** Can't find {}: No answer\n\n", question.name),
                1,
            ),
            _ => (format!("Server:\t\t{address}\nAddress:\t{server}\n\n{}\n", lines(&nslookup_line)), 0),
        }
    }

    fn print_unknown(&self, question: &Question, server: &str) -> (String, i32) {
        let address = server.split(':').next().unwrap_or_default();
        let name = &question.name;
        match self.tool.as_str() {
            "host" => (format!("Host {name} not found: 3(NXDOMAIN)\n"), 1),
            "getent" => (String::new(), 2),
            "dig" if self.short => (String::new(), 0),
            "dig" => (dig(question, address, "NXDOMAIN", &[]), 0),
            _ => {
                let head = format!("Server:\t\t{address}\nAddress:\t{server}\n\n");
                (format!("{head}** server can't find {name}: NXDOMAIN\n\n"), 1)
            }
        }
    }
}

/// A record's data as a zone file has it, where names end with a dot.
fn in_zone_file(record: &Record) -> String {
    match record.kind {
        RecordKind::A | RecordKind::Aaaa => record.data.clone(),
        RecordKind::Txt => format!("{:?}", record.data),
        RecordKind::Cname | RecordKind::Ptr | RecordKind::Srv => format!("{}.", record.data),
    }
}

fn nslookup_line(record: &Record) -> String {
    let Record { name, kind, data } = record;
    match kind {
        RecordKind::A | RecordKind::Aaaa => format!("Name:\t{name}\nAddress: {data}\n"),
        RecordKind::Cname => format!("{name}\tcanonical name = {data}\n"),
        RecordKind::Ptr => format!("{name}\tname = {data}\n"),
        RecordKind::Srv => format!("{name}\tservice = {data}\n"),
        RecordKind::Txt => format!("{name}\ttext = {data:?}\n"),
    }
}

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

/// What `dig` prints, without what nobody reads.
fn dig(question: &Question, server: &str, status: &str, records: &[Record]) -> String {
    let (name, kind) = (&question.name, question.kind.name());
    let rows: String = records
        .iter()
        .map(|record| {
            format!("{}.\t{TTL_SECONDS}\tIN\t{}\t{}\n", record.name, record.kind.name(), in_zone_file(record))
        })
        .collect();
    let answers = if rows.is_empty() { rows } else { format!(";; ANSWER SECTION:\n{rows}\n") };
    format!(
        ";; ->>HEADER<<- opcode: QUERY, status: {status}\n;; QUERY: 1, ANSWER: {}\n\n;; QUESTION SECTION:\n\
         ;{name}.\t\tIN\t{kind}\n\n{answers};; SERVER: {server}#53({server}) (UDP)\n",
        records.len()
    )
}

impl CommandRun for Resolve {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let Some(question) = self.question.clone() else {
            io.complain("missing operand");
            return CommandPoll::Exited(1);
        };
        if !std::mem::replace(&mut self.asked, true) {
            let deadline = io.now() + Duration::from_secs(TOOL_SECONDS);
            return CommandPoll::Network(NetworkRequest::Resolve(question), Some(deadline));
        }
        let (text, code) = match io.take_answer() {
            Some(NetworkAnswer::Resolved { server, records }) => self.print(&question, &server, &records),
            Some(NetworkAnswer::NameUnknown { server }) => self.print_unknown(&question, &server),
            _ if self.tool == "getent" => (String::new(), 2),
            _ => {
                let code = if self.tool == "dig" { 9 } else { 1 };
                (";; connection timed out; no servers could be reached\n\n".to_owned(), code)
            }
        };
        io.out(&text);
        CommandPoll::Exited(code)
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}
