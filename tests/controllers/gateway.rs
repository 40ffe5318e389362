//! The Gateway API: its kinds, what its controller says of them, and where requests go.

use std::collections::BTreeMap;
use std::time::Duration;

use kubetab::api::ObjectKey;
use kubetab::apiserver::{Body, Target, Verb, WriteOptions};
use kubetab::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest};
use kubetab::sim::Profile;
use serde_json::{Value, json};

use super::scene::Scene;

const GATEWAY: &str = "{gatewayClassName: kubetab, listeners: [{name: http, port: 80, protocol: HTTP}]}";
const ADDRESS: &str = "198.18.254.1";

fn scene() -> Scene {
    Scene::of(Profile { nodes: 2, gateway_api: true, ..Profile::default() })
}

fn version(kind: &str) -> &'static str {
    if kind == "ReferenceGrant" { "gateway.networking.k8s.io/v1beta1" } else { "gateway.networking.k8s.io/v1" }
}

/// Creates an object of the Gateway API: `namespace/name`.
fn try_create(scene: &mut Scene, kind: &str, name: &str, spec: &str) -> Result<(), String> {
    let (namespace, name) = name.split_once('/').expect("a namespace");
    let spec: Value = serde_yaml::from_str(spec).expect("the test's YAML is right");
    let object = json!({
        "apiVersion": version(kind), "kind": kind,
        "metadata": { "name": name, "namespace": namespace }, "spec": spec,
    });
    let served = scene.cluster.api().kind_of(version(kind), kind).expect("the kind is served");
    let verb = Verb::Create { body: Body::Json(object), options: WriteOptions::default() };
    scene.send(Target::collection(served, namespace), verb).map(drop).map_err(|status| status.message().to_owned())
}

fn create(scene: &mut Scene, kind: &str, name: &str, spec: &str) {
    try_create(scene, kind, name, spec).expect("the object is created");
}

fn get(scene: &Scene, kind: &str, name: &str) -> Value {
    let (namespace, name) = name.split_once('/').expect("a namespace");
    let served = scene.cluster.api().kind_of(version(kind), kind).expect("the kind is served");
    let found = scene.cluster.api().etcd().get(served, &ObjectKey::new(namespace, name));
    found.map_or(Value::Null, |object| object.to_value())
}

/// Conditions as `Type=Status/Reason`.
fn conditions(conditions: &Value) -> String {
    let told = conditions.as_array().into_iter().flatten().map(|condition| {
        let text = |field: &str| condition[field].as_str().unwrap_or("").to_owned();
        format!("{}={}/{}", text("type"), text("status"), text("reason"))
    });
    told.collect::<Vec<_>>().join(" ")
}

/// A server that says its name, behind a Service of that name.
fn serve(scene: &mut Scene, namespace: &str, name: &str) {
    scene.create(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}, spec: \
         {{containers: [{{name: c, image: hashicorp/http-echo, args: [-text={name}]}}]}}}}\n---\n{{apiVersion: v1, kind: \
         Service, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{selector: {{app: {name}}}, ports: [{{port: \
         80, targetPort: 5678}}]}}}}"
    ));
}

