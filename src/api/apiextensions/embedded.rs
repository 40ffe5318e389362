//! Resources within custom resources: `pkg/apiserver/schema/objectmeta/validation.go`.

use serde_json::Value;

use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::structural::Schema;

/// A resource within another says what it is.
pub(super) fn validate(path: &Path, value: &Value, schema: &Schema, errors: &mut ErrorList) {
    match value {
        Value::Object(fields) => {
            if schema.is_embedded {
                for name in ["apiVersion", "kind"] {
                    if fields.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                        errors.push(FieldError::required(&path.child(name), "must not be empty"));
                    }
                }
            }
            for (name, schema) in &schema.properties {
                if let Some(value) = fields.get(name) {
                    validate(&path.child(name), value, schema, errors);
                }
            }
            if let Some(schema) = schema.additional_schema() {
                fields.iter().for_each(|(name, value)| validate(&path.key(name), value, schema, errors));
            }
        }
        Value::Array(items) => {
            let Some(schema) = &schema.items else { return };
            let each = items.iter().enumerate();
            each.for_each(|(index, item)| validate(&path.index(index), item, schema, errors));
        }
        _ => {}
    }
}
