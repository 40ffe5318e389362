//! `kubectl autoscale`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/autoscale/autoscale.go`.

use serde_json::{Value, json};

use super::apply::remember_applied;
use super::builder::{self, Info, Query};
use super::cli::{Cli, DryRun, Step};
use super::failure::Failure;
use super::generate::typed;
use super::printer::Printer;
use crate::api::{Kind, Subresource};
use crate::machinery::quantity::Quantity;

/// The field manager of what `autoscale` writes.
const MANAGER: &str = "kubectl-autoscale";

/// Runs `kubectl autoscale`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    if flags.has("cpu-percent") {
        cli.complain(
            "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity format (e.g., '70%' \
             for utilization or '500m' for milliCPU).",
        );
    }
    let Some(most) = flags.integer("max") else {
        return Err(Failure::message("required flag(s) \"max\" not set"));
    };
    let least = flags.integer("min").unwrap_or(-1);
    if most < 1 {
        return Err(Failure::Message(format!("--max=MAXPODS is required and must be at least 1, max: {most}")));
    }
    if most < least {
        return Err(Failure::Message(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {most}, min: {least}"
        )));
    }
    if flags.integer("cpu-percent").is_some_and(|percent| percent > 0) && !flags.text("cpu").is_empty() {
        return Err(Failure::message("--cpu-percent and --cpu are mutually exclusive"));
    }
    let metrics = metrics(cli)?;
    let found = builder::find(cli, Query { latest: false, ..Query::new(cli.arguments()) })?;
    if found.infos.is_empty() {
        return Err(Failure::message("no objects passed to autoscale"));
    }
    found.each(cli, |cli, info| autoscale(cli, &info, (least, most), &metrics))?;
    Ok(Step::Done)
}

/// What the autoscaler looks at: `--cpu-percent`, `--cpu` and `--memory`.
fn metrics(cli: &Cli<'_>) -> Result<Vec<Value>, Failure> {
    let flags = cli.flags();
    let metric =
        |name: &str, target: Value| json!({ "type": "Resource", "resource": { "name": name, "target": target } });
    let mut metrics = Vec::new();
    if let Some(percent) = flags.integer("cpu-percent").filter(|percent| *percent > 0) {
        metrics.push(metric("cpu", json!({ "type": "Utilization", "averageUtilization": percent })));
    }
    for (name, unit) in [("cpu", "m"), ("memory", "Mi")] {
        let given = flags.text(name);
        if !given.is_empty() {
            metrics.push(metric(name, target(given, name, unit)?));
        }
    }
    Ok(metrics)
}

/// `70%`, `500m`, or a number in the resource's unit: `parseResourceInput`.
fn target(given: &str, resource: &str, unit: &str) -> Result<Value, Failure> {
    let given = given.trim();
    if given.is_empty() {
        return Err(Failure::message("empty input"));
    }
    if let Some(percent) = given.strip_suffix('%') {
        let number = percent.parse::<i32>().ok().filter(|number| *number >= 0);
        let number = number.ok_or_else(|| Failure::Message(format!("invalid percentage value: {percent}")))?;
        return Ok(json!({ "type": "Utilization", "averageUtilization": number }));
    }
    let quantity = match given.parse::<f64>() {
        Ok(number) => Quantity::canonicalize(&format!("{number}{unit}"))
            .map(std::borrow::Cow::into_owned)
            .map_err(|error| Failure::Message(error.to_string()))?,
        Err(_) => Quantity::canonicalize(given)
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| Failure::Message(format!("invalid resource {resource} value: {given}")))?,
    };
    Ok(json!({ "type": "AverageValue", "averageValue": quantity }))
}

fn autoscale(cli: &mut Cli<'_>, info: &Info, (least, most): (i64, i64), metrics: &[Value]) -> Result<(), Failure> {
    let kind = info.kind.info();
    if !kind.subresources.contains(&Subresource::Scale) {
        return Err(Failure::Message(format!(
            "cannot autoscale a {}: could not find scale subresource for {}/{}, Resource={} in discovery information",
            kind.kind, kind.group, kind.version, kind.plural
        )));
    }
    let given = cli.flags().text("name");
    let name = if given.is_empty() { info.name.as_str() } else { given };
    let mut autoscaler = json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": name },
        "spec": {
            "scaleTargetRef": { "apiVersion": info.kind.api_version(), "kind": kind.kind, "name": info.name },
            "maxReplicas": most,
        },
    });
    if cli.flags().has("namespace") {
        autoscaler["metadata"]["namespace"] = cli.namespace().into();
    }
    if least > 0 {
        autoscaler["spec"]["minReplicas"] = least.into();
    }
    if !metrics.is_empty() {
        autoscaler["spec"]["metrics"] = metrics.into();
    }
    let mut autoscaler = typed(Kind::HorizontalPodAutoscaler, autoscaler)?;
    if cli.dry_run()? == DryRun::Client {
        return Printer::of(cli, "created")?.typed().print(cli, &autoscaler);
    }
    if cli.flags().is("save-config", false) {
        remember_applied(&mut autoscaler);
    }
    let (namespace, options) = (cli.namespace(), cli.write_options(MANAGER));
    let made = cli.create(Kind::HorizontalPodAutoscaler, &namespace, autoscaler, options);
    let made = made.map_err(|status| match fallback(cli) {
        // The same object in autoscaling/v1 is refused for the same reason.
        Ok(()) => Failure::Status(status),
        Err(why) => Failure::Message(format!(
            "failed to create autoscaling/v2 HPA and the configuration is incompatible with autoscaling/v1: {why}"
        )),
    })?;
    Printer::of(cli, "autoscaled")?.typed().print(cli, &made)
}

/// Whether what is asked for can be said in autoscaling/v1 too: `canCreateHPAV1`, with its way of saying that it cannot.
fn fallback(cli: &Cli<'_>) -> Result<(), String> {
    let flags = cli.flags();
    let target = target(flags.text("cpu"), "cpu", "m").map_err(|failure| failure.bare())?;
    let is_percentage = flags.text("memory").is_empty()
        && (target["type"] == "Utilization" || flags.integer("cpu-percent").is_some_and(|percent| percent >= 0));
    if is_percentage { Ok(()) } else { Err("%!w(<nil>)".to_owned()) }
}
