//! `kubectl replace`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/replace/replace.go`.

use std::time::Duration;

use super::apply::remember_applied;
use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step, Waiting};
use super::failure::Failure;
use super::printer::Printer;
use super::{delete, raw};
use crate::apiserver::Target;

/// How long old objects get when nobody says.
const LONGEST: Duration = Duration::from_secs(300);

/// Runs `kubectl replace`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if !cli.flags().has("filename") && !cli.flags().has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    if cli.flags().has("raw") {
        let path = cli.flags().text("raw");
        return raw::replace(cli, path).map(|()| Step::Done);
    }
    let validation = cli.validation()?;
    let force = cli.flags().is("force", false);
    check(cli, force)?;
    let query = Query { latest: false, validate: true, ..Query::new(&[]) };
    let found = builder::find(cli, query)?;
    if force {
        return replace_by_force(cli, found);
    }
    let mut printer = Printer::of(cli, "replaced")?;
    let subresource = cli.subresource();
    let dry_run = cli.dry_run()?;
    found.each(cli, |cli, mut info| {
        if cli.flags().is("save-config", false) {
            remember_applied(&mut info.object);
        }
        if dry_run != DryRun::Client {
            let mut options = cli.write_options("kubectl-replace");
            options.field_validation = validation;
            let subresource = subresource.clone().map_err(|failure| match failure {
                Failure::Status(status) => Failure::FromSource(status, "replacing", info.source.clone()),
                other => other,
            })?;
            let target = Target { subresource, ..info.target() };
            info.object = cli
                .update(target, info.object, options)
                .map_err(|status| Failure::FromSource(status, "replacing", info.source.clone()))?;
        }
        printer.print(cli, &info.object)
    })?;
    Ok(Step::Done)
}

/// What does not go together: `Validate`.
fn check(cli: &Cli<'_>, force: bool) -> Result<(), Failure> {
    let flags = cli.flags();
    let grace = flags.integer("grace-period").unwrap_or(-1);
    if grace >= 0 && !force {
        return Err(Failure::message("--grace-period must have --force specified"));
    }
    if flags.duration("timeout").is_some() && !force {
        return Err(Failure::message("--timeout must have --force specified"));
    }
    if force && cli.dry_run()? != DryRun::No {
        return Err(Failure::message("--dry-run can not be used when --force is set"));
    }
    Ok(())
}

/// Deletes the objects and makes them again when they are gone.
fn replace_by_force(cli: &mut Cli<'_>, found: builder::Found) -> Result<Step, Failure> {
    let infos: Vec<Info> = found.all()?;
    let deletion = delete::delete_infos(cli, &infos)?;
    Replacement { infos, deletion }.poll(cli)
}

/// Waits until the old objects are gone, and makes the new ones.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    infos: Vec<Info>,
    deletion: delete::Deletion,
}

impl Replacement {
    pub(super) fn poll(mut self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        if !self.deletion.is_over(cli)? {
            let timeout = cli.flags().duration("timeout").unwrap_or(LONGEST);
            if cli.api.now() >= cli.began + timeout {
                return Err(Failure::message("timed out waiting for the condition"));
            }
            return Ok(Step::Wait(Waiting::Replacement(self)));
        }
        let mut printer = Printer::of(cli, "replaced")?;
        for mut info in self.infos {
            let mut options = cli.write_options("kubectl-replace");
            options.field_validation = cli.validation()?;
            info.object = cli.create(info.kind, &info.namespace, info.object, options)?;
            printer.print(cli, &info.object)?;
        }
        Ok(Step::Done)
    }
}
