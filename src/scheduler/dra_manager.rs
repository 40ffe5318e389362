//! What the scheduler knows of devices, and what it has decided about claims for them that is not told yet.
//!
//! Follows `pkg/scheduler/framework/plugins/dynamicresources/dra_manager.go`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::resource::claim;
use crate::api::{Kind, Name, Object, ObjectKey, Resource as _, Unstructured};
use crate::client::InformerEvent;
use crate::machinery::persistent::OrdMap;

use super::framework::events::Change;
use super::plugins::dynamic_resources::allocator::{Allocated, Allocator};
use super::plugins::dynamic_resources::extended;

/// A claim that a pod is to have before it is bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// The claim, as it was when the pod's node was chosen.
    pub claim: Arc<Unstructured>,
    /// What it is given, if it had nothing yet.
    pub allocation: Option<Value>,
    /// Of a claim that is made for resources: which of its requests is for which container.
    pub mappings: Vec<Value>,
}

/// Devices, their classes, and claims. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct DraManager {
    classes: OrdMap<Name, Arc<Unstructured>>,
    slices: OrdMap<Name, Arc<Unstructured>>,
    claims: OrdMap<ObjectKey, Arc<Unstructured>>,
    /// Claims as the API server answered to a write, until the watch tells.
    assumed: OrdMap<ObjectKey, Arc<Unstructured>>,
    /// What claims are about to be given, by their uids.
    in_flight: OrdMap<Name, Arc<Value>>,
    /// What pods on their way to a node are to have, by their uids.
    reserved: OrdMap<Name, Arc<[Reservation]>>,
}

fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn uid(claim: &Unstructured) -> &str {
    claim.metadata.uid.as_deref().unwrap_or("")
}

impl DraManager {
    /// Whether an event is about what it keeps.
    #[must_use]
    pub const fn has(kind: Kind) -> bool {
        matches!(kind, Kind::ResourceClaim | Kind::ResourceSlice | Kind::DeviceClass)
    }

    /// Takes in what a watch told; says what pods may be waiting for.
    pub fn apply(&mut self, event: &InformerEvent) -> Option<Change> {
        let unstructured = |object: &Option<Object>| match object {
            Some(Object::Unstructured(object)) => Some(Arc::clone(object)),
            _ => None,
        };
        let (before, after) = (unstructured(&event.before), unstructured(&event.after));
        let map = match event.kind {
            Kind::DeviceClass => &mut self.classes,
            Kind::ResourceSlice => &mut self.slices,
            _ => {
                self.set_claim(event.key.clone(), after.as_ref());
                return match (before, after) {
                    (before, Some(claim)) => Some(Change::ResourceClaim(before, claim)),
                    (before, None) => before.map(Change::ResourceClaimGone),
                };
            }
        };
        match after {
            Some(object) => {
                map.insert(event.key.name.clone(), Arc::clone(&object));
                Some(if event.kind == Kind::DeviceClass {
                    Change::DeviceClass(before, object)
                } else {
                    Change::Devices
                })
            }
            None => {
                map.remove(&event.key.name);
                None
            }
        }
    }

    fn set_claim(&mut self, key: ObjectKey, claim: Option<&Arc<Unstructured>>) {
        let is_old = |assumed: &Arc<Unstructured>| {
            claim.is_none_or(|claim| version(&claim.metadata) >= version(&assumed.metadata))
        };
        if self.assumed.get(&key).is_some_and(is_old) {
            self.assumed.remove(&key);
        }
        match claim {
            Some(claim) => drop(self.claims.insert(key, Arc::clone(claim))),
            None => drop(self.claims.remove(&key)),
        }
    }

    /// A class that exists.
    #[cfg(test)]
    pub(in crate::scheduler) fn set_class(&mut self, class: &Arc<Unstructured>) {
        let name = class.metadata.name.as_deref().unwrap_or("");
        self.classes.insert(name.into(), Arc::clone(class));
    }

    /// Whether a class exists.
    #[must_use]
    pub fn has_class(&self, name: &str) -> bool {
        self.classes.contains_key(name)
    }

    /// The class that stands behind a resource of this name: `GetDeviceClass`.
    #[must_use]
    pub fn class_behind(&self, resource: &str) -> Option<Name> {
        match resource.strip_prefix(claim::DEVICE_CLASS_PREFIX) {
            Some(class) => self.has_class(class).then(|| class.into()),
            None => extended::class_behind(resource, self.classes.values()),
        }
    }

