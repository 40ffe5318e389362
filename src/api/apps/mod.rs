//! The apps group: defaults, validation, strategies and columns of its kinds.

pub(crate) mod controller_revision;
pub(crate) mod daemon_set;
pub(crate) mod deployment;
pub(crate) mod replica_set;
pub(crate) mod stateful_set;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::check::{self, text};
use super::core::pod::{validation, warnings};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::Selector;
use crate::machinery::names;

/// The selector if the manifest gave one: `form::tidy` lets an empty one carry an empty map of labels.
pub(super) fn given(selector: &LabelSelector) -> Option<&LabelSelector> {
    (selector.match_labels.is_some() || selector.match_expressions.is_some()).then_some(selector)
}

/// The selector and the template of a workload, which must agree.
pub(super) fn validate_selector_and_template(
    errors: &mut ErrorList,
    path: &Path,
    selector: Option<&LabelSelector>,
    template: Option<&PodTemplateSpec>,
) {
    let at = path.child("selector");
    match selector {
        None => errors.push(FieldError::required(&at, "")),
        Some(selector) => {
            check::label_selector(errors, &at, Some(selector));
            if check::selector_is_empty(selector) {
                let shown = check::selector_json(Some(selector));
                errors.push(FieldError::invalid(&at, shown, "empty selector is invalid for deployment"));
            }
        }
    }
    match Selector::from_label_selector(selector) {
        Err(_) => {
            errors.push(FieldError::invalid(&at, check::selector_json(selector), "invalid label selector"));
        }
        Ok(selector) => {
            let missing = PodTemplateSpec::default();
            validate_template(errors, &path.child("template"), &selector, template.unwrap_or(&missing));
        }
    }
}

/// A workload must select the pods of its own template.
pub(in crate::api) fn validate_selected(
    errors: &mut ErrorList,
    path: &Path,
    selector: &Selector,
    template: &PodTemplateSpec,
) {
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !selector.is_empty() && !selector.matches(&labels) {
        let shown = labels.map_or(Value::Null, check::json);
        let at = path.child("metadata").child("labels");
        errors.push(FieldError::invalid(&at, shown, "`selector` does not match template `labels`"));
    }
}

/// `ValidatePodTemplateSpecForReplicaSet`.
fn validate_template(errors: &mut ErrorList, path: &Path, selector: &Selector, template: &PodTemplateSpec) {
    validate_selected(errors, path, selector, template);
    validation::validate_template(errors, path, template);
    validate_runs_for_ever(errors, path, template, "ReplicaSet");
}

/// `ValidateImmutableField` for `spec.selector`.
pub(super) fn validate_same_selector(errors: &mut ErrorList, new: Option<&LabelSelector>, old: Option<&LabelSelector>) {
    if check::selector_json(new) != check::selector_json(old) {
        let path = Path::new("spec").child("selector");
        errors.push(FieldError::invalid(&path, check::selector_json(new), check::IMMUTABLE));
    }
}

/// `ValidatePositiveIntOrPercent`.
pub(super) fn validate_int_or_percent(errors: &mut ErrorList, path: &Path, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => check::not_negative(errors, path, i64::from(*number)),
        IntOrString::String(text) => check::invalid_each(errors, path, text, names::is_percent(text)),
    }
}

/// The number or the percentage, 0 when it is neither.
pub(super) fn number_of(value: &IntOrString) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) if names::is_percent(text).is_empty() => {
            text.trim_end_matches('%').parse().unwrap_or(0)
        }
        IntOrString::String(_) => 0,
    }
}

/// `IsNotMoreThan100Percent`: only percentages have such a bound.
pub(super) fn validate_not_above_all(errors: &mut ErrorList, path: &Path, value: &IntOrString) {
    if matches!(value, IntOrString::String(_)) && number_of(value) > 100 {
        errors.push(FieldError::invalid(path, check::json(value), "must not be greater than 100%"));
    }
}

/// What `ValidatePodTemplateSpec` leaves to each workload: its pods are restarted for ever and have no deadline.
pub(in crate::api) fn validate_runs_for_ever(
    errors: &mut ErrorList,
    path: &Path,
    template: &PodTemplateSpec,
    workload: &str,
) {
    let path = path.child("spec");
    let policy = template.spec.as_ref().map_or("", |spec| text(&spec.restart_policy));
    if policy != "Always" {
        errors.push(FieldError::not_supported(&path.child("restartPolicy"), policy, &["Always"]));
    }
    if template.spec.as_ref().is_some_and(|spec| spec.active_deadline_seconds.is_some()) {
        let detail = format!("activeDeadlineSeconds in {workload} is not Supported");
        errors.push(FieldError::forbidden(&path.child("activeDeadlineSeconds"), detail));
    }
}

/// A count of name collisions never goes down.
pub(super) fn validate_collisions(errors: &mut ErrorList, new: Option<i32>, old: Option<i32>) {
    let count = new.unwrap_or(0);
    if count < old.unwrap_or(0) {
        let path = Path::new("status").child("collisionCount");
        errors.push(FieldError::invalid(&path, count, "cannot be decremented"));
    }
}

/// Counts of a status that may not be negative nor above another.
pub(in crate::api) fn validate_counts(errors: &mut ErrorList, path: &Path, counts: &[(&str, Option<i32>)]) {
    for (field, count) in counts {
        check::not_negative(errors, &path.child(field), i64::from(count.unwrap_or(0)));
    }
}

/// `counts` may not be above `most`, which `detail` names.
pub(in crate::api) fn validate_at_most(
    errors: &mut ErrorList,
    path: &Path,
    counts: &[(&str, Option<i32>)],
    most: Option<i32>,
    detail: &str,
) {
    for (field, count) in counts.iter().map(|(field, count)| (field, count.unwrap_or(0))) {
        if count > most.unwrap_or(0) {
            errors.push(FieldError::invalid(&path.child(field), count, detail));
        }
    }
}

/// What the strategies of workloads warn of: the name on creation, the template whenever it may have changed.
pub(super) fn workload_warnings(name: Option<&str>, template: Option<&PodTemplateSpec>) -> Vec<String> {
    let mut result: Vec<String> = Vec::new();
    result.extend(name.and_then(|name| warnings::name_warning(name, "Pod names and hostnames")));
    result.extend(template_warnings(&Path::new("spec").child("template"), template));
    result
}

/// `GetWarningsForPodTemplate`.
pub(in crate::api) fn template_warnings(path: &Path, template: Option<&PodTemplateSpec>) -> Vec<String> {
    let Some(template) = template else { return Vec::new() };
    let (no_metadata, no_spec) = (ObjectMeta::default(), PodSpec::default());
    let metadata = template.metadata.as_ref().unwrap_or(&no_metadata);
    warnings::of_spec(path, metadata, template.spec.as_ref().unwrap_or(&no_spec))
}
