//! Pods keep to the pod security standard that their namespace's labels enforce.
//!
//! `k8s.io/pod-security-admission` (`admission/admission.go`, `api/helpers.go`, `policy/registry.go`) with the
//! configuration that a cluster has by default: nothing enforced, nobody exempt. Audit annotations are left out, as
//! there is no audit log.

mod checks;
mod policy;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Attributes, forbidden};
use crate::api::{Kind, Object, ObjectKey, Resource, Subresource};
use crate::apiserver::Context;
use crate::etcd::Etcd;
use crate::machinery::order::Order as _;
use crate::machinery::status::Status;

use policy::{Level, LevelVersion, Policy};

/// At most so many pods are looked at when a namespace's level rises: `defaultNamespaceMaxPodsToCheck`.
const PODS_TO_CHECK_MAX: usize = 3000;

pub(super) fn validate(
    etcd: &Etcd,
    context: &mut Context<'_>,
    object: &Object,
    attributes: Attributes<'_>,
) -> Result<(), Status> {
    match object {
        Object::Namespace(namespace) if attributes.subresource.is_none() => {
            let old = attributes.old.map(|old| old.metadata().labels.clone().unwrap_or_default());
            let warnings = check_namespace(etcd, namespace.name(), labels(&namespace.metadata), old.as_ref())?;
            context.warnings.extend(warnings);
            return Ok(());
        }
        Object::Pod(pod) => {
            let subresource = attributes.subresource;
            let is_checked = matches!(subresource, None | Some(Subresource::EphemeralContainers | Subresource::Resize));
            let old = attributes.old.and_then(Object::downcast::<Pod>);
            if !is_checked || old.is_some_and(|old| !is_significant(pod, old)) {
                return Ok(());
            }
        }
        _ if attributes.subresource.is_some() => return Ok(()),
        _ => {}
    }
    let namespace = object.metadata().namespace.as_deref().unwrap_or("");
    let Some(namespace) = etcd.get(Kind::Namespace, &ObjectKey::new("", namespace)) else { return Ok(()) };
    let policy = Policy::of(labels(namespace.metadata())).0;
    if policy.allows_everything() {
        return Ok(());
    }
    let Some((metadata, spec)) = pod_of(object) else { return Ok(()) };
    if matches!(object, Object::Pod(_))
        && let Some(details) = violations(policy.enforce, &metadata, spec)
    {
        return Err(forbidden(object, &format!("violates PodSecurity \"{}\": {details}", policy.enforce)));
    }
    if let Some(details) = violations(policy.warn, &metadata, spec) {
        context.warnings.push(format!("would violate PodSecurity \"{}\": {details}", policy.warn));
    }
    Ok(())
}

fn labels(metadata: &ObjectMeta) -> &BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    metadata.labels.as_ref().unwrap_or(&NONE)
}

/// The pod, or the template of the pods that an object makes: `ExtractPodSpec`.
fn pod_of(object: &Object) -> Option<(ObjectMeta, &PodSpec)> {
    let of_template = |template: &'_ PodTemplateSpec| template.metadata.clone().unwrap_or_default();
    let template = match object {
        Object::Pod(pod) => return Some((pod.metadata.clone(), pod.spec.as_ref()?)),
        Object::PodTemplate(object) => object.template.as_ref(),
        Object::ReplicationController(object) => object.spec.as_ref()?.template.as_ref(),
        Object::ReplicaSet(object) => object.spec.as_ref()?.template.as_ref(),
        Object::Deployment(object) => Some(&object.spec.as_ref()?.template),
        Object::DaemonSet(object) => Some(&object.spec.as_ref()?.template),
        Object::StatefulSet(object) => Some(&object.spec.as_ref()?.template),
        Object::Job(object) => Some(&object.spec.as_ref()?.template),
        Object::CronJob(object) => Some(&object.spec.job_template.spec.as_ref()?.template),
        _ => None,
    }?;
    Some((of_template(template), template.spec.as_ref()?))
}

/// `ForbiddenDetail` of what a pod does beyond a level: each reason with its detail.
fn violations(level: LevelVersion, metadata: &ObjectMeta, spec: &PodSpec) -> Option<String> {
    let told: Vec<String> = checks::evaluate(level, metadata, spec).iter().map(ToString::to_string).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// `isSignificantPodUpdate`: what of a pod can change for the worse.
fn is_significant(new: &Pod, old: &Pod) -> bool {
    let (Some(new), Some(old)) = (&new.spec, &old.spec) else { return true };
    let images = |containers: &[Container]| containers.iter().map(|one| one.image.clone()).collect::<Vec<_>>();
    let init = |spec: &PodSpec| images(spec.init_containers.as_deref().unwrap_or(&[]));
    let ephemeral = |spec: &PodSpec| -> Vec<(String, Option<String>)> {
        spec.ephemeral_containers.iter().flatten().map(|one| (one.name.clone(), one.image.clone())).collect()
    };
    let (before, after) = (ephemeral(old), ephemeral(new));
    images(&new.containers) != images(&old.containers)
        || init(new) != init(old)
        || after.iter().any(|one| !before.contains(one))
}

/// `ValidateNamespace`: the labels must make sense, and who tightens them hears of the pods that do not keep to them.
fn check_namespace(
    etcd: &Etcd,
    name: &str,
    new: &BTreeMap<String, String>,
    old: Option<&BTreeMap<String, String>>,
) -> Result<Vec<String>, Status> {
    let (policy, errors) = Policy::of(new);
    let Some(old) = old else {
        return if errors.is_empty() { Ok(Vec::new()) } else { Err(Status::invalid("", "Namespace", name, &errors)) };
    };
    let (before, old_errors) = Policy::of(old);
    if !errors.is_empty() && errors != old_errors {
        return Err(Status::invalid("", "Namespace", name, &errors));
    }
    let (level, previous) = (policy.enforce, before.enforce);
    let is_relaxed = level.version == previous.version && level.level <= previous.level;
    if level == previous || level.level == Level::Privileged || is_relaxed {
        return Ok(Vec::new());
    }
    Ok(warnings_of_pods(etcd, name, level))
}

/// `EvaluatePodsInNamespace`.
fn warnings_of_pods(etcd: &Etcd, namespace: &str, level: LevelVersion) -> Vec<String> {
    let pods = || etcd.range(Kind::Pod, Some(namespace)).filter_map(|(_, object)| object.downcast::<Pod>());
    // For each reason the first pod by name and how many there are; the store lists them by name.
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods().take(PODS_TO_CHECK_MAX) {
        let Some(spec) = &pod.spec else { continue };
        let reasons: Vec<&str> =
            checks::evaluate(level, &pod.metadata, spec).iter().map(|violation| violation.reason).collect();
        if !reasons.is_empty() {
            found.entry(reasons.join(", ")).or_insert_with(|| (pod.name().to_owned(), 0)).1 += 1;
        }
    }
    let mut warnings = Vec::new();
    let all = pods().count();
    if all > PODS_TO_CHECK_MAX {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {PODS_TO_CHECK_MAX} of {all} existing pods"
        ));
    }
    if !found.is_empty() {
        warnings.push(format!(
            "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level \"{level}\""
        ));
    }
    let mut each: Vec<String> = found
        .into_iter()
        .map(|(reasons, (name, count))| match count {
            1 => format!("{name}: {reasons}"),
            2 => format!("{name} (and 1 other pod): {reasons}"),
            _ => format!("{name} (and {} other pods): {reasons}", count - 1),
        })
        .collect();
    each.order();
    warnings.extend(each);
    warnings
}
