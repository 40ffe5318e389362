//! Carrying: what becomes of a request at each place that it comes to.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::api::Name;
use crate::client::Client;
use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest};
use crate::node::kubelet::Kubelet;
use crate::node::network::{Aim, INGRESS_ADDRESS, LocalPod, Outgoing, PolicyAgent};
use crate::node::proxy::{Destination, KubeProxy, Rule, Verdict};

use super::super::bootstrap::{API_SERVER, API_SERVER_PORT};
use super::super::cluster::Cluster;
use super::super::processes::{ProcessId, Program};
use super::super::queue::Event;
use super::internet;
use super::packet::{Flow, Hop, INGRESS_POD, Packet, Requester, Source, party};

/// How long the kernel tries to connect: `tcp_syn_retries` of 6.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
/// How long a proxy does: nginx's `proxy_connect_timeout`.
const PROXY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the ingress controller tries to connect: `proxy-connect-timeout`.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the kernel looks for a neighbour that is not there.
const NO_ROUTE_TIME: Duration = Duration::from_secs(3);
/// The address of whoever is outside of the cluster.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// How many answers to single requests from outside are kept.
const OUTSIDE_MAX: usize = 1_024;
/// How many proxies may pass a request on.
const FORWARDS_MAX: u8 = 5;

impl Cluster {
    /// Takes what left the pods of a machine on its way.
    #[inline(never)]
    pub(in crate::sim) fn carry_off(&mut self, id: &ProcessId, outgoing: Vec<Outgoing>) {
        let ProcessId::Kubelet(node) = id else { return };
        for one in outgoing {
            let Ok(address) = one.from.address.parse() else { continue };
            let requester = Requester::Process { node: node.clone(), sender: one.sender };
            let source = Source { node: Some(node.clone()), pod: Some(one.from), address };
            let flow = Flow { background: one.background, ..Flow::new(requester, source, one.request, self.now) };
            self.emit(flow, one.aim);
        }
    }

    /// Sends a request from outside of the cluster, to an address. Answers its number, by which its answer is asked for.
    pub fn send_from_outside(&mut self, request: NetworkRequest) -> u64 {
        let aim = Aim::Address(request.address().to_owned());
        self.begin(Source { node: None, pod: None, address: OUTSIDE }, request, 0, aim)
    }

    /// Carries on what a proxy in a pod passes on of a request that was brought to the pod.
    pub(in crate::sim) fn pass_on(&mut self, node: &Name, pod: LocalPod, onward: &HttpRequest) -> u64 {
        let request = NetworkRequest::Http(onward.clone());
        let aim = self.machine_at(node).map(|kubelet| kubelet.aim_of(&pod, &request));
        let address = pod.address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let aim = aim.unwrap_or_else(|| Aim::Address(String::new()));
        self.begin(Source { node: Some(node.clone()), pod: Some(pod), address }, request, 1, aim)
    }

    /// Sends a single request whose answer is kept.
    fn begin(&mut self, source: Source, request: NetworkRequest, forwards: u8, aim: Aim) -> u64 {
        self.network.generators += 1;
        let number = self.network.generators;
        self.network.outside.insert(number, None);
        while self.network.outside.len() > OUTSIDE_MAX {
            self.network.outside.pop_min();
        }
        let flow = Flow { forwards, ..Flow::new(Requester::Outside(number), source, request, self.now) };
        self.emit(flow, aim);
        number
    }

    /// What came of a request from outside; nothing while it is under way or when it is forgotten.
    #[must_use]
    pub fn outside_answer(&self, number: u64) -> Option<&NetworkAnswer> {
        self.network.outside.get(&number)?.as_ref()
    }

    /// A packet arrives. Answers whom it reached.
    #[inline(never)]
    pub(in crate::sim) fn arrive(&mut self, packet: Packet) -> ProcessId {
        match packet {
            Packet::Query(flow, lookup) => {
                self.arrive_query(flow, &lookup);
                ProcessId::ClusterDns
            }
            Packet::Resolved(flow, answer) => {
                let reached = of_node(flow.source.node.as_ref());
                self.arrive_resolved(flow, answer);
                reached
            }
            Packet::Request(flow, hop) => {
                let reached = ProcessId::Kubelet(hop.node.clone());
                self.arrive_request(flow, &hop);
                reached
            }
            Packet::Api(flow) => {
                self.arrive_at_api_server(flow);
                ProcessId::ApiServer
            }
            Packet::Ingress(flow) => match flow.address.filter(|address| *address != INGRESS_ADDRESS) {
                Some(address) => {
                    self.arrive_at_gateway(flow, address);
                    ProcessId::GatewayController
                }
                None => {
                    self.arrive_ingress(flow);
                    ProcessId::IngressController
                }
            },
            Packet::Onward(flow, address, port) => {
                self.travel(flow, address, port);
                ProcessId::IngressController
            }
            Packet::Answer(flow, answer) => self.arrive_answer(flow, answer),
            Packet::Tick(name, number) => {
                self.tick(&name, number);
                ProcessId::Outside
            }
        }
    }

