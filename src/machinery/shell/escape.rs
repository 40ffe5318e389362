//! Backslash escapes, as `echo -e`, `printf` and `$'…'` read them.

/// What a text with escapes stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unescaped {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether `\c` said that nothing more is to be written.
    pub stop: bool,
}

/// Replaces `\n`, `\t`, `\\`, `\0NNN`, `\xHH`, `\uHHHH` and their like; unknown ones stay as they are.
#[must_use]
pub fn unescape(text: &str) -> Unescaped {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let digits = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, most: usize| {
        let (mut value, mut count) = (0, 0);
        while count < most
            && let Some(digit) = chars.peek().and_then(|c| c.to_digit(radix))
        {
            value = value * radix + digit;
            count += 1;
            chars.next();
        }
        (count > 0).then_some(value)
    };
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let Some(escape) = chars.next() else {
            bytes.push(b'\\');
            break;
        };
        match escape {
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            'r' => bytes.push(b'\r'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'f' => bytes.push(12),
            'v' => bytes.push(11),
            'e' | 'E' => bytes.push(27),
            '\\' | '\'' | '"' => bytes.push(escape as u8),
            'c' => return Unescaped { bytes, stop: true },
            '0'..='7' => {
                let first = escape.to_digit(8).unwrap_or(0);
                let most = if escape == '0' { 3 } else { 2 };
                let places = chars.clone().take(most).take_while(|c| c.is_digit(8)).count();
                let rest = digits(&mut chars, 8, most).unwrap_or(0);
                bytes.push((first * 8_u32.pow(places as u32) + rest) as u8);
            }
            'x' => match digits(&mut chars, 16, 2) {
                Some(value) => bytes.push(value as u8),
                None => bytes.extend_from_slice(b"\\x"),
            },
            'u' | 'U' => {
                let most = if escape == 'u' { 4 } else { 8 };
                let letter = digits(&mut chars, 16, most).and_then(char::from_u32).unwrap_or('\u{fffd}');
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => {
                bytes.push(b'\\');
                bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    Unescaped { bytes, stop: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let cases: [(&str, &[u8]); 8] = [
            (r"a\tb\n", b"a\tb\n"),
            (r"\0101\101\x41", b"AAA"),
            (r"\x", b"\\x"),
            (r"\u00e9", "é".as_bytes()),
            (r"\q\\", b"\\q\\"),
            (r"end\", b"end\\"),
            (r"\033[1m", b"\x1b[1m"),
            (r"\0", b"\0"),
        ];
        for (text, bytes) in cases {
            assert_eq!(unescape(text), Unescaped { bytes: bytes.to_vec(), stop: false }, "{text}");
        }
        assert_eq!(unescape(r"a\cb"), Unescaped { bytes: b"a".to_vec(), stop: true });
    }
}
