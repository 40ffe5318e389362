//! `kubectl port-forward` and `kubectl proxy`: ports of the machine that kubectl runs on, behind which others answer.
//!
//! Follows `k8s.io/kubectl/pkg/cmd/portforward` and `pkg/cmd/proxy`. Who asks at such a port is told by
//! [`super::Kubectl::connect`] where the request goes.

use serde_json::Value;

use super::api::Api;
use super::builder::{self, Query};
use super::cli::{Cli, Step, Waiting};
use super::exec;
use super::failure::Failure;
use crate::api::{Kind, ObjectKey};
use crate::apiserver::{ListOptions, Request, User, Verb};
use crate::etcd::{Cause, Why};
use crate::machinery::go_json;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer};

/// The first port that the system gives to who asks for none.
const EPHEMERAL: u16 = 40_000;

/// Ports that are open as long as kubectl runs.
#[derive(Clone, Debug)]
pub(super) enum Forward {
    /// Those of a pod: the port here and the port there.
    Pod { pod: ObjectKey, ports: Vec<(u16, u16)> },
    /// The API server's.
    Proxy { port: u16, prefix: String },
}

/// Where a request goes that came to a port.
#[derive(Clone, Debug, PartialEq)]
pub enum Forwarded {
    /// To a port of a pod.
    Pod(ObjectKey, u16),
    /// It is answered.
    Answered(NetworkAnswer),
}

/// Runs `kubectl port-forward`.
pub(super) fn run(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let Some((named, wanted)) = cli.arguments().split_first().filter(|(_, wanted)| !wanted.is_empty()) else {
        return Err(cli.usage("TYPE/NAME and list of ports are required for port-forward"));
    };
    let pod = pod_of(cli, named)?;
    let named_service = service(cli, named)?;
    let mut ports = Vec::new();
    for (at, words) in wanted.iter().enumerate() {
        // With more than one colon only the first part counts, and the whole is refused later: `splitPort`.
        let parts: Vec<&str> = words.split(':').collect();
        let (own, there) = if let [own, there] = parts[..] { (own, there) } else { (parts[0], parts[0]) };
        let there = remote_port(there, named_service.as_ref(), &pod)?;
        let own = match own {
            "" | "0" => EPHEMERAL + at as u16,
            // A name stands for the number that it has there.
            own => match own.parse() {
                Ok(number) => number,
                Err(_) if own == words => there,
                Err(_) => return Err(bad_port(words)),
            },
        };
        ports.push((own, there));
    }
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if phase != "Running" {
        return Err(Failure::Message(format!(
            "unable to forward port because pod is not running. Current status={phase}"
        )));
    }
    if let Some(words) = wanted.iter().find(|words| words.matches(':').count() > 1) {
        return Err(bad_port(words));
    }
    let address = cli.flags().text("address");
    let addresses: Vec<&str> = match address {
        "" | "localhost" => vec!["127.0.0.1", "[::1]"],
        given => given.split(',').collect(),
    };
    for (own, there) in &ports {
        for address in &addresses {
            cli.say(&format!("Forwarding from {address}:{own} -> {there}"));
        }
    }
    Ok(Step::Wait(Waiting::Forward(Forward::Pod { pod: exec::key_of(&pod), ports })))
}

fn bad_port(words: &str) -> Failure {
    Failure::Message(format!("invalid port format {words:?}"))
}

/// The pod that answers: it itself, or the first of an object's.
fn pod_of(cli: &mut Cli<'_>, named: &str) -> Result<Value, Failure> {
    exec::pod(cli, &[named.to_owned()])
}

/// The Service, when it is one through which the pod is named.
fn service(cli: &mut Cli<'_>, named: &str) -> Result<Option<Value>, Failure> {
    if !named.contains('/') {
        return Ok(None);
    }
    let words = [named.to_owned()];
    let info = builder::find(cli, Query { selects: false, ..Query::new(&words) })?.all()?.into_iter().next();
    Ok(info.filter(|info| info.kind == Kind::Service).map(|info| info.object))
}

