//! `kubectl rollout history`.
//!
//! Follows `k8s.io/kubectl/pkg/polymorphichelpers/history.go`.

use std::fmt::Write as _;

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step};
use super::describe::template_in_words;
use super::failure::Failure;
use super::printer::Printer;
use super::rollout::not_implemented;
use super::tabwriter::TabWriter;
use crate::api::Kind;
use crate::apiserver::ListOptions;

const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

/// Runs `kubectl rollout history`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if cli.arguments().is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message("required resource not specified"));
    }
    let revision = cli.flags().integer("revision").unwrap_or(0);
    if revision < 0 {
        return Err(Failure::Message(format!("revision must be a positive integer: {revision}")));
    }
    let found = builder::find(cli, Query { kind_means_all: true, ..Query::new(cli.arguments()) })?;
    found.each(cli, |cli, info| {
        let mut sets = match info.kind {
            Kind::Deployment => replica_sets(cli, &info)?,
            Kind::DaemonSet | Kind::StatefulSet => return view_controller_revisions(cli, &info, revision),
            other => return Err(not_implemented(other, "history", "history viewer")),
        };
        sets.sort_by_key(revision_of);
        if !cli.output().is_empty() {
            let history = sets.into_iter().map(|set| (revision_of(&set).unwrap_or(0), set)).collect();
            return print(cli, history, revision);
        }
        if revision > 0 {
            let wanted = sets.iter().find(|set| revision_of(set) == Some(revision));
            let set = wanted.ok_or_else(|| Failure::message("unable to find the specified revision"))?;
            let mut template = set["spec"]["template"].clone();
            if let Value::String(cause) = &set["metadata"]["annotations"][CHANGE_CAUSE] {
                if !template["metadata"]["annotations"].is_object() {
                    template["metadata"]["annotations"] = Value::Object(serde_json::Map::new());
                }
                template["metadata"]["annotations"][CHANGE_CAUSE] = cause.as_str().into();
            }
            let operation = format!("with revision #{revision}\n{}", template_in_words(&template));
            return Printer::of(cli, &operation)?.print(cli, &info.object);
        }
        Printer::of(cli, &revisions(&sets, |set| revision_of(set).unwrap_or(0)))?.print(cli, &info.object)
    })?;
    Ok(Step::Done)
}

/// Prints what a workload was, at one revision or at all of them: `GetHistory`.
fn print(cli: &mut Cli<'_>, history: Vec<(i64, Value)>, revision: i64) -> Result<(), Failure> {
    let mut printer = Printer::of(cli, "")?.typed();
    if revision > 0 && !history.iter().any(|(known, _)| *known == revision) {
        return Err(Failure::message("unable to find the specified revision"));
    }
    for (known, object) in history {
        if revision == 0 || revision == known {
            printer.print(cli, &object)?;
        }
    }
    Ok(())
}

/// The table of revisions.
fn revisions(sets: &[Value], number: impl Fn(&Value) -> i64) -> String {
    if sets.is_empty() {
        return "No rollout history found.".to_owned();
    }
    let mut text = String::from("\nREVISION\tCHANGE-CAUSE\n");
    for set in sets {
        let cause = set["metadata"]["annotations"][CHANGE_CAUSE].as_str().filter(|cause| !cause.is_empty());
        let revision = number(set);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{revision}\t{}", cause.unwrap_or("<none>"));
    }
    TabWriter::DESCRIPTION.format(&text)
}

/// What a DaemonSet or a StatefulSet was before: `printHistory`.
fn view_controller_revisions(cli: &mut Cli<'_>, info: &Info, revision: i64) -> Result<(), Failure> {
    let history = controller_revisions(cli, info)?;
    if !cli.output().is_empty() {
        let history = history.iter().map(|known| {
            // What the workload was then: `applyDaemonSetHistory`.
            let mut object = info.object.clone();
            object["spec"]["template"] = template_of_revision(known);
            (known["revision"].as_i64().unwrap_or(0), object)
        });
        return print(cli, history.collect(), revision);
    }
    let number = |known: &Value| known["revision"].as_i64().unwrap_or(0);
    let operation = if revision > 0 && !history.is_empty() {
        let wanted = history.iter().find(|known| number(known) == revision);
        let wanted = wanted.ok_or_else(|| Failure::message("unable to find the specified revision"))?;
        format!("with revision #{revision}\n{}", template_in_words(&template_of_revision(wanted)))
    } else {
        revisions(&history, number)
    };
    Printer::of(cli, &operation)?.print(cli, &info.object)
}

/// The template that a ControllerRevision brings back.
pub(super) fn template_of_revision(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Some(fields) = template.as_object_mut() {
        fields.shift_remove("$patch");
    }
    template
}

/// The ControllerRevisions that a workload controls, oldest first: `controlledHistoryV1`.
pub(super) fn controller_revisions(cli: &mut Cli<'_>, info: &Info) -> Result<Vec<Value>, Failure> {
    let mut history = controlled(cli, info, Kind::ControllerRevision)?;
    history.sort_by_key(|revision| revision["revision"].as_i64());
    Ok(history)
}

/// A ReplicaSet's revision.
pub(super) fn revision_of(set: &Value) -> Option<i64> {
    set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()
}

/// The ReplicaSets that a Deployment controls and that have a revision.
pub(super) fn replica_sets(cli: &mut Cli<'_>, info: &Info) -> Result<Vec<Value>, Failure> {
    let mut sets = controlled(cli, info, Kind::ReplicaSet)?;
    sets.retain(|set| revision_of(set).is_some());
    Ok(sets)
}

/// The objects of a kind that a workload selects and controls.
fn controlled(cli: &mut Cli<'_>, info: &Info, kind: Kind) -> Result<Vec<Value>, Failure> {
    let selector = &info.object["spec"]["selector"];
    let selector: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector> =
        crate::machinery::json::from_value(selector).ok();
    let label_selector = crate::machinery::labels::format_label_selector(selector.as_ref());
    let options = ListOptions { label_selector, ..ListOptions::default() };
    let list = cli.list(kind, &info.namespace, options)?.wire();
    let uid = &info.object["metadata"]["uid"];
    let controlled = |set: &&Value| {
        let owners = set["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == *uid)
    };
    Ok(list["items"].as_array().into_iter().flatten().filter(controlled).cloned().collect())
}
