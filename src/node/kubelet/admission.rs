//! Whether a pod that was bound to this node may run here.
//!
//! `pkg/kubelet/lifecycle/predicate.go` (`generalFilter`) and `pkg/scheduler/eventhandlers.go` (`AdmissionCheck`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Taint, Toleration};

use crate::machinery::labels::{Operator, Requirement};
use crate::machinery::order::map_of;
use crate::machinery::quantity::Quantity;

use super::container_status::pod_requests;

/// Why a pod is rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub reason: String,
    pub message: String,
}

impl Rejection {
    fn predicate(name: &str, description: &str) -> Self {
        Self { reason: name.to_owned(), message: format!("Predicate {name} failed: {description}") }
    }

    fn insufficient(resource: &str, requested: i64, used: i64, capacity: i64) -> Self {
        Self {
            reason: format!("OutOf{resource}"),
            message: format!(
                "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: \
                 {capacity}"
            ),
        }
    }
}

/// From this priority on a pod is one that the cluster itself needs: `SystemCriticalPriority`.
const SYSTEM_CRITICAL_PRIORITY: i32 = 2_000_000_000;
/// The annotation of a mirror pod: `ConfigMirrorAnnotationKey`.
pub(super) const MIRROR: &str = "kubernetes.io/config.mirror";
/// The annotation that tells where a kubelet has a pod from: `ConfigSourceAnnotationKey`.
pub(super) const SOURCE: &str = "kubernetes.io/config.source";

/// A pod's priority.
pub(super) fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// Whether the node or the cluster cannot do without a pod: `IsCriticalPod`.
pub(super) fn is_critical(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let is_static = annotations
        .is_some_and(|them| them.contains_key(MIRROR) || them.get(SOURCE).is_some_and(|source| source != "api"));
    is_static || priority(pod) >= SYSTEM_CRITICAL_PRIORITY
}

/// The first reason against running `pod` beside `others` on a node of this capacity.
pub(super) fn reject(
    pod: &Pod,
    others: &[&Pod],
    node: Option<&Node>,
    capacity: &BTreeMap<String, String>,
) -> Option<Rejection> {
    let spec = pod.spec.as_ref()?;
    insufficient_resource(spec, others, capacity)
        .or_else(|| wrong_node(spec, node?))
        .or_else(|| taken_port(spec, others))
        .or_else(|| untolerated_taint(spec, node?))
}

/// An amount in the unit in which the scheduler counts the resource.
fn units(name: &str, amount: Quantity) -> i64 {
    if name == "cpu" { amount.milli_value() } else { amount.value() }
}

/// How much of a resource a pod's going frees, in the unit in which it is counted.
pub(super) fn units_of(pod: &Pod, name: &str) -> i64 {
    if name == "pods" {
        return 1;
    }
    let requests = pod.spec.as_ref().map(pod_requests).unwrap_or_default();
    requests.get(name).map_or(0, |amount| units(name, Quantity::of(amount)))
}

/// What is missing for a pod beside `others`, by resource.
pub(super) fn shortfall(pod: &Pod, others: &[&Pod], capacity: &BTreeMap<String, String>) -> Vec<(String, i64)> {
    let missing = capacity.iter().filter_map(|(name, amount)| {
        let amount = units(name, Quantity::parse(amount).unwrap_or(Quantity::ZERO));
        let used: i64 = others.iter().map(|other| units_of(other, name)).sum();
        let requested = units_of(pod, name);
        (requested > 0 && requested > amount - used).then(|| (name.clone(), requested - (amount - used)))
    });
    missing.collect()
}

