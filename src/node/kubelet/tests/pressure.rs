//! A node that runs short of memory, disk, files or process numbers, and one that is shut down.

use expect_test::expect;
use serde_json::json;

use super::super::NodeConfig;
use super::harness::Bench;
use crate::api::Kind;

fn small(memory: &str, disk: &str) -> Bench {
    let capacity = [("memory", memory), ("ephemeral-storage", disk)];
    let capacity = capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into();
    let mut bench = Bench::with(NodeConfig { capacity, ..NodeConfig::default() });
    bench.run("70s");
    bench
}

/// A pod that ends well when it is told to.
const IDLE: &str = "
    terminationGracePeriodSeconds: 1
    containers:
    - {name: c, image: 'nginx:1.25'}
    ";

/// A pod that has to be killed.
const STUBBORN: &str = "
    terminationGracePeriodSeconds: 60
    containers:
    - {name: c, image: 'busybox:1.36', command: [sleep, '1000']}
    ";

/// What a pod came to, its conditions' reasons among it.
fn end(bench: &Bench, name: &str) -> String {
    let pod = bench.pod(name).expect("it is there");
    let status = pod.status.clone().unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut told = format!("{} {} {}\n", text(&status.phase), text(&status.reason), text(&status.message));
    for condition in status.conditions.iter().flatten().filter(|condition| condition.type_ == "DisruptionTarget") {
        told.push_str(&format!("{} {} {}\n", condition.type_, condition.status, text(&condition.reason)));
    }
    told
}

