//! Which addresses a node serves for Services, and where it sends what comes for them.
//!
//! Follows `kubernetes/pkg/proxy/serviceport.go`, `topology.go` (`CategorizeEndpoints`) and what
//! `iptables/proxier.go` makes of them.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

use crate::api::ObjectKey;
use crate::api::core::service::{is_headless, needs_cluster_ip};
use crate::machinery::ip::Cidr;
use crate::machinery::persistent::OrdMap;

/// Where something is sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The address; none for a port of the node itself.
    pub ip: Option<String>,
    /// The port.
    pub port: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

impl Destination {
    /// A TCP port of an address, or of the node itself.
    #[must_use]
    pub fn tcp(ip: Option<Ipv4Addr>, port: u16) -> Self {
        Self { ip: ip.map(|ip| ip.to_string()), port: i32::from(port), protocol: "TCP".to_owned() }
    }
}

/// What happens to what is sent there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to one of these addresses with ports, each as likely as the others.
    Endpoints(Vec<String>),
    /// It is refused, since the Service has no endpoint.
    Reject,
    /// It is dropped, since the Service has endpoints, but none on this node.
    Drop,
}

/// What a node does for one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The Service.
    pub service: ObjectKey,
    /// The name of its port; empty when it has none.
    pub port_name: String,
    /// What happens.
    pub verdict: Verdict,
    /// What happens instead to what comes from the node's own pods, where the two differ.
    pub from_own_pods: Option<Verdict>,
    /// Whether endpoints see the client's own address: otherwise the node stands for it, so that answers come back
    /// through it.
    pub keeps_source: bool,
    /// The blocks of addresses that may come to it; all may when there are none.
    pub source_ranges: Vec<String>,
    /// For how many seconds a client stays with the endpoint that it got, if it does.
    pub affinity_seconds: Option<i32>,
}

/// A node's rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: OrdMap<Destination, Rule>,
}

/// The endpoints of a Service's port that can be used from a node: all of them, and those that are on it.
#[derive(Debug, Default)]
struct Reachable {
    cluster: Vec<String>,
    local: Vec<String>,
}

/// The port of a slice that serves a Service's port, which goes by the name.
fn port_of<'a>(slice: &'a EndpointSlice, port: &ServicePort) -> Option<&'a EndpointPort> {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    slice.ports.iter().flatten().find(|known| name(&known.name) == name(&port.name))
}

pub(super) fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
}

/// Whether an endpoint that is about to end still answers.
fn is_serving_last(endpoint: &Endpoint) -> bool {
    let conditions = endpoint.conditions.as_ref();
    conditions.is_some_and(|conditions| conditions.terminating == Some(true) && conditions.serving != Some(false))
}

/// For whom endpoints are kept, where their hints say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hinted {
    /// For clients on their nodes.
    Nodes,
    /// For clients in their zones.
    Zones,
}

/// The node that rules are made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Its name.
    pub node: &'a str,
    /// Its zone, once it is known.
    pub zone: Option<&'a str>,
}

impl Place<'_> {
    /// Whether an endpoint is kept for this node, or for its zone; nothing when it is kept for nobody.
    fn is_meant(&self, endpoint: &Endpoint, hinted: Hinted) -> Option<bool> {
        let hints = endpoint.hints.as_ref()?;
        match hinted {
            Hinted::Nodes => {
                let nodes = hints.for_nodes.as_ref().filter(|nodes| !nodes.is_empty())?;
                Some(nodes.iter().any(|node| node.name == self.node))
            }
            Hinted::Zones => {
                let zones = hints.for_zones.as_ref().filter(|zones| !zones.is_empty())?;
                Some(zones.iter().any(|zone| Some(zone.name.as_str()) == self.zone))
            }
        }
    }

    /// Which hints are followed: those that all ready endpoints have, if one is meant for this place:
    /// `topologyModeFromHints`.
    fn followed(&self, endpoints: &[(&Endpoint, i32)]) -> Option<Hinted> {
        let ready = || endpoints.iter().map(|(endpoint, _)| *endpoint).filter(|endpoint| is_ready(endpoint));
        [Hinted::Nodes, Hinted::Zones].into_iter().find(|hinted| {
            ready().all(|endpoint| self.is_meant(endpoint, *hinted).is_some())
                && ready().any(|endpoint| self.is_meant(endpoint, *hinted) == Some(true))
        })
    }
}

