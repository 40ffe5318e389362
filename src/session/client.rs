//! A session as the API server that kubectl in the page talks to.
//!
//! What kubectl writes and what it does in containers are actions in the log; what it reads leaves no trace.

use serde_json::{Value, json};

use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{Answer, Call, Request, Response, Target, User};
use crate::etcd::Revision;
use crate::kubectl::{Api, Change, ExecRequest, Stream};
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::node::runtime::{LogLine, StreamInput};
use crate::sim::{PodLogOptions, StreamOutput};

use super::action::Action;
use super::play::Session;
use super::streams::{AttachInput, ExecCommand, ExecInput};

impl Session {
    /// Whether policies let the administrator connect to a pod.
    fn admit(&self, pod: &ObjectKey, way: Subresource, options: Value) -> Result<(), Status> {
        let target = Target::object(Kind::Pod, pod).below(way);
        self.cluster().api().admit_connection(Self::now(self), &User::admin(), &target, options).map(|_| ())
    }
}

impl Api for Session {
    fn now(&self) -> Time {
        Self::now(self)
    }

    fn request(&mut self, request: Request) -> Result<Answer, Status> {
        let line = request.cause.why.values.first().cloned().unwrap_or_default();
        Self::request(self, &Call::of_request(&request, &line))
    }

    fn show_managed_fields(&self, response: &mut Response) {
        self.cluster().api().show_managed_fields(response);
    }

    fn custom_kinds(&self) -> Vec<Kind> {
        self.cluster().api().custom_versions()
    }

    fn address(&self, path: &str) -> Result<Target, Status> {
        self.cluster().api().address(path)
    }

    fn revision(&self) -> Revision {
        Api::revision(self.cluster())
    }

    fn changes(&self, kind: Kind, after: Revision) -> Result<Vec<Change>, Status> {
        self.cluster().changes(kind, after)
    }

    fn logs(&self, namespace: &str, pod: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        self.cluster().pod_logs(namespace, pod, options)
    }

    fn exec(&mut self, request: &ExecRequest) -> Result<Stream, Status> {
        let mut options = json!({ "container": request.container, "command": request.command, "stdout": true });
        options[if request.tty { "tty" } else { "stderr" }] = true.into();
        if request.stdin {
            options["stdin"] = true.into();
        }
        self.admit(&request.pod, Subresource::Exec, options)?;
        let command = ExecCommand {
            namespace: request.pod.namespace.to_string(),
            pod: request.pod.name.to_string(),
            container: request.container.clone(),
            command: request.command.clone(),
            stdin: String::new(),
            open: request.stdin,
            tty: request.tty,
        };
        Self::exec(self, &command).map(Stream::Exec)
    }

    fn attach(&self, pod: &ObjectKey, container: &str) -> Result<Stream, Status> {
        self.admit(pod, Subresource::Attach, json!({ "container": container, "stdout": true, "stderr": true }))?;
        self.cluster().attach(pod, container).map(Stream::Attached)
    }

    fn stream_output(&self, stream: &Stream, seen: u64) -> StreamOutput {
        self.cluster().stream_output(stream, seen)
    }

    fn stream_input(&mut self, stream: &Stream, input: StreamInput) {
        let action = match stream {
            Stream::Exec(stream) => {
                Action::ExecInput(ExecInput { node: stream.node.to_string(), exec: stream.exec, input })
            }
            Stream::Attached(stream) => {
                let (node, container) = (stream.node.to_string(), stream.container.to_string());
                Action::AttachInput(AttachInput { node, container, input })
            }
        };
        // A session whose log is full says so at the next request.
        let _ = self.act(action);
    }
}
