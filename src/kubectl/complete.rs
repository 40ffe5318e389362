//! What can follow in a command line of kubectl.

use std::collections::BTreeSet;

use super::PLUGINS;
use super::api::Api;
use super::command::{self, Command};
use super::resource;
use crate::api::{Kind, ObjectKey};
use crate::apiserver::{ListOptions, Request, Response, Target, User, Verb};
use crate::etcd::{Cause, Why};

/// The words that can follow `before` (all words behind `kubectl` but the last) where `last` begins; nothing when it is
/// a file's name that is wanted.
#[must_use]
pub fn complete(before: &[String], last: &str, namespace: &str, api: &mut dyn Api) -> Option<Vec<String>> {
    let (command, rest) = command::deepest(before);
    let namespace = namespace_given(before).unwrap_or_else(|| namespace.to_owned());
    // A flag's value stands behind it, or behind `=` in the same word.
    let flag = before.last().and_then(|word| flag_of(command, word));
    if let Some(values) = flag.and_then(|flag| values(api, flag, &rest, &namespace)) {
        return values;
    }
    if let Some((name, _)) = last.split_once('=').filter(|(name, _)| name.starts_with("--"))
        && let Some(values) = values(api, &name[2..], &rest, &namespace)
    {
        return values.map(|words| words.into_iter().map(|word| format!("{name}={word}")).collect());
    }
    if last.starts_with('-') {
        return Some(command::flag_names(command).map(|name| format!("--{name}")).collect());
    }
    let words = plain_words(command, &rest);
    if !command.commands.is_empty() {
        let plugins: &[&str] = if before.is_empty() { PLUGINS } else { &[] };
        let children = command.commands.iter().map(|child| child.name);
        return Some(children.chain(plugins.iter().copied()).map(str::to_owned).collect());
    }
    if before.first().is_some_and(|word| PLUGINS.contains(&word.as_str())) {
        let words = plain_words(command, &before[1..]);
        return Some(arguments(api, command, &words, last, &namespace));
    }
    Some(arguments(api, command, &words, last, &namespace))
}

/// The words that are neither flags nor their values.
fn plain_words<'a>(command: &Command, words: &'a [String]) -> Vec<&'a str> {
    let (mut plain, mut is_value) = (Vec::new(), false);
    for word in words {
        if !std::mem::take(&mut is_value) && !word.starts_with('-') {
            plain.push(word.as_str());
        }
        is_value = flag_of(command, word).is_some();
    }
    plain
}

/// The name of the flag that a word is, when its value is the next word.
fn flag_of<'a>(command: &Command, word: &'a str) -> Option<&'a str> {
    if let Some(name) = word.strip_prefix("--") {
        return Some(name).filter(|name| !name.contains('=') && command::takes_value(command, name));
    }
    let letter = word.strip_prefix('-').filter(|letters| letters.len() == 1)?;
    match letter {
        "n" => Some("namespace"),
        "f" => Some("filename"),
        "k" => Some("kustomize"),
        "o" => Some("output"),
        "c" => Some("container"),
        _ => None,
    }
}

