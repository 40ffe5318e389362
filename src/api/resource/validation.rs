//! What may be wrong with claims, templates of claims, and classes.
//!
//! Follows `pkg/apis/resource/validation/validation.go`; what drivers tell of devices is in [`super::slices`].

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::NodeSelector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::claim::{CONSUMERS_MAX, items, reserved_for, spec, status, text};
use super::{device, slices};
use crate::api::check::{self, IMMUTABLE, invalid_each};
use crate::api::core::pod::placement::validate_node_selector;
use crate::api::kind::{Kind, Subresource};
use crate::api::unstructured::Unstructured;
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::{json, names};

/// `DeviceRequestsMaxSize`, `DeviceConstraintsMaxSize`, `DeviceConfigMaxSize`, `DeviceSelectorsMaxSize` and
/// `AllocationResultsMaxSize`.
const ITEMS_MAX: usize = 32;
/// `FirstAvailableDeviceRequestMaxSize`.
const ALTERNATIVES_MAX: usize = 8;
/// `CELSelectorExpressionMaxLength` and `OpaqueParametersMaxLength`.
const TEXT_MAX: usize = 10 * 1024;
/// `DeviceMaxIDLength`.
const IDENTIFIER_MAX: usize = 32;
/// The longest name of a driver.
const DRIVER_MAX: usize = 63;
/// `PoolNameMaxLength`.
const POOL_NAME_MAX: usize = 253;
/// What a taint can do.
pub(super) const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];

/// The names of a claim's requests and of their alternatives.
type RequestNames<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Everything that is wrong with a new object of the group.
pub(crate) fn validate(object: &Unstructured) -> ErrorList {
    let namespaced = object.kind.info().namespaced;
    let mut errors = meta::validate(&object.metadata, namespaced, names::is_dns1123_subdomain);
    let (spec, path) = (spec(object), Path::new("spec"));
    match object.kind {
        Kind::ResourceClaim => validate_claim(&mut errors, &path, spec),
        Kind::ResourceClaimTemplate => {
            validate_template_metadata(&mut errors, &path.child("metadata"), &spec["metadata"]);
            validate_claim(&mut errors, &path.child("spec"), &spec["spec"]);
        }
        Kind::DeviceClass => validate_class(&mut errors, &path, spec, &Value::Null),
        _ => slices::validate(&mut errors, &path, spec, None),
    }
    errors
}

/// Everything that is wrong with an update.
pub(crate) fn validate_update(new: &Unstructured, old: &Unstructured, subresource: Option<Subresource>) -> ErrorList {
    let (mut errors, path) = (ErrorList::new(), Path::new("spec"));
    match new.kind {
        Kind::ResourceClaim if subresource.is_some() => validate_status(&mut errors, new, old),
        Kind::ResourceClaim => immutable(&mut errors, &path, "ResourceClaimSpec", spec(new), spec(old)),
        Kind::ResourceClaimTemplate => {
            immutable(&mut errors, &path, "ResourceClaimTemplateSpec", spec(new), spec(old));
        }
        Kind::DeviceClass => validate_class(&mut errors, &path, spec(new), spec(old)),
        _ => slices::validate(&mut errors, &path, spec(new), Some(spec(old))),
    }
    errors
}

fn immutable(errors: &mut ErrorList, path: &Path, ty: &str, new: &Value, old: &Value) {
    if new != old {
        errors.push(FieldError::invalid(path, internal::dump(ty, new), IMMUTABLE));
    }
}

/// `ValidateTemplateObjectMeta`.
fn validate_template_metadata(errors: &mut ErrorList, path: &Path, metadata: &Value) {
    let metadata: ObjectMeta = json::from_value(metadata).unwrap_or_default();
    meta::validate_annotations(errors, &path.child("annotations"), &metadata);
    check::labels(errors, &path.child("labels"), metadata.labels.as_ref());
}

/// `validateSlice` and `validateSet`: the items of a list one by one, unless they are too many; with `key`, none stands
/// twice.
pub(super) fn each<'a>(
    errors: &mut ErrorList,
    path: &Path,
    items: &'a [Value],
    most: usize,
    key: Option<&dyn Fn(&'a Value) -> &'a str>,
    mut check: impl FnMut(&mut ErrorList, &Path, &'a Value),
) {
    if items.len() > most {
        errors.push(FieldError::too_many(path, items.len(), most));
        return;
    }
    for (index, item) in items.iter().enumerate() {
        check(errors, &path.index(index), item);
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(key) = key.map(|key| key(item)).filter(|key| !seen.insert(*key)) {
            errors.push(FieldError::duplicate(&path.index(index), key));
        }
    }
}

fn name_of(item: &Value) -> &str {
    text(item, "name")
}

fn itself(item: &Value) -> &str {
    item.as_str().unwrap_or("")
}

fn gather_names(devices: &Value) -> RequestNames<'_> {
    let alternatives = |request| items(request, "firstAvailable").iter().map(name_of).collect();
    items(devices, "requests").iter().map(|request| (name_of(request), alternatives(request))).collect()
}

