//! `kubectl top node` and `kubectl top pod`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/top` and `pkg/metricsutil`, on `metrics.k8s.io` where the cluster serves it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::cli::{Cli, Step};
use super::describe::list_all;
use super::failure::Failure;
use super::tabwriter::TabWriter;
use crate::api::Kind;
use crate::apiserver::ListOptions;
use crate::machinery::duration::GoDuration;
use crate::machinery::quantity::Quantity;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// So long a new pod may be without metrics: `metricsCreationDelay`, in seconds.
const DELAY_SECONDS: i64 = 120;

/// The kind of the metrics of nodes or pods, where there are any.
fn kind(plural: &str) -> Result<Kind, Failure> {
    let is_meant = |kind: &&Kind| kind.info().group == "metrics.k8s.io" && kind.info().plural == plural;
    Kind::ALL.iter().find(is_meant).copied().ok_or_else(|| Failure::message("Metrics API not available"))
}

fn check(cli: &Cli<'_>) -> Result<(), Failure> {
    let flags = cli.flags();
    if !matches!(flags.text("sort-by"), "" | "cpu" | "memory") {
        return Err(Failure::message("--sort-by accepts only cpu or memory"));
    }
    if !cli.arguments().is_empty() && (flags.has("selector") || flags.has("field-selector")) {
        let selector = if cli.parsed.command.name == "node" { "--selector" } else { "selector" };
        return Err(Failure::Message(format!("only one of NAME or {selector} can be provided")));
    }
    if cli.arguments().len() > 1 {
        let name = cli.parsed.command.name;
        return Err(cli.usage(&format!("{name} [NAME | -l label]")));
    }
    Ok(())
}

/// The metrics that are asked for: of one object, or of all that the selectors choose.
fn metrics(cli: &mut Cli<'_>, kind: Kind, namespace: &str) -> Result<Vec<Value>, Failure> {
    if let Some(name) = cli.arguments().first() {
        return Ok(vec![cli.get(kind, namespace, name).map_err(without_metrics)?]);
    }
    let flags = cli.flags();
    let options = ListOptions {
        label_selector: flags.text("selector").to_owned(),
        field_selector: flags.text("field-selector").to_owned(),
        ..ListOptions::default()
    };
    let mut answer = cli.list(kind, namespace, options).map_err(without_metrics)?.wire();
    Ok(answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
}

/// Where nobody serves metrics, kubectl says so; upstream finds that out by discovery.
fn without_metrics(status: Status) -> Failure {
    if status.message() == "the server could not find the requested resource" {
        return Failure::message("Metrics API not available");
    }
    Failure::Status(status)
}

/// Processor and memory.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    cpu: Quantity,
    memory: Quantity,
}

impl Usage {
    fn of(amounts: &Value) -> Self {
        let amount = |name: &str| amounts[name].as_str().and_then(|text| Quantity::parse(text).ok());
        Self { cpu: amount("cpu").unwrap_or_default(), memory: amount("memory").unwrap_or_default() }
    }

    fn add(&mut self, other: Self) {
        self.cpu.add(other.cpu);
        self.memory.add(other.memory);
    }

    /// Both with a tab behind each, and how many of a hundred parts they are where there is a whole.
    fn cells(self, whole: Option<Self>) -> String {
        let share = |part: Quantity, whole: Option<Quantity>| {
            let Some(whole) = whole else { return String::new() };
            let (part, whole) = (part.milli_value() as f64, whole.milli_value() as f64);
            format!("{}%\t", if whole == 0.0 { 0 } else { (part / whole * 100.0) as i64 })
        };
        let cpu = share(self.cpu, whole.map(|whole| whole.cpu));
        let memory = share(self.memory, whole.map(|whole| whole.memory));
        format!("{}m\t{cpu}{}Mi\t{memory}", self.cpu.milli_value(), self.memory.value() / (1024 * 1024))
    }

