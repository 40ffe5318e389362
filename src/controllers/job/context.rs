//! What one sync of a Job knows: its pods, how many ended how, and whether the Job is over.
//!
//! Follows `syncJobCtx` and the first half of `syncJob` in `kubernetes/pkg/controller/job/job_controller.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;

use super::backoff::{BackoffRecord, finish_time};
use super::conditions;
use super::failure_policy::{self, Verdict};
use super::indexes::{Intervals, absolute_failure_count, completion_index, failure_count, indexes_of};
use super::success_policy;
use crate::api::Resource;
use crate::controllers::pod_control::{is_active, is_ready, is_terminating, phase};
use crate::machinery::persistent::OrdSet;
use crate::machinery::time::Time;

/// `batch.JobTrackingFinalizer`: keeps a pod until its end is counted.
pub(super) const TRACKING_FINALIZER: &str = "batch.kubernetes.io/job-tracking";

/// Whether the end of the pod is still to be counted.
pub(super) fn has_finalizer(pod: &Pod) -> bool {
    let finalizers = pod.metadata.finalizers.iter().flatten();
    finalizers.into_iter().any(|finalizer| finalizer == TRACKING_FINALIZER)
}

/// Whether the Job's pods have numbers.
pub(super) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

pub(super) fn is_suspended(spec: &JobSpec) -> bool {
    spec.suspend == Some(true)
}

/// Whether a pod that is being deleted is replaced only once it has ended: `onlyReplaceFailedPods`.
pub(super) fn replaces_only_failed(spec: &JobSpec) -> bool {
    spec.pod_replacement_policy.as_deref() == Some("Failed") || spec.pod_failure_policy.is_some()
}

/// Whether the pod counts as failed: `isPodFailed`. One that is being deleted may never reach that phase.
pub(super) fn is_failed(pod: &Pod, spec: &JobSpec) -> bool {
    phase(pod) == "Failed" || (!replaces_only_failed(spec) && pod.is_deleting() && phase(pod) != "Succeeded")
}

fn as_count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What one sync of a Job knows and finds out.
pub(super) struct SyncContext<'a> {
    /// The Job as the cache has it.
    pub job: &'a Job,
    pub spec: &'a JobSpec,
    /// The status that is being worked out.
    pub status: JobStatus,
    pub pods: Vec<Arc<Pod>>,
    pub active_pods: Vec<Arc<Pod>>,
    /// The condition with which the Job is about to end.
    pub finished: Option<JobCondition>,
    pub succeeded: i32,
    pub failed: i32,
    pub terminating: i32,
    pub ready: i32,
    /// The indexes that the status called completed when the sync began.
    pub counted_indexes: Intervals,
    pub succeeded_indexes: Intervals,
    pub failed_indexes: Option<Intervals>,
    pub backoff: BackoffRecord,
    /// Pods that the finalizer was taken from, though the cache does not know.
    pub removals: OrdSet<String>,
    /// The pods that the status called failed, or succeeded, but not counted, when the sync began.
    pub uncounted_failed: BTreeSet<String>,
    pub uncounted_succeeded: BTreeSet<String>,
    /// Per index, the failed pod that must stay until its successor has taken over the count of failures.
    pub delayed: BTreeMap<i32, Arc<Pod>>,
}

impl<'a> SyncContext<'a> {
    /// Counts the Job's pods.
    pub(super) fn new(
        job: &'a Job,
        spec: &'a JobSpec,
        pods: Vec<Arc<Pod>>,
        removals: OrdSet<String>,
        backoff: BackoffRecord,
        now: Time,
    ) -> Self {
        let mut status = job.status.clone().unwrap_or_default();
        let uncounted = status.uncounted_terminated_pods.get_or_insert_default();
        let set = |uids: &Option<Vec<String>>| uids.iter().flatten().cloned().collect::<BTreeSet<String>>();
        let (uncounted_succeeded, uncounted_failed) = (set(&uncounted.succeeded), set(&uncounted.failed));
        let active_pods: Vec<Arc<Pod>> = pods.iter().filter(|pod| is_active(pod)).cloned().collect();
        let mut context = Self {
            job,
            spec,
            status,
            terminating: as_count(pods.iter().filter(|pod| is_terminating(pod)).count()),
            ready: as_count(active_pods.iter().filter(|pod| is_ready(pod)).count()),
            pods,
            active_pods,
            finished: None,
            succeeded: 0,
            failed: 0,
            counted_indexes: Intervals::default(),
            succeeded_indexes: Intervals::default(),
            failed_indexes: None,
            backoff,
            removals,
            uncounted_failed,
            uncounted_succeeded,
            delayed: BTreeMap::new(),
        };
        context.count_new_ends();
        if context.status.start_time.is_none() && !is_suspended(spec) {
            context.status.start_time = Some(now.to_meta());
        }
        context
    }

