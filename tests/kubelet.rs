//! What a student sees of a node's own doings, and of the controllers': kubectl's answers before and after.
//!
//! A file of `tests/cases/kubelet` or `tests/cases/controllers` is a transcript. What is done in it is done again, and what comes of it must be what
//! stands there; `UPDATE_EXPECT=1` writes it anew. Its lines:
//!
//! - `=== TITLE` begins a case, in a cluster of three nodes that is 20 seconds old;
//! - `apply:` or `manifest NODE FILE:`, then a manifest, then `end`;
//! - `do: ACTION` is one action of a session's log as JSON;
//! - `wait 5s` lets time pass;
//! - `$ LINE` runs a line in a shell that has kubectl; what it prints follows, with its exit code when that is not 0;
//! - every other line is a remark until the first command, and output after that.

use std::any::Any;
use std::fmt::Write as _;
use std::time::Duration;

use kubetab::kubectl::{Config, Program};
use kubetab::machinery::persistent::OrdMap;
use kubetab::machinery::random::Random;
use kubetab::machinery::shell::files::{FileSystem, FileTree};
use kubetab::machinery::shell::{Flavor, Host, Lookup, Poll, ProcessTable, Spawn, utilities};
use kubetab::machinery::time::Time;
use kubetab::session::{Action, File, Session, SessionConfig, SessionLog};

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How much of a line is done before the cluster has its turn.
const BUDGET: u32 = 100_000;

/// A session and the machine from which somebody looks at it.
struct World {
    session: Session,
    root: FileTree,
    random: Random,
}

impl World {
    fn new() -> Self {
        let mut root = FileTree::new();
        root.put_directories("/root", Time::DEFAULT_START);
        let mut world = Self { session: Session::new(SessionConfig::default()), root, random: Random::new(1) };
        world.pass(Duration::from_secs(20));
        world
    }

    fn pass(&mut self, duration: Duration) {
        self.session.run_until(self.session.now() + duration);
    }

    /// Does something; tells what is answered, if that is more than that it was done.
    fn act(&mut self, action: Action) -> String {
        let outcome = self.session.act(action).expect("a small action is taken");
        let more = outcome.lines.iter().skip(1).chain(&outcome.refusals);
        more.map(|line| format!("{line}\n")).collect()
    }

    fn run(&mut self, line: &str) -> String {
        let mut table = ProcessTable::new(100);
        let spawn = Spawn {
            argv: ["bash", "-c", line].map(str::to_owned).into(),
            environment: vec![("HOME".to_owned(), "/root".to_owned())],
            directory: "/root".to_owned(),
            stdin: false,
            terminal: false,
        };
        let pid = table.spawn(spawn, self).expect("there is a shell");
        let deadline = self.session.now() + PATIENCE;
        let mut told = String::new();
        loop {
            let poll = table.step(self, BUDGET);
            for output in table.take_output(pid) {
                told.push_str(&String::from_utf8_lossy(&output.bytes));
            }
            if let Some(code) = table.exit_code(pid) {
                if code != 0 {
                    writeln!(told, "(exit {code})").expect("a text grows");
                }
                return told;
            }
            match poll {
                Poll::Running => {}
                Poll::Waiting(Some(time)) if time < deadline => self.session.run_until(time),
                Poll::Waiting(_) => return told + "(no end)\n",
            }
        }
    }
}

impl Host for World {
    fn now(&self) -> Time {
        self.session.now()
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
        let now = self.session.now();
        work(&mut FileSystem::new(&mut self.root, &mut OrdMap::new(), &[], now));
    }

    fn lookup(&mut self, name: &str, _: &[String]) -> Lookup {
        match name.rsplit('/').next().unwrap_or_default() {
            "bash" | "sh" => Lookup::Shell(Flavor::Bash),
            "kubectl" => Lookup::Run(Box::new(Program::<Session>::new(Config::default(), Duration::ZERO))),
            other if utilities::exists(other) => Lookup::Utility,
            _ => Lookup::Missing,
        }
    }

    fn hostname(&self) -> String {
        "desk".to_owned()
    }

    fn world(&mut self) -> Option<&mut dyn Any> {
        Some(&mut self.session)
    }
}

/// The lines up to `end`.
fn block<'a>(lines: &mut impl Iterator<Item = &'a str>, told: &mut String) -> String {
    let mut text = String::new();
    for line in lines {
        writeln!(told, "{line}").expect("a text grows");
        if line == "end" {
            break;
        }
        writeln!(text, "{line}").expect("a text grows");
    }
    text
}

/// Plays a transcript, and gives the one that comes of it, with the last case's world.
fn play(text: &str) -> (String, World) {
    let mut world = World::new();
    let mut told = String::new();
    let mut lines = text.lines();
    let mut is_output = false;
    while let Some(line) = lines.next() {
        let is_step = ["===", "apply:", "manifest ", "do: ", "wait ", "$ ", "# "].iter().any(|it| line.starts_with(it));
        if is_output && !is_step {
            continue;
        }
        if line.starts_with("===") {
            (world, is_output) = (World::new(), false);
            if !told.is_empty() {
                told.push('\n');
            }
        }
        writeln!(told, "{line}").expect("a text grows");
        let action = if line == "apply:" {
            let files = vec![File { name: "a.yaml".to_owned(), text: block(&mut lines, &mut told) }];
            Some(Action::Apply { files, namespace: "default".to_owned(), dry_run: false })
        } else if let Some(place) = line.strip_prefix("manifest ") {
            let (node, file) = place.trim_end_matches(':').split_once(' ').expect("a node and a file");
            let text = block(&mut lines, &mut told);
            Some(Action::WriteManifest { node: node.to_owned(), file: file.to_owned(), text })
        } else {
            line.strip_prefix("do: ").map(|action| serde_json::from_str(action).expect("an action"))
        };
        if let Some(action) = action {
            let is_apply = matches!(action, Action::Apply { .. });
            let answer = world.act(action);
            told.push_str(if is_apply { "" } else { &answer });
            is_output = !is_apply;
        } else if let Some(seconds) = line.strip_prefix("wait ") {
            let seconds: f64 = seconds.trim_end_matches('s').parse().expect("a number of seconds");
            world.pass(Duration::from_secs_f64(seconds));
        } else if let Some(command) = line.strip_prefix("$ ") {
            told.push_str(&world.run(command));
            is_output = true;
        }
    }
    (told, world)
}

/// A test for each transcript, under its name.
macro_rules! transcripts {
    ($folder:literal: $($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let text = include_str!(concat!("cases/", $folder, "/", stringify!($name), ".txt"));
            let (told, world) = play(text);
            expect_test::expect_file![concat!("cases/", $folder, "/", stringify!($name), ".txt")].assert_eq(&told);
            let log = SessionLog::from_json(&world.session.log().to_json()).expect("a session's own log is well-formed");
            assert_eq!(Session::from_log(log).hash(), world.session.hash(), "played again");
        })*
    };
}

transcripts! {
    "kubelet":
    devices,
    extended_resources,
    identity,
    pressure,
    shutdown,
    static_pods,
    storage,
    volumes,
}

transcripts! {
    "controllers":
    autoscalers,
    budgets,
    cron_jobs,
    daemon_sets,
    deployments,
    garbage,
    jobs,
    quotas,
    stateful_sets,
}
