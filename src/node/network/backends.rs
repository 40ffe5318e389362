//! The endpoints behind a Service's port, as those who bring requests from outside look for them.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::api::ObjectKey;
use crate::client::Informers;

/// `LabelServiceName`: the Service of an EndpointSlice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The ready endpoints behind the port of a Service that is meant; `None` when there is no such Service or port.
pub(super) fn ready_endpoints(
    informers: &Informers,
    namespace: &str,
    service: &str,
    is_meant: impl Fn(&ServicePort) -> bool,
) -> Option<Vec<(Ipv4Addr, u16)>> {
    let found = informers.get::<Service>(&ObjectKey::new(namespace, service))?;
    let ports = found.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let name = ports.into_iter().find(|port| is_meant(port))?.name.as_deref().unwrap_or("");
    let is_of_service = |slice: &&EndpointSlice| {
        let labels = slice.metadata.labels.as_ref();
        labels.and_then(|labels| labels.get(SERVICE_NAME)).is_some_and(|named| *named == service)
    };
    let mut endpoints = Vec::new();
    for slice in informers.list_in::<EndpointSlice>(namespace).map(|slice| &**slice).filter(is_of_service) {
        let mut ports = slice.ports.iter().flatten();
        let port = ports.find(|port| port.name.as_deref().unwrap_or("") == name).and_then(|port| port.port);
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let is_ready = endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false));
            let addresses = endpoint.addresses.iter().filter(|_| is_ready);
            endpoints.extend(addresses.filter_map(|address| Some((address.parse().ok()?, port))));
        }
    }
    Some(endpoints)
}
