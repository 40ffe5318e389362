//! `printf`.

use super::super::arithmetic::parse_number;
use super::super::escape::unescape;
use super::super::io::CommandIo;

/// How wide a field may be.
const WIDTH_MAX: usize = 10_000;

/// `printf FORMAT ARGUMENT…`: the format is used again until no argument is left.
pub(in super::super) fn printf(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let arguments = if arguments.first().is_some_and(|a| a == "--") { &arguments[1..] } else { arguments };
    let Some((format, rest)) = arguments.split_first() else {
        io.complain("usage: printf FORMAT [ARG]...");
        return 1;
    };
    let mut printer = Printer { out: Vec::new(), rest, used: 0, problems: Vec::new() };
    loop {
        let before = printer.used;
        let stopped = printer.format(format);
        if stopped || printer.used == before || printer.used >= rest.len() {
            break;
        }
    }
    let Printer { out, problems, .. } = printer;
    io.write(1, &out);
    for problem in &problems {
        io.write(2, format!("sh: {problem}\n").as_bytes());
    }
    i32::from(!problems.is_empty())
}

struct Printer<'a> {
    out: Vec<u8>,
    rest: &'a [String],
    used: usize,
    problems: Vec<String>,
}

impl Printer<'_> {
    fn next(&mut self) -> Option<String> {
        let next = self.rest.get(self.used).cloned();
        self.used += usize::from(next.is_some());
        next
    }

    fn number(&mut self) -> i64 {
        let Some(text) = self.next() else {
            return 0;
        };
        if let Some(quoted) = text.strip_prefix(['\'', '"']) {
            return quoted.chars().next().map_or(0, |c| i64::from(u32::from(c)));
        }
        parse_number(text.trim().trim_start_matches('+')).unwrap_or_else(|| {
            self.problems.push(format!("{text}: invalid number"));
            0
        })
    }

    /// Prints the format once; whether `%b` said to stop.
    fn format(&mut self, format: &str) -> bool {
        let mut literal = String::new();
        let mut chars = format.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\\' {
                literal.push(c);
                literal.extend(chars.next());
                continue;
            }
            if c != '%' {
                literal.push(c);
                continue;
            }
            let unescaped = unescape(&std::mem::take(&mut literal));
            self.out.extend(unescaped.bytes);
            if unescaped.stop {
                return true;
            }
            let mut spec = Spec::default();
            while let Some(flag) = chars.peek().copied().filter(|c| "-+ 0#".contains(*c)) {
                chars.next();
                spec.flag(flag);
            }
            spec.width = self.size(&mut chars).unwrap_or(0);
            if chars.peek() == Some(&'.') {
                chars.next();
                spec.precision = Some(self.size(&mut chars).unwrap_or(0));
            }
            if self.conversion(chars.next(), &spec) {
                return true;
            }
        }
        let unescaped = unescape(&literal);
        self.out.extend(unescaped.bytes);
        unescaped.stop
    }

    fn size(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
        if chars.peek() == Some(&'*') {
            chars.next();
            return Some(usize::try_from(self.number()).unwrap_or(0).min(WIDTH_MAX));
        }
        let mut size = None;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            size = Some((size.unwrap_or(0) * 10 + digit as usize).min(WIDTH_MAX));
            chars.next();
        }
        size
    }

    fn conversion(&mut self, letter: Option<char>, spec: &Spec) -> bool {
        let text = match letter {
            Some('%') | None => "%".to_owned(),
            Some('s') => {
                let text = self.next().unwrap_or_default();
                spec.precision.map_or_else(|| text.clone(), |most| text.chars().take(most).collect())
            }
            Some('b') => {
                let unescaped = unescape(&self.next().unwrap_or_default());
                self.out.extend(unescaped.bytes);
                return unescaped.stop;
            }
            Some('c') => self.next().unwrap_or_default().chars().take(1).collect(),
            Some('d' | 'i') => {
                let number = self.number();
                let sign = if number >= 0 && spec.plus { "+" } else { "" };
                format!("{sign}{number}")
            }
            Some('u') => self.number().cast_unsigned().to_string(),
            Some('x') => format!("{:x}", self.number()),
            Some('X') => format!("{:X}", self.number()),
            Some('o') => format!("{:o}", self.number()),
            Some('f' | 'g' | 'e' | 'F') => {
                let number: f64 = self.next().unwrap_or_default().trim().parse().unwrap_or(0.0);
                format!("{number:.*}", spec.precision.unwrap_or(6))
            }
            Some('q') => format!("'{}'", self.next().unwrap_or_default()),
            Some(other) => {
                self.problems.push(format!("%{other}: invalid format"));
                return true;
            }
        };
        let numeric = !matches!(letter, Some('s' | 'c' | 'q' | '%') | None);
        self.out.extend(spec.pad(&text, numeric).into_bytes());
        false
    }
}

/// How a value is to be printed.
#[derive(Default)]
pub(super) struct Spec {
    left: bool,
    zeros: bool,
    pub plus: bool,
    pub width: usize,
    pub precision: Option<usize>,
}

impl Spec {
    pub(super) fn flag(&mut self, flag: char) {
        match flag {
            '-' => self.left = true,
            '0' => self.zeros = true,
            '+' => self.plus = true,
            _ => {}
        }
    }

    pub(super) fn pad(&self, text: &str, numeric: bool) -> String {
        let width = self.width;
        if self.left {
            format!("{text:<width$}")
        } else if self.zeros && numeric {
            let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
            let width = width.saturating_sub(sign.len());
            format!("{sign}{digits:0>width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}
