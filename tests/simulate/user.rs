//! Who acts on the cluster: a user, another client that writes what it likes, and misfortune. What happens next is
//! chosen by chance from what there is.

use std::collections::BTreeSet;
use std::time::Duration;

use kubetab::api::{Kind, Object, ObjectKey};
use kubetab::apiserver::Call;
use kubetab::machinery::random::Random;
use kubetab::session::{Action, Disturbance, File, NodeName, ObjectName, Session};
use kubetab::sim::{ComponentFault, NodeGroupSpec, NodeShutdown, TrafficSource, TrafficSpec};
use serde_json::{Value, json};

use super::faults::{Faults, machines};
use super::workloads::{
    IMAGES, Workload, crowd, disks, manifest, one_of, percent, priorities, quota, static_pod, use_disks,
};

/// The namespace that is deleted at times.
const TEAM: &str = "team";
/// At most so many workloads are made by a seed.
const WORKLOADS_MAX: u64 = 7;

/// A patch by the user.
pub fn patch(api_version: &str, kind: &str, namespace: &str, name: &str, patch: Value) -> Action {
    Action::Patch { object: object(api_version, kind, namespace, name), patch }
}

/// A deletion by the user.
pub fn delete(api_version: &str, kind: &str, namespace: &str, name: &str) -> Action {
    let object = object(api_version, kind, namespace, name);
    Action::Delete { object, propagation: None, grace_period_seconds: None }
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectName {
    let text = str::to_owned;
    ObjectName { api_version: text(api_version), kind: text(kind), namespace: text(namespace), name: text(name) }
}

fn apply(manifests: &[Value]) -> Action {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": manifests });
    let files = vec![File { name: "simulate.json".to_owned(), text: list.to_string() }];
    Action::Apply { files, namespace: "default".to_owned(), dry_run: false }
}

/// What can go wrong, by kind: a seed has a few of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Misfortune {
    NodeStops,
    NodeIsCutOff,
    NodeLeaves,
    NodeShutsDown,
    NodeIsGivenUp,
    ComponentRestarts,
    ComponentStops,
    WatchIsSlow,
    /// A watch is dropped, and goes on where it was.
    WatchBreaks,
    /// A watch is dropped and too old to go on: all is listed, and so told, once more.
    WatchExpires,
    StoreIsFull,
    ImageIsBroken,
    ContainerCrashes,
    ProbeFails,
}

impl Misfortune {
    const ALL: [Self; 14] = [
        Self::NodeStops,
        Self::NodeIsCutOff,
        Self::NodeLeaves,
        Self::NodeShutsDown,
        Self::NodeIsGivenUp,
        Self::ComponentRestarts,
        Self::ComponentStops,
        Self::WatchIsSlow,
        Self::WatchBreaks,
        Self::WatchExpires,
        Self::StoreIsFull,
        Self::ImageIsBroken,
        Self::ContainerCrashes,
        Self::ProbeFails,
    ];
}

/// The one who acts, with what a seed lets them do.
pub struct User {
    random: Random,
    workloads: Vec<Workload>,
    misfortunes: Vec<Misfortune>,
    made: u64,
    /// How many things in a hundred are misfortunes.
    fault_percent: u64,
    /// The nodes that are being drained.
    draining: BTreeSet<String>,
    /// Whether pods are so large that not all find room.
    is_crowded: bool,
    /// Whether claims may be for disks of the cloud; whether its driver is there already.
    wants_disks: bool,
    has_disks: bool,
    /// What was made, so that it may be made once more.
    known: Vec<(Workload, &'static str, String)>,
}

/// A part of the whole, at least one.
fn some<T: Copy>(random: &mut Random, all: &[T], chances: u64) -> Vec<T> {
    let first = one_of(random, all);
    let mut chosen: Vec<T> = all.iter().copied().filter(|_| percent(random, chances)).collect();
    if chosen.is_empty() {
        chosen.push(first);
    }
    chosen
}

impl User {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let workloads = some(&mut random, &Workload::ALL, 40);
        let misfortunes = some(&mut random, &Misfortune::ALL, 40);
        let fault_percent = one_of(&mut random, &[0, 15, 30, 50]);
        let is_crowded = percent(&mut random, 20);
        let wants_disks = percent(&mut random, 75);
        let (draining, known) = (BTreeSet::new(), Vec::new());
        Self {
            random,
            workloads,
            misfortunes,
            made: 0,
            fault_percent,
            draining,
            is_crowded,
            wants_disks,
            has_disks: false,
            known,
        }
    }

