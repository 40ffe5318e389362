//! Validation of Jobs and of templates of Jobs. Follows `pkg/apis/batch/validation`.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Affinity, Container, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    CONTROLLER_UID_LABEL, JOB_NAME_LABEL, LEGACY_CONTROLLER_UID_LABEL, LEGACY_JOB_NAME_LABEL, policies, status,
};
use crate::api::check::{self, IMMUTABLE, text};
use crate::api::core::pod::validation as pod;
use crate::api::form::semantic_equal;
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::Selector;
use crate::machinery::names;

/// `maxParallelismForIndexedJob` and `maxFailedIndexesForIndexedJob`.
const INDEXED_MAX: i32 = 100_000;
/// `completionsSoftLimit`: above it, less is allowed of other things.
const COMPLETIONS_SOFT_LIMIT: i32 = 100_000;
/// `parallelismLimitForHighCompletions` and `maxFailedIndexesLimitForHighCompletions`.
const HIGH_COMPLETIONS_MAX: i32 = 10_000;
/// `maxManagedByLength`.
const MANAGED_BY_BYTES_MAX: usize = 63;

/// Whether pods of the Job have numbers.
pub(crate) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// `ValidateJob`; Jobs from before the prefixed labels need not have them.
pub(super) fn validate(job: &Job, needs_prefixed_labels: bool) -> ErrorList {
    let mut errors = meta::validate(&job.metadata, true, names::is_dns1123_subdomain);
    let missing = JobSpec::default();
    let spec = job.spec.as_ref().unwrap_or(&missing);
    validate_generated_selector(&mut errors, job, spec, needs_prefixed_labels);
    validate_spec(&mut errors, &Path::new("spec"), spec);
    if let Some(completions) = spec.completions.filter(|completions| is_indexed(spec) && *completions > 0) {
        let name = text(&job.metadata.name);
        let hostname = format!("{name}-{}", completions - 1);
        if !names::is_dns1123_label(&hostname).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {hostname}");
            errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, detail));
        }
    }
    errors
}

/// `validateGeneratedSelector`: no other Job's pods may be among those that it selects.
fn validate_generated_selector(errors: &mut ErrorList, job: &Job, spec: &JobSpec, needs_prefixed_labels: bool) {
    let (false, Some(selector)) = (spec.manual_selector == Some(true), &spec.selector) else { return };
    let (name, uid) = (text(&job.metadata.name), text(&job.metadata.uid));
    if uid.is_empty() {
        errors.push(FieldError::required(&Path::new("metadata").child("uid"), ""));
    }
    let path = Path::new("spec");
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let mut expected = vec![(LEGACY_CONTROLLER_UID_LABEL, uid), (LEGACY_JOB_NAME_LABEL, name)];
    if needs_prefixed_labels {
        expected.extend([(CONTROLLER_UID_LABEL, uid), (JOB_NAME_LABEL, name)]);
    }
    for (label, value) in &expected {
        validate_label(errors, &path.child("template").child("metadata").child("labels"), labels, label, value);
    }
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect();
    if Selector::from_label_selector(Some(selector)).is_ok_and(|selector| !selector.matches(&expected)) {
        let shown = check::selector_json(Some(selector));
        errors.push(FieldError::invalid(&path.child("selector"), shown, "`selector` not auto-generated"));
    }
}

/// `ValidateHasLabel`.
fn validate_label(
    errors: &mut ErrorList,
    path: &Path,
    labels: Option<&BTreeMap<String, String>>,
    label: &str,
    value: &str,
) {
    let (path, detail) = (path.key(label), format!("must be '{value}'"));
    match labels.and_then(|labels| labels.get(label)) {
        None => errors.push(FieldError::required(&path, detail)),
        Some(found) if found != value => {
            errors.push(FieldError::invalid(&path, labels.map_or(Value::Null, check::json), detail));
        }
        Some(_) => {}
    }
}

