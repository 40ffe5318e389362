//! What is different between two versions of an object: `TypedValue.Compare`.

use serde_json::Value;

use super::element::Element;
use super::equal;
use super::set::Set;
use super::typed::{Atom, Items, Relation, TypeRef, entries};

/// What the second version has changed. No path is in two of the sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What it does not have any more.
    pub removed: Set,
    /// What it has with another value.
    pub modified: Set,
    /// What only it has.
    pub added: Set,
}

impl Comparison {
    /// The comparison without some fields and all below them.
    #[must_use]
    pub fn without(self, fields: &Set) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            removed: self.removed.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            added: self.added.recursive_difference(fields),
        }
    }

    /// What it has that the first version did not have so.
    #[must_use]
    pub fn written(&self) -> Set {
        self.modified.union(&self.added)
    }
}

/// Compares two versions of a value.
#[must_use]
pub fn compare(before: &Value, after: &Value, of: TypeRef) -> Comparison {
    let mut walk = Walk { path: Vec::new(), found: Comparison::default() };
    walk.value(Some(before), Some(after), of);
    walk.found
}

struct Walk {
    path: Vec<Element>,
    found: Comparison,
}

/// What is looked at: the same place in both versions, of which one may not have it.
type Sides<'a> = (Option<&'a Value>, Option<&'a Value>);

impl Walk {
    fn value(&mut self, before: Option<&Value>, after: Option<&Value>, of: TypeRef) {
        if let (Some(a), Some(b)) = (before, after)
            && a == b
        {
            return;
        }
        let is_leaf = match (before, after) {
            (Some(_), None) => self.atom((before, after), of, of.atom(before)),
            (Some(a), Some(b)) if sort(a) != sort(b) && matches!(of.atom(None), Atom::Map { fields: None, .. }) => {
                // Nothing is known of the type, and it has changed: what was below is gone, what is there now is told
                // after that.
                self.atom((before, after), of, of.atom(before));
                self.atom((before, after), of, of.atom(after))
            }
            _ => self.atom((before, after), of, of.atom(after)),
        };
        if !is_leaf {
            match (before, after) {
                (None, _) => self.found.added.insert(&self.path),
                (_, None) => self.found.removed.insert(&self.path),
                _ => {}
            }
        }
    }

    /// Says whether it was looked at as a whole.
    fn atom(&mut self, sides: Sides<'_>, of: TypeRef, atom: Atom) -> bool {
        match atom {
            Atom::Scalar(_) | Atom::List(Relation::Atomic, _) | Atom::Map { atomic: true, .. } => self.leaf(sides),
            // That an empty list or map is no missing one must not be lost.
            _ if atom.finds_nothing_in(sides.0) && atom.finds_nothing_in(sides.1) => self.leaf(sides),
            Atom::List(relation, item) => self.list(sides, relation, item),
            Atom::Map { .. } => self.map(sides, of),
        }
    }

    fn leaf(&mut self, sides: Sides<'_>) -> bool {
        match sides {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(before), Some(after)) if !equal(before, after) => self.found.modified.insert(&self.path),
            _ => {}
        }
        true
    }

    fn map(&mut self, (before, after): Sides<'_>, of: TypeRef) -> bool {
        let of_before = before.and_then(Value::as_object);
        let of_after = after.and_then(Value::as_object);
        for (name, a) in entries(before) {
            self.field(name, (Some(a), of_after.and_then(|after| after.get(name))), of);
        }
        for (name, b) in entries(after) {
            if of_before.is_none_or(|before| !before.contains_key(name)) {
                self.field(name, (None, Some(b)), of);
            }
        }
        false
    }

    fn field(&mut self, name: &str, sides: Sides<'_>, of: TypeRef) {
        self.path.push(Element::field(name));
        self.value(sides.0, sides.1, of.field(name).unwrap_or(TypeRef::Deduced));
        self.path.pop();
    }

    fn list(&mut self, (before, after): Sides<'_>, relation: Relation, of: TypeRef) -> bool {
        let before = Items::named(before, relation);
        let after = Items::named(after, relation);
        for element in before.names() {
            self.items(element, &before.of(element), &after.of(element), of);
        }
        for element in after.names().into_iter().filter(|element| !before.has(element)) {
            self.items(element, &[], &after.of(element), of);
        }
        false
    }

    /// The items of both versions that have one name. More than one is a mistake that old objects may have: they count
    /// as a whole.
    fn items(&mut self, element: &Element, before: &[&Value], after: &[&Value], of: TypeRef) {
        self.path.push(element.clone());
        match (before, after) {
            ([_, _, ..], [_, _, ..]) => {
                let same = before.len() == after.len() && before.iter().zip(after).all(|(a, b)| equal(a, b));
                if !same {
                    self.found.modified.insert(&self.path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(after) = after.first() {
                    self.value(None, Some(after), of);
                }
                self.found.removed.insert(&self.path);
            }
            (_, [_, _, ..]) => {
                if let Some(before) = before.first() {
                    self.value(Some(before), None, of);
                }
                self.found.added.insert(&self.path);
            }
            _ => self.value(before.first().copied(), after.first().copied(), of),
        }
        self.path.pop();
    }
}

/// What sort of thing a value is, for types that nothing is known of.
const fn sort(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Array(_) => 1,
        Value::Object(_) => 2,
        _ => 3,
    }
}
