//! JSON with places, complaining in the words of Go's `encoding/json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::machinery::quote::quote;

use super::number::json_number;
use super::span::Children;
use super::stream::advance;
use super::{Document, Duplicate, Error, MAX_DEPTH, Position, Segment, Span, Spans};

/// What Go says when the text ends within a value.
const UNEXPECTED_END: &str = "unexpected EOF";

/// Reads a text that is one JSON value with nothing after it.
pub fn read(text: &str) -> Result<Document, Error> {
    let start = Position { line: 1, column: 1, offset: 0 };
    let ends = || "unexpected end of JSON input".to_owned();
    let next = read_next(text, start).map_err(|mut error| {
        if error.message == UNEXPECTED_END {
            error.message = ends();
        }
        error
    })?;
    let Some((document, end)) = next else { return Err(Error::new(start, ends())) };
    let mut reader = Reader::new(text, end);
    reader.skip_blanks();
    match reader.peek() {
        Some(byte) => Err(reader.unexpected(byte, "after top-level value")),
        None => Ok(document),
    }
}

/// Reads the next value of a row, from `start`; `None` when only blanks are left.
pub(super) fn read_next(text: &str, start: Position) -> Result<Option<(Document, Position)>, Error> {
    let mut reader = Reader::new(text, start);
    reader.skip_blanks();
    if reader.peek().is_none() {
        return Ok(None);
    }
    let (value, spans) = reader.value()?;
    let end = reader.position();
    let document = Document { value, spans, duplicates: reader.duplicates, is_json: true };
    Ok(Some((document, end)))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The last position that was asked for, from which the next is counted.
    known: Position,
    path: Vec<Segment>,
    duplicates: Vec<Duplicate>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, start: Position) -> Self {
        Self { text, at: start.offset, known: start, path: Vec::new(), duplicates: Vec::new() }
    }

    fn position(&mut self) -> Position {
        self.known = advance(self.known, &self.text[self.known.offset..self.at]);
        self.known
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The error for the byte at hand. Within a longer character Go shows its first byte as if it were Latin-1.
    fn unexpected(&self, byte: u8, place: &str) -> Error {
        let shown = match byte {
            b'\'' => "\\'".to_owned(),
            b'"' => "\"".to_owned(),
            _ => quote(char::from(byte).encode_utf8(&mut [0; 2])).trim_matches('"').to_owned(),
        };
        let position = advance(self.known, &self.text[self.known.offset..self.at]);
        Error::json_syntax(position, format!("invalid character '{shown}' {place}"))
    }

    fn ended(&self) -> Error {
        let position = advance(self.known, &self.text[self.known.offset..]);
        Error::new(position, UNEXPECTED_END.to_owned())
    }

    /// Takes a byte that must come next.
    fn expect(&mut self, byte: u8, place: &str) -> Result<(), Error> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(found) => Err(self.unexpected(found, place)),
            None => Err(self.ended()),
        }
    }

    fn value(&mut self) -> Result<(Value, Spans), Error> {
        let start = self.position();
        let (value, children) = match self.peek() {
            None => return Err(self.ended()),
            Some(b'{' | b'[') if self.path.len() >= MAX_DEPTH => {
                return Err(Error::new(start, "exceeded max depth".to_owned()));
            }
            Some(b'{') => self.object()?,
            Some(b'[') => self.array()?,
            Some(b'"') => (Value::String(self.string()?), Children::None),
            Some(b'-' | b'0'..=b'9') => (self.number()?, Children::None),
            Some(b't') => (self.literal("true", Value::Bool(true))?, Children::None),
            Some(b'f') => (self.literal("false", Value::Bool(false))?, Children::None),
            Some(b'n') => (self.literal("null", Value::Null)?, Children::None),
            Some(byte) => return Err(self.unexpected(byte, "looking for beginning of value")),
        };
        let end = self.position();
        Ok((value, Spans { key: None, value: Span { start, end }, children }))
    }

    fn array(&mut self) -> Result<(Value, Children), Error> {
        self.at += 1;
        let (mut values, mut children) = (Vec::new(), Vec::new());
        self.skip_blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok((Value::Array(values), Children::Items(children)));
        }
        loop {
            self.path.push(Segment::Index(values.len()));
            self.skip_blanks();
            let (value, spans) = self.value()?;
            self.path.pop();
            values.push(value);
            children.push(spans);
            self.skip_blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b']', "after array element")?;
            return Ok((Value::Array(values), Children::Items(children)));
        }
    }

    fn object(&mut self) -> Result<(Value, Children), Error> {
        self.at += 1;
        let mut fields: BTreeMap<String, (Value, Spans)> = BTreeMap::new();
        self.skip_blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok((Value::Object(Map::new()), Children::Fields(BTreeMap::new())));
        }
        loop {
            self.field(&mut fields)?;
            self.skip_blanks();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.expect(b'}', "after object key:value pair")?;
            break;
        }
        let mut map = Map::with_capacity(fields.len());
        let mut children = BTreeMap::new();
        for (key, (value, spans)) in fields {
            map.insert(key.clone(), value);
            children.insert(key, spans);
        }
        Ok((Value::Object(map), Children::Fields(children)))
    }

    fn field(&mut self, fields: &mut BTreeMap<String, (Value, Spans)>) -> Result<(), Error> {
        self.skip_blanks();
        let start = self.position();
        match self.peek() {
            Some(b'"') => {}
            Some(byte) => return Err(self.unexpected(byte, "looking for beginning of object key string")),
            None => return Err(self.ended()),
        }
        let key = self.string()?;
        let key_span = Span { start, end: self.position() };
        self.skip_blanks();
        self.expect(b':', "after object key")?;
        self.path.push(Segment::Key(key.clone()));
        self.skip_blanks();
        let (value, mut spans) = self.value()?;
        spans.key = Some(key_span);
        if let Some((_, earlier)) = fields.insert(key, (value, spans)) {
            let first = earlier.key.unwrap_or(earlier.value);
            self.duplicates.push(Duplicate { path: self.path.clone(), first, last: key_span });
        }
        self.path.pop();
        Ok(())
    }

    fn literal(&mut self, word: &str, value: Value) -> Result<Value, Error> {
        for expected in word.bytes() {
            let place = format!("in literal {word} (expecting '{}')", char::from(expected));
            self.expect(expected, &place)?;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        let text = &self.text[start..self.at];
        json_number(text).ok_or_else(|| {
            let position = advance(self.known, &self.text[self.known.offset..start]);
            Error::new(position, format!("json: cannot unmarshal number {text} into Go value of type float64"))
        })
    }

    /// At least one digit.
    fn digits(&mut self, place: &str) -> Result<(), Error> {
        match self.peek() {
            Some(b'0'..=b'9') => {}
            Some(byte) => return Err(self.unexpected(byte, place)),
            None => return Err(self.ended()),
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut result = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\');
            let Some(plain) = plain else { return Err(self.ended()) };
            result += &rest[..plain];
            self.at += plain;
            match self.text.as_bytes()[self.at] {
                b'"' => {
                    self.at += 1;
                    return Ok(result);
                }
                b'\\' => {
                    self.at += 1;
                    result.push(self.escape()?);
                }
                byte => return Err(self.unexpected(byte, "in string literal")),
            }
        }
    }

    /// An escape after its backslash. Halves of surrogate pairs become U+FFFD.
    fn escape(&mut self) -> Result<char, Error> {
        let Some(byte) = self.peek() else { return Err(self.ended()) };
        let character = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.unexpected(byte, "in string escape code")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, Error> {
        let high = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&high) || !self.text[self.at..].starts_with("\\u") {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let low = self.hexadecimal()?;
        if (0xdc00..0xe000).contains(&low) {
            let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = before;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hexadecimal(&mut self) -> Result<u32, Error> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(self.ended()) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.unexpected(byte, "in \\u hexadecimal character escape"));
            };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }
}
