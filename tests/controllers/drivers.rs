//! Volumes of storage drivers, from the driver's object to the files, and what becomes of them when a machine fails.

use kubetab::apiserver::DeleteOptions;
use serde_json::{Value, json};

use super::scene::Scene;

/// Six machines in three zones, with Amazon's disks.
fn scene() -> Scene {
    let mut scene = Scene::in_cloud(6);
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: ebs.csi.aws.com}
spec: {attachRequired: true, podInfoOnMount: false}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: ebs}
provisioner: ebs.csi.aws.com
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
",
    );
    scene.run(10);
    scene.mark();
    scene
}

fn claim(scene: &mut Scene, name: &str, class: &str, mode: &str, size: &str) {
    let resources = json!({"requests": {"storage": size}});
    let spec = json!({"accessModes": [mode], "storageClassName": class, "resources": resources});
    let metadata = json!({"name": name});
    scene
        .create_value(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}));
}

fn pod(scene: &mut Scene, name: &str, node: &str, script: &str, volume: Value) {
    let mut volume = volume;
    volume["name"] = "v".into();
    let container = json!({
        "name": "c",
        "image": "busybox:1.36",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "v", "mountPath": "/data"}],
    });
    let selector = json!({"kubernetes.io/hostname": node});
    scene.create_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": selector,
            "containers": [container],
            "volumes": [volume],
        },
    }));
}

fn of_claim(name: &str) -> Value {
    json!({"persistentVolumeClaim": {"claimName": name}})
}

fn text(scene: &Scene, object: &str, pointer: &str) -> String {
    scene.get(object).pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned()
}

fn phase(scene: &Scene, object: &str) -> String {
    text(scene, object, "/status/phase")
}

/// The volume of a claim, as an object of the scene.
fn volume_of(scene: &Scene, claim: &str) -> String {
    let claim = format!("PersistentVolumeClaim {claim}");
    format!("PersistentVolume {}", text(scene, &claim, "/spec/volumeName"))
}

fn attachments(scene: &Scene) -> Vec<(String, bool)> {
    let all = scene.cluster.api().etcd().range(kubetab::api::Kind::VolumeAttachment, None);
    let told = all.map(|(_, object)| {
        let value = object.to_value();
        let attached = value["status"]["attached"].as_bool().unwrap_or(false);
        (value["spec"]["nodeName"].as_str().unwrap_or("").to_owned(), attached)
    });
    told.collect()
}

#[test]
fn a_driver_registers_with_the_nodes_of_a_cloud() {
    let mut scene = scene();
    let node = scene.get("CSINode node-1");
    assert_eq!(node["metadata"]["ownerReferences"][0]["kind"], "Node");
    let migrated = "/metadata/annotations/storage.alpha.kubernetes.io~1migrated-plugins";
    assert!(node.pointer(migrated).and_then(Value::as_str).is_some_and(|all| all.contains("kubernetes.io/aws-ebs")));
    let driver = json!({
        "name": "ebs.csi.aws.com",
        "nodeID": "node-1",
        "topologyKeys": ["topology.ebs.csi.aws.com/zone"],
        "allocatable": {"count": 25},
    });
    assert_eq!(node["spec"]["drivers"], json!([driver]));
    assert_eq!(text(&scene, "Node node-1", "/metadata/labels/topology.ebs.csi.aws.com~1zone"), "tab-1a");
    scene.delete("CSIDriver ebs.csi.aws.com");
    scene.run(10);
    assert_eq!(scene.get("CSINode node-1")["spec"]["drivers"].as_array().map_or(0, Vec::len), 0);
}

#[test]
fn a_node_outside_of_a_cloud_has_no_drivers() {
    let scene = Scene::with_nodes(1);
    assert_eq!(scene.get("CSINode node-1")["spec"]["drivers"].as_array().map_or(0, Vec::len), 0);
    assert!(scene.exists("CSINode node-1"));
}

