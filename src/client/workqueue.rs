//! The queue of keys between a controller's event handlers and its sync.
//!
//! `k8s.io/client-go/util/workqueue`: a key stands in the queue once, a key that changes while it is handled comes
//! back, and a key that fails waits longer each time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::machinery::persistent::{OrdMap, OrdSet};

use crate::api::ObjectKey;
use crate::etcd::Revision;
use crate::machinery::time::Time;

/// What a controller handles at a time.
pub type QueueKey = ObjectKey;

/// The queue. Time is told, not asked.
#[derive(Clone, Debug)]
pub struct WorkQueue {
    active: VecDeque<QueueKey>,
    /// What stands in `active` or must return there, with the newest revision that put it there.
    dirty: OrdMap<QueueKey, Option<Revision>>,
    failures: OrdMap<QueueKey, u32>,
    waiting: OrdSet<(Time, u64, QueueKey)>,
    waiting_since: OrdMap<QueueKey, (Time, u64)>,
    sequence: u64,
    trigger: Option<Revision>,
    now: Time,
    backoff_min: Duration,
    backoff_max: Duration,
}

impl Default for WorkQueue {
    fn default() -> Self {
        Self::with_backoff(Self::BACKOFF_MIN, Self::BACKOFF_MAX)
    }
}

impl WorkQueue {
    /// The first wait of a key that failed, unless its controller wants another.
    pub const BACKOFF_MIN: Duration = Duration::from_millis(5);
    /// The longest wait of a key that failed, unless its controller wants another.
    pub const BACKOFF_MAX: Duration = Duration::from_secs(1000);

    /// An empty queue in which a key that failed waits from `min` on twice as long each time, up to `max`.
    #[must_use]
    pub fn with_backoff(min: Duration, max: Duration) -> Self {
        Self {
            active: VecDeque::new(),
            dirty: OrdMap::new(),
            failures: OrdMap::new(),
            waiting: OrdSet::new(),
            waiting_since: OrdMap::new(),
            sequence: 0,
            trigger: None,
            now: Time::default(),
            backoff_min: min,
            backoff_max: max,
        }
    }

    /// Says what time it is and which revision the coming [`Self::add`]s follow from.
    pub fn begin(&mut self, now: Time, trigger: Option<Revision>) {
        self.now = now;
        self.trigger = trigger;
    }

    /// Puts a key into the queue, unless it stands there already.
    pub fn add(&mut self, key: QueueKey) {
        let trigger = self.trigger;
        self.add_because(key, trigger);
    }

    fn add_because(&mut self, key: QueueKey, trigger: Option<Revision>) {
        match self.dirty.get_mut(&key) {
            Some(known) => *known = trigger.max(*known),
            None => {
                self.dirty.insert(key.clone(), trigger);
                self.active.push_back(key);
            }
        }
    }

    /// Puts a key into the queue after a while. The sooner of two such wishes for a key wins.
    pub fn add_after(&mut self, key: QueueKey, wait: Duration) {
        if wait.is_zero() {
            return self.add(key);
        }
        let at = self.now + wait;
        if let Some(&(known, sequence)) = self.waiting_since.get(&key) {
            if known <= at {
                return;
            }
            self.waiting.remove(&(known, sequence, key.clone()));
        }
        self.sequence += 1;
        self.waiting_since.insert(key.clone(), (at, self.sequence));
        self.waiting.insert((at, self.sequence, key));
    }

    /// Puts a key that failed into the queue after its back-off.
    pub fn add_rate_limited(&mut self, key: QueueKey) {
        let failures = self.failures.get(&key).copied().unwrap_or(0);
        self.failures.insert(key.clone(), failures.saturating_add(1));
        let wait = self.backoff_min.saturating_mul(1 << failures.min(20)).min(self.backoff_max);
        self.add_after(key, wait);
    }

    /// How often a key failed since it was last forgotten.
    #[must_use]
    pub fn failures(&self, key: &QueueKey) -> u32 {
        self.failures.get(key).copied().unwrap_or(0)
    }

    /// Forgets the failures of a key.
    pub fn forget(&mut self, key: &QueueKey) {
        self.failures.remove(key);
    }

    /// Takes the next key and the newest revision that put it there.
    pub fn pop(&mut self) -> Option<(QueueKey, Option<Revision>)> {
        self.pop_unless(|_| false)
    }

    /// As [`Self::pop`], but a key that is being handled elsewhere stays in its place.
    pub fn pop_unless(&mut self, is_handled: impl Fn(&QueueKey) -> bool) -> Option<(QueueKey, Option<Revision>)> {
        let place = self.active.iter().position(|key| !is_handled(key))?;
        let key = self.active.remove(place)?;
        let trigger = self.dirty.remove(&key).flatten();
        Some((key, trigger))
    }

    /// Puts a key that was taken, and could not be handled to its end yet, behind the others. What it was handled for is
    /// kept.
    pub fn put_back(&mut self, key: QueueKey, trigger: Option<Revision>) {
        self.add_because(key, trigger);
    }

    /// Moves keys whose wait is over into the queue.
    pub fn advance(&mut self, now: Time) {
        self.now = now;
        while let Some((at, sequence, key)) = self.waiting.get_min().cloned() {
            if at > now {
                break;
            }
            self.waiting.remove(&(at, sequence, key.clone()));
            self.waiting_since.remove(&key);
            self.add_because(key, None);
        }
    }

    /// When the next waiting key becomes due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.waiting.get_min().map(|(at, _, _)| *at)
    }

    /// How many keys can be handled now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.active.len()
    }

    /// Whether nothing can be handled now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.active.is_empty()
    }
}
