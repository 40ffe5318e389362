//! How many replicas a metric asks for. Pure: no clock but the one that is told, no store.
//!
//! Follows `kubernetes/pkg/controller/podautoscaler/replica_calculator.go` and `metrics/utilization.go`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodCondition};

use crate::api::Resource;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

/// How long after its start a pod's processor time is looked at with care: `--horizontal-pod-autoscaler-cpu-initialization-period`.
const CPU_INITIALIZATION_PERIOD: Duration = Duration::from_secs(300);
/// `--horizontal-pod-autoscaler-initial-readiness-delay`.
const DELAY_OF_INITIAL_READINESS: Duration = Duration::from_secs(30);

/// What a pod's metric says, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PodMetric {
    pub value: i64,
    pub timestamp: Time,
    pub window: Duration,
}

/// The metrics of pods, by their names.
pub(super) type PodMetrics = BTreeMap<String, PodMetric>;

/// How far a ratio may be from one without anything being done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerances {
    pub scale_up: f64,
    pub scale_down: f64,
}

impl Tolerances {
    fn allow(self, ratio: f64) -> bool {
        (1.0 - self.scale_down) <= ratio && ratio <= (1.0 + self.scale_up)
    }
}

/// What a calculation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub replicas: i32,
    /// Per cent of what was requested; only of a utilisation.
    pub utilization: i32,
    /// The average, or the value, in thousandths.
    pub raw: i64,
}

/// Pods by what their metrics are good for: `groupPods`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Groups {
    ready: usize,
    unready: BTreeSet<String>,
    missing: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn group(pods: &[Arc<Pod>], metrics: &PodMetrics, resource: &str, now: Time) -> Groups {
    let mut groups = Groups::default();
    for pod in pods {
        let name = pod.name().to_owned();
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("");
        if pod.metadata.deletion_timestamp.is_some() || phase == "Failed" {
            groups.ignored.insert(name);
        } else if phase == "Pending" {
            groups.unready.insert(name);
        } else {
            match metrics.get(&name) {
                None => drop(groups.missing.insert(name)),
                Some(metric) if resource == "cpu" && is_unready(pod, metric, now) => drop(groups.unready.insert(name)),
                Some(_) => groups.ready += 1,
            }
        }
    }
    groups
}

/// Whether processor time of this pod says nothing: it is not ready yet, or was not for the whole window.
fn is_unready(pod: &Pod, metric: &PodMetric, now: Time) -> bool {
    let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(Time::from);
    let Some((condition, started)) = condition(pod, "Ready").zip(started) else { return true };
    let changed = condition.last_transition_time.as_ref().map_or(started, Time::from);
    let is_false = condition.status == "False";
    if started + CPU_INITIALIZATION_PERIOD > now {
        is_false || metric.timestamp < changed + metric.window
    } else {
        is_false && started + DELAY_OF_INITIAL_READINESS > changed
    }
}

/// `calculatePodRequests`, in thousandths; of one container, or of all.
pub(super) fn requests(pods: &[Arc<Pod>], container: &str, resource: &str) -> Result<BTreeMap<String, i64>, String> {
    let mut requests = BTreeMap::new();
    for pod in pods {
        let Some(spec) = &pod.spec else { continue };
        let of_pod = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
        if let Some(amount) = of_pod.filter(|_| container.is_empty()) {
            requests.insert(pod.name().to_owned(), Quantity::of(amount).milli_value());
            continue;
        }
        let sidecars =
            spec.init_containers.iter().flatten().filter(|it| it.restart_policy.as_deref() == Some("Always"));
        let mut sum = 0;
        for it in spec.containers.iter().chain(sidecars).filter(|it| container.is_empty() || it.name == container) {
            let amount = it.resources.as_ref().and_then(|resources| resources.requests.as_ref()?.get(resource));
            let Some(amount) = amount else {
                return Err(format!("missing request for {resource} in container {} of Pod {}", it.name, pod.name()));
            };
            sum += Quantity::of(amount).milli_value();
        }
        requests.insert(pod.name().to_owned(), sum);
    }
    Ok(requests)
}

