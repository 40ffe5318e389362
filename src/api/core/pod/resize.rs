//! Changes of resources in place. Follows `ValidatePodResize`.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};

use super::validation::{MIRROR, validate_metadata_and_spec};
use super::{is_restartable_init, qos};
use crate::api::check::{list, text};
use crate::api::meta;
use crate::machinery::field::{ErrorList, FieldError, Path};

/// `dropNonResizeUpdates`: nothing but resources and resize policies comes from the client.
pub(crate) fn prepare(new: &mut Pod, old: &Pod) {
    let (Some(wanted), Some(mut spec)) = (new.spec.take(), old.spec.clone()) else { return };
    take_over(&mut spec.containers, &wanted.containers);
    if let Some(containers) = &mut spec.init_containers {
        take_over(containers, list(&wanted.init_containers));
    }
    spec.resources = wanted.resources;
    new.spec = Some(spec);
}

fn take_over(containers: &mut [Container], wanted: &[Container]) {
    for container in containers {
        if let Some(wanted) = wanted.iter().find(|wanted| wanted.name == container.name) {
            container.resources.clone_from(&wanted.resources);
            container.resize_policy.clone_from(&wanted.resize_policy);
        }
    }
}

/// `ValidatePodResize`.
pub(crate) fn validate(new: &Pod, old: &Pod) -> ErrorList {
    let whole = |detail: &str| vec![FieldError::forbidden(&Path::new("[]"), detail)];
    let (Some(new_spec), Some(old_spec)) = (&new.spec, &old.spec) else { return ErrorList::new() };
    if has_pod_resources(old_spec) || has_pod_resources(new_spec) {
        return whole("pods with pod-level resources cannot be resized");
    }
    if old.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(MIRROR)) {
        return whole("static pods cannot be resized");
    }
    if old_spec.os.as_ref().is_some_and(|os| os.name == "windows") {
        return whole("windows pods cannot be resized");
    }
    let mut errors = meta::validate_update(&new.metadata, &old.metadata);
    errors.extend(validate_metadata_and_spec(new));
    let path = Path::new("spec");
    if qos::class(new_spec) != qos::class(old_spec) {
        let shown = new.status.as_ref().map_or("", |status| text(&status.qos_class));
        errors.push(FieldError::invalid(&path, shown, "Pod QOS Class may not change as a result of resizing"));
    }
    if !node_supports_resize(old) {
        errors.push(FieldError::forbidden(&path, "Pod running on node without support for resize"));
    }
    validate_init_containers(&mut errors, &path, new_spec, old_spec);
    for (index, (new, old)) in new_spec.containers.iter().zip(&old_spec.containers).enumerate() {
        let at = path.child("containers").index(index).child("resources");
        validate_container(&mut errors, &at, new, old);
        if !only_compute_changed(new, old) {
            errors.push(FieldError::forbidden(&path, "only cpu and memory resources are mutable"));
        }
    }
    errors
}

fn validate_init_containers(errors: &mut ErrorList, path: &Path, new: &PodSpec, old: &PodSpec) {
    for (index, (new, old)) in list(&new.init_containers).iter().zip(list(&old.init_containers)).enumerate() {
        if is_restartable_init(old) {
            let at = path.child("initContainers").index(index).child("resources");
            validate_container(errors, &at, new, old);
            if !only_compute_changed(new, old) {
                let detail = "only cpu and memory resources for sidecar containers are mutable";
                errors.push(FieldError::forbidden(path, detail));
            }
        } else if new.resources != old.resources {
            let detail = "resources for non-sidecar init containers are immutable";
            errors.push(FieldError::forbidden(path, detail));
        }
    }
}

fn has_pod_resources(spec: &PodSpec) -> bool {
    spec.resources.as_ref().is_some_and(|resources| {
        [&resources.requests, &resources.limits].into_iter().flatten().any(|amounts| !amounts.is_empty())
    })
}

/// A running container whose resources the kubelet does not report runs on a node that cannot change them.
fn node_supports_resize(pod: &Pod) -> bool {
    let statuses = pod.status.as_ref().map_or(&[][..], |status| list(&status.container_statuses));
    let running = |state: &k8s_openapi::api::core::v1::ContainerStatus| {
        state.state.as_ref().is_some_and(|state| state.running.is_some())
    };
    statuses.iter().find(|status| running(status)).is_none_or(|status| status.resources.is_some())
}

/// `validateContainerResize`: what is asked for may change but not vanish.
fn validate_container(errors: &mut ErrorList, path: &Path, new: &Container, old: &Container) {
    let missing = ResourceRequirements::default();
    let (new, old) = (new.resources.as_ref().unwrap_or(&missing), old.resources.as_ref().unwrap_or(&missing));
    for (field, new, old, what) in [
        ("requests", &new.requests, &old.requests, "resource requests cannot be removed"),
        ("limits", &new.limits, &old.limits, "resource limits cannot be removed"),
    ] {
        let removed = old.iter().flatten().any(|(name, _)| new.as_ref().is_none_or(|new| !new.contains_key(name)));
        if removed {
            errors.push(FieldError::forbidden(&path.child(field), what));
        }
    }
}

/// Whether everything but cpu and memory is as it was.
fn only_compute_changed(new: &Container, old: &Container) -> bool {
    let others = |container: &Container| {
        let mut resources = container.resources.clone().unwrap_or_default();
        for amounts in [&mut resources.requests, &mut resources.limits].into_iter().flatten() {
            amounts.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
        }
        (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default())
    };
    others(new) == others(old)
}
