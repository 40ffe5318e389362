//! What a StatefulSet does to its pods and their claims, and what it tells of it.
//!
//! Follows `stateful_pod_control.go`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use crate::api::{Kind, ObjectKey, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{ClientError, EventType};
use crate::etcd::Why;
use crate::machinery::status::{Reason, Status};

use super::Control;
use super::identity::{self, claim_name, claim_templates, ordinal};
use super::retention;

/// An error of the controller's own, in upstream's words.
fn failure(text: String) -> ClientError {
    ClientError::Api(Status::new(Reason::Unknown, text))
}

/// An error with words before it. A client's own limit stays what it is.
fn wrapped(text: &str, error: ClientError) -> ClientError {
    match error {
        ClientError::Api(status) => failure(format!("{text}: {status}")),
        other => other,
    }
}

impl Control<'_, '_> {
    /// Tells of what was done to a pod, or could not be: `recordPodEvent`.
    fn record_pod(&mut self, verb: &str, pod: &Pod, result: &Result<(), ClientError>) {
        let (pod, set) = (pod.name(), self.set.name());
        match result {
            Ok(()) => {
                let message = format!("{verb} Pod {pod} in StatefulSet {set} successful");
                self.client.event(&*self.set, EventType::Normal, &format!("Successful{verb}"), &message);
            }
            Err(ClientError::Api(status)) => {
                let message = format!("{verb} Pod {pod} in StatefulSet {set} failed error: {status}");
                self.client.event(&*self.set, EventType::Warning, &format!("Failed{verb}"), &message);
            }
            // The sync comes back when the client may send again.
            Err(_) => {}
        }
    }

    /// Creates a pod and before it its claims: `CreateStatefulPod`.
    pub(super) fn create_pod(&mut self, pod: &Pod) -> Result<(), ClientError> {
        // A pod that waits for its claims can be helped later; half of what it needs is no loss either.
        if let Err(error) = self.create_claims(pod) {
            let result = Err(error);
            self.record_pod("Create", pod, &result);
            return result;
        }
        self.client.because(Why::new(
            "StatefulSet {} wants a pod {}, which is not there.",
            [self.set.name().to_owned(), pod.name().to_owned()],
        ));
        let result = self.client.create(pod.clone()).map(drop);
        if result.as_ref().is_err_and(ClientError::is_already_exists) {
            return result;
        }
        if let Err(error) = self.update_claims(pod) {
            let result = Err(error);
            self.record_pod("Update", pod, &result);
            return result;
        }
        self.record_pod("Create", pod, &result);
        result
    }

    /// Asks for a pod to go: `DeleteStatefulPod`.
    pub(super) fn delete_pod(&mut self, pod: &Pod, why: Why) -> Result<(), ClientError> {
        self.client.because(why);
        let result = self.client.delete(Kind::Pod, &pod.key(), DeleteOptions::default());
        self.record_pod("Delete", pod, &result);
        result
    }

    /// Makes a pod again what makes it a member of the set: `UpdateStatefulPod`. A conflict brings the set back.
    pub(super) fn update_pod(&mut self, pod: &Arc<Pod>) -> Result<(), ClientError> {
        let mut changed = (**pod).clone();
        let place = ordinal(pod);
        let mut consistent = true;
        if !identity::identity_matches(&self.set, pod) {
            identity::update_identity(&self.set, &mut changed, place);
            consistent = false;
        }
        if !identity::storage_matches(&self.set, pod) {
            identity::update_storage(&self.set, &mut changed, place);
            consistent = false;
            if let Err(error) = self.create_claims(pod) {
                let result = Err(error);
                self.record_pod("Update", pod, &result);
                return result;
            }
        }
        if !self.claims_match(pod) {
            if let Err(error) = self.update_claims(pod) {
                let result = Err(error);
                self.record_pod("Update", pod, &result);
                return result;
            }
            consistent = false;
        }
        if consistent {
            return Ok(());
        }
        self.client.because(Why::new(
            "Pod {} is not as a member of StatefulSet {} must be.",
            [pod.name().to_owned(), self.set.name().to_owned()],
        ));
        let result = self.client.update(changed).map(drop);
        self.record_pod("Update", pod, &result);
        result
    }

