//! `kubectl set image`, `resources`, `selector`, `serviceaccount` and `subject`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/set`.

use serde_json::{Map, Value, json};

use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::generate::typed;
use super::label::words_and_pairs;
use super::printer::Printer;
use crate::api::Kind;
use crate::apiserver::Patch;
use crate::machinery::labels::parse_to_label_selector;
use crate::machinery::quantity::Quantity;
use crate::machinery::{patch, schema};

/// The group of roles and bindings.
const RBAC: &str = "rbac.authorization.k8s.io";

/// The pod spec in an object: `UpdatePodSpecForObjectFn`.
pub(super) fn pod_spec(kind: Kind, object: &mut Value) -> Option<&mut Value> {
    match kind {
        Kind::Pod => object.pointer_mut("/spec"),
        Kind::DaemonSet
        | Kind::Deployment
        | Kind::Job
        | Kind::ReplicaSet
        | Kind::ReplicationController
        | Kind::StatefulSet => object.pointer_mut("/spec/template/spec"),
        Kind::CronJob => object.pointer_mut("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// The containers of a pod spec that a pattern selects, `*` and `?` standing for what they do in a shell.
pub(super) fn selected_containers<'a>(spec: &'a mut Value, pattern: &str) -> Vec<&'a mut Value> {
    let Some(spec) = spec.as_object_mut() else { return Vec::new() };
    let lists = spec.iter_mut().filter(|(field, _)| matches!(field.as_str(), "initContainers" | "containers"));
    let mut lists: Vec<(&String, &mut Value)> = lists.collect();
    // Upstream goes through init containers first.
    lists.sort_by_key(|(field, _)| field.as_str() == "containers");
    let containers = lists.into_iter().filter_map(|(_, list)| list.as_array_mut()).flatten();
    containers.filter(|container| matches(pattern, container["name"].as_str().unwrap_or(""))).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]))
        }
        Some(first) => match name.chars().next() {
            Some(letter) if first == '?' || first == letter => {
                matches(&pattern[first.len_utf8()..], &name[letter.len_utf8()..])
            }
            _ => false,
        },
    }
}

