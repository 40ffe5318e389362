//! `date`, in UTC.

use super::super::io::CommandIo;
use super::Arguments;
use crate::machinery::time::Time;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A date of the Gregorian calendar.
struct Civil {
    year: i64,
    month: u64,
    day: u64,
    weekday: u64,
    day_of_year: u64,
}

/// The date of a day, counted from 1 January 1970 (Howard Hinnant's `civil_from_days`).
fn civil(days: u64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = (year_of_era + era * 400) as i64 + i64::from(month <= 2);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let before: u64 = (1..month).map(|month| days_in(month, leap)).sum();
    Civil { year, month, day, weekday: (days + 4) % 7, day_of_year: before + day }
}

fn days_in(month: u64, leap: bool) -> u64 {
    match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time as `date +FORMAT` prints it.
#[must_use]
pub fn format(time: Time, pattern: &str) -> String {
    let seconds = time.as_secs();
    let date = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let weekday = DAYS[date.weekday as usize];
    let month = MONTHS[date.month as usize - 1];
    let mut out = String::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut letter = chars.next();
        let plain = letter == Some('-');
        if plain {
            letter = chars.next();
        }
        let width = if plain { 0 } else { 2 };
        let text = match letter {
            Some('Y') => date.year.to_string(),
            Some('y') => format!("{:02}", date.year % 100),
            Some('m') => format!("{:0width$}", date.month),
            Some('d') => format!("{:0width$}", date.day),
            Some('e') => format!("{:2}", date.day),
            Some('H') => format!("{hour:0width$}"),
            Some('I') => format!("{:0width$}", (hour + 11) % 12 + 1),
            Some('M') => format!("{minute:0width$}"),
            Some('S') => format!("{second:0width$}"),
            Some('N') => format!("{:09}", time.as_micros() % 1_000_000 * 1000),
            Some('s') => seconds.to_string(),
            Some('p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            Some('a') => weekday[..3].to_owned(),
            Some('A') => weekday.to_owned(),
            Some('b' | 'h') => month[..3].to_owned(),
            Some('B') => month.to_owned(),
            Some('j') => format!("{:03}", date.day_of_year),
            Some('u') => ((date.weekday + 6) % 7 + 1).to_string(),
            Some('w') => date.weekday.to_string(),
            Some('Z') => "UTC".to_owned(),
            Some('z') => "+0000".to_owned(),
            Some('F') => format(time, "%Y-%m-%d"),
            Some('T') => format(time, "%H:%M:%S"),
            Some('R') => format(time, "%H:%M"),
            Some('D') => format(time, "%m/%d/%y"),
            Some('c') => format(time, "%a %b %e %H:%M:%S %Y"),
            Some('n') => "\n".to_owned(),
            Some('t') => "\t".to_owned(),
            Some('%') | None => "%".to_owned(),
            Some(other) => format!("%{other}"),
        };
        out.push_str(&text);
    }
    out
}

/// `date`.
pub(super) fn date(io: &mut CommandIo<'_>, arguments: &[String]) -> i32 {
    let parsed = Arguments::parse(arguments, "d date r s");
    let mut time = io.now();
    if let Some(text) = parsed.value("d date") {
        let seconds = text.strip_prefix('@').and_then(|text| text.parse::<u64>().ok());
        match seconds.filter(|seconds| *seconds < 1 << 40) {
            Some(seconds) => time = Time::from_micros(seconds * 1_000_000),
            None if text == "now" => {}
            None => {
                io.complain(&format!("invalid date '{text}'"));
                return 1;
            }
        }
    }
    let iso = parsed.value("iso-8601").or_else(|| parsed.has("I").then_some("date"));
    let pattern = match (parsed.rest.first().and_then(|word| word.strip_prefix('+')), iso) {
        (Some(pattern), _) => pattern,
        (None, Some("" | "date")) if !parsed.has("s") => "%Y-%m-%d",
        (None, Some(_)) => "%Y-%m-%dT%H:%M:%S+00:00",
        (None, None) => "%a %b %e %H:%M:%S UTC %Y",
    };
    let text = format(time, pattern);
    super::basic::print(io, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let time = Time::from_micros(1_767_225_600_000_000 + 59 * 86_400_000_000 + 3_723_000_004);
        for (pattern, expected) in [
            ("%F %T", "2026-03-01 01:02:03"),
            ("%a %b %e %j", "Sun Mar  1 060"),
            ("%s.%N", "1772326923.000004000"),
            ("%I:%M %p %-d%%", "01:02 AM 1%"),
        ] {
            assert_eq!(format(time, pattern), expected);
        }
        assert_eq!(format(Time::default(), "%A %Y"), "Thursday 1970");
    }
}
