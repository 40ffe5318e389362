//! Before a pod is bound to its node, its claims for devices are: `PreBind` and `Unreserve` of the plugin DynamicResources.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::api::resource::claim;
use crate::api::{Kind, ObjectKey, Subresource, Unstructured};
use crate::apiserver::DeleteOptions;
use crate::client::{Client, ClientError};
use crate::etcd::Why;
use crate::machinery::time::Time;
use crate::scheduler::dra_manager::Reservation;
use crate::scheduler::plugins::dynamic_resources::{extended, readiness};
use crate::scheduler::pod_info::PodInfo;

use super::{KubeScheduler, patch_status};

/// How often a write is tried again that somebody else was faster than: `retry.DefaultRetry`.
const TRIES_MAX: usize = 5;

/// Adds what a claim is given, and the pod as its consumer: one try of `bindClaim`.
fn bind_once(
    claim: &Unstructured,
    reservation: &Reservation,
    pod: &PodInfo,
    client: &mut Client<'_>,
) -> Result<Result<Arc<Unstructured>, ClientError>, String> {
    let key = ObjectKey::of(&claim.metadata);
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("claim {key} got deleted in the meantime"));
    }
    let mut claim = claim.clone();
    if let Some(allocation) = &reservation.allocation {
        if claim::allocation(&claim).is_some() {
            return Err(format!("claim {key} got allocated elsewhere in the meantime"));
        }
        let finalizers = claim.metadata.finalizers.get_or_insert_default();
        if !finalizers.iter().any(|known| known == claim::FINALIZER) {
            finalizers.push(claim::FINALIZER.to_owned());
            claim = match client.update_unstructured(claim, None) {
                Ok(written) => Unstructured::clone(&written),
                Err(error) if error.is_conflict() => return Ok(Err(error)),
                Err(error) => return Err(format!("add finalizer to claim {key}: {error}")),
            };
        }
        claim::status_mut(&mut claim).insert("allocation".to_owned(), allocation.clone());
    }
    if let Some(allocation) = claim::status_mut(&mut claim).get_mut("allocation").and_then(|it| it.as_object_mut()) {
        allocation.entry("allocationTimestamp").or_insert_with(|| client.now.to_rfc3339().into());
    }
    claim::reserve_for(&mut claim, &pod.pod);
    match client.update_unstructured(claim, Some(Subresource::Status)) {
        Err(error) if !error.is_conflict() => {
            let what = if reservation.allocation.is_some() { "allocation and reservation" } else { "reservation" };
            Err(format!("add {what} to claim {key}: {error}"))
        }
        outcome => Ok(outcome),
    }
}

impl KubeScheduler {
    /// Whether something has to be written about a pod's claims: `PreBindPreFlight`.
    pub(super) fn has_claims_to_bind(&self, pod: &PodInfo) -> bool {
        let manager = &self.scheduler.listers.dra;
        let is_bound = |reservation: &Reservation| {
            let known = manager.claim(&ObjectKey::of(&reservation.claim.metadata)).unwrap_or(&reservation.claim);
            claim::is_reserved_for(known, &pod.uid)
        };
        manager.reservations(&pod.uid).is_some_and(|reservations| !reservations.iter().all(is_bound))
    }

    /// Writes what a pod's claims are to have: `PreBind`.
    pub(super) fn bind_claims(&mut self, pod: &PodInfo, client: &mut Client<'_>) -> Result<(), String> {
        let Some(reservations) = self.scheduler.listers.dra.reservations(&pod.uid) else { return Ok(()) };
        for reservation in reservations.iter() {
            let key = ObjectKey::of(&reservation.claim.metadata);
            let known = self.scheduler.listers.dra.claim(&key).unwrap_or(&reservation.claim);
            if claim::is_reserved_for(known, &pod.uid) {
                continue;
            }
            let name = reservation.claim.metadata.name.clone().unwrap_or_default();
            client.because(Why::new("Pod {} is to use the devices of claim {}.", [pod.key.name.to_string(), name]));
            if extended::is_in_memory(&reservation.claim) {
                self.make_extended_claim(reservation, pod, client)?;
                continue;
            }
            let written = bind_claim(&reservation.claim, reservation, pod, client)?;
            self.scheduler.listers.dra.written(&written);
        }
        Ok(())
    }

    /// Makes the claim for what a pod asks for as a resource, and tells the pod of it.
    fn make_extended_claim(
        &mut self,
        reservation: &Reservation,
        pod: &PodInfo,
        client: &mut Client<'_>,
    ) -> Result<(), String> {
        let made = client.create_unstructured(extended::to_create(&reservation.claim));
        let key = ObjectKey::of(&reservation.claim.metadata);
        let made = made.map_err(|error| format!("create claim for extended resources {key}: {error}"))?;
        self.scheduler.listers.dra.made(&made);
        let written = bind_claim(&made, reservation, pod, client)?;
        self.scheduler.listers.dra.written(&written);
        self.scheduler.listers.dra.settled(reservation);
        let told = patch_status(client, pod, extended::pod_status(&written, &reservation.mappings));
        told.map_err(|error| format!("update pod {} ExtendedResourceClaimStatus: {error}", pod.key))
    }

