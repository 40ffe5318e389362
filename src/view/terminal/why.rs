//! `kubectl why`: why an object is as it is. No other cluster's kubectl has it, so it is a plugin, as kubectl calls
//! programs on its path whose names begin with `kubectl-`.
//!
//! It tells what the inspector shows: the chain of writes that led to the object, what happened to it since, and how the
//! scheduler came to a pod's node.

use crate::api::{Kind, ObjectKey};
use crate::kubectl;
use crate::machinery::shell::{CommandIo, CommandPoll, CommandRun};
use crate::machinery::time::Time;
use crate::session::Session;
use crate::view::why::Link;
use crate::view::{Subject, decision, host, why};

const USAGE: &str = "usage: kubectl why [-n NAMESPACE] [KIND/]NAME\n\nTells why an object is as it is: who made it and for \
                     what reason, what happened to it since, and how a pod's node was chosen.\nThis command is Kubetab's \
                     own: clusters elsewhere do not know such things of themselves.\n";

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The namespace of kubectl's current context.
    pub namespace: String,
}

/// What is asked about.
struct Question {
    namespace: String,
    kind: String,
    name: String,
}

impl Program {
    fn question(&self, words: &[String]) -> Option<Question> {
        let mut namespace = self.namespace.clone();
        let mut named = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-n" | "--namespace" => namespace.clone_from(words.next()?),
                word if word.starts_with("--namespace=") => word[12..].clone_into(&mut namespace),
                word if word.starts_with("-n") => word[2..].clone_into(&mut namespace),
                word if word.starts_with('-') => return None,
                word => named.push(word),
            }
        }
        let (kind, name) = match named[..] {
            [name] => name.split_once('/').unwrap_or(("pod", name)),
            [kind, name] => (kind, name),
            _ => return None,
        };
        Some(Question { namespace, kind: kind.to_owned(), name: name.to_owned() })
    }
}

impl CommandRun for Program {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        let words: Vec<String> = io.arguments().into_iter().filter(|word| word != "why").collect();
        let Some(question) = self.question(&words) else {
            io.write(2, USAGE.as_bytes());
            return CommandPoll::Exited(i32::from(!words.iter().any(|word| word == "-h" || word == "--help")));
        };
        let session = io.host.world().and_then(|world| world.downcast_mut::<Session>());
        let told =
            session.ok_or_else(|| "there is no cluster here".to_owned()).and_then(|session| tell(session, &question));
        match told {
            Ok(text) => {
                io.out(&text);
                CommandPoll::Exited(0)
            }
            Err(why) => {
                io.write(2, format!("{why}\n").as_bytes());
                CommandPoll::Exited(1)
            }
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

fn tell(session: &Session, question: &Question) -> Result<String, String> {
    let kind = kubectl::kind_named(session, &question.kind)
        .ok_or_else(|| format!("error: the server doesn't have a resource type {:?}", question.kind))?;
    let namespace = if kind.info().namespaced { question.namespace.as_str() } else { "" };
    let key = ObjectKey::new(namespace, question.name.as_str());
    let subject = Subject::from_key(kind, &key);
    let cluster = session.cluster();
    let etcd = cluster.api().etcd();
    let changes = why::changes(etcd, kind, &subject);
    let Some(first) = changes.first() else {
        let resource = kind.resource();
        return Err(format!("Error from server (NotFound): {resource} {:?} not found", question.name));
    };
    let now = cluster.now();
    let mut text = format!("{subject}\n\nHow it came to be:\n");
    text.push_str(&links(&why::chain(etcd, first.revision), now, true));
    if changes.len() > 1 {
        text.push_str("\nWhat happened to it since:\n");
        text.push_str(&links(&changes[1..], now, false));
    }
    let uid = etcd.get(kind, &key).and_then(|object| object.metadata().uid.clone());
    if let Some(explanation) = uid.filter(|_| kind == Kind::Pod).and_then(|uid| host::explanation(cluster, &uid)) {
        text.push_str(&choice(&decision::of(explanation)));
    }
    Ok(text)
}

/// Links as a table: how long ago, who, what was written, and why.
fn links(links: &[Link], now: Time, tells_objects: bool) -> String {
    let mut rows = String::new();
    for link in links {
        let object = if tells_objects {
            format!("\t{}/{}", link.subject.kind.to_lowercase(), link.subject.name)
        } else {
            String::new()
        };
        let ago = now.since(link.at).as_secs();
        rows.push_str(&format!("  {ago}s ago\t{}{object}\t{}\n", link.name, link.sentence));
    }
    kubectl::table(&rows)
}

/// How the scheduler came to its choice: a row for each node.
fn choice(decision: &crate::view::inspect::Decision) -> String {
    let mut text = match &decision.chosen {
        Some(node) => format!("\nHow its node was chosen: {node} has the most points.\n"),
        None => format!("\nWhy it has no node: {}\n", decision.message),
    };
    let short = |plugin: &String| plugin.replace("PodTopologySpread", "TopologySpread");
    let headings: Vec<String> = decision.plugins.iter().map(short).collect();
    let mut rows = format!("  NODE\tPOINTS\t{}\n", headings.join("\t"));
    for node in &decision.nodes {
        match &node.filtered_by {
            Some(plugin) => {
                rows.push_str(&format!("  {}\t-\truled out by {plugin}: {}\n", node.node, node.reasons.join(", ")))
            }
            None => {
                let scores: Vec<String> = node.scores.iter().map(ToString::to_string).collect();
                rows.push_str(&format!("  {}\t{}\t{}\n", node.node, node.total, scores.join("\t")));
            }
        }
    }
    text.push_str(&kubectl::table(&rows));
    if !decision.legend.is_empty() {
        text.push_str("\nWhat the plugins look at:\n");
    }
    for entry in &decision.legend {
        let mark = if entry.rules_out { "rules out" } else { "points" };
        text.push_str(&format!("  {} ({mark}): {}\n", entry.plugin, entry.sentence));
    }
    text
}
