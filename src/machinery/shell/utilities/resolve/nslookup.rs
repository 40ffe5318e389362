//! `nslookup`: that of BIND, and those of busybox, of which only the oldest looks for names as programs do.
//!
//! Follows `busybox/networking/nslookup.c`: since 1.29 it asks servers itself and knows no `ndots`, so that a name with a
//! dot is asked for as it is, and one without a dot in every domain, to the last; its exit code tells of any that failed.

use std::collections::VecDeque;

use super::super::super::host::{Lookup, Question, Record, RecordKind};
use super::super::super::io::CommandIo;
use super::{Said, addresses, reverse_name};

/// Whose `nslookup` it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Maker {
    #[default]
    Bind,
    /// busybox up to 1.28.
    OldBusybox,
    /// busybox 1.29, which knows no domains at all.
    Busybox129,
    /// busybox from 1.30 on.
    Busybox,
}

/// How far one is.
#[derive(Clone, Debug, Default)]
pub(super) struct Nslookup {
    maker: Maker,
    /// Whether a kind of record was asked for.
    has_type: bool,
    /// Whether it said which server it asks.
    is_introduced: bool,
    /// How many addresses were told.
    told: usize,
}

/// The domains in which names are looked for.
fn domains(io: &mut CommandIo<'_>) -> Vec<String> {
    let text = io.files(|files| files.read("/etc/resolv.conf")).map(|bytes| bytes.to_vec()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().rev().find_map(|line| line.strip_prefix("search ")).unwrap_or_default();
    line.split_whitespace().map(str::to_owned).collect()
}

impl Nslookup {
    /// One that asks for a kind of record, or for addresses.
    pub fn new(has_type: bool) -> Self {
        Self { has_type, ..Self::default() }
    }

    /// What is asked first.
    pub fn begin(&mut self, question: &Question, io: &mut CommandIo<'_>) -> Vec<Question> {
        self.maker = match (io.host.lookup("dig", &[]), io.host.busybox_version()) {
            (Lookup::Missing, Some((1, ..=28))) => Maker::OldBusybox,
            (Lookup::Missing, Some((1, 29))) => Maker::Busybox129,
            (Lookup::Missing, _) => Maker::Busybox,
            _ => Maker::Bind,
        };
        match self.maker {
            Maker::Bind => vec![question.clone()],
            Maker::OldBusybox => vec![Question { hosts_file: true, ..question.clone() }],
            _ if question.kind == RecordKind::Ptr => vec![question.clone()],
            maker => {
                let names = match domains(io) {
                    domains if maker == Maker::Busybox && !question.name.contains('.') && !domains.is_empty() => {
                        domains.iter().map(|domain| format!("{}.{domain}", question.name)).collect()
                    }
                    _ => vec![question.name.trim_end_matches('.').to_owned()],
                };
                let kinds = if self.has_type { vec![question.kind] } else { vec![RecordKind::A, RecordKind::Aaaa] };
                let ask = |kind: RecordKind, name: &String| Question {
                    name: name.clone(),
                    kind,
                    search: false,
                    ..question.clone()
                };
                kinds.iter().flat_map(|kind| names.iter().map(|name| ask(*kind, name))).collect()
            }
        }
    }

    /// What is printed of what a server said, and the exit code.
    pub fn print(
        &mut self,
        question: &Question,
        said: &Said,
        pending: &mut VecDeque<Question>,
        io: &mut CommandIo<'_>,
    ) -> (String, i32) {
        if self.maker == Maker::OldBusybox {
            return self.print_old(question, said, pending, io);
        }
        let (address, server) = (said.address(), said.server.as_str());
        let mut text = match (std::mem::replace(&mut self.is_introduced, true), self.maker) {
            (true, _) => String::new(),
            (false, Maker::Bind) => format!("Server:\t\t{address}\nAddress:\t{address}#53\n\n"),
            (false, _) => format!("Server:\t\t{address}\nAddress:\t{server}\n\n"),
        };
        let name = &question.name;
        let code = match &said.records {
            None => {
                text.push_str(&format!("** server can't find {name}: NXDOMAIN\n"));
                1
            }
            Some(records) if records.is_empty() && self.maker == Maker::Bind => {
                text.push_str(&format!("*** Can't find {name}: No answer\n"));
                1
            }
            Some(records) => {
                let dot = if self.maker == Maker::Bind { "." } else { "" };
                text.extend(records.iter().map(|record| line(record, dot)));
                0
            }
        };
        text.push('\n');
        (text, code)
    }

    /// The old one, which asks for the names of the addresses that it found.
    fn print_old(
        &mut self,
        question: &Question,
        said: &Said,
        pending: &mut VecDeque<Question>,
        io: &mut CommandIo<'_>,
    ) -> (String, i32) {
        let mut text = String::new();
        if !std::mem::replace(&mut self.is_introduced, true) {
            let server = said.address();
            text.push_str(&format!("Server:    {server}\nAddress 1: {server}\n\n"));
            if question.kind != RecordKind::Ptr {
                if addresses(said.records()).next().is_none() {
                    io.out(&text);
                    io.complain(&format!("can't resolve '{}'", question.name));
                    return (String::new(), 1);
                }
                let ask = |name: String| Question { name, kind: RecordKind::Ptr, search: false, ..question.clone() };
                pending.extend(addresses(said.records()).filter_map(reverse_name).map(ask));
                text.push_str(&format!("Name:      {}\n", question.name));
                return (text, 0);
            }
            text.push_str(&format!("Name:      {}\n", address_of(&question.name)));
        }
        self.told += 1;
        let name = said.records().first().map(|record| format!(" {}", record.data)).unwrap_or_default();
        text.push_str(&format!("Address {}: {}{name}\n", self.told, address_of(&question.name)));
        (text, 0)
    }
}

/// The address that a reverse name is of.
fn address_of(reverse: &str) -> String {
    let mut octets: Vec<&str> = reverse.trim_end_matches(".in-addr.arpa").split('.').collect();
    octets.reverse();
    octets.join(".")
}

fn line(record: &Record, dot: &str) -> String {
    let Record { name, kind, data } = record;
    match kind {
        RecordKind::A | RecordKind::Aaaa => format!("Name:\t{name}\nAddress: {data}\n"),
        RecordKind::Cname => format!("{name}\tcanonical name = {data}{dot}\n"),
        RecordKind::Ptr => format!("{name}\tname = {data}{dot}\n"),
        RecordKind::Srv => format!("{name}\tservice = {data}{dot}\n"),
        RecordKind::Txt => format!("{name}\ttext = {data:?}\n"),
    }
}
