//! `exec` and `attach`: a client talks with a process in a container, over a WebSocket's or SPDY's channels.
//!
//! `k8s.io/apiserver/pkg/util/proxy/streamtranslator.go` and `k8s.io/kubelet/pkg/cri/streaming/remotecommand`. The
//! actor's part is [`Talk`], which passes on what a process writes; the connection's is [`over_web`] and [`over_spdy`].

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde_json::json;
use tokio::sync::mpsc;

use k8s_openapi::api::core::v1::Pod;

use crate::api::{Kind, Object, Subresource};
use crate::apiserver::Target;
use crate::apiserver::address::Query;
use crate::machinery::shell::Stream;
use crate::machinery::status::Status;
use crate::node::runtime::StreamInput;
use crate::session::{Action, AttachInput, ExecCommand, ExecInput, Session};
use crate::sim::{AttachStream, Cluster, ExecStream, StreamOutput};

use super::actor::Door;
use super::spdy::{self, Frame, StreamId};
use super::terminal::{self, Terminal};
use super::wire::{Drain, Source};

/// How many pieces may wait for a client.
const PIECES_MAX: usize = 16;

/// How much input goes into one action of the session's.
const INPUT_BYTES_MAX: usize = 256 << 10;
/// How long a client may take to go when all is said.
const FAREWELL: Duration = Duration::from_secs(5);

/// The number of a talk at the actor.
pub(super) type TalkId = u64;

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    /// The pod, and whether `exec` or `attach`.
    pub(super) target: Target,
    pub(super) container: String,
    pub(super) command: Vec<String>,
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Wish {
    pub(super) fn of(target: Target, query: &Query) -> Self {
        Self {
            target,
            container: query.get("container").to_owned(),
            command: query.all("command").map(str::to_owned).collect(),
            stdin: query.is_on("stdin"),
            stdout: query.is_on("stdout"),
            // A terminal has only one output.
            stderr: query.is_on("stderr") && !query.is_on("tty"),
            tty: query.is_on("tty"),
        }
    }
}

/// What comes of a talk.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// The process wrote something.
    Piece(Stream, Bytes),
    /// It has ended, with this code if it was a command.
    Ended(Option<i32>),
    /// It could not begin.
    Refused(Status),
}

/// The actor's end of a talk.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) id: TalkId,
    partner: Partner,
    /// How many pieces were sent.
    seen: u64,
    sender: mpsc::Sender<Said>,
}

#[derive(Debug)]
enum Partner {
    Exec(ExecStream),
    Attach(AttachStream),
}

impl Talk {
    /// Begins a talk. A refusal of the kubelet's is told to the client as what comes of it: the API server has agreed to
    /// the talk by then.
    pub(super) fn begin(session: &mut Session, id: TalkId, wish: &Wish) -> (Option<Self>, mpsc::Receiver<Said>) {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        match Partner::begin(session, wish) {
            Ok(partner) => {
                // Whoever is attached sees what is written from now on.
                let seen = if matches!(partner, Partner::Attach(_)) {
                    partner.output(session.cluster(), u64::MAX).seen
                } else {
                    0
                };
                (Some(Self { id, partner, seen, sender }), receiver)
            }
            Err(status) => {
                // There is room: nothing was sent before.
                let _ = sender.try_send(Said::Refused(status));
                (None, receiver)
            }
        }
    }

