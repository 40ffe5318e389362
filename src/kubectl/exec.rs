//! `kubectl exec`, without a terminal: what the command reads is known when it begins.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/exec/exec.go`.

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::logs;
use crate::api::{Kind, ObjectKey};
use crate::apiserver::ListOptions;
use crate::machinery::order::Order as _;
use crate::machinery::shell::Stream;
use crate::machinery::status::{Reason, Status};
use crate::node::runtime::{ExecOptions, StreamInput};
use crate::sim::ExecStream;

/// A command that runs in a container.
#[derive(Clone, Debug)]
pub(super) struct Exec {
    stream: ExecStream,
    seen: u64,
}

/// Runs `kubectl exec`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let words = cli.arguments();
    let dash = cli.parsed.dash;
    let before = &words[..dash.unwrap_or(words.len())];
    let from_file = cli.flags().has("filename");
    if dash.is_none() && (words.len() > 1 || !words.is_empty() && from_file) {
        return Err(cli.usage("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"));
    }
    if before.is_empty() && !from_file {
        return Err(Failure::message("pod, type/name or --filename must be specified"));
    }
    let command = &words[dash.unwrap_or(words.len())..];
    if command.is_empty() {
        return Err(Failure::message("you must specify at least one command for the container"));
    }
    let pod = pod(cli, before)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::Message(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = container(cli, &pod);
    let reads = cli.flags().is("stdin", false);
    let stdin = cli.stdin.as_bytes();
    let exec = Exec::begin(cli, &pod, &container, command, reads.then_some(stdin))?;
    exec.poll(cli)
}

/// The pod that is meant: one by name, or the likeliest of a workload's.
pub(super) fn pod(cli: &mut Cli<'_>, words: &[String]) -> Result<Value, Failure> {
    let named: Vec<String> =
        words.iter().map(|word| if word.contains('/') { word.clone() } else { format!("pods/{word}") }).collect();
    let infos = builder::find(cli, Query { selects: false, ..Query::new(&named) })?.all()?;
    let [info] = infos.as_slice() else { return Err(Failure::message("expected a resource")) };
    pod_of(cli, info)
}

/// A pod, or the likeliest of the pods of a workload: `AttachablePodForObject`.
fn pod_of(cli: &mut Cli<'_>, info: &Info) -> Result<Value, Failure> {
    if info.kind == Kind::Pod {
        return Ok(info.object.clone());
    }
    let refused = |why: String| Failure::Message(format!("cannot attach to *v1.{}: {why}", info.kind));
    let selector =
        logs::selector_of(info).map_err(|_| refused(format!("selector for *v1.{} not implemented", info.kind)))?;
    let options = ListOptions { label_selector: selector, ..ListOptions::default() };
    let mut list = cli.list(Kind::Pod, &info.namespace, options)?.wire();
    let mut pods = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    pods.order_by(|a, b| logs::rank(a).cmp(&logs::rank(b)));
    pods.into_iter().next().ok_or_else(|| Failure::message("timed out waiting for the condition"))
}

/// The container that `--container` names, or the pod's own choice.
pub(super) fn container(cli: &mut Cli<'_>, pod: &Value) -> String {
    match cli.flags().text("container") {
        "" => logs::default_container(cli, pod),
        given => given.to_owned(),
    }
}

impl Exec {
    /// Begins a command, which reads what it is given to the end.
    pub(super) fn begin(
        cli: &mut Cli<'_>,
        pod: &Value,
        container: &str,
        command: &[String],
        stdin: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or("");
        let key = ObjectKey::new(text("namespace"), text("name"));
        let options = ExecOptions { stdin: stdin.is_some(), terminal: false };
        let stream = cli.api.exec(&key, container, command, options).map_err(refusal)?;
        if let Some(bytes) = stdin {
            cli.api.exec_input(&stream, &StreamInput::of_bytes(bytes));
            cli.api.exec_input(&stream, &StreamInput::End);
        }
        Ok(Self { stream, seen: 0 })
    }

    /// What was written since the last look, and the exit code once there is one.
    pub(super) fn next(&mut self, cli: &Cli<'_>) -> (Vec<(Stream, Vec<u8>)>, Option<i32>) {
        let output = cli.api.exec_output(&self.stream, self.seen);
        self.seen = output.seen;
        let pieces = output.output.into_iter().map(|piece| (piece.stream, piece.bytes)).collect();
        (pieces, output.ended.then_some(output.exit_code.unwrap_or(0)))
    }

    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        let (pieces, code) = self.next(cli);
        for (stream, bytes) in pieces {
            cli.flush();
            cli.written.push((stream, String::from_utf8_lossy(&bytes).into_owned()));
        }
        match code {
            None => Ok(Step::Wait(Waiting::Exec(self))),
            Some(0) => Ok(Step::Done),
            Some(code) => Err(terminated(code)),
        }
    }
}

/// What is said of a command that failed; kubectl ends as it did.
pub(super) fn terminated(code: i32) -> Failure {
    Failure::Code(code, Box::new(Failure::Plain(format!("command terminated with exit code {code}"))))
}

/// A refusal of the kubelet comes without the API server's name before it.
fn refusal(status: Status) -> Failure {
    match status.reason() {
        Reason::InternalError | Reason::Unknown => Failure::Message(status.message().to_owned()),
        _ => Failure::Status(status),
    }
}
