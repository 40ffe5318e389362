//! The actor that owns the session: it answers requests one by one, lets time pass, and feeds the watches.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::machinery::status::{Reason, Status};
use crate::session::{Session, SessionConfig};

use super::message::{HttpRequest, Reply};
use super::negotiate::Format;
use super::route::{self, Answer};
use super::watch::Watch;

/// How often time is moved on when nobody asks for anything.
const TICK: Duration = Duration::from_millis(5);
/// How many steps the cluster may make before requests have their turn.
const STEPS_MAX: u64 = 5_000;
/// How many requests may wait.
const WAITING_MAX: usize = 1_024;
/// How many watches may be open.
const WATCHES_MAX: usize = 4_096;

/// How simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// With real time, so many times as fast.
    Real(f64),
    /// Only when it is told to: [`Door::advance`].
    Manual,
}

enum Message {
    Http(HttpRequest, oneshot::Sender<Reply>),
    Advance(Duration, oneshot::Sender<()>),
}

/// The way to the session, for as many as want it.
#[derive(Clone, Debug)]
pub struct Door {
    sender: SyncSender<Message>,
}

impl Door {
    /// Begins a session and lets it run for `head_start` at once, so that its nodes are ready. It lives on a thread of
    /// the runtime's until the last way to it is gone.
    #[must_use]
    pub fn open(config: SessionConfig, head_start: Duration, clock: Clock) -> Self {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        tokio::task::spawn_blocking(move || Actor::begin(config, head_start, clock).run(&receiver));
        Self { sender }
    }

    /// Asks, and waits for the answer.
    pub async fn send(&self, request: HttpRequest) -> Reply {
        let plain = Format::plain(&request);
        let (reply, answer) = oneshot::channel();
        let refused = match self.sender.try_send(Message::Http(request, reply)) {
            Ok(()) => match answer.await {
                Ok(reply) => return reply,
                Err(_) => Status::new(Reason::ServiceUnavailable, "the session has ended"),
            },
            Err(TrySendError::Full(_)) => {
                Status::new(Reason::TooManyRequests, "too many requests, please try again later")
            }
            Err(TrySendError::Disconnected(_)) => Status::new(Reason::ServiceUnavailable, "the session has ended"),
        };
        Reply::refusal(&refused, &plain)
    }

    /// Lets simulated time pass, whatever the clock says, and feeds the watches.
    pub async fn advance(&self, duration: Duration) {
        let (done, passed) = oneshot::channel();
        if self.sender.try_send(Message::Advance(duration, done)).is_ok() {
            // When the session has ended, no time passes.
            let _ = passed.await;
        }
    }
}

#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
struct Actor {
    session: Session,
    watches: Vec<Watch>,
    clock: Clock,
    /// When simulated time was moved on last.
    moved: Instant,
}

#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
impl Actor {
    fn begin(config: SessionConfig, head_start: Duration, clock: Clock) -> Self {
        let moved = Instant::now();
        let mut session = Session::new(config);
        let until = session.now() + head_start;
        session.run_until(until);
        Self { session, watches: Vec::new(), clock, moved }
    }

    fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let message = match self.clock {
                Clock::Real(_) => receiver.recv_timeout(TICK),
                Clock::Manual => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            if let Clock::Real(speed) = self.clock {
                let now = Instant::now();
                let passed = now.duration_since(self.moved).mul_f64(speed);
                self.moved = now;
                // What the machine cannot keep up with is let go: simulated time is late then, and nothing breaks.
                self.session.run_some(self.session.now() + passed, STEPS_MAX);
            }
            match message {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let cluster = self.session.cluster();
            self.watches.retain_mut(|watch| watch.pump(cluster));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Advance(duration, done) => {
                let until = self.session.now() + duration;
                self.session.run_until(until);
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            Message::Http(request, reply) => {
                let answer = match route::answer(&mut self.session, &request) {
                    Answer::Reply(reply) => reply,
                    Answer::Watch(..) if self.watches.len() >= WATCHES_MAX => {
                        let status = Status::new(Reason::TooManyRequests, "too many watches are open");
                        Reply::refusal(&status, &Format::plain(&request))
                    }
                    Answer::Watch(reply, watch) => {
                        self.watches.push(*watch);
                        reply
                    }
                };
                let _ = reply.send(answer);
            }
        }
    }
}
