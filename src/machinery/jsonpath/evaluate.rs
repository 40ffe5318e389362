//! From a template's nodes and an object to values.
//!
//! Follows `client-go/util/jsonpath/jsonpath.go`.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::super::quote::plain;
use super::Results;
use super::parse::{Node, Slice};
use crate::machinery::order::Order as _;

/// The values of every node, `range` blocks once per item.
pub(super) fn find<'a>(nodes: &[Node], allows_missing_keys: bool, data: &'a Value) -> Result<Vec<Results<'a>>, String> {
    let mut evaluation =
        Evaluation { nodes, allows_missing_keys, ranges_to_begin: 0, ranges_open: 0, ranges_to_end: 0, last_end: None };
    evaluation.find(0, Cow::Borrowed(data))
}

struct Evaluation<'n> {
    nodes: &'n [Node],
    allows_missing_keys: bool,
    /// `range` words met but not begun.
    ranges_to_begin: usize,
    ranges_open: usize,
    /// `end` words met but not carried out.
    ranges_to_end: usize,
    /// Where the last block ended.
    last_end: Option<usize>,
}

impl Evaluation<'_> {
    fn find<'a>(&mut self, first: usize, data: Cow<'a, Value>) -> Result<Vec<Results<'a>>, String> {
        let mut found = Vec::new();
        let nodes = self.nodes;
        let mut index = first;
        while let Some(node) = nodes.get(index) {
            let results = self.walk(vec![data.clone()], node)?;
            if self.ranges_to_end > 0 && self.ranges_to_end <= self.ranges_open {
                self.ranges_to_end -= 1;
                self.last_end = Some(index);
                break;
            }
            if self.ranges_to_begin == 0 {
                found.push(results);
                index += 1;
                continue;
            }
            self.ranges_to_begin -= 1;
            self.ranges_open += 1;
            if results.is_empty() {
                // The block is gone through without an item to find where it ends.
                self.find(index + 1, Cow::Owned(Value::Null))?;
            }
            for item in results {
                found.extend(self.find(index + 1, item)?);
            }
            self.ranges_open -= 1;
            index = self.last_end.filter(|end| *end > index).unwrap_or(index) + 1;
        }
        Ok(found)
    }

    fn walk<'a>(&mut self, input: Results<'a>, node: &Node) -> Result<Results<'a>, String> {
        let same = |value: Value, input: &Results<'a>| vec![Cow::Owned(value); input.len()];
        match node {
            Node::List(nodes) => self.walk_all(input, nodes),
            Node::Text(text) => Ok(vec![Cow::Owned(Value::from(text.as_str()))]),
            Node::Integer(integer) => Ok(same(Value::from(*integer), &input)),
            Node::Float(float) => Ok(same(Value::from(*float), &input)),
            Node::Bool(truth) => Ok(same(Value::from(*truth), &input)),
            Node::Field(name) => self.field(&input, name),
            Node::Array(slice) => array(input, *slice),
            Node::Filter { left, right, operator } => self.filter(input, left, right, operator),
            Node::Wildcard => Ok(input.iter().flat_map(children).collect()),
            Node::Recursive => {
                let mut visited = Vec::new();
                descend(input, &mut visited);
                Ok(visited)
            }
            Node::Union(members) => {
                let mut results = Vec::new();
                for member in members {
                    results.extend(self.walk_all(input.clone(), member)?);
                }
                Ok(results)
            }
            Node::Identifier(name) => match name.as_str() {
                "range" => {
                    self.ranges_to_begin += 1;
                    Ok(input)
                }
                "end" if self.ranges_open > 0 => {
                    self.ranges_to_end += 1;
                    Ok(Vec::new())
                }
                "end" => Err("not in range, nothing to end".to_owned()),
                other => Err(format!("unrecognized identifier {other}")),
            },
        }
    }

    fn walk_all<'a>(&mut self, mut values: Results<'a>, nodes: &[Node]) -> Result<Results<'a>, String> {
        for node in nodes {
            values = self.walk(values, node)?;
        }
        Ok(values)
    }

    fn field<'a>(&self, input: &[Cow<'a, Value>], name: &str) -> Result<Results<'a>, String> {
        let results: Results<'a> = input
            .iter()
            .filter_map(|value| match value {
                Cow::Borrowed(value) => value.as_object()?.get(name).map(Cow::Borrowed),
                Cow::Owned(value) => value.as_object()?.get(name).cloned().map(Cow::Owned),
            })
            .collect();
        if results.is_empty() && !input.is_empty() && !self.allows_missing_keys {
            return Err(format!("{name} is not found"));
        }
        Ok(results)
    }

    fn filter<'a>(
        &mut self,
        input: Results<'a>,
        left: &[Node],
        right: &[Node],
        operator: &str,
    ) -> Result<Results<'a>, String> {
        let mut results = Vec::new();
        for value in input {
            if !value.is_array() {
                return Err(format!("{} is not array or slice and cannot be filtered", plain(&value)));
            }
            for item in children(&value) {
                let lefts = self.walk_all(vec![item.clone()], left);
                if operator == "exists" {
                    if lefts.is_ok_and(|lefts| !lefts.is_empty()) {
                        results.push(item);
                    }
                    continue;
                }
                let Some(left) = single(lefts?)? else {
                    continue;
                };
                let Some(right) = single(self.walk_all(vec![item.clone()], right)?)? else {
                    continue;
                };
                if compare(&left, &right, operator)? {
                    results.push(item);
                }
            }
        }
        Ok(results)
    }
}

