//! The node lifecycle, after the recorded cases of `nodes/`.

use expect_test::expect;
use kubetab::sim::{NodeSpec, NodeTaint};
use serde_json::{Value, json};

use super::scene::Scene;
use super::timeline::Timeline;

const ACTOR: &str = "node-controller";
const NODE: &str = "beh-node";

/// A cluster of three machines, and one more that only pods of the test go to.
fn scene() -> Scene {
    let mut scene = Scene::with_nodes(3);
    let taint = NodeTaint { key: "beh".to_owned(), value: "x".to_owned(), effect: "NoSchedule".to_owned() };
    let spec = NodeSpec { name: NODE.to_owned(), taints: vec![taint], ..NodeSpec::default() };
    scene.cluster.add_node(&spec).expect("the machine joins");
    scene.run(7);
    scene
}

/// A pod that may only run on the test's machine.
fn pod(scene: &mut Scene, name: &str, tolerations: &Value) {
    let mut all = vec![json!({"key": "beh", "operator": "Exists"})];
    all.extend(tolerations.as_array().into_iter().flatten().cloned());
    scene.create_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"name": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{"name": "c", "image": "nginx:1.25"}],
            "nodeSelector": {"kubernetes.io/hostname": NODE},
            "tolerations": all,
        },
    }));
}

fn stop(scene: &mut Scene) {
    scene.cluster.stop_node(NODE).expect("the machine is there");
    scene.mark();
}

/// The type, reason, source and message of the events about the node, each once.
fn node_events(scene: &Scene) -> String {
    let mut events: Vec<String> = ["kubelet", ACTOR]
        .iter()
        .flat_map(|actor| scene.events(actor).lines().map(|line| format!("{actor} {line}")).collect::<Vec<_>>())
        .filter(|line| line.contains(&format!("Node {NODE}")))
        .map(|line| {
            let parts: Vec<&str> = line.splitn(3, ' ').collect();
            format!("{} {}\n", parts[0], parts[2])
        })
        .collect();
    events.sort();
    events.dedup();
    events.concat()
}

