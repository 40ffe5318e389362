//! The status of a pod as its kubelet tells it: a pure function of the pod, what the runtime has of it and what was
//! told before.
//!
//! `pkg/kubelet/kubelet_pods.go` (`generateAPIPodStatus`, `convertStatusToAPIStatus`, `getPhase`) and
//! `pkg/kubelet/status/generate.go`.

use crate::machinery::persistent::OrdMap;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus};

use crate::api::Name;
use crate::api::core::pod::qos;
use crate::machinery::time::Time;

use super::container_status::{self, StartFailure};
use super::kuberuntime::{ContainerPhase, PodRecord};
use super::prober::Probes;
use super::resize::Resize;
use super::restart::{ALL_RESTARTING, could_restart_all, is_restartable_init, restarts_all, should_restart};
use super::sync::sandbox_changed;

/// All that a pod's status follows from.
pub(super) struct Inputs<'a> {
    pub pod: &'a Pod,
    pub runtime: &'a PodRecord,
    /// What was told before.
    pub old: &'a PodStatus,
    /// Whether the pod's containers will not run again, whatever its restart policy.
    pub terminal: bool,
    /// Why containers could not be started, by name.
    pub failures: &'a OrdMap<Name, StartFailure>,
    pub probes: &'a Probes,
    pub resizing: &'a Resize,
    /// Reason and message when the pod must end: its deadline passed, its node is short of something.
    pub eviction: Option<(&'a str, &'a str)>,
    pub host_ip: &'a str,
    pub now: Time,
}

/// A pod's class of service; the API server does not know that of a static pod when it comes.
pub(super) fn quality(pod: &Pod) -> &str {
    let told = pod.status.as_ref().and_then(|status| status.qos_class.as_deref());
    told.or_else(|| pod.spec.as_ref().map(qos::class)).unwrap_or("BestEffort")
}

/// The conditions that a kubelet owns.
const OWN_CONDITIONS: [&str; 8] = [
    "PodScheduled",
    "Ready",
    "Initialized",
    "ContainersReady",
    "PodReadyToStartContainers",
    "PodResizeInProgress",
    "PodResizePending",
    "AllContainersRestarting",
];

/// Whether a condition is the kubelet's own: `PodConditionByKubelet`.
pub(super) fn is_own_condition(condition: &PodCondition) -> bool {
    OWN_CONDITIONS.contains(&condition.type_.as_str())
}

/// The status of a pod.
pub(super) fn generate(inputs: &Inputs<'_>) -> PodStatus {
    let Inputs { pod, runtime, old, .. } = inputs;
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let mut status = PodStatus {
        qos_class: Some(quality(pod).to_owned()),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    };
    set_addresses(&mut status, spec, runtime, inputs);
    container_status::fill(&mut status, inputs, spec);
    let reported = pod.status.as_ref();
    set_phase(&mut status, inputs, spec);
    let all_restart = !inputs.terminal && restarts_all(spec, runtime, old);
    if all_restart || begins_anew(spec, inputs) {
        // What has ended comes back, whatever the policies say of it.
        status.phase = Some("Pending".to_owned());
    }
    let terminal = |phase: Option<&str>| matches!(phase, Some("Failed" | "Succeeded"));
    let reported_phase = reported.and_then(|status| status.phase.as_deref());
    if let Some((reason, message)) = inputs.eviction {
        status.phase = Some("Failed".to_owned());
        status.reason = Some(reason.to_owned());
        status.message = Some(message.to_owned());
    }
    // A pod never leaves a phase in which it is over.
    if terminal(reported_phase) && status.phase.as_deref() != reported_phase {
        status.phase = reported_phase.map(str::to_owned);
    }
    container_status::apply_probes(&mut status, spec, inputs.probes);
    status.resources = Some(container_status::pod_resources(spec));
    status.allocated_resources = Some(container_status::pod_requests(spec)).filter(|requests| !requests.is_empty());
    let foreign = reported.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut conditions: Vec<PodCondition> = foreign.filter(|condition| !is_own_condition(condition)).cloned().collect();
    // Why the kubelet ended the pod was said once, and holds.
    let target = old.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget");
    if let Some(target) = target {
        conditions.retain(|condition| condition.type_ != target.type_);
        conditions.push(target.clone());
    }
    conditions.extend(own_conditions(&status, inputs, spec, &conditions));
    conditions.extend(could_restart_all(spec).then(|| all_restarting(&status, all_restart, pod.metadata.generation)));
    keep_transition_times(&mut conditions, old, inputs.now);
    status.conditions = Some(conditions);
    status.start_time = old.start_time.clone().or_else(|| Some(inputs.now.to_meta()));
    status.nominated_node_name = reported.and_then(|status| status.nominated_node_name.clone());
    status
}

