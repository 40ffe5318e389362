//! Why a revision exists.

use std::fmt;
use std::sync::Arc;

use crate::api::Name;
use crate::etcd::{Ownership, Revision};

/// Who made a write, what made them act, and why they did it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// The client: `kubectl`, `deployment-controller`, `kubelet/node-1` …
    pub actor: Name,
    /// The newest revision whose watch event led to the write; `None` when a person or a timer did.
    pub trigger: Option<Revision>,
    /// The reason in words.
    pub why: Why,
    /// Who owns the fields that were written.
    pub ownership: Ownership,
}

impl Cause {
    /// A cause without a trigger.
    pub fn new(actor: impl Into<Name>, why: Why) -> Self {
        Self { actor: actor.into(), trigger: None, why, ownership: Ownership::Kept }
    }
}

/// A reason in words that can be said in another language: an English sentence with `{}` gaps, and what fills them.
///
/// The English sentence is the key under which the page looks up a translation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// The sentence; each `{}` is a gap.
    pub template: &'static str,
    /// What fills the gaps, in order.
    pub values: Arc<[String]>,
}

impl Why {
    /// A sentence without gaps.
    #[must_use]
    pub fn plain(template: &'static str) -> Self {
        Self { template, values: Arc::default() }
    }

    /// A sentence and what fills its gaps.
    #[must_use]
    pub fn new(template: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        Self { template, values: values.into_iter().collect() }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values = self.values.iter();
        let mut rest = self.template;
        while let Some((before, after)) = rest.split_once("{}") {
            f.write_str(before)?;
            f.write_str(values.next().map_or("", String::as_str))?;
            rest = after;
        }
        f.write_str(rest)
    }
}
