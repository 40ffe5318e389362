//! Looking into pods: the subresources `log`, `exec`, `attach` and `portforward`, for which the API server asks the
//! kubelet of the pod's node.
//!
//! `pkg/registry/core/pod/strategy.go` (`LogLocation`, `streamLocation`, `validateContainer`).

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::api::{Kind, Name, Object, ObjectKey};
use crate::machinery::shell::{HttpRequest, NetworkAnswer, Output};
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::kubelet::Kubelet;
use crate::node::runtime::{ExecId, ExecOptions, LogLine, LogOptions, StreamInput};

use super::cluster::Cluster;
use super::processes::{ProcessId, Program};

/// Which part of a pod's log is wanted: `PodLogOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodLogOptions {
    /// The container; may be empty when the pod has only one.
    pub container: String,
    /// The container that ran before this one.
    pub previous: bool,
    /// Lines at or after this time.
    pub since: Option<Time>,
    /// The last so many lines.
    pub tail_lines: Option<usize>,
    /// No more lines than fit into so many bytes, counted from the first.
    pub limit_bytes: Option<usize>,
}

/// A command that runs in a container, to be asked for what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecStream {
    /// The node that it runs on.
    pub node: Name,
    /// Its number there.
    pub exec: ExecId,
}

/// A container that somebody is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachStream {
    /// The node that it runs on.
    pub node: Name,
    /// Its identity there.
    pub container: Name,
}

/// What a process in a container wrote, and how it ended if it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOutput {
    /// What it wrote after what was seen, in order.
    pub output: Vec<Output>,
    /// How many pieces have been seen now.
    pub seen: u64,
    /// Whether it has ended.
    pub ended: bool,
    /// The exit code of a command that has ended.
    pub exit_code: Option<i32>,
}

/// What comes of a request that was brought to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodAnswer {
    /// The pod's answer.
    Answered(NetworkAnswer),
    /// A proxy in the pod passed it on: [`Cluster::outside_answer`] knows under this number what comes of it.
    UnderWay(u64),
}

/// What is asked of a kubelet, for the address in messages.
enum Door {
    Logs,
    Connect,
}

impl Cluster {
    fn pod(&self, key: &ObjectKey) -> Result<&Pod, Status> {
        let object = self.api.etcd().get(Kind::Pod, key).and_then(Object::downcast::<Pod>);
        object.map(|pod| &**pod).ok_or_else(|| Status::not_found("", "pods", &key.name))
    }

    /// The kubelet of a node, if its machine is on and can be reached.
    fn kubelet(&self, node: &str) -> Option<&Kubelet> {
        let slot = self.processes.get(&ProcessId::Kubelet(Name::from(node)))?;
        match &slot.program {
            Program::Kubelet(kubelet) if slot.state.running && slot.state.connected => Some(kubelet),
            _ => None,
        }
    }

    /// What the API server says when it cannot reach a node.
    fn no_route(&self, pod: &Pod, key: &ObjectKey, container: &str, door: &Door) -> Status {
        let ip = pod.status.as_ref().and_then(|status| status.host_ip.as_deref()).unwrap_or("");
        let failure = format!("dial tcp {ip}:10250: connect: no route to host");
        let message = match door {
            Door::Logs => {
                let (namespace, name) = (&key.namespace, &key.name);
                format!("Get \"https://{ip}:10250/containerLogs/{namespace}/{name}/{container}\": {failure}")
            }
            Door::Connect => format!("error dialing backend: {failure}"),
        };
        Status::new(Reason::Unknown, message)
    }

    /// What a container of a pod wrote.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal: no such pod or container, nothing written yet, no node to ask.
    pub fn pod_logs(&self, namespace: &str, name: &str, options: &PodLogOptions) -> Result<Vec<LogLine>, Status> {
        let key = ObjectKey::new(namespace, name);
        let pod = self.pod(&key)?;
        let spec = pod.spec.clone().unwrap_or_default();
        let container = container_of(&spec, name, &options.container)?;
        let Some(node) = spec.node_name.as_deref().filter(|node| !node.is_empty()) else {
            // A pod that is on no node has written nothing.
            return Ok(Vec::new());
        };
        let Some(kubelet) = self.kubelet(node) else {
            return Err(self.no_route(pod, &key, &container, &Door::Logs));
        };
        let part = LogOptions { tail: options.tail_lines, since: options.since };
        let mut lines = kubelet.container_logs(&key, &container, options.previous, part)?;
        if let Some(limit) = options.limit_bytes {
            let mut bytes = 0;
            lines.retain(|line| {
                bytes += line.text.len() + 1;
                bytes <= limit
            });
        }
        Ok(lines)
    }

