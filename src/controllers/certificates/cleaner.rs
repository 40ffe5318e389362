//! Deletes requests for certificates that are over, or that nobody looks at.
//!
//! Looks at all of them every hour: a request goes an hour after it was denied, failed or got its certificate, a day after
//! it was made when nobody decided, and when its certificate is no longer good. Follows `cleaner/cleaner.go`.

use std::time::Duration;

use crate::api::{Kind, Object, ObjectKey, Unstructured, certificates};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::machinery::x509;

/// `pollingInterval`.
const INTERVAL: Duration = Duration::from_secs(3600);
/// `approvedExpiration`, `deniedExpiration`: how long what was decided is kept.
const DECIDED: Duration = Duration::from_secs(3600);
/// `pendingExpiration`.
const PENDING: Duration = Duration::from_secs(24 * 3600);

/// The cleaner of requests for certificates.
#[derive(Clone, Copy, Debug, Default)]
pub struct CleanerController;

/// Whether a request is to go.
fn is_over(request: &Unstructured, now: Time) -> bool {
    let conditions = certificates::conditions(request);
    let certificate = certificates::certificate(request);
    let created = request.metadata.creation_timestamp.as_ref().map(Time::from);
    if conditions.is_empty() {
        return created.is_some_and(|created| now.since(created) > PENDING);
    }
    conditions.iter().any(|condition| {
        let since = condition["lastUpdateTime"].as_str().and_then(Time::parse);
        let is_old = since.is_some_and(|since| now.since(since) > DECIDED);
        match condition["type"].as_str() {
            Some("Approved") => certificate
                .as_ref()
                .is_some_and(|certificate| is_old || x509::expiry(certificate).is_some_and(|end| now > end)),
            Some("Denied" | "Failed") => is_old,
            _ => false,
        }
    })
}

impl Controller for CleanerController {
    fn name(&self) -> &'static str {
        "certificatesigningrequest-cleaner-controller"
    }

    fn account(&self) -> &'static str {
        "certificate-controller"
    }

    /// The controller manager runs it with one.
    fn workers(&self) -> usize {
        1
    }

    fn period(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn watches(&self) -> Vec<WatchSpec> {
        super::watches()
    }

    fn on_event(&mut self, _event: &InformerEvent, _listers: &Informers, _queue: &mut WorkQueue) {}

    fn tick(&mut self, listers: &Informers, queue: &mut WorkQueue, client: &mut Client<'_>) {
        let objects = listers.objects_in(Kind::CertificateSigningRequest, "");
        let over = objects.filter_map(|object| match object {
            Object::Unstructured(request) if is_over(request, client.now) => Some(ObjectKey::of(&request.metadata)),
            _ => None,
        });
        over.for_each(|key| queue.add(key));
    }

    fn sync(&mut self, key: &QueueKey, _listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        client.because(Why::new("{} was decided or made long ago.", [key.name.to_string()]));
        match client.delete(Kind::CertificateSigningRequest, key, DeleteOptions::default()) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(Requeue::Forget),
        }
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}
