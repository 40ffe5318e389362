//! What the parts of a schema may say, its lists, its maps and its rules:
//! `ValidateCustomResourceDefinitionOpenAPISchema`.

use serde_json::{Value, json};

use super::{Step, below};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::structural::{Rule, Schema, rules};

/// The types of OpenAPI.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
/// What sort of error a broken rule may be.
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// The longest message of a rule.
const MESSAGE_LETTERS_MAX: usize = 2048;

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or("")
}

/// Everything that is wrong with a schema and those below it.
pub(super) fn validate_schema(schema: &Value, path: &Path, errors: &mut ErrorList) {
    validate_within(schema, path, None, errors);
}

/// As [`validate_schema`]; `changing` is the outermost list around it whose items cannot be told apart, so that there is no
/// telling what they were.
fn validate_within(schema: &Value, path: &Path, changing: Option<&Path>, errors: &mut ErrorList) {
    standard(schema, path, errors);
    if schema["uniqueItems"] == true {
        let detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.push(FieldError::forbidden(&path.child("uniqueItems"), detail));
    }
    let additional = &schema["additionalProperties"];
    let has_properties = schema["properties"].as_object().is_some_and(|properties| !properties.is_empty());
    if has_properties && (additional.is_object() || *additional == false) {
        let detail = "additionalProperties and properties are mutual exclusive";
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), detail));
    }
    let is_list = text(schema, "type") == "array" && schema["x-kubernetes-list-type"] != "map";
    let mut deeper = |steps: &[Step<'_>], below: &Value| {
        let is_item = matches!(steps[0], Step::Child("items")) && is_list;
        let changing = changing.or(Some(path).filter(|_| is_item || schema["x-kubernetes-map-type"] == "atomic"));
        validate_within(below, &Step::from(path, steps), changing, errors);
    };
    below(schema, &mut deeper);
    if schema["x-kubernetes-preserve-unknown-fields"] == false {
        let path = path.child("x-kubernetes-preserve-unknown-fields");
        errors.push(FieldError::invalid(&path, false, "must be true or undefined"));
    }
    validate_list(schema, path, errors);
    validate_map(schema, path, errors);
    validate_rules(schema, path, changing, errors);
}

/// What OpenAPI knows and structural schemas do not: `specStandardValidatorV3`.
fn standard(schema: &Value, path: &Path, errors: &mut ErrorList) {
    for name in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if schema.get(name).is_some_and(|value| !value.is_null()) {
            errors.push(FieldError::forbidden(&path.child(name), format!("{name} is not supported")));
        }
    }
    let ty = text(schema, "type");
    if ty == "null" {
        let detail = "type cannot be set to null, use nullable as an alternative";
        errors.push(FieldError::forbidden(&path.child("type"), detail));
    } else if !ty.is_empty() && !TYPES.contains(&ty) {
        errors.push(FieldError::not_supported(&path.child("type"), ty, &TYPES));
    }
    if schema["items"].is_array() {
        let detail = "items must be a schema object and not an array";
        errors.push(FieldError::forbidden(&path.child("items"), detail));
    }
}

/// A type must be another where an extension stands.
fn must_be(schema: &Value, wanted: &str, extension: &str, path: &Path, errors: &mut ErrorList) {
    let (ty, path) = (text(schema, "type"), path.child("type"));
    let detail = format!("must be {wanted} if {extension} is specified");
    if ty.is_empty() {
        errors.push(FieldError::required(&path, detail));
    } else if ty != wanted {
        errors.push(FieldError::invalid(&path, ty, detail));
    }
}

fn validate_map(schema: &Value, path: &Path, errors: &mut ErrorList) {
    const MAP_TYPE: &str = "x-kubernetes-map-type";
    let Some(map_type) = schema[MAP_TYPE].as_str() else { return };
    must_be(schema, "object", MAP_TYPE, path, errors);
    if !matches!(map_type, "atomic" | "granular") {
        errors.push(FieldError::not_supported(&path.child(MAP_TYPE), map_type, &["atomic", "granular"]));
    }
}

