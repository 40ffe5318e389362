//! Bringing a pod's containers to what its spec wants, step by step, since most steps take their time.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_manager.go` (`SyncPod`) and `kuberuntime_container.go` (`startContainer`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerState, Pod, Volume};

use crate::api::Name;
use crate::api::resource::claim;
use crate::client::Client;
use crate::machinery::time::Time;
use crate::node::runtime::ExecResult;

use super::agenda::Work;
use super::backoff::go_duration;
use super::container_config;
use super::container_status::{StartFailure, as_container};
use super::events::{self, Normal, Warning, format_pod};
use super::hooks::{self, Hook};
use super::host::Host;
use super::images::{Ensure, Pull, Wanted};
use super::kuberuntime::{ContainerPhase, PodRecord};
use super::pod_worker::{Job, Worker};
use super::resize::{self, Resize};
use super::restart::{could_restart_all, is_restartable_init, restarts_all};
use super::sync::{Kill, KillReason, PodActions, compute_pod_actions, restart_all_actions};
use super::termination::Killing;

/// What creating a container takes.
const CREATE_TIME: Duration = Duration::from_millis(30);
/// When a container is tried to be given less memory than it used.
const RESIZE_RETRY: Duration = Duration::from_secs(30);
/// What starting a container takes.
const START_TIME: Duration = Duration::from_millis(40);

/// A container to be started.
#[derive(Clone, Debug)]
struct Starting {
    container: Arc<Container>,
    /// Whether the containers after it are not to be started when it cannot be.
    is_essential: bool,
}

/// A step of a sync.
#[derive(Clone, Debug)]
enum Step {
    Volumes,
    KillPod,
    Kill(Kill),
    Sandbox(u32),
    /// Have the image of a volume.
    ImageVolume(Arc<Volume>),
    /// Give a running container what was granted to it.
    Resize(Arc<Container>),
    Start(Starting),
}

/// What a sync waits for.
#[derive(Clone, Debug)]
enum Doing {
    Nothing,
    Volumes,
    Killing { killing: Killing, then_stop_sandboxes: bool },
    Sandbox { attempt: u32, until: Time },
    Pulling { starting: Starting, pull: Pull },
    PullingVolume { volume: Arc<Volume>, pull: Pull },
    Creating { starting: Starting, until: Time },
    Launching { starting: Starting, id: Name, until: Time },
    PostStart { starting: Starting, id: Name, hook: Hook },
}

/// A sync under way.
#[derive(Clone, Debug)]
pub(super) struct SyncJob {
    steps: VecDeque<Step>,
    doing: Doing,
    /// What the runtime had when the sync began.
    runtime: PodRecord,
    failed: bool,
    /// Why images of volumes cannot be had, by the volumes' names.
    without_image: BTreeMap<String, StartFailure>,
    /// The soonest time at which something that waits may be tried again.
    retry_at: Option<Time>,
}

impl SyncJob {
    fn fail(&mut self, retry_at: Option<Time>) {
        self.failed = true;
        self.retry_at = self.retry_at.into_iter().chain(retry_at).min();
    }

    /// Whether the end of a container lets it go on.
    pub(super) fn waits_for_container(&self) -> bool {
        matches!(self.doing, Doing::Killing { .. })
    }

    /// A pod that is to end does not wait for its volumes; says whether it did.
    pub(super) fn give_up_waiting_for_volumes(&mut self) -> bool {
        let waited = matches!(self.doing, Doing::Volumes);
        if waited {
            self.steps.clear();
            self.doing = Doing::Nothing;
        }
        waited
    }
}

/// What came of a step.
enum Progress {
    /// Go on with the next.
    Next,
    /// Something has to end first; woken at this time, or when a container ends.
    Wait(Option<Time>),
}

impl Worker {
    /// Begins a sync, whose status was told already.
    pub(super) fn begin_syncing(&mut self, runtime: PodRecord, host: &mut Host, client: &mut Client<'_>) {
        let job = SyncJob {
            steps: VecDeque::from([Step::Volumes]),
            doing: Doing::Nothing,
            runtime,
            failed: false,
            without_image: BTreeMap::new(),
            retry_at: None,
        };
        self.go_on_syncing(job, host, client);
    }

