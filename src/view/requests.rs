//! Requests of the simulated network as the page shows them: who sends them, where they went, what became of them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use serde::{Deserialize, Serialize};

use crate::api::{Kind, ObjectKey};
use crate::etcd::Etcd;
use crate::machinery::order::Order as _;
use crate::sim::{Cluster, Origin, TrafficSpec};

use super::Subject;
use super::scene::Scene;

/// How many seconds of a client are shown.
const SECONDS_SHOWN: usize = 60;
/// How many ways a frame brings at most.
const FLIGHTS_MAX: usize = 40;

/// A client that sends requests at a rate, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub url: String,
    /// Where it stands: `pod/NAME`, `node/NAME`, or empty outside of the cluster.
    pub from: String,
    /// How many requests it sends in a second.
    pub per_second: u32,
    /// Whether it goes on.
    pub running: bool,
    /// How many it sent.
    pub sent: u64,
    /// How many were answered well.
    pub succeeded: u64,
    /// How many failed, by how they did.
    pub failures: Vec<(String, u64)>,
    /// Half of the good answers came within so many milliseconds.
    pub median_ms: Option<u64>,
    /// 99 of 100 good answers came within so many milliseconds.
    pub p99_ms: Option<u64>,
    /// The last answer.
    pub last: String,
    /// Of each of the last seconds, how many were answered well and how many failed; the newest is the last.
    pub seconds: Vec<(u32, u32)>,
}

/// What all clients came to.
#[must_use]
pub fn clients(cluster: &Cluster) -> Vec<ClientView> {
    let view = |(spec, report): (&TrafficSpec, &crate::sim::TrafficReport)| {
        let last = report.seconds.back().map_or(0, |second| second.second);
        let first = (last + 1).saturating_sub(SECONDS_SHOWN as u64);
        let mut seconds = vec![(0, 0); usize::try_from(last + 1 - first).unwrap_or(0)];
        for second in &report.seconds {
            let place = second.second.checked_sub(first).and_then(|place| usize::try_from(place).ok());
            if let Some(place) = place.and_then(|place| seconds.get_mut(place)) {
                *place = (second.succeeded, second.failed);
            }
        }
        let from = spec.from.as_ref().map_or_else(String::new, |from| match from.pod.as_str() {
            "" => format!("node/{}", from.node),
            pod => format!("pod/{pod}"),
        });
        ClientView {
            name: spec.name.clone(),
            url: spec.url.clone(),
            from,
            per_second: spec.per_second,
            running: report.running,
            sent: report.sent,
            succeeded: report.succeeded,
            failures: report.failures.iter().map(|(how, count)| (how.clone(), *count)).collect(),
            median_ms: report.latency_ms(500),
            p99_ms: report.latency_ms(990),
            last: report.last.clone(),
            seconds,
        }
    };
    cluster.traffic().map(view).collect()
}

/// Where requests set out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// Outside of the cluster.
    Outside,
    /// A node, by its name.
    Node(String),
    /// A pod, by its uid.
    Pod(String),
}

/// The way that requests went, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flight {
    /// Where they set out.
    pub from: Place,
    /// The uid of the Service that they went through.
    pub service: Option<String>,
    /// The uid of the pod that they came to.
    pub pod: Option<String>,
    /// Whether they were answered well.
    pub succeeded: bool,
    /// How many there were.
    pub count: u32,
}

fn uid(etcd: &Etcd, kind: Kind, key: &ObjectKey) -> Option<String> {
    Some(etcd.get(kind, key)?.uid().to_owned())
}

/// The requests that came to their end after number `told`, those of one way together. `scene` says which Service a pod
/// belongs to that was reached without one: an ingress controller knows the endpoints by itself.
pub fn new_flights(cluster: &Cluster, scene: &Scene, told: &mut u64) -> Vec<Flight> {
    let journeys = cluster.journeys();
    let etcd = cluster.api().etcd();
    let mut ways: BTreeMap<Flight, u32> = BTreeMap::new();
    for journey in journeys.since(*told) {
        let from = match &journey.origin {
            Origin::Outside => Place::Outside,
            Origin::Node(node) => Place::Node(node.to_string()),
            Origin::Pod(pod) => match uid(etcd, Kind::Pod, pod) {
                Some(uid) => Place::Pod(uid),
                None => continue,
            },
        };
        let pod = journey.pod.as_ref().and_then(|pod| uid(etcd, Kind::Pod, pod));
        let of_pod = || {
            let pod = pod.as_ref().filter(|_| from == Place::Outside)?;
            let mut services = scene.services.iter();
            services.find(|(_, service)| service.ready.contains(pod)).map(|(uid, _)| uid.clone())
        };
        let service = journey.service.as_ref().and_then(|service| uid(etcd, Kind::Service, service)).or_else(of_pod);
        let way = Flight { from, service, pod, succeeded: journey.succeeded, count: 0 };
        *ways.entry(way).or_default() += 1;
    }
    *told = journeys.end();
    let flights = ways.into_iter().map(|(way, count)| Flight { count, ..way });
    flights.take(FLIGHTS_MAX).collect()
}

/// An address at which something can be reached, for somebody who wants to send requests to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The URL.
    pub url: String,
    /// Whether it can be reached from outside of the cluster.
    pub outside: bool,
}

