//! References by name, which follow the objects that they name.

use serde_json::Value;

use super::super::set::pod_spec;
use super::{Resource, text};
use crate::api::Kind;

/// Where the spec of a pod names others: the kind, and the path, in which `*` stands for every item.
const IN_PODS: &[(&str, &str)] = &[
    ("ConfigMap", "volumes.*.configMap.name"),
    ("ConfigMap", "volumes.*.projected.sources.*.configMap.name"),
    ("ConfigMap", "containers.*.env.*.valueFrom.configMapKeyRef.name"),
    ("ConfigMap", "containers.*.envFrom.*.configMapRef.name"),
    ("ConfigMap", "initContainers.*.env.*.valueFrom.configMapKeyRef.name"),
    ("ConfigMap", "initContainers.*.envFrom.*.configMapRef.name"),
    ("Secret", "volumes.*.secret.secretName"),
    ("Secret", "volumes.*.projected.sources.*.secret.name"),
    ("Secret", "containers.*.env.*.valueFrom.secretKeyRef.name"),
    ("Secret", "containers.*.envFrom.*.secretRef.name"),
    ("Secret", "initContainers.*.env.*.valueFrom.secretKeyRef.name"),
    ("Secret", "initContainers.*.envFrom.*.secretRef.name"),
    ("Secret", "imagePullSecrets.*.name"),
    ("PersistentVolumeClaim", "volumes.*.persistentVolumeClaim.claimName"),
    ("ServiceAccount", "serviceAccountName"),
    ("PriorityClass", "priorityClassName"),
];

/// Where other kinds do: who, whom, and where.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    ("Ingress", "Secret", "spec.tls.*.secretName"),
    ("Ingress", "Service", "spec.rules.*.http.paths.*.backend.service.name"),
    ("Ingress", "Service", "spec.defaultBackend.service.name"),
    ("StatefulSet", "Service", "spec.serviceName"),
    ("ServiceAccount", "Secret", "secrets.*.name"),
    ("ServiceAccount", "Secret", "imagePullSecrets.*.name"),
    ("PersistentVolumeClaim", "PersistentVolume", "spec.volumeName"),
    ("PersistentVolumeClaim", "StorageClass", "spec.storageClassName"),
];

/// Lets every reference name its object as it is called now.
pub(super) fn fix(resources: &mut [Resource]) {
    let known: Vec<(String, Vec<String>)> =
        resources.iter().map(|resource| (resource.kind().to_owned(), resource.names.clone())).collect();
    let current = |kind: &str, name: &str| -> Option<String> {
        let is_meant = |(known, names): &&(String, Vec<String>)| known == kind && names.iter().any(|one| one == name);
        known.iter().find(is_meant).and_then(|(_, names)| names.last().cloned())
    };
    let follow = |place: &mut Value, path: &str, kind: &str| {
        each(place, path, &mut |reference| {
            if let Some(name) = current(kind, text(reference)) {
                *reference = name.into();
            }
        });
    };
    for resource in resources.iter_mut() {
        let own = resource.kind().to_owned();
        let object = &mut resource.object;
        let kind = Kind::from_manifest(text(&object["apiVersion"]), &own);
        if let Some(spec) = kind.and_then(|kind| pod_spec(kind, object)) {
            IN_PODS.iter().for_each(|(kind, path)| follow(spec, path, kind));
        }
        for (_, kind, path) in ELSEWHERE.iter().filter(|(holder, ..)| *holder == own) {
            follow(object, path, kind);
        }
        for place in ["spec.scaleTargetRef", "roleRef", "subjects.*"] {
            each(object, place, &mut |reference| {
                let kind = text(&reference["kind"]).to_owned();
                follow(reference, "name", &kind);
            });
        }
    }
}

/// Visits every value at a path.
fn each(value: &mut Value, path: &str, visit: &mut dyn FnMut(&mut Value)) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let mut visit_next = |value: &mut Value| {
        if rest.is_empty() {
            visit(value);
        } else {
            each(value, rest, visit);
        }
    };
    if first == "*" {
        value.as_array_mut().into_iter().flatten().for_each(visit_next);
    } else if let Some(next) = value.get_mut(first) {
        visit_next(next);
    }
}
