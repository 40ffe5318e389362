//! Containers, and the templates of pods.
//!
//! Follows `describeContainers` and `DescribePodTemplate` of `k8s.io/kubectl/pkg/describe/describe.go`.

use serde_json::Value;

use super::volumes;
use super::writer::{Writer, bracketed, int_or_text, items, number, sorted, text, time};
use crate::machinery::labels::format_label_selector;
use crate::machinery::quantity::Quantity;
use crate::machinery::{json, quote};

/// Writes a pod template: `DescribePodTemplate`.
pub(super) fn pod_template(writer: &mut Writer, template: &Value) {
    writer.line(0, "Pod Template:");
    if !template.is_object() {
        return writer.write(1, "<unset>");
    }
    let metadata = &template["metadata"];
    writer.labels("  Labels", &metadata["labels"]);
    if metadata["annotations"].as_object().is_some_and(|annotations| !annotations.is_empty()) {
        writer.annotations("  Annotations", &metadata["annotations"]);
    }
    let spec = &template["spec"];
    optional(writer, 1, "Service Account", &spec["serviceAccountName"]);
    let none = Value::Null;
    if !items(&spec["initContainers"]).is_empty() {
        containers(writer, "Init Containers", &spec["initContainers"], &none, None, "  ");
    }
    containers(writer, "Containers", &spec["containers"], &none, None, "  ");
    volumes::describe(writer, &spec["volumes"], "  ");
    topology_spread(writer, &spec["topologySpreadConstraints"], "  ");
    optional(writer, 1, "Priority Class Name", &spec["priorityClassName"]);
    writer.labels("  Node-Selectors", &spec["nodeSelector"]);
    writer.tolerations("  Tolerations", &spec["tolerations"]);
}

/// Writes a label with its value when there is one.
pub(super) fn optional(writer: &mut Writer, level: usize, label: &str, value: &Value) {
    let value = text(value);
    if !value.is_empty() {
        writer.field(level, label, value);
    }
}

/// Writes how pods are to be spread: `describeTopologySpreadConstraints`.
pub(super) fn topology_spread(writer: &mut Writer, constraints: &Value, space: &str) {
    let mut constraints: Vec<&Value> = items(constraints).iter().collect();
    if constraints.is_empty() {
        return;
    }
    constraints.sort_by_key(|constraint| text(&constraint["topologyKey"]));
    let line = |constraint: &&Value| {
        let mut line = format!(
            "{}:{} when max skew {} is exceeded",
            text(&constraint["topologyKey"]),
            text(&constraint["whenUnsatisfiable"]),
            number(&constraint["maxSkew"])
        );
        if constraint["labelSelector"].is_object() {
            line.push_str(&format!(" for selector {}", selector(&constraint["labelSelector"])));
        }
        line
    };
    let lines = constraints.iter().map(line).collect();
    writer.several(space, "Topology Spread Constraints", lines);
}

/// A label selector as tables show it: `metav1.FormatLabelSelector`.
pub(super) fn selector(selector: &Value) -> String {
    format_label_selector(json::from_value(selector).ok().as_ref())
}

/// Writes containers, with what became of them and what a pod's fields come to where that is known.
pub(super) fn containers(
    writer: &mut Writer,
    label: &str,
    containers: &Value,
    statuses: &Value,
    pod: Option<&Value>,
    space: &str,
) {
    let none = if items(containers).is_empty() { " <none>" } else { "" };
    writer.line(0, &format!("{space}{label}:{none}"));
    for container in items(containers) {
        let status = items(statuses).iter().rfind(|status| status["name"] == container["name"]);
        basics(writer, container, status, space);
        command(writer, container);
        if let Some(status) = status {
            state(writer, status);
        }
        resources(writer, &container["resources"], 2);
        for (label, field) in
            [("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")]
        {
            if container[field].is_object() {
                writer.field(2, label, &probe(&container[field]));
            }
        }
        environment_sources(writer, &container["envFrom"]);
        environment(writer, container, pod);
        mounts(writer, container);
    }
}

fn basics(writer: &mut Writer, container: &Value, status: Option<&Value>, space: &str) {
    let indent = if space.is_empty() { "" } else { " " };
    writer.line(1, &format!("{indent}{}:", text(&container["name"])));
    if let Some(status) = status {
        writer.field(2, "Container ID", text(&status["containerID"]));
    }
    writer.field(2, "Image", text(&container["image"]));
    if let Some(status) = status {
        writer.field(2, "Image ID", text(&status["imageID"]));
    }
    for (label, field) in [("Port", "containerPort"), ("Host Port", "hostPort")] {
        let port = |port: &Value| {
            let name = text(&port["name"]);
            let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
            format!("{}/{}{name}", number(&port[field]), text(&port["protocol"]))
        };
        let ports: Vec<String> = items(&container["ports"]).iter().map(port).collect();
        match ports.as_slice() {
            [] => writer.field(2, label, "<none>"),
            [port] => writer.field(2, label, port),
            ports => writer.field(2, &format!("{label}s"), &ports.join(", ")),
        }
    }
    seccomp(writer, &container["securityContext"], (2, 3));
}

