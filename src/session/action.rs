//! What can be done to a session, as data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::api::{Kind, ObjectKey};
use crate::apiserver::{
    Call, DeleteOptions, FieldValidation, Patch, Propagation, Request, Target, User, Verb, WriteOptions,
};
use crate::etcd::{Cause, Why};
use crate::kubectl::apply;
use crate::machinery::manifest::{self, Manifest};
use crate::machinery::status::Status;
use crate::machinery::yaml::Span;
use crate::node::kubelet::MANIFEST_FOLDER;
use crate::node::runtime::StreamInput;
use crate::sim::{Cluster, ComponentFault, MachineError, NodeGroupSpec, NodeShutdown, NodeSpec, TrafficSpec};

use super::streams::{AttachInput, ExecCommand, ExecInput, OutsideRequest, PodRequest};

/// A file as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Its name, such as `web.yaml`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// An object by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectName {
    /// `Deployment` with `apps/v1`, in the form that a manifest has them.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for cluster-scoped kinds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A node, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeName {
    /// The name.
    pub name: String,
}

/// What happens to a component of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbance {
    /// The component: `kube-scheduler`, `kubelet/node-1`.
    pub component: String,
    /// What happens.
    pub fault: ComponentFault,
}

/// Something that a user does to a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// `kubectl apply -f` of some files.
    Apply {
        /// The files.
        files: Vec<File>,
        /// The namespace of objects that name none.
        #[serde(default = "default_namespace")]
        namespace: String,
        /// Do everything but store.
        #[serde(default, rename = "dryRun")]
        dry_run: bool,
    },
    /// `kubectl delete`.
    Delete {
        /// What.
        object: ObjectName,
        /// `Background`, `Foreground` or `Orphan`.
        #[serde(default)]
        propagation: Option<String>,
        /// Seconds to end by itself.
        #[serde(default, rename = "gracePeriodSeconds")]
        grace_period_seconds: Option<i64>,
    },
    /// `kubectl scale`.
    Scale {
        /// What.
        object: ObjectName,
        /// To how many.
        replicas: i32,
    },
    /// `kubectl patch --type merge`.
    Patch {
        /// What.
        object: ObjectName,
        /// The merge patch.
        patch: serde_json::Value,
    },
    /// A real client wrote something.
    Request(Call),
    /// A machine joins.
    AddNode(NodeSpec),
    /// A machine is taken away, and its Node object with it.
    RemoveNode(NodeName),
    /// A group of machines is there from now on, which cluster-autoscaler makes larger and smaller.
    SetNodeGroup(NodeGroupSpec),
    /// A group of machines is given up; its machines stay.
    RemoveNodeGroup(NodeName),
    /// A machine loses its power; its Node object stays.
    StopNode(NodeName),
    /// A machine is shut down: its kubelet ends the pods in order, then the power goes.
    ShutdownNode(NodeShutdown),
    /// A stopped machine starts again.
    StartNode(NodeName),
    /// Somebody writes a file into a machine's `/etc/kubernetes/manifests`, from which its kubelet runs static pods.
    WriteManifest {
        /// The node.
        node: String,
        /// The file's name.
        file: String,
        /// What is in it.
        text: String,
    },
    /// Somebody removes a file from a machine's `/etc/kubernetes/manifests`.
    RemoveManifest {
        /// The node.
        node: String,
        /// The file's name.
        file: String,
    },
    /// A machine is cut off from the API server; its containers run on.
    PartitionNode(NodeName),
    /// A machine that was cut off is joined again.
    HealNode(NodeName),
    /// A container's process dies.
    CrashContainer {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        pod: String,
        /// The container; the first when empty.
        #[serde(default)]
        container: String,
    },
    /// A container's probe fails, or follows its own mind again.
    FailProbe {
        /// The pod's namespace.
        namespace: String,
        /// The pod's name.
        pod: String,
        /// The container; the first when empty.
        #[serde(default)]
        container: String,
        /// `readiness`, `liveness` or `startup`.
        probe: String,
        /// Whether it fails from now on.
        fails: bool,
    },
    /// An image cannot be pulled any more, or can be again.
    BreakImage {
        /// The image, as manifests name it.
        image: String,
        /// Whether it is broken from now on.
        broken: bool,
    },
    /// Something goes wrong with a component, or is set right again.
    Disturb(Disturbance),
    /// etcd has no room left, so that nothing can be written, or has some again.
    FillStore {
        /// Whether it is full from now on.
        full: bool,
    },
    /// A command begins in a container.
    Exec(ExecCommand),
    /// Somebody types something into a command.
    ExecInput(ExecInput),
    /// Somebody types something into a container.
    AttachInput(AttachInput),
    /// A request reaches a pod from outside.
    PodRequest(PodRequest),
    /// A single request comes from outside of the cluster.
    OutsideRequest(OutsideRequest),
    /// A client sends requests at a rate from now on.
    StartTraffic(TrafficSpec),
    /// A client sends nothing more.
    StopTraffic {
        /// Its name.
        name: String,
    },
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// Why an action cannot be taken into a session at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionError {
    /// The session has as many actions as it may.
    LogFull,
    /// The files are larger than a session takes.
    TooLarge(usize),
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogFull => f.write_str("the session is full: begin a new one"),
            Self::TooLarge(bytes) => {
                write!(f, "{bytes} bytes are too many: at most {} are taken at once", Action::BYTES_MAX)
            }
        }
    }
}

