//! cloud-controller-manager in the simulated cloud.

use expect_test::expect;
use k8s_openapi::api::core::v1::Service;
use kubetab::api::{Kind, ObjectKey};
use kubetab::cloud::LoadBalancer;
use kubetab::sim::{NodeSpec, ProcessId};
use serde_json::{Value, json};

use super::scene::Scene;

const SERVICE: &str = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {type: LoadBalancer, selector: \
                       {app: web}, ports: [{port: 80}]}}";

/// The load balancer of a Service in `default`.
fn balancer<'a>(scene: &'a Scene, name: &str) -> Option<&'a LoadBalancer> {
    let object = scene.cluster.api().etcd().get(Kind::Service, &ObjectKey::new("default", name))?;
    scene.cluster.cloud()?.balancer(object.downcast::<Service>()?)
}

fn nodes_of(balancer: Option<&LoadBalancer>) -> Vec<&str> {
    balancer.map(|balancer| balancer.nodes.iter().map(|name| &**name).collect()).unwrap_or_default()
}

fn taint_keys(scene: &Scene, node: &str) -> Vec<String> {
    let node = scene.get(&format!("Node {node}"));
    let taints: Vec<Value> = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.iter().map(|taint| format!("{}:{}", taint["key"], taint["effect"]).replace('"', "")).collect()
}

