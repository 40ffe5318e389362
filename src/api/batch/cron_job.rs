//! CronJobs. Follows `pkg/registry/batch/cronjob`, `ValidateCronJobCreate` and `printCronJob`.

use k8s_openapi::api::batch::v1::{CronJob, CronJobSpec, CronJobStatus, JobSpec};
use serde_json::Value;

use super::job::validation::validate_template_spec;
use super::{default_parts, spec_warnings};
use crate::api::check::{self, list, text};
use crate::api::core::pod::defaults;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age, age_of, container_cells, name_of};
use crate::machinery::cron::Schedule;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::format_label_selector;
use crate::machinery::names;
use crate::machinery::time::Time;
use crate::machinery::time_zone::TimeZone;

/// The controller puts `-` and ten digits behind the name for the name of a Job.
const NAME_BYTES_MAX: usize = 63 - 11;
/// A part of a zone's name is not longer.
const ZONE_PART_BYTES_MAX: usize = 14;

/// `SetDefaults_CronJob` and those of its parts.
pub(crate) fn default(cron_job: &mut CronJob) {
    let spec = &mut cron_job.spec;
    default_parts(spec.job_template.spec.get_or_insert_default());
    defaults::text_or(&mut spec.concurrency_policy, "Allow");
    spec.suspend.get_or_insert(false);
    spec.successful_jobs_history_limit.get_or_insert(3);
    spec.failed_jobs_history_limit.get_or_insert(1);
}

