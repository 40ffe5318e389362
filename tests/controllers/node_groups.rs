//! cluster-autoscaler and the groups of machines that it makes larger and smaller.

use std::collections::BTreeMap;

use expect_test::expect;
use kubetab::api::Kind;
use kubetab::sim::{MachineError, NodeGroupSpec, NodeSpec, ProcessId, Profile};
use serde_json::Value;

use super::scene::Scene;

const AUTOSCALER: &str = "cluster-autoscaler";

fn group(name: &str, min: u32, max: u32, cpu: &str) -> NodeGroupSpec {
    let capacity = [("cpu", cpu), ("memory", "8Gi"), ("pods", "110")];
    let capacity = capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into();
    NodeGroupSpec { name: name.to_owned(), min, max, capacity, ..NodeGroupSpec::default() }
}

fn deployment(name: &str, replicas: u32, cpu: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{replicas: {replicas}, selector: \
         {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: \
         {{terminationGracePeriodSeconds: 1, containers: [{{name: c, image: 'registry.k8s.io/pause:3.10', resources: \
         {{requests: {{cpu: {cpu}}}}}}}]}}}}}}}}"
    )
}

/// The nodes with how many pods each has.
fn pods_by_node(scene: &Scene) -> BTreeMap<String, usize> {
    let etcd = scene.cluster.api().etcd();
    let mut nodes: BTreeMap<String, usize> =
        etcd.range(Kind::Node, None).map(|(key, _)| (key.name.to_string(), 0)).collect();
    for (_, object) in etcd.range(Kind::Pod, Some("default")) {
        let node = object.to_value()["spec"]["nodeName"].as_str().unwrap_or("nowhere").to_owned();
        *nodes.entry(node).or_default() += 1;
    }
    nodes
}

/// The names of the pods on a node.
fn pods_on(scene: &Scene, node: &str) -> Vec<String> {
    let pods = scene.cluster.api().etcd().range(Kind::Pod, Some("default"));
    let on_node = pods.filter(|(_, object)| object.to_value()["spec"]["nodeName"] == node);
    on_node.map(|(key, _)| key.name.to_string()).collect()
}

fn told(scene: &Scene) -> String {
    format!("{:?}", pods_by_node(scene)).replace('"', "")
}

fn taints(scene: &Scene, node: &str) -> Vec<String> {
    let node = scene.get(&format!("Node {node}"));
    let taints: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.iter().map(|taint| format!("{}:{}", taint["key"], taint["effect"]).replace('"', "")).collect()
}

/// A reason of events with its messages, however long ago.
fn events(scene: &Scene, reason: &str) -> Vec<String> {
    let etcd = scene.cluster.api().etcd();
    let all = etcd.range(Kind::Event, None).map(|(_, object)| object.to_value());
    let mut told: Vec<String> = all
        .filter(|event| event["reason"] == reason && event["source"]["component"] == AUTOSCALER)
        .map(|event| {
            let about = &event["involvedObject"];
            format!("{} {}", about["kind"].as_str().unwrap_or(""), event["message"].as_str().unwrap_or(""))
        })
        .collect();
    told.sort();
    told.dedup();
    told
}

