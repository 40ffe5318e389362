//! Validation of Services. Follows `ValidateService` of `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::json;

use super::{is_externally_accessible, is_headless, needs_cluster_ip, needs_health_check, validate_families};
use crate::api::check::{self, has_text, list, text};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;

/// `MaxClientIPServiceAffinitySeconds`: a day.
const AFFINITY_SECONDS_MAX: i32 = 86_400;
/// Source ranges as older clients give them.
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const BALANCER_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";

/// Validation on creation: first what the allocator refuses, then `ValidateService`.
pub(crate) fn validate(service: &Service) -> ErrorList {
    let errors = validate_families(service, false);
    if errors.is_empty() { validate_service(service) } else { errors }
}

/// As [`validate`] for an update: `ValidateServiceUpdate`.
pub(crate) fn validate_update(new: &Service, old: &Service) -> ErrorList {
    let errors = validate_families(new, true);
    if !errors.is_empty() {
        return errors;
    }
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let (Some(spec), Some(before)) = (&new.spec, &old.spec) else { return errors };
    let path = Path::new("spec");
    validate_changed_ips(&mut errors, &path, spec, before);
    validate_changed_families(&mut errors, &path, spec, before);
    let balancer = |spec: &ServiceSpec| text(&spec.type_) == "LoadBalancer";
    let at = path.child("loadBalancerClass");
    if balancer(spec) && balancer(before) && spec.load_balancer_class != before.load_balancer_class {
        let shown = check::json(&spec.load_balancer_class);
        errors.push(FieldError::invalid(&at, shown, "may not change once set"));
    }
    validate_class(&mut errors, &at, spec);
    if needs_health_check(spec)
        && needs_health_check(before)
        && spec.health_check_node_port.unwrap_or(0) != before.health_check_node_port.unwrap_or(0)
    {
        errors.push(FieldError::forbidden(&path.child("healthCheckNodePort"), check::IMMUTABLE));
    }
    errors.extend(validate_service(new));
    errors
}

fn validate_service(service: &Service) -> ErrorList {
    let mut errors = meta::validate(&service.metadata, true, names::is_dns1123_label);
    let missing = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    let kind = text(&spec.type_);
    if list(&spec.ports).is_empty() && !is_headless(spec) && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if is_headless(spec) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), "None", detail));
        }
        "ExternalName" => validate_external_name(&mut errors, &path, spec),
        _ => {}
    }
    validate_ports(&mut errors, &path.child("ports"), list(&spec.ports));
    check::labels(&mut errors, &path.child("selector"), spec.selector.as_ref());
    validate_affinity(&mut errors, &path, spec);
    if kind != "ExternalName" {
        errors.extend(cluster_ip_errors(spec));
    }
    for (index, ip) in list(&spec.external_ips).iter().enumerate() {
        let path = path.child("externalIPs").index(index);
        if check::ip(&mut errors, &path, ip) {
            check::non_special_ip(&mut errors, &path, ip);
        }
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    check::required_supported(&mut errors, &path.child("type"), kind, &types);
    validate_port_numbers(&mut errors, &path.child("ports"), spec);
    validate_balancer(&mut errors, &path, service, spec);
    validate_policies(&mut errors, &path, spec);
    errors
}

fn validate_external_name(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec) {
    for (field, set) in [
        ("clusterIPs", !list(&spec.cluster_ips).is_empty()),
        ("ipFamilies", !list(&spec.ip_families).is_empty()),
        ("ipFamilyPolicy", spec.ip_family_policy.is_some()),
    ] {
        if set {
            errors.push(FieldError::forbidden(&path.child(field), "may not be set for ExternalName services"));
        }
    }
    let at = path.child("externalName");
    let name = text(&spec.external_name);
    match name.strip_suffix('.').unwrap_or(name) {
        "" => errors.push(FieldError::required(&at, "")),
        name => check::dns_subdomain(errors, &at, name),
    }
}