#[test]
fn a_disk_is_made_attached_and_follows_its_pods() {
    let mut scene = scene();
    claim(&mut scene, "data", "ebs", "ReadWriteOnce", "1500Mi");
    pod(&mut scene, "writer", "node-1", "echo kept > /data/file; sleep 3600", of_claim("data"));
    scene.run(40);
    assert_eq!(phase(&scene, "Pod writer"), "Running");
    let volume = volume_of(&scene, "data");
    assert_eq!(text(&scene, &volume, "/spec/capacity/storage"), "2Gi");
    let zone = "/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values/0";
    assert_eq!(text(&scene, &volume, zone), "tab-1a");
    assert_eq!(attachments(&scene), [("node-1".to_owned(), true)]);
    let unique = format!("kubernetes.io/csi/ebs.csi.aws.com^{}", text(&scene, &volume, "/spec/csi/volumeHandle"));
    assert_eq!(scene.get("Node node-1")["status"]["volumesAttached"][0]["name"], unique.as_str());
    assert_eq!(scene.get("Node node-1")["status"]["volumesInUse"], json!([unique]));
    let events = scene.events("attachdetach-controller");
    assert!(events.contains("SuccessfulAttachVolume Pod writer: AttachVolume.Attach succeeded for volume"), "{events}");
    scene.delete("Pod writer");
    // The other machine of the zone.
    pod(&mut scene, "reader", "node-4", "test \"$(cat /data/file)\" = kept", of_claim("data"));
    scene.run(60);
    assert_eq!(phase(&scene, "Pod reader"), "Succeeded");
    scene.delete("Pod reader");
    scene.delete("PersistentVolumeClaim data");
    scene.run(60);
    assert_eq!(attachments(&scene), []);
    assert!(!scene.exists(&volume), "the policy of the class is to delete it");
}

#[test]
fn a_disk_of_another_pod_cannot_be_attached() {
    let mut scene = scene();
    claim(&mut scene, "data", "ebs", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "first", "node-1", "sleep 3600", of_claim("data"));
    scene.run(40);
    pod(&mut scene, "second", "node-4", "sleep 3600", of_claim("data"));
    scene.run(30);
    assert_eq!(phase(&scene, "Pod second"), "Pending");
    let events = scene.events("attachdetach-controller");
    let volume = text(&scene, "PersistentVolumeClaim data", "/spec/volumeName");
    let told = format!(
        "Warning FailedAttachVolume Pod second: Multi-Attach error for volume \"{volume}\" Volume is already used by \
         pod(s) first\n"
    );
    assert_eq!(events.matches(&told).count(), 1, "{events}");
}

#[test]
fn what_a_disk_cannot_do_is_told() {
    let mut scene = scene();
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: now}
provisioner: ebs.csi.aws.com
",
    );
    scene.run(1);
    claim(&mut scene, "shared", "now", "ReadWriteMany", "1Gi");
    scene.run(20);
    assert_eq!(phase(&scene, "PersistentVolumeClaim shared"), "Pending");
    let events = scene.events("csi-provisioner");
    let told = "failed to provision volume with StorageClass \"now\": rpc error: code = InvalidArgument desc = Volume \
                capabilities MULTI_NODE_MULTI_WRITER not supported.";
    assert!(events.contains(told), "{events}");
}

/// How much room drivers tell of.
fn room(scene: &Scene) -> Vec<String> {
    let all = scene.cluster.api().etcd().range(kubetab::api::Kind::CSIStorageCapacity, None);
    let mut told: Vec<String> =
        all.map(|(_, object)| object.to_value()["capacity"].as_str().unwrap_or("").to_owned()).collect();
    told.sort();
    told
}

#[test]
fn a_claim_goes_where_there_is_room() {
    let mut scene = Scene::in_cloud(2);
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: hostpath.csi.k8s.io, annotations: {kubetab/capacity: 10Gi}}
spec: {attachRequired: false, storageCapacity: true}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: hostpath.csi.k8s.io
volumeBindingMode: WaitForFirstConsumer
",
    );
    scene.run(10);
    for (name, size) in [("a", "7Gi"), ("b", "7Gi"), ("c", "7Gi"), ("d", "3Gi")] {
        claim(&mut scene, name, "fast", "ReadWriteOnce", size);
        scene.create_value(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "containers": [{"name": "c", "image": "busybox:1.36", "command": ["sleep", "3600"]}],
                "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}],
            },
        }));
        scene.run(20);
    }
    assert_eq!(room(&scene), ["0", "3Gi"]);
    let nodes = ["a", "b"].map(|name| text(&scene, &format!("Pod {name}"), "/spec/nodeName"));
    assert_ne!(nodes[0], nodes[1]);
    let message = text(&scene, "Pod c", "/status/conditions/0/message");
    assert!(message.contains("2 node(s) did not have enough free storage"), "{message}");
    assert_eq!(phase(&scene, "Pod d"), "Running");
}

