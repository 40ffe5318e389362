//! Room for a pod that the cluster or the node itself needs: others have to go.
//!
//! `pkg/kubelet/preemption/preemption.go`. Upstream waits until they have gone before it takes the pod; here it begins
//! beside them.

use k8s_openapi::api::core::v1::Pod;

use crate::client::Client;

use super::Kubelet;
use super::admission::{Rejection, is_critical, shortfall, units_of};
use super::agenda::PodId;
use super::events::{self, Warning};
use super::eviction::disruption_target;
use super::pod_worker::{Killed, Worker};
use super::status::quality;

const REASON: &str = "Preempting";
const EVENT: &str = "Preempted in order to admit critical pod";
const CONDITION: &str = "Pod was preempted by Kubelet to accommodate a critical pod.";

/// How much of each resource must become free.
type Requirements = Vec<(String, i64)>;

/// What is still missing when a pod goes.
fn without(requirements: &Requirements, pod: &Pod) -> Requirements {
    let rest = requirements.iter().map(|(name, amount)| (name.clone(), amount - units_of(pod, name)));
    rest.filter(|(_, amount)| *amount > 0).collect()
}

/// How far from enough it would be if a pod went: `distance`.
fn distance(requirements: &Requirements, pod: &Pod) -> f64 {
    let parts = requirements.iter().map(|(name, amount)| {
        let missing = (amount - units_of(pod, name)).max(0);
        (missing as f64 / *amount as f64).powi(2)
    });
    parts.sum()
}

/// The pods that go, the best fitting one first, until enough is free: `getPodsToPreemptByDistance`.
fn by_distance<'a>(mut pods: Vec<&'a Worker>, mut requirements: Requirements) -> Option<Vec<&'a Worker>> {
    let mut chosen = Vec::new();
    while !requirements.is_empty() {
        let better = |one: &Worker, other: &Worker| {
            let distances = distance(&requirements, &one.pod).total_cmp(&distance(&requirements, &other.pod));
            let by = |name: &str| units_of(&one.pod, name).cmp(&units_of(&other.pod, name));
            distances.then_with(|| by("memory")).then_with(|| by("cpu"))
        };
        let best = (0..pods.len()).min_by(|&one, &other| better(pods[one], pods[other]))?;
        let pod = pods.remove(best);
        requirements = without(&requirements, &pod.pod);
        chosen.push(pod);
    }
    Some(chosen)
}

fn subtract(requirements: Requirements, pods: &[&Worker]) -> Requirements {
    pods.iter().fold(requirements, |left, worker| without(&left, &worker.pod))
}

impl Kubelet {
    /// Why the node does not take a pod, if it does not. For a pod that is needed others go.
    pub(super) fn admit(&mut self, pod: &Pod, client: &mut Client<'_>) -> Option<Rejection> {
        let rejection = self.rejection(pod, &[])?;
        let is_short = rejection.reason.starts_with("OutOf");
        let victims = if is_short && is_critical(pod) { self.victims(pod) } else { None };
        let Some(victims) = victims else { return Some(rejection) };
        let other = self.rejection(pod, &victims);
        if other.is_none() {
            victims.into_iter().for_each(|id| self.preempt(id, client));
        }
        other
    }

    /// Who goes: rather those without requests than others, and as few as will do (`getPodsToPreempt`).
    fn victims(&self, pod: &Pod) -> Option<Vec<PodId>> {
        let candidates: Vec<&Worker> = self
            .workers
            .values()
            .map(|worker| &**worker)
            .filter(|worker| worker.could_have_running_containers() && !is_critical(&worker.pod))
            .collect();
        let others = self.others(&[]);
        let requirements = shortfall(pod, &others, &self.host.config.full_capacity());
        let of = |class: &str| -> Vec<&Worker> {
            candidates.iter().copied().filter(|worker| quality(&worker.pod) == class).collect()
        };
        let (best_effort, burstable) = (of("BestEffort"), of("Burstable"));
        let beyond = subtract(subtract(requirements.clone(), &best_effort), &burstable);
        let guaranteed = by_distance(of("Guaranteed"), beyond)?;
        let beyond = subtract(subtract(requirements.clone(), &best_effort), &guaranteed);
        let burstable = by_distance(burstable, beyond)?;
        let rest = subtract(subtract(requirements, &burstable), &guaranteed);
        let best_effort = by_distance(best_effort, rest)?;
        Some(best_effort.into_iter().chain(burstable).chain(guaranteed).map(|worker| worker.id).collect())
    }

    fn preempt(&mut self, id: PodId, client: &mut Client<'_>) {
        self.with_worker(id, client, |worker, host, client| {
            let pod = worker.pod.clone();
            client.event_about(&events::pod_reference(&pod), Warning, REASON, EVENT);
            let condition = Some(disruption_target(&pod, CONDITION));
            let killed = Killed { reason: REASON, message: EVENT.to_owned(), condition, even_succeeded: true };
            let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
            worker.kill(killed, grace, host, client.now);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_best_fitting_pods_go() {
        let worker = |id: u32, cpu: &str, memory: &str| {
            let spec = serde_json::json!({"spec": {"containers": [
                {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}},
            ]}});
            Worker::new(id, Arc::new(serde_json::from_value::<Pod>(spec).expect("it is a pod")))
        };
        let workers =
            [worker(1, "2", "1Gi"), worker(2, "500m", "1Gi"), worker(3, "500m", "2Gi"), worker(4, "1", "1Mi")];
        let chosen = |requirements: &[(&str, i64)]| {
            let requirements = requirements.iter().map(|(name, amount)| ((*name).to_owned(), *amount)).collect();
            let chosen = by_distance(workers.iter().collect(), requirements)?;
            Some(chosen.iter().map(|worker| worker.id).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]), Some(vec![]));
        assert_eq!(
            chosen(&[("cpu", 500)]),
            Some(vec![4]),
            "of those that will do, the one that asks for the least memory"
        );
        assert_eq!(chosen(&[("cpu", 500), ("memory", 1 << 30)]), Some(vec![2]));
        assert_eq!(chosen(&[("cpu", 2500)]), Some(vec![1, 4]));
        assert_eq!(chosen(&[("pods", 2)]), Some(vec![4, 2]));
        assert_eq!(chosen(&[("cpu", 9000)]), None);
    }
}
