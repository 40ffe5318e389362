//! Containers from start to end.

use std::time::Duration;

use expect_test::expect;

use super::world::{World, check, container, mount, script};
use crate::machinery::shell::files::FileTree;
use crate::machinery::shell::{Signal, Stream};
use crate::machinery::time::Time;
use crate::node::runtime::{ContainerConfig, ExecOptions, Id, RuntimeProfile, StreamInput};

#[test]
fn commands_run_and_end() {
    check(
        container("busybox", &[]),
        5.0,
        expect![[r#"
        0 Completed
    "#]],
    );
    check(
        script("echo hello; sleep 2; echo bye >&2; exit 3"),
        5.0,
        expect![[r#"
        [0.00s]
        hello
        [2.00s]
        ! bye
        3 Error
    "#]],
    );
    check(
        container("busybox", &["echo", "one", "two"]),
        1.0,
        expect![[r#"
        [0.00s]
        one two
        0 Completed
    "#]],
    );
    check(
        container("alpine:3.20", &["/bin/sh", "-c", "cat /etc/os-release; hostname; hostname -i; pwd; id"]),
        1.0,
        expect![[r#"
            [0.00s]
            NAME="Alpine Linux"
            ID=alpine
            web
            10.244.1.5
            /
            uid=0(root) gid=0(root) groups=0(root)
            0 Completed
        "#]],
    );
    check(
        script("i=0; while true; do echo \"$i: $(date +%T)\"; i=$((i+1)); sleep 1; done"),
        3.5,
        expect![[r#"
        [0.00s]
        0: 00:00:00
        [1.00s]
        1: 00:00:01
        [2.00s]
        2: 00:00:02
        [3.00s]
        3: 00:00:03
        Running
    "#]],
    );
    check(
        container("hello-world", &[]),
        1.0,
        expect![[r#"
        [0.00s]

        Hello from Docker!
        This message shows that your installation appears to be working correctly.

        0 Completed
    "#]],
    );
    check(
        container("perl:5.34", &["perl", "-Mbignum=bpi", "-wle", "print bpi(30)"]),
        1.0,
        expect![[r#"
        [0.00s]
        3.14159265358979323846264338328
        0 Completed
    "#]],
    );
    check(
        ContainerConfig { args: vec!["-c".into(), "echo from args".into()], ..container("busybox", &["sh"]) },
        1.0,
        expect![[r#"
            [0.00s]
            from args
            0 Completed
        "#]],
    );
    let env = vec![("GREETING".to_owned(), "hi".to_owned())];
    check(
        ContainerConfig { environment: env, directory: "/work/dir".into(), ..script("echo $GREETING $HOSTNAME $PWD") },
        1.0,
        expect![[r#"
            [0.00s]
            hi web /work/dir
            0 Completed
        "#]],
    );
}

#[test]
fn what_cannot_be_started() {
    check(
        container("nginx:1.25", &["/bin/doesnotexist"]),
        1.0,
        expect![[r#"
        128 StartError: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "/bin/doesnotexist": stat /bin/doesnotexist: no such file or directory
    "#]],
    );
    check(
        container("busybox", &["nonsense", "-x"]),
        1.0,
        expect![[r#"
        128 StartError: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "nonsense": executable file not found in $PATH
    "#]],
    );
    check(
        container("gcr.io/distroless/static", &["sh"]),
        1.0,
        expect![[r#"
        128 StartError: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "sh": executable file not found in $PATH
    "#]],
    );
    check(
        container("gcr.io/distroless/static", &[]),
        1.0,
        expect![[r#"
        not created: failed to generate container spec: failed to generate spec: no command specified
    "#]],
    );
    check(
        container("alpine", &["bash"]),
        1.0,
        expect![[r#"
        128 StartError: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "bash": executable file not found in $PATH
    "#]],
    );
    check(
        ContainerConfig { memory_limit: Some(64), ..script("sleep 1") },
        1.0,
        expect![[r#"
        128 StartError: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?)
    "#]],
    );
    check(
        ContainerConfig { args: vec!["--port=80".into()], ..container("nginx", &[]) },
        1.0,
        expect![[r#"
        [0.00s]
        ! /docker-entrypoint.sh: 18: exec: --port=80: not found
        127 Error
    "#]],
    );
    let mut world = World::new();
    world.runtime.put_volume(
        "scripts",
        FileTree::from_files([("run.sh", &b"#!/bin/sh\necho ran\n"[..])], 0o644, Time::default()),
        world.now,
    );
    let mut config = container("busybox", &["/scripts/run.sh"]);
    config.mounts.push(mount("/scripts", "scripts", true));
    let id = world.create(config.clone()).unwrap();
    world.runtime.start_container(&id, world.now).unwrap_err();
    assert!(world.end(&id).ends_with("exec: \"/scripts/run.sh\": permission denied"), "{}", world.end(&id));
    config.command = vec!["sh".into(), "/scripts/run.sh".into()];
    let id = world.start(config);
    world.pass(1.0);
    assert_eq!((world.log(&id).as_str(), world.end(&id).as_str()), ("[0.00s]\nran\n", "0 Completed"));
}

/// Starts, lets two seconds pass, stops with a grace period of five, and tells how long that took.
fn stopped(config: ContainerConfig, profile: RuntimeProfile) -> String {
    let mut world = World::with(profile, &[]);
    let id = world.start(config);
    world.pass(2.0);
    world.runtime.stop_container(&id, Duration::from_secs(5), world.now);
    world.pass(10.0);
    let status = world.runtime.container_status(&id).unwrap();
    let took = status.end.map(|end| world.seconds(end.time) - 2.0);
    format!("{} after {}s", world.end(&id), took.unwrap_or(f64::NAN))
}

#[test]
fn stopping() {
    let real = |config| stopped(config, RuntimeProfile::default());
    assert_eq!(real(script("sleep 100")), "137 Error after 5s");
    assert_eq!(real(container("busybox", &["sleep", "3600"])), "137 Error after 5s");
    assert_eq!(real(container("nginx", &[])), "0 Completed after 0s");
    assert_eq!(real(container("redis:7", &[])), "0 Completed after 0s");
    assert_eq!(real(container("registry.example/app:1", &[])), "0 Completed after 0s");
    // A trap waits for the command in the foreground.
    assert_eq!(real(script("trap 'exit 0' TERM; while true; do sleep 1; done")), "0 Completed after 1s");
    assert_eq!(real(script("trap 'exit 7' TERM; sleep 1000 & wait")), "7 Error after 0s");
    assert_eq!(real(script("trap : TERM; sleep 1000")), "137 Error after 5s");
    assert_eq!(real(script("sleep 4")), "0 Completed after 2s");
    assert_eq!(real(script("nginx() { sleep 1000; }; nginx")), "137 Error after 5s");
    assert_eq!(real(container("nginx", &["sh", "-c", "nginx -g 'daemon off;'"])), "0 Completed after 0s");
    assert_eq!(real(container("python:3.12", &["python", "-m", "http.server"])), "137 Error after 5s");
    // The recorded cases' runtime signalled every process.
    let recorded = |config| stopped(config, RuntimeProfile::recorded());
    assert_eq!(recorded(script("sleep 1000")), "137 Error after 5s");
    assert_eq!(recorded(container("busybox", &["sleep", "1000"])), "137 Error after 5s");
    assert_eq!(recorded(script("trap : TERM; sleep 1000")), "143 Error after 0s");
}

#[test]
fn memory() {
    let limited = |command: &[&str], image: &str, mebibytes: u64| ContainerConfig {
        memory_limit: Some(mebibytes << 20),
        ..container(image, command)
    };
    check(
        limited(&["stress", "--vm", "1", "--vm-bytes", "250M", "--vm-hang", "1"], "polinux/stress", 100),
        5.0,
        expect![[r#"
            [0.00s]
            stress: info: [1] dispatching hogs: 0 cpu, 0 io, 1 vm, 0 hdd
            137 OOMKilled
        "#]],
    );
    check(
        limited(&["stress", "--vm", "1", "--vm-bytes", "150M", "--vm-hang", "1"], "polinux/stress", 200),
        5.0,
        expect![[r#"
            [0.00s]
            stress: info: [1] dispatching hogs: 0 cpu, 0 io, 1 vm, 0 hdd
            Running
        "#]],
    );
    check(
        limited(&["sh", "-c", "echo filling; tail /dev/zero"], "busybox", 64),
        5.0,
        expect![[r#"
        [0.00s]
        filling
        137 OOMKilled
    "#]],
    );
    check(
        limited(&["sh", "-c", "head -c 500m /dev/zero | tail"], "busybox", 64),
        5.0,
        expect![[r#"
        137 OOMKilled
    "#]],
    );
    let mut mysql = limited(&[], "mysql:8", 128);
    mysql.environment.push(("MYSQL_ROOT_PASSWORD".into(), "x".into()));
    let mut world = World::new();
    let id = world.start(mysql);
    world.pass(30.0);
    assert_eq!(world.end(&id), "137 OOMKilled");
    let id = world.start(limited(&["stress", "--vm", "1", "--vm-bytes", "150M", "--cpu", "2"], "polinux/stress", 200));
    world.pass(3.0);
    let stats = world.runtime.stats(&id, world.now).unwrap();
    assert_eq!((stats.memory_bytes >> 20, stats.processor_millis), (151, 3000));
    world.runtime.update_limits(&id, Some(100 << 20), None, world.now);
    world.pass(1.0);
    assert_eq!(world.end(&id), "137 OOMKilled");
}

#[test]
fn what_annotations_direct() {
    let mut world = World::with(
        RuntimeProfile::recorded(),
        &[("kubetab/exit", "1@2s,oom@500ms,0@3s"), ("kubetab/exit.side", "forever")],
    );
    let ids: Vec<Id> =
        (0..4).map(|attempt| world.start(ContainerConfig { attempt, ..container("busybox", &[]) })).collect();
    let side = world.start(ContainerConfig { name: "side".into(), ..script("echo logged; exit 9") });
    world.pass(10.0);
    let ends: Vec<String> = ids.iter().map(|id| world.end(id)).collect();
    assert_eq!(ends, ["1 Error", "137 OOMKilled", "0 Completed", "0 Completed"]);
    assert_eq!(
        world.told[5..].iter().map(|told| &told[..8]).collect::<Vec<_>>(),
        ["[0.50s] ", "[2.00s] ", "[3.00s] ", "[3.00s] "]
    );
    assert_eq!((world.end(&side).as_str(), world.log(&side).as_str()), ("Running", "[0.00s]\nlogged\n"));
}

#[test]
fn faults() {
    let mut world = World::new();
    let id = world.start(container("nginx", &[]));
    world.pass(1.0);
    world.runtime.crash_container(&id, 139, world.now);
    world.pass(1.0);
    assert_eq!(world.told.last().unwrap(), "[1.00s] died: 139 Error");
    for image in ["nginx:1.27", "quay.io/x/y:1"] {
        world.runtime.set_unpullable(if image.starts_with("quay") { "quay.io" } else { image }, true);
        world.runtime.pull_image(image, world.now).unwrap();
    }
    world.runtime.pull_image("nginx:1.26", world.now).unwrap();
    world.pass(60.0);
    world.runtime.set_unpullable("nginx:1.27", false);
    world.runtime.pull_image("nginx:1.27", world.now).unwrap();
    world.pass(60.0);
    expect![[r#"
        not pulled nginx:1.27: rpc error: code = Unavailable desc = failed to pull and unpack image "docker.io/library/nginx:1.27": failed to resolve reference "docker.io/library/nginx:1.27": failed to do request: Head "https://registry-1.docker.io/v2/library/nginx/manifests/1.27": dial tcp: connect: connection refused
        not pulled quay.io/x/y:1: rpc error: code = Unavailable desc = failed to pull and unpack image "quay.io/x/y:1": failed to resolve reference "quay.io/x/y:1": failed to do request: Head "https://quay.io/v2/x/y/manifests/1": dial tcp: connect: connection refused
        pulled nginx:1.26: 72000000 bytes
        pulled nginx:1.27: 72000000 bytes
    "#]].assert_eq(
        &world.told[2..].iter().map(|told| format!("{}\n", &told[told.find(']').unwrap() + 2..])).collect::<String>(),
    );
}

#[test]
fn execs() {
    let mut world = World::new();
    let id = world.start(script("touch /tmp/ok; sleep 4; rm /tmp/ok; sleep 600"));
    world.pass(1.0);
    assert_eq!(world.exec(&id, &["cat", "/tmp/ok"]), "");
    world.pass(4.0);
    assert_eq!(world.exec(&id, &["cat", "/tmp/ok"]), "cat: can't open '/tmp/ok': No such file or directory\nexit 1\n");
    assert_eq!(world.exec(&id, &["sh", "-c", "sleep 2; echo $HOSTNAME; exit 5"]), "web\nexit 5\n");
    expect![[r#"
        PID   USER     TIME  COMMAND
            1 root      0:00 sleep 600
            7 root      0:00 ps
    "#]]
    .assert_eq(&world.exec(&id, &["ps"]));
    expect![[r#"
        error: failed to exec in container: failed to start exec "": OCI runtime exec failed: exec failed: unable to start container process: exec: "foo": executable file not found in $PATH
    "#]].assert_eq(&world.exec(&id, &["foo"]).replace(|c: char| c.is_ascii_digit(), ""));
    assert_eq!(world.exec(&id, &["kill", "-9", "1"]), "", "process 1 is spared from within");
    assert_eq!(world.exec(&id, &["sh", "-c", "echo seen > /proc/1/fd/1"]), "");
    assert!(world.log(&id).ends_with("seen\n"));
    // A command that runs too long is ended by whoever gave it its time.
    let exec = world.runtime.exec(&id, &["sleep".into(), "100".into()], ExecOptions::default(), world.now).unwrap();
    world.runtime.signal_exec(exec, Signal::Kill, world.now);
    assert_eq!(world.runtime.take_exec_result(exec).unwrap().code, 137);
    // A terminal.
    let options = ExecOptions { stdin: true, terminal: true };
    let exec = world.runtime.exec(&id, &["sh".into()], options, world.now).unwrap();
    let (mut shown, mut seen) = (String::new(), 0);
    for line in ["cd /etc\n", "ls h*; false\n", "exit\n"] {
        world.runtime.exec_input(exec, &StreamInput::Text(line.to_owned()), world.now);
        world.pass(0.1);
        let (output, now, _) = world.runtime.exec_output(exec, seen).expect("it is remembered");
        seen = now;
        shown.extend(output.iter().map(|output| String::from_utf8_lossy(&output.bytes).into_owned()));
    }
    expect![[r#"
        / # /etc # hostname
        /etc # "#]]
    .assert_eq(&shown);
    assert_eq!(world.runtime.exec_output(exec, seen).map(|(_, _, code)| code), Some(Some(1)));
    world.runtime.stop_container(&id, Duration::ZERO, world.now);
    expect![[r#"
        error: container "ID" is in CONTAINER_EXITED state
    "#]]
    .assert_eq(&world.exec(&id, &["true"]).replace(&*id, "ID"));
}

#[test]
fn containers_share_volumes() {
    let mut world = World::new();
    world.runtime.put_volume("logs", FileTree::new(), world.now);
    let with_logs = |config: ContainerConfig, read_only| ContainerConfig {
        mounts: vec![mount("/var/log/app", "logs", read_only)],
        ..config
    };
    let writer = world.start(with_logs(
        script("i=0; while true; do echo line $i >> /var/log/app/log; i=$((i+1)); sleep 2; done"),
        false,
    ));
    let reader = world.start(with_logs(script("tail -n+1 -F /var/log/app/log"), true));
    let failing = world.start(with_logs(script("echo x > /var/log/app/x"), true));
    world.pass(5.0);
    expect![[r#"
        [0.00s]
        line 0
        [2.10s]
        line 1
        [4.10s]
        line 2
    "#]]
    .assert_eq(&world.log(&reader));
    expect![[r#"
        [0.00s]
        ! sh: can't create /var/log/app/x: Read-only file system
        1 Error"#]]
    .assert_eq(&format!("{}{}", world.log(&failing), world.end(&failing)));
    assert_eq!(world.runtime.volume("logs").unwrap().usage(), 21);
    assert_eq!(world.runtime.read_file(&writer, "/var/log/app/log").unwrap().len(), 21);
    // A new version of a ConfigMap is noticed by who watches it.
    let now = world.now;
    world.runtime.put_volume(
        "logs",
        FileTree::from_files([("log", &b"line 0\nline 1\nline 2\nchanged\n"[..])], 0o644, now),
        now,
    );
    world.pass(0.5);
    assert!(world.log(&reader).ends_with("[5.10s]\nchanged\n"), "{}", world.log(&reader));
}

#[test]
fn what_rests_costs_nothing() {
    let mut world = World::new();
    for config in [
        container("nginx", &[]),
        container("redis", &[]),
        container("busybox", &["sleep", "infinity"]),
        script("tail -f /dev/null"),
        script("trap 'exit' TERM; sleep 86400 & wait"),
    ] {
        world.start(config);
    }
    world.pass(10.0);
    let wakes = world.wakes;
    world.pass(3600.0);
    assert_eq!(world.wakes, wakes);
    // A loop without end costs little, and less as it goes on.
    let id = world.start(script("while true; do :; done"));
    world.pass(3600.0);
    assert!(world.wakes < 1000, "{}", world.wakes);
    assert_eq!(world.runtime.stats(&id, world.now).unwrap().processor_millis, 1000);
    world.runtime.stop_container(&id, Duration::from_secs(2), world.now);
    world.pass(3.0);
    assert_eq!(world.end(&id), "137 Error");
}

#[test]
fn removal_and_logs() {
    let mut world = World::new();
    let first = world.start(script("echo first; printf 'no end'; exit 1"));
    let second = world.start(ContainerConfig { attempt: 1, ..script("echo second; sleep 100") });
    world.pass(1.0);
    assert_eq!(world.log(&first), "[0.00s]\nfirst\nno end\n");
    world.runtime.remove_container(&second);
    assert_eq!(world.runtime.list_containers(&world.sandbox).count(), 2, "what runs is not removed");
    world.runtime.remove_container(&first);
    assert_eq!(world.log(&second), "[0.00s]\nsecond\n");
    let sandbox = Id::clone(&world.sandbox);
    world.runtime.remove_sandbox(&sandbox, world.now);
    assert_eq!((world.runtime.list_containers(&sandbox).count(), world.runtime.sandboxes().count()), (0, 0));
    world.pass(1.0);
    assert!(!world.told.is_empty());
}

#[test]
fn a_copy_goes_its_own_way_and_chance_repeats() {
    let run = |mut world: World, id: &Id| {
        world.pass(30.0);
        (world.log(id), world.told)
    };
    let mut world = World::new();
    let id = world.start(script("while sleep $((RANDOM % 3 + 1)); do echo $RANDOM; wget -qO- http://web/x; done"));
    world.pass(5.5);
    let copy = world.clone();
    let first = run(world, &id);
    assert_eq!(first, run(copy, &id));
    let mut again = World::new();
    let other = again.start(script("while sleep $((RANDOM % 3 + 1)); do echo $RANDOM; wget -qO- http://web/x; done"));
    assert_eq!(id, other);
    again.pass(5.5);
    assert_eq!(first, run(again, &other));
}

#[test]
fn standard_input() {
    let mut world = World::new();
    let id = world.start(ContainerConfig { stdin: true, ..script("read name; echo hello $name") });
    world.pass(5.0);
    assert_eq!(world.end(&id), "Running");
    world.runtime.container_input(&id, &StreamInput::Text("world\n".to_owned()), world.now);
    world.pass(1.0);
    assert_eq!((world.log(&id).as_str(), world.end(&id).as_str()), ("[5.00s]\nhello world\n", "0 Completed"));
    let id = world.start(ContainerConfig { stdin: true, terminal: true, ..container("ubuntu", &[]) });
    world.pass(5.0);
    assert_eq!(world.end(&id), "Running");
    let lines = world.runtime.logs_after(&id, 0);
    assert!(lines.0.iter().all(|line| line.stream == Stream::Error));
}

#[test]
fn what_the_machine_lacks_and_what_it_makes() {
    let mut world = World::new();
    let seccomp = Some("/var/lib/kubelet/seccomp/profiles/audit.json".to_owned());
    let error = world.create(ContainerConfig { seccomp_profile: seccomp, ..script("true") }).unwrap_err();
    assert!(error.starts_with("failed to create containerd container: cannot load seccomp profile"), "{error}");
    let profile = Some("deny-write".to_owned());
    let error = world.create(ContainerConfig { app_armor_profile: profile, ..script("true") }).unwrap_err();
    assert!(error.ends_with("apparmor profile not found deny-write"), "{error}");
    world.runtime.put_volume("data", FileTree::new(), world.now);
    let mut below = mount("/data", "data", false);
    "mysql/1".clone_into(&mut below.sub_path);
    let groups = vec![2000, 4000];
    let config = ContainerConfig {
        mounts: vec![below],
        user: Some(1000),
        group: Some(3000),
        groups,
        ..script("cd /data && id")
    };
    let id = world.start(config);
    world.pass(1.0);
    assert!(world.log(&id).ends_with("uid=1000 gid=3000 groups=2000,3000,4000\n"), "{}", world.log(&id));
}