/// Changes objects, sends what changed as a strategic merge patch, and says so. What stays the same is passed over.
pub(super) fn update(
    cli: &mut Cli<'_>,
    words: &[String],
    operation: &str,
    mut change: impl FnMut(&mut Cli<'_>, &Info, &mut Value) -> Result<(), Failure>,
) -> Result<Step, Failure> {
    let mut printer = Printer::of(cli, operation)?.typed();
    let local = cli.flags().is("local", false);
    let dry_run = cli.dry_run()?;
    if cli.flags().is("all", false) && !cli.flags().text("selector").is_empty() {
        check(cli, words)?;
    }
    let found = find(cli, words)?;
    check(cli, words)?;
    found.each(cli, |cli, mut info| {
        if pod_spec(info.kind, &mut info.object).is_none() {
            return Err(refused(&info, local, "the object is not a pod or does not have a pod template"));
        }
        let mut after = info.object.clone();
        change(cli, &info, &mut after)?;
        let Some(patch) = changes(info.kind, &info.object, &after)? else { return Ok(()) };
        if !local && dry_run != DryRun::Client {
            let options = cli.write_options("kubectl-set");
            after =
                cli.patch(info.target(), Patch::Strategic(patch), options).map_err(|status| match status.reason() {
                    crate::machinery::status::Reason::Invalid => Failure::Status(status),
                    _ => Failure::Message(format!("failed to patch {operation} to pod template: {}", status.message())),
                })?;
        }
        printer.print(cli, &after)
    })?;
    Ok(Step::Done)
}

/// The objects that are to be changed: from files alone when nothing is asked of the server.
pub(super) fn find(cli: &mut Cli<'_>, words: &[String]) -> Result<builder::Found, Failure> {
    if !cli.flags().is("local", false) {
        return builder::find(cli, Query::new(words));
    }
    if !words.is_empty() || !(cli.flags().has("filename") || cli.flags().has("kustomize")) {
        return Err(Failure::message(
            "error: you must specify resources by --filename when --local is set.\nExample resource specifications \
             include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'",
        ));
    }
    let mut found = builder::find(cli, Query { latest: false, local: true, ..Query::new(words) })?;
    for info in found.infos.iter_mut().flatten() {
        info.object = typed(info.kind, std::mem::take(&mut info.object))?;
    }
    Ok(found)
}

/// What does not go together: `Validate`.
fn check(cli: &Cli<'_>, words: &[String]) -> Result<(), Failure> {
    let flags = cli.flags();
    let wrong = if flags.is("all", false) && !flags.text("selector").is_empty() {
        "cannot set --all and --selector at the same time"
    } else if words.is_empty() && !flags.has("filename") && !flags.has("kustomize") {
        "one or more resources must be specified as <resource> <name> or <resource>/<name>"
    } else if flags.is("local", false) && flags.text("dry-run") == "server" {
        "cannot specify --local and --dry-run=server - did you mean --dry-run=client?"
    } else {
        return Ok(());
    };
    Err(Failure::message(wrong))
}

/// That an object cannot be changed so: `ObjectName` names it by its resource, or by its kind where no server was asked.
fn refused(info: &Info, local: bool, why: &str) -> Failure {
    let known = info.kind.info();
    let name = if local { known.singular } else { known.plural };
    Failure::Message(format!("error: {name}/{} {why}: *{}.{}\n", info.name, known.version, known.kind))
}

/// The strategic merge patch between two states of an object; nothing when they are equal.
pub(super) fn changes(kind: Kind, before: &Value, after: &Value) -> Result<Option<Value>, Failure> {
    let schema = schema::lookup(&kind.api_version(), kind.info().kind)
        .ok_or_else(|| Failure::message("the kind has no schema"))?;
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let patch = patch::diff::create_two_way(&object(before), &object(after), schema)
        .map_err(|error| Failure::message(error.message()))?;
    Ok(Some(patch).filter(|patch| patch.as_object().is_some_and(|fields| !fields.is_empty())))
}

/// Runs `kubectl set image`.
pub(super) fn image(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let (words, pairs) = words_and_pairs(cli.arguments(), false, "image")?;
    if words.is_empty() && !cli.flags().has("filename") {
        return Err(Failure::message(builder::MISSING));
    }
    if let Some(wrong) = pairs.iter().find(|pair| !pair.contains('=')) {
        return Err(Failure::Message(format!("invalid image format: {wrong}")));
    }
    let updates = if pairs.is_empty() {
        Err(Failure::message("at least one image update is required"))
    } else if pairs.len() > 1 && pairs.iter().any(|pair| pair.starts_with("*=")) {
        Err(Failure::message(
            "all containers are already specified by *, but saw more than one container_name=container_image pairs",
        ))
    } else {
        Ok(())
    };
    if updates.is_err() {
        // What is named is looked for first.
        find(cli, &words)?.all()?;
    }
    updates?;
    update(cli, &words, "image updated", |_, info, object| {
        let Some(spec) = pod_spec(info.kind, object) else { return Ok(()) };
        let mut failures = Vec::new();
        for pair in &pairs {
            let (name, image) = pair.split_once('=').unwrap_or((pair, ""));
            let containers = selected_containers(spec, if name == "*" { "*" } else { name });
            if containers.is_empty() && name != "*" {
                failures.push(Failure::Message(format!("unable to find container named {name:?}")));
            }
            for container in containers {
                container["image"] = image.into();
            }
        }
        Failure::of(failures)
    })
}

/// `cpu=200m,memory=512Mi`.
fn quantities(text: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        let Some((name, amount)) = pair.split_once('=') else {
            return Err(Failure::Message(format!("Invalid argument syntax {pair}, expected <resource>=<value>")));
        };
        Quantity::parse(amount).map_err(|error| Failure::Message(error.to_string()))?;
        found.push((name.to_owned(), amount.to_owned()));
    }
    Ok(found)
}

/// Runs `kubectl set resources`.
pub(super) fn resources(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let (limits, requests) = (flags.text("limits"), flags.text("requests"));
    if cli.arguments().is_empty() && !flags.has("filename") {
        return Err(Failure::message(builder::MISSING));
    }
    if limits.is_empty() && requests.is_empty() {
        return Err(Failure::message(
            "you must specify an update to requests or limits (in the form of --requests/--limits)",
        ));
    }
    let (limits, requests) = (quantities(limits)?, quantities(requests)?);
    let pattern = if flags.has("containers") { flags.text("containers") } else { "*" };
    update(cli, cli.arguments(), "resource requirements updated", |_, info, object| {
        let Some(spec) = pod_spec(info.kind, object) else { return Ok(()) };
        let containers = selected_containers(spec, pattern);
        if containers.is_empty() {
            return Err(Failure::Message(format!("unable to find container named {pattern}")));
        }
        for container in containers {
            for (field, amounts) in [("limits", &limits), ("requests", &requests)] {
                for (name, amount) in amounts {
                    if !container["resources"].is_object() {
                        container["resources"] = Value::Object(Map::new());
                    }
                    container["resources"][field][name.as_str()] = amount.as_str().into();
                }
            }
        }
        Ok(())
    })
}

