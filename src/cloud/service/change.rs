//! Which changes of a Service its load balancer has to follow.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use crate::api::Resource;

use super::wants_balancer;

/// Whether two ports are the same to a load balancer: `portEqualForLB`.
fn same_port(a: &ServicePort, b: &ServicePort) -> bool {
    a.name == b.name
        && a.protocol == b.protocol
        && a.port == b.port
        && a.node_port == b.node_port
        && a.target_port == b.target_port
        && a.app_protocol == b.app_protocol
}

/// How two states of a Service differ, as its load balancer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Not at all.
    Nothing,
    /// In something that nobody tells of.
    Silent,
    /// In something of which an event tells: its reason and message.
    Told(&'static str, String),
}

/// As Go prints a list of strings.
fn list(items: Option<&Vec<String>>) -> String {
    format!("[{}]", items.map(|items| items.join(" ")).unwrap_or_default())
}

fn arrow(before: impl std::fmt::Display, after: impl std::fmt::Display) -> String {
    format!("{before} -> {after}")
}

fn external_ips(old: &ServiceSpec, new: &ServiceSpec) -> Option<Change> {
    let ips = |spec: &ServiceSpec| spec.external_ips.clone().unwrap_or_default();
    let (old, new) = (ips(old), ips(new));
    if old.len() != new.len() {
        return Some(Change::Told("ExternalIP", format!("Count: {}", arrow(old.len(), new.len()))));
    }
    let added = old.iter().zip(&new).find(|(old, new)| old != new);
    added.map(|(_, new)| Change::Told("ExternalIP", format!("Added: {new}")))
}

/// `needsUpdate`.
pub(super) fn change(before: &Service, after: &Service) -> Change {
    let (wanted, wants) = (wants_balancer(before), wants_balancer(after));
    let none = ServiceSpec::default();
    let (old, new) = (before.spec.as_ref().unwrap_or(&none), after.spec.as_ref().unwrap_or(&none));
    let told = |reason, old: &Option<String>, new: &Option<String>| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Change::Told(reason, arrow(text(old), text(new)))
    };
    if !wanted && !wants {
        return Change::Nothing;
    }
    if wanted != wants {
        return told("Type", &old.type_, &new.type_);
    }
    let (old_ranges, new_ranges) = (&old.load_balancer_source_ranges, &new.load_balancer_source_ranges);
    if old_ranges != new_ranges {
        let text = arrow(list(old_ranges.as_ref()), list(new_ranges.as_ref()));
        return Change::Told("LoadBalancerSourceRanges", text);
    }
    let (old_ports, new_ports) = (old.ports.as_deref().unwrap_or(&[]), new.ports.as_deref().unwrap_or(&[]));
    let same_ports =
        old_ports.len() == new_ports.len() && old_ports.iter().zip(new_ports).all(|(a, b)| same_port(a, b));
    if !same_ports
        || old.session_affinity != new.session_affinity
        || old.session_affinity_config != new.session_affinity_config
    {
        return Change::Silent;
    }
    if old.load_balancer_ip != new.load_balancer_ip {
        return told("LoadbalancerIP", &old.load_balancer_ip, &new.load_balancer_ip);
    }
    if let Some(change) = external_ips(old, new) {
        return change;
    }
    if before.metadata.annotations != after.metadata.annotations {
        return Change::Silent;
    }
    if before.uid() != after.uid() {
        return Change::Told("UID", arrow(before.uid(), after.uid()));
    }
    if old.external_traffic_policy != new.external_traffic_policy {
        return told("ExternalTrafficPolicy", &old.external_traffic_policy, &new.external_traffic_policy);
    }
    let port = |spec: &ServiceSpec| spec.health_check_node_port.unwrap_or(0);
    if port(old) != port(new) {
        return Change::Told("HealthCheckNodePort", arrow(port(old), port(new)));
    }
    let families = |spec: &ServiceSpec| spec.ip_families.as_ref().map_or(0, Vec::len);
    if families(old) == families(new) { Change::Nothing } else { Change::Silent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({ "metadata": { "name": "a" }, "spec": spec }))
            .expect("the Service is written out")
    }

    #[test]
    fn a_balancer_follows_what_it_can_see() {
        let balanced = || json!({ "type": "LoadBalancer", "ports": [{ "port": 80 }], "selector": { "app": "a" } });
        let with = |field: &str, value: Value| {
            let mut spec = balanced();
            spec[field] = value;
            spec
        };
        let told = |reason, message: &str| Change::Told(reason, message.to_owned());
        let class = with("loadBalancerClass", json!("example.com/mine"));
        let table = [
            (balanced(), balanced(), Change::Nothing),
            (balanced(), with("type", json!("ClusterIP")), told("Type", "LoadBalancer -> ClusterIP")),
            (with("type", json!("ClusterIP")), balanced(), told("Type", "ClusterIP -> LoadBalancer")),
            (with("type", json!("ClusterIP")), with("type", json!("NodePort")), Change::Nothing),
            (balanced(), with("ports", json!([{ "port": 81 }])), Change::Silent),
            (balanced(), with("selector", json!({ "app": "b" })), Change::Nothing),
            (balanced(), class, told("Type", "LoadBalancer -> LoadBalancer")),
            (balanced(), with("externalTrafficPolicy", json!("Local")), told("ExternalTrafficPolicy", " -> Local")),
            (balanced(), with("loadBalancerIP", json!("1.2.3.4")), told("LoadbalancerIP", " -> 1.2.3.4")),
            (balanced(), with("externalIPs", json!(["1.2.3.4"])), told("ExternalIP", "Count: 0 -> 1")),
            (
                with("externalIPs", json!(["1.2.3.4"])),
                with("externalIPs", json!(["5.6.7.8"])),
                told("ExternalIP", "Added: 5.6.7.8"),
            ),
            (
                balanced(),
                with("loadBalancerSourceRanges", json!(["10.0.0.0/8", "1.0.0.0/8"])),
                told("LoadBalancerSourceRanges", "[] -> [10.0.0.0/8 1.0.0.0/8]"),
            ),
            (balanced(), with("healthCheckNodePort", json!(32000)), told("HealthCheckNodePort", "0 -> 32000")),
        ];
        for (before, after, expected) in table {
            assert_eq!(change(&service(before.clone()), &service(after.clone())), expected, "{before} {after}");
        }
    }
}
