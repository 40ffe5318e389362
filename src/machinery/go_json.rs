//! JSON as Go's `encoding/json` writes it: keys sorted or in a struct's order, `<`, `>` and `&` escaped.
//!
//! What kubectl prints of objects looks like this, and the last-applied annotation holds it.

use crate::machinery::order::Order as _;
use crate::machinery::schema::{self, Struct, Type};
use serde_json::{Map, Number, Value};

/// What Go has a value as, which is what the order of its keys follows from.
#[derive(Clone, Copy)]
enum Form {
    /// Maps and lists of anything, whose keys are sorted.
    Any,
    /// An object that says its kind.
    Object,
    /// A list of objects, and its items: of a kind, or as they were sent.
    List(Option<&'static Struct>),
    Items(Option<&'static Struct>),
    Struct(&'static Struct),
    Typed(&'static Type),
}

impl Form {
    fn of_type(ty: &'static Type) -> Self {
        match ty.underlying() {
            Type::Struct(reference) => Self::Struct(reference.get()),
            Type::List(_) | Type::Map(..) => Self::Typed(ty),
            _ => Self::Any,
        }
    }

    /// What an object is by the kind that it says.
    fn of_object(object: &Map<String, Value>) -> Self {
        let text = |field: &str| object.get(field).and_then(Value::as_str);
        let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else { return Self::Any };
        if object.get("items").is_some_and(Value::is_array) {
            return Self::List(kind.strip_suffix("List").and_then(|kind| schema::lookup(version, kind)));
        }
        schema::lookup(version, kind).map_or(Self::Any, Self::Struct)
    }

    /// The form of a field, or of what a list or a map holds.
    fn below(self, key: &str) -> Self {
        match self {
            Self::Any | Self::Object => Self::Any,
            Self::List(of) if key == "items" => Self::Items(of),
            Self::List(_) => schema::named("meta", "ListMeta").map_or(Self::Any, Self::Struct),
            Self::Items(of) => of.map_or(Self::Any, Self::Struct),
            Self::Struct(owner) => owner.field(key).map_or(Self::Any, |field| Self::of_type(&field.ty)),
            Self::Typed(ty) => ty.items().map_or(Self::Any, Self::of_type),
        }
    }

    fn place(self, key: &str) -> u8 {
        match self {
            Self::List(_) => match key {
                "kind" => 0,
                "apiVersion" => 1,
                "metadata" => 2,
                _ => 3,
            },
            Self::Struct(owner) => owner.place(key),
            _ => 0,
        }
    }
}

/// Writes a value on one line (`json.Marshal`).
pub fn marshal(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value, Form::Any, None, 0);
    text
}

/// Writes a value over several lines, each deeper level further in by `indent`
/// (`json.MarshalIndent`).
pub fn marshal_indent(value: &Value, indent: &str) -> String {
    let mut text = String::new();
    write(&mut text, value, Form::Any, Some(indent), 0);
    text
}

/// Writes an object of a known kind on one line, its fields in the order of Go's struct.
pub fn marshal_object(object: &Value) -> String {
    let mut text = String::new();
    write(&mut text, object, Form::Object, None, 0);
    text
}

/// As [`marshal_object`]; nothing when the kind has no struct.
pub fn marshal_typed(object: &Value) -> Option<String> {
    let form = Form::of_object(object.as_object()?);
    (!matches!(form, Form::Any)).then(|| {
        let mut text = String::new();
        write(&mut text, object, form, None, 0);
        text
    })
}

/// As [`marshal_object`], over several lines.
pub fn marshal_object_indent(object: &Value, indent: &str) -> String {
    let mut text = String::new();
    write(&mut text, object, Form::Object, Some(indent), 0);
    text
}

fn write(text: &mut String, value: &Value, form: Form, indent: Option<&str>, depth: usize) {
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
                write(text, item, form.below(""), indent, depth + 1);
            }
            begin_line(text, indent, depth);
            text.push(']');
        }
        Value::Object(fields) if fields.is_empty() => text.push_str("{}"),
        Value::Object(fields) => {
            let form = if matches!(form, Form::Object) { Form::of_object(fields) } else { form };
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            sorted.order_by_key(|(key, _)| (form.place(key), *key));
            text.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                begin_item(text, index, indent, depth + 1);
                write_string(text, key);
                text.push_str(if indent.is_some() { ": " } else { ":" });
                write(text, value, form.below(key), indent, depth + 1);
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

    use super::{marshal, marshal_indent, marshal_object};

    #[test]
    fn objects_have_the_order_of_gos_structs() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {
                "nodeName": "n",
                "containers": [{"image": "i", "env": [{"value": "v", "name": "n"}], "name": "c", "odd": 1, "even": 2}],
            },
            "metadata": {"labels": {"b": "1", "a": "2"}, "name": "p"},
        });
        let text = r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","labels":{"a":"2","b":"1"}},"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"n","value":"v"}],"even":2,"odd":1}],"nodeName":"n"}}"#;
        assert_eq!(marshal_object(&pod), text);
        let list = json!({"apiVersion": "v1", "items": [pod], "kind": "PodList", "metadata": {"resourceVersion": "7"}});
        assert_eq!(
            marshal_object(&list),
            format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"7"}},"items":[{text}]}}"#)
        );
    }

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
