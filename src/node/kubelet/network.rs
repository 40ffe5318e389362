//! The network of a node: the addresses of its pods, what leaves them and what reaches them.
//!
//! What leaves a pod is carried by whoever carries packets between machines (`sim/network`); here is only what a
//! machine knows by itself: its addresses, and what its containers' `/etc/hosts` and `/etc/resolv.conf` say.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use crate::api::{Name, ObjectKey, Resource};
use crate::client::Client;
use crate::machinery::persistent::OrdMap;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest, Question};
use crate::machinery::time::Time;
use crate::node::network::{Aim, DNS_ADDRESS, LocalPod, Lookup, Outgoing, ResolverConfig, Sender};
use crate::node::runtime::{Id, RequestNumber};

use super::Kubelet;
use super::kuberuntime::KubeRuntime;

/// How many proxies may pass a request on.
const FORWARDS_MAX: usize = 5;

/// A request that leaves a pod.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub number: RequestNumber,
    pub sandbox: Id,
    pub container: Id,
    pub request: NetworkRequest,
    pub background: bool,
}

/// The pod network of a node: a range of addresses, the first of which is the bridge's.
#[derive(Clone, Debug, Default)]
pub(super) struct PodNetwork {
    node: Option<IpAddr>,
    range: Option<Ipv4Addr>,
    used: OrdMap<u8, Id>,
    last: u8,
}

impl PodNetwork {
    /// The network of a node with this address and this range of pod addresses.
    pub(super) fn new(node: &str, cidr: &str) -> Self {
        let mut network = Self { node: node.parse().ok(), last: 1, ..Self::default() };
        network.set_range(cidr);
        network
    }

    /// Pods get their addresses from this range from now on.
    pub(super) fn set_range(&mut self, cidr: &str) {
        self.range = cidr.split('/').next().and_then(|base| base.parse().ok());
    }

    pub(super) fn node(&self) -> Option<IpAddr> {
        self.node
    }

    fn address(&self, host: u8) -> Option<Ipv4Addr> {
        let [a, b, c, _] = self.range?.octets();
        Some(Ipv4Addr::new(a, b, c, host))
    }

    /// The address that the node itself has in the pod network.
    pub(super) fn gateway(&self) -> String {
        self.address(1).map(|address| address.to_string()).unwrap_or_default()
    }

    /// The next address that is free, as the `host-local` plugin hands them out: in a circle.
    pub(super) fn allocate(&mut self) -> Option<IpAddr> {
        let after = (self.last.saturating_add(1)..=254).chain(2..=self.last);
        let host = after.into_iter().find(|host| *host >= 2 && !self.used.contains_key(host))?;
        self.last = host;
        self.address(host).map(IpAddr::V4)
    }

    /// Notes whose address it is.
    pub(super) fn assign(&mut self, address: IpAddr, sandbox: &Id) {
        if let IpAddr::V4(address) = address {
            self.used.insert(address.octets()[3], sandbox.clone());
        }
    }

    pub(super) fn release(&mut self, sandbox: &Id) {
        let host = self.used.iter().find(|(_, held)| *held == sandbox).map(|(host, _)| *host);
        if let Some(host) = host {
            self.used.remove(&host);
        }
    }

    /// Whether an address is one that this node gives to pods.
    fn covers(&self, address: Ipv4Addr) -> bool {
        self.range.is_some_and(|range| range.octets()[..3] == address.octets()[..3])
    }

    fn holder(&self, address: IpAddr) -> Option<&Id> {
        let IpAddr::V4(address) = address else { return None };
        let host = address.octets()[3];
        self.used.get(&host).filter(|_| self.address(host) == Some(address))
    }
}

impl KubeRuntime {
    /// The sandbox at an address; one on the node's network for the node's own.
    pub(super) fn sandbox_at(&self, address: &str) -> Option<Id> {
        let address: IpAddr = address.parse().ok()?;
        if let Some(sandbox) = self.network.holder(address) {
            return Some(sandbox.clone());
        }
        let on_node = self.network.node() == Some(address);
        let mut sandboxes = self.cri.sandboxes().filter(|_| on_node);
        sandboxes.find(|sandbox| sandbox.ready && sandbox.config.host_network).map(|sandbox| sandbox.id.clone())
    }

    /// The newest sandbox of a pod while it is ready.
    pub(super) fn ready_sandbox(&self, uid: &Name) -> Option<Id> {
        let newest = self.sandbox(uid)?;
        self.cri.sandbox(newest).filter(|sandbox| sandbox.ready).map(|sandbox| sandbox.id.clone())
    }
}

