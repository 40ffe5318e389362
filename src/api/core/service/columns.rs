//! A Service in a table. Follows `printService`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use serde_json::Value;

use crate::api::check::{list, text};
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of, or_none};
use crate::machinery::labels::format_labels;
use crate::machinery::time::Time;

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Type",
        "type determines how the Service is exposed. Defaults to ClusterIP. Valid options are ExternalName, ClusterIP, \
         NodePort, and LoadBalancer.",
    ),
    ColumnDefinition::text(
        "Cluster-IP",
        "clusterIP is the IP address of the service and is usually assigned randomly. If an address is specified \
         manually, is in-range (as per system configuration), and is not in use, it will be allocated to the service; \
         otherwise creation of the service will fail.",
    ),
    ColumnDefinition::text(
        "External-IP",
        "externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this \
         service.  These IPs are not managed by Kubernetes.  The user is responsible for ensuring that traffic arrives \
         at a node with this IP.  A common example is external load-balancers that are not part of the Kubernetes \
         system.",
    ),
    ColumnDefinition::text(
        "Port(s)",
        "The list of ports that are exposed by this service. More info: \
         https://kubernetes.io/docs/concepts/services-networking/service/#virtual-ips-and-service-proxies",
    ),
    AGE,
    ColumnDefinition::text(
        "Selector",
        "Route service traffic to pods with label keys and values matching this selector. If empty or not present, the \
         service is assumed to have an external process managing its endpoints, which Kubernetes will not modify. Only \
         applies to types ClusterIP, NodePort, and LoadBalancer. Ignored if type is ExternalName. More info: \
         https://kubernetes.io/docs/concepts/services-networking/service/",
    )
    .wide(),
];

pub(crate) fn row(service: &Service, now: Time) -> Vec<Value> {
    let spec = service.spec.clone().unwrap_or_default();
    let cluster_ip = list(&spec.cluster_ips).first().map_or("", String::as_str);
    vec![
        name_of(&service.metadata),
        text(&spec.type_).into(),
        or_none(cluster_ip),
        external_ip(service).into(),
        or_none(&ports(list(&spec.ports))),
        age_of(&service.metadata, now),
        format_labels(spec.selector.as_ref()).into(),
    ]
}

/// `getServiceExternalIP`, in its wide form.
fn external_ip(service: &Service) -> String {
    let spec = service.spec.clone().unwrap_or_default();
    let external = list(&spec.external_ips);
    match text(&spec.type_) {
        "ClusterIP" | "NodePort" if external.is_empty() => "<none>".to_owned(),
        "ClusterIP" | "NodePort" => external.join(","),
        "LoadBalancer" => {
            let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingresses = balancer.map_or(&[][..], |balancer| list(&balancer.ingress));
            let addresses: BTreeSet<&str> = ingresses
                .iter()
                .map(|ingress| if text(&ingress.ip).is_empty() { text(&ingress.hostname) } else { text(&ingress.ip) })
                .filter(|address| !address.is_empty())
                .collect();
            let all: Vec<&str> = addresses.into_iter().chain(external.iter().map(String::as_str)).collect();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => text(&spec.external_name).to_owned(),
        _ => "<unknown>".to_owned(),
    }
}

fn ports(ports: &[ServicePort]) -> String {
    let pieces: Vec<String> = ports
        .iter()
        .map(|port| match port.node_port.unwrap_or(0) {
            0 => format!("{}/{}", port.port, text(&port.protocol)),
            node_port => format!("{}:{node_port}/{}", port.port, text(&port.protocol)),
        })
        .collect();
    pieces.join(",")
}
