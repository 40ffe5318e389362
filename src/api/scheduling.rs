//! The scheduling group: PriorityClasses. Follows `pkg/registry/scheduling/priorityclass`, `ValidatePriorityClass` and
//! `printPriorityClass`.

use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::Value;

use super::check::{self, text};
use super::meta;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// What a preempting pod may do to others when its class does not say.
pub(crate) const PREEMPT_LOWER_PRIORITY: &str = "PreemptLowerPriority";
/// `HighestUserDefinablePriority`.
const HIGHEST_USER_DEFINABLE: i32 = 1_000_000_000;
/// `SystemPriorityClassPrefix`.
const SYSTEM_PREFIX: &str = "system-";

/// A class that every cluster has (`SystemPriorityClasses`): its name, its value and what it is for.
pub(crate) const SYSTEM_CLASSES: [(&str, i32, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

/// `SetDefaults_PriorityClass`.
pub(crate) fn default(class: &mut PriorityClass) {
    class.preemption_policy.get_or_insert_with(|| PREEMPT_LOWER_PRIORITY.to_owned());
}

pub(crate) fn prepare_for_create(class: &mut PriorityClass) {
    class.metadata.generation = Some(1);
}

/// `ValidatePriorityClass`.
pub(crate) fn validate(class: &PriorityClass) -> ErrorList {
    let mut errors = meta::validate(&class.metadata, false, names::is_dns1123_subdomain);
    let name = text(&class.metadata.name);
    if name.starts_with(SYSTEM_PREFIX) {
        if let Err(why) = is_known_system_class(class) {
            let detail = format!(
                "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {why}"
            );
            errors.push(FieldError::forbidden(&Path::new("metadata").child("name"), detail));
        }
    } else if class.value.unwrap_or(0) > HIGHEST_USER_DEFINABLE {
        let detail = format!("maximum allowed value of a user defined priority is {HIGHEST_USER_DEFINABLE}");
        errors.push(FieldError::forbidden(&Path::new("value"), detail));
    }
    if let Some(policy) = &class.preemption_policy {
        let path = Path::new("preemptionPolicy");
        check::required_supported(&mut errors, &path, policy, &[PREEMPT_LOWER_PRIORITY, "Never"]);
    }
    errors
}

/// `IsKnownSystemPriorityClass`.
fn is_known_system_class(class: &PriorityClass) -> Result<(), String> {
    let name = text(&class.metadata.name);
    let Some((_, value, _)) = SYSTEM_CLASSES.iter().find(|(known, ..)| *known == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if class.value.unwrap_or(0) != *value {
        return Err(format!("value of {name} PriorityClass must be {value}"));
    }
    if class.global_default == Some(true) {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}

/// `ValidatePriorityClassUpdate`.
pub(crate) fn validate_update(new: &PriorityClass, old: &PriorityClass) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if new.value != old.value {
        errors.push(FieldError::forbidden(&Path::new("value"), "may not be changed in an update."));
    }
    let (policy, before) = (&new.preemption_policy, &old.preemption_policy);
    check::immutable(&mut errors, &Path::new("preemptionPolicy"), policy, before, || check::json(policy));
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Value",
        "value represents the integer value of this priority class. This is the actual priority that pods receive when \
         they have the name of this class in their pod spec.",
    ),
    ColumnDefinition::boolean(
        "Global-Default",
        "globalDefault specifies whether this PriorityClass should be considered as the default priority for pods that \
         do not have any priority class. Only one PriorityClass can be marked as `globalDefault`. However, if more than \
         one PriorityClasses exists with their `globalDefault` field set to true, the smallest value of such global \
         default PriorityClasses will be used as the default priority.",
    ),
    AGE,
    ColumnDefinition::text(
        "PreemptionPolicy",
        "preemptionPolicy is the Policy for preempting pods with lower priority. One of Never, PreemptLowerPriority. \
         Defaults to PreemptLowerPriority if unset.",
    ),
];

pub(crate) fn row(class: &PriorityClass, now: Time) -> Vec<Value> {
    vec![
        name_of(&class.metadata),
        class.value.unwrap_or(0).into(),
        class.global_default.unwrap_or(false).into(),
        age_of(&class.metadata, now),
        text(&class.preemption_policy).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn class(value: Value) -> PriorityClass {
        serde_json::from_value(value).expect("a class")
    }

    #[test]
    fn the_system_classes_are_as_they_are() {
        let refusal = |value: i32, global_default: bool| {
            let class = class(json!({
                "metadata": { "name": "system-node-critical" }, "value": value, "globalDefault": global_default,
            }));
            validate(&class).first().map(|error| error.body.clone()).unwrap_or_default()
        };
        assert_eq!(refusal(2_000_001_000, false), "");
        assert!(refusal(1, false).ends_with("value of system-node-critical PriorityClass must be 2000001000"));
        assert!(
            refusal(2_000_001_000, true).ends_with("globalDefault of system-node-critical PriorityClass must be false")
        );
    }

    #[test]
    fn a_value_stays() {
        let with = |value: i32, policy: &str| {
            class(json!({
                "metadata": { "name": "a", "resourceVersion": "1" }, "value": value, "preemptionPolicy": policy,
            }))
        };
        let errors = validate_update(&with(2, "Never"), &with(1, PREEMPT_LOWER_PRIORITY));
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let expected = [
            "value: Forbidden: may not be changed in an update.",
            "preemptionPolicy: Invalid value: \"Never\": field is immutable",
        ];
        assert_eq!(told, expected);
    }
}
