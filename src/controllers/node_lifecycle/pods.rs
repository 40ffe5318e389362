//! Pods of nodes that are not ready, which nobody else can say any more.
//!
//! Follows `MarkPodsNotReady` of `kubernetes/pkg/controller/util/node/controller_utils.go`.

use k8s_openapi::api::core::v1::Pod;

use crate::client::{Client, ClientError, EventType, Informers};
use crate::controllers::pod_control::{condition, is_ready, node_name};
use crate::controllers::pod_status::update_condition;
use crate::etcd::Why;

/// Sets a pod's `Ready` condition to False, if it is not; everything else about the condition stays.
pub(super) fn mark_not_ready(pod: &Pod, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(mut ready) = condition(pod, "Ready").cloned() else { return Ok(()) };
    ready.status = "False".to_owned();
    let mut changed = pod.clone();
    if !update_condition(changed.status.get_or_insert_default(), ready, client.now) {
        return Ok(());
    }
    client.because(Why::new("Node {} is not ready.", [node_name(pod).to_owned()]));
    let result = client.update_status(changed).map(|_| ());
    match &result {
        Err(error) if error.is_not_found() => return Ok(()),
        // Upstream's request would wait here, and the event come when it is answered.
        Err(ClientError::Throttled(_)) => {}
        _ => client.event(pod, EventType::Warning, "NodeNotReady", "Node is not ready"),
    }
    result
}

/// Marks all pods on a node, as fast as the client's rate allows. Says whether all could be.
pub(super) fn mark_all_not_ready(
    node: &str,
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<bool, ClientError> {
    let mut all = true;
    for pod in listers.pods_on(node).filter(|pod| is_ready(pod)) {
        match mark_not_ready(pod, client) {
            Err(error @ ClientError::Throttled(_)) => return Err(error),
            result => all &= result.is_ok(),
        }
    }
    Ok(all)
}