/// The port in the pod: a Service's port stands for its target.
fn remote_port(word: &str, service: Option<&Value>, pod: &Value) -> Result<u16, Failure> {
    let Some(service) = service else {
        return match word.parse() {
            Ok(number) => Ok(number),
            Err(_) => named_port(pod, word).ok_or_else(|| {
                Failure::Message(format!(
                    "Pod '{}' does not have a named port '{word}'",
                    text(&pod["metadata"]["name"])
                ))
            }),
        };
    };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let is_meant = |port: &&Value| match word.parse::<u64>() {
        Ok(number) => port["port"] == number,
        Err(_) => port["name"] == word,
    };
    let Some(port) = ports.into_iter().find(is_meant) else {
        let name = text(&service["metadata"]["name"]);
        return Err(Failure::Message(match word.parse::<u64>() {
            Ok(number) => format!("Service {name} does not have a service port {number}"),
            Err(_) => format!("Service '{name}' does not have a named port '{word}'"),
        }));
    };
    let target = &port["targetPort"];
    let number = target.as_u64().or_else(|| port["port"].as_u64().filter(|_| target.is_null()));
    let number = number.and_then(|number| u16::try_from(number).ok());
    number.or_else(|| named_port(pod, target.as_str().unwrap_or(""))).ok_or_else(|| {
        Failure::Message(format!(
            "Pod '{}' does not have a named port '{}'",
            text(&pod["metadata"]["name"]),
            target.as_str().unwrap_or("")
        ))
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn named_port(pod: &Value, name: &str) -> Option<u16> {
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let mut ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
    ports.find(|port| port["name"] == name)?["containerPort"].as_u64()?.try_into().ok()
}

/// Runs `kubectl proxy`.
pub(super) fn proxy(cli: &mut Cli<'_>) -> Result<Step, Failure> {
    let flags = cli.flags();
    let port = u16::try_from(flags.integer("port").unwrap_or(8001)).ok();
    let port = port.ok_or_else(|| Failure::message("invalid port"))?;
    let port = if port == 0 { EPHEMERAL } else { port };
    let prefix = if flags.has("api-prefix") { flags.text("api-prefix") } else { "/" };
    let prefix = prefix.trim_end_matches('/').to_owned();
    cli.say(&format!("Starting to serve on 127.0.0.1:{port}"));
    Ok(Step::Wait(Waiting::Forward(Forward::Proxy { port, prefix })))
}

impl Forward {
    /// The ports that are open.
    pub(super) fn ports(&self) -> Vec<u16> {
        match self {
            Self::Pod { ports, .. } => ports.iter().map(|(own, _)| *own).collect(),
            Self::Proxy { port, .. } => vec![*port],
        }
    }

    /// It goes on for as long as nobody ends it, unless the pod is gone.
    pub(super) fn poll(self, cli: &mut Cli<'_>) -> Result<Step, Failure> {
        if let Self::Pod { pod, .. } = &self
            && let Err(status) = cli.get(Kind::Pod, &pod.namespace, &pod.name)
            && status.is_not_found()
        {
            return Err(Failure::message("lost connection to pod"));
        }
        Ok(Step::Wait(Waiting::Forward(self)))
    }

    /// What becomes of a request that came to a port, and what is said of it.
    pub(super) fn connect(&self, request: &HttpRequest, api: &mut dyn Api) -> (Forwarded, String) {
        match self {
            Self::Pod { pod, ports } => {
                let there = ports.iter().find(|(own, _)| *own == request.port).map_or(0, |(_, there)| *there);
                (Forwarded::Pod(pod.clone(), there), format!("Handling connection for {}\n", request.port))
            }
            Self::Proxy { prefix, .. } => {
                let path = request.path.strip_prefix(prefix.as_str()).unwrap_or(&request.path);
                (Forwarded::Answered(NetworkAnswer::Http(answer(path, api))), String::new())
            }
        }
    }
}

/// The API server's answer to who reads a path.
fn answer(path: &str, api: &mut dyn Api) -> HttpAnswer {
    let cause = Cause::new("kubectl", Why::default());
    let asked = api.address(path).and_then(|target| {
        let verb = if target.name.is_empty() { Verb::List(ListOptions::default()) } else { Verb::Get };
        api.request(Request { user: User::admin(), cause, target, verb })
    });
    let (status, body) = match asked {
        Ok(answer) => (200, go_json::marshal_indent(&answer.response.wire(), "  ")),
        Err(status) => (status.code(), go_json::marshal_indent(&status.to_value(), "  ")),
    };
    let mut answer = HttpAnswer::text(status, body);
    answer.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    answer
}
