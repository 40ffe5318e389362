//! The page's terminal: a shell beside the cluster, with kubectl on its path.
//!
//! It is a client of the session like any other. What it writes stands in the session's log as requests, so a session
//! is played again without it; what it waits for comes as simulated time passes.

mod complete;
mod machine;
mod programs;
mod requests;
mod why;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::kubectl;
use crate::machinery::random::Random;
use crate::machinery::shell::files::FileTree;
use crate::machinery::shell::{Pid, Poll, ProcessTable, Signal, Spawn, Stream};
use crate::machinery::time::Time;
use crate::session::{File, Session};

use machine::Machine;
pub use programs::is_for_kubectl;
use requests::Asker;
pub use requests::PortAnswer;

/// Where the files of the editor are.
const HOME: &str = "/home/you";
/// Where programs leave notes for the page.
const NOTES: &str = kubectl::NOTES;
/// How much of a line is done before the cluster and the page have their turn.
const BUDGET: u32 = 50_000;
/// How much is shown of what was written between two frames, in bytes. Somebody who reads has lost the thread by then.
const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// How long a line may be, in bytes: as much as a session takes at once.
const LINE_BYTES_MAX: usize = 1 << 20;
/// How large a file may be that becomes a tab of the editor, in bytes.
const FILE_BYTES_MAX: usize = 256 << 10;
/// How many files may become tabs of the editor.
const FILES_MAX: usize = 64;

/// What the page tells the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TerminalInput {
    /// Somebody looks at it; these are the editor's files.
    Open(Vec<File>),
    /// A line was typed, or several were pasted; these are the editor's files.
    Line {
        /// The text, without its end.
        text: String,
        /// The files.
        files: Vec<File>,
    },
    /// A file that a program waits for was saved; these are the editor's files.
    Save {
        /// The file.
        name: String,
        /// The files.
        files: Vec<File>,
    },
    /// A file that was asked for, or nothing when it cannot be had.
    Fetched {
        /// Its path on the terminal's machine.
        path: String,
        /// Its text.
        text: String,
    },
    /// Somebody looks at a path behind a port of the terminal's machine.
    Request {
        /// The port.
        port: u16,
        /// The path.
        path: String,
    },
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    EndOfInput,
    /// Tab: how can this line go on?
    Complete {
        /// The line up to the cursor.
        line: String,
        /// The editor's files.
        files: Vec<File>,
    },
}

/// A piece of what a command wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Whether it was written to standard error.
    pub error: bool,
    /// The text; control characters of terminals may stand in it.
    pub text: String,
}

/// What the terminal tells the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalOutput {
    /// What was written.
    pub pieces: Vec<Piece>,
    /// Files that commands wrote, for the editor.
    pub files: Vec<File>,
    /// Files that commands removed.
    pub removed: Vec<String>,
    /// A file that is to be shown in the editor.
    pub open: Option<String>,
    /// A file of the terminal's machine that has to be fetched.
    pub wanted: Option<String>,
    /// The ports behind which programs of the terminal answer.
    pub ports: Vec<u16>,
    /// What was answered at a port that somebody looked at.
    pub answer: Option<PortAnswer>,
    /// Whether a command is at work, so that what is typed is for it.
    pub busy: bool,
    /// Whether the last command failed.
    pub failed: bool,
}

/// How a line can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The line that was asked about.
    pub line: String,
    /// The line as far as it is certain.
    pub completed: String,
    /// The words that are possible, if there are several.
    pub choices: Vec<String>,
}

/// A shell with its files.
#[derive(Debug)]
pub struct Terminal {
    table: ProcessTable,
    shell: Option<Pid>,
    root: FileTree,
    random: Random,
    /// The files as the page has them.
    shown: BTreeMap<String, String>,
    /// Requests that are under way, with their numbers in the cluster.
    requests: Vec<(Asker, u64)>,
    /// What was answered to the page.
    answered: Option<PortAnswer>,
    /// What the terminal itself has to say.
    said: Vec<Piece>,
    /// The ports that the page was told of last.
    ports: Vec<u16>,
    /// When a command that waits is to be looked at again.
    wake: Option<Time>,
    /// Whether there is more to do at once.
    running: bool,
    /// Whether a command was at work, and whether the last had failed, when the page was told last.
    busy: bool,
    failed: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            table: ProcessTable::new(100),
            shell: None,
            root: FileTree::new(),
            random: Random::new(1),
            shown: BTreeMap::new(),
            requests: Vec::new(),
            answered: None,
            said: Vec::new(),
            ports: Vec::new(),
            wake: None,
            running: false,
            busy: false,
            failed: false,
        }
    }
}

