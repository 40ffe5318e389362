//! What a write to the API server costs. The target is 20 µs.

mod support;

use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kubetab::api::{Kind, Object, ObjectKey, Resource, Subresource};
use kubetab::apiserver::{ApiServer, Body, Patch, Request, Target, Verb, WriteOptions};
use kubetab::machinery::random::Random;
use kubetab::machinery::time::Time;
use serde_json::json;
use support::{create_json, pod, request};

/// What lies between two requests. What is written in one moment all stays in history, until its watchers are told.
const PAUSE: Duration = Duration::from_millis(1);

struct Server {
    api: ApiServer,
    random: Random,
    now: Time,
}

impl Server {
    /// A server with what a pod needs.
    fn new() -> Self {
        let mut server = Self { api: ApiServer::new(), random: Random::new(1), now: Time::DEFAULT_START };
        server.send(create_json(Kind::Namespace, "", json!({"metadata": {"name": "default"}})));
        server.send(create_json(Kind::ServiceAccount, "default", json!({"metadata": {"name": "default"}})));
        server
    }

    fn send(&mut self, request: Request) {
        self.now += PAUSE;
        self.api.handle(self.now, &mut self.random, request).expect("a write of a benchmark succeeds");
    }

    fn stored<K: Resource>(&self, key: &ObjectKey) -> K {
        let stored = self.api.etcd().get(K::OBJECT_KIND, key).expect("it was stored before");
        K::clone(stored.downcast::<K>().expect("it is of its kind"))
    }

    fn bench(&mut self, criterion: &mut Criterion, name: &str, mut next: impl FnMut(u64) -> Request) {
        let mut group = criterion.benchmark_group("API writes");
        group.throughput(Throughput::Elements(1));
        let mut count = 0;
        group.bench_function(name, |bencher| {
            let mut made = || {
                count += 1;
                next(count)
            };
            // Few at a time: who writes has just made what it writes, and each request has an object of kilobytes in it.
            bencher.iter_batched(&mut made, |request| self.send(request), BatchSize::LargeInput);
        });
        group.finish();
    }
}

fn writes(criterion: &mut Criterion) {
    let key = ObjectKey::new("default", "one");
    let options = WriteOptions::default;
    let mut server = Server::new();
    server.bench(criterion, "create a Pod from JSON, as kubectl does", |count| {
        create_json(Kind::Pod, "default", pod(&format!("web-{count}")))
    });
    let mut server = Server::new();
    let typed = Object::from_value(Kind::Pod, &pod("")).expect("a pod");
    server.bench(criterion, "create a Pod, as a controller does", |count| {
        let mut object = typed.clone();
        object.metadata_mut().name = Some(format!("web-{count}"));
        let verb = Verb::Create { body: Body::Object(object), options: options() };
        request(Target::collection(Kind::Pod, "default"), verb)
    });

    let mut server = Server::new();
    server.send(create_json(Kind::Pod, "default", pod("one")));
    let mut stored: Pod = server.stored(&key);
    stored.metadata.resource_version = None;
    let status_of =
        |key: &ObjectKey| Target { subresource: Some(Subresource::Status), ..Target::object(Kind::Pod, key) };
    server.bench(criterion, "update a Pod's status, as its kubelet does", |count| {
        let mut changed = stored.clone();
        changed.status.get_or_insert_default().message = Some(count.to_string());
        request(status_of(&key), Verb::Update { body: Body::Object(Object::from(changed)), options: options() })
    });
    server.bench(criterion, "patch a Pod's status, as the scheduler does", |count| {
        let patch = json!({"metadata": {"uid": stored.uid()}, "status": {"conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": count.to_string(),
        }]}});
        request(status_of(&key), Verb::Patch { patch: Patch::Strategic(patch), options: options() })
    });

    let lease = json!({"metadata": {"name": "one"}, "spec": {"holderIdentity": "one", "leaseDurationSeconds": 40}});
    server.send(create_json(Kind::Lease, "default", lease));
    let mut stored: Lease = server.stored(&key);
    stored.metadata.resource_version = None;
    server.bench(criterion, "renew a Lease, as a kubelet does", |count| {
        let mut changed = stored.clone();
        changed.spec.get_or_insert_default().renew_time = Some(Time::from_micros(count).to_micro());
        let body = Body::Object(Object::from(changed));
        request(Target::object(Kind::Lease, &key), Verb::Update { body, options: options() })
    });
}

fn owners(criterion: &mut Criterion) {
    let key = ObjectKey::new("default", "one");
    let mut server = Server::new();
    server.send(create_json(Kind::Pod, "default", pod("one")));
    let status = Target { subresource: Some(Subresource::Status), ..Target::object(Kind::Pod, &key) };
    for count in 0..5 {
        let mut changed: Pod = server.stored(&key);
        changed.status.get_or_insert_default().message = Some(count.to_string());
        let options = WriteOptions { field_manager: Some("kubelet".into()), ..WriteOptions::default() };
        let verb = Verb::Update { body: Body::Object(Object::from(changed)), options };
        server.send(request(status.clone(), verb));
    }
    let stored = server.api.etcd().get(Kind::Pod, &key).expect("it was stored before").clone();
    criterion.bench_function("tell who owns a Pod's fields, after five writes of its kubelet", |bencher| {
        bencher.iter(|| server.api.etcd().managed_fields(&stored));
    });

    let config = |image: u64| {
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{
                        "name": "web",
                        "image": format!("nginx:{image}"),
                        "ports": [{"containerPort": 80}],
                    }]},
                },
            },
        })
    };
    let mut server = Server::new();
    server.bench(criterion, "apply a Deployment on the server", |count| {
        let options = WriteOptions { field_manager: Some("kubectl".into()), ..WriteOptions::default() };
        let target = Target::object(Kind::Deployment, &ObjectKey::new("default", "web"));
        request(target, Verb::Patch { patch: Patch::Apply(config(count)), options })
    });
}

criterion_group!(benches, writes, owners);
criterion_main!(benches);