impl KubeRuntime {
    /// Brings a request to a sandbox: an answer, or `Forward` when a proxy there passes it on to another pod.
    pub(super) fn serve(&mut self, sandbox: &Id, request: &NetworkRequest, source: &str, now: Time) -> NetworkAnswer {
        let mut http = match request {
            NetworkRequest::Http(request) => HttpRequest { client: source.to_owned(), ..request.clone() },
            NetworkRequest::Connect { port, .. } => return self.cri.connect(sandbox, *port, now),
            NetworkRequest::Ping { host } => return NetworkAnswer::Connected { address: host.clone() },
            NetworkRequest::Resolve(_) => return NetworkAnswer::Refused { address: String::new() },
        };
        for step in 0..FORWARDS_MAX {
            match self.cri.http(sandbox, &http, now) {
                NetworkAnswer::Forward(onward) if is_loopback(&onward.host) => http = *onward,
                answer @ (NetworkAnswer::Http(_) | NetworkAnswer::Forward(_)) => return answer,
                // The proxy is there, but not what is behind it.
                _ if step > 0 => break,
                answer => return answer,
            }
        }
        bad_gateway()
    }

    /// Where a request of a container goes, as far as its own files tell.
    fn aim(&self, container: &str, request: &NetworkRequest) -> Aim {
        let question = match request {
            NetworkRequest::Resolve(question) => question.clone(),
            other if other.address().parse::<IpAddr>().is_ok() => return Aim::Address(other.address().to_owned()),
            other => Question::address(other.host()),
        };
        if let Some(address) = self.cri.hosts_file(container, &question.name).filter(|_| question.hosts_file) {
            return Aim::Address(address);
        }
        let text = self.cri.read_file(container, "/etc/resolv.conf").unwrap_or_default();
        let config = ResolverConfig::parse(&String::from_utf8_lossy(&text));
        let server = question.server.clone().or(config.server.clone());
        Aim::Lookup(Lookup {
            server: server.unwrap_or_else(|| DNS_ADDRESS.to_owned()),
            names: config.candidates(&question),
            kind: question.kind,
        })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.starts_with("127.")
}

fn bad_gateway() -> NetworkAnswer {
    NetworkAnswer::Http(HttpAnswer::text(502, "502 Bad Gateway\n"))
}

impl Kubelet {
    /// Whether requests wait to be carried off the machine.
    #[must_use]
    pub const fn has_outgoing(&self) -> bool {
        !self.host.runtime.leaving.is_empty()
    }

    /// The requests that left pods since the last call.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        let leaving = std::mem::take(&mut self.host.runtime.leaving);
        leaving.into_iter().filter_map(|one| self.outgoing(one)).collect()
    }

    fn outgoing(&self, leaving: Leaving) -> Option<Outgoing> {
        let from = self.local_pod(&leaving.sandbox)?;
        let mut aim = self.host.runtime.aim(&leaving.container, &leaving.request);
        if matches!(&aim, Aim::Address(address) if is_loopback(address)) && !from.has_own_network() {
            aim = Aim::Address(from.address.clone());
        }
        let sender = Sender { container: leaving.container, number: leaving.number };
        Some(Outgoing { sender, from, aim, request: leaving.request, background: leaving.background })
    }

    fn local_pod(&self, sandbox: &Id) -> Option<LocalPod> {
        let uid = self.host.runtime.pod_of_sandbox(sandbox)?;
        let pod = self.workers.get(self.by_uid.get(uid)?)?.pod.clone();
        let address = self.host.runtime.cri.sandbox(sandbox)?.config.addresses.first()?.to_string();
        Some(LocalPod { sandbox: sandbox.clone(), pod, address })
    }

    /// A pod of this machine while its network is up.
    #[must_use]
    pub fn pod_of_key(&self, key: &ObjectKey) -> Option<LocalPod> {
        let worker = self.workers.values().find(|worker| {
            let pod = &worker.pod;
            !worker.is_gone && pod.name() == &*key.name && pod.namespace() == &*key.namespace
        })?;
        self.local_pod(&self.host.runtime.ready_sandbox(&worker.uid)?)
    }

    /// Where something goes that a pod asks for, by what its first container's files say.
    #[must_use]
    pub fn aim_of(&self, pod: &LocalPod, request: &NetworkRequest) -> Aim {
        let container = self.host.runtime.cri.list_containers(&pod.sandbox).next();
        let container = container.map(|container| container.id).unwrap_or_default();
        self.host.runtime.aim(&container, request)
    }

