//! Everything about one thing that is selected: a summary, conditions, events, YAML, and what led to it.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Node, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Kind, Object, Resource as _, Subresource, table};
use crate::etcd::Etcd;
use crate::machinery::labels::{format_label_selector, format_labels};
use crate::machinery::time::Time;

use super::events::{self, EventRow};
use super::logs::ContainerLog;
use super::node::{bytes, cores};
use super::requests::{self, Target};
use super::why::{self, Link};
use super::{Actor, Subject, node, yaml};

/// How many events are listed.
const EVENTS_MAX: usize = 30;
/// How many owned objects are listed.
const OWNED_MAX: usize = 30;
/// How many of a program's latest writes are listed.
const WRITES_MAX: usize = 20;

/// What the inspector shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Details {
    /// An object that is there.
    Object(Arc<ObjectDetails>),
    /// An object that is not there any more, with what led to its end.
    Gone(Subject, Vec<Link>),
    /// A part of the control plane.
    Part(PartDetails),
}

/// A line of the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, in the words that `kubectl describe` uses.
    pub label: String,
    /// Its value.
    pub value: String,
    /// The object that the value names.
    pub link: Option<Subject>,
}

/// A condition of an object's status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// Its type, such as `Ready`.
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// Since when it is so.
    pub since: Option<String>,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerRow {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether it is an init container.
    pub init: bool,
    /// What it does: `Running`, `Waiting: ImagePullBackOff`, `Terminated: Completed (0)`.
    pub state: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was started again.
    pub restarts: i32,
}

/// What a scheduler's plugin thought of the nodes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// When it was made.
    pub at: Time,
    /// The node that was chosen, if one could be.
    pub chosen: Option<String>,
    /// The scheduler's own message when none could be.
    pub message: String,
    /// The plugins that gave points, in the order of the columns.
    pub plugins: Vec<String>,
    /// The nodes.
    pub nodes: Vec<NodeVerdict>,
    /// What the plugins that ruled nodes out or gave points look at.
    pub legend: Vec<LegendEntry>,
}

/// What a plugin of the scheduler looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LegendEntry {
    /// The plugin.
    pub plugin: String,
    /// Whether this is why it rules nodes out, and not what it gives points for.
    pub rules_out: bool,
    /// The sentence, in the engine's English.
    pub sentence: String,
}

/// What the scheduler thought of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeVerdict {
    /// The node.
    pub node: String,
    /// The plugin that ruled it out.
    pub filtered_by: Option<String>,
    /// Why it did.
    pub reasons: Vec<String>,
    /// The weighted points of each plugin, in the order of [`Decision::plugins`]; empty when it was ruled out.
    pub scores: Vec<i64>,
    /// Their sum.
    pub total: i64,
}

/// Everything about an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectDetails {
    /// Which object.
    pub subject: Subject,
    /// `apiVersion`, for acting on it.
    pub api_version: String,
    /// Its uid.
    pub uid: String,
    /// When it was created.
    pub created: Time,
    /// Whether it was asked to go.
    pub deleting: bool,
    /// The summary.
    pub facts: Vec<Fact>,
    /// A pod's containers.
    pub containers: Vec<ContainerRow>,
    /// What a pod's containers wrote lately.
    pub logs: Vec<ContainerLog>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Its events, newest first.
    pub events: Vec<EventRow>,
    /// Its owner and what it owns.
    pub owned: Vec<Subject>,
    /// As `kubectl get -o yaml` prints it.
    pub yaml: String,
    /// As a person edits it.
    pub editable: String,
    /// How many replicas are wanted, for kinds that can be scaled.
    pub replicas: Option<i32>,
    /// The chain of causes that made it.
    pub made: Vec<Link>,
    /// What happened to it since.
    pub changes: Vec<Link>,
    /// A pod's way to its node.
    pub decision: Option<Decision>,
    /// Where it can be sent requests.
    pub target: Option<Target>,
}

