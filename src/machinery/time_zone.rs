//! Time zones: how far the clocks of a place are from UTC.
//!
//! `assets/time-zones.txt` holds what the tz database 2025b says of the time from 2026 on, when a cluster's time begins
//! (`scripts/time-zones.py` writes it). Names are those of the database, as Go's `time.LoadLocation` knows them.

const ZONES: &str = include_str!("../../assets/time-zones.txt");

/// Seconds in an hour and in a day.
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The clocks of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeZone {
    /// Seconds east of UTC in winter, or always.
    standard: i64,
    daylight: Option<Daylight>,
    /// For zones that follow no rule: from when on, in seconds since the epoch, which offset holds.
    changes: Vec<(i64, i64)>,
}

/// The other time of the year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Daylight {
    offset: i64,
    begin: Change,
    end: Change,
}

/// A day of every year and the time of that day: the last Sunday of March at two o'clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    month: i64,
    /// Which of the month's, 5 for the last one.
    week: i64,
    weekday: i64,
    seconds: i64,
}

impl TimeZone {
    /// UTC.
    pub const UTC: Self = Self { standard: 0, daylight: None, changes: Vec::new() };

    /// The zone of a name, such as `Europe/Berlin`; the empty name and `Local` are UTC, as in a cluster's control plane.
    ///
    /// # Errors
    /// Go's text for a name that is not known.
    pub fn load(name: &str) -> Result<Self, String> {
        if matches!(name, "" | "UTC" | "Local") {
            return Ok(Self::UTC);
        }
        let is_named = |line: &&str| line.split(' ').skip(1).any(|known| known == name);
        let rule = ZONES.lines().find(is_named).and_then(|line| line.split(' ').next());
        rule.and_then(Self::parse).ok_or_else(|| format!("unknown time zone {name}"))
    }

    /// Reads a rule as `EST5EDT,M3.2.0,M11.1.0`, with changes behind it if they follow none.
    fn parse(rule: &str) -> Option<Self> {
        let mut parts = rule.split(';');
        let mut fields = parts.next()?.split(',');
        let (standard, rest) = parse_offset(skip_name(fields.next()?)?)?;
        let daylight = if rest.is_empty() {
            None
        } else {
            let rest = skip_name(rest)?;
            let offset = if rest.is_empty() { standard + HOUR } else { parse_offset(rest)?.0 };
            Some(Daylight { offset, begin: Change::parse(fields.next()?)?, end: Change::parse(fields.next()?)? })
        };
        let changes = parts.map(|change| {
            let (hours, offset) = change.split_once('=')?;
            Some((hours.parse::<i64>().ok()? * HOUR, offset.parse::<i64>().ok()? * HOUR))
        });
        Some(Self { standard, daylight, changes: changes.collect::<Option<_>>()? })
    }

    /// Seconds east of UTC at a moment, which is told in seconds since the epoch.
    #[must_use]
    pub fn offset_at(&self, utc: i64) -> i64 {
        let past = self.changes.partition_point(|(from, _)| *from <= utc);
        if let Some((_, offset)) = past.checked_sub(1).and_then(|last| self.changes.get(last)) {
            return *offset;
        }
        let Some(daylight) = &self.daylight else { return self.standard };
        let year = DateTime::from_seconds(utc + self.standard).year;
        let begin = daylight.begin.in_year(year) - self.standard;
        let end = daylight.end.in_year(year) - daylight.offset;
        let is_daylight = if begin < end { (begin..end).contains(&utc) } else { !(end..begin).contains(&utc) };
        if is_daylight { daylight.offset } else { self.standard }
    }

    /// What clocks and calendars show at a moment.
    #[must_use]
    pub fn local(&self, utc: i64) -> DateTime {
        DateTime::from_seconds(utc + self.offset_at(utc))
    }

    /// The moment at which they show `time`; where clocks jump, one of the two that it could be, as Go's `time.Date`
    /// chooses it.
    #[must_use]
    pub fn moment(&self, time: &DateTime) -> i64 {
        let local = time.to_seconds();
        let offset = self.offset_at(local);
        if offset == 0 {
            return local;
        }
        local - self.offset_at(local - offset)
    }
}

impl Change {
    /// Reads `M3.5.0/2`.
    fn parse(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut numbers = day.strip_prefix('M')?.split('.').map(|number| number.parse::<i64>().ok());
        let (month, week, weekday) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let (seconds, rest) = parse_time(time)?;
        rest.is_empty().then_some(Self { month, week, weekday, seconds })
    }

    /// When it is in a year, as local clocks show it before the change.
    fn in_year(self, year: i64) -> i64 {
        let first = days_before(year, self.month, 1);
        let to_weekday = (self.weekday - weekday(first)).rem_euclid(7);
        let mut day = first + to_weekday + (self.week - 1) * 7;
        while day >= days_before(year, self.month + 1, 1) {
            day -= 7;
        }
        day * DAY + self.seconds
    }
}

/// What stands behind the abbreviation that a rule begins with: `CET` or `<+03>`.
fn skip_name(text: &str) -> Option<&str> {
    match text.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>').map(|(_, rest)| rest),
        None => Some(text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic())),
    }
}

/// The offset that a rule states, which counts westwards, as seconds east.
fn parse_offset(text: &str) -> Option<(i64, &str)> {
    parse_time(text).map(|(seconds, rest)| (-seconds, rest))
}

