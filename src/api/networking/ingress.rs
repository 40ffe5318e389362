//! Ingresses. Follows `ValidateIngress` and `printIngress`.

use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressLoadBalancerStatus, IngressRule, IngressServiceBackend,
    IngressSpec, IngressStatus, IngressTLS,
};
use serde_json::Value;

use crate::api::check::{self, invalid_each, list, text};
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::ip;
use crate::machinery::names;
use crate::machinery::order::Order;
use crate::machinery::time::Time;

/// The annotation that named a class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Parts that a path of type Exact or Prefix may not have.
const INVALID_SEQUENCES: &[&str] = &["//", "/./", "/../", "%2f", "%2F"];
/// Ends that such a path may not have.
const INVALID_SUFFIXES: &[&str] = &["/..", "/."];

pub(crate) fn prepare_for_create(ingress: &mut Ingress) {
    ingress.status = Some(IngressStatus::default());
    ingress.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut Ingress, old: &Ingress, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateIngressCreate`.
pub(crate) fn validate(ingress: &Ingress) -> ErrorList {
    let mut errors = validate_both(ingress, None);
    let class = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    if let (Some(annotation), Some(class)) = (class_annotation(ingress), class)
        && annotation != class
    {
        let at = Path::new("annotations").child(CLASS_ANNOTATION);
        let detail = "must match `ingressClassName` when both are specified";
        errors.push(FieldError::invalid(&at, annotation.as_str(), detail));
    }
    errors
}

/// `ValidateIngressUpdate` and `ValidateIngressStatusUpdate`.
pub(crate) fn validate_update(new: &Ingress, old: &Ingress, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        let status = new.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        validate_status(&mut errors, status);
    } else {
        errors.extend(validate_both(new, Some(old)));
    }
    errors
}

/// Whether the Ingress says of which class it is.
pub(crate) fn has_class(ingress: &Ingress) -> bool {
    class_annotation(ingress).is_some() || ingress.spec.as_ref().is_some_and(|spec| spec.ingress_class_name.is_some())
}

fn class_annotation(ingress: &Ingress) -> Option<&String> {
    ingress.metadata.annotations.as_ref()?.get(CLASS_ANNOTATION)
}

/// `validateIngress`: what was wrong before with names of secrets and rules for wildcards may stay so.
fn validate_both(ingress: &Ingress, old: Option<&Ingress>) -> ErrorList {
    let mut errors = meta::validate(&ingress.metadata, true, names::is_dns1123_subdomain);
    let missing = IngressSpec::default();
    let spec = ingress.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    let rules = list(&spec.rules);
    if rules.is_empty() && spec.default_backend.is_none() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid(&path, Value::Null, detail));
    }
    if let Some(backend) = &spec.default_backend {
        validate_backend(&mut errors, &path.child("defaultBackend"), backend);
    }
    let old = old.and_then(|old| old.spec.as_ref());
    let had_wrong_wildcards = old.is_some_and(|old| list(&old.rules).iter().any(is_wrong_wildcard));
    for (index, rule) in rules.iter().enumerate() {
        validate_rule(&mut errors, &path.child("rules").index(index), rule, had_wrong_wildcards);
    }
    let had_wrong_secrets = old.is_some_and(|old| list(&old.tls).iter().any(|tls| !secret_errors(tls).is_empty()));
    for (index, tls) in list(&spec.tls).iter().enumerate() {
        validate_tls(&mut errors, &path.child("tls").index(index), tls, had_wrong_secrets);
    }
    if let Some(class) = &spec.ingress_class_name {
        check::dns_subdomain(&mut errors, &path.child("ingressClassName"), class);
    }
    errors
}

fn validate_host(errors: &mut ErrorList, path: &Path, host: &str) {
    let messages =
        if host.contains('*') { names::is_wildcard_dns1123_subdomain(host) } else { names::is_dns1123_subdomain(host) };
    invalid_each(errors, path, host, messages);
}

/// `validateIngressTLS`.
fn validate_tls(errors: &mut ErrorList, path: &Path, tls: &IngressTLS, had_wrong_secrets: bool) {
    for (index, host) in list(&tls.hosts).iter().enumerate() {
        validate_host(errors, &path.child("hosts").index(index), host);
    }
    if !had_wrong_secrets {
        invalid_each(errors, &path.child("secretName"), text(&tls.secret_name), secret_errors(tls));
    }
}

fn secret_errors(tls: &IngressTLS) -> Vec<String> {
    match text(&tls.secret_name) {
        "" => Vec::new(),
        name => names::is_dns1123_subdomain(name),
    }
}

/// `validateIngressRules`, one rule.
fn validate_rule(errors: &mut ErrorList, path: &Path, rule: &IngressRule, had_wrong_wildcards: bool) {
    let host = text(&rule.host);
    if !host.is_empty() {
        let at = path.child("host");
        if ip::parse_ip(host).is_some() {
            errors.push(FieldError::invalid(&at, host, "must be a DNS name, not an IP address"));
        }
        validate_host(errors, &at, host);
    }
    if !host.contains('*') || !had_wrong_wildcards {
        validate_paths(errors, path, rule);
    }
}

fn is_wrong_wildcard(rule: &IngressRule) -> bool {
    let mut errors = ErrorList::new();
    validate_paths(&mut errors, &Path::new("rules"), rule);
    text(&rule.host).contains('*') && !errors.is_empty()
}

/// `validateHTTPIngressRuleValue`.
fn validate_paths(errors: &mut ErrorList, path: &Path, rule: &IngressRule) {
    let Some(http) = &rule.http else { return };
    let at = path.child("http").child("paths");
    if http.paths.is_empty() {
        errors.push(FieldError::required(&at, ""));
    }
    for (index, path) in http.paths.iter().enumerate() {
        validate_path(errors, &at.index(index), path);
    }
}

/// `validateHTTPIngressPath`.
fn validate_path(errors: &mut ErrorList, path: &Path, rule: &HTTPIngressPath) {
    let (value, at) = (text(&rule.path), path.child("path"));
    let is_absolute = value.starts_with('/');
    match rule.path_type.as_str() {
        "" => {
            errors.push(FieldError::required(&path.child("pathType"), "pathType must be specified"));
            return;
        }
        "Exact" | "Prefix" => {
            if !is_absolute {
                errors.push(FieldError::invalid(&at, value, "must be an absolute path"));
            }
            for sequence in INVALID_SEQUENCES.iter().filter(|sequence| value.contains(**sequence)) {
                errors.push(FieldError::invalid(&at, value, format!("must not contain '{sequence}'")));
            }
            for suffix in INVALID_SUFFIXES.iter().filter(|suffix| value.ends_with(**suffix)) {
                errors.push(FieldError::invalid(&at, value, format!("cannot end with '{suffix}'")));
            }
        }
        "ImplementationSpecific" => {
            if !value.is_empty() && !is_absolute {
                errors.push(FieldError::invalid(&at, value, "must be an absolute path"));
            }
        }
        other => {
            let types = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.push(FieldError::not_supported(&path.child("pathType"), other, &types));
        }
    }
    validate_backend(errors, &path.child("backend"), &rule.backend);
}

/// `validateIngressBackend`.
fn validate_backend(errors: &mut ErrorList, path: &Path, backend: &IngressBackend) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => {
            errors.push(FieldError::invalid(path, "", "cannot set both resource and service backends"));
        }
        (Some(resource), None) => validate_reference(errors, &path.child("resource"), resource),
        (None, Some(service)) => validate_service(errors, path, service),
        (None, None) => errors.push(FieldError::invalid(path, "", "resource or service backend is required")),
    }
}

fn validate_service(errors: &mut ErrorList, path: &Path, service: &IngressServiceBackend) {
    let at = path.child("service");
    if service.name.is_empty() {
        errors.push(FieldError::required(&at.child("name"), ""));
    } else {
        check::dns_label(errors, &at.child("name"), &service.name);
    }
    let port = service.port.clone().unwrap_or_default();
    let (name, number) = (text(&port.name), port.number.unwrap_or(0));
    let at = at.child("port");
    match (name.is_empty(), number) {
        (true, 0) => errors.push(FieldError::required(path, "port name or number is required")),
        (true, number) => check::port_number(errors, &at.child("number"), number),
        (false, 0) => invalid_each(errors, &at.child("name"), name, names::is_port_name(name)),
        (false, _) => errors.push(FieldError::invalid(path, "", "cannot set both port name & port number")),
    }
}

/// `validateIngressTypedLocalObjectReference`.
fn validate_reference(errors: &mut ErrorList, path: &Path, reference: &TypedLocalObjectReference) {
    if let Some(group) = &reference.api_group {
        check::dns_subdomain(errors, &path.child("apiGroup"), group);
    }
    for (field, value) in [("kind", &reference.kind), ("name", &reference.name)] {
        check::required(errors, &path.child(field), value);
        invalid_each(errors, &path.child(field), value, names::is_path_segment_name(value));
    }
}

/// `ValidateIngressLoadBalancerStatus`.
fn validate_status(errors: &mut ErrorList, status: Option<&IngressLoadBalancerStatus>) {
    let path = Path::new("status").child("loadBalancer").child("ingress");
    for (index, point) in status.map_or(&[][..], |status| list(&status.ingress)).iter().enumerate() {
        let path = path.index(index);
        if let Some(address) = point.ip.as_deref().filter(|address| !address.is_empty()) {
            check::ip(errors, &path.child("ip"), address);
        }
        if let Some(host) = point.hostname.as_deref().filter(|host| !host.is_empty()) {
            let at = path.child("hostname");
            check::dns_subdomain(errors, &at, host);
            if ip::parse_ip(host).is_some() {
                errors.push(FieldError::invalid(&at, host, "must be a DNS name, not an IP address"));
            }
        }
    }
}

/// What the strategy warns of at creation.
pub(crate) fn warnings(ingress: &Ingress) -> Vec<String> {
    let warning = format!("annotation {CLASS_ANNOTATION:?} is deprecated, please use 'spec.ingressClassName' instead");
    class_annotation(ingress).map(|_| warning).into_iter().collect()
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Class",
        "The name of the IngressClass resource that should be used for additional configuration",
    ),
    ColumnDefinition::text("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
    ColumnDefinition::text("Address", "Address is a list containing ingress points for the load-balancer"),
    ColumnDefinition::text("Ports", "Ports of TLS configurations that open"),
    AGE,
];

pub(crate) fn row(ingress: &Ingress, now: Time) -> Vec<Value> {
    let spec = ingress.spec.clone().unwrap_or_default();
    let class = spec.ingress_class_name.as_ref().or_else(|| class_annotation(ingress));
    vec![
        name_of(&ingress.metadata),
        class.map_or("<none>", String::as_str).into(),
        hosts(list(&spec.rules)).into(),
        addresses(ingress).into(),
        if list(&spec.tls).is_empty() { "80" } else { "80, 443" }.into(),
        age_of(&ingress.metadata, now),
    ]
}

/// `formatHosts`: three at most.
fn hosts(rules: &[IngressRule]) -> String {
    const SHOWN_MAX: usize = 3;
    let hosts: Vec<&str> = rules.iter().map(|rule| text(&rule.host)).filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return "*".to_owned();
    }
    let shown = hosts[..hosts.len().min(SHOWN_MAX)].join(",");
    if hosts.len() > SHOWN_MAX { format!("{shown} + {} more...", hosts.len() - SHOWN_MAX) } else { shown }
}

/// `ingressLoadBalancerStatusStringer`.
fn addresses(ingress: &Ingress) -> String {
    let status = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = status.map_or(&[][..], |status| list(&status.ingress));
    let mut addresses: Vec<&str> = points
        .iter()
        .map(|point| if text(&point.ip).is_empty() { text(&point.hostname) } else { text(&point.ip) })
        .filter(|address| !address.is_empty())
        .collect();
    addresses.order();
    addresses.dedup();
    addresses.join(",")
}
