//! Talking with what runs in containers, so that it happens again when the session is played again.
//!
//! A command that begins, everything that is typed into it, and every request that reaches a pod from outside are
//! actions in the log. What comes back is only read, and leaves no trace.

use serde::{Deserialize, Serialize};

use crate::api::{Name, ObjectKey};
use crate::machinery::shell::{HttpRequest, NetworkRequest};
use crate::machinery::status::Status;
use crate::node::runtime::{ExecOptions, StreamInput};
use crate::sim::{AttachStream, Cluster, ExecStream, PodAnswer};

use super::action::Action;
use super::play::Session;

/// A command that begins in a container: `kubectl exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecCommand {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container; the pod's only one when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub container: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// What it can read at once.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stdin: String,
    /// Whether more may follow, in [`Action::ExecInput`].
    #[serde(skip_serializing_if = "is_false")]
    pub open: bool,
    /// Whether it has a terminal.
    #[serde(skip_serializing_if = "is_false")]
    pub tty: bool,
}

/// Something for a command that was begun before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecInput {
    /// The node that it runs on.
    pub node: String,
    /// Its number there.
    pub exec: u64,
    /// What comes.
    pub input: StreamInput,
}

/// Something for a container's own program: what `kubectl attach` passes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachInput {
    /// The node that it runs on.
    pub node: String,
    /// The container's identity there.
    pub container: String,
    /// What comes.
    pub input: StreamInput,
}

/// An HTTP request that reaches a port of a pod from outside, as `kubectl port-forward` brings it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRequest {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The port.
    pub port: u16,
    /// `GET` and the like.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<StreamInput>,
}

/// A single request from outside of the cluster: HTTP, or whether a port or a machine answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutsideRequest {
    /// The address that it goes to.
    pub address: String,
    /// The port; 0 asks only whether the machine is there.
    pub port: u16,
    /// `GET` and the like; empty for a connection without a request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The host by its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
    /// The path with its query.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// Headers, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<StreamInput>,
}

impl OutsideRequest {
    /// A request of a program outside, if it goes to an address.
    #[must_use]
    pub fn of(request: &NetworkRequest) -> Option<Self> {
        let address = request.address().to_owned();
        address.parse::<std::net::Ipv4Addr>().ok()?;
        let port = request.port().unwrap_or(0);
        Some(match request {
            NetworkRequest::Http(http) => Self {
                address,
                port,
                method: http.method.clone(),
                host: http.host.clone(),
                path: http.path.clone(),
                headers: http.headers.clone(),
                body: Some(http.body.as_slice()).filter(|body| !body.is_empty()).map(StreamInput::of_bytes),
            },
            _ => Self { address, port, ..Self::default() },
        })
    }

    pub(super) fn len(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.path.len() + self.host.len() + headers + self.body.as_ref().map_or(0, StreamInput::len)
    }

