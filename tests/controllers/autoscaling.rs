//! Metrics, and what autoscalers make of them.

use kubetab::api::{Kind, ObjectKey};
use kubetab::apiserver::{ListOptions, Response, Target, Verb};
use kubetab::sim::Profile;
use serde_json::{Value, json};

use super::scene::Scene;

/// Two machines with a metrics-server, at rest.
fn scene() -> Scene {
    Scene::of(Profile { nodes: 2, metrics: true, ..Profile::bare() })
}

/// A Deployment whose pods request 100m and use what the annotation says.
fn deployment(scene: &mut Scene, name: &str, annotations: &Value) {
    scene.create_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": name },
        "spec": { "selector": { "matchLabels": { "app": name } }, "template": {
            "metadata": { "labels": { "app": name }, "annotations": annotations },
            "spec": { "containers": [{
                "name": "c", "image": "nginx:1.27", "resources": { "requests": { "cpu": "100m", "memory": "64Mi" } },
            }] },
        } },
    }));
}

fn autoscaler(scene: &mut Scene, name: &str, metric: &Value, behavior: &Value) {
    let mut value = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": name },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "minReplicas": 1, "maxReplicas": 8, "metrics": [metric],
        },
    });
    if !behavior.is_null() {
        value["spec"]["behavior"] = behavior.clone();
    }
    scene.create_value(value);
}

fn cpu(percent: u32) -> Value {
    json!({ "type": "Resource", "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": percent } } })
}

fn get(scene: &Scene, kind: Kind, name: &str) -> Value {
    let object = scene.cluster.api().etcd().get(kind, &ObjectKey::new("default", name)).expect("it is there");
    object.to_value()
}

fn replicas(scene: &Scene, name: &str) -> i64 {
    get(scene, Kind::Deployment, name)["spec"]["replicas"].as_i64().unwrap_or(0)
}

/// An autoscaler's conditions, each as `Type=Status Reason`.
fn conditions(scene: &Scene, name: &str) -> Vec<String> {
    let value = get(scene, Kind::HorizontalPodAutoscaler, name);
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions
        .iter()
        .map(|it| format!("{}={} {}", text(&it["type"]), text(&it["status"]), text(&it["reason"])))
        .collect()
}

fn list(scene: &mut Scene, kind: Kind) -> Result<Vec<Value>, String> {
    match scene.send(Target::collection(kind, ""), Verb::List(ListOptions::default())) {
        Ok(Response::List(list)) => Ok(list.items.iter().map(kubetab::api::Object::to_value).collect()),
        Ok(_) => panic!("a list was asked for"),
        Err(status) => Err(status.message().to_owned()),
    }
}

#[test]
fn pods_and_nodes_are_measured_every_fifteen_seconds() {
    let mut scene = scene();
    scene.create(
        "
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: b}}
spec:
  containers:
  - {name: loop, image: busybox, command: [sh, -c, 'while true; do :; done']}
  - {name: rest, image: busybox, command: [sleep, '100000']}
---
apiVersion: v1
kind: Pod
metadata: {name: told, annotations: {kubetab/cpu: '50m@2m,400m', kubetab/memory: 100Mi}}
spec: {containers: [{name: c, image: nginx:1.27}]}
",
    );
    assert_eq!(list(&mut scene, Kind::PodMetrics), Ok(vec![]), "nothing was seen yet");
    scene.run(60);
    let pods = list(&mut scene, Kind::PodMetrics).expect("metrics are served");
    let names: Vec<&str> = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
    assert_eq!(names, ["busy", "told"]);
    assert_eq!(pods[0]["metadata"]["labels"], json!({ "app": "b" }));
    assert_eq!(pods[0]["window"], "15s");
    let containers = pods[0]["containers"].as_array().expect("a list");
    let millis = |value: &Value| {
        let text = value["usage"]["cpu"].as_str().expect("a text").to_owned();
        kubetab::machinery::quantity::Quantity::parse(&text).expect("a quantity").milli_value()
    };
    assert!((990..=1010).contains(&millis(&containers[0])), "{}", containers[0]);
    assert!(millis(&containers[1]) <= 1, "{}", containers[1]);
    assert_eq!(pods[1]["containers"][0]["usage"], json!({ "cpu": "50m", "memory": "100Mi" }));
    let nodes = list(&mut scene, Kind::NodeMetrics).expect("metrics are served");
    assert_eq!(nodes.len(), 2);
    let all: i64 = nodes.iter().map(millis).sum();
    assert!((1100..=1160).contains(&all), "{nodes:?}");
    scene.run(120);
    let pods = list(&mut scene, Kind::PodMetrics).expect("metrics are served");
    assert_eq!(pods[1]["containers"][0]["usage"]["cpu"], "400m");
}