    pub(super) fn post(&mut self, after: Duration, packet: Packet, background: bool) {
        self.queue.push(self.now + after, Event::Packet(Box::new(packet)), background);
    }

    /// Sends a request to an address, or asks for the address first.
    pub(super) fn emit(&mut self, flow: Flow, aim: Aim) {
        match aim {
            Aim::Address(address) => match address.parse() {
                Ok(address) => self.depart(flow, address),
                Err(_) => self.lose(flow),
            },
            Aim::Lookup(lookup) => self.ask(flow, lookup),
        }
    }

    /// A request leaves for an address: by the rules of its node, or into the cluster from outside.
    pub(super) fn depart(&mut self, mut flow: Flow, address: Ipv4Addr) {
        flow.address = flow.address.or(Some(address));
        let port = flow.request.port().unwrap_or(0);
        let Some(node) = flow.source.node.clone() else { return self.enter(flow, address, port) };
        let destination = Destination::tcp(Some(address), port);
        match self.rule(&node, &destination) {
            Some(rule) => {
                self.follow(flow, &node, from_here(rule));
            }
            None => self.travel(flow, address, port),
        }
    }

    /// A request does what a node's rule says.
    fn follow(&mut self, mut flow: Flow, node: &Name, rule: Rule) {
        flow.service = Some(rule.service.clone());
        if !rule.admits(flow.source.address) {
            return self.lose(flow);
        }
        let picked = self.network.pick(&rule, node, flow.source.address, self.now);
        let own_address = self.machine_at(node).and_then(|kubelet| kubelet.config().internal_ip.parse().ok());
        if let Some(address) = own_address.filter(|_| !rule.keeps_source) {
            flow.source = Source { node: Some(node.clone()), pod: None, address };
        }
        match rule.verdict {
            Verdict::Endpoints(_) => match picked {
                Some((address, port)) => self.travel(flow, address, port),
                None => self.lose(flow),
            },
            Verdict::Reject => {
                let latency = self.profile.latencies.packet_local();
                self.finish(flow, NetworkAnswer::Refused { address: String::new() }, latency);
            }
            Verdict::Drop => self.lose(flow),
        }
    }

    /// A request comes from outside: to a node, or to a load balancer, which passes it on to one.
    fn enter(&mut self, mut flow: Flow, address: Ipv4Addr, port: u16) {
        let is_ingress = address == INGRESS_ADDRESS && self.is_running(&ProcessId::IngressController);
        if is_ingress || self.is_gateway(address) {
            // A proxy may have passed on what was sent to another address.
            flow.address = Some(address);
            let latency = self.profile.latencies.packet_outside();
            flow.travelled += latency;
            let background = flow.background;
            return self.post(latency, Packet::Ingress(flow), background);
        }
        match self.outer_node(address, port) {
            Some(node) => self.hop(flow, node, address, port),
            None => self.leave(flow, address),
        }
    }

    /// A request leaves the cluster for somebody in the world, if there is anybody.
    #[inline(never)]
    fn leave(&mut self, flow: Flow, address: Ipv4Addr) {
        let is_reachable = self.is_reachable(flow.source.node.as_ref());
        match internet::answer(&flow.request, address, OUTSIDE).filter(|_| is_reachable) {
            Some(NetworkAnswer::TimedOut { .. }) | None => self.lose(flow),
            Some(answer) => {
                let latency = self.profile.latencies.packet_outside() * 2;
                self.finish(flow, answer, latency);
            }
        }
    }

