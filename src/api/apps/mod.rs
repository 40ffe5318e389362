//! The apps group: defaults, validation, strategies and columns of its kinds.

pub(crate) mod controller_revision;
pub(crate) mod deployment;
pub(crate) mod replica_set;

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde_json::Value;

use super::check::{self, text};
use super::core::pod::{validation, warnings};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::Selector;

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

/// `ValidatePodTemplateSpecForReplicaSet`.
fn validate_template(errors: &mut ErrorList, path: &Path, selector: &Selector, template: &PodTemplateSpec) {
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if !selector.is_empty() && !selector.matches(&labels) {
        let shown = labels.map_or(Value::Null, check::json);
        let at = path.child("metadata").child("labels");
        errors.push(FieldError::invalid(&at, shown, "`selector` does not match template `labels`"));
    }
    validation::validate_template(errors, path, template);
    let Some(spec) = &template.spec else { return };
    let path = path.child("spec");
    if text(&spec.restart_policy) != "Always" {
        let at = path.child("restartPolicy");
        errors.push(FieldError::not_supported(&at, text(&spec.restart_policy), &["Always"]));
    }
    if spec.active_deadline_seconds.is_some() {
        let detail = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden(&path.child("activeDeadlineSeconds"), detail));
    }
}

/// `ValidateImmutableField` for `spec.selector`.
pub(super) fn validate_same_selector(errors: &mut ErrorList, new: Option<&LabelSelector>, old: Option<&LabelSelector>) {
    if check::selector_json(new) != check::selector_json(old) {
        let path = Path::new("spec").child("selector");
        errors.push(FieldError::invalid(&path, check::selector_json(new), check::IMMUTABLE));
    }
}

/// Counts of a status that may not be negative nor above another.
pub(super) fn validate_counts(errors: &mut ErrorList, path: &Path, counts: &[(&str, Option<i32>)]) {
    for (field, count) in counts {
        check::not_negative(errors, &path.child(field), i64::from(count.unwrap_or(0)));
    }
}

/// `counts` may not be above `most`, which `detail` names.
pub(super) fn validate_at_most(
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
    if let Some(template) = template {
        let path = Path::new("spec").child("template");
        let (no_metadata, no_spec) = (ObjectMeta::default(), PodSpec::default());
        let metadata = template.metadata.as_ref().unwrap_or(&no_metadata);
        result.extend(warnings::of_spec(&path, metadata, template.spec.as_ref().unwrap_or(&no_spec)));
    }
    result
}
