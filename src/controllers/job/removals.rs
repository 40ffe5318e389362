//! The pods from which the controller took its finalizer, until it sees them without: `uidTrackingExpectations`.
//!
//! Follows `kubernetes/pkg/controller/job/tracking_utils.go`.

use crate::client::QueueKey;
use crate::machinery::persistent::{OrdMap, OrdSet};

/// Per Job, the uids of pods that are expected to lose the finalizer.
#[derive(Clone, Debug, Default)]
pub(super) struct FinalizerRemovals {
    expected: OrdMap<QueueKey, OrdSet<String>>,
}

impl FinalizerRemovals {
    /// The pods of a Job that are expected to lose it.
    pub(super) fn of(&self, key: &QueueKey) -> OrdSet<String> {
        self.expected.get(key).cloned().unwrap_or_default()
    }

    /// A pod is about to lose it.
    pub(super) fn expect(&mut self, key: &QueueKey, uid: &str) {
        match self.expected.get_mut(key) {
            Some(uids) => {
                uids.insert(uid.to_owned());
            }
            None => {
                self.expected.insert(key.clone(), OrdSet::from_iter([uid.to_owned()]));
            }
        }
    }

    /// A pod was seen without it, or will never be.
    pub(super) fn observed(&mut self, key: &QueueKey, uid: &str) {
        if let Some(uids) = self.expected.get_mut(key) {
            uids.remove(uid);
        }
    }

    /// The Job is gone.
    pub(super) fn forget(&mut self, key: &QueueKey) {
        self.expected.remove(key);
    }
}
