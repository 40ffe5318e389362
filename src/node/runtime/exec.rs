//! Commands that run in a container besides its own program: exec probes, hooks, `kubectl exec`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::container::{Container, ContainerState, Exec};
use super::lifecycle::exec_error;
use super::written::Written;
use super::{Runtime, RuntimeEvent};
use crate::machinery::base64;
use crate::machinery::shell::{Output, Pid, ProcessTable, Signal, Stream};
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

/// What comes from whoever talks with a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamInput {
    /// Text.
    Text(String),
    /// What is no text, in base64.
    Base64(String),
    /// There will be no more.
    End,
    /// Ctrl-C in a terminal.
    Interrupt,
    /// The terminal has gone.
    HangUp,
}

impl StreamInput {
    /// Bytes, as text where they are text.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(base64::encode(bytes)),
        }
    }

    /// How long it is as text.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Base64(text) => text.len(),
            Self::End | Self::Interrupt | Self::HangUp => 0,
        }
    }

    /// Whether it is a sign, and nothing to read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that are to be read; what is no base64 is nothing.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Base64(text) => base64::decode(text).unwrap_or_default(),
            Self::End | Self::Interrupt | Self::HangUp => Vec::new(),
        }
    }
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
        changed.execs.push_back(Exec { number, pid, output: Written::default(), code: None });
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
            let pieces = held.output.pieces().filter(|output| output.stream == stream);
            let bytes: Vec<u8> = pieces.flat_map(|output| output.bytes.iter().copied()).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let result = ExecResult { code, stdout: text(Stream::Out), stderr: text(Stream::Error) };
        let id = Arc::clone(&container.id);
        self.change(&id, |container| container.execs.retain(|held| held.number != exec));
        self.events.retain(|event| *event != RuntimeEvent::ExecFinished { exec });
        Some(result)
    }

    /// What a command wrote after the first `seen` pieces, how many there are now, and its exit code if it ended.
    #[must_use]
    pub fn exec_output(&self, exec: ExecId, seen: u64) -> Option<(Vec<Output>, u64, Option<i32>)> {
        let (_, held) = self.find_exec(exec)?;
        let (output, seen) = held.output.after(seen);
        Some((output, seen, held.code))
    }

    /// What a container's own program wrote after the first `seen` pieces, how many there are now, and whether it runs:
    /// byte for byte where somebody may talk with it, by lines where not.
    #[must_use]
    pub fn container_output(&self, id: &str, seen: u64) -> Option<(Vec<Output>, u64, bool)> {
        let container = self.containers.get(id)?;
        let runs = container.state == ContainerState::Running;
        if container.is_talkative() {
            let (output, seen) = container.talk.after(seen);
            return Some((output, seen, runs));
        }
        let (lines, seen) = container.log.after(seen);
        let line = |line: super::LogLine| Output {
            time: line.time,
            stream: line.stream,
            bytes: format!("{}\n", line.text).into_bytes(),
        };
        Some((lines.into_iter().map(line).collect(), seen, runs))
    }

    /// Passes on to a command what comes from whoever talks with it.
    pub fn exec_input(&mut self, exec: ExecId, input: &StreamInput, now: Time) {
        self.change_exec(exec, now, |container, at| {
            let pid = container.execs[at].pid;
            talk(&mut container.table, pid, input);
        });
    }

    /// Sends a signal to a command: an interrupt from a terminal, or `KILL` when its time is over.
    pub fn signal_exec(&mut self, exec: ExecId, signal: Signal, now: Time) {
        self.change_exec(exec, now, |container, at| container.table.signal(container.execs[at].pid, signal));
    }

    /// Passes on to a container's own program what comes from whoever is attached to it.
    pub fn container_input(&mut self, id: &str, input: &StreamInput, now: Time) {
        self.change(id, |container| talk(&mut container.table, 1, input));
        self.step_container(id, now);
    }
}

fn talk(table: &mut ProcessTable, pid: Pid, input: &StreamInput) {
    match input {
        StreamInput::Text(_) | StreamInput::Base64(_) => table.feed(pid, &input.bytes()),
        StreamInput::End => table.close_input(pid),
        StreamInput::Interrupt => table.signal(pid, Signal::Interrupt),
        StreamInput::HangUp => {
            table.close_input(pid);
            table.signal(pid, Signal::Hangup);
        }
    }
}

fn state_name(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "CONTAINER_CREATED",
        ContainerState::Running => "CONTAINER_RUNNING",
        ContainerState::Exited => "CONTAINER_EXITED",
    }
}
