//! Runs an awk program over lines.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::syntax::{Expression, Operator, Pattern, Rule, Statement};
use super::value::{Value, format};
use crate::machinery::shell::files::WriteAt;
use crate::machinery::shell::io::CommandIo;
use crate::machinery::shell::regex::Regex;

/// How much a program may do in all, so that one without an end gets one.
const WORK_MAX: u64 = 20_000_000;
/// How large a text may become.
const TEXT_MAX: usize = 1 << 20;
/// How many fields a line may be given.
const FIELDS_MAX: usize = 10_000;

/// Why a rule's action ended early.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    Next,
    Exit(i32),
    Break,
    Continue,
    Failed(String),
}

/// A program at work.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    rules: std::sync::Arc<[Rule]>,
    variables: BTreeMap<String, Value>,
    arrays: BTreeMap<String, BTreeMap<String, Value>>,
    line: String,
    fields: Vec<String>,
    /// Which rules with two patterns are between them.
    between: Vec<bool>,
    /// The files that were written to, which begin only once.
    written: Vec<String>,
    work: u64,
    /// The exit code, once the program said that it is over.
    pub exited: Option<i32>,
}

/// The separators of a text.
pub(super) fn split(text: &str, separator: &str) -> Result<Vec<String>, Stop> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut letters = separator.chars();
    Ok(match (letters.next(), letters.next()) {
        (None, _) => text.chars().map(String::from).collect(),
        (Some(' '), None) => text.split_whitespace().map(str::to_owned).collect(),
        (Some(one), None) if one != '\\' => text.split(one).map(str::to_owned).collect(),
        _ => pieces(text, &Regex::new(separator, true, false).map_err(Stop::Failed)?),
    })
}

/// What stands between what a regular expression finds.
pub(super) fn pieces(text: &str, regex: &Regex) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let (mut pieces, mut at) = (Vec::new(), 0);
    while let Some((from, to)) = regex.find(&letters, at).and_then(|groups| groups.first().copied().flatten()) {
        if to == from {
            break;
        }
        pieces.push(letters[at..from].iter().collect());
        at = to;
    }
    pieces.push(letters[at..].iter().collect());
    pieces
}