    /// Sends what is new. Says whether there may be more.
    pub(super) fn pump(&mut self, cluster: &Cluster) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        // One place is kept for the end.
        if self.sender.capacity() < 2 {
            return true;
        }
        let output = self.partner.output(cluster, self.seen);
        let room = self.sender.capacity() - 1;
        let is_all = output.output.len() <= room;
        let count = output.output.len().min(room) as u64;
        self.seen = if is_all { output.seen } else { output.seen - (output.output.len() as u64 - count) };
        for piece in output.output.into_iter().take(room) {
            // There is room.
            let _ = self.sender.try_send(Said::Piece(piece.stream, piece.bytes.into()));
        }
        if is_all && output.ended {
            let _ = self.sender.try_send(Said::Ended(output.exit_code));
            return false;
        }
        true
    }

    /// What is to be done when the client sends something.
    pub(super) fn action(&self, input: StreamInput) -> Action {
        match &self.partner {
            Partner::Exec(stream) => {
                Action::ExecInput(ExecInput { node: stream.node.to_string(), exec: stream.exec, input })
            }
            Partner::Attach(stream) => {
                let (node, container) = (stream.node.to_string(), stream.container.to_string());
                Action::AttachInput(AttachInput { node, container, input })
            }
        }
    }
}

impl Partner {
    fn begin(session: &mut Session, wish: &Wish) -> Result<Self, Status> {
        if wish.target.subresource == Some(Subresource::Attach) {
            return session.cluster().attach(&wish.target.key(), &wish.container).map(Self::Attach);
        }
        let command = ExecCommand {
            namespace: wish.target.namespace.to_string(),
            pod: wish.target.name.to_string(),
            container: wish.container.clone(),
            command: wish.command.clone(),
            stdin: String::new(),
            open: wish.stdin,
            tty: wish.tty,
        };
        session.exec(&command).map(Self::Exec)
    }

    fn output(&self, cluster: &Cluster, seen: u64) -> StreamOutput {
        match self {
            Self::Exec(stream) => cluster.exec_output(stream, seen),
            Self::Attach(stream) => cluster.attached_output(stream, seen),
        }
    }
}

/// A talk that has begun, as its connection gets it.
pub(super) struct Begun {
    pub(super) id: TalkId,
    pub(super) said: mpsc::Receiver<Said>,
    /// Whether the process's input ends with the client's: always a command's, a container's own program's only when
    /// its spec says `stdinOnce`.
    pub(super) ends_input: bool,
}

/// Whether a process's input ends with the client's.
pub(super) fn ends_input(cluster: &Cluster, wish: &Wish) -> bool {
    if wish.target.subresource != Some(Subresource::Attach) {
        return true;
    }
    let pod = cluster.api().etcd().get(Kind::Pod, &wish.target.key()).and_then(Object::downcast::<Pod>);
    let mut containers = pod.iter().flat_map(|pod| pod.spec.iter()).flat_map(|spec| &spec.containers);
    let container = containers.find(|container| wish.container.is_empty() || container.name == wish.container);
    container.and_then(|container| container.stdin_once).unwrap_or(false)
}

/// The connection's end of a talk.
pub(super) struct Line {
    pub(super) door: Door,
    pub(super) begun: Begun,
    pub(super) wish: Wish,
}

/// What keys are typed on, when there is a terminal, and what they come to.
struct Keyboard {
    door: Door,
    id: TalkId,
    terminal: Option<Terminal>,
    is_open: bool,
    ends_input: bool,
}

impl Keyboard {
    fn of(line: &Line) -> Self {
        let terminal = line.wish.tty.then(Terminal::default);
        let Begun { id, ends_input, .. } = line.begun;
        Self { door: line.door.clone(), id, terminal, is_open: line.wish.stdin, ends_input }
    }

    /// Passes bytes on. What a terminal shows at once comes back.
    async fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        if !self.is_open || bytes.is_empty() {
            return Vec::new();
        }
        let Some(terminal) = &mut self.terminal else {
            for piece in bytes.chunks(INPUT_BYTES_MAX) {
                self.door.talk(self.id, StreamInput::of_bytes(piece)).await;
            }
            return Vec::new();
        };
        let typed = terminal.take(bytes);
        for input in typed.inputs {
            self.door.talk(self.id, input).await;
        }
        typed.echo
    }

    async fn end(&mut self) {
        if std::mem::replace(&mut self.is_open, false) && self.ends_input {
            self.door.talk(self.id, StreamInput::End).await;
        }
    }

    /// The client has gone: what it had open is closed, and its terminal hangs up.
    async fn gone(&mut self) {
        if self.terminal.is_some() && self.ends_input {
            self.door.talk(self.id, StreamInput::HangUp).await;
        } else {
            self.end().await;
        }
    }
}