fn set_addresses(status: &mut PodStatus, spec: &PodSpec, runtime: &PodRecord, inputs: &Inputs<'_>) {
    status.host_ip = Some(inputs.host_ip.to_owned());
    status.host_ips = Some(vec![HostIP { ip: inputs.host_ip.to_owned() }]);
    let known = inputs.old.pod_ip.as_deref().filter(|_| inputs.terminal || runtime.sandboxes.is_empty());
    let ip = if spec.host_network == Some(true) { Some(inputs.host_ip) } else { runtime.ip().or(known) };
    status.pod_ip = ip.map(str::to_owned);
    status.pod_ips = ip.map(|ip| vec![PodIP { ip: ip.to_owned() }]);
}

fn set_phase(status: &mut PodStatus, inputs: &Inputs<'_>, spec: &PodSpec) {
    let initialised = spec
        .containers
        .iter()
        .any(|container| inputs.runtime.newest(&container.name).is_some_and(|record| record.started_at.is_some()));
    let mut phase = phase(spec, status, inputs.terminal, initialised);
    let reported = inputs.pod.status.as_ref();
    let over = |phase: Option<&str>| matches!(phase, Some("Failed" | "Succeeded"));
    if !over(Some(phase)) {
        if let Some(old) = inputs.old.phase.as_deref().filter(|old| over(Some(old))) {
            phase = if old == "Failed" { "Failed" } else { "Succeeded" };
        } else if let Some(reported) = reported.and_then(|status| status.phase.as_deref()).filter(|p| over(Some(p))) {
            phase = if reported == "Failed" { "Failed" } else { "Succeeded" };
        }
    }
    if inputs.old.phase.as_deref() == Some(phase) {
        let non_empty = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        status.reason = non_empty(&inputs.old.reason).or_else(|| reported.and_then(|status| non_empty(&status.reason)));
        status.message =
            non_empty(&inputs.old.message).or_else(|| reported.and_then(|status| non_empty(&status.message)));
    }
    status.phase = Some(phase.to_owned());
}

/// Completes the status of a pod of which nothing will ever run again: containers that cannot be told of have failed, and
/// so has a pod that is not over otherwise. `TerminatePod` in `status_manager.go`.
pub(super) fn terminate(status: &mut PodStatus, pod: &Pod) {
    if has_initialized(pod) {
        status.container_statuses.iter_mut().flatten().for_each(end_unseen);
    }
    let init = status.init_container_statuses.as_deref_mut().unwrap_or_default();
    let begun = init.iter().rposition(|status| !is_waiting(status) || has_ended_before(status)).unwrap_or(0);
    init.iter_mut().take(begun + 1).for_each(end_unseen);
    if !matches!(status.phase.as_deref(), Some("Failed" | "Succeeded")) {
        status.phase = Some("Failed".to_owned());
    }
}

fn is_waiting(status: &ContainerStatus) -> bool {
    status.state.as_ref().is_some_and(|state| state.waiting.is_some())
}

fn has_ended_before(status: &ContainerStatus) -> bool {
    status.last_state.as_ref().is_some_and(|last| last.terminated.is_some())
}

fn end_unseen(status: &mut ContainerStatus) {
    if status.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
        let message = "The container could not be located when the pod was terminated";
        status.state = Some(container_status::unknown(message));
    }
}

/// Whether a container of the pod may ever have begun: `hasPodInitialized`.
fn has_initialized(pod: &Pod) -> bool {
    let spec_init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    if spec_init.count() == 0 {
        return true;
    }
    let status = pod.status.as_ref();
    let mut containers = status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    if containers.any(|status| has_ended_before(status) || !is_waiting(status)) {
        return true;
    }
    let last = status.and_then(|status| status.init_container_statuses.as_ref()?.last());
    let states = last.iter().flat_map(|status| [&status.last_state, &status.state]);
    let mut ended = states.flatten().filter_map(|state| state.terminated.as_ref());
    ended.any(|ended| ended.exit_code == 0)
}

