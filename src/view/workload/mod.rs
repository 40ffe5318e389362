//! Workloads as the graph shows them: how many pods are wanted and there, old beside new, within which bounds.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::{Deserialize, Serialize};

use crate::api::{Kind, Object, ObjectKey, Resource, controller_of};
use crate::etcd::Etcd;
use crate::machinery::labels::Selector;

use super::pod::Generation;

mod batch;
mod deployment;
mod pods_by_name;

/// Which revision of its Deployment a ReplicaSet is (`deployment.kubernetes.io/revision`).
const REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

/// Which template a pod of a StatefulSet or DaemonSet was made from: the name or hash of a ControllerRevision.
const REVISION_LABEL: &str = "controller-revision-hash";

/// How a workload fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Progress {
    /// All wanted pods are there, of the newest template, and available.
    Steady,
    /// Old pods give way to new ones.
    Rolling,
    /// Pods come, go or start.
    Scaling,
    /// It made no progress within its deadline.
    Stuck,
    /// Roll-outs are paused, or its work is suspended.
    Paused,
    /// Its pods are at work.
    Running,
    /// Its work is done.
    Complete,
    /// Its work is given up.
    Failed,
}

impl Progress {
    /// A name without blanks for attributes and style sheets.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Rolling => "rolling",
            Self::Scaling => "scaling",
            Self::Stuck => "stuck",
            Self::Paused => "paused",
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }
}

/// What a rolling update must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How many pods more than wanted there may be.
    pub surge: i32,
    /// At most so many pods altogether: replicas and surge.
    pub total_max: i32,
    /// At least so many available pods: replicas less what may be unavailable.
    pub available_min: i32,
}

impl Bounds {
    fn of(desired: i32, surge: i32, unavailable: i32) -> Self {
        let available_min = desired.saturating_sub(unavailable).max(0);
        Self { surge, total_max: desired.saturating_add(surge), available_min }
    }
}

/// What a workload is after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// Pods that stay: so many ready as there should be.
    Replicas,
    /// Pods that end well.
    Completions {
        /// How many did.
        succeeded: i32,
        /// How many shall.
        wanted: i32,
    },
    /// Jobs at their time.
    Schedule {
        /// When, as cron reads it.
        schedule: String,
        /// How many Jobs are at work.
        active: usize,
    },
}

/// A template that pods of a workload were made from: a ReplicaSet of a Deployment, or a ControllerRevision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its name.
    pub name: String,
    /// Its number in the workload's history; 0 where nobody counts.
    pub revision: i64,
    /// Whether it is the newest, or an older one.
    pub generation: Generation,
    /// How many pods it should have.
    pub desired: i32,
    /// How many it has.
    pub current: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// The images of its template.
    pub images: Vec<String>,
}

/// What runs pods: a Deployment, StatefulSet, DaemonSet, Job or CronJob, or a ReplicaSet or Job on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadView {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How many pods are wanted.
    pub desired: i32,
    /// How many pods there are, old and new.
    pub total: i32,
    /// How many are of the newest template.
    pub updated: i32,
    /// How many are ready.
    pub ready: i32,
    /// How many are available.
    pub available: i32,
    /// What it is after.
    pub goal: Goal,
    /// `RollingUpdate`, `Recreate` or `OnDelete`; empty for what has no such thing.
    pub strategy: String,
    /// What a rolling update must keep to.
    pub bounds: Option<Bounds>,
    /// How it fares.
    pub progress: Progress,
    /// The templates that have pods or should have some, and the newest; oldest first.
    pub revisions: Vec<RevisionView>,
    /// The images of its template.
    pub images: Vec<String>,
}

/// Where a pod is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The uid of the workload that it belongs to.
    pub workload: String,
    /// Which template it is of.
    pub generation: Generation,
}

/// What the controllers of pods belong to, and which templates are the newest.
#[derive(Clone, Debug, Default)]
pub struct Revisions {
    /// Where all pods of a controller are drawn, by its uid: ReplicaSets of Deployments, Jobs of CronJobs.
    places: BTreeMap<String, Place>,
    /// The newest template of a controller whose pods say what they are made from, by its uid.
    newest: BTreeMap<String, String>,
}

