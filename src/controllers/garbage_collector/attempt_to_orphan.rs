//! An owner that was deleted as `orphan`: its dependents forget it, then it goes.
//!
//! Follows `attemptToOrphanWorker` in `kubernetes/pkg/controller/garbagecollector/garbagecollector.go`.

use crate::client::{Client, ClientError, Requeue};
use crate::etcd::Why;

use super::graph::ORPHAN;
use super::{GarbageCollector, operations};

impl GarbageCollector {
    pub(super) fn attempt_to_orphan(&mut self, uid: &str, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(owner) = self.graph.get(uid).cloned() else { return Ok(Requeue::Forget) };
        let Some(kind) = client.kind_of(&owner.identity.api_version, &owner.identity.kind) else {
            return Ok(Requeue::RateLimited);
        };
        let mut failure = None;
        for dependent in owner.dependents.keys().filter_map(|uid| self.graph.get(uid)) {
            let identity = &dependent.identity;
            let Some(kind) = client.kind_of(&identity.api_version, &identity.kind) else { continue };
            client.because(Why::new(
                "{} {} is to outlive its owner {} {}, which was deleted as an orphan.",
                [
                    identity.kind.to_string(),
                    identity.name.to_string(),
                    owner.identity.kind.to_string(),
                    owner.identity.name.to_string(),
                ],
            ));
            match operations::remove_owners(kind, identity, std::iter::once(uid), client) {
                // Those that were done are dependents no more when the rest is tried again.
                Err(error @ ClientError::Throttled(_)) => return Err(error),
                Err(error) if !error.is_not_found() => {
                    failure.get_or_insert(error);
                }
                _ => {}
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        client.reserve(2)?;
        client.because(Why::new(
            "All dependents of {} {} have forgotten it, so it may go.",
            [owner.identity.kind.to_string(), owner.identity.name.to_string()],
        ));
        operations::remove_finalizer(kind, &owner.identity, ORPHAN, client)?;
        Ok(Requeue::Forget)
    }
}
