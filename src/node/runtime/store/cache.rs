//! memcached: its text protocol, as `nc` speaks it. Nothing outlives the process.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Reply, Statement};
use crate::machinery::shell::CommandIo;

/// What memcached holds, with each item's flags.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Cache {
    items: BTreeMap<String, (u32, String)>,
    gets: u64,
    hits: u64,
    sets: u64,
}

impl Cache {
    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &CommandIo<'_>) -> Reply {
        let text = statement.text.replace("\r\n", "\n");
        let mut lines = text.lines();
        let mut out = String::new();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["quit", ..] => break,
                [verb @ ("set" | "add" | "replace" | "append" | "prepend"), key, flags, _, _, ..] => {
                    let data = lines.next().unwrap_or_default();
                    out.push_str(self.store(verb, key, flags.parse().unwrap_or(0), data));
                }
                other => self.other(other, io, &mut out),
            }
        }
        Reply::ok(out)
    }

    fn store(&mut self, verb: &str, key: &str, flags: u32, data: &str) -> &'static str {
        let held = self.items.get(key).map(|(_, data)| data.clone());
        let data = match (verb, held) {
            ("set", _) | ("add", None) | ("replace", Some(_)) => data.to_owned(),
            ("append", Some(held)) => held + data,
            ("prepend", Some(held)) => data.to_owned() + &held,
            _ => return "NOT_STORED\r\n",
        };
        self.sets += 1;
        self.items.insert(key.to_owned(), (flags, data));
        "STORED\r\n"
    }

    fn other(&mut self, words: &[&str], io: &CommandIo<'_>, out: &mut String) {
        match words {
            ["get" | "gets", keys @ ..] if !keys.is_empty() => {
                for key in keys {
                    self.gets += 1;
                    if let Some((flags, data)) = self.items.get(*key) {
                        self.hits += 1;
                        let _ = write!(out, "VALUE {key} {flags} {}\r\n{data}\r\n", data.len());
                    }
                }
                out.push_str("END\r\n");
            }
            ["delete", key, ..] => {
                out.push_str(if self.items.remove(*key).is_some() { "DELETED\r\n" } else { "NOT_FOUND\r\n" });
            }
            [verb @ ("incr" | "decr"), key, by, ..] => {
                let Some((_, data)) = self.items.get_mut(*key) else {
                    out.push_str("NOT_FOUND\r\n");
                    return;
                };
                match (data.parse::<u64>(), by.parse::<u64>()) {
                    (Ok(held), Ok(by)) => {
                        let next = if *verb == "incr" { held.wrapping_add(by) } else { held.saturating_sub(by) };
                        *data = next.to_string();
                        let _ = write!(out, "{next}\r\n");
                    }
                    _ => out.push_str("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"),
                }
            }
            ["flush_all", ..] => {
                self.items.clear();
                out.push_str("OK\r\n");
            }
            ["version"] => out.push_str("VERSION 1.6.39\r\n"),
            ["verbosity", ..] => out.push_str("OK\r\n"),
            ["stats"] => self.stats(io, out),
            _ => out.push_str("ERROR\r\n"),
        }
    }

    fn stats(&self, io: &CommandIo<'_>, out: &mut String) {
        let uptime = io.now().since(io.process.started).as_secs();
        let bytes: usize = self.items.iter().map(|(key, (_, data))| key.len() + data.len() + 49).sum();
        let rows = [
            ("pid", u64::from(io.process.pid)),
            ("uptime", uptime),
            ("time", io.now().as_secs()),
            ("curr_connections", 2),
            ("cmd_get", self.gets),
            ("cmd_set", self.sets),
            ("get_hits", self.hits),
            ("get_misses", self.gets - self.hits),
            ("limit_maxbytes", 67_108_864),
            ("threads", 4),
            ("bytes", bytes as u64),
            ("curr_items", self.items.len() as u64),
            ("total_items", self.sets),
        ];
        for (name, value) in rows {
            let _ = write!(out, "STAT {name} {value}\r\n");
        }
        out.push_str("END\r\n");
    }
}
