//! An API server and a kubelet, and what is needed to let time go by between them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use serde_json::{Value, json};

use crate::api::{Kind, Object, ObjectKey, Resource, Subresource};
use crate::apiserver::{ApiServer, Body, DeleteOptions, Patch, Request, Target, User, Verb, WriteOptions};
use crate::client::{Client, Process, Recorder, WatchSpec};
use crate::etcd::{Cause, Revision, Why};
use crate::machinery::random::Random;
use crate::machinery::status::{Reason, Status};
use crate::machinery::time::Time;
use crate::node::runtime::{LogOptions, RuntimeProfile};

use super::super::{Kubelet, NodeConfig};

/// What is going to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    Deliver(Revision),
    Wake,
}

/// The bench.
pub(super) struct Bench {
    pub now: Time,
    pub api: ApiServer,
    pub kubelet: Kubelet,
    random: Random,
    recorder: Recorder,
    queue: BTreeMap<(Time, u64), Coming>,
    sequence: u64,
    watches: Vec<WatchSpec>,
    seen: Revision,
}

fn duration(text: &str) -> Duration {
    Duration::from_secs_f64(text.trim_end_matches('s').parse().expect("seconds"))
}

fn yaml(text: &str) -> Value {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let indent = lines.iter().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let text: String = lines.iter().map(|line| format!("{}\n", &line[indent..])).collect();
    serde_yaml::from_str(&text).expect("the case's YAML")
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(NodeConfig::default())
    }

    /// With the rules of the runtime that the recorded cases ran on.
    pub(super) fn with(config: NodeConfig) -> Self {
        Self::on(NodeConfig { runtime: RuntimeProfile::recorded(), ..config })
    }

    /// A node as it is configured.
    pub(super) fn on(config: NodeConfig) -> Self {
        let kubelet = Kubelet::new(config);
        let mut bench = Self {
            now: Time::DEFAULT_START,
            api: ApiServer::new(),
            watches: kubelet.watches(),
            kubelet,
            random: Random::new(1),
            recorder: Recorder::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            seen: 0,
        };
        for name in ["default", "ns", "kube-node-lease"] {
            bench.make(
                Kind::Namespace,
                "",
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
            );
        }
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        bench.make(Kind::ServiceAccount, "ns", account);
        bench.act(None, |kubelet, client| {
            kubelet.start(client);
            // Whole seconds are easier to read.
            kubelet.host.relists_from = client.now;
        });
        bench
    }

    fn request(&mut self, target: Target, verb: Verb) -> Result<Value, Status> {
        let cause = Cause::new("test", Why::default());
        let request = Request { user: User::admin(), cause, target, verb };
        let answer = self.api.handle(self.now, &mut self.random, request);
        self.spread();
        answer.map(|answer| answer.response.to_value())
    }

    pub(super) fn make(&mut self, kind: Kind, namespace: &str, value: Value) {
        let verb = Verb::Create { body: Body::Json(value), options: WriteOptions::default() };
        self.request(Target::collection(kind, namespace), verb).expect("it can be created");
    }

    /// Creates a pod that is bound to the node already.
    pub(super) fn create(&mut self, name: &str, spec: &str, annotations: &str) {
        let mut spec = yaml(spec);
        spec["nodeName"] = json!(self.kubelet.config().name);
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": yaml(annotations)},
            "spec": spec,
        });
        self.make(Kind::Pod, "ns", pod);
    }

    /// The log of a pod's container, or why there is none.
    pub(super) fn logs(&self, name: &str, container: &str, previous: bool) -> String {
        let key = ObjectKey::new("ns", name);
        match self.kubelet.container_logs(&key, container, previous, LogOptions::default()) {
            Ok(lines) => lines.iter().map(|line| format!("{}\n", line.text)).collect(),
            Err(status) => format!("{}\n", status.message()),
        }
    }

    pub(super) fn delete(&mut self, name: &str, grace: Option<i64>) {
        let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
        let target = Target::object(Kind::Pod, &ObjectKey::new("ns", name));
        self.request(target, Verb::Delete(options)).expect("it can be deleted");
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut Pod)) {
        let mut pod = (*self.pod(name).expect("it is there")).clone();
        change(&mut pod);
        self.replace(Object::from(pod));
    }

    pub(super) fn add_ephemeral(&mut self, name: &str, container: Value) {
        let pod = self.pod(name).expect("it is there");
        let mut value = Object::Pod(pod).to_value();
        value["spec"]["ephemeralContainers"] = json!([container]);
        let target = Target::object(Kind::Pod, &ObjectKey::new("ns", name)).below(Subresource::EphemeralContainers);
        let verb = Verb::Update { body: Body::Json(value), options: WriteOptions::default() };
        self.request(target, verb).expect("it can be added");
    }

    /// `kubectl patch pod NAME`, which says that it was patched, or why not.
    pub(super) fn patch(&mut self, name: &str, patch: Value, resize: bool) -> String {
        let mut target = Target::object(Kind::Pod, &ObjectKey::new("ns", name));
        if resize {
            target = target.below(Subresource::Resize);
        }
        let verb = Verb::Patch { patch: Patch::Strategic(patch), options: WriteOptions::default() };
        match self.request(target, verb) {
            Ok(_) => format!("pod/{name} patched\n"),
            Err(status) if status.reason() == Reason::Invalid => format!("The {}\n", status.message()),
            Err(status) => format!("Error from server ({:?}): {}\n", status.reason(), status.message()),
        }
    }

    /// What a pod's first container has and was granted, how often it was started, and what is told of its resize.
    pub(super) fn resources(&self, name: &str) -> String {
        let pod = Object::Pod(self.pod(name).expect("it is there")).to_value();
        let status = &pod["status"];
        let container = &status["containerStatuses"][0];
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let resizing = conditions.filter(|one| one["type"].as_str().is_some_and(|name| name.contains("Resize")));
        let resizing: String = resizing
            .map(|one| format!(" {} {} {}", text_of(&one["type"]), text_of(&one["reason"]), text_of(&one["message"])))
            .collect();
        format!(
            "{} {} restarts {}{resizing}\n",
            container["resources"], container["allocatedResources"], container["restartCount"]
        )
    }

    /// Does something to the machine from outside.
    pub(super) fn fault(&mut self, fault: impl FnOnce(&mut Kubelet, &mut Client<'_>)) {
        self.act(None, fault);
    }

    /// Evicts a pod through the API.
    pub(super) fn evict(&mut self, name: &str) -> Value {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
        let target = Target::object(Kind::Pod, &ObjectKey::new("ns", name)).below(Subresource::Eviction);
        let verb = Verb::Create { body: Body::Json(eviction), options: WriteOptions::default() };
        self.request(target, verb).expect("it can be evicted")
    }

    pub(super) fn replace(&mut self, object: Object) {
        let target = Target::object(object.kind(), &object.key());
        let verb = Verb::Update { body: Body::Object(object), options: WriteOptions::default() };
        self.request(target, verb).expect("it can be changed");
    }

    fn act(&mut self, trigger: Option<Revision>, action: impl FnOnce(&mut Kubelet, &mut Client<'_>)) {
        let identity = self.kubelet.identity();
        let mut wakes = Vec::new();
        let mut client = Client::new(
            self.now,
            &mut self.random,
            &mut self.api,
            &identity,
            &mut self.recorder,
            &mut wakes,
            true,
            trigger,
        );
        action(&mut self.kubelet, &mut client);
        for wake in wakes {
            self.sequence += 1;
            self.queue.insert((wake.time, self.sequence), Coming::Wake);
        }
        self.spread();
    }

    fn spread(&mut self) {
        let revisions: Vec<Revision> = self.api.etcd().commits(self.seen).map(|commit| commit.revision).collect();
        for revision in revisions {
            self.seen = revision;
            self.sequence += 1;
            self.queue.insert((self.now + Duration::from_millis(2), self.sequence), Coming::Deliver(revision));
        }
    }

    /// Lets time go by.
    pub(super) fn run(&mut self, time: &str) {
        let until = self.now + duration(time);
        while let Some((&(at, sequence), &coming)) = self.queue.first_key_value() {
            if at > until {
                break;
            }
            self.queue.remove(&(at, sequence));
            self.now = at;
            match coming {
                Coming::Wake => self.act(None, |kubelet, client| kubelet.wake(0, client)),
                Coming::Deliver(revision) => {
                    let commit = self.api.etcd().commit_at(revision).expect("it was made");
                    let event = self.watches.iter().find_map(|watch| watch.view(commit));
                    if let Some(event) = event {
                        self.act(Some(revision), |kubelet, client| kubelet.deliver(&event, client));
                    }
                }
            }
        }
        self.now = until;
    }

    pub(super) fn pod(&self, name: &str) -> Option<std::sync::Arc<Pod>> {
        self.api.etcd().get(Kind::Pod, &ObjectKey::new("ns", name))?.downcast::<Pod>().cloned()
    }

    /// What `status.py` of the recorded cases prints.
    pub(super) fn status(&self, name: &str) -> String {
        self.pod(name).map_or_else(|| "not found\n".to_owned(), |pod| status_lines(&pod))
    }

    /// The events of pods, as the recorded cases print them, each once.
    pub(super) fn events(&self) -> String {
        let mut lines: Vec<String> = self
            .all::<Event>()
            .filter(|event| event.involved_object.kind.as_deref() == Some("Pod"))
            .map(|event| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                let path = text(&event.involved_object.field_path);
                let message = text(&event.message).replace(&text(&event.involved_object.uid), "UID");
                format!("{}  {}  {path}  {message}\n", text(&event.type_), text(&event.reason))
            })
            .collect();
        lines.sort();
        lines.dedup();
        lines.concat()
    }

    pub(super) fn all<K: Resource>(&self) -> impl Iterator<Item = &std::sync::Arc<K>> {
        self.api.etcd().range(K::OBJECT_KIND, None).filter_map(|(_, object)| object.downcast::<K>())
    }

    /// The states that a pod went through, with the seconds since the bench began.
    pub(super) fn history(&self, name: &str) -> String {
        let mut lines = String::new();
        for commit in self.api.etcd().commits(0) {
            if commit.kind() != Kind::Pod || &*commit.key.name != name {
                continue;
            }
            let seconds = commit.time.since(Time::DEFAULT_START).as_secs_f64();
            let Some(pod) = commit.after.as_ref().and_then(|object| object.downcast::<Pod>()) else {
                writeln!(lines, "{seconds:.1} gone").expect("a text grows");
                continue;
            };
            writeln!(lines, "{seconds:.1} {}", summary(pod)).expect("a text grows");
        }
        lines
    }

    /// The node's conditions, capacity and events, and its lease.
    pub(super) fn node(&self) -> String {
        let mut lines = String::new();
        for node in self.all::<Node>() {
            let status = node.status.clone().unwrap_or_default();
            let mut conditions: Vec<String> = status
                .conditions
                .iter()
                .flatten()
                .map(|one| {
                    let text = |text: &Option<String>| text.clone().unwrap_or_default();
                    format!("{} {} {}: {}\n", one.type_, one.status, text(&one.reason), text(&one.message))
                })
                .collect();
            conditions.sort_by_key(|line| !line.starts_with("Ready"));
            lines.push_str(&conditions.concat());
            let amounts: Vec<String> =
                status.capacity.iter().flatten().map(|(name, amount)| format!("{name}={}", amount.0)).collect();
            writeln!(lines, "capacity {}", amounts.join(" ")).expect("a text grows");
        }
        let events = self.all::<Event>().filter(|event| event.involved_object.kind.as_deref() == Some("Node"));
        let mut events: Vec<_> = events.collect();
        events.sort_by_key(|event| event.metadata.name.clone());
        for event in events {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            writeln!(lines, "{} {}: {}", text(&event.type_), text(&event.reason), text(&event.message))
                .expect("a text grows");
        }
        for lease in self.all::<Lease>() {
            let spec = lease.spec.clone().unwrap_or_default();
            let (holder, seconds) = (spec.holder_identity.unwrap_or_default(), spec.lease_duration_seconds);
            writeln!(lines, "lease held by {holder} for {} s", seconds.unwrap_or(0)).expect("a text grows");
        }
        lines
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn summary(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    let lists = [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses];
    let containers: Vec<String> = lists
        .into_iter()
        .flat_map(|list| list.iter().flatten())
        .map(|one| {
            let state = one.state.clone().unwrap_or_default();
            let state = match (&state.waiting, &state.running, &state.terminated) {
                (Some(waiting), _, _) => format!("waiting:{}", waiting.reason.clone().unwrap_or_default()),
                (_, Some(_), _) => "running".to_owned(),
                (_, _, Some(ended)) => format!("terminated:{}", ended.reason.clone().unwrap_or_default()),
                _ => "?".to_owned(),
            };
            format!("{}:{state}:{}", one.name, one.restart_count)
        })
        .collect();
    let deleting = if pod.metadata.deletion_timestamp.is_some() { " deleting" } else { "" };
    format!("{}{deleting} ready={ready} {}", status.phase.unwrap_or_default(), containers.join(" "))
}

/// Drops what `status.py` drops: times, identifiers and addresses.
fn drop_volatile(value: &Value) -> Value {
    let names = ["containerID", "imageID", "podIP", "podIPs", "hostIP", "hostIPs", "uid"];
    match value {
        Value::Object(map) => {
            let mut kept: Vec<_> = map
                .iter()
                .filter(|(key, _)| !key.ends_with("Time") && !key.ends_with("At") && !names.contains(&key.as_str()))
                .collect();
            kept.sort_by_key(|(key, _)| key.as_str().to_owned());
            Value::Object(kept.into_iter().map(|(key, value)| (key.clone(), drop_volatile(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(drop_volatile).collect()),
        other => other.clone(),
    }
}

/// JSON with blanks after commas and colons, as Python prints it.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", Value::from(key.clone()), python(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(python).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn status_lines(pod: &Pod) -> String {
    let object = serde_json::to_value(pod).expect("a pod is JSON");
    let status = drop_volatile(&object["status"]);
    let text = |value: &Value| match value {
        Value::Null => "None".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = format!(
        "phase {} | reason {} | message {} | qos {} | observed {} generation {}\n",
        text(&status["phase"]),
        text(&status["reason"]),
        text(&status["message"]),
        text(&status["qosClass"]),
        text(&status["observedGeneration"]),
        text(&object["metadata"]["generation"]),
    );
    for condition in status["conditions"].as_array().into_iter().flatten() {
        lines.push_str(&format!("condition {}\n", python(condition)));
    }
    let shown = ["lastState", "name", "ready", "restartCount", "started", "state"];
    for list in ["initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"] {
        for container in status[list].as_array().into_iter().flatten() {
            let kept = shown.iter().filter_map(|&key| Some((key.to_owned(), container.get(key)?.clone())));
            lines.push_str(&format!("{list} {}\n", python(&Value::Object(kept.collect()))));
        }
    }
    lines
}
