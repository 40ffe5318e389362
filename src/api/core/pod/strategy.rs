//! What happens to a pod before it is stored. Follows `pkg/registry/core/pod/strategy.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, PodAffinityTerm, PodCondition, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, Time};

use super::{app_armor, defaults, qos, resize, status, update, validation, warnings};
use crate::api::check::{list, text};
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::machinery::field::{ErrorList, Path};

/// `podStrategy.PrepareForCreate`. The condition of gated pods gets the pod's creation time, which the caller has set.
pub(crate) fn prepare_for_create(pod: &mut Pod) {
    pod.metadata.generation = Some(1);
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let created = pod.metadata.creation_timestamp.clone();
    let spec = pod.spec.get_or_insert_default();
    defaults::service_account(spec);
    merge_label_keys(spec, &labels);
    app_armor::annotations_to_fields(&pod.metadata, spec);
    let mut status = PodStatus {
        phase: Some("Pending".to_owned()),
        qos_class: Some(qos::class(spec).to_owned()),
        ..PodStatus::default()
    };
    if !list(&spec.scheduling_gates).is_empty() {
        status.conditions = Some(vec![gated_condition(created)]);
    }
    pod.status = Some(status);
}

/// `applySchedulingGatedCondition`.
fn gated_condition(since: Option<Time>) -> PodCondition {
    PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("SchedulingGated".to_owned()),
        message: Some("Scheduling is blocked due to non-empty scheduling gates".to_owned()),
        last_transition_time: since,
        ..PodCondition::default()
    }
}

/// `applyMatchLabelKeysAndMismatchLabelKeys`: keys become expressions with the pod's own values.
fn merge_label_keys(spec: &mut PodSpec, labels: &BTreeMap<String, String>) {
    if let Some(affinity) = &mut spec.affinity {
        let mut terms: Vec<&mut PodAffinityTerm> = Vec::new();
        if let Some(pods) = &mut affinity.pod_affinity {
            terms.extend(pods.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
            let preferred = pods.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            terms.extend(preferred.map(|term| &mut term.pod_affinity_term));
        }
        if let Some(pods) = &mut affinity.pod_anti_affinity {
            terms.extend(pods.required_during_scheduling_ignored_during_execution.iter_mut().flatten());
            let preferred = pods.preferred_during_scheduling_ignored_during_execution.iter_mut().flatten();
            terms.extend(preferred.map(|term| &mut term.pod_affinity_term));
        }
        for term in terms {
            let (matched, mismatched) = (term.match_label_keys.clone(), term.mismatch_label_keys.clone());
            if let Some(selector) = &mut term.label_selector {
                add_expressions(selector, list(&matched), "In", labels);
                add_expressions(selector, list(&mismatched), "NotIn", labels);
            }
        }
    }
    for constraint in spec.topology_spread_constraints.iter_mut().flatten() {
        let keys = constraint.match_label_keys.clone();
        if let Some(selector) = &mut constraint.label_selector {
            add_expressions(selector, list(&keys), "In", labels);
        }
    }
}

fn add_expressions(selector: &mut LabelSelector, keys: &[String], operator: &str, labels: &BTreeMap<String, String>) {
    for key in keys {
        let Some(value) = labels.get(key) else { continue };
        selector.match_expressions.get_or_insert_default().push(LabelSelectorRequirement {
            key: key.clone(),
            operator: operator.to_owned(),
            values: Some(vec![value.clone()]),
        });
    }
}

/// The strategies' `PrepareForUpdate`, of the pod itself and of its subresources.
pub(crate) fn prepare_for_update(new: &mut Pod, old: &Pod, subresource: Option<Subresource>) {
    match subresource {
        Some(Subresource::Status) => {
            // Who writes a status usually sends the spec as it is, and to compare is quicker than to copy.
            if new.spec != old.spec {
                new.spec.clone_from(&old.spec);
            }
            new.metadata.owner_references.clone_from(&old.metadata.owner_references);
            let class = old.status.as_ref().and_then(|status| status.qos_class.clone());
            let status = new.status.get_or_insert_default();
            if text(&status.qos_class).is_empty() {
                status.qos_class = class;
            }
            return;
        }
        Some(Subresource::EphemeralContainers) => {
            let containers = new.spec.take().and_then(|spec| spec.ephemeral_containers);
            new.spec.clone_from(&old.spec);
            new.spec.get_or_insert_default().ephemeral_containers = containers;
            meta::reset_for_status(&mut new.metadata, &old.metadata);
        }
        Some(Subresource::Resize) => {
            resize::prepare(new, old);
            meta::reset_for_status(&mut new.metadata, &old.metadata);
        }
        _ => new.spec.iter_mut().for_each(defaults::service_account),
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// The strategies' `Validate`.
pub(crate) fn validate(pod: &Pod) -> ErrorList {
    validation::validate_create(pod)
}

/// The strategies' `ValidateUpdate`.
pub(crate) fn validate_update(new: &Pod, old: &Pod, subresource: Option<Subresource>) -> ErrorList {
    match subresource {
        Some(Subresource::Status) => status::validate(new, old),
        Some(Subresource::EphemeralContainers) => update::validate_ephemeral_containers(new, old),
        Some(Subresource::Resize) => resize::validate(new, old),
        _ => update::validate(new, old),
    }
}

/// `WarningsOnCreate` and `WarningsOnUpdate`.
pub(crate) fn warnings(new: &Pod, old: Option<&Pod>) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    if old.is_none() {
        result.extend(app_armor::warnings(new));
        result.extend(warnings::name_warning(text(&new.metadata.name), "the Pod's hostname"));
    }
    if old.is_none_or(|old| old.metadata.generation != new.metadata.generation) {
        let no_spec = PodSpec::default();
        result.extend(warnings::of_spec(&Path::root(), &new.metadata, new.spec.as_ref().unwrap_or(&no_spec)));
    }
    result
}
