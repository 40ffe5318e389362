//! Validation of what decides where a pod runs: affinity, tolerations, spreading, gates.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm,
    PodSchedulingGate, Toleration, TopologySpreadConstraint, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::api::check::{self, NOT_POSITIVE, invalid_each, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// `validateAffinity`.
pub(super) fn validate_affinity(errors: &mut ErrorList, path: &Path, affinity: Option<&Affinity>) {
    let Some(affinity) = affinity else { return };
    if let Some(node) = &affinity.node_affinity {
        validate_node_affinity(errors, &path.child("nodeAffinity"), node);
    }
    if let Some(pods) = &affinity.pod_affinity {
        validate_pod_affinity(
            errors,
            &path.child("podAffinity"),
            list(&pods.required_during_scheduling_ignored_during_execution),
            list(&pods.preferred_during_scheduling_ignored_during_execution),
        );
    }
    if let Some(pods) = &affinity.pod_anti_affinity {
        validate_pod_affinity(
            errors,
            &path.child("podAntiAffinity"),
            list(&pods.required_during_scheduling_ignored_during_execution),
            list(&pods.preferred_during_scheduling_ignored_during_execution),
        );
    }
}

fn validate_node_affinity(errors: &mut ErrorList, path: &Path, affinity: &NodeAffinity) {
    if let Some(selector) = &affinity.required_during_scheduling_ignored_during_execution {
        validate_node_selector(errors, &path.child("requiredDuringSchedulingIgnoredDuringExecution"), selector);
    }
    let path = path.child("preferredDuringSchedulingIgnoredDuringExecution");
    for (index, term) in list(&affinity.preferred_during_scheduling_ignored_during_execution).iter().enumerate() {
        let path = path.index(index);
        validate_weight(errors, &path.child("weight"), term.weight);
        // Values that are no labels are allowed here: they may still work on a cluster of one node.
        validate_node_selector_term(errors, &path.child("preference"), &term.preference, true);
    }
}

fn validate_weight(errors: &mut ErrorList, path: &Path, weight: i32) {
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(path, weight, "must be in the range 1-100"));
    }
}