fn single(mut values: Results<'_>) -> Result<Option<Cow<'_, Value>>, String> {
    if values.len() > 1 {
        return Err("can only compare one element at a time".to_owned());
    }
    Ok(values.pop())
}

/// The items of a list, or the values of an object by sorted keys.
fn children<'a>(value: &Cow<'a, Value>) -> Vec<Cow<'a, Value>> {
    fn sorted(fields: &serde_json::Map<String, Value>) -> Vec<&Value> {
        let mut keys: Vec<&String> = fields.keys().collect();
        keys.order();
        keys.into_iter().map(|key| &fields[key]).collect()
    }
    fn of(value: &Value) -> Vec<&Value> {
        match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => sorted(fields),
            _ => Vec::new(),
        }
    }
    match value {
        Cow::Borrowed(Value::String(text)) => bytes(text),
        Cow::Owned(Value::String(text)) => bytes(text),
        Cow::Borrowed(value) => of(value).into_iter().map(Cow::Borrowed).collect(),
        Cow::Owned(value) => of(value).into_iter().cloned().map(Cow::Owned).collect(),
    }
}

/// A string is a list of its bytes to upstream.
fn bytes<'a>(text: &str) -> Vec<Cow<'a, Value>> {
    text.bytes().map(|byte| Cow::Owned(Value::from(byte))).collect()
}

/// All values in depth-first order that have something in them, strings included.
fn descend<'a>(input: Results<'a>, visited: &mut Results<'a>) {
    for value in input {
        let inner = match &*value {
            Value::String(text) if !text.is_empty() => Vec::new(),
            _ => {
                let inner = children(&value);
                if inner.is_empty() {
                    continue;
                }
                inner
            }
        };
        visited.push(value);
        descend(inner, visited);
    }
}

fn array(input: Results<'_>, slice: Slice) -> Result<Results<'_>, String> {
    let mut results = Vec::new();
    for value in input {
        if value.is_null() {
            continue;
        }
        if !value.is_array() {
            return Err(format!("{} is not array or slice", type_name(&value)));
        }
        let items = children(&value);
        let length = items.len() as i64;
        let mut begin = slice.begin.unwrap_or(0);
        if begin < 0 {
            begin = begin.saturating_add(length);
        }
        let mut end = slice.end.unwrap_or(length);
        if end < 0 || (end == 0 && slice.is_index) {
            end = end.saturating_add(length);
        }
        if begin == end {
            return Ok(results);
        }
        if begin >= length || begin < 0 {
            return Err(out_of_bounds(begin, length));
        }
        if end > length || end < 0 {
            return Err(out_of_bounds(end - 1, length));
        }
        if begin > end {
            return Err(format!("starting index {begin} is greater than ending index {end}"));
        }
        let step = match slice.step {
            Some(step) if step <= 0 => return Err("step must be > 0".to_owned()),
            Some(step) => usize::try_from(step).unwrap_or(usize::MAX),
            None => 1,
        };
        let chosen = items.into_iter().take(end as usize).skip(begin as usize).step_by(step);
        results.extend(chosen);
    }
    Ok(results)
}

fn out_of_bounds(index: i64, length: i64) -> String {
    format!("array index out of bounds: index {index}, length {length}")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Compares as Go's templates do: only values of one basic kind.
fn compare(left: &Value, right: &Value, operator: &str) -> Result<bool, String> {
    if !matches!(operator, "<" | ">" | "==" | "!=" | "<=" | ">=") {
        return Err(format!("unrecognized filter operator {operator}"));
    }
    let is_basic = |value: &Value| value.is_boolean() || value.is_number() || value.is_string();
    if !(is_basic(left) && is_basic(right)) {
        return Err("invalid type for comparison".to_owned());
    }
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) if left.is_f64() == right.is_f64() => {
            match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.as_f64().partial_cmp(&right.as_f64()).unwrap_or(Ordering::Equal),
            }
        }
        (Value::Bool(left), Value::Bool(right)) if matches!(operator, "==" | "!=") => left.cmp(right),
        (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(match operator {
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        "==" => order.is_eq(),
        _ => order.is_ne(),
    })
}
