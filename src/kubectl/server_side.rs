//! `kubectl apply --server-side`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/apply/apply.go`, and `k8s.io/client-go/util/csaupgrade` for objects that were applied by
//! the client before: its fields become the server-side applier's, so that what is no longer applied goes.

use serde_json::{Value, json};

use super::apply::LAST_APPLIED;
use super::builder::Info;
use super::cli::{Cli, DryRun};
use super::failure::Failure;
use crate::apiserver::{FieldValidation, Patch, Target, WriteOptions};
use crate::machinery::patch::apply::Set;
use crate::machinery::status::Status;

/// The field manager of server-side applies: `fieldManagerServerSideApply`.
const MANAGER: &str = "kubectl";
/// The field manager that keeps what client-side apply remembers: `fieldManagerLastAppliedAnnotation`.
const LAST_APPLIED_MANAGER: &str = "kubectl-last-applied";
/// How often the change of owners is tried again: `maxPatchRetry`.
const PATCH_RETRIES_MAX: usize = 5;

/// What is said of conflicts, after the server's words.
const CONFLICT_HELP: &str = "\
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

/// Which flags do not go together.
pub(super) fn check_flags(cli: &Cli<'_>, dry_run: DryRun) -> Result<(), Failure> {
    let flags = cli.flags();
    let server_side = flags.is("server-side", false);
    let refuse = |text: &str| Err(Failure::message(text));
    if flags.is("force-conflicts", false) && !server_side {
        return refuse("--force-conflicts only works with --server-side");
    }
    if dry_run == DryRun::Client && server_side {
        return refuse("--dry-run=client doesn't work with --server-side (did you mean --dry-run=server instead?)");
    }
    if server_side && flags.is("force", false) {
        return refuse("--force cannot be used with --server-side");
    }
    Ok(())
}

/// An object that is being applied.
struct Apply {
    target: Target,
    config: Value,
    options: WriteOptions,
}

/// Applies one object of a file; what became of it, and the object.
pub(super) fn apply(
    cli: &mut Cli<'_>,
    info: Info,
    validation: FieldValidation,
) -> Result<(&'static str, Value), Failure> {
    let mut options = cli.write_options(MANAGER);
    options.field_validation = validation;
    options.force = cli.flags().is("force-conflicts", false);
    let target = Target { subresource: cli.subresource()?, ..info.target() };
    let apply = Apply { target, config: info.object, options };
    let mut applied = apply.send(cli).map_err(explain)?;
    if let Err(status) = apply.keep_last_applied(cli, &mut applied) {
        let why = status.message();
        cli.complain(&format!("Warning: failed to migrate kubectl.kubernetes.io/last-applied-configuration for Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {why}"));
    } else {
        apply.migrate(cli, &mut applied);
    }
    Ok(("serverside-applied", applied))
}

/// A conflict, with what can be done about it.
fn explain(status: Status) -> Failure {
    if status.is_conflict() {
        return Failure::Message(format!("{}\n{CONFLICT_HELP}", status.message()));
    }
    Failure::Status(status)
}

impl Apply {
    fn send(&self, cli: &mut Cli<'_>) -> Result<Value, Status> {
        cli.patch(self.target.clone(), Patch::Apply(self.config.clone()), self.options.clone())
    }

    fn manager(&self) -> &str {
        self.options.field_manager.as_deref().unwrap_or(MANAGER)
    }

    /// Gives what client-side apply remembers to an owner of its own, so that there is a way back to client-side apply:
    /// `saveLastApplyAnnotationIfNecessary`.
    fn keep_last_applied(&self, cli: &mut Cli<'_>, applied: &mut Value) -> Result<(), Status> {
        let held = applied["metadata"]["annotations"][LAST_APPLIED].clone();
        if self.manager() != MANAGER || held.is_null() || !owners(applied, "Apply").is_empty() {
            return Ok(());
        }
        let mut config = json!({
            "apiVersion": applied["apiVersion"],
            "kind": applied["kind"],
            "metadata": {
                "annotations": { LAST_APPLIED: held },
                "name": applied["metadata"]["name"],
            },
        });
        if let Some(namespace) = applied["metadata"].get("namespace") {
            config["metadata"]["namespace"] = namespace.clone();
        }
        let options =
            WriteOptions { field_manager: Some(LAST_APPLIED_MANAGER.into()), force: false, ..self.options.clone() };
        *applied = cli.patch(self.target.clone(), Patch::Apply(config), options)?;
        Ok(())
    }

