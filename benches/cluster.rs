//! What the engine costs: writes to the API server, a large Deployment, a copy and a rewind of it, and an hour of rest.

use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use kubetab::api::{Kind, Object};
use kubetab::apiserver::{ApiServer, Body, Request, Target, User, Verb, WriteOptions};
use kubetab::etcd::{Cause, Why};
use kubetab::machinery::random::Random;
use kubetab::machinery::time::Time;
use kubetab::session::{Action, File, Session, SessionConfig};
use kubetab::sim::Profile;

fn request(target: Target, verb: Verb) -> Request {
    Request { user: User::admin(), cause: Cause::new("bench", Why::plain("A benchmark writes.")), target, verb }
}

fn create(kind: Kind, namespace: &str, value: serde_json::Value) -> Request {
    let object = Object::from_value(kind, value).expect("the benchmark's objects are well-formed");
    let verb = Verb::Create { body: Body::Object(object), options: WriteOptions::default() };
    request(Target::collection(kind, namespace), verb)
}

fn api_writes(criterion: &mut Criterion) {
    let mut api = ApiServer::new();
    let mut random = Random::new(1);
    let now = Time::DEFAULT_START;
    let namespace = serde_json::json!({ "metadata": { "name": "default" } });
    api.handle(now, &mut random, create(Kind::Namespace, "", namespace)).expect("a namespace is created");
    let account = serde_json::json!({ "metadata": { "name": "default", "namespace": "default" } });
    api.handle(now, &mut random, create(Kind::ServiceAccount, "default", account)).expect("an account is created");
    let pod = serde_json::json!({
        "metadata": { "generateName": "web-", "namespace": "default", "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": "nginx:1.27" }] },
    });
    criterion.bench_function("create a pod through the API server", |bencher| {
        bencher.iter_batched(
            || create(Kind::Pod, "default", pod.clone()),
            |request| api.handle(now, &mut random, request).expect("a pod is created"),
            BatchSize::SmallInput,
        );
    });
}

fn session(nodes: u32) -> Session {
    let profile = Profile { nodes, ..Profile::bare() };
    let mut session = Session::new(SessionConfig { profile, ..SessionConfig::default() });
    session.run_until(session.now() + Duration::from_secs(20));
    session
}

fn deployment(replicas: u32) -> Action {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: \
         {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      \
         containers:\n      - {{name: web, image: 'nginx:1.27'}}\n"
    );
    Action::Apply {
        files: vec![File { name: "web.yaml".to_owned(), text }],
        namespace: "default".to_owned(),
        dry_run: false,
    }
}

fn ready(session: &Session) -> usize {
    let pods = session.cluster().api().etcd().range(Kind::Pod, None);
    pods.filter(|(_, object)| {
        let Object::Pod(pod) = object else { return false };
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
    .count()
}

fn run_to_ready(mut session: Session, replicas: u32) -> Session {
    session.act(deployment(replicas)).expect("the session takes a small action");
    let limit = session.now() + Duration::from_secs(600);
    while ready(&session) < replicas as usize && session.now() < limit {
        session.run_until(session.now() + Duration::from_secs(5));
    }
    assert_eq!(ready(&session), replicas as usize);
    session
}

fn clusters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cluster");
    group.sample_size(10);
    let empty = session(20);
    group.bench_function("a Deployment of 1,000 pods to Ready", |bencher| {
        bencher.iter_batched(|| empty.clone(), |session| run_to_ready(session, 1000), BatchSize::PerIteration);
    });
    let large = run_to_ready(empty, 1000);
    group.bench_function("copy a cluster of 1,000 pods", |bencher| {
        bencher.iter(|| large.clone());
    });
    group.bench_function("rewind a cluster of 1,000 pods by ten seconds", |bencher| {
        let back = large.now() - Duration::from_secs(10);
        bencher.iter_batched(|| large.clone(), |mut session| session.rewind_to(back), BatchSize::PerIteration);
    });
    let hundred = run_to_ready(session(3), 100);
    group.bench_function("an hour of a cluster of 100 pods", |bencher| {
        bencher.iter_batched(
            || hundred.clone(),
            |mut session| session.run_until(session.now() + Duration::from_secs(3600)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, api_writes, clusters);
criterion_main!(benches);
