//! Marks on the timeline: what the user did, what went wrong, what changed.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Node;
use serde::{Deserialize, Serialize};

use k8s_openapi::Metadata as _;

use crate::api::{Object, Resource as _, controller_of};
use crate::etcd::Commit;
use crate::machinery::time::Time;

use super::events::EventRow;
use super::{Sentence, Subject};

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MarkKind {
    /// The user did something.
    Action,
    /// Something went wrong.
    Trouble,
    /// Something changed.
    Change,
}

impl MarkKind {
    /// A name without blanks for attributes and style sheets.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Trouble => "trouble",
            Self::Change => "change",
        }
    }
}

/// A moment worth finding again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Time,
    /// What kind of moment.
    pub kind: MarkKind,
    /// In words.
    pub text: Sentence,
    /// What it is about.
    pub subject: Option<Subject>,
}

/// The mark that a commit deserves, if any. What the user does is marked when it is done, not here.
#[must_use]
pub fn mark_of(commit: &Commit) -> Option<Mark> {
    let (kind, text) = match commit.object() {
        Object::Event(event) if commit.before.is_none() => {
            let row = EventRow::of(event);
            let subject = row.subject.clone();
            let text = Sentence::new("{}: {}", [row.reason, row.message]);
            return row.warning.then_some(Mark {
                at: commit.time,
                kind: MarkKind::Trouble,
                text,
                subject: Some(subject),
            });
        }
        Object::Node(_) => node_mark(commit)?,
        Object::ReplicaSet(set) => (MarkKind::Change, roll_out_begins(commit, set)?),
        Object::Deployment(_) => (MarkKind::Change, roll_out_ends(commit)?),
        _ => return None,
    };
    Some(Mark { at: commit.time, kind, text, subject: Some(Subject::of(commit.object())) })
}

fn node_mark(commit: &Commit) -> Option<(MarkKind, Sentence)> {
    let ready = |object: &Option<Object>| -> Option<String> {
        let node = object.as_ref()?.downcast::<Node>()?;
        let conditions = node.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.clone())
    };
    let name = commit.key.name.to_string();
    match (&commit.before, &commit.after) {
        (None, Some(_)) => Some((MarkKind::Change, Sentence::new("{} joined the cluster.", [name]))),
        (Some(_), None) => Some((MarkKind::Change, Sentence::new("{} left the cluster.", [name]))),
        _ => match (ready(&commit.before), ready(&commit.after)?.as_str()) {
            (Some(before), after) if before == after => None,
            (_, "True") => Some((MarkKind::Change, Sentence::new("{} is ready.", [name]))),
            (None, _) => None,
            (_, "Unknown") => Some((MarkKind::Trouble, Sentence::new("{} does not answer any more.", [name]))),
            _ => Some((MarkKind::Trouble, Sentence::new("{} is not ready.", [name]))),
        },
    }
}

fn roll_out_begins(commit: &Commit, set: &ReplicaSet) -> Option<Sentence> {
    if commit.before.is_some() {
        return None;
    }
    let owner = controller_of(set.metadata()).filter(|owner| owner.kind == "Deployment")?;
    Some(Sentence::new("{} begins to roll out {}.", [owner.name.clone(), set.name().to_owned()]))
}

fn roll_out_ends(commit: &Commit) -> Option<Sentence> {
    let done = |object: &Option<Object>| {
        let deployment = object.as_ref()?.downcast::<Deployment>()?;
        let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
        let progress = conditions.iter().find(|condition| condition.type_ == "Progressing")?;
        Some(progress.reason.as_deref() == Some("NewReplicaSetAvailable"))
    };
    let is_done = done(&commit.after)?;
    (is_done && done(&commit.before) != Some(true))
        .then(|| Sentence::new("{} is rolled out.", [commit.key.name.to_string()]))
}
