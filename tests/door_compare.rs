//! The same commands through a real kubectl and the HTTP door, and through the kubectl in process: both must print the
//! same, byte for byte, and end with the same code. Skipped where no kubectl is on the PATH.
//!
//! Both sides begin with the same cluster, and time stands still in both, so that ages, names and versions are the same
//! too. What kubectl's versions say differently is evened out in [`Said::even`], each with its reason.

#![cfg(not(target_arch = "wasm32"))]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kubetab::door::{self, Clock, Door};
use kubetab::kubectl::{Api, Config, Fetched, Files, Kubectl};
use kubetab::machinery::shell::Stream;
use kubetab::session::{Session, SessionConfig};
use kubetab::sim::Profile;
use tokio::net::TcpListener;

/// The scene, as files that commands read too.
const FILES: &[(&str, &str)] = &[
    ("web.yaml", include_str!("compare/web.yaml")),
    ("config.yaml", include_str!("compare/config.yaml")),
    ("network.yaml", include_str!("compare/network.yaml")),
    ("storage.yaml", include_str!("compare/storage.yaml")),
    ("pods.yaml", include_str!("compare/pods.yaml")),
    ("jobs.yaml", include_str!("compare/jobs.yaml")),
    ("changed.yaml", include_str!("compare/changed.yaml")),
    ("bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\nnosuch: 1\n"),
    ("kust/kustomization.yaml", include_str!("compare/kustomization.yaml")),
    ("kust/web.yaml", include_str!("compare/web.yaml")),
    ("kust/network.yaml", include_str!("compare/network.yaml")),
];

/// The commands, one a line; lines that begin with `#` part them.
const COMMANDS: &str = include_str!("compare/commands.txt");

/// What is known to differ and why, as far as that was looked into. Each is still run; it is told when one begins to agree.
const DIFFERENT: &[(&str, &str)] = &[
    ("get pods --sort-by=.status.startTime --no-headers", "upstream turns objects without the field around"),
    ("get --raw /api/v1/namespaces/default/configmaps/conf", "the door writes fields in Go's order"),
    ("describe pod web-", "since v1.35 a prefix shows no events"),
    ("events --for deploy/web -o json", "upstream keeps Go's order of fields"),
    ("rollout history deploy/web --revision=1", "names of ports are told since v1.35"),
    ("create ns n --dry-run=client -o json", "upstream keeps Go's order of fields"),
    ("set image deploy/web web=nginx:9 --dry-run=client -o yaml", "v1.32 does not know terminatingReplicas"),
    ("explain hpa --api-version=autoscaling/v1", "the types of Rust cannot do without its spec"),
    ("explain pv.spec --recursive", "the types of Rust cannot do without a secret"),
    ("describe cm conf", "upstream goes through the keys in no order"),
    ("scale deploy nosuch --replicas=3", "v1.36 tells the refusal as it comes, as recorded"),
    ("kustomize nosuch", "the words hold paths and times of the machine"),
    ("auth reconcile -f config.yaml", "upstream tells it for each object"),
    ("frobnicate", "another beginning of the words"),
    ("get pods --nosuch", "another beginning of the words"),
    ("explain nosuch", "another beginning of the words"),
];

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: i32,
    out: String,
    error: String,
}

impl Said {
    /// Evens out what kubectl's versions say differently.
    fn even(mut self, line: &str) -> Self {
        for text in [&mut self.out, &mut self.error] {
            // Since v1.33 deletions tell the namespace.
            for place in [" from default namespace", " from other namespace"] {
                *text = text.replace(place, "");
            }
            // Formats of `-o` that came with v1.34.
            *text = text.replace("kyaml,", "");
            // Up to v1.32 a flag that is missing was told in the way of a log.
            if let Some((_, why)) = text.split_once("\"command failed\" err=\"") {
                *text = format!("error: {}", why.trim_end().trim_end_matches('"').replace("\\\"", "\""));
            }
            // A restart is stamped with the client's own clock.
            *text = text.lines().filter(|line| !line.contains("restartedAt")).collect::<Vec<_>>().join("\n");
            // Since v1.34 a time that is not there yet is not written as null.
            if line.contains("--dry-run=client") {
                let kept = |line: &&str| {
                    let line = line.trim().trim_start_matches("- ");
                    !line.contains("creationTimestamp") && !matches!(line, "metadata:" | "metadata: {}")
                };
                *text = text.lines().filter(kept).collect::<Vec<_>>().join("\n");
            }
            if line.starts_with("describe") || line.starts_with("events") {
                *text = Self::even_description(text);
            }
            // The time of a pod's answer that a client makes itself.
            *text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        }
        self
    }

    /// The real kubectl's clock is the machine's. Since v1.35 the names of ports are told, since v1.36 the time zone of
    /// CronJobs, the namespace of DaemonSets, whether a projected ConfigMap is optional, and no secrets of ServiceAccounts
    /// and no versions of kube-proxy any more. Columns are as wide as their widest cell, so that blanks go too.
    fn even_description(text: &str) -> String {
        let dropped = [
            "Namespace:",
            "Optional:",
            "ConfigMapOptional:",
            "Mountable secrets:",
            "Tokens:",
            "Time Zone:",
            "Kube-Proxy Version:",
        ];
        let lines = text.lines().filter(|line| !dropped.iter().any(|start| line.trim_start().starts_with(start)));
        let lines = lines.map(|line| {
            let is_port = ["Port", "Ports", "Host Port", "Host Ports"]
                .iter()
                .any(|label| line.trim_start().strip_prefix(label).is_some_and(|rest| rest.starts_with(':')));
            let line = line.split_whitespace().map(|word| if is_age(word) { "AGE" } else { word });
            let line = line.filter(|word| !is_port || !word.starts_with('('));
            line.map(|word| if is_port { word.trim_end_matches(',') } else { word }).collect::<Vec<_>>().join(" ")
        });
        // Upstream goes through the resources of a LimitRange in no order.
        let mut lines: Vec<String> = lines.collect();
        let mut limits: Vec<String> = lines.iter().filter(|line| is_limit(line)).cloned().collect();
        limits.sort();
        let mut limits = limits.into_iter();
        for line in lines.iter_mut().filter(|line| is_limit(line)) {
            *line = limits.next().unwrap_or_default();
        }
        lines.join("\n")
    }
}

