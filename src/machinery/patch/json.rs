//! JSON patch: a list of operations on paths.
//!
//! Follows `gopkg.in/evanphx/json-patch.v4`, which is not quite RFC 6902: replacing and copying do
//! not mind a missing key of an object, a missing key equals null, and what stands before the first
//! slash of a path is ignored.

use serde_json::Value;

use super::super::intstr::atoi;
use super::{PatchError, json_word};

/// More operations than these are refused (`maxJSONPatchOperations`).
pub const OPERATIONS_MAX: usize = 10_000;

/// One step of a patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// `add`, `remove`, `replace`, `move`, `copy` or `test`; anything else fails when it is applied.
    pub op: String,
    /// Where, if the operation says it.
    pub path: Option<String>,
    /// Whence, for `move` and `copy`.
    pub from: Option<String>,
    /// What, for `add`, `replace` and `test`; a missing value is null.
    pub value: Value,
}

/// Reads a patch.
///
/// # Errors
/// The API server's words for what is not a list of operations.
pub fn decode(patch: &Value) -> Result<Vec<Operation>, PatchError> {
    let refuse = |value: &Value, place: &str| {
        let word = json_word(value);
        Err(PatchError::BadRequest(format!("error decoding patch: json: cannot unmarshal {word} into Go {place}")))
    };
    let items = match patch {
        Value::Array(items) => items,
        Value::Null => return Ok(Vec::new()),
        other => return refuse(other, "value of type []handlers.jsonPatchOp"),
    };
    let mut operations = Vec::with_capacity(items.len());
    for item in items {
        let mut operation = Operation::default();
        match item {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let text = match (name.as_str(), value) {
                        ("value", value) => {
                            operation.value = value.clone();
                            continue;
                        }
                        ("op" | "path" | "from", Value::String(text)) => text.clone(),
                        ("op" | "path" | "from", Value::Null) => continue,
                        ("op" | "path" | "from", other) => {
                            return refuse(other, &format!("struct field jsonPatchOp.{name} of type string"));
                        }
                        _ => continue,
                    };
                    match name.as_str() {
                        "op" => operation.op = text,
                        "path" => operation.path = Some(text),
                        _ => operation.from = Some(text),
                    }
                }
            }
            Value::Null => {}
            other => return refuse(other, "value of type handlers.jsonPatchOp"),
        }
        operations.push(operation);
    }
    if operations.len() > OPERATIONS_MAX {
        return Err(PatchError::TooLarge(format!(
            "The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, got {}",
            operations.len()
        )));
    }
    Ok(operations)
}

/// What strict validation says of fields that no operation has.
pub fn unknown_fields(patch: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    for (index, item) in patch.as_array().into_iter().flatten().enumerate() {
        for name in item.as_object().into_iter().flat_map(|fields| fields.keys()) {
            if !matches!(name.as_str(), "op" | "path" | "from" | "value") {
                errors.push(format!("json patch unknown field \"[{index}].{name}\""));
            }
        }
    }
    errors
}

/// Applies the operations one after another; when one fails nothing is changed.
///
/// # Errors
/// [`PatchError::Unprocessable`] with the library's words.
pub fn apply(mut document: Value, operations: &[Operation]) -> Result<Value, PatchError> {
    for operation in operations {
        apply_one(&mut document, operation).map_err(PatchError::Unprocessable)?;
    }
    Ok(document)
}