    /// How long nothing is done: now and then hardly a moment, now and then minutes.
    pub fn pause(&mut self) -> Duration {
        let longest = one_of(&mut self.random, &[3, 50, 1_000, 5_000, 20_000, 90_000]);
        Duration::from_micros(self.random.below(longest * 1_000))
    }

    /// What happens next; nothing when what chance chose cannot be done now.
    pub fn next(&mut self, session: &Session, faults: &Faults) -> Option<Action> {
        if self.wants_disks && !self.has_disks && session.cluster().cloud().is_some() {
            self.has_disks = true;
            return Some(apply(&disks(&mut self.random)));
        }
        if self.made < 2 {
            return self.make();
        }
        if percent(&mut self.random, self.fault_percent) {
            return self.misfortune(session, faults);
        }
        if let Some(node) = self.draining.first().cloned() {
            return self.drain(session, &node);
        }
        match self.random.below(28) {
            25 => self.write_manifest(session, faults),
            26 => self.group_machines(session),
            27 => self.send_traffic(session),
            20 => self.make_again(),
            21 => self.delete_part(session),
            22 => self.change_update(session),
            23 => self.taint(session),
            24 => self.limit(session),
            0..3 => self.make(),
            3..7 => self.change_template(session),
            7..10 => self.scale(session),
            10 => self.delete_workload(session),
            11 => self.delete_pod(session),
            12 => self.begin_draining(session),
            13 | 14 => self.evict(session),
            15 => self.set_going_or_pause(session),
            16 | 17 => self.meddle(session),
            18 => self.relabel(session),
            _ => self.delete_namespace(session),
        }
    }

    fn make(&mut self) -> Option<Action> {
        if self.made >= WORKLOADS_MAX {
            return None;
        }
        self.made += 1;
        let workload = one_of(&mut self.random, &self.workloads);
        let namespace = if percent(&mut self.random, 30) { TEAM } else { "default" };
        let name = format!("{}-{}", workload.kind().to_lowercase(), self.made);
        let made = self.manifests(workload, namespace, &name);
        self.known.push((workload, namespace, name));
        Some(apply(&made))
    }

