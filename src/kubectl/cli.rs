//! What a command works with while it runs: its flags, the API server, files, and where it writes.

use serde_json::Value;

use super::api::Api;
use super::command::Parsed;
use super::failure::Failure;
use super::flags::{Flags, parse_bool};
use super::{
    attach, copy, delete, drain, edit, events, exec, explain, forward, get, logs, replace, rollout_status, wait,
};
use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{
    Body, DeleteOptions, FieldValidation, ListOptions, Patch, Request, Response, Target, User, Verb, WriteOptions,
};
use crate::etcd::{Cause, Why};
use crate::machinery::shell::Stream;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::node::runtime::StreamInput;

/// What stands in the user's kubeconfig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The namespace of the current context.
    pub namespace: String,
    /// Where the kubeconfig is written to when it changes; empty where it cannot change.
    pub file: String,
    /// The editor, as it is called in a shell.
    pub editor: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { namespace: "default".to_owned(), file: String::new(), editor: "vi".to_owned() }
    }
}

/// A file that may have to come from far away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// It is here.
    Here(Vec<u8>),
    /// It was asked for, and is on its way.
    Coming,
    /// There is none.
    Absent,
}

/// The files that commands read.
pub trait Files {
    /// A file's text.
    ///
    /// # Errors
    /// As the operating system says it: `no such file or directory`.
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String>;

    /// The names in a directory, in order; nothing when it is none.
    fn list(&mut self, path: &str) -> Option<Vec<String>>;

    /// Makes a file, or writes it anew, with the directories that it is in.
    ///
    /// # Errors
    /// As the operating system says it.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), String>;

    /// A large file that not every host has at hand.
    fn fetch(&mut self, path: &str) -> Fetched {
        self.read(path).map_or(Fetched::Absent, Fetched::Here)
    }

    /// Removes a file, if it is there.
    fn remove(&mut self, _path: &str) {}
}

/// How far a command came.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It is done.
    Done,
    /// It waits for the cluster.
    Wait(Waiting),
}

/// A command that waits. It is polled as time passes and looks at what has changed.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    Attachment(Box<attach::Attachment>),
    Deletion(delete::Deletion),
    Copy(copy::Copy),
    Drain(drain::Drain),
    Edit(Box<edit::Edit>),
    Events(events::Events),
    Explain(explain::Explain),
    Forward(forward::Forward),
    Logs(logs::Logs),
    Question(delete::Question),
    Replacement(replace::Replacement),
    Rollout(rollout_status::Rollout),
    Talk(exec::Talk),
    Wait(Box<wait::Wait>),
    Watch(Box<get::Watch>),
}

impl Waiting {
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        match self {
            Self::Attachment(waiting) => waiting.poll(cli),
            Self::Deletion(waiting) => waiting.poll(cli),
            Self::Copy(waiting) => waiting.poll(cli),
            Self::Drain(waiting) => waiting.poll(cli),
            Self::Edit(waiting) => waiting.poll(cli),
            Self::Explain(waiting) => waiting.poll(cli),
            Self::Forward(waiting) => waiting.poll(cli),
            Self::Events(waiting) => waiting.poll(cli),
            Self::Logs(waiting) => waiting.poll(cli),
            Self::Question(waiting) => waiting.poll(cli),
            Self::Replacement(waiting) => waiting.poll(cli),
            Self::Rollout(waiting) => waiting.poll(cli),
            Self::Talk(waiting) => waiting.poll(cli),
            Self::Wait(waiting) => waiting.poll(cli),
            Self::Watch(waiting) => waiting.poll(cli),
        }
    }
}

/// What `--dry-run` without a value means: `NoOptDefVal`.
const BARE_DRY_RUN: &str = "unchanged";
/// The process that kubectl's log names.
const LOGGED_PID: u32 = 100;

/// `--dry-run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DryRun {
    No,
    Client,
    Server,
}

impl DryRun {
    /// What stands behind the operation's name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Client => " (dry run)",
            Self::Server => " (server dry run)",
        }
    }
}

/// A command that runs.
pub(super) struct Cli<'a> {
    pub parsed: &'a Parsed,
    pub config: &'a Config,
    pub stdin: &'a str,
    /// When the command was begun.
    pub began: Time,
    pub api: &'a mut dyn Api,
    pub files: &'a mut dyn Files,
    /// The server's warnings that were told.
    warned: Vec<String>,
    /// What was typed since the last poll.
    pub typed: Vec<StreamInput>,
    /// A program that is to be run, and the exit code of the one that was.
    pub run: Option<Vec<String>>,
    pub status: Option<i32>,
    /// What was written to standard output last.
    pub out: String,
    /// What was written before that, where, and in which order.
    pub written: Vec<(Stream, String)>,
}

