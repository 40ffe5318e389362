//! How a plugin says no.

use smallvec::SmallVec;

use crate::api::Name;

use super::plugin::Plugin;

/// Why, in the words that the pod's condition and event use.
#[derive(Clone, Debug)]
pub enum Reason {
    /// Words that are always the same.
    Fixed(&'static str),
    /// Words made for the occasion.
    Made(Name),
}

impl Reason {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Reason {}

/// Whether taking other pods away could help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It could.
    Unschedulable,
    /// It could not.
    UnschedulableAndUnresolvable,
    /// Something is wrong that is no question of nodes: the cycle ends.
    Error,
}

/// A plugin's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Who says it; `None` for nodes that were ruled out together.
    pub plugin: Option<Plugin>,
    /// Whether preemption could help.
    pub code: Code,
    /// Why; several when several things are missing.
    pub reasons: SmallVec<[Reason; 1]>,
}

impl Rejection {
    /// A no that preemption could turn into a yes.
    #[must_use]
    pub fn unschedulable(plugin: Plugin, reason: &'static str) -> Self {
        Self::new(plugin, Code::Unschedulable, reason)
    }

    /// A no that preemption could not change.
    #[must_use]
    pub fn unresolvable(plugin: Plugin, reason: &'static str) -> Self {
        Self::new(plugin, Code::UnschedulableAndUnresolvable, reason)
    }

    /// The same in words made for the occasion.
    #[must_use]
    pub fn unresolvable_made(plugin: Plugin, reason: String) -> Self {
        let reasons = SmallVec::from_iter([Reason::Made(reason.into())]);
        Self { plugin: Some(plugin), code: Code::UnschedulableAndUnresolvable, reasons }
    }

    /// Something is wrong with what the pod asks for.
    #[must_use]
    pub fn error(plugin: Plugin, reason: String) -> Self {
        Self { code: Code::Error, ..Self::unresolvable_made(plugin, reason) }
    }

    /// The same for several reasons.
    #[must_use]
    pub fn unresolvable_for(plugin: Plugin, reasons: &[&'static str]) -> Self {
        let reasons = reasons.iter().map(|reason| Reason::Fixed(reason)).collect();
        Self { plugin: Some(plugin), code: Code::UnschedulableAndUnresolvable, reasons }
    }

    fn new(plugin: Plugin, code: Code, reason: &'static str) -> Self {
        Self { plugin: Some(plugin), code, reasons: SmallVec::from_iter([Reason::Fixed(reason)]) }
    }

    /// The reasons as one text.
    #[must_use]
    pub fn message(&self) -> String {
        let reasons: Vec<&str> = self.reasons.iter().map(Reason::as_str).collect();
        reasons.join(", ")
    }
}
