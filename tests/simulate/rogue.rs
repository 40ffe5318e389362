//! Whether the checkers really find what a broken component would do: each deed is one of a component that has gone wrong,
//! written in its name through the API.

use std::time::Duration;

use kubetab::api::{Kind, Object};
use kubetab::apiserver::Call;
use kubetab::session::{Action, File, NodeName, ObjectName, Session};
use serde_json::{Value, json};

use super::play::{script, script_config as config};

pub(super) fn apply(manifests: &Value) -> Action {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": manifests });
    let files = vec![File { name: "rogue.json".to_owned(), text: list.to_string() }];
    Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
}

pub(super) fn request(client: &str, method: &str, path: &str, content_type: &str, body: Value) -> Action {
    Action::Request(Call {
        method: method.to_owned(),
        path: path.to_owned(),
        content_type: content_type.to_owned(),
        body,
        client: client.to_owned(),
        ..Call::default()
    })
}

/// A component creates something.
pub(super) fn create(client: &str, path: &str, body: Value) -> Action {
    request(client, "POST", path, "application/json", body)
}

/// A component changes something.
pub(super) fn change(client: &str, path: &str, body: Value) -> Action {
    request(client, "PATCH", path, "application/merge-patch+json", body)
}

const PODS: &str = "/api/v1/namespaces/default/pods";

pub(super) fn template(cpu: &str) -> Value {
    let container = json!({ "name": "web", "image": "nginx:1.27", "resources": { "requests": { "cpu": cpu } } });
    json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [container] } })
}

