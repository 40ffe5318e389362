//! The processes of one container, or of the page's terminal: a value that is stepped in simulated time.
//!
//! A process is a shell with its own stack of frames, or a program behind `CommandRun`. No process blocks: one that has
//! to wait says what for, and the table tells whoever steps it when it next needs to be stepped.

mod inspect;
mod launch;
mod signals;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use super::host::{CommandRun, Host, HttpRequest, NetworkAnswer, NetworkRequest, Signal};
use super::interpreter;
use super::io::{CommandIo, Descriptor, OpenFile, Output, ProcessState, Stream};
use super::shell::{Shell, Variable, Variables};
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;
use launch::after_program;
pub(super) use launch::{exported, resolve};
use signals::deliver;

/// The number of a process.
pub type Pid = u32;
/// The number of a request that a process sent out.
pub type RequestId = u64;

/// How many processes a table may hold, as a `pids` limit of a container; a smaller limit may be set.
const PROCESSES_MAX: usize = 512;
/// How much a process may do before others have their turn.
const QUANTUM: u32 = 500;
/// How much unread output of a process is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// How much `$(…)` may gather, in bytes.
const CAPTURE_BYTES_MAX: usize = 1 << 20;

/// What a process does.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Shell(Box<Shell>),
    Program(Box<dyn CommandRun>),
}

/// What a process waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Ready,
    Readable(u32, Option<Time>),
    Writable(u32),
    Until(Time),
    Child(Pid, Option<Time>),
    Network(RequestId, Option<Time>),
    Files(u64),
    Forever,
}

impl Wait {
    fn deadline(&self) -> Option<Time> {
        match self {
            Self::Until(time) => Some(*time),
            Self::Readable(_, deadline) | Self::Child(_, deadline) | Self::Network(_, deadline) => *deadline,
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Task {
    process: ProcessState,
    body: Body,
    wait: Wait,
}

impl Task {
    fn holds(&self, descriptor: &Descriptor) -> bool {
        self.descriptors().any(|held| held == descriptor)
    }

    fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        let saved = match &self.body {
            Body::Shell(shell) => shell.saved_descriptors(),
            Body::Program(_) => Vec::new(),
        };
        self.process.descriptors.values().chain(saved)
    }
}

/// A process that the host started, and what it wrote.
#[derive(Clone, Debug, Default)]
struct Root {
    output: Vec<Output>,
    output_bytes: usize,
    input: Vec<u8>,
    input_open: bool,
    terminal: bool,
    exit: Option<i32>,
}

#[derive(Clone, Debug, Default)]
struct Pipe {
    bytes: Vec<u8>,
    start: usize,
}

/// How a root process begins.
#[derive(Clone, Debug, Default)]
pub struct Spawn {
    /// Name and arguments.
    pub argv: Vec<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The working directory.
    pub directory: String,
    /// Whether standard input stays open for `feed`; otherwise it is at its end from the start.
    pub stdin: bool,
    /// Whether standard input and output are a terminal.
    pub terminal: bool,
}

/// Why a process cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// No such command.
    NotFound,
    /// There is a file, but it may not be run.
    Denied,
    /// There is a file that is neither a program nor a script.
    BadFormat,
    /// There are too many processes.
    TooMany,
}

/// When processes next need to be stepped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// At this time, or not before a signal, input, a file or an answer comes.
    Waiting(Option<Time>),
    /// The budget was used up; there is more to do at once.
    Running,
}

/// All processes of a container or a terminal.
#[derive(Clone, Debug)]
pub struct ProcessTable {
    /// In boxes, since a map makes room for eleven at once, and most containers run one.
    tasks: BTreeMap<Pid, Box<Task>>,
    roots: BTreeMap<Pid, Box<Root>>,
    pipes: BTreeMap<u32, Pipe>,
    captures: BTreeMap<u32, Vec<u8>>,
    opens: BTreeMap<u32, OpenFile>,
    requests: Vec<(RequestId, NetworkRequest)>,
    next_pid: Pid,
    next_handle: u32,
    next_request: RequestId,
    cursor: Pid,
    files_generation: u64,
    /// Set when a process wrote a file since the last step.
    pub files_changed: bool,
    processes_max: usize,
}

impl ProcessTable {
    /// No processes yet; the first one will be `first_pid`. Process 1 is spared by signals that it does not handle,
    /// and takes all others with it when it ends.
    #[must_use]
    pub fn new(first_pid: Pid) -> Self {
        Self {
            tasks: BTreeMap::new(),
            roots: BTreeMap::new(),
            pipes: BTreeMap::new(),
            captures: BTreeMap::new(),
            opens: BTreeMap::new(),
            requests: Vec::new(),
            next_pid: first_pid,
            next_handle: 1,
            next_request: 1,
            cursor: 0,
            files_generation: 0,
            files_changed: false,
            processes_max: PROCESSES_MAX,
        }
    }

