//! The other half of Go's encoding: what it writes although nobody set it.

use serde_json::{Map, Value};

use crate::machinery::schema::{Field, Struct, Type};

use super::decode::zero;

/// Adds to an object what Go's encoder writes without being told to: structs that are not behind a pointer (`status:
/// {}`, `resources: {}`), zero values of fields without `omitempty` (`restartCount: 0`), and `null` for lists and
/// maps of that sort (`rules: null`) and for times that are no pointers (`lastProbeTime: null`). The order of the
/// keys that are there is kept.
pub fn fill(kind: &'static Struct, value: &mut Value) {
    if let Value::Object(object) = value {
        fill_struct(kind, object);
    }
}

fn fill_struct(owner: &'static Struct, object: &mut Map<String, Value>) {
    for field in owner.fields() {
        match object.get_mut(field.name) {
            Some(value) => fill_value(&field.ty, value),
            None => {
                if let Some(value) = missing(field) {
                    object.insert(field.name.to_owned(), value);
                }
            }
        }
    }
}

fn fill_value(ty: &Type, value: &mut Value) {
    match (ty.underlying(), value) {
        (Type::Struct(owner), Value::Object(object)) => fill_struct(owner.get(), object),
        (Type::List(item), Value::Array(items)) if item.element().is_some() => {
            items.iter_mut().for_each(|value| fill_value(item, value));
        }
        (Type::Map(_, item), Value::Object(fields)) if item.element().is_some() => {
            fields.values_mut().for_each(|value| fill_value(item, value));
        }
        _ => {}
    }
}

/// What is written for a field that is not there.
fn missing(field: &Field) -> Option<Value> {
    match &field.ty {
        Type::Struct(owner) => {
            let mut object = Map::new();
            fill_struct(owner.get(), &mut object);
            Some(Value::Object(object))
        }
        Type::Custom(_) => Some(zero(&field.ty)),
        Type::Pointer(_) | Type::List(_) | Type::Map(..) | Type::Named(..) if field.required => Some(Value::Null),
        Type::Pointer(_) | Type::List(_) | Type::Map(..) | Type::Named(..) => None,
        _ if field.required => Some(zero(&field.ty)),
        _ => None,
    }
}
