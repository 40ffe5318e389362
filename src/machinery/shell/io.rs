//! Descriptors, pipes, and what a program reads and writes through.

use std::collections::BTreeMap;

use super::files::{FileError, FileSystem, WriteAt, normalise};
use super::host::{Host, NetworkAnswer, Signal};
use super::shell::Variables;
use super::table::{Pid, ProcessTable};
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

/// How many bytes a pipe holds before its writers wait.
pub(super) const PIPE_BYTES_MAX: usize = 64 << 10;

/// Where a descriptor leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// `/dev/null`.
    Null,
    /// `/dev/zero`.
    Zero,
    /// `/dev/urandom`.
    Random,
    /// `/dev/full`.
    Full,
    /// The standard input of a root process.
    Input(Pid),
    /// The standard output or error of a root process.
    Output(Pid, Stream),
    /// The reading end of a pipe.
    PipeRead(u32),
    /// The writing end of a pipe.
    PipeWrite(u32),
    /// What `$(…)` gathers.
    Capture(u32),
    /// An open file; its place in the file is shared by copies of the descriptor.
    File(u32),
}

/// The two outputs of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Error,
}

/// A piece of what a root process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// When.
    pub time: Time,
    /// Where to.
    pub stream: Stream,
    /// What.
    pub bytes: Vec<u8>,
}

/// An open file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenFile {
    pub path: String,
    pub offset: u64,
    pub append: bool,
    pub readable: bool,
}

/// What came of reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Some bytes.
    Data(Vec<u8>),
    /// The end.
    End,
    /// Nothing yet.
    Pending,
}

/// What a process is besides its program: what a child inherits.
#[derive(Clone, Debug)]
pub struct ProcessState {
    /// Its number.
    pub pid: Pid,
    /// Its parent's number; 0 for none.
    pub parent: Pid,
    /// The process that the host started and that this one descends from.
    pub root: Pid,
    /// Name and arguments.
    pub argv: Vec<String>,
    /// Its descriptors.
    pub(super) descriptors: BTreeMap<u32, Descriptor>,
    /// The working directory.
    pub directory: String,
    /// Variables, exported or not.
    pub(super) variables: Variables,
    /// When it started.
    pub started: Time,
    /// Children, with the exit code of those that ended and were not waited for.
    pub(super) children: BTreeMap<Pid, Option<i32>>,
    /// Signals that it has not yet dealt with.
    pub(super) pending: Vec<Signal>,
    /// What the network answered to its last request.
    pub(super) answer: Option<NetworkAnswer>,
    /// The exit code of the command it ran last.
    pub(super) child_status: Option<i32>,
    /// Set when it wrote where nobody reads any more.
    pub(super) broken_pipe: bool,
    /// Set when something could not be written, which makes a utility fail.
    pub(super) write_failed: bool,
    /// Signals that it and its children ignore.
    pub(super) ignored: Vec<Signal>,
}

/// A program's view of its own process and the host.
pub struct CommandIo<'a> {
    pub(super) table: &'a mut ProcessTable,
    /// The world around.
    pub host: &'a mut dyn Host,
    /// The process itself.
    pub process: &'a mut ProcessState,
    /// How much work is left to do before others have their turn.
    pub budget: u32,
}

