//! The functions that jq has by itself.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::evaluate::{Failed, Item, Machine, Results, each};
use super::syntax::Filter;
use super::values::{self, compare, described, is_true, kind, number, text};
use crate::machinery::go_regex;
use crate::machinery::order::Order as _;

/// How many numbers `range` counts.
const RANGE_MAX: usize = 100_000;

/// The functions with how many arguments they take.
const FUNCTIONS: &[(&str, &[usize])] = &[
    ("empty", &[0]),
    ("not", &[0]),
    ("length", &[0]),
    ("utf8bytelength", &[0]),
    ("keys", &[0]),
    ("keys_unsorted", &[0]),
    ("values", &[0]),
    ("nulls", &[0]),
    ("strings", &[0]),
    ("numbers", &[0]),
    ("booleans", &[0]),
    ("arrays", &[0]),
    ("objects", &[0]),
    ("iterables", &[0]),
    ("scalars", &[0]),
    ("type", &[0]),
    ("tostring", &[0]),
    ("tonumber", &[0]),
    ("tojson", &[0]),
    ("fromjson", &[0]),
    ("add", &[0]),
    ("any", &[0, 1]),
    ("all", &[0, 1]),
    ("first", &[0, 1]),
    ("last", &[0, 1]),
    ("nth", &[1]),
    ("limit", &[2]),
    ("range", &[1, 2]),
    ("map", &[1]),
    ("map_values", &[1]),
    ("select", &[1]),
    ("recurse", &[0]),
    ("has", &[1]),
    ("in", &[1]),
    ("inside", &[1]),
    ("contains", &[1]),
    ("index", &[1]),
    ("indices", &[1]),
    ("startswith", &[1]),
    ("endswith", &[1]),
    ("ltrimstr", &[1]),
    ("rtrimstr", &[1]),
    ("trim", &[0]),
    ("split", &[1]),
    ("join", &[1]),
    ("ascii_downcase", &[0]),
    ("ascii_upcase", &[0]),
    ("explode", &[0]),
    ("test", &[1, 2]),
    ("sub", &[2]),
    ("gsub", &[2]),
    ("sort", &[0]),
    ("sort_by", &[1]),
    ("group_by", &[1]),
    ("unique", &[0]),
    ("unique_by", &[1]),
    ("min", &[0]),
    ("max", &[0]),
    ("min_by", &[1]),
    ("max_by", &[1]),
    ("reverse", &[0]),
    ("flatten", &[0, 1]),
    ("to_entries", &[0]),
    ("from_entries", &[0]),
    ("with_entries", &[1]),
    ("del", &[1]),
    ("delpaths", &[1]),
    ("path", &[1]),
    ("paths", &[0]),
    ("getpath", &[1]),
    ("setpath", &[2]),
    ("error", &[0, 1]),
    ("floor", &[0]),
    ("ceil", &[0]),
    ("round", &[0]),
    ("fabs", &[0]),
    ("sqrt", &[0]),
    ("env", &[0]),
    ("isvalid", &[1]),
    ("transpose", &[0]),
    ("ascii", &[0]),
    ("input_line_number", &[0]),
];

/// Whether there is a function of this name that takes so many arguments.
pub(super) fn exists(name: &str, arguments: usize) -> bool {
    FUNCTIONS.iter().any(|(known, counts)| *known == name && counts.contains(&arguments))
}

fn one(value: impl Into<Value>) -> Results {
    Ok(vec![Item::new(value.into())])
}

fn list<'a>(value: &'a Value, name: &str) -> Result<&'a Vec<Value>, Failed> {
    value.as_array().ok_or_else(|| format!("{} cannot be {name}, as it is not an array", described(value)).into())
}

/// The values of an object or a list.
fn elements(value: &Value) -> Result<Vec<Value>, Failed> {
    let mut all = Vec::new();
    each(&Item::new(value.clone()), &mut all)?;
    Ok(all.into_iter().map(|item| item.value).collect())
}

