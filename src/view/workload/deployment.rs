//! Deployments with their ReplicaSets, and what counts pods without roll-outs.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, ReplicaSet};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::api::{Resource as _, controller_of};
use crate::etcd::Etcd;
use crate::machinery::intstr::{Round, scaled_value};
use crate::machinery::order::Order as _;
use crate::view::pod::Generation;

use super::{Bounds, Place, Progress, REVISION_ANNOTATION, RevisionView, Revisions, WorkloadView, each, empty, images};

/// Where the pods of each Deployment's ReplicaSets belong, by the ReplicaSet's uid.
pub(super) fn places(etcd: &Etcd) -> BTreeMap<String, Place> {
    let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut owned: Vec<(&str, &str, i64)> = Vec::new();
    for set in each::<ReplicaSet>(etcd, None) {
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
    places.collect()
}

fn deployment_of(set: &ReplicaSet) -> Option<&OwnerReference> {
    controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")
}

fn revision_of(set: &ReplicaSet) -> i64 {
    let annotations = set.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(REVISION_ANNOTATION)).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The view of a Deployment.
pub(super) fn view(deployment: &Deployment, etcd: &Etcd, revisions: &Revisions) -> WorkloadView {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let desired = spec.replicas.unwrap_or(1);
    let mut views: Vec<RevisionView> = each::<ReplicaSet>(etcd, Some(deployment.namespace()))
        .filter(|set| deployment_of(set).is_some_and(|owner| owner.uid == deployment.uid()))
        .map(|set| revision_view(set, revisions))
        .collect();
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
        desired,
        total,
        updated,
        ready: status.ready_replicas.unwrap_or(0),
        available,
        bounds: bounds(&spec, desired),
        strategy,
        progress,
        revisions: views,
        ..empty(deployment, spec.template.spec.as_ref())
    }
}

/// The bounds of a rolling update: `ResolveFenceposts`, where both at zero means one may be unavailable.
fn bounds(spec: &DeploymentSpec, desired: i32) -> Option<Bounds> {
    let rolling = spec.strategy.as_ref()?.rolling_update.as_ref()?;
    let surge = scaled_value(rolling.max_surge.as_ref()?, desired, Round::Up).ok()?;
    let unavailable = scaled_value(rolling.max_unavailable.as_ref()?, desired, Round::Down).ok()?;
    Some(Bounds::of(desired, surge, if surge == 0 { unavailable.max(1) } else { unavailable }))
}

fn revision_view(set: &ReplicaSet, revisions: &Revisions) -> RevisionView {
    let status = set.status.clone().unwrap_or_default();
    let spec = set.spec.as_ref();
    RevisionView {
        name: set.name().to_owned(),
        revision: revision_of(set),
        generation: revisions.place(set.uid()).map_or(Generation::Only, |place| place.generation),
        desired: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        current: status.replicas,
        ready: status.ready_replicas.unwrap_or(0),
        images: images(spec.and_then(|spec| spec.template.as_ref()).and_then(|template| template.spec.as_ref())),
    }
}

/// The view of a ReplicaSet that no Deployment owns.
pub(super) fn replica_set_view(set: &ReplicaSet) -> WorkloadView {
    let view = revision_view(set, &Revisions::default());
    let available = set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0);
    let template = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
    let counted = (view.desired, view.current, view.ready, available);
    counting(counted, empty(set, template.and_then(|template| template.spec.as_ref())))
}

/// The view of a ReplicationController.
pub(super) fn replication_controller_view(controller: &ReplicationController) -> WorkloadView {
    let spec = controller.spec.clone().unwrap_or_default();
    let status = controller.status.clone().unwrap_or_default();
    let (ready, available) = (status.ready_replicas.unwrap_or(0), status.available_replicas.unwrap_or(0));
    let template = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    counting((spec.replicas.unwrap_or(1), status.replicas, ready, available), empty(controller, template))
}

/// A workload without roll-outs, which has so many pods: wanted, there, ready and available ones.
fn counting((desired, total, ready, available): (i32, i32, i32, i32), view: WorkloadView) -> WorkloadView {
    let steady = total == desired && available == desired;
    let progress = if steady { Progress::Steady } else { Progress::Scaling };
    WorkloadView { desired, total, updated: total, ready, available, progress, ..view }
}
