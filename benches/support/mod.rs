//! Clusters that benchmarks begin with, built as a user would build them.

#![allow(dead_code, reason = "each benchmark uses its part")]

use std::time::Duration;

use kubetab::api::{Kind, Object};
use kubetab::apiserver::{Body, Request, Target, User, Verb, WriteOptions};
use kubetab::etcd::{Cause, Why};
use kubetab::session::{Action, File, Session, SessionConfig};
use kubetab::sim::{Cluster, Profile};
use serde_json::{Value, json};

pub const NODES: u32 = 1_000;
pub const PODS: usize = 10_000;

/// How long new nodes get to become ready.
const SETTLED: Duration = Duration::from_secs(30);

fn profile(nodes: u32) -> Profile {
    Profile { nodes, ..Profile::default() }
}

/// A cluster of so many nodes, all ready.
pub fn cluster_of(nodes: u32) -> Cluster {
    let mut cluster = Cluster::new(profile(nodes), 1);
    cluster.run_for(SETTLED);
    cluster
}

/// A session with so many nodes, all ready.
pub fn session(nodes: u32) -> Session {
    let mut session = Session::new(SessionConfig { profile: profile(nodes), ..SessionConfig::default() });
    session.run_until(session.now() + SETTLED);
    session
}

pub fn request(target: Target, verb: Verb) -> Request {
    Request { user: User::admin(), cause: Cause::new("bench", Why::plain("A benchmark writes.")), target, verb }
}

/// A request as kubectl sends it: its body is JSON.
pub fn create_json(kind: Kind, namespace: &str, value: Value) -> Request {
    let verb = Verb::Create { body: Body::Json(value), options: WriteOptions::default() };
    request(Target::collection(kind, namespace), verb)
}

pub fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.27",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]},
    })
}

/// Creates pods, all in one moment.
pub fn create_pods(cluster: &mut Cluster, count: usize) {
    for index in 0..count {
        let request = create_json(Kind::Pod, "default", pod(&format!("web-{index}")));
        cluster.request(request).expect("a pod is created");
    }
}

pub fn deployment(name: &str, replicas: u32) -> Action {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  selector: \
         {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers:\n      - {{name: web, image: 'nginx:1.27'}}\n"
    );
    Action::Apply {
        files: vec![File { name: format!("{name}.yaml"), text }],
        namespace: "default".to_owned(),
        dry_run: false,
    }
}

fn count_pods(cluster: &Cluster, counts: impl Fn(&k8s_openapi::api::core::v1::Pod) -> bool) -> usize {
    let pods = cluster.api().etcd().range(Kind::Pod, None);
    pods.filter(|(_, object)| matches!(object, Object::Pod(pod) if counts(pod))).count()
}

/// How many pods have a node.
pub fn bound(cluster: &Cluster) -> usize {
    count_pods(cluster, |pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some()))
}

/// How many pods are ready.
pub fn ready(cluster: &Cluster) -> usize {
    count_pods(cluster, |pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}

/// Does something, and runs until so many pods are ready.
pub fn run_to_ready(mut session: Session, action: Action, pods: usize) -> Session {
    let outcome = session.act(action).expect("the session takes a small action");
    assert!(outcome.is_success(), "{outcome:?}");
    let limit = session.now() + Duration::from_secs(3600);
    while ready(session.cluster()) < pods && session.now() < limit {
        session.run_until(session.now() + Duration::from_secs(5));
    }
    assert_eq!(ready(session.cluster()), pods);
    session
}
