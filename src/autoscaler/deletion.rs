//! How a node is removed: closed, drained, and its machine given back.
//!
//! Follows `cluster-autoscaler/core/scaledown/actuation`. Upstream runs a thread a node, which sleeps; here a removal knows
//! what comes next and when.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;

use crate::api::{Kind, Name, ObjectKey, Resource, Subresource};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::client::node_taints::{add_or_update_taints, remove_taints, taint};
use crate::client::{Client, ClientError, EventType, Informers};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_SCHEDULE;
use crate::scheduler::node_info::NodeInfo;
use crate::scheduler::pod_info::PodInfo;

use super::readiness::node_of;
use super::scale_down::{Removable, Utilization, grace_seconds, is_daemon, is_mirror, pods_to_move};
use super::status::tell;
use super::{Snapshot, TO_BE_DELETED_TAINT};

/// `NodeDeleteDelayAfterTaint`: so long the scheduler has to see that the node is closed.
const DELAY_AFTER_TAINT: Duration = Duration::from_secs(5);
/// `MaxPodEvictionTime`: how long a refused eviction is tried again.
const MAX_POD_EVICTION_TIME: Duration = Duration::from_secs(120);
/// `DefaultEvictionRetryTime`.
const EVICTION_RETRY_TIME: Duration = Duration::from_secs(10);
/// `MaxGracefulTerminationSec`: pods get no longer to end by themselves.
const MAX_GRACEFUL_TERMINATION_SECONDS: i64 = 600;
/// That, and `DefaultPodEvictionHeadroom`: after this the drain has failed.
const MAX_TERMINATION: Duration = Duration::from_secs(630);
/// How often it is seen whether pods are gone.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Annotation of daemons' pods: `EnableDsEvictionKey`.
const ENABLE_DAEMON_EVICTION: &str = "cluster-autoscaler.kubernetes.io/enable-ds-eviction";

/// What is being done.
#[derive(Clone, Debug)]
enum Stage {
    /// The node is closed, and everybody is to see that.
    Closed,
    /// Pods are evicted: those that still have to be, all of them, and until when it is tried.
    Evicting { left: Vec<Arc<PodInfo>>, all: Vec<Arc<PodInfo>>, until: Time },
    /// The pods end.
    Leaving { pods: Vec<Arc<PodInfo>>, until: Time },
}

/// A node that is being removed.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub node: Name,
    pub group: Name,
    /// Whether pods have to go first.
    pub drains: bool,
    stage: Stage,
    /// When it goes on.
    pub due: Time,
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It goes on.
    GoesOn,
    /// The machine is to be given back.
    Done,
    /// It was given up.
    Failed,
}

fn event(node: &Node, event_type: EventType, reason: &str, message: &str, client: &mut Client<'_>) {
    client.event(node, event_type, reason, message);
}

impl Deletion {
    /// Closes a node, and begins to remove it: `taintNodesSync`, `deleteAsyncEmpty` and `deleteAsyncDrain`.
    pub(super) fn begin(found: &Removable, group: Name, client: &mut Client<'_>) -> Result<Self, ClientError> {
        let Some(node) = &found.node.node else { return Err(ClientError::Unreachable) };
        let name = node.name();
        let mark = taint(TO_BE_DELETED_TAINT, NO_SCHEDULE);
        let mark = k8s_openapi::api::core::v1::Taint { value: Some(client.now.as_secs().to_string()), ..mark };
        client.because(Why::new("Node {} has not been needed for ten minutes and is removed.", [name.to_owned()]));
        if let Err(error) = add_or_update_taints(name, &[mark], client) {
            let message = format!("failed to mark the node as toBeDeleted/unschedulable: {error}");
            event(node, EventType::Warning, "ScaleDownFailed", &message, client);
            return Err(error);
        }
        event(node, EventType::Normal, "ScaleDown", "marked the node as toBeDeleted/unschedulable", client);
        let drains = !found.pods.is_empty();
        if drains {
            let pods: Vec<&str> = evictable(&found.node).map(|pod| &*pod.key.name).collect();
            let utilization = Utilization::of(&found.node, client.now);
            let message = format!(
                "Scale-down: removing node {name}, utilization: {utilization}, pods to reschedule: {}",
                pods.join(",")
            );
            tell(EventType::Normal, "ScaleDown", &message, client);
        } else {
            let message = format!("Scale-down: removing empty node {name:?}");
            tell(EventType::Normal, "ScaleDownEmpty", &message, client);
        }
        let due = client.now + DELAY_AFTER_TAINT;
        Ok(Self { node: found.node.name.clone(), group, drains, stage: Stage::Closed, due })
    }

