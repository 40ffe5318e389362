//! redis's answers, and the three forms in which they are written: for people, for scripts, and on the wire.

use std::fmt::Write as _;

/// An answer of redis.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `OK` and the like.
    Status(String),
    /// An error with its code.
    Error(String),
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// Several texts that are no list, as of `INFO`.
    Verbatim(String),
    /// Nothing.
    Nil,
    /// A list.
    List(Vec<Value>),
}

impl Value {
    pub(super) fn ok() -> Self {
        Self::Status("OK".to_owned())
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    pub(super) fn count(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }

    pub(super) fn texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self::List(texts.into_iter().map(Self::Text).collect())
    }

    /// As `redis-cli` shows it on a terminal.
    pub(super) fn for_people(&self, indent: usize, out: &mut String) {
        let _ = match self {
            Self::Status(text) => writeln!(out, "{text}"),
            Self::Error(text) => writeln!(out, "(error) {text}"),
            Self::Integer(number) => writeln!(out, "(integer) {number}"),
            Self::Text(text) => writeln!(out, "\"{}\"", quoted(text)),
            Self::Verbatim(text) => write!(out, "{text}"),
            Self::Nil => writeln!(out, "(nil)"),
            Self::List(items) if items.is_empty() => writeln!(out, "(empty array)"),
            Self::List(items) => {
                let width = items.len().to_string().len();
                for (index, item) in items.iter().enumerate() {
                    let lead = if index == 0 { 0 } else { indent };
                    let _ = write!(out, "{:lead$}{:>width$}) ", "", index + 1);
                    item.for_people(indent + width + 2, out);
                }
                Ok(())
            }
        };
    }

    /// As `redis-cli` writes it into a pipe.
    pub(super) fn for_scripts(&self, out: &mut String) {
        let _ = match self {
            Self::Status(text) | Self::Error(text) | Self::Text(text) => writeln!(out, "{text}"),
            Self::Verbatim(text) => writeln!(out, "{text}"),
            Self::Integer(number) => writeln!(out, "{number}"),
            Self::Nil => writeln!(out),
            Self::List(items) if items.is_empty() => writeln!(out),
            Self::List(items) => {
                items.iter().for_each(|item| item.for_scripts(out));
                Ok(())
            }
        };
    }

    /// As it travels.
    pub(super) fn for_wire(&self, out: &mut String) {
        let _ = match self {
            Self::Status(text) => write!(out, "+{text}\r\n"),
            Self::Error(text) => write!(out, "-{text}\r\n"),
            Self::Integer(number) => write!(out, ":{number}\r\n"),
            Self::Text(text) | Self::Verbatim(text) => write!(out, "${}\r\n{text}\r\n", text.len()),
            Self::Nil => write!(out, "$-1\r\n"),
            Self::List(items) => {
                let _ = write!(out, "*{}\r\n", items.len());
                items.iter().for_each(|item| item.for_wire(out));
                Ok(())
            }
        };
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
}
