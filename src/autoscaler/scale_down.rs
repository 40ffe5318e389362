//! Which nodes are not needed.
//!
//! Follows `cluster-autoscaler/core/scaledown/{eligibility,planner}`, `simulator/cluster.go` and the rules of
//! `simulator/drainability`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod, ReplicationController, Taint};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use crate::api::{ObjectKey, Resource as _, controller_of};
use crate::client::Informers;
use crate::client::node_taints::taint;
use crate::machinery::labels::Selector;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_SCHEDULE;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::what_if::unplaced;

use super::{Snapshot, TO_BE_DELETED_TAINT};

/// `ScaleDownUtilizationThreshold`: a node of which more is asked for is needed.
const UTILIZATION_THRESHOLD: f64 = 0.5;
/// `ScaleDownDisabledKey`.
const SCALE_DOWN_DISABLED: &str = "cluster-autoscaler.kubernetes.io/scale-down-disabled";
/// `PodSafeToEvictKey`.
const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
/// `SafeToEvictLocalVolumesKey`.
const SAFE_TO_EVICT_LOCAL_VOLUMES: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
const MIRROR: &str = "kubernetes.io/config.mirror";
/// `PodLongTerminatingExtraThreshold`: a pod that should have ended so long ago is not counted any more.
const LONG_TERMINATING: Duration = Duration::from_secs(30);
/// `DefaultTerminationGracePeriodSeconds`.
pub(super) const DEFAULT_GRACE_SECONDS: i64 = 30;

/// What share of a node its pods ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Utilization {
    cpu: f64,
    memory: f64,
}

impl Utilization {
    /// `utilization.Calculate`.
    pub(super) fn of(node: &NodeInfo, now: Time) -> Self {
        let counted = node.pods.iter().filter(|pod| !is_long_terminating(&pod.pod, now));
        let (mut cpu, mut memory) = (0, 0);
        for pod in counted {
            cpu += pod.requests.requests.milli_cpu;
            memory += pod.requests.requests.memory;
        }
        let share = |amount: i64, of: i64| if of > 0 { amount as f64 / of as f64 } else { 0.0 };
        Self { cpu: share(cpu, node.allocatable.milli_cpu), memory: share(memory, node.allocatable.memory) }
    }

    const fn is_low(self) -> bool {
        self.cpu < UTILIZATION_THRESHOLD && self.memory < UTILIZATION_THRESHOLD
    }
}

/// As Go prints `utilization.Info`: of processors, memory, graphics and claims, then the largest of them.
impl fmt::Display for Utilization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, most) = if self.memory > self.cpu { ("memory", self.memory) } else { ("cpu", self.cpu) };
        write!(f, "{{{} {} 0 0 {name} {most}}}", self.cpu, self.memory)
    }
}

/// Why a pod keeps its node from being removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocking(pub String);

/// A node that may go.
#[derive(Clone, Debug)]
pub(super) struct Removable {
    pub node: Arc<NodeInfo>,
    /// The pods that would move.
    pub pods: Vec<Arc<PodInfo>>,
}

/// What was found out about the candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub removable: Vec<Removable>,
    /// Those of which it was seen that they cannot go: they are not looked at again for a while.
    pub unremovable: Vec<Arc<NodeInfo>>,
}

fn annotation<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    pod.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

pub(super) fn is_mirror(pod: &Pod) -> bool {
    annotation(pod, MIRROR).is_some()
}

pub(super) fn is_daemon(pod: &Pod) -> bool {
    controller_of(&pod.metadata).is_some_and(|owner| owner.kind == "DaemonSet")
}

pub(super) fn grace_seconds(pod: &Pod) -> i64 {
    pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(DEFAULT_GRACE_SECONDS)
}

/// `IsPodLongTerminating`.
fn is_long_terminating(pod: &Pod, now: Time) -> bool {
    let grace = Duration::from_secs(u64::try_from(grace_seconds(pod)).unwrap_or(0));
    let deleted = pod.metadata.deletion_timestamp.as_ref().map(Time::from);
    deleted.is_some_and(|deleted| deleted + grace + LONG_TERMINATING < now)
}

