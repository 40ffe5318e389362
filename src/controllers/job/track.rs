//! Counting how pods ended, each once: `trackJobStatusAndRemoveFinalizers`.
//!
//! A pod's uid is first written to `status.uncountedTerminatedPods`; then the pod loses the finalizer; then the uid gives
//! way to the count. Whatever is interrupted, the next sync knows where to go on.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;

use super::JobController;
use super::conditions::{self, COMPLETE, FAILED, FAILURE_TARGET, SUCCESS_CRITERIA_MET};
use super::context::{SyncContext, is_failed, is_indexed};
use super::failure_policy;
use super::indexes::completion_index;
use super::manage::remove_finalizer;
use crate::api::Resource;
use crate::client::{Client, ClientError, EventType, QueueKey};
use crate::controllers::pod_control::phase;
use crate::etcd::Why;
use crate::machinery::order::Order as _;

/// `MaxUncountedPods`: lists of uids in the status do not grow longer.
const UNCOUNTED_PODS_MAX: usize = 500;

/// Zero is left out, as Go's `omitempty` does.
pub(super) fn positive(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// What a sync is about to write.
struct Tracking {
    /// The Job at its newest version.
    latest: Arc<Job>,
    /// Whether the status has something to say that is not written.
    needs_flush: bool,
    /// Pods that have the finalizer.
    tracked: BTreeSet<String>,
    /// Pods that are to lose it.
    done: Vec<Arc<Pod>>,
    /// Whether there were too many for one sync.
    is_full: bool,
}

impl JobController {
    /// Writes the status, counts pods, and calls the Job finished once nothing is left to count.
    pub(super) fn track(
        &mut self,
        key: &QueueKey,
        job: &Arc<Job>,
        context: &mut SyncContext<'_>,
        needs_flush: bool,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        if is_indexed(context.spec) {
            context.pods.order_by(|a, b| completion_index(a).cmp(&completion_index(b)));
        }
        let tracked = context.pods.iter().filter(|pod| context.is_tracked(pod));
        let tracked: BTreeSet<String> = tracked.map(|pod| pod.uid().to_owned()).collect();
        let mut tracking = Tracking { latest: job.clone(), needs_flush, tracked, done: Vec::new(), is_full: false };
        tracking.needs_flush |= count_released(&mut context.status, &tracking.tracked);
        collect_ended(context, &mut tracking);
        announce_end(context, &mut tracking, client);
        client.because(Why::new("Job {} counts how its pods ended.", [context.job.name().to_owned()]));
        if tracking.needs_flush {
            flush(context, &mut tracking, client)?;
            self.backoffs.insert(key.clone(), context.backoff);
        }
        let removed = self.remove_finalizers(key, &mut tracking, client);
        tracking.needs_flush |= count_released(&mut context.status, &tracking.tracked);
        if let Err(error) = removed {
            if tracking.needs_flush && !matches!(error, ClientError::Throttled(_)) {
                flush(context, &mut tracking, client)?;
            }
            return Err(error);
        }
        let end = if tracking.is_full { None } else { enact_end(context, client) };
        if tracking.needs_flush || end.is_some() {
            flush(context, &mut tracking, client)?;
        }
        if let Some(end) = end {
            tell_end(&tracking.latest, &end, client);
        }
        Ok(())
    }

    /// `removeTrackingFinalizerFromPods`.
    fn remove_finalizers(
        &mut self,
        key: &QueueKey,
        tracking: &mut Tracking,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        let mut failure = None;
        for pod in &tracking.done {
            self.removals.expect(key, pod.uid());
            match remove_finalizer(pod, client) {
                Ok(()) => drop(tracking.tracked.remove(pod.uid())),
                Err(error) => {
                    self.removals.observed(key, pod.uid());
                    if error.is_not_found() {
                        tracking.tracked.remove(pod.uid());
                        continue;
                    }
                    let limited = matches!(error, ClientError::Throttled(_));
                    failure.get_or_insert(error);
                    if limited {
                        break;
                    }
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Writes the status; later writes build on what the server made of it.
fn flush(context: &mut SyncContext<'_>, tracking: &mut Tracking, client: &mut Client<'_>) -> Result<(), ClientError> {
    let changed = Job { status: Some(context.status.clone()), ..(*tracking.latest).clone() };
    tracking.latest = client.update_status(changed)?;
    context.status = tracking.latest.status.clone().unwrap_or_default();
    tracking.needs_flush = false;
    Ok(())
}

/// Counts those of the uncounted pods that lost the finalizer, and says whether there were any:
/// `cleanUncountedPodsWithoutFinalizers`.
fn count_released(status: &mut JobStatus, tracked: &BTreeSet<String>) -> bool {
    let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
    let released = |uids: &mut Option<Vec<String>>, count: &mut Option<i32>| {
        let Some(list) = uids else { return false };
        let before = list.len();
        list.retain(|uid| tracked.contains(uid));
        let gone = before - list.len();
        if list.is_empty() {
            *uids = None;
        }
        *count = positive(count.unwrap_or(0).saturating_add(i32::try_from(gone).unwrap_or(i32::MAX)));
        gone > 0
    };
    let succeeded = released(&mut uncounted.succeeded, &mut status.succeeded);
    released(&mut uncounted.failed, &mut status.failed) || succeeded
}

/// Notes the pods that ended as uncounted, and which are to lose the finalizer.
fn collect_ended(context: &mut SyncContext<'_>, tracking: &mut Tracking) {
    let indexed = is_indexed(context.spec);
    let mut new_indexes = Vec::new();
    let mut uncounted = context.status.uncounted_terminated_pods.take().unwrap_or_default();
    for pod in &context.pods {
        if !context.is_tracked(pod) {
            continue;
        }
        let failed = is_failed(pod, context.spec);
        if !may_release(context, pod, failed) {
            continue;
        }
        tracking.done.push(pod.clone());
        let note = |uids: &mut Option<Vec<String>>| uids.get_or_insert_default().push(pod.uid().to_owned());
        let known_failed = context.uncounted_failed.contains(pod.uid());
        if phase(pod) == "Succeeded" && !known_failed {
            if indexed {
                // The number is enough to count it once.
                if let Some(index) = context.valid_index(pod).filter(|index| !context.counted_indexes.has(*index)) {
                    new_indexes.push(index);
                    tracking.needs_flush = true;
                }
            } else if !context.uncounted_succeeded.contains(pod.uid()) {
                note(&mut uncounted.succeeded);
                tracking.needs_flush = true;
            }
        } else if (failed || fails_with_job(context)) && !known_failed && counts_as_failed(context, pod) {
            note(&mut uncounted.failed);
            tracking.needs_flush = true;
        }
        if new_indexes.len() + length(&uncounted) >= UNCOUNTED_PODS_MAX {
            tracking.is_full = true;
            break;
        }
    }
    context.status.uncounted_terminated_pods = Some(uncounted);
    if indexed {
        note_indexes(context, new_indexes, tracking);
    }
}

fn length(uncounted: &UncountedTerminatedPods) -> usize {
    uncounted.succeeded.as_ref().map_or(0, Vec::len) + uncounted.failed.as_ref().map_or(0, Vec::len)
}

/// When the Job has failed, so has every pod that had not ended.
fn fails_with_job(context: &SyncContext<'_>) -> bool {
    context.finished.as_ref().is_some_and(|finished| finished.type_ != SUCCESS_CRITERIA_MET)
}

fn counts_as_failed(context: &SyncContext<'_>, pod: &Pod) -> bool {
    context.has_valid_index(pod) && failure_policy::judge(context.spec.pod_failure_policy.as_ref(), pod).counts()
}

/// `canRemoveFinalizer`.
fn may_release(context: &SyncContext<'_>, pod: &Pod, failed: bool) -> bool {
    if context.job.is_deleting() || context.finished.is_some() || phase(pod) == "Succeeded" {
        return true;
    }
    let is_delayed = || {
        let index = completion_index(pod);
        index.and_then(|index| context.delayed.get(&index)).is_some_and(|delayed| delayed.uid() == pod.uid())
    };
    failed && !is_delayed()
}

fn note_indexes(context: &mut SyncContext<'_>, new_indexes: Vec<i32>, tracking: &mut Tracking) {
    context.succeeded_indexes = context.succeeded_indexes.with(new_indexes);
    let completed = Some(context.succeeded_indexes.to_string()).filter(|text| !text.is_empty());
    let failed = context.failed_indexes.as_ref().map(ToString::to_string);
    tracking.needs_flush |= completed != context.status.completed_indexes || failed != context.status.failed_indexes;
    context.status.succeeded = positive(context.succeeded_indexes.total());
    context.status.completed_indexes = completed;
    context.status.failed_indexes = failed;
}

/// Writes the condition that says how the Job will end before its pods are let go, and prepares the one that says that
/// it has ended.
fn announce_end(context: &mut SyncContext<'_>, tracking: &mut Tracking, client: &Client<'_>) {
    let Some(finished) = &context.finished else { return };
    let last = match finished.type_.as_str() {
        FAILURE_TARGET => FAILED,
        SUCCESS_CRITERIA_MET => COMPLETE,
        _ => return,
    };
    if conditions::find_true(&context.status, &finished.type_).is_none() {
        context.status.conditions.get_or_insert_default().push(finished.clone());
        tracking.needs_flush = true;
    }
    context.finished = Some(conditions::after(finished, last, client.now));
}

/// Calls the Job finished if nothing is left of it: `enactJobFinished`.
fn enact_end(context: &mut SyncContext<'_>, client: &Client<'_>) -> Option<JobCondition> {
    let finished = context.finished.clone()?;
    let left = context.status.uncounted_terminated_pods.as_ref().map_or(0, length);
    if left > 0 || context.terminating > 0 {
        return None;
    }
    if finished.type_ == COMPLETE {
        context.status.completion_time = Some(client.now.to_meta());
    }
    conditions::ensure(&mut context.status, finished.clone());
    Some(finished)
}

/// `recordJobFinished`.
fn tell_end(job: &Arc<Job>, end: &JobCondition, client: &mut Client<'_>) {
    if end.type_ != COMPLETE {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        client.event(&**job, EventType::Warning, &text(&end.reason), &text(&end.message));
        return;
    }
    let completions = job.spec.as_ref().and_then(|spec| spec.completions);
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    if completions.is_some_and(|completions| succeeded > completions) {
        let message = "Too many succeeded pods running after completion count reached";
        client.event(&**job, EventType::Warning, "TooManySucceededPods", message);
    }
    client.event(&**job, EventType::Normal, "Completed", "Job completed");
}