    fn manifests(&mut self, workload: Workload, namespace: &str, name: &str) -> Vec<Value> {
        let mut manifests = manifest(&mut self.random, workload, namespace, name);
        if self.has_disks && percent(&mut self.random, 70) {
            use_disks(&mut manifests);
        }
        if self.is_crowded {
            crowd(&mut self.random, &mut manifests);
            manifests.insert(0, priorities());
        }
        if namespace == TEAM {
            manifests.insert(0, json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": TEAM } }));
        }
        manifests
    }

    /// Something of a name that was used before, be it gone or still there, with other settings.
    fn make_again(&mut self) -> Option<Action> {
        let (workload, namespace, name) = one_of(&mut self.random, &self.known);
        Some(apply(&self.manifests(workload, namespace, &name)))
    }

    /// What belongs to a workload goes by itself.
    fn delete_part(&mut self, session: &Session) -> Option<Action> {
        let kinds = [
            Kind::Service,
            Kind::PodDisruptionBudget,
            Kind::PersistentVolumeClaim,
            Kind::HorizontalPodAutoscaler,
            Kind::ResourceQuota,
            Kind::EndpointSlice,
        ];
        let kind = one_of(&mut self.random, &kinds);
        let (key, _) = self.any(session, kind)?;
        let is_own = &*key.namespace == "default" && &*key.name == "kubernetes";
        (!is_own).then(|| delete(&api_version(kind), &kind.to_string(), &key.namespace, &key.name))
    }

    /// How a StatefulSet or DaemonSet is updated changes.
    fn change_update(&mut self, session: &Session) -> Option<Action> {
        let (object, _) = self.workload(session, &[Kind::StatefulSet, Kind::DaemonSet])?;
        let strategy = match (object.kind.as_str(), self.random.below(2)) {
            (_, 0) => json!({ "type": "RollingUpdate", "rollingUpdate": null }),
            ("StatefulSet", _) => {
                json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": self.random.below(3) } })
            }
            _ => json!({ "type": "OnDelete", "rollingUpdate": null }),
        };
        Some(Action::Patch { object, patch: json!({ "spec": { "updateStrategy": strategy } }) })
    }

    /// A node gets a taint of the user's, or loses it.
    fn taint(&mut self, session: &Session) -> Option<Action> {
        let (key, node) = self.any(session, Kind::Node)?;
        let effect = one_of(&mut self.random, &["NoSchedule", "NoExecute"]);
        Some(patch("v1", "Node", "", &key.name, with_taint(&node, Some(effect))))
    }

    fn limit(&mut self, session: &Session) -> Option<Action> {
        session.cluster().api().etcd().get(Kind::Namespace, &ObjectKey::new("", TEAM))?;
        Some(apply(&[quota(&mut self.random, TEAM)]))
    }

    /// A machine gets a pod of its own, another one, or none.
    fn write_manifest(&mut self, session: &Session, faults: &Faults) -> Option<Action> {
        let nodes = machines(session);
        let node = one_of(&mut self.random, &nodes);
        let file = "static.yaml".to_owned();
        if faults.manifests.contains(&node) && percent(&mut self.random, 50) {
            return Some(Action::RemoveManifest { node, file });
        }
        let text = static_pod(&mut self.random);
        Some(Action::WriteManifest { node, file, text })
    }

    /// The cloud makes machines when pods find no room, as long as it has some.
    fn group_machines(&mut self, session: &Session) -> Option<Action> {
        session.cluster().cloud()?;
        if session.cluster().node_groups().next().is_some() && percent(&mut self.random, 30) {
            return Some(Action::RemoveNodeGroup(NodeName { name: "pool".to_owned() }));
        }
        let capacity = [("cpu", "2"), ("memory", "8Gi"), ("pods", "110")];
        let stock = one_of(&mut self.random, &[None, None, Some(1)]);
        Some(Action::SetNodeGroup(NodeGroupSpec {
            name: "pool".to_owned(),
            min: self.random.below(2) as u32,
            max: 2,
            capacity: capacity.map(|(name, amount)| (name.to_owned(), amount.to_owned())).into(),
            stock,
            ..NodeGroupSpec::default()
        }))
    }

    /// A pod asks a Service for something, again and again for a while.
    fn send_traffic(&mut self, session: &Session) -> Option<Action> {
        let (pod, _) = self.any(session, Kind::Pod)?;
        let (service, _) = self.any(session, Kind::Service)?;
        let url = format!("http://{}.{}/", service.name, service.namespace);
        let from = TrafficSource {
            namespace: pod.namespace.to_string(),
            pod: pod.name.to_string(),
            ..TrafficSource::default()
        };
        let spec = TrafficSpec { url, from: Some(from), per_second: 3, seconds: 20, ..TrafficSpec::default() };
        Some(Action::StartTraffic(spec))
    }

    /// An object of a kind, by chance.
    fn any(&mut self, session: &Session, kind: Kind) -> Option<(ObjectKey, Object)> {
        let etcd = session.cluster().api().etcd();
        let count = etcd.count(kind) as u64;
        let chosen = self.random.below(count) as usize;
        etcd.range(kind, None).nth(chosen).map(|(key, object)| (key.clone(), object.clone()))
    }

    fn workload(&mut self, session: &Session, kinds: &[Kind]) -> Option<(ObjectName, Object)> {
        let kind = one_of(&mut self.random, kinds);
        let (key, found) = self.any(session, kind)?;
        Some((object(&api_version(kind), &kind.to_string(), &key.namespace, &key.name), found))
    }

    fn change_template(&mut self, session: &Session) -> Option<Action> {
        let (object, _) = self.workload(session, &[Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet])?;
        let template = if percent(&mut self.random, 50) {
            let image = one_of(&mut self.random, &IMAGES);
            // A merge patch replaces the list, and with it what else the container had.
            let requests = json!({ "requests": { "cpu": "50m" } });
            json!({ "spec": { "containers": [{ "name": "web", "image": image, "resources": requests }] } })
        } else {
            json!({ "metadata": { "annotations": { "turn": self.random.below(4).to_string() } } })
        };
        Some(Action::Patch { object, patch: json!({ "spec": { "template": template } }) })
    }

    fn scale(&mut self, session: &Session) -> Option<Action> {
        let kinds = [Kind::Deployment, Kind::Deployment, Kind::StatefulSet, Kind::StatefulSet, Kind::ReplicaSet];
        let (object, found) = self.workload(session, &kinds)?;
        // Whoever controls it would set it right again.
        let is_free = found.metadata().owner_references.iter().flatten().next().is_none();
        let replicas = self.random.below(6) as i32;
        is_free.then_some(Action::Scale { object, replicas })
    }

    fn delete_workload(&mut self, session: &Session) -> Option<Action> {
        let kinds = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet, Kind::Job, Kind::CronJob, Kind::ReplicaSet];
        let (object, _) = self.workload(session, &kinds)?;
        let propagation = one_of(&mut self.random, &["Background", "Foreground", "Orphan"]);
        Some(Action::Delete { object, propagation: Some(propagation.to_owned()), grace_period_seconds: None })
    }

