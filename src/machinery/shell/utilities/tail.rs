//! `tail`, with `-f` and `-F`.

use super::super::host::{CommandPoll, CommandRun};
use super::super::io::{CommandIo, Input};
use super::Arguments;
use super::filter::is_stdin;
use crate::machinery::time::Time;

/// How fast `tail /dev/zero` fills memory, in bytes a second.
const ZERO_BYTES_A_SECOND: u64 = 400 << 20;

/// `-20` in place of `-n 20`, which old scripts write.
pub(super) fn modern(arguments: &[String]) -> Vec<String> {
    let is_count =
        |word: &str| word.len() > 1 && word.starts_with('-') && word[1..].bytes().all(|c| c.is_ascii_digit());
    let mut list = Vec::new();
    let mut after_option = false;
    for word in arguments {
        if is_count(word) && !after_option {
            list.extend(["-n".to_owned(), word[1..].to_owned()]);
        } else {
            list.push(word.clone());
        }
        after_option = matches!(word.as_str(), "-n" | "-c" | "-s");
    }
    list
}

#[derive(Clone, Debug)]
struct Tail {
    names: Vec<String>,
    count: u64,
    /// Counted from the start instead of the end.
    from_start: bool,
    bytes: bool,
    follow: bool,
    retry: bool,
    quiet: bool,
    /// How far each file has been written; nothing for one that is not there.
    offsets: Vec<Option<usize>>,
    started: bool,
    shown: Option<usize>,
    failed: bool,
    input: Vec<u8>,
    /// Since when memory fills up with what has no line end.
    endless: Option<Time>,
}

/// `tail`.
pub(super) fn tail(arguments: &[String]) -> Box<dyn CommandRun> {
    let parsed = Arguments::parse(&modern(arguments), "n c s lines bytes sleep-interval pid");
    let bytes = parsed.value("c bytes");
    let text = bytes.or_else(|| parsed.value("n lines")).unwrap_or("10").to_owned();
    let names = if parsed.rest.is_empty() { vec!["-".to_owned()] } else { parsed.rest.clone() };
    Box::new(Tail {
        count: text.trim_start_matches(['+', '-']).parse().unwrap_or(10),
        from_start: text.starts_with('+'),
        bytes: bytes.is_some(),
        follow: parsed.has("f F follow"),
        retry: parsed.has("F retry"),
        quiet: parsed.has("q"),
        offsets: vec![None; names.len()],
        names,
        started: false,
        shown: None,
        failed: false,
        input: Vec::new(),
        endless: None,
    })
}

impl Tail {
    /// Where the wanted end of `bytes` begins.
    fn start(&self, bytes: &[u8]) -> usize {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        if self.bytes {
            let skip = if self.from_start { count.saturating_sub(1) } else { bytes.len().saturating_sub(count) };
            return skip.min(bytes.len());
        }
        let mut starts = vec![0];
        starts.extend(bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1));
        if starts.last() == Some(&bytes.len()) {
            starts.pop();
        }
        let index = if self.from_start { count.saturating_sub(1) } else { starts.len().saturating_sub(count) };
        starts.get(index).copied().unwrap_or(bytes.len())
    }

    fn write(&mut self, index: usize, bytes: &[u8], io: &mut CommandIo<'_>) {
        if self.names.len() > 1 && !self.quiet && self.shown != Some(index) {
            let before = if self.shown.is_some() { "\n" } else { "" };
            io.out(&format!("{before}==> {} <==\n", self.names[index]));
            self.shown = Some(index);
        }
        io.write(1, bytes);
    }

    /// Writes what is new in the files.
    fn look(&mut self, io: &mut CommandIo<'_>) {
        for index in 0..self.names.len() {
            let name = self.names[index].clone();
            if is_stdin(&name) || name.starts_with("/dev/") {
                continue;
            }
            let path = io.path(&name);
            match (io.files(|files| files.read(&path)), self.offsets[index]) {
                (Ok(bytes), None) => {
                    let start = if self.started { 0 } else { self.start(&bytes) };
                    self.write(index, &bytes[start..], io);
                    self.offsets[index] = Some(bytes.len());
                }
                (Ok(bytes), Some(offset)) if bytes.len() > offset => {
                    self.write(index, &bytes[offset..], io);
                    self.offsets[index] = Some(bytes.len());
                }
                // A file that became shorter was written anew.
                (Ok(bytes), Some(offset)) if bytes.len() < offset => {
                    self.write(index, &bytes, io);
                    self.offsets[index] = Some(bytes.len());
                }
                (Ok(_), Some(_)) => {}
                (Err(error), held) => {
                    if !self.started || held.is_some() {
                        io.complain(&format!("can't open '{name}': {error}"));
                        self.failed = true;
                    }
                    self.offsets[index] = None;
                }
            }
        }
        self.started = true;
    }

    /// Reads the input up to its end, and keeps of it what may be printed. `None` at the end, otherwise what to wait for.
    fn read_input(&mut self, io: &mut CommandIo<'_>) -> Option<CommandPoll> {
        loop {
            match io.read(0, 16 << 10) {
                Input::Data(bytes) if self.endless.is_some() => drop(bytes),
                Input::Data(bytes) => {
                    self.input.extend_from_slice(&bytes);
                    if self.input.len() > 1 << 20 {
                        if self.input.contains(&b'\n') || self.bytes {
                            let start = self.start(&self.input);
                            self.input.drain(..start);
                        } else {
                            self.endless = Some(io.now());
                        }
                    }
                    if io.budget == 0 {
                        return Some(CommandPoll::Again);
                    }
                }
                Input::Pending => return Some(CommandPoll::Readable(0)),
                Input::End => return None,
            }
            if self.endless.is_some() {
                return Some(CommandPoll::Until(io.now() + std::time::Duration::from_millis(100)));
            }
        }
    }
}

impl CommandRun for Tail {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if self.names.iter().any(|name| name == "/dev/zero") {
            let since = *self.endless.get_or_insert(io.now());
            debug_assert!(since <= io.now());
            return CommandPoll::Until(io.now() + std::time::Duration::from_millis(100));
        }
        let from_input = self.names.iter().any(|name| is_stdin(name));
        if from_input && let Some(poll) = self.read_input(io) {
            return poll;
        }
        if from_input && !self.started {
            let bytes = std::mem::take(&mut self.input);
            let start = self.start(&bytes);
            io.write(1, &bytes[start..]);
        }
        self.look(io);
        let followed = self.retry || self.offsets.iter().any(Option::is_some);
        if self.follow && self.names.iter().any(|name| name == "/dev/null") {
            return CommandPoll::Forever;
        }
        if self.follow && followed {
            return CommandPoll::Files;
        }
        CommandPoll::Exited(i32::from(self.failed))
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn memory(&self, now: Time) -> u64 {
        let filled = self.endless.map_or(0, |since| {
            let millis = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
            millis.saturating_mul(ZERO_BYTES_A_SECOND) / 1000
        });
        (512 << 10) + self.input.len() as u64 + filled
    }

    fn processor(&self, _now: Time) -> u32 {
        if self.endless.is_some() { 1000 } else { 0 }
    }
}
