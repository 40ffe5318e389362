//! Commands that run in a container besides its own program: exec probes, hooks, `kubectl exec`.

use std::sync::Arc;

use super::container::{Container, ContainerState, Exec};
use super::lifecycle::exec_error;
use super::{Runtime, RuntimeEvent};
use crate::machinery::shell::{Output, Signal, Stream};
use crate::machinery::time::Time;

/// The number of a command in a container.
pub type ExecId = u64;

/// How many commands of a container are remembered.
const EXECS_MAX: usize = 64;

/// How a command is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecOptions {
    /// Whether its input stays open.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub terminal: bool,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecResult {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl ExecResult {
    /// Both outputs, as a probe's message has them.
    #[must_use]
    pub fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Runtime {
    /// Runs a command in a container. It may have ended when this returns; `RuntimeEvent::ExecFinished` tells when it
    /// ends later.
    ///
    /// # Errors
    /// The runtime's text when the container does not run, or there is no such command.
    pub fn exec(
        &mut self,
        container: &str,
        argv: &[String],
        options: ExecOptions,
        now: Time,
    ) -> Result<ExecId, String> {
        match self.containers.get(container).map(|held| held.state) {
            None => return Err(format!("an error occurred when try to find container {container:?}: not found")),
            Some(ContainerState::Running) => {}
            Some(state) => return Err(format!("container {container:?} is in {} state", state_name(state))),
        }
        let mut changed = self.take_container(container).expect("it was there a moment ago");
        let spawn = changed.spawn(argv.to_vec(), options.stdin, options.terminal);
        let spawned = self.with_host(&mut changed, now, |table, host| table.spawn(spawn, host));
        self.next_number += 1;
        let number = self.next_number;
        let pid = match spawned {
            Ok(pid) => pid,
            Err(error) => {
                self.put_container(changed);
                let why = exec_error(argv.first().map_or("", String::as_str), error);
                return Err(format!(
                    "failed to exec in container: failed to start exec \"{number:064x}\": OCI runtime exec failed: exec failed: unable to start container process: {why}"
                ));
            }
        };
        changed.execs.push_back(Exec { number, pid, output: Vec::new(), code: None });
        while changed.execs.len() > EXECS_MAX && changed.execs.front().is_some_and(|exec| exec.code.is_some()) {
            changed.execs.pop_front();
        }
        self.put_container(changed);
        self.step_container(container, now);
        Ok(number)
    }

    fn find_exec(&self, exec: ExecId) -> Option<(&Arc<Container>, &Exec)> {
        let of = |container: &'_ Arc<Container>| container.execs.iter().position(|held| held.number == exec);
        self.containers.values().find_map(|container| of(container).map(|at| (container, &container.execs[at])))
    }

    fn change_exec(&mut self, exec: ExecId, now: Time, change: impl FnOnce(&mut Container, usize)) {
        let Some(id) = self.find_exec(exec).map(|(container, _)| Arc::clone(&container.id)) else {
            return;
        };
        self.change(&id, |container| {
            if let Some(at) = container.execs.iter().position(|held| held.number == exec) {
                change(container, at);
            }
        });
        self.step_container(&id, now);
    }

    /// What came of a command; nothing while it runs. A command that was asked after is forgotten.
    pub fn take_exec_result(&mut self, exec: ExecId) -> Option<ExecResult> {
        let (container, held) = self.find_exec(exec)?;
        let code = held.code?;
        let text = |stream: Stream| {
            let pieces = held.output.iter().filter(|output| output.stream == stream);
            let bytes: Vec<u8> = pieces.flat_map(|output| output.bytes.iter().copied()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let result = ExecResult { code, stdout: text(Stream::Out), stderr: text(Stream::Error) };
        let id = Arc::clone(&container.id);
        self.change(&id, |container| container.execs.retain(|held| held.number != exec));
        self.events.retain(|event| *event != RuntimeEvent::ExecFinished { exec });
        Some(result)
    }

    /// What a command wrote since the last call, and its exit code if it ended: for a terminal.
    pub fn take_exec_output(&mut self, exec: ExecId) -> (Vec<Output>, Option<i32>) {
        let Some((container, held)) = self.find_exec(exec) else {
            return (Vec::new(), None);
        };
        let (id, code) = (Arc::clone(&container.id), held.code);
        if held.output.is_empty() {
            return (Vec::new(), code);
        }
        let output = self.change(&id, |container| {
            let exec = container.execs.iter_mut().find(|held| held.number == exec);
            exec.map(|exec| std::mem::take(&mut exec.output)).unwrap_or_default()
        });
        (output.unwrap_or_default(), code)
    }

    /// Gives a command something to read.
    pub fn feed_exec(&mut self, exec: ExecId, bytes: &[u8], now: Time) {
        self.change_exec(exec, now, |container, at| container.table.feed(container.execs[at].pid, bytes));
    }

    /// Ends a command's input.
    pub fn close_exec_input(&mut self, exec: ExecId, now: Time) {
        self.change_exec(exec, now, |container, at| container.table.close_input(container.execs[at].pid));
    }

    /// Sends a signal to a command: an interrupt from a terminal, or `KILL` when its time is over.
    pub fn signal_exec(&mut self, exec: ExecId, signal: Signal, now: Time) {
        self.change_exec(exec, now, |container, at| container.table.signal(container.execs[at].pid, signal));
    }

    /// Gives a container's own program something to read, as `kubectl attach` does.
    pub fn feed_container(&mut self, id: &str, bytes: &[u8], now: Time) {
        self.change(id, |container| container.table.feed(1, bytes));
        self.step_container(id, now);
    }
}

fn state_name(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "CONTAINER_CREATED",
        ContainerState::Running => "CONTAINER_RUNNING",
        ContainerState::Exited => "CONTAINER_EXITED",
    }
}
