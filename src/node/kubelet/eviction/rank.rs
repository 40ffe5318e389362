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

use super::Starved;
use super::usage::PodUse;

/// Whether a pod uses more than it requested, its priority, and how much it uses beyond its request: the first goes first.
type Rank = (Reverse<bool>, i32, Reverse<i64>);

impl Kubelet {
    /// The pods in the order in which they have to go: who uses more than it requested, then the least important, then
    /// who uses the most beyond its request.
    /// Process numbers nobody requests: of them who is more important keeps what it has.
    pub(super) fn ranked(&self, starved: Starved, now: Time) -> Vec<(PodId, PodUse)> {
        let mut pods: Vec<(Rank, PodId, PodUse)> = self
            .active()
            .map(|worker| {
                let used = self.pod_use(worker, now);
                let requests = worker.pod.spec.as_ref().map(pod_requests).unwrap_or_default();
                let requested = |name: &str| requests.get(name).map_or(0, |amount| Quantity::of(amount).value());
                let amount = i64::try_from(used.of(starved)).unwrap_or(i64::MAX);
                let exceeds = starved != Starved::Pids && amount > requested(starved.name());
                // Upstream takes the requested bytes from the number of files, too.
                let beyond = match starved {
                    Starved::Memory => amount - requested(starved.name()),
                    Starved::Storage | Starved::Inodes => amount - requested(Starved::Storage.name()),
                    Starved::Pids => amount,
                };
                ((Reverse(exceeds), priority(&worker.pod), Reverse(beyond)), worker.id, used)
            })
            .collect();
        pods.order_by(|one, other| one.0.cmp(&other.0));
        pods.into_iter().map(|(_, id, used)| (id, used)).collect()
    }
}

/// Who in a pod uses more than it requested, as the message tells it.
pub(super) fn consumers(starved: Starved, pod: &Pod, used: &PodUse) -> String {
    let resource = starved.name();
    let mut told = String::new();
    let spec = pod.spec.clone().unwrap_or_default();
    let of_pod = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
    if let Some(request) = of_pod.filter(|_| starved == Starved::Memory) {
        let name = pod.metadata.name.as_deref().unwrap_or("");
        told.push_str(&line("Pod", name, used.of(starved), Quantity::of(request), starved));
    }
    let containers: Vec<&Container> = spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect();
    for one in &used.containers {
        let Some(container) = containers.iter().find(|container| container.name == one.name) else { continue };
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let request = requests.and_then(|requests| requests.get(resource)).map_or(Quantity::ZERO, Quantity::of);
        let bytes = match starved {
            Starved::Memory => one.memory,
            Starved::Storage => one.layer + one.logs,
            Starved::Inodes | Starved::Pids => break,
        };
        if i64::try_from(bytes).unwrap_or(i64::MAX) > request.value() {
            told.push_str(&line("Container", &one.name, bytes, request, starved));
        }
    }
    told
}

fn line(what: &str, name: &str, used: u64, request: Quantity, starved: Starved) -> String {
    let (used, resource) = (starved.quantity(used), starved.name());
    format!("{what} {name} was using {used}, request is {request}, has larger consumption of {resource}. ")
}
