//! RFC 3339 times as Go's `time.Parse` reads them and complains of them.

use k8s_openapi::jiff::Timestamp;

use crate::machinery::quote::quote;

/// Go's `time.RFC3339`.
const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// Kubernetes's `metav1.RFC3339Micro`.
const RFC3339_MICRO: &str = "2006-01-02T15:04:05.000000Z07:00";

/// A `metav1.Time`: read in any zone, written in UTC with whole seconds.
pub(super) fn seconds(text: &str) -> Result<String, String> {
    let time = parse(text, RFC3339, None)?;
    // jiff cuts the digits off, as Go does.
    Ok(format!("{time:.0}"))
}

/// A `metav1.MicroTime`: exactly six digits of a second.
pub(super) fn micros(text: &str) -> Result<String, String> {
    let time = parse(text, RFC3339_MICRO, Some(6))?;
    Ok(format!("{time:.6}"))
}

fn parse(text: &str, layout: &'static str, fraction: Option<usize>) -> Result<Timestamp, String> {
    let mut reader = Reader { text, layout, rest: text };
    reader.read(fraction).and_then(|()| {
        // jiff is stricter than Go in nothing that passed the reader, save years that it does not know.
        text.replace(',', ".").parse().map_err(|_| format!("parsing time {}: year out of range", quote(text)))
    })
}

struct Reader<'a> {
    text: &'a str,
    layout: &'static str,
    rest: &'a str,
}

impl Reader<'_> {
    fn read(&mut self, fraction: Option<usize>) -> Result<(), String> {
        let year = self.number(4, "2006")?;
        self.literal("-")?;
        let month = self.number(2, "01")?;
        self.range((1..=12).contains(&month), "month")?;
        self.literal("-")?;
        let day = self.number(2, "02")?;
        self.literal("T")?;
        let hour = self.number(2, "15")?;
        self.range(hour < 24, "hour")?;
        self.literal(":")?;
        let minute = self.number(2, "04")?;
        self.range(minute < 60, "minute")?;
        self.literal(":")?;
        let second = self.number(2, "05")?;
        self.range(second < 60, "second")?;
        match fraction {
            Some(digits) => self.fraction(digits)?,
            None => self.any_fraction(),
        }
        self.zone()?;
        if !self.rest.is_empty() {
            return Err(format!("parsing time {}: extra text: {}", quote(self.text), quote(self.rest)));
        }
        self.range((1..=days_of(year, month)).contains(&day), "day")
    }

    fn cannot(&self, layout_element: &str) -> String {
        let (text, layout) = (quote(self.text), quote(self.layout));
        format!("parsing time {text} as {layout}: cannot parse {} as {}", quote(self.rest), quote(layout_element))
    }

    fn range(&self, holds: bool, what: &str) -> Result<(), String> {
        if holds { Ok(()) } else { Err(format!("parsing time {}: {what} out of range", quote(self.text))) }
    }

    fn literal(&mut self, literal: &str) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(literal).ok_or_else(|| self.cannot(literal))?;
        Ok(())
    }

    fn number(&mut self, digits: usize, layout_element: &str) -> Result<u32, String> {
        let number = self.rest.get(..digits).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(number) = number else { return Err(self.cannot(layout_element)) };
        self.rest = &self.rest[digits..];
        Ok(number.bytes().fold(0, |value, byte| value * 10 + u32::from(byte - b'0')))
    }

    fn fraction(&mut self, digits: usize) -> Result<(), String> {
        let layout_element = ".000000";
        let found = self
            .rest
            .get(..=digits)
            .filter(|found| found.starts_with(['.', ',']) && found[1..].bytes().all(|byte| byte.is_ascii_digit()));
        if found.is_none() {
            return Err(self.cannot(layout_element));
        }
        self.rest = &self.rest[digits + 1..];
        Ok(())
    }

    /// A fraction that the layout does not have is taken all the same.
    fn any_fraction(&mut self) {
        let Some(after) = self.rest.strip_prefix(['.', ',']) else { return };
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            self.rest = &after[digits..];
        }
    }

    fn zone(&mut self) -> Result<(), String> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(());
        }
        let bytes = self.rest.as_bytes();
        let digit = |at: usize| bytes.get(at).filter(|byte| byte.is_ascii_digit()).map(|byte| u32::from(byte - b'0'));
        let number = |at: usize| Some(digit(at)? * 10 + digit(at + 1)?);
        let signed = matches!(bytes.first(), Some(b'+' | b'-')) && bytes.get(3) == Some(&b':');
        let (Some(hours), Some(minutes), true) = (number(1), number(4), signed) else {
            return Err(self.cannot("Z07:00"));
        };
        self.range(hours < 24, "time zone offset hour")?;
        self.range(minutes < 60, "time zone offset minute")?;
        self.rest = &self.rest[6..];
        Ok(())
    }
}

fn days_of(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}
