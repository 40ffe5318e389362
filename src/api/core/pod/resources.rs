//! What a pod asks for as a whole. Follows `k8s.io/component-helpers/resource/helpers.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, ResourceRequirements};
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
    aggregate(spec, |container| amounts(requests_of(container.resources.as_ref())))
}

type ApiAmounts = BTreeMap<String, ApiQuantity>;

fn requests_of(resources: Option<&ResourceRequirements>) -> Option<&ApiAmounts> {
    resources.and_then(|resources| resources.requests.as_ref())
}

fn limits_of(resources: Option<&ResourceRequirements>) -> Option<&ApiAmounts> {
    resources.and_then(|resources| resources.limits.as_ref())
}

/// `PodRequests`: what a pod asks for, with its overhead. While a container is resized, it counts for the larger of
/// what it has and what it shall have.
#[must_use]
pub fn pod_requests(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut requests = aggregate(spec, |container| {
        let mut wanted = amounts(requests_of(container.resources.as_ref()));
        if let Some(status) = status_of(pod, &container.name) {
            raise(&mut wanted, &amounts(requests_of(status.resources.as_ref())));
            raise(&mut wanted, &amounts(status.allocated_resources.as_ref()));
        }
        wanted
    });
    take_pod_level(&mut requests, requests_of(spec.resources.as_ref()));
    add(&mut requests, &amounts(spec.overhead.as_ref()));
    requests
}

/// `PodLimits`: what a pod may use at most, with its overhead where there is a limit.
#[must_use]
pub fn pod_limits(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else { return Amounts::new() };
    let mut limits = aggregate(spec, |container| {
        let mut wanted = amounts(limits_of(container.resources.as_ref()));
        if let Some(status) = status_of(pod, &container.name) {
            raise(&mut wanted, &amounts(limits_of(status.resources.as_ref())));
        }
        wanted
    });
    take_pod_level(&mut limits, limits_of(spec.resources.as_ref()));
    let overhead = amounts(spec.overhead.as_ref()).into_iter().filter(|(name, _)| limits.contains_key(name)).collect();
    add(&mut limits, &overhead);
    limits
}

fn status_of<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let statuses = list(&status.container_statuses).iter().chain(list(&status.init_container_statuses));
    statuses.into_iter().find(|status| status.name == container)
}

/// What is given for the pod as a whole stands instead of its containers' sum.
fn take_pod_level(total: &mut Amounts, whole: Option<&ApiAmounts>) {
    total.extend(amounts(whole).into_iter().filter(|(name, _)| is_pod_level(name)));
}

fn aggregate(spec: &PodSpec, of: impl Fn(&Container) -> Amounts) -> Amounts {
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut highest = Amounts::new();
    for container in list(&spec.init_containers) {
        let mut own = of(container);
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