/// `validateDeviceClaim`.
fn validate_claim(errors: &mut ErrorList, path: &Path, spec: &Value) {
    let (path, devices) = (path.child("devices"), &spec["devices"]);
    let known = gather_names(devices);
    let requests = path.child("requests");
    each(errors, &requests, items(devices, "requests"), ITEMS_MAX, Some(&name_of), validate_request);
    let constraints = path.child("constraints");
    each(errors, &constraints, items(devices, "constraints"), ITEMS_MAX, None, |errors, path, constraint| {
        validate_references(errors, &path.child("requests"), constraint, &known);
        match (constraint["matchAttribute"].as_str(), constraint["distinctAttribute"].as_str()) {
            (Some(name), _) => validate_full_name(errors, &path.child("matchAttribute"), name),
            (None, Some(name)) => validate_full_name(errors, &path.child("distinctAttribute"), name),
            (None, None) => errors.push(FieldError::required(
                path,
                "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set",
            )),
        }
    });
    each(errors, &path.child("config"), items(devices, "config"), ITEMS_MAX, None, |errors, path, configuration| {
        validate_references(errors, &path.child("requests"), configuration, &known);
        validate_configuration(errors, path, configuration);
    });
}

/// `validateDeviceRequest`.
fn validate_request(errors: &mut ErrorList, path: &Path, request: &Value) {
    validate_request_name(errors, &path.child("name"), name_of(request));
    let (exactly, alternatives) = (&request["exactly"], items(request, "firstAvailable"));
    match (exactly.is_object(), !alternatives.is_empty()) {
        (false, false) => {
            errors.push(FieldError::required(path, "exactly one of `exactly` or `firstAvailable` is required"));
        }
        (true, true) => {
            let why = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(FieldError::invalid(path, Value::Null, why));
        }
        (true, false) => validate_asked(errors, &path.child("exactly"), exactly),
        (false, true) => {
            let path = path.child("firstAvailable");
            each(errors, &path, alternatives, ALTERNATIVES_MAX, Some(&name_of), |errors, path, alternative| {
                validate_request_name(errors, &path.child("name"), name_of(alternative));
                validate_asked(errors, path, alternative);
            });
        }
    }
}

fn validate_request_name(errors: &mut ErrorList, path: &Path, name: &str) {
    check::dns_label(errors, path, name);
}

/// `validateExactDeviceRequest`, `validateDeviceSubRequest`.
fn validate_asked(errors: &mut ErrorList, path: &Path, asked: &Value) {
    let class = text(asked, "deviceClassName");
    if class.is_empty() {
        errors.push(FieldError::required(&path.child("deviceClassName"), ""));
    } else {
        check::dns_subdomain(errors, &path.child("deviceClassName"), class);
    }
    validate_selectors(errors, &path.child("selectors"), items(asked, "selectors"), false);
    let count = asked["count"].as_i64().unwrap_or(0);
    match text(asked, "allocationMode") {
        "All" if count != 0 => {
            let why = "must not be specified when allocationMode is 'All'";
            errors.push(FieldError::invalid(&path.child("count"), count, why));
        }
        "ExactCount" if count <= 0 => {
            errors.push(FieldError::invalid(&path.child("count"), count, "must be greater than zero"));
        }
        "All" | "ExactCount" => {}
        other => {
            let at = path.child("allocationMode");
            errors.push(FieldError::not_supported(&at, other, &["All", "ExactCount"]));
        }
    }
    for (index, toleration) in items(asked, "tolerations").iter().enumerate() {
        validate_toleration(errors, &path.child("tolerations").index(index), toleration);
    }
}

/// `validateSelectorSlice`; what stands there already is not read again.
fn validate_selectors(errors: &mut ErrorList, path: &Path, selectors: &[Value], is_stored: bool) {
    each(errors, path, selectors, ITEMS_MAX, None, |errors, path, selector| {
        let cel = &selector["cel"];
        if !cel.is_object() {
            return errors.push(FieldError::required(&path.child("cel"), ""));
        }
        let (path, expression) = (path.child("cel").child("expression"), text(cel, "expression"));
        if is_stored {
            return;
        }
        if expression.len() > TEXT_MAX {
            errors.push(FieldError::too_long(&path, TEXT_MAX));
        } else if let Err(why) = device::compile(expression) {
            errors.push(FieldError::invalid(&path, expression, why));
        }
    });
}

