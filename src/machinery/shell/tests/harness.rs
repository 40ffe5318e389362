//! A host for tests: a few files, a few servers, and time that passes at once.

use std::time::Duration;

use crate::machinery::persistent::OrdMap;
use expect_test::Expect;

use crate::machinery::random::Random;
use crate::machinery::shell::files::{FileSystem, FileTree};
use crate::machinery::shell::{
    Flavor, Host, HttpAnswer, Lookup, NetworkAnswer, NetworkRequest, Output, Pid, Poll, ProcessTable, Record,
    RecordKind, Signal, Spawn, utilities,
};
use crate::machinery::time::Time;

/// How much a test may do in all.
const STEPS_MAX: u32 = 200;

#[derive(Clone)]
pub(super) struct TestHost {
    pub now: Time,
    pub root: FileTree,
    random: Random,
}

impl TestHost {
    pub(super) fn new() -> Self {
        let now = Time::DEFAULT_START;
        let mut root = FileTree::new();
        for directory in ["/tmp", "/root", "/etc", "/var/log"] {
            root.put_directories(directory, now);
        }
        root.put("/etc/hostname", b"web-0\n", 0o644, now);
        root.put("/etc/fruit", b"pear\napple\nfig\napple\n", 0o644, now);
        Self { now, root, random: Random::new(1) }
    }
}

impl Host for TestHost {
    fn now(&self) -> Time {
        self.now
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
        work(&mut FileSystem::new(&mut self.root, &mut OrdMap::new(), &[], self.now));
    }

    fn lookup(&mut self, name: &str, _argv: &[String]) -> Lookup {
        match name.rsplit('/').next().unwrap_or_default() {
            "sh" | "ash" => Lookup::Shell(Flavor::Ash),
            "dash" => Lookup::Shell(Flavor::Dash),
            "bash" => Lookup::Shell(Flavor::Bash),
            "greet" => Lookup::Script("#!/bin/sh\necho \"hello $1 from $0\"\nexit 4\n".into()),
            other if utilities::exists(other) => Lookup::Utility,
            _ => Lookup::Missing,
        }
    }

    fn hostname(&self) -> String {
        "web-0".to_owned()
    }
}

/// What a name of the test's network answers, and how long it takes.
fn network(request: &NetworkRequest) -> Option<NetworkAnswer> {
    let address = "10.0.0.7".to_owned();
    let server = "10.96.0.10:53".to_owned();
    let of = |name: &str, data: &str| NetworkAnswer::Resolved {
        server: server.clone(),
        records: vec![Record {
            name: format!("{name}.default.svc.cluster.local"),
            kind: RecordKind::A,
            data: data.to_owned(),
        }],
    };
    Some(match (request.host(), request) {
        ("silent", NetworkRequest::Resolve(_)) => of("silent", "10.0.0.9"),
        ("silent" | "10.0.0.9", _) => return None,
        ("mute", NetworkRequest::Resolve(_)) => NetworkAnswer::TimedOut { address: "10.96.0.10".to_owned() },
        ("web", NetworkRequest::Http(request)) if request.port == 80 => {
            let body = format!("{} {}{}\n", request.method, request.path, String::from_utf8_lossy(&request.body));
            let status = if request.path.starts_with("/missing") { 404 } else { 200 };
            NetworkAnswer::Http(HttpAnswer { address, ..HttpAnswer::text(status, body) })
        }
        ("web", NetworkRequest::Resolve(_)) => of("web", &address),
        ("10.0.0.7", NetworkRequest::Connect { port: 80, .. } | NetworkRequest::Ping { .. }) => {
            NetworkAnswer::Connected { address }
        }
        ("web" | "10.0.0.7", _) => NetworkAnswer::Refused { address },
        _ => NetworkAnswer::NameUnknown { server },
    })
}

/// A run of a script.
pub(super) struct Run {
    pub host: TestHost,
    pub table: ProcessTable,
    pub pid: Pid,
    pub log: Vec<Output>,
}

impl Run {
    /// Starts a command as process 1, or as `first_pid`.
    pub(super) fn start(argv: &[&str], stdin: Option<&str>, first_pid: Pid) -> Self {
        let mut host = TestHost::new();
        let mut table = ProcessTable::new(first_pid);
        let spawn = Spawn {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            environment: vec![("HOME".to_owned(), "/root".to_owned()), ("GREETING".to_owned(), "hi there".to_owned())],
            directory: "/root".to_owned(),
            stdin: stdin.is_some(),
            terminal: false,
        };
        let pid = table.spawn(spawn, &mut host).expect("the command is known");
        table.feed(pid, stdin.unwrap_or_default().as_bytes());
        table.close_input(pid);
        Self { host, table, pid, log: Vec::new() }
    }

    /// Runs until nothing is left to do before `until`, or the process ended.
    pub(super) fn run(&mut self, until: Duration) -> Option<i32> {
        let until = Time::DEFAULT_START + until;
        for _ in 0..STEPS_MAX {
            let poll = self.table.step(&mut self.host, 20_000);
            self.log.extend(self.table.take_output(self.pid));
            if let Some(code) = self.table.exit_code(self.pid) {
                return Some(code);
            }
            let mut next = match poll {
                Poll::Running => Some(self.host.now + Duration::from_millis(100)),
                Poll::Waiting(time) => time,
            };
            for (id, request) in self.table.take_requests() {
                if let Some(answer) = network(&request) {
                    self.table.answer(id, answer);
                    next = Some(self.host.now + Duration::from_millis(1));
                }
            }
            match next {
                Some(time) if time <= until => self.host.now = self.host.now.max(time),
                _ => {
                    self.host.now = self.host.now.max(until);
                    return None;
                }
            }
        }
        panic!("the script does not come to an end: {}", self.text());
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.table.signal(self.pid, signal);
    }

    /// What was written, each piece after the seconds it took when time has passed.
    pub(super) fn text(&self) -> String {
        let (mut text, mut last) = (String::new(), Time::DEFAULT_START);
        for output in &self.log {
            if output.time > last {
                let passed = output.time.since(Time::DEFAULT_START).as_secs_f64();
                text.push_str(&format!("[{passed}s]\n"));
                last = output.time;
            }
            text.push_str(&String::from_utf8_lossy(&output.bytes));
        }
        text
    }
}

/// Runs a script with busybox's shell for up to a simulated hour.
pub(super) fn check(script: &str, expect: Expect) {
    check_with(&["sh", "-c", script], None, expect);
}

/// Runs a command with this on its standard input.
pub(super) fn check_with(argv: &[&str], stdin: Option<&str>, expect: Expect) {
    let mut run = Run::start(argv, stdin, 10);
    let code = run.run(Duration::from_secs(3600));
    let mut text = run.text();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("⏎\n");
    }
    match code {
        Some(0) => {}
        Some(code) => text.push_str(&format!("exit {code}\n")),
        None => text.push_str("still running\n"),
    }
    expect.assert_eq(&text);
}
