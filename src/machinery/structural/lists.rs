//! The items of sets and maps, of which each may be there once: `schema/listtype/validation.go`.

use serde_json::{Map, Value};

use super::{ListType, Schema};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::patch::apply::equal;

/// The items that are there more than once.
pub fn validate(path: &Path, value: &Value, schema: &Schema, errors: &mut ErrorList) {
    match value {
        Value::Array(items) => {
            duplicates(path, items, schema, errors);
            if let Some(schema) = &schema.items {
                let each = items.iter().enumerate();
                each.for_each(|(index, item)| validate(&path.index(index), item, schema, errors));
            }
        }
        Value::Object(fields) => validate_fields(path, fields, schema, errors),
        _ => {}
    }
}

/// As [`validate`], of an object.
pub fn validate_fields(path: &Path, fields: &Map<String, Value>, schema: &Schema, errors: &mut ErrorList) {
    for (name, value) in fields {
        match schema.properties.get(name) {
            Some(schema) => validate(&path.child(name), value, schema, errors),
            None => {
                let schema = schema.additional_schema().filter(|_| schema.properties.is_empty());
                schema.into_iter().for_each(|schema| validate(&path.key(name), value, schema, errors));
            }
        }
    }
}

fn duplicates(path: &Path, items: &[Value], schema: &Schema, errors: &mut ErrorList) {
    let names: Vec<Option<Value>> = match &schema.list {
        ListType::Atomic => return,
        ListType::Set => items.iter().cloned().map(Some).collect(),
        ListType::Map(keys) => {
            let key_of = |item: &Value| {
                let fields = item.as_object()?;
                let value = |name: &str| fields.get(name).cloned();
                Some(keys.iter().filter_map(|key| Some((key.clone(), value(key)?))).collect())
            };
            items.iter().map(|item| key_of(item).map(Value::Object)).collect()
        }
    };
    for (index, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        let is_same = |other: &Option<Value>| other.as_ref().is_some_and(|other| equal(other, name));
        // The second is told, but not the third.
        if names[..index].iter().filter(|other| is_same(other)).count() == 1 {
            errors.push(FieldError::duplicate(&path.index(index), name.clone()));
        }
    }
}