#[test]
fn a_driver_that_wants_it_tells_of_its_room() {
    let mut scene = Scene::in_cloud(2);
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: hostpath.csi.k8s.io}
spec: {attachRequired: false, podInfoOnMount: true, storageCapacity: true, volumeLifecycleModes: [Persistent, Ephemeral]}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: csi-hostpath-sc}
provisioner: hostpath.csi.k8s.io
volumeBindingMode: WaitForFirstConsumer
",
    );
    scene.run(10);
    assert_eq!(scene.cluster.api().etcd().count(kubetab::api::Kind::CSIStorageCapacity), 2);
    claim(&mut scene, "large", "csi-hostpath-sc", "ReadWriteOnce", "200Gi");
    claim(&mut scene, "small", "csi-hostpath-sc", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "large", "node-1", "sleep 3600", of_claim("large"));
    pod(&mut scene, "small", "node-1", "sleep 3600", of_claim("small"));
    pod(&mut scene, "inline", "node-1", "sleep 3600", json!({"csi": {"driver": "hostpath.csi.k8s.io"}}));
    scene.run(30);
    let message = text(&scene, "Pod large", "/status/conditions/0/message");
    assert!(message.contains("node(s) did not have enough free storage"), "{message}");
    assert_eq!(phase(&scene, "Pod small"), "Running");
    assert_eq!(phase(&scene, "Pod inline"), "Running");
    assert_eq!(room(&scene), ["100Gi", "99Gi"], "what was given away is gone");
    scene.delete("Pod small");
    scene.delete("PersistentVolumeClaim small");
    scene.run(60);
    assert_eq!(room(&scene), ["100Gi", "100Gi"], "it is there again");
    scene.delete("StorageClass csi-hostpath-sc");
    scene.run(5);
    assert_eq!(scene.cluster.api().etcd().count(kubetab::api::Kind::CSIStorageCapacity), 0);
}

#[test]
fn a_disk_grows_while_it_is_used() {
    let mut scene = scene();
    claim(&mut scene, "data", "ebs", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "p", "node-1", "sleep 3600", of_claim("data"));
    scene.run(40);
    scene.patch("PersistentVolumeClaim data", "spec: {resources: {requests: {storage: 3Gi}}}");
    scene.run(2);
    assert_eq!(text(&scene, "PersistentVolumeClaim data", "/status/conditions/0/type"), "Resizing");
    scene.run(120);
    assert_eq!(text(&scene, "PersistentVolumeClaim data", "/status/capacity/storage"), "3Gi");
    assert_eq!(scene.get("PersistentVolumeClaim data")["status"]["conditions"], Value::Null);
    assert!(
        scene.events("kubelet").contains("FileSystemResizeSuccessful Pod p: MountVolume.NodeExpandVolume succeeded")
    );
}

#[test]
fn a_volume_gets_the_attributes_of_another_class() {
    let mut scene = scene();
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: VolumeAttributesClass
metadata: {name: gold}
driverName: ebs.csi.aws.com
parameters: {iops: '4000'}
",
    );
    claim(&mut scene, "data", "ebs", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "p", "node-1", "sleep 3600", of_claim("data"));
    scene.run(40);
    let claim = "PersistentVolumeClaim data";
    scene.patch(claim, "spec: {volumeAttributesClassName: silver}");
    scene.run(2);
    assert_eq!(text(&scene, claim, "/status/modifyVolumeStatus/status"), "Pending");
    scene.patch(claim, "spec: {volumeAttributesClassName: gold}");
    scene.run(1);
    assert_eq!(text(&scene, claim, "/status/modifyVolumeStatus/status"), "InProgress");
    assert_eq!(text(&scene, claim, "/status/conditions/0/type"), "ModifyingVolume");
    scene.run(20);
    let status = scene.get(claim)["status"].clone();
    assert_eq!(status["currentVolumeAttributesClassName"], "gold");
    assert_eq!((status.get("modifyVolumeStatus"), status.get("conditions")), (None, None));
    let volume = volume_of(&scene, "data");
    assert_eq!(text(&scene, &volume, "/spec/volumeAttributesClassName"), "gold");
    let events = scene.events("csi-resizer");
    for told in [
        "Warning VolumeModifyFailed PersistentVolumeClaim data: VAC silver does not exist.",
        "Normal VolumeModify PersistentVolumeClaim data: external resizer is modifying volume data with vac gold",
        "Normal VolumeModifySuccessful PersistentVolumeClaim data: external resizer modified volume data with vac gold \
         successfully",
    ] {
        assert!(events.contains(told), "{events}");
    }
}