pub(crate) fn prepare_for_create(cron_job: &mut CronJob) {
    cron_job.status = Some(CronJobStatus::default());
    cron_job.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut CronJob, old: &CronJob, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateCronJobCreate`.
pub(crate) fn validate(cron_job: &CronJob) -> ErrorList {
    let mut errors = meta::validate(&cron_job.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, &cron_job.spec, None);
    let name = text(&cron_job.metadata.name);
    if name.len() > NAME_BYTES_MAX {
        let detail = format!("must be no more than {NAME_BYTES_MAX} characters");
        errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, detail));
    }
    errors
}

/// `ValidateCronJobUpdate`; a status may be anything.
pub(crate) fn validate_update(new: &CronJob, old: &CronJob, subresource: Option<Subresource>) -> ErrorList {
    if subresource == Some(Subresource::Status) {
        return ErrorList::new();
    }
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    validate_spec(&mut errors, &new.spec, Some(&old.spec));
    errors
}

fn validate_spec(errors: &mut ErrorList, spec: &CronJobSpec, old: Option<&CronJobSpec>) {
    let path = Path::new("spec");
    let at = path.child("schedule");
    if spec.schedule.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        validate_schedule(errors, &at, spec, old.is_some_and(|old| old.schedule.contains("TZ")));
    }
    if let Some(seconds) = spec.starting_deadline_seconds {
        check::not_negative(errors, &path.child("startingDeadlineSeconds"), seconds);
    }
    if let Some(zone) = &spec.time_zone
        && old.is_none_or(|old| old.time_zone.as_ref() != Some(zone))
    {
        validate_time_zone(errors, &path.child("timeZone"), zone);
    }
    let policy = text(&spec.concurrency_policy);
    check::required_supported(errors, &path.child("concurrencyPolicy"), policy, &["Allow", "Forbid", "Replace"]);
    let missing = JobSpec::default();
    let template = spec.job_template.spec.as_ref().unwrap_or(&missing);
    validate_template_spec(errors, &path.child("jobTemplate").child("spec"), template);
    for (field, limit) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        check::not_negative(errors, &path.child(field), i64::from(limit.unwrap_or(0)));
    }
}

/// `validateScheduleFormat`. A zone in the schedule is allowed only to those that had one before it was forbidden.
fn validate_schedule(errors: &mut ErrorList, path: &Path, spec: &CronJobSpec, may_have_zone: bool) {
    let schedule = spec.schedule.as_str();
    if let Err(error) = Schedule::parse(schedule) {
        errors.push(FieldError::invalid(path, schedule, error));
    }
    if !schedule.contains("TZ") {
        return;
    }
    if !may_have_zone {
        let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid(path, schedule, detail));
    } else if spec.time_zone.is_some() {
        let detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
        errors.push(FieldError::invalid(path, schedule, detail));
    }
}

/// `validateTimeZone`.
fn validate_time_zone(errors: &mut ErrorList, path: &Path, zone: &str) {
    if zone.is_empty() {
        errors.push(FieldError::invalid(path, "", "timeZone must be nil or non-empty string"));
        return;
    }
    if !zone.split('/').all(is_zone_part) {
        errors.push(FieldError::invalid(path, zone, format!("unknown time zone {zone}")));
        return;
    }
    if zone.eq_ignore_ascii_case("local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.push(FieldError::invalid(path, zone, detail));
    }
    if let Err(error) = TimeZone::load(zone) {
        errors.push(FieldError::invalid(path, zone, error));
    }
}

fn is_zone_part(part: &str) -> bool {
    let letters = |letter: u8| letter.is_ascii_alphanumeric() || b".-_+".contains(&letter);
    !matches!(part, "." | "..")
        && !part.starts_with('-')
        && (1..=ZONE_PART_BYTES_MAX).contains(&part.len())
        && part.bytes().all(letters)
}

pub(crate) fn warnings(new: &CronJob, old: Option<&CronJob>) -> Vec<String> {
    let spec = &new.spec;
    let missing = JobSpec::default();
    let template = spec.job_template.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec").child("jobTemplate").child("spec");
    let Some(old) = old else {
        return spec_warnings(&path, new.metadata.name.as_deref(), template);
    };
    let mut warnings = Vec::new();
    if old.metadata.generation != new.metadata.generation {
        warnings = spec_warnings(&path, None, template);
    }
    if spec.schedule.contains("TZ") {
        warnings.push(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Schedule", "The schedule in Cron format, see https://en.wikipedia.org/wiki/Cron."),
    ColumnDefinition::text(
        "Timezone",
        "The time zone name for the given schedule, see https://en.wikipedia.org/wiki/List_of_tz_database_time_zones. \
         If not specified, this will default to the time zone of the kube-controller-manager process. The set of valid \
         time zone names and the time zone offset is loaded from the system-wide time zone database by the API server \
         during CronJob validation and the controller manager during execution. If no system-wide time zone database \
         can be found a bundled version of the database is used instead. If the time zone name becomes invalid during \
         the lifetime of a CronJob or due to a change in host configuration, the controller will stop creating new new \
         Jobs and will create a system event with the reason UnknownTimeZone. More information can be found in \
         https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#time-zones",
    ),
    ColumnDefinition::boolean(
        "Suspend",
        "This flag tells the controller to suspend subsequent executions, it does not apply to already started \
         executions.  Defaults to false.",
    ),
    ColumnDefinition::integer("Active", "A list of pointers to currently running jobs."),
    ColumnDefinition::text("Last Schedule", "Information when was the last time the job was successfully scheduled."),
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

pub(crate) fn row(cron_job: &CronJob, now: Time) -> Vec<Value> {
    let spec = cron_job.spec.clone();
    let status = cron_job.status.clone().unwrap_or_default();
    let template = spec.job_template.spec.unwrap_or_default();
    let containers = template.template.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let (names, images) = container_cells(containers);
    let suspend = spec.suspend.map_or("<unset>", |suspend| if suspend { "True" } else { "False" });
    let last = status.last_schedule_time.as_ref();
    vec![
        name_of(&cron_job.metadata),
        spec.schedule.into(),
        spec.time_zone.unwrap_or_else(|| "<none>".to_owned()).into(),
        suspend.into(),
        list(&status.active).len().into(),
        last.map_or_else(|| "<none>".to_owned(), |last| age(Some(last), now)).into(),
        age_of(&cron_job.metadata, now),
        names,
        images,
        format_label_selector(template.selector.as_ref()).into(),
    ]
}