    fn delete_pod(&mut self, session: &Session) -> Option<Action> {
        let (object, _) = self.workload(session, &[Kind::Pod])?;
        let grace_period_seconds = one_of(&mut self.random, &[None, None, Some(1)]);
        Some(Action::Delete { object, propagation: None, grace_period_seconds })
    }

    fn begin_draining(&mut self, session: &Session) -> Option<Action> {
        let (key, _) = self.any(session, Kind::Node)?;
        self.draining.insert(key.name.to_string());
        Some(patch("v1", "Node", "", &key.name, json!({ "spec": { "unschedulable": true } })))
    }

    /// Evicts a pod of a node that is being drained, or lets pods come to the node again when it is empty or it took long enough.
    fn drain(&mut self, session: &Session, node: &str) -> Option<Action> {
        let etcd = session.cluster().api().etcd();
        let is_there = |object: &Object| {
            let pod = object.to_value();
            let of_daemon = pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet";
            pod["spec"]["nodeName"] == node && pod["metadata"]["deletionTimestamp"].is_null() && !of_daemon
        };
        let pods: Vec<ObjectKey> =
            etcd.range(Kind::Pod, None).filter(|(_, object)| is_there(object)).map(|(key, _)| key.clone()).collect();
        if pods.is_empty() || percent(&mut self.random, 10) {
            self.draining.remove(node);
            return Some(patch("v1", "Node", "", node, json!({ "spec": { "unschedulable": null } })));
        }
        Some(eviction(&one_of(&mut self.random, &pods)))
    }

    fn evict(&mut self, session: &Session) -> Option<Action> {
        Some(eviction(&self.any(session, Kind::Pod)?.0))
    }

    fn set_going_or_pause(&mut self, session: &Session) -> Option<Action> {
        let (object, found) = self.workload(session, &[Kind::Deployment, Kind::Job, Kind::Job])?;
        let spec = &found.to_value()["spec"];
        let patch = match object.kind.as_str() {
            "Deployment" => json!({ "paused": spec["paused"] != true }),
            _ if percent(&mut self.random, 50) => json!({ "suspend": spec["suspend"] != true }),
            _ => json!({ "parallelism": self.random.below(4) }),
        };
        Some(Action::Patch { object, patch: json!({ "spec": patch }) })
    }

