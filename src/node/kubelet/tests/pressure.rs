//! A node that runs short of memory or disk, and one that is shut down.

use expect_test::expect;

use super::super::NodeConfig;
use super::harness::Bench;

fn small(memory: &str, disk: &str) -> Bench {
    let capacity = [("memory", memory), ("ephemeral-storage", disk)];
    let capacity = capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into();
    let mut bench = Bench::with(NodeConfig { capacity, ..NodeConfig::default() });
    bench.run("70s");
    bench
}

const IDLE: &str = "
    terminationGracePeriodSeconds: 1
    containers:
    - {name: c, image: 'nginx:1.25'}
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
    bench.create("greedy", IDLE, "{kubetab/memory: '50Mi@20s,1700Mi'}");
    bench.run("50s");
    expect![[r#"
    "#]]
    .assert_eq(&end(&bench, "greedy"));
    expect![[r#"
    "#]]
    .assert_eq(&end(&bench, "modest"));
    expect![[r#"
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
    "#]]
    .assert_eq(&(end(&bench, "late") + &end(&bench, "asks")));
    bench.run("330s");
    expect![[r#"
    "#]]
    .assert_eq(&bench.node());
}

#[test]
fn who_exceeds_requests_goes_before_who_is_less_important() {
    let mut bench = small("2Gi", "100Gi");
    let pod = |request: &str, priority: i32| {
        format!(
            "
    priority: {priority}
    containers:
    - {{name: c, image: 'nginx:1.25', resources: {{requests: {{memory: {request}}}}}}}
    "
        )
    };
    for (name, request, priority, used) in
        [("within", "900Mi", 0, "800Mi"), ("above", "100Mi", 5, "300Mi"), ("far-above", "100Mi", 9, "600Mi")]
    {
        bench.create(name, &pod(request, priority), &format!("{{kubetab/memory: '10Mi@20s,{used}'}}"));
    }
    bench.run("60s");
    expect![[r#"
    "#]]
    .assert_eq(&["within", "above", "far-above"].map(|name| end(&bench, name)).concat());
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
    "#]]
    .assert_eq(&["volume", "container", "pod", "fits"].map(|name| end(&bench, name)).concat());
}

#[test]
fn images_go_when_the_disk_is_nearly_full() {
    let mut bench = small("8Gi", "1000M");
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
    bench.run("200s");
    bench.create("c", &IDLE.replace("nginx:1.25", "postgres:16"), "{}");
    bench.run("400s");
    expect![[r#"
    "#]]
    .assert_eq(&format!("{before}\n{}\n{}", images(&bench), bench.node()));
}

#[test]
fn a_node_that_is_shut_down_ends_its_pods_in_order() {
    let mut bench = small("8Gi", "100Gi");
    let stubborn = "
    terminationGracePeriodSeconds: 60
    containers:
    - {name: c, image: 'busybox:1.36', command: [sleep, '1000']}
    ";
    bench.create("web", IDLE, "{}");
    bench.create("stubborn", stubborn, "{}");
    bench.create("critical", &format!("\n    priority: 2000000000{IDLE}"), "{}");
    bench.run("10s");
    bench.fault(|kubelet, client| kubelet.shut_down(30, 10, client));
    bench.run("1s");
    bench.create("late", IDLE, "{}");
    bench.run("30s");
    expect![[r#"
    "#]]
    .assert_eq(&["web", "stubborn", "critical", "late"].map(|name| end(&bench, name)).concat());
    expect![[r#"
    "#]]
    .assert_eq(&["web", "stubborn", "critical"].map(|name| bench.history(name) + "\n").concat());
    expect![[r#"
    "#]]
    .assert_eq(&bench.node());
    assert!(bench.kubelet.is_shut_down());
}
