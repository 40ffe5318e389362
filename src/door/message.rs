//! What goes between a connection and the session's actor.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::machinery::status::{Details, Reason, Status};

use super::authentication::Impersonation;
use super::negotiate::Format;

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct HttpRequest {
    /// `GET`, `POST` …
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The `Accept` header.
    pub accept: String,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The token of an `Authorization: Bearer` header; empty without one.
    pub token: String,
    /// The `If-None-Match` header: the hashes of what the client has.
    pub if_none_match: String,
    /// Whom the client wants to be.
    pub impersonation: Impersonation,
    /// The body.
    pub body: Bytes,
}

impl HttpRequest {
    /// The path without its query.
    #[must_use]
    pub fn address(&self) -> &str {
        self.path.split('?').next().unwrap_or("")
    }

    /// The client's own name: what stands before the `/` of its user agent.
    #[must_use]
    pub fn client(&self) -> &str {
        let name = self.user_agent.split(['/', ' ']).next().unwrap_or("");
        if name.is_empty() { "unknown" } else { name }
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Content {
    /// All of it.
    Whole(Bytes),
    /// Pieces, as they come.
    Stream(mpsc::Receiver<Bytes>),
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status code.
    pub code: u16,
    /// The `Content-Type` header.
    pub content_type: Cow<'static, str>,
    /// What the `Warning` headers say.
    pub warnings: Vec<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub content: Content,
}

impl Reply {
    /// Plain text.
    pub(super) fn text(code: u16, text: impl Into<Bytes>) -> Self {
        let content = Content::Whole(text.into());
        Self {
            code,
            content_type: "text/plain; charset=utf-8".into(),
            warnings: Vec::new(),
            headers: Vec::new(),
            content,
        }
    }

    /// A value in the format that was agreed on.
    pub(super) fn value(code: u16, value: &Value, format: &Format) -> Self {
        if !format.can_write(value) {
            let message = "only the following media types are accepted: application/json, application/yaml";
            return Self::refusal(&Status::new(Reason::NotAcceptable, message), &format.without_protobuf());
        }
        let content = Content::Whole(format.encode(value));
        Self { code, content_type: format.content_type().into(), warnings: Vec::new(), headers: Vec::new(), content }
    }

    /// A stream of watch events.
    pub(super) fn stream(content_type: &'static str, receiver: mpsc::Receiver<Bytes>) -> Self {
        Self {
            code: 200,
            content_type: content_type.into(),
            warnings: Vec::new(),
            headers: Vec::new(),
            content: Content::Stream(receiver),
        }
    }

    /// A refusal.
    pub(super) fn refusal(status: &Status, format: &Format) -> Self {
        let mut value = status.to_value();
        let is_routing = match status.reason() {
            Reason::MethodNotAllowed | Reason::NotAcceptable => true,
            Reason::NotFound => status.message() == "the server could not find the requested resource",
            Reason::UnsupportedMediaType => status.message().starts_with("415"),
            _ => false,
        };
        // What refuses before a resource is known writes empty details.
        if is_routing
            && *status.details() == Details::default()
            && let Some(code) = value.as_object_mut().and_then(|fields| fields.shift_remove("code"))
        {
            value["details"] = Value::Object(serde_json::Map::new());
            value["code"] = code;
        }
        Self::value(status.code(), &value, format)
    }
}