fn validate_ports(errors: &mut ErrorList, path: &Path, ports: &[ServicePort]) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let at = path.child("name");
        let name = text(&port.name);
        if !name.is_empty() {
            check::dns_label(errors, &at, name);
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&at, name));
            }
        } else if ports.len() > 1 {
            errors.push(FieldError::required(&at, ""));
        }
        check::port_number(errors, &path.child("port"), port.port);
        let protocols = ["SCTP", "TCP", "UDP"];
        check::required_supported(errors, &path.child("protocol"), text(&port.protocol), &protocols);
        let target = port.target_port.clone().unwrap_or(IntOrString::Int(0));
        check::port_number_or_name(errors, &path.child("targetPort"), &target);
        if let Some(protocol) = &port.app_protocol {
            check::qualified_name(errors, &path.child("appProtocol"), protocol);
        }
    }
}

/// Ports that stand twice, and node ports where there can be none.
fn validate_port_numbers(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec) {
    let ports = list(&spec.ports);
    let node_port = |port: &ServicePort| port.node_port.filter(|number| *number != 0);
    if text(&spec.type_) == "ClusterIP" {
        for (index, _) in ports.iter().enumerate().filter(|(_, port)| node_port(port).is_some()) {
            let at = path.index(index).child("nodePort");
            errors.push(FieldError::forbidden(&at, "may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let Some(number) = node_port(port) else { continue };
        if !seen.insert((text(&port.protocol), number)) {
            errors.push(FieldError::duplicate(&path.index(index).child("nodePort"), number));
        }
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        if !seen.insert((text(&port.protocol), port.port)) {
            let key = json!({ "protocol": text(&port.protocol), "port": port.port, "targetPort": 0 });
            errors.push(FieldError::duplicate(&path.index(index), internal::dump("ServicePort", &key)));
        }
    }
}

fn validate_affinity(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec) {
    let affinity = text(&spec.session_affinity);
    check::required_supported(errors, &path.child("sessionAffinity"), affinity, &["ClientIP", "None"]);
    let at = path.child("sessionAffinityConfig");
    if affinity == "ClientIP" {
        validate_client_ip(errors, &at, spec.session_affinity_config.as_ref());
    } else if affinity == "None" && spec.session_affinity_config.is_some() {
        errors.push(FieldError::forbidden(&at, "must not be set when session affinity is None"));
    }
}

/// `validateClientIPAffinityConfig`.
fn validate_client_ip(errors: &mut ErrorList, path: &Path, config: Option<&SessionAffinityConfig>) {
    const DETAIL: &str = "when session affinity type is ClientIP";
    let Some(config) = config else { return errors.push(FieldError::required(path, DETAIL)) };
    let path = path.child("clientIP");
    let Some(client_ip) = &config.client_ip else { return errors.push(FieldError::required(&path, DETAIL)) };
    let path = path.child("timeoutSeconds");
    match client_ip.timeout_seconds {
        None => errors.push(FieldError::required(&path, DETAIL)),
        Some(seconds) if !(1..=AFFINITY_SECONDS_MAX).contains(&seconds) => {
            let detail = format!("must be greater than 0 and less than {AFFINITY_SECONDS_MAX}");
            errors.push(FieldError::invalid(&path, seconds, detail));
        }
        Some(_) => {}
    }
}

/// `ValidateServiceClusterIPsRelatedFields`.
pub(super) fn cluster_ip_errors(spec: &ServiceSpec) -> ErrorList {
    let mut errors = ErrorList::new();
    let path = Path::new("spec");
    let at = path.child("clusterIPs");
    let (ip, ips) = (text(&spec.cluster_ip), list(&spec.cluster_ips));
    if !ip.is_empty() {
        match ips.first() {
            None => errors.push(FieldError::required(&at, "")),
            Some(first) if first != ip => {
                errors.push(FieldError::invalid(&at, ips.to_vec(), "first value must match `clusterIP`"));
            }
            Some(_) => {}
        }
    } else if !ips.is_empty() {
        errors.push(FieldError::invalid(&at, ips.to_vec(), "must be empty when `clusterIP` is not specified"));
    }
    let families = list(&spec.ip_families);
    for (index, family) in families.iter().enumerate() {
        let path = path.child("ipFamilies").index(index);
        check::supported(&mut errors, &path, family, &["IPv4", "IPv6"]);
        if families[..index].contains(family) {
            errors.push(FieldError::duplicate(&path, family.as_str()));
        }
    }
    if let Some(policy) = &spec.ip_family_policy {
        let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
        check::supported(&mut errors, &path.child("ipFamilyPolicy"), policy, &policies);
    }
    if validate_ips(&mut errors, &at, ips) && !is_headless(spec) {
        for (index, (ip, family)) in ips.iter().zip(families).enumerate() {
            if ip.contains(':') != (family == "IPv6") && matches!(family.as_str(), "IPv4" | "IPv6") {
                let detail = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                errors.push(FieldError::invalid(&at.index(index), ip.as_str(), detail));
            }
        }
    }
    errors
}

/// Whether all are addresses, or the one is `None`.
fn validate_ips(errors: &mut ErrorList, path: &Path, ips: &[String]) -> bool {
    let mut valid = true;
    for (index, ip) in ips.iter().enumerate() {
        if index == 0 && ip == "None" {
            if ips.len() > 1 {
                valid = false;
                let detail = "'None' must be the first and only value";
                errors.push(FieldError::invalid(path, ips.to_vec(), detail));
            }
            continue;
        }
        valid &= check::ip(errors, &path.index(index), ip);
    }
    if ips.len() > 2 {
        errors.push(FieldError::invalid(path, ips.to_vec(), "may only hold up to 2 values"));
    }
    let families: BTreeSet<bool> = ips.iter().map(|ip| ip.contains(':')).collect();
    if valid && ips.len() > 1 && families.len() < 2 {
        let detail = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(path, ips.to_vec(), detail));
    }
    valid
}

fn validate_balancer(errors: &mut ErrorList, path: &Path, service: &Service, spec: &ServiceSpec) {
    let balancer = text(&spec.type_) == "LoadBalancer";
    let ranges = list(&spec.load_balancer_source_ranges);
    let annotation = service.metadata.annotations.as_ref().and_then(|map| map.get(SOURCE_RANGES));
    if !ranges.is_empty() {
        let at = path.child("LoadBalancerSourceRanges");
        if !balancer {
            errors.push(FieldError::forbidden(&at, BALANCER_ONLY));
        }
        ranges.iter().enumerate().for_each(|(index, range)| check::cidr(errors, &at.index(index), range.trim()));
    } else if let Some(ranges) = annotation {
        let at = Path::new("metadata").child("annotations").key(SOURCE_RANGES);
        if !balancer {
            errors.push(FieldError::forbidden(&at, BALANCER_ONLY));
        }
        if !ranges.trim().is_empty() {
            ranges.trim().split(',').for_each(|range| check::cidr(errors, &at, range.trim()));
        }
    }
    match spec.allocate_load_balancer_node_ports {
        Some(_) if !balancer => {
            errors.push(FieldError::forbidden(&path.child("allocateLoadBalancerNodePorts"), BALANCER_ONLY));
        }
        None if balancer => errors.push(FieldError::required(&Path::new("allocateLoadBalancerNodePorts"), "")),
        _ => {}
    }
    validate_class(errors, &path.child("loadBalancerClass"), spec);
}

fn validate_class(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec) {
    match &spec.load_balancer_class {
        Some(class) if text(&spec.type_) == "LoadBalancer" => check::qualified_name(errors, path, class),
        Some(_) => errors.push(FieldError::forbidden(path, BALANCER_ONLY)),
        None => {}
    }
}

fn validate_policies(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec) {
    let at = path.child("externalTrafficPolicy");
    let policy = text(&spec.external_traffic_policy);
    let policies = ["Cluster", "Local"];
    if is_externally_accessible(spec) {
        check::required_supported(errors, &at, policy, &policies);
    } else if !policy.is_empty() {
        errors.push(FieldError::invalid(&at, policy, "may only be set for externally-accessible services"));
    }
    let at = path.child("healthCheckNodePort");
    let port = spec.health_check_node_port.unwrap_or(0);
    match (needs_health_check(spec), port) {
        (true, 0) => errors.push(FieldError::required(&at, "")),
        (true, port) => check::port_number(errors, &at, port),
        (false, 0) => {}
        (false, port) => {
            let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
            errors.push(FieldError::invalid(&at, port, detail));
        }
    }
    let at = path.child("internalTrafficPolicy");
    match &spec.internal_traffic_policy {
        Some(policy) => check::supported(errors, &at, policy, &policies),
        None if needs_cluster_ip(spec) => errors.push(FieldError::required(&at, "")),
        None => {}
    }
    if let Some(distribution) = &spec.traffic_distribution {
        let distributions = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        check::supported(errors, &path.child("trafficDistribution"), distribution, &distributions);
    }
}

/// `validateUpgradeDowngradeClusterIPs`.
fn validate_changed_ips(errors: &mut ErrorList, path: &Path, new: &ServiceSpec, old: &ServiceSpec) {
    if !needs_cluster_ip(new) || !needs_cluster_ip(old) || (is_headless(new) && is_headless(old)) {
        return;
    }
    let at = path.child("clusterIPs");
    let (ips, before) = (list(&new.cluster_ips), list(&old.cluster_ips));
    let mut refuse = |index: usize, detail: &str| {
        errors.push(FieldError::invalid(&at.index(index), ips.to_vec(), detail));
    };
    if ips.len() == before.len() {
        for (index, _) in ips.iter().zip(before).enumerate().filter(|(_, (new, old))| new != old) {
            refuse(index, "may not change once set");
        }
        return;
    }
    if ips.is_empty() {
        refuse(0, "primary clusterIP can not be unset");
    } else if before.first().is_some_and(|first| *first != ips[0]) {
        refuse(0, "may not change once set");
    }
    if before.len() > ips.len() && ips.len() == 1 {
        validate_released(errors, path, new, "clusterIP");
    }
}

/// `validateUpgradeDowngradeIPFamilies`.
fn validate_changed_families(errors: &mut ErrorList, path: &Path, new: &ServiceSpec, old: &ServiceSpec) {
    if !needs_cluster_ip(new) || !needs_cluster_ip(old) || is_headless(new) || is_headless(old) {
        return;
    }
    let at = path.child("ipFamilies").index(0);
    let (families, before) = (list(&new.ip_families), list(&old.ip_families));
    if families.len() == before.len() {
        for _ in families.iter().zip(before).filter(|(new, old)| new != old) {
            errors.push(FieldError::invalid(&at, families.to_vec(), "may not change once set"));
        }
        return;
    }
    let (primary, primary_before) = (families.first(), before.first());
    if primary.is_some() && primary_before.is_some() && primary != primary_before {
        // Upstream shows the addresses here.
        errors.push(FieldError::invalid(&at, list(&new.cluster_ips).to_vec(), "may not change once set"));
    }
    if before.len() > families.len() && families.len() == 1 {
        validate_released(errors, path, new, "ipFamily");
    }
}

fn validate_released(errors: &mut ErrorList, path: &Path, spec: &ServiceSpec, what: &str) {
    if spec.ip_family_policy.as_deref() != Some("SingleStack") {
        let shown = check::json(&spec.ip_family_policy);
        let detail = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.push(FieldError::invalid(&path.child("ipFamilyPolicy"), shown, detail));
    }
}

/// `ValidateServiceStatusUpdate`.
pub(crate) fn validate_status(new: &Service, old: &Service) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let path = Path::new("status").child("loadBalancer").child("ingress");
    let kind = new.spec.as_ref().map_or("", |spec| text(&spec.type_));
    let balancer = new.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingresses = balancer.map_or(&[][..], |balancer| list(&balancer.ingress));
    if kind != "LoadBalancer" && !ingresses.is_empty() {
        let detail = "may only be used when `spec.type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden(&path, detail));
        return errors;
    }
    for (index, ingress) in ingresses.iter().enumerate() {
        let path = path.index(index);
        if has_text(&ingress.ip) {
            check::ip(&mut errors, &path.child("ip"), text(&ingress.ip));
        }
        let at = path.child("ipMode");
        match &ingress.ip_mode {
            None if has_text(&ingress.ip) => {
                errors.push(FieldError::required(&at, "must be specified when `ip` is set"));
            }
            None => {}
            Some(_) if !has_text(&ingress.ip) => {
                errors.push(FieldError::forbidden(&at, "may not be specified when `ip` is not set"));
            }
            Some(mode) => check::supported(&mut errors, &at, mode, &["Proxy", "VIP"]),
        }
        let hostname = text(&ingress.hostname);
        if !hostname.is_empty() {
            let at = path.child("hostname");
            check::dns_subdomain(&mut errors, &at, hostname);
            if check::parse_ip(hostname).is_some() {
                errors.push(FieldError::invalid(&at, hostname, "must be a DNS name, not an IP address"));
            }
        }
    }
    errors
}
