//! Changes of resources in place. Follows `ValidatePodResize`.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

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
    let (of_new, of_old) = (new_spec.resources.as_ref(), old_spec.resources.as_ref());
    validate_kept(&mut errors, &path.child("resources"), of_new, of_old);
    let containers = || new_spec.containers.iter().zip(&old_spec.containers);
    let init_containers = || list(&new_spec.init_containers).iter().zip(list(&old_spec.init_containers));
    for (index, (new, old)) in init_containers().enumerate() {
        let at = path.child("initContainers").index(index).child("resources");
        validate_kept(&mut errors, &at, new.resources.as_ref(), old.resources.as_ref());
    }
    for (index, (new, old)) in containers().enumerate() {
        let at = path.child("containers").index(index).child("resources");
        validate_kept(&mut errors, &at, new.resources.as_ref(), old.resources.as_ref());
    }
    let mutable = "only cpu and memory resources are mutable";
    if !only_compute_changed(of_new, of_old) {
        errors.push(FieldError::forbidden(&path, mutable));
    }
    for (new, old) in containers() {
        if !only_compute_changed(new.resources.as_ref(), old.resources.as_ref()) {
            errors.push(FieldError::forbidden(&path, mutable));
        }
    }
    for (new, old) in init_containers() {
        if !only_compute_changed(new.resources.as_ref(), old.resources.as_ref()) {
            let of_sidecars = "only cpu and memory resources for sidecar containers are mutable";
            let detail = if is_restartable_init(old) { of_sidecars } else { mutable };
            errors.push(FieldError::forbidden(&path, detail));
        }
    }
    errors
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
fn validate_kept(
    errors: &mut ErrorList,
    path: &Path,
    new: Option<&ResourceRequirements>,
    old: Option<&ResourceRequirements>,
) {
    let missing = ResourceRequirements::default();
    let (new, old) = (new.unwrap_or(&missing), old.unwrap_or(&missing));
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
fn only_compute_changed(new: Option<&ResourceRequirements>, old: Option<&ResourceRequirements>) -> bool {
    let others = |resources: Option<&ResourceRequirements>| {
        let mut resources = resources.cloned().unwrap_or_default();
        for amounts in [&mut resources.requests, &mut resources.limits].into_iter().flatten() {
            amounts.retain(|name, _| !matches!(name.as_str(), "cpu" | "memory"));
        }
        (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default())
    };
    others(new) == others(old)
}
