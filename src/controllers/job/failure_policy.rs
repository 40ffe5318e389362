//! What a Job's `podFailurePolicy` says of a pod that failed.
//!
//! Follows `kubernetes/pkg/controller/job/pod_failure_policy.go`.

use k8s_openapi::api::batch::v1::{
    PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyOnPodConditionsPattern,
};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};

use crate::api::Resource;

/// What becomes of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts towards the back-off limit: no rule says otherwise.
    Count,
    /// It does not count.
    Ignore,
    /// The pod's index has failed with it.
    FailIndex,
    /// The Job has failed with it, and this is why.
    FailJob(String),
}

impl Verdict {
    /// Whether the failure counts.
    pub(super) fn counts(&self) -> bool {
        *self != Self::Ignore
    }
}

/// The verdict of the first rule that matches: `matchPodFailurePolicy`.
pub(super) fn judge(policy: Option<&PodFailurePolicy>, pod: &Pod) -> Verdict {
    let no_status = PodStatus::default();
    let status = pod.status.as_ref().unwrap_or(&no_status);
    for (index, rule) in policy.iter().flat_map(|policy| &policy.rules).enumerate() {
        let why = if let Some(requirement) = &rule.on_exit_codes {
            container_with_exit_code(status, requirement).map(|(container, code)| {
                format!("Container {container} for pod {}/{} failed with exit code {code}", pod.namespace(), pod.name())
            })
        } else {
            let patterns = rule.on_pod_conditions.as_deref().unwrap_or(&[]);
            condition_that_matches(status, patterns)
                .map(|condition| format!("Pod {}/{} has condition {condition}", pod.namespace(), pod.name()))
        };
        let Some(why) = why else { continue };
        return match rule.action.as_str() {
            "Ignore" => Verdict::Ignore,
            "FailIndex" => Verdict::FailIndex,
            "FailJob" => Verdict::FailJob(format!("{why} matching FailJob rule at index {index}")),
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// The first container, ordinary ones before those that initialise, whose exit code is as required.
fn container_with_exit_code<'a>(
    status: &'a PodStatus,
    requirement: &PodFailurePolicyOnExitCodesRequirement,
) -> Option<(&'a str, i32)> {
    let exit_code = |container: &ContainerStatus| Some(container.state.as_ref()?.terminated.as_ref()?.exit_code);
    let matches = |code: i32| {
        let listed = requirement.values.contains(&code);
        code != 0 && if requirement.operator == "In" { listed } else { requirement.operator == "NotIn" && !listed }
    };
    let containers = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    containers
        .filter(|container| requirement.container_name.as_ref().is_none_or(|name| *name == container.name))
        .find_map(|container| Some((container.name.as_str(), exit_code(container).filter(|code| matches(*code))?)))
}

fn condition_that_matches<'a>(
    status: &'a PodStatus,
    patterns: &[PodFailurePolicyOnPodConditionsPattern],
) -> Option<&'a str> {
    let conditions = status.conditions.iter().flatten();
    let matching = conditions.into_iter().find(|condition| {
        patterns.iter().any(|pattern| {
            pattern.type_ == condition.type_ && pattern.status.as_deref().unwrap_or("True") == condition.status
        })
    });
    matching.map(|condition| condition.type_.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::json::from_value;
    use serde_json::{Value, json};

    fn verdict(rules: Value, status: Value) -> Verdict {
        let policy: PodFailurePolicy = from_value(&json!({ "rules": rules })).expect("a policy");
        let pod: Pod =
            from_value(&json!({ "metadata": { "name": "p", "namespace": "n" }, "status": status })).expect("a pod");
        judge(Some(&policy), &pod)
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = json!([
            { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
            { "action": "FailIndex", "onExitCodes": { "operator": "In", "values": [3] } },
            { "action": "FailJob", "onExitCodes": { "operator": "NotIn", "values": [1, 2], "containerName": "c" } },
        ]);
        let exited = |name: &str, code: i32| {
            json!({ "containerStatuses": [{
                "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": { "exitCode": code } },
            }] })
        };
        let disrupted = json!({ "conditions": [{ "type": "DisruptionTarget", "status": "True" }] });
        let message = "Container c for pod n/p failed with exit code 7 matching FailJob rule at index 2";
        for (status, expected) in [
            (disrupted, Verdict::Ignore),
            (exited("c", 3), Verdict::FailIndex),
            (exited("c", 7), Verdict::FailJob(message.to_owned())),
            (exited("other", 7), Verdict::Count),
            (exited("c", 2), Verdict::Count),
            (exited("c", 0), Verdict::Count),
        ] {
            assert_eq!(verdict(rules.clone(), status.clone()), expected, "{status}");
        }
    }

    #[test]
    fn a_condition_can_fail_a_job() {
        let rules = json!([{ "action": "FailJob", "onPodConditions": [{ "type": "Stuck", "status": "True" }] }]);
        let status = json!({ "conditions": [{ "type": "Stuck", "status": "True" }] });
        let message = "Pod n/p has condition Stuck matching FailJob rule at index 0";
        assert_eq!(verdict(rules, status), Verdict::FailJob(message.to_owned()));
    }
}