/// Calls a function that works on filters.
pub(super) fn call(machine: &mut Machine, name: &str, arguments: &[Filter], input: &Item) -> Results {
    let value = &input.value;
    match (name, arguments) {
        ("empty", _) => Ok(Vec::new()),
        ("select", [condition]) => {
            let kept = machine.values(condition, input)?;
            Ok(kept.iter().filter(|value| is_true(value)).map(|_| input.clone()).collect())
        }
        ("recurse", []) => machine.run(&Filter::Everything, input),
        ("map", [with]) => {
            let each = Filter::Each(Box::new(Filter::Identity));
            let mapped = Filter::Pipe(Box::new(each), Box::new(with.clone()));
            one(machine.values(&mapped, input)?)
        }
        ("map_values", [with]) => {
            let each = Filter::Each(Box::new(Filter::Identity));
            machine.run(&Filter::Update(Box::new(each), Box::new(with.clone())), input)
        }
        ("with_entries", [with]) => {
            let entries = Item::new(entries(value)?);
            let each = Filter::Each(Box::new(Filter::Identity));
            let mapped = Filter::Pipe(Box::new(each), Box::new(with.clone()));
            one(from_entries(&machine.values(&mapped, &entries)?)?)
        }
        ("any" | "all", arguments) => {
            let found = match arguments {
                [] => elements(value)?,
                [condition, ..] => {
                    let mut found = Vec::new();
                    for element in elements(value)? {
                        found.extend(machine.values(condition, &Item::new(element))?);
                    }
                    found
                }
            };
            one(if name == "any" { found.iter().any(is_true) } else { found.iter().all(is_true) })
        }
        ("first", [of]) => Ok(machine.run(of, input)?.into_iter().take(1).collect()),
        ("last", [of]) => Ok(machine.run(of, input)?.into_iter().last().into_iter().collect()),
        ("limit", [count, of]) => {
            let count = number(&machine.first(count, input)?).unwrap_or(0.0).max(0.0) as usize;
            Ok(machine.run(of, input)?.into_iter().take(count).collect())
        }
        ("sort_by" | "group_by" | "unique_by" | "min_by" | "max_by", [key]) => by_key(machine, name, key, input),
        ("path", [of]) => Ok(machine.paths(of, value)?.into_iter().map(|path| Item::new(path.into())).collect()),
        ("paths", []) => {
            let paths = machine.paths(&Filter::Everything, value)?;
            Ok(paths.into_iter().filter(|path| !path.is_empty()).map(|path| Item::new(path.into())).collect())
        }
        ("del", [places]) => {
            let paths = machine.paths(places, value)?;
            let mut left = value.clone();
            values::remove_all(&mut left, paths);
            one(left)
        }
        ("isvalid", [tried]) => one(machine.run(tried, input).is_ok()),
        ("first", []) => first_or_last(machine, 0, input),
        ("last", []) => first_or_last(machine, -1, input),
        _ => {
            let mut values = Vec::with_capacity(arguments.len());
            for argument in arguments {
                values.push(machine.first(argument, input)?);
            }
            plain(name, value, &values, input)
        }
    }
}

fn first_or_last(machine: &mut Machine, at: i64, input: &Item) -> Results {
    let index = Filter::Literal(at.into());
    machine.run(&Filter::Index(Box::new(Filter::Identity), Box::new(index)), input)
}

fn by_key(machine: &mut Machine, name: &str, key: &Filter, input: &Item) -> Results {
    let mut keyed: Vec<(Value, Value)> = Vec::new();
    for element in list(&input.value, "sorted")? {
        keyed.push((machine.values(key, &Item::new(element.clone()))?.into(), element.clone()));
    }
    keyed.order_by(|left, right| compare(&left.0, &right.0));
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, element) in keyed {
        match groups.last_mut().filter(|(known, _)| compare(known, &key).is_eq()) {
            Some((_, group)) => group.push(element),
            None => groups.push((key, vec![element])),
        }
    }
    let mut groups = groups.into_iter().map(|(_, group)| group);
    match name {
        "group_by" => one(groups.map(Value::from).collect::<Value>()),
        "unique_by" => one(groups.filter_map(|group| group.into_iter().next()).collect::<Value>()),
        "min_by" => one(groups.next().and_then(|group| group.into_iter().next()).unwrap_or(Value::Null)),
        "max_by" => one(groups.last().and_then(|group| group.into_iter().last()).unwrap_or(Value::Null)),
        _ => one(groups.flatten().collect::<Value>()),
    }
}

