//! ReplicaSets. Follows `pkg/registry/apps/replicaset`, `ValidateReplicaSet` and `printReplicaSet`.

use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetSpec, ReplicaSetStatus};
use serde_json::Value;

use super::{
    given, validate_at_most, validate_counts, validate_same_selector, validate_selector_and_template, workload_warnings,
};
use crate::api::check;
use crate::api::core::pod::defaults;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::labels::format_label_selector;
use crate::machinery::names;
use crate::machinery::time::Time;

/// `SetDefaults_ReplicaSet` and those of its template.
pub(crate) fn default(set: &mut ReplicaSet) {
    let spec = set.spec.get_or_insert_default();
    spec.replicas.get_or_insert(1);
    defaults::template(spec.template.get_or_insert_default());
}

pub(crate) fn prepare_for_create(set: &mut ReplicaSet) {
    set.status = Some(ReplicaSetStatus::default());
    set.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut ReplicaSet, old: &ReplicaSet, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateReplicaSet`.
pub(crate) fn validate(set: &ReplicaSet) -> ErrorList {
    let mut errors = meta::validate(&set.metadata, true, names::is_dns1123_subdomain);
    let missing = ReplicaSetSpec::default();
    let spec = set.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    check::not_negative(&mut errors, &path.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    check::not_negative(&mut errors, &path.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    validate_selector_and_template(&mut errors, &path, given(&spec.selector), spec.template.as_ref());
    errors
}

/// `ValidateReplicaSetUpdate` and, for the status, `ValidateReplicaSetStatusUpdate`.
pub(crate) fn validate_update(new: &ReplicaSet, old: &ReplicaSet, subresource: Option<Subresource>) -> ErrorList {
    if subresource == Some(Subresource::Status) {
        let mut errors = meta::validate_update(&new.metadata, &old.metadata);
        validate_status(&mut errors, &new.status.clone().unwrap_or_default());
        return errors;
    }
    let mut errors = validate(new);
    errors.extend(meta::validate_update(&new.metadata, &old.metadata));
    let (new, old) = (new.spec.as_ref().map(|spec| &spec.selector), old.spec.as_ref().map(|spec| &spec.selector));
    validate_same_selector(&mut errors, new.and_then(given), old.and_then(given));
    errors
}

fn validate_status(errors: &mut ErrorList, status: &ReplicaSetStatus) {
    let path = Path::new("status");
    let parts = [
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    validate_counts(errors, &path, &[("replicas", Some(status.replicas))]);
    validate_counts(errors, &path, &parts);
    check::not_negative(errors, &path.child("observedGeneration"), status.observed_generation.unwrap_or(0));
    validate_at_most(errors, &path, &parts, Some(status.replicas), "cannot be greater than status.replicas");
    let available = [("availableReplicas", status.available_replicas)];
    validate_at_most(errors, &path, &available, status.ready_replicas, "cannot be greater than readyReplicas");
}

pub(crate) fn warnings(new: &ReplicaSet, old: Option<&ReplicaSet>) -> Vec<String> {
    let template = new.spec.as_ref().and_then(|spec| spec.template.as_ref());
    match old {
        None => workload_warnings(new.metadata.name.as_deref(), template),
        Some(old) if old.metadata.generation != new.metadata.generation => workload_warnings(None, template),
        Some(_) => Vec::new(),
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Desired",
        "Replicas is the number of desired pods. This is a pointer to distinguish between explicit zero and \
         unspecified. Defaults to 1. More info: \
         https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
    ),
    ColumnDefinition::integer(
        "Current",
        "Replicas is the most recently observed number of non-terminating pods. More info: \
         https://kubernetes.io/docs/concepts/workloads/controllers/replicaset",
    ),
    ColumnDefinition::integer("Ready", "The number of non-terminating pods targeted by this ReplicaSet with a Ready \
                              Condition."),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
    ColumnDefinition::text(
        "Selector",
        "Selector is a label query over pods that should match the replica count. Label keys and values that must match \
         in order to be controlled by this replica set. It must match the pod template's labels. More info: \
         https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
    )
    .wide(),
];

pub(crate) fn row(set: &ReplicaSet, now: Time) -> Vec<Value> {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let containers = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let (names, images) = container_cells(containers.map_or(&[][..], |spec| &spec.containers));
    vec![
        name_of(&set.metadata),
        spec.replicas.unwrap_or(0).into(),
        status.replicas.into(),
        status.ready_replicas.unwrap_or(0).into(),
        age_of(&set.metadata, now),
        names,
        images,
        format_label_selector(Some(&spec.selector)).into(),
    ]
}
