//! What can be seen of a node and the pods in `default` over a while, as the recorded cases of `nodes/` followed it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use k8s_openapi::api::core::v1::{Node, Pod};
use kubetab::api::{Kind, Object};

use super::scene::Scene;

/// The taint by which a case keeps other pods off its node.
const OWN_TAINT: &str = "beh";

/// What is true now.
fn facts(scene: &Scene, node: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let etcd = scene.cluster.api().etcd();
    let nodes = etcd.range(Kind::Node, None).filter_map(|(_, object)| Object::downcast::<Node>(object));
    match nodes.into_iter().find(|known| known.metadata.name.as_deref() == Some(node)) {
        None => {
            facts.insert("node absent".to_owned());
        }
        Some(known) => {
            for condition in known.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
                let reason = condition.reason.as_deref().unwrap_or_default();
                facts.insert(format!("node {}={} {reason}", condition.type_, condition.status));
            }
            let taints = known.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
            for taint in taints.filter(|taint| taint.key != OWN_TAINT) {
                facts.insert(format!("node taint {}:{}", taint.key, taint.effect));
            }
        }
    }
    for (_, object) in etcd.range(Kind::Pod, None) {
        let Some(pod) = object.downcast::<Pod>() else { continue };
        let labels = pod.metadata.labels.as_ref();
        let name = labels.and_then(|labels| labels.get("name")).or(pod.metadata.name.as_ref());
        let mut about = format!("pod {}", name.map_or("", String::as_str));
        if pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(node) {
            about.push_str(" (elsewhere)");
        }
        facts.insert(format!("{about} exists"));
        let status = pod.status.clone().unwrap_or_default();
        facts.insert(format!("{about} is {}", status.phase.as_deref().unwrap_or("Pending")));
        if pod.metadata.deletion_timestamp.is_some() {
            facts.insert(format!("{about} is deleting"));
        }
        for condition in status.conditions.iter().flatten() {
            match condition.type_.as_str() {
                "Ready" => facts.insert(format!("{about} Ready={}", condition.status)),
                "DisruptionTarget" => facts
                    .insert(format!("{about} DisruptionTarget {}", condition.reason.as_deref().unwrap_or_default())),
                _ => false,
            };
        }
    }
    facts
}

/// What appeared and what went in some seconds, and at which second each.
pub struct Timeline {
    changes: Vec<(u64, char, String)>,
    first: BTreeSet<String>,
    last: BTreeSet<String>,
}

impl Timeline {
    /// Lets the scene run, and looks at it every second.
    pub fn follow(scene: &mut Scene, node: &str, seconds: u64) -> Self {
        let first = facts(scene, node);
        let mut timeline = Self { changes: Vec::new(), last: first.clone(), first };
        for second in 1..=seconds {
            scene.run(1);
            let now = facts(scene, node);
            let appeared = now.difference(&timeline.last).map(|fact| (second, '+', fact.clone()));
            let went = timeline.last.difference(&now).map(|fact| (second, '-', fact.clone()));
            timeline.changes.extend(appeared.chain(went).collect::<Vec<_>>());
            timeline.last = now;
        }
        timeline
    }

    /// What is different at the end, as the cases print it.
    pub fn net(&self) -> String {
        let mut out = String::new();
        for fact in self.last.difference(&self.first).filter(|fact| !fact.contains("Pending")) {
            writeln!(out, "+ {fact}").expect("it is a string");
        }
        for fact in self.first.difference(&self.last) {
            writeln!(out, "- {fact}").expect("it is a string");
        }
        out
    }

    /// The second at which something first appeared.
    pub fn appeared(&self, fact: &str) -> Option<u64> {
        self.changes.iter().find(|(_, sign, known)| *sign == '+' && known == fact).map(|(second, ..)| *second)
    }
}
