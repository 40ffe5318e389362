//! Ending containers: the preStop hook, the order of sidecars, SIGTERM, and SIGKILL when the grace period is over.
//!
//! `pkg/kubelet/kuberuntime/kuberuntime_container.go` (`killContainer`), `kuberuntime_termination_order.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::api::{Name, Resource};
use crate::client::Client;
use crate::machinery::time::Time;

use super::agenda::Work;
use super::container_status::as_container;
use super::events::{self, Normal, Warning};
use super::hooks::Hook;
use super::host::Host;
use super::kuberuntime::PodRecord;
use super::restart::is_restartable_init;
use super::sync::{Kill, KillReason};

/// The least time that a container gets between SIGTERM and SIGKILL.
const MINIMUM_GRACE_SECONDS: i64 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was done yet.
    New,
    /// The preStop hook runs: when it began.
    PreStop { began: Time, hook: Hook },
    /// It waits until the containers that go first have gone.
    Turn { since: Time },
    /// The runtime was told to stop it; SIGKILL comes at this time.
    Stopping { kill_at: Time },
    /// It runs no more.
    Done,
}

#[derive(Clone, Debug)]
struct Victim {
    kill: Kill,
    grace: i64,
    /// Containers whose end it waits for.
    after: Vec<Name>,
    /// Whether its preStop hook was still running when its time was over. The hook ends with its container, and fails.
    has_cut_hook: bool,
    stage: Stage,
}

/// Some containers on their way to their end.
#[derive(Clone, Debug)]
pub(super) struct Killing {
    victims: Vec<Victim>,
}

/// The container of a pod with this name.
pub(super) fn container_spec(pod: &Pod, name: &str) -> Option<Container> {
    let spec = pod.spec.as_ref()?;
    let among = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let found = among.into_iter().find(|container| container.name == name).cloned();
    found.or_else(|| {
        spec.ephemeral_containers.iter().flatten().find(|container| container.name == name).map(as_container)
    })
}

/// How long a container gets: `setTerminationGracePeriod`.
fn grace_seconds(pod: &Pod, container: Option<&Container>, reason: KillReason) -> i64 {
    if let Some(seconds) = pod.metadata.deletion_grace_period_seconds {
        return seconds;
    }
    if reason == KillReason::RestartAll {
        return 0;
    }
    let probe = container.and_then(|container| match reason {
        KillReason::StartupProbe => container.startup_probe.as_ref(),
        KillReason::LivenessProbe => container.liveness_probe.as_ref(),
        KillReason::Other | KillReason::RestartAll => None,
    });
    let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    own.or(of_pod).unwrap_or(MINIMUM_GRACE_SECONDS)
}

impl Killing {
    /// One container, while its pod lives on.
    pub(super) fn one(pod: &Pod, kill: Kill) -> Self {
        let container = container_spec(pod, &kill.name);
        let grace = grace_seconds(pod, container.as_ref(), kill.reason);
        Self { victims: vec![Victim { kill, grace, after: Vec::new(), has_cut_hook: false, stage: Stage::New }] }
    }

    /// All running containers of a pod: the others first, then the sidecars in the reverse of the order in which they
    /// started.
    pub(super) fn all(pod: &Pod, runtime: &PodRecord, grace_override: Option<i64>) -> Self {
        let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let sidecars: Vec<&str> =
            init.filter(|container| is_restartable_init(container)).map(|container| container.name.as_str()).collect();
        let running: Vec<_> = runtime.running().collect();
        let victims = running
            .iter()
            .map(|record| {
                let place = sidecars.iter().position(|name| *name == &*record.name);
                let after =
                    running.iter().filter(|other| match sidecars.iter().position(|name| *name == &*other.name) {
                        None => place.is_some(),
                        Some(other_place) => place.is_some_and(|place| other_place > place),
                    });
                let kill = Kill {
                    id: record.id.clone(),
                    name: record.name.clone(),
                    message: String::new(),
                    reason: KillReason::Other,
                };
                let grace = grace_override.unwrap_or_else(|| grace_seconds(pod, None, KillReason::Other));
                let after = after.map(|other| other.id.clone()).collect();
                Victim { kill, grace, after, has_cut_hook: false, stage: Stage::New }
            })
            .collect();
        Self { victims }
    }