/// `validateDeviceToleration`.
fn validate_toleration(errors: &mut ErrorList, path: &Path, toleration: &Value) {
    if !text(toleration, "key").is_empty() {
        check::qualified_name(errors, &path.child("key"), text(toleration, "key"));
    }
    let (at, value) = (path.child("value"), text(toleration, "value"));
    match text(toleration, "operator") {
        "Exists" if !value.is_empty() => {
            errors.push(FieldError::invalid(&at, value, "must be empty for operator `Exists`"));
        }
        "Equal" => invalid_each(errors, &at, value, names::is_label_value(value)),
        "Exists" => {}
        operator => check::required_supported(errors, &path.child("operator"), operator, &["Equal", "Exists"]),
    }
    if !text(toleration, "effect").is_empty() {
        check::supported(errors, &path.child("effect"), text(toleration, "effect"), &EFFECTS);
    }
}

/// References to requests by their names: `validateRequestNameRef`.
fn validate_references(errors: &mut ErrorList, path: &Path, from: &Value, known: &RequestNames<'_>) {
    each(errors, path, items(from, "requests"), ITEMS_MAX, Some(&itself), |errors, path, name| {
        validate_reference(errors, path, itself(name), known);
    });
}

fn validate_reference(errors: &mut ErrorList, path: &Path, name: &str, known: &RequestNames<'_>) {
    let why = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
    let segments: Vec<&str> = name.split('/').collect();
    let is_known = match segments[..] {
        [request] => known.contains_key(request),
        [request, alternative] => known.get(request).is_some_and(|all| all.contains(alternative)),
        _ => return errors.push(FieldError::invalid(path, name, why)),
    };
    segments.iter().for_each(|segment| validate_request_name(errors, path, segment));
    if !is_known {
        errors.push(FieldError::invalid(path, name, why));
    }
}

/// `validateDeviceConfiguration`.
fn validate_configuration(errors: &mut ErrorList, path: &Path, configuration: &Value) {
    let (path, opaque) = (path.child("opaque"), &configuration["opaque"]);
    if !opaque.is_object() {
        return errors.push(FieldError::required(&path, ""));
    }
    validate_driver(errors, &path.child("driver"), text(opaque, "driver"));
    let (at, parameters) = (path.child("parameters"), &opaque["parameters"]);
    if parameters.is_null() {
        errors.push(FieldError::required(&at, ""));
    } else if !parameters.is_object() {
        errors.push(FieldError::invalid(&at, "<value omitted>", "must be a valid JSON object"));
    } else if parameters.to_string().len() > TEXT_MAX {
        errors.push(FieldError::too_long(&at, TEXT_MAX));
    }
}

/// `ValidateCSIDriverName`.
pub(super) fn validate_driver(errors: &mut ErrorList, path: &Path, name: &str) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if name.len() > DRIVER_MAX {
        errors.push(FieldError::too_long(path, DRIVER_MAX));
    }
    invalid_each(errors, path, name, names::is_dns1123_subdomain(&name.to_lowercase()));
}

/// `validatePoolName`.
pub(super) fn validate_pool_name(errors: &mut ErrorList, path: &Path, name: &str) {
    if name.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    if name.len() > POOL_NAME_MAX {
        errors.push(FieldError::too_long(path, POOL_NAME_MAX));
    }
    name.split('/').for_each(|part| check::dns_subdomain(errors, path, part));
}

/// `validateQualifiedName`.
pub(super) fn validate_name(errors: &mut ErrorList, path: &Path, name: &str) {
    let identifier = |errors: &mut ErrorList, identifier: &str| {
        if identifier.len() > IDENTIFIER_MAX {
            errors.push(FieldError::too_long(path, IDENTIFIER_MAX));
        }
        invalid_each(errors, path, identifier, names::is_c_identifier(identifier));
    };
    match name.split('/').collect::<Vec<_>>()[..] {
        [own] => identifier(errors, own),
        [domain, own] => {
            if domain.is_empty() {
                errors.push(FieldError::invalid(path, "", "the domain must not be empty"));
            } else {
                validate_driver(errors, path, domain);
            }
            if own.is_empty() {
                errors.push(FieldError::invalid(path, "", "the name must not be empty"));
            } else {
                identifier(errors, own);
            }
        }
        _ => errors.push(FieldError::invalid(path, name, "must not contain more than one slash")),
    }
}

/// `validateFullyQualifiedName`.
fn validate_full_name(errors: &mut ErrorList, path: &Path, name: &str) {
    validate_name(errors, path, name);
    if !name.contains('/') {
        let why = "a fully qualified name must be a domain and a name separated by a slash";
        errors.push(FieldError::invalid(path, name, why));
    }
}

