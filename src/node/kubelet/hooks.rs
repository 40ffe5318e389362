//! Lifecycle hooks: `pkg/kubelet/lifecycle/handlers.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::machinery::time::Time;

use super::host::Host;

/// How a hook ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HookEnd {
    pub takes: Duration,
    pub failed: bool,
}

/// Runs a hook of a container.
pub(super) fn run(hook: &LifecycleHandler, container: &Container, id: &str, host: &mut Host, now: Time) -> HookEnd {
    if let Some(sleep) = &hook.sleep {
        return HookEnd { takes: Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0)), failed: false };
    }
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let answer = host.machine.exec(id, &command, now);
        return HookEnd { takes: answer.takes, failed: answer.exit_code != 0 };
    }
    if let Some(get) = &hook.http_get {
        let port = match &get.port {
            IntOrString::Int(port) => u16::try_from(*port).unwrap_or(0),
            IntOrString::String(name) => named_port(container, name),
        };
        let path = get.path.as_deref().unwrap_or("/");
        let answer = host.machine.http(id, port, path, now);
        return HookEnd { takes: answer.takes, failed: !answer.is_success() };
    }
    HookEnd { takes: Duration::ZERO, failed: true }
}

/// The number of a container's port that has a name; 0 when there is none.
pub(super) fn named_port(container: &Container, name: &str) -> u16 {
    let ports = container.ports.iter().flatten();
    let port = ports.into_iter().find(|port| port.name.as_deref() == Some(name));
    port.and_then(|port| u16::try_from(port.container_port).ok()).or_else(|| name.parse().ok()).unwrap_or(0)
}