    fn claim(&self, name: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.listers.get::<PersistentVolumeClaim>(&ObjectKey::new(self.set.namespace(), name)).cloned()
    }

    /// The claims of a pod that the cache knows.
    fn known_claims(&self, pod: &Pod) -> Vec<Arc<PersistentVolumeClaim>> {
        let place = ordinal(pod);
        let names = claim_templates(&self.set).iter().map(|template| claim_name(&self.set, template, place));
        names.filter_map(|name| self.claim(&name)).collect()
    }

    /// Whether a pod's claims are owned as the retention policy wants: `ClaimsMatchRetentionPolicy`.
    pub(super) fn claims_match(&self, pod: &Pod) -> bool {
        self.known_claims(pod).iter().all(|claim| retention::is_up_to_date(claim, &self.set, pod))
    }

    /// Whether a claim of the pod belongs to an earlier one and is about to go with it: `PodClaimIsStale`.
    pub(super) fn has_stale_claim(&self, pod: &Pod) -> bool {
        retention::Policy::of(&self.set).deletes_when_scaled
            && self.known_claims(pod).iter().any(|claim| retention::has_stale_owner(claim, pod))
    }

    /// Gives a pod's claims the owners of the retention policy: `UpdatePodClaimForRetentionPolicy`.
    pub(super) fn update_claims(&mut self, pod: &Pod) -> Result<(), ClientError> {
        for claim in self.known_claims(pod) {
            if retention::has_unexpected_controller(&claim, &self.set, pod) {
                let message = format!(
                    "PersistentVolumeClaim {} has a conflicting OwnerReference that acts as a managing controller, the \
                     retention policy is ignored for this claim",
                    claim.name()
                );
                self.client.event(&*self.set, EventType::Warning, "ConflictingController", &message);
            }
            if retention::is_up_to_date(&claim, &self.set, pod) {
                continue;
            }
            let mut changed = (*claim).clone();
            retention::update_owners(&mut changed, &self.set, pod);
            self.client.because(Why::new(
                "The retention policy of StatefulSet {} says whose claim {} is.",
                [self.set.name().to_owned(), claim.name().to_owned()],
            ));
            let text = format!("could not update claim {} for delete policy ownerRefs", claim.name());
            self.client.update(changed).map_err(|error| wrapped(&text, error))?;
        }
        Ok(())
    }

    /// Creates what a pending pod's claims lack: `createMissingPersistentVolumeClaims`.
    pub(super) fn create_missing_claims(&mut self, pod: &Pod) -> Result<(), ClientError> {
        self.create_claims(pod)?;
        let result = self.update_claims(pod);
        if result.is_err() {
            self.record_pod("Update", pod, &result);
        }
        result
    }

    /// Creates a pod's claims that are not there: `createPersistentVolumeClaims`. All are tried; the first error counts.
    fn create_claims(&mut self, pod: &Pod) -> Result<(), ClientError> {
        let mut first = None;
        for claim in identity::claims(&self.set, ordinal(pod)) {
            let name = claim.name().to_owned();
            match self.claim(&name) {
                Some(known) if known.is_deleting() => {
                    first.get_or_insert(failure(format!("pvc {name} is being deleted")));
                }
                Some(_) => {}
                None => {
                    if let Err(error) = self.create_claim(claim, pod) {
                        first.get_or_insert(wrapped(&format!("failed to create PVC {name}"), error));
                    }
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Creates a claim and tells of it: `recordClaimEvent`.
    fn create_claim(&mut self, claim: PersistentVolumeClaim, pod: &Pod) -> Result<(), ClientError> {
        let (name, pod, set) = (claim.name().to_owned(), pod.name(), self.set.name().to_owned());
        self.client.because(Why::new(
            "Pod {} of StatefulSet {} needs a claim {}.",
            [pod.to_owned(), set.clone(), name.clone()],
        ));
        let result = self.client.create(claim).map(drop);
        match &result {
            Ok(()) => {
                let message = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
                self.client.event(&*self.set, EventType::Normal, "SuccessfulCreate", &message);
            }
            Err(error @ ClientError::Api(status)) if !error.is_already_exists() => {
                let message = format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {status}");
                self.client.event(&*self.set, EventType::Warning, "FailedCreate", &message);
            }
            Err(_) => {}
        }
        result
    }
}
