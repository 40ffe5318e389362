//! StatefulSets. Follows `pkg/registry/apps/statefulset`, `ValidateStatefulSet` and `printStatefulSet`.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, PodTemplateSpec, Volume};
use serde_json::Value;

use super::{
    given, template_warnings, validate_at_most, validate_collisions, validate_counts, validate_runs_for_ever,
    validate_selected,
};
use crate::api::check::{self, has_text, list, text};
use crate::api::core::claim;
use crate::api::core::pod::{defaults, validation};
use crate::api::form::semantic_equal;
use crate::api::kind::Subresource;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of, container_cells, name_of};
use crate::api::{internal, meta};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::labels::Selector;
use crate::machinery::names;
use crate::machinery::time::Time;

/// `SetDefaults_StatefulSet` and those of its templates.
pub(crate) fn default(set: &mut StatefulSet) {
    let spec = set.spec.get_or_insert_default();
    defaults::template(&mut spec.template);
    spec.volume_claim_templates.iter_mut().flatten().for_each(default_claim);
    defaults::text_or(&mut spec.pod_management_policy, "OrderedReady");
    let strategy = spec.update_strategy.get_or_insert_default();
    if !has_text(&strategy.type_) {
        strategy.type_ = Some("RollingUpdate".to_owned());
        strategy.rolling_update.get_or_insert_default();
    }
    if text(&strategy.type_) == "RollingUpdate"
        && let Some(rolling) = &mut strategy.rolling_update
    {
        rolling.partition.get_or_insert(0);
    }
    let policy = spec.persistent_volume_claim_retention_policy.get_or_insert_default();
    defaults::text_or(&mut policy.when_deleted, "Retain");
    defaults::text_or(&mut policy.when_scaled, "Retain");
    spec.replicas.get_or_insert(1);
    spec.revision_history_limit.get_or_insert(10);
    spec.service_name.get_or_insert_default();
}

/// `SetDefaults_PersistentVolumeClaim` of a template.
fn default_claim(claim: &mut PersistentVolumeClaim) {
    let spec = claim.spec.get_or_insert_default();
    defaults::text_or(&mut spec.volume_mode, "Filesystem");
    let resources = spec.resources.get_or_insert_default();
    resources.limits.iter_mut().chain(resources.requests.iter_mut()).for_each(defaults::round_up);
    defaults::text_or(&mut claim.status.get_or_insert_default().phase, "Pending");
}

pub(crate) fn prepare_for_create(set: &mut StatefulSet) {
    set.status = Some(StatefulSetStatus::default());
    set.metadata.generation = Some(1);
    drop_disabled_fields(set, None);
}

/// `maxUnavailable` belongs to a feature that is off, so that it is dropped unless it is in use already.
fn drop_disabled_fields(new: &mut StatefulSet, old: Option<&StatefulSet>) {
    let strategy = |set: &StatefulSet| set.spec.as_ref()?.update_strategy.as_ref()?.rolling_update.clone();
    let in_use = old.and_then(strategy).is_some_and(|rolling| rolling.max_unavailable.is_some());
    let spec = new.spec.as_mut().and_then(|spec| spec.update_strategy.as_mut());
    if !in_use && let Some(rolling) = spec.and_then(|strategy| strategy.rolling_update.as_mut()) {
        rolling.max_unavailable = None;
    }
}