impl Terminal {
    /// Hears what the page says. What comes of it is told by [`Self::take_output`].
    pub fn hear(&mut self, input: TerminalInput, session: &mut Session) {
        match input {
            TerminalInput::Open(files) => self.put_files(&files, session.now()),
            TerminalInput::Line { text, files } => {
                self.put_files(&files, session.now());
                self.start(session);
                self.type_line(&text);
            }
            TerminalInput::Save { name, files } => {
                self.put_files(&files, session.now());
                self.root.put(&format!("{NOTES}/{}", programs::SAVED), name.as_bytes(), 0o644, session.now());
                self.table.touch_files();
            }
            TerminalInput::Fetched { path, text } => self.root.put(&path, text.as_bytes(), 0o644, session.now()),
            TerminalInput::Request { port, path } => self.look(session, port, &path),
            TerminalInput::Interrupt => {
                if let Some(shell) = self.shell {
                    self.table.interrupt(shell);
                }
            }
            TerminalInput::EndOfInput if self.is_at_work() => {
                if let Some(shell) = self.shell {
                    self.table.close_input(shell);
                }
            }
            // Who leaves the shell itself gets a new one, so there is nothing to be done.
            TerminalInput::EndOfInput | TerminalInput::Complete { .. } => {}
        }
        self.start(session);
        self.step(session);
    }

    /// How a line can go on.
    pub fn complete(&mut self, line: &str, files: &[File], session: &mut Session) -> Completion {
        self.put_files(files, session.now());
        let directory = self.shell.and_then(|shell| self.table.directory(shell)).unwrap_or(HOME).to_owned();
        let aliases = self.shell.map(|shell| self.table.aliases(shell)).unwrap_or_default();
        let line = complete::Line { text: line, directory: &directory, aliases: &aliases };
        complete::complete(&line, &self.root, &machine::namespace(&self.root), session)
    }

    fn type_line(&mut self, text: &str) {
        let Some(shell) = self.shell else { return };
        if text.len() > LINE_BYTES_MAX {
            // Half of a paste is worse than none.
            self.said.push(Piece {
                error: true,
                text: format!("\n(more was pasted than is taken at once: {} KiB)\n", LINE_BYTES_MAX >> 10),
            });
            self.table.feed(shell, b"\n");
            return;
        }
        self.table.feed(shell, text.as_bytes());
        self.table.feed(shell, b"\n");
    }

    /// Starts the shell when there is none, or when it was left.
    fn start(&mut self, session: &mut Session) {
        if self.shell.is_some_and(|shell| self.table.is_alive(shell)) {
            return;
        }
        if let Some(shell) = self.shell.take() {
            self.table.forget(shell);
        }
        let environment = [("HOME", HOME), ("PATH", "/usr/bin:/bin"), ("USER", "you"), ("PS1", "$ "), ("TERM", "dumb")];
        let spawn = Spawn {
            argv: vec!["bash".to_owned()],
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            directory: HOME.to_owned(),
            stdin: true,
            terminal: true,
        };
        self.root.put_directories(HOME, session.now());
        self.root.put_directories(NOTES, session.now());
        self.root.put_directories("/tmp", session.now());
        let mut machine = Machine { session, root: &mut self.root, random: &mut self.random };
        // The table is empty, and there is a shell.
        self.shell = self.table.spawn(spawn, &mut machine).ok();
    }

    /// Whether a command is at work, rather than that the shell waits for one.
    fn is_at_work(&self) -> bool {
        self.shell.is_some_and(|shell| !self.table.waits_for_a_line(shell))
    }

    /// When a command that waits is to be looked at again.
    #[must_use]
    pub const fn wake(&self) -> Option<Time> {
        self.wake
    }

