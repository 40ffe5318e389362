//! What a pod has when its manifest does not say. Follows `pkg/apis/core/v1/defaults.go` and the conversions.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerPort, EnvVar, EphemeralContainer, GRPCAction, HTTPGetAction, Lifecycle, ObjectFieldSelector,
    Pod, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::{image, resources, volumes_projected};
use crate::api::check::{has_text, text};
use crate::machinery::quantity::Quantity;

/// Sets the text unless there is one.
pub(crate) fn text_or(field: &mut Option<String>, default: &str) {
    if !has_text(field) {
        *field = Some(default.to_owned());
    }
}

/// `SetDefaults_Pod` and all that it reaches.
pub(crate) fn pod(pod: &mut Pod) {
    let spec = pod.spec.get_or_insert_default();
    // Only for pods, not for templates, and it is the conversion that does it.
    if spec.termination_grace_period_seconds.is_some_and(|seconds| seconds < 0) {
        spec.termination_grace_period_seconds = Some(1);
    }
    pod_spec(spec);
    spec.enable_service_links.get_or_insert(true);
    let host_network = spec.host_network == Some(true);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        requests_from_limits(container);
        if host_network {
            container.ports.iter_mut().flatten().for_each(host_port);
        }
    }
    pod_level_requests(spec);
    if let Some(status) = &mut pod.status {
        let first = status.pod_ips.as_ref().and_then(|ips| ips.first()).map(|ip| ip.ip.clone());
        if !has_text(&status.pod_ip) && first.is_some() {
            status.pod_ip = first;
        }
    }
}

/// Defaults of a template, which has those of the spec only.
pub(crate) fn template(template: &mut PodTemplateSpec) {
    pod_spec(template.spec.get_or_insert_default());
}

/// `SetDefaults_PodSpec` and what it reaches: containers, probes, volumes.
pub(crate) fn pod_spec(spec: &mut PodSpec) {
    text_or(&mut spec.dns_policy, "ClusterFirst");
    text_or(&mut spec.restart_policy, "Always");
    text_or(&mut spec.scheduler_name, "default-scheduler");
    spec.termination_grace_period_seconds.get_or_insert(30);
    spec.security_context.get_or_insert_default();
    service_account(spec);
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        defaults_of_container(container);
    }
    spec.ephemeral_containers.iter_mut().flatten().for_each(ephemeral_container);
    spec.volumes.iter_mut().flatten().for_each(volumes_projected::default_volume);
    spec.overhead.iter_mut().for_each(round_up);
    if let Some(resources) = &mut spec.resources {
        round_resources(resources);
    }
}

/// The old name of the field follows the new one, as the conversion does it.
pub(super) fn service_account(spec: &mut PodSpec) {
    if has_text(&spec.service_account_name) {
        spec.service_account.clone_from(&spec.service_account_name);
    } else if has_text(&spec.service_account) {
        spec.service_account_name.clone_from(&spec.service_account);
    }
}

/// Ephemeral containers have a type of their own with the same fields.
macro_rules! defaults_of_container {
    ($name:ident, $type:ty) => {
        fn $name(container: &mut $type) {
            let policy = image::default_pull_policy(text(&container.image));
            text_or(&mut container.image_pull_policy, policy);
            text_or(&mut container.termination_message_path, "/dev/termination-log");
            text_or(&mut container.termination_message_policy, "File");
            round_resources(container.resources.get_or_insert_default());
            container.ports.iter_mut().flatten().for_each(port);
            container.env.iter_mut().flatten().for_each(env);
            let probes = [&mut container.liveness_probe, &mut container.readiness_probe, &mut container.startup_probe];
            probes.into_iter().flatten().for_each(probe);
            container.lifecycle.iter_mut().for_each(lifecycle);
        }
    };
}

defaults_of_container!(defaults_of_container, Container);
defaults_of_container!(ephemeral_container, EphemeralContainer);

fn port(port: &mut ContainerPort) {
    text_or(&mut port.protocol, "TCP");
}

fn host_port(port: &mut ContainerPort) {
    if port.host_port.unwrap_or(0) == 0 {
        port.host_port = Some(port.container_port);
    }
}

fn env(variable: &mut EnvVar) {
    let Some(source) = &mut variable.value_from else { return };
    source.field_ref.iter_mut().for_each(field_ref);
    if let Some(selector) = &mut source.resource_field_ref {
        selector.divisor.get_or_insert_with(|| ApiQuantity("0".to_owned()));
    }
    if let Some(selector) = &mut source.file_key_ref {
        selector.optional.get_or_insert(false);
    }
}

pub(super) fn field_ref(selector: &mut ObjectFieldSelector) {
    text_or(&mut selector.api_version, "v1");
}

fn probe(probe: &mut Probe) {
    let numbers = [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ];
    for (number, default) in numbers {
        if number.unwrap_or(0) == 0 {
            *number = Some(default);
        }
    }
    probe.http_get.iter_mut().for_each(http_get);
    probe.grpc.iter_mut().for_each(grpc);
}

fn grpc(action: &mut GRPCAction) {
    action.service.get_or_insert_default();
}

fn http_get(action: &mut HTTPGetAction) {
    text_or(&mut action.path, "/");
    text_or(&mut action.scheme, "HTTP");
}

fn lifecycle(lifecycle: &mut Lifecycle) {
    for handler in [&mut lifecycle.post_start, &mut lifecycle.pre_stop].into_iter().flatten() {
        handler.http_get.iter_mut().for_each(http_get);
    }
}

fn round_resources(resources: &mut ResourceRequirements) {
    resources.limits.iter_mut().chain(resources.requests.iter_mut()).for_each(round_up);
}

/// `SetDefaults_ResourceList`: nothing is finer than a thousandth.
pub(crate) fn round_up(amounts: &mut BTreeMap<String, ApiQuantity>) {
    for amount in amounts.values_mut() {
        // What cannot be read was refused when the manifest was decoded.
        if let Ok(mut quantity) = Quantity::parse(&amount.0)
            && (!quantity.round_up(-3) || quantity.to_string() != amount.0)
        {
            *amount = quantity.to_api();
        }
    }
}

/// A container that limits a resource and asks for nothing asks for the limit.
fn requests_from_limits(container: &mut Container) {
    let Some(resources) = &mut container.resources else { return };
    let Some(limits) = resources.limits.as_ref().filter(|limits| !limits.is_empty()) else { return };
    let requests = resources.requests.get_or_insert_default();
    for (name, amount) in limits {
        requests.entry(name.clone()).or_insert_with(|| amount.clone());
    }
}

/// `defaultPodRequests`: requests of the whole pod come from its containers, then from its limits.
fn pod_level_requests(spec: &mut PodSpec) {
    let Some(limits) = spec.resources.as_ref().and_then(|resources| resources.limits.clone()) else { return };
    if limits.is_empty() {
        return;
    }
    let aggregated = resources::aggregate_requests(spec);
    let requests = spec.resources.get_or_insert_default().requests.get_or_insert_default();
    for (name, amount) in aggregated {
        if resources::is_pod_level(&name) && resources::may_overcommit(&name) {
            requests.entry(name).or_insert_with(|| amount.to_api());
        }
    }
    for (name, amount) in limits {
        if resources::is_pod_level(&name) {
            requests.entry(name).or_insert(amount);
        }
    }
}