/// Runs `kubectl set serviceaccount`.
pub(super) fn service_account(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let Some((name, words)) = cli.arguments().split_last() else {
        return Err(Failure::message("serviceaccount is required"));
    };
    update(cli, words, "serviceaccount updated", |_, info, object| {
        if let Some(spec) = pod_spec(info.kind, object) {
            spec["serviceAccountName"] = name.as_str().into();
        }
        Ok(())
    })
}

/// Runs `kubectl set selector`.
pub(super) fn selector(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let Some((text, words)) = cli.arguments().split_last() else {
        return Err(Failure::message(
            "one or more resources must be specified as <resource> <name> or <resource>/<name>",
        ));
    };
    let selector = parse_to_label_selector(text).map_err(Failure::Message)?;
    let mut printer = Printer::of(cli, "selector updated")?.typed();
    let dry_run = cli.dry_run()?;
    let local = cli.flags().is("local", false);
    let found = find(cli, words)?;
    if let Some(expression) = selector.match_expressions.iter().flatten().next() {
        found.all()?;
        let values = expression.values.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        return Err(Failure::Message(format!(
            "match expression [{{{} {} [{values}]}}] not supported on this object",
            expression.key, expression.operator
        )));
    }
    found.each(cli, |cli, info| {
        if info.kind != Kind::Service {
            return Err(Failure::message("setting a selector is only supported for Services"));
        }
        let labels: Map<String, Value> =
            selector.match_labels.iter().flatten().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        let mut after = info.object.clone();
        after["spec"]["selector"] = labels.clone().into();
        if !local && dry_run != DryRun::Client {
            // What the old selector had besides is taken away: the whole map is written anew.
            let patch = json!([{ "op": "add", "path": "/spec/selector", "value": labels }]);
            let options = cli.write_options("kubectl-set");
            after = cli.patch(info.target(), Patch::Json(patch), options)?;
        }
        printer.print(cli, &after)
    })?;
    Ok(Step::Done)
}

/// Runs `kubectl set subject`.
pub(super) fn subject(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let [users, groups, accounts] = ["user", "group", "serviceaccount"].map(|flag| {
        let mut names = flags.all(flag).to_vec();
        names.sort();
        names.dedup();
        names
    });
    if cli.arguments().is_empty() && !flags.has("filename") {
        return Err(Failure::message(builder::MISSING));
    }
    if users.is_empty() && groups.is_empty() && accounts.is_empty() {
        return Err(Failure::message("you must specify at least one value of user, group or serviceaccount"));
    }
    let of = |kind: &'static str, names: Vec<String>| {
        names.into_iter().map(move |name| json!({ "kind": kind, "apiGroup": RBAC, "name": name }))
    };
    let mut subjects: Vec<Value> = of("User", users).chain(of("Group", groups)).collect();
    for account in accounts {
        let (namespace, name) = match account.split(':').collect::<Vec<_>>()[..] {
            [namespace, name] if !name.is_empty() => (namespace.to_owned(), name.to_owned()),
            _ => return Err(Failure::message("serviceaccount must be <namespace>:<name>")),
        };
        let namespace = if namespace.is_empty() { cli.namespace() } else { namespace };
        subjects.push(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
    }
    let mut printer = Printer::of(cli, "subjects updated")?.typed();
    let (local, dry_run) = (flags.is("local", false), cli.dry_run()?);
    let found = find(cli, cli.arguments())?;
    check(cli, cli.arguments())?;
    found.each(cli, |cli, info| {
        if !matches!(info.kind, Kind::RoleBinding | Kind::ClusterRoleBinding) {
            let known = info.kind.info();
            let name = if local { known.singular } else { known.plural };
            return Err(Failure::Message(format!(
                "error: {name}/{} setting subjects is only supported for RoleBinding/ClusterRoleBinding\n",
                info.name
            )));
        }
        let mut after = info.object.clone();
        let mut all = after["subjects"].as_array().cloned().unwrap_or_default();
        let known = all.clone();
        all.extend(subjects.iter().filter(|subject| !known.contains(subject)).cloned());
        after["subjects"] = all.into();
        let Some(patch) = changes(info.kind, &info.object, &after)? else { return Ok(()) };
        if !local && dry_run != DryRun::Client {
            let options = cli.write_options("kubectl-set");
            after = cli.patch(info.target(), Patch::Strategic(patch), options).map_err(|status| {
                Failure::Message(format!("failed to patch subjects to rolebinding: {}", status.message()))
            })?;
        }
        printer.print(cli, &after)
    })?;
    Ok(Step::Done)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_select_containers() {
        assert!(matches("*", "web"));
        assert!(matches("w?b*", "web-1"));
        assert!(!matches("w", "web"));
    }
}
