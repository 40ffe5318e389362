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

mod parse;

use parse::{parse_fully, parse_simple};

/// Nothing smaller than a billionth is kept; what is smaller is rounded up to it.
const NANO: i32 = -9;
/// The scale of `m`: thousandths.
const MILLI: i32 = -3;
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

#[cfg(test)]
mod tests;
