//! What a filter makes of a value.

use serde_json::{Map, Value};

use super::functions;
use super::syntax::{Filter, Operator, Piece};
use super::values::{self, compare, is_true, kind};

/// How much a filter may do in all, so that one without an end gets one.
const WORK_MAX: u64 = 5_000_000;

/// A value, with where it stands in what the whole filter was given, as far as that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub value: Value,
    pub path: Option<Vec<Value>>,
}

impl Item {
    pub(super) const fn new(value: Value) -> Self {
        Self { value, path: None }
    }

    /// What stands below it.
    pub(super) fn below(&self, key: &Value, value: Value) -> Self {
        let path = self.path.as_ref().map(|path| path.iter().cloned().chain([key.clone()]).collect());
        Self { value, path }
    }
}

/// An error: a text, or what `error` was given.
pub(super) type Failed = Value;

pub(super) type Results = Result<Vec<Item>, Failed>;

/// Filters at work.
#[derive(Debug)]
pub(super) struct Machine {
    /// The variables that hold, the innermost last.
    variables: Vec<(String, Value)>,
    work: u64,
}

fn values_of(items: Vec<Item>) -> impl Iterator<Item = Value> {
    items.into_iter().map(|item| item.value)
}

impl Machine {
    pub(super) const fn with_variables(variables: Vec<(String, Value)>) -> Self {
        Self { variables, work: 0 }
    }

    /// The values that a filter makes of a value.
    pub(super) fn values(&mut self, filter: &Filter, input: &Item) -> Result<Vec<Value>, Failed> {
        Ok(values_of(self.run(filter, &Item::new(input.value.clone()))?).collect())
    }

    /// The first of them.
    pub(super) fn first(&mut self, filter: &Filter, input: &Item) -> Result<Value, Failed> {
        Ok(self.values(filter, input)?.into_iter().next().unwrap_or(Value::Null))
    }

    /// Where a filter leads in a value.
    pub(super) fn paths(&mut self, filter: &Filter, input: &Value) -> Result<Vec<Vec<Value>>, Failed> {
        let items = self.run(filter, &Item { value: input.clone(), path: Some(Vec::new()) })?;
        let mut paths = Vec::with_capacity(items.len());
        for item in items {
            paths.push(item.path.ok_or_else(|| {
                Value::from(format!("Invalid path expression with result {}", values::shortened(&item.value)))
            })?);
        }
        Ok(paths)
    }

