//! In which form an answer goes out, and how a body is read: `Accept` and `Content-Type`.
//!
//! `k8s.io/apiserver/pkg/endpoints/handlers/negotiation`. Protobuf is read as far as kubectl needs it (`protobuf.rs`), and
//! written for who accepts nothing else; where JSON will do, it is sent.

use bytes::Bytes;
use serde_json::Value;

use crate::api::table::IncludeObject;
use crate::apiserver::address::Query;
use crate::apiserver::media_type;
use crate::machinery::status::{Reason, Status};
use crate::machinery::{go_json, strict, yaml};

use super::message::HttpRequest;
use super::protobuf;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
/// Server-side apply: YAML, and so also JSON.
const APPLY: &str = "application/apply-patch+yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// Aggregated discovery, as clients have asked for it since 1.30.
pub(super) const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What an object becomes on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// Itself.
    #[default]
    Whole,
    /// A row of a `Table`.
    Table(IncludeObject),
    /// Its metadata.
    Metadata,
    /// A list of what a group serves: for discovery only.
    Discovery,
}

/// The form that client and server agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Format {
    /// What objects become.
    pub(super) shape: Shape,
    is_yaml: bool,
    is_pretty: bool,
    is_protobuf: bool,
}

impl Format {
    /// The best of what a client accepts.
    ///
    /// # Errors
    /// `NotAcceptable` when it accepts nothing that there is.
    pub(super) fn agree(request: &HttpRequest, query: &Query) -> Result<Self, Status> {
        let agent = &request.user_agent;
        // People read with these, as `isPrettyPrint` has it.
        let is_read = ["curl", "Wget", "Mozilla/5.0"].iter().any(|reader| agent.starts_with(reader));
        let is_pretty = if query.has("pretty") { query.is_on("pretty") } else { is_read };
        let accept = if request.accept.is_empty() { "*/*" } else { &request.accept };
        let (mut is_known, mut takes_protobuf) = (false, false);
        for clause in accept.split(',') {
            let is_yaml = match media_type(clause) {
                "application/json" | "application/*" | "*/*" => false,
                "application/yaml" => true,
                PROTOBUF => {
                    is_known = true;
                    takes_protobuf |= shape(clause, query)? == Some(Shape::Whole);
                    continue;
                }
                _ => continue,
            };
            is_known = true;
            if let Some(shape) = shape(clause, query)? {
                return Ok(Self { shape, is_yaml, is_pretty, is_protobuf: false });
            }
        }
        // Only what is read can be found to be beyond the tables after it was done.
        if takes_protobuf && request.method == "GET" && !query.is_on("watch") {
            return Ok(Self { is_protobuf: true, ..Self::default() });
        }
        let message = if is_known {
            "only the following media types are accepted: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
        } else {
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
             application/vnd.kubernetes.protobuf"
        };
        Err(Status::new(Reason::NotAcceptable, message))
    }

    /// JSON, for what is said before there is any agreement.
    pub(super) fn plain(request: &HttpRequest) -> Self {
        Self { is_pretty: request.user_agent.starts_with("curl"), ..Self::default() }
    }

    /// The same form for what is no object: a refusal.
    pub(super) fn whole(self) -> Self {
        Self { shape: Shape::Whole, ..self }
    }

    /// The `Content-Type` of what is encoded so.
    pub(super) const fn content_type(&self) -> &'static str {
        match self.shape {
            Shape::Discovery => DISCOVERY,
            _ if self.is_protobuf => PROTOBUF,
            _ if self.is_yaml => YAML,
            _ => JSON,
        }
    }

    /// The same form for a value that cannot be written as Protobuf.
    pub(super) fn without_protobuf(self) -> Self {
        Self { is_protobuf: false, ..self }
    }

    /// Whether a value can be written in this form.
    pub(super) fn can_write(&self, value: &Value) -> bool {
        !self.is_protobuf || protobuf::write(value).is_some()
    }

    /// A value in this form.
    pub(super) fn encode(&self, value: &Value) -> Bytes {
        if let Some(body) = Some(value).filter(|_| self.is_protobuf).and_then(protobuf::write) {
            return body.into();
        }
        let mut text = if self.is_yaml {
            yaml::print(value)
        } else if self.is_pretty {
            // Writing a value into a string cannot fail.
            serde_json::to_string_pretty(value).unwrap_or_default()
        } else {
            go_json::marshal_typed(value).unwrap_or_else(|| value.to_string())
        };
        if !self.is_yaml && !self.is_pretty {
            text.push('\n');
        }
        text.into()
    }
}

