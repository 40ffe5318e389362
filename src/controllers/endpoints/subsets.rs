//! What a Service makes of its pods: addresses with the same ports together.
//!
//! Follows `kubernetes/pkg/controller/endpoint` and `pkg/api/v1/endpoints/util.go` (`RepackSubsets`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, ObjectReference, Pod, Service};

use crate::api::Resource;
use crate::controllers::endpoint_slice::endpoint;
use crate::controllers::pod_control::{is_ready, node_name, phase};
use crate::machinery::ip::parse_ip;
use crate::machinery::order::Order as _;

/// How many addresses an Endpoints object holds: `maxCapacity`.
const CAPACITY_MAX: usize = 1000;

/// Ports in an order of their own, so that equal sets are equal.
type PortsKey = Vec<(i32, String, String)>;

/// An address by what orders it.
type AddressKey = (Option<IpAddr>, String);

#[derive(Default)]
struct Address {
    address: EndpointAddress,
    ready: bool,
    ports: Vec<EndpointPort>,
}

/// The subsets of a Service with these pods.
pub(super) fn of(service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSubset> {
    let spec = service.spec.as_ref();
    let publish = spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false);
    let has_ports = spec.is_some_and(|spec| spec.ports.as_ref().is_some_and(|ports| !ports.is_empty()));
    let is_headless = spec.and_then(|spec| spec.cluster_ip.as_deref()) == Some("None");
    let mut addresses: BTreeMap<AddressKey, Address> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| belongs(pod, publish)) {
        let Some(address) = address(service, pod) else { continue };
        let ports = ports(service, pod);
        if ports.is_empty() && (has_ports || !is_headless) {
            continue;
        }
        let ready = publish || is_ready(pod);
        addresses.insert((parse_ip(&address.ip), pod.uid().to_owned()), Address { address, ready, ports });
    }
    repack(addresses)
}

/// `ShouldPodBeInEndpoints`: pods that are going count only where those that are not ready do.
fn belongs(pod: &Pod, publish: bool) -> bool {
    endpoint::belongs(pod) && !matches!(phase(pod), "Succeeded" | "Failed") && (publish || !pod.is_deleting())
}

/// `podToEndpointAddressForService`.
fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let spec = service.spec.as_ref();
    let family = spec.and_then(|spec| spec.ip_families.as_ref()?.first().map(String::as_str)).unwrap_or("IPv4");
    let found = endpoint::endpoint(pod, None, service, family);
    Some(EndpointAddress {
        ip: found.addresses.into_iter().next()?,
        hostname: found.hostname,
        node_name: Some(node_name(pod).to_owned()).filter(|name| !name.is_empty()),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some(pod.namespace().to_owned()),
            name: Some(pod.name().to_owned()),
            uid: Some(pod.uid().to_owned()),
            ..ObjectReference::default()
        }),
    })
}

fn ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let of_slice = endpoint::ports(service, pod).into_iter();
    of_slice
        .map(|port| EndpointPort {
            name: port.name.filter(|name| !name.is_empty()),
            port: port.port.unwrap_or(0),
            protocol: port.protocol,
            app_protocol: port.app_protocol,
        })
        .collect()
}

/// `RepackSubsets`: one subset for each set of ports, addresses by their number.
fn repack(addresses: BTreeMap<AddressKey, Address>) -> Vec<EndpointSubset> {
    let mut subsets: BTreeMap<PortsKey, EndpointSubset> = BTreeMap::new();
    for Address { address, ready, mut ports } in addresses.into_values() {
        let key = |port: &EndpointPort| {
            (port.port, port.protocol.clone().unwrap_or_default(), port.name.clone().unwrap_or_default())
        };
        ports.order_by_key(key);
        let subset = subsets.entry(ports.iter().map(key).collect()).or_default();
        subset.ports = Some(ports).filter(|ports| !ports.is_empty());
        let list = if ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        list.get_or_insert_default().push(address);
    }
    subsets.into_values().collect()
}

/// `truncateEndpoints`: ready addresses go before others, and the subsets share what there is room for. Says whether
/// anything was cut.
pub(super) fn truncate(subsets: &mut Vec<EndpointSubset>) -> bool {
    let count = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
    let ready: usize = subsets.iter().map(|subset| count(&subset.addresses)).sum();
    let not_ready: usize = subsets.iter().map(|subset| count(&subset.not_ready_addresses)).sum();
    if ready + not_ready <= CAPACITY_MAX {
        return false;
    }
    let cut = |list: &mut Option<Vec<EndpointAddress>>, total: usize, room: usize| {
        if let Some(list) = list.as_mut().filter(|_| total > room) {
            list.truncate(list.len() * room / total);
        }
    };
    for subset in subsets.iter_mut() {
        cut(&mut subset.addresses, ready, CAPACITY_MAX);
        cut(&mut subset.not_ready_addresses, not_ready, CAPACITY_MAX.saturating_sub(ready));
        for list in [&mut subset.addresses, &mut subset.not_ready_addresses] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                *list = None;
            }
        }
    }
    subsets.retain(|subset| subset.addresses.is_some() || subset.not_ready_addresses.is_some());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, ready: bool, port: i32) -> (AddressKey, Address) {
        let ports = vec![EndpointPort { port, ..EndpointPort::default() }];
        let address = EndpointAddress { ip: ip.to_owned(), ..EndpointAddress::default() };
        ((parse_ip(ip), ip.to_owned()), Address { address, ready, ports })
    }

    #[test]
    fn addresses_with_the_same_ports_stand_together() {
        let addresses = [
            address("10.0.0.10", true, 80),
            address("10.0.0.9", true, 80),
            address("10.0.0.8", false, 80),
            address("10.0.0.1", true, 81),
        ];
        let subsets = repack(addresses.into_iter().collect());
        let ips = |list: &Option<Vec<EndpointAddress>>| {
            list.iter().flatten().map(|address| address.ip.clone()).collect::<Vec<_>>()
        };
        assert_eq!(subsets.len(), 2);
        assert_eq!(ips(&subsets[0].addresses), ["10.0.0.9", "10.0.0.10"]);
        assert_eq!(ips(&subsets[0].not_ready_addresses), ["10.0.0.8"]);
        assert_eq!(ips(&subsets[1].addresses), ["10.0.0.1"]);
    }

    #[test]
    fn no_more_than_a_thousand_addresses_are_listed() {
        let many = |count: u32, ready: bool| {
            (0..count).map(move |at| address(&std::net::Ipv4Addr::from(0x0a00_0000 + at).to_string(), ready, 80))
        };
        let mut subsets = repack(many(900, true).collect());
        assert!(!truncate(&mut subsets));
        let mut subsets = repack(many(1500, true).collect());
        assert!(truncate(&mut subsets));
        assert_eq!(subsets[0].addresses.as_ref().map(Vec::len), Some(CAPACITY_MAX));
    }
}
