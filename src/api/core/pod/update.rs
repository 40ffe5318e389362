//! What may change on a pod. Follows `ValidatePodUpdate` and `ValidatePodEphemeralContainersUpdate`.

use k8s_openapi::api::core::v1::{Affinity, Container, NodeAffinity, NodeSelectorTerm, Pod, PodSpec, Toleration};
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::placement::validate_tolerations;
use super::validation::{MIRROR, validate_annotations, validate_metadata_and_spec};
use crate::api::check::{self, list, text};
use crate::api::{internal, meta};
use crate::machinery::diff;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::order::map_of;

/// `updatablePodSpecFields`.
const UPDATABLE: &str = "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                         `spec.tolerations` (only additions to existing tolerations),\
                         `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// `ValidatePodUpdate`.
pub(crate) fn validate(new: &Pod, old: &Pod) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate_metadata_and_spec(new));
    validate_annotation_updates(&mut errors, new, old);
    let path = Path::new("spec");
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return errors };
    let pairs = [
        ("containers", new.containers.as_slice(), old.containers.as_slice()),
        ("initContainers", list(&new.init_containers), list(&old.init_containers)),
    ];
    for (field, new, old) in pairs {
        if !validate_container_updates(&mut errors, &path.child(field), new, old) {
            return errors;
        }
    }
    if !validate_deadline(&mut errors, &path.child("activeDeadlineSeconds"), new, old) {
        return errors;
    }
    validate_added_tolerations(&mut errors, &path.child("tolerations"), new, old);
    validate_deleted_gates(&mut errors, &path.child("schedulingGates"), new, old);
    validate_rest(&mut errors, &path, new, old);
    errors
}

/// `ValidatePodSpecificAnnotationUpdates`: the annotation of mirror pods stays.
pub(super) fn validate_annotation_updates(errors: &mut ErrorList, new: &Pod, old: &Pod) {
    let path = Path::new("metadata").child("annotations");
    let mirror = |pod: &Pod| pod.metadata.annotations.as_ref().and_then(|map| map.get(MIRROR).cloned());
    match (mirror(new), mirror(old)) {
        (None, Some(_)) => {
            errors.push(FieldError::forbidden(&path.key(MIRROR), "may not remove or update mirror pod annotation"));
        }
        (Some(new), Some(old)) if new != old => {
            errors.push(FieldError::forbidden(&path.key(MIRROR), "may not remove or update mirror pod annotation"));
        }
        (Some(_), None) => {
            errors.push(FieldError::forbidden(&path.key(MIRROR), "may not add mirror pod annotation"));
        }
        _ => {}
    }
    match &new.spec {
        Some(spec) => validate_annotations(errors, &path, &new.metadata, spec),
        None => validate_annotations(errors, &path, &new.metadata, &PodSpec::default()),
    }
}

/// `ValidateContainerUpdates`; whether the rest is worth a look.
fn validate_container_updates(errors: &mut ErrorList, path: &Path, new: &[Container], old: &[Container]) -> bool {
    if new.len() != old.len() {
        errors.push(FieldError::forbidden(path, "pod updates may not add or remove containers"));
        return false;
    }
    for (index, container) in new.iter().enumerate() {
        let path = path.index(index);
        check::required(errors, &path.child("image"), text(&container.image));
        super::containers::validate_image_only_for_pod(errors, &path, container);
    }
    true
}

/// A deadline may be set once and then only come closer; whether the rest is worth a look.
fn validate_deadline(errors: &mut ErrorList, path: &Path, new: &PodSpec, old: &PodSpec) -> bool {
    let most = i64::from(i32::MAX);
    match (new.active_deadline_seconds, old.active_deadline_seconds) {
        (Some(new), _) if !(0..=most).contains(&new) => {
            errors.push(FieldError::invalid(path, new, names::inclusive_range_error(0, most)));
            false
        }
        (Some(new), Some(old)) if old < new => {
            errors.push(FieldError::invalid(path, new, "must be less than or equal to previous value"));
            false
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(path, Value::Null, detail));
            true
        }
        _ => true,
    }
}

