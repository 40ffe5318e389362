//! `kubectl rollout pause`, `resume`, `restart` and `undo`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/rollout` and `pkg/polymorphichelpers`.

use serde_json::{Map, Value, json};

use super::apply::LAST_APPLIED;
use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::describe::template_in_words;
use super::failure::Failure;
use super::history::{controller_revisions, replica_sets, revision_of, template_of_revision};
use super::printer::Printer;
use super::resource;
use super::set::changes;
use crate::api::Kind;
use crate::apiserver::Patch;

/// The label by which a Deployment tells its ReplicaSets apart.
const POD_TEMPLATE_HASH: &str = "pod-template-hash";
/// What `rollout restart` writes into the pod template.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";
/// Annotations of a ReplicaSet that say something of it alone: `annotationsToSkip`.
const ANNOTATIONS_TO_SKIP: [&str; 6] = [
    LAST_APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
];

/// The objects of a rollout command; at least one must be named.
fn find(cli: &mut Cli<'_>) -> Result<builder::Found, Failure> {
    if cli.arguments().is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message("required resource not specified"));
    }
    builder::find(cli, Query { kind_means_all: true, ..Query::new(cli.arguments()) })
}

/// Changes Deployments and says so.
fn update(
    cli: &mut Cli<'_>,
    operation: &str,
    change: impl Fn(&Cli<'_>, &Info, &mut Value) -> Result<(), String>,
) -> Result<Step, Failure> {
    let mut printer = Printer::of(cli, operation)?.typed();
    let dry_run = cli.dry_run()?;
    let found = find(cli)?;
    if found.infos.is_empty() && cli.parsed.command.name == "restart" {
        cli.complain(&format!("No resources found in {} namespace.", cli.namespace()));
    }
    found.each(cli, |cli, info| {
        let mut after = info.object.clone();
        let refused = |why: String| Failure::Message(format!("{} {why}", resource::quoted(info.kind, &info.name)));
        change(cli, &info, &mut after).map_err(refused)?;
        let patch = changes(info.kind, &info.object, &after)?;
        if patch.is_none() && operation == "restarted" {
            return Err(Failure::Message(format!(
                "failed to create patch for {}: if restart has already been triggered within the past second, please wait \
                 before attempting to trigger another",
                info.name
            )));
        }
        if dry_run != DryRun::Client
            && let Some(patch) = patch
        {
            let options = cli.write_options("kubectl-rollout");
            after = cli.patch(info.target(), Patch::Strategic(patch), options)?;
        }
        printer.print(cli, &after)
    })?;
    Ok(Step::Done)
}

/// Runs `kubectl rollout pause`.
pub(super) fn pause(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    update(cli, "paused", |_, info, object| {
        if info.kind != Kind::Deployment {
            return Err("pausing is not supported".to_owned());
        }
        if object["spec"]["paused"] == true {
            return Err("is already paused".to_owned());
        }
        object["spec"]["paused"] = true.into();
        Ok(())
    })
}

/// Runs `kubectl rollout resume`.
pub(super) fn resume(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    update(cli, "resumed", |_, info, object| {
        if info.kind != Kind::Deployment {
            return Err("resuming is not supported".to_owned());
        }
        if object["spec"]["paused"] != true {
            return Err("is not paused".to_owned());
        }
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.shift_remove("paused");
        }
        Ok(())
    })
}

/// Runs `kubectl rollout restart`.
pub(super) fn restart(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    update(cli, "restarted", |cli, info, object| {
        if !matches!(info.kind, Kind::DaemonSet | Kind::Deployment | Kind::StatefulSet) {
            return Err("restarting is not supported".to_owned());
        }
        if object["spec"]["paused"] == true {
            return Err("can't restart paused deployment (run rollout resume first)".to_owned());
        }
        let metadata = &mut object["spec"]["template"]["metadata"];
        if !metadata["annotations"].is_object() {
            metadata["annotations"] = Value::Object(Map::new());
        }
        metadata["annotations"][RESTARTED_AT] = cli.api.now().to_rfc3339().into();
        Ok(())
    })
}

/// Runs `kubectl rollout undo`.
pub(super) fn undo(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let revision = cli.flags().integer("to-revision").unwrap_or(0);
    let found = find(cli)?;
    found.each(cli, |cli, info| {
        let operation = match info.kind {
            Kind::Deployment => roll_back(cli, &info, revision)?,
            Kind::DaemonSet | Kind::StatefulSet => roll_back_to_revision(cli, &info, revision)?,
            other => {
                return Err(not_implemented(other, "rollbacker", "rollbacker"));
            }
        };
        Printer::of(cli, &operation)?.typed().print(cli, &info.object)
    })?;
    Ok(Step::Done)
}

