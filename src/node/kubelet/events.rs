//! Events of a kubelet: reasons, and references to the parts of a pod.
//!
//! `pkg/kubelet/events/event.go` and `pkg/kubelet/container/ref.go`.

use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::api::{Kind, Resource};
use crate::client::{Client, EventType};

pub(super) use EventType::{Normal, Warning};

/// A reference to a container of a pod, as `spec.containers{c}`; to the pod itself when it has no such container.
pub(super) fn container_reference(pod: &Pod, container: &str) -> ObjectReference {
    let path = pod.spec.as_ref().and_then(|spec| {
        let among = |names: Vec<&String>| names.iter().any(|name| *name == container);
        if among(spec.containers.iter().map(|one| &one.name).collect()) {
            Some("containers")
        } else if among(spec.init_containers.iter().flatten().map(|one| &one.name).collect()) {
            Some("initContainers")
        } else if among(spec.ephemeral_containers.iter().flatten().map(|one| &one.name).collect()) {
            Some("ephemeralContainers")
        } else {
            None
        }
    });
    ObjectReference { field_path: path.map(|list| format!("spec.{list}{{{container}}}")), ..pod_reference(pod) }
}

/// A reference to a pod.
pub(super) fn pod_reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some(Kind::Pod.info().kind.to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        uid: pod.metadata.uid.clone(),
        field_path: None,
    }
}

/// Tells something about a container.
pub(super) fn about_container(
    client: &mut Client<'_>,
    pod: &Pod,
    container: &str,
    event_type: EventType,
    reason: &str,
    message: &str,
) {
    client.event_about(&container_reference(pod, container), event_type, reason, message);
}

/// A pod as log lines and some messages name it: `name_namespace(uid)`.
pub(super) fn format_pod(pod: &Pod) -> String {
    format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid())
}
