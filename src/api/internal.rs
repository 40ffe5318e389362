//! Values as the API server's internal Go types print them in errors.
//!
//! An error about a whole struct shows it as JSON of the *internal* type: Go's field names, in the order of their
//! declaration in `pkg/apis/core/types.go`, with everything that is unset written out. [`dump`] makes that of the
//! JSON of the versioned type.

use serde_json::{Map, Value};

use crate::machinery::quantity::Quantity;

/// The internal types, one a line: its name and its fields `GoName:type`, or `GoName=jsonName:type` where the JSON
/// name does not follow from Go's. Types: `s` text, `b` boolean, `i` integer, `?` any pointer, `v` any other value
/// that is always there, `q` quantity, `[s` list of texts, `{` map, `{q` map of quantities, `T` struct, `*T`
/// pointer, `[T` list. A `%` before a type's name says that it has JSON tags: own names, empty fields left out.
const TYPES: &str = include_str!("internal.txt");

/// The JSON of the internal type `name` for a value that has the JSON form of the versioned type.
pub(crate) fn dump(name: &str, value: &Value) -> Value {
    let Some((tagged, fields)) = lookup(name) else { return value.clone() };
    let mut result = Map::new();
    for field in fields.split_whitespace() {
        let Some((names, ty)) = field.split_once(':') else { continue };
        let (go_name, json_name) = match names.split_once('=') {
            Some((go_name, json_name)) => (go_name, json_name.to_owned()),
            None => (names, json_name(names)),
        };
        // The internal PodSecurityContext holds fields that stand in the spec of the versioned type.
        let found = json_name.split('/').try_fold(value, |value, step| value.get(step));
        if tagged && found.is_none() {
            continue;
        }
        let name = if tagged { json_name.clone() } else { go_name.to_owned() };
        result.insert(name, dump_field(ty, found, value));
    }
    Value::Object(result)
}

fn dump_field(ty: &str, found: Option<&Value>, parent: &Value) -> Value {
    let present = found.filter(|value| !value.is_null());
    match (ty, present) {
        ("s", value) => value.cloned().unwrap_or_else(|| "".into()),
        ("b", value) => value.cloned().unwrap_or(Value::Bool(false)),
        ("i", value) => value.cloned().unwrap_or_else(|| 0.into()),
        ("q", value) => value.map_or_else(|| "0".into(), quantity),
        ("{q", Some(Value::Object(map))) if !map.is_empty() => {
            map.iter().map(|(key, value)| (key.clone(), quantity(value))).collect()
        }
        ("PodSecurityContext", _) => dump(ty, parent),
        ("{" | "{q", Some(Value::Object(map))) if map.is_empty() => Value::Null,
        (_, None) if ty.starts_with(|first: char| first.is_ascii_uppercase()) => dump(ty, &Value::Null),
        (_, None) => Value::Null,
        (_, Some(Value::Array(items))) if items.is_empty() => Value::Null,
        (_, Some(value)) => match ty.strip_prefix('[') {
            Some(item) => value.as_array().into_iter().flatten().map(|value| dump(item, value)).collect(),
            // What is no type of the table (`?`, `v`, `{`) prints as it is.
            None => dump(ty.trim_start_matches('*'), value),
        },
    }
}

/// A quantity in canonical form; what cannot be read stays as it is.
fn quantity(value: &Value) -> Value {
    Quantity::parse_json(value).map_or_else(|_| value.clone(), |quantity| quantity.to_string().into())
}

fn lookup(name: &str) -> Option<(bool, &'static str)> {
    TYPES.lines().find_map(|line| {
        let (ty, fields) = line.split_once(' ')?;
        let bare = ty.trim_start_matches('%');
        (bare == name).then_some((bare.len() != ty.len(), fields))
    })
}

/// The JSON name that belongs to a Go field: its first letter, or its first abbreviation, in lower case.
fn json_name(go_name: &str) -> String {
    let capitals = go_name.bytes().take_while(u8::is_ascii_uppercase).count();
    let lower = if capitals <= 1 || capitals == go_name.len() { capitals } else { capitals - 1 };
    format!("{}{}", go_name[..lower].to_ascii_lowercase(), &go_name[lower..])
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_names_follow_go_names() {
        for (go_name, name) in [
            ("Name", "name"),
            ("DNSPolicy", "dnsPolicy"),
            ("TTY", "tty"),
            ("HostIP", "hostIP"),
            ("SELinuxOptions", "seLinuxOptions"),
        ] {
            assert_eq!(json_name(go_name), name);
        }
    }

    #[test]
    fn every_type_that_a_field_names_is_there() {
        for line in TYPES.lines() {
            for field in line.split_whitespace().skip(1) {
                let ty = field.split_once(':').expect("a field has a type").1;
                let name = ty.trim_start_matches(['*', '[']);
                let simple = name.is_empty() || name.starts_with(|first: char| !first.is_ascii_uppercase());
                assert!(simple || lookup(name).is_some(), "{name} of {line}");
            }
        }
    }

    #[test]
    fn unset_fields_are_written() {
        let toleration = json!({"key": "a", "operator": "Exists"});
        expect![[r#"{"Key":"a","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}"#]]
            .assert_eq(&dump("Toleration", &toleration).to_string());
        let profile = json!({"type": "RuntimeDefault", "localhostProfile": "a"});
        expect![[r#"{"Type":"RuntimeDefault","LocalhostProfile":"a"}"#]]
            .assert_eq(&dump("SeccompProfile", &profile).to_string());
    }
}