/// A pod with a disk on a machine that loses its power, and is then deleted by force.
fn dead_node() -> Scene {
    let mut scene = scene();
    claim(&mut scene, "data", "ebs", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "first", "node-1", "echo kept > /data/file; sleep 3600", of_claim("data"));
    scene.run(40);
    scene.cluster.partition_node("node-1").expect("there is such a machine");
    scene.run(60);
    scene
}

#[test]
fn a_silent_node_loses_its_disks_after_six_minutes() {
    let mut scene = dead_node();
    scene.delete_with("Pod first", DeleteOptions::default().grace(0));
    pod(&mut scene, "second", "node-4", "test \"$(cat /data/file)\" = kept", of_claim("data"));
    scene.run(300);
    assert_eq!(attachments(&scene), [("node-1".to_owned(), true)]);
    assert_eq!(phase(&scene, "Pod second"), "Pending");
    scene.run(120);
    assert_eq!(phase(&scene, "Pod second"), "Succeeded");
}

#[test]
fn a_node_out_of_service_loses_pods_and_disks_at_once() {
    let mut scene = dead_node();
    scene.delete("Pod first");
    pod(&mut scene, "second", "node-4", "test \"$(cat /data/file)\" = kept", of_claim("data"));
    scene.run(30);
    assert!(scene.exists("Pod first"), "nobody says that it has ended");
    let taint = json!({"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"});
    let mut taints = scene.get("Node node-1")["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.push(taint);
    scene.patch("Node node-1", &json!({"spec": {"taints": taints}}).to_string());
    scene.run(60);
    assert!(!scene.exists("Pod first"));
    assert_eq!(phase(&scene, "Pod second"), "Succeeded");
}

#[test]
fn machines_share_a_network_file_system() {
    let mut scene = Scene::in_cloud(2);
    let export = || json!({"nfs": {"server": "10.0.0.99", "path": "/exports/data"}});
    pod(&mut scene, "reader", "node-2", "until grep -q here /data/file; do sleep 1; done", export());
    scene.run(20);
    assert_eq!(phase(&scene, "Pod reader"), "Running");
    pod(&mut scene, "writer", "node-1", "echo here > /data/file", export());
    scene.run(20);
    assert_eq!(phase(&scene, "Pod reader"), "Succeeded");
}

#[test]
fn a_volume_of_an_unknown_driver_is_not_mounted() {
    let mut scene = scene();
    let inline = |driver: &str| json!({"csi": {"driver": driver}});
    pod(&mut scene, "unknown", "node-1", "sleep 3600", inline("none.example.com"));
    pod(&mut scene, "wrong", "node-1", "sleep 3600", inline("ebs.csi.aws.com"));
    scene.run(20);
    let events = scene.events("kubelet");
    for told in [
        "FailedMount Pod unknown: MountVolume.NewMounter initialization failed for volume \"v\" : volume mode \
         \"Ephemeral\" not supported by driver none.example.com (no CSIDriver object)",
        "FailedMount Pod wrong: MountVolume.NewMounter initialization failed for volume \"v\" : volume mode \
         \"Ephemeral\" not supported by driver ebs.csi.aws.com (only supports [\"Persistent\"])",
    ] {
        assert!(events.contains(told), "{events}");
    }
}

#[test]
fn disks_of_the_old_type_are_the_driver_s() {
    let mut scene = scene();
    scene.create(
        "
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: gp2}
provisioner: kubernetes.io/aws-ebs
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: old}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: manual
  awsElasticBlockStore: {volumeID: aws://tab-1a/vol-1, fsType: ext4}
",
    );
    scene.run(1);
    claim(&mut scene, "new", "gp2", "ReadWriteOnce", "1Gi");
    claim(&mut scene, "old", "manual", "ReadWriteOnce", "1Gi");
    pod(&mut scene, "a", "node-1", "sleep 3600", of_claim("new"));
    pod(&mut scene, "b", "node-1", "sleep 3600", of_claim("old"));
    scene.run(40);
    assert_eq!((phase(&scene, "Pod a").as_str(), phase(&scene, "Pod b").as_str()), ("Running", "Running"));
    assert_eq!(attachments(&scene).len(), 2);
}