/// Counts of containers by what they do, from which the phase follows.
#[derive(Default)]
struct Counts {
    unknown: u32,
    running: u32,
    waiting: u32,
    stopped: u32,
    stopped_for_good: u32,
    succeeded: u32,
    pending_init: u32,
    pending_sidecars: u32,
    failed_init: bool,
}

impl Counts {
    fn init(&mut self, container: &Container, spec: &PodSpec, status: &PodStatus) {
        let state = container_status::state(status.init_container_statuses.as_deref(), &container.name);
        let ended = state.and_then(|(now, last)| {
            now.terminated.as_ref().or(if now.waiting.is_some() { last.terminated.as_ref() } else { None })
        });
        match ended {
            Some(ended) => {
                self.failed_init |= ended.exit_code != 0 && !should_restart(container, spec, ended.exit_code);
            }
            None => self.pending_init += 1,
        }
    }

    fn sidecar(&mut self, container: &Container, status: &PodStatus) {
        let statuses = status.init_container_statuses.as_deref();
        let Some((now, last)) = container_status::state(statuses, &container.name) else {
            self.unknown += 1;
            return;
        };
        if now.running.is_some() {
            let started = statuses
                .iter()
                .flat_map(|all| all.iter())
                .any(|one| one.name == container.name && one.started == Some(true));
            self.pending_sidecars += u32::from(!started);
            self.running += 1;
        } else if now.waiting.is_some() && last.terminated.is_none() {
            self.pending_sidecars += 1;
            self.waiting += 1;
        }
    }

    fn main(&mut self, container: &Container, spec: &PodSpec, status: &PodStatus) {
        let Some((now, last)) = container_status::state(status.container_statuses.as_deref(), &container.name) else {
            self.unknown += 1;
            return;
        };
        let for_good = |exit_code| u32::from(!should_restart(container, spec, exit_code));
        if now.running.is_some() {
            self.running += 1;
        } else if let Some(ended) = &now.terminated {
            self.stopped += 1;
            self.stopped_for_good += for_good(ended.exit_code);
            self.succeeded += u32::from(ended.exit_code == 0);
        } else if let Some(ended) = &last.terminated {
            self.stopped += 1;
            self.stopped_for_good += for_good(ended.exit_code);
        } else {
            self.waiting += 1;
        }
    }
}

/// The phase that follows from the containers: `getPhase`.
pub(super) fn phase(spec: &PodSpec, status: &PodStatus, terminal: bool, initialised: bool) -> &'static str {
    let mut counts = Counts::default();
    for container in spec.init_containers.iter().flatten() {
        if is_restartable_init(container) {
            counts.sidecar(container, status);
        } else {
            counts.init(container, spec, status);
        }
    }
    for container in &spec.containers {
        counts.main(container, spec, status);
    }
    let ended = if counts.stopped == counts.succeeded { "Succeeded" } else { "Failed" };
    if counts.failed_init {
        "Failed"
    } else if counts.pending_init > 0 || (counts.pending_sidecars > 0 && !initialised) || counts.waiting > 0 {
        "Pending"
    } else if counts.running > 0 && counts.unknown == 0 {
        "Running"
    } else if counts.running == 0 && counts.stopped > 0 && counts.unknown == 0 {
        if !terminal && counts.stopped != counts.stopped_for_good { "Running" } else { ended }
    } else {
        "Pending"
    }
}

fn condition(name: &str, generation: Option<i64>, why_not: Option<(&str, String)>) -> PodCondition {
    let (reason, message) = why_not.clone().unzip();
    PodCondition {
        type_: name.to_owned(),
        status: if why_not.is_none() { "True" } else { "False" }.to_owned(),
        reason: reason.filter(|reason| !reason.is_empty()).map(str::to_owned),
        message: message.filter(|message| !message.is_empty()),
        observed_generation: generation,
        ..PodCondition::default()
    }
}