#[test]
fn a_dead_kubelet_is_noticed_and_forgiven_when_it_returns() {
    let mut scene = scene();
    pod(&mut scene, "stays", &json!([]));
    scene.run(8);
    stop(&mut scene);
    let dead = Timeline::follow(&mut scene, NODE, 75);
    expect![[r#"
        + node DiskPressure=Unknown NodeStatusUnknown
        + node MemoryPressure=Unknown NodeStatusUnknown
        + node PIDPressure=Unknown NodeStatusUnknown
        + node Ready=Unknown NodeStatusUnknown
        + node taint node.kubernetes.io/unreachable:NoExecute
        + node taint node.kubernetes.io/unreachable:NoSchedule
        + pod stays Ready=False
        - node DiskPressure=False KubeletHasNoDiskPressure
        - node MemoryPressure=False KubeletHasSufficientMemory
        - node PIDPressure=False KubeletHasSufficientPID
        - node Ready=True KubeletReady
        - pod stays Ready=True
    "#]]
    .assert_eq(&dead.net());
    let unknown = dead.appeared("node Ready=Unknown NodeStatusUnknown").expect("it is noticed");
    assert!((40..=55).contains(&unknown), "it is noticed after {unknown} s");
    assert_eq!(dead.appeared("node taint node.kubernetes.io/unreachable:NoSchedule"), Some(unknown));
    assert_eq!(dead.appeared("pod stays Ready=False"), Some(unknown));
    let no_execute = dead.appeared("node taint node.kubernetes.io/unreachable:NoExecute").expect("it is tainted");
    assert!((unknown..=unknown + 10).contains(&no_execute), "it is tainted after {no_execute} s");
    let marked = scene.log(ACTOR).lines().filter(|line| line.contains("changes Pod")).count();
    assert_eq!(marked, 1, "a pod is marked once");

    scene.cluster.start_node(NODE).expect("the machine is there");
    let back = Timeline::follow(&mut scene, NODE, 35);
    expect![[r#"
        + node DiskPressure=False KubeletHasNoDiskPressure
        + node MemoryPressure=False KubeletHasSufficientMemory
        + node PIDPressure=False KubeletHasSufficientPID
        + node Ready=True KubeletReady
        + pod stays Ready=True
        - node DiskPressure=Unknown NodeStatusUnknown
        - node MemoryPressure=Unknown NodeStatusUnknown
        - node PIDPressure=Unknown NodeStatusUnknown
        - node Ready=Unknown NodeStatusUnknown
        - node taint node.kubernetes.io/unreachable:NoExecute
        - node taint node.kubernetes.io/unreachable:NoSchedule
        - pod stays Ready=False
    "#]]
    .assert_eq(&back.net());
}

#[test]
fn pods_go_when_their_tolerations_of_a_dead_node_end() {
    let mut scene = scene();
    let unreachable = |seconds: Option<i64>| {
        let key = "node.kubernetes.io/unreachable";
        json!([{"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}])
    };
    pod(&mut scene, "ten", &unreachable(Some(10)));
    pod(&mut scene, "never", &unreachable(None));
    pod(&mut scene, "default", &json!([]));
    scene.run(8);
    stop(&mut scene);
    let dead = Timeline::follow(&mut scene, NODE, 400);
    let tainted = dead.appeared("node taint node.kubernetes.io/unreachable:NoExecute").expect("it is tainted");
    assert_eq!(dead.appeared("pod ten is deleting"), Some(tainted + 10));
    assert_eq!(dead.appeared("pod ten DisruptionTarget DeletionByTaintManager"), Some(tainted + 10));
    assert_eq!(dead.appeared("pod default is deleting"), Some(tainted + 300));
    assert_eq!(dead.appeared("pod never is deleting"), None);
    assert!(scene.exists("Pod ten"), "no kubelet says that it has ended");
}

#[test]
fn the_pods_of_a_deleted_node_are_collected() {
    let mut scene = scene();
    pod(&mut scene, "a", &json!([]));
    scene.run(8);
    stop(&mut scene);
    scene.delete(&format!("Node {NODE}"));
    scene.run(3);
    assert!(scene.exists("Pod a"));
    scene.run(110);
    assert!(!scene.exists("Pod a"));
    assert_eq!(
        node_events(&scene),
        format!(
            "node-controller Normal RemovingNode Node {NODE}: Node {NODE} event: Removing Node {NODE} from Controller\n"
        )
    );
}

#[test]
fn the_pods_of_a_node_that_is_out_of_service_are_removed_by_force() {
    let mut scene = scene();
    pod(&mut scene, "a", &json!([]));
    scene.run(8);
    stop(&mut scene);
    scene.run(60);
    let mut taints = scene.get(&format!("Node {NODE}"))["spec"]["taints"].clone();
    let taint = json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
    taints.as_array_mut().expect("the node has taints").push(taint);
    scene.patch(&format!("Node {NODE}"), &json!({"spec": {"taints": taints}}).to_string());
    scene.run(60);
    assert!(!scene.exists("Pod a"));
    let told = scene.events("taint-eviction-controller");
    assert!(told.contains("Normal TaintManagerEviction Pod a: Marking for deletion Pod default/a"), "{told}");
    assert!(scene.events(ACTOR).contains("Warning NodeNotReady Pod a: Node is not ready"));
}

/// A Node object that no machine stands behind, with a lease that is fresh once.
fn bare_node(scene: &mut Scene, name: &str, conditions: &[(&str, &str)]) {
    let now = scene.cluster.now().to_micro();
    scene.create_value(json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    }));
    let old = "2026-01-01T00:00:00Z";
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status)| {
            json!({
                "type": kind, "status": status, "reason": "Test", "lastHeartbeatTime": old, "lastTransitionTime": old,
            })
        })
        .collect();
    scene.create_value(json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}},
        "spec": {"taints": [{"key": "beh", "value": "x", "effect": "NoSchedule"}]},
        "status": {"conditions": conditions},
    }));
}

