//! What the cluster is and serves: `api-resources`, `api-versions`, `cluster-info` and `version`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/{apiresources,clusterinfo,version}`.

use serde_json::json;

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::printer::{Formats, Printer};
use super::tabwriter::TabWriter;
use crate::api::{Kind, OTHER_VERSIONS};
use crate::apiserver::ListOptions;

/// The version of this kubectl and of the cluster.
const VERSION: &str = "v1.36.2";
/// The version of kustomize whose rules are followed.
const KUSTOMIZE_VERSION: &str = "v5.7.1";
/// The group that metrics-server serves.
const METRICS: &str = "metrics.k8s.io";
/// Where the API server says that it is.
pub(super) const SERVER: &str = "https://127.0.0.1:6443";

/// A row of `api-resources`.
struct Resource {
    group: &'static str,
    version: String,
    kind: Kind,
}

impl Resource {
    /// Every resource that is served, in the version that is preferred.
    fn all(cli: &mut Cli<'_>) -> Vec<Self> {
        let own = |kind: &Kind| Self { group: kind.info().group, version: kind.api_version(), kind: *kind };
        // What is served in another group too is another resource.
        let others = OTHER_VERSIONS.iter().filter(|other| other.group != other.kind.info().group).map(|other| Self {
            group: other.group,
            version: format!("{}/{}", other.group, other.version),
            kind: other.kind,
        });
        let mut all: Vec<Self> = Kind::ALL.iter().map(own).chain(others).collect();
        if !has_metrics(cli) {
            all.retain(|resource| resource.group != METRICS);
        }
        // Of several versions of a custom kind the preferred one comes first.
        for kind in cli.api.custom_kinds() {
            let is_known = |known: &Self| known.group == kind.info().group && known.kind == kind;
            if !all.iter().any(is_known) {
                all.push(own(&kind));
            }
        }
        all
    }

    fn verbs(&self) -> Vec<&'static str> {
        if !self.kind.is_stored() {
            return vec!["create"];
        }
        let all = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
        all.into_iter().filter(|verb| self.kind != Kind::Namespace || *verb != "deletecollection").collect()
    }
}

/// Whether metrics-server is there: without it nobody serves its group.
fn has_metrics(cli: &mut Cli<'_>) -> bool {
    cli.list(Kind::NodeMetrics, "", ListOptions::default()).is_ok()
}

