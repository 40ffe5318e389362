//! What may be wrong with FlowSchemas and priority levels.

use serde_json::Value;

use super::bootstrap;
use crate::api::kind::Kind;
use crate::api::unstructured::Unstructured;
use crate::api::{check, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// `FlowSchemaMaxMatchingPrecedence`.
const MATCHING_PRECEDENCE_MAX: i64 = 10_000;
/// `priorityLevelConfigurationQueuingMaxQueues`.
const QUEUES_MAX: i64 = 10_000_000;
/// What rules may speak of.
const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// Everything that is wrong with an object of the group.
pub(crate) fn validate(object: &Unstructured) -> ErrorList {
    let mut errors = meta::validate(&object.metadata, false, names::is_dns1123_subdomain);
    let missing = Value::Null;
    let spec = object.fields.get("spec").unwrap_or(&missing);
    let path = Path::new("spec");
    let name = check::text(&object.metadata.name);
    if object.kind == Kind::FlowSchema {
        validate_schema(&mut errors, &path, spec, name);
    } else {
        validate_level(&mut errors, &path, spec, name);
    }
    if let Some(fixed) = bootstrap::mandatory(object.kind, name)
        && &fixed != spec
        && !(object.kind == Kind::PriorityLevelConfiguration && name == "exempt")
    {
        errors.push(FieldError::invalid(&path, spec.clone(), format!("spec of '{name}' must equal the fixed value")));
    }
    errors
}

fn items<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or("")
}

/// `ValidateFlowSchemaSpec`.
fn validate_schema(errors: &mut ErrorList, path: &Path, spec: &Value, name: &str) {
    let precedence = spec["matchingPrecedence"].as_i64().unwrap_or(0);
    let at = path.child("matchingPrecedence");
    if precedence <= 0 {
        errors.push(FieldError::invalid(&at, precedence, "must be a positive value"));
    }
    if precedence > MATCHING_PRECEDENCE_MAX {
        let why = format!("must not be greater than {MATCHING_PRECEDENCE_MAX}");
        errors.push(FieldError::invalid(&at, precedence, why));
    }
    if precedence == 1 && name != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid(&at, precedence, why));
    }
    let method = &spec["distinguisherMethod"];
    if method.is_object() && !["ByNamespace", "ByUser"].contains(&text(method, "type")) {
        let at = path.child("distinguisherMethod").child("type");
        errors.push(FieldError::not_supported(&at, method.clone(), &["ByNamespace", "ByUser"]));
    }
    let level = text(&spec["priorityLevelConfiguration"], "name");
    let at = path.child("priorityLevelConfiguration").child("name");
    if level.is_empty() {
        errors.push(FieldError::required(&at, "must reference a priority level"));
    } else {
        check::invalid_each(errors, &at, level, names::is_dns1123_subdomain(level));
    }
    for (index, rule) in items(spec, "rules").iter().enumerate() {
        validate_rules(errors, &path.child("rules").index(index), rule);
    }
}