    /// Whether there is something to do without time passing.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Goes on as far as it can at this moment, or for its share of the work.
    pub fn step(&mut self, session: &mut Session) {
        if self.shell.is_none() {
            return;
        }
        let mut machine = Machine { session, root: &mut self.root, random: &mut self.random };
        let poll = self.table.step(&mut machine, BUDGET);
        let now = machine.session.now();
        for (id, request) in self.table.take_requests() {
            self.send(session, Asker::Program(id), &request);
        }
        self.take_answers(session);
        (self.running, self.wake) = match poll {
            Poll::Running => (true, None),
            Poll::Waiting(wake) => (false, wake.map(|wake| wake.max(now))),
        };
        if !self.requests.is_empty() {
            // An answer comes with an event of the cluster.
            let next = session.cluster().next_step_at();
            self.wake = self.wake.into_iter().chain(next).min();
        }
        // What was answered goes on with the next step.
        self.running |= self.table.has_answers();
        self.start(session);
    }

    /// Ends what is at work: the clock was turned back, or another session was opened.
    pub fn stop(&mut self, session: &mut Session) {
        let Some(shell) = self.shell.filter(|_| self.is_at_work()) else { return };
        self.table.signal_descendants(shell, Signal::Kill);
        self.table.signal(shell, Signal::Interrupt);
        self.step(session);
    }

    /// What there is to tell the page; nothing when nothing happened.
    pub fn take_output(&mut self) -> Option<TerminalOutput> {
        let shell = self.shell?;
        let (busy, failed) = (self.is_at_work(), self.table.last_status(shell) != 0);
        let mut output = TerminalOutput { busy, failed, ..TerminalOutput::default() };
        output.pieces.append(&mut self.said);
        let mut bytes = 0;
        for piece in self.table.take_output(shell) {
            let error = piece.stream == Stream::Error;
            let text = String::from_utf8_lossy(&piece.bytes).into_owned();
            bytes += text.len();
            if bytes > OUTPUT_BYTES_MAX {
                output.pieces.push(Piece { error: true, text: "\n(more was written than can be shown)\n".to_owned() });
                break;
            }
            match output.pieces.last_mut().filter(|last| last.error == error) {
                Some(last) => last.text.push_str(&text),
                None => output.pieces.push(Piece { error, text }),
            }
        }
        self.tell_files(&mut output);
        output.ports = self.table.ports().into_iter().collect();
        output.answer = self.answered.take();
        let (busy, failed, ports) = (self.busy, self.failed, self.ports.clone());
        let silent = TerminalOutput { busy, failed, ports, ..TerminalOutput::default() };
        (self.busy, self.failed) = (output.busy, output.failed);
        self.ports.clone_from(&output.ports);
        (output != silent).then_some(output)
    }

    /// Takes over the editor's files.
    fn put_files(&mut self, files: &[File], now: Time) {
        self.table.touch_files();
        let gone: Vec<String> =
            self.shown.keys().filter(|name| !files.iter().any(|file| file.name == **name)).cloned().collect();
        for name in gone {
            machine::remove(&mut self.root, &path_of(&name), now);
            self.shown.remove(&name);
        }
        for file in files.iter().filter(|file| is_name(&file.name)) {
            if self.shown.get(&file.name) != Some(&file.text) {
                self.root.put(&path_of(&file.name), file.text.as_bytes(), 0o644, now);
                self.shown.insert(file.name.clone(), file.text.clone());
            }
        }
    }

    /// Tells what became of the files, and what programs want of the page.
    fn tell_files(&mut self, output: &mut TerminalOutput) {
        let names = self.root.names(HOME);
        for name in names.iter().filter(|name| is_name(name)).take(FILES_MAX) {
            let Some(bytes) = self.root.get(&path_of(name)).and_then(|entry| entry.bytes().cloned()) else { continue };
            let known = self.shown.get(name);
            if bytes.len() > FILE_BYTES_MAX || known.is_some_and(|known| known.as_bytes() == bytes.as_slice()) {
                continue;
            }
            if let Ok(text) = String::from_utf8(bytes.to_vec()) {
                self.shown.insert(name.clone(), text.clone());
                output.files.push(File { name: name.clone(), text });
            }
        }
        output.removed = self.shown.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in &output.removed {
            self.shown.remove(name);
        }
        output.open = machine::take_note(&mut self.root, programs::OPEN);
        output.wanted = machine::take_note(&mut self.root, kubectl::WANTED);
    }
}

/// Whether a file of this name is one of the editor's: no folder, and not hidden.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains('/')
}

fn path_of(name: &str) -> String {
    format!("{HOME}/{name}")
}

#[cfg(test)]
pub(in crate::view) mod tests;
