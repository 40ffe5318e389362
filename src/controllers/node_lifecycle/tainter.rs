//! The nodes of a zone that wait for their `NoExecute` taint, and how fast they get it.
//!
//! Follows `RateLimitedTimedQueue` of `kubernetes/pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go` with
//! its token bucket, whose burst is one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machinery::persistent::OrdSet;
use crate::machinery::time::Time;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// No node waits, or none may be touched while the zone is as it is.
    Nothing,
    /// The rate allows no node before this.
    NotBefore(Time),
    /// This one.
    Node(String),
}

/// A zone's queue.
#[derive(Clone, Debug)]
pub(super) struct Tainter {
    waiting: VecDeque<String>,
    /// Those that wait or had their turn; none comes in a second time before it is removed.
    known: OrdSet<String>,
    /// The time between two nodes; `None` while none is touched.
    interval: Option<Duration>,
    /// When the next token is there.
    next_at: Time,
}

impl Tainter {
    pub(super) fn new(interval: Duration) -> Self {
        Self { waiting: VecDeque::new(), known: OrdSet::new(), interval: Some(interval), next_at: Time::default() }
    }

    pub(super) fn add(&mut self, node: &str) {
        if self.known.insert(node.to_owned()) {
            self.waiting.push_back(node.to_owned());
        }
    }

    pub(super) fn remove(&mut self, node: &str) {
        if self.known.remove(node) {
            self.waiting.retain(|known| known != node);
        }
    }

    pub(super) fn put_back(&mut self, node: String) {
        if self.known.contains(&node) {
            self.waiting.push_back(node);
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn pop(&mut self, now: Time) -> Next {
        let (Some(interval), false) = (self.interval, self.waiting.is_empty()) else { return Next::Nothing };
        if now < self.next_at {
            return Next::NotBefore(self.next_at);
        }
        self.next_at = now + interval;
        self.waiting.pop_front().map_or(Next::Nothing, Next::Node)
    }

    /// Another rate from now on. Who waited for a token before waits for one anew: `SwapLimiter`.
    pub(super) fn swap_interval(&mut self, interval: Option<Duration>, now: Time) {
        if self.interval == interval {
            return;
        }
        let had_token = self.interval.is_some() && self.next_at <= now;
        if let Some(interval) = interval {
            self.next_at = if had_token { now } else { now + interval };
        }
        self.interval = interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    #[test]
    fn one_node_each_ten_seconds_and_none_twice() {
        let mut tainter = Tainter::new(INTERVAL);
        let now = Time::DEFAULT_START;
        for node in ["a", "b", "a"] {
            tainter.add(node);
        }
        assert_eq!(tainter.pop(now), Next::Node("a".to_owned()));
        assert_eq!(tainter.pop(now), Next::NotBefore(now + INTERVAL));
        tainter.add("a");
        assert_eq!(tainter.pop(now + INTERVAL), Next::Node("b".to_owned()));
        assert_eq!(tainter.pop(now + INTERVAL * 2), Next::Nothing, "a had its turn");
        tainter.remove("a");
        tainter.add("a");
        assert_eq!(tainter.pop(now + INTERVAL * 2), Next::Node("a".to_owned()));
    }

    #[test]
    fn a_queue_that_stood_still_begins_with_a_wait() {
        let mut tainter = Tainter::new(INTERVAL);
        let now = Time::DEFAULT_START;
        tainter.add("a");
        tainter.swap_interval(None, now);
        assert_eq!(tainter.pop(now), Next::Nothing);
        tainter.swap_interval(Some(INTERVAL), now);
        assert_eq!(tainter.pop(now), Next::NotBefore(now + INTERVAL));
    }
}
