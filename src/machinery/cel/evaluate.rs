//! From a tree to its value.

use std::collections::BTreeMap;

use super::functions;
use super::parse::{Expression, Node};
use super::value::Value;

type Outcome = Result<Value, String>;

/// What names mean: the variables of comprehensions, innermost last, and all others.
pub(super) struct Scope<'a> {
    outer: &'a dyn Fn(&str) -> Option<Outcome>,
    bound: Vec<(&'a str, Value)>,
    steps: u32,
}

/// How many parts of an expression are evaluated, those of a comprehension for each item: where upstream counts costs, and
/// gives up at a million.
const STEPS_MAX: u32 = 1_000_000;

impl<'a> Scope<'a> {
    pub(super) fn new(outer: &'a dyn Fn(&str) -> Option<Outcome>) -> Self {
        Self { outer, bound: Vec::new(), steps: 0 }
    }

    pub(super) fn evaluate(&mut self, expression: &'a Expression) -> Outcome {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err("operation cancelled: actual cost limit exceeded".to_owned());
        }
        match &expression.node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Name(name) => {
                let bound =
                    self.bound.iter().rev().find(|(known, _)| known == name).map(|(_, value)| Ok(value.clone()));
                bound.or_else(|| (self.outer)(name)).unwrap_or_else(|| Err(format!("no such attribute(s): {name}")))
            }
            Node::List(items) => {
                items.iter().map(|item| self.evaluate(item)).collect::<Result<_, _>>().map(Value::List)
            }
            Node::Map(entries) => {
                let entry = |(key, value): &'a (Expression, Expression)| {
                    Ok((self.evaluate(key)?.show(), self.evaluate(value)?))
                };
                entries.iter().map(entry).collect::<Result<_, String>>().map(Value::Map)
            }
            Node::Select(of, field) => self.select(of, field),
            Node::OptionalSelect(of, field) => {
                let found = match self.evaluate(of)? {
                    Value::Optional(Some(inner)) => *inner,
                    value => value,
                };
                Ok(Value::Optional(match found {
                    Value::Map(mut map) | Value::Domains(mut map) => map.remove(field).map(Box::new),
                    _ => None,
                }))
            }
            Node::Index(of, index) => {
                let (of, index) = (self.evaluate(of)?, self.evaluate(index)?);
                index_of(&of, &index)
            }
            Node::Has(of, field) => match self.evaluate(of)? {
                Value::Map(map) => Ok(Value::Bool(map.contains_key(field))),
                Value::Domains(_) => Ok(Value::Bool(true)),
                _ => Ok(Value::Bool(false)),
            },
            Node::Call(name, receiver, arguments) => {
                let receiver = receiver.as_ref().map(|one| self.evaluate(one)).transpose()?;
                let arguments: Vec<Value> =
                    arguments.iter().map(|argument| self.evaluate(argument)).collect::<Result<_, _>>()?;
                functions::call(name, receiver.as_ref(), &arguments)
            }
            Node::Not(of) => match self.evaluate(of)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                _ => Err(NO_OVERLOAD.to_owned()),
            },
            Node::Negate(of) => match self.evaluate(of)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(|| "integer overflow".to_owned()),
                Value::Double(value) => Ok(Value::Double(-value)),
                Value::Bool(_) => Err(NO_OVERLOAD.to_owned()),
                _ => Err(format!("{NO_OVERLOAD}: -_")),
            },
            Node::Binary(operator @ ("&&" | "||"), left, right) => self.logic(*operator == "||", left, right),
            Node::Binary(operator, left, right) => {
                let (left, right) = (self.evaluate(left)?, self.evaluate(right)?);
                binary(operator, &left, &right)
            }
            Node::Conditional(condition, yes, no) => match self.evaluate(condition)? {
                Value::Bool(true) => self.evaluate(yes),
                Value::Bool(false) => self.evaluate(no),
                _ => Err(NO_OVERLOAD.to_owned()),
            },
            Node::Comprehension { macro_name: "bind", of, variable, body, .. } => {
                let value = self.evaluate(of)?;
                self.bound.push((variable, value));
                let outcome = self.evaluate(body);
                self.bound.pop();
                outcome
            }
            Node::Comprehension { macro_name, of, variable, body, result } => {
                let items = match self.evaluate(of)? {
                    Value::List(items) => items,
                    Value::Map(map) | Value::Domains(map) => map.into_keys().map(Value::Text).collect(),
                    _ => return Err(NO_OVERLOAD.to_owned()),
                };
                self.comprehend(macro_name, items, variable, body, result.as_deref())
            }
        }
    }

    fn select(&mut self, of: &'a Expression, field: &str) -> Outcome {
        // A variable of the policy is looked up by its whole name, so that it is evaluated only when it is used.
        if let Node::Name(name) = &of.node
            && let Some(found) = (self.outer)(&format!("{name}.{field}"))
        {
            return found;
        }
        match self.evaluate(of)? {
            Value::Map(mut map) => map.remove(field).ok_or_else(|| format!("no such key: {field}")),
            Value::Domains(mut map) => Ok(map.remove(field).unwrap_or_else(|| Value::Map(BTreeMap::new()))),
            // Behind a field that may be missing, every other may be.
            Value::Optional(value) => Ok(Value::Optional(match value.map(|value| *value) {
                Some(Value::Map(mut map)) => map.remove(field).map(Box::new),
                _ => None,
            })),
            _ => Err(format!("no such key: {field}")),
        }
    }

    /// `&&` and `||`: what one side decides, the other cannot spoil by an error.
    fn logic(&mut self, deciding: bool, left: &'a Expression, right: &'a Expression) -> Outcome {
        let left = self.evaluate(left);
        if left == Ok(Value::Bool(deciding)) {
            return left;
        }
        let right = self.evaluate(right);
        if right == Ok(Value::Bool(deciding)) {
            return right;
        }
        match (left?, right?) {
            (Value::Bool(_), Value::Bool(_)) => Ok(Value::Bool(!deciding)),
            _ => Err(NO_OVERLOAD.to_owned()),
        }
    }

    fn comprehend(
        &mut self,
        macro_name: &str,
        items: Vec<Value>,
        variable: &'a str,
        body: &'a Expression,
        result: Option<&'a Expression>,
    ) -> Outcome {
        let mut kept = Vec::new();
        let mut held = 0;
        let mut failure = None;
        for item in items {
            self.bound.push((variable, item.clone()));
            let outcome = self.evaluate(body);
            let made = match (&outcome, result) {
                (Ok(Value::Bool(true)), Some(result)) => Some(self.evaluate(result)),
                _ => None,
            };
            self.bound.pop();
            match (macro_name, outcome) {
                ("map", outcome) if result.is_none() => kept.push(outcome?),
                ("all", Ok(Value::Bool(false))) => return Ok(Value::Bool(false)),
                ("exists", Ok(Value::Bool(true))) => return Ok(Value::Bool(true)),
                (_, Ok(Value::Bool(true))) => {
                    held += 1;
                    kept.push(made.unwrap_or(Ok(item))?);
                }
                (_, Ok(Value::Bool(false))) => {}
                (_, Ok(_)) => return Err(NO_OVERLOAD.to_owned()),
                // Another item may still decide.
                ("all" | "exists", Err(why)) => failure = failure.or(Some(why)),
                (_, Err(why)) => return Err(why),
            }
        }
        match (failure, macro_name) {
            (Some(why), _) => Err(why),
            (None, "all") => Ok(Value::Bool(true)),
            (None, "exists") => Ok(Value::Bool(false)),
            (None, "exists_one") => Ok(Value::Bool(held == 1)),
            (None, _) => Ok(Value::List(kept)),
        }
    }
}

