//! Custom resources from their definition to their end, through the same requests as real clients send.
//!
//! What a real cluster answered is played in `tests/oracle` (`api-crd-*`); here is what recordings cannot show: replay,
//! rewinding, and what the controllers make of kinds that they were not built with.

use std::time::Duration;

use kubetab::api::table::IncludeObject;
use kubetab::apiserver::{Answer, Call, Caller};
use kubetab::machinery::status::Status;
use kubetab::session::{Session, SessionConfig, SessionLog};
use serde_json::{Value, json};

const THINGS: &str = "/apis/case.example/v1/namespaces/default/things";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

struct Client(Session);

impl Client {
    fn new() -> Self {
        let mut session = Session::new(SessionConfig { seed: 3, ..SessionConfig::default() });
        session.run_until(session.now() + Duration::from_secs(30));
        Self(session)
    }

    fn call(&mut self, method: &str, path: &str, content_type: &str, body: Value) -> Result<Answer, Status> {
        let call = Call {
            method: method.to_owned(),
            path: path.to_owned(),
            content_type: content_type.to_owned(),
            body,
            client: "test".to_owned(),
            ..Call::default()
        };
        self.0.request(&call)
    }

    fn get(&mut self, path: &str) -> Result<Value, Status> {
        self.call("GET", path, "", Value::Null).map(|answer| answer.response.wire())
    }

    fn create(&mut self, path: &str, body: Value) -> Result<Value, Status> {
        self.call("POST", path, "application/json", body).map(|answer| answer.response.wire())
    }

    fn merge(&mut self, path: &str, body: Value) -> Result<Value, Status> {
        self.call("PATCH", path, "application/merge-patch+json", body).map(|answer| answer.response.wire())
    }

    fn apply(&mut self, manager: &str, path: &str, body: Value) -> Result<Value, Status> {
        let path = format!("{path}?fieldManager={manager}");
        let answer = self.call("PATCH", &path, "application/apply-patch+yaml", body)?;
        let mut response = answer.response;
        self.0.cluster().api().show_managed_fields(&mut response);
        Ok(response.wire())
    }

    fn delete(&mut self, path: &str) -> Result<Value, Status> {
        self.call("DELETE", path, "", Value::Null).map(|answer| answer.response.wire())
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.0.now() + Duration::from_secs(seconds);
        self.0.run_until(until);
    }

    fn names(&mut self, path: &str) -> Vec<String> {
        let list = self.get(path).unwrap_or_default();
        let items = list["items"].as_array().into_iter().flatten();
        items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect()
    }
}

/// A definition of things in two versions, of which the second does not know `spec.old`.
fn definition() -> Value {
    let version = |name: &str, storage: bool, more: &str| {
        json!({
            "name": name, "served": true, "storage": storage,
            "subresources": { "status": {}, "scale": {
                "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
            } },
            "selectableFields": [{ "jsonPath": ".spec.size" }],
            "additionalPrinterColumns": [{ "name": "Size", "type": "string", "jsonPath": ".spec.size" }],
            "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                "spec": { "type": "object", "properties": {
                    "size": { "type": "string" }, "replicas": { "type": "integer" }, more: { "type": "string", "default": more },
                    "ports": {
                        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
                        "items": { "type": "object", "required": ["port"], "properties": {
                            "port": { "type": "integer" }, "name": { "type": "string" },
                        } },
                    },
                } },
                "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            } } },
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "things.case.example" },
        "spec": {
            "group": "case.example", "scope": "Namespaced",
            "names": { "plural": "things", "kind": "Thing", "shortNames": ["th"], "categories": ["all"] },
            "versions": [version("v1beta1", false, "old"), version("v1", true, "new")],
        },
    })
}

fn thing(name: &str, spec: Value) -> Value {
    json!({ "apiVersion": "case.example/v1", "kind": "Thing", "metadata": { "name": name }, "spec": spec })
}

fn reason(result: Result<Value, Status>) -> String {
    match result {
        Ok(value) => format!("answered with {value}"),
        Err(status) => status.message().to_owned(),
    }
}

fn defined() -> Client {
    let mut client = Client::new();
    client.create(DEFINITIONS, definition()).expect("the definition is well-formed");
    client
}

