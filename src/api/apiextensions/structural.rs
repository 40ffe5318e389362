//! Whether a schema is structural, so that fields can be pruned and filled in: `pkg/apiserver/schema/validation.go`.

use serde_json::Value;

use super::{Step, below};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::go_regex;
use crate::machinery::structural::{Schema, prune, validate as by_schema};

/// Where in a schema another one stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Root,
    Item,
    Field,
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or("")
}

fn is(json: &Value, name: &str) -> bool {
    json[name] == true
}

/// What keeps a schema from being structural, in the order of the texts; and then what is wrong with its defaults.
pub(super) fn validate(schema: &Value, path: &Path, errors: &mut ErrorList) {
    let mut found = ErrorList::new();
    invariants(schema, Level::Root, path, &mut found);
    complete(schema, schema, path, &mut found);
    if found.is_empty() {
        defaults(schema, path, errors);
    }
    found.sort_by_key(ToString::to_string);
    errors.extend(found);
}

fn invariants(schema: &Value, level: Level, path: &Path, errors: &mut ErrorList) {
    let ty = text(schema, "type");
    if ty == "array" && !schema["items"].is_object() {
        errors.push(FieldError::required(&path.child("items"), "must be specified"));
    }
    if schema["items"].is_object() {
        invariants(&schema["items"], Level::Item, &path.child("items"), errors);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let is_metadata = name == "metadata" && level == Level::Root;
        if !is_metadata {
            invariants(schema, Level::Field, &path.child("properties").key(name), errors);
        }
    }
    let additional = &schema["additionalProperties"];
    if !additional.is_null() && level == Level::Root {
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    if additional.is_object() {
        invariants(additional, Level::Field, &path.child("additionalProperties"), errors);
    }
    extensions(schema, path, errors);
    junctors(schema, path, errors);
    types(schema, level, path, errors);
    metadata(schema, level, path, errors);
}

fn extensions(schema: &Value, path: &Path, errors: &mut ErrorList) {
    if !is(schema, "x-kubernetes-int-or-string") {
        return;
    }
    for name in ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"] {
        if is(schema, name) {
            let detail = "must be false if x-kubernetes-int-or-string is true";
            errors.push(FieldError::invalid(&path.child(name), true, detail));
        }
    }
}

fn types(schema: &Value, level: Level, path: &Path, errors: &mut ErrorList) {
    let ty = text(schema, "type");
    let (is_embedded, path_of_type) = (is(schema, "x-kubernetes-embedded-resource"), path.child("type"));
    if is_embedded && ty != "object" {
        let detail = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(match ty {
            "" => FieldError::required(&path_of_type, detail),
            ty => FieldError::invalid(&path_of_type, ty, detail),
        });
    } else if ty.is_empty()
        && !is(schema, "x-kubernetes-int-or-string")
        && !is(schema, "x-kubernetes-preserve-unknown-fields")
    {
        let detail = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(&path_of_type, detail));
    }
    if is_embedded && !schema["additionalProperties"].is_null() {
        let detail = "must not be used if x-kubernetes-embedded-resource is set";
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), detail));
    }
    if level == Level::Root && !ty.is_empty() && ty != "object" {
        errors.push(FieldError::invalid(&path_of_type, ty, "must be object at the root"));
    }
}

/// What every resource has is implied; a schema may only say what names it wants.
fn metadata(schema: &Value, level: Level, path: &Path, errors: &mut ErrorList) {
    let properties = &schema["properties"];
    let (is_embedded, path_of) =
        (is(schema, "x-kubernetes-embedded-resource"), |name: &str| path.child("properties").key(name));
    let is_resource = level == Level::Root || is_embedded;
    for name in ["kind", "apiVersion"] {
        let ty = text(&properties[name], "type");
        if is_resource && properties[name].is_object() && ty != "string" {
            errors.push(FieldError::invalid(&path_of(name).child("type"), ty, "must be string"));
        }
    }
    if is_resource && let Value::Object(metadata) = &properties["metadata"] {
        let ty = text(&properties["metadata"], "type");
        if ty != "object" {
            errors.push(FieldError::invalid(&path_of("metadata").child("type"), ty, "must be object"));
        }
        let is_allowed = |name: &String| matches!(name.as_str(), "type" | "properties" | "description");
        let named = metadata.get("properties").and_then(Value::as_object).into_iter().flatten();
        let only_names = named.into_iter().all(|(name, _)| matches!(name.as_str(), "name" | "generateName"));
        if level == Level::Root && !(metadata.keys().all(is_allowed) && only_names) {
            let detail =
                "must not specify anything other than name and generateName, but metadata is implicitly specified";
            errors.push(FieldError::forbidden(&path_of("metadata"), detail));
        }
    }
    let is_empty = properties.as_object().is_none_or(serde_json::Map::is_empty);
    if is_embedded && is_empty && !is(schema, "x-kubernetes-preserve-unknown-fields") {
        let detail =
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(&path.child("properties"), detail));
    }
}

/// `anyOf: [{type: integer}, {type: string}]`, the one place where a type may stand below a junctor.
fn is_int_or_string(any_of: &Value) -> bool {
    *any_of == serde_json::json!([{ "type": "integer" }, { "type": "string" }])
}

