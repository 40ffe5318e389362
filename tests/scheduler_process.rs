//! The scheduler as a process: what it writes when it binds a pod, when it cannot, and when it makes room.

use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::{Event, Pod};
use kubetab::api::{Kind, Object, ObjectKey};
use kubetab::apiserver::{Body, DeleteOptions, Request, Target, User, Verb, WriteOptions};
use kubetab::etcd::{Cause, Why};
use kubetab::sim::{Cluster, Profile};
use serde_json::{Value, json};

struct Bench(Cluster);

impl Bench {
    fn new() -> Self {
        let mut cluster = Cluster::new(Profile { nodes: 0, ..Profile::bare() }, 3);
        cluster.run_for(Duration::from_secs(1));
        Self(cluster)
    }

    fn send(&mut self, target: Target, verb: Verb) {
        let request = Request {
            user: User::new("you", &["system:masters"]),
            cause: Cause::new("kubectl", Why::plain("A test asked for it.")),
            target,
            verb,
        };
        self.0.request(request).expect("a valid request");
        self.0.run_for(Duration::from_millis(500));
    }

    fn create(&mut self, kind: Kind, namespace: &str, value: Value) {
        let verb = Verb::Create { body: Body::Json(value), options: WriteOptions::default() };
        self.send(Target::collection(kind, namespace), verb);
    }

    fn node(&mut self, name: &str, cpu: &str) {
        let allocatable = json!({"cpu": cpu, "memory": "8Gi", "pods": "10"});
        self.create(
            Kind::Node,
            "",
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
                "status": {"allocatable": allocatable.clone(), "capacity": allocatable}}),
        );
        // The API server taints a node that has not told how it is; the node controller lifts that.
        self.0.run_for(Duration::from_secs(1));
    }

    fn pod(&mut self, name: &str, cpu: &str, priority_class: &str) {
        self.create(
            Kind::Pod,
            "default",
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {"priorityClassName": priority_class, "containers": [
                    {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}]}}),
        );
    }

    fn delete(&mut self, name: &str) {
        let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        self.send(Target::object(Kind::Pod, &ObjectKey::new("default", name)), Verb::Delete(options));
    }

    fn check(&self, expected: Expect) {
        let mut lines = Vec::new();
        let etcd = self.0.api().etcd();
        for (_, object) in etcd.range(Kind::Pod, None) {
            let Some(pod) = object.downcast::<Pod>() else { continue };
            lines.push(describe(pod));
        }
        let events = etcd.range(Kind::Event, None).filter_map(|(_, object)| Object::downcast::<Event>(object));
        for event in events.filter(|event| event.reporting_component.as_deref() == Some("default-scheduler")) {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            lines.push(format!(
                "{} {} {} {}: {}",
                text(&event.involved_object.name),
                text(&event.type_),
                text(&event.reason),
                text(&event.action),
                text(&event.message),
            ));
        }
        expected.assert_eq(&lines.join("\n").replace(self.uid_text().as_str(), "<uid>"));
    }

    /// The uid of the pod `high`, which an event names.
    fn uid_text(&self) -> String {
        let key = ObjectKey::new("default", "high");
        self.0.api().etcd().get(Kind::Pod, &key).map_or_else(|| "-none-".to_owned(), |pod| pod.uid().to_owned())
    }
}

fn describe(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let conditions: Vec<String> = status
        .conditions
        .iter()
        .flatten()
        .map(|condition| {
            let reason = condition.reason.as_deref().unwrap_or("-");
            format!("{}={} {reason}", condition.type_, condition.status)
        })
        .collect();
    format!(
        "{} on {:?} nominated {:?} deleting {} [{}]",
        pod.metadata.name.as_deref().unwrap_or_default(),
        pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default(),
        status.nominated_node_name.unwrap_or_default(),
        pod.metadata.deletion_timestamp.is_some(),
        conditions.join(", "),
    )
}