    pub(super) fn run(&mut self, filter: &Filter, input: &Item) -> Results {
        self.work += 1;
        if self.work > WORK_MAX {
            return Err("this goes on for too long".into());
        }
        match filter {
            Filter::Identity => Ok(vec![input.clone()]),
            Filter::Everything => {
                let mut all = Vec::new();
                everything(input, &mut all);
                self.work += all.len() as u64;
                Ok(all)
            }
            Filter::Literal(value) => Ok(vec![Item::new(value.clone())]),
            Filter::Variable(name) => {
                let held = self.variables.iter().rev().find(|(known, _)| known == name);
                let value = held
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| Value::from(format!("${name} is not defined")))?;
                Ok(vec![Item::new(value)])
            }
            Filter::Index(of, key) => self.index(of, key, input),
            Filter::Slice(of, from, to) => self.slice(of, from.as_deref(), to.as_deref(), input),
            Filter::Each(of) => {
                let mut all = Vec::new();
                for item in self.run(of, input)? {
                    each(&item, &mut all)?;
                }
                self.work += all.len() as u64;
                Ok(all)
            }
            Filter::Try(tried, caught) => match (self.run(tried, input), caught) {
                (Ok(items), _) => Ok(items),
                (Err(_), None) => Ok(Vec::new()),
                (Err(why), Some(caught)) => self.run(caught, &Item::new(why)),
            },
            Filter::Text(format, pieces) => self.text(format, pieces, input),
            Filter::Array(None) => Ok(vec![Item::new(Value::Array(Vec::new()))]),
            Filter::Array(Some(inner)) => Ok(vec![Item::new(self.values(inner, input)?.into())]),
            Filter::Object(fields) => self.object(fields, input),
            Filter::Negative(inner) => {
                let negated = self.values(inner, input)?.into_iter().map(|value| match values::number(&value) {
                    Some(number) => Ok(Item::new(values::of_number(-number))),
                    None => Err(Value::from(format!("{} cannot be negated", values::described(&value)))),
                });
                negated.collect()
            }
            Filter::Pipe(first, then) => {
                let mut all = Vec::new();
                for item in self.run(first, input)? {
                    all.extend(self.run(then, &item)?);
                }
                Ok(all)
            }
            Filter::Comma(left, right) => {
                let mut all = self.run(left, input)?;
                all.extend(self.run(right, input)?);
                Ok(all)
            }
            Filter::Operation(operator, left, right) => {
                let mut all = Vec::new();
                for right in self.values(right, input)? {
                    for left in self.values(left, input)? {
                        all.push(Item::new(operate(*operator, left, right.clone())?));
                    }
                }
                Ok(all)
            }
            Filter::And(left, right) => self.junction(left, right, input, false),
            Filter::Or(left, right) => self.junction(left, right, input, true),
            Filter::Call(name, arguments) => functions::call(self, name, arguments, input),
            other => self.run_further(other, input),
        }
    }

    /// The filters that choose, bind and change.
    fn run_further(&mut self, filter: &Filter, input: &Item) -> Results {
        match filter {
            Filter::Alternative(left, right) => {
                let found = self.run(left, input).unwrap_or_default();
                let found: Vec<Item> = found.into_iter().filter(|item| is_true(&item.value)).collect();
                if found.is_empty() { self.run(right, input) } else { Ok(found) }
            }
            Filter::Update(place, with) => {
                let mut value = input.value.clone();
                let mut gone = Vec::new();
                for path in self.paths(place, &input.value)? {
                    let held = values::at(&value, &path);
                    match self.run(with, &Item::new(held))?.into_iter().next() {
                        Some(item) => values::put(&mut value, &path, item.value)?,
                        None => gone.push(path),
                    }
                }
                values::remove_all(&mut value, gone);
                Ok(vec![Item::new(value)])
            }
            Filter::Assign(place, operator, with) => self.assign(place, *operator, with, input),
            Filter::If(condition, then, otherwise) => {
                let mut all = Vec::new();
                for value in self.values(condition, input)? {
                    match (is_true(&value), otherwise) {
                        (true, _) => all.extend(self.run(then, input)?),
                        (false, Some(otherwise)) => all.extend(self.run(otherwise, input)?),
                        (false, None) => all.push(input.clone()),
                    }
                }
                Ok(all)
            }
            Filter::Bind(source, name, body) => {
                let mut all = Vec::new();
                for value in self.values(source, input)? {
                    all.extend(self.with(name, value, |machine| machine.run(body, input))?);
                }
                Ok(all)
            }
            Filter::Reduce(source, name, first, step) => {
                let mut held = self.first(first, input)?;
                for value in self.values(source, input)? {
                    let item = Item::new(held);
                    held = self.with(name, value, |machine| machine.first(step, &item))?;
                }
                Ok(vec![Item::new(held)])
            }
            other => unreachable!("{other:?} is run above"),
        }
    }

    fn with<T>(&mut self, name: &str, value: Value, work: impl FnOnce(&mut Self) -> T) -> T {
        self.variables.push((name.to_owned(), value));
        let result = work(self);
        self.variables.pop();
        result
    }

    fn index(&mut self, of: &Filter, key: &Filter, input: &Item) -> Results {
        let keys = self.values(key, input)?;
        let mut all = Vec::new();
        for item in self.run(of, input)? {
            for key in &keys {
                let value = match (&item.value, key) {
                    (Value::Object(fields), Value::String(name)) => fields.get(name).cloned().unwrap_or(Value::Null),
                    (Value::Array(list), Value::Number(_)) => {
                        values::place(key, list.len()).and_then(|at| list.get(at)).cloned().unwrap_or(Value::Null)
                    }
                    (Value::Null, Value::String(_) | Value::Number(_) | Value::Null) => Value::Null,
                    (other, Value::String(name)) => {
                        return Err(format!("Cannot index {} with {name:?}", kind(other)).into());
                    }
                    (other, key) => return Err(format!("Cannot index {} with {}", kind(other), kind(key)).into()),
                };
                all.push(item.below(key, value));
            }
        }
        Ok(all)
    }

    fn slice(&mut self, of: &Filter, from: Option<&Filter>, to: Option<&Filter>, input: &Item) -> Results {
        let from = from.map(|from| self.first(from, input)).transpose()?;
        let to = to.map(|to| self.first(to, input)).transpose()?;
        let mut all = Vec::new();
        for item in self.run(of, input)? {
            let length = match &item.value {
                Value::Array(list) => list.len(),
                Value::String(text) => text.chars().count(),
                Value::Null => 0,
                other => return Err(format!("Cannot index {} with object", kind(other)).into()),
            };
            let bound = |value: &Option<Value>, default: usize| match value {
                Some(number) if number.is_number() => {
                    let number = values::number(number).unwrap_or(0.0);
                    let number = if number < 0.0 { number + length as f64 } else { number };
                    (number.max(0.0) as usize).min(length)
                }
                _ => default,
            };
            let (first, last) = (bound(&from, 0), bound(&to, length));
            let range = first..last.max(first);
            all.push(Item::new(match &item.value {
                Value::Array(list) => list[range].to_vec().into(),
                Value::String(text) => text.chars().skip(range.start).take(range.len()).collect::<String>().into(),
                _ => Value::Null,
            }));
        }
        Ok(all)
    }

    fn text(&mut self, format: &str, pieces: &[Piece], input: &Item) -> Results {
        let mut texts = vec![String::new()];
        for piece in pieces {
            match piece {
                Piece::Plain(plain) => texts.iter_mut().for_each(|text| text.push_str(plain)),
                Piece::Filled(filter) => {
                    let mut longer = Vec::new();
                    for value in self.values(filter, input)? {
                        let filled = values::formatted(format, &value)?;
                        longer.extend(texts.iter().map(|text| format!("{text}{filled}")));
                    }
                    texts = longer;
                }
            }
        }
        Ok(texts.into_iter().map(|text| Item::new(text.into())).collect())
    }

    fn object(&mut self, fields: &[(Filter, Filter)], input: &Item) -> Results {
        let mut objects = vec![Map::new()];
        for (key, value) in fields {
            let keys = self.values(key, input)?;
            let values = self.values(value, input)?;
            let mut more = Vec::new();
            for object in &objects {
                for key in &keys {
                    let Value::String(name) = key else {
                        return Err(format!("Object keys must be strings, not {}", values::described(key)).into());
                    };
                    for value in &values {
                        let mut object = object.clone();
                        object.insert(name.clone(), value.clone());
                        more.push(object);
                    }
                }
            }
            objects = more;
            self.work += objects.len() as u64;
        }
        Ok(objects.into_iter().map(|object| Item::new(object.into())).collect())
    }

    /// `and` and `or`: `decides` is the value that makes the right side needless.
    fn junction(&mut self, left: &Filter, right: &Filter, input: &Item, decides: bool) -> Results {
        let mut all = Vec::new();
        for value in self.values(left, input)? {
            if is_true(&value) == decides {
                all.push(Item::new(decides.into()));
                continue;
            }
            all.extend(self.values(right, input)?.iter().map(|value| Item::new(is_true(value).into())));
        }
        Ok(all)
    }

    fn assign(&mut self, place: &Filter, operator: Option<Operator>, with: &Filter, input: &Item) -> Results {
        let paths = self.paths(place, &input.value)?;
        let mut all = Vec::new();
        for new in self.values(with, input)? {
            let mut value = input.value.clone();
            for path in &paths {
                let new = match operator {
                    None => new.clone(),
                    Some(operator) => operate(operator, values::at(&value, path), new.clone())?,
                };
                values::put(&mut value, path, new)?;
            }
            all.push(Item::new(value));
        }
        Ok(all)
    }
}

