//! The one source of chance in a cluster: a seeded generator that is part of the cluster's value.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): eight bytes of state, so a cluster with its chance in it is cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
}

/// The letters of generated names: no vowels, so that no word appears by chance, and no 0, 1 or 3.
///
/// `k8s.io/apimachinery/pkg/util/rand`.
pub const SAFE_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

impl Random {
    /// A generator whose every answer follows from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// A duration from `base` up to `base` × (1 + `percent` / 100), as upstream's `wait.Jitter`.
    pub fn jitter(&mut self, base: Duration, percent: u32) -> Duration {
        let micros = u64::try_from(base.as_micros()).unwrap_or(u64::MAX);
        let spread = micros.saturating_mul(u64::from(percent)) / 100;
        Duration::from_micros(micros.saturating_add(self.below(spread + 1)))
    }

    /// `length` letters of the alphabet of generated names.
    pub fn suffix(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| {
                let index = self.below(SAFE_ALPHABET.len() as u64);
                char::from(SAFE_ALPHABET[index as usize])
            })
            .collect()
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.next_u64(), self.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 48 & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// The state itself, for the hash of a cluster.
    #[must_use]
    pub const fn state(&self) -> u64 {
        self.state
    }
}