/// Sends a request to a Gateway and tells what came of it.
fn ask(scene: &mut Scene, url: &str, headers: &[(&str, &str)]) -> String {
    let mut request = HttpRequest::of_url(url).expect("a URL");
    request.method = "GET".to_owned();
    let host = request.host.clone();
    request.headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    request.headers.push(("Host".to_owned(), host));
    request.host = ADDRESS.to_owned();
    request.address = ADDRESS.to_owned();
    let number = scene.cluster.send_from_outside(NetworkRequest::Http(request));
    scene.cluster.run_for(Duration::from_secs(1));
    match scene.cluster.outside_answer(number) {
        Some(NetworkAnswer::Http(answer)) => {
            let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_str());
            let body = String::from_utf8_lossy(&answer.body).trim().to_owned();
            format!("{} {}", answer.status, location.unwrap_or(&body)).trim().to_owned()
        }
        Some(NetworkAnswer::Refused { .. }) => "refused".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_gateway_has_an_address_and_says_what_it_takes() {
    let mut scene = scene();
    scene.run(1);
    assert_eq!(conditions(&get(&scene, "GatewayClass", "/kubetab")["status"]["conditions"]), "Accepted=True/Accepted");
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    let route = "{parentRefs: [{name: web}], rules: [{backendRefs: [{name: v1, port: 80}]}]}";
    create(&mut scene, "HTTPRoute", "default/web", route);
    scene.run(5);
    let gateway = get(&scene, "Gateway", "default/web");
    assert_eq!(gateway["status"]["addresses"], json!([{ "type": "IPAddress", "value": ADDRESS }]));
    let told = conditions(&gateway["status"]["conditions"]);
    assert_eq!(told, "Accepted=True/Accepted Programmed=True/Programmed");
    assert_eq!(gateway["status"]["listeners"][0]["attachedRoutes"], 1);
    let parent = &get(&scene, "HTTPRoute", "default/web")["status"]["parents"][0];
    assert_eq!(conditions(&parent["conditions"]), "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs");
    assert_eq!(parent["parentRef"]["kind"], "Gateway");
    assert_eq!(ask(&mut scene, "http://example.com/", &[]), "200 v1");
    assert_eq!(ask(&mut scene, "http://example.com:8080/", &[]), "refused");
    let revision = scene.cluster.api().etcd().revision();
    scene.run(1);
    let later = scene.cluster.api().etcd().revision();
    assert!(later - revision < 5, "what is told once is not told again: {revision} {later}");
}

#[test]
fn weights_and_headers_split_requests() {
    let mut scene = scene();
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    serve(&mut scene, "default", "v2");
    create(
        &mut scene,
        "HTTPRoute",
        "default/web",
        "{parentRefs: [{name: web}], hostnames: [shop.example.com], rules: [{backendRefs: [{name: v1, port: 80, weight: 9}, \
         {name: v2, port: 80, weight: 1}]}, {matches: [{headers: [{name: version, value: two}]}], backendRefs: [{name: v2, \
         port: 80}]}]}",
    );
    scene.run(5);
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..200 {
        *counts.entry(ask(&mut scene, "http://shop.example.com/cart", &[])).or_default() += 1;
    }
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["200 v1", "200 v2"]);
    assert!((8..40).contains(&counts["200 v2"]), "{counts:?}");
    assert_eq!(ask(&mut scene, "http://shop.example.com/cart", &[("Version", "two")]), "200 v2");
    assert_eq!(ask(&mut scene, "http://other.example.com/cart", &[]), "404");
}

#[test]
fn paths_are_matched_rewritten_and_redirected() {
    let mut scene = scene();
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    serve(&mut scene, "default", "v2");
    create(
        &mut scene,
        "HTTPRoute",
        "default/web",
        "{parentRefs: [{name: web}], rules: [{matches: [{path: {value: /api}}], filters: [{type: URLRewrite, urlRewrite: \
         {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}], backendRefs: [{name: v1, port: 80}]}, {matches: \
         [{path: {type: Exact, value: /api/new}}], backendRefs: [{name: v2, port: 80}]}, {matches: [{path: {value: /old}}], \
         filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplacePrefixMatch, \
         replacePrefixMatch: /api}}}]}, {matches: [{path: {value: /secure}}], filters: [{type: RequestRedirect, \
         requestRedirect: {scheme: https}}]}]}",
    );
    scene.run(5);
    assert_eq!(ask(&mut scene, "http://a.com/api/x", &[]), "200 v1");
    assert_eq!(ask(&mut scene, "http://a.com/api/new", &[]), "200 v2");
    assert_eq!(ask(&mut scene, "http://a.com/apis", &[]), "404");
    assert_eq!(ask(&mut scene, "http://a.com/old/x?y=1", &[]), "301 http://a.com/api/x?y=1");
    assert_eq!(ask(&mut scene, "http://a.com/secure", &[]), "302 https://a.com/secure");
}

#[test]
fn answers_get_other_headers() {
    let mut scene = scene();
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    create(
        &mut scene,
        "HTTPRoute",
        "default/web",
        "{parentRefs: [{name: web}], rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: \
         [{name: location, value: here}]}}], backendRefs: [{name: v1, port: 80}]}]}",
    );
    scene.run(5);
    assert_eq!(ask(&mut scene, "http://example.com/", &[]), "200 here");
}

