//! A small shell with its utilities, for containers and for the page's terminal.
//!
//! POSIX sh as busybox runs it, with some of bash. Everything is a value: a `ProcessTable` holds processes, pipes and
//! open files; it is stepped with a `Host` (files, time, names, network) and says when it needs to be stepped again.
//! A process never blocks: `sleep`, `wait`, `read`, `wget` and the like leave their frame on the shell's own stack and
//! come back to it. A parser crate was weighed and left out: brush-parser costs 160 KB of gzipped WebAssembly.
//!
//! What is not there: arrays, jobs that are stopped, time zones, users and permissions
//! other than read-only mounts and the executable bit.

mod arithmetic;
mod arrays;
mod braces;
mod builtins;
mod escape;
mod expand;
pub mod files;
mod host;
mod interpreter;
mod io;
mod parser;
mod pattern;
pub mod regex;
mod scripts;
#[allow(clippy::module_inception, reason = "a running shell is what this room is named after")]
mod shell;
mod simple;
mod syntax;
mod table;
mod test;
pub mod utilities;
mod word;

pub use host::{
    CommandPoll, CommandRun, Flavor, Host, HttpAnswer, HttpRequest, Lookup, Machine, NetworkAnswer, NetworkRequest,
    Question, Record, RecordKind, Signal, SignalAction, User,
};
pub use io::{CommandIo, Input, Output, ProcessState, Stream};
pub use parser::{Aliases, SyntaxError, parse};
pub use pattern::matches as pattern_matches;
pub use scripts::Scripts;
pub use table::{Pid, Poll, ProcessTable, RequestId, Spawn, SpawnError};

#[cfg(test)]
mod tests;
