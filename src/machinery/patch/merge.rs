//! JSON merge patch: fields are merged, null removes, lists are replaced.
//!
//! Follows `gopkg.in/evanphx/json-patch.v4` (`MergePatch`, `CreateMergePatch`) and
//! `apimachinery/pkg/util/jsonmergepatch`.

use serde_json::Value;

use super::{Object, PatchError, object_patch};

/// Applies a merge patch.
///
/// # Errors
/// The API server's words when the patch is not an object.
pub fn apply(mut document: Value, patch: Value) -> Result<Value, PatchError> {
    let patch = object_patch(patch)
        .map_err(|error| PatchError::BadRequest(format!("error decoding patch: {}", error.message())))?;
    match &mut document {
        Value::Object(document) => merge_objects(document, patch),
        other => *other = without_nulls(Value::Object(patch)),
    }
    Ok(document)
}

fn merge_objects(document: &mut Object, patch: Object) {
    for (key, value) in patch {
        if value.is_null() {
            document.shift_remove(&key);
            continue;
        }
        match (document.get_mut(&key), value) {
            (Some(Value::Object(current)), Value::Object(patch)) => merge_objects(current, patch),
            (Some(current), value) => *current = without_nulls(value),
            (None, value) => {
                document.insert(key, without_nulls(value));
            }
        }
    }
}

/// New objects come without the fields that the patch sets to null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// The patch that makes `modified` out of `original` (`CreateMergePatch`).
pub fn create(original: &Object, modified: &Object) -> Object {
    let mut patch = Object::new();
    for (key, value) in modified {
        match (original.get(key), value) {
            (Some(Value::Object(before)), Value::Object(after)) => {
                let inner = create(before, after);
                if !inner.is_empty() {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            (Some(before), after) if equal(before, after) => {}
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in original.keys().filter(|key| !modified.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch
}

/// Equality by which `1` and `1.0` are the same, as both are floats to the library.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, left)| right.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

/// The patch of `kubectl apply` for kinds without a strategic merge patch
/// (`CreateThreeWayJSONMergePatch`): changes and additions from `current` to `modified`, deletions
/// from `original` to `modified`.
pub fn create_three_way(original: &Object, modified: &Object, current: &Object) -> Value {
    let additions = keep_or_delete_nulls(&create(current, modified), false);
    let mut patch = keep_or_delete_nulls(&create(original, modified), true);
    merge_objects(&mut patch, additions);
    Value::Object(patch)
}

/// Keeps only the nulls of a patch, or all but the nulls.
fn keep_or_delete_nulls(patch: &Object, keep_nulls: bool) -> Object {
    let mut kept = Object::new();
    for (key, value) in patch {
        let value = match value {
            Value::Null => keep_nulls.then_some(Value::Null),
            Value::Object(fields) if !fields.is_empty() => {
                let inner = keep_or_delete_nulls(fields, keep_nulls);
                (!inner.is_empty()).then_some(Value::Object(inner))
            }
            other => (!keep_nulls).then(|| other.clone()),
        };
        kept.extend(value.map(|value| (key.clone(), value)));
    }
    kept
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn applies() {
        // The examples of RFC 7386, appendix A, as far as both sides are objects.
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (document, patch, expected) in cases {
            assert_eq!(apply(document, patch.clone()), Ok(expected), "{patch}");
        }
        let message = |patch: Value| apply(json!({}), patch).expect_err("no object").message().to_owned();
        assert_eq!(
            message(json!("not json")),
            "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"
        );
        assert_eq!(
            message(json!([1])),
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        );
    }

    #[test]
    fn creates() {
        let original = object(json!({"a": 1, "b": {"c": 1, "d": [1]}, "e": "x", "n": null}));
        let modified = object(json!({"a": 1.0, "b": {"c": 2, "d": [1, 2]}, "f": {}}));
        assert_eq!(
            Value::Object(create(&original, &modified)),
            json!({"b": {"c": 2, "d": [1, 2]}, "f": {}, "e": null, "n": null})
        );
    }

    #[test]
    fn three_way_keeps_what_others_wrote() {
        let original = object(json!({"spec": {"mine": 1, "gone": 1, "inner": {"a": 1}}}));
        let modified = object(json!({"spec": {"mine": 2, "new": {}}}));
        let current = object(json!({"spec": {"mine": 1, "gone": 1, "inner": {"a": 1, "b": 2}, "theirs": 1}}));
        assert_eq!(
            create_three_way(&original, &modified, &current),
            json!({"spec": {"gone": null, "inner": null, "mine": 2, "new": {}}})
        );
    }
}