/// `validateDeviceClassSpec`.
fn validate_class(errors: &mut ErrorList, path: &Path, spec: &Value, old: &Value) {
    let is_stored = old.is_object() && spec["selectors"] == old["selectors"];
    validate_selectors(errors, &path.child("selectors"), items(spec, "selectors"), is_stored);
    let at = path.child("config");
    each(errors, &at, items(spec, "config"), ITEMS_MAX, None, |errors, path, configuration| {
        validate_configuration(errors, path, configuration);
    });
    if let Some(name) = spec["extendedResourceName"].as_str() {
        let is_extended = name.contains('/')
            && !name.split('/').next().is_some_and(|domain| domain.ends_with("kubernetes.io"))
            && !name.starts_with("requests.")
            && names::is_qualified_name(&format!("requests.{name}")).is_empty();
        if !is_extended {
            let at = path.child("extendedResourceName");
            errors.push(FieldError::invalid(&at, name, "must be a valid extended resource name"));
        }
    }
}

/// `validateResourceClaimStatusUpdate`.
fn validate_status(errors: &mut ErrorList, new: &Unstructured, old: &Unstructured) {
    let (path, known) = (Path::new("status"), gather_names(&spec(new)["devices"]));
    let at = path.child("reservedFor");
    let uid = |consumer| text(consumer, "uid");
    each(errors, &at, reserved_for(new), CONSUMERS_MAX, Some(&uid), |errors, path, consumer| {
        for field in ["resource", "name", "uid"] {
            check::required(errors, &path.child(field), text(consumer, field));
        }
    });
    let (allocation, before) = (&status(new)["allocation"], &status(old)["allocation"]);
    validate_device_statuses(errors, &path.child("devices"), status(new));
    if !reserved_for(new).is_empty() {
        if !allocation.is_object() {
            errors.push(FieldError::forbidden(&at, "may not be specified when `allocated` is not set"));
        } else if new.metadata.deletion_timestamp.is_some()
            && reserved_for(new).iter().any(|consumer| !reserved_for(old).contains(consumer))
        {
            let why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
            errors.push(FieldError::forbidden(&at, why));
        }
    }
    let at = path.child("allocation");
    match (before.is_object(), allocation.is_object()) {
        (true, true) if allocation != before => errors.push(FieldError::invalid(&at, allocation.clone(), IMMUTABLE)),
        (false, true) => validate_allocation(errors, &at, allocation, &known),
        _ => {}
    }
}

/// `validateDeviceStatus`: of allocated devices only.
fn validate_device_statuses(errors: &mut ErrorList, path: &Path, status: &Value) {
    let results = items(&status["allocation"]["devices"], "results");
    for (index, device) in items(status, "devices").iter().enumerate() {
        let path = path.index(index);
        validate_driver(errors, &path.child("driver"), text(device, "driver"));
        validate_pool_name(errors, &path.child("pool"), text(device, "pool"));
        check::dns_label(errors, &path.child("device"), text(device, "device"));
        let fields = ["driver", "pool", "device", "shareID"];
        if !results.iter().any(|result| fields.iter().all(|field| result[*field] == device[*field])) {
            let id = ["driver", "pool", "device"].map(|field| text(device, field)).join("/");
            errors.push(FieldError::invalid(&path, id, "must be an allocated device in the claim"));
        }
    }
}

/// `validateAllocationResult`.
fn validate_allocation(errors: &mut ErrorList, path: &Path, allocation: &Value, known: &RequestNames<'_>) {
    let devices = &allocation["devices"];
    let at = path.child("devices").child("results");
    each(errors, &at, items(devices, "results"), ITEMS_MAX, None, |errors, path, result| {
        validate_reference(errors, &path.child("request"), text(result, "request"), known);
        validate_driver(errors, &path.child("driver"), text(result, "driver"));
        validate_pool_name(errors, &path.child("pool"), text(result, "pool"));
        check::dns_label(errors, &path.child("device"), text(result, "device"));
        for (index, toleration) in items(result, "tolerations").iter().enumerate() {
            validate_toleration(errors, &path.child("tolerations").index(index), toleration);
        }
    });
    let at = path.child("devices").child("config");
    each(errors, &at, items(devices, "config"), 2 * ITEMS_MAX, None, |errors, path, configuration| {
        let source = text(configuration, "source");
        check::required_supported(errors, &path.child("source"), source, &["FromClaim", "FromClass"]);
        validate_references(errors, &path.child("requests"), configuration, known);
        validate_configuration(errors, path, configuration);
    });
    selector(errors, &path.child("nodeSelector"), &allocation["nodeSelector"]);
}

/// A selector of nodes, if there is one.
pub(super) fn selector(errors: &mut ErrorList, path: &Path, selector: &Value) {
    let selector = selector.is_object().then(|| json::from_value::<NodeSelector>(selector).ok()).flatten();
    if let Some(selector) = selector {
        validate_node_selector(errors, path, &selector);
    }
}
