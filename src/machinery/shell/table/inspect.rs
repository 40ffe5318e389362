//! What can be told of a process from outside.

use super::{Body, Pid, ProcessTable, Wait};
use crate::machinery::shell::parser::Aliases;

impl ProcessTable {
    /// Whether a process is running.
    #[must_use]
    pub fn is_alive(&self, pid: Pid) -> bool {
        self.tasks.contains_key(&pid)
    }

    /// Whether a root process is a shell that waits for the next line.
    #[must_use]
    pub fn waits_for_a_line(&self, pid: Pid) -> bool {
        self.tasks.get(&pid).is_some_and(|task| match &task.body {
            Body::Shell(shell) => matches!(task.wait, Wait::Readable(0, _)) && shell.waits_for_a_line(),
            Body::Program(_) => false,
        })
    }

    /// The working directory of a process.
    #[must_use]
    pub fn directory(&self, pid: Pid) -> Option<&str> {
        self.tasks.get(&pid).map(|task| task.process.directory.as_str())
    }

    /// The aliases of a shell.
    #[must_use]
    pub fn aliases(&self, pid: Pid) -> Aliases {
        match self.tasks.get(&pid).map(|task| &task.body) {
            Some(Body::Shell(shell)) => shell.aliases.clone(),
            _ => Aliases::new(),
        }
    }

    /// The exit code of a shell's last command: its `$?`.
    #[must_use]
    pub fn last_status(&self, pid: Pid) -> i32 {
        match self.tasks.get(&pid).map(|task| &task.body) {
            Some(Body::Shell(shell)) => shell.status,
            _ => 0,
        }
    }
}
