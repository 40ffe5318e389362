//! StatefulSets, DaemonSets and ReplicationControllers beyond their recorded cases: what must hold at every moment, and
//! what is recorded as the reason of each write.

use expect_test::expect;
use kubetab::api::Kind;
use serde_json::{Value, json};

use super::scene::Scene;

/// A workload of one container that is ready three seconds after it started.
fn workload(kind: &str, api_version: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "c",
                        "image": "nginx:1.25",
                        "readinessProbe": { "httpGet": { "port": 80 }, "initialDelaySeconds": 3, "periodSeconds": 1 },
                    }],
                },
            },
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// The pods of the test's namespace.
fn pods(scene: &Scene) -> Vec<Value> {
    let etcd = scene.cluster.api().etcd();
    etcd.range(Kind::Pod, Some("default")).map(|(_, pod)| pod.to_value()).collect()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn is_going(pod: &Value) -> bool {
    !pod["metadata"]["deletionTimestamp"].is_null()
}

fn image(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap_or("")
}

/// Gives the workload's containers another image.
fn change_image(scene: &mut Scene, object: &str, image: &str) {
    let container = json!({ "name": "c", "image": image });
    let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
    scene.patch(object, &patch.to_string());
}

#[test]
fn a_stateful_set_makes_one_pod_after_another_and_says_why() {
    let mut scene = Scene::with_nodes(2);
    let claims = json!([{
        "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    }]);
    let retention = json!({ "whenDeleted": "Delete" });
    scene.create_value(workload(
        "StatefulSet",
        "apps/v1",
        &json!({
            "replicas": 2, "serviceName": "web", "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": claims, "persistentVolumeClaimRetentionPolicy": retention,
        }),
    ));
    scene.run(2);
    let log: Vec<String> = scene.log("statefulset-controller").lines().map(without_hash).collect();
    expect![[r#"
        0 creates ControllerRevision default/web-HASH: The pod template of StatefulSet web is one that no revision has.
        0 creates PersistentVolumeClaim default/data-web-0: Pod web-0 of StatefulSet web needs a claim data-web-0.
        0 creates Pod default/web-0: StatefulSet web wants a pod web-0, which is not there.
        0 creates PersistentVolumeClaim default/data-web-1: Pod web-1 of StatefulSet web needs a claim data-web-1.
        0 creates Pod default/web-1: StatefulSet web wants a pod web-1, which is not there.
        0 changes StatefulSet default/web: StatefulSet web tells how many of its pods there are.
        0 changes PersistentVolumeClaim default/data-web-0: The retention policy of StatefulSet web says whose claim data-web-0 is.
        0 changes StatefulSet default/web: StatefulSet web tells how many of its pods there are.
        0 changes PersistentVolumeClaim default/data-web-1: The retention policy of StatefulSet web says whose claim data-web-1 is."#]].assert_eq(&log.join("\n"));
}

/// A line without the random-looking end of a revision's name.
fn without_hash(line: &str) -> String {
    let words = line.split(' ').map(|word| match word.strip_prefix("default/web-") {
        Some(hash) if hash.len() > 4 => "default/web-HASH:".to_owned(),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn an_update_of_a_stateful_set_goes_from_the_last_pod_to_the_first_one_at_a_time() {
    let mut scene = Scene::with_nodes(2);
    scene.create_value(workload("StatefulSet", "apps/v1", &json!({ "replicas": 3, "serviceName": "web" })));
    scene.run(30);
    assert_eq!(pods(&scene).iter().filter(|pod| is_ready(pod)).count(), 3);
    change_image(&mut scene, "StatefulSet web", "nginx:1.26");
    let mut updated = Vec::new();
    for _ in 0..600 {
        scene.run_millis(100);
        let all = pods(&scene);
        let well = all.iter().filter(|pod| is_ready(pod) && !is_going(pod)).count();
        assert!(well >= 2, "two of three pods are always well");
        for pod in all.iter().filter(|pod| image(pod) == "nginx:1.26") {
            let name = pod["metadata"]["name"].as_str().unwrap_or("").to_owned();
            if !updated.contains(&name) {
                updated.push(name);
            }
        }
    }
    assert_eq!(updated, ["web-2", "web-1", "web-0"]);
    let status = scene.get("StatefulSet web")["status"].clone();
    assert_eq!(status["currentRevision"], status["updateRevision"]);
    assert_eq!(status["updatedReplicas"], 3);
}

#[test]
fn a_surging_daemon_set_never_leaves_a_node_without_a_ready_pod() {
    let mut scene = Scene::with_nodes(3);
    let strategy = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } });
    scene.create_value(workload("DaemonSet", "apps/v1", &json!({ "updateStrategy": strategy })));
    scene.run(10);
    let nodes = |scene: &Scene, wanted: fn(&Value) -> bool| {
        let all = pods(scene).into_iter().filter(wanted);
        let mut nodes: Vec<String> = all.map(|pod| pod["spec"]["nodeName"].as_str().unwrap_or("").to_owned()).collect();
        nodes.sort();
        nodes.dedup();
        nodes.len()
    };
    assert_eq!(nodes(&scene, is_ready), 3);
    change_image(&mut scene, "DaemonSet web", "nginx:1.26");
    for _ in 0..400 {
        scene.run_millis(100);
        assert_eq!(nodes(&scene, |pod| is_ready(pod) && !is_going(pod)), 3, "every node has a ready pod");
        assert!(pods(&scene).iter().filter(|pod| !is_going(pod)).count() <= 4, "one pod more at most");
    }
    assert_eq!(nodes(&scene, |pod| image(pod) == "nginx:1.26"), 3);
    assert_eq!(pods(&scene).len(), 3);
}

#[test]
fn a_daemon_pod_that_fails_again_waits_longer_each_time() {
    let mut scene = Scene::with_nodes(1);
    scene.create_value(workload("DaemonSet", "apps/v1", &json!({})));
    scene.run(8);
    scene.mark();
    for _ in 0..3 {
        let pod = pods(&scene).into_iter().find(|pod| !is_going(pod)).expect("the node has a pod");
        let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
        scene.fail_pod(&name);
        scene.run(8);
    }
    let events = scene.events("daemonset-controller");
    let seconds: Vec<u64> = events
        .lines()
        .filter(|line| line.contains("FailedDaemonPod"))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(seconds, [0, 8, 16], "the back-off of one and two seconds is over by then:\n{events}");
}

#[test]
fn a_replication_controller_is_a_replica_set_of_another_name() {
    let mut scene = Scene::with_nodes(2);
    let selector = json!({ "replicas": 3, "selector": { "app": "web" } });
    scene.create_value(workload("ReplicationController", "v1", &selector));
    scene.run(10);
    let owners =
        |scene: &Scene| pods(scene).iter().map(|pod| pod["metadata"]["ownerReferences"][0].clone()).collect::<Vec<_>>();
    for owner in owners(&scene) {
        assert_eq!((&owner["apiVersion"], &owner["kind"]), (&json!("v1"), &json!("ReplicationController")));
    }
    let status = scene.get("ReplicationController web")["status"].clone();
    assert_eq!((&status["replicas"], &status["readyReplicas"]), (&json!(3), &json!(3)), "{status}");
    assert!(status.get("terminatingReplicas").is_none(), "only ReplicaSets count those: {status}");
    scene.patch("ReplicationController web", "{spec: {replicas: 1}}");
    scene.run(5);
    assert_eq!(owners(&scene).len(), 1);
    scene.delete("ReplicationController web");
    scene.run(5);
    assert_eq!(owners(&scene).len(), 0, "the garbage collector takes its pods");
}
