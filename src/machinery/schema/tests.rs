//! What the table says of some fields, and that all of it can be read.

use expect_test::{Expect, expect};

use super::{Topology, kinds, lookup};

fn check(api_version: &str, kind: &str, path: &str, expected: Expect) {
    let path: Vec<&str> = path.split('.').collect();
    let field = lookup(api_version, kind).expect("the kind is built in").walk(&path);
    let text = field.map_or("unknown".to_owned(), |f| {
        let mut text = f.ty.go_name();
        if f.patch.merge || f.patch.retain_keys {
            text += &format!(" {:?}", f.patch);
        }
        text + &format!(" {:?}", f.effective_topology())
    });
    expected.assert_eq(&text);
}

#[test]
fn fields_of_several_kinds() {
    check("v1", "Pod", "spec.nodeSelector", expect!["map[string]string Atomic"]);
    check("v1", "Pod", "spec.restartPolicy", expect!["v1.RestartPolicy Atomic"]);
    check("v1", "Pod", "metadata.labels.app", expect!["map[string]string Granular"]);
    check("v1", "Pod", "spec.containers.resources.requests", expect!["v1.ResourceList Granular"]);
    check(
        "apps/v1",
        "Deployment",
        "spec.template.spec.volumes",
        expect![[
            r#"[]v1.Volume Patch { merge: true, merge_key: Some("name"), retain_keys: true } Map([MapKey { name: "name", default: None }])"#
        ]],
    );
    check(
        "v1",
        "Service",
        "spec.ports",
        expect![[
            r#"[]v1.ServicePort Patch { merge: true, merge_key: Some("port"), retain_keys: false } Map([MapKey { name: "port", default: None }, MapKey { name: "protocol", default: Some("TCP") }])"#
        ]],
    );
    check("apps/v1", "Deployment", "spec.selector", expect!["*v1.LabelSelector Atomic"]);
    check("autoscaling/v2", "HorizontalPodAutoscaler", "spec.metrics", expect!["[]v2.MetricSpec Atomic"]);
    check("v1", "PersistentVolume", "spec.claimRef", expect!["*v1.ObjectReference Granular"]);
    check("v1", "Pod", "spec.bogus", expect!["unknown"]);
    check("v1", "Pod", "apiVersion", expect!["string Atomic"]);
    check("v1", "Secret", "data", expect!["map[string][]uint8 Granular"]);
}

#[test]
fn kinds_are_looked_up_by_group_and_version() {
    assert!(lookup("v1", "Deployment").is_none());
    assert!(lookup("apps/v1", "deployment").is_none());
    assert!(lookup("v1", "PodSpec").is_none());
    assert_eq!(lookup("events.k8s.io/v1", "Event").map(|s| s.package), Some("events"));
    assert_eq!(lookup("v1", "Event").map(|s| s.package), Some("core"));
    assert_eq!(kinds().count(), 73);
}

/// A merge key or map key that the items do not have would make every patch of the list fail.
#[test]
fn keys_are_fields_of_the_items() {
    for owner in super::TABLE.iter() {
        for pair in owner.fields().windows(2) {
            assert!(pair[0].name < pair[1].name, "{} twice in {}", pair[0].name, owner.name);
        }
        for field in owner.fields() {
            let mut keys: Vec<&str> = field.patch.merge_key.into_iter().collect();
            if let Topology::Map(map_keys) = &field.topology {
                keys.extend(map_keys.iter().map(|key| key.name));
            }
            for key in keys {
                let item = field.ty.element().expect("keyed lists hold structs");
                assert!(item.field(key).is_some(), "{}.{} has no {key}", owner.name, field.name);
            }
        }
    }
}
