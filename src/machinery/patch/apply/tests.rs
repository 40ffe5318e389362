//! Owners of fields, case by case; the cases follow those of upstream's `merge` package.

use serde_json::{Value, json};

use super::typed::TypeRef;
use super::*;
use crate::machinery::schema;
use crate::machinery::status::Status;
use crate::machinery::time::Time;

/// An object in its owners' hands.
struct Scene {
    of: TypeRef,
    api_version: &'static str,
    object: Option<Value>,
    managed: Managed,
    empty: Value,
    seconds: u64,
}

impl Scene {
    fn new(api_version: &'static str, kind: &str) -> Self {
        Self {
            of: schema::lookup(api_version, kind).map_or(TypeRef::Deduced, TypeRef::Struct),
            api_version,
            object: None,
            managed: Managed::default(),
            empty: json!({}),
            seconds: 0,
        }
    }

    fn service() -> Self {
        Self::new("v1", "Service")
    }

    fn updater<'a>(&'a self, reset: &'a Set, subresource: &'a str) -> Updater<'a> {
        let now = Time::from_micros(self.seconds * 1_000_000);
        Updater { of: self.of, api_version: self.api_version, subresource, reset, empty: &self.empty, now }
    }

    fn update(&mut self, manager: &str, object: Value) -> &mut Self {
        self.update_below(manager, object, "", &Set::default())
    }

    fn update_below(&mut self, manager: &str, object: Value, subresource: &str, reset: &Set) -> &mut Self {
        self.seconds += 1;
        let mut managed = self.managed.clone();
        self.updater(reset, subresource).update(self.object.as_ref(), &object, &mut managed, manager);
        self.managed = managed;
        self.object = Some(object);
        self
    }

    fn try_apply(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), ApplyError> {
        self.seconds += 1;
        let reset = Set::default();
        let applied = self.updater(&reset, "").apply(self.object.as_ref(), config, &self.managed, manager, force)?;
        self.managed = applied.managed;
        if applied.object.is_some() {
            self.object = applied.object;
        }
        Ok(())
    }

    fn apply(&mut self, manager: &str, config: Value) -> &mut Self {
        self.try_apply(manager, &config, false).expect("it applies");
        self
    }

    fn refused(&mut self, manager: &str, config: Value) -> String {
        match self.try_apply(manager, &config, false).expect_err("it is refused") {
            ApplyError::Conflicts(conflicts) => Status::from(conflicts).message().to_owned(),
            ApplyError::Typed(errors) => validate::text(&errors),
            ApplyError::Other(why) => why,
        }
    }

    /// What an owner owns.
    fn owned(&self, manager: &str, operation: Operation) -> Value {
        let manager = Manager::new(manager, operation, self.api_version, "");
        self.managed.get(&manager).map_or(Value::Null, |owned| owned.set.to_value())
    }

    fn object(&self) -> &Value {
        self.object.as_ref().expect("it was made")
    }
}

fn applied(scene: &Scene, manager: &str) -> Value {
    scene.owned(manager, Operation::Apply)
}

#[test]
fn sets_are_written_as_upstream_writes_them() {
    let value = json!({
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:clusterIPs": {},
            "f:ports": {
                ".": {},
                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
                "k:{\"port\":443,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}},
            },
            "f:finalizers": {"v:\"a\"": {}},
        },
    });
    let set = Set::from_value(&value).expect("it is one");
    let text = set.to_value().to_string();
    assert_eq!(
        text,
        r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:clusterIPs":{},"f:finalizers":{"v:\"a\"":{}},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}},"k:{\"port\":443,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}"#
    );
    assert_eq!(Set::from_value(&set.to_value()), Ok(set));
    assert!(
        Set::from_value(&json!({"x:unknown": {}, "f:a": {}}))
            .expect("unknown sorts are skipped")
            .has(&[Element::field("a")])
    );
    for bad in [json!({"f": {}}), json!({"spec": {}}), json!({"k:{": {}}), json!({"f:a": 1})] {
        assert!(Set::from_value(&bad).is_err(), "{bad}");
    }
}

#[test]
fn set_operations() {
    let set = |paths: &[&[&str]]| Set::of_fields(paths);
    let a = set(&[&["a"], &["a", "b"], &["c"], &["d", "e"]]);
    let b = set(&[&["a"], &["d", "e"], &["f"]]);
    assert_eq!(a.union(&b), set(&[&["a"], &["a", "b"], &["c"], &["d", "e"], &["f"]]));
    assert_eq!(a.intersection(&b), set(&[&["a"], &["d", "e"]]));
    assert_eq!(a.difference(&b), set(&[&["a", "b"], &["c"]]));
    assert_eq!(a.recursive_difference(&b), set(&[&["c"]]));
}

