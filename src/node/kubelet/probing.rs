//! Asking containers, and what the kubelet does with the answers.
//!
//! `pkg/kubelet/prober/prober.go`, `pkg/probe/{exec,http,tcp,grpc}` and the probe channels of `syncLoopIteration`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodStatus, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::client::Client;
use crate::machinery::time::Time;

use super::agenda::Work;
use super::events::{self, Warning};
use super::hooks::named_port;
use super::host::Host;
use super::pod_worker::{Stage, Worker};
use super::prober::{Outcome, ProbeKind, Turn};
use super::status;
use super::termination::container_spec;

/// An answer and, when it is bad, what the event says.
struct Answer {
    outcome: Outcome,
    output: String,
}

impl Worker {
    /// Makes the pod's probes, unless it has them.
    pub(super) fn start_probes(&mut self, host: &mut Host, client: &mut Client<'_>) {
        let now = client.now;
        let uptime = now.since(host.started_at);
        let random = &mut *client.random;
        // A kubelet that has just started spreads its probes.
        let delay = |period: Duration| {
            let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
            if period > uptime { Duration::from_micros(random.below(micros)) } else { Duration::ZERO }
        };
        for index in self.probes.add_pod(&self.pod, now, delay) {
            let worker = &self.probes.workers[index];
            let time = worker.ticks_from;
            host.agenda.set(self.probe_work(index), time, false);
        }
    }

