//! What `dig` prints.
//!
//! Follows `bind9/bin/dig/dig.c` and `dns_master_styledebug`, whose columns these are.

use super::super::super::host::{Question, Record, RecordKind};
use super::super::super::io::CommandIo;
use super::super::format_time;
use super::Said;
use crate::machinery::time::Time;

/// How long a record may be kept, as the cluster's server says.
const TTL_SECONDS: u32 = 30;
/// The domain that the cluster's server answers for.
const ZONE: &str = "cluster.local";
/// How long an answer is besides its question and records: its head, and what EDNS adds with its cookie.
const BYTES_BESIDES: usize = 12 + 11 + 12;

/// What of an answer is printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printed {
    /// `+noall +answer`.
    pub only_answers: bool,
    /// `+short`.
    pub short: bool,
    /// `ahosts` of `getent`.
    pub stream_types: bool,
}

/// A record's data as a zone file has it, where names end with a dot.
fn in_zone_file(record: &Record) -> String {
    match record.kind {
        RecordKind::A | RecordKind::Aaaa => record.data.clone(),
        RecordKind::Txt => format!("{:?}", record.data),
        RecordKind::Cname | RecordKind::Ptr | RecordKind::Srv => format!("{}.", record.data),
    }
}

/// Columns of a line, each of which begins at its place or, when what stands before is longer, after a blank.
fn columns(cells: &[(&str, usize)]) -> String {
    let (mut line, mut width) = (String::new(), 0_usize);
    for (cell, place) in cells {
        if width >= *place && width > 0 {
            line.push(' ');
            width += 1;
        }
        while width < *place {
            line.push('\t');
            width = (width / 8 + 1) * 8;
        }
        line.push_str(cell);
        width += cell.chars().count();
    }
    line
}

fn row(name: &str, kind: &str, data: &str) -> String {
    let ttl = TTL_SECONDS.to_string();
    let name = format!("{name}.");
    columns(&[(&name, 0), (&ttl, 24), ("IN", 32), (kind, 40), (data, 48)]) + "\n"
}

/// How many bytes a name takes in a message.
fn wire(name: &str) -> usize {
    name.len() + 2
}

fn bytes_of(record: &Record) -> usize {
    let data = match record.kind {
        RecordKind::A => 4,
        RecordKind::Aaaa => 16,
        RecordKind::Cname | RecordKind::Ptr => wire(&record.data),
        RecordKind::Srv => 6 + wire(record.data.rsplit(' ').next().unwrap_or_default()),
        RecordKind::Txt => 1 + record.data.len(),
    };
    wire(&record.name) + 10 + data
}

/// Prints what a server said.
pub(super) fn print(
    question: &Question,
    said: &Said,
    printed: Printed,
    asked_at: Time,
    io: &mut CommandIo<'_>,
) -> String {
    let records = said.records();
    if printed.short {
        return records.iter().map(|record| format!("{}\n", in_zone_file(record))).collect();
    }
    let rows: String =
        records.iter().map(|record| row(&record.name, record.kind.name(), &in_zone_file(record))).collect();
    if printed.only_answers {
        return rows;
    }
    // A search tells of the name that was found.
    let asked = records.first().filter(|_| question.search).map_or(&question.name, |first| &first.name);
    let asked = asked.trim_end_matches('.');
    let is_own = asked.ends_with(ZONE) || asked.ends_with("in-addr.arpa");
    let authority = if records.is_empty() && asked.ends_with(ZONE) {
        let serial = io.now().as_secs();
        row(ZONE, "SOA", &format!("ns.dns.{ZONE}. hostmaster.{ZONE}. {serial} 7200 1800 86400 30"))
    } else {
        String::new()
    };
    let status = if said.records.is_some() { "NOERROR" } else { "NXDOMAIN" };
    let (number, cookie) = (io.host.random() % 65_536, io.host.random());
    let size = BYTES_BESIDES
        + wire(asked)
        + 4
        + records.iter().map(bytes_of).sum::<usize>()
        + if authority.is_empty() { 0 } else { 93 };
    let section = |title: &str, rows: &str| match rows {
        "" => String::new(),
        rows => format!(";; {title} SECTION:\n{rows}\n"),
    };
    let question_row = columns(&[(&format!(";{asked}."), 0), ("IN", 32), (question.kind.name(), 40)]);
    let address = said.address();
    let now = io.now();
    format!(
        "\n; <<>> DiG 9.18.33 <<>> {}\n;; global options: +cmd\n;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: \
         {status}, id: {number}\n;; flags: qr {}rd; QUERY: 1, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: 1\n;; WARNING: \
         recursion requested but not available\n\n;; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: 1232\n; COOKIE: \
         {cookie:016x} (echoed)\n;; QUESTION SECTION:\n{question_row}\n\n{}{};; Query time: {} msec\n;; SERVER: \
         {address}#53({address}) (UDP)\n;; WHEN: {}\n;; MSG SIZE  rcvd: {size}\n\n",
        io.arguments().join(" "),
        if is_own { "aa " } else { "" },
        records.len(),
        usize::from(!authority.is_empty()),
        section("ANSWER", &rows),
        section("AUTHORITY", &authority),
        now.since(asked_at).as_millis(),
        format_time(now, "%a %b %d %H:%M:%S UTC %Y"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_where_digs_stand() {
        let long = "kubernetes.default.svc.cluster.local";
        assert_eq!(row(long, "A", "10.96.0.1"), "kubernetes.default.svc.cluster.local. 30 IN A\t10.96.0.1\n");
        assert_eq!(row("example.com", "A", "10.0.0.1"), "example.com.\t\t30\tIN\tA\t10.0.0.1\n");
        assert_eq!(columns(&[(";example.com.", 0), ("IN", 32), ("A", 40)]), ";example.com.\t\t\tIN\tA");
    }
}
