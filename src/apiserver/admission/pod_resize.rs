//! No pod is made larger than its node.
//!
//! `kubernetes/plugin/pkg/admission/podresize`.

use k8s_openapi::api::core::v1::{Node, Pod};

use super::Attributes;
use crate::api::core::pod::resources::pod_requests;
use crate::api::{Kind, Object, ObjectKey, Resource, Subresource, quota::amounts};
use crate::etcd::Etcd;
use crate::machinery::quantity::Quantity;
use crate::machinery::status::{Cause, Details, Reason, Status};

pub(super) fn validate(etcd: &Etcd, pod: &Pod, attributes: Attributes<'_>) -> Result<(), Status> {
    let Some(old) = attributes.old.filter(|_| attributes.subresource == Some(Subresource::Resize)) else {
        return Ok(());
    };
    let Some(name) = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).filter(|name| !name.is_empty())
    else {
        return Ok(());
    };
    if old.metadata().generation == pod.metadata.generation {
        return Ok(());
    }
    let node = etcd.get(Kind::Node, &ObjectKey::new("", name)).and_then(Object::downcast::<Node>);
    let Some(node) = node else {
        return Err(Status::forbidden("", "pods", pod.name(), &format!("node {name:?} not found")));
    };
    let system = node.metadata.labels.as_ref().and_then(|labels| labels.get("kubernetes.io/os"));
    if let Some(system) = system.filter(|system| *system != "linux") {
        let why = format!("pod resize is only supported on linux nodes, node {name:?} is {system:?}");
        return Err(refusal(pod, &why, "UnsupportedPlatform"));
    }
    match exceeds(pod, node) {
        None => Ok(()),
        Some(why) => Err(refusal(pod, &why, "NodeCapacity")),
    }
}

/// What a pod asks for beyond all that its node has: `validateRequestsWithinAllocatable`.
fn exceeds(pod: &Pod, node: &Node) -> Option<String> {
    let requests = pod_requests(pod);
    let allocatable = amounts(node.status.as_ref().and_then(|status| status.allocatable.as_ref()));
    let mut short = Vec::new();
    for (name, count) in [("cpu", Quantity::milli_value as fn(Quantity) -> i64), ("memory", Quantity::value)] {
        let of = |amounts: &crate::api::core::pod::resources::Amounts| amounts.get(name).copied().unwrap_or_default();
        let (requested, most) = (of(&requests), of(&allocatable));
        if requested > most {
            short.push(format!("{name}, requested: {}, allocatable: {}", count(requested), count(most)));
        }
    }
    (!short.is_empty()).then(|| format!("node didn't have enough allocatable resources: {}", short.join("; ")))
}

fn refusal(pod: &Pod, why: &str, reason: &str) -> Status {
    let plain = Status::forbidden("", "pods", pod.name(), why);
    let cause = Cause { reason: reason.to_owned(), message: String::new(), field: String::new() };
    let details = Details { causes: vec![cause], ..plain.details().clone() };
    Status::with_details(Reason::Forbidden, plain.message(), details)
}
