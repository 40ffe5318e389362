//! What can follow in a command line of kubectl.

use std::collections::BTreeSet;

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
    match before.last().map(String::as_str) {
        Some("-n" | "--namespace") => return Some(names(api, Kind::Namespace, "")),
        Some("-f" | "--filename" | "-k" | "--kustomize") => return None,
        Some("-o" | "--output") => {
            return Some(owned(&["json", "name", "wide", "yaml", "jsonpath=", "custom-columns="]));
        }
        Some("-c" | "--container") => return Some(containers(api, &rest, &namespace)),
        _ => {}
    }
    if last.starts_with('-') {
        return Some(command::flag_names(command).map(|name| format!("--{name}")).collect());
    }
    let words: Vec<&str> = rest.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    if !command.commands.is_empty() {
        return Some(command.commands.iter().map(|child| child.name.to_owned()).collect());
    }
    Some(arguments(api, command, &words, last, &namespace))
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
        (_, []) => kinds(api),
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
    let key = ObjectKey::new(namespace, pod.strip_prefix("pod/").unwrap_or(pod));
    let cause = Cause::new("kubectl", Why::default());
    let request = Request { user: User::admin(), cause, target: Target::object(Kind::Pod, &key), verb: Verb::Get };
    let pod = api.request(request).map(|answer| answer.response.to_value()).unwrap_or_default();
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str().map(str::to_owned)).collect()
}
