//! Containers get what the LimitRanges of their namespace say by default, and nobody goes beyond them.
//!
//! `kubernetes/plugin/pkg/admission/limitranger`. Upstream walks Go's maps; here resources go by their names.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::{Attributes, forbidden};
use crate::api::core::limit_range::items;
use crate::api::core::pod::resources::{Amounts, pod_limits, pod_requests};
use crate::api::{Kind, Object, Resource, Subresource, quota::amounts};
use crate::etcd::Etcd;
use crate::machinery::quantity::Quantity;
use crate::machinery::status::Status;

/// Tells what defaults were filled in.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";
/// Beyond this, thousandths do not fit: `resource.MaxMilliValue`.
const MAX_MILLI_VALUE: i64 = i64::MAX / 1000;

fn ranges<'a>(etcd: &'a Etcd, namespace: &'a str) -> impl Iterator<Item = &'a LimitRange> {
    etcd.range(Kind::LimitRange, Some(namespace)).filter_map(|(_, object)| object.downcast().map(|range| &**range))
}

/// Fills in the defaults: `PodMutateLimitFunc`.
pub(super) fn admit(etcd: &Etcd, pod: &mut Pod) {
    let namespace = pod.namespace().to_owned();
    for range in ranges(etcd, &namespace) {
        let (mut requests, mut limits) = (BTreeMap::new(), BTreeMap::new());
        for item in items(range).iter().filter(|item| item.type_ == "Container") {
            requests.extend(item.default_request.clone().unwrap_or_default());
            limits.extend(item.default.clone().unwrap_or_default());
        }
        let told = pod.spec.as_mut().map(|spec| merge(spec, &requests, &limits)).unwrap_or_default();
        if !told.is_empty() {
            let annotations = pod.metadata.annotations.get_or_insert_default();
            annotations.insert(ANNOTATION.to_owned(), format!("LimitRanger plugin set: {}", told.join("; ")));
        }
    }
}

type ApiAmounts = BTreeMap<String, ApiQuantity>;

/// `mergePodResourceRequirements`; tells what it did.
fn merge(spec: &mut PodSpec, requests: &ApiAmounts, limits: &ApiAmounts) -> Vec<String> {
    let mut told = Vec::new();
    for container in &mut spec.containers {
        merge_container(container, "container", requests, limits, &mut told);
    }
    for container in spec.init_containers.iter_mut().flatten() {
        merge_container(container, "init container", requests, limits, &mut told);
    }
    told
}

fn merge_container(
    container: &mut Container,
    what: &str,
    requests: &ApiAmounts,
    limits: &ApiAmounts,
    told: &mut Vec<String>,
) {
    if requests.is_empty() && limits.is_empty() {
        return;
    }
    let resources = container.resources.get_or_insert_default();
    for (part, own, defaults) in
        [("request", &mut resources.requests, requests), ("limit", &mut resources.limits, limits)]
    {
        let own = own.get_or_insert_default();
        let missing: Vec<&str> = defaults.keys().filter(|name| !own.contains_key(*name)).map(String::as_str).collect();
        if !missing.is_empty() {
            told.push(format!("{} {part} for {what} {}", missing.join(", "), container.name));
        }
        for (name, amount) in defaults {
            own.entry(name.clone()).or_insert_with(|| amount.clone());
        }
    }
}