    /// The node that takes what comes from outside for an address.
    fn outer_node(&mut self, address: Ipv4Addr, port: u16) -> Option<Name> {
        if let Some(node) = self.node_at(address).filter(|(_, is_own)| *is_own) {
            return Some(node.0);
        }
        let nodes = self.cloud()?.balanced(address)?;
        // Its health checks find the nodes that would only drop what comes, or whose endpoints are all about to end.
        let destination = Destination::tcp(Some(address), port);
        let mut healthy: Vec<Name> = Vec::new();
        let mut ready: Vec<Name> = Vec::new();
        for node in nodes.iter().filter(|node| self.is_reachable(Some(node))) {
            let Some(rule) = self.rule(node, &destination).filter(|rule| rule.verdict != Verdict::Drop) else {
                continue;
            };
            let is_cluster_wide = rule.from_own_pods.is_none();
            if is_cluster_wide || self.proxy_at(node).is_some_and(|proxy| proxy.ready_here(&rule.service) > 0) {
                ready.push(node.clone());
            }
            healthy.push(node.clone());
        }
        let healthy = if ready.is_empty() { healthy } else { ready };
        let index = self.network.random.below(healthy.len() as u64);
        healthy.get(usize::try_from(index).unwrap_or(0)).cloned()
    }

    /// A request goes to the machine that has an address.
    pub(super) fn travel(&mut self, mut flow: Flow, address: Ipv4Addr, port: u16) {
        if address == API_SERVER {
            let target = party(None, address);
            let is_allowed =
                self.policies().is_none_or(|agent| agent.allows(&flow.source.party(), &target, Some(port), "TCP"));
            if !(is_allowed && self.is_reachable(flow.source.node.as_ref())) {
                return self.lose(flow);
            }
            let latency = self.profile.latencies.packet();
            flow.travelled += latency;
            if port != API_SERVER_PORT {
                return self.finish(flow, NetworkAnswer::Refused { address: String::new() }, latency);
            }
            let background = flow.background;
            return self.post(latency, Packet::Api(flow), background);
        }
        match self.node_at(address) {
            Some((node, _)) => self.hop(flow, node, address, port),
            // What is not within the cluster leaves it, and may come in again by a load balancer.
            None => self.enter(flow, address, port),
        }
    }

    /// A request goes to a machine.
    fn hop(&mut self, mut flow: Flow, node: Name, address: Ipv4Addr, port: u16) {
        let latencies = &self.profile.latencies;
        let latency = match &flow.source.node {
            Some(own) if *own == node => latencies.packet_local(),
            Some(_) => latencies.packet(),
            None if flow.source.address == INGRESS_POD => latencies.packet(),
            None => latencies.packet_outside(),
        };
        let is_local = flow.source.node.as_ref() == Some(&node);
        let is_connected = || self.is_reachable(flow.source.node.as_ref()) && self.is_reachable(Some(&node));
        if !(is_local || is_connected()) {
            return self.lose(flow);
        }
        flow.travelled += latency;
        let background = flow.background;
        self.post(latency, Packet::Request(flow, Hop { node, address, port }), background);
    }

    /// A request arrives at a machine.
    fn arrive_request(&mut self, mut flow: Flow, hop: &Hop) {
        let now = self.now;
        let Some(kubelet) = self.machine_at(&hop.node) else { return self.lose(flow) };
        if let Some(pod) = kubelet.pod_at(hop.address) {
            return self.reach(flow, &hop.node, &pod, hop.port);
        }
        let is_own = self.node_at(hop.address).is_some_and(|(node, is_own)| is_own && node == hop.node);
        if !is_own && kubelet.has_address(hop.address) {
            // The pod is gone, and its machine's kernel looks for it in vain.
            return self.finish(flow, NetworkAnswer::Unreachable { address: String::new() }, NO_ROUTE_TIME);
        }
        let by_port = kubelet.host_port(hop.port, now);
        let of_node = self.rule(&hop.node, &Destination::tcp(None, hop.port)).filter(|_| is_own);
        let rule = self.rule(&hop.node, &Destination::tcp(Some(hop.address), hop.port)).or(of_node);
        if let Some(rule) = rule {
            let is_from_here = flow.source.node.as_ref() == Some(&hop.node);
            let rule = if is_from_here { from_here(rule) } else { rule };
            flow.source.node = Some(hop.node.clone());
            return self.follow(flow, &hop.node, rule);
        }
        if let Some(answer) = self.proxy_at(&hop.node).filter(|_| is_own).and_then(|proxy| proxy.health(hop.port, now))
        {
            let answer = match flow.request {
                NetworkRequest::Http(_) => NetworkAnswer::Http(answer),
                _ => NetworkAnswer::Connected { address: String::new() },
            };
            return self.finish(flow, answer, Duration::ZERO);
        }
        if let Some((pod, port)) = by_port {
            return self.reach(flow, &hop.node, &pod, port);
        }
        let answer = match flow.request {
            NetworkRequest::Ping { .. } => NetworkAnswer::Connected { address: String::new() },
            _ => NetworkAnswer::Refused { address: String::new() },
        };
        self.finish(flow, answer, Duration::ZERO);
    }

