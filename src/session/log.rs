//! The log of a session: what it is made of, and what is refused when it comes from somewhere else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::machinery::json::{self, ReadError};
use crate::machinery::time::Time;
use crate::sim::Profile;

use super::action::Action;

/// What a session begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionConfig {
    /// The version of the engine; another version may play the same log differently.
    pub version: String,
    /// From which all chance follows.
    pub seed: u64,
    /// What the cluster is like at the beginning.
    pub profile: Profile,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), seed: 1, profile: Profile::default() }
    }
}

/// Something that was done, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The simulated moment.
    pub at: Time,
    /// What was done.
    pub action: Action,
}

/// A whole session as data. As JSON it is one object: the fields of the configuration, `entries`, `now` and `steps`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionLog {
    /// How it began.
    pub config: SessionConfig,
    /// What was done, in order.
    pub entries: Vec<LogEntry>,
    /// How far time had come.
    pub now: Time,
    /// How many steps the cluster had made: more than one may belong to one moment, and time may have been stopped in
    /// between. 0 means all of the last moment.
    pub steps: u64,
}

/// The part of a session's JSON that is no configuration.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Course {
    entries: Vec<LogEntry>,
    now: Time,
    steps: u64,
}

/// Why a log from somewhere else is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogError {
    /// It is no JSON of a session log.
    Malformed(String),
    /// It has too many entries.
    TooLong(usize),
    /// It asks for too many nodes.
    TooManyNodes(usize),
    /// An entry is earlier than the one before it, or than the beginning.
    OutOfOrder(usize),
    /// It goes further than a session may.
    TooFar,
    /// Its cluster cannot begin.
    BadProfile(String),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "this is no Kubetab session: {why}"),
            Self::TooLong(entries) => {
                write!(f, "the session has {entries} actions; at most {} are taken", SessionLog::ENTRIES_MAX)
            }
            Self::TooManyNodes(nodes) => {
                write!(f, "the session has {nodes} nodes; at most {} are taken", SessionLog::NODES_MAX)
            }
            Self::OutOfOrder(index) => write!(f, "action {index} comes before the one that precedes it"),
            Self::BadProfile(why) => write!(f, "the session's cluster cannot begin: {why}"),
            Self::TooFar => write!(f, "the session lasts longer than {} days", SessionLog::DAYS_MAX),
        }
    }
}

impl std::error::Error for LogError {}

impl SessionLog {
    /// How many actions a session may have.
    pub const ENTRIES_MAX: usize = 100_000;
    /// How many nodes a session may begin with or add.
    pub const NODES_MAX: usize = 2_000;
    /// How many simulated days a session may last.
    pub const DAYS_MAX: u64 = 400;

    /// Reads a log that came from somewhere else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, LogError> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| LogError::Malformed(error.to_string()))?;
        let malformed = |error: ReadError| LogError::Malformed(error.to_string());
        let config = json::from_value(&value).map_err(malformed)?;
        let Course { entries, now, steps } = json::from_value(&value).map_err(malformed)?;
        let log = Self { config, entries, now, steps };
        log.check()?;
        Ok(log)
    }

    /// The same session, begun at another moment.
    #[must_use]
    pub fn begun_at(mut self, start: Time) -> Self {
        let before = std::mem::replace(&mut self.config.profile.start, start);
        let moved = |time: Time| start + time.since(before);
        for entry in &mut self.entries {
            entry.at = moved(entry.at);
        }
        self.now = moved(self.now);
        self
    }

    /// The log as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = json::to_value(&self.config);
        value["entries"] = json::to_value(&self.entries);
        value["now"] = json::to_value(&self.now);
        value["steps"] = json::to_value(&self.steps);
        value.to_string()
    }

    /// Whether the log is one that a session can be made of.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), LogError> {
        if self.entries.len() > Self::ENTRIES_MAX {
            return Err(LogError::TooLong(self.entries.len()));
        }
        let added = self.entries.iter().filter(|entry| matches!(entry.action, Action::AddNode(_))).count();
        // A group may grow to its largest size, however often it was set.
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.entries {
            if let Action::SetNodeGroup(spec) = &entry.action {
                let most = groups.entry(&spec.name).or_default();
                *most = (*most).max(spec.max as usize);
            }
        }
        let nodes = self.config.profile.nodes as usize + added + groups.values().sum::<usize>();
        if nodes > Self::NODES_MAX {
            return Err(LogError::TooManyNodes(nodes));
        }
        self.config.profile.check().map_err(|error| LogError::BadProfile(error.to_string()))?;
        let start = self.config.profile.start;
        let mut last = start;
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.at < last {
                return Err(LogError::OutOfOrder(index));
            }
            last = entry.at;
        }
        let days = last.max(self.now).since(start).as_secs() / 86_400;
        if days > Self::DAYS_MAX { Err(LogError::TooFar) } else { Ok(()) }
    }
}
