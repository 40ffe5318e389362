//! `kubectl attach`, and how `run` and `debug` attach to what they have made.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/attach`, and `handleAttachPod` of `pkg/cmd/run` and `pkg/cmd/debug`.

use std::time::Duration;

use serde_json::Value;

use super::cli::{Cli, Step, Waiting};
use super::exec::{self, Talk};
use super::failure::Failure;
use crate::api::{Kind, ObjectKey};
use crate::apiserver::DeleteOptions;
use crate::machinery::time::Time;
use crate::sim::PodLogOptions;

/// `--pod-running-timeout`: so long a pod may take to begin.
const POD_TIMEOUT: Duration = Duration::from_secs(60);

/// What is done when a talk is over that `run` has begun.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pod: ObjectKey,
    /// Whether the pod's end is waited for, and its exit code becomes kubectl's.
    waits: bool,
    /// What is to be deleted then.
    removed: Vec<(Kind, String)>,
    /// What is said of how to come back.
    resume: String,
}

/// A container that somebody wants to be attached to as soon as it runs, or the end of its pod.
#[derive(Clone, Debug)]
pub(super) enum Attachment {
    Begins { pod: ObjectKey, container: String, stdin: bool, tty: bool, deadline: Time, ending: Option<Ending> },
    Ends(Ending),
}

/// Runs `kubectl attach`.
pub(super) fn attach(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let named = cli.arguments();
    match named.len() {
        0 => return Err(Failure::message("at least 1 argument is required for attach")),
        1 | 2 => {}
        given => {
            return Err(Failure::Message(format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {given}: [{}]",
                named.join(" ")
            )));
        }
    }
    let pod = exec::pod(cli, named)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::Message(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = exec::container(cli, &pod)?;
    let (stdin, tty) = (cli.flags().is("stdin", false), cli.flags().is("tty", false));
    let stream = cli.api.attach(&exec::key_of(&pod), &container)?;
    hint(cli, stdin);
    // What was written before is in the log, not here.
    let seen = cli.api.stream_output(&stream, 0).seen;
    Talk::new(stream, seen, stdin, tty && stdin).poll(cli)
}

/// What those are told who type.
fn hint(cli: &mut Cli<'_>, stdin: bool) {
    if stdin && !cli.flags().is("quiet", false) {
        cli.complain(
            "All commands and output from this session will be recorded in container logs, including credentials and \
             sensitive information passed through the command prompt.",
        );
        cli.complain("If you don't see a command prompt, try pressing enter.");
    }
}

/// Whether the command line asks to be attached to what it makes: `--attach`, which `-i` implies.
pub(super) fn is_asked_for(cli: &Cli<'_>) -> bool {
    cli.flags().is("attach", cli.flags().is("stdin", false))
}

/// Attaches to a container as soon as it runs.
pub(super) fn begin(
    cli: &mut Cli<'_>,
    pod: ObjectKey,
    container: &str,
    ending: Option<Ending>,
) -> Result<Step, Failure> {
    let (stdin, tty) = (cli.flags().is("stdin", false), cli.flags().is("tty", false));
    let deadline = cli.api.now() + cli.flags().duration("pod-running-timeout").unwrap_or(POD_TIMEOUT);
    Attachment::Begins { pod, container: container.to_owned(), stdin, tty, deadline, ending }.poll(cli)
}

impl Ending {
    /// What becomes of a pod that `run` has made, with the Service that it may have made for it.
    pub(super) fn of_run(cli: &Cli<'_>, pod: &Value) -> Self {
        let flags = cli.flags();
        let key = exec::key_of(pod);
        let name = key.name.to_string();
        let waits = matches!(flags.text("restart"), "Never" | "OnFailure") && !flags.is("leave-stdin-open", false);
        let mut removed = Vec::new();
        if flags.is("rm", false) {
            removed.push((Kind::Pod, name.clone()));
            if flags.is("expose", false) {
                removed.push((Kind::Service, name.clone()));
            }
        }
        let is_terminal = flags.is("stdin", false) && flags.is("tty", false) && !flags.is("quiet", false);
        let resume = if is_terminal && pod["spec"]["restartPolicy"] == "Always" {
            format!(
                "Session ended, resume using 'kubectl attach {name} -c {name} -i -t' command when the pod is running"
            )
        } else {
            String::new()
        };
        Self { pod: key, waits, removed, resume }
    }