#[test]
fn a_deployment_behind_a_service_warns_of_nothing() {
    let mut scene = Scene::in_cloud(3);
    scene.create(
        "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: nginx}]
",
    );
    scene.run(60);
    scene.patch("Deployment web", "spec: {template: {metadata: {annotations: {a: b}}}}");
    scene.run(60);
    assert_eq!(scene.events("endpoint-controller"), "");
}

#[test]
fn a_disk_that_stands_in_a_pod_is_attached_by_its_driver() {
    let mut scene = scene();
    let disk = || json!({"awsElasticBlockStore": {"volumeID": "aws://tab-1a/vol-7", "fsType": "ext4"}});
    pod(&mut scene, "writer", "node-1", "echo kept > /data/file; sleep 3600", disk());
    scene.run(40);
    assert_eq!(phase(&scene, "Pod writer"), "Running");
    assert_eq!(attachments(&scene), [("node-1".to_owned(), true)]);
    let all = scene.cluster.api().etcd().range(kubetab::api::Kind::VolumeAttachment, None);
    let sources: Vec<Value> = all.map(|(_, object)| object.to_value()["spec"]["source"].clone()).collect();
    let csi = json!({"driver": "ebs.csi.aws.com", "fsType": "ext4", "volumeHandle": "vol-7"});
    assert_eq!(sources, [json!({"inlineVolumeSpec": {"accessModes": ["ReadWriteOnce"], "csi": csi}})]);
    let unique = "kubernetes.io/csi/ebs.csi.aws.com^vol-7";
    assert_eq!(scene.get("Node node-1")["status"]["volumesAttached"][0]["name"], unique);
    let events = scene.events("attachdetach-controller");
    let told =
        "Normal SuccessfulAttachVolume Pod writer: AttachVolume.Attach succeeded for volume \"ebs.csi.aws.com-vol-7\" ";
    assert!(events.contains(told), "{events}");
    // Another machine cannot have it meanwhile.
    pod(&mut scene, "reader", "node-4", "test \"$(cat /data/file)\" = kept", disk());
    scene.run(20);
    let events = scene.events("attachdetach-controller");
    let told = "Multi-Attach error for volume \"ebs.csi.aws.com-vol-7\" Volume is already used by pod(s) writer";
    assert!(events.contains(told), "{events}");
    scene.delete("Pod writer");
    scene.run(60);
    assert_eq!(phase(&scene, "Pod reader"), "Succeeded");
    scene.run(30);
    assert_eq!(attachments(&scene), []);
}

#[test]
fn a_disk_without_a_driver_is_waited_for() {
    let mut scene = scene();
    pod(&mut scene, "p", "node-1", "sleep 3600", json!({"gcePersistentDisk": {"pdName": "data"}}));
    scene.run(260);
    assert_eq!(phase(&scene, "Pod p"), "Pending");
    let events = scene.events("attachdetach-controller");
    let told = "AttachVolume.Attach failed for volume \"pd.csi.storage.gke.io-data\" : timed out waiting for \
                external-attacher of pd.csi.storage.gke.io CSI driver to attach volume \
                projects/UNSPECIFIED/zones/UNSPECIFIED/disks/data";
    assert!(events.contains(told), "{events}");
    let events = scene.events("kubelet");
    let told = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[v], failed to process \
                volumes=[]: context deadline exceeded";
    assert!(events.contains(told), "{events}");
}

#[test]
fn types_without_a_plugin_cannot_be_mounted() {
    let mut scene = scene();
    pod(&mut scene, "p", "node-1", "sleep 3600", json!({"glusterfs": {"endpoints": "e", "path": "p"}}));
    pod(&mut scene, "q", "node-1", "sleep 3600", json!({"gitRepo": {"repository": "https://example.com/r.git"}}));
    scene.run(20);
    let events = scene.events("kubelet");
    for told in [
        "Pod p: Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process \
         volumes=[v]: failed to get Plugin from volumeSpec for volume \"v\" err=no volume plugin matched",
        "Pod q: MountVolume.SetUp failed for volume \"v\" : git-repo volume plugin has been disabled; if necessary",
    ] {
        assert!(events.contains(told), "{events}");
    }
}