/// That a kind has no history or cannot go back; of kinds without pods in other words.
pub(super) fn not_implemented(kind: Kind, what: &str, who: &str) -> Failure {
    let info = kind.info();
    let has_pods = pod_template(kind);
    let group = if info.group.is_empty() { String::new() } else { format!(".{}", info.group) };
    let full = format!("{}{group}", info.kind);
    Failure::Message(if has_pods {
        format!("no {who} has been implemented for {full:?}")
    } else {
        format!("error retrieving {what} for {full:?}, no visitor method exists for {{{} {}}}", info.group, info.kind)
    })
}

/// Whether a kind is one that makes pods, or a pod: `KindVisitor`.
const fn pod_template(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::CronJob
            | Kind::DaemonSet
            | Kind::Deployment
            | Kind::Job
            | Kind::Pod
            | Kind::ReplicaSet
            | Kind::ReplicationController
            | Kind::StatefulSet
    )
}

/// Puts an earlier pod template in place; what is printed behind the object's name.
fn roll_back(cli: &mut Cli<'_>, info: &Info, revision: i64) -> Result<String, Failure> {
    if revision < 0 {
        return Err(no_such_revision(revision));
    }
    let set = set_of_revision(cli, info, revision)?;
    let dry_run = cli.dry_run()?;
    if dry_run == DryRun::Client {
        return Ok(template_in_words(&set["spec"]["template"]));
    }
    if info.object["spec"]["paused"] == true {
        return Err(Failure::message(
            "you cannot rollback a paused deployment; resume it first with 'kubectl rollout resume' and try again",
        ));
    }
    let template = without_hash(&set["spec"]["template"]);
    if template == without_hash(&info.object["spec"]["template"]) {
        return Ok(format!("skipped rollback (current template already matches revision {revision})"));
    }
    let mut annotations = Map::new();
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (key, value) in entries(&info.object["metadata"]["annotations"]) {
        if ANNOTATIONS_TO_SKIP.contains(&key.as_str()) {
            annotations.insert(key, value);
        }
    }
    for (key, value) in entries(&set["metadata"]["annotations"]) {
        if !ANNOTATIONS_TO_SKIP.contains(&key.as_str()) {
            annotations.insert(key, value);
        }
    }
    let patch = json!([
        { "op": "replace", "path": "/spec/template", "value": template },
        { "op": "replace", "path": "/metadata/annotations", "value": annotations },
    ]);
    let options = cli.write_options("kubectl-rollout");
    cli.patch(info.target(), Patch::Json(patch), options)
        .map_err(|status| Failure::Message(format!("failed restoring revision {revision}: {}", status.message())))?;
    Ok("rolled back".to_owned())
}

fn no_such_revision(revision: i64) -> Failure {
    Failure::Message(format!("unable to find specified revision {revision} in history"))
}

/// Puts the template of a ControllerRevision in place: the rollbackers of DaemonSets and StatefulSets.
fn roll_back_to_revision(cli: &mut Cli<'_>, info: &Info, revision: i64) -> Result<String, Failure> {
    if revision < 0 {
        return Err(no_such_revision(revision));
    }
    let history = controller_revisions(cli, info)?;
    let target = match revision {
        0 => history.len().checked_sub(2).map(|at| &history[at]),
        _ => history.iter().find(|known| known["revision"] == revision),
    };
    let target = target.ok_or_else(|| match revision {
        0 => Failure::message("no last revision to roll back to"),
        _ => no_such_revision(revision),
    })?;
    let template = template_of_revision(target);
    if cli.dry_run()? == DryRun::Client {
        return Ok(template_in_words(&template));
    }
    if template == info.object["spec"]["template"] {
        return Ok(format!("skipped rollback (current template already matches revision {revision})"));
    }
    let options = cli.write_options("kubectl-rollout");
    cli.patch(info.target(), Patch::Strategic(target["data"].clone()), options)
        .map_err(|status| Failure::Message(format!("failed restoring revision {revision}: {}", status.message())))?;
    Ok("rolled back".to_owned())
}

fn without_hash(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.shift_remove(POD_TEMPLATE_HASH);
    }
    template
}

/// The ReplicaSet of a revision; of the one before the newest when none is given: `deploymentRevision`.
fn set_of_revision(cli: &mut Cli<'_>, info: &Info, revision: i64) -> Result<Value, Failure> {
    let mut sets = replica_sets(cli, info)?;
    sets.sort_by_key(revision_of);
    if revision > 0 {
        let wanted = sets.into_iter().find(|set| revision_of(set) == Some(revision));
        return wanted.ok_or_else(|| no_such_revision(revision));
    }
    let earlier = sets.len().checked_sub(2).map(|at| sets.swap_remove(at));
    earlier.ok_or_else(|| Failure::Message(format!("no rollout history found for deployment {:?}", info.name)))
}
