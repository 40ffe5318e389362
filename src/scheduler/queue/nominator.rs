//! Pods for which a node is being cleared: others of lower priority must not take the room.
//!
//! Follows `pkg/scheduler/backend/queue/nominator.go`.

use std::sync::Arc;

use crate::machinery::persistent::OrdMap;
use imbl::Vector;

use crate::api::Name;

use super::super::pod_info::PodInfo;

/// Which pods are nominated for which nodes.
#[derive(Clone, Debug, Default)]
pub struct Nominator {
    by_node: OrdMap<Name, Vector<Arc<PodInfo>>>,
    node_of: OrdMap<Name, Name>,
}

impl Nominator {
    /// Whether no pod is nominated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// The pods nominated for a node.
    pub fn on(&self, node: &str) -> impl Iterator<Item = &Arc<PodInfo>> {
        self.by_node.get(node).into_iter().flatten()
    }

    /// The node that a pod is nominated for.
    #[must_use]
    pub fn node_of(&self, uid: &str) -> Option<&Name> {
        self.node_of.get(uid)
    }

    /// Nominates a pod for a node, and for no other; for none when `node` is empty.
    pub fn nominate(&mut self, pod: Arc<PodInfo>, node: &str) {
        self.remove(&pod.uid);
        if node.is_empty() {
            return;
        }
        self.node_of.insert(pod.uid.clone(), node.into());
        self.by_node.entry(node.into()).or_default().push_back(pod);
    }

    /// Takes a pod's nomination away.
    pub fn remove(&mut self, uid: &str) {
        let Some(node) = self.node_of.remove(uid) else { return };
        let Some(pods) = self.by_node.get_mut(&node) else { return };
        pods.retain(|pod| &*pod.uid != uid);
        if pods.is_empty() {
            self.by_node.remove(&node);
        }
    }

    /// A pod that waits changed. An update without a nomination, right after one was decided here, does not undo it.
    pub fn update(&mut self, old: Option<&PodInfo>, new: Arc<PodInfo>) {
        let told = new.nominated_node_name();
        let was_told = old.is_some_and(|old| !old.nominated_node_name().is_empty());
        let node = if told.is_empty() && !was_told {
            self.node_of.get(&new.uid).map_or_else(String::new, ToString::to_string)
        } else {
            told.to_owned()
        };
        self.nominate(new, &node);
    }
}
