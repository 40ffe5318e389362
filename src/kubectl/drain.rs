//! `kubectl cordon`, `uncordon` and `drain`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/drain` and `pkg/drain`.

use std::time::Duration;

use serde_json::{Value, json};

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step, Waiting};
use super::failure::Failure;
use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{Body, DeleteOptions, ListOptions, Patch, Target, Verb, WriteOptions};
use crate::machinery::duration::GoDuration;
use crate::machinery::labels::Selector;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;

/// How long an eviction waits for its next try.
const RETRY: Duration = Duration::from_secs(5);

/// Runs `kubectl cordon`.
pub(super) fn cordon(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let nodes = nodes(cli)?;
    set_unschedulable(cli, &nodes, true)?;
    Ok(Step::Done)
}

/// Runs `kubectl uncordon`.
pub(super) fn uncordon(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let nodes = nodes(cli)?;
    set_unschedulable(cli, &nodes, false)?;
    Ok(Step::Done)
}

fn nodes(cli: &mut Cli<'_>) -> Result<Vec<Info>, Failure> {
    let selector = cli.flags().has("selector");
    if cli.arguments().is_empty() && !selector {
        return Err(cli.usage(&format!("USAGE: {} NODE [flags]", cli.parsed.command.name)));
    }
    if !cli.arguments().is_empty() && selector {
        return Err(cli.usage("error: cannot specify both a node name and a --selector option"));
    }
    let mut words = vec!["nodes".to_owned()];
    words.extend(cli.arguments().iter().map(|word| word.trim_start_matches("node/").to_owned()));
    builder::find(cli, Query::new(&words))?.all()
}

fn set_unschedulable(cli: &mut Cli<'_>, nodes: &[Info], desired: bool) -> Result<(), Failure> {
    let dry_run = cli.dry_run()?;
    for node in nodes {
        let word = if desired { "cordoned" } else { "uncordoned" };
        let current = node.object["spec"]["unschedulable"].as_bool().unwrap_or(false);
        let operation = if current == desired { format!("already {word}") } else { word.to_owned() };
        if current != desired && dry_run != DryRun::Client {
            let value = if desired { Value::Bool(true) } else { Value::Null };
            let patch = Patch::Strategic(json!({ "spec": { "unschedulable": value } }));
            let options = cli.write_options("kubectl");
            if let Err(status) = cli.patch(node.target(), patch, options) {
                let verb = if desired { "cordon" } else { "uncordon" };
                let line = format!("error: unable to {verb} node {:?}: {}", node.name, status.message());
                cli.complain(&line);
                continue;
            }
        }
        let line = format!("{} {operation}{}", node.printed(), dry_run.suffix());
        cli.say(&line);
    }
    Ok(())
}

/// Runs `kubectl drain`.
pub(super) fn drain(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if Selector::parse(cli.flags().text("pod-selector")).is_err() {
        return Err(Failure::message("--pod-selector=<pod_selector> must be a valid label selector"));
    }
    let nodes = nodes(cli)?;
    set_unschedulable(cli, &nodes, true)?;
    Drain { nodes, drained: Vec::new(), pods: None, failures: Vec::new() }.poll(cli)
}

/// A pod on its way from a node.
#[derive(Clone, Debug)]
struct Leaving {
    namespace: String,
    name: String,
    uid: String,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// It is to be evicted from then on.
    Evict(Time),
    /// It was evicted, and is there still.
    Ending,
}

/// Drains nodes, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Drain {
    nodes: Vec<Info>,
    drained: Vec<String>,
    /// The pods that leave the first node, once they are known.
    pods: Option<Vec<Leaving>>,
    failures: Vec<Failure>,
}

