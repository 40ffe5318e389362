//! The quality of service class of a pod. Follows `pkg/apis/core/v1/helper/qos`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::containers_with_field;
use crate::machinery::quantity::Quantity;

/// `Guaranteed`, `Burstable` or `BestEffort`, as `ComputePodQOS` finds it from cpu and memory.
#[must_use]
pub fn class(spec: &PodSpec) -> &'static str {
    let mut requests = BTreeMap::new();
    let mut limits = BTreeMap::new();
    let mut guaranteed = true;
    let mut collect = |resources: Option<&ResourceRequirements>| {
        let requested = resources.and_then(|resources| resources.requests.as_ref());
        let limited = resources.and_then(|resources| resources.limits.as_ref());
        add_compute(&mut requests, requested);
        let names = add_compute(&mut limits, limited);
        if !names.contains("cpu") || !names.contains("memory") {
            guaranteed = false;
        }
    };
    let of_pod = spec.resources.as_ref();
    if of_pod.is_some_and(|resources| resources.requests.is_some() || resources.limits.is_some()) {
        collect(of_pod);
    } else {
        containers_with_field(spec).for_each(|(_, _, container)| collect(container.resources.as_ref()));
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if guaranteed && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Adds what is asked of cpu and memory, zeros aside; says which of the two there were.
fn add_compute(
    total: &mut BTreeMap<&'static str, Quantity>,
    amounts: Option<&BTreeMap<String, ApiQuantity>>,
) -> BTreeSet<&'static str> {
    let mut names = BTreeSet::new();
    for name in ["cpu", "memory"] {
        let Some(quantity) = amounts.and_then(|amounts| amounts.get(name)).map(Quantity::of) else { continue };
        if quantity.cmp_int(0).is_gt() {
            names.insert(name);
            total.entry(name).and_modify(|sum| sum.add(quantity)).or_insert(quantity);
        }
    }
    names
}