/// Functions that work on values alone.
fn plain(name: &str, value: &Value, arguments: &[Value], input: &Item) -> Results {
    let argument = arguments.first().unwrap_or(&Value::Null);
    let is = |wanted: bool| Ok(if wanted { vec![input.clone()] } else { Vec::new() });
    match name {
        "not" => one(!is_true(value)),
        "values" => is(!value.is_null()),
        "nulls" => is(value.is_null()),
        "strings" => is(value.is_string()),
        "numbers" => is(value.is_number()),
        "booleans" => is(value.is_boolean()),
        "arrays" => is(value.is_array()),
        "objects" => is(value.is_object()),
        "iterables" => is(value.is_array() || value.is_object()),
        "scalars" => is(!value.is_array() && !value.is_object()),
        "type" => one(kind(value)),
        "tostring" => one(text(value)),
        "tojson" => one(value.to_string()),
        "env" => one(Value::Object(Map::new())),
        "input_line_number" => one(0),
        "error" => Err(if arguments.is_empty() { value.clone() } else { argument.clone() }),
        "getpath" => one(values::at(value, list(argument, "a path")?)),
        "setpath" => {
            let mut changed = value.clone();
            values::put(&mut changed, list(argument, "a path")?, arguments.get(1).cloned().unwrap_or(Value::Null))?;
            one(changed)
        }
        "delpaths" => {
            let mut left = value.clone();
            let paths = list(argument, "paths")?.iter().filter_map(|path| path.as_array().cloned()).collect();
            values::remove_all(&mut left, paths);
            one(left)
        }
        "range" => {
            let (from, to) = match arguments {
                [from, to] => (number(from), number(to)),
                _ => (Some(0.0), number(argument)),
            };
            let (Some(from), Some(to)) = (from, to) else { return Err("Range bounds must be numeric".into()) };
            let count = ((to - from).ceil().max(0.0) as usize).min(RANGE_MAX);
            Ok((0..count).map(|at| Item::new(values::of_number(from + at as f64))).collect())
        }
        "floor" | "ceil" | "round" | "fabs" | "sqrt" => {
            let number = number(value).ok_or_else(|| Value::from(format!("{} number required", described(value))))?;
            one(values::of_number(match name {
                "floor" => number.floor(),
                "ceil" => number.ceil(),
                "round" => number.round(),
                "fabs" => number.abs(),
                _ => number.sqrt(),
            }))
        }
        "length" | "utf8bytelength" | "keys" | "keys_unsorted" | "has" | "in" | "contains" | "inside"
        | "to_entries" | "from_entries" | "add" => of_any(name, value, argument),
        "sort" | "unique" | "min" | "max" | "reverse" | "flatten" | "join" | "nth" | "transpose" | "index"
        | "indices" => of_lists(name, value, argument),
        _ => of_texts(name, value, arguments),
    }
}

/// Functions on objects, lists and more.
fn of_any(name: &str, value: &Value, argument: &Value) -> Results {
    match name {
        "length" => match value {
            Value::Null => one(0),
            Value::Bool(_) => Err(format!("{} has no length", described(value)).into()),
            Value::Number(_) => one(values::of_number(number(value).unwrap_or(0.0).abs())),
            Value::String(text) => one(text.chars().count()),
            Value::Array(list) => one(list.len()),
            Value::Object(fields) => one(fields.len()),
        },
        "utf8bytelength" => one(text(value).len()),
        "keys" | "keys_unsorted" => match value {
            Value::Object(fields) if name == "keys" => one(values::sorted_keys(fields)),
            Value::Object(fields) => one(fields.keys().cloned().collect::<Vec<_>>()),
            Value::Array(list) => one((0..list.len()).collect::<Vec<_>>()),
            other => Err(format!("{} has no keys", described(other)).into()),
        },
        "has" => has(value, argument),
        "in" => has(argument, value),
        "contains" => one(contains(value, argument)?),
        "inside" => one(contains(argument, value)?),
        "to_entries" => one(entries(value)?),
        "from_entries" => one(from_entries(list(value, "made an object")?)?),
        _ => {
            let mut sum = Value::Null;
            for element in elements(value)? {
                sum = values::add(sum, element)?;
            }
            one(sum)
        }
    }
}

