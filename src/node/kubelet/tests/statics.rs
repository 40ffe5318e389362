//! Pods from files of the machine.

use std::fmt::Write as _;

use expect_test::expect;
use k8s_openapi::api::core::v1::Pod;

use super::harness::Bench;
use crate::api::Resource;

const WEB: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: ns, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: 'nginx:1.25'}
";

fn write(bench: &mut Bench, text: Option<&str>) -> String {
    let mut complaint = None;
    bench.fault(|kubelet, client| {
        complaint = kubelet.write_manifest("web.yaml", text);
        kubelet.read_manifests(client);
    });
    complaint.unwrap_or_default()
}

/// The mirror pods, without what differs from run to run.
fn mirrors(bench: &Bench) -> String {
    let mut told = String::new();
    for pod in bench.all::<Pod>() {
        let mut annotations = pod.metadata.annotations.clone().unwrap_or_default();
        let same = annotations.get("kubernetes.io/config.hash") == annotations.get("kubernetes.io/config.mirror");
        for name in ["hash", "mirror", "seen"] {
            annotations.remove(&format!("kubernetes.io/config.{name}"));
        }
        let owner = pod.metadata.owner_references.iter().flatten().next().cloned().unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        writeln!(
            told,
            "{} {annotations:?} same hash {same} owner {} {} {:?} {:?} {:?} {:?}",
            pod.name(),
            owner.kind,
            owner.name,
            owner.controller,
            status.phase.unwrap_or_default(),
            status.qos_class.unwrap_or_default(),
            pod.spec.as_ref().and_then(|spec| spec.tolerations.clone()).map_or(0, |all| all.len()),
        )
        .expect("a text grows");
    }
    told
}

#[test]
fn a_static_pod_has_a_mirror_that_comes_back() {
    let mut bench = Bench::new();
    bench.run("70s");
    assert_eq!(write(&mut bench, Some(WEB)), "");
    bench.run("10s");
    expect![[r#"
        web-node-1 {"kubernetes.io/config.source": "file"} same hash true owner Node node-1 Some(true) "Running" "BestEffort" 1
    "#]]
    .assert_eq(&mirrors(&bench));
    expect![[r#"
        phase Running | reason None | message None | qos BestEffort | observed None generation 1
        condition {"status": "True", "type": "PodReadyToStartContainers"}
        condition {"status": "True", "type": "Initialized"}
        condition {"status": "True", "type": "Ready"}
        condition {"status": "True", "type": "ContainersReady"}
        condition {"status": "True", "type": "PodScheduled"}
        containerStatuses {"lastState": {}, "name": "c", "ready": true, "restartCount": 0, "started": true, "state": {"running": {}}}
    "#]]
    .assert_eq(&bench.status("web-node-1"));
    let before = bench.pod("web-node-1").expect("it is there").uid().to_owned();
    let started = |bench: &Bench| {
        let status = bench.pod("web-node-1").and_then(|pod| pod.status.clone()).unwrap_or_default();
        status.container_statuses.and_then(|all| all.first()?.container_id.clone())
    };
    let container = started(&bench);
    bench.delete("web-node-1", None);
    bench.run("15s");
    assert_ne!(bench.pod("web-node-1").expect("it is there again").uid(), before);
    assert_eq!(started(&bench), container, "only what stands for it was deleted");
    // Another manifest under the same name is another pod.
    assert_eq!(write(&mut bench, Some(&WEB.replace("1.25", "1.27"))), "");
    bench.run("20s");
    assert_ne!(started(&bench), container);
    // A kubelet that starts again finds its pods running.
    let container = started(&bench);
    bench.fault(crate::client::Process::start);
    bench.run("20s");
    assert_eq!(started(&bench), container);
    write(&mut bench, None);
    bench.run("20s");
    expect![[r#"
        70.0 Pending ready=false 
        71.0 Running ready=true c:running:0
        80.0 Running deleting ready=true c:running:0
        80.0 gone
        80.0 Pending ready=false 
        90.0 Running ready=true c:running:0
        95.0 Succeeded ready=false c:terminated:Completed:0
        96.0 gone
        96.0 Pending ready=false 
        96.0 Pending ready=false c:waiting:ContainerCreating:0
        97.0 Running ready=true c:running:0
        115.0 Running ready=true c:running:0
        135.0 Succeeded ready=false c:terminated:Completed:0
        135.6 gone
    "#]]
    .assert_eq(&bench.history("web-node-1"));
}

#[test]
fn what_cannot_be_a_static_pod() {
    let mut bench = Bench::new();
    let mut told = String::new();
    for text in [
        "a: [",
        "kind: Service\napiVersion: v1\n",
        &WEB.replace("nginx:1.25", ""),
        &WEB.replace("  containers:", "  serviceAccountName: default\n  containers:"),
        &WEB.replace("  containers:", "  volumes: [{name: v, configMap: {name: c}}]\n  containers:"),
    ] {
        told.push_str(&write(&mut bench, Some(text)));
        told.push('\n');
    }
    expect![[r#"
        Could not process manifest file "/etc/kubernetes/manifests/web.yaml": yaml: line 1: did not find expected node content
        Could not process manifest file "/etc/kubernetes/manifests/web.yaml": couldn't parse as pod: it is of kind "Service"
        Could not process manifest file "/etc/kubernetes/manifests/web.yaml": invalid pod: [spec.containers[0].image: Required value]
        Could not process manifest file "/etc/kubernetes/manifests/web.yaml": static pods may not reference serviceaccounts
        Could not process manifest file "/etc/kubernetes/manifests/web.yaml": static pods may not reference configmaps
    "#]]
    .assert_eq(&told);
}
