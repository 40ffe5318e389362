//! What a real API server of v1.36.2 made of manifests.
//!
//! Each file in `tests/defaults` is a list of manifests with the object that was stored, as JSON (`becomes`) or as
//! kubectl printed it (`prints`). What is random was recorded as `<ip>`, `<rand>`, `<time>` or `<hidden>`.

mod api_server;

use api_server::{Server, read_cases};
use kubetab::api::form;
use serde_json::{Map, Value};

#[test]
fn manifests_become_what_the_server_made_of_them() {
    let mut failures = Vec::new();
    let mut count = 0;
    for (file, case) in read_cases("defaults") {
        let mut server = Server::new(case["namespace"].as_str().expect("a namespace"));
        for (index, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
            count += 1;
            let manifest = step["create"].as_str().expect("a manifest");
            let (expected, actual) = match server.create(manifest, None) {
                Err(refusal) => ("an object".to_owned(), refusal),
                Ok((object, _)) if step["becomes"].is_object() => {
                    let actual = masked(&form::encode(&object), "");
                    (pretty(&step["becomes"]), pretty(&actual))
                }
                Ok((object, _)) => {
                    let prints = step["prints"].as_str().expect("a text");
                    (prints.trim().to_owned(), printed(&form::encode(&object)))
                }
            };
            if expected != actual {
                let difference = kubetab::machinery::diff::unified(&expected, &actual);
                failures.push(format!("{file}, step {index}\n{difference}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {count} differ:\n\n{}", failures.len(), failures.join("\n"));
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(&sorted(value)).expect("JSON")
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The value as the recordings keep it: without what is random.
fn masked(value: &Value, key: &str) -> Value {
    match value {
        Value::Object(map) => {
            let random = |key: &str| matches!(key, "uid" | "resourceVersion" | "creationTimestamp");
            let kept = map.iter().filter(|(key, _)| !random(key));
            Value::Object(kept.map(|(key, value)| (key.clone(), masked(value, key))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(|value| masked(value, key)).collect(),
        Value::String(_) if ["Time", "Timestamp"].iter().any(|end| key.ends_with(end)) => "<time>".into(),
        Value::String(text) => mask_ips(&text.replace("kube-api-access-xxxxx", "kube-api-access-<rand>")).into(),
        other => other.clone(),
    }
}

/// Addresses of private networks are masked.
fn mask_ips(text: &str) -> String {
    let (address, rest) = text.find('/').map_or((text, ""), |slash| text.split_at(slash));
    let private = ["10.", "172.", "192.", "100."].iter().any(|begin| address.starts_with(begin));
    if private && address.parse::<std::net::Ipv4Addr>().is_ok() { format!("<ip>{rest}") } else { text.to_owned() }
}

/// The object as kubectl prints it in YAML, masked and with at most two blanks in a row.
fn printed(value: &Value) -> String {
    let yaml = serde_yaml::to_string(&sorted(value)).expect("YAML");
    let line = |line: &str| {
        let trimmed = line.trim_start();
        let indent = (line.len() - trimmed.len()).min(2);
        let (key, value) = trimmed.split_once(": ").unwrap_or((trimmed, ""));
        let masked = match key.trim_start_matches("- ") {
            "creationTimestamp" => format!("{key}: \"<time>\""),
            "resourceVersion" => format!("{key}: <rv>"),
            "uid" => format!("{key}: <uid>"),
            "nodePort" | "healthCheckNodePort" => format!("{key}: <hidden>"),
            "clusterIP" => format!("{key}: {}", mask_ips(value)),
            _ => trimmed.strip_prefix("- ").map_or_else(|| trimmed.to_owned(), |item| format!("- {}", mask_ips(item))),
        };
        format!("{}{masked}", " ".repeat(indent))
    };
    yaml.lines().map(line).collect::<Vec<_>>().join("\n")
}
