//! Whether a node gives signs of life: a heartbeat in its status, or a renewed lease.
//!
//! Follows `tryUpdateNodeHealth` of `kubernetes/pkg/controller/nodelifecycle/node_lifecycle_controller.go`. What counts
//! is when this controller saw something change, not what time the node wrote: clocks differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::machinery::time::Time;

/// How long a node may be silent: `--node-monitor-grace-period`.
pub(super) const MONITOR_GRACE_PERIOD: Duration = Duration::from_secs(50);
/// How long a new node may be silent before its first word: `--node-startup-grace-period`.
pub(super) const STARTUP_GRACE_PERIOD: Duration = Duration::from_secs(60);

/// The conditions that a kubelet keeps up to date.
const CONDITIONS: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// What is remembered of a node from one look to the next: `nodeHealthData`.
///
/// The record goes by the node's name and outlives the Node object: one that is made anew under the same name
/// inherits it, and is taken for silent until something about it differs.
#[derive(Clone, Debug)]
pub(super) struct NodeHealth {
    /// The `Ready` condition as it was seen last.
    pub(super) ready: Option<NodeCondition>,
    /// When the last sign of life was seen: `probeTimestamp`.
    pub(super) probed_at: Time,
    /// When the last lease that was seen was renewed.
    renewed: Option<Option<MicroTime>>,
}

/// A node's `Ready` condition.
pub(super) fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

impl NodeHealth {
    /// Takes in what the node shows now.
    pub(super) fn observe(known: Option<Self>, node: &Node, lease: Option<&Lease>, now: Time) -> Self {
        let current = ready(node);
        let saved_lease = known.as_ref().and_then(|known| known.renewed.clone());
        let anew = || Self { ready: current.cloned(), probed_at: now, renewed: None };
        let mut health = match known {
            // Its kubelet has said nothing yet, so the time since its creation counts.
            None if current.is_none() => {
                let created = node.metadata.creation_timestamp.as_ref().map_or_else(Time::default, Time::from);
                Self { probed_at: created, ..anew() }
            }
            None => anew(),
            Some(known) => match (&known.ready, current) {
                (_, None) => Self { ready: None, ..known },
                (Some(saved), Some(current)) if saved.last_heartbeat_time == current.last_heartbeat_time => known,
                (_, Some(_)) => anew(),
            },
        };
        let renewed = lease.map(|lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.clone()));
        let is_renewed = match (&saved_lease, &renewed) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(saved), Some(renewed)) => saved.is_some() && saved < renewed,
        };
        if is_renewed {
            health.renewed = renewed;
            health.probed_at = now;
        }
        health
    }

    /// How long the node may be silent.
    pub(super) fn grace_period(&self) -> Duration {
        if self.ready.is_some() { MONITOR_GRACE_PERIOD } else { STARTUP_GRACE_PERIOD }
    }

    /// Whether the node has been silent for too long.
    pub(super) fn is_silent(&self, now: Time) -> bool {
        now > self.probed_at + self.grace_period()
    }

    /// Remembers what this controller wrote, so that it does not take its own words for the node's.
    pub(super) fn wrote(&mut self, node: &Node, lease: Option<&Lease>) {
        self.ready = ready(node).cloned();
        self.renewed = lease.map(|lease| lease.spec.as_ref().and_then(|spec| spec.renew_time.clone()));
    }
}

