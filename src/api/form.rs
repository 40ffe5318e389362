//! The one JSON form that an object has after Go decoded and encoded it.
//!
//! The API server's types drop empty lists, maps and texts that may be left out, write structs that have no pointer
//! even when they are empty (`status: {}`) and print quantities in canonical form. [`tidy`] brings a manifest into that
//! form before it is read, [`encode`] does the same for the way out.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::machinery::quantity::Quantity;
use crate::machinery::schema::{Custom, Field, Struct, Type};

use super::check::json;
use super::kind::Kind;
use super::object::Object;

/// Whether a value comes from a client or goes to one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Empty maps stay: validation tells them from missing ones.
    In,
    /// Empty maps go.
    Out,
}

/// Brings a manifest of `kind` into the form that Go's decoder and encoder leave. Unknown fields stay.
pub fn tidy(kind: Kind, value: &mut Value) {
    convert(kind, value, Direction::In);
    // The types cannot tell a selector that is empty from one that is missing, but validation can.
    if matches!(kind, Kind::DaemonSet | Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet)
        && let Some(Value::Object(selector)) = value.pointer_mut("/spec/selector")
        && selector.is_empty()
    {
        selector.insert("matchLabels".to_owned(), Value::Object(Map::new()));
    }
}

fn convert(kind: Kind, value: &mut Value, direction: Direction) {
    if let (Some(fields), Value::Object(map)) = (kind.schema(), value) {
        tidy_struct(fields, map, direction);
    }
}

/// The object as the API server sends it.
#[must_use]
pub fn encode(object: &Object) -> Value {
    let mut value = object.to_value();
    convert(object.kind(), &mut value, Direction::Out);
    write_nulls(object.kind(), &mut value);
    value
}

/// `apiequality.Semantic.DeepEqual`: empty and missing are the same, and so are quantities of one value.
pub(crate) fn semantic_equal<T: PartialEq + Serialize>(a: &T, b: &T) -> bool {
    a == b || without_empty(&json(a)) == without_empty(&json(b))
}

/// The value without what is empty, so that it compares as Go's types do. Quantities are in canonical form already.
fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        // An empty struct behind a pointer is not the same as none.
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => false,
    };
    match value {
        Value::Array(items) => items.iter().map(without_empty).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), without_empty(value)))
            .filter(|(_, value)| !is_empty(value))
            .collect(),
        other => other.clone(),
    }
}

fn tidy_struct(fields: &Struct, map: &mut Map<String, Value>, direction: Direction) {
    map.retain(|name, value| {
        let Some(field) = fields.field(name) else { return true };
        if value.is_null() {
            let absent = when_absent(&field.ty, field.required);
            return absent.map(|absent| *value = absent).is_some();
        }
        tidy_value(&field.ty, value, direction);
        field.required || !is_zero(&field.ty, value, direction)
    });
    // Structs have many fields, and few that are written when they were never set.
    for field in fields.fields().iter().filter(|field| may_be_written_when_absent(field)) {
        if !map.contains_key(field.name)
            && let Some(value) = when_absent(&field.ty, field.required)
        {
            map.insert(field.name.to_owned(), value);
        }
    }
}

fn may_be_written_when_absent(field: &Field) -> bool {
    field.required || matches!(field.ty, Type::Struct(_) | Type::Custom(Custom::Quantity | Custom::IntOrString))
}

/// What Go writes for a field that was never set; `None` when it writes nothing.
fn when_absent(ty: &Type, required: bool) -> Option<Value> {
    match ty {
        Type::Struct(reference) => {
            let mut map = Map::new();
            tidy_struct(reference.get(), &mut map, Direction::Out);
            Some(Value::Object(map))
        }
        Type::Custom(Custom::Quantity) => Some("0".into()),
        Type::Custom(Custom::IntOrString) => Some(0.into()),
        _ if !required => None,
        Type::Bool => Some(false.into()),
        Type::Int32 | Type::Int64 => Some(0.into()),
        Type::String(_) => Some("".into()),
        _ => None,
    }
}