    /// Goes on with a sync until it has to wait or is done.
    pub(super) fn go_on_syncing(&mut self, mut job: SyncJob, host: &mut Host, client: &mut Client<'_>) {
        loop {
            let doing = std::mem::replace(&mut job.doing, Doing::Nothing);
            let progress = match doing {
                Doing::Nothing => match job.steps.pop_front() {
                    Some(step) => self.begin_step(step, &mut job, host, client),
                    None => break,
                },
                doing => self.end_step(doing, &mut job, host, client),
            };
            if let Progress::Wait(until) = progress {
                if let Some(until) = until {
                    host.agenda.set(Work::Step(self.id), until, false);
                }
                self.job = Job::Syncing(Box::new(job));
                host.plan_runtime(client.now);
                return;
            }
        }
        self.complete_sync(job.failed, job.retry_at, host, client);
    }

    fn begin_step(&mut self, step: Step, job: &mut SyncJob, host: &mut Host, client: &mut Client<'_>) -> Progress {
        let now = client.now;
        match step {
            Step::Volumes => self.mount_volumes(job, host, client),
            Step::KillPod => {
                let killing = Killing::all(&self.pod, &job.runtime, None);
                job.doing = Doing::Killing { killing, then_stop_sandboxes: true };
                Progress::Next
            }
            Step::Kill(kill) => {
                let killing = Killing::one(&self.pod, kill);
                job.doing = Doing::Killing { killing, then_stop_sandboxes: false };
                Progress::Next
            }
            Step::Sandbox(_) if !self.prepare_devices(client) => {
                // It is tried again with the next sync.
                job.steps.clear();
                Progress::Next
            }
            Step::Sandbox(attempt) => {
                let until = now + host.config.runtime.sandbox;
                job.doing = Doing::Sandbox { attempt, until };
                Progress::Wait(Some(until))
            }
            Step::ImageVolume(volume) => self.begin_image_volume(volume, job, host, client),
            Step::Resize(container) => {
                self.resize_container(&container, &job.runtime, host, now);
                Progress::Next
            }
            Step::Start(starting) => self.begin_start(starting, job, host, client),
        }
    }

    fn end_step(&mut self, doing: Doing, job: &mut SyncJob, host: &mut Host, client: &mut Client<'_>) -> Progress {
        let now = client.now;
        let pod = self.pod.clone();
        match doing {
            Doing::Nothing => Progress::Next,
            Doing::Volumes => self.mount_volumes(job, host, client),
            Doing::Killing { mut killing, then_stop_sandboxes } => {
                let waiter = Work::Step(self.id);
                if let Err(look_again) = killing.go_on(&pod, waiter, host, client) {
                    job.doing = Doing::Killing { killing, then_stop_sandboxes };
                    return Progress::Wait(look_again);
                }
                if then_stop_sandboxes {
                    host.runtime.stop_sandboxes(&self.uid, now);
                }
                Progress::Next
            }
            Doing::Sandbox { until, .. }
            | Doing::Creating { until, .. }
            | Doing::Launching { until, .. }
            | Doing::Pulling { pull: Pull { until, .. }, .. }
            | Doing::PullingVolume { pull: Pull { until, .. }, .. }
                if now < until =>
            {
                job.doing = doing;
                Progress::Wait(Some(until))
            }
            Doing::Sandbox { attempt, .. } => {
                container_config::tell_name_servers(&pod, client);
                let config = container_config::sandbox(&pod, attempt, host);
                host.runtime.run_sandbox(&self.uid, config, now);
                Progress::Next
            }
            Doing::Pulling { starting, pull } => {
                let wanted = Wanted::by_container(&starting.container);
                match host.images.pulled(&pod, wanted, &pull, client) {
                    Ok(()) => self.has_image(starting, job, client),
                    Err(failure) => self.not_started(&starting, failure, None, job, client),
                }
            }
            Doing::PullingVolume { volume, pull } => {
                let source = volume.image.clone().unwrap_or_default();
                match host.images.pulled(&pod, Wanted::by_volume(&source), &pull, client) {
                    Ok(()) => host.runtime.put_image_volume(&self.uid, &volume.name, &source, now),
                    Err(failure) => drop(job.without_image.insert(volume.name.clone(), failure)),
                }
                Progress::Next
            }
            Doing::Creating { starting, .. } => self.created(starting, job, host, client),
            Doing::Launching { starting, id, .. } => self.launched(starting, id, job, host, client),
            Doing::PostStart { starting, id, hook } => match hook.outcome(host, now) {
                Some(outcome) => self.post_start_ended(&starting, id, outcome, job, client),
                None => {
                    let ends = hook.ends();
                    job.doing = Doing::PostStart { starting, id, hook };
                    Progress::Wait(ends)
                }
            },
        }
    }