    /// The node of a pod whose kubelet is to be asked, if it can be reached, and the container that is meant.
    fn way_to(&self, key: &ObjectKey, container: &str) -> Result<(Name, String), Status> {
        let pod = self.pod(key)?;
        let spec = pod.spec.clone().unwrap_or_default();
        let container = container_of(&spec, &key.name, container)?;
        Ok((self.node_of(pod, key)?, container))
    }

    /// The node of a pod, if its kubelet can be reached.
    fn node_of(&self, pod: &Pod, key: &ObjectKey) -> Result<Name, Status> {
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
        if node.is_empty() {
            return Err(Status::bad_request(format!("pod {} does not have a host assigned", key.name)));
        }
        match self.kubelet(node) {
            Some(_) => Ok(Name::from(node)),
            None => Err(self.no_route(pod, key, "", &Door::Connect)),
        }
    }

    /// Whether the API server itself would carry a stream on to a container: what it refuses before any kubelet is asked.
    ///
    /// # Errors
    /// The refusal: no such pod or container, or a pod that is on no node.
    pub fn check_stream(&self, key: &ObjectKey, container: Option<&str>) -> Result<(), Status> {
        let pod = self.pod(key)?;
        let spec = pod.spec.clone().unwrap_or_default();
        if let Some(container) = container {
            container_of(&spec, &key.name, container)?;
        }
        if spec.node_name.is_none_or(|node| node.is_empty()) {
            return Err(Status::bad_request(format!("pod {} does not have a host assigned", key.name)));
        }
        Ok(())
    }

