//! Network policies: who may speak with whom.
//!
//! Guarantees that a connection between pods comes about only if every policy that selects its source for egress, and
//! every one that selects its target for ingress, taken together let it. Watches NetworkPolicies and Namespaces; what a
//! pod's labels are is known by the machine that it runs on, and travels with what it sends. Follows
//! `k8s.io/api/networking/v1` and what network plugins make of it: what is not let through is dropped without a word.
//!
//! Not simulated: AdminNetworkPolicies, connections that were open before a policy came.

use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::{Container, Namespace, Pod};
use k8s_openapi::api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::{Kind, Name, ObjectKey, Resource};
use crate::apiserver::User;
use crate::client::{Client, Identity, InformerEvent, Informers, Process, Token, WatchSpec};
use crate::machinery::ip::Cidr;
use crate::machinery::labels::Selector;

/// `LabelMetadataName`: the label that every namespace has.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The agent that knows the policies.
#[derive(Clone, Debug, Default)]
pub struct PolicyAgent {
    informers: Informers,
}

/// One side of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The pod, unless it is on its node's network or no pod at all.
    pub pod: Option<&'a Pod>,
    /// Its address.
    pub address: Ipv4Addr,
}

/// Which way a connection goes, as seen from the pod that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "Ingress",
            Self::Egress => "Egress",
        }
    }
}

/// One rule of a policy: from or to whom, and to which ports.
type Rule<'a> = (&'a [NetworkPolicyPeer], &'a [NetworkPolicyPort]);

/// The rules of a policy for a direction; nothing when it says nothing about it.
fn rules(policy: &NetworkPolicy, direction: Direction) -> Option<Vec<Rule<'_>>> {
    let spec = policy.spec.as_ref()?;
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if !types.iter().any(|name| name == direction.name()) {
        return None;
    }
    Some(match direction {
        Direction::Ingress => {
            let rules = spec.ingress.iter().flatten();
            rules.map(|rule| (rule.from.as_deref().unwrap_or(&[]), rule.ports.as_deref().unwrap_or(&[]))).collect()
        }
        Direction::Egress => {
            let rules = spec.egress.iter().flatten();
            rules.map(|rule| (rule.to.as_deref().unwrap_or(&[]), rule.ports.as_deref().unwrap_or(&[]))).collect()
        }
    })
}

/// Whether a selector, where a missing one selects all, selects labels.
fn selects<L: crate::machinery::labels::Labels>(selector: Option<&LabelSelector>, labels: &L) -> bool {
    match selector {
        None => true,
        Some(selector) => Selector::from_label_selector(Some(selector)).is_ok_and(|selector| selector.matches(labels)),
    }
}

/// The port of a name on a pod.
fn named_port(pod: &Pod, name: &str, protocol: &str) -> Option<i32> {
    let spec = pod.spec.as_ref()?;
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let mut ports = containers.flat_map(|container: &Container| container.ports.iter().flatten());
    let is_meant = |port: &&k8s_openapi::api::core::v1::ContainerPort| {
        port.name.as_deref() == Some(name) && port.protocol.as_deref().unwrap_or("TCP") == protocol
    };
    ports.find(is_meant).map(|port| port.container_port)
}

/// Whether a rule's ports, of which none means all, have the one that is meant.
fn has_port(ports: &[NetworkPolicyPort], port: Option<u16>, protocol: &str, target: &Party<'_>) -> bool {
    if ports.is_empty() {
        return true;
    }
    let Some(port) = port.map(i32::from) else { return false };
    ports.iter().any(|allowed| {
        let first = match &allowed.port {
            None => return allowed.protocol.as_deref().unwrap_or("TCP") == protocol,
            Some(IntOrString::Int(number)) => Some(*number),
            Some(IntOrString::String(name)) => target.pod.and_then(|pod| named_port(pod, name, protocol)),
        };
        let last = allowed.end_port.or(first);
        let is_within = first.zip(last).is_some_and(|(first, last)| (first..=last).contains(&port));
        is_within && allowed.protocol.as_deref().unwrap_or("TCP") == protocol
    })
}

