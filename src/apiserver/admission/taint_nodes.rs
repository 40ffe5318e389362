//! A new node takes no pods before its kubelet has said that it is ready.
//!
//! `kubernetes/plugin/pkg/admission/nodetaint`.

use k8s_openapi::api::core::v1::{Node, Taint};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

pub(super) fn admit(node: &mut Node) {
    let taints = node.spec.get_or_insert_default().taints.get_or_insert_default();
    if !taints.iter().any(|taint| taint.key == NOT_READY && taint.effect == "NoSchedule") {
        taints.push(Taint { key: NOT_READY.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() });
    }
}