/// `GetResourceUtilizationRatio`.
fn utilization_ratio(
    metrics: &PodMetrics,
    requests: &BTreeMap<String, i64>,
    target: i32,
) -> Result<(f64, i32, i64), String> {
    let known: Vec<(i64, i64)> =
        metrics.iter().filter_map(|(name, metric)| Some((metric.value, *requests.get(name)?))).collect();
    let used: i64 = known.iter().map(|(used, _)| used).sum();
    let requested: i64 = known.iter().map(|(_, requested)| requested).sum();
    if requested == 0 {
        return Err("no metrics returned matched known pods".to_owned());
    }
    let utilization = i32::try_from(used * 100 / requested).unwrap_or(i32::MAX);
    let count = i64::try_from(known.len()).unwrap_or(1);
    Ok((f64::from(utilization) / f64::from(target), utilization, used / count))
}

/// `GetMetricUsageRatio`.
fn usage_ratio(metrics: &PodMetrics, target: i64) -> (f64, i64) {
    let total: i64 = metrics.values().map(|metric| metric.value).sum();
    let average = total / i64::try_from(metrics.len()).unwrap_or(1).max(1);
    (average as f64 / target as f64, average)
}

fn ceil(value: f64) -> i32 {
    value.ceil() as i32
}

/// What all calculations look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// How many replicas the target wants now.
    pub current: i32,
    /// The pods that its selector means.
    pub pods: &'a [Arc<Pod>],
    pub tolerances: Tolerances,
    pub now: Time,
}

/// Which way the second look goes, when some pods said nothing: `GetResourceReplicas` from its middle on.
struct Second<'a> {
    scene: Scene<'a>,
    groups: Groups,
    first: f64,
    found: Proposal,
}

impl Second<'_> {
    /// Whether pods that are not ready stand in the way of scaling up.
    fn rebalances(&self) -> bool {
        !self.groups.unready.is_empty() && self.first > 1.0
    }

    /// The answer when every pod said something.
    fn at_once(&self) -> Option<Proposal> {
        if self.rebalances() || !self.groups.missing.is_empty() {
            return None;
        }
        if self.scene.tolerances.allow(self.first) {
            return Some(Proposal { replicas: self.scene.current, ..self.found });
        }
        Some(Proposal { replicas: ceil(self.first * self.groups.ready as f64), ..self.found })
    }

    /// Supposes of pods that said nothing what keeps the scaling small.
    fn suppose(&self, metrics: &mut PodMetrics, is_plain: bool, busy: &dyn Fn(&str) -> i64) {
        let metric = |value| PodMetric { value, timestamp: self.scene.now, window: Duration::ZERO };
        for name in &self.groups.missing {
            if self.first < 1.0 {
                metrics.insert(name.clone(), metric(busy(name)));
            } else if is_plain || self.first > 1.0 {
                metrics.insert(name.clone(), metric(0));
            }
        }
        if self.rebalances() {
            metrics.extend(self.groups.unready.iter().map(|name| (name.clone(), metric(0))));
        }
    }

    /// The answer after the second look.
    fn decide(&self, again: f64, count: usize) -> Proposal {
        let stays = Proposal { replicas: self.scene.current, ..self.found };
        let turns = (self.first < 1.0 && again > 1.0) || (self.first > 1.0 && again < 1.0);
        if self.scene.tolerances.allow(again) || turns {
            return stays;
        }
        let replicas = ceil(again * count as f64);
        if (again < 1.0 && replicas > self.scene.current) || (again > 1.0 && replicas < self.scene.current) {
            return stays;
        }
        Proposal { replicas, ..self.found }
    }
}

fn forget(metrics: &mut PodMetrics, groups: &Groups) {
    metrics.retain(|name, _| !groups.ignored.contains(name) && !groups.unready.contains(name));
}

/// `GetResourceReplicas`: so many per cent of what is requested.
pub(super) fn by_utilization(
    scene: Scene<'_>,
    mut metrics: PodMetrics,
    target: i32,
    container: &str,
    resource: &str,
) -> Result<Proposal, String> {
    if scene.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let groups = group(scene.pods, &metrics, resource, scene.now);
    forget(&mut metrics, &groups);
    if metrics.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    let requests = requests(scene.pods, container, resource)?;
    let (first, utilization, raw) = utilization_ratio(&metrics, &requests, target)?;
    let found = Proposal { replicas: scene.current, utilization, raw };
    let second = Second { scene, groups, first, found };
    if let Some(answer) = second.at_once() {
        return Ok(answer);
    }
    // A pod that said nothing is supposed to use all that it requested, or the target when that is more.
    let busy = |name: &str| {
        let fallback = i64::from(target.max(100));
        requests.get(name).copied().unwrap_or(0) * fallback / 100
    };
    second.suppose(&mut metrics, false, &busy);
    let (again, ..) = utilization_ratio(&metrics, &requests, target)?;
    Ok(second.decide(again, metrics.len()))
}