fn junctors(schema: &Value, path: &Path, errors: &mut ErrorList) {
    let is_loose = is(schema, "x-kubernetes-int-or-string");
    for name in ["anyOf", "allOf", "oneOf"] {
        if is_loose && name == "anyOf" && is_int_or_string(&schema[name]) {
            continue;
        }
        for (index, nested) in schema[name].as_array().into_iter().flatten().enumerate() {
            let path = path.child(name).index(index);
            let is_first = is_loose && name == "allOf" && index == 0 && is_int_or_string(&nested["anyOf"]);
            if !is_first {
                nested_value(nested, &path, errors);
            }
        }
    }
    if schema["not"].is_object() {
        nested_value(&schema["not"], &path.child("not"), errors);
    }
    let pattern = text(schema, "pattern");
    if let Some(why) = go_regex::compile(pattern).err().filter(|_| !pattern.is_empty()) {
        let detail = format!("must be a valid regular expression, but isn't: error parsing regexp: {why}");
        errors.push(FieldError::invalid(&path.child("pattern"), pattern, detail));
    }
}

/// Below a junctor, values may be judged, but nothing may be declared.
fn nested_value(schema: &Value, path: &Path, errors: &mut ErrorList) {
    junctors(schema, path, errors);
    for (name, detail) in [
        ("type", "must be empty to be structural"),
        ("additionalProperties", "must be undefined to be structural"),
        ("default", "must be undefined to be structural"),
        ("title", "must be empty to be structural"),
        ("description", "must be empty to be structural"),
        ("nullable", "must be false to be structural"),
        ("externalDocs", "must be undefined to be structural"),
        ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
        ("x-kubernetes-embedded-resource", "must be false to be structural"),
        ("x-kubernetes-int-or-string", "must be false to be structural"),
        ("x-kubernetes-list-map-keys", "must be empty to be structural"),
        ("x-kubernetes-list-type", "must be undefined to be structural"),
        ("x-kubernetes-map-type", "must be undefined to be structural"),
        ("x-kubernetes-validations", "must be empty to be structural"),
    ] {
        if schema.get(name).is_some_and(|value| !value.is_null() && *value != false && *value != "") {
            errors.push(FieldError::forbidden(&path.child(name), detail));
        }
    }
    if schema["items"].is_object() {
        nested_value(&schema["items"], &path.child("items"), errors);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let path = path.child("properties").key(name);
        if name == "metadata" {
            errors.push(FieldError::forbidden(&path, "must not be specified in a nested context"));
        }
        nested_value(schema, &path, errors);
    }
}

/// What junctors speak of must be declared outside of them: `validateStructuralCompleteness`.
fn complete(schema: &Value, declared: &Value, path: &Path, errors: &mut ErrorList) {
    for name in ["anyOf", "allOf", "oneOf"] {
        for (index, nested) in schema[name].as_array().into_iter().flatten().enumerate() {
            complete_nested(nested, declared, &path.child(name).index(index), path, errors);
        }
    }
    if schema["not"].is_object() {
        complete_nested(&schema["not"], declared, &path.child("not"), path, errors);
    }
    let mut deeper = |steps: &[Step<'_>], schema: &Value| {
        let is_declared = matches!(steps[0], Step::Child("items" | "properties" | "additionalProperties"));
        if is_declared {
            complete(schema, schema, &Step::from(path, steps), errors);
        }
    };
    below(schema, &mut deeper);
}

fn complete_nested(schema: &Value, declared: &Value, path: &Path, spine: &Path, errors: &mut ErrorList) {
    for name in ["anyOf", "allOf", "oneOf"] {
        for (index, nested) in schema[name].as_array().into_iter().flatten().enumerate() {
            complete_nested(nested, declared, &path.child(name).index(index), spine, errors);
        }
    }
    if schema["not"].is_object() {
        complete_nested(&schema["not"], declared, &path.child("not"), spine, errors);
    }
    let missing = |at: &Path| FieldError::required(at, format!("because it is defined in {path}"));
    if schema["items"].is_object() {
        if declared["items"].is_object() {
            complete_nested(&schema["items"], &declared["items"], &path.child("items"), &spine.child("items"), errors);
        } else {
            errors.push(missing(&spine.child("items")));
        }
    }
    for (name, nested) in schema["properties"].as_object().into_iter().flatten() {
        let at = spine.child("properties").key(name);
        let of_field = &declared["properties"][name.as_str()];
        if of_field.is_object() {
            complete_nested(nested, of_field, &path.child("properties").key(name), &at, errors);
        } else {
            errors.push(FieldError::required(
                &at,
                format!("because it is defined in {}", path.child("properties").key(name)),
            ));
        }
    }
}

/// Defaults are values of their schema, without fields that it does not know: `schema/defaulting/validation.go`.
fn defaults(schema: &Value, path: &Path, errors: &mut ErrorList) {
    if let Some(default) = schema.get("default") {
        let path = path.child("default");
        let read = Schema::read(schema);
        let mut holder = serde_json::Map::new();
        holder.insert("default".to_owned(), default.clone());
        let mut wrapper = Schema { ty: "object".to_owned(), ..Schema::NONE };
        wrapper.properties.insert("default".to_owned(), read.clone());
        if !prune::prune(&mut holder, &wrapper).is_empty() {
            errors.push(FieldError::invalid(&path, default.clone(), "must not have unknown fields"));
        }
        for error in by_schema::validate(default, None, &read) {
            let field = if error.field.is_empty() { path.clone() } else { path.child(&error.field) };
            errors.push(FieldError { field: field.as_str().to_owned(), ..error });
        }
    }
    let mut deeper = |steps: &[Step<'_>], schema: &Value| defaults(schema, &Step::from(path, steps), errors);
    below(schema, &mut deeper);
}