    /// Makes the devices of the pod's claims ready; says whether they are.
    fn prepare_devices(&self, client: &mut Client<'_>) -> bool {
        if claim::references(&self.pod).is_empty() && claim::extended_name(&self.pod).is_none() {
            return true;
        }
        let outcome = super::dra::prepare(&self.pod, client);
        if let Err(why) = &outcome {
            let message = format!("Failed to prepare dynamic resources: prepare dynamic resources: {why}");
            let about = events::pod_reference(&self.pod);
            client.event_about(&about, events::Warning, "FailedPrepareDynamicResources", &message);
        }
        outcome.is_ok()
    }

    /// Waits until the pod's volumes are there, then decides what to do.
    fn mount_volumes(&mut self, job: &mut SyncJob, host: &mut Host, client: &mut Client<'_>) -> Progress {
        let pod = self.pod.clone();
        match self.volumes.mount(&pod, host, client) {
            super::volumes::Mounted::All => {}
            super::volumes::Mounted::Wait(until) => {
                job.doing = Doing::Volumes;
                return Progress::Wait(Some(until));
            }
            super::volumes::Mounted::Failed => {
                job.fail(None);
                job.steps.clear();
                return Progress::Next;
            }
        }
        container_config::tell_missing_pull_secrets(&pod, client);
        self.start_probes(host, client);
        let restarts_all = pod.spec.as_ref().is_some_and(|spec| restarts_all(spec, &job.runtime, &self.status));
        let actions = if restarts_all {
            // Its next half comes with the next sync.
            self.sync_again();
            restart_all_actions(&pod, &job.runtime)
        } else {
            compute_pod_actions(&pod, &job.runtime, &self.probes, &self.resizing)
        };
        if actions.reset {
            let ephemeral = pod.spec.iter().flat_map(|spec| spec.ephemeral_containers.iter().flatten());
            let kept: Vec<&str> = ephemeral.map(|container| container.name.as_str()).collect();
            host.runtime.remove_containers(&self.uid, &kept);
        }
        if actions.sandbox_changed && actions.create_sandbox.is_some() {
            let message = "Pod sandbox changed, it will be killed and re-created.";
            client.event_about(&events::pod_reference(&pod), Normal, "SandboxChanged", message);
        }
        job.steps = plan(&pod, actions, &self.resizing);
        Progress::Next
    }

    /// The number of the next container of a name of which the runtime has none: one more than was told of, where its pod
    /// began anew (`calcRestartCountByLogDir`).
    fn told_restarts(&self, name: &str) -> u32 {
        let spec = self.pod.spec.as_ref().filter(|spec| could_restart_all(spec));
        let lists = [&self.status.container_statuses, &self.status.init_container_statuses];
        let mut statuses = lists.into_iter().flat_map(|list| list.iter().flatten());
        let has_ended = |state: &Option<ContainerState>| state.as_ref().is_some_and(|state| state.terminated.is_some());
        let told = statuses.find(|status| status.name == name && has_ended(&status.last_state));
        told.filter(|_| spec.is_some()).map_or(0, |status| u32::try_from(status.restart_count).unwrap_or(0) + 1)
    }

    /// Changes the limits of a running container: `UpdateContainerResources`.
    fn resize_container(&mut self, container: &Container, runtime: &PodRecord, host: &mut Host, now: Time) {
        let resources = container.resources.clone().unwrap_or_default();
        self.resizing.error = None;
        if let Some(record) = runtime.newest(&container.name) {
            let (memory, processor) = container_config::limits(container, self.resizing.granted_pod());
            let used = host.runtime.cri.stats(&record.id, now).map_or(0, |stats| stats.memory_bytes);
            if let Some(why) =
                resize::refusal_by_use(&container.name, memory, host.runtime.cri.memory_limit(&record.id), used)
            {
                self.resizing.error = Some(why);
                host.agenda.set(Work::Sync(self.id), now + RESIZE_RETRY, true);
                return;
            }
            host.runtime.cri.update_limits(&record.id, memory, processor, now);
        }
        self.resizing.give(&container.name, resources);
    }

