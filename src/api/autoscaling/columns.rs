//! `printHorizontalPodAutoscaler`.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::api::check::list;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::time::Time;

/// So many metrics are shown in a cell.
const METRICS_SHOWN_MAX: usize = 2;

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Reference",
        "scaleTargetRef points to the target resource to scale, and is used to the pods for which metrics should be \
         collected, as well as to actually change the replica count.",
    ),
    ColumnDefinition::text(
        "Targets",
        "metrics contains the specifications for which to use to calculate the desired replica count (the maximum \
         replica count across all metrics will be used).  The desired replica count is calculated multiplying the ratio \
         between the target value and the current value by the current number of pods.  Ergo, metrics used must decrease \
         as the pod count is increased, and vice-versa.  See the individual metric source types for more information \
         about how each type of metric must respond. If not set, the default metric will be set to 80% average CPU \
         utilization.",
    ),
    ColumnDefinition::text(
        "MinPods",
        "minReplicas is the lower limit for the number of replicas to which the autoscaler can scale down.  It defaults \
         to 1 pod.  minReplicas is allowed to be 0 if the alpha feature gate HPAScaleToZero is enabled and at least one \
         Object or External metric is configured.  Scaling is active as long as at least one metric value is available.",
    ),
    ColumnDefinition::text(
        "MaxPods",
        "maxReplicas is the upper limit for the number of replicas to which the autoscaler can scale up. It cannot be \
         less that minReplicas.",
    ),
    ColumnDefinition::text(
        "Replicas",
        "currentReplicas is current number of replicas of pods managed by this autoscaler, as last seen by the \
         autoscaler.",
    ),
    AGE,
];

pub(crate) fn row(autoscaler: &HorizontalPodAutoscaler, now: Time) -> Vec<Value> {
    let spec = &autoscaler.spec;
    let status = autoscaler.status.clone().unwrap_or_default();
    vec![
        name_of(&autoscaler.metadata),
        format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name).into(),
        metrics(list(&spec.metrics), list(&status.current_metrics)).into(),
        spec.min_replicas.map_or_else(|| "<unset>".to_owned(), |least| least.to_string()).into(),
        spec.max_replicas.into(),
        status.current_replicas.unwrap_or(0).into(),
        age_of(&autoscaler.metadata, now),
    ]
}

/// `formatHPAMetrics`.
pub(crate) fn metrics(specs: &[MetricSpec], statuses: &[MetricStatus]) -> String {
    if specs.is_empty() {
        return "<none>".to_owned();
    }
    let texts = specs.iter().enumerate().map(|(index, spec)| metric(spec, statuses.get(index)));
    let shown = texts.take(METRICS_SHOWN_MAX).collect::<Vec<_>>().join(", ");
    match specs.len().saturating_sub(METRICS_SHOWN_MAX) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn metric(spec: &MetricSpec, status: Option<&MetricStatus>) -> String {
    let of_resource = |name: &str, target: &MetricTarget, current: Option<&MetricValueStatus>| {
        let measured = match &target.average_value {
            Some(wanted) => format!("{}/{}", shown(average(current)), wanted.0),
            None => {
                let per_cent = |number: Option<i32>, otherwise: &str| {
                    number.map_or_else(|| otherwise.to_owned(), |number| format!("{number}%"))
                };
                let now = per_cent(current.and_then(|current| current.average_utilization), "<unknown>");
                format!("{now}/{}", per_cent(target.average_utilization, "<auto>"))
            }
        };
        format!("{name}: {measured}")
    };
    let of_value = |target: &MetricTarget, current: Option<&MetricValueStatus>| match &target.average_value {
        Some(wanted) => format!("{}/{} (avg)", shown(average(current)), wanted.0),
        None => {
            let wanted = target.value.as_ref().map_or("0", |wanted| wanted.0.as_str());
            format!("{}/{wanted}", shown(current.and_then(|current| current.value.as_ref())))
        }
    };
    match spec.type_.as_str() {
        "External" => spec.external.as_ref().map(|source| {
            let current = status.and_then(|status| status.external.as_ref());
            of_value(&source.target, current.map(|status| &status.current))
        }),
        "Object" => spec.object.as_ref().map(|source| {
            let current = status.and_then(|status| status.object.as_ref());
            of_value(&source.target, current.map(|status| &status.current))
        }),
        "Pods" => spec.pods.as_ref().map(|source| {
            let current = status.and_then(|status| status.pods.as_ref()).map(|status| &status.current);
            let wanted = source.target.average_value.as_ref().map_or("0", |wanted| wanted.0.as_str());
            format!("{}/{wanted}", shown(average(current)))
        }),
        "Resource" => spec.resource.as_ref().map(|source| {
            let current = status.and_then(|status| status.resource.as_ref());
            of_resource(&source.name, &source.target, current.map(|status| &status.current))
        }),
        "ContainerResource" => spec.container_resource.as_ref().map(|source| {
            let current = status.and_then(|status| status.container_resource.as_ref());
            of_resource(&source.name, &source.target, current.map(|status| &status.current))
        }),
        _ => None,
    }
    .unwrap_or_else(|| "<unknown type>".to_owned())
}

fn average(current: Option<&MetricValueStatus>) -> Option<&Quantity> {
    current.and_then(|current| current.average_value.as_ref())
}

fn shown(value: Option<&Quantity>) -> &str {
    value.map_or("<unknown>", |value| value.0.as_str())
}