    /// Makes the rest of the time shorter: the pod's grace period became `grace` seconds, of which `elapsed` are over.
    pub(super) fn shorten(&mut self, grace: i64, elapsed: i64, host: &mut Host, now: Time) {
        let left = (grace - elapsed).max(MINIMUM_GRACE_SECONDS);
        for victim in &mut self.victims {
            victim.grace = victim.grace.min(left);
            if let Stage::Stopping { kill_at } = &mut victim.stage {
                let sooner = now + seconds(left);
                if sooner < *kill_at {
                    *kill_at = sooner;
                    host.runtime.stop_container(&victim.kill.id, seconds(left), now);
                }
            }
        }
    }

    /// Does what can be done now. `Ok` when all have ended; else when to look again, if no container's end tells.
    /// `waiter` goes on when a hook has ended.
    pub(super) fn go_on(
        &mut self,
        pod: &Pod,
        waiter: Work,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Result<(), Option<Time>> {
        let mut look_again: Option<Time> = None;
        let mut done = true;
        for index in 0..self.victims.len() {
            while self.step(index, pod, waiter, host, client) {}
            let next = match &self.victims[index].stage {
                Stage::Done => continue,
                Stage::PreStop { began, hook } => {
                    let cut_off = *began + seconds(self.victims[index].grace);
                    Some(hook.ends().map_or(cut_off, |ends| ends.min(cut_off)))
                }
                Stage::Turn { since } => Some(*since + seconds(self.victims[index].grace)),
                Stage::New | Stage::Stopping { .. } => None,
            };
            done = false;
            look_again = look_again.into_iter().chain(next).min();
        }
        if done { Ok(()) } else { Err(look_again) }
    }

    /// Moves one container a step on; says whether there may be another.
    fn step(&mut self, index: usize, pod: &Pod, waiter: Work, host: &mut Host, client: &mut Client<'_>) -> bool {
        let now = client.now;
        let waits = self.victims[index].after.iter().any(|id| host.runtime.is_running(id));
        let victim = &mut self.victims[index];
        if victim.stage != Stage::Done && !host.runtime.is_running(&victim.kill.id) {
            victim.stage = Stage::Done;
            if victim.has_cut_hook {
                tell_failed_hook(client, pod, &victim.kill.name);
            }
            return false;
        }
        let next = match &victim.stage {
            Stage::New => {
                let name = &victim.kill.name;
                let stopping = format!("Stopping container {name}");
                let message = Some(&victim.kill.message).filter(|message| !message.is_empty()).unwrap_or(&stopping);
                events::about_container(client, pod, name, Normal, "Killing", message);
                begin_pre_stop(victim, pod, waiter, host, now)
            }
            Stage::PreStop { began, hook } => {
                let outcome = hook.outcome(host, now);
                if outcome.is_none() && now < *began + seconds(victim.grace) {
                    return false;
                }
                victim.has_cut_hook = outcome.is_none() && matches!(hook, Hook::Command(_));
                if outcome.is_some_and(|outcome| outcome.is_err()) {
                    tell_failed_hook(client, pod, &victim.kill.name);
                }
                let used = i64::try_from(now.since(*began).as_secs()).unwrap_or(i64::MAX);
                victim.grace -= used;
                Stage::Turn { since: now }
            }
            Stage::Turn { since } => {
                let used = i64::try_from(now.since(*since).as_secs()).unwrap_or(i64::MAX);
                if waits && used < victim.grace {
                    return false;
                }
                victim.grace = (victim.grace - used).max(MINIMUM_GRACE_SECONDS);
                host.runtime.stop_container(&victim.kill.id, seconds(victim.grace), now);
                Stage::Stopping { kill_at: now + seconds(victim.grace) }
            }
            Stage::Stopping { .. } | Stage::Done => return false,
        };
        victim.stage = next;
        true
    }
}

fn tell_failed_hook(client: &mut Client<'_>, pod: &Pod, container: &str) {
    events::about_container(client, pod, container, Warning, "FailedPreStopHook", "PreStopHook failed");
}

/// Begins with the preStop hook, if there is one and time for it.
fn begin_pre_stop(victim: &Victim, pod: &Pod, waiter: Work, host: &mut Host, now: Time) -> Stage {
    let container = container_spec(pod, &victim.kill.name).unwrap_or_default();
    let hook = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
    let Some(hook) = hook.filter(|_| victim.grace > 0) else { return Stage::Turn { since: now } };
    let hook = Hook::begin(hook, pod.uid(), &container, &victim.kill.id, waiter, host, now);
    Stage::PreStop { began: now, hook }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
