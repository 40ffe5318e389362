//! Pods on one node, with nothing but an API server beside the kubelet.

mod cases;
mod containers;
mod harness;
mod pressure;
mod statics;

use expect_test::expect;
use harness::Bench;

#[test]
fn a_node_registers_and_becomes_ready() {
    let mut bench = Bench::new();
    bench.run("12s");
    expect![[r#"
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=8Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&bench.node());
}

#[test]
fn a_simple_pod_runs_and_is_deleted() {
    let mut bench = Bench::new();
    bench.run("5s");
    bench.create(
        "p",
        "
        terminationGracePeriodSeconds: 1
        containers:
        - {name: c, image: 'nginx:1.25'}
        ",
        "{}",
    );
    bench.run("3s");
    expect![[r#"
        phase Running | reason None | message None | qos BestEffort | observed 1 generation 1
        condition {"observedGeneration": 1, "status": "True", "type": "PodReadyToStartContainers"}
        condition {"observedGeneration": 1, "status": "True", "type": "Initialized"}
        condition {"observedGeneration": 1, "status": "True", "type": "Ready"}
        condition {"observedGeneration": 1, "status": "True", "type": "ContainersReady"}
        condition {"observedGeneration": 1, "status": "True", "type": "PodScheduled"}
        containerStatuses {"lastState": {}, "name": "c", "ready": true, "restartCount": 0, "started": true, "state": {"running": {}}}
    "#]].assert_eq(&bench.status("p"));
    expect![[r#"
        Normal  Created  spec.containers{c}  Container created
        Normal  Pulled  spec.containers{c}  Successfully pulled image "nginx:1.25" in 300ms (300ms including waiting). Image size: 72000000 bytes.
        Normal  Pulling  spec.containers{c}  Pulling image "nginx:1.25"
        Normal  Started  spec.containers{c}  Container started
    "#]].assert_eq(&bench.events());
    bench.delete("p", None);
    bench.run("4s");
    expect![[r#"
        not found
    "#]]
    .assert_eq(&bench.status("p"));
    expect![[r#"
        5.0 Pending ready=false 
        5.0 Pending ready=false c:waiting:ContainerCreating:0
        6.0 Running ready=true c:running:0
        8.0 Running deleting ready=true c:running:0
        8.0 Running deleting ready=true c:running:0
        8.0 Succeeded deleting ready=false c:terminated:Completed:0
        9.0 gone
    "#]]
    .assert_eq(&bench.history("p"));
}

/// Which recorded cases hold here.
#[test]
fn recorded_cases() {
    let names = [
        "completed-delete",
        "delete-force",
        "delete-prestop",
        "delete-shorten",
        "delete-sidecar-order",
        "ephemeral",
        "evict",
        "exit-always-0",
        "exit-always-1",
        "exit-never-1",
        "exit-onfailure-0",
        "image-change",
        "image-pull",
        "init-fails-always",
        "init-fails-never",
        "liveness-exec",
        "missing-configmap",
        "missing-secret-volume",
        "mutable",
        "node-admission",
        "optional-missing",
        "pod-deadline",
        "pull-never",
        "qos",
        "restart-rules",
        "running-status",
        "sidecar",
        "sidecar-job-like",
        "sidecar-startup-probe",
        "start-error",
        "startup-fails",
    ];
    let mut report = String::new();
    for name in names {
        let differences = cases::play(name);
        if !differences.is_empty() {
            report.push_str(&format!("=== {name}\n{differences}"));
        }
    }
    assert!(report.is_empty(), "{report}");
}