#[test]
fn without_a_metrics_server_there_are_no_metrics() {
    let mut scene = Scene::with_nodes(1);
    let refused = list(&mut scene, Kind::PodMetrics);
    assert_eq!(refused, Err("the server could not find the requested resource".to_owned()));
    deployment(&mut scene, "web", &json!({}));
    autoscaler(&mut scene, "web", &cpu(50), &Value::Null);
    scene.run(60);
    assert_eq!(
        conditions(&scene, "web"),
        ["AbleToScale=True SucceededGetScale", "ScalingActive=False FailedGetResourceMetric"]
    );
    let message = &get(&scene, Kind::HorizontalPodAutoscaler, "web")["status"]["conditions"][1]["message"];
    assert_eq!(
        message,
        "the HPA was unable to compute the replica count: failed to get cpu utilization: unable to get metrics for \
         resource cpu: unable to fetch metrics from resource metrics API: the server could not find the requested \
         resource (get pods.metrics.k8s.io)"
    );
}

#[test]
fn a_busy_deployment_grows_and_shrinks_after_five_minutes() {
    let mut scene = scene();
    deployment(&mut scene, "web", &json!({ "kubetab/cpu": "10m@2m,140m@5m,10m" }));
    autoscaler(&mut scene, "web", &cpu(50), &Value::Null);
    scene.run(100);
    assert_eq!(replicas(&scene, "web"), 1);
    assert_eq!(
        conditions(&scene, "web"),
        [
            "AbleToScale=True ReadyForNewScale",
            "ScalingActive=True ValidMetricFound",
            "ScalingLimited=False DesiredWithinRange"
        ]
    );
    scene.run(60);
    assert_eq!(replicas(&scene, "web"), 3, "140 of 100 at a target of 50 makes three");
    let status = get(&scene, Kind::HorizontalPodAutoscaler, "web")["status"].clone();
    assert!(status["lastScaleTime"].is_string() && status["desiredReplicas"] == 3, "{status}");
    // The new pods use little in their first two minutes, so nothing more is added; the old number is kept for a while.
    scene.run(200);
    assert!(replicas(&scene, "web") >= 3);
    scene.run(1200);
    assert_eq!(replicas(&scene, "web"), 1, "all are idle now, for longer than five minutes");
    let events = scene.cluster.api().etcd().range(Kind::Event, Some("default"));
    let messages: Vec<String> = events
        .map(|(_, object)| object.to_value())
        .filter(|event| event["reason"] == "SuccessfulRescale")
        .filter_map(|event| event["message"].as_str().map(str::to_owned))
        .collect();
    let first = "New size: 3; reason: cpu resource utilization (percentage of request) above target";
    assert!(messages.iter().any(|message| message == first), "{messages:?}");
    assert!(messages.iter().any(|message| message.ends_with("reason: All metrics below target")), "{messages:?}");
}

#[test]
fn behaviour_holds_growth_back() {
    let mut scene = scene();
    deployment(&mut scene, "web", &json!({ "kubetab/cpu": "400m" }));
    let policies = json!([{ "type": "Pods", "value": 1, "periodSeconds": 60 }]);
    autoscaler(&mut scene, "web", &cpu(50), &json!({ "scaleUp": { "policies": policies } }));
    scene.run(75);
    let early = replicas(&scene, "web");
    assert!((1..=2).contains(&early), "{early}");
    scene.run(75);
    assert_eq!(replicas(&scene, "web"), early + 1);
    assert!(conditions(&scene, "web").contains(&"ScalingLimited=True ScaleUpLimit".to_owned()));
    scene.run(900);
    assert_eq!(replicas(&scene, "web"), 8);
    assert!(conditions(&scene, "web").contains(&"ScalingLimited=True TooManyReplicas".to_owned()));
}

