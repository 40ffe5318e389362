//! Resource quantities such as `100m`, `1.5Gi` and `12e6`.
//!
//! Follows `apimachinery/pkg/api/resource`: a quantity is a decimal number that remembers which
//! family of suffixes it was written in. Numbers are exact down to a billionth, as upstream; where
//! upstream turns to arbitrarily large integers this module keeps about thirty-seven digits.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

/// Nothing smaller than a billionth is kept; what is smaller is rounded up to it.
const NANO: i32 = -9;
/// The scale of `m`: thousandths.
const MILLI: i32 = -3;
/// Decimal digits that always fit into upstream's fast 64-bit form.
const MAX_INT64_FACTORS: usize = 18;
/// Decimal digits that always fit into an `i128` with room for a carry.
const DIGITS_MAX: usize = 37;
/// No written exponent counts for more than this.
const EXPONENT_MAX: i32 = 1_000_000;
/// Binary quantities are capped here.
const BINARY_MAX: i128 = i64::MAX as i128;

/// Why a text is not a quantity; the texts are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// `ErrFormatWrong`.
    Format,
    /// `ErrNumeric`.
    Numeric,
    /// `ErrSuffix`.
    Suffix,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Format => {
                "quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            }
            Self::Numeric => "unable to parse numeric part of quantity",
            Self::Suffix => "unable to parse quantity's suffix",
        })
    }
}

impl std::error::Error for ParseError {}

/// The family of suffixes that a quantity is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `12e6`
    DecimalExponent,
    /// `12Mi`
    BinarySI,
    /// `12M`
    #[default]
    DecimalSI,
}

/// An exact decimal number with a preferred way of writing it.
///
/// Comparison looks at the number only: `1` equals `1000m`. Addition and subtraction take over the
/// other side's format when this side is zero, as upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    /// The number is `mantissa × 10^scale`.
    mantissa: i128,
    scale: i32,
    format: Format,
}

impl Quantity {
    /// Zero, written `0`.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0, format: Format::DecimalSI };

    /// A whole number (`NewQuantity`).
    pub const fn new(value: i64, format: Format) -> Self {
        Self::scaled(value, 0, format)
    }

    /// A number of thousandths (`NewMilliQuantity`).
    pub const fn new_milli(value: i64, format: Format) -> Self {
        Self::scaled(value, MILLI, format)
    }

    /// `value × 10^scale`.
    pub const fn scaled(value: i64, scale: i32, format: Format) -> Self {
        Self { mantissa: value as i128, scale, format }
    }