fn apply_one(document: &mut Value, operation: &Operation) -> Result<(), String> {
    let kind = operation.op.as_str();
    if !matches!(kind, "add" | "remove" | "replace" | "move" | "copy" | "test") {
        let kind = if kind.is_empty() { "unknown" } else { kind };
        return Err(format!("Unexpected kind: {kind}"));
    }
    let path =
        operation.path.as_deref().ok_or_else(|| format!("{kind} operation failed to decode path: missing value"))?;
    let missing =
        |path: &str| format!("{kind} operation does not apply: doc is missing path: \"{path}\": missing value");
    let failed = |error: String| format!("error in {kind} for path: '{path}': {error}");
    match kind {
        "add" => {
            let (container, key) = find(document, path).ok_or_else(|| missing(path))?;
            add(container, &key, operation.value.clone()).map_err(failed)
        }
        "remove" => {
            let (container, key) = find(document, path).ok_or_else(|| missing(path))?;
            remove(container, &key).map(drop).map_err(failed)
        }
        "replace" if path.is_empty() => replace_document(document, &operation.value),
        "replace" => {
            let (container, key) = find(document, path).ok_or_else(|| missing(path))?;
            replace(container, &key, operation.value.clone())
                .map_err(|_| format!("replace operation does not apply: doc is missing key: {path}: missing value"))
        }
        "test" => {
            let (container, key) = find(document, path).ok_or_else(|| missing(path))?;
            if get(container, &key).map_err(failed)? == operation.value {
                return Ok(());
            }
            Err(format!("testing value {path} failed: test failed"))
        }
        _ => {
            let from = operation
                .from
                .as_deref()
                .ok_or_else(|| format!("{kind} operation failed to decode from: missing value"))?;
            let (container, key) = find(document, from).ok_or_else(|| missing(from))?;
            let value = get(container, &key).map_err(failed)?;
            if kind == "move" {
                remove(container, &key).map_err(failed)?;
            }
            let (container, key) = find(document, path).ok_or_else(|| missing(path))?;
            add(container, &key, value).map_err(failed)
        }
    }
}

fn replace_document(document: &mut Value, value: &Value) -> Result<(), String> {
    if !(value.is_object() || value.is_array()) {
        return Err("replace operation value must be object or array".to_owned());
    }
    *document = value.clone();
    Ok(())
}

/// The object or list that holds the last segment of `path`, and that segment.
fn find<'a>(document: &'a mut Value, path: &str) -> Option<(&'a mut Value, String)> {
    let mut segments: Vec<String> =
        path.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    let last = segments.pop()?;
    let mut container = document;
    for segment in &segments {
        container = match container {
            Value::Object(fields) => fields.get_mut(segment)?,
            Value::Array(items) => {
                let index = index_of(segment, items.len()).ok()?;
                items.get_mut(index)?
            }
            _ => return None,
        };
    }
    (container.is_object() || container.is_array()).then_some((container, last))
}

/// Reads a list's index, which may count from the end when it is negative. It may be past the end.
fn index_of(segment: &str, length: usize) -> Result<usize, String> {
    let index = atoi(segment)?;
    let length = length as i64;
    let counted = if index < 0 { index + length } else { index };
    usize::try_from(counted).map_err(|_| invalid_index(index))
}

fn invalid_index(index: i64) -> String {
    format!("Unable to access invalid index: {index}: invalid index referenced")
}

fn existing_index(segment: &str, length: usize) -> Result<usize, String> {
    let index = index_of(segment, length)?;
    if index < length { Ok(index) } else { Err(invalid_index(index as i64)) }
}

/// The value under `key`; a missing key of an object is null.
fn get(container: &Value, key: &str) -> Result<Value, String> {
    match container {
        Value::Array(items) => Ok(items[existing_index(key, items.len())?].clone()),
        other => Ok(other.get(key).cloned().unwrap_or_default()),
    }
}

fn add(container: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match container {
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            // One more than there are: adding at the end counts as an index, too.
            let index = existing_index(key, items.len() + 1)?;
            items.insert(index, value);
        }
        Value::Object(fields) => {
            fields.insert(key.to_owned(), value);
        }
        _ => unreachable!("find returns objects and lists"),
    }
    Ok(())
}

fn replace(container: &mut Value, key: &str, value: Value) -> Result<(), String> {
    match container {
        Value::Array(items) => {
            let index = existing_index(key, items.len())?;
            items[index] = value;
            Ok(())
        }
        container => add(container, key, value),
    }
}

