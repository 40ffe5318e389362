//! The statuses of a pod's containers: `convertToAPIContainerStatuses` in `pkg/kubelet/kubelet_pods.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus,
    EphemeralContainer, PodSpec, PodStatus, ResourceRequirements, VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use crate::machinery::order::Order as _;
use crate::machinery::quantity::Quantity;

use super::kuberuntime::{ContainerPhase, ContainerRecord};
use super::prober::Probes;
use super::resize::Resize;
use super::restart::{could_restart_all, is_restartable_init, should_be_started};
use super::status::Inputs;

/// Why a container could not be started: what stands in its `waiting` state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartFailure {
    pub reason: &'static str,
    pub message: String,
}

/// A container's state and last state.
pub(super) fn state<'a>(
    statuses: Option<&'a [ContainerStatus]>,
    name: &str,
) -> Option<(&'a ContainerState, &'a ContainerState)> {
    let status = statuses?.iter().find(|status| status.name == name)?;
    Some((status.state.as_ref()?, status.last_state.as_ref()?))
}

/// An ephemeral container as a container like the others.
pub(super) fn as_container(container: &EphemeralContainer) -> Container {
    let container = container.clone();
    Container {
        args: container.args,
        command: container.command,
        env: container.env,
        env_from: container.env_from,
        image: container.image,
        image_pull_policy: container.image_pull_policy,
        lifecycle: container.lifecycle,
        liveness_probe: container.liveness_probe,
        name: container.name,
        ports: container.ports,
        readiness_probe: container.readiness_probe,
        resize_policy: container.resize_policy,
        resources: container.resources,
        restart_policy: container.restart_policy,
        restart_policy_rules: container.restart_policy_rules,
        security_context: container.security_context,
        startup_probe: container.startup_probe,
        stdin: container.stdin,
        stdin_once: container.stdin_once,
        termination_message_path: container.termination_message_path,
        termination_message_policy: container.termination_message_policy,
        tty: container.tty,
        volume_devices: container.volume_devices,
        volume_mounts: container.volume_mounts,
        working_dir: container.working_dir,
    }
}

/// Fills in the statuses of all containers.
pub(super) fn fill(status: &mut PodStatus, inputs: &Inputs<'_>, spec: &PodSpec) {
    let has_init = spec.init_containers.as_ref().is_some_and(|init| !init.is_empty());
    let old = inputs.old;
    let list = |containers: &[Container], previous: &Option<Vec<ContainerStatus>>, init: bool| {
        let previous = previous.as_deref().unwrap_or(&[]);
        let statuses: Vec<ContainerStatus> =
            containers.iter().map(|container| convert(container, previous, inputs, has_init, init)).collect();
        Some(statuses).filter(|statuses| !statuses.is_empty())
    };
    status.init_container_statuses =
        list(spec.init_containers.as_deref().unwrap_or(&[]), &old.init_container_statuses, true);
    status.container_statuses = list(&spec.containers, &old.container_statuses, false);
    let ephemeral: Vec<Container> = spec.ephemeral_containers.iter().flatten().map(as_container).collect();
    status.ephemeral_container_statuses = list(&ephemeral, &old.ephemeral_container_statuses, false);
    for statuses in [&mut status.container_statuses, &mut status.ephemeral_container_statuses].into_iter().flatten() {
        statuses.order_by(|a, b| a.name.cmp(&b.name));
    }
    shorten_messages(status);
}

/// How many bytes of termination messages a pod's status holds: `MaxPodTerminationMessageLogLength`.
const MESSAGE_BYTES_MAX: usize = 12 << 10;

/// Containers share the room that there is for termination messages: `normalizeStatus`.
fn shorten_messages(status: &mut PodStatus) {
    let lists =
        [&mut status.init_container_statuses, &mut status.container_statuses, &mut status.ephemeral_container_statuses];
    let count: usize = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len)).sum();
    let room = MESSAGE_BYTES_MAX / count.max(1);
    for one in lists.into_iter().flat_map(|list| list.iter_mut().flatten()) {
        for state in [&mut one.state, &mut one.last_state] {
            let ended = state.as_mut().and_then(|state| state.terminated.as_mut());
            if let Some(message) = ended.and_then(|ended| ended.message.as_mut()).filter(|text| text.len() > room) {
                let end = (0..=room).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
                message.truncate(end);
            }
        }
    }
}

/// A container that has not begun.
fn waiting(container: &Container, has_init: bool) -> ContainerStatus {
    let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
    ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(ContainerState {
            waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message: None }),
            ..ContainerState::default()
        }),
        last_state: Some(ContainerState::default()),
        volume_mounts: mounts(container),
        ..ContainerStatus::default()
    }
}

