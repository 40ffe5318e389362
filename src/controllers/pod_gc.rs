//! Removes pods that nobody else will: those of nodes that are gone, those that were deleted before they had a node,
//! those that cannot end on a node that is out of service, and the oldest of very many that have ended.
//!
//! Looks every 20 seconds. A node must be missing for 40 seconds, and the API server must say so, before its pods are
//! removed. Watches Nodes and Pods. Follows `kubernetes/pkg/controller/podgc`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::pod_control::{node_name, phase};
use super::pod_status::{disruption_target, patch_status, update_condition};

/// How often it looks: `gcCheckPeriod`.
const CHECK_PERIOD: Duration = Duration::from_secs(20);
/// How long a node must be missing: `quarantineTime`.
const QUARANTINE: Duration = Duration::from_secs(40);
/// How many pods that have ended are kept: `--terminated-pod-gc-threshold`.
const TERMINATED_PODS_MAX: usize = 12_500;
/// The taint by which an administrator says that a node will not come back by itself.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// Why a pod is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Terminated,
    OutOfService,
    Orphaned,
    Unscheduled,
}

impl Reason {
    fn why(self, pod: &Pod) -> Why {
        let (name, node) = (pod.name().to_owned(), node_name(pod).to_owned());
        match self {
            Self::Terminated => Why::new("Pod {} has ended, and there are too many like it.", [name]),
            Self::OutOfService => Why::new("Pod {} cannot end: node {} is out of service.", [name, node]),
            Self::Orphaned => Why::new("Pod {} runs on node {}, which does not exist any more.", [name, node]),
            Self::Unscheduled => Why::new("Pod {} was deleted before it had a node.", [name]),
        }
    }
}

/// The pod garbage collector.
#[derive(Clone, Debug, Default)]
pub struct PodGarbageCollector {
    /// Nodes that are missing, and when that is believed.
    quarantine: OrdMap<Name, Time>,
    /// What is to be removed.
    removals: OrdMap<ObjectKey, Reason>,
}

fn has_ended(pod: &Pod) -> bool {
    !matches!(phase(pod), "Pending" | "Running" | "Unknown")
}

/// Whether a node's pods can be given up: it is not ready, and somebody said that it is out of service.
fn is_out_of_service(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    !ready && taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

/// The pods that are too many of those that have ended: evicted ones first, then the oldest.
fn too_many(mut ended: Vec<&Arc<Pod>>, max: usize) -> Vec<ObjectKey> {
    let count = ended.len().saturating_sub(max);
    if count == 0 {
        return Vec::new();
    }
    let evicted = |pod: &Pod| {
        let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
        phase(pod) == "Failed" && reason == Some("Evicted")
    };
    ended.order_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref().map(Time::from);
        (!evicted(pod), created, pod.name().to_owned())
    });
    ended.into_iter().take(count).map(|pod| pod.key()).collect()
}

