//! The pods of a DaemonSet: what they are made of, and which node each belongs to.
//!
//! Follows `util/daemonset_util.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, PodTemplateSpec, Toleration,
};

use crate::api::Resource;
use crate::api::apps::daemon_set::template_generation;
use crate::controllers::history::REVISION_LABEL;
use crate::controllers::pod_control::{node_name, phase, pod_from_template};
use crate::machinery::order::Order as _;

use super::PodsByNode;

/// `DaemonSetTemplateGenerationKey`: the old way to tell templates apart.
pub(super) const TEMPLATE_GENERATION_LABEL: &str = "pod-template-generation";

/// The field by which a pod's affinity names its node.
const OBJECT_NAME_FIELD: &str = "metadata.name";

/// What every daemon pod tolerates: troubles of its node are no reason to go.
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];
/// What a pod in its host's network tolerates besides.
const TOLERATED_BY_HOST_NETWORK: (&str, &str) = ("node.kubernetes.io/network-unavailable", "NoSchedule");

/// Adds the tolerations of daemon pods: `AddOrUpdateDaemonPodTolerations`.
pub(super) fn tolerate(spec: &mut PodSpec) {
    let host_network = spec.host_network == Some(true);
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in TOLERATED.into_iter().chain(host_network.then_some(TOLERATED_BY_HOST_NETWORK)) {
        let wanted = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        let matches = |known: &&mut Toleration| {
            (&known.key, &known.effect, &known.operator) == (&wanted.key, &wanted.effect, &wanted.operator)
                && known.value.as_deref().unwrap_or("").is_empty()
        };
        match tolerations.iter_mut().find(matches) {
            Some(known) => *known = wanted,
            None => tolerations.push(wanted),
        }
    }
}

/// The template of the set's pods: `CreatePodTemplate`.
pub(super) fn template(set: &DaemonSet, hash: &str) -> PodTemplateSpec {
    let mut template = set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default();
    tolerate(template.spec.get_or_insert_default());
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(TEMPLATE_GENERATION_LABEL.to_owned(), template_generation(&set.metadata).to_string());
    if !hash.is_empty() {
        labels.insert(REVISION_LABEL.to_owned(), hash.to_owned());
    }
    template
}

/// The pod for a node, which its affinity names: `ReplaceDaemonSetPodNodeNameNodeAffinity`. Other requirements are gone,
/// since the controller has checked them.
pub(super) fn pod_for_node(set: &DaemonSet, template: &PodTemplateSpec, node: &str) -> Pod {
    let mut pod = pod_from_template(template, set);
    let affinity = pod.spec.get_or_insert_default().affinity.get_or_insert_default();
    let affinity = affinity.node_affinity.get_or_insert_default();
    let required = affinity.required_during_scheduling_ignored_during_execution.get_or_insert_default();
    required.node_selector_terms = vec![NodeSelectorTerm {
        match_expressions: None,
        match_fields: Some(vec![NodeSelectorRequirement {
            key: OBJECT_NAME_FIELD.to_owned(),
            operator: "In".to_owned(),
            values: Some(vec![node.to_owned()]),
        }]),
    }];
    pod
}

/// The node that a pod is on, or is meant for: `GetTargetNodeName`.
fn target_node(pod: &Pod) -> Option<&str> {
    if !node_name(pod).is_empty() {
        return Some(node_name(pod));
    }
    let affinity = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
    let terms = &affinity.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
    let fields = terms.iter().flat_map(|term| term.match_fields.iter().flatten());
    let mut by_name = fields.filter(|field| field.key == OBJECT_NAME_FIELD && field.operator == "In");
    match by_name.next()?.values.as_deref() {
        Some([only]) => Some(only),
        _ => None,
    }
}

/// Pods by their nodes, the oldest of each first: `getNodesToDaemonPods`. Pods that have ended and are going count only
/// when `all` are asked for.
pub(super) fn by_node(pods: &[Arc<Pod>], all: bool) -> PodsByNode {
    let mut found = PodsByNode::new();
    for pod in pods {
        let is_over = matches!(phase(pod), "Succeeded" | "Failed") && pod.is_deleting();
        if let Some(node) = target_node(pod).filter(|_| all || !is_over) {
            found.entry(node.to_owned()).or_default().push(pod.clone());
        }
    }
    for pods in found.values_mut() {
        // Placed before unplaced, old before young: `podByCreationTimestampAndPhase`.
        pods.order_by_key(|pod| {
            let created = pod.metadata.creation_timestamp.as_ref().map(crate::machinery::time::Time::from);
            (node_name(pod).is_empty(), created, pod.name().to_owned())
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(spec: serde_json::Value) -> DaemonSet {
        serde_json::from_value(json!({
            "metadata": { "name": "agent", "annotations": { "deprecated.daemonset.template.generation": "3" } },
            "spec": { "selector": {}, "template": { "spec": spec } },
        }))
        .expect("the set is well-formed")
    }

    #[test]
    fn a_pod_names_its_node_and_nothing_else() {
        let set = set(json!({ "containers": [], "affinity": { "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "disk", "operator": "Exists" }] },
            ] },
        } } }));
        let pod = pod_for_node(&set, &template(&set, "abc"), "worker-1");
        assert_eq!(target_node(&pod), Some("worker-1"));
        let labels: Vec<_> = pod.metadata.labels.into_iter().flatten().collect();
        let expected = [("controller-revision-hash", "abc"), ("pod-template-generation", "3")];
        assert_eq!(labels, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn tolerations_are_added_once() {
        let mut spec: PodSpec = serde_json::from_value(json!({
            "containers": [],
            "hostNetwork": true,
            "tolerations": [
                { "key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5 },
            ],
        }))
        .expect("the spec is well-formed");
        tolerate(&mut spec);
        tolerate(&mut spec);
        let tolerations = spec.tolerations.unwrap_or_default();
        assert_eq!(tolerations.len(), 7);
        assert_eq!(tolerations[0].toleration_seconds, None, "a daemon pod stays for ever");
    }
}