/// `validateOnlyAddedTolerations`: of those that were there only the seconds may change.
fn validate_added_tolerations(errors: &mut ErrorList, path: &Path, new: &PodSpec, old: &PodSpec) {
    let same = |a: &Toleration, b: &Toleration| {
        [(&a.key, &b.key), (&a.operator, &b.operator), (&a.value, &b.value), (&a.effect, &b.effect)]
            .into_iter()
            .all(|(a, b)| text(a) == text(b))
    };
    let kept = list(&old.tolerations).iter().all(|old| list(&new.tolerations).iter().any(|new| same(new, old)));
    if kept {
        validate_tolerations(errors, path, list(&new.tolerations));
    } else {
        let detail = "existing toleration can not be modified except its tolerationSeconds";
        errors.push(FieldError::forbidden(path, detail));
    }
}

/// `validateOnlyDeletedSchedulingGates`.
fn validate_deleted_gates(errors: &mut ErrorList, path: &Path, new: &PodSpec, old: &PodSpec) {
    let gates = list(&new.scheduling_gates).iter().enumerate();
    let added = gates.filter(|(_, gate)| !list(&old.scheduling_gates).iter().any(|old| old.name == gate.name));
    let added = map_of(added.map(|(index, gate)| (gate.name.as_str(), index)));
    for (name, index) in added {
        let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        errors.push(FieldError::forbidden(&path.index(index).child("name"), detail));
    }
}

/// Everything else must stay, but that gated pods may still narrow down where they run.
fn validate_rest(errors: &mut ErrorList, path: &Path, new: &PodSpec, old: &PodSpec) {
    if new == old {
        return;
    }
    let mut munged = new.clone();
    for (container, old) in munged.containers.iter_mut().zip(&old.containers) {
        container.image.clone_from(&old.image);
    }
    for (container, old) in munged.init_containers.iter_mut().flatten().zip(list(&old.init_containers)) {
        container.image.clone_from(&old.image);
    }
    munged.active_deadline_seconds = old.active_deadline_seconds;
    munged.scheduling_gates.clone_from(&old.scheduling_gates);
    munged.tolerations.clone_from(&old.tolerations);
    if old.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0)
        && munged.termination_grace_period_seconds == Some(1)
    {
        munged.termination_grace_period_seconds = old.termination_grace_period_seconds;
    }
    if !list(&old.scheduling_gates).is_empty() {
        validate_gated(errors, path, &mut munged, old);
    }
    let (before, after) = (dump(old), dump(&munged));
    if before != after {
        let difference = diff::unified(&pretty(&before), &pretty(&after));
        let detail = format!("pod updates may not change fields other than {UPDATABLE}\n{difference}");
        errors.push(FieldError::forbidden(path, detail));
    }
}

fn dump(spec: &PodSpec) -> Value {
    internal::dump("PodSpec", &check::json(spec))
}

/// JSON as Go's `MarshalIndent` writes it with one blank a level.
pub(crate) fn pretty(value: &Value) -> String {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" "));
    // Writing to a Vec cannot fail, and serde_json writes UTF-8 only.
    let _ = value.serialize(&mut serializer);
    let text = String::from_utf8_lossy(&bytes);
    text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}

