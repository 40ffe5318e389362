//! Recreate: all old pods go before the first new one comes.
//!
//! Follows `recreate.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::api::{Resource, controller_of};
use crate::client::{ClientError, Requeue};
use crate::controllers::pod_control::phase;

use super::bounds::{active, actual, sum, wanted};
use super::{Rollout, Sets, pods_of};

impl Rollout<'_, '_> {
    /// One step of the roll-out: `rolloutRecreate`.
    pub(super) fn rollout_recreate(&mut self, known: &[Arc<ReplicaSet>]) -> Result<Requeue, ClientError> {
        let mut sets = self.sets(known, false)?;
        let mut scaled = false;
        for set in active(&sets.old) {
            scaled |= self.scale_set(&set, 0)?;
        }
        if scaled || self.old_pods_run(&sets) {
            return self.sync_rollout_status(&sets);
        }
        if sets.new.is_none() {
            sets = self.sets(known, true)?;
        }
        if let Some(new) = sets.new.clone() {
            let wanted = wanted(&self.deployment);
            self.scale_set(&new, wanted)?;
        }
        self.clean_up_when_complete(&sets)?;
        self.sync_rollout_status(&sets)
    }

    /// Whether a pod of an old set is still there: `oldPodsRunning`.
    fn old_pods_run(&self, sets: &Sets) -> bool {
        if sum(&sets.old, actual) > 0 {
            return true;
        }
        pods_of(&self.deployment, self.listers).iter().any(|pod| {
            let owner = controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
            let is_new = sets.new.as_ref().is_some_and(|new| Some(new.uid()) == owner);
            !is_new && !matches!(phase(pod), "Failed" | "Succeeded")
        })
    }
}