    fn begin_start(
        &mut self,
        starting: Starting,
        job: &mut SyncJob,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Progress {
        let pod = self.pod.clone();
        if let Some((failure, until)) = self.crash_backoff(&starting.container, job, host, client) {
            return self.not_started(&starting, failure, Some(until), job, client);
        }
        match host.images.ensure(&pod, Wanted::by_container(&starting.container), &mut host.runtime, client) {
            Ensure::Present => self.has_image(starting, job, client),
            Ensure::Pulling(pull) => {
                let until = pull.until;
                job.doing = Doing::Pulling { starting, pull };
                Progress::Wait(Some(until))
            }
            Ensure::Failed(failure, until) => {
                let message = format!("Error: {}", failure.reason);
                events::about_container(client, &pod, &starting.container.name, Warning, "Failed", &message);
                self.not_started(&starting, failure, until, job, client)
            }
        }
    }

    /// A volume is what an image has in it: `getImageVolumes`.
    fn begin_image_volume(
        &mut self,
        volume: Arc<Volume>,
        job: &mut SyncJob,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Progress {
        let pod = self.pod.clone();
        let source = volume.image.clone().unwrap_or_default();
        match host.images.ensure(&pod, Wanted::by_volume(&source), &mut host.runtime, client) {
            Ensure::Present => {
                host.runtime.put_image_volume(&self.uid, &volume.name, &source, client.now);
                Progress::Next
            }
            Ensure::Pulling(pull) => {
                let until = pull.until;
                job.doing = Doing::PullingVolume { volume, pull };
                Progress::Wait(Some(until))
            }
            Ensure::Failed(failure, until) => {
                job.without_image.insert(volume.name.clone(), failure);
                job.fail(until);
                Progress::Next
            }
        }
    }

    /// The container's own image is there; if those of its volumes are, too, it can be created:
    /// `toKubeContainerImageVolumes`.
    fn has_image(&mut self, starting: Starting, job: &mut SyncJob, client: &mut Client<'_>) -> Progress {
        let mut mounts = starting.container.volume_mounts.iter().flatten();
        let Some(failure) = mounts.find_map(|mount| job.without_image.get(&mount.name)).cloned() else {
            return begin_to_create(starting, job, client.now);
        };
        if failure.reason != "ErrImagePull" {
            let message = format!("Error: {}", failure.reason);
            events::about_container(client, &self.pod, &starting.container.name, Warning, "Failed", &message);
        }
        self.not_started(&starting, failure, None, job, client)
    }

    /// Whether a container that ended has to wait before it is started again: `doBackOff`.
    fn crash_backoff(
        &mut self,
        container: &Container,
        job: &SyncJob,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Option<(StartFailure, Time)> {
        let ended = job
            .runtime
            .containers
            .iter()
            .find(|record| *record.name == *container.name && record.phase == ContainerPhase::Exited)?;
        let finished = ended.finished_at.unwrap_or(client.now);
        let key = format!("{}_{}_{}", self.uid, container.name, container.image.as_deref().unwrap_or(""));
        let Some(until) = host.crashes.until_since(&key, finished, client.now) else {
            host.crashes.next(&key, finished, client.now);
            return None;
        };
        let pod = format_pod(&self.pod);
        let message = format!("Back-off restarting failed container {} in pod {pod}", container.name);
        events::about_container(client, &self.pod, &container.name, Warning, "BackOff", &message);
        let wait = go_duration(host.crashes.get(&key));
        let message = format!("back-off {wait} restarting failed container={} pod={pod}", container.name);
        Some((StartFailure { reason: "CrashLoopBackOff", message }, until))
    }

    /// Remembers why a container was not started; without an init container nothing after it is.
    fn not_started(
        &mut self,
        starting: &Starting,
        failure: StartFailure,
        retry_at: Option<Time>,
        job: &mut SyncJob,
        client: &mut Client<'_>,
    ) -> Progress {
        if failure.reason == "ErrImagePull" {
            let name = &starting.container.name;
            events::about_container(client, &self.pod, name, Warning, "Failed", "Error: ErrImagePull");
        }
        self.failures.insert(Name::from(starting.container.name.as_str()), failure);
        job.fail(retry_at);
        if starting.is_essential {
            job.steps.clear();
        }
        Progress::Next
    }

    fn created(&mut self, starting: Starting, job: &mut SyncJob, host: &mut Host, client: &mut Client<'_>) -> Progress {
        let pod = self.pod.clone();
        let name = starting.container.name.clone();
        let restart_count = match job.runtime.newest(&name) {
            Some(record) => record.restart_count + 1,
            None => self.told_restarts(&name),
        };
        self.volumes.bind_sub_paths(&pod, &starting.container, host, client.now);
        let config =
            container_config::container(&pod, &starting.container, &self.volumes.mounted, restart_count, host, client);
        let created = config.and_then(|config| {
            let created = host.runtime.create_container(&self.uid, config, client.now);
            created.map_err(|message| StartFailure { reason: "CreateContainerError", message })
        });
        let id = match created {
            Ok(id) => id,
            Err(failure) => {
                let message = format!("Error: {}", failure.message);
                events::about_container(client, &pod, &name, Warning, "Failed", &message);
                return self.not_started(&starting, failure, None, job, client);
            }
        };
        self.resizing.give(&name, starting.container.resources.clone().unwrap_or_default());
        events::about_container(client, &pod, &name, Normal, "Created", "Container created");
        let until = client.now + START_TIME;
        job.doing = Doing::Launching { starting, id, until };
        Progress::Wait(Some(until))
    }

    fn launched(
        &mut self,
        starting: Starting,
        id: Name,
        job: &mut SyncJob,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Progress {
        let pod = self.pod.clone();
        let name = starting.container.name.clone();
        if let Err(message) = host.runtime.start_container(&id, client.now) {
            events::about_container(client, &pod, &name, Warning, "Failed", &format!("Error: {message}"));
            let failure = StartFailure { reason: "RunContainerError", message };
            return self.not_started(&starting, failure, None, job, client);
        }
        events::about_container(client, &pod, &name, Normal, "Started", "Container started");
        let hook = starting.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
        let Some(hook) = hook else {
            self.failures.remove(name.as_str());
            return Progress::Next;
        };
        let hook = Hook::begin(hook, &self.uid, &starting.container, &id, Work::Step(self.id), host, client.now);
        job.doing = Doing::PostStart { starting, id, hook };
        Progress::Next
    }

    fn post_start_ended(
        &mut self,
        starting: &Starting,
        id: Name,
        outcome: Result<(), ExecResult>,
        job: &mut SyncJob,
        client: &mut Client<'_>,
    ) -> Progress {
        let name = Name::from(starting.container.name.as_str());
        let Err(left) = outcome else {
            self.failures.remove(&name);
            return Progress::Next;
        };
        events::about_container(client, &self.pod, &name, Warning, "FailedPostStartHook", "PostStartHook failed");
        let hook = starting.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
        let ip = self.status.pod_ip.as_deref().unwrap_or("");
        let message = hook.map(|hook| hooks::failure_message(&self.pod, &starting.container, hook, ip, &left));
        let failure = StartFailure { reason: "PostStartHookError", message: message.unwrap_or_default() };
        let progress = self.not_started(starting, failure, None, job, client);
        let message = "FailedPostStartHook".to_owned();
        job.steps.push_front(Step::Kill(Kill { id, name, message, reason: KillReason::Other }));
        progress
    }
}

/// The steps of a sync after its volumes.
fn plan(pod: &Pod, actions: PodActions, resizing: &Resize) -> VecDeque<Step> {
    let mut steps = VecDeque::new();
    let Some(spec) = &pod.spec else { return steps };
    if actions.kill_pod {
        steps.push_back(Step::KillPod);
    } else {
        steps.extend(actions.kill.into_iter().map(Step::Kill));
    }
    steps.extend(actions.create_sandbox.map(Step::Sandbox));
    if actions.kill_pod && actions.create_sandbox.is_none() {
        return steps;
    }
    // A container gets what was granted to it, which may be less than what the pod wants by now.
    let granted = |container: Container| {
        let resources = resizing.granted(&container).clone();
        Arc::new(Container { resources: Some(resources), ..container })
    };
    let start =
        |container: Container, is_essential| Step::Start(Starting { container: granted(container), is_essential });
    let starts_any = !(actions.ephemeral.is_empty() && actions.init.is_empty() && actions.start.is_empty());
    let images = spec.volumes.iter().flatten().filter(|volume| volume.image.is_some() && starts_any);
    steps.extend(images.map(|volume| Step::ImageVolume(Arc::new(volume.clone()))));
    for index in actions.resize {
        steps.extend(spec.containers.get(index).map(|one| Step::Resize(granted(one.clone()))));
    }
    for index in actions.ephemeral {
        steps.extend(spec.ephemeral_containers.iter().flatten().nth(index).map(|one| start(as_container(one), false)));
    }
    for index in actions.init {
        let container = spec.init_containers.iter().flatten().nth(index);
        steps.extend(container.map(|one| start(one.clone(), !is_restartable_init(one))));
    }
    for index in actions.start {
        steps.extend(spec.containers.get(index).map(|one| start(one.clone(), false)));
    }
    steps
}

fn begin_to_create(starting: Starting, job: &mut SyncJob, now: Time) -> Progress {
    let until = now + CREATE_TIME;
    job.doing = Doing::Creating { starting, until };
    Progress::Wait(Some(until))
}
