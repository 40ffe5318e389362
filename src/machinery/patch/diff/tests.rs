//! What `kubectl apply` sends, checked by replaying a recorded case against patches and defaults.

use serde_json::{Value, json};

use super::super::super::schema;
use super::super::strategic;
use super::*;

fn deployment() -> &'static Struct {
    schema::lookup("apps/v1", "Deployment").expect("a built-in kind")
}

fn object(value: &Value) -> &Object {
    value.as_object().expect("an object")
}

/// The defaults that the case shows.
fn set_defaults(deployment: &mut Value) {
    let default = |fields: &mut Value, key: &str, value: Value| {
        if fields[key].is_null() {
            fields[key] = value;
        }
    };
    default(&mut deployment["spec"], "replicas", json!(1));
    let pod = &mut deployment["spec"]["template"]["spec"];
    for container in pod["containers"].as_array_mut().into_iter().flatten() {
        default(container, "imagePullPolicy", json!("Always"));
        default(container, "resources", json!({}));
        default(container, "terminationMessagePath", json!("/dev/termination-log"));
        default(container, "terminationMessagePolicy", json!("File"));
        for port in container["ports"].as_array_mut().into_iter().flatten() {
            default(port, "protocol", json!("TCP"));
        }
        object_without_nulls(container);
    }
    for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
        if volume["hostPath"].is_object() {
            default(&mut volume["hostPath"], "type", json!(""));
        }
        object_without_nulls(volume);
    }
}

/// Asking for a missing field through an index put a null there.
fn object_without_nulls(value: &mut Value) {
    value.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
}

fn apply(live: &Value, patch: Value) -> Value {
    let mut live = strategic::apply(live.clone(), patch, deployment()).expect("applies");
    set_defaults(&mut live);
    live
}

/// The change that a step without a manifest makes, as the command computes it.
fn other_command(command: &str, live: &Value) -> Value {
    let mut modified = live.clone();
    if command.contains("set env") {
        let env = &mut modified["spec"]["template"]["spec"]["containers"][0]["env"];
        env.as_array_mut().expect("variables").push(json!({"name": "OTHER", "value": "1"}));
    } else if command.contains("scale") {
        modified["spec"]["replicas"] = json!(2);
    } else {
        let patch = command.split('\'').nth(1).expect("a patch in quotes");
        return serde_json::from_str(patch).expect("JSON");
    }
    create_two_way(object(live), object(&modified), deployment()).expect("a patch")
}

#[test]
fn recorded_applies() {
    let case: Value =
        serde_yaml::from_str(include_str!("../../../../tests/cases/patch/patch-apply-lists.yaml")).expect("a case");
    let recorded: Vec<Value> =
        serde_yaml::from_str(include_str!("../../../../tests/cases/patch/patch-apply-lists.recorded.yaml"))
            .expect("its answers");
    let mut live = Value::Null;
    let mut last_applied = Value::Null;
    let mut compared = 0;
    for (step, recorded) in case["steps"].as_array().expect("steps").iter().zip(recorded) {
        let command = step["run"].as_str().expect("a command");
        if recorded["exit"] != 0 {
            // What follows is about immutable fields, not about patches.
            break;
        }
        let Some(manifest) = step["stdin"].as_str() else {
            live = apply(&live, other_command(command, &live));
            continue;
        };
        let manifest: Value = serde_yaml::from_str(manifest).expect("YAML");
        if live.is_null() {
            live = manifest.clone();
            set_defaults(&mut live);
        } else {
            let patch = create_three_way(object(&last_applied), object(&manifest), object(&live), deployment());
            live = apply(&live, patch.expect("a patch"));
        }
        last_applied = manifest;
        let spec = &live["spec"];
        let pod = &spec["template"]["spec"];
        let shown = json!([spec["replicas"], pod["containers"], pod["volumes"], live["metadata"]["labels"]]);
        let said = recorded["stdout"].as_str().expect("an answer");
        let expected: Value = serde_json::from_str(said.lines().nth(1).expect("two lines")).expect("JSON");
        assert_eq!(shown.to_string(), sorted_like(&shown, expected).to_string(), "{command}");
        compared += 1;
    }
    assert_eq!(compared, 12);
}

/// The same value, with the keys of its objects in the order in which `model` has them.
fn sorted_like(model: &Value, value: Value) -> Value {
    match (model, value) {
        (Value::Object(model), Value::Object(mut fields)) => {
            let mut sorted = Object::new();
            for (key, model) in model {
                if let Some(value) = fields.shift_remove(key) {
                    sorted.insert(key.clone(), sorted_like(model, value));
                }
            }
            sorted.extend(fields);
            Value::Object(sorted)
        }
        (Value::Array(model), Value::Array(items)) if model.len() == items.len() => {
            items.into_iter().zip(model).map(|(item, model)| sorted_like(model, item)).collect()
        }
        (_, value) => value,
    }
}

#[test]
fn patches_say_what_they_should() {
    let pod = |spec: Value| json!({"spec": {"template": {"spec": spec}}});
    let cases = [
        // Nothing changes.
        (json!({"spec": {"replicas": 1}}), json!({"spec": {"replicas": 1}}), json!({})),
        (
            pod(json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]})),
            pod(json!({"containers": [{"name": "a", "image": "2"}, {"name": "c"}]})),
            pod(json!({
                "$setElementOrder/containers": [{"name": "a"}, {"name": "c"}],
                "containers": [{"name": "a", "image": "2"}, {"name": "c"}, {"name": "b", "$patch": "delete"}],
            })),
        ),
        // Only the order changes.
        (
            pod(json!({"containers": [{"name": "a"}, {"name": "b"}]})),
            pod(json!({"containers": [{"name": "b"}, {"name": "a"}]})),
            pod(json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]})),
        ),
        (
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"finalizers": ["c", "a"]}}),
            json!({"metadata": {
                "finalizers": ["c"],
                "$deleteFromPrimitiveList/finalizers": ["b"],
                "$setElementOrder/finalizers": ["c", "a"],
            }}),
        ),
        (
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            json!({"spec": {"strategy": {"type": "Recreate"}}}),
            json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null, "$retainKeys": ["type"]}}}),
        ),
        // Lists without a key are replaced.
        (
            pod(json!({"tolerations": [{"key": "a"}]})),
            pod(json!({"tolerations": [{"key": "b"}]})),
            pod(json!({"tolerations": [{"key": "b"}]})),
        ),
        (
            pod(json!({"nodeSelector": {"a": "1", "b": "2"}})),
            pod(json!({"nodeSelector": {"a": "1", "c": "3"}})),
            pod(json!({"nodeSelector": {"b": null, "c": "3"}})),
        ),
    ];
    for (original, modified, expected) in cases {
        let patch = create_two_way(object(&original), object(&modified), deployment());
        assert_eq!(patch.as_ref(), Ok(&expected), "{original} -> {modified}");
        let patched = strategic::apply(original.clone(), expected, deployment());
        assert_eq!(patched, Ok(modified), "{original}");
    }
    let nameless = pod(json!({"containers": [{"image": "x"}]}));
    let named = pod(json!({"containers": [{"name": "x"}]}));
    assert_eq!(
        create_two_way(object(&named), object(&nameless), deployment()).expect_err("no key").message(),
        "map: map[image:x] does not contain declared merge key: name"
    );
}