/// Whether somebody forbade to remove the node: `HasNoScaleDownAnnotation`.
pub(super) fn is_disabled(node: &Node) -> bool {
    let annotations = node.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(SCALE_DOWN_DISABLED)).is_some_and(|value| value == "true")
}

/// Whether what would make the pod again is there: one of the controllers that are known to.
fn is_replicated(pod: &Pod, listers: &Informers) -> Result<bool, Blocking> {
    let Some(owner) = controller_of(&pod.metadata) else { return Ok(false) };
    let key = ObjectKey::new(pod.namespace(), owner.name.as_str());
    let is_there = match owner.kind.as_str() {
        "ReplicaSet" => listers.get::<ReplicaSet>(&key).is_some(),
        "ReplicationController" => listers.get::<ReplicationController>(&key).is_some(),
        "StatefulSet" => listers.get::<StatefulSet>(&key).is_some(),
        "Job" => listers.get::<Job>(&key).is_some(),
        _ => return Ok(false),
    };
    let kind = if owner.kind == "ReplicationController" { "replication controller" } else { &owner.kind };
    if is_there {
        return Ok(true);
    }
    Err(Blocking(format!("{kind} for {}/{} is not available", pod.namespace(), pod.name())))
}

/// Whether the pod keeps something on its node that nobody said may be lost: `HasBlockingLocalStorage`.
fn has_local_storage(pod: &Pod) -> bool {
    let named = annotation(pod, SAFE_TO_EVICT_LOCAL_VOLUMES).unwrap_or("");
    let is_safe = |name: &str| named.split(',').any(|safe| safe.trim() == name);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    // What is in memory is no storage of the node.
    let on_disk = |medium: Option<&str>| medium != Some("Memory");
    volumes.into_iter().any(|volume| {
        let is_empty_dir = volume.empty_dir.as_ref().is_some_and(|source| on_disk(source.medium.as_deref()));
        (volume.host_path.is_some() || is_empty_dir) && !is_safe(&volume.name)
    })
}

fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("");
    let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
    phase == "Failed" || (phase == "Succeeded" && policy != "Always")
}

fn budgets_of<'a>(pod: &'a Pod, listers: &'a Informers) -> impl Iterator<Item = &'a Arc<PodDisruptionBudget>> {
    let empty = std::collections::BTreeMap::new();
    listers.list_in::<PodDisruptionBudget>(pod.namespace()).filter(move |budget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let labels = pod.metadata.labels.as_ref().unwrap_or(&empty);
        Selector::from_label_selector(selector).is_ok_and(|selector| selector.matches(labels))
    })
}

/// Whether a pod may move, and has to: `None` when it need not be cared for.
fn judge(pod: &Pod, listers: &Informers, now: Time) -> Result<Option<()>, Blocking> {
    let blocked = |why: &str| Err(Blocking(format!("{why}: {}", pod.name())));
    if is_mirror(pod) || is_long_terminating(pod, now) || is_daemon(pod) {
        return Ok(None);
    }
    if annotation(pod, SAFE_TO_EVICT) != Some("true") && !has_ended(pod) {
        if !is_replicated(pod, listers)? {
            return Err(Blocking(format!("{}/{} is not replicated", pod.namespace(), pod.name())));
        }
        if pod.namespace() == "kube-system" && budgets_of(pod, listers).next().is_none() {
            return blocked("non-daemonset, non-mirrored, non-pdb-assigned kube-system pod present");
        }
        if has_local_storage(pod) {
            return blocked("pod with local storage present");
        }
        if annotation(pod, SAFE_TO_EVICT) == Some("false") {
            return blocked("pod annotated as not safe to evict present");
        }
    }
    let allowed = |budget: &Arc<PodDisruptionBudget>| {
        budget.status.as_ref().and_then(|status| status.disruptions_allowed).unwrap_or(0)
    };
    if budgets_of(pod, listers).any(|budget| allowed(budget) < 1) {
        let name = format!("{}/{}", pod.namespace(), pod.name());
        return Err(Blocking(format!("not enough pod disruption budget to move {name}")));
    }
    Ok(Some(()))
}

