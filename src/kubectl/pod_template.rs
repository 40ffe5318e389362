//! A pod template in words.
//!
//! Follows `DescribePodTemplate` of `k8s.io/kubectl/pkg/describe/describe.go`.

use std::fmt::Write as _;

use serde_json::Value;

/// A pod template as descriptions show it, with its tabs as they are: `DescribePodTemplate`.
pub(super) fn pod_template(template: &Value) -> String {
    let mut text = String::from("Pod Template:\n");
    let metadata = &template["metadata"];
    multiline(&mut text, "  Labels", &metadata["labels"], "=");
    if metadata["annotations"].as_object().is_some_and(|annotations| !annotations.is_empty()) {
        multiline(&mut text, "  Annotations", &metadata["annotations"], ": ");
    }
    let spec = &template["spec"];
    let field = |text: &mut String, label: &str, value: &str| {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{label}:\t{value}");
    };
    if let Some(account) = spec["serviceAccountName"].as_str().filter(|account| !account.is_empty()) {
        field(&mut text, "  Service Account", account);
    }
    for (label, list) in [("Init Containers", "initContainers"), ("Containers", "containers")] {
        if let Some(containers) = spec[list].as_array() {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "  {label}:");
            containers.iter().for_each(|container| describe_container(&mut text, container));
        }
    }
    describe_volumes(&mut text, &spec["volumes"]);
    if let Some(class) = spec["priorityClassName"].as_str().filter(|class| !class.is_empty()) {
        field(&mut text, "  Priority Class Name", class);
    }
    multiline(&mut text, "  Node-Selectors", &spec["nodeSelector"], "=");
    describe_tolerations(&mut text, &spec["tolerations"]);
    text
}

/// A map, an entry a line, in order: `printLabelsMultiline`.
fn multiline(text: &mut String, label: &str, map: &Value, between: &str) {
    let mut entries: Vec<String> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}{between}{}", value.as_str().unwrap_or("")))
        .collect();
    entries.sort();
    if entries.is_empty() {
        entries.push("<none>".to_owned());
    }
    for (at, entry) in entries.iter().enumerate() {
        // Writing into a string cannot fail.
        let _ = if at == 0 { writeln!(text, "{label}:\t{entry}") } else { writeln!(text, "\t{entry}") };
    }
}

fn describe_container(text: &mut String, container: &Value) {
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut lines = vec![format!("   {}:", word(&container["name"]))];
    lines.push(format!("    Image:\t{}", word(&container["image"])));
    let ports: Vec<&Value> = container["ports"].as_array().into_iter().flatten().collect();
    let number = |value: &Value| value.as_i64().unwrap_or(0);
    let list = |field: &str| {
        let each = ports.iter().map(|port| format!("{}/{}", number(&port[field]), word(&port["protocol"])));
        let each: Vec<String> = each.collect();
        if each.is_empty() { "<none>".to_owned() } else { each.join(", ") }
    };
    let plural = if ports.len() > 1 { "Ports" } else { "Port" };
    lines.push(format!("    {plural}:\t{}", list("containerPort")));
    lines.push(format!("    Host {plural}:\t{}", list("hostPort")));
    for (label, field) in [("Command", "command"), ("Args", "args")] {
        if let Some(words) = container[field].as_array().filter(|words| !words.is_empty()) {
            lines.push(format!("    {label}:"));
            let split = words.iter().flat_map(|word| word.as_str().unwrap_or("").split('\n'));
            lines.extend(split.map(|word| format!("      {word}")));
        }
    }
    for (label, field) in [("Limits", "limits"), ("Requests", "requests")] {
        let amounts = container["resources"][field].as_object().cloned().unwrap_or_default();
        if !amounts.is_empty() {
            lines.push(format!("    {label}:"));
            let mut each: Vec<String> =
                amounts.iter().map(|(name, amount)| format!("      {name}:\t{}", word(amount))).collect();
            each.sort();
            lines.extend(each);
        }
    }
    describe_environment(&mut lines, &container["env"]);
    describe_mounts(&mut lines, &container["volumeMounts"]);
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
}