impl std::error::Error for ActionError {}

/// Something that went wrong with a file, at its exact place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The line where it ends.
    #[serde(rename = "endLine")]
    pub end_line: usize,
    /// The column behind its end.
    #[serde(rename = "endColumn")]
    pub end_column: usize,
    /// What kubectl or the API server says.
    pub message: String,
    /// Whether it is only a warning.
    pub warning: bool,
}

/// What came of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Lines as kubectl prints them: `deployment.apps/web created`.
    pub lines: Vec<String>,
    /// What was wrong with files.
    pub errors: Vec<ApplyError>,
    /// What was refused and belongs to no file.
    pub refusals: Vec<String>,
}

impl Outcome {
    /// Whether everything was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.refusals.is_empty() && self.errors.iter().all(|error| error.warning)
    }

    fn refused(why: impl fmt::Display) -> Self {
        Self { refusals: vec![why.to_string()], ..Self::default() }
    }

    fn said(line: String) -> Self {
        Self { lines: vec![line], ..Self::default() }
    }
}

impl Action {
    /// How many bytes of text an action may carry.
    pub const BYTES_MAX: usize = 1 << 20;
    /// How many bytes a real client's request may carry: as many as the API server takes.
    pub const REQUEST_BYTES_MAX: usize = 3 << 20;

    /// Whether the action may be taken into a session.
    ///
    /// # Errors
    /// [`ActionError::TooLarge`].
    pub fn check(&self) -> Result<(), ActionError> {
        let bytes = match self {
            Self::Apply { files, .. } => files.iter().map(|file| file.name.len() + file.text.len()).sum(),
            Self::Patch { patch, .. } => patch.to_string().len(),
            Self::WriteManifest { file, text, .. } => file.len() + text.len(),
            Self::Exec(command) => command.stdin.len() + command.command.iter().map(String::len).sum::<usize>(),
            Self::ExecInput(ExecInput { input, .. }) | Self::AttachInput(AttachInput { input, .. }) => input.len(),
            Self::OutsideRequest(request) => request.len(),
            Self::StartTraffic(spec) => {
                spec.url.len() + spec.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            }
            Self::PodRequest(request) => request.path.len() + request.body.as_ref().map_or(0, StreamInput::len),
            Self::Request(call) => {
                let bytes = call.path.len() + call.body.to_string().len();
                let is_small = bytes <= Self::REQUEST_BYTES_MAX;
                return if is_small { Ok(()) } else { Err(ActionError::TooLarge(bytes)) };
            }
            _ => 0,
        };
        if bytes > Self::BYTES_MAX { Err(ActionError::TooLarge(bytes)) } else { Ok(()) }
    }
}

