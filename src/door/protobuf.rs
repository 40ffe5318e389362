//! Protobuf bodies, as far as kubectl sends them: what `kubectl create` makes from flags, evictions and delete options.
//!
//! kubectl's typed clients write Protobuf and know no way back to JSON; everything else that it sends is JSON. What the
//! tables do not know is refused, never dropped. By the same tables objects are written for clients that accept nothing
//! else.

mod tables;
mod write;

use serde_json::{Map, Value, json};

use crate::machinery::base64;
use crate::machinery::time::Time;

use tables::Type::{Bool, Int, IntOrString, Message, Messages, Quantity, SomeBool, SomeInt, Text, Texts};
use tables::{Field, Type, UNKNOWN, fields_of};

/// What every Kubernetes Protobuf body begins with; a `runtime.Unknown` follows.
const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may lie in one another.
const DEPTH_MAX: u32 = 32;

/// Reads a body; nothing when it is none, or holds what is not known here.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let unknown = message(UNKNOWN, body.strip_prefix(MAGIC)?, 0)?;
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let (version, kind) = (text(&unknown["typeMeta"]["apiVersion"]), text(&unknown["typeMeta"]["kind"]));
    let raw = base64::decode(&text(&unknown["raw"])).ok()?;
    let mut value = json!({ "kind": kind, "apiVersion": version });
    for (name, field) in message(fields_of(&version, &kind)?, &raw, 0)?.as_object()? {
        value[name] = field.clone();
    }
    Some(value)
}

pub(super) use write::{bytes as put_bytes, number as put_number, write};

/// The value of a field on the wire.
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes a number in base 128.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(bytes)?;
    let wire = match key & 7 {
        0 => Wire::Number(varint(bytes)?),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Wire::Bytes(taken)
        }
        _ => return None,
    };
    Some((key >> 3, wire))
}

fn message(fields: &[Field], mut bytes: &[u8], depth: u32) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut object = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = take(&mut bytes)?;
        let Field(_, name, ty) = fields.iter().find(|field| field.0 == number)?;
        match ty {
            Texts | Messages(_) => {
                let item = value(ty, &wire, depth)?;
                let list = object.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut()?.push(item);
            }
            Type::Map(held) => {
                let (key, item) = entry(held, &wire, depth)?;
                let map = object.entry(*name).or_insert_with(|| Value::Object(Map::new()));
                map.as_object_mut()?.insert(key, item);
            }
            Type::Inline(_) => {
                if let Value::Object(fields) = value(ty, &wire, depth)? {
                    object.extend(fields);
                }
            }
            _ => {
                let read = value(ty, &wire, depth)?;
                if !is_left_out(ty, &read) {
                    object.insert((*name).to_owned(), read);
                }
            }
        }
    }
    Some(Value::Object(object))
}

/// Whether JSON leaves a plain field of this value out.
fn is_left_out(ty: &Type, value: &Value) -> bool {
    match ty {
        Text => value == "",
        Int => *value == 0,
        Bool => *value == false,
        Type::Time => value.is_null(),
        _ => false,
    }
}

fn entry(held: &Type, wire: &Wire<'_>, depth: u32) -> Option<(String, Value)> {
    let Wire::Bytes(mut bytes) = *wire else { return None };
    let (mut key, mut item) = (String::new(), None);
    while !bytes.is_empty() {
        match take(&mut bytes)? {
            (1, Wire::Bytes(text)) => key = std::str::from_utf8(text).ok()?.to_owned(),
            (2, wire) => item = Some(value(held, &wire, depth)?),
            _ => return None,
        }
    }
    Some((key, item.unwrap_or_else(|| "".into())))
}

