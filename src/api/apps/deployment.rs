//! Deployments. Follows `pkg/registry/apps/deployment`, `ValidateDeployment` and `printDeployment`.

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStatus, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{
    given, number_of, validate_at_most, validate_collisions, validate_counts, validate_int_or_percent,
    validate_not_above_all, validate_same_selector, validate_selector_and_template, workload_warnings,
};
use crate::api::check::{self, text};
use crate::api::core::pod::defaults;
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::format_label_selector;
use crate::machinery::names;
use crate::machinery::time::Time;

/// `SetDefaults_Deployment` and those of its template.
pub(crate) fn default(deployment: &mut Deployment) {
    let spec = deployment.spec.get_or_insert_default();
    defaults::template(&mut spec.template);
    spec.replicas.get_or_insert(1);
    let strategy = spec.strategy.get_or_insert_default();
    defaults::text_or(&mut strategy.type_, "RollingUpdate");
    if text(&strategy.type_) == "RollingUpdate" {
        let rolling = strategy.rolling_update.get_or_insert_default();
        let quarter = || IntOrString::String("25%".to_owned());
        rolling.max_unavailable.get_or_insert_with(quarter);
        rolling.max_surge.get_or_insert_with(quarter);
    }
    spec.revision_history_limit.get_or_insert(10);
    spec.progress_deadline_seconds.get_or_insert(600);
}

pub(crate) fn prepare_for_create(deployment: &mut Deployment) {
    deployment.status = Some(DeploymentStatus::default());
    deployment.metadata.generation = Some(1);
}

