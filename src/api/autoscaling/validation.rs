//! `pkg/apis/autoscaling/validation/validation.go`.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy,
    HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource, PodsMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::api::check::{self, invalid_each, list, text};
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

const METRIC_TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];
/// `MaxPeriodSeconds`.
const PERIOD_SECONDS_MAX: i32 = 1800;
/// `MaxStabilizationWindowSeconds`.
const WINDOW_SECONDS_MAX: i32 = 3600;

/// `ValidateHorizontalPodAutoscaler`.
pub(crate) fn validate(autoscaler: &HorizontalPodAutoscaler) -> ErrorList {
    let mut errors = meta::validate(&autoscaler.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, autoscaler, None);
    errors
}

/// `ValidateHorizontalPodAutoscalerUpdate` and `ValidateHorizontalPodAutoscalerStatusUpdate`.
pub(crate) fn validate_update(
    new: &HorizontalPodAutoscaler,
    old: &HorizontalPodAutoscaler,
    subresource: Option<Subresource>,
) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        let status = new.status.clone().unwrap_or_default();
        let path = Path::new("status");
        check::not_negative(
            &mut errors,
            &path.child("currentReplicas"),
            i64::from(status.current_replicas.unwrap_or(0)),
        );
        check::not_negative(&mut errors, &path.child("desiredReplicas"), i64::from(status.desired_replicas));
    } else {
        validate_spec(&mut errors, new, Some(&old.spec));
    }
    errors
}

fn validate_spec(
    errors: &mut ErrorList,
    autoscaler: &HorizontalPodAutoscaler,
    old: Option<&HorizontalPodAutoscalerSpec>,
) {
    let spec = &autoscaler.spec;
    let path = Path::new("spec");
    if let Some(least) = spec.min_replicas.filter(|least| *least < 1) {
        errors.push(FieldError::invalid(&path.child("minReplicas"), least, "must be greater than or equal to 1"));
    }
    let (at, most) = (path.child("maxReplicas"), spec.max_replicas);
    if most < 1 {
        errors.push(FieldError::required(&at, "must be set and greater than 0"));
    }
    if spec.min_replicas.is_some_and(|least| most < least) {
        errors.push(FieldError::invalid(&at, most, "must be greater than or equal to `minReplicas`"));
    }
    // What an object got by with before may stay.
    let is_tolerated = old.is_some_and(|old| version_error(&old.scale_target_ref).is_some());
    validate_reference(errors, &path.child("scaleTargetRef"), &spec.scale_target_ref, is_tolerated);
    let at = path.child("metrics");
    let metrics = list(&spec.metrics);
    for (index, metric) in metrics.iter().enumerate() {
        validate_metric(errors, &at.index(index), metric);
    }
    let can_be_zero = |metric: &MetricSpec| matches!(metric.type_.as_str(), "Object" | "External");
    if spec.min_replicas == Some(0) && !metrics.iter().any(can_be_zero) {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(FieldError::forbidden(&at, detail));
    }
    if let Some(behavior) = &spec.behavior {
        let path = path.child("behavior");
        validate_rules(errors, &path.child("scaleUp"), behavior.scale_up.as_ref());
        validate_rules(errors, &path.child("scaleDown"), behavior.scale_down.as_ref());
    }
}

/// `ValidateAPIVersion`.
fn version_error(reference: &CrossVersionObjectReference) -> Option<String> {
    let version = text(&reference.api_version);
    match version.matches('/').count() {
        0 => Some("apiVersion must specify API group".to_owned()),
        1 => None,
        _ => Some(format!("unexpected GroupVersion string: {version}")),
    }
}

/// `ValidateCrossVersionObjectReference`.
fn validate_reference(
    errors: &mut ErrorList,
    path: &Path,
    reference: &CrossVersionObjectReference,
    tolerates_version: bool,
) {
    for (field, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        check::required(errors, &path.child(field), value);
        invalid_each(errors, &path.child(field), value, names::is_path_segment_name(value));
    }
    if let Some(detail) = version_error(reference).filter(|_| !tolerates_version) {
        errors.push(FieldError::invalid(&path.child("apiVersion"), text(&reference.api_version), detail));
    }
}

