//! Pods.

use serde_json::Value;

use super::super::cli::Cli;
use super::containers::{containers, optional, resources, seccomp, topology_spread};
use super::events::{About, condition_status, since};
use super::volumes;
use super::writer::{Writer, items, number, text, time};
use super::{Settings, controller};

/// The annotation of a pod that its node made from a file.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The events of a pod, whatever kind they say it is of.
pub(super) fn events(cli: &mut Cli<'_>, pod: &Value, settings: Settings) -> Option<Vec<Value>> {
    let metadata = &pod["metadata"];
    let uid = metadata["annotations"][MIRROR].as_str().unwrap_or_else(|| text(&metadata["uid"]));
    let about = About { kind: "", uid, namespace: text(&metadata["namespace"]), name: text(&metadata["name"]) };
    about.search(cli, settings).ok()
}

/// Writes a pod: `describePod`.
pub(super) fn describe(cli: &Cli<'_>, writer: &mut Writer, pod: &Value) {
    let (metadata, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    writer.name_and_namespace(pod);
    if let Some(priority) = spec["priority"].as_i64() {
        writer.field(0, "Priority", &priority.to_string());
    }
    optional(writer, 0, "Priority Class Name", &spec["priorityClassName"]);
    optional(writer, 0, "Runtime Class Name", &spec["runtimeClassName"]);
    optional(writer, 0, "Service Account", &spec["serviceAccountName"]);
    match text(&spec["nodeName"]) {
        "" => writer.field(0, "Node", "<none>"),
        node => writer.field(0, "Node", &format!("{node}/{}", text(&status["hostIP"]))),
    }
    if status["startTime"].is_string() {
        writer.field(0, "Start Time", &time(&status["startTime"]));
    }
    writer.labels_and_annotations(pod);
    let phase = text(&status["phase"]);
    if metadata["deletionTimestamp"].is_string() && !matches!(phase, "Failed" | "Succeeded") {
        let lasts = since(&metadata["deletionTimestamp"], cli.api.now());
        writer.field(0, "Status", &format!("Terminating (lasts {lasts})"));
        let grace = number(&metadata["deletionGracePeriodSeconds"]);
        writer.field(0, "Termination Grace Period", &format!("{grace}s"));
    } else {
        writer.field(0, "Status", phase);
    }
    optional(writer, 0, "Reason", &status["reason"]);
    optional(writer, 0, "Message", &status["message"]);
    seccomp(writer, &spec["securityContext"], (0, 0));
    addresses(writer, status);
    if let Some(controller) = controller(pod) {
        writer.field(0, "Controlled By", &controller);
    }
    optional(writer, 0, "NominatedNodeName", &status["nominatedNodeName"]);
    if spec["resources"].is_object() {
        writer.line(0, "Resources:");
        resources(writer, &spec["resources"], 1);
    }
    all_containers(writer, pod);
    conditions(writer, pod);
    volumes::describe(writer, &spec["volumes"], "");
    writer.field(0, "QoS Class", text(&status["qosClass"]));
    writer.labels("Node-Selectors", &spec["nodeSelector"]);
    writer.tolerations("Tolerations", &spec["tolerations"]);
    topology_spread(writer, &spec["topologySpreadConstraints"], "");
}

fn addresses(writer: &mut Writer, status: &Value) {
    writer.field(0, "IP", text(&status["podIP"]));
    let all = items(&status["podIPs"]);
    if all.is_empty() {
        return writer.field(0, "IPs", "<none>");
    }
    writer.line(0, "IPs:");
    for address in all {
        writer.field(1, "IP", text(&address["ip"]));
    }
}

fn all_containers(writer: &mut Writer, pod: &Value) {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    for (label, field, statuses) in [
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ] {
        if field == "containers" || !items(&spec[field]).is_empty() {
            containers(writer, label, &spec[field], &status[statuses], Some(pod), "");
        }
    }
}

fn conditions(writer: &mut Writer, pod: &Value) {
    let (gates, conditions) = (&pod["spec"]["readinessGates"], &pod["status"]["conditions"]);
    if !items(gates).is_empty() {
        writer.line(0, "Readiness Gates:\n  Type\tStatus");
        for gate in items(gates) {
            let name = &gate["conditionType"];
            writer.line(1, &format!("{} \t{} ", text(name), condition_status(conditions, name)));
        }
    }
    if !items(conditions).is_empty() {
        writer.line(0, "Conditions:\n  Type\tStatus");
        for condition in items(conditions) {
            writer.line(1, &format!("{} \t{} ", text(&condition["type"]), text(&condition["status"])));
        }
    }
}
