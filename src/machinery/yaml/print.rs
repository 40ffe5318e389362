//! YAML as kubectl writes it: keys sorted, lists not indented, strings quoted only where they must be.
//!
//! Follows `sigs.k8s.io/yaml` with go-yaml v2's emitter, for what Kubernetes objects hold.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::machinery::order::Order as _;
use serde_json::{Map, Value};

/// How long a line may be before it is broken: `best_width`.
const WIDTH: usize = 80;

/// Prints a value as one YAML document.
#[must_use]
pub fn print(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(map, 0, false, &mut text),
        Value::Array(items) if !items.is_empty() => sequence(items, 0, &mut text),
        other => {
            inline(other, 0, &mut text);
            text.push('\n');
        }
    }
    text
}

fn mapping(map: &Map<String, Value>, depth: usize, first_is_placed: bool, text: &mut String) {
    let mut entries: Vec<_> = map.iter().collect();
    entries.order_by(|(a, _), (b, _)| key_order(a, b));
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 || !first_is_placed {
            indent(depth, text);
        }
        text.push_str(&scalar(key));
        text.push(':');
        after_key(value, depth, text);
    }
}

/// How keys stand to each other, numbers in them by their size: go-yaml's `keyList`.
fn key_order(a: &str, b: &str) -> Ordering {
    let Some(at) = a.bytes().zip(b.bytes()).position(|(a, b)| a != b) else { return a.len().cmp(&b.len()) };
    let at = (0..=at).rev().find(|&at| a.is_char_boundary(at) && b.is_char_boundary(at)).unwrap_or(0);
    let (Some(first), Some(second)) = (a[at..].chars().next(), b[at..].chars().next()) else { return a.cmp(b) };
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => return first.cmp(&second),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let digits = |text: &str| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let size = |text: &str, count: usize| {
        text[at..at + count]
            .bytes()
            .fold(0u128, |sum, byte| sum.saturating_mul(10).saturating_add(u128::from(byte - b'0')))
    };
    let (left, right) = (digits(a), digits(b));
    size(a, left).cmp(&size(b, right)).then(left.cmp(&right)).then(first.cmp(&second))
}

/// What stands behind `key:`.
fn after_key(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            text.push('\n');
            mapping(map, depth + 1, false, text);
        }
        Value::Array(items) if !items.is_empty() => {
            text.push('\n');
            sequence(items, depth, text);
        }
        other => {
            text.push(' ');
            inline(other, depth + 1, text);
            text.push('\n');
        }
    }
}

fn sequence(items: &[Value], depth: usize, text: &mut String) {
    for item in items {
        indent(depth, text);
        text.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(map, depth + 1, true, text),
            Value::Array(inner) if !inner.is_empty() => {
                let mut nested = String::new();
                sequence(inner, depth + 1, &mut nested);
                text.push_str(nested.trim_start());
            }
            other => {
                inline(other, depth + 1, text);
                text.push('\n');
            }
        }
    }
}

fn indent(depth: usize, text: &mut String) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn inline(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::String(string) if string.contains('\n') && !has_control_characters(string) => block(string, depth, text),
        Value::String(string) => folded(&scalar(string), depth, text),
        Value::Array(_) => text.push_str("[]"),
        Value::Object(_) => text.push_str("{}"),
        other => text.push_str(&other.to_string()),
    }
}

/// Writes a scalar on as many lines as it takes: a line that is full ends at the next blank between two words.
fn folded(scalar: &str, depth: usize, text: &mut String) {
    let mut column = text.chars().rev().take_while(|letter| *letter != '\n').count();
    if column + scalar.len() <= WIDTH {
        text.push_str(scalar);
        return;
    }
    let is_double = scalar.starts_with('"');
    // Neither the first nor the last letter within quotation marks is a place to break.
    let quotes = usize::from(is_double || scalar.starts_with('\''));
    let letters: Vec<char> = scalar.chars().collect();
    let mut after_blank = false;
    for (at, letter) in letters.iter().enumerate() {
        let next_is_blank = letters.get(at + 1) == Some(&' ');
        let is_inside = quotes == 0 || (at > 1 && at + 2 < letters.len());
        if *letter == ' ' && !after_blank && column > WIDTH && is_inside && (is_double || !next_is_blank) {
            text.push('\n');
            indent(depth, text);
            column = 2 * depth;
            if next_is_blank {
                text.push('\\');
                column += 1;
            }
        } else {
            text.push(*letter);
            column += 1;
        }
        after_blank = *letter == ' ';
    }
}

/// A literal block: `|`, with `-` when the text has no final line break and `+` when it has several.
fn block(string: &str, depth: usize, text: &mut String) {
    let chomping = match (string.strip_suffix('\n'), string.ends_with("\n\n")) {
        (None, _) => "-",
        (_, true) => "+",
        _ => "",
    };
    // A text that begins with a blank says how far it is indented.
    let hint = if string.starts_with([' ', '\n']) { "2" } else { "" };
    text.push('|');
    text.push_str(hint);
    text.push_str(chomping);
    for line in string.strip_suffix('\n').unwrap_or(string).split('\n') {
        text.push('\n');
        if !line.is_empty() {
            indent(depth, text);
            text.push_str(line);
        }
    }
}

