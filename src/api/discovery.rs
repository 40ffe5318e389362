//! EndpointSlices. Follows `pkg/apis/discovery` and `printEndpointSlice`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointHints, EndpointPort, EndpointSlice};
use serde_json::Value;

use super::check::{self, IMMUTABLE, has_text, list, text};
use super::core::pod::defaults::text_or;
use super::form::semantic_equal;
use super::meta;
use super::table::{AGE, ColumnDefinition, NAME, age_of, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// Endpoints of one slice at most.
pub const ENDPOINTS_MAX: usize = 1000;
/// Ports of one slice at most.
const PORTS_MAX: usize = 20_000;
/// Addresses of one endpoint at most.
const ADDRESSES_MAX: usize = 100;
/// Labels of one endpoint's topology at most.
const TOPOLOGY_MAX: usize = 16;
/// Zones or nodes that an endpoint is hinted for at most.
const HINTS_MAX: usize = 8;

/// `SetDefaults_EndpointPort`.
pub(super) fn default(slice: &mut EndpointSlice) {
    for port in slice.ports.iter_mut().flatten() {
        port.name.get_or_insert_default();
        text_or(&mut port.protocol, "TCP");
    }
}

pub(super) fn prepare_for_create(slice: &mut EndpointSlice) {
    slice.metadata.generation = Some(1);
}

/// The generation counts changes of everything but the metadata, and of labels.
pub(super) fn prepare_for_update(new: &mut EndpointSlice, old: &EndpointSlice) {
    let same = new.address_type == old.address_type
        && semantic_equal(&new.endpoints, &old.endpoints)
        && semantic_equal(&new.ports, &old.ports)
        && semantic_equal(&new.metadata.labels, &old.metadata.labels);
    if !same {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateEndpointSlice`.
pub(super) fn validate(slice: &EndpointSlice) -> ErrorList {
    let mut errors = meta::validate(&slice.metadata, true, names::is_dns1123_subdomain);
    let path = Path::new("addressType");
    check::required_supported(&mut errors, &path, &slice.address_type, &["FQDN", "IPv4", "IPv6"]);
    let (endpoints, path) = (list(&slice.endpoints), Path::new("endpoints"));
    if endpoints.len() > ENDPOINTS_MAX {
        errors.push(FieldError::too_many(&path, endpoints.len(), ENDPOINTS_MAX));
    } else {
        for (index, endpoint) in endpoints.iter().enumerate() {
            validate_endpoint(&mut errors, &path.index(index), endpoint, &slice.address_type);
        }
    }
    validate_ports(&mut errors, &Path::new("ports"), list(&slice.ports));
    errors
}

/// `ValidateEndpointSliceUpdate`.
pub(super) fn validate_update(new: &EndpointSlice, old: &EndpointSlice) -> ErrorList {
    let mut errors = validate(new);
    if new.address_type != old.address_type {
        errors.push(FieldError::invalid(&Path::new("addressType"), new.address_type.as_str(), IMMUTABLE));
    }
    errors
}

fn validate_endpoint(errors: &mut ErrorList, path: &Path, endpoint: &Endpoint, address_type: &str) {
    let at = path.child("addresses");
    if endpoint.addresses.is_empty() {
        errors.push(FieldError::required(&at, "must contain at least 1 address"));
    } else if endpoint.addresses.len() > ADDRESSES_MAX {
        errors.push(FieldError::too_many(&at, endpoint.addresses.len(), ADDRESSES_MAX));
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        validate_address(errors, &at, index, address, address_type);
    }
    if has_text(&endpoint.node_name) {
        check::dns_subdomain(errors, &path.child("nodeName"), text(&endpoint.node_name));
    }
    let at = path.child("deprecatedTopology");
    let topology = endpoint.deprecated_topology.as_ref();
    if let Some(size) = topology.map(|topology| topology.len()).filter(|size| *size > TOPOLOGY_MAX) {
        errors.push(FieldError::too_many(&at, size, TOPOLOGY_MAX));
    }
    check::labels(errors, &at, topology);
    if has_text(&endpoint.hostname) {
        check::dns_label(errors, &path.child("hostname"), text(&endpoint.hostname));
    }
    if let Some(hints) = &endpoint.hints {
        validate_hints(errors, &path.child("hints"), hints);
    }
}

fn validate_address(errors: &mut ErrorList, path: &Path, index: usize, address: &str, address_type: &str) {
    let at = path.index(index);
    match address_type {
        "IPv4" | "IPv6" => {
            if !check::ip(errors, &at, address) {
                return;
            }
            let is_v6 = check::parse_ip(address).is_some_and(|ip: IpAddr| ip.is_ipv6());
            if is_v6 != (address_type == "IPv6") {
                // Upstream leaves the address's place out here.
                errors.push(FieldError::invalid(path, address, format!("must be an {address_type} address")));
            }
            check::non_special_ip(errors, &at, address);
        }
        "FQDN" => {
            if address.is_empty() {
                errors.push(FieldError::required(&at, ""));
            } else {
                for (part, message) in names::is_fully_qualified_domain_name(address) {
                    errors.push(FieldError::invalid(&at, part, message));
                }
            }
        }
        _ => {}
    }
}

fn validate_hints(errors: &mut ErrorList, path: &Path, hints: &EndpointHints) {
    let zones = list(&hints.for_zones).iter().map(|zone| zone.name.as_str()).collect::<Vec<_>>();
    let nodes = list(&hints.for_nodes).iter().map(|node| node.name.as_str()).collect::<Vec<_>>();
    for (field, hinted) in [("forZones", zones), ("forNodes", nodes)] {
        let at = path.child(field);
        if hinted.len() > HINTS_MAX {
            errors.push(FieldError::too_many(&at, hinted.len(), HINTS_MAX));
            continue;
        }
        let mut seen = BTreeSet::new();
        for (index, name) in hinted.into_iter().enumerate() {
            let at = at.index(index).child("name");
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&at, name));
            }
            if field == "forZones" {
                check::qualified_name(errors, &at, name);
            } else {
                check::dns_subdomain(errors, &at, name);
            }
        }
    }
}

fn validate_ports(errors: &mut ErrorList, path: &Path, ports: &[EndpointPort]) {
    if ports.len() > PORTS_MAX {
        errors.push(FieldError::too_many(path, ports.len(), PORTS_MAX));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = text(&port.name);
        if !name.is_empty() {
            check::dns_label(errors, &path.child("name"), name);
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        let protocols = ["SCTP", "TCP", "UDP"];
        check::required_supported(errors, &path.child("protocol"), text(&port.protocol), &protocols);
        if let Some(protocol) = &port.app_protocol {
            check::qualified_name(errors, &path.child("appProtocol"), protocol);
        }
    }
}

/// `warnOnDeprecatedAddressType` and `warnOnBadIPs`.
pub(super) fn warnings(slice: &EndpointSlice) -> Vec<String> {
    if slice.address_type == "FQDN" {
        return vec!["addressType: FQDN endpoints are deprecated".to_owned()];
    }
    let mut warnings = Vec::new();
    for (index, endpoint) in list(&slice.endpoints).iter().enumerate().filter(|_| slice.address_type == "IPv6") {
        let path = Path::new("endpoints").index(index).child("addresses");
        check::ip_warnings(&mut warnings, &path, &endpoint.addresses);
    }
    warnings
}

pub(super) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text(
        "AddressType",
        "addressType specifies the type of address carried by this EndpointSlice. All addresses in this slice must be \
         the same type. This field is immutable after creation. The following address types are currently supported: \
         * IPv4: Represents an IPv4 Address. * IPv6: Represents an IPv6 Address. * FQDN: Represents a Fully Qualified \
         Domain Name.",
    ),
    ColumnDefinition::text(
        "Ports",
        "ports specifies the list of network ports exposed by each endpoint in this slice. Each port must have a unique \
         name. Each slice may include a maximum of 100 ports. Services always have at least 1 port, so EndpointSlices \
         generated by the EndpointSlice controller will likewise always have at least 1 port.",
    ),
    ColumnDefinition::text(
        "Endpoints",
        "endpoints is a list of unique endpoints in this slice. Each slice may include a maximum of 1000 endpoints.",
    ),
    AGE,
];

pub(super) fn row(slice: &EndpointSlice, now: Time) -> Vec<Value> {
    let ports = list(&slice.ports).iter().map(|port| match (port.port, &port.name) {
        (Some(number), _) => number.to_string(),
        (None, Some(name)) => name.clone(),
        (None, None) => "*".to_owned(),
    });
    let addresses = list(&slice.endpoints).iter().flat_map(|endpoint| endpoint.addresses.iter().cloned());
    vec![
        name_of(&slice.metadata),
        slice.address_type.as_str().into(),
        first_three(ports).into(),
        first_three(addresses).into(),
        age_of(&slice.metadata, now),
    ]
}

/// The first three items and how many more there are (`listWithMoreString`).
fn first_three(items: impl Iterator<Item = String>) -> String {
    const MOST: usize = 3;
    let items: Vec<String> = items.collect();
    match items.len() {
        0 => "<unset>".to_owned(),
        count if count > MOST => format!("{} + {} more...", items[..MOST].join(","), count - MOST),
        _ => items.join(","),
    }
}
