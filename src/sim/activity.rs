//! What travelled through the cluster lately, for whoever draws it.

use imbl::Vector;

use crate::api::{Name, ObjectKey};
use crate::etcd::Revision;
use crate::machinery::time::Time;

use super::processes::ProcessId;

/// A watch event that reached a process. Writes are not noted here: the store's commits tell them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When it arrived.
    pub time: Time,
    /// Whom it reached.
    pub process: ProcessId,
    /// The revision that it told.
    pub revision: Revision,
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The world outside of the cluster.
    Outside,
    /// A machine by itself.
    Node(Name),
    /// A pod.
    Pod(ObjectKey),
}

/// A request whose sender was told what became of it, or gave it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// When that was.
    pub time: Time,
    /// Who sent it.
    pub origin: Origin,
    /// The last Service on its way.
    pub service: Option<ObjectKey>,
    /// The last pod that it reached, or should have: a network policy may have stopped it there.
    pub pod: Option<ObjectKey>,
    /// Whether it was answered well.
    pub succeeded: bool,
}

/// The last things of a kind that happened, numbered, so that a reader can ask for what is new.
#[derive(Clone, Debug)]
pub struct Recent<T> {
    first: u64,
    entries: Vector<T>,
    most: usize,
}

impl<T: Clone> Recent<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { first: 0, entries: Vector::new(), most }
    }

    /// The number that the next entry will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The remembered entries from number `cursor` on.
    pub fn since(&self, cursor: u64) -> impl Iterator<Item = &T> {
        let skip = usize::try_from(cursor.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    pub(super) fn push(&mut self, entry: T) {
        self.entries.push_back(entry);
        if self.entries.len() > self.most {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}
