//! Tables: rows and columns, conditions on them, and how they are drawn.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::sql::{Cursor, Token};
use crate::machinery::shell::pattern_matches;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Value {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(*number as f64),
            Self::Real(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        self.number().is_some_and(|number| number != 0.0)
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => match (self.number(), other.number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => Some(self.text().cmp(&other.text())),
            },
        }
    }
}

/// A column.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pub name: String,
    /// Its type, in small letters.
    pub kind: String,
    pub counts: bool,
    pub is_key: bool,
    pub is_unique: bool,
    pub is_required: bool,
    pub default: Option<Vec<Token>>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
    pub next: i64,
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }
}

/// What names outside of tables stand for: variables and functions.
pub(super) trait Scope {
    fn variable(&self, name: &str) -> Option<Value>;
    fn function(&self, name: &str, arguments: &[Value]) -> Option<Value>;
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// There is no such column.
    Column(String),
    /// There is no such function.
    Function(String),
    /// It is no expression from here on.
    Syntax(usize),
}

/// Works out expressions for a row.
pub(super) struct Evaluation<'a> {
    pub cursor: Cursor<'a>,
    pub row: Option<(&'a Table, &'a [Value])>,
    pub scope: &'a dyn Scope,
    depth: u32,
}

/// How deep expressions may be nested.
const DEPTH_MAX: u32 = 40;

impl<'a> Evaluation<'a> {
    pub(super) const fn new(tokens: &'a [Token], row: Option<(&'a Table, &'a [Value])>, scope: &'a dyn Scope) -> Self {
        Self { cursor: Cursor::new(tokens), row, scope, depth: 0 }
    }

    /// The value of all tokens.
    pub(super) fn whole(mut self) -> Result<Value, Failure> {
        let value = self.or()?;
        if self.cursor.peek().is_some() { Err(Failure::Syntax(self.cursor.at)) } else { Ok(value) }
    }

    fn truth(value: bool) -> Value {
        Value::Integer(i64::from(value))
    }

