//! The door that kubectl knocks at.

use serde_json::Value;

use crate::api::{Kind, Object, ObjectKey, form};
use crate::apiserver::{Answer, Request, Response, Target};
use crate::etcd::Revision;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::node::runtime::{ExecOptions, LogLine, StreamInput};
use crate::sim::{AttachStream, Cluster, ExecStream, PodLogOptions, StreamOutput};

/// A change of an object, as a watch tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    pub event: &'static str,
    /// The revision of the change.
    pub revision: Revision,
    /// The object after it, or as it was last.
    pub object: Object,
}

impl Change {
    /// The object as it goes over the wire.
    #[must_use]
    pub fn value(&self) -> Value {
        form::encode(&self.object)
    }
}

/// A command that is to run in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecRequest {
    /// The pod.
    pub pod: ObjectKey,
    /// The container.
    pub container: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// Whether something may be typed into it.
    pub stdin: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// A talk with what runs in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// With a command that was begun for it.
    Exec(ExecStream),
    /// With the container's own program.
    Attached(AttachStream),
}

/// An API server, as a client in another process sees it.
pub trait Api {
    /// The time.
    fn now(&self) -> Time;

    /// Sends a request.
    ///
    /// # Errors
    /// The API server's refusal.
    fn request(&mut self, request: Request) -> Result<Answer, Status>;

    /// Puts `metadata.managedFields` into the objects of an answer. A real client gets them always; working them out
    /// costs time, so that only commands that look at them ask.
    fn show_managed_fields(&self, response: &mut Response);

    /// The custom kinds that are served, in all their versions, the preferred ones first: discovery.
    fn custom_kinds(&self) -> Vec<Kind>;

    /// What a path is about.
    ///
    /// # Errors
    /// `NotFound` when it leads nowhere.
    fn address(&self, path: &str) -> Result<Target, Status>;

    /// The newest revision.
    fn revision(&self) -> Revision;

    /// A watch of a kind, as far as it has come: the changes after a revision, oldest first.
    ///
    /// # Errors
    /// `Expired` when some of them are not kept any more.
    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status>;

    /// What a container of a pod wrote.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status>;

    /// Begins a command in a container.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    fn exec(&mut self, request: &ExecRequest) -> Result<Stream, Status>;

    /// Attaches to a container's own program.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    fn attach(&self, pod: &ObjectKey, container: &str) -> Result<Stream, Status>;

    /// What was written after the first `seen` pieces.
    fn stream_output(&self, stream: &Stream, seen: u64) -> StreamOutput;

    /// Passes on what is typed.
    fn stream_input(&mut self, stream: &Stream, input: StreamInput);
}

impl Api for Cluster {
    fn now(&self) -> Time {
        Self::now(self)
    }

    fn request(&mut self, request: Request) -> Result<Answer, Status> {
        Self::request(self, request)
    }

    fn show_managed_fields(&self, response: &mut Response) {
        self.api().show_managed_fields(response);
    }

    fn custom_kinds(&self) -> Vec<Kind> {
        self.api().custom_versions()
    }

    fn address(&self, path: &str) -> Result<Target, Status> {
        self.api().address(path)
    }

    fn revision(&self) -> Revision {
        self.api().etcd().revision()
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.pod_logs(namespace, pod, options)
    }

    fn exec(&mut self, request: &ExecRequest) -> Result<Stream, Status> {
        let options = ExecOptions { stdin: request.stdin, terminal: request.tty };
        Self::exec(self, &request.pod, &request.container, &request.command, options).map(Stream::Exec)
    }

    fn attach(&self, pod: &ObjectKey, container: &str) -> Result<Stream, Status> {
        Self::attach(self, pod, container).map(Stream::Attached)
    }

    fn stream_output(&self, stream: &Stream, seen: u64) -> StreamOutput {
        match stream {
            Stream::Exec(stream) => self.exec_output(stream, seen),
            Stream::Attached(stream) => self.attached_output(stream, seen),
        }
    }

    fn stream_input(&mut self, stream: &Stream, input: StreamInput) {
        match stream {
            Stream::Exec(stream) => self.exec_input(stream, &input),
            Stream::Attached(stream) => self.attached_input(stream, &input),
        }
    }

    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status> {
        let commits = self.api().etcd().watch(after).map_err(|_| Status::expired("too old resource version"))?;
        let of_kind = commits.filter(|commit| commit.kind() == kind);
        Ok(of_kind
            .map(|commit| Change {
                event: match (&commit.before, &commit.after) {
                    (None, _) => "ADDED",
                    (_, Some(_)) => "MODIFIED",
                    (_, None) => "DELETED",
                },
                revision: commit.revision,
                object: commit.object().clone().in_version(kind),
            })
            .collect())
    }
}