impl Drain {
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        while let Some(node) = self.nodes.first().cloned() {
            match self.drain(cli, &node) {
                Ok(false) => return Ok(Step::Wait(Waiting::Drain(self))),
                Ok(true) => {
                    let line = format!("{} drained{}", node.printed(), cli.dry_run()?.suffix());
                    cli.say(&line);
                    self.drained.push(node.name.clone());
                }
                Err(failure) => {
                    let why = failure.bare();
                    let line = format!(
                        "error: unable to drain node {:?} due to error: {why}, continuing command...",
                        node.name
                    );
                    cli.complain(&line);
                    self.failures.push(failure);
                }
            }
            self.nodes.remove(0);
            self.pods = None;
            if !self.failures.is_empty() && self.nodes.is_empty() {
                cli.complain("There are pending nodes to be drained:");
                cli.complain(&format!(" {}", node.name));
            }
        }
        // Even one failure is told as one of several.
        if self.failures.is_empty() { Ok(Step::Done) } else { Err(Failure::Many(self.failures)) }
    }

    /// Goes on draining a node; whether it is done.
    fn drain(&mut self, cli: &mut Cli<'_>, node: &Info) -> Result<bool, Failure> {
        if self.pods.is_none() {
            let leaving = leaving(cli, &node.name, true)?;
            if cli.dry_run()? == DryRun::Client {
                for pod in leaving {
                    cli.say(&format!("evicting pod {}/{} (dry run)", pod.namespace, pod.name));
                }
                return Ok(true);
            }
            self.pods = Some(leaving);
        }
        let Some(pods) = &mut self.pods else { return Ok(true) };
        let mut failures = Vec::new();
        let mut left = Vec::new();
        for mut pod in std::mem::take(pods) {
            match go_on(cli, &mut pod) {
                Ok(true) => {}
                Ok(false) => left.push(pod),
                Err(failure) => failures.push(failure),
            }
        }
        let timeout = cli.flags().duration("timeout");
        if timeout.is_some_and(|timeout| cli.api.now() >= cli.began + timeout) && !left.is_empty() {
            failures.extend(left.drain(..).map(|pod| timed_out(&pod, timeout.unwrap_or_default())));
        }
        *pods = left;
        if let Err(failure) = Failure::of(failures) {
            tell_pending(cli, &node.name, &failure)?;
            return Err(failure);
        }
        Ok(self.pods.as_ref().is_none_or(Vec::is_empty))
    }
}

fn timed_out(pod: &Leaving, timeout: Duration) -> Failure {
    let timeout = duration_text(timeout);
    let Leaving { namespace, name, .. } = pod;
    Failure::Message(match pod.state {
        State::Evict(_) => {
            format!("error when evicting pods/{name:?} -n {namespace:?}: global timeout reached: {timeout}")
        }
        State::Ending => {
            format!(
                "error when waiting for pod {name:?} in namespace {namespace:?} to terminate: global timeout reached: {timeout}"
            )
        }
    })
}

/// A duration as Go prints it.
fn duration_text(duration: Duration) -> String {
    GoDuration::from_secs(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)).to_string()
}

fn tell_pending(cli: &mut Cli<'_>, node: &str, why: &Failure) -> Result<(), Failure> {
    let pending = leaving(cli, node, false)?;
    if !pending.is_empty() {
        cli.complain(&format!("There are pending pods in node {node:?} when an error occurred: {}", why.bare()));
        for pod in pending {
            cli.complain(&format!("pod/{}", pod.name));
        }
    }
    Ok(())
}

/// Lets a pod go on leaving; whether it is gone.
fn go_on(cli: &mut Cli<'_>, pod: &mut Leaving) -> Result<bool, Failure> {
    let deletes = cli.flags().is("disable-eviction", false);
    let dry_run = cli.dry_run()? == DryRun::Server;
    if let State::Evict(when) = pod.state {
        if cli.api.now() < when {
            return Ok(false);
        }
        if !deletes {
            cli.say(&format!("evicting pod {}/{}{}", pod.namespace, pod.name, cli.dry_run()?.suffix()));
        }
        match evict(cli, pod, dry_run) {
            Ok(()) if dry_run => return Ok(true),
            Ok(()) => pod.state = State::Ending,
            Err(status) if status.is_not_found() => return Ok(true),
            Err(status) if status.reason() == Reason::TooManyRequests => {
                cli.complain(&format!(
                    "error when evicting pods/{:?} -n {:?} (will retry after 5s): {}",
                    pod.name,
                    pod.namespace,
                    status.message()
                ));
                pod.state = State::Evict(cli.api.now() + RETRY);
                return Ok(false);
            }
            Err(status) => {
                return Err(Failure::Message(format!(
                    "error when evicting pods/{:?} -n {:?}: {}",
                    pod.name,
                    pod.namespace,
                    status.message()
                )));
            }
        }
    }
    match cli.get(Kind::Pod, &pod.namespace, &pod.name) {
        Ok(object) if object["metadata"]["uid"] == pod.uid.as_str() => Ok(false),
        Err(status) if !status.is_not_found() => Err(status.into()),
        _ => {
            cli.say(&format!("pod/{} {}", pod.name, if deletes { "deleted" } else { "evicted" }));
            Ok(true)
        }
    }
}

fn evict(cli: &mut Cli<'_>, pod: &Leaving, dry_run: bool) -> Result<(), Status> {
    let grace = cli.flags().integer("grace-period").filter(|seconds| *seconds >= 0);
    if cli.flags().is("disable-eviction", false) {
        let options = DeleteOptions { grace_period_seconds: grace, dry_run, ..DeleteOptions::default() };
        return cli.delete(Kind::Pod, &pod.namespace, &pod.name, options).map(drop);
    }
    let mut options = json!({});
    if let Some(seconds) = grace {
        options["gracePeriodSeconds"] = seconds.into();
    }
    if dry_run {
        options["dryRun"] = json!(["All"]);
    }
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": pod.name, "namespace": pod.namespace },
        "deleteOptions": options,
    });
    let key = ObjectKey::new(pod.namespace.as_str(), pod.name.as_str());
    let target = Target::object(Kind::Pod, &key).below(Subresource::Eviction);
    cli.send(target, Verb::Create { body: Body::Json(eviction), options: WriteOptions::default() }).map(drop)
}

