//! The fields and items that a value mentions: `TypedValue.ToFieldSet`.

use serde_json::Value;

use super::element::Element;
use super::set::Set;
use super::typed::{Atom, Items, Relation, TypeRef, entries};

/// Every leaf and every item that a value mentions. What cannot be named is left out: values were checked before.
#[must_use]
pub fn to_set(value: &Value, of: TypeRef) -> Set {
    let mut walk = Walk { path: Vec::new(), set: Set::default() };
    walk.value(value, of);
    walk.set
}

struct Walk {
    path: Vec<Element>,
    set: Set,
}

impl Walk {
    fn here(&mut self) {
        self.set.insert(&self.path);
    }

    fn value(&mut self, value: &Value, of: TypeRef) {
        match of.atom(Some(value)) {
            Atom::Scalar(_) | Atom::List(Relation::Atomic, _) | Atom::Map { atomic: true, .. } => self.here(),
            Atom::List(relation, item) => self.list(value, relation, item),
            Atom::Map { .. } => self.map(value, of),
        }
    }

    fn list(&mut self, value: &Value, relation: Relation, of: TypeRef) {
        let items = Items::named(Some(value), relation);
        for element in items.names() {
            self.path.push(element.clone());
            // Of items that are there twice nobody owns the parts.
            if let [item] = items.of(element).as_slice() {
                self.value(item, of);
            }
            self.here();
            self.path.pop();
        }
    }

    fn map(&mut self, value: &Value, of: TypeRef) {
        for (name, value) in entries(Some(value)) {
            self.path.push(Element::field(name));
            self.value(value, of.field(name).unwrap_or(TypeRef::Deduced));
            let is_empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
            if is_empty || !of.is_declared(name) {
                self.here();
            }
            self.path.pop();
        }
    }
}