fn has(value: &Value, key: &Value) -> Results {
    match (value, key) {
        (Value::Object(fields), Value::String(name)) => one(fields.contains_key(name)),
        (Value::Array(list), Value::Number(_)) => one(values::place(key, list.len()).is_some_and(|at| at < list.len())),
        (value, key) => Err(format!("Cannot check whether {} has a {} key", kind(value), kind(key)).into()),
    }
}

fn contains(whole: &Value, part: &Value) -> Result<bool, Failed> {
    Ok(match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, part) in part {
                let Some(whole) = whole.get(key) else { return Ok(false) };
                if !contains(whole, part)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part).unwrap_or(false)))
        }
        (Value::String(whole), Value::String(part)) => whole.contains(part.as_str()),
        (whole, part) if kind(whole) == kind(part) => compare(whole, part).is_eq(),
        (whole, part) => {
            let texts = (described(whole), described(part));
            return Err(format!("{} and {} cannot have their containment checked", texts.0, texts.1).into());
        }
    })
}

fn entries(value: &Value) -> Result<Value, Failed> {
    let Value::Object(fields) = value else { return Err(format!("{} has no keys", described(value)).into()) };
    Ok(fields.iter().map(|(key, value)| serde_json::json!({ "key": key, "value": value })).collect())
}

fn from_entries(list: &[Value]) -> Result<Value, Failed> {
    let mut fields = Map::new();
    for entry in list {
        let named = |names: &[&str]| names.iter().map(|name| &entry[*name]).find(|value| !value.is_null());
        let key = named(&["key", "k", "name", "Key", "Name", "K"]).unwrap_or(&Value::Null);
        let value = named(&["value", "v", "Value", "V"]).cloned().unwrap_or_else(|| entry["value"].clone());
        fields.insert(if key.is_null() { "null".to_owned() } else { text(key) }, value);
    }
    Ok(fields.into())
}

fn of_lists(name: &str, value: &Value, argument: &Value) -> Results {
    if let (Value::String(whole), "index" | "indices") = (value, name) {
        let part = text(argument);
        let mut places = whole.match_indices(part.as_str()).map(|(at, _)| whole[..at].chars().count());
        return if name == "index" { one(places.next()) } else { one(places.collect::<Vec<_>>()) };
    }
    if let (Value::String(whole), "reverse") = (value, name) {
        return one(whole.chars().rev().collect::<String>());
    }
    if value.is_null() && name == "reverse" {
        return one(Vec::<Value>::new());
    }
    let held = list(value, "sorted")?;
    match name {
        "index" | "indices" => {
            let mut places =
                held.iter().enumerate().filter(|(_, held)| compare(held, argument).is_eq()).map(|(at, _)| at);
            if name == "index" { one(places.next()) } else { one(places.collect::<Vec<_>>()) }
        }
        "reverse" => one(held.iter().rev().cloned().collect::<Vec<_>>()),
        "nth" => one(values::place(argument, held.len()).and_then(|at| held.get(at)).cloned().unwrap_or(Value::Null)),
        "flatten" => {
            let depth = number(argument).unwrap_or(1e9);
            let mut flat = Vec::new();
            flatten(held, depth, &mut flat);
            one(flat)
        }
        "join" => {
            let part = text(argument);
            let texts = held.iter().map(|value| if value.is_null() { String::new() } else { text(value) });
            one(texts.collect::<Vec<_>>().join(&part))
        }
        "transpose" => {
            let width = held.iter().map(|row| row.as_array().map_or(0, Vec::len)).max().unwrap_or(0);
            one((0..width).map(|at| held.iter().map(|row| row[at].clone()).collect::<Value>()).collect::<Vec<_>>())
        }
        _ => {
            let mut sorted = held.clone();
            sorted.order_by(compare);
            match name {
                "unique" => {
                    sorted.dedup_by(|left, right| compare(left, right) == Ordering::Equal);
                    one(sorted)
                }
                "min" => one(sorted.into_iter().next().unwrap_or(Value::Null)),
                "max" => one(sorted.pop().unwrap_or(Value::Null)),
                _ => one(sorted),
            }
        }
    }
}