impl CommandIo<'_> {
    /// The arguments without the name.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.process.argv.get(1..).unwrap_or_default().to_vec()
    }

    /// The name that it was called by, without a path.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.process.argv.first().map_or("", String::as_str);
        super::files::base_name(name).to_owned()
    }

    /// An environment variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        self.process.variables.get(name).filter(|held| held.exported).map(|held| held.value.clone())
    }

    /// The whole environment, in order.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let exported = self.process.variables.iter().filter(|(_, held)| held.exported);
        exported.map(|(name, held)| (name.clone(), held.value.clone())).collect()
    }

    /// The simulated time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.host.now()
    }

    /// An absolute path.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        normalise(path, &self.process.directory)
    }

    /// Works on the files.
    pub fn files<T>(&mut self, mut work: impl FnMut(&mut FileSystem<'_>) -> T) -> T {
        let mut result = None;
        self.host.with_files(&mut |files| result = Some(work(files)));
        result.expect("a host runs the work it is given")
    }

    /// Writes to standard output.
    pub fn out(&mut self, text: &str) {
        self.write(1, text.as_bytes());
    }

    /// Writes `name: text` and a line end to standard error.
    pub fn complain(&mut self, text: &str) {
        let line = format!("{}: {text}\n", self.name());
        self.write(2, line.as_bytes());
    }

    /// Writes to a descriptor. What cannot be written is lost; a broken pipe ends the process after this step.
    pub fn write(&mut self, descriptor: u32, bytes: &[u8]) {
        if let Err(error) = self.try_write(descriptor, bytes)
            && descriptor == 1
        {
            self.process.write_failed = true;
            self.complain(&format!("write error: {error}"));
        }
    }

    /// Writes to a descriptor.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn try_write(&mut self, descriptor: u32, bytes: &[u8]) -> Result<(), FileError> {
        self.budget = self.budget.saturating_sub(1 + (bytes.len() / 256) as u32);
        let Some(target) = self.process.descriptors.get(&descriptor).cloned() else {
            return Ok(());
        };
        match target {
            Descriptor::Output(root, stream) => self.table.root_output(root, stream, bytes, self.host.now()),
            Descriptor::PipeWrite(pipe) => self.process.broken_pipe |= !self.table.pipe_write(pipe, bytes),
            Descriptor::Capture(capture) => self.table.capture(capture, bytes),
            Descriptor::Full => return Err(FileError::NoSpace),
            Descriptor::File(open) => return self.write_file(open, bytes),
            _ => {}
        }
        Ok(())
    }

    fn write_file(&mut self, open: u32, bytes: &[u8]) -> Result<(), FileError> {
        let Some(file) = self.table.open_file(open).cloned() else {
            return Ok(());
        };
        let at = if file.append { WriteAt::End } else { WriteAt::Offset(file.offset) };
        self.files(|files| files.write(&file.path, bytes, at))?;
        if let Some(file) = self.table.open_file_mut(open) {
            file.offset += bytes.len() as u64;
        }
        self.table.files_changed = true;
        Ok(())
    }

    /// Whether a writer to this descriptor should wait for its reader.
    #[must_use]
    pub fn is_congested(&self, descriptor: u32) -> bool {
        match self.process.descriptors.get(&descriptor) {
            Some(Descriptor::PipeWrite(pipe)) => self.table.is_congested(*pipe),
            _ => false,
        }
    }

    /// The path of the file that a descriptor writes to, if it is one.
    #[must_use]
    pub fn file_path(&self, descriptor: u32) -> Option<String> {
        match self.process.descriptors.get(&descriptor) {
            Some(Descriptor::File(open)) => self.table.open_file(*open).map(|file| file.path.clone()),
            _ => None,
        }
    }

    /// Reads what is there, at most `most` bytes.
    pub fn read(&mut self, descriptor: u32, most: usize) -> Input {
        let Some(source) = self.process.descriptors.get(&descriptor).cloned() else {
            return Input::End;
        };
        let input = match source {
            Descriptor::Zero => Input::Data(vec![0; most.min(4096)]),
            Descriptor::Random => {
                let words = most.clamp(1, 4096).div_ceil(8);
                let bytes: Vec<u8> = (0..words).flat_map(|_| self.host.random().to_le_bytes()).collect();
                Input::Data(bytes[..most.min(4096)].to_vec())
            }
            Descriptor::Input(root) => self.table.root_input(root, most),
            Descriptor::PipeRead(pipe) => self.table.pipe_read(pipe, most),
            Descriptor::File(open) => self.read_file(open, most),
            _ => Input::End,
        };
        if let Input::Data(bytes) = &input {
            self.budget = self.budget.saturating_sub(1 + (bytes.len() / 256) as u32);
        }
        input
    }

    fn read_file(&mut self, open: u32, most: usize) -> Input {
        let Some(file) = self.table.open_file(open).cloned().filter(|file| file.readable) else {
            return Input::End;
        };
        let Ok(bytes) = self.files(|files| files.read(&file.path)) else {
            return Input::End;
        };
        let start = usize::try_from(file.offset).unwrap_or(usize::MAX).min(bytes.len());
        let data = bytes[start..(start + most).min(bytes.len())].to_vec();
        if data.is_empty() {
            return Input::End;
        }
        if let Some(file) = self.table.open_file_mut(open) {
            file.offset += data.len() as u64;
        }
        Input::Data(data)
    }

    /// Puts bytes back that were read too far, as `read` and `head` leave the rest to others.
    pub fn unread(&mut self, descriptor: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.process.descriptors.get(&descriptor).cloned() {
            Some(Descriptor::Input(root)) => self.table.root_unread(root, bytes),
            Some(Descriptor::PipeRead(pipe)) => self.table.pipe_unread(pipe, bytes),
            Some(Descriptor::File(open)) => {
                if let Some(file) = self.table.open_file_mut(open) {
                    file.offset -= bytes.len() as u64;
                }
            }
            _ => {}
        }
    }

    /// Whether a descriptor is a terminal.
    #[must_use]
    pub fn is_terminal(&self, descriptor: u32) -> bool {
        match self.process.descriptors.get(&descriptor) {
            Some(Descriptor::Input(root) | Descriptor::Output(root, _)) => self.table.has_terminal(*root),
            _ => false,
        }
    }

    /// What the network answered to the request that this program waited for; nothing when time ran out.
    pub fn take_answer(&mut self) -> Option<NetworkAnswer> {
        self.process.answer.take()
    }

    /// The exit code of the command that this program ran; nothing when time ran out before it ended.
    pub fn take_status(&mut self) -> Option<i32> {
        if let Some(code) = self.process.child_status.take() {
            return Some(code);
        }
        let ended = self.process.children.iter().find_map(|(pid, code)| code.map(|code| (*pid, code)));
        ended.map(|(pid, code)| {
            self.process.children.remove(&pid);
            code
        })
    }

    /// The processes, for `ps` and its like: number, parent, name with arguments, start.
    #[must_use]
    pub fn processes(&self) -> Vec<(Pid, Pid, String, Time)> {
        let first = self.host.first_process();
        let mut rows = self.table.list(self.process);
        if first > 0 {
            rows.iter_mut().for_each(|row| (row.0, row.1) = (row.0 + first, row.1 + first));
            rows.extend(self.host.other_processes());
            rows.order();
        }
        rows
    }

    /// Sends a signal, or only asks whether one could be sent; whether there is such a process.
    pub fn kill(&mut self, pid: Pid, signal: Option<Signal>) -> bool {
        let first = self.host.first_process();
        let own =
            pid.checked_sub(first).filter(|own| first == 0 || *own == self.process.pid || self.table.is_alive(*own));
        let pid = match own {
            Some(own) => own,
            None if self.host.signal_other(pid, signal) => return true,
            // What the shell itself has begun it knows by the container's own numbers.
            None => pid,
        };
        if pid == self.process.pid {
            self.process.pending.extend(signal);
            return true;
        }
        if let Some(signal) = signal {
            self.table.signal_from_inside(pid, signal);
        }
        self.table.is_alive(pid)
    }

    /// Ends the children of this process, as `timeout` does.
    pub fn kill_children(&mut self, signal: Signal) {
        let running: Vec<Pid> =
            self.process.children.iter().filter(|(_, code)| code.is_none()).map(|(pid, _)| *pid).collect();
        for pid in running {
            self.table.signal_from_inside(pid, signal);
        }
    }

    /// Whether anything answers on a port of this machine's own addresses: other processes of this table.
    #[must_use]
    pub fn port_in_use(&self, port: u16) -> bool {
        self.table.claims_port(port) || self.host.port_in_use(port)
    }
}
