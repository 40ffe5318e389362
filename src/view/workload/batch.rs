//! Jobs and CronJobs: work that ends.

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::{Goal, Progress, WorkloadView, empty};

/// The view of a Job that no CronJob owns.
pub(super) fn job_view(job: &Job) -> WorkloadView {
    let spec = job.spec.clone().unwrap_or_default();
    let status = job.status.clone().unwrap_or_default();
    let parallelism = spec.parallelism.unwrap_or(1);
    let wanted = spec.completions.unwrap_or(parallelism);
    let (active, succeeded) = (status.active.unwrap_or(0), status.succeeded.unwrap_or(0));
    let is = |type_: &str| {
        status.conditions.iter().flatten().any(|condition| condition.type_ == type_ && condition.status == "True")
    };
    let progress = if is("Complete") {
        Progress::Complete
    } else if is("Failed") {
        Progress::Failed
    } else if is("Suspended") {
        Progress::Paused
    } else {
        Progress::Running
    };
    WorkloadView {
        desired: parallelism,
        total: active,
        updated: active,
        ready: status.ready.unwrap_or(0),
        available: status.ready.unwrap_or(0),
        goal: Goal::Completions { succeeded, wanted },
        progress,
        ..empty(job, spec.template.spec.as_ref())
    }
}

/// The view of a CronJob; the pods of its Jobs are drawn with it.
pub(super) fn cron_job_view(job: &CronJob) -> WorkloadView {
    let spec = &job.spec;
    let active = job.status.as_ref().and_then(|status| status.active.as_ref()).map_or(0, Vec::len);
    let template = spec.job_template.spec.as_ref().and_then(|job| job.template.spec.as_ref());
    let progress = match (spec.suspend, active) {
        (Some(true), _) => Progress::Paused,
        (_, 0) => Progress::Steady,
        _ => Progress::Running,
    };
    WorkloadView { goal: Goal::Schedule { schedule: spec.schedule.clone(), active }, progress, ..empty(job, template) }
}
