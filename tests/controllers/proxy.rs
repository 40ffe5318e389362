//! kube-proxy on the nodes of a cluster.

use std::collections::BTreeMap;

use kubetab::node::proxy::{Destination, Verdict};

use super::scene::Scene;

/// Where a node sends what comes for port 80 of the Service `web`.
fn endpoints(scene: &Scene, node: &str) -> Option<Verdict> {
    let ip = scene.get("Service web")["spec"]["clusterIP"].as_str()?.to_owned();
    let destination = Destination { ip: Some(ip), port: 80, protocol: "TCP".to_owned() };
    Some(scene.cluster.proxy_rules(node)?.get(&destination)?.verdict.clone())
}

fn count(scene: &Scene, node: &str) -> usize {
    match endpoints(scene, node) {
        Some(Verdict::Endpoints(endpoints)) => endpoints.len(),
        _ => 0,
    }
}

fn pod(name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: web}}}}, spec: {{containers: [{{name: c, \
         image: 'nginx:1.25'}}]}}}}"
    )
}

const SERVICE: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}";

#[test]
fn every_node_knows_where_the_ready_pods_are() {
    let mut scene = Scene::in_cloud(2);
    scene.create(SERVICE);
    scene.run(2);
    assert_eq!(endpoints(&scene, "node-1"), Some(Verdict::Reject));
    scene.create(&pod("a"));
    scene.create(&pod("b"));
    scene.run(15);
    for node in ["node-1", "node-2"] {
        assert_eq!(count(&scene, node), 2, "{node}");
    }
    scene.delete("Service web");
    scene.run(2);
    let left = scene.cluster.proxy_rules("node-1").map(|rules| rules.iter().count());
    assert_eq!(left, Some(1), "only the API server's own Service is left");
}

#[test]
fn a_node_that_is_cut_off_keeps_its_old_rules() {
    let mut scene = Scene::in_cloud(2);
    scene.create(SERVICE);
    scene.create(&pod("a"));
    scene.run(15);
    scene.cluster.partition_node("node-2").expect("the machine is there");
    for name in ["b", "c"] {
        scene.create(&pod(name).replace("spec: {", "spec: {nodeName: node-1, "));
    }
    scene.run(20);
    let counts: BTreeMap<&str, usize> = ["node-1", "node-2"].map(|node| (node, count(&scene, node))).into();
    assert!(counts["node-1"] > 1 && counts["node-2"] == 1, "{counts:?}");
    scene.cluster.heal_node("node-2").expect("the machine is there");
    scene.run(20);
    assert_eq!((count(&scene, "node-1"), count(&scene, "node-2")), (3, 3));
}

#[test]
fn changes_within_a_second_are_applied_together() {
    let mut scene = Scene::in_cloud(1);
    scene.create(SERVICE);
    scene.run_millis(100);
    assert_eq!(endpoints(&scene, "node-1"), Some(Verdict::Reject), "the first comes at once");
    scene.patch("Service web", "{spec: {ports: [{name: a, port: 80}]}}");
    scene.patch("Service web", "{spec: {ports: [{name: a, port: 80}, {name: b, port: 81}]}}");
    scene.run_millis(100);
    let rules = |scene: &Scene| scene.cluster.proxy_rules("node-1").map(|rules| rules.iter().count());
    assert_eq!(rules(&scene), Some(2));
    scene.run(1);
    assert_eq!(rules(&scene), Some(3));
}

#[test]
fn a_bare_cluster_runs_none() {
    let scene = Scene::with_nodes(1);
    assert!(scene.cluster.proxy_rules("node-1").is_none());
}

#[test]
fn zones_keep_their_requests_when_a_service_wants_it() {
    let mut scene = Scene::in_cloud(3);
    scene.create(
        "
apiVersion: v1
kind: Service
metadata: {name: near, annotations: {service.kubernetes.io/topology-mode: Auto}}
spec: {selector: {app: near}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: near}
spec:
  replicas: 6
  selector: {matchLabels: {app: near}}
  template:
    metadata: {labels: {app: near}}
    spec:
      containers: [{name: web, image: nginx}]
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: near}}}
",
    );
    scene.run(60);
    let zones = |scene: &Scene| -> Vec<(String, String)> {
        let slices = scene.cluster.api().etcd().range(kubetab::api::Kind::EndpointSlice, Some("default"));
        let mut found = Vec::new();
        for (_, slice) in slices.filter(|(key, _)| key.name.starts_with("near-")) {
            for endpoint in slice.to_value()["endpoints"].as_array().into_iter().flatten() {
                let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
                found.push((text(&endpoint["zone"]), text(&endpoint["hints"]["forZones"][0]["name"])));
            }
        }
        found
    };
    let found = zones(&scene);
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|(zone, hint)| zone == hint), "{found:?}");
    let events = scene.events("endpointslice-controller");
    assert!(
        events.contains(
            "Normal TopologyAwareHintsEnabled Service near: Topology Aware Hints has been enabled, addressType: IPv4"
        ),
        "{events}"
    );
    scene.patch("Service near", "metadata: {annotations: {service.kubernetes.io/topology-mode: null}}");
    scene.run(10);
    assert!(zones(&scene).iter().all(|(_, hint)| hint.is_empty()));
    assert!(scene.events("endpointslice-controller").contains("TopologyAwareHintsDisabled"));
}
