//! IngressClasses. Follows `ValidateIngressClass` and `printIngressClass`.

use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};
use serde_json::Value;

use crate::api::check::{self, invalid_each, text};
use crate::api::form::semantic_equal;
use crate::api::meta;
use crate::api::table::{AGE, ColumnDefinition, NAME, age_of};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::time::Time;

/// `maxLenIngressClassController`.
const CONTROLLER_BYTES_MAX: usize = 250;

/// `SetDefaults_IngressClass`.
pub(crate) fn default(class: &mut IngressClass) {
    let parameters = class.spec.as_mut().and_then(|spec| spec.parameters.as_mut());
    if let Some(parameters) = parameters {
        parameters.scope.get_or_insert_with(|| "Cluster".to_owned());
    }
}

pub(crate) fn prepare_for_create(class: &mut IngressClass) {
    class.metadata.generation = Some(1);
}

pub(crate) fn prepare_for_update(new: &mut IngressClass, old: &IngressClass) {
    if !semantic_equal(&new.spec, &old.spec) {
        meta::bump_generation(&mut new.metadata, &old.metadata);
    }
}

/// `ValidateIngressClass`.
pub(crate) fn validate(class: &IngressClass) -> ErrorList {
    let mut errors = meta::validate(&class.metadata, false, names::is_dns1123_subdomain);
    let spec = class.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    let (controller, at) = (text(&spec.controller), path.child("controller"));
    if controller.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        if controller.len() > CONTROLLER_BYTES_MAX {
            errors.push(FieldError::too_long(&at, CONTROLLER_BYTES_MAX));
        }
        for (value, message) in names::is_domain_prefixed_path(controller) {
            errors.push(FieldError::invalid(&at, value, message));
        }
    }
    if let Some(parameters) = &spec.parameters {
        validate_parameters(&mut errors, &path.child("parameters"), parameters);
    }
    errors
}

/// `validateIngressClassParametersReference`.
fn validate_parameters(errors: &mut ErrorList, path: &Path, parameters: &IngressClassParametersReference) {
    if let Some(group) = &parameters.api_group {
        check::dns_subdomain(errors, &path.child("apiGroup"), group);
    }
    for (field, value) in [("kind", &parameters.kind), ("name", &parameters.name)] {
        check::required(errors, &path.child(field), value);
        invalid_each(errors, &path.child(field), value, names::is_path_segment_name(value));
    }
    let (at, namespace) = (path.child("namespace"), parameters.namespace.as_deref());
    match (parameters.scope.as_deref(), namespace) {
        (None, _) => errors.push(FieldError::required(&path.child("scope"), "")),
        (Some("Namespace"), None) => {
            errors.push(FieldError::required(&at, "`parameters.scope` is set to 'Namespace'"));
        }
        (Some("Namespace"), Some(namespace)) => check::dns_label(errors, &at, namespace),
        (Some("Cluster"), Some(_)) => {
            errors.push(FieldError::forbidden(&at, "`parameters.scope` is set to 'Cluster'"));
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => {
            errors.push(FieldError::not_supported(&path.child("scope"), other, &["Cluster", "Namespace"]));
        }
    }
}

/// `ValidateIngressClassUpdate`: the controller never changes.
pub(crate) fn validate_update(new: &IngressClass, old: &IngressClass) -> ErrorList {
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    let controller = |class: &IngressClass| class.spec.as_ref().and_then(|spec| spec.controller.clone());
    let at = Path::new("spec").child("controller");
    let (new_controller, old_controller) = (controller(new), controller(old));
    check::immutable(&mut errors, &at, &new_controller, &old_controller, || text(&new_controller).into());
    errors.extend(validate(new));
    errors
}

pub(crate) const COLUMNS: &[ColumnDefinition] = &[
    NAME,
    ColumnDefinition::text("Controller", "Controller that is responsible for handling this class"),
    ColumnDefinition::text("Parameters", "A reference to a resource with additional parameters"),
    AGE,
];

/// `networking.AnnotationIsDefaultIngressClass`.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

/// Whether Ingresses without a class are of this one.
pub(crate) fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(DEFAULT_ANNOTATION)).is_some_and(|value| value == "true")
}

pub(crate) fn row(class: &IngressClass, now: Time) -> Vec<Value> {
    let spec = class.spec.as_ref();
    let parameters = spec.and_then(|spec| spec.parameters.as_ref()).map(|parameters| {
        let group = parameters.api_group.as_ref().map_or_else(String::new, |group| format!(".{group}"));
        format!("{}{group}/{}", parameters.kind, parameters.name)
    });
    let default = if is_default(class) { " (default)" } else { "" };
    vec![
        format!("{}{default}", text(&class.metadata.name)).into(),
        spec.map_or("", |spec| text(&spec.controller)).into(),
        parameters.unwrap_or_else(|| "<none>".to_owned()).into(),
        age_of(&class.metadata, now),
    ]
}
