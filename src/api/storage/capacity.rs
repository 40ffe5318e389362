//! CSIStorageCapacities, which have no type of their own. Follows `ValidateCSIStorageCapacity` and
//! `printCSIStorageCapacity`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::api::check::{self, IMMUTABLE, NOT_NEGATIVE, list, selector_json};
use crate::api::core::pod::warnings::deprecated_node_label;
use crate::api::meta;
use crate::api::table::{ColumnDefinition, NAME, name_of};
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::quantity::Quantity;
use crate::machinery::{json, names};

fn topology(capacity: &Unstructured) -> Option<LabelSelector> {
    // Its shape was checked when it was decoded.
    json::from_value(capacity.fields.get("nodeTopology")?).ok()
}

fn class(capacity: &Unstructured) -> &str {
    capacity.fields.get("storageClassName").and_then(Value::as_str).unwrap_or("")
}

/// `ValidateCSIStorageCapacity`.
pub(crate) fn validate(capacity: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&capacity.metadata, true, names::is_dns1123_subdomain);
    check::label_selector(&mut errors, &Path::new("nodeTopology"), topology(capacity).as_ref());
    check::dns_subdomain(&mut errors, &Path::new("storageClassName"), class(capacity));
    let amount = capacity.fields.get("capacity").and_then(|value| Quantity::parse_json(value).ok());
    if let Some(amount) = amount.filter(|amount| amount.cmp_int(0).is_lt()) {
        errors.push(FieldError::invalid(&Path::new("capacity"), amount.to_string(), NOT_NEGATIVE));
    }
    errors
}

/// `ValidateCSIStorageCapacityUpdate`.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let nodes = topology(new);
    if nodes != topology(old) {
        errors.push(FieldError::invalid(&Path::new("nodeTopology"), selector_json(nodes.as_ref()), IMMUTABLE));
    }
    if class(new) != class(old) {
        errors.push(FieldError::invalid(&Path::new("storageClassName"), class(new), IMMUTABLE));
    }
    errors
}

/// `GetWarningsForCSIStorageCapacity`: labels of nodes that were replaced.
pub(crate) fn warnings(capacity: &Unstructured) -> Vec<String> {
    let Some(selector) = topology(capacity) else { return Vec::new() };
    let mut warnings = Vec::new();
    for (index, expression) in list(&selector.match_expressions).iter().enumerate() {
        if let Some(message) = deprecated_node_label(&expression.key) {
            warnings.push(format!("nodeTopology.matchExpressions[{index}].key: {} is {message}", expression.key));
        }
    }
    for key in selector.match_labels.iter().flatten().map(|(key, _)| key) {
        if let Some(message) = deprecated_node_label(key) {
            warnings.push(format!("nodeTopology.matchLabels.{key}: {message}"));
        }
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "StorageClassName",
        "storageClassName represents the name of the StorageClass that the reported capacity applies to. It must meet \
         the same requirements as the name of a StorageClass object (non-empty, DNS subdomain). If that object no \
         longer exists, the CSIStorageCapacity object is obsolete and should be removed by its creator. This field is \
         immutable.",
    ),
    ColumnDefinition::text(
        "Capacity",
        "capacity is the value reported by the CSI driver in its GetCapacityResponse for a GetCapacityRequest with \
         topology and parameters that match the previous fields.",
    ),
];

pub(crate) fn row(capacity: &Unstructured) -> Vec<Value> {
    let amount = capacity.fields.get("capacity").and_then(Value::as_str).unwrap_or("<unset>");
    vec![name_of(&capacity.metadata), class(capacity).into(), amount.into()]
}
