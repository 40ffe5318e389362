//! Jobs. Follows `pkg/registry/batch/job`, `ValidateJob` and `printJob`.

mod policies;
pub(crate) mod status;
pub(crate) mod validation;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use serde_json::Value;

use super::{default_parts, spec_warnings};
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::machinery::duration::GoDuration;
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::labels::format_label_selector;
use crate::machinery::time::Time;

/// The labels that a Job gives its pods, the newer ones and those that came before the prefix.
pub(crate) const CONTROLLER_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
pub(crate) const JOB_NAME_LABEL: &str = "batch.kubernetes.io/job-name";
pub(crate) const LEGACY_CONTROLLER_UID_LABEL: &str = "controller-uid";
pub(crate) const LEGACY_JOB_NAME_LABEL: &str = "job-name";

/// `SetDefaults_Job` and those of its parts.
pub(crate) fn default(job: &mut Job) {
    let spec = job.spec.get_or_insert_default();
    default_parts(spec);
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    // With a limit for each index, there is none for all together.
    let unlimited = spec.backoff_limit_per_index.is_some();
    spec.backoff_limit.get_or_insert(if unlimited { i32::MAX } else { 6 });
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    let policy = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| policy.to_owned());
    spec.manual_selector.get_or_insert(false);
}

/// Upstream's defaults give a Job that has no labels those of its template, as one map: labels that are then generated
/// for the template are the Job's too. A template without labels has no map to share, and the defaults come to it when
/// the Job is read from the store.
pub(crate) fn prepare_for_create(job: &mut Job) {
    let shares_labels = has_no_labels(job) && template_labels(job).is_some();
    if job.spec.as_ref().and_then(|spec| spec.manual_selector) != Some(true) {
        generate_selector(job);
    }
    job.status = Some(JobStatus::default());
    job.metadata.generation = Some(1);
    if shares_labels {
        job.metadata.labels = template_labels(job).cloned();
    }
}

fn template_labels(job: &Job) -> Option<&BTreeMap<String, String>> {
    job.spec.as_ref()?.template.metadata.as_ref()?.labels.as_ref().filter(|labels| !labels.is_empty())
}

fn has_no_labels(job: &Job) -> bool {
    job.metadata.labels.as_ref().is_none_or(|labels| labels.is_empty())
}

/// A Job without labels has those of its template.
pub(crate) fn canonicalize(job: &mut Job) {
    if let Some(spec) = &mut job.spec {
        super::canonicalize(&mut spec.template);
    }
    if has_no_labels(job) {
        job.metadata.labels = template_labels(job).cloned();
    }
}

/// `generateSelector`: what the manifest set itself stays, and validation judges it.
fn generate_selector(job: &mut Job) {
    let name = job.metadata.name.clone().unwrap_or_default();
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let spec = job.spec.get_or_insert_default();
    let labels = spec.template.metadata.get_or_insert_default().labels.get_or_insert_default();
    for (label, value) in [
        (LEGACY_JOB_NAME_LABEL, &name),
        (JOB_NAME_LABEL, &name),
        (LEGACY_CONTROLLER_UID_LABEL, &uid),
        (CONTROLLER_UID_LABEL, &uid),
    ] {
        labels.entry(label.to_owned()).or_insert_with(|| value.clone());
    }
    let selector = spec.selector.get_or_insert_default().match_labels.get_or_insert_default();
    selector.entry(CONTROLLER_UID_LABEL.to_owned()).or_insert(uid);
}

pub(crate) fn prepare_for_update(new: &mut Job, old: &Job, subresource: Option<Subresource>) {
    if has_no_labels(new) {
        new.metadata.labels = template_labels(new).cloned();
    }
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateJob`.
pub(crate) fn validate(job: &Job) -> ErrorList {
    validation::validate(job, true)
}

/// `jobStrategy.ValidateUpdate` and, for the status, `ValidateJobUpdateStatus`.
pub(crate) fn validate_update(new: &Job, old: &Job, subresource: Option<Subresource>) -> ErrorList {
    if subresource == Some(Subresource::Status) {
        let mut errors = meta::validate_update(&new.metadata, &old.metadata);
        status::validate_update(&mut errors, new, old);
        return errors;
    }
    validation::validate_update(new, old)
}

pub(crate) fn warnings(new: &Job, old: Option<&Job>) -> Vec<String> {
    let missing = JobSpec::default();
    let spec = new.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    match old {
        None => spec_warnings(&path, new.metadata.name.as_deref(), spec),
        Some(old) if old.metadata.generation != new.metadata.generation => spec_warnings(&path, None, spec),
        Some(_) => Vec::new(),
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Status", "Status of the job."),
    ColumnDefinition::text(
        "Completions",
        "The number of pods which reached phase Succeeded. The value increases monotonically for a given spec. However, \
         it may decrease in reaction to scale down of elastic indexed jobs.",
    ),
    ColumnDefinition::text("Duration", "Time required to complete the job."),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
    ColumnDefinition::text(
        "Selector",
        "A label query over pods that should match the pod count. Normally, the system sets this field for you. More \
         info: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
    )
    .wide(),
];

pub(crate) fn row(job: &Job, now: Time) -> Vec<Value> {
    let spec = job.spec.clone().unwrap_or_default();
    let containers = spec.template.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let (names, images) = container_cells(containers);
    vec![
        name_of(&job.metadata),
        status_text(job).into(),
        completions_text(job, &spec).into(),
        duration_text(job, now).into(),
        age_of(&job.metadata, now),
        names,
        images,
        format_label_selector(spec.selector.as_ref()).into(),
    ]
}

/// The first of these that is so, as `printJob` asks for them.
fn status_text(job: &Job) -> &'static str {
    let has = |condition| status::is_true(job, condition);
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if job.metadata.deletion_timestamp.is_some() {
        "Terminating"
    } else if has("Suspended") {
        "Suspended"
    } else if has("FailureTarget") {
        "FailureTarget"
    } else if has("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

fn completions_text(job: &Job, spec: &JobSpec) -> String {
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    match (spec.completions, spec.parallelism.unwrap_or(0)) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism @ 2..) => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn duration_text(job: &Job, now: Time) -> String {
    let Some(status) = &job.status else { return String::new() };
    let Some(started) = status.start_time.as_ref().map(Time::from) else { return String::new() };
    GoDuration::between(started, status.completion_time.as_ref().map_or(now, Time::from)).human()
}
