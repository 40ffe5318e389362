//! Validation of what a Job does about failed pods, and of when it has succeeded early.

use std::collections::BTreeSet;

use k8s_openapi::api::batch::v1::{
    JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
    PodFailurePolicyRule, SuccessPolicyRule,
};

use super::status::validate_indexes;
use super::validation::is_indexed;
use crate::api::check::{self, list, text};
use crate::api::internal;
use crate::machinery::field::{ErrorList, FieldError, Path};

/// `maxPodFailurePolicyRules`, `maxPodFailurePolicyOnPodConditionsPatterns` and `maxSuccessPolicyRule`.
const RULES_MAX: usize = 20;
/// `maxPodFailurePolicyOnExitCodesValues`.
const EXIT_CODES_MAX: usize = 255;
/// `maxJobSuccessPolicySucceededIndexesLimit`.
const SUCCEEDED_INDEXES_BYTES_MAX: usize = 64 * 1024;
/// `supportedPodFailurePolicyActions`.
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];

/// `Required`, with what may stand there.
fn required_one_of(path: &Path, choices: &[&str]) -> FieldError {
    let quoted: Vec<String> = choices.iter().map(|choice| format!("{choice:?}")).collect();
    FieldError::required(path, format!("valid values: [{}]", quoted.join(" ")))
}

fn one_of(errors: &mut ErrorList, path: &Path, value: &str, choices: &[&str]) {
    if value.is_empty() {
        errors.push(required_one_of(path, choices));
    } else {
        check::supported(errors, path, value, choices);
    }
}

/// `validatePodFailurePolicy`.
pub(super) fn validate_pod_failure_policy(
    errors: &mut ErrorList,
    path: &Path,
    policy: &PodFailurePolicy,
    spec: &JobSpec,
) {
    let path = path.child("rules");
    if policy.rules.len() > RULES_MAX {
        errors.push(FieldError::too_many(&path, policy.rules.len(), RULES_MAX));
    }
    let pod = spec.template.spec.as_ref();
    let containers: BTreeSet<&str> = pod
        .into_iter()
        .flat_map(|pod| pod.containers.iter().chain(pod.init_containers.iter().flatten()))
        .map(|container| container.name.as_str())
        .collect();
    for (index, rule) in policy.rules.iter().enumerate() {
        validate_rule(errors, &path.index(index), rule, spec, &containers);
    }
}

fn validate_rule(
    errors: &mut ErrorList,
    path: &Path,
    rule: &PodFailurePolicyRule,
    spec: &JobSpec,
    containers: &BTreeSet<&str>,
) {
    let action = path.child("action");
    if rule.action == "FailIndex" && spec.backoff_limit_per_index.is_none() {
        errors.push(FieldError::invalid(&action, "FailIndex", "requires the backoffLimitPerIndex to be set"));
    } else {
        one_of(errors, &action, &rule.action, &ACTIONS);
    }
    if let Some(requirement) = &rule.on_exit_codes {
        validate_exit_codes(errors, &path.child("onExitCodes"), requirement, containers);
    }
    let patterns = list(&rule.on_pod_conditions);
    if !patterns.is_empty() {
        validate_pod_conditions(errors, &path.child("onPodConditions"), patterns);
    }
    let detail = match (rule.on_exit_codes.is_some(), patterns.is_empty()) {
        (true, false) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, true) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(FieldError::invalid_as_a_whole(path, detail));
}

fn validate_pod_conditions(errors: &mut ErrorList, path: &Path, patterns: &[PodFailurePolicyOnPodConditionsPattern]) {
    if patterns.len() > RULES_MAX {
        errors.push(FieldError::too_many(path, patterns.len(), RULES_MAX));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        let path = path.index(index);
        check::qualified_name(errors, &path.child("type"), &pattern.type_);
        one_of(errors, &path.child("status"), text(&pattern.status), &["False", "True", "Unknown"]);
    }
}

fn validate_exit_codes(
    errors: &mut ErrorList,
    path: &Path,
    requirement: &PodFailurePolicyOnExitCodesRequirement,
    containers: &BTreeSet<&str>,
) {
    one_of(errors, &path.child("operator"), &requirement.operator, &["In", "NotIn"]);
    if let Some(name) = &requirement.container_name
        && !containers.contains(name.as_str())
    {
        let detail = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(&path.child("containerName"), name.as_str(), detail));
    }
    let path = path.child("values");
    let values = &requirement.values;
    if values.is_empty() {
        errors.push(FieldError::invalid(&path, check::json(values), "at least one value is required"));
    } else if values.len() > EXIT_CODES_MAX {
        errors.push(FieldError::too_many(&path, values.len(), EXIT_CODES_MAX));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let at = path.index(index);
        if requirement.operator == "In" && *value == 0 {
            errors.push(FieldError::invalid(&at, 0, "must not be 0 for the In operator"));
        }
        if !seen.insert(value) {
            errors.push(FieldError::duplicate(&at, *value));
        }
    }
    if !values.is_sorted() {
        errors.push(FieldError::invalid(&path, check::json(values), "must be ordered"));
    }
}

/// `validateSuccessPolicy`.
pub(super) fn validate_success_policy(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    let Some(policy) = &spec.success_policy else { return };
    if !is_indexed(spec) {
        let shown = internal::dump("SuccessPolicy", &check::json(policy));
        errors.push(FieldError::invalid(path, shown, "requires indexed completion mode"));
        return;
    }
    let path = path.child("rules");
    if policy.rules.is_empty() {
        let detail = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(&path, detail));
    }
    if policy.rules.len() > RULES_MAX {
        errors.push(FieldError::too_many(&path, policy.rules.len(), RULES_MAX));
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        validate_success_rule(errors, &path.index(index), rule, spec.completions.unwrap_or(0));
    }
}

fn validate_success_rule(errors: &mut ErrorList, path: &Path, rule: &SuccessPolicyRule, completions: i32) {
    if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
        let detail = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(path, detail));
    }
    let mut total = 0;
    if let Some(indexes) = &rule.succeeded_indexes {
        let at = path.child("succeededIndexes");
        if indexes.len() > SUCCEEDED_INDEXES_BYTES_MAX {
            errors.push(FieldError::too_long(&at, SUCCEEDED_INDEXES_BYTES_MAX));
        }
        match validate_indexes(indexes, completions) {
            Ok(count) => total = count,
            Err(error) => {
                let detail = format!("error parsing succeededIndexes: {error}");
                errors.push(FieldError::invalid(&at, indexes.as_str(), detail));
            }
        }
    }
    let Some(count) = rule.succeeded_count else { return };
    let at = path.child("succeededCount");
    check::not_negative(errors, &at, i64::from(count));
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.push(FieldError::invalid(&at, count, detail));
    }
    if rule.succeeded_indexes.is_some() && i64::from(count) > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.push(FieldError::invalid(&at, count, detail));
    }
}

/// `validatePodReplacementPolicy`: a failure policy must see how a pod failed before it is replaced.
pub(super) fn validate_pod_replacement_policy(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    let Some(policy) = &spec.pod_replacement_policy else { return };
    let supported: &[&str] =
        if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    check::supported(errors, path, policy, supported);
}
