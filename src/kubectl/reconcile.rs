//! `kubectl auth reconcile`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/auth/reconcile.go` and `k8s.io/component-helpers/auth/rbac/reconciliation`.

use serde_json::{Value, json};

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::printer::Printer;
use super::rules;
use crate::api::{Kind, ObjectKey};
use crate::apiserver::{DeleteOptions, Target};

/// The annotation of roles that nobody shall reconcile.
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is to be done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Nothing,
    Create,
    Update,
    Recreate,
}

/// What reconciling an object comes to.
#[derive(Clone, Debug)]
struct Plan {
    operation: Operation,
    object: Value,
    is_protected: bool,
    /// Rules or subjects that the object lacked, and those that it has besides.
    missing: Vec<Value>,
    extra: Vec<Value>,
}

/// Runs `kubectl auth reconcile`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !flags.has("filename") && !flags.has("kustomize") {
        return Err(Failure::message("must specify one of -f and -k"));
    }
    if !cli.arguments().is_empty() {
        return Err(Failure::message("no arguments are allowed"));
    }
    if cli.dry_run()? == DryRun::Server {
        return Err(Failure::message("--dry-run=server for command reconcile is not supported yet"));
    }
    let mut printer = Printer::of(cli, "reconciled")?.typed();
    let found = builder::find(cli, Query { latest: false, local: true, ..Query::new(&[]) })?;
    found.each(cli, |cli, info| {
        if !matches!(info.kind, Kind::Role | Kind::ClusterRole | Kind::RoleBinding | Kind::ClusterRoleBinding) {
            return Ok(());
        }
        let plan = plan(cli, &info)?;
        let plan = carry_out(cli, &info, plan)?;
        printer.print(cli, &plan.object)?;
        tell(cli, &info, &plan);
        Ok(())
    })?;
    Ok(Step::Done)
}

fn is_role(kind: Kind) -> bool {
    matches!(kind, Kind::Role | Kind::ClusterRole)
}

fn list(object: &Value, field: &str) -> Vec<Value> {
    object[field].as_array().cloned().unwrap_or_default()
}

fn plan(cli: &mut Cli<'_>, info: &Info) -> Result<Plan, Failure> {
    let expected = &info.object;
    let field = if is_role(info.kind) { "rules" } else { "subjects" };
    // What comes from a file without a namespace has none here, and is looked for in none.
    let is_placed = !info.kind.info().namespaced || expected["metadata"]["namespace"].is_string();
    let existing = match cli.get(info.kind, &info.namespace, &info.name) {
        Ok(existing) => Some(existing).filter(|_| is_placed),
        Err(status) if status.is_not_found() => None,
        Err(status) => return Err(status.into()),
    };
    let Some(existing) = existing else {
        return Ok(Plan {
            operation: Operation::Create,
            object: expected.clone(),
            is_protected: false,
            missing: list(expected, field),
            extra: Vec::new(),
        });
    };
    let mut object = existing.clone();
    for map in ["annotations", "labels"] {
        for (key, value) in expected["metadata"][map].as_object().into_iter().flatten() {
            object["metadata"][map][key.as_str()] = value.clone();
        }
    }
    let is_protected = existing["metadata"]["annotations"][AUTO_UPDATE] == "false";
    let mut operation = if object == existing { Operation::Nothing } else { Operation::Update };
    let (held, wanted) = (list(&existing, field), list(expected, field));
    let (missing, extra) = if is_role(info.kind) {
        (rules::uncovered(&held, &wanted), rules::uncovered(&wanted, &held))
    } else {
        let without = |these: &[Value], others: &[Value]| {
            these.iter().filter(|this| !others.contains(this)).cloned().collect::<Vec<_>>()
        };
        (without(&wanted, &held), without(&held, &wanted))
    };
    let flag = if is_role(info.kind) { "remove-extra-permissions" } else { "remove-extra-subjects" };
    let removes = cli.flags().is(flag, false);
    if removes && (!missing.is_empty() || !extra.is_empty()) {
        object[field] = wanted.into();
        operation = Operation::Update;
    } else if !removes && !missing.is_empty() {
        object[field] = [held, missing.clone()].concat().into();
        operation = Operation::Update;
    }
    if !is_role(info.kind) && existing["roleRef"] != expected["roleRef"] {
        object["roleRef"] = expected["roleRef"].clone();
        operation = Operation::Recreate;
    }
    Ok(Plan { operation, object, is_protected, missing, extra })
}

