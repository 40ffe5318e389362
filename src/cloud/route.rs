//! Routes the addresses of pods to their nodes, and says of each node whether that was done.
//!
//! Guarantees that the cloud has a route for each node's `podCIDR` and none for those of nodes that are gone, and that a
//! node's condition `NetworkUnavailable` tells of it. Looks every ten seconds. Follows
//! `k8s.io/cloud-provider/controllers/route/route_controller.go`.
//!
//! Requests find their way without these routes; a route cannot be broken.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use serde_json::json;

use crate::api::Resource;
use crate::client::{Client, Informers};
use crate::etcd::Why;

use super::provider::Cloud;

fn cidrs(node: &Node) -> &[String] {
    node.spec.as_ref().and_then(|spec| spec.pod_cidrs.as_deref()).unwrap_or_default()
}

fn is_told(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "NetworkUnavailable" && condition.status == "False")
}

/// `reconcile`. What fails comes again with the next look.
pub(super) fn tick(cloud: &mut Cloud, listers: &Informers, client: &mut Client<'_>) {
    let nodes: Vec<Arc<Node>> = listers.list::<Node>().filter(|node| !cidrs(node).is_empty()).cloned().collect();
    cloud.set_routes(nodes.iter().map(|node| (node.name(), cidrs(node))));
    for node in nodes.iter().filter(|node| !is_told(node)) {
        client.because(Why::new("The cloud routes {} to node {}.", [cidrs(node).join(","), node.name().to_owned()]));
        let now = client.now.to_meta();
        let condition = json!({
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "RouteCreated",
            "message": "RouteController created a route",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        });
        let _ = client.patch_status::<Node>(&node.key(), json!({ "status": { "conditions": [condition] } }));
    }
}