/// `ValidateFlowSchemaPolicyRulesWithSubjects`.
fn validate_rules(errors: &mut ErrorList, path: &Path, rule: &Value) {
    let subjects = items(rule, "subjects");
    if subjects.is_empty() {
        errors.push(FieldError::required(&path.child("subjects"), "subjects must contain at least one value"));
    }
    for (index, subject) in subjects.iter().enumerate() {
        validate_subject(errors, &path.child("subjects").index(index), subject);
    }
    let (resources, others) = (items(rule, "resourceRules"), items(rule, "nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(path, why));
    }
    for (index, rule) in resources.iter().enumerate() {
        validate_resource_rule(errors, &path.child("resourceRules").index(index), rule);
    }
    for (index, rule) in others.iter().enumerate() {
        let path = path.child("nonResourceRules").index(index);
        validate_verbs(errors, &path, rule);
        validate_urls(errors, &path.child("nonResourceURLs"), items(rule, "nonResourceURLs"));
    }
}

/// `ValidateFlowSchemaSubject`.
fn validate_subject(errors: &mut ErrorList, path: &Path, subject: &Value) {
    let kinds = [("serviceAccount", "ServiceAccount"), ("user", "User"), ("group", "Group")];
    let kind = text(subject, "kind");
    let Some((field, _)) = kinds.iter().find(|(_, name)| *name == kind) else {
        let known = ["Group", "ServiceAccount", "User"];
        errors.push(FieldError::not_supported(&path.child("kind"), kind, &known));
        return;
    };
    let (at, own) = (path.child(field), &subject[*field]);
    if own.is_object() {
        let name = text(own, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), ""));
        } else if kind == "ServiceAccount" && name != "*" {
            check::invalid_each(errors, &at.child("name"), name, names::is_dns1123_subdomain(name));
        }
        if kind == "ServiceAccount" {
            let namespace = text(own, "namespace");
            if namespace.is_empty() {
                let why = "must specify namespace for service account";
                errors.push(FieldError::required(&at.child("namespace"), why));
            } else {
                let why = names::is_dns1123_label(namespace);
                check::invalid_each(errors, &at.child("namespace"), namespace, why);
            }
        }
    } else {
        errors.push(FieldError::required(&at, format!("{field} is required when subject kind is '{kind}'")));
    }
    for (other, name) in kinds.iter().filter(|(_, name)| *name != kind) {
        if subject[*other].is_object() {
            let why = format!("{other} is forbidden when subject kind is not '{name}'");
            errors.push(FieldError::forbidden(&path.child(other), why));
        }
    }
}

/// A list in which `*` stands alone. Says whether its items are left to be looked at.
fn validate_wildcard(errors: &mut ErrorList, path: &Path, list: &[Value], missing: &str, others: &str) -> bool {
    let has_wildcard = list.iter().any(|item| item == "*");
    if list.is_empty() {
        errors.push(FieldError::required(path, missing));
    } else if has_wildcard && list.len() > 1 {
        let why = format!("if '*' is present, must not specify other {others}");
        errors.push(FieldError::invalid(path, list.to_vec(), why));
    }
    !list.is_empty() && !has_wildcard
}

fn validate_verbs(errors: &mut ErrorList, path: &Path, rule: &Value) {
    let (path, verbs) = (path.child("verbs"), items(rule, "verbs"));
    if validate_wildcard(errors, &path, verbs, "verbs must contain at least one value", "verbs")
        && !verbs.iter().all(|verb| verb.as_str().is_some_and(|verb| VERBS.contains(&verb)))
    {
        errors.push(FieldError::not_supported(&path, verbs.to_vec(), &VERBS));
    }
}

/// `ValidateFlowSchemaResourcePolicyRule`.
fn validate_resource_rule(errors: &mut ErrorList, path: &Path, rule: &Value) {
    validate_verbs(errors, path, rule);
    let groups = "resource rules must supply at least one api group";
    validate_wildcard(errors, &path.child("apiGroups"), items(rule, "apiGroups"), groups, "api groups");
    let resources = "resource rules must supply at least one resource";
    validate_wildcard(errors, &path.child("resources"), items(rule, "resources"), resources, "resources");
    let (at, namespaces) = (path.child("namespaces"), items(rule, "namespaces"));
    if namespaces.is_empty() && rule["clusterScope"] == true {
        return;
    }
    let missing = "resource rules that are not cluster scoped must supply at least one namespace";
    if validate_wildcard(errors, &at, namespaces, missing, "namespaces") {
        for (index, namespace) in namespaces.iter().filter_map(Value::as_str).enumerate() {
            let intro = "each member of this list must be '*' or a DNS-1123 label; ";
            let why = names::is_dns1123_label(namespace).into_iter().map(|why| format!("{intro}{why}")).collect();
            check::invalid_each(errors, &at.index(index), namespace, why);
        }
    }
}

