//! StatefulSets and DaemonSets: their pods have their names or nodes, and say which template they are made from.

use k8s_openapi::api::apps::v1::{DaemonSet, StatefulSet};

use crate::api::Resource as _;
use crate::machinery::intstr::{Round, scaled_value};
use crate::view::pod::Generation;

use super::{Bounds, Progress, RevisionView, WorkloadView, empty};

/// The view of a StatefulSet. Which pods below its partition stay old on purpose is not told apart.
pub(super) fn stateful_set_view(set: &StatefulSet) -> WorkloadView {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let desired = spec.replicas.unwrap_or(1);
    let old = status.current_revision.unwrap_or_default();
    let new = status.update_revision.unwrap_or_default();
    // When both are one revision, `updatedReplicas` counts nothing.
    let updated = if old == new { status.replicas } else { status.updated_replicas.unwrap_or(0) };
    let rolling = strategy.rolling_update.as_ref();
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let unavailable = unavailable.and_then(|value| scaled_value(value, desired, Round::Down).ok()).unwrap_or(1).max(1);
    rolling_out(
        WorkloadView {
            desired,
            total: status.replicas,
            updated,
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
            bounds: rolling.map(|_| Bounds::of(desired, 0, unavailable)),
            strategy: strategy.type_.unwrap_or_default(),
            ..empty(set, spec.template.spec.as_ref())
        },
        (old, new),
        status.observed_generation != set.metadata.generation,
    )
}

/// The view of a DaemonSet.
pub(super) fn daemon_set_view(set: &DaemonSet) -> WorkloadView {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let strategy = spec.update_strategy.clone().unwrap_or_default();
    let desired = status.desired_number_scheduled;
    let rolling = strategy.rolling_update.as_ref();
    let bounds = rolling.and_then(|rolling| {
        let surge = scaled_value(rolling.max_surge.as_ref()?, desired, Round::Up).ok()?;
        let unavailable = scaled_value(rolling.max_unavailable.as_ref()?, desired, Round::Up).ok()?;
        Some(Bounds::of(desired, surge, unavailable))
    });
    rolling_out(
        WorkloadView {
            desired,
            total: status.current_number_scheduled,
            updated: status.updated_number_scheduled.unwrap_or(0),
            ready: status.number_ready,
            available: status.number_available.unwrap_or(0),
            bounds,
            strategy: strategy.type_.unwrap_or_default(),
            ..empty(set, spec.template.spec.as_ref())
        },
        (String::new(), set.name().to_owned()),
        status.observed_generation != set.metadata.generation,
    )
}

/// What follows from the numbers: the two templates, and how the workload fares.
fn rolling_out(view: WorkloadView, (old, new): (String, String), unseen: bool) -> WorkloadView {
    let outdated = (view.total - view.updated).max(0);
    let revision = |name: String, number: i64, generation: Generation, current: i32| RevisionView {
        name,
        revision: number,
        generation,
        desired: view.desired,
        current,
        ready: 0,
        images: view.images.clone(),
    };
    let mut revisions = Vec::new();
    if outdated > 0 {
        revisions.push(revision(old, 1, Generation::Old, outdated));
    }
    revisions.push(revision(new, 2, Generation::New, view.updated));
    let progress = if outdated > 0 || unseen {
        Progress::Rolling
    } else if view.total != view.desired || view.available != view.desired {
        Progress::Scaling
    } else {
        Progress::Steady
    };
    WorkloadView { revisions, progress, ..view }
}
