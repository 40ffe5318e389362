//! Strategic merge patch: like a merge patch, but lists that have a key are merged by it.
//!
//! Follows `apimachinery/pkg/util/strategicpatch/patch.go` of v1.36, which knows these directives:
//!
//! - `$patch: delete` or `replace` in an object, `$patch: delete` in an item of a keyed list, and an
//!   item `$patch: replace` that turns merging of its list off;
//! - `$retainKeys: [a, b]`, which removes all other fields;
//! - `$deleteFromPrimitiveList/NAME` and `$setElementOrder/NAME` beside a list `NAME`.
//!
//! New items come first, as upstream orders them, unless `$setElementOrder` says otherwise.

use serde_json::Value;

use super::super::quote::plain;
use super::super::schema::Struct;
use super::lists::{self, DIRECTIVE};
use super::meta::Meta;
use super::{LIST_TYPE, Object, PatchError, go_type, object_patch};

/// Before the name of a list of values: those to take out of it.
pub const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";
pub(super) const SET_ELEMENT_ORDER: &str = "$setElementOrder";
pub(super) const RETAIN_KEYS: &str = "$retainKeys";

/// What merging is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Applying a patch to an object.
    Apply,
    /// Combining two patches to one that will be applied later: directives and nulls must stay.
    Combine,
}

/// Applies a strategic merge patch to an object of a built-in kind.
///
/// # Errors
/// The API server's words: a list's item without its key, an unknown directive, a directive in a
/// wrong place.
pub fn apply(original: Value, patch: Value, kind: &'static Struct) -> Result<Value, PatchError> {
    let original = match original {
        Value::Object(original) => original,
        _ => Object::new(),
    };
    let merged = merge_objects(original, object_patch(patch)?, Meta::Struct(kind), Purpose::Apply)?;
    Ok(Value::Object(merged))
}

pub(super) fn merge_objects(
    mut original: Object,
    mut patch: Object,
    meta: Meta,
    purpose: Purpose,
) -> Result<Object, PatchError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Object::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch, purpose)?;
    merge_ordered_lists(&mut original, &mut patch, meta, purpose)?;
    for (key, value) in patch {
        merge_field(&mut original, &key, value, meta, purpose)?;
    }
    Ok(original)
}

fn unknown_directive(directive: &Value, patch: &Object) -> PatchError {
    let patch = plain(&Value::Object(patch.clone()));
    PatchError::Other(format!("unknown patch type: {} in map: {patch}", plain(directive)))
}

/// Carries out `$retainKeys`, or hands it on when patches are combined.
fn retain_keys(original: &mut Object, patch: &mut Object, purpose: Purpose) -> Result<(), PatchError> {
    let Some(retained) = patch.shift_remove(RETAIN_KEYS) else {
        return Ok(());
    };
    if purpose == Purpose::Combine {
        let known = original.entry(RETAIN_KEYS).or_insert_with(|| retained.clone());
        if *known != retained {
            return Err(PatchError::Other(format!(
                "{} and {} are not deep equal: this may happen when calculating the 3-way diff patch",
                plain(known),
                plain(&retained)
            )));
        }
        return Ok(());
    }
    let Value::Array(retained) = retained else {
        return Err(PatchError::bad_retain_keys());
    };
    let is_retained = |key: &str| retained.iter().any(|retained| retained == key);
    for (key, value) in &*patch {
        let is_directive = key.starts_with(DELETE_FROM_PRIMITIVE_LIST) || key.starts_with(SET_ELEMENT_ORDER);
        if !(value.is_null() || is_directive || is_retained(key)) {
            return Err(PatchError::bad_retain_keys());
        }
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// Merges the lists that have a `$setElementOrder` beside them and takes them out of the patch.
fn merge_ordered_lists(
    original: &mut Object,
    patch: &mut Object,
    meta: Meta,
    purpose: Purpose,
) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let element_order = patch.shift_remove(&directive).unwrap_or_default();
        if purpose == Purpose::Combine {
            let known = original.entry(&directive).or_insert_with(|| element_order.clone());
            if *known != element_order {
                return Err(PatchError::bad_set_element_order());
            }
        }
        let Value::Array(element_order) = element_order else {
            return Err(PatchError::bad_type(LIST_TYPE, &element_order));
        };
        let name = named_list(&directive, SET_ELEMENT_ORDER).ok_or_else(PatchError::bad_set_element_order)?;
        merge_ordered_list(original, patch, name, &element_order, meta, purpose)?;
    }
    Ok(())
}

