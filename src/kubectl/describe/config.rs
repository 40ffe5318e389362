//! What holds settings and names: ConfigMaps, Secrets, ServiceAccounts, PriorityClasses.

use serde_json::Value;

use super::super::cli::Cli;
use super::writer::{Writer, items, number, on_one_line, sorted, text};
use super::{Settings, list};
use crate::api::Kind;
use crate::machinery::base64;

/// How many bytes a text of base64 stands for.
fn decoded(value: &Value) -> Vec<u8> {
    base64::decode(text(value)).unwrap_or_default()
}

/// Writes a ConfigMap.
pub(super) fn config_map(writer: &mut Writer, map: &Value) {
    writer.name_and_namespace(map);
    writer.labels_and_annotations(map);
    writer.line(0, "\nData\n====");
    for (key, value) in sorted(&map["data"]) {
        writer.line(0, &format!("{key}:\n----\n{}\n", text(value)));
    }
    writer.line(0, "\nBinaryData\n====");
    for (key, value) in sorted(&map["binaryData"]) {
        writer.line(0, &format!("{key}: {} bytes", decoded(value).len()));
    }
    writer.line(0, "");
}

/// Writes a Secret: `describeSecret`. Only tokens of service accounts are shown.
pub(super) fn secret(writer: &mut Writer, secret: &Value) {
    writer.name_and_namespace(secret);
    writer.labels_and_annotations(secret);
    writer.field(0, "\nType", text(&secret["type"]));
    writer.line(0, "\nData\n====");
    for (key, value) in sorted(&secret["data"]) {
        let value = decoded(value);
        if key == "token" && secret["type"] == "kubernetes.io/service-account-token" {
            writer.field(0, key, &String::from_utf8_lossy(&value));
        } else {
            writer.field(0, key, &format!("{} bytes", value.len()));
        }
    }
}

/// Writes a ServiceAccount: `describeServiceAccount`.
pub(super) fn service_account(cli: &mut Cli<'_>, writer: &mut Writer, account: &Value, settings: Settings) {
    let namespace = text(&account["metadata"]["namespace"]);
    let secrets = list(cli, Kind::Secret, namespace, ("", ""), settings).ok();
    let is_missing = |name: &Value| {
        secrets.as_ref().is_some_and(|secrets| !secrets.iter().any(|secret| secret["metadata"]["name"] == *name))
    };
    writer.name_and_namespace(account);
    writer.labels_and_annotations(account);
    let pulls = items(&account["imagePullSecrets"]);
    if pulls.is_empty() {
        writer.field(0, "Image pull secrets", "<none>");
    }
    for (at, secret) in pulls.iter().enumerate() {
        let label = if at == 0 { "Image pull secrets:" } else { "                   " };
        let missing = if is_missing(&secret["name"]) { " (not found)" } else { "" };
        writer.line(0, &format!("{label}\t{}{missing}", text(&secret["name"])));
    }
}

/// Writes a PriorityClass: `describePriorityClass`.
pub(super) fn priority_class(writer: &mut Writer, class: &Value) {
    writer.field(0, "Name", text(&class["metadata"]["name"]));
    writer.field(0, "Value", &number(&class["value"]).to_string());
    writer.field(0, "GlobalDefault", &(class["globalDefault"] == true).to_string());
    writer.field(0, "PreemptionPolicy", text(&class["preemptionPolicy"]));
    writer.field(0, "Description", text(&class["description"]));
    writer.field(0, "Annotations", &on_one_line(&class["metadata"]["annotations"]));
}
