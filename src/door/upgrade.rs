//! Connections that stop being HTTP: `exec`, `attach` and `portforward` over a WebSocket or SPDY.

use hyper::header::{self, HeaderValue};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::api::Subresource;
use crate::apiserver::Target;
use crate::apiserver::address::{self, Query};
use crate::machinery::status::{Reason, Status};

use super::actor::Door;
use super::message::{Content, HttpRequest, Reply};
use super::negotiate::Format;
use super::talk::{self, Line, Wish};
use super::wire::{Drain, Source};
use super::{port_forward, wire};

/// The header in which SPDY clients and servers agree on what they speak.
pub(super) const PROTOCOL_VERSION: &str = "x-stream-protocol-version";
/// What exec and attach can be spoken in over a WebSocket, best first.
const TALK_WEB: &[&str] = &["v5.channel.k8s.io", CHANNELS, TEXTS, "channel.k8s.io", "base64.channel.k8s.io"];
/// And over SPDY.
const TALK_SPDY: &[&str] = &["v4.channel.k8s.io"];
/// How ports are forwarded over a WebSocket: SPDY inside it, which kubectl does, or channels, which libraries use.
const FORWARD_WEB: &[&str] = &[FORWARD_TUNNEL, CHANNELS, TEXTS];
const FORWARD_TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// Channels of a WebSocket, and the same in texts.
const CHANNELS: &str = "v4.channel.k8s.io";
const TEXTS: &str = "v4.base64.channel.k8s.io";
/// And over SPDY itself.
const FORWARD_SPDY: &[&str] = &["portforward.k8s.io"];

/// How a client wants to go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Handshake {
    /// Whether a page in a browser asks that is not of this machine. Browsers let every page open a WebSocket.
    pub(super) is_foreign: bool,
    /// The `Upgrade` header.
    pub(super) upgrade: String,
    /// `Sec-WebSocket-Key`, or nothing.
    pub(super) key: String,
    /// What the client speaks, best first.
    pub(super) protocols: Vec<String>,
}

impl Handshake {
    fn is_web(&self) -> bool {
        self.upgrade.eq_ignore_ascii_case("websocket") && !self.key.is_empty()
    }

    fn is_spdy(&self) -> bool {
        self.upgrade.eq_ignore_ascii_case("spdy/3.1")
    }

    /// The first of what is spoken here that the client speaks too. Over a WebSocket it may leave that to the server,
    /// which then speaks as it did before there were versions: nothing is the name of that.
    fn agree(&self, known: &[&'static str]) -> Option<&'static str> {
        if self.is_web() && self.protocols.is_empty() {
            return Some("");
        }
        known.iter().find(|known| self.protocols.iter().any(|wanted| wanted == *known)).copied()
    }
}

/// What a request that wants another protocol is about, if it is one of those that may.
pub(super) fn target(request: &HttpRequest) -> Option<Target> {
    let target = address::target(&request.path).ok()?;
    let is_stream =
        matches!(target.subresource, Some(Subresource::Exec | Subresource::Attach | Subresource::PortForward));
    (is_stream && matches!(request.method.as_str(), "GET" | "POST")).then_some(target)
}

/// Agrees to go on in another protocol, and does; or refuses.
pub(super) async fn answer(
    door: &Door,
    request: &HttpRequest,
    target: Target,
    handshake: &Handshake,
    upgrade: OnUpgrade,
) -> Result<Response<Content>, Reply> {
    let refuse = |status: &Status| Reply::refusal(status, &Format::plain(request));
    let (is_web, is_spdy) = (handshake.is_web(), handshake.is_spdy());
    if !is_web && !is_spdy {
        return Err(refuse(&Status::bad_request("Upgrade request required")));
    }
    if handshake.is_foreign && door.is_loopback_only() {
        return Err(refuse(&Status::new(Reason::Forbidden, "this server answers to pages of this machine only")));
    }
    door.admit(request, &target).await.map_err(|status| refuse(&status))?;
    let is_forward = target.subresource == Some(Subresource::PortForward);
    let known = match (is_forward, is_web) {
        (true, true) => FORWARD_WEB,
        (true, false) => FORWARD_SPDY,
        (false, true) => TALK_WEB,
        (false, false) => TALK_SPDY,
    };
    let Some(protocol) = handshake.agree(known) else {
        let asked = handshake.protocols.join(" ");
        let message = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{asked}], server accepts {known:?}"
        );
        return Err(refuse(&Status::new(Reason::Forbidden, message)));
    };
    let Some(room) = door.room() else {
        let message = "too many streams are open, please try again later";
        return Err(refuse(&Status::new(Reason::TooManyRequests, message)));
    };
    let wish = Wish::of(target.clone(), &Query::of(&request.path));
    if is_forward {
        door.check_stream(&target, None).await.map_err(|status| refuse(&status))?;
        let in_channels = is_web && protocol != FORWARD_TUNNEL;
        let ports = if in_channels { port_forward::ports(&Query::of(&request.path)) } else { Ok(Vec::new()) };
        let ports = ports.map_err(|status| refuse(&status))?;
        let door = door.clone();
        tokio::spawn(async move {
            // A client that does not go on after all is nobody's concern.
            let Ok(connection) = upgrade.await else { return };
            let (source, drain) = open(connection, is_web, protocol).await;
            if in_channels {
                port_forward::serve_channels(door, target, ports, source, drain).await;
            } else {
                port_forward::serve(door, target, source, drain).await;
            }
            drop(room);
        });
    } else {
        if target.subresource == Some(Subresource::Exec) && wish.command.is_empty() {
            return Err(refuse(&Status::bad_request("you must specify at least 1 command for the container")));
        }
        door.check_stream(&target, Some(&wish.container)).await.map_err(|status| refuse(&status))?;
        let door = door.clone();
        tokio::spawn(async move {
            let Ok(connection) = upgrade.await else { return };
            let Some(begun) = door.begin_talk(wish.clone()).await else { return };
            let line = Line { door, begun, wish };
            let (source, drain) = open(connection, is_web, protocol).await;
            if is_web {
                talk::over_web(line, protocol, source, drain).await;
            } else {
                talk::over_spdy(line, source, drain).await;
            }
            drop(room);
        });
    }
    Ok(switch(handshake, protocol))
}

/// Both ends of a connection in its protocol.
async fn open(connection: Upgraded, is_web: bool, protocol: &str) -> (Source, Drain) {
    match (is_web, protocol.contains("base64")) {
        (false, _) => wire::bare(connection),
        (true, false) => wire::web(connection).await,
        (true, true) => wire::texts(connection).await,
    }
}

/// `101 Switching Protocols`.
fn switch(handshake: &Handshake, protocol: &'static str) -> Response<Content> {
    let mut response = Response::new(Content::Whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let protocol = HeaderValue::from_static(protocol);
    if handshake.is_web() {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // The key's answer is base64, which always fits into a header.
        if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(handshake.key.as_bytes())) {
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        }
        if !protocol.is_empty() {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
    } else {
        headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
        headers.insert(header::HeaderName::from_static(PROTOCOL_VERSION), protocol);
    }
    response
}