/// What stands in the error channel in the end.
fn ending(said: &Said) -> Option<serde_json::Value> {
    match said {
        Said::Piece(..) => None,
        Said::Ended(None | Some(0)) => Some(json!({ "metadata": {}, "status": "Success" })),
        Said::Ended(Some(code)) => Some(json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
            "reason": "NonZeroExitCode",
            "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
        })),
        Said::Refused(status) => Some(status.to_value()),
    }
}

enum Event {
    Came(Bytes),
    Said(Said),
    Gone,
}

/// What comes from both sides, in one row.
fn events(source: Source, mut said: mpsc::Receiver<Said>) -> impl StreamExt<Item = Event> + Unpin {
    let came = source.map(Event::Came).chain(stream::once(std::future::ready(Event::Gone)));
    let said = stream::poll_fn(move |context| said.poll_recv(context)).map(Event::Said);
    Box::pin(stream::select(came, said))
}

/// Reads on until the client has gone: a connection that is dropped with something unread breaks off, and the client
/// may lose what it was told last.
async fn linger(events: &mut (impl StreamExt<Item = Event> + Unpin)) {
    let gone = async { while let Some(Event::Came(_) | Event::Said(_)) = events.next().await {} };
    // A client that stays all the same has had its time.
    let _ = tokio::time::timeout(FAREWELL, gone).await;
}

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// Closes a channel, in the fifth version of the protocol.
const CLOSE: u8 = 255;

fn message(channel: u8, bytes: &[u8]) -> Bytes {
    [&[channel], bytes].concat().into()
}

/// What goes into the error channel of a WebSocket in the end. Before the fourth version of the protocol that were words,
/// and none when all went well.
fn farewell(said: &Said, protocol: &str) -> Option<String> {
    let status = match said {
        // The API server passes on as its own failure what the kubelet answers.
        Said::Refused(status) => Status::internal(status.message()).to_value(),
        said => ending(said)?,
    };
    if protocol.starts_with('v') {
        return Some(status.to_string());
    }
    status["message"].as_str().map(str::to_owned)
}

/// Talks over a WebSocket: each message is a channel's number and what goes there (`v5.channel.k8s.io`).
pub(super) async fn over_web(line: Line, protocol: &str, source: Source, mut drain: Drain) {
    let mut keyboard = Keyboard::of(&line);
    let is_terminal = line.wish.tty;
    let mut events = events(source, line.begun.said);
    // An empty message tells the client that it is connected.
    let mut is_there = drain.send(message(STDOUT, b"")).await;
    while is_there && let Some(event) = events.next().await {
        match event {
            Event::Came(bytes) => match bytes.split_first() {
                Some((&STDIN, rest)) => {
                    let echo = keyboard.take(rest).await;
                    is_there = echo.is_empty() || drain.send(message(STDOUT, &echo)).await;
                }
                Some((&CLOSE, [STDIN])) => keyboard.end().await,
                // The size of a terminal is nothing to a program here.
                _ => {}
            },
            Event::Said(Said::Piece(_, bytes)) if is_terminal => {
                is_there = drain.send(message(STDOUT, &terminal::shown(&bytes))).await;
            }
            Event::Said(Said::Piece(stream, bytes)) => {
                let channel = if stream == Stream::Error { STDERR } else { STDOUT };
                is_there = drain.send(message(channel, &bytes)).await;
            }
            Event::Said(end) => {
                if let Some(words) = farewell(&end, protocol) {
                    drain.send(message(ERROR, words.as_bytes())).await;
                }
                drain.close().await;
                return linger(&mut events).await;
            }
            Event::Gone => is_there = false,
        }
    }
    keyboard.gone().await;
}

