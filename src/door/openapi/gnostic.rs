//! The older form of OpenAPI in Protobuf, as client-go asks for it: `openapiv2/OpenAPIv2.proto` of
//! `github.com/google/gnostic-models`, as far as our documents have it.

use serde_json::{Map, Value};

use crate::door::protobuf::{put_bytes, put_number};

/// A document. Whatever is not a known field of its message is left out; extensions are kept as text.
pub(super) fn document(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    texts(&mut out, value, &[("swagger", 1)]);
    put_bytes(&mut out, 2, &named_texts(&value["info"], &[("title", 1), ("version", 2)]));
    let mut paths = Vec::new();
    for (name, item) in entries(&value["paths"]) {
        put_bytes(&mut paths, 2, &named(name, &path_item(item)));
    }
    put_bytes(&mut out, 8, &paths);
    put_bytes(&mut out, 9, &schemas(&value["definitions"]));
    out
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(out: &mut Vec<u8>, value: &Value, fields: &[(&str, u64)]) {
    for (name, field) in fields {
        if let Some(text) = value[name].as_str() {
            put_bytes(out, *field, text.as_bytes());
        }
    }
}

fn named_texts(value: &Value, fields: &[(&str, u64)]) -> Vec<u8> {
    let mut out = Vec::new();
    texts(&mut out, value, fields);
    out
}

/// An entry of a map: its name and what it is.
fn named(name: &str, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 1, name.as_bytes());
    put_bytes(&mut out, 2, content);
    out
}

/// Any value: JSON is YAML, too.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, 2, value.to_string().as_bytes());
    out
}

fn extensions(out: &mut Vec<u8>, field: u64, value: &Map<String, Value>) {
    for (name, value) in value.iter().filter(|(name, _)| name.starts_with("x-")) {
        put_bytes(out, field, &named(name, &any(value)));
    }
}

fn path_item(item: &Value) -> Vec<u8> {
    const METHODS: [(&str, u64); 7] =
        [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("options", 6), ("head", 7), ("patch", 8)];
    let mut out = Vec::new();
    for (method, field) in METHODS {
        if let Some(operation) = item.get(method) {
            put_bytes(&mut out, field, &self::operation(operation));
        }
    }
    out
}

fn operation(operation: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        // A parameter of the query, within two messages that stand for choices.
        let mut own = Vec::new();
        texts(&mut own, parameter, &[("in", 2), ("name", 4), ("type", 6)]);
        let choices = [3, 2, 1].iter().fold(own, |content, field| {
            let mut out = Vec::new();
            put_bytes(&mut out, *field, &content);
            out
        });
        put_bytes(&mut out, 8, &choices);
    }
    let mut responses = Vec::new();
    for (code, response) in entries(&operation["responses"]) {
        let mut choice = Vec::new();
        put_bytes(&mut choice, 1, &named_texts(response, &[("description", 1)]));
        put_bytes(&mut responses, 1, &named(code, &choice));
    }
    put_bytes(&mut out, 9, &responses);
    operation.as_object().into_iter().for_each(|fields| extensions(&mut out, 13, fields));
    out
}

/// Schemas by name: of all kinds, or of the fields of one.
fn schemas(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in entries(value) {
        put_bytes(&mut out, 1, &named(name, &schema(value)));
    }
    out
}

fn schema(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    texts(&mut out, value, &[("$ref", 1), ("format", 2), ("title", 3), ("description", 4)]);
    for name in value["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        put_bytes(&mut out, 19, name.as_bytes());
    }
    for choice in value["enum"].as_array().into_iter().flatten() {
        put_bytes(&mut out, 20, &any(choice));
    }
    let mut inner = Vec::new();
    match &value["additionalProperties"] {
        Value::Object(_) => put_bytes(&mut inner, 1, &schema(&value["additionalProperties"])),
        Value::Bool(open) => put_number(&mut inner, 2, u64::from(*open)),
        _ => {}
    }
    if !inner.is_empty() {
        put_bytes(&mut out, 21, &inner);
    }
    if value["type"].is_string() {
        put_bytes(&mut out, 22, &named_texts(value, &[("type", 1)]));
    }
    if value["items"].is_object() {
        let mut items = Vec::new();
        put_bytes(&mut items, 1, &schema(&value["items"]));
        put_bytes(&mut out, 23, &items);
    }
    if value["properties"].is_object() {
        put_bytes(&mut out, 25, &schemas(&value["properties"]));
    }
    value.as_object().into_iter().for_each(|fields| extensions(&mut out, 31, fields));
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_written_field_by_field() {
        assert_eq!(schema(&json!({ "type": "string" })), b"\xb2\x01\x08\x0a\x06string");
        assert_eq!(schema(&json!({ "$ref": "#/a" })), b"\x0a\x03#/a");
        assert_eq!(schema(&json!({ "x-a": 1 })), b"\xfa\x01\x0a\x0a\x03x-a\x12\x03\x12\x011");
        let whole = document(&json!({ "swagger": "2.0", "info": { "title": "K" }, "paths": {}, "definitions": {} }));
        assert_eq!(whole, b"\x0a\x032.0\x12\x03\x0a\x01KB\x00J\x00");
    }
}
