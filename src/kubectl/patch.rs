//! `kubectl patch`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/patch/patch.go`.

use serde_json::Value;

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use crate::apiserver::{Patch, Target};
use crate::machinery::status::{Reason, Status};
use crate::machinery::{patch, schema, yaml};

/// Runs `kubectl patch`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !flags.has("patch") && !flags.has("patch-file") {
        return Err(Failure::message("must specify --patch or --patch-file containing the contents of the patch"));
    }
    if flags.has("patch") && flags.has("patch-file") {
        return Err(Failure::message("cannot specify --patch and --patch-file together"));
    }
    let wrap = match flags.text("type").to_lowercase().as_str() {
        "" | "strategic" => Patch::Strategic,
        "merge" => Patch::Merge,
        "json" => Patch::Json,
        _ => {
            let given = flags.text("type");
            return Err(Failure::Message(format!("--type must be one of [json merge strategic], not {given:?}")));
        }
    };
    let local = flags.is("local", false);
    if local && !cli.arguments().is_empty() {
        return Err(Failure::message("cannot specify --local and server resources"));
    }
    if local && cli.dry_run()? == DryRun::Server {
        return Err(Failure::message("cannot specify --local and --dry-run=server - did you mean --dry-run=client?"));
    }
    let subresource = cli.subresource()?;
    let text = patch_text(cli)?;
    let document = yaml::read_one(&text)
        .map_err(|error| Failure::Message(format!("unable to parse {text:?}: {}", error.message)))?;
    let patch = wrap(document.value);
    let found = builder::find(cli, Query { subresource, latest: !local, local, ..Query::new(cli.arguments()) })?;
    let dry_run = cli.dry_run()?;
    found.each(cli, |cli, info| {
        let patched = if local || dry_run == DryRun::Client {
            apply_locally(&info, patch.clone())?
        } else {
            let options = cli.write_options("kubectl-patch");
            let target = Target { subresource, ..info.target() };
            cli.patch(target, patch.clone(), options).map_err(|status| refusal(&info, &patch, status))?
        };
        let operation = if is_same(&patched, &info.object) { "patched (no change)" } else { "patched" };
        Printer::without_dry_run(cli, operation)?.print(cli, &patched)
    })?;
    Ok(Step::Done)
}

/// Whether a patch changed nothing. Only the answer to a dry run tells the owners, and any other change has a version.
fn is_same(patched: &Value, before: &Value) -> bool {
    let without_owners = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("managedFields");
        }
        object
    };
    without_owners(patched) == without_owners(before)
}

/// A refusal; that the kind takes no patches of this type is told with the type and the kind.
fn refusal(info: &Info, patch: &Patch, status: Status) -> Failure {
    if status.reason() != Reason::UnsupportedMediaType {
        return Failure::Status(status);
    }
    let media_type = match patch {
        Patch::Json(_) => "application/json-patch+json",
        Patch::Merge(_) => "application/merge-patch+json",
        Patch::Strategic(_) => "application/strategic-merge-patch+json",
        Patch::Apply(_) => "application/apply-patch+yaml",
    };
    let version = info.kind.api_version();
    Failure::Message(format!("{media_type} is not supported by {version}, Kind={}: {}", info.kind, status.message()))
}

fn patch_text(cli: &mut Cli<'_>) -> Result<String, Failure> {
    if cli.flags().has("patch") {
        return Ok(cli.flags().text("patch").to_owned());
    }
    let path = cli.flags().text("patch-file").to_owned();
    if path == "-" {
        return Ok(cli.stdin.to_owned());
    }
    let bytes = cli
        .files
        .read(&path)
        .map_err(|why| Failure::Message(format!("unable to read patch file: open {path}: {why}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn apply_locally(info: &Info, change: Patch) -> Result<Value, Failure> {
    let object = info.object.clone();
    let result = match change {
        Patch::Json(operations) => {
            patch::json::decode(&operations).and_then(|operations| patch::json::apply(object, &operations))
        }
        Patch::Merge(merge) => patch::merge::apply(object, merge),
        Patch::Strategic(merge) => {
            let schema = schema::lookup(&info.kind.api_version(), info.kind.info().kind)
                .ok_or_else(|| Failure::message("the kind has no schema"))?;
            patch::strategic::apply(object, merge, schema)
        }
        Patch::Apply(_) => unreachable!("kubectl patch has three types"),
    };
    result.map_err(|error| Failure::Status(Status::from(error)))
}
