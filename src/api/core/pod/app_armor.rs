//! Annotations that said a container's AppArmor profile before there was a field, and those of seccomp. Follows
//! `applyAppArmorVersionSkew` and `ValidateAppArmorPodAnnotations`.

use k8s_openapi::api::core::v1::{AppArmorProfile, Pod, PodSpec, SecurityContext};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::containers_with_field;
use super::warnings::{SECCOMP_CONTAINER_PREFIX, SECCOMP_POD};
use crate::machinery::field::{ErrorList, FieldError, Path};
use crate::machinery::quote::quote;

/// `DeprecatedAppArmorAnnotationKeyPrefix`; the container's name follows.
pub(super) const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
/// What is said of such an annotation.
pub(super) const DEPRECATED: &str = r#"deprecated since v1.30; use the "appArmorProfile" field instead"#;

/// `ApparmorFieldForAnnotation`.
fn field_for(annotation: &str) -> Option<AppArmorProfile> {
    let profile = |kind: &str, file: Option<&str>| {
        Some(AppArmorProfile { type_: kind.to_owned(), localhost_profile: file.map(str::to_owned) })
    };
    match annotation {
        "unconfined" => profile("Unconfined", None),
        "runtime/default" => profile("RuntimeDefault", None),
        other => {
            let file = other.strip_prefix("localhost/").filter(|file| !file.is_empty() && file.trim() == *file)?;
            profile("Localhost", Some(file))
        }
    }
}

/// Makes fields of the annotations of a new pod.
pub(super) fn annotations_to_fields(metadata: &ObjectMeta, spec: &mut PodSpec) {
    let Some(annotations) = &metadata.annotations else { return };
    let is_windows = spec.os.as_ref().is_some_and(|os| os.name == "windows");
    if is_windows || !annotations.keys().any(|key| key.starts_with(PREFIX)) {
        return;
    }
    let pods = spec.security_context.as_ref().and_then(|context| context.app_armor_profile.clone());
    let annotated = |name: &str, context: &mut Option<SecurityContext>| {
        let has_own = context.as_ref().is_some_and(|context| context.app_armor_profile.is_some());
        let profile = annotations.get(&format!("{PREFIX}{name}")).and_then(|annotation| field_for(annotation));
        if profile.is_some() && profile != pods && !has_own {
            context.get_or_insert_default().app_armor_profile = profile;
        }
    };
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        annotated(&container.name, &mut container.security_context);
    }
}

/// What is said of the annotations of a new pod, which are fields by now.
pub(super) fn warnings(pod: &Pod) -> Vec<String> {
    let (Some(annotations), Some(spec)) = (&pod.metadata.annotations, &pod.spec) else { return Vec::new() };
    let mut warnings = Vec::new();
    for (_, _, container) in containers_with_field(spec) {
        let key = format!("{PREFIX}{}", container.name);
        let Some(annotation) = annotations.get(&key) else { continue };
        let own = container.security_context.as_ref().and_then(|context| context.app_armor_profile.as_ref());
        let profile = field_for(annotation);
        // A field that says the same was made of it.
        if profile.is_none() || profile.as_ref() == own {
            warnings.push(format!("{}: {DEPRECATED}", Path::new("metadata").child("annotations").key(&key)));
        }
    }
    warnings
}

/// `ValidateSeccompPodAnnotations` and `ValidateAppArmorPodAnnotations`.
pub(super) fn validate(errors: &mut ErrorList, path: &Path, metadata: &ObjectMeta, spec: &PodSpec) {
    for (key, profile) in metadata.annotations.iter().flatten() {
        if key == SECCOMP_POD || key.starts_with(SECCOMP_CONTAINER_PREFIX) {
            validate_seccomp(errors, &path.child(key), profile);
        }
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        if !containers_with_field(spec).any(|(_, _, container)| container.name == name) {
            errors.push(FieldError::invalid(&path.key(key), name, "container not found"));
        }
        let known = matches!(profile.as_str(), "" | "runtime/default" | "unconfined");
        if !known && !profile.starts_with("localhost/") {
            let detail = format!("invalid AppArmor profile name: {}", quote(profile));
            errors.push(FieldError::invalid(&path.key(key), profile.as_str(), detail));
        }
    }
}

/// `ValidateSeccompProfile`.
fn validate_seccomp(errors: &mut ErrorList, path: &Path, profile: &str) {
    match profile {
        "runtime/default" | "docker/default" | "unconfined" => {}
        other => match other.strip_prefix("localhost/") {
            Some(file) => super::volumes::validate_descending_path(errors, path, file),
            None => errors.push(FieldError::invalid(path, profile, "must be a valid seccomp profile")),
        },
    }
}
