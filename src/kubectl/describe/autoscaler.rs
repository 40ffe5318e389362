//! HorizontalPodAutoscalers.

use serde_json::Value;

use super::writer::{Writer, items, number, text};
use crate::machinery::quote::quote;

/// Writes a HorizontalPodAutoscaler: `describeHorizontalPodAutoscalerV2`.
pub(super) fn describe(writer: &mut Writer, autoscaler: &Value) {
    let (spec, status) = (&autoscaler["spec"], &autoscaler["status"]);
    let target = &spec["scaleTargetRef"];
    writer.name_and_namespace(autoscaler);
    writer.labels_and_annotations(autoscaler);
    writer.created(autoscaler);
    writer.field(0, "Reference", &format!("{}/{}", text(&target["kind"]), text(&target["name"])));
    writer.field(0, "Metrics", "( current / target )");
    for (at, metric) in items(&spec["metrics"]).iter().enumerate() {
        let line = metric_line(metric, &status["currentMetrics"][at]);
        writer.line(1, &line);
    }
    let least = spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |least| least.to_string());
    writer.field(0, "Min replicas", &least);
    writer.field(0, "Max replicas", &number(&spec["maxReplicas"]).to_string());
    let behavior = &spec["behavior"];
    if behavior.is_object() {
        writer.line(0, "Behavior:");
        direction(writer, "Scale Up", &behavior["scaleUp"]);
        direction(writer, "Scale Down", &behavior["scaleDown"]);
    }
    let (current, desired) = (number(&status["currentReplicas"]), number(&status["desiredReplicas"]));
    writer.field(0, &format!("{} pods", text(&target["kind"])), &format!("{current} current / {desired} desired"));
    writer.conditions(&status["conditions"], &["Type", "Status", "Reason", "Message"], ("\t", "\t"));
}

/// An amount, or a zero when there is none, as Go prints a quantity.
fn amount(value: &Value) -> &str {
    value.as_str().unwrap_or("0")
}

/// An amount of a current metric, when there is a metric of that kind; unknown otherwise.
fn current<'a>(metric: &'a Value, field: &str) -> &'a str {
    if metric.is_object() { amount(&metric["current"][field]) } else { "<unknown>" }
}

fn metric_line(metric: &Value, status: &Value) -> String {
    match text(&metric["type"]) {
        "External" => {
            let (external, status) = (&metric["external"], &status["external"]);
            let name = quote(text(&external["metric"]["name"]));
            let target = &external["target"];
            if let Some(average) = target["averageValue"].as_str() {
                let now = status["current"]["averageValue"].as_str().unwrap_or("<unknown>");
                return format!("{name} (target average value):\t{now} / {average}");
            }
            format!("{name} (target value):\t{} / {}", current(status, "value"), amount(&target["value"]))
        }
        "Pods" => {
            let (pods, status) = (&metric["pods"], &status["pods"]);
            let name = quote(text(&pods["metric"]["name"]));
            let target = amount(&pods["target"]["averageValue"]);
            format!("{name} on pods:\t{} / {target}", current(status, "averageValue"))
        }
        "Object" => {
            let (object, status) = (&metric["object"], &status["object"]);
            let of = &object["describedObject"];
            let name = text(&object["metric"]["name"]);
            let about = format!("\"{name}\" on {}/{} ", text(&of["kind"]), text(&of["name"]));
            let (words, field) = match text(&object["target"]["type"]) {
                "AverageValue" => ("target average value", "averageValue"),
                _ => ("target value", "value"),
            };
            format!("{about}({words}):\t{} / {}", current(status, field), amount(&object["target"][field]))
        }
        "Resource" => {
            let name = text(&metric["resource"]["name"]);
            format!("resource {name} on pods{}", utilization(&metric["resource"], &status["resource"]))
        }
        "ContainerResource" => {
            let of = &metric["containerResource"];
            format!(
                "resource {} of container \"{}\" on pods{}",
                text(&of["name"]),
                text(&of["container"]),
                utilization(of, &status["containerResource"])
            )
        }
        other => format!("<unknown metric type {}>", quote(other)),
    }
}

fn utilization(metric: &Value, status: &Value) -> String {
    let target = &metric["target"];
    if let Some(average) = target["averageValue"].as_str() {
        return format!(":\t{} / {average}", current(status, "averageValue"));
    }
    let now = &status["current"];
    let now = match now["averageUtilization"].as_i64() {
        Some(percent) => format!("{percent}% ({})", amount(&now["averageValue"])),
        None => "<unknown>".to_owned(),
    };
    let target = target["averageUtilization"].as_i64();
    let target = target.map_or_else(|| "<auto>".to_owned(), |percent| format!("{percent}%"));
    format!("  (as a percentage of request):\t{now} / {target}")
}

fn direction(writer: &mut Writer, title: &str, rules: &Value) {
    if !rules.is_object() {
        return;
    }
    writer.line(1, &format!("{title}:"));
    if let Some(seconds) = rules["stabilizationWindowSeconds"].as_i64() {
        writer.line(2, &format!("Stabilization Window: {seconds} seconds"));
    }
    if items(&rules["policies"]).is_empty() {
        return;
    }
    writer.line(2, &format!("Select Policy: {}", rules["selectPolicy"].as_str().unwrap_or("Max")));
    writer.line(2, "Policies:");
    for policy in items(&rules["policies"]) {
        let (value, seconds) = (number(&policy["value"]), number(&policy["periodSeconds"]));
        let kind = text(&policy["type"]);
        writer.line(3, &format!("- Type: {kind}\tValue: {value}\tPeriod: {seconds} seconds"));
    }
}
