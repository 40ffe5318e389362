//! Where things stand in a text.

use std::collections::BTreeMap;

/// A place between two characters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The place in bytes from the begin of the text.
    pub offset: usize,
}

/// A stretch of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Where it begins.
    pub start: Position,
    /// Where it ends, exclusive.
    pub end: Position,
}

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a mapping.
    Key(String),
    /// A place in a list.
    Index(usize),
}

/// The spans of a value and of everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spans {
    /// The key, where the value is that of a mapping's key.
    pub key: Option<Span>,
    /// The value. Where it is an alias, the alias; what is inside then stands at the anchor.
    pub value: Span,
    pub(super) children: Children,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Children {
    None,
    Fields(BTreeMap<String, Spans>),
    Items(Vec<Spans>),
}

impl Spans {
    pub(super) fn leaf(value: Span) -> Self {
        Self { key: None, value, children: Children::None }
    }

    /// The spans one step down.
    #[must_use]
    pub fn child(&self, segment: &Segment) -> Option<&Self> {
        match (&self.children, segment) {
            (Children::Fields(fields), Segment::Key(key)) => fields.get(key),
            (Children::Items(items), Segment::Index(index)) => items.get(*index),
            _ => None,
        }
    }

    /// The spans of a field.
    #[must_use]
    pub fn get(&self, path: &[Segment]) -> Option<&Self> {
        path.iter().try_fold(self, |spans, segment| spans.child(segment))
    }

    /// The spans of the field or of its nearest ancestor that exists, and how many steps of the path led there.
    #[must_use]
    pub fn nearest(&self, path: &[Segment]) -> (&Self, usize) {
        let mut spans = self;
        for (steps, segment) in path.iter().enumerate() {
            match spans.child(segment) {
                Some(child) => spans = child,
                None => return (spans, steps),
            }
        }
        (spans, path.len())
    }

    /// The place to show for this field: its key where it has one; of an item that takes several lines the first key;
    /// otherwise the value.
    #[must_use]
    pub fn anchor(&self) -> Span {
        if let Some(key) = self.key {
            return key;
        }
        let first = match &self.children {
            Children::Fields(fields) => fields.values().map(Self::anchor).min(),
            Children::Items(items) => items.first().map(Self::anchor),
            Children::None => None,
        };
        match first {
            Some(first) if self.value.start.line != self.value.end.line => first,
            _ => self.value,
        }
    }

    /// What stands one step down, with the step, in the order of keys or indices.
    pub fn children(&self) -> impl Iterator<Item = (Segment, &Self)> {
        let fields = match &self.children {
            Children::Fields(fields) => Some(fields),
            _ => None,
        };
        let items = match &self.children {
            Children::Items(items) => items.as_slice(),
            _ => &[],
        };
        let fields = fields.into_iter().flatten().map(|(key, spans)| (Segment::Key(key.clone()), spans));
        fields.chain(items.iter().enumerate().map(|(index, spans)| (Segment::Index(index), spans)))
    }
}

/// A path as the API server writes it: `spec.containers[0].image`. Keys that are not plain names stand in brackets.
#[must_use]
pub fn path_text(path: &[Segment]) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Index(index) => text += &format!("[{index}]"),
            Segment::Key(key) if is_plain(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text += key;
            }
            Segment::Key(key) => text += &format!("[{key}]"),
        }
    }
    text
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$'))
}
