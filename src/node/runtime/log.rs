//! What containers write: lines with times, bounded as a runtime bounds its log files.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::machinery::shell::{Output, Stream};
use crate::machinery::time::Time;

/// How many lines of a container are kept.
pub const LINES_MAX: usize = 1000;
/// How many bytes of a container's lines are kept. A real node keeps some 10 MiB in files; here all of it is memory.
const BYTES_MAX: usize = 64 << 10;
/// How long a line may be before it is cut in pieces, in bytes: the runtime's own limit.
const LINE_BYTES_MAX: usize = 16 << 10;
/// What a real node keeps of a log on its disk: `containerLogMaxFiles` files of `containerLogMaxSize`.
const DISK_BYTES_MAX: u64 = 5 * (10 << 20);
/// What the runtime writes before a line: its time, stream and tag.
const LINE_HEAD_BYTES: u64 = 40;

/// A line that a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was complete.
    pub time: Time,
    /// Standard output or standard error.
    pub stream: Stream,
    /// The text without its end.
    pub text: Arc<str>,
}

/// Which lines are wanted: the options of `kubectl logs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The last so many lines.
    pub tail: Option<usize>,
    /// Lines at or after this time.
    pub since: Option<Time>,
}

/// A container's log.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    lines: VecDeque<LogLine>,
    /// How many lines were written in all, kept or not.
    written: u64,
    /// How many bytes the kept lines have.
    bytes: usize,
    /// How many bytes were written in all.
    bytes_written: u64,
    /// What has been written of the current line of each stream.
    open: [Vec<u8>; 2],
}

impl Log {
    pub(super) fn write(&mut self, output: &Output) {
        let mut rest = output.bytes.as_slice();
        while !rest.is_empty() {
            let open = &mut self.open[output.stream as usize];
            let room = LINE_BYTES_MAX.saturating_sub(open.len()).max(1);
            let end = rest.iter().take(room).position(|byte| *byte == b'\n');
            open.extend_from_slice(&rest[..end.unwrap_or(rest.len().min(room))]);
            rest = &rest[end.map_or(rest.len().min(room), |end| end + 1)..];
            if end.is_some() || open.len() >= LINE_BYTES_MAX {
                let bytes = std::mem::take(open);
                self.push(output.time, output.stream, &bytes);
            }
        }
    }

    /// What stands without a line end when its writer ended becomes a line.
    pub(super) fn close(&mut self, time: Time) {
        for stream in [Stream::Out, Stream::Error] {
            let bytes = std::mem::take(&mut self.open[stream as usize]);
            if !bytes.is_empty() {
                self.push(time, stream, &bytes);
            }
        }
    }

    fn push(&mut self, time: Time, stream: Stream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        self.bytes += text.len();
        self.bytes_written = self.bytes_written.saturating_add(text.len() as u64 + LINE_HEAD_BYTES);
        self.lines.push_back(LogLine { time, stream, text: text.into() });
        self.written += 1;
        while self.lines.len() > LINES_MAX || (self.bytes > BYTES_MAX && self.lines.len() > 1) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.text.len());
        }
    }

    /// What the log takes of the node's disk, where older files of it are removed.
    pub(super) fn size(&self) -> u64 {
        self.bytes_written.min(DISK_BYTES_MAX)
    }

    pub(super) fn lines(&self, options: LogOptions) -> Vec<LogLine> {
        let wanted = |line: &&LogLine| options.since.is_none_or(|since| line.time >= since);
        let lines: Vec<LogLine> = self.lines.iter().filter(wanted).cloned().collect();
        let skip = options.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        lines[skip..].to_vec()
    }

    /// Lines after the first `seen` that were ever written, and how many there are now: for following a log.
    pub(super) fn after(&self, seen: u64) -> (Vec<LogLine>, u64) {
        let dropped = self.written - self.lines.len() as u64;
        let skip = usize::try_from(seen.saturating_sub(dropped)).unwrap_or(usize::MAX);
        (self.lines.iter().skip(skip).cloned().collect(), self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_joined() {
        let mut log = Log::default();
        let output = |stream, text: &str| Output { time: Time::default(), stream, bytes: text.as_bytes().to_vec() };
        log.write(&output(Stream::Out, "one\ntw"));
        log.write(&output(Stream::Error, "err\n"));
        log.write(&output(Stream::Out, "o\nthree"));
        log.close(Time::default());
        let texts: Vec<String> = log.lines(LogOptions::default()).iter().map(|line| line.text.to_string()).collect();
        assert_eq!(texts, ["one", "err", "two", "three"]);
        assert_eq!(log.lines(LogOptions { tail: Some(1), since: None })[0].text.as_ref(), "three");
        for _ in 0..LINES_MAX {
            log.write(&output(Stream::Out, "x\n"));
        }
        assert_eq!(log.lines(LogOptions::default()).len(), LINES_MAX);
        let (after, seen) = log.after(1003);
        assert_eq!((after.len(), seen), (1, 1004));
        log.write(&output(Stream::Out, &"y".repeat(LINE_BYTES_MAX + 1)));
        assert_eq!(log.after(seen).0.len(), 1);
        for _ in 0..8 {
            log.write(&output(Stream::Out, &format!("{}\n", "z".repeat(LINE_BYTES_MAX - 1))));
        }
        assert_eq!(log.lines(LogOptions::default()).len(), 4, "long lines push the older ones out sooner");
    }
}
