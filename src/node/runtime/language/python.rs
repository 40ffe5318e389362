//! As much of Python as decides which branch of a program is taken: conditions on the environment, on numbers and texts.

use std::collections::BTreeMap;

/// How deep expressions may be nested.
const DEPTH_MAX: u32 = 20;

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Value {
    Nothing,
    Number(i64),
    Text(String),
    List(Vec<Value>),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Number(number) => *number != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Nothing => "None".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::shown).collect::<Vec<_>>().join(", ")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(i64),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 15] = ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", "%", "+", "-", "*"];

/// The tokens of an expression; nothing when it has others than these.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let used = if matches!(first, '"' | '\'') {
            let end = rest[1..].find(first)?;
            tokens.push(Token::Text(rest[1..=end].replace("\\n", "\n")));
            end + 2
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].parse().ok()?));
            end
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.".contains(c))).unwrap_or(rest.len());
            tokens.push(Token::Name(rest[..end].to_owned()));
            end
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            tokens.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[used..].trim_start();
    }
    Some(tokens)
}

struct Evaluation<'a> {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    names: &'a BTreeMap<String, Value>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Evaluation<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        let comes = matches!(self.tokens.get(self.at), Some(Token::Sign(held)) if *held == sign);
        self.at += usize::from(comes);
        comes
    }

    fn word(&mut self, word: &str) -> bool {
        let comes = matches!(self.tokens.get(self.at), Some(Token::Name(held)) if held == word);
        self.at += usize::from(comes);
        comes
    }

    fn or(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut value = self.and()?;
        while self.word("or") {
            let right = self.and()?;
            value = if value.is_true() { value } else { right };
        }
        self.depth -= 1;
        Some(value)
    }

    fn and(&mut self) -> Option<Value> {
        let mut value = self.comparison()?;
        while self.word("and") {
            let right = self.comparison()?;
            value = if value.is_true() { right } else { value };
        }
        Some(value)
    }

    fn comparison(&mut self) -> Option<Value> {
        if self.word("not") {
            return Some(Value::Number(i64::from(!self.comparison()?.is_true())));
        }
        let left = self.sum()?;
        let sign = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|sign| self.sign(sign));
        let negated = sign.is_none() && self.word("not");
        let holds = match sign {
            Some(sign) => {
                let right = self.sum()?;
                match sign {
                    "==" => left == right,
                    "!=" => left != right,
                    "<=" => left <= right,
                    ">=" => left >= right,
                    "<" => left < right,
                    _ => left > right,
                }
            }
            None if self.word("in") => {
                let found = match (self.sum()?, &left) {
                    (Value::List(items), left) => items.contains(left),
                    (Value::Text(text), Value::Text(part)) => text.contains(part.as_str()),
                    _ => return None,
                };
                found != negated
            }
            None => return Some(left),
        };
        Some(Value::Number(i64::from(holds)))
    }

    fn sum(&mut self) -> Option<Value> {
        let mut value = self.primary()?;
        while let Some(sign) = ["+", "-", "*", "%"].into_iter().find(|sign| self.sign(sign)) {
            value = match (value, self.primary()?, sign) {
                (Value::Text(left), Value::Text(right), "+") => Value::Text(left + &right),
                (Value::Number(left), Value::Number(right), sign) => Value::Number(match sign {
                    "+" => left.checked_add(right)?,
                    "-" => left.checked_sub(right)?,
                    "*" => left.checked_mul(right)?,
                    _ => left.checked_rem_euclid(right)?,
                }),
                _ => return None,
            };
        }
        Some(value)
    }

    fn arguments(&mut self, end: &str) -> Option<Vec<Value>> {
        let mut values = Vec::new();
        while !self.sign(end) {
            values.push(self.or()?);
            if !self.sign(",") && !matches!(self.tokens.get(self.at), Some(Token::Sign(held)) if *held == end) {
                return None;
            }
        }
        Some(values)
    }

    fn primary(&mut self) -> Option<Value> {
        let token = self.tokens.get(self.at).cloned()?;
        self.at += 1;
        match token {
            Token::Number(number) => Some(Value::Number(number)),
            Token::Text(text) => Some(Value::Text(text)),
            Token::Sign("(") => {
                let value = self.or()?;
                self.sign(")").then_some(value)
            }
            Token::Sign("[") => Some(Value::List(self.arguments("]")?)),
            Token::Sign(_) => None,
            Token::Name(name) if self.sign("(") => {
                let arguments = self.arguments(")")?;
                self.call(&name, &arguments)
            }
            Token::Name(name) if name == "os.environ" && self.sign("[") => {
                let key = self.arguments("]")?;
                self.call("os.getenv", &key)
            }
            Token::Name(name) => match name.as_str() {
                "True" => Some(Value::Number(1)),
                "False" => Some(Value::Number(0)),
                "None" => Some(Value::Nothing),
                name => self.names.get(name).cloned(),
            },
        }
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Option<Value> {
        match (name, arguments) {
            ("os.environ.get" | "os.getenv" | "environ.get", [Value::Text(key), rest @ ..]) => {
                let held = (self.environment)(key).map(Value::Text);
                Some(held.or_else(|| rest.first().cloned()).unwrap_or(Value::Nothing))
            }
            ("int", [Value::Text(text)]) => text.trim().parse().ok().map(Value::Number),
            ("int", [Value::Number(number)]) => Some(Value::Number(*number)),
            ("str", [value]) => Some(Value::Text(value.shown())),
            ("len", [Value::Text(text)]) => i64::try_from(text.len()).ok().map(Value::Number),
            _ => None,
        }
    }
}

