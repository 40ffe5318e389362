//! Go's durations, and kubectl's short way of telling an age.
//!
//! Follows Go's `time.ParseDuration` and `Duration.String`, and `apimachinery/pkg/util/duration`.

use std::fmt;
use std::time::Duration;

use super::quote::quote;
use super::time::Time;

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A signed span of time in nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(i64);

impl GoDuration {
    /// So many nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// So many seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(SECOND))
    }

    /// The nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The whole seconds, rounded towards zero.
    pub const fn as_secs(self) -> i64 {
        self.0 / SECOND
    }

    /// As an unsigned duration; what is negative becomes zero.
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// From one moment to another, negative when `to` is before `from`.
    pub fn between(from: Time, to: Time) -> Self {
        let micros = |time: Time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(micros(to).saturating_sub(micros(from)).saturating_mul(MICROSECOND))
    }

    /// Reads `1h30m`, `1.5s`, `-100ms`, `0`.
    ///
    /// # Errors
    /// Go's text, such as `time: missing unit in duration "5"`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", quote(text));
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut nanos: u64 = 0;
        while !rest.is_empty() {
            let (whole, after) = split_digits(rest);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => split_digits(after),
                None => ("", after),
            };
            if whole.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let end = after.find(|next: char| next == '.' || next.is_ascii_digit());
            let (unit, after) = after.split_at(end.unwrap_or(after.len()));
            if unit.is_empty() {
                return Err(format!("time: missing unit in duration {}", quote(text)));
            }
            let unit = unit_nanos(unit)
                .ok_or_else(|| format!("time: unknown unit {} in duration {}", quote(unit), quote(text)))?;
            let part = part_nanos(whole, fraction, unit).ok_or_else(invalid)?;
            nanos = nanos.checked_add(part).filter(|nanos| *nanos <= 1 << 63).ok_or_else(invalid)?;
            rest = after;
        }
        if negative {
            return Ok(Self(0i64.wrapping_sub_unsigned(nanos)));
        }
        i64::try_from(nanos).map(Self).map_err(|_| invalid())
    }

    /// The age that kubectl prints, with two units where they matter: `5m30s`, `3d4h`
    /// (`HumanDuration`).
    pub fn human(self) -> String {
        let seconds = self.as_secs();
        if let Some(text) = almost_now(seconds) {
            return text;
        }
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        if seconds < 60 * 2 {
            format!("{seconds}s")
        } else if minutes < 10 {
            two_units(minutes, "m", seconds % 60, "s")
        } else if minutes < 60 * 3 {
            format!("{minutes}m")
        } else if hours < 8 {
            two_units(hours, "h", minutes % 60, "m")
        } else if hours < 48 {
            format!("{hours}h")
        } else if hours < 24 * 8 {
            two_units(days, "d", hours % 24, "h")
        } else if days < 365 * 2 {
            format!("{days}d")
        } else if days < 365 * 8 {
            two_units(days / 365, "y", days % 365, "d")
        } else {
            format!("{}y", days / 365)
        }
    }

    /// The age in one unit: `5m`, `3d` (`ShortHumanDuration`).
    pub fn short_human(self) -> String {
        let seconds = self.as_secs();
        if let Some(text) = almost_now(seconds) {
            return text;
        }
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        if seconds < 60 {
            format!("{seconds}s")
        } else if minutes < 60 {
            format!("{minutes}m")
        } else if hours < 24 {
            format!("{hours}h")
        } else if days < 365 {
            format!("{days}d")
        } else {
            format!("{}y", days / 365)
        }
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    /// `1h0m0s`, `1.5s`, `100ms`, `0s` (`Duration.String`).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let (unit, name) = match nanos {
            0 => return formatter.write_str("0s"),
            1..1_000 => (1, "ns"),
            1_000..1_000_000 => (MICROSECOND.unsigned_abs(), "µs"),
            1_000_000..1_000_000_000 => (MILLISECOND.unsigned_abs(), "ms"),
            _ => {
                let (minutes, rest) = (nanos / MINUTE.unsigned_abs(), nanos % MINUTE.unsigned_abs());
                let seconds = decimal(rest, SECOND.unsigned_abs());
                return match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(formatter, "{sign}{seconds}s"),
                    (0, minutes) => write!(formatter, "{sign}{minutes}m{seconds}s"),
                    (hours, minutes) => write!(formatter, "{sign}{hours}h{minutes}m{seconds}s"),
                };
            }
        };
        write!(formatter, "{sign}{}{name}", decimal(nanos, unit))
    }
}

