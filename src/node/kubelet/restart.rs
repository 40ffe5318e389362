//! Whether a container that ended is started again.
//!
//! `pkg/api/v1/pod/util.go` (`ContainerShouldRestart`) and `pkg/kubelet/container/helpers.go`
//! (`ShouldContainerBeRestarted`).

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use crate::api::Resource;

use super::kuberuntime::{ContainerPhase, PodRecord};

/// Whether an init container runs beside the others: a sidecar.
pub(super) fn is_restartable_init(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn rule_matches(container: &Container, exit_code: i32) -> bool {
    container.restart_policy_rules.iter().flatten().any(|rule| {
        let Some(codes) = &rule.exit_codes else { return false };
        let listed = codes.values.iter().flatten().any(|&code| code == exit_code);
        match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    })
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
        Some(policy) => rule_matches(container, exit_code) || policy_restarts(Some(policy), exit_code),
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