/// The elements of a list, or the values of an object.
pub(super) fn each(item: &Item, all: &mut Vec<Item>) -> Result<(), Failed> {
    match &item.value {
        Value::Array(list) => {
            all.extend(list.iter().enumerate().map(|(at, value)| item.below(&at.into(), value.clone())))
        }
        Value::Object(fields) => {
            all.extend(fields.iter().map(|(key, value)| item.below(&key.as_str().into(), value.clone())));
        }
        other => {
            return Err(format!("Cannot iterate over {}", values::described(other)).into());
        }
    }
    Ok(())
}

fn everything(item: &Item, all: &mut Vec<Item>) {
    all.push(item.clone());
    let mut below = Vec::new();
    // What has nothing below it is an error only for who asks for it.
    if each(item, &mut below).is_ok() {
        below.iter().for_each(|item| everything(item, all));
    }
}

fn operate(operator: Operator, left: Value, right: Value) -> Result<Value, Failed> {
    use std::cmp::Ordering;
    let order = || compare(&left, &right);
    Ok(match operator {
        Operator::Equal => (order() == Ordering::Equal).into(),
        Operator::NotEqual => (order() != Ordering::Equal).into(),
        Operator::Less => (order() == Ordering::Less).into(),
        Operator::LessOrEqual => (order() != Ordering::Greater).into(),
        Operator::Greater => (order() == Ordering::Greater).into(),
        Operator::GreaterOrEqual => (order() != Ordering::Less).into(),
        Operator::Alternative => {
            if is_true(&left) {
                left
            } else {
                right
            }
        }
        Operator::Add => return values::add(left, right),
        Operator::Subtract => return values::subtract(left, right),
        Operator::Multiply => return values::multiply(left, right),
        Operator::Divide | Operator::Remainder => return values::divide(left, right, operator == Operator::Remainder),
    })
}
