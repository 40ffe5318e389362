//! Validation of containers: init, main and ephemeral ones.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, ContainerResizePolicy, ContainerRestartRule, EphemeralContainer, PodSpec, VolumeDevice,
    VolumeMount,
};

use super::probes::{ProbeKind, validate_lifecycle, validate_probe};
use super::volumes::{Volumes, has_backsteps, validate_descending_path};
use super::{env, is_restartable_init, requirements, security};
use crate::api::check::{self, has_text, invalid_each, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::order::map_of;

/// What the containers of one spec are judged against.
pub(super) struct Context<'a> {
    /// The pod's volumes that are valid.
    pub volumes: Volumes<'a>,
    /// Names of the pod's resource claims.
    pub claims: BTreeSet<&'a str>,
    /// The pod's grace period.
    pub grace_seconds: Option<i64>,
    /// The pod's restart policy.
    pub restart_policy: &'a str,
    /// Whether the pod shares the host's users.
    pub host_users: bool,
}

/// `validateContainers`.
pub(super) fn validate_main(errors: &mut ErrorList, path: &Path, containers: &[Container], context: &Context<'_>) {
    if containers.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let mut names = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let path = path.index(index);
        validate_common(errors, &path, container, context);
        if !names.insert(container.name.as_str()) {
            errors.push(FieldError::duplicate(&path.child("name"), container.name.as_str()));
        }
        validate_running(errors, &path, container, context);
        validate_restart(errors, &path, container);
    }
    validate_host_ports(errors, path, containers.iter().enumerate());
}

/// `validateInitContainers`.
pub(super) fn validate_init(errors: &mut ErrorList, path: &Path, spec: &PodSpec, context: &Context<'_>) {
    let mut names: BTreeSet<&str> = spec.containers.iter().map(|container| container.name.as_str()).collect();
    for (index, container) in list(&spec.init_containers).iter().enumerate() {
        let at = path.index(index);
        validate_common(errors, &at, container, context);
        validate_restart(errors, &at, container);
        if names.contains(container.name.as_str()) {
            errors.push(FieldError::duplicate(&at.child("name"), container.name.as_str()));
        } else if !container.name.is_empty() {
            names.insert(&container.name);
        }
        // Init containers run one by one, so each is judged alone; upstream calls each the first of its list.
        validate_host_ports(errors, path, std::iter::once((0, container)));
        if is_restartable_init(container) {
            validate_running(errors, &at, container, context);
            continue;
        }
        for (field, set) in [
            ("lifecycle", container.lifecycle.is_some()),
            ("livenessProbe", container.liveness_probe.is_some()),
            ("readinessProbe", container.readiness_probe.is_some()),
            ("startupProbe", container.startup_probe.is_some()),
        ] {
            if set {
                let detail = "may not be set for init containers without restartPolicy=Always";
                errors.push(FieldError::forbidden(&at.child(field), detail));
            }
        }
        if !list(&container.resize_policy).is_empty() {
            let shown = check::json(&container.resize_policy);
            let detail = "must not be set for init containers";
            errors.push(FieldError::invalid(&at.child("resizePolicy"), shown, detail));
        }
    }
}

/// `validateEphemeralContainers`.
pub(super) fn validate_ephemeral(errors: &mut ErrorList, path: &Path, spec: &PodSpec, context: &Context<'_>) {
    let others = spec.containers.iter().chain(list(&spec.init_containers));
    let others: BTreeSet<&str> = others.map(|container| container.name.as_str()).collect();
    let mut names = others.clone();
    for (index, ephemeral) in list(&spec.ephemeral_containers).iter().enumerate() {
        let path = path.index(index);
        let container = as_container(ephemeral);
        validate_common(errors, &path, &container, context);
        validate_image_only_for_pod(errors, &path, &container);
        if !names.insert(&ephemeral.name) {
            errors.push(FieldError::duplicate(&path.child("name"), ephemeral.name.as_str()));
        }
        let target = text(&ephemeral.target_container_name);
        if !target.is_empty() && !others.contains(target) {
            errors.push(FieldError::not_found(&path.child("targetContainerName"), target));
        }
        validate_ephemeral_fields(errors, &path, ephemeral);
    }
}

