//! Whether a node gives signs of life: a heartbeat in its status, or a renewed lease.
//!
//! Follows `tryUpdateNodeHealth` of `kubernetes/pkg/controller/nodelifecycle/node_lifecycle_controller.go`. What counts
//! is when this controller saw something change, not what time the node wrote: clocks differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time as MetaTime};

use crate::machinery::time::Time;

/// How long a node may be silent: `--node-monitor-grace-period`.
pub(super) const MONITOR_GRACE_PERIOD: Duration = Duration::from_secs(50);
/// How long a new node may be silent before its first word: `--node-startup-grace-period`.
const STARTUP_GRACE_PERIOD: Duration = Duration::from_secs(60);

/// The conditions that a kubelet keeps up to date.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is remembered of a node from one look to the next.
#[derive(Clone, Debug)]
pub(super) struct NodeHealth {
    heartbeat: Option<MetaTime>,
    renewed: Option<MicroTime>,
    /// When the last sign of life was seen.
    seen_at: Time,
}

/// What a look at a node shows.
pub(super) enum Verdict {
    /// It is alive, or its silence is told already.
    Alive,
    /// It fell silent; this is the node as it should be written.
    Silent(Box<Node>),
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

fn created(node: &Node) -> Time {
    node.metadata.creation_timestamp.as_ref().map_or_else(Time::default, Time::from)
}

impl NodeHealth {
    /// Takes in what the node shows now.
    pub(super) fn observe(known: Option<Self>, node: &Node, lease: Option<&Lease>, now: Time) -> Self {
        let heartbeat = ready(node).and_then(|ready| ready.last_heartbeat_time.clone());
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.clone());
        let Some(known) = known else {
            let seen_at = if ready(node).is_some() { now } else { created(node) };
            return Self { heartbeat, renewed, seen_at };
        };
        let spoke = heartbeat != known.heartbeat || renewed > known.renewed;
        Self { heartbeat, renewed: renewed.max(known.renewed), seen_at: if spoke { now } else { known.seen_at } }
    }

    /// Whether the node has been silent for too long.
    pub(super) fn judge(&self, node: &Node, now: Time) -> Verdict {
        let grace = if ready(node).is_some() { MONITOR_GRACE_PERIOD } else { STARTUP_GRACE_PERIOD };
        if now <= self.seen_at + grace {
            return Verdict::Alive;
        }
        let mut changed = node.clone();
        let conditions = changed.status.get_or_insert_default().conditions.get_or_insert_default();
        let mut news = false;
        for condition_type in CONDITIONS {
            match conditions.iter_mut().find(|condition| condition.type_ == condition_type) {
                None => {
                    news = true;
                    conditions.push(NodeCondition {
                        type_: condition_type.to_owned(),
                        status: "Unknown".to_owned(),
                        reason: Some("NodeStatusNeverUpdated".to_owned()),
                        message: Some("Kubelet never posted node status.".to_owned()),
                        last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                        last_transition_time: Some(now.to_meta()),
                    });
                }
                Some(condition) if condition.status != "Unknown" => {
                    news = true;
                    condition.status = "Unknown".to_owned();
                    condition.reason = Some("NodeStatusUnknown".to_owned());
                    condition.message = Some("Kubelet stopped posting node status.".to_owned());
                    condition.last_transition_time = Some(now.to_meta());
                }
                Some(_) => {}
            }
        }
        if news { Verdict::Silent(Box::new(changed)) } else { Verdict::Alive }
    }

    /// Remembers what this controller wrote, so that it does not take its own words for the node's.
    pub(super) fn wrote(&mut self, node: &Node) {
        self.heartbeat = ready(node).and_then(|ready| ready.last_heartbeat_time.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(heartbeat: Time) -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": { "name": "a", "creationTimestamp": Time::DEFAULT_START.to_meta() },
            "status": { "conditions": [
                { "type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat.to_meta() },
            ] },
        }))
        .expect("the node is written out above")
    }

    #[test]
    fn silence_counts_from_the_last_change_that_was_seen() {
        let start = Time::DEFAULT_START;
        let at = |seconds| start + Duration::from_secs(seconds);
        let health = NodeHealth::observe(None, &node(start), None, at(10));
        let health = NodeHealth::observe(Some(health), &node(at(12)), None, at(15));
        let health = NodeHealth::observe(Some(health), &node(at(12)), None, at(60));
        assert!(matches!(health.judge(&node(at(12)), at(65)), Verdict::Alive));
        let Verdict::Silent(changed) = health.judge(&node(at(12)), at(66)) else { panic!("50 s of silence are over") };
        let conditions = changed.status.and_then(|status| status.conditions).unwrap_or_default();
        let told: Vec<_> = conditions.iter().map(|c| (c.type_.as_str(), c.reason.as_deref())).collect();
        assert_eq!(told[0], ("Ready", Some("NodeStatusUnknown")));
        assert_eq!(told[1], ("MemoryPressure", Some("NodeStatusNeverUpdated")));
    }
}
