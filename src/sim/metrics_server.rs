//! metrics-server: asks every kubelet what its pods use, four times a minute, and answers for it at `metrics.k8s.io`.
//!
//! Follows `sigs.k8s.io/metrics-server/pkg/{server,storage,scraper}`: processor time is what a counter grew by between two
//! looks; a pod is told once all its containers have been seen twice, or once they run for ten seconds.
//!
//! It is no pod: upstream's own is one more Deployment, which would take its place among a lesson's.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{Name, ObjectKey};
use crate::apiserver::metrics::{Measured, Metrics, Usage};
use crate::client::{Client, Identity, InformerEvent, Process, Token, WatchSpec};
use crate::machinery::persistent::OrdMap;
use crate::machinery::time::Time;
use crate::node::kubelet::resource_metrics::{ContainerUsage, NodeUsage};

use super::bootstrap::control_plane;
use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

/// How often it looks: `--metric-resolution`.
const RESOLUTION: Duration = Duration::from_secs(15);
/// When it looks first.
const FIRST: Duration = Duration::from_secs(5);
/// How long a container must have run to be told after one look: `freshContainerMinMetricsResolution`.
const FRESH_MIN: Duration = Duration::from_secs(10);

/// What a container's counter showed at a look.
#[derive(Clone, Debug)]
struct Point {
    started: Time,
    processor_nanos: u64,
}

/// metrics-server.
#[derive(Clone, Debug, Default)]
pub(super) struct MetricsServer {
    looked_at: Option<Time>,
    /// The counters at the last look, by the pod's uid and the container's name.
    points: OrdMap<(Name, Name), Point>,
}

impl MetricsServer {
    /// Takes in what the kubelets that can be reached said, and tells what follows from it.
    fn take(&mut self, now: Time, nodes: Vec<(Name, NodeUsage)>) -> Metrics {
        let mut metrics = Metrics::default();
        let mut points = OrdMap::new();
        for (node, usage) in nodes {
            let mut total = Usage { processor_nanos: usage.system_nanos, memory_bytes: usage.system_bytes };
            for pod in usage.pods {
                let mut used = Vec::new();
                let mut window = RESOLUTION;
                let mut is_whole = true;
                for container in &pod.containers {
                    let key = (pod.uid.clone(), Name::from(container.name.as_str()));
                    let rate = self.rate(&key, container, now);
                    let point = Point { started: container.started, processor_nanos: container.processor_nanos };
                    points.insert(key, point);
                    total.memory_bytes += container.memory_bytes;
                    let Some((nanos, over)) = rate else {
                        is_whole = false;
                        continue;
                    };
                    total.processor_nanos += nanos;
                    window = over;
                    let usage = Usage { processor_nanos: nanos, memory_bytes: container.memory_bytes };
                    used.push((container.name.clone(), usage));
                }
                if is_whole {
                    metrics.pods.insert(pod.pod, Measured { timestamp: now, window, usage: Arc::from(used) });
                }
            }
            if let Some(before) = self.looked_at {
                metrics.nodes.insert(node, Measured { timestamp: now, window: now.since(before), usage: total });
            }
        }
        self.points = points;
        self.looked_at = Some(now);
        metrics
    }

    /// What a container uses in nanoseconds a second, and over which time that was found.
    fn rate(&self, key: &(Name, Name), container: &ContainerUsage, now: Time) -> Option<(u64, Duration)> {
        let before = self.points.get(key).filter(|point| point.started == container.started).zip(self.looked_at);
        let (nanos, window) = match before {
            Some((point, then)) => (container.processor_nanos.checked_sub(point.processor_nanos)?, now.since(then)),
            None => (container.processor_nanos, now.since(container.started)),
        };
        if window.is_zero() || (before.is_none() && window < FRESH_MIN) {
            return None;
        }
        let rate = u128::from(nanos) * 1_000_000_000 / window.as_nanos();
        let rate = container.directed.unwrap_or(u64::try_from(rate).unwrap_or(u64::MAX));
        let most = container.processor_limit.map_or(u64::MAX, |millis| u64::from(millis) * 1_000_000);
        Some((rate.min(most), window))
    }
}

impl Process for MetricsServer {
    fn watches(&self) -> Vec<WatchSpec> {
        Vec::new()
    }

