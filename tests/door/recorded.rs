//! Recorded cases that speak HTTP by themselves, played through the door with the shell, curl, jq and kubectl of this
//! machine, in real time. Where one of them is missing, nothing is played, and it says so.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real clients live in real time")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kubetab::door::{self, Clock, Door};
use kubetab::node::runtime::RuntimeProfile;
use kubetab::session::{Session, SessionConfig};
use kubetab::sim::Profile;
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[path = "../oracle/normal.rs"]
mod normal;
#[allow(dead_code, reason = "the cases that are played in process use more of it")]
#[path = "../oracle/python.rs"]
mod python;
#[allow(dead_code, reason = "the cases that are played in process use more of it")]
#[path = "../oracle/recording.rs"]
mod recording;

use recording::{Case, Finished};

/// What the cases are written in.
const TOOLS: [&str; 4] = ["bash", "curl", "jq", "kubectl"];
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(200);

/// The cluster of the recordings behind a door, and a folder to work in.
struct Machine {
    directory: PathBuf,
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Machine {
    fn open() -> Option<Self> {
        for tool in TOOLS {
            let looked = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output();
            if !looked.is_ok_and(|looked| looked.status.success()) {
                println!("SKIPPED: there is no {tool} on the PATH, so nothing was played through the door");
                return None;
            }
        }
        let directory = std::env::temp_dir().join(format!("kubetab-recorded-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        let runtime = RuntimeProfile::recorded();
        let profile = Profile { nodes: 5, node_prefix: "worker-".to_owned(), runtime, ..Profile::bare() };
        let mut session = Session::new(SessionConfig { seed: 36, profile, ..SessionConfig::default() });
        session.run_until(session.now() + Duration::from_secs(90));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let port = runtime.block_on(async {
            let door = Door::open(session, Clock::Real(1.0));
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("it is bound").port();
            tokio::spawn(door::serve(listener, door));
            port
        });
        Some(Self { directory, port, _runtime: runtime })
    }

    /// Runs a line in which `$KUBECONFIG` and `$SERVER` lead to the cluster, and `$NAMESPACE` is the case's own.
    fn run(&self, namespace: &str, line: &str, stdin: &str) -> Finished {
        let mut child = Command::new("bash")
            .args(["-c", line])
            .current_dir(&self.directory)
            .env("KUBECONFIG", self.directory.join("config"))
            .env("SERVER", format!("http://127.0.0.1:{}", self.port))
            .env("NAMESPACE", namespace)
            .env("HOME", &self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let mut input = child.stdin.take().expect("it is piped");
        // A command that does not read is none the worse for it.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Finished { code: status.code().unwrap_or(-1), out: text(stdout), error: text(stderr) }
    }

    fn step(&self, namespace: &str, step: &Value) -> Value {
        if !step["sleep"].is_null() {
            std::thread::sleep(Duration::from_secs_f64(recording::seconds(&step["sleep"])));
            return json!({});
        }
        if let Some(condition) = step["until"].as_str() {
            let deadline = Instant::now() + Duration::from_secs_f64(recording::seconds(&step["for"]));
            while Instant::now() < deadline {
                if self.run(namespace, condition, "").code == 0 {
                    return json!({ "until": "held" });
                }
                std::thread::sleep(POLL);
            }
            return json!({ "until": "never held" });
        }
        let line = step["run"].as_str().expect("a step does something");
        recording::answer(step, &self.run(namespace, line, step["stdin"].as_str().unwrap_or("")))
    }

    /// Plays a case; what differs from the recording.
    fn play(&self, case: &Case) -> Vec<String> {
        let namespace = case.namespace();
        let config = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{}'}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u, namespace: {namespace}}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncurrent-context: c\n",
            self.port
        );
        std::fs::write(self.directory.join("config"), config).expect("it can be written");
        for (name, text) in case.spec["files"].as_object().into_iter().flatten() {
            std::fs::write(self.directory.join(name), text.as_str().unwrap_or("")).expect("it can be written");
        }
        let made = self.run(&namespace, &format!("kubectl create namespace {namespace}"), "");
        assert_eq!(made.code, 0, "the namespace is made: {}", made.error);
        let has_account = "for i in 1 2 3 4 5 6 7 8 9 10; do kubectl get sa default && exit; sleep 0.3; done; exit 1";
        assert_eq!(self.run(&namespace, has_account, "").code, 0, "a namespace gets its account");
        let steps = case.spec["steps"].as_array().expect("a list of steps");
        let answers = steps.iter().zip(&case.recorded);
        answers
            .filter_map(|(step, expected)| recording::difference(step, expected, &self.step(&namespace, step)))
            .collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What is left in the directory for temporary files is the system's to clean up.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn what_clients_ask_over_http_is_answered_as_recorded() {
    let Some(machine) = Machine::open() else { return };
    let names = recording::names("door");
    assert!(!names.is_empty(), "there are cases");
    let mut report = String::new();
    for name in names {
        for difference in machine.play(&Case::read("door", &name)) {
            report += &format!("--- {name}\n{difference}\n");
        }
    }
    assert!(report.is_empty(), "{report}");
}
