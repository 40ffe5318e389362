//! The labels that a node has twice, under a stable name and an old one.
//!
//! Follows `reconcileNodeLabels`.

use k8s_openapi::api::core::v1::Node;
use serde_json::{Map, json};

use crate::api::Resource;
use crate::client::{Client, ClientError};
use crate::etcd::Why;

/// `labelReconcileInfo`: the label that counts, and the one that follows it.
const LABELS: [(&str, &str); 2] =
    [("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch")];

/// Gives the old labels the values of the stable ones.
pub(super) fn reconcile(node: &Node, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(labels) = &node.metadata.labels else { return Ok(()) };
    let mut changes = Map::new();
    for (stable, old) in LABELS {
        if let Some(value) = labels.get(stable).filter(|value| labels.get(old) != Some(*value)) {
            changes.insert(old.to_owned(), json!(value));
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    client.reserve(1)?;
    client.because(Why::new("The old labels of node {} follow its stable ones.", [node.name().to_owned()]));
    // Upstream does not come back to what failed either: the node's next change does.
    let _ = client.patch::<Node>(&node.key(), json!({ "metadata": { "labels": changes } }));
    Ok(())
}
