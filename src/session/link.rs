//! A session as text: small enough for an address, or readable as a file.
//!
//! `v1/` and the session's log as JSON, deflated with a checksum (zlib), in base64 for addresses (RFC 4648 §5, without padding). What comes
//! from a stranger is bounded before it is unpacked and checked before it is played.

use std::fmt;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
/// What every link of this form begins with.
pub const PREFIX: &str = "v1/";
/// The longest link that is read, in characters. Browsers allow far more, chat programs far less.
pub const LINK_CHARS_MAX: usize = 2_000_000;
/// The largest log that is unpacked, in bytes.
pub const LOG_BYTES_MAX: usize = 8_000_000;

/// How hard deflate tries: links are made rarely and should be short.
const LEVEL: u8 = 9;

/// Why a link could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// It begins with a version that this page does not know.
    Version(String),
    /// It is longer than any link that this page makes.
    TooLong,
    /// It holds a character that does not belong into it, at this place (from 1).
    Character(usize),
    /// It was cut off or changed on its way.
    Damaged,
    /// It unpacks to more than a session may hold.
    TooLarge,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "the link is of version {version:?}, this page reads \"v1\""),
            Self::TooLong => write!(f, "the link is longer than {LINK_CHARS_MAX} characters"),
            Self::Character(place) => write!(f, "the link has a character at {place} that does not belong there"),
            Self::Damaged => f.write_str("the link is damaged: it was probably cut off on its way"),
            Self::TooLarge => write!(f, "the link unpacks to more than {LOG_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for LinkError {}

/// Packs a log, as JSON, into the text of a link without the `#` before it.
#[must_use]
pub fn pack(json: &str) -> String {
    let mut text = String::from(PREFIX);
    encode(&compress_to_vec_zlib(json.as_bytes(), LEVEL), &mut text);
    text
}

/// The JSON in the text of a link, with or without the `#` before it. Whether it is a session's log is not looked at.
///
/// # Errors
/// What is wrong with the link.
pub fn unpack(text: &str) -> Result<String, LinkError> {
    let text = text.trim();
    let text = text.strip_prefix('#').unwrap_or(text);
    if text.len() > LINK_CHARS_MAX {
        return Err(LinkError::TooLong);
    }
    let Some(body) = text.strip_prefix(PREFIX) else {
        let version = text.split('/').next().unwrap_or_default();
        return Err(LinkError::Version(version.chars().take(20).collect()));
    };
    let packed = decode(body, PREFIX.len())?;
    let json = decompress_to_vec_zlib_with_limit(&packed, LOG_BYTES_MAX).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => LinkError::TooLarge,
        _ => LinkError::Damaged,
    })?;
    String::from_utf8(json).map_err(|_| LinkError::Damaged)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8], text: &mut String) {
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let six_bits = (group >> (18 - 6 * digit)) & 0x3f;
            text.push(char::from(ALPHABET[six_bits as usize]));
        }
    }
}

/// `offset` is how many characters of the link stand before `text`, for messages.
fn decode(text: &str, offset: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut group = 0_u32;
    let mut bits = 0;
    for (index, character) in text.bytes().enumerate() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return Err(LinkError::Character(offset + index + 1)),
        };
        group = group << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(group >> bits & 0xff).unwrap_or_default());
        }
    }
    // A single character more than whole bytes need cannot come from an encoder.
    if bits == 6 { Err(LinkError::Damaged) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::random::Random;

    fn log() -> String {
        let text = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: 웹}\n".repeat(20);
        serde_json::json!({"seed": 7, "entries": [{"at": 1, "text": text}]}).to_string()
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        for json in [log().as_str(), "{}", "", "a", "ab", "abc"] {
            let link = pack(json);
            assert!(link.starts_with(PREFIX) && link.bytes().all(|byte| byte.is_ascii_graphic()), "{link}");
            assert_eq!(unpack(&link).as_deref(), Ok(json));
            assert_eq!(unpack(&format!(" #{link}\n")).as_deref(), Ok(json));
        }
        assert!(pack(&log()).len() < 250, "repeated text is packed: {}", pack(&log()));
    }

    #[test]
    fn a_broken_link_says_what_is_wrong() {
        let link = pack(&log());
        let cut = &link[..link.len() - 9];
        let bomb = pack(&" ".repeat(LOG_BYTES_MAX + 1));
        let long = format!("{PREFIX}{}", "A".repeat(LINK_CHARS_MAX));
        let cases = [
            ("", "the link is of version \"\", this page reads \"v1\""),
            ("v9/abc", "the link is of version \"v9\", this page reads \"v1\""),
            ("v1/ab%20c", "the link has a character at 6 that does not belong there"),
            (cut, "the link is damaged: it was probably cut off on its way"),
            (&bomb, "the link unpacks to more than 8000000 bytes"),
            (&long, "the link is longer than 2000000 characters"),
        ];
        for (text, message) in cases {
            assert_eq!(unpack(text).expect_err("it is broken").to_string(), message);
        }
    }

    #[test]
    fn whatever_a_stranger_changes_is_noticed() {
        let mut random = Random::new(1);
        let link = pack(&log()).into_bytes();
        for _ in 0..2_000 {
            let mut bytes = link.clone();
            for _ in 0..=random.below(4) {
                let place = usize::try_from(random.below(bytes.len() as u64)).expect("a place within the link");
                bytes[place] = ALPHABET[usize::try_from(random.below(64)).expect("less than 64")];
            }
            // The very log, when a change hit nothing that counts, or an error: never another log, and no panic.
            if let Ok(json) = unpack(&String::from_utf8(bytes).expect("ASCII")) {
                assert_eq!(json, log());
            }
        }
    }
}
