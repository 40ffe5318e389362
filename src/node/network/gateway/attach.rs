//! Which routes a listener takes, and which Services a route may send to.

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::api::{ObjectKey, Unstructured};
use crate::client::Informers;
use crate::machinery::json;
use crate::machinery::labels::Selector;

use super::{GROUP, Known, items, name, namespace, spec, text};

/// Why a listener does not take a route, or a route cannot send to a backend: the reason of a condition.
pub(super) type Reason = &'static str;

/// Whether a reference means a Gateway: by its group, kind, namespace and name.
pub(super) fn means_gateway(reference: &Value, route: &Unstructured, gateway: &Unstructured) -> bool {
    let field = |field: &str, default: &'static str| reference[field].as_str().unwrap_or(default).to_owned();
    field("group", GROUP) == GROUP
        && field("kind", "Gateway") == "Gateway"
        && text(&reference["name"]) == name(gateway)
        && reference["namespace"].as_str().unwrap_or(namespace(route)) == namespace(gateway)
}

/// Whether a listener is of a protocol that is understood.
pub(super) fn is_supported(listener: &Value) -> bool {
    matches!(text(&listener["protocol"]), "HTTP" | "HTTPS")
}

/// Whether a listener takes HTTPRoutes.
pub(super) fn takes_http_routes(listener: &Value) -> bool {
    let kinds = &listener["allowedRoutes"]["kinds"];
    let is_http = |kind: &Value| text(&kind["kind"]) == "HTTPRoute" && kind["group"].as_str().unwrap_or(GROUP) == GROUP;
    items(kinds).next().is_none() || items(kinds).any(is_http)
}

fn is_allowed(listener: &Value, route: &Unstructured, gateway: &Unstructured, informers: &Informers) -> bool {
    let namespaces = &listener["allowedRoutes"]["namespaces"];
    match namespaces["from"].as_str().unwrap_or("Same") {
        "All" => true,
        "Selector" => {
            let selector = json::from_value::<LabelSelector>(&namespaces["selector"]).unwrap_or_default();
            let found = informers.get::<Namespace>(&ObjectKey::new("", namespace(route)));
            let labels = found.and_then(|found| found.metadata.labels.clone()).unwrap_or_default();
            Selector::from_label_selector(Some(&selector)).is_ok_and(|selector| selector.matches(&labels))
        }
        _ => namespace(route) == namespace(gateway),
    }
}

/// How well a host fits a name, which may be `*.domain` or empty for all: the larger the better.
pub(super) fn host_fit(wanted: &str, host: &str) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    if wanted.eq_ignore_ascii_case(host) {
        return Some(usize::MAX);
    }
    let domain = wanted.strip_prefix('*')?;
    let is_below = host.len() > domain.len() && host.to_ascii_lowercase().ends_with(&domain.to_ascii_lowercase());
    is_below.then_some(wanted.len())
}

/// Whether two names, of a listener and of a route, have hosts in common.
fn intersect(a: &str, b: &str) -> bool {
    host_fit(a, b).is_some() || host_fit(b, a).is_some() || b.is_empty()
}

/// Whether a listener takes a route by one of its references.
///
/// # Errors
/// The reason of the route's condition `Accepted`.
pub(super) fn attach(
    reference: &Value,
    listener: &Value,
    route: &Unstructured,
    gateway: &Unstructured,
    informers: &Informers,
) -> Result<(), Reason> {
    let section = &reference["sectionName"];
    let is_meant = (section.is_null() || section == &listener["name"])
        && (reference["port"].is_null() || reference["port"] == listener["port"]);
    if !is_meant || !is_supported(listener) {
        return Err("NoMatchingParent");
    }
    if !takes_http_routes(listener) || !is_allowed(listener, route, gateway, informers) {
        return Err("NotAllowedByListeners");
    }
    let of_listener = text(&listener["hostname"]);
    let mut hosts = items(&spec(route)["hostnames"]).map(text).peekable();
    if hosts.peek().is_none() || of_listener.is_empty() || hosts.any(|host| intersect(of_listener, host)) {
        Ok(())
    } else {
        Err("NoMatchingListenerHostname")
    }
}

/// Whether any listener of a Gateway takes a route by a reference; the most telling reason when none does.
pub(super) fn attach_any(
    reference: &Value,
    route: &Unstructured,
    gateway: &Unstructured,
    informers: &Informers,
) -> Result<(), Reason> {
    let mut reason = "NoMatchingParent";
    for listener in items(&spec(gateway)["listeners"]) {
        match attach(reference, listener, route, gateway, informers) {
            Ok(()) => return Ok(()),
            Err("NoMatchingParent") => {}
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

/// Whether a ReferenceGrant lets routes of a namespace send to a Service of another.
fn is_granted(known: &Known, from: &str, to: &str, service: &str) -> bool {
    let mut grants = known.grants.values().filter(|grant| namespace(grant) == to);
    grants.any(|grant| {
        let is_source = |source: &Value| {
            text(&source["group"]) == GROUP
                && text(&source["kind"]) == "HTTPRoute"
                && text(&source["namespace"]) == from
        };
        let is_target = |target: &Value| {
            let named = text(&target["name"]);
            text(&target["group"]).is_empty()
                && text(&target["kind"]) == "Service"
                && (named.is_empty() || named == service)
        };
        items(&spec(grant)["from"]).any(is_source) && items(&spec(grant)["to"]).any(is_target)
    })
}

/// The namespace and name of the Service that a route refers to.
///
/// # Errors
/// The reason of the route's condition `ResolvedRefs`.
pub(super) fn backend<'a>(
    known: &Known,
    informers: &Informers,
    route: &'a Unstructured,
    reference: &'a Value,
) -> Result<(&'a str, &'a str), Reason> {
    let kind = reference["kind"].as_str().unwrap_or("Service");
    if !text(&reference["group"]).is_empty() || kind != "Service" {
        return Err("InvalidKind");
    }
    let own = namespace(route);
    let (of, service) = (reference["namespace"].as_str().unwrap_or(own), text(&reference["name"]));
    if of != own && !is_granted(known, own, of, service) {
        return Err("RefNotPermitted");
    }
    let found = informers.get::<Service>(&ObjectKey::new(of, service)).is_some();
    if found { Ok((of, service)) } else { Err("BackendNotFound") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_fit_names_and_wildcards() {
        assert_eq!(host_fit("", "a.example.com"), Some(0));
        assert_eq!(host_fit("A.example.com", "a.example.com"), Some(usize::MAX));
        assert_eq!(host_fit("*.example.com", "a.b.example.com"), Some(13));
        assert_eq!(host_fit("*.example.com", "example.com"), None);
        assert!(intersect("*.example.com", "a.example.com") && intersect("a.example.com", "*.example.com"));
        assert!(!intersect("a.example.com", "b.example.com"));
    }
}