/// `ValidateNodeSelector`.
pub(crate) fn validate_node_selector(errors: &mut ErrorList, path: &Path, selector: &NodeSelector) {
    let path = path.child("nodeSelectorTerms");
    if selector.node_selector_terms.is_empty() {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (index, term) in selector.node_selector_terms.iter().enumerate() {
        validate_node_selector_term(errors, &path.index(index), term, false);
    }
}

fn validate_node_selector_term(errors: &mut ErrorList, path: &Path, term: &NodeSelectorTerm, any_value: bool) {
    for (index, requirement) in list(&term.match_expressions).iter().enumerate() {
        validate_requirement(errors, &path.child("matchExpressions").index(index), requirement, any_value);
    }
    for (index, requirement) in list(&term.match_fields).iter().enumerate() {
        validate_field_requirement(errors, &path.child("matchFields").index(index), requirement);
    }
}

fn validate_requirement(errors: &mut ErrorList, path: &Path, requirement: &NodeSelectorRequirement, any_value: bool) {
    let values = list(&requirement.values);
    let at = path.child("values");
    match requirement.operator.as_str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(FieldError::required(&at, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&at, detail));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            errors.push(FieldError::required(&at, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        other => errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator")),
    }
    check::qualified_name(errors, &path.child("key"), &requirement.key);
    if !any_value {
        for (index, value) in values.iter().enumerate() {
            invalid_each(errors, &at.index(index), value, names::is_label_value(value));
        }
    }
}

/// `ValidateNodeFieldSelectorRequirement`: the node's name is the only field.
fn validate_field_requirement(errors: &mut ErrorList, path: &Path, requirement: &NodeSelectorRequirement) {
    let values = list(&requirement.values);
    match requirement.operator.as_str() {
        "In" | "NotIn" => {
            if values.len() != 1 {
                let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
                errors.push(FieldError::required(&path.child("values"), detail));
            }
        }
        other => errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator")),
    }
    if requirement.key == "metadata.name" {
        for (index, value) in values.iter().enumerate() {
            check::dns_subdomain(errors, &path.child("values").index(index), value);
        }
    } else {
        let detail = "not a valid field selector key";
        errors.push(FieldError::invalid(&path.child("key"), requirement.key.as_str(), detail));
    }
}

fn validate_pod_affinity(
    errors: &mut ErrorList,
    path: &Path,
    required: &[PodAffinityTerm],
    preferred: &[WeightedPodAffinityTerm],
) {
    for (index, term) in required.iter().enumerate() {
        let path = path.child("requiredDuringSchedulingIgnoredDuringExecution").index(index);
        validate_pod_affinity_term(errors, &path, term);
    }
    for (index, term) in preferred.iter().enumerate() {
        let path = path.child("preferredDuringSchedulingIgnoredDuringExecution").index(index);
        validate_weight(errors, &path.child("weight"), term.weight);
        validate_pod_affinity_term(errors, &path.child("podAffinityTerm"), &term.pod_affinity_term);
    }
}

fn validate_pod_affinity_term(errors: &mut ErrorList, path: &Path, term: &PodAffinityTerm) {
    check::label_selector(errors, &path.child("labelSelector"), term.label_selector.as_ref());
    check::label_selector(errors, &path.child("namespaceSelector"), term.namespace_selector.as_ref());
    for namespace in list(&term.namespaces) {
        check::dns_label(errors, &path.child("namespace"), namespace);
    }
    validate_term_label_keys(errors, path, term);
    let at = path.child("topologyKey");
    if term.topology_key.is_empty() {
        errors.push(FieldError::required(&at, "can not be empty"));
    }
    check::qualified_name(errors, &at, &term.topology_key);
}

/// `validateMatchLabelKeysAndMismatchLabelKeys`.
fn validate_term_label_keys(errors: &mut ErrorList, path: &Path, term: &PodAffinityTerm) {
    let (matched, mismatched) = (list(&term.match_label_keys), list(&term.mismatch_label_keys));
    for (field, keys) in [("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)] {
        if keys.is_empty() {
            continue;
        }
        let at = path.child(field);
        if term.label_selector.is_none() {
            errors.push(FieldError::forbidden(&at, "must not be specified when labelSelector is not set"));
            continue;
        }
        for (index, key) in keys.iter().enumerate() {
            check::qualified_name(errors, &at.index(index), key);
        }
    }
    if let Some(selector) = &term.label_selector {
        // The server has added an expression for each key before: a second one is the user's.
        let mut seen: BTreeSet<&String> = selector.match_labels.iter().flatten().map(|(key, _)| key).collect();
        for expression in list(&selector.match_expressions) {
            let index = matched.iter().rposition(|key| *key == expression.key);
            if let Some(index) = index.filter(|_| seen.contains(&expression.key)) {
                let detail = "exists in both matchLabelKeys and labelSelector";
                errors.push(FieldError::invalid(&path.index(index), expression.key.as_str(), detail));
            }
            seen.insert(&expression.key);
        }
    }
    for (index, key) in matched.iter().enumerate().filter(|(_, key)| mismatched.contains(key)) {
        let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
        errors.push(FieldError::invalid(&path.child("matchLabelKeys").index(index), key.as_str(), detail));
    }
}

/// `ValidateTolerations`.
pub(crate) fn validate_tolerations(errors: &mut ErrorList, path: &Path, tolerations: &[Toleration]) {
    for (index, toleration) in tolerations.iter().enumerate() {
        let path = path.index(index);
        let (key, operator) = (text(&toleration.key), text(&toleration.operator));
        let (value, effect) = (text(&toleration.value), text(&toleration.effect));
        if !key.is_empty() {
            check::qualified_name(errors, &path.child("key"), key);
        } else if operator != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(&path.child("operator"), operator, detail));
        }
        if toleration.toleration_seconds.is_some() && effect != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(&path.child("effect"), effect, detail));
        }
        let at = path.child("operator");
        match operator {
            "Equal" | "" => {
                let messages = names::is_label_value(value);
                if !messages.is_empty() {
                    errors.push(FieldError::invalid(&at, value, messages.join(";")));
                }
            }
            "Exists" => {
                if !value.is_empty() {
                    let detail = "value must be empty when `operator` is 'Exists'";
                    errors.push(FieldError::invalid(&at, value, detail));
                }
            }
            other => errors.push(FieldError::not_supported(&at, other, &["Equal", "Exists"])),
        }
        if !effect.is_empty() {
            check::supported(errors, &path.child("effect"), effect, EFFECTS);
        }
    }
}