/// Writes the profile of system calls, and at another level where it is on the node.
pub(super) fn seccomp(writer: &mut Writer, context: &Value, (level, level_of_file): (usize, usize)) {
    let profile = &context["seccompProfile"];
    if profile.is_object() {
        writer.field(level, "SeccompProfile", text(&profile["type"]));
        if profile["type"] == "Localhost" {
            writer.field(level_of_file, "LocalhostProfile", text(&profile["localhostProfile"]));
        }
    }
}

fn command(writer: &mut Writer, container: &Value) {
    for (label, field) in [("Command", "command"), ("Args", "args")] {
        if items(&container[field]).is_empty() {
            continue;
        }
        writer.line(2, &format!("{label}:"));
        for line in items(&container[field]).iter().flat_map(|word| text(word).split('\n')) {
            writer.line(3, line);
        }
    }
}

/// Writes limits and requests: `describeResources`.
pub(super) fn resources(writer: &mut Writer, resources: &Value, level: usize) {
    for (label, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let amounts = sorted(&resources[field]);
        if !amounts.is_empty() {
            writer.line(level, &format!("{label}:"));
        }
        for (name, amount) in amounts {
            writer.field(level + 1, name, text(amount));
        }
    }
}

fn state(writer: &mut Writer, status: &Value) {
    one_state(writer, "State", &status["state"]);
    if status["lastState"]["terminated"].is_object() {
        one_state(writer, "Last State", &status["lastState"]);
    }
    writer.field(2, "Ready", if status["ready"] == true { "True" } else { "False" });
    writer.field(2, "Restart Count", &number(&status["restartCount"]).to_string());
}

fn one_state(writer: &mut Writer, label: &str, state: &Value) {
    let (running, terminated) = (&state["running"], &state["terminated"]);
    if running.is_object() {
        writer.field(2, label, "Running");
        writer.field(3, "Started", &time(&running["startedAt"]));
    } else if terminated.is_object() && !state["waiting"].is_object() {
        writer.field(2, label, "Terminated");
        optional(writer, 3, "Reason", &terminated["reason"]);
        optional(writer, 3, "Message", &terminated["message"]);
        writer.field(3, "Exit Code", &number(&terminated["exitCode"]).to_string());
        let signal = number(&terminated["signal"]);
        if signal > 0 {
            writer.field(3, "Signal", &signal.to_string());
        }
        writer.field(3, "Started", &time(&terminated["startedAt"]));
        writer.field(3, "Finished", &time(&terminated["finishedAt"]));
    } else {
        writer.field(2, label, "Waiting");
        optional(writer, 3, "Reason", &state["waiting"]["reason"]);
    }
}

/// A probe on one line: `DescribeProbe`.
fn probe(probe: &Value) -> String {
    let timing = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number(&probe["initialDelaySeconds"]),
        number(&probe["timeoutSeconds"]),
        number(&probe["periodSeconds"]),
        number(&probe["successThreshold"]),
        number(&probe["failureThreshold"])
    );
    let what = if probe["exec"].is_object() {
        format!("exec {}", bracketed(&probe["exec"]["command"]))
    } else if probe["httpGet"].is_object() {
        format!("http-get {}", address(&probe["httpGet"]))
    } else if probe["tcpSocket"].is_object() {
        let socket = &probe["tcpSocket"];
        format!("tcp-socket {}:{}", text(&socket["host"]), int_or_text(&socket["port"]))
    } else if probe["grpc"].is_object() {
        format!("grpc <pod>:{} {}", number(&probe["grpc"]["port"]), text(&probe["grpc"]["service"]))
    } else {
        "unknown".to_owned()
    };
    format!("{what} {timing}")
}

