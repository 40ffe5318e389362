//! `portforward`: connections to the ports of a pod, many over one (`k8s.io/kubelet/pkg/cri/streaming/portforward`).
//!
//! For each connection the client opens two SPDY streams, one for data and one for what goes wrong; or has two channels of
//! a WebSocket for each port. Servers in simulated containers answer requests, they have no byte streams; so what comes is
//! read as HTTP/1.1, each request is brought to the pod as an action of the session's, and the answer is written back.
//! What is no HTTP is hung up on.

mod channels;
mod http;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use crate::apiserver::Target;
use crate::machinery::shell::NetworkAnswer;
use crate::node::runtime::StreamInput;
use crate::session::PodRequest;

use super::actor::Door;
use super::spdy::{self, Frame, StreamId};
use super::wire::{Drain, Source};
use http::{Parsed, Request, parse, write};

pub(super) use channels::{ports, serve as serve_channels};

/// How many connections may be open over one.
const CONNECTIONS_MAX: usize = 256;
/// How many pieces may wait in either direction.
const PIECES_MAX: usize = 64;
/// How large a request may be.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// One of the two streams of a connection that the client has opened, until the other comes.
#[derive(Default)]
struct Pair {
    data: Option<StreamId>,
    error: Option<StreamId>,
    port: u16,
}

/// Some bytes of a connection, and whether they are its last.
type Piece = (Vec<u8>, bool);

enum Event {
    Came(Bytes),
    Goes(Bytes),
    Gone,
}

/// Forwards connections until the client goes.
pub(super) async fn serve(door: Door, target: Target, source: Source, mut drain: Drain) {
    let (sender, mut receiver) = mpsc::channel(PIECES_MAX);
    let came = source.map(Event::Came).chain(stream::once(std::future::ready(Event::Gone)));
    let goes = stream::poll_fn(move |context| receiver.poll_recv(context)).map(Event::Goes);
    let mut events = std::pin::pin!(stream::select(came, goes));
    let mut session = Forwarding {
        door,
        target,
        sender,
        decoder: spdy::Decoder::default(),
        encoder: spdy::Encoder::default(),
        pairs: BTreeMap::new(),
        open: BTreeMap::new(),
    };
    while let Some(event) = events.next().await {
        match event {
            Event::Came(bytes) => {
                let Ok(replies) = session.take(&bytes) else { return };
                if !replies.is_empty() && !drain.send(replies.into()).await {
                    return;
                }
            }
            Event::Goes(bytes) => {
                if !drain.send(bytes).await {
                    return;
                }
            }
            Event::Gone => return,
        }
    }
}

struct Forwarding {
    door: Door,
    target: Target,
    /// Where connections put what goes out.
    sender: mpsc::Sender<Bytes>,
    decoder: spdy::Decoder,
    encoder: spdy::Encoder,
    /// By the client's number of a connection.
    pairs: BTreeMap<String, Pair>,
    /// By the number of the stream with the data.
    open: BTreeMap<StreamId, mpsc::Sender<Piece>>,
}

impl Forwarding {
    /// Takes bytes; what is to be answered at once comes back.
    fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, spdy::Broken> {
        self.decoder.feed(bytes);
        let mut replies = Vec::new();
        while let Some(frame) = self.decoder.next()? {
            match frame {
                Frame::Open { stream, headers, .. } => {
                    replies.extend(self.encoder.accept(stream));
                    self.begin(stream, &headers);
                }
                Frame::Data { stream, bytes, ends } => {
                    // One that reads too slowly, or not any more, loses its connection.
                    let is_taken = self.open.get(&stream).is_some_and(|inbox| inbox.try_send((bytes, ends)).is_ok());
                    if !is_taken || ends {
                        self.open.remove(&stream);
                    }
                }
                Frame::Reset(stream) => {
                    self.open.remove(&stream);
                }
                Frame::Ping(id) => replies.extend(spdy::pong(id)),
                Frame::GoAway => return Err(spdy::Broken),
            }
        }
        Ok(replies)
    }