impl PodGarbageCollector {
    /// The missing nodes whose quarantine is over and which the API server does not know either.
    fn nodes_gone(&mut self, listers: &Informers, client: &mut Client<'_>) -> BTreeSet<Name> {
        let is_known = |name: &Name| listers.get::<Node>(&ObjectKey::new("", name.clone())).is_some();
        for pod in listers.list::<Pod>().filter(|pod| !node_name(pod).is_empty()) {
            let name = Name::from(node_name(pod));
            if !self.quarantine.contains_key(&name) && !is_known(&name) {
                self.quarantine.insert(name, client.now + QUARANTINE);
            }
        }
        let due: Vec<Name> =
            self.quarantine.iter().filter(|(_, at)| **at <= client.now).map(|(name, _)| name.clone()).collect();
        let mut gone = BTreeSet::new();
        for name in due {
            self.quarantine.remove(&name);
            let missing = |client: &mut Client<'_>| {
                let answer = client.get::<Node>(&ObjectKey::new("", name.clone()));
                answer.is_err_and(|error| error.is_not_found())
            };
            if !is_known(&name) && missing(client) {
                gone.insert(name);
            }
        }
        gone
    }

    /// Ends a pod in the records, since no kubelet will, and removes it: `markFailedAndDeletePodWithCondition`.
    fn remove(pod: &Pod, reason: Reason, client: &mut Client<'_>) -> Result<(), ClientError> {
        client.reserve(2)?;
        client.because(reason.why(pod));
        if !matches!(phase(pod), "Succeeded" | "Failed") {
            let mut status = pod.status.clone().unwrap_or_default();
            status.phase = Some("Failed".to_owned());
            status.observed_generation = pod.metadata.generation;
            if reason == Reason::Orphaned {
                let target = disruption_target(pod, "DeletionByPodGC", "PodGC: node no longer exists");
                update_condition(&mut status, target, client.now);
            }
            patch_status(pod, &status, client)?;
        }
        client.delete(Kind::Pod, &pod.key(), DeleteOptions::default().grace(0))
    }
}

impl Controller for PodGarbageCollector {
    fn name(&self) -> &'static str {
        "pod-garbage-collector-controller"
    }

    fn account(&self) -> &'static str {
        "pod-garbage-collector"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, _event: &InformerEvent, _listers: &Informers, _queue: &mut WorkQueue) {}

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(&reason) = self.removals.get(key) else { return Ok(Requeue::Forget) };
        let removed = listers.get::<Pod>(key).map_or(Ok(()), |pod| Self::remove(pod, reason, client));
        if let Err(error @ ClientError::Throttled(_)) = removed {
            return Err(error);
        }
        // What failed otherwise is found again with the next look.
        self.removals.remove(key);
        Ok(Requeue::Forget)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn period(&self) -> Option<Duration> {
        Some(CHECK_PERIOD)
    }

    fn tick(&mut self, listers: &Informers, queue: &mut WorkQueue, client: &mut Client<'_>) {
        let ended = listers.list::<Pod>().filter(|pod| has_ended(pod)).collect();
        let mut found: Vec<(ObjectKey, Reason)> =
            too_many(ended, TERMINATED_PODS_MAX).into_iter().map(|key| (key, Reason::Terminated)).collect();
        let gone = self.nodes_gone(listers, client);
        for pod in listers.list::<Pod>() {
            let node = listers.get::<Node>(&ObjectKey::new("", node_name(pod)));
            if pod.is_deleting() && node.is_some_and(|node| is_out_of_service(node)) {
                found.push((pod.key(), Reason::OutOfService));
            } else if gone.contains(node_name(pod)) {
                found.push((pod.key(), Reason::Orphaned));
            } else if pod.is_deleting() && node_name(pod).is_empty() {
                found.push((pod.key(), Reason::Unscheduled));
            }
        }
        for (key, reason) in found {
            self.removals.insert(key.clone(), reason);
            queue.add(key);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evicted_pods_go_before_older_ones() {
        let pod = |name: &str, seconds: u64, reason: Option<&str>| {
            let mut pod = Pod::default();
            pod.metadata.name = Some(name.to_owned());
            pod.metadata.creation_timestamp = Some((Time::DEFAULT_START + Duration::from_secs(seconds)).to_meta());
            let status = pod.status.get_or_insert_default();
            status.phase = Some("Failed".to_owned());
            status.reason = reason.map(str::to_owned);
            Arc::new(pod)
        };
        let pods = [pod("c", 1, None), pod("b", 1, None), pod("a", 2, None), pod("z", 9, Some("Evicted"))];
        let names = |max| -> Vec<String> {
            too_many(pods.iter().collect(), max).iter().map(|key| key.name.to_string()).collect()
        };
        assert_eq!(names(9), [""; 0]);
        assert_eq!(names(3), ["z"]);
        assert_eq!(names(0), ["z", "b", "c", "a"]);
    }
}
