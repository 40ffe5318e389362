//! How a Deployment's status and conditions follow its sets.
//!
//! Follows `progress.go` and `sync.go` (`calculateStatus`) and `util/deployment_util.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};

use crate::api::Resource;
use crate::client::{ClientError, Requeue};
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::bounds::{actual, available, max_unavailable, size, sum, wanted};
use super::{Rollout, Sets};

/// A stuck Deployment is looked at a second after its deadline, since times know whole seconds only.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

/// How long the Deployment may make no progress; `None` when nobody minds: `HasProgressDeadline`.
pub(super) fn deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.as_ref()?.progress_deadline_seconds.filter(|&seconds| seconds != i32::MAX)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// Whether all pods are new and available: `DeploymentComplete`.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = wanted(deployment);
    status.updated_replicas.unwrap_or(0) == wanted
        && status.replicas.unwrap_or(0) == wanted
        && status.available_replicas.unwrap_or(0) == wanted
        && status.observed_generation >= deployment.metadata.generation
}

/// Whether anything moved since the last status: `DeploymentProgressing`.
fn is_progressing(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let before = deployment.status.clone().unwrap_or_default();
    let number = |value: Option<i32>| value.unwrap_or(0);
    let old = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
    number(status.updated_replicas) > number(before.updated_replicas)
        || old(status) < old(&before)
        || number(status.ready_replicas) > number(before.ready_replicas)
        || number(status.available_replicas) > number(before.available_replicas)
}

fn find<'a>(status: &'a DeploymentStatus, condition_type: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == condition_type)
}

/// Whether the deadline has passed: `DeploymentTimedOut`.
fn is_timed_out(deployment: &Deployment, status: &DeploymentStatus, now: Time) -> bool {
    let (Some(condition), Some(deadline)) = (find(status, "Progressing"), deadline(deployment)) else {
        return false;
    };
    match condition.reason.as_deref() {
        Some("NewReplicaSetAvailable") => false,
        Some("ProgressDeadlineExceeded") => true,
        _ => condition.last_update_time.as_ref().is_some_and(|since| Time::from(since) + deadline < now),
    }
}

/// Puts a condition into a status: `SetDeploymentCondition`. One that says the same is left as it is.
fn set(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    if let Some(known) = find(status, &condition.type_) {
        if known.status == condition.status && known.reason == condition.reason {
            return;
        }
        if known.status == condition.status {
            condition.last_transition_time.clone_from(&known.last_transition_time);
        }
    }
    remove(status, &condition.type_);
    status.conditions.get_or_insert_default().push(condition);
}

fn remove(status: &mut DeploymentStatus, condition_type: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_ != condition_type);
    }
    status.conditions = status.conditions.take().filter(|conditions| !conditions.is_empty());
}

fn condition(condition_type: &str, status: &str, reason: &str, message: &str, now: Time) -> DeploymentCondition {
    DeploymentCondition {
        type_: condition_type.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_update_time: Some(now.to_meta()),
        last_transition_time: Some(now.to_meta()),
    }
}

