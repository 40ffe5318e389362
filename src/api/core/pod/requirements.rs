//! Validation of resource requirements, of containers and of whole pods.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};

use super::resources::{self, is_native, is_pod_level, may_overcommit};
use crate::api::check::{self, NOT_NEGATIVE, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// Whose requirements they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Container,
    Pod,
}

/// `ValidateContainerResourceRequirements`.
pub(crate) fn validate_container(
    errors: &mut ErrorList,
    path: &Path,
    requirements: &ResourceRequirements,
    claims: &BTreeSet<&str>,
) {
    validate(errors, path, requirements, claims, Owner::Container);
}

/// `validatePodResources`.
pub(super) fn validate_pod(errors: &mut ErrorList, path: &Path, spec: &PodSpec, claims: &BTreeSet<&str>) {
    let Some(requirements) = &spec.resources else { return };
    if requirements.claims.is_some() {
        let detail = "claims cannot be set for Resources at pod-level";
        errors.push(FieldError::forbidden(&path.child("claims"), detail));
    }
    validate(errors, path, requirements, claims, Owner::Pod);
    validate_consistency(errors, path, spec, requirements);
}

/// `validatePodResourceConsistency`: what the containers ask for together must fit what the pod asks for.
fn validate_consistency(errors: &mut ErrorList, path: &Path, spec: &PodSpec, requirements: &ResourceRequirements) {
    for (name, sum) in resources::aggregate_requests(spec) {
        let own = requirements.requests.as_ref().and_then(|requests| requests.get(&name));
        let own = own.map(Quantity::of).unwrap_or_default();
        if sum > own {
            let detail = format!("must be greater than or equal to aggregate container requests of {sum}");
            errors.push(FieldError::invalid(&path.child("requests").key(&name), own.to_string(), detail));
        }
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        for (name, limit) in limits.into_iter().flatten() {
            let own = requirements.limits.as_ref().and_then(|limits| limits.get(name));
            let (Some(own), limit) = (own.map(Quantity::of), Quantity::of(limit)) else { continue };
            if limit > own {
                let path = path.child("containers").index(index).key(name).child("limits");
                let detail = format!("must be less than or equal to pod limits of {own}");
                errors.push(FieldError::invalid(&path, limit.to_string(), detail));
            }
        }
    }
}

