//! Runs pods until enough of them have succeeded.
//!
//! Guarantees that a Job has the pods that its spec asks for until it is complete or has failed, and that the end of each
//! of them is counted once. Watches Jobs and Pods. Follows `kubernetes/pkg/controller/job`.

mod backoff;
pub(in crate::controllers) mod conditions;
mod context;
mod failure_policy;
mod indexes;
mod manage;
mod orphans;
mod removals;
mod success_policy;
mod track;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::Pod;

use crate::api::{Kind, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, EventType, Expectations, InformerEvent, Informers, QueueKey, Requeue, WatchSpec,
    WorkQueue,
};
use crate::machinery::labels::Selector;
use crate::machinery::persistent::OrdMap;

use super::claim::claim_with_finalizer;
use backoff::BackoffRecord;
use conditions::SUSPENDED;
use context::{SyncContext, TRACKING_FINALIZER, has_finalizer, is_suspended};
use manage::SYNC_JOB_BATCH_PERIOD;
use removals::FinalizerRemovals;
use track::positive;

pub use orphans::JobOrphanController;

/// `DefaultJobApiBackOff` and `MaxJobApiBackOff`: how long a Job whose sync failed waits.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// `batch.JobControllerName`.
const JOB_CONTROLLER_NAME: &str = "kubernetes.io/job-controller";

/// The Job controller.
#[derive(Clone, Debug, Default)]
pub struct JobController {
    expectations: Expectations,
    removals: FinalizerRemovals,
    backoffs: OrdMap<QueueKey, BackoffRecord>,
}

/// The Job that controls a pod, if the cache knows it under the uid that the pod names.
fn job_of<'a>(pod: &Pod, listers: &'a Informers) -> Option<&'a Arc<Job>> {
    let owner = controller_of(&pod.metadata).filter(|owner| owner.kind == "Job")?;
    let key = QueueKey::new(pod.namespace(), owner.name.as_str());
    listers.get::<Job>(&key).filter(|job| job.uid() == owner.uid)
}

/// Whether another controller than this one looks after the Job: `managedByExternalController`.
fn is_managed_elsewhere(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_some_and(|manager| manager != JOB_CONTROLLER_NAME)
}

fn selector_of(job: &Job) -> Option<Selector> {
    Selector::from_label_selector(job.spec.as_ref()?.selector.as_ref()).ok()
}

/// Brings an orphan to all Jobs that might want it.
fn enqueue_matching(pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
    for job in listers.list_in::<Job>(pod.namespace()) {
        if selector_of(job).is_some_and(|selector| selector.matches(&pod.metadata.labels)) {
            queue.add_after(job.key(), SYNC_JOB_BATCH_PERIOD);
        }
    }
}

impl JobController {
    fn on_pod(&mut self, before: Option<&Pod>, after: Option<&Pod>, listers: &Informers, queue: &mut WorkQueue) {
        match (before, after) {
            (_, Some(pod)) if pod.is_deleting() => self.pod_deleted(pod, false, listers, queue),
            (None, Some(pod)) => match job_of(pod, listers) {
                Some(job) => {
                    self.expectations.creation_observed(&job.key());
                    queue.add_after(job.key(), SYNC_JOB_BATCH_PERIOD);
                }
                None if controller_of(&pod.metadata).is_none() => enqueue_matching(pod, listers, queue),
                None => {}
            },
            (Some(before), Some(pod)) => self.pod_updated(before, pod, listers, queue),
            (Some(pod), None) => self.pod_deleted(pod, true, listers, queue),
            (None, None) => {}
        }
    }

    fn pod_updated(&mut self, before: &Pod, pod: &Pod, listers: &Informers, queue: &mut WorkQueue) {
        let (old_owner, owner) = (controller_of(&before.metadata), controller_of(&pod.metadata));
        let jobs = [job_of(before, listers).filter(|_| old_owner != owner), job_of(pod, listers)];
        for job in jobs.into_iter().flatten() {
            if !has_finalizer(pod) {
                self.removals.observed(&job.key(), pod.uid());
            }
            queue.add_after(job.key(), SYNC_JOB_BATCH_PERIOD);
        }
        if owner.is_none() && (before.metadata.labels != pod.metadata.labels || old_owner.is_some()) {
            enqueue_matching(pod, listers, queue);
        }
    }

    /// A pod is being deleted, or is gone.
    fn pod_deleted(&mut self, pod: &Pod, is_gone: bool, listers: &Informers, queue: &mut WorkQueue) {
        let Some(job) = job_of(pod, listers).filter(|job| !conditions::is_finished(job)) else { return };
        let key = job.key();
        self.expectations.deletion_observed(&key, pod.uid());
        if is_gone || !has_finalizer(pod) {
            self.removals.observed(&key, pod.uid());
        }
        queue.add_after(key, SYNC_JOB_BATCH_PERIOD);
    }

