//! `metav1.Status`: the one form in which the API server says no.
//!
//! Follows `k8s.io/apimachinery/pkg/api/errors`: reasons, codes and wording.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::field::{ErrorList, FieldError};

/// Why a request was refused, as `metav1.StatusReason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are metav1.StatusReason's own and say all there is to say")]
pub enum Reason {
    #[serde(rename = "")]
    Unknown,
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    Expired,
    ServiceUnavailable,
}

impl Reason {
    /// The HTTP status code that goes with the reason.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Unknown | Self::InternalError => 500,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::Invalid => 422,
            Self::ServerTimeout | Self::Timeout => 504,
            Self::TooManyRequests => 429,
            Self::BadRequest => 400,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ServiceUnavailable => 503,
        }
    }
}

/// One cause among the details of a [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The sort of cause, such as `FieldValueInvalid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What is wrong, without the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The path of the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// What a [`Status`] is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Details {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The object's kind, or its resource: upstream puts either here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The single findings.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Seconds after which another try may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// A refusal by the API server.
///
/// Cheap to clone, since it travels through work queues, events and explanations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(Arc<Body>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    reason: Reason,
    code: u16,
    message: String,
    details: Details,
    warnings: Vec<String>,
    /// With what token a list may go on that cannot be consistent any more.
    continue_token: String,
}

impl Status {
    /// A status with the reason's own code and no details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self::with_details(reason, message, Details::default())
    }

    /// A status with the reason's own code.
    pub fn with_details(reason: Reason, message: impl Into<String>, details: Details) -> Self {
        let body = Body {
            reason,
            code: reason.code(),
            message: message.into(),
            details,
            warnings: Vec::new(),
            continue_token: String::new(),
        };
        Self(Arc::new(body))
    }

    /// The same with a token, with which the list that was refused may go on all the same.
    #[must_use]
    pub fn with_continue(self, token: String) -> Self {
        let mut body = Arc::unwrap_or_clone(self.0);
        body.continue_token = token;
        Self(Arc::new(body))
    }

    /// `resource "name" not found`; `resource` is `pods` or `deployments.apps`.
    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} not found", qualified(group, resource));
        Self::with_details(Reason::NotFound, message, details(group, resource, name))
    }

    /// `resource "name" already exists`.
    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", qualified(group, resource));
        Self::with_details(Reason::AlreadyExists, message, details(group, resource, name))
    }

    /// `Operation cannot be fulfilled on resource "name": why`.
    #[must_use]
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", qualified(group, resource));
        Self::with_details(Reason::Conflict, message, details(group, resource, name))
    }

    /// `resource "name" is forbidden: why`.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", qualified(group, resource))
        } else {
            format!("{} {name:?} is forbidden: {why}", qualified(group, resource))
        };
        Self::with_details(Reason::Forbidden, message, details(group, resource, name))
    }

    /// `Kind.group "name" is invalid: …` with one cause a finding.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &ErrorList) -> Self {
        let subject = qualified(group, kind);
        let mut message = format!("{subject} {name:?} is invalid");
        let mut texts: Vec<String> = Vec::new();
        for text in errors.iter().map(FieldError::to_string) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        match texts.as_slice() {
            [] => {}
            [one] => message = format!("{message}: {one}"),
            many => message = format!("{message}: [{}]", many.join(", ")),
        }
        let mut details = details(group, kind, name);
        details.causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.error_type.reason().to_owned(),
                message: error.body.clone(),
                // Upstream's path of an object as a whole.
                field: if error.field.is_empty() { "<nil>".to_owned() } else { error.field.clone() },
            })
            .collect();
        Self::with_details(Reason::Invalid, message, details)
    }

    /// A request that makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// An error of the server's own.
    pub fn internal(message: &str) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// `the server does not allow this method on the requested resource`.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
    }

    /// The version that was asked for is no longer, or was never, there: 410.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// The HTTP status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The sentence for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What it is about.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.0.details
    }

    /// What the server wanted the user to know besides: `Warning` headers, which a refusal has too.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The same refusal with `Warning` headers.
    #[must_use]
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        if !warnings.is_empty() {
            Arc::make_mut(&mut self.0).warnings = warnings;
        }
        self
    }

    /// Whether the object was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.reason == Reason::NotFound
    }

    /// Whether another write came first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.0.reason == Reason::Conflict
    }

    /// Whether the object was already there.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.0.reason == Reason::AlreadyExists
    }

    /// As the JSON object that the API server sends.
    #[must_use]
    pub fn to_value(&self) -> serde_json::Value {
        let mut value = serde_json::json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.0.message,
            "reason": self.0.reason,
        });
        if self.0.reason == Reason::Unknown
            && let Some(fields) = value.as_object_mut()
        {
            // Upstream leaves an empty reason out, and kubectl then prints none.
            fields.shift_remove("reason");
        }
        if !self.0.continue_token.is_empty() {
            value["metadata"]["continue"] = self.0.continue_token.clone().into();
        }
        if self.0.details != Details::default() {
            value["details"] = super::json::to_value(&self.0.details);
        }
        value["code"] = self.0.code.into();
        value
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Status {}

fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn details(group: &str, kind: &str, name: &str) -> Details {
    Details { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), ..Details::default() }
}