    /// `getNewFinishedPods` and what is reckoned from them.
    fn count_new_ends(&mut self) {
        let succeeded = self.uncounted_pods(&self.uncounted_succeeded, |pod| phase(pod) == "Succeeded");
        let failed = self.uncounted_pods(&self.uncounted_failed, |pod| is_failed(pod, self.spec));
        let policy = self.spec.pod_failure_policy.as_ref();
        let counted = failed.iter().filter(|pod| failure_policy::judge(policy, pod).counts()).count();
        self.succeeded =
            self.status.succeeded.unwrap_or(0) + as_count(succeeded.len() + self.uncounted_succeeded.len());
        self.failed = self.status.failed.unwrap_or(0) + as_count(counted + self.uncounted_failed.len());
        self.backoff = self.backoff.after(&succeeded, &failed);
    }

    /// The pods that are not accounted for yet, have a number if they need one, and are as asked:
    /// `getValidPodsWithFilter`.
    fn uncounted_pods(&self, accounted: &BTreeSet<String>, wanted: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
        let is_uncounted = |pod: &&Arc<Pod>| {
            self.is_tracked(pod) && !accounted.contains(pod.uid()) && self.has_valid_index(pod) && wanted(pod)
        };
        self.pods.iter().filter(is_uncounted).cloned().collect()
    }

    /// Whether the pod has the finalizer, and it was not taken away already.
    pub(super) fn is_tracked(&self, pod: &Pod) -> bool {
        has_finalizer(pod) && !self.removals.contains(pod.uid())
    }

    /// The pod's number, if it is one of the Job's.
    pub(super) fn valid_index(&self, pod: &Pod) -> Option<i32> {
        completion_index(pod).filter(|index| *index < self.spec.completions.unwrap_or(0))
    }

    /// Whether the pod has a number of the Job's, or needs none.
    pub(super) fn has_valid_index(&self, pod: &Pod) -> bool {
        !is_indexed(self.spec) || self.valid_index(pod).is_some()
    }

    /// Decides whether the Job is about to end. Says how long it may still run, if there is a deadline.
    pub(super) fn decide_end(&mut self, now: Time) -> Option<Duration> {
        // Once the criteria for success are met, failures do not matter any more.
        self.finished = conditions::find_true(&self.status, conditions::SUCCESS_CRITERIA_MET).cloned();
        if self.finished.is_none() {
            self.finished = self.end_by_failed_pod(now);
        }
        let mut time_left = None;
        if self.finished.is_none() {
            time_left = self.decide_end_by_limits(now);
        }
        if is_indexed(self.spec) {
            self.decide_end_by_indexes(now);
        }
        time_left
    }

    /// An end that was decided before, or that the failure policy demands: `getFailJobMessage`.
    fn end_by_failed_pod(&self, now: Time) -> Option<JobCondition> {
        if let Some(target) = conditions::find_true(&self.status, conditions::FAILURE_TARGET) {
            return Some(conditions::after(target, conditions::FAILED, now));
        }
        let policy = self.spec.pod_failure_policy.as_ref()?;
        let failed = self.pods.iter().filter(|pod| is_failed(pod, self.spec));
        let message = failed.map(|pod| failure_policy::judge(Some(policy), pod)).find_map(|verdict| match verdict {
            Verdict::FailJob(message) => Some(message),
            _ => None,
        })?;
        Some(conditions::new(conditions::FAILURE_TARGET, true, "PodFailurePolicy", &message, now))
    }

    fn decide_end_by_limits(&mut self, now: Time) -> Option<Duration> {
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if self.failed > limit || past_backoff_limit_of_restarts(self.spec, &self.pods, limit) {
            self.fail("BackoffLimitExceeded", "Job has reached the specified backoff limit", now);
            return None;
        }
        let seconds = self.spec.active_deadline_seconds.filter(|_| !is_suspended(self.spec))?;
        let allowed = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        // A time that was just set is not rounded yet.
        let known = self.job.status.as_ref().and_then(|status| status.start_time.as_ref());
        let passed = now.since(known.map_or(now, Time::from));
        if passed >= allowed {
            self.fail("DeadlineExceeded", "Job was active longer than specified deadline", now);
            return None;
        }
        Some(allowed - passed)
    }