/// Runs `kubectl api-resources`.
pub(super) fn resources(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !cli.arguments().is_empty() {
        return Err(cli.usage(&format!("unexpected arguments: [{}]", cli.arguments().join(" "))));
    }
    let output = flags.text("output");
    if !matches!(output, "" | "wide" | "name") {
        return Err(Failure::Message(format!("--output {output} is not available")));
    }
    let by = flags.text("sort-by");
    if !matches!(by, "" | "name" | "kind") {
        return Err(Failure::message("--sort-by accepts only name or kind"));
    }
    let verbs = flags.texts("verbs");
    let mut rows = Resource::all(cli);
    rows.retain(|row| {
        let own = row.verbs();
        (!flags.has("api-group") || flags.text("api-group") == row.group)
            && (!flags.has("namespaced") || flags.is("namespaced", true) == row.kind.info().namespaced)
            && verbs.iter().all(|verb| own.contains(&verb.as_str()))
            && flags.texts("categories").iter().all(|one| row.kind.info().categories.contains(&one.as_str()))
    });
    rows.sort_by_key(|row| {
        let info = row.kind.info();
        let first = match by {
            "name" => info.plural,
            "kind" => info.kind,
            _ => row.group,
        };
        (first, info.plural)
    });
    let mut text = String::new();
    if !flags.is("no-headers", false) && output != "name" {
        let verbs = if output == "wide" { "\tVERBS\tCATEGORIES" } else { "" };
        text.push_str(&format!("NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND{verbs}\n"));
    }
    for row in &rows {
        let info = row.kind.info();
        if output == "name" {
            let group = if row.group.is_empty() { String::new() } else { format!(".{}", row.group) };
            text.push_str(&format!("{}{group}\n", info.plural));
            continue;
        }
        let wide = match output {
            "wide" => format!("\t{}\t{}", row.verbs().join(","), info.categories.join(",")),
            _ => String::new(),
        };
        let (plural, short, version) = (info.plural, info.short_names.join(","), &row.version);
        text.push_str(&format!("{plural}\t{short}\t{version}\t{}\t{}{wide}\n", info.namespaced, info.kind));
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Ok(Step::Done)
}

/// Runs `kubectl api-versions`.
pub(super) fn versions(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if let Some(word) = cli.arguments().first() {
        return Err(cli.usage(&format!("unexpected arguments: [{word}]")));
    }
    let others = OTHER_VERSIONS.iter().map(|other| format!("{}/{}", other.group, other.version));
    let custom = cli.api.custom_kinds();
    let kinds = Kind::ALL.iter().chain(&custom).map(|kind| kind.api_version());
    let mut versions: Vec<String> = kinds.chain(others).collect();
    if !has_metrics(cli) {
        versions.retain(|version| !version.starts_with(METRICS));
    }
    versions.sort();
    versions.dedup();
    versions.iter().for_each(|version| cli.say(version));
    Ok(Step::Done)
}

/// Runs `kubectl cluster-info`.
pub(super) fn cluster_info(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let mut services = vec![("Kubernetes control plane".to_owned(), SERVER.to_owned())];
    let namespace = if cli.flags().has("namespace") { cli.namespace() } else { "kube-system".to_owned() };
    let label_selector = "kubernetes.io/cluster-service=true".to_owned();
    let options = ListOptions { label_selector, ..ListOptions::default() };
    let found = cli.list(Kind::Service, &namespace, options)?.wire();
    for service in found["items"].as_array().into_iter().flatten() {
        let metadata = &service["metadata"];
        let name = metadata["name"].as_str().unwrap_or("");
        let port = &service["spec"]["ports"][0];
        let port = port["name"].as_str().map_or_else(String::new, |port| format!(":{port}"));
        let link = format!("{SERVER}/api/v1/namespaces/{namespace}/services/{name}{port}/proxy");
        let known = metadata["labels"]["kubernetes.io/name"].as_str().unwrap_or(name);
        services.push((known.to_owned(), link));
    }
    for (name, link) in services {
        // Upstream colours them also where nobody sees it.
        cli.say(&format!("\u{1b}[0;32m{name}\u{1b}[0m is running at \u{1b}[0;33m{link}\u{1b}[0m"));
    }
    cli.say("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.");
    Ok(Step::Done)
}

/// Runs `kubectl version`.
pub(super) fn version(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !cli.arguments().is_empty() {
        return Err(Failure::Message(format!("extra arguments: [{}]", cli.arguments().join(" "))));
    }
    let output = flags.text("output").to_owned();
    let client_only = flags.is("client", false);
    match output.as_str() {
        "" => {
            cli.say(&format!("Client Version: {VERSION}\nKustomize Version: {KUSTOMIZE_VERSION}"));
            if !client_only {
                cli.say(&format!("Server Version: {VERSION}"));
            }
        }
        "json" | "yaml" => {
            let mut parts = VERSION.trim_start_matches('v').split('.');
            let (major, minor) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let version = json!({ "gitVersion": VERSION, "major": major, "minor": minor, "platform": "linux/amd64" });
            let mut all = json!({ "clientVersion": version, "kustomizeVersion": KUSTOMIZE_VERSION });
            if !client_only {
                all["serverVersion"] = version;
            }
            Printer::parse(cli, &output, Formats::Common)?.print(cli, &all)?;
        }
        _ => return Err(Failure::message("--output must be 'yaml' or 'json'")),
    }
    Ok(Step::Done)
}