    pub(super) fn begin(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        if !self.resume.is_empty() {
            cli.say(&self.resume);
        }
        Attachment::Ends(self).poll(cli)
    }

    /// Deletes what is to be deleted: `removeCreatedObjects`.
    fn remove(&self, cli: &mut Cli<'_>) {
        for (kind, name) in &self.removed {
            let deleted = cli.delete(*kind, &self.pod.namespace, name, DeleteOptions::default());
            if deleted.is_ok() && !cli.flags().is("quiet", false) {
                cli.say(&format!("{} deleted from {} namespace", quoted(*kind, name), self.pod.namespace));
            }
        }
    }

    /// How the pod ended; nothing while it has not.
    fn outcome(&self, cli: &mut Cli<'_>) -> Result<Option<Result<Step, Failure>>, Failure> {
        if !self.waits {
            return Ok(Some(Ok(Step::Done)));
        }
        let pod = cli.get(Kind::Pod, &self.pod.namespace, &self.pod.name)?;
        let name = format!("pod {}/{}", self.pod.namespace, self.pod.name);
        Ok(match pod["status"]["phase"].as_str() {
            Some("Succeeded") => Some(Ok(Step::Done)),
            Some("Failed") => {
                let state = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
                let text = |field: &str| state[field].as_str().unwrap_or("");
                Some(Err(match state["exitCode"].as_i64().unwrap_or(0) {
                    0 => Failure::Message(format!("{name} failed with unknown exit code")),
                    code => Failure::Code(
                        i32::try_from(code).unwrap_or(1),
                        Box::new(Failure::Plain(format!(
                            "{name} terminated ({})\n{}",
                            text("reason"),
                            text("message")
                        ))),
                    ),
                }))
            }
            _ => None,
        })
    }
}

fn quoted(kind: Kind, name: &str) -> String {
    format!("{} {name:?}", kind.info().singular)
}

impl Attachment {
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        match self {
            Self::Ends(ending) => match ending.outcome(cli) {
                Ok(None) => Ok(Step::Wait(Waiting::Attachment(Box::new(Self::Ends(ending))))),
                Ok(Some(outcome)) => {
                    ending.remove(cli);
                    outcome
                }
                Err(failure) => {
                    ending.remove(cli);
                    Err(failure)
                }
            },
            Self::Begins { pod, container, stdin, tty, deadline, ending } => {
                let found = cli.get(Kind::Pod, &pod.namespace, &pod.name)?;
                match state_of(&found, &container) {
                    "running" => {
                        let stream = cli.api.attach(&pod, &container)?;
                        hint(cli, stdin);
                        let talk = Talk::new(stream, 0, stdin, tty && stdin);
                        match ending {
                            Some(ending) => talk.then(ending).poll(cli),
                            None => talk.poll(cli),
                        }
                    }
                    "terminated" => {
                        log(cli, &pod, &container)?;
                        ending.map_or(Ok(Step::Done), |ending| ending.begin(cli))
                    }
                    _ if cli.api.now() >= deadline => {
                        if let Some(ending) = ending {
                            ending.remove(cli);
                        }
                        Err(Failure::message("timed out waiting for the condition"))
                    }
                    _ => {
                        let begins = Self::Begins { pod, container, stdin, tty, deadline, ending };
                        Ok(Step::Wait(Waiting::Attachment(Box::new(begins))))
                    }
                }
            }
        }
    }
}

/// `waiting`, `running` or `terminated`.
fn state_of(pod: &Value, container: &str) -> &'static str {
    let lists = ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| pod["status"][*list].as_array().into_iter().flatten());
    let state = statuses.find(|status| status["name"] == container).map_or(&Value::Null, |status| &status["state"]);
    ["running", "terminated"].into_iter().find(|name| !state[*name].is_null()).unwrap_or("waiting")
}

/// Shows what a container wrote that is over already: `logOpts`.
fn log(cli: &mut Cli<'_>, pod: &ObjectKey, container: &str) -> Result<(), Failure> {
    let options = PodLogOptions { container: container.to_owned(), ..PodLogOptions::default() };
    for line in cli.api.logs(&pod.namespace, &pod.name, &options)? {
        cli.say(&line.text);
    }
    Ok(())
}
