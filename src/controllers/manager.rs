//! The process that runs the controllers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Kind, Name};
use crate::apiserver::User;
use crate::client::{
    Client, ClientError, Controller, Identity, InformerEvent, Informers, Process, QueueKey, Requeue, Token,
    TokenBucket, WatchSpec, WorkQueue,
};
use crate::machinery::time::Time;

/// `--kube-api-qps` of the controller manager.
const REQUESTS_PER_SECOND: u32 = 20;
/// `--kube-api-burst` of the controller manager.
const REQUESTS_BURST: u32 = 30;
/// What a sync takes besides its requests.
const SYNC_TIME: Duration = Duration::from_micros(200);
/// What a request takes, there and back.
const REQUEST_TIME: Duration = Duration::from_millis(2);

/// What a wake-up is for; with the controller's index it makes a [`Token`].
const WORK: Token = 0;
const DUE: Token = 1;
const TICK: Token = 2;
const PURPOSES: Token = 3;

/// A controller with what belongs to it.
struct Worker {
    controller: Box<dyn Controller + Send + Sync>,
    identity: Identity,
    /// What it reads, by the index of the kind.
    watched: Arc<[bool]>,
    queue: WorkQueue,
    limiter: TokenBucket,
    /// When the wake-up for work comes, while one is on its way.
    work_at: Option<Time>,
    /// When the wake-up for the first waiting key comes, while one is on its way.
    due_at: Option<Time>,
}

impl Clone for Worker {
    fn clone(&self) -> Self {
        Self {
            controller: self.controller.boxed_clone(),
            identity: self.identity.clone(),
            watched: self.watched.clone(),
            queue: self.queue.clone(),
            limiter: self.limiter.clone(),
            work_at: self.work_at,
            due_at: self.due_at,
        }
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("controller", &self.controller.name()).field("queue", &self.queue.len()).finish()
    }
}

/// The controller manager.
#[derive(Clone, Debug)]
pub struct ControllerManager {
    informers: Informers,
    workers: Vec<Worker>,
}

impl ControllerManager {
    /// A manager that runs `controllers`.
    #[must_use]
    pub fn new(controllers: Vec<Box<dyn Controller + Send + Sync>>) -> Self {
        let workers = controllers.into_iter().map(Worker::new).collect();
        Self { informers: Informers::new(), workers }
    }

    /// The name of each controller and how many keys wait in its queue.
    pub fn queues(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.workers.iter().map(|worker| (worker.controller.name(), worker.queue.len()))
    }
}

impl Worker {
    fn new(controller: Box<dyn Controller + Send + Sync>) -> Self {
        let account = controller.account();
        let specs = controller.watches();
        let watched = Kind::ALL.iter().map(|&kind| specs.iter().any(|spec| spec.kind == kind)).collect();
        let (rate, burst) = controller.rate_factors();
        Self {
            identity: Identity {
                component: Name::from(controller.name()),
                host: Name::from(""),
                user: User::new(
                    format!("system:serviceaccount:kube-system:{account}"),
                    &["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
                ),
            },
            watched,
            queue: Self::new_queue(&*controller),
            controller,
            limiter: TokenBucket::new(REQUESTS_PER_SECOND * rate, REQUESTS_BURST * burst),
            work_at: None,
            due_at: None,
        }
    }

    fn new_queue(controller: &dyn Controller) -> WorkQueue {
        let (min, max) = controller.backoff();
        WorkQueue::with_backoff(min, max)
    }

    /// Asks to be woken when there is something to do.
    fn schedule(&mut self, index: usize, ready_at: Time, client: &mut Client<'_>) {
        if !self.queue.is_empty() && self.work_at.is_none() {
            self.work_at = Some(ready_at);
            client.wake_at(ready_at, token(index, WORK));
        }
        if let Some(due) = self.queue.next_due()
            && self.due_at.is_none_or(|known| due < known)
        {
            self.due_at = Some(due);
            client.wake_at(due, token(index, DUE));
        }
    }

    fn work(&mut self, index: usize, listers: &Informers, client: &mut Client<'_>) {
        self.work_at = None;
        self.queue.begin(client.now, None);
        let Some((key, trigger)) = self.queue.pop() else { return };
        client.triggered_by(trigger);
        let mut own = client.act_as(&self.identity, Some(&mut self.limiter));
        let result = self.controller.sync(&key, listers, &mut own);
        let busy = SYNC_TIME + REQUEST_TIME * own.requests();
        let follow_ups = own.take_follow_ups();
        self.queue.begin(client.now, trigger);
        for (key, wait) in follow_ups {
            self.queue.add_after(key, wait);
        }
        self.finish(key, result, client.now);
        self.schedule(index, client.now + busy, client);
    }

    fn finish(&mut self, key: QueueKey, result: Result<Requeue, ClientError>, now: Time) {
        match result {
            Ok(Requeue::Forget) => self.queue.forget(&key),
            Ok(Requeue::After(wait)) => {
                self.queue.forget(&key);
                self.queue.add_after(key, wait);
            }
            Ok(Requeue::RateLimited) => self.queue.add_rate_limited(key),
            // The limit is the client's own; upstream's worker would sleep in the request.
            Err(ClientError::Throttled(until)) => self.queue.add_after(key, until.since(now)),
            Err(ClientError::Api(_) | ClientError::Unreachable) => self.queue.add_rate_limited(key),
        }
    }
}

const fn token(index: usize, purpose: Token) -> Token {
    index as Token * PURPOSES + purpose
}

impl Process for ControllerManager {
    fn watches(&self) -> Vec<WatchSpec> {
        let mut watches: Vec<WatchSpec> = Vec::new();
        for spec in self.workers.iter().flat_map(|worker| worker.controller.watches()) {
            if !watches.contains(&spec) {
                watches.push(spec);
            }
        }
        watches
    }

    fn start(&mut self, client: &mut Client<'_>) {
        self.informers = Informers::new();
        for (index, worker) in self.workers.iter_mut().enumerate() {
            worker.queue = Worker::new_queue(&*worker.controller);
            worker.controller.reset();
            (worker.work_at, worker.due_at) = (None, None);
            if let Some(period) = worker.controller.period() {
                client.wake_in_background(client.now + period, token(index, TICK));
            }
        }
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.informers.apply(event);
        for (index, worker) in self.workers.iter_mut().enumerate() {
            if !worker.watched[event.kind.index()] {
                continue;
            }
            worker.queue.begin(client.now, Some(event.revision));
            worker.controller.on_event(event, &self.informers, &mut worker.queue);
            worker.schedule(index, client.now + SYNC_TIME, client);
        }
    }

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        let index = usize::try_from(token / PURPOSES).unwrap_or(usize::MAX);
        let Some(worker) = self.workers.get_mut(index) else { return };
        match token % PURPOSES {
            WORK => worker.work(index, &self.informers, client),
            DUE => {
                worker.due_at = None;
                worker.queue.advance(client.now);
                worker.schedule(index, client.now, client);
            }
            _ => {
                worker.queue.begin(client.now, None);
                let mut own = client.act_as(&worker.identity, None);
                worker.controller.tick(&self.informers, &mut worker.queue, &mut own);
                let busy = SYNC_TIME + REQUEST_TIME * own.requests();
                for (key, wait) in own.take_follow_ups() {
                    worker.queue.add_after(key, wait);
                }
                worker.schedule(index, client.now, client);
                if let Some(period) = worker.controller.period() {
                    // The period begins when the work is done, so it is always a little longer: `wait.Until`.
                    client.wake_in_background(client.now + busy + period, super::manager::token(index, TICK));
                }
            }
        }
    }
}
