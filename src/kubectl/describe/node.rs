//! Nodes, and what their pods take of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::containers::optional;
use super::events::{About, since};
use super::writer::{Writer, items, sorted, text, texts, time};
use super::{Settings, list};
use crate::api::Kind;
use crate::api::core::pod::resources::{pod_limits, pod_requests};
use crate::machinery::json;
use crate::machinery::quantity::Quantity;
use crate::machinery::status::Reason;

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE: &str = "kubernetes.io/role";
/// Where nodes' leases are.
const LEASES: &str = "kube-node-lease";

type Amounts = BTreeMap<String, Quantity>;

/// The events of a node: controllers name it by its uid, its kubelet by its name.
pub(super) fn events(cli: &mut Cli<'_>, node: &Value, settings: Settings) -> Option<Vec<Value>> {
    let by_uid = About::object(Kind::Node, node);
    let by_name = About { uid: by_uid.name, ..by_uid.clone() };
    let mut events = by_uid.search(cli, settings).ok()?;
    events.extend(by_name.search(cli, settings).unwrap_or_default());
    Some(events)
}

/// Writes a node: `describeNode`.
pub(super) fn describe(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    node: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let (metadata, spec, status) = (&node["metadata"], &node["spec"], &node["status"]);
    let name = text(&metadata["name"]);
    writer.field(0, "Name", name);
    writer.field(0, "Roles", &roles(&metadata["labels"]));
    writer.labels_and_annotations(node);
    writer.created(node);
    writer.several("", "Taints", taints(&spec["taints"]));
    writer.field(0, "Unschedulable", &(spec["unschedulable"] == true).to_string());
    lease(cli, writer, name);
    let columns = ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"];
    writer.conditions(&status["conditions"], &columns, (" \t", " \t"));
    writer.line(0, "Addresses:");
    for address in items(&status["addresses"]) {
        writer.field(1, text(&address["type"]), text(&address["address"]));
    }
    for (label, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        let amounts = sorted(&status[field]);
        if !amounts.is_empty() {
            writer.line(0, &format!("{label}:"));
        }
        for (resource, amount) in amounts {
            writer.field(1, resource, text(amount));
        }
    }
    system(writer, &status["nodeInfo"]);
    optional(writer, 0, "PodCIDR", &spec["podCIDR"]);
    if !items(&spec["podCIDRs"]).is_empty() {
        writer.field(0, "PodCIDRs", &texts(&spec["podCIDRs"]).join(","));
    }
    optional(writer, 0, "ProviderID", &spec["providerID"]);
    let fields = format!("spec.nodeName={name},status.phase!=Succeeded,status.phase!=Failed");
    match list(cli, Kind::Pod, "", ("", &fields), settings) {
        Ok(pods) => pods_and_resources(cli, writer, &pods, status),
        Err(status) if status.reason() == Reason::Forbidden => writer.field(0, "Pods", "not authorized"),
        Err(status) => return Err(status.into()),
    }
    Ok(())
}

/// The roles that labels give a node: `findNodeRoles`.
fn roles(labels: &Value) -> String {
    let mut roles: Vec<&str> = sorted(labels)
        .into_iter()
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None => (key == ROLE).then(|| text(value)),
        })
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() { "<none>".to_owned() } else { roles.join(",") }
}

/// Taints by effect and key: `printTaintsMultilineWithIndent`.
fn taints(taints: &Value) -> Vec<String> {
    let mut taints: Vec<&Value> = items(taints).iter().collect();
    taints.sort_by_key(|taint| format!("{},{}", text(&taint["effect"]), text(&taint["key"])));
    let line = |taint: &&Value| {
        let [key, value, effect] = ["key", "value", "effect"].map(|field| text(&taint[field]));
        match (value, effect) {
            (value, "") => format!("{key}={value}:"),
            ("", effect) => format!("{key}:{effect}"),
            (value, effect) => format!("{key}={value}:{effect}"),
        }
    };
    taints.iter().map(line).collect()
}

