//! What kubectl says of a text that cannot be read.
//!
//! go-yaml is libyaml in Go, so its complaints are libyaml's. The parser that finds the tokens here words and sometimes
//! finds them otherwise, and takes some texts that libyaml refuses; so each text is given to libyaml itself first.

use std::fmt;

use granit_parser::{ErrorKind, ScanError};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{MAX_DEPTH, MAX_TEXT_BYTES, Position, stream::advance};

/// A text, or one of its documents, that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where it goes wrong, in the whole text.
    pub position: Position,
    /// What kubectl says after `error parsing FILE: `.
    pub message: String,
    /// A JSON complaint's words without the offset, which kubectl leaves out once it is sure that the text is JSON.
    bare: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Error {
    pub(super) fn new(position: Position, message: String) -> Self {
        Self { position, message, bare: None }
    }

    /// A complaint of go-yaml's own, outside its scanner and parser.
    pub(super) fn yaml(position: Position, message: &str) -> Self {
        Self::new(position, format!("yaml: {message}"))
    }

    /// A JSON syntax error at a byte of the stream, counted as Go counts.
    pub(super) fn json_syntax(position: Position, message: String) -> Self {
        let offset = position.offset + 1;
        Self { position, message: format!("json: offset {offset}: {message}"), bare: Some(message) }
    }

    pub(super) fn too_long(text: &str) -> Self {
        let mut end = MAX_TEXT_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let start = Position { line: 1, column: 1, offset: 0 };
        let position = advance(start, &text[..end]);
        Self::new(position, format!("the text is longer than {MAX_TEXT_BYTES} bytes"))
    }

    /// As the reader of files tells a YAML error.
    pub(super) fn converting(mut self) -> Self {
        self.message.insert_str(0, "error converting YAML to JSON: ");
        self
    }

    pub(super) fn without_offset(mut self) -> Self {
        if let Some(bare) = self.bare.take() {
            self.message = bare;
        }
        self
    }

    /// The parser's error in a document that begins at `start`, for the few texts that go-yaml would read.
    pub(super) fn scan(start: Position, error: &ScanError) -> Self {
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
            return Self::yaml(marked(start, error.marker()), &format!("exceeded max depth of {MAX_DEPTH}"));
        }
        let position = marked(start, error.marker());
        let line = error.marker().line();
        let place = if line > 1 { format!("line {line}: ") } else { String::new() };
        Self::yaml(position, &format!("{place}{}", error.kind()))
    }
}

/// The position of a mark within a document that begins at `start`.
pub(super) fn marked(start: Position, mark: &granit_parser::Marker) -> Position {
    let line = start.line + mark.line().saturating_sub(1);
    let column = if mark.line() <= 1 { start.column + mark.col() } else { mark.col() + 1 };
    Position { line, column, offset: start.offset + mark.byte_offset().unwrap_or(0) }
}

/// What go-yaml's scanner and parser say of the first document of a text that begins at `start`.
pub(super) fn go_yaml_error(text: &str, start: Position) -> Option<Error> {
    other_version(text, start).or_else(|| libyaml_error(text, start))
}

/// go-yaml reads version 1.1 only, unlike libyaml. It names the line of the directive, which has none when it is the first.
fn other_version(text: &str, start: Position) -> Option<Error> {
    let prologue = |line: &&str| line.trim().is_empty() || line.starts_with(['#', '%']);
    let lines = text.trim_start_matches('\u{feff}').lines().take_while(prologue);
    for (line, directive) in lines.enumerate() {
        let Some(version) = directive.strip_prefix("%YAML") else { continue };
        let version = version.split('#').next().unwrap_or("").trim();
        let is_number =
            version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && version != "1.1" {
            let place = if line > 0 { format!("line {line}: ") } else { String::new() };
            let position = advance(start, &text[..line_offset(text, line)]);
            return Some(Error::yaml(position, &format!("{place}found incompatible YAML document")));
        }
    }
    None
}

/// libyaml's complaint in go-yaml's form, which names the line by counting from 0 where the parser complains and from 1
/// where the scanner does, and names none for the very first.
fn libyaml_error(text: &str, start: Position) -> Option<Error> {
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let error = IgnoredAny::deserialize(document).err()?;
    let debug = format!("{error:?}");
    let is_parser = debug.starts_with("Error { kind: PARSER") || debug.starts_with("Error { kind: COMPOSER");
    if !is_parser && !debug.starts_with("Error { kind: SCANNER") && !debug.starts_with("Error { kind: READER") {
        return None;
    }
    let location = error.location()?;
    let text_of = error.to_string();
    let end = [" at line ", " at position ", ", while "].iter().filter_map(|mark| text_of.find(mark)).min();
    let problem = &text_of[..end.unwrap_or(text_of.len())];
    let line = location.line() - 1;
    let place = match line {
        0 => String::new(),
        line if is_parser => format!("line {line}: "),
        line => format!("line {}: ", line + 1),
    };
    let offset = line_offset(text, line) + column_offset(text, line, location.column() - 1);
    let column = if line == 0 { start.column + location.column() - 1 } else { location.column() };
    let position = Position { line: start.line + line, column, offset: start.offset + offset };
    Some(Error::yaml(position, &format!("{place}{problem}")))
}

/// The byte at which a line (counted from 0) begins; the text's end when there are fewer.
fn line_offset(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}

fn column_offset(text: &str, line: usize, column: usize) -> usize {
    let rest = &text[line_offset(text, line)..];
    rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}
