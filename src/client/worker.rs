//! A controller's queue with what a process needs to work it off: an identity, a rate limit, and wake-ups.

use std::time::Duration;

use crate::api::Name;
use crate::apiserver::User;
use crate::machinery::time::Time;

use super::handle::{Client, ClientError, Identity};
use super::limiter::TokenBucket;
use super::process::{Requeue, Token};
use super::workqueue::{QueueKey, WorkQueue};

/// `--kube-api-qps` of the controller managers.
const REQUESTS_PER_SECOND: u32 = 20;
/// `--kube-api-burst` of the controller managers.
const REQUESTS_BURST: u32 = 30;
/// What a sync takes besides its requests.
const SYNC_TIME: Duration = Duration::from_micros(200);
/// What a request takes, there and back.
const REQUEST_TIME: Duration = Duration::from_millis(2);

/// What a wake-up of a [`Worker`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The next key of the queue.
    Work,
    /// The first key that waits.
    Due,
    /// The periodic work.
    Tick,
}

impl Purpose {
    const COUNT: Token = 3;

    const fn token(self, index: usize) -> Token {
        index as Token * Self::COUNT + self as Token
    }

    /// Which of a process's workers a wake-up is for, and what for.
    #[must_use]
    pub fn of(token: Token) -> (usize, Self) {
        let index = usize::try_from(token / Self::COUNT).unwrap_or(usize::MAX);
        let purpose = match token % Self::COUNT {
            0 => Self::Work,
            1 => Self::Due,
            _ => Self::Tick,
        };
        (index, purpose)
    }
}

/// The workers of one controller, which share a queue.
///
/// Each handles a key at a time, and is then busy for as long as the requests of the sync would have taken. Nobody else
/// handles that key meanwhile.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its place among the workers of its process.
    index: usize,
    identity: Identity,
    /// The keys that wait.
    pub queue: WorkQueue,
    limiter: TokenBucket,
    backoff: (Duration, Duration),
    /// When the wake-up for work comes, while one is on its way.
    work_at: Option<Time>,
    /// When the wake-up for the first waiting key comes, while one is on its way.
    due_at: Option<Time>,
    /// How many keys are handled at once.
    workers: usize,
    /// Whether a cluster in which keys wait here counts as idle.
    waits_for_ever: bool,
    /// The keys that are being handled, each until its sync's requests are through.
    handled: Vec<(QueueKey, Time)>,
    /// Until when the rate limit, which they share, makes them all wait.
    stalled_until: Time,
}