/// The pods that have to find another node when this one goes: `GetPodsToMove`.
pub(super) fn pods_to_move(node: &NodeInfo, listers: &Informers, now: Time) -> Result<Vec<Arc<PodInfo>>, Blocking> {
    let mut moving = Vec::new();
    for pod in &node.pods {
        if judge(&pod.pod, listers, now)?.is_some() {
            moving.push(Arc::clone(pod));
        }
    }
    moving.order_by(|a, b| a.key.cmp(&b.key));
    Ok(moving)
}

fn to_be_deleted(now: Time) -> Taint {
    Taint { value: Some(now.as_secs().to_string()), ..taint(TO_BE_DELETED_TAINT, NO_SCHEDULE) }
}

/// Lets the pods of a node find other nodes in a snapshot, in which the node is gone then: `findPlaceFor`. Says whether
/// all of them did; the snapshot is as it was when not.
fn move_pods(snapshot: &mut Snapshot, node: &NodeInfo, pods: &[Arc<PodInfo>], now: Time) -> bool {
    let mut fork = snapshot.clone();
    let Some(mut ghost) = node.node.as_deref().cloned() else { return false };
    // The node counts for how pods are spread until it is gone, as one that takes no more.
    ghost.spec.get_or_insert_default().taints.get_or_insert_default().push(to_be_deleted(now));
    for pod in pods {
        fork.take(&pod.uid);
    }
    fork.set_node(Arc::new(ghost));
    for pod in pods {
        let pod = unplaced(&pod.pod);
        let Some(place) = fork.first_fit(&pod, |other| other.name != node.name) else { return false };
        fork.place(&pod, &place);
    }
    fork.remove_node(&node.name);
    *snapshot = fork;
    true
}

