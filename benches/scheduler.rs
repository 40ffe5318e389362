//! How long the scheduler takes for a pod in a cluster of 1,000 nodes and 10,000 pods. The target is 50 µs.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
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

fn cluster() -> Scheduler {
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
        Outcome::Assumed { node } => {
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

fn scheduling(criterion: &mut Criterion) {
    let scheduler = cluster();
    let soft_zone = json!({"containers": [], "topologySpreadConstraints": [{"maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "app-1"}}}]});
    let apart = json!({"containers": [], "affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {"app": "app-1"}}}]}}});
    let cases = [
        ("plain", json!({"containers": []})),
        ("node_selector", json!({"containers": [], "nodeSelector": {"disk": "ssd"}})),
        ("hard_spread", soft_zone),
        ("anti_affinity", apart),
        ("unschedulable", json!({"containers": [], "nodeSelector": {"disk": "tape"}})),
    ];
    for (name, spec) in cases {
        let mut scheduler = scheduler.clone();
        let mut random = Random::new(1);
        let waiting = Arc::new(pod("waiting", 1, &spec));
        criterion.bench_function(&format!("schedule {name}"), |bencher| {
            bencher.iter(|| place(&mut scheduler, &mut random, &waiting));
        });
    }
    criterion.bench_function("clone the scheduler", |bencher| bencher.iter(|| black_box(scheduler.clone())));
}

criterion_group!(benches, scheduling);
criterion_main!(benches);