/// Where a probe asks, as Go's `url.URL` prints it.
fn address(get: &Value) -> String {
    let (host, port, path) = (text(&get["host"]), int_or_text(&get["port"]), text(&get["path"]));
    let host = if host.contains(':') || host.contains('%') { format!("[{host}]") } else { host.to_owned() };
    let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
    let mut address = format!("{}://{host}:{port}{slash}", text(&get["scheme"]).to_lowercase());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

fn environment_sources(writer: &mut Writer, sources: &Value) {
    if items(sources).is_empty() {
        return;
    }
    writer.line(2, "Environment Variables from:");
    for source in items(sources) {
        let (kind, reference) = if source["configMapRef"].is_object() {
            ("ConfigMap", &source["configMapRef"])
        } else {
            ("Secret", &source["secretRef"])
        };
        let prefix = text(&source["prefix"]);
        let prefix = if prefix.is_empty() { String::new() } else { format!(" with prefix '{prefix}'") };
        let optional = reference["optional"] == true;
        writer.line(3, &format!("{}\t{kind}{prefix}\tOptional: {optional}", text(&reference["name"])));
    }
}

fn environment(writer: &mut Writer, container: &Value, pod: Option<&Value>) {
    let variables = items(&container["env"]);
    writer.line(2, if variables.is_empty() { "Environment:\t<none>" } else { "Environment:" });
    for variable in variables {
        let (name, source) = (text(&variable["name"]), &variable["valueFrom"]);
        if !source.is_object() {
            for (at, line) in text(&variable["value"]).split('\n').enumerate() {
                let name = if at == 0 { format!("{name}:") } else { String::new() };
                writer.line(3, &format!("{name}\t{line}"));
            }
            continue;
        }
        if let Some(value) = sourced(source, container, pod) {
            writer.field(3, name, &value);
        }
    }
}

/// Where a variable's value comes from, and the value where it is known.
fn sourced(source: &Value, container: &Value, pod: Option<&Value>) -> Option<String> {
    let of_key = |reference: &Value, words: &str| {
        let (key, name) = (text(&reference["key"]), text(&reference["name"]));
        format!("<set to the key '{key}' {words} '{name}'>\tOptional: {}", reference["optional"] == true)
    };
    if source["fieldRef"].is_object() {
        let (version, path) = (text(&source["fieldRef"]["apiVersion"]), text(&source["fieldRef"]["fieldPath"]));
        // The client knows the fields that all kinds have, and no others: `DefaultMetaV1FieldSelectorConversion`.
        let known = match path {
            "metadata.name" => pod.map_or("", |pod| text(&pod["metadata"]["name"])),
            "metadata.namespace" => pod.map_or("", |pod| text(&pod["metadata"]["namespace"])),
            _ => "",
        };
        return Some(format!("{known} ({version}:{path})"));
    }
    if source["resourceFieldRef"].is_object() {
        let reference = &source["resourceFieldRef"];
        let resource = text(&reference["resource"]);
        let value = container_resource(reference, container);
        let is_all = value == "0" && matches!(resource, "limits.cpu" | "limits.memory");
        return Some(format!("{} ({resource})", if is_all { "node allocatable" } else { &value }));
    }
    if source["secretKeyRef"].is_object() {
        return Some(of_key(&source["secretKeyRef"], "in secret"));
    }
    let map = &source["configMapKeyRef"];
    map.is_object().then(|| of_key(map, "of config map"))
}

/// What a container asks for, in the unit that was asked for: `ExtractContainerResourceValue`.
fn container_resource(reference: &Value, container: &Value) -> String {
    let quantity = |value: &Value| Quantity::parse(text(value)).unwrap_or(Quantity::ZERO);
    let resource = text(&reference["resource"]);
    let Some((field, name)) = resource.split_once('.') else { return String::new() };
    let amount = quantity(&container["resources"][field][name]);
    let mut divisor = quantity(&reference["divisor"]);
    if divisor.is_zero() {
        divisor = Quantity::new(1, divisor.format());
    }
    let (amount, divisor) = match name {
        "cpu" => (amount.milli_value(), divisor.milli_value()),
        _ => (amount.value(), divisor.value()),
    };
    // Fractions are rounded up.
    (amount / divisor.max(1) + i64::from(amount % divisor.max(1) > 0)).to_string()
}

fn mounts(writer: &mut Writer, container: &Value) {
    let none = if items(&container["volumeMounts"]).is_empty() { "\t<none>" } else { "" };
    writer.line(2, &format!("Mounts:{none}"));
    let mut mounts: Vec<&Value> = items(&container["volumeMounts"]).iter().collect();
    mounts.sort_by_key(|mount| text(&mount["mountPath"]));
    for mount in mounts {
        let access = if mount["readOnly"] == true { "ro" } else { "rw" };
        let path = text(&mount["subPath"]);
        let path = if path.is_empty() { String::new() } else { format!(",path={}", quote::quote(path)) };
        writer.line(3, &format!("{} from {} ({access}{path})", text(&mount["mountPath"]), text(&mount["name"])));
    }
    let mut devices: Vec<&Value> = items(&container["volumeDevices"]).iter().collect();
    if devices.is_empty() {
        return;
    }
    writer.line(2, &format!("Devices:{none}"));
    devices.sort_by_key(|device| text(&device["devicePath"]));
    for device in devices {
        writer.line(3, &format!("{} from {}", text(&device["devicePath"]), text(&device["name"])));
    }
}
