//! Making strategic merge patches, as kubectl does for `apply`, `edit`, `set` and the like.
//!
//! Follows `apimachinery/pkg/util/strategicpatch/patch.go` (`CreateTwoWayMergePatch`,
//! `CreateThreeWayMergePatch`).

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::super::quote::plain;
use super::super::schema::Struct;
use super::lists::{self, DIRECTIVE};
use super::meta::Meta;
use super::strategic::{DELETE_FROM_PRIMITIVE_LIST, Purpose, RETAIN_KEYS, SET_ELEMENT_ORDER, merge_objects};
use super::{Object, PatchError, go_type};
use crate::machinery::order::Order as _;

/// What a difference is to tell.
#[derive(Clone, Copy)]
struct Options {
    changes_and_additions: bool,
    deletions: bool,
    retain_keys: bool,
}

/// The patch that makes `modified` out of `original`.
///
/// # Errors
/// Upstream's text when an item of a keyed list has no key, or types do not fit.
pub fn create_two_way(original: &Object, modified: &Object, kind: &'static Struct) -> Result<Value, PatchError> {
    let options = Options { changes_and_additions: true, deletions: true, retain_keys: false };
    diff_objects(original, modified, Meta::Struct(kind), options).map(Value::Object)
}

/// The patch of `kubectl apply`: changes and additions from `current` to `modified`, deletions from
/// `original` (what was applied last) to `modified`.
///
/// # Errors
/// As [`create_two_way`].
pub fn create_three_way(
    original: &Object,
    modified: &Object,
    current: &Object,
    kind: &'static Struct,
) -> Result<Value, PatchError> {
    let meta = Meta::Struct(kind);
    let additions = Options { changes_and_additions: true, deletions: false, retain_keys: false };
    let deletions = Options { changes_and_additions: false, deletions: true, retain_keys: false };
    let delta = diff_objects(current, modified, meta, additions)?;
    let deletions = diff_objects(original, modified, meta, deletions)?;
    merge_objects(deletions, delta, meta, Purpose::Combine).map(Value::Object)
}