/// What an operator says of values that it does not know, while an expression is evaluated.
const NO_OVERLOAD: &str = "no such overload";

/// And a function: `decls.MaybeNoSuchOverload`.
pub(super) fn no_overload(function: &str, arguments: &[&Value]) -> String {
    let types: Vec<&str> = arguments.iter().map(|argument| argument.type_name()).collect();
    format!("{NO_OVERLOAD}: {function}({})", types.join(", "))
}

fn index_of(of: &Value, index: &Value) -> Outcome {
    match (of, index) {
        (Value::List(items), Value::Int(index)) => {
            let found = usize::try_from(*index).ok().and_then(|index| items.get(index)).cloned();
            found.ok_or_else(|| format!("index out of bounds: {index}"))
        }
        (Value::List(_), index) => Err(format!("unsupported index type '{}' in list", index.type_name())),
        (Value::Map(map), Value::Text(key)) => map.get(key).cloned().ok_or_else(|| format!("no such key: {key}")),
        (Value::Domains(map), Value::Text(key)) => {
            Ok(map.get(key).cloned().unwrap_or_else(|| Value::Map(BTreeMap::new())))
        }
        (_, key) => Err(format!("no such key: {}", key.show())),
    }
}

fn binary(operator: &str, left: &Value, right: &Value) -> Outcome {
    use std::cmp::Ordering;
    let ordered = |accept: fn(Ordering) -> bool| {
        let order = left.compare(right).ok_or_else(|| unknown_to(operator, left))?;
        Ok(Value::Bool(accept(order)))
    };
    match operator {
        "==" => Ok(Value::Bool(left.equals(right))),
        "!=" => Ok(Value::Bool(!left.equals(right))),
        "<" => ordered(Ordering::is_lt),
        "<=" => ordered(Ordering::is_le),
        ">" => ordered(Ordering::is_gt),
        ">=" => ordered(Ordering::is_ge),
        "in" => match (left, right) {
            (item, Value::List(items)) => Ok(Value::Bool(items.iter().any(|other| other.equals(item)))),
            (Value::Text(key), Value::Map(map) | Value::Domains(map)) => Ok(Value::Bool(map.contains_key(key))),
            (_, Value::Map(_) | Value::Domains(_)) => Ok(Value::Bool(false)),
            _ => Err(NO_OVERLOAD.to_owned()),
        },
        _ => arithmetic(operator, left, right),
    }
}

