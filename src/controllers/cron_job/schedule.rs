//! Which time of a CronJob's schedule is due, and when the next one is.
//!
//! Follows `mostRecentScheduleTime` and what is built on it in `kubernetes/pkg/controller/cronjob/utils.go`.

use std::time::Duration;

use k8s_openapi::api::batch::v1::CronJob;

use crate::machinery::cron::Schedule;
use crate::machinery::time::Time;

/// `nextScheduleDelta`: so much later than scheduled the controller looks, lest its clock be a little fast.
const NEXT_SCHEDULE_DELTA: Duration = Duration::from_millis(100);
/// More missed times than these are worth a warning.
const MISSED_MAX: u64 = 100;

/// The times that passed since a Job was last made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recent {
    /// From when on times count: the last one, or the creation.
    earliest: Time,
    /// The last time that is not in the future.
    pub due: Option<Time>,
    /// How many there were, roughly, when there was more than one.
    missed: u64,
}

impl Recent {
    /// Whether so many times were missed that something must be wrong.
    pub(super) fn has_too_many(&self) -> bool {
        self.missed > MISSED_MAX
    }
}

/// `mostRecentScheduleTime`.
///
/// # Errors
/// When the schedule has no times, such as those of 30 February.
pub(super) fn most_recent(
    cron_job: &CronJob,
    schedule: &Schedule,
    deadline: Option<i64>,
    now: Time,
) -> Result<Recent, String> {
    let created = cron_job.metadata.creation_timestamp.as_ref();
    let last = cron_job.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    let mut earliest = last.or(created).map(Time::from).unwrap_or_default();
    if let Some(seconds) = deadline {
        // Nothing will be started that was due before.
        earliest = earliest.max(now - Duration::from_secs(u64::try_from(seconds).unwrap_or(0)));
    }
    let no_times = || "time difference between two schedules is less than 1 second".to_owned();
    let first = schedule.next(earliest).ok_or_else(no_times)?;
    let none = Recent { earliest, due: None, missed: 0 };
    if now < first {
        return Ok(none);
    }
    let second = schedule.next(first).ok_or_else(no_times)?;
    if now < second {
        return Ok(Recent { due: Some(first), ..none });
    }
    let interval = second.since(first).as_secs();
    if interval < 1 {
        return Err(no_times());
    }
    let missed = now.since(first).as_secs() / interval + 1;
    // One interval before the last time as far as times are regular, so that `@every` keeps its step; from there on they
    // are looked at one by one.
    let skipped = missed.saturating_sub(2).saturating_mul(interval);
    let before = if missed >= 2 { first + Duration::from_secs(skipped) } else { first - Duration::from_secs(interval) };
    let mut due = None;
    let mut next = schedule.next(before);
    while let Some(time) = next.filter(|time| *time <= now) {
        due = Some(time);
        next = schedule.next(time);
    }
    Ok(Recent { earliest, due, missed })
}

/// How long until the controller must look again: `nextScheduleTimeDuration`.
pub(super) fn wait(cron_job: &CronJob, schedule: &Schedule, now: Time) -> Duration {
    let from = match most_recent(cron_job, schedule, None, now) {
        Ok(Recent { due: Some(due), .. }) => due,
        Ok(Recent { due: None, missed: 0, earliest }) => earliest,
        _ => now,
    };
    schedule.next(from).map_or(Duration::ZERO, |next| (next + NEXT_SCHEDULE_DELTA).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::CronJobStatus;

    fn time(text: &str) -> Time {
        Time::parse(&format!("2026-01-01T{text}Z")).expect(text)
    }

    fn cron_job(created: &str, last: Option<&str>) -> CronJob {
        let mut cron_job = CronJob::default();
        cron_job.metadata.creation_timestamp = Some(time(created).to_meta());
        let last_schedule_time = last.map(|last| time(last).to_meta());
        cron_job.status = Some(CronJobStatus { last_schedule_time, ..CronJobStatus::default() });
        cron_job
    }

    #[test]
    fn the_last_time_that_passed_is_due() {
        let table = [
            ("0 * * * *", "10:00:00", None, None, "10:30:00", Ok((None, 0))),
            ("0 * * * *", "10:00:00", None, None, "11:00:00", Ok((Some("11:00:00"), 0))),
            ("0 * * * *", "10:00:00", Some("11:00:00"), None, "11:30:00", Ok((None, 0))),
            ("0 * * * *", "10:00:00", None, None, "13:30:00", Ok((Some("13:00:00"), 3))),
            ("* * * * *", "10:00:30", None, Some(10), "10:02:30", Ok((None, 0))),
            ("* * * * *", "10:00:30", None, Some(40), "10:02:30", Ok((Some("10:02:00"), 0))),
            ("* * * * *", "10:00:30", None, None, "13:00:30", Ok((Some("13:00:00"), 180))),
            ("@every 90m", "10:10:00", None, None, "15:00:00", Ok((Some("14:40:00"), 3))),
            ("30 6-16/4 * * *", "06:00:00", None, None, "15:00:00", Ok((Some("14:30:00"), 3))),
            ("0 0 30 2 *", "10:00:00", None, None, "11:00:00", Err(())),
        ];
        for (text, created, last, deadline, now, expected) in table {
            let schedule = Schedule::parse(text).expect(text);
            let found = most_recent(&cron_job(created, last), &schedule, deadline, time(now));
            let found = found.map(|recent| (recent.due, recent.missed)).map_err(|_| ());
            assert_eq!(found, expected.map(|(due, missed)| (due.map(time), missed)), "{text} at {now}");
        }
    }

    #[test]
    fn the_controller_looks_again_a_little_after_the_next_time() {
        let schedule = Schedule::parse("0 * * * *").expect("a schedule");
        let wait = |now: &str| super::wait(&cron_job("10:00:00", None), &schedule, time(now));
        assert_eq!(wait("10:30:00"), Duration::from_millis(1_800_100));
        assert_eq!(wait("11:30:00"), Duration::from_millis(1_800_100));
        assert_eq!(wait("13:59:59"), Duration::from_millis(1100));
    }
}