#[test]
fn appliers_share_what_they_agree_on_and_quarrel_over_the_rest() {
    let mut scene = Scene::new("v1", "ConfigMap");
    let config =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    scene.apply("one", config(json!({"a": "1", "b": "1"})));
    scene.apply("two", config(json!({"b": "1", "c": "1"})));
    assert_eq!(scene.object()["data"], json!({"a": "1", "b": "1", "c": "1"}));
    assert_eq!(applied(&scene, "one"), json!({"f:data": {"f:a": {}, "f:b": {}}}));
    assert_eq!(applied(&scene, "two"), json!({"f:data": {"f:b": {}, "f:c": {}}}));
    assert_eq!(
        scene.refused("two", config(json!({"a": "2", "b": "2"}))),
        "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b"
    );
    // Neither has changed anything.
    assert_eq!(scene.object()["data"], json!({"a": "1", "b": "1", "c": "1"}));
    scene.try_apply("two", &config(json!({"a": "2"})), true).expect("it is forced");
    // `b` stays for the one who still applies it, `c` goes.
    assert_eq!(scene.object()["data"], json!({"a": "2", "b": "1"}));
    assert_eq!(applied(&scene, "one"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(applied(&scene, "two"), json!({"f:data": {"f:a": {}}}));
    // Nothing is left of the data, and nobody owns anything.
    scene.apply("one", config(json!({})));
    assert_eq!(scene.object()["data"], json!({"a": "2"}));
    assert_eq!(applied(&scene, "one"), json!({"f:data": {}}));
}

#[test]
fn an_update_takes_what_it_changes() {
    let mut scene = Scene::new("v1", "ConfigMap");
    scene.empty = json!({"metadata": {}});
    let config =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    scene.update("kubectl-create", config(json!({"a": "1"})));
    assert_eq!(scene.owned("kubectl-create", Operation::Update), json!({"f:data": {".": {}, "f:a": {}}}));
    scene.apply("one", config(json!({"a": "1"})));
    scene.update("kubectl-edit", config(json!({"a": "2"})));
    assert_eq!(applied(&scene, "one"), Value::Null);
    assert_eq!(scene.owned("kubectl-create", Operation::Update), json!({"f:data": {}}));
    assert_eq!(scene.owned("kubectl-edit", Operation::Update), json!({"f:data": {"f:a": {}}}));
    assert_eq!(
        scene.refused("one", config(json!({"a": "1"}))),
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.a"
    );
    // What is removed belongs to nobody.
    scene.update("kubectl-edit", config(json!({"b": "1"})));
    assert_eq!(scene.owned("kubectl-edit", Operation::Update), json!({"f:data": {"f:b": {}}}));
}

fn service(ports: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": ports}})
}

#[test]
fn items_of_lists_have_owners_of_their_own() {
    let mut scene = Scene::service();
    scene.apply("one", service(json!([{"port": 80}, {"port": 443, "name": "tls"}])));
    scene.apply("two", service(json!([{"port": 80, "protocol": "UDP"}])));
    assert_eq!(
        applied(&scene, "two"),
        json!({"f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"UDP\"}": {".": {}, "f:port": {}, "f:protocol": {}}}}})
    );
    let ports = |scene: &Scene| scene.object()["spec"]["ports"].clone();
    assert_eq!(ports(&scene), json!([{"port": 80}, {"port": 443, "name": "tls"}, {"port": 80, "protocol": "UDP"}]));
    // The order is that of the live list, unless who applies says otherwise of what is there.
    scene.apply("one", service(json!([{"port": 443, "name": "tls"}, {"port": 80}])));
    assert_eq!(ports(&scene), json!([{"port": 443, "name": "tls"}, {"port": 80, "protocol": "UDP"}, {"port": 80}]));
    // An item goes with its only applier, but not what another has added to it.
    scene.apply("two", service(json!([{"port": 443, "nodePort": 30443}])));
    scene.apply("one", service(json!([{"port": 80}])));
    assert_eq!(ports(&scene), json!([{"port": 443, "nodePort": 30443}, {"port": 80}]));
    scene.apply("two", service(json!([])));
    assert_eq!(ports(&scene), json!([{"port": 80}]));
}

