//! Objects as Protobuf, by the tables by which bodies are read.

use serde_json::{Map, Value};

use super::tables::Type::{Bool, Int, IntOrString, Message, Messages, Quantity, SomeBool, SomeInt, Text, Texts};
use super::tables::{Field, Type, fields_of};
use super::{DEPTH_MAX, MAGIC};
use crate::machinery::base64;
use crate::machinery::time::Time;

/// An object or a refusal as a body; nothing when the tables do not know all that is in it.
pub(in crate::door) fn write(value: &Value) -> Option<Vec<u8>> {
    let text = |field: &str| value[field].as_str().unwrap_or("");
    let (version, kind) = (text("apiVersion"), text("kind"));
    let mut fields = value.as_object()?.clone();
    fields.shift_remove("apiVersion");
    fields.shift_remove("kind");
    let raw = message(fields_of(version, kind)?, &fields, 0)?;
    let mut meta = Vec::new();
    bytes(&mut meta, 1, version.as_bytes());
    bytes(&mut meta, 2, kind.as_bytes());
    let mut body = MAGIC.to_vec();
    bytes(&mut body, 1, &meta);
    bytes(&mut body, 2, &raw);
    bytes(&mut body, 3, b"");
    bytes(&mut body, 4, b"");
    Some(body)
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

pub(in crate::door) fn bytes(out: &mut Vec<u8>, field: u64, content: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, content.len() as u64);
    out.extend(content);
}

pub(in crate::door) fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn message(fields: &[Field], object: &Map<String, Value>, depth: u32) -> Option<Vec<u8>> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut left: Map<String, Value> = object.clone();
    let mut out = Vec::new();
    for Field(at, name, ty) in fields {
        if let Type::Inline(inner) = ty {
            let own: Map<String, Value> = inner.iter().filter_map(|field| left.shift_remove_entry(field.1)).collect();
            if !own.is_empty() {
                bytes(&mut out, *at, &message(inner, &own, depth + 1)?);
            }
            continue;
        }
        match left.shift_remove(*name) {
            None | Some(Value::Null) => {}
            Some(Value::Array(items)) if matches!(ty, Texts | Messages(_)) => {
                items.iter().try_for_each(|item| field(&mut out, *at, ty, item, depth))?;
            }
            Some(Value::Object(entries)) if matches!(ty, Type::Map(_)) => {
                let Type::Map(held) = ty else { return None };
                for (key, item) in &entries {
                    let mut entry = Vec::new();
                    bytes(&mut entry, 1, key.as_bytes());
                    field(&mut entry, 2, held, item, depth)?;
                    bytes(&mut out, *at, &entry);
                }
            }
            Some(value) => field(&mut out, *at, ty, &value, depth)?,
        }
    }
    left.is_empty().then_some(out)
}

/// Writes a single value.
fn field(out: &mut Vec<u8>, at: u64, ty: &Type, value: &Value, depth: u32) -> Option<()> {
    match ty {
        Text | Texts => bytes(out, at, value.as_str()?.as_bytes()),
        Int | SomeInt => number(out, at, value.as_i64()?.cast_unsigned()),
        Bool | SomeBool => number(out, at, u64::from(value.as_bool()?)),
        Type::Bytes => bytes(out, at, &base64::decode(value.as_str()?).ok()?),
        Message(fields) | Messages(fields) | Type::Inline(fields) => {
            bytes(out, at, &message(fields, value.as_object()?, depth + 1)?);
        }
        Type::Items => {
            let mut inner = Vec::new();
            value.as_array()?.iter().try_for_each(|item| {
                bytes(&mut inner, 1, item.as_str()?.as_bytes());
                Some(())
            })?;
            bytes(out, at, &inner);
        }
        Type::Json => {
            let mut inner = Vec::new();
            bytes(&mut inner, 1, value.to_string().as_bytes());
            bytes(out, at, &inner);
        }
        Quantity => {
            let mut inner = Vec::new();
            bytes(&mut inner, 1, value.as_str()?.as_bytes());
            bytes(out, at, &inner);
        }
        IntOrString => {
            let mut inner = Vec::new();
            number(&mut inner, 1, u64::from(value.is_string()));
            number(&mut inner, 2, value.as_i64().unwrap_or(0).cast_unsigned());
            bytes(&mut inner, 3, value.as_str().unwrap_or("").as_bytes());
            bytes(out, at, &inner);
        }
        Type::Time => {
            let mut inner = Vec::new();
            number(&mut inner, 1, Time::parse(value.as_str()?)?.as_secs());
            number(&mut inner, 2, 0);
            bytes(out, at, &inner);
        }
        Type::Map(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::door::protobuf::read;

    #[test]
    fn what_is_written_reads_as_the_same() {
        for value in [
            json!({ "kind": "Namespace", "apiVersion": "v1", "metadata": {
                "name": "a", "uid": "u", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": { "x": "y", "z": "" },
                "managedFields": [{ "manager": "m", "operation": "Update", "fieldsV1": { "f:metadata": { "f:labels": {} } } }],
            }, "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } }),
            json!({ "kind": "Secret", "apiVersion": "v1", "metadata": { "name": "s" }, "data": { "k": "AAEC" }, "type": "Opaque" }),
            json!({ "kind": "Service", "apiVersion": "v1", "metadata": { "name": "s" }, "spec": {
                "ports": [{ "port": 80, "targetPort": "http" }, { "port": 300, "targetPort": 70 }], "clusterIP": "None",
            } }),
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 404, "details": {
                "name": "x", "causes": [{ "reason": "r", "message": "m", "field": "f" }],
            } }),
        ] {
            let body = write(&value).expect("the tables know it");
            assert!(body.starts_with(MAGIC));
            assert_eq!(read(&body).as_ref(), Some(&value));
        }
        assert_eq!(write(&json!({ "kind": "Pod", "apiVersion": "v1" })), None);
        assert_eq!(write(&json!({ "kind": "Secret", "apiVersion": "v1", "unknown": 1 })), None);
    }
}
