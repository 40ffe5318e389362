//! Workloads as the graph shows them: how many pods are wanted and there, old beside new, within which bounds.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::{Deserialize, Serialize};

use crate::api::{Kind, Resource as _, controller_of};
use crate::etcd::Etcd;
use crate::machinery::intstr::{Round, scaled_value};
use crate::machinery::labels::Selector;
use crate::machinery::order::Order as _;

use super::pod::Generation;

/// Which revision of its Deployment a ReplicaSet is (`deployment.kubernetes.io/revision`).
const REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";

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
    /// Roll-outs are paused.
    Paused,
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

/// A ReplicaSet of a Deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionView {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its number in the Deployment's history.
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

/// A Deployment, or a ReplicaSet on its own.
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
    /// `RollingUpdate` or `Recreate`; empty for a ReplicaSet.
    pub strategy: String,
    /// What a rolling update must keep to.
    pub bounds: Option<Bounds>,
    /// How it fares.
    pub progress: Progress,
    /// Its ReplicaSets that have pods or should have some, and the newest; oldest first.
    pub revisions: Vec<RevisionView>,
    /// The images of its template.
    pub images: Vec<String>,
}

/// Where the pods of a ReplicaSet are drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The uid of the workload that they belong to.
    pub workload: String,
    /// Which template they are of.
    pub generation: Generation,
}

/// The ReplicaSets of all Deployments, told apart as newest and older.
#[derive(Clone, Debug, Default)]
pub struct Revisions {
    places: BTreeMap<String, Place>,
}

impl Revisions {
    /// Reads them from the store.
    #[must_use]
    pub fn of(etcd: &Etcd) -> Self {
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        let mut owned: Vec<(&str, &str, i64)> = Vec::new();
        for (_, object) in etcd.range(Kind::ReplicaSet, None) {
            let Some(set) = object.downcast::<ReplicaSet>() else { continue };
            if let Some(owner) = deployment_of(set) {
                let revision = revision_of(set);
                let most = newest.entry(&owner.uid).or_insert(revision);
                *most = revision.max(*most);
                owned.push((set.uid(), &owner.uid, revision));
            }
        }
        let places = owned.into_iter().map(|(set, deployment, revision)| {
            let generation = if newest.get(deployment) == Some(&revision) { Generation::New } else { Generation::Old };
            (set.to_owned(), Place { workload: deployment.to_owned(), generation })
        });
        Self { places: places.collect() }
    }

    /// Where the pods of the ReplicaSet with this uid belong, when a Deployment owns it.
    #[must_use]
    pub fn place(&self, replica_set: &str) -> Option<&Place> {
        self.places.get(replica_set)
    }
}

fn deployment_of(set: &ReplicaSet) -> Option<&OwnerReference> {
    controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")
}

