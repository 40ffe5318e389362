//! Recorded patches of a real cluster, replayed without its defaults, and upstream's edge cases.

use serde_json::{Value, json};

use super::super::super::schema;
use super::*;

fn deployment() -> &'static Struct {
    schema::lookup("apps/v1", "Deployment").expect("a built-in kind")
}

fn patch(original: &Value, patch: Value) -> Result<Value, String> {
    apply(original.clone(), patch, deployment()).map_err(|error| error.message().to_owned())
}

fn pod(spec: Value) -> Value {
    json!({"spec": {"template": {"spec": spec}}})
}

/// What the API server fills in, and what the cases therefore show beside the patched fields.
fn without_defaults(value: &mut Value) {
    const DEFAULTS: [(&str, &str); 10] = [
        ("imagePullPolicy", "Always"),
        ("terminationMessagePath", "/dev/termination-log"),
        ("terminationMessagePolicy", "File"),
        ("dnsPolicy", "ClusterFirst"),
        ("restartPolicy", "Always"),
        ("schedulerName", "default-scheduler"),
        ("protocol", "TCP"),
        ("type", ""),
        ("resources", ""),
        ("securityContext", ""),
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| {
                let empty = value.as_object().is_some_and(Object::is_empty);
                let is_default = DEFAULTS.iter().any(|(name, default)| key == name && (value == default || empty));
                !is_default && key != "terminationGracePeriodSeconds"
            });
            fields.values_mut().for_each(without_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_defaults),
        _ => {}
    }
}

struct Step {
    patch: Value,
    recorded: Value,
}

/// The steps of a recorded case that patch `target`, and the manifest that its first step creates.
fn case(steps: &str, recorded: &str, target: &str) -> (Value, Vec<Step>) {
    let case: Value = serde_yaml::from_str(steps).expect("a case");
    let recorded: Vec<Value> = serde_yaml::from_str(recorded).expect("its answers");
    let manifest = case["steps"][0]["stdin"].as_str().expect("a manifest");
    let manifest = serde_yaml::from_str(manifest).expect("YAML");
    let steps = case["steps"].as_array().expect("steps").iter().zip(recorded);
    let steps = steps.filter_map(|(step, recorded)| {
        let (command, rest) = step["run"].as_str()?.split_once(" -p '")?;
        let patch = serde_json::from_str(rest.split_once('\'')?.0).ok()?;
        command.contains(target).then_some(Step { patch, recorded })
    });
    (manifest, steps.collect())
}