/// Refuses what is beyond a limit: `ValidateLimit`.
pub(super) fn validate(etcd: &Etcd, object: &Object, attributes: Attributes<'_>) -> Result<(), Status> {
    let is_bounded = matches!(object, Object::Pod(_) | Object::PersistentVolumeClaim(_));
    if !is_bounded || (attributes.old.is_some() && object.is_deleting()) {
        return Ok(());
    }
    let namespace = object.metadata().namespace.as_deref().unwrap_or("");
    for range in ranges(etcd, namespace) {
        let mut errors = match (object, attributes.subresource) {
            (Object::Pod(pod), None) if attributes.is_create() => pod_errors(range, pod),
            (Object::Pod(pod), Some(Subresource::Resize)) => pod_errors(range, pod),
            (Object::PersistentVolumeClaim(claim), None) => claim_errors(range, claim),
            _ => return Ok(()),
        };
        // Among several errors each is told once (`utilerrors.NewAggregate`).
        let mut seen = std::collections::BTreeSet::new();
        errors.retain(|error| seen.insert(error.clone()));
        match errors.as_slice() {
            [] => {}
            [one] => return Err(forbidden(object, one)),
            many => return Err(forbidden(object, &format!("[{}]", many.join(", ")))),
        }
    }
    Ok(())
}

/// What is compared with a limit.
struct Observed<'a> {
    whose: &'a str,
    requests: Amounts,
    limits: Amounts,
}

/// `PodValidateLimitFunc`.
fn pod_errors(range: &LimitRange, pod: &Pod) -> Vec<String> {
    let mut errors = Vec::new();
    for item in items(range) {
        match item.type_.as_str() {
            "Container" => {
                let spec = pod.spec.iter();
                let all = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
                for resources in all.map(|container| container.resources.as_ref()) {
                    let observed = Observed {
                        whose: &item.type_,
                        requests: amounts(resources.and_then(|resources| resources.requests.as_ref())),
                        limits: amounts(resources.and_then(|resources| resources.limits.as_ref())),
                    };
                    compare(item, &observed, &mut errors);
                }
            }
            "Pod" => {
                let observed = Observed { whose: &item.type_, requests: pod_requests(pod), limits: pod_limits(pod) };
                compare(item, &observed, &mut errors);
            }
            _ => {}
        }
    }
    errors
}

fn compare(item: &LimitRangeItem, observed: &Observed<'_>, errors: &mut Vec<String>) {
    for (name, bound) in amounts(item.min.as_ref()) {
        errors.extend(below_min(observed, &name, bound));
    }
    for (name, bound) in amounts(item.max.as_ref()) {
        errors.extend(above_max(observed, &name, bound));
    }
    for (name, bound) in amounts(item.max_limit_request_ratio.as_ref()) {
        errors.extend(above_ratio(observed, &name, bound));
    }
}

/// `PersistentVolumeClaimLimitFunc`: a claim is bounded by what it asks for.
fn claim_errors(range: &LimitRange, claim: &PersistentVolumeClaim) -> Vec<String> {
    let mut errors = Vec::new();
    for item in items(range).iter().filter(|item| item.type_ == "PersistentVolumeClaim") {
        let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
        let requests = amounts(resources.and_then(|resources| resources.requests.as_ref()));
        let observed = Observed { whose: &item.type_, requests, limits: Amounts::new() };
        for (name, bound) in amounts(item.min.as_ref()) {
            errors.extend(below_min(&observed, &name, bound));
        }
        for (name, bound) in amounts(item.max.as_ref()) {
            errors.extend(request_above_max(&observed, &name, bound));
        }
    }
    errors
}

/// The amounts in one precision: thousandths, unless one of them is too large for it (`requestLimitEnforcedValues`).
fn values(request: Option<&Quantity>, limit: Option<&Quantity>, bound: Quantity) -> (i64, i64, i64) {
    let all = [request.copied().unwrap_or_default(), limit.copied().unwrap_or_default(), bound];
    let [request, limit, bound] = if all.iter().all(|amount| amount.value() <= MAX_MILLI_VALUE) {
        all.map(Quantity::milli_value)
    } else {
        all.map(Quantity::value)
    };
    (request, limit, bound)
}

