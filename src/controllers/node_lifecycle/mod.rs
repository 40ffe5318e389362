//! Notices nodes that fell silent, and taints nodes for the state that they are in.
//!
//! Guarantees that a node without a sign of life for [`health::MONITOR_GRACE_PERIOD`] has every condition at Unknown,
//! that a node's conditions stand on it as `NoSchedule` taints at once, and as `NoExecute` taints as fast as the rate
//! of its zone allows. Watches Nodes, Leases and Pods. Follows `kubernetes/pkg/controller/nodelifecycle`
//! (`node_lifecycle_controller.go`, `scheduler/rate_limited_queue.go`) and `pkg/controller/util/node`.
//!
//! Not simulated: the reconciliation of the beta labels.

mod health;
mod taints;
mod zones;

use std::sync::Arc;
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::controllers::pod_control::is_ready;
use crate::etcd::Why;

use health::{NodeHealth, Verdict};
use zones::Zones;

/// How often nodes are looked at: `--node-monitor-period`.
const MONITOR_PERIOD: Duration = Duration::from_secs(5);
/// Where the kubelets' leases are.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// Keys in this namespace are zones whose next `NoExecute` taint is due; all others are nodes.
const ZONE_KEYS: &str = "zone";

/// The node lifecycle controller.
#[derive(Clone, Debug, Default)]
pub struct NodeLifecycleController {
    health: OrdMap<Name, NodeHealth>,
    zones: Zones,
}

/// The `Ready` condition's status; Unknown when there is none.
fn ready_status(node: &Node) -> &str {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().find(|condition| condition.type_ == "Ready").map_or("Unknown", |ready| ready.status.as_str())
}

impl NodeLifecycleController {
    /// Looks at one node: `monitorNodeHealth`'s body. `None` when its health could not be written.
    fn monitor(&mut self, node: &Arc<Node>, listers: &Informers, client: &mut Client<'_>) -> Option<Arc<Node>> {
        let name = Name::from(node.name());
        let lease = listers.get::<Lease>(&ObjectKey::new(LEASE_NAMESPACE, name.clone()));
        let known = self.health.get(&name).cloned();
        if known.is_none() {
            let message = format!("Node {name} event: Registered Node {name} in Controller");
            client.event_about(&about(node), EventType::Normal, "RegisteredNode", &message);
        }
        let mut health = NodeHealth::observe(known, node, lease.map(|lease| &**lease), client.now);
        let verdict = health.judge(node, client.now);
        let current = match verdict {
            Verdict::Alive => node.clone(),
            Verdict::Silent(changed) => {
                client.because(Why::new(
                    "Nothing was heard of node {} for {} seconds.",
                    [name.to_string(), health::MONITOR_GRACE_PERIOD.as_secs().to_string()],
                ));
                match client.update_status(*changed) {
                    Ok(updated) => {
                        health.wrote(&updated);
                        updated
                    }
                    Err(_) => return None,
                }
            }
        };
        self.health.insert(name, health);
        Some(current)
    }

    /// Queues a node for the `NoExecute` taint of its state, or takes such taints off: `processTaintBaseEviction`.
    fn process_eviction(&mut self, observed: &Node, queue: &mut WorkQueue, client: &mut Client<'_>) {
        let zone = zones::zone_of(observed);
        if ready_status(observed) == "True" {
            self.zones.forget(&zone, observed.name());
            taints::remove_no_execute(observed, client);
        } else if !taints::has_right_no_execute(observed) && self.zones.push(&zone, observed.name()) {
            queue.add(ObjectKey::new(ZONE_KEYS, zone));
        }
    }

    /// The pods of a node that is not ready cannot be ready either: `MarkPodsNotReady`.
    fn mark_pods_not_ready(node: &Node, listers: &Informers, client: &mut Client<'_>) {
        for pod in listers.pods_on(node.name()).filter(|pod| is_ready(pod)) {
            client.because(Why::new("Node {} is not ready.", [node.name().to_owned()]));
            let condition = serde_json::json!({
                "type": "Ready",
                "status": "False",
                "lastTransitionTime": client.now.to_meta(),
            });
            let patch = serde_json::json!({ "status": { "conditions": [condition] } });
            if client.patch_status::<Pod>(&pod.key(), patch).is_ok() {
                client.event(&**pod, EventType::Warning, "NodeNotReady", "Node is not ready");
            }
        }
    }

    /// Gives the next node of a zone its `NoExecute` taint, as fast as the zone's rate allows.
    fn taint_next(&mut self, zone: &str, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        match self.zones.pop(zone, client.now) {
            zones::Next::Nothing => Ok(Requeue::Forget),
            zones::Next::NotBefore(time) => Ok(Requeue::After(time.since(client.now))),
            zones::Next::Node(name) => {
                if let Some(node) = listers.get::<Node>(&ObjectKey::new("", name.clone()))
                    && let Err(error) = taints::set_no_execute(node, client)
                {
                    self.zones.push(zone, &name);
                    return Err(error);
                }
                Ok(Requeue::After(Duration::from_millis(100)))
            }
        }
    }
}

/// The reference under which events about nodes are written: by name as uid, as upstream does.
fn about(node: &Node) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Node".to_owned()),
        name: Some(node.name().to_owned()),
        uid: Some(node.uid().to_owned()),
        ..ObjectReference::default()
    }
}

impl Controller for NodeLifecycleController {
    fn name(&self) -> &'static str {
        "node-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Node), WatchSpec::all(Kind::Lease), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Node => queue.add(event.key.clone()),
            // A pod that reaches a node which is known to be lost is told so at once.
            Kind::Pod => {
                let Some(pod) = event.after::<Pod>() else { return };
                let node = crate::controllers::pod_control::node_name(pod);
                let moved = event.before::<Pod>().is_none_or(|before| before.spec != pod.spec);
                if moved && !node.is_empty() {
                    let key = ObjectKey::new("", node);
                    if listers.get::<Node>(&key).is_some_and(|node| ready_status(node) != "True") {
                        queue.add(key);
                    }
                }
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        if &*key.namespace == ZONE_KEYS {
            return self.taint_next(&key.name, listers, client);
        }
        let Some(node) = listers.get::<Node>(key).cloned() else {
            if self.health.remove(&key.name).is_some() {
                self.zones.forget_everywhere(&key.name);
                let about = ObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Node".to_owned()),
                    name: Some(key.name.to_string()),
                    ..ObjectReference::default()
                };
                let message = format!("Node {0} event: Removing Node {0} from Controller", key.name);
                client.event_about(&about, EventType::Normal, "RemovingNode", &message);
            }
            return Ok(Requeue::Forget);
        };
        taints::reconcile_no_schedule(&node, client)?;
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
        let mut states = Vec::with_capacity(nodes.len());
        for node in &nodes {
            let Some(current) = self.monitor(node, listers, client) else { continue };
            states.push((zones::zone_of(&current), ready_status(&current) == "True"));
            self.process_eviction(node, queue, client);
            let (observed, now) = (ready_status(node), ready_status(&current));
            if observed == "True" && now != "True" {
                let message = format!("Node {} status is now: NodeNotReady", node.name());
                client.event_about(&about(node), EventType::Normal, "NodeNotReady", &message);
            }
            if now != "True" {
                Self::mark_pods_not_ready(&current, listers, client);
            }
        }
        self.zones.update(&states);
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
