//! Notices nodes that fell silent, and taints nodes for the state that they are in.
//!
//! Guarantees that a node without a sign of life for [`health::MONITOR_GRACE_PERIOD`] has every condition at Unknown,
//! that a node's conditions stand on it as `NoSchedule` taints at once, and as `NoExecute` taints as fast as the rate
//! of its zone allows, and that no pod on a node that is not ready counts as ready. Watches Nodes, Leases and Pods.
//! Follows `kubernetes/pkg/controller/nodelifecycle` and `pkg/controller/util/node`.
//!
//! Where upstream's loop over the nodes waits for its client's rate limit, this one looks at all nodes in one moment;
//! marking pods, which may be many, goes through the queue and so at the client's rate.

mod health;
mod labels;
mod pods;
mod tainter;
mod taints;
mod zones;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::client::node_taints::{has_taint, remove_taints, swap_taints};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::persistent::{OrdMap, OrdSet};

use super::pod_control::node_name;
use health::NodeHealth;
use tainter::Next;
use zones::{Mode, Zones, zone_of};

/// How long it takes until a cordoned node has its taint: in the recorded cluster another kubectl was faster
/// (`scheduling/wake-up`).
const CORDON_DELAY: Duration = Duration::from_millis(250);
/// How often nodes are looked at: `--node-monitor-period`.
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// How often the zones' queues are looked at: `NodeEvictionPeriod`.
const NODE_EVICTION_PERIOD: Duration = Duration::from_millis(100);
/// How many times a look at a node is tried: `NodeHealthUpdateRetry`.
const NODE_HEALTH_UPDATE_RETRY: usize = 5;
/// Where the kubelets' leases are.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Nodes with this label do not count when a zone's state is found: `labelNodeDisruptionExclusion`.
const EXCLUDE_DISRUPTION: &str = "node.kubernetes.io/exclude-disruption";

// Keys without a namespace are nodes, and those with one are pods. No namespace has a slash, so two may stand for more.
/// A zone whose next `NoExecute` taint may be due.
const ZONE: &str = "zone/";
/// A node whose pods are to be marked.
const PODS_OF: &str = "pods-of/";

/// The node lifecycle controller.
#[derive(Clone, Debug, Default)]
pub struct NodeLifecycleController {
    /// The nodes that were seen at the last look, with their uids: `knownNodeSet`.
    known: OrdMap<Name, Name>,
    health: OrdMap<Name, NodeHealth>,
    zones: Zones,
    /// The nodes of which not all pods could be marked: `nodesToRetry`.
    nodes_to_retry: OrdSet<Name>,
}

/// What a look at a node showed: the status of its `Ready` condition before this controller changed it, and after.
struct Look {
    node: Arc<Node>,
    observed: String,
    current: Option<String>,
}

fn node_key(name: &Name) -> ObjectKey {
    ObjectKey::new("", name.clone())
}

fn ready_status(node: &Node) -> Option<&str> {
    health::ready(node).map(|ready| ready.status.as_str())
}

/// An event about a node: `RecordNodeEvent`.
fn tell(name: &str, uid: &str, reason: &str, message: &str, client: &mut Client<'_>) {
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    client.event_about(&about, EventType::Normal, reason, message);
}

impl NodeLifecycleController {
    /// Welcomes new nodes and forgets those that are gone: `classifyNodes` and what follows it.
    fn classify(&mut self, nodes: &[Arc<Node>], client: &mut Client<'_>) {
        let mut gone = self.known.clone();
        for node in nodes {
            let name = Name::from(node.name());
            self.zones.add(zone_of(node));
            if gone.remove(&name).is_some() {
                continue;
            }
            let message = format!("Node {name} event: Registered Node {name} in Controller");
            tell(&name, node.uid(), "RegisteredNode", &message, client);
            client.because(Why::new("Node {} is new to the controller.", [name.to_string()]));
            self.known.insert(name, Name::from(node.uid()));
            self.mark_reachable(node, client);
        }
        for (name, uid) in &gone {
            let message = format!("Node {name} event: Removing Node {name} from Controller");
            tell(name, uid, "RemovingNode", &message, client);
            self.known.remove(name);
        }
    }

