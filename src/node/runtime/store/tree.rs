//! ZooKeeper: the tree of nodes, and the four-letter words. Its client writes to every server of the ensemble.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Reply, Statement, escape, read, unescape, words, write};
use crate::machinery::shell::files::WriteAt;
use crate::machinery::shell::{CommandIo, utilities};
use crate::machinery::time::Time;

/// Where the tree is kept.
const FILE: &str = "/var/lib/zookeeper/data/version-2/log.100000001";

#[derive(Clone, Debug, Default)]
struct Node {
    data: String,
    created: u64,
    changed: u64,
    version: u32,
    made: Time,
    modified: Time,
}

/// A server's tree.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Tree {
    nodes: BTreeMap<String, Node>,
    transaction: u64,
}

impl Tree {
    #[expect(clippy::unnecessary_wraps, reason = "every store begins in the same way")]
    pub(super) fn begin(&mut self, io: &mut CommandIo<'_>) -> Result<(), String> {
        let now = io.now();
        for line in read(FILE, io).lines() {
            let mut parts = line.split('\t');
            let (Some(verb), Some(path)) = (parts.next(), parts.next()) else { continue };
            self.apply(verb, path, unescape(parts.next().unwrap_or_default()), now);
        }
        Ok(())
    }

    fn apply(&mut self, verb: &str, path: &str, data: String, now: Time) {
        self.transaction += 1;
        if verb == "delete" {
            self.nodes.remove(path);
            return;
        }
        let transaction = 0x1_0000_0001 + self.transaction;
        let node = self.nodes.entry(path.to_owned()).or_insert_with(|| Node {
            created: transaction,
            made: now,
            ..Node::default()
        });
        node.version = if verb == "set" { node.version + 1 } else { 0 };
        (node.data, node.changed, node.modified) = (data, transaction, now);
    }

    pub(super) fn answer(&mut self, statement: &Statement<'_>, io: &mut CommandIo<'_>) -> Reply {
        let said = words(&statement.text).unwrap_or_default();
        let verb = said.first().map_or("", String::as_str);
        let path = said.get(1).cloned().unwrap_or_default();
        let data = said.get(2..).unwrap_or_default().join(" ");
        let parent = crate::machinery::shell::files::parent(&path).to_owned();
        let is_there = self.nodes.contains_key(&path);
        match verb {
            "" => Reply::ok(""),
            "ruok" => Reply::ok("imok"),
            "stat" | "srvr" if path.is_empty() => Reply::ok(format!(
                "Zookeeper version: 3.4.10, built on 03/23/2017 10:13 GMT\nLatency min/avg/max: 0/0/0\nReceived: 1\nSent: 0\nConnections: 1\nOutstanding: 0\nZxid: {:#x}\nMode: follower\nNode count: {}\n",
                0x1_0000_0001 + self.transaction,
                self.nodes.len() + 4
            )),
            "create" if is_there => Reply::error(format!("Node already exists: {path}\n")),
            "set" | "get" | "stat" | "delete" | "ls" if !is_there && path != "/" && !path.starts_with("/zookeeper") => {
                Reply::error(format!("Node does not exist: {path}\n"))
            }
            "create" if parent != "/" && !self.nodes.contains_key(&parent) => {
                Reply::error(format!("Node does not exist: {path}\n"))
            }
            "create" | "set" | "delete" => {
                write(FILE, &format!("{verb}\t{path}\t{}\n", escape(&data)), WriteAt::End, io);
                self.apply(verb, &path, data, io.now());
                Reply::ok(match verb {
                    "create" => format!("Created {path}\n"),
                    "set" => self.told(&path, false),
                    _ => String::new(),
                })
            }
            "get" => Reply::ok(self.told(&path, true)),
            "stat" => Reply::ok(self.told(&path, false)),
            "ls" => {
                let prefix = format!("{}/", path.trim_end_matches('/'));
                let below =
                    self.nodes.keys().filter_map(|key| key.strip_prefix(&prefix)).filter(|key| !key.contains('/'));
                let mut names: Vec<&str> = below.collect();
                if path == "/" {
                    names.push("zookeeper");
                }
                Reply::ok(format!("[{}]\n", names.join(", ")))
            }
            _ => Reply::error("ZooKeeper -server host:port cmd args\n"),
        }
    }

    /// A node as the client shows it.
    fn told(&self, path: &str, with_data: bool) -> String {
        let Some(node) = self.nodes.get(path) else { return String::new() };
        let date = |time| utilities::format_time(time, "%a %b %d %H:%M:%S UTC %Y");
        let mut text = if with_data { format!("{}\n", node.data) } else { String::new() };
        let _ = write!(
            text,
            "cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\ncversion = 0\ndataVersion = {}\naclVersion = 0\nephemeralOwner = 0x0\ndataLength = {}\nnumChildren = {}\n",
            node.created,
            date(node.made),
            node.changed,
            date(node.modified),
            node.created,
            node.version,
            node.data.len(),
            self.nodes.keys().filter(|key| crate::machinery::shell::files::parent(key) == path).count()
        );
        text
    }
}
