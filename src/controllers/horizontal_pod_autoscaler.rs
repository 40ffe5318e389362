//! Keeps what HorizontalPodAutoscalers point at within their bounds.
//!
//! Guarantees that a target's replicas lie between `minReplicas` and `maxReplicas`, and says in the autoscaler's
//! conditions what it could and could not do. Looks at each autoscaler every 15 seconds. Watches
//! HorizontalPodAutoscalers. Follows `kubernetes/pkg/controller/podautoscaler/horizontal.go`.
//!
//! Not simulated: metrics. It behaves as in a cluster without a metrics server, where no metric can be had and the
//! replicas stay as they are between the bounds.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerSpec, MetricSpec,
};
use serde_json::Value;

use crate::api::{Kind, ObjectKey, Resource, Subresource};
use crate::apiserver::{Body, Response, Target, Verb, WriteOptions};
use crate::client::{
    Client, ClientError, Controller, EventType, InformerEvent, Informers, QueueKey, Requeue, WatchSpec, WorkQueue,
};
use crate::etcd::Why;
use crate::machinery::time::Time;

/// How often an autoscaler is looked at: `--horizontal-pod-autoscaler-sync-period`.
const SYNC_PERIOD: Duration = Duration::from_secs(15);
/// What a cluster without a metrics server answers.
const NO_METRICS: &str = "the server could not find the requested resource (get pods.metrics.k8s.io)";
const NO_CUSTOM_METRICS: &str = "no custom metrics API (custom.metrics.k8s.io) registered";
const NO_EXTERNAL_METRICS: &str = "no external metrics API (external.metrics.k8s.io) registered";

/// The HorizontalPodAutoscaler controller.
#[derive(Clone, Copy, Debug, Default)]
pub struct HorizontalPodAutoscalerController;

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

/// Why a metric cannot be had: the reason of the condition, and the error in upstream's words.
fn failure(metric: &MetricSpec) -> (&'static str, String) {
    let of_resource = |name: &str, is_average: bool| {
        let fetched = format!(
            "unable to get metrics for resource {name}: unable to fetch metrics from resource metrics API: {NO_METRICS}"
        );
        if is_average { fetched } else { format!("failed to get {name} utilization: {fetched}") }
    };
    match metric.type_.as_str() {
        "Resource" => {
            let source = metric.resource.as_ref();
            let is_average = source.is_some_and(|source| source.target.average_value.is_some());
            let error = of_resource(source.map_or("", |source| &source.name), is_average);
            ("FailedGetResourceMetric", error)
        }
        "ContainerResource" => {
            let source = metric.container_resource.as_ref();
            let is_average = source.is_some_and(|source| source.target.average_value.is_some());
            let error = of_resource(source.map_or("", |source| &source.name), is_average);
            ("FailedGetContainerResourceMetric", error)
        }
        "Pods" => {
            let name = metric.pods.as_ref().map_or("", |source| &source.metric.name);
            (
                "FailedGetPodsMetric",
                format!(
                    "unable to get metric {name}: unable to fetch metrics from custom metrics API: {NO_CUSTOM_METRICS}"
                ),
            )
        }
        "Object" => {
            let name = metric.object.as_ref().map_or("", |source| &source.metric.name);
            ("FailedGetObjectMetric", format!("unable to get metric {name}: {NO_CUSTOM_METRICS}"))
        }
        _ => {
            let name = metric.external.as_ref().map_or("", |source| &source.metric.name);
            ("FailedGetExternalMetric", format!("unable to get external metric {name}: {NO_EXTERNAL_METRICS}"))
        }
    }
}

/// What a metric is called where its error is quoted.
fn called(metric: &MetricSpec) -> String {
    match metric.type_.as_str() {
        "Resource" => format!("{} resource", metric.resource.as_ref().map_or("", |source| &source.name)),
        "ContainerResource" => {
            let source = metric.container_resource.as_ref();
            format!("{} container", source.map_or("", |source| &source.name))
        }
        other => other.to_lowercase(),
    }
}