    /// Reads a quantity (`ParseQuantity`).
    ///
    /// # Errors
    /// One of upstream's three errors.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match parse_simple(text) {
            Some(quantity) => Ok(quantity),
            None => parse_fully(text).map(|parsed| parsed.quantity),
        }
    }

    /// Reads what a manifest gave: a string, whose outer blanks are ignored, or a number.
    ///
    /// # Errors
    /// One of upstream's three errors; a boolean, list or map is of the wrong format.
    pub fn parse_json(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::Null => Ok(Self::ZERO),
            Value::String(text) => Self::parse(text.trim()),
            Value::Number(number) => Self::parse(&number.to_string()),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(ParseError::Format),
        }
    }

    /// The text that the API server stores and prints for `text`.
    ///
    /// Upstream keeps some texts as they were written although they are not canonical (`1.234`,
    /// `+1`); this is the one place where that shows, so the [`Quantity`] itself need not carry it.
    ///
    /// # Errors
    /// One of upstream's three errors.
    pub fn canonicalize(text: &str) -> Result<Cow<'_, str>, ParseError> {
        let parsed = parse_fully(text)?;
        if parsed.keeps_text {
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(parsed.quantity.to_string()))
    }

    /// Reads an API object's quantity. Stored objects were decoded before, so what cannot be read
    /// (which the API server never stores) counts as zero.
    pub fn of(quantity: &ApiQuantity) -> Self {
        Self::parse(&quantity.0).unwrap_or(Self::ZERO)
    }

    /// The API type, in canonical form.
    pub fn to_api(self) -> ApiQuantity {
        ApiQuantity(self.to_string())
    }

    /// The family of suffixes this quantity prefers.
    pub const fn format(self) -> Format {
        self.format
    }

    /// The same number, written in another family of suffixes.
    #[must_use]
    pub const fn with_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Whether the number is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// -1, 0 or 1.
    pub const fn sign(self) -> i32 {
        self.mantissa.signum() as i32
    }

    /// The whole number, rounded away from zero. Beyond 64 bits it stops at the limit.
    pub fn value(self) -> i64 {
        self.scaled_value(0)
    }

    /// The number of thousandths, rounded away from zero. Beyond 64 bits it stops at the limit.
    pub fn milli_value(self) -> i64 {
        self.scaled_value(MILLI)
    }

    /// How many `10^scale` the number is, rounded away from zero. Beyond 64 bits it stops at the
    /// limit.
    pub fn scaled_value(self, scale: i32) -> i64 {
        let limit = if self.mantissa < 0 { i64::MIN } else { i64::MAX };
        if self.scale >= scale {
            return power_of_ten(self.scale - scale)
                .and_then(|factor| self.mantissa.checked_mul(factor))
                .and_then(|value| i64::try_from(value).ok())
                .unwrap_or(if self.mantissa == 0 { 0 } else { limit });
        }
        let (value, _) = divide_away_from_zero(self.mantissa, scale - self.scale);
        i64::try_from(value).unwrap_or(limit)
    }

    /// The number as a floating point value, for percentages in print.
    pub fn as_f64(self) -> f64 {
        self.mantissa as f64 * 10f64.powi(self.scale)
    }

    /// Rounds away from zero to a multiple of `10^scale`; says whether that was exact.
    pub fn round_up(&mut self, scale: i32) -> bool {
        if self.scale >= scale {
            return true;
        }
        let (mantissa, exact) = divide_away_from_zero(self.mantissa, scale - self.scale);
        self.mantissa = mantissa;
        self.scale = scale;
        exact
    }

    /// Adds `other` in place.
    pub fn add(&mut self, other: Self) {
        if self.is_zero() {
            self.format = other.format;
        }
        let (left, right, scale) = aligned(*self, other);
        self.mantissa = left.saturating_add(right);
        self.scale = scale;
    }

    /// Subtracts `other` in place.
    pub fn sub(&mut self, other: Self) {
        self.add(other.negated());
    }

    /// Multiplies in place.
    pub fn mul(&mut self, factor: i64) {
        self.mantissa = self.mantissa.saturating_mul(i128::from(factor));
    }

    /// The number with its sign turned.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { mantissa: self.mantissa.saturating_neg(), ..self }
    }

    /// Compares with a whole number.
    pub fn cmp_int(self, value: i64) -> Ordering {
        self.cmp(&Self::new(value, Format::DecimalSI))
    }

    /// The number without factors of ten, and its scale.
    fn reduced(self) -> (i128, i32) {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale += 1;
        }
        (mantissa, scale)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.mantissa.cmp(&other.mantissa);
        }
        if self.scale < other.scale {
            return other.cmp(self).reverse();
        }
        let widened = power_of_ten(self.scale - other.scale).and_then(|factor| self.mantissa.checked_mul(factor));
        match widened {
            Some(mantissa) => mantissa.cmp(&other.mantissa),
            // Too large to be written at the other's scale, hence larger than anything there.
            None => self.mantissa.cmp(&0),
        }
    }
}

impl fmt::Display for Quantity {
    /// The canonical form (`CanonicalizeBytes`): no fraction and the largest possible suffix.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str("0");
        }
        if self.format == Format::BinarySI && (self.cmp_int(-1024).is_le() || self.cmp_int(1024).is_ge()) {
            let mut whole = *self;
            if whole.round_up(0)
                && let Some(mut value) = power_of_ten(whole.scale).and_then(|factor| whole.mantissa.checked_mul(factor))
            {
                let mut suffix = 0;
                while value % 1024 == 0 {
                    value /= 1024;
                    suffix += 1;
                }
                return write!(formatter, "{value}{}", BINARY_SUFFIXES.get(suffix).unwrap_or(&""));
            }
        }
        let (mut mantissa, mut scale) = self.reduced();
        while scale % 3 != 0 {
            mantissa = mantissa.saturating_mul(10);
            scale -= 1;
        }
        write!(formatter, "{mantissa}")?;
        if self.format != Format::DecimalExponent {
            let known = DECIMAL_SUFFIXES.iter().find(|(_, exponent)| *exponent == scale);
            formatter.write_str(known.map_or("", |(suffix, _)| suffix))
        } else if scale == 0 {
            Ok(())
        } else {
            write!(formatter, "e{scale}")
        }
    }
}