    fn start(&mut self, client: &mut Client<'_>) {
        *self = Self::default();
        client.wake_in_background(client.now + FIRST, Token::default());
    }

    fn deliver(&mut self, _event: &InformerEvent, _client: &mut Client<'_>) {}

    fn wake(&mut self, token: Token, client: &mut Client<'_>) {
        client.wake_in_background(client.now + RESOLUTION, token);
    }
}

impl Cluster {
    /// Lets metrics-server run, and its API be served, with nothing to tell yet.
    pub(super) fn start_metrics_server(&mut self) {
        let identity = Identity { component: Name::from("metrics-server"), ..control_plane("metrics-server") };
        self.api.set_metrics(Metrics::default());
        self.add_process(ProcessId::MetricsServer, Program::MetricsServer(Arc::default()), identity);
    }

    /// metrics-server asks all kubelets that it can reach.
    pub(super) fn scrape(&mut self) {
        let nodes: Vec<(Name, NodeUsage)> = self
            .processes
            .iter()
            .filter(|(_, slot)| slot.state.running && slot.state.connected)
            .filter_map(|(id, slot)| match (id, &slot.program) {
                (ProcessId::Kubelet(node), Program::Kubelet(kubelet)) => {
                    Some((node.clone(), kubelet.resource_metrics(self.now)))
                }
                _ => None,
            })
            .collect();
        let Some(slot) = self.processes.get_mut(&ProcessId::MetricsServer) else { return };
        if let Program::MetricsServer(server) = &mut slot.program {
            let metrics = Arc::<MetricsServer>::make_mut(server).take(self.now, nodes);
            self.api.set_metrics(metrics);
        }
    }

    /// What a pod's containers used at the last look, in thousandths of a processor and in bytes.
    #[must_use]
    pub fn pod_usage(&self, pod: &ObjectKey) -> Option<(u64, u64)> {
        let measured = self.api.metrics()?.pods.get(pod)?;
        let nanos: u64 = measured.usage.iter().map(|(_, usage)| usage.processor_nanos).sum();
        let bytes = measured.usage.iter().map(|(_, usage)| usage.memory_bytes).sum();
        Some((nanos.div_ceil(1_000_000), bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::kubelet::resource_metrics::PodUsage;

    fn seconds(seconds: u64) -> Time {
        Time::DEFAULT_START + Duration::from_secs(seconds)
    }

    fn node(started: u64, nanos: u64, directed: Option<u64>) -> Vec<(Name, NodeUsage)> {
        let container = ContainerUsage {
            name: "c".to_owned(),
            started: seconds(started),
            processor_nanos: nanos,
            directed,
            processor_limit: Some(500),
            memory_bytes: 1 << 20,
        };
        let pod = PodUsage { pod: ObjectKey::new("a", "p"), uid: Name::from("u"), containers: vec![container] };
        vec![(Name::from("n"), NodeUsage { system_nanos: 1000, system_bytes: 1, pods: vec![pod] })]
    }

    #[test]
    fn a_counter_is_read_twice_or_has_run_for_a_while() {
        let mut server = MetricsServer::default();
        let pod = ObjectKey::new("a", "p");
        let rate = |metrics: &Metrics| {
            let measured = metrics.pods.get(&pod)?;
            Some((measured.usage[0].1.processor_nanos, measured.window.as_secs()))
        };
        assert_eq!(rate(&server.take(seconds(5), node(0, 1_000_000, None))), None);
        let metrics = server.take(seconds(20), node(0, 1_501_000_000, None));
        assert_eq!(rate(&metrics), Some((100_000_000, 15)));
        let of_node = metrics.nodes.get(&Name::from("n")).expect("the node was seen twice");
        assert_eq!((of_node.usage.processor_nanos, of_node.usage.memory_bytes), (100_001_000, (1 << 20) + 1));
        // It was started anew twelve seconds before the next look; what it gets is limited.
        assert_eq!(rate(&server.take(seconds(35), node(23, 12_000_000_000, None))), Some((500_000_000, 12)));
        assert_eq!(rate(&server.take(seconds(50), node(23, 12_000_000_000, Some(7)))), Some((7, 15)));
        assert_eq!(rate(&server.take(seconds(65), Vec::new())), None);
    }
}
