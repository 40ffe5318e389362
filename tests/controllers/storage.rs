//! Claims and volumes, from the class to the files: what the recorded cases of `storage/` do not show.

use kubetab::api::{Kind, ObjectKey};
use kubetab::apiserver::{DeleteOptions, Patch, Target, Verb, WriteOptions};
use serde_json::{Value, json};

use super::scene::Scene;

fn class(scene: &mut Scene, name: &str, more: Value) {
    let mut class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "kubernetes.io/host-path",
    });
    class.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    scene.create_value(class);
    // Caches are filled kind by kind: a claim may be known before its class is.
    scene.run(1);
}

fn claim(scene: &mut Scene, name: &str, class: Option<&str>, mode: &str, size: &str) {
    let mut spec = json!({"accessModes": [mode], "resources": {"requests": {"storage": size}}});
    if let Some(class) = class {
        spec["storageClassName"] = class.into();
    }
    let metadata = json!({"name": name});
    scene
        .create_value(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}));
}

fn pod(scene: &mut Scene, name: &str, claim: &str, script: &str, more: Value) {
    let mut spec = json!({
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "c",
            "image": "busybox:1.36",
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "v", "mountPath": "/data"}],
        }],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}],
    });
    spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    scene.create_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}));
}

fn text(scene: &Scene, object: &str, pointer: &str) -> String {
    scene.get(object).pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned()
}

/// The answer to a patch of a claim's request.
fn resize(scene: &mut Scene, name: &str, size: &str) -> String {
    let patch = Patch::Merge(json!({"spec": {"resources": {"requests": {"storage": size}}}}));
    let target = Target::object(Kind::PersistentVolumeClaim, &ObjectKey::new("default", name));
    let answer = scene.send(target, Verb::Patch { patch, options: WriteOptions::default() });
    answer.map_or_else(|status| status.message().to_owned(), |_| "patched".to_owned())
}

#[test]
fn data_outlives_its_pod_and_keeps_the_next_one_on_its_node() {
    let mut scene = Scene::in_cloud(3);
    claim(&mut scene, "data", None, "ReadWriteOnce", "1Gi");
    scene.run(2);
    assert_eq!(text(&scene, "PersistentVolumeClaim data", "/spec/storageClassName"), "standard");
    assert_eq!(text(&scene, "PersistentVolumeClaim data", "/status/phase"), "Pending");
    pod(&mut scene, "writer", "data", "echo kept > /data/file; sleep 3600", json!({}));
    scene.run(60);
    assert_eq!(text(&scene, "PersistentVolumeClaim data", "/status/phase"), "Bound");
    assert_eq!(text(&scene, "Pod writer", "/status/phase"), "Running");
    let node = text(&scene, "Pod writer", "/spec/nodeName");
    let volume = format!("PersistentVolume {}", text(&scene, "PersistentVolumeClaim data", "/spec/volumeName"));
    let value = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
    assert_eq!(text(&scene, &volume, value), node);
    scene.delete("Pod writer");
    scene.run(10);
    pod(&mut scene, "reader", "data", "test \"$(cat /data/file)\" = kept", json!({"restartPolicy": "Never"}));
    scene.run(60);
    assert_eq!(text(&scene, "Pod reader", "/spec/nodeName"), node);
    assert_eq!(text(&scene, "Pod reader", "/status/phase"), "Succeeded");
    scene.delete("PersistentVolumeClaim data");
    scene.run(5);
    assert!(scene.exists("PersistentVolumeClaim data"), "the pod that has ended still names it");
    scene.delete("Pod reader");
    scene.run(20);
    assert!(!scene.exists("PersistentVolumeClaim data"));
    assert!(!scene.exists(&volume), "the policy of the class is to delete it");
}

#[test]
fn a_claim_for_one_pod_keeps_others_waiting() {
    let mut scene = Scene::with_nodes(2);
    class(&mut scene, "now", json!({}));
    claim(&mut scene, "single", Some("now"), "ReadWriteOncePod", "1Gi");
    pod(&mut scene, "first", "single", "sleep 3600", json!({}));
    scene.run(30);
    pod(&mut scene, "second", "single", "sleep 3600", json!({}));
    scene.run(10);
    assert_eq!(text(&scene, "Pod first", "/status/phase"), "Running");
    let message = text(&scene, "Pod second", "/status/conditions/0/message");
    let reason = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    assert!(message.starts_with(&format!("0/2 nodes are available: 2 {reason}.")), "{message}");
    scene.delete("Pod first");
    scene.run(30);
    assert_eq!(text(&scene, "Pod second", "/status/phase"), "Running");
}