impl From<&ApiQuantity> for Quantity {
    fn from(quantity: &ApiQuantity) -> Self {
        Self::of(quantity)
    }
}

impl From<Quantity> for ApiQuantity {
    fn from(quantity: Quantity) -> Self {
        quantity.to_api()
    }
}

/// By power of 1024.
const BINARY_SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// With their power of ten.
const DECIMAL_SUFFIXES: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

fn power_of_ten(exponent: i32) -> Option<i128> {
    10i128.checked_pow(u32::try_from(exponent).ok()?)
}

/// `mantissa / 10^places`, rounded away from zero, and whether that was exact.
fn divide_away_from_zero(mantissa: i128, places: i32) -> (i128, bool) {
    let Some(divisor) = power_of_ten(places) else {
        return (mantissa.signum(), mantissa == 0);
    };
    let exact = mantissa % divisor == 0;
    let quotient = mantissa / divisor;
    (if exact { quotient } else { quotient + mantissa.signum() }, exact)
}

/// Both mantissas at one scale: the finer one, or the coarser where the finer would not fit.
fn aligned(left: Quantity, right: Quantity) -> (i128, i128, i32) {
    if left.scale == right.scale || right.mantissa == 0 {
        return (left.mantissa, right.mantissa, left.scale);
    }
    if left.mantissa == 0 {
        return (0, right.mantissa, right.scale);
    }
    if left.scale < right.scale {
        let (right, left, scale) = aligned(right, left);
        return (left, right, scale);
    }
    let widened = power_of_ten(left.scale - right.scale).and_then(|factor| left.mantissa.checked_mul(factor));
    match widened {
        Some(mantissa) => (mantissa, right.mantissa, right.scale),
        None => {
            let (mantissa, _) = divide_away_from_zero(right.mantissa, left.scale - right.scale);
            (left.mantissa, mantissa, left.scale)
        }
    }
}

