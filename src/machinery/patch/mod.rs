//! The kinds of patch that the API server takes, and the making of them as kubectl does.
//!
//! - [`json`]: RFC 6902, with the peculiarities of the library that upstream uses.
//! - [`merge`]: RFC 7386, and the three-way patch of `kubectl apply` for custom resources.
//! - [`strategic`]: upstream's own, which merges lists by key; [`diff`] makes such patches.
//! - [`apply`]: server-side apply, which knows who owns which field.

pub mod apply;
pub mod diff;
pub mod json;
mod lists;
pub mod merge;
mod meta;
pub mod strategic;

use serde_json::{Map, Value};

use super::quote::plain;
use super::status::{Reason, Status};

/// A JSON object.
pub type Object = Map<String, Value>;

/// Why a patch cannot be applied or made. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The patch itself is malformed: 400.
    BadRequest(String),
    /// The patch does not fit the object: 422, of which the client is told no details.
    Unprocessable(String),
    /// The patch has too many operations: 413.
    TooLarge(String),
    /// What upstream returns as an error without a status: 500 with this text.
    Other(String),
}

impl PatchError {
    /// The text, which the status of [`PatchError::Unprocessable`] hides.
    pub fn message(&self) -> &str {
        match self {
            Self::BadRequest(message)
            | Self::Unprocessable(message)
            | Self::TooLarge(message)
            | Self::Other(message) => message,
        }
    }

    fn no_merge_key(item: &Object, key: &str) -> Self {
        let item = plain(&Value::Object(item.clone()));
        Self::Other(format!("map: {item} does not contain declared merge key: {key}"))
    }

    fn bad_type(expected: &str, actual: &Value) -> Self {
        Self::Other(format!("expected a {expected}, but received a {}", go_type(actual)))
    }

    fn bad_set_element_order() -> Self {
        Self::BadRequest("invalid patch format of setElementOrder list".to_owned())
    }

    fn bad_primitive_list() -> Self {
        Self::BadRequest("invalid patch format of primitive list".to_owned())
    }

    fn bad_retain_keys() -> Self {
        Self::BadRequest("invalid patch format of retainKeys".to_owned())
    }
}

impl From<PatchError> for Status {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::BadRequest(message) => Self::bad_request(message),
            PatchError::Unprocessable(_) => {
                Self::new(Reason::Invalid, "the server rejected our request due to an error in our request")
            }
            PatchError::TooLarge(message) => {
                Self::new(Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
            }
            PatchError::Other(message) => Self::new(Reason::Unknown, message),
        }
    }
}

/// Whether a patch would change what kubectl never changes: apiVersion, kind, name or managedFields
/// (the preconditions of `kubectl apply`, `edit` and `set`).
pub fn changes_identity(patch: &Value) -> bool {
    let metadata = patch.get("metadata");
    let has = |key: &str| metadata.is_some_and(|metadata| metadata.get(key).is_some());
    patch.get("apiVersion").is_some() || patch.get("kind").is_some() || has("name") || has("managedFields")
}

const MAP_TYPE: &str = "map[string]interface {}";
const LIST_TYPE: &str = "[]interface {}";

/// Go's name of the type that a JSON value is decoded into.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => LIST_TYPE,
        Value::Object(_) => MAP_TYPE,
    }
}

/// The word for a JSON value in Go's decoding errors.
fn json_word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The patch as an object; null counts as an empty one.
fn object_patch(patch: Value) -> Result<Object, PatchError> {
    match patch {
        Value::Object(patch) => Ok(patch),
        Value::Null => Ok(Object::new()),
        other => Err(PatchError::BadRequest(format!(
            "json: cannot unmarshal {} into Go value of type {MAP_TYPE}",
            json_word(&other)
        ))),
    }
}