/// The generation counts changes of the spec and of annotations.
pub(crate) fn prepare_for_update(new: &mut Deployment, old: &Deployment, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        new.metadata.labels.clone_from(&old.metadata.labels);
        return;
    }
    new.status.clone_from(&old.status);
    let annotations = |deployment: &Deployment| deployment.metadata.annotations.clone().unwrap_or_default();
    if !semantic_equal(&new.spec, &old.spec) || annotations(new) != annotations(old) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateDeployment`.
pub(crate) fn validate(deployment: &Deployment) -> ErrorList {
    let mut errors = meta::validate(&deployment.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, deployment);
    errors
}

fn validate_spec(errors: &mut ErrorList, deployment: &Deployment) {
    let missing = DeploymentSpec::default();
    let spec = deployment.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    check::not_negative(errors, &path.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    validate_selector_and_template(errors, &path, given(&spec.selector), Some(&spec.template));
    validate_strategy(errors, &path.child("strategy"), spec.strategy.as_ref());
    let min_ready = spec.min_ready_seconds.unwrap_or(0);
    check::not_negative(errors, &path.child("minReadySeconds"), i64::from(min_ready));
    if let Some(limit) = spec.revision_history_limit {
        check::not_negative(errors, &path.child("revisionHistoryLimit"), i64::from(limit));
    }
    if let Some(seconds) = spec.progress_deadline_seconds {
        let at = path.child("progressDeadlineSeconds");
        check::not_negative(errors, &at, i64::from(seconds));
        if seconds <= min_ready {
            errors.push(FieldError::invalid(&at, seconds, "must be greater than minReadySeconds"));
        }
    }
}

/// `ValidateDeploymentStrategy`.
fn validate_strategy(errors: &mut ErrorList, path: &Path, strategy: Option<&DeploymentStrategy>) {
    let missing = DeploymentStrategy::default();
    let strategy = strategy.unwrap_or(&missing);
    let at = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("Recreate", Some(_)) => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden(&at, detail));
        }
        ("Recreate", None) => {}
        ("RollingUpdate", None) => {
            errors.push(FieldError::required(&at, "this should be defaulted and never be nil"));
        }
        ("RollingUpdate", Some(rolling)) => validate_rolling_update(errors, &at, rolling),
        _ => {
            let shown = internal::dump("DeploymentStrategy", &check::json(strategy));
            errors.push(FieldError::not_supported(path, shown, &["Recreate", "RollingUpdate"]));
        }
    }
}

/// `ValidateRollingUpdateDeployment`.
fn validate_rolling_update(errors: &mut ErrorList, path: &Path, rolling: &RollingUpdateDeployment) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    let at = path.child("maxUnavailable");
    validate_int_or_percent(errors, &at, unavailable);
    validate_int_or_percent(errors, &path.child("maxSurge"), surge);
    if number_of(unavailable) == 0 && number_of(surge) == 0 {
        let detail = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(&at, check::json(unavailable), detail));
    }
    validate_not_above_all(errors, &at, unavailable);
}

/// `ValidateDeploymentUpdate` and, for the status, `ValidateDeploymentStatusUpdate`.
pub(crate) fn validate_update(new: &Deployment, old: &Deployment, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        validate_status(&mut errors, new, old);
        return errors;
    }
    validate_spec(&mut errors, new);
    let (new, old) = (new.spec.as_ref().map(|spec| &spec.selector), old.spec.as_ref().map(|spec| &spec.selector));
    validate_same_selector(&mut errors, new.and_then(given), old.and_then(given));
    errors
}

fn validate_status(errors: &mut ErrorList, new: &Deployment, old: &Deployment) {
    let (status, before) = (new.status.clone().unwrap_or_default(), old.status.clone().unwrap_or_default());
    let path = Path::new("status");
    check::not_negative(errors, &path.child("observedGeneration"), status.observed_generation.unwrap_or(0));
    validate_counts(
        errors,
        &path,
        &[
            ("replicas", status.replicas),
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
            ("unavailableReplicas", status.unavailable_replicas),
            ("collisionCount", status.collision_count),
        ],
    );
    let parts = [
        ("updatedReplicas", status.updated_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    validate_at_most(errors, &path, &parts, status.replicas, "cannot be greater than status.replicas");
    let available = [("availableReplicas", status.available_replicas)];
    validate_at_most(errors, &path, &available, status.ready_replicas, "cannot be greater than readyReplicas");
    validate_collisions(errors, status.collision_count, before.collision_count);
}

pub(crate) fn warnings(new: &Deployment, old: Option<&Deployment>) -> Vec<String> {
    let template = new.spec.as_ref().map(|spec| &spec.template);
    match old {
        None => workload_warnings(new.metadata.name.as_deref(), template),
        Some(old) if old.metadata.generation != new.metadata.generation => workload_warnings(None, template),
        Some(_) => Vec::new(),
    }
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Ready", "Number of the pod with ready state"),
    ColumnDefinition::text(
        "Up-to-date",
        "Total number of non-terminating pods targeted by this deployment that have the desired template spec.",
    ),
    ColumnDefinition::text(
        "Available",
        "Total number of available non-terminating pods (ready for at least minReadySeconds) targeted by this \
         deployment.",
    ),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
    ColumnDefinition::text(
        "Selector",
        "Label selector for pods. Existing ReplicaSets whose pods are selected by this will be the ones affected by \
         this deployment. It must match the pod template's labels.",
    )
    .wide(),
];

pub(crate) fn row(deployment: &Deployment, now: Time) -> Vec<Value> {
    let spec = deployment.spec.clone().unwrap_or_default();
    let status = deployment.status.clone().unwrap_or_default();
    let containers = spec.template.spec.as_ref().map_or(&[][..], |spec| &spec.containers);
    let (names, images) = container_cells(containers);
    vec![
        name_of(&deployment.metadata),
        format!("{}/{}", status.ready_replicas.unwrap_or(0), spec.replicas.unwrap_or(0)).into(),
        status.updated_replicas.unwrap_or(0).into(),
        status.available_replicas.unwrap_or(0).into(),
        age_of(&deployment.metadata, now),
        names,
        images,
        format_label_selector(Some(&spec.selector)).into(),
    ]
}
