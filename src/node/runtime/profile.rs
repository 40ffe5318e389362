//! How fast and how strict a simulated runtime is.

use std::time::Duration;

/// The habits of a node's container runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeProfile {
    /// How long a pull takes.
    pub pull: PullTime,
    /// What making a sandbox takes: network and pause container.
    pub sandbox: Duration,
    /// Whether servers listen from their first moment on, whatever the catalogue says.
    pub instant_servers: bool,
    /// Whether a signal goes to all processes of a container instead of process 1, so that a trap runs at once even
    /// when a command is in the foreground. A real runtime signals process 1 only; the recorded cases' did not.
    pub signals_reach_all: bool,
    /// Whether every port of a running container takes connections and answers HTTP with 200, whatever runs there. A
    /// real runtime knows no such thing; the recorded cases' did it for probes and hooks.
    pub answers_everywhere: bool,
    /// The processors of the machine.
    pub processors: u32,
    /// The memory of the machine, in bytes. A container without a limit may use all of it.
    pub memory_bytes: u64,
}

/// How long a pull takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullTime {
    /// Always so long.
    Fixed(Duration),
    /// As the image's size and the network allow.
    BySize {
        /// The time before the first byte comes.
        latency: Duration,
        /// What the network carries in a second.
        bytes_per_second: u64,
    },
}

impl Default for RuntimeProfile {
    fn default() -> Self {
        Self {
            pull: PullTime::BySize { latency: Duration::from_millis(700), bytes_per_second: 40_000_000 },
            sandbox: Duration::from_millis(200),
            instant_servers: false,
            signals_reach_all: false,
            answers_everywhere: false,
            processors: 4,
            memory_bytes: 8 << 30,
        }
    }
}

impl RuntimeProfile {
    /// The rules of the fake runtime that the recorded cases ran on.
    #[must_use]
    pub fn recorded() -> Self {
        Self {
            pull: PullTime::Fixed(Duration::from_millis(300)),
            // Twenty pods were ready 0.6 s after they were bound, nearly all of which is the kubelet's own rhythm.
            sandbox: Duration::from_millis(10),
            instant_servers: true,
            signals_reach_all: true,
            answers_everywhere: true,
            ..Self::default()
        }
    }
}
