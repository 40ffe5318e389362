//! The recorded answers of a real cluster, and a few decisions by themselves.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::{cannot_be_handled, check_metadata, decode, fill, type_meta, validate};
use crate::machinery::{manifest, schema, yaml};

/// What kubectl and the server say of a file, or the object as it was decoded.
fn create(text: &str) -> Result<Value, String> {
    let manifests = manifest::read(text);
    let (objects, error) = manifests.until_error();
    if let Some(error) = error {
        return Err(format!("error: error parsing STDIN: {}", error.message));
    }
    let object = objects.first().ok_or("error: no objects passed to create")?;
    validate(&object.value).map_err(|error| {
        format!(
            "error: error validating \"STDIN\": error validating data: {error}; if you choose to ignore these errors, \
             turn validation off with --validate=false"
        )
    })?;
    check_metadata(&object.value).map_err(|error| format!("error: unable to decode \"STDIN\": {error}"))?;
    serve(&object.value)
        .map_err(|error| format!("Error from server (BadRequest): error when creating \"STDIN\": {error}"))
}

fn serve(value: &Value) -> Result<Value, String> {
    let (api_version, kind) = type_meta(value)?;
    let schema = schema::lookup(api_version, kind).expect("the cases are of built-in kinds");
    let refuse = |error: &str| cannot_be_handled(api_version, kind, error);
    let decoded = decode(schema, value).map_err(|error| refuse(&error))?;
    match decoded.strict_error() {
        Some(error) => Err(refuse(&error)),
        None => Ok(decoded.value),
    }
}

/// As much of JSON path as the cases ask for: `{.spec.replicas} {.spec.containers[0].tty}`.
fn ask(value: &Value, question: &str) -> String {
    let mut answer = String::new();
    for part in question.split('{').skip(1) {
        let (path, after) = part.split_once('}').expect("every brace is closed");
        let pointer = path.replace(['.', '['], "/").replace(']', "");
        match value.pointer(&pointer) {
            Some(Value::String(text)) => answer += text,
            Some(found) => answer += &found.to_string(),
            None => {}
        }
        answer += after;
    }
    answer.trim_end().to_owned()
}

#[test]
fn recorded_answers() {
    let (mut question, mut text, mut count) = ("", None::<String>, 0);
    let mut wrong = String::new();
    for line in include_str!("recorded.txt").lines() {
        if let Some(rest) = line.strip_prefix(">>>") {
            (question, text) = (rest.trim(), Some(String::new()));
        } else if let Some(expected) = line.strip_prefix("<<<") {
            let manifest = text.take().expect("an answer follows a question");
            let found = match create(&manifest) {
                Ok(_) if question.is_empty() => "created".to_owned(),
                Ok(value) => ask(&value, question),
                Err(error) => error,
            };
            let expected = expected.trim();
            let equal = match (expected.starts_with('{'), serde_json::from_str::<Value>(&found)) {
                (true, Ok(found)) => serde_json::from_str::<Value>(expected).ok() == Some(found),
                _ => found == expected,
            };
            if !equal {
                wrong += &format!("{manifest}expected: {expected}\n   found: {found}\n\n");
            }
            count += 1;
        } else if let Some(text) = &mut text {
            *text += line;
            text.push('\n');
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(count, 115);
}

fn check(text: &str, expected: Expect) {
    let document = yaml::read(text).remove(0).expect("the case can be read");
    let found = match serve(&document.value) {
        Ok(value) => value.to_string(),
        Err(error) => error,
    };
    expected.assert_eq(&found);
}

#[test]
fn values_come_back_as_go_writes_them() {
    check(
        "
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: '', annotations: {}, creationTimestamp: '2026-01-01T02:00:00.9+01:00'}
spec:
  hostNetwork: false
  enableServiceLinks: false
  priority: 0
  restartPolicy: ''
  tolerations: []
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - {name: c, command: [null, a], resources: {limits: {cpu: 0.5, memory: 1024Mi}}, env: [{name: A, value: ''}]}
",
        expect![[
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"creationTimestamp":"2026-01-01T01:00:00Z","name":"p"},"spec":{"containers":[{"command":["","a"],"env":[{"name":"A"}],"name":"c","resources":{"limits":{"cpu":"500m","memory":"1Gi"}}}],"enableServiceLinks":false,"priority":0,"volumes":[{"emptyDir":{},"name":"v"}]}}"#
        ]],
    );
}

