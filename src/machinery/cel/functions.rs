//! The functions of the language and of Kubernetes's libraries.

use super::evaluate::no_overload;
use super::semver::{self, Semver};
use super::time;
use super::value::Value;
use crate::machinery::go_regex;
use crate::machinery::ip::{self, Cidr};
use crate::machinery::quantity::Quantity;

type Outcome = Result<Value, String>;

/// The type of a function's result, where it is always the same.
pub(super) fn result_type(name: &str, is_method: bool) -> Option<&'static str> {
    match (name, is_method) {
        ("size" | "int" | "indexOf" | "lastIndexOf" | "compareTo" | "major" | "minor" | "patch", _) => Some("int"),
        ("string", false) => Some("string"),
        ("double", false) => Some("double"),
        ("timestamp", false) => Some("timestamp"),
        ("duration", false) => Some("duration"),
        ("bool" | "isQuantity" | "isIP" | "isCIDR" | "isSemver", false) => Some("bool"),
        ("startsWith" | "endsWith" | "contains" | "matches" | "isGreaterThan" | "isLessThan" | "isSorted", true) => {
            Some("bool")
        }
        ("lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "join" | "charAt" | "find", true) => {
            Some("string")
        }
        ("split" | "findAll" | "distinct" | "slice" | "flatten", true) => Some("list"),
        _ => None,
    }
}

/// Calls a function, with its receiver in front of its arguments.
pub(super) fn call(name: &str, receiver: Option<&Value>, arguments: &[Value]) -> Outcome {
    let result = match receiver {
        None => global(name, arguments),
        Some(Value::Text(text)) => of_text(name, text, arguments),
        Some(Value::List(items)) => of_list(name, items, arguments),
        Some(Value::Map(map) | Value::Domains(map)) if name == "size" => Some(int(map.len())),
        Some(Value::Semver(version)) => semver::of_semver(name, version, arguments),
        Some(Value::Quantity(quantity)) => of_quantity(name, *quantity, arguments),
        Some(value @ (Value::Timestamp(_) | Value::Duration(_))) => time::of_time(name, value, arguments),
        Some(Value::Optional(value)) => of_optional(name, value.as_deref(), arguments),
        Some(_) => None,
    };
    let all: Vec<&Value> = receiver.into_iter().chain(arguments).collect();
    result.unwrap_or_else(|| Err(no_overload(name, &all)))
}

/// The refusal of a text that says no value of a type.
pub(super) fn not_from_text(wanted: &str) -> String {
    format!("type conversion error from 'string' to '{wanted}'")
}

fn int(number: usize) -> Outcome {
    Ok(Value::Int(i64::try_from(number).unwrap_or(i64::MAX)))
}

fn global(name: &str, arguments: &[Value]) -> Option<Outcome> {
    let [argument] = arguments else { return None };
    Some(match (name, argument) {
        ("size", Value::Text(text)) => int(text.chars().count()),
        ("size", Value::List(items)) => int(items.len()),
        ("size", Value::Map(map) | Value::Domains(map)) => int(map.len()),
        ("isSemver", Value::Text(text)) => Ok(Value::Bool(Semver::parse(text).is_some())),
        ("semver", Value::Text(text)) => {
            Semver::parse(text).map(Value::Semver).ok_or_else(|| format!("semver parse error: {text:?}"))
        }
        ("string", value @ (Value::Text(_) | Value::Int(_) | Value::Double(_) | Value::Bool(_))) => {
            Ok(Value::Text(value.show()))
        }
        ("int", Value::Int(_)) | ("double", Value::Double(_)) | ("bool", Value::Bool(_)) => Ok(argument.clone()),
        ("int", Value::Double(number)) => {
            // The bounds themselves are no sound numbers: `doubleToInt64Checked`.
            let fits = *number > i64::MIN as f64 && *number < i64::MAX as f64;
            if fits { Ok(Value::Int(*number as i64)) } else { Err("integer overflow".to_owned()) }
        }
        ("int", Value::Text(text)) => text.parse().map(Value::Int).map_err(|_| not_from_text("int")),
        ("double", Value::Int(number)) => Ok(Value::Double(*number as f64)),
        ("double", Value::Text(text)) => text.parse().map(Value::Double).map_err(|_| not_from_text("double")),
        ("bool", Value::Text(text)) => match text.as_str() {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(not_from_text("bool")),
        },
        ("jsonpatch.escapeKey", Value::Text(key)) => Ok(Value::Text(key.replace('~', "~0").replace('/', "~1"))),
        ("timestamp", Value::Text(text)) => time::timestamp(text),
        ("duration", Value::Text(text)) => time::duration(text),
        ("timestamp", Value::Timestamp(_)) | ("duration", Value::Duration(_)) => Ok(argument.clone()),
        ("string", value @ (Value::Timestamp(_) | Value::Duration(_))) => Ok(Value::Text(value.show())),
        ("type", value) => Ok(Value::Type(value.type_name())),
        ("dyn", value) => Ok(value.clone()),
        ("quantity", Value::Text(text)) => {
            Quantity::parse(text).map(Value::Quantity).map_err(|error| error.to_string())
        }
        ("isIP", Value::Text(text)) => Ok(Value::Bool(ip::parse_ip(text).is_some())),
        ("isCIDR", Value::Text(text)) => Ok(Value::Bool(Cidr::parse(text).is_some())),
        ("isQuantity", Value::Text(text)) => Ok(Value::Bool(Quantity::parse(text).is_ok())),
        _ => return None,
    })
}

