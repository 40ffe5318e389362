//! How controllers put taints on nodes and take them off.
//!
//! Follows `AddOrUpdateTaintOnNode` and `RemoveTaintOffNode` of `kubernetes/pkg/controller/controller_utils.go` and of
//! `k8s.io/cloud-provider/node/helpers`, and `SwapNodeControllerTaint` of `kubernetes/pkg/controller/util/node`. Each
//! reads the node anew and patches its taints under the version that it read.

use k8s_openapi::api::core::v1::{Node, Taint};
use serde_json::json;

use crate::api::{ObjectKey, Resource};

use super::handle::{Client, ClientError};

/// A node's taints.
#[must_use]
pub fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or(&[])
}

/// Whether two taints are the same one, whatever their values: `MatchTaint`.
#[must_use]
pub fn matches(a: &Taint, b: &Taint) -> bool {
    a.key == b.key && a.effect == b.effect
}

/// Whether a node has a taint: `TaintExists`.
#[must_use]
pub fn has_taint(node: &Node, taint: &Taint) -> bool {
    taints(node).iter().any(|known| matches(known, taint))
}

/// The taint with a key and an effect.
#[must_use]
pub fn taint(key: &str, effect: &str) -> Taint {
    Taint { key: key.to_owned(), effect: effect.to_owned(), ..Taint::default() }
}

/// `AddOrUpdateTaint`: a taint of the same key and effect is replaced where it stands. `None` when nothing changes.
fn with_taint(taints: &[Taint], taint: &Taint) -> Option<Vec<Taint>> {
    if taints.contains(taint) {
        return None;
    }
    let mut after = taints.to_vec();
    match after.iter_mut().find(|known| matches(known, taint)) {
        Some(known) => known.clone_from(taint),
        None => after.push(taint.clone()),
    }
    Some(after)
}

fn patch(node: &Node, after: &[Taint], client: &mut Client<'_>) -> Result<(), ClientError> {
    let after = if after.is_empty() { json!(null) } else { json!(after) };
    let patch = json!({
        "metadata": { "resourceVersion": node.metadata.resource_version },
        "spec": { "taints": after },
    });
    client.patch::<Node>(&node.key(), patch).map(|_| ())
}

/// Puts taints on a node, or updates those that it has.
///
/// # Errors
/// The API server's refusal, or the client's rate limit.
pub fn add_or_update_taints(name: &str, new: &[Taint], client: &mut Client<'_>) -> Result<(), ClientError> {
    if new.is_empty() {
        return Ok(());
    }
    let node = client.get::<Node>(&ObjectKey::new("", name))?;
    let mut after = taints(&node).to_vec();
    for taint in new {
        after = with_taint(&after, taint).unwrap_or(after);
    }
    if after == taints(&node) { Ok(()) } else { patch(&node, &after, client) }
}

/// Takes taints off a node. Nothing is asked when `known`, which may be old, has none of them.
///
/// # Errors
/// The API server's refusal, or the client's rate limit.
pub fn remove_taints(known: &Node, old: &[Taint], client: &mut Client<'_>) -> Result<(), ClientError> {
    if !old.iter().any(|taint| has_taint(known, taint)) {
        return Ok(());
    }
    let node = client.get::<Node>(&known.key())?;
    let is_old = |known: &Taint| old.iter().any(|taint| matches(known, taint));
    let after: Vec<Taint> = taints(&node).iter().filter(|taint| !is_old(taint)).cloned().collect();
    if after.len() == taints(&node).len() { Ok(()) } else { patch(&node, &after, client) }
}

/// Puts taints on a node, from now on, and takes others off: `SwapNodeControllerTaint`.
///
/// # Errors
/// The API server's refusal, or the client's rate limit.
pub fn swap_taints(
    known: &Node,
    mut new: Vec<Taint>,
    old: &[Taint],
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    for taint in &mut new {
        taint.time_added = Some(client.now.to_meta());
    }
    add_or_update_taints(known.name(), &new, client)?;
    remove_taints(known, old, client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taint_of_the_same_key_and_effect_is_replaced_where_it_stands() {
        let valued = Taint { value: Some("v".to_owned()), ..taint("a", "NoSchedule") };
        let known = [valued.clone(), taint("b", "NoSchedule")];
        assert_eq!(with_taint(&known, &valued), None, "it is there already");
        let replaced = with_taint(&known, &taint("a", "NoSchedule"));
        assert_eq!(replaced, Some(vec![taint("a", "NoSchedule"), taint("b", "NoSchedule")]));
        let appended = with_taint(&known, &taint("a", "NoExecute")).unwrap_or_default();
        assert_eq!(appended.last(), Some(&taint("a", "NoExecute")));
    }
}
