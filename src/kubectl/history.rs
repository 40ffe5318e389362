//! `kubectl rollout history`.
//!
//! Follows `k8s.io/kubectl/pkg/polymorphichelpers/history.go`.

use std::fmt::Write as _;

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, Step};
use super::failure::Failure;
use super::pod_template::pod_template;
use super::printer::Printer;
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
        return Err(Failure::message("revision must be a positive integer"));
    }
    let found = builder::find(cli, Query { kind_means_all: true, ..Query::new(cli.arguments()) })?;
    found.each(cli, |cli, info| {
        if info.kind != Kind::Deployment {
            return Err(Failure::Message(format!(
                "no history viewer has been implemented for {:?}",
                info.kind.info().kind
            )));
        }
        let mut sets = replica_sets(cli, &info)?;
        sets.sort_by_key(revision_of);
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
            let operation = format!("with revision #{revision}\n{}", pod_template(&template));
            return Printer::of(cli, &operation)?.print(cli, &info.object);
        }
        Printer::of(cli, &revisions(&sets))?.print(cli, &info.object)
    })?;
    Ok(Step::Done)
}

/// The table of revisions.
fn revisions(sets: &[Value]) -> String {
    if sets.is_empty() {
        return "No rollout history found.".to_owned();
    }
    let mut text = String::from("\nREVISION\tCHANGE-CAUSE\n");
    for set in sets {
        let cause = set["metadata"]["annotations"][CHANGE_CAUSE].as_str().filter(|cause| !cause.is_empty());
        let revision = revision_of(set).unwrap_or(0);
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{revision}\t{}", cause.unwrap_or("<none>"));
    }
    TabWriter::DESCRIPTION.format(&text)
}

/// A ReplicaSet's revision.
pub(super) fn revision_of(set: &Value) -> Option<i64> {
    set["metadata"]["annotations"][REVISION].as_str()?.parse().ok()
}

/// The ReplicaSets that a Deployment controls and that have a revision.
pub(super) fn replica_sets(cli: &mut Cli<'_>, info: &Info) -> Result<Vec<Value>, Failure> {
    let selector = &info.object["spec"]["selector"];
    let selector: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector> =
        crate::machinery::json::from_value(selector).ok();
    let label_selector = crate::machinery::labels::format_label_selector(selector.as_ref());
    let options = ListOptions { label_selector, ..ListOptions::default() };
    let list = cli.list(Kind::ReplicaSet, &info.namespace, options)?.wire();
    let uid = &info.object["metadata"]["uid"];
    let controlled = |set: &&Value| {
        let owners = set["metadata"]["ownerReferences"].as_array();
        owners.into_iter().flatten().any(|owner| owner["controller"] == true && owner["uid"] == *uid)
    };
    let sets = list["items"].as_array().into_iter().flatten().filter(controlled);
    Ok(sets.filter(|set| revision_of(set).is_some()).cloned().collect())
}