fn tidy_value(ty: &Type, value: &mut Value, direction: Direction) {
    match ty.underlying() {
        Type::Struct(reference) => {
            if let Value::Object(map) = value {
                tidy_struct(reference.get(), map, direction);
            }
        }
        Type::List(item) => {
            value.as_array_mut().into_iter().flatten().for_each(|entry| tidy_entry(item, entry, direction));
        }
        Type::Map(_, item) => {
            value.as_object_mut().into_iter().flatten().for_each(|(_, entry)| tidy_entry(item, entry, direction));
        }
        Type::Custom(Custom::Quantity) => {
            if let Ok(quantity) = Quantity::parse_json(value) {
                *value = quantity.to_string().into();
            }
        }
        _ => {}
    }
}

/// An item of a list or a map: `null` is the zero value.
fn tidy_entry(ty: &Type, value: &mut Value, direction: Direction) {
    if value.is_null() {
        if let Some(zero) = when_absent(ty, true) {
            *value = zero;
        }
    } else {
        tidy_value(ty, value, direction);
    }
}

/// Whether Go's `omitempty` leaves the value out. A pointer to a zero value is not empty, but a list is.
fn is_zero(ty: &Type, value: &Value, direction: Direction) -> bool {
    match (ty, value) {
        (Type::Named(_, _, inner), value) => is_zero(inner, value, direction),
        (Type::List(_), Value::Array(items)) => items.is_empty(),
        (Type::Map(..), Value::Object(map)) => map.is_empty() && direction == Direction::Out,
        (Type::String(_) | Type::Bytes, Value::String(text)) => text.is_empty(),
        (Type::Bool, Value::Bool(value)) => !value,
        (Type::Int32 | Type::Int64, Value::Number(number)) => number.as_i64() == Some(0),
        _ => false,
    }
}

/// Fields that Go writes as `null`: times without a pointer, and lists that are always written.
fn write_nulls(kind: Kind, value: &mut Value) {
    let null_if_missing = |value: &mut Value, fields: &[&str]| {
        for field in fields {
            if value.get(field).is_none_or(|value| value.as_array().is_some_and(Vec::is_empty)) {
                value[*field] = Value::Null;
            }
        }
    };
    match kind {
        Kind::Event => null_if_missing(value, &["eventTime", "firstTimestamp", "lastTimestamp"]),
        Kind::ClusterRole | Kind::Role => null_if_missing(value, &["rules"]),
        Kind::EndpointSlice => null_if_missing(value, &["endpoints", "ports"]),
        Kind::PersistentVolumeClaim => {
            for field in ["dataSource", "dataSourceRef"] {
                let source = value.get_mut("spec").and_then(|spec| spec.get_mut(field));
                source.into_iter().for_each(|source| null_if_missing(source, &["apiGroup"]));
            }
        }
        Kind::CSINode => {
            let spec = value.get_mut("spec");
            spec.into_iter().for_each(|spec| null_if_missing(spec, &["drivers"]));
            let drivers = value.pointer_mut("/spec/drivers").and_then(Value::as_array_mut);
            drivers.into_iter().flatten().for_each(|driver| null_if_missing(driver, &["topologyKeys"]));
        }
        Kind::CustomResourceDefinition => {
            null_if_missing(&mut value["status"], &["conditions", "storedVersions"]);
        }
        Kind::HorizontalPodAutoscaler => null_if_missing(&mut value["status"], &["currentMetrics"]),
        Kind::Pod => {
            let conditions = value.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
            conditions.into_iter().flatten().for_each(|condition| null_if_missing(condition, &["lastProbeTime"]));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_takes_the_form_that_go_gives_it() {
        let mut value = json!({
            "metadata": {"name": "p", "labels": {}, "annotations": {"a": null}},
            "spec": {
                "containers": [{
                    "name": "c",
                    "command": [],
                    "tty": false,
                    "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}},
                }],
                "hostname": "",
                "automountServiceAccountToken": false,
                "volumes": null,
            },
        });
        tidy(Kind::Pod, &mut value);
        expect![[r#"{"metadata":{"name":"p","labels":{},"annotations":{"a":""}},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"500m","memory":"1Gi"}}}],"automountServiceAccountToken":false},"status":{}}"#]]
            .assert_eq(&value.to_string());
    }
}
