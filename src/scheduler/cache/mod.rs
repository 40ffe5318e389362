//! What the scheduler believes of nodes and their pods, with pods that it placed but that are not bound yet.
//!
//! Follows `pkg/scheduler/backend/cache/cache.go`. Upstream takes a snapshot for each cycle because other threads
//! change the cache meanwhile; here a cycle is one step, so the cache is its own snapshot.

mod images;
mod node_tree;
mod pod_index;

use std::sync::Arc;

use crate::machinery::persistent::{OrdMap, OrdSet};
use imbl::Vector;
use k8s_openapi::api::core::v1::{ContainerImage, Node};

use crate::api::{Name, ObjectKey, Resource as _};

use super::node_info::{LABEL_ZONE, NodeId, NodeInfo};
use super::pod_info::PodInfo;
use node_tree::{NodeTree, zone_key};

pub use images::{ImageState, ImageStates};
pub use pod_index::{PodGroup, PodIndex};

#[derive(Clone, Debug)]
struct CachedPod {
    info: Arc<PodInfo>,
    node: NodeId,
    /// Placed by this scheduler, not yet seen bound.
    assumed: bool,
}

/// Nodes and their pods. Cheap to clone: all is shared until it changes.
#[derive(Clone, Debug)]
pub struct Cache {
    /// All in one piece, since every cycle goes through hundreds of them.
    slots: Arc<Vec<Arc<NodeInfo>>>,
    free: Vector<NodeId>,
    by_name: OrdMap<Name, NodeId>,
    tree: NodeTree,
    order: Arc<[NodeId]>,
    names: Arc<[Name]>,
    /// Whether nodes came or went since the order was worked out.
    is_order_stale: bool,
    pods: OrdMap<Name, CachedPod>,
    /// How many pods use each claim.
    claims_in_use: OrdMap<ObjectKey, u32>,
    index: PodIndex,
    images: ImageStates,
    /// The number of each zone that a node ever had.
    zones: OrdMap<Name, u32>,
    with_affinity: OrdSet<NodeId>,
    with_required_anti_affinity: OrdSet<NodeId>,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            slots: Arc::default(),
            free: Vector::new(),
            by_name: OrdMap::new(),
            tree: NodeTree::default(),
            order: Arc::from([]),
            names: Arc::from([]),
            is_order_stale: false,
            claims_in_use: OrdMap::new(),
            pods: OrdMap::new(),
            index: PodIndex::default(),
            images: ImageStates::default(),
            zones: OrdMap::new(),
            with_affinity: OrdSet::new(),
            with_required_anti_affinity: OrdSet::new(),
        }
    }
}

