//! Webhooks. Follows `validateValidatingWebhook`, `validateMutatingWebhook` and `pkg/util/webhook/validation.go`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rules::{validate_conditions, validate_rule, validate_selector};
use super::{items, supported, text, texts};
use crate::api::check;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// What the address of a webhook looks like.
const FORM: &str = "; desired format: https://host[/path]";

/// The names that the conditions of a webhook may use.
const DECLARED: [&str; 4] = ["object", "oldObject", "request", "authorizer"];

pub(super) fn validate(errors: &mut ErrorList, hooks: &Value, mutates: bool) {
    let mut seen = BTreeSet::new();
    for (index, hook) in hooks.as_array().into_iter().flatten().enumerate() {
        let path = Path::new("webhooks").index(index);
        validate_hook(errors, &path, hook, mutates);
        let versions = texts(hook, "admissionReviewVersions");
        validate_review_versions(
            errors,
            &path.child("admissionReviewVersions"),
            &versions,
            "must specify one of v1, v1beta1",
        );
        let name = text(hook, "name");
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
    }
}

fn validate_hook(errors: &mut ErrorList, path: &Path, hook: &Value, mutates: bool) {
    let name = text(hook, "name");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    } else {
        check::invalid_each(errors, &path.child("name"), name, names::is_fully_qualified_name(name));
    }
    for (index, rule) in items(hook, "rules").iter().enumerate() {
        validate_rule(errors, &path.child("rules").index(index), rule);
    }
    supported(errors, path, hook, "failurePolicy", &["Fail", "Ignore"]);
    supported(errors, path, hook, "matchPolicy", &["Equivalent", "Exact"]);
    if mutates {
        supported(errors, path, hook, "reinvocationPolicy", &["IfNeeded", "Never"]);
    }
    if hook["sideEffects"].is_null() {
        let detail = "must specify one of None, NoneOnDryRun";
        errors.push(FieldError::required(&path.child("sideEffects"), detail));
    }
    supported(errors, path, hook, "sideEffects", &["None", "NoneOnDryRun"]);
    if let Some(seconds) = hook["timeoutSeconds"].as_i64().filter(|seconds| !(1..=30).contains(seconds)) {
        let detail = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(&path.child("timeoutSeconds"), seconds, detail));
    }
    for field in ["namespaceSelector", "objectSelector"] {
        validate_selector(errors, &path.child(field), &hook[field]);
    }
    validate_client(errors, &path.child("clientConfig"), &hook["clientConfig"]);
    validate_conditions(errors, &path.child("matchConditions"), items(hook, "matchConditions"), &DECLARED);
}

/// How a webhook is reached: by an address, or as a Service.
pub(in crate::api) fn validate_client(errors: &mut ErrorList, path: &Path, config: &Value) {
    match (config["url"].as_str(), config["service"].is_null()) {
        (Some(url), true) => validate_url(errors, &path.child("url"), url),
        (None, false) => validate_service(errors, &path.child("service"), &config["service"]),
        _ => errors.push(FieldError::required(path, "exactly one of url or service is required")),
    }
}

/// `validateAdmissionReviewVersions`, `validateConversionReviewVersions`: the form of questions that a webhook knows.
pub(in crate::api) fn validate_review_versions(errors: &mut ErrorList, path: &Path, versions: &[&str], missing: &str) {
    if versions.is_empty() {
        errors.push(FieldError::required(path, missing));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        let path = path.index(index);
        if seen.insert(*version) {
            check::invalid_each(errors, &path, version, names::is_dns1035_label(version));
        } else {
            errors.push(FieldError::invalid(&path, *version, "duplicate version"));
        }
    }
    if !seen.contains("v1") && !seen.contains("v1beta1") {
        errors.push(FieldError::invalid(path, check::json(versions), "must include at least one of v1, v1beta1"));
    }
}

/// `ValidateWebhookURL`.
fn validate_url(errors: &mut ErrorList, path: &Path, url: &str) {
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or("") };
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut refuse = |shown: &str, detail: String| errors.push(FieldError::invalid(path, shown, detail));
    if scheme != "https" {
        refuse(scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        refuse(host, format!("host must be specified{FORM}"));
    }
    for (part, what) in [(user, "user information is"), (fragment, "fragments are"), (query, "query parameters are")] {
        if !part.is_empty() {
            refuse(part, format!("{what} not permitted in the URL"));
        }
    }
}

/// `ValidateWebhookService`.
fn validate_service(errors: &mut ErrorList, path: &Path, service: &Value) {
    check::required(errors, &path.child("name"), text(service, "name"));
    check::required(errors, &path.child("namespace"), text(service, "namespace"));
    let port = service["port"].as_i64().unwrap_or(0);
    let messages = names::is_port_number(port);
    if !messages.is_empty() {
        let detail = format!("port is not valid: {}", messages.join(","));
        errors.push(FieldError::invalid(&path.child("port"), port, detail));
    }
    let (at, given) = (path.child("path"), text(service, "path"));
    let mut refuse = |detail: String| errors.push(FieldError::invalid(&at, given, detail));
    match given {
        "" | "/" => return,
        "//" => return refuse("segment[0] may not be empty".to_owned()),
        _ => {}
    }
    if !given.starts_with('/') {
        refuse("must start with a '/'".to_owned());
    }
    // Upstream leaves the first letter out, whatever it is.
    let rest: String = given.chars().skip(1).collect();
    for (index, step) in rest.strip_suffix('/').unwrap_or(&rest).split('/').enumerate() {
        if step.is_empty() {
            refuse(format!("segment[{index}] may not be empty"));
            continue;
        }
        for message in names::is_dns1123_subdomain(step) {
            refuse(format!("segment[{index}]: {message}"));
        }
    }
}
