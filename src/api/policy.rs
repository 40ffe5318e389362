//! The policy group: PodDisruptionBudgets. Follows `pkg/registry/policy/poddisruptionbudget`,
//! `ValidatePodDisruptionBudget` and `printPodDisruptionBudget`.

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::check::{self, text};
use super::form::semantic_equal;
use super::kind::Subresource;
use super::meta;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::intstr;
use crate::machinery::names;
use crate::machinery::time::Time;

pub(crate) fn prepare_for_create(budget: &mut PodDisruptionBudget) {
    budget.status = Some(PodDisruptionBudgetStatus {
        current_healthy: Some(0),
        desired_healthy: Some(0),
        disruptions_allowed: Some(0),
        expected_pods: Some(0),
        ..PodDisruptionBudgetStatus::default()
    });
    budget.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(
    new: &mut PodDisruptionBudget,
    old: &PodDisruptionBudget,
    subresource: Option<Subresource>,
) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidatePodDisruptionBudget`, which asks nothing of the metadata.
pub(crate) fn validate(budget: &PodDisruptionBudget) -> ErrorList {
    let mut errors = ErrorList::new();
    let missing = PodDisruptionBudgetSpec::default();
    let spec = budget.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid(&path, internal_spec(spec), detail));
    }
    for (field, value) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        if let Some(value) = value {
            validate_int_or_percent(&mut errors, &path.child(field), value);
        }
    }
    check::label_selector(&mut errors, &path.child("selector"), spec.selector.as_ref());
    if let Some(policy) = &spec.unhealthy_pod_eviction_policy {
        let path = path.child("unhealthyPodEvictionPolicy");
        check::supported(&mut errors, &path, policy, &["AlwaysAllow", "IfHealthyBudget"]);
    }
    errors
}

/// The spec as the API server's internal type prints.
fn internal_spec(spec: &PodDisruptionBudgetSpec) -> Value {
    json!({
        "MinAvailable": spec.min_available.as_ref().map(check::json),
        "Selector": check::selector_json(spec.selector.as_ref()),
        "MaxUnavailable": spec.max_unavailable.as_ref().map(check::json),
        "UnhealthyPodEvictionPolicy": spec.unhealthy_pod_eviction_policy,
    })
}

/// `ValidatePositiveIntOrPercent` and `IsNotMoreThan100Percent`.
fn validate_int_or_percent(errors: &mut ErrorList, path: &Path, value: &IntOrString) {
    match value {
        IntOrString::Int(number) => check::not_negative(errors, path, i64::from(*number)),
        IntOrString::String(percent) => {
            let messages = names::is_percent(percent);
            let number = percent.trim_end_matches('%').parse::<i64>();
            if messages.is_empty() && number.is_ok_and(|number| number > 100) {
                errors.push(FieldError::invalid(path, percent.as_str(), "must not be greater than 100%"));
            }
            check::invalid_each(errors, path, percent, messages);
        }
    }
}

/// The same of an update as of a creation; of the status `ValidatePodDisruptionBudgetStatusUpdate`.
pub(crate) fn validate_update(new: &PodDisruptionBudget, subresource: Option<Subresource>) -> ErrorList {
    if subresource != Some(Subresource::Status) {
        return validate(new);
    }
    let mut errors = ErrorList::new();
    let missing = PodDisruptionBudgetStatus::default();
    let status = new.status.as_ref().unwrap_or(&missing);
    let path = Path::new("status");
    for (field, number) in [
        ("disruptionsAllowed", status.disruptions_allowed),
        ("currentHealthy", status.current_healthy),
        ("desiredHealthy", status.desired_healthy),
        ("expectedPods", status.expected_pods),
    ] {
        check::not_negative(&mut errors, &path.child(field), i64::from(number.unwrap_or(0)));
    }
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Min Available", "The minimum number of pods that must be available."),
    ColumnDefinition::text("Max Unavailable", "The maximum number of pods that may be unavailable."),
    ColumnDefinition::integer("Allowed Disruptions", "Calculated number of pods that may be disrupted at this time."),
    AGE,
];

pub(crate) fn row(budget: &PodDisruptionBudget, now: Time) -> Vec<Value> {
    let amount = |value: Option<&IntOrString>| value.map_or_else(|| "N/A".to_owned(), intstr::to_text);
    let spec = budget.spec.as_ref();
    vec![
        name_of(&budget.metadata),
        amount(spec.and_then(|spec| spec.min_available.as_ref())).into(),
        amount(spec.and_then(|spec| spec.max_unavailable.as_ref())).into(),
        allowed(budget.status.as_ref()).into(),
        age_of(&budget.metadata, now),
    ]
}

/// How many disruptions a budget allows.
pub(crate) fn allowed(status: Option<&PodDisruptionBudgetStatus>) -> i32 {
    status.and_then(|status| status.disruptions_allowed).unwrap_or(0)
}

/// Whether a disruption is allowed, as the condition of a budget tells it: `UpdateDisruptionAllowedCondition`.
pub(crate) fn update_condition(status: &mut PodDisruptionBudgetStatus, now: Time) {
    let (reason, state) =
        if allowed(Some(status)) > 0 { ("SufficientPods", "True") } else { ("InsufficientPods", "False") };
    set_condition(status, state, reason, "", now);
}

/// Sets the condition `DisruptionAllowed`; its time moves only with its status (`SetStatusCondition`).
pub(crate) fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    state: &str,
    reason: &str,
    message: &str,
    now: Time,
) {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    let observed_generation = Some(status.observed_generation.unwrap_or(0)).filter(|generation| *generation != 0);
    let conditions = status.conditions.get_or_insert_default();
    let known = conditions.iter().position(|condition| condition.type_ == DISRUPTION_ALLOWED);
    let since =
        known.filter(|&at| conditions[at].status == state).map(|at| conditions[at].last_transition_time.clone());
    let condition = Condition {
        type_: DISRUPTION_ALLOWED.to_owned(),
        status: state.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation,
        last_transition_time: since.unwrap_or_else(|| now.to_meta()),
    };
    match known {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

/// `policy.DisruptionAllowedCondition`.
const DISRUPTION_ALLOWED: &str = "DisruptionAllowed";

/// `ConditionsAreUpToDate`.
pub(crate) fn condition_is_up_to_date(budget: &PodDisruptionBudget) -> bool {
    let Some(status) = &budget.status else { return false };
    let known = check::list(&status.conditions).iter().find(|condition| condition.type_ == DISRUPTION_ALLOWED);
    status.observed_generation == budget.metadata.generation
        && known.is_some_and(|known| (known.status == "True") == (allowed(Some(status)) > 0))
}

/// Whether a budget lets pods that are not ready be evicted in any case: `AlwaysAllow`.
pub(crate) fn always_allows_unhealthy(budget: &PodDisruptionBudget) -> bool {
    budget.spec.as_ref().is_some_and(|spec| text(&spec.unhealthy_pod_eviction_policy) == "AlwaysAllow")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn refusals(spec: Value) -> String {
        let budget: PodDisruptionBudget = serde_json::from_value(json!({ "spec": spec })).expect("a budget");
        validate(&budget).iter().map(|error| format!("{error}\n")).collect()
    }

    #[test]
    fn a_budget_says_one_amount() {
        assert_eq!(refusals(json!({ "minAvailable": "50%", "selector": {} })), "");
        let wrong = json!({ "minAvailable": -1, "maxUnavailable": "101%", "unhealthyPodEvictionPolicy": "Odd" });
        expect![[r#"
            spec: Invalid value: {"MinAvailable":-1,"Selector":null,"MaxUnavailable":"101%","UnhealthyPodEvictionPolicy":"Odd"}: minAvailable and maxUnavailable cannot be both set
            spec.minAvailable: Invalid value: -1: must be greater than or equal to 0
            spec.maxUnavailable: Invalid value: "101%": must not be greater than 100%
            spec.unhealthyPodEvictionPolicy: Unsupported value: "Odd": supported values: "AlwaysAllow", "IfHealthyBudget"
        "#]]
        .assert_eq(&refusals(wrong));
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let mut status = PodDisruptionBudgetStatus::default();
        let now = Time::DEFAULT_START;
        let later = now + std::time::Duration::from_secs(9);
        update_condition(&mut status, now);
        set_condition(&mut status, "False", "SyncFailed", "why", later);
        let conditions = status.conditions.clone().unwrap_or_default();
        assert_eq!(conditions.len(), 1);
        assert_eq!(
            (conditions[0].reason.as_str(), &conditions[0].last_transition_time),
            ("SyncFailed", &now.to_meta())
        );
        status.disruptions_allowed = Some(1);
        update_condition(&mut status, later);
        assert_eq!(status.conditions.unwrap_or_default()[0].last_transition_time, later.to_meta());
    }
}