/// A node's taints but the test's own, and those with `NoExecute` that say since when.
fn taints(scene: &Scene, name: &str) -> (Vec<String>, Vec<String>) {
    let node = scene.get(&format!("Node {name}"));
    let taints: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let key = |taint: &Value| taint["key"].as_str().unwrap_or("").trim_start_matches("node.kubernetes.io/").to_owned();
    let mut all: Vec<String> = taints
        .iter()
        .filter(|taint| taint["key"] != "beh")
        .map(|taint| format!("{}:{}", key(taint), taint["effect"].as_str().unwrap_or("")))
        .collect();
    all.sort();
    let is_timed = |taint: &&Value| taint["effect"] == "NoExecute" && !taint["timeAdded"].is_null();
    (all, taints.iter().filter(is_timed).map(key).collect())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn conditions_become_taints() {
    let mut scene = Scene::with_nodes(3);
    let pressures = ["MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"];
    let mut all = vec![("Ready", "True")];
    all.extend(pressures.map(|pressure| (pressure, "True")));
    bare_node(&mut scene, "a", &all);
    bare_node(&mut scene, "b", &[("Ready", "False")]);
    bare_node(&mut scene, "c", &[("Ready", "Unknown")]);
    bare_node(&mut scene, "d", &[]);
    bare_node(&mut scene, "e", &[("Ready", "True"), ("MemoryPressure", "Unknown")]);
    scene.run(25);
    let expected: [(&str, &[&str], &[&str]); 5] = [
        (
            "a",
            &[
                "disk-pressure:NoSchedule",
                "memory-pressure:NoSchedule",
                "network-unavailable:NoSchedule",
                "pid-pressure:NoSchedule",
            ],
            &[],
        ),
        ("b", &["not-ready:NoExecute", "not-ready:NoSchedule"], &["not-ready"]),
        ("c", &["unreachable:NoExecute", "unreachable:NoSchedule"], &["unreachable"]),
        ("d", &[], &[]),
        ("e", &[], &[]),
    ];
    for (name, expected, timed) in expected {
        let found = taints(&scene, name);
        assert_eq!(
            (found.0.as_slice(), found.1.as_slice()),
            (strings(expected).as_slice(), strings(timed).as_slice()),
            "{name}"
        );
    }
    let labels = scene.get("Node a")["metadata"]["labels"].clone();
    assert_eq!(labels["beta.kubernetes.io/os"], "linux");
    assert_eq!(labels["beta.kubernetes.io/arch"], "arm64");
}

#[test]
fn a_node_made_anew_inherits_its_health_record() {
    let mut scene = Scene::with_nodes(3);
    let ready = [("Ready", "True")];
    bare_node(&mut scene, "a", &ready);
    let first = Timeline::follow(&mut scene, "a", 80);
    let unknown = first.appeared("node Ready=Unknown NodeStatusUnknown").expect("nothing renews its lease");
    assert!((50..=56).contains(&unknown), "it is noticed after {unknown} s");
    assert_eq!(first.appeared("node MemoryPressure=Unknown NodeStatusNeverUpdated"), Some(unknown));
    scene.delete("Node a");
    scene.delete("Lease kube-node-lease/a");
    scene.run(10);
    let yaml = "{apiVersion: v1, kind: Node, metadata: {name: a}, status: {conditions: [{type: Ready, status: 'True', \
                reason: Test, lastHeartbeatTime: '2026-01-01T00:00:00Z', lastTransitionTime: '2026-01-01T00:00:00Z'}]}}";
    scene.create(yaml);
    let second = Timeline::follow(&mut scene, "a", 10);
    let unknown = second.appeared("node Ready=Unknown NodeStatusUnknown").expect("the old record counts");
    assert!(unknown <= 6, "it is noticed after {unknown} s");
}

#[test]
fn cordoning_is_told_by_the_kubelet_and_tainted_by_the_controller() {
    let mut scene = scene();
    scene.mark();
    scene.patch(&format!("Node {NODE}"), "spec: {unschedulable: true}");
    scene.run(1);
    assert_eq!(taints(&scene, NODE).0, ["unschedulable:NoSchedule"]);
    scene.run(10);
    scene.patch(&format!("Node {NODE}"), "spec: {unschedulable: null}");
    scene.run(11);
    assert!(taints(&scene, NODE).0.is_empty());
    expect![[r#"
        kubelet Normal NodeNotSchedulable Node beh-node: Node beh-node status is now: NodeNotSchedulable
        kubelet Normal NodeSchedulable Node beh-node: Node beh-node status is now: NodeSchedulable
    "#]]
    .assert_eq(&node_events(&scene));
}

#[test]
fn while_no_node_is_ready_no_pod_is_driven_away() {
    let mut scene = Scene::with_nodes(2);
    scene.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: 'nginx:1.25'}]}}",
    );
    scene.run(8);
    for node in ["node-1", "node-2"] {
        scene.cluster.stop_node(node).expect("the machine is there");
    }
    scene.run(600);
    for node in ["node-1", "node-2"] {
        assert_eq!(taints(&scene, node).0, ["unreachable:NoSchedule"], "{node}");
    }
    assert!(scene.get("Pod a")["metadata"]["deletionTimestamp"].is_null());
    scene.cluster.start_node("node-1").expect("the machine is there");
    scene.run(30);
    let free: Vec<bool> = ["node-1", "node-2"].iter().map(|node| taints(&scene, node).0.is_empty()).collect();
    assert_eq!(free, [true, false]);
    assert!(taints(&scene, "node-2").0.contains(&"unreachable:NoExecute".to_owned()));
}