fn of_text(name: &str, text: &str, arguments: &[Value]) -> Option<Outcome> {
    let letters = || text.chars().collect::<Vec<char>>();
    let position = |number: i64| usize::try_from(number).ok().filter(|number| *number <= text.chars().count());
    let cut = |from: usize, to: usize| Ok(Value::Text(letters()[from..to].iter().collect()));
    let found = |at: Option<usize>| at.map_or(Ok(Value::Int(-1)), |at| int(text[..at].chars().count()));
    Some(match (name, arguments) {
        ("size", []) => int(text.chars().count()),
        ("startsWith", [Value::Text(part)]) => Ok(Value::Bool(text.starts_with(part.as_str()))),
        ("endsWith", [Value::Text(part)]) => Ok(Value::Bool(text.ends_with(part.as_str()))),
        ("contains", [Value::Text(part)]) => Ok(Value::Bool(text.contains(part.as_str()))),
        ("matches", [Value::Text(pattern)]) => match go_regex::compile(pattern) {
            Ok(pattern) => Ok(Value::Bool(pattern.is_some_and(|pattern| pattern.is_match(text)))),
            Err(why) => Err(format!("error parsing regexp: {why}")),
        },
        ("find", [Value::Text(pattern)]) => found_in(pattern, text)
            .map(|mut found| Value::Text(if found.is_empty() { String::new() } else { found.swap_remove(0) })),
        ("findAll", [Value::Text(pattern)]) => {
            found_in(pattern, text).map(|found| Value::List(found.into_iter().map(Value::Text).collect()))
        }
        ("reverse", []) => Ok(Value::Text(text.chars().rev().collect())),
        ("lowerAscii", []) => Ok(Value::Text(text.to_ascii_lowercase())),
        ("upperAscii", []) => Ok(Value::Text(text.to_ascii_uppercase())),
        ("trim", []) => Ok(Value::Text(text.trim().to_owned())),
        ("indexOf", [Value::Text(part)]) => found(text.find(part.as_str())),
        ("lastIndexOf", [Value::Text(part)]) => found(text.rfind(part.as_str())),
        ("replace", [Value::Text(from), Value::Text(to)]) => Ok(Value::Text(text.replace(from.as_str(), to))),
        ("split", [Value::Text(between)]) => {
            Ok(Value::List(text.split(between.as_str()).map(|part| Value::Text(part.to_owned())).collect()))
        }
        ("substring", [Value::Int(from)]) => match position(*from) {
            Some(from) => cut(from, text.chars().count()),
            None => Err(format!("index out of range: {from}")),
        },
        ("substring", [Value::Int(from), Value::Int(to)]) => match (position(*from), position(*to)) {
            (Some(from), Some(to)) if from <= to => cut(from, to),
            _ => Err(format!("index out of range: {from}")),
        },
        ("charAt", [Value::Int(at)]) => match position(*at) {
            Some(at) => cut(at, (at + 1).min(text.chars().count())),
            None => Err(format!("index out of range: {at}")),
        },
        _ => return None,
    })
}

/// All matches of an expression, one behind the other.
fn found_in(pattern: &str, text: &str) -> Result<Vec<String>, String> {
    let pattern = go_regex::compile(pattern).map_err(|why| format!("error parsing regexp: {why}"))?;
    let letters: Vec<char> = text.chars().collect();
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(Some((start, end))) =
        pattern.as_ref().and_then(|pattern| pattern.find(&letters, from)?.first().copied())
    {
        found.push(letters[start..end].iter().collect());
        from = end.max(start + 1);
        if from > letters.len() {
            break;
        }
    }
    Ok(found)
}

