//! Policies that change objects, webhooks that cannot be called, and who may decide about certificates.

use kubetab::api::{Kind, ObjectKey, Subresource};
use kubetab::apiserver::{Body, Request, Target, User, Verb, WriteOptions};
use kubetab::etcd::{Cause, Why};
use kubetab::machinery::status::Status;
use serde_json::{Value, json};

use super::scene::Scene;

fn create(scene: &mut Scene, value: Value) -> Result<(), Status> {
    create_as(scene, User::admin(), value)
}

fn create_as(scene: &mut Scene, user: User, value: Value) -> Result<(), Status> {
    let text = |field: &str| value[field].as_str().unwrap_or("").to_owned();
    let kind = Kind::from_manifest(&text("apiVersion"), &text("kind")).expect("the kind is served");
    let namespace = if kind.info().namespaced { "default" } else { "" };
    let verb = Verb::Create { body: Body::Json(value), options: WriteOptions::default() };
    let cause = Cause::new("test", Why::plain("The test wants it."));
    let request = Request { user, cause, target: Target::collection(kind, namespace), verb };
    scene.cluster.request(request).map(|_| ())
}

fn config_map(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "labels": { "a": "b" } } })
}

/// A policy over ConfigMaps with its binding.
fn policy(scene: &mut Scene, mutation: &Value, failure: &str) {
    let rules =
        json!([{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }]);
    scene.create_value(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": { "name": "p" },
        "spec": {
            "matchConstraints": { "resourceRules": rules }, "failurePolicy": failure, "reinvocationPolicy": "Never",
            "matchConditions": [{ "name": "not-kept", "expression": "object.metadata.name != 'kept'" }],
            "variables": [{ "name": "who", "expression": "request.userInfo.username" }],
            "mutations": [mutation],
        },
    }));
    scene.create_value(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": { "name": "b" }, "spec": { "policyName": "p" },
    }));
}

#[test]
fn a_policy_applies_a_part_of_the_object() {
    let mut scene = Scene::new();
    let expression =
        "Object{metadata: Object.metadata{annotations: {'by': variables.who}}, data: {'x': object.metadata.name}}";
    let mutation = json!({ "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression } });
    policy(&mut scene, &mutation, "Fail");
    create(&mut scene, config_map("m")).expect("it is created");
    let made = scene.get("ConfigMap m");
    assert_eq!(made["metadata"]["annotations"], json!({ "by": "kubernetes-admin" }));
    assert_eq!((&made["data"]["x"], &made["metadata"]["labels"]["a"]), (&json!("m"), &json!("b")));
    create(&mut scene, config_map("kept")).expect("it is created");
    assert!(scene.get("ConfigMap kept")["data"].is_null());
}

#[test]
fn a_policy_patches() {
    let mut scene = Scene::new();
    let expression = "[JSONPatch{op: 'test', path: '/metadata/labels/a', value: 'b'}, \
                      JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('x/y'), value: 'z'}]";
    let mutation = json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": expression } });
    policy(&mut scene, &mutation, "Fail");
    create(&mut scene, config_map("m")).expect("it is created");
    assert_eq!(scene.get("ConfigMap m")["metadata"]["labels"], json!({ "a": "b", "x/y": "z" }));
}

#[test]
fn a_policy_that_fails_refuses_or_lets_pass() {
    let mutation = json!({ "patchType": "JSONPatch", "jsonPatch": { "expression": "[JSONPatch{op: 'remove', path: '/data/none'}]" } });
    let mut strict = Scene::new();
    policy(&mut strict, &mutation, "Fail");
    let refused = create(&mut strict, config_map("m")).expect_err("it is refused");
    assert!(refused.message().contains("policy 'p' with binding 'b' denied request: "), "{}", refused.message());
    let mut lax = Scene::new();
    policy(&mut lax, &mutation, "Ignore");
    create(&mut lax, config_map("m")).expect("it passes");
}

#[test]
fn a_webhook_that_must_be_asked_stops_the_write() {
    for (config, why) in [
        (
            json!({ "service": { "namespace": "default", "name": "none", "path": "/check" } }),
            "Post \"https://none.default.svc:443/check?timeout=10s\": service \"none\" not found",
        ),
        (
            json!({ "url": "https://127.0.0.1:1/x" }),
            "Post \"https://127.0.0.1:1/x?timeout=10s\": dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ] {
        let mut scene = Scene::new();
        let hook = |name: &str, failure: &str, labels: Value| {
            json!({
                "name": name, "clientConfig": config, "failurePolicy": failure, "sideEffects": "None",
                "admissionReviewVersions": ["v1"], "objectSelector": { "matchLabels": labels },
                "rules": [{ "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"] }],
            })
        };
        scene.create_value(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": { "name": "w" },
            "webhooks": [hook("lax.example.com", "Ignore", json!({})), hook("strict.example.com", "Fail", json!({ "a": "b" }))],
        }));
        let refused = create(&mut scene, config_map("m")).expect_err("nobody answers");
        let told = format!(
            "Internal error occurred: failed calling webhook \"strict.example.com\": failed to call webhook: {why}"
        );
        assert_eq!(refused.message(), told);
        let other = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "other" } });
        create(&mut scene, other).expect("only the webhook that may fail wants to see it");
    }
}

