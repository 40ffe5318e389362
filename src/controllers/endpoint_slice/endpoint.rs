//! What a Service makes of one pod: an endpoint and its ports.
//!
//! Follows `k8s.io/endpointslice/utils.go`, `util/controller_utils.go` and `util/endpointset.go`.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Node, ObjectReference, Pod, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::Resource;
use crate::controllers::pod_control::{is_ready, node_name, phase};
use crate::machinery::ip::parse_ip;
use crate::machinery::order::Order as _;

const LABEL_ZONE: &str = "topology.kubernetes.io/zone";

/// What makes two endpoints the same one, whatever their state: `hashEndpoint`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controllers) struct EndpointKey {
    namespace: String,
    name: String,
    addresses: Vec<String>,
    hostname: String,
}

pub(in crate::controllers) fn key(endpoint: &Endpoint) -> EndpointKey {
    let mut addresses = endpoint.addresses.clone();
    addresses.order();
    let target = |field: fn(&ObjectReference) -> &Option<String>| {
        endpoint.target_ref.as_ref().and_then(|target| field(target).clone()).unwrap_or_default()
    };
    EndpointKey {
        namespace: target(|target| &target.namespace),
        name: target(|target| &target.name),
        addresses,
        hostname: endpoint.hostname.clone().unwrap_or_default(),
    }
}

/// Whether two endpoints of one key say the same: `EndpointsEqualBeyondHash`.
pub(in crate::controllers) fn same_state(a: &Endpoint, b: &Endpoint) -> bool {
    let target = |endpoint: &Endpoint| {
        endpoint.target_ref.clone().map(|target| ObjectReference { resource_version: None, ..target })
    };
    a.node_name == b.node_name && a.zone == b.zone && a.conditions == b.conditions && target(a) == target(b)
}

/// Whether a pod has a place among endpoints at all: it has an address and has not ended.
pub(in crate::controllers) fn belongs(pod: &Pod) -> bool {
    !matches!(phase(pod), "Succeeded" | "Failed") && addresses(pod).next().is_some()
}

fn addresses(pod: &Pod) -> impl Iterator<Item = &str> {
    let status = pod.status.as_ref();
    let several = status.and_then(|status| status.pod_ips.as_deref()).unwrap_or(&[]);
    let single = status.and_then(|status| status.pod_ip.as_deref()).filter(|_| several.is_empty());
    several.iter().map(|address| address.ip.as_str()).chain(single).filter(|address| !address.is_empty())
}

/// The endpoint that a pod is for a Service: `podToEndpoint`. It has no addresses when the pod has none of that type.
pub(in crate::controllers) fn endpoint(
    pod: &Pod,
    node: Option<&Node>,
    service: &Service,
    address_type: &str,
) -> Endpoint {
    let spec = service.spec.as_ref();
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let (serving, terminating) = (is_ready(pod), pod.is_deleting());
    let zone = node.and_then(|node| node.metadata.labels.as_ref()?.get(LABEL_ZONE));
    let pod_spec = pod.spec.as_ref();
    let subdomain = pod_spec.and_then(|spec| spec.subdomain.as_deref());
    let hostname = pod_spec.and_then(|spec| spec.hostname.clone()).filter(|hostname| !hostname.is_empty());
    Endpoint {
        addresses: addresses(pod)
            .filter_map(parse_ip)
            .filter(|address| matches!((address, address_type), (IpAddr::V4(_), "IPv4") | (IpAddr::V6(_), "IPv6")))
            .map(|address| address.to_string())
            .collect(),
        conditions: Some(EndpointConditions {
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: hostname.filter(|_| subdomain == Some(service.name()) && pod.namespace() == service.namespace()),
        node_name: Some(node_name(pod).to_owned()).filter(|name| !name.is_empty()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some(pod.namespace().to_owned()),
            name: Some(pod.name().to_owned()),
            uid: Some(pod.uid().to_owned()),
            ..ObjectReference::default()
        }),
        zone: zone.filter(|zone| !zone.is_empty()).cloned(),
        ..Endpoint::default()
    }
}

/// The ports of a Service as they are on a pod, without those that the pod does not name: `getEndpointPorts`.
pub(in crate::controllers) fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(find_port(pod, port)?),
                protocol: Some(protocol(port.protocol.as_deref()).to_owned()),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.filter(|protocol| !protocol.is_empty()).unwrap_or("TCP")
}

/// The number of a Service's port on a pod; `None` when it is a name that the pod does not know: `FindPort`.
fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    match &port.target_port {
        None => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) => {
            let spec = pod.spec.as_ref()?;
            let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
            let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
            spec.containers
                .iter()
                .chain(sidecars)
                .flat_map(|container| container.ports.iter().flatten())
                .find(|known| {
                    known.name.as_ref() == Some(name)
                        && protocol(known.protocol.as_deref()) == protocol(port.protocol.as_deref())
                })
                .map(|known| known.container_port)
        }
    }
}

/// Whether an update of a pod may change endpoints, and whether it may change which Services it belongs to:
/// `podEndpointsChanged`.
pub(in crate::controllers) fn pod_changed(before: &Pod, after: &Pod) -> (bool, bool) {
    let host = |pod: &Pod| pod.spec.as_ref().map(|spec| (spec.hostname.clone(), spec.subdomain.clone()));
    let moved = before.metadata.labels != after.metadata.labels || host(before) != host(after);
    // Upstream compares pointers, so that every change of a pod that is being deleted counts.
    let changed = before.is_deleting()
        || after.is_deleting()
        || is_ready(before) != is_ready(after)
        || matches!(phase(before), "Succeeded" | "Failed") != matches!(phase(after), "Succeeded" | "Failed")
        || addresses(before).ne(addresses(after));
    (changed, moved)
}
