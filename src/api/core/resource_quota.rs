//! ResourceQuotas. Follows `pkg/registry/core/resourcequota`, `ValidateResourceQuota` and `printResourceQuota`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{
    ResourceQuota, ResourceQuotaSpec, ResourceQuotaStatus, ScopedResourceSelectorRequirement,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde_json::Value;

use super::pod::requirements::{validate_name, validate_quantity};
use crate::api::check::{self, list};
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

type Amounts = BTreeMap<String, ApiQuantity>;

pub(crate) fn prepare_for_create(quota: &mut ResourceQuota) {
    quota.status = Some(ResourceQuotaStatus::default());
}

pub(crate) fn prepare_for_update(new: &mut ResourceQuota, old: &ResourceQuota, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
    } else {
        new.status.clone_from(&old.status);
    }
}

/// `ValidateResourceQuota`.
pub(crate) fn validate(quota: &ResourceQuota) -> ErrorList {
    let mut errors = meta::validate(&quota.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, quota);
    errors
}

fn validate_spec(errors: &mut ErrorList, quota: &ResourceQuota) {
    let Some(spec) = &quota.spec else { return };
    let path = Path::new("spec");
    validate_amounts(errors, &path.child("hard"), spec.hard.as_ref());
    validate_scopes(errors, &path.child("scopes"), spec);
    validate_scope_selector(errors, &path.child("scopeSelector"), spec);
}

fn validate_amounts(errors: &mut ErrorList, path: &Path, amounts: Option<&Amounts>) {
    for (name, amount) in amounts.into_iter().flatten() {
        let path = path.key(name);
        validate_resource(errors, &path, name);
        validate_quantity(errors, &path, name, Quantity::of(amount));
    }
}

/// `ValidateResourceQuotaResourceName`.
fn validate_resource(errors: &mut ErrorList, path: &Path, name: &str) {
    validate_name(errors, path, name);
    if !name.contains('/') && !is_standard(name) {
        errors.push(FieldError::invalid(path, name, "must be a standard resource for quota"));
    }
}

/// `IsStandardQuotaResourceName`.
fn is_standard(name: &str) -> bool {
    const STANDARD: &[&str] = &[
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    ];
    STANDARD.contains(&name) || name.starts_with("hugepages-") || name.starts_with("requests.hugepages-")
}

/// The scopes that there are: `IsStandardResourceQuotaScope`.
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

/// Scopes that no quota can have together.
const CONTRADICTIONS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// `IsResourceQuotaScopeValidForResource`.
fn is_counted_in(scope: &str, resource: &str) -> bool {
    const COMPUTE: [&str; 6] = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
    match scope {
        "BestEffort" => resource == "pods",
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        _ if SCOPES.contains(&scope) => resource == "pods" || COMPUTE.contains(&resource),
        _ => true,
    }
}

/// The standard resources of a quota that a scope says nothing about.
fn not_counted_in<'a>(scope: &'a str, spec: &'a ResourceQuotaSpec) -> impl Iterator<Item = &'a String> {
    let resources = spec.hard.iter().flat_map(BTreeMap::keys);
    resources.filter(move |resource| is_standard(resource) && !is_counted_in(scope, resource))
}

/// `validateResourceQuotaScopes`.
fn validate_scopes(errors: &mut ErrorList, path: &Path, spec: &ResourceQuotaSpec) {
    let scopes = list(&spec.scopes);
    let mut refuse = |detail: &str| errors.push(FieldError::invalid(path, check::json(scopes), detail));
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            refuse("unsupported scope");
        }
        not_counted_in(scope, spec).for_each(|_| refuse("unsupported scope applied to resource"));
    }
    for pair in CONTRADICTIONS {
        if pair.iter().all(|scope| scopes.iter().any(|known| known == scope)) {
            refuse("conflicting scopes");
        }
    }
}

/// `validateScopedResourceSelectorRequirement`.
fn validate_scope_selector(errors: &mut ErrorList, path: &Path, spec: &ResourceQuotaSpec) {
    let Some(selector) = &spec.scope_selector else { return };
    let path = path.child("matchExpressions");
    let requirements = list(&selector.match_expressions);
    for requirement in requirements {
        let scope = requirement.scope_name.as_str();
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(&path.child("scopeName"), scope, "unsupported scope"));
        }
        for _ in not_counted_in(scope, spec) {
            let shown = internal::dump("ScopeSelector", &check::json(selector));
            errors.push(FieldError::invalid(&path, shown, "unsupported scope applied to resource"));
        }
        validate_operator(errors, &path, requirement);
    }
    for pair in CONTRADICTIONS {
        if pair.iter().all(|scope| requirements.iter().any(|requirement| requirement.scope_name == *scope)) {
            let shown = spec.scopes.as_ref().map_or(Value::Null, check::json);
            errors.push(FieldError::invalid(&path, shown, "conflicting scopes"));
        }
    }
}

