//! IntOrString: an absolute number or a percentage of something, as rollouts and budgets use it.
//!
//! Follows `apimachinery/pkg/util/intstr`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::quote::quote;

/// Which way a percentage of a small number is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// To the next integer towards positive infinity, as for `maxSurge`.
    Up,
    /// To the next integer towards negative infinity, as for `maxUnavailable`.
    Down,
}

/// The absolute number that `value` means out of `total`
/// (`GetScaledValueFromIntOrPercent`).
///
/// # Errors
/// Upstream's message when a string is not a percentage.
pub fn scaled_value(value: &IntOrString, total: i32, round: Round) -> Result<i32, String> {
    let percent = match value {
        IntOrString::Int(number) => return Ok(*number),
        IntOrString::String(text) => {
            percentage(text).map_err(|error| format!("invalid value for IntOrString: {error}"))?
        }
    };
    let hundredfold = i64::from(total) * i64::from(percent);
    let scaled = match round {
        Round::Up => -(-hundredfold).div_euclid(100),
        Round::Down => hundredfold.div_euclid(100),
    };
    Ok(scaled.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
}

/// As [`scaled_value`], with upstream's "nil" error for a missing value.
///
/// # Errors
/// When the value is missing, or a string that is not a percentage.
pub fn scaled_value_of(value: Option<&IntOrString>, total: i32, round: Round) -> Result<i32, String> {
    match value {
        Some(value) => scaled_value(value, total, round),
        None => Err("nil value for IntOrString".to_owned()),
    }
}

fn percentage(text: &str) -> Result<i32, String> {
    let Some(digits) = text.strip_suffix('%') else {
        return Err("invalid type: string is not a percentage".to_owned());
    };
    atoi(digits)
        .map(|number| number.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32)
        .map_err(|error| format!("invalid value {}: {error}", quote(text)))
}

/// Go's `strconv.Atoi`.
///
/// # Errors
/// Go's own message, which API messages repeat.
pub fn atoi(text: &str) -> Result<i64, String> {
    parse_integer("Atoi", text)
}

/// Go's `strconv.ParseInt(text, 10, 64)`.
///
/// # Errors
/// Go's own message, which API messages repeat.
pub fn parse_int(text: &str) -> Result<i64, String> {
    parse_integer("ParseInt", text)
}

fn parse_integer(function: &str, text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let well_formed = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let problem = if well_formed { "value out of range" } else { "invalid syntax" };
    match text.parse() {
        Ok(number) if well_formed => Ok(number),
        _ => Err(format!("strconv.{function}: parsing {}: {problem}", quote(text))),
    }
}

/// The text of either form, as upstream's `String()` prints it.
pub fn to_text(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    }
}

/// Reads a command line's value: a number if it looks like one, otherwise a string (`intstr.Parse`).
pub fn from_text(text: &str) -> IntOrString {
    match atoi(text).ok().and_then(|number| i32::try_from(number).ok()) {
        Some(number) => IntOrString::Int(number),
        None => IntOrString::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> IntOrString {
        IntOrString::String(value.to_owned())
    }

    #[test]
    fn percentages_are_rounded_as_asked() {
        let cases = [
            (IntOrString::Int(123), 7, Ok(123), Ok(123)),
            (text("90%"), 100, Ok(90), Ok(90)),
            (text("90%"), 95, Ok(86), Ok(85)),
            (text("25%"), 1, Ok(1), Ok(0)),
            (text("25%"), 10, Ok(3), Ok(2)),
            (text("0%"), 10, Ok(0), Ok(0)),
            (text("150%"), 3, Ok(5), Ok(4)),
            (
                text("%"),
                100,
                Err("invalid value for IntOrString: invalid value \"%\": strconv.Atoi: parsing \"\": invalid syntax"),
                Err("invalid value for IntOrString: invalid value \"%\": strconv.Atoi: parsing \"\": invalid syntax"),
            ),
            (
                text("90#"),
                100,
                Err("invalid value for IntOrString: invalid type: string is not a percentage"),
                Err("invalid value for IntOrString: invalid type: string is not a percentage"),
            ),
        ];
        for (value, total, up, down) in cases {
            let owned = |expected: Result<i32, &str>| expected.map_err(str::to_owned);
            assert_eq!(scaled_value(&value, total, Round::Up), owned(up), "{value:?} up");
            assert_eq!(scaled_value(&value, total, Round::Down), owned(down), "{value:?} down");
        }
        assert_eq!(scaled_value_of(None, 1, Round::Up), Err("nil value for IntOrString".to_owned()));
    }

    #[test]
    fn texts_become_numbers_when_they_can() {
        assert_eq!(from_text("12"), IntOrString::Int(12));
        assert_eq!(from_text("12%"), text("12%"));
        assert_eq!(to_text(&text("http")), "http");
        assert_eq!(
            parse_int("99999999999999999999").unwrap_err(),
            "strconv.ParseInt: parsing \"99999999999999999999\": value out of range"
        );
    }
}
