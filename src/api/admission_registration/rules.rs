//! Rules that say which requests a policy or a webhook sees.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{items, supported, text, texts};
use crate::api::check;
use crate::machinery::cel::Program;
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// A label selector as JSON: `ValidateLabelSelector`.
pub(super) fn validate_selector(errors: &mut ErrorList, path: &Path, selector: &Value) {
    if !selector.is_null()
        && let Ok(selector) = crate::machinery::json::from_value(selector)
    {
        check::label_selector(errors, path, Some(&selector));
    }
}

/// `validateMatchResources`.
pub(super) fn validate_match(errors: &mut ErrorList, path: &Path, constraints: &Value) {
    supported(errors, path, constraints, "matchPolicy", &["Equivalent", "Exact"]);
    for field in ["namespaceSelector", "objectSelector"] {
        validate_selector(errors, &path.child(field), &constraints[field]);
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in items(constraints, field).iter().enumerate() {
            let path = path.child(field).index(index);
            let mut seen = BTreeSet::new();
            for (index, name) in texts(rule, "resourceNames").into_iter().enumerate() {
                let path = path.child("resourceNames").index(index);
                check::invalid_each(errors, &path, name, names::is_path_segment_name(name));
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(&path, name));
                }
            }
            validate_rule(errors, &path, rule);
        }
    }
}

/// `validateRuleWithOperations`.
pub(super) fn validate_rule(errors: &mut ErrorList, path: &Path, rule: &Value) {
    validate_list(errors, &path.child("apiGroups"), &texts(rule, "apiGroups"), "API groups");
    let versions = texts(rule, "apiVersions");
    validate_list(errors, &path.child("apiVersions"), &versions, "API versions");
    for (index, version) in versions.iter().enumerate() {
        check::required(errors, &path.child("apiVersions").index(index), version);
    }
    validate_resources(errors, &path.child("resources"), &texts(rule, "resources"));
    supported(errors, path, rule, "scope", &["*", "Cluster", "Namespaced"]);
    let operations = texts(rule, "operations");
    let path = path.child("operations");
    validate_list(errors, &path, &operations, "operations");
    for (index, operation) in operations.iter().enumerate() {
        check::supported(errors, &path.index(index), operation, &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]);
    }
}

/// A list that must not be empty, and in which `*` stands alone.
fn validate_list(errors: &mut ErrorList, path: &Path, list: &[&str], what: &str) {
    if list.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if list.len() > 1 && list.contains(&"*") {
        let detail = format!("if '*' is present, must not specify other {what}");
        errors.push(FieldError::invalid(path, check::json(list), detail));
    }
}

/// `validateResources`.
fn validate_resources(errors: &mut ErrorList, path: &Path, resources: &[&str]) {
    if resources.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let (mut all_below, mut below_all) = (BTreeSet::new(), BTreeSet::new());
    let mut has_plain = false;
    for (index, resource) in resources.iter().enumerate() {
        let path = path.index(index);
        if resource.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let Some((name, subresource)) = resource.split_once('/') else {
            // Upstream remembers the last one only.
            has_plain = *resource != "*";
            continue;
        };
        for (is_covered, cover) in [
            (all_below.contains(name), format!("{name}/*")),
            (below_all.contains(subresource), format!("*/{subresource}")),
        ] {
            if is_covered {
                let detail = format!("if '{cover}' is present, must not specify {resource}");
                errors.push(FieldError::invalid(&path, *resource, detail));
            }
        }
        if subresource == "*" {
            all_below.insert(name);
        }
        if name == "*" {
            below_all.insert(subresource);
        }
    }
    let mut refuse = |detail: &str| errors.push(FieldError::invalid(path, check::json(resources), detail));
    if resources.len() > 1 && resources.contains(&"*/*") {
        refuse("if '*/*' is present, must not specify other resources");
    }
    if resources.contains(&"*") && has_plain {
        refuse("if '*' is present, must not specify other resources without subresources");
    }
}

/// `validateMatchConditions`.
pub(super) fn validate_conditions(errors: &mut ErrorList, path: &Path, conditions: &[Value], declared: &[&str]) {
    const CONDITIONS_MAX: usize = 64;
    if conditions.len() > CONDITIONS_MAX {
        errors.push(FieldError::too_many(path, conditions.len(), CONDITIONS_MAX));
    }
    let mut seen = BTreeSet::new();
    for (index, condition) in conditions.iter().enumerate() {
        let path = path.index(index);
        let expression = text(condition, "expression");
        check::required(errors, &path.child("expression"), expression.trim());
        if !expression.trim().is_empty() {
            let detail = match Program::compile(expression, declared).map(|program| program.static_type()) {
                Err(why) => Some(format!("compilation failed: {why}")),
                Ok(Some(found)) if found != "bool" => Some(format!("must evaluate to bool but got {found}")),
                Ok(_) => None,
            };
            if let Some(detail) = detail {
                errors.push(FieldError::invalid(&path.child("expression"), expression, detail));
            }
        }
        let (path, name) = (path.child("name"), text(condition, "name"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        check::qualified_name(errors, &path, name);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
    }
}
