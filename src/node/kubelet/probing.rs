//! Asking containers, and what the kubelet does with the answers.
//!
//! `pkg/kubelet/prober/prober.go`, `pkg/probe/{exec,http,tcp,grpc}` and the probe channels of `syncLoopIteration`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, HTTPGetAction, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::client::Client;
use crate::machinery::shell::{HttpAnswer, HttpRequest, NetworkAnswer};
use crate::machinery::time::Time;
use crate::node::runtime::{ExecResult, ProbeScript};

use super::agenda::Work;
use super::events::{self, Warning};
use super::hooks::named_port;
use super::host::Host;
use super::pod_worker::{Stage, Worker};
use super::prober::{Outcome, Pending, ProbeKind, ProbeWorker, Turn};
use super::status;

/// Who the kubelet says it is when it probes.
const USER_AGENT: &str = "kube-probe/1.36";
/// What Go's HTTP client says when its time is over.
const DEADLINE: &str = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

/// An answer and, when it is bad, what the event says.
struct Answer {
    /// `Unknown` when the question itself went wrong.
    outcome: Outcome,
    output: String,
}

/// What came of asking.
enum Asked {
    Answered(Answer),
    Waiting(Pending),
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
        let asked_at = worker.pending.map_or(now, |pending| pending.asked_at);
        let mut turn = Turn::Ask;
        let asked = match worker.pending {
            Some(pending) => Some(self.heard(&worker, pending, host, now)),
            None => {
                let known = self.known_status(&worker.container);
                let phase = self.status.phase.as_deref().unwrap_or("");
                turn = worker.turn(&self.pod, phase, known, now);
                if turn == Turn::Ask { self.ask(index, &worker, known, host, client) } else { None }
            }
        };
        let mut changed = turn == Turn::Changed;
        match asked {
            Some(Asked::Waiting(pending)) => {
                worker.pending = Some(pending);
                host.agenda.set(self.probe_work(index), pending.deadline, false);
                host.plan_runtime(now);
                self.probes.workers[index] = worker;
                return;
            }
            Some(Asked::Answered(answer)) => {
                worker.pending = None;
                self.tell_of(&worker, &answer, client);
                // An error of the probe itself counts for nothing.
                changed |= answer.outcome != Outcome::Unknown && worker.answered(answer.outcome);
            }
            None => {}
        }
        let (kind, outcome, id) = (worker.kind, worker.outcome, worker.container_id.clone());
        if turn != Turn::Stop {
            // A tick that was missed while the question was open comes at once.
            let next = worker.next_tick(asked_at).max(now);
            host.agenda.set(self.probe_work(index), next, worker.is_settled());
        }
        host.plan_runtime(now);
        self.probes.workers[index] = worker;
        if changed && let (Some(outcome), Some(id)) = (outcome, id) {
            self.probe_result(kind, outcome, &id, host, client);
        }
    }

    /// The event about an answer that is not good.
    fn tell_of(&self, worker: &ProbeWorker, answer: &Answer, client: &mut Client<'_>) {
        let title = worker.kind.title();
        let message = match answer.outcome {
            Outcome::Success => return,
            Outcome::Failure => format!("{title} probe failed: {}", answer.output),
            Outcome::Unknown => format!("{title} probe errored and resulted in unknown state: {}", answer.output),
        };
        events::about_container(client, &self.pod, &worker.container, Warning, "Unhealthy", &message);
    }

    /// What became of a command that was still running.
    fn heard(&self, worker: &ProbeWorker, pending: Pending, host: &mut Host, now: Time) -> Asked {
        if let Some(get) = &worker.probe.http_get {
            return self.heard_http(worker, get, pending, host, now);
        }
        if let Some(result) = host.runtime.take_exec(pending.exec) {
            return Asked::Answered(of_command(&result));
        }
        if now < pending.deadline {
            return Asked::Waiting(pending);
        }
        host.runtime.end_exec(pending.exec, now);
        let command = worker.probe.exec.as_ref().and_then(|exec| exec.command.clone()).unwrap_or_default();
        Asked::Answered(failure(format!("command {:?} timed out", command.join(" "))))
    }

    /// What became of a request that a proxy in the pod passed on.
    fn heard_http(
        &self,
        worker: &ProbeWorker,
        get: &HTTPGetAction,
        pending: Pending,
        host: &mut Host,
        now: Time,
    ) -> Asked {
        let answer = host.runtime.answer_of(pending.exec);
        if answer.is_none() && now < pending.deadline {
            return Asked::Waiting(pending);
        }
        host.runtime.forget_asked(pending.exec);
        let port =
            probed_container(&self.pod, &worker.container).map_or(0, |container| number_of(container, &get.port));
        let answer = match answer {
            // It took its time on the way.
            Some(NetworkAnswer::Http(answer)) => NetworkAnswer::Http(HttpAnswer { latency: Duration::ZERO, ..answer }),
            Some(_) => NetworkAnswer::Http(HttpAnswer::text(502, "")),
            None => NetworkAnswer::TimedOut { address: String::new() },
        };
        Asked::Answered(self.judge(worker, get, port, &answer))
    }

    fn known_status(&self, container: &str) -> Option<&ContainerStatus> {
        let lists = [&self.status.container_statuses, &self.status.init_container_statuses];
        lists.into_iter().flat_map(|list| list.iter().flatten()).find(|status| status.name == container)
    }

    /// What counts for a container has changed.
    fn probe_result(&mut self, kind: ProbeKind, outcome: Outcome, id: &str, host: &mut Host, client: &mut Client<'_>) {
        let good = outcome == Outcome::Success;
        let mut changed = (*self.status).clone();
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

    /// Asks a container; `None` when there is nobody to ask.
    fn ask(
        &self,
        index: usize,
        worker: &ProbeWorker,
        known: Option<&ContainerStatus>,
        host: &mut Host,
        client: &Client<'_>,
    ) -> Option<Asked> {
        let known = known?;
        let container = probed_container(&self.pod, &known.name)?;
        let id = known.container_id.as_deref()?.rsplit_once("://")?.1.to_owned();
        known.state.as_ref()?.running.as_ref()?;
        // The status knows whole seconds only, the runtime knows better.
        let since = |host: &Host| {
            let started = host.runtime.pod(&self.uid).newest(&known.name).and_then(|record| record.started_at);
            client.now.since(started.unwrap_or(client.now))
        };
        let directed = if host.runtime.is_failing(&self.uid, &known.name, &worker.word()) {
            Some(false)
        } else {
            let script = self.pod.metadata.annotations.as_ref();
            let script = script.and_then(|all| ProbeScript::of(all, worker.kind.directed(), &known.name));
            script.map(|script| script.answer_at(since(host)))
        };
        if let Some(good) = directed {
            return Some(Asked::Answered(if good { success() } else { self.directed_failure(worker, container) }));
        }
        if let Some(exec) = &worker.probe.exec {
            let command = exec.command.clone().unwrap_or_default();
            return Some(self.ask_command(index, worker, &id, &command, host, client.now));
        }
        Some(self.ask_network(index, worker, container, &id, host, client.now))
    }

    fn ask_command(
        &self,
        index: usize,
        worker: &ProbeWorker,
        id: &str,
        command: &[String],
        host: &mut Host,
        now: Time,
    ) -> Asked {
        match host.runtime.exec(id, command, self.probe_work(index), now) {
            Err(error) => {
                let output = format!("rpc error: code = Unknown desc = {error}");
                Asked::Answered(Answer { outcome: Outcome::Unknown, output })
            }
            Ok(exec) => {
                let pending = Pending { exec, asked_at: now, deadline: now + worker.timeout() };
                self.heard(worker, pending, host, now)
            }
        }
    }

    fn ask_network(
        &self,
        index: usize,
        worker: &ProbeWorker,
        container: &Container,
        id: &str,
        host: &mut Host,
        now: Time,
    ) -> Asked {
        let ip = self.status.pod_ip.as_deref().unwrap_or("");
        let probe = &worker.probe;
        if let Some(get) = &probe.http_get {
            let port = number_of(container, &get.port);
            return match self.ask_http(get, port, id, host, now) {
                NetworkAnswer::Forward(onward) => {
                    let exec = host.runtime.ask_onward(&self.uid, id, *onward, self.probe_work(index));
                    Asked::Waiting(Pending { exec, asked_at: now, deadline: now + worker.timeout() })
                }
                answer => Asked::Answered(self.judge(worker, get, port, &answer)),
            };
        }
        let number = |port: &IntOrString| number_of(container, port);
        let grpc = probe.grpc.as_ref().map(|grpc| u16::try_from(grpc.port).unwrap_or(0));
        let port = grpc.or_else(|| probe.tcp_socket.as_ref().map(|tcp| number(&tcp.port))).unwrap_or(0);
        Asked::Answered(if host.runtime.listens(&self.uid, id, port, now) {
            success()
        } else if grpc.is_some() {
            failure(format!(
                "timeout: failed to connect service \"{ip}:{port}\" within {}s: context deadline exceeded",
                worker.timeout().as_secs()
            ))
        } else {
            failure(format!("dial tcp {ip}:{port}: connect: connection refused"))
        })
    }

    fn ask_http(&self, get: &HTTPGetAction, port: u16, id: &str, host: &mut Host, now: Time) -> NetworkAnswer {
        let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        let named = get.host.as_deref().filter(|host| !host.is_empty());
        let mut request = HttpRequest::get(named.unwrap_or(""), port, path);
        for header in get.http_headers.iter().flatten() {
            request.headers.push((header.name.clone(), header.value.clone()));
        }
        if request.header("user-agent").is_none() {
            request.headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
        }
        host.runtime.http(&self.uid, id, request, now)
    }

    /// What a probe says that somebody wants to fail.
    fn directed_failure(&self, worker: &ProbeWorker, container: &Container) -> Answer {
        let probe = &worker.probe;
        failure(if probe.exec.is_some() {
            "command failed".to_owned()
        } else if probe.http_get.is_some() {
            "HTTP probe failed with statuscode: 500".to_owned()
        } else if let Some(tcp) = &probe.tcp_socket {
            let ip = self.status.pod_ip.as_deref().unwrap_or("");
            format!("dial tcp {ip}:{}: connect: connection refused", number_of(container, &tcp.port))
        } else {
            "service unhealthy (responded with \"NOT_SERVING\")".to_owned()
        })
    }

    /// What an answer means.
    fn judge(&self, worker: &ProbeWorker, get: &HTTPGetAction, port: u16, answer: &NetworkAnswer) -> Answer {
        let path = get.path.as_deref().filter(|path| !path.is_empty()).unwrap_or("/");
        let named = get.host.as_deref().filter(|host| !host.is_empty());
        let pod_ip = self.status.pod_ip.as_deref().unwrap_or("");
        let (scheme, ip) = (get.scheme.as_deref().unwrap_or("HTTP").to_lowercase(), named.unwrap_or(pod_ip));
        let got = |error: &str| failure(format!("Get \"{scheme}://{ip}:{port}{path}\": {error}"));
        match answer {
            NetworkAnswer::Http(answer) if answer.latency >= worker.timeout() => got(DEADLINE),
            NetworkAnswer::Http(answer) if (200..400).contains(&answer.status) => success(),
            NetworkAnswer::Http(answer) => failure(format!("HTTP probe failed with statuscode: {}", answer.status)),
            NetworkAnswer::Connected { .. } => got("EOF"),
            NetworkAnswer::TimedOut { .. } | NetworkAnswer::Unreachable { .. } => got(DEADLINE),
            _ => got(&format!("dial tcp {ip}:{port}: connect: connection refused")),
        }
    }
}

/// The number of a port of a container.
fn number_of(container: &Container, port: &IntOrString) -> u16 {
    match port {
        IntOrString::Int(port) => u16::try_from(*port).unwrap_or(0),
        IntOrString::String(name) => named_port(container, name),
    }
}

/// The container of a name among those that can have probes.
fn probed_container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    let spec = pod.spec.as_ref()?;
    let mut among = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    among.find(|container| container.name == name)
}

fn success() -> Answer {
    Answer { outcome: Outcome::Success, output: String::new() }
}

fn failure(output: String) -> Answer {
    Answer { outcome: Outcome::Failure, output }
}

fn of_command(result: &ExecResult) -> Answer {
    if result.code == 0 { success() } else { failure(result.output()) }
}
