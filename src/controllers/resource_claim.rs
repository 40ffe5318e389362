//! Makes the claims for devices that pods have templates for, and takes claims back from pods that are done.
//!
//! Guarantees that each such reference of a pod has a claim, which the pod owns; that a claim is reserved only for pods
//! that may still run; and that one that nobody uses gives its devices back and can be deleted. Watches Pods,
//! ResourceClaims and ResourceClaimTemplates. Follows `kubernetes/pkg/controller/resourceclaim`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodResourceClaim};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

use crate::api::resource::claim::{self, CONSUMERS_MAX, FINALIZER, POD_CLAIM_NAME};
use crate::api::{Kind, Name, Object, ObjectKey, Resource, Subresource, Unstructured, controller_of};
use crate::apiserver::{DeleteOptions, Patch, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::controllers::pod_control::controller_ref;
use crate::etcd::Why;
use crate::machinery::json;

/// `podKeyPrefix`.
const POD_PREFIX: &str = "pod:";
/// `claimKeyPrefix`.
const CLAIM_PREFIX: &str = "claim:";
/// Who manages the part of a pod's status that names its claims.
const FIELD_MANAGER: &str = "ResourceClaimController";
/// Leaves room for a hyphen and five letters in a name of 63.
const GENERATED_BASE_MAX: usize = 57;

/// The controller of claims for devices.
#[derive(Clone, Copy, Debug)]
pub struct ResourceClaimController;

fn found<'a>(listers: &'a Informers, kind: Kind, key: &ObjectKey) -> Option<&'a Arc<Unstructured>> {
    match listers.object(kind, key)? {
        Object::Unstructured(object) => Some(object),
        _ => None,
    }
}

fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Failed" | "Succeeded"))
}

fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("")
}

/// Whether it is certain that no container of the pod runs or will: `isPodDone`.
fn is_done(pod: &Pod) -> bool {
    is_terminal(pod) || (pod.is_deleting() && node_name(pod).is_empty())
}

fn key_of(prefix: &str, namespace: &str, name: &str) -> QueueKey {
    ObjectKey::new(namespace, format!("{prefix}{name}"))
}

/// Whether a claim is allocated and could be reserved for a pod that it is not reserved for.
fn needs_reservation(claim: &Unstructured, pod: &Pod) -> bool {
    claim::allocation(claim).is_some()
        && !claim::is_reserved_for(claim, pod.uid())
        && claim::reserved_for(claim).len() < CONSUMERS_MAX
}

/// `podNeedsWork`.
fn needs_work(pod: &Pod, listers: &Informers) -> bool {
    if pod.is_deleting() {
        return false;
    }
    for reference in claim::references(pod) {
        let Ok(named) = claim::name(pod, reference) else { return true };
        let Some((name, must_be_own)) = named else { return false };
        let Some(claim) = found(listers, Kind::ResourceClaim, &ObjectKey::new(pod.namespace(), name)) else {
            return reference.resource_claim_template_name.is_some();
        };
        if must_be_own && claim::check_is_for_pod(pod, claim).is_err() {
            return false;
        }
        if !node_name(pod).is_empty() && needs_reservation(claim, pod) {
            return true;
        }
    }
    false
}

/// `enqueuePod`: the claims of a pod that is done, and a pod that waits for claims.
fn enqueue_pod(pod: &Pod, is_gone: bool, listers: &Informers, queue: &mut WorkQueue) {
    if is_gone || is_done(pod) {
        for reference in claim::references(pod) {
            if let Ok(Some((name, _))) = claim::name(pod, reference) {
                queue.add(key_of(CLAIM_PREFIX, pod.namespace(), name));
            }
        }
        if let Some(name) = claim::extended_name(pod) {
            queue.add(key_of(CLAIM_PREFIX, pod.namespace(), name));
        }
    }
    if !is_gone && needs_work(pod, listers) {
        queue.add(key_of(POD_PREFIX, pod.namespace(), pod.name()));
    }
}

