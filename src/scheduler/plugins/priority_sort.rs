//! PrioritySort: the higher priority first, and among equals the one that waits longer since its last try.

use std::cmp::Reverse;

use crate::machinery::time::Time;

/// A place in the active queue: the smallest is next.
///
/// The number at the end decides between pods that came in the same microsecond; upstream leaves that open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueOrder {
    priority: Reverse<i32>,
    since: Time,
    sequence: u64,
}

impl QueueOrder {
    /// The place of a pod of this priority that waits since then.
    #[must_use]
    pub const fn new(priority: i32, since: Time, sequence: u64) -> Self {
        Self { priority: Reverse(priority), since, sequence }
    }
}
