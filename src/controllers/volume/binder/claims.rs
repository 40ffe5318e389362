//! What becomes of a claim: `syncClaim`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use super::SyncContext;
use crate::api::core::claim;
use crate::api::{ObjectKey, Resource, storage};
use crate::client::volumes::{
    BIND_COMPLETED, BOUND_BY_CONTROLLER, SELECTED_NODE, annotation, check_satisfies, claim_ref, is_bound_to, is_delayed,
};
use crate::client::{ClientError, EventType};
use crate::controllers::volume::is_scheduled;
use crate::etcd::Why;

impl SyncContext<'_, '_> {
    pub(super) fn sync_claim(&mut self, claim: &Arc<PersistentVolumeClaim>) -> Result<(), ClientError> {
        if annotation(&claim.metadata, BIND_COMPLETED).is_some() {
            self.sync_bound_claim(claim)
        } else {
            self.sync_unbound_claim(claim)
        }
    }

    /// The class of a claim, if it has one that exists.
    pub(super) fn class(&self, claim: &PersistentVolumeClaim) -> Option<&Arc<StorageClass>> {
        self.listers.get::<StorageClass>(&ObjectKey::new("", claim::class_of(claim)))
    }

    fn sync_unbound_claim(&mut self, claim: &Arc<PersistentVolumeClaim>) -> Result<(), ClientError> {
        let name = claim::volume_name(claim);
        if !name.is_empty() {
            return match self.known.volumes.get(name).cloned() {
                Some(volume) => self.sync_claim_with_volume(claim, &volume),
                // The user asked for a volume that does not exist, perhaps not yet.
                None => self.update_claim_status(claim, "Pending", None).map(drop),
            };
        }
        let delayed = is_delayed(self.class(claim).map(|class| &**class));
        if let Some(volume) = self.known.find_best_match(claim, delayed) {
            self.because_matching(claim, &volume);
            return self.bind(&volume, claim);
        }
        if self.assign_default_class(claim)? {
            return Ok(());
        }
        if delayed && annotation(&claim.metadata, SELECTED_NODE).is_none() {
            self.tell_of_waiting(claim);
        } else if !claim::class_of(claim).is_empty() {
            return self.provision(claim);
        } else {
            let message = "no persistent volumes available for this claim and no storage class is set";
            self.client.event(&**claim, EventType::Normal, "FailedBinding", message);
        }
        self.update_claim_status(claim, "Pending", None).map(drop)
    }

    fn because_matching(&mut self, claim: &PersistentVolumeClaim, volume: &PersistentVolume) {
        self.client.because(Why::new(
            "Volume {} is what claim {} asks for.",
            [volume.name().to_owned(), claim.name().to_owned()],
        ));
    }

    /// `assignDefaultStorageClass`: a claim that was there before there was a default class gets it now.
    fn assign_default_class(&mut self, claim: &Arc<PersistentVolumeClaim>) -> Result<bool, ClientError> {
        if claim::has_class(claim) {
            return Ok(false);
        }
        let classes = self.listers.list::<StorageClass>().filter(|class| storage::is_default(class));
        let youngest = classes.fold(None, |best: Option<&Arc<StorageClass>>, class| match best {
            Some(best) if best.metadata.creation_timestamp >= class.metadata.creation_timestamp => Some(best),
            _ => Some(class),
        });
        let Some(class) = youngest.and_then(|class| class.metadata.name.clone()) else { return Ok(false) };
        self.client.because(Why::new(
            "Claim {} names no class, and {} is the default one.",
            [claim.name().to_owned(), class.clone()],
        ));
        let mut changed = PersistentVolumeClaim::clone(claim);
        changed.spec.get_or_insert_default().storage_class_name = Some(class);
        let stored = self.client.update(changed)?;
        self.known.store_claim(&stored);
        Ok(true)
    }

    /// `emitEventForUnboundDelayBindingClaim`: which pods the claim waits for.
    fn tell_of_waiting(&mut self, claim: &PersistentVolumeClaim) {
        let key = claim.key();
        let waiting = self.listers.pods_using(&key).into_iter().filter(|pod| !is_scheduled(pod));
        let names: Vec<&str> = waiting.map(|pod| pod.name()).collect();
        let (reason, message) = match names[..] {
            [] => ("WaitForFirstConsumer", "waiting for first consumer to be created before binding".to_owned()),
            [only] => ("WaitForPodScheduled", format!("waiting for pod {only} to be scheduled")),
            _ => ("WaitForPodScheduled", format!("waiting for pods {} to be scheduled", names.join(","))),
        };
        self.client.event(claim, EventType::Normal, reason, &message);
    }

    /// The user asked for one volume.
    fn sync_claim_with_volume(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        volume: &Arc<PersistentVolume>,
    ) -> Result<(), ClientError> {
        self.client
            .because(Why::new("Claim {} asks for volume {}.", [claim.name().to_owned(), volume.name().to_owned()]));
        if claim_ref(volume).is_none() {
            let Err(why) = check_satisfies(volume, claim) else { return self.bind(volume, claim) };
            let message = format!("Cannot bind to requested volume {:?}: {why}", volume.name());
            self.client.event(&**claim, EventType::Warning, "VolumeMismatch", &message);
            return self.update_claim_status(claim, "Pending", None).map(drop);
        }
        if is_bound_to(volume, claim) {
            return self.bind(volume, claim);
        }
        let message = format!("volume {:?} already bound to a different claim.", volume.name());
        self.client.event(&**claim, EventType::Warning, "FailedBinding", &message);
        if annotation(&claim.metadata, BOUND_BY_CONTROLLER).is_some() {
            // Somebody took the mark of a completed binding away: nothing is right here.
            return Ok(());
        }
        self.update_claim_status(claim, "Pending", None).map(drop)
    }

    fn sync_bound_claim(&mut self, claim: &Arc<PersistentVolumeClaim>) -> Result<(), ClientError> {
        let name = claim::volume_name(claim);
        if name.is_empty() {
            let message = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!";
            return self.lose_claim(claim, "ClaimLost", message);
        }
        let Some(volume) = self.known.volumes.get(name).cloned() else {
            let message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
            return self.lose_claim(claim, "ClaimLost", message);
        };
        match claim_ref(&volume) {
            Some(reference) if reference.uid.as_deref() != Some(claim.uid()) => {
                let message = "Two claims are bound to the same volume, this one is bound incorrectly";
                self.lose_claim(claim, "ClaimMisbound", message)
            }
            _ => {
                self.because_matching(claim, &volume);
                self.bind(&volume, claim)
            }
        }
    }

    /// The claim's volume is gone for good.
    fn lose_claim(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        reason: &str,
        message: &str,
    ) -> Result<(), ClientError> {
        if claim::phase_of(claim) == "Lost" {
            return Ok(());
        }
        let volume = claim::volume_name(claim).to_owned();
        self.client.because(Why::new("Claim {} has lost its volume {}.", [claim.name().to_owned(), volume]));
        let lost = self.update_claim_status(claim, "Lost", None)?;
        self.client.event(&*lost, EventType::Warning, reason, message);
        Ok(())
    }
}