    /// Runs a command in a container of a pod. It goes on as simulated time passes.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    pub fn exec(
        &mut self,
        key: &ObjectKey,
        container: &str,
        command: &[String],
        options: ExecOptions,
    ) -> Result<ExecStream, Status> {
        let (node, container) = self.way_to(key, container)?;
        if command.is_empty() {
            return Err(Status::bad_request("you must specify at least 1 command for the container"));
        }
        let id = ProcessId::Kubelet(node.clone());
        let begun = self.on_kubelet(&id, |kubelet, client| kubelet.exec(key, &container, command, options, client));
        let exec = begun.unwrap_or_else(|| Err(Status::internal("the machine is off")))?;
        Ok(ExecStream { node, exec })
    }

    /// What a command wrote after the first `seen` pieces. One that is not known any more has ended.
    #[must_use]
    pub fn exec_output(&self, stream: &ExecStream, seen: u64) -> StreamOutput {
        let found = self.kubelet(&stream.node).and_then(|kubelet| kubelet.exec_output(stream.exec, seen));
        match found {
            Some((output, seen, exit_code)) => StreamOutput { output, seen, ended: exit_code.is_some(), exit_code },
            None => StreamOutput { ended: true, ..StreamOutput::default() },
        }
    }

    /// Passes on to a command what comes from whoever talks with it.
    pub fn exec_input(&mut self, stream: &ExecStream, input: &StreamInput) {
        let id = ProcessId::Kubelet(stream.node.clone());
        self.on_kubelet(&id, |kubelet, client| kubelet.exec_input(stream.exec, input, client));
    }

    /// Attaches to a container of a pod.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    pub fn attach(&self, key: &ObjectKey, container: &str) -> Result<AttachStream, Status> {
        let (node, container) = self.way_to(key, container)?;
        let kubelet = self.kubelet(&node).ok_or_else(|| Status::internal("the machine is off"))?;
        let container = kubelet.attach(key, &container)?;
        Ok(AttachStream { node, container })
    }

    /// What a container wrote after the first `seen` pieces.
    #[must_use]
    pub fn attached_output(&self, stream: &AttachStream, seen: u64) -> StreamOutput {
        let found = self.kubelet(&stream.node).and_then(|kubelet| kubelet.attached_output(&stream.container, seen));
        match found {
            Some((output, seen, runs)) => StreamOutput { output, seen, ended: !runs, exit_code: None },
            None => StreamOutput { ended: true, ..StreamOutput::default() },
        }
    }

    /// Passes on to a container what comes from whoever is attached to it.
    pub fn attached_input(&mut self, stream: &AttachStream, input: &StreamInput) {
        let id = ProcessId::Kubelet(stream.node.clone());
        self.on_kubelet(&id, |kubelet, client| kubelet.attached_input(&stream.container, input, client));
    }

    /// Why a connection to a port of a pod comes to nothing, in the runtime's words; nothing when the port is open.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    pub fn port_refusal(&self, key: &ObjectKey, port: u16) -> Result<Option<String>, Status> {
        let node = self.node_of(self.pod(key)?, key)?;
        let kubelet = self.kubelet(&node).ok_or_else(|| Status::internal("the machine is off"))?;
        kubelet.port_refusal(key, port, self.now())
    }

    /// Brings an HTTP request to a port of a pod, as port forwarding does: to its server it comes from the pod itself. A
    /// proxy there may pass it on.
    ///
    /// # Errors
    /// The API server's or the kubelet's refusal.
    pub fn pod_request(&mut self, key: &ObjectKey, request: HttpRequest) -> Result<PodAnswer, Status> {
        let id = ProcessId::Kubelet(self.node_of(self.pod(key)?, key)?);
        let answer = self.on_kubelet(&id, |kubelet, client| kubelet.pod_request(key, request, client));
        let answer = answer.unwrap_or_else(|| Err(Status::internal("the machine is off")))?;
        let (NetworkAnswer::Forward(onward), ProcessId::Kubelet(node)) = (&answer, &id) else {
            return Ok(PodAnswer::Answered(answer));
        };
        let pod = self.kubelet(node).and_then(|kubelet| kubelet.pod_of_key(key));
        let pod = pod.ok_or_else(|| Status::internal("the pod is gone"))?;
        Ok(PodAnswer::UnderWay(self.pass_on(node, pod, onward)))
    }
}