impl Revisions {
    /// Reads them from the store.
    #[must_use]
    pub fn of(etcd: &Etcd) -> Self {
        let mut revisions = Self { places: deployment::places(etcd), newest: BTreeMap::new() };
        for job in each::<Job>(etcd, None) {
            if let Some(owner) = owner_of(job, etcd, Kind::CronJob) {
                let place = Place { workload: owner.uid.clone(), generation: Generation::Only };
                revisions.places.insert(job.uid().to_owned(), place);
            }
        }
        for set in each::<StatefulSet>(etcd, None) {
            let revision = set.status.as_ref().and_then(|status| status.update_revision.clone());
            revisions.newest.extend(revision.map(|revision| (set.uid().to_owned(), revision)));
        }
        let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
        for revision in each::<ControllerRevision>(etcd, None) {
            let owner = controller_of(&revision.metadata).filter(|owner| owner.kind == "DaemonSet");
            let hash = revision.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL));
            if let (Some(owner), Some(hash)) = (owner, hash)
                && numbers.get(owner.uid.as_str()).is_none_or(|number| *number < revision.revision)
            {
                numbers.insert(&owner.uid, revision.revision);
                revisions.newest.insert(owner.uid.clone(), hash.clone());
            }
        }
        revisions
    }

    /// Where the pods of the controller with this uid belong, when it has an owner itself.
    #[must_use]
    pub fn place(&self, controller: &str) -> Option<&Place> {
        self.places.get(controller)
    }

    /// Where a pod belongs; nowhere when nothing controls it.
    #[must_use]
    pub fn place_of(&self, pod: &Pod) -> Option<Place> {
        let owner = controller_of(&pod.metadata)?;
        if let Some(place) = self.places.get(&owner.uid) {
            return Some(place.clone());
        }
        let generation = self.newest.get(&owner.uid).map_or(Generation::Only, |newest| {
            let made_from = pod.metadata.labels.as_ref().and_then(|labels| labels.get(REVISION_LABEL));
            if made_from == Some(newest) { Generation::New } else { Generation::Old }
        });
        Some(Place { workload: owner.uid.clone(), generation })
    }
}

/// The objects of a kind as what they are.
fn each<'etcd, T: Resource>(etcd: &'etcd Etcd, namespace: Option<&'etcd str>) -> impl Iterator<Item = &'etcd T> {
    etcd.range(T::OBJECT_KIND, namespace).filter_map(|(_, object)| object.downcast::<T>().map(|found| &**found))
}

/// The owner of this kind that controls an object, unless it is gone.
fn owner_of<'object>(object: &'object impl Resource, etcd: &Etcd, kind: Kind) -> Option<&'object OwnerReference> {
    let owner = controller_of(object.metadata()).filter(|owner| owner.kind == kind.info().kind)?;
    let key = ObjectKey::new(object.namespace(), &*owner.name);
    etcd.get(kind, &key).is_some_and(|found| found.uid() == owner.uid).then_some(owner)
}

/// All workloads that pass the filter, by uid.
#[must_use]
pub fn views(
    etcd: &Etcd,
    namespace: Option<&str>,
    selector: &Selector,
    revisions: &Revisions,
) -> BTreeMap<String, WorkloadView> {
    const KINDS: [Kind; 7] = [
        Kind::Deployment,
        Kind::ReplicaSet,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::Job,
        Kind::CronJob,
        Kind::ReplicationController,
    ];
    let mut views = BTreeMap::new();
    for (_, object) in KINDS.into_iter().flat_map(|kind| etcd.range(kind, namespace)) {
        let template = template_labels(object);
        if selector.matches(&object.metadata().labels) || template.is_some_and(|labels| selector.matches(labels)) {
            views.extend(view(object, etcd, revisions).map(|view| (object.uid().to_owned(), view)));
        }
    }
    views
}

/// The labels that a workload gives its pods. A selector that finds the pods shall find the workload, too.
fn template_labels(object: &Object) -> Option<&Option<BTreeMap<String, String>>> {
    let metadata = match object {
        Object::Deployment(deployment) => deployment.spec.as_ref()?.template.metadata.as_ref(),
        Object::StatefulSet(set) => set.spec.as_ref()?.template.metadata.as_ref(),
        Object::DaemonSet(set) => set.spec.as_ref()?.template.metadata.as_ref(),
        Object::Job(job) => job.spec.as_ref()?.template.metadata.as_ref(),
        _ => None,
    };
    metadata.map(|metadata| &metadata.labels)
}