    /// The pod with its own network that has an address.
    #[must_use]
    pub fn pod_at(&self, address: Ipv4Addr) -> Option<LocalPod> {
        self.local_pod(self.host.runtime.network.holder(IpAddr::V4(address))?)
    }

    /// Whether an address is the machine's own or one that it gives to its pods.
    #[must_use]
    pub fn has_address(&self, address: Ipv4Addr) -> bool {
        let network = &self.host.runtime.network;
        network.node() == Some(IpAddr::V4(address)) || network.covers(address)
    }

    /// Whether an address is the machine's own, be it within the pods' network.
    #[must_use]
    pub fn is_own_address(&self, address: Ipv4Addr) -> bool {
        let network = &self.host.runtime.network;
        network.node() == Some(IpAddr::V4(address)) || network.gateway() == address.to_string()
    }

    /// Who takes what comes to a port of the machine itself: a pod that asked for the port, or one on the node's
    /// network. With the port in the pod.
    #[must_use]
    pub fn host_port(&self, port: u16, now: Time) -> Option<(LocalPod, u16)> {
        let runtime = &self.host.runtime;
        for worker in self.workers.values() {
            let wanted = container_port_of(&worker.pod, port);
            let sandbox = wanted.and_then(|_| runtime.ready_sandbox(&worker.uid));
            if let (Some(wanted), Some(pod)) = (wanted, sandbox.and_then(|sandbox| self.local_pod(&sandbox))) {
                return Some((pod, wanted));
            }
        }
        let mut on_node = runtime.cri.sandboxes().filter(|sandbox| sandbox.ready && sandbox.config.host_network);
        let sandbox = on_node.find(|sandbox| runtime.cri.listens(&sandbox.id, port, now))?;
        Some((self.local_pod(&sandbox.id)?, port))
    }

    /// The container that answers on a port of a pod.
    #[must_use]
    pub fn server_of(&self, pod: &LocalPod, port: u16, now: Time) -> Option<Id> {
        self.host.runtime.cri.listener(&pod.sandbox, port, now)
    }

    /// Whether a container ran until a time that has passed.
    #[must_use]
    pub fn ran_until(&self, container: &str, time: Time) -> bool {
        let status = self.host.runtime.cri.container_status(container);
        status.is_some_and(|status| status.end.is_none_or(|end| end.time >= time))
    }

    /// A request reaches a pod: its answer, or `Forward` when a proxy passes it on.
    pub fn receive(
        &mut self,
        pod: &LocalPod,
        request: &NetworkRequest,
        source: &str,
        client: &mut Client<'_>,
    ) -> NetworkAnswer {
        let answer = self.host.runtime.serve(&pod.sandbox, request, source, client.now);
        self.after_network(client);
        answer
    }

    /// An answer reaches the process that waits for it, if it still does.
    pub fn answer(&mut self, to: &Sender, answer: NetworkAnswer, client: &mut Client<'_>) {
        if let Some(work) = self.host.runtime.answered(to.number, &answer) {
            self.host.agenda.set(work, client.now, false);
        } else if self.host.runtime.cri.is_running(&to.container) {
            self.host.runtime.cri.answer(to.number, answer, client.now);
        }
        self.after_network(client);
    }

    fn after_network(&mut self, client: &mut Client<'_>) {
        self.host.plan_runtime(client.now);
        self.host.agenda.arm(client);
    }
}

/// The port of a pod with its own network that it wants to be reached at under a port of the node.
fn container_port_of(pod: &Arc<Pod>, host_port: u16) -> Option<u16> {
    let spec = pod.spec.as_ref().filter(|spec| spec.host_network != Some(true))?;
    let mut ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    let found = ports.find(|port| port.host_port == Some(i32::from(host_port)))?;
    u16::try_from(found.container_port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_go_round() {
        let mut network = PodNetwork::new("10.0.0.11", "10.244.1.0/24");
        let next = |network: &mut PodNetwork, name: &str| {
            let address = network.allocate().expect("one is free");
            network.assign(address, &Id::from(name));
            address.to_string()
        };
        assert_eq!(next(&mut network, "a"), "10.244.1.2");
        assert_eq!(next(&mut network, "b"), "10.244.1.3");
        network.release(&Id::from("a"));
        assert_eq!(next(&mut network, "c"), "10.244.1.4", "an address is not used again at once");
        for _ in 5..=254 {
            next(&mut network, "many");
        }
        assert_eq!(next(&mut network, "d"), "10.244.1.2");
        assert_eq!(network.allocate(), None);
        assert_eq!(network.holder("10.244.1.3".parse().expect("an address")), Some(&Id::from("b")));
        assert_eq!(network.gateway(), "10.244.1.1");
    }
}