    /// A request reaches a pod, if the policies let it.
    fn reach(&mut self, mut flow: Flow, node: &Name, pod: &LocalPod, port: u16) {
        let Ok(address) = pod.address.parse() else { return self.lose(flow) };
        flow.pod = Some(pod.key());
        let (source, target) = (flow.source.party(), party(Some(pod), address));
        let is_port = flow.request.port().map(|_| port);
        if self.policies().is_some_and(|agent| !agent.allows(&source, &target, is_port, "TCP")) {
            return self.lose(flow);
        }
        let request = at_port(&flow.request, port);
        let server = self.machine_at(node).and_then(|kubelet| kubelet.server_of(pod, port, self.now));
        flow.server = server.map(|server| (node.clone(), server));
        let source = flow.source.address.to_string();
        let id = ProcessId::Kubelet(node.clone());
        let received = self.on_kubelet(&id, |kubelet, client| kubelet.receive(pod, &request, &source, client));
        match received {
            None => self.lose(flow),
            Some(NetworkAnswer::Forward(onward)) if flow.forwards < FORWARDS_MAX => {
                let onward = NetworkRequest::Http(*onward);
                let aim = self.machine_at(node).map(|kubelet| kubelet.aim_of(pod, &onward));
                flow.source = Source { node: Some(node.clone()), pod: Some(pod.clone()), address };
                flow.request = onward;
                flow.forwards += 1;
                match aim {
                    Some(aim) => self.emit(flow, aim),
                    None => self.lose(flow),
                }
            }
            Some(NetworkAnswer::Http(answer)) => {
                let latency = answer.latency;
                self.finish(flow, NetworkAnswer::Http(answer), latency);
            }
            Some(answer) => self.finish(flow, answer, Duration::ZERO),
        }
    }

    /// Puts an answer on its way back. The ingress controller tries another endpoint first, if one does not answer.
    pub(super) fn finish(&mut self, mut flow: Flow, answer: NetworkAnswer, after: Duration) {
        let patience = flow.patience.unwrap_or(PROXY_TIMEOUT);
        if flow.forwards > 0 && after > patience && matches!(answer, NetworkAnswer::Http(_)) {
            return self.finish(flow, NetworkAnswer::TimedOut { address: String::new() }, patience);
        }
        let is_failure = matches!(answer, NetworkAnswer::Refused { .. } | NetworkAnswer::Unreachable { .. });
        if is_failure && let Some((address, port)) = flow.others.pop() {
            let background = flow.background;
            return self.post(after.min(UPSTREAM_TIMEOUT), Packet::Onward(flow, address, port), background);
        }
        let mut answer = flow.answer(answer);
        if let NetworkAnswer::Http(answer) = &mut answer {
            flow.changes.iter().for_each(|change| change.apply(&mut answer.headers));
        }
        let (after, background) = (after + flow.travelled, flow.background);
        self.post(after, Packet::Answer(flow, answer), background);
    }

    /// A request is lost; whoever sent it gives up some time.
    pub(super) fn lose(&mut self, mut flow: Flow) {
        if let Some((address, port)) = flow.others.pop() {
            let background = flow.background;
            return self.post(UPSTREAM_TIMEOUT, Packet::Onward(flow, address, port), background);
        }
        let patience = match &flow.requester {
            Requester::Traffic(name, _) => self.network.traffic.get(name).map_or(CONNECT_TIMEOUT, |one| one.timeout()),
            _ if flow.forwards > 0 => flow.patience.unwrap_or(PROXY_TIMEOUT),
            Requester::Process { .. } | Requester::Outside(_) | Requester::Nobody => CONNECT_TIMEOUT,
        };
        let after = (flow.sent + patience).since(self.now);
        let answer = flow.answer(NetworkAnswer::TimedOut { address: String::new() });
        // Whoever waits knows by itself for how long.
        self.post(after, Packet::Answer(flow, answer), true);
    }