#[test]
fn copies_of_requests_go_elsewhere_and_nobody_waits_for_their_answers() {
    let mut scene = scene();
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    serve(&mut scene, "default", "v2");
    create(
        &mut scene,
        "HTTPRoute",
        "default/web",
        "{parentRefs: [{name: web}], rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: v2, port: \
         80}}}], backendRefs: [{name: v1, port: 80}]}]}",
    );
    scene.run(5);
    assert_eq!(ask(&mut scene, "http://example.com/", &[]), "200 v1");
    let reached = scene.cluster.journeys().since(0).map(|journey| journey.pod.clone().expect("a pod").name.to_string());
    let mut reached: Vec<String> = reached.collect();
    reached.sort();
    assert_eq!(reached, ["v1", "v2"]);
}

#[test]
fn what_is_missing_or_not_permitted_is_told_and_answered() {
    let mut scene = scene();
    scene.create("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
    create(&mut scene, "Gateway", "default/web", GATEWAY);
    serve(&mut scene, "default", "v1");
    let route = "{parentRefs: [{name: web, namespace: default}], rules: [{backendRefs: [{name: gone, port: 80}]}]}";
    create(&mut scene, "HTTPRoute", "default/gone", route);
    create(&mut scene, "HTTPRoute", "shop/elsewhere", route);
    scene.run(3);
    let told =
        |scene: &Scene, name: &str| conditions(&get(scene, "HTTPRoute", name)["status"]["parents"][0]["conditions"]);
    assert_eq!(told(&scene, "default/gone"), "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound");
    assert_eq!(
        told(&scene, "shop/elsewhere"),
        "Accepted=False/NotAllowedByListeners ResolvedRefs=False/BackendNotFound"
    );
    assert_eq!(ask(&mut scene, "http://a.com/", &[]), "500");
    // A route may send to another namespace when that lets it.
    serve(&mut scene, "shop", "v3");
    let route = "{parentRefs: [{name: web}], hostnames: [b.com], rules: [{backendRefs: [{name: v3, namespace: shop, port: \
                 80}]}]}";
    create(&mut scene, "HTTPRoute", "default/across", route);
    scene.run(5);
    assert_eq!(told(&scene, "default/across"), "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted");
    assert_eq!(ask(&mut scene, "http://b.com/", &[]), "500");
    let grant = "{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], to: [{group: '', kind: \
                 Service}]}";
    create(&mut scene, "ReferenceGrant", "shop/all", grant);
    scene.run(1);
    assert_eq!(told(&scene, "default/across"), "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs");
    assert_eq!(ask(&mut scene, "http://b.com/", &[]), "200 v3");
    scene.delete("Pod shop/v3");
    scene.run(40);
    assert_eq!(ask(&mut scene, "http://b.com/", &[]), "503 no healthy upstream");
}

#[test]
fn the_kinds_judge_what_is_written() {
    let mut scene = scene();
    let refused = |scene: &mut Scene, kind: &str, spec: &str| {
        try_create(scene, kind, "default/x", spec).expect_err("it is refused")
    };
    let message = refused(&mut scene, "Gateway", "{gatewayClassName: kubetab, listeners: []}");
    assert!(message.contains("spec.listeners: Invalid value: 0"), "{message}");
    let message = refused(
        &mut scene,
        "Gateway",
        "{gatewayClassName: kubetab, listeners: [{name: a, port: 80, protocol: HTTP, tls: {mode: Terminate}}]}",
    );
    assert!(message.contains("tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"), "{message}");
    let message = refused(&mut scene, "HTTPRoute", "{rules: [{backendRefs: [{name: v1}]}]}");
    assert!(message.contains("Must have port for Service reference"), "{message}");
    create(&mut scene, "HTTPRoute", "default/x", "{parentRefs: [{name: web}]}");
    let rules = &get(&scene, "HTTPRoute", "default/x")["spec"]["rules"];
    assert_eq!(*rules, json!([{ "matches": [{ "path": { "type": "PathPrefix", "value": "/" } }] }]));
}
