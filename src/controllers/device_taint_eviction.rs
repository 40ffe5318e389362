//! Evicts pods whose devices have a `NoExecute` taint, at once or when their claims' tolerations end.
//!
//! Guarantees that a pod which uses such a device without tolerating the taint is deleted, one that tolerates it for some
//! seconds after these, and that the taint's removal cancels what was not done yet. Watches Pods, ResourceClaims and
//! ResourceSlices. Follows `kubernetes/pkg/controller/devicetainteviction`; taints by DeviceTaintRules are off in v1.36.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use serde_json::Value;

use crate::api::resource::claim::{self, items, spec, text};
use crate::api::resource::device;
use crate::api::{Kind, Name, Object, ObjectKey, Resource, Unstructured};
use crate::apiserver::DeleteOptions;
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;
use crate::machinery::toleration::NO_EXECUTE;

use super::pod_control::node_name;
use super::pod_status::{disruption_target, patch_status, update_condition};

/// How far a pod's eviction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eviction {
    /// It waits for this moment.
    Waiting(Time),
    /// It was done, and is not done again.
    Done,
}

/// The controller of tainted devices.
#[derive(Clone, Debug, Default)]
pub struct DeviceTaintEvictionController {
    /// By the pods' names, with their uids.
    evictions: OrdMap<ObjectKey, (Name, Eviction)>,
}

fn unstructured(object: &Object) -> Option<&Arc<Unstructured>> {
    match object {
        Object::Unstructured(object) => Some(object),
        _ => None,
    }
}

/// The names of the claims that a pod uses, and whether each must be its own.
fn claims_of(pod: &Pod) -> impl Iterator<Item = (&str, bool)> {
    let named = claim::references(pod).iter().filter_map(|reference| claim::name(pod, reference).ok().flatten());
    named.chain(claim::extended_name(pod).map(|name| (name, true)))
}

/// From when on a device with a taint may not be used by who has these tolerations; nothing when it always may.
fn end_of_use(taint: &Value, tolerations: &[Value], now: Time) -> Option<Time> {
    let since = Time::parse(text(taint, "timeAdded")).unwrap_or(now);
    let covers = |toleration: &&Value| device::tolerates(toleration, taint);
    let used: Vec<&Value> = tolerations.iter().filter(covers).collect();
    if used.is_empty() {
        return Some(since);
    }
    let seconds = used.iter().filter_map(|toleration| toleration["tolerationSeconds"].as_i64()).min()?;
    Some(since + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The specs of a pool's newest slices.
fn newest_slices<'a>(driver: &str, pool: &str, listers: &'a Informers) -> Vec<&'a Value> {
    let all = listers.objects_in(Kind::ResourceSlice, "").filter_map(unstructured).map(|slice| spec(slice));
    let of_pool: Vec<&Value> =
        all.filter(|slice| text(slice, "driver") == driver && text(&slice["pool"], "name") == pool).collect();
    let generation = |slice: &&Value| slice["pool"]["generation"].as_i64().unwrap_or(0);
    let newest = of_pool.iter().map(generation).max();
    of_pool.into_iter().filter(|slice| Some(generation(slice)) == newest).collect()
}

/// When a claim's users have to go because of its devices; nothing when they may stay.
fn eviction_time(claim: &Unstructured, listers: &Informers, now: Time) -> Option<Time> {
    let allocation = claim::allocation(claim)?;
    let ends = items(&allocation["devices"], "results").iter().filter_map(|result| {
        let slices = newest_slices(text(result, "driver"), text(result, "pool"), listers);
        let mut devices = slices.into_iter().flat_map(|slice| items(slice, "devices"));
        let device = devices.find(|device| text(device, "name") == text(result, "device"))?;
        let taints = items(device, "taints").iter().filter(|taint| text(taint, "effect") == NO_EXECUTE);
        taints.filter_map(|taint| end_of_use(taint, items(result, "tolerations"), now)).min()
    });
    ends.min()
}

/// When a pod has to go because of the devices of its claims; nothing when it may stay.
fn eviction_time_of(pod: &Pod, listers: &Informers, now: Time) -> Option<Time> {
    if node_name(pod).is_empty() {
        return None;
    }
    let times = claims_of(pod).filter_map(|(name, must_be_own)| {
        let key = ObjectKey::new(pod.namespace(), name);
        let claim = listers.object(Kind::ResourceClaim, &key).and_then(unstructured)?;
        let is_right = !must_be_own || claim::check_is_for_pod(pod, claim).is_ok();
        let is_used = is_right && claim::is_reserved_for(claim, pod.uid());
        is_used.then(|| eviction_time(claim, listers, now)).flatten()
    });
    times.min()
}

fn tell(pod: &ObjectKey, uid: &str, what: &str, client: &mut Client<'_>) {
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(pod.namespace.to_string()),
        name: Some(pod.name.to_string()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    };
    client.event_about(&about, EventType::Normal, "DeviceTaintManagerEviction", what);
}