/// The start of the name of the claim for a reference of a pod.
fn generate_name(pod: &str, reference: &str) -> String {
    let whole = format!("{pod}-{reference}-");
    if whole.len() <= GENERATED_BASE_MAX {
        return whole;
    }
    // Both are cut, in proportion to their lengths, so that something of each is left.
    let cut = |text: &str| text[..text.len() * GENERATED_BASE_MAX / whole.len()].to_owned();
    format!("{}-{}", cut(pod), cut(reference))
}

/// The claim that a template describes for a reference of a pod.
fn claim_for(pod: &Pod, reference: &str, template: &Unstructured) -> Unstructured {
    let wanted = claim::spec(template);
    let metadata: ObjectMeta = json::from_value(&wanted["metadata"]).unwrap_or_default();
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.insert(POD_CLAIM_NAME.to_owned(), reference.to_owned());
    let metadata = ObjectMeta {
        generate_name: Some(generate_name(pod.name(), reference)),
        namespace: Some(pod.namespace().to_owned()),
        owner_references: Some(vec![controller_ref(pod)]),
        annotations: Some(annotations),
        labels: metadata.labels,
        ..ObjectMeta::default()
    };
    let spec = wanted.get("spec").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    Unstructured { kind: Kind::ResourceClaim, metadata, fields: Map::from_iter([("spec".to_owned(), spec)]) }
}

/// Why a claim could not be made.
enum Trouble {
    Client(String, ClientError),
    Missing(String),
}

impl Trouble {
    fn message(&self) -> String {
        match self {
            Self::Client(what, error) => format!("{what}: {error}"),
            Self::Missing(why) => why.clone(),
        }
    }
}

/// `handleClaim`: the name of a claim that the pod is to be told of.
fn handle_claim(
    pod: &Pod,
    reference: &PodResourceClaim,
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<Option<String>, Trouble> {
    match claim::name(pod, reference) {
        Ok(None) => return Ok(None),
        Ok(Some((name, must_be_own))) => {
            // It may have been deleted by accident, and is made again then.
            let known = found(listers, Kind::ResourceClaim, &ObjectKey::new(pod.namespace(), name));
            let is_right = |claim: &Arc<Unstructured>| !must_be_own || claim::check_is_for_pod(pod, claim).is_ok();
            if known.is_some_and(is_right) {
                return Ok(None);
            }
        }
        Err(_) => {}
    }
    let Some(template_name) = &reference.resource_claim_template_name else { return Ok(None) };
    // It may have been made, and the pod not told.
    let is_for_it = |claim: &&Arc<Unstructured>| {
        let annotations = claim.metadata.annotations.as_ref();
        claim::check_is_for_pod(pod, claim).is_ok()
            && annotations.and_then(|map| map.get(POD_CLAIM_NAME)) == Some(&reference.name)
    };
    let known = listers.objects_in(Kind::ResourceClaim, pod.namespace()).filter_map(|object| match object {
        Object::Unstructured(claim) => Some(claim),
        _ => None,
    });
    if let Some(claim) = known.into_iter().find(is_for_it) {
        return Ok(claim.metadata.name.clone());
    }
    let key = ObjectKey::new(pod.namespace(), template_name.as_str());
    let template = found(listers, Kind::ResourceClaimTemplate, &key).ok_or_else(|| {
        let error = format!("resourceclaimtemplate.resource.k8s.io {template_name:?} not found");
        Trouble::Missing(format!("resource claim template {template_name:?}: {error}"))
    })?;
    client.because(Why::new("Pod {} needs the claim {}.", [pod.name().to_owned(), reference.name.clone()]));
    let made = client.create_unstructured(claim_for(pod, &reference.name, template));
    let made = made.map_err(|error| Trouble::Client("create ResourceClaim ".to_owned(), error))?;
    Ok(made.metadata.name.clone())
}

/// `syncPod`.
fn sync_pod(key: &ObjectKey, listers: &Informers, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(pod) = listers.get::<Pod>(key).filter(|pod| !pod.is_deleting()) else { return Ok(()) };
    let mut names = Vec::new();
    for reference in claim::references(pod) {
        match handle_claim(pod, reference, listers, client) {
            Ok(name) => names.extend(name.map(|name| json!({ "name": reference.name, "resourceClaimName": name }))),
            Err(Trouble::Client(_, error @ ClientError::Throttled(_))) => return Err(error),
            Err(trouble) => {
                let message = format!("PodResourceClaim {}: {}", reference.name, trouble.message());
                client.event(&**pod, EventType::Warning, "FailedResourceClaimCreation", &message);
                return Err(match trouble {
                    Trouble::Client(_, error) => error,
                    Trouble::Missing(why) => ClientError::Api(crate::machinery::status::Status::internal(&why)),
                });
            }
        }
    }
    if !names.is_empty() {
        tell_pod(pod, names, client)?;
    }
    if node_name(pod).is_empty() {
        // The scheduler reserves.
        return Ok(());
    }
    for reference in claim::references(pod) {
        let Ok(Some((name, must_be_own))) = claim::name(pod, reference) else { continue };
        let Some(claim) = found(listers, Kind::ResourceClaim, &ObjectKey::new(pod.namespace(), name)) else {
            return Ok(());
        };
        let is_other = must_be_own && claim::check_is_for_pod(pod, claim).is_err();
        if !is_other && needs_reservation(claim, pod) {
            client.because(Why::new("Pod {} uses the claim {}.", [pod.name().to_owned(), name.to_owned()]));
            let mut claim = Unstructured::clone(claim);
            claim::reserve_for(&mut claim, pod);
            client.update_unstructured(claim, Some(Subresource::Status))?;
        }
    }
    Ok(())
}

/// Tells a pod the names of the claims that were made for it.
fn tell_pod(pod: &Pod, names: Vec<Value>, client: &mut Client<'_>) -> Result<(), ClientError> {
    let patch = Patch::Apply(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": pod.name(), "namespace": pod.namespace() },
        "status": { "resourceClaimStatuses": names },
    }));
    let field_manager = Some(Name::from(FIELD_MANAGER));
    let options = WriteOptions { field_manager, force: true, ..WriteOptions::default() };
    let target = Target::object(Kind::Pod, &pod.key()).below(Subresource::Status);
    client.request(target, Verb::Patch { patch, options }).map(|_| ())
}

