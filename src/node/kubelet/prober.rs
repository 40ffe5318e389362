//! Probes: when they run, how many answers in a row count, and what they mean for readiness and life.
//!
//! `pkg/kubelet/prober` (`worker.go`, `prober_manager.go`, `results/results_manager.go`).

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, Probe};

use crate::api::{Name, Resource};
use crate::machinery::time::Time;
use crate::node::runtime::{self, ExecId};

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    /// As events begin: `Readiness probe failed: …`.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    /// What counts before the first answer.
    const fn initial(self) -> Outcome {
        match self {
            Self::Startup => Outcome::Unknown,
            Self::Liveness => Outcome::Success,
            Self::Readiness => Outcome::Failure,
        }
    }

    /// The kind as annotations that direct probes know it.
    pub(super) const fn directed(self) -> runtime::ProbeKind {
        match self {
            Self::Startup => runtime::ProbeKind::Startup,
            Self::Liveness => runtime::ProbeKind::Liveness,
            Self::Readiness => runtime::ProbeKind::Readiness,
        }
    }

    pub(super) fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }

    const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];
}

/// What counts for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Unknown,
    Success,
    Failure,
}

/// A question whose answer takes its time: a command that runs in the container, or a request that a proxy passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub exec: ExecId,
    pub asked_at: Time,
    /// When it has taken too long: `timeoutSeconds`.
    pub deadline: Time,
}

/// A probe of one container, over all its restarts.
#[derive(Clone, Debug)]
pub(super) struct ProbeWorker {
    pub container: Name,
    pub kind: ProbeKind,
    pub probe: Arc<Probe>,
    /// The container that is probed now.
    pub container_id: Option<Name>,
    /// Whether it rests until the container was replaced, since it failed.
    on_hold: bool,
    last: Option<Outcome>,
    run: i32,
    /// What counts now.
    pub outcome: Option<Outcome>,
    pub stopped: bool,
    /// When the ticker began: it ticks every period from here on.
    pub ticks_from: Time,
    /// The question that it waits for.
    pub pending: Option<Pending>,
}

/// What a probe does when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: not yet, or not any more.
    Wait,
    /// Nothing, and what counts has changed with the container's state.
    Changed,
    /// It asks the container.
    Ask,
    /// It is over for good.
    Stop,
}

impl ProbeWorker {
    fn new(container: &Container, kind: ProbeKind, probe: &Probe, ticks_from: Time) -> Self {
        Self {
            container: Name::from(container.name.as_str()),
            kind,
            probe: Arc::new(probe.clone()),
            container_id: None,
            on_hold: false,
            last: None,
            run: 0,
            outcome: None,
            stopped: false,
            ticks_from,
            pending: None,
        }
    }

