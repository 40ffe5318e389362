//! From the JSON of a CustomResourceDefinition to a schema.

use serde_json::Value;

use super::{Additional, Bound, Checks, ListType, Pattern, Rule, Schema};
use crate::machinery::go_regex;

fn text(json: &Value, name: &str) -> String {
    json[name].as_str().unwrap_or("").to_owned()
}

fn is(json: &Value, name: &str) -> bool {
    json[name].as_bool().unwrap_or(false)
}

fn size(json: &Value, name: &str) -> Option<usize> {
    json[name].as_u64().and_then(|number| usize::try_from(number).ok())
}

fn texts(json: &Value) -> Vec<String> {
    json.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn schemas(json: &Value) -> Vec<Schema> {
    json.as_array().into_iter().flatten().map(schema).collect()
}

fn boxed(json: &Value) -> Option<Box<Schema>> {
    json.is_object().then(|| Box::new(schema(json)))
}

pub(super) fn schema(json: &Value) -> Schema {
    let properties = json["properties"].as_object().into_iter().flatten();
    let additional = match &json["additionalProperties"] {
        Value::Bool(allowed) => Some(Additional::Allowed(*allowed)),
        Value::Object(_) => boxed(&json["additionalProperties"]).map(Additional::Schema),
        _ => None,
    };
    Schema {
        ty: text(json, "type"),
        format: text(json, "format"),
        nullable: is(json, "nullable"),
        default: json.get("default").cloned(),
        properties: properties.map(|(name, json)| (name.clone(), schema(json))).collect(),
        additional,
        list: list_type(json),
        items: boxed(&json["items"]),
        preserves_unknown: is(json, "x-kubernetes-preserve-unknown-fields"),
        is_embedded: is(json, "x-kubernetes-embedded-resource"),
        is_int_or_string: is(json, "x-kubernetes-int-or-string"),
        is_atomic_map: json["x-kubernetes-map-type"] == "atomic",
        checks: checks(json),
        rules: json["x-kubernetes-validations"].as_array().into_iter().flatten().map(Rule::read).collect(),
        description: text(json, "description"),
    }
}

fn list_type(json: &Value) -> ListType {
    match json["x-kubernetes-list-type"].as_str() {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(&json["x-kubernetes-list-map-keys"])),
        _ => ListType::Atomic,
    }
}

fn checks(json: &Value) -> Checks {
    let bound =
        |name: &str, exclusive: &str| json[name].as_f64().map(|at| Bound { at, exclusive: is(json, exclusive) });
    let pattern = json["pattern"].as_str().filter(|text| !text.is_empty());
    Checks {
        maximum: bound("maximum", "exclusiveMaximum"),
        minimum: bound("minimum", "exclusiveMinimum"),
        multiple_of: json["multipleOf"].as_f64(),
        max_length: size(json, "maxLength"),
        min_length: size(json, "minLength"),
        pattern: pattern.map(|text| Pattern { text: text.to_owned(), regex: go_regex::compile(text).ok().flatten() }),
        max_items: size(json, "maxItems"),
        min_items: size(json, "minItems"),
        unique_items: is(json, "uniqueItems"),
        max_properties: size(json, "maxProperties"),
        min_properties: size(json, "minProperties"),
        required: texts(&json["required"]),
        enumeration: json["enum"].as_array().cloned().unwrap_or_default(),
        all_of: schemas(&json["allOf"]),
        any_of: schemas(&json["anyOf"]),
        one_of: schemas(&json["oneOf"]),
        not: boxed(&json["not"]),
    }
}
