//! What a kubelet answers to those who want to look into containers: their logs, and commands in them.
//!
//! `pkg/kubelet/server/server.go` and `pkg/kubelet/kubelet_pods.go` (`GetKubeletContainerLogs`,
//! `validateContainerLogStatus`, `GetExec`). Errors are as the API server passes them on.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use crate::api::{Name, ObjectKey, Resource};
use crate::client::Client;
use crate::machinery::shell::{HttpRequest, NetworkAnswer, NetworkRequest, Output};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::runtime::{ExecId, ExecOptions, Id, LogLine, LogOptions, StreamInput};

use super::Kubelet;
use super::pod_worker::Worker;
use super::termination::container_spec;

impl Kubelet {
    fn worker_of(&self, pod: &ObjectKey) -> Option<&Worker> {
        let mut workers = self.workers.values();
        workers.find(|worker| !worker.is_gone && worker.pod.key() == *pod).map(|worker| &**worker)
    }

    /// The pods of which containers run on this machine, with their uids, whether the kubelet knows of them or not.
    #[must_use]
    pub fn running_pods(&self) -> Vec<(ObjectKey, Name)> {
        self.host.runtime.running_pods()
    }

    /// What a container of a pod wrote, or the one that ran before it.
    ///
    /// # Errors
    /// The kubelet's own words when there is no such log.
    pub fn container_logs(
        &self,
        pod: &ObjectKey,
        container: &str,
        previous: bool,
        options: LogOptions,
    ) -> Result<Vec<LogLine>, Status> {
        let worker = self.worker_of(pod).filter(|worker| container_spec(&worker.pod, container).is_some());
        let worker = worker.ok_or_else(|| not_found("log", pod))?;
        let id = logged_container(&pod.name, container, &worker.status, previous).map_err(Status::bad_request)?;
        let id = id.rsplit_once("://").map_or(id.as_str(), |(_, bare)| bare);
        Ok(self.host.runtime.cri.logs(id, options))
    }

    /// Runs a command in a container of a pod.
    ///
    /// # Errors
    /// When the container does not run, or has no such command.
    pub fn exec(
        &mut self,
        pod: &ObjectKey,
        container: &str,
        command: &[String],
        options: ExecOptions,
        client: &mut Client<'_>,
    ) -> Result<ExecId, Status> {
        let worker = self.worker_of(pod).ok_or_else(|| not_found("exec", pod))?;
        let record = self.host.runtime.pod(&worker.uid).newest(container).cloned();
        let running = record.filter(|record| self.host.runtime.is_running(&record.id));
        let Some(record) = running else {
            let message = format!("unable to upgrade connection: container not found ({container:?})");
            return Err(Status::new(Reason::Unknown, message));
        };
        let exec = self.host.runtime.cri.exec(&record.id, command, options, client.now);
        self.after_exec(client);
        exec.map_err(|error| Status::internal(&format!("error executing command in container: {error}: unknown")))
    }

    /// What a command wrote after the first `seen` pieces, how many there are now, and its exit code once it has ended.
    #[must_use]
    pub fn exec_output(&self, exec: ExecId, seen: u64) -> Option<(Vec<Output>, u64, Option<i32>)> {
        self.host.runtime.cri.exec_output(exec, seen)
    }

    /// Passes on to a command what comes from whoever talks with it.
    pub fn exec_input(&mut self, exec: ExecId, input: &StreamInput, client: &mut Client<'_>) {
        self.host.runtime.cri.exec_input(exec, input, client.now);
        self.after_exec(client);
    }

    /// The identity of a container that somebody may be attached to.
    ///
    /// # Errors
    /// When it does not run.
    pub fn attach(&self, pod: &ObjectKey, container: &str) -> Result<Name, Status> {
        let worker = self.worker_of(pod).ok_or_else(|| not_found("attach", pod))?;
        let pod_record = self.host.runtime.pod(&worker.uid);
        let record = pod_record.newest(container);
        let running = record.filter(|record| self.host.runtime.is_running(&record.id));
        running.map(|record| record.id.clone()).ok_or_else(|| {
            let pod = format!("{}_{}", pod.name, pod.namespace);
            let message = format!("unable to upgrade connection: container {container} not found in pod {pod}");
            Status::new(Reason::Unknown, message)
        })
    }

    /// What a container's own program wrote after the first `seen` pieces, how many there are now, and whether it runs.
    #[must_use]
    pub fn attached_output(&self, container: &str, seen: u64) -> Option<(Vec<Output>, u64, bool)> {
        self.host.runtime.cri.container_output(container, seen)
    }

