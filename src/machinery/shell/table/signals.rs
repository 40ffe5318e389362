//! Signals: who gets them, and what becomes of him.

use super::super::host::{Signal, SignalAction};
use super::{Body, Pid, ProcessTable, Task, Wait};

impl ProcessTable {
    /// Sends a signal from outside, as a container runtime does.
    pub fn signal(&mut self, pid: Pid, signal: Signal) {
        if signal == Signal::Kill && pid == 1 {
            if let Some(task) = self.tasks.remove(&pid) {
                self.finish(task.process, signal.exit_code());
            }
            return;
        }
        self.signal_from_inside(pid, signal);
    }

    /// Ctrl-C in the terminal of a root process: it goes to the program that stands for a terminal elsewhere, if there
    /// is one, and to the root otherwise, which ends what it does.
    pub fn interrupt(&mut self, root: Pid) {
        let stands_in = |task: &Task| match &task.body {
            Body::Program(program) => task.process.root == root && program.has_terminal(),
            Body::Shell(_) => false,
        };
        let found = self.tasks.iter().find(|(_, task)| stands_in(task)).map(|(pid, _)| *pid);
        self.signal(found.unwrap_or(root), Signal::Interrupt);
    }

    /// Sends a signal to all processes that a root process started, but not to itself.
    pub fn signal_descendants(&mut self, root: Pid, signal: Signal) {
        for (pid, task) in &mut self.tasks {
            if task.process.root == root && *pid != root {
                task.process.pending.push(signal);
            }
        }
    }

    /// Sends a signal to every process.
    pub fn signal_all(&mut self, signal: Signal) {
        for task in self.tasks.values_mut() {
            task.process.pending.push(signal);
        }
    }

    pub(in super::super) fn signal_from_inside(&mut self, pid: Pid, signal: Signal) {
        if let Some(task) = self.tasks.get_mut(&pid) {
            task.process.pending.push(signal);
        }
    }
}

/// Lets a process deal with the signals that came; the exit code if it dies of one.
pub(super) fn deliver(task: &mut Task) -> Option<i32> {
    let is_init = task.process.pid == 1;
    for signal in std::mem::take(&mut task.process.pending) {
        let ignored = task.process.ignored.contains(&signal);
        let action = match &mut task.body {
            _ if signal == Signal::Kill => SignalAction::Default,
            _ if ignored => SignalAction::Ignore,
            Body::Shell(shell) => shell.signal(signal),
            Body::Program(program) => program.signal(signal),
        };
        match action {
            SignalAction::Exit(code) => return Some(code),
            SignalAction::Default if !is_init => return Some(signal.exit_code()),
            SignalAction::Wake => task.wait = Wait::Ready,
            SignalAction::Default | SignalAction::Ignore => {}
        }
    }
    None
}