impl Worker {
    /// The worker at a place, of a controller that is called `component` and acts as a service account of
    /// `kube-system`.
    #[must_use]
    pub fn new(index: usize, component: &str, account: &str, backoff: (Duration, Duration)) -> Self {
        Self {
            index,
            identity: Identity {
                component: Name::from(component),
                host: Name::from(""),
                user: User::component(
                    format!("system:serviceaccount:kube-system:{account}"),
                    &["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
                ),
            },
            queue: WorkQueue::with_backoff(backoff.0, backoff.1),
            limiter: TokenBucket::new(REQUESTS_PER_SECOND, REQUESTS_BURST),
            backoff,
            work_at: None,
            due_at: None,
            workers: 1,
            waits_for_ever: false,
            handled: Vec::new(),
            stalled_until: Time::default(),
        }
    }

    /// Lets it handle so many keys at once.
    #[must_use]
    pub const fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Lets a cluster count as idle though keys wait here.
    #[must_use]
    pub const fn waiting_for_ever(mut self, waits_for_ever: bool) -> Self {
        self.waits_for_ever = waits_for_ever;
        self
    }

    /// Lets it send so many times as many requests, a second and at once.
    #[must_use]
    pub fn with_rate_factors(mut self, (rate, burst): (u32, u32)) -> Self {
        self.limiter = TokenBucket::new(REQUESTS_PER_SECOND * rate, REQUESTS_BURST * burst);
        self
    }

    /// Its process starts, perhaps again. Asks for the first tick, if there is a period.
    pub fn start(&mut self, period: Option<Duration>, client: &mut Client<'_>) {
        self.queue = WorkQueue::with_backoff(self.backoff.0, self.backoff.1);
        (self.work_at, self.due_at, self.stalled_until) = (None, None, Time::default());
        self.handled.clear();
        if let Some(period) = period {
            client.wake_in_background(client.now + period, Purpose::Tick.token(self.index));
        }
    }

    /// Lets a watch event's handler put keys into the queue.
    pub fn handle(
        &mut self,
        revision: crate::etcd::Revision,
        client: &mut Client<'_>,
        handler: impl FnOnce(&mut WorkQueue),
    ) {
        self.queue.begin(client.now, Some(revision));
        handler(&mut self.queue);
        self.schedule(client.now + SYNC_TIME, client);
    }

    /// Handles the next key.
    pub fn work(
        &mut self,
        client: &mut Client<'_>,
        sync: impl FnOnce(&QueueKey, &mut Client<'_>) -> Result<Requeue, ClientError>,
    ) {
        self.work_at = None;
        self.queue.begin(client.now, None);
        self.handled.retain(|(_, until)| *until > client.now);
        let handled = &self.handled;
        let Some((key, trigger)) = self.queue.pop_unless(|key| handled.iter().any(|(other, _)| other == key)) else {
            // What waits is being handled already.
            if let Some(free) = self.handled.iter().map(|(_, until)| *until).min() {
                self.schedule(free, client);
            }
            return;
        };
        client.triggered_by(trigger);
        let mut own = client.act_as(&self.identity, Some(&mut self.limiter));
        let result = sync(&key, &mut own);
        let (sent, has_written) = (own.requests(), own.has_written());
        let busy = SYNC_TIME + REQUEST_TIME * sent;
        let follow_ups = own.take_follow_ups();
        self.handled.push((key.clone(), client.now + busy));
        self.queue.begin(client.now, trigger);
        for (key, wait) in follow_ups {
            self.queue.add_after(key, wait);
        }
        match result {
            // The limit is the client's own. Upstream's worker sleeps in its request, and the others would only run into
            // the same limit. They take turns: pods that a roll-out creates must not keep it from deleting others.
            Err(ClientError::Throttled(until)) => {
                self.handled.pop();
                self.queue.put_back(key, trigger);
                // Who has written nothing will ask the same again, and must come further then.
                let needed = if has_written { 1 } else { sent + 1 };
                let enough = self.limiter.ready(needed, client.now).err().unwrap_or(until);
                self.stalled_until = self.stalled_until.max(until).max(enough);
            }
            result => self.finish(key, result),
        }
        self.schedule(client.now, client);
    }

    /// Takes the keys that have waited for long enough into the queue.
    pub fn due(&mut self, client: &mut Client<'_>) {
        self.due_at = None;
        self.queue.advance(client.now);
        self.schedule(client.now, client);
    }

    /// Does the periodic work, and asks for the next tick.
    pub fn tick(
        &mut self,
        period: Option<Duration>,
        client: &mut Client<'_>,
        tick: impl FnOnce(&mut WorkQueue, &mut Client<'_>),
    ) {
        self.queue.begin(client.now, None);
        let mut own = client.act_as(&self.identity, None);
        tick(&mut self.queue, &mut own);
        let busy = SYNC_TIME + REQUEST_TIME * own.requests();
        for (key, wait) in own.take_follow_ups() {
            self.queue.add_after(key, wait);
        }
        self.schedule(client.now, client);
        if let Some(period) = period {
            // The period begins when the work is done, so it is always a little longer: `wait.Until`.
            client.wake_in_background(client.now + busy + period, Purpose::Tick.token(self.index));
        }
    }

    /// When a worker is free, at or after `time`.
    fn next_free(&self, time: Time) -> Time {
        let busy = self.handled.iter().filter(|(_, until)| *until > time);
        if busy.clone().count() < self.workers { time } else { busy.map(|(_, until)| *until).min().unwrap_or(time) }
    }

    /// Asks to be woken when there is something to do.
    fn schedule(&mut self, ready_at: Time, client: &mut Client<'_>) {
        if !self.queue.is_empty() && self.work_at.is_none() {
            let at = ready_at.max(self.stalled_until).max(self.next_free(ready_at));
            self.work_at = Some(at);
            client.wake_at(at, Purpose::Work.token(self.index));
        }
        if let Some(due) = self.queue.next_due()
            && self.due_at.is_none_or(|known| due < known)
        {
            self.due_at = Some(due);
            let token = Purpose::Due.token(self.index);
            if self.waits_for_ever {
                client.wake_in_background(due, token);
            } else {
                client.wake_at(due, token);
            }
        }
    }

    fn finish(&mut self, key: QueueKey, result: Result<Requeue, ClientError>) {
        match result {
            Ok(Requeue::Forget) => self.queue.forget(&key),
            Ok(Requeue::After(wait)) => {
                self.queue.forget(&key);
                self.queue.add_after(key, wait);
            }
            Ok(Requeue::RateLimited) => self.queue.add_rate_limited(key),
            Err(_) => self.queue.add_rate_limited(key),
        }
    }
}