/// `validateMetricSpec`: only the first source is looked into.
fn validate_metric(errors: &mut ErrorList, path: &Path, metric: &MetricSpec) {
    if metric.type_.is_empty() {
        errors.push(FieldError::required(&path.child("type"), "must specify a metric source type"));
    }
    check::supported(errors, &path.child("type"), &metric.type_, METRIC_TYPES);
    let sources = [
        ("object", metric.object.is_some()),
        ("external", metric.external.is_some()),
        ("pods", metric.pods.is_some()),
        ("resource", metric.resource.is_some()),
        ("containerResource", metric.container_resource.is_some()),
    ];
    let mut present: Vec<&str> = sources.iter().filter(|(_, is_there)| *is_there).map(|(name, _)| *name).collect();
    if let Some(first) = present.first() {
        let path = path.child(first);
        match *first {
            "object" => metric.object.iter().for_each(|source| validate_object(errors, &path, source)),
            "external" => metric.external.iter().for_each(|source| validate_external(errors, &path, source)),
            "pods" => metric.pods.iter().for_each(|source| validate_pods(errors, &path, source)),
            "resource" => {
                metric
                    .resource
                    .iter()
                    .for_each(|source| validate_resource(errors, &path, &source.name, &source.target));
            }
            _ => metric.container_resource.iter().for_each(|source| validate_container(errors, &path, source)),
        }
    }
    let Some(kind) = METRIC_TYPES.iter().find(|kind| **kind == metric.type_) else { return };
    let expected = format!("{}{}", kind[..1].to_lowercase(), &kind[1..]);
    if !present.contains(&expected.as_str()) {
        let detail = "must populate information for the given metric source";
        errors.push(FieldError::required(&path.child(&expected), detail));
    }
    if present.len() != 1 {
        present.retain(|name| *name != expected);
        for name in present {
            errors.push(FieldError::forbidden(&path.child(name), "must populate the given metric source only"));
        }
    }
}

/// `validateObjectSource`.
fn validate_object(errors: &mut ErrorList, path: &Path, source: &ObjectMetricSource) {
    // The described object may be of the core group.
    validate_reference(errors, &path.child("describedObject"), &source.described_object, true);
    validate_identifier(errors, &path.child("metric"), &source.metric);
    let at = path.child("target");
    validate_target(errors, &at, &source.target);
    if source.target.value.is_none() && source.target.average_value.is_none() {
        let detail = "must set either a target value or averageValue";
        errors.push(FieldError::required(&at.child("averageValue"), detail));
    }
}

/// `validateExternalSource`.
fn validate_external(errors: &mut ErrorList, path: &Path, source: &ExternalMetricSource) {
    validate_identifier(errors, &path.child("metric"), &source.metric);
    let at = path.child("target");
    validate_target(errors, &at, &source.target);
    match (&source.target.value, &source.target.average_value) {
        (None, None) => {
            let detail = "must set either a target value for metric or a per-pod target";
            errors.push(FieldError::required(&at.child("averageValue"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target value for metric and a per-pod target";
            errors.push(FieldError::forbidden(&at.child("value"), detail));
        }
        _ => {}
    }
}

/// `validatePodsSource`.
fn validate_pods(errors: &mut ErrorList, path: &Path, source: &PodsMetricSource) {
    validate_identifier(errors, &path.child("metric"), &source.metric);
    let at = path.child("target");
    validate_target(errors, &at, &source.target);
    if source.target.average_value.is_none() {
        let detail = "must specify a positive target averageValue";
        errors.push(FieldError::required(&at.child("averageValue"), detail));
    }
}

/// `validateContainerResourceSource`.
fn validate_container(errors: &mut ErrorList, path: &Path, source: &ContainerResourceMetricSource) {
    if source.name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "must specify a resource name"));
    }
    if source.container.is_empty() {
        errors.push(FieldError::required(&path.child("container"), "must specify a container"));
    }
    validate_resource_target(errors, path, &source.target);
}

