//! A Service as the graph shows it: its address and the pods behind it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde::{Deserialize, Serialize};

use crate::api::{Kind, Resource as _};
use crate::etcd::Etcd;
use crate::machinery::labels::Selector;
use crate::machinery::order::Order as _;

/// Which Service an EndpointSlice belongs to.
const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// A Service as the graph shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    pub type_: String,
    /// Its address; `None` for a headless Service.
    pub cluster_ip: String,
    /// Its ports as kubectl prints them: `80/TCP`.
    pub ports: String,
    /// Whether it chooses pods by labels.
    pub selects: bool,
    /// The uids of the pods that get its traffic.
    pub ready: Vec<String>,
    /// The uids of the pods that it would choose but that are not ready.
    pub not_ready: Vec<String>,
}

/// All Services that pass the filter, by uid. The API server's own Service is left out: nobody made it.
#[must_use]
pub fn views(etcd: &Etcd, namespace: Option<&str>, selector: &Selector) -> BTreeMap<String, ServiceView> {
    let mut views = BTreeMap::new();
    for (_, object) in etcd.range(Kind::Service, namespace) {
        let Some(service) = object.downcast::<Service>() else { continue };
        if (service.namespace(), service.name()) == ("default", "kubernetes") {
            continue;
        }
        let chosen = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        if selector.matches(&service.metadata.labels) || chosen.is_some_and(|labels| selector.matches(labels)) {
            views.insert(service.uid().to_owned(), view(service, etcd));
        }
    }
    views
}

fn view(service: &Service, etcd: &Etcd) -> ServiceView {
    let spec = service.spec.clone().unwrap_or_default();
    let (ready, not_ready) = endpoints(service, etcd);
    let ports = spec.ports.iter().flatten().map(|port| {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        match port.node_port {
            Some(node_port) if node_port != 0 => format!("{}:{node_port}/{protocol}", port.port),
            _ => format!("{}/{protocol}", port.port),
        }
    });
    ServiceView {
        namespace: service.namespace().to_owned(),
        name: service.name().to_owned(),
        type_: spec.type_.unwrap_or_else(|| "ClusterIP".to_owned()),
        cluster_ip: spec.cluster_ip.unwrap_or_default(),
        ports: ports.collect::<Vec<_>>().join(","),
        selects: spec.selector.is_some_and(|selector| !selector.is_empty()),
        ready,
        not_ready,
    }
}

/// The pods in the EndpointSlices of a Service: those that get traffic, and those that do not.
fn endpoints(service: &Service, etcd: &Etcd) -> (Vec<String>, Vec<String>) {
    let mut ready = Vec::new();
    let mut not_ready = Vec::new();
    for (_, object) in etcd.range(Kind::EndpointSlice, Some(service.namespace())) {
        let Some(slice) = object.downcast::<EndpointSlice>() else { continue };
        let owner = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME_LABEL));
        if owner.map(String::as_str) != Some(service.name()) {
            continue;
        }
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(pod) = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()) else { continue };
            let gets_traffic = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            if gets_traffic { ready.push(pod) } else { not_ready.push(pod) }
        }
    }
    ready.order();
    not_ready.order();
    (ready, not_ready)
}
