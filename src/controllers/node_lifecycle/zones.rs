//! How fast pods are driven from the nodes of a zone: slower the more of the zone is ill, since then it is more likely
//! that the control plane is at fault.
//!
//! Follows `kubernetes/pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go` and `handleDisruption`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::Node;

use crate::machinery::time::Time;

/// One node each ten seconds: `--node-eviction-rate` 0.1.
const INTERVAL: Duration = Duration::from_secs(10);
/// `--secondary-node-eviction-rate` 0.01, for a large zone that is partly down.
const SECONDARY_INTERVAL: Duration = Duration::from_secs(100);
/// From this many nodes on a zone is large: `--large-cluster-size-threshold` + 1.
const LARGE: usize = 51;
/// A zone is partly down from this share of ill nodes on, in percent: `--unhealthy-zone-threshold`.
const UNHEALTHY_PERCENT: usize = 55;
/// ... if there are more than this many ill nodes.
const UNHEALTHY_MIN: usize = 2;

/// The zone of a node: region and zone as `GetZoneKey` joins them, with a letter where it has a NUL.
pub(super) fn zone_of(node: &Node) -> String {
    let label =
        |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str);
    format!("{}:{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

/// What comes next in a zone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// No node waits, or none may be touched while the zone is as it is.
    Nothing,
    /// The rate allows no node before this.
    NotBefore(Time),
    /// This one.
    Node(String),
}

#[derive(Clone, Debug)]
struct Zone {
    waiting: VecDeque<String>,
    /// The time between two nodes; `None` while none is touched.
    interval: Option<Duration>,
    next_at: Time,
}

impl Default for Zone {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), interval: Some(INTERVAL), next_at: Time::default() }
    }
}

/// The zones of a cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones {
    zones: OrdMap<String, Zone>,
}

/// The time between two nodes in a zone with so many ill and well ones: `ReducedQPSFunc`.
fn interval(ill: usize, well: usize) -> Option<Duration> {
    let all = ill + well;
    let partly = well > 0 && ill > UNHEALTHY_MIN && ill * 100 >= UNHEALTHY_PERCENT * all;
    match partly {
        false => Some(INTERVAL),
        true if all >= LARGE => Some(SECONDARY_INTERVAL),
        true => None,
    }
}

impl Zones {
    /// Puts a node at the end of its zone's queue. Says whether it is new there.
    pub(super) fn push(&mut self, zone: &str, node: &str) -> bool {
        let zone = self.zones.entry(zone.to_owned()).or_default();
        let new = !zone.waiting.iter().any(|known| known == node);
        if new {
            zone.waiting.push_back(node.to_owned());
        }
        new
    }

    pub(super) fn forget(&mut self, zone: &str, node: &str) {
        if let Some(zone) = self.zones.get_mut(zone) {
            zone.waiting.retain(|known| known != node);
        }
    }

    pub(super) fn forget_everywhere(&mut self, node: &str) {
        let zones: Vec<String> = self.zones.keys().cloned().collect();
        for zone in zones {
            self.forget(&zone, node);
        }
    }

    /// Takes the next node of a zone, if the rate allows it now.
    pub(super) fn pop(&mut self, zone: &str, now: Time) -> Next {
        let Some(zone) = self.zones.get_mut(zone).filter(|zone| !zone.waiting.is_empty()) else { return Next::Nothing };
        let Some(interval) = zone.interval else { return Next::NotBefore(now + INTERVAL) };
        if now < zone.next_at {
            return Next::NotBefore(zone.next_at);
        }
        zone.next_at = now + interval;
        zone.waiting.pop_front().map_or(Next::Nothing, Next::Node)
    }

    /// Sets each zone's rate by how many of its nodes are well: `handleDisruption`. When every node everywhere is ill,
    /// nothing is driven away at all.
    pub(super) fn update(&mut self, states: &[(String, bool)]) {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (zone, well) in states {
            let count = counts.entry(zone).or_default();
            if *well { count.1 += 1 } else { count.0 += 1 }
        }
        let all_ill = !states.is_empty() && states.iter().all(|(_, well)| !well);
        for (zone, (ill, well)) in counts {
            let rate = if all_ill { None } else { interval(ill, well) };
            self.zones.entry(zone.to_owned()).or_default().interval = rate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_is_partly_down_is_left_alone_unless_it_is_large() {
        let table = [
            ((1, 2), Some(INTERVAL)),
            ((2, 1), Some(INTERVAL)),
            ((3, 1), None),
            ((3, 0), Some(INTERVAL)),
            ((40, 20), Some(SECONDARY_INTERVAL)),
        ];
        for ((ill, well), expected) in table {
            assert_eq!(interval(ill, well), expected, "{ill} ill, {well} well");
        }
    }

    #[test]
    fn one_node_each_ten_seconds() {
        let mut zones = Zones::default();
        let now = Time::DEFAULT_START;
        assert!(zones.push("z", "a") && zones.push("z", "b") && !zones.push("z", "a"));
        assert_eq!(zones.pop("z", now), Next::Node("a".to_owned()));
        assert_eq!(zones.pop("z", now), Next::NotBefore(now + INTERVAL));
        assert_eq!(zones.pop("z", now + INTERVAL), Next::Node("b".to_owned()));
        assert_eq!(zones.pop("z", now + INTERVAL * 2), Next::Nothing);
    }
}