/// What only containers that stay may have.
fn validate_ephemeral_fields(errors: &mut ErrorList, path: &Path, ephemeral: &EphemeralContainer) {
    const DETAIL: &str = "cannot be set for an Ephemeral Container";
    let resources = ephemeral.resources.clone().unwrap_or_default();
    for (field, set) in [
        ("ports", !list(&ephemeral.ports).is_empty()),
        ("resources", resources != Default::default()),
        ("resizePolicy", !list(&ephemeral.resize_policy).is_empty()),
        ("restartPolicy", ephemeral.restart_policy.is_some()),
        ("restartPolicyRules", !list(&ephemeral.restart_policy_rules).is_empty()),
        ("livenessProbe", ephemeral.liveness_probe.is_some()),
        ("readinessProbe", ephemeral.readiness_probe.is_some()),
        ("startupProbe", ephemeral.startup_probe.is_some()),
        ("lifecycle", ephemeral.lifecycle.is_some()),
    ] {
        if set {
            errors.push(FieldError::forbidden(&path.child(field), DETAIL));
        }
    }
    for (index, mount) in list(&ephemeral.volume_mounts).iter().enumerate() {
        let path = path.child("volumeMounts").index(index);
        for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
            if has_text(value) {
                errors.push(FieldError::forbidden(&path.child(field), DETAIL));
            }
        }
    }
}

/// The fields that an ephemeral container shares with every other.
fn as_container(ephemeral: &EphemeralContainer) -> Container {
    let source = ephemeral.clone();
    Container {
        args: source.args,
        command: source.command,
        env: source.env,
        env_from: source.env_from,
        image: source.image,
        image_pull_policy: source.image_pull_policy,
        name: source.name,
        ports: source.ports,
        resize_policy: source.resize_policy,
        resources: source.resources,
        security_context: source.security_context,
        termination_message_path: source.termination_message_path,
        termination_message_policy: source.termination_message_policy,
        volume_devices: source.volume_devices,
        volume_mounts: source.volume_mounts,
        working_dir: source.working_dir,
        ..Container::default()
    }
}

/// `validateContainerOnlyForPod`.
pub(super) fn validate_image_only_for_pod(errors: &mut ErrorList, path: &Path, container: &Container) {
    let image = text(&container.image);
    if image.trim() != image {
        let detail = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(&path.child("image"), image, detail));
    }
}

/// `validateContainerCommon`.
fn validate_common(errors: &mut ErrorList, path: &Path, container: &Container, context: &Context<'_>) {
    let at = path.child("name");
    if container.name.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        check::dns_label(errors, &at, &container.name);
    }
    check::required(errors, &path.child("image"), text(&container.image));
    let policies = ["File", "FallbackToLogsOnError"];
    let policy = text(&container.termination_message_policy);
    check::required_supported(errors, &path.child("terminationMessagePolicy"), policy, &policies);
    validate_ports(errors, &path.child("ports"), list(&container.ports));
    env::validate(errors, &path.child("env"), list(&container.env));
    env::validate_from(errors, &path.child("envFrom"), list(&container.env_from));
    validate_mounts(errors, &path.child("volumeMounts"), container, context);
    validate_devices(errors, &path.child("volumeDevices"), container, context);
    let policy = text(&container.image_pull_policy);
    let policies = ["Always", "IfNotPresent", "Never"];
    check::required_supported(errors, &path.child("imagePullPolicy"), policy, &policies);
    if let Some(resources) = &container.resources {
        requirements::validate_container(errors, &path.child("resources"), resources, &context.claims);
    }
    let policies = list(&container.resize_policy);
    validate_resize_policy(errors, &path.child("resizePolicy"), policies, context.restart_policy);
    if let Some(security) = &container.security_context {
        security::validate_container(errors, &path.child("securityContext"), security, context.host_users);
    }
}

/// Hooks and probes, which containers have that run as long as the pod does.
fn validate_running(errors: &mut ErrorList, path: &Path, container: &Container, context: &Context<'_>) {
    if let Some(lifecycle) = &container.lifecycle {
        validate_lifecycle(errors, &path.child("lifecycle"), lifecycle, context.grace_seconds);
    }
    for (field, kind, probe) in [
        ("livenessProbe", ProbeKind::Liveness, &container.liveness_probe),
        ("readinessProbe", ProbeKind::Readiness, &container.readiness_probe),
        ("startupProbe", ProbeKind::Startup, &container.startup_probe),
    ] {
        if let Some(probe) = probe {
            validate_probe(errors, &path.child(field), kind, probe, context.grace_seconds);
        }
    }
}

