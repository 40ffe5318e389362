//! The cluster's DNS server: answers for names of Services, their endpoints and pods.
//!
//! Guarantees the records that the DNS specification of Kubernetes asks for, as old as the last event that reached the
//! server. Watches Services, EndpointSlices and Namespaces. Follows CoreDNS's `plugin/kubernetes` as kubeadm configures
//! it (`pods insecure`, nothing of the cluster's own is kept).
//!
//! Not simulated: the pods that CoreDNS runs in, IPv6. Names outside of the cluster are not its own: those few that are
//! known stand in `sim/network/internet.rs`.

use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Namespace, Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

use crate::api::core::service::is_headless;
use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::User;
use crate::client::{Client, Identity, InformerEvent, Informers, Process, Token, WatchSpec};
use crate::machinery::shell::{Record, RecordKind};

use super::CLUSTER_DOMAIN;

/// `LabelServiceName`: the Service of an EndpointSlice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How many aliases are followed.
const ALIASES_MAX: usize = 8;

/// The cluster's DNS server.
#[derive(Clone, Debug, Default)]
pub struct ClusterDns {
    informers: Informers,
}

/// What the server knows of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is such a name, with these records of the kind: NOERROR.
    Records(Vec<Record>),
    /// There is no such name: NXDOMAIN.
    Nothing,
}

fn record(name: &str, kind: RecordKind, data: impl Into<String>) -> Record {
    Record { name: name.to_owned(), kind, data: data.into() }
}

fn in_domain(name: &str) -> String {
    format!("{name}.{CLUSTER_DOMAIN}")
}

/// The name of an endpoint within its Service: its host name, or its address with dashes: `endpointHostname`.
fn endpoint_name(endpoint: &Endpoint, address: &str) -> String {
    endpoint.hostname.clone().unwrap_or_else(|| address.replace('.', "-"))
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
}

/// An endpoint of a Service with what it is called there and its ports.
struct Reached<'a> {
    name: String,
    address: &'a str,
    ports: &'a [EndpointPort],
}

impl ClusterDns {
    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// Who the server is to the API server.
    #[must_use]
    pub fn identity() -> Identity {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
        Identity {
            component: Name::from("coredns"),
            host: Name::from(""),
            user: User::component("system:serviceaccount:kube-system:coredns", &groups),
        }
    }

    /// What the server knows of a full name.
    #[must_use]
    pub fn find(&self, name: &str, kind: RecordKind) -> Found {
        let name = name.to_lowercase();
        if let Some(reverse) = name.strip_suffix(".in-addr.arpa") {
            return self.find_address(&name, reverse, kind);
        }
        let Some(inner) = name.strip_suffix(CLUSTER_DOMAIN) else { return Found::Nothing };
        let Some(inner) = inner.strip_suffix('.') else { return Found::Records(Vec::new()) };
        let labels: Vec<&str> = inner.split('.').collect();
        match labels.as_slice() {
            ["svc" | "pod"] => Found::Records(Vec::new()),
            [namespace, "svc" | "pod"] if self.has_namespace(namespace) => Found::Records(Vec::new()),
            [service, namespace, "svc"] => self.find_service(&name, &ObjectKey::new(*namespace, *service), None, kind),
            [endpoint, service, namespace, "svc"] => {
                self.find_endpoint(&name, &ObjectKey::new(*namespace, *service), endpoint, kind)
            }
            [port, protocol, service, namespace, "svc"] => match (port.strip_prefix('_'), protocol.strip_prefix('_')) {
                (Some(port), Some(protocol)) => {
                    let key = ObjectKey::new(*namespace, *service);
                    self.find_service(&name, &key, Some((port, protocol)), kind)
                }
                _ => Found::Nothing,
            },
            [address, namespace, "pod"] if self.has_namespace(namespace) => {
                match address.replace('-', ".").parse::<Ipv4Addr>() {
                    Ok(address) => of_kind(kind, vec![record(&name, RecordKind::A, address.to_string())]),
                    Err(_) => Found::Nothing,
                }
            }
            _ => Found::Nothing,
        }
    }

    fn has_namespace(&self, name: &str) -> bool {
        self.informers.get::<Namespace>(&ObjectKey::new("", name)).is_some()
    }