#[test]
fn failures_of_custom_types_come_first() {
    check(
        "
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {clusterIP: 5, ports: [{port: 70000000000, targetPort: {}}]}
",
        expect![[
            r#"Service in version "v1" cannot be handled as a Service: json: cannot unmarshal object into Go struct field ServicePort.spec.ports.targetPort of type int32"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: Secret, data: {a: 'no!'}}",
        expect![[r#"Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 2"#]],
    );
    check(
        "{apiVersion: v1, kind: Secret, data: {a: aGk=, b: null}, type: 3}",
        expect![[
            r#"Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal number into Go struct field Secret.type of type v1.SecretType"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: ConfigMap, immutable: 'yes', data: [a]}",
        expect![[
            r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: Pod, spec: {restartPolicy: 1}}",
        expect![[
            r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: Pod, spec: {containers: {}}}",
        expect![[
            r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: Pod, spec: {priority: 1.5}}",
        expect![[
            r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"#
        ]],
    );
    check(
        "{apiVersion: v1, kind: Pod, spec: {priority: 1e30}}",
        expect![[
            r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number 1e+30 into Go struct field PodSpec.spec.priority of type int32"#
        ]],
    );
    check(
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, spec: {renewTime: '2026-01-01T00:00:00Z'}}",
        expect![[
            r#"Lease in version "v1" cannot be handled as a Lease: parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#
        ]],
    );
    check(
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, spec: {renewTime: '2026-01-01T01:00:00.123456+01:00'}}",
        expect![[
            r#"{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","spec":{"renewTime":"2026-01-01T00:00:00.123456Z"}}"#
        ]],
    );
}

#[test]
fn times_are_refused_in_go_s_words() {
    let mut found = String::new();
    for text in [
        "",
        "2026",
        "2026-1-01",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00Zx",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,25Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ] {
        let value = json!({"metadata": {"creationTimestamp": text}});
        found += &match check_metadata(&value) {
            Ok(()) => format!("{text} fits\n"),
            Err(error) => error + "\n",
        };
    }
    expect![[r#"
        parsing time "" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "2006"
        parsing time "2026" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "-"
        parsing time "2026-1-01" as "2006-01-02T15:04:05Z07:00": cannot parse "1-01" as "01"
        parsing time "2026-13-01T00:00:00Z": month out of range
        parsing time "2026-02-30T00:00:00Z": day out of range
        parsing time "2026-01-01T25:00:00Z": hour out of range
        parsing time "2026-01-01T00:00:00Zx": extra text: "x"
        parsing time "2026-01-01T00:00:00" as "2006-01-02T15:04:05Z07:00": cannot parse "" as "Z07:00"
        parsing time "2026-01-01 00:00:00Z" as "2006-01-02T15:04:05Z07:00": cannot parse " 00:00:00Z" as "T"
        parsing time "2026-01-01T00:00:00.Z" as "2006-01-02T15:04:05Z07:00": cannot parse ".Z" as "Z07:00"
        2026-01-01T00:00:00,25Z fits
        0000-01-01T00:00:00Z fits
        parsing time "9999-12-31T23:59:59-23:59": year out of range
    "#]]
    .assert_eq(&found);
}

#[test]
fn what_go_writes_unasked() {
    let kind = schema::lookup("v1", "Pod").expect("pods are built in");
    let mut value = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
    fill(kind, &mut value);
    expect![[r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","resources":{}}]},"status":{}}"#]]
        .assert_eq(&value.to_string());
    let kind = schema::lookup("rbac.authorization.k8s.io/v1", "Role").expect("roles are built in");
    let mut value = json!({"metadata": {"name": "r"}});
    fill(kind, &mut value);
    expect![[r#"{"metadata":{"name":"r"},"rules":null}"#]].assert_eq(&value.to_string());
}

/// Objects in the recorded answers, which Go wrote.
fn objects(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            if ["apiVersion", "kind", "metadata"].iter().all(|name| fields.contains_key(*name)) {
                found.push(value.clone());
            }
            fields.values().for_each(|value| objects(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| objects(value, found)),
        _ => {}
    }
}

/// What Go wrote must come back as it was: nothing is left out that Go writes, and nothing is added that it leaves
/// out.
#[test]
fn recorded_objects_come_back_unchanged() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/defaults");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("the cases are there") {
        let path = entry.expect("an entry").path();
        if !path.to_string_lossy().ends_with(".recorded.yaml") {
            continue;
        }
        // The recorder hid the times.
        let text = std::fs::read_to_string(&path).expect("a case").replace("<time>", "2026-01-01T00:00:00Z");
        let mut recorded = Vec::new();
        // It also left a bare `y` for the text, which YAML 1.1 takes for true.
        objects(&serde_yaml::from_str(&text).expect("YAML"), &mut recorded);
        for object in recorded {
            let (api_version, kind) = type_meta(&object).expect("texts");
            let Some(schema) = schema::lookup(api_version, kind).filter(|schema| schema.name != "Lease") else {
                continue;
            };
            let mut decoded = decode(schema, &object).expect("Go wrote it");
            assert_eq!(decoded.strict_errors, Vec::<String>::new(), "{object}");
            fill(schema, &mut decoded.value);
            assert_eq!(decoded.value, object);
            count += 1;
        }
    }
    assert_eq!(count, 127);
}

#[test]
fn type_meta_must_be_text() {
    let mut found = String::new();
    for value in [json!({}), json!({"kind": 1}), json!([]), json!({"apiVersion": "v1", "kind": null})] {
        found += &format!("{:?}\n", type_meta(&value));
    }
    expect![[r#"
        Ok(("", ""))
        Err("couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string")
        Err("couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }")
        Ok(("v1", ""))
    "#]].assert_eq(&found);
}

#[test]
fn keys_that_appear_twice() {
    let text = r#"{"a": {"b.c": 1, "b.c": 2}, "l": [{"x": 1, "x": 1, "x": 2}], "a": 1}"#;
    let document = yaml::read_json(text).expect("it is JSON");
    expect![[r#"duplicate field "a.b.c", duplicate field "l[0].x", duplicate field "a""#]]
        .assert_eq(&super::duplicate_errors(&document).join(", "));
}

#[test]
fn definitions_of_custom_resources() {
    check(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: w}
spec:
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          a: {items: {typ: string}, additionalProperties: false, default: {x: [1]}, maximum: 1.5, bogus: 1}
    subresources: {status: {x: 1}}
",
        expect![[
            r#"CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: strict decoding error: unknown field "spec.versions[0].schema.openAPIV3Schema.properties.a.bogus", unknown field "spec.versions[0].subresources.status.x""#
        ]],
    );
    check(
        "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: {versions: [{schema: {openAPIV3Schema: {additionalProperties: 3}}}]}
",
        expect![[
            r#"CustomResourceDefinition in version "v1" cannot be handled as a CustomResourceDefinition: boolean or JSON schema expected"#
        ]],
    );
}