/// The quick way for what almost all quantities are: a few digits and a plain suffix.
fn parse_simple(text: &str) -> Option<Quantity> {
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

struct Parsed {
    quantity: Quantity,
    /// Whether upstream prints the text as it was given instead of the canonical form.
    keeps_text: bool,
}

fn parse_fully(text: &str) -> Result<Parsed, ParseError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn both_parsers_agree() {
        for number in ["0", "1", "7", "8", "100", "1000", "1024", "1536", "123456789"] {
            for suffix in ["", "m", "Ki", "Mi", "Gi", "k", "M", "G"] {
                let text = format!("{number}{suffix}");
                let simple = parse_simple(&text).expect("simple");
                let fully = parse_fully(&text).expect("valid").quantity;
                assert_eq!(simple, fully, "{text}");
                assert_eq!(simple.to_string(), fully.to_string(), "{text}");
            }
        }
    }

    #[test]
    fn canonical_form() {
        // Input, what the server prints.
        let cases = [
            ("0", "0"),
            ("0n", "0"),
            ("0Ki", "0"),
            ("-0", "0"),
            ("1", "1"),
            ("1000", "1k"),
            ("1000000", "1M"),
            ("1500", "1500"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("0.1", "100m"),
            ("1.5", "1500m"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("2000m", "2"),
            ("0.0001", "100u"),
            ("1u", "1u"),
            ("0.1n", "1n"),
            ("1.1n", "2n"),
            ("1e-10", "1e-9"),
            ("1Ki", "1Ki"),
            ("1024Ki", "1Mi"),
            ("1000Ki", "1000Ki"),
            ("1.5Gi", "1536Mi"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("0.0001Ki", "102400u"),
            ("0.00001Ki", "10240u"),
            ("1.1Ki", "1126400m"),
            ("8Ei", "9223372036854775807"),
            ("99Ei", "9223372036854775807"),
            ("-8Ei", "-9223372036854775807"),
            ("1024Pi", "1Ei"),
            ("2048Mi", "2Gi"),
            ("4Gi", "4Gi"),
            ("8146948Ki", "8146948Ki"),
            ("1e3", "1e3"),
            ("1E3", "1E3"),
            ("10e2", "1e3"),
            ("1e4", "10e3"),
            ("1e2", "100"),
            ("1e100", "10e99"),
            ("100e-3", "100e-3"),
            ("12E", "12E"),
            ("-1", "-1"),
            ("-1.5Gi", "-1536Mi"),
            // Kept as they were written.
            ("1.234", "1.234"),
            ("+1", "+1"),
            ("01Ki", "01Ki"),
            ("1.", "1."),
            // Beyond 64 bits.
            ("100000000000000000000", "100E"),
            ("123456789012345678901234567890m", "123456789012345678901234567890m"),
        ];
        for (text, expected) in cases {
            assert_eq!(Quantity::canonicalize(text).expect(text), expected, "{text}");
        }
    }

    #[test]
    fn refusals() {
        let format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        let suffix = "unable to parse quantity's suffix";
        let cases = [
            ("", format),
            ("abc", format),
            ("1 Gi", format),
            ("1.1.M", format),
            ("1+1.0M", format),
            ("0.1mi", suffix),
            ("0.1am", format),
            ("aoeu", format),
            (".5i", suffix),
            ("1i", suffix),
            ("-3.01i", suffix),
            ("1GB", format),
            ("1gi", format),
            ("1mi", suffix),
            ("1e", suffix),
            ("1Ki5", suffix),
        ];
        for (text, expected) in cases {
            assert_eq!(Quantity::parse(text).expect_err(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn integers_are_rounded_away_from_zero() {
        // Input, value, thousandths.
        let cases = [
            ("1", 1, 1000),
            ("100m", 1, 100),
            ("1500m", 2, 1500),
            ("-1500m", -2, -1500),
            ("1n", 1, 1),
            ("1u", 1, 1),
            ("1Ki", 1024, 1_024_000),
            ("1.1Ki", 1127, 1_126_400),
            ("1e3", 1000, 1_000_000),
            ("9223372036854775807", i64::MAX, i64::MAX),
            ("0", 0, 0),
        ];
        for (text, value, milli) in cases {
            assert_eq!(parse(text).value(), value, "{text}");
            assert_eq!(parse(text).milli_value(), milli, "{text}");
        }
    }

    #[test]
    fn arithmetic_and_order() {
        let mut sum = Quantity::ZERO;
        sum.add(parse("512Mi"));
        sum.add(parse("1.5Gi"));
        assert_eq!(sum.to_string(), "2Gi");
        sum.sub(parse("100m"));
        assert_eq!(sum.to_string(), "2147483647900m");
        let mut cpu = parse("1");
        cpu.sub(parse("250m"));
        assert_eq!(cpu.to_string(), "750m");
        cpu.mul(4);
        assert_eq!(cpu.to_string(), "3");
        assert_eq!(parse("1"), parse("1000m"));
        assert!(parse("1Gi") > parse("1G"));
        assert!(parse("1e100") > parse("9E"));
        assert!(parse("-1e100") < parse("1n"));
        assert_eq!(cpu.format(), Format::DecimalSI);
        let mut large = parse("1e60");
        large.add(parse("1n"));
        assert!(large > parse("1e59"));
    }

    #[test]
    fn manifests_may_give_numbers() {
        assert_eq!(Quantity::parse_json(&serde_json::json!(2)), Ok(parse("2")));
        assert_eq!(Quantity::parse_json(&serde_json::json!(0.5)), Ok(parse("500m")));
        assert_eq!(Quantity::parse_json(&serde_json::json!(" 1Gi ")), Ok(parse("1Gi")));
        assert_eq!(Quantity::parse_json(&serde_json::json!(true)), Err(ParseError::Format));
    }
}