    fn find_service(&self, name: &str, key: &ObjectKey, of_port: Option<(&str, &str)>, kind: RecordKind) -> Found {
        let Some(service) = self.informers.get::<Service>(key) else { return Found::Nothing };
        let Some(spec) = &service.spec else { return Found::Nothing };
        if spec.type_.as_deref() == Some("ExternalName") {
            return self.alias(name, spec.external_name.as_deref().unwrap_or_default(), kind);
        }
        let is_asked = |port: &Option<String>, protocol: &Option<String>| {
            let protocol = protocol.as_deref().unwrap_or("TCP");
            of_port.is_none_or(|(wanted, by)| port.as_deref() == Some(wanted) && by.eq_ignore_ascii_case(protocol))
        };
        let ports: Vec<&ServicePort> =
            spec.ports.iter().flatten().filter(|port| is_asked(&port.name, &port.protocol)).collect();
        if of_port.is_some() && ports.is_empty() && !is_headless(spec) {
            return Found::Nothing;
        }
        let full = in_domain(&format!("{}.{}.svc", key.name, key.namespace));
        let mut records = Vec::new();
        if is_headless(spec) {
            for reached in self.endpoints(key) {
                records.push(record(name, RecordKind::A, reached.address));
                let asked = reached.ports.iter().filter(|port| is_asked(&port.name, &port.protocol));
                for number in asked.filter_map(|port| port.port) {
                    records.push(record(name, RecordKind::Srv, format!("0 100 {number} {}.{full}", reached.name)));
                }
            }
            if records.is_empty() {
                // A Service without endpoints is no name: nothing is found.
                return Found::Nothing;
            }
        } else {
            records.push(record(name, RecordKind::A, spec.cluster_ip.clone().unwrap_or_default()));
            records
                .extend(ports.iter().map(|port| record(name, RecordKind::Srv, format!("0 100 {} {full}", port.port))));
        }
        of_kind(kind, records)
    }

    fn find_endpoint(&self, name: &str, key: &ObjectKey, wanted: &str, kind: RecordKind) -> Found {
        if self.informers.get::<Service>(key).is_none() {
            return Found::Nothing;
        }
        let found = self.endpoints(key).into_iter().filter(|reached| reached.name == wanted);
        let records: Vec<Record> = found.map(|reached| record(name, RecordKind::A, reached.address)).collect();
        if records.is_empty() { Found::Nothing } else { of_kind(kind, records) }
    }

    /// The endpoints of a Service that are ready.
    fn endpoints<'a>(&'a self, key: &'a ObjectKey) -> Vec<Reached<'a>> {
        let is_of_service = |slice: &&EndpointSlice| {
            slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME)).map(String::as_str)
                == Some(&*key.name)
        };
        let slices = self.informers.list_in::<EndpointSlice>(&key.namespace).map(|slice| &**slice);
        let mut found: Vec<Reached<'a>> = Vec::new();
        for slice in slices.filter(is_of_service).filter(|slice| slice.address_type == "IPv4") {
            for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| is_ready(endpoint)) {
                let ports = slice.ports.as_deref().unwrap_or_default();
                for address in &endpoint.addresses {
                    if found.iter().all(|known| known.address != address) {
                        found.push(Reached { name: endpoint_name(endpoint, address), address, ports });
                    }
                }
            }
        }
        found
    }

    /// A name that stands for another, and what that is if the server knows it.
    fn alias(&self, name: &str, target: &str, kind: RecordKind) -> Found {
        let mut records = vec![record(name, RecordKind::Cname, target)];
        if kind == RecordKind::Cname {
            return Found::Records(records);
        }
        for _ in 0..ALIASES_MAX {
            let last = records.last().filter(|last| last.kind == RecordKind::Cname).map(|last| last.data.clone());
            let Some(target) = last else { break };
            match self.external_name(&target) {
                Some(next) => records.push(record(&target, RecordKind::Cname, next)),
                None => {
                    if let Found::Records(more) = self.find(&target, kind) {
                        records.extend(more);
                    }
                    break;
                }
            }
        }
        Found::Records(records)
    }

    /// What a name stands for, if it is one of a Service that only stands for another name.
    fn external_name(&self, name: &str) -> Option<String> {
        let inner = name.strip_suffix(CLUSTER_DOMAIN)?.strip_suffix(".svc.")?;
        let (service, namespace) = inner.split_once('.')?;
        let spec = self.informers.get::<Service>(&ObjectKey::new(namespace, service))?.spec.as_ref()?;
        spec.external_name.clone().filter(|_| spec.type_.as_deref() == Some("ExternalName"))
    }

    /// The name of an address: of a Service, or of an endpoint of one.
    fn find_address(&self, name: &str, reverse: &str, kind: RecordKind) -> Found {
        let mut octets: Vec<&str> = reverse.split('.').collect();
        octets.reverse();
        let address = octets.join(".");
        let has_address = |service: &&std::sync::Arc<Service>| {
            service.spec.as_ref().is_some_and(|spec| spec.cluster_ip.as_deref() == Some(&*address))
        };
        if let Some(service) = self.informers.list::<Service>().find(has_address) {
            let full = in_domain(&format!("{}.{}.svc", service.name(), service.namespace()));
            return of_kind(kind, vec![record(name, RecordKind::Ptr, full)]);
        }
        let services = self.informers.list::<Service>();
        let records: Vec<Record> = services
            .flat_map(|service| {
                let key = service.key();
                let reached = self.endpoints(&key).into_iter().filter(|reached| reached.address == address);
                let names = reached.map(|reached| format!("{}.{}.{}.svc", reached.name, key.name, key.namespace));
                names.collect::<Vec<String>>()
            })
            .map(|full| record(name, RecordKind::Ptr, in_domain(&full)))
            .collect();
        if records.is_empty() { Found::Nothing } else { of_kind(kind, records) }
    }
}