/// `ValidateJobSpec`.
fn validate_spec(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    validate_common_spec(errors, path, spec);
    let at = path.child("selector");
    match &spec.selector {
        None => errors.push(FieldError::required(&at, "")),
        Some(selector) => check::label_selector(errors, &at, Some(selector)),
    }
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if Selector::from_label_selector(spec.selector.as_ref()).is_ok_and(|selector| !selector.matches(&labels)) {
        let at = path.child("template").child("metadata").child("labels");
        let shown = labels.map_or(Value::Null, check::json);
        errors.push(FieldError::invalid(&at, shown, "`selector` does not match template `labels`"));
    }
}

/// `ValidateJobTemplateSpec`, below the template's `spec`: the selector is generated for each Job made from it.
pub(crate) fn validate_template_spec(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    validate_common_spec(errors, path, spec);
    if let Some(selector) = &spec.selector {
        let shown = check::selector_json(Some(selector));
        errors.push(FieldError::invalid(&path.child("selector"), shown, "`selector` will be auto-generated"));
    }
    if spec.manual_selector == Some(true) {
        errors.push(FieldError::not_supported(&path.child("manualSelector"), true, &["nil", "false"]));
    }
}

/// `validateJobSpec`: what holds for Jobs and for templates of Jobs.
fn validate_common_spec(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    for (field, number) in [
        ("parallelism", spec.parallelism.map(i64::from)),
        ("completions", spec.completions.map(i64::from)),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit.map(i64::from)),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.map(i64::from)),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index.map(i64::from)),
        ("maxFailedIndexes", spec.max_failed_indexes.map(i64::from)),
    ] {
        if let Some(number) = number {
            check::not_negative(errors, &path.child(field), number);
        }
    }
    if spec.max_failed_indexes.is_some() && spec.backoff_limit_per_index.is_none() {
        let detail = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(&path.child("backoffLimitPerIndex"), detail));
    }
    if let Some(manager) = &spec.managed_by {
        validate_managed_by(errors, &path.child("managedBy"), manager);
    }
    validate_completion_mode(errors, path, spec);
    if let Some(policy) = &spec.pod_failure_policy {
        policies::validate_pod_failure_policy(errors, &path.child("podFailurePolicy"), policy, spec);
    }
    policies::validate_success_policy(errors, &path.child("successPolicy"), spec);
    policies::validate_pod_replacement_policy(errors, &path.child("podReplacementPolicy"), spec);
    pod::validate_template(errors, &path.child("template"), &spec.template);
    validate_restart_policy(errors, &path.child("template").child("spec").child("restartPolicy"), spec);
}

/// `IsDomainPrefixedPath` and the length.
fn validate_managed_by(errors: &mut ErrorList, path: &Path, manager: &str) {
    if manager.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        let found = names::is_domain_prefixed_path(manager).into_iter();
        errors.extend(found.map(|(part, message)| FieldError::invalid(path, part, message)));
    }
    if manager.len() > MANAGED_BY_BYTES_MAX {
        errors.push(FieldError::too_long(path, MANAGED_BY_BYTES_MAX));
    }
}

fn validate_completion_mode(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    match spec.completion_mode.as_deref() {
        Some("Indexed") => validate_indexed(errors, path, spec),
        None | Some("NonIndexed") => {
            for (field, number) in
                [("backoffLimitPerIndex", spec.backoff_limit_per_index), ("maxFailedIndexes", spec.max_failed_indexes)]
            {
                if let Some(number) = number {
                    let detail = "requires indexed completion mode";
                    errors.push(FieldError::invalid(&path.child(field), number, detail));
                }
            }
        }
        Some(other) => check::supported(errors, &path.child("completionMode"), other, &["NonIndexed", "Indexed"]),
    }
}