    /// No processes yet, and never more than so many.
    #[must_use]
    pub fn bounded(first_pid: Pid, processes_max: usize) -> Self {
        Self { processes_max: processes_max.min(PROCESSES_MAX), ..Self::new(first_pid) }
    }

    /// How many processes there are.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.tasks.len()
    }

    /// Starts a process.
    ///
    /// # Errors
    /// When the command cannot be run.
    pub fn spawn(&mut self, spawn: Spawn, host: &mut dyn Host) -> Result<Pid, SpawnError> {
        let argv = spawn.argv.clone();
        let process = self.root_process(&spawn, host.now());
        let body = resolve(&process.directory, host, &argv)?;
        self.insert_root(spawn, process, body)
    }

    /// Starts a program of the host's own.
    ///
    /// # Errors
    /// When there are too many processes.
    pub fn spawn_program(&mut self, spawn: Spawn, program: Box<dyn CommandRun>, now: Time) -> Result<Pid, SpawnError> {
        let process = self.root_process(&spawn, now);
        self.insert_root(spawn, process, Body::Program(program))
    }

    fn root_process(&self, spawn: &Spawn, now: Time) -> ProcessState {
        let pid = self.next_pid;
        let variables = spawn.environment.iter().cloned();
        let variables: Variables = variables.map(|(name, value)| (name, Variable::exported(value))).collect();
        let descriptors = [
            (0, Descriptor::Input(pid)),
            (1, Descriptor::Output(pid, Stream::Out)),
            (2, Descriptor::Output(pid, Stream::Error)),
        ];
        let directory = if spawn.directory.is_empty() { "/" } else { &spawn.directory };
        ProcessState {
            pid,
            parent: 0,
            root: pid,
            argv: spawn.argv.clone(),
            descriptors: BTreeMap::from(descriptors),
            directory: directory.to_owned(),
            variables,
            started: now,
            children: BTreeMap::new(),
            pending: Vec::new(),
            answer: None,
            child_status: None,
            broken_pipe: false,
            write_failed: false,
            ignored: Vec::new(),
        }
    }

    fn insert_root(&mut self, spawn: Spawn, process: ProcessState, body: Body) -> Result<Pid, SpawnError> {
        if self.tasks.len() >= self.processes_max {
            return Err(SpawnError::TooMany);
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let root = Root { input_open: spawn.stdin, terminal: spawn.terminal, ..Root::default() };
        self.roots.insert(pid, Box::new(root));
        self.tasks.insert(pid, Box::new(Task { process, body, wait: Wait::Ready }));
        Ok(pid)
    }

    /// Lets processes go on until all of them wait or `budget` is used up.
    pub fn step(&mut self, host: &mut dyn Host, budget: u32) -> Poll {
        let mut left = budget;
        self.files_changed = false;
        loop {
            let now = host.now();
            let after = self.tasks.range(self.cursor + 1..).chain(self.tasks.range(..=self.cursor));
            let ready = after.map(|(pid, task)| (*pid, task)).find(|(_, task)| self.is_ready(task, now));
            let Some((pid, _)) = ready else {
                break;
            };
            if left == 0 {
                return Poll::Running;
            }
            self.cursor = pid;
            let used = self.step_task(pid, host, QUANTUM.min(left));
            left = left.saturating_sub(used.max(1));
            if self.files_changed {
                self.files_generation += 1;
            }
        }
        self.collect_garbage();
        Poll::Waiting(self.tasks.values().filter_map(|task| task.wait.deadline()).min())
    }

    fn is_ready(&self, task: &Task, now: Time) -> bool {
        let process = &task.process;
        if !process.pending.is_empty() || task.wait.deadline().is_some_and(|deadline| deadline <= now) {
            return true;
        }
        match &task.wait {
            Wait::Ready => true,
            Wait::Readable(descriptor, _) => match process.descriptors.get(descriptor) {
                Some(Descriptor::PipeRead(pipe)) => self.pipe_length(*pipe) > 0 || !self.pipe_has_writer(*pipe),
                Some(Descriptor::Input(root)) => {
                    self.roots.get(root).is_none_or(|root| !root.input.is_empty() || !root.input_open)
                }
                _ => true,
            },
            Wait::Writable(descriptor) => match process.descriptors.get(descriptor) {
                Some(Descriptor::PipeWrite(pipe)) => !self.is_congested(*pipe),
                _ => true,
            },
            Wait::Child(child, _) => !matches!(process.children.get(child), Some(None)),
            Wait::Network(..) => process.answer.is_some(),
            Wait::Files(generation) => *generation != self.files_generation,
            Wait::Until(_) | Wait::Forever => false,
        }
    }

    /// Steps one process; how much of its budget it used.
    fn step_task(&mut self, pid: Pid, host: &mut dyn Host, budget: u32) -> u32 {
        let Some(mut task) = self.tasks.remove(&pid) else {
            return 0;
        };
        if let Some(code) = deliver(&mut task) {
            self.finish(task.process, code);
            return 1;
        }
        // A signal that was survived does not end what a program waits for.
        let is_program = matches!(task.body, Body::Program(_));
        if is_program && !self.is_ready(&task, host.now()) {
            self.tasks.insert(pid, task);
            return 1;
        }
        let mut io = CommandIo { table: self, host, process: &mut task.process, budget };
        let step = match &mut task.body {
            Body::Shell(shell) => interpreter::step(shell, &mut io),
            Body::Program(program) => {
                let poll = program.step(&mut io);
                after_program(poll, &mut io)
            }
        };
        let used = budget - io.budget.min(budget);
        if task.process.broken_pipe {
            self.finish(task.process, Signal::Pipe.exit_code());
            return used;
        }
        match step {
            Step::Wait(wait) => {
                task.wait = wait;
                self.tasks.insert(pid, task);
            }
            Step::Become(body) => {
                task.body = body;
                task.wait = Wait::Ready;
                self.tasks.insert(pid, task);
            }
            Step::Exited(code) => self.finish(task.process, code),
        }
        used
    }

    /// A process ended: its children go to process 1, its parent learns of it, and with process 1 all others end.
    fn finish(&mut self, process: ProcessState, code: i32) {
        let pid = process.pid;
        for task in self.tasks.values_mut() {
            if task.process.parent == pid {
                task.process.parent = u32::from(pid != 1);
            }
        }
        if let Some(parent) = self.tasks.get_mut(&process.parent)
            && let Some(status) = parent.process.children.get_mut(&pid)
        {
            *status = Some(code);
        }
        if let Some(root) = self.roots.get_mut(&pid) {
            root.exit = Some(code);
        }
        if pid == 1 {
            self.kill_all();
        }
    }

    /// Ends every process at once, as the kernel does with a whole container.
    pub fn kill_all(&mut self) {
        for pid in std::mem::take(&mut self.tasks).into_keys() {
            if let Some(root) = self.roots.get_mut(&pid) {
                root.exit = Some(Signal::Kill.exit_code());
            }
        }
    }

    /// Starts a child of a process that is being stepped.
    pub(super) fn fork(
        &mut self,
        parent: &mut ProcessState,
        descriptors: BTreeMap<u32, Descriptor>,
        argv: Vec<String>,
        body: Body,
        now: Time,
    ) -> Option<Pid> {
        if self.tasks.len() + 1 >= self.processes_max {
            return None;
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let process = ProcessState {
            pid,
            parent: parent.pid,
            root: parent.root,
            argv,
            descriptors,
            directory: parent.directory.clone(),
            variables: parent.variables.clone(),
            started: now,
            children: BTreeMap::new(),
            pending: Vec::new(),
            answer: None,
            child_status: None,
            broken_pipe: false,
            write_failed: false,
            ignored: parent.ignored.clone(),
        };
        parent.children.insert(pid, None);
        self.tasks.insert(pid, Box::new(Task { process, body, wait: Wait::Ready }));
        Some(pid)
    }

    /// Whether some process has an answer from the network that it has not seen yet.
    #[must_use]
    pub fn has_answers(&self) -> bool {
        self.tasks.values().any(|task| task.process.answer.is_some())
    }

    /// The exit code of a root process that ended.
    #[must_use]
    pub fn exit_code(&self, pid: Pid) -> Option<i32> {
        self.roots.get(&pid).and_then(|root| root.exit)
    }

    /// Forgets a root process that ended.
    pub fn forget(&mut self, pid: Pid) {
        self.roots.remove(&pid);
    }

    /// What a root process and its descendants wrote since the last call.
    pub fn take_output(&mut self, pid: Pid) -> Vec<Output> {
        let Some(root) = self.roots.get_mut(&pid) else {
            return Vec::new();
        };
        root.output_bytes = 0;
        std::mem::take(&mut root.output)
    }

    /// Gives a root process something to read.
    pub fn feed(&mut self, pid: Pid, bytes: &[u8]) {
        if let Some(root) = self.roots.get_mut(&pid).filter(|root| root.input_open) {
            root.input.extend_from_slice(bytes);
        }
    }

    /// Ends the input of a root process.
    pub fn close_input(&mut self, pid: Pid) {
        if let Some(root) = self.roots.get_mut(&pid) {
            root.input_open = false;
        }
    }

    /// The requests that processes sent out since the last call.
    pub fn take_requests(&mut self) -> Vec<(RequestId, NetworkRequest)> {
        std::mem::take(&mut self.requests)
    }

    /// Answers a request. An answer that nobody waits for any more is dropped.
    pub fn answer(&mut self, request: RequestId, answer: NetworkAnswer) {
        let waiting = |task: &&mut Box<Task>| matches!(task.wait, Wait::Network(id, _) if id == request);
        if let Some(task) = self.tasks.values_mut().find(waiting) {
            task.process.answer = Some(answer);
        }
    }

    /// Tells those who watch files that one of them was written by somebody else.
    pub fn touch_files(&mut self) {
        self.files_generation += 1;
    }

    /// Whether some process watches files.
    #[must_use]
    pub fn watches_files(&self) -> bool {
        self.tasks.values().any(|task| matches!(task.wait, Wait::Files(_)))
    }

    /// Memory in use, in bytes.
    #[must_use]
    pub fn memory(&self, now: Time) -> u64 {
        self.tasks
            .values()
            .map(|task| match &task.body {
                Body::Shell(_) => 700 << 10,
                Body::Program(program) => program.memory(now),
            })
            .sum()
    }

    /// Processor time in use, in thousandths of a processor.
    #[must_use]
    pub fn processor(&self, now: Time) -> u32 {
        self.tasks
            .values()
            .map(|task| match &task.body {
                Body::Shell(_) => u32::from(task.wait == Wait::Ready) * 1000,
                Body::Program(program) => program.processor(now),
            })
            .sum()
    }

    /// The same without what requests cost, which [`Self::spent`] counts.
    #[must_use]
    pub fn processor_at_rest(&self, now: Time) -> u32 {
        self.tasks
            .values()
            .map(|task| match &task.body {
                Body::Shell(_) => u32::from(task.wait == Wait::Ready) * 1000,
                Body::Program(program) => program.processor_at_rest(now),
            })
            .sum()
    }

    /// Processor time that requests have cost the processes that there are, in milliseconds.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.programs().map(CommandRun::spent).sum()
    }

    /// Whether there is a shell among the processes.
    #[must_use]
    pub fn has_shell(&self) -> bool {
        self.tasks.values().any(|task| matches!(task.body, Body::Shell(_)))
    }

    /// Whether some process answers on a port by now.
    #[must_use]
    pub fn listens(&self, port: u16, now: Time) -> bool {
        self.programs().any(|program| program.listens(port, now))
    }

    /// The ports that processes answer on, or are about to.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        self.programs().flat_map(CommandRun::ports).collect()
    }

    pub(super) fn claims_port(&self, port: u16) -> bool {
        self.programs().any(|program| program.ports().contains(&port))
    }

    fn programs(&self) -> impl Iterator<Item = &dyn CommandRun> {
        self.tasks.values().filter_map(|task| match &task.body {
            Body::Program(program) => Some(program.as_ref()),
            Body::Shell(_) => None,
        })
    }

    /// Lets the process that listens on a port answer a request. Step the table afterwards: the process may have
    /// ended with it.
    pub fn connect(&mut self, request: &HttpRequest, host: &mut dyn Host) -> NetworkAnswer {
        let now = host.now();
        let listening = self.tasks.iter().find(|(_, task)| match &task.body {
            Body::Program(program) => program.listens(request.port, now),
            Body::Shell(_) => false,
        });
        let Some(pid) = listening.map(|(pid, _)| *pid) else {
            return NetworkAnswer::Refused { address: String::new() };
        };
        let Some(mut task) = self.tasks.remove(&pid) else {
            return NetworkAnswer::Refused { address: String::new() };
        };
        let mut io = CommandIo { table: self, host, process: &mut task.process, budget: QUANTUM };
        let answer = match &mut task.body {
            Body::Program(program) => program.connect(request, &mut io),
            Body::Shell(_) => NetworkAnswer::Refused { address: String::new() },
        };
        task.wait = Wait::Ready;
        self.tasks.insert(pid, task);
        answer
    }

    /// Every process that is not being stepped: number, parent, command, start.
    #[must_use]
    pub fn rows(&self) -> Vec<(Pid, Pid, String, Time)> {
        let row = |process: &ProcessState| (process.pid, process.parent, process.argv.join(" "), process.started);
        self.tasks.values().map(|task| row(&task.process)).collect()
    }

    pub(super) fn list(&self, current: &ProcessState) -> Vec<(Pid, Pid, String, Time)> {
        let row = |process: &ProcessState| (process.pid, process.parent, process.argv.join(" "), process.started);
        let mut rows: Vec<_> = self.tasks.values().map(|task| row(&task.process)).chain([row(current)]).collect();
        rows.order();
        rows
    }
}

/// How a process goes on after a step.
pub(super) enum Step {
    Wait(Wait),
    Become(Body),
    Exited(i32),
}
