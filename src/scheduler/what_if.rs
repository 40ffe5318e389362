//! Nodes and their pods as they would be: filters are asked about nodes that do not exist yet, and about pods that are
//! elsewhere.
//!
//! This is what `k8s.io/autoscaler/cluster-autoscaler/simulator/clustersnapshot` makes of the scheduler's framework. A
//! copy is a fork: it shares everything with the original until one of them changes.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};

use crate::api::{Kind, Name, Object, Resource as _};
use crate::client::InformerEvent;

use super::cache::Cache;
use super::configuration::Profile;
use super::dra_manager::DraManager;
use super::framework::cycle_state::CycleState;
use super::framework::{Handle, ruled_out, run_filter, run_pre_filter};
use super::listers::Listers;
use super::node_info::NodeInfo;
use super::pod_info::PodInfo;
use super::process::{both, keep, keep_named};

pub use super::framework::status::Rejection;

/// The cluster as filters see it. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    cache: Cache,
    listers: Listers,
    /// The plugins that are asked: the default ones, as upstream's autoscaler asks those.
    profile: Arc<Profile>,
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// The pod as one that is not placed yet.
#[must_use]
pub fn unplaced(pod: &Pod) -> Arc<PodInfo> {
    let mut pod = pod.clone();
    if let Some(spec) = &mut pod.spec {
        spec.node_name = None;
    }
    Arc::new(PodInfo::new(Arc::new(pod)))
}

impl Snapshot {
    /// The kinds of which it has to be told.
    pub const KINDS: [Kind; 12] = [
        Kind::DeviceClass,
        Kind::ResourceSlice,
        Kind::ResourceClaim,
        Kind::Namespace,
        Kind::StorageClass,
        Kind::CSIDriver,
        Kind::CSINode,
        Kind::CSIStorageCapacity,
        Kind::PersistentVolume,
        Kind::PersistentVolumeClaim,
        Kind::Node,
        Kind::Pod,
    ];

    /// Takes in what a watch told.
    pub fn apply(&mut self, event: &InformerEvent) {
        let (key, name) = (event.key.clone(), event.key.name.clone());
        let listers = &mut self.listers;
        match event.kind {
            Kind::Node => match both::<Node>(event).1 {
                Some(node) => self.set_node(Arc::clone(node)),
                None => self.forget_node(&name),
            },
            Kind::Pod => self.pod_changed(event),
            kind if DraManager::has(kind) => drop(listers.dra.apply(event)),
            Kind::Namespace => match event.after::<Namespace>() {
                Some(namespace) => {
                    let labels = namespace.metadata.labels.clone().unwrap_or_default();
                    listers.namespaces.insert(name, Arc::new(labels));
                }
                None => drop(listers.namespaces.remove(&name)),
            },
            Kind::PersistentVolumeClaim => listers.set_claim(key, both(event).1),
            Kind::PersistentVolume => listers.set_volume(name, both(event).1),
            Kind::StorageClass => keep_named(&mut listers.storage_classes, name, both(event).1),
            Kind::CSINode => keep_named(&mut listers.csi_nodes, name, both(event).1),
            Kind::CSIDriver | Kind::CSIStorageCapacity => {
                let after = match &event.after {
                    Some(Object::Unstructured(object)) => Some(object),
                    _ => None,
                };
                if event.kind == Kind::CSIDriver {
                    keep_named(&mut listers.csi_drivers, name, after);
                } else {
                    keep(&mut listers.csi_storage_capacities, key, after);
                }
            }
            _ => {}
        }
    }

    fn pod_changed(&mut self, event: &InformerEvent) {
        let (before, after) = both::<Pod>(event);
        if let Some(before) = before
            && after.is_none_or(|after| after.uid() != before.uid() || has_ended(after))
        {
            self.cache.remove_pod(before.uid());
        }
        if let Some(after) = after.filter(|pod| !has_ended(pod)) {
            let info = PodInfo::new(Arc::clone(after));
            if !info.node_name().is_empty() {
                self.cache.set_pod(Arc::new(info));
            }
        }
    }