fn validate_indexed(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    if spec.completions.is_none() {
        errors.push(FieldError::required(&path.child("completions"), "when completion mode is Indexed"));
    }
    let mut at_most = |field: &str, number: Option<i32>, most: Option<i32>, detail: String| {
        if let (Some(number), Some(most)) = (number, most)
            && number > most
        {
            errors.push(FieldError::invalid(&path.child(field), number, detail));
        }
    };
    let detail = format!("must be less than or equal to {INDEXED_MAX} when completion mode is Indexed");
    at_most("parallelism", spec.parallelism, Some(INDEXED_MAX), detail);
    let failed = spec.max_failed_indexes;
    at_most("maxFailedIndexes", failed, spec.completions, "must be less than or equal to completions".to_owned());
    let detail = format!("must be less than or equal to {INDEXED_MAX}");
    at_most("maxFailedIndexes", failed, Some(INDEXED_MAX), detail);
    if spec.completions.is_some_and(|completions| completions > COMPLETIONS_SOFT_LIMIT)
        && spec.backoff_limit_per_index.is_some()
    {
        if failed.is_none() {
            let detail = format!("must be specified when completions is above {COMPLETIONS_SOFT_LIMIT}");
            errors.push(FieldError::required(&path.child("maxFailedIndexes"), detail));
        }
        for (field, number) in [("parallelism", spec.parallelism), ("maxFailedIndexes", failed)] {
            if let Some(number) = number.filter(|number| *number > HIGH_COMPLETIONS_MAX) {
                let detail = format!(
                    "must be less than or equal to {HIGH_COMPLETIONS_MAX} when completions are above \
                     {COMPLETIONS_SOFT_LIMIT} and used with backoff limit per index"
                );
                errors.push(FieldError::invalid(&path.child(field), number, detail));
            }
        }
    }
}

fn validate_restart_policy(errors: &mut ErrorList, path: &Path, spec: &JobSpec) {
    match spec.template.spec.as_ref().map_or("", |pod| text(&pod.restart_policy)) {
        "" | "Always" => errors.push(FieldError::required(path, r#"valid values: "OnFailure", "Never""#)),
        "OnFailure" if spec.pod_failure_policy.is_some() => {
            let detail = r#"only "Never" is supported when podFailurePolicy is specified"#;
            errors.push(FieldError::invalid(path, "OnFailure", detail));
        }
        other => check::supported(errors, path, other, &["OnFailure", "Never"]),
    }
}

/// `jobStrategy.ValidateUpdate`: `ValidateJob` and `ValidateJobUpdate`.
pub(super) fn validate_update(new: &Job, old: &Job) -> ErrorList {
    let had = |label| {
        let template = old.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        template.and_then(|metadata| metadata.labels.as_ref()).is_some_and(|labels| labels.contains_key(label))
    };
    let mut errors = validate(new, had(JOB_NAME_LABEL) && had(CONTROLLER_UID_LABEL));
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    let missing = JobSpec::default();
    let (spec, before) = (new.spec.as_ref().unwrap_or(&missing), old.spec.as_ref().unwrap_or(&missing));
    let path = Path::new("spec");
    validate_spec(&mut errors, &path, spec);
    validate_completions_update(&mut errors, &path, spec, before);
    let same_selector = semantic_equal(&spec.selector, &before.selector);
    immutable(&mut errors, &path.child("selector"), same_selector, || check::selector_json(spec.selector.as_ref()));
    validate_template_update(&mut errors, &path.child("template"), spec, before, may_change_template(old));
    validate_fixed_fields(&mut errors, &path, spec, before);
    errors
}

/// Fields that never change.
fn validate_fixed_fields(errors: &mut ErrorList, path: &Path, new: &JobSpec, old: &JobSpec) {
    let mode = &new.completion_mode;
    immutable(errors, &path.child("completionMode"), *mode == old.completion_mode, || check::json(mode));
    let policy = &new.pod_failure_policy;
    let same = semantic_equal(policy, &old.pod_failure_policy);
    immutable(errors, &path.child("podFailurePolicy"), same, || shown("PodFailurePolicy", policy.as_ref()));
    let limit = new.backoff_limit_per_index;
    let same = limit == old.backoff_limit_per_index;
    immutable(errors, &path.child("backoffLimitPerIndex"), same, || check::json(&limit));
    let manager = &new.managed_by;
    immutable(errors, &path.child("managedBy"), *manager == old.managed_by, || check::json(manager));
    let policy = &new.success_policy;
    let same = semantic_equal(policy, &old.success_policy);
    immutable(errors, &path.child("successPolicy"), same, || shown("SuccessPolicy", policy.as_ref()));
}

fn immutable(errors: &mut ErrorList, path: &Path, is_same: bool, shown: impl FnOnce() -> Value) {
    if !is_same {
        errors.push(FieldError::invalid(path, shown(), IMMUTABLE));
    }
}

/// A struct as its internal type prints.
fn shown<T: Serialize>(internal_type: &str, value: Option<&T>) -> Value {
    value.map_or(Value::Null, |value| internal::dump(internal_type, &check::json(value)))
}

/// `validateCompletions`: a Job with indexes may grow and shrink when it runs all of them at once.
fn validate_completions_update(errors: &mut ErrorList, path: &Path, new: &JobSpec, old: &JobSpec) {
    let path = path.child("completions");
    if new.completions == old.completions {
        return;
    }
    if !is_indexed(new) {
        errors.push(FieldError::invalid(&path, check::json(&new.completions), IMMUTABLE));
    } else if let Some(completions) = new.completions
        && new.parallelism != Some(completions)
    {
        let detail = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid(&path, completions, detail));
    }
}

/// Whether the template's scheduling directives and resources may change: of Jobs that are suspended, have no pods, and
/// either never started or are known to be suspended.
fn may_change_template(old: &Job) -> bool {
    let suspended = old.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    let not_started = old.status.as_ref().is_none_or(|status| status.start_time.is_none());
    let active = old.status.as_ref().and_then(|status| status.active).unwrap_or(0);
    suspended && active == 0 && (not_started || status::is_true(old, "Suspended"))
}

/// `validatePodTemplateUpdate`.
fn validate_template_update(errors: &mut ErrorList, path: &Path, new: &JobSpec, old: &JobSpec, may_change: bool) {
    let template = &new.template;
    if !may_change {
        if !semantic_equal(template, &old.template) {
            errors.push(FieldError::invalid(path, template_shown(template), IMMUTABLE));
        }
        return;
    }
    let no_spec = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&no_spec);
    let mut allowed = old.template.spec.clone().unwrap_or_default();
    allow_node_affinity(&mut allowed, spec);
    allowed.node_selector.clone_from(&spec.node_selector);
    allowed.tolerations.clone_from(&spec.tolerations);
    allowed.scheduling_gates.clone_from(&spec.scheduling_gates);
    allow_resources(&mut allowed.containers, &spec.containers);
    if let (Some(allowed), Some(wanted)) = (&mut allowed.init_containers, &spec.init_containers) {
        allow_resources(allowed, wanted);
    }
    // The metadata as a whole is not compared any more: labels and annotations may change, and it has nothing else.
    if !semantic_equal(spec, &allowed) {
        let shown = internal::dump("PodSpec", &check::json(spec));
        errors.push(FieldError::invalid(&path.child("spec"), shown, IMMUTABLE));
    }
}

