//! The client-side rate limit that delays a busy controller.

use std::time::Duration;

use crate::machinery::time::Time;

/// A token bucket: `burst` requests at once, then `per_second`.
///
/// `k8s.io/client-go/util/flowcontrol`; the controller manager's clients send 20 a second with bursts of 30.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    interval: Duration,
    burst: u32,
    /// When the bucket would be full again if nothing more is taken.
    full_at: Time,
}

impl TokenBucket {
    /// A full bucket.
    ///
    /// # Panics
    /// When `per_second` is 0.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        assert!(per_second > 0, "a client that may send nothing is a bug");
        Self { interval: Duration::from_secs(1) / per_second, burst, full_at: Time::default() }
    }

    /// Whether there are `count` tokens, for work that must not stop half-way. A full bucket is always enough.
    ///
    /// # Errors
    /// The moment at which there will be so many, when there are fewer now.
    pub fn ready(&self, count: u32, now: Time) -> Result<(), Time> {
        let room = self.interval * (self.burst - count.min(self.burst));
        if self.full_at > now + room { Err(self.full_at - room) } else { Ok(()) }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The moment at which there will be one, when there is none now.
    pub fn take(&mut self, now: Time) -> Result<(), Time> {
        let depth = self.interval * self.burst;
        let full_at = self.full_at.max(now) + self.interval;
        if full_at.since(now) > depth {
            return Err(full_at - depth);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_requests_take_as_long_as_the_rate_allows() {
        let mut bucket = TokenBucket::new(20, 30);
        let start = Time::DEFAULT_START;
        let mut now = start;
        for _ in 0..200 {
            while let Err(later) = bucket.take(now) {
                assert!(later > now, "time must move on");
                now = later;
            }
        }
        assert_eq!(now.since(start), Duration::from_millis(8_500), "200 requests less 30 at once, 50 ms each");
    }

    #[test]
    fn several_tokens_are_waited_for_without_taking_any() {
        let mut bucket = TokenBucket::new(20, 30);
        let start = Time::DEFAULT_START;
        assert_eq!(bucket.ready(99, start), Ok(()), "a full bucket is enough for everything");
        for _ in 0..29 {
            assert_eq!(bucket.take(start), Ok(()));
        }
        assert_eq!(bucket.ready(1, start), Ok(()));
        let later = start + Duration::from_millis(100);
        assert_eq!(bucket.ready(3, start), Err(later));
        assert_eq!(bucket.ready(3, later), Ok(()));
    }
}