/// A silent node with all its conditions at Unknown; `None` when its `Ready` condition says so already.
///
/// `NetworkUnavailable` is left alone, for it is no kubelet's.
pub(super) fn silenced(node: &Node, now: Time) -> Option<Node> {
    let mut changed = node.clone();
    let conditions = changed.status.get_or_insert_default().conditions.get_or_insert_default();
    for condition_type in CONDITIONS {
        match conditions.iter_mut().find(|condition| condition.type_ == condition_type) {
            None => conditions.push(NodeCondition {
                type_: condition_type.to_owned(),
                status: "Unknown".to_owned(),
                reason: Some("NodeStatusNeverUpdated".to_owned()),
                message: Some("Kubelet never posted node status.".to_owned()),
                last_heartbeat_time: node.metadata.creation_timestamp.clone(),
                last_transition_time: Some(now.to_meta()),
            }),
            Some(condition) if condition.status != "Unknown" => {
                condition.status = "Unknown".to_owned();
                condition.reason = Some("NodeStatusUnknown".to_owned());
                condition.message = Some("Kubelet stopped posting node status.".to_owned());
                condition.last_transition_time = Some(now.to_meta());
            }
            Some(_) => {}
        }
    }
    (ready(&changed) != ready(node)).then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::DEFAULT_START + Duration::from_secs(seconds)
    }

    fn node(heartbeat: Time) -> Node {
        serde_json::from_value(serde_json::json!({
            "metadata": { "name": "a", "creationTimestamp": at(0).to_meta() },
            "status": { "conditions": [
                { "type": "Ready", "status": "True", "lastHeartbeatTime": heartbeat.to_meta() },
            ] },
        }))
        .expect("the node is written out above")
    }

    fn lease(renewed: Time) -> Lease {
        serde_json::from_value(serde_json::json!({ "spec": { "renewTime": renewed.to_micro() } }))
            .expect("the lease is written out above")
    }

    #[test]
    fn silence_counts_from_the_last_change_that_was_seen() {
        let health = NodeHealth::observe(None, &node(at(0)), None, at(10));
        let health = NodeHealth::observe(Some(health), &node(at(12)), None, at(15));
        let health = NodeHealth::observe(Some(health), &node(at(12)), None, at(60));
        assert!(!health.is_silent(at(65)));
        assert!(health.is_silent(at(66)), "50 s of silence are over");
    }

    #[test]
    fn a_renewed_lease_is_a_sign_of_life_and_an_old_one_is_none() {
        let health = NodeHealth::observe(None, &node(at(0)), Some(&lease(at(5))), at(10));
        let health = NodeHealth::observe(Some(health), &node(at(0)), Some(&lease(at(30))), at(31));
        let health = NodeHealth::observe(Some(health), &node(at(0)), Some(&lease(at(30))), at(80));
        assert_eq!(health.probed_at, at(31));
    }

    #[test]
    fn a_node_that_is_made_anew_inherits_its_record() {
        let health = NodeHealth::observe(None, &node(at(0)), None, at(10));
        let health = NodeHealth::observe(Some(health), &node(at(0)), None, at(100));
        assert!(health.is_silent(at(100)), "nothing about it differs from the one that was deleted");
    }

    #[test]
    fn a_node_without_a_word_has_a_minute_from_its_creation() {
        let mut fresh = node(at(0));
        fresh.status = None;
        let health = NodeHealth::observe(None, &fresh, None, at(20));
        assert!(!health.is_silent(at(60)) && health.is_silent(at(61)));
        let told = silenced(&fresh, at(61)).and_then(|node| node.status?.conditions).unwrap_or_default();
        assert!(told.iter().all(|condition| condition.reason.as_deref() == Some("NodeStatusNeverUpdated")));
    }

    #[test]
    fn conditions_that_were_told_become_unknown_and_missing_ones_are_added() {
        let changed = silenced(&node(at(0)), at(66)).expect("the node was ready");
        let conditions = changed.status.clone().and_then(|status| status.conditions).unwrap_or_default();
        let told: Vec<_> = conditions.iter().map(|c| (c.type_.as_str(), c.reason.as_deref())).collect();
        assert_eq!(told[0], ("Ready", Some("NodeStatusUnknown")));
        assert_eq!(told[1], ("MemoryPressure", Some("NodeStatusNeverUpdated")));
        assert_eq!(silenced(&changed, at(80)), None, "it is told already");
    }
}