#[test]
fn other_metrics_stand_in_annotations() {
    let cases = [
        (
            "pods",
            json!({ "kubetab/metric.queue": "30" }),
            json!({ "type": "Pods", "pods": { "metric": { "name": "queue" }, "target": { "type": "AverageValue", "averageValue": "10" } } }),
            3,
        ),
        (
            "external",
            json!({}),
            json!({ "type": "External", "external": { "metric": { "name": "lag" }, "target": { "type": "AverageValue", "averageValue": "25" } } }),
            4,
        ),
        (
            "object",
            json!({}),
            json!({ "type": "Object", "object": {
                "metric": { "name": "hits" }, "describedObject": { "apiVersion": "v1", "kind": "Service", "name": "front" },
                "target": { "type": "Value", "value": "100" },
            } }),
            2,
        ),
    ];
    for (name, annotations, metric, expected) in cases {
        let mut scene = scene();
        scene.create("{apiVersion: v1, kind: Service, metadata: {name: front, annotations: {kubetab/metric.hits: '200'}}, spec: {ports: [{port: 80}]}}");
        scene.patch("Namespace default", "{metadata: {annotations: {kubetab/metric.lag: '100'}}}");
        deployment(&mut scene, name, &annotations);
        autoscaler(&mut scene, name, &metric, &Value::Null);
        scene.run(25);
        assert_eq!(replicas(&scene, name), expected, "{name}: {:?}", conditions(&scene, name));
    }
}

/// The messages of warnings about an autoscaler, each once, in the order of their reasons.
fn warnings(scene: &Scene, name: &str) -> Vec<String> {
    let events = scene.cluster.api().etcd().range(Kind::Event, Some("default")).map(|(_, object)| object.to_value());
    let about = events.filter(|event| event["involvedObject"]["name"] == name && event["type"] == "Warning");
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let mut found: Vec<String> =
        about.map(|event| format!("{}: {}", text(&event["reason"]), text(&event["message"]))).collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn two_autoscalers_of_the_same_pods_stand_in_each_others_way() {
    let mut scene = scene();
    deployment(&mut scene, "web", &json!({ "kubetab/cpu": "140m" }));
    for name in ["first", "second"] {
        scene.create_value(json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": name },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                "maxReplicas": 8, "metrics": [cpu(50)],
            },
        }));
    }
    scene.run(50);
    let why = "pods by selector app=web are controlled by multiple HPAs: [default/first default/second]";
    for name in ["first", "second"] {
        assert_eq!(
            conditions(&scene, name).last().map(String::as_str),
            Some("ScalingActive=False AmbiguousSelector"),
            "{name}"
        );
        let found = warnings(&scene, name);
        assert!(found.contains(&format!("AmbiguousSelector: {why}")), "{found:?}");
        assert!(found.contains(&format!("FailedComputeMetricsReplicas: {why}")), "{found:?}");
    }
    // Without the other, it goes on.
    scene.delete("HorizontalPodAutoscaler second");
    scene.run(40);
    assert!(conditions(&scene, "first").contains(&"ScalingActive=True ValidMetricFound".to_owned()));
}

