//! Moments and spans of time.

use super::functions::not_from_text;
use super::value::Value;
use crate::machinery::time::Time;

type Outcome = Result<Value, String>;

const NANOSECONDS: i64 = 1_000_000_000;

impl Value {
    /// The moment that a text tells; a day begins at midnight.
    #[must_use]
    pub fn timestamp(text: &str) -> Option<Self> {
        Time::parse(text).or_else(|| Time::parse(&format!("{text}T00:00:00Z"))).map(Self::Timestamp)
    }

    /// The span of time that a text tells, as Go writes them: `1h30m`, `-1.5s`.
    #[must_use]
    pub fn duration(text: &str) -> Option<Self> {
        parse(text).map(Self::Duration)
    }
}

pub(super) fn timestamp(text: &str) -> Outcome {
    Time::parse(text).map(Value::Timestamp).ok_or_else(|| not_from_text("google.protobuf.Timestamp"))
}

pub(super) fn duration(text: &str) -> Outcome {
    parse(text).map(Value::Duration).ok_or_else(|| not_from_text("google.protobuf.Duration"))
}

/// `time.ParseDuration`, in nanoseconds.
fn parse(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
        let (unit, size) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        total += number * size;
        rest = &rest[unit.len()..];
    }
    let nanoseconds = (sign * total).round();
    (!text.is_empty() && rest.len() < text.len() && nanoseconds.abs() < 9.2e18).then_some(nanoseconds as i64)
}

/// The last moment of the year 9999, in microseconds: no timestamp is later.
const MICROSECONDS_MAX: u64 = 253_402_300_799_999_999;

/// The moment that is so many nanoseconds after another.
fn after(time: Time, nanoseconds: i64) -> Outcome {
    let span = std::time::Duration::from_nanos(nanoseconds.unsigned_abs());
    let time = if nanoseconds < 0 { time - span } else { time + span };
    if time.as_micros() > MICROSECONDS_MAX { Err("timestamp overflow".to_owned()) } else { Ok(Value::Timestamp(time)) }
}

pub(super) fn arithmetic(operator: &str, left: &Value, right: &Value) -> Option<Outcome> {
    use Value::{Duration, Timestamp};
    let span = |nanoseconds: Option<i64>| Some(nanoseconds.map(Duration).ok_or_else(|| "integer overflow".to_owned()));
    match (operator, left, right) {
        ("+", Duration(left), Duration(right)) => span(left.checked_add(*right)),
        ("-", Duration(left), Duration(right)) => span(left.checked_sub(*right)),
        ("+", Timestamp(time), Duration(span)) | ("+", Duration(span), Timestamp(time)) => Some(after(*time, *span)),
        ("-", Timestamp(time), Duration(span)) => Some(after(*time, span.checked_neg()?)),
        ("-", Timestamp(left), Timestamp(right)) => {
            let (left, right) = (i64::try_from(left.as_micros()).ok()?, i64::try_from(right.as_micros()).ok()?);
            span(left.checked_sub(right)?.checked_mul(1000))
        }
        _ => None,
    }
}

/// The parts of a moment in UTC, and of a span of time as a whole.
pub(super) fn of_time(name: &str, value: &Value, arguments: &[Value]) -> Option<Outcome> {
    if !arguments.is_empty() {
        return None;
    }
    let number = match value {
        Value::Duration(nanoseconds) => match name {
            "getHours" => nanoseconds / (3600 * NANOSECONDS),
            "getMinutes" => nanoseconds / (60 * NANOSECONDS),
            "getSeconds" => nanoseconds / NANOSECONDS,
            "getMilliseconds" => nanoseconds / 1_000_000 % 1000,
            _ => return None,
        },
        Value::Timestamp(time) => {
            // `2026-01-02T03:04:05Z`: the parts stand at fixed places.
            let text = time.to_rfc3339();
            let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i64>().ok());
            match name {
                "getFullYear" => part(0, 4)?,
                "getMonth" => part(5, 7)? - 1,
                "getDate" => part(8, 10)?,
                "getDayOfMonth" => part(8, 10)? - 1,
                "getDayOfWeek" => i64::try_from(time.as_micros() / 86_400_000_000 % 7).ok().map(|day| (day + 4) % 7)?,
                "getHours" => part(11, 13)?,
                "getMinutes" => part(14, 16)?,
                "getSeconds" => part(17, 19)?,
                "getMilliseconds" => i64::try_from(time.as_micros() / 1000 % 1000).ok()?,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Ok(Value::Int(number)))
}
