//! What the kubelet tells the API server of a pod, and when a pod that is over is taken out of the API.
//!
//! `pkg/kubelet/status/status_manager.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, PodStatus};

use crate::api::{Kind, Resource};
use crate::apiserver::DeleteOptions;
use crate::client::{Client, ClientError};
use crate::etcd::Why;

use super::agenda::Work;
use super::host::Host;
use super::pod_worker::{Stage, Worker};
use super::status::is_own_condition;

/// How often statuses that could not be written are tried again: `syncPeriod`.
pub(super) const SYNC_PERIOD: Duration = Duration::from_secs(10);

/// What writing one status takes: the pod is read, and then patched. There is one writer, so that the statuses of pods
/// that change at once are told one after another.
const WRITE_TIME: Duration = Duration::from_millis(4);

fn is_terminal(phase: Option<&str>) -> bool {
    matches!(phase, Some("Failed" | "Succeeded"))
}

impl Worker {
    /// Takes in a new status and writes it, when it says anything new: `SetPodStatus`.
    pub(super) fn set_status(&mut self, status: PodStatus, host: &mut Host, client: &mut Client<'_>) {
        if self.has_status && *self.status == status && self.is_written {
            return;
        }
        self.status = status.into();
        self.has_status = true;
        self.is_written = false;
        self.write_status(host, client);
    }

    /// Writes the status to the API server, when those before it are written.
    pub(super) fn write_status(&mut self, host: &mut Host, client: &mut Client<'_>) {
        if host.agenda.is_planned(Work::Status(self.id)) {
            return;
        }
        let turn = host.statuses_written_at.max(client.now);
        host.statuses_written_at = turn + WRITE_TIME;
        if turn > client.now {
            host.agenda.set(Work::Status(self.id), turn, false);
        } else {
            self.write_status_now(host, client);
        }
    }

    /// Writes the status to the API server: `syncPod`.
    pub(super) fn write_status_now(&mut self, host: &mut Host, client: &mut Client<'_>) {
        if !self.has_status {
            return;
        }
        client.triggered_by(self.trigger);
        match self.try_write(client) {
            Ok(()) => self.is_written = true,
            Err(error) if error.is_not_found() => self.is_written = true,
            Err(_) => host.agenda.set_sooner(Work::Reconcile(self.id), client.now + SYNC_PERIOD, false),
        }
    }

    fn try_write(&mut self, client: &mut Client<'_>) -> Result<(), ClientError> {
        let key = self.pod.key();
        let current = client.get::<Pod>(&key)?;
        if !self.is_told_of_by(&current) {
            return Ok(());
        }
        let reported = current.status.clone().unwrap_or_default();
        let merged = merge(&reported, &self.status, self.could_have_running_containers());
        if merged != reported {
            client.because(why(&current, &reported, &merged));
            let mut changed = (*current).clone();
            changed.status = Some(merged);
            let written = client.update_status(changed)?;
            self.status.share(&written);
        } else {
            self.status.share(&current);
        }
        if self.stage == Stage::Finished && !self.is_static() && (current.is_deleting() || self.pod.is_deleting()) {
            client.because(Why::new(
                "All containers of pod {} have ended on node {}, so its kubelet takes it out of the API.",
                [current.name().to_owned(), client.identity().host.to_string()],
            ));
            let options = DeleteOptions::of_uid(self.pod.uid()).grace(0);
            client.delete(Kind::Pod, &key, options)?;
        }
        Ok(())
    }

    /// Whether what the API says of the pod is not what this kubelet says: somebody else wrote.
    pub(super) fn needs_reconcile(&self, reported: &PodStatus) -> bool {
        self.has_status && merge(reported, &self.status, self.could_have_running_containers()) != *reported
    }
}

/// What to write: the kubelet's own word on what is its own, everybody else's on the rest. The phase does not become
/// final while containers could still run: `mergePodStatus`.
fn merge(reported: &PodStatus, own: &PodStatus, could_have_running_containers: bool) -> PodStatus {
    let mut merged = own.clone();
    let foreign = reported.conditions.iter().flatten().filter(|condition| !is_own_condition(condition)).cloned();
    let ours = own.conditions.iter().flatten().filter(|condition| is_own_condition(condition)).cloned();
    merged.conditions = Some(foreign.chain(ours).collect::<Vec<_>>()).filter(|conditions| !conditions.is_empty());
    merged.nominated_node_name.clone_from(&reported.nominated_node_name);
    merged.resource_claim_statuses.clone_from(&reported.resource_claim_statuses);
    merged.extended_resource_claim_status.clone_from(&reported.extended_resource_claim_status);
    if own.qos_class.is_none() {
        merged.qos_class.clone_from(&reported.qos_class);
    }
    let becomes_final = !is_terminal(reported.phase.as_deref()) && is_terminal(own.phase.as_deref());
    // Why the kubelet ended a pod is told once it has ended.
    let target = own.conditions.iter().flatten().find(|condition| condition.type_ == "DisruptionTarget");
    if let Some(target) = target.filter(|_| becomes_final && !could_have_running_containers) {
        let conditions = merged.conditions.get_or_insert_default();
        match conditions.iter_mut().find(|condition| condition.type_ == target.type_) {
            Some(known) => *known = target.clone(),
            None => {
                let place = conditions.iter().position(is_own_condition).unwrap_or(conditions.len());
                conditions.insert(place, target.clone());
            }
        }
    }
    if becomes_final && could_have_running_containers {
        merged.phase.clone_from(&reported.phase);
        merged.reason.clone_from(&reported.reason);
        merged.message.clone_from(&reported.message);
    }
    merged
}

/// Why a status is written, in a sentence.
fn why(pod: &Pod, before: &PodStatus, after: &PodStatus) -> Why {
    let name = pod.name().to_owned();
    let phase = |status: &PodStatus| status.phase.clone().unwrap_or_default();
    let ready = |status: &PodStatus| {
        let mut conditions = status.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    if before.start_time.is_none() {
        return Why::new("The kubelet has seen pod {}, which the scheduler bound to its node.", [name]);
    }
    if phase(before) != phase(after) {
        return Why::new("The kubelet tells that pod {} is {} now.", [name, phase(after)]);
    }
    match (ready(before), ready(after)) {
        (false, true) => Why::new("All containers of pod {} are ready.", [name]),
        (true, false) => Why::new("Pod {} is no longer ready.", [name]),
        _ => Why::new("The kubelet tells how the containers of pod {} are.", [name]),
    }
}
