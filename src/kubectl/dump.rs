//! `kubectl cluster-info dump`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/clusterinfo/clusterinfo_dump.go`.

use serde_json::Value;

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::logs;
use super::printer::{Formats, Printer};
use crate::api::Kind;
use crate::apiserver::ListOptions;
use crate::sim::PodLogOptions;

/// What is dumped of each namespace, and under which name.
const KINDS: [(Kind, &str); 7] = [
    (Kind::Event, "events"),
    (Kind::ReplicationController, "replication-controllers"),
    (Kind::Service, "services"),
    (Kind::DaemonSet, "daemonsets"),
    (Kind::Deployment, "deployments"),
    (Kind::ReplicaSet, "replicasets"),
    (Kind::Pod, "pods"),
];

/// Runs `kubectl cluster-info dump`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let output = match cli.flags().text("output") {
        "" => "json",
        output => output,
    }
    .to_owned();
    if !matches!(output.as_str(), "json" | "yaml") {
        return Err(Failure::Message(format!(
            "unable to match a printer suitable for the output format {output:?}, allowed formats are: json,yaml"
        )));
    }
    let dump = Dump { directory: cli.flags().text("output-directory").to_owned(), output };
    dump.list(cli, Kind::Node, "", "nodes")?;
    for namespace in namespaces(cli)? {
        let mut pods = Value::Null;
        for (kind, name) in KINDS {
            pods = dump.list(cli, kind, &namespace, &format!("{namespace}/{name}"))?;
        }
        for pod in pods["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().unwrap_or("");
            let text = logs_of(cli, &namespace, name, pod);
            dump.write(cli, &format!("{namespace}/{name}/logs.txt"), &text)?;
        }
    }
    if !dump.is_shown() {
        cli.say(&format!("Cluster info dumped to {}", dump.directory));
    }
    Ok(Step::Done)
}

fn namespaces(cli: &mut Cli<'_>) -> Result<Vec<String>, Failure> {
    if cli.flags().is("all-namespaces", false) {
        let list = cli.list(Kind::Namespace, "", ListOptions::default())?.wire();
        let names = list["items"].as_array().into_iter().flatten();
        return Ok(names.map(|one| one["metadata"]["name"].as_str().unwrap_or("").to_owned()).collect());
    }
    let named = cli.flags().texts("namespaces");
    Ok(if named.is_empty() { vec!["kube-system".to_owned(), cli.namespace()] } else { named })
}

/// Where a dump goes.
struct Dump {
    directory: String,
    output: String,
}

impl Dump {
    /// Whether it goes to standard output.
    fn is_shown(&self) -> bool {
        matches!(self.directory.as_str(), "" | "-")
    }

    fn write(&self, cli: &mut Cli<'_>, name: &str, text: &str) -> Result<(), Failure> {
        if self.is_shown() {
            cli.out.push_str(text);
            return Ok(());
        }
        let path = format!("{}/{name}", self.directory);
        cli.files.write(&path, text.as_bytes()).map_err(|why| Failure::Message(format!("open {path}: {why}")))
    }

    /// Dumps all objects of a kind in a namespace, and returns them.
    fn list(&self, cli: &mut Cli<'_>, kind: Kind, namespace: &str, name: &str) -> Result<Value, Failure> {
        let list = cli.list(kind, namespace, ListOptions::default())?.wire();
        let mut printer = Printer::parse(cli, &self.output, Formats::Common)?.typed();
        // What was shown before stays, and what is printed now may go to a file.
        let shown = std::mem::take(&mut cli.out);
        let printed = printer.print(cli, &list);
        let text = std::mem::replace(&mut cli.out, shown);
        printed?;
        self.write(cli, &format!("{name}.{}", self.output), &text)?;
        Ok(list)
    }
}

/// What all containers of a pod wrote.
fn logs_of(cli: &mut Cli<'_>, namespace: &str, name: &str, pod: &Value) -> String {
    let mut text = String::new();
    for container in logs::names(pod, "initContainers").chain(logs::names(pod, "containers")) {
        let about = format!("logs for container {container} of pod {namespace}/{name} ====\n");
        text.push_str(&format!("==== START {about}"));
        let options = PodLogOptions { container: container.to_owned(), ..PodLogOptions::default() };
        match cli.api.logs(namespace, name, &options) {
            Ok(lines) => lines.iter().for_each(|line| {
                text.push_str(&line.text);
                text.push('\n');
            }),
            Err(status) => text.push_str(&format!("Request log error: {}\n", status.message())),
        }
        text.push_str(&format!("==== END {about}"));
    }
    text
}
