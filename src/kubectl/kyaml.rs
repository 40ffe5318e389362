//! KYAML: YAML with braces, brackets and quotation marks, so that no blank means anything.
//!
//! Follows `sigs.k8s.io/yaml/kyaml`.

use serde_json::Value;

use crate::machinery::{go_json, quote};

/// Prints a value as a document.
pub(super) fn print(value: &Value) -> String {
    let mut text = String::from("---\n");
    node(&mut text, value, 0);
    text.push('\n');
    text
}

fn indent(text: &mut String, level: usize) {
    text.extend(std::iter::repeat_n("  ", level));
}

fn node(text: &mut String, value: &Value, level: usize) {
    match value {
        Value::String(string) => quoted(text, string, level + 1, true),
        Value::Array(items) if items.is_empty() => text.push_str("[]"),
        Value::Array(items) if items.iter().all(|item| item.is_array() || item.is_object()) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                node(text, item, level);
            }
            text.push(']');
        }
        Value::Array(items) => {
            text.push_str("[\n");
            for item in items {
                indent(text, level + 1);
                node(text, item, level + 1);
                text.push_str(",\n");
            }
            indent(text, level);
            text.push(']');
        }
        Value::Object(fields) if fields.is_empty() => text.push_str("{}"),
        Value::Object(fields) => {
            text.push_str("{\n");
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (key, value) in fields {
                indent(text, level + 1);
                if needs_quotes(key) {
                    quoted(text, key, level + 1, false);
                } else {
                    text.push_str(key);
                }
                text.push_str(": ");
                node(text, value, level + 1);
                text.push_str(",\n");
            }
            indent(text, level);
            text.push('}');
        }
        other => text.push_str(&go_json::marshal(other)),
    }
}

/// A string in quotation marks; one of several lines is folded where it may be.
fn quoted(text: &mut String, string: &str, level: usize, may_fold: bool) {
    const FOLD: &str = "\\\n";
    let folds = may_fold && string.contains('\n');
    let mut out = String::from("\"");
    if folds {
        out.push_str(FOLD);
    }
    for letter in string.chars() {
        if out.ends_with('\n') {
            indent(&mut out, level);
            // Blanks that begin a line would be taken for the indent.
            out.push(if letter.is_whitespace() && letter != '\n' { '\\' } else { ' ' });
        }
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => {
                out.push_str("\\n");
                out.push_str(if folds { FOLD } else { "" });
            }
            '\0' => out.push_str("\\0"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{85}' => out.push_str("\\N"),
            '\u{a0}' => out.push_str("\\_"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            other => out.push_str(quote::quote(&other.to_string()).trim_matches('"')),
        }
    }
    if folds {
        if !out.ends_with('\n') {
            out.push_str(FOLD);
        }
        indent(&mut out, level);
    }
    out.push('"');
    text.push_str(&out);
}

/// Whether a key could be taken for something else without quotation marks.
fn needs_quotes(key: &str) -> bool {
    let last = key.chars().count().saturating_sub(1);
    let is_plain = |(at, letter): (usize, char)| {
        letter.is_alphanumeric() || letter == '_' || (at > 0 && at < last && matches!(letter, '-' | '.' | '/'))
    };
    key.is_empty() || !key.chars().enumerate().all(is_plain) || is_guessed_wrong(key)
}

fn is_guessed_wrong(key: &str) -> bool {
    const WORDS: [&str; 12] = ["null", "true", "t", "y", "yes", "on", "false", "f", "n", "no", "off", "infinity"];
    let digits = key.replace('_', "").to_lowercase();
    let of_base = |prefix: &str, base: u32| {
        digits.strip_prefix(prefix).is_some_and(|digits| i64::from_str_radix(digits, base).is_ok())
    };
    let is_date = key.len() >= 8
        && key.starts_with(|first: char| first.is_ascii_digit())
        && key.split('-').count() == 3
        && key.split('-').all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    WORDS.contains(&key.to_lowercase().as_str())
        || digits.parse::<f64>().is_ok()
        || [("0b", 2), ("0o", 8), ("0x", 16)].iter().any(|(prefix, base)| of_base(prefix, *base))
        || is_date
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::print;

    #[test]
    fn objects_are_braced_and_strings_quoted() {
        let value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m", "labels": { "a.b/c": "1", "no": "x" } },
            "data": { "file": "first\n  second \"x\"\n" }, "list": ["a", 1], "of": [{ "a": null }, {}], "none": [],
        });
        expect![[r#"
            ---
            {
              apiVersion: "v1",
              data: {
                file: "\
                   first\n\
                  \  second \"x\"\n\
                  ",
              },
              kind: "ConfigMap",
              list: [
                "a",
                1,
              ],
              metadata: {
                labels: {
                  a.b/c: "1",
                  "no": "x",
                },
                name: "m",
              },
              none: [],
              of: [{
                a: null,
              }, {}],
            }
        "#]]
        .assert_eq(&print(&value));
    }
}
