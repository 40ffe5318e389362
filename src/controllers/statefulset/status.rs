//! What a StatefulSet says of itself.
//!
//! Follows `stateful_set_control.go` (`updateStatus`, `updateStatefulSetStatus`) and `stateful_set_utils.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::api::Resource;
use crate::client::ClientError;
use crate::controllers::pod_control::is_available;
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::Control;
use super::control::{is_running_and_ready, stored_phase};
use super::identity::{revision_of, strategy, wanted};
use super::revisions::Revisions;

/// A status without its numbers.
pub(super) fn new(set: &StatefulSet, revisions: &Revisions) -> StatefulSetStatus {
    StatefulSetStatus {
        observed_generation: set.metadata.generation,
        current_revision: Some(revisions.current.name().to_owned()),
        update_revision: Some(revisions.update.name().to_owned()),
        collision_count: Some(revisions.collisions),
        ..StatefulSetStatus::default()
    }
}

/// Counts pods into the status: `updateStatus`.
pub(super) fn count<'a>(
    status: &mut StatefulSetStatus,
    pods: impl Iterator<Item = &'a Arc<Pod>>,
    min_ready: Duration,
    revisions: &Revisions,
    now: Time,
) {
    let (mut replicas, mut ready, mut available, mut current, mut updated) = (0, 0, 0, 0, 0);
    for pod in pods.filter(|pod| !stored_phase(pod).is_empty()) {
        replicas += 1;
        if is_running_and_ready(pod) {
            ready += 1;
            available += i32::from(is_available(pod, min_ready, now));
        }
        if !pod.is_deleting() {
            current += i32::from(revision_of(pod) == revisions.current.name());
            updated += i32::from(revision_of(pod) == revisions.update.name());
        }
    }
    // Zero is left out, as Go's `omitempty` does; two fields have no such mark.
    let positive = |count: i32| (count != 0).then_some(count);
    status.replicas = replicas;
    status.available_replicas = Some(available);
    status.ready_replicas = positive(ready);
    status.current_replicas = positive(current);
    status.updated_replicas = positive(updated);
}

/// Once all pods are of the update revision and ready, it is the current one: `completeRollingUpdate`.
fn complete_rolling_update(set: &StatefulSet, status: &mut StatefulSetStatus) {
    let wanted = wanted(set);
    let is_rolling = strategy(set).type_.as_deref() == Some("RollingUpdate");
    let all = |count: Option<i32>| count.unwrap_or(0) == wanted;
    if is_rolling && all(status.updated_replicas) && all(status.ready_replicas) && status.replicas == wanted {
        status.current_replicas = status.updated_replicas;
        status.current_revision.clone_from(&status.update_revision);
    }
}

/// Whether a status says anything new: `inconsistentStatus`.
fn is_news(status: &StatefulSetStatus, known: &StatefulSetStatus) -> bool {
    let parts = |status: &StatefulSetStatus| {
        (
            status.replicas,
            [status.current_replicas, status.ready_replicas, status.updated_replicas, status.available_replicas]
                .map(Option::unwrap_or_default),
            status.current_revision.clone().unwrap_or_default(),
            status.update_revision.clone().unwrap_or_default(),
        )
    };
    status.observed_generation > known.observed_generation || parts(status) != parts(known)
}

impl Control<'_, '_> {
    /// Writes the status if it says anything new: `updateStatefulSetStatus`. A conflict brings the set back.
    pub(super) fn write_status(&mut self, mut status: StatefulSetStatus) -> Result<StatefulSetStatus, ClientError> {
        complete_rolling_update(&self.set, &mut status);
        if !is_news(&status, &self.set.status.clone().unwrap_or_default()) {
            return Ok(status);
        }
        self.client
            .because(Why::new("StatefulSet {} tells how many of its pods there are.", [self.set.name().to_owned()]));
        let mut changed = (*self.set).clone();
        changed.status = Some(status.clone());
        self.client.update_status(changed)?;
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_update_is_over_when_all_pods_are_new_and_ready() {
        let set: StatefulSet = serde_json::from_value(json!({
            "metadata": {},
            "spec": {
                "replicas": 2, "selector": {}, "template": {},
                "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
            },
        }))
        .expect("the set is well-formed");
        for (ready, revision) in [(1, "old"), (2, "new")] {
            let mut status: StatefulSetStatus = serde_json::from_value(json!({
                "replicas": 2, "readyReplicas": ready, "updatedReplicas": 2,
                "currentRevision": "old", "updateRevision": "new",
            }))
            .expect("the status is well-formed");
            complete_rolling_update(&set, &mut status);
            assert_eq!(status.current_revision.as_deref(), Some(revision), "{ready} ready");
        }
    }

    #[test]
    fn only_news_is_written() {
        let known = StatefulSetStatus { replicas: 1, available_replicas: None, ..StatefulSetStatus::default() };
        let same = StatefulSetStatus { available_replicas: Some(0), collision_count: Some(1), ..known.clone() };
        assert!(!is_news(&same, &known));
        assert!(is_news(&StatefulSetStatus { ready_replicas: Some(1), ..known.clone() }, &known));
    }
}
