//! The claim behind a pod's reference to one, and for whom a claim is reserved.
//!
//! Follows `k8s.io/dynamic-resource-allocation/resourceclaim`.

use k8s_openapi::api::core::v1::{Pod, PodResourceClaim};
use serde_json::Value;

use crate::api::unstructured::Unstructured;
use crate::api::{Resource as _, controller_of};

/// What keeps an allocated claim from going while its devices are in use: `resourceapi.Finalizer`.
pub const FINALIZER: &str = "resource.kubernetes.io/delete-protection";
/// Which of its pod's references a claim was made for: `podResourceClaimAnnotation`.
pub const POD_CLAIM_NAME: &str = "resource.kubernetes.io/pod-claim-name";
/// Says of a claim that it was made for what its pod asks for as a resource: `ExtendedResourceClaimAnnotation`.
pub const EXTENDED_RESOURCE_CLAIM: &str = "resource.kubernetes.io/extended-resource-claim";
/// Before the name of a class, the name of a resource that it stands behind: `ResourceDeviceClassPrefix`.
pub const DEVICE_CLASS_PREFIX: &str = "deviceclass.resource.kubernetes.io/";
/// `ResourceClaimReservedForMaxSize`.
pub const CONSUMERS_MAX: usize = 256;

/// A pod's references to claims.
#[must_use]
pub fn references(pod: &Pod) -> &[PodResourceClaim] {
    pod.spec.as_ref().and_then(|spec| spec.resource_claims.as_deref()).unwrap_or_default()
}

/// The name of the claim that a reference means, and whether the claim must be the pod's own; nothing when the reference
/// needs no claim. `Name`.
///
/// # Errors
/// The claim was not made yet.
pub fn name<'a>(pod: &'a Pod, reference: &'a PodResourceClaim) -> Result<Option<(&'a str, bool)>, String> {
    if let Some(name) = &reference.resource_claim_name {
        return Ok(Some((name, false)));
    }
    let statuses = pod.status.iter().flat_map(|status| status.resource_claim_statuses.iter().flatten());
    match statuses.into_iter().find(|status| status.name == reference.name) {
        Some(status) => Ok(status.resource_claim_name.as_deref().map(|name| (name, true))),
        None => Err(format!("pod \"{}/{}\": ResourceClaim not created yet", pod.namespace(), pod.name())),
    }
}

/// Whether a claim was made for a pod: `IsForPod`.
///
/// # Errors
/// It was not.
pub fn check_is_for_pod(pod: &Pod, claim: &Unstructured) -> Result<(), String> {
    if controller_of(&claim.metadata).is_some_and(|owner| owner.uid == pod.uid()) {
        return Ok(());
    }
    let (namespace, name) = (pod.namespace(), pod.name());
    let own = claim.metadata.name.as_deref().unwrap_or("");
    Err(format!("ResourceClaim {namespace}/{own} was not created for pod {namespace}/{name} (pod is not owner)"))
}

/// Whether a claim was made for what its pod asks for as a resource.
#[must_use]
pub fn is_for_extended_resources(claim: &Unstructured) -> bool {
    let annotation = claim.metadata.annotations.as_ref().and_then(|all| all.get(EXTENDED_RESOURCE_CLAIM));
    annotation.is_some_and(|value| value == "true")
}

/// The claim that was made for what a pod asks for as a resource, once it was.
#[must_use]
pub fn extended_name(pod: &Pod) -> Option<&str> {
    let status = pod.status.as_ref()?.extended_resource_claim_status.as_ref()?;
    Some(&status.resource_claim_name)
}

/// A claim's status.
#[must_use]
pub fn status(claim: &Unstructured) -> &Value {
    claim.fields.get("status").unwrap_or(&Value::Null)
}

/// What a claim was given, if it was.
#[must_use]
pub fn allocation(claim: &Unstructured) -> Option<&Value> {
    Some(&status(claim)["allocation"]).filter(|allocation| allocation.is_object())
}

/// Who may use a claim now.
#[must_use]
pub fn reserved_for(claim: &Unstructured) -> &[Value] {
    items(status(claim), "reservedFor")
}

/// Whether a claim is reserved for who has this uid: `IsReservedForPod`.
#[must_use]
pub fn is_reserved_for(claim: &Unstructured, uid: &str) -> bool {
    reserved_for(claim).iter().any(|consumer| consumer["uid"] == uid)
}

/// What a claim asks for.
#[must_use]
pub fn requests(claim: &Unstructured) -> &[Value] {
    items(&spec(claim)["devices"], "requests")
}

/// An object's spec.
#[must_use]
pub fn spec(object: &Unstructured) -> &Value {
    object.fields.get("spec").unwrap_or(&Value::Null)
}

/// The list in a field.
#[must_use]
pub fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// The text in a field.
#[must_use]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// Adds a pod to those for whom a claim is reserved.
pub fn reserve_for(claim: &mut Unstructured, pod: &Pod) {
    let consumer = serde_json::json!({ "resource": "pods", "name": pod.name(), "uid": pod.uid() });
    let consumers = status_mut(claim).entry("reservedFor").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(consumers) = consumers {
        consumers.push(consumer);
    }
}

/// A claim's status, to be changed.
pub fn status_mut(claim: &mut Unstructured) -> &mut serde_json::Map<String, Value> {
    let status = claim.fields.entry("status").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if !status.is_object() {
        *status = Value::Object(serde_json::Map::new());
    }
    match status {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}
