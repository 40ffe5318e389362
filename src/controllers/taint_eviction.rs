//! Evicts pods from nodes with a `NoExecute` taint, at once or when their toleration ends.
//!
//! Guarantees that a pod which does not tolerate such a taint is deleted, one that tolerates it for some seconds after
//! these, and that the taint's removal cancels what was not done yet. Watches Nodes and Pods. Follows
//! `kubernetes/pkg/controller/tainteviction` (`taint_eviction.go`, `timed_workers.go`).

use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Taint, Toleration};

use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::machinery::toleration::{NO_EXECUTE, tolerates};

use super::pod_control::node_name;
use super::pod_status::{disruption_target, patch_status, update_condition};

/// Keys whose namespace begins so are evictions that are due; a name has no slash.
const EVICTION: &str = "evict/";

/// How far a pod's eviction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eviction {
    /// It waits since the first moment for the second.
    Waiting(Time, Time),
    /// It is to be done now.
    Due,
    /// It was done, and is not done again.
    Done,
}

/// The taint eviction controller.
#[derive(Clone, Debug, Default)]
pub struct TaintEvictionController {
    evictions: OrdMap<ObjectKey, Eviction>,
}

/// For how long a pod may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stay {
    /// Not at all: it does not tolerate a taint.
    No,
    /// So long.
    For(Duration),
    /// For ever.
    Always,
}

fn no_execute(node: &Node) -> Vec<Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints.filter(|taint| taint.effect == NO_EXECUTE).cloned().collect()
}

fn tolerations(pod: &Pod) -> &[Toleration] {
    pod.spec.as_ref().and_then(|spec| spec.tolerations.as_deref()).unwrap_or(&[])
}

/// The first toleration that covers each taint decides, and the shortest of them: `GetMatchingTolerations` and
/// `getMinTolerationTime`.
fn stay(taints: &[Taint], tolerations: &[Toleration]) -> Stay {
    let mut seconds = None;
    for taint in taints {
        let Some(used) = tolerations.iter().find(|toleration| tolerates(toleration, taint)) else { return Stay::No };
        if let Some(limit) = used.toleration_seconds {
            let limit = u64::try_from(limit).unwrap_or(0);
            seconds = Some(seconds.map_or(limit, |known: u64| known.min(limit)));
        }
    }
    seconds.map_or(Stay::Always, |seconds| Stay::For(Duration::from_secs(seconds)))
}

fn eviction_key(pod: &ObjectKey) -> QueueKey {
    ObjectKey::new(format!("{EVICTION}{}", pod.namespace), pod.name.clone())
}

/// Upstream refers to the pod by name only.
fn tell(pod: &ObjectKey, what: &str, client: &mut Client<'_>) {
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        ..ObjectReference::default()
    };
    client.event_about(&about, EventType::Normal, "TaintManagerEviction", &format!("{what} Pod {pod}"));
}

impl TaintEvictionController {
    /// `cancelWorkWithEvent`.
    fn cancel(&mut self, pod: &ObjectKey, client: &mut Client<'_>) {
        if let Some(Eviction::Waiting(..)) = self.evictions.remove(pod) {
            tell(pod, "Cancelling deletion of", client);
        }
    }

    /// `processPodOnNode`.
    fn process_pod(&mut self, pod: &Pod, taints: &[Taint], client: &mut Client<'_>) {
        let key = pod.key();
        match stay(taints, tolerations(pod)) {
            Stay::Always => self.cancel(&key, client),
            Stay::No => {
                self.cancel(&key, client);
                self.evict_after(&key, Duration::ZERO, client);
            }
            Stay::For(wait) => {
                if let Some(Eviction::Waiting(since, _)) = self.evictions.get(&key) {
                    if *since < client.now {
                        return;
                    }
                    self.cancel(&key, client);
                }
                self.evict_after(&key, wait, client);
            }
        }
    }

    fn evict_after(&mut self, pod: &ObjectKey, wait: Duration, client: &mut Client<'_>) {
        if self.evictions.contains_key(pod) {
            return;
        }
        let state = if wait.is_zero() { Eviction::Due } else { Eviction::Waiting(client.now, client.now + wait) };
        self.evictions.insert(pod.clone(), state);
        client.enqueue_after(eviction_key(pod), wait);
    }

