//! What a process wrote, kept for whoever reads along: bounded, and read without being taken, so that reading changes
//! nothing.

use std::collections::VecDeque;

use crate::machinery::shell::Output;

/// How many bytes are kept. Who reads more slowly than a process writes loses the oldest.
const BYTES_MAX: usize = 1 << 20;

/// The newest pieces of what a process wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    pieces: VecDeque<Output>,
    /// How many pieces there ever were.
    count: u64,
    bytes: usize,
}

impl Written {
    pub(super) fn push(&mut self, output: Output) {
        self.bytes += output.bytes.len();
        self.count += 1;
        self.pieces.push_back(output);
        while self.bytes > BYTES_MAX && self.pieces.len() > 1 {
            self.bytes -= self.pieces.pop_front().map_or(0, |piece| piece.bytes.len());
        }
    }

    /// The pieces that are kept.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Output> {
        self.pieces.iter()
    }

    /// The pieces after the first `seen`, and how many there are now.
    pub(super) fn after(&self, seen: u64) -> (Vec<Output>, u64) {
        let dropped = self.count - self.pieces.len() as u64;
        let skip = usize::try_from(seen.saturating_sub(dropped)).unwrap_or(usize::MAX);
        (self.pieces.iter().skip(skip).cloned().collect(), self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::shell::Stream;
    use crate::machinery::time::Time;

    #[test]
    fn the_oldest_goes_first_and_reading_changes_nothing() {
        let mut written = Written::default();
        let piece = |length| Output { time: Time::default(), stream: Stream::Out, bytes: vec![b'x'; length] };
        for length in [1, 2, 3] {
            written.push(piece(length));
        }
        for _ in 0..2 {
            let (pieces, seen) = written.after(1);
            assert_eq!((pieces, seen), (vec![piece(2), piece(3)], 3));
        }
        written.push(piece(BYTES_MAX));
        let (pieces, seen) = written.after(0);
        assert_eq!((pieces.len(), seen), (1, 4));
    }
}