#[test]
fn what_an_updater_put_into_an_item_goes_with_the_item() {
    let mut scene = Scene::service();
    scene.apply("one", service(json!([{"port": 80, "name": "a"}, {"port": 81}])));
    scene.update("controller", service(json!([{"port": 80, "name": "a"}, {"port": 81, "nodePort": 30081}])));
    scene.apply("one", service(json!([{"port": 80, "name": "a"}])));
    // The controller owns a field of the item, not the item.
    assert_eq!(scene.object()["spec"]["ports"], json!([{"port": 80, "name": "a"}]));
    assert_eq!(scene.owned("controller", Operation::Update), Value::Null);
}

#[test]
fn what_is_atomic_is_owned_whole() {
    let selector = |selector: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"selector": selector}});
    let mut scene = Scene::service();
    scene.apply("one", selector(json!({"app": "a"})));
    assert_eq!(applied(&scene, "one"), json!({"f:spec": {"f:selector": {}}}));
    assert_eq!(
        scene.refused("two", selector(json!({"tier": "b"}))),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.selector"
    );
    scene.try_apply("two", &selector(json!({"tier": "b"})), true).expect("it is forced");
    assert_eq!(scene.object()["spec"]["selector"], json!({"tier": "b"}));
    assert_eq!(applied(&scene, "one"), Value::Null);
}

#[test]
fn sets_are_divided_by_value() {
    let finalizers = |finalizers: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "finalizers": finalizers}});
    let mut scene = Scene::new("v1", "ConfigMap");
    scene.apply("one", finalizers(json!(["a/a", "b/b"])));
    scene.apply("two", finalizers(json!(["b/b", "c/c"])));
    assert_eq!(applied(&scene, "two"), json!({"f:metadata": {"f:finalizers": {"v:\"b/b\"": {}, "v:\"c/c\"": {}}}}));
    scene.apply("one", finalizers(json!([])));
    assert_eq!(scene.object()["metadata"]["finalizers"], json!(["b/b", "c/c"]));
}

#[test]
fn what_is_not_of_the_type_is_refused_with_its_path() {
    let mut scene = Scene::new("apps/v1", "Deployment");
    let container = |container: Value| json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}});
    for (config, message) in [
        (
            container(json!({"name": "c", "imagePullPolicyy": "Always"})),
            ".spec.template.spec.containers[name=\"c\"].imagePullPolicyy: field not declared in schema",
        ),
        (
            container(json!({"name": "c", "env": [{"name": "A"}, {"name": "A"}]})),
            ".spec.template.spec.containers[name=\"c\"].env: duplicate entries for key [name=\"A\"]",
        ),
        (
            container(json!({"name": "c", "volumeDevices": [{"name": "v"}, {"name": "w"}]})),
            ".spec.template.spec.containers[name=\"c\"].volumeDevices: duplicate entries for key [devicePath=\"\"]",
        ),
        (
            json!({"status": {"conditions": [1]}}),
            ".status.conditions: element 0: associative list with keys may not have non-map elements",
        ),
        (json!({"spec": {"replicas": "3"}}), ".spec.replicas: expected numeric (int or float), got string"),
        (json!({"spec": {"paused": "yes"}}), ".spec.paused: expected boolean, got &{yes}"),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
        ),
        (json!({"spec": []}), ".spec: expected map, got &{[]}"),
        (
            json!({"spec": {"replicas": "3", "paused": 1}}),
            "errors:\n  .spec.replicas: expected numeric (int or float), got string\n  .spec.paused: expected boolean, got \
             &{1}",
        ),
    ] {
        assert_eq!(scene.refused("one", config), message);
    }
}

#[test]
fn status_is_not_owned_by_writes_to_the_object() {
    let mut scene = Scene::new("apps/v1", "Deployment");
    let reset = Set::of_fields(&[&["status"]]);
    let object =
        |replicas: u32, ready: u32| json!({"spec": {"replicas": replicas}, "status": {"readyReplicas": ready}});
    scene.empty = json!({"spec": {}, "status": {}});
    scene.update_below("kubectl", object(1, 1), "", &reset);
    scene.update_below("controller", object(1, 2), "status", &Set::of_fields(&[&["spec"]]));
    assert_eq!(scene.owned("kubectl", Operation::Update), json!({"f:spec": {"f:replicas": {}}}));
    let controller = Manager::new("controller", Operation::Update, "apps/v1", "status");
    let owned = scene.managed.get(&controller).expect("it owns the status");
    assert_eq!(owned.set.to_value(), json!({"f:status": {"f:readyReplicas": {}}}));
}

