//! What a whole cluster costs: roll-outs, ten thousand pods, copies, rewinds, and an hour of rest.
//!
//! Everything is done through the doors that a user has: actions of a session, and requests to the API server. What a
//! benchmark begins with is built when it is needed, so that a filter saves time.

mod support;

use std::cell::LazyCell;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kubetab::session::Session;
use kubetab::sim::Cluster;
use support::{NODES, PODS, bound, cluster_of, create_pods, deployment, ready, run_to_ready, session};

/// Ten thousand pods are created at once, scheduled, bound and started on a thousand nodes.
fn ten_thousand_pods(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10,000 pods on 1,000 nodes");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(PODS as u64));
    let empty = LazyCell::new(|| cluster_of(NODES));
    group.bench_function("created at once, until all are bound", |bencher| {
        bencher.iter_batched(|| Cluster::clone(&empty), |cluster| place(cluster, bound), BatchSize::PerIteration);
    });
    group.bench_function("created at once, until all are ready", |bencher| {
        bencher.iter_batched(|| Cluster::clone(&empty), |cluster| place(cluster, ready), BatchSize::PerIteration);
    });
    let full = LazyCell::new(|| place(Cluster::clone(&empty), ready));
    group.throughput(Throughput::Elements(1));
    group.bench_function("copy", |bencher| bencher.iter(|| Cluster::clone(&full)));
    group.throughput(Throughput::Elements(60));
    group.bench_function("a minute at rest", |bencher| {
        bencher.iter_batched(
            || Cluster::clone(&full),
            |mut cluster| {
                cluster.run_for(Duration::from_secs(60));
                cluster
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn place(mut cluster: Cluster, done: impl Fn(&Cluster) -> usize) -> Cluster {
    create_pods(&mut cluster, PODS);
    let limit = cluster.now() + Duration::from_secs(120);
    while done(&cluster) < PODS && cluster.now() < limit {
        cluster.run_for(Duration::from_secs(1));
    }
    assert_eq!(done(&cluster), PODS);
    cluster
}

fn sessions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let empty = LazyCell::new(|| session(20));
    group.throughput(Throughput::Elements(1000));
    group.bench_function("a Deployment of 1,000 pods, until all are ready", |bencher| {
        bencher.iter_batched(
            || Session::clone(&empty),
            |session| run_to_ready(session, deployment("web", 1000), 1000),
            BatchSize::PerIteration,
        );
    });
    let large = LazyCell::new(|| run_to_ready(Session::clone(&empty), deployment("web", 1000), 1000));
    group.throughput(Throughput::Elements(1));
    group.bench_function("copy a session of 1,000 pods", |bencher| bencher.iter(|| Session::clone(&large)));
    group.bench_function("rewind 1,000 pods by ten seconds", |bencher| {
        let back = large.now() - Duration::from_secs(10);
        bencher.iter_batched(
            || Session::clone(&large),
            |mut session| {
                session.rewind_to(back);
                session
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("rewind 1,000 pods to the middle of their roll-out", |bencher| {
        let start = large.config().profile.start;
        let middle = start + large.now().since(start) / 2;
        bencher.iter_batched(
            || Session::clone(&large),
            |mut session| {
                session.rewind_to(middle);
                session
            },
            BatchSize::PerIteration,
        );
    });
    let hundred = LazyCell::new(|| run_to_ready(session(3), deployment("web", 100), 100));
    group.bench_function("an hour of a cluster of 100 pods", |bencher| {
        bencher.iter_batched(
            || Session::clone(&hundred),
            |mut session| {
                session.run_until(session.now() + Duration::from_secs(3600));
                session
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, sessions, ten_thousand_pods);
criterion_main!(benches);
