//! What a pod asks for as a whole. Follows `k8s.io/component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::is_restartable_init;
use crate::api::check::list;
use crate::machinery::quantity::Quantity;

/// Amounts by the resource's name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Whether requests and limits of the resource may be given for a pod as a whole.
pub(crate) fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

/// `IsOvercommitAllowed`: whether limits may be above requests.
pub(crate) fn may_overcommit(resource: &str) -> bool {
    is_native(resource) && !resource.starts_with("hugepages-")
}

/// `IsNativeResource`: a resource of Kubernetes' own, with or without its domain.
pub(crate) fn is_native(resource: &str) -> bool {
    !resource.contains('/') || resource.contains("kubernetes.io/")
}

/// `AggregateContainerRequests`: the sum over the containers, or what the init containers need at their highest.
#[must_use]
pub fn aggregate_requests(spec: &PodSpec) -> Amounts {
    aggregate(spec, |container| container.resources.as_ref().and_then(|resources| resources.requests.as_ref()))
}

/// As [`aggregate_requests`] for limits.
#[must_use]
pub fn aggregate_limits(spec: &PodSpec) -> Amounts {
    aggregate(spec, |container| container.resources.as_ref().and_then(|resources| resources.limits.as_ref()))
}

type ApiAmounts = BTreeMap<String, ApiQuantity>;

fn aggregate(spec: &PodSpec, of: impl Fn(&Container) -> Option<&ApiAmounts>) -> Amounts {
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &amounts(of(container)));
    }
    let mut sidecars = Amounts::new();
    let mut highest = Amounts::new();
    for container in list(&spec.init_containers) {
        let mut own = amounts(of(container));
        if is_restartable_init(container) {
            add(&mut total, &own);
            add(&mut sidecars, &own);
            own.clone_from(&sidecars);
        } else {
            add(&mut own, &sidecars);
        }
        raise(&mut highest, &own);
    }
    raise(&mut total, &highest);
    total
}

fn amounts(map: Option<&ApiAmounts>) -> Amounts {
    map.into_iter().flatten().map(|(name, quantity)| (name.clone(), Quantity::of(quantity))).collect()
}

fn add(total: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        total.entry(name.clone()).and_modify(|sum| sum.add(*quantity)).or_insert(*quantity);
    }
}

fn raise(highest: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        highest.entry(name.clone()).and_modify(|most| *most = (*most).max(*quantity)).or_insert(*quantity);
    }
}
