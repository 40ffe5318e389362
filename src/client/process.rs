//! What runs in a cluster: processes that are told what they watch and woken when they asked to be.

use std::time::Duration;

use super::handle::{Client, ClientError};
use super::informer::{InformerEvent, Informers, WatchSpec};
use super::workqueue::{QueueKey, WorkQueue};

/// What a process gave to the timer, and gets back when it is woken. Its meaning is the process's own.
pub type Token = u64;

/// A program of the cluster: a controller manager, the scheduler, a kubelet.
///
/// A process does something only when it starts, when a watch event reaches it, or when a timer wakes it.
pub trait Process {
    /// What it watches. The answer does not change while it runs.
    fn watches(&self) -> Vec<WatchSpec>;

    /// It starts: called once before anything is delivered, and again after each restart. The initial lists arrive
    /// afterwards as [`InformerEvent`]s without `before`.
    fn start(&mut self, client: &mut Client<'_>);

    /// A watch event reached it, later than it happened.
    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>);

    /// A timer that it set with [`Client::wake_at`] has run down.
    fn wake(&mut self, token: Token, client: &mut Client<'_>);
}

/// What a controller wants after it has handled a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// Nothing: the next watch event will bring the key back.
    Forget,
    /// The same key again after a while.
    After(Duration),
    /// The same key again after its back-off, as if it had failed.
    RateLimited,
}

/// A control loop of the controller manager: events become keys, and a key is brought to its desired state.
pub trait Controller {
    /// Its name, which is also the actor of its writes: `deployment-controller`.
    fn name(&self) -> &'static str;

    /// What it reads from the manager's shared caches.
    fn watches(&self) -> Vec<WatchSpec>;

    /// Maps a change to the keys that may have something to do, and does nothing else.
    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue);

    /// Brings one key to its desired state.
    ///
    /// # Errors
    /// Any failed request: the key comes back after its back-off.
    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError>;

    /// The service account in `kube-system` that it acts as.
    fn account(&self) -> &'static str {
        self.name()
    }

    /// How many times as many requests a second, and in a burst, its client may send as the manager's others.
    fn rate_factors(&self) -> (u32, u32) {
        (1, 1)
    }

    /// How many keys it handles at once: `--concurrent-…-syncs` of the controller manager.
    fn workers(&self) -> usize {
        5
    }

    /// Whether keys that wait are no reason to call the cluster busy: they come back for ever.
    fn waits_for_ever(&self) -> bool {
        false
    }

    /// The first and the longest wait of a key that failed.
    fn backoff(&self) -> (Duration, Duration) {
        (WorkQueue::BACKOFF_MIN, WorkQueue::BACKOFF_MAX)
    }

    /// It starts, perhaps again: forgets all that it knew. The caches are filled anew afterwards.
    fn reset(&mut self) {}

    /// How often it wants [`Self::tick`], if at all.
    fn period(&self) -> Option<Duration> {
        None
    }

    /// Its periodic work, such as looking for nodes that fell silent.
    fn tick(&mut self, _listers: &Informers, _queue: &mut WorkQueue, _client: &mut Client<'_>) {}

    /// A copy of its own, since a cluster is a value.
    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync>;
}
