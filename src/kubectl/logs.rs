//! `kubectl logs`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/logs` and `pkg/polymorphichelpers/logsforobject.go`.

use std::cmp::Reverse;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::builder::{self, Found, Info, Query};
use super::cli::{Cli, Step, Waiting};
use super::failure::Failure;
use crate::api::Kind;
use crate::apiserver::ListOptions;
use crate::machinery::json;
use crate::machinery::labels::{format_label_selector, format_labels};
use crate::machinery::order::Order as _;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::sim::PodLogOptions;

const USAGE: &str = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required \
                     argument for the logs command";
/// So many lines of each pod, when a selector chooses them and nobody says how many.
const SELECTOR_TAIL: usize = 10;
/// `--pod-running-timeout`: so long a pod may take to appear.
const POD_TIMEOUT: Duration = Duration::from_secs(20);
/// `--max-log-requests`.
const REQUESTS_MAX: i64 = 5;
/// `podcmd.DefaultContainerAnnotationName`.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// A container whose log is read.
#[derive(Clone, Debug)]
struct Source {
    namespace: String,
    pod: String,
    options: PodLogOptions,
    /// What stands before each line.
    prefix: String,
    /// The time of the last line that was printed, and how many lines of that time were.
    printed: Option<(Time, usize)>,
}

/// The logs that are followed, or the object whose pods have not appeared yet.
#[derive(Clone, Debug)]
pub(super) enum Logs {
    Absent { info: Box<Info>, selector: String },
    Followed(Vec<FollowedLog>),
}

/// A log that is followed.
#[derive(Clone, Debug)]
pub(super) struct FollowedLog(Source);

/// Runs `kubectl logs`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let (words, container) = words(cli)?;
    let options = options(cli, container)?;
    if cli.flags().has("selector") {
        let found = builder::find(cli, Query::new(&words))?.all()?;
        if found.is_empty() {
            let namespace = cli.namespace();
            cli.complain(&format!("No resources found in {namespace} namespace."));
        }
        let mut sources = Vec::new();
        for info in found {
            sources.extend(sources_of_pod(cli, &info.object, &options)?);
        }
        return read(cli, sources);
    }
    let found = builder::find(cli, Query { selects: false, ..Query::new(&words) });
    let infos = found.and_then(Found::all).map_err(|failure| told_of_namespace(cli, failure))?;
    let [info] = infos.as_slice() else { return Err(Failure::message("expected a resource")) };
    if info.kind == Kind::Pod {
        let sources = sources_of_pod(cli, &info.object, &options)?;
        return read(cli, sources);
    }
    let selector = selector_of(info, "get the logs from")?;
    Logs::Absent { info: Box::new(info.clone()), selector }.poll(cli)
}

/// An object that is not there is told of with the namespace.
fn told_of_namespace(cli: &Cli<'_>, failure: Failure) -> Failure {
    let Failure::Status(status) = &failure else { return failure };
    if !status.is_not_found() {
        return failure;
    }
    let namespace = cli.namespace();
    Failure::message(format!("error from server (NotFound): {} in namespace \"{namespace}\"", status.message()))
}

/// The words that name what is looked at, and the container.
fn words(cli: &Cli<'_>) -> Result<(Vec<String>, String), Failure> {
    let flags = cli.flags();
    let container = flags.text("container").to_owned();
    let named = |word: &str| vec![if word.contains('/') { word.to_owned() } else { format!("pods/{word}") }];
    match (cli.arguments(), flags.has("selector")) {
        ([], true) => Ok((vec!["pods".to_owned()], container)),
        ([_, ..], true) => Err(cli.usage("only a selector (-l) or a POD name is allowed")),
        ([word], false) => Ok((named(word), container)),
        ([word, second], false) if container.is_empty() => Ok((named(word), second.clone())),
        ([_, _], false) => Err(Failure::message("only one of -c or an inline [CONTAINER] arg is allowed")),
        _ => Err(cli.usage(USAGE)),
    }
}