    pub(super) fn send(&self, cluster: &mut Cluster) -> u64 {
        let (address, port) = (self.address.clone(), self.port);
        cluster.send_from_outside(match (self.method.is_empty(), port) {
            (true, 0) => NetworkRequest::Ping { host: address },
            (true, _) => NetworkRequest::Connect { host: address, port },
            (false, _) => NetworkRequest::Http(HttpRequest {
                method: self.method.clone(),
                host: if self.host.is_empty() { address.clone() } else { self.host.clone() },
                address,
                port,
                path: self.path.clone(),
                headers: self.headers.clone(),
                body: self.body.as_ref().map(StreamInput::bytes).unwrap_or_default(),
                ..HttpRequest::default()
            }),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl ExecCommand {
    pub(super) fn key(&self) -> ObjectKey {
        ObjectKey::new(self.namespace.as_str(), self.pod.as_str())
    }

    pub(super) fn begin(&self, cluster: &mut Cluster) -> Result<ExecStream, Status> {
        let stdin = self.open || !self.stdin.is_empty();
        let options = ExecOptions { stdin, terminal: self.tty };
        let stream = cluster.exec(&self.key(), &self.container, &self.command, options)?;
        if !self.stdin.is_empty() {
            cluster.exec_input(&stream, &StreamInput::Text(self.stdin.clone()));
        }
        if stdin && !self.open {
            cluster.exec_input(&stream, &StreamInput::End);
        }
        Ok(stream)
    }
}

impl ExecInput {
    pub(super) fn pass_on(&self, cluster: &mut Cluster) {
        let stream = ExecStream { node: Name::from(self.node.as_str()), exec: self.exec };
        cluster.exec_input(&stream, &self.input);
    }
}

impl AttachInput {
    pub(super) fn pass_on(&self, cluster: &mut Cluster) {
        let (node, container) = (Name::from(self.node.as_str()), Name::from(self.container.as_str()));
        cluster.attached_input(&AttachStream { node, container }, &self.input);
    }
}

impl PodRequest {
    pub(super) fn send(&self, cluster: &mut Cluster) -> Result<PodAnswer, Status> {
        let request = HttpRequest {
            method: self.method.clone(),
            host: "localhost".to_owned(),
            port: self.port,
            path: self.path.clone(),
            headers: self.headers.clone(),
            body: self.body.as_ref().map(StreamInput::bytes).unwrap_or_default(),
            client: "127.0.0.1".to_owned(),
            ..HttpRequest::default()
        };
        let key = ObjectKey::new(self.namespace.as_str(), self.pod.as_str());
        cluster.pod_request(&key, request)
    }
}

impl Session {
    /// Begins a command in a container, now. One that is refused leaves no trace.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal, or `ServiceUnavailable` when the session can take no more.
    pub fn exec(&mut self, command: &ExecCommand) -> Result<ExecStream, Status> {
        self.attempt(Action::Exec(command.clone()), |cluster| command.begin(cluster))
    }

    /// Sends a request from outside of the cluster, now. Answers the number by which [`Cluster::outside_answer`] knows it.
    ///
    /// # Errors
    /// `ServiceUnavailable` when the session can take no more.
    pub fn send_from_outside(&mut self, request: &OutsideRequest) -> Result<u64, Status> {
        self.attempt(Action::OutsideRequest(request.clone()), |cluster| Ok(request.send(cluster)))
    }

    /// Sends a pod an HTTP request from outside, now. One that cannot be brought there leaves no trace.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal, or `ServiceUnavailable` when the session can take no more.
    pub fn pod_request(&mut self, request: &PodRequest) -> Result<PodAnswer, Status> {
        self.attempt(Action::PodRequest(request.clone()), |cluster| request.send(cluster))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::machinery::shell::NetworkAnswer;
    use crate::session::{File, SessionConfig, SessionLog};

    const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  \
                       - {name: c, image: 'nginx:1.27', stdin: true}\n";

    fn played() -> Session {
        let mut session = Session::new(SessionConfig::default());
        session.run_until(session.now() + Duration::from_secs(20));
        let files = vec![File { name: "pod.yaml".to_owned(), text: POD.to_owned() }];
        let apply = Action::Apply { files, namespace: "default".to_owned(), dry_run: false };
        assert!(session.act(apply).is_ok_and(|outcome| outcome.is_success()));
        session.run_until(session.now() + Duration::from_secs(20));
        session
    }

    fn command(words: &[&str]) -> ExecCommand {
        let command = words.iter().map(|word| (*word).to_owned()).collect();
        ExecCommand { namespace: "default".to_owned(), pod: "web".to_owned(), command, ..ExecCommand::default() }
    }

    fn said(session: &Session, stream: &ExecStream) -> (String, Option<i32>) {
        let answer = session.cluster().exec_output(stream, 0);
        let pieces = answer.output.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned());
        (pieces.collect(), answer.exit_code)
    }

    #[test]
    fn what_was_done_in_containers_is_done_again() {
        let mut session = played();
        let write = ExecCommand {
            stdin: "<h1>hi</h1>\n".to_owned(),
            ..command(&["sh", "-c", "cat > /usr/share/nginx/html/hi"])
        };
        let stream = session.exec(&write).expect("it runs");
        session.run_until(session.now() + Duration::from_secs(1));
        assert_eq!(said(&session, &stream), (String::new(), Some(0)));
        let hash = session.hash();
        let refused = session.exec(&command(&["nonsense"])).expect_err("there is no such command");
        assert!(refused.message().contains("executable file not found in $PATH"), "{refused}");
        assert_eq!(session.hash(), hash, "what is refused leaves no trace");
        let shell = session.exec(&ExecCommand { open: true, ..command(&["sh"]) }).expect("it runs");
        for input in
            [StreamInput::Text("echo one; read x; echo \"got $x\"\n".to_owned()), StreamInput::of_bytes(b"two\n")]
        {
            session.run_until(session.now() + Duration::from_millis(700));
            let input = ExecInput { node: shell.node.to_string(), exec: shell.exec, input };
            session.act(Action::ExecInput(input)).expect("it is passed on");
        }
        session.run_until(session.now() + Duration::from_millis(700));
        assert_eq!(said(&session, &shell), ("one\ngot two\n".to_owned(), None));
        let request = PodRequest {
            namespace: "default".to_owned(),
            pod: "web".to_owned(),
            port: 80,
            method: "GET".to_owned(),
            path: "/hi".to_owned(),
            headers: vec![("Host".to_owned(), "localhost:8080".to_owned())],
            body: None,
        };
        let answer = session.pod_request(&request).expect("it is brought there");
        let PodAnswer::Answered(NetworkAnswer::Http(answer)) = answer else { panic!("an answer: {answer:?}") };
        assert_eq!((answer.status, String::from_utf8_lossy(&answer.body).as_ref()), (200, "<h1>hi</h1>\n"));
        // The container ends by what is done in it, and the kubelet starts another.
        session.exec(&command(&["sh", "-c", "kill 1"])).expect("it runs");
        session.run_until(session.now() + Duration::from_secs(30));
        let log = session.log().to_json();
        let again = Session::from_log(SessionLog::from_json(&log).expect("a session's own log is well-formed"));
        assert_eq!(again.hash(), session.hash());
        assert_eq!(said(&again, &shell), said(&session, &shell));
        let restarts = session
            .cluster()
            .api()
            .etcd()
            .get(crate::api::Kind::Pod, &write.key())
            .map(|pod| pod.to_value()["status"]["containerStatuses"][0]["restartCount"].clone());
        assert_eq!(restarts, Some(1.into()));
    }
}