/// What a pod that waits at gates may still change: it may only be narrowed down.
fn validate_gated(errors: &mut ErrorList, path: &Path, munged: &mut PodSpec, old: &PodSpec) {
    if munged.node_selector.clone().unwrap_or_default() != old.node_selector.clone().unwrap_or_default() {
        let kept =
            old.node_selector.iter().flatten().all(|(key, value)| {
                munged.node_selector.as_ref().and_then(|selector| selector.get(key)) == Some(value)
            });
        if !kept {
            let detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
            let shown = check::json(&munged.node_selector);
            errors.push(FieldError::invalid(&path.child("nodeSelector"), shown, detail));
        }
        munged.node_selector.clone_from(&old.node_selector);
    }
    let of = |spec: &PodSpec| spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.clone());
    let (new_affinity, old_affinity) = (of(munged), of(old));
    if new_affinity == old_affinity {
        return;
    }
    let at = path.child("affinity").child("nodeAffinity");
    validate_node_affinity_mutation(errors, &at, new_affinity.as_ref(), old_affinity.as_ref());
    match &mut munged.affinity {
        None => munged.affinity = Some(Affinity { node_affinity: old_affinity, ..Affinity::default() }),
        Some(affinity)
            if old.affinity.is_none() && affinity.pod_affinity.is_none() && affinity.pod_anti_affinity.is_none() =>
        {
            munged.affinity = None;
        }
        Some(affinity) => affinity.node_affinity = old_affinity,
    }
}

/// `validateNodeAffinityMutation`.
fn validate_node_affinity_mutation(
    errors: &mut ErrorList,
    path: &Path,
    new: Option<&NodeAffinity>,
    old: Option<&NodeAffinity>,
) {
    let terms = |affinity: Option<&NodeAffinity>| -> Vec<NodeSelectorTerm> {
        let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
        required.map(|selector| selector.node_selector_terms.clone()).unwrap_or_default()
    };
    let (new, old) = (terms(new), terms(old));
    let path = path.child("requiredDuringSchedulingIgnoredDuringExecution").child("nodeSelectorTerms");
    let shown = |term: &NodeSelectorTerm| internal::dump("NodeSelectorTerm", &check::json(term));
    if !old.is_empty() && old.len() != new.len() {
        let shown: Vec<Value> = new.iter().map(shown).collect();
        let detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
        errors.push(FieldError::invalid(&path, shown, detail));
        return;
    }
    for (index, (new, old)) in new.iter().zip(&old).enumerate() {
        if !has_only_additions(new, old) {
            let detail = "only additions are allowed (no mutations or deletions)";
            errors.push(FieldError::invalid(&path.index(index), shown(new), detail));
        }
    }
}

fn has_only_additions(new: &NodeSelectorTerm, old: &NodeSelectorTerm) -> bool {
    let (new_expressions, old_expressions) = (list(&new.match_expressions), list(&old.match_expressions));
    let (new_fields, old_fields) = (list(&new.match_fields), list(&old.match_fields));
    if old_expressions.is_empty() && old_fields.is_empty() && !(new_expressions.is_empty() && new_fields.is_empty()) {
        // A term without requirements matches nothing: more of them would make it match something.
        return false;
    }
    new_expressions.starts_with(old_expressions) && new_fields.starts_with(old_fields)
}

/// `ValidatePodEphemeralContainersUpdate`.
pub(crate) fn validate_ephemeral_containers(new: &Pod, old: &Pod) -> ErrorList {
    if old.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        let detail = "static pods do not support ephemeral containers";
        return vec![FieldError::forbidden(&Path::new("[]"), detail)];
    }
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate_metadata_and_spec(new));
    validate_annotation_updates(&mut errors, new, old);
    let path = Path::new("spec").child("ephemeralContainers");
    let containers = |pod: &Pod| pod.spec.as_ref().map(|spec| list(&spec.ephemeral_containers).to_vec());
    let new = containers(new).unwrap_or_default();
    for old in containers(old).unwrap_or_default() {
        let shown = |value| pretty(&internal::dump("EphemeralContainer", &value));
        match new.iter().find(|new| new.name == old.name) {
            None => {
                let detail = format!("existing ephemeral containers {:?} may not be removed\n", old.name);
                errors.push(FieldError::forbidden(&path, detail));
            }
            Some(new) if *new != old => {
                let difference = diff::unified(&shown(check::json(&old)), &shown(check::json(new)));
                let detail = format!("existing ephemeral containers {:?} may not be changed\n{difference}", old.name);
                errors.push(FieldError::forbidden(&path, detail));
            }
            Some(_) => {}
        }
    }
    errors
}