fn options(cli: &Cli<'_>, container: String) -> Result<PodLogOptions, Failure> {
    let flags = cli.flags();
    if flags.is("all-containers", false) && !container.is_empty() {
        return Err(Failure::Message(format!(
            "--all-containers=true should not be specified with container name {container}"
        )));
    }
    let tail = flags.integer("tail").unwrap_or(-1);
    if tail < -1 {
        return Err(Failure::message("--tail must be greater than or equal to -1"));
    }
    if flags.integer("limit-bytes").is_some_and(|limit| limit < 0) {
        return Err(Failure::message("--limit-bytes must be greater than 0"));
    }
    if flags.text("since").starts_with('-') {
        return Err(Failure::message("--since must be greater than 0"));
    }
    if flags.has("since") && flags.has("since-time") {
        return Err(Failure::message("at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    let since = match flags.text("since-time") {
        "" => flags.duration("since").map(|since| cli.api.now() - since),
        text => Some(Time::parse(text).ok_or_else(|| {
            let layout = "\"2006-01-02T15:04:05Z07:00\"";
            Failure::Message(format!("parsing time {text:?} as {layout}: cannot parse {text:?} as \"2006\""))
        })?),
    };
    let unlimited = flags.has("tail") || !flags.has("selector");
    Ok(PodLogOptions {
        container,
        previous: flags.is("previous", false),
        since,
        tail_lines: usize::try_from(tail).ok().or((!unlimited).then_some(SELECTOR_TAIL)),
        limit_bytes: flags
            .integer("limit-bytes")
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0),
    })
}

/// The pods of an object, as a selector: `SelectorsForObject`.
pub(super) fn selector_of(info: &Info, purpose: &str) -> Result<String, Failure> {
    let selector = &info.object["spec"]["selector"];
    let refused = |why: String| Failure::Message(format!("cannot {purpose} *v1.{}: {why}", info.kind));
    match info.kind {
        Kind::Deployment | Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
            let selector: LabelSelector = json::from_value(selector).map_err(|error| refused(error.to_string()))?;
            Ok(format_label_selector(Some(&selector)))
        }
        Kind::Service | Kind::ReplicationController => match json::from_value(selector) {
            Ok(labels) => Ok(format_labels(Some(&labels))),
            Err(_) => Err(refused(format!("invalid service '{}': Service is defined without a selector", info.name))),
        },
        other => Err(refused(format!("selector for *v1.{other} not implemented"))),
    }
}

impl Logs {
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        match self {
            Self::Absent { info, selector } => find_pods(cli, info, selector),
            Self::Followed(logs) => follow(cli, logs),
        }
    }
}

/// Reads the log of the pod that is likeliest to say something, or of all: `GetFirstPod`.
fn find_pods(cli: &mut Cli<'_>, info: Box<Info>, selector: String) -> Result<Step, Failure> {
    let options = ListOptions { label_selector: selector.clone(), ..ListOptions::default() };
    let mut list = cli.list(Kind::Pod, &info.namespace, options)?.wire();
    let mut pods = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    by_likelihood(&mut pods);
    let flags = cli.flags();
    let Some(first) = pods.first() else {
        let timeout = flags.duration("pod-running-timeout").unwrap_or(POD_TIMEOUT);
        if cli.api.now() >= cli.began + timeout {
            return Err(Failure::message("timed out waiting for the condition"));
        }
        return Ok(Step::Wait(Waiting::Logs(Logs::Absent { info, selector })));
    };
    let (_, container) = words(cli)?;
    let options = self::options(cli, container)?;
    if flags.is("all-pods", false) {
        let mut sources = Vec::new();
        for pod in &pods {
            sources.extend(sources_of_pod(cli, pod, &options)?);
        }
        return read(cli, sources);
    }
    if pods.len() > 1 {
        let name = first["metadata"]["name"].as_str().unwrap_or("");
        cli.complain(&format!("Found {} pods, using pod/{name}", pods.len()));
    }
    let sources = sources_of_pod(cli, first, &options)?;
    read(cli, sources)
}

/// Puts pods first that are likelier to have something to say.
pub(super) fn by_likelihood(pods: &mut [Value]) {
    pods.order_by(|a, b| rank(a).cmp(&rank(b)));
}

/// The sooner, the likelier a pod has something to say: `podutils.ByLogging`.
pub(super) fn rank(pod: &Value) -> (bool, u8, bool, String, Reverse<i64>, String) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let phase = match pod["status"]["phase"].as_str() {
        Some("Unknown") => 1,
        Some("Pending") => 2,
        _ => 0,
    };
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().find(|known| known["type"] == "Ready" && known["status"] == "True");
    let since = ready.map_or_else(String::new, |ready| text(&ready["lastTransitionTime"]));
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let restarts = statuses.filter_map(|status| status["restartCount"].as_i64()).max().unwrap_or(0);
    let created = text(&pod["metadata"]["creationTimestamp"]);
    (text(&pod["spec"]["nodeName"]).is_empty(), phase, ready.is_none(), since, Reverse(restarts), created)
}

/// The names of a pod's containers of one sort.
pub(super) fn names<'a>(pod: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    let containers = pod["spec"][field].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str())
}

