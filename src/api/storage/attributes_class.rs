//! VolumeAttributesClasses, which have no type of their own. Follows `ValidateVolumeAttributesClass` and
//! `printVolumeAttributesClass`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{forbid_update, says_true, validate_parameters, validate_provisioner};
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of};
use crate::api::unstructured::Unstructured;
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// The driver that knows what the class means.
#[must_use]
pub fn driver_name(class: &Unstructured) -> &str {
    class.fields.get("driverName").and_then(Value::as_str).unwrap_or("")
}

fn parameters(class: &Unstructured) -> BTreeMap<String, String> {
    let parameters = class.fields.get("parameters").and_then(Value::as_object).into_iter().flatten();
    parameters.map(|(key, value)| (key.clone(), value.as_str().unwrap_or("").to_owned())).collect()
}

/// `ValidateVolumeAttributesClass`.
pub(crate) fn validate(class: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&class.metadata, false, names::is_dns1123_subdomain);
    validate_provisioner(&mut errors, &Path::new("driverName"), driver_name(class));
    validate_parameters(&mut errors, &Path::new("parameters"), &parameters(class), false);
    errors
}

/// `ValidateVolumeAttributesClassUpdate`.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured) -> ErrorList {
    let mut errors = validate(new);
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    forbid_update(&mut errors, "driverName", driver_name(new) != driver_name(old));
    forbid_update(&mut errors, "parameters", parameters(new) != parameters(old));
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] =
    &[NAME, ColumnDefinition::text("DriverName", "Name of the CSI driver"), AGE];

pub(crate) fn row(class: &Unstructured, now: Time) -> Vec<Value> {
    let mark =
        if says_true(&class.metadata, &["storageclass.kubernetes.io/is-default-class"]) { " (default)" } else { "" };
    let name = class.metadata.name.as_deref().unwrap_or("");
    vec![format!("{name}{mark}").into(), driver_name(class).into(), age_of(&class.metadata, now)]
}
