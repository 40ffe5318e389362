//! How a text is cut into documents: `YAMLOrJSONDecoder` and `YAMLReader` of `k8s.io/apimachinery/pkg/util/yaml`.
//!
//! A text that begins with `{` is read as a row of JSON values. When that fails before a second value was read, the
//! rest is taken for YAML after all, yet the JSON complaint is the one that is told when YAML fails too. YAML
//! documents are cut at lines that begin with `---`, without regard to quotes or block scalars.

use super::{Document, Error, Position, json, read_yaml};

/// The documents of a text.
pub(super) struct Stream<'a> {
    text: &'a str,
    position: Position,
    mode: Mode,
    /// How many JSON values were read.
    count: usize,
    /// What JSON said, told when YAML fails as well.
    json_error: Option<Error>,
}

#[derive(PartialEq)]
enum Mode {
    Json,
    Yaml,
    End,
}

/// Whether kubectl takes the text for JSON at first.
pub(super) fn starts_as_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl<'a> Stream<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mode = if starts_as_json(text) { Mode::Json } else { Mode::Yaml };
        let position = Position { line: 1, column: 1, offset: 0 };
        Self { text, position, mode, count: 0, json_error: None }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position.offset..]
    }

    fn next_json(&mut self) -> Option<Result<Document, Error>> {
        match json::read_next(self.text, self.position) {
            Ok(None) => {
                self.mode = Mode::End;
                None
            }
            Ok(Some((document, end))) => {
                self.position = end;
                self.count += 1;
                Some(Ok(document))
            }
            Err(error) if self.count > 1 => {
                self.mode = Mode::End;
                Some(Err(error.without_offset()))
            }
            Err(error) => {
                self.mode = Mode::Yaml;
                self.json_error = Some(error);
                self.skip_to_line_end();
                self.next_yaml()
            }
        }
    }

    /// Blanks after a JSON value up to and with the first line break: they would confuse YAML.
    fn skip_to_line_end(&mut self) {
        let rest = self.rest();
        let blank = rest.len() - rest.trim_start().len();
        let skipped = rest[..blank].find('\n').map_or(blank, |at| at + 1);
        self.position = advance(self.position, &rest[..skipped]);
    }

    fn next_yaml(&mut self) -> Option<Result<Document, Error>> {
        let chunk = match self.next_chunk() {
            Ok(chunk) => chunk,
            Err(error) => return Some(Err(self.json_error.take().unwrap_or(error))),
        };
        let (text, start) = chunk?;
        let result = read_yaml(text, start).map_err(Error::converting);
        let json_error = self.json_error.take();
        Some(result.map_err(|error| json_error.unwrap_or(error)))
    }

    /// The text up to the next separator, which is swallowed; a separator before any other line belongs to the
    /// document.
    fn next_chunk(&mut self) -> Result<Option<(&'a str, Position)>, Error> {
        let start = self.position;
        let rest = self.rest();
        let mut length = 0;
        for line in rest.split_inclusive('\n') {
            if let Some(after) = line.strip_prefix("---") {
                let after = after.trim();
                if !after.is_empty() && !after.starts_with('#') {
                    let position = advance(start, &rest[..length]);
                    self.position = advance(position, line);
                    return Err(Error::new(position, format!("invalid Yaml document separator: {after}")));
                }
                if length > 0 {
                    self.position = advance(start, &rest[..length + line.len()]);
                    return Ok(Some((&rest[..length], start)));
                }
            }
            length += line.len();
        }
        self.position = advance(start, rest);
        Ok((length > 0).then_some((rest, start)))
    }
}

impl Iterator for Stream<'_> {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = match self.mode {
                Mode::Json => self.next_json(),
                Mode::Yaml => self.next_yaml(),
                Mode::End => None,
            };
            if next.is_none() {
                self.mode = Mode::End;
            }
            match next {
                Some(Ok(document)) if document.value.is_null() => {}
                other => return other,
            }
        }
    }
}

/// The position after `text`, which begins at `position`.
pub(super) fn advance(position: Position, text: &str) -> Position {
    let lines = text.bytes().filter(|&byte| byte == b'\n').count();
    let column = match text.rfind('\n') {
        Some(at) => text[at + 1..].chars().count() + 1,
        None => position.column + text.chars().count(),
    };
    Position { line: position.line + lines, column, offset: position.offset + text.len() }
}
