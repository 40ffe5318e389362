//! Paths to fields and the errors that validation finds there.
//!
//! Follows `k8s.io/apimachinery/pkg/util/validation/field`: the same wording, so that messages equal the API server's.

use std::fmt::{self, Display};

use serde_json::Value;

pub use super::quote::quote as go_quote;

/// A path such as `spec.containers[0].ports[1].name`, built from the outside in.
///
/// Validation names every field that it looks at, and hardly ever has to say the name. So a path of common length is
/// built in place, without the allocator.
#[derive(Clone)]
pub struct Path {
    bytes: [u8; Path::BYTES_IN_PLACE],
    len: usize,
    /// The whole path, when it is longer than what has room in place.
    long: Option<Box<str>>,
}

impl Path {
    const BYTES_IN_PLACE: usize = 96;

    /// The path of a top-level field.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::root().then(None, name, None)
    }

    /// The path of the object as a whole; it prints as nothing and its children have no leading dot.
    #[must_use]
    pub const fn root() -> Self {
        Self { bytes: [0; Self::BYTES_IN_PLACE], len: 0, long: None }
    }

    /// The field `name` of what this path names.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        self.then((self.len > 0).then_some('.'), name, None)
    }

    /// The element at `index` of the list that this path names.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        DIGITS.get(index).map_or_else(|| self.key(&index.to_string()), |digit| self.key(digit))
    }

    /// The value under `key` of the map that this path names.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.then(Some('['), key, Some(']'))
    }

    /// This path with a name behind it, between two signs of ASCII.
    fn then(&self, before: Option<char>, name: &str, after: Option<char>) -> Self {
        let start = self.len + usize::from(before.is_some());
        let end = start + name.len();
        let len = end + usize::from(after.is_some());
        if len > Self::BYTES_IN_PLACE {
            return self.then_long(before, name, after);
        }
        let mut path = Self { bytes: self.bytes, len, long: None };
        if let Some(sign) = before {
            path.bytes[self.len] = sign as u8;
        }
        path.bytes[start..end].copy_from_slice(name.as_bytes());
        if let Some(sign) = after {
            path.bytes[end] = sign as u8;
        }
        path
    }

    #[cold]
    fn then_long(&self, before: Option<char>, name: &str, after: Option<char>) -> Self {
        let mut text = self.as_str().to_owned();
        text.extend(before);
        text.push_str(name);
        text.extend(after);
        Self { bytes: self.bytes, len: text.len(), long: Some(text.into()) }
    }

    /// The path as text.
    ///
    /// # Panics
    /// Never: a path is made of texts.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.long {
            Some(text) => text,
            None => std::str::from_utf8(&self.bytes[..self.len]).expect("a path is made of texts"),
        }
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wrong with a field: the `reason` of a cause in a `metav1.Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    /// A value that should exist does not.
    NotFound,
    /// A value is missing.
    Required,
    /// A value that must be unique stands twice.
    Duplicate,
    /// A value is malformed or out of bounds.
    Invalid,
    /// A value is not one of a fixed set.
    NotSupported,
    /// A value is not allowed here, whatever it is.
    Forbidden,
    /// A value is too long.
    TooLong,
    /// There are too many values.
    TooMany,
    /// An error that is not the user's.
    Internal,
    /// A value has the wrong type.
    TypeInvalid,
}

impl ErrorType {
    /// The reason as the API server writes it in a cause, such as `FieldValueRequired`.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    /// The words a message begins with, such as `Required value`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }
}

/// One finding of validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What sort of error it is.
    pub error_type: ErrorType,
    /// Where.
    pub field: String,
    /// The words and the value, without the field: what a cause carries as its message.
    pub body: String,
}

/// All findings of a validation, in upstream's order.
pub type ErrorList = Vec<FieldError>;

impl FieldError {
    fn with_value(error_type: ErrorType, path: &Path, value: &Value, detail: &str) -> Self {
        let mut body = format!("{}: {}", error_type.words(), go_value(value));
        append_detail(&mut body, detail);
        Self { error_type, field: path.as_str().to_owned(), body }
    }

    fn without_value(error_type: ErrorType, path: &Path, detail: &str) -> Self {
        let mut body = error_type.words().to_owned();
        append_detail(&mut body, detail);
        Self { error_type, field: path.as_str().to_owned(), body }
    }

    /// The value at `path` is malformed or out of bounds.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl AsRef<str>) -> Self {
        Self::with_value(ErrorType::Invalid, path, &value.into(), detail.as_ref())
    }

    /// What stands at `path` is wrong as a whole; the value is not told (`OmitValueType`).
    pub fn invalid_as_a_whole(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::without_value(ErrorType::Invalid, path, detail.as_ref())
    }

    /// The value at `path` has the wrong type.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl AsRef<str>) -> Self {
        Self::with_value(ErrorType::TypeInvalid, path, &value.into(), detail.as_ref())
    }

    /// The value at `path` is missing.
    pub fn required(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::without_value(ErrorType::Required, path, detail.as_ref())
    }

    /// The value at `path` stands twice.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::with_value(ErrorType::Duplicate, path, &value.into(), "")
    }

    /// The value at `path` names something that does not exist.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::with_value(ErrorType::NotFound, path, &value.into(), "")
    }

    /// Nothing may stand at `path`.
    pub fn forbidden(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::without_value(ErrorType::Forbidden, path, detail.as_ref())
    }

    /// The value at `path` is not one of `supported`, which are told in the order given.
    pub fn not_supported<S: AsRef<str>>(path: &Path, value: impl Into<Value>, supported: &[S]) -> Self {
        let quoted: Vec<String> = supported.iter().map(|text| go_quote(text.as_ref())).collect();
        let detail = if quoted.is_empty() { String::new() } else { format!("supported values: {}", quoted.join(", ")) };
        Self::with_value(ErrorType::NotSupported, path, &value.into(), &detail)
    }

    /// The value at `path` is longer than `bytes_max`.
    #[must_use]
    pub fn too_long(path: &Path, bytes_max: usize) -> Self {
        Self::without_value(ErrorType::TooLong, path, &format!("may not be more than {bytes_max} bytes"))
    }

    /// The list at `path` has `actual` items where `most` are allowed.
    #[must_use]
    pub fn too_many(path: &Path, actual: usize, most: usize) -> Self {
        let mut body = format!("{}: {actual}", ErrorType::TooMany.words());
        append_detail(&mut body, &format!("must have at most {most} items"));
        Self { error_type: ErrorType::TooMany, field: path.as_str().to_owned(), body }
    }

    /// Something went wrong that the user could not have caused.
    pub fn internal(path: &Path, detail: impl AsRef<str>) -> Self {
        Self::without_value(ErrorType::Internal, path, detail.as_ref())
    }
}

impl Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.field.is_empty() { "<nil>" } else { &self.field }, self.body)
    }
}

fn append_detail(body: &mut String, detail: &str) {
    if !detail.is_empty() {
        body.push_str(": ");
        body.push_str(detail);
    }
}

/// A value as upstream prints it in an error: texts quoted, numbers and booleans plain, the rest as JSON.
fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => go_quote(text),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_length_is_written_as_upstream_writes_it() {
        let path = Path::new("spec").child("containers").index(12).child("ports").index(3).child("name");
        assert_eq!(path.as_str(), "spec.containers[12].ports[3].name");
        assert_eq!(Path::root().child("metadata").key("a/b").as_str(), "metadata[a/b]");
        let (mut path, mut text) = (Path::root(), String::new());
        for length in 0..60 {
            let name = "ä".repeat(length);
            path = path.child(&name).index(length).key(&name);
            let dot = if text.is_empty() { "" } else { "." };
            text = format!("{text}{dot}{name}[{length}][{name}]");
            assert_eq!(path.as_str(), text);
        }
    }
}
