//! Arithmetic of `$((…))`, `((…))`, `let` and `expr`-like numbers: 64-bit integers, C's operators, assignments.

/// Where arithmetic finds and puts variables.
pub trait Variables {
    /// The text of a variable, if it is set.
    fn get(&self, name: &str) -> Option<String>;
    /// Sets a variable.
    fn set(&mut self, name: &str, value: i64);
}

/// How deep parentheses and variables that name other variables may go.
const DEPTH_MAX: u32 = 50;

/// The value of an expression; an empty one is 0.
///
/// # Errors
/// With busybox's text: "arithmetic syntax error", "divide by zero".
pub fn evaluate(text: &str, variables: &mut dyn Variables) -> Result<i64, String> {
    evaluate_at(text, variables, 0)
}

fn evaluate_at(text: &str, variables: &mut dyn Variables, depth: u32) -> Result<i64, String> {
    if depth > DEPTH_MAX {
        return Err("expression recursion loop detected".to_owned());
    }
    let mut parser = Expression { text: text.as_bytes(), at: 0, variables, depth, skip: 0 };
    parser.blanks();
    if parser.at == parser.text.len() {
        return Ok(0);
    }
    let mut value = parser.comma()?;
    parser.blanks();
    if parser.at < parser.text.len() {
        value = syntax_error()?;
    }
    Ok(value)
}

fn syntax_error() -> Result<i64, String> {
    Err("arithmetic syntax error".to_owned())
}

struct Expression<'a> {
    text: &'a [u8],
    at: usize,
    variables: &'a mut dyn Variables,
    depth: u32,
    /// Above zero where a value is not wanted, as on the right of a false `&&`.
    skip: u32,
}

/// Binary operators by precedence, loosest first; longer ones stand before those they begin with.
const LEVELS: [&[&str]; 10] = [
    &["||"],
    &["&&"],
    &["|"],
    &["^"],
    &["&"],
    &["==", "!="],
    &["<=", ">=", "<", ">"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

const ASSIGNMENTS: [&str; 11] = ["<<=", ">>=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "="];

impl Expression<'_> {
    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn looking_at(&mut self, operator: &str) -> bool {
        self.blanks();
        self.text[self.at..].starts_with(operator.as_bytes())
    }

    fn take(&mut self, operator: &str) -> bool {
        let found = self.looking_at(operator);
        if found {
            self.at += operator.len();
        }
        found
    }

    fn comma(&mut self) -> Result<i64, String> {
        let mut value = self.assignment()?;
        while self.take(",") {
            value = self.assignment()?;
        }
        Ok(value)
    }

    fn name(&mut self) -> Option<String> {
        self.blanks();
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|c| **c == b'_' || c.is_ascii_alphanumeric()).count();
        if length == 0 || rest[0].is_ascii_digit() {
            return None;
        }
        let name = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length;
        Some(name)
    }

    fn assignment(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("expression recursion loop detected".to_owned());
        }
        let start = self.at;
        if let Some(name) = self.name()
            && let Some(operator) = ASSIGNMENTS.iter().find(|operator| self.looking_at(operator))
            && !(*operator == "=" && self.looking_at("=="))
        {
            self.at += operator.len();
            let right = self.assignment()?;
            let value = match operator.strip_suffix('=') {
                Some("") | None => right,
                Some(binary) => {
                    let left = self.variable(&name)?;
                    self.apply(binary, left, right)?
                }
            };
            if self.skip == 0 {
                self.variables.set(&name, value);
            }
            self.depth -= 1;
            return Ok(value);
        }
        self.at = start;
        let value = self.ternary();
        self.depth -= 1;
        value
    }

    fn ternary(&mut self) -> Result<i64, String> {
        let condition = self.binary(0)?;
        if !self.take("?") {
            return Ok(condition);
        }
        let first = self.skipping(condition == 0, Self::assignment)?;
        if !self.take(":") {
            return syntax_error();
        }
        let second = self.skipping(condition != 0, Self::assignment)?;
        Ok(if condition == 0 { second } else { first })
    }

    fn skipping(&mut self, skip: bool, read: fn(&mut Self) -> Result<i64, String>) -> Result<i64, String> {
        self.skip += u32::from(skip);
        let value = read(self);
        self.skip -= u32::from(skip);
        value
    }

    fn binary(&mut self, level: usize) -> Result<i64, String> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        'more: loop {
            for operator in *operators {
                // `a && b` is not `a & &b`, `a << b` is not `a < <b`, and `a += b` is no sum.
                let after = self.text.get(self.at_after_blanks() + operator.len());
                let longer = operator.len() == 1
                    && (after == Some(&b'=') || (after == operator.as_bytes().first() && "&|<>".contains(operator)));
                if longer || !self.take(operator) {
                    continue;
                }
                let skip = (*operator == "&&" && left == 0) || (*operator == "||" && left != 0);
                self.skip += u32::from(skip);
                let right = self.binary(level + 1);
                self.skip -= u32::from(skip);
                left = self.apply(operator, left, right?)?;
                continue 'more;
            }
            return Ok(left);
        }
    }

    fn at_after_blanks(&mut self) -> usize {
        self.blanks();
        self.at
    }

    fn apply(&self, operator: &str, left: i64, right: i64) -> Result<i64, String> {
        let shift = (right & 63) as u32;
        Ok(match operator {
            "||" => i64::from(left != 0 || right != 0),
            "&&" => i64::from(left != 0 && right != 0),
            "|" => left | right,
            "^" => left ^ right,
            "&" => left & right,
            "==" => i64::from(left == right),
            "!=" => i64::from(left != right),
            "<=" => i64::from(left <= right),
            ">=" => i64::from(left >= right),
            "<" => i64::from(left < right),
            ">" => i64::from(left > right),
            "<<" => left.wrapping_shl(shift),
            ">>" => left.wrapping_shr(shift),
            "+" => left.wrapping_add(right),
            "-" => left.wrapping_sub(right),
            "*" => left.wrapping_mul(right),
            "/" | "%" if right == 0 && self.skip == 0 => return Err("divide by zero".to_owned()),
            "/" | "%" if right == 0 => 0,
            "/" => left.wrapping_div(right),
            _ => left.wrapping_rem(right),
        })
    }

    fn unary(&mut self) -> Result<i64, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("expression recursion loop detected".to_owned());
        }
        let value = self.unary_inner();
        self.depth -= 1;
        value
    }

    fn unary_inner(&mut self) -> Result<i64, String> {
        for step in ["++", "--"] {
            if self.take(step) {
                let Some(name) = self.name() else {
                    return syntax_error();
                };
                return self.step(&name, step).map(|(_, new)| new);
            }
        }
        if self.take("!") {
            return Ok(i64::from(self.unary()? == 0));
        }
        if self.take("~") {
            return Ok(!self.unary()?);
        }
        if self.take("-") {
            return Ok(self.unary()?.wrapping_neg());
        }
        if self.take("+") {
            return self.unary();
        }
        let base = self.primary()?;
        if self.take("**") {
            let exponent = self.unary()?;
            let exponent = u32::try_from(exponent).map_err(|_| "exponent less than 0".to_owned())?;
            return Ok(base.wrapping_pow(exponent));
        }
        Ok(base)
    }

    fn step(&mut self, name: &str, step: &str) -> Result<(i64, i64), String> {
        let old = self.variable(name)?;
        let new = if step == "++" { old.wrapping_add(1) } else { old.wrapping_sub(1) };
        if self.skip == 0 {
            self.variables.set(name, new);
        }
        Ok((old, new))
    }

    fn primary(&mut self) -> Result<i64, String> {
        if self.take("(") {
            let value = self.comma()?;
            return if self.take(")") { Ok(value) } else { syntax_error() };
        }
        if let Some(name) = self.name() {
            for step in ["++", "--"] {
                if self.take(step) {
                    return self.step(&name, step).map(|(old, _)| old);
                }
            }
            return self.variable(&name);
        }
        let rest = &self.text[self.at..];
        let length = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || **c == b'#').count();
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length;
        parse_number(&text).map_or_else(syntax_error, Ok)
    }

    fn variable(&mut self, name: &str) -> Result<i64, String> {
        match self.variables.get(name) {
            None => Ok(0),
            Some(text) => match parse_number(text.trim()) {
                Some(number) => Ok(number),
                None => evaluate_at(&text, self.variables, self.depth + 10),
            },
        }
    }
}

