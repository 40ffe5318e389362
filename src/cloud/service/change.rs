//! Which changes of a Service its load balancer has to follow.

use k8s_openapi::api::core::v1::{Service, ServicePort};

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

/// `needsUpdate`.
pub(super) fn needs_update(before: &Service, after: &Service) -> bool {
    let (wanted, wants) = (wants_balancer(before), wants_balancer(after));
    if wanted != wants || !wants {
        return wanted != wants;
    }
    let (Some(old), Some(new)) = (&before.spec, &after.spec) else { return before.spec != after.spec };
    let (old_ports, new_ports) = (old.ports.as_deref().unwrap_or(&[]), new.ports.as_deref().unwrap_or(&[]));
    let same_ports =
        old_ports.len() == new_ports.len() && old_ports.iter().zip(new_ports).all(|(a, b)| same_port(a, b));
    !(same_ports
        && old.load_balancer_source_ranges == new.load_balancer_source_ranges
        && old.session_affinity == new.session_affinity
        && old.session_affinity_config == new.session_affinity_config
        && old.load_balancer_ip == new.load_balancer_ip
        && old.external_ips == new.external_ips
        && before.metadata.annotations == after.metadata.annotations
        && before.uid() == after.uid()
        && old.external_traffic_policy == new.external_traffic_policy
        && old.health_check_node_port == new.health_check_node_port
        && old.ip_families.as_ref().map(Vec::len) == new.ip_families.as_ref().map(Vec::len))
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
        let table = [
            (balanced(), balanced(), false),
            (balanced(), with("type", json!("ClusterIP")), true),
            (with("type", json!("ClusterIP")), balanced(), true),
            (with("type", json!("ClusterIP")), with("type", json!("NodePort")), false),
            (balanced(), with("ports", json!([{ "port": 81 }])), true),
            (balanced(), with("selector", json!({ "app": "b" })), false),
            (balanced(), with("loadBalancerClass", json!("example.com/mine")), true),
            (balanced(), with("externalTrafficPolicy", json!("Local")), true),
        ];
        for (before, after, expected) in table {
            assert_eq!(needs_update(&service(before.clone()), &service(after.clone())), expected, "{before} {after}");
        }
    }
}