#[test]
fn a_flow_schema_says_whether_its_level_is_there() {
    let mut scene = Scene::new();
    scene.create_value(json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema", "metadata": { "name": "mine" },
        "spec": { "priorityLevelConfiguration": { "name": "mine" } },
    }));
    let dangling = |scene: &Scene| {
        let key = ObjectKey::new("", "mine");
        let schema = scene.cluster.api().etcd().get(Kind::FlowSchema, &key).expect("it is there").to_value();
        schema["status"]["conditions"][0]["status"].clone()
    };
    assert_eq!(dangling(&scene), "True");
    scene.create_value(json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration", "metadata": { "name": "mine" },
        "spec": { "type": "Limited", "limited": { "limitResponse": { "type": "Reject" } } },
    }));
    assert_eq!(dangling(&scene), "False");
    scene.delete("PriorityLevelConfiguration mine");
    assert_eq!(dangling(&scene), "True");
}

#[test]
fn a_service_has_an_address_object() {
    let mut scene = Scene::new();
    scene.create(
        "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: 10.96.7.8, ports: [{port: 80}]}}",
    );
    let address = scene.get("IPAddress 10.96.7.8");
    assert_eq!(address["spec"]["parentRef"]["name"], "s");
    scene.patch(
        "Service s",
        "{spec: {type: ExternalName, externalName: example.com, clusterIP: null, clusterIPs: null}}",
    );
    assert!(!scene.exists("IPAddress 10.96.7.8"));
    scene.create(
        "{apiVersion: v1, kind: Service, metadata: {name: t}, spec: {clusterIP: 10.96.7.8, ports: [{port: 80}]}}",
    );
    assert_eq!(scene.get("IPAddress 10.96.7.8")["spec"]["parentRef"]["name"], "t");
    scene.delete("Service t");
    assert!(!scene.exists("IPAddress 10.96.7.8"));
}

#[test]
fn a_node_reaches_what_its_pods_use_and_writes_itself_only() {
    let mut scene = Scene::new();
    scene.create(
        "
apiVersion: v1
kind: Secret
metadata: {name: used}
---
apiVersion: v1
kind: Secret
metadata: {name: other}
---
{apiVersion: v1, kind: Node, metadata: {name: n}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  nodeName: n
  containers: [{name: c, image: nginx, envFrom: [{secretRef: {name: used}}]}]
",
    );
    let node = User::impersonated("system:node:n", &["system:nodes".to_owned()]);
    let get = |scene: &mut Scene, kind: Kind, name: &str| {
        let namespace = if kind.info().namespaced { "default" } else { "" };
        let target = Target::object(kind, &ObjectKey::new(namespace, name));
        let cause = Cause::new("test", Why::plain("The test wants it."));
        let request = Request { user: node.clone(), cause, target, verb: Verb::Get };
        scene.cluster.request(request).map(|_| ()).map_err(|status| status.message().to_owned())
    };
    assert_eq!(get(&mut scene, Kind::Secret, "used"), Ok(()));
    assert_eq!(
        get(&mut scene, Kind::Secret, "other"),
        Err("secrets \"other\" is forbidden: User \"system:node:n\" cannot get resource \"secrets\" in API group \"\" in the \
             namespace \"default\": no relationship found between node 'n' and this object"
            .to_owned())
    );
    assert_eq!(get(&mut scene, Kind::Node, "n"), Ok(()));
    let other = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": "m" } });
    let refused = create_as(&mut scene, node.clone(), other).expect_err("it is another node");
    assert_eq!(refused.message(), "nodes \"m\" is forbidden: node \"n\" is not allowed to modify node \"m\"");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "q" },
        "spec": { "containers": [{ "name": "c", "image": "x" }] },
    });
    let refused = create_as(&mut scene, node, pod).expect_err("nodes make mirror pods only");
    assert!(refused.message().contains("node \"n\" can only create mirror pods"), "{}", refused.message());
}

#[test]
fn a_policy_judges_who_connects_to_a_pod() {
    let mut scene = Scene::new();
    scene.create(
        "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-shell}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CONNECT], resources: [pods/exec]}]
  validations:
  - {expression: \"request.operation != 'CONNECT' || !('sh' in object.command)\", message: no shells here}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-shell}
spec: {policyName: no-shell, validationActions: [Deny]}
---
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: nginx}]}
",
    );
    let connect = |way: Subresource, command: &str| {
        let target = Target::object(Kind::Pod, &ObjectKey::new("default", "web")).below(way);
        let options = json!({ "command": [command] });
        let answer = scene.cluster.api().admit_connection(scene.cluster.now(), &User::admin(), &target, options);
        answer.map_err(|status| status.message().to_owned())
    };
    assert_eq!(connect(Subresource::Exec, "ls"), Ok(Vec::new()));
    assert_eq!(connect(Subresource::Attach, "sh"), Ok(Vec::new()));
    assert_eq!(
        connect(Subresource::Exec, "sh"),
        Err("pods \"web\" is forbidden: ValidatingAdmissionPolicy 'no-shell' with binding 'no-shell' denied request: no shells \
             here"
            .to_owned())
    );
}
