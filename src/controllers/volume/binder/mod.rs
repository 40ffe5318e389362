//! Binds claims to volumes, makes volumes for claims and takes back volumes of claims that are gone.
//!
//! Guarantees that a claim and a volume point at each other or not at all, and that both tell it in their phases.
//! Watches PersistentVolumes, PersistentVolumeClaims, StorageClasses, Pods and Nodes. Looks at everything every fifteen
//! seconds. Follows `kubernetes/pkg/controller/volume/persistentvolume`: [`claims`] is `syncClaim`, [`volumes`] is
//! `syncVolume`, [`bind`] what both write, [`provision`] and [`reclaim`] what they do with storage itself, which is
//! here the folders that `kubernetes.io/host-path` makes.
//!
//! Upstream provisions and deletes in goroutines beside its two workers; here the one worker does it in its sync, since
//! a folder takes no time. Volumes of plugins that moved to CSI drivers are left to drivers.

mod bind;
mod claims;
mod provision;
mod reclaim;
mod volumes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};

use crate::api::core::claim;
use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::client::volumes::{Seeker, claim_key, claim_ref, find_matching};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::machinery::order::Order as _;
use crate::machinery::persistent::OrdMap;

/// How often everything is looked at: `--pvclaimbinder-sync-period`.
const RESYNC_PERIOD: Duration = Duration::from_secs(15);

/// The binder.
#[derive(Clone, Debug, Default)]
pub struct PersistentVolumeController {
    /// The newest volumes that it knows: those of its watch, or what it wrote itself after them.
    volumes: OrdMap<Name, Arc<PersistentVolume>>,
    /// The newest claims, likewise.
    claims: OrdMap<ObjectKey, Arc<PersistentVolumeClaim>>,
}

/// A sync's hands: what it knows, and whom it asks.
struct SyncContext<'a, 'c> {
    known: &'a mut PersistentVolumeController,
    listers: &'a Informers,
    client: &'a mut Client<'c>,
}

/// Whether `new` is at least as new as what is known: `storeObjectUpdate`.
fn is_current<K: Resource>(known: Option<&Arc<K>>, new: &K) -> bool {
    let version = |object: &K| object.metadata().resource_version.as_deref().and_then(|text| text.parse::<u64>().ok());
    known.is_none_or(|known| version(known) <= version(new))
}

impl PersistentVolumeController {
    fn store_volume(&mut self, volume: &Arc<PersistentVolume>) {
        if is_current(self.volumes.get(volume.name()), volume) {
            self.volumes.insert(volume.name().into(), Arc::clone(volume));
        }
    }

    fn store_claim(&mut self, claim: &Arc<PersistentVolumeClaim>) {
        if is_current(self.claims.get(&claim.key()), claim) {
            self.claims.insert(claim.key(), Arc::clone(claim));
        }
    }

    /// `findByClaim`: volumes that offer the fewest ways of use come first, lest a claim take more than it asks for.
    fn find_best_match(&self, claim: &PersistentVolumeClaim, delayed: bool) -> Option<Arc<PersistentVolume>> {
        let asked = claim.spec.as_ref().and_then(|spec| spec.access_modes.clone()).unwrap_or_default();
        let mut offers: Vec<BTreeSet<&String>> = Vec::new();
        for volume in self.volumes.values() {
            let modes = access_modes(volume);
            if asked.iter().all(|mode| modes.contains(mode)) && !offers.contains(&modes) {
                offers.push(modes);
            }
        }
        offers.order_by_key(|modes| (modes.len(), modes.clone()));
        offers.iter().find_map(|modes| {
            let offered = self.volumes.values().filter(|volume| access_modes(volume) == *modes);
            find_matching(claim, offered, Seeker::Binder { delayed }).cloned()
        })
    }

    fn volume_changed(&mut self, event: &InformerEvent, queue: &mut WorkQueue) {
        let after = event.after.as_ref().and_then(|object| object.downcast::<PersistentVolume>());
        if let Some(volume) = after {
            self.store_volume(volume);
            queue.add(event.key.clone());
            return;
        }
        self.volumes.remove(&event.key.name);
        // The claim has to hear that it lost its volume.
        let reference = event.before::<PersistentVolume>().and_then(claim_ref);
        reference.into_iter().for_each(|reference| queue.add(claim_key(reference)));
    }

    fn claim_changed(&mut self, event: &InformerEvent, queue: &mut WorkQueue) {
        let after = event.after.as_ref().and_then(|object| object.downcast::<PersistentVolumeClaim>());
        if let Some(claim) = after {
            self.store_claim(claim);
            queue.add(event.key.clone());
            return;
        }
        self.claims.remove(&event.key);
        let volume = event.before::<PersistentVolumeClaim>().map_or("", claim::volume_name);
        if !volume.is_empty() {
            queue.add(ObjectKey::new("", volume));
        }
    }
}

fn access_modes(volume: &PersistentVolume) -> BTreeSet<&String> {
    volume.spec.iter().flat_map(|spec| spec.access_modes.iter().flatten()).collect()
}

/// The volume whose recycler a pod is.
fn recycled_volume(pod: &Pod) -> Option<ObjectKey> {
    let name = pod.name().strip_prefix(reclaim::RECYCLER_PREFIX)?;
    (pod.namespace() == reclaim::RECYCLER_NAMESPACE).then(|| ObjectKey::new("", name))
}

impl Controller for PersistentVolumeController {
    fn name(&self) -> &'static str {
        "persistentvolume-controller"
    }

    fn account(&self) -> &'static str {
        "persistent-volume-binder"
    }

    /// Two syncs at once could give two claims one volume.
    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::StorageClass, Kind::Node, Kind::PersistentVolume, Kind::PersistentVolumeClaim, Kind::Pod]
            .map(WatchSpec::all)
            .to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        match event.kind {
            Kind::PersistentVolume => self.volume_changed(event, queue),
            Kind::PersistentVolumeClaim => self.claim_changed(event, queue),
            Kind::Pod => queue_all(event.newest::<Pod>().and_then(recycled_volume), queue),
            _ => {}
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let mut sync = SyncContext { known: self, listers, client };
        let result = if key.namespace.is_empty() {
            sync.known.volumes.get(&key.name).cloned().map_or(Ok(()), |volume| sync.sync_volume(&volume))
        } else {
            sync.known.claims.get(key).cloned().map_or(Ok(()), |claim| sync.sync_claim(&claim))
        };
        match result {
            // What came first will be told by the watch.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(Requeue::Forget),
            result => result.map(|()| Requeue::Forget),
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn period(&self) -> Option<Duration> {
        Some(RESYNC_PERIOD)
    }

    fn tick(&mut self, _listers: &Informers, queue: &mut WorkQueue, _client: &mut Client<'_>) {
        queue_all(self.claims.keys().cloned(), queue);
        queue_all(self.volumes.keys().map(|name| ObjectKey::new("", name.clone())), queue);
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

fn queue_all(keys: impl IntoIterator<Item = ObjectKey>, queue: &mut WorkQueue) {
    keys.into_iter().for_each(|key| queue.add(key));
}