impl DeviceTaintEvictionController {
    fn cancel(&mut self, key: &ObjectKey, client: &mut Client<'_>) {
        if let Some((uid, Eviction::Waiting(_))) = self.evictions.remove(key) {
            tell(key, &uid, "Cancelling deletion", client);
        }
    }

    /// `addConditionAndDeletePod`.
    fn evict(&mut self, pod: &Pod, client: &mut Client<'_>) -> Result<(), ClientError> {
        client.reserve(3)?;
        let (key, uid) = (pod.key(), Name::from(pod.uid()));
        tell(&key, &uid, "Marking for deletion", client);
        client.because(Why::new("A device of Pod {} has a NoExecute taint.", [pod.name().to_owned()]));
        let mut status = pod.status.clone().unwrap_or_default();
        let message = "Device Taint manager: deleting due to NoExecute taint";
        let target = disruption_target(pod, "DeletionByDeviceTaintManager", message);
        if update_condition(&mut status, target, client.now) {
            status.observed_generation = pod.metadata.generation;
            patch_status(pod, &status, client)?;
        }
        match client.delete(Kind::Pod, &key, DeleteOptions::of_uid(pod.uid())) {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        self.evictions.insert(key, (uid, Eviction::Done));
        Ok(())
    }
}

impl Controller for DeviceTaintEvictionController {
    fn name(&self) -> &'static str {
        "device-taint-eviction"
    }

    fn account(&self) -> &'static str {
        "device-taint-eviction-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::ResourceSlice, Kind::ResourceClaim, Kind::Pod].map(WatchSpec::all).to_vec()
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        let add_users = |claim: &Unstructured, queue: &mut WorkQueue| {
            let namespace = claim.metadata.namespace.as_deref().unwrap_or("");
            for consumer in claim::reserved_for(claim) {
                queue.add(ObjectKey::new(namespace, text(consumer, "name")));
            }
        };
        match event.kind {
            Kind::Pod => {
                if event.newest::<Pod>().is_some_and(|pod| claims_of(pod).next().is_some()) {
                    queue.add(event.key.clone());
                }
            }
            Kind::ResourceClaim => {
                let objects = event.before.iter().chain(&event.after);
                objects.filter_map(unstructured).for_each(|claim| add_users(claim, queue));
            }
            _ => {
                let Some(slice) = event.after.iter().chain(&event.before).find_map(unstructured) else { return };
                let (driver, pool) = (&spec(slice)["driver"], &spec(slice)["pool"]["name"]);
                let uses = |claim: &&Arc<Unstructured>| {
                    let results = claim::allocation(claim).map(|allocation| items(&allocation["devices"], "results"));
                    results.into_iter().flatten().any(|it| it["driver"] == *driver && it["pool"] == *pool)
                };
                let claims = listers.objects(Kind::ResourceClaim).filter_map(unstructured);
                claims.filter(uses).for_each(|claim| add_users(claim, queue));
            }
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(pod) = listers.get::<Pod>(key).filter(|pod| !pod.is_deleting()) else {
            self.cancel(key, client);
            return Ok(Requeue::Forget);
        };
        if self.evictions.get(key).is_some_and(|(uid, _)| **uid != *pod.uid()) {
            self.cancel(key, client);
        }
        let Some(at) = eviction_time_of(pod, listers, client.now) else {
            self.cancel(key, client);
            return Ok(Requeue::Forget);
        };
        if self.evictions.get(key).is_some_and(|(_, eviction)| *eviction == Eviction::Done) {
            return Ok(Requeue::Forget);
        }
        if at > client.now {
            self.evictions.insert(key.clone(), (Name::from(pod.uid()), Eviction::Waiting(at)));
            return Ok(Requeue::After(at.since(client.now)));
        }
        let pod = Arc::clone(pod);
        self.evict(&pod, client)?;
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_shortest_toleration_decides() {
        let since = Time::DEFAULT_START;
        let taint = json!({ "key": "k", "effect": "NoExecute", "timeAdded": since.to_rfc3339() });
        let for_seconds = |seconds: i64| json!({ "key": "k", "operator": "Exists", "tolerationSeconds": seconds });
        let always = || json!({ "operator": "Exists" });
        let table = [
            (vec![], Some(0)),
            (vec![json!({ "key": "other", "operator": "Exists" })], Some(0)),
            (vec![always()], None),
            (vec![for_seconds(9), for_seconds(6), always()], Some(6)),
            (vec![for_seconds(-3)], Some(0)),
        ];
        for (tolerations, expected) in table {
            let expected = expected.map(|seconds| since + Duration::from_secs(seconds));
            let now = since + Duration::from_secs(100);
            assert_eq!(end_of_use(&taint, &tolerations, now), expected, "{tolerations:?}");
        }
    }
}
