//! `kubectl delete`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/delete/delete.go`.

use crate::api::Kind;
use crate::apiserver::{DeleteOptions, Propagation};
use crate::node::runtime::StreamInput;

use super::builder::{self, Found, Info, Query};
use super::cli::{Cli, DryRun, Step, Waiting};
use super::failure::Failure;
use super::{raw, resource};

/// Runs `kubectl delete`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if flags.has("raw") {
        let path = flags.text("raw");
        return raw::delete(cli, path).map(|()| Step::Done);
    }
    let options = Options::of(cli)?;
    let (selects, ignores_missing) = (selects(cli), ignores_missing(cli));
    if flags.is("all", false) && flags.has("field-selector") {
        return Err(Failure::message("setting 'all' parameter but found a non empty selector. "));
    }
    if selects && cli.arguments().is_empty() && !flags.has("filename") && !flags.has("kustomize") {
        return Err(Failure::message("at least one resource must be specified to use a selector"));
    }
    let query = Query { fetch: false, latest: false, ..Query::new(cli.arguments()) };
    let found = builder::find(cli, query)?;
    options.validate(cli)?;
    if found.infos.is_empty() {
        cli.say("No resources found");
        return Ok(Step::Done);
    }
    if let ("true" | "false", false) = (flags.text("cascade"), flags.text("cascade").is_empty()) {
        let (given, other) = (flags.text("cascade"), options.propagation);
        cli.complain(&format!(
            "warning: --cascade={given} is deprecated (boolean value) and can be replaced with --cascade={}.",
            if other == Propagation::Orphan { "orphan" } else { "background" }
        ));
    }
    if flags.is("interactive", false) && options.dry_run == DryRun::No {
        return Question::ask(cli, found.all()?);
    }
    delete_all(cli, found, options, ignores_missing)
}

fn delete_all(cli: &mut Cli<'_>, found: Found, options: Options, ignores_missing: bool) -> Result<Step, Failure> {
    let mut gone = Vec::new();
    let deleted = found.each(cli, |cli, info| match options.delete(cli, &info) {
        Err(failure) if ignores_missing && failure.is_not_found() => Ok(()),
        Err(failure) => Err(failure),
        Ok(uid) => {
            gone.push(Gone { kind: info.kind, namespace: info.namespace, name: info.name, uid });
            Ok(())
        }
    });
    deleted?;
    if !cli.flags().is("wait", true) || options.dry_run != DryRun::No || gone.is_empty() {
        return Ok(Step::Done);
    }
    Deletion { gone }.poll(cli)
}

/// Waits for a word that says whether all this shall go: `--interactive`.
#[derive(Clone, Debug)]
pub(super) struct Question {
    infos: Vec<Info>,
    /// What was typed so far.
    answer: String,
}

impl Question {
    fn ask(cli: &mut Cli<'_>, infos: Vec<Info>) -> Result<Step, Failure> {
        cli.say(&format!("You are about to delete the following {} resource(s):", infos.len()));
        infos.iter().for_each(|info| cli.say(&info.printed()));
        cli.out.push_str("Do you want to continue? (y/N): ");
        Ok(Step::Wait(Waiting::Question(Self { infos, answer: String::new() })))
    }

    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        let mut ended = false;
        for input in std::mem::take(&mut cli.typed) {
            match input {
                StreamInput::Text(text) => self.answer.push_str(&text),
                StreamInput::End => ended = true,
                _ => {}
            }
        }
        // As `fmt.Fscan` reads it: the first word, whatever stands before it.
        let word = self.answer.trim_start();
        if !ended && !word.contains(char::is_whitespace) {
            return Ok(Step::Wait(Waiting::Question(self)));
        }
        if !word.split_whitespace().next().unwrap_or("").eq_ignore_ascii_case("y") {
            cli.say("deletion is cancelled");
            return Ok(Step::Done);
        }
        let found = Found { infos: self.infos.into_iter().map(Ok).collect(), single: false };
        let (options, ignores_missing) = (Options::of(cli)?, ignores_missing(cli));
        delete_all(cli, found, options, ignores_missing)
    }
}

fn selects(cli: &Cli<'_>) -> bool {
    let flags = cli.flags();
    flags.is("all", false) || flags.has("selector") || flags.has("field-selector")
}

fn ignores_missing(cli: &Cli<'_>) -> bool {
    cli.flags().is("ignore-not-found", selects(cli))
}