fn mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts: Vec<VolumeMountStatus> = container
        .volume_mounts
        .iter()
        .flatten()
        .map(|mount| VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only.filter(|&read_only| read_only),
            recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
            ..VolumeMountStatus::default()
        })
        .collect();
    Some(mounts).filter(|mounts| !mounts.is_empty())
}

fn convert(
    container: &Container,
    previous: &[ContainerStatus],
    inputs: &Inputs<'_>,
    has_init: bool,
    init: bool,
) -> ContainerStatus {
    let old = previous.iter().find(|status| status.name == container.name);
    let mut records = inputs.runtime.containers.iter().filter(|record| *record.name == *container.name);
    let newest = records.next();
    let mut status = match newest {
        Some(record) => {
            let mut status = from_record(record, container, old, inputs.resizing);
            if let Some(earlier) = records.next() {
                status.last_state = Some(state_of(earlier));
            }
            status
        }
        None => unseen(container, old, inputs, has_init),
    };
    let done = init && newest.is_some_and(|one| one.phase == ContainerPhase::Exited && one.exit_code == 0);
    if !done && should_be_started(container, inputs.pod, inputs.runtime) {
        waits_for_start(&mut status, container, inputs);
    }
    status
}

/// The status of a container that the runtime does not know.
fn unseen(
    container: &Container,
    old: Option<&ContainerStatus>,
    inputs: &Inputs<'_>,
    has_init: bool,
) -> ContainerStatus {
    let mut status = waiting(container, has_init);
    let Some(old) = old else { return status };
    let old_state = old.state.clone().unwrap_or_default();
    if old_state.terminated.is_some() {
        let has_room = inputs.runtime.sandboxes.first().is_some_and(|sandbox| sandbox.ready) && !inputs.terminal;
        if !(has_room && inputs.pod.spec.as_ref().is_some_and(could_restart_all)) {
            return old.clone();
        }
        // It ended before the pod began anew.
        status.restart_count = old.restart_count;
        status.last_state = Some(old_state);
        return status;
    }
    status.restart_count = old.restart_count;
    status.last_state = old.last_state.clone().or(status.last_state);
    let ended_before = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    if old_state.running.is_some() && !ended_before {
        // It was running, and nobody can say any more how it ended.
        let message = "The container could not be located when the pod was deleted.  The container used to be Running";
        status.last_state = Some(unknown(message));
        status.restart_count += i32::from(inputs.pod.metadata.deletion_timestamp.is_none());
    }
    status
}

/// The state of a container that ended out of sight.
pub(super) fn unknown(message: &str) -> ContainerState {
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            reason: Some("ContainerStatusUnknown".to_owned()),
            message: Some(message.to_owned()),
            exit_code: 137,
            ..ContainerStateTerminated::default()
        }),
        ..ContainerState::default()
    }
}

/// A container that is to be started and could not be, waits, and says why.
fn waits_for_start(status: &mut ContainerStatus, container: &Container, inputs: &Inputs<'_>) {
    let Some(failure) = inputs.failures.get(container.name.as_str()) else { return };
    let ended = status.state.take().filter(|state| state.terminated.is_some());
    if let Some(ended) = ended {
        status.last_state = Some(ended);
    }
    status.state = Some(ContainerState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(failure.reason.to_owned()),
            message: Some(failure.message.clone()).filter(|message| !message.is_empty()),
        }),
        ..ContainerState::default()
    });
}

/// The identifier as the API has it.
pub(super) fn container_id(id: &str) -> String {
    format!("containerd://{id}")
}

fn state_of(record: &ContainerRecord) -> ContainerState {
    let started_at = record.started_at.map(|time| time.to_meta());
    match record.phase {
        ContainerPhase::Created => {
            ContainerState { waiting: Some(ContainerStateWaiting::default()), ..ContainerState::default() }
        }
        ContainerPhase::Running => {
            ContainerState { running: Some(ContainerStateRunning { started_at }), ..ContainerState::default() }
        }
        ContainerPhase::Exited => ContainerState {
            terminated: Some(ContainerStateTerminated {
                container_id: Some(container_id(&record.id)),
                exit_code: record.exit_code,
                reason: Some(record.reason.to_owned()).filter(|reason| !reason.is_empty()),
                message: Some(record.message.clone()).filter(|message| !message.is_empty()),
                started_at: started_at.or_else(|| Some(crate::machinery::time::Time::default().to_meta())),
                finished_at: record.finished_at.map(|time| time.to_meta()),
                signal: None,
            }),
            ..ContainerState::default()
        },
    }
}

