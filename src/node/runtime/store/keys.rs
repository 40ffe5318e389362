//! redis: its commands on texts, lists, hashes, sets and sorted sets, its configuration, persistence and replication.
//!
//! What is kept is written as the commands that make it anew: that is what `dump.rdb` and the append-only file hold here, and
//! what a replica is given. What is not there: several databases, transactions, scripts, subscriptions, eviction.

mod commands;
mod config;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use super::notation::Value;
use super::{Reply, Statement, read, words, write};
use crate::machinery::shell::files::WriteAt;
use crate::machinery::shell::{CommandIo, HttpRequest};
use crate::machinery::time::Time;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
enum Data {
    Text(String),
    List(VecDeque<String>),
    Hash(BTreeMap<String, String>),
    Set(BTreeSet<String>),
    Sorted(BTreeMap<String, f64>),
}

#[derive(Clone, Debug)]
struct Entry {
    data: Data,
    expires: Option<Time>,
}

/// Everything of a server.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Keys {
    entries: BTreeMap<String, Entry>,
    settings: BTreeMap<String, String>,
    version: String,
    began: Time,
    /// How many writes there were.
    changes: u64,
    commands: u64,
    /// How much of the leader is known here.
    known: Option<String>,
    link_is_up: bool,
    /// Whether it was told to end.
    pub(super) ends: bool,
    /// The replicas that asked lately.
    replicas: BTreeMap<String, Time>,
}

/// How long a replica that does not ask any more counts as connected.
const REPLICA_SECONDS: u64 = 5;

impl Keys {
    pub(super) fn begin(&mut self, version: &str, io: &mut CommandIo<'_>) -> Result<(), String> {
        version.clone_into(&mut self.version);
        self.began = io.now();
        self.settings = config::load(version, io)?;
        let file = if self.appends() { self.append_file() } else { self.dump_file() };
        let now = io.now();
        for line in read(&file, io).lines() {
            let words = words(line).unwrap_or_default();
            self.run(&words, now);
        }
        self.changes = 0;
        Ok(())
    }

    pub(super) fn port(&self) -> Option<u16> {
        self.settings.get("port").and_then(|port| port.parse().ok())
    }

    fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or_else(|| config::default(name), String::as_str)
    }

    fn appends(&self) -> bool {
        self.setting("appendonly") == "yes"
    }

    fn append_file(&self) -> String {
        format!("{}/appendonlydir/appendonly.aof.1.incr.aof", self.setting("dir").trim_end_matches('/'))
    }

    fn dump_file(&self) -> String {
        format!("{}/{}", self.setting("dir").trim_end_matches('/'), self.setting("dbfilename"))
    }

    /// Writes the dump; whether it could.
    pub(super) fn save(&self, io: &mut CommandIo<'_>) -> bool {
        self.setting("save").is_empty() || write(&self.dump_file(), &self.dump(), WriteAt::Start, io)
    }

    /// The commands that make everything anew.
    fn dump(&self) -> String {
        let mut out = String::new();
        for (key, entry) in &self.entries {
            let key = literal(key);
            let list = |verb: &str, items: Vec<&String>| {
                let items: Vec<String> = items.into_iter().map(|item| literal(item)).collect();
                format!("{verb} {key} {}", items.join(" "))
            };
            let line = match &entry.data {
                Data::Text(text) => format!("SET {key} {}", literal(text)),
                Data::List(items) => list("RPUSH", items.iter().collect()),
                Data::Set(items) => list("SADD", items.iter().collect()),
                Data::Hash(fields) => list("HSET", fields.iter().flat_map(|(name, value)| [name, value]).collect()),
                Data::Sorted(members) => {
                    let pairs = members.iter().map(|(member, score)| format!("{score} {}", literal(member)));
                    format!("ZADD {key} {}", pairs.collect::<Vec<_>>().join(" "))
                }
            };
            let _ = writeln!(out, "{line}");
            if let Some(time) = entry.expires {
                let _ = writeln!(out, "PEXPIREAT {key} {}", time.as_micros() / 1000);
            }
        }
        out
    }

    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &mut CommandIo<'_>) -> Reply {
        let now = io.now();
        if statement.has("replica") {
            self.replicas.insert(statement.request.client.clone(), now);
            let own = format!("{}:{}", self.began.as_micros(), self.changes);
            let known = statement.option("replica");
            return Reply::ok(if known == own { String::new() } else { format!("{own}\n{}", self.dump()) });
        }
        let is_wire = !statement.has("format");
        let lines: Vec<&str> = if is_wire { statement.text.lines().collect() } else { vec![&statement.text] };
        let (mut out, mut status, mut remember) = (String::new(), 200, Vec::new());
        for line in lines.into_iter().filter(|line| !line.trim().is_empty()) {
            let value = match words(line) {
                Some(words) if words.is_empty() => continue,
                Some(words) => self.command(&words, statement, &mut remember, io),
                None => Value::error("ERR Protocol error: unbalanced quotes in request"),
            };
            if let Value::Nil = value
                && let Some(seconds) = waits(line).filter(|_| !is_wire)
            {
                return Reply { status: 202, text: seconds, remember };
            }
            if matches!(value, Value::Error(_)) {
                status = 400;
            }
            match statement.option("format") {
                "people" => value.for_people(0, &mut out),
                "scripts" => value.for_scripts(&mut out),
                _ => value.for_wire(&mut out),
            }
        }
        // An error is shown like any other answer.
        let status = if is_wire { 200 } else { status };
        Reply { status, text: out, remember }
    }

    fn command(
        &mut self,
        words: &[String],
        statement: &Statement<'_>,
        remember: &mut Vec<(String, String)>,
        io: &mut CommandIo<'_>,
    ) -> Value {
        self.commands += 1;
        let verb = words[0].to_ascii_uppercase();
        let password = self.setting("requirepass").to_owned();
        if verb == "AUTH" {
            let given = words.last().cloned().unwrap_or_default();
            if password.is_empty() {
                return Value::error(
                    "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
                );
            }
            if given != password {
                return Value::error("WRONGPASS invalid username-password pair or user is disabled.");
            }
            remember.push(("password".to_owned(), given));
            return Value::ok();
        }
        if !password.is_empty() && statement.option("password") != password {
            return Value::error("NOAUTH Authentication required.");
        }
        if let Some(value) = self.administer(&verb, words, io) {
            return value;
        }
        if commands::writes(&verb) && self.leader().is_some() {
            return Value::error("READONLY You can't write against a read only replica.");
        }
        let now = io.now();
        let value = self.run(words, now);
        if commands::writes(&verb) && !matches!(value, Value::Error(_)) {
            self.changes += 1;
            if self.appends() {
                let line: Vec<String> = words.iter().map(|word| literal(word)).collect();
                write(&self.append_file(), &format!("{}\n", line.join(" ")), WriteAt::End, io);
            }
        }
        value
    }

    /// `CONFIG`.
    fn configure(&mut self, verb: &str, words: &[String]) -> Value {
        match verb {
            "get" => {
                let patterns = &words[2..];
                let names = config::names().filter(|name| {
                    patterns.iter().any(|pattern| commands::matches(&pattern.to_ascii_lowercase(), name))
                });
                let pairs: Vec<String> =
                    names.flat_map(|name| [name.to_owned(), self.setting(name).to_owned()]).collect();
                Value::texts(pairs)
            }
            "set" => match (words.get(2), words.get(3)) {
                (Some(name), Some(value)) if config::is_known(name) => {
                    let name = name.to_ascii_lowercase();
                    let value = config::value(&name, value);
                    self.settings.insert(name, value);
                    Value::ok()
                }
                (Some(name), Some(_)) => {
                    Value::error(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
                }
                _ => Value::error("ERR wrong number of arguments for 'config|set' command"),
            },
            _ => Value::ok(),
        }
    }

    /// What concerns the server and not its keys.
    fn administer(&mut self, verb: &str, words: &[String], io: &mut CommandIo<'_>) -> Option<Value> {
        let second = words.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
        Some(match (verb, second.as_str()) {
            ("CONFIG", verb) => self.configure(verb, words),
            ("INFO", section) => Value::Verbatim(self.info(section, io.now())),
            ("ROLE", _) => match self.leader() {
                Some((host, port)) => Value::List(vec![
                    Value::Text("slave".to_owned()),
                    Value::Text(host),
                    Value::Integer(i64::from(port)),
                    Value::Text(if self.link_is_up { "connected" } else { "connect" }.to_owned()),
                    Value::Integer(0),
                ]),
                None => Value::List(vec![Value::Text("master".to_owned()), Value::Integer(0), Value::List(Vec::new())]),
            },
            ("REPLICAOF" | "SLAVEOF", host) => {
                match (host, words.get(2)) {
                    ("no", _) => drop(self.settings.remove("replicaof")),
                    (_, Some(port)) => {
                        let value = format!("{} {port}", words[1]);
                        self.settings.insert("replicaof".to_owned(), value);
                        self.known = None;
                    }
                    _ => {
                        return Some(Value::error(format!(
                            "ERR wrong number of arguments for '{}' command",
                            verb.to_lowercase()
                        )));
                    }
                }
                Value::ok()
            }
            ("SHUTDOWN", _) => {
                self.ends = true;
                Value::Verbatim(String::new())
            }
            ("SAVE", _) => {
                if self.save(io) {
                    Value::ok()
                } else {
                    Value::error("ERR")
                }
            }
            ("BGSAVE", _) => {
                self.save(io);
                Value::Status("Background saving started".to_owned())
            }
            ("BGREWRITEAOF", _) => Value::Status("Background append only file rewriting started".to_owned()),
            ("LASTSAVE", _) => Value::Integer(i64::try_from(self.began.as_secs()).unwrap_or(0)),
            ("TIME", _) => {
                Value::texts([io.now().as_secs().to_string(), (io.now().as_micros() % 1_000_000).to_string()])
            }
            ("SELECT" | "CLIENT" | "RESET" | "READONLY" | "SWAPDB" | "MEMORY" | "WAIT", _) => Value::ok(),
            ("COMMAND" | "MODULE" | "SLOWLOG" | "ACL", _) => Value::List(Vec::new()),
            ("PUBLISH", _) => Value::Integer(0),
            _ => return None,
        })
    }

    /// Whom it follows.
    fn leader(&self) -> Option<(String, u16)> {
        let mut words = self.settings.get("replicaof")?.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    }

    pub(super) fn follow(&self) -> Option<HttpRequest> {
        let (host, port) = self.leader()?;
        let mut request = HttpRequest::raw(&host, port, "");
        request.headers.push(("replica".to_owned(), self.known.clone().unwrap_or_default()));
        Some(request)
    }

    pub(super) fn followed(&mut self, said: Option<String>, io: &CommandIo<'_>) -> Vec<String> {
        let Some((host, port)) = self.leader() else { return Vec::new() };
        let Some(said) = said else {
            self.link_is_up = false;
            let first = self.known.take().is_some() || self.commands == 0;
            self.commands = self.commands.max(1);
            return if first {
                vec![
                    format!("Connecting to MASTER {host}:{port}"),
                    "MASTER <-> REPLICA sync started".to_owned(),
                    "Error condition on socket for SYNC: Connection refused".to_owned(),
                ]
            } else {
                Vec::new()
            };
        };
        self.link_is_up = true;
        let Some((version, dump)) = said.split_once('\n') else { return Vec::new() };
        let is_first = self.known.is_none();
        self.entries.clear();
        let now = io.now();
        for line in dump.lines() {
            let words = words(line).unwrap_or_default();
            self.run(&words, now);
        }
        self.known = Some(version.to_owned());
        if !is_first {
            return Vec::new();
        }
        vec![
            format!("Connecting to MASTER {host}:{port}"),
            "MASTER <-> REPLICA sync started".to_owned(),
            "Non blocking connect for SYNC fired the event.".to_owned(),
            "Master replied to PING, replication can continue...".to_owned(),
            "MASTER <-> REPLICA sync: Finished with success".to_owned(),
        ]
    }

    pub(super) fn memory(&self) -> u64 {
        let of = |data: &Data| match data {
            Data::Text(text) => text.len(),
            Data::List(items) => items.iter().map(|item| item.len() + 16).sum(),
            Data::Set(items) => items.iter().map(|item| item.len() + 16).sum(),
            Data::Hash(fields) => fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum(),
            Data::Sorted(members) => members.keys().map(|member| member.len() + 40).sum(),
        };
        self.entries.iter().map(|(key, entry)| (key.len() + of(&entry.data) + 64) as u64).sum()
    }

    fn info(&self, section: &str, now: Time) -> String {
        let wanted = |name: &str| matches!(section, "" | "all" | "default" | "everything") || section == name;
        let mut out = String::new();
        let mut part = |name: &str, rows: Vec<(&str, String)>| {
            if !wanted(&name.to_ascii_lowercase()) {
                return;
            }
            if !out.is_empty() {
                out.push_str("\r\n");
            }
            let _ = write!(out, "# {name}\r\n");
            for (key, value) in rows {
                let _ = write!(out, "{key}:{value}\r\n");
            }
        };
        let uptime = now.since(self.began).as_secs();
        part(
            "Server",
            vec![
                ("redis_version", self.version.clone()),
                ("redis_mode", "standalone".to_owned()),
                ("os", "Linux 6.8.0-kubetab x86_64".to_owned()),
                ("process_id", "1".to_owned()),
                ("tcp_port", self.setting("port").to_owned()),
                ("uptime_in_seconds", uptime.to_string()),
                ("config_file", self.setting("config_file").to_owned()),
            ],
        );
        part("Clients", vec![("connected_clients", "1".to_owned()), ("blocked_clients", "0".to_owned())]);
        let used = 900_000 + self.memory();
        part(
            "Memory",
            vec![
                ("used_memory", used.to_string()),
                ("used_memory_human", format!("{:.2}K", used as f64 / 1024.0)),
                ("maxmemory", self.setting("maxmemory").to_owned()),
                ("maxmemory_policy", self.setting("maxmemory-policy").to_owned()),
            ],
        );
        part(
            "Persistence",
            vec![
                ("loading", "0".to_owned()),
                ("rdb_changes_since_last_save", self.changes.to_string()),
                ("aof_enabled", u8::from(self.appends()).to_string()),
            ],
        );
        part("Stats", vec![("total_commands_processed", self.commands.to_string())]);
        part("Replication", self.replication(now));
        if !self.entries.is_empty() || section == "keyspace" {
            let expiring = self.entries.values().filter(|entry| entry.expires.is_some()).count();
            let row = format!("keys={},expires={expiring},avg_ttl=0", self.entries.len());
            part("Keyspace", if self.entries.is_empty() { Vec::new() } else { vec![("db0", row)] });
        }
        out
    }

    fn replication(&self, now: Time) -> Vec<(&'static str, String)> {
        let alive = |seen: &Time| now.since(*seen).as_secs() < REPLICA_SECONDS;
        let connected: Vec<&String> =
            self.replicas.iter().filter(|(_, seen)| alive(seen)).map(|(address, _)| address).collect();
        let mut rows = Vec::new();
        match self.leader() {
            None => rows.push(("role", "master".to_owned())),
            Some((host, port)) => rows.extend([
                ("role", "slave".to_owned()),
                ("master_host", host),
                ("master_port", port.to_string()),
                ("master_link_status", if self.link_is_up { "up" } else { "down" }.to_owned()),
                ("slave_read_only", "1".to_owned()),
            ]),
        }
        rows.push(("connected_slaves", connected.len().to_string()));
        for (name, address) in ["slave0", "slave1", "slave2", "slave3", "slave4"].into_iter().zip(connected) {
            rows.push((name, format!("ip={address},port=6379,state=online,offset=0,lag=0")));
        }
        rows
    }
}

/// How long a command waits for something to come, if it is one that waits.
fn waits(line: &str) -> Option<String> {
    let words = words(line)?;
    let verb = words.first()?.to_ascii_uppercase();
    matches!(verb.as_str(), "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE").then(|| words.last().cloned())?
}

/// A text as a word that `words` reads.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r"))
}
