//! Lists that are merged by a key, or as sets: finding items and keeping everybody's order.

use serde_json::Value;

use super::super::quote::plain;
use super::{LIST_TYPE, MAP_TYPE, Object, PatchError, go_type};
use crate::machinery::order::Order as _;

/// The directive that an object in a patch may carry.
pub(super) const DIRECTIVE: &str = "$patch";

pub(super) fn as_object(value: &Value) -> Result<&Object, PatchError> {
    value.as_object().ok_or_else(|| PatchError::bad_type(MAP_TYPE, value))
}

/// The value by which `item` is told from others of its list.
pub(super) fn merge_value<'a>(item: &'a Value, key: &str) -> Result<&'a Value, PatchError> {
    let item = as_object(item)?;
    item.get(key).ok_or_else(|| PatchError::no_merge_key(item, key))
}

/// Whether two items are the same: by their key, or by their value if there is no key.
pub(super) fn same_item(left: &Value, right: &Value, key: Option<&str>) -> Result<bool, PatchError> {
    match key {
        None => Ok(left == right),
        Some(key) => Ok(merge_value(left, key)? == merge_value(right, key)?),
    }
}

/// Whether a list has the items of all `lists` in common in that they are objects. All items must
/// be of one type, and none a list (`sliceElementType`).
pub(super) fn are_objects(lists: &[&[Value]]) -> Result<bool, PatchError> {
    let mut known: Option<&Value> = None;
    for item in lists.iter().copied().flatten() {
        match known {
            None if item.is_array() => {
                return Err(PatchError::Unprocessable("lists of lists are not supported".to_owned()));
            }
            None => known = Some(item),
            Some(known) if go_type(known) != go_type(item) => {
                let shown: Vec<String> = lists.iter().map(|list| plain(&Value::Array(list.to_vec()))).collect();
                return Err(PatchError::Other(format!("list element types are not identical: [{}]", shown.join(" "))));
            }
            Some(_) => {}
        }
    }
    match known {
        Some(item) => Ok(item.is_object()),
        None => Err(PatchError::Other("no elements in any of the given slices".to_owned())),
    }
}

/// The position in `list` of the object whose `key` has `value`.
pub(super) fn find(list: &[Value], key: &str, value: &Value) -> Result<Option<usize>, PatchError> {
    for (index, item) in list.iter().enumerate() {
        let item = item.as_object().ok_or_else(|| PatchError::Other(format!("value for key {index} is not a map")))?;
        if item.get(key) == Some(value) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Splits items into those that `by` has, too, and the rest.
pub(super) fn partition(
    items: Vec<Value>,
    by: &[Value],
    key: Option<&str>,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let (mut present, mut rest) = (Vec::new(), Vec::new());
    for item in items {
        let found = match key {
            None => by.contains(&item),
            Some(key) => find(by, key, merge_value(&item, key)?)?.is_some(),
        };
        if found { present.push(item) } else { rest.push(item) }
    }
    Ok((present, rest))
}

/// Sorts the patch's items as `patch_order` has them and the server's own as `server_order` has
/// them, then interleaves both (`normalizeElementOrder`).
pub(super) fn order(
    patch: Vec<Value>,
    server_only: Vec<Value>,
    patch_order: &[Value],
    server_order: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let patch = sort_like(patch, patch_order, key)?;
    let server_only = sort_like(server_only, server_order, key)?;
    Ok(interleave(server_only, patch, server_order, key))
}

/// Sorts items as `order` has them; items to be deleted go last (`normalizeSliceOrder`).
pub(super) fn sort_like(items: Vec<Value>, order: &[Value], key: Option<&str>) -> Result<Vec<Value>, PatchError> {
    let mut to_delete = Vec::new();
    let mut sorted: Vec<Value> = Vec::new();
    if let Some(key) = key {
        for item in items.iter().chain(order) {
            merge_value(item, key)?;
        }
    }
    for item in items {
        if key.is_some() && item.get(DIRECTIVE).is_some_and(|directive| directive == "delete") {
            to_delete.push(item);
            continue;
        }
        // Upstream's comparison is no order when an item is unknown, so what its sort does counts:
        // an insertion sort, in which unknown items move to the front.
        let mut place = sorted.len();
        while place > 0 && goes_before(&item, &sorted[place - 1], order, key) {
            place -= 1;
        }
        sorted.insert(place, item);
    }
    sorted.extend(to_delete);
    Ok(sorted)
}

fn goes_before(left: &Value, right: &Value, order: &[Value], key: Option<&str>) -> bool {
    match (position(order, left, key), position(order, right, key)) {
        (Some(left), Some(right)) => left < right,
        _ => true,
    }
}

fn position(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    match key {
        None => list.iter().position(|other| other == item),
        Some(key) => list.iter().position(|other| other.get(key) == item.get(key)),
    }
}

/// Puts each item of `left` before the first of `right` that `order` has after it; items that
/// `order` does not have stay in front (`mergeSortedSlice`).
fn interleave(left: Vec<Value>, right: Vec<Value>, order: &[Value], key: Option<&str>) -> Vec<Value> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let mut left = left.into_iter().peekable();
    for item in right {
        let place = position(order, &item, key);
        while let Some(next) =
            left.next_if(|next| place.is_some_and(|place| position(order, next, key).is_some_and(|at| at < place)))
        {
            merged.push(next);
        }
        merged.push(item);
    }
    merged.extend(left);
    merged
}

/// Keeps the first of equal values; as upstream, the last value takes the place of one that goes
/// (`deduplicateScalars`).
pub(super) fn deduplicate(mut values: Vec<Value>) -> Vec<Value> {
    let mut first = 0;
    while first < values.len() {
        let mut other = first + 1;
        while other < values.len() {
            if values[first] == values[other] {
                values.swap_remove(other);
            } else {
                other += 1;
            }
        }
        first += 1;
    }
    values
}

/// Sorts by the text that Go prints for a value (`sortScalars`).
pub(super) fn sort_scalars(values: &mut [Value]) {
    values.order_by_key(plain);
}

/// The list that stands under a key; nothing stands for an empty one.
pub(super) fn list_of<'a>(owner: &'a Object, key: &str) -> Result<Option<&'a Vec<Value>>, PatchError> {
    match owner.get(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(other) => Err(PatchError::bad_type(LIST_TYPE, other)),
    }
}
