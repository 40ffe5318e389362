//! A pod's runtime class says what the runtime itself costs, and which nodes have it.
//!
//! `kubernetes/plugin/pkg/admission/runtimeclass`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Toleration};
use k8s_openapi::api::node::v1::RuntimeClass;

use crate::api::{Kind, Object, ObjectKey, Resource, quota::amounts};
use crate::etcd::Etcd;
use crate::machinery::status::Status;

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

/// The class that a pod names; a pod may name none.
fn class_of<'a>(etcd: &'a Etcd, pod: &Pod) -> Result<Option<&'a Arc<RuntimeClass>>, Status> {
    let Some(name) = pod.spec.as_ref().and_then(|spec| spec.runtime_class_name.as_deref()) else { return Ok(None) };
    let class = etcd.get(Kind::RuntimeClass, &ObjectKey::new("", name)).and_then(Object::downcast::<RuntimeClass>);
    let missing =
        || Status::forbidden("", "pods", pod.name(), &format!("pod rejected: RuntimeClass {name:?} not found"));
    class.map(Some).ok_or_else(missing)
}

/// Whether a pod's overhead is what its class says.
fn fits(pod: &Pod, class: &RuntimeClass) -> bool {
    let given = pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref());
    let defined = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.as_ref());
    amounts(given) == amounts(defined)
}

pub(super) fn admit(etcd: &Etcd, pod: &mut Pod) -> Result<(), Status> {
    let Some(class) = class_of(etcd, pod)? else { return Ok(()) };
    let refuse = |pod: &Pod, why: &str| Err(Status::forbidden("", "pods", pod.name(), why));
    if let Some(overhead) = &class.overhead {
        if pod.spec.as_ref().is_some_and(|spec| spec.overhead.is_some()) && !fits(pod, class) {
            return refuse(pod, MISMATCH);
        }
        pod.spec.get_or_insert_default().overhead.clone_from(&overhead.pod_fixed);
    }
    let Some(scheduling) = &class.scheduling else { return Ok(()) };
    for (key, wanted) in scheduling.node_selector.iter().flatten() {
        let selector = pod.spec.get_or_insert_default().node_selector.get_or_insert_default();
        if let Some(own) = selector.get(key).filter(|own| *own != wanted) {
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {own}"
            );
            return refuse(pod, &why);
        }
        selector.insert(key.clone(), wanted.clone());
    }
    let more = scheduling.tolerations.as_deref().unwrap_or(&[]);
    if !more.is_empty() {
        let tolerations = pod.spec.get_or_insert_default().tolerations.get_or_insert_default();
        *tolerations = merge(tolerations, more);
    }
    Ok(())
}

/// `MergeTolerations`: those that another one covers are left out.
fn merge(first: &[Toleration], second: &[Toleration]) -> Vec<Toleration> {
    let all: Vec<&Toleration> = first.iter().chain(second).collect();
    let is_kept = |at: usize| {
        let covers = |other: usize| other != at && is_superset(all[other], all[at]);
        // Of two that are equal the first stays.
        !(0..all.len()).any(|other| covers(other) && (other < at || !is_superset(all[at], all[other])))
    };
    (0..all.len()).filter(|&at| is_kept(at)).map(|at| all[at].clone()).collect()
}

/// Whether everything that `other` tolerates is tolerated by `toleration` too.
fn is_superset(toleration: &Toleration, other: &Toleration) -> bool {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let exists = |toleration: &Toleration| toleration.operator.as_deref() == Some("Exists");
    if toleration == other {
        return true;
    }
    let (key, effect) = (text(&toleration.key), text(&toleration.effect));
    if (key != text(&other.key) && !(key.is_empty() && exists(toleration)))
        || (effect != text(&other.effect) && !effect.is_empty())
    {
        return false;
    }
    if effect == "NoExecute" {
        match (toleration.toleration_seconds, other.toleration_seconds) {
            (Some(_), None) => return false,
            (Some(own), Some(others)) if own < others => return false,
            _ => {}
        }
    }
    exists(toleration) || (!exists(other) && text(&toleration.value) == text(&other.value))
}

pub(super) fn validate(etcd: &Etcd, pod: &Pod) -> Result<(), Status> {
    let why = match class_of(etcd, pod)? {
        Some(class) if class.overhead.is_some() => (!fits(pod, class)).then_some(MISMATCH),
        _ => pod
            .spec
            .as_ref()
            .is_some_and(|spec| spec.overhead.is_some())
            .then_some("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
    };
    why.map_or(Ok(()), |why| Err(Status::forbidden("", "pods", pod.name(), why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn covered_tolerations_go() {
        let toleration = |key: &str, value: Option<&str>| -> Toleration {
            let operator = if value.is_some() { "Equal" } else { "Exists" };
            serde_json::from_value(json!({ "key": key, "operator": operator, "value": value })).expect("a toleration")
        };
        let (any, one, other) = (toleration("a", None), toleration("a", Some("x")), toleration("b", Some("x")));
        assert_eq!(merge(&[one.clone(), other.clone()], std::slice::from_ref(&any)), [other.clone(), any.clone()]);
        assert_eq!(merge(std::slice::from_ref(&any), &[one, any.clone(), other.clone()]), [any, other]);
    }
}
