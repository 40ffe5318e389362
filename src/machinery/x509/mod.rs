//! Just so much of X.509 as the certificates API needs: reading what a request asks for (PKCS #10, RFC 2986), and writing
//! a certificate that others can read (RFC 5280).
//!
//! Nothing here is encrypted or signed: the signature of a certificate is bytes that follow from its content.

mod certificate;
mod der;
mod request;
#[cfg(test)]
pub mod samples;
#[cfg(test)]
mod tests;

pub use certificate::{Certificate, check_certificates, expiry};
pub use request::Request;

use super::base64;

/// A block of PEM: what it says it is, whether it has headers, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    label: String,
    has_headers: bool,
    bytes: Vec<u8>,
}

/// The next block of a text with what follows it: `pem.Decode`, which passes over what is none.
fn next_block(text: &str) -> Option<(Block, &str)> {
    let mut text = text;
    loop {
        let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
        let end = format!("-----END {label}-----");
        let Some((body, after)) = rest.split_once(end.as_str()) else {
            text = rest;
            continue;
        };
        let (headers, lines) = match body.split_once("\n\n") {
            Some((headers, lines)) if headers.contains(':') => (headers, lines),
            _ => ("", body),
        };
        let digits: String = lines.split_whitespace().collect();
        if let Ok(bytes) = base64::decode(&digits) {
            return Some((Block { label: label.to_owned(), has_headers: !headers.is_empty(), bytes }, after));
        }
        text = after;
    }
}

/// The text of a block, in lines of 64 letters.
fn block(label: &str, bytes: &[u8]) -> String {
    let digits = base64::encode(bytes);
    let lines: Vec<String> =
        digits.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