impl Cache {
    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.tree.len()
    }

    /// The nodes in the order in which they are looked at, as of the last [`Self::refresh_order`].
    #[must_use]
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// Works out the order anew when nodes came or went. Not at each change, since nodes come by the thousand.
    pub fn refresh_order(&mut self) {
        if !std::mem::take(&mut self.is_order_stale) {
            return;
        }
        let names: Vec<Name> = self.tree.list();
        self.order = names.iter().filter_map(|name| self.by_name.get(name).copied()).collect();
        self.names = names.into();
        assert_eq!(self.order.len(), self.names.len(), "every node of the tree has its place");
    }

    /// Whether a pod on a node uses a claim.
    #[must_use]
    pub fn is_claim_used(&self, claim: &ObjectKey) -> bool {
        self.claims_in_use.contains_key(claim)
    }

    /// The names of the nodes in that order, to be kept with a cycle's results.
    #[must_use]
    pub fn names(&self) -> Arc<[Name]> {
        Arc::clone(&self.names)
    }

    /// A node.
    ///
    /// # Panics
    /// When the id is not of this cache.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Arc<NodeInfo> {
        &self.slots[id.index()]
    }

    /// The node of a name, if its object is known.
    #[must_use]
    pub fn node_by_name(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        let info = self.node(*self.by_name.get(name)?);
        info.node.is_some().then_some(info)
    }

    /// All nodes in the order in which they are looked at.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeInfo>> {
        self.order.iter().map(|id| self.node(*id))
    }

    /// One more than the largest index of a node, for tables by node.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// Nodes with pods that want others near or far.
    pub fn nodes_with_affinity(&self) -> impl Iterator<Item = &Arc<NodeInfo>> {
        self.with_affinity.iter().map(|id| self.node(*id)).filter(|info| info.node.is_some())
    }

    /// Nodes with pods that do not bear others.
    pub fn nodes_with_required_anti_affinity(&self) -> impl Iterator<Item = &Arc<NodeInfo>> {
        self.with_required_anti_affinity.iter().map(|id| self.node(*id)).filter(|info| info.node.is_some())
    }

    /// Pods by their labels.
    #[must_use]
    pub const fn index(&self) -> &PodIndex {
        &self.index
    }

    /// Images by name.
    #[must_use]
    pub const fn images(&self) -> &ImageStates {
        &self.images
    }

    /// One more than the largest number of a zone, for tables by zone.
    #[must_use]
    pub fn zone_count(&self) -> usize {
        self.zones.len()
    }

    /// A pod on a node, by its uid.
    #[must_use]
    pub fn pod(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        Some(&self.pods.get(uid)?.info)
    }

    /// Whether a pod was placed but is not seen bound yet.
    #[must_use]
    pub fn is_assumed(&self, uid: &str) -> bool {
        self.pods.get(uid).is_some_and(|pod| pod.assumed)
    }

    fn slot(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let name = Name::from(name);
        let id = match self.free.pop_front() {
            Some(id) => {
                Arc::make_mut(&mut self.slots)[id.index()] = Arc::new(NodeInfo::new(id, name.clone()));
                id
            }
            None => {
                let id = NodeId(u32::try_from(self.slots.len()).expect("fewer nodes than memory holds"));
                Arc::make_mut(&mut self.slots).push(Arc::new(NodeInfo::new(id, name.clone())));
                id
            }
        };
        self.by_name.insert(name, id);
        id
    }

    fn change(&mut self, id: NodeId, change: impl FnOnce(&mut NodeInfo)) {
        let info = Arc::make_mut(&mut Arc::make_mut(&mut self.slots)[id.index()]);
        change(info);
        let keep = |set: &mut OrdSet<NodeId>, is_member: bool| {
            if is_member != set.contains(&id) {
                if is_member {
                    set.insert(id);
                } else {
                    set.remove(&id);
                }
            }
        };
        keep(&mut self.with_affinity, !info.pods_with_affinity.is_empty());
        keep(&mut self.with_required_anti_affinity, !info.pods_with_required_anti_affinity.is_empty());
        let is_unused = info.node.is_none() && info.pods.is_empty();
        if is_unused {
            let name = info.name.clone();
            self.by_name.remove(&name);
            self.free.push_back(id);
        }
    }

    fn number_zone(&mut self, zone: &str) -> u32 {
        if let Some(number) = self.zones.get(zone) {
            return *number;
        }
        let number = u32::try_from(self.zones.len()).expect("fewer zones than memory holds");
        self.zones.insert(zone.into(), number);
        number
    }

    /// A node appeared or changed.
    pub fn set_node(&mut self, node: Arc<Node>) {
        let id = self.slot(node.name());
        let before = Arc::clone(self.node(id));
        fn images(node: &Node) -> Option<&Vec<ContainerImage>> {
            node.status.as_ref()?.images.as_ref()
        }
        // Heartbeats come often and images change seldom.
        if before.node.as_deref().is_none_or(|old| images(old) != images(&node)) {
            if let Some(old) = &before.node {
                self.images.remove(id, old);
            }
            self.images.add(id, &node);
        }
        let zone = node.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_ZONE));
        let zone_number = zone.filter(|zone| !zone.is_empty()).map(|zone| self.number_zone(zone));
        self.change(id, |info| {
            info.set_node(Some(node));
            info.zone_number = zone_number;
        });
        let after = self.node(id);
        let (old_zone, new_zone, name) = (zone_key(&before), zone_key(after), after.name.clone());
        if before.node.is_none() || old_zone != new_zone {
            if before.node.is_some() {
                self.tree.remove(&old_zone, &name);
            }
            self.tree.add(new_zone, name);
            self.is_order_stale = true;
        }
    }

    /// A node is gone. Its pods stay until they are gone too.
    pub fn remove_node(&mut self, name: &str) {
        let Some(&id) = self.by_name.get(name) else { return };
        let before = Arc::clone(self.node(id));
        let Some(old) = &before.node else { return };
        self.images.remove(id, old);
        self.tree.remove(&zone_key(&before), name);
        self.change(id, |info| info.set_node(None));
        self.is_order_stale = true;
    }

    fn place(&mut self, info: Arc<PodInfo>, node: &str, assumed: bool) {
        let id = self.slot(node);
        self.index.add(&info, id);
        for claim in info.claims.iter().filter(|claim| !claim.is_ephemeral) {
            *self.claims_in_use.entry(claim.key.clone()).or_insert(0) += 1;
        }
        self.change(id, |node| node.add_pod(Arc::clone(&info)));
        self.pods.insert(info.uid.clone(), CachedPod { info, node: id, assumed });
    }

    fn take(&mut self, uid: &str) -> Option<CachedPod> {
        let pod = self.pods.remove(uid)?;
        self.index.remove(&pod.info, pod.node);
        for claim in pod.info.claims.iter().filter(|claim| !claim.is_ephemeral) {
            let Some(users) = self.claims_in_use.get_mut(&claim.key) else { continue };
            *users -= 1;
            if *users == 0 {
                self.claims_in_use.remove(&claim.key);
            }
        }
        self.change(pod.node, |node| {
            node.remove_pod(uid);
        });
        Some(pod)
    }

    /// A bound pod appeared or changed; it need not be assumed any longer.
    pub fn set_pod(&mut self, info: Arc<PodInfo>) {
        self.take(&info.uid);
        let node = info.node_name().to_owned();
        self.place(info, &node, false);
    }

    /// A bound pod is gone.
    pub fn remove_pod(&mut self, uid: &str) {
        self.take(uid);
    }

    /// Counts a pod on the node that was chosen for it, before it is bound.
    pub fn assume_pod(&mut self, info: Arc<PodInfo>, node: &str) {
        assert!(!self.pods.contains_key(&info.uid), "a pod is assumed once");
        self.place(info, node, true);
    }

    /// Takes an assumption back: the pod could not be bound.
    pub fn forget_pod(&mut self, uid: &str) {
        if self.is_assumed(uid) {
            self.take(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;

    use super::*;

    fn node(name: &str, zone: &str) -> Arc<Node> {
        let node = json!({
            "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"images": [{"names": ["nginx:1"], "sizeBytes": 7}]},
        });
        Arc::new(serde_json::from_value(node).expect("a node"))
    }

    fn pod(name: &str, app: &str, node: &str) -> Arc<PodInfo> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": app}},
            "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]},
        }))
        .expect("a pod");
        Arc::new(PodInfo::new(Arc::new(pod)))
    }

    fn names(cache: &mut Cache) -> String {
        cache.refresh_order();
        cache.nodes().map(|node| node.name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn zones_take_turns() {
        let mut cache = Cache::default();
        for (name, zone) in [("a", "1"), ("b", "1"), ("c", "2"), ("d", "1"), ("e", "3")] {
            cache.set_node(node(name, zone));
        }
        assert_eq!(names(&mut cache), "a c e b d");
        cache.remove_node("a");
        assert_eq!(names(&mut cache), "b c e d");
        cache.set_node(node("d", "3"));
        assert_eq!(names(&mut cache), "b c e d");
        assert_eq!(cache.images().get("nginx:1").map(|image| image.nodes.len()), Some(4));
    }

    #[test]
    fn pods_outlive_their_node_and_come_before_it() {
        let mut cache = Cache::default();
        cache.set_pod(pod("p", "x", "a"));
        assert_eq!(cache.node_count(), 0);
        cache.set_node(node("a", "1"));
        assert_eq!(cache.node_by_name("a").map(|node| node.requested.milli_cpu), Some(1000));
        cache.remove_node("a");
        assert!(cache.node_by_name("a").is_none());
        cache.remove_pod("p");
        cache.set_node(node("b", "1"));
        let slots = cache.slot_count();
        assert_eq!(slots, 1, "the place of a forgotten node is used again");
    }

    #[test]
    fn an_assumed_pod_counts_until_it_is_forgotten() {
        let mut cache = Cache::default();
        cache.set_node(node("a", "1"));
        let copy = cache.clone();
        cache.assume_pod(pod("p", "x", ""), "a");
        let group_nodes = |cache: &Cache| {
            cache.index().in_namespace("default").flat_map(PodGroup::nodes).map(|(_, count)| count).sum::<i64>()
        };
        assert!(cache.is_assumed("p"));
        assert_eq!(group_nodes(&cache), 1);
        cache.set_pod(pod("p", "x", "a"));
        assert!(!cache.is_assumed("p"));
        cache.forget_pod("p");
        assert_eq!(group_nodes(&cache), 1, "a bound pod is not forgotten");
        cache.remove_pod("p");
        assert_eq!(group_nodes(&cache), 0);
        assert_eq!(group_nodes(&copy), 0);
        assert_eq!(cache.node_by_name("a").map(|node| node.requested.milli_cpu), Some(0));
    }
}
