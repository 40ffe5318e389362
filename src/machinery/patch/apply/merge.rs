//! An object with what is applied laid over it: `TypedValue.Merge`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::element::Element;
use super::typed::{Atom, Items, Relation, TypeRef};

/// Lays `applied` over `live`. No field or item is lost by this; leaves that both have are as applied.
///
/// # Errors
/// When an item of a list cannot be told from the others.
pub fn merge(live: &Value, applied: &Value, of: TypeRef) -> Result<Option<Value>, String> {
    let atom = of.atom(Some(applied));
    match atom {
        Atom::Scalar(_) | Atom::List(Relation::Atomic, _) | Atom::Map { atomic: true, .. } => Ok(Some(applied.clone())),
        // The difference between empty and null stays.
        _ if atom.finds_nothing_in(Some(live)) && atom.finds_nothing_in(Some(applied)) => Ok(Some(applied.clone())),
        Atom::List(relation, item) => list(live, applied, relation, item),
        Atom::Map { .. } => map(live, applied, of),
    }
}

/// As [`merge`], of what only one side may have.
fn merge_either(live: Option<&Value>, applied: Option<&Value>, of: TypeRef) -> Result<Option<Value>, String> {
    match (live, applied) {
        (Some(live), Some(applied)) => merge(live, applied, of),
        (one, other) => Ok(one.or(other).cloned()),
    }
}

fn map(live: &Value, applied: &Value, of: TypeRef) -> Result<Option<Value>, String> {
    let applied = applied.as_object();
    let live = live.as_object();
    let mut merged = Map::new();
    let below = |name: &str| of.field(name).unwrap_or(TypeRef::Deduced);
    for (name, value) in live.into_iter().flatten() {
        let value = merge_either(Some(value), applied.and_then(|applied| applied.get(name)), below(name))?;
        merged.extend(value.map(|value| (name.clone(), value)));
    }
    for (name, value) in applied.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(name)) {
            merged.insert(name.clone(), value.clone());
        }
    }
    Ok(Some(merged).filter(|merged| !merged.is_empty()).map(Value::Object))
}

/// The item of a name; nothing when there is none, and null when there are several, which are not merged.
fn single<'a>(items: &Items<'a>, element: &Element) -> Option<&'a Value> {
    match items.of(element).as_slice() {
        [] => None,
        [item] => Some(item),
        _ => Some(&Value::Null),
    }
}

/// Items stay in the order of the live list as long as what is applied does not say otherwise; new ones come in where
/// they stand among the applied.
fn list(live: &Value, applied: &Value, relation: Relation, of: TypeRef) -> Result<Option<Value>, String> {
    let (left, right) = (Items::read(Some(live), relation)?, Items::read(Some(applied), relation)?);
    let (lefts, rights) = (left.in_order(), right.in_order());
    let mut shared = rights.iter().map(|(element, _)| element).filter(|element| left.has(element));
    let mut next_shared = shared.next();
    let mut merged_right: BTreeSet<&Element> = BTreeSet::new();
    let both = |element: &Element| merge_either(single(&left, element), single(&right, element), of);
    let mut out = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < lefts.len() || r < rights.len() {
        if let (Some((element, _)), Some((other, _))) = (lefts.get(l), rights.get(r)) {
            if element == other {
                merged_right.insert(element);
                out.extend(both(element)?);
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if right.has(element) && next_shared.is_some_and(|next| next != element) {
                // Shared, but it is not its turn.
                l += 1;
                continue;
            }
        }
        if let Some((element, item)) = lefts.get(l) {
            if !right.has(element) {
                out.push((*item).clone());
                l += 1;
                continue;
            }
            if merged_right.contains(element) {
                l += 1;
            }
        }
        if let Some((element, _)) = rights.get(r) {
            merged_right.insert(element);
            out.extend(both(element)?);
            r += 1;
            if next_shared == Some(element) {
                next_shared = shared.next();
            }
        }
    }
    Ok(Some(out).filter(|out| !out.is_empty()).map(Value::Array))
}
