//! What travels, and what the network itself remembers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};

use crate::api::{Name, ObjectKey};
use crate::machinery::persistent::OrdMap;
use crate::machinery::random::Random;
use crate::machinery::shell::{HttpAnswer, NetworkAnswer, NetworkRequest};
use crate::machinery::time::Time;
use crate::node::network::{HeaderChange, LocalPod, Lookup, Party, Sender};
use crate::node::proxy::{Rule, Verdict};
use crate::node::runtime::Id;

use super::super::activity::{Journey, Origin, Recent};
use super::traffic::Traffic;

/// The address of the ingress controller's pod.
pub(super) const INGRESS_POD: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 2);
/// The address of the DNS server's pod, which stands behind that of its Service.
pub(super) const DNS_POD: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 3);
/// How many requests are remembered that came to their end.
const JOURNEYS_MAX: usize = 1024;
/// How many clients are remembered by the endpoints that they stay with.
const AFFINITIES_MAX: usize = 4096;

/// Who gets an answer.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Requester {
    /// A process in a container.
    Process { node: Name, sender: Sender },
    /// A traffic generator.
    Traffic(Name, u64),
    /// Somebody outside who sent a single request.
    Outside(u64),
    /// Nobody: it is a copy.
    Nobody,
}

/// Where a request comes from, as those see it whom it reaches.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Source {
    /// The machine; none for the world outside.
    pub node: Option<Name>,
    /// The pod, unless a node stands for it.
    pub pod: Option<LocalPod>,
    pub address: Ipv4Addr,
}

impl Source {
    /// What network policies see of it.
    pub fn party(&self) -> Party<'_> {
        party(self.pod.as_ref(), self.address)
    }
}

/// What network policies see of a pod and its address.
pub(super) fn party(pod: Option<&LocalPod>, address: Ipv4Addr) -> Party<'_> {
    Party { pod: pod.filter(|pod| pod.has_own_network()).map(|pod| &*pod.pod), address }
}

/// A request under way.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Flow {
    pub requester: Requester,
    pub source: Source,
    pub request: NetworkRequest,
    /// The address that the requester connects to, once it is known.
    pub address: Option<Ipv4Addr>,
    /// How many proxies have passed it on.
    pub forwards: u8,
    /// What the last of them is.
    pub proxy: Proxy,
    /// How long that one waits for an answer, if not as long as proxies do.
    pub patience: Option<Duration>,
    /// What it changes of the answer's headers.
    pub changes: Vec<HeaderChange>,
    /// Where the ingress controller tries next, last first.
    pub others: Vec<(Ipv4Addr, u16)>,
    /// The container that answers it, with its machine: if it ends before it has answered, the connection is cut.
    pub server: Option<(Name, Id)>,
    /// When it was sent.
    pub sent: Time,
    /// How long it has been on its way between machines, which its answer will be too.
    pub travelled: Duration,
    /// Whether it is part of what goes on for ever.
    pub background: bool,
    /// Who sent it, whatever stands for the sender on the way.
    pub origin: Origin,
    /// The last Service on its way.
    pub service: Option<ObjectKey>,
    /// The last pod that it came to.
    pub pod: Option<ObjectKey>,
}

impl Flow {
    /// A request that is just being sent.
    pub fn new(requester: Requester, source: Source, request: NetworkRequest, sent: Time) -> Self {
        let origin = match (&source.pod, &source.node) {
            (Some(pod), _) => Origin::Pod(pod.key()),
            (None, Some(node)) => Origin::Node(node.clone()),
            (None, None) => Origin::Outside,
        };
        Self {
            requester,
            source,
            request,
            address: None,
            forwards: 0,
            proxy: Proxy::Nginx,
            patience: None,
            changes: Vec::new(),
            others: Vec::new(),
            server: None,
            sent,
            travelled: Duration::ZERO,
            background: false,
            origin,
            service: None,
            pod: None,
        }
    }

