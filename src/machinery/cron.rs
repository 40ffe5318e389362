//! Cron schedules: `*/5 * * * *`, `@daily`, `@every 90s`.
//!
//! Follows `ParseStandard` and `Next` of `github.com/robfig/cron/v3`, which Kubernetes uses, with its messages.

use super::duration::GoDuration;
use super::intstr::atoi;
use super::time::Time;
use super::time_zone::{DateTime, TimeZone};

/// Stands in a field that was given as a star: a day must then match the other field of days alone.
const STAR: u64 = 1 << 63;
/// A schedule that has no time within so many years has none.
const YEARS_MAX: i64 = 5;

/// When something is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// After every so many seconds.
    Every(u64),
    /// Whenever the clock shows what the fields say.
    Clock(Box<Clock>),
}

/// The times of a clock: in each field, a bit for every number that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    minute: u64,
    hour: u64,
    day_of_month: u64,
    month: u64,
    day_of_week: u64,
    zone: TimeZone,
}

/// What a field may hold.
struct Bounds {
    min: u64,
    max: u64,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { min: 0, max: 59, names: &[] };
const HOURS: Bounds = Bounds { min: 0, max: 23, names: &[] };
const DAYS_OF_MONTH: Bounds = Bounds { min: 1, max: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    min: 1,
    max: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const DAYS_OF_WEEK: Bounds = Bounds { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    /// Reads a schedule; its zone, unless it begins with `TZ=…` or `CRON_TZ=…`, is UTC.
    ///
    /// # Errors
    /// The library's own text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        let Some(rest) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) else {
            return Self::parse_in(text, TimeZone::UTC);
        };
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let zone = TimeZone::load(name).map_err(|error| format!("provided bad location {name}: {error}"))?;
        Self::parse_in(rest.trim(), zone)
    }

    /// Reads a schedule in a zone.
    ///
    /// # Errors
    /// The library's own text.
    pub fn parse_in(text: &str, zone: TimeZone) -> Result<Self, String> {
        if text.starts_with('@') {
            return parse_descriptor(text, zone);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day_of_month, month, day_of_week] = fields.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        Ok(Self::Clock(Box::new(Clock {
            minute: parse_field(minute, &MINUTES)?,
            hour: parse_field(hour, &HOURS)?,
            day_of_month: parse_field(day_of_month, &DAYS_OF_MONTH)?,
            month: parse_field(month, &MONTHS)?,
            day_of_week: parse_field(day_of_week, &DAYS_OF_WEEK)?,
            zone,
        })))
    }

    /// The first time of the schedule after a moment; `None` when there is none within five years, as of 30 February.
    #[must_use]
    pub fn next(&self, after: Time) -> Option<Time> {
        let seconds = after.as_secs();
        let next = match self {
            Self::Every(interval) => seconds.saturating_add(*interval),
            Self::Clock(clock) => u64::try_from(clock.next(i64::try_from(seconds).ok()?)?).ok()?,
        };
        Some(Time::from_micros(next.saturating_mul(1_000_000)))
    }
}

impl Clock {
    /// `SpecSchedule.Next` in seconds: field after field is moved on until it matches, and when one wraps around, all are
    /// looked at again.
    fn next(&self, after: i64) -> Option<i64> {
        let zone = &self.zone;
        let has = |field: u64, number: i64| field & (1 << number) != 0;
        let mut at = after + 1;
        // Whether the time was moved already, so that smaller fields begin anew.
        let mut moved = false;
        let last_year = zone.local(at).year + YEARS_MAX;
        'again: loop {
            if zone.local(at).year > last_year {
                return None;
            }
            while !has(self.month, zone.local(at).month) {
                let now = zone.local(at);
                let begin = if moved { now } else { DateTime::midnight(now.year, now.month, 1) };
                moved = true;
                at = zone.moment(&DateTime { month: begin.month + 1, ..begin });
                if zone.local(at).month == 1 {
                    continue 'again;
                }
            }
            while !self.is_day(&zone.local(at)) {
                let now = zone.local(at);
                let begin = if moved { now } else { DateTime::midnight(now.year, now.month, now.day) };
                moved = true;
                at = zone.moment(&DateTime { day: begin.day + 1, ..begin });
                // Where clocks jump at midnight, the day begins an hour earlier or later.
                let hour = zone.local(at).hour;
                let hours_to_midnight = if hour > 12 { 24 - hour } else { -hour };
                at += hours_to_midnight * 3600;
                if zone.local(at).day == 1 {
                    continue 'again;
                }
            }
            while !has(self.hour, zone.local(at).hour) {
                let now = zone.local(at);
                if !moved {
                    at = zone.moment(&DateTime { minute: 0, second: 0, ..now });
                    moved = true;
                }
                at += 3600;
                if zone.local(at).hour == 0 {
                    continue 'again;
                }
            }
            while !has(self.minute, zone.local(at).minute) {
                at += 60 - if moved { 0 } else { at.rem_euclid(60) };
                moved = true;
                if zone.local(at).minute == 0 {
                    continue 'again;
                }
            }
            // Schedules of five fields happen when a minute begins.
            while zone.local(at).second != 0 {
                at += 1;
                moved = true;
                if zone.local(at).second == 0 {
                    continue 'again;
                }
            }
            return Some(at);
        }
    }

    /// `dayMatches`: both fields of days when one is a star, else either.
    fn is_day(&self, date: &DateTime) -> bool {
        let of_month = self.day_of_month & (1 << date.day) != 0;
        let of_week = self.day_of_week & (1 << date.weekday()) != 0;
        if (self.day_of_month | self.day_of_week) & STAR != 0 { of_month && of_week } else { of_month || of_week }
    }
}