/// The addresses of endpoints, those that are ready or, when none is, those that still answer: `CategorizeEndpoints`.
fn addresses(endpoints: &[(&Endpoint, i32)], place: &Place<'_>, is_local: bool) -> Vec<String> {
    let hinted = if is_local { None } else { place.followed(endpoints) };
    let here = |endpoint: &Endpoint| !is_local || endpoint.node_name.as_deref() == Some(place.node);
    let is_meant = |endpoint: &Endpoint| hinted.is_none_or(|hinted| place.is_meant(endpoint, hinted) == Some(true));
    let pick = |wanted: &dyn Fn(&Endpoint) -> bool| -> Vec<String> {
        let picked = endpoints.iter().filter(|(endpoint, _)| here(endpoint) && wanted(endpoint));
        let found = picked.filter_map(|(endpoint, port)| Some(format!("{}:{port}", endpoint.addresses.first()?)));
        found.collect::<BTreeSet<String>>().into_iter().collect()
    };
    let ready = pick(&|endpoint| is_ready(endpoint) && is_meant(endpoint));
    if ready.is_empty() { pick(&is_serving_last) } else { ready }
}

fn reachable(port: &ServicePort, slices: &[&EndpointSlice], place: &Place<'_>) -> Reachable {
    let mut endpoints: Vec<(&Endpoint, i32)> = Vec::new();
    for slice in slices {
        if let Some(number) = port_of(slice, port).and_then(|port| port.port) {
            endpoints.extend(slice.endpoints.iter().flatten().map(|endpoint| (endpoint, number)));
        }
    }
    Reachable { cluster: addresses(&endpoints, place, false), local: addresses(&endpoints, place, true) }
}

impl Reachable {
    fn verdict(&self, is_local: bool) -> Verdict {
        let usable = if is_local { &self.local } else { &self.cluster };
        match (usable.is_empty(), self.cluster.is_empty()) {
            (false, _) => Verdict::Endpoints(usable.clone()),
            (true, true) => Verdict::Reject,
            (true, false) => Verdict::Drop,
        }
    }
}

/// The addresses of a Service's load balancer, unless that only passes on.
fn balancer_ips(service: &Service) -> Vec<&String> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.into_iter().flat_map(|balancer| balancer.ingress.iter().flatten());
    let virtual_ips = ingress.filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"));
    virtual_ips.filter_map(|ingress| ingress.ip.as_ref()).collect()
}

/// The addresses outside of the cluster's network at which the Service is served: of its load balancer, and those that
/// it names.
fn external_ips<'a>(service: &'a Service, spec: &'a ServiceSpec) -> impl Iterator<Item = &'a String> {
    balancer_ips(service).into_iter().chain(spec.external_ips.iter().flatten())
}

impl Rule {
    /// Whether what comes from an address is let in.
    #[must_use]
    pub fn admits(&self, source: Ipv4Addr) -> bool {
        let contains = |block: &String| Cidr::parse(block.trim()).is_some_and(|block| block.contains(source.into()));
        self.source_ranges.is_empty() || self.source_ranges.iter().any(contains)
    }
}

impl Rules {
    /// All rules, by their destinations.
    pub fn iter(&self) -> impl Iterator<Item = (&Destination, &Rule)> {
        self.rules.iter()
    }

    /// What happens to what is sent somewhere; nothing when no Service is there.
    #[must_use]
    pub fn get(&self, destination: &Destination) -> Option<&Rule> {
        self.rules.get(destination)
    }

