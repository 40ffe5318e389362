//! Whose a claim is: the set's, a pod's, or nobody's, as the retention policy says.
//!
//! Follows `stateful_set_utils.go` (`isClaimOwnerUpToDate`, `updateClaimOwnerRefForSetAndPod`). What has an owner goes
//! with it; the garbage collector sees to that.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::Resource;
use crate::controllers::pod_control::controller_ref;

use super::identity::is_in_range;

/// What becomes of claims when their pod is scaled away, and when the set is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub deletes_when_scaled: bool,
    pub deletes_when_deleted: bool,
}

impl Policy {
    /// The set's policy; claims are kept unless it says otherwise.
    pub(super) fn of(set: &StatefulSet) -> Self {
        let policy = set.spec.as_ref().and_then(|spec| spec.persistent_volume_claim_retention_policy.as_ref());
        let deletes = |value: Option<&String>| value.is_some_and(|value| value == "Delete");
        Self {
            deletes_when_scaled: deletes(policy.and_then(|policy| policy.when_scaled.as_ref())),
            deletes_when_deleted: deletes(policy.and_then(|policy| policy.when_deleted.as_ref())),
        }
    }

    const fn keeps_all(self) -> bool {
        !self.deletes_when_scaled && !self.deletes_when_deleted
    }
}

fn owners(claim: &PersistentVolumeClaim) -> &[OwnerReference] {
    claim.metadata.owner_references.as_deref().unwrap_or(&[])
}

/// Whether a reference means an object by its kind and name, whatever its uid: `matchesRef`.
fn names<K: Resource>(reference: &OwnerReference, object: &K) -> bool {
    reference.api_version == K::OBJECT_KIND.api_version()
        && reference.kind == K::OBJECT_KIND.info().kind
        && reference.name == object.name()
}

fn has_owner<K: Resource>(claim: &PersistentVolumeClaim, owner: &K) -> bool {
    owners(claim).iter().any(|reference| reference.uid == owner.uid())
}

/// Whether the claim belongs to an earlier object of the same name: `hasStaleOwnerRef`.
pub(super) fn has_stale_owner<K: Resource>(claim: &PersistentVolumeClaim, object: &K) -> bool {
    owners(claim).iter().find(|reference| names(reference, object)).is_some_and(|found| found.uid != object.uid())
}

/// Whether somebody else manages the claim: `hasUnexpectedController`.
pub(super) fn has_unexpected_controller(claim: &PersistentVolumeClaim, set: &StatefulSet, pod: &Pod) -> bool {
    if Policy::of(set).keeps_all() {
        return false;
    }
    owners(claim).iter().any(|reference| {
        if names(reference, set) {
            reference.uid != set.uid()
        } else if names(reference, pod) {
            reference.uid != pod.uid()
        } else {
            reference.controller == Some(true)
        }
    })
}

/// Whether the set or the pod owns the claim without being its controller: `hasNonControllerOwner`.
fn has_plain_owner(claim: &PersistentVolumeClaim, set: &StatefulSet, pod: &Pod) -> bool {
    let ours = |reference: &&OwnerReference| reference.uid == set.uid() || reference.uid == pod.uid();
    owners(claim).iter().filter(ours).any(|reference| reference.controller != Some(true))
}

/// Whether the set and the pod should own the claim: a pod that is scaled away takes its claims along, and a set those
/// of all its other pods.
fn wanted_owners(set: &StatefulSet, pod: &Pod) -> (bool, bool) {
    let policy = Policy::of(set);
    let by_pod = policy.deletes_when_scaled && !is_in_range(set, pod);
    (policy.deletes_when_deleted && !by_pod, by_pod)
}

/// Whether the claim's owners are as the policy wants them: `isClaimOwnerUpToDate`. A claim in an unknown state counts
/// as such, since it must not be touched.
pub(super) fn is_up_to_date(claim: &PersistentVolumeClaim, set: &StatefulSet, pod: &Pod) -> bool {
    if has_stale_owner(claim, set) || has_stale_owner(claim, pod) {
        return true;
    }
    if has_unexpected_controller(claim, set, pod) {
        return !has_owner(claim, set) && !has_owner(claim, pod);
    }
    !has_plain_owner(claim, set, pod) && (has_owner(claim, set), has_owner(claim, pod)) == wanted_owners(set, pod)
}

/// Gives the claim the owners that the policy wants: `updateClaimOwnerRefForSetAndPod`.
pub(super) fn update_owners(claim: &mut PersistentVolumeClaim, set: &StatefulSet, pod: &Pod) {
    let managed_elsewhere = has_unexpected_controller(claim, set, pod);
    let mut owners = claim.metadata.owner_references.take().unwrap_or_default();
    owners.retain(|reference| !names(reference, set) && !names(reference, pod));
    if !managed_elsewhere {
        let (by_set, by_pod) = wanted_owners(set, pod);
        owners.extend(by_set.then(|| controller_ref(set)));
        owners.extend(by_pod.then(|| controller_ref(pod)));
    }
    claim.metadata.owner_references = Some(owners);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(when_scaled: &str, when_deleted: &str) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": { "name": "web", "uid": "s" },
            "spec": {
                "replicas": 1,
                "selector": {},
                "template": {},
                "persistentVolumeClaimRetentionPolicy": { "whenScaled": when_scaled, "whenDeleted": when_deleted },
            },
        }))
        .expect("the set is well-formed")
    }

    fn pod(name: &str) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": name, "uid": "p" } })).expect("the pod is well-formed")
    }

    #[test]
    fn the_policy_says_whose_a_claim_is() {
        let table = [
            ("Retain", "Retain", "web-0", vec![]),
            ("Retain", "Retain", "web-1", vec![]),
            ("Retain", "Delete", "web-0", vec!["s"]),
            ("Retain", "Delete", "web-1", vec!["s"]),
            ("Delete", "Retain", "web-0", vec![]),
            ("Delete", "Retain", "web-1", vec!["p"]),
            ("Delete", "Delete", "web-0", vec!["s"]),
            ("Delete", "Delete", "web-1", vec!["p"]),
        ];
        for (scaled, deleted, name, expected) in table {
            let (set, pod) = (set(scaled, deleted), pod(name));
            let mut claim = PersistentVolumeClaim::default();
            assert_eq!(is_up_to_date(&claim, &set, &pod), expected.is_empty(), "{scaled} {deleted} {name}");
            update_owners(&mut claim, &set, &pod);
            let uids: Vec<&str> = owners(&claim).iter().map(|owner| owner.uid.as_str()).collect();
            assert_eq!(uids, expected, "{scaled} {deleted} {name}");
            assert!(is_up_to_date(&claim, &set, &pod));
        }
    }

    #[test]
    fn a_claim_of_an_earlier_pod_is_left_alone() {
        let (set, mut pod) = (set("Delete", "Retain"), pod("web-1"));
        let mut claim = PersistentVolumeClaim::default();
        update_owners(&mut claim, &set, &pod);
        pod.metadata.uid = Some("another".to_owned());
        assert!(has_stale_owner(&claim, &pod));
        assert!(is_up_to_date(&claim, &set, &pod));
    }
}