    /// Another client writes to what controllers are about to write, so that they meet conflicts.
    fn meddle(&mut self, session: &Session) -> Option<Action> {
        let kinds = [
            Kind::Deployment,
            Kind::ReplicaSet,
            Kind::StatefulSet,
            Kind::DaemonSet,
            Kind::Job,
            Kind::Pod,
            Kind::Node,
            Kind::PersistentVolumeClaim,
            Kind::PodDisruptionBudget,
            Kind::EndpointSlice,
        ];
        let kind = one_of(&mut self.random, &kinds);
        let (key, _) = self.any(session, kind)?;
        let note = json!({ "metadata": { "annotations": { "note": self.random.below(1000).to_string() } } });
        Some(patch(&api_version(kind), &kind.to_string(), &key.namespace, &key.name, note))
    }

    /// A pod gets a label by which its controller does not know it any more.
    fn relabel(&mut self, session: &Session) -> Option<Action> {
        let (key, pod) = self.any(session, Kind::Pod)?;
        pod.metadata().labels.as_ref()?.get("app")?;
        // It would keep the name that a StatefulSet's new pod has to have.
        let mut owners = pod.metadata().owner_references.iter().flatten();
        if owners.any(|owner| owner.kind == "StatefulSet") {
            return None;
        }
        let labels = json!({ "metadata": { "labels": { "app": "released" } } });
        Some(patch("v1", "Pod", &key.namespace, &key.name, labels))
    }

    fn delete_namespace(&mut self, session: &Session) -> Option<Action> {
        session.cluster().api().etcd().get(Kind::Namespace, &ObjectKey::new("", TEAM))?;
        let object = object("v1", "Namespace", "", TEAM);
        Some(Action::Delete { object, propagation: None, grace_period_seconds: None })
    }

    fn misfortune(&mut self, session: &Session, faults: &Faults) -> Option<Action> {
        // What is broken is mended about as often as something else breaks.
        if percent(&mut self.random, 45) {
            let mut mending: Vec<Action> = faults.mend(session);
            mending.retain(|action| !matches!(action, Action::Patch { .. }));
            if !mending.is_empty() {
                return Some(one_of(&mut self.random, &mending));
            }
        }
        let misfortune = one_of(&mut self.random, &self.misfortunes);
        let nodes = machines(session);
        if nodes.is_empty() {
            return None;
        }
        let name = one_of(&mut self.random, &nodes);
        let node = NodeName { name: name.clone() };
        let is_whole = !faults.stopped_nodes.contains(&name) && !faults.cut_off_nodes.contains(&name);
        match misfortune {
            Misfortune::NodeStops => is_whole.then_some(Action::StopNode(node)),
            Misfortune::NodeIsCutOff => is_whole.then_some(Action::PartitionNode(node)),
            Misfortune::NodeShutsDown => is_whole.then_some(Action::ShutdownNode(NodeShutdown {
                name,
                grace_period_seconds: 30,
                critical_pods_seconds: 10,
            })),
            Misfortune::NodeIsGivenUp => {
                // Of one that has power it would be a lie.
                let name = faults.stopped_nodes.first()?;
                let node = session.cluster().api().etcd().get(Kind::Node, &ObjectKey::new("", name.as_str()))?;
                Some(patch("v1", "Node", "", name, out_of_service(node)))
            }
            Misfortune::NodeLeaves => (nodes.len() > 2).then_some(Action::RemoveNode(node)),
            Misfortune::ContainerCrashes => {
                let (key, _) = self.any(session, Kind::Pod)?;
                let (namespace, pod) = (key.namespace.to_string(), key.name.to_string());
                Some(Action::CrashContainer { namespace, pod, container: String::new() })
            }
            Misfortune::ProbeFails => {
                let (key, _) = self.any(session, Kind::Pod)?;
                let (namespace, pod) = (key.namespace.to_string(), key.name.to_string());
                let probe = one_of(&mut self.random, &["readiness", "liveness"]).to_owned();
                Some(Action::FailProbe { namespace, pod, container: String::new(), probe, fails: true })
            }
            Misfortune::ImageIsBroken => {
                let image = one_of(&mut self.random, &["nginx:1.28", "httpd:2.4", "busybox:1.36"]).to_owned();
                Some(Action::BreakImage { image, broken: true })
            }
            Misfortune::StoreIsFull => Some(Action::FillStore { full: true }),
            _ => self.disturb(session, faults, misfortune),
        }
    }