fn describe_environment(lines: &mut Vec<String>, variables: &Value) {
    let variables: Vec<&Value> = variables.as_array().into_iter().flatten().collect();
    if variables.is_empty() {
        return lines.push("    Environment:\t<none>".to_owned());
    }
    lines.push("    Environment:".to_owned());
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    for variable in variables {
        let name = word(&variable["name"]);
        let source = &variable["valueFrom"];
        let of = |reference: &Value, kind: &str| {
            let optional = reference["optional"].as_bool().unwrap_or(false);
            format!(
                "<set to the key '{}' in {kind} '{}'>\tOptional: {optional}",
                word(&reference["key"]),
                word(&reference["name"])
            )
        };
        let value = if source["configMapKeyRef"].is_object() {
            of(&source["configMapKeyRef"], "config map")
        } else if source["secretKeyRef"].is_object() {
            of(&source["secretKeyRef"], "secret")
        } else if source["fieldRef"].is_object() {
            format!(" ({}:{})", word(&source["fieldRef"]["apiVersion"]), word(&source["fieldRef"]["fieldPath"]))
        } else {
            word(&variable["value"])
        };
        lines.push(format!("      {name}:\t{value}"));
    }
}

fn describe_mounts(lines: &mut Vec<String>, mounts: &Value) {
    let mounts: Vec<&Value> = mounts.as_array().into_iter().flatten().collect();
    if mounts.is_empty() {
        return lines.push("    Mounts:\t<none>".to_owned());
    }
    lines.push("    Mounts:".to_owned());
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    for mount in mounts {
        let access = if mount["readOnly"] == true { "ro" } else { "rw" };
        let path = word(&mount["subPath"]);
        let path = if path.is_empty() { String::new() } else { format!(",path={path:?}") };
        lines.push(format!("      {} from {} ({access}{path})", word(&mount["mountPath"]), word(&mount["name"])));
    }
}

fn describe_volumes(text: &mut String, volumes: &Value) {
    let volumes: Vec<&Value> = volumes.as_array().into_iter().flatten().collect();
    if volumes.is_empty() {
        text.push_str("  Volumes:\t<none>\n");
        return;
    }
    text.push_str("  Volumes:\n");
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    for volume in volumes {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "   {}:", word(&volume["name"]));
        let _ = if let Some(claim) = volume["persistentVolumeClaim"].as_object() {
            writeln!(
                text,
                "    Type:\tPersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)\n    ClaimName:\t{}",
                word(&claim["claimName"])
            )
        } else if let Some(map) = volume["configMap"].as_object() {
            writeln!(
                text,
                "    Type:\tConfigMap (a volume populated by a ConfigMap)\n    Name:\t{}\n    Optional:\tfalse",
                word(&map["name"])
            )
        } else if let Some(secret) = volume["secret"].as_object() {
            writeln!(
                text,
                "    Type:\tSecret (a volume populated by a Secret)\n    SecretName:\t{}\n    Optional:\tfalse",
                word(&secret["secretName"])
            )
        } else if let Some(path) = volume["hostPath"].as_object() {
            writeln!(
                text,
                "    Type:\tHostPath (bare host directory volume)\n    Path:\t{}\n    HostPathType:\t",
                word(&path["path"])
            )
        } else if let Some(directory) = volume["emptyDir"].as_object() {
            let word_or =
                |value: Option<&Value>, other: &str| value.and_then(Value::as_str).unwrap_or(other).to_owned();
            writeln!(
                text,
                "    Type:\tEmptyDir (a temporary directory that shares a pod's lifetime)\n    Medium:\t{}\n    SizeLimit:\t{}",
                word_or(directory.get("medium"), ""),
                word_or(directory.get("sizeLimit"), "<unset>")
            )
        } else {
            writeln!(text, "    <unknown>")
        };
    }
}

fn describe_tolerations(text: &mut String, tolerations: &Value) {
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut lines: Vec<String> = Vec::new();
    for toleration in tolerations.as_array().into_iter().flatten() {
        let (key, value, effect) = (word(&toleration["key"]), word(&toleration["value"]), word(&toleration["effect"]));
        let mut line = key;
        if !value.is_empty() {
            line = format!("{line}={value}");
        }
        if !effect.is_empty() {
            line = format!("{line}:{effect}");
        }
        if toleration["operator"] == "Exists" && value.is_empty() {
            line.push_str(if line.is_empty() || effect.is_empty() { "op=Exists" } else { " op=Exists" });
        }
        if let Some(seconds) = toleration["tolerationSeconds"].as_i64() {
            line = format!("{line} for {seconds}s");
        }
        lines.push(line);
    }
    lines.sort();
    if lines.is_empty() {
        lines.push("<none>".to_owned());
    }
    for (at, line) in lines.iter().enumerate() {
        // Writing into a string cannot fail.
        let _ = if at == 0 { writeln!(text, "  Tolerations:\t{line}") } else { writeln!(text, "  \t{line}") };
    }
}
