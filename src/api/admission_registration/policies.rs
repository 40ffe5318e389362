//! Admission policies and their bindings.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rules::{validate_conditions, validate_match, validate_selector};
use super::{items, supported, text, texts};
use crate::api::check;
use crate::machinery::cel::{self, Program};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// `validateValidatingAdmissionPolicySpec`.
pub(super) fn validate_policy(errors: &mut ErrorList, path: &Path, spec: &Value) {
    validate_common(errors, path, spec);
    let (validations, annotations) = (items(spec, "validations"), items(spec, "auditAnnotations"));
    if validations.is_empty() && annotations.is_empty() {
        for field in ["validations", "auditAnnotations"] {
            let detail = "validations or auditAnnotations must contain at least one item";
            errors.push(FieldError::required(&path.child(field), detail));
        }
    }
    for (index, validation) in validations.iter().enumerate() {
        validate_validation(errors, &path.child("validations").index(index), validation, declared(spec));
    }
    let path = path.child("auditAnnotations");
    let mut seen = BTreeSet::new();
    for (index, annotation) in annotations.iter().enumerate() {
        let path = path.index(index);
        let key = text(annotation, "key");
        check::required(errors, &path.child("key"), key);
        check::required(errors, &path.child("valueExpression"), text(annotation, "valueExpression").trim());
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(&path.child("key"), key));
        }
    }
}

/// `validateMutatingAdmissionPolicySpec`.
pub(super) fn validate_mutating_policy(errors: &mut ErrorList, path: &Path, spec: &Value) {
    validate_common(errors, path, spec);
    supported(errors, path, spec, "reinvocationPolicy", &["IfNeeded", "Never"]);
    let mutations = items(spec, "mutations");
    if mutations.is_empty() {
        errors.push(FieldError::required(&path.child("mutations"), "mutations must contain at least one item"));
    }
    for (index, mutation) in mutations.iter().enumerate() {
        supported(
            errors,
            &path.child("mutations").index(index),
            mutation,
            "patchType",
            &["ApplyConfiguration", "JSONPatch"],
        );
    }
}

/// What both sorts of policies have.
fn validate_common(errors: &mut ErrorList, path: &Path, spec: &Value) {
    supported(errors, path, spec, "failurePolicy", &["Fail", "Ignore"]);
    if !spec["paramKind"].is_null() {
        validate_param_kind(errors, &path.child("paramKind"), &spec["paramKind"]);
    }
    let at = path.child("matchConstraints");
    let constraints = &spec["matchConstraints"];
    if constraints.is_null() {
        errors.push(FieldError::required(&at, ""));
    } else {
        validate_match(errors, &at, constraints);
        if items(constraints, "resourceRules").is_empty() {
            errors.push(FieldError::required(&at.child("resourceRules"), ""));
        }
    }
    let declared = declared(spec);
    validate_conditions(errors, &path.child("matchConditions"), items(spec, "matchConditions"), declared);
    for (index, variable) in items(spec, "variables").iter().enumerate() {
        let path = path.child("variables").index(index);
        let name = text(variable, "name");
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), "name is not specified"));
        } else if !is_cel_identifier(name) {
            errors.push(FieldError::invalid(&path.child("name"), name, "must be a valid CEL identifier"));
        }
        validate_expression(errors, &path.child("expression"), text(variable, "expression"), declared, None);
    }
}

/// The names that a policy's expressions may use.
fn declared(spec: &Value) -> &'static [&'static str] {
    const ALL: [&str; 7] = ["object", "oldObject", "request", "namespaceObject", "authorizer", "variables", "params"];
    if spec["paramKind"].is_null() { &ALL[..6] } else { &ALL }
}

/// An expression that must be understood and, where its type is known, be of this one.
fn validate_expression(errors: &mut ErrorList, path: &Path, text: &str, declared: &[&str], wanted: Option<&str>) {
    if text.trim().is_empty() {
        errors.push(FieldError::required(path, "expression is not specified"));
        return;
    }
    match Program::compile(text, declared) {
        Err(why) => errors.push(FieldError::invalid(path, text, format!("compilation failed: {why}"))),
        Ok(program) => {
            if let (Some(wanted), Some(found)) = (wanted, program.static_type())
                && wanted != found
            {
                errors.push(FieldError::invalid(path, text, format!("must evaluate to {wanted} but got {found}")));
            }
        }
    }
}

/// `isCELIdentifier`: letters, digits and underscores that make no word of the language.
fn is_cel_identifier(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let words = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    starts && words && !cel::RESERVED.contains(&name)
}

