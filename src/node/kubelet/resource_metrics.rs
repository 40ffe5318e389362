//! What the containers of a node use: the kubelet's endpoint `/metrics/resource`, which metrics-server reads.
//!
//! `pkg/kubelet/metrics/collectors/resource_metrics.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use crate::api::{Name, ObjectKey, Resource};
use crate::machinery::amount::AmountScript;
use crate::machinery::time::Time;

use super::Kubelet;

/// Processor time that the machine's own programs use, in thousandths: the kubelet, the runtime, kube-proxy.
const SYSTEM_MILLIS: u64 = 35;
/// Memory that they use, in bytes.
const SYSTEM_BYTES: u64 = 410 << 20;
/// Memory comes in pages.
const PAGE_BYTES: u64 = 4096;

/// What a container uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its name in the pod.
    pub name: String,
    /// When it was started: its counter began at zero then.
    pub started: Time,
    /// Processor time since then, in nanoseconds.
    pub processor_nanos: u64,
    /// What it uses now in place of what the counter says, in nanoseconds a second: an annotation wants it so.
    pub directed: Option<u64>,
    /// The most that it gets, in thousandths of a processor.
    pub processor_limit: Option<u32>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// What a pod uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUsage {
    /// Which.
    pub pod: ObjectKey,
    /// Its uid: a pod of the same name is another one.
    pub uid: Name,
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

impl Kubelet {
    /// What the node and the pods on it use at this moment.
    #[must_use]
    pub fn resource_metrics(&self, now: Time) -> NodeUsage {
        let workers = self.workers.values().filter(|worker| !worker.is_gone);
        let pods = workers.map(|worker| PodUsage {
            pod: worker.pod.key(),
            uid: worker.uid.clone(),
            containers: self.container_usage(&worker.pod, &worker.uid, now),
        });
        NodeUsage {
            system_nanos: SYSTEM_MILLIS * 1_000_000,
            system_bytes: SYSTEM_BYTES,
            pods: pods.filter(|pod| !pod.containers.is_empty()).collect(),
        }
    }

    fn container_usage(&self, pod: &Pod, uid: &Name, now: Time) -> Vec<ContainerUsage> {
        let record = self.host.runtime.pod(uid);
        let cri = &self.host.runtime.cri;
        let nothing = BTreeMap::new();
        let annotations = pod.metadata.annotations.as_ref().unwrap_or(&nothing);
        let mut containers: Vec<ContainerUsage> = Vec::new();
        for container in record.running() {
            let Some((stats, status)) = cri.stats(&container.id, now).zip(cri.container_status(&container.id)) else {
                continue;
            };
            let Some(started) = status.started else { continue };
            let amount = |name: &str| {
                let script = AmountScript::of(annotations, name, &container.name)?;
                Some(*script.amount_at(now.since(started)))
            };
            let memory = amount("memory").and_then(|amount| u64::try_from(amount.value()).ok());
            containers.push(ContainerUsage {
                name: container.name.to_string(),
                started,
                processor_nanos: stats.processor_nanos,
                directed: amount("cpu").and_then(|amount| u64::try_from(amount.scaled_value(-9)).ok()),
                processor_limit: status.config.processor_limit,
                memory_bytes: memory.unwrap_or(stats.memory_bytes).div_ceil(PAGE_BYTES) * PAGE_BYTES,
            });
        }
        // Records are newest first; metrics are told in the order of the containers' names.
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        containers
    }
}