    /// The nodes in the order in which the scheduler looks at them.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeInfo>> {
        self.cache.nodes()
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.cache.node_by_name(name)
    }

    /// A node comes, or is another from now on.
    pub fn set_node(&mut self, node: Arc<Node>) {
        self.cache.set_node(node);
        self.cache.refresh_order();
    }

    fn forget_node(&mut self, name: &str) {
        self.cache.remove_node(name);
        self.cache.refresh_order();
    }

    /// A node goes; pods on it are not counted any more.
    pub fn remove_node(&mut self, name: &str) {
        let pods: Vec<Name> =
            self.node(name).into_iter().flat_map(|node| node.pods.iter().map(|pod| pod.uid.clone())).collect();
        for uid in pods {
            self.cache.remove_pod(&uid);
        }
        self.forget_node(name);
    }

    /// Puts a pod on a node, whether it fits or not. It leaves the one that it was on.
    pub fn place(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.cache.remove_pod(&pod.uid);
        self.cache.assume_pod(Arc::clone(pod), node);
    }

    /// Takes a pod from its node.
    pub fn take(&mut self, uid: &str) {
        self.cache.remove_pod(uid);
    }

    const fn handle(&self) -> Handle<'_> {
        Handle { cache: &self.cache, listers: &self.listers }
    }

    /// Asks all filters whether a pod fits on a node.
    ///
    /// # Errors
    /// The first plugin's no.
    pub fn check(&self, pod: &Arc<PodInfo>, node: &NodeInfo) -> Result<(), Rejection> {
        let mut state = CycleState::new(Arc::clone(pod), Arc::clone(&self.profile));
        let result = run_pre_filter(&mut state, self.handle())?;
        if result.nodes.as_ref().is_some_and(|nodes| !nodes.contains(&node.name)) {
            return Err(ruled_out(result.plugins, ""));
        }
        run_filter(&state, self.handle(), node)
    }

    /// The first node, of those that are to be asked, on which a pod fits.
    #[must_use]
    pub fn first_fit(&self, pod: &Arc<PodInfo>, is_asked: impl Fn(&NodeInfo) -> bool) -> Option<Name> {
        let mut state = CycleState::new(Arc::clone(pod), Arc::clone(&self.profile));
        let result = run_pre_filter(&mut state, self.handle()).ok()?;
        let is_left = |node: &NodeInfo| result.nodes.as_ref().is_none_or(|nodes| nodes.contains(&node.name));
        let mut nodes = self.nodes().filter(|node| is_asked(node) && is_left(node));
        nodes.find(|node| run_filter(&state, self.handle(), node).is_ok()).map(|node| node.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(name: &str, cpu: &str) -> Arc<Node> {
        let amounts = json!({ "cpu": cpu, "memory": "8Gi", "pods": "10" });
        let node = json!({
            "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
            "status": { "allocatable": amounts, "capacity": amounts },
        });
        Arc::new(serde_json::from_value(node).expect("the node is written out above"))
    }

    fn pod(name: &str, cpu: &str) -> Arc<PodInfo> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "namespace": "default", "uid": name },
            "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }] },
        }))
        .expect("the pod is written out above");
        unplaced(&pod)
    }

    #[test]
    fn a_fork_is_asked_without_changing_the_original() {
        let mut original = Snapshot::default();
        original.set_node(node("a", "1"));
        let mut fork = original.clone();
        fork.place(&pod("p", "600m"), "a");
        let fits = |snapshot: &Snapshot| snapshot.first_fit(&pod("q", "600m"), |_| true);
        assert_eq!(fits(&fork), None);
        assert_eq!(fits(&original), Some("a".into()));
        fork.set_node(node("b", "2"));
        assert_eq!(fits(&fork), Some("b".into()));
        let full = fork.node("a").map(|node| fork.check(&pod("q", "600m"), node));
        assert_eq!(full.and_then(Result::err).map(|no| no.message()), Some("Insufficient cpu".to_owned()));
        fork.take("p");
        assert_eq!(fits(&fork), Some("a".into()));
    }

    #[test]
    fn pods_go_with_their_node() {
        let mut snapshot = Snapshot::default();
        snapshot.set_node(node("a", "1"));
        snapshot.place(&pod("p", "600m"), "a");
        snapshot.remove_node("a");
        snapshot.set_node(node("a", "1"));
        assert_eq!(snapshot.first_fit(&pod("q", "600m"), |_| true), Some("a".into()));
    }
}
