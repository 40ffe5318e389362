//! What may be wrong with what drivers tell of devices: `validateResourceSliceSpec`.

use serde_json::Value;

use super::claim::{items, text};
use super::validation::{EFFECTS, each, selector, validate_driver, validate_name, validate_pool_name};
use crate::api::check::{self, IMMUTABLE, invalid_each};
use crate::machinery::cel::Semver;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// `ResourceSliceMaxDevices`.
const DEVICES_MAX: usize = 128;
/// `ResourceSliceMaxDevicesWithAdvancedFeatures`: with taints or counters.
const ADVANCED_DEVICES_MAX: usize = 64;
/// `ResourceSliceMaxAttributesAndCapacitiesPerDevice`.
const ATTRIBUTES_MAX: usize = 32;
/// `DeviceAttributeMaxValueLength`.
const VALUE_MAX: usize = 64;
/// `DeviceTaintsMaxLength`.
const TAINTS_MAX: usize = 16;
/// `ResourceSliceMaxCounterSets`.
const COUNTER_SETS_MAX: usize = 8;
/// `ResourceSliceMaxDeviceCounterConsumptionsPerDevice`.
const CONSUMPTIONS_MAX: usize = 2;

fn name_of(item: &Value) -> &str {
    text(item, "name")
}

/// Everything that is wrong with a slice; `old` is what it was, at an update.
pub(super) fn validate(errors: &mut ErrorList, path: &Path, spec: &Value, old: Option<&Value>) {
    validate_driver(errors, &path.child("driver"), text(spec, "driver"));
    let (at, pool) = (path.child("pool"), &spec["pool"]);
    validate_pool_name(errors, &at.child("name"), name_of(pool));
    let count = pool["resourceSliceCount"].as_i64().unwrap_or(0);
    if count <= 0 {
        errors.push(FieldError::invalid(&at.child("resourceSliceCount"), count, "must be greater than zero"));
    }
    let generation = pool["generation"].as_i64().unwrap_or(0);
    if generation < 0 {
        let why = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(&at.child("generation"), generation, why));
    }
    if let Some(old) = old {
        let fixed = [
            (at.child("name"), &pool["name"], &old["pool"]["name"]),
            (path.child("driver"), &spec["driver"], &old["driver"]),
            (path.child("nodeName"), &spec["nodeName"], &old["nodeName"]),
        ];
        for (path, new, _) in fixed.into_iter().filter(|(_, new, old)| new != old) {
            errors.push(FieldError::invalid(&path, new.clone(), IMMUTABLE));
        }
    }
    validate_place(errors, path, spec);
    if spec["sharedCounters"].is_array() && spec["devices"].is_array() {
        errors.push(FieldError::invalid(path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let devices = items(spec, "devices");
    let is_advanced =
        |device: &Value| !items(device, "taints").is_empty() || !items(device, "consumesCounters").is_empty();
    let most = if devices.iter().any(is_advanced) { ADVANCED_DEVICES_MAX } else { DEVICES_MAX };
    each(errors, &path.child("devices"), devices, most, Some(&name_of), |errors, path, device| {
        validate_device(errors, path, device, spec["perDeviceNodeSelection"] == true);
    });
    let (at, sets) = (path.child("sharedCounters"), items(spec, "sharedCounters"));
    each(errors, &at, sets, COUNTER_SETS_MAX, Some(&name_of), |errors, path, set| {
        validate_counters(errors, path, set, "name");
    });
}

/// The ways to say where devices are, of which one is taken.
fn validate_place(errors: &mut ErrorList, path: &Path, spec: &Value) {
    let mut set = Vec::new();
    match spec["nodeName"].as_str() {
        Some("") => {
            let why = "must be either unset or set to a non-empty string";
            errors.push(FieldError::invalid(&path.child("nodeName"), "", why));
        }
        Some(name) => {
            set.push("`nodeName`");
            check::dns_subdomain(errors, &path.child("nodeName"), name);
        }
        None => {}
    }
    if spec["nodeSelector"].is_object() {
        set.push("`nodeSelector`");
        let at = path.child("nodeSelector");
        selector(errors, &at, &spec["nodeSelector"]);
        if items(&spec["nodeSelector"], "nodeSelectorTerms").len() != 1 {
            let terms = spec["nodeSelector"]["nodeSelectorTerms"].clone();
            let why = "must have exactly one node selector term";
            errors.push(FieldError::invalid(&at.child("nodeSelectorTerms"), terms, why));
        }
    }
    for (field, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        match spec[field].as_bool() {
            Some(true) => set.push(shown),
            Some(false) => {
                errors.push(FieldError::invalid(&path.child(field), false, "must be either unset or set to true"));
            }
            None => {}
        }
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => errors.push(FieldError::required(path, why)),
        1 => {}
        _ => {
            let why = format!("{why}, but multiple fields are set");
            errors.push(FieldError::invalid(path, format!("{{{}}}", set.join(", ")), why));
        }
    }
}

/// `validateDevice`.
fn validate_device(errors: &mut ErrorList, path: &Path, device: &Value, is_placed: bool) {
    check::dns_label(errors, &path.child("name"), name_of(device));
    let length = |field: &str| device[field].as_object().map_or(0, serde_json::Map::len);
    let total = length("attributes") + length("capacity");
    if total > ATTRIBUTES_MAX {
        let why = format!("the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}");
        errors.push(FieldError::invalid(path, total, why));
    }
    let at = path.child("attributes");
    for (name, attribute) in device["attributes"].as_object().into_iter().flatten() {
        validate_name(errors, &at, name);
        validate_attribute(errors, &at.key(name), attribute);
    }
    let at = path.child("capacity");
    let is_shared = device["allowMultipleAllocations"] == true;
    for (name, capacity) in device["capacity"].as_object().into_iter().flatten() {
        validate_name(errors, &at, name);
        if capacity["requestPolicy"].is_object() {
            let at = at.key(name).child("requestPolicy");
            if is_shared {
                validate_policy(errors, &at, &capacity["requestPolicy"]);
            } else {
                errors.push(FieldError::forbidden(&at, "allowMultipleAllocations must be true"));
            }
        }
    }
    each(errors, &path.child("taints"), items(device, "taints"), TAINTS_MAX, None, |errors, path, taint| {
        check::qualified_name(errors, &path.child("key"), text(taint, "key"));
        let value = text(taint, "value");
        invalid_each(errors, &path.child("value"), value, names::is_label_value(value));
        check::required_supported(errors, &path.child("effect"), text(taint, "effect"), &EFFECTS);
    });
    let (at, set) = (path.child("consumesCounters"), |consumption| text(consumption, "counterSet"));
    each(errors, &at, items(device, "consumesCounters"), CONSUMPTIONS_MAX, Some(&set), |errors, path, consumption| {
        validate_counters(errors, path, consumption, "counterSet");
    });
    validate_device_place(errors, path, device, is_placed);
}

fn validate_device_place(errors: &mut ErrorList, path: &Path, device: &Value, is_placed: bool) {
    let fields = ["nodeName", "nodeSelector", "allNodes"];
    let set: Vec<String> =
        fields.iter().filter(|field| !device[**field].is_null()).map(|field| format!("`{field}`")).collect();
    let why = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set \
               to true in the ResourceSlice spec";
    match (is_placed, set.len()) {
        (true, 0) => errors.push(FieldError::required(path, why)),
        (true, 1) | (false, 0) => {}
        (true, _) => errors.push(FieldError::invalid(path, format!("{{{}}}", set.join(", ")), why)),
        (false, _) => {
            let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to \
                       true in the ResourceSlice spec";
            errors.push(FieldError::invalid(path, Value::Null, why));
        }
    }
}

/// `validateDeviceAttribute`.
fn validate_attribute(errors: &mut ErrorList, path: &Path, attribute: &Value) {
    for field in ["string", "version"] {
        let Some(value) = attribute[field].as_str() else { continue };
        let at = path.child(field);
        if field == "version" && Semver::parse(value).is_none() {
            let why = "must be a string compatible with semver.org spec 2.0.0";
            errors.push(FieldError::invalid(&at, value, why));
        }
        if value.len() > VALUE_MAX {
            errors.push(FieldError::too_long(&at, VALUE_MAX));
        }
    }
    let given = ["bool", "int", "string", "version"].iter().filter(|field| !attribute[**field].is_null()).count();
    match given {
        0 => errors.push(FieldError::invalid(path, "", "exactly one value must be specified")),
        1 => {}
        _ => errors.push(FieldError::invalid(path, attribute.clone(), "exactly one value must be specified")),
    }
}

/// `validateCounterSet`, `validateDeviceCounterConsumption`.
fn validate_counters(errors: &mut ErrorList, path: &Path, set: &Value, name: &str) {
    let given = text(set, name);
    if given.is_empty() {
        errors.push(FieldError::required(&path.child(name), ""));
    } else {
        check::dns_label(errors, &path.child(name), given);
    }
    let at = path.child("counters");
    let counters = set["counters"].as_object().filter(|counters| !counters.is_empty());
    let Some(counters) = counters else { return errors.push(FieldError::required(&at, "")) };
    counters.keys().for_each(|name| check::dns_label(errors, &at, name));
}

/// `validateRequestPolicy`.
fn validate_policy(errors: &mut ErrorList, path: &Path, policy: &Value) {
    let (values, range) = (items(policy, "validValues"), &policy["validRange"]);
    if !values.is_empty() && range.is_object() {
        let why =
            "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time";
        return errors.push(FieldError::forbidden(path, why));
    }
    for (is_given, field) in [(!values.is_empty(), "validValues"), (range.is_object(), "validRange")] {
        if is_given && policy["default"].is_null() {
            let why = format!("required when {field} is defined");
            errors.push(FieldError::required(&path.child("default"), why));
        }
    }
    let quantity = |value: &Value| Quantity::parse_json(value).ok();
    for (index, pair) in values.windows(2).enumerate() {
        if quantity(&pair[0]) > quantity(&pair[1]) {
            let at = path.child("validValues").index(index + 1);
            errors.push(FieldError::invalid(&at, pair[1].clone(), "values must be sorted in ascending order"));
        }
    }
}
