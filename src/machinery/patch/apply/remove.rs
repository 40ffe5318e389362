//! An object without some of its fields and items: `TypedValue.RemoveItems`.

use serde_json::{Map, Value};

use super::element::Element;
use super::set::Set;
use super::typed::{Atom, Relation, TypeRef};

/// The value without what the set names. What nothing is left of becomes null, and so does what is owned whole when
/// something below it is to go.
#[must_use]
pub fn remove(value: &Value, gone: &Set, of: TypeRef) -> Value {
    match of.atom(Some(value)) {
        Atom::Scalar(_) => value.clone(),
        Atom::List(relation, item) => list(value, gone, relation, item),
        Atom::Map { atomic, .. } => {
            let kept = if atomic { Map::new() } else { map(value, gone, of) };
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
    }
}

/// The value without what the set names below it.
fn below(value: &Value, element: &Element, gone: &Set, of: TypeRef) -> Value {
    match gone.child(element) {
        Some(gone) if !gone.is_empty() => remove(value, gone, of),
        _ => value.clone(),
    }
}

fn list(value: &Value, gone: &Set, relation: Relation, of: TypeRef) -> Value {
    if relation.is_atomic() {
        return Value::Null;
    }
    let mut kept = Vec::new();
    for item in value.as_array().into_iter().flatten() {
        match relation.element(item) {
            Ok(element) if gone.has_member(&element) => {}
            Ok(element) => kept.push(below(item, &element, gone, of)),
            Err(_) => kept.push(item.clone()),
        }
    }
    if kept.is_empty() { Value::Null } else { Value::Array(kept) }
}

fn map(value: &Value, gone: &Set, of: TypeRef) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let element = Element::field(name);
        if !gone.has_member(&element) {
            let of = of.field(name).unwrap_or(TypeRef::Deduced);
            kept.insert(name.clone(), below(value, &element, gone, of));
        }
    }
    kept
}