fn is_in_block(block: &IPBlock, address: Ipv4Addr) -> bool {
    let contains = |cidr: &str| Cidr::parse(cidr).is_some_and(|cidr| cidr.contains(IpAddr::V4(address)));
    contains(&block.cidr) && !block.except.iter().flatten().any(|except| contains(except))
}

impl PolicyAgent {
    /// What it knows of what it watches.
    #[must_use]
    pub const fn informers(&self) -> &Informers {
        &self.informers
    }

    /// Who the agent is to the API server.
    #[must_use]
    pub fn identity() -> Identity {
        let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
        Identity {
            component: Name::from("network-policy-agent"),
            host: Name::from(""),
            user: User::component("system:serviceaccount:kube-system:network-policy-agent", &groups),
        }
    }

    /// Whether a connection may come about.
    #[must_use]
    pub fn allows(&self, source: &Party<'_>, target: &Party<'_>, port: Option<u16>, protocol: &str) -> bool {
        // A pod always reaches itself.
        if source.pod.is_some() && source.address == target.address {
            return true;
        }
        let let_out = self.lets(Direction::Egress, source, target, |ports| has_port(ports, port, protocol, target));
        let_out && self.lets(Direction::Ingress, target, source, |ports| has_port(ports, port, protocol, target))
    }

    /// Whether the policies that select a pod for a direction let it speak with a peer.
    fn lets(
        &self,
        direction: Direction,
        selected: &Party<'_>,
        peer: &Party<'_>,
        has_port: impl Fn(&[NetworkPolicyPort]) -> bool,
    ) -> bool {
        let Some(pod) = selected.pod else { return true };
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        let mut is_isolated = false;
        for policy in self.informers.list_in::<NetworkPolicy>(pod.namespace()) {
            let selector = policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref());
            let Some(rules) = rules(policy, direction).filter(|_| selects(selector, &labels)) else { continue };
            is_isolated = true;
            let is_peer = |peers: &[NetworkPolicyPeer]| {
                peers.is_empty() || peers.iter().any(|wanted| self.is_peer(wanted, pod.namespace(), peer))
            };
            if rules.iter().any(|(peers, ports)| is_peer(peers) && has_port(ports)) {
                return true;
            }
        }
        !is_isolated
    }

    fn is_peer(&self, wanted: &NetworkPolicyPeer, namespace: &str, peer: &Party<'_>) -> bool {
        if let Some(block) = &wanted.ip_block {
            return is_in_block(block, peer.address);
        }
        let Some(pod) = peer.pod else { return false };
        let is_in_namespace = match &wanted.namespace_selector {
            None => pod.namespace() == namespace,
            Some(selector) => {
                let found = self.informers.get::<Namespace>(&ObjectKey::new("", pod.namespace()));
                // The namespaces of add-ons that have no pods here are not there either.
                let add_on = || Some([(NAMESPACE_NAME.to_owned(), pod.namespace().to_owned())].into());
                let labels = found.map_or_else(add_on, |found| found.metadata.labels.clone()).unwrap_or_default();
                selects(Some(selector), &labels)
            }
        };
        let labels = pod.metadata.labels.clone().unwrap_or_default();
        is_in_namespace && selects(wanted.pod_selector.as_ref(), &labels)
    }
}