#[test]
fn binds_and_preempts() {
    let mut bench = Bench::new();
    bench.pod("low", "2", "");
    bench.check(expect![[r#"
        low on "" nominated "" deleting false [PodScheduled=False Unschedulable]
        low Warning FailedScheduling Scheduling: no nodes available to schedule pods"#]]);
    bench.node("a", "2");
    bench.0.run_for(Duration::from_secs(3));
    bench.check(expect![[r#"
        low on "a" nominated "" deleting false [PodScheduled=True -]
        low Warning FailedScheduling Scheduling: no nodes available to schedule pods
        low Normal Scheduled Binding: Successfully assigned default/low to a"#]]);
    bench.pod("mid", "1", "");
    bench.pod("high", "2", "system-cluster-critical");
    bench.check(expect![[r#"
        high on "" nominated "a" deleting false [PodScheduled=False Unschedulable]
        low on "a" nominated "" deleting true [DisruptionTarget=True PreemptionByScheduler, PodScheduled=True -]
        mid on "" nominated "" deleting false [PodScheduled=False Unschedulable]
        high Warning FailedScheduling Scheduling: 0/1 nodes are available: 1 Insufficient cpu.
        low Warning FailedScheduling Scheduling: no nodes available to schedule pods
        low Normal Scheduled Binding: Successfully assigned default/low to a
        low Normal Preempted Preempting: Preempted by pod <uid> on node a
        mid Warning FailedScheduling Scheduling: 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."#]]);
    bench.delete("low");
    bench.0.run_for(Duration::from_secs(3));
    bench.check(expect![[r#"
        high on "a" nominated "" deleting false [PodScheduled=True -]
        mid on "" nominated "" deleting false [PodScheduled=False Unschedulable]
        high Warning FailedScheduling Scheduling: 0/1 nodes are available: 1 Insufficient cpu.
        high Normal Scheduled Binding: Successfully assigned default/high to a
        low Warning FailedScheduling Scheduling: no nodes available to schedule pods
        low Normal Scheduled Binding: Successfully assigned default/low to a
        low Normal Preempted Preempting: Preempted by pod <uid> on node a
        mid Warning FailedScheduling Scheduling: 0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."#]]);
}

#[test]
fn each_decision_is_a_step_of_its_own() {
    let mut bench = Bench::new();
    bench.node("a", "4");
    for name in ["p", "q", "r"] {
        let request = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]}});
        let verb = Verb::Create { body: Body::Json(request), options: WriteOptions::default() };
        let request = Request {
            user: User::new("you", &["system:masters"]),
            cause: Cause::new("kubectl", Why::plain("A test asked for it.")),
            target: Target::collection(Kind::Pod, "default"),
            verb,
        };
        bench.0.request(request).expect("a valid request");
    }
    let mut bound_per_step = Vec::new();
    let is_bound = |pod: &Pod| pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    for _ in 0..200 {
        let count = |cluster: &Cluster| {
            let pods = cluster.api().etcd().range(Kind::Pod, None);
            pods.filter_map(|(_, object)| Object::downcast::<Pod>(object)).filter(|pod| is_bound(pod)).count()
        };
        let before = count(&bench.0);
        if bench.0.step().is_none() {
            break;
        }
        bound_per_step.push(count(&bench.0) - before);
    }
    assert_eq!(bound_per_step.iter().sum::<usize>(), 3);
    assert_eq!(bound_per_step.iter().max(), Some(&1));
}

/// Lets the scheduler read a configuration, as whoever edits the mounted file would.
fn configure(bench: &mut Bench, text: &str) {
    let key = ObjectKey::new("kube-system", "kube-scheduler-config");
    if bench.0.api().etcd().get(Kind::ConfigMap, &key).is_some() {
        bench.send(Target::object(Kind::ConfigMap, &key), Verb::Delete(DeleteOptions::default()));
    }
    let head = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": &*key.name},
        "data": {"config.yaml": format!("{head}{text}")}});
    bench.create(Kind::ConfigMap, "kube-system", map);
}

/// What was told about the configuration last.
fn told(bench: &Bench) -> String {
    let events = bench.0.api().etcd().range(Kind::Event, None);
    let events = events.filter_map(|(_, object)| Object::downcast::<Event>(object).cloned());
    let mut about: Vec<_> =
        events.filter(|event| event.involved_object.name.as_deref() == Some("kube-scheduler-config")).collect();
    about.sort_by_key(|event| event.event_time.clone());
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    about.last().map_or_else(String::new, |event| {
        format!("{} {}: {}", text(&event.type_), text(&event.reason), text(&event.message))
    })
}

fn node_of(bench: &Bench, name: &str) -> String {
    let pod = bench.0.api().etcd().get(Kind::Pod, &ObjectKey::new("default", name));
    let pod = pod.and_then(|object| Object::downcast::<Pod>(object)).expect("the pod is there");
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}

fn pod_of(bench: &mut Bench, name: &str, scheduler: &str, cpu: &str) {
    bench.create(
        Kind::Pod,
        "default",
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"schedulerName": scheduler, "containers": [
                {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}]}}),
    );
    bench.0.run_for(Duration::from_secs(1));
}

#[test]
fn a_configuration_is_read_from_its_config_map() {
    let mut bench = Bench::new();
    bench.node("a", "4");
    bench.node("b", "4");
    pod_of(&mut bench, "first", "default-scheduler", "1");
    // Nobody serves it yet.
    pod_of(&mut bench, "packed", "packing", "1");
    assert_eq!(node_of(&bench, "packed"), "");
    let packing = "profiles:
- schedulerName: default-scheduler
- schedulerName: packing
  plugins: {score: {disabled: [{name: NodeResourcesBalancedAllocation}]}}
  pluginConfig: [{name: NodeResourcesFit, args: {scoringStrategy: {type: MostAllocated}}}]
";
    configure(&mut bench, packing);
    bench.0.run_for(Duration::from_secs(2));
    assert_eq!(
        told(&bench),
        "Normal ConfigurationLoaded: kube-scheduler restarted with this configuration; profiles: default-scheduler, packing"
    );
    assert_eq!(node_of(&bench, "packed"), node_of(&bench, "first"), "the fuller node is the better");
    pod_of(&mut bench, "spread", "default-scheduler", "1");
    assert_ne!(node_of(&bench, "spread"), node_of(&bench, "first"), "the emptier node is the better");
    let events = bench.0.api().etcd().range(Kind::Event, None);
    let events = events.filter_map(|(_, object)| Object::downcast::<Event>(object).cloned());
    let of_packed = events.filter(|event| event.involved_object.name.as_deref() == Some("packed"));
    let by: Vec<_> = of_packed.filter(|event| event.reason.as_deref() == Some("Scheduled")).collect();
    assert_eq!(by[0].reporting_component.as_deref(), Some("packing"), "a profile tells of its pods by its own name");
}

#[test]
fn a_configuration_that_is_wrong_changes_nothing() {
    let mut bench = Bench::new();
    bench.node("a", "4");
    configure(&mut bench, "profiles: [{schedulerName: packing}]");
    configure(&mut bench, "profiles: [{schedulerName: other}]\npercentageOfNodesToScore: 200\n");
    assert_eq!(
        told(&bench),
        "Warning InvalidConfiguration: kube-scheduler goes on with the configuration that it has: \
         percentageOfNodesToScore: Invalid value: 200: not in valid range [0-100]"
    );
    // The ConfigMap was deleted in between, so that the defaults hold.
    pod_of(&mut bench, "p", "default-scheduler", "1");
    assert_eq!(node_of(&bench, "p"), "a");
    pod_of(&mut bench, "q", "packing", "1");
    assert_eq!(node_of(&bench, "q"), "");
}

#[test]
fn a_restart_forgets_how_long_pods_were_to_wait() {
    let mut bench = Bench::new();
    bench.node("a", "1");
    pod_of(&mut bench, "large", "default-scheduler", "2");
    configure(&mut bench, "podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 7\n");
    bench.0.run_for(Duration::from_secs(2));
    let scheduler = bench.0.scheduler().expect("there is a scheduler");
    let queued = scheduler.queue().iter().next().expect("the pod waits");
    assert_eq!((queued.attempts, queued.backoff()), (1, Duration::from_secs(5)));
}