/// `ValidateNonResourceURLPath`.
fn validate_urls(errors: &mut ErrorList, path: &Path, urls: &[Value]) {
    let missing = "nonResourceURLs must contain at least one value";
    if !validate_wildcard(errors, path, urls, missing, "non-resource URLs") {
        return;
    }
    for (index, url) in urls.iter().filter_map(Value::as_str).enumerate() {
        let bare = url.strip_suffix('*').unwrap_or(url);
        let why = if url.is_empty() {
            "must not be empty"
        } else if url == "/" {
            continue;
        } else if !url.starts_with('/') {
            "must start with slash"
        } else if url.contains(' ') {
            "must not contain white-space"
        } else if url.contains("//") {
            "must not contain double slash"
        } else if bare.contains('*') || (url.ends_with('*') && !bare.ends_with('/')) {
            "wildcard can only do suffix matching"
        } else {
            continue;
        };
        errors.push(FieldError::invalid(&path.index(index), url, why));
    }
}

/// `ValidatePriorityLevelConfigurationSpec`.
fn validate_level(errors: &mut ErrorList, path: &Path, spec: &Value, name: &str) {
    let kind = text(spec, "type");
    if (name == "exempt") != (kind == "Exempt") {
        let why = "type must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(FieldError::invalid(&path.child("type"), kind, why));
    }
    match kind {
        "Exempt" => {
            if spec["limited"].is_object() {
                let why = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden(&path.child("limited"), why));
            }
            validate_shares(errors, &path.child("exempt"), &spec["exempt"]);
        }
        "Limited" => {
            if spec["exempt"].is_object() {
                let why = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden(&path.child("exempt"), why));
            }
            if !spec["limited"].is_object() {
                errors.push(FieldError::required(&path.child("limited"), "must not be empty when type is Limited"));
                return;
            }
            validate_shares(errors, &path.child("limited"), &spec["limited"]);
            let response = &spec["limited"]["limitResponse"];
            validate_response(errors, &path.child("limited").child("limitResponse"), response);
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Exempt", "Limited"])),
    }
}

fn validate_shares(errors: &mut ErrorList, path: &Path, level: &Value) {
    let number = |field: &str| level[field].as_i64().unwrap_or(0);
    let shares = number("nominalConcurrencyShares");
    if shares < 0 {
        let why = "must be a non-negative integer";
        errors.push(FieldError::invalid(&path.child("nominalConcurrencyShares"), shares, why));
    }
    let percent = number("lendablePercent");
    if !(0..=100).contains(&percent) {
        let why = "must be between 0 and 100, inclusive";
        errors.push(FieldError::invalid(&path.child("lendablePercent"), percent, why));
    }
    if let Some(limit) = level["borrowingLimitPercent"].as_i64().filter(|limit| *limit < 0) {
        let why = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid(&path.child("borrowingLimitPercent"), limit, why));
    }
}

/// `ValidateLimitResponse`, `ValidatePriorityLevelQueuingConfiguration`.
fn validate_response(errors: &mut ErrorList, path: &Path, response: &Value) {
    let queuing = &response["queuing"];
    let at = path.child("queuing");
    match text(response, "type") {
        "Reject" if queuing.is_object() => {
            errors.push(FieldError::forbidden(&at, "must be nil if limited.limitResponse.type is not Limited"));
        }
        "Reject" => {}
        "Queue" if !queuing.is_object() => {
            errors.push(FieldError::required(&at, "must not be empty if limited.limitResponse.type is Limited"));
        }
        "Queue" => {
            let number = |field: &str| queuing[field].as_i64().unwrap_or(0);
            let (limit, queues, hand) = (number("queueLengthLimit"), number("queues"), number("handSize"));
            if limit <= 0 {
                errors.push(FieldError::invalid(&at.child("queueLengthLimit"), limit, "must be positive"));
            }
            if queues <= 0 {
                errors.push(FieldError::invalid(&at.child("queues"), queues, "must be positive"));
            } else if queues > QUEUES_MAX {
                let why = format!("must not be greater than {QUEUES_MAX}");
                errors.push(FieldError::invalid(&at.child("queues"), queues, why));
            }
            if hand <= 0 {
                errors.push(FieldError::invalid(&at.child("handSize"), hand, "must be positive"));
            } else if hand > queues {
                let why = format!("should not be greater than queues ({queues})");
                errors.push(FieldError::invalid(&at.child("handSize"), hand, why));
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Queue", "Reject"])),
    }
}
