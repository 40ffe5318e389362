//! What the containers of a node use: the kubelet's endpoint `/metrics/resource`, which metrics-server reads.
//!
//! `pkg/kubelet/metrics/collectors/resource_metrics.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use crate::api::{Name, ObjectKey, Resource};
use crate::machinery::amount::AmountScript;
use crate::machinery::time::Time;

use super::Kubelet;

/// Processor time that the machine's own programs use, in thousandths: the kubelet, the runtime, kube-proxy.
const SYSTEM_MILLIS: u64 = 35;
/// Memory that they use, in bytes.
const SYSTEM_BYTES: u64 = 410 << 20;
/// On a small machine they make do with this part of its memory.
const SYSTEM_PART_MAX: u64 = 8;
/// Memory comes in pages.
const PAGE_BYTES: u64 = 4096;

/// What a container uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its name in the pod.
    pub name: String,
    /// Processor time in the last window that has passed, in nanoseconds a second, and how long that was for it; nothing
    /// while it has not run for long enough.
    pub processor: Option<(u64, Duration)>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// What a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    /// Which.
    pub pod: ObjectKey,
    /// Its containers that run.
    pub containers: Vec<ContainerUsage>,
}

/// What a node uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeUsage {
    /// What is not in any pod, in nanoseconds a second.
    pub system_nanos: u64,
    /// Memory that is not in any pod.
    pub system_bytes: u64,
    /// The pods, in the order in which they came.
    pub pods: Vec<PodUsage>,
}

/// Memory that is in no pod, on a machine of so much.
pub(super) fn system_bytes(capacity: u64) -> u64 {
    in_pages(SYSTEM_BYTES.min(capacity / SYSTEM_PART_MAX))
}

/// Memory as the kernel gives it.
pub(super) const fn in_pages(bytes: u64) -> u64 {
    bytes.div_ceil(PAGE_BYTES) * PAGE_BYTES
}

/// Whether annotations say what a pod's containers use.
pub(super) fn is_directed(pod: &Pod) -> bool {
    pod.metadata.annotations.iter().flatten().any(|(key, _)| key.starts_with("kubetab/"))
}

/// How many bytes, files or processes of something an annotation lets a container use, so long after its start.
pub(super) fn directed_amount(pod: &Pod, what: &str, container: &str, since: Duration) -> Option<u64> {
    let script = AmountScript::of(pod.metadata.annotations.as_ref()?, what, container)?;
    u64::try_from(script.amount_at(since).value()).ok()
}

impl Kubelet {
    /// What the node and the pods on it use at this moment.
    #[must_use]
    pub fn resource_metrics(&self, now: Time) -> NodeUsage {
        let workers = self.workers.values().filter(|worker| !worker.is_gone);
        let pods = workers.map(|worker| PodUsage {
            pod: worker.pod.key(),
            containers: self.container_usage(&worker.pod, &worker.uid, now),
        });
        NodeUsage {
            system_nanos: SYSTEM_MILLIS * 1_000_000,
            system_bytes: system_bytes(self.host.runtime.cri.profile().memory_bytes),
            pods: pods.filter(|pod| !pod.containers.is_empty()).collect(),
        }
    }

    fn container_usage(&self, pod: &Pod, uid: &Name, now: Time) -> Vec<ContainerUsage> {
        let record = self.host.runtime.pod(uid);
        let cri = &self.host.runtime.cri;
        let annotations = pod.metadata.annotations.as_ref().filter(|_| is_directed(pod));
        let mut containers: Vec<ContainerUsage> = Vec::new();
        for container in record.running() {
            let Some((stats, status)) = cri.stats(&container.id, now).zip(cri.container_status(&container.id)) else {
                continue;
            };
            let Some(started) = status.started else { continue };
            let amount = |name: &str| {
                let script = AmountScript::of(annotations?, name, &container.name)?;
                Some(*script.amount_at(now.since(started)))
            };
            let directed = amount("cpu").and_then(|amount| u64::try_from(amount.scaled_value(-9)).ok());
            let most = status.config.processor_limit.map_or(u64::MAX, |millis| u64::from(millis) * 1_000_000);
            let memory = amount("memory").and_then(|amount| u64::try_from(amount.value()).ok());
            let processor = cri.processor_rate(&container.id, now);
            containers.push(ContainerUsage {
                name: container.name.to_string(),
                processor: processor.map(|(rate, window)| (directed.unwrap_or(rate).min(most), window)),
                memory_bytes: in_pages(memory.unwrap_or(stats.memory_bytes)),
            });
        }
        // Records are newest first; metrics are told in the order of the containers' names.
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        containers
    }
}
