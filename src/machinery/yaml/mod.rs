//! YAML and JSON texts with the place of every field, read as kubectl reads them.
//!
//! What a text means follows `k8s.io/apimachinery/pkg/util/yaml` (how a stream is cut into documents, JSON first) and
//! `sigs.k8s.io/yaml` with its go-yaml v2 (YAML 1.1 scalars, merge keys, the last of two equal keys wins, keys become
//! text). The tokens come from `granit-parser`, after libyaml (within `serde_yaml`) had its say on whether the text
//! is YAML at all. Keys of the result are sorted, as Go's JSON encoder sorts them: the order in which the API server
//! meets fields, and so the order of its complaints, depends on it.
//!
//! Not taken over: go-yaml's limits, which are too wide for a browser tab; see the constants here.

mod convert;
mod error;
mod json;
mod number;
mod print;
mod scalar;
mod span;
mod stream;
mod tree;

use serde_json::Value;

pub use error::Error;
pub use json::read as read_json;
pub use print::print;
pub use span::{Position, Segment, Span, Spans, path_text};

/// The longest text that is read, in bytes: the API server's own limit of a request body.
pub const MAX_TEXT_BYTES: usize = 3 * 1024 * 1024;

/// How deep collections may be nested, in YAML and in JSON. Real manifests stay below 40; the bound keeps the stack
/// of a Web Worker safe and below the 128 levels that serde_json reads again later.
pub const MAX_DEPTH: usize = 120;

/// How many nodes the aliases of one document may add. go-yaml bounds the share of such nodes instead (99 %).
pub const MAX_ALIAS_NODES: usize = 50_000;

/// A document that could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value, with every object's keys in byte order.
    pub value: Value,
    /// Where each field stands.
    pub spans: Spans,
    /// Keys that appear twice in one mapping, of which kubectl takes the last without a word.
    pub duplicates: Vec<Duplicate>,
    /// Whether it was read as JSON rather than as YAML.
    pub is_json: bool,
}

/// A key that appears again in the same mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The path of the field, the key included.
    pub path: Vec<Segment>,
    /// The key whose value is lost.
    pub first: Span,
    /// The key whose value counts.
    pub last: Span,
}

/// The documents of a text in order, each by itself: one that cannot be read does not spoil those after it, although
/// kubectl stops at the first. Documents that are empty or `null` are left out.
#[must_use]
pub fn read(text: &str) -> Vec<Result<Document, Error>> {
    if text.len() > MAX_TEXT_BYTES {
        return vec![Err(Error::too_long(text))];
    }
    stream::Stream::new(text).collect()
}

/// Reads a text that is one document, such as the argument of `kubectl patch --patch`; what follows the first
/// document is not looked at. The error's message lacks `error converting YAML to JSON`, which is the file reader's.
pub fn read_one(text: &str) -> Result<Document, Error> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::too_long(text));
    }
    if stream::starts_as_json(text) {
        return json::read(text);
    }
    let start = Position { line: 1, column: 1, offset: 0 };
    read_yaml(text, start)
}

/// Reads one YAML document that begins at `start` of the whole text. Lines in messages count from the document's own
/// begin, as kubectl's do; positions count from the text's.
fn read_yaml(text: &str, start: Position) -> Result<Document, Error> {
    if let Some(error) = error::go_yaml_error(text, start) {
        return Err(error);
    }
    let tree = tree::parse(text, start)?;
    convert::convert(&tree)
}

#[cfg(test)]
mod tests;
