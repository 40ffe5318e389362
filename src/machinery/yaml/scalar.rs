//! What a YAML scalar means: go-yaml v2's `resolve.go`, which is YAML 1.1 with a few omissions and additions.

use crate::machinery::base64;

/// The prefix of YAML's own tags, for which `!!` stands.
const TAG_PREFIX: &str = "tag:yaml.org,2002:";

/// A scalar's meaning.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number above the range of int64.
    Uint(u64),
    Float(f64),
    Text(String),
}

/// The meaning of a scalar. `plain` says that it is not quoted; `tag` is the full tag. The error is go-yaml's text.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let Some(tag) = tag else {
        return Ok(if plain { resolve_plain(text) } else { Scalar::Text(text.to_owned()) });
    };
    let Some(short) = tag.strip_prefix(TAG_PREFIX) else {
        return Ok(Scalar::Text(text.to_owned()));
    };
    let found = match short {
        "binary" => return decode_binary(text),
        "bool" | "int" | "float" | "null" | "timestamp" => resolve_plain(text),
        _ => return Ok(Scalar::Text(text.to_owned())),
    };
    match (short, found) {
        ("bool", found @ Scalar::Bool(_))
        | ("int", found @ (Scalar::Int(_) | Scalar::Uint(_)))
        | ("float", found @ Scalar::Float(_))
        | ("null", found @ Scalar::Null) => Ok(found),
        #[expect(clippy::cast_precision_loss, reason = "Go converts it the same way")]
        ("float", Scalar::Int(whole)) => Ok(Scalar::Float(whole as f64)),
        ("timestamp", Scalar::Text(text)) if looks_like_timestamp(&text) => Ok(Scalar::Text(text)),
        (_, found) => Err(format!("cannot decode !!{} `{text}` as a !!{short}", found.tag())),
    }
}

impl Scalar {
    fn tag(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Uint(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
        }
    }
}

fn resolve_plain(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => match text.as_bytes()[0] {
            b'.' => parse_float(text).map_or_else(|| Scalar::Text(text.to_owned()), Scalar::Float),
            b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
            _ => Scalar::Text(text.to_owned()),
        },
    }
}

/// Numbers may have underscores anywhere. Base 60 (`1:30`) is not read.
fn resolve_number(text: &str) -> Scalar {
    let digits = text.replace('_', "");
    match parse_whole(&digits) {
        Some((true, size)) if size <= 1 << 63 => return Scalar::Int((size as i64).wrapping_neg()),
        Some((false, size)) => {
            if let Ok(whole) = i64::try_from(size) {
                return Scalar::Int(whole);
            }
            // Go's ParseUint takes no sign.
            if !digits.starts_with('+') {
                return Scalar::Uint(size);
            }
        }
        _ => {}
    }
    match parse_float(&digits) {
        Some(float) => Scalar::Float(float),
        None => Scalar::Text(text.to_owned()),
    }
}

/// Go's `ParseInt(text, 0, 64)`: sign and size. A leading 0 means octal.
fn parse_whole(text: &str) -> Option<(bool, u64)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // from_str_radix takes a sign of its own, which Go does not.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok().map(|size| (negative, size))
}

/// Digits, a point, an exponent; nothing else that Rust would take for a float, such as `nan`.
fn parse_float(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction) && mantissa.len() > 1,
        None => all_digits(mantissa) && !mantissa.is_empty(),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        all_digits(digits) && !digits.is_empty()
    });
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// The quick test that go-yaml makes before it tries its formats: four digits and a dash.
fn looks_like_timestamp(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    year == 4 && text.as_bytes().get(4) == Some(&b'-')
}

fn decode_binary(text: &str) -> Result<Scalar, String> {
    let bytes = base64::decode(text).map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned()))
}
