//! The rolling update: up with the new, down with the old, within the bounds.
//!
//! Follows `rolling.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::client::{ClientError, Requeue};
use crate::machinery::order::Order as _;

use super::bounds::{active, available, creation, max_unavailable, new_size, size, sum, wanted};
use super::{Rollout, Sets};

/// How many of each old set's unavailable pods go, of at most `most`: `cleanupUnhealthyReplicas`. A set that was scaled
/// down and still tells of the pods that it had ends it: what it says is too old to go on with, which the flag tells.
fn plan_unhealthy(old: &[Arc<ReplicaSet>], most: i32) -> (Vec<(Arc<ReplicaSet>, i32)>, bool) {
    let mut gone = 0;
    let mut plan = Vec::new();
    for set in old {
        if gone >= most {
            break;
        }
        if size(set) == 0 || size(set) == available(set) {
            continue;
        }
        let down = (most - gone).min(size(set) - available(set));
        if down < 0 {
            return (plan, true);
        }
        gone += down;
        plan.push((set.clone(), size(set) - down));
    }
    (plan, false)
}

/// How many pods of each old set go, of `count` in all: `scaleDownOldReplicaSetsForRollingUpdate`.
fn plan_scale_down(old: &[(Arc<ReplicaSet>, i32)], count: i32) -> Vec<(Arc<ReplicaSet>, i32)> {
    let mut gone = 0;
    let mut plan = Vec::new();
    for (set, size) in old {
        if gone >= count {
            break;
        }
        let down = (*size).min(count - gone);
        if down > 0 {
            gone += down;
            plan.push((set.clone(), size - down));
        }
    }
    plan
}

impl Rollout<'_, '_> {
    /// One step of the roll-out: `rolloutRolling`.
    pub(super) fn rollout_rolling(&mut self, sets: &[Arc<ReplicaSet>]) -> Result<Requeue, ClientError> {
        let sets = self.sets(sets, true)?;
        if self.reconcile_new(&sets)? || self.reconcile_old(&sets)? {
            return self.sync_rollout_status(&sets);
        }
        self.clean_up_when_complete(&sets)?;
        self.sync_rollout_status(&sets)
    }

    fn reconcile_new(&mut self, sets: &Sets) -> Result<bool, ClientError> {
        let Some(new) = &sets.new else { return Ok(false) };
        let (have, wanted) = (size(new), wanted(&self.deployment));
        let to = match have.cmp(&wanted) {
            std::cmp::Ordering::Equal => return Ok(false),
            std::cmp::Ordering::Greater => wanted,
            std::cmp::Ordering::Less => new_size(&self.deployment, &sets.all(), have),
        };
        self.scale_set(new, to)
    }

    fn reconcile_old(&mut self, sets: &Sets) -> Result<bool, ClientError> {
        let mut old = active(&sets.old);
        if old.is_empty() {
            return Ok(false);
        }
        let all = sets.all();
        let least_available = wanted(&self.deployment) - max_unavailable(&self.deployment);
        let new_unavailable = sets.new.as_ref().map_or(0, |new| size(new) - available(new));
        let most = sum(&all, size) - least_available - new_unavailable;
        if most <= 0 {
            return Ok(false);
        }
        old.order_by_key(|set| creation(set));
        let (unhealthy, is_outdated) = plan_unhealthy(&old, most);
        let mut sizes: Vec<(Arc<ReplicaSet>, i32)> = old.iter().map(|set| (set.clone(), size(set))).collect();
        let mut changed = false;
        for (set, to) in unhealthy {
            changed |= size(&set) != to;
            let updated = self.scale_old(&set, to)?;
            if let Some(entry) = sizes.iter_mut().find(|(known, _)| known.metadata.uid == set.metadata.uid) {
                *entry = (updated, to);
            }
        }
        if is_outdated {
            return Ok(false);
        }
        let surplus = sum(&all, available) - least_available;
        if surplus > 0 {
            for (set, to) in plan_scale_down(&sizes, surplus) {
                self.scale_set(&set, to)?;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// Scales an old set and reads it again, since it may be scaled twice in one step.
    fn scale_old(&mut self, set: &Arc<ReplicaSet>, to: i32) -> Result<Arc<ReplicaSet>, ClientError> {
        if self.scale_set(set, to)? {
            return self.client.get(&crate::api::Resource::key(&**set));
        }
        Ok(set.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(size: i32, available: i32) -> Arc<ReplicaSet> {
        let set = json!({
            "metadata": {},
            "spec": { "replicas": size, "selector": {} },
            "status": { "replicas": size, "availableReplicas": available },
        });
        Arc::new(serde_json::from_value(set).expect("the table's sets are well-formed"))
    }

    #[test]
    fn unhealthy_pods_go_first_and_an_outdated_status_ends_it() {
        type Sizes = Vec<(i32, i32)>;
        let table: [(Sizes, i32, Sizes, bool); 5] = [
            (vec![(3, 3)], 2, vec![], false),
            (vec![(4, 1)], 2, vec![(4, 2)], false),
            (vec![(2, 0), (0, 0), (3, 1)], 3, vec![(2, 0), (3, 2)], false),
            // Scaled from 14 to 5 a moment ago, and its status does not know yet.
            (vec![(5, 14)], 1, vec![], true),
            (vec![(2, 1), (5, 14)], 3, vec![(2, 1)], true),
        ];
        for (sets, most, expected, outdated) in table {
            let sets: Vec<_> = sets.into_iter().map(|(size, available)| set(size, available)).collect();
            let (plan, is_outdated) = plan_unhealthy(&sets, most);
            let plan: Sizes = plan.iter().map(|(set, to)| (size(set), *to)).collect();
            assert_eq!((plan, is_outdated), (expected, outdated), "{sets:?}");
        }
    }
}
