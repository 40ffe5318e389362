//! The objects in a file, as kubectl takes them, with the place of every field.
//!
//! Follows the `StreamVisitor` and `FlattenListVisitor` of `k8s.io/cli-runtime/pkg/resource`.

use serde_json::Value;

use super::yaml::{self, Position, Segment, Span, Spans, path_text};

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct Manifests {
    /// Its objects and the documents that cannot be read, in order. kubectl stops at the first error; an editor shows
    /// all.
    pub entries: Vec<Result<Manifest, ManifestError>>,
    /// What kubectl accepts without a word and yet is hardly meant.
    pub warnings: Vec<Warning>,
}

/// An object of a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Which of the file's documents it is in, counted from 0.
    pub document: usize,
    /// Which of the document's items it is, where the document is a list.
    pub item: Option<usize>,
    /// The object, or whatever stands in its place.
    pub value: Value,
    /// Where its fields stand.
    pub spans: Spans,
}

/// A document that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError {
    /// Which of the file's documents, counted from 0.
    pub document: usize,
    /// Where it goes wrong.
    pub position: Position,
    /// What kubectl says after `error parsing FILE: `.
    pub message: String,
}

/// Something to warn of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Which of the file's documents, counted from 0.
    pub document: usize,
    /// What to point at.
    pub span: Span,
    /// The sentence, without a full stop.
    pub message: String,
}

impl Manifests {
    /// The objects up to the first document that cannot be read, and that document: what kubectl sees.
    #[must_use]
    pub fn until_error(&self) -> (Vec<&Manifest>, Option<&ManifestError>) {
        let objects = self.entries.iter().map_while(|entry| entry.as_ref().ok()).collect();
        (objects, self.errors().next())
    }

    /// The objects, errors left out.
    pub fn objects(&self) -> impl Iterator<Item = &Manifest> {
        self.entries.iter().filter_map(|entry| entry.as_ref().ok())
    }

    /// The documents that cannot be read.
    pub fn errors(&self) -> impl Iterator<Item = &ManifestError> {
        self.entries.iter().filter_map(|entry| entry.as_ref().err())
    }
}

/// Reads the objects of a file: its documents, and in place of a list the list's items.
#[must_use]
pub fn read(text: &str) -> Manifests {
    let mut manifests = Manifests::default();
    for (document, result) in yaml::read(text).into_iter().enumerate() {
        match result {
            Err(error) => {
                let (position, message) = (error.position, error.message);
                manifests.entries.push(Err(ManifestError { document, position, message }));
            }
            Ok(read) => {
                manifests.warnings.extend(read.duplicates.iter().map(|twice| warning(document, twice)));
                let whole = Manifest { document, item: None, value: read.value, spans: read.spans };
                manifests.entries.extend(flatten(whole).into_iter().map(Ok));
            }
        }
    }
    manifests
}

fn warning(document: usize, twice: &yaml::Duplicate) -> Warning {
    let line = twice.first.start.line;
    let message = format!("{} was set before, on line {line}; the last value counts", path_text(&twice.path));
    Warning { document, span: twice.last, message }
}

/// A list's items. Whatever has `items` is a list; items without a kind take theirs from the list's (`PodList` →
/// `Pod`).
fn flatten(mut whole: Manifest) -> Vec<Manifest> {
    let Some(Value::Array(items)) = whole.value.get_mut("items").map(Value::take) else {
        return vec![whole];
    };
    let text = |name: &str| whole.value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, list_kind) = (text("apiVersion"), text("kind"));
    let kind = list_kind.strip_suffix("List").unwrap_or(&list_kind);
    let mut objects = Vec::with_capacity(items.len());
    for (index, mut value) in items.into_iter().enumerate() {
        if let Value::Object(object) = &mut value
            && object.get("kind").and_then(Value::as_str).is_none_or(str::is_empty)
            && !kind.is_empty()
        {
            object.insert("apiVersion".to_owned(), Value::from(api_version.as_str()));
            object.insert("kind".to_owned(), Value::from(kind));
        }
        let path = [Segment::Key("items".to_owned()), Segment::Index(index)];
        let spans = whole.spans.get(&path).unwrap_or(&whole.spans).clone();
        objects.push(Manifest { document: whole.document, item: Some(index), value, spans });
    }
    objects
}

