//! What has to be done to a pod's containers: a pure decision over the pod and what the runtime has of it.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (`computePodActions`), `kuberuntime_container.go`
//! (`computeInitContainerActions`), `util/util.go` (`PodSandboxChanged`).

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use crate::api::Name;

use super::kuberuntime::{ContainerPhase, ContainerRecord, PodRecord};
use super::prober::{Outcome, ProbeKind, Probes};
use super::resize::{Change, Resize};
use super::restart::{is_restartable_init, restarts_on_failure, should_be_started, should_restart};

/// Why a container is killed: it decides the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KillReason {
    Other,
    StartupProbe,
    LivenessProbe,
    /// All containers are restarted, without much ado.
    RestartAll,
}

/// A container to be killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    pub id: Name,
    pub name: Name,
    /// The event's message; empty for `Stopping container …`.
    pub message: String,
    pub reason: KillReason,
}

/// What to do, in the order in which it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodActions {
    /// Kill everything, the sandbox too.
    pub kill_pod: bool,
    /// Make a sandbox: its attempt.
    pub create_sandbox: Option<u32>,
    /// Whether there was a sandbox before that is no good any more.
    pub sandbox_changed: bool,
    pub kill: Vec<Kill>,
    /// Ephemeral containers to start, by their place in the spec.
    pub ephemeral: Vec<usize>,
    /// Init containers to start.
    pub init: Vec<usize>,
    /// Containers to start.
    pub start: Vec<usize>,
    /// Running containers that get other resources.
    pub resize: Vec<usize>,
    /// Whether all that is left of init and regular containers is removed, so that the pod begins anew in its sandbox.
    pub reset: bool,
}

/// The first half of a restart of all containers: those that run are killed; the other: what is left is removed.
pub(super) fn restart_all_actions(pod: &Pod, runtime: &PodRecord) -> PodActions {
    let ephemeral = pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
    let ephemeral: Vec<&str> = ephemeral.map(|container| container.name.as_str()).collect();
    let kill = runtime.running().filter(|record| !ephemeral.contains(&&*record.name)).map(|record| Kill {
        id: record.id.clone(),
        name: record.name.clone(),
        message: String::new(),
        reason: KillReason::RestartAll,
    });
    let kill: Vec<Kill> = kill.collect();
    PodActions { reset: kill.is_empty(), kill, ..PodActions::default() }
}

/// Whether a new sandbox is needed, and its attempt.
pub(super) fn sandbox_changed(runtime: &PodRecord) -> (bool, u32) {
    let Some(newest) = runtime.sandboxes.first() else { return (true, 0) };
    let ready = runtime.sandboxes.iter().filter(|sandbox| sandbox.ready).count();
    let without_address = newest.ip.is_empty() && !newest.host_network;
    if ready > 1 || !newest.ready || without_address {
        return (true, newest.attempt + 1);
    }
    (false, newest.attempt)
}

/// What to do about a pod.
pub(super) fn compute_pod_actions(pod: &Pod, runtime: &PodRecord, probes: &Probes, resizing: &Resize) -> PodActions {
    let Some(spec) = &pod.spec else { return PodActions::default() };
    let (changed, attempt) = sandbox_changed(runtime);
    if changed {
        return with_new_sandbox(spec, runtime, attempt);
    }
    let mut actions = PodActions {
        ephemeral: spec
            .ephemeral_containers
            .iter()
            .flatten()
            .enumerate()
            .filter(|(_, container)| runtime.newest(&container.name).is_none())
            .map(|(index, _)| index)
            .collect(),
        ..PodActions::default()
    };
    if !init_actions(spec, runtime, probes, &mut actions) || actions.kill_pod {
        return actions;
    }
    let mut kept = 0;
    for (index, container) in spec.containers.iter().enumerate() {
        let Some(running) = runtime.newest(&container.name).filter(|record| record.phase == ContainerPhase::Running)
        else {
            if should_be_started(container, pod, runtime) {
                actions.start.push(index);
            }
            continue;
        };
        let why = why_kill(container, running, probes);
        let change = if why.is_none() { resizing.change(container) } else { Change::Nothing };
        if change == Change::Restart {
            let message = format!("Container {} resize requires restart", container.name);
            actions.start.push(index);
            let (id, name) = (running.id.clone(), running.name.clone());
            actions.kill.push(Kill { id, name, message, reason: KillReason::Other });
            continue;
        }
        let Some((message, reason)) = why else {
            kept += 1;
            actions.resize.extend((change == Change::InPlace).then_some(index));
            continue;
        };
        let definition_changed = running.image != image(container);
        let mut message = message;
        if definition_changed || restarts_on_failure(container, spec) {
            message.push_str(", will be restarted");
            actions.start.push(index);
        }
        actions.kill.push(Kill { id: running.id.clone(), name: running.name.clone(), message, reason });
    }
    if kept == 0 && actions.start.is_empty() {
        actions.kill_pod = true;
        actions.init.clear();
    }
    actions
}

fn image(container: &Container) -> &str {
    container.image.as_deref().unwrap_or("")
}

