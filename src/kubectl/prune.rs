//! `kubectl apply --prune`: what was applied before and is in no file any more is deleted.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/apply/prune.go` and `pkg/util/prune`.

use serde_json::Value;

use super::apply::LAST_APPLIED;
use super::cli::{Cli, DryRun};
use super::delete;
use super::failure::Failure;
use super::printer::Printer;
use crate::api::Kind;
use crate::apiserver::{DeleteOptions, ListOptions};

/// The kinds that are looked through when nobody names others.
const KINDS: [Kind; 14] = [
    Kind::ConfigMap,
    Kind::Endpoints,
    Kind::PersistentVolumeClaim,
    Kind::Pod,
    Kind::ReplicationController,
    Kind::Secret,
    Kind::Service,
    Kind::Job,
    Kind::CronJob,
    Kind::Ingress,
    Kind::DaemonSet,
    Kind::Deployment,
    Kind::ReplicaSet,
    Kind::StatefulSet,
];
const CLUSTER_KINDS: [Kind; 2] = [Kind::Namespace, Kind::PersistentVolume];

/// What was applied in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Visited {
    uids: Vec<String>,
    namespaces: Vec<String>,
}

impl Visited {
    /// Remembers an object.
    pub(super) fn add(&mut self, namespace: &str, object: &Value) {
        self.uids.push(object["metadata"]["uid"].as_str().unwrap_or("").to_owned());
        if !namespace.is_empty() && !self.namespaces.iter().any(|known| known == namespace) {
            self.namespaces.push(namespace.to_owned());
        }
    }
}

/// Says whether the flags fit together.
pub(super) fn check_flags(cli: &Cli<'_>) -> Result<(), Failure> {
    let flags = cli.flags();
    if !flags.is("prune", false) {
        return Ok(());
    }
    kinds(cli)?;
    if flags.is("all", false) && !flags.text("selector").is_empty() {
        return Err(Failure::message("cannot set --all and --selector at the same time"));
    }
    if !flags.is("all", false) && flags.text("selector").is_empty() {
        return Err(Failure::message(
            "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. \
             If you did not mean to prune all resources, specify a label selector",
        ));
    }
    Ok(())
}

/// Deletes what was applied before and not now, kind after kind.
pub(super) fn run(cli: &mut Cli<'_>, visited: &Visited) -> Result<(), Failure> {
    for (kind, namespace) in places(cli, visited)? {
        for object in forgotten_in(cli, kind, &namespace, visited)? {
            prune(cli, kind, &namespace, object)?;
        }
    }
    Ok(())
}

/// What was applied before and not now, with kind and namespace.
pub(super) fn forgotten(cli: &mut Cli<'_>, visited: &Visited) -> Result<Vec<(Kind, String, Value)>, Failure> {
    let mut all = Vec::new();
    for (kind, namespace) in places(cli, visited)? {
        let objects = forgotten_in(cli, kind, &namespace, visited)?;
        all.extend(objects.into_iter().map(|object| (kind, namespace.clone(), object)));
    }
    Ok(all)
}

/// Which kinds are looked through, and in which namespaces.
fn places(cli: &Cli<'_>, visited: &Visited) -> Result<Vec<(Kind, String)>, Failure> {
    let (namespaced, of_cluster) = kinds(cli)?;
    let within = |namespace: &String| namespaced.iter().map(|kind| (*kind, namespace.clone())).collect::<Vec<_>>();
    let mut places: Vec<(Kind, String)> = visited.namespaces.iter().flat_map(within).collect();
    places.extend(of_cluster.into_iter().map(|kind| (kind, String::new())));
    Ok(places)
}

fn forgotten_in(cli: &mut Cli<'_>, kind: Kind, namespace: &str, visited: &Visited) -> Result<Vec<Value>, Failure> {
    let label_selector = cli.flags().text("selector").to_owned();
    let options = ListOptions { label_selector, ..ListOptions::default() };
    let mut list = cli.list(kind, namespace, options)?.wire();
    let Some(Value::Array(mut objects)) = list.get_mut("items").map(Value::take) else { return Ok(Vec::new()) };
    objects.retain(|object| {
        let uid = object["metadata"]["uid"].as_str().unwrap_or("");
        // What nobody applied is nobody's to take away.
        let is_ours = !object["metadata"]["annotations"][LAST_APPLIED].is_null();
        is_ours && !visited.uids.iter().any(|known| known == uid)
    });
    for object in &mut objects {
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.info().kind.into();
    }
    Ok(objects)
}

/// The kinds that are looked through, those in namespaces and the others.
pub(super) fn kinds(cli: &Cli<'_>) -> Result<(Vec<Kind>, Vec<Kind>), Failure> {
    let named = cli.flags().texts("prune-allowlist");
    if named.is_empty() {
        let of_cluster = if cli.flags().has("namespace") { Vec::new() } else { CLUSTER_KINDS.to_vec() };
        return Ok((KINDS.to_vec(), of_cluster));
    }
    let (mut namespaced, mut of_cluster) = (Vec::new(), Vec::new());
    for name in named {
        let parts: Vec<&str> = name.split('/').collect();
        let [group, version, kind] = parts[..] else {
            return Err(Failure::Message(format!(
                "invalid GroupVersionKind format: {name}, please follow <group/version/kind>"
            )));
        };
        let api_version = if matches!(group, "" | "core") { version.to_owned() } else { format!("{group}/{version}") };
        let found = Kind::from_manifest(&api_version, kind).or_else(|| {
            cli.api
                .custom_kinds()
                .into_iter()
                .find(|known| known.api_version() == api_version && known.info().kind == kind)
        });
        let found = found
            .ok_or_else(|| Failure::Message(format!("no matches for kind {kind:?} in version {api_version:?}")))?;
        if found.info().namespaced { namespaced.push(found) } else { of_cluster.push(found) }
    }
    Ok((namespaced, of_cluster))
}

fn prune(cli: &mut Cli<'_>, kind: Kind, namespace: &str, object: Value) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    if cli.dry_run()? != DryRun::Client {
        let options = DeleteOptions {
            grace_period_seconds: cli.flags().integer("grace-period").filter(|seconds| *seconds >= 0),
            propagation: Some(delete::propagation(cli)?),
            dry_run: cli.dry_run()? == DryRun::Server,
            ..DeleteOptions::default()
        };
        cli.delete(kind, namespace, name, options)?;
    }
    Printer::of(cli, "pruned")?.print(cli, &object)
}