impl Machine {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let variables = [("FS", " "), ("OFS", " "), ("ORS", "\n"), ("RS", "\n"), ("SUBSEP", "\u{1c}")];
        Self {
            between: vec![false; rules.len()],
            rules: rules.into(),
            variables: variables.map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned()))).into(),
            arrays: BTreeMap::new(),
            line: String::new(),
            fields: Vec::new(),
            written: Vec::new(),
            work: 0,
            exited: None,
        }
    }

    /// Whether anything looks at lines at all.
    pub(super) fn reads(&self) -> bool {
        self.rules.iter().any(|rule| !matches!(rule.pattern, Pattern::Begin))
    }

    pub(super) fn line(&self) -> &str {
        &self.line
    }

    pub(super) fn variable(&self, name: &str) -> Value {
        match name {
            "NF" => Value::Number(self.fields.len() as f64),
            _ => self.variables.get(name).cloned().unwrap_or(Value::Unset),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        if name == "NF" {
            let count = value.number().clamp(0.0, FIELDS_MAX as f64) as usize;
            self.fields.resize(count, String::new());
            self.join_fields();
            return;
        }
        self.variables.insert(name.to_owned(), value);
    }

    pub(super) fn is_array(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    pub(super) fn count(&self, array: &str) -> usize {
        self.arrays.get(array).map_or(0, BTreeMap::len)
    }

    pub(super) fn clear(&mut self, array: &str) {
        self.arrays.insert(array.to_owned(), BTreeMap::new());
    }

    pub(super) fn put(&mut self, array: &str, key: String, value: Value) {
        self.arrays.entry(array.to_owned()).or_default().insert(key, value);
    }

    fn join_fields(&mut self) {
        self.line = self.fields.join(&self.variable("OFS").text());
    }

    fn set_line(&mut self, line: &str) -> Result<(), Stop> {
        line.clone_into(&mut self.line);
        self.fields = split(line, &self.variable("FS").text())?;
        Ok(())
    }

    /// Runs the rules of a moment: before the first line, or behind the last.
    pub(super) fn moment(&mut self, at_end: bool, io: &mut CommandIo<'_>) -> Result<(), Stop> {
        let rules = self.rules.clone();
        for rule in rules.iter() {
            let is_meant = match rule.pattern {
                Pattern::Begin => !at_end,
                Pattern::End => at_end,
                _ => false,
            };
            if is_meant && let Some(action) = &rule.action {
                self.run_all(action, io)?;
            }
        }
        Ok(())
    }

    /// Takes in a line.
    pub(super) fn take(&mut self, line: &str, io: &mut CommandIo<'_>) -> Result<(), Stop> {
        let number = self.variable("NR").number() + 1.0;
        self.set("NR", Value::Number(number));
        let in_file = self.variable("FNR").number() + 1.0;
        self.set("FNR", Value::Number(in_file));
        self.set_line(line)?;
        let rules = self.rules.clone();
        for (at, rule) in rules.iter().enumerate() {
            if !self.fits(at, &rule.pattern, io)? {
                continue;
            }
            let done = match &rule.action {
                Some(action) => self.run_all(action, io),
                None => self.print(&[], None, io),
            };
            match done {
                Err(Stop::Next) => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    fn fits(&mut self, at: usize, pattern: &Pattern, io: &mut CommandIo<'_>) -> Result<bool, Stop> {
        Ok(match pattern {
            Pattern::Begin | Pattern::End => false,
            Pattern::Always => true,
            Pattern::When(condition) => self.holds(condition, io)?,
            Pattern::Between(first, last) => {
                if !self.between[at] && !self.holds(first, io)? {
                    return Ok(false);
                }
                self.between[at] = !self.holds(last, io)?;
                true
            }
        })
    }

    fn holds(&mut self, condition: &Expression, io: &mut CommandIo<'_>) -> Result<bool, Stop> {
        Ok(self.value(condition, io)?.is_true())
    }

    fn run_all(&mut self, statements: &[Statement], io: &mut CommandIo<'_>) -> Result<(), Stop> {
        statements.iter().try_for_each(|statement| self.run(statement, io))
    }

    fn run(&mut self, statement: &Statement, io: &mut CommandIo<'_>) -> Result<(), Stop> {
        self.work += 1;
        if self.work > WORK_MAX {
            return Err(Stop::Failed("this goes on for too long".to_owned()));
        }
        match statement {
            Statement::Expression(expression) => self.value(expression, io).map(drop),
            Statement::Print(values, file) => self.print(values, file.as_ref(), io),
            Statement::Format(values, file) => {
                let values = self.values(values, io)?;
                let (first, rest) = values.split_first().ok_or_else(|| Stop::Failed("printf: no format".to_owned()))?;
                let text = format(&first.text(), rest);
                self.write(&text, file.as_ref(), io)
            }
            Statement::If(condition, then, otherwise) => match (self.holds(condition, io)?, otherwise) {
                (true, _) => self.run(then, io),
                (false, Some(otherwise)) => self.run(otherwise, io),
                (false, None) => Ok(()),
            },
            Statement::While(condition, body) => self.go_round(None, Some(condition), body, io),
            Statement::DoWhile(body, condition) => {
                if self.round(body, io)? {
                    self.go_round(None, Some(condition), body, io)
                } else {
                    Ok(())
                }
            }
            Statement::For(first, condition, step, body) => {
                if let Some(first) = first {
                    self.run(first, io)?;
                }
                self.go_round(step.as_deref(), condition.as_ref(), body, io)
            }
            Statement::ForIn(name, array, body) => {
                let keys: Vec<String> =
                    self.arrays.get(array).map(|held| held.keys().cloned().collect()).unwrap_or_default();
                for key in keys {
                    self.set(name, Value::of_input(&key));
                    if !self.round(body, io)? {
                        break;
                    }
                }
                Ok(())
            }
            Statement::Block(statements) => self.run_all(statements, io),
            Statement::Next => Err(Stop::Next),
            Statement::Exit(code) => {
                let code = code.as_ref().map_or(Ok(0.0), |code| self.value(code, io).map(|value| value.number()))?;
                Err(Stop::Exit(code as i32 & 0xff))
            }
            Statement::Break => Err(Stop::Break),
            Statement::Continue => Err(Stop::Continue),
            Statement::Delete(array, None) => {
                self.clear(array);
                Ok(())
            }
            Statement::Delete(array, Some(index)) => {
                let key = self.key(index, io)?;
                if let Some(held) = self.arrays.get_mut(array) {
                    held.remove(&key);
                }
                Ok(())
            }
        }
    }

    /// Runs a loop's body once; whether the loop goes on.
    fn round(&mut self, body: &Statement, io: &mut CommandIo<'_>) -> Result<bool, Stop> {
        match self.run(body, io) {
            Ok(()) | Err(Stop::Continue) => Ok(true),
            Err(Stop::Break) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn go_round(
        &mut self,
        step: Option<&Statement>,
        condition: Option<&Expression>,
        body: &Statement,
        io: &mut CommandIo<'_>,
    ) -> Result<(), Stop> {
        loop {
            if let Some(condition) = condition
                && !self.holds(condition, io)?
            {
                return Ok(());
            }
            if !self.round(body, io)? {
                return Ok(());
            }
            if let Some(step) = step {
                self.run(step, io)?;
            }
        }
    }

    fn print(
        &mut self,
        values: &[Expression],
        file: Option<&(Expression, bool)>,
        io: &mut CommandIo<'_>,
    ) -> Result<(), Stop> {
        let mut text = self.line.clone();
        if !values.is_empty() {
            let texts: Vec<String> = self.values(values, io)?.iter().map(Value::text).collect();
            text = texts.join(&self.variable("OFS").text());
        }
        text.push_str(&self.variable("ORS").text());
        self.write(&text, file, io)
    }

    fn write(&mut self, text: &str, file: Option<&(Expression, bool)>, io: &mut CommandIo<'_>) -> Result<(), Stop> {
        let Some((file, appends)) = file else {
            io.out(text);
            return Ok(());
        };
        let name = self.value(file, io)?.text();
        match name.as_str() {
            "/dev/stdout" | "-" => io.out(text),
            "/dev/stderr" => io.write(2, text.as_bytes()),
            _ => {
                let path = io.path(&name);
                let first = !*appends && !self.written.contains(&path);
                let at = if first { WriteAt::Start } else { WriteAt::End };
                io.files(|files| files.write(&path, text.as_bytes(), at))
                    .map_err(|error| Stop::Failed(format!("{name}: {error}")))?;
                self.written.push(path);
            }
        }
        Ok(())
    }

    fn values(&mut self, expressions: &[Expression], io: &mut CommandIo<'_>) -> Result<Vec<Value>, Stop> {
        expressions.iter().map(|expression| self.value(expression, io)).collect()
    }

    fn key(&mut self, index: &[Expression], io: &mut CommandIo<'_>) -> Result<String, Stop> {
        let parts: Vec<String> = self.values(index, io)?.iter().map(Value::text).collect();
        Ok(parts.join(&self.variable("SUBSEP").text()))
    }

    fn field(&self, number: f64) -> Value {
        if number < 1.0 {
            return Value::of_input(&self.line);
        }
        self.fields.get(number as usize - 1).map_or(Value::Unset, |field| Value::of_input(field))
    }

    /// Puts a value into a variable, a field or an element of an array.
    pub(super) fn assign(&mut self, place: &Expression, value: Value, io: &mut CommandIo<'_>) -> Result<(), Stop> {
        match place {
            Expression::Variable(name) => self.set(name, value),
            Expression::Element(array, index) => {
                let key = self.key(index, io)?;
                self.put(array, key, value);
            }
            Expression::Field(number) => {
                let number = self.value(number, io)?.number();
                if number < 1.0 {
                    return self.set_line(&value.text());
                }
                let at = (number as usize).min(FIELDS_MAX);
                if self.fields.len() < at {
                    self.fields.resize(at, String::new());
                }
                self.fields[at - 1] = value.text();
                self.join_fields();
            }
            _ => {}
        }
        Ok(())
    }

    /// What an expression comes to.
    pub(super) fn value(&mut self, expression: &Expression, io: &mut CommandIo<'_>) -> Result<Value, Stop> {
        self.work += 1;
        Ok(match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Text(text) => Value::Text(text.clone()),
            Expression::Regex(regex) => Value::of(regex.is_match(&self.line)),
            Expression::Variable(name) => self.variable(name),
            Expression::Field(number) => {
                let number = self.value(number, io)?.number();
                self.field(number)
            }
            Expression::Element(array, index) => {
                let key = self.key(index, io)?;
                // Whoever looks for an element makes it.
                self.arrays.entry(array.clone()).or_default().entry(key).or_insert(Value::Unset).clone()
            }
            Expression::Assign(place, operator, value) => {
                let mut value = self.value(value, io)?;
                if let Some(operator) = operator {
                    let before = self.value(place, io)?;
                    value = joined(*operator, &before, &value)?;
                }
                self.assign(place, value.clone(), io)?;
                value
            }
            Expression::Step(place, by, gives_old) => {
                let before = self.value(place, io)?.number();
                self.assign(place, Value::Number(before + by), io)?;
                Value::Number(if *gives_old { before } else { before + by })
            }
            Expression::Not(inner) => Value::of(!self.holds(inner, io)?),
            Expression::Negative(inner) => Value::Number(-self.value(inner, io)?.number()),
            Expression::Binary(operator, left, right) => {
                let left = self.value(left, io)?;
                let right = self.value(right, io)?;
                joined(*operator, &left, &right)?
            }
            Expression::And(left, right) => Value::of(self.holds(left, io)? && self.holds(right, io)?),
            Expression::Or(left, right) => Value::of(self.holds(left, io)? || self.holds(right, io)?),
            Expression::Choice(condition, yes, no) => {
                let chosen = if self.holds(condition, io)? { yes } else { no };
                self.value(chosen, io)?
            }
            Expression::In(index, array) => {
                let key = self.key(index, io)?;
                Value::of(self.arrays.get(array).is_some_and(|held| held.contains_key(&key)))
            }
            Expression::Match(text, pattern, negated) => {
                let text = self.value(text, io)?.text();
                Value::of(self.regex(pattern, io)?.is_match(&text) != *negated)
            }
            Expression::Call(name, arguments) => self.call(name, arguments, io)?,
        })
    }
}

fn joined(operator: Operator, left: &Value, right: &Value) -> Result<Value, Stop> {
    let (a, b) = (left.number(), right.number());
    Ok(match operator {
        Operator::Add => Value::Number(a + b),
        Operator::Subtract => Value::Number(a - b),
        Operator::Multiply => Value::Number(a * b),
        Operator::Divide | Operator::Remainder if b == 0.0 => return Err(Stop::Failed("division by zero".to_owned())),
        Operator::Divide => Value::Number(a / b),
        Operator::Remainder => Value::Number(a % b),
        Operator::Power => Value::Number(a.powf(b)),
        Operator::Concatenate => {
            let text = left.text() + &right.text();
            if text.len() > TEXT_MAX {
                return Err(Stop::Failed("a text has become too long".to_owned()));
            }
            Value::Text(text)
        }
        Operator::Less => Value::of(left.compare(right) == Ordering::Less),
        Operator::LessOrEqual => Value::of(left.compare(right) != Ordering::Greater),
        Operator::Equal => Value::of(left.compare(right) == Ordering::Equal),
        Operator::NotEqual => Value::of(left.compare(right) != Ordering::Equal),
        Operator::Greater => Value::of(left.compare(right) == Ordering::Greater),
        Operator::GreaterOrEqual => Value::of(left.compare(right) != Ordering::Less),
    })
}