/// Whether a claim may still be used by one for whom it is reserved.
fn is_valid(
    consumer: &Value,
    namespace: &str,
    listers: &Informers,
    client: &mut Client<'_>,
) -> Result<bool, ClientError> {
    let key = ObjectKey::new(namespace, claim::text(consumer, "name"));
    let is_it = |pod: &Pod| consumer["uid"] == pod.uid();
    if let Some(pod) = listers.get::<Pod>(&key) {
        return Ok(is_it(pod) && !is_done(pod));
    }
    // The cache may not know of it yet.
    match client.get::<Pod>(&key) {
        Ok(pod) => Ok(is_it(&pod)),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

fn has_finalizer(claim: &Unstructured) -> bool {
    claim.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER)
}

/// Nothing keeps the claim from going any more.
fn remove_finalizer(claim: &Unstructured, client: &mut Client<'_>) -> Result<(), ClientError> {
    let mut claim = claim.clone();
    claim.metadata.finalizers.iter_mut().for_each(|all| all.retain(|finalizer| finalizer != FINALIZER));
    client.update_unstructured(claim, None).map(|_| ())
}

/// `syncClaim`.
fn sync_claim(key: &ObjectKey, listers: &Informers, client: &mut Client<'_>) -> Result<(), ClientError> {
    let Some(claim) = found(listers, Kind::ResourceClaim, key) else { return Ok(()) };
    let reserved = claim::reserved_for(claim);
    let mut valid = Vec::new();
    for consumer in reserved {
        if is_valid(consumer, &key.namespace, listers, client)? {
            valid.push(consumer.clone());
        }
    }
    if valid.len() < reserved.len() {
        client.because(Why::new("Who used the claim {} is done.", [key.name.to_string()]));
        release(claim, &valid, client)?;
    } else if has_finalizer(claim) && claim.metadata.deletion_timestamp.is_some() && valid.is_empty() {
        client.because(Why::new("Nobody uses the claim {} any more.", [key.name.to_string()]));
        let mut claim = Arc::clone(claim);
        if claim::allocation(&claim).is_some() {
            let mut changed = Unstructured::clone(&claim);
            claim::status_mut(&mut changed).shift_remove("allocation");
            claim = client.update_unstructured(changed, Some(Subresource::Status))?;
        }
        remove_finalizer(&claim, client)?;
    }
    if valid.is_empty() { delete_unused(claim, listers, client) } else { Ok(()) }
}

/// Takes a claim back from those who are done with it; when nobody is left, its devices are free again.
fn release(claim: &Unstructured, valid: &[Value], client: &mut Client<'_>) -> Result<(), ClientError> {
    let mut changed = claim.clone();
    let is_protected = has_finalizer(claim);
    let status = claim::status_mut(&mut changed);
    if valid.is_empty() {
        status.shift_remove("reservedFor");
        if is_protected {
            status.shift_remove("allocation");
            status.shift_remove("devices");
        }
    } else {
        status.insert("reservedFor".to_owned(), valid.to_vec().into());
    }
    let written = client.update_unstructured(changed, Some(Subresource::Status))?;
    if has_finalizer(&written) && claim::allocation(&written).is_none() {
        remove_finalizer(&written, client)?;
    }
    Ok(())
}

/// A claim that was made for a pod goes when the pod will not run any more, even if the pod stays for a while.
fn delete_unused(claim: &Unstructured, listers: &Informers, client: &mut Client<'_>) -> Result<(), ClientError> {
    let is_pod = |owner: &&OwnerReference| owner.api_version == "v1" && owner.kind == "Pod";
    let Some(owner) = controller_of(&claim.metadata).filter(is_pod) else { return Ok(()) };
    let key = ObjectKey::of(&claim.metadata);
    let Some(pod) = listers.get::<Pod>(&ObjectKey::new(&*key.namespace, owner.name.as_str())) else { return Ok(()) };
    if pod.uid() == owner.uid && !is_done(pod) {
        return Ok(());
    }
    client.because(Why::new("Pod {} is done with the claim that was made for it.", [owner.name.clone()]));
    match client.delete(Kind::ResourceClaim, &key, DeleteOptions::default()) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

impl Controller for ResourceClaimController {
    fn name(&self) -> &'static str {
        "resource_claim"
    }

    fn account(&self) -> &'static str {
        "resource-claim-controller"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        [Kind::ResourceClaimTemplate, Kind::ResourceClaim, Kind::Pod].map(WatchSpec::all).to_vec()
    }

    fn on_event(&mut self, event: &InformerEvent, listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::Pod {
            let has_claims = |pod: &Pod| !claim::references(pod).is_empty() || claim::extended_name(pod).is_some();
            if let Some(pod) = event.newest::<Pod>().filter(|pod| has_claims(pod)) {
                enqueue_pod(pod, event.after.is_none(), listers, queue);
            }
        } else if event.kind == Kind::ResourceClaim {
            let (namespace, name) = (&*event.key.namespace, &*event.key.name);
            if event.after.is_some() {
                queue.add(key_of(CLAIM_PREFIX, namespace, name));
            }
            let uses = |pod: &&Arc<Pod>| {
                claim::references(pod)
                    .iter()
                    .any(|it| claim::name(pod, it).is_ok_and(|named| named.is_some_and(|it| it.0 == name)))
            };
            listers.list_in::<Pod>(namespace).filter(uses).for_each(|pod| enqueue_pod(pod, false, listers, queue));
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let of = |name: &str| ObjectKey::new(&*key.namespace, name);
        if let Some(name) = key.name.strip_prefix(POD_PREFIX) {
            sync_pod(&of(name), listers, client)?;
        } else if let Some(name) = key.name.strip_prefix(CLAIM_PREFIX) {
            sync_claim(&of(name), listers, client)?;
        }
        Ok(Requeue::Forget)
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_in_proportion() {
        assert_eq!(generate_name("web", "gpu"), "web-gpu-");
        let name = generate_name(&"p".repeat(80), &"c".repeat(40));
        assert_eq!(name, format!("{}-{}", "p".repeat(37), "c".repeat(18)));
    }
}