/// The view of a workload. What another workload owns is shown with it.
fn view(object: &Object, etcd: &Etcd, revisions: &Revisions) -> Option<WorkloadView> {
    match object {
        Object::Deployment(deployment) => Some(deployment::view(deployment, etcd, revisions)),
        Object::ReplicaSet(set) => {
            owner_of(&**set, etcd, Kind::Deployment).is_none().then(|| deployment::replica_set_view(set))
        }
        Object::ReplicationController(controller) => Some(deployment::replication_controller_view(controller)),
        Object::StatefulSet(set) => Some(pods_by_name::stateful_set_view(set)),
        Object::DaemonSet(set) => Some(pods_by_name::daemon_set_view(set)),
        Object::Job(job) => owner_of(&**job, etcd, Kind::CronJob).is_none().then(|| batch::job_view(job)),
        Object::CronJob(job) => Some(batch::cron_job_view(job)),
        _ => None,
    }
}

/// The view of a workload of which nothing is known but what it is called.
fn empty<T: Resource>(object: &T, template: Option<&PodSpec>) -> WorkloadView {
    WorkloadView {
        kind: T::OBJECT_KIND.info().kind.to_owned(),
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
        desired: 0,
        total: 0,
        updated: 0,
        ready: 0,
        available: 0,
        goal: Goal::Replicas,
        strategy: String::new(),
        bounds: None,
        progress: Progress::Scaling,
        revisions: Vec::new(),
        images: images(template),
    }
}