    fn begin(&mut self, stream: StreamId, headers: &[(String, String)]) {
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value);
        if self.pairs.len() + self.open.len() > CONNECTIONS_MAX {
            return;
        }
        let pair = self.pairs.entry(header("requestid").to_owned()).or_default();
        pair.port = header("port").parse().unwrap_or(0);
        match header("streamtype") {
            "data" => pair.data = Some(stream),
            "error" => pair.error = Some(stream),
            _ => return,
        }
        let (Some(data), Some(error), port) = (pair.data, pair.error, pair.port) else { return };
        self.pairs.remove(header("requestid"));
        let (inbox, came) = mpsc::channel(PIECES_MAX);
        self.open.insert(data, inbox);
        let connection = Forwarded {
            door: self.door.clone(),
            target: self.target.clone(),
            port,
            lane: Lane::Streams { data, error },
            sender: self.sender.clone(),
        };
        tokio::spawn(connection.run(came));
    }
}

/// Where a connection's bytes and its failure go.
#[derive(Clone, Copy)]
enum Lane {
    /// Two streams of SPDY.
    Streams { data: StreamId, error: StreamId },
    /// Two channels of a WebSocket: the one with this number has the data, the next one the failure.
    Channel(u8),
}

impl Lane {
    fn data(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Streams { data, .. } => spdy::data(data, bytes, false),
            Self::Channel(number) => channels::message(number, bytes),
        }
    }

    /// What is sent in the end, if anything is.
    fn end(self, failure: &str) -> Option<Vec<u8>> {
        match self {
            Self::Streams { data, error } => {
                Some([spdy::data(data, b"", true), spdy::data(error, failure.as_bytes(), true)].concat())
            }
            Self::Channel(number) => (!failure.is_empty()).then(|| channels::message(number + 1, failure.as_bytes())),
        }
    }
}

/// One connection to a port of the pod.
struct Forwarded {
    door: Door,
    target: Target,
    port: u16,
    lane: Lane,
    sender: mpsc::Sender<Bytes>,
}

impl Forwarded {
    async fn run(self, mut came: mpsc::Receiver<Piece>) {
        let failure = match self.door.port_refusal(&self.target, self.port).await {
            Ok(None) => self.carry(&mut came).await,
            Ok(Some(refusal)) => Some(refusal),
            Err(status) => Some(status.message().to_owned()),
        };
        if let Some(end) = self.lane.end(&failure.unwrap_or_default()) {
            // A client that has gone needs no farewell.
            let _ = self.sender.send(end.into()).await;
        }
    }

    /// Answers one request after another. Says what went wrong, if anything did.
    async fn carry(&self, came: &mut mpsc::Receiver<Piece>) -> Option<String> {
        let mut bytes = Vec::new();
        while let Some((piece, _)) = came.recv().await {
            bytes.extend(piece);
            loop {
                let (request, length) = match parse(&bytes) {
                    Parsed::Whole(request, length) => (request, length),
                    Parsed::Part if bytes.len() < REQUEST_BYTES_MAX => break,
                    Parsed::Part | Parsed::Nonsense => return None,
                };
                bytes.drain(..length);
                let (is_head, is_last) = (request.method == "HEAD", request.is_last);
                let answer = match self.door.pod_request(self.action(request)).await {
                    Ok(NetworkAnswer::Http(answer)) => answer,
                    Ok(NetworkAnswer::Refused { .. }) => {
                        return self.door.port_refusal(&self.target, self.port).await.ok().flatten();
                    }
                    // What is there speaks no HTTP, or has hung up.
                    Ok(_) => return None,
                    Err(status) => return Some(status.message().to_owned()),
                };
                let frames = self.lane.data(&write(&answer, is_head));
                if self.sender.send(frames.into()).await.is_err() || is_last {
                    return None;
                }
            }
        }
        None
    }

    fn action(&self, request: Request) -> PodRequest {
        PodRequest {
            namespace: self.target.namespace.to_string(),
            pod: self.target.name.to_string(),
            port: self.port,
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: (!request.body.is_empty()).then(|| StreamInput::of_bytes(&request.body)),
        }
    }
}