    fn probe_work(&self, index: usize) -> Work {
        Work::Probe(self.id, u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Lets readiness probes run at once for containers that have started and are not known to be ready.
    pub(super) fn ask_for_readiness(&mut self, status: &PodStatus, host: &mut Host, now: Time) {
        let lists = [&status.container_statuses, &status.init_container_statuses];
        for container in lists.into_iter().flat_map(|list| list.iter().flatten()) {
            if container.started != Some(true) || container.ready {
                continue;
            }
            let mut workers = self.probes.workers.iter();
            let index = workers.position(|worker| {
                worker.kind == ProbeKind::Readiness && *worker.container == *container.name && !worker.stopped
            });
            if let Some(index) = index {
                host.agenda.set_sooner(self.probe_work(index), now, false);
            }
        }
    }

    /// A probe's turn: `doProbe`.
    pub(super) fn probe(&mut self, index: usize, host: &mut Host, client: &mut Client<'_>) {
        let now = client.now;
        client.triggered_by(self.trigger);
        let Some(mut worker) = self.probes.workers.get(index).filter(|worker| !worker.stopped).cloned() else { return };
        if self.stage == Stage::Finished {
            return;
        }
        let known = self.known_status(&worker.container).cloned();
        let phase = self.status.phase.clone().unwrap_or_default();
        let turn = worker.turn(&self.pod, &phase, known.as_ref(), now);
        let mut changed = turn == Turn::Changed;
        if turn == Turn::Ask
            && let Some(answer) = self.ask(&worker.probe, worker.kind, known.as_ref(), host, client)
        {
            if answer.outcome == Outcome::Failure {
                let message = format!("{} probe failed: {}", worker.kind.title(), answer.output);
                events::about_container(client, &self.pod, &worker.container, Warning, "Unhealthy", &message);
            }
            changed |= worker.answered(answer.outcome);
        }
        let (kind, outcome, id) = (worker.kind, worker.outcome, worker.container_id.clone());
        if turn != Turn::Stop {
            host.agenda.set(self.probe_work(index), worker.next_tick(now), worker.is_settled());
        }
        self.probes.workers[index] = worker;
        if changed && let (Some(outcome), Some(id)) = (outcome, id) {
            self.probe_result(kind, outcome, &id, host, client);
        }
    }

    fn known_status(&self, container: &str) -> Option<&ContainerStatus> {
        let lists = [&self.status.container_statuses, &self.status.init_container_statuses];
        lists.into_iter().flat_map(|list| list.iter().flatten()).find(|status| status.name == container)
    }

    /// What counts for a container has changed.
    fn probe_result(&mut self, kind: ProbeKind, outcome: Outcome, id: &str, host: &mut Host, client: &mut Client<'_>) {
        let good = outcome == Outcome::Success;
        let mut changed = self.status.clone();
        let lists = [&mut changed.container_statuses, &mut changed.init_container_statuses];
        let found = lists
            .into_iter()
            .flat_map(|list| list.iter_mut().flatten())
            .find(|status| status.container_id.as_deref() == Some(id));
        match (kind, found) {
            (ProbeKind::Readiness, Some(container)) if container.ready != good => {
                container.ready = good;
                status::refresh_readiness(&mut changed, &self.pod, client.now);
                self.set_status(changed, host, client);
            }
            (ProbeKind::Startup, Some(container)) if container.started != Some(good) => {
                container.started = Some(good);
                self.set_status(changed, host, client);
            }
            (ProbeKind::Liveness, _) if good => return,
            _ => {}
        }
        self.request_sync(host, client.now);
    }

    /// Asks a container; `None` when the question itself went wrong.
    fn ask(
        &mut self,
        probe: &Probe,
        kind: ProbeKind,
        known: Option<&ContainerStatus>,
        host: &mut Host,
        client: &mut Client<'_>,
    ) -> Option<Answer> {
        let known = known?;
        let container = container_spec(&self.pod, &known.name)?;
        let id = known.container_id.as_deref()?.rsplit_once("://")?.1.to_owned();
        let started = known.state.as_ref()?.running.as_ref()?.started_at.as_ref();
        let since = client.now.since(started.map_or(client.now, Time::from));
        let annotations = self.pod.metadata.annotations.clone().unwrap_or_default();
        let word = kind.title().to_lowercase();
        let directed = if host.machine.is_failing(&self.uid, &known.name, &word) {
            Some(false)
        } else {
            host.machine.directed_probe(&annotations, &word, &known.name, since)
        };
        Some(self.answer(probe, &container, &id, directed, host, client.now))
    }

    fn answer(
        &self,
        probe: &Probe,
        container: &Container,
        id: &str,
        directed: Option<bool>,
        host: &mut Host,
        now: Time,
    ) -> Answer {
        let success = || Answer { outcome: Outcome::Success, output: String::new() };
        let failure = |output: String| Answer { outcome: Outcome::Failure, output };
        let pod_ip = self.status.pod_ip.clone().unwrap_or_default();
        let number = |port: &IntOrString| match port {
            IntOrString::Int(port) => u16::try_from(*port).unwrap_or(0),
            IntOrString::String(name) => named_port(container, name),
        };
        if let Some(exec) = &probe.exec {
            let command = exec.command.clone().unwrap_or_default();
            return match directed {
                Some(true) => success(),
                Some(false) => failure("command failed".to_owned()),
                None => {
                    let answer = host.machine.exec(id, &command, now);
                    if answer.exit_code == 0 { success() } else { failure(answer.output) }
                }
            };
        }
        if let Some(get) = &probe.http_get {
            let ip = get.host.clone().filter(|host| !host.is_empty()).unwrap_or(pod_ip);
            let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
            let (port, path) = (number(&get.port), get.path.as_deref().unwrap_or("/"));
            let answer = match directed {
                Some(true) => return success(),
                Some(false) => return failure("HTTP probe failed with statuscode: 500".to_owned()),
                None => host.machine.http(id, port, path, now),
            };
            return match answer.status {
                Some(_) if answer.is_success() => success(),
                Some(status) => failure(format!("HTTP probe failed with statuscode: {status}")),
                None => failure(format!(
                    "Get \"{scheme}://{ip}:{port}{path}\": dial tcp {ip}:{port}: connect: connection refused"
                )),
            };
        }
        let port = probe
            .tcp_socket
            .as_ref()
            .map(|tcp| number(&tcp.port))
            .or_else(|| probe.grpc.as_ref().map(|grpc| u16::try_from(grpc.port).unwrap_or(0)));
        let listens = directed.unwrap_or_else(|| port.is_some_and(|port| host.machine.listens(id, port)));
        let port = port.unwrap_or(0);
        match (listens, &probe.grpc) {
            (true, _) => success(),
            (false, Some(_)) if directed.is_some() => {
                failure("service unhealthy (responded with \"NOT_SERVING\")".to_owned())
            }
            (false, Some(_)) => failure(format!(
                "timeout: failed to connect service \"{pod_ip}:{port}\" within {}s: context deadline exceeded",
                probe.timeout_seconds.unwrap_or(1)
            )),
            (false, None) => failure(format!("dial tcp {pod_ip}:{port}: connect: connection refused")),
        }
    }
}