    /// Whether the devices of a pod's claims are ready: `isPodReadyForBinding`.
    pub(super) fn devices_are_ready(&self, pod: &PodInfo, now: Time, timeout: Duration) -> Result<bool, String> {
        let manager = &self.scheduler.listers.dra;
        let Some(reservations) = manager.reservations(&pod.uid) else { return Ok(true) };
        for reservation in reservations.iter() {
            let key = ObjectKey::of(&reservation.claim.metadata);
            let is_extended = extended::is_in_memory(&reservation.claim);
            let known = if is_extended { manager.extended_claim_of(&pod.pod) } else { manager.claim(&key) };
            let known = known.ok_or_else(|| format!("could not find ResourceClaim {:?}", key.to_string()))?;
            if readiness::is_ready(known)? {
                continue;
            }
            if readiness::is_late(known, now, timeout) {
                return Err(format!("claim {} binding timeout", key.name));
            }
            return Ok(false);
        }
        Ok(true)
    }

    /// A pod is not bound after all: its claims are not reserved for it any more. `Unreserve`.
    pub(super) fn unreserve_claims(&mut self, pod: &PodInfo, client: &mut Client<'_>) {
        let Some(reservations) = self.scheduler.listers.dra.release(&pod.uid) else { return };
        for reservation in reservations.iter() {
            if extended::is_in_memory(&reservation.claim) {
                if let Some(made) = self.scheduler.listers.dra.extended_claim_of(&pod.pod).cloned() {
                    delete_claim(&made, client);
                }
                continue;
            }
            let key = ObjectKey::of(&reservation.claim.metadata);
            let known = self.scheduler.listers.dra.claim(&key);
            if known.is_some_and(|known| claim::is_reserved_for(known, &pod.uid)) {
                let patch = json!({
                    "metadata": { "uid": reservation.claim.metadata.uid },
                    "status": { "reservedFor": [{ "$patch": "delete", "uid": &*pod.uid }] },
                });
                // It is tried again when the pod is.
                if let Ok(written) = client.patch_unstructured_status(Kind::ResourceClaim, &key, patch) {
                    self.scheduler.listers.dra.written(&written);
                }
            }
        }
    }

    /// A claim gives its devices back, so that the pod that waits for it can be placed elsewhere.
    pub(super) fn give_up_claim(claim: &Unstructured, pod: &PodInfo, client: &mut Client<'_>) {
        let name = claim.metadata.name.clone().unwrap_or_default();
        if claim::is_for_extended_resources(claim) {
            client.because(Why::new("Claim {} is left of an earlier try of Pod {}.", [name, pod.key.name.to_string()]));
            return delete_claim(claim, client);
        }
        client.because(Why::new(
            "Pod {} cannot run where the devices of claim {} are.",
            [pod.key.name.to_string(), name],
        ));
        // Where that fails, it is tried again with the pod.
        let _ = client.update_unstructured(claim.clone(), Some(Subresource::Status));
    }
}

/// `deleteClaim`: what protects the claim goes first. Where that fails, the pod's next try does it again.
fn delete_claim(claim: &Unstructured, client: &mut Client<'_>) {
    let mut changed = claim.clone();
    changed.metadata.finalizers.iter_mut().for_each(|all| all.retain(|finalizer| finalizer != claim::FINALIZER));
    if client.update_unstructured(changed, None).is_ok() {
        let _ = client.delete(Kind::ResourceClaim, &ObjectKey::of(&claim.metadata), DeleteOptions::default());
    }
}

/// `bindClaim`: the newest claim is read when somebody else was faster.
fn bind_claim(
    claim: &Arc<Unstructured>,
    reservation: &Reservation,
    pod: &PodInfo,
    client: &mut Client<'_>,
) -> Result<Arc<Unstructured>, String> {
    let mut claim = Arc::clone(claim);
    let key = ObjectKey::of(&claim.metadata);
    for _ in 0..TRIES_MAX {
        match bind_once(&claim, reservation, pod, client)? {
            Ok(written) => return Ok(written),
            Err(_) => {
                let newest = client.get_unstructured(Kind::ResourceClaim, &key);
                claim = newest.map_err(|error| format!("get updated claim {key} after conflict: {error}"))?;
            }
        }
    }
    Err(format!("Operation cannot be fulfilled on resourceclaims.resource.k8s.io {:?}", &*key.name))
}