/// Everything about a part of the control plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartDetails {
    /// Which part.
    pub actor: Actor,
    /// A few numbers.
    pub facts: Vec<Fact>,
    /// Its latest writes, newest first.
    pub writes: Vec<Link>,
}

/// Looks at an object.
#[must_use]
pub fn object(etcd: &Etcd, subject: &Subject, now: Time) -> Details {
    let custom = || etcd.custom_kinds().find(|kind| kind.info().kind == subject.kind);
    let Some(kind) = subject.known_kind().or_else(custom) else { return Details::Gone(subject.clone(), Vec::new()) };
    let key = subject.key();
    let Some(object) = etcd.get(kind, &key) else {
        let last = etcd.history(kind, &key).next();
        let chain = last.map_or_else(Vec::new, |commit| why::chain(etcd, commit.revision));
        return Details::Gone(subject.clone(), chain);
    };
    let mut value = object.to_value();
    let changes = why::changes(etcd, kind, subject);
    let metadata = object.metadata();
    let mut facts = own_facts(etcd, object, now);
    facts.extend(common_facts(subject, metadata));
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    Details::Object(Arc::new(ObjectDetails {
        subject: subject.clone(),
        api_version: kind.api_version(),
        uid: object.uid().to_owned(),
        created: metadata.creation_timestamp.as_ref().map_or_else(Time::default, Time::from),
        deleting: object.is_deleting(),
        facts,
        containers: object.downcast::<Pod>().map_or_else(Vec::new, |pod| containers(pod)),
        logs: Vec::new(),
        conditions: conditions(&value),
        events: events::about(etcd, subject, object.uid(), EVENTS_MAX),
        owned: owned(etcd, object),
        yaml: yaml::print(&value),
        editable: yaml::print(&yaml::for_editing(&value)),
        replicas: replicas(kind, &value),
        made: changes.first().map_or_else(Vec::new, |first| why::chain(etcd, first.revision)),
        changes,
        decision: None,
        target: requests::target(etcd, subject),
    }))
}

/// Looks at a part of the control plane.
#[must_use]
pub fn part(etcd: &Etcd, actor: &Actor) -> Details {
    let newest_first = (0..=etcd.revision()).rev().map_while(|revision| etcd.commit_at(revision));
    let of_actor = newest_first.filter(|commit| {
        matches!(actor, Actor::Etcd | Actor::ApiServer) || Actor::from_name(&commit.cause.actor) == *actor
    });
    let is_heartbeat = |commit: &&crate::etcd::Commit| super::is_sign_of_life(commit) && commit.before.is_some();
    let writes = of_actor.filter(|commit| !is_heartbeat(commit)).take(WRITES_MAX).map(why::link).collect();
    let mut facts = Vec::new();
    if matches!(actor, Actor::Etcd | Actor::ApiServer) {
        facts.push(fact("Revision", etcd.revision().to_string()));
        let kinds = Kind::ALL.iter().copied().chain(etcd.custom_kinds());
        for kind in kinds.filter(|kind| etcd.count(*kind) > 0) {
            facts.push(fact(kind.info().kind, etcd.count(kind).to_string()));
        }
    }
    Details::Part(PartDetails { actor: actor.clone(), facts, writes })
}

fn fact(label: &str, value: impl Into<String>) -> Fact {
    Fact { label: label.to_owned(), value: value.into(), link: None }
}

fn linked(label: &str, link: Subject) -> Fact {
    Fact { label: label.to_owned(), value: link.name.clone(), link: Some(link) }
}

