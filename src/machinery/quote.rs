//! Go's way of quoting a string, which upstream's messages use wherever they print `%q`.

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

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(quote("plain"), "\"plain\"");
        assert_eq!(quote("a\"b\\c\n\u{1}"), "\"a\\\"b\\\\c\\n\\x01\"");
        assert_eq!(quote("한\u{a0}\u{200b}"), "\"한\\u00a0\\u200b\"");
    }
}
