//! The network of a node: the addresses of its pods, and the requests that stay on it.
//!
//! A pod reaches the pods of its own node by their addresses. There is no DNS server and no kube-proxy here, and no
//! way to other nodes: a name is unknown, and an address elsewhere has no route.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::api::Name;
use crate::machinery::persistent::OrdMap;

use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer, NetworkRequest};
use crate::machinery::time::Time;
use crate::node::runtime::Id;

use super::kuberuntime::KubeRuntime;

/// The address of the cluster's DNS server, which pods find in `/etc/resolv.conf`.
pub(super) const DNS_SERVER: &str = "10.96.0.10";
/// How long a packet is under way within a node.
const LOCAL_TIME: Duration = Duration::from_micros(300);
/// How long the kernel looks for a neighbour that is not there.
const NO_ROUTE_TIME: Duration = Duration::from_secs(3);
/// How many proxies may pass a request on.
const FORWARDS_MAX: usize = 5;

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

    /// What a request that leaves a pod comes to, and how long that takes.
    pub(super) fn route(
        &mut self,
        sandbox: &Id,
        container: &Id,
        request: &NetworkRequest,
        now: Time,
    ) -> (NetworkAnswer, Duration) {
        let host = request.host();
        let named =
            if host.parse::<IpAddr>().is_ok() { Some(host.to_owned()) } else { self.hosts_file(container, host) };
        let Some(address) = named else {
            return (NetworkAnswer::NameUnknown { server: format!("{DNS_SERVER}:53") }, LOCAL_TIME);
        };
        if let NetworkRequest::Resolve { name } = request {
            let answer = NetworkAnswer::Resolved {
                server: format!("{DNS_SERVER}:53"),
                name: name.clone(),
                addresses: vec![address],
            };
            return (answer, LOCAL_TIME);
        }
        let Some(target) = self.sandbox_at(&address) else {
            let is_node = self.network.node().is_some_and(|node| node.to_string() == address);
            if is_node || address == self.network.gateway() {
                return match request {
                    NetworkRequest::Ping { .. } => (NetworkAnswer::Connected { address }, LOCAL_TIME),
                    _ => (NetworkAnswer::Refused { address }, LOCAL_TIME),
                };
            }
            return (NetworkAnswer::Unreachable, NO_ROUTE_TIME);
        };
        let answer = match request {
            NetworkRequest::Http(request) => {
                let source = self.cri.sandbox(sandbox).and_then(|held| held.config.addresses.first().copied());
                let client = source.map(|address| address.to_string()).unwrap_or_default();
                self.deliver(&target, HttpRequest { client, ..request.clone() }, now)
            }
            NetworkRequest::Connect { port, .. } => self.cri.connect(&target, *port, now),
            NetworkRequest::Ping { .. } | NetworkRequest::Resolve { .. } => NetworkAnswer::Connected { address },
        };
        let server_time = if let NetworkAnswer::Http(answer) = &answer { answer.latency } else { Duration::ZERO };
        (answer, LOCAL_TIME + server_time)
    }

    /// The address of a name in a container's `/etc/hosts`.
    fn hosts_file(&self, container: &Id, name: &str) -> Option<String> {
        let bytes = self.cri.read_file(container, "/etc/hosts")?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or("").split_whitespace());
        lines.find_map(|mut words| {
            let address = words.next()?;
            words.any(|word| word == name).then(|| address.to_owned())
        })
    }

    /// Brings an HTTP request to a sandbox, and on from there if it is a proxy's.
    pub(super) fn deliver(&mut self, sandbox: &Id, request: HttpRequest, now: Time) -> NetworkAnswer {
        let bad_gateway = || NetworkAnswer::Http(HttpAnswer::text(502, "502 Bad Gateway\n"));
        let (mut at, mut request) = (sandbox.clone(), request);
        for step in 0..FORWARDS_MAX {
            match self.cri.http(&at, &request, now) {
                NetworkAnswer::Forward(onward) => {
                    let is_loopback = onward.host == "localhost" || onward.host.starts_with("127.");
                    let target = if is_loopback { Some(at.clone()) } else { self.sandbox_at(&onward.host) };
                    let Some(target) = target else { return bad_gateway() };
                    (at, request) = (target, *onward);
                }
                NetworkAnswer::Http(answer) => return NetworkAnswer::Http(answer),
                // The proxy is there, but not what is behind it.
                _ if step > 0 => return bad_gateway(),
                answer => return answer,
            }
        }
        bad_gateway()
    }
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
