//! Services: what they are by default, what an update keeps, and which addresses they may ask for.
//!
//! Follows `pkg/apis/core/v1/defaults.go`, `pkg/registry/core/service/strategy.go` and, for the address families,
//! `pkg/registry/core/service/storage`. Addresses and ports themselves are given out by the API server.

pub(crate) mod columns;
mod families;
mod validation;

pub use families::validate_families;
pub(crate) use validation::{validate, validate_status, validate_update};

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{
    ClientIPConfig, LoadBalancerStatus, Service, ServiceSpec, ServiceStatus, SessionAffinityConfig,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::pod::defaults::text_or;
use crate::api::check::{self, list, text};
use crate::api::kind::Subresource;
use crate::machinery::field::Path;
use crate::machinery::ip;

/// `DefaultClientIPServiceAffinitySeconds`: three hours.
const AFFINITY_SECONDS: i32 = 10_800;

/// Whether the Service is given no address of its own on purpose.
#[must_use]
pub fn is_headless(spec: &ServiceSpec) -> bool {
    matches!(list(&spec.cluster_ips), [only] if only == "None")
}

/// `ExternallyAccessible`: whether traffic from outside the cluster can reach it.
#[must_use]
pub fn is_externally_accessible(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !list(&spec.external_ips).is_empty(),
        _ => false,
    }
}

/// `NeedsHealthCheck`: whether nodes say over a port of its own if they have endpoints.
#[must_use]
pub fn needs_health_check(spec: &ServiceSpec) -> bool {
    text(&spec.type_) == "LoadBalancer" && text(&spec.external_traffic_policy) == "Local"
}

/// Whether the Service has an address in the cluster, be it `None`.
#[must_use]
pub fn needs_cluster_ip(spec: &ServiceSpec) -> bool {
    matches!(text(&spec.type_), "ClusterIP" | "NodePort" | "LoadBalancer")
}

/// Whether its ports have ports of the nodes.
#[must_use]
pub fn needs_node_port(spec: &ServiceSpec) -> bool {
    match text(&spec.type_) {
        "NodePort" => true,
        "LoadBalancer" => spec.allocate_load_balancer_node_ports != Some(false),
        _ => false,
    }
}

/// `SetDefaults_Service`.
pub(crate) fn default(service: &mut Service) {
    let spec = service.spec.get_or_insert_default();
    text_or(&mut spec.session_affinity, "None");
    match text(&spec.session_affinity) {
        "None" => spec.session_affinity_config = None,
        "ClientIP" => {
            let config: &mut SessionAffinityConfig = spec.session_affinity_config.get_or_insert_default();
            let client_ip: &mut ClientIPConfig = config.client_ip.get_or_insert_default();
            client_ip.timeout_seconds.get_or_insert(AFFINITY_SECONDS);
        }
        _ => {}
    }
    text_or(&mut spec.type_, "ClusterIP");
    for port in spec.ports.iter_mut().flatten() {
        text_or(&mut port.protocol, "TCP");
        let unset = match &port.target_port {
            None | Some(IntOrString::Int(0)) => true,
            Some(IntOrString::String(name)) => name.is_empty(),
            Some(IntOrString::Int(_)) => false,
        };
        if unset {
            port.target_port = Some(IntOrString::Int(port.port));
        }
    }
    if is_externally_accessible(spec) {
        text_or(&mut spec.external_traffic_policy, "Cluster");
    }
    if needs_cluster_ip(spec) {
        spec.internal_traffic_policy.get_or_insert_with(|| "Cluster".to_owned());
    }
    if text(&spec.type_) != "LoadBalancer" {
        return;
    }
    spec.allocate_load_balancer_node_ports.get_or_insert(true);
    let balancer = service.status.as_mut().and_then(|status| status.load_balancer.as_mut());
    for ingress in balancer.into_iter().flat_map(|balancer| balancer.ingress.iter_mut().flatten()) {
        if !text(&ingress.ip).is_empty() {
            ingress.ip_mode.get_or_insert_with(|| "VIP".to_owned());
        }
    }
}

/// The strategy's `PrepareForCreate`, and the address families as far as they follow from the manifest.
pub(crate) fn prepare_for_create(service: &mut Service) {
    service.status = Some(ServiceStatus { load_balancer: Some(LoadBalancerStatus::default()), conditions: None });
    let spec = service.spec.get_or_insert_default();
    if !text(&spec.cluster_ip).is_empty() && list(&spec.cluster_ips).is_empty() {
        spec.cluster_ips = spec.cluster_ip.clone().map(|ip| vec![ip]);
    }
    families::initialize(spec, None);
}

/// The strategies' `PrepareForUpdate`, and what the storage does before it.
pub(crate) fn prepare_for_update(new: &mut Service, old: &Service, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    let before = old.spec.clone().unwrap_or_default();
    let spec = new.spec.get_or_insert_default();
    patch_allocated_values(spec, &before);
    normalize_cluster_ips(spec, &before);
    drop_type_dependent_fields(spec, &before);
    families::initialize(spec, Some(&before));
    let balancer = new.status.as_mut().and_then(|status| status.load_balancer.as_mut());
    if let Some(balancer) = balancer.filter(|_| text(&spec.type_) != "LoadBalancer") {
        // Its load balancer goes later, but nobody has to see that.
        balancer.ingress = None;
    }
}