impl Process for PolicyAgent {
    fn watches(&self) -> Vec<WatchSpec> {
        vec![WatchSpec::all(Kind::NetworkPolicy), WatchSpec::all(Kind::Namespace)]
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

    fn pod(namespace: &str, app: &str) -> Pod {
        let ports = json!([{"name": "http", "containerPort": 8080}]);
        serde_json::from_value(json!({
            "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
            "spec": {"containers": [{"name": "c", "ports": ports}]},
        }))
        .expect("the pod is written out")
    }

    fn agent(spec: &Value) -> PolicyAgent {
        let mut agent = PolicyAgent::default();
        let policy = json!({"metadata": {"name": "p", "namespace": "shop"}, "spec": spec});
        let team = json!({"metadata": {"name": "team", "labels": {"team": "a"}}});
        for (kind, value) in [(Kind::NetworkPolicy, policy), (Kind::Namespace, team)] {
            let object = Object::from_value(kind, &value).expect("the object is written out");
            let event = InformerEvent { kind, key: object.key(), before: None, after: Some(object), revision: 1 };
            agent.informers.apply(&event);
        }
        agent
    }

    /// Who reaches port 8080 of the pod `db` in `shop`: pods `web` there, in `team` and elsewhere, and an outsider.
    fn reached_by(spec: &Value, port: u16) -> Vec<&'static str> {
        let agent = agent(spec);
        let (db, own) = (pod("shop", "db"), pod("shop", "web"));
        let (team, other) = (pod("team", "web"), pod("other", "web"));
        let target = Party { pod: Some(&db), address: Ipv4Addr::new(10, 244, 1, 1) };
        let sources = [("own", Some(&own), 2), ("team", Some(&team), 3), ("other", Some(&other), 4), ("out", None, 5)];
        let allowed = sources.into_iter().filter(|(_, pod, host)| {
            let source = Party { pod: *pod, address: Ipv4Addr::new(10, 244, 1, *host) };
            agent.allows(&source, &target, Some(port), "TCP")
        });
        allowed.map(|(name, ..)| name).collect()
    }

    #[test]
    fn rules_say_who_gets_in() {
        let all = vec!["own", "team", "other", "out"];
        let ingress = |rules: Value| json!({"podSelector": {"matchLabels": {"app": "db"}}, "policyTypes": ["Ingress"], "ingress": rules});
        let team = json!({"namespaceSelector": {"matchLabels": {"team": "a"}}});
        let web = json!({"podSelector": {"matchLabels": {"app": "web"}}});
        let block = json!({"ipBlock": {"cidr": "10.244.1.0/24", "except": ["10.244.1.4/31"]}});
        let port = |port: Value| json!([{"ports": [{"protocol": "TCP", "port": port}]}]);
        let table = [
            (json!({"podSelector": {"matchLabels": {"app": "x"}}, "policyTypes": ["Ingress"]}), all.clone()),
            (ingress(json!([])), vec![]),
            (ingress(json!([{}])), all.clone()),
            (ingress(json!([{"from": [web]}])), vec!["own"]),
            (ingress(json!([{"from": [team]}])), vec!["team"]),
            (ingress(json!([{"from": [team, web]}])), vec!["own", "team"]),
            (ingress(json!([{"from": [{"namespaceSelector": {}, "podSelector": {}}]}])), vec!["own", "team", "other"]),
            (ingress(json!([{"from": [block]}])), vec!["own", "team"]),
            (ingress(port(json!(8080))), all.clone()),
            (ingress(port(json!("http"))), all.clone()),
            (ingress(port(json!(9090))), vec![]),
            (ingress(json!([{"ports": [{"port": 8000, "endPort": 8100}]}])), all.clone()),
            (ingress(json!([{"ports": [{"port": 8080, "protocol": "UDP"}]}])), vec![]),
        ];
        for (spec, expected) in table {
            assert_eq!(reached_by(&spec, 8080), expected, "{spec}");
        }
        // Egress of the pods `web` in the namespace.
        let egress = |rules: Value| json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Egress"], "egress": rules});
        let to_db = json!([{"to": [{"podSelector": {"matchLabels": {"app": "db"}}}], "ports": [{"port": "http"}]}]);
        for (spec, expected) in [(egress(json!([])), vec!["team", "other", "out"]), (egress(to_db), all)] {
            assert_eq!(reached_by(&spec, 8080), expected, "{spec}");
        }
    }
}
