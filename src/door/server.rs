//! Connections: HTTP/1.1 with bounds on everything that a client may send or leave unsent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::machinery::status::{Reason, Status};

use super::actor::Door;
use super::authentication::Impersonation;
use super::message::{Content, HttpRequest, Reply};
use super::negotiate::Format;
use super::upgrade::{self, Handshake};

/// `MaxRequestBodyBytes`.
const BODY_BYTES_MAX: usize = 3 << 20;
/// How many connections may be open.
const CONNECTIONS_MAX: usize = 2_048;
/// How long a client may take for the head of its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(90);
/// How long a client may take for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait when the system has no connection to give.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves a door at a listener, for ever.
pub async fn serve(listener: TcpListener, door: Door) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let door = door.clone();
        tokio::spawn(async move {
            connection(stream, door).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, door: Door) {
    // Without it small events of a watch would wait for one another; a system that cannot do it is only slower.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(answer(&door, request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).half_close(true);
    // A client that breaks off, or speaks no HTTP, is nobody's concern but its own.
    let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn answer(door: &Door, mut request: Request<Incoming>) -> Response<Content> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    let mut request = HttpRequest {
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        accept: text(&head.headers, &header::ACCEPT),
        content_type: text(&head.headers, &header::CONTENT_TYPE),
        user_agent: text(&head.headers, &header::USER_AGENT),
        token: token(&head.headers),
        if_none_match: text(&head.headers, &header::IF_NONE_MATCH),
        impersonation: impersonation(&head.headers),
        body: Bytes::new(),
    };
    let refuse = |status: Status| respond(Reply::refusal(&status, &Format::default()));
    if door.is_loopback_only() && !is_own_name(&text(&head.headers, &header::HOST)) {
        return refuse(Status::new(Reason::Forbidden, "this server answers to loopback names only"));
    }
    if let Some(target) = upgrade::target(&request) {
        let handshake = handshake(&head.headers);
        return upgrade::answer(door, &request, target, &handshake, upgrade).await.unwrap_or_else(respond);
    }
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => request.body = body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("Request entity too large: limit is {BODY_BYTES_MAX}");
            return refuse(Status::new(Reason::RequestEntityTooLarge, message));
        }
        Ok(Err(error)) => return refuse(Status::bad_request(format!("the body cannot be read: {error}"))),
        Err(_) => return refuse(Status::new(Reason::Timeout, "the body did not arrive in time")),
    }
    respond(door.send(request).await)
}

fn token(headers: &HeaderMap) -> String {
    let given = text(headers, &header::AUTHORIZATION);
    given.strip_prefix("Bearer ").map(str::trim).unwrap_or_default().to_owned()
}

fn impersonation(headers: &HeaderMap) -> Impersonation {
    let all = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let first = |name: &str| all(name).into_iter().next().unwrap_or_default();
    let extra = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix("impersonate-extra-")?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    });
    Impersonation {
        user: first("impersonate-user"),
        uid: first("impersonate-uid"),
        groups: all("impersonate-group"),
        extra: extra.collect(),
    }
}

fn handshake(headers: &HeaderMap) -> Handshake {
    let words = |name: &HeaderName| -> Vec<String> {
        text(headers, name).split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
    };
    let mut protocols = words(&header::SEC_WEBSOCKET_PROTOCOL);
    protocols.extend(words(&HeaderName::from_static(upgrade::PROTOCOL_VERSION)));
    Handshake {
        is_foreign: headers.get(header::ORIGIN).is_some_and(|origin| {
            let origin = origin.to_str().unwrap_or("");
            !is_own_name(origin.split_once("://").map_or(origin, |(_, host)| host))
        }),
        upgrade: text(headers, &header::UPGRADE),
        key: text(headers, &header::SEC_WEBSOCKET_KEY),
        protocols,
    }
}

/// All values of a header as one, as HTTP allows them to be joined.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}

/// Whether a client calls this machine by a name of its own. A stranger's page that was made to point here does not.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn respond(reply: Reply) -> Response<Content> {
    let mut response = Response::new(reply.content);
    *response.status_mut() = StatusCode::from_u16(reply.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&reply.content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for warning in &reply.warnings {
        // What cannot stand in a header is not said.
        if let Ok(value) = HeaderValue::from_bytes(warning_header(warning).as_bytes()) {
            headers.append(header::WARNING, value);
        }
    }
    response
}

/// `299 - "text"`, with what is no printable text made blank (`net.NewWarningHeader`).
fn warning_header(text: &str) -> String {
    let mut quoted = String::from("299 - \"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(receiver) => {
                receiver.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
