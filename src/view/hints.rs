//! A helpful second line below the API server's words.

use std::collections::BTreeSet;

use crate::machinery::schema::{self, Struct};

use super::Sentence;

/// How different a name may be from the one that was meant.
const DISTANCE_MAX: usize = 3;

/// What might help with a message of the API server, if anything comes to mind.
#[must_use]
pub fn hint(message: &str) -> Option<Sentence> {
    unknown_field(message).or_else(|| unknown_kind(message)).or_else(|| proverbial(message))
}

/// `unknown field "spec.containers[0].imagePullPolcy"`: the nearest name that stands there in some kind.
fn unknown_field(message: &str) -> Option<Sentence> {
    let path = between(message, "unknown field \"", "\"")?;
    let path = without_indices(path);
    let mut segments: Vec<&str> = path.split('.').collect();
    let name = segments.pop()?;
    let parents = schema::kinds().filter_map(|kind| parent(kind, &segments));
    let names: BTreeSet<&str> = parents.flat_map(|parent| parent.fields().iter().map(|field| field.name)).collect();
    if let Some(meant) = nearest(name, names.into_iter()) {
        return Some(Sentence::new("Did you mean {}?", [meant.to_owned()]));
    }
    // A field that stands one level too high or too low is the other common mistake.
    let below = schema::kinds().filter_map(|kind| parent(kind, &segments)).find_map(|parent| {
        let inner = parent.fields().iter().find(|field| {
            field.ty.element().is_some_and(|element| element.field(name).is_some()) && !field.ty.is_map()
        })?;
        Some(inner.name)
    })?;
    Some(Sentence::new("{} belongs into {}: mind the indentation.", [name.to_owned(), below.to_owned()]))
}

fn parent(kind: &'static Struct, segments: &[&str]) -> Option<&'static Struct> {
    if segments.is_empty() { Some(kind) } else { kind.walk(segments)?.ty.element() }
}

fn unknown_kind(message: &str) -> Option<Sentence> {
    let kind = between(message, "no matches for kind \"", "\"")?;
    let version = between(message, "in version \"", "\"")?;
    let served: Vec<&Struct> = schema::kinds().collect();
    if let Some(right) = served.iter().find(|candidate| candidate.name == kind && candidate.api_version != version) {
        return Some(Sentence::new("{} is in apiVersion {}.", [kind.to_owned(), right.api_version.to_owned()]));
    }
    let meant = nearest(kind, served.iter().map(|candidate| candidate.name))?;
    Some(Sentence::new("Did you mean {}?", [meant.to_owned()]))
}

/// Mistakes that everybody makes once.
fn proverbial(message: &str) -> Option<Sentence> {
    let templates = [
        (
            "`selector` does not match template `labels`",
            "The labels of the template must contain those of the selector.",
        ),
        ("field is immutable", "This field cannot be changed later: delete the object and apply it again."),
        ("found character that cannot start any token", "YAML is indented with blanks, never with tabs."),
        ("mapping values are not allowed", "Look for a missing line break or a missing blank in front of a value."),
        ("did not find expected key", "Look at the indentation of this line and of the one above it."),
    ];
    let found = templates.iter().find(|(part, _)| message.contains(part))?;
    Some(Sentence::new(found.1, []))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let length = text[start..].find(after)?;
    Some(&text[start..start + length])
}

fn without_indices(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|character| {
            let was_inside = inside;
            inside = (inside || *character == '[') && *character != ']';
            !inside && !was_inside
        })
        .collect()
}

/// The candidate that is most like a name, if one is like it at all.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = DISTANCE_MAX.min(name.len() / 3);
    let near = candidates.map(|candidate| (distance(name, candidate), candidate));
    near.filter(|(distance, _)| (1..=most).contains(distance)).min().map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, changed or swapped with their neighbour, whatever their case.
fn distance(left: &str, right: &str) -> usize {
    if left == right {
        return 0;
    }
    let letters = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (a, b) = (letters(left), letters(right));
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    // Names that differ in case only are not the same name, but very near.
    rows[a.len()][b.len()].max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_mistakes_get_a_hint() {
        let cases = [
            (
                "strict decoding error: unknown field \"spec.template.spec.containers[0].imagePullPolcy\"",
                Some("Did you mean imagePullPolicy?"),
            ),
            ("strict decoding error: unknown field \"spec.replica\"", Some("Did you mean replicas?")),
            (
                "unknown field \"spec.template.spec.containers[0].containerPort\"",
                Some("containerPort belongs into ports"),
            ),
            ("no matches for kind \"Deployment\" in version \"v1\"", Some("Deployment is in apiVersion apps/v1.")),
            ("no matches for kind \"Deploymant\" in version \"apps/v1\"", Some("Did you mean Deployment?")),
            ("all is well", None),
        ];
        for (message, expected) in cases {
            let found = hint(message).map(|sentence| sentence.to_string());
            match expected {
                Some(part) => assert!(found.as_deref().is_some_and(|hint| hint.contains(part)), "{message}: {found:?}"),
                None => assert_eq!(found, None, "{message}"),
            }
        }
    }
}