    fn fail(&mut self, reason: &str, message: &str, now: Time) {
        self.finished = Some(conditions::new(conditions::FAILURE_TARGET, true, reason, message, now));
    }

    fn decide_end_by_indexes(&mut self, now: Time) {
        let completions = self.spec.completions.unwrap_or(0);
        self.counted_indexes = Intervals::parse(self.status.completed_indexes.as_deref().unwrap_or(""), completions);
        self.succeeded_indexes = self.counted_indexes.with(self.new_indexes(|pod| phase(pod) == "Succeeded"));
        self.succeeded = self.succeeded_indexes.total();
        if let Some(limit) = self.spec.backoff_limit_per_index {
            let before = Intervals::parse(self.status.failed_indexes.as_deref().unwrap_or(""), completions);
            let failed = before.with(self.new_indexes(|pod| self.is_index_failed(pod, limit)));
            let total = failed.total();
            if self.finished.is_none() {
                if self.spec.max_failed_indexes.is_some_and(|most| total > most) {
                    let message = "Job has exceeded the specified maximal number of failed indexes";
                    self.fail("MaxFailedIndexesExceeded", message, now);
                } else if total > 0 && total + self.succeeded >= completions {
                    self.fail("FailedIndexes", "Job has failed indexes", now);
                }
            }
            self.failed_indexes = Some(failed);
            self.delayed = self.pods_with_delayed_deletion();
        }
        if self.finished.is_none()
            && let Some(message) =
                success_policy::met(self.spec.success_policy.as_ref(), completions, &self.succeeded_indexes)
        {
            let name = conditions::SUCCESS_CRITERIA_MET;
            self.finished = Some(conditions::new(name, true, "SuccessPolicy", &message, now));
        }
    }

    /// The numbers of pods that are not counted yet and are as asked.
    fn new_indexes(&self, wanted: impl Fn(&Pod) -> bool) -> BTreeSet<i32> {
        let pods = self.pods.iter().filter(|pod| has_finalizer(pod) && wanted(pod));
        pods.filter_map(|pod| self.valid_index(pod)).collect()
    }

    /// `isIndexFailed`.
    fn is_index_failed(&self, pod: &Pod, limit: i32) -> bool {
        if !is_failed(pod, self.spec) {
            return false;
        }
        let verdict = failure_policy::judge(self.spec.pod_failure_policy.as_ref(), pod);
        verdict == Verdict::FailIndex || (verdict.counts() && failure_count(pod) >= limit)
    }

    /// `getPodsWithDelayedDeletionPerIndex`.
    fn pods_with_delayed_deletion(&self) -> BTreeMap<i32, Arc<Pod>> {
        let active = indexes_of(&self.active_pods);
        let is_settled = |index: i32| {
            self.succeeded_indexes.has(index)
                || self.failed_indexes.as_ref().is_some_and(|failed| failed.has(index))
                || active.contains(&index)
        };
        let mut delayed: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
        for pod in self.uncounted_pods(&BTreeSet::new(), |pod| is_failed(pod, self.spec)) {
            let Some(index) = self.valid_index(&pod).filter(|index| !is_settled(*index)) else { continue };
            let is_later = delayed.get(&index).is_none_or(|known| {
                absolute_failure_count(known) <= absolute_failure_count(&pod) && finish_time(&pod) >= finish_time(known)
            });
            if is_later {
                delayed.insert(index, pod);
            }
        }
        delayed
    }
}

/// `pastBackoffLimitOnFailure`: containers that restart in their pod fail too.
fn past_backoff_limit_of_restarts(spec: &JobSpec, pods: &[Arc<Pod>], limit: i32) -> bool {
    let policy = spec.template.spec.as_ref().and_then(|pod| pod.restart_policy.as_deref());
    if policy != Some("OnFailure") {
        return false;
    }
    let running = pods.iter().filter(|pod| matches!(phase(pod), "Running" | "Pending"));
    let statuses = running.filter_map(|pod| pod.status.as_ref()).flat_map(|status| {
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
    });
    let restarts: i32 = statuses.map(|status| status.restart_count).sum();
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}
