//! metrics-server: tells what pods and nodes used in the last window of fifteen seconds, at `metrics.k8s.io`.
//!
//! Follows `sigs.k8s.io/metrics-server/pkg/{server,storage,scraper}`: processor time is what a counter grew by in a
//! window; a pod is told once all its containers ran through one, or for ten seconds of one.
//!
//! Upstream's asks the kubelets whether somebody wants to know or not. Here the runtimes remember what a window came to,
//! and are asked when a window ends if there is an autoscaler, and else when somebody looks: a large cluster without
//! autoscalers pays nothing. What somebody sees who looks in between is not kept, so that looking changes nothing.
//!
//! It is no pod: upstream's own is one more Deployment, which would take its place among a lesson's.

use std::sync::Arc;

use crate::api::{Kind, Name, ObjectKey};
use crate::apiserver::metrics::{Measured, Metrics, Usage};
use crate::client::{Client, Identity, InformerEvent, Process, Token, WatchSpec};
use crate::machinery::time::Time;
use crate::node::kubelet::resource_metrics::NodeUsage;
use crate::node::runtime::{WINDOW, window_end};

use super::bootstrap::control_plane;
use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

/// metrics-server.
#[derive(Clone, Debug, Default)]
pub(super) struct MetricsServer;

impl Process for MetricsServer {
    fn watches(&self) -> Vec<WatchSpec> {
        Vec::new()
    }

    fn start(&mut self, client: &mut Client<'_>) {
        client.wake_in_background(window_end(client.now) + WINDOW, Token::default());
    }

    fn deliver(&mut self, _event: &InformerEvent, _client: &mut Client<'_>) {}

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        client.wake_in_background(window_end(client.now) + WINDOW, token);
    }
}

/// What follows from what the kubelets of nodes said, each with whether the node was there for all of the window.
fn metrics(end: Time, nodes: Vec<(Name, bool, NodeUsage)>) -> Metrics {
    let mut metrics = Metrics { taken: Some(end), ..Metrics::default() };
    for (node, is_old, usage) in nodes {
        let mut total = Usage { processor_nanos: usage.system_nanos, memory_bytes: usage.system_bytes };
        for pod in usage.pods {
            let mut used = Vec::with_capacity(pod.containers.len());
            let mut window = WINDOW;
            let mut is_whole = true;
            for container in pod.containers {
                total.memory_bytes += container.memory_bytes;
                let Some((nanos, over)) = container.processor else {
                    is_whole = false;
                    continue;
                };
                total.processor_nanos += nanos;
                window = over;
                used.push((container.name, Usage { processor_nanos: nanos, memory_bytes: container.memory_bytes }));
            }
            if is_whole {
                metrics.pods.insert(pod.pod, Measured { timestamp: end, window, usage: Arc::from(used) });
            }
        }
        if is_old {
            metrics.nodes.insert(node, Measured { timestamp: end, window: WINDOW, usage: total });
        }
    }
    metrics
}

impl Cluster {
    /// Lets metrics-server run, and its API be served, with nothing to tell yet.
    pub(super) fn start_metrics_server(&mut self) {
        let identity = Identity { component: Name::from("metrics-server"), ..control_plane("metrics-server") };
        self.api.set_metrics(Arc::default());
        self.add_process(ProcessId::MetricsServer, Program::MetricsServer(Arc::default()), identity);
    }

    /// What metrics-server would say now, unless that is what it says anyhow.
    pub(super) fn newer_metrics(&self) -> Option<Arc<Metrics>> {
        let said = self.api.metrics()?.taken;
        let server = self.processes.get(&ProcessId::MetricsServer)?;
        let end = window_end(self.now);
        if !server.state.running || !server.state.connected || said == Some(end) {
            return None;
        }
        let kubelets = self.processes.iter().filter(|(_, slot)| slot.state.running && slot.state.connected);
        let nodes = kubelets.filter_map(|(id, slot)| match (id, &slot.program) {
            (ProcessId::Kubelet(node), Program::Kubelet(kubelet)) => {
                Some((node.clone(), self.is_older_than_a_window(node), kubelet.resource_metrics(self.now)))
            }
            _ => None,
        });
        Some(Arc::new(metrics(end, nodes.collect())))
    }

    fn is_older_than_a_window(&self, node: &Name) -> bool {
        let object = self.api.etcd().get(Kind::Node, &ObjectKey::new("", &**node));
        let created = object.and_then(|object| object.metadata().creation_timestamp.clone());
        created.is_some_and(|created| Time::from(&created) + WINDOW <= window_end(self.now))
    }

    /// Lets autoscalers, where there are any, see what metrics-server would say now.
    pub(super) fn measure_for_autoscalers(&mut self) {
        if self.api.etcd().count(Kind::HorizontalPodAutoscaler) > 0
            && let Some(metrics) = self.newer_metrics()
        {
            self.api.set_metrics(metrics);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::node::kubelet::resource_metrics::{ContainerUsage, PodUsage};

    fn container(name: &str, millis: Option<u64>) -> ContainerUsage {
        let processor = millis.map(|millis| (millis * 1_000_000, Duration::from_secs(12)));
        ContainerUsage { name: name.to_owned(), processor, memory_bytes: 1 << 20 }
    }

    #[test]
    fn a_pod_is_told_once_all_its_containers_are_and_a_node_once_it_is_old_enough() {
        let pod = |name: &str, containers| PodUsage { pod: ObjectKey::new("a", name), containers };
        let pods = || {
            vec![
                pod("whole", vec![container("c", Some(100)), container("d", Some(20))]),
                pod("young", vec![container("c", Some(5)), container("d", None)]),
            ]
        };
        let usage = || NodeUsage { system_nanos: 1000, system_bytes: 1, pods: pods() };
        let end = Time::DEFAULT_START;
        let young = NodeUsage { pods: Vec::new(), ..usage() };
        let told = metrics(end, vec![(Name::from("old"), true, usage()), (Name::from("young"), false, young)]);
        assert_eq!(told.pods.iter().map(|(key, _)| &*key.name).collect::<Vec<_>>(), ["whole"]);
        let whole = told.pods.get(&ObjectKey::new("a", "whole")).expect("it is told");
        assert_eq!((whole.usage.len(), whole.window.as_secs(), whole.timestamp), (2, 12, end));
        assert_eq!(told.nodes.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["old"]);
        let node = told.nodes.get(&Name::from("old")).expect("it is told");
        assert_eq!((node.usage.processor_nanos, node.usage.memory_bytes), (125_001_000, (4 << 20) + 1));
    }
}