#[test]
fn a_node_waits_for_its_cloud_and_then_knows_where_it_is() {
    let mut scene = Scene::in_cloud(1);
    scene.cluster.add_node(&NodeSpec { name: "late".to_owned(), ..NodeSpec::default() }).expect("the machine joins");
    scene.run_millis(1);
    let uninitialized = "node.cloudprovider.kubernetes.io/uninitialized:NoSchedule".to_owned();
    assert!(taint_keys(&scene, "late").contains(&uninitialized), "{:?}", taint_keys(&scene, "late"));
    assert!(scene.get("Node late")["status"]["addresses"].is_null());
    scene.run(10);
    let node = scene.get("Node late");
    assert_eq!(taint_keys(&scene, "late"), [""; 0]);
    assert_eq!(node["spec"]["providerID"], "kubetab:///tab-1b/i-00000002");
    expect![[r#"
        [{"address":"10.0.0.12","type":"InternalIP"},{"address":"198.19.0.2","type":"ExternalIP"},{"address":"late","type":"Hostname"}]
        {"beta.kubernetes.io/arch":"amd64","beta.kubernetes.io/instance-type":"standard-4","beta.kubernetes.io/os":"linux","failure-domain.beta.kubernetes.io/region":"tab-1","failure-domain.beta.kubernetes.io/zone":"tab-1b","kubernetes.io/arch":"amd64","kubernetes.io/hostname":"late","kubernetes.io/os":"linux","node.kubernetes.io/instance-type":"standard-4","topology.kubernetes.io/region":"tab-1","topology.kubernetes.io/zone":"tab-1b"}
    "#]]
    .assert_eq(&format!("{}\n{}\n", node["status"]["addresses"], node["metadata"]["labels"]));
    expect![[r#"
        0 Normal Synced Node late: Node synced successfully
    "#]]
    .assert_eq(&scene.events("cloud-node-controller"));
    scene.run(600);
    let log = scene.log("cloud-node-controller");
    assert_eq!(log.lines().count(), 2, "there is nothing more to do:\n{log}");
}

#[test]
fn without_its_controllers_no_pod_comes_to_a_new_node() {
    let mut scene = Scene::with_nodes(0);
    scene.create(
        "{apiVersion: v1, kind: Node, metadata: {name: a}, spec: {taints: [{key: \
                  node.cloudprovider.kubernetes.io/uninitialized, effect: NoSchedule}]}}",
    );
    scene.run(60);
    assert!(
        scene.cluster.cloud().is_none() && scene.cluster.process_state(&ProcessId::CloudControllerManager).is_none()
    );
    assert!(taint_keys(&scene, "a").iter().any(|taint| taint.contains("uninitialized")));
}

#[test]
fn the_node_of_a_machine_that_was_taken_away_is_removed() {
    let mut scene = Scene::in_cloud(3);
    scene.cluster.remove_node("node-2").expect("the machine is there");
    scene.mark();
    scene.run(35);
    assert!(scene.exists("Node node-2"), "it was ready when it was last heard of");
    scene.run(30);
    assert!(!scene.exists("Node node-2"));
    let told = scene.events("cloud-node-lifecycle-controller");
    let message =
        "Normal DeletingNode Node node-2: Deleting node node-2 because it does not exist in the cloud provider\n";
    assert!(told.ends_with(message) && told.lines().count() == 1, "{told}");
}

#[test]
fn a_machine_that_is_switched_off_taints_its_node() {
    let mut scene = Scene::in_cloud(3);
    scene.cluster.stop_node("node-2").expect("the machine is there");
    scene.run(70);
    let shutdown = "node.cloudprovider.kubernetes.io/shutdown:NoSchedule".to_owned();
    assert!(taint_keys(&scene, "node-2").contains(&shutdown), "{:?}", taint_keys(&scene, "node-2"));
    scene.cluster.start_node("node-2").expect("the machine is there");
    scene.run(20);
    assert_eq!(taint_keys(&scene, "node-2"), [""; 0]);
}

#[test]
fn a_machine_that_is_only_cut_off_is_not_switched_off() {
    let mut scene = Scene::in_cloud(3);
    scene.cluster.partition_node("node-2").expect("the machine is there");
    scene.run(120);
    let taints = taint_keys(&scene, "node-2");
    assert_eq!(taints, ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"]);
}

#[test]
fn a_service_gets_a_load_balancer_and_waits_for_its_end() {
    let mut scene = Scene::in_cloud(2);
    scene.create(SERVICE);
    scene.mark();
    scene.run(1);
    assert_eq!(scene.get("Service web")["status"]["loadBalancer"], json!({}));
    assert_eq!(
        scene.get("Service web")["metadata"]["finalizers"],
        json!(["service.kubernetes.io/load-balancer-cleanup"])
    );
    scene.run(9);
    let ingress = json!({"ingress": [{"ip": "198.18.0.1", "ipMode": "VIP"}]});
    assert_eq!(scene.get("Service web")["status"]["loadBalancer"], ingress);
    assert_eq!(nodes_of(balancer(&scene, "web")), ["node-1", "node-2"]);
    scene.delete("Service web");
    assert!(scene.exists("Service web"));
    scene.run(3);
    assert!(!scene.exists("Service web"));
    expect![[r#"
        0 changes Service default/web: Service web must not go before its load balancer has gone.
        5 changes Service default/web: The cloud made a load balancer for Service web at 198.18.0.1.
        11 removes Service default/web: The load balancer of Service web is gone.
    "#]]
    .assert_eq(&scene.log("service-controller"));
    expect![[r#"
        0 Normal EnsuringLoadBalancer Service web: Ensuring load balancer
        5 Normal EnsuredLoadBalancer Service web: Ensured load balancer
        10 Normal DeletingLoadBalancer Service web: Deleting load balancer
        11 Normal DeletedLoadBalancer Service web: Deleted load balancer
    "#]]
    .assert_eq(&scene.events("service-controller"));
}

#[test]
fn a_service_of_another_type_gives_its_load_balancer_back() {
    let mut scene = Scene::in_cloud(1);
    scene.create(SERVICE);
    scene.run(10);
    assert!(balancer(&scene, "web").is_some());
    scene.patch("Service web", "spec: {type: ClusterIP, ports: [{port: 80, nodePort: null}]}");
    scene.run(10);
    let service = scene.get("Service web");
    assert!(balancer(&scene, "web").is_none());
    assert_eq!((&service["status"]["loadBalancer"], &service["metadata"]["finalizers"]), (&json!({}), &Value::Null));
    scene.patch("Service web", "spec: {type: LoadBalancer}");
    scene.run(10);
    assert_eq!(scene.get("Service web")["status"]["loadBalancer"]["ingress"][0]["ip"], "198.18.0.2");
}

#[test]
fn load_balancers_are_made_one_after_another() {
    let mut scene = Scene::in_cloud(1);
    for name in ["a", "b", "c"] {
        scene.create(&SERVICE.replace("web", name));
    }
    scene.mark();
    scene.run(30);
    expect![[r#"
        0 Normal EnsuringLoadBalancer Service a: Ensuring load balancer
        5 Normal EnsuredLoadBalancer Service a: Ensured load balancer
        5 Normal EnsuringLoadBalancer Service b: Ensuring load balancer
        10 Normal EnsuredLoadBalancer Service b: Ensured load balancer
        10 Normal EnsuringLoadBalancer Service c: Ensuring load balancer
        15 Normal EnsuredLoadBalancer Service c: Ensured load balancer
    "#]]
    .assert_eq(&scene.events("service-controller"));
}

#[test]
fn a_service_that_changes_while_its_balancer_is_made_is_looked_at_again() {
    let mut scene = Scene::in_cloud(1);
    scene.create(SERVICE);
    scene.run(2);
    scene.patch("Service web", "spec: {ports: [{port: 81}]}");
    scene.mark();
    scene.run(20);
    expect![[r#"
        3 Normal EnsuredLoadBalancer Service web: Ensured load balancer
        3 Normal EnsuringLoadBalancer Service web: Ensuring load balancer
        4 Normal EnsuredLoadBalancer Service web: Ensured load balancer
    "#]]
    .assert_eq(&scene.events("service-controller"));
}

#[test]
fn balancers_follow_the_nodes() {
    let mut scene = Scene::in_cloud(2);
    scene.create(SERVICE);
    scene.run(10);
    scene.mark();
    scene.cluster.add_node(&NodeSpec { name: "late".to_owned(), ..NodeSpec::default() }).expect("the machine joins");
    scene.run(5);
    assert_eq!(nodes_of(balancer(&scene, "web")), ["late", "node-1", "node-2"]);
    let label = "metadata: {labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}}";
    for node in ["late", "node-1", "node-2"] {
        scene.patch(&format!("Node {node}"), label);
        scene.run(1);
    }
    assert_eq!(nodes_of(balancer(&scene, "web")), [""; 0]);
    expect![[r#"
        0 Normal UpdatedLoadBalancer Service web: Updated load balancer with new hosts
        0 Normal UpdatedLoadBalancer Service web: Updated load balancer with new hosts
        5 Normal UpdatedLoadBalancer Service web: Updated load balancer with new hosts
        6 Normal UpdatedLoadBalancer Service web: Updated load balancer with new hosts
        7 Warning UnAvailableLoadBalancer Service web: There are no available nodes for LoadBalancer
    "#]]
    .assert_eq(&scene.events("service-controller"));
}

#[test]
fn a_load_balancer_of_another_class_is_somebody_elses() {
    let mut scene = Scene::in_cloud(1);
    scene.create(&SERVICE.replace("type: LoadBalancer", "type: LoadBalancer, loadBalancerClass: example.com/mine"));
    scene.run(60);
    assert!(balancer(&scene, "web").is_none());
    assert_eq!(scene.events("service-controller"), "");
}

#[test]
fn nodes_get_blocks_of_addresses_and_routes_to_them() {
    let mut scene = Scene::in_cloud(2);
    scene.run(10);
    let blocks =
        |scene: &Scene| ["node-1", "node-2"].map(|node| scene.get(&format!("Node {node}"))["spec"]["podCIDR"].clone());
    assert_eq!(blocks(&scene), ["10.244.1.0/24", "10.244.2.0/24"]);
    let node = scene.get("Node node-1");
    assert_eq!(node["spec"]["podCIDRs"], json!(["10.244.1.0/24"]));
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let told =
        conditions.iter().find(|condition| condition["type"] == "NetworkUnavailable").cloned().unwrap_or_default();
    assert_eq!((&told["status"], &told["reason"]), (&json!("False"), &json!("RouteCreated")));
    assert_eq!(told["message"], "RouteController created a route");
    assert_eq!(scene.cluster.cloud().map(|cloud| cloud.routes("node-1").join(",")).as_deref(), Some("10.244.1.0/24"));
    scene.cluster.remove_node("node-1").expect("the machine is there");
    scene.run(90);
    assert!(!scene.exists("Node node-1"));
    assert_eq!(scene.cluster.cloud().map(|cloud| cloud.routes("node-1").len()), Some(0));
    scene.cluster.add_node(&NodeSpec { name: "late".to_owned(), ..NodeSpec::default() }).expect("the machine joins");
    scene.run(5);
    assert_eq!(scene.get("Node late")["spec"]["podCIDR"], "10.244.3.0/24", "one that was given back comes last");
}

#[test]
fn changes_that_a_balancer_follows_are_told() {
    let mut scene = Scene::in_cloud(1);
    scene.create(SERVICE);
    scene.run(10);
    scene.mark();
    scene.patch("Service web", "spec: {loadBalancerSourceRanges: [10.0.0.0/8]}");
    scene.run(5);
    scene.patch("Service web", "spec: {loadBalancerIP: 198.18.9.9}");
    scene.run(5);
    scene.patch("Service web", "spec: {type: NodePort, loadBalancerSourceRanges: null, loadBalancerIP: null}");
    scene.run(5);
    expect![[r#"
        0 Normal LoadBalancerSourceRanges Service web: [] -> [10.0.0.0/8]
        0 Normal EnsuringLoadBalancer Service web: Ensuring load balancer
        1 Normal EnsuredLoadBalancer Service web: Ensured load balancer
        5 Normal LoadbalancerIP Service web:  -> 198.18.9.9
        5 Normal EnsuringLoadBalancer Service web: Ensuring load balancer
        6 Normal EnsuredLoadBalancer Service web: Ensured load balancer
        10 Normal Type Service web: LoadBalancer -> NodePort
        10 Normal DeletingLoadBalancer Service web: Deleting load balancer
        11 Normal DeletedLoadBalancer Service web: Deleted load balancer
    "#]]
    .assert_eq(&scene.events("service-controller"));
}
