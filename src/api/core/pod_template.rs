//! PodTemplates. Follows `ValidatePodTemplate` and `printPodTemplate`.

use k8s_openapi::api::core::v1::{PodSpec, PodTemplate};
use serde_json::Value;

use super::pod::{defaults, validation};
use crate::api::apps::template_warnings;
use crate::api::form::semantic_equal;
use crate::api::meta;
use crate::api::table::{ColumnDefinition, NAME, container_cells, name_of};
use crate::machinery::field::{ErrorList, Path};
use crate::machinery::labels::format_labels;
use crate::machinery::names;

pub(crate) fn default(template: &mut PodTemplate) {
    defaults::template(template.template.get_or_insert_default());
}

pub(crate) fn prepare_for_create(template: &mut PodTemplate) {
    template.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut PodTemplate, old: &PodTemplate) {
    if !semantic_equal(&new.template, &old.template) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidatePodTemplate`.
pub(crate) fn validate(template: &PodTemplate) -> ErrorList {
    let mut errors = meta::validate(&template.metadata, true, names::is_dns1123_subdomain);
    let missing = k8s_openapi::api::core::v1::PodTemplateSpec::default();
    let spec = template.template.as_ref().unwrap_or(&missing);
    validation::validate_template(&mut errors, &Path::new("template"), spec);
    errors
}

/// `ValidatePodTemplateUpdate`.
pub(crate) fn validate_update(new: &PodTemplate, old: &PodTemplate) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate(new));
    errors
}

/// What the strategy warns of.
pub(crate) fn warnings(new: &PodTemplate, old: Option<&PodTemplate>) -> Vec<String> {
    if old.is_some_and(|old| old.metadata.generation == new.metadata.generation) {
        return Vec::new();
    }
    template_warnings(&Path::new("template"), new.template.as_ref())
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Containers", "Names of each container in the template."),
    ColumnDefinition::text("Images", "Images referenced by each container in the template."),
    ColumnDefinition::text("Pod Labels", "The labels for the pod template."),
];

pub(crate) fn row(template: &PodTemplate) -> Vec<Value> {
    let inner = template.template.clone().unwrap_or_default();
    let spec: PodSpec = inner.spec.unwrap_or_default();
    let (names, images) = container_cells(&spec.containers);
    let labels = inner.metadata.and_then(|metadata| metadata.labels);
    vec![name_of(&template.metadata), names, images, format_labels(labels.as_ref()).into()]
}
