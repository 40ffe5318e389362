//! The autoscaler as a process of the cluster: a look every ten seconds, and removals that go on in between.
//!
//! Follows `RunOnce` of `cluster-autoscaler/core/static_autoscaler.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};

use crate::api::{Kind, Name, Resource as _};
use crate::apiserver::User;
use crate::client::node_taints::{add_or_update_taints, remove_taints, taint};
use crate::client::{Client, EventType, Identity, InformerEvent, Informers, Process, Token, WatchSpec};
use crate::cloud::NodeGroupCall;
use crate::etcd::Why;
use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;
use crate::machinery::toleration::{NO_SCHEDULE, PREFER_NO_SCHEDULE};
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;
use crate::scheduler::what_if::unplaced;

use super::backoff::{Backoff, Failure};
use super::deletion::{Deletion, Progress};
use super::readiness::{Counts, Readiness, has_taint, is_ready, node_of, readiness};
use super::scale_down::{Removable, find_removable, is_daemon, is_mirror};
use super::scale_up::{Growth, Plan, add_template, plan};
use super::status::{Seen, StatusKeeper, initialize, tell};
use super::{DELETION_CANDIDATE_TAINT, NodeGroup, Snapshot, TO_BE_DELETED_TAINT};

/// `ScanInterval`.
const SCAN_INTERVAL: Duration = Duration::from_secs(10);
/// `ScaleDownDelayAfterAdd`: so long after a group grew no node is removed.
const SCALE_DOWN_DELAY_AFTER_ADD: Duration = Duration::from_secs(600);
/// `ScaleDownDelayAfterFailure`.
const SCALE_DOWN_DELAY_AFTER_FAILURE: Duration = Duration::from_secs(180);
/// `ScaleDownUnneededTime`: how long a node has to be a candidate.
const SCALE_DOWN_UNNEEDED_TIME: Duration = Duration::from_secs(600);
/// `ScaleDownUnreadyTime`: the same for one that is not ready.
const SCALE_DOWN_UNREADY_TIME: Duration = Duration::from_secs(1200);
/// `UnremovableNodeRecheckTimeout`.
const UNREMOVABLE_NODE_RECHECK_TIMEOUT: Duration = Duration::from_secs(300);
/// `unschedulablePodTimeBuffer`: pods that are all younger may be the first of many.
const UNSCHEDULABLE_POD_TIME_BUFFER: Duration = Duration::from_secs(2);
/// `ExpendablePodsPriorityCutoff`: no node is made for pods of less.
const EXPENDABLE_PODS_PRIORITY_CUTOFF: i32 = -10;
/// How a cloud calls it that it has no more machines.
const OUT_OF_RESOURCES: &str = "OutOfResource.RESOURCE_POOL_EXHAUSTED";
/// `MaxScaleDownParallelism` and `MaxDrainParallelism`: how many nodes are removed at once.
const MAX_SCALE_DOWN_PARALLELISM: usize = 10;
const MAX_DRAIN_PARALLELISM: usize = 1;
/// `MaxBulkSoftTaintCount`: how many candidates are marked in one look.
const MAX_BULK_SOFT_TAINT_COUNT: usize = 10;

const SCAN: Token = 0;
/// Keeps a cluster from counting as idle until the next look, which comes by itself.
const WAIT_FOR_SCAN: Token = 1;
const DELETIONS: Token = 2;

/// cluster-autoscaler.
#[derive(Clone, Debug, Default)]
pub struct ClusterAutoscaler {
    /// What the cloud had when it was last asked.
    groups: Vec<NodeGroup>,
    /// What the cloud is asked for when this look is over.
    calls: Vec<NodeGroupCall>,
    informers: Informers,
    snapshot: Snapshot,
    status: StatusKeeper,
    backoff: Backoff,
    /// How many nodes groups were asked to have when they last grew.
    growing: OrdMap<Name, u32>,
    next_scan: Time,
    awaited_scan: Option<Time>,
    has_cleaned: bool,
    last_scale_up: Option<Time>,
    last_scale_down_fail: Option<Time>,
    /// Since when nodes are not needed: `unneeded.Nodes`.
    unneeded: OrdMap<Name, Time>,
    /// Until when nodes are not looked at again: `unremovable.Nodes`.
    unremovable: OrdMap<Name, Time>,
    deletions: Vec<Deletion>,
}

/// Whether the scheduler said that a pod fits nowhere.
fn is_unschedulable(pod: &Pod) -> bool {
    let is_placed = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).is_some_and(|name| !name.is_empty());
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    !is_placed
        && !pod.is_deleting()
        && conditions.into_iter().any(|condition| {
            condition.type_ == "PodScheduled"
                && condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
        })
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