fn diff_objects(original: &Object, modified: &Object, meta: Meta, options: Options) -> Result<Object, PatchError> {
    let mut patch = Object::new();
    for (key, after) in modified {
        match original.get(key) {
            Some(before) if go_type(before) == go_type(after) => {
                diff_values(key, before, after, &mut patch, meta, options)?;
            }
            _ if options.changes_and_additions => {
                patch.insert(key.clone(), after.clone());
            }
            _ => {}
        }
    }
    if options.deletions {
        for key in original.keys().filter(|key| !modified.contains_key(*key)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if options.retain_keys {
        let given = modified.iter().filter(|(_, value)| !value.is_null());
        let mut retained: Vec<Value> = given.map(|(key, _)| Value::from(key.as_str())).collect();
        lists::sort_scalars(&mut retained);
        let drops = original.iter().any(|(key, value)| !value.is_null() && !modified.contains_key(key));
        if !retained.is_empty() && (!patch.is_empty() || drops) {
            patch.insert(RETAIN_KEYS.to_owned(), Value::Array(retained));
        }
    }
    Ok(patch)
}

fn diff_values(
    key: &str,
    before: &Value,
    after: &Value,
    patch: &mut Object,
    meta: Meta,
    options: Options,
) -> Result<(), PatchError> {
    if before == after && !(before.is_object() || before.is_array()) {
        return Ok(());
    }
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let (field_meta, strategy) = match meta.field(key) {
                Ok(found) => found,
                // A field that is not known does not matter as long as it does not change.
                Err(_) if before == after => return Ok(()),
                Err(error) => return Err(error),
            };
            let options = Options { retain_keys: strategy.retain_keys, ..options };
            let inner = diff_objects(before, after, field_meta, options)?;
            if !inner.is_empty() {
                patch.insert(key.to_owned(), Value::Object(inner));
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            let (item_meta, strategy) = match meta.list(key) {
                Ok(found) => found,
                Err(_) if before == after => return Ok(()),
                Err(error) => return Err(error),
            };
            if strategy.merge {
                let options = Options { retain_keys: strategy.retain_keys, ..options };
                let difference = diff_lists(before, after, item_meta, strategy.merge_key, options)?;
                difference.put(key, patch);
            } else if options.changes_and_additions && before != after {
                patch.insert(key.to_owned(), Value::Array(after.clone()));
            }
        }
        _ if options.changes_and_additions => {
            patch.insert(key.to_owned(), after.clone());
        }
        _ => {}
    }
    Ok(())
}

/// The parts of a patch that concern one merged list.
#[derive(Default)]
struct ListDifference {
    items: Vec<Value>,
    deleted_scalars: Vec<Value>,
    element_order: Vec<Value>,
}

impl ListDifference {
    fn put(self, key: &str, patch: &mut Object) {
        let parts = [
            (key.to_owned(), self.items),
            (format!("{DELETE_FROM_PRIMITIVE_LIST}/{key}"), self.deleted_scalars),
            (format!("{SET_ELEMENT_ORDER}/{key}"), self.element_order),
        ];
        for (key, part) in parts {
            if !part.is_empty() {
                patch.insert(key, Value::Array(part));
            }
        }
    }
}

fn diff_lists(
    original: &[Value],
    modified: &[Value],
    meta: Meta,
    key: Option<&str>,
    options: Options,
) -> Result<ListDifference, PatchError> {
    if original.is_empty() {
        let items = if options.changes_and_additions { modified.to_vec() } else { Vec::new() };
        return Ok(ListDifference { items, ..ListDifference::default() });
    }
    if !lists::are_objects(&[original, modified])? {
        return diff_lists_of_scalars(original, modified, options);
    }
    let Some(key) = key else {
        let kind = meta.kind();
        return Err(PatchError::Other(format!("cannot merge lists without merge key for {kind}")));
    };
    let (changed, deleted) = diff_lists_of_objects(original, modified, meta, key, options)?;
    let mut items = lists::sort_like(changed, modified, Some(key))?;
    let same_order = is_order_same(original, modified, key)?;
    items.extend(deleted);
    let content_changes = !items.is_empty();
    let is_ordered =
        (options.changes_and_additions && (content_changes || !same_order)) || (options.deletions && content_changes);
    let mut element_order = Vec::new();
    if is_ordered {
        for item in modified {
            element_order.push(json!({ key: lists::merge_value(item, key)? }));
        }
    }
    Ok(ListDifference { items, element_order, ..ListDifference::default() })
}

fn is_order_same(original: &[Value], modified: &[Value], key: &str) -> Result<bool, PatchError> {
    if original.len() != modified.len() {
        return Ok(false);
    }
    for (before, after) in original.iter().zip(modified) {
        if !lists::same_item(before, after, Some(key))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What two sorted lists have in common and apart, side by side.
enum Pair<'a> {
    Both(&'a Value, &'a Value),
    OnlyBefore(&'a Value),
    OnlyAfter(&'a Value),
}

/// Sorts both lists by `text` and pairs the items whose texts are equal, one with one.
fn pairs<'a>(original: &'a [Value], modified: &'a [Value], text: impl Fn(&Value) -> String) -> Vec<Pair<'a>> {
    let sorted = |list: &'a [Value]| {
        let mut keyed: Vec<(String, &Value)> = list.iter().map(|item| (text(item), item)).collect();
        keyed.order_by(|left, right| left.0.cmp(&right.0));
        keyed.into_iter().peekable()
    };
    let (mut before, mut after) = (sorted(original), sorted(modified));
    let mut pairs = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return pairs,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => before.0.cmp(&after.0),
        };
        let first = if order.is_le() { before.next() } else { None };
        let second = if order.is_ge() { after.next() } else { None };
        pairs.extend(match (first, second) {
            (Some((_, before)), Some((_, after))) => Some(Pair::Both(before, after)),
            (Some((_, before)), None) => Some(Pair::OnlyBefore(before)),
            (None, Some((_, after))) => Some(Pair::OnlyAfter(after)),
            (None, None) => None,
        });
    }
}

fn diff_lists_of_scalars(
    original: &[Value],
    modified: &[Value],
    options: Options,
) -> Result<ListDifference, PatchError> {
    let (mut added, mut deleted) = (Vec::new(), Vec::new());
    for pair in pairs(original, modified, plain) {
        match pair {
            Pair::OnlyBefore(value) if options.deletions => deleted.push(value.clone()),
            Pair::OnlyAfter(value) if options.changes_and_additions => added.push(value.clone()),
            _ => {}
        }
    }
    let is_ordered =
        (options.deletions && !deleted.is_empty()) || (options.changes_and_additions && original != modified);
    Ok(ListDifference {
        items: lists::sort_like(added, modified, None)?,
        deleted_scalars: lists::deduplicate(deleted),
        element_order: if is_ordered { modified.to_vec() } else { Vec::new() },
    })
}

/// The changed and added items, and directives that delete the others.
fn diff_lists_of_objects(
    original: &[Value],
    modified: &[Value],
    meta: Meta,
    key: &str,
    options: Options,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    for item in original.iter().chain(modified) {
        lists::merge_value(item, key)?;
    }
    let (mut changed, mut deleted) = (Vec::new(), Vec::new());
    for pair in pairs(original, modified, |item| plain(&item[key])) {
        match pair {
            Pair::Both(before, after) => {
                let (before, after) = (lists::as_object(before)?, lists::as_object(after)?);
                let mut difference = diff_objects(before, after, meta, options)?;
                if !difference.is_empty() {
                    difference.insert(key.to_owned(), after[key].clone());
                    changed.push(Value::Object(difference));
                }
            }
            Pair::OnlyAfter(after) if options.changes_and_additions => changed.push(after.clone()),
            Pair::OnlyBefore(before) if options.deletions => {
                deleted.push(json!({ key: before[key], DIRECTIVE: "delete" }));
            }
            _ => {}
        }
    }
    Ok((changed, deleted))
}

#[cfg(test)]
mod tests;