pub(crate) fn prepare_for_update(new: &mut StatefulSet, old: &StatefulSet, subresource: Option<Subresource>) {
    if subresource == Some(Subresource::Status) {
        new.spec.clone_from(&old.spec);
        return;
    }
    new.status.clone_from(&old.status);
    drop_disabled_fields(new, Some(old));
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// What an update is spared of (`StatefulSetValidationOptions`).
#[derive(Clone, Copy, Default)]
struct Spared {
    service_name: bool,
    template: bool,
    claims: bool,
}

/// `ValidateStatefulSet`.
pub(crate) fn validate(set: &StatefulSet) -> ErrorList {
    let mut errors = meta::validate(&set.metadata, true, names::is_dns1123_label);
    let missing = StatefulSetSpec::default();
    validate_spec(&mut errors, set.spec.as_ref().unwrap_or(&missing), Spared::default());
    errors
}

/// `ValidateStatefulSetSpec`.
fn validate_spec(errors: &mut ErrorList, spec: &StatefulSetSpec, spared: Spared) {
    let path = Path::new("spec");
    let at = path.child("podManagementPolicy");
    match text(&spec.pod_management_policy) {
        "" => errors.push(FieldError::required(&at, "")),
        "OrderedReady" | "Parallel" => {}
        other => errors.push(FieldError::invalid(&at, other, "must be 'OrderedReady' or 'Parallel'")),
    }
    validate_strategy(errors, &path.child("updateStrategy"), spec.update_strategy.as_ref());
    if let Some(policy) = &spec.persistent_volume_claim_retention_policy {
        let at = path.child("persistentVolumeClaimRetentionPolicy");
        for (field, value) in [("whenDeleted", &policy.when_deleted), ("whenScaled", &policy.when_scaled)] {
            check::supported(errors, &at.child(field), text(value), &["Retain", "Delete"]);
        }
    }
    if !spared.claims {
        for (index, template) in list(&spec.volume_claim_templates).iter().enumerate() {
            let at = path.child("volumeClaimTemplates").index(index).child("spec");
            claim::validate_spec(errors, &at, &template.spec.clone().unwrap_or_default());
        }
    }
    check::not_negative(errors, &path.child("replicas"), i64::from(spec.replicas.unwrap_or(0)));
    check::not_negative(errors, &path.child("minReadySeconds"), i64::from(spec.min_ready_seconds.unwrap_or(0)));
    if let Some(start) = spec.ordinals.as_ref().and_then(|ordinals| ordinals.start) {
        check::not_negative(errors, &path.child("ordinals.start"), i64::from(start));
    }
    if !spared.service_name && has_text(&spec.service_name) {
        check::dns_label(errors, &path.child("serviceName"), text(&spec.service_name));
    }
    validate_selector_and_template(errors, &path, spec, spared);
}

fn validate_selector_and_template(errors: &mut ErrorList, path: &Path, spec: &StatefulSetSpec, spared: Spared) {
    let selector = given(&spec.selector);
    let at = path.child("selector");
    match selector {
        None => errors.push(FieldError::required(&at, "")),
        Some(selector) => {
            check::label_selector(errors, &at, Some(selector));
            if check::selector_is_empty(selector) {
                let shown = check::selector_json(Some(selector));
                errors.push(FieldError::invalid(&at, shown, "empty selector is invalid for statefulset"));
            }
        }
    }
    let path = path.child("template");
    match Selector::from_label_selector(selector) {
        Err(_) => errors.push(FieldError::invalid(&at, check::selector_json(selector), "")),
        Ok(selector) => {
            validate_selected(errors, &path, &selector, &spec.template);
            if !spared.template {
                validation::validate_template(errors, &path, &with_claims(spec));
            }
        }
    }
    validate_runs_for_ever(errors, &path, &spec.template, "StatefulSet");
}

/// The template as its pods will have it: the claims are volumes, too.
fn with_claims(spec: &StatefulSetSpec) -> PodTemplateSpec {
    let mut template = spec.template.clone();
    let volumes = template.spec.get_or_insert_default().volumes.get_or_insert_default();
    let own: BTreeSet<String> = volumes.iter().map(|volume| volume.name.clone()).collect();
    let claims = list(&spec.volume_claim_templates).iter().map(|claim| text(&claim.metadata.name));
    volumes.extend(claims.filter(|name| !own.contains(*name)).map(|name| Volume {
        name: name.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: name.to_owned(),
            ..PersistentVolumeClaimVolumeSource::default()
        }),
        ..Volume::default()
    }));
    template
}

