//! `pkg/apis/autoscaling/v2/defaults.go`.

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler, MetricSpec, MetricTarget, ResourceMetricSource,
};

/// The utilization that is aimed at when nothing else is said, in per cent: `DefaultCPUUtilization`.
const DEFAULT_CPU_UTILIZATION: i32 = 80;

/// `SetDefaults_HorizontalPodAutoscaler`.
pub(crate) fn default(autoscaler: &mut HorizontalPodAutoscaler) {
    let spec = &mut autoscaler.spec;
    spec.min_replicas.get_or_insert(1);
    if spec.metrics.as_ref().is_none_or(Vec::is_empty) {
        spec.metrics = Some(vec![cpu_utilization()]);
    }
    if let Some(behavior) = &mut spec.behavior {
        behavior.scale_up = Some(merged(scale_up(), behavior.scale_up.take()));
        behavior.scale_down = Some(merged(scale_down(), behavior.scale_down.take()));
    }
}

fn cpu_utilization() -> MetricSpec {
    let target = MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: Some(DEFAULT_CPU_UTILIZATION),
        ..MetricTarget::default()
    };
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource { name: "cpu".to_owned(), target }),
        ..MetricSpec::default()
    }
}

fn policy(type_: &str, value: i32) -> HPAScalingPolicy {
    HPAScalingPolicy { type_: type_.to_owned(), value, period_seconds: 15 }
}

/// `defaultHPAScaleUpRules`.
pub(crate) fn scale_up() -> HPAScalingRules {
    HPAScalingRules {
        stabilization_window_seconds: Some(0),
        select_policy: Some("Max".to_owned()),
        policies: Some(vec![policy("Pods", 4), policy("Percent", 100)]),
        tolerance: None,
    }
}

/// `defaultHPAScaleDownRules`. The window is the controller manager's when absent.
pub(crate) fn scale_down() -> HPAScalingRules {
    HPAScalingRules {
        stabilization_window_seconds: None,
        select_policy: Some("Max".to_owned()),
        policies: Some(vec![policy("Percent", 100)]),
        tolerance: None,
    }
}

/// `copyHPAScalingRules`: what was given goes before the defaults.
fn merged(defaults: HPAScalingRules, given: Option<HPAScalingRules>) -> HPAScalingRules {
    let given = given.unwrap_or_default();
    HPAScalingRules {
        stabilization_window_seconds: given.stabilization_window_seconds.or(defaults.stabilization_window_seconds),
        select_policy: given.select_policy.or(defaults.select_policy),
        policies: given.policies.or(defaults.policies),
        tolerance: given.tolerance,
    }
}
