//! Base64 as Go's `encoding/base64` reads and writes it: the standard alphabet with padding, line breaks skipped.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = (group >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= chunk.len() { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    text
}

/// The bytes of `text`. The error is the byte of the text at which Go would say `illegal base64 data at input byte N`.
pub fn decode(text: &str) -> Result<Vec<u8>, usize> {
    let input = text.as_bytes();
    let mut bytes = Vec::with_capacity(input.len() / 4 * 3);
    let (mut group, mut digits) = (0_u32, 0_usize);
    for (place, &byte) in input.iter().enumerate() {
        if matches!(byte, b'\n' | b'\r') {
            continue;
        }
        if byte == b'=' {
            check_padding(input, place, digits)?;
            let group = group << (6 * (4 - digits));
            bytes.extend(&group.to_be_bytes()[1..digits]);
            return Ok(bytes);
        }
        let Some(digit) = digit(byte) else { return Err(place) };
        group = group << 6 | digit;
        digits += 1;
        if digits == 4 {
            bytes.extend(&group.to_be_bytes()[1..]);
            (group, digits) = (0, 0);
        }
    }
    if digits == 0 { Ok(bytes) } else { Err(input.len() - digits) }
}

/// Whether the `=` at `place`, after so many digits of a group, ends the text rightly.
fn check_padding(input: &[u8], place: usize, digits: usize) -> Result<(), usize> {
    let next = |from: usize| (from..input.len()).find(|&at| !matches!(input[at], b'\n' | b'\r'));
    if digits < 2 {
        return Err(place);
    }
    let mut end = place + 1;
    if digits == 2 {
        let second = next(end).ok_or(input.len())?;
        if input[second] != b'=' {
            return Err(second - 1);
        }
        end = second + 1;
    }
    match next(end) {
        Some(garbage) => Err(garbage),
        None => Ok(()),
    }
}

fn digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn there_and_back() {
        let table = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("\u{ff}\u{0}?>", "w78APz4="),
        ];
        for (bytes, text) in table {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text).as_deref(), Ok(bytes.as_bytes()));
        }
        assert_eq!(decode("Zm9v\nYg=\r\n=\n").as_deref(), Ok(&b"foob"[..]));
    }

    #[test]
    fn mistakes_are_told_at_go_s_byte() {
        for (text, byte) in
            [("hello!", 5), ("abc", 0), ("abcde", 4), ("=", 0), ("ab=c", 2), ("ab=", 3), ("ab==c", 4), ("é", 0)]
        {
            assert_eq!(decode(text), Err(byte), "{text}");
        }
    }
}
