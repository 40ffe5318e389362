//! Gives nodes what the cloud knows of their machines, and lets pods onto them then.
//!
//! Guarantees that a node which registered with the taint `node.cloudprovider.kubernetes.io/uninitialized` gets its
//! provider id, the labels of its region, zone and type, and its addresses, and loses the taint. Watches Nodes. Follows
//! `k8s.io/cloud-provider/controllers/node/node_controller.go`.

use k8s_openapi::api::core::v1::{Node, NodeAddress};
use serde_json::{Map, json};

use crate::api::{ObjectKey, Resource};
use crate::client::node_taints::taints;
use crate::client::{Client, ClientError, EventType, InformerEvent, Informers, QueueKey, Requeue, WorkQueue};
use crate::etcd::Why;
use crate::machinery::status::Status;

use super::provider::{Cloud, Instance};

/// `TaintExternalCloudProvider`.
pub(super) const TAINT_EXTERNAL_CLOUD_PROVIDER: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// `labelReconcileInfo`: the label that counts, and the one that follows it.
const LABELS: [(&str, &str); 3] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

pub(super) fn is_uninitialized(node: &Node) -> bool {
    taints(node).iter().any(|taint| taint.key == TAINT_EXTERNAL_CLOUD_PROVIDER)
}

/// Nodes that are initialized, and whose labels stay, are not looked at: there would be nothing to do.
pub(super) fn on_event(event: &InformerEvent, queue: &mut WorkQueue) {
    let Some(node) = event.after::<Node>() else { return };
    let labels = |node: &Node| node.metadata.labels.clone();
    if is_uninitialized(node) || event.before::<Node>().map(labels) != Some(labels(node)) {
        queue.add(event.key.clone());
    }
}

/// `syncNode`.
pub(super) fn sync(
    key: &QueueKey,
    cloud: &Cloud,
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<Requeue, ClientError> {
    let Some(node) = listers.get::<Node>(key) else { return Ok(Requeue::Forget) };
    client.reserve(2)?;
    if !is_uninitialized(node) {
        reconcile_labels(node, client)?;
        return Ok(Requeue::Forget);
    }
    let Some(instance) = cloud.instance(node) else {
        // Upstream only logs this, and tries again later.
        let why = format!("failed to get instance metadata for node {}: instance not found", node.name());
        return Err(Status::internal(&why).into());
    };
    let mut changed = (**node).clone();
    initialize(&mut changed, instance, cloud);
    client.because(Why::new(
        "The cloud knows the machine of node {}: it is in zone {}, and pods may come.",
        [node.name().to_owned(), instance.zone.clone()],
    ));
    let updated = client.update(changed)?;
    update_addresses(&updated, instance, client)?;
    client.event(&**node, EventType::Normal, "Synced", "Node synced successfully");
    Ok(Requeue::Forget)
}

/// What the cloud says of a machine, written into its node: `getNodeModifiersFromCloudProvider`.
pub fn initialize(node: &mut Node, instance: &Instance, cloud: &Cloud) {
    let labels = node.metadata.labels.get_or_insert_default();
    let values = [&instance.zone, &cloud.config().region, &instance.instance_type];
    for ((old, stable), value) in LABELS.into_iter().zip(values) {
        labels.insert(old.to_owned(), value.clone());
        labels.insert(stable.to_owned(), value.clone());
    }
    let spec = node.spec.get_or_insert_default();
    if spec.provider_id.as_deref().is_none_or(str::is_empty) {
        spec.provider_id = Some(instance.provider_id());
    }
    let mut rest = spec.taints.take().unwrap_or_default();
    rest.retain(|taint| taint.key != TAINT_EXTERNAL_CLOUD_PROVIDER);
    spec.taints = Some(rest).filter(|rest| !rest.is_empty());
}

/// `updateNodeAddress`.
fn update_addresses(node: &Node, instance: &Instance, client: &mut Client<'_>) -> Result<(), ClientError> {
    let addresses = instance.addresses(node.name());
    let known = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or(&[]);
    let same = |address: &NodeAddress| known.contains(address);
    if known.len() == addresses.len() && addresses.iter().all(same) {
        return Ok(());
    }
    let mut list = vec![json!({ "$patch": "replace" })];
    list.extend(addresses.iter().map(|address| json!(address)));
    client.patch_status::<Node>(&node.key(), json!({ "status": { "addresses": list } })).map(|_| ())
}

/// `reconcileNodeLabels`.
fn reconcile_labels(node: &Node, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(labels) = &node.metadata.labels else { return Ok(()) };
    let mut changes = Map::new();
    for (old, stable) in LABELS {
        if let Some(value) = labels.get(old).filter(|value| labels.get(stable) != Some(*value)) {
            changes.insert(stable.to_owned(), json!(value));
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    client.because(Why::new("The stable labels of node {} follow its old ones.", [node.name().to_owned()]));
    let key = ObjectKey::new("", node.name());
    client.patch::<Node>(&key, json!({ "metadata": { "labels": changes } })).map(|_| ())
}

/// Sees whether a machine has other addresses than its node: `UpdateNodeStatus`.
pub(super) fn tick(cloud: &Cloud, listers: &Informers, client: &mut Client<'_>) {
    for node in listers.list::<Node>().filter(|node| !is_uninitialized(node)) {
        if let Some(instance) = cloud.instance(node) {
            client.because(Why::new("The cloud knows other addresses of node {}.", [node.name().to_owned()]));
            // What fails comes again with the next look.
            let _ = update_addresses(node, instance, client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_keeps_the_provider_id_and_the_taints_that_are_its_own() {
        let mut node: Node = serde_json::from_value(json!({
            "metadata": { "name": "a" },
            "spec": { "providerID": "mine://1", "taints": [
                { "key": "mine", "effect": "NoSchedule" },
                { "key": TAINT_EXTERNAL_CLOUD_PROVIDER, "value": "true", "effect": "NoSchedule" },
            ] },
        }))
        .expect("the node is written out above");
        let instance = Instance {
            number: 1,
            zone: "tab-1a".to_owned(),
            instance_type: "standard-4".to_owned(),
            internal_ip: "10.0.0.11".to_owned(),
            is_shut_down: false,
        };
        initialize(&mut node, &instance, &Cloud::default());
        let spec = node.spec.unwrap_or_default();
        assert_eq!(spec.provider_id.as_deref(), Some("mine://1"));
        assert_eq!(spec.taints.map(|taints| taints.len()), Some(1));
        let labels = node.metadata.labels.unwrap_or_default();
        assert_eq!(labels["topology.kubernetes.io/zone"], labels["failure-domain.beta.kubernetes.io/zone"]);
        assert_eq!(labels["node.kubernetes.io/instance-type"], "standard-4");
    }
}
