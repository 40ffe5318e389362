//! What a controller has asked for and not yet seen in its cache.
//!
//! `kubernetes/pkg/controller/controller_utils.go`: without these, a controller whose cache lags would create the
//! same pods twice.

use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::machinery::time::Time;

use super::workqueue::QueueKey;

/// Creations and deletions that a controller waits to see, a key at a time.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    entries: OrdMap<QueueKey, Entry>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    adds: i64,
    /// Deletions are told apart by uid, since a deletion is seen twice: when it is asked for and when it is done.
    deletes: OrdSet<String>,
    since: Time,
}

impl Expectations {
    /// After this long an expectation is given up: `ExpectationsTimeout`.
    pub const TIMEOUT: Duration = Duration::from_secs(300);

    /// Expects `adds` creations, and nothing else any more.
    pub fn expect_creations(&mut self, key: &QueueKey, adds: usize, now: Time) {
        self.expect(key, adds, [], now);
    }

    /// Expects the objects with these uids to go, and nothing else any more.
    pub fn expect_deletions(&mut self, key: &QueueKey, uids: impl IntoIterator<Item = String>, now: Time) {
        self.expect(key, 0, uids, now);
    }

    /// Expects `adds` creations, and the objects with these uids to go, and nothing else any more.
    pub fn expect(&mut self, key: &QueueKey, adds: usize, uids: impl IntoIterator<Item = String>, now: Time) {
        let adds = i64::try_from(adds).unwrap_or(i64::MAX);
        self.entries.insert(key.clone(), Entry { adds, deletes: uids.into_iter().collect(), since: now });
    }

    /// One creation was seen, or will never be.
    pub fn creation_observed(&mut self, key: &QueueKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.adds -= 1;
        }
    }

    /// The deletion of `uid` was seen, or will never be.
    pub fn deletion_observed(&mut self, key: &QueueKey, uid: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.deletes.remove(uid);
        }
    }

    /// Whether nothing is waited for, so that the cache can be believed.
    #[must_use]
    pub fn satisfied(&self, key: &QueueKey, now: Time) -> bool {
        self.entries
            .get(key)
            .is_none_or(|entry| (entry.adds <= 0 && entry.deletes.is_empty()) || now.since(entry.since) > Self::TIMEOUT)
    }

    /// Forgets a key whose object is gone.
    pub fn forget(&mut self, key: &QueueKey) {
        self.entries.remove(key);
    }
}