impl<'a> Cli<'a> {
    pub(super) fn new(
        parsed: &'a Parsed,
        config: &'a Config,
        stdin: &'a str,
        began: Time,
        api: &'a mut dyn Api,
        files: &'a mut dyn Files,
    ) -> Self {
        Self {
            parsed,
            config,
            stdin,
            began,
            api,
            files,
            warned: Vec::new(),
            typed: Vec::new(),
            run: None,
            status: None,
            out: String::new(),
            written: Vec::new(),
        }
    }

    pub(super) fn flags(&self) -> &'a Flags {
        &self.parsed.flags
    }

    pub(super) fn arguments(&self) -> &'a [String] {
        &self.parsed.arguments
    }

    /// The namespace that the command works in.
    pub(super) fn namespace(&self) -> String {
        let given = self.flags().text("namespace");
        if given.is_empty() { self.config.namespace.clone() } else { given.to_owned() }
    }

    /// The format of `-o`; a template alone is one, too.
    pub(super) fn output(&self) -> &'a str {
        match self.flags().text("output") {
            "" if !self.flags().text("template").is_empty() => "go-template",
            output => output,
        }
    }

    /// Writes a line to standard output.
    pub(super) fn say(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    /// Writes a line to standard error.
    pub(super) fn complain(&mut self, line: &str) {
        self.flush();
        self.written.push((Stream::Error, format!("{line}\n")));
    }

    /// Keeps what was written to standard output before what comes next.
    pub(super) fn flush(&mut self) {
        if !self.out.is_empty() {
            self.written.push((Stream::Out, std::mem::take(&mut self.out)));
        }
    }

    /// A failure that points at the command's help.
    pub(super) fn usage(&self, text: &str) -> Failure {
        Failure::usage(&self.parsed.path, text)
    }

    /// `GetDryRunStrategy`: a word, or a truth value as in old times, which is what the bare flag stands for.
    pub(super) fn dry_run(&self) -> Result<DryRun, Failure> {
        match self.flags().text("dry-run") {
            "" | "none" => Ok(DryRun::No),
            "client" | BARE_DRY_RUN => Ok(DryRun::Client),
            "server" => Ok(DryRun::Server),
            other => match parse_bool(other) {
                Some(true) => Ok(DryRun::Client),
                Some(false) => Ok(DryRun::No),
                None => Err(Failure::Message(format!(
                    "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
                ))),
            },
        }
    }

    /// Warns of a dry run that is asked for as in old times, in the form of upstream's log.
    pub(super) fn warn_of_dry_run(&mut self) {
        let given = self.flags().text("dry-run");
        let (line, warning) = match given {
            BARE_DRY_RUN => (702, "--dry-run is deprecated and can be replaced with --dry-run=client.".to_owned()),
            given => {
                let Some(is_dry) = parse_bool(given) else { return };
                let (line, word) = if is_dry { (716, "client") } else { (719, "none") };
                (
                    line,
                    format!(
                        "--dry-run={given} is deprecated (boolean value) and can be replaced with --dry-run={word}."
                    ),
                )
            }
        };
        let now = self.api.now().to_rfc3339_micro();
        let stamp = format!("{}{} {}", &now[5..7], &now[8..10], now[11..].trim_end_matches('Z'));
        self.complain(&format!("W{stamp} {LOGGED_PID:>7} helpers.go:{line}] {warning}"));
    }

    /// `--validate` of what is read from files.
    pub(super) fn validation(&self) -> Result<FieldValidation, Failure> {
        match self.flags().text("validate") {
            "" | "true" | "strict" => Ok(FieldValidation::Strict),
            "warn" => Ok(FieldValidation::Warn),
            "false" | "ignore" => Ok(FieldValidation::Ignore),
            other => Err(Failure::Message(format!(
                "invalid - validate option {other:?}; must be one of: strict (or true), warn, ignore (or false)"
            ))),
        }
    }

    /// Options of a write, with a dry run by the server if one was asked for.
    pub(super) fn write_options(&self, manager: &str) -> WriteOptions {
        let given = self.flags().text("field-manager");
        WriteOptions {
            dry_run: self.flags().text("dry-run") == "server",
            field_validation: FieldValidation::Warn,
            field_manager: Some(if given.is_empty() { manager } else { given }.into()),
            force: false,
        }
    }

    /// Who asks: the admin, or whom `--as` names.
    fn user(&self) -> User {
        let flags = self.flags();
        let name = flags.text("as");
        if name.is_empty() { User::admin() } else { User::impersonated(name, flags.all("as-group")) }
    }

    /// Sends a request and shows the server's warnings.
    pub(super) fn send(&mut self, target: Target, verb: Verb) -> Result<Response, Status> {
        let cause = Cause::new("kubectl", Why::new("You ran {}.", [self.parsed.line.clone()]));
        let answer = self.api.request(Request { user: self.user(), cause, target, verb });
        let warnings = match &answer {
            Ok(answer) => answer.warnings.as_slice(),
            Err(status) => status.warnings(),
        };
        for warning in warnings {
            // kubectl tells each warning once.
            if !self.warned.contains(warning) {
                self.warned.push(warning.clone());
                self.complain(&format!("Warning: {warning}"));
            }
        }
        let mut response = answer?.response;
        if self.sees_managed_fields() {
            self.api.show_managed_fields(&mut response);
        }
        Ok(response)
    }

    /// Whether the command looks at who owns which field, or may show it. The server works that out when it is asked.
    pub(super) fn sees_managed_fields(&self) -> bool {
        let flags = self.flags();
        let output = self.output();
        let takes_any_field =
            ["jsonpath", "go-template", "template", "custom-columns"].iter().any(|format| output.starts_with(format));
        takes_any_field || flags.has("raw") || flags.is("show-managed-fields", false) || flags.is("server-side", false)
    }

    fn send_for_value(&mut self, target: Target, verb: Verb) -> Result<Value, Status> {
        self.send(target, verb).map(|response| response.wire())
    }

    pub(super) fn get(&mut self, kind: Kind, namespace: &str, name: &str) -> Result<Value, Status> {
        self.send_for_value(Target::object(kind, &ObjectKey::new(namespace, name)), Verb::Get)
    }

    pub(super) fn list(&mut self, kind: Kind, namespace: &str, options: ListOptions) -> Result<Response, Status> {
        let (labels, fields) = (options.label_selector.clone(), options.field_selector.clone());
        self.send(Target::collection(kind, namespace), Verb::List(options))
            .map_err(|status| enhance_list_error(kind, &labels, &fields, status))
    }

    pub(super) fn create(
        &mut self,
        kind: Kind,
        namespace: &str,
        value: Value,
        options: WriteOptions,
    ) -> Result<Value, Status> {
        self.send_for_value(Target::collection(kind, namespace), Verb::Create { body: Body::Json(value), options })
    }

    pub(super) fn update(&mut self, target: Target, value: Value, options: WriteOptions) -> Result<Value, Status> {
        self.send_for_value(target, Verb::Update { body: Body::Json(value), options })
    }

    pub(super) fn patch(&mut self, target: Target, patch: Patch, options: WriteOptions) -> Result<Value, Status> {
        self.send_for_value(target, Verb::Patch { patch, options })
    }

    pub(super) fn delete(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Value, Status> {
        self.send_for_value(Target::object(kind, &ObjectKey::new(namespace, name)), Verb::Delete(options))
    }

    /// The subresource that `--subresource` names.
    pub(super) fn subresource(&self) -> Result<Option<Subresource>, Failure> {
        let name = self.flags().text("subresource");
        if name.is_empty() {
            return Ok(None);
        }
        subresource(name).map(Some).ok_or_else(|| {
            let reason = crate::machinery::status::Reason::NotFound;
            Failure::Status(Status::new(reason, "the server could not find the requested resource"))
        })
    }
}

fn subresource(name: &str) -> Option<Subresource> {
    use Subresource::{Binding, EphemeralContainers, Eviction, Resize, Scale, Status};
    [Status, Scale, Binding, Eviction, EphemeralContainers, Resize].into_iter().find(|known| known.as_str() == name)
}

/// `EnhanceListError`: a refusal of a list says what was looked for.
fn enhance_list_error(kind: Kind, labels: &str, fields: &str, status: Status) -> Status {
    use crate::machinery::status::Reason;
    if status.reason() != Reason::BadRequest || status.message().starts_with("Unable to find") {
        return status;
    }
    let info = kind.info();
    let group = if info.group.is_empty() { String::new() } else { info.group.to_owned() };
    Status::bad_request(format!(
        "Unable to find \"{group}/{}, Resource={}\" that match label selector {labels:?}, field selector {fields:?}: {}",
        info.version,
        info.plural,
        status.message()
    ))
}