/// A number in C's notation: decimal, `0x`, octal with a leading zero, or `base#digits`; a minus may stand before it.
#[must_use]
pub fn parse_number(text: &str) -> Option<i64> {
    if let Some(rest) = text.strip_prefix('-') {
        return parse_number(rest).map(i64::wrapping_neg).filter(|_| !rest.starts_with('-'));
    }
    if let Some((base, digits)) = text.split_once('#') {
        let base = base.parse().ok().filter(|base| (2..=36).contains(base))?;
        return i64::from_str_radix(digits, base).ok();
    }
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).ok().map(u64::cast_signed);
    }
    if text.len() > 1 && text.starts_with('0') {
        return i64::from_str_radix(text, 8).ok();
    }
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    impl Variables for BTreeMap<String, String> {
        fn get(&self, name: &str) -> Option<String> {
            BTreeMap::get(self, name).cloned()
        }

        fn set(&mut self, name: &str, value: i64) {
            self.insert(name.to_owned(), value.to_string());
        }
    }

    fn check(text: &str, expected: Result<i64, &str>) {
        let mut variables = BTreeMap::from([("x".to_owned(), "5".to_owned()), ("y".to_owned(), "x + 1".to_owned())]);
        variables.insert("loop".to_owned(), "loop".to_owned());
        assert_eq!(evaluate(text, &mut variables).as_ref().map(|v| *v).map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn values() {
        check("1 + 2 * 3", Ok(7));
        check("(1 + 2) * 3", Ok(9));
        check("10 / 3 % 2", Ok(1));
        check("-7 / 2", Ok(-3));
        check("x++ + x", Ok(11));
        check("++x + x", Ok(12));
        check("x += 2, x * 2", Ok(14));
        check("y * 2", Ok(12));
        check("x == 5 && y > 5 || 0", Ok(1));
        check("1 << 4 | 1", Ok(17));
        check("x > 3 ? 10 : 20", Ok(10));
        check("0 && 1 / 0", Ok(0));
        check("0x1F + 010", Ok(39));
        check("2 ** 10", Ok(1024));
        check("unset", Ok(0));
        check("", Ok(0));
        check("!x", Ok(0));
        check("~0", Ok(-1));
        check("x = y = 3", Ok(3));
        check("16#ff", Ok(255));
        check("5 & 3", Ok(1));
        check("x <= 5", Ok(1));
    }

    #[test]
    fn errors() {
        check("1 +", Err("arithmetic syntax error"));
        check("1 / 0", Err("divide by zero"));
        check("(1", Err("arithmetic syntax error"));
        check("1 2", Err("arithmetic syntax error"));
        check("loop", Err("expression recursion loop detected"));
        check(&"(".repeat(10_000), Err("expression recursion loop detected"));
        check("9223372036854775807 + 1", Ok(i64::MIN));
    }
}