/// `calcPlainMetricReplicas`: so much on the average, in thousandths.
pub(super) fn by_average(
    scene: Scene<'_>,
    mut metrics: PodMetrics,
    target: i64,
    resource: &str,
) -> Result<Proposal, String> {
    if scene.pods.is_empty() {
        return Err("no pods returned by selector while calculating replica count".to_owned());
    }
    let groups = group(scene.pods, &metrics, resource, scene.now);
    forget(&mut metrics, &groups);
    if metrics.is_empty() {
        return Err("did not receive metrics for targeted pods (pods might be unready)".to_owned());
    }
    let (first, raw) = usage_ratio(&metrics, target);
    let found = Proposal { replicas: scene.current, utilization: 0, raw };
    let second = Second { scene, groups, first, found };
    if let Some(answer) = second.at_once() {
        return Ok(answer);
    }
    second.suppose(&mut metrics, true, &|_| target);
    let (again, _) = usage_ratio(&metrics, target);
    Ok(second.decide(again, metrics.len()))
}

/// `getUsageRatioReplicaCount`: a value of the whole, in thousandths.
pub(super) fn by_value(scene: Scene<'_>, value: i64, target: i64) -> Result<Proposal, String> {
    let ratio = value as f64 / target as f64;
    let found = Proposal { replicas: scene.current, utilization: 0, raw: value };
    if scene.current == 0 {
        return Ok(Proposal { replicas: ceil(ratio), ..found });
    }
    if scene.tolerances.allow(ratio) {
        return Ok(found);
    }
    if scene.pods.is_empty() {
        let why = "no pods returned by selector while calculating replica count";
        return Err(format!("unable to calculate ready pods: {why}"));
    }
    let is_ready = |pod: &&Arc<Pod>| {
        pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
            && condition(pod, "Ready").is_some_and(|condition| condition.status == "True")
    };
    let ready = scene.pods.iter().filter(is_ready).count();
    Ok(Proposal { replicas: ceil(ratio * ready as f64), ..found })
}