#[test]
fn a_taint_set_by_hand_drives_pods_away_as_they_tolerate_it() {
    let mut scene = scene();
    let key =
        |seconds: u32| json!([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
    pod(&mut scene, "plain", &json!([]));
    pod(&mut scene, "five", &key(6));
    pod(&mut scene, "twelve", &key(40));
    pod(&mut scene, "all", &json!([{"operator": "Exists"}]));
    pod(&mut scene, "value", &json!([{"key": "k", "operator": "Equal", "value": "other", "effect": "NoExecute"}]));
    scene.run(10);
    scene.mark();
    let node = format!("Node {NODE}");
    let own = scene.get(&node)["spec"]["taints"].clone();
    let mut taints = own.clone();
    taints.as_array_mut().expect("the node has taints").push(json!({"key": "k", "value": "v", "effect": "NoExecute"}));
    scene.patch(&node, &json!({"spec": {"taints": taints}}).to_string());
    let left = |scene: &Scene| -> Vec<&str> {
        let names = ["all", "five", "plain", "twelve", "value"];
        names.into_iter().filter(|name| scene.exists(&format!("Pod {name}"))).collect()
    };
    scene.run(3);
    assert_eq!(left(&scene), ["all", "five", "twelve"]);
    scene.run(7);
    assert_eq!(left(&scene), ["all", "twelve"]);
    scene.patch(&node, &json!({"spec": {"taints": own}}).to_string());
    scene.run(36);
    assert_eq!(left(&scene), ["all", "twelve"]);
    expect![[r#"
        0 Normal TaintManagerEviction Pod plain: Marking for deletion Pod default/plain
        0 Normal TaintManagerEviction Pod value: Marking for deletion Pod default/value
        6 Normal TaintManagerEviction Pod five: Marking for deletion Pod default/five
        10 Normal TaintManagerEviction Pod twelve: Cancelling deletion of Pod default/twelve
    "#]]
    .assert_eq(&scene.events("taint-eviction-controller"));
}

#[test]
fn a_pod_beyond_what_the_machine_takes_is_rejected() {
    let mut scene = Scene::with_nodes(1);
    let capacity = [("pods".to_owned(), "2".to_owned())].into();
    let spec = NodeSpec { name: NODE.to_owned(), capacity, ..NodeSpec::default() };
    scene.cluster.add_node(&spec).expect("the machine joins");
    scene.run(7);
    for name in ["a", "b", "c"] {
        let containers = "containers: [{name: c, image: 'nginx:1.25'}]";
        scene.create(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {NODE}, {containers}}}}}"
        ));
        scene.run(3);
    }
    let status = scene.get("Pod c")["status"].clone();
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("OutOfpods")));
    let why = "Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2";
    assert_eq!(status["message"], format!("Pod was rejected: {why}"));
    assert!(scene.events("kubelet").contains(&format!("Warning OutOfpods Pod c: {why}")));
}