/// `validateTaintEffect` where an effect must be given.
pub(crate) fn validate_taint_effect(errors: &mut ErrorList, path: &Path, effect: &str) {
    check::required_supported(errors, path, effect, EFFECTS);
}

/// `validateTopologySpreadConstraints`.
pub(super) fn validate_spreading(errors: &mut ErrorList, path: &Path, constraints: &[TopologySpreadConstraint]) {
    for (index, constraint) in constraints.iter().enumerate() {
        let path = path.index(index);
        if constraint.max_skew <= 0 {
            errors.push(FieldError::invalid(&path.child("maxSkew"), constraint.max_skew, NOT_POSITIVE));
        }
        if constraint.topology_key.is_empty() {
            errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
        }
        let action = constraint.when_unsatisfiable.as_str();
        check::supported(errors, &path.child("whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
        let repeated = constraints[index + 1..]
            .iter()
            .any(|other| other.topology_key == constraint.topology_key && other.when_unsatisfiable == action);
        if repeated {
            let shown = format!("{{{}, {action}}}", constraint.topology_key);
            errors.push(FieldError::duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), shown));
        }
        validate_min_domains(errors, &path.child("minDomains"), constraint);
        for (field, policy) in [
            ("nodeAffinityPolicy", &constraint.node_affinity_policy),
            ("nodeTaintsPolicy", &constraint.node_taints_policy),
        ] {
            if let Some(policy) = policy {
                check::supported(errors, &path.child(field), policy, &["Honor", "Ignore"]);
            }
        }
        let keys = list(&constraint.match_label_keys);
        validate_spread_label_keys(errors, &path.child("matchLabelKeys"), keys, constraint.label_selector.as_ref());
        check::label_selector(errors, &path.child("labelSelector"), constraint.label_selector.as_ref());
    }
}

fn validate_min_domains(errors: &mut ErrorList, path: &Path, constraint: &TopologySpreadConstraint) {
    let Some(domains) = constraint.min_domains else { return };
    if domains <= 0 {
        errors.push(FieldError::invalid(path, domains, NOT_POSITIVE));
    }
    if constraint.when_unsatisfiable != "DoNotSchedule" {
        let detail = format!(
            "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
            constraint.when_unsatisfiable
        );
        errors.push(FieldError::invalid(path, domains, detail));
    }
}

/// `ValidateMatchLabelKeysAndMismatchLabelKeys` for spreading: the server has merged the keys into the selector.
fn validate_spread_label_keys(errors: &mut ErrorList, path: &Path, keys: &[String], selector: Option<&LabelSelector>) {
    if keys.is_empty() {
        return;
    }
    let Some(selector) = selector else {
        errors.push(FieldError::forbidden(path, "must not be specified when labelSelector is not set"));
        return;
    };
    let mut seen: BTreeSet<&String> = selector.match_labels.iter().flatten().map(|(key, _)| key).collect();
    let mut repeated = BTreeSet::new();
    for expression in list(&selector.match_expressions) {
        if !seen.insert(&expression.key) {
            repeated.insert(&expression.key);
        }
    }
    for (index, key) in keys.iter().enumerate() {
        check::qualified_name(errors, &path.index(index), key);
        if repeated.contains(key) {
            let detail = "exists in both matchLabelKeys and labelSelector";
            errors.push(FieldError::invalid(&path.index(index), key.as_str(), detail));
        }
    }
}

/// `validateSchedulingGates`.
pub(super) fn validate_gates(errors: &mut ErrorList, path: &Path, gates: &[PodSchedulingGate]) {
    let mut seen = BTreeSet::new();
    for (index, gate) in gates.iter().enumerate() {
        let path = path.index(index);
        check::qualified_name(errors, &path, &gate.name);
        if !seen.insert(&gate.name) {
            errors.push(FieldError::duplicate(&path, gate.name.as_str()));
        }
    }
}
