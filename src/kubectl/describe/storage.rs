//! Volumes, claims and classes.

use serde_json::Value;

use super::super::cli::Cli;
use super::super::failure::Failure;
use super::events::since;
use super::volumes;
use super::writer::{Writer, bracketed, items, number, on_one_line, text, texts, truth};
use super::{Settings, list};
use crate::api::Kind;

/// The class of volumes before the field: `v1.BetaStorageClassAnnotation`.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS: &str = "storageclass.kubernetes.io/is-default-class";
const BETA_DEFAULT_CLASS: &str = "storageclass.beta.kubernetes.io/is-default-class";

fn class_of(object: &Value) -> &str {
    let annotated = object["metadata"]["annotations"][CLASS].as_str();
    annotated.unwrap_or_else(|| text(&object["spec"]["storageClassName"]))
}

/// A claim's class: `GetPersistentVolumeClaimClass`.
pub(super) fn class_of_claim(claim: &Value) -> &str {
    class_of(claim)
}

/// `RWO,ROX`: `GetAccessModesAsString`.
fn access_modes(modes: &Value) -> String {
    let modes = texts(modes);
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let short: Vec<&str> = known.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| *short).collect();
    short.join(",")
}

fn phase(cli: &Cli<'_>, object: &Value) -> String {
    let deleted = &object["metadata"]["deletionTimestamp"];
    if deleted.is_string() {
        format!("Terminating (lasts {})", since(deleted, cli.api.now()))
    } else {
        text(&object["status"]["phase"]).to_owned()
    }
}

/// Writes a PersistentVolume: `describePersistentVolume`.
pub(super) fn volume(cli: &Cli<'_>, writer: &mut Writer, volume: &Value) {
    let (metadata, spec) = (&volume["metadata"], &volume["spec"]);
    writer.field(0, "Name", text(&metadata["name"]));
    writer.labels_and_annotations(volume);
    writer.field(0, "Finalizers", &bracketed(&metadata["finalizers"]));
    writer.field(0, "StorageClass", class_of(volume));
    writer.field(0, "Status", &phase(cli, volume));
    let claim = &spec["claimRef"];
    let claim = match claim.is_object() {
        true => format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])),
        false => String::new(),
    };
    writer.field(0, "Claim", &claim);
    writer.field(0, "Reclaim Policy", text(&spec["persistentVolumeReclaimPolicy"]));
    writer.field(0, "Access Modes", &access_modes(&spec["accessModes"]));
    if let Some(mode) = spec["volumeMode"].as_str() {
        writer.field(0, "VolumeMode", mode);
    }
    writer.field(0, "Capacity", spec["capacity"]["storage"].as_str().unwrap_or("0"));
    node_affinity(writer, &spec["nodeAffinity"]["required"]);
    writer.field(0, "Message", text(&volume["status"]["message"]));
    writer.line(0, "Source:");
    volumes::persistent(writer, spec);
}

fn node_affinity(writer: &mut Writer, required: &Value) {
    if !required.is_object() {
        return writer.field(0, "Node Affinity", "<none>");
    }
    writer.field(0, "Node Affinity", "");
    let terms = items(&required["nodeSelectorTerms"]);
    writer.field(1, "Required Terms", if terms.is_empty() { "<none>" } else { "" });
    for (at, term) in terms.iter().enumerate() {
        term_lines(writer, 2, at, &term["matchExpressions"], None);
    }
}

/// The requirements of a term, one a line: `printNodeSelectorTermsMultilineWithIndent`.
fn term_lines(writer: &mut Writer, level: usize, at: usize, requirements: &Value, operator: Option<&str>) {
    writer.write(level, &format!("Term {at}:\t"));
    if items(requirements).is_empty() {
        writer.end_line("<none>");
    }
    for (at, requirement) in items(requirements).iter().enumerate() {
        if at > 0 {
            writer.write(level, "\t");
        }
        let own = text(&requirement["operator"]).to_lowercase();
        let mut line = format!("{} {}", text(&requirement["key"]), operator.unwrap_or(&own));
        let values = texts(&requirement["values"]);
        if !values.is_empty() {
            line.push_str(&format!(" [{}]", values.join(", ")));
        }
        writer.line(0, &line);
    }
}

/// Writes a claim, or the template of one: `printPersistentVolumeClaim`.
pub(super) fn claim(writer: &mut Writer, claim: &Value, is_whole: bool) {
    claim_with_phase(writer, claim, is_whole.then(|| text(&claim["status"]["phase"]).to_owned()));
}

fn claim_with_phase(writer: &mut Writer, claim: &Value, phase: Option<String>) {
    let (metadata, spec, status) = (&claim["metadata"], &claim["spec"], &claim["status"]);
    let is_whole = phase.is_some();
    if is_whole {
        writer.name_and_namespace(claim);
    }
    writer.field(0, "StorageClass", class_of(claim));
    if let Some(phase) = phase {
        writer.field(0, "Status", &phase);
    }
    writer.field(0, "Volume", text(&spec["volumeName"]));
    writer.labels_and_annotations(claim);
    if is_whole {
        writer.field(0, "Finalizers", &bracketed(&metadata["finalizers"]));
    }
    let is_bound = !text(&spec["volumeName"]).is_empty();
    let capacity = status["capacity"]["storage"].as_str().unwrap_or("0");
    writer.field(0, "Capacity", if is_bound { capacity } else { "" });
    let modes = if is_bound { access_modes(&status["accessModes"]) } else { String::new() };
    writer.field(0, "Access Modes", &modes);
    if let Some(mode) = spec["volumeMode"].as_str() {
        writer.field(0, "VolumeMode", mode);
    }
    let source = &spec["dataSource"];
    if source.is_object() {
        writer.line(0, "DataSource:");
        if let Some(group) = source["apiGroup"].as_str() {
            writer.field(1, "APIGroup", group);
        }
        writer.field(1, "Kind", text(&source["kind"]));
        writer.field(1, "Name", text(&source["name"]));
    }
}

