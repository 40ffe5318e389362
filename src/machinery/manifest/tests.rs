//! Objects and places in files.

use expect_test::{Expect, expect};

use super::read;

const FILE: &str = "\
# a comment
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata:
    name: p
    labels: {app: web, example.com/tier: front}
  spec:
    containers:
    - name: c
      image: nginx
      image: other
      ports:
      - {containerPort: 80, protocol: TCP}
- metadata: {name: q}
---
{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"spec\": {\"ports\": [{\"nodePort\": 1}]}}
---
a: [
---
apiVersion: v1
kind: ConfigMap
data:
  a.txt: |
    text
";

#[test]
fn objects_errors_and_warnings() {
    let manifests = read(FILE);
    let mut found = String::new();
    for entry in &manifests.entries {
        found += &match entry {
            Ok(object) => format!("{} {:?} {}\n", object.document, object.item, object.value),
            Err(error) => format!("{} line {}: {}\n", error.document, error.position.line, error.message),
        };
    }
    for warning in &manifests.warnings {
        found += &format!("line {}: {}\n", warning.span.start.line, warning.message);
    }
    expect![[r#"
        0 Some(0) {"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"app":"web","example.com/tier":"front"},"name":"p"},"spec":{"containers":[{"image":"other","name":"c","ports":[{"containerPort":80,"protocol":"TCP"}]}]}}
        0 Some(1) {"metadata":{"name":"q"}}
        1 None {"apiVersion":"v1","kind":"Service","spec":{"ports":[{"nodePort":1}]}}
        2 line 22: error converting YAML to JSON: yaml: line 1: did not find expected node content
        3 None {"apiVersion":"v1","data":{"a.txt":"text\n"},"kind":"ConfigMap"}
        line 14: items[0].spec.containers[0].image was set before, on line 13; the last value counts
    "#]].assert_eq(&found);
    let (objects, error) = manifests.until_error();
    assert_eq!((objects.len(), error.map(|error| error.document)), (3, Some(2)));
}

/// The place of a path in the first object (or the one at `object`), as line, column and the text there.
fn check(object: usize, path: &str, expected: Expect) {
    let manifests = read(FILE);
    let object = manifests.objects().nth(object).expect("the object is there");
    let found = object.locate(path).map_or("nowhere".to_owned(), |span| {
        let text = &FILE[span.start.offset..span.end.offset];
        format!("{}:{} {text}", span.start.line, span.start.column)
    });
    expected.assert_eq(&found);
}

#[test]
fn places() {
    check(0, "spec.containers[0].image", expect!["14:14 other"]);
    check(0, "metadata.labels[app]", expect!["9:19 web"]);
    check(0, "metadata.labels[example.com/tier]", expect!["9:42 front"]);
    check(0, "metadata.labels.example.com/tier", expect!["9:42 front"]);
    check(0, "metadata.annotations[x]", expect!["7:3 metadata"]);
    check(0, "spec.containers[0].ports[0].hostPort", expect!["16:9 {containerPort: 80, protocol: TCP}"]);
    check(0, "spec.containers[1].name", expect!["11:5 containers"]);
    check(0, "spec.containers[0].ports[0]", expect!["16:9 {containerPort: 80, protocol: TCP}"]);
    check(0, ".spec.containers[name=\"c\"].ports[containerPort=80,protocol=\"TCP\"].protocol", expect!["16:39 TCP"]);
    check(0, "spec", expect!["10:3 spec"]);
    check(0, "status", expect!["5:3 apiVersion"]);
    check(0, "", expect!["5:3 apiVersion"]);
    check(0, "<nil>", expect!["nowhere"]);
    check(1, "metadata.name", expect!["17:20 q"]);
    check(2, "spec.ports[0].nodePort", expect!["19:73 1"]);
    check(3, "data[a.txt]", expect!["27:5 text"]);
}

#[test]
fn no_path_panics() {
    let manifests = read(FILE);
    for path in
        ["[", "]", "[]", "..", "a[", "spec.containers[", "spec.containers[0", "spec.containers[=]", "é[é]", "items[0]x"]
    {
        for object in manifests.objects() {
            assert!(object.locate(path).is_some());
        }
    }
}
