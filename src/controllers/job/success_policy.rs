//! Whether enough of a Job's indexes succeeded, by its `successPolicy`.
//!
//! Follows `kubernetes/pkg/controller/job/success_policy.go`.

use k8s_openapi::api::batch::v1::SuccessPolicy;

use super::indexes::Intervals;

/// The first rule that is met, told as the condition's message: `matchSuccessPolicy`.
pub(super) fn met(policy: Option<&SuccessPolicy>, completions: i32, succeeded: &Intervals) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let is_met = |rule: &k8s_openapi::api::batch::v1::SuccessPolicyRule| match &rule.succeeded_indexes {
        Some(indexes) => {
            let required = Intervals::parse(indexes, completions);
            let common = required.common(succeeded);
            !required.is_empty()
                && (common == required.total() || rule.succeeded_count.is_some_and(|count| common >= count))
        }
        None => rule.succeeded_count.is_some_and(|count| succeeded.total() >= count),
    };
    let index = policy?.rules.iter().position(is_met)?;
    Some(format!("Matched rules at index {index}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::SuccessPolicyRule;

    #[test]
    fn a_rule_asks_for_indexes_or_for_a_number_or_for_a_number_of_indexes() {
        let rule = |indexes: Option<&str>, count: Option<i32>| SuccessPolicyRule {
            succeeded_indexes: indexes.map(str::to_owned),
            succeeded_count: count,
        };
        for (rule, succeeded, expected) in [
            (rule(None, Some(2)), "0", false),
            (rule(None, Some(2)), "0,4", true),
            (rule(Some("1-2"), None), "0,1", false),
            (rule(Some("1-2"), None), "0-3", true),
            (rule(Some("1-3"), Some(1)), "3", true),
            (rule(Some("1-3"), Some(1)), "4", false),
            (rule(None, Some(0)), "", false),
        ] {
            let policy = SuccessPolicy { rules: vec![rule] };
            let met = met(Some(&policy), 5, &Intervals::parse(succeeded, 5));
            assert_eq!(met.is_some(), expected, "{policy:?} with {succeeded}");
        }
    }
}
