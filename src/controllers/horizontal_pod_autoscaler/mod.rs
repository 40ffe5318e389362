//! Scales what HorizontalPodAutoscalers point at by what it uses.
//!
//! Guarantees that a target's replicas lie between `minReplicas` and `maxReplicas` and follow its metrics, within the
//! autoscaler's behaviour, and says in the autoscaler's status and conditions what it saw and did. Looks at each
//! autoscaler every 15 seconds. Watches HorizontalPodAutoscalers and Pods. Follows
//! `kubernetes/pkg/controller/podautoscaler/horizontal.go`.

mod behavior;
mod compute;
mod metrics;
mod replica_calculator;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerSpec, MetricStatus,
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use crate::api::{Kind, ObjectKey, Resource, Subresource};
use crate::apiserver::{Body, Response, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::labels::Selector;
use crate::machinery::time::Time;

use behavior::{Memory, Wanted};
use compute::{Failure, Look, Scale};

/// How often an autoscaler is looked at: `--horizontal-pod-autoscaler-sync-period`.
const SYNC_PERIOD: Duration = Duration::from_secs(15);

/// The HorizontalPodAutoscaler controller.
#[derive(Clone, Debug, Default)]
pub struct HorizontalPodAutoscalerController {
    memories: BTreeMap<ObjectKey, Memory>,
    /// What the targets' selectors were when they were last looked at: `hpaSelectors`.
    selectors: BTreeMap<ObjectKey, Selector>,
}

/// What is to become of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decision {
    /// Somebody set it to zero: it is left alone.
    Disabled,
    /// It lies outside the bounds.
    Rescale(i32, &'static str),
    /// The metrics have to say.
    AskMetrics,
}

/// What the bounds alone say: the middle of `reconcileAutoscaler`.
fn decide(spec: &HorizontalPodAutoscalerSpec, current: i32) -> Decision {
    let least = spec.min_replicas.unwrap_or(1);
    if current == 0 && least != 0 {
        return Decision::Disabled;
    }
    if current > spec.max_replicas {
        return Decision::Rescale(spec.max_replicas, "Current number of replicas above Spec.MaxReplicas");
    }
    if current < least {
        return Decision::Rescale(least, "Current number of replicas below Spec.MinReplicas");
    }
    Decision::AskMetrics
}

/// `setCondition`.
fn set_condition(
    autoscaler: &mut HorizontalPodAutoscaler,
    now: Time,
    type_: &str,
    status: &str,
    (reason, message): (&str, &str),
) {
    let conditions = autoscaler.status.get_or_insert_default().conditions.get_or_insert_default();
    let at = conditions.iter().position(|known| known.type_ == type_).unwrap_or_else(|| {
        let fresh = HorizontalPodAutoscalerCondition { type_: type_.to_owned(), ..Default::default() };
        conditions.push(fresh);
        conditions.len() - 1
    });
    let condition = &mut conditions[at];
    if condition.status != status {
        condition.last_transition_time = Some(now.to_meta());
    }
    status.clone_into(&mut condition.status);
    condition.reason = Some(reason.to_owned());
    condition.message = Some(message.to_owned());
}

/// What an autoscaler points at, as the API server knows it.
fn target(autoscaler: &HorizontalPodAutoscaler) -> Result<Target, String> {
    let reference = &autoscaler.spec.scale_target_ref;
    let version = reference.api_version.as_deref().unwrap_or("");
    let kind = Kind::from_manifest(version, &reference.kind).filter(|kind| kind.has(Subresource::Scale));
    let key = ObjectKey::new(autoscaler.namespace(), reference.name.as_str());
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let unknown = || format!("no matches for kind {:?} in group {group:?}", reference.kind);
    kind.map(|kind| Target::object(kind, &key).below(Subresource::Scale)).ok_or_else(unknown)
}

/// What the metrics came to: `computeReplicasForMetrics`.
struct Computed {
    /// How many replicas they ask for, and which of them does; `None` when not enough of them say anything.
    asked: Option<(i32, String)>,
    statuses: Vec<MetricStatus>,
    /// What to tell of those that failed.
    error: Option<String>,
}

/// Why a target's pods cannot be told from its selector.
struct Flaw {
    event: &'static str,
    error: String,
    reason: &'static str,
    message: String,
}

/// An autoscaler while it is looked at.
struct Pass<'a, 'c> {
    autoscaler: HorizontalPodAutoscaler,
    target: Target,
    /// The scale as the API server gave it.
    value: Value,
    scale: Scale,
    /// All autoscalers whose targets' selectors mean any of the target's pods, this one among them.
    rivals: Vec<ObjectKey>,
    memory: &'a mut Memory,
    client: &'a mut Client<'c>,
}

impl Pass<'_, '_> {
    fn condition(&mut self, type_: &str, status: &str, reason: (&str, &str)) {
        set_condition(&mut self.autoscaler, self.client.now, type_, status, reason);
    }

    /// What is wrong with the target's selector: `validateAndParseSelector`.
    fn flaw_of_selector(&self) -> Option<Flaw> {
        let text = &self.scale.selector;
        if text.is_empty() {
            return Some(Flaw {
                event: "SelectorRequired",
                error: "selector is required".to_owned(),
                reason: "InvalidSelector",
                message: "the HPA target's scale is missing a selector".to_owned(),
            });
        }
        if let Err(error) = Selector::parse(text) {
            let why = format!("couldn't convert selector into a corresponding internal selector object: {error}");
            return Some(Flaw {
                event: "InvalidSelector",
                error: why.clone(),
                reason: "InvalidSelector",
                message: why,
            });
        }
        (self.rivals.len() > 1).then(|| {
            let rivals: Vec<String> = self.rivals.iter().map(ToString::to_string).collect();
            let rivals = rivals.join(" ");
            let why = format!("pods by selector {text} are controlled by multiple HPAs: [{rivals}]");
            Flaw { event: "AmbiguousSelector", error: why.clone(), reason: "AmbiguousSelector", message: why }
        })
    }

    fn compute(&mut self) -> Result<Computed, ClientError> {
        let metrics = self.autoscaler.spec.metrics.clone().unwrap_or_default();
        let mut computed = Computed { asked: None, statuses: Vec::new(), error: None };
        if let Some(flaw) = self.flaw_of_selector() {
            self.client.event(&self.autoscaler, EventType::Warning, flaw.event, &flaw.error);
            self.condition("ScalingActive", "False", (flaw.reason, &flaw.message));
            computed.error = Some(flaw.error);
            return Ok(computed);
        }
        let mut failures: Vec<Failure> = Vec::new();
        let mut highest: Option<(i32, String)> = None;
        for metric in &metrics {
            let mut look = Look { autoscaler: &self.autoscaler, scale: &self.scale, client: &mut *self.client };
            match look.ask(metric)? {
                Ok(asked) => {
                    if highest.as_ref().is_none_or(|(replicas, _)| *replicas == 0 || asked.replicas > *replicas) {
                        highest = Some((asked.replicas, asked.name));
                    }
                    computed.statuses.push(asked.status);
                }
                Err(failure) => {
                    self.client.event(&self.autoscaler, EventType::Warning, failure.reason, &failure.why);
                    computed.statuses.push(MetricStatus::default());
                    failures.push(failure);
                }
            }
        }
        if let Some(first) = failures.first() {
            let (count, all) = (failures.len(), metrics.len());
            let why = &first.summary;
            computed.error = Some(format!("invalid metrics ({count} invalid out of {all}), first error is: {why}"));
            // What some metrics say is enough to scale up by, never to scale down.
            if highest.as_ref().is_none_or(|(replicas, _)| *replicas < self.scale.wanted) {
                let message = format!("the HPA was unable to compute the replica count: {}", first.why);
                let reason = first.reason;
                self.condition("ScalingActive", "False", (reason, &message));
                return Ok(computed);
            }
        }
        if let Some((_, name)) = &highest {
            let message = format!("the HPA was able to successfully calculate a replica count from {name}");
            self.condition("ScalingActive", "True", ("ValidMetricFound", &message));
        }
        computed.asked = highest;
        Ok(computed)
    }

    /// Sets the target to a number. Says whether that was done.
    fn rescale(&mut self, desired: i32, reason: &str) -> Result<bool, ClientError> {
        self.client.because(Why::new(
            "HorizontalPodAutoscaler {} sets {} to {} replicas: {}.",
            [self.autoscaler.name().to_owned(), self.target.name.to_string(), desired.to_string(), reason.to_owned()],
        ));
        let mut scale = self.value.clone();
        scale["spec"]["replicas"] = desired.into();
        let options = WriteOptions::default();
        match self.client.request(self.target.clone(), Verb::Update { body: Body::Json(scale), options }) {
            Ok(_) => {
                let message = format!("the HPA controller was able to update the target scale to {desired}");
                self.condition("AbleToScale", "True", ("SucceededRescale", &message));
                let message = format!("New size: {desired}; reason: {reason}");
                self.client.event(&self.autoscaler, EventType::Normal, "SuccessfulRescale", &message);
                let behavior = self.autoscaler.spec.behavior.as_ref();
                self.memory.scaled(behavior, [self.scale.wanted, desired], self.client.now);
                Ok(true)
            }
            Err(error) => {
                let Some(status) = error.status() else { return Err(error) };
                let why = status.message().to_owned();
                let message = format!("New size: {desired}; reason: {reason}; error: {why}");
                self.client.event(&self.autoscaler, EventType::Warning, "FailedRescale", &message);
                let message = format!("the HPA controller was unable to update the target scale: {why}");
                self.condition("AbleToScale", "False", ("FailedUpdateScale", &message));
                Ok(false)
            }
        }
    }

    /// Writes into the status what was seen; `desired` is `None` where nothing was decided.
    fn set_status(&mut self, desired: Option<i32>, statuses: Vec<MetricStatus>, rescaled: bool) {
        let now = self.client.now;
        let status = self.autoscaler.status.get_or_insert_default();
        status.current_replicas = Some(self.scale.wanted);
        status.current_metrics = Some(statuses).filter(|statuses| !statuses.is_empty());
        if let Some(desired) = desired {
            status.desired_replicas = desired;
        }
        if rescaled {
            status.last_scale_time = Some(now.to_meta());
        }
    }

    /// The number of replicas that the metrics ask for, within bounds and rates, and why.
    fn by_metrics(&mut self) -> Result<Option<(i32, String, Vec<MetricStatus>)>, ClientError> {
        let computed = self.compute()?;
        let Some((asked, name)) = computed.asked else {
            // What some metrics say is enough; then the others are told of by their own events only.
            let error = computed.error.unwrap_or_default();
            self.client.event(&self.autoscaler, EventType::Warning, "FailedComputeMetricsReplicas", &error);
            self.set_status(None, computed.statuses, false);
            return Ok(None);
        };
        let current = self.scale.wanted;
        let reason =
            if asked > current { format!("{name} above target") } else { "All metrics below target".to_owned() };
        let spec = &self.autoscaler.spec;
        let wanted = Wanted { least: spec.min_replicas.unwrap_or(1), most: spec.max_replicas, current, desired: asked };
        let normal = self.memory.normalise(spec.behavior.as_ref(), wanted, self.client.now);
        self.condition("AbleToScale", "True", normal.able);
        let (is_limited, reason_of_limit) = normal.limited;
        self.condition("ScalingLimited", if is_limited { "True" } else { "False" }, reason_of_limit);
        Ok(Some((normal.replicas, reason, computed.statuses)))
    }

    /// `reconcileAutoscaler`, from the scale on.
    fn reconcile(&mut self) -> Result<(), ClientError> {
        let message = "the HPA controller was able to get the target's current scale";
        self.condition("AbleToScale", "True", ("SucceededGetScale", message));
        let current = self.scale.wanted;
        self.memory.begin(current, self.client.now);
        let (desired, reason, statuses) = match decide(&self.autoscaler.spec, current) {
            Decision::Disabled => {
                let message = "scaling is disabled since the replica count of the target is zero";
                self.condition("ScalingActive", "False", ("ScalingDisabled", message));
                self.set_status(Some(0), Vec::new(), false);
                return Ok(());
            }
            Decision::Rescale(desired, reason) => (desired, reason.to_owned(), Vec::new()),
            Decision::AskMetrics => match self.by_metrics()? {
                Some(found) => found,
                None => return Ok(()),
            },
        };
        if desired == current {
            self.set_status(Some(current), statuses, false);
            return Ok(());
        }
        let done = self.rescale(desired, &reason)?;
        self.set_status(done.then_some(desired), statuses, done);
        Ok(())
    }
}

/// The target's scale, or why it cannot be had.
fn get_scale(target: &Target, client: &mut Client<'_>) -> Result<Result<Value, String>, ClientError> {
    match client.request(target.clone(), Verb::Get) {
        Ok(Response::Value(scale)) => Ok(Ok(scale)),
        Ok(other) => Ok(Ok(other.to_value())),
        Err(error) => match error.status() {
            Some(status) => Ok(Err(status.message().to_owned())),
            None => Err(error),
        },
    }
}

/// A scale with the pods that it means.
fn read_scale(value: &Value, namespace: &str, listers: &Informers) -> Scale {
    let number = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
    let selector = value["status"]["selector"].as_str().unwrap_or("").to_owned();
    let parsed = Selector::parse(&selector).ok().filter(|_| !selector.is_empty());
    let is_meant = |pod: &&Arc<Pod>| {
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        parsed.as_ref().is_some_and(|selector| selector.matches(&labels))
    };
    Scale {
        wanted: number(&value["spec"]["replicas"]),
        there: number(&value["status"]["replicas"]),
        pods: listers.list_in::<Pod>(namespace).filter(is_meant).cloned().collect(),
        selector,
    }
}

impl HorizontalPodAutoscalerController {
    /// Remembers what a target's selector means, and says which autoscalers mean any of the same pods:
    /// `hpasControllingPodsUnderSelector`. Where the metrics are not asked, upstream does not come to look.
    fn rivals(&mut self, key: &ObjectKey, scale: &Scale, spec: &HorizontalPodAutoscalerSpec) -> Vec<ObjectKey> {
        let Some(selector) = Selector::parse(&scale.selector).ok().filter(|_| !scale.selector.is_empty()) else {
            return Vec::new();
        };
        if decide(spec, scale.wanted) != Decision::AskMetrics {
            return Vec::new();
        }
        self.selectors.insert(key.clone(), selector);
        let means_any = |selector: &Selector| scale.pods.iter().any(|pod| selector.matches(&pod.metadata.labels));
        let of_namespace = self.selectors.iter().filter(|(other, _)| other.namespace == key.namespace);
        of_namespace.filter(|(_, selector)| means_any(selector)).map(|(other, _)| other.clone()).collect()
    }
}

impl Controller for HorizontalPodAutoscalerController {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::HorizontalPodAutoscaler), WatchSpec::all(Kind::Pod)]
    }

    fn waits_for_ever(&self) -> bool {
        true
    }

    fn reset(&mut self) {
        self.memories.clear();
        self.selectors.clear();
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.kind == Kind::HorizontalPodAutoscaler && event.after::<HorizontalPodAutoscaler>().is_some() {
            queue.add_after(event.key.clone(), SYNC_PERIOD);
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(original) = listers.get::<HorizontalPodAutoscaler>(key).cloned() else {
            self.memories.remove(key);
            self.selectors.remove(key);
            return Ok(Requeue::Forget);
        };
        let mut autoscaler = (*original).clone();
        let metrics = autoscaler.spec.metrics.as_ref().map_or(0, Vec::len);
        client.reserve(3 + metrics)?;
        client.because(Why::new("HorizontalPodAutoscaler {} looks at its target.", [autoscaler.name().to_owned()]));
        let target = target(&autoscaler);
        let scale = match &target {
            Ok(target) => get_scale(target, client)?,
            Err(why) => Err(why.clone()),
        };
        match (target, scale) {
            (Ok(target), Ok(value)) => {
                let scale = read_scale(&value, autoscaler.namespace(), listers);
                let rivals = self.rivals(key, &scale, &autoscaler.spec);
                let memory = self.memories.entry(key.clone()).or_default();
                let mut pass = Pass { autoscaler, target, value, scale, rivals, memory, client: &mut *client };
                pass.reconcile()?;
                autoscaler = pass.autoscaler;
            }
            (_, Err(why)) | (Err(why), _) => {
                client.event(&autoscaler, EventType::Warning, "FailedGetScale", &why);
                let message = format!("the HPA controller was unable to get the target's current scale: {why}");
                set_condition(&mut autoscaler, client.now, "AbleToScale", "False", ("FailedGetScale", &message));
            }
        }
        if autoscaler.status != original.status {
            client.because(Why::new("HorizontalPodAutoscaler {} looks at its target.", [autoscaler.name().to_owned()]));
            client.update_status(autoscaler)?;
        }
        Ok(Requeue::After(SYNC_PERIOD))
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_go_before_the_metrics() {
        let spec = HorizontalPodAutoscalerSpec {
            min_replicas: Some(2),
            max_replicas: 4,
            ..HorizontalPodAutoscalerSpec::default()
        };
        assert_eq!(decide(&spec, 0), Decision::Disabled);
        assert!(matches!(decide(&spec, 1), Decision::Rescale(2, _)));
        assert!(matches!(decide(&spec, 9), Decision::Rescale(4, _)));
        assert_eq!(decide(&spec, 3), Decision::AskMetrics);
    }
}