/// `minConstraint`.
fn below_min(observed: &Observed<'_>, name: &str, bound: Quantity) -> Option<String> {
    let (request, limit) = (observed.requests.get(name), observed.limits.get(name));
    let (request_value, limit_value, least) = values(request, limit, bound);
    let told = format!("minimum {name} usage per {} is {bound}", observed.whose);
    match (request, limit) {
        (None, _) => Some(format!("{told}.  No request is specified")),
        (Some(request), _) if request_value < least => Some(format!("{told}, but request is {request}")),
        (_, Some(limit)) if limit_value < least => Some(format!("{told}, but limit is {limit}")),
        _ => None,
    }
}

/// `maxConstraint`.
fn above_max(observed: &Observed<'_>, name: &str, bound: Quantity) -> Option<String> {
    let (request, limit) = (observed.requests.get(name), observed.limits.get(name));
    let (request_value, limit_value, most) = values(request, limit, bound);
    let told = format!("maximum {name} usage per {} is {bound}", observed.whose);
    match (request, limit) {
        (_, None) => Some(format!("{told}.  No limit is specified")),
        (_, Some(limit)) if limit_value > most => Some(format!("{told}, but limit is {limit}")),
        (Some(request), _) if request_value > most => Some(format!("{told}, but request is {request}")),
        _ => None,
    }
}

/// `maxRequestConstraint`.
fn request_above_max(observed: &Observed<'_>, name: &str, bound: Quantity) -> Option<String> {
    let request = observed.requests.get(name);
    let (request_value, _, most) = values(request, None, bound);
    let told = format!("maximum {name} usage per {} is {bound}", observed.whose);
    match request {
        None => Some(format!("{told}.  No request is specified")),
        Some(request) if request_value > most => Some(format!("{told}, but request is {request}")),
        Some(_) => None,
    }
}

/// `limitRequestRatioConstraint`.
fn above_ratio(observed: &Observed<'_>, name: &str, bound: Quantity) -> Option<String> {
    let (request, limit) = (observed.requests.get(name), observed.limits.get(name));
    let (request_value, limit_value, _) = values(request, limit, bound);
    let told = format!("{name} max limit to request ratio per {} is {bound}", observed.whose);
    if request_value == 0 {
        return Some(format!("{told}, but no request is specified or request is 0"));
    }
    if limit_value == 0 {
        return Some(format!("{told}, but no limit is specified or limit is 0"));
    }
    let ratio = limit_value as f64 / request_value as f64;
    (ratio > bound.as_f64()).then(|| format!("{told}, but provided ratio is {ratio:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::{Value, json};

    fn errors(limits: Value, containers: Value) -> String {
        let range: LimitRange = serde_json::from_value(json!({ "spec": { "limits": limits } })).expect("a limit range");
        let pod: Pod = serde_json::from_value(json!({ "spec": { "containers": containers } })).expect("a pod");
        pod_errors(&range, &pod).iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn bounds_are_told_in_order() {
        let limits = json!([
            { "type": "Container", "min": { "cpu": "50m" }, "max": { "cpu": "2", "memory": "1Gi" },
              "maxLimitRequestRatio": { "cpu": "10", "memory": "2" } },
            { "type": "Pod", "max": { "cpu": "3" }, "min": { "memory": "1Mi" } },
        ]);
        let a = json!({ "name": "a", "resources": { "requests": { "cpu": "10m" }, "limits": { "cpu": "3" } } });
        let b = json!({ "name": "b" });
        expect![[r#"
            minimum cpu usage per Container is 50m, but request is 10m
            maximum cpu usage per Container is 2, but limit is 3
            maximum memory usage per Container is 1Gi.  No limit is specified
            cpu max limit to request ratio per Container is 10, but provided ratio is 300.000000
            memory max limit to request ratio per Container is 2, but no request is specified or request is 0
            minimum memory usage per Pod is 1Mi.  No request is specified
        "#]]
        .assert_eq(&errors(limits, json!([a])));
        assert!(errors(json!([{ "type": "Pod", "max": { "cpu": "2" } }]), json!([a, b])).contains("but limit is 3"));
    }
}
