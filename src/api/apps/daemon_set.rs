//! DaemonSets. Follows `pkg/registry/apps/daemonset`, `ValidateDaemonSet` and `printDaemonSet`.

use k8s_openapi::api::apps::v1::{
    DaemonSet, DaemonSetSpec, DaemonSetStatus, DaemonSetUpdateStrategy, RollingUpdateDaemonSet,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{
    given, number_of, template_warnings, validate_collisions, validate_counts, validate_int_or_percent,
    validate_not_above_all, validate_runs_for_ever, validate_same_selector, validate_selected,
};
use crate::api::check::{self, text};
use crate::api::core::pod::{defaults, validation};
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::{Selector, format_label_selector, format_labels};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `DeprecatedTemplateGeneration`: counts changes of the template. The internal type has a field for it.
pub(crate) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// `SetDefaults_DaemonSet` and those of its template.
pub(crate) fn default(set: &mut DaemonSet) {
    let spec = set.spec.get_or_insert_default();
    defaults::template(&mut spec.template);
    let strategy = spec.update_strategy.get_or_insert_default();
    defaults::text_or(&mut strategy.type_, "RollingUpdate");
    if text(&strategy.type_) == "RollingUpdate" {
        let rolling = strategy.rolling_update.get_or_insert_default();
        rolling.max_unavailable.get_or_insert(IntOrString::Int(1));
        rolling.max_surge.get_or_insert(IntOrString::Int(0));
    }
    spec.revision_history_limit.get_or_insert(10);
}

/// How often the template was changed; 0 when nobody counted.
pub(crate) fn template_generation(metadata: &ObjectMeta) -> i64 {
    let annotation = metadata.annotations.as_ref().and_then(|annotations| annotations.get(TEMPLATE_GENERATION));
    annotation.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn set_template_generation(metadata: &mut ObjectMeta, count: i64) {
    metadata.annotations.get_or_insert_default().insert(TEMPLATE_GENERATION.to_owned(), count.to_string());
}

pub(crate) fn prepare_for_create(set: &mut DaemonSet) {
    set.status = Some(DaemonSetStatus::default());
    set.metadata.generation = Some(1);
    let count = template_generation(&set.metadata).max(1);
    set_template_generation(&mut set.metadata, count);
}

pub(crate) fn prepare_for_update(new: &mut DaemonSet, old: &DaemonSet, subresource: Option<Subresource>) {
    let count = template_generation(&old.metadata);
    set_template_generation(&mut new.metadata, count);
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    let template = |set: &DaemonSet| set.spec.as_ref().map(|spec| spec.template.clone());
    if !semantic_equal(&template(new), &template(old)) {
        set_template_generation(&mut new.metadata, count + 1);
    }
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateDaemonSet`.
pub(crate) fn validate(set: &DaemonSet) -> ErrorList {
    let mut errors = meta::validate(&set.metadata, true, names::is_dns1123_subdomain);
    validate_spec(&mut errors, set);
    errors
}

/// `ValidateDaemonSetSpec`. Unlike other workloads, a DaemonSet may lack its selector, which then selects nothing.
fn validate_spec(errors: &mut ErrorList, set: &DaemonSet) {
    let missing = DaemonSetSpec::default();
    let spec = set.spec.as_ref().unwrap_or(&missing);
    let path = Path::new("spec");
    let (selector, at) = (given(&spec.selector), path.child("selector"));
    check::label_selector(errors, &at, selector);
    let template = path.child("template");
    if let Ok(selector) = Selector::from_label_selector(selector) {
        validate_selected(errors, &template, &selector, &spec.template);
    }
    if let Some(selector) = selector.filter(|selector| check::selector_is_empty(selector)) {
        let shown = check::selector_json(Some(selector));
        errors.push(FieldError::invalid(&at, shown, "empty selector is invalid for daemonset"));
    }
    validation::validate_template(errors, &template, &spec.template);
    validate_runs_for_ever(errors, &template, &spec.template, "DaemonSet");
    check::not_negative(errors, &path.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    check::not_negative(errors, &path.child("templateGeneration"), template_generation(&set.metadata));
    validate_strategy(errors, &path.child("updateStrategy"), spec.update_strategy.as_ref());
    if let Some(limit) = spec.revision_history_limit {
        check::not_negative(errors, &path.child("revisionHistoryLimit"), i64::from(limit));
    }
}

/// `ValidateDaemonSetUpdateStrategy`.
fn validate_strategy(errors: &mut ErrorList, path: &Path, strategy: Option<&DaemonSetUpdateStrategy>) {
    let missing = DaemonSetUpdateStrategy::default();
    let strategy = strategy.unwrap_or(&missing);
    let at = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("OnDelete", _) => {}
        ("RollingUpdate", None) => errors.push(FieldError::required(&at, "")),
        ("RollingUpdate", Some(rolling)) => validate_rolling_update(errors, &at, rolling),
        _ => {
            let shown = internal::dump("DaemonSetUpdateStrategy", &check::json(strategy));
            errors.push(FieldError::not_supported(path, shown, &["RollingUpdate", "OnDelete"]));
        }
    }
}

/// `ValidateRollingUpdateDaemonSet`: exactly one of the two must not be zero.
fn validate_rolling_update(errors: &mut ErrorList, path: &Path, rolling: &RollingUpdateDaemonSet) {
    let zero = IntOrString::Int(0);
    let unavailable = rolling.max_unavailable.as_ref().unwrap_or(&zero);
    let surge = rolling.max_surge.as_ref().unwrap_or(&zero);
    let (at_unavailable, at_surge) = (path.child("maxUnavailable"), path.child("maxSurge"));
    validate_int_or_percent(errors, &at_unavailable, unavailable);
    validate_int_or_percent(errors, &at_surge, surge);
    validate_not_above_all(errors, &at_unavailable, unavailable);
    validate_not_above_all(errors, &at_surge, surge);
    match (number_of(unavailable) != 0, number_of(surge) != 0) {
        (true, true) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            errors.push(FieldError::invalid(&at_surge, check::json(surge), detail));
        }
        (false, false) => errors.push(FieldError::required(&at_unavailable, "cannot be 0 when maxSurge is 0")),
        _ => {}
    }
}

/// The strategy's `ValidateUpdate` and, for the status, `ValidateDaemonSetStatusUpdate`.
pub(crate) fn validate_update(new: &DaemonSet, old: &DaemonSet, subresource: Option<Subresource>) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    if subresource == Some(Subresource::Status) {
        let status = new.status.clone().unwrap_or_default();
        validate_status(&mut errors, &status);
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        validate_collisions(&mut errors, status.collision_count, before);
        return errors;
    }
    validate_spec(&mut errors, new);
    let (new, old) = (new.spec.as_ref().map(|spec| &spec.selector), old.spec.as_ref().map(|spec| &spec.selector));
    validate_same_selector(&mut errors, new.and_then(given), old.and_then(given));
    errors
}

fn validate_status(errors: &mut ErrorList, status: &DaemonSetStatus) {
    let path = Path::new("status");
    validate_counts(
        errors,
        &path,
        &[
            ("currentNumberScheduled", Some(status.current_number_scheduled)),
            ("numberMisscheduled", Some(status.number_misscheduled)),
            ("desiredNumberScheduled", Some(status.desired_number_scheduled)),
            ("numberReady", Some(status.number_ready)),
        ],
    );
    check::not_negative(errors, &path.child("observedGeneration"), status.observed_generation.unwrap_or(0));
    validate_counts(
        errors,
        &path,
        &[
            ("updatedNumberScheduled", status.updated_number_scheduled),
            ("numberAvailable", status.number_available),
            ("numberUnavailable", status.number_unavailable),
            ("collisionCount", status.collision_count),
        ],
    );
}

pub(crate) fn warnings(new: &DaemonSet, old: Option<&DaemonSet>) -> Vec<String> {
    if old.is_some_and(|old| template_generation(&old.metadata) == template_generation(&new.metadata)) {
        return Vec::new();
    }
    let template = new.spec.as_ref().map(|spec| &spec.template);
    template_warnings(&Path::new("spec").child("template"), template)
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::integer(
        "Desired",
        "The total number of nodes that should be running the daemon pod (including nodes correctly running the daemon \
         pod). More info: https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
    ),
    ColumnDefinition::integer(
        "Current",
        "The number of nodes that are running at least 1 daemon pod and are supposed to run the daemon pod. More info: \
         https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/",
    ),
    ColumnDefinition::integer(
        "Ready",
        "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and \
         ready.",
    ),
    ColumnDefinition::integer("Up-to-date", "The total number of nodes that are running updated daemon pod"),
    ColumnDefinition::integer(
        "Available",
        "The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and \
         available (ready for at least spec.minReadySeconds)",
    ),
    ColumnDefinition::text(
        "Node Selector",
        "NodeSelector is a selector which must be true for the pod to fit on a node. Selector which must match a node's \
         labels for the pod to be scheduled on that node. More info: \
         https://kubernetes.io/docs/concepts/configuration/assign-pod-node/",
    ),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
    ColumnDefinition::text(
        "Selector",
        "A label query over pods that are managed by the daemon set. Must match in order to be controlled. If empty, \
         defaulted to labels on Pod template. More info: \
         https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors",
    )
    .wide(),
];

pub(crate) fn row(set: &DaemonSet, now: Time) -> Vec<Value> {
    let spec = set.spec.clone().unwrap_or_default();
    let status = set.status.clone().unwrap_or_default();
    let pod = spec.template.spec.as_ref();
    let (names, images) = container_cells(pod.map_or(&[][..], |pod| &pod.containers));
    vec![
        name_of(&set.metadata),
        status.desired_number_scheduled.into(),
        status.current_number_scheduled.into(),
        status.number_ready.into(),
        status.updated_number_scheduled.unwrap_or(0).into(),
        status.number_available.unwrap_or(0).into(),
        format_labels(pod.and_then(|pod| pod.node_selector.as_ref())).into(),
        age_of(&set.metadata, now),
        names,
        images,
        format_label_selector(Some(&spec.selector)).into(),
    ]
}
