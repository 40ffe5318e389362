//! What a ReplicaSet says of itself.
//!
//! Follows `kubernetes/pkg/controller/replicaset/replica_set_utils.go`.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::api::{Kind, Resource};
use crate::client::{Client, ClientError};
use crate::controllers::pod_control::{is_available, is_ready};
use crate::machinery::status::Status;
use crate::machinery::time::Time;

use super::{adapter, min_ready, wanted_replicas};

/// How often a status is written again after a conflict: `statusUpdateRetries`.
const UPDATE_RETRIES: usize = 1;

fn count(pods: &[Arc<Pod>], test: impl Fn(&Pod) -> bool) -> i32 {
    i32::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap_or(i32::MAX)
}

/// The status that the set should have: `calculateStatus`.
pub(super) fn calculate(
    set: &ReplicaSet,
    active: &[Arc<Pod>],
    terminating: usize,
    failure: Option<&Status>,
    now: Time,
) -> ReplicaSetStatus {
    let old = set.status.clone().unwrap_or_default();
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let labels = template.and_then(|template| template.metadata.as_ref()?.labels.clone()).unwrap_or_default();
    let wait = min_ready(set);
    let fully_labeled = |pod: &Pod| {
        let own = pod.metadata.labels.as_ref();
        labels.iter().all(|(key, value)| own.and_then(|own| own.get(key)) == Some(value))
    };
    let mut conditions = old.conditions.clone().unwrap_or_default();
    match failure {
        Some(status) if !conditions.iter().any(|condition| condition.type_ == "ReplicaFailure") => {
            let too_few = active.len() < wanted_replicas(set);
            conditions.push(ReplicaSetCondition {
                type_: "ReplicaFailure".to_owned(),
                status: "True".to_owned(),
                reason: Some(if too_few { "FailedCreate" } else { "FailedDelete" }.to_owned()),
                message: Some(status.message().to_owned()),
                last_transition_time: Some(now.to_meta()),
            });
        }
        None => conditions.retain(|condition| condition.type_ != "ReplicaFailure"),
        Some(_) => {}
    }
    ReplicaSetStatus {
        replicas: count(active, |_| true),
        fully_labeled_replicas: positive(count(active, fully_labeled)),
        ready_replicas: positive(count(active, is_ready)),
        available_replicas: positive(count(active, |pod| is_available(pod, wait, now))),
        terminating_replicas: Some(i32::try_from(terminating).unwrap_or(i32::MAX)),
        conditions: Some(conditions).filter(|conditions| !conditions.is_empty()),
        observed_generation: old.observed_generation,
    }
}

/// Zero is left out, as Go's `omitempty` does.
fn positive(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// Writes the status if it is new: `updateReplicaSetStatus`.
pub(super) fn update(
    kind: Kind,
    set: &Arc<ReplicaSet>,
    status: ReplicaSetStatus,
    client: &mut Client<'_>,
) -> Result<Arc<ReplicaSet>, ClientError> {
    let old = set.status.clone().unwrap_or_default();
    if old == status && set.metadata.generation == old.observed_generation {
        return Ok(set.clone());
    }
    client.because(adapter::counted(kind, set.name()));
    let mut fresh = set.clone();
    let mut tries = 0;
    loop {
        let mut changed = (*fresh).clone();
        // What was observed is the generation that the numbers were counted for, not the one that a retry finds.
        let observed_generation = set.metadata.generation;
        changed.status = Some(ReplicaSetStatus { observed_generation, ..status.clone() });
        match adapter::update_status(kind, changed, client) {
            Err(error) if error.is_conflict() && tries < UPDATE_RETRIES => {
                tries += 1;
                fresh = adapter::fetch(kind, &set.key(), client)?;
            }
            result => return result,
        }
    }
}
