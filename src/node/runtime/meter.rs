//! The processor time that a container uses: the model behind `kubectl top`.
//!
//! What a process costs while it waits (an idle server's few thousandths) and while it is busy (a whole processor) is
//! counted by time, what a request costs when it is answered, and every turn of a shell costs a little.
//!
//! Metrics are asked for rarely and are about windows of time that have passed. So nothing happens when a window ends:
//! whoever touches the meter next writes down what it showed then.

use std::time::Duration;

use super::Runtime;
use super::container::{Container, ContainerState};
use crate::machinery::shell::ProcessTable;
use crate::machinery::time::Time;

/// What it costs to let a shell go on.
const TURN_NANOS: u64 = 1_000_000;
/// How long a window is: metrics-server's `--metric-resolution`.
pub const WINDOW: Duration = Duration::from_secs(15);
/// How far into a minute its first window ends.
const OFFSET: Duration = Duration::from_secs(5);
/// How long a container must have run to be told of when its first whole window has not passed:
/// `freshContainerMinMetricsResolution`.
const FRESH_MIN: Duration = Duration::from_secs(10);

/// The end of the last window that has passed.
#[must_use]
pub fn window_end(now: Time) -> Time {
    end_of(window_of(now))
}

fn window_of(time: Time) -> u64 {
    (time.as_micros().saturating_sub(micros(OFFSET))) / micros(WINDOW)
}

fn end_of(window: u64) -> Time {
    Time::from_micros(window * micros(WINDOW)) + OFFSET
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Counts the processor time of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Meter {
    started: Time,
    /// What was counted up to `since`.
    nanos: u64,
    since: Time,
    /// What its processes have used since then, in thousandths of a processor.
    millis: u32,
    /// What requests had cost by then, in milliseconds.
    spent: u64,
    /// What it showed at the end of the last two windows before `since`: the window, and nanoseconds.
    marks: [(u64, u64); 2],
}

impl Meter {
    /// A meter of a container that starts now.
    pub(super) fn start(now: Time) -> Self {
        Self { started: now, since: now, ..Self::default() }
    }

    /// What it shows at a moment after it was last touched, but for requests since.
    fn at(&self, time: Time) -> u64 {
        // A thousandth of a processor is a nanosecond a microsecond.
        self.nanos.saturating_add(u64::from(self.millis).saturating_mul(micros(time.since(self.since))))
    }

    /// What it shows now.
    fn nanos(&self, table: &ProcessTable, now: Time) -> u64 {
        let by_requests = table.spent().saturating_sub(self.spent).saturating_mul(1_000_000);
        self.at(now).saturating_add(by_requests)
    }

    /// What it showed at the end of a window.
    fn at_end_of(&self, window: u64) -> u64 {
        let end = end_of(window);
        if end <= self.started {
            return 0;
        }
        if end >= self.since {
            return self.at(end);
        }
        let mark = self.marks.iter().rev().find(|(known, _)| *known <= window);
        mark.map_or(0, |(_, nanos)| *nanos)
    }

    /// Counts up to a moment, before its processes go on.
    pub(super) fn count(&mut self, table: &ProcessTable, now: Time) {
        let (before, last) = (window_of(self.since), window_of(now));
        for window in last.saturating_sub(1).max(before + 1)..=last {
            self.marks = [self.marks[1], (window, self.at(end_of(window)))];
        }
        self.nanos = self.nanos(table, now);
        (self.since, self.spent) = (now, table.spent());
    }

    /// Notes what its processes do from now on, after they went on.
    pub(super) fn note(&mut self, table: &ProcessTable, most: u32, now: Time) {
        self.millis = table.processor_at_rest(now).min(most);
        self.spent = table.spent();
        if table.has_shell() {
            self.nanos += TURN_NANOS;
        }
    }

    /// What was used in the last window that has passed, in nanoseconds a second, and how long it was for this
    /// container; nothing of one that has not run for long enough.
    fn rate(&self, now: Time) -> Option<(u64, Duration)> {
        let window = window_of(now);
        let end = end_of(window);
        let begin = end_of(window.saturating_sub(1)).max(self.started);
        let length = if begin < end { end.since(begin) } else { Duration::ZERO };
        if length < FRESH_MIN {
            return None;
        }
        let used = self.at_end_of(window).saturating_sub(self.at_end_of(window.saturating_sub(1)));
        let rate = u128::from(used) * 1_000_000_000 / length.as_nanos();
        Some((u64::try_from(rate).unwrap_or(u64::MAX), length))
    }
}

impl Runtime {
    /// What a container that runs used in the last window that has passed, in nanoseconds a second and never more than
    /// it gets, and how long the window was.
    #[must_use]
    pub fn processor_rate(&self, id: &str, now: Time) -> Option<(u64, Duration)> {
        let container = self.containers.get(id).filter(|container| container.state == ContainerState::Running)?;
        let (rate, window) = container.processor.rate(now)?;
        Some((rate.min(u64::from(self.processor_most(container)) * 1_000_000), window))
    }

    /// The most that a container gets, in thousandths of a processor.
    pub(super) fn processor_most(&self, container: &Container) -> u32 {
        container.processor_limit.unwrap_or(u32::MAX).min(self.profile.processors.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::DEFAULT_START + Duration::from_secs(seconds)
    }

    /// A meter whose processes use so much from then on.
    fn meter(started: u64, millis: u32) -> Meter {
        Meter { millis, ..Meter::start(at(started)) }
    }

    #[test]
    fn a_window_is_told_once_it_has_passed() {
        let table = ProcessTable::new(1);
        let mut meter = meter(0, 100);
        assert_eq!(window_end(at(4)), at(0) - Duration::from_secs(10));
        assert_eq!(meter.rate(at(14)), None, "five seconds of a window are too few");
        assert_eq!(meter.rate(at(20)), Some((100_000_000, WINDOW)));
        // From second 30 on it uses more; the window that ends with second 35 has ten seconds of the one and five of the other.
        meter.count(&table, at(30));
        meter.millis = 400;
        assert_eq!(meter.rate(at(30)), Some((100_000_000, WINDOW)));
        assert_eq!(meter.rate(at(36)), Some((200_000_000, WINDOW)));
        meter.count(&table, at(44));
        assert_eq!(meter.rate(at(49)), Some((200_000_000, WINDOW)), "what was written down is not lost");
        assert_eq!(meter.rate(at(50)), Some((400_000_000, WINDOW)));
        meter.count(&table, at(500));
        meter.millis = 0;
        assert_eq!(meter.rate(at(501)), Some((400_000_000, WINDOW)), "nobody touched it for long");
        assert_eq!(meter.rate(at(530)), Some((0, WINDOW)));
    }

    #[test]
    fn a_young_container_is_told_of_after_ten_seconds() {
        let meter = meter(23, 250);
        assert_eq!(meter.rate(at(34)), None);
        assert_eq!(meter.rate(at(35)), Some((250_000_000, Duration::from_secs(12))));
        let late = self::meter(28, 250);
        assert_eq!((late.rate(at(35)), late.rate(at(50))), (None, Some((250_000_000, WINDOW))));
    }
}