#[test]
fn a_resource_is_served_in_each_version() {
    let mut client = defined();
    client.create(THINGS, thing("a", json!({ "size": "small" }))).expect("it is served at once");
    let found = client.get(&format!("{THINGS}/a")).expect("it is there");
    assert_eq!(found["spec"], json!({ "size": "small", "new": "new" }));
    let older = THINGS.replace("/v1/", "/v1beta1/");
    let found = client.get(&format!("{older}/a")).expect("it is there");
    assert_eq!(
        (&found["apiVersion"], &found["spec"]),
        (&json!("case.example/v1beta1"), &json!({ "size": "small", "old": "old" }))
    );
    let list = client.get(&older).expect("it is listed");
    assert_eq!((&list["kind"], &list["items"][0]["apiVersion"]), (&json!("ThingList"), &json!("case.example/v1beta1")));
    // What is written in one version is there in the other.
    client.merge(&format!("{older}/a"), json!({ "spec": { "size": "large" } })).expect("it is patched");
    let found = client.get(&format!("{THINGS}/a")).expect("it is there");
    assert_eq!((&found["spec"]["size"], &found["metadata"]["generation"]), (&json!("large"), &json!(2)));
    let path = format!("{THINGS}/a");
    let unconditional = client.call("PUT", &path, "application/json", thing("a", json!({})));
    assert_eq!(
        unconditional.expect_err("it says no version").message(),
        "things.case.example \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    let mut known = found;
    known["spec"] = json!({ "size": "tiny" });
    let answer = client.call("PUT", &path, "application/json", known).expect("it is replaced");
    assert_eq!(answer.response.wire()["spec"], json!({ "size": "tiny", "new": "new" }));
    let gone = client.get("/apis/case.example/v2/namespaces/default/things");
    assert_eq!(reason(gone), "the server could not find the requested resource");
}

#[test]
fn what_is_below_an_object_is_written_apart() {
    let mut client = defined();
    client
        .create(
            THINGS,
            json!({
                "apiVersion": "case.example/v1", "kind": "Thing", "metadata": { "name": "a" },
                "spec": { "replicas": 1 }, "status": { "replicas": 9 },
            }),
        )
        .expect("it is created");
    let found = client.get(&format!("{THINGS}/a")).expect("it is there");
    assert!(found.get("status").is_none(), "a new object has no status: {found}");
    let patch =
        json!({ "status": { "replicas": 1 }, "spec": { "replicas": 7 }, "metadata": { "labels": { "a": "b" } } });
    let found = client.merge(&format!("{THINGS}/a/status"), patch).expect("it is patched");
    assert_eq!((&found["spec"]["replicas"], &found["status"]["replicas"]), (&json!(1), &json!(1)));
    assert!(found["metadata"].get("labels").is_none(), "only the status changes: {found}");
    let scale = client.merge(&format!("{THINGS}/a/scale"), json!({ "spec": { "replicas": 3 } })).expect("it is scaled");
    assert_eq!((&scale["spec"], &scale["status"]), (&json!({ "replicas": 3 }), &json!({ "replicas": 1 })));
    let found = client.get(&format!("{THINGS}/a")).expect("it is there");
    assert_eq!((&found["spec"]["replicas"], &found["metadata"]["generation"]), (&json!(3), &json!(2)));
}

#[test]
fn lists_are_selected_and_shown_as_the_definition_says() {
    let mut client = defined();
    for (name, size) in [("a", "small"), ("b", "large")] {
        client.create(THINGS, thing(name, json!({ "size": size }))).expect("it is created");
    }
    assert_eq!(client.names(&format!("{THINGS}?fieldSelector=spec.size%3Dlarge")), ["b"]);
    assert_eq!(
        reason(client.get(&format!("{THINGS}?fieldSelector=spec.new%3Dx"))),
        "field label not supported: spec.new"
    );
    let answer = client.call("GET", THINGS, "", Value::Null).expect("it is listed");
    let table = answer.response.to_table(IncludeObject::None, client.0.now()).expect("a list has a table");
    let names: Vec<&Value> =
        table["columnDefinitions"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
    assert_eq!(names, ["Name", "Size"]);
    assert_eq!(table["rows"][1]["cells"], json!(["b", "large"]));
    client.delete(&format!("{THINGS}?labelSelector=a%3Db")).expect("nothing is selected");
    assert_eq!(client.names(THINGS), ["a", "b"]);
    client.delete(THINGS).expect("all are deleted");
    assert_eq!(client.names(THINGS), [""; 0]);
}

#[test]
fn appliers_share_the_items_of_a_list() {
    let mut client = defined();
    let path = format!("{THINGS}/a");
    let with = |port: u16, name: &str| thing("a", json!({ "ports": [{ "port": port, "name": name }] }));
    client.apply("one", &path, with(1, "x")).expect("it is created");
    let found = client.apply("two", &path, with(2, "y")).expect("it is applied");
    assert_eq!(found["spec"]["ports"], json!([{ "port": 1, "name": "x" }, { "port": 2, "name": "y" }]));
    let owned = &found["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"];
    assert_eq!(*owned, json!({ "k:{\"port\":1}": { ".": {}, "f:name": {}, "f:port": {} } }));
    assert_eq!(
        reason(client.apply("two", &path, with(1, "z"))),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.ports[port=1].name"
    );
    assert_eq!(
        reason(client.apply("two", &path, thing("a", json!({ "bogus": 1 })))),
        "failed to create typed patch object (/a; case.example/v1, Kind=Thing): .spec.bogus: field not declared in schema"
    );
    let strategic = client.call("PATCH", &path, "application/strategic-merge-patch+json", json!({}));
    let message = strategic.expect_err("nobody knows how").message().to_owned();
    assert!(message.starts_with("the body of the request was in an unknown format"), "{message}");
}

#[test]
fn objects_go_before_their_definition() {
    let mut client = defined();
    client.create(THINGS, thing("a", json!({}))).expect("it is created");
    let mut held = thing("held", json!({}));
    held["metadata"]["finalizers"] = json!(["case.example/hold"]);
    client.create(THINGS, held).expect("it is created");
    let path = format!("{DEFINITIONS}/things.case.example");
    client.delete(&path).expect("it is marked");
    assert_eq!(client.names(THINGS), ["held"]);
    let found = client.get(&path).expect("it waits");
    assert_eq!(found["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    let conditions = found["status"]["conditions"].as_array().expect("conditions");
    let terminating = conditions.iter().find(|one| one["type"] == "Terminating").expect("it is terminating");
    assert_eq!(
        (&terminating["status"], &terminating["reason"]),
        (&json!("True"), &json!("InstanceDeletionInProgress"))
    );
    assert_eq!(
        reason(client.create(THINGS, thing("late", json!({})))),
        "create not allowed while custom resource definition is terminating"
    );
    client.merge(&format!("{THINGS}/held"), json!({ "metadata": { "finalizers": null } })).expect("it is let go");
    assert!(client.get(&path).is_err(), "nothing holds the definition any more");
    assert_eq!(reason(client.get(THINGS)), "the server could not find the requested resource");
    // Its names are free again, also for another kind of the group.
    client.create(DEFINITIONS, definition()).expect("it can come back");
    assert_eq!(client.names(THINGS), [""; 0]);
}

#[test]
fn who_waits_for_a_name_gets_it_when_it_is_free() {
    let mut client = defined();
    let mut other = definition();
    other["metadata"]["name"] = "others.case.example".into();
    other["spec"]["names"]["plural"] = "others".into();
    other["spec"]["names"]["singular"] = "other".into();
    client.create(DEFINITIONS, other).expect("it is stored");
    let others = THINGS.replace("things", "others");
    assert!(client.get(&others).is_err(), "another has the name of its kind");
    client.delete(&format!("{DEFINITIONS}/things.case.example")).expect("it goes");
    assert!(client.get(&others).is_ok(), "it is served now");
}

#[test]
fn controllers_know_custom_kinds() {
    let mut client = defined();
    client.create("/api/v1/namespaces", json!({ "metadata": { "name": "n" } })).expect("it is created");
    client.wait(5);
    let in_n = THINGS.replace("default", "n");
    let owner = client.create(&in_n, thing("owner", json!({}))).expect("it is created");
    let reference = json!([{
        "apiVersion": "case.example/v1", "kind": "Thing", "name": "owner", "uid": owner["metadata"]["uid"],
    }]);
    let config = json!({ "metadata": { "name": "dependent", "ownerReferences": reference } });
    client.create("/api/v1/namespaces/n/configmaps", config).expect("it is created");
    let mut child = thing("child", json!({}));
    child["metadata"]["ownerReferences"] = reference;
    client.create(&in_n, child).expect("it is created");
    client.create(&in_n, thing("free", json!({}))).expect("it is created");
    client.wait(10);
    client.delete(&format!("{in_n}/owner")).expect("it is deleted");
    client.wait(30);
    assert_eq!(client.names(&in_n), ["free"], "what it owned is collected");
    assert!(client.get("/api/v1/namespaces/n/configmaps/dependent").is_err());
    client.delete("/api/v1/namespaces/n").expect("it is deleted");
    client.wait(60);
    assert_eq!(client.names(&in_n), [""; 0]);
    assert!(client.get("/api/v1/namespaces/n").is_err(), "nothing holds the namespace");
}

#[test]
fn roles_and_quotas_speak_of_custom_kinds() {
    let mut client = defined();
    let quota = json!({ "metadata": { "name": "few" }, "spec": { "hard": { "count/things.case.example": "1" } } });
    client.create("/api/v1/namespaces/default/resourcequotas", quota).expect("it is created");
    client.wait(20);
    client.create(THINGS, thing("a", json!({}))).expect("there is room for one");
    assert_eq!(
        reason(client.create(THINGS, thing("b", json!({})))),
        "things.case.example \"b\" is forbidden: exceeded quota: few, requested: count/things.case.example=1, used: \
         count/things.case.example=1, limited: count/things.case.example=1"
    );
    let role = json!({ "metadata": { "name": "reader" }, "rules": [
        { "apiGroups": ["case.example"], "resources": ["things"], "resourceNames": ["a"], "verbs": ["get"] },
    ] });
    client.create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", role).expect("it is created");
    let binding = json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io" }],
    });
    client
        .create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding)
        .expect("it is created");
    let as_jane = |method: &str, path: String| Call {
        method: method.to_owned(),
        path,
        user: Some(Caller {
            name: "jane".to_owned(),
            groups: vec!["system:authenticated".to_owned()],
            ..Caller::default()
        }),
        ..Call::default()
    };
    assert!(client.0.request(&as_jane("GET", format!("{THINGS}/a"))).is_ok());
    let refused = client.0.request(&as_jane("DELETE", format!("{THINGS}/a"))).expect_err("she may only read");
    assert_eq!(
        refused.message(),
        "things.case.example \"a\" is forbidden: User \"jane\" cannot delete resource \"things\" in API group \"case.example\" \
         in the namespace \"default\""
    );
}

#[test]
fn a_session_with_custom_resources_is_its_log() {
    let mut client = Client::new();
    let before = client.0.now();
    client.wait(10);
    client.create(DEFINITIONS, definition()).expect("the definition is well-formed");
    client.create(THINGS, thing("a", json!({ "size": "small" }))).expect("it is created");
    client.wait(10);
    let middle = client.0.now();
    client.wait(5);
    client.merge(&format!("{THINGS}/a"), json!({ "spec": { "size": "large" } })).expect("it is patched");
    let mut changed = definition()["spec"]["versions"].clone();
    changed[1]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["more"] =
        json!({ "type": "integer", "default": 5 });
    client
        .merge(&format!("{DEFINITIONS}/things.case.example"), json!({ "spec": { "versions": changed } }))
        .expect("it changes");
    let found = client.get(&format!("{THINGS}/a")).expect("it is there");
    assert_eq!(found["spec"]["more"], 5, "an old object has the new default");
    client.wait(10);
    client.delete(&format!("{DEFINITIONS}/things.case.example")).expect("it is deleted");
    client.wait(10);
    let (end, hash) = (client.0.now(), client.0.hash());
    let log = SessionLog::from_json(&client.0.log().to_json()).expect("a session's own log is well-formed");
    assert_eq!(Session::from_log(log).hash(), hash, "the log gives the same cluster");

    client.0.rewind_to(middle);
    let found = client.get(&format!("{THINGS}/a")).expect("it is there again");
    assert_eq!((&found["spec"]["size"], found["spec"].get("more")), (&json!("small"), None));
    client.0.rewind_to(before);
    assert_eq!(reason(client.get(THINGS)), "the server could not find the requested resource");
    client.0.rewind_to(end);
    assert_eq!(client.0.hash(), hash);
    assert!(client.get(THINGS).is_err());
}

/// The definition with a webhook that converts.
fn converted_definition() -> Value {
    let mut definition = definition();
    definition["spec"]["conversion"] = json!({ "strategy": "Webhook", "webhook": {
        "conversionReviewVersions": ["v1"],
        "clientConfig": { "service": { "namespace": "default", "name": "converter", "path": "/convert" } },
    } });
    definition
}

#[test]
fn a_webhook_that_converts_is_asked_in_vain() {
    let mut client = Client::new();
    client.create(DEFINITIONS, converted_definition()).expect("the definition is well-formed");
    let older = THINGS.replace("/v1/", "/v1beta1/");
    assert!(client.names(&older).is_empty(), "there is nothing to convert");
    client.create(THINGS, thing("a", json!({ "size": "small" }))).expect("it is stored as it is");
    assert_eq!(client.names(THINGS), ["a"]);
    let failure = |version: &str| {
        format!(
            "conversion webhook for case.example/{version}, Kind=Thing failed: Post \
             \"https://converter.default.svc:443/convert?timeout=30s\": service \"converter\" not found"
        )
    };
    assert_eq!(reason(client.get(&format!("{older}/a"))), failure("v1"));
    assert_eq!(reason(client.get(&older)), failure("v1"));
    assert_eq!(reason(client.merge(&format!("{older}/a"), json!({ "spec": { "size": "large" } }))), failure("v1"));
    assert_eq!(reason(client.delete(&format!("{older}/a"))), failure("v1"));
    let mut old = thing("b", json!({}));
    old["apiVersion"] = json!("case.example/v1beta1");
    assert_eq!(reason(client.create(&older, old)), failure("v1beta1"));
    client.delete(&format!("{THINGS}/a")).expect("nothing is converted");
    let refused = client.get(&format!("{older}/a")).expect_err("it is gone");
    assert!(refused.is_not_found());
}

#[test]
fn a_conversion_must_say_how_its_webhook_is_reached() {
    let mut client = Client::new();
    for (path, value, told) in [
        ("/webhook/conversionReviewVersions", json!([]), "spec.conversion.conversionReviewVersions: Required value"),
        (
            "/webhook/conversionReviewVersions",
            json!(["v7"]),
            "spec.conversion.conversionReviewVersions: Invalid value: [\"v7\"]: must include at least one of v1, v1beta1",
        ),
        (
            "/webhook/clientConfig",
            json!({}),
            "spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required",
        ),
        (
            "/webhook/clientConfig",
            json!({ "url": "http://a/b" }),
            "spec.conversion.webhookClientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired \
             format: https://host[/path]",
        ),
        (
            "/strategy",
            json!("None"),
            "[spec.conversion.webhookClientConfig: Forbidden: should not be set when strategy is not set to Webhook, \
             spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook]",
        ),
    ] {
        let mut definition = converted_definition();
        *definition["spec"]["conversion"].pointer_mut(path).expect("it is there") = value;
        let refused = reason(client.create(DEFINITIONS, definition));
        assert_eq!(
            refused,
            format!("CustomResourceDefinition.apiextensions.k8s.io \"things.case.example\" is invalid: {told}")
        );
    }
}

#[test]
fn dependents_of_a_kind_that_is_known_later_are_looked_at_again() {
    let mut client = Client::new();
    let owned = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "child", "ownerReferences": [
            { "apiVersion": "case.example/v1", "kind": "Thing", "name": "gone", "uid": "1-2-3" },
        ] },
    });
    let maps = "/api/v1/namespaces/default/configmaps";
    client.create(maps, owned).expect("its owner is not looked for");
    client.wait(600);
    assert!(client.names(maps).contains(&"child".to_owned()), "nobody knows the kind of its owner");
    client.create(DEFINITIONS, definition()).expect("the definition is well-formed");
    client.wait(29);
    assert!(client.names(maps).contains(&"child".to_owned()), "kinds are read anew every thirty seconds");
    client.wait(3);
    assert!(!client.names(maps).contains(&"child".to_owned()), "its owner is known not to be there");
}

#[test]
fn nobody_reads_what_has_not_happened_yet() {
    let mut client = Client::new();
    let refused = client.get("/api/v1/namespaces/default?resourceVersion=999999").expect_err("it has not happened");
    assert_eq!(refused.code(), 504);
    assert!(refused.message().starts_with("Timeout: Too large resource version: 999999, current: "), "{refused}");
    assert_eq!(refused.details().causes[0].reason, "ResourceVersionTooLarge");
}
