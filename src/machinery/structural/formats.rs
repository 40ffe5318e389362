//! The formats of texts: `k8s.io/kube-openapi/pkg/validation/strfmt`.

use crate::machinery::names;
use crate::machinery::time::Time;
use crate::machinery::{base64, ip};

/// Formats that are checked; all others are taken as they are.
const KNOWN: [&str; 27] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "date-time",
    "datetime",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8s-long-name",
    "k8s-short-name",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// Formats of numbers, which say how large these may be.
const OF_NUMBERS: [&str; 4] = ["int32", "int64", "float", "double"];

/// Whether a format means something.
#[must_use]
pub fn is_known(format: &str) -> bool {
    KNOWN.contains(&format) || OF_NUMBERS.contains(&format)
}

fn all(text: &str, is_allowed: fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is_allowed)
}

fn digits(text: &str, without: [char; 2]) -> Vec<u32> {
    text.chars().filter(|letter| !without.contains(letter)).filter_map(|letter| letter.to_digit(10)).collect()
}

/// Whether a text has a format; a format that is not checked, every text has.
pub(super) fn fits(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => Time::parse(text).is_some(),
        "date" => is_date(text),
        "duration" => is_duration(text),
        "byte" => base64::decode(text).is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => ip::Cidr::parse(text).is_some(),
        "mac" => is_mac(text),
        "email" => is_email(text),
        "hostname" => names::is_dns1123_subdomain(text).is_empty() && text.len() <= 255,
        "uri" => {
            text.split_once(':').is_some_and(|(scheme, _)| {
                scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
                    && all(scheme, |letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
            }) || text.starts_with('/')
        }
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(format, text),
        "hexcolor" => {
            let hex = text.strip_prefix('#').unwrap_or(text);
            matches!(hex.len(), 3 | 6) && all(hex, |letter| letter.is_ascii_hexdigit())
        }
        "rgbcolor" => is_rgb(text),
        "ssn" => {
            let parts: Vec<&str> = text.split(['-', ' ']).collect();
            parts.iter().map(|part| part.len()).eq([3, 2, 4])
                && parts.iter().all(|part| all(part, |letter| letter.is_ascii_digit()))
        }
        "bsonobjectid" => text.len() == 24 && all(text, |letter| letter.is_ascii_hexdigit()),
        "creditcard" => is_card(text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "k8s-short-name" => names::is_dns1123_label(text).is_empty(),
        "k8s-long-name" => names::is_dns1123_subdomain(text).is_empty(),
        _ => true,
    }
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && Time::parse(&format!("{text}T00:00:00Z")).is_some()
}

/// `90m`, `1h30m`, or words: `3 days`.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 23] = [
        "ns", "nano", "us", "µs", "micro", "ms", "milli", "s", "sec", "second", "seconds", "m", "min", "minute",
        "minutes", "h", "hr", "hour", "hours", "d", "day", "days", "w",
    ];
    let mut rest = text.trim();
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let after = rest[number..].trim_start();
        let unit = after.find(|letter: char| !letter.is_alphabetic()).unwrap_or(after.len());
        let is_unit = UNITS.contains(&&after[..unit]) || matches!(&after[..unit], "week" | "weeks" | "wk");
        if number == 0 || !is_unit {
            return false;
        }
        rest = after[unit..].trim_start();
        parts += 1;
    }
    parts > 0
}

fn is_mac(text: &str) -> bool {
    let between = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(between).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts.iter().all(|part| part.len() == 2 && all(part, |letter| letter.is_ascii_hexdigit()))
}

fn is_email(text: &str) -> bool {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    address.rsplit_once('@').is_some_and(|(name, host)| {
        all(name, |letter| !letter.is_whitespace() && !matches!(letter, '<' | '>' | '@' | ',' | '(' | ')'))
            && all(host, |letter| letter.is_alphanumeric() || matches!(letter, '-' | '.' | '[' | ']' | ':'))
    })
}

fn is_uuid(format: &str, text: &str) -> bool {
    let hex: String = text.chars().filter(|letter| *letter != '-').collect();
    let version = match format {
        "uuid3" => Some('3'),
        "uuid4" => Some('4'),
        "uuid5" => Some('5'),
        _ => None,
    };
    hex.len() == 32
        && all(&hex, |letter| letter.is_ascii_hexdigit())
        && version.is_none_or(|version| hex.chars().nth(12) == Some(version))
}

fn is_rgb(text: &str) -> bool {
    let inner = text.strip_prefix("rgb(").and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| {
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
    })
}

/// The sum that Luhn thought of.
fn is_card(text: &str) -> bool {
    let digits = digits(text, ['-', ' ']);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) => twice / 10 + twice % 10,
        })
        .sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

fn is_isbn10(text: &str) -> bool {
    let text: String = text.chars().filter(|letter| !matches!(letter, '-' | ' ')).collect();
    let value = |(place, letter): (usize, char)| match letter {
        'X' if place == 9 => Some(10),
        letter => letter.to_digit(10),
    };
    let values: Option<Vec<u32>> = text.chars().enumerate().map(value).collect();
    let weighed = |values: Vec<u32>| (1..).zip(&values).map(|(weight, digit)| weight * digit).sum::<u32>();
    values.is_some_and(|values| values.len() == 10 && weighed(values).is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let digits = digits(text, ['-', ' ']);
    let sum: u32 =
        digits.iter().enumerate().map(|(place, digit)| if place % 2 == 0 { *digit } else { digit * 3 }).sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}