    /// Makes the rules of a Service anew, or takes them away when there is none.
    pub(super) fn replace(
        &mut self,
        key: &ObjectKey,
        service: Option<&Service>,
        slices: &[&EndpointSlice],
        place: &Place<'_>,
    ) {
        let old = self.rules.iter().filter(|(_, rule)| rule.service == *key);
        let old: Vec<Destination> = old.map(|(destination, _)| destination.clone()).collect();
        for destination in old {
            self.rules.remove(&destination);
        }
        let Some((service, spec)) = service.and_then(|service| Some((service, service.spec.as_ref()?))) else { return };
        let Some(ip) = spec.cluster_ip.as_ref().filter(|ip| !ip.is_empty()) else { return };
        if !needs_cluster_ip(spec) || is_headless(spec) {
            return;
        }
        let is_local = |policy: &Option<String>| policy.as_deref() == Some("Local");
        let affinity =
            spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
        for port in spec.ports.iter().flatten() {
            let found = reachable(port, slices, place);
            let is_outside_local = is_local(&spec.external_traffic_policy);
            let balancers = balancer_ips(service);
            let ranges = spec.load_balancer_source_ranges.clone().unwrap_or_default();
            let mut serve = |ip: Option<&String>, number: i32, verdict: Verdict, is_inside: bool| {
                let is_balancer = ip.is_some_and(|ip| balancers.contains(&ip));
                let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
                let rule = Rule {
                    service: key.clone(),
                    port_name: port.name.clone().unwrap_or_default(),
                    verdict,
                    from_own_pods: (!is_inside && is_outside_local).then(|| found.verdict(false)),
                    keeps_source: is_inside || is_outside_local,
                    source_ranges: if is_balancer { ranges.clone() } else { Vec::new() },
                    affinity_seconds: affinity,
                };
                self.rules.insert(Destination { ip: ip.cloned(), port: number, protocol }, rule);
            };
            serve(Some(ip), port.port, found.verdict(is_local(&spec.internal_traffic_policy)), true);
            let outside = found.verdict(is_outside_local);
            for ip in external_ips(service, spec) {
                serve(Some(ip), port.port, outside.clone(), false);
            }
            if let Some(number) = port.node_port.filter(|number| *number != 0) {
                serve(None, number, outside.clone(), false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    fn slice(endpoints: Value) -> EndpointSlice {
        let slice = json!({ "addressType": "IPv4", "endpoints": endpoints, "ports": [{ "name": "", "port": 8080 }] });
        serde_json::from_value(slice).expect("the slice is written out")
    }

    fn endpoint(ip: &str, node: &str, conditions: [bool; 3]) -> Value {
        let [ready, serving, terminating] = conditions;
        let conditions = json!({ "ready": ready, "serving": serving, "terminating": terminating });
        json!({ "addresses": [ip], "nodeName": node, "conditions": conditions })
    }

    fn check(mut spec: Value, endpoints: Value, expected: &Expect) {
        spec["clusterIP"] = json!("10.96.0.9");
        spec["clusterIPs"] = json!(["10.96.0.9"]);
        let status = json!({ "loadBalancer": { "ingress": [{ "ip": "198.18.0.1", "ipMode": "VIP" }] } });
        let service: Service = serde_json::from_value(json!({ "metadata": {}, "spec": spec, "status": status }))
            .expect("the Service is written out");
        let mut rules = Rules::default();
        let place = Place { node: "here", zone: Some("a") };
        rules.replace(&ObjectKey::new("default", "a"), Some(&service), &[&slice(endpoints)], &place);
        let mut text = String::new();
        for (destination, rule) in rules.iter() {
            let ip = destination.ip.as_deref().unwrap_or("node");
            text.push_str(&format!("{ip}:{} {:?}\n", destination.port, rule.verdict));
        }
        expected.assert_eq(&text);
    }

    /// What the rules of the node `here` in zone `a` say of the Service's address, for endpoints with their hints.
    fn hinted(hints: [Value; 2]) -> Verdict {
        let [first, second] = hints;
        let with = |ip: &str, node: &str, hints: Value| {
            let mut endpoint = endpoint(ip, node, READY);
            endpoint["hints"] = hints;
            endpoint
        };
        let endpoints = json!([with("10.0.0.1", "here", first), with("10.0.0.2", "there", second)]);
        let spec = json!({ "type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
            "ports": [{ "port": 80 }] });
        let service = json!({ "metadata": {}, "spec": spec });
        let service: Service = serde_json::from_value(service).expect("the Service is written out");
        let mut rules = Rules::default();
        let place = Place { node: "here", zone: Some("a") };
        rules.replace(&ObjectKey::new("default", "a"), Some(&service), &[&slice(endpoints)], &place);
        let destination = Destination::tcp(Some(Ipv4Addr::new(10, 96, 0, 9)), 80);
        rules.get(&destination).expect("there is a rule").verdict.clone()
    }

    #[test]
    fn hints_are_followed_when_all_endpoints_have_them() {
        let zone = |name: &str| json!({ "forZones": [{ "name": name }] });
        let node = |name: &str| json!({ "forNodes": [{ "name": name }], "forZones": [{ "name": "b" }] });
        let (first, second, both) = (vec![1], vec![2], vec![1, 2]);
        for (hints, expected) in [
            ([json!(null), json!(null)], &both),
            ([zone("a"), zone("b")], &first),
            ([zone("b"), zone("a")], &second),
            ([zone("b"), zone("b")], &both),
            ([zone("a"), json!(null)], &both),
            ([node("here"), node("there")], &first),
            ([node("there"), node("there")], &both),
        ] {
            let expected = expected.iter().map(|host| format!("10.0.0.{host}:8080")).collect();
            assert_eq!(hinted(hints.clone()), Verdict::Endpoints(expected), "{hints:?}");
        }
    }

    const READY: [bool; 3] = [true, true, false];
    const STARTING: [bool; 3] = [false, false, false];
    const ENDING: [bool; 3] = [false, true, true];

    #[test]
    fn what_is_ready_serves_and_else_what_still_answers() {
        let spec = || json!({ "type": "ClusterIP", "ports": [{ "port": 80 }] });
        let with = |a, b| json!([endpoint("10.0.0.1", "here", a), endpoint("10.0.0.2", "there", b)]);
        check(
            spec(),
            with(READY, READY),
            &expect![[r#"
            10.96.0.9:80 Endpoints(["10.0.0.1:8080", "10.0.0.2:8080"])
            198.18.0.1:80 Endpoints(["10.0.0.1:8080", "10.0.0.2:8080"])
        "#]],
        );
        check(
            spec(),
            with(STARTING, READY),
            &expect![[r#"
            10.96.0.9:80 Endpoints(["10.0.0.2:8080"])
            198.18.0.1:80 Endpoints(["10.0.0.2:8080"])
        "#]],
        );
        check(
            spec(),
            with(STARTING, ENDING),
            &expect![[r#"
            10.96.0.9:80 Endpoints(["10.0.0.2:8080"])
            198.18.0.1:80 Endpoints(["10.0.0.2:8080"])
        "#]],
        );
        check(
            spec(),
            with(STARTING, STARTING),
            &expect![[r#"
            10.96.0.9:80 Reject
            198.18.0.1:80 Reject
        "#]],
        );
    }

    #[test]
    fn local_traffic_stays_on_its_node() {
        let spec = |policy: &str| {
            let ports = json!([{ "port": 80, "nodePort": 30080 }]);
            json!({ "type": "LoadBalancer", "ports": ports, "externalTrafficPolicy": policy })
        };
        let elsewhere = || json!([endpoint("10.0.0.2", "there", READY)]);
        check(
            spec("Cluster"),
            elsewhere(),
            &expect![[r#"
            node:30080 Endpoints(["10.0.0.2:8080"])
            10.96.0.9:80 Endpoints(["10.0.0.2:8080"])
            198.18.0.1:80 Endpoints(["10.0.0.2:8080"])
        "#]],
        );
        check(
            spec("Local"),
            elsewhere(),
            &expect![[r#"
            node:30080 Drop
            10.96.0.9:80 Endpoints(["10.0.0.2:8080"])
            198.18.0.1:80 Drop
        "#]],
        );
        let both = json!([endpoint("10.0.0.1", "here", READY), endpoint("10.0.0.2", "there", READY)]);
        check(
            spec("Local"),
            both,
            &expect![[r#"
            node:30080 Endpoints(["10.0.0.1:8080"])
            10.96.0.9:80 Endpoints(["10.0.0.1:8080", "10.0.0.2:8080"])
            198.18.0.1:80 Endpoints(["10.0.0.1:8080"])
        "#]],
        );
    }
}
