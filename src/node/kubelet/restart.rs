//! Whether a container that ended is started again.
//!
//! `pkg/api/v1/pod/util.go` (`ContainerShouldRestart`) and `pkg/kubelet/container/helpers.go`
//! (`ShouldContainerBeRestarted`).

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodStatus};

use crate::api::Resource;

use super::kuberuntime::{ContainerPhase, PodRecord};

/// Whether an init container runs beside the others: a sidecar.
pub(super) fn is_restartable_init(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// What the first rule that fits an exit code says: `FindMatchingContainerRestartRule`.
fn matching_action(container: &Container, exit_code: i32) -> Option<&str> {
    let mut rules = container.restart_policy_rules.iter().flatten();
    let rule = rules.find(|rule| {
        let Some(codes) = &rule.exit_codes else { return false };
        let listed = codes.values.iter().flatten().any(|&code| code == exit_code);
        match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    })?;
    Some(&rule.action)
}

/// The condition of a pod whose containers are all restarted.
pub(super) const ALL_RESTARTING: &str = "AllContainersRestarting";
const RESTART_ALL: &str = "RestartAllContainers";

fn with_rules(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten())
}

/// Whether one of a pod's containers can have them all restarted.
pub(super) fn could_restart_all(spec: &PodSpec) -> bool {
    let mut rules = with_rules(spec).flat_map(|container| container.restart_policy_rules.iter().flatten());
    rules.any(|rule| rule.action == RESTART_ALL)
}

/// Whether all containers are to be restarted: one ended in such a way, or it was begun and there are some left
/// (`ShouldAllContainersRestart`, `AllContainersRestartCleanedUp`).
pub(super) fn restarts_all(spec: &PodSpec, runtime: &PodRecord, old: &PodStatus) -> bool {
    if !could_restart_all(spec) || !with_rules(spec).any(|one| runtime.newest(&one.name).is_some()) {
        return false;
    }
    let mut conditions = old.conditions.iter().flatten();
    let is_begun = conditions.any(|condition| condition.type_ == ALL_RESTARTING && condition.status == "True");
    let asks = |container: &Container| {
        let ended = runtime.newest(&container.name).filter(|record| record.phase == ContainerPhase::Exited);
        ended.is_some_and(|record| matching_action(container, record.exit_code) == Some(RESTART_ALL))
    };
    is_begun || with_rules(spec).any(asks)
}

fn policy_restarts(policy: Option<&str>, exit_code: i32) -> bool {
    match policy {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Whether the policies of container and pod want a container back that ended with `exit_code`.
pub(super) fn should_restart(container: &Container, spec: &PodSpec, exit_code: i32) -> bool {
    match container.restart_policy.as_deref() {
        Some(policy) => matching_action(container, exit_code).is_some() || policy_restarts(Some(policy), exit_code),
        None => policy_restarts(spec.restart_policy.as_deref(), exit_code),
    }
}

/// Whether a container that the kubelet kills is to come back.
pub(super) fn restarts_on_failure(container: &Container, spec: &PodSpec) -> bool {
    let policy = container.restart_policy.as_deref().or(spec.restart_policy.as_deref());
    policy != Some("Never")
}

/// Whether the next sync starts the container: it never ran, or it ended and is wanted back.
pub(super) fn should_be_started(container: &Container, pod: &Pod, runtime: &PodRecord) -> bool {
    if pod.is_deleting() {
        return false;
    }
    let Some(record) = runtime.newest(&container.name) else { return true };
    match record.phase {
        ContainerPhase::Running => false,
        ContainerPhase::Created => true,
        ContainerPhase::Exited => {
            pod.spec.as_ref().is_none_or(|spec| should_restart(container, spec, record.exit_code))
        }
    }
}