/// The records of one kind.
fn of_kind(kind: RecordKind, mut records: Vec<Record>) -> Found {
    records.retain(|record| record.kind == kind);
    Found::Records(records)
}

impl Process for ClusterDns {
    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::Service), WatchSpec::all(Kind::EndpointSlice), WatchSpec::all(Kind::Namespace)]
    }

    fn start(&mut self, _client: &mut Client<'_>) {
        self.informers = Informers::new();
    }

    fn deliver(&mut self, event: &InformerEvent, _client: &mut Client<'_>) {
        self.informers.apply(event);
    }

    fn wake(&mut self, _token: Token, _client: &mut Client<'_>) {}
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::Object;

    fn server(objects: &[Value]) -> ClusterDns {
        let mut dns = ClusterDns::default();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        for value in objects.iter().chain([&namespace]) {
            let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
            let kind = Kind::from_manifest(&text("apiVersion"), &text("kind")).expect("the kind is served");
            let object = Object::from_value(kind, value).expect("the object is written out");
            let event = InformerEvent { kind, key: object.key(), before: None, after: Some(object), revision: 1 };
            dns.informers.apply(&event);
        }
        dns
    }

    fn service(name: &str, spec: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    }

    fn ask(dns: &ClusterDns, name: &str, kind: RecordKind) -> String {
        match dns.find(name, kind) {
            Found::Nothing => "NXDOMAIN".to_owned(),
            Found::Records(records) => {
                let rows = records.iter().map(|record| format!("{} {}", record.kind.name(), record.data));
                rows.collect::<Vec<String>>().join(", ")
            }
        }
    }

    #[test]
    fn services_endpoints_and_pods_have_their_records() {
        let port = json!([{"name": "http", "port": 80, "protocol": "TCP"}]);
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "db-1", "namespace": "shop", "labels": {SERVICE_NAME: "db"}},
            "endpoints": [
                {"addresses": ["10.244.1.2"], "hostname": "db-0", "conditions": {"ready": true}},
                {"addresses": ["10.244.2.2"], "conditions": {"ready": true}},
                {"addresses": ["10.244.3.2"], "conditions": {"ready": false}},
            ],
            "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        });
        let dns = server(&[
            service("web", &json!({"type": "ClusterIP", "clusterIP": "10.96.0.7", "ports": port})),
            service(
                "db",
                &json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "ports": [{"name": "sql", "port": 5432}]}),
            ),
            service("empty", &json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "ports": port})),
            service("out", &json!({"type": "ExternalName", "externalName": "example.com"})),
            service("alias", &json!({"type": "ExternalName", "externalName": "web.shop.svc.cluster.local"})),
            slice,
        ]);
        use RecordKind::{A, Aaaa, Ptr, Srv};
        let table = [
            ("web.shop.svc.cluster.local", A, "A 10.96.0.7"),
            ("WEB.shop.svc.cluster.local", A, "A 10.96.0.7"),
            ("web.shop.svc.cluster.local", Aaaa, ""),
            ("web.shop", A, "NXDOMAIN"),
            ("nobody.shop.svc.cluster.local", A, "NXDOMAIN"),
            ("shop.svc.cluster.local", A, ""),
            ("other.svc.cluster.local", A, "NXDOMAIN"),
            ("_http._tcp.web.shop.svc.cluster.local", Srv, "SRV 0 100 80 web.shop.svc.cluster.local"),
            ("_https._tcp.web.shop.svc.cluster.local", Srv, "NXDOMAIN"),
            ("db.shop.svc.cluster.local", A, "A 10.244.1.2, A 10.244.2.2"),
            ("db-0.db.shop.svc.cluster.local", A, "A 10.244.1.2"),
            ("10-244-2-2.db.shop.svc.cluster.local", A, "A 10.244.2.2"),
            ("10-244-3-2.db.shop.svc.cluster.local", A, "NXDOMAIN"),
            (
                "_sql._tcp.db.shop.svc.cluster.local",
                Srv,
                "SRV 0 100 5432 db-0.db.shop.svc.cluster.local, SRV 0 100 5432 10-244-2-2.db.shop.svc.cluster.local",
            ),
            ("empty.shop.svc.cluster.local", A, "NXDOMAIN"),
            ("out.shop.svc.cluster.local", A, "CNAME example.com"),
            ("alias.shop.svc.cluster.local", A, "CNAME web.shop.svc.cluster.local, A 10.96.0.7"),
            ("10-244-9-9.shop.pod.cluster.local", A, "A 10.244.9.9"),
            ("10-244-9-9.other.pod.cluster.local", A, "NXDOMAIN"),
            ("7.0.96.10.in-addr.arpa", Ptr, "PTR web.shop.svc.cluster.local"),
            ("2.1.244.10.in-addr.arpa", Ptr, "PTR db-0.db.shop.svc.cluster.local"),
            ("1.1.1.1.in-addr.arpa", Ptr, "NXDOMAIN"),
            ("example.com", A, "NXDOMAIN"),
        ];
        for (name, kind, expected) in table {
            assert_eq!(ask(&dns, name, kind), expected, "{name}");
        }
    }
}