/// `validateResourceRequirements`.
fn validate(
    errors: &mut ErrorList,
    path: &Path,
    requirements: &ResourceRequirements,
    claims: &BTreeSet<&str>,
    owner: Owner,
) {
    let (limits, requests) = (requirements.limits.iter().flatten(), requirements.requests.iter().flatten());
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for (name, quantity) in limits {
        names.insert(name);
        validate_amount(errors, &path.child("limits").key(name), name, Quantity::of(quantity), owner);
    }
    for (name, quantity) in requests {
        names.insert(name);
        let quantity = Quantity::of(quantity);
        validate_amount(errors, &path.child("requests").key(name), name, quantity, owner);
        let limit = requirements.limits.as_ref().and_then(|limits| limits.get(name)).map(Quantity::of);
        validate_against_limit(errors, path, name, quantity, limit);
    }
    let hugepages = names.iter().any(|name| name.starts_with("hugepages-"));
    if hugepages && !names.contains("cpu") && !names.contains("memory") {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
    validate_claims(errors, &path.child("claims"), requirements, claims);
}

fn validate_amount(errors: &mut ErrorList, path: &Path, name: &str, quantity: Quantity, owner: Owner) {
    match owner {
        Owner::Container => validate_container_name(errors, path, name),
        Owner::Pod => {
            let before = errors.len();
            validate_name(errors, path, name);
            if errors.len() == before && !is_pod_level(name) {
                errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
            }
        }
    }
    validate_quantity(errors, path, name, quantity);
    if let Some(size) = name.strip_prefix("hugepages-") {
        let size = Quantity::parse(size).map_or(0, Quantity::value);
        if size <= 0 || quantity.value() <= 0 || quantity.value() % size != 0 {
            let detail = format!("{quantity} is not positive integer multiple of {name}");
            errors.push(FieldError::invalid(path, quantity.to_string(), detail));
        }
    }
}

fn validate_against_limit(
    errors: &mut ErrorList,
    path: &Path,
    name: &str,
    quantity: Quantity,
    limit: Option<Quantity>,
) {
    let overcommit = may_overcommit(name);
    let at = path.child("requests");
    match limit {
        Some(limit) if !overcommit && quantity != limit => {
            let detail = format!("must be equal to {name} limit of {limit}");
            errors.push(FieldError::invalid(&at, quantity.to_string(), detail));
        }
        Some(limit) if quantity > limit => {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            errors.push(FieldError::invalid(&at, quantity.to_string(), detail));
        }
        None if !overcommit => {
            let detail = "Limit must be set for non overcommitable resources";
            errors.push(FieldError::required(&path.child("limits"), detail));
        }
        _ => {}
    }
}

/// `validateResourceClaimNames`.
fn validate_claims(errors: &mut ErrorList, path: &Path, requirements: &ResourceRequirements, claims: &BTreeSet<&str>) {
    let mut seen = BTreeSet::new();
    for (index, claim) in list(&requirements.claims).iter().enumerate() {
        let path = path.index(index);
        let name = claim.name.as_str();
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let request = text(&claim.request);
        let key = if request.is_empty() { name.to_owned() } else { format!("{name}/{request}") };
        if !request.is_empty() {
            check::dns_label(errors, &path.child("request"), request);
        }
        let overlaps = seen.contains(&key)
            || seen.contains(name)
            || (request.is_empty() && seen.iter().any(|other: &String| other.starts_with(&format!("{name}/"))));
        if overlaps {
            errors.push(FieldError::duplicate(&path, if seen.contains(name) { name } else { &key }));
        }
        seen.insert(key);
        if !claims.contains(name) {
            let mut error = FieldError::not_found(&path, name);
            error.body.push_str(": must be one of the names in pod.spec.resourceClaims");
            if claims.is_empty() {
                error.body.push_str(" which is empty");
            } else {
                let known: Vec<&str> = claims.iter().copied().collect();
                error.body.push_str(&format!(": {}", known.join(", ")));
            }
            errors.push(error);
        }
    }
}

/// `validateResourceName`.
pub(crate) fn validate_name(errors: &mut ErrorList, path: &Path, name: &str) {
    let messages = names::is_qualified_name(name);
    if messages.is_empty() && !name.contains('/') && !is_standard(name) {
        let detail = "must be a standard resource type or fully qualified";
        errors.push(FieldError::invalid(path, name, detail));
    }
    check::invalid_each(errors, path, name, messages);
}

/// `validateContainerResourceName`.
pub(crate) fn validate_container_name(errors: &mut ErrorList, path: &Path, name: &str) {
    validate_name(errors, path, name);
    if !name.contains('/') {
        if !matches!(name, "cpu" | "memory" | "ephemeral-storage") && !name.starts_with("hugepages-") {
            errors.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// `IsStandardResourceName`.
fn is_standard(name: &str) -> bool {
    const STANDARD: &[&str] = &[
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "requests.storage",
        "services.nodeports",
        "services.loadbalancers",
    ];
    STANDARD.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// `IsExtendedResourceName`: a resource of somebody's own, counted in whole numbers.
pub(crate) fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && names::is_qualified_name(&format!("requests.{name}")).is_empty()
}

/// `IsIntegerResourceName`.
fn is_integer(name: &str) -> bool {
    const INTEGERS: &[&str] = &[
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ];
    INTEGERS.contains(&name) || is_extended(name)
}

/// `ValidateResourceQuantityValue`.
pub(crate) fn validate_quantity(errors: &mut ErrorList, path: &Path, name: &str, quantity: Quantity) {
    if quantity.cmp_int(0).is_lt() {
        errors.push(FieldError::invalid(path, quantity.to_string(), NOT_NEGATIVE));
    }
    if is_integer(name) && quantity.milli_value() % 1000 != 0 {
        errors.push(FieldError::invalid(path, quantity.to_string(), "must be an integer"));
    }
}