/// The sum of numbers, the least and the greatest of what can be ordered.
fn aggregate(name: &str, items: &[Value]) -> Option<Outcome> {
    let wanted = match name {
        "min" => std::cmp::Ordering::Less,
        "max" => std::cmp::Ordering::Greater,
        _ => {
            let mut sum = Value::Int(0);
            for item in items {
                sum = match (&sum, item) {
                    (Value::Int(sum), Value::Int(item)) => Value::Int(sum.checked_add(*item)?),
                    (Value::Int(0), Value::Double(item)) => Value::Double(*item),
                    (Value::Double(sum), Value::Double(item)) => Value::Double(sum + item),
                    _ => return None,
                };
            }
            return Some(Ok(sum));
        }
    };
    let mut items = items.iter();
    let Some(first) = items.next() else { return Some(Err(format!("{name} called on empty list"))) };
    let mut best = first;
    for item in items {
        if item.compare(best)? == wanted {
            best = item;
        }
    }
    Some(Ok(best.clone()))
}

fn of_list(name: &str, items: &[Value], arguments: &[Value]) -> Option<Outcome> {
    let texts = || items.iter().map(Value::show).collect::<Vec<String>>();
    let is_sorted = || items.windows(2).all(|pair| pair[0].compare(&pair[1]).is_some_and(std::cmp::Ordering::is_le));
    Some(match (name, arguments) {
        ("size", []) => int(items.len()),
        ("join", []) => Ok(Value::Text(texts().concat())),
        ("join", [Value::Text(between)]) => Ok(Value::Text(texts().join(between))),
        ("indexOf", [item]) => items.iter().position(|other| other.equals(item)).map_or(Ok(Value::Int(-1)), int),
        ("lastIndexOf", [item]) => items.iter().rposition(|other| other.equals(item)).map_or(Ok(Value::Int(-1)), int),
        ("isSorted", []) => Ok(Value::Bool(is_sorted())),
        ("sum" | "min" | "max", []) => return aggregate(name, items),
        ("reverse", []) => Ok(Value::List(items.iter().rev().cloned().collect())),
        ("distinct", []) => {
            let is_new = |(at, item): &(usize, &Value)| !items[..*at].iter().any(|other| other.equals(item));
            Ok(Value::List(items.iter().enumerate().filter(is_new).map(|(_, item)| item.clone()).collect()))
        }
        ("slice", [Value::Int(from), Value::Int(to)]) => {
            let range =
                usize::try_from(*from).ok().zip(usize::try_from(*to).ok()).and_then(|(from, to)| items.get(from..to));
            range.map(|items| Value::List(items.to_vec())).ok_or_else(|| format!("cannot slice({from}, {to})"))
        }
        ("flatten", []) => {
            let parts = items.iter().flat_map(|item| match item {
                Value::List(items) => items.clone(),
                item => vec![item.clone()],
            });
            Ok(Value::List(parts.collect()))
        }
        _ => return None,
    })
}

fn of_optional(name: &str, value: Option<&Value>, arguments: &[Value]) -> Option<Outcome> {
    Some(match (name, arguments) {
        ("hasValue", []) => Ok(Value::Bool(value.is_some())),
        ("value", []) => value.cloned().ok_or_else(|| "optional.none() dereference".to_owned()),
        ("orValue", [otherwise]) => Ok(value.unwrap_or(otherwise).clone()),
        _ => return None,
    })
}

fn of_quantity(name: &str, quantity: Quantity, arguments: &[Value]) -> Option<Outcome> {
    Some(match (name, arguments) {
        ("isGreaterThan", [Value::Quantity(other)]) => Ok(Value::Bool(quantity > *other)),
        ("isLessThan", [Value::Quantity(other)]) => Ok(Value::Bool(quantity < *other)),
        ("compareTo", [Value::Quantity(other)]) => Ok(Value::Int(match quantity.cmp(other) {
            std::cmp::Ordering::Less => -1,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 1,
        })),
        ("add", [Value::Quantity(other)]) => {
            let mut sum = quantity;
            sum.add(*other);
            Ok(Value::Quantity(sum))
        }
        ("sub", [Value::Quantity(other)]) => {
            let mut rest = quantity;
            rest.sub(*other);
            Ok(Value::Quantity(rest))
        }
        _ => return None,
    })
}
