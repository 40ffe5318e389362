//! Who has to go first, and what is told of it.
//!
//! `rankMemoryPressure`, `rankDiskPressureFunc` and `evictionMessage` of `pkg/kubelet/eviction/helpers.go`.

use std::cmp::Reverse;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::machinery::order::Order as _;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;
use crate::node::kubelet::Kubelet;
use crate::node::kubelet::admission::priority;
use crate::node::kubelet::agenda::PodId;
use crate::node::kubelet::container_status::pod_requests;

use super::usage::PodUse;
use super::{Pressure, quantity};

impl Kubelet {
    /// The pods in the order in which they have to go: who uses more than it requested, then the least important, then
    /// who uses the most beyond its request.
    pub(super) fn ranked(&self, pressure: Pressure, now: Time) -> Vec<(PodId, PodUse)> {
        let mut pods: Vec<((Reverse<bool>, i32, Reverse<i64>), PodId, PodUse)> = self
            .active()
            .map(|worker| {
                let used = self.pod_use(worker, now);
                let requests = worker.pod.spec.as_ref().map(pod_requests).unwrap_or_default();
                let requested = requests.get(pressure.resource()).map_or(0, |amount| Quantity::of(amount).value());
                let beyond = i64::try_from(used.of(pressure)).unwrap_or(i64::MAX) - requested;
                ((Reverse(beyond > 0), priority(&worker.pod), Reverse(beyond)), worker.id, used)
            })
            .collect();
        pods.order_by(|one, other| one.0.cmp(&other.0));
        pods.into_iter().map(|(_, id, used)| (id, used)).collect()
    }
}

/// Who in a pod uses more than it requested, as the message tells it.
pub(super) fn consumers(pressure: Pressure, pod: &Pod, used: &PodUse) -> String {
    let resource = pressure.resource();
    let mut told = String::new();
    let spec = pod.spec.clone().unwrap_or_default();
    let of_pod = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
    if let Some(request) = of_pod.filter(|_| pressure == Pressure::Memory) {
        let name = pod.metadata.name.as_deref().unwrap_or("");
        told.push_str(&line("Pod", name, used.of(pressure), Quantity::of(request), resource));
    }
    let containers: Vec<&Container> = spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
    for one in &used.containers {
        let Some(container) = containers.iter().find(|container| container.name == one.name) else { continue };
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let request = requests.and_then(|requests| requests.get(resource)).map_or(Quantity::ZERO, Quantity::of);
        let bytes = if pressure == Pressure::Memory { one.memory } else { one.layer + one.logs };
        if i64::try_from(bytes).unwrap_or(i64::MAX) > request.value() {
            told.push_str(&line("Container", &one.name, bytes, request, resource));
        }
    }
    told
}

fn line(what: &str, name: &str, used: u64, request: Quantity, resource: &str) -> String {
    let used = quantity(used);
    format!("{what} {name} was using {used}, request is {request}, has larger consumption of {resource}. ")
}