/// Does what an action says.
pub(super) fn perform(cluster: &mut Cluster, action: &Action) -> Outcome {
    match action {
        Action::Apply { files, namespace, dry_run } => apply_files(cluster, files, namespace, *dry_run),
        Action::Delete { object, propagation, grace_period_seconds } => {
            delete(cluster, object, propagation.as_deref(), *grace_period_seconds)
        }
        Action::Scale { object, replicas } => scale(cluster, object, *replicas),
        Action::Patch { object, patch } => {
            let why = Why::new("You changed {} {}.", [object.kind.clone(), object.name.clone()]);
            let verb = patch_verb(patch.clone());
            send(cluster, object, None, verb, why, "patched")
        }
        Action::Request(call) => match call.request(cluster.api()).and_then(|request| cluster.request(request)) {
            Ok(answer) => Outcome { lines: answer.warnings, ..Outcome::default() },
            Err(status) => Outcome::refused(status),
        },
        Action::Exec(command) => match command.begin(cluster) {
            Ok(_) => Outcome::said(format!("pod/{} runs {}", command.pod, command.command.join(" "))),
            Err(status) => Outcome::refused(status),
        },
        Action::ExecInput(input) => {
            input.pass_on(cluster);
            Outcome::default()
        }
        Action::AttachInput(input) => {
            input.pass_on(cluster);
            Outcome::default()
        }
        Action::PodRequest(request) => match request.send(cluster) {
            Ok(_) => Outcome::said(format!("pod/{} was asked for {}", request.pod, request.path)),
            Err(status) => Outcome::refused(status),
        },
        Action::OutsideRequest(request) => {
            request.send(cluster);
            Outcome::said(format!("{}:{} was asked from outside", request.address, request.port))
        }
        Action::StartTraffic(spec) => match cluster.start_traffic(spec) {
            Ok(()) => Outcome::said(format!("{} asks for {}", spec.name, spec.url)),
            Err(error) => Outcome::refused(error),
        },
        Action::StopTraffic { name } => match cluster.stop_traffic(name) {
            true => Outcome::said(format!("{name} asks for nothing more")),
            false => Outcome::refused(format!("there is no client {name:?}")),
        },
        Action::WriteManifest { node, file, text } => on_manifest(cluster, node, file, Some(text)),
        Action::RemoveManifest { node, file } => on_manifest(cluster, node, file, None),
        Action::Disturb(Disturbance { component, fault }) => match cluster.disturb(component, *fault) {
            Ok(()) => Outcome::said(match fault {
                ComponentFault::Stop => format!("{component} stopped"),
                ComponentFault::Start => format!("{component} started"),
                ComponentFault::Restart => format!("{component} restarted"),
                _ => format!("{component} disturbed"),
            }),
            Err(error) => Outcome::refused(error),
        },
        Action::FillStore { full } => {
            cluster.fill_store(*full);
            Outcome::said(format!("etcd {}", if *full { "is full" } else { "has room again" }))
        }
        machine => {
            let (result, line) = on_machine(cluster, machine);
            match result {
                Ok(()) => Outcome::said(line),
                Err(error) => Outcome::refused(error),
            }
        }
    }
}

fn on_manifest(cluster: &mut Cluster, node: &str, file: &str, text: Option<&str>) -> Outcome {
    let done = if text.is_some() { "written" } else { "removed" };
    match cluster.write_manifest(node, file, text) {
        Ok(complaint) => {
            let line = format!("{node}:{MANIFEST_FOLDER}/{file} {done}");
            Outcome { lines: std::iter::once(line).chain(complaint).collect(), ..Outcome::default() }
        }
        Err(error) => Outcome::refused(error),
    }
}

