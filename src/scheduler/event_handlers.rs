//! What changes in the cluster do to cache and queue.
//!
//! Follows `pkg/scheduler/eventhandlers.go`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::api::Resource as _;
use crate::machinery::time::Time;

use super::Scheduler;
use super::framework::events::{ActionType, Change, ClusterEvent, EventResource, node_changes, pod_changes};
use super::framework::plugin::Plugin;
use super::node_info::NodeInfo;
use super::pod_info::PodInfo;
use super::queue::QueuedPodInfo;

fn is_assigned(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty())
}

/// Pods that have ended hold nothing any more; the scheduler's watch leaves them out.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether pods elsewhere can matter to the pod: upstream's `getUnschedulablePodsWithCrossTopologyTerm`.
fn has_cross_topology_term(waiting: &QueuedPodInfo) -> bool {
    waiting.pod.affinity.is_some() || waiting.unschedulable_plugins.contains(Plugin::PodTopologySpread)
}

impl Scheduler {
    /// A node appeared (no `before`), changed, or is gone (no `after`).
    pub fn node_changed(&mut self, before: Option<&Arc<Node>>, after: Option<&Arc<Node>>, now: Time) {
        let old = before.map(|node| Arc::new(NodeInfo::of(Arc::clone(node))));
        let new = after.map(|node| Arc::new(NodeInfo::of(Arc::clone(node))));
        let events = match (&old, &new) {
            (None, None) => return,
            (None, Some(_)) => vec![ClusterEvent::NODE_ADD],
            (Some(_), None) => vec![ClusterEvent::NODE_DELETE],
            (Some(old), Some(new)) => node_changes(old, new),
        };
        match (before, after) {
            (_, Some(node)) => self.cache.set_node(Arc::clone(node)),
            (Some(node), None) => self.cache.remove_node(node.name()),
            (None, None) => {}
        }
        let change = Change::Node(old, new);
        for event in events {
            self.queue.move_all(event, &change, now, &self.listers, |_| true);
        }
    }

    /// A pod appeared (no `before`), changed, or is gone (no `after`).
    pub fn pod_changed(&mut self, before: Option<&Arc<Pod>>, after: Option<&Arc<Pod>>, now: Time) {
        let before = before.filter(|pod| !has_ended(pod));
        let after = after.filter(|pod| !has_ended(pod));
        if let (Some(old), Some(new)) = (before, after)
            && old.uid() != new.uid()
        {
            self.pod_changed(Some(old), None, now);
            return self.pod_changed(None, Some(new), now);
        }
        match (before, after) {
            (Some(old), Some(new)) if is_assigned(old) && is_assigned(new) => self.assigned_pod_updated(new, now),
            (_, Some(new)) if is_assigned(new) => self.assigned_pod_added(new, now),
            (_, Some(new)) => self.waiting_pod_changed(new, now),
            (Some(old), None) if is_assigned(old) => self.assigned_pod_deleted(old, now),
            (Some(old), None) => self.waiting_pod_deleted(old, now),
            (None, None) => {}
        }
    }

    fn assigned_pod_added(&mut self, pod: &Arc<Pod>, now: Time) {
        self.queue.delete(pod.uid());
        self.unserved.remove(pod.uid());
        let info = Arc::new(PodInfo::new(Arc::clone(pod)));
        self.cache.set_pod(Arc::clone(&info));
        let change = Change::Pod(None, Some(info));
        self.queue.move_all(ClusterEvent::ASSIGNED_POD_ADD, &change, now, &self.listers, has_cross_topology_term);
    }

    fn assigned_pod_updated(&mut self, pod: &Arc<Pod>, now: Time) {
        let Some(old) = self.cache.pod(pod.uid()).cloned() else { return self.assigned_pod_added(pod, now) };
        let new = Arc::new(PodInfo::new(Arc::clone(pod)));
        self.cache.set_pod(Arc::clone(&new));
        let events = pod_changes(EventResource::AssignedPod, &old, &new);
        let change = Change::Pod(Some(old), Some(new));
        for event in events.into_iter().filter(|event| event.action != ActionType::UPDATE_POD_OTHER) {
            let frees = event.action == ActionType::UPDATE_POD_SCALE_DOWN;
            let concerns = |waiting: &QueuedPodInfo| frees || has_cross_topology_term(waiting);
            self.queue.move_all(event, &change, now, &self.listers, concerns);
        }
    }

    fn assigned_pod_deleted(&mut self, pod: &Arc<Pod>, now: Time) {
        let old = Arc::new(PodInfo::new(Arc::clone(pod)));
        self.cache.remove_pod(&old.uid);
        self.explanations.forget_pod(&old.uid);
        let change = Change::Pod(Some(old), None);
        self.queue.move_all(ClusterEvent::ASSIGNED_POD_DELETE, &change, now, &self.listers, |_| true);
    }

    fn waiting_pod_changed(&mut self, pod: &Arc<Pod>, now: Time) {
        let info = Arc::new(PodInfo::new(Arc::clone(pod)));
        if self.cache.is_assumed(&info.uid) {
            return;
        }
        let known = self.queue.get(&info.uid).map(|queued| Arc::clone(&queued.pod));
        match known {
            Some(known) => self.queue.update(&known, info, now, &self.listers),
            None => self.waiting_pod_added(info, now),
        }
    }

    /// A pod without a node is taken into the queue, if a profile serves it.
    pub(super) fn waiting_pod_added(&mut self, pod: Arc<PodInfo>, now: Time) {
        match self.profile_of(&pod) {
            Some(profile) => self.queue.add(pod, profile, now),
            None => drop(self.unserved.insert(pod.uid.clone(), pod)),
        }
    }

    fn waiting_pod_deleted(&mut self, pod: &Arc<Pod>, now: Time) {
        let info = Arc::new(PodInfo::new(Arc::clone(pod)));
        let was_nominated = self.queue.nominator().node_of(&info.uid).is_some();
        self.queue.delete(&info.uid);
        self.unserved.remove(&info.uid);
        self.explanations.forget_pod(&info.uid);
        if was_nominated {
            // The room that was being cleared for it is free for others now.
            let priority = info.priority;
            let change = Change::Pod(Some(info), None);
            let concerns = |waiting: &QueuedPodInfo| waiting.pod.priority <= priority;
            self.queue.move_all(ClusterEvent::ASSIGNED_POD_DELETE, &change, now, &self.listers, concerns);
        }
    }
}