    /// Finds out how a node is, and writes it down when it fell silent: `tryUpdateNodeHealth`.
    fn try_update_health(
        &mut self,
        node: Arc<Node>,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<Look, ClientError> {
        let name = Name::from(node.name());
        let lease = listers.get::<Lease>(&ObjectKey::new(LEASE_NAMESPACE, name.clone())).map(|lease| &**lease);
        let mut health = NodeHealth::observe(self.health.get(&name).cloned(), &node, lease, client.now);
        let observed = ready_status(&node).unwrap_or("Unknown").to_owned();
        let silenced = if health.is_silent(client.now) { health::silenced(&node, client.now) } else { None };
        let mut written = Ok(node);
        if let Some(silenced) = silenced {
            client.because(Why::new(
                "Nothing was heard of node {} for {} seconds.",
                [name.to_string(), health.grace_period().as_secs().to_string()],
            ));
            written = client.update_status(silenced).inspect(|node| health.wrote(node, lease));
        }
        self.health.insert(name, health);
        let node = written?;
        let current = ready_status(&node).map(str::to_owned);
        Ok(Look { node, observed, current })
    }

    /// Looks at a node, anew when somebody else changed it in between. `None` when it cannot be.
    fn update_health(&mut self, node: &Arc<Node>, listers: &Informers, client: &mut Client<'_>) -> Option<Look> {
        let mut node = node.clone();
        for _ in 0..NODE_HEALTH_UPDATE_RETRY {
            match self.try_update_health(node.clone(), listers, client) {
                Ok(look) => return Some(look),
                Err(_) => node = client.get::<Node>(&node.key()).ok()?,
            }
        }
        None
    }

    /// The body of `monitorNodeHealth`: `None` when nothing is known of the node, otherwise whether it is ready.
    fn monitor(&mut self, node: &Arc<Node>, listers: &Informers, client: &mut Client<'_>) -> Option<bool> {
        let look = self.update_health(node, listers, client)?;
        let name = Name::from(look.node.name());
        let Some(current) = &look.current else {
            self.nodes_to_retry.remove(&name);
            return Some(false);
        };
        self.process_eviction(&look, client);
        let fell = current != "True" && look.observed == "True";
        if fell {
            let message = format!("Node {name} status is now: NodeNotReady");
            tell(&name, look.node.uid(), "NodeNotReady", &message, client);
        }
        let needs_retry = self.nodes_to_retry.remove(&name);
        if fell || (needs_retry && look.observed != "True") {
            client.enqueue(ObjectKey::new(PODS_OF, name));
        }
        Some(current == "True")
    }

    /// Puts a node into the queue for the `NoExecute` taint of its state, or takes such taints off:
    /// `processTaintBaseEviction`.
    fn process_eviction(&mut self, look: &Look, client: &mut Client<'_>) {
        let Some((right, wrong)) = taints::no_execute(&look.observed) else {
            client.because(Why::new("Node {} is ready again.", [look.node.name().to_owned()]));
            return self.mark_reachable(&look.node, client);
        };
        if has_taint(&look.node, &wrong) {
            client.because(Why::new("Node {} is ill in another way than before.", [look.node.name().to_owned()]));
            // What fails comes again with the next look.
            let _ = swap_taints(&look.node, vec![right], &[wrong], client);
            return;
        }
        let (zone, name) = (zone_of(&look.node), look.node.name());
        if !has_taint(&look.node, &right) {
            self.zones.remove(&zone, name);
        }
        self.zones.push(&zone, name);
    }

    /// Takes the `NoExecute` taints of ill health off a node: `markNodeAsReachable`.
    fn mark_reachable(&mut self, node: &Node, client: &mut Client<'_>) {
        let taken = remove_taints(node, &[taints::unreachable()], client)
            .and_then(|()| remove_taints(node, &[taints::not_ready()], client));
        if taken.is_ok() {
            self.zones.remove(&zone_of(node), node.name());
        }
    }

    /// Gives the next node of a zone its `NoExecute` taint: `doNoExecuteTaintingPass`.
    fn taint_next(&mut self, zone: &str, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        client.reserve(4)?;
        let name = match self.zones.pop(zone, client.now) {
            Next::Nothing => return Ok(Requeue::Forget),
            Next::NotBefore(time) => return Ok(Requeue::After(time.since(client.now))),
            Next::Node(name) => name,
        };
        if let Some(node) = listers.get::<Node>(&ObjectKey::new("", name.as_str()))
            && !Self::taint(node, client)
        {
            self.zones.put_back(zone, name);
        }
        Ok(Requeue::After(NODE_EVICTION_PERIOD))
    }

    /// Says whether nothing is left to do about the node.
    fn taint(node: &Node, client: &mut Client<'_>) -> bool {
        let Some(status) = ready_status(node) else { return false };
        let Some((right, wrong)) = taints::no_execute(status) else { return true };
        client.because(Why::new(
            "Node {} is not ready: its pods have to go when their tolerations end.",
            [node.name().to_owned()],
        ));
        swap_taints(node, vec![right], &[wrong], client).is_ok()
    }

    /// Brings a node's `NoSchedule` taints and its labels in line with its state: `doNodeProcessingPassWorker`.
    fn process_node(node: &Node, client: &mut Client<'_>) -> Result<(), ClientError> {
        let (missing, extra) = taints::no_schedule_changes(node);
        if !missing.is_empty() || !extra.is_empty() {
            client.reserve(4)?;
            client.because(Why::new("The taints of node {} follow its conditions.", [node.name().to_owned()]));
            // Upstream does not come back to what failed either: the node's next change does.
            let _ = swap_taints(node, missing, &extra, client);
        }
        labels::reconcile(node, client)
    }

    /// Whether a node was found not to be ready, and has not spoken since.
    fn is_lost(&self, name: &Name, listers: &Informers) -> bool {
        let Some(found) = self.health.get(name).and_then(|health| health.ready.as_ref()) else { return false };
        let now = listers.get::<Node>(&node_key(name)).and_then(|node| health::ready(node));
        found.status != "True" && now.is_some_and(|now| now.last_heartbeat_time == found.last_heartbeat_time)
    }

    /// A pod that reaches a node which is known to be lost is not ready: `processPod`.
    fn process_pod(&self, pod: &Pod, listers: &Informers, client: &mut Client<'_>) -> Result<(), ClientError> {
        let name = Name::from(node_name(pod));
        let ready = self.health.get(&name).and_then(|health| health.ready.as_ref());
        let is_lost = ready.is_some_and(|ready| ready.status != "True");
        if is_lost && listers.get::<Node>(&node_key(&name)).is_some() {
            pods::mark_not_ready(pod, client)
        } else {
            Ok(())
        }
    }
}

impl Controller for NodeLifecycleController {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    /// `UpdateWorkerSize`.
    fn workers(&self) -> usize {
        8
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node), WatchSpec::all(Kind::Lease), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Node if event.after.is_some() => {
                let is_cordoned = |node: &Node| node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
                let (before, after) = (event.before::<Node>().map(is_cordoned), event.after::<Node>().map(is_cordoned));
                if before.is_some() && before != after {
                    queue.add_after(event.key.clone(), CORDON_DELAY);
                } else {
                    queue.add(event.key.clone());
                }
            }
            Kind::Node => {
                self.nodes_to_retry.remove(&event.key.name);
            }
            Kind::Pod => {
                let node = |pod: &Pod| node_name(pod).to_owned();
                let after = event.after::<Pod>().map(node).filter(|node| !node.is_empty());
                if after.is_some() && after != event.before::<Pod>().map(node) {
                    queue.add(event.key.clone());
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        match &*key.namespace {
            ZONE => return self.taint_next(&key.name, listers, client),
            PODS_OF => {
                if self.is_lost(&key.name, listers) && !pods::mark_all_not_ready(&key.name, listers, client)? {
                    self.nodes_to_retry.insert(key.name.clone());
                }
            }
            "" => {
                if let Some(node) = listers.get::<Node>(key) {
                    Self::process_node(node, client)?;
                }
            }
            _ => {
                if let Some(pod) = listers.get::<Pod>(key) {
                    self.process_pod(pod, listers, client)?;
                }
            }
        }
        Ok(Requeue::Forget)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn period(&self) -> Option<Duration> {
        Some(MONITOR_PERIOD)
    }

    fn tick(&mut self, listers: &Informers, queue: &mut WorkQueue, client: &mut Client<'_>) {
        let nodes: Vec<Arc<Node>> = listers.list::<Node>().cloned().collect();
        self.classify(&nodes, client);
        let mut zones: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for node in &nodes {
            let Some(is_ready) = self.monitor(node, listers, client) else { continue };
            if !node.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(EXCLUDE_DISRUPTION)) {
                zones.entry(zone_of(node)).or_default().push(is_ready);
            }
        }
        match self.zones.handle_disruption(&zones, client.now) {
            Mode::AsBefore => {}
            Mode::Entered => {
                client.because(Why::plain("No node is ready at all: more likely the control plane cannot see them."));
                nodes.iter().for_each(|node| self.mark_reachable(node, client));
            }
            Mode::Left => {
                for node in &nodes {
                    if let Some(health) = self.health.get_mut(&Name::from(node.name())) {
                        health.probed_at = client.now;
                    }
                }
            }
        }
        for zone in self.zones.waiting() {
            queue.add_after(ObjectKey::new(ZONE, zone.as_str()), NODE_EVICTION_PERIOD);
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
