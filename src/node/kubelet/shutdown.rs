//! Graceful node shutdown: before the machine is switched off, its pods are ended, those that the cluster needs last.
//!
//! `pkg/kubelet/nodeshutdown` with `shutdownGracePeriod` and `shutdownGracePeriodCriticalPods`, which are off by default;
//! whoever shuts a machine down says them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::client::{Client, EventType};
use crate::machinery::time::Time;

use super::Kubelet;
use super::admission::{Rejection, is_critical};
use super::agenda::{PodId, Work};
use super::eviction::disruption_target;
use super::node_status;
use super::pod_worker::{Killed, Stage};

const REASON: &str = "Terminated";
const MESSAGE: &str = "Pod was terminated in response to imminent node shutdown.";
/// How often it is looked whether the pods have ended.
const POLL: Duration = Duration::from_millis(250);

/// Pods that are ended together, and how long they have.
#[derive(Clone, Debug)]
struct Group {
    seconds: u32,
    pods: Vec<PodId>,
}

/// A shutdown under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Shutdown {
    /// The pods that are ending.
    ending: Vec<PodId>,
    /// How long they are waited for.
    until: Time,
    groups: VecDeque<Group>,
    /// Whether nothing keeps the machine on any longer.
    is_over: bool,
}

/// Why a machine that is about to be switched off takes no pod.
pub(super) fn refusal() -> Rejection {
    Rejection {
        reason: "NodeShutdown".to_owned(),
        message: "Pod was rejected as the node is shutting down.".to_owned(),
    }
}

impl Kubelet {
    /// The machine is about to be switched off: pods have so many seconds, of which the last are kept for those that
    /// the cluster needs.
    pub fn shut_down(&mut self, seconds: u32, critical_seconds: u32, client: &mut Client<'_>) {
        if self.host.is_shutting_down {
            return;
        }
        let node = node_status::reference(&self.host.config);
        let message = "Shutdown manager detected shutdown event";
        client.event_about(&node, EventType::Normal, "Shutdown", message);
        self.host.is_shutting_down = true;
        self.host.agenda.set(Work::NodeStatus, client.now, false);
        let (critical, others): (Vec<_>, Vec<_>) = self
            .workers
            .values()
            .filter(|worker| worker.could_have_running_containers())
            .partition(|worker| is_critical(&worker.pod));
        let ids = |workers: Vec<&std::sync::Arc<super::pod_worker::Worker>>| workers.iter().map(|one| one.id).collect();
        let critical_seconds = critical_seconds.min(seconds);
        let groups = [
            Group { seconds: seconds - critical_seconds, pods: ids(others) },
            Group { seconds: critical_seconds, pods: ids(critical) },
        ];
        self.shutdown = Shutdown { groups: groups.into(), ..Shutdown::default() };
        self.host.agenda.set(Work::Shutdown, client.now, false);
        self.host.agenda.arm(client);
    }

    /// Whether a shutdown has come to its end, so that the machine can be switched off.
    #[must_use]
    pub const fn is_shut_down(&self) -> bool {
        self.shutdown.is_over
    }

    /// Whether the machine is being shut down.
    #[must_use]
    pub const fn is_shutting_down(&self) -> bool {
        self.host.is_shutting_down
    }

    /// Whether the machine boots again once it is off.
    #[must_use]
    pub const fn boots_again(&self) -> bool {
        self.host.boots_again
    }

    /// Somebody switches the machine on while it is being shut down.
    pub const fn boot_again(&mut self) {
        self.host.boots_again = true;
    }

    /// Goes on with a shutdown: `killPods`.
    pub(super) fn go_on_shutting_down(&mut self, client: &mut Client<'_>) {
        let now = client.now;
        let has_ended = |id: &PodId| self.workers.get(id).is_none_or(|worker| worker.stage == Stage::Finished);
        if now < self.shutdown.until && !self.shutdown.ending.iter().all(has_ended) {
            let next = self.shutdown.until.min(now + POLL);
            return self.host.agenda.set(Work::Shutdown, next, false);
        }
        while let Some(group) = self.shutdown.groups.pop_front() {
            if group.pods.is_empty() {
                continue;
            }
            for &id in &group.pods {
                self.end_for_shutdown(id, i64::from(group.seconds), client);
            }
            self.shutdown.until = now + Duration::from_secs(u64::from(group.seconds));
            self.shutdown.ending = group.pods;
            let next = self.shutdown.until.min(now + POLL);
            return self.host.agenda.set(Work::Shutdown, next, false);
        }
        self.shutdown.is_over = true;
    }

    fn end_for_shutdown(&mut self, id: PodId, seconds: i64, client: &mut Client<'_>) {
        self.with_worker(id, client, |worker, host, client| {
            let own = worker.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
            let condition = Some(disruption_target(&worker.pod, MESSAGE));
            let killed = Killed { reason: REASON, message: MESSAGE.to_owned(), condition, even_succeeded: false };
            worker.kill(killed, own.map_or(seconds, |own| own.min(seconds)), host, client.now);
        });
    }
}
