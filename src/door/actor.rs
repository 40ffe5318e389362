//! The actor that owns the session: it answers requests one by one, lets time pass, and feeds the streams.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use serde_json::{Map, Value};

use crate::apiserver::Target;
use crate::apiserver::address::Query;
use crate::etcd::Revision;
use crate::machinery::shell::NetworkAnswer;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::runtime::StreamInput;
use crate::session::{PodRequest, Session, SessionLog};
use crate::sim::{Cluster, PodAnswer};

use super::authentication;
use super::message::{HttpRequest, Reply};
use super::metrics::Metrics;
use super::negotiate::Format;
use super::route::{self, Answer, Stream};
use super::talk::{self, Begun, Talk, TalkId, Wish};

/// How often time is moved on when nobody asks for anything.
const TICK: Duration = Duration::from_millis(5);
/// How many steps the cluster may make before requests have their turn.
const STEPS_MAX: u64 = 5_000;
/// How many requests may wait.
const WAITING_MAX: usize = 1_024;
/// How many watches, followed logs and talks may be open.
const STREAMS_MAX: usize = 4_096;
/// How many connections may have become something else than HTTP.
const UPGRADED_MAX: usize = 1_024;
/// How long a read waits for a revision that is not there yet, in simulated time: `blockTimeout` of the watch cache.
const BLOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// How many reads may wait for that.
const HELD_MAX: usize = 1_024;
/// How long who must be heard waits when there is no room.
const PAUSE: Duration = Duration::from_millis(2);

/// How simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clock {
    /// With real time, so many times as fast.
    Real(f64),
    /// Only when it is told to: [`Door::advance`].
    Manual,
}

type Work = Box<dyn FnOnce(&mut Actor) + Send>;

enum Message {
    Http(Box<HttpRequest>, oneshot::Sender<Reply>),
    Work(Work),
}

/// The way to the session, for as many as want it.
#[derive(Clone, Debug)]
pub struct Door {
    sender: SyncSender<Message>,
    is_loopback_only: bool,
    /// Room for connections that have become something else than HTTP.
    upgraded: Arc<Semaphore>,
}

impl Door {
    /// Opens a door to a session. It lives on a thread of the runtime's until the last way to it is gone.
    #[must_use]
    pub fn open(session: Session, clock: Clock) -> Self {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        tokio::task::spawn_blocking(move || Actor::new(session, clock).run(&receiver));
        Self { sender, is_loopback_only: true, upgraded: Arc::new(Semaphore::new(UPGRADED_MAX)) }
    }

    /// The same door, which also answers those who call it by a name that is not this machine's own.
    #[must_use]
    pub fn for_any_host(self) -> Self {
        Self { is_loopback_only: false, ..self }
    }

