//! Which nodes a DaemonSet's pods belong on.
//!
//! Follows `NodeShouldRunDaemonPod` and `predicates` of `daemon_controller.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, Toleration};

use crate::api::Resource;
use crate::client::node_taints::taints;
use crate::machinery::node_selector::RequiredNodeAffinity;
use crate::machinery::toleration::{NO_EXECUTE, keeps_away, tolerates_taint};

use super::pods::tolerate;

/// What is asked of a node, read from the template once a sync.
pub(super) struct Eligibility {
    /// The only node that the template names, if it names one.
    node_name: Option<String>,
    affinity: Option<Box<RequiredNodeAffinity>>,
    tolerations: Vec<Toleration>,
}

/// Whether a pod belongs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// A pod that is not there should come.
    pub should_run: bool,
    /// A pod that is there may stay.
    pub may_stay: bool,
}

impl Eligibility {
    pub(super) fn of(set: &DaemonSet) -> Self {
        let mut spec = set.spec.as_ref().and_then(|spec| spec.template.spec.clone()).unwrap_or_default();
        tolerate(&mut spec);
        let tolerations = spec.tolerations.clone().unwrap_or_default();
        let node_name = spec.node_name.clone().filter(|name| !name.is_empty());
        let affinity = RequiredNodeAffinity::of(&Pod { spec: Some(spec), ..Pod::default() });
        Self { node_name, affinity, tolerations }
    }

    /// Judges a node. A taint that keeps new pods away lets those stay that it does not evict.
    pub(super) fn of_node(&self, node: &Node) -> Verdict {
        let empty = BTreeMap::new();
        let labels = node.metadata.labels.as_ref().unwrap_or(&empty);
        let named = self.node_name.as_deref().is_none_or(|name| name == node.name());
        if !named || self.affinity.as_ref().is_some_and(|affinity| !affinity.matches(node.name(), labels)) {
            return Verdict { should_run: false, may_stay: false };
        }
        let mut hurting = taints(node).iter().filter(|taint| !tolerates_taint(&self.tolerations, taint));
        let should_run = !hurting.clone().any(keeps_away);
        Verdict { should_run, may_stay: should_run || !hurting.any(|taint| taint.effect == NO_EXECUTE) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_names_and_taints_decide() {
        let node: Node = serde_json::from_value(json!({
            "metadata": { "name": "n", "labels": { "disk": "ssd" } },
            "spec": { "taints": [
                { "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" },
                { "key": "node.kubernetes.io/not-ready", "effect": "NoExecute" },
                { "key": "a", "effect": "NoSchedule" },
            ] },
        }))
        .expect("the node is well-formed");
        let tolerated = json!([{ "key": "a", "operator": "Exists" }]);
        let table = [
            (json!({ "tolerations": tolerated }), (true, true)),
            (json!({}), (false, true)),
            (json!({ "tolerations": tolerated, "nodeSelector": { "disk": "hdd" } }), (false, false)),
            (json!({ "tolerations": tolerated, "nodeName": "n" }), (true, true)),
            (json!({ "tolerations": tolerated, "nodeName": "other" }), (false, false)),
        ];
        for (mut spec, (should_run, may_stay)) in table {
            spec["containers"] = json!([]);
            let set: DaemonSet = serde_json::from_value(json!({
                "metadata": {}, "spec": { "selector": {}, "template": { "spec": spec } },
            }))
            .expect("the set is well-formed");
            assert_eq!(Eligibility::of(&set).of_node(&node), Verdict { should_run, may_stay }, "{spec}");
        }
    }
}
