//! A cluster behind plain HTTP, for the user's own kubectl: `make api`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use kubetab::door::{self, Clock, Door};
use kubetab::machinery::time::Time;
use kubetab::node::runtime::RuntimeProfile;
use kubetab::session::scenario::Scenario;
use kubetab::session::{Session, SessionConfig, SessionLog};
use kubetab::sim::Profile;

const USAGE: &str = "\
serve: a simulated Kubernetes cluster behind plain HTTP

  --port PORT        where to listen on 127.0.0.1 (8001)
  --bind ADDRESS     another loopback address, such as ::1
  --allow-remote     takes any address after --bind: whoever can reach it is administrator of the cluster
  --nodes NUMBER     how many nodes to begin with (5)
  --seed NUMBER      from which all chance follows (1)
  --speed FACTOR     how many times as fast as real time (1)
  --runtime NAME     recorded: containers follow the rules of the runtime of the recorded cluster, where a pull takes
                     300 ms and every port answers; usual: they are as in the page (recorded)
  --metrics on|off   whether a metrics-server runs, for kubectl top and autoscalers (off)
  --scenario FILE    begins with a scenario (YAML), or with a session that was saved (JSON): by the page, or by --log.
                     It says itself what the cluster is made of
  --log FILE         saves the session when it ends, so that the page can open it
  --kubeconfig FILE  writes a file for kubectl --kubeconfig FILE
  --help             prints this";

/// How long the cluster has run already when the door opens: by then its nodes are ready.
const HEAD_START: Duration = Duration::from_secs(90);
/// The fastest that is taken; the machine gives out long before.
const SPEED_MAX: f64 = 10_000.0;

/// What the command line asks for.
#[derive(Debug, PartialEq)]
struct Options {
    address: SocketAddr,
    allow_remote: bool,
    nodes: u32,
    seed: u64,
    speed: f64,
    runtime: RuntimeProfile,
    metrics: bool,
    scenario: Option<PathBuf>,
    log: Option<PathBuf>,
    kubeconfig: Option<PathBuf>,
}

/// Why the command line begins no cluster.
#[derive(Debug, PartialEq)]
enum UsageError {
    /// It only asks how it is to be used.
    Help,
    Unknown(String),
    Missing(String),
    Bad(String, String),
    NotLoopback(IpAddr),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help => f.write_str(USAGE),
            Self::Unknown(flag) => write!(f, "there is no flag {flag:?}"),
            Self::Missing(flag) => write!(f, "{flag} needs a value"),
            Self::Bad(flag, value) => write!(f, "{flag} cannot be {value:?}"),
            Self::NotLoopback(address) => write!(
                f,
                "{address} is no loopback address: everybody who could reach it would be administrator \
                 (--allow-remote takes it all the same)"
            ),
        }
    }
}

impl Options {
    fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut options = Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001),
            allow_remote: false,
            nodes: 5,
            seed: 1,
            speed: 1.0,
            runtime: RuntimeProfile::recorded(),
            metrics: false,
            scenario: None,
            log: None,
            kubeconfig: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--help" | "-h" | "help" => return Err(UsageError::Help),
                "--allow-remote" => {
                    options.allow_remote = true;
                    continue;
                }
                _ => {}
            }
            let (flag, value) = match argument.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (argument, None),
            };
            let Some(set) = setter(&flag) else { return Err(UsageError::Unknown(flag)) };
            let Some(value) = value.or_else(|| arguments.next()) else { return Err(UsageError::Missing(flag)) };
            if set(&mut options, &value).is_none() {
                return Err(UsageError::Bad(flag, value));
            }
        }
        let address = options.address.ip();
        if !address.is_loopback() && !options.allow_remote {
            return Err(UsageError::NotLoopback(address));
        }
        Ok(options)
    }

    /// A cluster as those were that the recorded cases come from, but with a network, at the time that a watch on the wall
    /// shows.
    fn config(&self, start: Time) -> SessionConfig {
        let profile = Profile {
            start: start - HEAD_START,
            nodes: self.nodes,
            node_prefix: "worker-".to_owned(),
            runtime: self.runtime.clone(),
            metrics: self.metrics,
            // What makes a network of it leaves no trace in the API.
            kube_proxy: true,
            cluster_dns: true,
            network_policies: true,
            ..Profile::bare()
        };
        SessionConfig { seed: self.seed, profile, ..SessionConfig::default() }
    }

    /// The session that the door opens to.
    fn session(&self) -> Result<Session, String> {
        let now = wall_clock();
        let Some(path) = &self.scenario else {
            let mut session = Session::new(self.config(now));
            session.run_until(now);
            return Ok(session);
        };
        let log = begun(path)?;
        // It ends at the time that a watch on the wall shows, since real clients reckon ages from that.
        let length = log.now.since(log.config.profile.start);
        Ok(Session::from_log(log.begun_at(now - length)))
    }
}

/// What puts a flag's value in its place; nothing comes back when it is no such value.
type Setter = fn(&mut Options, &str) -> Option<()>;

