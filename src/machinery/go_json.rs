//! JSON as Go's `encoding/json` writes it: keys sorted, `<`, `>` and `&` escaped.
//!
//! What kubectl prints of objects looks like this, and the last-applied annotation holds it.

use crate::machinery::order::Order as _;
use serde_json::{Number, Value};

/// Writes a value on one line (`json.Marshal`).
pub fn marshal(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, None, 0);
    text
}

/// Writes a value over several lines, each deeper level further in by `indent`
/// (`json.MarshalIndent`).
pub fn marshal_indent(value: &Value, indent: &str) -> String {
    let mut text = String::new();
    write(&mut text, value, Some(indent), 0);
    text
}

fn write(text: &mut String, value: &Value, indent: Option<&str>, depth: usize) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&write_number(number)),
        Value::String(value) => write_string(text, value),
        Value::Array(items) if items.is_empty() => text.push_str("[]"),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                begin_item(text, index, indent, depth + 1);
                write(text, item, indent, depth + 1);
            }
            begin_line(text, indent, depth);
            text.push(']');
        }
        Value::Object(fields) if fields.is_empty() => text.push_str("{}"),
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.order_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                begin_item(text, index, indent, depth + 1);
                write_string(text, key);
                text.push_str(if indent.is_some() { ": " } else { ":" });
                write(text, value, indent, depth + 1);
            }
            begin_line(text, indent, depth);
            text.push('}');
        }
    }
}

fn begin_item(text: &mut String, index: usize, indent: Option<&str>, depth: usize) {
    if index > 0 {
        text.push(',');
    }
    begin_line(text, indent, depth);
}

fn begin_line(text: &mut String, indent: Option<&str>, depth: usize) {
    if let Some(indent) = indent {
        text.push('\n');
        for _ in 0..depth {
            text.push_str(indent);
        }
    }
}

fn write_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    let magnitude = float.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    if text.contains("e-") { text } else { text.replace('e', "e+") }
}

fn write_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{08}' => text.push_str("\\b"),
            '\u{0c}' => text.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{marshal, marshal_indent};

    #[test]
    fn writes_as_go_does() {
        let value = json!({"b": [1, 1.5, 2.0, 1e21, 1e-7], "a": "<x>&\u{1}\n", "e": {}, "l": []});
        assert_eq!(marshal(&value), r#"{"a":"\u003cx\u003e\u0026\u0001\n","b":[1,1.5,2,1e+21,1e-7],"e":{},"l":[]}"#);
        assert_eq!(
            marshal_indent(&json!({"b": [1, {}], "a": null}), "  "),
            "{\n  \"a\": null,\n  \"b\": [\n    1,\n    {}\n  ]\n}"
        );
    }
}
