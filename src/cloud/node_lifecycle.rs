//! Removes the Node objects of instances that are gone, and taints those of instances that are switched off.
//!
//! Looks every five seconds, and only at nodes that are not ready. Watches Nodes. Follows
//! `k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ObjectReference, Taint};

use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::node_taints::{add_or_update_taints, remove_taints, taint};
use crate::client::{Client, EventType, Informers};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_SCHEDULE;

use super::node::is_uninitialized;
use super::provider::Cloud;

/// `uninitializedNodeDelay`: how long a node may wait to be initialized before it is judged.
const UNINITIALIZED_NODE_DELAY: Duration = Duration::from_secs(60);

/// `ShutdownTaint`.
fn shutdown() -> Taint {
    taint("node.cloudprovider.kubernetes.io/shutdown", NO_SCHEDULE)
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn age(node: &Node, now: Time) -> Duration {
    node.metadata.creation_timestamp.as_ref().map_or(Duration::ZERO, |created| now.since(Time::from(created)))
}

/// `MonitorNodes`. What fails comes again with the next look.
pub(super) fn tick(cloud: &Cloud, listers: &Informers, client: &mut Client<'_>) {
    let nodes: Vec<Arc<Node>> = listers.list::<Node>().cloned().collect();
    for node in &nodes {
        let name = || [node.name().to_owned()];
        if is_ready(node) {
            client.because(Why::new("The machine of node {} runs again.", name()));
            let _ = remove_taints(node, &[shutdown()], client);
            continue;
        }
        let has_id = node.spec.as_ref().and_then(|spec| spec.provider_id.as_ref()).is_some_and(|id| !id.is_empty());
        if !has_id && is_uninitialized(node) && age(node, client.now) < UNINITIALIZED_NODE_DELAY {
            continue;
        }
        match cloud.instance(node) {
            None => remove(node, client),
            Some(instance) if instance.is_shut_down => {
                client.because(Why::new("The machine of node {} is switched off.", name()));
                let _ = add_or_update_taints(node.name(), &[shutdown()], client);
            }
            Some(_) => {}
        }
    }
}

fn remove(node: &Node, client: &mut Client<'_>) {
    let name = node.name();
    let about = ObjectReference {
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(node.uid().to_owned()),
        ..ObjectReference::default()
    };
    let message = format!("Deleting node {name} because it does not exist in the cloud provider");
    client.event_about(&about, EventType::Normal, "DeletingNode", &message);
    client.because(Why::new("The machine of node {} is gone.", [name.to_owned()]));
    if let Err(error) = client.delete(Kind::Node, &node.key(), DeleteOptions::default()) {
        let message = format!("Failed deleting node {name}: {error}");
        client.event_about(&about, EventType::Warning, "DeletingNodeFailed", &message);
    }
}
