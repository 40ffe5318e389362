//! Makes Jobs at the times of a schedule.
//!
//! Guarantees that a CronJob makes at most one Job for each time of its schedule, as its concurrency policy and deadline
//! allow, and keeps as many that ended as it is to. Watches CronJobs and Jobs. Follows
//! `kubernetes/pkg/controller/cronjob` (`cronjob_controllerv2.go`, `utils.go`).

mod history;
mod schedule;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{Kind, ObjectKey, Resource, controller_of};
use crate::apiserver::{DeleteOptions, Propagation};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
    reference,
};
use crate::etcd::Why;
use crate::machinery::cron::Schedule;
use crate::machinery::status::Status;
use crate::machinery::time::Time;
use crate::machinery::time_zone::TimeZone;

use super::job::conditions::{COMPLETE, finished};
use super::pod_control::controller_ref;
use history::{delete_from_active_list, is_in_active_list};

/// `batchv1.CronJobScheduledTimestampAnnotation`.
const SCHEDULED_TIMESTAMP: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// The CronJob controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct CronJobController;

/// The CronJob that controls a Job, if the cache knows it under the uid that the Job names.
fn cron_job_of(job: &Job, listers: &Informers) -> Option<ObjectKey> {
    let owner = controller_of(&job.metadata).filter(|owner| owner.kind == "CronJob")?;
    let key = ObjectKey::new(job.namespace(), owner.name.as_str());
    listers.get::<CronJob>(&key).filter(|cron_job| cron_job.uid() == owner.uid).map(|_| key)
}

/// The name of the Job of a time: the minute since the epoch is its end, so that a time has one Job only.
fn job_name(cron_job: &CronJob, scheduled: Time) -> String {
    format!("{}-{}", cron_job.name(), scheduled.as_secs() / 60)
}

/// Deletes a Job and takes it out of the active list: `deleteJob`.
fn delete_job(cron_job: &mut CronJob, job: &Job, client: &mut Client<'_>) -> Result<(), ClientError> {
    client.because(Why::new("CronJob {} does not keep Job {}.", [cron_job.name().to_owned(), job.name().to_owned()]));
    let options = DeleteOptions::default().propagate(Propagation::Background);
    if let Err(error) = client.delete(Kind::Job, &job.key(), options) {
        if let ClientError::Api(status) = &error {
            client.event(cron_job, EventType::Warning, "FailedDelete", &format!("Deleted job: {status}"));
        }
        return Err(error);
    }
    delete_from_active_list(cron_job, job.uid());
    client.event(cron_job, EventType::Normal, "SuccessfulDelete", &format!("Deleted job {}", job.name()));
    Ok(())
}

/// Brings `status.active` and `status.lastSuccessfulTime` up to date, and sets `changed` when there is news.
fn review_jobs(
    cron_job: &mut CronJob,
    jobs: &[Arc<Job>],
    changed: &mut bool,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    for job in jobs {
        let (known, end) = (is_in_active_list(cron_job, job.uid()), finished(job));
        match end {
            None if !known => {
                // The cache may be older than the Job.
                let fresh = client.get::<CronJob>(&cron_job.key())?;
                if is_in_active_list(&fresh, job.uid()) {
                    *cron_job = (*fresh).clone();
                    continue;
                }
                let message = format!("Saw a job that the controller did not create or forgot: {}", job.name());
                client.event(cron_job, EventType::Warning, "UnexpectedJob", &message);
            }
            Some(end) if known => {
                delete_from_active_list(cron_job, job.uid());
                let message = format!("Saw completed job: {}, condition: {}", job.name(), end.type_);
                client.event(cron_job, EventType::Normal, "SawCompletedJob", &message);
                *changed = true;
            }
            Some(end) if end.type_ == COMPLETE => *changed |= note_success(cron_job, job),
            _ => {}
        }
    }
    forget_missing_jobs(cron_job, jobs, changed, client)
}

/// The time of the last success is that of the Job which completed last.
fn note_success(cron_job: &mut CronJob, job: &Job) -> bool {
    let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
    let status = cron_job.status.get_or_insert_default();
    let known = status.last_successful_time.as_ref().map(Time::from);
    let is_later = completed.as_ref().is_some_and(|time| known.is_none_or(|known| Time::from(time) > known));
    if is_later {
        status.last_successful_time = completed;
    }
    is_later
}

/// Takes Jobs that are gone out of the active list.
fn forget_missing_jobs(
    cron_job: &mut CronJob,
    jobs: &[Arc<Job>],
    changed: &mut bool,
    client: &mut Client<'_>,
) -> Result<(), ClientError> {
    let active = cron_job.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default();
    for known in active {
        let uid = known.uid.as_deref().unwrap_or("");
        if jobs.iter().any(|job| job.uid() == uid) {
            continue;
        }
        match client.get::<Job>(&key_of(&known)) {
            Err(error) if error.is_not_found() => {
                let message = format!("Active job went missing: {}", known.name.as_deref().unwrap_or(""));
                client.event(cron_job, EventType::Normal, "MissingJob", &message);
                delete_from_active_list(cron_job, uid);
                *changed = true;
            }
            found => drop(found?),
        }
    }
    Ok(())
}

