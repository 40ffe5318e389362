//! What becomes of a volume: `syncVolume`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};

use super::SyncContext;
use super::reclaim::with_finalizer;
use crate::api::Resource;
use crate::api::core::{claim, persistent_volume};
use crate::client::ClientError;
use crate::client::volumes::{PROVISIONED_BY, annotation, claim_key, claim_ref};
use crate::etcd::Why;

impl SyncContext<'_, '_> {
    pub(super) fn sync_volume(&mut self, volume: &Arc<PersistentVolume>) -> Result<(), ClientError> {
        let volume = &match with_finalizer(volume) {
            Some(changed) => self.write_volume(changed)?,
            None => Arc::clone(volume),
        };
        let Some(reference) = claim_ref(volume).filter(|reference| !reference.uid.as_deref().unwrap_or("").is_empty())
        else {
            self.client.because(Why::new("No claim has volume {}.", [volume.name().to_owned()]));
            return self.update_volume_phase(volume, "Available", "").map(drop);
        };
        let Some(claim) = self.claim_of(volume, reference)? else {
            return self.release(volume);
        };
        let bound_to = claim::volume_name(&claim);
        if bound_to.is_empty() {
            // The binding is under way, or somebody undid it: the claim's sync goes on with it.
            self.client.enqueue(claim.key());
            return Ok(());
        }
        if bound_to == volume.name() {
            return self.update_volume_phase(volume, "Bound", "").map(drop);
        }
        let policy = reclaim_policy(volume);
        if annotation(&volume.metadata, PROVISIONED_BY).is_some() && policy == "Delete" {
            // It was made for the claim, which found another meanwhile.
            return self.release(volume);
        }
        self.client.because(Why::new(
            "Claim {} has volume {} and not {}.",
            [claim.name().to_owned(), bound_to.to_owned(), volume.name().to_owned()],
        ));
        self.unbind(volume)
    }

    /// The claim that a volume is bound to. A volume that somebody else bound may be here before its claim is, so
    /// before a volume counts as released the API server is asked.
    fn claim_of(
        &mut self,
        volume: &PersistentVolume,
        reference: &ObjectReference,
    ) -> Result<Option<Arc<PersistentVolumeClaim>>, ClientError> {
        let key = claim_key(reference);
        let is_settled = matches!(persistent_volume::phase_of(volume), "Released" | "Failed");
        let found = match self.known.claims.get(&key).cloned() {
            None if !is_settled => match self.client.get::<PersistentVolumeClaim>(&key) {
                Err(error) if error.is_not_found() => None,
                found => Some(found?),
            },
            found => found,
        };
        // Another claim of the same name is not the one that had the volume.
        Ok(found.filter(|claim| Some(claim.uid()) == reference.uid.as_deref()))
    }

    /// Nobody has the volume any more.
    fn release(&mut self, volume: &Arc<PersistentVolume>) -> Result<(), ClientError> {
        self.client.because(Why::new("The claim of volume {} is gone.", [volume.name().to_owned()]));
        let volume = match persistent_volume::phase_of(volume) {
            "Released" | "Failed" => Arc::clone(volume),
            _ => self.update_volume_phase(volume, "Released", "")?,
        };
        self.reclaim(&volume)
    }
}

pub(super) fn reclaim_policy(volume: &PersistentVolume) -> &str {
    volume.spec.as_ref().and_then(|spec| spec.persistent_volume_reclaim_policy.as_deref()).unwrap_or("")
}
