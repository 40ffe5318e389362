//! The Jobs of a CronJob: which run, and how many that ended are kept.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};

use super::delete_job;
use crate::api::Resource;
use crate::client::Client;
use crate::controllers::job::conditions::{COMPLETE, finished};
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;

/// Whether `status.active` has a Job.
pub(super) fn is_in_active_list(cron_job: &CronJob, uid: &str) -> bool {
    let active = cron_job.status.iter().flat_map(|status| status.active.iter().flatten());
    active.into_iter().any(|known| known.uid.as_deref() == Some(uid))
}

/// Takes a Job out of `status.active`.
pub(super) fn delete_from_active_list(cron_job: &mut CronJob, uid: &str) {
    let Some(status) = &mut cron_job.status else { return };
    if let Some(active) = &mut status.active {
        active.retain(|known| known.uid.as_deref() != Some(uid));
        if active.is_empty() {
            status.active = None;
        }
    }
}

/// Deletes the oldest of the Jobs that ended, as far as there are more than are to be kept. Says whether any went:
/// `cleanupFinishedJobs`.
pub(super) fn clean_up(cron_job: &mut CronJob, jobs: &[Arc<Job>], client: &mut Client<'_>) -> bool {
    let ended = |complete: bool| -> Vec<Arc<Job>> {
        let is_such = |job: &&Arc<Job>| finished(job).is_some_and(|end| (end.type_ == COMPLETE) == complete);
        jobs.iter().filter(is_such).cloned().collect()
    };
    let successful = cron_job.spec.successful_jobs_history_limit;
    let failed = cron_job.spec.failed_jobs_history_limit;
    let removed = remove_oldest(cron_job, ended(true), successful, client);
    remove_oldest(cron_job, ended(false), failed, client) || removed
}

/// `removeOldestJobs`.
fn remove_oldest(cron_job: &mut CronJob, mut jobs: Vec<Arc<Job>>, limit: Option<i32>, client: &mut Client<'_>) -> bool {
    let Some(limit) = limit.and_then(|limit| usize::try_from(limit).ok()) else { return false };
    let excess = jobs.len().saturating_sub(limit);
    // Jobs that never started come last.
    let start = |job: &Job| {
        let start = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(Time::from);
        (start.is_none(), start)
    };
    jobs.order_by(|a, b| start(a).cmp(&start(b)).then_with(|| a.name().cmp(b.name())));
    let mut removed = false;
    for job in jobs.iter().take(excess) {
        removed |= delete_job(cron_job, job, client).is_ok();
    }
    removed
}
