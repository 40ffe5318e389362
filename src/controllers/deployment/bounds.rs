//! How many pods a Deployment wants, and how far it may stray from that while it rolls.
//!
//! Follows `kubernetes/pkg/controller/deployment/util/deployment_util.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::machinery::intstr::{Round, scaled_value_of};
use crate::machinery::time::Time;

/// Whether old pods go before new ones come.
pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref());
    strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// How many pods are wanted.
pub(super) fn wanted(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// How many a set wants.
pub(super) fn size(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

/// How many of a set's pods are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// How many pods of a set there are.
pub(super) fn actual(set: &ReplicaSet) -> i32 {
    set.status.as_ref().map_or(0, |status| status.replicas)
}

/// The sum of a number over sets.
pub(super) fn sum(sets: &[Arc<ReplicaSet>], of: impl Fn(&ReplicaSet) -> i32) -> i32 {
    sets.iter().fold(0, |sum, set| sum.saturating_add(of(set)))
}

/// (maxSurge, maxUnavailable) as numbers: `ResolveFenceposts`. Surge is rounded up and unavailable down, and when both
/// are 0 one pod may be unavailable, since nothing could ever move otherwise.
pub(super) fn fenceposts(deployment: &Deployment) -> (i32, i32) {
    let wanted = wanted(deployment);
    let rolling = deployment.spec.as_ref().and_then(|spec| spec.strategy.as_ref()?.rolling_update.as_ref());
    let resolve = |value: Option<&IntOrString>, round| scaled_value_of(value, wanted, round).unwrap_or(0);
    let surge = resolve(rolling.and_then(|rolling| rolling.max_surge.as_ref()), Round::Up);
    let unavailable = resolve(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), Round::Down);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// How many pods more than wanted there may be: `MaxSurge`.
pub(super) fn max_surge(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) { 0 } else { fenceposts(deployment).0 }
}

/// How many pods fewer than wanted may be available: `MaxUnavailable`.
pub(super) fn max_unavailable(deployment: &Deployment) -> i32 {
    if is_recreate(deployment) || wanted(deployment) == 0 {
        return 0;
    }
    fenceposts(deployment).1.min(wanted(deployment))
}

/// The size that the new set should have: `NewRSNewReplicas`.
pub(super) fn new_size(deployment: &Deployment, all: &[Arc<ReplicaSet>], new: i32) -> i32 {
    if is_recreate(deployment) {
        return wanted(deployment);
    }
    let total_max = wanted(deployment).saturating_add(max_surge(deployment));
    let total = sum(all, size);
    if total >= total_max {
        return new;
    }
    new + (total_max - total).min(wanted(deployment) - new)
}

/// The sets that want at least one pod: `FilterActiveReplicaSets`.
pub(super) fn active(sets: &[Arc<ReplicaSet>]) -> Vec<Arc<ReplicaSet>> {
    sets.iter().filter(|set| size(set) > 0).cloned().collect()
}

/// When a set was made, and its name for those of one second: `ReplicaSetsByCreationTimestamp`.
pub(super) fn creation(set: &ReplicaSet) -> (Option<Time>, String) {
    let created = set.metadata.creation_timestamp.as_ref().map(Time::from);
    (created, set.metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(replicas: i32, surge: serde_json::Value, unavailable: serde_json::Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": {},
            "spec": {
                "replicas": replicas,
                "selector": {},
                "template": {},
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": surge, "maxUnavailable": unavailable } },
            },
        }))
        .expect("the table's Deployments are well-formed")
    }

    #[test]
    fn percentages_round_surge_up_and_unavailable_down() {
        let table = [
            (3, json!("25%"), json!("25%"), (1, 0)),
            (10, json!("25%"), json!("25%"), (3, 2)),
            (5, json!(0), json!("50%"), (0, 2)),
            (1, json!(0), json!("50%"), (0, 1)),
            (4, json!("200%"), json!("100%"), (8, 4)),
            (8, json!(3), json!(2), (3, 2)),
        ];
        for (replicas, surge, unavailable, expected) in table {
            let deployment = deployment(replicas, surge.clone(), unavailable.clone());
            assert_eq!(fenceposts(&deployment), expected, "{replicas} with {surge} and {unavailable}");
        }
    }
}
