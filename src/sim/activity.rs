//! What travelled through the cluster lately, for whoever draws it.

use imbl::Vector;

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

/// The last deliveries, numbered, so that a reader can ask for what is new.
#[derive(Clone, Debug, Default)]
pub struct ActivityLog {
    first: u64,
    entries: Vector<Activity>,
}

impl ActivityLog {
    /// How many deliveries are remembered.
    pub const ENTRIES_MAX: usize = 4096;

    /// The number that the next entry will get.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// The remembered entries from number `cursor` on.
    pub fn since(&self, cursor: u64) -> impl Iterator<Item = &Activity> {
        let skip = usize::try_from(cursor.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip)
    }

    pub(super) fn push(&mut self, activity: Activity) {
        self.entries.push_back(activity);
        if self.entries.len() > Self::ENTRIES_MAX {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}