    /// Does what is due.
    pub(super) fn advance(&mut self, snapshot: &Snapshot, listers: &Informers, client: &mut Client<'_>) -> Progress {
        match self.stage.clone() {
            Stage::Closed => self.start(snapshot, listers, client),
            Stage::Evicting { left, all, until } => self.evict(left, all, until, listers, client),
            Stage::Leaving { pods, until } => self.look(pods, until, listers, client),
        }
    }

    /// Sees what is on the node now, and begins to drain it: `deleteNodesAsync`.
    fn start(&mut self, snapshot: &Snapshot, listers: &Informers, client: &mut Client<'_>) -> Progress {
        let Some(node) = snapshot.node(&self.node) else { return Progress::Failed };
        match pods_to_move(node, listers, client.now) {
            Err(blocking) => {
                let why = format!("GetPodsToMove for {:?} returned error: {}", &*self.node, blocking.0);
                self.fail(&why, listers, client)
            }
            Ok(pods) if !self.drains && !pods.is_empty() => {
                let why = format!("failed to delete empty node {:?}, new pods scheduled", &*self.node);
                self.fail(&why, listers, client)
            }
            Ok(_) if !self.drains => self.done(listers, client),
            Ok(_) => {
                let daemons = node.pods.iter().filter(|pod| is_daemon(&pod.pod) && may_evict_daemon(&pod.pod));
                for pod in daemons {
                    announce(pod, &self.node, client);
                    // The node goes with them or without them.
                    let _ = evict(pod, client);
                }
                let pods: Vec<Arc<PodInfo>> = evictable(node).cloned().collect();
                for pod in &pods {
                    announce(pod, &self.node, client);
                }
                let until = client.now + MAX_POD_EVICTION_TIME;
                self.evict(pods.clone(), pods, until, listers, client)
            }
        }
    }