fn validate_operator(errors: &mut ErrorList, path: &Path, requirement: &ScopedResourceSelectorRequirement) {
    let operator = requirement.operator.as_str();
    let values = list(&requirement.values);
    let takes_values = matches!(requirement.scope_name.as_str(), "PriorityClass" | "VolumeAttributesClass");
    if SCOPES.contains(&requirement.scope_name.as_str()) && !takes_values && operator != "Exists" {
        let detail = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, \
                      ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort \
                      or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.push(FieldError::invalid(&path.child("operator"), operator, detail));
    }
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.push(FieldError::required(&path.child("values"), detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.push(FieldError::invalid(&path.child("values"), check::json(values), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.push(FieldError::invalid(&path.child("operator"), operator, "not a valid selector operator")),
    }
}

/// `ValidateResourceQuotaUpdate` and, for the status, `ValidateResourceQuotaStatusUpdate`.
pub(crate) fn validate_update(new: &ResourceQuota, old: &ResourceQuota, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        let Some(status) = &new.status else { return errors };
        let path = Path::new("status");
        validate_amounts(&mut errors, &path.child("hard"), status.hard.as_ref());
        validate_amounts(&mut errors, &path.child("used"), status.used.as_ref());
        return errors;
    }
    validate_spec(&mut errors, new);
    let scopes = |quota: &ResourceQuota| -> BTreeSet<String> {
        quota.spec.iter().flat_map(|spec| list(&spec.scopes)).cloned().collect()
    };
    let (after, before) = (scopes(new), scopes(old));
    let shown = || new.spec.as_ref().and_then(|spec| spec.scopes.as_ref()).map_or(Value::Null, check::json);
    check::immutable(&mut errors, &Path::new("spec").child("scopes"), &after, &before, shown);
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Request",
        "Request represents a minimum amount of cpu/memory that a container may consume.",
    ),
    ColumnDefinition::text(
        "Limit",
        "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the \
         node.",
    ),
    AGE,
];

pub(crate) fn row(quota: &ResourceQuota, now: Time) -> Vec<Value> {
    let status = quota.status.clone().unwrap_or_default();
    let used = |name: &String| status.used.as_ref().and_then(|used| used.get(name)).map_or("0", |used| used.0.as_str());
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (name, hard) in status.hard.iter().flatten() {
        let cell = format!("{name}: {}/{}", used(name), hard.0);
        if name.starts_with("limits.") { limits.push(cell) } else { requests.push(cell) }
    }
    vec![name_of(&quota.metadata), requests.join(", ").into(), limits.join(", ").into(), age_of(&quota.metadata, now)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn refusals(spec: Value) -> String {
        let quota: ResourceQuota =
            serde_json::from_value(json!({ "metadata": { "name": "q", "namespace": "n" }, "spec": spec }))
                .expect("a quota");
        validate(&quota).iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn amounts_are_of_what_can_be_counted() {
        let fine = json!({ "hard": { "pods": "1", "count/deployments.apps": "2", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi" } });
        assert_eq!(refusals(fine), "");
        expect![[r#"
            spec.hard[cpus]: Invalid value: "cpus": must be a standard resource type or fully qualified
            spec.hard[cpus]: Invalid value: "cpus": must be a standard resource for quota
            spec.hard[pods]: Invalid value: "-500m": must be greater than or equal to 0
            spec.hard[pods]: Invalid value: "-500m": must be an integer
            spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota
        "#]]
        .assert_eq(&refusals(json!({ "hard": { "cpus": "1", "pods": "-500m", "storage": "1" } })));
    }

    #[test]
    fn scopes_fit_what_is_counted_and_each_other() {
        expect![[r#"
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope applied to resource
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: unsupported scope
            spec.scopes: Invalid value: ["BestEffort","NotBestEffort","Odd"]: conflicting scopes
        "#]]
        .assert_eq(&refusals(json!({ "hard": { "cpu": "1" }, "scopes": ["BestEffort", "NotBestEffort", "Odd"] })));
        let expression = |scope: &str, operator: &str, values: Value| json!({ "scopeName": scope, "operator": operator, "values": values });
        let selector = json!([
            expression("Terminating", "In", json!([])),
            expression("PriorityClass", "Exists", json!(["a"])),
            expression("PriorityClass", "Like", json!(["a"])),
        ]);
        expect![[r#"
            spec.scopeSelector.matchExpressions.operator: Invalid value: "In": must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity
            spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector
            spec.scopeSelector.matchExpressions.values: Invalid value: ["a"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector
            spec.scopeSelector.matchExpressions.operator: Invalid value: "Like": not a valid selector operator
        "#]]
        .assert_eq(&refusals(json!({ "hard": { "pods": "1" }, "scopeSelector": { "matchExpressions": selector } })));
    }
}
