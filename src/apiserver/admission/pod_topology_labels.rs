//! A pod wears the zone and region of its node.
//!
//! `kubernetes/plugin/pkg/admission/podtopologylabels`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;

/// The labels that a pod takes over from its node.
const LABELS: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// What a pod on this node wears.
pub(crate) fn labels_of_node(etcd: &Etcd, node: &str) -> BTreeMap<String, String> {
    let node = etcd.get(Kind::Node, &ObjectKey::new("", node)).and_then(Object::downcast::<Node>);
    let labels = node.and_then(|node| node.metadata.labels.as_ref());
    let wanted = |name: &str| labels.and_then(|labels| labels.get(name)).map(|value| (name.to_owned(), value.clone()));
    LABELS.into_iter().filter_map(wanted).collect()
}

/// Gives a bound pod the labels that it does not have.
pub(super) fn admit(etcd: &Etcd, pod: &mut Pod) {
    let Some(node) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) else { return };
    let labels = labels_of_node(etcd, node);
    if !labels.is_empty() {
        let own = pod.metadata.labels.get_or_insert_default();
        for (name, value) in labels {
            own.entry(name).or_insert(value);
        }
    }
}