    /// What is remembered of it once it has come to its end.
    pub fn journey(&self, answer: &NetworkAnswer, time: Time) -> Option<Journey> {
        let succeeded = match answer {
            NetworkAnswer::Http(answer) => answer.status < 400,
            NetworkAnswer::Connected { .. } => true,
            _ => false,
        };
        let (service, pod) = (self.service.clone(), self.pod.clone());
        let is_known = service.is_some() || pod.is_some();
        is_known.then(|| Journey { time, origin: self.origin.clone(), service, pod, succeeded })
    }

    /// What the requester gets: a proxy on the way stands in for what failed behind it.
    pub fn answer(&self, answer: NetworkAnswer) -> NetworkAnswer {
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        match answer {
            NetworkAnswer::Http(answer) => NetworkAnswer::Http(HttpAnswer { address, ..answer }),
            failure if self.forwards > 0 => NetworkAnswer::Http(HttpAnswer { address, ..self.proxy.failure(&failure) }),
            NetworkAnswer::Connected { .. } => NetworkAnswer::Connected { address },
            NetworkAnswer::Refused { .. } => NetworkAnswer::Refused { address },
            NetworkAnswer::TimedOut { .. } => NetworkAnswer::TimedOut { address },
            NetworkAnswer::Unreachable { .. } => NetworkAnswer::Unreachable { address },
            other => other,
        }
    }
}

/// What passes requests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::sim) enum Proxy {
    /// The ingress controller, or a pod.
    #[default]
    Nginx,
    /// A Gateway.
    Envoy,
}

impl Proxy {
    /// What it says of what failed behind it.
    fn failure(self, failure: &NetworkAnswer) -> HttpAnswer {
        let late = matches!(failure, NetworkAnswer::TimedOut { .. });
        match self {
            Self::Nginx => nginx_page(if late { 504 } else { 502 }),
            Self::Envoy if late => HttpAnswer::text(504, "upstream request timeout"),
            Self::Envoy => {
                let text = "upstream connect error or disconnect/reset before headers. reset reason: ";
                let why = match failure {
                    NetworkAnswer::Reset => "connection termination",
                    NetworkAnswer::Refused { .. } => {
                        "remote connection failure, transport failure reason: delayed connect error: Connection refused"
                    }
                    _ => "connection timeout",
                };
                HttpAnswer::text(503, format!("{text}{why}"))
            }
        }
    }
}

/// nginx's own page for a status.
pub(super) fn nginx_page(status: u16) -> HttpAnswer {
    let reason = match status {
        308 => "Permanent Redirect",
        302 => "Found",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        _ => HttpAnswer::text(status, "").reason(),
    };
    HttpAnswer::text(
        status,
        format!(
            "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n<center><h1>{status} {reason}</h1>\
             </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        ),
    )
}

/// Where a request arrives.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Hop {
    pub node: Name,
    pub address: Ipv4Addr,
    pub port: u16,
}

/// What travels.
#[derive(Clone, Debug)]
pub(in crate::sim) enum Packet {
    /// A question reaches the DNS server.
    Query(Flow, Lookup),
    /// The server's answer reaches the machine whose request goes on.
    Resolved(Flow, NetworkAnswer),
    /// A request reaches a machine.
    Request(Flow, Hop),
    /// A request reaches the API server.
    Api(Flow),
    /// A request reaches the ingress controller.
    Ingress(Flow),
    /// The ingress controller sends a request to an endpoint.
    Onward(Flow, Ipv4Addr, u16),
    /// An answer reaches who waits for it.
    Answer(Flow, NetworkAnswer),
    /// The traffic generator with this number sends its next request.
    Tick(Name, u64),
}

/// The ports of the DNS server's pods, which policies may name.
fn dns_ports() -> Vec<ContainerPort> {
    let port = |name: &str, number: i32, protocol: &str| ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some(protocol.to_owned()),
        ..ContainerPort::default()
    };
    vec![port("dns", 53, "UDP"), port("dns-tcp", 53, "TCP"), port("metrics", 9153, "TCP")]
}