fn key_of(reference: &ObjectReference) -> ObjectKey {
    ObjectKey::new(reference.namespace.as_deref().unwrap_or(""), reference.name.as_deref().unwrap_or(""))
}

/// The schedule in its zone; otherwise an event tells what is wrong: `formatSchedule`.
fn parse_schedule(cron_job: &CronJob, client: &mut Client<'_>) -> Option<Schedule> {
    let text = cron_job.spec.schedule.as_str();
    let has_zone = text.contains("TZ");
    if has_zone {
        let message = format!(
            "CRON_TZ or TZ used in schedule {text:?} is not officially supported, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        );
        client.event(cron_job, EventType::Warning, "UnsupportedSchedule", &message);
    }
    let parsed = match &cron_job.spec.time_zone {
        Some(zone) if !has_zone => TimeZone::load(zone).and_then(|zone| Schedule::parse_in(text, zone)),
        _ => Schedule::parse(text),
    };
    parsed
        .map_err(|error| {
            let message = format!("unparseable schedule: {text:?} : {error}");
            client.event(cron_job, EventType::Warning, "UnparseableSchedule", &message);
        })
        .ok()
}

/// Makes the Job that is due, if one is and may be, and sets `changed` when there is news for the status. Says when to
/// come back, if at all. `syncCronJob` from where the Jobs are reviewed.
fn run_schedule(
    cron_job: &mut CronJob,
    changed: &mut bool,
    client: &mut Client<'_>,
) -> Result<Option<Duration>, ClientError> {
    if cron_job.is_deleting() {
        return Ok(None);
    }
    if let Some(zone) = &cron_job.spec.time_zone
        && let Err(error) = TimeZone::load(zone)
    {
        let message = format!("invalid timeZone: {zone:?}: {error}");
        client.event(cron_job, EventType::Warning, "UnknownTimeZone", &message);
        return Ok(None);
    }
    if cron_job.spec.suspend == Some(true) {
        return Ok(None);
    }
    let Some(schedule) = parse_schedule(cron_job, client) else { return Ok(None) };
    let deadline = cron_job.spec.starting_deadline_seconds;
    let recent = match schedule::most_recent(cron_job, &schedule, deadline, client.now) {
        Ok(recent) => recent,
        Err(error) => {
            let message = format!("invalid schedule: {} : {error}", cron_job.spec.schedule);
            client.event(cron_job, EventType::Warning, "InvalidSchedule", &message);
            return Ok(None);
        }
    };
    if recent.has_too_many() && recent.due.is_some() {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        client.event(cron_job, EventType::Warning, "TooManyMissedTimes", message);
    }
    let now = client.now;
    let later = |cron_job: &CronJob| Ok(Some(schedule::wait(cron_job, &schedule, now)));
    let Some(scheduled) = recent.due else { return later(cron_job) };
    if !may_start(cron_job, scheduled, client) {
        return later(cron_job);
    }
    if cron_job.spec.concurrency_policy.as_deref() == Some("Replace") {
        replace_active(cron_job, changed, client)?;
    }
    if !start_job(cron_job, scheduled, client)? {
        return Ok(None);
    }
    *changed = true;
    later(cron_job)
}

/// Whether a Job may be made for a time: not too late, not for the second time, and not beside another when that is
/// forbidden.
fn may_start(cron_job: &CronJob, scheduled: Time, client: &mut Client<'_>) -> bool {
    let status = cron_job.status.as_ref();
    let active = status.and_then(|status| status.active.as_deref()).unwrap_or(&[]);
    if let Some(seconds) = cron_job.spec.starting_deadline_seconds
        && scheduled + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) < client.now
    {
        let message = format!("Missed scheduled time to start a job: {}", scheduled.to_rfc1123z());
        client.event(cron_job, EventType::Warning, "MissSchedule", &message);
        return false;
    }
    let name = job_name(cron_job, scheduled);
    let last = status.and_then(|status| status.last_schedule_time.as_ref()).map(Time::from);
    if last == Some(scheduled) || active.iter().any(|known| known.name.as_deref() == Some(&*name)) {
        return false;
    }
    if cron_job.spec.concurrency_policy.as_deref() == Some("Forbid") && !active.is_empty() {
        let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
        client.event(cron_job, EventType::Normal, "JobAlreadyActive", message);
        return false;
    }
    true
}

/// Deletes the Jobs that still run, and sets `changed` when there were any.
fn replace_active(cron_job: &mut CronJob, changed: &mut bool, client: &mut Client<'_>) -> Result<(), ClientError> {
    let active = cron_job.status.as_ref().and_then(|status| status.active.clone()).unwrap_or_default();
    for known in &active {
        let job = client.get::<Job>(&key_of(known)).inspect_err(|error| {
            if matches!(error, ClientError::Throttled(_)) {
                return;
            }
            client.event(cron_job, EventType::Warning, "FailedGet", &format!("Get job: {error}"));
        })?;
        delete_job(cron_job, &job, client)?;
        *changed = true;
    }
    Ok(())
}