fn allow_node_affinity(allowed: &mut PodSpec, wanted: &PodSpec) {
    match (&wanted.affinity, &mut allowed.affinity) {
        (None, Some(old)) => {
            old.node_affinity = None;
            if *old == Affinity::default() {
                allowed.affinity = None;
            }
        }
        (Some(new), None) => {
            allowed.affinity = Some(Affinity { node_affinity: new.node_affinity.clone(), ..Affinity::default() });
        }
        (Some(new), Some(old)) => old.node_affinity.clone_from(&new.node_affinity),
        (None, None) => {}
    }
}

fn allow_resources(allowed: &mut [Container], wanted: &[Container]) {
    if allowed.len() == wanted.len() {
        for (allowed, wanted) in allowed.iter_mut().zip(wanted).filter(|(old, new)| old.name == new.name) {
            allowed.resources.clone_from(&wanted.resources);
        }
    }
}

/// A template as the internal type prints: metadata as JSON has it, in Go's order, and the spec under its Go name.
fn template_shown(template: &PodTemplateSpec) -> Value {
    let no_metadata = ObjectMeta::default();
    let metadata = check::json(template.metadata.as_ref().unwrap_or(&no_metadata));
    let mut shown = Map::new();
    for field in ["name", "generateName", "namespace", "labels", "annotations", "finalizers"] {
        if let Some(value) = metadata.get(field).filter(|value| value.as_object().is_none_or(|map| !map.is_empty())) {
            shown.insert(field.to_owned(), value.clone());
        }
    }
    let spec = template.spec.as_ref().map_or(Value::Null, check::json);
    shown.insert("Spec".to_owned(), internal::dump("PodSpec", &spec));
    Value::Object(shown)
}