fn merge_ordered_list(
    original: &mut Object,
    patch: &mut Object,
    name: &str,
    element_order: &[Value],
    meta: Meta,
    purpose: Purpose,
) -> Result<(), PatchError> {
    let before = lists::list_of(original, name)?.cloned();
    let patched = lists::list_of(patch, name)?.cloned();
    let (item_meta, strategy) = meta.list(name)?;
    let key = strategy.merge_key;
    check_element_order(patched.as_deref().unwrap_or_default(), element_order, key)?;
    let merged = match (&before, &patched) {
        (None, None) => return Ok(()),
        (Some(before), None) => before.clone(),
        (None, Some(patched)) => patched.iter().cloned().filter_map(without_directives).collect(),
        (Some(before), Some(patched)) if strategy.merge => {
            merge_lists(before.clone(), patched.clone(), item_meta, key, purpose)?
        }
        (Some(_), Some(patched)) => patched.clone(),
    };
    let server_order = before.unwrap_or_default();
    lists::are_objects(&[&server_order, patched.as_deref().unwrap_or_default()])?;
    let (patch_items, server_only) = lists::partition(merged, element_order, key)?;
    let ordered = lists::order(patch_items, server_only, element_order, &server_order, key)?;
    original.insert(name.to_owned(), Value::Array(ordered));
    patch.shift_remove(name);
    Ok(())
}

/// The items of a patch must stand in the order that it demands (`validatePatchWithSetOrderList`).
fn check_element_order(patched: &[Value], element_order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if patched.is_empty() || element_order.is_empty() {
        return Ok(());
    }
    let mut ordered = element_order.iter();
    for item in patched {
        if key.is_some() && lists::as_object(item)?.contains_key(DIRECTIVE) {
            continue;
        }
        loop {
            let Some(next) = ordered.next() else {
                return Err(PatchError::Other(format!(
                    "the order in patch list:\n{}\n doesn't match {SET_ELEMENT_ORDER} list:\n{}",
                    plain(&Value::Array(patched.to_vec())),
                    plain(&Value::Array(element_order.to_vec())),
                )));
            };
            if lists::same_item(item, next, key)? {
                break;
            }
        }
    }
    Ok(())
}

/// The `NAME` of `$directive/NAME`.
fn named_list<'a>(key: &'a str, directive: &str) -> Option<&'a str> {
    key.strip_prefix(directive)?.strip_prefix('/')
}

fn merge_field(original: &mut Object, key: &str, value: Value, meta: Meta, purpose: Purpose) -> Result<(), PatchError> {
    let is_delete_list = key.starts_with(DELETE_FROM_PRIMITIVE_LIST);
    if is_delete_list && purpose == Purpose::Combine {
        original.insert(key.to_owned(), value);
        return Ok(());
    }
    let key = if is_delete_list {
        named_list(key, DELETE_FROM_PRIMITIVE_LIST).ok_or_else(PatchError::bad_primitive_list)?
    } else {
        key
    };
    if value.is_null() {
        original.shift_remove(key);
        if purpose == Purpose::Apply {
            return Ok(());
        }
    }
    let merged = match (original.get_mut(key).map(Value::take), value) {
        (Some(Value::Object(before)), Value::Object(patch)) => {
            let (meta, _) = meta.field(key)?;
            Some(Value::Object(merge_objects(before, patch, meta, purpose)?))
        }
        (Some(Value::Array(before)), Value::Array(patch)) => {
            let (meta, strategy) = meta.list(key)?;
            Some(Value::Array(if is_delete_list {
                delete_from_list(before, patch, meta, strategy.merge_key, purpose)?
            } else if strategy.merge {
                merge_lists(before, patch, meta, strategy.merge_key, purpose)?
            } else {
                patch
            }))
        }
        (before, _) if is_delete_list => before,
        (before, mut patch) => {
            let is_change = before.is_some_and(|before| go_type(&before) == go_type(&patch));
            if purpose == Purpose::Apply && !is_change {
                discard_nulls(&mut patch);
            }
            without_directives(patch)
        }
    };
    match merged {
        Some(merged) => original.insert(key.to_owned(), merged),
        None => original.shift_remove(key),
    };
    Ok(())
}

