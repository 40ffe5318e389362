//! Values in the distinguished encoding rules of ASN.1 (X.690).

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BITS: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const TEXT: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const TRUE: &[u8] = &[0x01, 0x01, 0xff];
pub(super) const NULL: &[u8] = &[0x05, 0x00];

/// A value: its tag, its content, and both with the length between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// The first value with what follows it; nothing when it is cut off.
pub(super) fn first(bytes: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let [tag, length, rest @ ..] = bytes else { return None };
    let (length, rest) = match *length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (length, rest) = rest.split_at_checked(usize::from(long & 0x7f).min(5))?;
            (length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Item { tag: *tag, content, whole: &bytes[..bytes.len() - rest.len()] }, rest))
}

/// The values that stand one behind the other; nothing when they are cut off.
pub(super) fn values(mut bytes: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = first(bytes)?;
        found.push(item);
        bytes = rest;
    }
    Some(found)
}

/// What is in the first value, when it has this tag.
pub(super) fn inside(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    first(bytes).filter(|(item, _)| item.tag == tag).map(|(item, _)| item.content)
}

/// A value of these parts.
pub(super) fn item(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    if content.len() < 0x80 {
        bytes.extend(u8::try_from(content.len()));
    } else {
        let length = content.len().to_be_bytes();
        let digits = &length[length.iter().position(|byte| *byte != 0).unwrap_or(0)..];
        bytes.extend(u8::try_from(digits.len()).map(|digits| 0x80 | digits));
        bytes.extend(digits);
    }
    bytes.extend(content);
    bytes
}
