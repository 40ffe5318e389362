//! What a binding writes: into the volume, then into the claim, and into the status of both.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::SyncContext;
use crate::api::core::{claim, persistent_volume};
use crate::client::volumes::{BIND_COMPLETED, BOUND_BY_CONTROLLER, annotate, annotation, bind_volume_to_claim};
use crate::client::{ClientError, EventType};

/// The most requests that a binding takes.
const REQUESTS: usize = 4;

impl SyncContext<'_, '_> {
    /// Binds both to each other; what is bound already is not written again.
    pub(super) fn bind(
        &mut self,
        volume: &Arc<PersistentVolume>,
        claim: &Arc<PersistentVolumeClaim>,
    ) -> Result<(), ClientError> {
        self.client.reserve(REQUESTS)?;
        let volume = match bind_volume_to_claim(volume, claim) {
            Some(bound) => self.write_volume(bound)?,
            None => Arc::clone(volume),
        };
        let volume = self.update_volume_phase(&volume, "Bound", "")?;
        let claim = match bind_claim_to_volume(claim, &volume) {
            Some(bound) => self.write_claim(bound)?,
            None => Arc::clone(claim),
        };
        self.update_claim_status(&claim, "Bound", Some(&volume)).map(drop)
    }

    /// Takes a binding back: what the controller chose is free again, what the user reserved stays reserved.
    pub(super) fn unbind(&mut self, volume: &PersistentVolume) -> Result<(), ClientError> {
        self.client.reserve(2)?;
        let mut changed = volume.clone();
        let spec = changed.spec.get_or_insert_default();
        if annotation(&volume.metadata, BOUND_BY_CONTROLLER).is_some() {
            spec.claim_ref = None;
            changed.metadata.annotations.iter_mut().for_each(|map| drop(map.remove(BOUND_BY_CONTROLLER)));
        } else if let Some(reference) = &mut spec.claim_ref {
            reference.uid = None;
        }
        let changed = self.write_volume(changed)?;
        self.update_volume_phase(&changed, "Available", "").map(drop)
    }

    pub(super) fn write_volume(&mut self, volume: PersistentVolume) -> Result<Arc<PersistentVolume>, ClientError> {
        let stored = self.client.update(volume)?;
        self.known.store_volume(&stored);
        Ok(stored)
    }

    pub(super) fn write_claim(
        &mut self,
        claim: PersistentVolumeClaim,
    ) -> Result<Arc<PersistentVolumeClaim>, ClientError> {
        let stored = self.client.update(claim)?;
        self.known.store_claim(&stored);
        Ok(stored)
    }

    pub(super) fn update_volume_phase(
        &mut self,
        volume: &Arc<PersistentVolume>,
        phase: &str,
        message: &str,
    ) -> Result<Arc<PersistentVolume>, ClientError> {
        if persistent_volume::phase_of(volume) == phase {
            return Ok(Arc::clone(volume));
        }
        let mut changed = PersistentVolume::clone(volume);
        let status = changed.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        status.message = Some(message.to_owned()).filter(|message| !message.is_empty());
        let stored = self.client.update_status(changed)?;
        self.known.store_volume(&stored);
        Ok(stored)
    }

    /// The same with an event, which comes only when the phase is another.
    pub(super) fn fail_volume(
        &mut self,
        volume: &Arc<PersistentVolume>,
        reason: &str,
        message: &str,
    ) -> Result<(), ClientError> {
        if persistent_volume::phase_of(volume) == "Failed" {
            return Ok(());
        }
        let failed = self.update_volume_phase(volume, "Failed", message)?;
        self.client.event(&*failed, EventType::Warning, reason, message);
        Ok(())
    }

    pub(super) fn update_claim_status(
        &mut self,
        claim: &Arc<PersistentVolumeClaim>,
        phase: &str,
        volume: Option<&PersistentVolume>,
    ) -> Result<Arc<PersistentVolumeClaim>, ClientError> {
        let changed = with_status(claim, phase, volume);
        if changed == **claim {
            return Ok(Arc::clone(claim));
        }
        let stored = self.client.update_status(changed)?;
        self.known.store_claim(&stored);
        Ok(stored)
    }
}

/// The claim with the status that a phase and a volume give it. A claim that is bound already keeps its capacity,
/// which may be smaller than the volume's while its file system grows.
fn with_status(claim: &PersistentVolumeClaim, phase: &str, volume: Option<&PersistentVolume>) -> PersistentVolumeClaim {
    let enters = claim::phase_of(claim) != phase;
    let mut changed = claim.clone();
    let status = changed.status.get_or_insert_default();
    status.phase = Some(phase.to_owned());
    let Some(spec) = volume.and_then(|volume| volume.spec.as_ref()) else {
        status.access_modes = None;
        status.capacity = None;
        status.current_volume_attributes_class_name = None;
        return changed;
    };
    status.access_modes.clone_from(&spec.access_modes);
    if enters {
        status.capacity.clone_from(&spec.capacity);
        let class = spec.volume_attributes_class_name.clone();
        status.current_volume_attributes_class_name = class.filter(|class| !class.is_empty());
    }
    changed
}

/// `bindClaimToVolume`: the claim as it is when it is bound to the volume; `None` when it is already.
fn bind_claim_to_volume(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Option<PersistentVolumeClaim> {
    let name = volume.metadata.name.as_deref().unwrap_or("");
    let by_controller = claim::volume_name(claim) != name;
    let mut bound = claim.clone();
    if by_controller {
        bound.spec.get_or_insert_default().volume_name = Some(name.to_owned());
        if annotation(&claim.metadata, BOUND_BY_CONTROLLER).is_none() {
            annotate(&mut bound.metadata, BOUND_BY_CONTROLLER, "yes");
        }
    }
    if annotation(&claim.metadata, BIND_COMPLETED).is_none() {
        annotate(&mut bound.metadata, BIND_COMPLETED, "yes");
    }
    (bound != *claim).then_some(bound)
}
