//! The order of keys in what goes out: Go writes a struct's fields as they are declared, not by name.
//!
//! Clients do not care, but people who read with curl know it: `kind`, `apiVersion`, `metadata` first. Deeper than an
//! object's metadata the order is by name here.

use serde_json::{Map, Value};

/// `TypeMeta` and `ObjectMeta` come before all else.
const OBJECT: &[&str] = &["kind", "apiVersion", "metadata"];
/// `metav1.ObjectMeta` and `metav1.ListMeta`.
const METADATA: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "continue",
    "remainingItemCount",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// Brings an object, a list or a table into Go's order.
pub(super) fn arrange(value: &mut Value) {
    let Some(fields) = value.as_object_mut() else { return };
    first(fields, OBJECT);
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        first(metadata, METADATA);
    }
    if let Some(items) = fields.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(arrange);
    }
    if let Some(rows) = fields.get_mut("rows").and_then(Value::as_array_mut) {
        rows.iter_mut().filter_map(|row| row.get_mut("object")).for_each(arrange);
    }
}

/// Puts these keys first, in this order.
fn first(fields: &mut Map<String, Value>, names: &[&str]) {
    let mut rest = std::mem::take(fields);
    for name in names {
        if let Some((name, value)) = rest.shift_remove_entry(*name) {
            fields.insert(name, value);
        }
    }
    fields.extend(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_look_for_comes_first() {
        let mut list = serde_json::json!({
            "apiVersion": "v1",
            "items": [{ "data": {}, "metadata": { "uid": "1", "labels": {}, "name": "a" } }],
            "kind": "ConfigMapList",
        });
        arrange(&mut list);
        let text = r#"{"kind":"ConfigMapList","apiVersion":"v1","items":[{"metadata":{"name":"a","uid":"1","labels":{}},"data":{}}]}"#;
        assert_eq!(list.to_string(), text);
    }
}
