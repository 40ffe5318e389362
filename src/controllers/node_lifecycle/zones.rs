//! How fast pods are driven from the nodes of a zone: slower the more of the zone is ill, since then it is more likely
//! that the control plane is at fault.
//!
//! Follows `handleDisruption` and `ComputeZoneState` of `node_lifecycle_controller.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::Node;

use crate::machinery::time::Time;

use super::tainter::{Next, Tainter};

/// One node each ten seconds: `--node-eviction-rate` 0.1.
const EVICTION_INTERVAL: Duration = Duration::from_secs(10);
/// `--secondary-node-eviction-rate` 0.01, for a large zone that is partly down.
const SECONDARY_EVICTION_INTERVAL: Duration = Duration::from_secs(100);
/// A zone with more nodes than this is large: `--large-cluster-size-threshold`.
const LARGE_CLUSTER_THRESHOLD: usize = 50;
/// A zone is partly down from this share of ill nodes on, in percent: `--unhealthy-zone-threshold`.
const UNHEALTHY_ZONE_PERCENT: usize = 55;
/// ... if there are more than this many ill nodes.
const UNHEALTHY_NODES_MIN: usize = 2;

/// The zone of a node: `GetZoneKey`, with a letter where that has a NUL.
pub(super) fn zone_of(node: &Node) -> String {
    let label =
        |name: &str| node.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str);
    let (region, zone) = (label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"));
    if region.is_empty() && zone.is_empty() { String::new() } else { format!("{region}:{zone}") }
}

/// `ZoneState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Initial,
    Normal,
    PartialDisruption,
    FullDisruption,
}

/// What became of the cluster as a whole since the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is as it was.
    AsBefore,
    /// No node is ready any more, so no pod is driven from any: master disruption mode.
    Entered,
    /// Some node is ready again.
    Left,
}

/// The zones of a cluster. A zone without nodes loses its state, but keeps its queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones {
    states: OrdMap<String, State>,
    tainters: OrdMap<String, Tainter>,
}

/// `ComputeZoneState`, of whether each node of a zone is ready.
fn compute_state(nodes: &[bool]) -> State {
    let ready = nodes.iter().filter(|ready| **ready).count();
    let ill = nodes.len() - ready;
    if ready == 0 && ill > 0 {
        State::FullDisruption
    } else if ill > UNHEALTHY_NODES_MIN && ill * 100 >= UNHEALTHY_ZONE_PERCENT * nodes.len() {
        State::PartialDisruption
    } else {
        State::Normal
    }
}

/// The time between two nodes in a zone of so many; `None` when none is touched: `setLimiterInZone`.
fn interval(state: State, nodes: usize) -> Option<Duration> {
    match state {
        State::Initial | State::Normal | State::FullDisruption => Some(EVICTION_INTERVAL),
        State::PartialDisruption if nodes > LARGE_CLUSTER_THRESHOLD => Some(SECONDARY_EVICTION_INTERVAL),
        State::PartialDisruption => None,
    }
}

impl Zones {
    /// Whether the zone has a state, as one has since a node of it was first seen.
    pub(super) fn knows(&self, zone: &str) -> bool {
        self.states.contains_key(zone)
    }

    /// Makes a zone known: `addPodEvictorForNewZone`.
    pub(super) fn add(&mut self, zone: String) {
        if !self.knows(&zone) {
            self.states.insert(zone.clone(), State::Initial);
            self.tainters.insert(zone, Tainter::new(EVICTION_INTERVAL));
        }
    }

    fn tainter(&mut self, zone: &str) -> &mut Tainter {
        self.tainters.entry(zone.to_owned()).or_insert_with(|| Tainter::new(EVICTION_INTERVAL))
    }

    /// Puts a node into its zone's queue, unless it is or was there already.
    pub(super) fn push(&mut self, zone: &str, node: &str) {
        self.tainter(zone).add(node);
    }

    /// Lets a node come into its zone's queue again.
    pub(super) fn remove(&mut self, zone: &str, node: &str) {
        self.tainter(zone).remove(node);
    }

