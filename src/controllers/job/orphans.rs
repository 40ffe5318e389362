//! Takes the tracking finalizer from pods whose Job is gone, or over, so that they can go too.
//!
//! Guarantees that no pod is kept by a Job that will not count it any more. Watches Jobs and Pods. Follows the orphan queue
//! of `kubernetes/pkg/controller/job/job_controller.go`, which has a worker of its own there too.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::conditions::is_finished;
use super::context::has_finalizer;
use super::manage::remove_finalizer;
use super::{BACKOFF_MAX, BACKOFF_MIN, is_managed_elsewhere, job_of};
use crate::api::{Kind, Resource, controller_of};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

/// The Job controller's worker for orphans.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobOrphanController;

/// What keeps the finalizer on a pod.
fn is_orphan(pod: &Pod, listers: &Informers) -> bool {
    let Some(owner) = controller_of(&pod.metadata) else { return true };
    if owner.kind != "Job" || owner.api_version != "batch/v1" {
        // Somebody else's pod, and somebody else's business.
        return false;
    }
    job_of(pod, listers).is_none_or(|job| is_finished(job) && !is_managed_elsewhere(job))
}

/// The pods of a Job that is over or gone.
fn enqueue_pods(job: &Job, listers: &Informers, queue: &mut WorkQueue) {
    let pods = listers.controlled_by::<Pod>(job.uid()).filter(|pod| has_finalizer(pod));
    pods.for_each(|pod| queue.add(pod.key()));
}

impl Controller for JobOrphanController {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    fn workers(&self) -> usize {
        1
    }

    fn backoff(&self) -> (Duration, Duration) {
        (BACKOFF_MIN, BACKOFF_MAX)
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Job), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        match (event.kind, event.after::<Job>(), event.newest::<Job>()) {
            (Kind::Job, None, Some(job)) => enqueue_pods(job, listers, queue),
            (Kind::Job, Some(job), _) if event.before.is_some() && is_finished(job) => {
                enqueue_pods(job, listers, queue);
            }
            _ => {}
        }
        if let Some(pod) = event.after::<Pod>()
            && has_finalizer(pod)
            && (pod.is_deleting() || controller_of(&pod.metadata).is_none())
            && is_orphan(pod, listers)
        {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(pod) = listers.get::<Pod>(key).map(Arc::clone).filter(|pod| is_orphan(pod, listers)) else {
            return Ok(Requeue::Forget);
        };
        client.because(Why::new("No Job counts {} any more.", [pod.name().to_owned()]));
        match remove_finalizer(&pod, client) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
