//! What a kubelet answers to those who want to look into containers: their logs, and commands in them.
//!
//! `pkg/kubelet/server/server.go` and `pkg/kubelet/kubelet_pods.go` (`GetKubeletContainerLogs`,
//! `validateContainerLogStatus`, `GetExec`). Errors are as the API server passes them on.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use crate::api::{ObjectKey, Resource};
use crate::client::Client;
use crate::machinery::shell::{Output, Signal};
use crate::machinery::status::{Reason, Status};
use crate::node::runtime::{ExecId, ExecOptions, LogLine, LogOptions};

use super::Kubelet;
use super::pod_worker::Worker;
use super::termination::container_spec;

impl Kubelet {
    fn worker_of(&self, pod: &ObjectKey) -> Option<&Worker> {
        let mut workers = self.workers.values();
        workers.find(|worker| !worker.is_gone && worker.pod.key() == *pod).map(|worker| &**worker)
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

    /// What a command wrote since this was last asked, and its exit code once it has ended.
    pub fn take_exec_output(&mut self, exec: ExecId) -> (Vec<Output>, Option<i32>) {
        self.host.runtime.cri.take_exec_output(exec)
    }

    /// Gives a command something to read.
    pub fn feed_exec(&mut self, exec: ExecId, bytes: &[u8], client: &mut Client<'_>) {
        self.host.runtime.cri.feed_exec(exec, bytes, client.now);
        self.after_exec(client);
    }

    /// Ends a command's input.
    pub fn close_exec_input(&mut self, exec: ExecId, client: &mut Client<'_>) {
        self.host.runtime.cri.close_exec_input(exec, client.now);
        self.after_exec(client);
    }

    /// Sends a command a signal, as Ctrl-C in a terminal does.
    pub fn signal_exec(&mut self, exec: ExecId, signal: Signal, client: &mut Client<'_>) {
        self.host.runtime.cri.signal_exec(exec, signal, client.now);
        self.after_exec(client);
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