    fn forget(&mut self, key: &QueueKey) {
        self.expectations.forget(key);
        self.removals.forget(key);
        self.backoffs.remove(key);
    }

    fn sync_job(
        &mut self,
        key: &QueueKey,
        job: &Arc<Job>,
        spec: &JobSpec,
        listers: &Informers,
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        let Some(selector) = selector_of(job) else { return Ok(()) };
        let trusts_cache = self.expectations.satisfied(key, client.now);
        let candidates = listers.claimable::<Pod>(&key.namespace, job.uid()).into_iter().cloned();
        let pods = claim_with_finalizer(&**job, &selector, candidates, TRACKING_FINALIZER, client)?;
        let backoff = self.backoffs.get(key).copied().unwrap_or_default();
        let mut context = SyncContext::new(job, spec, pods, self.removals.of(key), backoff, client.now);
        if let Some(left) = context.decide_end(client.now) {
            client.enqueue_after(key.clone(), left);
        }
        let mut changed = false;
        let managed = if context.finished.is_some() {
            let managed = Self::delete_active_pods(&mut context, client);
            if managed.active > 0 || !trusts_cache {
                // Pods may be left that are not deleted, or not in the cache yet.
                context.finished = None;
            }
            managed
        } else {
            self.keep_running(key, &mut context, trusts_cache, &mut changed, client)
        };
        if let Some(error @ ClientError::Throttled(_)) = managed.failure {
            return Err(error);
        }
        let (active, ready, terminating) = (positive(managed.active), Some(context.ready), Some(context.terminating));
        let status = &mut context.status;
        changed |= status.active != active || status.ready != ready || status.terminating != terminating;
        (status.active, status.ready, status.terminating) = (active, ready, terminating);
        self.track(key, job, &mut context, changed, client)?;
        managed.failure.map_or(Ok(()), Err)
    }

    /// Gives a Job that is not about to end the pods that it should have, and sees whether it is complete.
    fn keep_running(
        &mut self,
        key: &QueueKey,
        context: &mut SyncContext<'_>,
        trusts_cache: bool,
        changed: &mut bool,
        client: &mut Client<'_>,
    ) -> manage::Managed {
        let manages = trusts_cache && !context.job.is_deleting();
        let managed = if manages {
            self.manage(key, context, client)
        } else {
            let active = i32::try_from(context.active_pods.len()).unwrap_or(i32::MAX);
            manage::Managed { active, failure: None }
        };
        let enough = match context.spec.completions {
            // Such a Job is complete when any of its pods says so and the others have ended.
            None => context.succeeded > 0,
            Some(completions) => context.succeeded >= completions,
        };
        if enough && managed.active == 0 {
            context.finished = Some(conditions::new(
                conditions::SUCCESS_CRITERIA_MET,
                true,
                "CompletionsReached",
                "Reached expected number of succeeded pods",
                client.now,
            ));
        } else if manages && !matches!(managed.failure, Some(ClientError::Throttled(_))) {
            *changed = tell_suspension(context, client);
        }
        managed
    }
}

/// Keeps the condition that says whether the Job is suspended. Says whether it changed.
fn tell_suspension(context: &mut SyncContext<'_>, client: &mut Client<'_>) -> bool {
    let suspended = is_suspended(context.spec);
    let (reason, message) = if suspended { ("JobSuspended", "Job suspended") } else { ("JobResumed", "Job resumed") };
    let condition = conditions::new(SUSPENDED, suspended, reason, message, client.now);
    if !conditions::ensure(&mut context.status, condition) {
        return false;
    }
    let event = if suspended { "Suspended" } else { "Resumed" };
    client.event(context.job, EventType::Normal, event, message);
    // The deadline counts the time in which the Job is not suspended.
    context.status.start_time = if suspended { None } else { Some(client.now.to_meta()) };
    true
}

impl Controller for JobController {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Job), WatchSpec::all(Kind::Pod)]
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn backoff(&self) -> (Duration, Duration) {
        (BACKOFF_MIN, BACKOFF_MAX)
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::Job => {
                let generation = |job: Option<&Job>| job.map(|job| job.metadata.generation);
                let same = event.after.is_some() && generation(event.before()) == generation(event.after());
                let wait = if same { SYNC_JOB_BATCH_PERIOD } else { Duration::ZERO };
                queue.add_after(event.key.clone(), wait);
            }
            Kind::Pod => self.on_pod(event.before(), event.after(), listers, queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(job) = listers.get::<Job>(key).cloned() else {
            self.forget(key);
            return Ok(Requeue::Forget);
        };
        if conditions::is_finished(&job) {
            self.backoffs.remove(key);
            return Ok(Requeue::Forget);
        }
        let Some(spec) = job.spec.as_ref().filter(|_| !is_managed_elsewhere(&job)) else {
            return Ok(Requeue::Forget);
        };
        self.sync_job(key, &job, spec, listers, client).map(|()| Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}
