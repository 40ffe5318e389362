//! Where the autoscaler's metrics come from.
//!
//! Resource metrics are asked of `metrics.k8s.io`, as `kubernetes/pkg/controller/podautoscaler/metrics/client.go` does.
//! What a metrics adapter would measure of an application stands in annotations: `kubetab/metric.NAME` of a pod, of the
//! object that an `Object` metric describes, and of the autoscaler's namespace for an `External` one. Its value is an
//! amount, or amounts over time as in `"20@1m,150"`, counted from the object's creation.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::CrossVersionObjectReference;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::api::{Kind, Object, ObjectKey, Resource};
use crate::apiserver::{ListOptions, Response, Target, Verb};
use crate::client::{Client, ClientError};
use crate::machinery::amount::AmountScript;
use crate::machinery::duration::GoDuration;
use crate::machinery::quantity::Quantity;
use crate::machinery::time::Time;

use super::replica_calculator::{PodMetric, PodMetrics};

/// What client-go makes of a server that serves no metrics.
const NO_METRICS: &str = "the server could not find the requested resource (get pods.metrics.k8s.io)";
const NO_CUSTOM_METRICS: &str = "unable to fetch metrics from custom metrics API: no custom metrics API \
                                 (custom.metrics.k8s.io) registered";
const NO_EXTERNAL_METRICS: &str = "unable to fetch metrics from external metrics API: no external metrics API \
                                   (external.metrics.k8s.io) registered";
/// Over how long an adapter measures.
const ADAPTER_WINDOW: Duration = Duration::from_secs(60);

/// An answer, or why there is none; the outer error is of the client itself.
type Asked<T> = Result<Result<T, String>, ClientError>;

/// `GetResourceMetric`: what a resource of the pods of a selector is used, in thousandths; of one container, or of all.
pub(super) fn of_resource(
    client: &mut Client<'_>,
    (namespace, selector): (&str, &str),
    container: &str,
    resource: &str,
) -> Asked<PodMetrics> {
    let options = ListOptions { label_selector: selector.to_owned(), ..ListOptions::default() };
    let answer = client.request(Target::collection(Kind::PodMetrics, namespace), Verb::List(options));
    let list = match answer {
        Ok(Response::List(list)) => list.items,
        Ok(_) => Vec::new(),
        Err(error) => {
            let Some(status) = error.status() else { return Err(error) };
            let why = if status.is_not_found() { NO_METRICS } else { status.message() };
            return Ok(Err(format!("unable to fetch metrics from resource metrics API: {why}")));
        }
    };
    if list.is_empty() {
        return Ok(Err("no metrics returned from resource metrics API".to_owned()));
    }
    Ok(Ok(list.iter().filter_map(|object| pod_metric(object, container, resource)).collect()))
}

fn pod_metric(object: &Object, container: &str, resource: &str) -> Option<(String, PodMetric)> {
    let Object::Unstructured(metrics) = object else { return None };
    let text = |field: &str| metrics.fields.get(field).and_then(Value::as_str).unwrap_or("");
    let mut sum = 0;
    let mut is_there = false;
    for it in metrics.fields.get("containers").and_then(Value::as_array).into_iter().flatten() {
        if container.is_empty() || it["name"] == container {
            // A pod of which a container says nothing is as good as not measured.
            sum += Quantity::parse_json(&it["usage"][resource]).ok()?.milli_value();
            is_there = true;
        }
    }
    let window = GoDuration::parse(text("window")).map_or(Duration::ZERO, GoDuration::to_std);
    let metric = PodMetric { value: sum, timestamp: Time::parse(text("timestamp"))?, window };
    is_there.then(|| (metrics.metadata.name.clone().unwrap_or_default(), metric))
}

/// What an annotation says of a metric, in thousandths.
fn annotated(metadata: &ObjectMeta, name: &str, now: Time) -> Option<i64> {
    let text = metadata.annotations.as_ref()?.get(&format!("kubetab/metric.{name}"))?;
    let created = metadata.creation_timestamp.as_ref().map_or(now, Time::from);
    Some(AmountScript::parse(text).ok()?.amount_at(now.since(created)).milli_value())
}

/// `GetRawMetric`: a metric of each pod.
pub(super) fn of_pods(pods: &[Arc<Pod>], name: &str, now: Time) -> Result<PodMetrics, String> {
    let metric = |value| PodMetric { value, timestamp: now, window: ADAPTER_WINDOW };
    let measured: PodMetrics = pods
        .iter()
        .filter_map(|pod| Some((pod.name().to_owned(), metric(annotated(&pod.metadata, name, now)?))))
        .collect();
    if measured.is_empty() { Err(NO_CUSTOM_METRICS.to_owned()) } else { Ok(measured) }
}

/// `GetObjectMetric`: a metric of an object.
pub(super) fn of_object(
    client: &mut Client<'_>,
    namespace: &str,
    described: &CrossVersionObjectReference,
    name: &str,
) -> Asked<i64> {
    let missing = || NO_CUSTOM_METRICS.to_owned();
    let version = described.api_version.as_deref().unwrap_or("");
    let Some(kind) = Kind::from_manifest(version, &described.kind) else { return Ok(Err(missing())) };
    let namespace = if kind.info().namespaced { namespace } else { "" };
    let target = Target::object(kind, &ObjectKey::new(namespace, described.name.as_str()));
    let value = match client.request(target, Verb::Get) {
        Ok(Response::Object(object)) => annotated(object.metadata(), name, client.now),
        Ok(_) => None,
        Err(error) if error.status().is_some() => None,
        Err(error) => return Err(error),
    };
    Ok(value.ok_or_else(missing))
}

/// `GetExternalMetric`: a metric of something outside the cluster.
pub(super) fn external(client: &mut Client<'_>, namespace: &str, name: &str) -> Asked<i64> {
    let value = match client.get::<Namespace>(&ObjectKey::new("", namespace)) {
        Ok(namespace) => annotated(&namespace.metadata, name, client.now),
        Err(error) if error.status().is_some() => None,
        Err(error) => return Err(error),
    };
    Ok(value.ok_or_else(|| NO_EXTERNAL_METRICS.to_owned()))
}