#[test]
fn a_pod_that_wants_too_much_memory_is_evicted() {
    let mut bench = small("2Gi", "100Gi");
    bench.create("modest", IDLE, "{}");
    bench.create("greedy", STUBBORN, "{kubetab/memory: '50Mi@20s,1700Mi'}");
    bench.run("50s");
    expect![[r#"
        Failed Evicted The node was low on resource: memory. Threshold quantity: 100Mi, available: 86Mi. Container c was using 1700Mi, request is 0, has larger consumption of memory. 
        DisruptionTarget True TerminationByKubelet
    "#]]
    .assert_eq(&end(&bench, "greedy"));
    expect![[r#"
        Running  
    "#]]
    .assert_eq(&end(&bench, "modest"));
    expect![[r#"
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure True KubeletHasInsufficientMemory: kubelet has insufficient memory available
        DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=2Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Warning EvictionThresholdMet: Attempting to reclaim memory
        Normal NodeHasInsufficientMemory: Node node-1 status is now: NodeHasInsufficientMemory
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&bench.node());
    // Under pressure the node takes no pod without requests, but others.
    bench.create("late", IDLE, "{}");
    bench.create(
        "asks",
        "
        containers:
        - {name: c, image: 'nginx:1.25', resources: {requests: {memory: 10Mi}}}
        ",
        "{}",
    );
    bench.run("5s");
    expect![[r#"
        Failed Evicted Pod was rejected: The node had condition: [MemoryPressure]. 
        Running  
    "#]]
    .assert_eq(&(end(&bench, "late") + &end(&bench, "asks")));
    bench.run("330s");
    expect![[r#"
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=2Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Warning EvictionThresholdMet: Attempting to reclaim memory
        Normal NodeHasInsufficientMemory: Node node-1 status is now: NodeHasInsufficientMemory
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&bench.node());
}

#[test]
fn who_exceeds_requests_goes_before_who_is_less_important() {
    let mut bench = small("2Gi", "100Gi");
    for value in [5, 9] {
        let class = json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": format!("p{value}")},
            "value": value,
        });
        bench.make(Kind::PriorityClass, "", class);
    }
    let pod = |request: &str, class: &str| {
        format!(
            "
    priorityClassName: '{class}'
    containers:
    - name: c
      image: busybox:1.36
      command: [sleep, '1000']
      resources: {{requests: {{memory: {request}}}}}
    "
        )
    };
    for (name, request, priority, used) in
        [("within", "900Mi", "", "800Mi"), ("above", "100Mi", "p5", "300Mi"), ("far-above", "100Mi", "p9", "600Mi")]
    {
        bench.create(name, &pod(request, priority), &format!("{{kubetab/memory: '10Mi@20s,{used}'}}"));
    }
    bench.run("60s");
    expect![[r#"
        Running  
        Failed Evicted The node was low on resource: memory. Threshold quantity: 100Mi, available: 92Mi. Container c was using 300Mi, request is 100Mi, has larger consumption of memory. 
        DisruptionTarget True TerminationByKubelet
        Running  
    "#]]
    .assert_eq(&["within", "above", "far-above"].map(|name| end(&bench, name)).concat());
}

#[test]
fn who_ends_well_has_succeeded_even_when_evicted() {
    let mut bench = small("2Gi", "100Gi");
    bench.create("greedy", IDLE, "{kubetab/memory: '50Mi@20s,1700Mi'}");
    bench.run("50s");
    expect![[r#"
        Succeeded  
        DisruptionTarget True TerminationByKubelet
    "#]]
    .assert_eq(&end(&bench, "greedy"));
}

#[test]
fn others_make_room_for_a_pod_that_the_node_needs() {
    let mut bench = small("2Gi", "100Gi");
    let asking = |cpu: &str| STUBBORN.replace("command", &format!("resources: {{requests: {{cpu: {cpu}}}}}, command"));
    bench.create("big", &asking("3"), "{}");
    bench.create("small", &asking("500m"), "{}");
    bench.run("5s");
    let manifest = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: s, namespace: ns}}\nspec:\n{}", asking("1"));
    bench.fault(|kubelet, client| {
        assert_eq!(kubelet.write_manifest("s.yaml", Some(&manifest)), None);
        kubelet.read_manifests(client);
    });
    bench.run("80s");
    expect![[r#"
        Running  
        Failed Preempting Preempted in order to admit critical pod
        DisruptionTarget True TerminationByKubelet
        Running  
    "#]]
    .assert_eq(&["big", "small", "s-node-1"].map(|name| end(&bench, name)).concat());
}

#[test]
fn memory_beyond_the_limit_is_not_to_be_had() {
    let mut bench = small("2Gi", "100Gi");
    let pod = STUBBORN.replace("command", "resources: {limits: {memory: 100Mi}}, command");
    bench.create("leak", &pod, "{kubetab/memory: '50Mi@20s,120Mi'}");
    bench.run("60s");
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Running ready=true c:running:0
        101.0 Running ready=false c:terminated:OOMKilled:0
        102.0 Running ready=true c:running:1
    "#]]
    .assert_eq(&bench.history("leak"));
}

#[test]
fn pods_stay_within_their_share_of_the_disk() {
    let mut bench = small("8Gi", "100Gi");
    let write = |file: &str| format!("truncate -s 3M {file}; sleep 1000");
    let volume = format!(
        "
    terminationGracePeriodSeconds: 1
    volumes:
    - {{name: cache, emptyDir: {{sizeLimit: 2Mi}}}}
    containers:
    - name: c
      image: busybox:1.36
      command: [sh, -c, '{}']
      volumeMounts: [{{name: cache, mountPath: /cache}}]
    ",
        write("/cache/a")
    );
    let container = |limits: &str| {
        format!(
            "
    terminationGracePeriodSeconds: 1
    containers:
    - name: c
      image: busybox:1.36
      command: [sh, -c, '{}']
      resources: {{limits: {{ephemeral-storage: {limits}}}}}
    - {{name: d, image: 'nginx:1.25', resources: {{limits: {{ephemeral-storage: 2Mi}}}}}}
    ",
            write("/a")
        )
    };
    bench.create("volume", &volume, "{}");
    bench.create("container", &container("2Mi"), "{}");
    bench.create("pod", &container("512Ki"), "{}");
    bench.create("fits", &container("4Mi"), "{}");
    bench.run("30s");
    expect![[r#"
        Failed Evicted Usage of EmptyDir volume "cache" exceeds the limit "2Mi". 
        Failed Evicted Container c exceeded its local ephemeral storage limit "2Mi". 
        Failed Evicted Pod ephemeral local storage usage exceeds the total limit of containers 2560Ki. 
        Running  
    "#]]
    .assert_eq(&["volume", "container", "pod", "fits"].map(|name| end(&bench, name)).concat());
}

#[test]
fn images_go_when_the_disk_is_nearly_full() {
    let mut bench = small("8Gi", "900M");
    let images = |bench: &Bench| {
        let node = bench.all::<k8s_openapi::api::core::v1::Node>().next().cloned().expect("it is there");
        let images = node.status.as_ref().and_then(|status| status.images.clone()).unwrap_or_default();
        images.iter().filter_map(|image| image.names.as_ref()?.last().cloned()).collect::<Vec<_>>().join(" ")
    };
    for (name, image) in [("a", "python:3.12"), ("b", "golang:1.22")] {
        bench.create(name, &IDLE.replace("nginx:1.25", image), "{}");
    }
    bench.run("20s");
    let before = images(&bench);
    for name in ["a", "b"] {
        bench.delete(name, Some(0));
    }
    bench.run("450s");
    bench.create("c", &IDLE.replace("nginx:1.25", "postgres:16"), "{}");
    bench.run("30s");
    expect![[r#"
        docker.io/library/python:3.12 docker.io/library/golang:1.22
        docker.io/library/postgres:16
        Running  
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure True KubeletHasDiskPressure: kubelet has disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=900M memory=8Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Warning EvictionThresholdMet: Attempting to reclaim ephemeral-storage
        Normal NodeHasDiskPressure: Node node-1 status is now: NodeHasDiskPressure
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&format!("{before}\n{}\n{}{}", images(&bench), end(&bench, "c"), bench.node()));
}

/// A node that watches what nobody watches by default.
fn watching(signal: &str, value: &str) -> Bench {
    let eviction_hard = [(signal.to_owned(), value.to_owned())].into();
    let mut bench = Bench::with(NodeConfig { eviction_hard, ..NodeConfig::default() });
    bench.run("70s");
    bench
}

/// A pod that runs a script until it is killed.
fn script(text: &str) -> String {
    format!(
        "
    terminationGracePeriodSeconds: 60
    volumes:
    - {{name: cache, emptyDir: {{}}}}
    containers:
    - name: c
      image: busybox:1.36
      command: [sh, -c, '{text}']
      volumeMounts: [{{name: cache, mountPath: /cache}}]
    "
    )
}

#[test]
fn who_forks_too_much_is_evicted_where_process_numbers_are_watched() {
    let mut bench = watching("pid.available", "32550");
    bench.create("modest", STUBBORN, "{}");
    bench.create("forks", &script("for i in $(seq 40); do sleep 1000 & done; wait; sleep 1000"), "{}");
    bench.run("40s");
    expect![[r#"
        Failed Evicted The node was low on resource: pids. Threshold quantity: 32550, available: 32544. 
        DisruptionTarget True TerminationByKubelet
        Running  
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure
        PIDPressure True KubeletHasInsufficientPID: kubelet has insufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=8Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Warning EvictionThresholdMet: Attempting to reclaim pids
        Normal NodeHasInsufficientPID: Node node-1 status is now: NodeHasInsufficientPID
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&(end(&bench, "forks") + &end(&bench, "modest") + &bench.node()));
    bench.create("late", IDLE, "{}");
    bench.run("5s");
    expect![[r#"
        Failed Evicted Pod was rejected: The node had condition: [PIDPressure]. 
    "#]]
    .assert_eq(&end(&bench, "late"));
}

#[test]
fn process_numbers_do_not_matter_by_default() {
    let mut bench = small("8Gi", "100Gi");
    bench.create("forks", STUBBORN, "{kubetab/pids: '32700'}");
    bench.run("40s");
    expect![[r#"
        Running  
    "#]]
    .assert_eq(&end(&bench, "forks"));
}

#[test]
fn who_has_too_many_files_is_evicted() {
    let mut bench = small("8Gi", "100Gi");
    bench.create("tidy", STUBBORN, "{}");
    bench.create("hoards", STUBBORN, "{kubetab/inodes: '10@20s,6300k'}");
    bench.run("60s");
    expect![[r#"
        Failed Evicted The node was low on resource: inodes. Threshold quantity: 320Ki, available: 253550. 
        DisruptionTarget True TerminationByKubelet
        Running  
        Ready True KubeletReady: kubelet is posting ready status
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure True KubeletHasDiskPressure: kubelet has disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=8Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Warning EvictionThresholdMet: Attempting to reclaim inodes
        Normal NodeHasDiskPressure: Node node-1 status is now: NodeHasDiskPressure
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&(end(&bench, "hoards") + &end(&bench, "tidy") + &bench.node()));
}

#[test]
fn files_in_volumes_and_layers_count() {
    let mut bench = watching("nodefs.inodesFree", "6553350");
    bench.create("volume", &script("for i in $(seq 150); do echo > /cache/$i; done; sleep 1000"), "{}");
    bench.create("layer", &script("for i in $(seq 100); do echo > /tmp/$i; done; sleep 1000"), "{}");
    bench.run("50s");
    expect![[r#"
        Failed Evicted The node was low on resource: inodes. Threshold quantity: 6553350, available: 6553299. 
        DisruptionTarget True TerminationByKubelet
        Running  
    "#]]
    .assert_eq(&(end(&bench, "volume") + &end(&bench, "layer")));
}

#[test]
fn a_container_has_no_more_processes_than_it_may() {
    let mut bench = Bench::with(NodeConfig { pod_pids_limit: Some(10), ..NodeConfig::default() });
    bench.run("70s");
    bench.create("forks", &script("for i in $(seq 12); do sleep 1000 & done; wait"), "{}");
    bench.run("5s");
    expect![[r#"
        sh: can't fork: Resource temporarily unavailable
    "#]]
    .assert_eq(&bench.logs("forks", "c", false));
}

#[test]
fn a_node_that_is_shut_down_ends_its_pods_in_order() {
    let mut bench = small("8Gi", "100Gi");
    bench.create("web", IDLE, "{}");
    bench.create("stubborn", STUBBORN, "{}");
    bench.make(
        Kind::PriorityClass,
        "",
        json!({
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "system-node-critical"},
            "value": 2_000_001_000,
        }),
    );
    bench.create("critical", &format!("\n    priorityClassName: system-node-critical{IDLE}"), "{}");
    bench.run("10s");
    bench.fault(|kubelet, client| kubelet.shut_down(30, 10, client));
    bench.run("1s");
    bench.create("late", IDLE, "{}");
    bench.run("30s");
    expect![[r#"
        Succeeded  
        DisruptionTarget True TerminationByKubelet
        Failed Terminated Pod was terminated in response to imminent node shutdown.
        DisruptionTarget True TerminationByKubelet
        Succeeded  
        DisruptionTarget True TerminationByKubelet
        Failed NodeShutdown Pod was rejected: Pod was rejected as the node is shutting down.
    "#]]
    .assert_eq(&["web", "stubborn", "critical", "late"].map(|name| end(&bench, name)).concat());
    expect![[r#"
        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Running ready=true c:running:0
        80.0 Succeeded ready=false c:terminated:Completed:0

        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Running ready=true c:running:0
        100.0 Failed ready=false c:terminated:Error:0

        70.0 Pending ready=false 
        70.0 Pending ready=false c:waiting:ContainerCreating:0
        71.0 Running ready=true c:running:0
        100.0 Succeeded ready=false c:terminated:Completed:0

    "#]]
    .assert_eq(&["web", "stubborn", "critical"].map(|name| bench.history(name) + "\n").concat());
    expect![[r#"
        Ready False KubeletNotReady: node is shutting down
        MemoryPressure False KubeletHasSufficientMemory: kubelet has sufficient memory available
        DiskPressure False KubeletHasNoDiskPressure: kubelet has no disk pressure
        PIDPressure False KubeletHasSufficientPID: kubelet has sufficient PID available
        capacity cpu=4 ephemeral-storage=100Gi memory=8Gi pods=110
        Normal Starting: Starting kubelet.
        Normal NodeHasSufficientMemory: Node node-1 status is now: NodeHasSufficientMemory
        Normal NodeHasNoDiskPressure: Node node-1 status is now: NodeHasNoDiskPressure
        Normal NodeHasSufficientPID: Node node-1 status is now: NodeHasSufficientPID
        Normal NodeReady: Node node-1 status is now: NodeReady
        Normal Shutdown: Shutdown manager detected shutdown event
        Normal NodeNotReady: Node node-1 status is now: NodeNotReady
        lease held by node-1 for 40 s
    "#]]
    .assert_eq(&bench.node());
    assert!(bench.kubelet.is_shut_down());
}