/// A pod of one of the cluster's add-ons, which only network policies see.
fn add_on(namespace: &str, name: &str, (label, value): (&str, &str)) -> Arc<Pod> {
    let mut pod = Pod::default();
    pod.metadata.name = Some(name.to_owned());
    pod.metadata.namespace = Some(namespace.to_owned());
    pod.metadata.labels = Some([(label.to_owned(), value.to_owned())].into());
    Arc::new(pod)
}

/// A client of a port of a Service on a node.
type Affinity = (Name, Ipv4Addr, ObjectKey, String);

/// What the network remembers.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Network {
    /// The network's own chance, so that traffic changes nothing else.
    pub(super) random: Random,
    /// The endpoints that clients stay with, and since when.
    affinities: OrdMap<Affinity, (String, Time)>,
    /// The traffic generators by their names.
    pub(super) traffic: OrdMap<Name, Arc<Traffic>>,
    /// What came of single requests from outside, by their numbers. Nothing while they are under way.
    pub(super) outside: OrdMap<u64, Option<NetworkAnswer>>,
    /// How many generators and single requests there ever were.
    pub(super) generators: u64,
    /// The requests that came to their end lately.
    pub(in crate::sim) journeys: Recent<Journey>,
    /// The pods of the DNS server, as network policies see them.
    pub(super) dns_pod: Arc<Pod>,
    /// The pod of the ingress controller.
    pub(super) ingress_pod: LocalPod,
}

impl Network {
    pub(in crate::sim) fn new(seed: u64) -> Self {
        let mut dns_pod = add_on("kube-system", "coredns", ("k8s-app", "kube-dns"));
        let server = Container { ports: Some(dns_ports()), ..Container::default() };
        Arc::make_mut(&mut dns_pod).spec.get_or_insert_default().containers.push(server);
        let ingress_pod = add_on("ingress-nginx", "controller", ("app.kubernetes.io/name", "ingress-nginx"));
        Self {
            random: Random::new(seed ^ 0x006e_6574_776f_726b),
            affinities: OrdMap::new(),
            traffic: OrdMap::new(),
            outside: OrdMap::new(),
            generators: 0,
            journeys: Recent::new(JOURNEYS_MAX),
            dns_pod,
            ingress_pod: LocalPod { sandbox: Id::from(""), pod: ingress_pod, address: INGRESS_POD.to_string() },
        }
    }

    /// The state of the network's chance, for the hash of a cluster.
    pub(in crate::sim) const fn chance(&self) -> u64 {
        self.random.state()
    }

    /// One of a rule's endpoints: the one that the client had, or any.
    pub(super) fn pick(&mut self, rule: &Rule, node: &Name, client: Ipv4Addr, now: Time) -> Option<(Ipv4Addr, u16)> {
        let Verdict::Endpoints(endpoints) = &rule.verdict else { return None };
        let key = || (node.clone(), client, rule.service.clone(), rule.port_name.clone());
        let stays_for = rule.affinity_seconds.map(|seconds| Duration::from_secs(seconds.max(0).unsigned_abs().into()));
        let known = stays_for.and_then(|stays_for| {
            let (endpoint, since) = self.affinities.get(&key())?;
            (endpoints.contains(endpoint) && now.since(*since) < stays_for).then(|| endpoint.clone())
        });
        let chosen = match known {
            Some(known) => known,
            None => {
                let index = self.random.below(endpoints.len() as u64);
                endpoints.get(usize::try_from(index).unwrap_or(0))?.clone()
            }
        };
        let (address, port) = chosen.rsplit_once(':')?;
        let picked = (address.parse().ok()?, port.parse().ok()?);
        if let Some(stays_for) = stays_for {
            if self.affinities.len() >= AFFINITIES_MAX {
                self.affinities.retain(|_, (_, since)| now.since(*since) < stays_for);
            }
            self.affinities.insert(key(), (chosen, now));
        }
        Some(picked)
    }
}