impl ClusterAutoscaler {
    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// Who it is to the API server.
    #[must_use]
    pub fn identity() -> Identity {
        Identity {
            component: Name::from("cluster-autoscaler"),
            host: Name::from(""),
            user: User::component(
                "system:serviceaccount:kube-system:cluster-autoscaler".to_owned(),
                &["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            ),
        }
    }

    /// The cloud tells what groups there are.
    pub fn refresh(&mut self, groups: Vec<NodeGroup>) {
        self.groups = groups;
    }

    /// Whether it asked something of the cloud.
    #[must_use]
    pub const fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    /// What it asked of the cloud.
    pub fn take_calls(&mut self) -> Vec<NodeGroupCall> {
        std::mem::take(&mut self.calls)
    }

    /// Lets the cluster wait for the next look.
    fn await_scan(&mut self, client: &mut Client<'_>) {
        if self.awaited_scan != Some(self.next_scan) {
            self.awaited_scan = Some(self.next_scan);
            client.wake_at(self.next_scan, WAIT_FOR_SCAN);
        }
    }

    fn run_once(&mut self, client: &mut Client<'_>) {
        self.clean_up(client);
        self.look_after_growth(client);
        let counts = Counts::of_cluster(&self.groups, &self.informers, client.now);
        if counts.is_healthy() {
            let mut snapshot = self.snapshot.clone();
            let upcoming = self.add_upcoming(&mut snapshot, client.now);
            let pods = self.pods_to_help(&mut snapshot);
            let mut may_scale_down = true;
            if !pods.is_empty() {
                if self.are_all_new(&pods, client.now) {
                    may_scale_down = false;
                    self.await_scan(client);
                } else if self.scale_up(&snapshot, &pods, client) {
                    return self.write_status(client);
                }
            }
            self.scale_down(&snapshot, &upcoming, may_scale_down, client);
        } else {
            self.unneeded.clear();
            tell(EventType::Warning, "ClusterUnhealthy", "Cluster is unhealthy", client);
        }
        self.write_status(client);
    }

    fn write_status(&mut self, client: &mut Client<'_>) {
        let candidates: Vec<&str> = self.unneeded.keys().map(|name| &**name).collect();
        let seen = Seen { groups: &self.groups, listers: &self.informers, candidates, backoff: &self.backoff };
        self.status.write(&seen, client);
    }

    /// Takes away taints that an earlier run left: `cleanUpIfRequired`.
    fn clean_up(&mut self, client: &mut Client<'_>) {
        if std::mem::replace(&mut self.has_cleaned, true) {
            return;
        }
        for (name, _) in self.groups.iter().flat_map(NodeGroup::machines) {
            if let Some(node) = node_of(name, &self.informers).filter(|node| has_taint(node, TO_BE_DELETED_TAINT)) {
                client.because(Why::new("Node {} is not being removed any more.", [name.to_string()]));
                if remove_taints(node, &[taint(TO_BE_DELETED_TAINT, NO_SCHEDULE)], client).is_ok() {
                    let message = format!("removed {TO_BE_DELETED_TAINT} taints from node {name}");
                    client.event(&**node, EventType::Normal, "ClusterAutoscalerCleanup", &message);
                }
            }
        }
    }

    /// Gives back machines that the cloud could not make, and leaves their groups alone for a while; forgets failures of
    /// groups that are as large as they were to be: `handleInstanceCreationErrors` and `updateScaleRequests`.
    fn look_after_growth(&mut self, client: &mut Client<'_>) {
        for group in &mut self.groups {
            let missing: Vec<Name> = group.missing().map(|(name, _)| name.clone()).collect();
            let (Some(first), count) = (missing.first(), missing.len()) else {
                let ready = group.machines().filter_map(|(name, _)| node_of(name, &self.informers));
                let ready = ready.filter(|node| readiness(node, client.now) != Readiness::NotStarted).count();
                if self.growing.get(&group.name).is_some_and(|wanted| ready >= *wanted as usize) {
                    self.growing.remove(&group.name);
                    self.backoff.succeeded(&group.name);
                }
                continue;
            };
            let zone = group.machine(first).map_or("", |machine| machine.zone.as_str());
            let why = format!(
                "Instance '{first}' creation failed: The zone '{zone}' does not have enough resources available to \
                 fulfill the request."
            );
            let message = format!(
                "Failed adding {count} nodes to group {} due to {OUT_OF_RESOURCES}; source errors: {why}",
                group.name
            );
            client.because(Why::new("The cloud has no more machines for node group {}.", [group.name.to_string()]));
            tell(EventType::Warning, "ScaleUpFailed", &message, client);
            let failure = Failure { code: OUT_OF_RESOURCES.to_owned(), message: why };
            self.backoff.failed(&group.name, failure, client.now);
            self.growing.remove(&group.name);
            for node in missing {
                group.remove_machine(&node);
                group.target = group.target.saturating_sub(1);
                self.calls.push(NodeGroupCall::Delete { group: group.name.clone(), node });
            }
        }
    }

    fn daemons(&self) -> Vec<Arc<DaemonSet>> {
        self.informers.list::<DaemonSet>().cloned().collect()
    }

    /// Counts with machines as if they were nodes that are ready already: `addUpcomingNodesToClusterSnapshot`. Answers
    /// their names.
    fn add_upcoming(&self, snapshot: &mut Snapshot, now: Time) -> Vec<Name> {
        let daemons = self.daemons();
        let mut upcoming = Vec::new();
        for group in &self.groups {
            for (name, machine) in group.machines() {
                let node = node_of(name, &self.informers);
                if node.is_none_or(|node| readiness(node, now) == Readiness::NotStarted) {
                    snapshot.remove_node(name);
                    add_template(snapshot, &group.node(name, &machine.zone), &daemons);
                    upcoming.push(name.clone());
                }
            }
        }
        upcoming
    }

    /// The pods that fit on no node, also on none that is on its way: what processors of `core/podlistprocessor` leave.
    fn pods_to_help(&self, snapshot: &mut Snapshot) -> Vec<Arc<PodInfo>> {
        let mut waiting: Vec<Arc<PodInfo>> = Vec::new();
        for pod in self.informers.list::<Pod>().filter(|pod| is_unschedulable(pod)) {
            if priority(pod) < EXPENDABLE_PODS_PRIORITY_CUTOFF {
                continue;
            }
            let info = Arc::new(PodInfo::new(Arc::clone(pod)));
            // Room is being made for it.
            let nominated = snapshot.node(info.nominated_node_name()).map(|node| node.name.clone());
            match nominated {
                Some(node) => snapshot.place(&info, &node),
                None => waiting.push(info),
            }
        }
        for deletion in self.deletions.iter().filter(|deletion| deletion.drains) {
            let pods = snapshot.node(&deletion.node).map(|node| node.pods.clone()).unwrap_or_default();
            for pod in pods.iter().filter(|pod| !is_daemon(&pod.pod) && !is_mirror(&pod.pod)) {
                snapshot.take(&pod.uid);
                waiting.push(unplaced(&pod.pod));
            }
        }
        waiting.order_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.key.cmp(&b.key)));
        waiting.retain(|pod| match snapshot.first_fit(pod, |_| true) {
            Some(node) => {
                snapshot.place(pod, &node);
                false
            }
            None => !is_daemon(&pod.pod),
        });
        waiting
    }