fn has_control_characters(string: &str) -> bool {
    string.chars().any(|character| character.is_control() && character != '\n')
        || string.lines().any(|line| line.ends_with(' '))
        || string.trim_matches('\n').is_empty()
}

/// A string on one line, quoted where YAML would read something else.
fn scalar(string: &str) -> String {
    if string.chars().any(char::is_control) {
        return double_quoted(string);
    }
    if reads_as_another_type(string) {
        return format!("\"{string}\"");
    }
    if is_plain(string) { string.to_owned() } else { format!("'{}'", string.replace('\'', "''")) }
}

fn double_quoted(string: &str) -> String {
    let mut text = String::from("\"");
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            other if other.is_control() => {
                // Writing into a string cannot fail.
                let _ = write!(text, "\\x{:02X}", u32::from(other));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

/// Whether YAML 1.1 reads a plain scalar as a boolean, null, a number or a time.
fn reads_as_another_type(string: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];
    let lower = string.to_ascii_lowercase();
    string.is_empty()
        || WORDS.contains(&lower.as_str())
        || matches!(lower.trim_start_matches(['+', '-']), ".inf" | ".nan")
        || reads_as_number(string)
        || reads_as_date(string)
}

fn reads_as_number(string: &str) -> bool {
    let digits = string.trim_start_matches(['+', '-']).replace('_', "");
    let prefixed = |prefix: &str, radix: u32| {
        digits.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix)))
    };
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let numeric = digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let sexagesimal =
        digits.contains(':') && digits.split(':').all(|part| part.len() <= 2 && part.parse::<u8>().is_ok());
    prefixed("0x", 16)
        || prefixed("0b", 2)
        || prefixed("0o", 8)
        || sexagesimal
        || (begins && numeric && digits.parse::<f64>().is_ok())
}

fn reads_as_date(string: &str) -> bool {
    let bytes = string.as_bytes();
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { *b == b'-' } else { b.is_ascii_digit() })
        && (bytes.len() == 10 || matches!(bytes[10], b'T' | b't' | b' '))
}

/// Whether a string may stand without quotes.
fn is_plain(string: &str) -> bool {
    let first = string.chars().next().unwrap_or(' ');
    let indicator = matches!(
        first,
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' | ' '
    );
    let lonely = matches!(first, '-' | '?' | ':') && string.chars().nth(1).is_none_or(|second| second == ' ');
    !(indicator
        || lonely
        || string.ends_with([' ', ':'])
        || string.contains(": ")
        || string.contains(" #")
        || string.starts_with("---")
        || string.starts_with("..."))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        let long = "a value that is much longer than what fits into one line of a description, so that it is broken and \
                    shortened where it must be, at one hundred and forty letters";
        let quoted = format!("it's: {long}");
        let value = json!({ "data": { "long": long }, "list": [quoted], "unbroken": "x".repeat(90) });
        let expected = "data:\n  long: a value that is much longer than what fits into one line of a description,\n    so that it \
                        is broken and shortened where it must be, at one hundred and forty\n    letters\nlist:\n- 'it''s: a \
                        value that is much longer than what fits into one line of a description,\n  so that it is broken and \
                        shortened where it must be, at one hundred and forty letters'\nunbroken: ";
        assert_eq!(print(&value), format!("{expected}{}\n", "x".repeat(90)));
    }

    #[test]
    fn objects_look_as_kubectl_prints_them() {
        let value = json!({
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "web", "labels": {"app": "web", "on": "yes"}, "annotations": {}},
            "spec": {
                "containers": [
                    {"name": "web", "image": "nginx:1.28", "args": ["-c", "echo: hi # there", "sleep 1\nexit 2\n"],
                     "ports": [{"containerPort": 80}]},
                    {"name": "two", "command": []},
                ],
                "nested": [["a", "b"], [["c"]]],
                "numbers": [1, 1.5, "1", "1e3", "0x1f", "1.28", "10:30", "2026-01-01", "2026-01-01T00:00:00Z"],
                "odd": ["", " ", "- a", "-a", "*", "it's", "'", "a:", "a:b", "true", "~", "@x", "tab\there", "no\n\n"],
            },
        });
        expect![[r#"
            apiVersion: v1
            kind: Pod
            metadata:
              annotations: {}
              labels:
                app: web
                "on": "yes"
              name: web
            spec:
              containers:
              - args:
                - -c
                - 'echo: hi # there'
                - |
                  sleep 1
                  exit 2
                image: nginx:1.28
                name: web
                ports:
                - containerPort: 80
              - command: []
                name: two
              nested:
              - - a
                - b
              - - - c
              numbers:
              - 1
              - 1.5
              - "1"
              - "1e3"
              - "0x1f"
              - "1.28"
              - "10:30"
              - "2026-01-01"
              - "2026-01-01T00:00:00Z"
              odd:
              - ""
              - ' '
              - '- a'
              - -a
              - '*'
              - it's
              - ''''
              - 'a:'
              - a:b
              - "true"
              - "~"
              - '@x'
              - "tab\there"
              - |+
                no

        "#]]
        .assert_eq(&print(&value));
    }
}
