//! What becomes of a cluster when something goes wrong with its machines and components: what the simulator
//! (`tests/simulate`) found, and the faults themselves.

use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kubetab::api::{Kind, Object, ObjectKey};
use kubetab::session::{Action, Disturbance, File, NodeName, ObjectName, Session, SessionConfig, SessionLog};
use kubetab::sim::{ComponentFault, Profile};
use serde_json::{Value, json};

fn session(nodes: u32) -> Session {
    let profile = Profile { nodes, ..Profile::bare() };
    let mut session = Session::new(SessionConfig { profile, ..SessionConfig::default() });
    run(&mut session, 20);
    session
}

fn run(session: &mut Session, seconds: u64) {
    session.run_until(session.now() + Duration::from_secs(seconds));
}

#[track_caller]
fn act(session: &mut Session, action: Action) -> Vec<String> {
    let outcome = session.act(action).expect("a small action is taken");
    assert!(outcome.is_success(), "{outcome:?}");
    outcome.lines
}

fn apply(manifest: &Value) -> Action {
    let files = vec![File { name: "a.json".to_owned(), text: manifest.to_string() }];
    Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
}

fn delete(kind: &str, name: &str, grace: Option<i64>) -> Action {
    let api_version = if kind == "Pod" { "v1" } else { "apps/v1" };
    let object = ObjectName {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
    };
    Action::Delete { object, propagation: None, grace_period_seconds: grace }
}

fn disturb(component: &str, fault: ComponentFault) -> Action {
    Action::Disturb(Disturbance { component: component.to_owned(), fault })
}

fn node(name: &str) -> NodeName {
    NodeName { name: name.to_owned() }
}

fn pod(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "terminationGracePeriodSeconds": 1, "containers": [{ "name": "c", "image": image }] },
    })
}

fn deployment(replicas: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "terminationGracePeriodSeconds": 1, "containers": [{ "name": "c", "image": "nginx:1.27" }] },
            },
        },
    })
}

fn stored(session: &Session, name: &str) -> Option<Pod> {
    let found = session.cluster().api().etcd().get(Kind::Pod, &ObjectKey::new("default", name))?;
    found.downcast::<Pod>().map(|pod| (**pod).clone())
}

fn pods(session: &Session) -> Vec<Pod> {
    let etcd = session.cluster().api().etcd();
    etcd.range(Kind::Pod, None)
        .filter_map(|(_, object)| Object::downcast::<Pod>(object))
        .map(|pod| (**pod).clone())
        .collect()
}

fn ready(session: &Session) -> usize {
    let is_ready = |pod: &&Pod| {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    pods(session).iter().filter(is_ready).count()
}

/// How the pods of a name changed: phase and containers, a line for each state.
fn course(session: &Session, name: &str) -> String {
    let mut text = String::new();
    for commit in session.cluster().api().etcd().commits(0) {
        let Some(pod) = commit.object().downcast::<Pod>().filter(|_| &*commit.key.name == name) else { continue };
        let status = pod.status.clone().unwrap_or_default();
        let mut line = status.phase.unwrap_or_default();
        for one in status.container_statuses.into_iter().flatten() {
            let state = one.state.unwrap_or_default();
            let what = state.waiting.map(|waiting| waiting.reason.unwrap_or_default());
            let what = what.or(state.running.map(|_| "running".to_owned()));
            let what = what
                .or(state.terminated.map(|ended| format!("{} {}", ended.exit_code, ended.reason.unwrap_or_default())));
            let _ = write!(line, ", {} after {} restarts", what.unwrap_or_default(), one.restart_count);
            if let Some(last) = one.last_state.and_then(|last| last.terminated) {
                let _ = write!(line, " (before: {} {})", last.exit_code, last.reason.unwrap_or_default());
            }
        }
        line += if commit.after.is_none() { ", gone\n" } else { "\n" };
        if !text.ends_with(&line) {
            text += &line;
        }
    }
    text
}

#[test]
fn a_machine_that_lost_its_power_knows_what_ran_and_counts_restarts_on() {
    let mut session = session(1);
    act(&mut session, apply(&pod("web", "nginx:1.27")));
    run(&mut session, 10);
    for _ in 0..2 {
        act(&mut session, Action::StopNode(node("node-1")));
        run(&mut session, 5);
        act(&mut session, Action::StartNode(node("node-1")));
        run(&mut session, 15);
    }
    let pod = stored(&session, "web").expect("nobody deleted it");
    let status = pod.status.and_then(|status| status.container_statuses).expect("it runs").remove(0);
    assert_eq!((status.restart_count, status.ready), (2, true));
    let ended = status.last_state.and_then(|last| last.terminated).expect("it ran before");
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (255, Some("Unknown")));
}

#[test]
fn a_kubelet_that_starts_again_ends_what_was_deleted_meanwhile() {
    let mut session = session(1);
    act(&mut session, apply(&pod("web", "nginx:1.27")));
    run(&mut session, 10);
    assert_eq!(session.cluster().running_pods("node-1").len(), 1);
    // Without a grace period the pod is gone from the API before its kubelet can hear of it.
    act(&mut session, disturb("kubelet/node-1", ComponentFault::SlowWatch { milliseconds: 5_000 }));
    act(&mut session, delete("Pod", "web", Some(0)));
    act(&mut session, disturb("kubelet/node-1", ComponentFault::Restart));
    act(&mut session, disturb("kubelet/node-1", ComponentFault::SlowWatch { milliseconds: 0 }));
    assert_eq!(session.cluster().running_pods("node-1").len(), 1, "nobody has looked yet");
    run(&mut session, 10);
    assert_eq!(session.cluster().running_pods("node-1"), []);
}