/// Looks through candidates, empty ones first. A node that may go is gone for those after it.
pub(super) fn find_removable(
    candidates: &[Arc<NodeInfo>],
    mut snapshot: Snapshot,
    listers: &Informers,
    now: Time,
) -> Findings {
    let mut findings = Findings::default();
    let mut candidates: Vec<&Arc<NodeInfo>> = candidates
        .iter()
        .filter(|node| node.node.as_ref().is_some_and(|node| !is_disabled(node)) && Utilization::of(node, now).is_low())
        .collect();
    candidates
        .order_by_key(|node| (!pods_to_move(node, listers, now).is_ok_and(|pods| pods.is_empty()), node.name.clone()));
    for node in candidates {
        match pods_to_move(node, listers, now) {
            Ok(pods) if move_pods(&mut snapshot, node, &pods, now) => {
                findings.removable.push(Removable { node: Arc::clone(node), pods });
            }
            _ => findings.unremovable.push(Arc::clone(node)),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::{Kind, Object};
    use crate::client::InformerEvent;

    use super::*;

    fn read<K: serde::de::DeserializeOwned>(value: Value) -> Arc<K> {
        Arc::new(serde_json::from_value(value).expect("the object is written out in the test"))
    }

    fn event(kind: Kind, name: &str, object: Object) -> InformerEvent {
        let namespace = if kind == Kind::Node { "" } else { "default" };
        InformerEvent { kind, key: ObjectKey::new(namespace, name), before: None, after: Some(object), revision: 1 }
    }

    /// A cluster of nodes with a processor each, and of pods `name@node cpu`, all of one ReplicaSet.
    fn cluster(nodes: &[&str], pods: &[(&str, Value)]) -> (Snapshot, Informers) {
        let (mut snapshot, mut listers) = (Snapshot::default(), Informers::new());
        let set: Arc<ReplicaSet> = read(json!({ "metadata": { "name": "web", "namespace": "default", "uid": "w" } }));
        listers.apply(&event(Kind::ReplicaSet, "web", Object::ReplicaSet(set)));
        for name in nodes {
            let amounts = json!({ "cpu": "1", "memory": "8Gi", "pods": "110" });
            let labels = json!({ "kubernetes.io/hostname": name });
            let status = json!({ "allocatable": amounts, "capacity": amounts });
            snapshot.set_node(read(json!({ "metadata": { "name": name, "labels": labels }, "status": status })));
        }
        for (place, extra) in pods {
            let (name, rest) = place.split_once('@').expect("a place");
            let (node, cpu) = rest.split_once(' ').expect("a request");
            let owner = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "w", "controller": true }]);
            let mut pod = json!({
                "metadata": { "name": name, "namespace": "default", "uid": name, "ownerReferences": owner },
                "spec": {
                    "nodeName": node,
                    "containers": [{ "name": "c", "resources": { "requests": { "cpu": cpu } } }],
                },
            });
            pod = crate::machinery::patch::merge::apply(pod, extra.clone()).expect("the patch is small");
            snapshot.apply(&event(Kind::Pod, name, Object::Pod(read(pod))));
        }
        (snapshot, listers)
    }

    fn removable((snapshot, listers): &(Snapshot, Informers)) -> Vec<String> {
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let candidates: Vec<Arc<NodeInfo>> = snapshot.nodes().cloned().collect();
        let findings = find_removable(&candidates, snapshot.clone(), listers, now);
        findings.removable.iter().map(|found| format!("{} {}", found.node.name, found.pods.len())).collect()
    }

    #[test]
    fn a_node_goes_when_its_pods_fit_elsewhere() {
        let nothing = json!({});
        let one = cluster(&["a", "b"], &[("p@a 400m", nothing.clone()), ("q@b 400m", nothing.clone())]);
        assert_eq!(removable(&one), ["a 1"], "b has to take the pod of a");
        let full = cluster(&["a", "b"], &[("p@a 400m", nothing.clone()), ("q@b 700m", nothing.clone())]);
        assert_eq!(removable(&full), [""; 0]);
        let empty = cluster(&["a", "b"], &[("p@a 400m", nothing.clone())]);
        assert_eq!(removable(&empty), ["b 0"], "an empty one goes first");
        let half = cluster(&["a", "b"], &[("p@a 500m", nothing)]);
        assert_eq!(removable(&half), ["b 0"], "half of it is as much as keeps a node");
    }

    #[test]
    fn pods_keep_their_node() {
        let note = |value: &str| json!({ "metadata": { "annotations": { SAFE_TO_EVICT: value } } });
        let volume = json!({ "spec": { "volumes": [{ "name": "v", "emptyDir": {} }] } });
        let memory = json!({ "spec": { "volumes": [{ "name": "v", "emptyDir": { "medium": "Memory" } }] } });
        let alone = json!({ "metadata": { "ownerReferences": null } });
        let orphan = json!({ "metadata": { "ownerReferences": [
            { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone", "uid": "g", "controller": true },
        ] } });
        let mut alone_but_safe = note("true");
        alone_but_safe["metadata"]["ownerReferences"] = Value::Null;
        let cases = [
            (json!({}), true),
            (note("false"), false),
            (volume, false),
            (memory, true),
            (alone, false),
            (orphan, false),
            (alone_but_safe, true),
        ];
        for (extra, may_go) in cases {
            let cluster = cluster(&["a", "b"], &[("p@a 100m", extra.clone()), ("q@b 600m", json!({}))]);
            assert_eq!(removable(&cluster).contains(&"a 1".to_owned()), may_go, "{extra}");
        }
    }

    #[test]
    fn a_budget_without_room_keeps_the_node() {
        let labels = json!({ "metadata": { "labels": { "app": "web" } } });
        let (snapshot, mut listers) = cluster(&["a", "b"], &[("p@a 100m", labels), ("q@b 600m", json!({}))]);
        for (allowed, expected) in [(0, vec![]), (1, vec!["a 1".to_owned()])] {
            let budget: Arc<PodDisruptionBudget> = read(json!({
                "metadata": { "name": "web", "namespace": "default" },
                "spec": { "selector": { "matchLabels": { "app": "web" } } },
                "status": {
                    "disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1,
                },
            }));
            listers.apply(&event(Kind::PodDisruptionBudget, "web", Object::PodDisruptionBudget(budget)));
            assert_eq!(removable(&(snapshot.clone(), listers.clone())), expected);
        }
    }

    #[test]
    fn utilization_is_told_as_go_prints_it() {
        let (snapshot, _) = cluster(&["a"], &[("p@a 250m", json!({}))]);
        let now = Time::parse("2026-01-01T00:00:00Z").expect("a time");
        let node = snapshot.node("a").expect("it is there");
        assert_eq!(Utilization::of(node, now).to_string(), "{0.25 0 0 0 cpu 0.25}");
    }
}