fn parse_descriptor(text: &str, zone: TimeZone) -> Result<Schedule, String> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(duration) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let duration =
                GoDuration::parse(duration).map_err(|error| format!("failed to parse duration {text}: {error}"))?;
            return Ok(Schedule::Every(u64::try_from(duration.as_secs()).unwrap_or(0).max(1)));
        }
    };
    Schedule::parse_in(fields, zone)
}

/// `getField`: ranges with commas between them.
fn parse_field(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let ranges = text.split(',').filter(|range| !range.is_empty());
    ranges.map(|range| parse_range(range, bounds)).try_fold(0, |bits, range| Ok(bits | range?))
}

/// `getRange`: `*`, `5`, `1-5`, each with a `/step` behind it if need be.
fn parse_range(text: &str, bounds: &Bounds) -> Result<u64, String> {
    let (range, steps) = text.split_once('/').map_or((text, None), |(range, step)| (range, Some(step)));
    let ends: Vec<&str> = range.split('-').collect();
    let is_star = matches!(ends[0], "*" | "?");
    let (begin, mut end) = match ends.as_slice() {
        _ if is_star => (bounds.min, bounds.max),
        [only] => {
            let only = parse_number(only, bounds.names)?;
            (only, only)
        }
        [begin, end] => (parse_number(begin, bounds.names)?, parse_number(end, bounds.names)?),
        [begin, ..] => {
            parse_number(begin, bounds.names)?;
            return Err(format!("too many hyphens: {text}"));
        }
        [] => return Err(format!("too many hyphens: {text}")),
    };
    let step = match steps {
        None => 1,
        Some(step) if step.contains('/') => return Err(format!("too many slashes: {text}")),
        Some(step) => {
            let step = parse_number(step, &[])?;
            if ends.len() == 1 {
                end = bounds.max;
            }
            step
        }
    };
    let (min, max) = (bounds.min, bounds.max);
    if begin < min {
        return Err(format!("beginning of range ({begin}) below minimum ({min}): {text}"));
    }
    if end > max {
        return Err(format!("end of range ({end}) above maximum ({max}): {text}"));
    }
    if begin > end {
        return Err(format!("beginning of range ({begin}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let bits = (begin..=end).filter(|number| (number - begin) % step == 0).fold(0, |bits, number| bits | 1 << number);
    Ok(bits | if is_star && step == 1 { STAR } else { 0 })
}

/// `parseIntOrName`.
fn parse_number(text: &str, names: &[&str]) -> Result<u64, String> {
    let lower = text.to_lowercase();
    // The names of months count from one, those of weekdays from zero.
    let first = u64::from(names.len() == 12);
    if let Some(at) = names.iter().position(|name| *name == lower) {
        return Ok(at as u64 + first);
    }
    let number = atoi(text).map_err(|error| format!("failed to parse int from {text}: {error}"))?;
    u64::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> String {
        let schedule = Schedule::parse(schedule).expect(schedule);
        let next = schedule.next(Time::parse(after).expect(after));
        next.map_or_else(|| "never".to_owned(), Time::to_rfc3339)
    }

    #[test]
    fn the_next_time_is_the_first_that_matches() {
        let table = [
            ("* * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"),
            ("* * * * *", "2026-01-01T00:00:59.5Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:14:59Z", "2026-01-01T00:15:00Z"),
            ("*/15 * * * *", "2026-01-01T00:45:01Z", "2026-01-01T01:00:00Z"),
            ("20-35/15 * * * *", "2026-01-01T00:45:01Z", "2026-01-01T01:20:00Z"),
            ("0 0 * * *", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 12 1 JAN MON", "2026-01-02T00:00:00Z", "2026-01-05T12:00:00Z"),
            ("0 0 13 * FRI", "2026-02-01T00:00:00Z", "2026-02-06T00:00:00Z"),
            ("0 0 */2 * FRI", "2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 30 2 *", "2026-01-01T00:00:00Z", "never"),
            ("59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"),
            ("30 6-16/4 * * 1-5", "2026-01-02T14:30:00Z", "2026-01-05T06:30:00Z"),
            ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("@monthly", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("@yearly", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("@every 90s", "2026-01-01T00:00:10.7Z", "2026-01-01T00:01:40Z"),
            ("@every 1ms", "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
            ("TZ=Asia/Seoul 0 9 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("CRON_TZ=America/New_York 30 2 * * *", "2026-03-07T12:00:00Z", "2026-03-09T06:30:00Z"),
            ("TZ=America/New_York 0 1 * * *", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z"),
        ];
        for (schedule, after, expected) in table {
            assert_eq!(next(schedule, after), expected, "{schedule} after {after}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let table = [
            ("", "empty spec string"),
            ("every day", "expected exactly 5 fields, found 2: [every day]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("0 0 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
            ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("*/-2 * * * *", "negative number (-2) not allowed: -2"),
            ("@sometimes", "unrecognized descriptor: @sometimes"),
            ("@every soon", "failed to parse duration @every soon: time: invalid duration \"soon\""),
            ("TZ=Mars/Base * * * * *", "provided bad location Mars/Base: unknown time zone Mars/Base"),
        ];
        for (schedule, expected) in table {
            assert_eq!(Schedule::parse(schedule), Err(expected.to_owned()), "{schedule}");
        }
    }
}
