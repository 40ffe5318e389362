//! The functions that awk has by itself.

use super::run::{Machine, Stop};
use super::syntax::Expression;
use super::value::{Value, format};
use crate::machinery::shell::io::CommandIo;
use crate::machinery::shell::regex::Regex;

/// Whether there is such a function.
pub(super) fn exists(name: &str) -> bool {
    matches!(
        name,
        "length"
            | "substr"
            | "index"
            | "split"
            | "sub"
            | "gsub"
            | "match"
            | "sprintf"
            | "tolower"
            | "toupper"
            | "int"
            | "sqrt"
            | "exp"
            | "log"
            | "sin"
            | "cos"
            | "atan2"
            | "rand"
            | "srand"
            | "systime"
            | "strftime"
            | "system"
            | "close"
            | "fflush"
    )
}

impl Machine {
    /// Calls one.
    pub(super) fn call(&mut self, name: &str, arguments: &[Expression], io: &mut CommandIo<'_>) -> Result<Value, Stop> {
        match (name, arguments) {
            ("split", [text, Expression::Variable(array), rest @ ..]) => {
                let text = self.value(text, io)?.text();
                let separator = match rest.first() {
                    None => self.variable("FS").text(),
                    Some(Expression::Regex(regex)) => return Ok(self.split_by(&text, array, regex)),
                    Some(other) => self.value(other, io)?.text(),
                };
                let pieces = super::run::split(&text, &separator)?;
                return Ok(self.fill(array, pieces));
            }
            ("sub" | "gsub", [pattern, with, target @ ..]) => {
                return self.substitute(pattern, with, target.first(), name == "gsub", io);
            }
            ("match", [text, pattern, ..]) => {
                let text: Vec<char> = self.value(text, io)?.text().chars().collect();
                let found =
                    self.regex(pattern, io)?.find(&text, 0).and_then(|groups| groups.first().copied().flatten());
                let (start, length) = found.map_or((0.0, -1.0), |(from, to)| (from as f64 + 1.0, (to - from) as f64));
                self.set("RSTART", Value::Number(start));
                self.set("RLENGTH", Value::Number(length));
                return Ok(Value::Number(start));
            }
            ("length", [Expression::Variable(array)]) if self.is_array(array) => {
                return Ok(Value::Number(self.count(array) as f64));
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.value(argument, io)?);
        }
        let text = |at: usize| values.get(at).map_or_else(String::new, Value::text);
        let number = |at: usize| values.get(at).map_or(0.0, Value::number);
        Ok(match name {
            "length" if values.is_empty() => Value::Number(self.line().chars().count() as f64),
            "length" => Value::Number(text(0).chars().count() as f64),
            "substr" => Value::Text(substring(&text(0), number(1), values.get(2).map(Value::number))),
            "index" => {
                let (whole, part) = (text(0), text(1));
                let place = whole.find(&part).map_or(0, |at| whole[..at].chars().count() + 1);
                Value::Number(place as f64)
            }
            "sprintf" => Value::Text(format(&text(0), values.get(1..).unwrap_or_default())),
            "tolower" => Value::Text(text(0).to_lowercase()),
            "toupper" => Value::Text(text(0).to_uppercase()),
            "int" => Value::Number(number(0).trunc()),
            "sqrt" => Value::Number(number(0).sqrt()),
            "exp" => Value::Number(number(0).exp()),
            "log" => Value::Number(number(0).ln()),
            "sin" => Value::Number(number(0).sin()),
            "cos" => Value::Number(number(0).cos()),
            "atan2" => Value::Number(number(0).atan2(number(1))),
            "rand" => Value::Number((io.host.random() >> 11) as f64 / (1_u64 << 53) as f64),
            "systime" => Value::Number(io.now().as_secs() as f64),
            "strftime" => Value::Text(super::super::format_time(io.now(), &text(0))),
            "system" => return Err(Stop::Failed("system: no command can be run from here".to_owned())),
            _ => Value::Number(0.0),
        })
    }

    /// The expression as a pattern.
    pub(super) fn regex(&mut self, pattern: &Expression, io: &mut CommandIo<'_>) -> Result<Regex, Stop> {
        if let Expression::Regex(regex) = pattern {
            return Ok(regex.clone());
        }
        let text = self.value(pattern, io)?.text();
        Regex::new(&text, true, false).map_err(Stop::Failed)
    }

    fn split_by(&mut self, text: &str, array: &str, regex: &Regex) -> Value {
        let pieces = super::run::pieces(text, regex);
        self.fill(array, pieces)
    }

    fn fill(&mut self, array: &str, pieces: Vec<String>) -> Value {
        let count = pieces.len();
        self.clear(array);
        for (at, piece) in pieces.into_iter().enumerate() {
            self.put(array, (at + 1).to_string(), Value::of_input(&piece));
        }
        Value::Number(count as f64)
    }

    /// `sub` and `gsub`: in what is written instead, `&` is what was found.
    fn substitute(
        &mut self,
        pattern: &Expression,
        with: &Expression,
        target: Option<&Expression>,
        all: bool,
        io: &mut CommandIo<'_>,
    ) -> Result<Value, Stop> {
        let regex = self.regex(pattern, io)?;
        let with = self.value(with, io)?.text();
        let whole = Expression::Field(Box::new(Expression::Number(0.0)));
        let target = target.unwrap_or(&whole);
        let text: Vec<char> = self.value(target, io)?.text().chars().collect();
        let (mut out, mut at, mut count) = (String::new(), 0, 0);
        while (all || count == 0)
            && at <= text.len()
            && let Some((from, to)) = regex.find(&text, at).and_then(|groups| groups.first().copied().flatten())
        {
            out.extend(&text[at..from]);
            let found: String = text[from..to].iter().collect();
            let mut letters = with.chars();
            while let Some(letter) = letters.next() {
                match letter {
                    '&' => out.push_str(&found),
                    '\\' => out.extend(letters.next()),
                    other => out.push(other),
                }
            }
            count += 1;
            at = to;
            if from == to {
                out.extend(text.get(at));
                at += 1;
            }
        }
        if count > 0 {
            out.extend(text.get(at..).unwrap_or_default());
            self.assign(target, Value::Text(out), io)?;
        }
        Ok(Value::Number(f64::from(count)))
    }
}

/// `substr`, which counts from 1 and rounds.
fn substring(text: &str, from: f64, length: Option<f64>) -> String {
    let from = from.round();
    let end = length.map_or(f64::INFINITY, |length| from + length.round());
    let is_within = |at: &usize| {
        let place = *at as f64 + 1.0;
        place >= from && place < end
    };
    text.chars().enumerate().filter(|(at, _)| is_within(at)).map(|(_, letter)| letter).collect()
}
