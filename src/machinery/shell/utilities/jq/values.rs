//! What jq does with values: order, arithmetic, places, texts.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use super::evaluate::Failed;
use crate::machinery::base64;
use crate::machinery::order::Order as _;

/// How much of a value an error shows, in letters.
const SHOWN_MAX: usize = 11;
/// How long a list may become by an assignment.
const LIST_MAX: usize = 100_000;

pub(super) fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
}

/// What jq calls a value's type.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value's beginning, as errors show it.
pub(super) fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX - 1).chain("...".chars()).collect()
}

/// `string ("abc")`.
pub(super) fn described(value: &Value) -> String {
    format!("{} ({})", kind(value), shortened(value))
}

pub(super) fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// A number, as a whole one where it is.
pub(super) fn of_number(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The place in a list that a number means, which counts from the end below zero.
pub(super) fn place(number: &Value, length: usize) -> Option<usize> {
    let number = number.as_f64()?.floor();
    let number = if number < 0.0 { number + length as f64 } else { number };
    (number >= 0.0).then_some(number as usize)
}

/// jq's order: null, false, true, numbers, texts, lists, objects.
pub(super) fn compare(left: &Value, right: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Bool(false) => 1,
        Value::Bool(true) => 2,
        Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Array(_) => 5,
        Value::Object(_) => 6,
    };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left.as_f64().unwrap_or(0.0).total_cmp(&right.as_f64().unwrap_or(0.0))
        }
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Array(left), Value::Array(right)) => {
            let pairs = left.iter().zip(right).map(|(left, right)| compare(left, right));
            pairs.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (Value::Object(left), Value::Object(right)) => {
            let (names, others) = (sorted_keys(left), sorted_keys(right));
            names.cmp(&others).then_with(|| {
                let pairs = names.iter().map(|name| compare(&left[name.as_str()], &right[name.as_str()]));
                pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
            })
        }
        _ => rank(left).cmp(&rank(right)),
    }
}

pub(super) fn sorted_keys(fields: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<String> = fields.keys().cloned().collect();
    keys.order();
    keys
}

/// A value with the keys of all objects in order.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => sorted_keys(fields)
            .into_iter()
            .map(|key| (key.clone(), sorted(&fields[key.as_str()])))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(list) => list.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

pub(super) fn add(left: Value, right: Value) -> Result<Value, Failed> {
    Ok(match (left, right) {
        (Value::Null, other) | (other, Value::Null) => other,
        (Value::Number(left), Value::Number(right)) => {
            of_number(left.as_f64().unwrap_or(0.0) + right.as_f64().unwrap_or(0.0))
        }
        (Value::String(left), Value::String(right)) => (left + &right).into(),
        (Value::Array(mut left), Value::Array(right)) => {
            left.extend(right);
            left.into()
        }
        (Value::Object(mut left), Value::Object(right)) => {
            left.extend(right);
            left.into()
        }
        (left, right) => return Err(unfit(&left, &right, "added")),
    })
}

fn unfit(left: &Value, right: &Value, done: &str) -> Failed {
    format!("{} and {} cannot be {done}", described(left), described(right)).into()
}

pub(super) fn subtract(left: Value, right: Value) -> Result<Value, Failed> {
    match (left, right) {
        (Value::Array(mut left), Value::Array(right)) => {
            left.retain(|value| !right.iter().any(|other| compare(value, other).is_eq()));
            Ok(left.into())
        }
        (left, right) => match (number(&left), number(&right)) {
            (Some(a), Some(b)) => Ok(of_number(a - b)),
            _ => Err(unfit(&left, &right, "subtracted")),
        },
    }
}

pub(super) fn multiply(left: Value, right: Value) -> Result<Value, Failed> {
    match (left, right) {
        (Value::Object(mut left), Value::Object(right)) => {
            for (key, value) in right {
                let held = left.get(&key).cloned().unwrap_or(Value::Null);
                let both_are_objects = held.is_object() && value.is_object();
                left.insert(key, if both_are_objects { multiply(held, value)? } else { value });
            }
            Ok(left.into())
        }
        (left, right) => match (number(&left), number(&right)) {
            (Some(a), Some(b)) => Ok(of_number(a * b)),
            _ => Err(unfit(&left, &right, "multiplied")),
        },
    }
}

pub(super) fn divide(left: Value, right: Value, remainder: bool) -> Result<Value, Failed> {
    if let (Value::String(text), Value::String(separator)) = (&left, &right)
        && !remainder
    {
        return Ok(split(text, separator));
    }
    let (Some(a), Some(b)) = (number(&left), number(&right)) else { return Err(unfit(&left, &right, "divided")) };
    if b == 0.0 {
        return Err(unfit(&left, &right, "divided because the divisor is zero"));
    }
    Ok(of_number(if remainder { a.trunc() % b.trunc() } else { a / b }))
}