    fn disturb(&mut self, session: &Session, faults: &Faults, misfortune: Misfortune) -> Option<Action> {
        let central = ["kube-controller-manager", "kube-scheduler", "cloud-controller-manager"];
        let mut components: Vec<String> = session.cluster().process_ids().map(ToString::to_string).collect();
        // They have most of the work.
        components.extend(central.iter().chain(&central).map(|name| (*name).to_owned()));
        let is_central = |name: &String| central.contains(&name.as_str());
        let fault = match misfortune {
            Misfortune::ComponentStops => {
                components.retain(|name| is_central(name) && !faults.stopped_components.contains(name));
                ComponentFault::Stop
            }
            Misfortune::ComponentRestarts => ComponentFault::Restart,
            Misfortune::WatchIsSlow => {
                ComponentFault::SlowWatch { milliseconds: one_of(&mut self.random, &[50, 1_000, 10_000]) }
            }
            Misfortune::WatchBreaks => {
                components.push("kube-apiserver".to_owned());
                ComponentFault::BreakWatch
            }
            _ => {
                components.push("kube-apiserver".to_owned());
                ComponentFault::ExpireWatch
            }
        };
        if components.is_empty() {
            return None;
        }
        Some(Action::Disturb(Disturbance { component: one_of(&mut self.random, &components), fault }))
    }
}

fn api_version(kind: Kind) -> String {
    let info = kind.info();
    match info.group {
        "" => "v1".to_owned(),
        "autoscaling" => "autoscaling/v2".to_owned(),
        group => format!("{group}/v1"),
    }
}

/// The key of the user's own taint.
const TAINT: &str = "simulate";
/// The taint of a node that nobody waits for any more.
const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";
/// Taints that are taken away in the end: the last are cluster-autoscaler's, which may have gone meanwhile.
const TAINTS: [&str; 4] =
    [TAINT, OUT_OF_SERVICE, "DeletionCandidateOfClusterAutoscaler", "ToBeDeletedByClusterAutoscaler"];

/// What makes a node bear the user's taint, or not.
pub fn with_taint(node: &Object, effect: Option<&str>) -> Value {
    let value = node.to_value();
    let taints = value["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let mut taints: Vec<Value> = taints.into_iter().filter(|taint| !is_ours(taint)).collect();
    taints.extend(effect.map(|effect| json!({ "key": TAINT, "effect": effect })));
    json!({ "spec": { "taints": taints } })
}

/// Whether a node bears a taint that has to go in the end.
pub fn has_taint(node: &Object) -> bool {
    let value = node.to_value();
    value["spec"]["taints"].as_array().is_some_and(|taints| taints.iter().any(is_ours))
}

fn is_ours(taint: &Value) -> bool {
    TAINTS.iter().any(|key| taint["key"] == *key)
}

/// What gives a node up.
fn out_of_service(node: &Object) -> Value {
    let mut taints = node.to_value()["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.retain(|taint| taint["key"] != OUT_OF_SERVICE);
    taints.push(json!({ "key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute" }));
    json!({ "spec": { "taints": taints } })
}

fn eviction(pod: &ObjectKey) -> Action {
    Action::Request(Call {
        method: "POST".to_owned(),
        path: format!("/api/v1/namespaces/{}/pods/{}/eviction", pod.namespace, pod.name),
        content_type: "application/json".to_owned(),
        body: json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": &*pod.name, "namespace": &*pod.namespace },
        }),
        client: "kubectl".to_owned(),
        ..Call::default()
    })
}
