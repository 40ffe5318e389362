//! Certificates, as the signing controllers hand them out.
//!
//! Follows `PermissiveSigningPolicy` of `kubernetes/pkg/controller/certificates/authority`.

use super::der::{
    BITS, GENERALIZED_TIME, INTEGER, NULL, OBJECT, OCTETS, SEQUENCE, SET, TEXT, TRUE, UTC_TIME, first, inside, item,
    values,
};
use super::{Request, block, next_block};
use crate::machinery::random::Random;
use crate::machinery::sha256;
use crate::machinery::time::Time;

/// 1.2.840.113549.1.1.11: `sha256WithRSAEncryption`.
const ALGORITHM: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// The last part of 2.5.29.N.
const KEY_USAGE: u8 = 15;
const BASIC_CONSTRAINTS: u8 = 19;
const EXTENDED_KEY_USAGE: u8 = 37;
/// How many bytes the signature of an RSA key of 2,048 bits has.
const SIGNATURE_BYTES: usize = 256;
/// What a key may be used for, in the order of the bits.
const KEY_USAGES: [&str; 9] = [
    "digital signature",
    "content commitment",
    "key encipherment",
    "data encipherment",
    "key agreement",
    "cert sign",
    "crl sign",
    "encipher only",
    "decipher only",
];
/// The uses below 1.3.6.1.5.5.7.3, by their last number less one.
const EXTENDED_USAGES: [&str; 9] = [
    "server auth",
    "client auth",
    "code signing",
    "email protection",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
];
/// 1.3.6.1.5.5.7.3, without its last number.
const PURPOSES: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03];
/// 2.5.29.37.0
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// A certificate that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// What was asked for.
    pub request: &'a Request,
    /// What it may be used for, in the words of the API.
    pub usages: &'a [&'a str],
    /// The common name of whoever signs.
    pub issuer: &'a str,
    /// From when on it is good.
    pub not_before: Time,
    /// Until when it is good.
    pub not_after: Time,
    /// What its serial number follows from.
    pub seed: &'a str,
}

impl Certificate<'_> {
    /// The text of the certificate, whose signature is no real one.
    #[must_use]
    pub fn to_pem(&self) -> String {
        let algorithm = item(SEQUENCE, &[&item(OBJECT, &[ALGORITHM]), NULL]);
        let content = self.content(&algorithm);
        let digest = sha256::digest(&content);
        let seed = digest.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        let mut random = Random::new(seed);
        let signature: Vec<u8> = (0..SIGNATURE_BYTES / 8).flat_map(|_| random.next_u64().to_be_bytes()).collect();
        let signed = item(SEQUENCE, &[&content, &algorithm, &item(BITS, &[&[0], &signature])]);
        block("CERTIFICATE", &signed)
    }

    /// `TBSCertificate`.
    fn content(&self, algorithm: &[u8]) -> Vec<u8> {
        // A positive number whose first byte is none too many.
        let digest = sha256::digest(self.seed.as_bytes());
        let serial: Vec<u8> = digest
            .iter()
            .take(16)
            .enumerate()
            .map(|(at, byte)| if at == 0 { byte & 0x3f | 0x40 } else { *byte })
            .collect();
        let common_name =
            item(SEQUENCE, &[&item(OBJECT, &[&[0x55, 0x04, 0x03]]), &item(TEXT, &[self.issuer.as_bytes()])]);
        let issuer = item(SEQUENCE, &[&item(SET, &[&common_name])]);
        let validity = item(SEQUENCE, &[&moment(self.not_before), &moment(self.not_after)]);
        let extensions = [self.key_usage(), self.extended_key_usage(), basic_constraints(), self.request.names.clone()];
        let extensions = item(SEQUENCE, &[&extensions.concat()]);
        item(
            SEQUENCE,
            &[
                &item(0xa0, &[&item(INTEGER, &[&[2]])]),
                &item(INTEGER, &[&serial]),
                algorithm,
                &issuer,
                &validity,
                &self.request.name,
                &self.request.key,
                &item(0xa3, &[&extensions]),
            ],
        )
    }

    fn key_usage(&self) -> Vec<u8> {
        let is_on = |name: &str| {
            self.usages.contains(&name) || (name == "digital signature" && self.usages.contains(&"signing"))
        };
        let bits = KEY_USAGES.iter().enumerate().filter(|(_, name)| is_on(name));
        let bits = bits.fold(0_u16, |bits, (place, _)| bits | 0x8000 >> place);
        if bits == 0 {
            return Vec::new();
        }
        let [high, low] = bits.to_be_bytes();
        // Bits that are off at the end are not written, but counted.
        let last = if low == 0 { high } else { low };
        let unused = u8::try_from(last.trailing_zeros()).unwrap_or(0);
        let bits = if low == 0 { item(BITS, &[&[unused, high]]) } else { item(BITS, &[&[unused, high, low]]) };
        extension(KEY_USAGE, true, &bits)
    }

    fn extended_key_usage(&self) -> Vec<u8> {
        let purposes: Vec<Vec<u8>> = self
            .usages
            .iter()
            .filter_map(|usage| {
                if *usage == "any" {
                    return Some(item(OBJECT, &[ANY_PURPOSE]));
                }
                let usage = if *usage == "s/mime" { "email protection" } else { usage };
                let place = EXTENDED_USAGES.iter().position(|known| *known == usage)?;
                Some(item(OBJECT, &[PURPOSES, &[u8::try_from(place + 1).ok()?]]))
            })
            .collect();
        if purposes.is_empty() {
            Vec::new()
        } else {
            extension(EXTENDED_KEY_USAGE, false, &item(SEQUENCE, &[&purposes.concat()]))
        }
    }
}

