//! Scaling in the middle of a roll-out: every set gets its share.
//!
//! Follows `sync.go` (`scale`) and `util/deployment_util.go` (`GetReplicaSetProportion`).

use std::cmp::Reverse;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use crate::client::ClientError;
use crate::machinery::order::Order as _;

use super::bounds::{self, active, available, creation, max_surge, size, sum, wanted};
use super::revision::{DESIRED_REPLICAS, MAX_REPLICAS, annotation};
use super::{Rollout, Sets};

/// The one set that all replicas belong to, if there is only one: `FindActiveOrLatest`.
fn active_or_latest(sets: &Sets) -> Option<Arc<ReplicaSet>> {
    match active(&sets.all()).as_slice() {
        [] => sets.new.clone().or_else(|| sets.old.iter().max_by_key(|set| creation(set)).cloned()),
        [only] => Some(only.clone()),
        _ => None,
    }
}

/// Whether the new set has all it should have: `IsSaturated`.
fn is_saturated(deployment: &Deployment, new: Option<&Arc<ReplicaSet>>) -> bool {
    new.is_some_and(|new| {
        let desired = annotation(&new.metadata, DESIRED_REPLICAS).and_then(|desired| desired.parse().ok());
        let wanted = wanted(deployment);
        size(new) == wanted && desired == Some(wanted) && available(new) == wanted
    })
}

/// How much a set grows or shrinks with its Deployment: `getReplicaSetFraction`.
fn fraction(set: &ReplicaSet, deployment: &Deployment) -> i32 {
    if wanted(deployment) == 0 {
        return -size(set);
    }
    let most = wanted(deployment).saturating_add(max_surge(deployment));
    let before = annotation(&set.metadata, MAX_REPLICAS).and_then(|most| most.parse::<i32>().ok());
    let before = before.filter(|&before| before != 0);
    let before = before.or_else(|| deployment.status.as_ref()?.replicas.filter(|&replicas| replicas != 0));
    let Some(before) = before else { return 0 };
    let target = f64::from(size(set)) * f64::from(most) / f64::from(before);
    // Halves are rounded away from zero, as Go's integer.RoundToInt32 does. The sizes are far from i32's bounds.
    target.round() as i32 - size(set)
}

/// A set's share of what is to be added (or, below zero, taken away), of which `added` is given already.
fn proportion(set: &ReplicaSet, deployment: &Deployment, to_add: i32, added: i32) -> i32 {
    if size(set) == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let (share, allowed) = (fraction(set, deployment), to_add - added);
    if to_add > 0 { share.min(allowed) } else { share.max(allowed) }
}

/// The sizes that sets should get when a Deployment is scaled while it rolls.
fn proportional_sizes(deployment: &Deployment, sets: &Sets) -> Vec<(Arc<ReplicaSet>, i32)> {
    let mut all = active(&sets.all());
    let allowed = if wanted(deployment) > 0 { wanted(deployment).saturating_add(max_surge(deployment)) } else { 0 };
    let to_add = allowed - sum(&all, size);
    // The larger sets first; of equal ones the newer get more and the older lose more.
    if to_add > 0 {
        all.order_by_key(|set| (Reverse(size(set)), Reverse(creation(set))));
    } else {
        all.order_by_key(|set| (Reverse(size(set)), creation(set)));
    }
    let mut added = 0;
    let mut sizes: Vec<(Arc<ReplicaSet>, i32)> = all
        .into_iter()
        .map(|set| {
            let share = proportion(&set, deployment, to_add, added);
            added += share;
            let to = size(&set) + share;
            (set, to)
        })
        .collect();
    if to_add != 0
        && let Some((_, first)) = sizes.first_mut()
    {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

impl Rollout<'_, '_> {
    /// Brings the sets to the Deployment's size without rolling on: `scale`.
    pub(super) fn scale(&mut self, sets: &mut Sets) -> Result<(), ClientError> {
        if let Some(only) = active_or_latest(sets) {
            let wanted = bounds::wanted(&self.deployment);
            self.scale_set(&only, wanted)?;
            return Ok(());
        }
        if is_saturated(&self.deployment, sets.new.as_ref()) {
            for set in active(&sets.old) {
                self.scale_set(&set, 0)?;
            }
            return Ok(());
        }
        if !bounds::is_recreate(&self.deployment) {
            for (set, to) in proportional_sizes(&self.deployment, sets) {
                self.write_size(&set, to)?;
            }
        }
        Ok(())
    }
}