/// `validateContainerRestartPolicy` and its rules.
fn validate_restart(errors: &mut ErrorList, path: &Path, container: &Container) {
    let rules = list(&container.restart_policy_rules);
    let Some(policy) = &container.restart_policy else {
        if !rules.is_empty() {
            let detail = "must specify restartPolicy when restart rules are used";
            errors.push(FieldError::required(&path.child("restartPolicy"), detail));
        }
        return;
    };
    check::supported(errors, &path.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
    let path = path.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.push(FieldError::too_many(&path, rules.len(), 20));
    }
    for (index, rule) in rules.iter().enumerate() {
        validate_restart_rule(errors, &path.index(index), rule);
    }
}

fn validate_restart_rule(errors: &mut ErrorList, path: &Path, rule: &ContainerRestartRule) {
    check::required_supported(errors, &path.child("action"), &rule.action, &["Restart", "RestartAllContainers"]);
    let Some(codes) = &rule.exit_codes else {
        errors.push(FieldError::required(&path.child("exitCodes"), "must be specified"));
        return;
    };
    let path = path.child("exitCodes");
    check::required_supported(errors, &path.child("operator"), &codes.operator, &["In", "NotIn"]);
    let values = list(&codes.values);
    if values.is_empty() {
        errors.push(FieldError::required(&path.child("values"), "must specify one or more values"));
    } else if values.len() > 255 {
        errors.push(FieldError::too_many(&path.child("values"), values.len(), 255));
    }
}

/// `validateContainerPorts`.
fn validate_ports(errors: &mut ErrorList, path: &Path, ports: &[ContainerPort]) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            let messages = names::is_port_name(name);
            if messages.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(&path.child("name"), name));
            }
            invalid_each(errors, &path.child("name"), name, messages);
        }
        if port.container_port == 0 {
            errors.push(FieldError::required(&path.child("containerPort"), ""));
        } else {
            check::port_number(errors, &path.child("containerPort"), port.container_port);
        }
        if let Some(host_port) = port.host_port.filter(|port| *port != 0) {
            check::port_number(errors, &path.child("hostPort"), host_port);
        }
        let protocols = ["SCTP", "TCP", "UDP"];
        check::required_supported(errors, &path.child("protocol"), text(&port.protocol), &protocols);
    }
}

/// `checkHostPortConflicts`.
fn validate_host_ports<'a>(
    errors: &mut ErrorList,
    path: &Path,
    containers: impl Iterator<Item = (usize, &'a Container)>,
) {
    let mut seen = BTreeSet::new();
    for (index, container) in containers {
        for (port_index, port) in list(&container.ports).iter().enumerate() {
            let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
            let shown = format!("{}/{}/{number}", text(&port.protocol), text(&port.host_ip));
            if seen.contains(&shown) {
                let path = path.index(index).child("ports").index(port_index).child("hostPort");
                errors.push(FieldError::duplicate(&path, shown));
            } else {
                seen.insert(shown);
            }
        }
    }
}

/// `ValidateVolumeMounts`.
fn validate_mounts(errors: &mut ErrorList, path: &Path, container: &Container, context: &Context<'_>) {
    let devices = map_of(list(&container.volume_devices).iter().map(|d| (d.name.as_str(), d.device_path.as_str())));
    let mut points = BTreeSet::new();
    for (index, mount) in list(&container.volume_mounts).iter().enumerate() {
        let at = path.index(index);
        let (name, mount_path) = (mount.name.as_str(), mount.mount_path.as_str());
        check::required(errors, &at.child("name"), name);
        let volume = context.volumes.get(name);
        if volume.is_none() {
            errors.push(FieldError::not_found(&at.child("name"), name));
        }
        check::required(errors, &at.child("mountPath"), mount_path);
        if !points.insert(mount_path) {
            errors.push(FieldError::invalid(&at.child("mountPath"), mount_path, "must be unique"));
        }
        if devices.contains_key(name) {
            let detail = "must not already exist in volumeDevices";
            errors.push(FieldError::invalid(&at.child("name"), name, detail));
        }
        if devices.values().any(|device| *device == mount_path) {
            let detail = "must not already exist as a path in volumeDevices";
            errors.push(FieldError::invalid(&at.child("mountPath"), mount_path, detail));
        }
        validate_sub_paths(errors, path, &at, mount);
        validate_propagation(errors, path, mount, container);
    }
}

