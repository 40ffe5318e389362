//! Endpoints. Follows `ValidateEndpointsCreate` and `printEndpoints`.

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints};
use serde_json::Value;

use super::pod::defaults::text_or;
use crate::api::check::{self, list, text};
use crate::api::form::semantic_equal;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::time::Time;
use crate::machinery::{ip, names};

/// So many endpoints are shown in a cell.
const SHOWN_MAX: usize = 3;

/// `SetDefaults_Endpoints`.
pub(crate) fn default(endpoints: &mut Endpoints) {
    for port in endpoints.subsets.iter_mut().flatten().filter_map(|subset| subset.ports.as_mut()).flatten() {
        text_or(&mut port.protocol, "TCP");
    }
}

/// `ValidateEndpointsCreate`.
pub(crate) fn validate(endpoints: &Endpoints) -> ErrorList {
    let mut errors = meta::validate(&endpoints.metadata, true, names::is_dns1123_subdomain);
    meta::validate_annotations(&mut errors, &Path::new("annotations"), &endpoints.metadata);
    validate_subsets(&mut errors, list(&endpoints.subsets));
    errors
}

/// `ValidateEndpointsUpdate`: subsets that stay as they were are not judged again.
pub(crate) fn validate_update(new: &Endpoints, old: &Endpoints) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if !semantic_equal(&new.subsets, &old.subsets) {
        validate_subsets(&mut errors, list(&new.subsets));
    }
    meta::validate_annotations(&mut errors, &Path::new("annotations"), &new.metadata);
    errors
}

/// What addresses that are written in an odd way are answered with, unless the cluster's own controller wrote them.
#[inline(never)]
pub(crate) fn warnings(endpoints: &Endpoints) -> Vec<String> {
    let manager =
        endpoints.metadata.labels.as_ref().and_then(|labels| labels.get("endpoints.kubernetes.io/managed-by"));
    let mut warnings = Vec::new();
    if manager.is_some_and(|manager| manager == "endpoint-controller") {
        return warnings;
    }
    for (index, subset) in list(&endpoints.subsets).iter().enumerate() {
        let path = Path::new("subsets").index(index);
        let (ready, not_ready) = (list(&subset.addresses), list(&subset.not_ready_addresses));
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            for (index, address) in addresses.iter().enumerate() {
                warnings.extend(ip::warnings_for_ip(&path.child(field).index(index).child("ip"), &address.ip));
            }
        }
    }
    warnings
}

fn validate_subsets(errors: &mut ErrorList, subsets: &[EndpointSubset]) {
    for (index, subset) in subsets.iter().enumerate() {
        let path = Path::new("subsets").index(index);
        let (ready, not_ready) = (list(&subset.addresses), list(&subset.not_ready_addresses));
        if ready.is_empty() && not_ready.is_empty() {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            for (index, address) in addresses.iter().enumerate() {
                validate_address(errors, &path.child(field).index(index), address);
            }
        }
        let ports = list(&subset.ports);
        for (index, port) in ports.iter().enumerate() {
            validate_port(errors, &path.child("ports").index(index), port, ports.len() > 1);
        }
    }
}

/// `validateEndpointAddress`.
fn validate_address(errors: &mut ErrorList, path: &Path, address: &EndpointAddress) {
    check::ip(errors, &path.child("ip"), &address.ip);
    let host = text(&address.hostname);
    if !host.is_empty() {
        check::dns_label(errors, &path.child("hostname"), host);
    }
    if let Some(node) = &address.node_name {
        check::dns_subdomain(errors, &path.child("nodeName"), node);
    }
    check::non_special_ip(errors, &path.child("ip"), &address.ip);
}

/// `validateEndpointPort`.
fn validate_port(errors: &mut ErrorList, path: &Path, port: &EndpointPort, needs_name: bool) {
    let name = text(&port.name);
    if !name.is_empty() {
        check::dns_label(errors, &path.child("name"), name);
    } else if needs_name {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    check::port_number(errors, &path.child("port"), port.port);
    let protocol = text(&port.protocol);
    check::required_supported(errors, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
    if let Some(protocol) = &port.app_protocol {
        check::qualified_name(errors, &path.child("appProtocol"), protocol);
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "Endpoints",
        "The set of all endpoints is the union of all subsets. Addresses are placed into subsets according to the IPs \
         they share. A single address with multiple ports, some of which are ready and some of which are not (because \
         they come from different containers) will result in the address being displayed in different subsets for the \
         different ports. No address will appear in both Addresses and NotReadyAddresses in the same subset. Sets of \
         addresses and ports that comprise a service.",
    ),
    AGE,
];

pub(crate) fn row(endpoints: &Endpoints, now: Time) -> Vec<Value> {
    vec![name_of(&endpoints.metadata), shown(list(&endpoints.subsets)).into(), age_of(&endpoints.metadata, now)]
}

/// `formatEndpoints`.
fn shown(subsets: &[EndpointSubset]) -> String {
    if subsets.is_empty() {
        return "<none>".to_owned();
    }
    let mut all = Vec::new();
    for subset in subsets {
        let addresses = list(&subset.addresses);
        if list(&subset.ports).is_empty() {
            all.extend(addresses.iter().map(|address| address.ip.clone()));
        }
        for port in list(&subset.ports) {
            all.extend(addresses.iter().map(|address| join_host_port(&address.ip, port.port)));
        }
    }
    let shown = all[..all.len().min(SHOWN_MAX)].join(",");
    if all.len() > SHOWN_MAX { format!("{shown} + {} more...", all.len() - SHOWN_MAX) } else { shown }
}

/// Go's `net.JoinHostPort`.
fn join_host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