/// `setCondition`.
fn set_condition(
    autoscaler: &mut HorizontalPodAutoscaler,
    now: Time,
    type_: &str,
    status: &str,
    reason: &str,
    message: &str,
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
fn target(autoscaler: &HorizontalPodAutoscaler, client: &Client<'_>) -> Result<Target, String> {
    let reference = &autoscaler.spec.scale_target_ref;
    let version = reference.api_version.as_deref().unwrap_or("");
    let kind = client.kind_of(version, &reference.kind).filter(|kind| kind.has(Subresource::Scale));
    let key = ObjectKey::new(autoscaler.namespace(), reference.name.as_str());
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let unknown = || format!("no matches for kind {:?} in group {group:?}", reference.kind);
    kind.map(|kind| Target::object(kind, &key).below(Subresource::Scale)).ok_or_else(unknown)
}

impl HorizontalPodAutoscalerController {
    /// The target's scale, or why it cannot be had.
    fn scale(target: &Target, client: &mut Client<'_>) -> Result<Result<Value, String>, ClientError> {
        match client.request(target.clone(), Verb::Get) {
            Ok(response) => Ok(Ok(match response {
                Response::Value(scale) => scale,
                other => other.to_value(),
            })),
            Err(error) => match error.status() {
                Some(status) => Ok(Err(status.message().to_owned())),
                None => Err(error),
            },
        }
    }

    /// Nothing can be done about the target.
    fn lost(autoscaler: &mut HorizontalPodAutoscaler, why: &str, client: &mut Client<'_>) {
        client.event(autoscaler, EventType::Warning, "FailedGetScale", why);
        let message = format!("the HPA controller was unable to get the target's current scale: {why}");
        set_condition(autoscaler, client.now, "AbleToScale", "False", "FailedGetScale", &message);
    }

    /// Sets the target to a number that its bounds ask for.
    fn rescale(
        autoscaler: &mut HorizontalPodAutoscaler,
        target: &Target,
        mut scale: Value,
        (desired, reason): (i32, &str),
        client: &mut Client<'_>,
    ) -> Result<(), ClientError> {
        scale["spec"]["replicas"] = desired.into();
        let options = WriteOptions::default();
        match client.request(target.clone(), Verb::Update { body: Body::Json(scale), options }) {
            Ok(_) => {
                let message = format!("the HPA controller was able to update the target scale to {desired}");
                set_condition(autoscaler, client.now, "AbleToScale", "True", "SucceededRescale", &message);
                let message = format!("New size: {desired}; reason: {reason}");
                client.event(autoscaler, EventType::Normal, "SuccessfulRescale", &message);
                let status = autoscaler.status.get_or_insert_default();
                status.last_scale_time = Some(client.now.to_meta());
                status.desired_replicas = desired;
                Ok(())
            }
            Err(error) => {
                let Some(status) = error.status() else { return Err(error) };
                let why = status.message().to_owned();
                let message = format!("New size: {desired}; reason: {reason}; error: {why}");
                client.event(autoscaler, EventType::Warning, "FailedRescale", &message);
                let message = format!("the HPA controller was unable to update the target scale: {why}");
                set_condition(autoscaler, client.now, "AbleToScale", "False", "FailedUpdateScale", &message);
                Ok(())
            }
        }
    }

    /// No metric can be had, and that is told: the end of `computeReplicasForMetrics`.
    fn tell_failures(autoscaler: &mut HorizontalPodAutoscaler, client: &mut Client<'_>) {
        let metrics = autoscaler.spec.metrics.clone().unwrap_or_default();
        for metric in &metrics {
            let (reason, error) = failure(metric);
            client.event(autoscaler, EventType::Warning, reason, &error);
        }
        let Some(first) = metrics.first() else { return };
        let (reason, error) = failure(first);
        let message = format!("the HPA was unable to compute the replica count: {error}");
        set_condition(autoscaler, client.now, "ScalingActive", "False", reason, &message);
        let (count, name) = (metrics.len(), called(first));
        let message = format!(
            "invalid metrics ({count} invalid out of {count}), first error is: failed to get {name} metric value: {error}"
        );
        client.event(autoscaler, EventType::Warning, "FailedComputeMetricsReplicas", &message);
    }
}

impl Controller for HorizontalPodAutoscalerController {
    fn name(&self) -> &'static str {
        "horizontal-pod-autoscaler"
    }

    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::HorizontalPodAutoscaler)]
    }

    fn waits_for_ever(&self) -> bool {
        true
    }

    fn on_event(&mut self, event: &InformerEvent, _listers: &Informers, queue: &mut WorkQueue) {
        if event.after::<HorizontalPodAutoscaler>().is_some() {
            queue.add_after(event.key.clone(), SYNC_PERIOD);
        }
    }

    fn sync(&mut self, key: &QueueKey, listers: &Informers, client: &mut Client<'_>) -> Result<Requeue, ClientError> {
        let Some(original) = listers.get::<HorizontalPodAutoscaler>(key).cloned() else { return Ok(Requeue::Forget) };
        let mut autoscaler = (*original).clone();
        client.reserve(3)?;
        client.because(Why::new("HorizontalPodAutoscaler {} looks at its target.", [autoscaler.name().to_owned()]));
        let target = target(&autoscaler, client);
        let scale = match &target {
            Ok(target) => Self::scale(target, client)?,
            Err(why) => Err(why.clone()),
        };
        match (target, scale) {
            (Ok(target), Ok(scale)) => {
                let message = "the HPA controller was able to get the target's current scale";
                set_condition(&mut autoscaler, client.now, "AbleToScale", "True", "SucceededGetScale", message);
                let current =
                    scale["spec"]["replicas"].as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0);
                autoscaler.status.get_or_insert_default().current_replicas = Some(current);
                match decide(&autoscaler.spec, current) {
                    Decision::Disabled => {
                        let message = "scaling is disabled since the replica count of the target is zero";
                        let (status, reason) = ("False", "ScalingDisabled");
                        set_condition(&mut autoscaler, client.now, "ScalingActive", status, reason, message);
                    }
                    Decision::Rescale(desired, reason) => {
                        Self::rescale(&mut autoscaler, &target, scale, (desired, reason), client)?;
                    }
                    Decision::AskMetrics => Self::tell_failures(&mut autoscaler, client),
                }
            }
            (_, Err(why)) | (Err(why), _) => Self::lost(&mut autoscaler, &why, client),
        }
        if autoscaler.status != original.status {
            client.update_status(autoscaler)?;
        }
        Ok(Requeue::After(SYNC_PERIOD))
    }

    fn boxed_clone(&self) -> Box<dyn Controller + Send + Sync> {
        Box::new(*self)
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