/// Deletes what stands in files before it is made again: `replace --force`.
pub(super) fn delete_infos(cli: &mut Cli<'_>, infos: &[Info]) -> Result<Deletion, Failure> {
    let grace = cli.flags().integer("grace-period").filter(|seconds| *seconds >= 0);
    let options = Options { grace, ..Options::of(cli)? };
    let mut gone = Vec::new();
    for info in infos {
        match options.delete(cli, info) {
            Ok(uid) => {
                let (namespace, name) = (info.namespace.clone(), info.name.clone());
                gone.push(Gone { kind: info.kind, namespace, name, uid });
            }
            Err(failure) if failure.is_not_found() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Deletion { gone })
}

/// `--cascade`.
pub(super) fn propagation(cli: &Cli<'_>) -> Result<Propagation, Failure> {
    match cli.flags().text("cascade") {
        "" | "background" | "true" => Ok(Propagation::Background),
        "foreground" => Ok(Propagation::Foreground),
        "orphan" | "false" => Ok(Propagation::Orphan),
        other => Err(Failure::Message(format!(
            "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
        ))),
    }
}

/// How things are deleted.
#[derive(Clone, Copy, Debug)]
struct Options {
    grace: Option<i64>,
    propagation: Propagation,
    dry_run: DryRun,
}

impl Options {
    fn of(cli: &Cli<'_>) -> Result<Self, Failure> {
        let flags = cli.flags();
        let propagation = propagation(cli)?;
        let mut grace = flags.integer("grace-period").filter(|seconds| *seconds >= 0);
        if flags.is("now", false) {
            if grace.is_some() {
                return Err(Failure::message("--now and --grace-period cannot be specified together"));
            }
            grace = Some(1);
        }
        let force = flags.is("force", false);
        if grace == Some(0) && !force {
            grace = Some(1);
        }
        if force {
            grace = grace.or(Some(0));
        }
        Ok(Self { grace, propagation, dry_run: cli.dry_run()? })
    }

    fn validate(self, cli: &mut Cli<'_>) -> Result<(), Failure> {
        let output = cli.flags().text("output");
        if !matches!(output, "" | "name") {
            return Err(Failure::Message(format!("unexpected -o output mode: {output}. We only support '-o name'")));
        }
        let force = cli.flags().is("force", false);
        match self.grace {
            Some(0) if force => cli.complain(
                "Warning: Immediate deletion does not wait for confirmation that the running resource has been \
                 terminated. The resource may continue to run on the cluster indefinitely.",
            ),
            Some(_) if force => {
                return Err(Failure::message("--force and --grace-period greater than 0 cannot be specified together"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes an object and says so; its uid.
    fn delete(self, cli: &mut Cli<'_>, info: &Info) -> Result<String, Failure> {
        let mut uid = String::new();
        if self.dry_run != DryRun::Client {
            let options = DeleteOptions {
                grace_period_seconds: self.grace,
                propagation: Some(self.propagation),
                dry_run: self.dry_run == DryRun::Server,
                ..DeleteOptions::default()
            };
            let answer = cli.delete(info.kind, &info.namespace, &info.name, options).map_err(|status| {
                if info.source.is_empty() {
                    Failure::Status(status)
                } else {
                    Failure::FromSource(status, "deleting", info.source.clone())
                }
            })?;
            let told = [&answer["metadata"]["uid"], &answer["details"]["uid"]];
            uid = told.into_iter().find_map(|uid| uid.as_str()).unwrap_or("").to_owned();
        }
        let line = if cli.flags().text("output") == "name" {
            info.printed()
        } else {
            let operation = if self.grace == Some(0) { "force deleted" } else { "deleted" };
            let place =
                if info.kind.info().namespaced { format!(" from {} namespace", info.namespace) } else { String::new() };
            format!("{} {:?} {operation}{place}{}", resource::printed(info.kind), info.name, self.dry_run.suffix())
        };
        cli.say(&line);
        Ok(uid)
    }
}

#[derive(Clone, Debug)]
struct Gone {
    kind: Kind,
    namespace: String,
    name: String,
    uid: String,
}

/// Waits until what was deleted is gone.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    gone: Vec<Gone>,
}

impl Deletion {
    /// Whether all of it is gone.
    pub(super) fn is_over(&mut self, cli: &mut Cli<'_>) -> Result<bool, Failure> {
        while let Some(next) = self.gone.first() {
            match cli.get(next.kind, &next.namespace, &next.name) {
                Ok(object) if next.uid.is_empty() || object["metadata"]["uid"] == next.uid.as_str() => {
                    return Ok(false);
                }
                Err(status) if !status.is_not_found() => return Err(status.into()),
                _ => drop(self.gone.remove(0)),
            }
        }
        Ok(true)
    }

    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        if self.is_over(cli)? {
            return Ok(Step::Done);
        }
        let late = cli.flags().duration("timeout").is_some_and(|timeout| cli.api.now() >= cli.began + timeout);
        match self.gone.first() {
            Some(next) if late => Err(Failure::Message(format!(
                "timed out waiting for the condition on {}/{}",
                next.kind.info().plural,
                next.name
            ))),
            _ => Ok(Step::Wait(Waiting::Deletion(self))),
        }
    }
}
