//! Generators of what is about rights: roles, their bindings and tokens.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/create/create_{role,clusterrole,rolebinding,clusterrolebinding,token}.go`.

use serde_json::{Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::{make, name};
use super::printer::Printer;
use super::resource::kind_of;
use crate::api::{Kind, ObjectKey, Subresource};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::machinery::duration;

const GROUP: &str = "rbac.authorization.k8s.io";
/// Verbs that need no warning.
const VERBS: &[&str] = &[
    "*",
    "get",
    "delete",
    "list",
    "create",
    "update",
    "patch",
    "watch",
    "proxy",
    "deletecollection",
    "use",
    "bind",
    "escalate",
    "impersonate",
    "approve",
    "sign",
    "attest",
];

/// Verbs that only some resources know, by group and name: `specialVerbs`.
const SPECIAL_VERBS: [(&str, &[(&str, &str)]); 4] = [
    ("use", &[("policy", "podsecuritypolicies"), ("extensions", "podsecuritypolicies")]),
    ("bind", &[(GROUP, "roles"), (GROUP, "clusterroles")]),
    ("escalate", &[(GROUP, "roles"), (GROUP, "clusterroles")]),
    ("impersonate", &[("", "users"), ("", "serviceaccounts"), ("", "groups"), ("authentication.k8s.io", "userextras")]),
];

/// A resource that a role is to be about.
#[derive(PartialEq, Eq)]
struct Resource {
    group: String,
    plural: String,
}

/// `--verb`, each once, with a warning for unusual ones.
fn verbs(cli: &mut Cli<'_>) -> Vec<String> {
    let mut verbs: Vec<String> = Vec::new();
    for verb in cli.flags().texts("verb") {
        if verb == "*" {
            return vec![verb];
        }
        if !verbs.contains(&verb) {
            verbs.push(verb);
        }
    }
    for verb in verbs.iter().filter(|verb| !VERBS.contains(&verb.as_str())) {
        cli.complain(&format!("Warning: '{verb}' is not a standard resource verb"));
    }
    verbs
}

/// `--resource`: `pods`, `deployments.apps`, `pods/status`.
fn resources(cli: &Cli<'_>) -> Result<Vec<Resource>, Failure> {
    let words = cli.flags().texts("resource");
    let mut found = Vec::new();
    for word in &words {
        if word == "*" && words.len() == 1 {
            return Ok(vec![Resource { group: String::new(), plural: "*".to_owned() }]);
        }
        let (resource, below) = word.split_once('/').unwrap_or((word, ""));
        if resource.is_empty() {
            return Err(Failure::message("resource and group can't be empty"));
        }
        let kind = kind_of(cli.api, resource).map_err(|failure| Failure::Plain(failure.bare()))?;
        let below = if below.is_empty() { String::new() } else { format!("/{below}") };
        let info = kind.info();
        let resource = Resource { group: info.group.to_owned(), plural: format!("{}{below}", info.plural) };
        if !found.contains(&resource) {
            found.push(resource);
        }
    }
    Ok(found)
}

/// That each resource knows the verbs.
fn check_verbs(resources: &[Resource], verbs: &[String]) -> Result<(), Failure> {
    for Resource { group, plural } in resources {
        for (verb, known) in SPECIAL_VERBS.iter().filter(|(verb, _)| verbs.iter().any(|given| given == verb)) {
            if !known.contains(&(group.as_str(), plural.as_str())) {
                return Err(Failure::Message(format!("can not perform '{verb}' on '{plural}' in group '{group}'")));
            }
        }
    }
    Ok(())
}

/// `generateResourcePolicyRules`: one rule a group.
fn rules(resources: &[Resource], names: &[String], verbs: &[String]) -> Vec<Value> {
    let mut groups: Vec<&str> = Vec::new();
    for resource in resources {
        if !groups.contains(&resource.group.as_str()) {
            groups.push(&resource.group);
        }
    }
    groups.sort_unstable();
    let rule = |group: &&str| {
        let own = resources.iter().filter(|resource| resource.group == **group);
        let mut rule = json!({
            "verbs": verbs,
            "apiGroups": [group],
            "resources": own.map(|resource| resource.plural.as_str()).collect::<Vec<_>>(),
        });
        if !names.is_empty() {
            rule["resourceNames"] = json!(names);
        }
        rule
    };
    groups.iter().map(rule).collect()
}

/// Runs `kubectl create role`.
pub(super) fn role(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?.to_owned();
    let verbs = verbs(cli);
    if verbs.is_empty() {
        return Err(Failure::message("at least one verb must be specified"));
    }
    let resources = resources(cli)?;
    if resources.is_empty() {
        return Err(Failure::message("at least one resource must be specified"));
    }
    check_verbs(&resources, &verbs)?;
    let names = cli.flags().texts("resource-name");
    let value = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": "Role",
        "metadata": { "name": name },
        "rules": rules(&resources, &names, &verbs),
    });
    make(cli, Kind::Role, value)
}