fn on_machine(cluster: &mut Cluster, action: &Action) -> (Result<(), MachineError>, String) {
    match action {
        Action::AddNode(spec) => (cluster.add_node(spec), format!("node/{} added", spec.name)),
        Action::RemoveNode(node) => (cluster.remove_node(&node.name), format!("node/{} removed", node.name)),
        Action::SetNodeGroup(spec) => {
            (cluster.set_node_group(spec), format!("node group {} has {} to {} nodes", spec.name, spec.min, spec.max))
        }
        Action::RemoveNodeGroup(group) => {
            (cluster.remove_node_group(&group.name), format!("node group {} given up", group.name))
        }
        Action::StopNode(node) => (cluster.stop_node(&node.name), format!("node/{} stopped", node.name)),
        Action::ShutdownNode(node) => (cluster.shut_down_node(node), format!("node/{} is shutting down", node.name)),
        Action::StartNode(node) => (cluster.start_node(&node.name), format!("node/{} started", node.name)),
        Action::PartitionNode(node) => {
            (cluster.partition_node(&node.name), format!("node/{} cut off from the API server", node.name))
        }
        Action::HealNode(node) => (cluster.heal_node(&node.name), format!("node/{} joined again", node.name)),
        Action::CrashContainer { namespace, pod, container } => (
            cluster.crash_container(&ObjectKey::new(namespace.as_str(), pod.as_str()), container),
            format!("pod/{pod} crashed"),
        ),
        Action::FailProbe { namespace, pod, container, probe, fails } => (
            cluster.fail_probe(&ObjectKey::new(namespace.as_str(), pod.as_str()), container, probe, *fails),
            format!("pod/{pod} {probe} probe {}", if *fails { "fails" } else { "answers again" }),
        ),
        Action::BreakImage { image, broken } => (
            cluster.break_image(image, *broken),
            format!("image {image} {}", if *broken { "cannot be pulled" } else { "can be pulled again" }),
        ),
        Action::Apply { .. }
        | Action::Delete { .. }
        | Action::Scale { .. }
        | Action::Patch { .. }
        | Action::Request(_)
        | Action::WriteManifest { .. }
        | Action::RemoveManifest { .. }
        | Action::Disturb(_)
        | Action::FillStore { .. }
        | Action::Exec(_)
        | Action::ExecInput(_)
        | Action::AttachInput(_)
        | Action::PodRequest(_)
        | Action::OutsideRequest(_)
        | Action::StartTraffic(_)
        | Action::StopTraffic { .. } => {
            unreachable!("these were done before")
        }
    }
}

fn target(cluster: &Cluster, object: &ObjectName) -> Result<Target, Status> {
    let kind = cluster
        .api()
        .kind_of(&object.api_version, &object.kind)
        .ok_or_else(|| Status::bad_request(format!("the server doesn't have a resource type {:?}", object.kind)))?;
    Ok(Target::object(kind, &ObjectKey::new(object.namespace.as_str(), object.name.as_str())))
}

fn patch_verb(patch: serde_json::Value) -> Verb {
    let options = WriteOptions { field_validation: FieldValidation::Strict, ..WriteOptions::default() };
    Verb::Patch { patch: Patch::Merge(patch), options }
}

fn send(
    cluster: &mut Cluster,
    object: &ObjectName,
    subresource: Option<crate::api::Subresource>,
    verb: Verb,
    why: Why,
    done: &str,
) -> Outcome {
    let target = match target(cluster, object) {
        Ok(target) => Target { subresource, ..target },
        Err(status) => return Outcome::refused(format!("Error from server: {status}")),
    };
    let resource = printed_resource(target.kind);
    let request = Request { user: User::admin(), cause: Cause::new("kubectl", why), target, verb };
    match cluster.request(request) {
        Ok(_) => Outcome::said(format!("{resource}/{} {done}", object.name)),
        Err(status) => Outcome::refused(format!("Error from server ({:?}): {status}", status.reason())),
    }
}

/// `deployment.apps`, as kubectl names what it acted on.
fn printed_resource(kind: Kind) -> String {
    let info = kind.info();
    if info.group.is_empty() { info.singular.to_owned() } else { format!("{}.{}", info.singular, info.group) }
}

fn delete(cluster: &mut Cluster, object: &ObjectName, propagation: Option<&str>, grace: Option<i64>) -> Outcome {
    let propagation = match propagation {
        Some("Foreground") => Propagation::Foreground,
        Some("Orphan") => Propagation::Orphan,
        _ => Propagation::Background,
    };
    let options = DeleteOptions { grace_period_seconds: grace, propagation: Some(propagation), ..Default::default() };
    let why = Why::new("You deleted {} {}.", [object.kind.clone(), object.name.clone()]);
    send(cluster, object, None, Verb::Delete(options), why, "deleted")
}

