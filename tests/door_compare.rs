//! The same commands through a real kubectl and the HTTP door, and through the kubectl in process: both must print the
//! same, byte for byte, and end with the same code. Skipped where no kubectl is on the PATH.
//!
//! Both sides begin with the same cluster, and time stands still in both, so that ages, names and versions are the same
//! too. What kubectl's versions say differently is evened out in [`Said::even`], each with its reason.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::disallowed_methods, reason = "the environment says which commands to compare")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kubetab::door::{self, Clock, Door};
use kubetab::kubectl::{Config, Fetched, Files, Kubectl};
use kubetab::machinery::shell::Stream;
use kubetab::session::{Session, SessionConfig};
use kubetab::sim::{Cluster, Profile};
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
    ("rights.yaml", include_str!("compare/rights.yaml")),
    ("less.yaml", include_str!("compare/less.yaml")),
    ("path.txt", "{range .items[*]}{.metadata.name} {end}"),
    ("template.txt", "{{range .items}}{{.metadata.name}} {{end}}"),
    ("columns.txt", "NAME          PHASE\n.metadata.name .status.phase\n"),
    ("env.txt", "# a comment\nA=1\n\nB=two words\n  C=3\n"),
    ("patch.json", r#"{"spec":{"replicas":2}}"#),
    ("bad.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\nnosuch: 1\n"),
    ("kust/kustomization.yaml", include_str!("compare/kustomization.yaml")),
    ("kust/web.yaml", include_str!("compare/web.yaml")),
    ("kust/network.yaml", include_str!("compare/network.yaml")),
];

/// The scene, then commands, one a line; lines that begin with `#` part them.
const COMMANDS: &str = include_str!("compare/commands.txt");
/// Commands that go through each verb's flags and mistakes, in the scene of the others.
const FLAGS: &str = include_str!("compare/flags.txt");

