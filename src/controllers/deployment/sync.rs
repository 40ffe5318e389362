//! What is the same for every strategy: scaling a set, cleaning up old ones.
//!
//! Follows `sync.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{ClientError, EventType, Requeue};
use crate::etcd::Why;
use crate::machinery::order::Order as _;

use super::bounds::{self, actual, size};
use super::revision::{DESIRED_REPLICAS, annotation, revision, set_replicas_annotations};
use super::{Rollout, Sets};

impl Rollout<'_, '_> {
    /// A Deployment that is being deleted only counts: `syncStatusOnly`.
    pub(super) fn sync_status_only(&mut self, sets: &[Arc<ReplicaSet>]) -> Result<Requeue, ClientError> {
        let sets = self.sets(sets, false)?;
        self.sync_deployment_status(&sets)
    }

    /// A Deployment that is paused or was scaled keeps the proportion of its sets: `sync`.
    pub(super) fn sync(&mut self, sets: &[Arc<ReplicaSet>], paused: bool) -> Result<Requeue, ClientError> {
        let mut sets = self.sets(sets, false)?;
        self.scale(&mut sets)?;
        if paused {
            self.clean_up(&sets.old)?;
        }
        self.sync_deployment_status(&sets)
    }

    /// Whether the Deployment wants another number than when its sets were last scaled: `isScalingEvent`.
    pub(super) fn is_scaling_event(&mut self, sets: &[Arc<ReplicaSet>]) -> Result<bool, ClientError> {
        let sets = self.sets(sets, false)?;
        let wanted = bounds::wanted(&self.deployment);
        Ok(bounds::active(&sets.all()).iter().any(|set| {
            let desired = annotation(&set.metadata, DESIRED_REPLICAS);
            desired.and_then(|desired| desired.parse::<i32>().ok()).is_some_and(|desired| desired != wanted)
        }))
    }

    /// Brings a set to a size and tells of it: `scaleReplicaSetAndRecordEvent`. Says whether the size changed.
    pub(super) fn scale_set(&mut self, set: &Arc<ReplicaSet>, to: i32) -> Result<bool, ClientError> {
        if size(set) == to { Ok(false) } else { self.write_size(set, to) }
    }

    /// As [`Self::scale_set`], but the annotations are brought up to date even when the size stays: `scaleReplicaSet`.
    pub(super) fn write_size(&mut self, set: &Arc<ReplicaSet>, to: i32) -> Result<bool, ClientError> {
        let from = size(set);
        let mut changed = (**set).clone();
        let annotated =
            set_replicas_annotations(&self.deployment, changed.metadata.annotations.get_or_insert_default());
        if from == to && !annotated {
            return Ok(false);
        }
        changed.spec.get_or_insert_default().replicas = Some(to);
        self.client.because(Why::new(
            "Deployment {} wants {} pods; ReplicaSet {} goes from {} to {}.",
            [
                self.deployment.name().to_owned(),
                bounds::wanted(&self.deployment).to_string(),
                set.name().to_owned(),
                from.to_string(),
                to.to_string(),
            ],
        ));
        self.client.update(changed)?;
        if from != to {
            let direction = if from < to { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {} from {from} to {to}", set.name());
            self.client.event(&self.deployment, EventType::Normal, "ScalingReplicaSet", &message);
        }
        Ok(from != to)
    }

    /// Deletes old sets beyond the history that is kept: `cleanupDeployment`.
    pub(super) fn clean_up(&mut self, old: &[Arc<ReplicaSet>]) -> Result<(), ClientError> {
        let limit = self.deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
        let Some(limit) = limit.filter(|&limit| limit != i32::MAX) else { return Ok(()) };
        let mut sets: Vec<_> = old.iter().filter(|set| !set.is_deleting()).cloned().collect();
        let limit = usize::try_from(limit).unwrap_or(0);
        let Some(surplus) = sets.len().checked_sub(limit).filter(|&surplus| surplus > 0) else { return Ok(()) };
        sets.order_by_key(|set| (revision(&set.metadata), bounds::creation(set)));
        for set in sets.into_iter().take(surplus) {
            let observed = set.status.as_ref().and_then(|status| status.observed_generation);
            if actual(&set) != 0 || size(&set) != 0 || set.metadata.generation > observed {
                continue;
            }
            self.client.because(Why::new(
                "Deployment {} keeps {} old ReplicaSets.",
                [self.deployment.name().to_owned(), limit.to_string()],
            ));
            match self.client.delete(Kind::ReplicaSet, &set.key(), DeleteOptions::default()) {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether what is written in the cache is the end of the roll-out; then old sets can go.
    pub(super) fn clean_up_when_complete(&mut self, sets: &Sets) -> Result<(), ClientError> {
        let status = self.deployment.status.clone().unwrap_or_default();
        if super::progress::is_complete(&self.deployment, &status) { self.clean_up(&sets.old) } else { Ok(()) }
    }
}
