//! What a kubelet does with containers that really run: probes, hooks, volumes, last words.

use expect_test::expect;
use serde_json::json;

use super::super::NodeConfig;
use super::harness::Bench;
use crate::api::{Kind, ObjectKey};

/// A node on which the usual images are there already.
fn bench() -> Bench {
    let images = ["nginx:1.27", "busybox:1.36", "redis:7"].map(str::to_owned).to_vec();
    let mut bench = Bench::on(NodeConfig { preloaded_images: images, ..NodeConfig::default() });
    bench.run("70s");
    bench
}

#[test]
fn probes_ask_the_containers() {
    let mut bench = bench();
    bench.create(
        "web",
        "
        containers:
        - name: c
          image: nginx:1.27
          ports: [{name: http, containerPort: 80}]
          readinessProbe: {httpGet: {port: http, path: /}, periodSeconds: 1}
          livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 1}
        - name: redis
          image: redis:7
          readinessProbe: {exec: {command: [redis-cli, ping]}, periodSeconds: 1}
        ",
        "{}",
    );
    bench.create(
        "wrong",
        "
        containers:
        - name: c
          image: nginx:1.27
          readinessProbe: {httpGet: {port: 80, path: /none}, periodSeconds: 1}
          livenessProbe: {tcpSocket: {port: 81}, periodSeconds: 1, failureThreshold: 100}
        - name: redis
          image: redis:7
          readinessProbe: {httpGet: {port: 6379}, periodSeconds: 1}
        - name: shell
          image: busybox:1.36
          command: [sleep, '3600']
          readinessProbe: {exec: {command: [sh, -c, 'echo slow; sleep 5']}, periodSeconds: 10, timeoutSeconds: 2}
          livenessProbe: {exec: {command: [nonsense]}, periodSeconds: 1}
        ",
        "{}",
    );
    bench.run("10s");
    expect![[r#"
        Normal  Created  spec.containers{c}  Container created
        Normal  Created  spec.containers{redis}  Container created
        Normal  Created  spec.containers{shell}  Container created
        Normal  Pulled  spec.containers{c}  Container image "nginx:1.27" already present on machine and can be accessed by the pod
        Normal  Pulled  spec.containers{redis}  Container image "redis:7" already present on machine and can be accessed by the pod
        Normal  Pulled  spec.containers{shell}  Container image "busybox:1.36" already present on machine and can be accessed by the pod
        Normal  Started  spec.containers{c}  Container started
        Normal  Started  spec.containers{redis}  Container started
        Normal  Started  spec.containers{shell}  Container started
        Warning  Unhealthy  spec.containers{c}  Liveness probe failed: dial tcp 10.244.1.3:81: connect: connection refused
        Warning  Unhealthy  spec.containers{c}  Readiness probe failed: HTTP probe failed with statuscode: 404
        Warning  Unhealthy  spec.containers{redis}  Readiness probe failed: Get "http://10.244.1.3:6379/": EOF
        Warning  Unhealthy  spec.containers{shell}  (combined from similar events): Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000018": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000008": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "000000000000000000000000000000000000000000000000000000000000000a": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "000000000000000000000000000000000000000000000000000000000000000c": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "000000000000000000000000000000000000000000000000000000000000000e": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000010": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000012": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000014": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Liveness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in container: failed to start exec "0000000000000000000000000000000000000000000000000000000000000016": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH
        Warning  Unhealthy  spec.containers{shell}  Readiness probe failed: command "sh -c echo slow; sleep 5" timed out
    "#]].assert_eq(&bench.events());
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0 redis:waiting:ContainerCreating:0
        71.0 Running ready=true c:running:0 redis:running:0
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0 redis:waiting:ContainerCreating:0 shell:waiting:ContainerCreating:0
        71.0 Running ready=false c:running:0 redis:running:0 shell:running:0
    "#]].assert_eq(&format!("{}{}", bench.history("web"), bench.history("wrong")));
    let log = bench.logs("web", "c", false);
    assert!(log.contains("\"GET / HTTP/1.1\" 200 615 \"-\" \"kube-probe/1.36\""), "{log}");
}

#[test]
fn hooks_run_in_the_container() {
    let mut bench = bench();
    bench.create(
        "p",
        "
        terminationGracePeriodSeconds: 10
        containers:
        - name: c
          image: busybox:1.36
          command: [sh, -c, 'trap \"exit 0\" TERM; while true; do sleep 1; done']
          lifecycle:
            postStart: {exec: {command: [sh, -c, 'sleep 3; echo started > /proc/1/fd/1']}}
            preStop: {exec: {command: [sh, -c, 'echo stopping > /proc/1/fd/1; sleep 4']}}
        - {name: after, image: 'busybox:1.36', command: [sleep, '1']}
        ",
        "{}",
    );
    bench.create(
        "bad",
        "
        terminationGracePeriodSeconds: 2
        restartPolicy: Never
        containers:
        - name: c
          image: nginx:1.27
          lifecycle: {postStart: {exec: {command: ['false']}}}
        ",
        "{}",
    );
    bench.run("8s");
    bench.delete("p", None);
    bench.run("4s");
    expect![[r#"
        started
        stopping
    "#]]
    .assert_eq(&bench.logs("p", "c", false));
    bench.run("10s");
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false after:waiting:ContainerCreating:0 c:waiting:ContainerCreating:0
        74.0 Running ready=true after:running:0 c:running:0
        75.0 Running ready=false after:terminated:Completed:0 c:running:0
        76.0 Running ready=true after:running:1 c:running:0
        77.0 Running ready=false after:terminated:Completed:1 c:running:0
        78.0 Running deleting ready=false after:terminated:Completed:1 c:running:0
        78.0 Running deleting ready=false after:terminated:Completed:1 c:running:0
        82.3 Succeeded deleting ready=false after:terminated:Completed:1 c:terminated:Completed:0
        83.0 gone
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Pending ready=false c:terminated:Completed:0
        72.0 Succeeded ready=false c:terminated:Completed:0
    "#]]
    .assert_eq(&format!("{}{}", bench.history("p"), bench.history("bad")));
    expect![[r#"
        Normal  Created  spec.containers{after}  Container created
        Normal  Created  spec.containers{c}  Container created
        Normal  Killing  spec.containers{c}  FailedPostStartHook
        Normal  Killing  spec.containers{c}  Stopping container c
        Normal  Pulled  spec.containers{after}  Container image "busybox:1.36" already present on machine and can be accessed by the pod
        Normal  Pulled  spec.containers{c}  Container image "busybox:1.36" already present on machine and can be accessed by the pod
        Normal  Pulled  spec.containers{c}  Container image "nginx:1.27" already present on machine and can be accessed by the pod
        Normal  Started  spec.containers{after}  Container started
        Normal  Started  spec.containers{c}  Container started
        Warning  BackOff  spec.containers{after}  Back-off restarting failed container after in pod p_ns(UID)
        Warning  FailedPostStartHook  spec.containers{c}  PostStartHook failed
    "#]].assert_eq(&bench.events());
}

#[test]
fn containers_see_volumes_and_leave_last_words() {
    let mut bench = bench();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"},
        "data": {"greeting": "hello", "run.sh": "#!/bin/sh\necho $1 from $HOSTNAME; cat /conf/greeting\n"}});
    bench.make(Kind::ConfigMap, "ns", map);
    bench.create(
        "p",
        "
        restartPolicy: Never
        volumes:
        - {name: conf, configMap: {name: conf, defaultMode: 493}}
        - {name: shared, emptyDir: {}}
        initContainers:
        - name: first
          image: busybox:1.36
          command: [sh, -c, '/conf/run.sh init > /data/out; echo x > /conf/x || true']
          volumeMounts: [{name: conf, mountPath: /conf}, {name: shared, mountPath: /data}]
        containers:
        - name: c
          image: busybox:1.36
          command: [sh, -c, 'cat /data/out; echo enough > /dev/termination-log; exit 4']
          volumeMounts: [{name: shared, mountPath: /data, readOnly: true}]
        - name: from-log
          image: busybox:1.36
          command: [sh, -c, 'echo one; echo two >&2; exit 5']
          terminationMessagePolicy: FallbackToLogsOnError
        - name: root
          image: busybox:1.36
          securityContext: {runAsNonRoot: true}
        ",
        "{}",
    );
    bench.run("6s");
    expect![[r#"
        phase Pending | reason None | message None | qos BestEffort | observed 1 generation 1
        condition {"observedGeneration": 1, "status": "True", "type": "PodReadyToStartContainers"}
        condition {"observedGeneration": 1, "status": "True", "type": "Initialized"}
        condition {"message": "containers with unready status: [c from-log root]", "observedGeneration": 1, "reason": "ContainersNotReady", "status": "False", "type": "Ready"}
        condition {"message": "containers with unready status: [c from-log root]", "observedGeneration": 1, "reason": "ContainersNotReady", "status": "False", "type": "ContainersReady"}
        condition {"observedGeneration": 1, "status": "True", "type": "PodScheduled"}
        initContainerStatuses {"lastState": {}, "name": "first", "ready": true, "restartCount": 0, "started": false, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
        containerStatuses {"lastState": {}, "name": "c", "ready": false, "restartCount": 0, "started": false, "state": {"terminated": {"exitCode": 4, "message": "enough\n", "reason": "Error"}}}
        containerStatuses {"lastState": {}, "name": "from-log", "ready": false, "restartCount": 0, "started": false, "state": {"terminated": {"exitCode": 5, "message": "one\ntwo\n", "reason": "Error"}}}
        containerStatuses {"lastState": {}, "name": "root", "ready": false, "restartCount": 0, "started": false, "state": {"waiting": {"message": "container has runAsNonRoot and image will run as root (pod: \"p_ns(28bff9ea-304d-4f96-a4d9-303221373073)\", container: root)", "reason": "CreateContainerConfigError"}}}
    "#]].assert_eq(&bench.status("p"));
    expect![[r#"
        sh: can't create /conf/x: Read-only file system
        container "root" in pod "p" is waiting to start: CreateContainerConfigError
    "#]]
    .assert_eq(&format!("{}{}", bench.logs("p", "first", false), bench.logs("p", "root", false)));
}

#[test]
fn resources_change_in_place() {
    let mut bench = bench();
    bench.create(
        "p",
        "
        terminationGracePeriodSeconds: 1
        containers:
        - name: c
          image: nginx:1.27
          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 200m, memory: 128Mi}}
          resizePolicy:
          - {resourceName: cpu, restartPolicy: NotRequired}
          - {resourceName: memory, restartPolicy: RestartContainer}
        ",
        "{}",
    );
    bench.run("5s");
    let patch = |resources: serde_json::Value| json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
    let mut text = String::new();
    for resources in [
        json!({"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}}),
        json!({"limits": {"memory": "256Mi"}}),
        json!({"requests": {"cpu": "100"}, "limits": {"cpu": "100"}}),
        json!({"requests": {"cpu": "200m"}, "limits": {"cpu": "400m"}}),
    ] {
        text += &bench.patch("p", patch(resources), true);
        bench.run("5s");
        text += &bench.resources("p");
    }
    text += &bench.events();
    expect![[r#"
        pod/p patched
        {"limits":{"cpu":"300m","memory":"128Mi"},"requests":{"cpu":"150m","memory":"64Mi"}} {"cpu":"150m","memory":"64Mi"} restarts 0
        pod/p patched
        {"limits":{"cpu":"300m","memory":"256Mi"},"requests":{"cpu":"150m","memory":"64Mi"}} {"cpu":"150m","memory":"64Mi"} restarts 1
        Error from server (Forbidden): pods "p" is forbidden: node didn't have enough allocatable resources: cpu, requested: 100000, allocatable: 4000
        {"limits":{"cpu":"300m","memory":"256Mi"},"requests":{"cpu":"150m","memory":"64Mi"}} {"cpu":"150m","memory":"64Mi"} restarts 1
        pod/p patched
        {"limits":{"cpu":"400m","memory":"256Mi"},"requests":{"cpu":"200m","memory":"64Mi"}} {"cpu":"200m","memory":"64Mi"} restarts 1
        Normal  Created  spec.containers{c}  Container created
        Normal  Killing  spec.containers{c}  Container c resize requires restart
        Normal  Pulled  spec.containers{c}  Container image "nginx:1.27" already present on machine and can be accessed by the pod
        Normal  ResizeCompleted    Pod resize completed: {"containers":[{"name":"c","resources":{"limits":{"cpu":"300m","memory":"128Mi"},"requests":{"cpu":"150m","memory":"64Mi"}}}],"generation":2}
        Normal  ResizeCompleted    Pod resize completed: {"containers":[{"name":"c","resources":{"limits":{"cpu":"300m","memory":"256Mi"},"requests":{"cpu":"150m","memory":"64Mi"}}}],"generation":3}
        Normal  ResizeCompleted    Pod resize completed: {"containers":[{"name":"c","resources":{"limits":{"cpu":"400m","memory":"256Mi"},"requests":{"cpu":"200m","memory":"64Mi"}}}],"generation":4}
        Normal  ResizeStarted    Pod resize started: {"containers":[{"name":"c","resources":{"limits":{"cpu":"300m","memory":"128Mi"},"requests":{"cpu":"150m","memory":"64Mi"}}}],"generation":2}
        Normal  ResizeStarted    Pod resize started: {"containers":[{"name":"c","resources":{"limits":{"cpu":"300m","memory":"256Mi"},"requests":{"cpu":"150m","memory":"64Mi"}}}],"generation":3}
        Normal  ResizeStarted    Pod resize started: {"containers":[{"name":"c","resources":{"limits":{"cpu":"400m","memory":"256Mi"},"requests":{"cpu":"200m","memory":"64Mi"}}}],"generation":4}
        Normal  Started  spec.containers{c}  Container started
    "#]].assert_eq(&text);
}

#[test]
fn probes_and_images_fail_when_somebody_wants_it() {
    let mut bench = bench();
    bench.create(
        "p",
        "
        containers:
        - name: c
          image: nginx:1.27
          readinessProbe: {httpGet: {port: 80}, periodSeconds: 1, failureThreshold: 2}
        ",
        "{}",
    );
    bench.run("5s");
    let key = ObjectKey::new("ns", "p");
    bench.fault(|kubelet, client| {
        assert!(kubelet.fail_probe(&key, "c", "readiness", true, client));
        assert!(!kubelet.fail_probe(&key, "c", "liveness", true, client), "there is no such probe");
        kubelet.break_image("nginx:1.28", true);
    });
    bench.create("q", "containers: [{name: c, image: 'nginx:1.28'}]", "{}");
    bench.run("10s");
    bench.fault(|kubelet, client| {
        kubelet.fail_probe(&key, "c", "readiness", false, client);
        kubelet.break_image("nginx:1.28", false);
    });
    bench.run("30s");
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Running ready=false c:running:0
        71.0 Running ready=true c:running:0
        76.0 Running ready=false c:running:0
        85.0 Running ready=true c:running:0
        75.0 Pending ready=false 
        75.0 Pending ready=false c:waiting:ContainerCreating:0
        76.0 Pending ready=false c:waiting:ErrImagePull:0
        90.0 Pending ready=false c:waiting:ImagePullBackOff:0
        93.0 Running ready=true c:running:0
    "#]]
    .assert_eq(&format!("{}{}", bench.history("p"), bench.history("q")));
    let events = bench.events();
    assert!(events.contains("Readiness probe failed: HTTP probe failed with statuscode: 500"), "{events}");
    assert!(events.contains("Failed to pull image \"nginx:1.28\""), "{events}");
}

#[test]
fn a_container_can_have_all_of_its_pod_restarted() {
    let mut bench = Bench::new();
    bench.run("70s");
    bench.create(
        "p",
        "
        restartPolicy: Never
        initContainers:
        - {name: init, image: 'busybox:1.36', command: [sh, -c, 'exit 0']}
        containers:
        - name: trainer
          image: busybox:1.36
          command: [sleep, '1000']
        - name: watcher
          image: busybox:1.36
          command: [sleep, '1000']
          restartPolicy: Never
          restartPolicyRules:
          - {action: RestartAllContainers, exitCodes: {operator: In, values: [88]}}
        ",
        "{kubetab/exit.watcher: '88@3s,0@9s'}",
    );
    bench.run("8s");
    let ip = bench.pod("p").and_then(|pod| pod.status.clone()?.pod_ip);
    bench.run("20s");
    assert_eq!(bench.pod("p").and_then(|pod| pod.status.clone()?.pod_ip), ip, "it keeps its sandbox");
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false init:waiting:PodInitializing:0 trainer:waiting:PodInitializing:0 watcher:waiting:PodInitializing:0
        71.0 Pending ready=false init:terminated:Completed:0 trainer:waiting:PodInitializing:0 watcher:waiting:PodInitializing:0
        72.0 Running ready=true init:terminated:Completed:0 trainer:running:0 watcher:running:0
        75.0 Pending ready=false init:terminated:Completed:0 trainer:running:0 watcher:terminated:Error:0
        78.0 Pending ready=false init:terminated:Completed:0 trainer:terminated:Error:0 watcher:terminated:Error:0
        79.0 Pending ready=false init:waiting:PodInitializing:0 trainer:waiting:PodInitializing:0 watcher:waiting:PodInitializing:0
        80.0 Pending ready=false init:terminated:Completed:1 trainer:waiting:PodInitializing:0 watcher:waiting:PodInitializing:0
        81.0 Running ready=true init:terminated:Completed:1 trainer:running:1 watcher:running:1
        90.0 Running ready=false init:terminated:Completed:1 trainer:running:1 watcher:terminated:Completed:1
        phase Running | reason None | message None | qos BestEffort | observed 1 generation 1
        condition {"observedGeneration": 1, "status": "True", "type": "PodReadyToStartContainers"}
        condition {"observedGeneration": 1, "status": "True", "type": "Initialized"}
        condition {"message": "containers with unready status: [watcher]", "observedGeneration": 1, "reason": "ContainersNotReady", "status": "False", "type": "Ready"}
        condition {"message": "containers with unready status: [watcher]", "observedGeneration": 1, "reason": "ContainersNotReady", "status": "False", "type": "ContainersReady"}
        condition {"observedGeneration": 1, "status": "True", "type": "PodScheduled"}
        condition {"observedGeneration": 1, "status": "False", "type": "AllContainersRestarting"}
        initContainerStatuses {"lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}}, "name": "init", "ready": true, "restartCount": 1, "started": false, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
        containerStatuses {"lastState": {"terminated": {"exitCode": 137, "reason": "Error"}}, "name": "trainer", "ready": true, "restartCount": 1, "started": true, "state": {"running": {}}}
        containerStatuses {"lastState": {"terminated": {"exitCode": 88, "reason": "Error"}}, "name": "watcher", "ready": false, "restartCount": 1, "started": false, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    "#]]
    .assert_eq(&(bench.history("p") + &bench.status("p")));
}

#[test]
fn a_resize_that_has_to_wait_is_told_of() {
    let mut bench = bench();
    let pod = |cpu: &str| {
        format!(
            "
        containers:
        - {{name: c, image: 'nginx:1.27', resources: {{requests: {{cpu: {cpu}}}}}}}
        "
        )
    };
    bench.create("big", &pod("3"), "{}");
    bench.create("small", &pod("500m"), "{}");
    bench.run("5s");
    let wanted = json!({"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "2"}}}]}});
    bench.patch("small", wanted, true);
    bench.run("5s");
    let events = bench.events();
    let told: String = events.lines().filter(|line| line.contains("Resize")).collect();
    expect![[r#"
        {"requests":{"cpu":"500m"}} {"cpu":"500m"} restarts 0 PodResizePending Deferred Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000
        Warning  ResizeDeferred    Pod resize Deferred: {"containers":[{"name":"c","resources":{"requests":{"cpu":"2"}}}],"generation":2,"error":"Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000"}
    "#]]
    .assert_eq(&format!("{}{told}\n", bench.resources("small")));
    bench.delete("big", Some(0));
    bench.run("90s");
    expect![[r#"
        {"requests":{"cpu":"2"}} {"cpu":"2"} restarts 0
    "#]]
    .assert_eq(&bench.resources("small"));
}