    /// Passes on to a container's own program what comes from whoever is attached to it.
    pub fn attached_input(&mut self, container: &str, input: &StreamInput, client: &mut Client<'_>) {
        self.host.runtime.cri.container_input(container, input, client.now);
        self.after_exec(client);
    }

    /// The ready sandbox of a pod.
    fn sandbox_of(&self, pod: &ObjectKey) -> Result<Id, Status> {
        let worker = self.worker_of(pod).ok_or_else(|| not_found("portforward", pod))?;
        self.host.runtime.ready_sandbox(&worker.uid).ok_or_else(|| not_found("portforward", pod))
    }

    /// Why a connection to a port of a pod, from within its network, comes to nothing; nothing when it is open.
    ///
    /// # Errors
    /// When the pod has no sandbox.
    pub fn port_refusal(&self, pod: &ObjectKey, port: u16, now: Time) -> Result<Option<String>, Status> {
        let sandbox = self.sandbox_of(pod)?;
        if self.host.runtime.cri.listens(&sandbox, port, now) {
            return Ok(None);
        }
        // As containerd has it, which tries both families.
        Ok(Some(format!(
            "error forwarding port {port} to pod {sandbox}, uid : failed to execute portforward in network namespace \
             \"/var/run/netns/cni-{short}\": failed to connect to localhost:{port} inside namespace \"{sandbox}\", \
             IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused IPv6 dial tcp6: address localhost: no \
             suitable address",
            short = &sandbox[..sandbox.len().min(8)],
        )))
    }

    /// Brings an HTTP request to a port of a pod: its answer, or `Forward` when a proxy there passes it on.
    ///
    /// # Errors
    /// When the pod has no sandbox.
    pub fn pod_request(
        &mut self,
        pod: &ObjectKey,
        request: HttpRequest,
        client: &mut Client<'_>,
    ) -> Result<NetworkAnswer, Status> {
        let sandbox = self.sandbox_of(pod)?;
        let answer = self.host.runtime.serve(&sandbox, &NetworkRequest::Http(request), "127.0.0.1", client.now);
        self.after_exec(client);
        Ok(answer)
    }

    fn after_exec(&mut self, client: &mut Client<'_>) {
        self.host.plan_runtime(client.now);
        self.host.agenda.arm(client);
    }
}

/// How the API server words a 404 of a kubelet.
fn not_found(what: &str, pod: &ObjectKey) -> Status {
    let name = &pod.name;
    Status::new(Reason::NotFound, format!("the server could not find the requested resource ( pods/{what} {name})"))
}

/// The identity of the container whose log is meant: `validateContainerLogStatus`.
fn logged_container(pod: &str, container: &str, status: &PodStatus, previous: bool) -> Result<String, String> {
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let mut statuses = lists.into_iter().flat_map(|list| list.iter().flatten());
    let Some(status) = statuses.find(|status| status.name == container) else {
        return Err(format!("container {container:?} in pod {pod:?} is not available"));
    };
    let state = status.state.clone().unwrap_or_default();
    let ended = |status: &ContainerStatus| status.last_state.as_ref()?.terminated.clone();
    let last = ended(status);
    let last_id = last.as_ref().and_then(|last| last.container_id.clone()).filter(|id| !id.is_empty());
    let terminated = || format!("container {container:?} in pod {pod:?} is terminated");
    if previous {
        let message = || format!("previous terminated container {container:?} in pod {pod:?} not found");
        return last_id.ok_or_else(message);
    }
    if state.running.is_some() {
        return Ok(status.container_id.clone().unwrap_or_default());
    }
    if let Some(now) = state.terminated {
        let id = now.container_id.filter(|id| !id.is_empty());
        return id.or(last_id).ok_or_else(terminated);
    }
    if last.is_some() {
        return last_id.ok_or_else(terminated);
    }
    let why = match state.waiting.and_then(|waiting| waiting.reason) {
        Some(reason) if reason == "ErrImagePull" => "image can't be pulled".to_owned(),
        Some(reason) if reason == "ImagePullBackOff" => "trying and failing to pull image".to_owned(),
        Some(reason) => reason,
        None => return Err(format!("container {container:?} in pod {pod:?} is waiting to start - no logs yet")),
    };
    Err(format!("container {container:?} in pod {pod:?} is waiting to start: {why}"))
}
