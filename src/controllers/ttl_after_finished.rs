//! Deletes Jobs some time after they ended.
//!
//! Guarantees that a Job with `ttlSecondsAfterFinished` goes so long after it is complete or has failed. Watches Jobs.
//! Follows `kubernetes/pkg/controller/ttlafterfinished`.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;

use crate::api::{Kind, Resource};
use crate::apiserver::{DeleteOptions, Propagation};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;

use super::job::conditions;

/// The TTL-after-finished controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct TtlAfterFinishedController;

/// When the Job is to go; `None` when it is not, or not yet over.
fn expiry(job: &Job) -> Option<Time> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished.filter(|_| !job.is_deleting())?;
    let finished = conditions::finished(job)?.last_transition_time.as_ref()?;
    Some(Time::from(finished) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

impl Controller for TtlAfterFinishedController {
    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Job)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.after::<Job>().is_some_and(|job| expiry(job).is_some()) {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(expiry_known) = listers.get::<Job>(key).and_then(|job| expiry(job)) else {
            return Ok(Requeue::Forget);
        };
        if expiry_known > client.now {
            return Ok(Requeue::After(expiry_known.since(client.now)));
        }
        client.reserve(2)?;
        // The cache may be old, and the time to live another.
        let fresh = match client.get::<Job>(key) {
            Err(error) if error.is_not_found() => return Ok(Requeue::Forget),
            fresh => fresh?,
        };
        match expiry(&fresh) {
            None => return Ok(Requeue::Forget),
            Some(expiry) if expiry > client.now => return Ok(Requeue::After(expiry.since(client.now))),
            Some(_) => {}
        }
        client.because(Why::new("Job {} ended long enough ago.", [fresh.name().to_owned()]));
        let options = DeleteOptions::of_uid(fresh.uid()).propagate(Propagation::Foreground);
        client.delete(Kind::Job, key, options).map(|()| Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