/// Removes fields that are null, at any depth.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// What is left of a patch that finds nothing to merge with: objects with a `$patch` go.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let kept =
                fields.into_iter().filter_map(|(key, value)| without_directives(value).map(|value| (key, value)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

fn delete_from_list(
    original: Vec<Value>,
    to_delete: Vec<Value>,
    meta: Meta,
    key: Option<&str>,
    purpose: Purpose,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && to_delete.is_empty() {
        return Ok(original);
    }
    if lists::are_objects(&[&original, &to_delete])? {
        return merge_lists(original, to_delete, meta, key, purpose);
    }
    Ok(original.into_iter().filter(|value| !to_delete.contains(value)).collect())
}

fn merge_lists(
    original: Vec<Value>,
    patch: Vec<Value>,
    meta: Meta,
    key: Option<&str>,
    purpose: Purpose,
) -> Result<Vec<Value>, PatchError> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    if !lists::are_objects(&[&original, &patch])? {
        let both = original.iter().chain(&patch).cloned().collect();
        let (patch_items, server_only) = lists::partition(lists::deduplicate(both), &patch, key)?;
        return lists::order(patch_items, server_only, &patch, &original, key);
    }
    let Some(key) = key else {
        let kind = meta.kind();
        return Err(PatchError::Other(format!("cannot merge lists without merge key for {kind}")));
    };
    let (original, patch) = carry_out_directives(original, patch, key)?;
    let merged = merge_items(original.clone(), &patch, meta, key, purpose)?;
    let (patch_items, server_only) = lists::partition(merged, &patch, Some(key))?;
    lists::order(patch_items, server_only, &patch, &original, Some(key))
}

/// Deletes the items that the patch deletes, or all of them, and takes the directives out of the
/// patch (`mergeSliceWithSpecialElements`).
fn carry_out_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::new();
    let mut replaces = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let value = lists::merge_value(&item, key)?;
                while let Some(index) = lists::find(&original, key, value)? {
                    original.remove(index);
                }
            }
            Some("replace") => replaces = true,
            Some("merge") => {
                let message = "merging lists cannot yet be specified in the patch";
                return Err(PatchError::Other(message.to_owned()));
            }
            _ => return Err(unknown_directive(directive, lists::as_object(&item)?)),
        }
    }
    Ok(if replaces { (rest, Vec::new()) } else { (original, rest) })
}

/// Merges items of the same key, and adds the others (`mergeSliceWithoutSpecialElements`).
fn merge_items(
    mut original: Vec<Value>,
    patch: &[Value],
    meta: Meta,
    key: &str,
    purpose: Purpose,
) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        let value = lists::merge_value(item, key)?;
        match lists::find(&original, key, value)? {
            Some(index) => {
                let before = lists::as_object(&original[index])?.clone();
                let item = lists::as_object(item)?.clone();
                original[index] = Value::Object(merge_objects(before, item, meta, purpose)?);
            }
            None => original.push(item.clone()),
        }
    }
    Ok(original)
}

#[cfg(test)]
mod tests;
