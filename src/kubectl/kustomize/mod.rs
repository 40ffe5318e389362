//! `kubectl kustomize` and `-k`: objects that a `kustomization.yaml` puts together.
//!
//! Follows `sigs.k8s.io/kustomize/api`, as far as simple kustomizations go: resources and bases, generators, patches,
//! namespace, names, labels, annotations, images and replicas. Not there: components, replacements, plug-ins, Helm, and
//! anything behind an address.

mod generators;
mod patches;
mod references;
mod transformers;

use serde_json::Value;

use super::builder::{Info, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::manifest;
use crate::machinery::{manifest as manifests, yaml};

/// The names that the file may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
/// So deep bases may build on bases.
const DEPTH_MAX: usize = 20;
/// The kinds that come first, in order, and those that come last: the legacy order.
const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// An object on its way, with the names that it has had.
#[derive(Clone, Debug)]
struct Resource {
    object: Value,
    names: Vec<String>,
    /// Whether its hash is put behind its name.
    hashed: bool,
}

impl Resource {
    fn new(object: Value) -> Self {
        let name = text(&object["metadata"]["name"]).to_owned();
        Self { object, names: vec![name], hashed: false }
    }

    fn kind(&self) -> &str {
        text(&self.object["kind"])
    }

    fn name(&self) -> &str {
        text(&self.object["metadata"]["name"])
    }

    fn rename(&mut self, name: String) {
        if self.name() != name {
            self.object["metadata"]["name"] = name.clone().into();
            self.names.push(name);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Runs `kubectl kustomize`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let directory = match cli.arguments() {
        [] => ".",
        [directory] => directory.as_str(),
        _ => return Err(Failure::message("specify one path to kustomization.yaml")),
    };
    let objects = build(cli, directory)?;
    let documents: Vec<String> = objects.iter().map(yaml::print).collect();
    let text = documents.join("---\n");
    let output = cli.flags().text("output").to_owned();
    if output.is_empty() {
        cli.out.push_str(&text);
    } else {
        let written = cli.files.write(&output, text.as_bytes());
        written.map_err(|why| Failure::Message(format!("open {output}: {why}")))?;
    }
    Ok(Step::Done)
}

/// The objects of a directory, as `-k` takes them.
pub(super) fn infos(cli: &mut Cli<'_>, directory: &str, query: Query<'_>) -> Vec<Result<Info, Failure>> {
    match build(cli, directory) {
        Err(failure) => vec![Err(failure)],
        Ok(objects) => objects.iter().map(|object| manifest::info(cli, directory, object, query)).collect(),
    }
}

/// Builds a directory: the objects in the order in which they are to be made.
fn build(cli: &mut Cli<'_>, directory: &str) -> Result<Vec<Value>, Failure> {
    if cli.files.list(directory).is_none() {
        return Err(Failure::Message(format!(
            "must build at directory: not a valid directory: evalsymlink failure on '{directory}' : lstat {directory}: no \
             such file or directory"
        )));
    }
    let mut resources = accumulate(cli, directory, 0)?;
    for resource in &mut resources {
        if resource.hashed {
            let name = format!("{}-{}", resource.name(), super::hash::kustomize_suffix(&resource.object));
            resource.rename(name);
        }
    }
    references::fix(&mut resources);
    let rank = |kind: &str| {
        let first = FIRST.iter().position(|known| *known == kind);
        first.unwrap_or_else(|| FIRST.len() + usize::from(LAST.contains(&kind)))
    };
    resources.sort_by_cached_key(|resource| {
        let (group, version) = text(&resource.object["apiVersion"]).split_once('/').unwrap_or(("", ""));
        let kind = resource.kind();
        let gvk = format!("{kind}.{version}.{}", if group.is_empty() { "[noGrp]" } else { group });
        let metadata = &resource.object["metadata"];
        (rank(kind), gvk, text(&metadata["namespace"]).to_owned(), text(&metadata["name"]).to_owned())
    });
    Ok(resources.into_iter().map(|resource| resource.object).collect())
}

fn kustomization(cli: &mut Cli<'_>, directory: &str) -> Result<Value, Failure> {
    let found = NAMES.iter().find_map(|name| cli.files.read(&format!("{directory}/{name}")).ok());
    let found = found.ok_or_else(|| {
        Failure::Message(format!(
            "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '{directory}'"
        ))
    })?;
    let document = yaml::read_one(&String::from_utf8_lossy(&found))
        .map_err(|error| Failure::Message(format!("invalid Kustomization: {}", error.message)))?;
    Ok(document.value)
}

/// What a directory comes to before its names are final.
fn accumulate(cli: &mut Cli<'_>, directory: &str, depth: usize) -> Result<Vec<Resource>, Failure> {
    if depth > DEPTH_MAX {
        return Err(Failure::Message(format!("cycle detected: {directory} builds on itself")));
    }
    let own = kustomization(cli, directory)?;
    deprecated(cli, &own);
    let mut resources = Vec::new();
    let entries = items(&own["resources"]).iter().chain(items(&own["bases"]));
    for entry in entries.map(text) {
        if entry.contains("://") {
            return Err(Failure::Message(format!("accumulating resources from '{entry}': there is no network here")));
        }
        let path = format!("{directory}/{entry}");
        if cli.files.list(&path).is_some() {
            resources.extend(accumulate(cli, &path, depth + 1)?);
        } else {
            resources.extend(read(cli, &path, entry)?);
        }
    }
    generators::run(cli, directory, &own, &mut resources)?;
    if resources.is_empty() && own.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Failure::message("kustomization.yaml is empty"));
    }
    patches::run(cli, directory, &own, &mut resources)?;
    transformers::run(&own, &mut resources)?;
    references::fix(&mut resources);
    Ok(resources)
}

fn deprecated(cli: &mut Cli<'_>, own: &Value) {
    for (field, instead) in [
        ("bases", "resources"),
        ("commonLabels", "labels"),
        ("patchesStrategicMerge", "patches"),
        ("patchesJson6902", "patches"),
    ] {
        if !own[field].is_null() {
            cli.complain(&format!(
                "# Warning: '{field}' is deprecated. Please use '{instead}' instead. Run 'kustomize edit fix' to update \
                 your Kustomization automatically."
            ));
        }
    }
}

/// The objects of a file; a List is its items.
fn read(cli: &mut Cli<'_>, path: &str, entry: &str) -> Result<Vec<Resource>, Failure> {
    let bytes = cli.files.read(path).map_err(|why| {
        Failure::Message(format!(
            "accumulating resources: accumulation err='accumulating resources from '{entry}': open {path}: {why}'"
        ))
    })?;
    let read = manifests::read(&String::from_utf8_lossy(&bytes));
    let (objects, error) = read.until_error();
    if let Some(error) = error {
        return Err(Failure::Message(format!("accumulating resources from '{entry}': {}", error.message)));
    }
    Ok(objects.into_iter().map(|object| Resource::new(object.value.clone())).collect())
}