    fn are_all_new(&self, pods: &[Arc<PodInfo>], now: Time) -> bool {
        pods.iter().all(|pod| {
            let created = pod.pod.metadata.creation_timestamp.as_ref().map(Time::from);
            created.is_some_and(|created| created + UNSCHEDULABLE_POD_TIME_BUFFER > now)
        })
    }

    /// Says whether a group grows.
    fn scale_up(&mut self, snapshot: &Snapshot, pods: &[Arc<PodInfo>], client: &mut Client<'_>) -> bool {
        let now = client.now;
        let is_backed_off = |group: &NodeGroup| self.backoff.of(&group.name, now).is_some();
        match plan(&self.groups, snapshot, pods, &self.daemons(), &is_backed_off) {
            Plan::Grow(growth) => {
                self.grow(&growth, client);
                true
            }
            Plan::Nothing(without) => {
                for (pod, why) in without {
                    client.because(Why::new(
                        "No node group can make room for Pod {}: {}.",
                        [pod.key.name.to_string(), why.clone()],
                    ));
                    let message = format!("pod didn't trigger scale-up: {why}");
                    client.event(&*pod.pod, EventType::Normal, "NotTriggerScaleUp", &message);
                }
                false
            }
        }
    }

    fn grow(&mut self, growth: &Growth, client: &mut Client<'_>) {
        let Growth { group, from, to, max, pods } = growth;
        client.because(Why::new(
            "Pods find no room: node group {} grows from {} to {} machines.",
            [group.to_string(), from.to_string(), to.to_string()],
        ));
        let message = format!("Scale-up: setting group {group} size to {to} instead of {from} (max: {max})");
        tell(EventType::Normal, "ScaledUpGroup", &message, client);
        self.calls.push(NodeGroupCall::Increase { group: group.clone(), by: to - from });
        self.growing.insert(group.clone(), *to);
        let message = format!("Scale-up: group {group} size set to {to} instead of {from} (max: {max})");
        tell(EventType::Normal, "ScaledUpGroup", &message, client);
        let message = format!("pod triggered scale-up: [{{{group} {from}->{to} (max: {max})}}]");
        for pod in pods {
            client.event(&*pod.pod, EventType::Normal, "TriggeredScaleUp", &message);
        }
        self.last_scale_up = Some(client.now);
    }