fn own_conditions(
    status: &PodStatus,
    inputs: &Inputs<'_>,
    spec: &PodSpec,
    foreign: &[PodCondition],
) -> Vec<PodCondition> {
    let generation = inputs.pod.metadata.generation;
    let why_unready = containers_unready(status, spec);
    let why_not_ready = why_unready.clone().or_else(|| gates_closed(spec, foreign));
    let sandbox = if sandbox_changed(inputs.runtime).0 { Some(("", String::new())) } else { None };
    let mut conditions = Vec::new();
    if let Some(pending) = &inputs.resizing.pending {
        conditions.push(PodCondition {
            reason: Some(pending.reason.to_owned()),
            message: Some(pending.message.clone()),
            ..condition("PodResizePending", generation, None)
        });
    }
    if inputs.resizing.under_way {
        let error = inputs.resizing.error.clone();
        conditions.push(PodCondition {
            reason: error.as_ref().map(|_| "Error".to_owned()),
            message: error,
            ..condition("PodResizeInProgress", generation, None)
        });
    }
    conditions.extend([
        condition("PodReadyToStartContainers", generation, sandbox),
        initialised(status, spec, generation),
        condition("Ready", generation, why_not_ready),
        condition("ContainersReady", generation, why_unready),
        condition("PodScheduled", generation, None),
    ]);
    conditions
}

/// Whether a pod whose containers can all be restarted is on its way to have them all run.
fn begins_anew(spec: &PodSpec, inputs: &Inputs<'_>) -> bool {
    let is_unborn = |container: &Container| inputs.runtime.newest(&container.name).is_none();
    let has_failed = |container: &Container| {
        let record = inputs.runtime.newest(&container.name).filter(|record| record.phase == ContainerPhase::Exited);
        record.is_some_and(|one| one.exit_code != 0 && !should_restart(container, spec, one.exit_code))
    };
    let mut init = spec.init_containers.iter().flatten().filter(|container| !is_restartable_init(container));
    could_restart_all(spec) && !inputs.terminal && spec.containers.iter().any(is_unborn) && !init.any(has_failed)
}

/// Whether all containers are being restarted: `GenerateAllContainersRestartingCondition`.
fn all_restarting(status: &PodStatus, all_restart: bool, generation: Option<i64>) -> PodCondition {
    let why = match status.phase.as_deref() {
        Some("Succeeded") => ("PodCompleted", ""),
        Some("Failed") => ("PodFailed", ""),
        _ if all_restart => {
            let told = condition(ALL_RESTARTING, generation, None);
            return PodCondition {
                reason: Some("RestartAllContainersStarted".to_owned()),
                message: Some("container exited with restart policy rule".to_owned()),
                ..told
            };
        }
        _ => ("", ""),
    };
    condition(ALL_RESTARTING, generation, Some((why.0, why.1.to_owned())))
}

/// A list as Go prints one: `[a b]`.
fn go_list(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn initialised(status: &PodStatus, spec: &PodSpec, generation: Option<i64>) -> PodCondition {
    let statuses = status.init_container_statuses.as_deref().unwrap_or(&[]);
    let mut unknown = Vec::new();
    let mut incomplete = Vec::new();
    for container in spec.init_containers.iter().flatten() {
        match statuses.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) => {
                let done = if is_restartable_init(container) { status.started == Some(true) } else { status.ready };
                if !done {
                    incomplete.push(container.name.as_str());
                }
            }
        }
    }
    if status.phase.as_deref() == Some("Succeeded") && unknown.is_empty() {
        let mut done = condition("Initialized", generation, None);
        done.reason = Some("PodCompleted".to_owned());
        return done;
    }
    let any_started = spec.containers.iter().any(|container| {
        container_status::state(status.container_statuses.as_deref(), &container.name)
            .is_some_and(|(now, _)| now.running.is_some() || now.terminated.is_some())
    });
    let mut messages = Vec::new();
    if !unknown.is_empty() {
        messages.push(format!("containers with unknown status: {}", go_list(&unknown)));
    }
    if !incomplete.is_empty() {
        messages.push(format!("containers with incomplete status: {}", go_list(&incomplete)));
    }
    let why = (!any_started && !messages.is_empty()).then(|| ("ContainersNotInitialized", messages.join(", ")));
    condition("Initialized", generation, why)
}

