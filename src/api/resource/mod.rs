//! The resource group: devices, classes of them, and claims for some.
//!
//! The kinds stay JSON; who reads them does so through the small views of [`claim`] and [`device`].
//!
//! Follows `pkg/apis/resource/v1/defaults.go` and the printers of `pkg/printers/internalversion/printers.go`.

pub mod claim;
pub mod device;
mod slices;
mod validation;

use serde_json::{Map, Value};

use super::kind::Kind;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use super::unstructured::Unstructured;
use crate::machinery::time::Time;

pub(crate) use validation::{validate, validate_update};

/// Whether a kind is one of the group's.
pub(crate) fn has(kind: Kind) -> bool {
    kind.info().group == "resource.k8s.io"
}

/// The defaults of the group's `v1/defaults.go`.
pub(crate) fn default(object: &mut Unstructured) {
    let spec = object.fields.get_mut("spec");
    let claim = match object.kind {
        Kind::ResourceClaim => spec,
        Kind::ResourceClaimTemplate => spec.and_then(|spec| spec.get_mut("spec")),
        _ => None,
    };
    let requests = claim.and_then(|claim| claim.pointer_mut("/devices/requests")).and_then(Value::as_array_mut);
    for request in requests.into_iter().flatten().filter_map(Value::as_object_mut) {
        request.get_mut("exactly").and_then(Value::as_object_mut).into_iter().for_each(default_request);
        let others = request.get_mut("firstAvailable").and_then(Value::as_array_mut);
        others.into_iter().flatten().filter_map(Value::as_object_mut).for_each(default_request);
    }
}

/// `SetDefaults_DeviceTaint`: since when a device has a taint, if whoever tells of it does not say.
pub(crate) fn stamp(slice: &mut Unstructured, now: Time) {
    let devices = slice.fields.get_mut("spec").and_then(|spec| spec.get_mut("devices")).and_then(Value::as_array_mut);
    let taints = devices.into_iter().flatten().filter_map(|device| device.get_mut("taints")?.as_array_mut());
    for taint in taints.flatten().filter_map(Value::as_object_mut) {
        taint.entry("timeAdded").or_insert_with(|| now.to_rfc3339().into());
    }
}

/// `SetDefaults_ExactDeviceRequest`, `SetDefaults_DeviceSubRequest`.
fn default_request(request: &mut Map<String, Value>) {
    let mode = request.get("allocationMode").and_then(Value::as_str).unwrap_or("").to_owned();
    if mode.is_empty() {
        request.insert("allocationMode".to_owned(), "ExactCount".into());
    }
    if matches!(mode.as_str(), "" | "ExactCount") && request.get("count").and_then(Value::as_i64).unwrap_or(0) == 0 {
        request.insert("count".to_owned(), 1.into());
    }
}

const CLAIM_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("State", "A summary of the current state (allocated, pending, reserved, etc.)."),
    AGE,
];
const SLICE_COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Node", "The node with which this ResourceSlice is associated."),
    ColumnDefinition::text("Driver", "Driver identifies the DRA driver providing the capacity information."),
    ColumnDefinition::text("Pool", "Pool describes the pool that this ResourceSlice belongs to."),
    AGE,
];

/// The columns of the group's kinds.
pub(crate) const fn columns(kind: Kind) -> &'static [ColumnDefinition] {
    match kind {
        Kind::ResourceClaim => CLAIM_COLUMNS,
        Kind::ResourceSlice => SLICE_COLUMNS,
        _ => &[NAME, AGE],
    }
}

pub(crate) fn row(object: &Unstructured, now: Time) -> Vec<Value> {
    let (name, age) = (name_of(&object.metadata), age_of(&object.metadata, now));
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let text = |value: &Value| Value::from(value.as_str().unwrap_or(""));
    match object.kind {
        Kind::ResourceClaim => vec![name, state(object).into(), age],
        Kind::ResourceSlice => {
            vec![name, text(&spec["nodeName"]), text(&spec["driver"]), text(&spec["pool"]["name"]), age]
        }
        _ => vec![name, age],
    }
}

/// `resourceClaimState`.
fn state(claim: &Unstructured) -> String {
    let missing = Value::Null;
    let status = claim.fields.get("status").unwrap_or(&missing);
    let mut states = Vec::new();
    if claim.metadata.deletion_timestamp.is_some() {
        states.push("deleted");
    }
    if !status["allocation"].is_object() {
        if states.is_empty() {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        if status["reservedFor"].as_array().is_some_and(|consumers| !consumers.is_empty()) {
            states.push("reserved");
        }
    }
    states.join(",")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_for_one_device_unless_it_says_more() {
        let fields = json!({ "spec": { "devices": { "requests": [
            { "name": "a", "exactly": { "deviceClassName": "x" } },
            { "name": "b", "firstAvailable": [{ "name": "c", "deviceClassName": "x", "allocationMode": "All" }] },
        ] } } });
        let fields = fields.as_object().cloned().unwrap_or_default();
        let mut claim = Unstructured { kind: Kind::ResourceClaim, metadata: ObjectMeta::default(), fields };
        default(&mut claim);
        let requests = &claim.fields["spec"]["devices"]["requests"];
        assert_eq!(
            (&requests[0]["exactly"]["count"], &requests[0]["exactly"]["allocationMode"]),
            (&json!(1), &json!("ExactCount"))
        );
        assert_eq!(requests[1]["firstAvailable"][0].get("count"), None);
        assert_eq!(state(&claim), "pending");
    }
}