pub(super) fn workload(kind: &str, name: &str, mut spec: Value) -> Value {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    if kind != "Job" {
        spec["selector"] = json!({ "matchLabels": { "app": "web" } });
    }
    json!({ "apiVersion": group, "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// A pod that says that an object controls it, whose uid is the one that the cluster gives to it.
fn pod_of(kind: &str, owner: &str, uid: &str, name: &str) -> Value {
    let group = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    let owner = json!({ "apiVersion": group, "kind": kind, "name": owner, "uid": uid, "controller": true });
    let mut pod = template("10m");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["ownerReferences"] = json!([owner]);
    // No kubelet runs it, and no controller is quick enough to take it away.
    pod["spec"]["schedulerName"] = json!("nobody");
    pod
}

/// The first object whose name begins like this after some actions.
fn find(actions: &[(u64, Action)], kind: Kind, name: &str) -> Object {
    found(actions, kind, name).into_iter().next().expect("the object is there")
}

/// The names of all such.
fn all(actions: &[(u64, Action)], kind: Kind, name: &str) -> Vec<String> {
    found(actions, kind, name).iter().map(|object| object.key().name.to_string()).collect()
}

/// Everything follows from the seed.
fn found(actions: &[(u64, Action)], kind: Kind, name: &str) -> Vec<Object> {
    let mut session = Session::new(config());
    for (seconds, action) in actions {
        session.run_until(session.now() + Duration::from_secs(*seconds));
        session.act(action.clone()).expect("it is taken");
    }
    session.run_until(session.now() + Duration::from_secs(60));
    let objects = session.cluster().api().etcd().range(kind, None);
    objects.filter(|(key, _)| key.name.starts_with(name)).map(|(_, object)| object.clone()).collect()
}

fn uid(actions: &[(u64, Action)], kind: Kind, name: &str) -> String {
    find(actions, kind, name).metadata().uid.clone().unwrap_or_default()
}

fn named(actions: &[(u64, Action)], kind: Kind, name: &str) -> String {
    find(actions, kind, name).key().name.to_string()
}

/// Plays what is there and what is done about it a minute later, and compares what is found.
fn check(before: Vec<(u64, Action)>, deeds: Vec<Action>, wanted: &str) {
    let mut actions = before;
    for (index, deed) in deeds.into_iter().enumerate() {
        actions.push((if index == 0 { 60 } else { 0 }, deed));
    }
    let found = script(&actions, false).expect_err("nothing was found");
    assert!(found.contains(wanted), "{found}");
}

#[test]
fn a_node_that_is_overfilled() {
    let mut pod = template("3");
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("large");
    pod["spec"]["schedulerName"] = json!("nobody");
    let target = json!({ "apiVersion": "v1", "kind": "Node", "name": "node-1" });
    let binding = json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": "large" }, "target": target });
    let bind = create("default-scheduler", &format!("{PODS}/large/binding"), binding);
    check(Vec::new(), vec![create("user", PODS, pod), bind], "overfills the cpu of node-1");
}

#[test]
fn pods_beyond_what_is_wanted() {
    let cases = [
        (
            Kind::ReplicaSet,
            "replicaset-controller",
            json!({ "replicas": 1, "template": template("10m") }),
            "extra",
            "is one of 2 pods of a ReplicaSet that wants 1",
        ),
        (
            Kind::StatefulSet,
            "statefulset-controller",
            json!({ "replicas": 0, "serviceName": "web", "template": template("10m") }),
            "web-1",
            "was made before web-0 is ready",
        ),
        (
            Kind::Job,
            "job-controller",
            {
                let mut template = template("10m");
                template["spec"]["restartPolicy"] = json!("Never");
                json!({ "parallelism": 1, "completions": 1, "template": template })
            },
            "extra",
            "is one of 2 active pods of a Job that wants 1 at once",
        ),
    ];
    for (kind, actor, spec, pod, wanted) in cases {
        let before = vec![(5, apply(&json!([workload(&kind.to_string(), "web", spec)])))];
        let uid = uid(&before, kind, "web");
        let rogue = create(actor, PODS, pod_of(&kind.to_string(), "web", &uid, pod));
        check(before, vec![rogue], wanted);
    }
}

#[test]
fn a_second_daemon_on_a_node() {
    let before = vec![(5, apply(&json!([workload("DaemonSet", "web", json!({ "template": template("10m") }))])))];
    let uid = uid(&before, Kind::DaemonSet, "web");
    let mut pod = pod_of("DaemonSet", "web", &uid, "extra");
    let field = json!({ "key": "metadata.name", "operator": "In", "values": ["node-1"] });
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"] =
        json!([{ "matchFields": [field] }]);
    check(
        before,
        vec![create("daemonset-controller", PODS, pod)],
        "is one of 2 pods of its DaemonSet for node \"node-1\"",
    );
}

/// A fault, and what a user does, need their time to be over.
fn calmly(mut before: Vec<(u64, Action)>) -> Vec<(u64, Action)> {
    before.push((130, apply(&json!([]))));
    before
}

#[test]
fn an_update_that_does_not_wait() {
    let spec = json!({ "replicas": 2, "serviceName": "web", "template": template("10m") });
    let before = calmly(vec![(5, apply(&json!([workload("StatefulSet", "web", spec)])))]);
    let delete =
        |actor: &str, pod: &str| request(actor, "DELETE", &format!("{PODS}/{pod}"), "application/json", Value::Null);
    let deeds = ["web-1", "web-0"].map(|pod| delete("statefulset-controller", pod));
    check(before, deeds.into(), "is replaced although the pod at place 1 is not well");
    let before =
        calmly(vec![(5, apply(&json!([workload("DaemonSet", "web", json!({ "template": template("10m") }))])))]);
    let pods = all(&before, Kind::Pod, "web");
    let deeds = pods.iter().take(2).map(|pod| delete("daemonset-controller", pod)).collect();
    check(before, deeds, "leaves 2 nodes without a pod of DaemonSet web, of 1 at most");
}

#[test]
fn a_job_that_counts_more_than_there_is() {
    let status = |fields: Value| {
        change("job-controller", "/apis/batch/v1/namespaces/default/jobs/web/status", json!({ "status": fields }))
    };
    let spec = |indexed: bool| {
        let mut template = template("10m");
        template["spec"]["restartPolicy"] = json!("Never");
        template["spec"]["containers"][0]["image"] = json!("busybox:1.36");
        template["spec"]["containers"][0]["command"] = json!(["sh", "-c", "sleep 1000"]);
        let mode = if indexed { "Indexed" } else { "NonIndexed" };
        json!({ "parallelism": 2, "completions": 2, "completionMode": mode, "template": template })
    };
    let before = |indexed: bool| vec![(5, apply(&json!([workload("Job", "web", spec(indexed))])))];
    check(before(false), vec![status(json!({ "failed": 1 }))], "counts 0 + 1 pods that ended, of 0");
    // What ended is known; more of it than was asked for cannot be.
    let pods = all(&before(true), Kind::Pod, "web");
    let end = |name: &String| {
        change("kubelet", &format!("{PODS}/{name}/status"), json!({ "status": { "phase": "Succeeded" } }))
    };
    let mut deeds: Vec<Action> = pods.iter().take(1).map(end).collect();
    deeds.push(status(json!({ "succeeded": 1, "completedIndexes": "0-1" })));
    check(before(true), deeds, "has 2 completed indexes and counts Some(1) of them");
    let uid = uid(&before(true), Kind::Job, "web");
    let mut twin = pod_of("Job", "web", &uid, "extra");
    twin["metadata"]["annotations"] = json!({ "batch.kubernetes.io/job-completion-index": "1" });
    let mut deeds: Vec<Action> = pods.iter().take(1).map(end).collect();
    deeds.push(create("job-controller", PODS, twin));
    check(before(true), deeds, "has the index 1, which another active pod has");
}

fn deployment() -> Vec<(u64, Action)> {
    let rolling = json!({ "maxSurge": 1, "maxUnavailable": 0 });
    let spec = json!({
        "replicas": 2,
        "strategy": { "type": "RollingUpdate", "rollingUpdate": rolling },
        "template": template("10m"),
    });
    vec![(5, apply(&json!([workload("Deployment", "web", spec)])))]
}

#[test]
fn a_roll_out_beyond_its_bounds() {
    let before = deployment();
    let set = named(&before, Kind::ReplicaSet, "web");
    let path = format!("/apis/apps/v1/namespaces/default/replicasets/{set}");
    let rogue = change("deployment-controller", &path, json!({ "spec": { "replicas": 9 } }));
    check(before, vec![rogue], "brings its Deployment to 9 pods, of 3 at most");
    let before = calmly(deployment());
    let pod = named(&before, Kind::Pod, "web");
    let rogue = request("replicaset-controller", "DELETE", &format!("{PODS}/{pod}"), "application/json", Value::Null);
    check(before, vec![rogue], "leaves Deployment web with 1 available pods, of 2 at least");
}

#[test]
fn a_job_that_counts_what_never_was() {
    let mut template = template("10m");
    template["spec"]["restartPolicy"] = json!("Never");
    let spec = json!({ "parallelism": 1, "completions": 9, "template": template });
    let before = vec![(5, apply(&json!([workload("Job", "web", spec)])))];
    let path = "/apis/batch/v1/namespaces/default/jobs/web/status";
    let rogue = change("job-controller", path, json!({ "status": { "succeeded": 2 } }));
    check(before, vec![rogue], "counts 2 pods that succeeded, of 0");
}

#[test]
fn an_eviction_that_a_budget_forbids() {
    let mut before = deployment();
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "minAvailable": 2, "selector": { "matchLabels": { "app": "web" } } },
    });
    let pod = named(&before, Kind::Pod, "web");
    before.push((60, apply(&json!([budget]))));
    before.push((61, apply(&json!([]))));
    let path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/web/status";
    let allow = change("disruption-controller", path, json!({ "status": { "disruptionsAllowed": 1 } }));
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "name": pod, "namespace": "default" },
    });
    let evict = create("kubectl", &format!("{PODS}/{pod}/eviction"), eviction);
    check(before, vec![allow, evict], "leaves 1 healthy pods of 2 that budget web wants");
}

