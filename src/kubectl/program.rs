//! kubectl as a program of a shell's host.
//!
//! The host gives it the cluster (`Host::world`) and its files; between two looks at the cluster a command that waits
//! sleeps for as long as a watch event takes to reach a client.

use std::cell::RefCell;
use std::time::Duration;

use super::api::{Api, Change};
use super::cli::{Config, Files};
use super::{Kubectl, Polled};
use crate::api::{Kind, ObjectKey};
use crate::apiserver::{Answer, Request, Response};
use crate::etcd::Revision;
use crate::machinery::shell::files::{WriteAt, normalise, parent};
use crate::machinery::shell::{CommandIo, CommandPoll, CommandRun, Host, Input, Stream};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::runtime::{ExecOptions, LogLine, StreamInput};
use crate::sim::{Cluster, ExecStream, PodLogOptions, StreamOutput};

/// How often a command that waits looks at the cluster.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// How much of standard input is read at once.
const READ_BYTES_MAX: usize = 1 << 16;
/// How much of standard input is read at all: the API server takes no more in a request.
const STDIN_BYTES_MAX: usize = 3 << 20;

/// A running kubectl.
#[derive(Clone, Debug)]
pub struct Program {
    config: Config,
    /// How long it takes to start and to find out what the API server serves.
    start: Duration,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    New,
    /// It reads its standard input to the end.
    Reads(Vec<u8>),
    /// It has all it needs and is about to begin.
    Starts(Kubectl),
    Runs(Kubectl),
}

impl Program {
    /// kubectl with this configuration, which takes `start` before it does anything.
    #[must_use]
    pub const fn new(config: Config, start: Duration) -> Self {
        Self { config, start, state: State::New }
    }

    fn read(&mut self, io: &mut CommandIo<'_>, mut held: Vec<u8>) -> CommandPoll {
        loop {
            match io.read(0, READ_BYTES_MAX) {
                Input::Data(bytes) if held.len() < STDIN_BYTES_MAX => held.extend(bytes),
                Input::Data(_) => {}
                Input::Pending => {
                    self.state = State::Reads(held);
                    return CommandPoll::Readable(0);
                }
                Input::End => {
                    let stdin = String::from_utf8_lossy(&held).into_owned();
                    return self.begin(io, stdin);
                }
            }
        }
    }

    fn begin(&mut self, io: &CommandIo<'_>, stdin: String) -> CommandPoll {
        self.state = State::Starts(Kubectl::new(io.arguments(), self.config.clone(), stdin));
        CommandPoll::Until(io.now() + self.start)
    }

    fn run(&mut self, io: &mut CommandIo<'_>, mut kubectl: Kubectl) -> CommandPoll {
        let directory = io.process.directory.clone();
        let Some(polled) = poll(io.host, &mut kubectl, &directory) else {
            io.complain("there is no cluster here");
            return CommandPoll::Exited(1);
        };
        for (stream, text) in &polled.written {
            io.write(if *stream == Stream::Out { 1 } else { 2 }, text.as_bytes());
        }
        if let Some(code) = polled.exit {
            return CommandPoll::Exited(code);
        }
        self.state = State::Runs(kubectl);
        CommandPoll::Until(io.now() + WATCH_INTERVAL)
    }
}

impl CommandRun for Program {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        match std::mem::replace(&mut self.state, State::New) {
            State::New if Kubectl::reads_stdin(&io.arguments()) => self.read(io, Vec::new()),
            State::New => self.begin(io, String::new()),
            State::Reads(held) => self.read(io, held),
            State::Starts(kubectl) | State::Runs(kubectl) => self.run(io, kubectl),
        }
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// Polls kubectl with the host's cluster and files; nothing when the host has no cluster.
fn poll(host: &mut dyn Host, kubectl: &mut Kubectl, directory: &str) -> Option<Polled> {
    host.world()?.downcast_mut::<Cluster>()?;
    // Cluster and files are both the host's; each call borrows it for as long as it lasts.
    let host = RefCell::new(host);
    let mut files = HostFiles { host: &host, directory };
    Some(kubectl.poll(&mut HostApi(&host), &mut files))
}

/// The API server of the host's cluster.
struct HostApi<'a, 'h>(&'a RefCell<&'h mut dyn Host>);

impl HostApi<'_, '_> {
    fn with<R>(&self, absent: R, work: impl FnOnce(&mut Cluster) -> R) -> R {
        let mut host = self.0.borrow_mut();
        match host.world().and_then(|world| world.downcast_mut::<Cluster>()) {
            Some(cluster) => work(cluster),
            None => absent,
        }
    }
}

fn absent() -> Status {
    Status::new(Reason::ServiceUnavailable, "there is no cluster here")
}

impl Api for HostApi<'_, '_> {
    fn now(&self) -> Time {
        self.0.borrow().now()
    }

    fn request(&mut self, request: Request) -> Result<Answer, Status> {
        self.with(Err(absent()), |cluster| cluster.request(request))
    }

    fn show_managed_fields(&self, response: &mut Response) {
        self.with((), |cluster| Api::show_managed_fields(cluster, response));
    }

    fn revision(&self) -> Revision {
        self.with(0, |cluster| Api::revision(cluster))
    }

    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status> {
        self.with(Err(absent()), |cluster| cluster.changes(kind, after))
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.with(Err(absent()), |cluster| cluster.pod_logs(namespace, pod, options))
    }

    fn exec(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecStream, Status> {
        self.with(Err(absent()), |cluster| cluster.exec(pod, container, command, options))
    }

    fn exec_output(&self, stream: &ExecStream, seen: u64) -> StreamOutput {
        let ended = StreamOutput { ended: true, ..StreamOutput::default() };
        self.with(ended, |cluster| cluster.exec_output(stream, seen))
    }

    fn exec_input(&mut self, stream: &ExecStream, input: &StreamInput) {
        self.with((), |cluster| cluster.exec_input(stream, input));
    }
}

/// The host's files, as a process in a directory sees them.
struct HostFiles<'a, 'h> {
    host: &'a RefCell<&'h mut dyn Host>,
    directory: &'a str,
}

impl Files for HostFiles<'_, '_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        let path = normalise(path, self.directory);
        let mut result = Err(String::new());
        self.host.borrow_mut().with_files(&mut |files| {
            let read = files.read(&path).map_err(|error| error.to_string().to_lowercase());
            result = read.map(|bytes| bytes.to_vec());
        });
        result
    }

    fn list(&mut self, path: &str) -> Option<Vec<String>> {
        let path = normalise(path, self.directory);
        let mut result = None;
        self.host.borrow_mut().with_files(&mut |files| {
            let is_directory = files.stat(&path, true).is_ok_and(|entry| entry.is_directory());
            result = if is_directory { files.list(&path).ok() } else { None };
        });
        result
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String> {
        let path = normalise(path, self.directory);
        let mut result = Err(String::new());
        self.host.borrow_mut().with_files(&mut |files| {
            let mut missing = Vec::new();
            let mut directory = parent(&path);
            while directory != "/" && files.stat(directory, true).is_err() {
                missing.push(directory);
                directory = parent(directory);
            }
            let made = missing.iter().rev().try_for_each(|directory| files.make_directory(directory));
            let written = made.and_then(|()| files.write(&path, bytes, WriteAt::Start));
            result = written.map_err(|error| error.to_string().to_lowercase());
        });
        result
    }
}