fn from_record(
    record: &ContainerRecord,
    container: &Container,
    old: Option<&ContainerStatus>,
    resizing: &Resize,
) -> ContainerStatus {
    let old_last = old.and_then(|old| old.last_state.clone());
    let id = container_id(&record.id);
    // What a removed container left behind stays the last state.
    let replaced = old
        .filter(|old| old.container_id.as_deref() != Some(id.as_str()))
        .and_then(|old| old.state.clone())
        .filter(|state| state.terminated.is_some());
    ContainerStatus {
        name: container.name.clone(),
        restart_count: i32::try_from(record.restart_count).unwrap_or(i32::MAX),
        image: record.image.clone(),
        image_id: record.image_ref.clone(),
        container_id: Some(id),
        state: Some(state_of(record)),
        last_state: Some(replaced.or(old_last).unwrap_or_default()),
        volume_mounts: old.map_or_else(|| mounts(container), |old| old.volume_mounts.clone()),
        allocated_resources: resizing.granted(container).requests.clone(),
        resources: Some(resizing.given(container).clone()),
        ..ContainerStatus::default()
    }
}

/// Sets `started` and `ready`: `UpdatePodStatus` of the probe manager.
pub(super) fn apply_probes(status: &mut PodStatus, spec: &PodSpec, probes: &Probes) {
    let sidecars = spec.init_containers.as_deref().unwrap_or(&[]);
    let is_sidecar = |name: &str| sidecars.iter().any(|one| one.name == name && is_restartable_init(one));
    for container in status.container_statuses.iter_mut().flatten() {
        started_and_ready(container, probes);
    }
    for container in status.init_container_statuses.iter_mut().flatten() {
        if is_sidecar(&container.name) {
            started_and_ready(container, probes);
            continue;
        }
        let state = container.state.as_ref();
        container.started = Some(state.is_some_and(|state| state.running.is_some()));
        container.ready = state.and_then(|state| state.terminated.as_ref()).is_some_and(|ended| ended.exit_code == 0);
    }
}

fn started_and_ready(container: &mut ContainerStatus, probes: &Probes) {
    let running = container.state.as_ref().is_some_and(|state| state.running.is_some());
    let id = container.container_id.as_deref().unwrap_or("");
    let started = running && probes.is_started(&container.name, id);
    container.started = Some(started);
    container.ready = started && probes.is_ready(&container.name, id);
}

type ResourceList = BTreeMap<String, ApiQuantity>;

fn add(total: &mut ResourceList, more: Option<&ResourceList>) {
    for (name, amount) in more.into_iter().flatten() {
        let sum = total.get(name).map_or_else(
            || Quantity::of(amount),
            |known| {
                let mut known = Quantity::of(known);
                known.add(Quantity::of(amount));
                known
            },
        );
        total.insert(name.clone(), sum.to_api());
    }
}

fn raise(total: &mut ResourceList, at_least: &ResourceList) {
    for (name, amount) in at_least {
        let known = total.get(name).map_or(Quantity::ZERO, Quantity::of);
        if Quantity::of(amount) > known {
            total.insert(name.clone(), amount.clone());
        }
    }
}

/// What a pod needs of each resource: the containers together with the sidecars, or what an init container needs
/// beside the sidecars before it, whichever is more (`resourcehelper.PodRequests`).
fn aggregate(spec: &PodSpec, of: impl Fn(&ResourceRequirements) -> Option<&ResourceList>) -> ResourceList {
    let amounts = |container: &Container| container.resources.as_ref().and_then(&of).cloned();
    let mut total = ResourceList::new();
    for container in &spec.containers {
        add(&mut total, amounts(container).as_ref());
    }
    let mut sidecars = ResourceList::new();
    let mut peak = ResourceList::new();
    for container in spec.init_containers.iter().flatten() {
        let own = amounts(container);
        if is_restartable_init(container) {
            add(&mut total, own.as_ref());
            add(&mut sidecars, own.as_ref());
            raise(&mut peak, &sidecars);
        } else {
            let mut beside = sidecars.clone();
            add(&mut beside, own.as_ref());
            raise(&mut peak, &beside);
        }
    }
    raise(&mut total, &peak);
    if let Some(pod_level) = spec.resources.as_ref().and_then(&of) {
        for (name, amount) in pod_level {
            total.insert(name.clone(), amount.clone());
        }
    }
    if !total.is_empty() {
        add(&mut total, spec.overhead.as_ref());
    }
    total
}

/// What a pod requests.
pub(super) fn pod_requests(spec: &PodSpec) -> ResourceList {
    aggregate(spec, |resources| resources.requests.as_ref())
}

/// What a pod requests and may use at most.
pub(super) fn pod_resources(spec: &PodSpec) -> ResourceRequirements {
    let limits = aggregate(spec, |resources| resources.limits.as_ref());
    let requests = pod_requests(spec);
    ResourceRequirements {
        limits: Some(limits).filter(|limits| !limits.is_empty()),
        requests: Some(requests).filter(|requests| !requests.is_empty()),
        claims: None,
    }
}