    fn or(&mut self) -> Result<Value, Failure> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Failure::Syntax(self.cursor.at));
        }
        let mut value = self.and()?;
        while self.cursor.take("or") {
            let right = self.and()?;
            value = Self::truth(value.is_true() || right.is_true());
        }
        self.depth -= 1;
        Ok(value)
    }

    fn and(&mut self) -> Result<Value, Failure> {
        let mut value = self.not()?;
        while self.cursor.take("and") {
            let right = self.not()?;
            value = Self::truth(value.is_true() && right.is_true());
        }
        Ok(value)
    }

    fn not(&mut self) -> Result<Value, Failure> {
        if self.cursor.take("not") {
            return Ok(Self::truth(!self.not()?.is_true()));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Value, Failure> {
        let left = self.sum()?;
        for (sign, holds) in [
            ("<=", (|order| order != Ordering::Greater) as fn(Ordering) -> bool),
            (">=", |order| order != Ordering::Less),
            ("<>", |order| order != Ordering::Equal),
            ("!=", |order| order != Ordering::Equal),
            ("=", |order| order == Ordering::Equal),
            ("<", |order| order == Ordering::Less),
            (">", |order| order == Ordering::Greater),
        ] {
            if self.cursor.sign(sign) {
                let right = self.sum()?;
                return Ok(left.compare(&right).map_or(Value::Null, |order| Self::truth(holds(order))));
            }
        }
        if self.cursor.take("is") {
            let negated = self.cursor.take("not");
            return if self.cursor.take("null") {
                Ok(Self::truth((left == Value::Null) != negated))
            } else {
                Err(Failure::Syntax(self.cursor.at))
            };
        }
        let negated = self.cursor.take("not");
        if self.cursor.take("like") || self.cursor.take("ilike") {
            let pattern = self.sum()?.text().replace('%', "*").replace('_', "?").to_lowercase();
            return Ok(Self::truth(pattern_matches(&pattern, &left.text().to_lowercase()) != negated));
        }
        if self.cursor.take("in") && self.cursor.sign("(") {
            let mut found = false;
            loop {
                found |= left.compare(&self.sum()?) == Some(Ordering::Equal);
                if !self.cursor.sign(",") {
                    break;
                }
            }
            return if self.cursor.sign(")") {
                Ok(Self::truth(found != negated))
            } else {
                Err(Failure::Syntax(self.cursor.at))
            };
        }
        if self.cursor.take("between") {
            let low = self.sum()?;
            let high = if self.cursor.take("and") { self.sum()? } else { return Err(Failure::Syntax(self.cursor.at)) };
            let within =
                left.compare(&low).is_some_and(Ordering::is_ge) && left.compare(&high).is_some_and(Ordering::is_le);
            return Ok(Self::truth(within != negated));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Value, Failure> {
        let mut value = self.primary()?;
        loop {
            let sign = ["+", "-", "*", "/", "%", "||"].into_iter().find(|sign| self.cursor.sign(sign));
            let Some(sign) = sign else { return Ok(value) };
            let right = self.primary()?;
            if sign == "||" {
                value = Value::Text(value.text() + &right.text());
                continue;
            }
            let whole = match (&value, &right) {
                (Value::Integer(left), Value::Integer(right)) => match sign {
                    "+" => left.checked_add(*right),
                    "-" => left.checked_sub(*right),
                    "*" => left.checked_mul(*right),
                    "%" => left.checked_rem(*right),
                    _ => None,
                },
                _ => None,
            };
            value = match (whole, value.number(), right.number()) {
                (Some(number), _, _) => Value::Integer(number),
                (None, Some(left), Some(right)) => Value::Real(match sign {
                    "+" => left + right,
                    "-" => left - right,
                    "*" => left * right,
                    "%" => left % right,
                    _ => left / right,
                }),
                _ => Value::Null,
            };
        }
    }

    fn primary(&mut self) -> Result<Value, Failure> {
        let at = self.cursor.at;
        let value = match self.cursor.next() {
            Some(Token::Number(text)) => match text.parse() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Real(text.parse().unwrap_or(0.0)),
            },
            Some(Token::Text(text)) => Value::Text(text.clone()),
            Some(Token::Variable(name)) => {
                self.scope.variable(name).ok_or_else(|| Failure::Column(format!("@@{name}")))?
            }
            Some(Token::Sign("-")) => match self.primary()? {
                Value::Integer(number) => Value::Integer(number.saturating_neg()),
                other => other.number().map_or(Value::Null, |number| Value::Real(-number)),
            },
            Some(Token::Sign("(")) => {
                let value = self.or()?;
                if !self.cursor.sign(")") {
                    return Err(Failure::Syntax(self.cursor.at));
                }
                value
            }
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => Value::Null,
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Value::Integer(1),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Value::Integer(0),
            Some(Token::Word(name) | Token::Name(name)) => self.named(name)?,
            _ => return Err(Failure::Syntax(at)),
        };
        if self.cursor.sign("::") {
            self.cursor.name();
        }
        Ok(value)
    }

    /// A function or a column, perhaps with its table's name.
    fn named(&mut self, name: &str) -> Result<Value, Failure> {
        if self.cursor.sign("(") {
            let mut arguments = Vec::new();
            while !self.cursor.sign(")") {
                if self.cursor.peek().is_none() {
                    return Err(Failure::Syntax(self.cursor.at));
                }
                if !self.cursor.sign("*") {
                    arguments.push(self.or()?);
                }
                self.cursor.sign(",");
            }
            return self
                .scope
                .function(&name.to_ascii_lowercase(), &arguments)
                .ok_or_else(|| Failure::Function(name.to_owned()));
        }
        let mut name = name.to_owned();
        while self.cursor.sign(".") {
            name = self.cursor.name().ok_or(Failure::Syntax(self.cursor.at))?;
        }
        if let Some((table, row)) = self.row
            && let Some(at) = table.column(&name)
        {
            return Ok(row.get(at).cloned().unwrap_or(Value::Null));
        }
        // Some functions need no parentheses.
        match name.to_ascii_lowercase().as_str() {
            known @ ("current_timestamp" | "current_user" | "current_date" | "user" | "session_user") => {
                self.scope.function(known, &[]).ok_or(Failure::Column(name))
            }
            _ => Err(Failure::Column(name)),
        }
    }
}

/// Rows with their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub names: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    pub(super) fn of<const N: usize>(names: [&str; N], rows: Vec<[String; N]>) -> Self {
        let rows = rows.into_iter().map(|row| row.into_iter().map(Value::Text).collect()).collect();
        Self { names: names.map(str::to_owned).to_vec(), rows }
    }

    fn widths(&self, null: &str) -> Vec<usize> {
        let of = |value: &Value| if *value == Value::Null { null.len() } else { value.text().chars().count() };
        let widest = |index: usize| self.rows.iter().filter_map(|row| row.get(index)).map(of).max().unwrap_or(0);
        self.names.iter().enumerate().map(|(index, name)| name.chars().count().max(widest(index))).collect()
    }

    /// The frame that mysql draws.
    pub(super) fn framed(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths = self.widths("NULL");
        let mut line = String::from("+");
        for width in &widths {
            line.push_str(&"-".repeat(width + 2));
            line.push('+');
        }
        line.push('\n');
        let mut out = line.clone();
        out.push('|');
        for (name, width) in self.names.iter().zip(&widths) {
            let _ = write!(out, " {name:width$} |");
        }
        let _ = write!(out, "\n{line}");
        for row in &self.rows {
            out.push('|');
            for (value, width) in row.iter().zip(&widths) {
                let _ = match value {
                    Value::Integer(_) | Value::Real(_) => write!(out, " {:>width$} |", value.text()),
                    _ => write!(out, " {:width$} |", value.text()),
                };
            }
            out.push('\n');
        }
        out + &line
    }

    /// A row below the other, as `\G` asks for.
    pub(super) fn vertical(&self) -> String {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let stars = "*".repeat(27);
            let _ = writeln!(out, "{stars} {}. row {stars}", number + 1);
            for (name, value) in self.names.iter().zip(row) {
                let _ = writeln!(out, "{name:>width$}: {}", value.text());
            }
        }
        out
    }

    /// Fields with something between them.
    pub(super) fn plain(&self, with_names: bool, between: &str, null: &str) -> String {
        let mut out = String::new();
        if with_names && !self.rows.is_empty() {
            let _ = writeln!(out, "{}", self.names.join(between));
        }
        for row in &self.rows {
            let fields: Vec<String> =
                row.iter().map(|value| if *value == Value::Null { null.to_owned() } else { value.text() }).collect();
            let _ = writeln!(out, "{}", fields.join(between));
        }
        out
    }

    /// The columns that psql draws.
    pub(super) fn aligned(&self, title: Option<&str>, tuples_only: bool) -> String {
        let widths = self.widths("");
        let mut out = String::new();
        let total: usize = widths.iter().map(|width| width + 3).sum::<usize>().saturating_sub(1);
        if let Some(title) = title.filter(|_| !tuples_only) {
            let _ = writeln!(out, "{:>1$}{title}", "", total.saturating_sub(title.len()) / 2);
        }
        if !tuples_only {
            let heads: Vec<String> =
                self.names.iter().zip(&widths).map(|(name, width)| format!(" {name:^width$} ")).collect();
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            let _ = writeln!(out, "{}\n{}", heads.join("|"), lines.join("+"));
        }
        for row in &self.rows {
            let mut fields = Vec::new();
            for (index, (value, width)) in row.iter().zip(&widths).enumerate() {
                let text = if *value == Value::Null { String::new() } else { value.text() };
                let is_last = index + 1 == widths.len();
                fields.push(match value {
                    Value::Integer(_) | Value::Real(_) => format!(" {text:>width$}{}", if is_last { "" } else { " " }),
                    _ if is_last => format!(" {text}"),
                    _ => format!(" {text:width$} "),
                });
            }
            let _ = writeln!(out, "{}", fields.join("|"));
        }
        if !tuples_only {
            let _ = writeln!(out, "({} row{})", self.rows.len(), if self.rows.len() == 1 { "" } else { "s" });
        }
        out + "\n"
    }
}