#[test]
fn recorded_deployment() {
    let (mut object, steps) = case(
        include_str!("../../../../tests/cases/patch/patch-strategic.yaml"),
        include_str!("../../../../tests/cases/patch/patch-strategic.recorded.yaml"),
        "deployment d",
    );
    assert_eq!(steps.len(), 24);
    // The server's default, which the last step needs.
    object["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}});
    for Step { patch: change, recorded } in steps {
        let expected = &recorded["json"];
        match patch(&object, change.clone()) {
            Err(message) => {
                assert_eq!(recorded["stderr"], format!("Error from server: {message}\n"), "{change}");
            }
            // Validation, which is not ours, refuses the two sources of one volume.
            Ok(_) if recorded["exit"] == 1 => {
                let said = recorded["stderr"].as_str().unwrap_or_default();
                assert!(said.contains("may not specify more than 1 volume type"), "{change}: {said}");
            }
            Ok(next) => {
                object = next;
                let mut expected = expected.clone();
                let mut shown = if change["metadata"].is_object() {
                    object["metadata"]["labels"].clone()
                } else if change["spec"]["strategy"].is_object() {
                    object["spec"]["strategy"].clone()
                } else {
                    object["spec"]["template"]["spec"].clone()
                };
                without_defaults(&mut shown);
                without_defaults(&mut expected);
                assert_eq!(shown, expected, "{change}");
            }
        }
    }
}

#[test]
fn recorded_service() {
    let (mut object, steps) = case(
        include_str!("../../../../tests/cases/patch/patch-strategic-other.yaml"),
        include_str!("../../../../tests/cases/patch/patch-strategic-other.recorded.yaml"),
        "svc s",
    );
    let service = schema::lookup("v1", "Service").expect("a built-in kind");
    assert_eq!(steps.len(), 10);
    for Step { patch: change, recorded } in steps.into_iter().take(8) {
        match apply(object.clone(), change.clone(), service) {
            Err(error) => {
                let expected = format!("Error from server: {}\n", error.message());
                assert_eq!(recorded["stderr"], expected, "{change}");
            }
            Ok(next) => {
                object = next;
                let mut expected = recorded["json"].clone();
                without_defaults(&mut expected);
                for port in expected.as_array_mut().into_iter().flatten() {
                    // A target port that is not given becomes the port's number.
                    if let Some(port) = port.as_object_mut()
                        && port.get("targetPort") == port.get("port")
                    {
                        port.shift_remove("targetPort");
                    }
                }
                let shown = if change["metadata"].is_object() {
                    &object["metadata"]["finalizers"]
                } else {
                    &object["spec"]["ports"]
                };
                assert_eq!(*shown, expected, "{change}");
            }
        }
    }
}

#[test]
fn directives_that_find_nothing() {
    let original = pod(json!({"containers": [{"name": "a", "image": "x"}]}));
    let cases = [
        // A list that is not there yet takes no deletions and no nulls.
        (
            pod(json!({"volumes": [{"name": "v", "$patch": "delete"}, {"name": "w", "emptyDir": null}]})),
            pod(json!({"containers": [{"name": "a", "image": "x"}], "volumes": [{"name": "w"}]})),
        ),
        (
            pod(json!({"securityContext": {"$patch": "delete"}})),
            pod(json!({"containers": [{"name": "a", "image": "x"}]})),
        ),
        (
            pod(json!({"$setElementOrder/volumes": [{"name": "w"}], "volumes": [{"name": "w"}]})),
            pod(json!({"containers": [{"name": "a", "image": "x"}], "volumes": [{"name": "w"}]})),
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(patch(&original, change.clone()), Ok(expected), "{change}");
    }
}

#[test]
fn orders() {
    let names = |list: &[&str]| -> Value { list.iter().map(|name| json!({"name": name, "image": name})).collect() };
    let order = |list: &[&str]| -> Value { list.iter().map(|name| json!({"name": name})).collect() };
    let original = pod(json!({"containers": names(&["a", "b", "c", "d"])}));
    type Names = &'static [&'static str];
    // The patch's items, the order it demands, the order that results.
    let cases: [(Names, Option<Names>, Names); 6] = [
        (&["e"], None, &["e", "a", "b", "c", "d"]),
        (&["c", "e"], None, &["a", "b", "c", "e", "d"]),
        (&["e", "c"], None, &["e", "a", "b", "c", "d"]),
        (&["e"], Some(&["a", "e", "c"]), &["a", "e", "b", "c", "d"]),
        (&[], Some(&["d", "a"]), &["b", "c", "d", "a"]),
        (&["d", "a"], None, &["b", "c", "d", "a"]),
    ];
    for (items, demanded, expected) in cases {
        let mut change = json!({"containers": names(items)});
        if let Some(demanded) = demanded {
            change["$setElementOrder/containers"] = order(demanded);
        }
        let result = patch(&original, pod(change)).expect("applies");
        let containers = &result["spec"]["template"]["spec"]["containers"];
        let shown: Vec<&str> =
            containers.as_array().into_iter().flatten().filter_map(|item| item["name"].as_str()).collect();
        assert_eq!(shown, expected, "{items:?} {demanded:?}");
    }
}

#[test]
fn refusals() {
    let original = pod(json!({"containers": [{"name": "a"}], "volumes": [{"name": "v", "emptyDir": {}}]}));
    let cases = [
        (
            pod(json!({"$setElementOrder/containers": [{"name": "b"}], "containers": [{"name": "a"}]})),
            "the order in patch list:\n[map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]",
        ),
        (pod(json!({"$setElementOrder/containers": 1})), "expected a []interface {}, but received a int64"),
        (pod(json!({"containers": ["x"]})), "list element types are not identical: [[map[name:a]] [x]]"),
        (pod(json!({"containers": [["x"]]})), "list element types are not identical: [[map[name:a]] [[x]]]"),
        (
            pod(json!({"volumes": [{"name": "v", "$retainKeys": ["name"], "emptyDir": {}}]})),
            "invalid patch format of retainKeys",
        ),
        (
            pod(json!({"containers": [{"name": "a", "$patch": "merge"}]})),
            "merging lists cannot yet be specified in the patch",
        ),
        (json!({"$setElementOrder": []}), "invalid patch format of setElementOrder list"),
        (json!([1]), "json: cannot unmarshal array into Go value of type map[string]interface {}"),
    ];
    for (change, expected) in cases {
        assert_eq!(patch(&original, change.clone()).expect_err("refused"), expected, "{change}");
    }
}
