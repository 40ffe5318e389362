//! Kinds without a describer of their own, custom resources among them.
//!
//! Follows `genericDescriber` and `printUnstructuredContent`.

use serde_json::Value;

use super::super::printer::go_print;
use super::writer::{Writer, sorted};

/// What stands above all other fields already.
const SKIPPED: [&str; 5] =
    [".metadata.managedFields", ".metadata.name", ".metadata.namespace", ".metadata.labels", ".metadata.annotations"];
/// Words that are written in capitals.
const ACRONYMS: [&str; 5] = ["API", "URL", "UID", "OSB", "GUID"];

/// Writes any object.
pub(super) fn describe(writer: &mut Writer, object: &Value) {
    writer.name_and_namespace(object);
    writer.labels_and_annotations(object);
    content(writer, 0, object, "");
}

fn content(writer: &mut Writer, level: usize, content_of: &Value, prefix: &str) {
    for (field, value) in sorted(content_of) {
        let path = format!("{prefix}.{field}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        let label = label(field);
        match value {
            Value::Object(_) => {
                writer.line(level, &format!("{label}:"));
                content(writer, level + 1, value, &path);
            }
            Value::Array(children) => {
                writer.line(level, &format!("{label}:"));
                for child in children {
                    if child.is_object() {
                        content(writer, level + 1, child, &path);
                    } else {
                        writer.line(level + 1, &go_print(child));
                    }
                }
            }
            value => writer.field(level, &label, &go_print(value)),
        }
    }
}

/// `podInfoOnMount` is `Pod Info On Mount`: `smartLabelFor`.
fn label(field: &str) -> String {
    if field.chars().any(|letter| !letter.is_alphabetic() && letter != '-') {
        return field.to_owned();
    }
    let words = words(field).into_iter().map(|word| {
        let upper = word.to_uppercase();
        if ACRONYMS.contains(&upper.as_str()) {
            return upper;
        }
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The words of a name in camel case: `camelcase.Split`. The last capital of several begins the next word.
fn words(name: &str) -> Vec<String> {
    let class = |letter: char| match letter {
        letter if letter.is_lowercase() => 1,
        letter if letter.is_uppercase() => 2,
        _ => 4,
    };
    let mut runs: Vec<Vec<char>> = Vec::new();
    for letter in name.chars() {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| class(*last) == class(letter)) => run.push(letter),
            _ => runs.push(vec![letter]),
        }
    }
    for at in 1..runs.len() {
        if runs[at - 1][0].is_uppercase()
            && runs[at][0].is_lowercase()
            && let Some(last) = runs[at - 1].pop()
        {
            runs[at].insert(0, last);
        }
    }
    runs.into_iter().filter(|run| !run.is_empty()).map(String::from_iter).collect()
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_are_the_words_of_a_field() {
        assert_eq!(label("podInfoOnMount"), "Pod Info On Mount");
        assert_eq!(label("seLinuxMount"), "Se Linux Mount");
        assert_eq!(label("apiVersion"), "API Version");
        assert_eq!(label("uid"), "UID");
        assert_eq!(label("clusterIPs"), "Cluster I Ps");
        assert_eq!(label("a.b/c"), "a.b/c");
        assert_eq!(label("some-name"), "Some - Name");
    }
}