impl Manifest {
    /// The place of a field that the API server named: `spec.containers[0].image`, `metadata.labels[app]`,
    /// `.spec.containers[name="c"].image`. The value where it is a plain one, otherwise its key; where the field is
    /// missing, the key of its nearest ancestor that is there. `None` for what is no path, such as `<nil>`.
    #[must_use]
    pub fn locate(&self, field_path: &str) -> Option<Span> {
        if field_path.starts_with('<') {
            return None;
        }
        let (path, is_whole) = self.resolve(field_path);
        let (spans, steps) = self.spans.nearest(&path);
        let is_exact = is_whole && steps == path.len();
        let is_plain = spans.children().next().is_none() && spans.value.start != spans.value.end;
        Some(if is_exact && is_plain { spans.value } else { spans.anchor() })
    }

    /// As [`Self::locate`], but always the field's name and never its value: for a field that should not be there.
    #[must_use]
    pub fn locate_name(&self, field_path: &str) -> Option<Span> {
        if field_path.starts_with('<') {
            return None;
        }
        Some(self.spans.nearest(&self.resolve(field_path).0).0.anchor())
    }

    /// The steps of a path as far as they exist here, and whether that is all of them.
    fn resolve(&self, field_path: &str) -> (Vec<Segment>, bool) {
        let mut path = Vec::new();
        let mut value = &self.value;
        let mut rest = field_path.strip_prefix('.').unwrap_or(field_path);
        while !rest.is_empty() {
            let Some((segment, after)) = next_step(value, rest) else { return (path, false) };
            let next = match &segment {
                Segment::Key(key) => value.get(key),
                Segment::Index(index) => value.get(index),
            };
            let Some(next) = next else { return (path, false) };
            path.push(segment);
            value = next;
            rest = after;
        }
        (path, true)
    }
}

/// The first step of a path, held against the value that it leads into, and the rest of the path.
fn next_step<'a>(value: &Value, path: &'a str) -> Option<(Segment, &'a str)> {
    let Some(bracket) = path.strip_prefix('[') else {
        return name_step(value, path);
    };
    // A key may hold brackets itself; the longest that exists is meant.
    let ends = bracket.match_indices(']').map(|(at, _)| at).filter(|&at| is_boundary(&bracket[at + 1..]));
    let mut found = None;
    for end in ends {
        let (inside, after) = (&bracket[..end], &bracket[end + 1..]);
        let segment = match value {
            Value::Array(items) => list_step(items, inside),
            Value::Object(object) => {
                let key = inside.trim_matches('"');
                object.contains_key(key).then(|| Segment::Key(key.to_owned()))
            }
            _ => None,
        };
        if let Some(segment) = segment {
            found = Some((segment, after.strip_prefix('.').unwrap_or(after)));
        }
    }
    found
}

fn is_boundary(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(['.', '['])
}

/// A place in a list: its index, or the keys of the item as server-side apply names it.
fn list_step(items: &[Value], inside: &str) -> Option<Segment> {
    if let Ok(index) = inside.parse::<usize>() {
        return (index < items.len()).then_some(Segment::Index(index));
    }
    let keys: Option<Vec<(&str, &str)>> = inside.split(',').map(|pair| pair.split_once('=')).collect();
    let matches = |item: &Value, (key, wanted): &(&str, &str)| match item.get(key) {
        Some(Value::String(text)) => text == wanted.trim_matches('"'),
        Some(other) => {
            let text = other.to_string();
            text == *wanted
        }
        None => false,
    };
    let keys = keys?;
    items.iter().position(|item| keys.iter().all(|key| matches(item, key))).map(Segment::Index)
}

/// A name: the longest text up to a dot or bracket that is a key, since the decoder's paths do not mark keys with
/// dots.
fn name_step<'a>(value: &Value, path: &'a str) -> Option<(Segment, &'a str)> {
    let object = value.as_object()?;
    let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]);
    let end = ends.rev().find(|&end| object.contains_key(&path[..end]))?;
    let after = &path[end..];
    Some((Segment::Key(path[..end].to_owned()), after.strip_prefix('.').unwrap_or(after)))
}

#[cfg(test)]
mod tests;