    /// An answer reaches who waits for it.
    fn arrive_answer(&mut self, flow: Flow, mut answer: NetworkAnswer) -> ProcessId {
        if let (Some((node, server)), NetworkAnswer::Http(_)) = (&flow.server, &answer) {
            let left = self.now - flow.travelled;
            match self.machine_at(node) {
                Some(kubelet) if kubelet.ran_until(server, left) => {}
                Some(_) => answer = flow.answer(NetworkAnswer::Reset),
                None => {
                    let id = of_node(flow.source.node.as_ref());
                    self.lose(flow);
                    return id;
                }
            }
        }
        if let Some(journey) = flow.journey(&answer, self.now) {
            self.network.journeys.push(journey);
        }
        match &flow.requester {
            Requester::Process { node, sender } => {
                let id = ProcessId::Kubelet(node.clone());
                self.on_kubelet(&id, |kubelet: &mut Kubelet, client: &mut Client<'_>| {
                    kubelet.answer(sender, answer, client);
                });
                id
            }
            Requester::Nobody => ProcessId::Outside,
            Requester::Outside(number) => {
                if let Some(place) = self.network.outside.get_mut(number) {
                    *place = Some(answer);
                }
                ProcessId::Outside
            }
            Requester::Traffic(name, number) => {
                self.count(name, *number, flow.sent, &answer);
                ProcessId::Outside
            }
        }
    }

    /// Whether a machine runs and is on the network; the world outside always is.
    pub(super) fn is_reachable(&self, node: Option<&Name>) -> bool {
        let state = |node: &Name| self.process_state(&ProcessId::Kubelet(node.clone()));
        node.is_none_or(|node| state(node).is_some_and(|state| state.running && state.connected))
    }

    pub(in crate::sim) fn is_running(&self, id: &ProcessId) -> bool {
        self.process_state(id).is_some_and(|state| state.running)
    }

    /// The kubelet of a machine that runs.
    pub(super) fn machine_at(&self, node: &Name) -> Option<&Kubelet> {
        let slot = self.processes.get(&ProcessId::Kubelet(node.clone()))?;
        match &slot.program {
            Program::Kubelet(kubelet) if slot.state.running => Some(kubelet),
            _ => None,
        }
    }

    /// The machine that has an address or gives it to its pods, and whether it is its own.
    fn node_at(&self, address: Ipv4Addr) -> Option<(Name, bool)> {
        let by_name = self.cloud().and_then(|cloud| cloud.machine_at(address));
        if let Some(name) = by_name {
            return Some((name, true));
        }
        self.processes.iter().find_map(|(id, slot)| match (id, &slot.program) {
            (ProcessId::Kubelet(node), Program::Kubelet(kubelet)) if kubelet.has_address(address) => {
                Some((node.clone(), kubelet.is_own_address(address)))
            }
            _ => None,
        })
    }

    /// What a node's kube-proxy does for a destination. Its rules stay in the node's kernel when it is cut off.
    fn rule(&self, node: &Name, destination: &Destination) -> Option<Rule> {
        self.proxy_rules(node)?.get(destination).cloned()
    }

    /// The kube-proxy of a node, if it runs.
    fn proxy_at(&self, node: &Name) -> Option<&KubeProxy> {
        match &self.processes.get(&ProcessId::KubeProxy(node.clone())).filter(|slot| slot.state.running)?.program {
            Program::KubeProxy(program) => Some(program),
            _ => None,
        }
    }

    pub(super) fn policies(&self) -> Option<&PolicyAgent> {
        match &self.processes.get(&ProcessId::PolicyAgent)?.program {
            Program::PolicyAgent(program) => Some(program),
            _ => None,
        }
    }
}

/// A rule as it is for what comes from its own node, from there on which no other node has a say: whatever the Service's
/// external policy is, all endpoints will do.
fn from_here(rule: Rule) -> Rule {
    let verdict = rule.from_own_pods.clone().unwrap_or(rule.verdict);
    Rule { verdict, ..rule }
}

fn of_node(node: Option<&Name>) -> ProcessId {
    node.map_or(ProcessId::Outside, |node| ProcessId::Kubelet(node.clone()))
}

/// A request at the port that its address was exchanged for.
fn at_port(request: &NetworkRequest, port: u16) -> NetworkRequest {
    match request {
        NetworkRequest::Http(http) => NetworkRequest::Http(HttpRequest { port, ..http.clone() }),
        NetworkRequest::Connect { host, .. } => NetworkRequest::Connect { host: host.clone(), port },
        other => other.clone(),
    }
}
