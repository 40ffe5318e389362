//! Decoding as the API server does it: wrong types and unknown fields, in the words of Go's JSON decoder.
//!
//! Follows `sigs.k8s.io/json` (the decoder) and `k8s.io/apimachinery/pkg/runtime/serializer/json`. A value is held
//! against the table of types ([`super::schema`]); the Rust types of `k8s-openapi` are read afterwards, from a value
//! that is known to fit. What is decoded comes back as Go would write it: without unknown fields and nulls, without
//! zero values that `omitempty` leaves out, quantities and times in their canonical form.
//!
//! The order of complaints is the order of the value's keys. kubectl sends objects with sorted keys, and so do the
//! documents of [`super::yaml`].

mod client;
mod converter;
mod custom;
mod decode;
mod fill;
mod time;

use serde_json::Value;

use super::quote::quote;
use super::schema::Struct;
use super::yaml::{Document, Segment};

pub use client::{check_metadata, validate};
pub use converter::converter_error;
pub(crate) use decode::go_kind;
pub use fill::fill;

/// How many strict errors are collected, as upstream's decoder does.
pub const MAX_STRICT_ERRORS: usize = 100;

/// A value that fits its kind, apart from fields that the kind does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object as Go would write it.
    pub value: Value,
    /// What strict validation says, each like `unknown field "spec.replica"`, in the order of the fields. The API
    /// server refuses the request for these, warns of them or ignores them, as `fieldValidation` asks.
    pub strict_errors: Vec<String>,
}

impl Decoded {
    /// The strict errors as one: `strict decoding error: unknown field "a", unknown field "b"`. `None` without any.
    #[must_use]
    pub fn strict_error(&self) -> Option<String> {
        if self.strict_errors.is_empty() {
            return None;
        }
        Some(format!("strict decoding error: {}", self.strict_errors.join(", ")))
    }
}

/// Decodes an object of a kind. The error is Go's: `json: cannot unmarshal string into Go struct field
/// PodSpec.spec.nodeSelector of type map[string]string`; [`cannot_be_handled`] makes the API server's sentence of it.
pub fn decode(kind: &'static Struct, value: &Value) -> Result<Decoded, String> {
    decode::decode(kind, value)
}

/// What strict validation says of the keys that a request's JSON has twice: `duplicate field "spec.replicas"`. kubectl
/// never sends such JSON; other clients may.
#[must_use]
pub fn duplicate_errors(document: &Document) -> Vec<String> {
    let mut errors: Vec<String> = Vec::new();
    for duplicate in document.duplicates.iter().take(MAX_STRICT_ERRORS) {
        let mut path = String::new();
        for segment in &duplicate.path {
            match segment {
                Segment::Key(key) if path.is_empty() => path += key,
                Segment::Key(key) => path += &format!(".{key}"),
                Segment::Index(index) => path += &format!("[{index}]"),
            }
        }
        let error = format!("duplicate field {}", quote(&path));
        if !errors.contains(&error) {
            errors.push(error);
        }
    }
    errors
}

/// The API server's answer (400 BadRequest) to an object that cannot be decoded: `Pod in version "v1" cannot be
/// handled as a Pod: …`.
#[must_use]
pub fn cannot_be_handled(api_version: &str, kind: &str, error: &str) -> String {
    let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
    format!("{kind} in version {} cannot be handled as a {kind}: {error}", quote(version))
}

/// The `apiVersion` and `kind` of a request's object, as the API server reads them before anything else
/// (`DefaultMetaFactory.Interpret`). Missing ones are empty.
pub fn type_meta(value: &Value) -> Result<(&str, &str), String> {
    let text = |name: &str| match value.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => {
            let found = decode::go_kind(other);
            Err(format!("json: cannot unmarshal {found} into Go struct field .{name} of type string"))
        }
    };
    let fail = |error: String| format!("couldn't get version/kind; json parse error: {error}");
    if !value.is_object() {
        let found = decode::go_kind(value);
        let ty = "struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";
        return Err(fail(format!("json: cannot unmarshal {found} into Go value of type {ty}")));
    }
    Ok((text("apiVersion").map_err(fail)?, text("kind").map_err(fail)?))
}

#[cfg(test)]
mod tests;
