//! Webhooks are called in vain: there is no network between the API server and what pods serve.
//!
//! `k8s.io/apiserver/pkg/admission/plugin/webhook/{generic,mutating,validating}`. A webhook that may fail lets the request
//! pass, any other refuses it in upstream's words.

use serde_json::Value;

use super::{Environment, Matcher, stored_hooks};
use crate::api::{Kind, Object, ObjectKey};
use crate::apiserver::Context;
use crate::apiserver::admission::Attributes;
use crate::etcd::Etcd;
use crate::machinery::status::Status;

/// Calls the webhooks of a kind of configuration that want to see the request.
#[inline(never)]
pub(in crate::apiserver::admission) fn call(
    etcd: &Etcd,
    context: &Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
    kind: Kind,
) -> Result<(), Status> {
    let is_configuration = object.kind().info().group == "admissionregistration.k8s.io";
    if is_configuration || etcd.count(kind) == 0 {
        return Ok(());
    }
    let matcher = Matcher::new(etcd, object, attributes);
    for hook in stored_hooks(etcd, kind) {
        if !matcher.matches_hook(hook) || hook["failurePolicy"] == "Ignore" {
            continue;
        }
        let environment = Environment::new(etcd, context, object, attributes);
        if environment.meets_conditions(hook) == Ok(false) {
            continue;
        }
        let name = hook["name"].as_str().unwrap_or("");
        let (address, why) = unreachable(etcd, hook);
        let told = format!("failed calling webhook {name:?}: failed to call webhook: Post {address:?}: {why}");
        return Err(Status::internal(&told));
    }
    Ok(())
}

/// Where a webhook is, and why nobody answers there.
pub(in crate::apiserver) fn unreachable(etcd: &Etcd, hook: &Value) -> (String, String) {
    let config = &hook["clientConfig"];
    let timeout = hook["timeoutSeconds"].as_i64().unwrap_or(10);
    if let Some(url) = config["url"].as_str() {
        let host = url.split("://").nth(1).unwrap_or("").split('/').next().unwrap_or("");
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:443") };
        let is_address = host.starts_with(|first: char| first.is_ascii_digit() || first == '[');
        let why = if is_address {
            format!("dial tcp {host}: connect: connection refused")
        } else {
            format!("dial tcp: lookup {}: no such host", host.split(':').next().unwrap_or(""))
        };
        return (format!("{url}?timeout={timeout}s"), why);
    }
    let text = |field: &str| config["service"][field].as_str().unwrap_or("");
    let (namespace, name, port) = (text("namespace"), text("name"), config["service"]["port"].as_i64().unwrap_or(443));
    let path = text("path").trim_start_matches('/');
    let address = format!("https://{name}.{namespace}.svc:{port}/{path}?timeout={timeout}s");
    let Some(Object::Service(service)) = etcd.get(Kind::Service, &ObjectKey::new(namespace, name)) else {
        return (address, format!("service {name:?} not found"));
    };
    let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or("");
    (address, format!("dial tcp {ip}:{port}: connect: connection refused"))
}