fn flatten(list: &[Value], depth: f64, flat: &mut Vec<Value>) {
    for value in list {
        match value {
            Value::Array(inner) if depth > 0.0 => flatten(inner, depth - 1.0, flat),
            other => flat.push(other.clone()),
        }
    }
}

fn of_texts(name: &str, value: &Value, arguments: &[Value]) -> Results {
    let argument = arguments.first().unwrap_or(&Value::Null);
    if name == "tonumber" {
        return match value {
            Value::Number(_) => one(value.clone()),
            Value::String(text) => match serde_json::from_str::<Value>(text.trim()) {
                Ok(Value::Number(number)) => one(Value::Number(number)),
                _ => Err(format!("{} cannot be parsed as a number", described(value)).into()),
            },
            other => Err(format!("{} cannot be parsed as a number", described(other)).into()),
        };
    }
    let whole = match value {
        Value::String(whole) => whole.as_str(),
        other if matches!(name, "ltrimstr" | "rtrimstr") => return one(other.clone()),
        other if matches!(name, "startswith" | "endswith") => {
            return Err(format!("{name}() requires string inputs, not {}", kind(other)).into());
        }
        other if matches!(name, "test" | "sub" | "gsub") => {
            return Err(format!("{} cannot be matched, as it is not a string", described(other)).into());
        }
        other => return Err(format!("{name} input must be a string, not {}", described(other)).into()),
    };
    let part = text(argument);
    match name {
        "fromjson" => match serde_json::from_str::<Value>(whole) {
            Ok(read) => one(read),
            Err(_) => Err(format!("{} (while parsing '{whole}')", "Invalid literal").into()),
        },
        "startswith" => one(whole.starts_with(&part)),
        "endswith" => one(whole.ends_with(&part)),
        "ltrimstr" => one(whole.strip_prefix(part.as_str()).unwrap_or(whole)),
        "rtrimstr" => one(whole.strip_suffix(part.as_str()).unwrap_or(whole)),
        "trim" => one(whole.trim()),
        "split" => one(values::split(whole, &part)),
        "ascii_downcase" => one(whole.to_ascii_lowercase()),
        "ascii_upcase" => one(whole.to_ascii_uppercase()),
        "explode" => one(whole.chars().map(u32::from).collect::<Vec<_>>()),
        "test" | "sub" | "gsub" => {
            let flags = if name == "test" { arguments.get(1).map(text).unwrap_or_default() } else { String::new() };
            let pattern = if flags.contains('i') { format!("(?i){part}") } else { part };
            matched(name, whole, &pattern, arguments.get(1))
        }
        _ => one(value.clone()),
    }
}

fn matched(name: &str, whole: &str, pattern: &str, with: Option<&Value>) -> Results {
    let regex = go_regex::compile(pattern).ok().flatten();
    let regex = regex.ok_or_else(|| Value::from(format!("{pattern} (at offset 0) is not a valid regex")))?;
    if name == "test" {
        return one(regex.is_match(whole));
    }
    let letters: Vec<char> = whole.chars().collect();
    let (mut out, mut at, with) = (String::new(), 0, with.map(text).unwrap_or_default());
    while at <= letters.len()
        && let Some((from, to)) = regex.find(&letters, at).and_then(|groups| groups.first().copied().flatten())
    {
        out.extend(&letters[at..from]);
        out.push_str(&with);
        at = to;
        if from == to {
            out.extend(letters.get(at));
            at += 1;
        }
        if name == "sub" {
            break;
        }
    }
    out.extend(letters.get(at..).unwrap_or_default());
    one(out)
}
