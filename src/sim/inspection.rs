//! What no client of the cluster can see, for those who watch over it: what machines really run, and how old what the
//! components know is.

use std::collections::BTreeMap;

use crate::api::{Kind, Name, Object, ObjectKey};
use crate::client::Informers;
use crate::etcd::Revision;
use crate::machinery::order::Order as _;
use crate::machinery::time::Time;
use crate::scheduler::KubeScheduler;

use super::cluster::Cluster;
use super::processes::{ProcessId, Program, Slot};
use super::queue::Event;

impl Cluster {
    /// The processes of the cluster, in their order.
    pub fn process_ids(&self) -> impl Iterator<Item = &ProcessId> {
        self.processes.keys()
    }

    /// The pods of which containers run on a machine, with their uids, whether anybody knows of them or not. Without
    /// power nothing runs.
    #[must_use]
    pub fn running_pods(&self, node: &str) -> Vec<(ObjectKey, Name)> {
        match self.processes.get(&ProcessId::Kubelet(Name::from(node))) {
            Some(Slot { program: Program::Kubelet(kubelet), state, .. }) if state.running => kubelet.running_pods(),
            _ => Vec::new(),
        }
    }

    /// What keeps the cluster from being idle, a line for each event.
    #[must_use]
    pub fn unrest(&self) -> Vec<String> {
        let line = |(time, event): (Time, &Event)| match event {
            Event::List { process, kind, .. } => format!("{process} lists {kind}s at {time}"),
            Event::Deliver { process, commit, .. } => {
                format!("{process} hears of revision {} at {time}", commit.revision)
            }
            Event::Wake { process, token, .. } => format!("{process} wakes at {time} for {token}"),
            Event::Boot(machine) => format!("{machine} boots until {time}"),
            Event::Packet(_) => format!("a packet arrives at {time}"),
        };
        self.queue.foreground().map(line).collect()
    }

    /// Where a process's cache is not what the store was after the last change that the process was told of. What a
    /// process waits to be told is no difference; there should never be one.
    #[must_use]
    pub fn stale_caches(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (id, slot) in self.processes.iter().filter(|(_, slot)| slot.state.running) {
            let informers = match &slot.program {
                Program::ControllerManager(program) => program.informers(),
                Program::CloudControllerManager(program) => program.informers(),
                Program::KubeProxy(program) => program.informers(),
                Program::ClusterDns(program) => program.informers(),
                Program::PolicyAgent(program) => program.informers(),
                Program::IngressController(program) => program.informers(),
                Program::ClusterAutoscaler(program) => program.informers(),
                Program::GatewayController(program) => program.informers(),
                Program::Scheduler(program) => {
                    found.extend(self.compare_scheduler(slot, program));
                    continue;
                }
                Program::Kubelet(_) | Program::MetricsServer(_) => continue,
            };
            for (&kind, &revision) in slot.sent.iter().filter(|(kind, _)| kind.custom().is_none()) {
                // kube-proxy and the others keep a kind of which they watch one object elsewhere.
                if slot
                    .watches
                    .iter()
                    .any(|spec| spec.kind == kind && spec.selector == crate::client::WatchSelector::All)
                {
                    found.extend(self.compare(id, informers, kind, revision));
                }
            }
        }
        found
    }

    fn compare(&self, id: &ProcessId, informers: &Informers, kind: Kind, revision: Revision) -> Vec<String> {
        let Some(stored) = self.api.etcd().kept_at(kind, revision) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, object) in stored.iter() {
            if informers.object(kind, key) != Some(object) {
                found.push(format!("{id} has another {kind} {key} than there was at revision {revision}"));
            }
        }
        if informers.count(kind) != stored.len() {
            found.push(format!("{id} has {} of {} {kind}s", informers.count(kind), stored.len()));
        }
        found
    }

    /// The scheduler counts each pod on its node until it has ended, those too that it has just placed.
    fn compare_scheduler(&self, slot: &Slot, program: &KubeScheduler) -> Vec<String> {
        let told = |kind: Kind| self.api.etcd().kept_at(kind, *slot.sent.get(&kind)?);
        let (Some(nodes), Some(pods)) = (told(Kind::Node), told(Kind::Pod)) else { return Vec::new() };
        let mut stored: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pod in pods.values().filter_map(Object::downcast::<k8s_openapi::api::core::v1::Pod>) {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or("");
            if !node.is_empty() && !matches!(phase, Some("Succeeded" | "Failed")) {
                stored.entry(node).or_default().push(pod.metadata.uid.as_deref().unwrap_or(""));
            }
        }
        let cache = program.scheduler().cache();
        let mut found = Vec::new();
        if cache.node_count() != nodes.len() {
            found.push(format!("kube-scheduler has {} of {} nodes", cache.node_count(), nodes.len()));
        }
        for info in cache.nodes() {
            let known = info.pods.iter().filter(|pod| !cache.is_assumed(&pod.uid));
            let mut known: Vec<&str> = known.map(|pod| &*pod.uid).collect();
            let mut stored = stored.remove(&*info.name).unwrap_or_default();
            known.order();
            stored.order();
            if known != stored {
                found.push(format!("kube-scheduler counts {known:?} on {}, where {stored:?} are", info.name));
            }
        }
        found
    }
}
