//! Validation of containers' environments and of references to a pod's own fields.

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, FileKeySelector, ObjectFieldSelector, PodSpec, ResourceFieldSelector,
};

use super::containers_with_field;
use crate::api::check::{self, invalid_each, list, text};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::names;
use crate::machinery::quantity::Quantity;

/// `validEnvDownwardAPIFieldPathExpressions`.
const ENV_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// `validContainerResourceFieldPathExpressions`.
const CONTAINER_RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// What `ConvertDownwardAPIFieldLabel` knows.
const POD_FIELDS: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.host",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
];

const DIVISORS_OF_BYTES: &[&str] = &["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

/// `ValidateEnv`.
pub(super) fn validate(errors: &mut ErrorList, path: &Path, variables: &[EnvVar]) {
    for (index, variable) in variables.iter().enumerate() {
        let path = path.index(index);
        let at = path.child("name");
        if variable.name.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else {
            invalid_each(errors, &at, &variable.name, names::is_relaxed_env_var_name(&variable.name));
        }
        validate_value_from(errors, &path.child("valueFrom"), variable);
    }
}

fn validate_value_from(errors: &mut ErrorList, path: &Path, variable: &EnvVar) {
    let Some(source) = &variable.value_from else { return };
    let mut count = 0;
    if let Some(selector) = &source.field_ref {
        count += 1;
        field_selector(errors, &path.child("fieldRef"), selector, ENV_FIELDS);
    }
    if let Some(selector) = &source.resource_field_ref {
        count += 1;
        resource_field_selector(errors, &path.child("resourceFieldRef"), selector, ResourceScope::Environment);
    }
    if let Some(selector) = &source.config_map_key_ref {
        count += 1;
        validate_key(errors, &path.child("configMapKeyRef"), &selector.name, &selector.key);
    }
    if let Some(selector) = &source.secret_key_ref {
        count += 1;
        validate_key(errors, &path.child("secretKeyRef"), &selector.name, &selector.key);
    }
    if let Some(selector) = &source.file_key_ref {
        count += 1;
        validate_file_key(errors, &path.child("fileKeyRef"), selector);
    }
    let detail = if count == 0 {
        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
    } else if !text(&variable.value).is_empty() {
        "may not be specified when `value` is not empty"
    } else if count > 1 {
        "may not have more than one field specified at a time"
    } else {
        return;
    };
    errors.push(FieldError::invalid(path, "", detail));
}

/// A key of a config map or secret.
fn validate_key(errors: &mut ErrorList, path: &Path, name: &str, key: &str) {
    check::dns_subdomain(errors, &path.child("name"), name);
    let at = path.child("key");
    if key.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        invalid_each(errors, &at, key, names::is_config_map_key(key));
    }
}

fn validate_file_key(errors: &mut ErrorList, path: &Path, selector: &FileKeySelector) {
    let at = path.child("volumeName");
    if selector.volume_name.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        check::dns_label(errors, &at, &selector.volume_name);
    }
    let at = path.child("key");
    if selector.key.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        invalid_each(errors, &at, &selector.key, names::is_relaxed_env_var_name(&selector.key));
    }
    let at = path.child("path");
    if selector.path.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        super::volumes::validate_descending_path(errors, &at, &selector.path);
    }
}

/// `validateFileKeyRefVolumes`: files of variables are read from an empty folder of the pod, which its containers fill.
pub(super) fn validate_file_volumes(errors: &mut ErrorList, path: &Path, spec: &PodSpec) {
    for (field, index, container) in containers_with_field(spec) {
        for (variable, source) in list(&container.env).iter().enumerate() {
            let source = source.value_from.as_ref().and_then(|source| source.file_key_ref.as_ref());
            let Some(name) = source.map(|source| source.volume_name.as_str()) else { continue };
            let volume = list(&spec.volumes).iter().find(|volume| volume.name == name);
            if volume.is_some_and(|volume| volume.empty_dir.is_some()) {
                continue;
            }
            let at = path.child(field).index(index).child("env").index(variable).child("valueFrom");
            let at = at.child("fileKeyRef").child("volumeName");
            errors.push(match volume {
                None => FieldError::not_found(&at, name),
                Some(_) => FieldError::invalid(&at, name, "referenced volume must be of type emptyDir"),
            });
        }
    }
}

