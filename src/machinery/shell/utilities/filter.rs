//! What utilities that read lines have in common: they read their files or standard input, wait for more, and stop when
//! nobody reads what they write.

use std::fmt;

use super::super::host::{CommandPoll, CommandRun};
use super::super::io::{CommandIo, Input};

/// How much a utility that needs its whole input may hold, in bytes.
const GATHER_BYTES_MAX: usize = 4 << 20;

/// What a filter does with lines.
pub(super) trait Lines: fmt::Debug + Send + Sync {
    /// Once, before the first line; an exit code if there is nothing to do.
    fn begin(&mut self, _io: &mut CommandIo<'_>) -> Option<i32> {
        None
    }
    /// The files to read, where directories may stand for what is in them.
    fn names(&self, names: Vec<String>, _io: &mut CommandIo<'_>) -> Vec<String> {
        names
    }
    /// A line without its end; `ended` tells whether there was one. Whether more lines are wanted.
    fn line(&mut self, line: &[u8], ended: bool, io: &mut CommandIo<'_>) -> bool;
    /// A file begins: its name, and how many there are.
    fn file(&mut self, _name: &str, _count: usize, _io: &mut CommandIo<'_>) {}
    /// A file ended.
    fn file_end(&mut self, _name: &str, _io: &mut CommandIo<'_>) {}
    /// The end; `failed` tells whether a file could not be read.
    fn end(&mut self, _io: &mut CommandIo<'_>, failed: bool) -> i32 {
        i32::from(failed)
    }
    /// The message for a file that cannot be read.
    fn problem(&self, name: &str, error: &str) -> String {
        format!("can't open '{name}': {error}")
    }
    /// A copy.
    fn copy(&self) -> Box<dyn Lines>;
}

/// A utility that reads lines.
#[derive(Debug)]
pub(super) struct Filter {
    work: Box<dyn Lines>,
    names: Vec<String>,
    at: usize,
    /// What was read and not yet given to `work`.
    buffer: Vec<u8>,
    from: usize,
    begun: bool,
    in_file: bool,
    /// Whether the input of the current file has ended.
    ended: bool,
    failed: bool,
}

impl Clone for Filter {
    fn clone(&self) -> Self {
        Self { work: self.work.copy(), names: self.names.clone(), buffer: self.buffer.clone(), ..*self }
    }
}

impl Filter {
    /// A filter of these files, or of standard input if there are none.
    pub(super) fn run(work: Box<dyn Lines>, names: Vec<String>) -> Box<dyn CommandRun> {
        let names = if names.is_empty() { vec!["-".to_owned()] } else { names };
        Box::new(Self {
            work,
            names,
            at: 0,
            buffer: Vec::new(),
            from: 0,
            begun: false,
            in_file: false,
            ended: false,
            failed: false,
        })
    }

    /// Opens the next file; nothing when it is to be read from standard input.
    fn open(&mut self, io: &mut CommandIo<'_>) {
        let name = self.names[self.at].clone();
        (self.in_file, self.ended) = (true, false);
        self.buffer.clear();
        self.from = 0;
        if is_stdin(&name) {
            self.work.file(&name, self.names.len(), io);
            return;
        }
        self.ended = true;
        match read_named(io, &name) {
            Ok(bytes) => {
                self.buffer = bytes;
                self.work.file(&name, self.names.len(), io);
            }
            Err(error) => {
                let problem = self.work.problem(&name, &error);
                io.complain(&problem);
                self.failed = true;
                self.in_file = false;
                self.at += 1;
            }
        }
    }

    /// Gives lines to `work`; whether more are wanted.
    fn give(&mut self, io: &mut CommandIo<'_>) -> bool {
        while self.from < self.buffer.len() && io.budget > 0 && !io.process.broken_pipe {
            let rest = &self.buffer[self.from..];
            let (line, ended, taken) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&rest[..end], true, end + 1),
                None if self.ended => (rest, false, rest.len()),
                None => break,
            };
            let more = self.work.line(line, ended, io);
            self.from += taken;
            io.budget = io.budget.saturating_sub(1);
            if !more {
                return false;
            }
        }
        if self.from == self.buffer.len() {
            self.buffer.clear();
            self.from = 0;
        }
        true
    }
}

impl CommandRun for Filter {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        if !self.begun {
            self.begun = true;
            if let Some(code) = self.work.begin(io) {
                return CommandPoll::Exited(code);
            }
            self.names = self.work.names(std::mem::take(&mut self.names), io);
        }
        loop {
            if io.is_congested(1) {
                return CommandPoll::Writable(1);
            }
            if io.budget == 0 || io.process.broken_pipe {
                return CommandPoll::Again;
            }
            if self.at >= self.names.len() {
                return CommandPoll::Exited(self.work.end(io, self.failed));
            }
            if !self.in_file {
                self.open(io);
                continue;
            }
            if !self.give(io) {
                let rest = self.buffer.split_off(self.from.min(self.buffer.len()));
                if !self.ended {
                    io.unread(0, &rest);
                }
                return CommandPoll::Exited(self.work.end(io, self.failed));
            }
            if self.ended && self.buffer.is_empty() {
                let name = self.names[self.at].clone();
                self.work.file_end(&name, io);
                self.in_file = false;
                self.at += 1;
                continue;
            }
            if self.ended || io.budget == 0 {
                continue;
            }
            match io.read(0, 16 << 10) {
                Input::Data(bytes) => {
                    self.buffer.drain(..self.from);
                    self.from = 0;
                    self.buffer.extend_from_slice(&bytes);
                    // A line without an end is given as it is, before it fills all memory.
                    if self.buffer.len() > GATHER_BYTES_MAX {
                        self.buffer.push(b'\n');
                    }
                }
                Input::End => self.ended = true,
                Input::Pending => return CommandPoll::Readable(0),
            }
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// Whether a file's name means standard input.
pub(super) fn is_stdin(name: &str) -> bool {
    matches!(name, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
}

/// The bytes of a file by its name on the command line.
pub(super) fn read_named(io: &mut CommandIo<'_>, name: &str) -> Result<Vec<u8>, String> {
    let path = io.path(name);
    match path.as_str() {
        "/dev/null" => return Ok(Vec::new()),
        "/dev/zero" | "/dev/urandom" | "/dev/random" => return Ok(vec![0; 1 << 20]),
        _ => {}
    }
    let bytes = io.files(|files| files.read(&path)).map_err(|error| error.to_string())?;
    Ok(bytes.to_vec())
}

/// A utility that needs its whole input before it can say anything.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    names: Vec<String>,
    input: Vec<u8>,
    arguments: Vec<String>,
    work: fn(&mut CommandIo<'_>, &[String], Vec<u8>) -> i32,
    failed: bool,
}

impl Gather {
    /// Gathers these files, or standard input, and gives them to `work`.
    pub(super) fn run(
        names: Vec<String>,
        arguments: &[String],
        work: fn(&mut CommandIo<'_>, &[String], Vec<u8>) -> i32,
    ) -> Box<dyn CommandRun> {
        let mut names = if names.is_empty() { vec!["-".to_owned()] } else { names };
        names.reverse();
        Box::new(Self { names, input: Vec::new(), arguments: arguments.to_vec(), work, failed: false })
    }
}

impl CommandRun for Gather {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        while let Some(name) = self.names.last().cloned() {
            if io.budget == 0 {
                return CommandPoll::Again;
            }
            if !is_stdin(&name) {
                match read_named(io, &name) {
                    Ok(bytes) => self.input.extend_from_slice(&bytes),
                    Err(error) => {
                        io.complain(&format!("{name}: {error}"));
                        self.failed = true;
                    }
                }
                self.names.pop();
                continue;
            }
            match io.read(0, 16 << 10) {
                Input::Data(bytes) if self.input.len() < GATHER_BYTES_MAX => self.input.extend_from_slice(&bytes),
                // More than fits: as on a machine without memory.
                Input::Data(_) => return CommandPoll::Exited(137),
                Input::End => drop(self.names.pop()),
                Input::Pending => return CommandPoll::Readable(0),
            }
        }
        if io.is_congested(1) {
            return CommandPoll::Writable(1);
        }
        let code = (self.work)(io, &self.arguments.clone(), std::mem::take(&mut self.input));
        CommandPoll::Exited(if self.failed { 2.max(code) } else { code })
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }

    fn memory(&self, _now: crate::machinery::time::Time) -> u64 {
        (512 << 10) + self.input.len() as u64
    }
}