/// Which stream is which.
#[derive(Default)]
struct Channels {
    error: Option<StreamId>,
    stdin: Option<StreamId>,
    stdout: Option<StreamId>,
    stderr: Option<StreamId>,
}

impl Channels {
    fn open(&mut self, stream: StreamId, headers: &[(String, String)]) {
        let kind = headers.iter().find(|(name, _)| name == "streamtype").map_or("", |(_, value)| value);
        match kind {
            "error" => self.error = Some(stream),
            "stdin" => self.stdin = Some(stream),
            "stdout" => self.stdout = Some(stream),
            "stderr" => self.stderr = Some(stream),
            _ => {}
        }
    }

    /// Whether the client has opened all that it wishes for.
    fn are_complete(&self, wish: &Wish) -> bool {
        self.error.is_some()
            && (!wish.stdin || self.stdin.is_some())
            && (!wish.stdout || self.stdout.is_some())
            && (!wish.stderr || self.stderr.is_some())
    }
}

/// Talks over SPDY: each channel is a stream that says in a header which it is (`v4.channel.k8s.io`).
///
/// What is said before the client has opened the streams waits until it has.
pub(super) async fn over_spdy(line: Line, source: Source, mut drain: Drain) {
    let mut keyboard = Keyboard::of(&line);
    let wish = line.wish;
    let is_terminal = wish.tty;
    let (mut decoder, mut encoder) = (spdy::Decoder::default(), spdy::Encoder::default());
    let mut channels = Channels::default();
    let mut early: Vec<Said> = Vec::new();
    let mut events = events(source, line.begun.said);
    while let Some(event) = events.next().await {
        match event {
            Event::Came(bytes) => {
                decoder.feed(&bytes);
                loop {
                    match decoder.next() {
                        Ok(None) => break,
                        Ok(Some(Frame::Open { stream, headers, .. })) => {
                            channels.open(stream, &headers);
                            drain.send(encoder.accept(stream).into()).await;
                        }
                        Ok(Some(Frame::Data { stream, bytes, ends })) if Some(stream) == channels.stdin => {
                            let echo = keyboard.take(&bytes).await;
                            if let Some(stdout) = channels.stdout.filter(|_| !echo.is_empty()) {
                                drain.send(spdy::data(stdout, &echo, false).into()).await;
                            }
                            if ends {
                                keyboard.end().await;
                            }
                        }
                        Ok(Some(Frame::Ping(id))) => {
                            drain.send(spdy::pong(id).into()).await;
                        }
                        Ok(Some(Frame::Data { .. } | Frame::Reset(_))) => {}
                        Ok(Some(Frame::GoAway)) | Err(spdy::Broken) => return keyboard.gone().await,
                    }
                }
            }
            Event::Said(said) => early.push(said),
            Event::Gone => return keyboard.gone().await,
        }
        let waiting = if channels.are_complete(&wish) { std::mem::take(&mut early) } else { Vec::new() };
        for said in waiting {
            if tell(&said, &channels, is_terminal, &mut drain).await {
                drain.close().await;
                return linger(&mut events).await;
            }
        }
    }
}

/// Passes on what was said. Says whether that was the end.
async fn tell(said: &Said, channels: &Channels, is_terminal: bool, drain: &mut Drain) -> bool {
    if let Said::Piece(stream, bytes) = said {
        let is_error = *stream == Stream::Error && !is_terminal;
        let channel = if is_error { channels.stderr } else { channels.stdout };
        let bytes = if is_terminal { terminal::shown(bytes) } else { bytes.to_vec() };
        if let Some(channel) = channel {
            drain.send(spdy::data(channel, &bytes, false).into()).await;
        }
        return false;
    }
    if let (Some(error), Some(status)) = (channels.error, ending(said)) {
        drain.send(spdy::data(error, status.to_string().as_bytes(), true).into()).await;
    }
    for channel in [channels.stdout, channels.stderr].into_iter().flatten() {
        drain.send(spdy::data(channel, b"", true).into()).await;
    }
    true
}