/// What the parameters of an `Accept` clause ask for; nothing when that does not exist.
fn shape(clause: &str, query: &Query) -> Result<Option<Shape>, Status> {
    let parameter = |name: &str| {
        let pairs = clause.split(';').skip(1).filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    };
    Ok(match (parameter("as"), parameter("g"), parameter("v")) {
        ("", ..) => Some(Shape::Whole),
        ("Table", "meta.k8s.io", "v1") => Some(Shape::Table(include(query)?)),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1") => Some(Shape::Metadata),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2") => Some(Shape::Discovery),
        _ => None,
    })
}

fn include(query: &Query) -> Result<IncludeObject, Status> {
    match query.get("includeObject") {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "Object" => Ok(IncludeObject::Object),
        "None" => Ok(IncludeObject::None),
        other => Err(Status::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
             'Object', 'None', or empty"
        ))),
    }
}

/// A body, read, with what strict validation says of keys that it has twice.
pub(super) struct Read {
    /// The value; `null` when there was no body.
    pub(super) value: Value,
    /// `duplicate field "spec.replicas"`.
    pub(super) duplicates: Vec<String>,
}

/// Reads the body of a request to a kind.
///
/// # Errors
/// `UnsupportedMediaType`, or `BadRequest` when it is not what it says.
pub(super) fn read(request: &HttpRequest, kind: &str) -> Result<Read, Status> {
    if request.body.is_empty() && !matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        return Ok(Read { value: Value::Null, duplicates: Vec::new() });
    }
    let is_patch = request.method == "PATCH";
    let protobuf = Some(&request.body).filter(|_| !is_patch && media_type(&request.content_type) == PROTOBUF);
    if let Some(value) = protobuf.and_then(|body| protobuf::read(body)) {
        return Ok(Read { value, duplicates: Vec::new() });
    }
    match media_type(&request.content_type) {
        "application/json-patch+json"
        | "application/merge-patch+json"
        | "application/strategic-merge-patch+json"
        | APPLY
            if is_patch => {}
        _ if is_patch => return Err(Status::new(Reason::UnsupportedMediaType, "415: Unsupported Media Type")),
        // A client that names no type means JSON.
        "" | JSON | YAML => {}
        _ => {
            return Err(Status::new(
                Reason::UnsupportedMediaType,
                "the body of the request was in an unknown format - accepted media types include: application/json, \
                 application/yaml, application/vnd.kubernetes.protobuf",
            ));
        }
    }
    let unrecognized = |error: &str| match media_type(&request.content_type) {
        APPLY => Status::bad_request(format!("error decoding YAML: {error}")),
        "application/strategic-merge-patch+json" => Status::bad_request(error),
        _ if is_patch => Status::bad_request(format!("error decoding patch: {error}")),
        _ => {
            let error = format!("couldn't get version/kind; json parse error: {error}");
            crate::apiserver::unrecognized(kind, &error, &request.body)
        }
    };
    let text = std::str::from_utf8(&request.body).map_err(|_| unrecognized("invalid UTF-8"))?;
    let is_yaml = matches!(media_type(&request.content_type), YAML | APPLY);
    let is_compound = text.trim_start().starts_with(['{', '[']);
    // What is JSON and no object is refused by whoever knows what it should be.
    let scalar: Option<Value> = if is_compound { None } else { serde_json::from_str(text).ok() };
    if !is_yaml && !is_compound && scalar.is_none() {
        let error = match text.trim_start().chars().next() {
            None => "unexpected end of JSON input".to_owned(),
            Some(first) => format!("invalid character {first:?} looking for beginning of value"),
        };
        return Err(unrecognized(&error));
    }
    if let Some(value) = scalar.filter(|_| !is_yaml) {
        return Ok(Read { value, duplicates: Vec::new() });
    }
    let document = yaml::read_one(text).map_err(|error| match error.message.as_str() {
        // The server has all of the text, where kubectl reads from a stream.
        "unexpected EOF" => unrecognized("unexpected end of JSON input"),
        _ => unrecognized(error.json_words()),
    })?;
    let duplicates = strict::duplicate_errors(&document);
    Ok(Read { value: document.value, duplicates })
}
