//! `kubectl scale`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/scale` and `pkg/scale`.

use serde_json::json;

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use crate::api::Subresource;
use crate::apiserver::{Patch, Verb};

/// Runs `kubectl scale`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let Some(replicas) = cli.flags().integer("replicas") else {
        return Err(Failure::message("required flag(s) \"replicas\" not set"));
    };
    if replicas < 0 {
        return Err(Failure::message(
            "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
        ));
    }
    let mut printer = Printer::of(cli, "scaled")?;
    let dry_run = cli.dry_run()?;
    let found = builder::find(cli, Query { latest: false, ..Query::new(cli.arguments()) })?;
    if found.infos.is_empty() {
        return Err(Failure::message("no objects passed to scale"));
    }
    found.each(cli, |cli, info| {
        if dry_run != DryRun::Client {
            scale(cli, &info, replicas)?;
        }
        printer.print(cli, &named(&info))
    })?;
    Ok(Step::Done)
}

/// The object as far as its name is printed: a manifest may lack the rest.
fn named(info: &Info) -> serde_json::Value {
    let mut object = info.object.clone();
    object["apiVersion"] = info.kind.api_version().into();
    object["kind"] = info.kind.info().kind.into();
    object
}

fn scale(cli: &mut Cli<'_>, info: &Info, replicas: i64) -> Result<(), Failure> {
    let target = info.target().below(Subresource::Scale);
    let expected = cli.flags().integer("current-replicas").filter(|count| *count >= 0);
    let version = cli.flags().text("resource-version").to_owned();
    let options = cli.write_options("kubectl");
    if expected.is_none() && version.is_empty() {
        cli.patch(target, Patch::Merge(json!({ "spec": { "replicas": replicas } })), options)?;
        return Ok(());
    }
    let mut scale = cli.send(target.clone(), Verb::Get)?.wire();
    let current = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if let Some(expected) = expected.filter(|expected| *expected != current) {
        return Err(Failure::Message(format!("Expected replicas to be {expected}, was {current}")));
    }
    let actual = scale["metadata"]["resourceVersion"].as_str().unwrap_or("");
    if !version.is_empty() && version != actual {
        return Err(Failure::Message(format!("Expected resource version to be {version}, was {actual}")));
    }
    scale["spec"]["replicas"] = replicas.into();
    cli.update(target, scale, options)?;
    Ok(())
}
