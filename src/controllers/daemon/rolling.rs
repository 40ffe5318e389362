//! RollingUpdate: a node after another gets a pod of the new template.
//!
//! Follows `update.go` (`rollingUpdate`, `updatedDesiredNodeCounts`) and `util/daemonset_util.go`. Upstream goes through a
//! map of nodes; here they come in the order of their names.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::Resource;
use crate::client::ClientError;
use crate::controllers::pod_control::is_available;
use crate::machinery::intstr::{Round, scaled_value_of};

use super::manage::Changes;
use super::{Control, PodsByNode, is_updated, min_ready};

/// (maxSurge, maxUnavailable) among so many nodes, both rounded up: `SurgeCount` and `UnavailableCount`.
fn bounds(set: &DaemonSet, nodes: usize) -> (usize, usize) {
    let strategy = set.spec.as_ref().and_then(|spec| spec.update_strategy.as_ref());
    let rolling = strategy
        .filter(|strategy| strategy.type_.as_deref() == Some("RollingUpdate"))
        .and_then(|strategy| strategy.rolling_update.as_ref());
    let total = i32::try_from(nodes).unwrap_or(i32::MAX);
    let count = |value: Option<&IntOrString>| {
        let count = value.and_then(|value| scaled_value_of(Some(value), total, Round::Up).ok()).unwrap_or(0);
        usize::try_from(count).unwrap_or(0)
    };
    let surge = count(rolling.and_then(|rolling| rolling.max_surge.as_ref()));
    (surge, count(rolling.and_then(|rolling| rolling.max_unavailable.as_ref())))
}

/// Whether a node may have two pods for a moment: `AllowsSurge`.
pub(super) fn allows_surge(set: &DaemonSet) -> bool {
    bounds(set, 1).0 > 0
}

/// The pod of the new template on a node, and the one of an old template.
type NewAndOld<'a> = (Option<&'a Arc<Pod>>, Option<&'a Arc<Pod>>);

/// A node's pods that are not going, by what they are made of: `findUpdatedPodsOnNode`. `None` when there are several of
/// a sort, which `manage` sets right.
fn split<'a>(set: &DaemonSet, pods: &'a [Arc<Pod>], hash: &str) -> Option<NewAndOld<'a>> {
    let (mut new, mut old) = (None, None);
    for pod in pods.iter().filter(|pod| !pod.is_deleting()) {
        let place = if is_updated(pod, hash, set) { &mut new } else { &mut old };
        if place.replace(pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

impl Control<'_, '_> {
    /// One step of the roll-out: `rollingUpdate`.
    pub(super) fn roll(&mut self, by_node: &PodsByNode, hash: &str) -> Result<(), ClientError> {
        let mut by_node = by_node.clone();
        let wanting = self.nodes.iter().filter(|node| self.eligibility.of_node(node).should_run);
        let names: Vec<String> = wanting.map(|node| node.name().to_owned()).collect();
        let desired = names.len();
        for name in names {
            by_node.entry(name).or_default();
        }
        let (surge, mut unavailable) = bounds(&self.set, desired);
        // Nothing could ever move otherwise.
        if desired > 0 && surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        let changes = match surge {
            0 => self.plan_replacement(&by_node, hash, unavailable),
            _ => self.plan_surge(&by_node, hash, surge, desired),
        };
        self.apply(changes, hash)
    }

    fn is_available(&self, pod: &Pod) -> bool {
        is_available(pod, min_ready(&self.set), self.client.now)
    }

    /// Deletes as many old pods as may be unavailable; `manage` makes their successors.
    fn plan_replacement(&self, by_node: &PodsByNode, hash: &str, max_unavailable: usize) -> Changes {
        let mut unavailable = 0;
        let (mut broken, mut candidates) = (Vec::new(), Vec::new());
        for pods in by_node.values() {
            match split(&self.set, pods, hash) {
                Some((Some(new), None)) => unavailable += usize::from(!self.is_available(new)),
                Some((None, Some(old))) if !self.is_available(old) => {
                    broken.push(old.clone());
                    unavailable += 1;
                }
                Some((None, Some(old))) if unavailable < max_unavailable => candidates.push(old.clone()),
                Some((None, Some(_))) => {}
                // `manage` has something to do there.
                _ => unavailable += 1,
            }
        }
        let room = max_unavailable.saturating_sub(unavailable);
        let delete = broken.into_iter().chain(candidates.into_iter().take(room)).collect();
        Changes { create_on: Vec::new(), delete }
    }

    /// Makes new pods beside as many old ones as may be, and deletes old ones whose successor is available.
    fn plan_surge(&self, by_node: &PodsByNode, hash: &str, max_surge: usize, desired: usize) -> Changes {
        let (mut surging, mut available) = (0, 0);
        let (mut delete, mut leaving) = (Vec::new(), Vec::new());
        let (mut allowed, mut candidates) = (Vec::new(), Vec::new());
        for (name, pods) in by_node {
            let Some((new, old)) = split(&self.set, pods, hash) else {
                surging += 1;
                continue;
            };
            available += usize::from(old.or(new).is_some_and(|pod| self.is_available(pod)));
            match (new, old) {
                (_, None) => {}
                (None, Some(old)) => {
                    let node = self.nodes.iter().find(|node| node.name() == name);
                    let should_run = node.is_some_and(|node| self.eligibility.of_node(node).should_run);
                    match (should_run, self.is_available(old)) {
                        (false, false) => delete.push(old.clone()),
                        (false, true) => leaving.push(old.clone()),
                        (true, false) => allowed.push(name.clone()),
                        (true, true) if surging < max_surge => candidates.push(name.clone()),
                        (true, true) => {}
                    }
                }
                (Some(new), Some(_)) if !self.is_available(new) => surging += 1,
                (Some(_), Some(old)) => delete.push(old.clone()),
            }
        }
        // A pod that has to leave its node goes only when there are enough others.
        delete.extend(leaving.into_iter().take(available.saturating_sub(desired)));
        let room = max_surge.saturating_sub(surging);
        Changes { create_on: allowed.into_iter().chain(candidates.into_iter().take(room)).collect(), delete }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_bounds_round_up() {
        let table = [
            (json!({ "maxSurge": 0, "maxUnavailable": 1 }), 3, (0, 1)),
            (json!({ "maxSurge": 0, "maxUnavailable": "50%" }), 3, (0, 2)),
            (json!({ "maxSurge": "10%", "maxUnavailable": 0 }), 3, (1, 0)),
            (json!({ "maxSurge": "100%", "maxUnavailable": 0 }), 0, (0, 0)),
        ];
        for (rolling, nodes, expected) in table {
            let set: DaemonSet = serde_json::from_value(json!({
                "metadata": {},
                "spec": {
                    "selector": {}, "template": {},
                    "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": rolling },
                },
            }))
            .expect("the set is well-formed");
            assert_eq!(bounds(&set, nodes), expected, "{rolling} of {nodes}");
        }
    }
}