fn validate_strategy(errors: &mut ErrorList, path: &Path, strategy: Option<&StatefulSetUpdateStrategy>) {
    let missing = StatefulSetUpdateStrategy::default();
    let strategy = strategy.unwrap_or(&missing);
    let at = path.child("rollingUpdate");
    match (text(&strategy.type_), &strategy.rolling_update) {
        ("", _) => errors.push(FieldError::required(path, "")),
        ("OnDelete", Some(rolling)) => {
            let shown = internal::dump("RollingUpdateStatefulSetStrategy", &check::json(rolling));
            errors.push(FieldError::invalid(&at, shown, "only allowed for updateStrategy 'RollingUpdate'"));
        }
        ("RollingUpdate", Some(rolling)) => {
            check::not_negative(errors, &at.child("partition"), i64::from(rolling.partition.unwrap_or(0)));
        }
        ("OnDelete" | "RollingUpdate", None) => {}
        _ => {
            let shown = internal::dump("StatefulSetUpdateStrategy", &check::json(strategy));
            errors.push(FieldError::invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'"));
        }
    }
}

/// `ValidateStatefulSetUpdate` and, for the status, `ValidateStatefulSetStatusUpdate`.
pub(crate) fn validate_update(new: &StatefulSet, old: &StatefulSet, subresource: Option<Subresource>) -> ErrorList {
    if subresource == Some(Subresource::Status) {
        let mut errors = ErrorList::new();
        let status = new.status.clone().unwrap_or_default();
        validate_status(&mut errors, &status);
        errors.extend(meta::validate_update(&new.metadata, &old.metadata));
        let before = old.status.as_ref().and_then(|status| status.collision_count);
        validate_collisions(&mut errors, status.collision_count, before);
        return errors;
    }
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let missing = StatefulSetSpec::default();
    let (spec, before) = (new.spec.as_ref().unwrap_or(&missing), old.spec.as_ref().unwrap_or(&missing));
    // A template that was stored before it was judged does not stand in the way of other changes.
    let mut known = ErrorList::new();
    validation::validate_template(&mut known, &Path::new("spec").child("template"), &with_claims(before));
    validate_spec(&mut errors, spec, Spared { service_name: true, template: !known.is_empty(), claims: true });
    if !semantic_equal(&without_what_may_change(spec), &without_what_may_change(before)) {
        errors.push(FieldError::forbidden(
            &Path::new("spec"),
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ));
    }
    errors
}

fn without_what_may_change(spec: &StatefulSetSpec) -> StatefulSetSpec {
    StatefulSetSpec {
        replicas: None,
        template: PodTemplateSpec::default(),
        update_strategy: None,
        min_ready_seconds: None,
        ordinals: None,
        revision_history_limit: None,
        persistent_volume_claim_retention_policy: None,
        ..spec.clone()
    }
}

fn validate_status(errors: &mut ErrorList, status: &StatefulSetStatus) {
    let path = Path::new("status");
    let parts = [
        ("readyReplicas", status.ready_replicas),
        ("currentReplicas", status.current_replicas),
        ("updatedReplicas", status.updated_replicas),
        ("availableReplicas", status.available_replicas),
    ];
    validate_counts(errors, &path, &[("replicas", Some(status.replicas))]);
    validate_counts(errors, &path, &parts);
    check::not_negative(errors, &path.child("observedGeneration"), status.observed_generation.unwrap_or(0));
    validate_counts(errors, &path, &[("collisionCount", status.collision_count)]);
    validate_at_most(errors, &path, &parts, Some(status.replicas), "cannot be greater than status.replicas");
    let available = [("availableReplicas", status.available_replicas)];
    validate_at_most(errors, &path, &available, status.ready_replicas, "cannot be greater than status.readyReplicas");
}

pub(crate) fn warnings(new: &StatefulSet, old: Option<&StatefulSet>) -> Vec<String> {
    let spec = new.spec.as_ref();
    let mut warnings = Vec::new();
    if old.is_none_or(|old| old.metadata.generation != new.metadata.generation) {
        warnings = template_warnings(&Path::new("spec").child("template"), spec.map(|spec| &spec.template));
    }
    if spec.and_then(|spec| spec.revision_history_limit).is_some_and(|limit| limit < 0) {
        warnings.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
    warnings
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Ready", "Number of the pod with ready state"),
    AGE,
    ColumnDefinition::text("Containers", "Names of each container in the template.").wide(),
    ColumnDefinition::text("Images", "Images referenced by each container in the template.").wide(),
];

pub(crate) fn row(set: &StatefulSet, now: Time) -> Vec<Value> {
    let spec = set.spec.as_ref();
    let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let containers = spec.and_then(|spec| spec.template.spec.as_ref()).map_or(&[][..], |spec| &spec.containers);
    let (names, images) = container_cells(containers);
    vec![
        name_of(&set.metadata),
        format!("{ready}/{}", spec.and_then(|spec| spec.replicas).unwrap_or(0)).into(),
        age_of(&set.metadata, now),
        names,
        images,
    ]
}
