//! How much memory clusters take. Each is built in a process of its own, whose resident memory tells.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures real time, and talks to itself")]

mod support;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use support::{NODES, PODS, cluster_of, create_pods, deployment, ready, run_to_ready, session};

/// Says to the process that measures which cluster it is to build.
const VARIABLE: &str = "KUBETAB_MEMORY";

/// What is measured: a name, and what builds it and keeps it alive until the memory was read.
const CASES: [(&str, fn()); 6] = [
    ("a cluster of 3 nodes", || measured(|| session(3))),
    ("100 pods on 3 nodes, after an hour", || {
        measured(|| {
            let mut session = run_to_ready(session(3), deployment("web", 100), 100);
            session.run_until(session.now() + Duration::from_secs(3600));
            session
        });
    }),
    ("1,000 pods on 20 nodes, as a session", || {
        measured(|| run_to_ready(session(20), deployment("web", 1000), 1000));
    }),
    ("1,000 nodes", || measured(|| cluster_of(NODES))),
    ("10,000 pods on 1,000 nodes", || {
        measured(|| {
            let mut cluster = cluster_of(NODES);
            create_pods(&mut cluster, PODS);
            while ready(&cluster) < PODS {
                cluster.run_for(Duration::from_secs(1));
            }
            cluster
        });
    }),
    ("10,000 pods on 1,000 nodes by ten Deployments, as a session", || {
        measured(|| {
            let mut session = session(NODES);
            for number in 1..=10 {
                let outcome = session.act(deployment(&format!("web-{number}"), 1000));
                assert!(outcome.is_ok_and(|outcome| outcome.is_success()));
            }
            let limit = session.now() + Duration::from_secs(3600);
            while ready(session.cluster()) < PODS && session.now() < limit {
                session.run_until(session.now() + Duration::from_secs(10));
            }
            assert_eq!(ready(session.cluster()), PODS);
            session
        });
    }),
];

/// A line of `/proc/self/status`, in MiB.
fn mebibytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next()?.parse::<f64>().ok());
    kibibytes.unwrap_or(f64::NAN) / 1024.0
}

fn measured<T>(build: impl FnOnce() -> T) {
    let started = Instant::now();
    let built = build();
    let seconds = started.elapsed().as_secs_f64();
    println!("{:9.1} MiB {:9.1} MiB {seconds:8.1} s", mebibytes("VmRSS"), mebibytes("VmHWM"));
    drop(built);
}

/// Lets a process of its own build the case, and prints what it says.
fn measure(name: &str) -> bool {
    let program = std::env::current_exe().expect("a program knows where it is");
    let output = Command::new(program).env(VARIABLE, name).output();
    match output {
        Ok(output) if output.status.success() => {
            println!("{:<62} {}", name, String::from_utf8_lossy(&output.stdout).trim_end());
            true
        }
        failed => {
            println!("{name}: {failed:?}");
            false
        }
    }
}

fn main() -> ExitCode {
    if let Ok(wanted) = std::env::var(VARIABLE) {
        let case = CASES.iter().find(|(name, _)| *name == wanted);
        case.expect("a case of this name").1();
        return ExitCode::SUCCESS;
    }
    // What cargo adds, such as `--bench`, chooses nothing.
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    println!("{:<62} {:>13} {:>13} {:>10}", "memory", "in the end", "at most", "built in");
    let measured: Vec<bool> =
        CASES.iter().filter(|(name, _)| name.contains(&filter)).map(|(name, _)| measure(name)).collect();
    if measured.into_iter().all(|succeeded| succeeded) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