/// Zero is left out, as Go's `omitempty` does.
fn positive(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// The numbers and the availability that the sets amount to: `calculateStatus`.
fn calculate(deployment: &Deployment, sets: &Sets, now: Time) -> DeploymentStatus {
    let all = sets.all();
    let available_count = sum(&all, available);
    let new: Vec<Arc<ReplicaSet>> = sets.new.iter().cloned().collect();
    let terminating = |set: &ReplicaSet| set.status.as_ref().and_then(|status| status.terminating_replicas);
    let old = deployment.status.clone().unwrap_or_default();
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: positive(sum(&all, actual)),
        updated_replicas: positive(sum(&new, actual)),
        ready_replicas: positive(sum(&all, |set| {
            set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0)
        })),
        available_replicas: positive(available_count),
        unavailable_replicas: positive((sum(&all, size) - available_count).max(0)),
        terminating_replicas: all
            .iter()
            .all(|set| terminating(set).is_some())
            .then(|| sum(&all, |set| terminating(set).unwrap_or(0))),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let availability = if available_count >= wanted(deployment) - max_unavailable(deployment) {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set(&mut status, condition("Available", availability.0, availability.1, availability.2, now));
    status
}

/// The failure that a set reports, the new one's before the others': `getReplicaFailures`.
fn replica_failure(sets: &Sets) -> Option<DeploymentCondition> {
    let failure = |set: &Arc<ReplicaSet>| {
        let conditions = set.status.as_ref()?.conditions.as_ref()?;
        conditions.iter().find(|condition| condition.type_ == "ReplicaFailure").cloned()
    };
    let found = sets.new.as_ref().and_then(failure).or_else(|| sets.old.iter().find_map(failure))?;
    Some(DeploymentCondition {
        type_: found.type_,
        status: found.status,
        reason: found.reason,
        message: found.message,
        last_update_time: found.last_transition_time.clone(),
        last_transition_time: found.last_transition_time,
    })
}

impl Rollout<'_, '_> {
    /// Tells how the roll-out goes: `syncRolloutStatus`.
    pub(super) fn sync_rollout_status(&mut self, sets: &Sets) -> Result<Requeue, ClientError> {
        let now = self.client.now;
        let mut status = calculate(&self.deployment, sets, now);
        if deadline(&self.deployment).is_none() {
            remove(&mut status, "Progressing");
        }
        let current = self.condition("Progressing").cloned();
        let was_complete = status.replicas == status.updated_replicas
            && current.as_ref().and_then(|current| current.reason.as_deref()) == Some("NewReplicaSetAvailable");
        if deadline(&self.deployment).is_some() && !was_complete {
            self.judge_progress(&mut status, sets, current);
        }
        match replica_failure(sets) {
            Some(failure) => set(&mut status, failure),
            None => remove(&mut status, "ReplicaFailure"),
        }
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(self.requeue_stuck(&status));
        }
        self.deployment.status = Some(status);
        self.write_status("Deployment {} tells how far its roll-out is.")?;
        Ok(Requeue::Forget)
    }

    fn judge_progress(&self, status: &mut DeploymentStatus, sets: &Sets, current: Option<DeploymentCondition>) {
        let now = self.client.now;
        let subject = match &sets.new {
            Some(new) => format!("ReplicaSet {:?}", new.name()),
            None => format!("Deployment {:?}", self.deployment.name()),
        };
        let progressing = |verdict: &str, reason: &str, words: &str| {
            condition("Progressing", verdict, reason, &format!("{subject} {words}"), now)
        };
        if is_complete(&self.deployment, status) {
            set(status, progressing("True", "NewReplicaSetAvailable", "has successfully progressed."));
        } else if is_progressing(&self.deployment, status) {
            let mut fresh = progressing("True", "ReplicaSetUpdated", "is progressing.");
            if let Some(current) = current {
                if current.status == "True" {
                    fresh.last_transition_time = current.last_transition_time;
                }
                // Taken away first, so that the time of the last progress is written anew.
                remove(status, "Progressing");
            }
            set(status, fresh);
        } else if is_timed_out(&self.deployment, status, now) {
            set(status, progressing("False", "ProgressDeadlineExceeded", "has timed out progressing."));
        }
    }

    /// Looks again when the deadline passes: `requeueStuckDeployment`.
    fn requeue_stuck(&self, status: &DeploymentStatus) -> Requeue {
        let (Some(condition), Some(deadline)) = (self.condition("Progressing"), deadline(&self.deployment)) else {
            return Requeue::Forget;
        };
        let timed_out = condition.reason.as_deref() == Some("ProgressDeadlineExceeded");
        if is_complete(&self.deployment, status) || timed_out {
            return Requeue::Forget;
        }
        let since = condition.last_update_time.as_ref().map_or(self.client.now, Time::from);
        Requeue::After((since + deadline).since(self.client.now) + DEADLINE_SLACK)
    }

    /// Writes the numbers alone: `syncDeploymentStatus`.
    pub(super) fn sync_deployment_status(&mut self, sets: &Sets) -> Result<Requeue, ClientError> {
        let status = calculate(&self.deployment, sets, self.client.now);
        if self.deployment.status.as_ref() == Some(&status) {
            return Ok(Requeue::Forget);
        }
        self.deployment.status = Some(status);
        self.write_status("Deployment {} tells how many of its pods there are.")?;
        Ok(Requeue::Forget)
    }

    /// The Deployment's condition of a type.
    pub(super) fn condition(&self, condition_type: &str) -> Option<&DeploymentCondition> {
        find(self.deployment.status.as_ref()?, condition_type)
    }

    /// Sets a condition in the controller's copy.
    pub(super) fn set_condition(&mut self, condition_type: &str, status: &str, reason: &str, message: &str) {
        let fresh = condition(condition_type, status, reason, message, self.client.now);
        set(self.deployment.status.get_or_insert_default(), fresh);
    }

    /// Writes the copy's status and annotations. The copy keeps its version, as upstream's does: a second write in the
    /// same sync is a conflict, and the Deployment comes back.
    pub(super) fn write_status(&mut self, why: &'static str) -> Result<(), ClientError> {
        self.client.because(Why::new(why, [self.deployment.name().to_owned()]));
        self.client.update_status(self.deployment.clone()).map(|_| ())
    }

    /// Pausing and resuming stop and start the clock of the deadline: `checkPausedConditions`.
    pub(super) fn check_paused_conditions(&mut self) -> Result<(), ClientError> {
        if deadline(&self.deployment).is_none() {
            return Ok(());
        }
        let reason = self.condition("Progressing").and_then(|condition| condition.reason.clone());
        if reason.as_deref() == Some("ProgressDeadlineExceeded") {
            return Ok(());
        }
        let said = reason.as_deref() == Some("DeploymentPaused");
        let paused = self.deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false);
        match (paused, said) {
            (true, false) => {
                self.set_condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
                self.write_status("Deployment {} was paused.")
            }
            (false, true) => {
                self.set_condition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
                self.write_status("Deployment {} was resumed.")
            }
            _ => Ok(()),
        }
    }
}
