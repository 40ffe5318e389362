//! Deployments on a whole cluster: scheduled, rolled, scaled, undone, and within their bounds at every step.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kubetab::api::{Kind, Object};
use kubetab::session::{Action, File, NodeName, Session, SessionConfig};
use kubetab::sim::Invariants;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'nginx:1.27', ports: [{containerPort: 80}]}
";

fn apply(session: &mut Session, text: &str) {
    let files = vec![File { name: "web.yaml".to_owned(), text: text.to_owned() }];
    let outcome = session
        .act(Action::Apply { files, namespace: "default".to_owned(), dry_run: false })
        .expect("the session takes a small action");
    assert!(outcome.is_success(), "{outcome:?}");
}

fn session() -> Session {
    let mut session = Session::new(SessionConfig::default());
    let start = session.now();
    session.run_until(start + Duration::from_secs(20));
    session
}

fn run(session: &mut Session, seconds: u64) {
    session.run_until(session.now() + Duration::from_secs(seconds));
}

fn all<K: kubetab::api::Resource>(session: &Session, kind: Kind) -> Vec<K> {
    let etcd = session.cluster().api().etcd();
    etcd.range(kind, None)
        .filter_map(|(_, object)| Object::downcast::<K>(object))
        .map(|object| (**object).clone())
        .collect()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[test]
fn three_replicas_come_to_run_on_nodes() {
    let mut session = session();
    apply(&mut session, WEB);
    run(&mut session, 30);
    let pods: Vec<Pod> = all(&session, Kind::Pod);
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        assert!(is_ready(pod), "{:#?}", pod.status);
        assert!(pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()));
    }
    let [deployment] = all::<Deployment>(&session, Kind::Deployment).try_into().expect("one Deployment");
    let status = deployment.status.expect("it has a status");
    assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (Some(3), Some(3), Some(3)));
}

#[test]
fn a_rolling_update_stays_within_its_bounds_at_every_step() {
    let mut session = session();
    apply(&mut session, WEB);
    run(&mut session, 30);
    apply(&mut session, &WEB.replace("nginx:1.27", "nginx:1.28"));
    let end = session.now() + Duration::from_secs(60);
    let mut invariants = Invariants::default();
    while session.step().is_some_and(|step| step.time < end) {
        assert_eq!(invariants.check(session.cluster()), Ok(()));
        let sets: Vec<ReplicaSet> = all(&session, Kind::ReplicaSet);
        let total: i32 = sets.iter().filter_map(|set| set.spec.as_ref()?.replicas).sum();
        let pods: Vec<Pod> = all(&session, Kind::Pod);
        let available = pods.iter().filter(|pod| is_ready(pod) && pod.metadata.deletion_timestamp.is_none()).count();
        assert!(total <= 4, "at most one pod more than wanted: {total}");
        assert!(available >= 3, "no pod fewer than wanted: {available}");
    }
    let pods: Vec<Pod> = all(&session, Kind::Pod);
    assert_eq!(pods.len(), 3);
    for pod in pods {
        let image = pod.spec.and_then(|spec| spec.containers.into_iter().next()?.image);
        assert_eq!(image.as_deref(), Some("nginx:1.28"));
    }
}

#[test]
fn pods_of_a_dead_node_move_after_their_toleration() {
    let mut session = session();
    apply(&mut session, WEB);
    run(&mut session, 30);
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
    let lost = node(&all::<Pod>(&session, Kind::Pod)[0]);
    let outcome = session.act(Action::StopNode(NodeName { name: lost.clone() })).expect("a small action is taken");
    assert!(outcome.is_success(), "{outcome:?}");
    let mut invariants = Invariants::default();
    let ready_elsewhere = |session: &Session| {
        let pods: Vec<Pod> = all(session, Kind::Pod);
        pods.iter().filter(|pod| is_ready(pod) && node(pod) != lost).count()
    };
    let stopped = session.now();
    // Forty to fifty seconds until the silence is noticed, up to ten for the taint, and 300 of toleration.
    for (seconds, expected) in [(30, false), (300, false), (420, true)] {
        while session.now() < stopped + Duration::from_secs(seconds) {
            session.step();
            assert_eq!(invariants.check(session.cluster()), Ok(()));
        }
        assert_eq!(ready_elsewhere(&session) == 3, expected, "{seconds} s after the node died");
    }
}

#[test]
fn a_crashed_container_is_started_again() {
    let mut session = session();
    apply(&mut session, WEB);
    run(&mut session, 30);
    let restarts = |session: &Session| -> i32 {
        let pods: Vec<Pod> = all(session, Kind::Pod);
        let statuses =
            pods.iter().flat_map(|pod| pod.status.iter()).flat_map(|status| status.container_statuses.iter());
        statuses.flatten().map(|status| status.restart_count).sum()
    };
    assert_eq!(restarts(&session), 0);
    let pod = all::<Pod>(&session, Kind::Pod)[0].metadata.name.clone().unwrap_or_default();
    let crash = Action::CrashContainer { namespace: "default".to_owned(), pod, container: String::new() };
    let outcome = session.act(crash).expect("a small action is taken");
    assert!(outcome.is_success(), "{outcome:?}");
    run(&mut session, 30);
    assert_eq!(restarts(&session), 1);
    assert!(all::<Pod>(&session, Kind::Pod).iter().all(is_ready));
}