#[test]
fn an_object_without_owners_is_followed_from_the_first_apply_on() {
    let mut scene = Scene::new("v1", "ConfigMap");
    let config =
        |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data});
    scene.object = Some(config(json!({"a": "1"})));
    scene.update("kubectl-edit", config(json!({"a": "1", "b": "1"})));
    assert!(scene.managed.is_empty());
    scene.apply("one", config(json!({"c": "1"})));
    assert_eq!(
        scene.owned("before-first-apply", Operation::Update),
        json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}})
    );
    assert_eq!(applied(&scene, "one"), json!({"f:data": {"f:c": {}}}));
}

#[test]
fn the_oldest_of_too_many_updaters_become_one() {
    let mut scene = Scene::new("v1", "ConfigMap");
    let mut data = serde_json::Map::new();
    for number in 0..12 {
        data.insert(format!("k{number}"), "1".into());
        scene.update(&format!("m{number}"), json!({"data": data}));
    }
    assert_eq!(scene.managed.owners().len(), 10);
    let ancient = scene.owned("ancient-changes", Operation::Update);
    assert_eq!(ancient, json!({"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}}));
}

#[test]
fn kubectl_takes_over_from_its_client_side_apply() {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let config =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": value}});
    let mut live = config("1");
    live["metadata"]["annotations"] = json!({LAST_APPLIED: format!("{}\n", config("1"))});
    let mut scene = Scene::new("v1", "ConfigMap");
    scene.update("kubectl-client-side-apply", live.clone());
    assert!(scene.refused("other", config("2")).contains("kubectl-client-side-apply"));
    scene.apply("kubectl", config("2"));
    assert_eq!(scene.object()["data"], json!({"a": "2"}));
    let remembered = scene.object()["metadata"]["annotations"][LAST_APPLIED].as_str().expect("it is remembered");
    assert_eq!(serde_json::from_str::<Value>(remembered).expect("it is JSON"), config("2"));
    // What somebody else has changed since is a conflict all the same.
    let mut edited = scene.object().clone();
    edited["data"]["a"] = "3".into();
    scene.update("kubectl-edit", edited);
    assert_eq!(
        scene.refused("kubectl", config("4")),
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.a"
    );
}

#[test]
fn nothing_is_known_of_what_has_no_schema() {
    let mut scene = Scene::new("example.com/v1", "Thing");
    scene.apply("one", json!({"spec": {"list": [1, 2], "map": {"a": 1}}}));
    scene.apply("two", json!({"spec": {"map": {"b": 1}}}));
    assert_eq!(scene.object()["spec"], json!({"list": [1, 2], "map": {"a": 1, "b": 1}}));
    assert_eq!(
        scene.refused("two", json!({"spec": {"list": [3]}})),
        "Apply failed with 1 conflict: conflict with \"one\": .spec.list"
    );
    scene.apply("one", json!({"spec": {"list": {"now": "a map"}}}));
    assert_eq!(scene.object()["spec"], json!({"list": {"now": "a map"}, "map": {"b": 1}}));
}

#[test]
fn an_apply_that_changes_nothing_keeps_its_time() {
    let mut scene = Scene::new("v1", "ConfigMap");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    scene.apply("one", config.clone()).apply("two", config.clone()).apply("one", config);
    let time = |name: &str| {
        let manager = Manager::new(name, Operation::Apply, "v1", "");
        scene.managed.get(&manager).and_then(|owned| owned.time)
    };
    assert_eq!(time("one"), Some(Time::from_micros(1_000_000)));
    assert_eq!(time("two"), None);
}

#[test]
fn entries_of_the_metadata_are_read_back() {
    let mut scene = Scene::new("v1", "ConfigMap");
    scene.update("b", json!({"data": {"a": "1"}})).update("a", json!({"data": {"a": "1", "b": "1"}}));
    scene.apply("c", json!({"data": {"a": "1"}}));
    let entries = scene.managed.encode();
    let order: Vec<&str> = entries.iter().filter_map(|entry| entry.manager.as_deref()).collect();
    assert_eq!(order, ["c", "b", "a"]);
    assert_eq!(Managed::decode(&entries), Ok(scene.managed));
    assert!(managed::is_reset(&[Default::default()]));
    assert_eq!(Managed::decode(&[Default::default()]), Err("operation must be `Apply` or `Update`".to_owned()));
}
