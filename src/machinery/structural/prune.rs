//! Fields that a schema does not know: `schema/pruning/algorithm.go`, and nulls where there may be none:
//! `schema/defaulting/prune.go`.

use serde_json::{Map, Value};

use super::Schema;

/// Fields that every resource has, whatever its schema says.
const OF_EVERY_RESOURCE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema does not know from a whole resource, and returns the paths of what was dropped, in order.
pub fn prune(resource: &mut Map<String, Value>, schema: &Schema) -> Vec<String> {
    let mut walk = Walk { path: String::new(), dropped: Vec::new() };
    walk.fields(resource, Some(schema), true);
    walk.dropped.sort();
    walk.dropped
}

struct Walk {
    path: String,
    dropped: Vec<String>,
}

impl Walk {
    fn value(&mut self, value: &mut Value, schema: Option<&Schema>) {
        match value {
            Value::Object(fields) => {
                let is_resource = schema.is_some_and(|schema| schema.is_embedded);
                self.fields(fields, schema, is_resource);
            }
            Value::Array(items) => {
                let schema_of_items = schema.and_then(|schema| schema.items.as_deref());
                if schema.is_some_and(|schema| schema.preserves_unknown) && schema_of_items.is_none() {
                    return;
                }
                let length = self.path.len();
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push_str(&format!("[{index}]"));
                    self.value(item, schema_of_items);
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &mut Map<String, Value>, schema: Option<&Schema>, is_resource: bool) {
        let keeps_all = schema.is_some_and(|schema| schema.preserves_unknown);
        let length = self.path.len();
        fields.retain(|name, value| {
            if is_resource && OF_EVERY_RESOURCE.contains(&name.as_str()) {
                return true;
            }
            if length > 0 {
                self.path.push('.');
            }
            self.path.push_str(name);
            let known = schema.and_then(|schema| schema.properties.get(name));
            let others = schema.and_then(|schema| schema.additional.as_ref());
            let keeps = match (known, others) {
                (Some(known), _) => {
                    self.value(value, Some(known));
                    true
                }
                (None, Some(_)) => {
                    self.value(value, schema.and_then(Schema::additional_schema));
                    true
                }
                (None, None) => keeps_all,
            };
            if !keeps {
                self.dropped.push(self.path.clone());
            }
            self.path.truncate(length);
            keeps
        });
    }
}

/// Drops nulls from fields that may not be null, so that a default can take their place.
pub fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(fields) => drop_nulls_of_fields(fields, schema),
        Value::Array(items) => {
            if let Some(schema) = &schema.items {
                items.iter_mut().for_each(|item| drop_nulls(item, schema));
            }
        }
        _ => {}
    }
}

/// As [`drop_nulls`], of an object.
pub fn drop_nulls_of_fields(fields: &mut Map<String, Value>, schema: &Schema) {
    fields.retain(|name, value| {
        let Some(schema) = schema.field(name) else { return true };
        if schema.refuses(value) {
            return false;
        }
        drop_nulls(value, schema);
        true
    });
}