    /// `addConditionAndDeletePod`, when it is time for it.
    fn evict(&mut self, key: &ObjectKey, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        match self.evictions.get(key) {
            Some(Eviction::Due) => {}
            Some(&Eviction::Waiting(_, at)) if at <= client.now => {}
            Some(&Eviction::Waiting(_, at)) => return Ok(Requeue::After(at.since(client.now))),
            Some(Eviction::Done) | None => return Ok(Requeue::Forget),
        }
        client.reserve(3)?;
        tell(key, "Marking for deletion", client);
        let pod = match client.get::<Pod>(key) {
            Ok(pod) => pod,
            Err(error) if error.is_not_found() => {
                self.evictions.remove(key);
                return Ok(Requeue::Forget);
            }
            Err(error) => return Err(error),
        };
        client.because(Why::new(
            "Pod {} does not tolerate a NoExecute taint of node {} any longer.",
            [pod.name().to_owned(), node_name(&pod).to_owned()],
        ));
        let mut status = pod.status.clone().unwrap_or_default();
        let target =
            disruption_target(&pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
        if update_condition(&mut status, target, client.now) {
            status.observed_generation = pod.metadata.generation;
            patch_status(&pod, &status, client)?;
        }
        match client.delete(Kind::Pod, key, DeleteOptions::default()) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        self.evictions.insert(key.clone(), Eviction::Done);
        Ok(Requeue::Forget)
    }
}

impl Controller for TaintEvictionController {
    fn name(&self) -> &'static str {
        "taint-eviction-controller"
    }

    /// `UpdateWorkerSize`.
    fn workers(&self) -> usize {
        8
    }

    fn account(&self) -> &'static str {
        "node-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node), WatchSpec::all(Kind::Pod)]
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        let same = match event.kind {
            Kind::Node => event.before::<Node>().map(no_execute) == event.after::<Node>().map(no_execute),
            Kind::Pod => {
                let said = |pod: &Pod| (tolerations(pod).to_vec(), node_name(pod).to_owned());
                event.before::<Pod>().map(said) == event.after::<Pod>().map(said)
            }
            _ => true,
        };
        if !same {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        if let Some(namespace) = key.namespace.strip_prefix(EVICTION) {
            return self.evict(&ObjectKey::new(namespace, key.name.clone()), client);
        }
        if key.namespace.is_empty() {
            let Some(node) = listers.get::<Node>(key) else { return Ok(Requeue::Forget) };
            let taints = no_execute(node);
            for pod in listers.pods_on(&key.name) {
                if taints.is_empty() {
                    self.cancel(&pod.key(), client);
                } else {
                    self.process_pod(pod, &taints, client);
                }
            }
            return Ok(Requeue::Forget);
        }
        let Some(pod) = listers.get::<Pod>(key) else {
            self.cancel(key, client);
            return Ok(Requeue::Forget);
        };
        if let Some(node) = listers.get::<Node>(&ObjectKey::new("", node_name(pod))) {
            let taints = no_execute(node);
            if !taints.is_empty() {
                self.process_pod(pod, &taints, client);
            }
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_toleration_in_use_decides() {
        let taint = |key: &str| Taint { key: key.to_owned(), effect: NO_EXECUTE.to_owned(), ..Taint::default() };
        let toleration = |key: &str, seconds: Option<i64>| Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            toleration_seconds: seconds,
            ..Toleration::default()
        };
        let seconds = |seconds| Stay::For(Duration::from_secs(seconds));
        let table = [
            (vec!["a"], vec![], Stay::No),
            (vec!["a", "b"], vec![toleration("a", None)], Stay::No),
            (vec!["a"], vec![toleration("a", None)], Stay::Always),
            (vec!["a"], vec![toleration("a", Some(-5))], seconds(0)),
            (vec!["a", "b"], vec![toleration("a", Some(9)), toleration("b", Some(6))], seconds(6)),
            (vec!["a", "b"], vec![toleration("a", Some(9)), toleration("b", None)], seconds(9)),
            (vec!["a"], vec![toleration("a", Some(9)), toleration("a", Some(6))], seconds(9)),
        ];
        for (taints, tolerations, expected) in table {
            let taints: Vec<Taint> = taints.into_iter().map(taint).collect();
            assert_eq!(stay(&taints, &tolerations), expected, "{taints:?} {tolerations:?}");
        }
    }
}
