//! One pod a node: which are missing, and which are too many.
//!
//! Follows `daemon_controller.go` (`manage`, `podsShouldBeOnNode`, `syncNodes`).

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::api::Resource;
use crate::client::{ClientError, EventType};
use crate::controllers::claim::Owner;
use crate::controllers::history::REVISION_LABEL;
use crate::controllers::pod_control::{create_pods, delete_pods, is_available, is_ready, node_name, phase};
use crate::etcd::Why;

use super::pods::{pod_for_node, template};
use super::rolling::allows_surge;
use super::{BURST_REPLICAS, Control, PodsByNode, min_ready};

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The names of the nodes that lack a pod.
    pub create_on: Vec<String>,
    /// The pods that have to go.
    pub delete: Vec<Arc<Pod>>,
}

impl Control<'_, '_> {
    /// Gives each node the pod that it should have, and takes away what is too much: `manage`.
    pub(super) fn manage(&mut self, by_node: &PodsByNode, hash: &str) -> Result<(), ClientError> {
        let mut changes = Changes::default();
        for node in self.nodes.clone() {
            self.plan_node(&node, by_node.get(node.name()).map(Vec::as_slice), hash, &mut changes);
        }
        // A pod that waits for a node that is gone is never placed, so nobody else takes it away.
        let exists = |name: &str| self.nodes.iter().any(|node| node.name() == name);
        let lost = by_node.iter().filter(|(node, _)| !exists(node)).flat_map(|(_, pods)| pods);
        changes.delete.extend(lost.filter(|pod| node_name(pod).is_empty()).cloned());
        self.apply(changes, hash)
    }

    /// What a node lacks or has too much of: `podsShouldBeOnNode`. `pods` is `None` when none is known there.
    fn plan_node(&mut self, node: &Node, pods: Option<&[Arc<Pod>]>, hash: &str, changes: &mut Changes) {
        let verdict = self.eligibility.of_node(node);
        let Some(pods) = pods else {
            if verdict.should_run {
                changes.create_on.push(node.name().to_owned());
            }
            return;
        };
        let here = pods.iter().filter(|pod| !pod.is_deleting());
        if !verdict.may_stay {
            changes.delete.extend(here.cloned());
            return;
        }
        let mut running: Vec<&Arc<Pod>> = Vec::new();
        for pod in here {
            match phase(pod) {
                "Failed" => {
                    if self.gives_up(pod, node.name()) {
                        changes.delete.push(pod.clone());
                    }
                }
                "Succeeded" => {
                    self.tell_of_ended(pod, node.name(), EventType::Normal);
                    changes.delete.push(pod.clone());
                }
                _ => running.push(pod),
            }
        }
        if !allows_surge(&self.set) {
            // The oldest stays. A node without any gets one in the next sync, when the old one is gone.
            changes.delete.extend(running.into_iter().skip(1).cloned());
        } else if running.is_empty() && verdict.should_run {
            changes.create_on.push(node.name().to_owned());
        } else if running.len() > 1 {
            self.plan_surging_node(&running, hash, changes);
        }
    }

    /// Two pods may be there only while the old one is ready and the new one is not available yet.
    fn plan_surging_node(&self, running: &[&Arc<Pod>], hash: &str, changes: &mut Changes) {
        let (mut new, mut old): (Option<&Arc<Pod>>, Option<&Arc<Pod>>) = (None, None);
        for pod in running {
            let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL));
            let place = if label.is_some_and(|label| label == hash) { &mut new } else { &mut old };
            match place {
                None => *place = Some(pod),
                Some(_) => changes.delete.push((*pod).clone()),
            }
        }
        if let (Some(new), Some(old)) = (new, old)
            && (!is_ready(old) || is_available(new, min_ready(&self.set), self.client.now))
        {
            changes.delete.push(old.clone());
        }
    }

    /// Whether a failed pod is deleted now; otherwise the set comes back when its back-off is over.
    fn gives_up(&mut self, pod: &Pod, node: &str) -> bool {
        let observed = self.set.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
        let id = format!("{}/{observed}/{node}", self.set.uid());
        if let Some(wait) = self.failed_pods.wait(&id, self.client.now) {
            self.client.enqueue_after(self.key.clone(), wait);
            return false;
        }
        self.failed_pods.next(id, self.client.now);
        self.tell_of_ended(pod, node, EventType::Warning);
        true
    }

    fn tell_of_ended(&mut self, pod: &Pod, node: &str, event_type: EventType) {
        let (namespace, name) = (pod.namespace(), pod.name());
        let (reason, message) = match event_type {
            EventType::Warning => (
                "FailedDaemonPod",
                format!("Found failed daemon pod {namespace}/{name} on node {node}, will try to kill it"),
            ),
            EventType::Normal => (
                "SucceededDaemonPod",
                format!("Found succeeded daemon pod {namespace}/{name} on node {node}, will try to delete it"),
            ),
        };
        self.client.event(&*self.set, event_type, reason, &message);
    }

    /// Creates and deletes pods: `syncNodes`.
    pub(super) fn apply(&mut self, mut changes: Changes, hash: &str) -> Result<(), ClientError> {
        changes.create_on.truncate(BURST_REPLICAS);
        changes.delete.truncate(BURST_REPLICAS);
        let uids = changes.delete.iter().map(|pod| pod.uid().to_owned());
        self.expectations.expect(self.key, changes.create_on.len(), uids, self.client.now);
        let set = self.set.clone();
        let (owner, name) = (Owner::of(&*set), set.name().to_owned());
        let mut result = Ok(());
        if !changes.create_on.is_empty() {
            let template = template(&set, hash);
            let mut make = |index: usize| pod_for_node(&set, &template, &changes.create_on[index]);
            let count = changes.create_on.len();
            self.client.because(Why::new("{} nodes lack a pod of DaemonSet {}.", [count.to_string(), name.clone()]));
            result = create_pods(owner, count, &mut make, (self.expectations, self.key), self.client);
        }
        if !changes.delete.is_empty() {
            let count = changes.delete.len().to_string();
            self.client.because(Why::new("{} pods of DaemonSet {} have to go from their nodes.", [count, name]));
            let deleted = delete_pods(owner, &changes.delete, (self.expectations, self.key), self.client);
            result = result.and(deleted);
        }
        result
    }
}