/// What is known to differ and why, as far as that was looked into: a command and the reason behind a tab. Each is still
/// run; it is told when one begins to agree.
const DIFFERENT: &str = include_str!("compare/different.txt");

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
        // One that waits for ever is ended by `timeout`.
        if self.code == 124 {
            self.code = -1;
        }
        for text in [&mut self.out, &mut self.error] {
            // Help is in words of our own.
            if let Some((before, help)) = text.split_once("\nUsage:\n") {
                let _ = (before, help);
                "help".clone_into(text);
            }
            // Up to v1.32 what cobra itself refuses began with a capital letter.
            if let Some(rest) = text.strip_prefix("Error: ") {
                *text = format!("error: {rest}");
            }
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
            // Its log is stamped with the client's own clock, process and line.
            let unstamped =
                |line: &str| match line.split_once(" helpers.go:").and_then(|(_, rest)| rest.split_once("] ")) {
                    Some((_, said)) => format!("W {said}"),
                    None => line.to_owned(),
                };
            *text = text.lines().map(unstamped).collect::<Vec<_>>().join("\n");
            // A restart is stamped with the client's own clock.
            *text = text.lines().filter(|line| !line.contains("restartedAt")).collect::<Vec<_>>().join("\n");
            // v1.32 does not know the field.
            *text = text.lines().filter(|line| !line.contains("terminatingReplicas")).collect::<Vec<_>>().join("\n");
            // Since v1.34 a time that is not there yet is not written as null.
            let makes = ["--dry-run=client", "--local", "rollout history", "auth whoami"];
            if makes.iter().any(|flag| line.contains(flag)) {
                let kept = |line: &&str| {
                    let line = line.trim().trim_start_matches("- ");
                    !line.contains("creationTimestamp") && !matches!(line, "metadata:" | "metadata: {}")
                };
                *text = text.lines().filter(kept).collect::<Vec<_>>().join("\n");
                *text = Self::even_json(text);
            }
            if line.starts_with("describe") || line.starts_with("events") || line.contains("server-print=false") {
                *text = Self::even_description(text);
            }
            // The time of a pod's answer that a client makes itself.
            *text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        }
        self
    }

    /// JSON from which lines were taken: without commas before what closes, and empty maps on one line.
    fn even_json(text: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in text.lines() {
            if line.trim_start().starts_with('}')
                && let Some(last) = lines.last_mut()
            {
                if last.ends_with('{') {
                    last.push_str(line.trim_start());
                    continue;
                }
                *last = last.trim_end_matches(',').to_owned();
            }
            lines.push(line.to_owned());
        }
        lines.retain(|line| !matches!(line.trim().trim_end_matches(','), "\"metadata\": {}"));
        lines.join("\n")
    }

    /// The real kubectl's clock is the machine's. Since v1.35 the names of ports are told, since v1.36 the time zone of
    /// CronJobs, the namespace of DaemonSets, whether a projected ConfigMap or Secret is optional, and no secrets of
    /// ServiceAccounts and no versions of kube-proxy any more. Columns are as wide as their widest cell, so that blanks
    /// go too.
    fn even_description(text: &str) -> String {
        let dropped = [
            "Namespace:",
            "Optional:",
            "ConfigMapOptional:",
            "SecretOptionalName:",
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

    fn write(&mut self, _: &str, _: &[u8]) -> Result<(), String> {
        Ok(())
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

/// Runs a command of the scene, which waits for nothing.
fn in_session(session: &mut Session, directory: &Path, line: &str) -> Said {
    let mut run = Kubectl::new(words(line), Config::default(), String::new());
    let polled = run.poll(session, &mut Directory(directory.to_owned()));
    let (out, error) = (polled.text(Stream::Out), polled.text(Stream::Error));
    Said { code: polled.exit.unwrap_or(-1), out, error }
}

fn in_process(cluster: &mut Cluster, directory: &Path, line: &str) -> Said {
    let mut run = Kubectl::new(words(line), Config::default(), String::new());
    let mut files = Directory(directory.to_owned());
    let mut said = Said { code: -1, out: String::new(), error: String::new() };
    // Time stands still, but for those who wait only so long.
    let mut later = cluster.clone();
    for turn in 0..24 {
        if turn == 20 {
            if !line.contains("--timeout=") {
                break;
            }
            later.clone_from(cluster);
            later.run_for(Duration::from_secs(2));
        }
        let polled = run.poll(if turn < 20 { cluster } else { &mut later }, &mut files);
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
        .args(["5", "kubectl"])
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
    let (_, commands) = COMMANDS.split_once("sleep 70\n").expect("the scene comes first");
    compare("commands", commands);
}

/// Some 700 commands take minutes, so that this one is run by hand.
#[test]
#[ignore = "takes minutes"]
fn both_kubectls_take_the_same_flags() {
    compare("flags", FLAGS);
}

/// Runs commands on both sides, or only those that hold the text in the variable `ONLY`.
fn compare(name: &str, commands: &str) {
    if !kubectl_is_there() {
        return;
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    let directory = std::env::temp_dir().join(format!("kubetab-compare-{name}-{}", std::process::id()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut session = session(&directory);
    // The scene is made once, so that names and places are the same on both sides.
    let (scene, _) = COMMANDS.split_once("sleep 70\n").expect("the scene comes first");
    for line in scene.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let said = in_session(&mut session, &directory, line);
        assert!(said.code == 0 || line.contains("bad.yaml"), "{line}: {}", said.error);
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
        if !line.contains(&only) {
            continue;
        }
        compared += 1;
        let theirs = through_the_door(&directory, line).even(line);
        let ours = in_process(&mut cluster, &directory, line).even(line);
        let known = DIFFERENT.lines().filter_map(|known| known.split_once('\t')).find(|(known, _)| *known == line);
        if let Some((_, why)) = known {
            println!("known to differ: {line} ({why}){}", if ours == theirs { ", but is the same now" } else { "" });
        } else if ours != theirs {
            report.push_str(&format!("--- {line}\ntheirs: {theirs:#?}\nours: {ours:#?}\n").replace("\\n", "\n"));
        }
    }
    // What is left in the directory for temporary files is the system's to clean up.
    let _ = std::fs::remove_dir_all(&directory);
    println!("{compared} commands compared");
    assert!(compared >= 150 || !only.is_empty(), "only {compared} commands");
    assert!(report.is_empty(), "{report}");
}
