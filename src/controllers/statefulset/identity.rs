//! Who a pod is in its StatefulSet: its place, its name, its claims.
//!
//! Follows `stateful_set_utils.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};

use crate::api::Resource;
use crate::controllers::history::REVISION_LABEL;
use crate::controllers::pod_control::pod_from_template;

/// `apps.StatefulSetPodNameLabel`.
const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";
/// `apps.PodIndexLabel`.
const POD_INDEX_LABEL: &str = "apps.kubernetes.io/pod-index";

/// The template that the set's pods are to be made of.
pub(super) fn template(set: &StatefulSet) -> PodTemplateSpec {
    set.spec.as_ref().map(|spec| spec.template.clone()).unwrap_or_default()
}

/// How pods of an old template are replaced.
pub(super) fn strategy(set: &StatefulSet) -> StatefulSetUpdateStrategy {
    set.spec.as_ref().and_then(|spec| spec.update_strategy.clone()).unwrap_or_default()
}

/// How many pods the set wants.
pub(super) fn wanted(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// The name of the set that a pod's name tells and its place in it, if it tells any: `getParentNameAndOrdinal`.
pub(super) fn parent_and_ordinal(name: &str) -> Option<(&str, i32)> {
    let (parent, ordinal) = name.rsplit_once('-')?;
    let digits = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(())?;
    Some((parent, ordinal.parse().unwrap_or(-1)))
}

/// A pod's place; below 0 when it has none.
pub(super) fn ordinal(pod: &Pod) -> i32 {
    parent_and_ordinal(pod.name()).map_or(-1, |(_, ordinal)| ordinal)
}

/// The first place: `getStartOrdinal`.
pub(super) fn start(set: &StatefulSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.ordinals.as_ref()?.start).unwrap_or(0)
}

/// Whether a pod has one of the places that the set has now: `podInOrdinalRange`.
pub(super) fn is_in_range(set: &StatefulSet, pod: &Pod) -> bool {
    let ordinal = ordinal(pod);
    ordinal >= start(set) && ordinal < start(set).saturating_add(wanted(set))
}

/// Whether a pod's name makes it a member of the set: `isMemberOf`.
pub(super) fn is_member(set: &str, pod: &str) -> bool {
    parent_and_ordinal(pod).is_some_and(|(parent, _)| parent == set)
}

/// The name of a claim of the pod at a place: `getPersistentVolumeClaimName`.
pub(super) fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", template.name(), set.name())
}

/// The set's templates of claims.
pub(super) fn claim_templates(set: &StatefulSet) -> &[PersistentVolumeClaim] {
    set.spec.as_ref().and_then(|spec| spec.volume_claim_templates.as_deref()).unwrap_or(&[])
}

/// The claims of the pod at a place, each with the name of its template: `getPersistentVolumeClaims`.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let selector = set.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone()).unwrap_or_default();
    let claim = |template: &PersistentVolumeClaim| {
        let mut claim = template.clone();
        claim.metadata.name = Some(claim_name(set, template, ordinal));
        claim.metadata.namespace = set.metadata.namespace.clone();
        claim.metadata.labels.get_or_insert_default().extend(selector.clone());
        claim
    };
    claim_templates(set).iter().map(claim).collect()
}

/// Whether a pod is called and labelled as a member of the set is: `identityMatches`.
pub(super) fn identity_matches(set: &StatefulSet, pod: &Pod) -> bool {
    let labels = pod.metadata.labels.as_ref();
    is_member(set.name(), pod.name())
        && pod.name() == format!("{}-{}", set.name(), ordinal(pod))
        && pod.namespace() == set.namespace()
        && labels.and_then(|labels| labels.get(POD_NAME_LABEL)).is_some_and(|name| name == pod.name())
}

/// Whether a pod's volumes are the claims that are its: `storageMatches`.
pub(super) fn storage_matches(set: &StatefulSet, pod: &Pod) -> bool {
    let ordinal = ordinal(pod);
    let volumes = pod.spec.as_ref().and_then(|spec| spec.volumes.as_deref()).unwrap_or(&[]);
    ordinal >= 0
        && claim_templates(set).iter().all(|template| {
            let volume = volumes.iter().find(|volume| volume.name == template.name());
            let claim = volume.and_then(|volume| volume.persistent_volume_claim.as_ref());
            claim.is_some_and(|claim| claim.claim_name == claim_name(set, template, ordinal))
        })
}

/// Gives a pod the name and the labels of its place: `updateIdentity`.
pub(super) fn update_identity(set: &StatefulSet, pod: &mut Pod, ordinal: i32) {
    let name = format!("{}-{ordinal}", set.name());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME_LABEL.to_owned(), name.clone());
    labels.insert(POD_INDEX_LABEL.to_owned(), ordinal.to_string());
    pod.metadata.name = Some(name);
    pod.metadata.namespace = set.metadata.namespace.clone();
}