    /// Gives the fields of client-side apply to the server-side applier, and applies again: `migrateToSSAIfNecessary`.
    fn migrate(&self, cli: &mut Cli<'_>, applied: &mut Value) {
        let result = self.upgrade_owners(cli, applied).map_err(|status| ("migrate managed fields", status));
        let result = result.and_then(|upgraded| {
            if upgraded {
                *applied = self.send(cli).map_err(|status| ("re-apply configuration after performing", status))?;
            }
            Ok(())
        });
        if let Err((what, status)) = result {
            let why = status.message();
            let text = if what.starts_with("re-") {
                format!(
                    "failed to {what} Server-Side Apply migration. This is non-fatal and will be retried next time you apply. Error: {why}"
                )
            } else {
                format!(
                    "server rejected managed fields migration to Server-Side Apply. This is non-fatal and will be retried next time you apply. Error: {why}"
                )
            };
            cli.complain(&format!("Warning: {text}"));
        }
    }

    /// Says whether there was something to give.
    fn upgrade_owners(&self, cli: &mut Cli<'_>, applied: &mut Value) -> Result<bool, Status> {
        let managers = owners(applied, "Update");
        let mut refusal = None;
        for _ in 0..PATCH_RETRIES_MAX {
            let Some(entries) = upgraded(applied, &managers, self.manager()) else { return Ok(false) };
            let patch = json!([
                { "op": "replace", "path": "/metadata/managedFields", "value": entries },
                { "op": "replace", "path": "/metadata/resourceVersion", "value": applied["metadata"]["resourceVersion"] },
            ]);
            let options = WriteOptions { force: false, ..self.options.clone() };
            match cli.patch(self.target.clone(), Patch::Json(patch), options) {
                Ok(patched) => {
                    *applied = patched;
                    return Ok(true);
                }
                Err(status) if status.is_conflict() => refusal = Some(status),
                Err(status) => return Err(status),
            }
            *applied = cli.get(self.target.kind, &self.target.namespace, &self.target.name)?;
        }
        refusal.map_or(Ok(false), Err)
    }
}

/// The managers that own, by an operation, what client-side apply remembers: `FindFieldsOwners`.
fn owners(object: &Value, operation: &str) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let owns = |entry: &&Value| {
        let annotations = &entry["fieldsV1"]["f:metadata"]["f:annotations"];
        entry["operation"] == operation && !annotations[format!("f:{LAST_APPLIED}").as_str()].is_null()
    };
    let mut names: Vec<String> =
        entries.filter(owns).filter_map(|entry| entry["manager"].as_str().map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// The owners of an object once what the client-side appliers own is the server-side applier's; nothing when they own
/// nothing: `UpgradeManagedFieldsPatch`.
fn upgraded(object: &Value, managers: &[String], applier: &str) -> Option<Vec<Value>> {
    let before = object["metadata"]["managedFields"].as_array()?;
    let mut entries = before.clone();
    let is_of = |entry: &Value, operation: &str, manager: &str| {
        entry["manager"] == manager
            && entry["operation"] == operation
            && entry["subresource"].as_str().unwrap_or("").is_empty()
    };
    for manager in managers {
        let of_applier = entries.iter().position(|entry| is_of(entry, "Apply", applier));
        let Some(place) = of_applier.or_else(|| entries.iter().position(|entry| is_of(entry, "Update", manager)))
        else {
            continue;
        };
        let version = entries[place]["apiVersion"].clone();
        let of_client = entries.iter().find(|entry| is_of(entry, "Update", manager) && entry["apiVersion"] == version);
        let fields = |entry: &Value| Set::from_value(&entry["fieldsV1"]).unwrap_or_default();
        let mut set = fields(&entries[place]);
        if let Some(entry) = of_client {
            set = set.union(&fields(entry));
        }
        entries[place]["operation"] = "Apply".into();
        entries[place]["manager"] = applier.into();
        entries[place]["fieldsV1"] = set.to_value();
        entries.retain(|entry| !is_of(entry, "Update", manager));
    }
    (entries != *before).then_some(entries)
}
