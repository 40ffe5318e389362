//! From text to quantities.

use super::{
    BINARY_MAX, BINARY_SUFFIXES, DECIMAL_SUFFIXES, Format, MILLI, NANO, ParseError, Quantity, divide_away_from_zero,
};

/// Decimal digits that always fit into upstream's fast 64-bit form.
const MAX_INT64_FACTORS: usize = 18;
/// Decimal digits that always fit into an `i128` with room for a carry.
const DIGITS_MAX: usize = 37;
/// No written exponent counts for more than this.
const EXPONENT_MAX: i32 = 1_000_000;

/// The quick way for what almost all quantities are: a few digits and a plain suffix.
pub(super) fn parse_simple(text: &str) -> Option<Quantity> {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 9 {
        return None;
    }
    let number = bytes[..digits].iter().fold(0i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    let (value, scale, format) = match &bytes[digits..] {
        b"" => (number, 0, Format::DecimalSI),
        b"m" => (number, MILLI, Format::DecimalSI),
        b"Ki" => (number << 10, 0, Format::BinarySI),
        b"Mi" => (number << 20, 0, Format::BinarySI),
        b"Gi" => (number << 30, 0, Format::BinarySI),
        b"k" => (number, 3, Format::DecimalSI),
        b"M" => (number, 6, Format::DecimalSI),
        b"G" => (number, 9, Format::DecimalSI),
        _ => return None,
    };
    Some(Quantity::scaled(value, scale, format))
}

/// The parts of a quantity's text (`parseQuantityString`).
struct Parts<'a> {
    positive: bool,
    /// Digits before the point without leading zeros, at least one.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    suffix: &'a str,
}

impl Parts<'_> {
    fn digits(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }
}

fn split(text: &str) -> Result<Parts<'_>, ParseError> {
    let (positive, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (false, &text[1..]),
        Some(b'+') => (true, &text[1..]),
        _ => (true, text),
    };
    let unsigned = unsigned.trim_start_matches('0');
    let is_digit = |character: char| character.is_ascii_digit();
    let (whole, rest) = split_while(unsigned, is_digit);
    let (fraction, suffix) = match rest.strip_prefix('.') {
        Some(rest) => split_while(rest, is_digit),
        None => ("", rest),
    };
    let (_, exponent) = split_while(suffix, |character| "eEinumkKMGTP".contains(character));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !exponent.chars().all(is_digit) {
        return Err(ParseError::Format);
    }
    Ok(Parts { positive, whole: if whole.is_empty() { "0" } else { whole }, fraction, suffix })
}

fn split_while(text: &str, mut keep: impl FnMut(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !keep(character)).unwrap_or(text.len()))
}

/// What a suffix means: the exponent is of two for binary suffixes and of ten otherwise.
fn interpret(suffix: &str) -> Option<(i32, Format)> {
    if let Some((_, exponent)) = DECIMAL_SUFFIXES.iter().find(|(known, _)| *known == suffix) {
        return Some((*exponent, Format::DecimalSI));
    }
    if let Some(power) = BINARY_SUFFIXES.iter().position(|known| *known == suffix) {
        return Some((power as i32 * 10, Format::BinarySI));
    }
    let exponent: i64 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Upstream truncates to 32 bits here, too; the bound keeps sums of exponents from overflowing.
    let exponent = (exponent as i32).clamp(-EXPONENT_MAX, EXPONENT_MAX);
    Some((exponent, Format::DecimalExponent))
}

/// What a text says.
pub(super) struct Parsed {
    pub(super) quantity: Quantity,
    /// Whether upstream prints the text as it was given instead of the canonical form.
    pub(super) keeps_text: bool,
}

/// The thorough way, which knows every form.
pub(super) fn parse_fully(text: &str) -> Result<Parsed, ParseError> {
    if text.is_empty() {
        return Err(ParseError::Format);
    }
    let parts = split(text)?;
    let (exponent, format) = interpret(parts.suffix).ok_or(ParseError::Suffix)?;
    let mut parsed = match format {
        Format::BinarySI => parse_binary(&parts, exponent),
        Format::DecimalExponent | Format::DecimalSI => parse_decimal(&parts, exponent, format),
    };
    if !parts.positive {
        parsed.quantity = parsed.quantity.negated();
    }
    Ok(parsed)
}

fn parse_decimal(parts: &Parts<'_>, exponent: i32, format: Format) -> Parsed {
    let digits = format!("{}{}", parts.whole, parts.fraction);
    let scale = exponent.saturating_sub(parts.fraction.len() as i32);
    let keeps_text = parts.digits() <= MAX_INT64_FACTORS
        && scale >= NANO
        && scale % 3 == 0
        && !digits.ends_with("000")
        && !digits.starts_with('0');
    let digits = digits.trim_start_matches('0');
    // Digits below a billionth, or more than fit, are cut off and rounded up.
    let below_nano = usize::try_from(NANO.saturating_sub(scale)).unwrap_or(0);
    let cut = below_nano.max(digits.len().saturating_sub(DIGITS_MAX));
    let (kept, dropped) = digits.split_at(digits.len().saturating_sub(cut));
    let carry = dropped.bytes().any(|digit| digit != b'0');
    let quantity = Quantity {
        mantissa: kept.parse::<i128>().unwrap_or(0) + i128::from(carry),
        scale: scale.saturating_add(cut as i32),
        format,
    };
    Parsed { quantity, keeps_text }
}

fn parse_binary(parts: &Parts<'_>, exponent: i32) -> Parsed {
    assert!((10..=60).contains(&exponent), "one of the binary suffixes");
    // Twenty digits are already more than any binary quantity may be.
    let whole = if parts.whole.len() > 20 { BINARY_MAX } else { parts.whole.parse().unwrap_or(0) };
    let whole_value = whole << exponent;
    // Upstream's fast form, in which it may keep the text, holds about fifteen digits.
    let digits_max = 14 - (f64::from(exponent) * 0.3) as i32;
    let keeps_text = parts.fraction.is_empty() && parts.whole.len() as i32 <= digits_max && whole & 7 != 0;
    let nanos = fraction_nanos(parts.fraction, exponent);
    if whole_value > BINARY_MAX || (whole_value == BINARY_MAX && nanos > 0) {
        return Parsed { quantity: Quantity::new(i64::MAX, Format::BinarySI), keeps_text: false };
    }
    let mut quantity = Quantity { mantissa: whole_value, scale: 0, format: Format::BinarySI };
    if nanos > 0 {
        quantity.mantissa = whole_value * 1_000_000_000 + nanos;
        quantity.scale = NANO;
        if quantity.cmp_int(1).is_lt() {
            quantity.format = Format::DecimalSI;
        }
        if quantity.cmp_int(i64::MAX).is_gt() {
            quantity = Quantity::new(i64::MAX, Format::BinarySI);
        }
    }
    Parsed { quantity, keeps_text }
}

/// Billionths in `0.fraction × 2^exponent`, rounded up.
fn fraction_nanos(fraction: &str, exponent: i32) -> i128 {
    const PLACES: usize = 19;
    let (kept, dropped) = fraction.split_at(fraction.len().min(PLACES));
    let mut parts: i128 = kept.parse().unwrap_or(0);
    for _ in kept.len()..PLACES {
        parts *= 10;
    }
    if dropped.bytes().any(|digit| digit != b'0') {
        parts += 1;
    }
    let (nanos, _) = divide_away_from_zero(parts << exponent, PLACES as i32 + NANO);
    nanos
}