#[test]
fn pods_without_room_get_nodes() {
    let mut scene = Scene::in_cloud(1);
    scene.cluster.set_node_group(&group("pool", 0, 5, "4")).expect("the group is fine");
    scene.create(&deployment("web", 6, "1500m"));
    scene.mark();
    scene.run(15);
    expect![[r#"
        10 Normal ScaledUpGroup ConfigMap cluster-autoscaler-status: Scale-up: setting group pool size to 2 instead of 0 (max: 5)
        10 Normal ScaledUpGroup ConfigMap cluster-autoscaler-status: Scale-up: group pool size set to 2 instead of 0 (max: 5)
    "#]]
    .assert_eq(&scene.events(AUTOSCALER).lines().take(2).map(|line| format!("{line}\n")).collect::<String>());
    assert_eq!(events(&scene, "TriggeredScaleUp"), ["Pod pod triggered scale-up: [{pool 0->2 (max: 5)}]"]);
    scene.run(40);
    assert_eq!(told(&scene), "{node-1: 2, nowhere: 4}", "machines take their time to boot");
    scene.run(60);
    assert_eq!(told(&scene), "{node-1: 2, pool-1: 2, pool-2: 2}");
    assert_eq!(events(&scene, "ScaledUpGroup").len(), 2, "no group grew again meanwhile");
    let zones = ["pool-1", "pool-2"]
        .map(|node| scene.get(&format!("Node {node}"))["metadata"]["labels"]["topology.kubernetes.io/zone"].clone());
    assert_eq!(zones, ["tab-1a", "tab-1b"]);
}

#[test]
fn what_no_group_can_help_is_told() {
    let mut scene = Scene::in_cloud(1);
    scene.cluster.set_node_group(&group("small", 0, 5, "2")).expect("the group is fine");
    scene.cluster.set_node_group(&group("full", 0, 0, "16")).expect("the group is fine");
    scene.create(&deployment("big", 1, "8"));
    scene.run(30);
    let expected = "Pod pod didn't trigger scale-up: 1 Insufficient cpu, 1 max node group size reached";
    assert_eq!(events(&scene, "NotTriggerScaleUp"), [expected]);
    assert_eq!(scene.cluster.node_groups().map(|group| group.target).sum::<u32>(), 0);
}

#[test]
fn a_cluster_waits_for_nodes_that_come() {
    let mut scene = Scene::in_cloud(1);
    scene.cluster.set_node_group(&group("pool", 0, 5, "4")).expect("the group is fine");
    scene.create(&deployment("web", 3, "1500m"));
    let limit = scene.cluster.now() + std::time::Duration::from_secs(1200);
    assert!(scene.cluster.run_until_idle(limit), "it comes to rest although it looks for ever");
    assert_eq!(told(&scene), "{node-1: 2, pool-1: 1}");
}

/// A cluster of a node and one of a group, each with a pod of a tenth of it.
fn idle() -> Scene {
    let mut scene = Scene::in_cloud(1);
    scene.cluster.set_node_group(&group("pool", 1, 3, "4")).expect("the group is fine");
    scene.run(120);
    scene.cluster.set_node_group(&group("pool", 0, 3, "4")).expect("the group is fine");
    scene.create(&deployment("web", 2, "400m"));
    scene.run(5);
    assert_eq!(told(&scene), "{node-1: 1, pool-1: 1}");
    scene
}

#[test]
fn a_node_that_is_hardly_used_goes_after_ten_minutes() {
    let mut scene = idle();
    scene.run(30);
    assert_eq!(taints(&scene, "pool-1"), ["DeletionCandidateOfClusterAutoscaler:PreferNoSchedule"]);
    let status = |scene: &Scene| -> Value {
        let map = scene.get("ConfigMap kube-system/cluster-autoscaler-status");
        serde_yaml::from_str(map["data"]["status"].as_str().expect("there is a status")).expect("it is YAML")
    };
    assert_eq!(status(&scene)["nodeGroups"][0]["scaleDown"]["status"], "CandidatesPresent");
    scene.run(500);
    assert_eq!(taints(&scene, "pool-1").len(), 1);
    scene.mark();
    let pod = pods_on(&scene, "pool-1").remove(0);
    scene.run(120);
    let log = scene.log(AUTOSCALER).replace(&pod, "POD");
    let log: String = log.lines().filter(|line| !line.contains("ConfigMap")).map(|line| format!("{line}\n")).collect();
    expect![[r#"
        75 changes Node pool-1: Node pool-1 has not been needed for ten minutes and is removed.
        80 changes Pod default/POD: Pod POD has to leave node pool-1, which is being removed.
        80 marks Pod default/POD: Pod POD has to leave node pool-1, which is being removed.
    "#]]
    .assert_eq(&log);
    expect![[r#"
        75 Normal ScaleDown Node pool-1: marked the node as toBeDeleted/unschedulable
        75 Normal ScaleDown ConfigMap cluster-autoscaler-status: Scale-down: removing node pool-1, utilization: {0.1 0 0 0 cpu 0.1}, pods to reschedule: POD
        80 Normal ScaleDown Pod POD: deleting pod for node scale down
        85 Normal ScaleDown Node pool-1: nodes removed by cluster autoscaler
        85 Normal ScaleDown ConfigMap cluster-autoscaler-status: Scale-down: node pool-1 removed with drain
    "#]]
    .assert_eq(&scene.events(AUTOSCALER).replace(&pod, "POD"));
    assert_eq!(pods_by_node(&scene)["node-1"], 2);
    scene.run(60);
    assert_eq!(told(&scene), "{node-1: 2}", "its object goes when it is not heard of any more");
    assert_eq!(status(&scene)["nodeGroups"][0]["health"]["cloudProviderTarget"], 0);
}

#[test]
fn a_group_keeps_its_least_size_and_what_is_annotated() {
    let mut scene = idle();
    scene.patch(
        "Node pool-1",
        "{metadata: {annotations: {cluster-autoscaler.kubernetes.io/scale-down-disabled: 'true'}}}",
    );
    scene.run(900);
    assert_eq!(taints(&scene, "pool-1"), [""; 0]);
    scene.patch("Node pool-1", "{metadata: {annotations: null}}");
    scene.cluster.set_node_group(&group("pool", 1, 3, "4")).expect("the group is fine");
    scene.run(900);
    assert_eq!(told(&scene), "{node-1: 1, pool-1: 1}");
}

#[test]
fn a_budget_holds_a_removal_up() {
    let mut scene = idle();
    scene.create(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 2, selector: \
         {matchLabels: {app: web}}}}",
    );
    scene.run(1200);
    assert_eq!(told(&scene), "{node-1: 1, pool-1: 1}");
    scene.patch("PodDisruptionBudget web", "{spec: {minAvailable: 1}}");
    scene.run(1200);
    assert_eq!(told(&scene), "{node-1: 2}");
}

#[test]
fn a_budget_that_comes_late_ends_the_removal() {
    let mut scene = idle();
    scene.run(600);
    // The budget comes when the node is closed already.
    while !taints(&scene, "pool-1").iter().any(|taint| taint.starts_with("ToBeDeleted")) {
        scene.run(1);
    }
    scene.run(1);
    scene.create(
        "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: {minAvailable: 2, selector: \
         {matchLabels: {app: web}}}}",
    );
    scene.run(200);
    let failed = events(&scene, "ScaleDownFailed");
    let why = "GetPodsToMove for \"pool-1\" returned error: not enough pod disruption budget to move default/web-";
    let expected = format!("Node failed to drain and delete node: {why}");
    assert!(failed.len() == 1 && failed[0].starts_with(&expected), "{failed:?}");
    assert!(!taints(&scene, "pool-1").iter().any(|taint| taint.starts_with("ToBeDeleted")));
}

#[test]
fn a_machine_that_somebody_takes_away_is_made_again() {
    let mut scene = idle();
    scene.cluster.remove_node("pool-1").expect("the machine is there");
    scene.run(200);
    assert!(pods_by_node(&scene).contains_key("pool-2"), "{}", told(&scene));
}

#[test]
fn without_a_group_nobody_looks() {
    let mut scene = Scene::in_cloud(1);
    assert_eq!(scene.cluster.process_state(&ProcessId::ClusterAutoscaler), None);
    scene.cluster.set_node_group(&group("pool", 2, 3, "4")).expect("the group is fine");
    scene.cluster.remove_node_group("pool").expect("the group is there");
    assert_eq!(scene.cluster.process_state(&ProcessId::ClusterAutoscaler), None);
    scene.run(200);
    assert_eq!(told(&scene), "{node-1: 0}", "what booted does not come any more");
    assert_eq!(scene.cluster.remove_node_group("pool"), Err(MachineError::NoSuchNodeGroup("pool".to_owned())));
}

#[test]
fn groups_that_make_no_sense_are_refused() {
    let mut scene = Scene::in_cloud(1);
    let refused = |spec: &NodeGroupSpec, scene: &mut Scene| {
        scene.cluster.set_node_group(spec).expect_err("it is refused").to_string()
    };
    let told = [
        refused(&group("Pool", 0, 1, "4"), &mut scene),
        refused(&group("pool", 2, 1, "4"), &mut scene),
        refused(&group("pool", 0, 1001, "4"), &mut scene),
        refused(&group("pool", 0, 1, "much"), &mut scene),
        refused(&group("pool", 0, 1, "4"), &mut Scene::of(Profile { nodes: 1, ..Profile::bare() })),
    ];
    expect![[r#"
        [
            "there can be no such node group: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "there can be no such node group: it has no more machines at most than at least",
            "there can be no such node group: it has at most 1000 machines",
            "this node cannot join: capacity \"cpu\": \"much\" is no quantity",
            "there can be no such node group: the cluster runs in no cloud",
        ]
    "#]].assert_debug_eq(&told);
    // A name that a group would give may be taken.
    scene.cluster.add_node(&NodeSpec { name: "pool-1".to_owned(), ..NodeSpec::default() }).expect("it joins");
    scene.cluster.set_node_group(&group("pool", 1, 1, "4")).expect("the group is fine");
    scene.run(120);
    assert_eq!(told_nodes(&scene), "node-1 pool-1 pool-2");
}

fn told_nodes(scene: &Scene) -> String {
    pods_by_node(scene).into_keys().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_group_without_machines_to_have_is_left_alone_for_a_while() {
    let mut scene = Scene::in_cloud(1);
    let spec = NodeGroupSpec { stock: Some(1), ..group("pool", 0, 5, "4") };
    scene.cluster.set_node_group(&spec).expect("the group is fine");
    scene.create(&deployment("web", 3, "3500m"));
    scene.run(25);
    assert_eq!(
        events(&scene, "ScaleUpFailed"),
        ["ConfigMap Failed adding 1 nodes to group pool due to OutOfResource.RESOURCE_POOL_EXHAUSTED; source errors: \
          Instance 'pool-2' creation failed: The zone 'tab-1b' does not have enough resources available to fulfill the \
          request."]
    );
    let status = scene.get("ConfigMap kube-system/cluster-autoscaler-status")["data"]["status"].clone();
    let status: Value = serde_yaml::from_str(status.as_str().unwrap_or("")).expect("it is YAML");
    assert_eq!(status["nodeGroups"][0]["scaleUp"]["status"], "Backoff");
    scene.run(120);
    assert_eq!(
        events(&scene, "NotTriggerScaleUp").last().map(String::as_str),
        Some("Pod pod didn't trigger scale-up: 1 in backoff after failed scale-up")
    );
    assert_eq!(scene.cluster.node_groups().next().map(|group| group.target), Some(1));
    // The cloud has machines again; the group is asked once its wait is over.
    scene.cluster.set_node_group(&group("pool", 0, 5, "4")).expect("the group is fine");
    scene.run(100);
    assert_eq!(scene.cluster.node_groups().next().map(|group| group.target), Some(1));
    scene.run(300);
    assert_eq!(scene.cluster.node_groups().next().map(|group| group.target), Some(2));
}