pub(super) fn split(text: &str, separator: &str) -> Value {
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    if separator.is_empty() {
        return text.chars().map(String::from).collect();
    }
    text.split(separator).map(str::to_owned).collect()
}

/// What stands at a path, or null.
pub(super) fn at(value: &Value, path: &[Value]) -> Value {
    let mut held = value;
    for key in path {
        let next = match (held, key) {
            (Value::Object(fields), Value::String(name)) => fields.get(name),
            (Value::Array(list), key) => place(key, list.len()).and_then(|at| list.get(at)),
            _ => None,
        };
        let Some(next) = next else { return Value::Null };
        held = next;
    }
    held.clone()
}

/// Puts something at a path, and makes what leads there.
pub(super) fn put(value: &mut Value, path: &[Value], new: Value) -> Result<(), Failed> {
    let Some((key, rest)) = path.split_first() else {
        *value = new;
        return Ok(());
    };
    match key {
        Value::String(name) => {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            let Value::Object(fields) = value else {
                return Err(format!("Cannot index {} with {name:?}", kind(value)).into());
            };
            put(fields.entry(name.clone()).or_insert(Value::Null), rest, new)
        }
        number => {
            if value.is_null() {
                *value = Value::Array(Vec::new());
            }
            let Value::Array(list) = value else {
                return Err(format!("Cannot index {} with number", kind(value)).into());
            };
            let at = place(number, list.len()).ok_or_else(|| Value::from("Out of bounds negative array index"))?;
            if at > LIST_MAX {
                return Err("Array index too large".into());
            }
            if list.len() <= at {
                list.resize(at + 1, Value::Null);
            }
            put(&mut list[at], rest, new)
        }
    }
}

/// Removes what stands at paths, the last ones first, so that the others stay where they are.
pub(super) fn remove_all(value: &mut Value, mut paths: Vec<Vec<Value>>) {
    paths.order_by(|left, right| compare(&Value::from(right.clone()), &Value::from(left.clone())));
    for path in paths {
        remove(value, &path);
    }
}

fn remove(value: &mut Value, path: &[Value]) {
    let Some((key, rest)) = path.split_first() else {
        *value = Value::Null;
        return;
    };
    match (value, key) {
        (Value::Object(fields), Value::String(name)) if rest.is_empty() => drop(fields.shift_remove(name)),
        (Value::Object(fields), Value::String(name)) => {
            if let Some(held) = fields.get_mut(name) {
                remove(held, rest);
            }
        }
        (Value::Array(list), key) => {
            let Some(at) = place(key, list.len()).filter(|at| *at < list.len()) else { return };
            if rest.is_empty() {
                list.remove(at);
            } else {
                remove(&mut list[at], rest);
            }
        }
        _ => {}
    }
}

/// A value in a text: itself when it is one, else as JSON.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value in the way that `@name` asks for.
pub(super) fn formatted(format: &str, value: &Value) -> Result<String, Failed> {
    let row = |separator: &str, cell: fn(&Value) -> String| match value {
        Value::Array(cells) => Ok(cells.iter().map(cell).collect::<Vec<_>>().join(separator)),
        other => Err(Value::from(format!("{} cannot be {format}-formatted, only an array can be", described(other)))),
    };
    Ok(match format {
        "text" => text(value),
        "json" => value.to_string(),
        "base64" => base64::encode(text(value).as_bytes()),
        "base64d" => match base64::decode(&text(value)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => return Err(format!("{} is not valid base64 data", described(value)).into()),
        },
        "html" => {
            let text = text(value).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            text.replace('\'', "&#39;").replace('"', "&quot;")
        }
        "sh" => {
            let quoted = |value: &Value| match value {
                Value::String(text) => format!("'{}'", text.replace('\'', "'\\''")),
                other => other.to_string(),
            };
            value.as_array().map_or_else(|| quoted(value), |list| list.iter().map(quoted).collect::<Vec<_>>().join(" "))
        }
        "uri" => {
            let letter = |byte: u8| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
                byte => format!("%{byte:02X}"),
            };
            text(value).bytes().map(letter).collect()
        }
        "tsv" => {
            return row("\t", |cell| match cell {
                Value::Null => String::new(),
                other => text(other).replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"),
            });
        }
        "csv" => {
            return row(",", |cell| match cell {
                Value::Null => String::new(),
                Value::String(text) => format!("\"{}\"", text.replace('"', "\"\"")),
                other => other.to_string(),
            });
        }
        other => return Err(format!("{other} is not a valid format").into()),
    })
}