fn lease(cli: &mut Cli<'_>, writer: &mut Writer, node: &str) {
    let lease = match cli.get(Kind::Lease, LEASES, node) {
        Ok(lease) => lease,
        Err(status) => return writer.field(0, "Lease", &format!("Failed to get lease: {}", status.message())),
    };
    let spec = &lease["spec"];
    writer.line(0, "Lease:");
    writer.field(1, "HolderIdentity", spec["holderIdentity"].as_str().unwrap_or("<unset>"));
    for (label, field) in [("AcquireTime", "acquireTime"), ("RenewTime", "renewTime")] {
        let moment = if spec[field].is_string() { time(&spec[field]) } else { "<unset>".to_owned() };
        writer.field(1, label, &moment);
    }
}

fn system(writer: &mut Writer, info: &Value) {
    writer.line(0, "System Info:");
    for (label, field) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
    ] {
        writer.field(1, label, text(&info[field]));
    }
}

/// Writes the pods of a node and what they take together: `describeNodeResource`.
fn pods_and_resources(cli: &Cli<'_>, writer: &mut Writer, pods: &[Value], status: &Value) {
    let allocatable =
        if sorted(&status["allocatable"]).is_empty() { &status["capacity"] } else { &status["allocatable"] };
    let allocatable: Amounts = sorted(allocatable)
        .into_iter()
        .map(|(name, amount)| (name.clone(), Quantity::parse(text(amount)).unwrap_or(Quantity::ZERO)))
        .collect();
    writer.line(0, &format!("Non-terminated Pods:\t({} in total)", pods.len()));
    writer.line(1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge");
    writer.line(1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---");
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for pod in pods {
        let typed: Pod = json::from_value(pod).unwrap_or_default();
        let (asked, limited) = (pod_requests(&typed), pod_limits(&typed));
        let share = |amounts: &Amounts, name: &str| share(amounts, &allocatable, name);
        writer.line(
            1,
            &format!(
                "{}\t{}\t\t{}\t{}\t{}\t{}\t{}",
                text(&pod["metadata"]["namespace"]),
                text(&pod["metadata"]["name"]),
                share(&asked, "cpu"),
                share(&limited, "cpu"),
                share(&asked, "memory"),
                share(&limited, "memory"),
                since(&pod["metadata"]["creationTimestamp"], cli.api.now())
            ),
        );
        for (total, amounts) in [(&mut requests, asked), (&mut limits, limited)] {
            for (name, amount) in amounts {
                total.entry(name).or_default().add(amount);
            }
        }
    }
    writer.line(0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)");
    writer.line(1, "Resource\tRequests\tLimits");
    writer.line(1, "--------\t--------\t------");
    let is_own = |name: &&String| !matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage" | "pods");
    let (pages, others): (Vec<&String>, Vec<&String>) =
        allocatable.keys().filter(is_own).partition(|name| name.starts_with("hugepages-"));
    let shared = ["cpu", "memory", "ephemeral-storage"].into_iter().chain(pages.into_iter().map(String::as_str));
    for name in shared {
        let (asked, limited) = (share(&requests, &allocatable, name), share(&limits, &allocatable, name));
        writer.line(1, &format!("{name}\t{asked}\t{limited}"));
    }
    for name in others {
        let amount = |amounts: &Amounts| amounts.get(name).copied().unwrap_or(Quantity::ZERO);
        writer.line(1, &format!("{name}\t{}\t{}", amount(&requests), amount(&limits)));
    }
}

/// An amount, and how many of a hundred parts of the node it is.
fn share(amounts: &Amounts, allocatable: &Amounts, name: &str) -> String {
    let amount = amounts.get(name).copied().unwrap_or(Quantity::ZERO);
    let all = allocatable.get(name).copied().unwrap_or(Quantity::ZERO);
    let (part, whole) = match name {
        "cpu" => (amount.milli_value(), all.milli_value()),
        _ => (amount.value(), all.value()),
    };
    let percent = if whole == 0 { 0 } else { (part as f64 / whole as f64 * 100.0) as i64 };
    format!("{amount} ({percent}%)")
}
