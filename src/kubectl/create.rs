//! `kubectl create -f`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/create/create.go`.

use serde_json::Value;

use super::apply::remember_applied;
use super::builder::{self, Query};
use super::cli::{Cli, DryRun, Step};
use super::edit;
use super::failure::Failure;
use super::printer::Printer;
use super::raw;
use crate::api::Kind;

/// The field manager of what `create` writes.
const MANAGER: &str = "kubectl-create";

/// Runs `kubectl create` without a generator.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if !cli.arguments().is_empty() {
        return Err(cli.usage(&format!("Unexpected args: [{}]", cli.arguments().join(" "))));
    }
    if !cli.flags().has("filename") && !cli.flags().has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    if cli.flags().has("raw") {
        let path = cli.flags().text("raw");
        return raw::create(cli, path).map(|()| Step::Done);
    }
    let validation = cli.validation()?;
    let mut printer = Printer::of(cli, "created")?;
    let query = Query { latest: false, validate: true, ..Query::new(&[]) };
    let found = builder::find(cli, query)?;
    if cli.flags().is("edit", false) {
        return edit::before_create(cli, found.all()?);
    }
    let dry_run = cli.dry_run()?;
    found.each(cli, |cli, mut info| {
        if cli.flags().is("save-config", false) {
            remember_applied(&mut info.object);
        }
        if dry_run != DryRun::Client {
            let mut options = cli.write_options(MANAGER);
            options.field_validation = validation;
            info.object = cli
                .create(info.kind, &info.namespace, info.object, options)
                .map_err(|status| Failure::FromSource(status, "creating", info.source.clone()))?;
        }
        printer.print(cli, &info.object)
    })?;
    Ok(Step::Done)
}

/// Creates an object that a generator made, or only shows it.
pub(super) fn create_object(cli: &mut Cli<'_>, kind: Kind, mut object: Value, what: &str) -> Result<Step, Failure> {
    let mut printer = Printer::of(cli, "created")?.typed();
    let namespace = if kind.info().namespaced { cli.namespace() } else { String::new() };
    if kind.info().namespaced && (cli.flags().has("namespace") || cli.dry_run()? != DryRun::Client) {
        object["metadata"]["namespace"] = namespace.clone().into();
    }
    if cli.flags().is("save-config", false) {
        remember_applied(&mut object);
    }
    if cli.dry_run()? != DryRun::Client {
        let mut options = cli.write_options(MANAGER);
        options.field_validation = cli.validation()?;
        object = cli.create(kind, &namespace, object, options).map_err(|status| match kind {
            // Of a namespace the refusal is told as it came.
            Kind::Namespace => status.into(),
            Kind::Secret => Failure::Message(format!("failed to create secret {}", status.message())),
            _ => Failure::Message(format!("failed to create {what}: {}", status.message())),
        })?;
    }
    printer.print(cli, &object)?;
    Ok(Step::Done)
}