/// `validateObjectFieldSelector`.
pub(super) fn field_selector(errors: &mut ErrorList, path: &Path, selector: &ObjectFieldSelector, fields: &[&str]) {
    let version = text(&selector.api_version);
    if version.is_empty() {
        errors.push(FieldError::required(&path.child("apiVersion"), ""));
        return;
    }
    let at = path.child("fieldPath");
    let field = selector.field_path.as_str();
    if field.is_empty() {
        errors.push(FieldError::required(&at, ""));
        return;
    }
    let (name, subscript) = split_subscript(field);
    let problem = if version != "v1" {
        format!("unsupported pod version: {version}")
    } else if subscript.is_some() && !matches!(name, "metadata.annotations" | "metadata.labels") {
        format!("field label does not support subscript: {field}")
    } else if subscript.is_none() && !POD_FIELDS.contains(&field) {
        format!("field label not supported: {field}")
    } else {
        String::new()
    };
    if !problem.is_empty() {
        errors.push(FieldError::invalid(&at, field, format!("error converting fieldPath: {problem}")));
        return;
    }
    match subscript {
        Some(key) if name == "metadata.annotations" => check::qualified_name(errors, path, &key.to_lowercase()),
        Some(key) => check::qualified_name(errors, path, key),
        None => check::supported(errors, &at, if name == "spec.host" { "spec.nodeName" } else { name }, fields),
    }
}

/// `SplitMaybeSubscriptedPath`: `metadata.labels['app']` is a path with a key.
fn split_subscript(field: &str) -> (&str, Option<&str>) {
    let parts = field.strip_suffix("']").and_then(|rest| rest.split_once("['"));
    match parts {
        Some((name, key)) if !name.is_empty() => (name, Some(key)),
        _ => (field, None),
    }
}

/// Where a container's resource is referred to: a volume must also say whose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ResourceScope {
    /// In the container's own environment.
    Environment,
    /// In a volume of the pod.
    Volume,
}

/// `validateContainerResourceFieldSelector`.
pub(super) fn resource_field_selector(
    errors: &mut ErrorList,
    path: &Path,
    selector: &ResourceFieldSelector,
    scope: ResourceScope,
) {
    let resource = selector.resource.as_str();
    let hugepages = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if scope == ResourceScope::Volume && text(&selector.container_name).is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !hugepages {
        check::supported(errors, &path.child("resource"), resource, CONTAINER_RESOURCES);
    }
    validate_divisor(errors, &path.child("divisor"), selector, hugepages);
}

fn validate_divisor(errors: &mut ErrorList, path: &Path, selector: &ResourceFieldSelector, hugepages: bool) {
    let Some(divisor) = selector.divisor.as_ref().map(Quantity::of) else { return };
    if divisor.cmp_int(0).is_eq() {
        return;
    }
    let kind = match selector.resource.as_str() {
        "limits.cpu" | "requests.cpu" => {
            if !["1m", "1"].contains(&divisor.to_string().as_str()) {
                let detail = "only divisor's values 1m and 1 are supported with the cpu resource";
                errors.push(FieldError::invalid(path, selector.resource.as_str(), detail));
            }
            return;
        }
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if hugepages => "hugepages",
        _ => return,
    };
    if !DIVISORS_OF_BYTES.contains(&divisor.to_string().as_str()) {
        let supported = DIVISORS_OF_BYTES.join(", ");
        let detail = format!("only divisor's values {supported} are supported with the {kind} resource");
        errors.push(FieldError::invalid(path, selector.resource.as_str(), detail));
    }
}

/// `ValidateEnvFrom`.
pub(super) fn validate_from(errors: &mut ErrorList, path: &Path, sources: &[EnvFromSource]) {
    for (index, source) in sources.iter().enumerate() {
        let at = path.index(index);
        let prefix = text(&source.prefix);
        if !prefix.is_empty() {
            invalid_each(errors, &at.child("prefix"), prefix, names::is_relaxed_env_var_name(prefix));
        }
        let config_map = source.config_map_ref.as_ref().map(|reference| ("configMapRef", &reference.name));
        let secret = source.secret_ref.as_ref().map(|reference| ("secretRef", &reference.name));
        let references: Vec<_> = config_map.into_iter().chain(secret).collect();
        for (field, name) in &references {
            let at = at.child(field).child("name");
            if name.is_empty() {
                errors.push(FieldError::required(&at, ""));
            } else {
                check::dns_subdomain(errors, &at, &names::mask_trailing_dash(name));
            }
        }
        match references.len() {
            0 => errors.push(FieldError::invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")),
            1 => {}
            _ => errors.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
        }
    }
}

/// Names of variables that stand twice, with the place of the later one; for warnings.
pub(super) fn hidden_definitions(variables: &Option<Vec<EnvVar>>) -> Vec<(usize, &str)> {
    let variables = list(variables);
    let repeated = variables.iter().enumerate().filter(|(index, variable)| {
        let reference = format!("$({})", variable.name);
        let value = text(&variable.value);
        // A value that builds on the one before is meant so.
        let hides = variable.value_from.is_some() || value == reference || !value.contains(&reference);
        hides && variables[..*index].iter().any(|other| other.name == variable.name)
    });
    repeated.map(|(index, variable)| (index, variable.name.as_str())).collect()
}