/// Puts the pod's claims among its volumes, in the place of others of their names: `updateStorage`. Upstream goes
/// through a map; here the claims come in the order of their templates.
pub(super) fn update_storage(set: &StatefulSet, pod: &mut Pod, ordinal: i32) {
    let templates = claim_templates(set);
    if templates.is_empty() {
        return;
    }
    let volumes = pod.spec.get_or_insert_default().volumes.get_or_insert_default();
    let others: Vec<Volume> = std::mem::take(volumes)
        .into_iter()
        .filter(|volume| templates.iter().all(|template| template.name() != volume.name))
        .collect();
    volumes.extend(templates.iter().map(|template| Volume {
        name: template.name().to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: claim_name(set, template, ordinal),
            read_only: None,
        }),
        ..Volume::default()
    }));
    volumes.extend(others);
}

/// The pod of a place, made of a revision's template: `newVersionedStatefulSetPod`, once the revision is chosen.
pub(super) fn new_pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i32) -> Pod {
    let mut pod = pod_from_template(template, set);
    update_identity(set, &mut pod, ordinal);
    let name = pod.metadata.name.clone();
    let service = set.spec.as_ref().and_then(|spec| spec.service_name.clone());
    let spec = pod.spec.get_or_insert_default();
    // These never change, so that they are given only here.
    spec.hostname = name;
    spec.subdomain = service.filter(|service| !service.is_empty());
    update_storage(set, &mut pod, ordinal);
    pod.metadata.labels.get_or_insert_default().insert(REVISION_LABEL.to_owned(), revision.to_owned());
    pod
}

/// The revision that a pod was made of: `getPodRevision`.
pub(super) fn revision_of(pod: &Pod) -> &str {
    label(pod.metadata.labels.as_ref(), REVISION_LABEL)
}

fn label<'a>(labels: Option<&'a BTreeMap<String, String>>, name: &str) -> &'a str {
    labels.and_then(|labels| labels.get(name)).map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set() -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "default" },
            "spec": {
                "replicas": 3,
                "serviceName": "nginx",
                "ordinals": { "start": 5 },
                "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": {
                    "containers": [{ "name": "c" }],
                    "volumes": [{ "name": "data", "emptyDir": {} }, { "name": "other", "emptyDir": {} }],
                } },
                "volumeClaimTemplates": [{ "metadata": { "name": "data", "labels": { "x": "y" } } }],
            },
        }))
        .expect("the set is well-formed")
    }

    #[test]
    fn names_tell_the_place() {
        let table = [
            ("web-0", Some(("web", 0))),
            ("a-b-12", Some(("a-b", 12))),
            ("web", None),
            ("web-", None),
            ("web-x1", None),
            ("web-99999999999", Some(("web", -1))),
        ];
        for (name, expected) in table {
            assert_eq!(parent_and_ordinal(name), expected, "{name}");
        }
    }

    #[test]
    fn a_new_pod_is_a_member_in_every_way() {
        let set = set();
        let pod = new_pod(&set, &template(&set), "web-abc", 5);
        assert!(identity_matches(&set, &pod) && storage_matches(&set, &pod) && is_in_range(&set, &pod));
        let inside = pod.spec.clone().unwrap_or_default();
        assert_eq!((inside.hostname.as_deref(), inside.subdomain.as_deref()), (Some("web-5"), Some("nginx")));
        let names: Vec<String> = inside.volumes.into_iter().flatten().map(|volume| volume.name).collect();
        assert_eq!(names, ["data", "other"]);
        assert_eq!(label(pod.metadata.labels.as_ref(), POD_INDEX_LABEL), "5");
        assert_eq!(revision_of(&pod), "web-abc");
    }

    #[test]
    fn claims_carry_the_labels_of_template_and_selector() {
        let claim = claims(&set(), 6).remove(0);
        assert_eq!(claim.name(), "data-web-6");
        let labels: Vec<_> = claim.metadata.labels.into_iter().flatten().collect();
        assert_eq!(labels, [("app".to_owned(), "web".to_owned()), ("x".to_owned(), "y".to_owned())]);
    }

    #[test]
    fn places_begin_at_the_start_and_end_with_the_replicas() {
        let set = set();
        for (name, inside) in [("web-4", false), ("web-5", true), ("web-7", true), ("web-8", false)] {
            let mut pod = Pod::default();
            pod.metadata.name = Some(name.to_owned());
            assert_eq!(is_in_range(&set, &pod), inside, "{name}");
        }
    }
}