fn setter(flag: &str) -> Option<Setter> {
    Some(match flag {
        "--port" => |options, value| value.parse().ok().map(|port| options.address.set_port(port)),
        "--bind" => |options, value| value.parse().ok().map(|address| options.address.set_ip(address)),
        "--nodes" => |options, value| {
            let nodes = value.parse().ok().filter(|nodes| *nodes as usize <= SessionLog::NODES_MAX)?;
            options.nodes = nodes;
            Some(())
        },
        "--seed" => |options, value| value.parse().ok().map(|seed| options.seed = seed),
        "--speed" => |options, value| {
            options.speed = value.parse().ok().filter(|speed| *speed > 0.0 && *speed <= SPEED_MAX)?;
            Some(())
        },
        "--runtime" => |options, value| {
            options.runtime = match value {
                "usual" => RuntimeProfile::default(),
                "recorded" => RuntimeProfile::recorded(),
                _ => return None,
            };
            Some(())
        },
        "--metrics" => |options, value| {
            options.metrics = match value {
                "on" => true,
                "off" => false,
                _ => return None,
            };
            Some(())
        },
        "--scenario" => |options, value| path(value).map(|path| options.scenario = Some(path)),
        "--log" => |options, value| path(value).map(|path| options.log = Some(path)),
        "--kubeconfig" => |options, value| path(value).map(|path| options.kubeconfig = Some(path)),
        _ => return None,
    })
}

fn path(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| PathBuf::from(value))
}

#[expect(clippy::disallowed_types, reason = "real clients reckon ages from real time")]
fn wall_clock() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Time::default() + Duration::from_secs(now.as_secs())
}

/// The log of the session with which a file lets one begin.
fn begun(path: &Path) -> Result<SessionLog, String> {
    let why = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| why(&error))?;
    if text.trim_start().starts_with('{') {
        return SessionLog::from_json(&text).map_err(|error| why(&error));
    }
    Scenario::read(&text).map(|scenario| scenario.session().log()).map_err(|error| why(&error))
}

/// A file with which kubectl finds the cluster.
fn kubeconfig(address: SocketAddr) -> String {
    format!(
        "\
apiVersion: v1
kind: Config
clusters:
- name: kubetab
  cluster:
    server: http://{address}
contexts:
- name: kubetab
  context:
    cluster: kubetab
    namespace: default
    user: kubernetes-admin
current-context: kubetab
users:
- name: kubernetes-admin
  user: {{}}
"
    )
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(UsageError::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let session = match options.session() {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let result =
        runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(serve(&options, session)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: &Options, session: Session) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot listen at {}: {error}", options.address);
    let listener = tokio::net::TcpListener::bind(options.address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if let Some(path) = &options.kubeconfig {
        std::fs::write(path, kubeconfig(address)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let nodes = session.cluster().api().etcd().count(kubetab::api::Kind::Node);
    let door = Door::open(session, Clock::Real(options.speed));
    let door = if options.allow_remote { door.for_any_host() } else { door };
    println!("A cluster of {nodes} nodes is at http://{address}; it ends with Ctrl-C.");
    match &options.kubeconfig {
        Some(path) => println!("kubectl --kubeconfig={} get nodes", path.display()),
        None => println!("kubectl --server=http://{address} get nodes"),
    }
    tokio::spawn(door::serve(listener, door.clone()));
    end_asked_for().await.map_err(|error| error.to_string())?;
    if let Some(path) = &options.log {
        save(&door, path).await?;
    }
    // The session's thread ends with the process; nobody waits for clients that are still there.
    std::process::exit(0)
}

/// Waits until somebody wants this to end.
#[cfg(not(unix))]
async fn end_asked_for() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}

/// Waits until somebody wants this to end.
#[cfg(unix)]
async fn end_asked_for() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    std::future::poll_fn(|context| {
        if interrupt.poll_recv(context).is_ready() || terminate.poll_recv(context).is_ready() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    Ok(())
}

async fn save(door: &Door, path: &Path) -> Result<(), String> {
    let (log, _) = door.log().await.ok_or("the session has ended before it could be saved")?;
    let count = log.entries.len();
    std::fs::write(path, log.to_json()).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("Saved a session of {count} actions as {}.", path.display());
    if count >= SessionLog::ENTRIES_MAX {
        println!(
            "It ends with its {count}th action, since a session may have no more; the cluster went on after that."
        );
    }
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
        let options = parse("--port 9000 --nodes=2 --speed 4.5 --log=a.json").expect("they are known");
        assert_eq!((options.address.to_string().as_str(), options.nodes, options.speed), ("127.0.0.1:9000", 2, 4.5));
        assert_eq!(options.log, Some(PathBuf::from("a.json")));
        assert_eq!(parse("--bind ::1").expect("loopback").address.to_string(), "[::1]:8001");
        assert!(parse("--metrics on").expect("it is known").metrics && parse("--metrics maybe").is_err());
        assert_eq!(parse("--runtime usual").expect("it is known").runtime, RuntimeProfile::default());
        for line in ["--help", "-h", "--nodes 3 --help"] {
            assert_eq!(parse(line), Err(UsageError::Help), "{line}");
        }
        assert!(parse("--bind 0.0.0.0 --allow-remote").expect("it was told to").allow_remote);
        let refused = [
            "--bind 0.0.0.0",
            "--bind 192.168.1.1",
            "--nodes 99999",
            "--speed 0",
            "--port",
            "--what 1",
            "--runtime fast",
            "--log=",
        ];
        for line in refused {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
