//! What the machine and its pods use, as the kubelet's summary tells it to the eviction manager.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Volume;

use crate::api::Name;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;
use crate::node::kubelet::Kubelet;
use crate::node::kubelet::kuberuntime::volume_key;
use crate::node::kubelet::pod_worker::Worker;
use crate::node::kubelet::resource_metrics;

use super::thresholds::{PID_SIGNAL, Starved};

/// How big a file is for which the file system keeps an inode: the default of `mke2fs`.
const BYTES_PER_INODE: u64 = 16 << 10;
/// The largest number of a process: `kernel.pid_max` as the kernel has it by itself.
const PID_MAX: u64 = 32_768;
/// The processes and threads that the machine itself has.
const SYSTEM_PROCESSES: u64 = 180;

/// What there is and what is left of it: bytes, files and processes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Observations {
    memory: (u64, u64),
    disk: (u64, u64),
    inodes: (u64, u64),
    processes: (u64, u64),
}

impl Observations {
    const fn of(&self, starved: Starved) -> (u64, u64) {
        match starved {
            Starved::Memory => self.memory,
            Starved::Storage => self.disk,
            Starved::Inodes => self.inodes,
            Starved::Pids => self.processes,
        }
    }

    pub(super) const fn capacity(&self, starved: Starved) -> u64 {
        self.of(starved).0
    }

    pub(super) const fn available(&self, starved: Starved) -> u64 {
        self.of(starved).1
    }
}

/// What a running container uses: bytes, files and processes.
#[derive(Clone, Debug, Default)]
pub(super) struct ContainerUse {
    pub name: String,
    pub memory: u64,
    pub layer: u64,
    pub logs: u64,
    pub inodes: u64,
    pub processes: u64,
}

/// What a pod uses.
#[derive(Clone, Debug, Default)]
pub(super) struct PodUse {
    /// Its running containers, in the order of the spec.
    pub containers: Vec<ContainerUse>,
    /// Its volumes that lie on the node's disk: bytes, and files.
    pub volumes: BTreeMap<String, (u64, u64)>,
}

impl PodUse {
    /// How much it uses of what is short.
    pub(super) fn of(&self, starved: Starved) -> u64 {
        let sum = |of: fn(&ContainerUse) -> u64| self.containers.iter().map(of).sum::<u64>();
        match starved {
            Starved::Memory => sum(|one| one.memory),
            Starved::Storage => sum(|one| one.layer + one.logs) + self.volumes.values().map(|one| one.0).sum::<u64>(),
            Starved::Inodes => sum(|one| one.inodes) + self.volumes.values().map(|one| one.1).sum::<u64>(),
            Starved::Pids => sum(|one| one.processes),
        }
    }
}

/// Whether a volume lies on the node's disk and goes with its pod: `IsLocalEphemeralVolume`.
fn is_local(volume: &Volume) -> bool {
    let in_memory = volume.empty_dir.as_ref().is_some_and(|source| source.medium.as_deref() == Some("Memory"));
    (volume.empty_dir.is_some() && !in_memory) || volume.config_map.is_some()
}

impl Kubelet {
    /// Capacity and what is left of the node's memory, disk and process numbers.
    pub(super) fn observe(&self, now: Time) -> Observations {
        let capacity = self.host.config.full_capacity();
        let amount = |name: &str| {
            let quantity = capacity.get(name).and_then(|text| Quantity::parse(text).ok());
            quantity.and_then(|quantity| u64::try_from(quantity.value()).ok()).unwrap_or(0)
        };
        let (memory, disk) = (amount("memory"), amount("ephemeral-storage"));
        let cri = &self.host.runtime.cri;
        let mut used = resource_metrics::system_bytes(memory) + cri.memory_in_use(now);
        let (mut stored, mut files) = cri.disk_and_files();
        // Hardly anybody watches them.
        let is_watched = self.host.config.eviction_hard.contains_key(PID_SIGNAL);
        let mut processes = SYSTEM_PROCESSES + if is_watched { cri.processes_in_use() } else { 0 };
        // What annotations say counts in place of what was found.
        for worker in self.directed() {
            for (found, told) in self.directed_use(worker, now) {
                used = (used + told.memory).saturating_sub(found.memory);
                stored = (stored + told.layer).saturating_sub(found.layer);
                files = (files + told.inodes).saturating_sub(found.inodes);
                processes = (processes + told.processes).saturating_sub(found.processes);
            }
        }
        let left = |capacity: u64, used: u64| (capacity, capacity.saturating_sub(used));
        Observations {
            memory: left(memory, used),
            disk: left(disk, stored),
            inodes: left(disk / BYTES_PER_INODE, files),
            processes: left(PID_MAX, processes),
        }
    }

    /// What each running container of a pod uses: as it was found, and as the pod's annotations have it.
    fn directed_use(&self, worker: &Worker, now: Time) -> Vec<(ContainerUse, ContainerUse)> {
        let cri = &self.host.runtime.cri;
        let record = self.host.runtime.pod(&worker.uid);
        let spec = worker.pod.spec.iter();
        let names = spec.flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        let running = names.filter_map(|container| record.running().find(|one| *one.name == *container.name));
        let use_of = |container: &crate::node::kubelet::kuberuntime::ContainerRecord| {
            let stats = cri.stats(&container.id, now)?;
            let name = container.name.to_string();
            let found = ContainerUse {
                name,
                memory: stats.memory_bytes,
                layer: stats.layer_bytes,
                logs: stats.log_bytes,
                inodes: stats.inodes,
                processes: stats.processes,
            };
            let directed = |what: &str| {
                resource_metrics::directed_amount(&worker.pod, what, &container.name, now.since(container.started_at?))
            };
            let told = ContainerUse {
                memory: resource_metrics::in_pages(directed("memory").unwrap_or(found.memory)),
                layer: directed("ephemeral-storage").unwrap_or(found.layer),
                inodes: directed("inodes").unwrap_or(found.inodes),
                processes: directed("pids").unwrap_or(found.processes),
                ..found.clone()
            };
            Some((found, told))
        };
        running.filter_map(use_of).collect()
    }

    /// The containers of a pod that use more memory than they may.
    pub(super) fn over_memory(&self, worker: &Worker, now: Time) -> Vec<Name> {
        let used = self.directed_use(worker, now);
        let record = self.host.runtime.pod(&worker.uid);
        let is_over = |id: &str, name: &str| {
            let limit = self.host.runtime.cri.memory_limit(id)?;
            let (_, told) = used.iter().find(|(found, _)| found.name == name)?;
            Some(told.memory > limit)
        };
        record.running().filter(|one| is_over(&one.id, &one.name) == Some(true)).map(|one| one.id.clone()).collect()
    }

    /// What a pod uses.
    pub(super) fn pod_use(&self, worker: &Worker, now: Time) -> PodUse {
        let volumes = worker.pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let usage = |volume: &Volume| {
            let key = volume_key(&worker.uid, &volume.name);
            let cri = &self.host.runtime.cri;
            (volume.name.clone(), (cri.volume_usage(&key), cri.volume_inodes(&key)))
        };
        PodUse {
            containers: self.directed_use(worker, now).into_iter().map(|(_, told)| told).collect(),
            volumes: volumes.filter(|volume| is_local(volume)).map(usage).collect(),
        }
    }
}