/// A row of a LimitRange's table.
fn is_limit(line: &str) -> bool {
    ["Container ", "Pod ", "PersistentVolumeClaim "].iter().any(|start| line.starts_with(start))
}

/// Files below a directory of the machine.
struct Directory(PathBuf);

impl Files for Directory {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|_| "no such file or directory".to_owned())
    }

    fn list(&mut self, path: &str) -> Option<Vec<String>> {
        let entries = std::fs::read_dir(self.0.join(path)).ok()?;
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Some(names)
    }

    fn fetch(&mut self, _: &str) -> Fetched {
        Fetched::Here(include_bytes!("../assets/descriptions.txt").to_vec())
    }

    fn write(&mut self, path: &str, _bytes: &[u8]) -> Result<(), String> {
        Err(format!("{path}: nothing is written here"))
    }
}

/// An age as kubectl prints it, as in `3m20s` or `4d)`.
fn is_age(word: &str) -> bool {
    let word = word.trim_end_matches(')');
    word.starts_with(|letter: char| letter.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h', 'd', 'y'])
        && word.chars().all(|letter| letter.is_ascii_digit() || "smhdy".contains(letter))
}

fn kubectl_is_there() -> bool {
    let found =
        Command::new("kubectl").args(["version", "--client"]).output().is_ok_and(|output| output.status.success());
    if !found {
        println!("SKIPPED: there is no kubectl on the PATH, so nothing was compared with a real one");
    }
    found
}

/// The words of a line, in which single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                begun = true;
            }
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            other => word.push(other),
        }
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    words
}

fn in_process(cluster: &mut dyn Api, directory: &Path, line: &str) -> Said {
    let mut run = Kubectl::new(words(line), Config::default(), String::new());
    let mut files = Directory(directory.to_owned());
    let mut said = Said { code: -1, out: String::new(), error: String::new() };
    for _ in 0..20 {
        let polled = run.poll(cluster, &mut files);
        said.out.push_str(&polled.text(Stream::Out));
        said.error.push_str(&polled.text(Stream::Error));
        if let Some(code) = polled.exit {
            said.code = code;
            break;
        }
    }
    said
}

fn through_the_door(directory: &Path, line: &str) -> Said {
    // Time stands still at the door, so that who waits would wait for ever.
    let mut child = Command::new("timeout")
        .args(["20", "kubectl"])
        .args(words(line))
        .current_dir(directory)
        .env("KUBECONFIG", directory.join("kubeconfig"))
        .env("HOME", directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("there is a kubectl");
    drop(child.stdin.take().expect("it is piped").flush());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), error: text(output.stderr) }
}

/// A session with the scene in it, at rest.
fn session(directory: &Path) -> Session {
    let profile = Profile { nodes: 3, node_prefix: "worker-".to_owned(), ..Profile::bare() };
    let mut session = Session::new(SessionConfig { seed: 3, profile, ..SessionConfig::default() });
    session.run_until(session.now() + Duration::from_secs(60));
    for (name, text) in FILES {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory of our own");
        std::fs::write(path, text).expect("it can be written");
    }
    session
}

#[test]
fn both_kubectls_print_the_same() {
    if !kubectl_is_there() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("kubetab-compare-{}", std::process::id()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut session = session(&directory);
    // The scene is made once, so that names and places are the same on both sides.
    let (scene, commands) = COMMANDS.split_once("sleep 70\n").expect("the scene comes first");
    for line in scene.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        in_process(&mut session, &directory, line);
    }
    session.run_until(session.now() + Duration::from_secs(70));
    let mut cluster = session.cluster().clone();
    let (door, port) = runtime.block_on(async {
        let door = Door::open(session, Clock::Manual);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        tokio::spawn(door::serve(listener, door.clone()));
        (door, port)
    });
    let config = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\ncontexts: \
         [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\ncurrent-context: c\n"
    );
    std::fs::write(directory.join("kubeconfig"), config).expect("it can be written");
    let mut compared = 0;
    let mut report = String::new();
    for line in commands.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(seconds) = line.strip_prefix("sleep ") {
            let duration = Duration::from_secs(seconds.parse().expect("seconds"));
            cluster.run_for(duration);
            runtime.block_on(door.advance(duration));
            continue;
        }
        compared += 1;
        let theirs = through_the_door(&directory, line).even(line);
        let ours = in_process(&mut cluster, &directory, line).even(line);
        let known = DIFFERENT.iter().find(|(known, _)| *known == line);
        if let Some((_, why)) = known {
            println!("known to differ: {line} ({why}){}", if ours == theirs { ", but is the same now" } else { "" });
        } else if ours != theirs {
            report.push_str(&format!("--- {line}\ntheirs: {theirs:#?}\nours: {ours:#?}\n").replace("\\n", "\n"));
        }
    }
    // What is left in the directory for temporary files is the system's to clean up.
    let _ = std::fs::remove_dir_all(&directory);
    println!("{compared} commands compared");
    assert!(compared >= 150, "only {compared} commands");
    assert!(report.is_empty(), "{report}");
}
