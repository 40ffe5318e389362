//! The functions that a template can call.

use serde_json::Value;

use crate::kubectl::printer::go_print;
use crate::machinery::quote;

/// Their names.
pub(super) const FUNCTIONS: [&str; 17] = [
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "print",
    "printf",
    "println",
    "exists",
    "base64decode",
    "html",
];

/// Whether a value counts as true: whether it is not the zero of its type.
pub(super) fn truth(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

/// Calls a function.
pub(super) fn call(name: &str, values: Vec<Option<Value>>) -> Result<Option<Value>, String> {
    let value = |at: usize| values.get(at).cloned().flatten();
    let texts = || values.iter().map(|value| value.as_ref().map_or("<no value>".to_owned(), go_print));
    let result = match name {
        "and" => return Ok(values.iter().find(|value| !truth(value.as_ref())).or(values.last()).cloned().flatten()),
        "or" => return Ok(values.iter().find(|value| truth(value.as_ref())).or(values.last()).cloned().flatten()),
        "not" => (!truth(value(0).as_ref())).into(),
        "eq" => values.iter().skip(1).any(|other| *other == value(0)).into(),
        "ne" => (value(0) != value(1)).into(),
        "lt" | "le" | "gt" | "ge" => {
            let order = compare(value(0).as_ref(), value(1).as_ref())?;
            match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            }
            .into()
        }
        "len" => match value(0) {
            Some(Value::Array(items)) => items.len().into(),
            Some(Value::Object(map)) => map.len().into(),
            Some(Value::String(text)) => text.len().into(),
            _ => return Err("error calling len: len of nil pointer".to_owned()),
        },
        "index" => return index(&values),
        "print" | "html" => texts().collect::<String>().into(),
        "println" => format!("{}\n", texts().collect::<Vec<_>>().join(" ")).into(),
        "printf" => printf(&values)?.into(),
        "exists" => value(0).is_some().into(),
        "base64decode" => {
            let text = value(0).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
            let bytes = crate::machinery::base64::decode(&text).map_err(|_| "illegal base64 data".to_owned())?;
            String::from_utf8_lossy(&bytes).into_owned().into()
        }
        other => return Err(format!("function {other:?} not defined")),
    };
    Ok(Some(result))
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Result<std::cmp::Ordering, String> {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            Ok(a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(std::cmp::Ordering::Equal))
        }
        (Some(Value::String(a)), Some(Value::String(b))) => Ok(a.cmp(b)),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn index(values: &[Option<Value>]) -> Result<Option<Value>, String> {
    let mut current = values.first().cloned().flatten();
    for key in values.iter().skip(1) {
        current = match (current, key) {
            (Some(Value::Object(map)), Some(Value::String(key))) => map.get(key).cloned(),
            (Some(Value::Array(items)), Some(Value::Number(at))) => {
                let at = at.as_i64().unwrap_or(-1);
                let item = usize::try_from(at).ok().and_then(|at| items.get(at));
                Some(item.cloned().ok_or_else(|| format!("error calling index: index out of range: {at}"))?)
            }
            (None | Some(Value::Null), _) => return Err("error calling index: index of untyped nil".to_owned()),
            _ => return Err("error calling index: cannot index".to_owned()),
        };
    }
    Ok(current)
}

fn printf(values: &[Option<Value>]) -> Result<String, String> {
    let Some(Some(Value::String(format))) = values.first() else {
        return Err("error calling printf: wrong type for value; expected string".to_owned());
    };
    let mut left = values[1..].iter();
    let (mut text, mut letters) = (String::new(), format.chars());
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => text.push('%'),
            Some('q') => {
                let value = left.next().cloned().flatten();
                text.push_str(&quote::quote(&value.as_ref().map_or(String::new(), go_print)));
            }
            Some(_) => {
                let value = left.next().cloned().flatten();
                text.push_str(&value.as_ref().map_or("<nil>".to_owned(), go_print));
            }
            None => text.push_str("%!(NOVERB)"),
        }
    }
    Ok(text)
}