    fn group_of(&self, node: &str) -> Option<&NodeGroup> {
        self.groups.iter().find(|group| group.machine(node).is_some())
    }

    fn is_being_deleted(&self, node: &str) -> bool {
        self.deletions.iter().any(|deletion| *deletion.node == *node)
    }

    /// The nodes that might be removed: those of groups that may lose one, and are not being removed already.
    fn candidates(&self, snapshot: &Snapshot, upcoming: &[Name], now: Time) -> Vec<Arc<NodeInfo>> {
        let may_go = |node: &&Arc<NodeInfo>| {
            self.group_of(&node.name).is_some_and(|group| group.target > group.min)
                && !upcoming.contains(&node.name)
                && !self.is_being_deleted(&node.name)
                && self.unremovable.get(&node.name).is_none_or(|until| *until <= now)
                && node.node.as_ref().is_some_and(|node| !has_taint(node, TO_BE_DELETED_TAINT))
        };
        snapshot.nodes().filter(may_go).cloned().collect()
    }

    fn scale_down(&mut self, snapshot: &Snapshot, upcoming: &[Name], may_delete: bool, client: &mut Client<'_>) {
        let now = client.now;
        self.unremovable.retain(|_, until| *until > now);
        let candidates = self.candidates(snapshot, upcoming, now);
        let findings = find_removable(&candidates, snapshot.clone(), &self.informers, now);
        for node in &findings.unremovable {
            self.unremovable.insert(node.name.clone(), now + UNREMOVABLE_NODE_RECHECK_TIMEOUT);
        }
        let since = |name: &Name| self.unneeded.get(name).copied().unwrap_or(now);
        let names = findings.removable.iter().map(|found| found.node.name.clone());
        self.unneeded = names.map(|name| (name.clone(), since(&name))).collect();
        let is_after = |last: Option<Time>, delay: Duration| last.is_none_or(|last| now.since(last) >= delay);
        if !may_delete
            || !is_after(self.last_scale_up, SCALE_DOWN_DELAY_AFTER_ADD)
            || !is_after(self.last_scale_down_fail, SCALE_DOWN_DELAY_AFTER_FAILURE)
        {
            return;
        }
        if !self.start_deletions(&findings.removable, client) {
            self.mark_candidates(client);
        }
    }

    /// Begins to remove what has not been needed for long enough. Says whether there was anything.
    fn start_deletions(&mut self, removable: &[Removable], client: &mut Client<'_>) -> bool {
        let mut started = false;
        // Empty ones cost nobody anything.
        let (empty, full): (Vec<&Removable>, Vec<&Removable>) =
            removable.iter().partition(|found| found.pods.is_empty());
        for found in empty.into_iter().chain(full) {
            let drains = !found.pods.is_empty();
            let draining = self.deletions.iter().filter(|deletion| deletion.drains).count();
            if self.deletions.len() >= MAX_SCALE_DOWN_PARALLELISM || (drains && draining >= MAX_DRAIN_PARALLELISM) {
                continue;
            }
            let Some(group) = self.may_delete_now(found, client.now) else { continue };
            match Deletion::begin(found, group, client) {
                Ok(deletion) => {
                    client.wake_at(deletion.due, DELETIONS);
                    self.unneeded.remove(&found.node.name);
                    self.deletions.push(deletion);
                    started = true;
                }
                Err(_) => self.last_scale_down_fail = Some(client.now),
            }
        }
        started
    }

    /// `RemovableAt`: the group that a node can be taken from now.
    fn may_delete_now(&self, found: &Removable, now: Time) -> Option<Name> {
        let since = *self.unneeded.get(&found.node.name)?;
        let is_ready = found.node.node.as_ref().is_some_and(|node| is_ready(node));
        let wait = if is_ready { SCALE_DOWN_UNNEEDED_TIME } else { SCALE_DOWN_UNREADY_TIME };
        let group = self.group_of(&found.node.name)?;
        let going = self.deletions.iter().filter(|deletion| deletion.group == group.name).count();
        let left = (group.target as usize).saturating_sub(going);
        (now.since(since) >= wait && left > group.min as usize).then(|| group.name.clone())
    }