/// `GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`: a value to be shared by all replicas.
pub(super) fn by_share(scene: Scene<'_>, replicas: i32, value: i64, target: i64) -> Proposal {
    let ratio = value as f64 / (target as f64 * f64::from(replicas));
    let wanted = if scene.tolerances.allow(ratio) { replicas } else { ceil(value as f64 / target as f64) };
    let raw = if replicas == 0 { 0 } else { (value as f64 / f64::from(replicas)).ceil() as i64 };
    Proposal { replicas: wanted, utilization: 0, raw }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Time = Time::DEFAULT_START;

    /// Pods that request 100m each, that long after their start.
    fn pods(phases: &[&str]) -> Vec<Arc<Pod>> {
        let long_ago = (NOW - Duration::from_secs(3600)).to_string();
        let pod = |(index, phase): (usize, &&str)| {
            let (phase, ready) = phase.split_once('/').unwrap_or((*phase, "True"));
            let pod = json!({
                "metadata": { "name": format!("p{index}"), "namespace": "a" },
                "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": "100m" } } }] },
                "status": {
                    "phase": phase, "startTime": long_ago,
                    "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": long_ago }],
                },
            });
            Arc::new(serde_json::from_value(pod).expect("the pod is written out"))
        };
        phases.iter().enumerate().map(pod).collect()
    }

    /// Metrics of the first pods, in thousandths of a processor.
    fn metrics(values: &[i64]) -> PodMetrics {
        let metric = |value: i64| PodMetric { value, timestamp: NOW, window: Duration::from_secs(15) };
        values.iter().enumerate().map(|(index, value)| (format!("p{index}"), metric(*value))).collect()
    }

    fn scene(pods: &[Arc<Pod>], current: i32) -> Scene<'_> {
        Scene { current, pods, tolerances: Tolerances { scale_up: 0.1, scale_down: 0.1 }, now: NOW }
    }

    #[test]
    fn utilization_asks_for_replicas() {
        /// Phases, what each uses, the target in per cent, and what is asked for.
        type Case = (&'static [&'static str], &'static [i64], i32, Result<(i32, i32), &'static str>);
        let cases: &[Case] = &[
            (&["Running", "Running", "Running"], &[30, 50, 70], 30, Ok((5, 50))),
            (&["Running", "Running", "Running"], &[30, 50, 70], 50, Ok((3, 50))),
            (&["Running", "Running", "Running"], &[51, 55, 53], 50, Ok((3, 53))),
            (&["Running", "Running", "Running", "Running"], &[10, 10, 10, 10], 50, Ok((1, 10))),
            // One has no metric: on the way down it is thought to use all of its request, on the way up nothing.
            (&["Running", "Running", "Running"], &[10, 10], 50, Ok((3, 10))),
            (&["Running", "Running", "Running", "Running"], &[10, 10, 10], 50, Ok((3, 10))),
            (&["Running", "Running"], &[200], 50, Ok((4, 200))),
            (&["Running", "Running"], &[100], 50, Ok((2, 100))),
            // One is pending: it holds back the way up only.
            (&["Running", "Pending"], &[200], 50, Ok((4, 200))),
            (&["Running", "Running", "Pending"], &[10, 10], 50, Ok((1, 10))),
            (&["Running", "Failed"], &[100, 900], 50, Ok((2, 100))),
            // One was never ready: it counts like one that is pending.
            (&["Running", "Running/False"], &[100, 900], 50, Ok((2, 100))),
            (&["Pending"], &[], 50, Err("did not receive metrics for targeted pods (pods might be unready)")),
            (&[], &[], 50, Err("no pods returned by selector while calculating replica count")),
        ];
        for (phases, used, target, expected) in cases {
            let pods = pods(phases);
            let current = i32::try_from(phases.len()).unwrap_or(0);
            let found = by_utilization(scene(&pods, current), metrics(used), *target, "", "cpu");
            let found = found.map(|found| (found.replicas, found.utilization));
            assert_eq!(found, expected.map_err(str::to_owned), "{phases:?} {used:?} {target}");
        }
    }

    #[test]
    fn a_request_must_be_there() {
        let pods = pods(&["Running"]);
        let found = by_utilization(scene(&pods, 1), metrics(&[5]), 50, "", "memory");
        assert_eq!(found, Err("missing request for memory in container c of Pod p0".to_owned()));
        let found = by_utilization(scene(&pods, 1), metrics(&[5]), 50, "other", "cpu");
        assert_eq!(found, Err("no metrics returned matched known pods".to_owned()));
    }

    #[test]
    fn a_young_pod_is_looked_at_with_care() {
        let mut young = pods(&["Running", "Running"]);
        let status = Arc::make_mut(&mut young[1]).status.as_mut().expect("it has one");
        let recent = NOW - Duration::from_secs(10);
        status.start_time = Some(recent.to_meta());
        status.conditions.as_mut().expect("it has some")[0].last_transition_time = Some(recent.to_meta());
        // Its window began before it was ready, so what it uses is left out and it is thought to use nothing.
        let found = by_utilization(scene(&young, 2), metrics(&[100, 900]), 50, "", "cpu");
        assert_eq!(found.map(|found| found.replicas), Ok(2));
    }

    #[test]
    fn averages_values_and_shares() {
        let pods = pods(&["Running", "Running"]);
        let average =
            |values: &[i64]| by_average(scene(&pods, 2), metrics(values), 1000, "").map(|it| (it.replicas, it.raw));
        assert_eq!(average(&[3000, 1000]), Ok((4, 2000)));
        assert_eq!(average(&[1050, 1050]), Ok((2, 1050)));
        assert_eq!(average(&[300]), Ok((2, 300)));
        let value = |value| by_value(scene(&pods, 2), value, 10_000).map(|it| it.replicas);
        assert_eq!((value(30_000), value(10_900), value(5_000)), (Ok(6), Ok(2), Ok(1)));
        let share = |value| {
            let found = by_share(scene(&pods, 2), 2, value, 10_000);
            (found.replicas, found.raw)
        };
        assert_eq!((share(50_000), share(21_000)), ((5, 25_000), (2, 10_500)));
        assert_eq!(by_value(scene(&[], 0), 25_000, 10_000).map(|it| it.replicas), Ok(3));
    }
}