    /// Room for one more connection that becomes something else than HTTP, if there is some.
    pub(super) fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.upgraded.clone().try_acquire_owned().ok()
    }

    pub(super) const fn is_loopback_only(&self) -> bool {
        self.is_loopback_only
    }

    /// Asks, and waits for the answer.
    pub async fn send(&self, request: HttpRequest) -> Reply {
        let plain = Format::plain(&request);
        let (reply, answer) = oneshot::channel();
        let refused = match self.sender.try_send(Message::Http(Box::new(request), reply)) {
            Ok(()) => match answer.await {
                Ok(reply) => return reply,
                Err(_) => ended(),
            },
            Err(TrySendError::Full(_)) => {
                Status::new(Reason::TooManyRequests, "too many requests, please try again later")
            }
            Err(TrySendError::Disconnected(_)) => ended(),
        };
        Reply::refusal(&refused, &plain)
    }

    /// Lets the actor do something, however long it takes until there is room. Nothing when the session has ended.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce(&mut Actor) -> T + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        let mut message = Message::Work(Box::new(move |actor| {
            // Whoever asked may have gone.
            let _ = done.send(work(actor));
        }));
        loop {
            match self.sender.try_send(message) {
                Ok(()) => return result.await.ok(),
                Err(TrySendError::Full(back)) => message = back,
                Err(TrySendError::Disconnected(_)) => return None,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Lets simulated time pass, whatever the clock says, and feeds the watches.
    pub async fn advance(&self, duration: Duration) {
        self.work(move |actor| {
            let until = actor.session.now() + duration;
            actor.session.run_until(until);
        })
        .await;
    }

    /// The session's log, and the hash of the state that it leads to; nothing when the session has ended.
    pub async fn log(&self) -> Option<(SessionLog, u64)> {
        self.work(|actor| (actor.session.log(), actor.session.hash())).await
    }

    /// Whether whoever sends a request may open a stream to its target.
    pub(super) async fn admit(&self, request: &HttpRequest, target: &Target) -> Result<(), Status> {
        let (request, target) = (request.clone(), target.clone());
        let admitted = self.work(move |actor| {
            let cluster = actor.session.cluster();
            let caller = authentication::caller(&request, cluster)?;
            let user = authentication::user(caller.as_ref());
            cluster.api().authorize(&user, "create", &target)?;
            let options = connection_options(&Query::of(&request.path));
            // A stream has no place for warnings.
            cluster.api().admit_connection(cluster.now(), &user, &target, options).map(|_| ())
        });
        admitted.await.unwrap_or_else(|| Err(ended()))
    }

    /// Whether a stream to a pod would be carried on.
    pub(super) async fn check_stream(&self, target: &Target, container: Option<&str>) -> Result<(), Status> {
        let (key, container) = (target.key(), container.map(str::to_owned));
        let checked = self.work(move |actor| actor.session.cluster().check_stream(&key, container.as_deref())).await;
        checked.unwrap_or_else(|| Err(ended()))
    }

    /// Begins a talk with a process. Nothing when the session has ended.
    pub(super) async fn begin_talk(&self, wish: Wish) -> Option<Begun> {
        self.work(move |actor| actor.begin_talk(&wish)).await
    }

    /// Passes on what a client sends in a talk.
    pub(super) async fn talk(&self, id: TalkId, input: StreamInput) {
        self.work(move |actor| actor.talk(id, input)).await;
    }

    /// Why a connection to a port comes to nothing; nothing when the port is open.
    pub(super) async fn port_refusal(&self, target: &Target, port: u16) -> Result<Option<String>, Status> {
        let key = target.key();
        let asked = self.work(move |actor| actor.session.cluster().port_refusal(&key, port)).await;
        asked.unwrap_or_else(|| Err(ended()))
    }

    /// Brings an HTTP request to a pod, and waits for as long as its server takes.
    pub(super) async fn pod_request(&self, request: PodRequest) -> Result<NetworkAnswer, Status> {
        let begun = self.work(move |actor| actor.pod_request(&request)).await.unwrap_or_else(|| Err(ended()))?;
        begun.await.map_err(|_| ended())
    }
}

/// What a client wants of a connection, as an object.
fn connection_options(query: &Query) -> Value {
    let mut options = Map::new();
    for name in ["stdin", "stdout", "stderr", "tty"] {
        if query.is_on(name) {
            options.insert(name.to_owned(), true.into());
        }
    }
    if query.has("container") {
        options.insert("container".to_owned(), query.get("container").into());
    }
    if query.has("command") {
        options.insert("command".to_owned(), query.all("command").collect());
    }
    let ports: Value = query.all("ports").filter_map(|port| port.parse::<i64>().ok()).collect();
    if ports.as_array().is_some_and(|ports| !ports.is_empty()) {
        options.insert("ports".to_owned(), ports);
    }
    options.into()
}

fn ended() -> Status {
    Status::new(Reason::ServiceUnavailable, "the session has ended")
}

/// What an asker waits for.
enum Awaited {
    /// A time, with the answer that then arrives.
    Until(Time, NetworkAnswer),
    /// The answer that the cluster knows under a number.
    Number(u64),
}

impl Awaited {
    /// The answer, once it has arrived.
    fn answer<'a>(&'a self, cluster: &'a Cluster, now: Time) -> Option<&'a NetworkAnswer> {
        match self {
            Self::Until(due, answer) => (*due <= now).then_some(answer),
            Self::Number(number) => cluster.outside_answer(*number),
        }
    }
}

/// An answer of a simulated server that is under way.
struct Delayed {
    awaited: Awaited,
    asker: oneshot::Sender<NetworkAnswer>,
}

/// A read that waits until a revision is there.
struct Held {
    request: Box<HttpRequest>,
    reply: oneshot::Sender<Reply>,
    revision: Revision,
    until: Time,
}

#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
struct Actor {
    session: Session,
    held: Vec<Held>,
    streams: Vec<Stream>,
    delayed: Vec<Delayed>,
    metrics: Metrics,
    last_talk: TalkId,
    clock: Clock,
    /// When simulated time was moved on last.
    moved: Instant,
}

#[expect(clippy::disallowed_types, reason = "real clients live in real time")]
impl Actor {
    fn new(mut session: Session, clock: Clock) -> Self {
        session.play_on_when_full();
        Self {
            session,
            held: Vec::new(),
            streams: Vec::new(),
            delayed: Vec::new(),
            metrics: Metrics::default(),
            last_talk: 0,
            clock,
            moved: Instant::now(),
        }
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
                Ok(Message::Http(request, reply)) => self.take(request, reply),
                Ok(Message::Work(work)) => work(&mut self),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.feed();
        }
    }

    /// Answers a request, or lets it wait for the revision that it wants to see.
    fn take(&mut self, request: Box<HttpRequest>, reply: oneshot::Sender<Reply>) {
        let newest = self.session.cluster().api().etcd().revision();
        let awaited = route::awaited_revision(&request).filter(|revision| *revision > newest);
        match awaited.filter(|_| self.held.len() < HELD_MAX) {
            Some(revision) => {
                let until = self.session.now() + BLOCK_TIMEOUT;
                self.held.push(Held { request, reply, revision, until });
            }
            None => {
                // Whoever asked may have gone.
                let _ = reply.send(self.answer(&request));
            }
        }
    }

    /// Answers the reads that have waited for long enough.
    fn release(&mut self) {
        let (newest, now) = (self.session.cluster().api().etcd().revision(), self.session.now());
        let is_due = |held: &mut Held| held.revision <= newest || held.until <= now;
        let due: Vec<Held> = self.held.extract_if(.., is_due).collect();
        for Held { request, reply, .. } in due {
            // Whoever asked may have gone.
            let _ = reply.send(self.answer(&request));
        }
    }

    /// Gives everybody what there is for them.
    fn feed(&mut self) {
        if !self.held.is_empty() {
            self.release();
        }
        let cluster = self.session.cluster();
        self.streams.retain_mut(|stream| stream.pump(cluster));
        let now = self.session.now();
        for delayed in self.delayed.extract_if(.., |delayed| delayed.awaited.answer(cluster, now).is_some()) {
            if let Some(answer) = delayed.awaited.answer(cluster, now) {
                // Whoever asked may have gone.
                let _ = delayed.asker.send(answer.clone());
            }
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> Reply {
        let is_read = matches!(request.method.as_str(), "GET" | "HEAD");
        match request.address() {
            "/metrics" if is_read => return self.metrics.reply(self.session.cluster(), self.streams.len()),
            "/metrics/slis" if is_read => return self.metrics.health(),
            _ => {}
        }
        let reply = match route::answer(&mut self.session, request) {
            Answer::Reply(reply) => reply,
            Answer::Stream(..) if self.streams.len() >= STREAMS_MAX => {
                let status = Status::new(Reason::TooManyRequests, "too many watches are open, please try again later");
                Reply::refusal(&status, &Format::plain(request))
            }
            Answer::Stream(reply, stream) => {
                self.streams.push(stream);
                reply
            }
        };
        self.metrics.count(request, reply.code);
        reply
    }

    fn begin_talk(&mut self, wish: &Wish) -> Begun {
        self.last_talk += 1;
        let ends_input = talk::ends_input(self.session.cluster(), wish);
        let (talk, said) = Talk::begin(&mut self.session, self.last_talk, wish);
        if let Some(talk) = talk {
            self.streams.push(Stream::Talk(Box::new(talk)));
        }
        Begun { id: self.last_talk, said, ends_input }
    }

    fn talk(&mut self, id: TalkId, input: StreamInput) {
        let talks = self.streams.iter().filter_map(|stream| match stream {
            Stream::Talk(talk) => Some(talk),
            _ => None,
        });
        let Some(action) = talks.into_iter().find(|talk| talk.id == id).map(|talk| talk.action(input)) else { return };
        // What is too large was cut into smaller pieces by whoever sent it.
        let _ = self.session.act(action);
    }

    fn pod_request(&mut self, request: &PodRequest) -> Result<oneshot::Receiver<NetworkAnswer>, Status> {
        let awaited = match self.session.pod_request(request)? {
            PodAnswer::UnderWay(number) => Awaited::Number(number),
            PodAnswer::Answered(answer) => {
                let latency = match &answer {
                    NetworkAnswer::Http(answer) => answer.latency,
                    _ => Duration::ZERO,
                };
                Awaited::Until(self.session.now() + latency, answer)
            }
        };
        let (asker, receiver) = oneshot::channel();
        self.delayed.push(Delayed { awaited, asker });
        Ok(receiver)
    }
}