fn common_facts(subject: &Subject, metadata: &ObjectMeta) -> Vec<Fact> {
    let mut facts = Vec::new();
    for owner in metadata.owner_references.iter().flatten() {
        let link = Subject::new(&*owner.kind, &*subject.namespace, &*owner.name);
        facts.push(Fact {
            label: "Controlled By".into(),
            value: format!("{}/{}", owner.kind, owner.name),
            link: Some(link),
        });
    }
    if !subject.namespace.is_empty() {
        facts.push(linked("Namespace", Subject::new("Namespace", "", &*subject.namespace)));
    }
    if metadata.labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
        facts.push(fact("Labels", format_labels(metadata.labels.as_ref()).replace(',', "\n")));
    }
    if let Some(finalizers) = metadata.finalizers.as_ref().filter(|finalizers| !finalizers.is_empty()) {
        facts.push(fact("Finalizers", finalizers.join("\n")));
    }
    facts
}

/// What there is to say about a kind in particular.
fn own_facts(etcd: &Etcd, object: &Object, now: Time) -> Vec<Fact> {
    match object {
        Object::Pod(pod) => pod_facts(pod),
        Object::Node(node) => node_facts(etcd, node),
        Object::Deployment(deployment) => deployment_facts(deployment),
        Object::ReplicaSet(set) => replica_set_facts(set),
        Object::Service(service) => service_facts(service),
        _ => printed_facts(object, now),
    }
}

/// What `kubectl get -o wide` prints of a kind of which nothing else is said here.
#[inline(never)]
fn printed_facts(object: &Object, now: Time) -> Vec<Fact> {
    let cells = table::columns(object.kind()).iter().zip(table::row(object, now));
    let told = cells.filter(|(column, _)| !matches!(column.name, "Name" | "Age" | "Created At"));
    told.filter_map(|(column, cell)| {
        let text = cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        (!text.is_empty() && text != "<none>").then(|| fact(column.name, text))
    })
    .collect()
}

fn pod_facts(pod: &Pod) -> Vec<Fact> {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let mut facts = vec![fact("Status", super::pod::status_text(pod))];
    match spec.node_name.filter(|name| !name.is_empty()) {
        Some(node) => facts.push(linked("Node", Subject::new("Node", "", node))),
        None => facts.push(fact("Node", "<none>")),
    }
    facts.extend(status.pod_ip.map(|ip| fact("IP", ip)));
    facts.extend(status.message.map(|message| fact("Message", message)));
    facts.extend(status.qos_class.map(|class| fact("QoS Class", class)));
    let requests: Vec<String> =
        [("cpu", cores(node::request(pod, "cpu"))), ("memory", bytes(node::request(pod, "memory")))]
            .into_iter()
            .filter(|(_, amount)| amount != "0")
            .map(|(name, amount)| format!("{name} {amount}"))
            .collect();
    if !requests.is_empty() {
        facts.push(fact("Requests", requests.join(", ")));
    }
    facts
}

fn node_facts(etcd: &Etcd, object: &Node) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(view) = node::views(etcd).remove(object.name()) {
        facts.push(fact("Ready", view.ready));
        facts.push(fact("CPU", format!("{} / {}", cores(view.cpu.requested), cores(view.cpu.allocatable))));
        facts.push(fact("Memory", format!("{} / {}", bytes(view.memory.requested), bytes(view.memory.allocatable))));
        facts.push(fact("Pods", format!("{} / {}", view.pods.requested, view.pods.allocatable)));
        if !view.taints.is_empty() {
            facts.push(fact("Taints", view.taints.join("\n")));
        }
        if view.cordoned {
            facts.push(fact("Unschedulable", "true"));
        }
    }
    let addresses = object.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    facts.extend(addresses.iter().map(|address| fact(&address.type_, address.address.clone())));
    facts
}

