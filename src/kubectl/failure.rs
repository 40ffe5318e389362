//! How a command fails: what it says and with which exit code.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/util/helpers.go`.

use crate::machinery::status::{Reason, Status};

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The API server refused.
    Status(Status),
    /// The API server refused something that came from a file: the verb, as in `creating`, and the file.
    FromSource(Status, &'static str, String),
    /// kubectl itself has something to say; `error: ` comes before it.
    Message(String),
    /// As [`Self::Message`], but nothing comes before it.
    Plain(String),
    /// There is nothing to say: the answer was printed, and only the exit code tells that it is no.
    Silent,
    /// A command in a container ended with this code, which becomes kubectl's own.
    Command(i32),
    /// Several of these.
    Many(Vec<Self>),
    /// One of these, with an exit code of its own.
    Code(i32, Box<Self>),
}

impl Failure {
    pub(super) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// One failure or several, as one; nothing when there are none.
    pub(super) fn of(mut failures: Vec<Self>) -> Result<(), Self> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Many(failures)),
        }
    }

    /// A hint at the command's help under an error of usage: `UsageErrorf`.
    pub(super) fn usage(path: &str, text: &str) -> Self {
        Self::Message(format!("{text}\nSee '{path} -h' for help and examples"))
    }

    /// Whether the object was not there.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::Status(status) | Self::FromSource(status, ..) => status.is_not_found(),
            Self::Code(_, failure) => failure.is_not_found(),
            _ => false,
        }
    }

    /// The exit code: `DefaultErrorExitCode`, unless it or a command in a container has its own.
    pub(super) const fn exit_code(&self) -> i32 {
        match self {
            Self::Command(code) | Self::Code(code, _) => *code,
            _ => 1,
        }
    }

    /// What is printed to standard error: `checkErr`.
    pub(super) fn text(&self) -> String {
        let mut text = match self {
            Self::Code(_, failure) => return failure.text(),
            Self::Many(failures) => failures.iter().map(Self::line_among_others).collect::<Vec<_>>().join("\n"),
            Self::Status(status) | Self::FromSource(status, ..) if status.reason() == Reason::Invalid => {
                invalid(status)
            }
            other => other.line(),
        };
        if !text.ends_with('\n') && *self != Self::Silent {
            text.push('\n');
        }
        text
    }

    /// The error in one line: `messageForError`.
    pub(super) fn line(&self) -> String {
        match self {
            Self::Status(status) => standard(status, status.message()),
            Self::FromSource(status, verb, source) => {
                standard(status, &format!("error when {verb} {source:?}: {}", status.message()))
            }
            Self::Message(text) if text.starts_with("error: ") => text.clone(),
            Self::Message(text) => format!("error: {text}"),
            Self::Plain(text) => text.clone(),
            Self::Silent => String::new(),
            Self::Code(_, failure) => failure.line(),
            Self::Command(code) => format!("command terminated with exit code {code}"),
            Self::Many(failures) => failures.iter().map(Self::line_among_others).collect::<Vec<_>>().join("\n"),
        }
    }

    /// The error as one of several: `MultipleErrors` puts no `error: ` before it.
    fn line_among_others(&self) -> String {
        if let Self::Message(text) = self { text.clone() } else { self.line() }
    }

    /// The error without what comes before it, as other sentences quote it.
    pub(super) fn bare(&self) -> String {
        match self {
            Self::Status(status) => status.message().to_owned(),
            Self::FromSource(status, verb, source) => format!("error when {verb} {source:?}: {}", status.message()),
            Self::Message(text) | Self::Plain(text) => text.clone(),
            Self::Silent => String::new(),
            Self::Code(_, failure) => failure.bare(),
            Self::Command(_) => self.line(),
            Self::Many(failures) => {
                let texts: Vec<String> = failures.iter().map(Self::bare).collect();
                if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) }
            }
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// `StandardErrorMessage`.
fn standard(status: &Status, message: &str) -> String {
    match status.reason() {
        Reason::Unknown => format!("Error from server: {message}"),
        reason => format!("Error from server ({reason:?}): {message}"),
    }
}

/// How a refusal of an invalid object is told: each finding on a line of its own when there are several.
fn invalid(status: &Status) -> String {
    let details = status.details();
    let about = !details.kind.is_empty() || !details.name.is_empty();
    let mut text = if about {
        format!("The {} {:?} is invalid", details.kind, details.name)
    } else {
        "The request is invalid".to_owned()
    };
    if details.causes.is_empty() {
        if !about && !status.message().is_empty() {
            text = format!("{text}: {}", status.message());
        }
        return text;
    }
    let mut findings: Vec<String> = Vec::new();
    for cause in &details.causes {
        let finding = format!("{}: {}", cause.field, cause.message);
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    match findings.as_slice() {
        [finding] => format!("{text}: {finding}\n"),
        findings => format!("{text}: \n* {}\n", findings.join("\n* ")),
    }
}
