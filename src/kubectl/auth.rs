//! `kubectl auth`: who one is and what one may do.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/auth`.

use serde_json::{Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::printer::Printer;
use super::resource::kind_of;
use super::rules;
use super::tabwriter::TabWriter;
use crate::api::Kind;
use crate::apiserver::WriteOptions;

/// Verbs of resources and of paths that need no warning: `resourceVerbs`, `nonResourceURLVerbs`.
const RESOURCE_VERBS: &[&str] = &[
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "use",
    "bind",
    "impersonate",
    "*",
    "approve",
    "sign",
    "escalate",
    "attest",
];
const PATH_VERBS: &[&str] = &["get", "put", "post", "head", "options", "delete", "patch", "*"];

/// Runs `kubectl auth can-i`.
pub(super) fn can_i(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    if cli.flags().is("list", false) {
        if !cli.arguments().is_empty() {
            return Err(Failure::message("list option must be specified with no arguments"));
        }
        return list(cli);
    }
    let spec = question(cli)?;
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "metadata": {},
        "spec": spec,
    });
    let answer = cli.create(Kind::SelfSubjectAccessReview, "", review, WriteOptions::default())?;
    let status = &answer["status"];
    let allowed = status["allowed"] == true;
    if !cli.flags().is("quiet", false) {
        let mut text = if allowed { "yes" } else { "no" }.to_owned();
        for field in ["reason", "evaluationError"] {
            if let Some(why) = status[field].as_str().filter(|why| !allowed && !why.is_empty()) {
                text.push_str(&format!(" - {why}"));
            }
        }
        cli.say(&text);
    }
    if allowed { Ok(Step::Done) } else { Err(Failure::Silent) }
}

/// What is asked: a verb with a resource, with one object, or with a path.
fn question(cli: &mut Cli<'_>) -> Result<Value, Failure> {
    const USAGE: &str = "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.";
    let (verb, what, name) = match cli.arguments() {
        [verb, what] => match what.split_once('/').filter(|_| !what.starts_with('/')) {
            Some((resource, name)) => (verb, resource, name),
            None => (verb, what.as_str(), ""),
        },
        _ => return Err(Failure::message(USAGE)),
    };
    if what.starts_with('/') && cli.flags().has("subresource") {
        return Err(Failure::message("--subresource can not be used with NonResourceURL"));
    }
    let known = if what.starts_with('/') { PATH_VERBS } else { RESOURCE_VERBS };
    if !known.contains(&verb.as_str()) {
        cli.complain(&format!("Warning: verb '{verb}' is not a known verb\n"));
    }
    if what.starts_with('/') {
        return Ok(json!({ "nonResourceAttributes": { "verb": verb, "path": what } }));
    }
    let everywhere = cli.flags().is("all-namespaces", false);
    let (group, resource) = resource(cli, what, everywhere);
    let namespace = if everywhere { String::new() } else { cli.namespace() };
    Ok(json!({
        "resourceAttributes": {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": cli.flags().text("subresource"),
            "name": name,
        },
    }))
}

/// The group and plural of a word, with a warning when it is none or when a namespace means nothing to it.
fn resource(cli: &mut Cli<'_>, word: &str, everywhere: bool) -> (&'static str, String) {
    if word == "*" {
        return ("", word.to_owned());
    }
    let (word, below) = word.split_once('/').map_or((word, String::new()), |(word, below)| (word, format!("/{below}")));
    match kind_of(cli.api, word) {
        Ok(kind) => {
            let info = kind.info();
            if !info.namespaced && !everywhere {
                let group = if info.group.is_empty() { String::new() } else { format!(" in group '{}'", info.group) };
                cli.complain(&format!("Warning: resource '{}' is not namespace scoped{group}\n", info.plural));
            }
            (info.group, format!("{}{below}", info.plural))
        }
        Err(_) => {
            cli.complain(&format!("Warning: the server doesn't have a resource type '{word}'\n"));
            ("", format!("{word}{below}"))
        }
    }
}

fn list(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let namespace = cli.namespace();
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "metadata": {},
        "spec": { "namespace": namespace },
    });
    let answer = cli.create(Kind::SelfSubjectRulesReview, "", review, WriteOptions::default())?;
    let rules = |field: &str| answer["status"][field].as_array().cloned().unwrap_or_default();
    let rules = [rules("resourceRules"), rules("nonResourceRules")].concat();
    let mut text = String::new();
    if !cli.flags().is("no-headers", false) {
        text.push_str("Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
    }
    for rule in rules::compacted(&rules) {
        text.push_str(&rule.row());
        text.push('\n');
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Ok(Step::Done)
}

/// Runs `kubectl auth whoami`.
pub(super) fn whoami(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {} });
    let answer = cli.create(Kind::SelfSubjectReview, "", review, WriteOptions::default())?;
    if cli.flags().has("output") {
        Printer::of(cli, "")?.typed().print(cli, &answer)?;
        return Ok(Step::Done);
    }
    let info = &answer["status"]["userInfo"];
    let items = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        format!("[{}]", texts.collect::<Vec<_>>().join(" "))
    };
    let mut text = String::from("ATTRIBUTE\tVALUE\n");
    for (title, field) in [("Username", "username"), ("UID", "uid")] {
        if let Some(value) = info[field].as_str() {
            text.push_str(&format!("{title}\t{value}\n"));
        }
    }
    if info["groups"].is_array() {
        text.push_str(&format!("Groups\t{}\n", items(&info["groups"])));
    }
    for (key, values) in info["extra"].as_object().into_iter().flatten() {
        text.push_str(&format!("Extra: {key}\t{}\n", items(values)));
    }
    let table = TabWriter::TABLE.format(&text);
    cli.out.push_str(&table);
    Ok(Step::Done)
}