fn validate_list(schema: &Value, path: &Path, errors: &mut ErrorList) {
    const LIST_TYPE: &str = "x-kubernetes-list-type";
    const KEYS: &str = "x-kubernetes-list-map-keys";
    let list_type = schema[LIST_TYPE].as_str();
    let keys = schema[KEYS].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(list_type) = list_type {
        must_be(schema, "array", LIST_TYPE, path, errors);
        if !matches!(list_type, "atomic" | "set" | "map") {
            errors.push(FieldError::not_supported(&path.child(LIST_TYPE), list_type, &["atomic", "set", "map"]));
        }
    }
    if !keys.is_empty() && list_type != Some("map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        let path = path.child(LIST_TYPE);
        errors.push(match list_type {
            None => FieldError::required(&path, detail),
            Some(other) => FieldError::invalid(&path, other, detail),
        });
    }
    match list_type {
        Some("map") => validate_keys(schema, keys, path, errors),
        Some("set") => validate_set(&schema["items"], &path.child("items"), errors),
        _ => {}
    }
}

/// The items of a set are compared as a whole.
fn validate_set(items: &Value, path: &Path, errors: &mut ErrorList) {
    let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
    for (ty, extension) in [("object", "x-kubernetes-map-type"), ("array", "x-kubernetes-list-type")] {
        let said = items[extension].as_str();
        let is_divided =
            if ty == "object" { said != Some("atomic") } else { said.is_some_and(|said| said != "atomic") };
        if text(items, "type") == ty && is_divided {
            let path = path.child(extension);
            errors.push(match said {
                None => FieldError::required(&path, detail),
                Some(said) => FieldError::invalid(&path, said, detail),
            });
        }
    }
    if items["nullable"] == true {
        let detail = "cannot be nullable when x-kubernetes-list-type is set";
        errors.push(FieldError::forbidden(&path.child("nullable"), detail));
    }
}

fn validate_keys(schema: &Value, keys: &[Value], path: &Path, errors: &mut ErrorList) {
    let (items, path_of_items) = (&schema["items"], path.child("items"));
    let path_of_keys = path.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&path_of_keys, "must not be empty if x-kubernetes-list-type is map"));
    }
    if !items.is_object() {
        return errors
            .push(FieldError::required(&path_of_items, "must have a schema if x-kubernetes-list-type is map"));
    }
    if text(items, "type") != "object" {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(FieldError::invalid(&path_of_items.child("type"), text(items, "type"), detail));
    }
    if items["nullable"] == true {
        let detail = "cannot be nullable when x-kubernetes-list-type is map";
        errors.push(FieldError::forbidden(&path_of_items.child("nullable"), detail));
    }
    for (index, key) in keys.iter().enumerate() {
        let name = key.as_str().unwrap_or("");
        let (field, path_of_field) = (&items["properties"][name], path_of_items.child("properties").key(name));
        let ty = text(field, "type");
        if !field.is_object() {
            errors.push(FieldError::invalid(
                &path_of_keys,
                json!(keys),
                "entries must all be names of item properties",
            ));
        } else if matches!(ty, "array" | "object") {
            let detail = "must be a scalar type if parent array's x-kubernetes-list-type is map";
            errors.push(FieldError::invalid(&path_of_field.child("type"), ty, detail));
        }
        if keys[..index].contains(key) {
            errors.push(FieldError::invalid(&path_of_keys, json!(keys), "must not contain duplicate entries"));
        }
        let is_required = items["required"].as_array().is_some_and(|required| required.contains(key));
        if field.is_object() && !is_required && field.get("default").is_none() {
            let detail =
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property";
            errors.push(FieldError::required(&path_of_field.child("default"), detail));
        }
    }
}

