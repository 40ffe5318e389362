//! What Services cost of a quota. Follows `pkg/quota/v1/evaluator/core/services.go`.

use k8s_openapi::api::core::v1::Service;

use super::whole;
use crate::api::check::{list, text};
use crate::api::core::pod::resources::Amounts;

pub(super) fn tracks(resource: &str) -> bool {
    matches!(resource, "count/services" | "services" | "services.nodeports" | "services.loadbalancers")
}

/// The type of a Service when it takes more than its place in the store (`GetQuotaServiceType`).
pub(super) fn takes_of_node(service: &Service) -> &str {
    let service_type = service.spec.as_ref().map_or("", |spec| text(&spec.type_));
    if matches!(service_type, "NodePort" | "LoadBalancer") { service_type } else { "" }
}

pub(super) fn usage(service: &Service) -> Amounts {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = list(&spec.ports);
    let (node_ports, load_balancers) = match takes_of_node(service) {
        "NodePort" => (ports.len(), 0),
        // Ports are not given out yet, so the intent counts.
        "LoadBalancer" if spec.allocate_load_balancer_node_ports == Some(false) => {
            (ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count(), 1)
        }
        "LoadBalancer" => (ports.len(), 1),
        _ => (0, 0),
    };
    [("services", 1), ("services.nodeports", node_ports), ("services.loadbalancers", load_balancers)]
        .into_iter()
        .map(|(name, number)| (name.to_owned(), whole(number)))
        .collect()
}