#[test]
fn two_pods_of_one_name() {
    let spec = json!({ "replicas": 1, "serviceName": "web", "template": template("10m") });
    let before = vec![(5, apply(&json!([workload("StatefulSet", "web", spec)])))];
    // Where it is cut off, nobody knows that it still runs; a controller that forces it away is wrong.
    let nodes = ["node-1", "node-2", "node-3"];
    let cut_off = nodes.map(|name| Action::PartitionNode(NodeName { name: name.to_owned() }));
    let object = ObjectName {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: "default".to_owned(),
        name: "web-0".to_owned(),
    };
    let force = Action::Delete { object, propagation: None, grace_period_seconds: Some(0) };
    let mut failures = Vec::new();
    for cut_off in cut_off {
        let mut actions = before.clone();
        actions.push((60, cut_off));
        actions.push((1, force.clone()));
        failures.extend(script(&actions, false).err());
    }
    assert!(failures.iter().any(|found| found.contains("default/web-0 runs on")), "{failures:?}");
}

#[test]
fn a_disk_on_two_nodes() {
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": "disk" },
        "spec": {
            "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"],
            "csi": { "driver": "none.example.com", "volumeHandle": "vol-1" },
        },
    });
    let path = "/apis/storage.k8s.io/v1/volumeattachments";
    let mut deeds = Vec::new();
    for node in ["node-1", "node-2"] {
        let spec =
            json!({ "attacher": "none.example.com", "nodeName": node, "source": { "persistentVolumeName": "disk" } });
        let attachment = json!({ "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": { "name": node }, "spec": spec });
        deeds.push(create("attachdetach-controller", path, attachment));
        deeds.push(change("csi-attacher", &format!("{path}/{node}/status"), json!({ "status": { "attached": true } })));
    }
    check(vec![(5, apply(&json!([volume])))], deeds, "disk is attached to node-2 and to node-1");
}

#[test]
fn what_outlives_its_owner() {
    let owner = json!({ "apiVersion": "none.example.com/v1", "kind": "Nothing", "name": "gone", "uid": "0" });
    let orphan = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "orphan", "ownerReferences": [owner] },
    });
    let found = script(&[(5, apply(&json!([orphan])))], true).expect_err("nothing was found");
    assert!(found.contains("outlives its owner gone"), "{found}");
}

#[test]
fn a_cluster_that_nobody_meddles_with() {
    assert_eq!(script(&deployment(), true), Ok(()));
}