/// The container that is meant: the pod's only one when none is named.
fn container_of(spec: &PodSpec, pod: &str, wanted: &str) -> Result<String, Status> {
    let names = |list: &[k8s_openapi::api::core::v1::Container]| -> Vec<String> {
        list.iter().map(|container| container.name.clone()).collect()
    };
    let (containers, init) = (names(&spec.containers), names(spec.init_containers.as_deref().unwrap_or_default()));
    if !wanted.is_empty() {
        let mut ephemeral = spec.ephemeral_containers.iter().flatten();
        let known = containers.iter().chain(&init).any(|name| name == wanted)
            || ephemeral.any(|container| container.name == wanted);
        return if known {
            Ok(wanted.to_owned())
        } else {
            Err(Status::bad_request(format!("container {wanted} is not valid for pod {pod}")))
        };
    }
    if let [only] = containers.as_slice() {
        return Ok(only.clone());
    }
    let mut message =
        format!("a container name must be specified for pod {pod}, choose one of: [{}]", containers.join(" "));
    if !init.is_empty() {
        message.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
    }
    Err(Status::bad_request(message))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::time::Duration;

    use expect_test::expect;
    use serde_json::{Value, json};

    use super::*;
    use crate::apiserver::{Body, Request, Target, User, Verb, WriteOptions};
    use crate::etcd::{Cause, Why};
    use crate::sim::Profile;

    fn cluster(pods: &[Value]) -> Cluster {
        let mut cluster = Cluster::new(Profile { nodes: 1, ..Profile::default() }, 1);
        cluster.run_for(Duration::from_secs(15));
        for pod in pods {
            let verb = Verb::Create { body: Body::Json(pod.clone()), options: WriteOptions::default() };
            let target = Target::collection(Kind::Pod, "default");
            let cause = Cause::new("test", Why::default());
            cluster.request(Request { user: User::admin(), cause, target, verb }).expect("it can be created");
        }
        cluster
    }

    fn pod(name: &str, containers: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": containers}})
    }

    fn logs(cluster: &Cluster, pod: &str, options: &PodLogOptions) -> String {
        match cluster.pod_logs("default", pod, options) {
            Ok(lines) => lines.iter().fold(String::new(), |mut text, line| {
                writeln!(text, "{}", line.text).expect("a text grows");
                text
            }),
            Err(status) => format!("{:?}: {}\n", status.reason(), status.message()),
        }
    }

    #[test]
    fn logs_and_why_there_are_none() {
        let script = "echo attempt $(date +%T); sleep 2; echo dies >&2; exit 1";
        let mut cluster = cluster(&[
            pod("loop", &json!([{"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", script]}])),
            pod("two", &json!([{"name": "a", "image": "nginx:1.27"}, {"name": "b", "image": "nginx:doesnotexist"}])),
            pod("big", &json!([{"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100"}}}])),
        ]);
        let all = PodLogOptions::default();
        let of = |container: &str| PodLogOptions { container: container.to_owned(), ..PodLogOptions::default() };
        let mut text = String::new();
        cluster.run_for(Duration::from_millis(500));
        text += &logs(&cluster, "loop", &all);
        text += &logs(&cluster, "two", &all);
        text += &logs(&cluster, "two", &of("nobody"));
        text += &logs(&cluster, "none", &all);
        text += &logs(&cluster, "big", &all);
        cluster.run_for(Duration::from_secs(3));
        text += &logs(&cluster, "two", &of("b"));
        text += &logs(&cluster, "loop", &all);
        text += &logs(&cluster, "loop", &PodLogOptions { previous: true, ..PodLogOptions::default() });
        cluster.run_for(Duration::from_secs(6));
        text += &logs(&cluster, "two", &of("b"));
        text += &logs(&cluster, "two", &PodLogOptions { tail_lines: Some(1), ..of("a") });
        text += &logs(&cluster, "two", &PodLogOptions { limit_bytes: Some(100), ..of("a") });
        text += &logs(&cluster, "loop", &PodLogOptions { previous: true, ..PodLogOptions::default() });
        cluster.stop_node("node-1").expect("there is one");
        text += &logs(&cluster, "two", &of("a"));
        expect![[r#"
            BadRequest: container "c" in pod "loop" is waiting to start: ContainerCreating
            BadRequest: a container name must be specified for pod two, choose one of: [a b]
            BadRequest: container nobody is not valid for pod two
            NotFound: pods "none" not found
            BadRequest: container "b" in pod "two" is waiting to start: ContainerCreating
            attempt 00:00:16
            dies
            BadRequest: previous terminated container "c" in pod "loop" not found
            BadRequest: container "b" in pod "two" is waiting to start: image can't be pulled
            2026/01/01 00:00:19 [notice] 1#1: start worker process 29
            /docker-entrypoint.sh: /docker-entrypoint.d/ is not empty, will attempt to perform configuration
            attempt 00:00:16
            dies
            Unknown: Get "https://10.0.0.11:10250/containerLogs/default/two/a": dial tcp 10.0.0.11:10250: connect: no route to host
        "#]].assert_eq(&text);
    }

    fn run(cluster: &mut Cluster, pod: &str, command: &[&str], seconds: u64) -> String {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        let key = ObjectKey::new("default", pod);
        let stream = match cluster.exec(&key, "", &command, ExecOptions::default()) {
            Ok(stream) => stream,
            Err(status) => return format!("{:?}: {}\n", status.reason(), status.message()),
        };
        let (mut text, mut seen) = (String::new(), 0);
        for _ in 0..=seconds {
            let answer = cluster.exec_output(&stream, seen);
            seen = answer.seen;
            for output in answer.output {
                text += &String::from_utf8_lossy(&output.bytes);
            }
            if let Some(code) = answer.exit_code {
                return if code == 0 { text } else { format!("{text}exit {code}\n") };
            }
            text += "…\n";
            cluster.run_for(Duration::from_secs(1));
        }
        text
    }

    #[test]
    fn commands_in_containers() {
        let mut cluster = cluster(&[
            pod("web", &json!([{"name": "c", "image": "nginx:1.27"}])),
            pod("client", &json!([{"name": "c", "image": "busybox:1.36", "command": ["sleep", "3600"]}])),
        ]);
        let mut text = run(&mut cluster, "web", &["true"], 1);
        cluster.run_for(Duration::from_secs(10));
        text += &run(&mut cluster, "web", &["sh", "-c", "echo one; sleep 2; echo two; exit 3"], 5);
        text += &run(&mut cluster, "web", &["nonsense"], 1).replace(|c: char| c.is_ascii_digit(), "");
        text += &run(&mut cluster, "client", &["cat", "/etc/hosts", "/etc/resolv.conf"], 1);
        let server = cluster.pod(&ObjectKey::new("default", "web")).expect("it is there");
        let address = server.status.as_ref().and_then(|status| status.pod_ip.clone()).unwrap_or_default();
        text += &run(&mut cluster, "client", &["wget", "-qO-", "-S", &format!("http://{address}/none")], 3);
        text += &run(&mut cluster, "client", &["wget", "-qO-", &format!("http://{address}:81")], 3);
        text += &run(&mut cluster, "client", &["wget", "-qO-", "http://web"], 3);
        text += &run(&mut cluster, "client", &["nslookup", "kubernetes.default"], 3);
        text += &run(&mut cluster, "client", &["wget", "-T", "9", "-qO-", "http://10.244.99.9"], 9);
        expect![[r#"
            BadRequest: pod web does not have a host assigned
            one
            …
            …
            two
            exit 3
            InternalError: Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "": OCI runtime exec failed: exec failed: unable to start container process: exec: "nonsense": executable file not found in $PATH: unknown
            # Kubernetes-managed hosts file.
            127.0.0.1	localhost
            ::1	localhost ip6-localhost ip6-loopback
            fe00::0	ip6-localnet
            fe00::0	ip6-mcastprefix
            fe00::1	ip6-allnodes
            fe00::2	ip6-allrouters
            10.244.1.3	client
            search default.svc.cluster.local svc.cluster.local cluster.local
            nameserver 10.96.0.10
            options ndots:5
            …
              HTTP/1.1 404 Not Found
              Server: nginx/1.27
              Content-Length: 151
            wget: server returned error: HTTP/1.1 404 Not Found
            exit 1
            …
            wget: can't connect to remote host (10.244.1.2): Connection refused
            exit 1
            …
            wget: bad address 'web'
            exit 1
            …
            Server:		10.96.0.10
            Address:	10.96.0.10:53

            ** server can't find kubernetes.default: NXDOMAIN

            ** server can't find kubernetes.default: NXDOMAIN

            exit 1
            …
            …
            …
            …
            …
            …
            …
            …
            …
            wget: download timed out
            exit 1
        "#]].assert_eq(&text);
        let before = cluster.hash();
        let mut copy = cluster.clone();
        run(&mut copy, "client", &["sleep", "1"], 2);
        assert_eq!(cluster.hash(), before, "what runs in a copy is nothing to the original");
    }

    #[test]
    fn what_goes_on_for_ever_is_rest() {
        let script = |text: &str| json!([{"name": "c", "image": "busybox:1.36", "command": ["sh", "-c", text]}]);
        let mut cluster = cluster(&[
            pod("web", &json!([{"name": "c", "image": "nginx:1.27"}])),
            pod("sleeps", &script("sleep 86400")),
            pod("counts", &script("i=0; while true; do echo $i; i=$((i + 1)); sleep 5; done")),
        ]);
        let began = cluster.now();
        assert!(cluster.run_until_idle(began + Duration::from_secs(600)));
        assert!(cluster.now().since(began) < Duration::from_secs(300), "nobody waits for the end of a long sleep");
        cluster.run_for(Duration::from_secs(3600));
        assert!(cluster.is_idle());
        assert!(logs(&cluster, "counts", &PodLogOptions::default()).lines().count() > 700, "it counts on");
    }
}
