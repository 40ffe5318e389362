//! How the steps of a case are played in this process.

use std::sync::LazyLock;
use std::time::Duration;

use kubetab::api::{Kind, Object, form};
use kubetab::machinery::time::Time;
use kubetab::node::runtime::RuntimeProfile;
use kubetab::sim::{Cluster, Profile};
use serde_json::{Value, json};

use super::host::World;
use super::recording::{self, Case, answer, seconds};

/// How long a step may take when it says nothing.
const TIMEOUT: f64 = 120.0;
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(500);
/// How long a namespace is quiet before it counts as settled.
const QUIET: Duration = Duration::from_secs(4);

/// The cluster of the recordings, at rest: every case begins with a copy.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let runtime = RuntimeProfile::recorded();
    let profile = Profile { nodes: 5, node_prefix: "worker-".to_owned(), runtime, ..Profile::bare() };
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(36);
    let mut cluster = Cluster::new(profile, seed);
    cluster.run_for(Duration::from_secs(30));
    pull_images(cluster)
});

/// The images that the recorded machines had from earlier cases.
const PULLED: &str = r"
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: earlier}
spec:
  selector: {matchLabels: {app: earlier}}
  template:
    metadata: {labels: {app: earlier}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: a, image: nginx:1.25}
      - {name: b, image: nginx:1.27}
      - {name: c, image: busybox:1.36, command: [sleep, '99999']}
";

/// The cluster after every machine has pulled these images, at rest again.
fn pull_images(cluster: Cluster) -> Cluster {
    let mut world = World::new(cluster, "default");
    for (line, pause) in [("kubectl create -f -", 15), ("kubectl delete daemonset earlier", 45)] {
        let done = world.run(line, Some(PULLED), TIMEOUT);
        assert_eq!(done.code, 0, "{line}: {}", done.error);
        world.pass(Duration::from_secs(pause));
    }
    world.run("kubectl delete events --all", None, TIMEOUT);
    // Cases begin at one part of a second, whatever came before.
    world.pass((Time::DEFAULT_START + Duration::from_secs(120)).since(world.now()));
    world.cluster().clone()
}

/// Plays a case; per step, what differs from the recording.
pub fn play(case: &Case) -> Vec<Option<String>> {
    let answers = answers(case);
    let steps = case.spec["steps"].as_array().into_iter().flatten();
    let compared = steps.zip(&case.recorded).zip(&answers);
    compared.map(|((step, expected), answer)| recording::difference(step, expected, answer)).collect()
}

/// Plays a case, and gives the answer to each step.
pub fn answers(case: &Case) -> Vec<Value> {
    let namespace = case.namespace();
    let mut world = World::new(CLUSTER.clone(), &namespace);
    for (name, text) in case.spec["files"].as_object().into_iter().flatten() {
        world.put_file(name, text.as_str().unwrap_or(""));
    }
    let made = world.run(&format!("kubectl create namespace {namespace}"), None, TIMEOUT);
    assert_eq!(made.code, 0, "the namespace is made: {}", made.error);
    for _ in 0..50 {
        if world.run("kubectl get serviceaccount default", None, TIMEOUT).code == 0 {
            break;
        }
        world.pass(Duration::from_millis(200));
    }
    let steps = case.spec["steps"].as_array().expect("a list of steps");
    let answers = steps.iter().map(|step| play_step(&mut world, step, &namespace)).collect();
    if let Ok(kind) = std::env::var("TRACE") {
        trace(world.cluster(), &namespace, &kind);
    }
    answers
}

/// Prints every change of a kind in the case's namespace, for whoever looks for the reason of a difference.
fn trace(cluster: &Cluster, namespace: &str, kind: &str) {
    let commits = cluster.api().etcd().commits(0);
    let concerned = commits.filter(|commit| commit.kind().info().plural == kind && &*commit.key.namespace == namespace);
    for commit in concerned {
        let object = form::encode(commit.object());
        println!(
            "{} {} {} {}: {}\n    spec {}\n    status {}",
            commit.revision,
            commit.time.to_rfc3339_micro(),
            commit.key.name,
            commit.cause.actor,
            commit.cause.why,
            object["spec"],
            object["status"]
        );
    }
}

fn play_step(world: &mut World, step: &Value, namespace: &str) -> Value {
    if !step["sleep"].is_null() {
        world.pass(Duration::from_secs_f64(seconds(&step["sleep"])));
        return json!({});
    }
    if let Some(condition) = step["until"].as_str() {
        let limit = if step["for"].is_null() { 60.0 } else { seconds(&step["for"]) };
        let deadline = world.now() + Duration::from_secs_f64(limit);
        while world.now() < deadline {
            if world.run(condition, None, TIMEOUT).code == 0 {
                return json!({ "until": "held" });
            }
            world.pass(POLL);
        }
        return json!({ "until": "never held" });
    }
    // The recorder's watches take their time to begin and to end, one after the other.
    let watches = step["watch"].as_array().map_or(0, Vec::len);
    if watches > 0 {
        world.pass(Duration::from_millis(1500));
    }
    let line = step["run"].as_str().expect("a step does something");
    let timeout = if step["timeout"].is_null() { TIMEOUT } else { seconds(&step["timeout"]) };
    let finished = world.run(line, step["stdin"].as_str(), timeout);
    if !step["settle"].is_null() {
        settle(world, namespace, Duration::from_secs_f64(seconds(&step["settle"])));
    }
    let answer = answer(step, &finished);
    world.pass(Duration::from_secs(watches as u64));
    answer
}

/// Waits until nothing in the namespace changed for a while.
fn settle(world: &mut World, namespace: &str, limit: Duration) {
    let deadline = world.now() + limit;
    let mut last = Vec::new();
    let mut since = world.now();
    while world.now() < deadline {
        let now = versions(world.cluster(), namespace);
        if now != last {
            last = now;
            since = world.now();
        } else if world.now().since(since) > QUIET {
            return;
        }
        world.pass(POLL);
    }
}

fn versions(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let version = |object: &Object| object.metadata().resource_version.clone().unwrap_or_default();
    let kinds = [
        Kind::Pod,
        Kind::ReplicaSet,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::PersistentVolumeClaim,
    ];
    let etcd = cluster.api().etcd();
    kinds.iter().flat_map(|&kind| etcd.range(kind, Some(namespace)).map(|(_, object)| version(object))).collect()
}
