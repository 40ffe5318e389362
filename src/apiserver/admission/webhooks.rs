//! Webhooks that judge requests, which nobody in this cluster can answer.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/webhook`. Pods here speak no TLS, so every call fails as it does for a
//! service that is not there or has nobody behind it; what the webhook's policy makes of that is upstream's. Conditions
//! in CEL are taken for met.

use serde_json::Value;

use super::Attributes;
use super::validating_policy::matching::Matcher;
use crate::api::{Kind, Object, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

/// Calls the webhooks of all configurations of a kind, in the order of their names.
pub(super) fn call(kind: Kind, etcd: &Etcd, object: &Object, attributes: Attributes<'_>) -> Result<(), Status> {
    // Nobody is asked about the configurations themselves, lest nobody get rid of them any more.
    let is_exempt = object.kind().info().group == "admissionregistration.k8s.io";
    if is_exempt || etcd.count(kind) == 0 {
        return Ok(());
    }
    let matcher = Matcher::new(etcd, object, attributes);
    for (_, configuration) in etcd.range(kind, None) {
        let Object::Unstructured(configuration) = configuration else { continue };
        let mut webhooks = configuration.fields.get("webhooks").and_then(Value::as_array).into_iter().flatten();
        if let Some(webhook) = webhooks.find(|webhook| webhook["failurePolicy"] != "Ignore" && matcher.calls(webhook)) {
            let name = webhook["name"].as_str().unwrap_or("");
            let why = failure(etcd, webhook);
            return Err(Status::internal(&format!("failed calling webhook {name:?}: failed to call webhook: {why}")));
        }
    }
    Ok(())
}

/// What Go's HTTP client says of a call that cannot succeed.
fn failure(etcd: &Etcd, webhook: &Value) -> String {
    let seconds = webhook["timeoutSeconds"].as_i64().unwrap_or(10);
    let configuration = &webhook["clientConfig"];
    let service = &configuration["service"];
    let text = |field: &str| service[field].as_str().unwrap_or("");
    if service.is_null() {
        let url = configuration["url"].as_str().unwrap_or("");
        let host = url.trim_start_matches("https://").split(['/', ':']).next().unwrap_or("");
        return format!("Post \"{url}?timeout={seconds}s\": dial tcp: lookup {host}: no such host");
    }
    let (name, namespace) = (text("name"), text("namespace"));
    let port = service["port"].as_i64().unwrap_or(443);
    let path = text("path").trim_start_matches('/');
    let exists = etcd.get(Kind::Service, &ObjectKey::new(namespace, name)).is_some();
    let why = if exists {
        format!("no endpoints available for service {name:?}")
    } else {
        format!("service {name:?} not found")
    };
    format!("Post \"https://{name}.{namespace}.svc:{port}/{path}?timeout={seconds}s\": {why}")
}