    /// Takes the next node of a zone, if the rate allows it now.
    pub(super) fn pop(&mut self, zone: &str, now: Time) -> Next {
        self.tainter(zone).pop(now)
    }

    /// Puts back a node that could not be tainted.
    pub(super) fn put_back(&mut self, zone: &str, node: String) {
        self.tainter(zone).put_back(node);
    }

    /// The zones in whose queues nodes wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &String> {
        self.tainters.iter().filter(|(_, tainter)| tainter.is_waiting()).map(|(zone, _)| zone)
    }

    /// Sets each zone's rate by which of its nodes are ready: `handleDisruption`.
    pub(super) fn handle_disruption(&mut self, zones: &BTreeMap<String, Vec<bool>>, now: Time) -> Mode {
        let new: BTreeMap<&str, State> =
            zones.iter().map(|(zone, nodes)| (zone.as_str(), compute_state(nodes))).collect();
        for &zone in new.keys() {
            self.states.entry(zone.to_owned()).or_insert(State::Initial);
        }
        self.states = self.states.iter().filter(|(zone, _)| zones.contains_key(*zone)).map(clone_pair).collect();
        let all_are = new.values().all(|state| *state == State::FullDisruption);
        let all_were = self.states.values().all(|state| *state == State::FullDisruption);
        if all_are && all_were {
            return Mode::AsBefore;
        }
        let before = self.states.clone();
        for (&zone, &state) in &new {
            let rate = if all_are { None } else { interval(state, zones[zone].len()) };
            if all_are || all_were || before.get(zone) != Some(&state) {
                self.tainter(zone).swap_interval(rate, now);
            }
            self.states.insert(zone.to_owned(), state);
        }
        match (all_are, all_were) {
            (true, _) => Mode::Entered,
            (_, true) => Mode::Left,
            _ => Mode::AsBefore,
        }
    }
}

fn clone_pair((zone, state): (&String, &State)) -> (String, State) {
    (zone.clone(), *state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(ill: usize, ready: usize) -> Option<Duration> {
        let nodes = [vec![false; ill], vec![true; ready]].concat();
        interval(compute_state(&nodes), nodes.len())
    }

    #[test]
    fn a_zone_that_is_partly_down_is_left_alone_unless_it_is_large() {
        let table = [
            ((1, 2), Some(EVICTION_INTERVAL)),
            ((2, 1), Some(EVICTION_INTERVAL)),
            ((3, 1), None),
            ((3, 0), Some(EVICTION_INTERVAL)),
            ((5, 4), None),
            ((3, 3), Some(EVICTION_INTERVAL)),
            ((40, 20), Some(SECONDARY_EVICTION_INTERVAL)),
            ((28, 22), None),
        ];
        for ((ill, ready), expected) in table {
            assert_eq!(rate(ill, ready), expected, "{ill} ill, {ready} ready");
        }
    }

    #[test]
    fn no_pod_is_driven_away_while_no_node_is_ready_anywhere() {
        let look = |zones: &mut Zones, a: &[bool], b: &[bool], second| {
            let nodes = BTreeMap::from([("a".to_owned(), a.to_vec()), ("b".to_owned(), b.to_vec())]);
            zones.handle_disruption(&nodes, Time::DEFAULT_START + Duration::from_secs(second))
        };
        let mut zones = Zones::default();
        let at = |second| Time::DEFAULT_START + Duration::from_secs(second);
        assert_eq!(look(&mut zones, &[true], &[true], 0), Mode::AsBefore);
        assert_eq!(look(&mut zones, &[false], &[true], 5), Mode::AsBefore, "a single zone's fall is believed");
        zones.push("a", "n");
        assert_eq!(look(&mut zones, &[false], &[false], 10), Mode::Entered);
        assert_eq!(look(&mut zones, &[false], &[false], 15), Mode::AsBefore);
        assert_eq!(zones.pop("a", at(16)), Next::Nothing);
        assert_eq!(look(&mut zones, &[false], &[true], 20), Mode::Left);
        assert_eq!(zones.pop("a", at(20)), Next::NotBefore(at(30)));
        assert_eq!(zones.pop("a", at(30)), Next::Node("n".to_owned()));
    }
}
