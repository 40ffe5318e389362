//! How long the scheduler takes for a pod, without the API server around it. The target is 50 µs.
//!
//! Each case places one more pod into a cluster of 1,000 nodes and 10,000 pods, sees it bound, and deletes it again.
//! `schedule 10,000 pods` begins with empty nodes and places all of them.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use k8s_openapi::api::core::v1::{Node, Pod};
use kubetab::machinery::random::Random;
use kubetab::machinery::time::Time;
use kubetab::scheduler::Scheduler;
use kubetab::scheduler::schedule_one::Outcome;
use serde_json::{Value, json};

const NODES: usize = 1_000;
const PODS: usize = 10_000;
const WORKLOADS: usize = 50;

fn node(index: usize) -> Arc<Node> {
    let name = format!("node-{index}");
    let node = json!({
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "topology.kubernetes.io/zone": format!("zone-{}", index % 3),
            "disk": if index.is_multiple_of(2) { "ssd" } else { "hdd" },
        }},
        "status": {"allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110"}},
    });
    Arc::new(serde_json::from_value(node).expect("a node"))
}

fn pod(name: &str, workload: usize, spec: &Value) -> Pod {
    let app = format!("app-{workload}");
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": app},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": app, "uid": app,
                "controller": true}]},
        "spec": {"containers": [{"name": "c", "image": "nginx:1",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}]},
    }))
    .expect("a pod");
    let more: k8s_openapi::api::core::v1::PodSpec = serde_json::from_value(spec.clone()).expect("a spec");
    let containers = pod.spec.take().expect("a spec").containers;
    pod.spec = Some(k8s_openapi::api::core::v1::PodSpec { containers, ..more });
    pod
}

fn empty_cluster() -> Scheduler {
    let mut scheduler = Scheduler::default();
    let now = Time::DEFAULT_START;
    for index in 0..NODES {
        scheduler.node_changed(None, Some(&node(index)), now);
    }
    for workload in 0..WORKLOADS {
        let app = format!("app-{workload}");
        let set = json!({"metadata": {"name": app, "namespace": "default", "uid": app},
            "spec": {"selector": {"matchLabels": {"app": app}}}});
        let key = kubetab::api::ObjectKey::new("default", app);
        scheduler.listers.replica_sets.insert(key, Arc::new(serde_json::from_value(set).expect("a set")));
    }
    scheduler
}

fn cluster() -> Scheduler {
    let mut scheduler = empty_cluster();
    let now = Time::DEFAULT_START;
    for index in 0..PODS {
        let mut pod = pod(&format!("running-{index}"), index % WORKLOADS, &json!({"containers": []}));
        pod.spec.as_mut().expect("a spec").node_name = Some(format!("node-{}", index * 7 % NODES));
        scheduler.pod_changed(None, Some(&Arc::new(pod)), now);
    }
    scheduler
}

/// Creates a pod, places it, sees it bound, and deletes it again.
fn place(scheduler: &mut Scheduler, random: &mut Random, waiting: &Arc<Pod>) {
    let now = Time::DEFAULT_START;
    scheduler.pod_changed(None, Some(waiting), now);
    let cycle = scheduler.schedule_one(now, random).expect("a pod waits");
    match cycle.outcome {
        Outcome::Assumed { node, .. } => {
            scheduler.binding_succeeded(&cycle.queued.pod.uid);
            let mut bound = Pod::clone(waiting);
            bound.spec.as_mut().expect("a spec").node_name = Some(node.to_string());
            let bound = Arc::new(bound);
            scheduler.pod_changed(Some(waiting), Some(&bound), now);
            scheduler.pod_changed(Some(&bound), None, now);
        }
        outcome => {
            black_box(outcome);
            scheduler.pod_changed(Some(waiting), None, now);
        }
    }
}

/// Places all pods of the queue and sees each bound.
fn place_all(scheduler: &mut Scheduler, random: &mut Random) -> usize {
    let now = Time::DEFAULT_START;
    let mut placed = 0;
    while let Some(cycle) = scheduler.schedule_one(now, random) {
        let Outcome::Assumed { node, .. } = cycle.outcome else { continue };
        let waiting = &cycle.queued.pod;
        scheduler.binding_succeeded(&waiting.uid);
        let mut bound = Pod::clone(&waiting.pod);
        bound.spec.as_mut().expect("a spec").node_name = Some(node.to_string());
        scheduler.pod_changed(Some(&waiting.pod), Some(&Arc::new(bound)), now);
        placed += 1;
    }
    placed
}

fn filling(criterion: &mut Criterion) {
    let mut scheduler = empty_cluster();
    for index in 0..PODS {
        let waiting = pod(&format!("waiting-{index}"), index % WORKLOADS, &json!({"containers": []}));
        scheduler.pod_changed(None, Some(&Arc::new(waiting)), Time::DEFAULT_START);
    }
    let mut group = criterion.benchmark_group("scheduler");
    group.sample_size(10).throughput(Throughput::Elements(PODS as u64));
    group.bench_function("schedule 10,000 pods onto 1,000 nodes", |bencher| {
        let place = |mut scheduler: Scheduler| {
            assert_eq!(place_all(&mut scheduler, &mut Random::new(1)), PODS);
            scheduler
        };
        bencher.iter_batched(|| scheduler.clone(), place, BatchSize::PerIteration);
    });
    group.finish();
}

fn scheduling(criterion: &mut Criterion) {
    let scheduler = cluster();
    let mut group = criterion.benchmark_group("scheduler");
    group.throughput(Throughput::Elements(1));
    let hard_zone = json!({"containers": [], "topologySpreadConstraints": [{"maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "app-1"}}}]});
    let apart = json!({"containers": [], "affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "app-1"}}}]}}});
    let cases = [
        ("plain", json!({"containers": []})),
        ("node selector", json!({"containers": [], "nodeSelector": {"disk": "ssd"}})),
        ("hard spread", hard_zone),
        ("anti-affinity", apart),
        ("unschedulable", json!({"containers": [], "nodeSelector": {"disk": "tape"}})),
    ];
    for (name, spec) in cases {
        let mut scheduler = scheduler.clone();
        let mut random = Random::new(1);
        let waiting = Arc::new(pod("waiting", 1, &spec));
        group.bench_function(format!("schedule one pod: {name}"), |bencher| {
            bencher.iter(|| place(&mut scheduler, &mut random, &waiting));
        });
    }
    group.bench_function("copy the scheduler of 10,000 pods", |bencher| bencher.iter(|| black_box(scheduler.clone())));
    group.finish();
}

criterion_group!(benches, filling, scheduling);
criterion_main!(benches);
