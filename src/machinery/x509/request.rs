//! What a certificate signing request asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::der::{INTEGER, OBJECT, OCTETS, SEQUENCE, SET, first, inside, values};
use super::next_block;

const ATTRIBUTES: u8 = 0xa0;
/// 1.2.840.113549.1.9.14: the extensions that are asked for.
const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
/// 2.5.29.17
pub(super) const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: u8 = 3;
const ORGANIZATION: u8 = 10;

/// What a request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The attributes of the subject below 2.5.4, by their last number.
    pub subject: Vec<(u8, String)>,
    /// Other names by the tag of their kind.
    pub alternatives: Vec<(u8, String)>,
    /// The subject as it is encoded.
    pub(super) name: Vec<u8>,
    /// The public key with its algorithm, as they are encoded.
    pub(super) key: Vec<u8>,
    /// The extension with the other names, as it is encoded.
    pub(super) names: Vec<u8>,
}

impl Request {
    /// The tag of names of hosts among the alternatives.
    pub const DNS: u8 = 2;
    /// The tag of addresses of electronic mail.
    pub const EMAIL: u8 = 1;
    /// The tag of uniform resource identifiers.
    pub const URI: u8 = 6;
    /// The tag of IP addresses.
    pub const IP: u8 = 7;

    /// Reads the text of a request: `ParseCSR`.
    ///
    /// # Errors
    /// What is wrong with it. Go's sentence about values of another kind than expected has the insides of its reader in
    /// it, and is only begun here.
    pub fn parse(pem: &[u8]) -> Result<Self, &'static str> {
        let text = String::from_utf8_lossy(pem);
        let Some((block, _)) = next_block(&text).filter(|(block, _)| block.label == "CERTIFICATE REQUEST") else {
            return Err("PEM block type must be CERTIFICATE REQUEST");
        };
        let Some((whole, rest)) = first(&block.bytes) else {
            return Err("asn1: syntax error: data truncated");
        };
        if whole.tag != SEQUENCE {
            return Err("asn1: structure error: tags don't match");
        }
        if !rest.is_empty() {
            return Err("asn1: syntax error: trailing data");
        }
        Self::read(whole.content).ok_or("asn1: structure error: tags don't match")
    }

    fn read(content: &[u8]) -> Option<Self> {
        let parts = values(inside(content, SEQUENCE)?)?;
        let [version, name, key, rest @ ..] = parts.as_slice() else { return None };
        if (version.tag, name.tag, key.tag) != (INTEGER, SEQUENCE, SEQUENCE) {
            return None;
        }
        let mut request = Self { name: name.whole.to_vec(), key: key.whole.to_vec(), ..Self::default() };
        for names in values(name.content)? {
            for attribute in values(names.content)? {
                if let [kind, value] = values(attribute.content)?[..]
                    && let (OBJECT, [0x55, 0x04, part]) = (kind.tag, kind.content)
                {
                    request.subject.push((*part, String::from_utf8_lossy(value.content).into_owned()));
                }
            }
        }
        let attributes = rest.iter().find(|part| part.tag == ATTRIBUTES).map_or(&[][..], |part| part.content);
        for attribute in values(attributes)? {
            if let [kind, list] = values(attribute.content)?[..]
                && (kind.tag, kind.content, list.tag) == (OBJECT, EXTENSION_REQUEST, SET)
            {
                request.read_extensions(inside(list.content, SEQUENCE)?)?;
            }
        }
        Some(request)
    }

    fn read_extensions(&mut self, extensions: &[u8]) -> Option<()> {
        for extension in values(extensions)? {
            let parts = values(extension.content)?;
            let is_names = parts.first().is_some_and(|kind| (kind.tag, kind.content) == (OBJECT, ALTERNATIVE_NAMES));
            let content = parts.iter().find(|part| part.tag == OCTETS).filter(|_| is_names);
            let Some(content) = content else { continue };
            self.names = extension.whole.to_vec();
            for name in values(inside(content.content, SEQUENCE)?)? {
                let kind = name.tag & 0x1f;
                let text = if kind == Self::IP {
                    address(name.content)?.to_string()
                } else {
                    String::from_utf8_lossy(name.content).into_owned()
                };
                self.alternatives.push((kind, text));
            }
        }
        Some(())
    }

    /// The common name of the subject; the last one, when there are several.
    #[must_use]
    pub fn common_name(&self) -> &str {
        self.of(COMMON_NAME).next_back().unwrap_or("")
    }

    /// The organisations that the subject is in: its groups, once the request is signed.
    #[must_use]
    pub fn organizations(&self) -> Vec<&str> {
        self.of(ORGANIZATION).collect()
    }

    /// The values of a part of the subject.
    pub fn of(&self, part: u8) -> impl DoubleEndedIterator<Item = &str> {
        self.subject.iter().filter(move |(known, _)| *known == part).map(|(_, value)| value.as_str())
    }

    /// The other names of a kind.
    pub fn named(&self, kind: u8) -> impl Iterator<Item = &str> {
        self.alternatives.iter().filter(move |(known, _)| *known == kind).map(|(_, name)| name.as_str())
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four: Option<[u8; 4]> = bytes.try_into().ok();
    let sixteen: Option<[u8; 16]> = bytes.try_into().ok();
    four.map(|four| IpAddr::V4(Ipv4Addr::from(four))).or(sixteen.map(|sixteen| IpAddr::V6(Ipv6Addr::from(sixteen))))
}