/// Runs `kubectl create clusterrole`.
pub(super) fn cluster_role(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?.to_owned();
    let mut value = json!({ "apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": { "name": name } });
    let flags = cli.flags();
    let (selectors, urls) = (flags.texts("aggregation-rule"), flags.texts("non-resource-url"));
    if !selectors.is_empty() {
        if flags.has("verb") || flags.has("resource") || !urls.is_empty() || flags.has("resource-name") {
            let why = "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames";
            return Err(Failure::message(why));
        }
        let labels: serde_json::Map<String, Value> = selectors
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, label)| (key.to_owned(), label.into()))
            .collect();
        value["aggregationRule"] = json!({ "clusterRoleSelectors": [{ "matchLabels": labels }] });
        return make(cli, Kind::ClusterRole, value);
    }
    let verbs = verbs(cli);
    if verbs.is_empty() {
        return Err(Failure::message("at least one verb must be specified"));
    }
    let resources = resources(cli)?;
    let names = cli.flags().texts("resource-name");
    check_verbs(&resources, &verbs)?;
    if resources.is_empty() && urls.is_empty() {
        return Err(Failure::message("one of resource or nonResourceURL must be specified"));
    }
    let mut all = rules(&resources, &names, &verbs);
    if !urls.is_empty() {
        check_urls(&urls, &verbs)?;
        all.push(json!({ "verbs": verbs, "nonResourceURLs": urls }));
    }
    value["rules"] = all.into();
    make(cli, Kind::ClusterRole, value)
}

/// What may stand in a rule about paths: `validateNonResourceURLs` and its verbs.
fn check_urls(urls: &[String], verbs: &[String]) -> Result<(), Failure> {
    const VERBS: [&str; 8] = ["*", "get", "post", "put", "delete", "patch", "head", "options"];
    if let Some(verb) = verbs.iter().find(|verb| !VERBS.contains(&verb.as_str())) {
        return Err(Failure::Message(format!("invalid verb: '{verb}' for nonResourceURL")));
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return Err(Failure::message("nonResourceURL should start with /"));
        }
        if url[..url.len() - 1].contains('*') {
            return Err(Failure::message("nonResourceURL only supports wildcard matches when '*' is at the end"));
        }
    }
    Ok(())
}

/// `--user`, `--group` and `--serviceaccount`, in this order.
fn subjects(cli: &Cli<'_>) -> Result<Vec<Value>, Failure> {
    let flags = cli.flags();
    let of = |kind: &'static str, flag: &str| {
        flags.texts(flag).into_iter().map(move |name| json!({ "kind": kind, "apiGroup": GROUP, "name": name }))
    };
    let mut subjects: Vec<Value> = of("User", "user").chain(of("Group", "group")).collect();
    for account in flags.texts("serviceaccount") {
        match account.split(':').collect::<Vec<_>>().as_slice() {
            [namespace, name] if !namespace.is_empty() && !name.is_empty() => {
                subjects.push(json!({ "kind": "ServiceAccount", "namespace": namespace, "name": name }));
            }
            _ => return Err(Failure::message("serviceaccount must be <namespace>:<name>")),
        }
    }
    Ok(subjects)
}

