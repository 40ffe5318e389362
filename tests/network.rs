//! What a student sees of the network: commands in pods and what they print.
//!
//! A file of `tests/cases/network` is a transcript. What is done in it is done again, and what comes of it must be what
//! stands there; `UPDATE_EXPECT=1` writes it anew. Its lines:
//!
//! - `=== TITLE` begins a case, in a cluster of three nodes that is 20 seconds old;
//! - `apply:`, then a manifest, then `end`;
//! - `do: ACTION` is one action of a session's log as JSON;
//! - `wait 5s` lets time pass;
//! - `POD$ COMMAND` and `POD.NAMESPACE$ COMMAND` run a command in a pod; what it prints follows, with its exit code when
//!   that is not 0 and its time when that is long;
//! - `outside$ URL [HEADER…]` is one request from outside; `traffic` tells what traffic generators counted;
//! - every other line is a remark until the first command, and output after that.

use std::fmt::Write as _;
use std::time::Duration;

use kubetab::api::{Kind, ObjectKey};
use kubetab::machinery::shell::{NetworkAnswer, Output};
use kubetab::session::{Action, ExecCommand, File, PodRequest, Session, SessionConfig, SessionLog};
use kubetab::sim::{PodAnswer, TrafficSpec};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Shorter times are not told.
const LONG: Duration = Duration::from_millis(500);

fn pass(session: &mut Session, duration: Duration) {
    session.run_until(session.now() + duration);
}

fn act(session: &mut Session, action: Action) {
    let outcome = session.act(action).expect("a small action is taken");
    assert!(outcome.is_success(), "{outcome:?}");
}

/// Runs a command in a pod, and tells what it printed.
fn run(session: &mut Session, pod: &str, command: &str) -> String {
    let (pod, namespace) = pod.split_once('.').unwrap_or((pod, "default"));
    let command = ExecCommand {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        command: ["sh", "-c", command].map(str::to_owned).into(),
        ..ExecCommand::default()
    };
    let stream = match session.exec(&command) {
        Ok(stream) => stream,
        Err(status) => return format!("error: {}\n", status.message()),
    };
    let began = session.now();
    let text = |output: &[Output]| -> String {
        output.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned()).collect()
    };
    loop {
        let answer = session.cluster().exec_output(&stream, 0);
        let taken = session.now().since(began);
        if answer.ended || taken > PATIENCE {
            let mut told = text(&answer.output);
            if !told.is_empty() && !told.ends_with('\n') {
                told.push('\n');
            }
            match answer.exit_code {
                Some(0) => {}
                Some(code) => writeln!(told, "(exit {code})").expect("a text grows"),
                None => told.push_str("(no end)\n"),
            }
            if taken >= LONG {
                writeln!(told, "({:.1} s)", taken.as_secs_f64()).expect("a text grows");
            }
            return told;
        }
        pass(session, Duration::from_millis(10));
    }
}