    /// All claims, as they are or as the API server answered.
    fn all_claims(&self) -> impl Iterator<Item = &Arc<Unstructured>> {
        let known = self.claims.keys().filter_map(|key| self.claim(key));
        let unknown = self.assumed.iter().filter(|(key, _)| !self.claims.contains_key(*key));
        known.chain(unknown.map(|(_, claim)| claim))
    }

    /// The claim that was made for what a pod asks for as a resource, if it was.
    #[must_use]
    pub fn extended_claim_of(&self, pod: &Pod) -> Option<&Arc<Unstructured>> {
        self.all_claims().find(|claim| extended::is_made_for(claim, pod))
    }

    /// A claim, as it is or as the API server answered.
    #[must_use]
    pub fn claim(&self, key: &ObjectKey) -> Option<&Arc<Unstructured>> {
        self.assumed.get(key).or_else(|| self.claims.get(key))
    }

    /// The claims of a pod, in the order of its references: `foreachPodResourceClaim`.
    ///
    /// # Errors
    /// One of them is not there, is going, or is another pod's.
    pub fn claims_of(&self, pod: &Pod) -> Result<Vec<Arc<Unstructured>>, String> {
        let mut claims = Vec::new();
        for reference in claim::references(pod) {
            let Some((name, must_be_own)) = claim::name(pod, reference)? else { continue };
            let key = ObjectKey::new(pod.namespace(), name);
            let found = self.claim(&key);
            let found = found.ok_or_else(|| format!("could not find ResourceClaim {:?}", key.to_string()))?;
            if found.metadata.deletion_timestamp.is_some() {
                return Err(format!("resourceclaim {name:?} is being deleted"));
            }
            if must_be_own {
                claim::check_is_for_pod(pod, found)?;
            }
            claims.push(Arc::clone(found));
        }
        Ok(claims)
    }

    /// Whether a claim is about to be given devices: `ClaimHasPendingAllocation`.
    #[must_use]
    pub fn is_in_flight(&self, claim: &Unstructured) -> bool {
        self.in_flight.contains_key(uid(claim))
    }

    /// What finds devices that nobody has.
    #[must_use]
    pub fn allocator(&self) -> Allocator {
        let mut allocated = Allocated::default();
        let told =
            self.all_claims().filter(|known| !self.is_in_flight(known)).filter_map(|known| claim::allocation(known));
        told.chain(self.in_flight.values().map(|allocation| &**allocation)).for_each(|given| allocated.add(given));
        let (classes, slices) = (self.classes.clone(), self.slices.values().cloned().collect());
        Allocator { classes, slices, allocated, timeout: Duration::ZERO }
    }

    /// Counts with what a pod is to have.
    pub fn reserve(&mut self, pod: &Name, reservations: Vec<Reservation>) {
        for reservation in &reservations {
            if let Some(allocation) = &reservation.allocation {
                self.in_flight.insert(uid(&reservation.claim).into(), Arc::new(allocation.clone()));
            }
        }
        self.reserved.insert(pod.clone(), reservations.into());
    }

    /// What a pod is to have before it is bound.
    #[must_use]
    pub fn reservations(&self, pod: &str) -> Option<Arc<[Reservation]>> {
        self.reserved.get(pod).cloned()
    }

    /// The API server took in what was decided about a claim.
    pub fn written(&mut self, claim: &Arc<Unstructured>) {
        self.in_flight.remove(uid(claim));
        let key = ObjectKey::of(&claim.metadata);
        let is_newer =
            |known: &Arc<Unstructured>| version(&claim.metadata) > version(&known.metadata) && uid(known) == uid(claim);
        if self.claim(&key).is_some_and(is_newer) {
            self.assumed.insert(key, Arc::clone(claim));
        }
    }

    /// The API server made a claim that was decided on, and which the watch has not told of yet.
    pub fn made(&mut self, claim: &Arc<Unstructured>) {
        self.assumed.insert(ObjectKey::of(&claim.metadata), Arc::clone(claim));
    }

    /// A claim that was made has what was decided.
    pub fn settled(&mut self, reservation: &Reservation) {
        self.in_flight.remove(uid(&reservation.claim));
    }

    /// A pod is bound, or will not be: what it was to have is decided no more.
    pub fn release(&mut self, pod: &str) -> Option<Arc<[Reservation]>> {
        let reserved = self.reserved.remove(pod)?;
        for reservation in reserved.iter().filter(|reservation| reservation.allocation.is_some()) {
            self.in_flight.remove(uid(&reservation.claim));
        }
        Some(reserved)
    }
}