fn binding(cli: &mut Cli<'_>, kind: Kind, role_kind: &str, role: &str) -> Result<Step, Failure> {
    let name = name(cli)?;
    let mut value = json!({
        "apiVersion": format!("{GROUP}/v1"),
        "kind": kind.info().kind,
        "metadata": { "name": name },
        "roleRef": { "apiGroup": GROUP, "kind": role_kind, "name": role },
    });
    let subjects = subjects(cli)?;
    if !subjects.is_empty() {
        value["subjects"] = subjects.into();
    }
    make(cli, kind, value)
}

/// Runs `kubectl create rolebinding`.
pub(super) fn role_binding(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    match (flags.text("clusterrole"), flags.text("role")) {
        ("", "") => Err(Failure::message("exactly one of clusterrole or role must be specified")),
        ("", role) => binding(cli, Kind::RoleBinding, "Role", role),
        (role, "") => binding(cli, Kind::RoleBinding, "ClusterRole", role),
        _ => Err(Failure::message("exactly one of clusterrole or role must be specified")),
    }
}

/// Runs `kubectl create clusterrolebinding`.
pub(super) fn cluster_role_binding(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if !flags.has("clusterrole") {
        return Err(Failure::message("required flag(s) \"clusterrole\" not set"));
    }
    binding(cli, Kind::ClusterRoleBinding, "ClusterRole", flags.text("clusterrole"))
}

/// The object that the token lives as long as.
fn bound_object(cli: &Cli<'_>) -> Result<Option<Value>, Failure> {
    let [kind, name, uid] =
        ["bound-object-kind", "bound-object-name", "bound-object-uid"].map(|flag| cli.flags().text(flag));
    if kind.is_empty() {
        let given = [("name", name), ("uid", uid)].into_iter().find(|(_, value)| !value.is_empty());
        return match given {
            Some((flag, _)) => Err(Failure::Message(format!(
                "--bound-object-{flag} can only be set if --bound-object-kind is provided"
            ))),
            None => Ok(None),
        };
    }
    if !matches!(kind, "Pod" | "Secret" | "Node") {
        return Err(Failure::message("supported --bound-object-kind values are Node, Pod, Secret"));
    }
    if name.is_empty() {
        return Err(Failure::message("--bound-object-name is required if --bound-object-kind is provided"));
    }
    let mut bound = json!({ "apiVersion": "v1", "kind": kind, "name": name });
    if !uid.is_empty() {
        bound["uid"] = uid.into();
    }
    Ok(Some(bound))
}

/// Runs `kubectl create token`.
pub(super) fn token(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?.to_owned();
    let mut spec = json!({});
    let audiences = cli.flags().texts("audience");
    if !audiences.is_empty() {
        spec["audiences"] = json!(audiences);
    }
    if cli.flags().has("duration") {
        let given = cli.flags().text("duration");
        let length = duration::GoDuration::parse(given).map_err(Failure::Message)?;
        if given.starts_with('-') {
            return Err(Failure::message("--duration must be greater than or equal to 0"));
        }
        spec["expirationSeconds"] = length.to_std().as_secs().into();
    }
    if let Some(bound) = bound_object(cli)? {
        spec["boundObjectRef"] = bound;
    }
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {},
        "spec": spec,
    });
    let printer = if cli.output().is_empty() { None } else { Some(Printer::of(cli, "created")?.typed()) };
    let key = ObjectKey::new(cli.namespace(), name);
    let target = Target::object(Kind::ServiceAccount, &key).below(Subresource::Token);
    let answer = cli
        .send(target, Verb::Create { body: Body::Json(request), options: WriteOptions::default() })
        .map_err(|status| Failure::Message(format!("failed to create token: {}", status.message())))?;
    if let Some(mut printer) = printer {
        printer.print(cli, &answer.wire())?;
        return Ok(Step::Done);
    }
    let token = answer.to_value()["status"]["token"].as_str().unwrap_or("").to_owned();
    cli.out.push_str(&token);
    Ok(Step::Done)
}