fn deployment_facts(deployment: &Deployment) -> Vec<Fact> {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let count = |number: Option<i32>| number.unwrap_or(0);
    let mut facts = vec![
        fact(
            "Replicas",
            format!(
                "{} desired | {} updated | {} total | {} available | {} unavailable",
                spec.replicas.unwrap_or(1),
                count(status.updated_replicas),
                count(status.replicas),
                count(status.available_replicas),
                count(status.unavailable_replicas),
            ),
        ),
        selector_fact(Some(&spec.selector)),
    ];
    if let Some(strategy) = spec.strategy {
        facts.push(fact("StrategyType", strategy.type_.unwrap_or_default()));
        if let Some(rolling) = strategy.rolling_update {
            let text = |value: Option<_>| value.as_ref().map(crate::machinery::intstr::to_text).unwrap_or_default();
            let (surge, unavailable) = (text(rolling.max_surge), text(rolling.max_unavailable));
            facts.push(fact("RollingUpdateStrategy", format!("{unavailable} max unavailable, {surge} max surge")));
        }
    }
    facts.push(fact("MinReadySeconds", spec.min_ready_seconds.unwrap_or(0).to_string()));
    facts.extend(image_fact(spec.template.spec.as_ref()));
    facts
}

fn replica_set_facts(set: &ReplicaSet) -> Vec<Fact> {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let desired = spec.replicas.unwrap_or(1);
    let mut facts = vec![
        fact("Replicas", format!("{} current | {desired} desired | {ready} ready", status.replicas)),
        selector_fact(Some(&spec.selector)),
    ];
    facts.extend(image_fact(spec.template.as_ref().and_then(|template| template.spec.as_ref())));
    facts
}

fn selector_fact(selector: Option<&LabelSelector>) -> Fact {
    fact("Selector", format_label_selector(selector))
}

fn image_fact(pod: Option<&k8s_openapi::api::core::v1::PodSpec>) -> Option<Fact> {
    let images = pod?.containers.iter().filter_map(|container| container.image.clone());
    Some(fact("Images", images.collect::<Vec<_>>().join("\n")))
}

fn service_facts(service: &Service) -> Vec<Fact> {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.iter().flatten().map(|port| {
        let target = port.target_port.as_ref().map(crate::machinery::intstr::to_text).unwrap_or_default();
        format!("{}/{} → {target}", port.port, port.protocol.as_deref().unwrap_or("TCP"))
    });
    vec![
        fact("Type", spec.type_.clone().unwrap_or_default()),
        fact("IP", spec.cluster_ip.clone().unwrap_or_default()),
        fact("Port", ports.collect::<Vec<_>>().join("\n")),
        fact("Selector", format_labels(spec.selector.as_ref())),
    ]
}

fn containers(pod: &Pod) -> Vec<ContainerRow> {
    let spec = pod.spec.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let statuses = [status.init_container_statuses, status.container_statuses].map(Option::unwrap_or_default);
    let lists = [spec.init_containers.unwrap_or_default(), spec.containers];
    let mut rows = Vec::new();
    for (init, (specs, statuses)) in [true, false].into_iter().zip(lists.into_iter().zip(statuses)) {
        for container in specs {
            let status = statuses.iter().find(|status| status.name == container.name);
            rows.push(ContainerRow {
                name: container.name,
                image: container.image.unwrap_or_default(),
                init,
                state: status.map_or_else(|| "Waiting".to_owned(), container_state),
                ready: status.is_some_and(|status| status.ready),
                restarts: status.map_or(0, |status| status.restart_count),
            });
        }
    }
    rows
}

fn container_state(status: &ContainerStatus) -> String {
    let state = status.state.clone().unwrap_or_default();
    if state.running.is_some() {
        "Running".to_owned()
    } else if let Some(terminated) = state.terminated {
        format!("Terminated: {} ({})", terminated.reason.unwrap_or_default(), terminated.exit_code)
    } else {
        match state.waiting.and_then(|waiting| waiting.reason).filter(|reason| !reason.is_empty()) {
            Some(reason) => format!("Waiting: {reason}"),
            None => "Waiting".to_owned(),
        }
    }
}

/// The conditions of any kind's status.
fn conditions(value: &Value) -> Vec<Condition> {
    let list = value["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    let conditions = list.iter().map(|condition| Condition {
        type_: text(condition, "type"),
        status: text(condition, "status"),
        reason: text(condition, "reason"),
        message: text(condition, "message"),
        since: condition["lastTransitionTime"].as_str().map(str::to_owned),
    });
    conditions.collect()
}