/// A single value.
fn value(ty: &Type, wire: &Wire<'_>, depth: u32) -> Option<Value> {
    Some(match (ty, wire) {
        (Text | Texts, Wire::Bytes(bytes)) => std::str::from_utf8(bytes).ok()?.into(),
        // Negative numbers come as the two's complement of 64 bits.
        (Int | SomeInt, Wire::Number(number)) => number.cast_signed().into(),
        (Bool | SomeBool, Wire::Number(number)) => (*number != 0).into(),
        (Type::Bytes, Wire::Bytes(bytes)) => base64::encode(bytes).into(),
        (Message(fields) | Messages(fields) | Type::Inline(fields), Wire::Bytes(bytes)) => {
            message(fields, bytes, depth + 1)?
        }
        (Type::Items, Wire::Bytes(bytes)) => message(&[Field(1, "items", Texts)], bytes, depth + 1)?["items"].take(),
        (Quantity, Wire::Bytes(bytes)) => match &message(&[Field(1, "string", Text)], bytes, depth + 1)?["string"] {
            Value::Null => "0".into(),
            text => text.clone(),
        },
        (IntOrString, Wire::Bytes(bytes)) => {
            let fields = [Field(1, "type", Int), Field(2, "number", Int), Field(3, "text", Text)];
            let read = message(&fields, bytes, depth + 1)?;
            if read["type"] == 1 {
                read["text"].as_str().unwrap_or("").into()
            } else {
                read["number"].as_i64().unwrap_or(0).into()
            }
        }
        (Type::Json, Wire::Bytes(bytes)) => {
            let raw = message(&[Field(1, "raw", Type::Bytes)], bytes, depth + 1)?;
            let raw = base64::decode(raw["raw"].as_str().unwrap_or("")).ok()?;
            serde_json::from_slice(&raw).ok()?
        }
        (Type::Time, Wire::Bytes([])) => Value::Null,
        (Type::Time, Wire::Bytes(bytes)) => {
            let read = message(&[Field(1, "seconds", Int), Field(2, "nanos", Int)], bytes, depth + 1)?;
            let seconds = u64::try_from(read["seconds"].as_i64().unwrap_or(0)).ok()?;
            Time::from_micros(seconds.checked_mul(1_000_000)?).to_rfc3339().into()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("a short test");
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), field(1, &meta), field(2, raw), field(3, b""), field(4, b"")].concat()
    }

    #[test]
    fn what_kubectl_create_sends_is_read() {
        let metadata = [field(1, b"a"), field(2, b""), field(8, b""), vec![7 << 3, 0]].concat();
        let data = [field(1, b"key"), field(2, b"value")].concat();
        let raw = [field(1, &metadata), field(2, &data)].concat();
        assert_eq!(
            read(&body("v1", "ConfigMap", &raw)),
            Some(json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"key": "value"}}))
        );
        let port = [vec![3 << 3, 80], field(4, &[vec![1 << 3, 1], field(3, b"http")].concat())].concat();
        let raw = field(2, &field(1, &port));
        assert_eq!(
            read(&body("v1", "Service", &raw)).map(|value| value["spec"].clone()),
            Some(json!({"ports": [{"port": 80, "targetPort": "http"}]}))
        );
        let raw = field(2, &[1 << 3, 0, 5 << 3, 0]);
        assert_eq!(
            read(&body("apps/v1", "Deployment", &raw)).map(|value| value["spec"].clone()),
            Some(json!({"replicas": 0})),
        );
    }

    #[test]
    fn what_is_not_known_or_broken_is_refused() {
        let good = body("v1", "ConfigMap", &field(1, &field(1, b"a")));
        assert!(read(&good).is_some());
        // Cut between two fields it is a smaller message, anywhere else it is none.
        for length in 0..good.len() - 4 {
            assert_ne!(read(&good[..length]), read(&good), "{length}");
        }
        assert_eq!(read(&good[..good.len() - 5]), None);
        assert_eq!(read(&body("v1", "ConfigMap", &field(9, b"new"))), None);
        assert_eq!(read(&body("v1", "Pod", b"")), None);
        assert_eq!(read(&body("v1", "ConfigMap", &[0xff; 20])), None);
    }
}