fn images(pod: Option<&PodSpec>) -> Vec<String> {
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    containers.iter().map(|container| container.image.clone().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::scene::tests::store;

    fn view_by_name(name: &str, objects: &[Value]) -> WorkloadView {
        let etcd = store(objects);
        let views = views(&etcd, None, &Selector::everything(), &Revisions::of(&etcd));
        views.get(name).expect("the workload is seen").clone()
    }

    fn set(name: &str, revision: &str, replicas: i32) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {
            "name": name, "namespace": "default", "uid": name,
            "annotations": {REVISION_ANNOTATION: revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web",
                                 "controller": true}],
        }, "spec": {"replicas": replicas, "selector": {}}, "status": {"replicas": replicas}})
    }

    fn deployment(strategy: &Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
               "metadata": {"name": "web", "namespace": "default", "uid": "web"},
               "spec": {"replicas": 6, "selector": {}, "template": {}, "strategy": strategy},
               "status": {"availableReplicas": 6}})
    }

    fn view_of(objects: &[Value]) -> WorkloadView {
        view_by_name("web", objects)
    }

    fn object(api_version: &str, kind: &str, name: &str, rest: &Value) -> Value {
        let mut object = json!({"apiVersion": api_version, "kind": kind,
                                "metadata": {"name": name, "namespace": "default", "uid": name}});
        for (field, value) in rest.as_object().expect("fields") {
            object[field] = value.clone();
        }
        object
    }

    fn owned_by(kind: &str, owner: &str, labels: &Value, mut object: Value) -> Value {
        object["metadata"]["labels"] = labels.clone();
        object["metadata"]["ownerReferences"] =
            json!([{"apiVersion": "v1", "kind": kind, "name": owner, "uid": owner, "controller": true}]);
        object
    }

    #[test]
    fn old_and_new_are_told_apart_by_their_revision() {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}});
        let view = view_of(&[deployment(&rolling), set("b", "2", 3), set("a", "1", 4), set("c", "0", 0)]);
        let seen: Vec<_> = view.revisions.iter().map(|set| (set.name.as_str(), set.generation, set.current)).collect();
        assert_eq!(seen, [("a", Generation::Old, 4), ("b", Generation::New, 3)]);
        assert_eq!(view.bounds, Some(Bounds { surge: 2, total_max: 8, available_min: 5 }));
        assert_eq!((view.progress, view.total, view.updated), (Progress::Rolling, 7, 3));
    }

    #[test]
    fn two_zeros_let_one_pod_be_unavailable() {
        let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}});
        let view = view_of(&[deployment(&rolling), set("a", "1", 6)]);
        assert_eq!(view.bounds, Some(Bounds { surge: 0, total_max: 6, available_min: 5 }));
        assert_eq!(view.progress, Progress::Steady);
    }

    #[test]
    fn pods_that_say_what_they_are_made_from_are_told_apart() {
        let set = object(
            "apps/v1",
            "StatefulSet",
            "db",
            &json!({
                "spec": {"replicas": 3, "selector": {}, "serviceName": "db", "template": {},
                         "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}},
                "status": {"replicas": 3, "readyReplicas": 2, "availableReplicas": 2, "updatedReplicas": 1,
                           "currentRevision": "db-1", "updateRevision": "db-2"},
            }),
        );
        let pod = |name: &str, revision: &str| {
            let pod = object("v1", "Pod", name, &json!({"spec": {"containers": []}}));
            owned_by("StatefulSet", "db", &json!({REVISION_LABEL: revision}), pod)
        };
        let objects = [set, pod("db-0", "db-1"), pod("db-2", "db-2")];
        let view = view_by_name("db", &objects);
        let seen: Vec<_> = view.revisions.iter().map(|set| (set.name.as_str(), set.generation, set.current)).collect();
        assert_eq!(seen, [("db-1", Generation::Old, 2), ("db-2", Generation::New, 1)]);
        assert_eq!(view.bounds, Some(Bounds { surge: 0, total_max: 3, available_min: 2 }));
        assert_eq!(view.progress, Progress::Rolling);
        let etcd = store(&objects);
        let revisions = Revisions::of(&etcd);
        let places: Vec<_> = each::<Pod>(&etcd, None).map(|pod| revisions.place_of(pod)).collect();
        let place = |generation| Some(Place { workload: "db".to_owned(), generation });
        assert_eq!(places, [place(Generation::Old), place(Generation::New)]);
    }

    #[test]
    fn a_daemon_set_is_told_by_its_newest_revision() {
        let set = object(
            "apps/v1",
            "DaemonSet",
            "agent",
            &json!({
                "spec": {"selector": {}, "template": {}, "updateStrategy": {"type": "RollingUpdate",
                         "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}},
                "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 3, "numberReady": 3, "numberAvailable": 3,
                           "updatedNumberScheduled": 3, "numberMisscheduled": 0},
            }),
        );
        let revision = |name: &str, number: i64| {
            let revision = object("apps/v1", "ControllerRevision", name, &json!({"revision": number}));
            owned_by("DaemonSet", "agent", &json!({REVISION_LABEL: name}), revision)
        };
        let objects = [set, revision("a", 2), revision("b", 1)];
        let view = view_by_name("agent", &objects);
        assert_eq!((view.desired, view.total, view.progress), (3, 3, Progress::Steady));
        assert_eq!(view.bounds, Some(Bounds { surge: 0, total_max: 3, available_min: 2 }));
        assert_eq!(Revisions::of(&store(&objects)).newest.get("agent").map(String::as_str), Some("a"));
    }

    #[test]
    fn jobs_count_what_ended_and_are_drawn_with_their_cron_job() {
        let job = |name: &str, status: &Value| {
            let spec = json!({"completions": 4, "parallelism": 2, "template": {}});
            object("batch/v1", "Job", name, &json!({"spec": spec, "status": status}))
        };
        let condition = |type_: &str| json!({"succeeded": 1, "conditions": [{"type": type_, "status": "True"}]});
        let alone = |status: &Value| view_by_name("pi", &[job("pi", status)]);
        assert_eq!(alone(&json!({"succeeded": 1})).goal, Goal::Completions { succeeded: 1, wanted: 4 });
        assert_eq!(alone(&json!({"active": 2})).progress, Progress::Running);
        assert_eq!(alone(&condition("Complete")).progress, Progress::Complete);
        assert_eq!(alone(&condition("Failed")).progress, Progress::Failed);
        assert_eq!(alone(&condition("Suspended")).progress, Progress::Paused);

        let cron = object(
            "batch/v1",
            "CronJob",
            "tick",
            &json!({
                "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {}}}}, "status": {"active": [{}]},
            }),
        );
        let etcd = store(&[cron, owned_by("CronJob", "tick", &json!({}), job("tick-1", &json!({"active": 2})))]);
        let revisions = Revisions::of(&etcd);
        let views = views(&etcd, None, &Selector::everything(), &revisions);
        assert_eq!(views.keys().collect::<Vec<_>>(), ["tick"]);
        assert_eq!(views["tick"].goal, Goal::Schedule { schedule: "* * * * *".to_owned(), active: 1 });
        assert_eq!(revisions.place("tick-1").map(|place| place.workload.as_str()), Some("tick"));
    }
}
