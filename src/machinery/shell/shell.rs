//! A shell's state: what a running script is when nobody steps it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::machinery::persistent::OrdMap;

use super::host::{Flavor, Signal, SignalAction};
use super::io::Descriptor;
use super::parser::Aliases;
use super::syntax::{Chain, Command, List};
use super::table::Pid;
use crate::machinery::time::Time;

/// Variables by name: a persistent map, so that a subshell and a failed expansion cost nothing to set apart.
pub(super) type Variables = OrdMap<String, Variable>;

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub value: String,
    pub exported: bool,
    pub read_only: bool,
}

impl Variable {
    pub(super) fn exported(value: String) -> Self {
        Self { value, exported: true, read_only: false }
    }
}

/// What `trap` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Exit,
    Signal(Signal),
}

/// What `set` switches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub all_export: bool,
    pub exit_on_error: bool,
    pub no_glob: bool,
    pub no_clobber: bool,
    pub no_execute: bool,
    pub no_unset: bool,
    pub pipe_fail: bool,
    pub trace: bool,
}

/// What a command substitution gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Substituted {
    pub text: String,
    pub status: i32,
}

/// Variables to put back, with what they held.
pub(super) type Saved = Vec<(String, Option<Variable>)>;

/// One level of what a shell is doing. What a level waits for is above it on the stack.
#[derive(Clone, Debug)]
pub(super) enum Frame {
    /// A text to parse and run.
    Script(Arc<str>),
    /// Commands that come from standard input.
    Reader { text: String, prompted: bool },
    /// The items of a list from `next` on.
    List { list: Arc<List>, next: usize },
    /// The pipelines of a chain from `next` on; the one before it was the last to run.
    Chain { chain: Arc<Chain>, next: usize },
    /// `!`.
    Negate,
    /// A command to run, with the substitutions of its words that have been made.
    Command { command: Arc<Command>, memo: Vec<Substituted> },
    /// A substitution that is being made.
    Substitute { pid: Pid, capture: u32 },
    /// A child that is waited for.
    Foreground { pid: Pid },
    /// The children of a pipeline.
    Pipeline { pids: Vec<Pid> },
    /// The descriptors as they were before redirections.
    Restore { descriptors: BTreeMap<u32, Descriptor> },
    /// `if`: the condition of a branch runs.
    If { command: Arc<Command>, branch: usize },
    /// `while` and `until`.
    Loop { command: Arc<Command>, in_condition: bool, status: i32 },
    /// `for`.
    For { command: Arc<Command>, items: Vec<String>, next: usize },
    /// `for ((…))`: the body ran, or none yet.
    Count { command: Arc<Command>, started: bool, memo: Vec<Substituted> },
    /// A function's call.
    Call { positional: Vec<String>, locals: Saved },
    /// Assignments that hold for one command only.
    Unassign { saved: Saved },
    /// A file that `.` reads.
    Source,
    /// A trap's action; `$?` is put back after it.
    Action { status: i32 },
    /// `wait`, for these or for all.
    WaitFor { pids: Option<Vec<Pid>> },
    /// `read`.
    Read { read: Box<Read> },
    /// The end, once the exit trap ran.
    Exit { code: i32 },
}

/// A `read` that is under way.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub names: Vec<String>,
    pub raw: bool,
    pub descriptor: u32,
    pub deadline: Option<Time>,
    /// Stop after this many characters.
    pub count: Option<usize>,
    pub delimiter: u8,
    pub text: Vec<u8>,
}

/// A shell.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub flavor: Flavor,
    /// `$0`.
    pub name: String,
    pub positional: Vec<String>,
    pub functions: OrdMap<String, Arc<Command>>,
    pub aliases: Aliases,
    /// `shopt -s expand_aliases`: bash without a terminal takes no notice of aliases by itself.
    pub takes_aliases: bool,
    pub traps: BTreeMap<Event, String>,
    pub options: Options,
    /// `$?`.
    pub status: i32,
    /// The commands that were typed, oldest first.
    pub history: Vec<String>,
    /// `$!`.
    pub background: Option<Pid>,
    /// `$$`; nothing in the shell that the table started, whose own number it is.
    pub main_pid: Option<Pid>,
    /// The status of the last substitution, which is that of an assignment alone.
    pub substituted: Option<i32>,
    pub frames: Vec<Frame>,
    /// Signals whose traps have yet to run.
    pub caught: Vec<Signal>,
    pub interactive: bool,
    /// Set when Ctrl-C is to stop what an interactive shell does.
    pub interrupted: bool,
    /// Whether the last command may take the shell's place, as there is nothing left to do after it.
    pub may_exec: bool,
    pub is_subshell: bool,
    pub line: u32,
    /// Whether the text is a script file, whose errors name lines.
    pub is_file: bool,
    /// `getopts`: the place within a cluster of letters.
    pub option_place: usize,
}