/// `path` is the list's: upstream leaves the mount's place out of these.
fn validate_sub_paths(errors: &mut ErrorList, path: &Path, at: &Path, mount: &VolumeMount) {
    let (sub_path, expression) = (text(&mount.sub_path), text(&mount.sub_path_expr));
    if !sub_path.is_empty() {
        validate_descending_path(errors, &path.child("subPath"), sub_path);
    }
    if !expression.is_empty() {
        if !sub_path.is_empty() {
            let detail = "subPathExpr and subPath are mutually exclusive";
            errors.push(FieldError::invalid(&at.child("subPathExpr"), expression, detail));
        }
        validate_descending_path(errors, &path.child("subPathExpr"), expression);
    }
}

fn validate_propagation(errors: &mut ErrorList, path: &Path, mount: &VolumeMount, container: &Container) {
    if let Some(propagation) = &mount.mount_propagation {
        let at = path.child("mountPropagation");
        check::supported(errors, &at, propagation, &["Bidirectional", "HostToContainer", "None"]);
        let privileged = container.security_context.as_ref().and_then(|context| context.privileged) == Some(true);
        if propagation == "Bidirectional" && !privileged {
            let detail = "Bidirectional mount propagation is available only to privileged containers";
            errors.push(FieldError::forbidden(&at, detail));
        }
    }
    let at = path.child("recursiveReadOnly");
    match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => {}
        Some("Enabled" | "IfPossible") => {
            if mount.read_only != Some(true) {
                errors.push(FieldError::forbidden(&at, "may only be specified when readOnly is true"));
            }
            if mount.mount_propagation.as_deref().is_some_and(|propagation| propagation != "None") {
                let detail = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(&at, detail));
            }
        }
        Some(other) => {
            errors.push(FieldError::not_supported(&at, other, &["Disabled", "Enabled", "IfPossible"]));
        }
    }
}

/// `ValidateVolumeDevices`.
fn validate_devices(errors: &mut ErrorList, path: &Path, container: &Container, context: &Context<'_>) {
    let mounts = list(&container.volume_mounts);
    let mut paths = BTreeSet::new();
    let mut device_names = BTreeSet::new();
    for (index, device) in list(&container.volume_devices).iter().enumerate() {
        let path = path.index(index);
        validate_device_name(errors, &path.child("name"), device, context, &device_names);
        let (name, device_path) = (device.name.as_str(), device.device_path.as_str());
        let at = path.child("devicePath");
        check::required(errors, &at, device_path);
        if paths.contains(device_path) {
            errors.push(FieldError::invalid(&at, device_path, "must be unique"));
        }
        if has_backsteps(device_path) {
            errors.push(FieldError::invalid(&at, device_path, "can not contain backsteps ('..')"));
        } else {
            paths.insert(device_path);
        }
        if mounts.iter().any(|mount| mount.name == name) {
            let detail = "must not already exist in volumeMounts";
            errors.push(FieldError::invalid(&path.child("name"), name, detail));
        }
        if mounts.iter().any(|mount| mount.mount_path == device_path) {
            let detail = "must not already exist as a path in volumeMounts";
            errors.push(FieldError::invalid(&at, device_path, detail));
        }
        if !name.is_empty() {
            device_names.insert(name);
        }
    }
}

fn validate_device_name(
    errors: &mut ErrorList,
    path: &Path,
    device: &VolumeDevice,
    context: &Context<'_>,
    seen: &BTreeSet<&str>,
) {
    let name = device.name.as_str();
    check::required(errors, path, name);
    if seen.contains(name) {
        errors.push(FieldError::invalid(path, name, "must be unique"));
    }
    match context.volumes.get(name) {
        None => errors.push(FieldError::not_found(path, name)),
        Some(volume) if volume.persistent_volume_claim.is_none() && volume.ephemeral.is_none() => {
            let detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
            errors.push(FieldError::invalid(path, name, detail));
        }
        Some(_) => {}
    }
}

/// `validateResizePolicy`.
fn validate_resize_policy(
    errors: &mut ErrorList,
    path: &Path,
    policies: &[ContainerResizePolicy],
    restart_policy: &str,
) {
    let mut seen = BTreeSet::new();
    for (index, policy) in policies.iter().enumerate() {
        if !seen.insert(&policy.resource_name) {
            errors.push(FieldError::duplicate(&path.index(index), policy.resource_name.as_str()));
        }
        check::required_supported(errors, path, &policy.resource_name, &["cpu", "memory"]);
        let choices = ["NotRequired", "RestartContainer"];
        check::required_supported(errors, path, &policy.restart_policy, &choices);
        if restart_policy == "Never" && policy.restart_policy != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(path, policy.restart_policy.as_str(), detail));
        }
    }
}