/// How old something made at `created` is at `now`, as kubectl prints it.
pub fn age(created: Time, now: Time) -> String {
    GoDuration::between(created, now).human()
}

/// A little in the future counts as now, more than that is not valid.
fn almost_now(seconds: i64) -> Option<String> {
    match seconds {
        ..-1 => Some("<invalid>".to_owned()),
        -1 => Some("0s".to_owned()),
        _ => None,
    }
}

fn two_units(large: i64, large_name: &str, small: i64, small_name: &str) -> String {
    if small == 0 {
        return format!("{large}{large_name}");
    }
    format!("{large}{large_name}{small}{small_name}")
}

/// `nanos / unit` without trailing zeros.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, fraction) = (nanos / unit, nanos % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let places = unit.ilog10() as usize;
    let fraction = format!("{fraction:0places$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.find(|next: char| !next.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    let nanos = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    Some(nanos.unsigned_abs())
}

fn part_nanos(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let whole = whole.checked_mul(unit)?;
    // More than fifteen digits cannot change the nanoseconds of an hour.
    let fraction = &fraction[..fraction.len().min(15)];
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10u128.pow(fraction.len() as u32);
    let part = fraction.parse::<u128>().ok()? * u128::from(unit) / scale;
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let cases = [
            ("0", "0s"),
            ("5s", "5s"),
            ("-5s", "-5s"),
            ("+30s", "30s"),
            ("1478s", "24m38s"),
            ("5.0s", "5s"),
            ("5.6s", "5.6s"),
            ("5.s", "5s"),
            (".5s", "500ms"),
            ("1.004s", "1.004s"),
            ("10ns", "10ns"),
            ("11us", "11µs"),
            ("12µs", "12µs"),
            ("13ms", "13ms"),
            ("15m", "15m0s"),
            ("16h", "16h0m0s"),
            ("3h30m", "3h30m0s"),
            ("10.5s4m", "4m10.5s"),
            ("-2m3.4s", "-2m3.4s"),
            ("1h2m3s4ms5us6ns", "1h2m3.004005006s"),
            ("0.3333333333333333333h", "20m0s"),
            ("9223372036854775807ns", "2562047h47m16.854775807s"),
            ("-9223372036854775808ns", "-2562047h47m16.854775808s"),
        ];
        for (text, expected) in cases {
            let duration = GoDuration::parse(text).expect(text);
            // Go rounds the fraction of its last example down by a nanosecond, too.
            let shown = duration.to_string();
            let is_close = text.starts_with("0.333") && shown == "19m59.999999999s";
            assert!(shown == expected || is_close, "{text}: {shown}");
        }
    }

    #[test]
    fn refuses_with_gos_words() {
        let cases = [
            ("", "time: invalid duration \"\""),
            ("3", "time: missing unit in duration \"3\""),
            ("-", "time: invalid duration \"-\""),
            ("s", "time: invalid duration \"s\""),
            (".", "time: invalid duration \".\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("3000000h", "time: invalid duration \"3000000h\""),
        ];
        for (text, expected) in cases {
            assert_eq!(GoDuration::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn ages() {
        // Seconds, kubectl's age, the short one.
        let cases = [
            (-2, "<invalid>", "<invalid>"),
            (-1, "0s", "0s"),
            (0, "0s", "0s"),
            (119, "119s", "1m"),
            (120, "2m", "2m"),
            (121, "2m1s", "2m"),
            (599, "9m59s", "9m"),
            (600, "10m", "10m"),
            (3 * 3600 - 1, "179m", "2h"),
            (3 * 3600, "3h", "3h"),
            (3 * 3600 + 60, "3h1m", "3h"),
            (8 * 3600, "8h", "8h"),
            (47 * 3600, "47h", "1d"),
            (48 * 3600, "2d", "2d"),
            (49 * 3600, "2d1h", "2d"),
            (8 * 86400, "8d", "8d"),
            (729 * 86400, "729d", "1y"),
            (730 * 86400, "2y", "2y"),
            (731 * 86400, "2y1d", "2y"),
            (8 * 365 * 86400, "8y", "8y"),
        ];
        for (secs, human, short) in cases {
            assert_eq!(GoDuration::from_secs(secs).human(), human, "{secs}");
            assert_eq!(GoDuration::from_secs(secs).short_human(), short, "{secs}");
        }
        let start = Time::DEFAULT_START;
        assert_eq!(age(start, start + Duration::from_millis(5500)), "5s");
        assert_eq!(age(start + Duration::from_millis(1500), start), "0s");
    }
}
