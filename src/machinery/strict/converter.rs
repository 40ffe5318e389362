//! What upstream's converter says of a map that does not fit its struct: strategic merge patches become objects by it, and
//! not by the decoder of JSON.
//!
//! Follows `runtime.DefaultUnstructuredConverter` of `k8s.io/apimachinery/pkg/runtime/converter.go`.

use serde_json::Value;

use super::custom;
use super::decode::Failure;
use crate::machinery::base64;
use crate::machinery::schema::{Struct, Type};

/// Why a value cannot become an object of a kind; nothing when it can.
#[inline(never)]
pub fn converter_error(kind: &'static Struct, value: &Value) -> Option<String> {
    structure(kind, value).err()
}

/// What Go calls a value of a map that was read from JSON.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

fn structure(kind: &'static Struct, value: &Value) -> Result<(), String> {
    let Value::Object(map) = value else { return Err(format!("cannot restore struct from: {}", kind_of(value))) };
    kind.fields().iter().try_for_each(|field| map.get(field.name).map_or(Ok(()), |value| check(&field.ty, value)))
}

fn check(ty: &Type, value: &Value) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    let simple = |fits: bool| if fits { Ok(()) } else { Err(format!("unrecognized type: {}", simple_name(ty))) };
    match ty.underlying() {
        Type::Bool => simple(value.is_boolean()),
        Type::Int32 | Type::Int64 => simple(value.as_f64().is_some_and(|number| number.fract() == 0.0)),
        Type::Float64 => simple(value.is_number()),
        Type::String(_) => simple(value.is_string()),
        Type::Bytes => match value {
            Value::String(text) => match base64::decode(text) {
                Ok(_) => Ok(()),
                Err(at) => Err(format!("error decoding from json: illegal base64 data at input byte {at}")),
            },
            Value::Array(_) => Ok(()),
            _ => Err(format!("cannot restore slice from {}", kind_of(value))),
        },
        Type::Custom(custom) => custom::decode(*custom, value).map(|_| ()).map_err(|failure| match failure {
            Failure::Text(text) => text,
            Failure::Type { found, ty } => format!("json: cannot unmarshal {found} into Go value of type {ty}"),
        }),
        Type::List(item) => match value {
            Value::Array(items) => items.iter().try_for_each(|value| check(item, value)),
            _ => Err(format!("cannot restore slice from {}", kind_of(value))),
        },
        Type::Map(_, item) => match value {
            Value::Object(map) => map.values().try_for_each(|value| check(item, value)),
            _ => Err(format!("cannot restore map from {}", kind_of(value))),
        },
        Type::Struct(reference) => structure(reference.get(), value),
        // What is underneath is neither a pointer nor a name.
        Type::Pointer(_) | Type::Named(..) => Ok(()),
    }
}

/// A type as `reflect.Kind` calls it.
fn simple_name(ty: &Type) -> &'static str {
    match ty.underlying() {
        Type::Bool => "bool",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float64 => "float64",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::machinery::schema;

    #[test]
    fn wrong_types_are_told_as_the_converter_does() {
        let deployment = schema::lookup("apps/v1", "Deployment").expect("it is built in");
        let told = |spec: Value| converter_error(deployment, &json!({ "spec": spec }));
        assert_eq!(told(json!({ "replicas": 3 })), None);
        for (spec, why) in [
            (json!({ "replicas": "3" }), "unrecognized type: int32"),
            (json!({ "replicas": 1.5 }), "unrecognized type: int32"),
            (json!({ "paused": "yes" }), "unrecognized type: bool"),
            (json!({ "selector": "a" }), "cannot restore struct from: string"),
            (json!({ "selector": { "matchLabels": [] } }), "cannot restore map from slice"),
            (json!({ "selector": { "matchLabels": { "a": 1 } } }), "unrecognized type: string"),
            (json!({ "template": { "spec": { "containers": {} } } }), "cannot restore slice from map"),
        ] {
            assert_eq!(told(spec.clone()).as_deref(), Some(why), "{spec}");
        }
        let secret = schema::lookup("v1", "Secret").expect("it is built in");
        assert_eq!(
            converter_error(secret, &json!({ "data": { "a": "%" } })).as_deref(),
            Some("error decoding from json: illegal base64 data at input byte 0")
        );
    }
}