fn revision_of(set: &ReplicaSet) -> i64 {
    let annotations = set.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(REVISION_ANNOTATION)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// All workloads that pass the filter, by uid.
#[must_use]
pub fn views(
    etcd: &Etcd,
    namespace: Option<&str>,
    selector: &Selector,
    revisions: &Revisions,
) -> BTreeMap<String, WorkloadView> {
    let mut views = BTreeMap::new();
    for (_, object) in etcd.range(Kind::Deployment, namespace) {
        let Some(deployment) = object.downcast::<Deployment>() else { continue };
        let template = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
        if selector.matches(&deployment.metadata.labels)
            || template.is_some_and(|metadata| selector.matches(&metadata.labels))
        {
            views.insert(deployment.uid().to_owned(), deployment_view(deployment, etcd, revisions));
        }
    }
    for (_, object) in etcd.range(Kind::ReplicaSet, namespace) {
        let Some(set) = object.downcast::<ReplicaSet>() else { continue };
        let orphan = deployment_of(set).is_none_or(|owner| !owns(etcd, set.namespace(), owner));
        if orphan && selector.matches(&set.metadata.labels) {
            views.insert(set.uid().to_owned(), replica_set_view(set));
        }
    }
    views
}

/// Whether the Deployment that a reference names is still there.
fn owns(etcd: &Etcd, namespace: &str, owner: &OwnerReference) -> bool {
    let key = crate::api::ObjectKey::new(namespace, &*owner.name);
    etcd.get(Kind::Deployment, &key).is_some_and(|deployment| deployment.uid() == owner.uid)
}

fn deployment_view(deployment: &Deployment, etcd: &Etcd, revisions: &Revisions) -> WorkloadView {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let desired = spec.replicas.unwrap_or(1);
    let sets: Vec<_> = etcd
        .range(Kind::ReplicaSet, Some(deployment.namespace()))
        .filter_map(|(_, object)| object.downcast::<ReplicaSet>())
        .filter(|set| deployment_of(set).is_some_and(|owner| owner.uid == deployment.uid()))
        .collect();
    let mut views: Vec<RevisionView> = sets.iter().map(|set| revision_view(set, revisions)).collect();
    views.retain(|view| view.desired > 0 || view.current > 0 || view.generation == Generation::New);
    views.order_by(|left, right| (left.revision, &left.name).cmp(&(right.revision, &right.name)));
    let total = views.iter().map(|view| view.current).sum();
    let updated = views.iter().filter(|view| view.generation == Generation::New).map(|view| view.current).sum();
    let available = status.available_replicas.unwrap_or(0);
    let strategy = spec.strategy.as_ref().and_then(|strategy| strategy.type_.clone()).unwrap_or_default();
    let deadline_exceeded = status.conditions.iter().flatten().any(|condition| {
        condition.type_ == "Progressing" && condition.reason.as_deref() == Some("ProgressDeadlineExceeded")
    });
    let is_old = |view: &RevisionView| view.generation == Generation::Old;
    let progress = if deadline_exceeded {
        Progress::Stuck
    } else if spec.paused == Some(true) {
        Progress::Paused
    } else if views.iter().any(is_old) || status.observed_generation < deployment.metadata.generation {
        Progress::Rolling
    } else if total != desired || available != desired {
        Progress::Scaling
    } else {
        Progress::Steady
    };
    WorkloadView {
        kind: "Deployment".to_owned(),
        namespace: deployment.namespace().to_owned(),
        name: deployment.name().to_owned(),
        desired,
        total,
        updated,
        ready: status.ready_replicas.unwrap_or(0),
        available,
        bounds: bounds(&spec, desired),
        strategy,
        progress,
        revisions: views,
        images: images(spec.template.spec.as_ref()),
    }
}

/// The bounds of a rolling update: `ResolveFenceposts`, where both at zero means one may be unavailable.
fn bounds(spec: &k8s_openapi::api::apps::v1::DeploymentSpec, desired: i32) -> Option<Bounds> {
    let rolling = spec.strategy.as_ref()?.rolling_update.as_ref()?;
    let surge = scaled_value(rolling.max_surge.as_ref()?, desired, Round::Up).ok()?;
    let mut unavailable = scaled_value(rolling.max_unavailable.as_ref()?, desired, Round::Down).ok()?;
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    Some(Bounds {
        surge,
        total_max: desired.saturating_add(surge),
        available_min: desired.saturating_sub(unavailable).max(0),
    })
}

fn revision_view(set: &ReplicaSet, revisions: &Revisions) -> RevisionView {
    let status = set.status.clone().unwrap_or_default();
    let spec = set.spec.as_ref();
    RevisionView {
        uid: set.uid().to_owned(),
        name: set.name().to_owned(),
        revision: revision_of(set),
        generation: revisions.place(set.uid()).map_or(Generation::Only, |place| place.generation),
        desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        current: status.replicas,
        ready: status.ready_replicas.unwrap_or(0),
        images: images(spec.and_then(|spec| spec.template.as_ref()).and_then(|template| template.spec.as_ref())),
    }
}

fn replica_set_view(set: &ReplicaSet) -> WorkloadView {
    let view = revision_view(set, &Revisions::default());
    let available = set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let steady = view.current == view.desired && available == view.desired;
    WorkloadView {
        kind: "ReplicaSet".to_owned(),
        namespace: set.namespace().to_owned(),
        name: set.name().to_owned(),
        desired: view.desired,
        total: view.current,
        updated: view.current,
        ready: view.ready,
        available,
        strategy: String::new(),
        bounds: None,
        progress: if steady { Progress::Steady } else { Progress::Scaling },
        revisions: Vec::new(),
        images: view.images,
    }
}

fn images(pod: Option<&k8s_openapi::api::core::v1::PodSpec>) -> Vec<String> {
    let containers = pod.map(|pod| pod.containers.as_slice()).unwrap_or_default();
    containers.iter().map(|container| container.image.clone().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::scene::tests::store;

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
        let etcd = store(objects);
        let views = views(&etcd, None, &Selector::everything(), &Revisions::of(&etcd));
        views.get("web").expect("the Deployment is seen").clone()
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
}
