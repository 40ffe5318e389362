//! Generators of what rules over others: `kubectl create quota`, `poddisruptionbudget` and `priorityclass`.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/create/create_{quota,pdb,priorityclass}.go`.

use serde_json::{Map, Value, json};

use super::cli::{Cli, Step};
use super::failure::Failure;
use super::generate::{make, name};
use crate::api::Kind;
use crate::machinery::json::to_value;
use crate::machinery::quantity::Quantity;
use crate::machinery::{intstr, labels};

/// Runs `kubectl create quota`.
pub(super) fn quota(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let mut spec = json!({});
    let hard = hard(cli.flags().text("hard"))?;
    if !hard.is_empty() {
        spec["hard"] = hard.into();
    }
    let scopes = cli.flags().text("scopes");
    if !scopes.is_empty() {
        let scopes: Vec<&str> = scopes.split(',').collect();
        if scopes.contains(&"") {
            return Err(Failure::message("invalid resource quota scope \"\""));
        }
        spec["scopes"] = scopes.into();
    }
    let value = json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": name }, "spec": spec });
    make(cli, Kind::ResourceQuota, value)
}

/// `cpu=1,pods=2`.
fn hard(text: &str) -> Result<Map<String, Value>, Failure> {
    let statements = text.split(',').filter(|_| !text.is_empty());
    statements
        .map(|statement| {
            let parts: Vec<&str> = statement.split('=').collect();
            let [resource, amount] = parts.as_slice() else {
                let why = format!("Invalid argument syntax {statement}, expected <resource>=<value>");
                return Err(Failure::Message(why));
            };
            let amount = Quantity::canonicalize(amount).map_err(|error| Failure::Message(error.to_string()))?;
            Ok(((*resource).to_owned(), Value::from(&*amount)))
        })
        .collect()
}

/// Runs `kubectl create poddisruptionbudget`.
pub(super) fn budget(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let flags = cli.flags();
    let selector = flags.text("selector");
    if selector.is_empty() {
        return Err(Failure::message("a selector must be specified"));
    }
    let (flag, field) = match (flags.text("min-available"), flags.text("max-unavailable")) {
        ("", "") => return Err(Failure::message("one of min-available or max-unavailable must be specified")),
        (_, "") => ("min-available", "minAvailable"),
        ("", _) => ("max-unavailable", "maxUnavailable"),
        _ => return Err(Failure::message("min-available and max-unavailable cannot be both specified")),
    };
    let amount = flags.text(flag);
    let digits = amount.strip_suffix('%').unwrap_or(amount);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::Message(format!("invalid format specified for {flag}")));
    }
    let selector = labels::parse_to_label_selector(selector).map_err(Failure::Message)?;
    let mut spec = json!({ "selector": to_value(&selector) });
    spec[field] = to_value(&intstr::from_text(amount));
    let value = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": name }, "spec": spec,
    });
    make(cli, Kind::PodDisruptionBudget, value)
}

/// Runs `kubectl create priorityclass`.
pub(super) fn priority_class(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let name = name(cli)?;
    let flags = cli.flags();
    let policy = if flags.has("preemption-policy") { flags.text("preemption-policy") } else { "PreemptLowerPriority" };
    let value = json!({
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": { "name": name },
        "value": flags.integer("value").unwrap_or(0),
        "globalDefault": flags.is("global-default", false),
        "description": flags.text("description"),
        "preemptionPolicy": policy,
    });
    make(cli, Kind::PriorityClass, value)
}