/// The logs of a pod that the command is about: of one container, or of all.
fn sources_of_pod(cli: &mut Cli<'_>, pod: &Value, options: &PodLogOptions) -> Result<Vec<Source>, Failure> {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or("").to_owned();
    let all = ["initContainers", "containers", "ephemeralContainers"];
    let containers: Vec<String> = if cli.flags().is("all-containers", false) {
        all.iter().flat_map(|field| names(pod, field)).map(str::to_owned).collect()
    } else if options.container.is_empty() {
        vec![default_container(cli, pod)]
    } else {
        let wanted = &options.container;
        if !all.iter().flat_map(|field| names(pod, field)).any(|name| name == wanted) {
            let name = text("name");
            return Err(Failure::Message(format!("container {wanted} is not valid for pod {name}")));
        }
        vec![wanted.clone()]
    };
    let prefixed = cli.flags().is("prefix", false) || cli.flags().is("all-pods", false);
    let source = |container: String| Source {
        namespace: text("namespace"),
        pod: text("name"),
        prefix: if prefixed { format!("[pod/{}/{container}] ", text("name")) } else { String::new() },
        options: PodLogOptions { container, ..options.clone() },
        printed: None,
    };
    Ok(containers.into_iter().map(source).collect())
}

/// The container that the pod names as the one to look at, or the first; which one is told when there are others.
pub(super) fn default_container(cli: &mut Cli<'_>, pod: &Value) -> String {
    let named = pod["metadata"]["annotations"][DEFAULT_CONTAINER].as_str();
    if let Some(named) = named.filter(|named| names(pod, "containers").any(|name| name == *named)) {
        return named.to_owned();
    }
    let first = names(pod, "containers").next().unwrap_or("").to_owned();
    let marked = |field: &str, mark: &str| names(pod, field).map(|name| format!("{name}{mark}")).collect::<Vec<_>>();
    let all =
        [marked("containers", ""), marked("ephemeralContainers", " (ephem)"), marked("initContainers", " (init)")]
            .concat();
    if all.len() > 1 {
        cli.complain(&format!("Defaulted container {first:?} out of: {}", all.join(", ")));
    }
    first
}

/// Prints what there is, or follows it.
fn read(cli: &mut Cli<'_>, sources: Vec<Source>) -> Result<Step, Failure> {
    if cli.flags().is("follow", false) {
        let most = cli.flags().integer("max-log-requests").unwrap_or(REQUESTS_MAX);
        if sources.len() > 1 && i64::try_from(sources.len()).unwrap_or(i64::MAX) > most {
            return Err(Failure::Message(format!(
                "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use \
                 --max-log-requests to increase the limit",
                sources.len()
            )));
        }
        return follow(cli, sources.into_iter().map(FollowedLog).collect());
    }
    for mut source in sources {
        print_or_complain(cli, &mut source)?;
    }
    Ok(Step::Done)
}

/// Prints what was written since the last look; ends when no container runs any more.
fn follow(cli: &mut Cli<'_>, logs: Vec<FollowedLog>) -> Result<Step, Failure> {
    let mut running = Vec::new();
    for FollowedLog(mut source) in logs {
        // Whether it runs is asked first, so that its last words are not lost.
        let runs = is_running(cli, &source);
        print_or_complain(cli, &mut source)?;
        // The end of the log was asked for once; from here on everything is new.
        source.options.tail_lines = None;
        if runs {
            running.push(FollowedLog(source));
        }
    }
    if running.is_empty() { Ok(Step::Done) } else { Ok(Step::Wait(Waiting::Logs(Logs::Followed(running)))) }
}

fn print_or_complain(cli: &mut Cli<'_>, source: &mut Source) -> Result<(), Failure> {
    match print_new(cli, source) {
        Err(status) if cli.flags().is("ignore-errors", false) => {
            cli.say(&format!("error: {}", status.message()));
            Ok(())
        }
        other => other.map_err(Failure::from),
    }
}

fn print_new(cli: &mut Cli<'_>, source: &mut Source) -> Result<(), Status> {
    let mut options = source.options.clone();
    if let Some((time, _)) = source.printed {
        options.since = Some(time);
    }
    let lines = cli.api.logs(&source.namespace, &source.pod, &options)?;
    let known = source.printed.map_or(0, |(_, count)| count);
    let with_times = cli.flags().is("timestamps", false);
    for line in lines.into_iter().skip(known) {
        let time = if with_times { format!("{} ", line.time.to_rfc3339_micro()) } else { String::new() };
        cli.say(&format!("{}{time}{}", source.prefix, line.text));
        source.printed = match source.printed {
            Some((time, count)) if time == line.time => Some((time, count + 1)),
            _ => Some((line.time, 1)),
        };
    }
    Ok(())
}

fn is_running(cli: &mut Cli<'_>, source: &Source) -> bool {
    let Ok(pod) = cli.get(Kind::Pod, &source.namespace, &source.pod) else { return false };
    let all = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let mut statuses = all.iter().flat_map(|field| pod["status"][*field].as_array().into_iter().flatten());
    let found = statuses.find(|status| status["name"] == source.options.container.as_str());
    !source.options.previous && found.is_some_and(|status| !status["state"]["running"].is_null())
}