    /// `initiateEviction`.
    fn evict(
        &mut self,
        left: Vec<Arc<PodInfo>>,
        all: Vec<Arc<PodInfo>>,
        until: Time,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Progress {
        let mut refused = Vec::new();
        for pod in left {
            client.because(Why::new(
                "Pod {} has to leave node {}, which is being removed.",
                [pod.key.name.to_string(), self.node.to_string()],
            ));
            match evict(&pod, client) {
                Err(error) if !error.is_not_found() => refused.push((pod, error)),
                _ => {}
            }
        }
        if refused.is_empty() {
            let until = client.now + MAX_TERMINATION;
            return self.look(all, until, listers, client);
        }
        if client.now >= until {
            let mut errors = Vec::new();
            for (pod, error) in refused {
                let message = "failed to delete pod for ScaleDown";
                client.event(&*pod.pod, EventType::Warning, "ScaleDownFailed", message);
                let (namespace, name) = (&pod.key.namespace, &pod.key.name);
                errors.push(format!(
                    "failed to evict pod {namespace}/{name} within allowed timeout (last error: {error})"
                ));
            }
            let errors = errors.join(" ");
            let why = format!("Failed to drain node /{}, due to following errors: [{errors}]", self.node);
            return self.fail(&why, listers, client);
        }
        let left = refused.into_iter().map(|(pod, _)| pod).collect();
        self.stage = Stage::Evicting { left, all, until };
        self.due = client.now + EVICTION_RETRY_TIME;
        Progress::GoesOn
    }

    /// `waitPodsToDisappear`.
    fn look(&mut self, pods: Vec<Arc<PodInfo>>, until: Time, listers: &Informers, client: &mut Client<'_>) -> Progress {
        let is_gone = |pod: &Arc<PodInfo>, client: &mut Client<'_>| match client.get::<Pod>(&pod.key) {
            Ok(there) => there.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) != Some(&*self.node),
            Err(error) => error.is_not_found(),
        };
        if pods.iter().all(|pod| is_gone(pod, client)) {
            return self.done(listers, client);
        }
        if client.now >= until {
            let why = format!("Failed to drain node /{}: pods remaining after timeout", self.node);
            return self.fail(&why, listers, client);
        }
        self.stage = Stage::Leaving { pods, until };
        self.due = client.now + LOOK_INTERVAL;
        Progress::GoesOn
    }

    /// `RegisterAndRecordSuccessfulScaleDownEvent`.
    fn done(&self, listers: &Informers, client: &mut Client<'_>) -> Progress {
        if let Some(node) = node_of(&self.node, listers) {
            event(node, EventType::Normal, "ScaleDown", "nodes removed by cluster autoscaler", client);
        }
        if self.drains {
            let message = format!("Scale-down: node {} removed with drain", self.node);
            tell(EventType::Normal, "ScaleDown", &message, client);
        } else {
            let message = format!("Scale-down: empty node {} removed", self.node);
            tell(EventType::Normal, "ScaleDownEmpty", &message, client);
        }
        Progress::Done
    }

    /// `CleanUpAndRecordFailedScaleDownEvent`.
    fn fail(&self, why: &str, listers: &Informers, client: &mut Client<'_>) -> Progress {
        let Some(node) = node_of(&self.node, listers) else { return Progress::Failed };
        let what = if self.drains { "failed to drain and delete node" } else { "failed to delete empty node" };
        event(node, EventType::Warning, "ScaleDownFailed", &format!("{what}: {why}"), client);
        client.because(Why::new("Node {} could not be removed, and is open again.", [self.node.to_string()]));
        // What fails is a taint more on a node that nobody removes; upstream leaves it at that, too.
        let _ = remove_taints(node, &[taint(TO_BE_DELETED_TAINT, NO_SCHEDULE)], client);
        Progress::Failed
    }
}

/// The pods that are evicted, and waited for: `podsToEvict`.
fn evictable(node: &NodeInfo) -> impl Iterator<Item = &Arc<PodInfo>> {
    node.pods.iter().filter(|pod| !is_daemon(&pod.pod) && !is_mirror(&pod.pod))
}

/// `DaemonSetEvictionForOccupiedNodes`, unless the pod's annotation says otherwise.
fn may_evict_daemon(pod: &Pod) -> bool {
    let note = pod.metadata.annotations.as_ref().and_then(|all| all.get(ENABLE_DAEMON_EVICTION));
    note.is_none_or(|value| value != "false")
}

fn announce(pod: &PodInfo, node: &str, client: &mut Client<'_>) {
    client.because(Why::new(
        "Pod {} has to leave node {}, which is being removed.",
        [pod.key.name.to_string(), node.to_owned()],
    ));
    client.event(&*pod.pod, EventType::Normal, "ScaleDown", "deleting pod for node scale down");
}

fn evict(pod: &PodInfo, client: &mut Client<'_>) -> Result<(), ClientError> {
    let grace = grace_seconds(&pod.pod).min(MAX_GRACEFUL_TERMINATION_SECONDS);
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": { "name": &*pod.key.name, "namespace": &*pod.key.namespace },
        "deleteOptions": { "gracePeriodSeconds": grace },
    });
    let key = ObjectKey::new(&*pod.key.namespace, &*pod.key.name);
    let target = Target { subresource: Some(Subresource::Eviction), ..Target::object(Kind::Pod, &key) };
    client.request(target, Verb::Create { body: Body::Json(eviction), options: WriteOptions::default() }).map(drop)
}
