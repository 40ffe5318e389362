//! Values: texts and numbers, and texts that are numbers when they come from the input.

use super::super::printf::Spec;

/// How many digits a number that is not whole is printed with: `OFMT`.
const DIGITS: usize = 6;
/// How wide a field of `printf` may be.
const WIDTH_MAX: usize = 10_000;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A variable that nothing was put into.
    Unset,
    Number(f64),
    Text(String),
    /// A piece of the input that looks like a number.
    Numeric(String, f64),
}

impl Value {
    /// A piece of the input.
    pub(super) fn of_input(text: &str) -> Self {
        match text.trim().parse::<f64>() {
            Ok(number) if text.trim().ends_with(|last: char| last.is_ascii_digit() || last == '.') => {
                Self::Numeric(text.to_owned(), number)
            }
            _ => Self::Text(text.to_owned()),
        }
    }

    pub(super) const fn of(is: bool) -> Self {
        Self::Number(if is { 1.0 } else { 0.0 })
    }

    pub(super) fn number(&self) -> f64 {
        match self {
            Self::Unset => 0.0,
            Self::Number(number) | Self::Numeric(_, number) => *number,
            Self::Text(text) => leading_number(text),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Unset => String::new(),
            Self::Number(number) => print(*number),
            Self::Text(text) | Self::Numeric(text, _) => text.clone(),
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Unset => false,
            Self::Number(number) | Self::Numeric(_, number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// Which of two comes first: as numbers where both may be numbers, else as texts.
    pub(super) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        if matches!(self, Self::Text(_)) || matches!(other, Self::Text(_)) {
            return self.text().cmp(&other.text());
        }
        self.number().total_cmp(&other.number())
    }
}

/// The number that a text begins with.
fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let mut end = 0;
    for (at, letter) in text.char_indices() {
        let sign = matches!(letter, '-' | '+') && (at == 0 || text[..at].ends_with(['e', 'E']));
        if !(letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E') || sign) {
            break;
        }
        end = at + 1;
    }
    // `12e` and `1.2.3` are 12 and 1.2.
    (0..=end).rev().find_map(|end| text[..end].parse().ok()).unwrap_or(0.0)
}

/// A number as it is printed: whole ones whole, others with six digits.
fn print(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e16 { format!("{number:.0}") } else { general(number, DIGITS) }
}

/// C's `%g`.
fn general(number: f64, digits: usize) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan"
        } else if number > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let digits = digits.max(1);
    let exponential = format!("{number:.*e}", digits - 1);
    let exponent: i32 = exponential.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let shorten = |text: String| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let mantissa = exponential.split('e').next().unwrap_or("").to_owned();
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", shorten(mantissa), exponent.abs());
    }
    let places = (digits as i32 - 1 - exponent).max(0) as usize;
    shorten(format!("{number:.places$}"))
}

/// `sprintf`.
pub(super) fn format(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = letters.next_if(|letter| "-+ 0#".contains(*letter)) {
            spec.flag(flag);
        }
        let mut size = |letters: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if letters.next_if_eq(&'*').is_some() {
                return Some(values.next().map_or(0.0, Value::number).clamp(0.0, WIDTH_MAX as f64) as usize);
            }
            let mut size = None;
            while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
                size = Some((size.unwrap_or(0) * 10 + digit as usize).min(WIDTH_MAX));
                letters.next();
            }
            size
        };
        spec.width = size(&mut letters).unwrap_or(0);
        if letters.next_if_eq(&'.').is_some() {
            spec.precision = Some(size(&mut letters).unwrap_or(0));
        }
        let Some(conversion) = letters.next() else { break };
        if conversion == '%' {
            out.push('%');
            continue;
        }
        let value = values.next().unwrap_or(&Value::Unset);
        out.push_str(&converted(conversion, &spec, value));
    }
    out
}

fn converted(conversion: char, spec: &Spec, value: &Value) -> String {
    let number = value.number();
    let sign = if spec.plus && number >= 0.0 { "+" } else { "" };
    let text = match conversion {
        'd' | 'i' | 'u' => format!("{sign}{:.0}", number.trunc()),
        'x' => format!("{:x}", number as i64),
        'X' => format!("{:X}", number as i64),
        'o' => format!("{:o}", number as i64),
        'f' | 'F' => format!("{sign}{number:.*}", spec.precision.unwrap_or(DIGITS)),
        'g' | 'G' => format!("{sign}{}", general(number, spec.precision.unwrap_or(DIGITS))),
        'e' | 'E' => {
            let text = format!("{number:.*e}", spec.precision.unwrap_or(DIGITS));
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{sign}{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        'c' => match value {
            Value::Number(number) => char::from_u32(*number as u32).map(String::from).unwrap_or_default(),
            other => other.text().chars().take(1).collect(),
        },
        's' => spec.precision.map_or_else(|| value.text(), |most| value.text().chars().take(most).collect()),
        other => format!("%{other}"),
    };
    spec.pad(&text, !matches!(conversion, 's' | 'c'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_c_does() {
        assert_eq!(print(3.0), "3");
        assert_eq!(print(0.1), "0.1");
        assert_eq!(print(1.0 / 3.0), "0.333333");
        assert_eq!(print(1_234_567.5), "1.23457e+06");
        assert_eq!(print(0.000_012_5), "1.25e-05");
        assert_eq!(leading_number("12abc"), 12.0);
        assert_eq!(leading_number("-1.5e2x"), -150.0);
        assert_eq!(
            format("%-5s|%5.1f|%03d|%c|%%", &[Value::Text("ab".to_owned()), Value::Number(2.25), Value::Number(7.0)]),
            "ab   |  2.2|007||%"
        );
    }
}