fn remove(container: &mut Value, key: &str) -> Result<Value, String> {
    match container {
        Value::Array(items) => {
            let index = existing_index(key, items.len())?;
            Ok(items.remove(index))
        }
        Value::Object(fields) => {
            fields.shift_remove(key).ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value"))
        }
        _ => unreachable!("find returns objects and lists"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(document: &Value, patch: Value) -> Result<Value, PatchError> {
        apply(document.clone(), &decode(&patch)?)
    }

    /// The steps that were recorded of a real cluster, on one ConfigMap.
    #[test]
    fn recorded_steps() {
        let mut data = json!({"data": {"a": "1", "b": "2", "x.y-z": "3"}, "metadata": {"name": "m"}});
        let steps = [
            (json!([{"op": "add", "path": "/data/c", "value": "9"}]), true),
            (json!([{"op": "add", "path": "/data/c", "value": "10"}]), true),
            (json!([{"op": "replace", "path": "/data/a", "value": "11"}]), true),
            (json!([{"op": "replace", "path": "/data/nosuch", "value": "11"}]), true),
            (json!([{"op": "remove", "path": "/data/a"}]), true),
            (json!([{"op": "remove", "path": "/data/a"}]), false),
            (json!([{"op": "move", "from": "/data/b", "path": "/data/bb"}]), true),
            (json!([{"op": "copy", "from": "/data/bb", "path": "/data/bc"}]), true),
            (json!([{"op": "copy", "from": "/data/none", "path": "/data/bc"}]), true),
            (json!([{"op": "test", "path": "/data/bb", "value": "2"}]), true),
            (json!([{"op": "test", "path": "/data/bb", "value": "nope"}]), false),
            (json!([{"op": "test", "path": "/data/zz", "value": null}]), true),
            (
                json!([{"op": "test", "path": "/data/bb", "value": "nope"}, {"op": "add", "path": "/data/never", "value": "x"}]),
                false,
            ),
            (json!([{"op": "add", "path": "/metadata/annotations/a", "value": "b"}]), false),
            (json!([{"op": "add", "path": "/metadata/annotations/example.com~1k", "value": "v"}]), false),
            (json!([{"op": "explode", "path": "/data/a"}]), false),
            (json!([{"path": "/data/a"}]), false),
            (json!([]), true),
        ];
        for (patch, succeeds) in steps {
            match patched(&data, patch.clone()) {
                Ok(next) => {
                    assert!(succeeds, "{patch}");
                    data = next;
                }
                Err(PatchError::Unprocessable(_)) => assert!(!succeeds, "{patch}"),
                Err(other) => panic!("{patch}: {other:?}"),
            }
        }
        assert_eq!(data["data"], json!({"x.y-z": "3", "c": "10", "nosuch": "11", "bb": "2", "bc": null}));
        let odd = patched(&data, json!([{"op": "add", "path": "data/q", "value": "v"}]));
        assert_eq!(odd.expect("applies")["q"], "v");
    }

    #[test]
    fn refusals_of_what_is_no_patch() {
        let message = |patch: Value| decode(&patch).expect_err("malformed").message().to_owned();
        assert_eq!(
            message(json!({"op": "add"})),
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        );
        assert_eq!(
            message(json!([{"op": 1}])),
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"
        );
        assert_eq!(unknown_fields(&json!([{"oops": 1}])), ["json patch unknown field \"[0].oops\""]);
    }

    #[test]
    fn lists() {
        let document = json!({"l": [1, 2, 3]});
        let cases = [
            (json!([{"op": "add", "path": "/l/-", "value": 4}]), Some(json!([1, 2, 3, 4]))),
            (json!([{"op": "add", "path": "/l/0", "value": 4}]), Some(json!([4, 1, 2, 3]))),
            (json!([{"op": "add", "path": "/l/3", "value": 4}]), Some(json!([1, 2, 3, 4]))),
            (json!([{"op": "add", "path": "/l/4", "value": 4}]), None),
            (json!([{"op": "add", "path": "/l/-1", "value": 4}]), Some(json!([1, 2, 3, 4]))),
            (json!([{"op": "remove", "path": "/l/-1"}]), Some(json!([1, 2]))),
            (json!([{"op": "remove", "path": "/l/3"}]), None),
            (json!([{"op": "replace", "path": "/l/1", "value": 9}]), Some(json!([1, 9, 3]))),
            (json!([{"op": "replace", "path": "/l/x", "value": 9}]), None),
            (json!([{"op": "move", "from": "/l/0", "path": "/l/2"}]), Some(json!([2, 3, 1]))),
            (json!([{"op": "test", "path": "/l", "value": [1, 2, 3]}]), Some(json!([1, 2, 3]))),
            (json!([{"op": "replace", "path": "", "value": {"l": 0}}]), Some(json!(0))),
        ];
        for (patch, expected) in cases {
            let result = patched(&document, patch.clone()).ok().map(|document| document["l"].clone());
            assert_eq!(result, expected, "{patch}");
        }
    }
}