#[test]
fn a_kubelet_that_starts_again_lets_its_pods_run_on() {
    let mut session = session(1);
    act(&mut session, apply(&deployment(3)));
    run(&mut session, 15);
    let before = session.cluster().running_pods("node-1");
    act(&mut session, disturb("kubelet/node-1", ComponentFault::Restart));
    run(&mut session, 30);
    assert_eq!(session.cluster().running_pods("node-1"), before);
    let restarts = pods(&session).into_iter().filter_map(|pod| pod.status?.container_statuses).flatten();
    assert_eq!(restarts.map(|status| status.restart_count).sum::<i32>(), 0);
    assert_eq!(ready(&session), 3);
}

#[test]
fn a_pod_that_ends_before_it_ran_has_failed() {
    let mut session = session(1);
    let mut kept = pod("kept", "nginx:404");
    kept["metadata"]["finalizers"] = json!(["example.com/look-at-it"]);
    act(&mut session, apply(&kept));
    run(&mut session, 10);
    act(&mut session, delete("Pod", "kept", None));
    run(&mut session, 10);
    let last = course(&session, "kept").lines().last().unwrap_or("").to_owned();
    assert_eq!(last, "Failed, 137 ContainerStatusUnknown after 0 restarts");
}

#[test]
fn whose_watches_break_or_expire_misses_nothing() {
    for fault in [ComponentFault::BreakWatch, ComponentFault::ExpireWatch, ComponentFault::Restart] {
        let mut session = session(2);
        act(&mut session, apply(&deployment(2)));
        for wait in 0..40 {
            act(&mut session, disturb("kube-apiserver", fault));
            session.run_until(session.now() + Duration::from_millis(3 + wait * 7));
            assert_eq!(session.cluster().stale_caches(), Vec::<String>::new(), "{fault:?}");
        }
        run(&mut session, 20);
        assert_eq!(ready(&session), 2, "{fault:?}");
    }
}

#[test]
fn a_pod_that_was_replaced_while_watches_were_broken_is_one_change() {
    let mut session = session(1);
    act(&mut session, apply(&pod("web", "nginx:1.27")));
    run(&mut session, 10);
    act(&mut session, disturb("kubelet/node-1", ComponentFault::SlowWatch { milliseconds: 5_000 }));
    act(&mut session, delete("Pod", "web", Some(0)));
    let mut again = pod("web", "nginx:1.28");
    again["spec"]["nodeName"] = json!("node-1");
    act(&mut session, apply(&again));
    act(&mut session, disturb("kubelet/node-1", ComponentFault::ExpireWatch));
    act(&mut session, disturb("kubelet/node-1", ComponentFault::SlowWatch { milliseconds: 0 }));
    run(&mut session, 20);
    let uid = stored(&session, "web").and_then(|pod| pod.metadata.uid).expect("it is there");
    let running: Vec<String> =
        session.cluster().running_pods("node-1").into_iter().map(|(_, uid)| uid.to_string()).collect();
    assert_eq!(running, [uid], "the pod before it does not run any more");
}

#[test]
fn while_etcd_is_full_nothing_can_be_written_and_afterwards_all_is_made_up_for() {
    let mut session = session(2);
    act(&mut session, apply(&deployment(2)));
    run(&mut session, 15);
    act(&mut session, Action::FillStore { full: true });
    let refused = session.act(apply(&deployment(3))).expect("a small action is taken");
    let said = format!("{refused:?}");
    assert!(said.contains("etcdserver: mvcc: database space exceeded"), "{said}");
    let before = session.cluster().api().etcd().revision();
    run(&mut session, 20);
    assert_eq!(session.cluster().api().etcd().revision(), before);
    act(&mut session, Action::FillStore { full: false });
    act(&mut session, apply(&deployment(3)));
    run(&mut session, 20);
    assert_eq!(ready(&session), 3);
}

#[test]
fn without_its_scheduler_a_cluster_binds_no_pod() {
    let mut session = session(2);
    act(&mut session, disturb("kube-scheduler", ComponentFault::Stop));
    act(&mut session, apply(&deployment(2)));
    run(&mut session, 60);
    assert_eq!((pods(&session).len(), ready(&session)), (2, 0));
    act(&mut session, disturb("kube-scheduler", ComponentFault::Start));
    run(&mut session, 15);
    assert_eq!(ready(&session), 2);
}

#[test]
fn what_cannot_go_wrong_is_refused_and_faults_are_played_again() {
    let mut session = session(1);
    let mut said = String::new();
    for (component, fault) in [
        ("kube-schedule", ComponentFault::Stop),
        ("kubelet/node-9", ComponentFault::Restart),
        ("kubelet/node-1", ComponentFault::Stop),
        ("kube-scheduler", ComponentFault::Start),
        ("kube-scheduler", ComponentFault::SlowWatch { milliseconds: u32::MAX }),
    ] {
        let outcome = session.act(disturb(component, fault)).expect("a small action is taken");
        said += &outcome.refusals.concat();
        said += "\n";
    }
    expect_test::expect![[r#"
        there is no component "kube-schedule"
        there is no component "kubelet/node-9"
        kubelet/node-1 runs as long as its node does: stop or start the node
        kube-scheduler runs already
        4294967295 ms are too many: at most 600000 are taken
    "#]]
    .assert_eq(&said);
    act(&mut session, disturb("kube-controller-manager", ComponentFault::SlowWatch { milliseconds: 800 }));
    act(&mut session, apply(&deployment(2)));
    act(&mut session, disturb("kube-scheduler", ComponentFault::Restart));
    run(&mut session, 30);
    let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
    assert_eq!(Session::from_log(log).hash(), session.hash());
}