fn carry_out(cli: &mut Cli<'_>, info: &Info, mut plan: Plan) -> Result<Plan, Failure> {
    if plan.is_protected || cli.dry_run()? == DryRun::Client {
        return Ok(plan);
    }
    let options = cli.write_options("kubectl-auth");
    match plan.operation {
        Operation::Nothing => {}
        Operation::Update => plan.object = cli.update(info.target(), plan.object, options)?,
        Operation::Create | Operation::Recreate => {
            if plan.operation == Operation::Recreate {
                cli.delete(info.kind, &info.namespace, &info.name, DeleteOptions::default())?;
                if let Some(metadata) = plan.object["metadata"].as_object_mut() {
                    metadata.retain(|field, _| !matches!(field.as_str(), "resourceVersion" | "uid"));
                }
            }
            if info.kind.info().namespaced {
                let namespace = plan.object["metadata"]["namespace"].as_str().unwrap_or("").to_owned();
                ensure_namespace(cli, &namespace)?;
            }
            plan.object = cli.create(info.kind, &info.namespace, plan.object, options)?;
        }
    }
    Ok(plan)
}

/// Makes the namespace of a role when it is not there: `tryEnsureNamespace`.
fn ensure_namespace(cli: &mut Cli<'_>, name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::message("resource name may not be empty"));
    }
    let target = Target::object(Kind::Namespace, &ObjectKey::new("", name));
    match cli.send(target, crate::apiserver::Verb::Get) {
        Err(status) if status.is_not_found() => {
            let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            let options = cli.write_options("kubectl-auth");
            cli.create(Kind::Namespace, "", namespace, options)?;
            Ok(())
        }
        other => other.map(|_| ()).map_err(Failure::from),
    }
}

/// Says what was done and why: `printResults`.
fn tell(cli: &mut Cli<'_>, info: &Info, plan: &Plan) {
    let what = match plan.operation {
        Operation::Nothing => return,
        Operation::Create => "create",
        Operation::Update => "update",
        Operation::Recreate => "recreate",
    };
    let caveat =
        if plan.is_protected { format!(", but object opted out ({AUTO_UPDATE}: false)") } else { String::new() };
    cli.complain(&format!("\treconciliation required {what}{caveat}"));
    let (noun, flag) =
        if is_role(info.kind) { ("rules", "remove-extra-permissions") } else { ("subjects", "remove-extra-subjects") };
    let in_words = if is_role(info.kind) { rule_in_words } else { subject_in_words };
    if !plan.missing.is_empty() {
        cli.complain(&format!("\tmissing {noun} added:"));
        plan.missing.iter().for_each(|item| cli.complain(&format!("\t\t{}", in_words(item))));
    }
    if cli.flags().is(flag, false) && !plan.extra.is_empty() {
        cli.complain(&format!("\textra {noun} removed:"));
        plan.extra.iter().for_each(|item| cli.complain(&format!("\t\t{}", in_words(item))));
    }
}

/// A rule as Go's `%+v` prints it.
fn rule_in_words(rule: &Value) -> String {
    let fields = [
        ("Verbs", "verbs"),
        ("APIGroups", "apiGroups"),
        ("Resources", "resources"),
        ("ResourceNames", "resourceNames"),
        ("NonResourceURLs", "nonResourceURLs"),
    ];
    let parts = fields.map(|(label, field)| {
        let texts: Vec<&str> = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        format!("{label}:[{}]", texts.join(" "))
    });
    format!("{{{}}}", parts.join(" "))
}

/// A subject as Go's `%+v` prints it.
fn subject_in_words(subject: &Value) -> String {
    let parts = [("Kind", "kind"), ("APIGroup", "apiGroup"), ("Name", "name"), ("Namespace", "namespace")]
        .map(|(label, field)| format!("{label}:{}", subject[field].as_str().unwrap_or("")));
    format!("{{{}}}", parts.join(" "))
}