fn validate_rules(schema: &Value, path: &Path, changing: Option<&Path>, errors: &mut ErrorList) {
    let list = schema["x-kubernetes-validations"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        return;
    }
    let (read, path) = (Schema::read(schema), path.child("x-kubernetes-validations"));
    for (index, rule) in list.iter().enumerate() {
        validate_rule(rule, schema, &path.index(index), errors);
    }
    for (index, rule) in list.iter().enumerate().filter(|(_, rule)| !text(rule, "rule").trim().is_empty()) {
        let path = path.index(index);
        match Rule::compile(text(rule, "rule"), "bool", &read) {
            Err(why) => errors.push(FieldError::invalid(&path.child("rule"), shown(rule), why)),
            Ok(program) => validate_transition(rule, program.refers_to("oldSelf"), &path, changing, errors),
        }
        let message = text(rule, "messageExpression");
        if let Err(why) = Rule::compile(message, "string", &read).map_err(|why| format!("messageExpression {why}"))
            && !message.trim().is_empty()
        {
            errors.push(FieldError::invalid(&path.child("messageExpression"), shown(rule), why));
        }
    }
}

/// A rule may only look at what its value was where that can be told.
fn validate_transition(
    rule: &Value,
    is_transition: bool,
    path: &Path,
    changing: Option<&Path>,
    errors: &mut ErrorList,
) {
    match (is_transition, changing) {
        (true, Some(list)) => {
            let detail = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
            errors.push(FieldError::invalid(&path.child("rule"), text(rule, "rule"), detail));
        }
        (false, _) if !rule["optionalOldSelf"].is_null() => {
            let detail = "may not be set if oldSelf is not used in rule";
            errors.push(FieldError::invalid(&path.child("optionalOldSelf"), rule["optionalOldSelf"].clone(), detail));
        }
        _ => {}
    }
}

/// A rule in the internal form, as an error shows it.
fn shown(rule: &Value) -> Value {
    json!({
        "Rule": text(rule, "rule"),
        "Message": text(rule, "message"),
        "MessageExpression": text(rule, "messageExpression"),
        "Reason": rule["reason"],
        "FieldPath": text(rule, "fieldPath"),
        "OptionalOldSelf": rule["optionalOldSelf"],
    })
}

fn validate_rule(rule: &Value, schema: &Value, path: &Path, errors: &mut ErrorList) {
    let (expression, message) = (text(rule, "rule").trim(), text(rule, "message"));
    let at_message = path.child("message");
    if expression.is_empty() {
        errors.push(FieldError::required(&path.child("rule"), "rule is not specified"));
    }
    if !message.is_empty() && message.trim().is_empty() {
        errors.push(FieldError::invalid(&at_message, message, "message must be non-empty if specified"));
    } else if message.trim().len() > MESSAGE_LETTERS_MAX {
        let start: String = message.chars().take(10).collect();
        let detail = format!("message must have a maximum length of {MESSAGE_LETTERS_MAX} characters");
        errors.push(FieldError::invalid(&at_message, format!("{start}..."), detail));
    } else if message.trim().contains('\n') {
        errors.push(FieldError::invalid(&at_message, message, "message must not contain line breaks"));
    } else if expression.contains('\n') && message.trim().is_empty() {
        errors.push(FieldError::required(&at_message, "message must be specified if rule contains line breaks"));
    }
    let message = text(rule, "messageExpression");
    if !message.is_empty() && message.trim().is_empty() {
        let detail = "messageExpression must be non-empty if specified";
        errors.push(FieldError::required(&path.child("messageExpression"), detail));
    }
    if let Some(reason) = rule["reason"].as_str().filter(|reason| !REASONS.contains(reason)) {
        errors.push(FieldError::not_supported(&path.child("reason"), reason, &REASONS));
    }
    let field = text(rule, "fieldPath");
    if field.is_empty() {
        return;
    }
    let path = path.child("fieldPath");
    if field.trim().is_empty() {
        errors.push(FieldError::invalid(&path, field, "fieldPath must be non-empty if specified"));
    } else if field.contains('\n') {
        errors.push(FieldError::invalid(&path, field, "fieldPath must not contain line breaks"));
    } else if let Err(why) = rules::field_path(field, &Schema::read(schema)) {
        errors.push(FieldError::invalid(&path, field, format!("fieldPath must be a valid path: {why}")));
    }
}