/// Where a Service is reached: from outside where it has an address there, otherwise at its cluster IP.
#[must_use]
pub fn target(etcd: &Etcd, subject: &Subject) -> Option<Target> {
    let object = etcd.get(subject.known_kind()?, &subject.key())?;
    let at = |host: &str, port: i32, outside: bool| {
        let port = if port == 80 { String::new() } else { format!(":{port}") };
        Some(Target { url: format!("http://{host}{port}/"), outside })
    };
    if let Some(pod) = object.downcast::<k8s_openapi::api::core::v1::Pod>() {
        let port = pod.spec.iter().flat_map(|spec| &spec.containers).flat_map(|one| one.ports.iter().flatten()).next();
        let address = pod.status.as_ref()?.pod_ip.as_deref()?;
        return at(address, port.map_or(80, |port| port.container_port), false);
    }
    let service = object.downcast::<Service>()?;
    let spec = service.spec.as_ref()?;
    let port = spec.ports.as_ref()?.iter().find(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP")?;
    let ingress = service.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref()?.first());
    if let Some(address) = ingress.and_then(|ingress| ingress.ip.as_deref()) {
        return at(address, port.port, true);
    }
    if let Some(node_port) = port.node_port.filter(|port| *port != 0) {
        let mut addresses: Vec<&str> = etcd
            .range(Kind::Node, None)
            .filter_map(|(_, node)| node.downcast::<k8s_openapi::api::core::v1::Node>())
            .flat_map(|node| node.status.iter().flat_map(|status| status.addresses.iter().flatten()))
            .filter(|address| address.type_ == "InternalIP")
            .map(|address| address.address.as_str())
            .collect();
        addresses.order();
        return at(addresses.first()?, node_port, true);
    }
    let address = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")?;
    at(address, port.port, false)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::{Action, File, Session, SessionConfig};
    use crate::sim::TrafficSource;
    use crate::view::scene::Filter;

    const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'nginx:1.28', ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
";

    fn act(session: &mut Session, action: Action) {
        let outcome = session.act(action).expect("an action that fits");
        assert!(outcome.is_success(), "{outcome:?}");
    }

    fn running_web() -> Session {
        let mut session = Session::new(SessionConfig::default());
        session.run_until(session.now() + Duration::from_secs(10));
        let files = vec![File { name: "web.yaml".to_owned(), text: WEB.to_owned() }];
        act(&mut session, Action::Apply { files, namespace: "default".to_owned(), dry_run: false });
        session.run_until(session.now() + Duration::from_secs(30));
        session
    }

    #[test]
    fn requests_are_seen_on_their_way_through_a_service_to_its_pods() {
        let mut session = running_web();
        let etcd = |session: &Session| session.cluster().api().etcd().clone();
        let service = Subject::new("Service", "default", "web");
        let target = target(&etcd(&session), &service).expect("a cluster IP");
        assert!(!target.outside && target.url.starts_with("http://10.96."), "{target:?}");
        let from = Some(TrafficSource { node: "node-1".to_owned(), ..TrafficSource::default() });
        let url = target.url;
        act(&mut session, Action::StartTraffic(TrafficSpec { url, from, seconds: 5, ..TrafficSpec::default() }));
        let mut told = session.cluster().journeys().end();
        session.run_until(session.now() + Duration::from_secs(10));
        let scene = Scene::of(&etcd(&session), &Filter::default());
        let flights = new_flights(session.cluster(), &scene, &mut told);
        let (uid, _) = scene.services.first_key_value().expect("the Service");
        assert_eq!(flights.iter().map(|flight| flight.count).sum::<u32>(), 50);
        assert_eq!(flights.len(), 2, "one way to each pod: {flights:?}");
        for flight in &flights {
            assert_eq!((&flight.from, flight.service.as_ref()), (&Place::Node("node-1".to_owned()), Some(uid)));
            assert!(flight.succeeded && flight.pod.as_ref().is_some_and(|pod| scene.pods.contains_key(pod)));
        }
        assert!(new_flights(session.cluster(), &scene, &mut told).is_empty(), "what was told is not told again");
        let clients = clients(session.cluster());
        let [client] = &*clients else { panic!("one client: {clients:?}") };
        assert_eq!((client.sent, client.succeeded, client.running), (50, 50, false));
        assert_eq!(client.seconds.iter().map(|(good, _)| good).sum::<u32>(), 50);
        assert_eq!(client.from, "node/node-1");
    }

    #[test]
    fn what_fails_on_its_way_is_told_with_where_it_did() {
        let mut session = running_web();
        let service = Subject::new("Service", "default", "web");
        let target = target(session.cluster().api().etcd(), &service).expect("a cluster IP");
        let object = crate::session::ObjectName {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
        };
        act(&mut session, Action::Scale { object, replicas: 0 });
        session.run_until(session.now() + Duration::from_secs(60));
        let mut told = session.cluster().journeys().end();
        let from = Some(TrafficSource { node: "node-2".to_owned(), ..TrafficSource::default() });
        act(
            &mut session,
            Action::StartTraffic(TrafficSpec { url: target.url, from, seconds: 1, ..TrafficSpec::default() }),
        );
        session.run_until(session.now() + Duration::from_secs(5));
        let scene = Scene::of(session.cluster().api().etcd(), &Filter::default());
        let flights = new_flights(session.cluster(), &scene, &mut told);
        let [flight] = &*flights else { panic!("one way: {flights:?}") };
        assert_eq!((flight.count, flight.succeeded, &flight.pod), (10, false, &None));
        assert_eq!(clients(session.cluster())[0].failures, [("Connection refused".to_owned(), 10)]);
    }
}