impl Shell {
    pub(super) fn new(flavor: Flavor, name: &str, frame: Frame) -> Self {
        Self {
            flavor,
            name: name.to_owned(),
            positional: Vec::new(),
            functions: OrdMap::new(),
            aliases: Aliases::new(),
            takes_aliases: flavor != Flavor::Bash,
            traps: BTreeMap::new(),
            options: Options::default(),
            status: 0,
            history: Vec::new(),
            background: None,
            main_pid: None,
            substituted: None,
            frames: vec![frame],
            caught: Vec::new(),
            interactive: false,
            interrupted: false,
            may_exec: false,
            is_subshell: false,
            line: 0,
            is_file: false,
            option_place: 0,
        }
    }

    /// A shell as its command line asks: `sh -c text`, `sh file` (read at the first step), `sh -i`, `sh`.
    pub(super) fn from_arguments(flavor: Flavor, argv: &[String]) -> Self {
        let name = argv.first().map_or("sh", String::as_str);
        let mut shell = Self::new(flavor, name, Frame::Reader { text: String::new(), prompted: false });
        let (mut command, mut at) = (false, 1);
        while let Some(letters) = argv.get(at).and_then(|text| text.strip_prefix(['-', '+'])) {
            let on = argv[at].starts_with('-');
            at += 1;
            if letters.is_empty() || letters == "-" {
                break;
            }
            if letters.starts_with('-') {
                continue;
            }
            for letter in letters.chars() {
                match letter {
                    'c' => command = true,
                    'i' => shell.interactive = true,
                    'o' => {
                        let option = argv.get(at).cloned().unwrap_or_default();
                        shell.options.set_long(&option, on);
                        at += 1;
                    }
                    other => drop(shell.options.set_letter(other, on)),
                }
            }
        }
        let mut rest = argv.get(at..).unwrap_or_default().iter().cloned();
        if command {
            let text = rest.next().unwrap_or_default();
            shell.frames = vec![Frame::Script(text.into())];
            shell.may_exec = true;
            shell.name = rest.next().unwrap_or(shell.name);
        } else if let Some(file) = rest.next() {
            shell.frames = vec![Frame::Script("".into())];
            shell.is_file = true;
            shell.name = file;
        }
        shell.positional = rest.collect();
        shell
    }

    /// A shell that runs a script's text.
    pub(super) fn from_script(flavor: Flavor, text: &str, name: &str, arguments: &[String]) -> Self {
        let mut shell = Self::new(flavor, name, Frame::Script(text.into()));
        shell.positional = arguments.to_vec();
        shell.may_exec = true;
        shell.is_file = true;
        // Options on the first line count as if given on the command line.
        let first = text.lines().next().unwrap_or_default();
        if let Some((_, letters)) = first.strip_prefix("#!").and_then(|line| line.split_once(" -")) {
            for letter in letters.chars() {
                shell.options.set_letter(letter, true);
            }
        }
        shell
    }

    /// A copy that runs something else in a process of its own. Its traps are gone, as POSIX wants it.
    pub(super) fn subshell(&self, pid: Pid, frame: Frame) -> Self {
        let mut shell = self.clone();
        shell.main_pid = Some(self.main_pid.unwrap_or(pid));
        shell.frames = vec![frame];
        shell.traps.retain(|_, action| action.is_empty());
        shell.caught.clear();
        shell.interactive = false;
        shell.interrupted = false;
        shell.is_subshell = true;
        shell.may_exec = true;
        shell
    }