/// What an object owns, by the garbage collector's rule: its uid among their owner references.
fn owned(etcd: &Etcd, object: &Object) -> Vec<Subject> {
    let namespace = object.metadata().namespace.as_deref();
    let is_owned = |candidate: &Object| {
        let owners = candidate.metadata().owner_references.as_deref().unwrap_or_default();
        owners.iter().any(|owner| owner.uid == object.uid())
    };
    let kinds = Kind::ALL.iter().copied().chain(etcd.custom_kinds()).filter(|kind| *kind != Kind::Event);
    let all = kinds.flat_map(|kind| etcd.range(kind, namespace));
    all.filter(|(_, candidate)| is_owned(candidate)).take(OWNED_MAX).map(|(_, owned)| Subject::of(owned)).collect()
}

fn replicas(kind: Kind, value: &Value) -> Option<i32> {
    if !kind.has(Subresource::Scale) {
        return None;
    }
    value["spec"]["replicas"].as_i64().and_then(|replicas| i32::try_from(replicas).ok())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;
    use crate::view::scene::tests::store;

    #[test]
    fn a_pod_is_summed_up() {
        let etcd = store(&[json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "name": "web-a", "namespace": "default", "uid": "1", "labels": {"app": "web", "tier": "front"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "2", "controller": true}],
        }, "spec": {
            "nodeName": "node-1",
            "initContainers": [{"name": "first", "image": "busybox"}],
            "containers": [{"name": "web", "image": "nginx", "resources": {"requests": {"cpu": "250m"}}}],
        }, "status": {"phase": "Running", "podIP": "10.244.0.4",
            "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}],
            "containerStatuses": [{"name": "web", "image": "nginx", "imageID": "", "ready": false, "restartCount": 2,
                                   "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
        }})]);
        let Details::Object(details) = object(&etcd, &Subject::new("Pod", "default", "web-a"), Time::DEFAULT_START)
        else {
            panic!("the pod is there")
        };
        let facts: Vec<_> = details.facts.iter().map(|fact| format!("{}: {}", fact.label, fact.value)).collect();
        expect![[r#"
            Status: CrashLoopBackOff
            Node: node-1
            IP: 10.244.0.4
            Requests: cpu 0.25
            Controlled By: ReplicaSet/web
            Namespace: default
            Labels: app=web
            tier=front"#]]
        .assert_eq(&facts.join("\n"));
        let containers: Vec<_> = details.containers.iter().map(|row| format!("{} {}", row.name, row.state)).collect();
        assert_eq!(containers, ["first Waiting", "web Waiting: CrashLoopBackOff"]);
        assert_eq!(details.conditions[0].reason, "ContainersNotReady");
        assert_eq!(details.made[0].sentence.to_string(), "A test made it.");
    }

    #[test]
    fn an_object_that_is_gone_says_so() {
        let subject = Subject::new("Pod", "default", "web-a");
        assert_eq!(object(&store(&[]), &subject, Time::DEFAULT_START), Details::Gone(subject, Vec::new()));
    }

    #[test]
    fn other_kinds_say_what_kubectl_prints_of_them() {
        let etcd = store(&[json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {
            "name": "pi", "namespace": "default", "uid": "1",
        }, "spec": {"completions": 5, "parallelism": 2, "template": {"spec": {"containers": [
            {"name": "pi", "image": "perl:5.34"},
        ]}}}, "status": {"succeeded": 2}})]);
        let Details::Object(details) = object(&etcd, &Subject::new("Job", "default", "pi"), Time::DEFAULT_START) else {
            panic!("the Job is there")
        };
        let facts: Vec<_> = details.facts.iter().map(|fact| format!("{}: {}", fact.label, fact.value)).collect();
        expect![[r#"
            Status: Running
            Completions: 2/5
            Containers: pi
            Images: perl:5.34
            Namespace: default"#]]
        .assert_eq(&facts.join("\n"));
    }
}