/// What an operator says of a right side that does not fit its left one, or of a left side that knows no such operator.
fn unknown_to(operator: &str, left: &Value) -> String {
    let knows = match left {
        Value::Int(_) => true,
        Value::Double(_) => operator != "%",
        Value::Text(_) => !matches!(operator, "-" | "*" | "/" | "%"),
        Value::List(_) => operator == "+",
        Value::Bool(_) => matches!(operator, "<" | "<=" | ">" | ">="),
        Value::Timestamp(_) | Value::Duration(_) => !matches!(operator, "*" | "/" | "%"),
        _ => false,
    };
    if knows { NO_OVERLOAD.to_owned() } else { format!("{NO_OVERLOAD}: _{operator}_") }
}

fn arithmetic(operator: &str, left: &Value, right: &Value) -> Outcome {
    match (left, right) {
        (Value::Int(_), Value::Int(0)) if operator == "/" => Err("division by zero".to_owned()),
        (Value::Int(_), Value::Int(0)) if operator == "%" => Err("modulus by zero".to_owned()),
        (Value::Int(left), Value::Int(right)) => {
            let result = match operator {
                "+" => left.checked_add(*right),
                "-" => left.checked_sub(*right),
                "*" => left.checked_mul(*right),
                "/" => left.checked_div(*right),
                _ => left.checked_rem(*right),
            };
            result.map(Value::Int).ok_or_else(|| "integer overflow".to_owned())
        }
        (Value::Double(left), Value::Double(right)) if operator != "%" => Ok(Value::Double(match operator {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            _ => left / right,
        })),
        (Value::Text(left), Value::Text(right)) if operator == "+" => Ok(Value::Text(format!("{left}{right}"))),
        (Value::List(left), Value::List(right)) if operator == "+" => {
            Ok(Value::List(left.iter().chain(right).cloned().collect()))
        }
        _ => super::time::arithmetic(operator, left, right).unwrap_or_else(|| Err(unknown_to(operator, left))),
    }
}