/// Why a running container may not stay, as the event says it.
fn why_kill(container: &Container, running: &ContainerRecord, probes: &Probes) -> Option<(String, KillReason)> {
    let failed = |kind| probes.outcome(kind, &container.name, &running.id) == Some(Outcome::Failure);
    let name = &container.name;
    if running.image != image(container) {
        Some((format!("Container {name} definition changed"), KillReason::Other))
    } else if failed(ProbeKind::Liveness) {
        Some((format!("Container {name} failed liveness probe"), KillReason::LivenessProbe))
    } else if failed(ProbeKind::Startup) {
        Some((format!("Container {name} failed startup probe"), KillReason::StartupProbe))
    } else {
        None
    }
}

/// A pod without a usable sandbox begins anew, unless it is over.
fn with_new_sandbox(spec: &PodSpec, runtime: &PodRecord, attempt: u32) -> PodActions {
    let mut actions =
        PodActions { kill_pod: true, sandbox_changed: !runtime.sandboxes.is_empty(), ..PodActions::default() };
    let over = spec.restart_policy.as_deref() == Some("Never") && attempt != 0 && !runtime.containers.is_empty();
    if over {
        return actions;
    }
    let succeeded = |container: &Container| {
        runtime
            .newest(&container.name)
            .is_some_and(|record| record.phase == ContainerPhase::Exited && record.exit_code == 0)
    };
    let on_failure = spec.restart_policy.as_deref() == Some("OnFailure");
    let start: Vec<usize> =
        (0..spec.containers.len()).filter(|&index| !(on_failure && succeeded(&spec.containers[index]))).collect();
    if start.is_empty() {
        return actions;
    }
    actions.create_sandbox = Some(attempt);
    if spec.init_containers.as_ref().is_some_and(|init| !init.is_empty()) {
        actions.init = vec![0];
    } else {
        actions.start = start;
    }
    actions
}

/// What the init containers need; says whether the pod is initialised.
fn init_actions(spec: &PodSpec, runtime: &PodRecord, probes: &Probes, actions: &mut PodActions) -> bool {
    let Some(init) = spec.init_containers.as_deref().filter(|init| !init.is_empty()) else { return true };
    let mut initialised = spec
        .containers
        .iter()
        .filter_map(|container| runtime.newest(&container.name))
        .any(|record| record.phase != ContainerPhase::Exited);
    let mut previously = initialised;
    let mut start = Vec::new();
    // From the last one backwards, since those that are done may have been removed already.
    for (index, container) in init.iter().enumerate().rev() {
        let sidecar = is_restartable_init(container);
        let Some(record) = runtime.newest(&container.name) else {
            if previously && sidecar {
                start.push(index);
            }
            continue;
        };
        if previously && !sidecar {
            continue;
        }
        let last = index + 1 == init.len();
        match record.phase {
            ContainerPhase::Created => start.push(index),
            ContainerPhase::Running if !sidecar => {}
            ContainerPhase::Running => {
                initialised |= running_sidecar(container, record, probes, index, last, previously, &mut start, actions);
            }
            ContainerPhase::Exited if sidecar => start.push(index),
            ContainerPhase::Exited if record.exit_code != 0 => {
                if !should_restart(container, spec, record.exit_code) {
                    actions.kill_pod = true;
                    actions.init.clear();
                    return false;
                }
                start.push(index);
            }
            ContainerPhase::Exited if last => initialised = true,
            ContainerPhase::Exited => start.push(index + 1),
        }
        previously = true;
    }
    if !previously {
        start.push(0);
    }
    start.reverse();
    actions.init = start;
    initialised
}

/// A sidecar that runs lets the next init container start once it has started; it is killed when its probes fail.
/// Says whether the pod is initialised with it.
#[allow(clippy::too_many_arguments, reason = "the loop's own state, taken apart to keep both readable")]
fn running_sidecar(
    container: &Container,
    record: &ContainerRecord,
    probes: &Probes,
    index: usize,
    last: bool,
    previously: bool,
    start: &mut Vec<usize>,
    actions: &mut PodActions,
) -> bool {
    let name = &container.name;
    let mut kill = |message: String, reason, start: &mut Vec<usize>| {
        actions.kill.push(Kill { id: record.id.clone(), name: record.name.clone(), message, reason });
        start.push(index);
    };
    if container.startup_probe.is_some() {
        match probes.outcome(ProbeKind::Startup, name, &record.id) {
            Some(Outcome::Success) => {}
            Some(Outcome::Failure) => {
                kill(format!("Init container {name} failed startup probe"), KillReason::StartupProbe, start);
                return false;
            }
            _ => return false,
        }
    }
    if !last && !previously {
        start.push(index + 1);
    }
    if record.image != image(container) {
        kill(format!("Init container {name} definition changed"), KillReason::Other, start);
    } else if probes.outcome(ProbeKind::Liveness, name, &record.id) == Some(Outcome::Failure) {
        kill(format!("Init container {name} failed liveness probe"), KillReason::LivenessProbe, start);
    }
    last
}
