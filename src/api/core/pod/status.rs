//! What may change in a pod's status. Follows `ValidatePodStatusUpdate`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodSpec, PodStatus};

use super::is_restartable_init;
use super::update::validate_annotation_updates;
use crate::api::check::{self, IMMUTABLE, has_text, list, text};
use crate::api::meta;
use crate::machinery::field::{ErrorList, FieldError, Path};

/// `ValidatePodStatusUpdate`.
pub(crate) fn validate(new: &Pod, old: &Pod) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    validate_annotation_updates(&mut errors, new, old);
    let (no_status, no_spec) = (PodStatus::default(), PodSpec::default());
    let (status, before) = (new.status.as_ref().unwrap_or(&no_status), old.status.as_ref().unwrap_or(&no_status));
    let spec = old.spec.as_ref().unwrap_or(&no_spec);
    // Upstream names the conditions as if they stood in the metadata.
    let conditions = Path::new("metadata").child("conditions");
    for (index, condition) in list(&status.conditions).iter().enumerate() {
        if !matches!(condition.type_.as_str(), "PodScheduled" | "Ready" | "Initialized") {
            check::qualified_name(&mut errors, &conditions.index(index).child("Type"), &condition.type_);
        }
    }
    let path = Path::new("status");
    if new.spec.as_ref().is_some_and(|new| text(&new.node_name) != text(&spec.node_name)) {
        errors.push(FieldError::forbidden(&path.child("nodeName"), "may not be changed directly"));
    }
    let nominated = text(&status.nominated_node_name);
    if nominated != text(&before.nominated_node_name) && !nominated.is_empty() {
        check::dns_subdomain(&mut errors, &path.child("nominatedNodeName"), nominated);
    }
    if text(&status.qos_class) != text(&before.qos_class) {
        errors.push(FieldError::invalid(&path.child("qosClass"), text(&status.qos_class), IMMUTABLE));
    }
    validate_transitions(&mut errors, &path, status, before, spec);
    validate_pod_ips(&mut errors, &path, status);
    validate_host_ips(&mut errors, &path, status);
    errors
}

/// A container that ended and may not run again does not come back.
fn validate_transitions(errors: &mut ErrorList, path: &Path, new: &PodStatus, old: &PodStatus, spec: &PodSpec) {
    let policy = text(&spec.restart_policy);
    let all = spec.containers.iter().chain(list(&spec.init_containers));
    let mut rules = all.flat_map(|container| list(&container.restart_policy_rules));
    // `AllContainersCouldRestart`
    let all_may_restart = rules.any(|rule| rule.action == "RestartAllContainers");
    let may_restart = |status: &ContainerStatus| {
        let container = spec.containers.iter().find(|container| container.name == status.name);
        let own = container.and_then(|container| container.restart_policy.as_deref());
        let rules = container.is_some_and(|container| !list(&container.restart_policy_rules).is_empty());
        all_may_restart || rules || restarts(own.unwrap_or(policy), status)
    };
    let init_may_restart = |status: &ContainerStatus| {
        let container = list(&spec.init_containers).iter().find(|container| container.name == status.name);
        all_may_restart || container.is_some_and(is_restartable_init) || restarts(policy, status)
    };
    for (field, new, old, may_restart) in [
        (
            "containerStatuses",
            &new.container_statuses,
            &old.container_statuses,
            &may_restart as &dyn Fn(&ContainerStatus) -> bool,
        ),
        ("initContainerStatuses", &new.init_container_statuses, &old.init_container_statuses, &init_may_restart),
        ("ephemeralContainerStatuses", &new.ephemeral_container_statuses, &old.ephemeral_container_statuses, &|_| {
            false
        }),
    ] {
        for (index, old) in list(old).iter().enumerate() {
            let ended = is_terminated(old) && !may_restart(old);
            if ended && list(new).iter().any(|new| new.name == old.name && !is_terminated(new)) {
                let at = path.child(field).index(index).child("state");
                errors.push(FieldError::forbidden(&at, "may not be transitioned to non-terminated state"));
            }
        }
    }
}

fn is_terminated(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.terminated.is_some())
}

fn restarts(policy: &str, status: &ContainerStatus) -> bool {
    let terminated = status.state.as_ref().and_then(|state| state.terminated.as_ref());
    let failed = terminated.is_some_and(|terminated| terminated.exit_code != 0);
    policy == "Always" || (policy == "OnFailure" && failed)
}

/// `validatePodIPs`.
fn validate_pod_ips(errors: &mut ErrorList, path: &Path, status: &PodStatus) {
    let ips: Vec<&str> = list(&status.pod_ips).iter().map(|ip| ip.ip.as_str()).collect();
    validate_ips(errors, &path.child("podIPs"), &ips);
}

/// `validateHostIPs`.
fn validate_host_ips(errors: &mut ErrorList, path: &Path, status: &PodStatus) {
    let ips: Vec<&str> = list(&status.host_ips).iter().map(|ip| ip.ip.as_str()).collect();
    let path = path.child("hostIPs");
    if let Some(first) = ips.first().filter(|first| has_text(&status.host_ip) && text(&status.host_ip) != **first) {
        errors.push(FieldError::invalid(&path.index(0).child("ip"), *first, "must be equal to `hostIP`"));
    }
    validate_ips(errors, &path, &ips);
}

/// At most one address of each family.
fn validate_ips(errors: &mut ErrorList, path: &Path, ips: &[&str]) {
    for (index, ip) in ips.iter().enumerate() {
        check::ip(errors, &path.index(index), ip);
    }
    if ips.len() < 2 {
        return;
    }
    let families: BTreeSet<bool> = ips.iter().filter_map(|ip| check::parse_ip(ip)).map(|ip| ip.is_ipv6()).collect();
    if families.len() != ips.len() {
        let shown: Vec<serde_json::Value> = ips.iter().map(|ip| serde_json::json!({ "IP": ip })).collect();
        let detail = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(path, shown, detail));
    }
}
