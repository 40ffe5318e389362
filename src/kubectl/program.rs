//! kubectl as a program of a shell's host.
//!
//! The host gives it the cluster (`Host::world`) and its files; between two looks at the cluster a command that waits
//! sleeps for as long as a watch event takes to reach a client.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::api::{Api, Change, ExecRequest, Stream};
use super::cli::{Config, Fetched, Files};
use super::{Forwarded, Kubectl, Polled};
use crate::api::{Kind, ObjectKey};
use crate::apiserver::{Answer, Request, Response, Target};
use crate::etcd::Revision;
use crate::machinery::shell::files::{WriteAt, normalise};
use crate::machinery::shell::{
    self, CommandIo, CommandPoll, CommandRun, Host, HttpRequest, Input, NetworkAnswer, Signal, SignalAction,
};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::runtime::{LogLine, StreamInput};
use crate::sim::{PodLogOptions, StreamOutput};

/// Where programs leave notes for who runs the host, if anybody reads them.
pub const NOTES: &str = "/run/page";
/// The note that names a file which is not there and is wanted.
pub const WANTED: &str = "wanted";
/// How often a command that waits looks at the cluster.
const WATCH_INTERVAL: Duration = Duration::from_millis(20);
/// How much of standard input is read at once.
const READ_BYTES_MAX: usize = 1 << 16;
/// How much of standard input is read at all: the API server takes no more in a request.
const STDIN_BYTES_MAX: usize = 3 << 20;

/// A running kubectl, whose host has a `W` as its world.
pub struct Program<W> {
    config: Config,
    /// How long it takes to start and to find out what the API server serves.
    start: Duration,
    state: State,
    /// Whether Ctrl-C is to be passed on to whom it talks with.
    interrupted: bool,
    world: PhantomData<fn() -> W>,
}

impl<W> Clone for Program<W> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), state: self.state.clone(), world: PhantomData, ..*self }
    }
}

impl<W> fmt::Debug for Program<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("config", &self.config).field("state", &self.state).finish_non_exhaustive()
    }
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

impl<W: Api + 'static> Program<W> {
    /// kubectl with this configuration, which takes `start` before it does anything.
    #[must_use]
    pub const fn new(config: Config, start: Duration) -> Self {
        Self { config, start, state: State::New, interrupted: false, world: PhantomData }
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
        let mut config = self.config.clone();
        let named = ["KUBE_EDITOR", "EDITOR"].iter().filter_map(|name| io.variable(name));
        if let Some(editor) = named.into_iter().find(|editor| !editor.is_empty()) {
            config.editor = editor;
        }
        self.state = State::Starts(Kubectl::new(io.arguments(), config, stdin));
        CommandPoll::Until(io.now() + self.start)
    }

    fn run(&mut self, io: &mut CommandIo<'_>, mut kubectl: Kubectl) -> CommandPoll {
        if std::mem::take(&mut self.interrupted) {
            kubectl.typed(StreamInput::Interrupt);
        }
        if kubectl.is_talking() {
            type_into(io, &mut kubectl);
        }
        if let Some(code) = io.take_status() {
            kubectl.ran(code);
        }
        let directory = io.process.directory.clone();
        let Some(polled) = poll::<W>(io.host, &mut kubectl, &directory) else {
            io.complain("there is no cluster here");
            return CommandPoll::Exited(1);
        };
        for (stream, text) in &polled.written {
            io.write(if *stream == shell::Stream::Out { 1 } else { 2 }, text.as_bytes());
        }
        if let Some(code) = polled.exit {
            return CommandPoll::Exited(code);
        }
        if let Some(argv) = polled.run {
            self.state = State::Runs(kubectl);
            return CommandPoll::Run(argv, None);
        }
        let next = io.now() + WATCH_INTERVAL;
        let reads = kubectl.is_talking();
        self.state = State::Runs(kubectl);
        if reads { CommandPoll::ReadableUntil(0, next) } else { CommandPoll::Until(next) }
    }
}

/// Passes on what stands in standard input.
fn type_into(io: &mut CommandIo<'_>, kubectl: &mut Kubectl) {
    loop {
        match io.read(0, READ_BYTES_MAX) {
            Input::Data(bytes) => kubectl.typed(StreamInput::of_bytes(&bytes)),
            Input::Pending => return,
            Input::End => return kubectl.typed(StreamInput::End),
        }
    }
}

impl<W: Api + 'static> CommandRun for Program<W> {
    fn step(&mut self, io: &mut CommandIo<'_>) -> CommandPoll {
        match std::mem::replace(&mut self.state, State::New) {
            State::New if Kubectl::reads_stdin(&io.arguments()) => self.read(io, Vec::new()),
            State::New => self.begin(io, String::new()),
            State::Reads(held) => self.read(io, held),
            State::Starts(kubectl) | State::Runs(kubectl) => self.run(io, kubectl),
        }
    }

    fn has_terminal(&self) -> bool {
        matches!(&self.state, State::Runs(kubectl) if kubectl.has_terminal())
    }

    fn listens(&self, port: u16, _: Time) -> bool {
        self.ports().contains(&port)
    }

    fn ports(&self) -> Vec<u16> {
        match &self.state {
            State::Runs(kubectl) => kubectl.ports(),
            _ => Vec::new(),
        }
    }

    /// What comes for a pod is passed on, to an address that only whoever carries requests for kubectl knows: `pod:`
    /// with its namespace and name.
    fn connect(&mut self, request: &HttpRequest, io: &mut CommandIo<'_>) -> NetworkAnswer {
        let State::Runs(kubectl) = &self.state else { return NetworkAnswer::Refused { address: String::new() } };
        let Some((forwarded, said)) = connect::<W>(io.host, kubectl, request) else {
            return NetworkAnswer::Refused { address: String::new() };
        };
        io.out(&said);
        match forwarded {
            Forwarded::Answered(answer) => answer,
            Forwarded::Pod(pod, port) => {
                let address = format!("pod:{}/{}", pod.namespace, pod.name);
                NetworkAnswer::Forward(Box::new(HttpRequest { address, port, ..request.clone() }))
            }
        }
    }

    /// Ctrl-C ends kubectl, unless it stands for a terminal in a container: then it is meant for what runs there.
    fn signal(&mut self, signal: Signal) -> SignalAction {
        if signal == Signal::Interrupt && self.has_terminal() {
            self.interrupted = true;
            return SignalAction::Wake;
        }
        SignalAction::Default
    }

    fn clone_box(&self) -> Box<dyn CommandRun> {
        Box::new(self.clone())
    }
}

