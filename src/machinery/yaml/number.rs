//! Numbers as kubectl keeps them.

use serde_json::{Number, Value};

/// A float as Go's `strconv.FormatFloat(value, 'g', -1, 32)` writes it: how go-yaml turns a key that is a float to
/// text.
pub(super) fn go_float32_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() };
    }
    #[expect(clippy::cast_possible_truncation, reason = "upstream formats keys with 32 bits")]
    let short = value as f32;
    let size = short.abs();
    if short == 0.0 || (1e-4..1e21).contains(&size) {
        return format!("{short}");
    }
    let text = format!("{short:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// A float as the API server keeps it after one trip through JSON: whole numbers that fit become integers. `None` for
/// infinities and NaN, which JSON does not have.
pub(super) fn float_value(value: f64) -> Option<Value> {
    if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the range")]
        return Some(Value::from(value as i64));
    }
    Number::from_f64(value).map(Value::Number)
}

/// A JSON number's text as kubectl sends it on: an int64 where it is one or a whole float is, otherwise a float.
pub(super) fn json_number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    text.parse().ok().and_then(float_value)
}
