//! Go's ways of printing strings and values, which upstream's messages are made of: `%q` and `%v`.

use crate::machinery::order::Order as _;
use serde_json::{Number, Value};

/// Quotes `text` as Go's `strconv.Quote` does.
///
/// Printable characters stay as they are, the rest become `\n`-like, `\x`, `\u` or `\U` escapes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        push_escaped(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

fn push_escaped(quoted: &mut String, character: char) {
    match character {
        '"' => quoted.push_str("\\\""),
        '\\' => quoted.push_str("\\\\"),
        '\u{07}' => quoted.push_str("\\a"),
        '\u{08}' => quoted.push_str("\\b"),
        '\u{0c}' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{0b}' => quoted.push_str("\\v"),
        _ if is_printable(character) => quoted.push(character),
        _ => {
            let code = u32::from(character);
            let escape = if code < 0x80 {
                format!("\\x{code:02x}")
            } else if code < 0x1_0000 {
                format!("\\u{code:04x}")
            } else {
                format!("\\U{code:08x}")
            };
            quoted.push_str(&escape);
        }
    }
}

/// A close cousin of Go's `unicode.IsPrint`: of all blanks only the ASCII space is printable.
fn is_printable(character: char) -> bool {
    let invisible = matches!(u32::from(character),
        0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xd800..=0xf8ff | 0xfeff
        | 0xfff0..=0xfffb | 0xfffe | 0xffff | 0xe0000..=0x10ffff);
    character == ' ' || !(character.is_control() || character.is_whitespace() || invisible)
}

/// Prints a JSON value as Go's `%v` does once it is decoded: `map[a:1 b:[x y]]`, `<nil>`.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => plain_number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.order();
            let pairs: Vec<String> = keys.into_iter().map(|key| format!("{key}:{}", plain(&fields[key]))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

/// Prints a number as Go's `%v` does: integers plainly, floats with the fewest digits and with an
/// exponent when they are very small or large.
pub fn plain_number(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => plain_float(float),
        _ => number.to_string(),
    }
}

fn plain_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude == 0.0 || (1e-4..1e21).contains(&magnitude) {
        return float.to_string();
    }
    let text = format!("{float:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{plain, quote};

    #[test]
    fn prints_values_as_go_does() {
        let value = json!({"name": "only", "$patch": "odd", "list": [1, 1.5, true, null], "f": 1e21, "g": 0.00001});
        assert_eq!(plain(&value), "map[$patch:odd f:1e+21 g:1e-05 list:[1 1.5 true <nil>] name:only]");
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"b\\c\n\u{1}"), "\"a\\\"b\\\\c\\n\\x01\"");
        assert_eq!(quote("한\u{a0}\u{200b}"), "\"한\\u00a0\\u200b\"");
    }
}