/// Polls kubectl with the host's cluster and files; nothing when the host has no cluster.
fn poll<W: Api + 'static>(host: &mut dyn Host, kubectl: &mut Kubectl, directory: &str) -> Option<Polled> {
    host.world()?.downcast_mut::<W>()?;
    // Cluster and files are both the host's; each call borrows it for as long as it lasts.
    let host = RefCell::new(host);
    let mut files = HostFiles { host: &host, directory };
    let mut api = HostApi { host: &host, world: |host| Some(host.world()?.downcast_mut::<W>()? as &mut dyn Api) };
    Some(kubectl.poll(&mut api, &mut files))
}

/// Lets kubectl say where a request goes that came to one of its ports.
fn connect<W: Api + 'static>(
    host: &mut dyn Host,
    kubectl: &Kubectl,
    request: &HttpRequest,
) -> Option<(Forwarded, String)> {
    let host = RefCell::new(host);
    let mut api = HostApi { host: &host, world: |host| Some(host.world()?.downcast_mut::<W>()? as &mut dyn Api) };
    kubectl.connect(request, &mut api)
}

/// The API server of the host's cluster.
struct HostApi<'a, 'h> {
    host: &'a RefCell<&'h mut dyn Host>,
    /// The cluster that is the host's world.
    world: for<'w> fn(&'w mut dyn Host) -> Option<&'w mut dyn Api>,
}

impl HostApi<'_, '_> {
    fn with<R>(&self, absent: R, work: impl FnOnce(&mut dyn Api) -> R) -> R {
        let mut host = self.host.borrow_mut();
        match (self.world)(&mut **host) {
            Some(api) => work(api),
            None => absent,
        }
    }
}

fn absent() -> Status {
    Status::new(Reason::ServiceUnavailable, "there is no cluster here")
}

impl Api for HostApi<'_, '_> {
    fn now(&self) -> Time {
        self.host.borrow().now()
    }

    fn request(&mut self, request: Request) -> Result<Answer, Status> {
        self.with(Err(absent()), |api| api.request(request))
    }

    fn show_managed_fields(&self, response: &mut Response) {
        self.with((), |api| api.show_managed_fields(response));
    }

    fn custom_kinds(&self) -> Vec<Kind> {
        self.with(Vec::new(), |api| api.custom_kinds())
    }

    fn address(&self, path: &str) -> Result<Target, Status> {
        self.with(Err(absent()), |api| api.address(path))
    }

    fn revision(&self) -> Revision {
        self.with(0, |api| api.revision())
    }

    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status> {
        self.with(Err(absent()), |api| api.changes(kind, after))
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.with(Err(absent()), |api| api.logs(namespace, pod, options))
    }

    fn exec(&mut self, request: &ExecRequest) -> Result<Stream, Status> {
        self.with(Err(absent()), |api| api.exec(request))
    }

    fn attach(&self, pod: &ObjectKey, container: &str) -> Result<Stream, Status> {
        self.with(Err(absent()), |api| api.attach(pod, container))
    }

    fn stream_output(&self, stream: &Stream, seen: u64) -> StreamOutput {
        self.with(StreamOutput::default(), |api| api.stream_output(stream, seen))
    }

    fn stream_input(&mut self, stream: &Stream, input: StreamInput) {
        self.with((), |api| api.stream_input(stream, input));
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
            for (at, _) in path.match_indices('/').skip(1) {
                // A folder that is there already is what is wanted.
                let _ = files.make_directory(&path[..at]);
            }
            let written = files.write(&path, bytes, WriteAt::Start);
            result = written.map_err(|error| error.to_string().to_lowercase());
        });
        result
    }

    /// What is not there is asked for with a note, where somebody reads notes, and an empty file says that there is none.
    fn fetch(&mut self, path: &str) -> Fetched {
        match self.read(path) {
            Ok(bytes) if bytes.is_empty() => Fetched::Absent,
            Ok(bytes) => Fetched::Here(bytes),
            Err(_) if self.list(NOTES).is_none() => Fetched::Absent,
            Err(_) => match self.write(&format!("{NOTES}/{WANTED}"), path.as_bytes()) {
                Ok(()) => Fetched::Coming,
                Err(_) => Fetched::Absent,
            },
        }
    }

    fn remove(&mut self, path: &str) {
        let path = normalise(path, self.directory);
        self.host.borrow_mut().with_files(&mut |files| {
            // One that is not there is gone already.
            let _ = files.remove(&path);
        });
    }
}
