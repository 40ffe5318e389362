//! The recorded cases of a real v1.36.2, played against a cluster in this process.
//!
//! A case is a file `tests/cases/AREA/NAME.yaml` with what the real cluster answered beside it, in
//! `NAME.recorded.yaml`. Its steps are shell lines that run in the engine's own shell with the engine's own kubectl,
//! conditions to wait for, and pauses; simulated time passes as a person's watch would show. An answer is compared to
//! the letter after the normalisation that the recording went through (`normal.rs`).
//!
//! Steps that differ are listed with their reason in `KNOWN_DIFFERENCES.md` here; a listed step that holds fails the
//! test too. To play some cases only: `CASES=rollout/scale cargo test --test oracle rollout`; with `TRACE=deployments`
//! every change of that kind in the cases' namespaces is printed too. `SEED=7` plays them on another cluster, which
//! tells chance from difference. `OWN=FILE cargo test --test oracle own -- --ignored --nocapture` plays a case without a
//! recording and prints its answers. A new area is a folder and a function below.

#![expect(clippy::disallowed_methods, reason = "the environment says which cases to play and what to trace")]

mod case;
mod host;
mod known;
mod normal;
mod observe;
mod observe_jobs;
mod python;
mod recording;
mod tools;

use std::fmt::Write as _;

/// Plays all cases of an area and tells what differs from the recording beyond what is known.
fn play(area: &str) {
    let wanted = std::env::var("CASES").unwrap_or_default();
    let mut known = known::read(area);
    let mut report = String::new();
    let mut steps = 0;
    let mut differing = 0;
    for name in recording::names(area) {
        let title = format!("{area}/{name}");
        if !title.contains(&wanted) {
            known.forget(&name);
            continue;
        }
        let case = recording::Case::read(area, &name);
        for (index, difference) in case::play(&case).into_iter().enumerate() {
            steps += 1;
            let is_known = known.take(&name, index, difference.is_some());
            if difference.is_some() {
                differing += 1;
                if is_known {
                    println!("{title}:{index} differs, as is known");
                }
            }
            if let Some(difference) = difference.filter(|_| !is_known) {
                // Writing into a string cannot fail.
                let _ = writeln!(report, "--- {title}:{index}\n{difference}");
            }
        }
    }
    report.push_str(&known.passed());
    println!("{area}: {} of {steps} steps as recorded", steps - differing);
    assert!(report.is_empty(), "{area}: {} of {steps} steps as recorded\n{report}", steps - differing);
}

/// Plays a case of one's own and prints what is answered, for whoever looks for what no recording shows.
#[test]
#[ignore = "plays the cases that OWN names"]
fn own() {
    let files = std::env::var("OWN").expect("OWN names files");
    for file in files.split(',') {
        let case = recording::Case::own(file);
        let steps = case.spec["steps"].as_array().cloned().unwrap_or_default();
        for (step, answer) in steps.iter().zip(case::answers(&case)) {
            let line = step["run"].as_str().or(step["until"].as_str()).unwrap_or("sleep");
            println!("$ {line}\n{}", kubetab::machinery::yaml::print(&answer));
        }
    }
}

/// A test for each area, under its name.
macro_rules! areas {
    ($($area:ident),* $(,)?) => {
        $(#[test]
        fn $area() {
            play(stringify!($area));
        })*
    };
}

areas! {
    admission,
    api,
    cronjob,
    daemonset,
    defaults,
    garbage,
    job,
    kubectl,
    nodes,
    patch,
    pdb,
    podlife,
    quota,
    rollout,
    scheduling,
    services,
    statefulset,
    storage,
    strict,
    timing,
    validation,
}
