//! The door that kubectl knocks at.

use serde_json::Value;

use crate::api::{Kind, Object, ObjectKey, form};
use crate::apiserver::{Answer, Request, Response};
use crate::etcd::Revision;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::node::runtime::{ExecOptions, LogLine, StreamInput};
use crate::sim::{Cluster, ExecStream, PodLogOptions, StreamOutput};

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

    /// Runs a command in a container of a pod.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    fn exec(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecStream, Status>;

    /// What the command wrote after the first `seen` pieces.
    fn exec_output(&self, stream: &ExecStream, seen: u64) -> StreamOutput;

    /// Passes on to the command what it is to read.
    fn exec_input(&mut self, stream: &ExecStream, input: &StreamInput);
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

    fn revision(&self) -> Revision {
        self.api().etcd().revision()
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.pod_logs(namespace, pod, options)
    }

    fn exec(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecStream, Status> {
        Self::exec(self, pod, container, command, options)
    }

    fn exec_output(&self, stream: &ExecStream, seen: u64) -> StreamOutput {
        Self::exec_output(self, stream, seen)
    }

    fn exec_input(&mut self, stream: &ExecStream, input: &StreamInput) {
        Self::exec_input(self, stream, input);
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
                object: commit.object().clone(),
            })
            .collect())
    }
}
