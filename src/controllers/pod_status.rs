//! What controllers write into the status of pods that no kubelet keeps up to date.
//!
//! Follows `UpdatePodCondition` of `kubernetes/pkg/api/v1/pod/util.go` and `PatchPodStatus` of
//! `kubernetes/pkg/util/pod/pod.go`.

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use serde_json::{Value, json};

use crate::api::{Kind, Resource};
use crate::client::{Client, ClientError};
use crate::machinery::json::to_value;
use crate::machinery::patch::diff::create_two_way;
use crate::machinery::schema;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// Sets a condition and says whether anything about it changed; its transition time moves only with its status.
pub(super) fn update_condition(status: &mut PodStatus, mut condition: PodCondition, now: Time) -> bool {
    condition.last_transition_time = Some(now.to_meta());
    let conditions = status.conditions.get_or_insert_default();
    let Some(known) = conditions.iter_mut().find(|known| known.type_ == condition.type_) else {
        conditions.push(condition);
        return true;
    };
    if known.status == condition.status {
        condition.last_transition_time.clone_from(&known.last_transition_time);
    }
    let said = |condition: &PodCondition| {
        let PodCondition { status, reason, message, last_probe_time, last_transition_time, .. } = condition;
        (status.clone(), reason.clone(), message.clone(), last_probe_time.clone(), last_transition_time.clone())
    };
    let changed = said(known) != said(&condition);
    *known = condition;
    changed
}

/// The condition of a pod that is removed by the control plane: `DisruptionTarget`.
pub(super) fn disruption_target(pod: &Pod, reason: &str, message: &str) -> PodCondition {
    PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    }
}

/// Patches what differs between a pod's status and another one, if the pod still has its uid.
pub(super) fn patch_status(pod: &Pod, status: &PodStatus, client: &mut Client<'_>) -> Result<(), ClientError> {
    let side = |status: Value, metadata: Value| match json!({ "metadata": metadata, "status": status }) {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    };
    let before = side(to_value(&pod.status.clone().unwrap_or_default()), json!({}));
    let after = side(to_value(status), json!({ "uid": pod.uid() }));
    let info = Kind::Pod.info();
    let schema = schema::lookup(info.version, info.kind).ok_or_else(|| Status::internal("pods have no schema"))?;
    let patch = create_two_way(&before, &after, schema).map_err(Status::from)?;
    client.patch_status::<Pod>(&pod.key(), patch).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let pod = Pod::default();
        let mut status = PodStatus::default();
        let now = Time::DEFAULT_START;
        let later = now + Duration::from_secs(5);
        assert!(update_condition(&mut status, disruption_target(&pod, "A", "a"), now));
        assert!(!update_condition(&mut status, disruption_target(&pod, "A", "a"), later));
        assert!(update_condition(&mut status, disruption_target(&pod, "B", "a"), later));
        let times: Vec<_> =
            status.conditions.iter().flatten().map(|known| known.last_transition_time.clone()).collect();
        assert_eq!(times, [Some(now.to_meta())]);
    }
}