#[test]
fn a_new_node_is_told_of_and_takes_the_pod_that_waited_for_it() {
    let mut scene = Scene::with_nodes(1);
    scene.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: waits}, spec: {nodeSelector: {beh: added}, tolerations: [{key: \
         beh, operator: Exists}], containers: [{name: c, image: 'nginx:1.25'}]}}",
    );
    scene.run(2);
    scene.mark();
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let taint = NodeTaint { key: "beh".to_owned(), value: "added".to_owned(), effect: "NoSchedule".to_owned() };
    let spec = NodeSpec {
        name: NODE.to_owned(),
        labels: [text("beh", "added")].into(),
        taints: vec![taint],
        capacity: [text("cpu", "2"), text("memory", "3Gi"), text("pods", "7"), text("example.com/gpu", "2")].into(),
        ..NodeSpec::default()
    };
    scene.cluster.add_node(&spec).expect("the machine joins");
    scene.run(10);
    let node = scene.get(&format!("Node {NODE}"));
    expect![[r#"
        {"beh":"added","beta.kubernetes.io/arch":"amd64","beta.kubernetes.io/os":"linux","kubernetes.io/arch":"amd64","kubernetes.io/hostname":"beh-node","kubernetes.io/os":"linux"} {"cpu":"2","ephemeral-storage":"100Gi","example.com/gpu":"2","memory":"3Gi","pods":"7"} [{"effect":"NoSchedule","key":"beh","value":"added"}] {"node.alpha.kubernetes.io/ttl":"0","volumes.kubernetes.io/controller-managed-attach-detach":"true"}
    "#]]
    .assert_eq(&format!(
        "{} {} {} {}\n",
        node["metadata"]["labels"],
        node["status"]["allocatable"],
        node["spec"]["taints"],
        node["metadata"]["annotations"]
    ));
    assert_eq!(scene.get("Pod waits")["spec"]["nodeName"], NODE);
    assert_eq!(scene.get("Pod waits")["status"]["phase"], "Running");
    expect![[r#"
        kubelet Normal NodeHasNoDiskPressure Node beh-node: Node beh-node status is now: NodeHasNoDiskPressure
        kubelet Normal NodeHasSufficientMemory Node beh-node: Node beh-node status is now: NodeHasSufficientMemory
        kubelet Normal NodeHasSufficientPID Node beh-node: Node beh-node status is now: NodeHasSufficientPID
        kubelet Normal NodeReady Node beh-node: Node beh-node status is now: NodeReady
        kubelet Normal Starting Node beh-node: Starting kubelet.
        node-controller Normal RegisteredNode Node beh-node: Node beh-node event: Registered Node beh-node in Controller
    "#]]
    .assert_eq(&node_events(&scene));
    let lease = scene.get(&format!("Lease kube-node-lease/{NODE}"));
    assert_eq!((&lease["spec"]["leaseDurationSeconds"], &lease["spec"]["holderIdentity"]), (&json!(40), &json!(NODE)));
    assert_eq!(lease["metadata"]["ownerReferences"][0]["kind"], "Node");
    scene.patch(&format!("Node {NODE}"), "metadata: {labels: {beh: null}}");
    scene.run(4);
    assert_eq!(scene.get("Pod waits")["status"]["phase"], "Running");
}

#[test]
fn many_pods_are_marked_at_the_clients_rate() {
    let mut scene = scene();
    for index in 0..100 {
        pod(&mut scene, &format!("p{index}"), &json!([]));
    }
    let ready = |scene: &Scene| {
        let is_ready = |index: &u32| {
            let conditions = scene.get(&format!("Pod p{index}"))["status"]["conditions"].clone();
            conditions.as_array().into_iter().flatten().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        (0..100).filter(is_ready).count()
    };
    for _ in 0..60 {
        scene.run(5);
        if ready(&scene) == 100 {
            break;
        }
    }
    assert_eq!(ready(&scene), 100);
    stop(&mut scene);
    scene.run(75);
    assert_eq!(ready(&scene), 0);
    let seconds: Vec<u64> = scene
        .log(ACTOR)
        .lines()
        .filter(|line| line.contains("changes Pod"))
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect();
    assert_eq!(seconds.len(), 100);
    let took = seconds[99] - seconds[0];
    assert!((3..=4).contains(&took), "a hundred requests less thirty at once, twenty a second: {took} s");
}