    /// Whether it does nothing but wait for its next line.
    pub(super) fn waits_for_a_line(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Reader { .. }))
    }

    pub(super) fn saved_descriptors(&self) -> Vec<&Descriptor> {
        let saved = self.frames.iter().filter_map(|frame| match frame {
            Frame::Restore { descriptors } => Some(descriptors.values()),
            _ => None,
        });
        saved.flatten().collect()
    }

    /// What the shell does with a signal: its trap runs later, between two commands.
    pub(super) fn signal(&mut self, signal: Signal) -> SignalAction {
        match self.traps.get(&Event::Signal(signal)) {
            Some(action) if action.is_empty() => SignalAction::Ignore,
            Some(_) => {
                self.caught.push(signal);
                SignalAction::Ignore
            }
            None if self.interactive && matches!(signal, Signal::Interrupt | Signal::Terminate | Signal::Quit) => {
                self.interrupted |= signal == Signal::Interrupt;
                SignalAction::Ignore
            }
            None => SignalAction::Default,
        }
    }

    /// Whether nothing is left to do after the command that is about to run.
    pub(super) fn is_last_command(&self) -> bool {
        self.may_exec
            && self.traps.is_empty()
            && self.frames.iter().all(|frame| match frame {
                Frame::List { list, next } => *next >= list.items.len(),
                Frame::Chain { chain, next } => *next >= chain.links.len(),
                _ => false,
            })
    }

    /// Whether a failure here is somebody's condition, which `set -e` lets pass.
    pub(super) fn is_in_condition(&self) -> bool {
        self.frames.iter().any(|frame| match frame {
            Frame::If { .. } | Frame::Negate | Frame::Loop { in_condition: true, .. } => true,
            Frame::Chain { chain, next } => *next < chain.links.len(),
            _ => false,
        })
    }

    /// The aliases that hold for what is read next.
    pub(super) fn aliases_in_use(&self) -> Aliases {
        if self.takes_aliases || self.interactive { self.aliases.clone() } else { Aliases::new() }
    }

    /// `name: ` before a message, with the line where this shell gives one.
    pub(super) fn prefix(&self, builtin: Option<&str>) -> String {
        let builtin = builtin.map(|name| format!("{name}: ")).unwrap_or_default();
        match self.flavor {
            Flavor::Bash if self.interactive => format!("{}: {builtin}", self.name),
            Flavor::Bash => format!("{}: line {}: {builtin}", self.name, self.line),
            Flavor::Dash => format!("{}: {}: {builtin}", self.name, self.line),
            Flavor::Ash if self.is_file => format!("{}: {builtin}line {}: ", self.name, self.line),
            Flavor::Ash if !builtin.is_empty() => {
                format!("{}: {builtin}line {}: ", self.name, self.line.saturating_sub(1))
            }
            Flavor::Ash => format!("{}: ", self.name),
        }
    }
}

impl Options {
    /// Switches an option by its letter; whether there is one.
    pub(super) fn set_letter(&mut self, letter: char, on: bool) -> bool {
        match letter {
            'a' => self.all_export = on,
            'e' => self.exit_on_error = on,
            'f' => self.no_glob = on,
            'C' => self.no_clobber = on,
            'n' => self.no_execute = on,
            'u' => self.no_unset = on,
            'x' => self.trace = on,
            'b' | 'h' | 'l' | 'm' | 's' | 'v' | 'B' | 'E' | 'H' | 'P' | 'T' => {}
            _ => return false,
        }
        true
    }

    /// Switches an option by its name; whether there is one.
    pub(super) fn set_long(&mut self, name: &str, on: bool) -> bool {
        match name {
            "allexport" => self.all_export = on,
            "errexit" => self.exit_on_error = on,
            "noglob" => self.no_glob = on,
            "noclobber" => self.no_clobber = on,
            "noexec" => self.no_execute = on,
            "nounset" => self.no_unset = on,
            "pipefail" => self.pipe_fail = on,
            "xtrace" => self.trace = on,
            "monitor" | "verbose" | "vi" | "emacs" | "posix" | "errtrace" | "ignoreeof" | "notify" => {}
            _ => return false,
        }
        true
    }

    /// `$-`.
    pub(super) fn letters(self) -> String {
        let set = [
            (self.all_export, 'a'),
            (self.exit_on_error, 'e'),
            (self.no_glob, 'f'),
            (self.no_clobber, 'C'),
            (self.no_unset, 'u'),
            (self.trace, 'x'),
        ];
        set.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect()
    }
}