fn scale(cluster: &mut Cluster, object: &ObjectName, replicas: i32) -> Outcome {
    let why = Why::new("You scaled {} {} to {}.", [object.kind.clone(), object.name.clone(), replicas.to_string()]);
    let patch = patch_verb(serde_json::json!({ "spec": { "replicas": replicas } }));
    send(cluster, object, Some(crate::api::Subresource::Scale), patch, why, "scaled")
}

fn apply_files(cluster: &mut Cluster, files: &[File], namespace: &str, dry_run: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let options = apply::Options { namespace: namespace.to_owned(), dry_run };
    for file in files {
        apply_file(cluster, file, &options, &mut outcome);
    }
    outcome
}

fn apply_file(cluster: &mut Cluster, file: &File, options: &apply::Options, outcome: &mut Outcome) {
    let manifests = manifest::read(&file.text);
    for warning in &manifests.warnings {
        outcome.errors.push(located(file, warning.span, &warning.message, true));
    }
    for entry in &manifests.entries {
        let object = match entry {
            Ok(object) => object,
            Err(error) => {
                let span = Span { start: error.position, end: error.position };
                outcome.errors.push(located(file, span, &error.message, false));
                continue;
            }
        };
        match apply::apply(cluster, &object.value, options) {
            Ok(result) => {
                let name = format!("{}/{}", printed_resource(result.kind), result.key.name);
                let suffix = if options.dry_run { " (server dry run)" } else { "" };
                outcome.lines.push(format!("{name} {}{suffix}", result.applied.as_str()));
                let warnings = result.warnings.iter();
                outcome.lines.extend(warnings.map(|warning| format!("Warning: {warning}")));
            }
            Err(status) => refuse(file, object, &status, outcome),
        }
    }
}

/// Puts a refusal at the fields that it names, or at the object as a whole.
fn refuse(file: &File, object: &Manifest, status: &Status, outcome: &mut Outcome) {
    let whole = || {
        let span = object.locate("kind").unwrap_or(object.spans.value);
        Span { start: span.start, end: span.end }
    };
    let causes = status.details().causes.iter().filter(|cause| !cause.field.is_empty());
    let mut findings: Vec<(String, String)> =
        causes.map(|cause| (cause.field.clone(), format!("{}: {}", cause.field, cause.message))).collect();
    if findings.is_empty() {
        for field in unknown_fields(status.message()) {
            let span = object.locate_name(field).unwrap_or_else(whole);
            outcome.errors.push(located(file, span, &format!("unknown field {field:?}"), false));
        }
        if unknown_fields(status.message()).next().is_some() {
            return;
        }
    }
    if findings.is_empty() {
        let field = wrong_type_field(status.message()).unwrap_or_default();
        findings.push((field, status.message().to_owned()));
    }
    for (field, message) in findings {
        let span = Some(&field).filter(|field| !field.is_empty()).and_then(|field| object.locate(field));
        outcome.errors.push(located(file, span.unwrap_or_else(whole), &message, false));
    }
}

/// The paths in `strict decoding error: unknown field "spec.replica", unknown field "…"`.
fn unknown_fields(message: &str) -> impl Iterator<Item = &str> {
    message.split("unknown field \"").skip(1).filter_map(|rest| rest.split_once('"')).map(|(field, _)| field)
}

/// The path in Go's `cannot unmarshal string into Go struct field PodSpec.spec.nodeSelector of type …`.
fn wrong_type_field(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Go struct field ")?;
    let (path, _) = rest.split_once(" of type")?;
    path.split_once('.').map(|(_, field)| field.to_owned())
}

fn located(file: &File, span: Span, message: &str, warning: bool) -> ApplyError {
    ApplyError {
        file: file.name.clone(),
        line: span.start.line,
        column: span.start.column,
        end_line: span.end.line,
        end_column: span.end.column,
        message: message.to_owned(),
        warning,
    }
}