fn insufficient_resource(spec: &PodSpec, others: &[&Pod], capacity: &BTreeMap<String, String>) -> Option<Rejection> {
    let amount = |name: &str| {
        let quantity = capacity.get(name).and_then(|text| Quantity::parse(text).ok());
        units(name, quantity.unwrap_or(Quantity::ZERO))
    };
    let pods = i64::try_from(others.len()).unwrap_or(i64::MAX);
    if pods + 1 > amount("pods") {
        return Some(Rejection::insufficient("pods", 1, pods, amount("pods")));
    }
    let requests = pod_requests(spec);
    let of_others: Vec<_> = others.iter().filter_map(|other| other.spec.as_ref()).map(pod_requests).collect();
    let first = ["cpu", "memory", "ephemeral-storage"];
    let rest = requests.keys().map(String::as_str).filter(|name| !first.contains(name));
    for name in first.into_iter().chain(rest) {
        let requested = requests.get(name).map_or(0, |amount| units(name, Quantity::of(amount)));
        // Extended resources that the node has none of are somebody else's to check: a class of devices may stand behind.
        let is_elsewhere = !capacity.contains_key(name) || (name.contains('/') && amount(name) == 0);
        if requested == 0 || is_elsewhere {
            continue;
        }
        let used =
            of_others.iter().filter_map(|other| other.get(name)).map(|amount| units(name, Quantity::of(amount))).sum();
        if requested > amount(name) - used {
            return Some(Rejection::insufficient(name, requested, used, amount(name)));
        }
    }
    None
}

fn wrong_node(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    let empty = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let required = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let name = node.metadata.name.as_deref().unwrap_or("");
    let wanted = required
        .is_none_or(|selector| selector.node_selector_terms.iter().any(|term| term_matches(term, labels, name)));
    (!selected || !wanted)
        .then(|| Rejection::predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"))
}

fn term_matches(term: &NodeSelectorTerm, labels: &BTreeMap<String, String>, name: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or(&[]);
    let fields = term.match_fields.as_deref().unwrap_or(&[]);
    let names = map_of([("metadata.name".to_owned(), name.to_owned())]);
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|expression| requirement_matches(expression, labels))
        && fields.iter().all(|field| requirement_matches(field, &names))
}

fn requirement_matches(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let operator = match requirement.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::GreaterThan,
        "Lt" => Operator::LessThan,
        _ => return false,
    };
    let values = requirement.values.clone().unwrap_or_default();
    Requirement::new(&requirement.key, operator, values).is_ok_and(|requirement| requirement.matches(labels))
}

/// The ports of the host that a pod takes: protocol, address and number.
fn host_ports(spec: &PodSpec) -> Vec<(&str, &str, i32)> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    containers
        .flat_map(|container| container.ports.iter().flatten())
        .filter_map(|port| {
            let number = port.host_port.filter(|&number| number > 0)?;
            let address = port.host_ip.as_deref().filter(|ip| !ip.is_empty()).unwrap_or("0.0.0.0");
            Some((port.protocol.as_deref().unwrap_or("TCP"), address, number))
        })
        .collect()
}

fn taken_port(spec: &PodSpec, others: &[&Pod]) -> Option<Rejection> {
    let taken: Vec<_> = others.iter().filter_map(|other| other.spec.as_ref()).flat_map(host_ports).collect();
    let clash = |&(protocol, address, number): &(&str, &str, i32)| {
        taken.iter().any(|&(other_protocol, other_address, other)| {
            let same_address = address == other_address || address == "0.0.0.0" || other_address == "0.0.0.0";
            protocol == other_protocol && number == other && same_address
        })
    };
    host_ports(spec)
        .iter()
        .any(clash)
        .then(|| Rejection::predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports"))
}

fn untolerated_taint(spec: &PodSpec, node: &Node) -> Option<Rejection> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    let tolerations = spec.tolerations.as_deref().unwrap_or(&[]);
    let untolerated = taints
        .filter(|taint| taint.effect == "NoExecute")
        .any(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)));
    untolerated.then(|| Rejection::predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate"))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let same =
        |wanted: &Option<String>, actual: &str| wanted.as_deref().is_none_or(|text| text.is_empty() || text == actual);
    let value = || toleration.value.as_deref().unwrap_or("") == taint.value.as_deref().unwrap_or("");
    same(&toleration.effect, &taint.effect)
        && same(&toleration.key, &taint.key)
        && match toleration.operator.as_deref() {
            Some("Exists") => true,
            None | Some("" | "Equal") => value(),
            _ => false,
        }
}
