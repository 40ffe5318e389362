//! What kubectl says of a text that cannot be read.
//!
//! go-yaml is libyaml in Go, so its complaints are libyaml's. The parser that finds the tokens here words and
//! sometimes finds them otherwise, and takes some texts that libyaml refuses; so each text is given to libyaml itself
//! first.

use std::borrow::Cow;
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

    /// The complaint of a JSON text alone, without the place that kubectl names.
    #[must_use]
    pub fn json_words(&self) -> &str {
        self.bare.as_deref().unwrap_or(&self.message)
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
        let place = scanner_place(error.marker().line().saturating_sub(1));
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

/// go-yaml reads version 1.1 only, unlike libyaml. It names the line of the directive, which has none when it is the
/// first.
fn other_version(text: &str, start: Position) -> Option<Error> {
    let prologue = |line: &&str| line.trim().is_empty() || line.starts_with(['#', '%']);
    let lines = text.trim_start_matches('\u{feff}').lines().take_while(prologue);
    for (line, directive) in lines.enumerate() {
        let Some(version) = directive.strip_prefix("%YAML") else { continue };
        let version = version.split('#').next().unwrap_or("").trim();
        let is_number =
            version.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
        if is_number && version != "1.1" {
            let place = parser_place(line);
            let position = advance(start, &text[..line_offset(text, line)]);
            return Some(Error::yaml(position, &format!("{place}found incompatible YAML document")));
        }
    }
    None
}

/// libyaml's complaint in go-yaml's form.
fn libyaml_error(text: &str, start: Position) -> Option<Error> {
    // kubectl reads line by line and so always sees a last line break, which matters to where an open quote ends.
    let ended = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
    let document = serde_yaml::Deserializer::from_str(&ended).next()?;
    let error = IgnoredAny::deserialize(document).err()?;
    let debug = format!("{error:?}");
    let is_parser = debug.starts_with("Error { kind: PARSER") || debug.starts_with("Error { kind: COMPOSER");
    if !is_parser && !debug.starts_with("Error { kind: SCANNER") && !debug.starts_with("Error { kind: READER") {
        return None;
    }
    let message = error.to_string();
    let end = [" at line ", " at position ", ", while "].iter().filter_map(|mark| message.find(mark)).min();
    let problem = &message[..end.unwrap_or(message.len())];
    if let Some((_, offset)) = message.split_once(" at position ") {
        // Only a character that YAML does not have is told by its byte; go-yaml names no line for it.
        let offset = offset.split(',').next().and_then(|offset| offset.parse().ok()).unwrap_or(0);
        let before = text.get(..offset).unwrap_or(text);
        return Some(Error::yaml(advance(start, before), problem));
    }
    let location = error.location()?;
    let line = location.line() - 1;
    let place = if is_parser { parser_place(line) } else { scanner_place(line) };
    let offset = line_offset(text, line) + column_offset(text, line, location.column() - 1);
    Some(Error::yaml(advance(start, &text[..offset]), &format!("{place}{problem}")))
}

/// How go-yaml names a line, counted from 0, in a complaint of its parser: by that very number, and the first not at
/// all.
pub(super) fn parser_place(line: usize) -> String {
    if line == 0 { String::new() } else { format!("line {line}: ") }
}

/// How go-yaml names a line, counted from 0, in a complaint of its scanner.
pub(super) fn scanner_place(line: usize) -> String {
    if line == 0 { String::new() } else { format!("line {}: ", line + 1) }
}

/// The byte at which a line (counted from 0) begins; the text's end when there are fewer.
fn line_offset(text: &str, line: usize) -> usize {
    text.split_inclusive('\n').take(line).map(str::len).sum()
}

fn column_offset(text: &str, line: usize, column: usize) -> usize {
    let rest = &text[line_offset(text, line)..];
    rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at)
}
