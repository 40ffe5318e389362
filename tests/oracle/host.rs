//! The machine on which a case's shell lines run, and the cluster beside it.

use std::any::Any;
use std::time::Duration;

use kubetab::kubectl::{Config, Program};
use kubetab::machinery::persistent::OrdMap;
use kubetab::machinery::random::Random;
use kubetab::machinery::shell::files::{FileSystem, FileTree};
use kubetab::machinery::shell::{Flavor, Host, Lookup, Poll, ProcessTable, Spawn, Stream, utilities};
use kubetab::machinery::time::Time;
use kubetab::sim::Cluster;

use super::recording::Finished;
use super::{observe, tools};

/// Where a case's files are.
const WORK: &str = "/work";
/// How long kubectl takes to start: what it took on the machine of the recordings.
const KUBECTL_START: Duration = Duration::from_millis(80);
/// How much of a line is done before the cluster has its turn.
const BUDGET: u32 = 100_000;

/// A machine with a shell, and a cluster.
pub struct World {
    cluster: Cluster,
    root: FileTree,
    random: Random,
    namespace: String,
}

impl World {
    /// A machine whose kubectl works in a namespace.
    pub fn new(cluster: Cluster, namespace: &str) -> Self {
        let now = cluster.now();
        let mut root = FileTree::new();
        for directory in ["/tmp", "/root", WORK] {
            root.put_directories(directory, now);
        }
        Self { cluster, root, random: Random::new(1), namespace: namespace.to_owned() }
    }

    /// Writes a file into the working folder.
    pub fn put_file(&mut self, name: &str, text: &str) {
        let path = format!("{WORK}/{name}");
        let now = self.now();
        if let Some((directory, _)) = path.rsplit_once('/') {
            self.root.put_directories(directory, now);
        }
        self.root.put(&path, text.as_bytes(), 0o644, now);
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.cluster.now()
    }

    /// Lets time pass.
    pub fn pass(&mut self, duration: Duration) {
        self.cluster.run_for(duration);
    }

    /// Runs a shell line to its end, or for as long as it may take.
    pub fn run(&mut self, line: &str, stdin: Option<&str>, timeout_seconds: f64) -> Finished {
        let mut table = ProcessTable::new(100);
        let spawn = Spawn {
            argv: ["bash", "-c", line].map(str::to_owned).into(),
            environment: vec![("HOME".to_owned(), "/root".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            directory: WORK.to_owned(),
            stdin: stdin.is_some(),
            terminal: false,
        };
        let pid = table.spawn(spawn, self).expect("there is a shell");
        table.feed(pid, stdin.unwrap_or_default().as_bytes());
        table.close_input(pid);
        let deadline = self.now() + Duration::from_secs_f64(timeout_seconds);
        let (mut out, mut error) = (Vec::new(), Vec::new());
        let code = loop {
            let poll = table.step(self, BUDGET);
            for output in table.take_output(pid) {
                match output.stream {
                    Stream::Out => out.extend(output.bytes),
                    Stream::Error => error.extend(output.bytes),
                }
            }
            if let Some(code) = table.exit_code(pid) {
                break code;
            }
            match poll {
                Poll::Running => {}
                Poll::Waiting(Some(time)) if time < deadline => self.cluster.run_until(time),
                Poll::Waiting(_) => {
                    self.cluster.run_until(deadline);
                    error.clear();
                    break 124;
                }
            }
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Finished { code, out: text(out), error: text(error) }
    }
}

impl Host for World {
    fn now(&self) -> Time {
        self.cluster.now()
    }

    fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn with_files(&mut self, work: &mut dyn FnMut(&mut FileSystem<'_>)) {
        let now = self.cluster.now();
        work(&mut FileSystem::new(&mut self.root, &mut OrdMap::new(), &[], now));
    }

    fn lookup(&mut self, name: &str, argv: &[String]) -> Lookup {
        match name.rsplit('/').next().unwrap_or_default() {
            "bash" | "sh" => Lookup::Shell(Flavor::Bash),
            "kubectl" => {
                let config = Config { namespace: self.namespace.clone(), ..Config::default() };
                Lookup::Run(Box::new(Program::<Cluster>::new(config, KUBECTL_START)))
            }
            "python3" => observe::find(argv, &self.namespace).map_or(Lookup::Missing, Lookup::Run),
            other => match tools::find(other) {
                Some(tool) => Lookup::Run(tool),
                None if utilities::exists(other) => Lookup::Utility,
                None => Lookup::Missing,
            },
        }
    }

    fn hostname(&self) -> String {
        "oracle".to_owned()
    }

    fn world(&mut self) -> Option<&mut dyn Any> {
        Some(&mut self.cluster)
    }
}