/// `validateParamKind`.
fn validate_param_kind(errors: &mut ErrorList, path: &Path, kind: &Value) {
    let at = path.child("apiVersion");
    match text(kind, "apiVersion").split('/').collect::<Vec<_>>().as_slice() {
        [""] => errors.push(FieldError::required(&at, "")),
        [version] => check::invalid_each(errors, &at, version, names::is_dns1035_label(version)),
        [group, version] => {
            check::invalid_each(errors, &at, group, names::is_dns1123_subdomain(group));
            check::invalid_each(errors, &at, version, names::is_dns1035_label(version));
        }
        _ => {
            let given = text(kind, "apiVersion");
            errors.push(FieldError::invalid(&at, given, format!("unexpected GroupVersion string: {given}")));
        }
    }
    let (path, kind) = (path.child("kind"), text(kind, "kind"));
    if kind.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        let messages = names::is_dns1035_label(&kind.to_lowercase());
        if !messages.is_empty() {
            let detail = format!("may have mixed case, but should otherwise match: {}", messages.join(","));
            errors.push(FieldError::invalid(&path, kind, detail));
        }
    }
}

/// `validateValidation`.
fn validate_validation(errors: &mut ErrorList, path: &Path, validation: &Value, declared: &[&str]) {
    let expression = text(validation, "expression");
    validate_expression(errors, &path.child("expression"), expression, declared, Some("bool"));
    let expression = text(validation, "messageExpression");
    if !expression.is_empty() && expression.trim().is_empty() {
        errors.push(FieldError::invalid(
            &path.child("messageExpression"),
            expression,
            "must be non-empty if specified",
        ));
    } else if !expression.is_empty() {
        let path = path.child("messageExpression");
        validate_expression(errors, &path, expression, declared, Some("string"));
    }
    let message = text(validation, "message");
    if !message.is_empty() && message.trim().is_empty() {
        let detail = "message must be non-empty if specified";
        errors.push(FieldError::invalid(&path.child("message"), message, detail));
    } else if message.trim().contains(['\n', '\r']) {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must not contain line breaks"));
    }
    supported(errors, path, validation, "reason", &["Forbidden", "Invalid", "RequestEntityTooLarge"]);
}

/// `validateValidatingAdmissionPolicyBindingSpec` and its sister, whose bindings have no actions.
pub(super) fn validate_binding(errors: &mut ErrorList, path: &Path, spec: &Value, has_actions: bool) {
    let name = text(spec, "policyName");
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("policyName"), ""));
    } else {
        check::dns_subdomain(errors, &path.child("policyName"), name);
    }
    validate_param_ref(errors, &path.child("paramRef"), &spec["paramRef"]);
    if !spec["matchResources"].is_null() {
        validate_match(errors, &path.child("matchResources"), &spec["matchResources"]);
    }
    if has_actions {
        validate_actions(errors, &path.child("validationActions"), &texts(spec, "validationActions"));
    }
}

/// `validateParamRef`.
fn validate_param_ref(errors: &mut ErrorList, path: &Path, reference: &Value) {
    if reference.is_null() {
        return;
    }
    let (name, selector) = (text(reference, "name"), &reference["selector"]);
    check::invalid_each(errors, &path.child("name"), name, names::is_path_segment_name(name));
    validate_selector(errors, &path.child("selector"), selector);
    match (name.is_empty(), selector.is_null()) {
        (false, false) => {
            for field in ["name", "selector"] {
                let detail = "name and selector are mutually exclusive";
                errors.push(FieldError::forbidden(&path.child(field), detail));
            }
        }
        (true, true) => errors.push(FieldError::required(path, "one of name or selector must be specified")),
        _ => {}
    }
    let path = path.child("parameterNotFoundAction");
    check::required_supported(errors, &path, text(reference, "parameterNotFoundAction"), &["Deny", "Allow"]);
}

/// `validateValidationActions`.
fn validate_actions(errors: &mut ErrorList, path: &Path, actions: &[&str]) {
    if actions.is_empty() {
        errors.push(FieldError::required(path, "at least one validation action is required"));
    }
    let mut seen = BTreeSet::new();
    for (index, action) in actions.iter().enumerate() {
        check::supported(errors, &path.index(index), action, &["Audit", "Deny", "Warn"]);
        if !seen.insert(*action) {
            errors.push(FieldError::duplicate(&path.index(index), *action));
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        let detail = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                      response and headers serves no purpose)";
        errors.push(FieldError::invalid(path, check::json(&seen), detail));
    }
}
