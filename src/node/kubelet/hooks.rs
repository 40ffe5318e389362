//! Lifecycle hooks: `pkg/kubelet/lifecycle/handlers.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::machinery::quote::quote;
use crate::machinery::shell::{HttpRequest, NetworkAnswer};
use crate::machinery::time::Time;
use crate::node::runtime::{ExecId, ExecResult};

use super::agenda::Work;
use super::events;
use super::host::Host;

/// A hook that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// It ends at this time, and is known to fail or not.
    Until(Time, bool),
    /// A command in the container.
    Command(ExecId),
}

impl Hook {
    /// Begins a hook of a container; `waiter` goes on when a command has ended.
    pub(super) fn begin(
        hook: &LifecycleHandler,
        uid: &str,
        container: &Container,
        id: &str,
        waiter: Work,
        host: &mut Host,
        now: Time,
    ) -> Self {
        if let Some(sleep) = &hook.sleep {
            return Self::Until(now + Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0)), false);
        }
        if let Some(exec) = &hook.exec {
            let command = exec.command.clone().unwrap_or_default();
            return host.runtime.exec(id, &command, waiter, now).map_or(Self::Until(now, true), Self::Command);
        }
        let Some(get) = &hook.http_get else { return Self::Until(now, true) };
        let port = port_of(container, &get.port);
        let path = get.path.as_deref().unwrap_or("/");
        let mut request = HttpRequest::get(get.host.as_deref().unwrap_or(""), port, path);
        for header in get.http_headers.iter().flatten() {
            request.headers.push((header.name.clone(), header.value.clone()));
        }
        // Any answer will do, as upstream's runner does not look at the status.
        match host.runtime.http(uid, id, request, now) {
            NetworkAnswer::Http(answer) => Self::Until(now + answer.latency, false),
            // A proxy answers in any case.
            NetworkAnswer::Forward(_) => Self::Until(now, false),
            _ => Self::Until(now, true),
        }
    }

    /// What a failed command left, or nothing when it did not fail; nothing at all while the hook runs. What failed
    /// without a command has left nothing.
    pub(super) fn outcome(&self, host: &mut Host, now: Time) -> Option<Result<(), ExecResult>> {
        match *self {
            Self::Until(time, failed) => (now >= time).then(|| {
                let nothing = ExecResult { code: 1, stdout: String::new(), stderr: String::new() };
                if failed { Err(nothing) } else { Ok(()) }
            }),
            Self::Command(exec) => {
                host.runtime.take_exec(exec).map(|result| if result.code == 0 { Ok(()) } else { Err(result) })
            }
        }
    }

    /// When it ends, if that is known.
    pub(super) fn ends(&self) -> Option<Time> {
        match *self {
            Self::Until(time, _) => Some(time),
            Self::Command(_) => None,
        }
    }
}

/// What `handlerRunner.Run` says of a hook that failed.
pub(super) fn failure_message(
    pod: &Pod,
    container: &Container,
    hook: &LifecycleHandler,
    ip: &str,
    left: &ExecResult,
) -> String {
    let whose = format!("for Container {:?} in Pod {:?} failed", container.name, events::format_pod(pod));
    if let Some(exec) = &hook.exec {
        let command = exec.command.as_deref().unwrap_or(&[]).join(" ");
        let (code, stderr, output) = (left.code, &left.stderr, quote(&left.output()));
        let error = format!("command '{command}' exited with {code}: {stderr}");
        return format!("Exec lifecycle hook ([{command}]) {whose} - error: {error}, message: {output}");
    }
    let Some(get) = &hook.http_get else { return format!("Invalid handler: {whose}") };
    let path = get.path.as_deref().unwrap_or("");
    let host = get.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(ip);
    let address = format!("{host}:{}", port_of(container, &get.port));
    let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
    let error = format!("Get \"{scheme}://{address}{path}\": dial tcp {address}: connect: connection refused");
    format!("HTTP lifecycle hook ({path}) {whose} - error: {error}")
}

/// The port that a hook asks.
fn port_of(container: &Container, port: &IntOrString) -> u16 {
    match port {
        IntOrString::Int(port) => u16::try_from(*port).unwrap_or(0),
        IntOrString::String(name) if name.is_empty() => 80,
        IntOrString::String(name) => named_port(container, name),
    }
}

/// The number of a container's port that has a name; 0 when there is none.
pub(super) fn named_port(container: &Container, name: &str) -> u16 {
    let ports = container.ports.iter().flatten();
    let port = ports.into_iter().find(|port| port.name.as_deref() == Some(name));
    port.and_then(|port| u16::try_from(port.container_port).ok()).or_else(|| name.parse().ok()).unwrap_or(0)
}