/// The values that a flag can have: nothing when they are nobody's to know, and no words when it is a file that is wanted.
#[allow(clippy::option_option, reason = "a flag that is not known, and one that names a file, are two things")]
fn values(api: &mut dyn Api, flag: &str, rest: &[String], namespace: &str) -> Option<Option<Vec<String>>> {
    let words: &[&str] = match flag {
        "namespace" => return Some(Some(names(api, Kind::Namespace, ""))),
        "container" => return Some(Some(containers(api, rest, namespace))),
        "filename" | "kustomize" | "patch-file" | "from-file" | "from-env-file" => return Some(None),
        "output" => &[
            "custom-columns=",
            "go-template=",
            "json",
            "jsonpath=",
            "jsonpath-as-json=",
            "kyaml",
            "name",
            "wide",
            "yaml",
        ],
        "dry-run" => &["client", "none", "server"],
        "cascade" => &["background", "foreground", "orphan"],
        "type" => &["json", "merge", "strategic"],
        "restart" => &["Always", "Never", "OnFailure"],
        "image-pull-policy" => &["Always", "IfNotPresent", "Never"],
        "for" => &["condition=Available", "condition=Complete", "condition=Ready", "create", "delete", "jsonpath="],
        "field-selector" => &["metadata.name=", "spec.nodeName=", "status.phase="],
        "subresource" => &["resize", "scale", "status"],
        "profile" => &["baseline", "general", "netadmin", "restricted", "sysadmin"],
        "sort-by" => &[".metadata.creationTimestamp", ".metadata.name", "cpu", "memory"],
        "serviceaccount" => return Some(Some(names(api, Kind::ServiceAccount, namespace))),
        "clusterrole" => return Some(Some(names(api, Kind::ClusterRole, ""))),
        "role" => return Some(Some(names(api, Kind::Role, namespace))),
        _ => return None,
    };
    Some(Some(owned(words)))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The namespace that the line itself names.
fn namespace_given(words: &[String]) -> Option<String> {
    let pairs = words.iter().zip(words.iter().skip(1));
    let separate =
        pairs.filter(|(flag, _)| matches!(flag.as_str(), "-n" | "--namespace")).map(|(_, name)| name.clone());
    let joined = words.iter().filter_map(|word| word.strip_prefix("--namespace=").map(str::to_owned));
    separate.chain(joined).last()
}

/// What a command takes: pods, nodes, or a kind and then objects of it.
fn arguments(api: &mut dyn Api, command: &Command, words: &[&str], last: &str, namespace: &str) -> Vec<String> {
    if let Some((kind, _)) = last.split_once('/') {
        let Ok(found) = resource::kind_of(api, kind) else { return Vec::new() };
        return names(api, found, namespace).into_iter().map(|name| format!("{kind}/{name}")).collect();
    }
    match (command.name, words) {
        ("exec" | "attach" | "logs" | "port-forward" | "debug", []) => names(api, Kind::Pod, namespace),
        ("logs", [pod]) => containers(api, &[(*pod).to_owned()], namespace),
        ("cordon" | "uncordon" | "drain", _) => names(api, Kind::Node, ""),
        ("restart" | "status" | "undo" | "history" | "pause" | "resume", []) => {
            owned(&["deployment", "daemonset", "statefulset"])
        }
        ("scale" | "autoscale", []) => owned(&["deployment", "replicaset", "replicationcontroller", "statefulset"]),
        ("image", [object]) if last.is_empty() || !last.contains('/') => {
            containers_of(api, object, namespace).into_iter().map(|name| format!("{name}=")).collect()
        }
        (_, []) => {
            // Several kinds stand with commas between them.
            let before = last.rfind(',').map_or("", |at| &last[..=at]);
            kinds(api).into_iter().map(|kind| format!("{before}{kind}")).collect()
        }
        (_, [kind, ..]) => match resource::kind_of(api, kind) {
            Ok(kind) => names(api, kind, namespace),
            Err(_) => Vec::new(),
        },
    }
}

fn kinds(api: &dyn Api) -> Vec<String> {
    let kinds = Kind::ALL.iter().copied().chain(api.custom_kinds());
    kinds.map(|kind| kind.info().plural.to_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

fn names(api: &mut dyn Api, kind: Kind, namespace: &str) -> Vec<String> {
    let namespace = if kind.info().namespaced { namespace } else { "" };
    let target = Target::collection(kind, namespace);
    let cause = Cause::new("kubectl", Why::default());
    let verb = Verb::List(ListOptions::default());
    match api.request(Request { user: User::admin(), cause, target, verb }) {
        Ok(answer) => match answer.response {
            Response::List(list) => {
                list.items.iter().map(|object| object.metadata().name.clone().unwrap_or_default()).collect()
            }
            _ => Vec::new(),
        },
        Err(_) => Vec::new(),
    }
}

/// The containers of the pod that a line names.
fn containers(api: &mut dyn Api, words: &[String], namespace: &str) -> Vec<String> {
    let pod = words.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    containers_of(api, pod, namespace)
}

/// The containers of a pod, or of the pods that an object makes.
fn containers_of(api: &mut dyn Api, named: &str, namespace: &str) -> Vec<String> {
    let (kind, name) = named.split_once('/').unwrap_or(("pods", named));
    let Ok(kind) = resource::kind_of(api, kind) else { return Vec::new() };
    let key = ObjectKey::new(namespace, name);
    let cause = Cause::new("kubectl", Why::default());
    let request = Request { user: User::admin(), cause, target: Target::object(kind, &key), verb: Verb::Get };
    let mut object = api.request(request).map(|answer| answer.response.to_value()).unwrap_or_default();
    let spec = super::set::pod_spec(kind, &mut object).map(std::mem::take).unwrap_or_default();
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.iter().flat_map(|list| spec[*list].as_array().into_iter().flatten());
    containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
}
