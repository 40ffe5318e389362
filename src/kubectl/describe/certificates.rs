//! CertificateSigningRequests, with what is asked for in the request itself.
//!
//! Follows `CertificateSigningRequestDescriber`, and reads just so much of PKCS #10 (RFC 2986) as is shown.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde_json::Value;

use super::super::failure::Failure;
use super::writer::{Writer, items, on_one_line, text};
use crate::machinery::base64;
use crate::machinery::duration::GoDuration;

/// Writes a CertificateSigningRequest: `describeCertificateSigningRequest`.
pub(super) fn describe(writer: &mut Writer, object: &Value) -> Result<(), Failure> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let request = base64::decode(text(&spec["request"])).unwrap_or_default();
    let request = Request::read(&request).map_err(|why| Failure::Message(format!("Error parsing CSR: {why}")))?;
    writer.field(0, "Name", text(&metadata["name"]));
    writer.field(0, "Labels", &on_one_line(&metadata["labels"]));
    writer.field(0, "Annotations", &on_one_line(&metadata["annotations"]));
    writer.created(object);
    writer.field(0, "Requesting User", text(&spec["username"]));
    super::containers::optional(writer, 0, "Signer", &spec["signerName"]);
    if let Some(seconds) = spec["expirationSeconds"].as_u64() {
        writer.field(0, "Requested Duration", &GoDuration::from(Duration::from_secs(seconds)).human());
    }
    writer.field(0, "Status", &status(&object["status"]));
    writer.line(0, "Subject:");
    let of =
        |part: u8| request.subject.iter().filter(move |(known, _)| *known == part).map(|(_, value)| value.as_str());
    writer.line(0, &format!("\tCommon Name:\t{}", of(3).next_back().unwrap_or("")));
    writer.line(0, &format!("\tSerial Number:\t{}", of(5).next_back().unwrap_or("")));
    for (label, part) in [
        ("Organization", 10),
        ("Organizational Unit", 11),
        ("Country", 6),
        ("Locality", 7),
        ("Province", 8),
        ("StreetAddress", 9),
        ("PostalCode", 17),
    ] {
        list(writer, label, &of(part).collect::<Vec<_>>());
    }
    if !request.alternatives.is_empty() {
        writer.line(0, "Subject Alternative Names:");
    }
    for (label, tag) in [("DNS Names", 2), ("Email Addresses", 1), ("URIs", 6), ("IP Addresses", 7)] {
        let names = request.alternatives.iter().filter(|(known, _)| *known == tag).map(|(_, name)| name.as_str());
        list(writer, label, &names.collect::<Vec<_>>());
    }
    Ok(())
}

fn list(writer: &mut Writer, label: &str, values: &[&str]) {
    if !values.is_empty() {
        writer.line(0, &format!("\t{label}:\t{}", values.join("\n\t\t")));
    }
}

/// What became of the request: `extractCSRStatus`.
fn status(status: &Value) -> String {
    let has = |kind: &str| items(&status["conditions"]).iter().any(|condition| condition["type"] == kind);
    let mut words = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        words.push_str(",Failed");
    }
    if !text(&status["certificate"]).is_empty() {
        words.push_str(",Issued");
    }
    words
}

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    /// The attributes of the subject below 2.5.4, by their last number.
    subject: Vec<(u8, String)>,
    /// Other names by the tag of their kind.
    alternatives: Vec<(u8, String)>,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const OCTETS: u8 = 0x04;
const ATTRIBUTES: u8 = 0xa0;
/// 1.2.840.113549.1.9.14: the extensions that are asked for.
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// 2.5.29.17
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// A value of DER: its tag and its content.
type Item<'a> = (u8, &'a [u8]);

/// The values that stand one behind the other; nothing when they are cut off.
fn values(mut bytes: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut found = Vec::new();
    while let [tag, length, rest @ ..] = bytes {
        let (length, rest) = match *length {
            short @ 0..0x80 => (usize::from(short), rest),
            long => {
                let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f).min(5))?;
                (length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        found.push((*tag, content));
        bytes = rest;
    }
    bytes.is_empty().then_some(found)
}

/// The first value, when it has this tag.
fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    values(bytes)?.first().filter(|(known, _)| *known == tag).map(|(_, content)| *content)
}

impl Request {
    fn read(pem: &[u8]) -> Result<Self, String> {
        const WRONG: &str = "PEM block type must be CERTIFICATE REQUEST";
        let pem = String::from_utf8_lossy(pem);
        let body = pem.split_once("-----BEGIN CERTIFICATE REQUEST-----").map(|(_, rest)| rest);
        let body = body.and_then(|rest| rest.split_once("-----END CERTIFICATE REQUEST-----")).map(|(body, _)| body);
        let body: String = body.ok_or(WRONG)?.split_whitespace().collect();
        let der = base64::decode(&body).map_err(|_| WRONG)?;
        Self::read_der(&der).ok_or_else(|| "asn1: syntax error".to_owned())
    }

    fn read_der(der: &[u8]) -> Option<Self> {
        let parts = values(inside(inside(der, SEQUENCE)?, SEQUENCE)?)?;
        let mut request = Self::default();
        for (_, names) in values(parts.get(1).filter(|(tag, _)| *tag == SEQUENCE)?.1)? {
            for (_, attribute) in values(names)? {
                if let [(OBJECT, [0x55, 0x04, part]), (_, value)] = values(attribute)?[..] {
                    request.subject.push((*part, String::from_utf8_lossy(value).into_owned()));
                }
            }
        }
        let attributes = parts.iter().find(|(tag, _)| *tag == ATTRIBUTES).map_or(&[][..], |(_, content)| *content);
        for (_, attribute) in values(attributes)? {
            if let [(OBJECT, EXTENSION_REQUEST), (SET, extensions)] = values(attribute)?[..] {
                request.read_extensions(inside(extensions, SEQUENCE)?)?;
            }
        }
        Some(request)
    }

    fn read_extensions(&mut self, extensions: &[u8]) -> Option<()> {
        for (_, extension) in values(extensions)? {
            let parts = values(extension)?;
            let is_names = parts.first() == Some(&(OBJECT, ALTERNATIVE_NAMES));
            let content = parts.iter().find(|(tag, _)| *tag == OCTETS).filter(|_| is_names);
            let Some((_, content)) = content else { continue };
            for (tag, name) in values(inside(content, SEQUENCE)?)? {
                let kind = tag & 0x1f;
                let name =
                    if kind == 7 { address(name)?.to_string() } else { String::from_utf8_lossy(name).into_owned() };
                self.alternatives.push((kind, name));
            }
        }
        Some(())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Option<[u8; 4]> = bytes.try_into().ok();
    let sixteen: Option<[u8; 16]> = bytes.try_into().ok();
    four.map(|four| IpAddr::V4(Ipv4Addr::from(four))).or(sixteen.map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen))))
}
