//! Defaults: `schema/defaulting/algorithm.go`.

use serde_json::{Map, Value};

use super::Schema;

/// Puts in what is missing and has a default.
pub fn fill(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => fill_fields(fields, schema),
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            for item in items {
                fill_null(item, schema);
                fill(item, schema);
            }
        }
        _ => {}
    }
}

/// As [`fill`], of an object.
pub fn fill_fields(fields: &mut Map<String, Value>, schema: &Schema) {
    for (name, schema) in &schema.properties {
        let Some(default) = &schema.default else { continue };
        if fields.get(name).is_none_or(|value| schema.refuses(value)) {
            fields.insert(name.clone(), default.clone());
        }
    }
    for (name, value) in fields {
        if let Some(schema) = schema.field(name) {
            fill_null(value, schema);
            fill(value, schema);
        }
    }
}

fn fill_null(value: &mut Value, schema: &Schema) {
    if schema.refuses(value)
        && let Some(default) = &schema.default
    {
        *value = default.clone();
    }
}