    fn key(self, by: &str) -> std::cmp::Reverse<Quantity> {
        std::cmp::Reverse(if by == "cpu" { self.cpu } else { self.memory })
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("")
}

/// Runs `kubectl top node`.
pub(super) fn node(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    check(cli)?;
    let flags = cli.flags();
    let mut found = metrics(cli, kind("nodes")?, "")?;
    if found.is_empty() {
        return Err(Failure::message("metrics not available yet"));
    }
    let nodes = match cli.arguments().first() {
        Some(name) => vec![cli.get(Kind::Node, "", name)?],
        None => {
            let label_selector = flags.text("selector").to_owned();
            let options = ListOptions { label_selector, ..ListOptions::default() };
            let mut answer = cli.list(Kind::Node, "", options)?.wire();
            answer["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
        }
    };
    let of_all = if flags.is("show-capacity", false) { "capacity" } else { "allocatable" };
    let mut wholes: BTreeMap<&str, Usage> =
        nodes.iter().map(|node| (name(node), Usage::of(&node["status"][of_all]))).collect();
    match flags.text("sort-by") {
        "" => found.sort_by(|a, b| name(a).cmp(name(b))),
        by => found.sort_by_key(|metric| Usage::of(&metric["usage"]).key(by)),
    }
    let mut text = String::new();
    if !flags.is("no-headers", false) {
        text.push_str("NAME\tCPU(cores)\tCPU(%)\tMEMORY(bytes)\tMEMORY(%)\t\n");
    }
    for metric in &found {
        let whole = wholes.remove(name(metric));
        text.push_str(&format!("{}\t{}\n", name(metric), Usage::of(&metric["usage"]).cells(whole)));
    }
    for node in wholes.keys() {
        text.push_str(&format!("{node}\t{}\n", "<unknown>\t".repeat(4)));
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Ok(Step::Done)
}

/// Runs `kubectl top pod`.
pub(super) fn pod(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    check(cli)?;
    let flags = cli.flags();
    let everywhere = flags.is("all-namespaces", false);
    let namespace = if everywhere { String::new() } else { cli.namespace() };
    let mut found = metrics(cli, kind("pods")?, &namespace)?;
    if found.is_empty() {
        explain_absence(cli, &namespace)?;
        let place = if everywhere { String::new() } else { format!(" in {namespace} namespace.") };
        cli.complain(&format!("No resources found{place}"));
        return Ok(Step::Done);
    }
    let space = |metric: &Value| metric["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
    match flags.text("sort-by") {
        "" => found
            .sort_by_key(|metric| (if everywhere { space(metric) } else { String::new() }, name(metric).to_owned())),
        by => found.sort_by_key(|metric| total(metric).key(by)),
    }
    let by_container = flags.is("containers", false);
    let mut columns = vec!["NAME", "CPU(cores)", "MEMORY(bytes)"];
    if by_container {
        columns.insert(0, "POD");
    }
    if everywhere {
        columns.insert(0, "NAMESPACE");
    }
    let mut text = String::new();
    if !flags.is("no-headers", false) {
        text.push_str(&format!("{}\t\n", columns.join("\t")));
    }
    let mut sum = Usage::default();
    for metric in &found {
        sum.add(total(metric));
        let prefix = if everywhere { format!("{}\t", space(metric)) } else { String::new() };
        if !by_container {
            text.push_str(&format!("{prefix}{}\t{}\n", name(metric), total(metric).cells(None)));
            continue;
        }
        for container in containers(metric, flags.text("sort-by")) {
            let cells = Usage::of(&container["usage"]).cells(None);
            let of = container["name"].as_str().unwrap_or("");
            text.push_str(&format!("{prefix}{}\t{of}\t{cells}\n", name(metric)));
        }
    }
    if flags.is("sum", false) {
        let before = "\t".repeat(columns.len() - 2);
        text.push_str(&format!("{before}________\t________\t\n{before}{}\n", sum.cells(None)));
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Ok(Step::Done)
}

fn total(metric: &Value) -> Usage {
    let mut total = Usage::default();
    metric["containers"].as_array().into_iter().flatten().for_each(|one| total.add(Usage::of(&one["usage"])));
    total
}

fn containers<'a>(metric: &'a Value, by: &str) -> Vec<&'a Value> {
    let mut containers: Vec<&Value> = metric["containers"].as_array().into_iter().flatten().collect();
    match by {
        "" => containers.sort_by_key(|container| container["name"].as_str()),
        by => containers.sort_by_key(|container| Usage::of(&container["usage"]).key(by)),
    }
    containers
}

/// Why there are no metrics: there are no pods, or they are too young, or something is wrong: `verifyEmptyMetrics`.
fn explain_absence(cli: &mut Cli<'_>, namespace: &str) -> Result<(), Failure> {
    let pods = list_all(cli, Kind::Pod, namespace, "")?;
    if pods.is_empty() {
        return Ok(());
    }
    let now = cli.api.now();
    for pod in &pods {
        let created = pod["metadata"]["creationTimestamp"].as_str().and_then(Time::parse).unwrap_or(now);
        let age = GoDuration::between(created, now);
        if age.as_secs() > DELAY_SECONDS {
            let space = pod["metadata"]["namespace"].as_str().unwrap_or("");
            return Err(Failure::Message(format!("Metrics not available for pod {space}/{}, age: {age}", name(pod))));
        }
    }
    Err(Failure::message("metrics not available yet"))
}
