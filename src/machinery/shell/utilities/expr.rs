//! `expr`.

use super::super::io::CommandIo;
use super::super::regex::Regex;

/// How deep parentheses may be nested.
const DEPTH_MAX: u32 = 50;

/// `expr EXPRESSION`.
pub(super) fn expr(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let mut parser = Parser { words: arguments, at: 0, depth: 0 };
    let value = parser.level(0);
    match value {
        Ok(value) if parser.at == arguments.len() => {
            super::basic::print(io, &value);
            i32::from(value.is_empty() || value == "0")
        }
        Err(message) => {
            io.complain(&message);
            2
        }
        Ok(_) => {
            io.complain("syntax error");
            2
        }
    }
}

struct Parser<'a> {
    words: &'a [String],
    at: usize,
    depth: u32,
}

const LEVELS: [&[&str]; 6] =
    [&["|"], &["&"], &["=", "==", "!=", "<", "<=", ">", ">="], &["+", "-"], &["*", "/", "%"], &[":"]];

impl Parser<'_> {
    fn level(&mut self, level: usize) -> Result<String, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.primary();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = self.words.get(self.at).filter(|word| operators.contains(&word.as_str())) {
            self.at += 1;
            let right = self.level(level + 1)?;
            left = apply(&left, operator, &right)?;
        }
        Ok(left)
    }

    fn primary(&mut self) -> Result<String, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("syntax error".to_owned());
        }
        let word = self.words.get(self.at).ok_or("syntax error")?;
        self.at += 1;
        let value = match word.as_str() {
            "(" => {
                let value = self.level(0)?;
                if self.words.get(self.at).is_none_or(|word| word != ")") {
                    return Err("syntax error".to_owned());
                }
                self.at += 1;
                value
            }
            "length" if self.at < self.words.len() => self.primary()?.chars().count().to_string(),
            "substr" if self.at + 2 < self.words.len() => {
                let text = self.primary()?;
                let (start, length) = (number(&self.primary()?)?, number(&self.primary()?)?);
                let skip = usize::try_from(start - 1).unwrap_or(usize::MAX);
                text.chars().skip(skip).take(usize::try_from(length).unwrap_or(0)).collect()
            }
            "match" if self.at + 1 < self.words.len() => {
                let (text, pattern) = (self.primary()?, self.primary()?);
                apply(&text, ":", &pattern)?
            }
            _ => word.clone(),
        };
        self.depth -= 1;
        Ok(value)
    }
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "non-numeric argument".to_owned())
}

fn apply(left: &str, operator: &str, right: &str) -> Result<String, String> {
    let empty = |text: &str| text.is_empty() || text == "0";
    let truth = |value: bool| i64::from(value).to_string();
    Ok(match operator {
        "|" => if empty(left) { right } else { left }.to_owned(),
        "&" => if empty(left) || empty(right) { "0" } else { left }.to_owned(),
        ":" => {
            let regex = Regex::new(&format!("^{right}"), false, false)?;
            let chars: Vec<char> = left.chars().collect();
            let group = right.contains("\\(");
            match regex.find(&chars, 0) {
                Some(found) if group => found
                    .get(1)
                    .copied()
                    .flatten()
                    .map(|(start, end)| chars[start..end].iter().collect())
                    .unwrap_or_default(),
                Some(found) => found[0].map_or(0, |(start, end)| end - start).to_string(),
                None if group => String::new(),
                None => "0".to_owned(),
            }
        }
        "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" => {
            let order = match (left.parse::<i64>(), right.parse::<i64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.cmp(right),
            };
            truth(match operator {
                "=" | "==" => order.is_eq(),
                "!=" => order.is_ne(),
                "<" => order.is_lt(),
                "<=" => order.is_le(),
                ">" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        arithmetic => {
            let (left, right) = (number(left)?, number(right)?);
            let value = match arithmetic {
                "+" => left.wrapping_add(right),
                "-" => left.wrapping_sub(right),
                "*" => left.wrapping_mul(right),
                _ if right == 0 => return Err("division by zero".to_owned()),
                "/" => left.wrapping_div(right),
                _ => left.wrapping_rem(right),
            };
            value.to_string()
        }
    })
}