/// Nobody is made an authority.
fn basic_constraints() -> Vec<u8> {
    extension(BASIC_CONSTRAINTS, true, &item(SEQUENCE, &[]))
}

fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { TRUE } else { &[] };
    item(SEQUENCE, &[&item(OBJECT, &[&[0x55, 0x1d, number]]), critical, &item(OCTETS, &[value])])
}

/// A moment: with two digits of the year up to 2049.
fn moment(time: Time) -> Vec<u8> {
    let digits: String = time.to_rfc3339().chars().filter(char::is_ascii_digit).collect();
    match digits.strip_prefix("20") {
        Some(short) if digits.as_str() < "2050" => item(UTC_TIME, &[short.as_bytes(), b"Z"]),
        _ => item(GENERALIZED_TIME, &[digits.as_bytes(), b"Z"]),
    }
}

/// Until when a certificate is good; `None` when nobody can tell.
fn not_after(der: &[u8]) -> Option<Time> {
    let parts = values(inside(inside(der, SEQUENCE)?, SEQUENCE)?)?;
    // Before it stand version, serial number, algorithm and issuer.
    let end = *values(parts.get(4)?.content)?.get(1)?;
    let digits = std::str::from_utf8(end.content).ok()?.trim_end_matches('Z');
    let digits = if end.tag == UTC_TIME { format!("20{digits}") } else { digits.to_owned() };
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    Time::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

/// Until when the first certificate of a text is good.
#[must_use]
pub fn expiry(pem: &str) -> Option<Time> {
    not_after(&next_block(pem)?.0.bytes)
}

/// Whether a text is certificates and nothing else: `validateCertificate`.
///
/// # Errors
/// What it has besides or instead.
pub fn check_certificates(pem: &str) -> Result<(), String> {
    let mut rest = pem;
    let mut blocks = 0;
    while let Some((block, after)) = next_block(rest) {
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        if block.has_headers {
            return Err("no PEM block headers are permitted".to_owned());
        }
        if block.bytes.is_empty() {
            return Err("found CERTIFICATE PEM block containing 0 certificates".to_owned());
        }
        if first(&block.bytes).is_none_or(|(whole, _)| whole.tag != SEQUENCE) || not_after(&block.bytes).is_none() {
            return Err("x509: malformed certificate".to_owned());
        }
        (blocks, rest) = (blocks + 1, after);
    }
    if blocks == 0 { Err("must contain at least one CERTIFICATE PEM block".to_owned()) } else { Ok(()) }
}
