//! Simulated time: a number, never a clock that is asked.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment of simulated time, in microseconds since the Unix epoch.
///
/// The engine never asks a wall clock; whoever drives a cluster says how far time has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// 1 January 2026, 00:00:00 UTC: when a cluster begins unless its profile says otherwise.
    pub const DEFAULT_START: Self = Self(1_767_225_600_000_000);

    /// The moment `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How much later this is than `earlier`; zero when it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// As `metav1.Time`, which knows whole seconds only.
    #[must_use]
    pub fn to_meta(self) -> meta::Time {
        meta::Time(timestamp(self.0 / 1_000_000 * 1_000_000))
    }

    /// As `metav1.MicroTime`.
    #[must_use]
    pub fn to_micro(self) -> meta::MicroTime {
        meta::MicroTime(timestamp(self.0))
    }

    /// The text of a `metav1.Time`: `2026-01-01T00:00:00Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        timestamp(self.0).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The text of a `metav1.MicroTime`: `2026-01-01T00:00:00.000000Z`.
    #[must_use]
    pub fn to_rfc3339_micro(self) -> String {
        timestamp(self.0).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
    }

    /// As `kubectl describe` prints a time: `Thu, 01 Jan 2026 00:00:00 +0000`.
    #[must_use]
    pub fn to_rfc1123z(self) -> String {
        timestamp(self.0).strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    /// Reads the text of a `metav1.Time` or `metav1.MicroTime`, in any time zone.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::from_timestamp)
    }

    /// From a time in an object; times before the epoch become the epoch.
    #[must_use]
    pub fn from_timestamp(time: Timestamp) -> Self {
        Self(u64::try_from(time.as_microsecond()).unwrap_or(0))
    }
}

/// Years far outside what jiff knows are clamped, so that no simulated time can panic.
fn timestamp(micros: u64) -> Timestamp {
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

impl From<&meta::Time> for Time {
    fn from(time: &meta::Time) -> Self {
        Self::from_timestamp(time.0)
    }
}

impl From<&meta::MicroTime> for Time {
    fn from(time: &meta::MicroTime) -> Self {
        Self::from_timestamp(time.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&timestamp(self.0), f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let time = Time::from_micros(Time::DEFAULT_START.as_micros() + 1_500_000);
        assert_eq!(time.to_rfc3339(), "2026-01-01T00:00:01Z");
        assert_eq!(time.to_rfc3339_micro(), "2026-01-01T00:00:01.500000Z");
        assert_eq!(time.to_rfc1123z(), "Thu, 01 Jan 2026 00:00:01 +0000");
        assert_eq!(Time::parse("2026-01-01T09:00:01.5+09:00"), Some(time));
        assert_eq!(Time::parse("yesterday"), None);
    }
}