fn containers_unready(status: &PodStatus, spec: &PodSpec) -> Option<(&'static str, String)> {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| is_restartable_init(container));
    let mut unknown = Vec::new();
    let mut unready = Vec::new();
    let all = [&status.init_container_statuses, &status.container_statuses];
    for container in sidecars.chain(&spec.containers) {
        match all.iter().flat_map(|list| list.iter().flatten()).find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match status.phase.as_deref() {
        Some("Succeeded") if unknown.is_empty() => return Some(("PodCompleted", String::new())),
        Some("Failed") => return Some(("PodFailed", String::new())),
        _ => {}
    }
    let mut messages = Vec::new();
    if !unknown.is_empty() {
        messages.push(format!("containers with unknown status: {}", go_list(&unknown)));
    }
    if !unready.is_empty() {
        messages.push(format!("containers with unready status: {}", go_list(&unready)));
    }
    (!messages.is_empty()).then(|| ("ContainersNotReady", messages.join(", ")))
}

fn gates_closed(spec: &PodSpec, conditions: &[PodCondition]) -> Option<(&'static str, String)> {
    let messages: Vec<String> = spec
        .readiness_gates
        .iter()
        .flatten()
        .filter_map(|gate| {
            let name = &gate.condition_type;
            match conditions.iter().find(|condition| &condition.type_ == name) {
                None => Some(format!("corresponding condition of pod readiness gate {name:?} does not exist.")),
                Some(known) if known.status != "True" => {
                    Some(format!("the status of pod readiness gate {name:?} is not \"True\", but {}", known.status))
                }
                Some(_) => None,
            }
        })
        .collect();
    (!messages.is_empty()).then(|| ("ReadinessGatesNotReady", messages.join(", ")))
}

/// `NeedToReconcilePodReadiness`: whether somebody opened or closed a gate of the pod since it was last told ready or not.
pub(super) fn needs_readiness(pod: &Pod) -> bool {
    let Some(spec) = pod.spec.as_ref().filter(|spec| spec.readiness_gates.iter().flatten().next().is_some()) else {
        return false;
    };
    let Some(status) = &pod.status else { return false };
    let conditions = status.conditions.as_deref().unwrap_or(&[]);
    let Some(told) = conditions.iter().find(|condition| condition.type_ == "Ready") else { return false };
    let why = containers_unready(status, spec).or_else(|| gates_closed(spec, conditions));
    let wanted = condition("Ready", None, why);
    (told.status.as_str(), told.message.as_deref().unwrap_or(""))
        != (wanted.status.as_str(), wanted.message.as_deref().unwrap_or(""))
}

/// A condition's transition time moves only when its status does.
fn keep_transition_times(conditions: &mut [PodCondition], old: &PodStatus, now: Time) {
    for condition in conditions.iter_mut().filter(|condition| is_own_condition(condition)) {
        let known = old.conditions.iter().flatten().find(|known| known.type_ == condition.type_);
        let kept = known.filter(|known| known.status == condition.status);
        condition.last_transition_time =
            kept.and_then(|known| known.last_transition_time.clone()).or_else(|| Some(now.to_meta()));
    }
}

/// The status after one container's readiness or start was found out: the conditions follow.
pub(super) fn refresh_readiness(status: &mut PodStatus, pod: &Pod, now: Time) {
    let Some(spec) = &pod.spec else { return };
    let old = status.clone();
    let generation = pod.metadata.generation;
    let conditions = status.conditions.take().unwrap_or_default();
    let why_unready = containers_unready(status, spec);
    let why_not_ready = why_unready.clone().or_else(|| gates_closed(spec, &conditions));
    let mut changed: Vec<PodCondition> = conditions;
    for fresh in [condition("Ready", generation, why_not_ready), condition("ContainersReady", generation, why_unready)]
    {
        if let Some(known) = changed.iter_mut().find(|known| known.type_ == fresh.type_) {
            *known = fresh;
        } else {
            changed.push(fresh);
        }
    }
    let mut own: Vec<PodCondition> = changed;
    keep_transition_times(&mut own, &old, now);
    status.conditions = Some(own);
}
