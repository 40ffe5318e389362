//! Pods that take more of the node's disk than they may: `localStorageEviction`.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::client::Client;
use crate::machinery::quantity::Quantity;
use crate::node::kubelet::Kubelet;
use crate::node::kubelet::agenda::PodId;
use crate::node::kubelet::container_status::pod_resources;
use crate::node::kubelet::resource_metrics::is_directed;

use super::usage::PodUse;

const RESOURCE: &str = "ephemeral-storage";

/// What a container may take at most, if that is said.
fn limit_of(container: &Container) -> Option<Quantity> {
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    limits.get(RESOURCE).map(Quantity::of).filter(|limit| !limit.is_zero())
}

/// Whether anything of the pod is bounded; what is not need not be measured.
fn is_bounded(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let sized = |volume: &k8s_openapi::api::core::v1::Volume| {
        volume.empty_dir.as_ref().is_some_and(|source| source.size_limit.is_some())
    };
    let of_pod = spec.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    spec.volumes.iter().flatten().any(sized)
        || spec.containers.iter().chain(spec.init_containers.iter().flatten()).any(|one| limit_of(one).is_some())
        || of_pod.is_some_and(|limits| limits.contains_key(RESOURCE))
}

/// Whether the eviction manager has to look at the pod each time: what it uses is bounded, or told by annotations.
pub(in crate::node::kubelet) fn needs_measuring(pod: &Pod) -> bool {
    is_directed(pod) || is_bounded(pod)
}

fn exceeds(bytes: u64, limit: Quantity) -> bool {
    i64::try_from(bytes).unwrap_or(i64::MAX) > limit.value()
}

/// What a pod has too much of, as the message tells it.
fn excess(pod: &Pod, used: &PodUse, in_volume: impl Fn(&str) -> u64) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    for volume in spec.volumes.iter().flatten() {
        let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref()).map(Quantity::of);
        if let Some(limit) = limit.filter(|limit| limit.sign() > 0 && exceeds(in_volume(&volume.name), *limit)) {
            return Some(format!("Usage of EmptyDir volume {:?} exceeds the limit \"{limit}\". ", volume.name));
        }
    }
    let limits = pod_resources(spec).limits.unwrap_or_default();
    if let Some(limit) = limits.get(RESOURCE).map(Quantity::of)
        && exceeds(used.of(super::Starved::Storage), limit)
    {
        return Some(format!("Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "));
    }
    used.containers.iter().find_map(|one| {
        let container = spec.containers.iter().find(|container| container.name == one.name)?;
        let limit = limit_of(container).filter(|limit| exceeds(one.layer + one.logs, *limit))?;
        Some(format!("Container {} exceeded its local ephemeral storage limit \"{limit}\". ", one.name))
    })
}

impl Kubelet {
    /// Evicts the pods that are over their limits. Answers which.
    pub(super) fn evict_over_limits(&mut self, client: &mut Client<'_>) -> Vec<PodId> {
        let now = client.now;
        let cri = &self.host.runtime.cri;
        let over: Vec<(PodId, String)> = self
            .active()
            .filter(|worker| worker.is_measured && is_bounded(&worker.pod))
            .filter_map(|worker| {
                let used = self.pod_use(worker, now);
                let in_volume =
                    |name: &str| cri.volume_usage(&crate::node::kubelet::kuberuntime::volume_key(&worker.uid, name));
                Some((worker.id, excess(&worker.pod, &used, in_volume)?))
            })
            .collect();
        over.into_iter().filter_map(|(id, message)| self.evict(id, &message, false, client).then_some(id)).collect()
    }
}
