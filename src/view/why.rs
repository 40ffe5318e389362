//! Why an object is as it is: the chain of writes that led to it, read from the store's record of causes.

use serde::{Deserialize, Serialize};

use crate::api::{Kind, Object};
use crate::etcd::{Commit, Etcd, Revision};
use crate::machinery::time::Time;

use super::{Actor, Sentence, Subject};

/// How many links of a chain are told; longer ones are cut at their beginning.
const LINKS_MAX: usize = 24;
/// How many of an object's own changes are listed; the oldest are left out, but never its creation.
const CHANGES_MAX: usize = 40;

/// What a write did to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It was asked to go.
    Deleting,
    /// It is gone.
    Deleted,
}

/// A write with who made it and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The revision that it made.
    pub revision: Revision,
    /// When.
    pub at: Time,
    /// Where on the page the writer is drawn.
    pub actor: Actor,
    /// The writer's own name: `deployment-controller`.
    pub name: String,
    /// What was written.
    pub subject: Subject,
    /// What it did to the object.
    pub change: Change,
    /// The reason.
    pub sentence: Sentence,
}

/// The chain of causes that ends with `revision`, oldest first.
#[must_use]
pub fn chain(etcd: &Etcd, revision: Revision) -> Vec<Link> {
    let mut links = Vec::new();
    let mut next = Some(revision);
    while let Some(commit) = next.and_then(|revision| etcd.commit_at(revision)) {
        links.push(link(commit));
        // A trigger always lies before what it led to; anything else would never end.
        next = commit.cause.trigger.filter(|&trigger| trigger < commit.revision);
        if links.len() >= LINKS_MAX {
            break;
        }
    }
    links.reverse();
    links
}

/// The changes of one object, oldest first, since it was last created. Repetitions of the same reason are told once.
#[must_use]
pub fn changes(etcd: &Etcd, kind: Kind, subject: &Subject) -> Vec<Link> {
    let key = subject.key();
    let mut links: Vec<Link> = Vec::new();
    for commit in etcd.history(kind, &key) {
        let link = link(commit);
        let created = link.change == Change::Created;
        let repeated = links.last().is_some_and(|later| later.sentence == link.sentence && later.name == link.name);
        if repeated {
            // The earliest of the repetitions is the one that says since when.
            links.pop();
        }
        if links.len() < CHANGES_MAX || created {
            links.push(link);
        }
        if created {
            break;
        }
    }
    links.reverse();
    links
}

/// A commit as a link of a chain.
#[must_use]
pub fn link(commit: &Commit) -> Link {
    let change = change(commit);
    let subject = Subject::of(commit.object());
    let sentence =
        if commit.cause.why.template.is_empty() { plain(change, &subject) } else { Sentence::from(&commit.cause.why) };
    Link {
        revision: commit.revision,
        at: commit.time,
        actor: Actor::from_name(&commit.cause.actor),
        name: commit.cause.actor.to_string(),
        subject,
        change,
        sentence,
    }
}

/// What a writer did, when it did not say why.
fn plain(change: Change, subject: &Subject) -> Sentence {
    let template = match change {
        Change::Created => "Created {} {}.",
        Change::Updated => "Changed {} {}.",
        Change::Deleting => "Asked {} {} to end.",
        Change::Deleted => "Removed {} {}.",
    };
    Sentence::new(template, [subject.kind.clone(), subject.name.clone()])
}

fn change(commit: &Commit) -> Change {
    let is_deleting = |object: &Option<Object>| object.as_ref().is_some_and(Object::is_deleting);
    match (&commit.before, &commit.after) {
        (None, _) => Change::Created,
        (Some(_), None) => Change::Deleted,
        _ if is_deleting(&commit.after) && !is_deleting(&commit.before) => Change::Deleting,
        _ => Change::Updated,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::etcd::{Cause, Why};

    fn write(etcd: &mut Etcd, kind: Kind, name: &str, actor: &str, why: &'static str, trigger: Option<Revision>) {
        let value = json!({"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": []}});
        let object = Object::from_value(kind, &value).expect("an object");
        let cause = Cause { trigger, ..Cause::new(actor, Why::new(why, [name.to_owned()])) };
        match etcd.get(kind, &object.key()).cloned() {
            Some(before) => etcd.update(Time::DEFAULT_START, &before, object, cause),
            None => etcd.create(Time::DEFAULT_START, object, cause),
        }
        .expect("a write");
    }

    #[test]
    fn a_chain_leads_back_to_the_user() {
        let mut etcd = Etcd::new();
        write(&mut etcd, Kind::ConfigMap, "web", "kubectl", "You applied {}.", None);
        write(&mut etcd, Kind::ConfigMap, "other", "kubectl", "You applied {}.", None);
        write(&mut etcd, Kind::Secret, "web-1", "deployment-controller", "Made {}.", Some(1));
        write(&mut etcd, Kind::Pod, "web-1-a", "replicaset-controller", "Made {}.", Some(3));
        write(&mut etcd, Kind::Pod, "web-1-a", "kube-scheduler", "Chose a node for {}.", Some(4));
        let told: Vec<String> =
            chain(&etcd, 5).iter().map(|link| format!("{}: {}", link.name, link.sentence)).collect();
        assert_eq!(
            told,
            [
                "kubectl: You applied web.",
                "deployment-controller: Made web-1.",
                "replicaset-controller: Made web-1-a.",
                "kube-scheduler: Chose a node for web-1-a.",
            ]
        );
    }

    #[test]
    fn repeated_changes_are_told_once() {
        let mut etcd = Etcd::new();
        write(&mut etcd, Kind::Pod, "a", "kubectl", "You applied {}.", None);
        for _ in 0..3 {
            write(&mut etcd, Kind::Pod, "a", "kubelet/node-1", "{} is alive.", None);
        }
        let links = changes(&etcd, Kind::Pod, &Subject::new("Pod", "default", "a"));
        let told: Vec<_> = links.iter().map(|link| (link.revision, link.change, link.actor.clone())).collect();
        assert_eq!(told, [(1, Change::Created, Actor::You), (2, Change::Updated, Actor::Node("node-1".to_owned()))]);
    }
}
