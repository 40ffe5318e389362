//! Waiting longer after each failure, for each key: `k8s.io/client-go/util/flowcontrol/backoff.go`.

use std::time::Duration;

use crate::machinery::persistent::OrdMap;

use crate::machinery::time::Time;

#[derive(Clone, Copy, Debug)]
struct Entry {
    backoff: Duration,
    last_update: Time,
}

/// Back-offs from `base`, doubling up to `max`, forgotten after twice `max` without a failure.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    base: Duration,
    max: Duration,
    entries: OrdMap<String, Entry>,
}

impl Backoff {
    pub(super) fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, entries: OrdMap::new() }
    }

    fn expired(&self, event: Time, last_update: Time) -> bool {
        event.since(last_update) > self.max * 2
    }

    /// Moves a key to its next back-off. `event` is when it failed.
    pub(super) fn next(&mut self, key: &str, event: Time, now: Time) {
        let backoff = match self.entries.get(key) {
            Some(entry) if !self.expired(event, entry.last_update) => (entry.backoff * 2).min(self.max),
            _ => self.base,
        };
        self.entries.insert(key.to_owned(), Entry { backoff, last_update: now });
    }

    /// The key's back-off; zero when it has none.
    pub(super) fn get(&self, key: &str) -> Duration {
        self.entries.get(key).map_or(Duration::ZERO, |entry| entry.backoff)
    }

    /// When the key's back-off ends that began at `event`, if it still holds at `now`: `IsInBackOffSince`.
    pub(super) fn until_since(&self, key: &str, event: Time, now: Time) -> Option<Time> {
        let entry = self.entries.get(key)?;
        if self.expired(event, entry.last_update) {
            return None;
        }
        Some(event + entry.backoff).filter(|&end| now < end)
    }

    /// When the key's back-off ends that began with its last failure, if it still holds: `IsInBackOffSinceUpdate`.
    pub(super) fn until_since_update(&self, key: &str, now: Time) -> Option<Time> {
        let entry = self.entries.get(key)?;
        if self.expired(now, entry.last_update) {
            return None;
        }
        Some(entry.last_update + entry.backoff).filter(|&end| now < end)
    }

    /// Forgets the keys that begin with `prefix`.
    pub(super) fn forget(&mut self, prefix: &str) {
        let gone: Vec<String> = self
            .entries
            .range(prefix.to_owned()..)
            .map(|(key, _)| key.clone())
            .take_while(|key| key.starts_with(prefix))
            .collect();
        for key in gone {
            self.entries.remove(&key);
        }
    }
}

/// A duration as Go prints it: `10s`, `2m40s`, `300ms`, `1.5s`.
pub(super) fn go_duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    if micros < 1_000 {
        return format!("{micros}µs");
    }
    if micros < 1_000_000 {
        return format!("{}ms", decimal(micros, 1_000, 3));
    }
    let (minutes, rest) = (micros / 60_000_000, micros % 60_000_000);
    let seconds = format!("{}s", decimal(rest, 1_000_000, 6));
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// `value / unit` with as many decimals as it needs.
fn decimal(value: u128, unit: u128, digits: usize) -> String {
    let (whole, rest) = (value / unit, value % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_off_doubles_and_is_forgotten_after_twice_its_maximum() {
        let second = Duration::from_secs(1);
        let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
        let mut backoff = Backoff::new(second * 10, second * 300);
        let mut seen = Vec::new();
        let mut now = 1000;
        for _ in 0..7 {
            backoff.next("c", at(now), at(now));
            seen.push(backoff.get("c").as_secs());
            now += 400;
        }
        assert_eq!(seen, [10, 20, 40, 80, 160, 300, 300]);
        backoff.next("c", at(now + 601), at(now + 601));
        assert_eq!(backoff.get("c").as_secs(), 10);
        assert_eq!(backoff.until_since("c", at(now + 600), at(now + 605)), Some(at(now + 610)));
        assert_eq!(backoff.until_since("c", at(now + 600), at(now + 610)), None);
    }

    #[test]
    fn durations_are_printed_as_go_does() {
        let shown: Vec<String> = [0, 250, 300_000, 1_500_000, 10_000_000, 160_000_000, 3_723_000_001]
            .into_iter()
            .map(|micros| go_duration(Duration::from_micros(micros)))
            .collect();
        assert_eq!(shown, ["0s", "250µs", "300ms", "1.5s", "10s", "2m40s", "1h2m3.000001s"]);
    }
}