    /// Lets the scheduler like candidates less: `UpdateSoftDeletionTaints`.
    fn mark_candidates(&self, client: &mut Client<'_>) {
        let mut budget = MAX_BULK_SOFT_TAINT_COUNT;
        let machines = self.groups.iter().flat_map(NodeGroup::machines).map(|(name, _)| name);
        let nodes: Vec<&Arc<Node>> = machines
            .filter_map(|name| node_of(name, &self.informers))
            .filter(|node| !has_taint(node, TO_BE_DELETED_TAINT))
            .collect();
        let is_unneeded = |node: &Node| self.unneeded.contains_key(node.name());
        let mark = || taint(DELETION_CANDIDATE_TAINT, PREFER_NO_SCHEDULE);
        for node in &nodes {
            if budget > 0 && !is_unneeded(node) && has_taint(node, DELETION_CANDIDATE_TAINT) {
                budget -= 1;
                client.because(Why::new("Node {} is needed again.", [node.name().to_owned()]));
                // What fails is tried again with the next look.
                let _ = remove_taints(node, &[mark()], client);
            }
        }
        for node in &nodes {
            if budget > 0 && is_unneeded(node) && !has_taint(node, DELETION_CANDIDATE_TAINT) {
                budget -= 1;
                client.because(Why::new(
                    "Node {} is hardly used, and its pods would fit elsewhere: it may be removed.",
                    [node.name().to_owned()],
                ));
                let mark = Taint { value: Some(client.now.as_secs().to_string()), ..mark() };
                let _ = add_or_update_taints(node.name(), &[mark], client);
            }
        }
    }

    /// Goes on with the removals that are due.
    fn advance_deletions(&mut self, client: &mut Client<'_>) {
        let mut going = Vec::new();
        for mut deletion in std::mem::take(&mut self.deletions) {
            if deletion.due > client.now {
                going.push(deletion);
                continue;
            }
            match deletion.advance(&self.snapshot, &self.informers, client) {
                Progress::GoesOn => {
                    client.wake_at(deletion.due, DELETIONS);
                    going.push(deletion);
                }
                Progress::Done => {
                    self.calls.push(NodeGroupCall::Delete { group: deletion.group, node: deletion.node });
                }
                Progress::Failed => {}
            }
        }
        self.deletions = going;
    }
}

impl Process for ClusterAutoscaler {
    fn watches(&self) -> Vec<WatchSpec> {
        let owners = [
            Kind::ReplicaSet,
            Kind::ReplicationController,
            Kind::StatefulSet,
            Kind::Job,
            Kind::DaemonSet,
            Kind::PodDisruptionBudget,
        ];
        owners.into_iter().chain(Snapshot::KINDS).map(WatchSpec::all).collect()
    }

    fn start(&mut self, client: &mut Client<'_>) {
        *self = Self { next_scan: client.now + SCAN_INTERVAL, ..Self::default() };
        initialize(client);
        client.wake_in_background(self.next_scan, SCAN);
    }

    fn deliver(&mut self, event: &InformerEvent, client: &mut Client<'_>) {
        self.informers.apply(event);
        self.snapshot.apply(event);
        let was_unschedulable = event.before::<Pod>().is_some_and(is_unschedulable);
        if !was_unschedulable && event.after::<Pod>().is_some_and(is_unschedulable) {
            self.await_scan(client);
        }
    }

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        match token {
            SCAN => {
                self.next_scan = client.now + SCAN_INTERVAL;
                client.wake_in_background(self.next_scan, SCAN);
                self.run_once(client);
            }
            DELETIONS => self.advance_deletions(client),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_scheduler_gave_up_is_unschedulable() {
        let pod = |node: &str, status: &str, reason: &str| -> Pod {
            let condition = json!({ "type": "PodScheduled", "status": status, "reason": reason });
            serde_json::from_value(json!({
                "spec": { "nodeName": node, "containers": [] }, "status": { "conditions": [condition] },
            }))
            .expect("the pod is written out above")
        };
        assert!(is_unschedulable(&pod("", "False", "Unschedulable")));
        assert!(!is_unschedulable(&pod("", "False", "SchedulingGated")));
        assert!(!is_unschedulable(&pod("a", "False", "Unschedulable")));
        assert!(!is_unschedulable(&pod("", "True", "")));
    }
}