/// Reads `-5:30`, and says what follows.
fn parse_time(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|part: char| !matches!(part, '-' | '+' | ':' | '0'..='9')).unwrap_or(text.len());
    let (time, rest) = text.split_at(end);
    let (sign, time) = match time.strip_prefix('-') {
        Some(time) => (-1, time),
        None => (1, time.trim_start_matches('+')),
    };
    let (hours, minutes) = time.split_once(':').unwrap_or((time, "0"));
    let seconds = hours.parse::<i64>().ok()? * HOUR + minutes.parse::<i64>().ok()? * 60;
    Some((sign * seconds, rest))
}

/// A date and a time of day, without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

impl DateTime {
    /// Midnight of a day.
    #[must_use]
    pub const fn midnight(year: i64, month: i64, day: i64) -> Self {
        Self { year, month, day, hour: 0, minute: 0, second: 0 }
    }

    /// The date of a number of seconds after 1 January 1970 (Howard Hinnant's `civil_from_days`).
    #[must_use]
    pub fn from_seconds(seconds: i64) -> Self {
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * from_march + 2) / 5 + 1,
            hour: second / HOUR,
            minute: second % HOUR / 60,
            second: second % 60,
        }
    }

    /// Seconds after 1 January 1970. Months and days that are too large run over, as in Go's `time.Date`.
    #[must_use]
    pub fn to_seconds(&self) -> i64 {
        days_before(self.year, self.month, self.day) * DAY + self.hour * HOUR + self.minute * 60 + self.second
    }

    /// 0 for Sunday to 6 for Saturday.
    #[must_use]
    pub fn weekday(&self) -> i64 {
        weekday(days_before(self.year, self.month, self.day))
    }
}

/// Days from 1 January 1970 to a date (`days_from_civil`); months above 12 are those of later years.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The weekday of a day since 1 January 1970, which was a Thursday.
const fn weekday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> i64 {
        let time = crate::machinery::time::Time::parse(text).expect("a time");
        i64::try_from(time.as_secs()).expect("a moment of our time")
    }

    #[test]
    fn offsets_change_when_clocks_do() {
        let table = [
            ("Asia/Seoul", "2026-07-01T00:00:00Z", 9.0),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", 1.0),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 2.0),
            ("Europe/Berlin", "2026-10-25T00:59:59Z", 2.0),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", 1.0),
            ("America/New_York", "2027-03-14T06:59:59Z", -5.0),
            ("America/New_York", "2027-03-14T07:00:00Z", -4.0),
            ("Australia/Adelaide", "2026-01-01T00:00:00Z", 10.5),
            ("Australia/Adelaide", "2026-06-01T00:00:00Z", 9.5),
            ("Europe/Dublin", "2026-07-01T00:00:00Z", 1.0),
            ("Europe/Dublin", "2026-12-01T00:00:00Z", 0.0),
            ("America/Nuuk", "2026-03-29T01:00:00Z", -1.0),
            ("America/Santiago", "2026-04-05T02:59:59Z", -3.0),
            ("America/Santiago", "2026-04-05T03:00:00Z", -4.0),
            ("Africa/Casablanca", "2026-01-01T00:00:00Z", 1.0),
            ("Africa/Casablanca", "2026-02-15T02:00:00Z", 0.0),
            ("Africa/Casablanca", "2026-03-22T02:00:00Z", 1.0),
            ("Pacific/Chatham", "2026-12-01T00:00:00Z", 13.75),
        ];
        for (name, time, hours) in table {
            let zone = TimeZone::load(name).expect(name);
            #[expect(clippy::cast_precision_loss, reason = "a table in hours is easier to read")]
            let offset = zone.offset_at(moment(time)) as f64 / 3600.0;
            assert!((offset - hours).abs() < f64::EPSILON, "{name} at {time}: {offset}");
        }
    }

    #[test]
    fn every_rule_of_the_table_can_be_read() {
        for line in ZONES.lines() {
            let rule = line.split(' ').next().expect("a rule");
            assert!(TimeZone::parse(rule).is_some(), "{rule}");
        }
        assert_eq!(TimeZone::load("Mars/Base"), Err("unknown time zone Mars/Base".to_owned()));
        assert_eq!(TimeZone::load("europe/berlin"), Err("unknown time zone europe/berlin".to_owned()));
    }

    #[test]
    fn dates_and_seconds_are_one() {
        for (seconds, text) in [(0, "1970-01-01 4"), (951_782_400, "2000-02-29 2"), (1_772_323_199, "2026-02-28 6")] {
            let date = DateTime::from_seconds(seconds);
            assert_eq!(format!("{}-{:02}-{:02} {}", date.year, date.month, date.day, date.weekday()), text);
            assert_eq!(date.to_seconds(), seconds);
        }
        assert_eq!(DateTime::midnight(2026, 13, 1).to_seconds(), DateTime::midnight(2027, 1, 1).to_seconds());
    }

    #[test]
    fn a_time_that_clocks_skip_is_a_moment_too() {
        let berlin = TimeZone::load("Europe/Berlin").expect("a zone");
        let skipped = DateTime { hour: 2, minute: 30, ..DateTime::midnight(2026, 3, 29) };
        assert_eq!(berlin.moment(&skipped), moment("2026-03-29T01:30:00Z"));
        assert_eq!(berlin.local(moment("2026-07-01T00:00:00Z")).hour, 2);
    }
}
