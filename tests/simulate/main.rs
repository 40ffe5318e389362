//! The simulator: random workloads, random users and random misfortune on many seeds, with what must hold checked after
//! every step, and what must become of it once nothing is broken any more.
//!
//! `make simulate SEED=1 SEEDS=1000 STEPS=20000` plays seeds one after the other until one fails; `LOG=file` plays a
//! log that was written before. Without any of them, `cargo test --test simulate` plays 200 small seeds.

#![expect(clippy::disallowed_methods, reason = "the environment says which seeds to play, and how")]

mod checks;
mod faults;
mod play;
mod rest;
mod rogue;
mod rogue_at_rest;
mod user;
mod workloads;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kubetab::session::{SessionLog, link};

use play::{Clock, Report, at_speed, play, replay, replays_alike, shrink};

/// How large the seeds are that each run of the tests plays.
const TEST_STEPS: u64 = 1_500;

/// A link is only printed while it is short.
const LINK_CHARS_MAX: usize = 1_500;

fn argument(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Where logs of failed seeds are written.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("simulate")
}

/// The sum of many reports.
#[derive(Default)]
struct Totals {
    seeds: u64,
    steps: u64,
    actions: usize,
    revisions: u64,
    looks: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
}

impl Totals {
    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.actions += report.actions;
        self.revisions += report.revisions;
        for (what, looks) in report.looks.clone() {
            *self.looks.entry(what).or_default() += looks;
        }
        if let Some((what, log)) = report.failure.clone() {
            self.failures.push(tell(seed, &what, &log));
            if std::env::var("STORY").is_ok() {
                report.story.iter().for_each(|line| println!("{line}"));
            }
        }
    }

    fn say(&self) {
        let looks: Vec<String> = self.looks.iter().map(|(what, looks)| format!("{looks} {what}")).collect();
        println!(
            "{} seeds, {} steps, {} actions, {} revisions; looked at {}",
            self.seeds,
            self.steps,
            self.actions,
            self.revisions,
            looks.join(", ")
        );
    }
}

/// Shortens the log of a failed seed, writes it where the page can open it, and says what is wrong.
fn tell(seed: u64, what: &str, log: &SessionLog) -> String {
    println!("seed {seed}: {what}");
    let (what, log) =
        if std::env::var("SHRINK").as_deref() == Ok("0") { (what.to_owned(), log.clone()) } else { shrink(what, log) };
    let json = log.to_json();
    let path = folder().join(format!("seed-{seed}.json"));
    let written = std::fs::create_dir_all(folder()).and_then(|()| std::fs::write(&path, &json));
    let place = written.map_or_else(|error| error.to_string(), |()| path.display().to_string());
    let mut lines = format!("seed {seed}: {what}\n  its log, which the page can open: {place}\n");
    let link = link::pack(&json);
    if link.len() < LINK_CHARS_MAX {
        lines += &format!("  as a link: #{link}\n");
    }
    for entry in &log.entries {
        let text = kubetab::machinery::json::to_value(&entry.action).to_string();
        lines += &format!("  {} {}\n", entry.at, text.chars().take(300).collect::<String>());
    }
    lines
}

fn play_all(seeds: impl Iterator<Item = u64>, steps: u64) {
    let mut totals = Totals::default();
    for seed in seeds {
        totals.add(seed, play(seed, steps));
    }
    totals.say();
    assert!(totals.failures.is_empty(), "{}", totals.failures.join("\n"));
}

// In parts, so that they are played beside each other.

#[test]
fn seeds_0_to_49() {
    play_all(0..50, TEST_STEPS);
}

#[test]
fn seeds_50_to_99() {
    play_all(50..100, TEST_STEPS);
}

#[test]
fn seeds_100_to_149() {
    play_all(100..150, TEST_STEPS);
}

#[test]
fn seeds_150_to_199() {
    play_all(150..200, TEST_STEPS);
}

#[test]
fn the_log_of_a_seed_gives_the_same_cluster_again() {
    for seed in 0..6 {
        assert!(replays_alike(seed, TEST_STEPS), "seed {seed}");
    }
}

#[test]
fn a_seed_is_the_same_at_any_speed_of_the_clock() {
    for seed in 6..10 {
        let hashes = [Clock::Leaps, Clock::Frames, Clock::Steps].map(|clock| at_speed(seed, TEST_STEPS, clock).hash());
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "seed {seed}: {hashes:?}");
    }
}

/// `make simulate`: seeds from `SEED` on, `SEEDS` of them or without end, each of `STEPS` steps.
#[test]
#[ignore = "goes on for as long as one lets it"]
fn simulate() {
    if let Some(path) = std::env::var("LOG").ok().filter(|path| !path.is_empty()) {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        let log = SessionLog::from_json(&text).expect("it is the log of a session");
        let report = replay(&log);
        if let Some((what, log)) = report.failure.clone() {
            report.story.iter().for_each(|line| println!("{line}"));
            panic!("{}", tell(log.config.seed, &what, &log));
        }
        return println!("{path}: nothing is wrong, after {} steps", report.steps);
    }
    let (first, steps) = (argument("SEED").unwrap_or(0), argument("STEPS").unwrap_or(20_000));
    let count = argument("SEEDS").unwrap_or(u64::MAX);
    let stops = std::env::var("KEEP_GOING").is_err();
    let mut totals = Totals::default();
    for seed in first..first.saturating_add(count) {
        totals.add(seed, play(seed, steps));
        if stops && !totals.failures.is_empty() {
            break;
        }
        if totals.seeds % 50 == 0 {
            totals.say();
        }
    }
    totals.say();
    assert!(totals.failures.is_empty(), "{}", totals.failures.join("\n"));
}