/// A program being read.
struct Reading<'a> {
    names: BTreeMap<String, Value>,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// The conditions around: how far they are indented, whether a branch was taken, whether the present one is.
    around: Vec<(usize, bool, bool)>,
    out: String,
}

impl Reading<'_> {
    fn value(&self, text: &str) -> Option<Value> {
        let tokens = tokens(text)?;
        let mut evaluation = Evaluation { tokens, at: 0, depth: 0, names: &self.names, environment: self.environment };
        let value = evaluation.or()?;
        (evaluation.at == evaluation.tokens.len()).then_some(value)
    }

    /// Reads a line; nothing when a condition is not understood.
    fn line(&mut self, indent: usize, text: &str) -> Option<()> {
        let is_other_branch = text.starts_with("elif ") || text.starts_with("else:");
        while self.around.last().is_some_and(|(outer, ..)| *outer > indent || (*outer == indent && !is_other_branch)) {
            self.around.pop();
        }
        if let Some(rest) = text.strip_prefix("if ").or_else(|| text.strip_prefix("elif ")) {
            let (condition, rest) = rest.split_once(':')?;
            let (taken, is_live) = match is_other_branch {
                true => self.around.pop().map(|(_, taken, _)| (taken, self.is_live()))?,
                false => (false, self.is_live()),
            };
            let holds = is_live && !taken && self.value(condition)?.is_true();
            self.around.push((indent, taken || holds, holds));
            return self.rest(indent, rest);
        }
        if let Some(rest) = text.strip_prefix("else:") {
            let (_, taken, _) = self.around.pop()?;
            self.around.push((indent, true, !taken && self.is_live()));
            return self.rest(indent, rest);
        }
        if !self.is_live() {
            return Some(());
        }
        if let Some((name, expression)) = text.split_once(" = ")
            && let Some(value) = self.value(expression)
        {
            self.names.insert(name.trim().to_owned(), value);
        }
        let printed = text.strip_prefix("print(").and_then(|rest| rest.strip_suffix(')'));
        let told = printed.and_then(|arguments| match self.value(&format!("[{arguments}]"))? {
            Value::List(values) => Some(values.iter().map(Value::shown).collect::<Vec<_>>().join(" ")),
            _ => None,
        });
        match told.filter(|told| !told.contains(['"', '\n'])) {
            Some(told) => self.out.push_str(&format!("print(\"{told}\")\n")),
            None => self.out.push_str(&format!("{}{text}\n", " ".repeat(indent))),
        }
        Some(())
    }

    /// What stands behind a colon on the same line.
    fn rest(&mut self, indent: usize, text: &str) -> Option<()> {
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() { Some(()) } else { self.line(indent + 1, text) }
    }

    fn is_live(&self) -> bool {
        self.around.iter().all(|(.., live)| *live)
    }
}

/// What of a program is run in an environment. A program whose conditions are not understood stays as it is.
pub(super) fn decided(source: &str, environment: &dyn Fn(&str) -> Option<String>) -> String {
    let mut reading = Reading { names: BTreeMap::new(), environment, around: Vec::new(), out: String::new() };
    for line in source.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start();
        if reading.line(line.len() - text.len(), text.trim_end()).is_none() {
            return source.to_owned();
        }
    }
    reading.out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_of_the_environment() {
        let environment = |name: &str| (name == "INDEX").then(|| "3".to_owned());
        let program = "import os, sys\nprint(\"at\", os.environ.get(\"INDEX\"))\nif int(os.environ.get(\"INDEX\")) % 2 == 0:\n  sys.exit(1)\nelif os.environ[\"INDEX\"] in [\"3\", \"4\"]:\n  if True: sys.exit(42)\nelse:\n  sys.exit(2)\n";
        assert_eq!(decided(program, &environment), "import os, sys\nprint(\"at 3\")\n   sys.exit(42)\n");
        let unknown = "if something():\n  sys.exit(1)\n";
        assert_eq!(decided(unknown, &environment), unknown);
    }
}
