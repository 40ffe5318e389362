//! A number that two clusters share when they are in the same state, natively and in WebAssembly.

/// FNV-1a with 64 bits: simple, the same everywhere, and enough to tell states apart that nobody forges.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateHasher(u64);

impl StateHasher {
    pub(super) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    pub(super) const fn finish(self) -> u64 {
        self.0
    }
}
