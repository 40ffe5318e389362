//! Keeps claims, volumes and classes of attributes that are in use from going away.
//!
//! Guarantees the finalizer on what is not being deleted, and takes it off what is being deleted as soon as nobody uses
//! it: a claim is used by every pod that has a node, a volume by the claim that it is bound to, a class of attributes by
//! claims and volumes that name it. Watches those kinds and Pods. Follows `kubernetes/pkg/controller/volume/pvcprotection`,
//! `pvprotection` and `vacprotection`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::core::persistent_volume;
use crate::api::{Kind, Object, ObjectKey};
use crate::apiserver::{Body, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;

use super::{claims_of, is_scheduled};

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
const ATTRIBUTES_CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";

/// What is to be done about an object's finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    Add,
    Remove,
}

/// Decides about the finalizer; whether the object is used is asked only when it matters.
fn next_step(metadata: &ObjectMeta, finalizer: &str, is_used: impl FnOnce() -> bool) -> Step {
    let has = metadata.finalizers.iter().flatten().any(|name| name == finalizer);
    match (metadata.deletion_timestamp.is_some(), has) {
        (false, false) => Step::Add,
        (true, true) if !is_used() => Step::Remove,
        _ => Step::Nothing,
    }
}

/// Carries a step out on any object.
fn take(step: Step, object: &Object, finalizer: &str, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
    let mut changed = object.clone();
    let finalizers = changed.metadata_mut().finalizers.get_or_insert_default();
    let subject = [object.kind().info().kind.to_owned(), object.key().name.to_string()];
    match step {
        Step::Nothing => return Ok(Requeue::Forget),
        Step::Add => {
            finalizers.push(finalizer.to_owned());
            client.because(Why::new("{} {} is to be kept while it is in use.", subject));
        }
        Step::Remove => {
            finalizers.retain(|name| name != finalizer);
            client.because(Why::new("{} {} is to go, and nobody uses it.", subject));
        }
    }
    let target = Target::object(object.kind(), &object.key());
    let verb = Verb::Update { body: Body::Object(changed), options: WriteOptions::default() };
    match client.request(target, verb) {
        Err(error) if error.is_not_found() => Ok(Requeue::Forget),
        answer => answer.map(|_| Requeue::Forget),
    }
}

/// Keeps claims.
#[derive(Clone, Copy, Debug)]
pub struct ClaimProtection;

fn is_claim_used(key: &ObjectKey, listers: &Informers) -> bool {
    // A pod that no kubelet has seen yet will find the claim under deletion, and not start.
    listers.pods_using(key).into_iter().any(|pod| is_scheduled(pod))
}

impl Controller for ClaimProtection {
    fn name(&self) -> &'static str {
        "persistentvolumeclaim-protection-controller"
    }

    fn account(&self) -> &'static str {
        "pvc-protection-controller"
    }

    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::PersistentVolumeClaim), WatchSpec::all(Kind::Pod)]
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::PersistentVolumeClaim {
            queue.add(event.key.clone());
        } else if event.after.is_none()
            && let Some(pod) = event.before::<Pod>()
        {
            // A claim that nobody wants to delete has nothing to gain from a pod's end.
            let is_deleting =
                |key: &ObjectKey| listers.object(Kind::PersistentVolumeClaim, key).is_some_and(Object::is_deleting);
            claims_of(pod).filter(is_deleting).for_each(|key| queue.add(key));
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(object) = listers.object(Kind::PersistentVolumeClaim, key) else { return Ok(Requeue::Forget) };
        let step = next_step(object.metadata(), CLAIM_FINALIZER, || is_claim_used(key, listers));
        take(step, object, CLAIM_FINALIZER, client)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

/// Keeps volumes.
#[derive(Clone, Copy, Debug)]
pub struct VolumeProtection;

impl Controller for VolumeProtection {
    fn name(&self) -> &'static str {
        "persistentvolume-protection-controller"
    }

    fn account(&self) -> &'static str {
        "pv-protection-controller"
    }

    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::PersistentVolume)]
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.after.is_some() {
            queue.add(event.key.clone());
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(volume) = listers.get::<PersistentVolume>(key) else { return Ok(Requeue::Forget) };
        let is_used = || persistent_volume::phase_of(volume) == "Bound";
        let step = next_step(&volume.metadata, VOLUME_FINALIZER, is_used);
        take(step, &Object::PersistentVolume(Arc::clone(volume)), VOLUME_FINALIZER, client)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

/// Keeps classes of attributes.
#[derive(Clone, Copy, Debug)]
pub struct AttributesClassProtection;

/// The classes of attributes that an object of storage names.
fn attributes_classes(object: &Object) -> Vec<&str> {
    let names: [Option<&String>; 3] = match object {
        Object::PersistentVolume(volume) => {
            [volume.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_ref()), None, None]
        }
        Object::PersistentVolumeClaim(claim) => {
            let status = claim.status.as_ref();
            let modified = status.and_then(|status| status.modify_volume_status.as_ref());
            [
                claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_ref()),
                status.and_then(|status| status.current_volume_attributes_class_name.as_ref()),
                modified.and_then(|modified| modified.target_volume_attributes_class_name.as_ref()),
            ]
        }
        _ => [None; 3],
    };
    names.into_iter().flatten().map(String::as_str).collect()
}

fn is_attributes_class_used(name: &str, listers: &Informers) -> bool {
    let names = |object: Object| attributes_classes(&object).contains(&name);
    listers.list::<PersistentVolumeClaim>().any(|claim| names(Object::PersistentVolumeClaim(Arc::clone(claim))))
        || listers.list::<PersistentVolume>().any(|volume| names(Object::PersistentVolume(Arc::clone(volume))))
}

impl Controller for AttributesClassProtection {
    fn name(&self) -> &'static str {
        "volumeattributesclass-protection-controller"
    }

    fn workers(&self) -> usize {
        1
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::VolumeAttributesClass, Kind::PersistentVolume, Kind::PersistentVolumeClaim].map(WatchSpec::all).to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::VolumeAttributesClass {
            queue.add(event.key.clone());
        } else if let Some(before) = &event.before {
            // What was named before may not be named any more.
            attributes_classes(before).into_iter().for_each(|name| queue.add(ObjectKey::new("", name)));
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(object) = listers.object(Kind::VolumeAttributesClass, key) else { return Ok(Requeue::Forget) };
        let is_used = || is_attributes_class_used(&key.name, listers);
        let step = next_step(object.metadata(), ATTRIBUTES_CLASS_FINALIZER, is_used);
        take(step, object, ATTRIBUTES_CLASS_FINALIZER, client)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::time::Time;

    #[test]
    fn what_is_used_stays() {
        let table = [
            (false, false, true, Step::Add),
            (false, true, false, Step::Nothing),
            (true, false, false, Step::Nothing),
            (true, true, true, Step::Nothing),
            (true, true, false, Step::Remove),
        ];
        for (is_deleting, has, is_used, expected) in table {
            let metadata = ObjectMeta {
                deletion_timestamp: is_deleting.then(|| Time::default().to_meta()),
                finalizers: has.then(|| vec![CLAIM_FINALIZER.to_owned()]),
                ..ObjectMeta::default()
            };
            assert_eq!(next_step(&metadata, CLAIM_FINALIZER, || is_used), expected, "{is_deleting} {has} {is_used}");
        }
    }
}
