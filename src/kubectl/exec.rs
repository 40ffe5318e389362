//! `kubectl exec`, and talks with what runs in a container.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/exec`.

use std::time::Duration;

use serde_json::Value;

use super::api::{ExecRequest, Stream};
use super::builder::{self, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use super::{attach, logs};
use crate::api::{Kind, ObjectKey};
use crate::apiserver::ListOptions;
use crate::machinery::shell;
use crate::machinery::status::Status;

/// `--pod-running-timeout`: so long the pods of an object may take to appear.
const POD_TIMEOUT: Duration = Duration::from_secs(60);

/// A talk with a program in a container.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    stream: Stream,
    /// How many pieces of its output have been seen.
    seen: u64,
    stdin: bool,
    tty: bool,
    /// What is done when it is over.
    then: Option<Box<attach::Ending>>,
}

impl Talk {
    /// Whether it takes what is typed.
    pub(super) const fn reads(&self) -> bool {
        self.stdin
    }

    /// Whether it stands for a terminal.
    pub(super) const fn has_terminal(&self) -> bool {
        self.stdin && self.tty
    }

    /// Passes on what was typed, and shows what was said.
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        for input in std::mem::take(&mut cli.typed) {
            cli.api.stream_input(&self.stream, input);
        }
        let said = cli.api.stream_output(&self.stream, self.seen);
        cli.flush();
        for piece in &said.output {
            // A terminal is one stream.
            let stream = if self.tty { shell::Stream::Out } else { piece.stream };
            cli.written.push((stream, String::from_utf8_lossy(&piece.bytes).into_owned()));
        }
        match (said.ended, said.exit_code) {
            (false, _) => Ok(Step::Wait(Waiting::Talk(Self { seen: said.seen, ..self }))),
            (true, code) => match (self.then, code) {
                (Some(ending), _) => ending.begin(cli),
                (None, None | Some(0)) => Ok(Step::Done),
                (None, Some(code)) => Err(Failure::Command(code)),
            },
        }
    }

    /// A talk with what a stream leads to, of whose output `seen` pieces are old.
    pub(super) const fn new(stream: Stream, seen: u64, stdin: bool, tty: bool) -> Self {
        Self { stream, seen, stdin, tty, then: None }
    }

    /// The same, with something to do when it is over.
    pub(super) fn then(self, ending: attach::Ending) -> Self {
        Self { then: Some(Box::new(ending)), ..self }
    }
}

/// Runs `kubectl exec`.
pub(super) fn exec(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let dash = cli.parsed.dash;
    let (named, command) = cli.arguments().split_at(dash.unwrap_or(cli.arguments().len()).min(cli.arguments().len()));
    if dash.is_none() && named.len() > 1 {
        return Err(cli.usage("exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"));
    }
    if named.is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message("pod, type/name or --filename must be specified"));
    }
    if command.is_empty() {
        return Err(Failure::message("you must specify at least one command for the container"));
    }
    let command = command.to_vec();
    let pod = pod(cli, named).map_err(|failure| without_namespace(cli, failure))?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::Message(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = container(cli, &pod)?;
    let (stdin, tty) = (cli.flags().is("stdin", false), cli.flags().is("tty", false));
    let request = ExecRequest { pod: key_of(&pod), container, command, stdin, tty: tty && stdin };
    let stream = cli.api.exec(&request).map_err(not_run)?;
    Talk::new(stream, 0, stdin, request.tty).poll(cli)
}

/// What is missing when a pod is not there: its namespace, perhaps.
fn without_namespace(cli: &mut Cli<'_>, failure: Failure) -> Failure {
    let namespace = cli.namespace();
    match cli.get(Kind::Namespace, "", &namespace) {
        Err(status) if failure.is_not_found() && status.is_not_found() => Failure::Status(status),
        _ => failure,
    }
}

/// What a refused stream is told as.
pub(super) fn not_run(status: Status) -> Failure {
    if status.message().starts_with("OCI runtime exec failed") || status.message().contains("failed to exec") {
        return Failure::Message(format!("Internal error occurred: {}", status.message()));
    }
    Failure::Status(status)
}

/// The pod that is meant, or the first of an object's pods: `AttachablePodForObject`. Two words are a kind and a name.
pub(super) fn pod(cli: &mut Cli<'_>, named: &[String]) -> Result<Value, Failure> {
    let words: Vec<String> = match named {
        [word] if !word.contains('/') => vec![format!("pods/{word}")],
        words => words.to_vec(),
    };
    let mut infos = builder::find(cli, Query { selects: false, ..Query::new(&words) })?.all()?;
    if infos.len() != 1 {
        return Err(Failure::message("expected a resource"));
    }
    let info = infos.remove(0);
    if info.kind == Kind::Pod {
        return Ok(info.object);
    }
    let label_selector = logs::selector_of(&info, "attach to")?;
    let options = ListOptions { label_selector, ..ListOptions::default() };
    let list = cli.list(Kind::Pod, &info.namespace, options)?.wire();
    let mut pods: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    logs::by_likelihood(&mut pods);
    if pods.is_empty() {
        return Err(Failure::Message(format!(
            "timed out waiting for the condition after {}s: {}/{} has no pods",
            POD_TIMEOUT.as_secs(),
            info.kind.info().singular,
            info.name
        )));
    }
    Ok(pods.remove(0))
}

pub(super) fn container(cli: &mut Cli<'_>, pod: &Value) -> Result<String, Failure> {
    let wanted = cli.flags().text("container").to_owned();
    if wanted.is_empty() {
        return Ok(logs::default_container(cli, pod));
    }
    let all = ["initContainers", "containers", "ephemeralContainers"];
    if all.iter().flat_map(|field| logs::names(pod, field)).any(|name| name == wanted) {
        return Ok(wanted);
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or("");
    if cli.parsed.command.name == "attach" {
        return Err(Failure::Message(format!(
            "cannot attach to the container: container {wanted} not found in pod {name}"
        )));
    }
    Err(Failure::Status(Status::bad_request(format!("container {wanted} is not valid for pod {name}"))))
}

pub(super) fn key_of(pod: &Value) -> ObjectKey {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or("");
    ObjectKey::new(text("namespace"), text("name"))
}