/// `patchAllocatedValues`: a client that leaves out what the server gave keeps it.
fn patch_allocated_values(new: &mut ServiceSpec, old: &ServiceSpec) {
    if needs_cluster_ip(old) && needs_cluster_ip(new) {
        if text(&new.cluster_ip).is_empty() {
            new.cluster_ip.clone_from(&old.cluster_ip);
        }
        if list(&new.cluster_ips).is_empty() && text(&new.cluster_ip) == text(&old.cluster_ip) {
            new.cluster_ips.clone_from(&old.cluster_ips);
        }
    }
    if needs_node_port(old) && needs_node_port(new) {
        patch_node_ports(new, old);
    }
    if needs_health_check(old) && needs_health_check(new) && new.health_check_node_port.unwrap_or(0) == 0 {
        new.health_check_node_port = old.health_check_node_port;
    }
}

fn patch_node_ports(new: &mut ServiceSpec, old: &ServiceSpec) {
    let ports = |spec: &ServiceSpec| -> BTreeSet<i32> {
        list(&spec.ports).iter().filter_map(|port| port.node_port).filter(|port| *port != 0).collect()
    };
    let used = ports(new);
    for port in new.ports.iter_mut().flatten().filter(|port| port.node_port.unwrap_or(0) == 0) {
        let before = list(&old.ports).iter().rev().find(|old| text(&old.name) == text(&port.name));
        if let Some(number) = before.and_then(|old| old.node_port).filter(|number| !used.contains(number)) {
            port.node_port = Some(number);
        }
    }
}

/// `NormalizeClusterIPs`: a client that knows only `clusterIP` changes both fields by it.
fn normalize_cluster_ips(new: &mut ServiceSpec, old: &ServiceSpec) {
    if text(&new.cluster_ip) == text(&old.cluster_ip) || list(&new.cluster_ips) != list(&old.cluster_ips) {
        // Not changed, or both were changed by a client that knows both.
        if list(&new.cluster_ips).is_empty() && !text(&new.cluster_ip).is_empty() {
            new.cluster_ips = new.cluster_ip.clone().map(|ip| vec![ip]);
        }
        return;
    }
    new.cluster_ips = if text(&new.cluster_ip).is_empty() { None } else { new.cluster_ip.clone().map(|ip| vec![ip]) };
}

/// `dropTypeDependentFields`: what belongs to the old type goes with it unless the client changed it.
fn drop_type_dependent_fields(new: &mut ServiceSpec, old: &ServiceSpec) {
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if text(&new.cluster_ip) == text(&old.cluster_ip) && list(&new.cluster_ips) == list(&old.cluster_ips) {
            new.cluster_ip = None;
            new.cluster_ips = None;
        }
        if list(&new.ip_families) == list(&old.ip_families) {
            new.ip_families = None;
        }
        if new.ip_family_policy == old.ip_family_policy {
            new.ip_family_policy = None;
        }
    }
    let node_ports =
        |spec: &ServiceSpec| -> Vec<i32> { list(&spec.ports).iter().map(|port| port.node_port.unwrap_or(0)).collect() };
    if needs_node_port(old) && !needs_node_port(new) && node_ports(new) == node_ports(old) {
        new.ports.iter_mut().flatten().for_each(|port| port.node_port = None);
    }
    if needs_health_check(old) && !needs_health_check(new) && new.health_check_node_port == old.health_check_node_port {
        new.health_check_node_port = None;
    }
    let balancer = |spec: &ServiceSpec| text(&spec.type_) == "LoadBalancer";
    if balancer(old) && !balancer(new) {
        if new.allocate_load_balancer_node_ports == old.allocate_load_balancer_node_ports {
            new.allocate_load_balancer_node_ports = None;
        }
        if new.load_balancer_class == old.load_balancer_class {
            new.load_balancer_class = None;
        }
    }
    if is_externally_accessible(old)
        && !is_externally_accessible(new)
        && new.external_traffic_policy == old.external_traffic_policy
    {
        new.external_traffic_policy = None;
    }
}

/// `GetWarningsForService`.
#[inline(never)]
pub(crate) fn warnings(service: &Service) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(spec) = &service.spec else { return warnings };
    let has = |key: &str| service.metadata.annotations.as_ref().is_some_and(|map| map.contains_key(key));
    if has("service.kubernetes.io/topology-aware-hints") {
        warnings.push(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
                       service.kubernetes.io/topology-mode instead"
                .to_owned(),
        );
    }
    let path = Path::new("spec");
    let is_external = text(&spec.type_) == "ExternalName";
    let has_ip = !is_external && !text(&spec.cluster_ip).is_empty() && text(&spec.cluster_ip) != "None";
    if has_ip {
        check::ip_warnings(&mut warnings, &path.child("clusterIPs"), list(&spec.cluster_ips));
    }
    if is_headless(spec) {
        if !text(&spec.load_balancer_ip).is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !list(&spec.external_ips).is_empty() {
            warnings.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if text(&spec.session_affinity) != "None" {
            warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    } else if !list(&spec.external_ips).is_empty() && !is_external {
        warnings.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    check::ip_warnings(&mut warnings, &path.child("externalIPs"), list(&spec.external_ips));
    if let Some(ip) = spec.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty()) {
        warnings.extend(ip::warnings_for_ip(&path.child("loadBalancerIP"), ip));
    }
    let ranges = path.child("loadBalancerSourceRanges");
    for (index, range) in list(&spec.load_balancer_source_ranges).iter().enumerate() {
        warnings.extend(ip::warnings_for_cidr(&ranges.index(index), range));
    }
    if is_external && !list(&spec.external_ips).is_empty() {
        warnings.push(r#"spec.externalIPs is ignored when spec.type is "ExternalName""#.to_owned());
    }
    if !is_external && !text(&spec.external_name).is_empty() {
        warnings.push(r#"spec.externalName is ignored when spec.type is not "ExternalName""#.to_owned());
    }
    if spec.traffic_distribution.as_deref() == Some("PreferClose") {
        warnings.push(r#"spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone""#.to_owned());
    }
    warnings
}
