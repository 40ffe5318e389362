//! ReplicationControllers. Follows `pkg/registry/core/replicationcontroller`, `ValidateReplicationController` and
//! `printReplicationController`.

use k8s_openapi::api::core::v1::{
    PodTemplateSpec, ReplicationController, ReplicationControllerSpec, ReplicationControllerStatus,
};
use serde_json::Value;

use super::pod::{defaults, validation, warnings::name_warning};
use crate::api::apps::{
    template_warnings, validate_at_most, validate_counts, validate_runs_for_ever, validate_selected,
};
use crate::api::check;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::{Selector, format_labels};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `SetDefaults_ReplicationController`: the template's labels are the selector and the labels, if it has none.
pub(crate) fn default(controller: &mut ReplicationController) {
    let spec = controller.spec.get_or_insert_default();
    spec.template.iter_mut().for_each(defaults::template);
    let template = spec.template.as_ref().and_then(|template| template.metadata.as_ref());
    if let Some(labels) = template.and_then(|metadata| metadata.labels.clone()) {
        if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
            spec.selector = Some(labels.clone());
        }
        if controller.metadata.labels.as_ref().is_none_or(|own| own.is_empty()) {
            controller.metadata.labels = Some(labels);
        }
    }
    spec.replicas.get_or_insert(1);
}

pub(crate) fn prepare_for_create(controller: &mut ReplicationController) {
    controller.status = Some(ReplicationControllerStatus::default());
    controller.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(
    new: &mut ReplicationController,
    old: &ReplicationController,
    subresource: Option<Subresource>,
) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateReplicationController`.
pub(crate) fn validate(controller: &ReplicationController) -> ErrorList {
    let mut errors = meta::validate(&controller.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, controller);
    errors
}

fn validate_spec(errors: &mut ErrorList, controller: &ReplicationController) {
    let missing = ReplicationControllerSpec::default();
    let spec = controller.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    check::not_negative(errors, &path.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    let selector = spec.selector.as_ref().filter(|selector| !selector.is_empty());
    if selector.is_none() {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    check::not_negative(errors, &path.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    let path = path.child("template");
    let Some(template) = &spec.template else {
        errors.push(FieldError::required(&path, ""));
        return;
    };
    if let Some(selector) = selector {
        validate_selected(errors, &path, &Selector::from_map(selector), template);
    }
    validation::validate_template(errors, &path, template);
    validate_runs_for_ever(errors, &path, template, "ReplicationController");
}

/// The strategies' `ValidateUpdate`.
pub(crate) fn validate_update(
    new: &ReplicationController,
    old: &ReplicationController,
    subresource: Option<Subresource>,
) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        validate_status(&mut errors, &new.status.clone().unwrap_or_default());
    } else {
        validate_spec(&mut errors, new);
    }
    errors
}

fn validate_status(errors: &mut ErrorList, status: &ReplicationControllerStatus) {
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

pub(crate) fn warnings(new: &ReplicationController, old: Option<&ReplicationController>) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    if old.is_none() {
        let name = new.metadata.name.as_deref();
        warnings.extend(name.and_then(|name| name_warning(name, "Pod names and hostnames")));
    }
    if old.is_none_or(|old| old.metadata.generation != new.metadata.generation) {
        // Upstream leaves `spec` out of this path.
        let template = new.spec.as_ref().and_then(|spec| spec.template.as_ref());
        warnings.extend(template_warnings(&Path::new("template"), template));
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Desired",
        "Replicas is the number of desired replicas. This is a pointer to distinguish between explicit zero and \
         unspecified. Defaults to 1. More info: \
         https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
    ),
    ColumnDefinition::integer(
        "Current",
        "Replicas is the most recently observed number of replicas. More info: \
         https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller#what-is-a-replicationcontroller",
    ),
    ColumnDefinition::integer("Ready", "The number of ready replicas for this replication controller."),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
    ColumnDefinition::text(
        "Selector",
        "Selector is a label query over pods that should match the Replicas count. If Selector is empty, it is defaulted \
         to the labels present on the Pod template. Label keys and values that must match in order to be controlled by \
         this replication controller, if empty defaulted to labels on Pod template. More info: \
         https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
    )
    .wide(),
];

pub(crate) fn row(controller: &ReplicationController, now: Time) -> Vec<Value> {
    let spec = controller.spec.clone().unwrap_or_default();
    let status = controller.status.clone().unwrap_or_default();
    let (names, images) = template_cells(spec.template.as_ref());
    vec![
        name_of(&controller.metadata),
        spec.replicas.unwrap_or(0).into(),
        status.replicas.into(),
        status.ready_replicas.unwrap_or(0).into(),
        age_of(&controller.metadata, now),
        names,
        images,
        format_labels(spec.selector.as_ref()).into(),
    ]
}

fn template_cells(template: Option<&PodTemplateSpec>) -> (Value, Value) {
    let spec = template.and_then(|template| template.spec.as_ref());
    container_cells(spec.map_or(&[][..], |spec| &spec.containers))
}
