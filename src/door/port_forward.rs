//! `portforward`: connections to the ports of a pod, many over one (`k8s.io/kubelet/pkg/cri/streaming/portforward`).
//!
//! For each connection the client opens two SPDY streams, one for data and one for what goes wrong. Servers in simulated
//! containers answer requests, they have no byte streams; so what comes is read as HTTP/1.1, each request is brought to
//! the pod as an action of the session's, and the answer is written back. What is no HTTP is hung up on.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use crate::apiserver::Target;
use crate::machinery::shell::{HttpAnswer, NetworkAnswer};
use crate::node::runtime::StreamInput;
use crate::session::PodRequest;

use super::actor::Door;
use super::spdy::{self, Frame, StreamId};
use super::wire::{Drain, Source};

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
            data,
            error,
            sender: self.sender.clone(),
        };
        tokio::spawn(connection.run(came));
    }
}

/// One connection to a port of the pod.
struct Forwarded {
    door: Door,
    target: Target,
    port: u16,
    data: StreamId,
    error: StreamId,
    sender: mpsc::Sender<Bytes>,
}

impl Forwarded {
    async fn run(self, mut came: mpsc::Receiver<Piece>) {
        let failure = match self.door.port_refusal(&self.target, self.port).await {
            Ok(None) => self.carry(&mut came).await,
            Ok(Some(refusal)) => Some(refusal),
            Err(status) => Some(status.message().to_owned()),
        };
        let failure = failure.unwrap_or_default();
        let end = [spdy::data(self.data, b"", true), spdy::data(self.error, failure.as_bytes(), true)].concat();
        // A client that has gone needs no farewell.
        let _ = self.sender.send(end.into()).await;
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
                let frames = spdy::data(self.data, &write(&answer, is_head), false);
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

/// A request as it came.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Whether the connection ends with its answer.
    is_last: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// A request, and how many bytes it had.
    Whole(Request, usize),
    /// There must be more to come.
    Part,
    /// This is no HTTP.
    Nonsense,
}

/// Reads the request that bytes begin with.
fn parse(bytes: &[u8]) -> Parsed {
    let Some(head_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        let begins_well = bytes.iter().take(8).take_while(|byte| **byte != b' ').all(u8::is_ascii_uppercase);
        return if begins_well { Parsed::Part } else { Parsed::Nonsense };
    };
    let Ok(head) = std::str::from_utf8(&bytes[..head_end]) else { return Parsed::Nonsense };
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or("").split(' ');
    let (Some(method), Some(path), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Parsed::Nonsense;
    };
    if !version.starts_with("HTTP/1.") {
        return Parsed::Nonsense;
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let header = |wanted: &str| {
        headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map_or("", |(_, value)| value.as_str())
    };
    let connection = header("connection").to_ascii_lowercase();
    let is_last = connection == "close" || (version == "HTTP/1.0" && connection != "keep-alive");
    let rest = &bytes[head_end + 4..];
    let body = if header("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunked(rest)
    } else {
        let length = header("content-length").parse().unwrap_or(0);
        rest.get(..length).map(|body| (body.to_vec(), length))
    };
    let Some((body, length)) = body else { return Parsed::Part };
    let (method, path) = (method.to_owned(), path.to_owned());
    Parsed::Whole(Request { method, path, headers, body, is_last }, head_end + 4 + length)
}

/// A body that comes in chunks, and how many bytes they had; nothing while it is not whole.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line_end = bytes[at..].windows(2).position(|two| two == b"\r\n")? + at;
        let size = std::str::from_utf8(&bytes[at..line_end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16).ok()?;
        at = line_end + 2;
        let chunk_end = at.checked_add(size)?;
        body.extend_from_slice(bytes.get(at..chunk_end)?);
        bytes.get(chunk_end..chunk_end + 2)?;
        at = chunk_end + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}

/// An answer as it goes over the wire.
fn write(answer: &HttpAnswer, is_head: bool) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, answer.reason());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !answer.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    head += "\r\n";
    let mut bytes = head.into_bytes();
    if !is_head {
        bytes.extend_from_slice(&answer.body);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_one_after_another() {
        let both = b"GET /a?b HTTP/1.1\r\nHost: localhost:8080\r\n\r\nPOST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
        let Parsed::Whole(first, length) = parse(both) else { panic!("it is whole") };
        assert_eq!((first.method.as_str(), first.path.as_str(), first.is_last), ("GET", "/a?b", false));
        let rest = &both[length..];
        assert_eq!(parse(&rest[..rest.len() - 1]), Parsed::Part);
        let Parsed::Whole(second, length) = parse(rest) else { panic!("it is whole") };
        assert_eq!((second.body.as_slice(), second.is_last, length), (&b"hi"[..], true, rest.len()));
        let chunks = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        let Parsed::Whole(request, length) = parse(chunks) else { panic!("it is whole") };
        assert_eq!((request.body.as_slice(), length), (&b"abcd"[..], chunks.len()));
        for part in 0..chunks.len() {
            assert_eq!(parse(&chunks[..part]), Parsed::Part, "{part}");
        }
        for nonsense in [&b"\x16\x03\x01"[..], b"ping\r\n", b"A B\r\n\r\n", b"GET / FTP/1.1\r\n\r\n"] {
            assert_eq!(parse(nonsense), Parsed::Nonsense);
        }
    }
}