#[test]
fn metrics_that_cannot_be_had_forbid_shrinking_only() {
    let busy = [("140m", 3, true), ("5m", 2, false)];
    for (usage, expected, goes_on) in busy {
        let mut scene = scene();
        deployment(&mut scene, "web", &json!({ "kubetab/cpu": usage }));
        scene.patch("Deployment web", &json!({ "spec": { "replicas": if goes_on { 1 } else { 2 } } }).to_string());
        scene.run(40);
        let queue = json!({ "type": "Pods", "pods": {
            "metric": { "name": "queue" }, "target": { "type": "AverageValue", "averageValue": "10" },
        } });
        scene.create_value(json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web" },
            "spec": {
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                "maxReplicas": 8, "metrics": [cpu(50), queue],
            },
        }));
        scene.run(40);
        assert_eq!(replicas(&scene, "web"), expected, "{usage}: {:?}", conditions(&scene, "web"));
        let found = warnings(&scene, "web");
        let none = "unable to get metric queue: unable to fetch metrics from custom metrics API: no custom metrics API \
                    (custom.metrics.k8s.io) registered";
        assert!(found.contains(&format!("FailedGetPodsMetric: {none}")), "{found:?}");
        let summary = format!(
            "FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 2), first error is: failed to get pods metric \
             value: {none}"
        );
        assert_eq!(found.contains(&summary), !goes_on, "{usage}: {found:?}");
    }
}

#[test]
fn what_cannot_be_had_is_told_in_upstreams_words() {
    let object = |target: Value| {
        json!({ "type": "Object", "object": {
            "metric": { "name": "hits" }, "describedObject": { "apiVersion": "v1", "kind": "Service", "name": "front" },
            "target": target,
        } })
    };
    let no_custom =
        "unable to fetch metrics from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered";
    let no_external = "unable to fetch metrics from external metrics API: no external metrics API (external.metrics.k8s.io) registered";
    let cases = [
        (
            object(json!({ "type": "Value", "value": "100" })),
            "FailedGetObjectMetric",
            format!("unable to get metric hits: Service on default front/{no_custom}"),
            "failed to get object metric value: ",
        ),
        (
            json!({ "type": "External", "external": {
                "metric": { "name": "lag", "selector": { "matchLabels": { "q": "r" } } },
                "target": { "type": "AverageValue", "averageValue": "25" },
            } }),
            "FailedGetExternalMetric",
            format!(
                "unable to get external metric default/lag/&LabelSelector{{MatchLabels:map[string]string{{q: r,}},\
                 MatchExpressions:[]LabelSelectorRequirement{{}},}}: {no_external}"
            ),
            "failed to get lag external metric value: failed to get lag external metric: ",
        ),
        (
            json!({ "type": "External", "external": {
                "metric": { "name": "lag" }, "target": { "type": "Value", "value": "25" },
            } }),
            "FailedGetExternalMetric",
            format!("unable to get external metric default/lag/nil: {no_external}"),
            "failed to get lag external metric value: failed to get external metric lag: ",
        ),
        (
            json!({ "type": "ContainerResource", "containerResource": {
                "name": "cpu", "container": "nobody", "target": { "type": "AverageValue", "averageValue": "1" },
            } }),
            "FailedGetContainerResourceMetric",
            "failed to get cpu usage: did not receive metrics for targeted pods (pods might be unready)".to_owned(),
            "failed to get nobody container metric value: ",
        ),
    ];
    for (metric, reason, why, words) in cases {
        let mut scene = scene();
        deployment(&mut scene, "web", &json!({}));
        scene.run(40);
        autoscaler(&mut scene, "web", &metric, &Value::Null);
        scene.run(20);
        let summary =
            format!("FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: {words}{why}");
        assert_eq!(warnings(&scene, "web"), [summary, format!("{reason}: {why}")]);
    }
}

#[test]
fn a_container_is_called_a_container() {
    let mut scene = scene();
    deployment(&mut scene, "web", &json!({ "kubetab/cpu": "140m" }));
    let metric = json!({ "type": "ContainerResource", "containerResource": {
        "name": "cpu", "container": "c", "target": { "type": "Utilization", "averageUtilization": 50 },
    } });
    autoscaler(&mut scene, "web", &metric, &Value::Null);
    scene.run(60);
    assert_eq!(replicas(&scene, "web"), 3);
    let events = scene.events("horizontal-pod-autoscaler");
    let wanted = "New size: 3; reason: cpu container resource utilization (percentage of request) above target";
    assert!(events.contains(wanted), "{events}");
}