/// `validateResourceSource`.
fn validate_resource(errors: &mut ErrorList, path: &Path, name: &str, target: &MetricTarget) {
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), "must specify a resource name"));
    }
    validate_resource_target(errors, path, target);
}

fn validate_resource_target(errors: &mut ErrorList, path: &Path, target: &MetricTarget) {
    let at = path.child("target");
    validate_target(errors, &at, target);
    match (target.average_utilization, &target.average_value) {
        (None, None) => {
            let detail = "must set either a target raw value or a target utilization";
            errors.push(FieldError::required(&at.child("averageUtilization"), detail));
        }
        (Some(_), Some(_)) => {
            let detail = "may not set both a target raw value and a target utilization";
            errors.push(FieldError::forbidden(&at.child("averageValue"), detail));
        }
        _ => {}
    }
}

/// `validateMetricTarget`.
fn validate_target(errors: &mut ErrorList, path: &Path, target: &MetricTarget) {
    let at = path.child("type");
    if target.type_.is_empty() {
        errors.push(FieldError::required(&at, "must specify a metric target type"));
    }
    if !matches!(target.type_.as_str(), "Utilization" | "Value" | "AverageValue") {
        let detail = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(&at, target.type_.as_str(), detail));
    }
    for (field, value) in [("value", &target.value), ("averageValue", &target.average_value)] {
        if let Some(value) = value.as_ref().filter(|value| !is_positive(value)) {
            errors.push(FieldError::invalid(&path.child(field), value.0.as_str(), "must be positive"));
        }
    }
    if let Some(utilization) = target.average_utilization.filter(|utilization| *utilization < 1) {
        errors.push(FieldError::invalid(&path.child("averageUtilization"), utilization, "must be greater than 0"));
    }
}

fn is_positive(value: &ApiQuantity) -> bool {
    Quantity::of(value).cmp_int(0).is_gt()
}

/// `validateMetricIdentifier`.
fn validate_identifier(errors: &mut ErrorList, path: &Path, metric: &MetricIdentifier) {
    let at = path.child("name");
    if metric.name.is_empty() {
        errors.push(FieldError::required(&at, "must specify a metric name"));
    } else {
        invalid_each(errors, &at, &metric.name, names::is_path_segment_name(&metric.name));
    }
}

/// `validateScalingRules`.
fn validate_rules(errors: &mut ErrorList, path: &Path, rules: Option<&HPAScalingRules>) {
    let Some(rules) = rules else { return };
    if let Some(window) = rules.stabilization_window_seconds {
        let at = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errors.push(FieldError::invalid(&at, window, "must be greater than or equal to zero"));
        }
        at_most(errors, &at, window, WINDOW_SECONDS_MAX);
    }
    if let Some(select) = &rules.select_policy {
        check::supported(errors, &path.child("selectPolicy"), select, &["Disabled", "Max", "Min"]);
    }
    let at = path.child("policies");
    let policies = list(&rules.policies);
    if policies.is_empty() {
        errors.push(FieldError::required(&at, "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        validate_policy(errors, &at.index(index), policy);
    }
    if let Some(tolerance) = rules.tolerance.as_ref().filter(|tolerance| Quantity::of(tolerance).cmp_int(0).is_lt()) {
        errors.push(FieldError::invalid(&path.child("tolerance"), tolerance.0.as_str(), check::NOT_NEGATIVE));
    }
}

fn at_most(errors: &mut ErrorList, path: &Path, value: i32, most: i32) {
    if value > most {
        errors.push(FieldError::invalid(path, value, format!("must be less than or equal to {most}")));
    }
}

/// `validateScalingPolicy`.
fn validate_policy(errors: &mut ErrorList, path: &Path, policy: &HPAScalingPolicy) {
    check::supported(errors, &path.child("type"), &policy.type_, &["Percent", "Pods"]);
    for (field, value) in [("value", policy.value), ("periodSeconds", policy.period_seconds)] {
        if value <= 0 {
            errors.push(FieldError::invalid(&path.child(field), value, check::NOT_POSITIVE));
        }
    }
    at_most(errors, &path.child("periodSeconds"), policy.period_seconds, PERIOD_SECONDS_MAX);
}