/// What becomes of a pod: whether it leaves, and what is to be said of it.
enum Verdict {
    Leaves,
    LeavesWith(String),
    StaysWith(String),
    Stays,
    Fatal(String),
}

/// The pods that leave a node, after the filters; refuses when one of them may not.
fn leaving(cli: &mut Cli<'_>, node: &str, warn: bool) -> Result<Vec<Leaving>, Failure> {
    let options = ListOptions {
        label_selector: cli.flags().text("pod-selector").to_owned(),
        field_selector: format!("spec.nodeName={node}"),
        ..ListOptions::default()
    };
    let list = cli.list(Kind::Pod, "", options)?.wire();
    let now = cli.api.now();
    let (mut leaving, mut warnings, mut fatal) = (Vec::new(), Vec::new(), Vec::new());
    for pod in list["items"].as_array().into_iter().flatten() {
        let text = |field: &str| pod["metadata"][field].as_str().unwrap_or("").to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        let leaves = match verdict(cli, pod) {
            Verdict::Leaves => true,
            Verdict::LeavesWith(why) => {
                group(&mut warnings, why, format!("{namespace}/{name}"));
                true
            }
            Verdict::StaysWith(why) => {
                group(&mut warnings, why, format!("{namespace}/{name}"));
                false
            }
            Verdict::Stays => false,
            Verdict::Fatal(why) => {
                group(&mut fatal, why, format!("{namespace}/{name}"));
                false
            }
        };
        if leaves {
            leaving.push(Leaving { namespace, name, uid: text("uid"), state: State::Evict(now) });
        }
    }
    if warn {
        let failures =
            fatal.into_iter().map(|(why, pods)| Failure::Message(format!("cannot delete {why}: {}", pods.join(", "))));
        Failure::of(failures.collect())?;
        if !warnings.is_empty() {
            let lines: Vec<String> =
                warnings.into_iter().map(|(why, pods)| format!("{why}: {}", pods.join(", "))).collect();
            cli.complain(&format!("Warning: {}", lines.join("; ")));
        }
    }
    Ok(leaving)
}

fn group(groups: &mut Vec<(String, Vec<String>)>, why: String, pod: String) {
    match groups.iter_mut().find(|(known, _)| *known == why) {
        Some((_, pods)) => pods.push(pod),
        None => groups.push((why, vec![pod])),
    }
}

/// The filters, in upstream's order; the last warning counts.
fn verdict(cli: &mut Cli<'_>, pod: &Value) -> Verdict {
    let force = cli.flags().is("force", false);
    let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let owners = pod["metadata"]["ownerReferences"].as_array();
    let controller = owners.into_iter().flatten().find(|owner| owner["controller"] == true);
    if let Some(set) = controller.filter(|owner| owner["kind"] == "DaemonSet" && !over) {
        let (namespace, name) = (pod["metadata"]["namespace"].as_str(), set["name"].as_str());
        match cli.get(Kind::DaemonSet, namespace.unwrap_or(""), name.unwrap_or("")) {
            // The filter that comes last has the last word, so that a warning here is never told.
            Err(status) if status.is_not_found() && force => {}
            Err(status) => return Verdict::Fatal(status.message().to_owned()),
            Ok(_) if cli.flags().is("ignore-daemonsets", false) => {
                return Verdict::StaysWith("ignoring DaemonSet-managed Pods".to_owned());
            }
            Ok(_) => {
                return Verdict::Fatal("DaemonSet-managed Pods (use --ignore-daemonsets to ignore)".to_owned());
            }
        }
    }
    let flags = cli.flags();
    if !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null() {
        return Verdict::Stays;
    }
    let local = pod["spec"]["volumes"].as_array().into_iter().flatten().any(|volume| volume["emptyDir"].is_object());
    let may_go = flags.is("delete-emptydir-data", false) || flags.is("delete-local-data", false);
    if local && !over && !may_go {
        return Verdict::Fatal("Pods with local storage (use --delete-emptydir-data to override)".to_owned());
    }
    if controller.is_none() && !over {
        if !force {
            return Verdict::Fatal("Pods that declare no controller (use --force to override)".to_owned());
        }
        return Verdict::LeavesWith("deleting Pods that declare no controller".to_owned());
    }
    Verdict::Leaves
}
