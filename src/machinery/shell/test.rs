//! `test`, `[` and `[[`.

use super::arithmetic::parse_number;
use super::files::FileKind;
use super::io::CommandIo;
use super::pattern;
use super::regex::Regex;
use super::shell::Variable;

/// How deep parentheses may be nested.
const DEPTH_MAX: u32 = 50;

/// `test EXPRESSION` and `[ EXPRESSION ]`.
pub(super) fn run(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let name = io.process.argv.first().cloned().unwrap_or_default();
    if name != "[" {
        return evaluate(io, "test", arguments);
    }
    match arguments.split_last() {
        Some((last, rest)) if last == "]" => evaluate(io, "[", rest),
        _ => {
            io.write(2, b"sh: missing ]\n");
            2
        }
    }
}

/// 0 if the expression is true, 1 if not, 2 if it is none.
pub(super) fn evaluate(io: &mut CommandIo<'_>, name: &str, words: &[String]) -> i32 {
    let mut expression = Expression { io, words, at: 0, extended: name == "[[", depth: 0 };
    let result = if words.is_empty() { Ok(false) } else { expression.or() };
    let rest = words.get(expression.at..).unwrap_or_default();
    let result = match rest.first() {
        Some(word) if result.is_ok() => Err(format!("{word}: unknown operand")),
        _ => result,
    };
    match result {
        Ok(value) => i32::from(!value),
        Err(message) => {
            io.write(2, format!("sh: {message}\n").as_bytes());
            2
        }
    }
}

struct Expression<'a, 'b> {
    io: &'a mut CommandIo<'b>,
    words: &'a [String],
    at: usize,
    extended: bool,
    depth: u32,
}

const BINARY: [&str; 17] =
    ["=", "==", "!=", "<", ">", "=~", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt", "-ot", "-ef", "-a", "-o"];

impl Expression<'_, '_> {
    fn word(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.word() == Some(word);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<bool, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("too deeply nested".to_owned());
        }
        let operator = if self.extended { "||" } else { "-o" };
        let mut value = self.and()?;
        while self.take(operator) {
            value |= self.and()?;
        }
        self.depth -= 1;
        Ok(value)
    }

    fn and(&mut self) -> Result<bool, String> {
        let operator = if self.extended { "&&" } else { "-a" };
        let mut value = self.not()?;
        while self.take(operator) {
            value &= self.not()?;
        }
        Ok(value)
    }

    fn not(&mut self) -> Result<bool, String> {
        let mut negated = false;
        while self.word() == Some("!") && self.at + 1 < self.words.len() {
            self.at += 1;
            negated = !negated;
        }
        Ok(self.primary()? != negated)
    }

    fn primary(&mut self) -> Result<bool, String> {
        let Some(first) = self.word().map(str::to_owned) else {
            return Err("argument expected".to_owned());
        };
        let second = self.words.get(self.at + 1).map(String::as_str);
        // A binary operator in the second place decides, as in `[ -f = x ]`.
        let logical = |word: &str| matches!(word, "-a" | "-o");
        if let Some(operator) = second.filter(|word| BINARY.contains(word) && !logical(word)) {
            let operator = operator.to_owned();
            let Some(third) = self.words.get(self.at + 2).cloned() else {
                return Err("argument expected".to_owned());
            };
            self.at += 3;
            return self.binary(&first, &operator, &third);
        }
        if first == "(" {
            self.at += 1;
            let value = self.or()?;
            return if self.take(")") { Ok(value) } else { Err("closing paren expected".to_owned()) };
        }
        self.at += 1;
        let is_unary = first.len() == 2 && first.starts_with('-') && "abcdefghknoprstuvwxzGLNOS".contains(&first[1..]);
        match second.map(str::to_owned) {
            Some(operand) if is_unary => {
                self.at += 1;
                Ok(self.unary(&first[1..], &operand))
            }
            _ => Ok(!first.is_empty()),
        }
    }

    fn unary(&mut self, operator: &str, operand: &str) -> bool {
        match operator {
            "n" => return !operand.is_empty(),
            "z" => return operand.is_empty(),
            "t" => return operand.parse().is_ok_and(|number| self.io.is_terminal(number)),
            "v" => return self.io.process.variables.contains_key(operand),
            "o" => return false,
            _ => {}
        }
        let path = self.io.path(operand);
        if path.starts_with("/dev/") && matches!(operator, "e" | "c" | "r" | "w") {
            return matches!(
                &path[5..],
                "null" | "zero" | "random" | "urandom" | "stdin" | "stdout" | "stderr" | "full"
            );
        }
        let follow = !matches!(operator, "h" | "L");
        let Ok(entry) = self.io.files(|files| files.stat(&path, follow)) else {
            return operator == "x" && super::builtins::executable(self.io, operand).is_some() && operand.contains('/');
        };
        match operator {
            "f" => entry.is_file(),
            "d" => entry.is_directory(),
            "s" => entry.size() > 0,
            "h" | "L" => matches!(entry.kind, FileKind::Link(_)),
            "x" => entry.is_directory() || entry.mode & 0o111 != 0,
            "b" | "c" | "p" | "S" | "g" | "k" | "u" => false,
            _ => true,
        }
    }

    /// `=~`, which leaves what its groups matched in `BASH_REMATCH`.
    fn matches(&mut self, left: &str, right: &str) -> Result<bool, String> {
        let text: Vec<char> = left.chars().collect();
        let Some(groups) = Regex::new(right, true, false)?.find(&text, 0) else { return Ok(false) };
        for (index, group) in groups.iter().enumerate() {
            let matched: String = group.map_or_else(String::new, |(from, to)| text[from..to].iter().collect());
            let name = if index == 0 { vec!["BASH_REMATCH".to_owned()] } else { Vec::new() };
            for name in name.into_iter().chain([format!("BASH_REMATCH[{index}]")]) {
                let variable = Variable { value: matched.clone(), exported: false, read_only: false };
                self.io.process.variables.insert(name, variable);
            }
        }
        Ok(true)
    }

    fn binary(&mut self, left: &str, operator: &str, right: &str) -> Result<bool, String> {
        Ok(match operator {
            "=" | "==" if self.extended => pattern::matches(right, left),
            "!=" if self.extended => !pattern::matches(right, left),
            "=" | "==" => left == right,
            "!=" => left != right,
            "<" => left < right,
            ">" => left > right,
            "=~" => self.matches(left, right)?,
            "-nt" | "-ot" | "-ef" => {
                let paths = [self.io.path(left), self.io.path(right)];
                let mut times = [None, None];
                for (time, path) in times.iter_mut().zip(&paths) {
                    *time = self.io.files(|files| files.stat(path, true)).ok().map(|entry| entry.modified);
                }
                match operator {
                    "-nt" => times[0] > times[1],
                    "-ot" => times[0] < times[1],
                    _ => times[0].is_some() && paths[0] == paths[1],
                }
            }
            numeric => {
                let number = |text: &str| {
                    let text = text.trim();
                    let decimal = text.trim_start_matches('+').parse().ok();
                    decimal
                        .or_else(|| parse_number(text).filter(|_| self.extended))
                        .ok_or_else(|| format!("{text}: bad number"))
                };
                let (left, right): (i64, i64) = (number(left)?, number(right)?);
                match numeric {
                    "-eq" => left == right,
                    "-ne" => left != right,
                    "-lt" => left < right,
                    "-le" => left <= right,
                    "-gt" => left > right,
                    _ => left >= right,
                }
            }
        })
    }
}