#[test]
fn a_claim_grows_only_where_its_class_lets_it() {
    let mut scene = Scene::with_nodes(0);
    class(&mut scene, "fixed", json!({}));
    class(&mut scene, "growing", json!({"allowVolumeExpansion": true}));
    claim(&mut scene, "a", Some("fixed"), "ReadWriteOnce", "1Gi");
    claim(&mut scene, "b", Some("growing"), "ReadWriteOnce", "1Gi");
    scene.run(20);
    scene.mark();
    let forbidden = "persistentvolumeclaims \"a\" is forbidden: only dynamically provisioned pvc can be resized and the \
                     storageclass that provisions the pvc must support resize";
    assert_eq!(resize(&mut scene, "a", "2Gi"), forbidden);
    assert_eq!(resize(&mut scene, "b", "2Gi"), "patched");
    scene.run(5);
    assert_eq!(
        scene.events("volume_expand"),
        "0 Warning ExternalExpanding PersistentVolumeClaim b: waiting for an external controller to expand this PVC\n"
    );
    assert_eq!(resize(&mut scene, "b", "1500Mi"), "patched");
    let refused = "PersistentVolumeClaim \"b\" is invalid: spec.resources.requests.storage: Forbidden: field can not be \
                   less than status.capacity";
    assert_eq!(resize(&mut scene, "b", "1Gi"), refused);
}

#[test]
fn a_pod_that_no_scheduler_placed_fails_to_mount_what_is_not_bound() {
    let mut scene = Scene::with_nodes(1);
    claim(&mut scene, "none", Some("missing"), "ReadWriteOnce", "1Gi");
    pod(&mut scene, "p", "none", "sleep 3600", json!({"nodeName": "node-1"}));
    scene.run(20);
    let message = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process \
                   volumes=[v]: error processing PVC default/none: PVC is not bound";
    assert!(scene.events("kubelet").contains(message), "{}", scene.events("kubelet"));
}

#[test]
fn a_recycled_volume_is_empty_and_free_again() {
    let mut scene = Scene::with_nodes(1);
    scene.create_value(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "again"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Recycle",
            "storageClassName": "manual",
            "hostPath": {"path": "/srv/again"},
        },
    }));
    scene.run(1);
    claim(&mut scene, "data", Some("manual"), "ReadWriteOnce", "1Gi");
    pod(&mut scene, "writer", "data", "echo old > /data/file", json!({"restartPolicy": "Never"}));
    scene.run(30);
    assert_eq!(text(&scene, "Pod writer", "/status/phase"), "Succeeded");
    scene.delete("Pod writer");
    scene.delete("PersistentVolumeClaim data");
    scene.run(90);
    assert_eq!(text(&scene, "PersistentVolume again", "/status/phase"), "Available");
    claim(&mut scene, "next", Some("manual"), "ReadWriteOnce", "1Gi");
    pod(&mut scene, "reader", "next", "test ! -e /data/file", json!({"restartPolicy": "Never"}));
    scene.run(60);
    assert_eq!(text(&scene, "Pod reader", "/status/phase"), "Succeeded");
}

#[test]
fn a_driver_s_volume_is_attached_while_a_pod_uses_it() {
    let mut scene = Scene::with_nodes(1);
    scene.create_value(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "disk"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "manual",
            "csi": {"driver": "disk.example.com", "volumeHandle": "vol-1"},
        },
    }));
    scene.run(1);
    claim(&mut scene, "data", Some("manual"), "ReadWriteOnce", "1Gi");
    pod(&mut scene, "p", "data", "sleep 3600", json!({}));
    scene.run(20);
    let name = format!("VolumeAttachment csi-{}", kubetab::machinery::sha256::hex(b"vol-1disk.example.comnode-1"));
    assert_eq!(text(&scene, &name, "/spec/attacher"), "disk.example.com");
    scene.run(150);
    let expected = "AttachVolume.Attach failed for volume \"disk\" : timed out waiting for external-attacher of \
                    disk.example.com CSI driver to attach volume vol-1";
    let events = scene.events("attachdetach-controller");
    assert!(events.contains(expected), "{events}");
    scene.delete_with("Pod p", DeleteOptions::default().grace(0));
    // The node says every ten seconds what it has in use.
    scene.run(15);
    assert!(!scene.exists(&name));
}