/// Writes a PersistentVolumeClaim: `describePersistentVolumeClaim`.
pub(super) fn whole_claim(
    cli: &mut Cli<'_>,
    writer: &mut Writer,
    claim: &Value,
    settings: Settings,
) -> Result<(), Failure> {
    let pods = list(cli, Kind::Pod, text(&claim["metadata"]["namespace"]), ("", ""), settings)?;
    claim_with_phase(writer, claim, Some(phase(cli, claim)));
    writer.several("", "Used By", users(claim, &pods));
    let columns = ["Type", "Status", "LastProbeTime", "LastTransitionTime", "Reason", "Message"];
    writer.conditions(&claim["status"]["conditions"], &columns, (" \t", " \t"));
    Ok(())
}

/// The pods that use a claim, or own it: `getPodsForPVC`.
fn users(claim: &Value, pods: &[Value]) -> Vec<String> {
    let metadata = &claim["metadata"];
    let name = |pod: &Value| text(&pod["metadata"]["name"]).to_owned();
    let uses = |volume: &&Value| volume["persistentVolumeClaim"]["claimName"] == metadata["name"];
    let mut names = Vec::new();
    for pod in pods {
        names.extend(items(&pod["spec"]["volumes"]).iter().filter(uses).map(|_| name(pod)));
    }
    for owner in items(&metadata["ownerReferences"]).iter().filter(|owner| owner["kind"] == "Pod") {
        let pod = pods.iter().find(|pod| pod["metadata"]["uid"] == owner["uid"]).map(name);
        names.extend(pod.filter(|name| !names.contains(name)));
    }
    names.sort();
    names
}

/// Writes a StorageClass: `describeStorageClass`.
pub(super) fn class(writer: &mut Writer, class: &Value) {
    let annotations = &class["metadata"]["annotations"];
    let is_default = [DEFAULT_CLASS, BETA_DEFAULT_CLASS].iter().any(|key| annotations[*key] == "true");
    writer.field(0, "Name", text(&class["metadata"]["name"]));
    writer.field(0, "IsDefaultClass", if is_default { "Yes" } else { "No" });
    writer.field(0, "Annotations", &on_one_line(annotations));
    writer.field(0, "Provisioner", text(&class["provisioner"]));
    writer.field(0, "Parameters", &on_one_line(&class["parameters"]));
    writer.field(0, "AllowVolumeExpansion", truth(&class["allowVolumeExpansion"]));
    let options = texts(&class["mountOptions"]);
    if options.is_empty() {
        writer.field(0, "MountOptions", "<none>");
    } else {
        writer.line(0, "MountOptions:");
        options.iter().for_each(|option| writer.line(1, option));
    }
    for (label, field) in [("ReclaimPolicy", "reclaimPolicy"), ("VolumeBindingMode", "volumeBindingMode")] {
        if let Some(value) = class[field].as_str() {
            writer.field(0, label, value);
        }
    }
    if class["allowedTopologies"].is_array() {
        let terms = items(&class["allowedTopologies"]);
        writer.field(0, "AllowedTopologies", if terms.is_empty() { "<none>" } else { "" });
        for (at, term) in terms.iter().enumerate() {
            term_lines(writer, 1, at, &term["matchLabelExpressions"], Some("in"));
        }
    }
}

/// Writes a VolumeAttributesClass: `describeVolumeAttributesClass`.
pub(super) fn attributes_class(writer: &mut Writer, class: &Value) {
    writer.field(0, "Name", text(&class["metadata"]["name"]));
    writer.field(0, "Annotations", &on_one_line(&class["metadata"]["annotations"]));
    writer.field(0, "DriverName", text(&class["driverName"]));
    writer.field(0, "Parameters", &on_one_line(&class["parameters"]));
}

/// Writes a CSINode: `describeCSINode`.
pub(super) fn csi_node(writer: &mut Writer, node: &Value) {
    writer.field(0, "Name", text(&node["metadata"]["name"]));
    writer.labels_and_annotations(node);
    writer.created(node);
    writer.line(0, "Spec:");
    let drivers = &node["spec"]["drivers"];
    if drivers.is_array() {
        writer.line(1, "Drivers:");
    }
    for driver in items(drivers) {
        writer.line(2, &format!("{}:", text(&driver["name"])));
        writer.field(3, "Node ID", text(&driver["nodeID"]));
        if driver["allocatable"]["count"].is_number() {
            writer.line(3, "Allocatables:");
            writer.field(4, "Count", &number(&driver["allocatable"]["count"]).to_string());
        }
        if driver["topologyKeys"].is_array() {
            writer.field(3, "Topology Keys", &bracketed(&driver["topologyKeys"]));
        }
    }
}