    pub(super) fn period(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.probe.period_seconds.unwrap_or(10).max(1)).unwrap_or(1))
    }

    /// How long an answer may take.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.probe.timeout_seconds.unwrap_or(1).max(1)).unwrap_or(1))
    }

    /// The probe's name as annotations and people write it: `readiness`.
    pub(super) fn word(&self) -> String {
        self.kind.title().to_lowercase()
    }

    /// The next tick after `now`.
    pub(super) fn next_tick(&self, now: Time) -> Time {
        let period = self.period();
        if now < self.ticks_from {
            return self.ticks_from;
        }
        let elapsed = now.since(self.ticks_from).as_micros();
        let ticks = elapsed / period.as_micros() + 1;
        self.ticks_from + period * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    /// Whether nothing will come of it while all stays as it is.
    pub(super) fn is_settled(&self) -> bool {
        let steady = self.last.is_none() || self.last == self.outcome;
        match self.kind {
            ProbeKind::Liveness => steady && self.outcome != Some(Outcome::Failure),
            ProbeKind::Readiness | ProbeKind::Startup => steady && self.outcome == Some(Outcome::Success),
        }
    }

    fn set(&mut self, outcome: Outcome) -> bool {
        self.outcome.replace(outcome) != Some(outcome)
    }

    /// What to do now, given what the kubelet last told of the container: the first half of `doProbe`.
    pub(super) fn turn(&mut self, pod: &Pod, phase: &str, status: Option<&ContainerStatus>, now: Time) -> Turn {
        if matches!(phase, "Failed" | "Succeeded") {
            self.stopped = true;
            return Turn::Stop;
        }
        let Some((status, id)) = status.and_then(|status| Some((status, status.container_id.as_deref()?))) else {
            return Turn::Wait;
        };
        let mut changed = false;
        if self.container_id.as_deref() != Some(id) {
            self.container_id = Some(Name::from(id));
            self.outcome = None;
            changed = self.set(self.kind.initial());
            self.on_hold = false;
        }
        let quiet = |changed| if changed { Turn::Changed } else { Turn::Wait };
        if self.on_hold {
            return quiet(changed);
        }
        let state = status.state.clone().unwrap_or_default();
        let Some(running) = state.running else {
            changed |= self.set(Outcome::Failure);
            let never = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) == Some("Never");
            if state.terminated.is_some() && never {
                self.stopped = true;
                return Turn::Stop;
            }
            return quiet(changed);
        };
        if pod.is_deleting() && self.kind != ProbeKind::Readiness {
            self.set(Outcome::Success);
            self.stopped = true;
            return Turn::Stop;
        }
        let started_at = running.started_at.as_ref().map_or(now, Time::from);
        let delay = u64::try_from(self.probe.initial_delay_seconds.unwrap_or(0)).unwrap_or(0);
        let waits_for_delay = now.since(started_at).as_secs() < delay;
        let started = status.started == Some(true);
        if waits_for_delay || started == (self.kind == ProbeKind::Startup) {
            return quiet(changed);
        }
        Turn::Ask
    }

    /// Takes in an answer; says whether what counts has changed: the second half of `doProbe`.
    pub(super) fn answered(&mut self, answer: Outcome) -> bool {
        if self.last == Some(answer) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(answer);
            self.run = 1;
        }
        let threshold = match answer {
            Outcome::Failure => self.probe.failure_threshold.unwrap_or(3),
            _ => self.probe.success_threshold.unwrap_or(1),
        };
        if self.run < threshold {
            return false;
        }
        let changed = self.set(answer);
        if self.kind != ProbeKind::Readiness && answer == Outcome::Failure {
            self.on_hold = true;
            self.run = 0;
        }
        changed
    }
}

/// The probes of a pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    pub workers: Vec<ProbeWorker>,
}

impl Probes {
    /// Makes the workers of a pod; says at which places the new ones stand.
    pub(super) fn add_pod(&mut self, pod: &Pod, now: Time, mut delay: impl FnMut(Duration) -> Duration) -> Vec<usize> {
        let Some(spec) = &pod.spec else { return Vec::new() };
        let sidecars = spec.init_containers.iter().flatten().filter(|init| super::restart::is_restartable_init(init));
        let mut added = Vec::new();
        for container in spec.containers.iter().chain(sidecars) {
            for kind in ProbeKind::ALL {
                let Some(probe) = kind.of(container) else { continue };
                if self.worker(kind, &container.name).is_some() {
                    continue;
                }
                let mut worker = ProbeWorker::new(container, kind, probe, now);
                worker.ticks_from = now + delay(worker.period());
                added.push(self.workers.len());
                self.workers.push(worker);
            }
        }
        added
    }

    pub(super) fn worker(&self, kind: ProbeKind, container: &str) -> Option<&ProbeWorker> {
        self.workers.iter().find(|worker| worker.kind == kind && &*worker.container == container && !worker.stopped)
    }

    /// What counts for a container; `None` when nothing was found out yet.
    pub(super) fn outcome(&self, kind: ProbeKind, container: &str, id: &str) -> Option<Outcome> {
        let bare = |id: &str| id.rsplit_once("://").map_or_else(|| id.to_owned(), |(_, bare)| bare.to_owned());
        self.workers
            .iter()
            .filter(|worker| worker.kind == kind && &*worker.container == container && !worker.stopped)
            .find(|worker| worker.container_id.as_deref().is_some_and(|known| bare(known) == bare(id)))
            .and_then(|worker| worker.outcome)
    }

    /// Whether a running container counts as started.
    pub(super) fn is_started(&self, container: &str, id: &str) -> bool {
        match self.outcome(ProbeKind::Startup, container, id) {
            Some(outcome) => outcome == Outcome::Success,
            None => self.worker(ProbeKind::Startup, container).is_none(),
        }
    }

    /// Whether a running, started container counts as ready.
    pub(super) fn is_ready(&self, container: &str, id: &str) -> bool {
        self.outcome(ProbeKind::Readiness, container, id) == Some(Outcome::Success)
            || self.worker(ProbeKind::Readiness, container).is_none()
    }

    /// Ends the probes that could restart a container: the pod is going.
    pub(super) fn stop_liveness_and_startup(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.kind != ProbeKind::Readiness) {
            worker.stopped = true;
        }
    }
}
