//! A cluster behind plain HTTP, for the user's own kubectl: `make api`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use kubetab::door::{self, Clock, Door};
use kubetab::machinery::time::Time;
use kubetab::node::runtime::RuntimeProfile;
use kubetab::session::{SessionConfig, SessionLog};
use kubetab::sim::Profile;

const USAGE: &str = "\
serve: a simulated Kubernetes cluster behind plain HTTP

  --port PORT       where to listen on 127.0.0.1 (8001)
  --bind ADDRESS    another loopback address, such as ::1
  --nodes NUMBER    how many nodes to begin with (5)
  --seed NUMBER     from which all chance follows (1)
  --speed FACTOR    how many times as fast as real time (1)
  --runtime NAME    recorded: containers follow the rules of the runtime of the recorded cluster, where a pull takes
                    300 ms and every port answers; usual: they are as in the page (recorded)";

/// How long the cluster has run already when the door opens: by then its nodes are ready.
const HEAD_START: Duration = Duration::from_secs(90);
/// The fastest that is taken; the machine gives out long before.
const SPEED_MAX: f64 = 10_000.0;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Options {
    address: SocketAddr,
    nodes: u32,
    seed: u64,
    speed: f64,
    runtime: RuntimeProfile,
}

/// Why the command line is not taken.
#[derive(Debug, PartialEq)]
enum UsageError {
    Unknown(String),
    Missing(String),
    Bad(String, String),
    NotLoopback(IpAddr),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(flag) => write!(f, "there is no flag {flag:?}"),
            Self::Missing(flag) => write!(f, "{flag} needs a value"),
            Self::Bad(flag, value) => write!(f, "{flag} cannot be {value:?}"),
            Self::NotLoopback(address) => {
                write!(f, "{address} is no loopback address: everybody who could reach it would be administrator")
            }
        }
    }
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut port = 8001;
        let (mut nodes, mut seed, mut speed, mut runtime) = (5, 1, 1.0, RuntimeProfile::recorded());
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            if !matches!(flag.as_str(), "--port" | "--bind" | "--nodes" | "--seed" | "--speed" | "--runtime") {
                return Err(UsageError::Unknown(flag));
            }
            let Some(value) = value.or_else(|| arguments.next()) else { return Err(UsageError::Missing(flag)) };
            let is_taken = match flag.as_str() {
                "--port" => value.parse().map(|value| port = value).is_ok(),
                "--bind" => value.parse().map(|value| address = value).is_ok(),
                "--nodes" => {
                    value.parse().map(|value| nodes = value).is_ok() && nodes as usize <= SessionLog::NODES_MAX
                }
                "--runtime" => {
                    runtime = if value == "usual" { RuntimeProfile::default() } else { RuntimeProfile::recorded() };
                    matches!(value.as_str(), "usual" | "recorded")
                }
                "--seed" => value.parse().map(|value| seed = value).is_ok(),
                _ => value.parse().map(|value| speed = value).is_ok() && speed > 0.0 && speed <= SPEED_MAX,
            };
            if !is_taken {
                return Err(UsageError::Bad(flag, value));
            }
        }
        if !address.is_loopback() {
            return Err(UsageError::NotLoopback(address));
        }
        Ok(Self { address: SocketAddr::new(address, port), nodes, seed, speed, runtime })
    }

    /// A cluster as those were that the recorded cases come from, at the time that a watch on the wall shows.
    #[expect(clippy::disallowed_types, reason = "real clients reckon ages from real time")]
    fn session(&self) -> SessionConfig {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let start = Time::default() + Duration::from_secs(now.as_secs());
        let profile = Profile {
            start: start - HEAD_START,
            nodes: self.nodes,
            node_prefix: "worker-".to_owned(),
            runtime: self.runtime.clone(),
            ..Profile::bare()
        };
        SessionConfig { seed: self.seed, profile, ..SessionConfig::default() }
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let result = runtime.and_then(|runtime| runtime.block_on(listen(&options)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot listen at {}: {error}", options.address);
            ExitCode::FAILURE
        }
    }
}

async fn listen(options: &Options) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(options.address).await?;
    let address = listener.local_addr()?;
    let door = Door::open(options.session(), HEAD_START, Clock::Real(options.speed));
    println!("A cluster of {} nodes is at http://{address}; it ends with Ctrl-C.", options.nodes);
    println!("kubectl --server=http://{address} get nodes");
    door::serve(listener, door).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_and_only_loopback_is_bound() {
        let options = parse("--port 9000 --nodes=2 --speed 4.5").expect("they are known");
        assert_eq!((options.address.to_string().as_str(), options.nodes, options.speed), ("127.0.0.1:9000", 2, 4.5));
        assert_eq!(parse("--bind ::1").expect("loopback").address.to_string(), "[::1]:8001");
        assert_eq!(parse("--runtime usual").expect("it is known").runtime, RuntimeProfile::default());
        let refused = [
            "--bind 0.0.0.0",
            "--bind 192.168.1.1",
            "--nodes 99999",
            "--speed 0",
            "--port",
            "--what 1",
            "--runtime fast",
        ];
        for line in refused {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