/// Sends one request from outside.
fn from_outside(session: &mut Session, words: &str) -> String {
    let mut words = words.split_whitespace();
    let url = words.next().unwrap_or_default().to_owned();
    let headers = words.filter_map(|word| word.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let spec =
        TrafficSpec { name: "once".to_owned(), url, headers, per_second: 1, seconds: 1, ..TrafficSpec::default() };
    act(session, Action::StartTraffic(spec));
    let began = session.now();
    loop {
        pass(session, Duration::from_millis(10));
        let cluster = session.cluster();
        let report = cluster.traffic().find(|(spec, _)| spec.name == "once").map(|(_, report)| report.last.clone());
        let last = report.unwrap_or_default();
        if !last.is_empty() || session.now().since(began) > PATIENCE {
            return format!("{}\n", last.trim_end());
        }
    }
}

/// What traffic generators counted.
fn tell_traffic(session: &Session) -> String {
    let mut told = String::new();
    for (spec, report) in session.cluster().traffic() {
        let failures: Vec<String> = report.failures.iter().map(|(why, count)| format!("{count} {why}")).collect();
        let (sent, succeeded) = (report.sent, report.succeeded);
        let half = report.latency_ms(500).map_or_else(|| "-".to_owned(), |millis| millis.to_string());
        writeln!(
            told,
            "{}: {sent} sent, {succeeded} answered, half within {half} ms, failed: [{}]",
            spec.name,
            failures.join(", ")
        )
        .expect("a text grows");
    }
    told
}

fn fresh() -> Session {
    let mut session = Session::new(SessionConfig::default());
    pass(&mut session, Duration::from_secs(20));
    session
}

/// Plays a transcript, and gives the one that comes of it, with the last case's session.
fn play(text: &str) -> (String, Session) {
    let mut session = fresh();
    let mut told = String::new();
    let mut lines = text.lines();
    let mut is_output = false;
    while let Some(line) = lines.next() {
        let command = line.split_once("$ ").filter(|(pod, _)| !pod.is_empty() && !pod.contains([' ', ':']));
        if line.starts_with("# ") {
            writeln!(told, "{line}").expect("a text grows");
            continue;
        }
        if line.starts_with("===") {
            (session, is_output) = (fresh(), false);
            if !told.is_empty() {
                told.push('\n');
            }
        } else if line != "apply:" && line != "traffic" && command.is_none() {
            let is_step = ["do: ", "wait "].iter().any(|word| line.starts_with(word));
            if is_output && !is_step {
                continue;
            }
        }
        writeln!(told, "{line}").expect("a text grows");
        if line == "apply:" {
            let mut manifest = String::new();
            for line in lines.by_ref() {
                writeln!(told, "{line}").expect("a text grows");
                if line == "end" {
                    break;
                }
                writeln!(manifest, "{line}").expect("a text grows");
            }
            let files = vec![File { name: "a.yaml".to_owned(), text: manifest }];
            act(&mut session, Action::Apply { files, namespace: "default".to_owned(), dry_run: false });
        } else if let Some(action) = line.strip_prefix("do: ") {
            act(&mut session, serde_json::from_str(action).expect("an action"));
        } else if let Some(seconds) = line.strip_prefix("wait ") {
            let seconds: f64 = seconds.trim_end_matches('s').parse().expect("a number of seconds");
            pass(&mut session, Duration::from_secs_f64(seconds));
        } else if line == "traffic" {
            told.push_str(&tell_traffic(&session));
            is_output = true;
        } else if let Some((pod, command)) = command {
            let printed =
                if pod == "outside" { from_outside(&mut session, command) } else { run(&mut session, pod, command) };
            // nginx ends the lines of its own pages as DOS did.
            told.push_str(&printed.replace('\r', ""));
            is_output = true;
        }
    }
    (told, session)
}

#[test]
fn a_rolling_update_loses_requests_unless_its_pods_are_careful() {
    let (_, session) = play(include_str!("cases/network/rollout.txt"));
    let report = |name: &str| {
        let mut all = session.cluster().traffic();
        all.find(|(spec, _)| spec.name == name).map(|(_, report)| report.clone()).expect("there is such a client")
    };
    let (careful, careless, plain) = (report("to careful"), report("to careless"), report("to plain"));
    for report in [&careful, &careless, &plain] {
        assert_eq!((report.sent, report.succeeded + report.failed()), (3_000, 3_000), "{report:?}");
    }
    assert_eq!(careful.failed(), 0, "{:?}", careful.failures);
    // A pod without a readiness probe counts as ready before its server listens.
    assert!(careless.failures["Connection refused"] > 10, "{:?}", careless.failures);
    // A pod without a preStop hook is gone before all nodes know it.
    assert!((5..300).contains(&plain.failed()), "{:?}", plain.failures);
    assert!(plain.latency_ms(500).is_some_and(|millis| millis <= 10), "{plain:?}");
    let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
    assert_eq!(Session::from_log(log).hash(), session.hash(), "played again");
}

#[test]
fn a_server_that_ends_cuts_the_connections_that_it_has() {
    let (_, mut session) = play(include_str!("cases/network/slow.txt"));
    let delete = r#"{"delete": {"object": {"apiVersion": "v1", "kind": "Pod", "name": "slow", "namespace": "default"}, "gracePeriodSeconds": 1}}"#;
    act(&mut session, serde_json::from_str(delete).expect("an action"));
    pass(&mut session, Duration::from_secs(10));
    let (_, report) = session.cluster().traffic().next().expect("there is a client");
    assert!(report.failures["Connection reset by peer"] >= 1, "{:?}", report.failures);
    assert!(report.succeeded > 10, "{report:?}");
}

/// Whether a pod is ready.
fn is_ready(session: &Session, pod: &str) -> bool {
    let key = ObjectKey::new("default", pod);
    let pod = session.cluster().api().etcd().get(Kind::Pod, &key).expect("the pod is there").to_value();
    pod["status"]["containerStatuses"][0]["ready"] == true
}

#[test]
fn a_forwarded_port_reaches_through_a_proxy() {
    let (_, mut session) = play(include_str!("cases/network/frontend.txt"));
    let request = PodRequest {
        namespace: "default".to_owned(),
        pod: "frontend".to_owned(),
        port: 80,
        method: "GET".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: None,
    };
    assert!(is_ready(&session, "frontend"), "its probe is passed on, too");
    let PodAnswer::UnderWay(number) = session.pod_request(&request).expect("it is brought there") else {
        panic!("the frontend has nothing of its own")
    };
    pass(&mut session, Duration::from_secs(1));
    let Some(NetworkAnswer::Http(answer)) = session.cluster().outside_answer(number) else { panic!("no answer") };
    assert_eq!(String::from_utf8_lossy(&answer.body), "{\"message\":\"Hello\"}\n");
    let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
    assert_eq!(Session::from_log(log).hash(), session.hash(), "played again");
    let delete =
        r#"{"delete": {"object": {"apiVersion": "v1", "kind": "Pod", "name": "backend", "namespace": "default"}}}"#;
    act(&mut session, serde_json::from_str(delete).expect("an action"));
    pass(&mut session, Duration::from_secs(40));
    assert!(!is_ready(&session, "frontend"), "a proxy is not ready when what is behind it is gone");
}

#[test]
fn a_cluster_in_which_pods_only_ask_again_and_again_is_idle() {
    let (_, mut session) = play(include_str!("cases/network/loop.txt"));
    let limit = session.now() + Duration::from_secs(600);
    assert!(session.run_until_idle(limit), "nothing is left but what goes on for ever");
    assert!(session.now() < limit);
    let log = |session: &Session| {
        let options = kubetab::sim::PodLogOptions::default();
        session.cluster().pod_logs("default", "loop", &options).expect("it runs").len()
    };
    let before = log(&session);
    pass(&mut session, Duration::from_secs(30));
    assert!(log(&session) >= before + 25, "it goes on");
}

/// Plays a transcript of one's own, and prints what comes of it.
#[test]
#[ignore = "plays the transcript that OWN names"]
#[expect(clippy::disallowed_methods, reason = "the environment says which transcript to play")]
fn own() {
    let file = std::env::var("OWN").expect("OWN names a file");
    println!("{}", play(&std::fs::read_to_string(file).expect("a readable transcript")).0);
}

/// A test for each transcript, which also plays the last session's log again.
macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let text = include_str!(concat!("cases/network/", stringify!($name), ".txt"));
            let (told, session) = play(text);
            expect_test::expect_file![concat!("cases/network/", stringify!($name), ".txt")].assert_eq(&told);
            let log = SessionLog::from_json(&session.log().to_json()).expect("a session's own log is well-formed");
            assert_eq!(Session::from_log(log).hash(), session.hash(), "played again");
        })*
    };
}

transcripts! {
    services,
    databases,
    tutorials,
    balancing,
    api,
    names,
    policies,
    traffic,
    ingress,
    proxy,
    tools,
}