/// Makes the Job of a time and puts it into the active list; `false` when another made it: the status is that one's
/// business.
fn start_job(cron_job: &mut CronJob, scheduled: Time, client: &mut Client<'_>) -> Result<bool, ClientError> {
    client.because(Why::new("The time has come for a Job of CronJob {}.", [cron_job.name().to_owned()]));
    let wanted = job_from_template(cron_job, scheduled)?;
    let key = wanted.key();
    let job = match client.create(wanted) {
        Ok(job) => {
            let message = format!("Created job {}", job.name());
            client.event(cron_job, EventType::Normal, "SuccessfulCreate", &message);
            job
        }
        Err(error) if error.is_already_exists() => {
            let job = client.get::<Job>(&key)?;
            let is_own = controller_of(&job.metadata).is_some_and(|owner| owner.uid == cron_job.uid());
            if !is_own || is_in_active_list(cron_job, job.uid()) {
                return Ok(false);
            }
            job
        }
        Err(error) => {
            if let ClientError::Api(status) = &error
                && !status.details().causes.iter().any(|cause| cause.reason == "NamespaceTerminating")
            {
                client.event(cron_job, EventType::Warning, "FailedCreate", &format!("Error creating job: {status}"));
            }
            return Err(error);
        }
    };
    let status = cron_job.status.get_or_insert_default();
    status.active.get_or_insert_default().push(reference(&*job));
    status.last_schedule_time = Some(scheduled.to_meta());
    Ok(true)
}

/// `getJobFromTemplate2`.
fn job_from_template(cron_job: &CronJob, scheduled: Time) -> Result<Job, ClientError> {
    let template = &cron_job.spec.job_template;
    let metadata = template.metadata.clone().unwrap_or_default();
    let zone = cron_job.spec.time_zone.as_deref().unwrap_or("");
    let zone = TimeZone::load(zone).map_err(|error| Status::internal(&error))?;
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_TIMESTAMP.to_owned(), rfc3339(&zone, scheduled));
    Ok(Job {
        metadata: ObjectMeta {
            name: Some(job_name(cron_job, scheduled)),
            namespace: Some(cron_job.namespace().to_owned()),
            labels: metadata.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![controller_ref(cron_job)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    })
}

/// The time as clocks of the zone show it: `2026-01-01T09:00:00+09:00`.
fn rfc3339(zone: &TimeZone, time: Time) -> String {
    let utc = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let (local, minutes) = (zone.local(utc), zone.offset_at(utc) / 60);
    let offset = match minutes {
        0 => "Z".to_owned(),
        _ => {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
        }
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{offset}",
        local.year, local.month, local.day, local.hour, local.minute, local.second
    )
}

impl Controller for CronJobController {
    fn name(&self) -> &'static str {
        "cronjob-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::CronJob), WatchSpec::all(Kind::Job)]
    }

    fn waits_for_ever(&self) -> bool {
        true
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::CronJob => queue.add(event.key.clone()),
            Kind::Job => {
                let jobs = [event.before::<Job>(), event.after::<Job>()].into_iter().flatten();
                jobs.filter_map(|job| cron_job_of(job, listers)).for_each(|key| queue.add(key));
            }
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(cron_job) = listers.get::<CronJob>(key) else { return Ok(Requeue::Forget) };
        let is_own = |job: &&Arc<Job>| {
            controller_of(&job.metadata).is_some_and(|owner| owner.kind == "CronJob" && owner.name == *key.name)
        };
        let jobs: Vec<Arc<Job>> = listers.list_in::<Job>(&key.namespace).filter(is_own).cloned().collect();
        // A Job that was made must be noted, too: a look at each Job that the status or the cache lacks, those that go,
        // and what the next one takes.
        let active = cron_job.status.as_ref().map_or(0, |status| status.active.iter().flatten().count());
        client.reserve(jobs.len() + active + 4)?;
        let mut cron_job = (**cron_job).clone();
        let mut changed = history::clean_up(&mut cron_job, &jobs, client);
        let outcome = review_jobs(&mut cron_job, &jobs, &mut changed, client)
            .and_then(|()| run_schedule(&mut cron_job, &mut changed, client));
        if changed {
            client.because(Why::new("CronJob {} tells which Jobs run.", [cron_job.name().to_owned()]));
            client.update_status(cron_job)?;
        }
        Ok(outcome?.map_or(Requeue::Forget, Requeue::After))
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_the_zones_clocks_show_it() {
        for (zone, expected) in [
            ("", "2026-07-01T22:30:00Z"),
            ("Asia/Seoul", "2026-07-02T07:30:00+09:00"),
            ("America/St_Johns", "2026-07-01T20:00:00-02:30"),
        ] {
            let zone = TimeZone::load(zone).expect(zone);
            assert_eq!(rfc3339(&zone, Time::parse("2026-07-01T22:30:00Z").expect("a time")), expected);
        }
    }

    #[test]
    fn a_job_is_named_after_its_minute() {
        let mut cron_job = CronJob::default();
        cron_job.metadata.name = Some("c".to_owned());
        assert_eq!(job_name(&cron_job, Time::parse("2026-01-01T00:01:00Z").expect("a time")), "c-29453761");
    }
}
